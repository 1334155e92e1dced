#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/fresh.h"
#include "schema/store/store_private.h"
#include "tests/unit/store_scratch.h"

#define ARENA_BYTES_MAX ((size_t)16 << 20)

/* A group of one row whose session is its number, put from an arena. */
static void
put(struct scratch *s, struct tl_arena *arena, uint64_t group_no, size_t more_bytes)
{
	struct tl_fresh fresh = {.group_no = group_no, .received_ms = 77, .count = 1};
	struct tl_batch *rows = &fresh.rows;

	tl_arena_reset(arena);
	rows->arena = arena;
	rows->row_count = rows->row_capacity = 1;
	assert_non_null(tl_arena_alloc(arena, more_bytes));
	fresh.order = tl_arena_array(arena, 1, sizeof(*fresh.order));
	assert_int_equal(tl_batch_set(rows, TL_COL_SESSION, 0, (int64_t)group_no), TL_OK);
	tl_fresh_put(s->store, &fresh, arena);
}

static void
expect(struct scratch *s, uint64_t group_no, bool is_there)
{
	const struct tl_fresh *fresh = tl_fresh_pin(s->store, group_no);

	assert_int_equal(fresh != NULL, is_there);
	if (fresh == NULL)
		return;
	assert_int_equal(fresh->received_ms, 77);
	assert_int_equal(tl_batch_get(&fresh->rows, TL_COL_SESSION, fresh->order[0]), group_no);
	tl_fresh_unpin(s->store, fresh);
}

static void
the_newest_groups_are_there_and_older_ones_are_not(void **state)
{
	struct scratch *s = *state;
	struct tl_arena arena;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	expect(s, 0, false);
	expect(s, 1, false);
	for (uint64_t no = 1; no <= 3 * TL_FRESH_SLOTS; no++)
		put(s, &arena, no, 100);
	for (uint64_t no = 1; no <= 2 * TL_FRESH_SLOTS; no++)
		expect(s, no, false);
	for (uint64_t no = 2 * TL_FRESH_SLOTS + 1; no <= 3 * TL_FRESH_SLOTS; no++)
		expect(s, no, true);
	expect(s, 3 * TL_FRESH_SLOTS + 1, false);
	tl_arena_fini(&arena);
}

static void
a_pinned_group_stays_and_the_one_for_its_slot_is_not_kept(void **state)
{
	struct scratch *s = *state;
	const struct tl_fresh *fresh;
	struct tl_arena arena;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	put(s, &arena, 5, 100);
	fresh = tl_fresh_pin(s->store, 5);
	put(s, &arena, 5 + TL_FRESH_SLOTS, 100);
	assert_int_equal(tl_batch_get(&fresh->rows, TL_COL_SESSION, 0), 5);
	tl_fresh_unpin(s->store, fresh);
	expect(s, 5, true);
	expect(s, 5 + TL_FRESH_SLOTS, false);
	put(s, &arena, 5 + 2 * TL_FRESH_SLOTS, 100);
	expect(s, 5, false);
	expect(s, 5 + 2 * TL_FRESH_SLOTS, true);
	tl_arena_fini(&arena);
}

static void
a_group_past_its_share_of_the_bound_is_not_kept(void **state)
{
	struct scratch *s = *state;
	struct tl_arena arena;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	tl_fresh_bound(s->store, TL_FRESH_SLOTS * ((size_t)1 << 20));
	put(s, &arena, 1, 2 << 20);
	expect(s, 1, false);
	tl_arena_fini(&arena);
	tl_arena_init(&arena, ARENA_BYTES_MAX);
	put(s, &arena, 2, 1000);
	expect(s, 2, true);
	tl_arena_fini(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(the_newest_groups_are_there_and_older_ones_are_not),
		SCRATCH_TEST(a_pinned_group_stays_and_the_one_for_its_slot_is_not_kept),
		SCRATCH_TEST(a_group_past_its_share_of_the_bound_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
