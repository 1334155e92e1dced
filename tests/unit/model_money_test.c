#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>

#include "schema/model/money.h"

static const struct {
	const char *says;
	int64_t nusd;
	const char *text;
} texts[] = {
	{"nothing has two places", 0, "0.00"},
	{"the smallest amount keeps nine places", 1, "0.000000001"},
	{"a cent", 10000000, "0.01"},
	{"half a dollar owed", -500000000, "-0.50"},
	{"zeros at the end go, down to two places", 1200000000, "1.20"},
	{"three places stay three", 1234000000, "1.234"},
	{"past 2^53 no digit is lost", 9007199254740993, "9007199.254740993"},
	{"a whole amount", 5000000000, "5.00"},
	{"the largest", INT64_MAX, "9223372036.854775807"},
	{"the smallest", INT64_MIN, "-9223372036.854775808"},
	{"one below zero", -1, "-0.000000001"},
};

static void
amounts_are_written_and_read_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[TL_USD_TEXT_BYTES];
		int64_t nusd = 7;

		tl_usd_format(texts[i].nusd, text);
		if (strcmp(text, texts[i].text) != 0)
			fail_msg("%s: '%s'", texts[i].says, text);
		if (!tl_usd_parse(tl_slice_str(text), &nusd) || nusd != texts[i].nusd)
			fail_msg("%s: read back as %" PRId64, texts[i].says, nusd);
	}
}

static void
random_amounts_survive_both_ways(void **state)
{
	uint64_t seed = 42;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[TL_USD_TEXT_BYTES];
		int64_t nusd;
		int64_t back = 0;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		nusd = (int64_t)seed >> (seed >> 32) % 63;
		tl_usd_format(nusd, text);
		if (!tl_usd_parse(tl_slice_str(text), &back) || back != nusd)
			fail_msg("%" PRId64 " became '%s'", nusd, text);
	}
}

static const struct {
	const char *says;
	const char *text;
	bool good;
	int64_t nusd;
} parses[] = {
	{"whole dollars", "12", true, 12000000000},
	{"one place", "12.5", true, 12500000000},
	{"nine places", "0.123456789", true, 123456789},
	{"minus zero is zero", "-0", true, 0},
	{"zeros in front", "0000000000000000000001.00", true, 1000000000},
	{"ten places", "0.1234567891", false, 0},
	{"ten places, the last zero", "0.1234567890", false, 0},
	{"nothing", "", false, 0},
	{"a sign alone", "-", false, 0},
	{"a point alone", ".", false, 0},
	{"no digit before the point", ".5", false, 0},
	{"no digit after the point", "5.", false, 0},
	{"a plus sign", "+5", false, 0},
	{"two signs", "--5", false, 0},
	{"a space before", " 5", false, 0},
	{"a space after", "5 ", false, 0},
	{"an exponent", "1e3", false, 0},
	{"not a number", "nan", false, 0},
	{"infinite", "inf", false, 0},
	{"a comma", "1,5", false, 0},
	{"two points", "1.2.3", false, 0},
	{"the largest", "9223372036.854775807", true, INT64_MAX},
	{"one above the largest", "9223372036.854775808", false, 0},
	{"the smallest", "-9223372036.854775808", true, INT64_MIN},
	{"one below the smallest", "-9223372036.854775809", false, 0},
	{"far too large", "99999999999999999999999999", false, 0},
	{"too large once the places are added", "9223372037", false, 0},
};

static void
only_decimal_dollars_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(parses) / sizeof(parses[0]); i++) {
		int64_t nusd = 77;
		bool good = tl_usd_parse(tl_slice_str(parses[i].text), &nusd);

		if (good != parses[i].good || nusd != (good ? parses[i].nusd : 77))
			fail_msg("%s: %d %" PRId64, parses[i].says, good, nusd);
	}
}

static void
a_zero_byte_does_not_end_the_text(void **state)
{
	int64_t nusd = 77;

	(void)state;
	assert_false(tl_usd_parse(tl_slice_of("5\0", 2), &nusd));
	assert_false(tl_usd_parse(tl_slice_of(NULL, 0), &nusd));
	assert_int_equal(nusd, 77);
}

