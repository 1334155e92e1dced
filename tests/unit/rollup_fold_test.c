#include "tests/unit/rollup_world.h"

#define T0 (DAY0 + 10 * TL_HOUR_MS) /* a whole hour */
#define ARENA_BYTES ((size_t)64 << 20)

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

static uint32_t
repo(struct world *world, const char *name)
{
	return world_name(world, 1, TL_NAME_REPO, name);
}

/* A request of member 3, agent 4, model 5: 100 tokens and 7 nusd. */
/* Between the numbers of sessions: the first two in one part of a cell, the others in the next. */
#define SESSION_STEP 3000u

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

static struct event
link_to(uint64_t id, uint32_t session, int64_t ts, enum tl_link_op op, uint32_t to)
{
	struct event event = {
		.id = id, .session = session, .ts = ts, .kind = TL_KIND_LINK, .op = op};

	if (op == TL_LINK_SET_REPO)
		event.repo = to;
	else if (op == TL_LINK_ADD_PR)
		event.pr = to;
	else
		event.value = to;
	return event;
}

static uint32_t
world_pull_count(struct world *world, uint32_t session)
{
	struct tl_session_row row;
	struct tl_arena arena;

	tl_arena_init(&arena, 16u << 20);
	assert_true(world_session(world, session, &arena, &row));
	tl_arena_fini(&arena);
	return row.pr_count;
}

static struct tl_pr
world_pull(struct world *world, uint32_t session, uint32_t idx)
{
	struct tl_session_row row;
	struct tl_arena arena;
	struct tl_pr pull;

	tl_arena_init(&arena, 16u << 20);
	assert_true(world_session(world, session, &arena, &row));
	assert_true(idx < row.pr_count);
	pull = row.prs[idx];
	tl_arena_fini(&arena);
	return pull;
}

static void
fold_and_audit(struct world *world)
{
	world_fold(world);
	world_audit_clean(world);
}

static void
an_event_counts_in_its_quarter_hour_and_day(void **state)
{
	struct world *world = *state;
	struct sum sum;
	struct tl_life life;

	world_push_one(world, request(1, 8, T0 + 20 * TL_MINUTE_MS));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0, 0).row_count, 0);
	sum = world_repo(world, TL_SPAN_15M, T0 + TL_QUARTER_MS, 0);
	assert_int_equal(sum.totals.requests, 1);
	assert_int_equal(sum.totals.cost_nusd, 7);
	assert_int_equal(sum.first_ms, T0 + 20 * TL_MINUTE_MS);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0, 0).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 1);
	assert_true(world_life(world, TL_DIM_MEMBER, 3, &life));
	assert_int_equal(life.totals.input_tokens, 100);
	assert_int_equal(life.last_ms, T0 + 20 * TL_MINUTE_MS);
	assert_true(world_life(world, TL_DIM_AGENT, 4, &life));
	assert_false(world_life(world, TL_DIM_AGENT, 3, &life));
}

static void
a_stamp_ahead_of_arrival_counts_at_arrival(void **state)
{
	struct world *world = *state;

	world->received_ms = T0;
	world_push_one(world, request(1, 8, T0 + 4 * TL_MINUTE_MS));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0, 0).last_ms, T0);
}

static void
a_late_link_moves_what_was_there(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");

	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 8, T0 + TL_HOUR_MS));
	world_push_one(world, request(3, 9, T0));
	fold_and_audit(world);
	world_push_one(world, link_to(4, 8, T0 + 2 * TL_HOUR_MS, TL_LINK_SET_REPO, a));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0, a).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0, 0).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0 + TL_HOUR_MS, a).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, a).totals.requests, 2);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, a).first_ms, T0);
}

static void
an_early_link_gives_what_a_late_one_does(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");

	world_push_one(world, link_to(4, 8, T0 + 2 * TL_HOUR_MS, TL_LINK_SET_REPO, a));
	fold_and_audit(world);
	world_push_one(world, request(1, 8, T0));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0, a).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, UINT32_MAX).row_count, 1);
}

