#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "schema/store/flush.h"
#include "schema/store/key.h"
#include "schema/store/write.h"
#include "tests/unit/store_scratch.h"

static void
put(struct scratch *s, enum tl_family family, const char *name)
{
	struct tl_key key = tl_key_mark(name);
	struct tl_write *write;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put(write, family, tl_key_slice(&key), tl_slice_str("x"));
	assert_int_equal(tl_write_commit(write, TL_NO_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

static bool
has(struct scratch *s, enum tl_family family, const char *name)
{
	struct tl_key key = tl_key_mark(name);

	return tl_store_get(s->store, NULL, family, tl_key_slice(&key), &s->buf, NULL) == TL_OK;
}

static const char *
scratch_dir(const struct scratch *s)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/flush", s->dir);
	return path;
}

/* Without its log, what was not in tables would be gone. */
static void
remove_log(const struct scratch *s)
{
	char command[128];

	snprintf(command, sizeof(command), "rm %s/db/*.log", s->dir);
	assert_int_equal(system(command), 0);
}

static void
after_a_flush_point_no_family_needs_the_log(void **state)
{
	struct scratch *s = *state;

	put(s, TL_FAMILY_JOURNAL, "a");
	put(s, TL_FAMILY_SESSION, "b");
	put(s, TL_FAMILY_LIFE, "c");
	assert_int_equal(tl_flush_point(s->store, scratch_dir(s), &s->why), TL_OK);
	put(s, TL_FAMILY_LIFE, "later");
	scratch_close(s);
	remove_log(s);
	assert_int_equal(scratch_try(s, false, true), TL_OK);
	assert_true(has(s, TL_FAMILY_JOURNAL, "a"));
	assert_true(has(s, TL_FAMILY_SESSION, "b"));
	assert_true(has(s, TL_FAMILY_LIFE, "c"));
	assert_false(has(s, TL_FAMILY_LIFE, "later"));
}

static void
nothing_is_left_of_it_and_what_a_crash_left_goes(void **state)
{
	struct scratch *s = *state;
	char leftover[128];
	FILE *file;

	snprintf(leftover, sizeof(leftover), "%s/000001.sst", scratch_dir(s));
	assert_int_equal(mkdir(scratch_dir(s), 0700), 0);
	file = fopen(leftover, "w");
	assert_non_null(file);
	fclose(file);
	snprintf(leftover, sizeof(leftover), "%s.tmp", scratch_dir(s));
	assert_int_equal(mkdir(leftover, 0700), 0);
	put(s, TL_FAMILY_LIFE, "a");
	assert_int_equal(tl_flush_point(s->store, scratch_dir(s), &s->why), TL_OK);
	assert_int_equal(access(scratch_dir(s), F_OK), -1);
	assert_int_equal(access(leftover, F_OK), -1);
	assert_int_equal(tl_flush_point(s->store, scratch_dir(s), &s->why), TL_OK);
}

static uint64_t
group_of(void *arg)
{
	return *(uint64_t *)arg;
}

static void
failed(void *arg, enum tl_err err, const char *text)
{
	(void)arg;
	fail_msg("%s: %s", tl_err_name(err), text);
}

/* How far the mark says the tables go after a run that stops at once. */
static uint64_t
flushed_to(struct scratch *s, struct tl_gate *gate)
{
	char path[96];
	uint64_t group_no = 7;
	struct tl_highwater_mark mark = {.epoch = 1, .group_no = 9, .seq = 9};
	struct tl_highwater *highwater;
	struct tl_flusher *flusher;

	snprintf(path, sizeof(path), "%s/mark", s->dir);
	assert_int_equal(tl_highwater_make(path, &mark, &s->why), TL_OK);
	assert_int_equal(
		tl_highwater_start(&(struct tl_highwater_options){.path = path, .mark = mark},
			&highwater, &s->why),
		TL_OK);
	assert_int_equal(tl_flusher_start(&(struct tl_flusher_options){.store = s->store,
						  .data_dir = s->dir,
						  .highwater = highwater,
						  .gate = gate,
						  .derived_group_no = group_of,
						  .on_failure = failed,
						  .arg = &group_no},
				 &flusher, &s->why),
		TL_OK);
	tl_flusher_stop(flusher);
	assert_int_equal(tl_highwater_stop(highwater, &s->why), TL_OK);
	assert_int_equal(tl_highwater_read(path, &mark, &s->why), TL_OK);
	return mark.flush_group_no;
}

static void
a_clean_stop_takes_one_and_a_low_disk_does_not(void **state)
{
	struct scratch *s = *state;
	struct tl_gate gate = {0};

	put(s, TL_FAMILY_LIFE, "a");
	tl_gate_close(&gate, TL_GATE_DISK);
	assert_int_equal(flushed_to(s, &gate), 0);
	tl_gate_open(&gate, TL_GATE_DISK);
	tl_gate_close(&gate, TL_GATE_CLOCK);
	assert_int_equal(flushed_to(s, &gate), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(after_a_flush_point_no_family_needs_the_log),
		SCRATCH_TEST(nothing_is_left_of_it_and_what_a_crash_left_goes),
		SCRATCH_TEST(a_clean_stop_takes_one_and_a_low_disk_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
