#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>

#include "schema/model/totals.h"

static void
names_and_fields_share_one_order(void **state)
{
	struct tl_totals totals = {0};

	(void)state;
	for (int i = 0; i < TL_MEASURE_COUNT; i++)
		totals.measure[i] = 100 + i;
	assert_int_equal(totals.requests, 100);
	assert_int_equal(totals.fix_ms, 100 + TL_MEASURE_COUNT - 1);
	assert_int_equal(totals.cost_nusd, 100 + TL_MEASURE_cost_nusd);
	assert_string_equal(tl_measure_name(TL_MEASURE_requests), "requests");
	assert_string_equal(tl_measure_name(TL_MEASURE_cost_plan_nusd), "cost_plan_nusd");
	assert_string_equal(tl_measure_name(TL_MEASURE_fix_ms), "fix_ms");
}

static const struct {
	const char *says;
	int64_t sum;
	int64_t value;
	int sign;
	enum tl_err err;
	int64_t result;
} adds[] = {
	{"adds", 5, 7, 1, TL_OK, 12},
	{"takes back", 12, 7, -1, TL_OK, 5},
	{"takes back to nothing", 7, 7, -1, TL_OK, 0},
	{"up to the largest", INT64_MAX - 3, 3, 1, TL_OK, INT64_MAX},
	{"one past the largest", INT64_MAX - 3, 4, 1, TL_EAMOUNT_OVERFLOW, 0},
	{"down to the smallest", INT64_MIN + 3, 3, -1, TL_OK, INT64_MIN},
	{"one past the smallest", INT64_MIN + 3, 4, -1, TL_EAMOUNT_OVERFLOW, 0},
	{"taking back the smallest", 0, INT64_MIN, -1, TL_EAMOUNT_OVERFLOW, 0},
	{"past 2^53", (1LL << 53), 1, 1, TL_OK, (1LL << 53) + 1},
};

/* In every measure: none may be forgotten by the loop. */
static void
every_measure_adds_and_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(adds) / sizeof(adds[0]); i++) {
		for (int m = 0; m < TL_MEASURE_COUNT; m++) {
			struct tl_totals sum = {0};
			struct tl_totals value = {0};
			struct tl_totals wanted = {0};
			enum tl_err err;

			sum.measure[m] = adds[i].sum;
			value.measure[m] = adds[i].value;
			wanted.measure[m] = adds[i].result;
			err = tl_totals_add(&sum, &value, adds[i].sign);
			if (err != adds[i].err || (!err && !tl_totals_eq(&sum, &wanted)))
				fail_msg("%s: %s: %d %" PRId64, adds[i].says,
					tl_measure_name((enum tl_measure)m), err, sum.measure[m]);
		}
	}
}

static void
zero_and_equality_look_at_every_measure(void **state)
{
	struct tl_totals zero = {0};

	(void)state;
	assert_true(tl_totals_is_zero(&zero));
	for (int m = 0; m < TL_MEASURE_COUNT; m++) {
		struct tl_totals totals = {0};

		totals.measure[m] = -1;
		assert_false(tl_totals_is_zero(&totals));
		assert_false(tl_totals_eq(&totals, &zero));
		assert_true(tl_totals_eq(&totals, &totals));
	}
}

static void
tokens_count_each_class_once(void **state)
{
	struct tl_totals totals = {.requests = 3,
		.cost_nusd = 1000000,
		.input_tokens = 1,
		.cache_read_tokens = 10,
		.cache_write_tokens = 100,
		.cache_write_1h_tokens = 100,
		.output_tokens = 1000,
		.reasoning_tokens = 999,
		.saved_tokens = 50000};
	struct tl_totals large = {.input_tokens = (1LL << 61) - 1,
		.cache_read_tokens = (1LL << 61) - 1,
		.cache_write_tokens = (1LL << 61) - 1,
		.output_tokens = (1LL << 61) - 1};

	(void)state;
	assert_int_equal(tl_totals_tokens(&totals), 1111);
	assert_int_equal(tl_totals_tokens_uncached(&totals), 1101);
	assert_int_equal(tl_totals_value(&totals, TL_METRIC_COST), 1000000);
	assert_int_equal(tl_totals_value(&totals, TL_METRIC_TOKENS), 1111);
	assert_int_equal(tl_totals_value(&totals, TL_METRIC_TOKENS_UNCACHED), 1101);
	assert_int_equal(tl_totals_value(&totals, TL_METRIC_REQUESTS), 3);
	assert_int_equal(tl_totals_tokens(&large), 4 * ((1LL << 61) - 1));
}

static const struct {
	const char *says;
	int64_t amount;
	uint32_t part_count;
	uint32_t start_idx;
	int64_t shares[4];
} shares[] = {
	{"one part takes all", 7, 1, 0, {7}},
	{"an even split", 9, 3, 0, {3, 3, 3}},
	{"the remainder begins at the first", 10, 3, 0, {4, 3, 3}},
	{"or where it is told to", 10, 3, 1, {3, 4, 3}},
	{"and goes around", 11, 3, 2, {4, 3, 4}},
	{"the start counts modulo the parts", 10, 3, 7, {3, 4, 3}},
	{"less than one each", 2, 4, 3, {1, 0, 0, 1}},
	{"nothing", 0, 4, 1, {0, 0, 0, 0}},
	{"a large amount", INT64_MAX, 2, 1, {INT64_MAX / 2, INT64_MAX / 2 + 1}},
	{"a start at the end of its range", 5, 2, UINT32_MAX, {2, 3}},
	{"an amount taken back floors", -1, 3, 0, {0, 0, -1}},
};

static void
shares_floor_and_hand_out_the_remainder(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		for (uint32_t part = 0; part < shares[i].part_count; part++) {
			int64_t share = tl_share(
				shares[i].amount, shares[i].part_count, part, shares[i].start_idx);

			if (share != shares[i].shares[part])
				fail_msg("%s: part %u gets %" PRId64, shares[i].says, part, share);
		}
	}
}

static void
shares_of_all_parts_add_up(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct tl_totals totals;
		struct tl_totals sum = {0};
		uint32_t part_count;
		uint32_t start_idx;

		for (int m = 0; m < TL_MEASURE_COUNT; m++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			totals.measure[m] = (int64_t)(seed >> 1) >> (seed >> 40) % 63;
		}
		part_count = (uint32_t)(seed >> 33) % 20 + 1;
		start_idx = (uint32_t)(seed >> 20);
		for (uint32_t part = 0; part < part_count; part++) {
			struct tl_totals share;

			tl_totals_share(&totals, part_count, part, start_idx, &share);
			assert_int_equal(tl_totals_add(&sum, &share, 1), TL_OK);
			for (int m = 0; m < TL_MEASURE_COUNT; m++) {
				int64_t even = totals.measure[m] / part_count;

				assert_in_range(share.measure[m] - even, 0, 1);
			}
		}
		assert_true(tl_totals_eq(&sum, &totals));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_fields_share_one_order),
		cmocka_unit_test(every_measure_adds_and_is_checked),
		cmocka_unit_test(zero_and_equality_look_at_every_measure),
		cmocka_unit_test(tokens_count_each_class_once),
		cmocka_unit_test(shares_floor_and_hand_out_the_remainder),
		cmocka_unit_test(shares_of_all_parts_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
