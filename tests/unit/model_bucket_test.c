#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "schema/model/bucket.h"

static const struct {
	const char *says;
	enum tl_span span;
	int64_t time_ms;
	int64_t floor_ms;
	int64_t ceil_ms;
	int64_t no;
} floors[] = {
	{"the epoch begins a quarter", TL_SPAN_15M, 0, 0, 0, 0},
	{"one ms later is inside", TL_SPAN_15M, 1, 0, 900000, 0},
	{"one ms before the epoch floors down", TL_SPAN_15M, -1, -900000, 0, -1},
	{"a bucket's start before 1970 is its own floor", TL_SPAN_15M, -900000, -900000, -900000,
		-1},
	{"one ms below it is the bucket before", TL_SPAN_15M, -900001, -1800000, -900000, -2},
	{"the last ms of an hour", TL_SPAN_1H, 3599999, 0, 3600000, 0},
	{"the first ms of the next hour", TL_SPAN_1H, 3600000, 3600000, 3600000, 1},
	{"a day before 1970", TL_SPAN_1D, -1, -86400000, 0, -1},
	{"a day today", TL_SPAN_1D, 1795258800000, 1795219200000, 1795305600000, 20778},
	{"the day of a leap year's end", TL_SPAN_1D, 1735689599999, 1735603200000, 1735689600000,
		20088},
};

static void
times_floor_downwards(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(floors) / sizeof(floors[0]); i++) {
		enum tl_span span = floors[i].span;
		int64_t time_ms = floors[i].time_ms;

		if (tl_bucket_floor(span, time_ms) != floors[i].floor_ms ||
			tl_bucket_ceil(span, time_ms) != floors[i].ceil_ms ||
			tl_bucket_no(span, time_ms) != floors[i].no)
			fail_msg("%s: %" PRId64 " %" PRId64 " %" PRId64, floors[i].says,
				tl_bucket_floor(span, time_ms), tl_bucket_ceil(span, time_ms),
				tl_bucket_no(span, time_ms));
	}
}

static void
each_span_holds_whole_smaller_ones(void **state)
{
	(void)state;
	assert_int_equal(tl_span_ms(TL_SPAN_15M), 15 * 60 * 1000);
	assert_int_equal(tl_span_ms(TL_SPAN_1H) % tl_span_ms(TL_SPAN_15M), 0);
	assert_int_equal(tl_span_ms(TL_SPAN_1D) % tl_span_ms(TL_SPAN_1H), 0);
	assert_string_equal(tl_span_name(TL_SPAN_15M), "15m");
	assert_string_equal(tl_span_name(TL_SPAN_1H), "1h");
	assert_string_equal(tl_span_name(TL_SPAN_1D), "1d");
}

/* The C library's calendar is the oracle, over years it agrees about with RFC 3339. */
static void
dates_agree_with_the_c_library(void **state)
{
	(void)state;
	for (int64_t day_no = -719528; day_no <= 2932896; day_no += 13) {
		struct tl_civil civil = tl_civil_of_day_no(day_no);
		time_t time_s = day_no * 86400;
		char text[TL_DAY_TEXT_BYTES];
		char wanted[40];
		struct tm tm;
		bool valid = false;

		gmtime_r(&time_s, &tm);
		snprintf(wanted, sizeof(wanted), "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
			tm.tm_mday);
		tl_day_format(day_no * TL_DAY_MS + 12345, text);
		assert_string_equal(text, wanted);
		assert_int_equal(tl_day_parse(text, &valid), day_no * TL_DAY_MS);
		assert_true(valid);
		assert_int_equal(tl_civil_day_no(civil), day_no);
		assert_int_equal(civil.year, tm.tm_year + 1900);
	}
}

static const struct {
	const char *says;
	const char *text;
	bool valid;
	int64_t start_ms;
} days[] = {
	{"a day", "2026-11-21", true, 1795219200000},
	{"a leap day", "2024-02-29", true, 1709164800000},
	{"a leap day of a century", "2000-02-29", true, 951782400000},
	{"no leap day in 1900", "1900-02-29", false, 0},
	{"no leap day in 2026", "2026-02-29", false, 0},
	{"before 1970", "1969-12-31", true, -86400000},
	{"the first day that can be written", "0000-01-01", true, -62167219200000},
	{"the last", "9999-12-31", true, 253402214400000},
	{"month 13", "2026-13-01", false, 0},
	{"month 0", "2026-00-01", false, 0},
	{"day 0", "2026-01-00", false, 0},
	{"day 32", "2026-01-32", false, 0},
	{"31 April", "2026-04-31", false, 0},
	{"one digit", "2026-1-01", false, 0},
	{"five digits", "12026-01-01", false, 0},
	{"something behind", "2026-01-01T", false, 0},
	{"a space in front", " 2026-01-01", false, 0},
	{"a sign", "-026-01-01", false, 0},
	{"cut short", "2026-01-0", false, 0},
	{"nothing", "", false, 0},
};

