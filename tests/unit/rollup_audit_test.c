#include "tests/unit/rollup_world.h"

#define T0 (DAY0 + 10 * TL_HOUR_MS)
#define ARENA_BYTES ((size_t)64 << 20)

/* Two days, two sessions; session 8 has a repo and two PRs, member 3 was corrected once. */
static int
set_up(void **state)
{
	struct world *world = world_new();
	uint32_t repo = world_name(world, 1, TL_NAME_REPO, "github.com/o/a");
	struct event events[] = {
		{.id = 1, .session = 8, .ts = T0, .member = 3, .agent = 4, .model = 5, .cost = 7},
		{.id = 2,
			.session = 8,
			.ts = T0 + 1,
			.member = 3,
			.agent = 4,
			.model = 6,
			.cost = 9},
		{.id = 3,
			.session = 9,
			.ts = T0 + TL_DAY_MS,
			.member = 2,
			.agent = 1,
			.model = 5,
			.cost = 11},
		{.id = 4,
			.session = 8,
			.ts = T0,
			.kind = TL_KIND_LINK,
			.op = TL_LINK_SET_REPO,
			.repo = repo},
		{.id = 5,
			.session = 8,
			.ts = T0,
			.kind = TL_KIND_LINK,
			.op = TL_LINK_ADD_PR,
			.pr = 1},
		{.id = 6,
			.session = 8,
			.ts = T0,
			.kind = TL_KIND_LINK,
			.op = TL_LINK_ADD_PR,
			.pr = 2},
		{.id = 7, .ts = T0 + TL_HOUR_MS, .member = 3, .model = 5, .cost = 13},
	};
	struct event corrected = events[1];

	world_push(world, events, sizeof(events) / sizeof(events[0]));
	corrected.rev = 1;
	corrected.ts += 20 * TL_MINUTE_MS;
	world_push_one(world, corrected);
	world_fold(world);
	world_audit_clean(world);
	*state = world;
	return 0;
}

static int
tear_down(void **state)
{
	world_free(*state);
	return 0;
}

static void
put(struct world *world, enum tl_family family, struct tl_key key, const struct tl_buf *value)
{
	if (value == NULL)
		tl_write_delete(world->write, family, tl_key_slice(&key));
	else
		tl_write_put(world->write, family, tl_key_slice(&key), tl_buf_slice(value));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	must(tl_view_publish(world->store, world->group_no, world->seq, NULL, 0, &world->why));
}

/* One damage, one thing to find; the words name it. */
static void
finds(struct world *world, uint64_t differences, const char *words)
{
	struct audit_report report = world_audit(world);

	if (report.differences != differences || strstr(report.first_difference, words) == NULL)
		fail_msg("%" PRIu64 " differences (expected %" PRIu64 "): %s", report.differences,
			differences, report.first_difference);
}

static struct tl_key
key_of(enum tl_span span, int64_t bucket_ms)
{
	return tl_key_page(&(struct tl_page_place){1, span, bucket_ms, 0});
}

/* As it is stored. */
static struct tl_page
page_of(struct world *world, enum tl_span span, int64_t bucket_ms, struct tl_arena *arena)
{
	struct tl_key key = key_of(span, bucket_ms);
	struct tl_page page;
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	must(tl_store_get(
		world->store, NULL, tl_cell_family(span), tl_key_slice(&key), &buf, &world->why));
	must(tl_page_decode(tl_buf_slice(&buf), span, bucket_ms, arena, &page));
	tl_buf_fini(&buf);
	return page;
}

static void
put_page(struct world *world, enum tl_span span, int64_t bucket_ms, const struct tl_page *page)
{
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	tl_page_encode(page, span, bucket_ms, &buf);
	put(world, tl_cell_family(span), key_of(span, bucket_ms), &buf);
	tl_buf_fini(&buf);
}

static void
a_sound_store_is_counted_and_has_no_difference(void **state)
{
	struct world *world = *state;
	struct audit_report report = world_audit(world);

	assert_int_equal(report.differences, 0);
	assert_string_equal(report.first_difference, "");
	assert_int_equal(report.groups, 2);
	assert_int_equal(report.blocks, 3);
	assert_int_equal(report.events, 9);
	assert_int_equal(report.ids, 7);
	assert_int_equal(report.sessions, 2);
	assert_int_equal(report.lives, 4);
	assert_int_equal(report.pages, 3 + 2);
}

static void
an_empty_store_has_no_difference(void **state)
{
	struct world *world = world_new();

	(void)state;
	world_audit_clean(world);
	world_free(world);
}

