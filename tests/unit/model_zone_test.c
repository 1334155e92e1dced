#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schema/base/crypt.h"
#include "schema/base/file.h"
#include "schema/model/bucket.h"
#include "schema/model/zone.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Both hemispheres, half and quarter hours, jumps of half an hour, negative summer time, dates
 * skipped, jumps at midnight, rules for ever and rules that ended. */
static const char *const zone_names[] = {"UTC", "Etc/GMT+12", "Etc/GMT-14", "Europe/Berlin",
	"Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Moscow", "Europe/Istanbul",
	"Europe/Amsterdam", "America/New_York", "America/Los_Angeles", "America/St_Johns",
	"America/Sao_Paulo", "America/Santiago", "America/Caracas", "America/Havana",
	"America/Asuncion", "America/Nuuk", "America/Scoresbysund", "America/Argentina/San_Luis",
	"America/Mexico_City", "America/Anchorage", "Africa/Casablanca", "Africa/Cairo",
	"Africa/Monrovia", "Africa/Johannesburg", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran",
	"Asia/Kabul", "Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem", "Asia/Tokyo", "Asia/Shanghai",
	"Asia/Pyongyang", "Asia/Manila", "Australia/Sydney", "Australia/Adelaide",
	"Australia/Lord_Howe", "Australia/Eucla", "Australia/Perth", "Pacific/Auckland",
	"Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Easter",
	"Pacific/Marquesas", "Pacific/Norfolk", "Antarctica/Troll", "Antarctica/Casey", "EST5EDT"};

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

/* What the C library says, with TZ set. */
static int32_t
libc_offset_s(int64_t time_s)
{
	time_t time = time_s;
	struct tm tm;

	assert_non_null(localtime_r(&time, &tm));
	return (int32_t)tm.tm_gmtoff;
}

static void
libc_zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void
check_offset(const struct tl_zone *zone, const char *name, int64_t time_s)
{
	int32_t wanted_s = libc_offset_s(time_s);
	int32_t offset_s = tl_zone_offset_s(zone, time_s * 1000);

	if (offset_s != wanted_s)
		fail_msg("%s at %" PRId64 ": %d, not %d", name, time_s, offset_s, wanted_s);
	if (tl_zone_offset_s(zone, time_s * 1000 + 999) != wanted_s)
		fail_msg("%s at %" PRId64 ".999", name, time_s);
}

/* The years 1697 to 2242, around now, and every jump in between. */
static void
offsets_agree_with_the_c_library(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		const struct tl_zone *zone = zone_of(zone_names[i]);
		int64_t time_ms = -(1LL << 33) * 1000;

		libc_zone(zone_names[i]);
		for (int k = 0; k < 4000; k++) {
			int64_t any = (int64_t)(next_random() % (1ull << 34)) - (1LL << 33);

			check_offset(zone, zone_names[i], any);
			check_offset(zone, zone_names[i],
				1700000000 + (int64_t)(next_random() % 100000000));
		}
		for (int jumps = 0; time_ms < (1LL << 33) * 1000; jumps++) {
			struct tl_stretch stretch = tl_zone_stretch(zone, time_ms);

			assert_true(stretch.start_ms <= time_ms && time_ms < stretch.end_ms);
			if (stretch.end_ms < (1LL << 33) * 1000) {
				check_offset(zone, zone_names[i], stretch.end_ms / 1000 - 1);
				check_offset(zone, zone_names[i], stretch.end_ms / 1000);
			}
			time_ms = stretch.end_ms;
		}
		assert_string_equal(tl_zone_name(zone), zone_names[i]);
	}
}

