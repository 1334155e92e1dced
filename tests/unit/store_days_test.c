#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "schema/model/bucket.h"
#include "schema/store/days.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/view.h"
#include "schema/store/write.h"
#include "tests/unit/store_scratch.h"

#define DAY_MS (1795219200000LL) /* 2026-11-21 */

static struct tl_day *
make(struct scratch *s, int64_t day_ms)
{
	struct tl_day *day = NULL;
	enum tl_err err = tl_day_make(s->store, day_ms, &day, &s->why);

	if (err)
		fail_msg("%s: %s", tl_err_name(err), s->why.text);
	assert_non_null(day);
	assert_int_equal(tl_day_ms(day), day_ms);
	return day;
}

static void
put(struct scratch *s, struct tl_day *day, uint64_t group_no, const char *value)
{
	struct tl_key key = tl_key_block(group_no, 0);
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put_raw(write, day, tl_key_slice(&key), tl_slice_str(value));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

static enum tl_err
get(struct scratch *s, const struct tl_view *view, struct tl_day *day, uint64_t group_no)
{
	struct tl_key key = tl_key_block(group_no, 0);

	return tl_day_get(s->store, view, day, tl_key_slice(&key), &s->buf, &s->why);
}

static size_t
family_count(struct scratch *s)
{
	return tl_days_list(s->store, NULL, 0);
}

static void
a_day_is_made_once_and_found_again(void **state)
{
	struct scratch *s = *state;
	struct tl_day *made, *again, *pinned;

	assert_null(tl_day_pin(s->store, DAY_MS));
	made = make(s, DAY_MS);
	again = make(s, DAY_MS);
	pinned = tl_day_pin(s->store, DAY_MS);
	assert_ptr_equal(made, again);
	assert_ptr_equal(made, pinned);
	put(s, made, 1, "one");
	assert_int_equal(get(s, NULL, made, 1), TL_OK);
	assert_int_equal(get(s, NULL, made, 2), TL_ENOT_FOUND);
	assert_null(tl_day_pin(s->store, DAY_MS + TL_DAY_MS));
	assert_null(tl_day_pin(s->store, DAY_MS - TL_DAY_MS));
	tl_day_unpin(made);
	tl_day_unpin(again);
	tl_day_unpin(pinned);
	tl_day_unpin(NULL);
}

static void
days_come_back_with_the_store(void **state)
{
	struct scratch *s = *state;
	struct tl_day *day = make(s, DAY_MS);
	struct tl_day *old = make(s, -TL_DAY_MS); /* 1969-12-31 */

	put(s, day, 1, "one");
	put(s, old, 1, "old");
	tl_day_unpin(day);
	tl_day_unpin(old);
	scratch_reopen(s);
	day = tl_day_pin(s->store, DAY_MS);
	assert_non_null(day);
	assert_int_equal(get(s, NULL, day, 1), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str("one")));
	tl_day_unpin(day);
	old = tl_day_pin(s->store, -TL_DAY_MS);
	assert_non_null(old);
	tl_day_unpin(old);
}

static void
days_are_listed_oldest_first(void **state)
{
	struct scratch *s = *state;
	static const int order[] = {3, 0, 4, 1, 2};
	int64_t listed[5];

	for (size_t i = 0; i < 5; i++)
		tl_day_unpin(make(s, DAY_MS + order[i] * TL_DAY_MS));
	assert_int_equal(tl_days_list(s->store, listed, 5), 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(listed[i], DAY_MS + i * TL_DAY_MS);
	listed[3] = 77;
	assert_int_equal(tl_days_list(s->store, listed, 3), 5);
	assert_int_equal(listed[3], 77);
}

static void
a_dropped_day_is_gone_for_good(void **state)
{
	struct scratch *s = *state;
	struct tl_day *day = make(s, DAY_MS);

	put(s, day, 1, "one");
	tl_day_unpin(day);
	assert_int_equal(tl_day_drop(s->store, DAY_MS, &s->why), TL_OK);
	assert_null(tl_day_pin(s->store, DAY_MS));
	assert_int_equal(family_count(s), 0);
	assert_int_equal(tl_day_drop(s->store, DAY_MS, &s->why), TL_ENOT_FOUND);
	scratch_reopen(s);
	assert_int_equal(family_count(s), 0);
	/* The day can be made again, and is empty. */
	day = make(s, DAY_MS);
	assert_int_equal(get(s, NULL, day, 1), TL_ENOT_FOUND);
	tl_day_unpin(day);
}

static void
a_reader_goes_on_in_a_dropped_day(void **state)
{
	struct scratch *s = *state;
	struct tl_day *day = make(s, DAY_MS);
	struct tl_day *refused = NULL;
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;

	put(s, day, 1, "one");
	put(s, day, 2, "two");
	assert_int_equal(tl_scan_open_day(s->store, NULL, day, tl_slice_of(NULL, 0),
				 tl_slice_of(NULL, 0), &scan, &s->why),
		TL_OK);
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_OK);
	assert_int_equal(tl_day_drop(s->store, DAY_MS, &s->why), TL_OK);
	/* Out of sight, but not from under the reader. */
	assert_null(tl_day_pin(s->store, DAY_MS));
	assert_int_equal(family_count(s), 0);
	assert_int_equal(tl_day_drop(s->store, DAY_MS, &s->why), TL_ENOT_FOUND);
	assert_int_equal(tl_day_make(s->store, DAY_MS, &refused, &s->why), TL_ECONFLICT);
	assert_int_equal(get(s, NULL, day, 2), TL_OK);
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_OK);
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_EEND);
	tl_scan_free(scan);
	/* A write that has the day still succeeds. */
	put(s, day, 3, "three");
	tl_day_unpin(day);

	assert_int_equal(tl_store_background_error(s->store, &s->why), TL_OK);
	day = make(s, DAY_MS);
	assert_int_equal(get(s, NULL, day, 1), TL_ENOT_FOUND);
	tl_day_unpin(day);
	scratch_reopen(s);
	assert_int_equal(family_count(s), 1);
}