static void
a_changed_figure_of_an_hour_and_of_a_day(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;

	tl_arena_init(&arena, ARENA_BYTES);
	for (enum tl_span span = TL_SPAN_1H; span <= TL_SPAN_1D; span++) {
		int64_t bucket_ms = tl_bucket_floor(span, T0);
		struct tl_page page = page_of(world, span, bucket_ms, &arena);
		char words[32];

		page.rows[0].totals.cost_nusd++;
		put_page(world, span, bucket_ms, &page);
		snprintf(words, sizeof(words), "cell %s org 1", tl_span_name(span));
		finds(world, 1, words);
		page.rows[0].totals.cost_nusd--;
		put_page(world, span, bucket_ms, &page);
		world_audit_clean(world);
	}
	tl_arena_fini(&arena);
}

static void
a_spot_check_finds_a_changed_figure(void **state)
{
	struct world *world = *state;
	struct spot_report report;
	struct tl_arena arena;
	struct tl_page page;

	tl_arena_init(&arena, ARENA_BYTES);
	page = page_of(world, TL_SPAN_1H, T0, &arena);
	page.rows[0].totals.cost_nusd--;
	put_page(world, TL_SPAN_1H, T0, &page);
	report = world_spot(world, 1, T0);
	assert_non_null(strstr(report.difference, "cell 15m org 1"));
	page.rows[0].totals.cost_nusd++;
	put_page(world, TL_SPAN_1H, T0, &page);
	world_spot_clean(world);
	put(world, TL_FAMILY_CELL_1H, key_of(TL_SPAN_1H, T0), NULL);
	assert_string_not_equal(world_spot(world, 1, T0).difference, "");
	tl_arena_fini(&arena);
}

static void
a_spot_is_picked_where_something_is(void **state)
{
	struct world *world = *state;
	struct tl_view *view = tl_view_pin(world->store);
	uint32_t count = 0;
	struct spot spot;

	spot_init(&spot, world->store);
	for (int i = 0; i < 200; i++) {
		struct spot_hour hour;
		enum tl_err err = spot_pick(&spot, view, i % 2 == 0, &hour, &world->why);

		if (err == TL_EEND)
			continue;
		assert_int_equal(err, TL_OK);
		assert_int_equal(hour.org, 1);
		assert_true(
			hour.hour_ms >= DAY0 - TL_DAY_MS && hour.hour_ms < DAY0 + 3 * TL_DAY_MS);
		assert_int_equal(hour.hour_ms % TL_HOUR_MS, 0);
		count++;
	}
	assert_true(count > 0);
	spot_fini(&spot);
	tl_view_unpin(view);
}

static void
a_wrong_last_time_in_a_page(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;
	struct tl_page page;

	tl_arena_init(&arena, ARENA_BYTES);
	page = page_of(world, TL_SPAN_1H, T0, &arena);
	page.rows[0].last_ms++;
	put_page(world, TL_SPAN_1H, T0, &page);
	finds(world, 1, "cell 1h");
	tl_arena_fini(&arena);
}

static void
a_wrong_list_of_prs_and_a_wrong_split(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;
	struct tl_page page;

	tl_arena_init(&arena, ARENA_BYTES);
	page = page_of(world, TL_SPAN_1H, T0, &arena);
	page.pr_count--;
	put_page(world, TL_SPAN_1H, T0, &page);
	finds(world, 1, "PRs differ");
	page.pr_count++;
	put_page(world, TL_SPAN_1H, T0, &page);
	page = page_of(world, TL_SPAN_1D, DAY0, &arena);
	page.splits[0].totals.requests++;
	put_page(world, TL_SPAN_1D, DAY0, &page);
	finds(world, 1, "splits differ");
	tl_arena_fini(&arena);
}

static void
a_wrong_list_of_groups(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;
	struct tl_page page;

	tl_arena_init(&arena, ARENA_BYTES);
	page = page_of(world, TL_SPAN_1H, T0, &arena);
	assert_int_equal(page.group_count, 2);
	page.group_count--;
	put_page(world, TL_SPAN_1H, T0, &page);
	finds(world, 1, "groups differ");
	tl_arena_fini(&arena);
}

static void
a_missing_page_and_one_too_many(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;
	struct tl_page page;

	tl_arena_init(&arena, ARENA_BYTES);
	page = page_of(world, TL_SPAN_1H, T0, &arena);
	put(world, TL_FAMILY_CELL_1H, key_of(TL_SPAN_1H, T0), NULL);
	finds(world, 1, "is not stored");
	put_page(world, TL_SPAN_1H, T0, &page);
	for (uint32_t i = 0; i < page.row_count; i++) {
		page.rows[i].first_ms += 9 * TL_DAY_MS;
		page.rows[i].last_ms += 9 * TL_DAY_MS;
	}
	put_page(world, TL_SPAN_1H, T0 + 9 * TL_DAY_MS, &page);
	finds(world, 1, "raw has no event in it");
	tl_arena_fini(&arena);
}

