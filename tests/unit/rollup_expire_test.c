#include "rollup/expire.h"
#include "tests/unit/rollup_world.h"

#define T0 (DAY0 + 10 * TL_HOUR_MS)
#define ARENA_BYTES ((size_t)64 << 20)
#define RETENTION_DAYS 90

static int
set_up(void **state)
{
	*state = world_new();
	return 0;
}

static int
tear_down(void **state)
{
	world_free(*state);
	return 0;
}

static struct event
request(uint64_t id, uint32_t session, int64_t ts)
{
	return (struct event){.id = id,
		.session = session,
		.ts = ts,
		.member = 3,
		.agent = 4,
		.model = 5,
		.input = 100,
		.cost = 7};
}

static struct expire_counts
expire_at(struct world *world, int64_t now_ms)
{
	struct expire_counts counts;

	must(expire_days(world->store, now_ms, RETENTION_DAYS, &counts, &world->why));
	must(tl_view_publish(world->store, world->group_no, world->seq, NULL, 0, &world->why));
	return counts;
}

static void
a_day_goes_when_its_time_is_up_and_not_before(void **state)
{
	struct world *world = *state;
	struct expire_counts counts;

	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 9, T0 + TL_DAY_MS));
	world_fold(world);
	counts = expire_at(world, DAY0 + RETENTION_DAYS * TL_DAY_MS);
	assert_int_equal(counts.days + counts.cells + counts.sessions, 0);
	counts = expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS - 1);
	assert_int_equal(counts.days, 0);
	counts = expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS);
	assert_int_equal(counts.days, 1);
	assert_int_equal(counts.cells, 1);
	assert_int_equal(counts.sessions, 0);
	assert_null(tl_day_pin(world->store, DAY0));
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0, 0).row_count, 0);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0, 0).row_count, 0);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0 + TL_DAY_MS, 0).totals.requests, 1);
	counts = expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS);
	assert_int_equal(counts.days + counts.cells, 0);
}

static uint64_t
oldest_group(struct world *world)
{
	uint64_t group_no = 0;

	must(tl_journal_first(world->store, &group_no, &world->why));
	return group_no;
}

/* They go in order, a day after their blocks, but for the last that may and for the newest. */
static void
the_oldest_groups_go_when_their_days_are_gone(void **state)
{
	struct world *world = *state;
	int64_t later_ms = T0 + 100 * TL_DAY_MS;

	world->received_ms = T0;
	for (uint64_t id = 1; id <= 4; id++)
		world_push_one(world, request(id, 8, T0));
	world->received_ms = later_ms;
	world_push_one(world, request(5, 8, T0)); /* brought later: stays, and so do those behind */
	world_push_one(world, request(6, 8, later_ms));
	for (uint64_t id = 7; id < 1006; id++)
		world_push_one(world, request(id, 8, later_ms));
	world_fold(world);
	assert_int_equal(expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS).groups, 0);
	assert_int_equal(expire_at(world, DAY0 + (RETENTION_DAYS + 2) * TL_DAY_MS).groups, 3);
	assert_int_equal(oldest_group(world), 4);
	world_audit_clean(world);
	/* All are due now, and the newest stay. */
	assert_int_equal(expire_at(world, later_ms + 200 * TL_DAY_MS).groups, 0);
	assert_int_equal(expire_at(world, later_ms + 200 * TL_DAY_MS).days, 0);
	assert_true(world->group_no - oldest_group(world) >= 1000);
	world_audit_clean(world);
	assert_int_equal(rollup_rebuild(world->rollup, &world->why), TL_ECONFLICT);
}

static void
groups_that_were_not_folded_stay(void **state)
{
	struct world *world = *state;

	world->received_ms = T0;
	for (uint64_t id = 1; id <= 1010; id++)
		world_push_one(world, request(id, 8, T0));
	world->received_ms = T0 + 20 * TL_DAY_MS;
	world_push_one(world, request(2000, 8, T0 + 20 * TL_DAY_MS));
	for (int run = 0; run < 2; run++)
		assert_int_equal(expire_at(world, DAY0 + 105 * TL_DAY_MS).groups, 0);
	world_fold(world);
	assert_int_equal(expire_at(world, DAY0 + 105 * TL_DAY_MS).groups, 9);
	assert_int_equal(oldest_group(world), 10);
}

static void
counters_go_with_the_day_of_arrival(void **state)
{
	struct world *world = *state;
	struct tl_write *write = NULL;

	world_push_one(world, request(1, 8, T0));
	must(tl_write_new(world->store, &write));
	for (uint32_t day = 0; day < 3; day++) {
		struct tl_key key = tl_key_intake(1 + day % 2, DAY0 + day * TL_DAY_MS, 7);

		tl_write_put(write, TL_FAMILY_INTAKE, tl_key_slice(&key), tl_slice_str("counters"));
	}
	must(tl_write_commit(write, TL_SYNC, &world->why));
	tl_write_free(write);
	assert_int_equal(expire_at(world, DAY0 + RETENTION_DAYS * TL_DAY_MS).intake, 0);
	assert_int_equal(expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS).intake, 1);
}

