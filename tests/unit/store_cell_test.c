#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/base/crypt.h"
#include "schema/store/cell.h"
#include "tests/unit/store_golden.h"

#define GOLDEN "tests/golden/page.hex"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN_MS 1795255200000LL /* 2026-11-21T10:00:00Z, 15m cell number 1994728 */
#define ARENA_BYTES ((size_t)64 << 20)
#define ROWS_MAX 128u

struct place {
	struct tl_arena arena;
	struct tl_buf buf;
	uint64_t seed;
};

static void make_hour_rows(void);

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	make_hour_rows();

	tl_arena_init(&p->arena, ARENA_BYTES);
	tl_buf_init(&p->buf, 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	tl_buf_fini(&p->buf);
	tl_arena_fini(&p->arena);
	free(p);
	return 0;
}

static struct tl_cell_row
row(uint32_t session, uint32_t model, int64_t requests, int64_t cost_nusd)
{
	return (struct tl_cell_row){
		.key = {.session = session, .member = 5, .agent = 7, .model = model},
		.totals = {{{.requests = requests, .cost_nusd = cost_nusd}}},
		.first_ms = TEN_MS + 1000,
		.last_ms = TEN_MS + 2000,
	};
}

/* Two sessions, one with two PRs; golden/page.hex and schema/README.md show the same. */
static struct tl_cell_row golden_rows[] = {
	{.key = {.session = 900, .member = 5, .agent = 7, .model = 2, .repo = 4},
		.totals = {{{.requests = 3,
			.input_tokens = 1680,
			.output_tokens = 3560,
			.cost_nusd = 58440001}}},
		.first_ms = TEN_MS,
		.last_ms = TEN_MS + 60000},
	{.key = {.session = 901, .member = 6, .agent = 8, .model = 2, .repo = 9, .has_own_repo = 1},
		.totals = {{{.requests = 1,
			.errors = 1,
			.unpriced = 1,
			.input_tokens = 15000,
			.output_tokens = 12}}},
		.first_ms = TEN_MS + 1400,
		.last_ms = TEN_MS + 1400},
	{.key = {.session = 902, .member = 6, .agent = 8},
		.totals = {{{.lines_added = 40}}},
		.first_ms = INT64_MAX,
		.last_ms = INT64_MIN},
};
static struct tl_cell_pr golden_prs[] = {{900, {4, 7}}, {900, {4, 31}}};
/* The same in an hour: in its first, second and last quarter. */
static struct tl_cell_row hour_rows[3];
static uint64_t golden_groups[] = {17, 18, 40};
static uint8_t golden_quarters[] = {0x1, 0x2, 0x9};
static struct tl_cell_split golden_splits[] = {
	{{4, 7}, {{{.requests = 2, .input_tokens = 840, .cost_nusd = 29220001}}}},
	{{4, 31}, {{{.requests = 1, .input_tokens = 840, .cost_nusd = 29220000}}}},
};

static void
make_hour_rows(void)
{
	static const uint32_t quarters[] = {0, 1, 3};

	for (size_t i = 0; i < COUNT(hour_rows); i++) {
		struct tl_cell_row *made = &hour_rows[i];

		*made = golden_rows[i];
		made->key.quarter = quarters[i];
		if (made->last_ms == INT64_MIN)
			continue;
		made->first_ms += quarters[i] * TL_QUARTER_MS;
		made->last_ms += quarters[i] * TL_QUARTER_MS;
	}
}

static void
check_eq(const struct tl_page *a, const struct tl_page *b)
{
	assert_true(tl_page_eq(a, b));
}