static void
days_are_read_strictly(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		bool valid = !days[i].valid;
		int64_t start_ms = tl_day_parse(days[i].text, &valid);

		if (valid != days[i].valid || start_ms != (valid ? days[i].start_ms : -1))
			fail_msg("%s: %d %" PRId64, days[i].says, valid, start_ms);
	}
}

static const struct {
	const char *says;
	const char *text;
	bool valid;
	int64_t time_ms;
} times[] = {
	{"UTC", "2026-11-21T10:00:00Z", true, 1795255200000},
	{"milliseconds", "2026-11-21T10:00:00.123Z", true, 1795255200123},
	{"one place is tenths", "2026-11-21T10:00:00.1Z", true, 1795255200100},
	{"nine places are cut", "2026-11-21T10:00:00.123999999Z", true, 1795255200123},
	{"ten places are refused", "2026-11-21T10:00:00.1239999999Z", false, 0},
	{"a point without a digit", "2026-11-21T10:00:00.Z", false, 0},
	{"lower case", "2026-11-21t10:00:00z", true, 1795255200000},
	{"a space between", "2026-11-21 10:00:00Z", true, 1795255200000},
	{"east of UTC", "2026-11-21T11:00:00+01:00", true, 1795255200000},
	{"west of UTC", "2026-11-21T02:30:00-07:30", true, 1795255200000},
	{"unknown local offset", "2026-11-21T10:00:00-00:00", true, 1795255200000},
	{"the offset moves it to the day before", "1970-01-01T00:30:00+01:00", true, -1800000},
	{"before 1970 the fraction still adds", "1969-12-31T23:59:59.250Z", true, -750},
	{"a leap second is the second after", "2016-12-31T23:59:60Z", true, 1483228800000},
	{"a leap second elsewhere on earth", "2017-01-01T08:59:60+09:00", true, 1483228800000},
	{"a leap second at noon", "2016-12-31T12:00:60Z", false, 0},
	{"second 61", "2016-12-31T23:59:61Z", false, 0},
	{"hour 24", "2026-11-21T24:00:00Z", false, 0},
	{"minute 60", "2026-11-21T10:60:00Z", false, 0},
	{"no offset", "2026-11-21T10:00:00", false, 0},
	{"an offset without a colon", "2026-11-21T10:00:00+0100", false, 0},
	{"an offset of a day", "2026-11-21T10:00:00+24:00", false, 0},
	{"an offset of 60 minutes", "2026-11-21T10:00:00+00:60", false, 0},
	{"no seconds", "2026-11-21T10:00Z", false, 0},
	{"a day that is not", "2026-02-30T10:00:00Z", false, 0},
	{"something behind", "2026-11-21T10:00:00Z ", false, 0},
	{"a date alone", "2026-11-21", false, 0},
	{"milliseconds since 1970", "1795255200000", false, 0},
	{"nothing", "", false, 0},
};

static void
times_are_read_as_rfc_3339(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		int64_t time_ms = 77;
		bool valid = tl_time_parse(times[i].text, &time_ms);

		if (valid != times[i].valid || time_ms != (valid ? times[i].time_ms : 77))
			fail_msg("%s: %d %" PRId64, times[i].says, valid, time_ms);
	}
}

static void
times_are_written_in_utc_and_read_back(void **state)
{
	char text[TL_TIME_TEXT_BYTES];
	int64_t back = 0;

	(void)state;
	tl_time_format(1795255200123, text);
	assert_string_equal(text, "2026-11-21T10:00:00.123Z");
	tl_time_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	for (int64_t time_ms = -62167219200000; time_ms < 253402300800000; time_ms += 86399999999) {
		tl_time_format(time_ms, text);
		assert_true(tl_time_parse(text, &back));
		assert_int_equal(back, time_ms);
	}
}

static void
times_out_of_four_digits_show_the_nearest_day(void **state)
{
	char text[TL_DAY_TEXT_BYTES];
	char time_text[TL_TIME_TEXT_BYTES];

	(void)state;
	tl_day_format(253402300800000, text);
	assert_string_equal(text, "9999-12-31");
	tl_day_format(-62167219200001, text);
	assert_string_equal(text, "0000-01-01");
	tl_time_format(1LL << 53, time_text);
	assert_memory_equal(time_text, "9999-12-31T", 11);
	tl_time_format(-(1LL << 53), time_text);
	assert_memory_equal(time_text, "0000-01-01T", 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_floor_downwards),
		cmocka_unit_test(each_span_holds_whole_smaller_ones),
		cmocka_unit_test(dates_agree_with_the_c_library),
		cmocka_unit_test(days_are_read_strictly),
		cmocka_unit_test(times_are_read_as_rfc_3339),
		cmocka_unit_test(times_are_written_in_utc_and_read_back),
		cmocka_unit_test(times_out_of_four_digits_show_the_nearest_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