static void
the_link_with_the_later_stamp_wins_whatever_came_first(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");
	uint32_t b = repo(world, "github.com/o/b");

	world_push_one(world, request(1, 8, T0));
	world_push_one(world, link_to(2, 8, T0 + 20, TL_LINK_SET_REPO, b));
	fold_and_audit(world);
	world_push_one(world, link_to(3, 8, T0 + 10, TL_LINK_SET_REPO, a));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, b).totals.requests, 1);
	world_push_one(world, link_to(4, 8, T0 + 30, TL_LINK_SET_REPO, a));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, a).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, b).row_count, 0);
}

static void
an_event_with_its_own_repo_stays_there(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");
	uint32_t b = repo(world, "github.com/o/b");
	struct event own = request(1, 8, T0);

	own.repo = a;
	world_push_one(world, own);
	world_push_one(world, request(2, 8, T0));
	fold_and_audit(world);
	world_push_one(world, link_to(3, 8, T0, TL_LINK_SET_REPO, b));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0, a).totals.requests, 1);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0, b).totals.requests, 1);
	world_push_one(world, link_to(4, 8, T0 + 1, TL_LINK_SET_REPO, a));
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1H, T0, a).row_count, 2);
}

static void
a_pr_by_number_waits_for_the_repo_and_follows_it(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");
	uint32_t b = repo(world, "github.com/o/b");

	world_push_one(world, link_to(1, 8, T0, TL_LINK_ADD_PR, 7));
	world_push_one(world, request(2, 8, T0));
	fold_and_audit(world);
	assert_int_equal(world_split(world, TL_SPAN_15M, T0, 0, 7).requests, 0);
	world_push_one(world, link_to(3, 8, T0, TL_LINK_SET_REPO, a));
	fold_and_audit(world);
	assert_int_equal(world_split(world, TL_SPAN_15M, T0, a, 7).requests, 1);
	assert_int_equal(world_split(world, TL_SPAN_1D, DAY0, a, 7).requests, 1);
	world_push_one(world, link_to(4, 8, T0 + 1, TL_LINK_SET_REPO, b));
	fold_and_audit(world);
	assert_int_equal(world_split(world, TL_SPAN_1D, DAY0, a, 7).requests, 0);
	assert_int_equal(world_split(world, TL_SPAN_1D, DAY0, b, 7).requests, 1);
}

static void
usage_is_divided_among_prs_in_the_order_of_names(void **state)
{
	struct world *world = *state;
	uint32_t z = repo(world, "github.com/o/z");
	uint32_t a = repo(world, "github.com/o/a"); /* the higher id, the lower name */
	struct event other = link_to(2, 8, T0, TL_LINK_ADD_PR, 1);
	int64_t number = tl_bucket_no(TL_SPAN_15M, T0);

	world_push_one(world, link_to(1, 8, T0, TL_LINK_SET_REPO, z));
	other.repo = a;
	world_push_one(world, other);
	world_push_one(world, link_to(3, 8, T0, TL_LINK_ADD_PR, 1));
	world_push_one(world, request(4, 8, T0)); /* 7 nusd: 3 and 4 */
	fold_and_audit(world);
	assert_int_equal(
		world_split(world, TL_SPAN_1H, T0, a, 1).cost_nusd, number % 2 == 0 ? 4 : 3);
	assert_int_equal(
		world_split(world, TL_SPAN_1H, T0, z, 1).cost_nusd, number % 2 == 0 ? 3 : 4);
}

/* Which pull requests a session has follows from the set that was named, not from its order. */
static void
a_session_has_as_many_pull_requests_as_it_may(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");
	struct event first;

	world_push_one(world, link_to(1, 8, T0, TL_LINK_SET_REPO, a));
	world_push_one(world, request(2, 8, T0));
	for (uint32_t i = 0; i < TL_SESSION_PULLS_MAX; i++)
		world_push_one(world, link_to(100 + i, 8, T0, TL_LINK_ADD_PR, 2 + i));
	fold_and_audit(world);
	assert_int_equal(world_pull_count(world, 8), TL_SESSION_PULLS_MAX);
	first = link_to(3, 8, T0, TL_LINK_ADD_PR, 1);
	world_push_one(world, first);
	fold_and_audit(world); /* the last one makes room, */
	assert_int_equal(world_pull_count(world, 8), TL_SESSION_PULLS_MAX);
	assert_int_equal(world_pull(world, 8, 0).number, 1);
	assert_int_equal(
		world_pull(world, 8, TL_SESSION_PULLS_MAX - 1).number, TL_SESSION_PULLS_MAX);
	first.rev = 1;
	first.pr = TL_SESSION_PULLS_MAX + 2;
	world_push_one(world, first);
	fold_and_audit(world); /* and comes back when the first is taken back */
	assert_int_equal(world_pull(world, 8, 0).number, 2);
	assert_int_equal(
		world_pull(world, 8, TL_SESSION_PULLS_MAX - 1).number, TL_SESSION_PULLS_MAX + 1);
}

