#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/model/window.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define FIXED_COUNT TL_RANGE_FIXED_COUNT

static const char *const zone_names[] = {"UTC", "Etc/GMT+12", "Europe/Berlin", "Europe/London",
	"Europe/Dublin", "Europe/Lisbon", "Europe/Moscow", "America/New_York",
	"America/Los_Angeles", "America/St_Johns", "America/Sao_Paulo", "America/Santiago",
	"America/Caracas", "America/Havana", "America/Asuncion", "America/Nuuk",
	"America/Scoresbysund", "Africa/Casablanca", "Africa/Cairo", "Africa/Johannesburg",
	"Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran", "Asia/Beirut", "Asia/Gaza",
	"Asia/Pyongyang", "Asia/Tokyo", "Australia/Sydney", "Australia/Adelaide",
	"Australia/Lord_Howe", "Australia/Eucla", "Pacific/Auckland", "Pacific/Chatham",
	"Pacific/Apia", "Pacific/Kiritimati", "Pacific/Easter", "Pacific/Marquesas",
	"Antarctica/Troll"};

static uint64_t seed = 20261121;

static uint64_t
next_random(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 20;
}

static const struct tl_zone *
zone_of(const char *name)
{
	const struct tl_zone *zone = NULL;
	struct tl_why why = {""};

	if (tl_zone_get(tl_slice_str(name), &zone, &why))
		fail_msg("%s", why.text);
	return zone;
}

static int64_t
time_of(const char *text)
{
	int64_t time_ms = 0;

	if (!tl_time_parse(text, &time_ms))
		fail_msg("'%s' is not a time", text);
	return time_ms;
}

static void
ranges_have_names(void **state)
{
	static const char *const names[] = {"24h", "7d", "30d", "90d", "custom"};
	enum tl_range range = TL_RANGE_CUSTOM;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		assert_string_equal(tl_range_name((enum tl_range)i), names[i]);
		assert_true(tl_range_parse(tl_slice_str(names[i]), &range));
		assert_int_equal(range, i);
	}
	assert_false(tl_range_parse(tl_slice_str(""), &range));
	assert_false(tl_range_parse(tl_slice_str("7"), &range));
	assert_false(tl_range_parse(tl_slice_str("7D"), &range));
	assert_false(tl_range_parse(tl_slice_str("7d "), &range));
	assert_false(tl_range_parse(tl_slice_of(NULL, 0), &range));
	assert_int_equal(range, TL_RANGE_CUSTOM);
}

/*
 * Where bins lie. The edges named are those of bins first_idx and on; each is written with the
 * zone's offset, so that the local clock can be read in the table.
 */
