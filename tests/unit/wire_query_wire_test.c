#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/model/limits.h"
#include "schema/wire/pack.h"
#include "schema/wire/query_wire.h"
#include "schema/wire/reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct tl_buf request;
static struct tl_why why;

/* Pairs of a key and "s<text>", "i<number>", "t" true, "f" false, "n" nil, "a" an array. */
static enum tl_err
read_pairs(struct tl_query *query_out, ...)
{
	struct tl_pack_open map;
	const char *key;
	va_list pairs;

	tl_buf_reset(&request);
	map = tl_pack_open_map(&request);
	va_start(pairs, query_out);
	while ((key = va_arg(pairs, const char *)) != NULL) {
		const char *value = va_arg(pairs, const char *);

		tl_pack_key(&request, &map, key);
		if (value[0] == 's')
			tl_pack_str(&request, value + 1);
		else if (value[0] == 'i')
			tl_pack_int(&request, strtoll(value + 1, NULL, 10));
		else if (value[0] == 't' || value[0] == 'f')
			tl_pack_bool(&request, value[0] == 't');
		else if (value[0] == 'a')
			tl_pack_array(&request, 0);
		else
			tl_pack_nil(&request);
	}
	va_end(pairs);
	tl_pack_close(&request, &map);
	assert_int_equal(tl_reader_check(tl_buf_slice(&request), 4, &why), TL_OK);
	memset(&why, 0, sizeof(why));
	return tl_query_read(tl_buf_slice(&request), query_out, &why);
}

#define READ(query, ...) read_pairs(query, "v", "i1", "op", "sleaderboard", __VA_ARGS__, NULL)

static void
defaults_stand_where_nothing_is_said(void **state)
{
	struct tl_query query;

	(void)state;
	assert_int_equal(read_pairs(&query, "v", "i1", "op", "sseries", NULL), TL_OK);
	assert_int_equal(query.op, TL_QUERY_SERIES);
	assert_int_equal(query.range, TL_RANGE_7D);
	assert_false(query.has_range);
	assert_int_equal(query.metric, TL_METRIC_COST);
	assert_false(query.tokens_uncached);
	assert_int_equal(query.limit, 0);
	assert_int_equal(query.token.bytes, 0);
	assert_int_equal(query.pr, 0);
	assert_false(query.split);
}

static void
every_operation_is_known_by_name(void **state)
{
	struct tl_query query;
	char name[40];

	(void)state;
	for (int op = 0; op < TL_QUERY_COUNT; op++) {
		snprintf(name, sizeof(name), "s%s", tl_query_name((enum tl_query_op)op));
		assert_int_equal(read_pairs(&query, "v", "i1", "op", name, NULL), TL_OK);
		assert_int_equal(query.op, op);
	}
}

static void
all_parameters_are_read(void **state)
{
	struct tl_query query;

	(void)state;
	assert_int_equal(READ(&query, "token", "stok", "org", "sacme", "range", "s30d", "tz",
				 "sEurope/Berlin", "metric", "stokens", "tokens", "suncached",
				 "limit", "i1000", "cursor", "so50", "scope", "sorg", "split", "t",
				 "session", "ss1", "member", "smm", "repo", "so/r", "pr", "i7",
				 "agent", "sag", "key", "skk", "q", "stext"),
		TL_OK);
	assert_true(tl_slice_eq(query.token, tl_slice_str("tok")));
	assert_true(tl_slice_eq(query.org, tl_slice_str("acme")));
	assert_int_equal(query.range, TL_RANGE_30D);
	assert_true(query.has_range);
	assert_int_equal(query.metric, TL_METRIC_TOKENS_UNCACHED);
	assert_true(query.tokens_uncached);
	assert_int_equal(query.limit, 1000);
	assert_true(query.split);
	assert_int_equal(query.pr, 7);
	assert_true(tl_slice_eq(query.text, tl_slice_str("text")));
	assert_true(tl_slice_eq(query.key, tl_slice_str("kk")));
}

static void
numbers_and_switches_may_be_text(void **state)
{
	struct tl_query query;

	(void)state;
	assert_int_equal(READ(&query, "limit", "s20", "pr", "s1000000000", "split", "s1"), TL_OK);
	assert_int_equal(query.limit, 20);
	assert_int_equal(query.pr, 1000000000);
	assert_true(query.split);
	assert_int_equal(READ(&query, "split", "i0"), TL_OK);
	assert_false(query.split);
	assert_int_equal(READ(&query, "split", "strue"), TL_OK);
	assert_true(query.split);
	assert_int_equal(READ(&query, "split", "f"), TL_OK);
	assert_int_equal(READ(&query, "split", "sfalse"), TL_OK);
	assert_int_equal(READ(&query, "split", "syes"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "split", "i2"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "split", "a"), TL_EBAD_PARAM);
}