static void
damaged_bytes_of_a_page(void **state)
{
	struct world *world = *state;
	struct tl_key key = key_of(TL_SPAN_1D, DAY0);
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	must(tl_store_get(
		world->store, NULL, TL_FAMILY_CELL_1D, tl_key_slice(&key), &buf, &world->why));
	buf.data[3] ^= 4;
	put(world, TL_FAMILY_CELL_1D, key, &buf);
	finds(world, 1, "is damaged");
	tl_buf_fini(&buf);
}

static void
a_missing_session_row_and_one_too_many(void **state)
{
	struct world *world = *state;
	struct tl_key key = tl_key_session(1, 8);
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	must(tl_store_get(
		world->store, NULL, TL_FAMILY_SESSION, tl_key_slice(&key), &buf, &world->why));
	put(world, TL_FAMILY_SESSION, key, NULL);
	finds(world, 1, "session 8 of org 1 is not stored");
	put(world, TL_FAMILY_SESSION, key, &buf);
	world_audit_clean(world);
	put(world, TL_FAMILY_SESSION, tl_key_session(1, 77), &buf);
	finds(world, 1, "session 77 of org 1: stored, but raw has no event");
	tl_buf_fini(&buf);
}

static void
every_part_of_a_session_row(void **state)
{
	struct world *world = *state;
	struct tl_arena arena;

	tl_arena_init(&arena, ARENA_BYTES);
	for (int part = 0; part < 9; part++) {
		struct tl_session_row row;
		struct tl_buf buf;

		assert_true(world_session(world, 8, &arena, &row));
		tl_buf_init(&buf, 0);
		tl_session_row_encode(&row, &buf);
		row.totals.requests += part == 0;
		row.first_ms += part == 1;
		row.agent += part == 2;
		row.member += part == 3;
		row.repo = part == 4 ? 0 : row.repo;
		row.pr_count -= part == 5;
		row.link_count -= part == 6;
		row.bucket_count -= part == 7;
		row.links[0].value += part == 8;
		tl_buf_reset(&buf);
		tl_session_row_encode(&row, &buf);
		put(world, TL_FAMILY_SESSION, tl_key_session(1, 8), &buf);
		finds(world, 1, "session 8 of org 1: ");
		tl_buf_fini(&buf);
		/* Back to what the fold makes of it. */
		must(rollup_rebuild(world->rollup, &world->why));
		world_audit_clean(world);
	}
	tl_arena_fini(&arena);
}

static void
lives_missing_changed_and_extra(void **state)
{
	struct world *world = *state;
	struct tl_key key = tl_key_life(1, TL_DIM_MEMBER, 3);
	struct tl_life life;
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	assert_true(world_life(world, TL_DIM_MEMBER, 3, &life));
	tl_life_encode(&life, &buf);
	put(world, TL_FAMILY_LIFE, tl_key_life(1, TL_DIM_AGENT, 99), &buf);
	finds(world, 1, "life of agent 99 of org 1");
	put(world, TL_FAMILY_LIFE, tl_key_life(1, TL_DIM_AGENT, 99), NULL);
	put(world, TL_FAMILY_LIFE, key, NULL);
	finds(world, 1, "life of member 3 of org 1 is not stored");
	life.last_ms--;
	tl_buf_reset(&buf);
	tl_life_encode(&life, &buf);
	put(world, TL_FAMILY_LIFE, key, &buf);
	finds(world, 1, "life of member 3 of org 1: stored");
	tl_buf_fini(&buf);
}

static void
raw_is_damaged(struct world *world, enum tl_err expected, const char *words)
{
	struct tl_view *view;
	struct audit_report report;
	enum tl_err err;

	must(tl_view_publish(world->store, world->group_no, world->seq, NULL, 0, &world->why));
	view = tl_view_pin(world->store);
	err = audit_run(world->store, view, NULL, &report, &world->why);
	tl_view_unpin(view);
	if (err != expected || strstr(world->why.text, words) == NULL)
		fail_msg("%s: %s", tl_err_name(err), world->why.text);
}

/* There is no verb that deletes raw: an empty value stands for damage, a dropped day for loss. */
static void
a_damaged_block(void **state)
{
	struct world *world = *state;
	struct tl_day *day = tl_day_pin(world->store, DAY0);
	struct tl_key key = tl_key_block(1, 0);
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	must(tl_day_get(world->store, NULL, day, tl_key_slice(&key), &buf, &world->why));
	buf.data[buf.bytes / 2] ^= 1;
	tl_write_put_raw(world->write, day, tl_key_slice(&key), tl_buf_slice(&buf));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	tl_day_unpin(day);
	raw_is_damaged(world, TL_ESTORAGE_CORRUPT, "block 0 of group 1");
	tl_buf_fini(&buf);
}