/* By what the words of the header say, looked at every quarter of an hour and beside each jump. */
static void
local_readings_come_at_their_first_instant(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		const struct tl_zone *zone = zone_of(zone_names[i]);
		int64_t around_ms = -2208988800000; /* 1900 */

		for (int k = 0; k < 600; k++) {
			struct tl_stretch stretch = tl_zone_stretch(zone, around_ms);
			int64_t local_ms = stretch.end_ms + stretch.offset_s * 1000LL +
					   (int64_t)(next_random() % 14400000) - 7200000;
			int64_t time_ms;

			if (k % 2 == 0 || stretch.end_ms > 6000000000000) {
				local_ms = (int64_t)(next_random() % 6000000000000) - 2208988800000;
				local_ms -= local_ms % TL_HOUR_MS;
			} else {
				around_ms = stretch.end_ms;
			}
			time_ms = tl_zone_from_local(zone, local_ms);
			assert_true(time_ms + tl_zone_offset_s(zone, time_ms) * 1000LL >= local_ms);
			if (time_ms + tl_zone_offset_s(zone, time_ms) * 1000LL > local_ms)
				assert_int_equal(time_ms, tl_zone_stretch(zone, time_ms).start_ms);
			for (int64_t t = time_ms - 1; t > local_ms - 27 * TL_HOUR_MS;
				t -= TL_QUARTER_MS)
				assert_true(t + tl_zone_offset_s(zone, t) * 1000LL < local_ms);
		}
	}
}

static const struct {
	const char *says;
	const char *zone;
	const char *local; /* as if it were UTC */
	const char *time;
} locals[] = {
	{"an ordinary time", "Europe/Berlin", "2026-11-21T11:00:00Z", "2026-11-21T10:00:00Z"},
	{"the last moment before a jump forward", "Europe/Berlin", "2026-03-29T01:59:59.999Z",
		"2026-03-29T00:59:59.999Z"},
	{"a reading that is skipped is the jump", "Europe/Berlin", "2026-03-29T02:30:00Z",
		"2026-03-29T01:00:00Z"},
	{"the first reading after the jump", "Europe/Berlin", "2026-03-29T03:00:00Z",
		"2026-03-29T01:00:00Z"},
	{"a reading that comes twice is its first", "Europe/Berlin", "2026-10-25T02:30:00Z",
		"2026-10-25T00:30:00Z"},
	{"the first reading that comes once again", "Europe/Berlin", "2026-10-25T03:00:00Z",
		"2026-10-25T02:00:00Z"},
	{"midnight skipped", "America/Sao_Paulo", "2018-11-04T00:00:00Z", "2018-11-04T03:00:00Z"},
	{"midnight twice", "America/Havana", "2025-11-02T00:00:00Z", "2025-11-02T04:00:00Z"},
	{"a day skipped", "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z"},
	{"half an hour skipped", "Australia/Lord_Howe", "2026-10-04T02:15:00Z",
		"2026-10-03T15:30:00Z"},
	{"before the first", "Europe/Berlin", "1800-01-01T00:53:28Z", "1800-01-01T00:00:00Z"},
};

static void
local_times_become_instants(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(locals); i++) {
		int64_t local_ms = 0;
		int64_t wanted_ms = 0;
		int64_t time_ms;

		assert_true(tl_time_parse(locals[i].local, &local_ms));
		assert_true(tl_time_parse(locals[i].time, &wanted_ms));
		time_ms = tl_zone_from_local(zone_of(locals[i].zone), local_ms);
		if (time_ms != wanted_ms) {
			char text[TL_TIME_TEXT_BYTES];

			tl_time_format(time_ms, text);
			fail_msg("%s: %s", locals[i].says, text);
		}
	}
}

static void
any_time_has_an_offset(void **state)
{
	static const int64_t times_ms[] = {
		INT64_MIN, INT64_MIN + 1, -(1LL << 53), -1, 0, 1LL << 53, INT64_MAX - 1, INT64_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		for (size_t k = 0; k < COUNT_OF(times_ms); k++)
			assert_in_range(
				tl_zone_offset_s(zone_of(zone_names[i]), times_ms[k]) + 93600, 0,
				2 * 93600);
	}
}