static const struct {
	const char *says;
	enum tl_range range;
	const char *zone;
	const char *now;
	uint32_t first_idx;
	const char *edges[6]; /* up to NULL */
} bins[] = {
	{"an hour in UTC", TL_RANGE_24H, "UTC", "2026-11-21T10:20:00Z", 22,
		{"2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"}},
	{"now on an edge begins the last bin", TL_RANGE_24H, "UTC", "2026-11-21T10:00:00Z", 22,
		{"2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"}},
	{"one ms earlier is in the bin before", TL_RANGE_24H, "UTC", "2026-11-21T09:59:59.999Z", 22,
		{"2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z"}},
	{"24 hours begin 23 hours before this one", TL_RANGE_24H, "UTC", "2026-11-21T10:20:00Z", 0,
		{"2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z"}},
	{"before 1970", TL_RANGE_24H, "UTC", "1969-12-31T23:30:00Z", 22,
		{"1969-12-31T22:00:00Z", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z"}},
	{"whole hours of India are half hours of UTC", TL_RANGE_24H, "Asia/Kolkata",
		"2026-11-21T10:20:00Z", 23,
		{"2026-11-21T15:00:00+05:30", "2026-11-21T16:00:00+05:30"}},
	{"and of Nepal quarters", TL_RANGE_24H, "Asia/Kathmandu", "2026-11-21T10:20:00Z", 23,
		{"2026-11-21T16:00:00+05:45", "2026-11-21T17:00:00+05:45"}},
	{"an hour skipped has no bin", TL_RANGE_24H, "Europe/Berlin", "2026-03-29T03:30:00+02:00",
		21,
		{"2026-03-29T00:00:00+01:00", "2026-03-29T01:00:00+01:00",
			"2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"}},
	{"an hour repeated has two", TL_RANGE_24H, "Europe/Berlin", "2026-10-25T03:30:00+01:00", 20,
		{"2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00",
			"2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00",
			"2026-10-25T04:00:00+01:00"}},
	{"half an hour skipped makes a bin of 30 minutes", TL_RANGE_24H, "Australia/Lord_Howe",
		"2026-10-04T03:30:00+11:00", 21,
		{"2026-10-04T01:00:00+10:30", "2026-10-04T02:30:00+11:00",
			"2026-10-04T03:00:00+11:00", "2026-10-04T04:00:00+11:00"}},
	{"half an hour repeated makes one of 90", TL_RANGE_24H, "Australia/Lord_Howe",
		"2026-04-05T02:30:00+10:30", 21,
		{"2026-04-05T00:00:00+11:00", "2026-04-05T01:00:00+11:00",
			"2026-04-05T02:00:00+10:30", "2026-04-05T03:00:00+10:30"}},
	{"a zone that moves by half an hour for good", TL_RANGE_24H, "America/Caracas",
		"2016-05-01T04:30:00-04:00", 20,
		{"2016-05-01T01:00:00-04:30", "2016-05-01T02:00:00-04:30",
			"2016-05-01T03:00:00-04:00", "2016-05-01T04:00:00-04:00",
			"2016-05-01T05:00:00-04:00"}},
	{"a clock put back a minute past midnight repeats the hour before", TL_RANGE_24H,
		"America/St_Johns", "2005-10-30T00:30:00-03:30", 20,
		{"2005-10-29T22:00:00-02:30", "2005-10-29T23:00:00-02:30",
			"2005-10-30T00:00:00-02:30", "2005-10-30T00:00:00-03:30",
			"2005-10-30T01:00:00-03:30"}},

	{"six hours in UTC", TL_RANGE_7D, "UTC", "2026-11-21T10:20:00Z", 25,
		{"2026-11-20T18:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T06:00:00Z",
			"2026-11-21T12:00:00Z"}},
	{"28 of them begin seven days before", TL_RANGE_7D, "UTC", "2026-11-21T10:20:00Z", 0,
		{"2026-11-14T12:00:00Z", "2026-11-14T18:00:00Z"}},
	{"five hours when one is skipped", TL_RANGE_7D, "Europe/Berlin",
		"2026-03-29T11:00:00+02:00", 25,
		{"2026-03-28T18:00:00+01:00", "2026-03-29T00:00:00+01:00",
			"2026-03-29T06:00:00+02:00", "2026-03-29T12:00:00+02:00"}},
	{"seven when one is repeated", TL_RANGE_7D, "Europe/Berlin", "2026-10-25T11:00:00+01:00",
		25,
		{"2026-10-24T18:00:00+02:00", "2026-10-25T00:00:00+02:00",
			"2026-10-25T06:00:00+01:00", "2026-10-25T12:00:00+01:00"}},
	{"the repeated hour belongs to the bin that had it first", TL_RANGE_7D, "Europe/Berlin",
		"2026-10-25T02:30:00+01:00", 26,
		{"2026-10-24T18:00:00+02:00", "2026-10-25T00:00:00+02:00",
			"2026-10-25T06:00:00+01:00"}},

	{"a day in UTC", TL_RANGE_30D, "UTC", "2026-11-21T10:20:00Z", 28,
		{"2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"}},
	{"30 of them begin 29 days before today", TL_RANGE_30D, "UTC", "2026-11-21T10:20:00Z", 0,
		{"2026-10-23T00:00:00Z"}},
	{"90 of them begin 89 days before today", TL_RANGE_90D, "UTC", "2026-11-21T10:20:00Z", 0,
		{"2026-08-24T00:00:00Z"}},
	{"a leap day is a day", TL_RANGE_30D, "UTC", "2028-03-01T12:00:00Z", 27,
		{"2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z",
			"2028-03-02T00:00:00Z"}},
	{"a day of 23 hours", TL_RANGE_30D, "Europe/Berlin", "2026-03-30T12:00:00+02:00", 27,
		{"2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00",
			"2026-03-30T00:00:00+02:00", "2026-03-31T00:00:00+02:00"}},
	{"a day of 25 hours", TL_RANGE_90D, "Europe/Berlin", "2026-10-26T12:00:00+01:00", 87,
		{"2026-10-24T00:00:00+02:00", "2026-10-25T00:00:00+02:00",
			"2026-10-26T00:00:00+01:00", "2026-10-27T00:00:00+01:00"}},
	{"a day west of UTC", TL_RANGE_30D, "America/Los_Angeles", "2026-11-21T03:00:00Z", 29,
		{"2026-11-20T00:00:00-08:00", "2026-11-21T00:00:00-08:00"}},
	{"midnight skipped begins at the jump", TL_RANGE_30D, "America/Sao_Paulo",
		"2018-11-05T12:00:00-02:00", 27,
		{"2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00",
			"2018-11-05T00:00:00-02:00", "2018-11-06T00:00:00-02:00"}},
	{"now just after the midnight that was skipped", TL_RANGE_30D, "America/Sao_Paulo",
		"2018-11-04T01:00:00-02:00", 28,
		{"2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00",
			"2018-11-05T00:00:00-02:00"}},
	{"midnight skipped in Beirut", TL_RANGE_30D, "Asia/Beirut", "2026-03-29T12:00:00+03:00", 28,
		{"2026-03-28T00:00:00+02:00", "2026-03-29T01:00:00+03:00",
			"2026-03-30T00:00:00+03:00"}},
	{"midnight put back to eleven is not yet the next day", TL_RANGE_30D, "America/Sao_Paulo",
		"2018-02-17T23:30:00-03:00", 28,
		{"2018-02-16T00:00:00-02:00", "2018-02-17T00:00:00-02:00",
			"2018-02-18T00:00:00-03:00"}},
	{"midnight repeated begins the day once", TL_RANGE_30D, "America/Havana",
		"2025-11-02T12:00:00-05:00", 28,
		{"2025-11-01T00:00:00-04:00", "2025-11-02T00:00:00-04:00",
			"2025-11-03T00:00:00-05:00"}},
	{"a day begun a minute before the clock is put back stays begun", TL_RANGE_30D,
		"America/St_Johns", "2005-10-29T23:30:00-03:30", 28,
		{"2005-10-29T00:00:00-02:30", "2005-10-30T00:00:00-02:30",
			"2005-10-31T00:00:00-03:30"}},
	{"a day skipped has no bin", TL_RANGE_30D, "Pacific/Apia", "2012-01-01T12:00:00+14:00", 26,
		{"2011-12-28T00:00:00-10:00", "2011-12-29T00:00:00-10:00",
			"2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00",
			"2012-01-02T00:00:00+14:00"}},
	{"nor have its quarters", TL_RANGE_7D, "Pacific/Apia", "2011-12-31T01:00:00+14:00", 25,
		{"2011-12-29T12:00:00-10:00", "2011-12-29T18:00:00-10:00",
			"2011-12-31T00:00:00+14:00", "2011-12-31T06:00:00+14:00"}},
};

static void
bins_lie_on_the_local_clock(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bins); i++) {
		struct tl_window window;

		tl_window_fixed(
			bins[i].range, zone_of(bins[i].zone), time_of(bins[i].now), &window);
		for (uint32_t k = 0; k < 6 && bins[i].edges[k] != NULL; k++) {
			char text[TL_TIME_TEXT_BYTES];

			assert_in_range(bins[i].first_idx + k, 0, window.bin_count);
			tl_time_format(window.edge_ms[bins[i].first_idx + k], text);
			if (window.edge_ms[bins[i].first_idx + k] != time_of(bins[i].edges[k]))
				fail_msg("%s: edge %u is %s", bins[i].says, bins[i].first_idx + k,
					text);
		}
	}
}