static const struct {
	const char *says;
	int64_t sum;
	int64_t value;
	bool good;
	int64_t result;
} sums[] = {
	{"two amounts", 1, 2, true, 3},
	{"up to the largest", INT64_MAX - 1, 1, true, INT64_MAX},
	{"one past the largest", INT64_MAX, 1, false, INT64_MAX},
	{"down to the smallest", INT64_MIN + 1, -1, true, INT64_MIN},
	{"one past the smallest", INT64_MIN, -1, false, INT64_MIN},
	{"past 2^53", 1LL << 53, 1, true, (1LL << 53) + 1},
};

static void
sums_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
		int64_t sum = sums[i].sum;
		bool good = tl_sum_add(&sum, sums[i].value);

		if (good != sums[i].good || sum != sums[i].result)
			fail_msg("%s: %d %" PRId64, sums[i].says, good, sum);
	}
}

static const struct {
	const char *says;
	int64_t a, b, c;
	bool good;
	int64_t result;
} ratios[] = {
	{"exact", 6, 4, 3, true, 8},
	{"floors", 7, 1, 2, true, 3},
	{"nothing of something", 0, INT64_MAX, 1, true, 0},
	{"the product needs 126 bits", INT64_MAX, INT64_MAX, INT64_MAX, true, INT64_MAX},
	{"the result just fits", INT64_MAX, 2, 2, true, INT64_MAX},
	{"the result does not fit", INT64_MAX, 2, 1, false, 0},
	{"the result misses by one", 1LL << 62, 2, 1, false, 0},
	{"a share in ppm", 333, 1000000, 1000, true, 333000},
};

static void
ratios_are_taken_in_128_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
		int64_t result = 77;
		bool good = tl_muldiv(ratios[i].a, ratios[i].b, ratios[i].c, &result);

		if (good != ratios[i].good || result != (good ? ratios[i].result : 77))
			fail_msg("%s: %d %" PRId64, ratios[i].says, good, result);
	}
}

static const struct {
	const char *says;
	const char *text;
	int places;
	bool good;
	int64_t scaled;
} decimals[] = {
	{"dollars as a program printed a double", "0.027847249999999997", 9, true, 27847250},
	{"and one with fewer places", "0.0995565", 9, true, 99556500},
	{"half goes to the even neighbour below", "0.0000000025", 9, true, 2},
	{"half goes to the even neighbour above", "0.0000000035", 9, true, 4},
	{"half and a little goes up", "0.00000000250000001", 9, true, 3},
	{"half of the smallest is nothing", "0.0000000005", 9, true, 0},
	{"more than half of the smallest is it", "0.00000000051", 9, true, 1},
	{"less than a tenth of it is nothing", "0.00000000009", 9, true, 0},
	{"an exponent", "1.25e-07", 9, true, 125},
	{"an exponent upwards", "1.5E+3", 3, true, 1500000},
	{"a whole number", "12", 3, true, 12000},
	{"seconds to milliseconds", "61.2345", 3, true, 61234},
	{"below zero", "-0.0015", 3, true, -2},
	{"nothing behind the point", "7.", 3, true, 7000},
	{"a number past int64", "9223372036854775808", 0, false, 0},
	{"the largest", "9223372036854775807", 0, true, INT64_MAX},
	{"zero with an exponent", "0e400", 0, true, 0},
	{"an exponent past every double", "1e401", 0, false, 0},
	{"a number past int64 by its exponent", "1e300", 9, false, 0},
	{"no digit", ".", 9, false, 0},
	{"nothing", "", 9, false, 0},
	{"what is no number", "NaN", 9, false, 0},
	{"an exponent without digits", "1e", 9, false, 0},
	{"something behind it", "1.5 ", 9, false, 0},
	{"two points", "1.2.3", 9, false, 0},
};

static void
decimals_are_rounded_half_to_even(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(decimals) / sizeof(decimals[0]); i++) {
		int64_t scaled = 77;
		bool good = tl_decimal_round(
			tl_slice_str(decimals[i].text), decimals[i].places, &scaled);

		if (good != decimals[i].good || scaled != (good ? decimals[i].scaled : 77))
			fail_msg("%s: %d %" PRId64, decimals[i].says, good, scaled);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(amounts_are_written_and_read_back),
		cmocka_unit_test(random_amounts_survive_both_ways),
		cmocka_unit_test(only_decimal_dollars_are_read),
		cmocka_unit_test(a_zero_byte_does_not_end_the_text),
		cmocka_unit_test(sums_are_checked),
		cmocka_unit_test(ratios_are_taken_in_128_bits),
		cmocka_unit_test(decimals_are_rounded_half_to_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