static const struct {
	const char *says;
	const char *name;
} wrong_names[] = {
	{"nothing", ""},
	{"a slash", "/"},
	{"an absolute path", "/etc/localtime"},
	{"an absolute path into the database", "/usr/share/zoneinfo/UTC"},
	{"upwards", "../zoneinfo/UTC"},
	{"upwards inside", "Europe/../UTC"},
	{"here", "./UTC"},
	{"a slash at the end", "UTC/"},
	{"two slashes", "Europe//Berlin"},
	{"a folder", "Europe"},
	{"no such zone", "Europe/Bielefeld"},
	{"the wrong case", "europe/berlin"},
	{"a table, not a zone", "zone.tab"},
	{"text, not a zone", "leapseconds"},
	{"a space", "Europe/Berlin "},
	{"a newline", "UTC\n"},
	{"a POSIX string", "CET-1CEST,M3.5.0,M10.5.0/3"},
	{"a colon in front", ":UTC"},
	{"a per cent sign", "Europe%2fBerlin"},
	{"letters outside ASCII", "Europe/Z\xc3\xbcrich"},
	{"as long as the buffer",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl"},
	{"leap seconds counted", "right/UTC"},
};

static void
only_plain_names_of_the_database_are_zones(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong_names); i++) {
		const struct tl_zone *zone = NULL;
		struct tl_why why = {""};
		enum tl_err err = tl_zone_get(tl_slice_str(wrong_names[i].name), &zone, &why);

		if (err != TL_EBAD_PARAM || zone != NULL || why.text[0] == '\0')
			fail_msg("%s: %d", wrong_names[i].says, err);
	}
}

static void
a_zero_byte_in_a_name_is_refused(void **state)
{
	const struct tl_zone *zone = NULL;

	(void)state;
	assert_int_equal(tl_zone_get(tl_slice_of("UTC\0x", 5), &zone, NULL), TL_EBAD_PARAM);
	assert_int_equal(tl_zone_get(tl_slice_of("UTC\0", 4), &zone, NULL), TL_EBAD_PARAM);
	assert_int_equal(tl_zone_get(tl_slice_of(NULL, 0), &zone, NULL), TL_EBAD_PARAM);
	assert_null(zone);
}

static void *
get_all(void *arg)
{
	const struct tl_zone **zones = arg;

	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		if (tl_zone_get(tl_slice_str(zone_names[i]), &zones[i], NULL))
			zones[i] = NULL;
	}
	return NULL;
}

static void
all_threads_get_the_same_zone(void **state)
{
	static const struct tl_zone *zones[4][COUNT_OF(zone_names)];
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_all, zones[i]), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < COUNT_OF(zone_names); i++) {
		assert_non_null(zones[0][i]);
		for (size_t k = 1; k < 4; k++)
			assert_ptr_equal(zones[k][i], zones[0][i]);
	}
}

/* A file made here: a first block without anything, then the second. */
struct made {
	char version;
	uint32_t leap_count;
	uint32_t type_count;
	uint32_t transition_count;
	int64_t at_s[4];
	uint8_t type_idx[4];
	int32_t offset_s[3];
	const char *footer;
};

static void
put_header(struct tl_buf *buf, const struct made *made, bool second)
{
	static const uint8_t reserved[15];

	tl_buf_put_str(buf, "TZif");
	tl_buf_put_u8(buf, (uint8_t)made->version);
	tl_buf_put(buf, reserved, sizeof(reserved));
	tl_buf_put_be32(buf, 0);
	tl_buf_put_be32(buf, 0);
	tl_buf_put_be32(buf, second ? made->leap_count : 0);
	tl_buf_put_be32(buf, second ? made->transition_count : 0);
	tl_buf_put_be32(buf, second ? made->type_count : 1);
	tl_buf_put_be32(buf, 4);
}

static void
put_type(struct tl_buf *buf, int32_t offset_s)
{
	tl_buf_put_be32(buf, (uint32_t)offset_s);
	tl_buf_put_be16(buf, 0);
}