static void
an_event_with_repo_and_pr_is_a_link_as_long_as_it_is_there(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");
	struct event own = request(1, 8, T0);

	own.repo = a;
	own.pr = 5;
	world_push_one(world, own);
	world_push_one(world, request(2, 8, T0 + TL_DAY_MS));
	fold_and_audit(world);
	assert_int_equal(world_split(world, TL_SPAN_1D, DAY0, a, 5).requests, 1);
	assert_int_equal(world_split(world, TL_SPAN_1D, DAY0 + TL_DAY_MS, a, 5).requests, 1);
	own.pr = 0;
	own.rev = 1;
	world_push_one(world, own);
	fold_and_audit(world);
	assert_int_equal(world_split(world, TL_SPAN_1D, DAY0, a, 5).requests, 0);
	assert_int_equal(world_split(world, TL_SPAN_1D, DAY0 + TL_DAY_MS, a, 5).requests, 0);
}

static void
a_pr_without_a_repo_on_an_event_says_nothing(void **state)
{
	struct world *world = *state;
	struct event event = request(1, 8, T0);
	struct tl_arena arena;
	struct tl_session_row row;

	event.pr = 5;
	world_push_one(world, event);
	fold_and_audit(world);
	tl_arena_init(&arena, ARENA_BYTES);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.pr_count, 0);
	assert_int_equal(row.event_pr_count, 0);
	tl_arena_fini(&arena);
}

static void
a_correction_moves_an_event_to_another_day(void **state)
{
	struct world *world = *state;
	struct event event = request(1, 8, T0);
	struct tl_arena arena;
	struct tl_session_row row;
	struct tl_life life;

	world_push_one(world, event);
	fold_and_audit(world);
	event.rev = 1;
	event.ts = T0 + TL_DAY_MS;
	event.cost = 9;
	world_push_one(world, event);
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).row_count, 0);
	assert_int_equal(world_repo(world, TL_SPAN_15M, T0 + TL_DAY_MS, 0).totals.cost_nusd, 9);
	tl_arena_init(&arena, ARENA_BYTES);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.bucket_count, 1);
	assert_int_equal(row.first_ms, T0 + TL_DAY_MS);
	assert_int_equal(row.totals.requests, 1);
	assert_true(world_life(world, TL_DIM_MEMBER, 3, &life));
	assert_int_equal(life.first_ms, T0 + TL_DAY_MS);
	tl_arena_fini(&arena);
}

/* Who made the last request of a session is known to the row, its id only to the raw rows. */
static void
a_tie_for_the_last_goes_to_the_greater_id_whatever_the_step(void **state)
{
	static const struct {
		uint64_t id;
		uint32_t member, last_member;
	} steps[] = {{5, 3, 3}, {4, 6, 3}, {6, 7, 7}, {1, 8, 7}, {7, 7, 7}, {8, 2, 2}};
	struct world *world = *state;
	struct tl_arena arena;
	struct tl_session_row row;

	tl_arena_init(&arena, ARENA_BYTES);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct event event = request(steps[i].id, 8, T0);

		event.member = steps[i].member;
		world_push_one(world, event);
		fold_and_audit(world);
		assert_true(world_session(world, 8, &arena, &row));
		assert_int_equal(row.member, steps[i].last_member);
		assert_int_equal(row.last_ms, T0);
	}
	tl_arena_fini(&arena);
}