static void
a_view_from_before_a_day_sees_nothing_in_it(void **state)
{
	struct scratch *s = *state;
	struct tl_view *before, *after;
	struct tl_day *day;

	assert_int_equal(tl_view_publish(s->store, 0, 0, NULL, 0, &s->why), TL_OK);
	before = tl_view_pin(s->store);
	day = make(s, DAY_MS);
	put(s, day, 1, "one");
	assert_int_equal(tl_view_publish(s->store, 1, 1, NULL, 0, &s->why), TL_OK);
	after = tl_view_pin(s->store);
	put(s, day, 1, "changed");
	assert_int_equal(get(s, before, day, 1), TL_ENOT_FOUND);
	assert_int_equal(get(s, after, day, 1), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str("one")));
	assert_int_equal(get(s, NULL, day, 1), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str("changed")));
	tl_view_unpin(before);
	tl_view_unpin(after);
	tl_day_unpin(day);
}

struct readers {
	struct scratch *s;
	atomic_bool stop;
	atomic_ulong read_count;
};

static void *
read_days(void *arg)
{
	struct readers *readers = arg;
	struct tl_key key = tl_key_block(1, 0);
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	while (!atomic_load(&readers->stop)) {
		for (int i = 0; i < 4; i++) {
			struct tl_day *day = tl_day_pin(readers->s->store, DAY_MS + i * TL_DAY_MS);

			if (day == NULL)
				continue;
			/* A pinned day is whole, whatever is dropped meanwhile. */
			if (tl_day_get(readers->s->store, NULL, day, tl_key_slice(&key), &buf,
				    NULL) == TL_OK)
				atomic_fetch_add(&readers->read_count, 1);
			tl_day_unpin(day);
		}
	}
	tl_buf_fini(&buf);
	return NULL;
}

static void
days_come_and_go_under_readers(void **state)
{
	struct scratch *s = *state;
	struct readers readers = {.s = s};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_days, &readers), 0);
	for (int round = 0; round < 40 || atomic_load(&readers.read_count) == 0; round++) {
		int64_t day_ms = DAY_MS + round % 4 * TL_DAY_MS;
		struct tl_day *day = NULL;
		enum tl_err err = tl_day_make(s->store, day_ms, &day, &s->why);

		if (err == TL_ECONFLICT) /* a reader has the last one still */
			continue;
		assert_int_equal(err, TL_OK);
		put(s, day, 1, "one");
		tl_day_unpin(day);
		if (round % 2 == 1)
			assert_int_equal(tl_day_drop(s->store, day_ms, &s->why), TL_OK);
	}
	atomic_store(&readers.stop, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(tl_store_background_error(s->store, &s->why), TL_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(a_day_is_made_once_and_found_again),
		SCRATCH_TEST(days_come_back_with_the_store),
		SCRATCH_TEST(days_are_listed_oldest_first),
		SCRATCH_TEST(a_dropped_day_is_gone_for_good),
		SCRATCH_TEST(a_reader_goes_on_in_a_dropped_day),
		SCRATCH_TEST(a_view_from_before_a_day_sees_nothing_in_it),
		SCRATCH_TEST(days_come_and_go_under_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