static void
put_made(struct tl_buf *buf, const struct made *made)
{
	put_header(buf, made, false);
	put_type(buf, 0);
	tl_buf_put(buf, "ABC", 4);
	put_header(buf, made, true);
	for (uint32_t i = 0; i < made->transition_count; i++)
		tl_buf_put_be64(buf, (uint64_t)made->at_s[i]);
	tl_buf_put(buf, made->type_idx, made->transition_count);
	for (uint32_t i = 0; i < made->type_count; i++)
		put_type(buf, made->offset_s[i]);
	tl_buf_put(buf, "ABC", 4);
	for (uint32_t i = 0; i < made->leap_count; i++)
		tl_buf_put(buf, "123456789012", 12);
	tl_buf_put_u8(buf, '\n');
	tl_buf_put_str(buf, made->footer);
	tl_buf_put_u8(buf, '\n');
}

static enum tl_err
parse_made(const struct made *made, struct tl_zone **zone_out)
{
	struct tl_buf buf;
	enum tl_err err;

	tl_buf_init(&buf, 0);
	put_made(&buf, made);
	assert_int_equal(buf.err, TL_OK);
	err = tl_zone_parse(tl_slice_str("Made/Here"), tl_buf_slice(&buf), zone_out, NULL);
	tl_buf_fini(&buf);
	return err;
}

static const struct {
	const char *says;
	struct made made;
	bool good;
} files[] = {
	{"one offset and no transition", {'2', 0, 1, 0, {0}, {0}, {3600}, "CET-1"}, true},
	{"no footer", {'2', 0, 1, 0, {0}, {0}, {3600}, ""}, true},
	{"version 4", {'4', 0, 1, 0, {0}, {0}, {3600}, "CET-1"}, true},
	{"version 1", {'\0', 0, 1, 0, {0}, {0}, {3600}, "CET-1"}, false},
	{"transitions in order", {'2', 0, 2, 2, {-5, 5}, {1, 0}, {0, 3600}, "X"}, false},
	{"a footer that is not one", {'2', 0, 2, 2, {-5, 5}, {1, 0}, {0, 3600}, "GMT"}, false},
	{"transitions in order, good footer", {'2', 0, 2, 2, {-5, 5}, {1, 0}, {0, 3600}, "GMT0"},
		true},
	{"two transitions at once", {'2', 0, 2, 2, {5, 5}, {1, 0}, {0, 3600}, "GMT0"}, false},
	{"transitions out of order", {'2', 0, 2, 2, {5, -5}, {1, 0}, {0, 3600}, "GMT0"}, false},
	{"a type that is not there", {'2', 0, 2, 1, {5}, {2}, {0, 3600}, "GMT0"}, false},
	{"no type", {'2', 0, 0, 0, {0}, {0}, {0}, "GMT0"}, false},
	{"leap seconds", {'2', 1, 1, 0, {0}, {0}, {0}, "GMT0"}, false},
	{"the Big Bang", {'2', 0, 2, 2, {-(1LL << 59), 5}, {1, 0}, {0, 3600}, "GMT0"}, true},
	{"a transition at the smallest number",
		{'2', 0, 2, 2, {INT64_MIN, INT64_MIN + 1}, {1, 0}, {0, 3600}, "GMT0"}, true},
	{"a transition at the end of time", {'2', 0, 2, 1, {INT64_MAX}, {1}, {0, 3600}, "GMT0"},
		false},
	{"an offset of 25 hours and 59 minutes", {'2', 0, 1, 0, {0}, {0}, {93540}, ""}, true},
	{"an offset of 26 hours", {'2', 0, 1, 0, {0}, {0}, {93600}, ""}, false},
	{"an offset of -24 hours and 59 minutes", {'2', 0, 1, 0, {0}, {0}, {-89940}, ""}, true},
	{"an offset of -25 hours", {'2', 0, 1, 0, {0}, {0}, {-90000}, ""}, false},
	{"the smallest offset", {'2', 0, 1, 0, {0}, {0}, {INT32_MIN}, ""}, false},
};