static const uint32_t fixed_bin_counts[FIXED_COUNT] = {24, 28, 30, 90};

static void
check_window(const struct tl_window *window)
{
	for (uint32_t i = 0; i < window->bin_count; i++) {
		assert_true(window->edge_ms[i] < window->edge_ms[i + 1]);
		assert_int_equal(tl_window_bin(window, window->edge_ms[i]), i);
		assert_int_equal(tl_window_bin(window, window->edge_ms[i + 1] - 1), i);
	}
	assert_int_equal(tl_window_bin(window, tl_window_start_ms(window) - 1), -1);
	assert_int_equal(tl_window_bin(window, tl_window_end_ms(window)), -1);
	assert_int_equal(tl_window_bin(window, INT64_MIN), -1);
	assert_int_equal(tl_window_bin(window, INT64_MAX), -1);
}

/* A time near a jump of the zone's clock more often than not. */
static int64_t
random_now(const struct tl_zone *zone)
{
	int64_t now_ms = (int64_t)(next_random() % 8000000000000) - 2000000000000;
	struct tl_stretch stretch = tl_zone_stretch(zone, now_ms);

	if (next_random() % 4 == 0 || stretch.end_ms > 10000000000000)
		return now_ms;
	return stretch.end_ms + (int64_t)(next_random() % (4 * TL_DAY_MS)) - TL_DAY_MS;
}

