#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "schema/base/file.h"
#include "schema/store/disk.h"
#include "tests/unit/store_scratch.h"

#define MIB ((int64_t)1 << 20)

/* What the guard said last. */
struct heard {
	int count;
	bool is_low;
};

static void
changed(void *arg, bool is_low, const struct tl_disk_figures *figures)
{
	struct heard *heard = arg;

	(void)figures;
	heard->count++;
	heard->is_low = is_low;
}

static struct tl_disk_guard *
start(struct scratch *s, int64_t floor_bytes, int64_t ballast_bytes, struct tl_gate *gate,
	struct heard *heard)
{
	struct tl_disk_guard_options options = {
		.data_dir = s->dir,
		.settings = {.floor_bytes = floor_bytes, .ballast_bytes = ballast_bytes},
		.gate = gate,
		.on_change = changed,
		.arg = heard,
	};
	struct tl_disk_guard *guard;

	assert_int_equal(tl_disk_guard_start(&options, &guard, &s->why), TL_OK);
	return guard;
}

static int64_t
ballast_on_disk(const struct scratch *s)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "%s/ballast", s->dir);
	return stat(path, &st) == 0 ? st.st_blocks * 512 : -1;
}

static void
with_room_the_ballast_is_made_and_the_gate_opened(void **state)
{
	struct scratch *s = *state;
	struct tl_gate gate = {0};
	struct heard heard = {0};
	struct tl_disk_guard *guard = start(s, MIB, 2 * MIB, &gate, &heard);
	struct tl_disk_figures figures;

	tl_disk_guard_figures(guard, &figures);
	assert_int_equal(figures.floor_bytes, MIB);
	assert_int_equal(figures.ballast_bytes, 2 * MIB);
	assert_int_equal(tl_gate_err(&gate), TL_OK);
	assert_true(heard.count == 1 && !heard.is_low);
	tl_disk_guard_stop(guard);
	assert_true(ballast_on_disk(s) >= 2 * MIB);
	/* Another size is made anew. */
	tl_disk_guard_stop(start(s, MIB, 3 * MIB, &gate, &heard));
	assert_true(ballast_on_disk(s) >= 3 * MIB);
}

static void
below_the_floor_the_gate_is_closed_from_the_start(void **state)
{
	struct scratch *s = *state;
	struct tl_gate gate = {0};
	struct heard heard = {0};
	uint64_t free_bytes, total_bytes;
	struct tl_disk_guard *guard;

	assert_int_equal(tl_disk_free(s->dir, &free_bytes, &total_bytes, &s->why), TL_OK);
	guard = start(s, (int64_t)free_bytes * 2, 2 * MIB, &gate, &heard);
	assert_int_equal(tl_gate_err(&gate), TL_EDISK_FULL);
	tl_disk_guard_look(guard);
	assert_int_equal(tl_gate_err(&gate), TL_EDISK_FULL);
	assert_true(heard.count == 1 && heard.is_low);
	assert_int_equal(ballast_on_disk(s), -1);
	tl_disk_guard_stop(guard);
}

static void
opening_needs_the_floor_and_room_for_log_and_memory(void **state)
{
	struct scratch *s = *state;
	struct tl_disk_settings settings = {.floor_bytes = MIB, .memtable_bytes = MIB};
	uint64_t free_bytes, total_bytes;
	char path[96];

	assert_int_equal(tl_disk_check_open(s->dir, &settings, &s->why), TL_OK);
	assert_int_equal(tl_disk_free(s->dir, &free_bytes, &total_bytes, &s->why), TL_OK);
	settings.floor_bytes = (int64_t)free_bytes * 2;
	assert_int_equal(tl_disk_check_open(s->dir, &settings, &s->why), TL_EDISK_FULL);
	settings.floor_bytes = MIB;
	settings.memtable_bytes = (int64_t)free_bytes * 2;
	assert_int_equal(tl_disk_check_open(s->dir, &settings, &s->why), TL_EDISK_FULL);
	settings.memtable_bytes = MIB;
	/* A log that is long, though sparse. */
	snprintf(path, sizeof(path), "%s/db", s->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/db/000001.log", s->dir);
	fclose(fopen(path, "w"));
	assert_int_equal(truncate(path, (off_t)(total_bytes < (1ull << 43) ? total_bytes : 0)), 0);
	assert_int_equal(tl_disk_check_open(s->dir, &settings, &s->why), TL_EDISK_FULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST_CLOSED(with_room_the_ballast_is_made_and_the_gate_opened),
		SCRATCH_TEST_CLOSED(below_the_floor_the_gate_is_closed_from_the_start),
		SCRATCH_TEST_CLOSED(opening_needs_the_floor_and_room_for_log_and_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