static void
files_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct tl_zone *zone = NULL;
		enum tl_err err = parse_made(&files[i].made, &zone);

		if (err != (files[i].good ? TL_OK : TL_EBAD_PARAM) ||
			(zone != NULL) != files[i].good)
			fail_msg("%s: %d", files[i].says, err);
		tl_zone_free(zone);
	}
}

static void
before_the_first_transition_the_first_type_holds(void **state)
{
	struct made made = {'2', 0, 2, 2, {1000, 2000}, {1, 0}, {-600, 3600}, ""};
	struct tl_zone *zone = NULL;

	(void)state;
	assert_int_equal(parse_made(&made, &zone), TL_OK);
	assert_int_equal(tl_zone_offset_s(zone, 999999), -600);
	assert_int_equal(tl_zone_offset_s(zone, 1000000), 3600);
	assert_int_equal(tl_zone_offset_s(zone, 1999999), 3600);
	assert_int_equal(tl_zone_offset_s(zone, 2000000), -600);
	assert_int_equal(tl_zone_offset_s(zone, INT64_MAX), -600);
	tl_zone_free(zone);
	made.at_s[0] = -(1LL << 59);
	assert_int_equal(parse_made(&made, &zone), TL_OK);
	assert_int_equal(tl_zone_offset_s(zone, -(1LL << 50)), 3600);
	tl_zone_free(zone);
}

static void
the_footer_begins_with_the_last_transition(void **state)
{
	struct made made = {'2', 0, 2, 1, {1700000000}, {1}, {7200, -3600}, "<+03>-3"};
	struct tl_zone *zone = NULL;

	(void)state;
	assert_int_equal(parse_made(&made, &zone), TL_OK);
	assert_int_equal(tl_zone_offset_s(zone, 1699999999999), 7200);
	assert_int_equal(tl_zone_offset_s(zone, 1700000000000), 10800);
	tl_zone_free(zone);
}

/*
 * Valid footers: the C library reads the same text from TZ and is the oracle. It takes the rule of
 * the UTC year, so no date here may come into the next one.
 */
static const char *const footers[] = {
	"UTC0",
	"CET-1CEST,M3.5.0,M10.5.0/3",
	"EST5EDT,M3.2.0,M11.1.0",
	"AEST-10AEDT,M10.1.0,M4.1.0/3",
	"IST-1GMT0,M10.5.0,M3.5.0/1",
	"<+03>-3",
	"<-03>3",
	"<+0545>-5:45",
	"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
	"<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
	"<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
	"EET-2EEST,M3.4.4/50,M10.4.4/50",
	"IST-2IDT,M3.4.4/26,M10.5.0",
	"EET-2EEST,M4.5.5/0,M10.5.4/24",
	"<-04>4<-03>,M9.1.6/24,M4.1.6/24",
	"CST5CDT,J60,J300",
	"CST5CDT,J59/1:30,J364/23:59:59",
	"CST5CDT,59,300/4",
	"CST5CDT,0,364",
	"ABC-14DEF-13:30:15,J2/14:00:01,J180",
	"ABC12DEF11,M1.1.0,M12.5.6",
	"ABC+5DEF,M3.2.0/+2,M11.1.0/02:00:00",
};

static void
footers_agree_with_the_c_library(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(footers); i++) {
		struct made made = {'3', 0, 1, 0, {0}, {0}, {0}, footers[i]};
		struct tl_zone *zone = NULL;

		if (parse_made(&made, &zone))
			fail_msg("%s", footers[i]);
		libc_zone(footers[i]);
		for (int k = 0; k < 20000; k++)
			check_offset(zone, footers[i], (int64_t)(next_random() % (1ull << 33)));
		tl_zone_free(zone);
	}
}

