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
	assert_int_equal(tl_flush_point(s->store, s->dir, &s->why), TL_OK);
	put(s, TL_FAMILY_LIFE, "later");
	scratch_close(s);
	remove_log(s);
	assert_int_equal(scratch_try(s, false, true), TL_OK);
	assert_true(has(s, TL_FAMILY_JOURNAL, "a"));
	assert_true(has(s, TL_FAMILY_SESSION, "b"));
	assert_true(has(s, TL_FAMILY_LIFE, "c"));
	assert_false(has(s, TL_FAMILY_LIFE, "later"));
}

static bool
point_has(struct scratch *s, enum tl_family family, const char *name)
{
	struct tl_key key = tl_key_mark(name);
	struct tl_store *point;
	enum tl_err err;

	assert_int_equal(tl_flush_open(s->dir, &point, &s->why), TL_OK);
	err = tl_store_get(point, NULL, family, tl_key_slice(&key), &s->buf, NULL);
	tl_store_close(point);
	return err == TL_OK;
}

static void
the_last_flush_point_can_be_read(void **state)
{
	struct scratch *s = *state;
	struct tl_store *point;

	assert_int_equal(tl_flush_open(s->dir, &point, &s->why), TL_ENOT_FOUND);
	put(s, TL_FAMILY_LIFE, "a");
	assert_int_equal(tl_flush_point(s->store, s->dir, &s->why), TL_OK);
	put(s, TL_FAMILY_SESSION, "b");
	assert_true(point_has(s, TL_FAMILY_LIFE, "a"));
	assert_false(point_has(s, TL_FAMILY_SESSION, "b"));
	assert_int_equal(tl_flush_point(s->store, s->dir, &s->why), TL_OK);
	assert_true(point_has(s, TL_FAMILY_LIFE, "a"));
	assert_true(point_has(s, TL_FAMILY_SESSION, "b"));
}

static const char *
path_of(const struct scratch *s, const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", s->dir, name);
	return path[turn];
}

static void
rename_in(const struct scratch *s, const char *from, const char *to)
{
	assert_int_equal(rename(path_of(s, from), path_of(s, to)), 0);
}

/* The states between the renames of take_place, and one that was not whole. */
static void
a_flush_point_that_was_cut_short_leaves_a_whole_one(void **state)
{
	struct scratch *s = *state;

	put(s, TL_FAMILY_LIFE, "a");
	assert_int_equal(tl_flush_point(s->store, s->dir, &s->why), TL_OK);
	rename_in(s, "flush", "first");
	put(s, TL_FAMILY_LIFE, "b");
	assert_int_equal(tl_flush_point(s->store, s->dir, &s->why), TL_OK);
	rename_in(s, "flush", "flush.next");
	rename_in(s, "first", "flush.old");
	assert_true(point_has(s, TL_FAMILY_LIFE, "b"));
	assert_int_equal(access(path_of(s, "flush.next"), F_OK), -1);
	assert_int_equal(access(path_of(s, "flush.old"), F_OK), -1);
	assert_int_equal(mkdir(path_of(s, "flush.next"), 0700), 0);
	assert_int_equal(mkdir(path_of(s, "flush.next/db.tmp"), 0700), 0);
	fclose(fopen(path_of(s, "flush.next/db.tmp/000001.sst"), "w"));
	assert_true(point_has(s, TL_FAMILY_LIFE, "b"));
	assert_int_equal(access(path_of(s, "flush.next"), F_OK), -1);
}

static uint64_t
group_of(void *arg)
{
	return *(uint64_t *)arg;
}

static void
ended(void *arg)
{
	*(uint64_t *)arg += 1;
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
						  .on_begin = group_of,
						  .on_end = ended,
						  .on_failure = failed,
						  .arg = &group_no},
				 &flusher, &s->why),
		TL_OK);
	tl_flusher_stop(flusher);
	assert_int_equal(tl_highwater_stop(highwater, &s->why), TL_OK);
	assert_int_equal(tl_highwater_read(path, &mark, &s->why), TL_OK);
	assert_int_equal(group_no, mark.flush_group_no > 0 ? 8 : 7);
	return mark.flush_group_no;
}

static void
a_clean_stop_takes_one_and_a_low_disk_lets_go_of_it(void **state)
{
	struct scratch *s = *state;
	struct tl_gate gate = {0};
	struct tl_store *point;

	put(s, TL_FAMILY_LIFE, "a");
	assert_int_equal(tl_flush_point(s->store, s->dir, &s->why), TL_OK);
	tl_gate_close(&gate, TL_GATE_DISK);
	assert_int_equal(flushed_to(s, &gate), 0);
	assert_int_equal(tl_flush_open(s->dir, &point, &s->why), TL_ENOT_FOUND);
	tl_gate_open(&gate, TL_GATE_DISK);
	tl_gate_close(&gate, TL_GATE_CLOCK);
	assert_int_equal(flushed_to(s, &gate), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(after_a_flush_point_no_family_needs_the_log),
		SCRATCH_TEST(the_last_flush_point_can_be_read),
		SCRATCH_TEST(a_flush_point_that_was_cut_short_leaves_a_whole_one),
		SCRATCH_TEST(a_clean_stop_takes_one_and_a_low_disk_lets_go_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