static void
windows_hold_now_and_join_what_was_before(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		const struct tl_zone *zone = zone_of(zone_names[i]);

		for (int k = 0; k < 400; k++) {
			enum tl_range range = (enum tl_range)(k % FIXED_COUNT);
			int64_t now_ms = random_now(zone);
			struct tl_window window, before, again;

			tl_window_fixed(range, zone, now_ms, &window);
			assert_int_equal(window.range, range);
			assert_ptr_equal(window.zone, zone);
			assert_int_equal(window.bin_count, fixed_bin_counts[range]);
			check_window(&window);
			assert_int_equal(tl_window_bin(&window, now_ms), window.bin_count - 1);

			tl_window_fixed(range, zone, tl_window_end_ms(&window) - 1, &again);
			assert_memory_equal(again.edge_ms, window.edge_ms,
				(window.bin_count + 1) * sizeof(window.edge_ms[0]));

			tl_window_before(&window, &before);
			check_window(&before);
			assert_int_equal(before.bin_count, window.bin_count);
			assert_int_equal(tl_window_end_ms(&before), tl_window_start_ms(&window));
			tl_window_fixed(range, zone, tl_window_start_ms(&window) - 1, &again);
			assert_memory_equal(again.edge_ms, before.edge_ms,
				(window.bin_count + 1) * sizeof(window.edge_ms[0]));
		}
	}
}

static struct tm
libc_local(int64_t time_ms)
{
	time_t time_s = time_ms / 1000 - (time_ms % 1000 < 0);
	struct tm tm;

	assert_non_null(localtime_r(&time_s, &tm));
	return tm;
}

/* The local clock as if it were UTC. */
static int64_t
libc_local_s(int64_t time_ms)
{
	struct tm tm = libc_local(time_ms);

	return timegm(&tm);
}

/* Looked at each quarter of an hour: wider bins than an hour may read a multiple again. */
static void
check_inside(const struct tl_window *window, uint32_t bin_idx, int64_t width_s)
{
	int64_t first_s = libc_local_s(window->edge_ms[bin_idx]);
	int64_t time_ms = window->edge_ms[bin_idx] + TL_QUARTER_MS;

	for (; time_ms < window->edge_ms[bin_idx + 1]; time_ms += TL_QUARTER_MS) {
		int64_t local_s = libc_local_s(time_ms);

		if (local_s % width_s == 0 && (width_s == 3600 || local_s > first_s))
			fail_msg("%s: no edge at %" PRId64, tl_zone_name(window->zone), time_ms);
	}
}

/*
 * By the C library's clock an edge reads a multiple of the width, or the clock jumps there, and
 * nothing inside a bin should have been an edge.
 */
static void
edges_agree_with_the_c_library(void **state)
{
	static const int width_h[FIXED_COUNT] = {1, 6, 24, 24};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		const struct tl_zone *zone = zone_of(zone_names[i]);

		setenv("TZ", zone_names[i], 1);
		tzset();
		for (int k = 0; k < 60; k++) {
			enum tl_range range = (enum tl_range)(k % FIXED_COUNT);
			struct tl_window window;

			tl_window_fixed(range, zone, random_now(zone), &window);
			for (uint32_t b = 0; b < window.bin_count; b++) {
				struct tm at = libc_local(window.edge_ms[b]);
				struct tm before = libc_local(window.edge_ms[b] - 1);
				bool jumps = at.tm_gmtoff > before.tm_gmtoff;

				assert_int_equal(window.edge_ms[b] % 1000, 0);
				if (!jumps)
					assert_true(at.tm_hour % width_h[range] == 0 &&
						    at.tm_min == 0 && at.tm_sec == 0);
				if (range == TL_RANGE_30D || range == TL_RANGE_90D)
					assert_int_not_equal(at.tm_mday, before.tm_mday);
				if (b % 4 == 0 || range == TL_RANGE_24H)
					check_inside(&window, b, width_h[range] * 3600);
			}
		}
	}
}