static void
pages_have_their_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_page hour = {.rows = hour_rows,
		.row_count = 3,
		.prs = golden_prs,
		.pr_count = 2,
		.groups = golden_groups,
		.group_quarters = golden_quarters,
		.group_count = 3};
	struct tl_page day = {.rows = golden_rows,
		.row_count = 3,
		.prs = golden_prs,
		.pr_count = 2,
		.splits = golden_splits,
		.split_count = 2};
	int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, TEN_MS);
	struct tl_page empty = {.row_count = 0};
	struct tl_page got;

	tl_page_encode(&hour, TL_SPAN_1H, TEN_MS, &p->buf);
	golden_check(GOLDEN, "hour", tl_buf_slice(&p->buf));
	assert_int_equal(tl_page_decode(golden_read(GOLDEN, "hour", &p->buf), TL_SPAN_1H, TEN_MS,
				 &p->arena, &got),
		TL_OK);
	/* Splits of an hour are computed: cell number 1994728 mod 2 = 0, so the first has the
	 * odd unit of each measure. */
	assert_int_equal(got.split_count, 2);
	assert_int_equal(tl_pr_cmp(got.splits[0].pr, (struct tl_pr){4, 7}), 0);
	assert_int_equal(got.splits[0].totals.requests, 2);
	assert_int_equal(got.splits[0].totals.cost_nusd, 29220001);
	assert_int_equal(got.splits[1].totals.requests, 1);
	assert_int_equal(got.splits[1].totals.cost_nusd, 29220000);
	got.split_count = 0;
	check_eq(&got, &hour);

	tl_buf_reset(&p->buf);
	tl_page_encode(&day, TL_SPAN_1D, day_ms, &p->buf);
	golden_check(GOLDEN, "day", tl_buf_slice(&p->buf));
	assert_int_equal(tl_page_decode(golden_read(GOLDEN, "day", &p->buf), TL_SPAN_1D, day_ms,
				 &p->arena, &got),
		TL_OK);
	check_eq(&got, &day);

	tl_buf_reset(&p->buf);
	tl_page_encode(&empty, TL_SPAN_1H, TEN_MS, &p->buf);
	golden_check(GOLDEN, "empty", tl_buf_slice(&p->buf));
	assert_int_equal(tl_page_decode(golden_read(GOLDEN, "empty", &p->buf), TL_SPAN_1H, TEN_MS,
				 &p->arena, &got),
		TL_OK);
	check_eq(&got, &empty);
}

/* A row at a random place of its quarter. */
static struct tl_cell_row
random_row(struct place *p, uint32_t session, uint32_t model, uint32_t quarter)
{
	struct tl_cell_row made = row(session, model, 1 + (int64_t)(next_random(&p->seed) % 3), 0);

	made.key.quarter = quarter;
	made.totals.cost_nusd = (int64_t)(next_random(&p->seed) % 1000000);
	if (next_random(&p->seed) % 2 == 0) {
		made.totals.saved_tokens = (int64_t)(next_random(&p->seed) % 5000);
		made.totals.saved_nusd = made.totals.saved_tokens * 3000 * model +
					 (int64_t)(next_random(&p->seed) % 8 == 0);
	}
	made.first_ms += quarter * TL_QUARTER_MS + (int64_t)(next_random(&p->seed) % 1000);
	made.last_ms += quarter * TL_QUARTER_MS + (int64_t)(next_random(&p->seed) % 1000);
	return made;
}

/*
 * Rows of few sessions and models, so that pages have keys in common; all in the arena. Of an hour
 * they are in any of its quarters.
 */
