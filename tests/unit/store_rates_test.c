#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/rates.h"
#include "tests/unit/store_golden.h"

#define ROWS 1000u
#define ORGS 3u

/* input, cache read, cache write, of it for an hour, output, saved */
static const int64_t cards[2][TL_RATES] = {
	{3000, 300, 3750, 0, 15000, 3000},
	{15000, 1500, 18750, 11250, 75000, 15000},
};

static const enum tl_column kinds[TL_RATES] = {TL_COL_INPUT, TL_COL_CACHE_READ, TL_COL_CACHE_WRITE,
	TL_COL_CACHE_WRITE_1H, TL_COL_OUTPUT, TL_COL_SAVED_TOKENS};

struct place {
	struct tl_arena arena;
	struct tl_batch batch;
	struct tl_origins origins;
	struct tl_rates rates;
	uint32_t row_idx[ROWS];
	uint64_t seed;
};

static void
set(struct place *p, enum tl_column column, uint32_t row_idx, int64_t value)
{
	assert_int_equal(tl_batch_set(&p->batch, column, row_idx, value), TL_OK);
}

/* Calls of a few orgs, whose models have numbers of their own: model % 2 is the card. */
static void
fill(struct place *p)
{
	for (uint32_t i = 0; i < ROWS; i++) {
		int64_t org = 1 + (int64_t)(next_random(&p->seed) % ORGS);
		int64_t model = 2 * org + (int64_t)(next_random(&p->seed) % 2);
		const int64_t *card = cards[model % 2];
		int64_t cost_nusd = 0;

		set(p, TL_COL_ORG, i, org);
		set(p, TL_COL_MODEL, i, model);
		for (uint32_t kind = 0; kind < TL_RATES; kind++) {
			int64_t tokens = (int64_t)(next_random(&p->seed) % 100000);

			set(p, kinds[kind], i, tokens);
			if (kind < TL_RATES_OF_COST)
				cost_nusd += tokens * card[kind];
			else
				set(p, TL_COL_SAVED_NUSD, i, tokens * card[kind]);
		}
		set(p, TL_COL_COST, i, cost_nusd);
	}
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	p->seed = 8;
	tl_arena_init(&p->arena, (size_t)64 << 20);
	assert_int_equal(tl_batch_init(&p->batch, &p->arena, ROWS), TL_OK);
	p->batch.row_count = ROWS;
	for (uint32_t i = 0; i < ROWS; i++)
		p->row_idx[i] = i;
	fill(p);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	tl_arena_fini(&p->arena);
	free(p);
	return 0;
}

static void
find(struct place *p)
{
	assert_int_equal(
		tl_origins_find(&p->batch, p->row_idx, ROWS, &p->arena, &p->origins), TL_OK);
	assert_int_equal(
		tl_rates_find(&p->batch, p->row_idx, ROWS, &p->origins, &p->arena, &p->rates),
		TL_OK);
}

/* Taken off and put on again they are what they were; how many differ from their rates. */
static uint32_t
there_and_back(struct place *p, enum tl_column column)
{
	int64_t values[ROWS];
	uint32_t differ = 0;

	tl_rates_take_off(
		&p->rates, &p->batch, column, p->row_idx, ROWS, p->origins.of_row, values);
	for (uint32_t i = 0; i < ROWS; i++)
		differ += values[i] != 0;
	tl_rates_put_on(&p->rates, &p->batch, column, p->origins.of_row, values);
	assert_memory_equal(values, p->batch.column[column], sizeof(values));
	return differ;
}

static void
rates_are_found_from_costs(void **state)
{
	struct place *p = *state;

	find(p);
	assert_int_equal(p->rates.count, 2);
	for (uint32_t i = 0; i < p->origins.count; i++) {
		int64_t model = p->batch.column[TL_COL_MODEL][p->origins.row[i]];

		assert_memory_equal(
			p->rates.rate[p->rates.of_origin[i]], cards[model % 2], sizeof(cards[0]));
	}
	assert_int_equal(there_and_back(p, TL_COL_COST), 0);
	assert_int_equal(there_and_back(p, TL_COL_SAVED_NUSD), 0);
}

static void
what_does_not_follow_keeps_its_cost(void **state)
{
	struct place *p = *state;

	for (uint32_t i = 0; i < ROWS; i += 20) {
		set(p, TL_COL_COST, i, i % 40 == 0 ? -1 : 0);	  /* unknown, failed */
		set(p, TL_COL_COST, i + 1, (int64_t)i * 1000003); /* at a discount */
		set(p, TL_COL_SAVED_NUSD, i + 2, INT64_MAX);
		set(p, TL_COL_INPUT, i + 3, INT64_MAX);
		set(p, TL_COL_COST, i + 4, INT64_MIN);
	}
	find(p);
	assert_int_equal(p->rates.count, 2);
	assert_true(there_and_back(p, TL_COL_COST) <= ROWS / 20 * 4);
	assert_true(there_and_back(p, TL_COL_SAVED_NUSD) <= ROWS / 20);
}

static void
costs_without_a_rule_have_no_rates(void **state)
{
	struct place *p = *state;

	for (uint32_t i = 0; i < ROWS; i++)
		set(p, TL_COL_COST, i, (int64_t)(next_random(&p->seed) % 100000000));
	find(p);
	assert_int_equal(p->rates.count, 0);
}

static void
more_models_than_rates_are_told_apart_no_more(void **state)
{
	struct place *p = *state;

	for (uint32_t i = 0; i < ROWS; i++) {
		int64_t model = i % 20;

		set(p, TL_COL_ORG, i, 1);
		set(p, TL_COL_MODEL, i, model);
		set(p, TL_COL_COST, i, (model + 1) * p->batch.column[TL_COL_INPUT][i]);
	}
	find(p);
	assert_true(p->rates.count <= TL_RATES_MAX);
	assert_true(p->rates.count >= 5);
	(void)there_and_back(p, TL_COL_COST);
}

/* Rates that bytes state of tokens that a block does not have. */
static void
tokens_that_are_not_there_cost_nothing(void **state)
{
	struct place *p = *state;

	find(p);
	p->batch.column[TL_COL_OUTPUT] = NULL;
	p->batch.column[TL_COL_SAVED_TOKENS] = NULL;
	assert_int_equal(there_and_back(p, TL_COL_COST), ROWS);
	assert_int_equal(there_and_back(p, TL_COL_SAVED_NUSD), ROWS);
}

static void
few_rows_and_no_costs_have_none(void **state)
{
	struct place *p = *state;

	assert_int_equal(
		tl_origins_find(&p->batch, p->row_idx, ROWS, &p->arena, &p->origins), TL_OK);
	assert_int_equal(
		tl_rates_find(&p->batch, p->row_idx, 20, &p->origins, &p->arena, &p->rates), TL_OK);
	assert_int_equal(p->rates.count, 0);
	p->batch.column[TL_COL_COST] = NULL;
	find(p);
	assert_int_equal(p->rates.count, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(rates_are_found_from_costs),
		TEST(what_does_not_follow_keeps_its_cost),
		TEST(costs_without_a_rule_have_no_rates),
		TEST(more_models_than_rates_are_told_apart_no_more),
		TEST(tokens_that_are_not_there_cost_nothing),
		TEST(few_rows_and_no_costs_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