/* St. John's jumped at 00:01 for some years, which leaves a bin of a minute. */
static void
no_jump_makes_an_hour_too_long(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		const struct tl_zone *zone = zone_of(zone_names[i]);

		for (int k = 0; k < 200; k++) {
			int64_t now_ms = random_now(zone);
			struct tl_window window;

			if (now_ms < 0) /* before 1970 clocks jumped by any amount */
				now_ms = -now_ms;
			tl_window_fixed(TL_RANGE_24H, zone, now_ms, &window);
			for (uint32_t b = 0; b < window.bin_count; b++)
				assert_in_range(window.edge_ms[b + 1] - window.edge_ms[b],
					TL_MINUTE_MS, 90 * TL_MINUTE_MS);
		}
	}
}

/* Widths and edges of custom ranges. */
static const struct {
	const char *says;
	const char *zone;
	const char *from;
	const char *to;
	uint32_t bin_count;
	const char *edges[6]; /* the first ones, up to NULL */
} customs[] = {
	{"a millisecond is one bin", "UTC", "2026-11-21T10:00:00Z", "2026-11-21T10:00:00.001Z", 1,
		{"2026-11-21T10:00:00Z", "2026-11-21T10:00:00.001Z"}},
	{"an hour has four quarters", "UTC", "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z", 4,
		{"2026-11-21T10:00:00Z", "2026-11-21T10:15:00Z"}},
	{"the outer bins end at from and to", "UTC", "2026-11-21T10:07:00.001Z",
		"2026-11-21T10:31:00Z", 3,
		{"2026-11-21T10:07:00.001Z", "2026-11-21T10:15:00Z", "2026-11-21T10:30:00Z",
			"2026-11-21T10:31:00Z"}},
	{"120 quarters", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T06:00:00Z", 120,
		{"2026-11-21T00:00:00Z", "2026-11-21T00:15:00Z"}},
	{"one ms more takes half hours", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T06:00:00.001Z",
		61, {"2026-11-21T00:00:00Z", "2026-11-21T00:30:00Z"}},
	{"as long but not cut whole takes them too", "UTC", "2026-11-21T00:07:00Z",
		"2026-11-22T06:07:00Z", 61, {"2026-11-21T00:07:00Z", "2026-11-21T00:30:00Z"}},
	{"120 half hours", "UTC", "2026-11-21T00:00:00Z", "2026-11-23T12:00:00Z", 120,
		{"2026-11-21T00:00:00Z", "2026-11-21T00:30:00Z"}},
	{"120 hours", "UTC", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z", 120,
		{"2026-11-01T00:00:00Z", "2026-11-01T01:00:00Z"}},
	{"ten days in bins of two hours", "UTC", "2026-11-01T00:00:00Z", "2026-11-11T00:00:00Z",
		120, {"2026-11-01T00:00:00Z", "2026-11-01T02:00:00Z"}},
	{"fifteen days of three hours", "UTC", "2026-11-01T00:00:00Z", "2026-11-16T00:00:00Z", 120,
		{"2026-11-01T00:00:00Z", "2026-11-01T03:00:00Z"}},
	{"thirty days of six hours", "UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", 120,
		{"2026-11-01T00:00:00Z", "2026-11-01T06:00:00Z"}},
	{"sixty days of twelve hours", "UTC", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z", 120,
		{"2026-11-01T00:00:00Z", "2026-11-01T12:00:00Z"}},
	{"120 days", "UTC", "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z", 120,
		{"2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"}},
	{"240 days of two days", "UTC", "2026-01-01T00:00:00Z", "2026-08-29T00:00:00Z", 120,
		{"2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"}},
	{"two days are counted from from's day", "UTC", "2026-01-02T15:00:00Z",
		"2026-08-01T00:00:00Z", 106,
		{"2026-01-02T15:00:00Z", "2026-01-04T00:00:00Z", "2026-01-06T00:00:00Z"}},
	{"400 days of four days", "UTC", "2026-01-01T00:00:00Z", "2027-02-05T00:00:00Z", 100,
		{"2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z"}},
	{"400 days from the middle of one", "UTC", "2026-01-01T12:00:00Z", "2027-02-05T12:00:00Z",
		101, {"2026-01-01T12:00:00Z", "2026-01-05T00:00:00Z"}},
	{"bins are cut in the zone", "Asia/Kathmandu", "2026-11-01T00:00:00+05:45",
		"2026-11-11T00:00:00+05:45", 120,
		{"2026-11-01T00:00:00+05:45", "2026-11-01T02:00:00+05:45"}},
	{"also from elsewhere", "Asia/Kathmandu", "2026-11-01T00:00:00Z", "2026-11-11T00:00:00Z",
		81,
		{"2026-11-01T05:45:00+05:45", "2026-11-01T06:00:00+05:45",
			"2026-11-01T09:00:00+05:45"}},
	{"a day of 25 hours has 25 bins of an hour", "Europe/Berlin", "2026-10-25T00:00:00+02:00",
		"2026-10-29T00:00:00+01:00", 97,
		{"2026-10-25T00:00:00+02:00", "2026-10-25T01:00:00+02:00",
			"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00",
			"2026-10-25T03:00:00+01:00"}},
	{"and a quarter repeated is two bins", "Europe/Berlin", "2026-10-25T02:30:00+02:00",
		"2026-10-25T02:30:00+01:00", 4,
		{"2026-10-25T02:30:00+02:00", "2026-10-25T02:45:00+02:00",
			"2026-10-25T02:00:00+01:00", "2026-10-25T02:15:00+01:00",
			"2026-10-25T02:30:00+01:00"}},
	{"wider bins grow by the hour", "Europe/Berlin", "2026-10-25T00:00:00+02:00",
		"2026-11-02T00:00:00+01:00", 96,
		{"2026-10-25T00:00:00+02:00", "2026-10-25T02:00:00+02:00",
			"2026-10-25T04:00:00+01:00", "2026-10-25T06:00:00+01:00"}},
	{"or shrink", "Europe/Berlin", "2026-03-29T00:00:00+01:00", "2026-04-06T00:00:00+02:00", 96,
		{"2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00",
			"2026-03-29T04:00:00+02:00", "2026-03-29T06:00:00+02:00"}},
	{"days are days of the zone", "Europe/Berlin", "2026-03-01T00:00:00+01:00",
		"2026-06-01T00:00:00+02:00", 92,
		{"2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00"}},
	{"400 days of the calendar, one of 25 hours", "Europe/Berlin", "2023-10-01T00:00:00+02:00",
		"2024-11-04T00:00:00+01:00", 100, {"2023-10-01T00:00:00+02:00"}},
	{"400 days in hours, one hour short of the calendar's", "Europe/Berlin",
		"2023-10-01T00:00:00+02:00", "2024-11-03T23:00:00+01:00", 100,
		{"2023-10-01T00:00:00+02:00"}},
	{"400 days in hours, one hour past the calendar's", "Europe/Berlin",
		"2023-03-01T00:00:00+01:00", "2024-04-04T01:00:00+02:00", 101,
		{"2023-03-01T00:00:00+01:00"}},
	{"a day skipped", "Pacific/Apia", "2011-12-28T00:00:00-10:00", "2012-01-02T00:00:00+14:00",
		96, {"2011-12-28T00:00:00-10:00", "2011-12-28T01:00:00-10:00"}},
	{"before 1970", "UTC", "1969-12-31T23:00:00Z", "1970-01-01T01:00:00Z", 8,
		{"1969-12-31T23:00:00Z", "1969-12-31T23:15:00Z"}},
};

