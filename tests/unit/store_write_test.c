#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/view.h"
#include "schema/store/write.h"
#include "tests/unit/store_scratch.h"

static struct tl_write *
new_write(struct scratch *s)
{
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	return write;
}

static void
put(struct tl_write *write, enum tl_family family, const char *key, const char *value)
{
	tl_write_put(write, family, tl_slice_str(key), tl_slice_str(value));
}

static bool
has(struct scratch *s, enum tl_family family, const char *key, const char *value)
{
	enum tl_err err = tl_store_get(s->store, NULL, family, tl_slice_str(key), &s->buf, &s->why);

	if (err == TL_ENOT_FOUND)
		return false;
	assert_int_equal(err, TL_OK);
	return tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str(value));
}

static void
nothing_is_there_before_the_commit_and_all_after(void **state)
{
	struct scratch *s = *state;
	struct tl_write *write = new_write(s);
	struct tl_day *day = NULL;
	char value[] = "one";

	assert_int_equal(tl_day_make(s->store, 0, &day, &s->why), TL_OK);
	put(write, TL_FAMILY_SESSION, "a", value);
	put(write, TL_FAMILY_LIFE, "b", "two");
	tl_write_put_raw(write, day, tl_slice_str("c"), tl_slice_str("three"));
	memset(value, 'x', 3); /* was copied */
	assert_false(has(s, TL_FAMILY_SESSION, "a", "one"));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	assert_true(has(s, TL_FAMILY_SESSION, "a", "one"));
	assert_true(has(s, TL_FAMILY_LIFE, "b", "two"));
	assert_int_equal(
		tl_day_get(s->store, NULL, day, tl_slice_str("c"), &s->buf, &s->why), TL_OK);
	tl_write_free(write);
	tl_write_free(NULL);
	tl_day_unpin(day);
}

static void
a_commit_leaves_the_write_empty(void **state)
{
	struct scratch *s = *state;
	struct tl_write *write = new_write(s);
	size_t empty_bytes = tl_write_bytes(write);

	put(write, TL_FAMILY_SESSION, "a", "one");
	assert_true(tl_write_bytes(write) >= empty_bytes + 4);
	assert_int_equal(tl_write_commit(write, TL_NO_SYNC, &s->why), TL_OK);
	assert_int_equal(tl_write_bytes(write), empty_bytes);
	put(write, TL_FAMILY_SESSION, "a", "two");
	assert_int_equal(tl_write_commit(write, TL_NO_SYNC, &s->why), TL_OK);
	assert_true(has(s, TL_FAMILY_SESSION, "a", "two"));
	tl_write_free(write);
}

static void
a_reset_forgets(void **state)
{
	struct scratch *s = *state;
	struct tl_write *write = new_write(s);

	put(write, TL_FAMILY_SESSION, "a", "one");
	tl_write_reset(write);
	put(write, TL_FAMILY_SESSION, "b", "two");
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	assert_false(has(s, TL_FAMILY_SESSION, "a", "one"));
	assert_true(has(s, TL_FAMILY_SESSION, "b", "two"));
	tl_write_free(write);
}

static void
the_last_of_several_puts_stands(void **state)
{
	struct scratch *s = *state;
	struct tl_write *write = new_write(s);

	put(write, TL_FAMILY_SESSION, "a", "one");
	put(write, TL_FAMILY_SESSION, "a", "two");
	put(write, TL_FAMILY_SESSION, "b", "three");
	tl_write_delete(write, TL_FAMILY_SESSION, tl_slice_str("b"));
	tl_write_delete(write, TL_FAMILY_SESSION, tl_slice_str("never there"));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	assert_true(has(s, TL_FAMILY_SESSION, "a", "two"));
	assert_false(has(s, TL_FAMILY_SESSION, "b", "three"));
	tl_write_free(write);
}