static struct tl_page
random_page(struct place *p, enum tl_span span, bool negative)
{
	struct tl_page page = {.row_count = 0};
	uint32_t pr_count;

	page.rows = tl_arena_array(&p->arena, ROWS_MAX, sizeof(*page.rows));
	page.prs = tl_arena_array(&p->arena, ROWS_MAX, sizeof(*page.prs));
	page.groups = tl_arena_array(&p->arena, ROWS_MAX, sizeof(*page.groups));
	page.group_quarters = tl_arena_array(&p->arena, ROWS_MAX, 1);
	for (uint32_t session = 1; session <= 8; session++) {
		if (next_random(&p->seed) % 2 == 0)
			continue;
		for (uint32_t i = 0; i < 3 * TL_HOUR_QUARTERS; i++) {
			struct tl_cell_row *made = &page.rows[page.row_count];
			uint32_t quarter = i % TL_HOUR_QUARTERS;

			if (next_random(&p->seed) % 3 != 0 || (span == TL_SPAN_1D && quarter != 0))
				continue;
			*made = random_row(p, session, i / TL_HOUR_QUARTERS, quarter);
			if (negative && next_random(&p->seed) % 4 == 0)
				made->totals.requests = -made->totals.requests;
			page.row_count++;
		}
		/* The same PRs whenever the session appears. */
		pr_count = session % 4;
		if (page.row_count == 0 || page.rows[page.row_count - 1].key.session != session)
			pr_count = 0;
		for (uint32_t i = 0; i < pr_count; i++)
			page.prs[page.pr_count++] =
				(struct tl_cell_pr){session, {1 + session % 2, 10 * i + 1}};
	}
	for (uint64_t no = 1; no < 30 && span == TL_SPAN_1H; no++) {
		if (next_random(&p->seed) % 3 != 0)
			continue;
		page.groups[page.group_count] = no * 1000;
		page.group_quarters[page.group_count++] = (uint8_t)(1 + next_random(&p->seed) % 15);
	}
	return page;
}

static void
any_page_comes_back(void **state)
{
	struct place *p = *state;

	p->seed = 11;
	for (int round = 0; round < 300; round++) {
		enum tl_span span = round % 2 == 0 ? TL_SPAN_1H : TL_SPAN_1D;
		int64_t bucket_ms = tl_bucket_floor(span, TEN_MS);
		struct tl_page page, got;

		tl_arena_reset(&p->arena);
		page = random_page(p, span, true);
		assert_int_equal(tl_page_split(&page, bucket_ms, &p->arena), TL_OK);
		tl_buf_reset(&p->buf);
		tl_page_encode(&page, span, bucket_ms, &p->buf);
		assert_int_equal(
			tl_page_decode(tl_buf_slice(&p->buf), span, bucket_ms, &p->arena, &got),
			TL_OK);
		check_eq(&got, &page);
	}
}

/* Whatever is asked of an hour by quarter adds up to what is asked of it as a whole. */
static void
an_hour_is_the_sum_of_its_quarters(void **state)
{
	struct place *p = *state;

	p->seed = 14;
	for (int round = 0; round < 300; round++) {
		struct tl_page hour, sum = {.row_count = 0};
		uint32_t row_count = 0;

		tl_arena_reset(&p->arena);
		hour = random_page(p, TL_SPAN_1H, false);
		assert_int_equal(tl_page_split(&hour, TEN_MS, &p->arena), TL_OK);
		for (uint32_t i = 0; i < TL_HOUR_QUARTERS; i++) {
			struct tl_page quarter;

			assert_int_equal(
				tl_page_quarter(&hour, TEN_MS, i, &p->arena, &quarter), TL_OK);
			for (uint32_t k = 0; k < quarter.row_count; k++) {
				int64_t first_ms = quarter.rows[k].first_ms;

				assert_int_equal(quarter.rows[k].key.quarter, 0);
				assert_int_equal(tl_bucket_floor(TL_SPAN_15M, first_ms),
					TEN_MS + i * TL_QUARTER_MS);
			}
			for (uint32_t k = 0, at = 0; k < hour.group_count; k++) {
				if (hour.group_quarters[k] >> i & 1)
					assert_int_equal(quarter.groups[at++], hour.groups[k]);
			}
			row_count += quarter.row_count;
			quarter.group_count = 0;
			assert_int_equal(tl_page_add(&sum, &quarter, &p->arena, &sum), TL_OK);
		}
		assert_int_equal(row_count, hour.row_count);
		assert_int_equal(tl_page_join_quarters(&hour), TL_OK);
		check_eq(&sum, &hour);
	}
}