static void
custom_ranges_take_the_smallest_width_that_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(customs); i++) {
		struct tl_window window;
		struct tl_why why = {""};
		int64_t from_ms = time_of(customs[i].from);
		int64_t to_ms = time_of(customs[i].to);

		if (tl_window_custom(zone_of(customs[i].zone), from_ms, to_ms, &window, &why))
			fail_msg("%s: %s", customs[i].says, why.text);
		check_window(&window);
		if (window.bin_count != customs[i].bin_count)
			fail_msg("%s: %u bins", customs[i].says, window.bin_count);
		assert_int_equal(window.range, TL_RANGE_CUSTOM);
		assert_int_equal(tl_window_start_ms(&window), from_ms);
		assert_int_equal(tl_window_end_ms(&window), to_ms);
		for (uint32_t k = 0; k < 6 && customs[i].edges[k] != NULL; k++) {
			char text[TL_TIME_TEXT_BYTES];

			tl_time_format(window.edge_ms[k], text);
			if (window.edge_ms[k] != time_of(customs[i].edges[k]))
				fail_msg("%s: edge %u is %s", customs[i].says, k, text);
		}
	}
}

static const struct {
	const char *says;
	const char *zone;
	int64_t from_ms;
	int64_t to_ms;
	enum tl_err err;
} limits[] = {
	{"from and to are one", "UTC", 5, 5, TL_ERANGE_INVALID},
	{"from is after to", "UTC", 6, 5, TL_ERANGE_INVALID},
	{"the whole of time", "UTC", INT64_MIN, INT64_MAX, TL_ERANGE_INVALID},
	{"from is no time", "UTC", INT64_MIN, 0, TL_ERANGE_INVALID},
	{"to is no time", "UTC", 0, INT64_MAX, TL_ERANGE_INVALID},
	{"400 days", "UTC", 0, 400 * TL_DAY_MS, TL_OK},
	{"one ms more", "UTC", 0, 400 * TL_DAY_MS + 1, TL_ERANGE_TOO_LONG},
	{"the last 400 days there are", "UTC", (1LL << 53) - 400 * TL_DAY_MS, 1LL << 53, TL_OK},
	{"the first", "UTC", -(1LL << 53), -(1LL << 53) + 400 * TL_DAY_MS, TL_OK},
	{"a day too long", "Europe/Berlin", 0, 401 * TL_DAY_MS, TL_ERANGE_TOO_LONG},
};