static void
from_and_to_make_a_custom_range(void **state)
{
	struct tl_query query;

	(void)state;
	assert_int_equal(READ(&query, "from", "i1000", "to", "s2000"), TL_OK);
	assert_int_equal(query.range, TL_RANGE_CUSTOM);
	assert_true(query.has_range);
	assert_int_equal(query.from_ms, 1000);
	assert_int_equal(query.to_ms, 2000);
	assert_int_equal(READ(&query, "range", "scustom", "from", "s2026-11-20T15:20:00Z", "to",
				 "s2026-11-20T16:20:00.5+01:00"),
		TL_OK);
	assert_int_equal(query.from_ms, 1795188000000LL);
	assert_int_equal(query.to_ms, 1795188000500LL);
	assert_int_equal(READ(&query, "from", "i1"), TL_EBAD_PARAM);
	assert_string_equal(why.text, "to: a custom range needs from and to");
	assert_int_equal(READ(&query, "to", "i1"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "range", "scustom"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "range", "s7d", "from", "i1", "to", "i2"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "from", "syesterday", "to", "i2"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "from", "i-1", "to", "i2"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "from", "i9007199254740993", "to", "i2"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "from", "n", "to", "n"), TL_OK);
	assert_int_equal(query.range, TL_RANGE_7D);
}

static void
the_wrong_parameter_is_named(void **state)
{
	static const struct {
		const char *key, *value;
	} wrong[] = {
		{"range", "s8d"},
		{"range", "i7"},
		{"metric", "suncached"},
		{"metric", "t"},
		{"tokens", "ssome"},
		{"limit", "i0"},
		{"limit", "i1001"},
		{"limit", "s"},
		{"limit", "s-"},
		{"limit", "s1x"},
		{"limit", "s9999999999999999999"},
		{"pr", "i0"},
		{"pr", "i1000000001"},
		{"tz", "i1"},
		{"q", "a"},
		{"token", "i5"},
		{"nonsense", "i5"},
	};
	struct tl_query query;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char prefix[16];

		assert_int_equal(READ(&query, wrong[i].key, wrong[i].value), TL_EBAD_PARAM);
		snprintf(prefix, sizeof(prefix), "%s:", wrong[i].key);
		assert_memory_equal(why.text, prefix, strlen(prefix));
	}
	assert_int_equal(READ(&query, "limit", "i1", "limit", "i2"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "q", "s\xff"), TL_EBAD_PARAM);
	assert_int_equal(READ(&query, "\x1b[31m\xff", "i1"), TL_EBAD_PARAM);
	assert_int_equal(read_pairs(&query, "v", "i1", NULL), TL_EBAD_PARAM);
	assert_int_equal(read_pairs(&query, "v", "i1", "op", "snone", NULL), TL_EBAD_PARAM);
}

static void
the_version_comes_first(void **state)
{
	struct tl_query query;
	struct tl_slice array = tl_slice_of("\x90", 1);

	(void)state;
	assert_int_equal(read_pairs(&query, "op", "sseries", NULL), TL_EVERSION_UNSUPPORTED);
	assert_int_equal(
		read_pairs(&query, "v", "i2", "nonsense", "i1", NULL), TL_EVERSION_UNSUPPORTED);
	assert_int_equal(
		read_pairs(&query, "v", "s1", "op", "sseries", NULL), TL_EVERSION_UNSUPPORTED);
	assert_int_equal(tl_query_read(array, &query, &why), TL_EFRAME_MALFORMED);
}

static int
setup(void **state)
{
	(void)state;
	tl_buf_init(&request, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tl_buf_fini(&request);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_stand_where_nothing_is_said),
		cmocka_unit_test(every_operation_is_known_by_name),
		cmocka_unit_test(all_parameters_are_read),
		cmocka_unit_test(numbers_and_switches_may_be_text),
		cmocka_unit_test(from_and_to_make_a_custom_range),
		cmocka_unit_test(the_wrong_parameter_is_named),
		cmocka_unit_test(the_version_comes_first),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