static const struct {
	const char *says;
	const char *footer;
	const char *time;
	int32_t offset_s;
} rules[] = {
	{"summer for ever, in winter", "XXX3EDT4,0/0,J365/23", "2026-01-01T03:00:00Z", -14400},
	{"summer for ever, a moment before", "XXX3EDT4,0/0,J365/23", "2026-01-01T02:59:59Z",
		-14400},
	{"summer for ever, in summer", "XXX3EDT4,0/0,J365/23", "2026-07-01T00:00:00Z", -14400},
	{"a week before the date", "AAA0BBB,M3.2.0/-167,M11.1.0", "2026-03-01T01:00:00Z", 3600},
	{"a moment before that", "AAA0BBB,M3.2.0/-167,M11.1.0", "2026-03-01T00:59:59Z", 0},
	{"a week after the date", "AAA0BBB,M3.2.0/167,M11.1.0", "2026-03-14T23:00:00Z", 3600},
	{"a moment before it", "AAA0BBB,M3.2.0/167,M11.1.0", "2026-03-14T22:59:59Z", 0},
	{"pushed into the next year", "AAA0BBB,J365/48,J180", "2026-01-02T00:00:00Z", 3600},
	{"not pushed further", "AAA0BBB,J365/48,J180", "2026-01-01T23:59:59Z", 0},
	{"summer ends after the UTC year has", "CST5CDT,J59/1:30,J365/23:59:59",
		"1985-01-01T03:59:58Z", -14400},
	{"and then it is over", "CST5CDT,J59/1:30,J365/23:59:59", "1985-01-01T03:59:59Z", -18000},
	{"J60 is 1 March in a leap year", "AAA0BBB,J60/0,J300", "2028-02-29T23:59:59Z", 0},
	{"and in any other", "AAA0BBB,J60/0,J300", "2027-03-01T00:00:00Z", 3600},
	{"59 is 29 February in a leap year", "AAA0BBB,59/0,300", "2028-02-29T00:00:00Z", 3600},
	{"and 1 March in any other", "AAA0BBB,59/0,300", "2027-02-28T23:59:59Z", 0},
	{"the fifth Sunday is the last", "AAA0BBB,M2.5.0/0,M11.1.0", "2026-02-22T00:00:00Z", 3600},
	{"December", "AAA0BBB,M12.5.0/0,M6.1.0/0", "2026-12-27T00:00:00Z", 3600},
	{"the year 12026", "CET-1CEST,M3.5.0,M10.5.0/3", "9999-07-01T00:00:00Z", 7200},
};

static void
rules_hold_at_their_edges(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct made made = {'3', 0, 1, 0, {0}, {0}, {0}, rules[i].footer};
		struct tl_zone *zone = NULL;
		int64_t time_ms = 0;

		if (parse_made(&made, &zone) || !tl_time_parse(rules[i].time, &time_ms))
			fail_msg("%s: not read", rules[i].says);
		if (tl_zone_offset_s(zone, time_ms) != rules[i].offset_s)
			fail_msg("%s: %d", rules[i].says, tl_zone_offset_s(zone, time_ms));
		tl_zone_free(zone);
	}
}

static const char *const wrong_footers[] = {"X0", "AB0", "ABC", "ABC25", "ABC0:60", "ABC0:0:60",
	"ABC-", "<ABC0", "<A>0", "ABC0DEF", "ABC0DEF,", "ABC0DEF,M3.2.0", "ABC0DEF,M3.2.0,",
	"ABC0DEF,M13.2.0,M3.2.0", "ABC0DEF,M0.2.0,M3.2.0", "ABC0DEF,M3.6.0,M3.2.0",
	"ABC0DEF,M3.0.0,M3.2.0", "ABC0DEF,M3.2.7,M3.2.0", "ABC0DEF,M3.2,M3.2.0", "ABC0DEF,J0,J300",
	"ABC0DEF,J366,J300", "ABC0DEF,366,300", "ABC0DEF,M3.2.0/168,M11.1.0",
	"ABC0DEF,M3.2.0/-168,M11.1.0", "ABC0DEF,M3.2.0,M11.1.0x", "ABC0DEF,M3.2.0,M11.1.0,",
	"ABC0DEF25,M3.2.0,M11.1.0", ":UTC", " UTC0", "UTC0 ", "ABC99999999999999999999"};