/* Rows go in by key: the order of the calls must be told from it all the same. */
static void
any_order_of_calls_gives_the_last_of_each_key(void **state)
{
	struct scratch *s = *state;
	struct tl_write *write = new_write(s);
	char key[8], value[8];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 500; i++) {
			int no = i * 7919 % 500;

			snprintf(key, sizeof(key), "%03d", no);
			snprintf(value, sizeof(value), "%d", round * 1000 + no);
			put(write, TL_FAMILY_SESSION, key, value);
			if (no % 10 == round)
				tl_write_delete(write, TL_FAMILY_SESSION, tl_slice_str(key));
			put(write, TL_FAMILY_LIFE, key, "beside");
		}
	}
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	for (int no = 0; no < 500; no++) {
		snprintf(key, sizeof(key), "%03d", no);
		snprintf(value, sizeof(value), "%d", 2000 + no);
		assert_int_equal(has(s, TL_FAMILY_SESSION, key, value), no % 10 != 2);
		assert_true(has(s, TL_FAMILY_LIFE, key, "beside"));
	}
	tl_write_free(write);
}

static void
an_empty_value_is_a_value(void **state)
{
	struct scratch *s = *state;
	struct tl_write *write = new_write(s);

	tl_write_put(write, TL_FAMILY_SESSION, tl_slice_str("a"), tl_slice_of(NULL, 0));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	assert_true(has(s, TL_FAMILY_SESSION, "a", ""));
	tl_write_free(write);
}

static size_t
count_rows(struct scratch *s, const struct tl_view *view, enum tl_family family)
{
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	size_t count = 0;
	enum tl_err err;

	assert_int_equal(tl_scan_open(s->store, view, family, tl_slice_of(NULL, 0),
				 tl_slice_of(NULL, 0), &scan, &s->why),
		TL_OK);
	while ((err = tl_scan_next(scan, &key, &value, &s->why)) == TL_OK)
		count++;
	assert_int_equal(err, TL_EEND);
	tl_scan_free(scan);
	return count;
}

static void
an_erased_family_is_empty_and_its_neighbours_are_not(void **state)
{
	struct scratch *s = *state;
	struct tl_write *write = new_write(s);
	char longest[TL_KEY_BYTES_MAX + 1];
	struct tl_view *before;

	memset(longest, 0xff, TL_KEY_BYTES_MAX);
	longest[TL_KEY_BYTES_MAX] = '\0';
	put(write, TL_FAMILY_CELL_1H, "a", "one");
	put(write, TL_FAMILY_CELL_1H, longest, "last");
	put(write, TL_FAMILY_CELL_1D, "a", "two");
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	assert_int_equal(tl_view_publish(s->store, 0, 0, NULL, 0, &s->why), TL_OK);
	before = tl_view_pin(s->store);
	assert_int_equal(tl_store_erase(s->store, TL_FAMILY_CELL_1H, &s->why), TL_OK);
	assert_int_equal(count_rows(s, NULL, TL_FAMILY_CELL_1H), 0);
	assert_int_equal(count_rows(s, NULL, TL_FAMILY_CELL_1D), 1);
	assert_int_equal(count_rows(s, before, TL_FAMILY_CELL_1H), 2);
	tl_view_unpin(before);
	/* What is put afterwards stays. */
	put(write, TL_FAMILY_CELL_1H, "b", "three");
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	assert_int_equal(count_rows(s, NULL, TL_FAMILY_CELL_1H), 1);
	tl_write_free(write);
	scratch_reopen(s);
	assert_int_equal(count_rows(s, NULL, TL_FAMILY_CELL_1H), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(nothing_is_there_before_the_commit_and_all_after),
		SCRATCH_TEST(a_commit_leaves_the_write_empty),
		SCRATCH_TEST(a_reset_forgets),
		SCRATCH_TEST(the_last_of_several_puts_stands),
		SCRATCH_TEST(any_order_of_calls_gives_the_last_of_each_key),
		SCRATCH_TEST(an_empty_value_is_a_value),
		SCRATCH_TEST(an_erased_family_is_empty_and_its_neighbours_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