static void
a_block_that_the_journal_does_not_know(void **state)
{
	struct world *world = *state;
	struct tl_day *day = tl_day_pin(world->store, DAY0);
	struct tl_key key = tl_key_block(1, 0);
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	must(tl_day_get(world->store, NULL, day, tl_key_slice(&key), &buf, &world->why));
	key = tl_key_block(2, 9);
	tl_write_put_raw(world->write, day, tl_key_slice(&key), tl_buf_slice(&buf));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	tl_day_unpin(day);
	raw_is_damaged(world, TL_ESTORAGE_CORRUPT, "block 9 of group 2 is not in the journal");
	tl_buf_fini(&buf);
}

/* A group whose block never came: the journal row is put by hand. */
static void
a_missing_block(void **state)
{
	struct world *world = *state;
	struct tl_journal_block block = {.day_ms = DAY0, .row_count = 1, .cost_nusd = 5};
	struct tl_journal_row row = {.group_no = ++world->group_no,
		.seq_first = world->seq + 1,
		.seq_last = world->seq + 1,
		.cost_nusd = 5,
		.blocks = &block,
		.block_count = 1};
	struct tl_key key = tl_key_journal(row.group_no);
	struct tl_buf buf;
	bool folded;

	tl_buf_init(&buf, 0);
	tl_journal_encode(&row, world->chain, &buf);
	tl_write_put(world->write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&buf));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	tl_buf_fini(&buf);
	raw_is_damaged(world, TL_EACKED_DATA_MISSING, "block 0 of group 3 is missing");
	assert_int_equal(rollup_step(world->rollup, world->group_no, &folded, &world->why),
		TL_EACKED_DATA_MISSING);
}

static void
a_missing_day(void **state)
{
	struct world *world = *state;

	must(tl_day_drop(world->store, DAY0, &world->why));
	raw_is_damaged(world, TL_EACKED_DATA_MISSING, "the day 2026-11-20");
}

static void
a_hole_in_the_journal(void **state)
{
	struct world *world = *state;
	struct tl_key key = tl_key_journal(2);

	world_push_one(world, (struct event){.id = 50, .ts = T0, .member = 3, .cost = 1});
	world_fold(world);
	tl_write_delete(world->write, TL_FAMILY_JOURNAL, tl_key_slice(&key));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	raw_is_damaged(world, TL_EACKED_DATA_MISSING, "group 2 is missing");
}

/* What dedupe must prevent: the same id stored twice. */
static void
an_id_that_counts_twice(void **state)
{
	struct world *world = *state;
	struct event again = {
		.id = 1, .session = 8, .ts = T0, .member = 3, .agent = 4, .model = 5, .cost = 7};

	world->stored_count = 0;
	world_push_one(world, again);
	world_fold(world);
	finds(world, 1, "00000000000000000000000000000001 counts 2 times");
}

/* A row that takes back other figures than were there: only raw itself tells. */
static void
a_taking_back_of_something_else(void **state)
{
	struct world *world = *state;
	struct event corrected = {.id = 1,
		.session = 8,
		.ts = T0,
		.member = 3,
		.agent = 4,
		.model = 5,
		.cost = 7,
		.rev = 2};

	world->stored[0].event.cost += 1000;
	world_push_one(world, corrected);
	world_fold(world);
	assert_true(world_audit(world).differences > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sound_store_is_counted_and_has_no_difference),
		cmocka_unit_test(an_empty_store_has_no_difference),
		TEST(a_changed_figure_of_an_hour_and_of_a_day),
		TEST(a_spot_check_finds_a_changed_figure),
		TEST(a_spot_is_picked_where_something_is),
		TEST(a_wrong_last_time_in_a_page),
		TEST(a_wrong_list_of_prs_and_a_wrong_split),
		TEST(a_wrong_list_of_groups),
		TEST(a_missing_page_and_one_too_many),
		TEST(damaged_bytes_of_a_page),
		TEST(a_missing_session_row_and_one_too_many),
		TEST(every_part_of_a_session_row),
		TEST(lives_missing_changed_and_extra),
		TEST(a_damaged_block),
		TEST(a_block_that_the_journal_does_not_know),
		TEST(a_missing_block),
		TEST(a_missing_day),
		TEST(a_hole_in_the_journal),
		TEST(an_id_that_counts_twice),
		TEST(a_taking_back_of_something_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