static void
a_correction_of_the_first_and_last_finds_the_next_ones(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;
	struct tl_session_row row;
	struct tl_life life;
	struct event last = request(3, 8, T0 + 50);

	last.member = 6;
	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 8, T0 + 20));
	world_push_one(world, last);
	world_push_one(world, request(4, 9, T0 + 30));
	fold_and_audit(world);
	tl_arena_init(&arena, ARENA_BYTES);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.member, 6);
	last.session = 9;
	last.rev = 1;
	world_push_one(world, last);
	fold_and_audit(world);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.last_ms, T0 + 20);
	assert_int_equal(row.member, 3);
	last = request(1, 9, T0);
	last.rev = 1;
	last.ts = T0 + 40;
	last.member = 7;
	world_push_one(world, last);
	fold_and_audit(world);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.first_ms, T0 + 20);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).first_ms, T0 + 20);
	assert_true(world_life(world, TL_DIM_MEMBER, 3, &life));
	assert_int_equal(life.first_ms, T0 + 20);
	assert_int_equal(life.last_ms, T0 + 30);
	tl_arena_fini(&arena);
}

static void
a_session_that_loses_all_it_had_goes(void **state)
{
	struct world *world = *state;
	struct event event = request(1, 8, T0);
	struct event named = link_to(2, 8, T0, TL_LINK_SET_NAME, 3);
	struct tl_arena arena;
	struct tl_session_row row;

	tl_arena_init(&arena, ARENA_BYTES);
	world_push_one(world, event);
	world_push_one(world, named);
	fold_and_audit(world);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.name, 3);
	event.session = named.session = 9;
	event.rev = named.rev = 1;
	world_push_one(world, event);
	world_push_one(world, named);
	fold_and_audit(world);
	assert_false(world_session(world, 8, &arena, &row));
	assert_true(world_session(world, 9, &arena, &row));
	assert_int_equal(row.name, 3);
	tl_arena_fini(&arena);
}

static void
a_link_stamped_ahead_is_taken_back_by_its_id(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");
	uint32_t b = repo(world, "github.com/o/b");
	struct event linked = link_to(1, 8, T0 + 12, TL_LINK_SET_REPO, a);
	struct tl_arena arena;
	struct tl_session_row row;

	world->received_ms = T0 + 10;
	world_push_one(world, linked);
	world->received_ms = T0 + 100;
	linked.rev = 1;
	linked.repo = b;
	linked.ts = T0 + 10;
	world_push_one(world, linked);
	world_push_one(world, request(2, 8, T0));
	fold_and_audit(world);
	tl_arena_init(&arena, ARENA_BYTES);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.link_count, 1);
	assert_int_equal(row.links[0].ts_ms, T0 + 10);
	assert_int_equal(row.repo, b);
	tl_arena_fini(&arena);
}

static void
activity_and_violations_count_without_making_a_session_active(void **state)
{
	struct world *world = *state;
	struct event activity = {.id = 1,
		.session = 8,
		.ts = T0,
		.kind = TL_KIND_ACTIVITY,
		.member = 3,
		.lines_added = 40};
	struct event violation = {.id = 2,
		.session = 8,
		.ts = T0,
		.kind = TL_KIND_VIOLATION,
		.member = 3,
		.fix_ms = 500};
	struct event nothing = {.id = 3, .session = 10, .ts = T0, .kind = TL_KIND_ACTIVITY};
	struct tl_arena arena;
	struct tl_session_row row;
	struct sum sum;

	world_push_one(world, activity);
	world_push_one(world, violation);
	world_push_one(world, nothing);
	fold_and_audit(world);
	sum = world_repo(world, TL_SPAN_1D, DAY0, 0);
	assert_int_equal(sum.totals.lines_added, 40);
	assert_int_equal(sum.totals.violations, 1);
	assert_int_equal(sum.totals.fix_ms, 500);
	assert_int_equal(sum.totals.requests, 0);
	assert_int_equal(sum.last_ms, INT64_MIN);
	tl_arena_init(&arena, ARENA_BYTES);
	assert_true(world_session(world, 8, &arena, &row));
	assert_int_equal(row.last_ms, INT64_MIN);
	assert_int_equal(row.bucket_count, 1);
	assert_false(world_session(world, 10, &arena, &row));
	tl_arena_fini(&arena);
}

