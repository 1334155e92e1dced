#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "schema/store/view.h"
#include "schema/store/write.h"
#include "tests/unit/store_scratch.h"

static void
publish(struct scratch *s, uint64_t no, const struct tl_change *changes, size_t count)
{
	assert_int_equal(tl_view_publish(s->store, no, no * 10, changes, count, &s->why), TL_OK);
}

static void
publish_one(struct scratch *s, uint32_t org, int64_t low_ms)
{
	struct tl_change change = {.org = org, .low_ms = low_ms};

	publish(s, 1, &change, 1);
}

static void
put(struct scratch *s, const char *value)
{
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put(write, TL_FAMILY_LIFE, tl_slice_str("k"), tl_slice_str(value));
	assert_int_equal(tl_write_commit(write, TL_NO_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

static void
there_is_no_view_before_the_first_publication(void **state)
{
	struct scratch *s = *state;

	assert_null(tl_view_pin(s->store));
	tl_view_unpin(NULL);
}

static void
a_view_stands_for_its_position(void **state)
{
	struct scratch *s = *state;
	struct tl_view *one, *same, *two;

	publish(s, 7, NULL, 0);
	one = tl_view_pin(s->store);
	same = tl_view_pin(s->store);
	assert_ptr_equal(one, same);
	publish(s, 9, NULL, 0);
	two = tl_view_pin(s->store);
	assert_int_equal(tl_view_group_no(one), 7);
	assert_int_equal(tl_view_seq(one), 70);
	assert_int_equal(tl_view_generation(one), 1);
	assert_int_equal(tl_view_group_no(two), 9);
	assert_int_equal(tl_view_generation(two), 2);
	tl_view_unpin(one);
	tl_view_unpin(same);
	tl_view_unpin(two);
}

static void
an_old_view_reads_what_it_saw(void **state)
{
	struct scratch *s = *state;
	struct tl_view *old;

	put(s, "one");
	publish(s, 1, NULL, 0);
	old = tl_view_pin(s->store);
	put(s, "two");
	publish(s, 2, NULL, 0);
	tl_store_compact(s->store); /* what a view needs is not compacted away */
	assert_int_equal(
		tl_store_get(s->store, old, TL_FAMILY_LIFE, tl_slice_str("k"), &s->buf, &s->why),
		TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str("one")));
	tl_view_unpin(old);
}

static void
an_orgs_generation_is_of_its_last_change(void **state)
{
	struct scratch *s = *state;
	const struct tl_change both[] = {{1, 100}, {2, 200}};
	struct tl_view *first, *last;

	publish(s, 1, both, 2); /* 1 */
	first = tl_view_pin(s->store);
	publish_one(s, 2, 300); /* 2 */
	publish(s, 3, NULL, 0); /* 3 */
	last = tl_view_pin(s->store);
	assert_int_equal(tl_view_org_generation(last, 1), 1);
	assert_int_equal(tl_view_org_generation(last, 2), 2);
	assert_int_equal(tl_view_org_generation(last, 3), 0);
	/* The old view knows nothing of what came after it. */
	assert_int_equal(tl_view_org_generation(first, 2), 1);
	tl_view_unpin(first);
	tl_view_unpin(last);
}

static void
the_lowest_change_between_two_views_is_known(void **state)
{
	struct scratch *s = *state;
	const struct tl_change twice[] = {{1, 90}, {1, 40}, {2, 5}};
	struct tl_view *middle, *last;

	publish_one(s, 1, 10);	 /* 1 */
	publish_one(s, 1, 50);	 /* 2 */
	publish(s, 3, twice, 3); /* 3 */
	middle = tl_view_pin(s->store);
	publish_one(s, 1, 60); /* 4 */
	last = tl_view_pin(s->store);
	assert_int_equal(tl_view_changed_from(last, 1, 0), 10);
	assert_int_equal(tl_view_changed_from(last, 1, 1), 40);
	assert_int_equal(tl_view_changed_from(last, 1, 2), 40);
	assert_int_equal(tl_view_changed_from(last, 1, 3), 60);
	assert_true(tl_view_changed_from(last, 1, 4) == INT64_MAX);
	assert_true(tl_view_changed_from(last, 1, 9) == INT64_MAX);
	assert_true(tl_view_changed_from(last, 3, 0) == INT64_MAX);
	/* Up to the view, not up to now. */
	assert_true(tl_view_changed_from(middle, 1, 3) == INT64_MAX);
	assert_int_equal(tl_view_changed_from(middle, 1, 2), 40);
	assert_int_equal(tl_view_changed_from(middle, 2, 0), 5);
	tl_view_unpin(middle);
	tl_view_unpin(last);
}

static void
what_is_too_old_is_said_to_be_unknown(void **state)
{
	struct scratch *s = *state;
	struct tl_view *old, *last;

	publish_one(s, 1, 1000);
	old = tl_view_pin(s->store);
	for (int64_t i = 2; i <= 40; i++)
		publish_one(s, 1, i);
	publish_one(s, 2, 7); /* 41 */
	last = tl_view_pin(s->store);
	/* Of 40 publications 32 are kept: 9 to 40. */
	assert_int_equal(tl_view_changed_from(last, 1, 8), 9);
	assert_true(tl_view_changed_from(last, 1, 7) == INT64_MIN);
	assert_true(tl_view_changed_from(last, 1, 0) == INT64_MIN);
	assert_int_equal(tl_view_changed_from(last, 1, 39), 40);
	assert_int_equal(tl_view_changed_from(last, 2, 0), 7);
	assert_int_equal(tl_view_org_generation(last, 1), 40);
	/* Forgotten for the old view: its own number, which no other view has. */
	assert_int_equal(tl_view_org_generation(old, 1), 1);
	tl_view_unpin(old);
	tl_view_unpin(last);
}

static void
a_forgotten_generation_is_never_taken_for_another(void **state)
{
	struct scratch *s = *state;
	struct tl_view *before, *between;

	publish_one(s, 1, 0);	/* 1 */
	publish(s, 1, NULL, 0); /* 2 */
	before = tl_view_pin(s->store);
	publish_one(s, 1, 0);	/* 3 */
	publish(s, 1, NULL, 0); /* 4 */
	between = tl_view_pin(s->store);
	for (int i = 0; i < 31; i++)
		publish_one(s, 1, 0);
	/* Kept: 3 and 31 more. The newest forgotten is 1, which is what the first view saw. */
	assert_int_equal(tl_view_org_generation(before, 1), 1);
	assert_int_equal(tl_view_org_generation(between, 1), 3);
	publish_one(s, 1, 0);
	/* Now 3 is forgotten as well, and whether 1 or 2 changed the org is no longer known. */
	assert_int_equal(tl_view_org_generation(before, 1), 2);
	assert_int_equal(tl_view_org_generation(between, 1), 3);
	tl_view_unpin(before);
	tl_view_unpin(between);
}

static void
many_orgs_are_kept_apart(void **state)
{
	struct scratch *s = *state;
	struct tl_change changes[1000];
	struct tl_view *view;

	for (uint32_t i = 0; i < 1000; i++)
		changes[i] = (struct tl_change){.org = i * 7919, .low_ms = i};
	publish(s, 1, changes, 1000);
	publish(s, 2, changes + 500, 1);
	view = tl_view_pin(s->store);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(tl_view_changed_from(view, i * 7919, 0), i);
		assert_int_equal(tl_view_org_generation(view, i * 7919), i == 500 ? 2 : 1);
	}
	tl_view_unpin(view);
}

struct readers {
	struct scratch *s;
	atomic_bool stop;
	atomic_ulong read_count;
	atomic_ulong wrong_count;
};

/* The value is the number of the publication that follows it: a view must show its own. */
static void *
read_views(void *arg)
{
	struct readers *readers = arg;
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	while (!atomic_load(&readers->stop)) {
		struct tl_view *view = tl_view_pin(readers->s->store);

		if (view == NULL)
			continue;
		if (tl_store_get(readers->s->store, view, TL_FAMILY_LIFE, tl_slice_str("k"), &buf,
			    NULL) != TL_OK ||
			tl_get_be64(buf.data) != tl_view_generation(view) ||
			tl_view_org_generation(view, 1) != tl_view_generation(view))
			atomic_fetch_add(&readers->wrong_count, 1);
		atomic_fetch_add(&readers->read_count, 1);
		tl_view_unpin(view);
	}
	tl_buf_fini(&buf);
	return NULL;
}

static void
readers_see_whole_publications(void **state)
{
	struct scratch *s = *state;
	struct readers readers = {.s = s};
	pthread_t threads[2];
	struct tl_write *write = NULL;
	uint8_t value[8];

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_views, &readers), 0);
	for (uint64_t no = 1; no <= 2000 || atomic_load(&readers.read_count) < 100; no++) {
		tl_put_be64(value, no);
		tl_write_put(write, TL_FAMILY_LIFE, tl_slice_str("k"), tl_slice_of(value, 8));
		assert_int_equal(tl_write_commit(write, TL_NO_SYNC, &s->why), TL_OK);
		publish_one(s, 1, 0);
	}
	atomic_store(&readers.stop, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&readers.wrong_count), 0);
	tl_write_free(write);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(there_is_no_view_before_the_first_publication),
		SCRATCH_TEST(a_view_stands_for_its_position),
		SCRATCH_TEST(an_old_view_reads_what_it_saw),
		SCRATCH_TEST(an_orgs_generation_is_of_its_last_change),
		SCRATCH_TEST(the_lowest_change_between_two_views_is_known),
		SCRATCH_TEST(what_is_too_old_is_said_to_be_unknown),
		SCRATCH_TEST(a_forgotten_generation_is_never_taken_for_another),
		SCRATCH_TEST(many_orgs_are_kept_apart),
		SCRATCH_TEST(readers_see_whole_publications),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