static void
keys_are_ordered_field_by_field(void **state)
{
	static const struct tl_cell_key rising[] = {
		{1, 1, 1, 1, 1, 0, 0},
		{1, 1, 1, 1, 1, 0, 3},
		{1, 1, 1, 1, 1, 1, 0},
		{1, 1, 1, 1, 2, 0, 0},
		{1, 1, 1, 2, 0, 0, 0},
		{1, 1, 2, 0, 0, 0, 0},
		{1, 2, 0, 0, 0, 0, 0},
		{2, 0, 0, 0, 0, 0, 0},
		{UINT32_MAX, 0, 0, 0, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rising); i++) {
		for (size_t j = 0; j < COUNT(rising); j++) {
			int order = tl_cell_key_cmp(&rising[i], &rising[j]);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
	assert_true(tl_pr_cmp((struct tl_pr){1, 9}, (struct tl_pr){2, 1}) < 0);
	assert_true(tl_pr_cmp((struct tl_pr){2, 9}, (struct tl_pr){2, 1}) > 0);
	assert_int_equal(tl_pr_cmp((struct tl_pr){2, 1}, (struct tl_pr){2, 1}), 0);
}

static int64_t
split_requests(const struct tl_page *page, struct tl_pr pr)
{
	for (uint32_t i = 0; i < page->split_count; i++) {
		if (tl_pr_cmp(page->splits[i].pr, pr) == 0)
			return page->splits[i].totals.requests;
	}
	return 0;
}

static void
remainders_start_at_the_cell_number(void **state)
{
	struct place *p = *state;
	struct tl_cell_row rows[] = {row(1, 1, 5, 0), row(1, 2, 6, 0)};
	struct tl_cell_pr prs[] = {{1, {3, 1}}, {1, {3, 2}}, {1, {3, 3}}};
	struct tl_page page = {.rows = rows, .row_count = 2, .prs = prs, .pr_count = 3};

	/* 11 requests among three: 4, 4, 3 from the cell's number on, around. */
	for (int64_t cell_no = -4; cell_no < 4; cell_no++) {
		int64_t start = ((cell_no % 3) + 3) % 3;

		assert_int_equal(tl_page_split(&page, cell_no * TL_QUARTER_MS, &p->arena), TL_OK);
		assert_int_equal(page.split_count, 3);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(page.splits[i].totals.requests,
				(int64_t)i == (start + 2) % 3 ? 3 : 4);
	}
}

static void
splits_of_sessions_add_up_per_pull_request(void **state)
{
	struct place *p = *state;
	struct tl_cell_row rows[] = {row(1, 1, 10, 0), row(2, 1, 7, 0), row(3, 1, 4, 0)};
	/* By (repo name, number) of the session, which need not be by id. */
	struct tl_cell_pr prs[] = {{1, {9, 1}}, {1, {3, 2}}, {2, {3, 2}}};
	struct tl_page page = {.rows = rows, .row_count = 3, .prs = prs, .pr_count = 3};

	assert_int_equal(tl_page_split(&page, 0, &p->arena), TL_OK);
	assert_int_equal(page.split_count, 2);
	assert_int_equal(split_requests(&page, (struct tl_pr){3, 2}), 5 + 7);
	assert_int_equal(split_requests(&page, (struct tl_pr){9, 1}), 5);
	assert_true(tl_pr_cmp(page.splits[0].pr, page.splits[1].pr) < 0);
}

static void
a_page_without_pull_requests_has_no_splits(void **state)
{
	struct place *p = *state;
	struct tl_cell_row rows[] = {row(1, 1, 10, 0)};
	struct tl_page page = {
		.rows = rows, .row_count = 1, .splits = golden_splits, .split_count = 2};

	assert_int_equal(tl_page_split(&page, 0, &p->arena), TL_OK);
	assert_int_equal(page.split_count, 0);
}

static struct tl_page
add(struct place *p, const struct tl_page *page, const struct tl_page *delta)
{
	struct tl_page sum;

	assert_int_equal(tl_page_add(page, delta, &p->arena, &sum), TL_OK);
	return sum;
}

static void
equal_keys_add_up_and_the_rest_merges(void **state)
{
	struct place *p = *state;
	struct tl_cell_row before[] = {row(1, 1, 2, 100), row(2, 1, 3, 300)};
	struct tl_cell_row change[] = {row(1, 2, 5, 50), row(2, 1, 1, 11), row(3, 1, 9, 9)};
	struct tl_page page = {.rows = before, .row_count = 2};
	struct tl_page delta = {.rows = change, .row_count = 3};
	struct tl_page sum;

	change[1].first_ms = TEN_MS;
	change[1].last_ms = TEN_MS + 3000;
	sum = add(p, &page, &delta);
	assert_int_equal(sum.row_count, 4);
	assert_int_equal(sum.rows[0].totals.requests, 2);
	assert_int_equal(sum.rows[1].key.model, 2);
	assert_int_equal(sum.rows[2].totals.requests, 4);
	assert_int_equal(sum.rows[2].totals.cost_nusd, 311);
	assert_int_equal(sum.rows[2].first_ms, TEN_MS);
	assert_int_equal(sum.rows[2].last_ms, TEN_MS + 3000);
	assert_int_equal(sum.rows[3].key.session, 3);
	/* The arguments stay as they were. */
	assert_int_equal(before[1].totals.requests, 3);
}

static void
rows_and_splits_that_become_zero_vanish(void **state)
{
	struct place *p = *state;
	struct tl_cell_row before[] = {row(1, 1, 2, 100), row(2, 1, 3, 300)};
	struct tl_cell_row change[] = {row(1, 1, -2, -100), row(4, 1, 0, 0)};
	struct tl_cell_pr prs[] = {{1, {4, 7}}, {2, {4, 7}}};
	struct tl_cell_split minus[] = {
		{{4, 7}, {{{.requests = -2, .input_tokens = -840, .cost_nusd = -29220001}}}}};
	struct tl_page page = {.rows = before,
		.row_count = 2,
		.prs = prs,
		.pr_count = 2,
		.splits = golden_splits,
		.split_count = 2};
	struct tl_page delta = {.rows = change, .row_count = 2, .splits = minus, .split_count = 1};
	struct tl_page sum = add(p, &page, &delta);

	assert_int_equal(sum.row_count, 1);
	assert_int_equal(sum.rows[0].key.session, 2);
	assert_int_equal(sum.split_count, 1);
	assert_int_equal(sum.splits[0].pr.number, 31);
	/* With its last row a session's PRs go too. */
	assert_int_equal(sum.pr_count, 1);
	assert_int_equal(sum.prs[0].session, 2);
}

static void
the_delta_says_what_a_sessions_pull_requests_are(void **state)
{
	struct place *p = *state;
	struct tl_cell_row rows[] = {
		row(1, 1, 1, 0), row(2, 1, 1, 0), row(3, 1, 1, 0), row(4, 1, 1, 0)};
	struct tl_cell_row none[] = {row(2, 1, 0, 0)};
	struct tl_cell_pr before[] = {{1, {4, 1}}, {2, {4, 2}}, {3, {4, 3}}};
	struct tl_cell_pr after[] = {{3, {9, 9}}, {3, {4, 3}}, {4, {4, 4}}, {5, {4, 5}}};
	struct tl_page page = {.rows = rows, .row_count = 4, .prs = before, .pr_count = 3};
	struct tl_page delta = {.rows = none, .row_count = 1, .prs = after, .pr_count = 4};
	struct tl_page sum = add(p, &page, &delta);

	/* 1 is not mentioned, 2 by a row of zeros, 3 and 4 by PRs, and 5 has no rows. */
	assert_int_equal(sum.row_count, 4);
	assert_int_equal(sum.pr_count, 4);
	assert_int_equal(sum.prs[0].session, 1);
	assert_int_equal(sum.prs[1].session, 3);
	assert_int_equal(sum.prs[1].pr.repo, 9);
	assert_int_equal(sum.prs[2].session, 3);
	assert_int_equal(sum.prs[2].pr.repo, 4);
	assert_int_equal(sum.prs[3].session, 4);
}

static void
groups_unite(void **state)
{
	struct place *p = *state;
	uint64_t before[] = {1, 5, 9}, change[] = {2, 5, UINT64_MAX};
	uint8_t before_quarters[] = {1, 2, 3}, change_quarters[] = {4, 8, 1};
	struct tl_page page = {
		.groups = before, .group_quarters = before_quarters, .group_count = 3};
	struct tl_page delta = {
		.groups = change, .group_quarters = change_quarters, .group_count = 3};
	struct tl_page sum = add(p, &page, &delta);
	const uint64_t wanted[] = {1, 2, 5, 9, UINT64_MAX};
	const uint8_t wanted_quarters[] = {1, 4, 2 | 8, 3, 1};

	assert_int_equal(sum.group_count, 5);
	assert_memory_equal(sum.groups, wanted, sizeof(wanted));
	assert_memory_equal(sum.group_quarters, wanted_quarters, sizeof(wanted_quarters));
}

static void
pages_add_in_any_order(void **state)
{
	struct place *p = *state;
	struct tl_page empty = {.row_count = 0};

	p->seed = 12;
	for (int round = 0; round < 300; round++) {
		struct tl_page a, b, c, left, right;

		tl_arena_reset(&p->arena);
		a = random_page(p, TL_SPAN_1H, false);
		b = random_page(p, TL_SPAN_1H, false);
		c = random_page(p, TL_SPAN_1H, false);
		assert_int_equal(tl_page_split(&a, TEN_MS, &p->arena), TL_OK);
		assert_int_equal(tl_page_split(&b, TEN_MS + TL_HOUR_MS, &p->arena), TL_OK);
		assert_int_equal(tl_page_split(&c, TEN_MS, &p->arena), TL_OK);
		left = add(p, &a, &b);
		left = add(p, &left, &c);
		right = add(p, &b, &c);
		right = add(p, &right, &a);
		check_eq(&left, &right);
		left = add(p, &a, &empty);
		check_eq(&left, &a);
		left = add(p, &empty, &a);
		check_eq(&left, &a);
	}
}

static void
a_sum_past_63_bits_is_told(void **state)
{
	struct place *p = *state;
	struct tl_cell_row large[] = {row(1, 1, 1, INT64_MAX)};
	struct tl_cell_row two[] = {row(1, 1, 1, INT64_MAX), row(1, 2, 1, INT64_MAX)};
	struct tl_cell_pr prs[] = {{1, {3, 1}}};
	struct tl_cell_split split[] = {{{3, 1}, {{{.cost_nusd = INT64_MAX}}}}};
	struct tl_page page = {.rows = large, .row_count = 1};
	struct tl_page splits = {.splits = split, .split_count = 1};
	struct tl_page split_page = {.rows = two, .row_count = 2, .prs = prs, .pr_count = 1};
	struct tl_page sum;

	assert_int_equal(tl_page_add(&page, &page, &p->arena, &sum), TL_EAMOUNT_OVERFLOW);
	assert_int_equal(tl_page_add(&splits, &splits, &p->arena, &sum), TL_EAMOUNT_OVERFLOW);
	assert_int_equal(tl_page_split(&split_page, 0, &p->arena), TL_EAMOUNT_OVERFLOW);
	/* Nothing of the kind is ever written, so stored it is damage. */
	tl_page_encode(&split_page, TL_SPAN_1H, TEN_MS, &p->buf);
	assert_int_equal(tl_page_decode(tl_buf_slice(&p->buf), TL_SPAN_1H, TEN_MS, &p->arena, &sum),
		TL_ESTORAGE_CORRUPT);
}

static void
a_difference_anywhere_is_seen(void **state)
{
	struct tl_page page = {.rows = golden_rows,
		.row_count = 3,
		.prs = golden_prs,
		.pr_count = 2,
		.splits = golden_splits,
		.split_count = 2,
		.groups = golden_groups,
		.group_quarters = golden_quarters,
		.group_count = 3};
	struct tl_cell_row rows[3];
	struct tl_cell_pr prs[2];
	struct tl_cell_split splits[2];
	uint64_t groups[3];
	uint8_t quarters[3];
	struct tl_page other = {.rows = rows,
		.row_count = 3,
		.prs = prs,
		.pr_count = 2,
		.splits = splits,
		.split_count = 2,
		.groups = groups,
		.group_quarters = quarters,
		.group_count = 3};
	int64_t *const times[] = {&rows[1].first_ms, &rows[1].last_ms, &rows[2].totals.fix_ms,
		&splits[1].totals.requests};
	uint32_t *const numbers[] = {&rows[0].key.repo, &prs[1].session, &prs[1].pr.number,
		&splits[0].pr.repo, &other.row_count, &other.pr_count, &other.split_count,
		&other.group_count};

	(void)state;
	memcpy(rows, golden_rows, sizeof(rows));
	memcpy(prs, golden_prs, sizeof(prs));
	memcpy(splits, golden_splits, sizeof(splits));
	memcpy(groups, golden_groups, sizeof(groups));
	memcpy(quarters, golden_quarters, sizeof(quarters));
	assert_true(tl_page_eq(&page, &other));
	for (size_t i = 0; i < COUNT(times); i++) {
		++*times[i];
		assert_false(tl_page_eq(&page, &other));
		--*times[i];
	}
	for (size_t i = 0; i < COUNT(numbers); i++) {
		--*numbers[i];
		assert_false(tl_page_eq(&page, &other));
		++*numbers[i];
	}
	groups[2]++;
	assert_false(tl_page_eq(&page, &other));
	groups[2]--;
	quarters[2]++;
	assert_false(tl_page_eq(&page, &other));
}

static void
every_flipped_bit_is_found(void **state)
{
	struct place *p = *state;
	struct tl_page page = {.rows = golden_rows,
		.row_count = 3,
		.prs = golden_prs,
		.pr_count = 2,
		.groups = golden_groups,
		.group_quarters = golden_quarters,
		.group_count = 3};
	struct tl_page got;

	tl_page_encode(&page, TL_SPAN_1H, TEN_MS, &p->buf);
	for (size_t bit = 0; bit < p->buf.bytes * 8; bit++) {
		p->buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
			tl_page_decode(tl_buf_slice(&p->buf), TL_SPAN_1H, TEN_MS, &p->arena, &got),
			TL_ESTORAGE_CORRUPT);
		p->buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bytes = 0; bytes < p->buf.bytes; bytes++)
		assert_int_equal(tl_page_decode(tl_slice_of(p->buf.data, bytes), TL_SPAN_1H, TEN_MS,
					 &p->arena, &got),
			TL_ESTORAGE_CORRUPT);
}

/* What a forged page decodes to keeps the promises that tl_page_add and tl_page_split build on. */
static void
check_promises(struct place *p, struct tl_page *page)
{
	struct tl_page sum;

	for (uint32_t i = 1; i < page->row_count; i++)
		assert_true(tl_cell_key_cmp(&page->rows[i - 1].key, &page->rows[i].key) < 0);
	for (uint32_t i = 1; i < page->group_count; i++)
		assert_true(page->groups[i - 1] < page->groups[i]);
	(void)!tl_page_add(page, page, &p->arena, &sum);
	(void)!tl_page_split(page, TEN_MS, &p->arena);
}

static void
a_forged_page_is_survived(void **state)
{
	struct place *p = *state;
	struct tl_page page = {.rows = golden_rows,
		.row_count = 3,
		.prs = golden_prs,
		.pr_count = 2,
		.splits = golden_splits,
		.split_count = 2,
		.groups = golden_groups,
		.group_quarters = golden_quarters,
		.group_count = 3};
	uint32_t taken_count = 0;

	p->seed = 13;
	for (int round = 0; round < 100000; round++) {
		enum tl_span span = round % 2 == 0 ? TL_SPAN_1H : TL_SPAN_1D;
		int64_t bucket_ms = tl_bucket_floor(span, TEN_MS);
		struct tl_page got;
		uint8_t *data;
		size_t bytes;

		tl_buf_reset(&p->buf);
		tl_page_encode(&page, span, bucket_ms, &p->buf);
		bytes = p->buf.bytes;
		if (next_random(&p->seed) % 4 == 0)
			bytes = 9 + next_random(&p->seed) % (bytes - 9);
		data = malloc(bytes);
		memcpy(data, p->buf.data, bytes);
		for (uint64_t i = next_random(&p->seed) % 4; i > 0; i--)
			data[next_random(&p->seed) % (bytes - 8)] = (uint8_t)next_random(&p->seed);
		tl_put_be64(data + bytes - 8, tl_checksum64(tl_slice_of(data, bytes - 8)));
		tl_arena_reset(&p->arena);
		if (tl_page_decode(tl_slice_of(data, bytes), span, bucket_ms, &p->arena, &got) ==
			TL_OK) {
			check_promises(p, &got);
			taken_count++;
		}
		free(data);
	}
	assert_true(taken_count > 1000); /* the forgery reaches past the checksum */
}

static void
a_small_arena_is_told(void **state)
{
	struct place *p = *state;
	struct tl_page page = {.rows = golden_rows,
		.row_count = 3,
		.prs = golden_prs,
		.pr_count = 2,
		.splits = golden_splits,
		.split_count = 2,
		.groups = golden_groups,
		.group_quarters = golden_quarters,
		.group_count = 3};
	struct tl_page got;

	for (int i = 0; i < 2; i++) {
		enum tl_span span = i == 0 ? TL_SPAN_1H : TL_SPAN_1D;
		int64_t bucket_ms = tl_bucket_floor(span, TEN_MS);
		enum tl_err err = TL_ENOMEM;

		tl_buf_reset(&p->buf);
		tl_page_encode(&page, span, bucket_ms, &p->buf);
		for (size_t bytes = 16; err == TL_ENOMEM; bytes += 16) {
			struct tl_arena small;

			tl_arena_init(&small, bytes);
			err = tl_page_decode(tl_buf_slice(&p->buf), span, bucket_ms, &small, &got);
			if (err != TL_ENOMEM)
				assert_int_equal(err, TL_OK);
			tl_arena_fini(&small);
		}
		err = TL_ENOMEM;
		for (size_t bytes = 16; err == TL_ENOMEM; bytes += 16) {
			struct tl_arena small;

			tl_arena_init(&small, bytes);
			err = tl_page_add(&page, &page, &small, &got);
			tl_arena_fini(&small);
		}
		assert_int_equal(err, TL_OK);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(pages_have_their_golden_bytes),
		TEST(any_page_comes_back),
		TEST(an_hour_is_the_sum_of_its_quarters),
		TEST(keys_are_ordered_field_by_field),
		TEST(remainders_start_at_the_cell_number),
		TEST(splits_of_sessions_add_up_per_pull_request),
		TEST(a_page_without_pull_requests_has_no_splits),
		TEST(equal_keys_add_up_and_the_rest_merges),
		TEST(rows_and_splits_that_become_zero_vanish),
		TEST(the_delta_says_what_a_sessions_pull_requests_are),
		TEST(groups_unite),
		TEST(pages_add_in_any_order),
		TEST(a_sum_past_63_bits_is_told),
		TEST(a_difference_anywhere_is_seen),
		TEST(every_flipped_bit_is_found),
		TEST(a_forged_page_is_survived),
		TEST(a_small_arena_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