static void
events_without_a_session_count_on_their_own(void **state)
{
	struct world *world = *state;
	uint32_t a = repo(world, "github.com/o/a");
	struct event own = request(2, 0, T0);
	struct event unattributed = request(3, 0, T0);

	own.repo = a;
	unattributed.member = unattributed.agent = 0;
	world_push_one(world, request(1, 0, T0));
	world_push_one(world, own);
	world_push_one(world, unattributed);
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, UINT32_MAX).row_count, 3);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, a).totals.requests, 1);
	own.rev = 1;
	own.repo = 0;
	world_push_one(world, own);
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, a).row_count, 0);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 3);
}

static void
orgs_do_not_meet(void **state)
{
	struct world *world = *state;
	struct event other = request(1, 8, T0);

	other.org = 2;
	world_push_one(world, request(1, 8, T0));
	world_push_one(world, other);
	fold_and_audit(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, UINT32_MAX).totals.requests, 1);
}

/* Events of a few sessions, members and repos over two days; some are corrections. */
static size_t
make_events(uint64_t seed, const uint32_t repos[3], struct event *events)
{
	size_t count = 40 + world_random(&seed) % 40;

	for (size_t i = 0; i < count; i++) {
		struct event *event = &events[i];
		uint64_t dice = world_random(&seed);

		*event = (struct event){.id = 1 + i,
			.ts = T0 + (int64_t)(world_random(&seed) % 8) * 10 * TL_MINUTE_MS +
			      (int64_t)(world_random(&seed) % 2) * TL_DAY_MS,
			.session = SESSION_STEP * (uint32_t)(world_random(&seed) % 4),
			.member = (uint32_t)(world_random(&seed) % 3),
			.agent = (uint32_t)(world_random(&seed) % 3),
			.model = 1 + (uint32_t)(world_random(&seed) % 2)};
		if (dice % 8 < 4) {
			event->input = 100 + (int64_t)(world_random(&seed) % 50);
			event->cost = (int64_t)(world_random(&seed) % 1000);
			event->repo = world_random(&seed) % 3 ? 0 : repos[dice % 3];
			event->pr = (uint32_t)(world_random(&seed) % 3);
		} else if (dice % 8 == 4) {
			event->kind = TL_KIND_ACTIVITY;
			event->lines_added = (int64_t)(world_random(&seed) % 4);
		} else {
			event->kind = TL_KIND_LINK;
			event->session = SESSION_STEP * (1 + event->session / SESSION_STEP % 3);
			event->op = (enum tl_link_op)(1 + world_random(&seed) % 4);
			if (event->op == TL_LINK_SET_REPO)
				event->repo = repos[world_random(&seed) % 3];
			if (event->op == TL_LINK_ADD_PR) {
				event->pr = 1 + (uint32_t)(world_random(&seed) % 4);
				event->repo = world_random(&seed) % 2 ? 0 : repos[dice % 3];
			}
			if (event->op == TL_LINK_ADD_COMMIT || event->op == TL_LINK_SET_NAME)
				event->value = 1 + (uint32_t)(world_random(&seed) % 4);
		}
		if (i > 0 && world_random(&seed) % 4 == 0) {
			event->id = 1 + world_random(&seed) % i;
			event->rev = (int)i;
		}
	}
	return count;
}

/* Push in an order that the seed picks, folding and starting anew now and then. */
static void
push_shuffled(struct world *world, const struct event *events, size_t count, uint64_t seed)
{
	size_t *order = calloc(count, sizeof(*order));

	for (size_t i = 0; i < count; i++)
		order[i] = i;
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = world_random(&seed) % (i + 1);
		size_t kept = order[i];

		order[i] = order[j];
		order[j] = kept;
	}
	for (size_t i = 0; i < count; i++) {
		world_push_one(world, events[order[i]]);
		if (world_random(&seed) % 3 == 0)
			world_fold(world);
		if (world_random(&seed) % 10 == 0) {
			rollup_free(world->rollup); /* what it remembers must not matter */
			must(rollup_new(world->store, &world->rollup, &world->why));
		}
	}
	world_fold(world);
	free(order);
}

static void
make_repos(struct world *world, uint32_t repos[3])
{
	repos[0] = repo(world, "github.com/o/m");
	repos[1] = repo(world, "github.com/o/z");
	repos[2] = repo(world, "github.com/o/a");
}