static void
wrong_footers_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong_footers); i++) {
		struct made made = {'3', 0, 1, 0, {0}, {0}, {0}, wrong_footers[i]};
		struct tl_zone *zone = NULL;

		if (parse_made(&made, &zone) != TL_EBAD_PARAM || zone != NULL)
			fail_msg("'%s' was taken", wrong_footers[i]);
	}
}

/* What is accepted must also answer. */
static void
try_bytes(struct tl_slice tzif)
{
	struct tl_zone *zone = NULL;

	if (tl_zone_parse(tl_slice_str("X"), tzif, &zone, NULL))
		return;
	for (int i = 0; i < 8; i++) {
		int64_t time_ms = (int64_t)(next_random() << 20) >> (next_random() % 40);

		(void)tl_zone_offset_s(zone, time_ms);
		(void)tl_zone_from_local(zone, time_ms % (1LL << 53));
	}
	tl_zone_free(zone);
}

static void
a_file_cut_short_or_damaged_does_no_harm(void **state)
{
	static const char *const paths[] = {"/usr/share/zoneinfo/Europe/Berlin",
		"/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/Africa/Casablanca"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct tl_buf buf;

		tl_buf_init(&buf, 0);
		assert_int_equal(tl_file_read(paths[i], &buf, NULL), TL_OK);
		for (size_t bytes = 0; bytes < buf.bytes; bytes++) {
			/* a copy of just that size, so that a read past it is seen */
			uint8_t *copy = malloc(bytes + (bytes == 0));
			struct tl_zone *zone = NULL;

			memcpy(copy, buf.data, bytes);
			assert_int_equal(tl_zone_parse(tl_slice_str("X"), tl_slice_of(copy, bytes),
						 &zone, NULL),
				TL_EBAD_PARAM);
			assert_null(zone);
			free(copy);
		}
		for (int round = 0; round < 20000; round++) {
			size_t at = next_random() % buf.bytes;
			uint8_t kept = buf.data[at];

			if (round % 4 == 0)
				at %= 88; /* the headers decide most */
			kept = buf.data[at];
			buf.data[at] = (uint8_t)next_random();
			try_bytes(tl_buf_slice(&buf));
			if (round % 3 != 0)
				buf.data[at] = kept;
			if (round % 60 == 0) {
				tl_buf_reset(&buf);
				assert_int_equal(tl_file_read(paths[i], &buf, NULL), TL_OK);
			}
		}
		tl_buf_fini(&buf);
	}
}

static void
a_name_too_long_is_refused(void **state)
{
	static const char name[TL_ZONE_NAME_BYTES] = {0};
	struct tl_zone *zone = NULL;

	(void)state;
	assert_int_equal(
		tl_zone_parse(tl_slice_of(name, sizeof(name)), tl_slice_of(NULL, 0), &zone, NULL),
		TL_EBAD_PARAM);
	assert_null(zone);
	tl_zone_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_get_the_same_zone),
		cmocka_unit_test(offsets_agree_with_the_c_library),
		cmocka_unit_test(local_readings_come_at_their_first_instant),
		cmocka_unit_test(local_times_become_instants),
		cmocka_unit_test(any_time_has_an_offset),
		cmocka_unit_test(only_plain_names_of_the_database_are_zones),
		cmocka_unit_test(a_zero_byte_in_a_name_is_refused),
		cmocka_unit_test(files_are_checked),
		cmocka_unit_test(before_the_first_transition_the_first_type_holds),
		cmocka_unit_test(the_footer_begins_with_the_last_transition),
		cmocka_unit_test(footers_agree_with_the_c_library),
		cmocka_unit_test(rules_hold_at_their_edges),
		cmocka_unit_test(wrong_footers_are_refused),
		cmocka_unit_test(a_file_cut_short_or_damaged_does_no_harm),
		cmocka_unit_test(a_name_too_long_is_refused),
	};

	if (tl_crypt_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