static void
custom_ranges_have_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(limits); i++) {
		struct tl_window window;
		struct tl_why why = {""};
		enum tl_err err = tl_window_custom(
			zone_of(limits[i].zone), limits[i].from_ms, limits[i].to_ms, &window, &why);

		if (err != limits[i].err || (err && why.text[0] == '\0'))
			fail_msg("%s: %s", limits[i].says, tl_err_name(err));
		if (!err)
			check_window(&window);
	}
}

static void
any_custom_range_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		const struct tl_zone *zone = zone_of(zone_names[i]);

		for (int k = 0; k < 300; k++) {
			int64_t from_ms = random_now(zone) - TL_DAY_MS;
			int64_t length_ms = (int64_t)(next_random() % (uint64_t)(400 * TL_DAY_MS));
			struct tl_window window, before;

			length_ms = (length_ms >> next_random() % 24) + 1;
			if (k == 0)
				length_ms = 400 * TL_DAY_MS;
			assert_int_equal(
				tl_window_custom(zone, from_ms, from_ms + length_ms, &window, NULL),
				TL_OK);
			assert_in_range(window.bin_count, 1, TL_BINS_MAX);
			check_window(&window);

			tl_window_before(&window, &before);
			check_window(&before);
			assert_int_equal(before.range, TL_RANGE_CUSTOM);
			assert_int_equal(tl_window_end_ms(&before), from_ms);
			assert_int_equal(tl_window_start_ms(&before), from_ms - length_ms);
		}
	}
}

static void
the_window_before_may_replace_the_window(void **state)
{
	struct tl_window window, before;

	(void)state;
	for (int range = 0; range < FIXED_COUNT; range++) {
		tl_window_fixed(
			(enum tl_range)range, zone_of("Europe/Berlin"), 1795255200000, &window);
		tl_window_before(&window, &before);
		tl_window_before(&window, &window);
		assert_memory_equal(window.edge_ms, before.edge_ms,
			(before.bin_count + 1) * sizeof(before.edge_ms[0]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_have_names),
		cmocka_unit_test(bins_lie_on_the_local_clock),
		cmocka_unit_test(windows_hold_now_and_join_what_was_before),
		cmocka_unit_test(edges_agree_with_the_c_library),
		cmocka_unit_test(no_jump_makes_an_hour_too_long),
		cmocka_unit_test(custom_ranges_take_the_smallest_width_that_fits),
		cmocka_unit_test(custom_ranges_have_limits),
		cmocka_unit_test(any_custom_range_is_cut),
		cmocka_unit_test(the_window_before_may_replace_the_window),
	};

	if (tl_crypt_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