static void
any_order_of_arrival_gives_the_same_bytes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct event events[128];
		struct tl_buf dumps[3];

		for (int i = 0; i < 3; i++) {
			struct world *world = world_new();
			uint32_t repos[3];
			size_t count;

			make_repos(world, repos);
			count = make_events(seed * 977, repos, events);
			push_shuffled(world, events, count, seed * 31 + (uint64_t)i);
			world_audit_clean(world);
			world_dump(world, DUMP_WITHOUT_GROUPS, &dumps[i]);
			world_free(world);
		}
		if (!tl_slice_eq(tl_buf_slice(&dumps[0]), tl_buf_slice(&dumps[1])) ||
			!tl_slice_eq(tl_buf_slice(&dumps[0]), tl_buf_slice(&dumps[2])))
			fail_msg("seed %" PRIu64 ": another order, other bytes", seed);
		for (int i = 0; i < 3; i++)
			tl_buf_fini(&dumps[i]);
	}
}

static void
world_erase_derived(struct world *world)
{
	for (int family = 0; family < TL_FAMILY_COUNT; family++) {
		if (family == TL_FAMILY_CELL_1H || family == TL_FAMILY_CELL_1D ||
			family == TL_FAMILY_SESSION || family == TL_FAMILY_LIFE ||
			family == TL_FAMILY_MARK)
			must(tl_store_erase(world->store, (enum tl_family)family, &world->why));
	}
}

static void
folding_again_gives_the_same_bytes(void **state)
{
	struct world *world = *state;
	struct event events[128];
	uint32_t repos[3];
	struct tl_buf before;
	struct tl_buf rebuilt;
	struct tl_buf slowly;
	size_t count;

	make_repos(world, repos);
	for (uint64_t seed = 1; seed <= 5; seed++) {
		count = make_events(seed, repos, events);
		for (size_t i = 0; i < count; i++)
			events[i].id += seed * 1000;
		push_shuffled(world, events, count, seed);
	}
	world_dump(world, DUMP_EXACT, &before);
	must(rollup_rebuild(world->rollup, &world->why));
	world_dump(world, DUMP_EXACT, &rebuilt);
	assert_true(tl_slice_eq(tl_buf_slice(&before), tl_buf_slice(&rebuilt)));
	world_audit_clean(world);

	/* One group a step, in a process that starts anew. */
	rollup_free(world->rollup);
	world_erase_derived(world);
	must(rollup_new(world->store, &world->rollup, &world->why));
	world_fold_slowly(world);
	world_dump(world, DUMP_EXACT, &slowly);
	assert_true(tl_slice_eq(tl_buf_slice(&before), tl_buf_slice(&slowly)));
	world_audit_clean(world);
	tl_buf_fini(&before);
	tl_buf_fini(&rebuilt);
	tl_buf_fini(&slowly);
}

/* Groups of many events, and stamps ahead of arrival: the order matters then, the audit holds. */
static void
less_memory_makes_smaller_steps_and_the_same_bytes(void **state)
{
	struct world *world = *state;
	struct event events[1000];
	struct tl_buf whole;
	struct tl_buf parts;
	bool folded = false;
	uint32_t steps = 0;

	for (uint32_t group = 0; group < 3; group++) {
		for (uint32_t i = 0; i < 1000; i++)
			events[i] = request(1 + group * 1000 + i, 1 + i % 7, T0 + i * TL_MINUTE_MS);
		world_push(world, events, 1000);
	}
	must(rollup_step(world->rollup, world->group_no, &folded, &world->why));
	must(rollup_step(world->rollup, world->group_no, &folded, &world->why));
	assert_false(folded); /* one step took all */
	world_dump(world, DUMP_EXACT, &whole);
	rollup_free(world->rollup);
	world_erase_derived(world);
	must(rollup_new(world->store, &world->rollup, &world->why));
	rollup_bound(world->rollup, 4u << 20); /* for 2,048 rows, and a cache of a megabyte */
	for (folded = true; folded; steps += folded)
		must(rollup_step(world->rollup, world->group_no, &folded, &world->why));
	assert_int_equal(steps, 2);
	world_dump(world, DUMP_EXACT, &parts);
	assert_true(tl_slice_eq(tl_buf_slice(&whole), tl_buf_slice(&parts)));
	world_audit_clean(world);
	tl_buf_fini(&whole);
	tl_buf_fini(&parts);
}

