#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>

#include "schema/model/price.h"

#define DAY_MS 86400000LL

static struct tl_prices *
table(const char *own)
{
	struct tl_prices *prices = NULL;
	struct tl_why why = {0};

	if (tl_prices_new(tl_slice_str(own), &prices, &why))
		fail_msg("%s", why.text);
	return prices;
}

static int64_t
input_price(const struct tl_prices *prices, const char *model, int64_t ts_ms)
{
	const struct tl_price_row *row = tl_prices_find(prices, tl_slice_str(model), ts_ms);

	return row != NULL ? row->input : -1;
}

/* Costs that the agents themselves stated (telemetry), or that a price list agreed with. */
static const struct {
	const char *model;
	struct tl_price_tokens tokens;
	int64_t cost_nusd;
} stated[] = {
	{"claude-opus-4-7", {1, 267, 37722, 369, 0}, 27847250},
	{"claude-sonnet-4-6", {3, 5, 0, 26526, 0}, 99556500},
	{"claude-opus-4-6", {1200, 340, 52000, 0, 0}, 40500000},
	{"gpt-5.3-codex", {3150601, 223178, 46689152, 0, 0}, 16808645350},
	{"claude-haiku-4-5-20251001", {10, 1, 0, 100, 100}, 10000 + 5000 + 200000},
};

static void
the_built_in_rows_give_what_agents_stated(void **state)
{
	struct tl_prices *prices = table("");

	(void)state;
	for (size_t i = 0; i < sizeof(stated) / sizeof(stated[0]); i++) {
		const struct tl_price_row *row =
			tl_prices_find(prices, tl_slice_str(stated[i].model), 0);
		int64_t cost_nusd = -1;

		assert_non_null(row);
		assert_true(tl_price_cost(row, &stated[i].tokens, &cost_nusd));
		if (cost_nusd != stated[i].cost_nusd)
			fail_msg("%s: %" PRId64, stated[i].model, cost_nusd);
	}
	tl_prices_free(prices);
}

static void
a_model_without_a_row_is_unpriced(void **state)
{
	struct tl_prices *prices = table("");

	(void)state;
	assert_null(tl_prices_find(prices, tl_slice_str("gpt-5.3-codex-2"), 0));
	assert_null(tl_prices_find(prices, tl_slice_str("gpt-5.3"), 0));
	assert_null(tl_prices_find(prices, tl_slice_str(""), 0));
	tl_prices_free(prices);
}

static void
an_own_table_stands_over_the_built_in_one(void **state)
{
	struct tl_prices *prices = table("version acme-3\n"
					 "local-*   - 1 1 1 1 1 # ours\n"
					 "local-big - 7 1 1 1 1\n"
					 "gpt-5     2026-01-01 9 9 9 9 9\n");
	int64_t new_year_ms = 20454 * DAY_MS; /* 2026-01-01 */

	(void)state;
	assert_int_equal(input_price(prices, "local-big", 0), 7);
	assert_int_equal(input_price(prices, "local-bigger", 0), 1);
	assert_int_equal(input_price(prices, "gpt-5", new_year_ms), 9);
	/* A model the operator prices is the operator's: before their row it has no price. */
	assert_int_equal(input_price(prices, "gpt-5", new_year_ms - 1), -1);
	assert_int_equal(input_price(prices, "gpt-5-mini", 0), 250);
	assert_string_equal(tl_prices_version(prices), "acme-3 over 2026-11-21");
	tl_prices_free(prices);
}

static void
a_later_row_counts_from_its_day(void **state)
{
	struct tl_prices *prices = table("m - 1 0 0 0 0\nm 2026-01-02 3 0 0 0 0\n"
					 "m 2026-01-01 2 0 0 0 0\n");
	int64_t first_ms = 20454 * DAY_MS;

	(void)state;
	assert_int_equal(input_price(prices, "m", first_ms - 1), 1);
	assert_int_equal(input_price(prices, "m", first_ms), 2);
	assert_int_equal(input_price(prices, "m", first_ms + DAY_MS - 1), 2);
	assert_int_equal(input_price(prices, "m", first_ms + DAY_MS), 3);
	tl_prices_free(prices);
}

static const struct {
	const char *text;
	const char *says;
} wrong[] = {
	{"m - 1 2 3 4", "line 1"},
	{"# x\nm - 1 2 3 4 5 6\n", "line 2"},
	{"m - 1 2 3 4 -5\n", "column 7"},
	{"m - 1.5 2 3 4 5\n", "column 3"},
	{"m - 1000000001 2 3 4 5\n", "column 3"},
	{"m - 99999999999999999999 2 3 4 5\n", "column 3"},
	{"m yesterday 1 2 3 4 5\n", "since"},
	{"m 2026-13-01 1 2 3 4 5\n", "since"},
};

static void
a_wrong_table_is_refused_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct tl_prices *prices = NULL;
		struct tl_why why = {0};

		assert_int_equal(
			tl_prices_new(tl_slice_str(wrong[i].text), &prices, &why), TL_ECONFIG);
		if (strstr(why.text, wrong[i].says) == NULL)
			fail_msg("'%s': %s", wrong[i].text, why.text);
	}
}

static void
a_cost_past_the_integers_is_none(void **state)
{
	struct tl_prices *prices = table("m - 1000000000 1000000000 0 0 0\n");
	const struct tl_price_row *row = tl_prices_find(prices, tl_slice_str("m"), 0);
	struct tl_price_tokens tokens = {.input = 9223372036, .output = 1};
	int64_t cost_nusd = 7;

	(void)state;
	assert_false(tl_price_cost(row, &tokens, &cost_nusd));
	assert_int_equal(cost_nusd, 7);
	tokens.output = 0;
	assert_true(tl_price_cost(row, &tokens, &cost_nusd));
	tl_prices_free(prices);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_built_in_rows_give_what_agents_stated),
		cmocka_unit_test(a_model_without_a_row_is_unpriced),
		cmocka_unit_test(an_own_table_stands_over_the_built_in_one),
		cmocka_unit_test(a_later_row_counts_from_its_day),
		cmocka_unit_test(a_wrong_table_is_refused_with_its_line),
		cmocka_unit_test(a_cost_past_the_integers_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