static void
the_audit_holds_after_expiry(void **state)
{
	struct world *world = *state;
	struct tl_life life;

	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 8, T0 + TL_DAY_MS));
	world_push_one(world, request(3, 9, T0 + TL_DAY_MS));
	world_fold(world);
	expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS);
	world_audit_clean(world);
	assert_true(world_life(world, TL_DIM_MEMBER, 3, &life));
	assert_int_equal(life.totals.requests, 3);
	expire_at(world, DAY0 + 500 * TL_DAY_MS);
	world_audit_clean(world);
}

static void
a_late_link_to_an_expired_page_moves_what_is_left(void **state)
{
	struct world *world = *state;
	uint32_t repo = world_name(world, 1, TL_NAME_REPO, "github.com/o/a");

	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 8, T0 + TL_DAY_MS));
	world_fold(world);
	expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS);
	world_push_one(world, (struct event){.id = 3,
				      .session = 8,
				      .ts = T0 + TL_DAY_MS,
				      .kind = TL_KIND_LINK,
				      .op = TL_LINK_SET_REPO,
				      .repo = repo});
	world_fold(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0 + TL_DAY_MS, repo).totals.requests, 1);
	world_audit_clean(world);
}

static void
a_session_goes_400_days_after_its_last_activity(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;
	struct tl_session_row row;

	tl_arena_init(&arena, ARENA_BYTES);
	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 9, T0));
	world_push_one(world, (struct event){.id = 3,
				      .session = 9,
				      .ts = T0 + TL_DAY_MS,
				      .kind = TL_KIND_LINK,
				      .op = TL_LINK_SET_NAME,
				      .value = 1});
	world_fold(world);
	assert_int_equal(expire_at(world, T0 + 400 * TL_DAY_MS).sessions, 0);
	assert_int_equal(expire_at(world, T0 + 400 * TL_DAY_MS + 1).sessions, 1);
	assert_false(world_session(world, 8, &arena, &row));
	assert_true(world_session(world, 9, &arena, &row));
	world_audit_clean(world);
	tl_arena_fini(&arena);
}

static void
the_cut_never_falls(void **state)
{
	struct world *world = *state;
	struct tl_expiry cut;
	struct tl_expiry later;

	must(tl_expiry_get(world->store, NULL, &cut, &world->why));
	assert_int_equal(cut.day_ms, INT64_MIN);
	world_push_one(world, request(1, 8, T0 + 20 * TL_DAY_MS));
	expire_at(world, DAY0 + (10 + RETENTION_DAYS) * TL_DAY_MS);
	must(tl_expiry_get(world->store, NULL, &cut, &world->why));
	assert_int_equal(cut.day_ms, DAY0 + 10 * TL_DAY_MS);
	expire_at(world, DAY0 + (5 + RETENTION_DAYS) * TL_DAY_MS);
	must(tl_expiry_get(world->store, NULL, &later, &world->why));
	assert_int_equal(later.day_ms, cut.day_ms);
}

static void
a_run_takes_one_day_with_events_however_late_it_is(void **state)
{
	struct world *world = *state;
	int64_t far_ms = DAY0 + 3650 * TL_DAY_MS;
	struct tl_expiry cut;

	expire_at(world, far_ms);
	must(tl_expiry_get(world->store, NULL, &cut, &world->why));
	assert_int_equal(cut.day_ms, INT64_MIN);
	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 9, T0 + TL_DAY_MS));
	world_push_one(world, request(3, 10, T0 + 20 * TL_DAY_MS));
	world_fold(world);
	assert_int_equal(expire_at(world, far_ms).days, 1);
	assert_null(tl_day_pin(world->store, DAY0));
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0 + TL_DAY_MS, 0).totals.requests, 1);
	assert_int_equal(expire_at(world, far_ms).days, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0 + TL_DAY_MS, 0).row_count, 0);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0 + 20 * TL_DAY_MS, 0).totals.requests, 1);
	assert_int_equal(expire_at(world, far_ms).days, 1);
	assert_int_equal(expire_at(world, far_ms).days, 0);
	must(tl_expiry_get(world->store, NULL, &cut, &world->why));
	assert_int_equal(cut.day_ms, DAY0 + 21 * TL_DAY_MS);
	world_audit_clean(world);
}

static void
a_rebuild_after_expiry_is_refused(void **state)
{
	struct world *world = *state;

	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 8, T0 + TL_DAY_MS));
	world_fold(world);
	expire_at(world, DAY0 + (RETENTION_DAYS + 1) * TL_DAY_MS);
	assert_int_equal(rollup_rebuild(world->rollup, &world->why), TL_ECONFLICT);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_day_goes_when_its_time_is_up_and_not_before),
		TEST(the_oldest_groups_go_when_their_days_are_gone),
		TEST(groups_that_were_not_folded_stay),
		TEST(counters_go_with_the_day_of_arrival),
		TEST(the_audit_holds_after_expiry),
		TEST(a_late_link_to_an_expired_page_moves_what_is_left),
		TEST(a_session_goes_400_days_after_its_last_activity),
		TEST(the_cut_never_falls),
		TEST(a_run_takes_one_day_with_events_however_late_it_is),
		TEST(a_rebuild_after_expiry_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