static void
large_groups_and_wild_stamps_add_up(void **state)
{
	struct world *world = *state;
	struct event events[128];
	uint32_t repos[3];
	uint64_t random = 4711;

	make_repos(world, repos);
	world->received_ms = T0 + TL_HOUR_MS;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		size_t count = make_events(seed * 13, repos, events);
		size_t from = 0;

		for (size_t i = 0; i < count; i++) {
			events[i].id += seed * 30;
			events[i].rev += (int)seed * 100;
			events[i].org = 1 + (uint32_t)(events[i].id % 2);
			if (events[i].org == 2 && events[i].repo != 0)
				events[i].repo = events[i].pr = 0;
			if (events[i].op == TL_LINK_SET_REPO && events[i].org == 2)
				events[i].op = TL_LINK_ADD_PR;
		}
		while (from < count) {
			size_t some = 1 + world_random(&random) % 20;

			some = some > count - from ? count - from : some;
			/* One row of an id in a group, as ingest has it. */
			for (size_t i = from; i < from + some; i++) {
				for (size_t j = from; j < i; j++) {
					if (events[i].id == events[j].id)
						some = i - from;
				}
			}
			world_push(world, events + from, some);
			from += some;
			world->received_ms += (int64_t)(world_random(&random) % 20) * TL_MINUTE_MS;
			if (world_random(&random) % 4 == 0)
				world_fold(world);
		}
		world_fold(world);
		world_audit_clean(world);
	}
}

static void
a_view_is_published_with_what_changed(void **state)
{
	struct world *world = *state;
	struct tl_view *view = tl_view_pin(world->store);
	uint64_t generation = tl_view_generation(view);

	tl_view_unpin(view);
	world_push_one(world, request(1, 8, T0 + TL_MINUTE_MS));
	world_push_one(world, link_to(2, 9, T0 + TL_HOUR_MS, TL_LINK_SET_NAME, 3));
	world_fold(world);
	view = tl_view_pin(world->store);
	assert_int_equal(tl_view_group_no(view), 2);
	assert_int_equal(tl_view_seq(view), 2);
	assert_int_equal(tl_view_changed_from(view, 1, generation), T0 + TL_MINUTE_MS);
	assert_int_equal(tl_view_changed_from(view, 2, generation), INT64_MAX);
	generation = tl_view_generation(view);
	tl_view_unpin(view);

	world_push_one(world, request(3, 8, T0 + 5 * TL_HOUR_MS));
	world_fold(world);
	view = tl_view_pin(world->store);
	/* A session that began earlier does not reach back by going on, */
	assert_int_equal(tl_view_changed_from(view, 1, generation), T0 + 5 * TL_HOUR_MS);
	generation = tl_view_generation(view);
	tl_view_unpin(view);

	world_push_one(world, link_to(4, 8, T0 + 6 * TL_HOUR_MS, TL_LINK_SET_REPO, 5));
	world_fold(world);
	view = tl_view_pin(world->store);
	/* only by getting a repo, which moves all its cells. */
	assert_int_equal(tl_view_changed_from(view, 1, generation), T0);
	tl_view_unpin(view);
	assert_int_equal(rollup_stats_of(world->rollup)->group_no, 4);
	assert_int_equal(tl_counter_get(&rollup_stats_of(world->rollup)->folded_rows), 4);
}

static void
fold_failed(void *arg, enum tl_err err, const char *text)
{
	(void)arg;
	fail_msg("%s: %s", tl_err_name(err), text);
}

static void
the_thread_follows_and_rebuilds(void **state)
{
	struct world *world = *state;
	struct tl_buf before;
	struct tl_buf after;

	must(rollup_start(world->rollup, fold_failed, NULL, &world->why));
	for (uint64_t i = 1; i <= 200; i++) {
		world_push_one(world, request(i, (uint32_t)(i % 7), T0 + (int64_t)i * 1000));
		rollup_wake(world->rollup, world->group_no);
	}
	while (atomic_load(&rollup_stats_of(world->rollup)->group_no) < world->group_no)
		usleep(200);
	world_dump(world, DUMP_EXACT, &before);
	must(rollup_rebuild(world->rollup, &world->why));
	world_dump(world, DUMP_EXACT, &after);
	assert_true(tl_slice_eq(tl_buf_slice(&before), tl_buf_slice(&after)));
	rollup_stop(world->rollup);
	world_audit_clean(world);
	tl_buf_fini(&before);
	tl_buf_fini(&after);
}

static void
the_mark_survives_a_restart(void **state)
{
	struct world *world = *state;

	world_push_one(world, request(1, 8, T0));
	world_fold(world);
	world_push_one(world, request(2, 8, T0));
	world_close_store(world);
	world_open_store(world);
	assert_int_equal(rollup_stats_of(world->rollup)->group_no, 1);
	world_fold(world);
	world_audit_clean(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 2);
}

static void
a_rebuild_that_would_lose_expired_days_is_refused(void **state)
{
	struct world *world = *state;

	world_push_one(world, request(1, 8, T0));
	world_push_one(world, request(2, 8, T0 + 5 * TL_DAY_MS));
	world_fold(world);
	must(tl_day_drop(world->store, DAY0, &world->why));
	assert_int_equal(rollup_rebuild(world->rollup, &world->why), TL_ECONFLICT);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 1);
}

static void
a_rebuild_cut_off_while_erasing_begins_again(void **state)
{
	struct world *world = *state;
	struct tl_key erasing = tl_key_mark("rollup.erasing");
	struct tl_key position = tl_key_mark("rollup");
	struct tl_mark zero = {0};
	struct tl_buf buf;

	world_push_one(world, request(1, 8, T0));
	world_fold(world);
	tl_buf_init(&buf, 0);
	tl_mark_encode(&zero, &buf);
	tl_write_put(world->write, TL_FAMILY_MARK, tl_key_slice(&position), tl_buf_slice(&buf));
	tl_write_put(world->write, TL_FAMILY_MARK, tl_key_slice(&erasing), tl_slice_of("\1", 1));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	tl_buf_fini(&buf);
	rollup_free(world->rollup);
	must(rollup_new(world->store, &world->rollup, &world->why));
	world_fold(world);
	assert_int_equal(world_repo(world, TL_SPAN_1D, DAY0, 0).totals.requests, 1);
	world_audit_clean(world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_event_counts_in_its_quarter_hour_and_day),
		TEST(a_stamp_ahead_of_arrival_counts_at_arrival),
		TEST(a_late_link_moves_what_was_there),
		TEST(an_early_link_gives_what_a_late_one_does),
		TEST(the_link_with_the_later_stamp_wins_whatever_came_first),
		TEST(an_event_with_its_own_repo_stays_there),
		TEST(a_pr_by_number_waits_for_the_repo_and_follows_it),
		TEST(usage_is_divided_among_prs_in_the_order_of_names),
		TEST(a_session_has_as_many_pull_requests_as_it_may),
		TEST(an_event_with_repo_and_pr_is_a_link_as_long_as_it_is_there),
		TEST(a_pr_without_a_repo_on_an_event_says_nothing),
		TEST(a_correction_moves_an_event_to_another_day),
		TEST(a_tie_for_the_last_goes_to_the_greater_id_whatever_the_step),
		TEST(a_correction_of_the_first_and_last_finds_the_next_ones),
		TEST(a_session_that_loses_all_it_had_goes),
		TEST(a_link_stamped_ahead_is_taken_back_by_its_id),
		TEST(activity_and_violations_count_without_making_a_session_active),
		TEST(events_without_a_session_count_on_their_own),
		TEST(orgs_do_not_meet),
		cmocka_unit_test(any_order_of_arrival_gives_the_same_bytes),
		TEST(folding_again_gives_the_same_bytes),
		TEST(less_memory_makes_smaller_steps_and_the_same_bytes),
		TEST(large_groups_and_wild_stamps_add_up),
		TEST(a_view_is_published_with_what_changed),
		TEST(the_thread_follows_and_rebuilds),
		TEST(the_mark_survives_a_restart),
		TEST(a_rebuild_that_would_lose_expired_days_is_refused),
		TEST(a_rebuild_cut_off_while_erasing_begins_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
