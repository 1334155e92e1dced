#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/wire/json.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

static struct tl_buf packed;
static struct tl_buf text;
static struct tl_why why;

static int
setup(void **state)
{
	(void)state;
	tl_buf_init(&packed, 0);
	tl_buf_init(&text, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tl_buf_fini(&packed);
	tl_buf_fini(&text);
	return 0;
}

static void
assert_text(const char *wanted)
{
	assert_int_equal(text.err, TL_OK);
	if (!tl_slice_eq(tl_buf_slice(&text), tl_slice_str(wanted)))
		fail_msg("%.*s", (int)text.bytes, (const char *)text.data);
}

/* Write as JSON what a JSON text packs to. */
static void
assert_reply(const char *sent, uint32_t indent, const char *wanted)
{
	struct tl_json *json;

	assert_int_equal(tl_json_parse(tl_slice_str(sent), &json, &why), TL_OK);
	tl_buf_reset(&packed);
	tl_buf_reset(&text);
	assert_int_equal(tl_json_to_msgpack(tl_json_root(json), &packed), TL_OK);
	tl_json_free(json);
	tl_json_put_reply(&text, tl_buf_slice(&packed), indent);
	assert_text(wanted);
}

static void
nano_dollars_become_decimal_strings(void **state)
{
	(void)state;
	assert_reply("{\"cost_nusd\":1234567890,\"tokens\":5}", 0,
		"{\"cost_usd\":\"1.23456789\",\"tokens\":5}");
	assert_reply("{\"saved_nusd\":0,\"cost_plan_nusd\":null}", 0,
		"{\"saved_usd\":\"0.00\",\"cost_plan_usd\":null}");
	assert_reply("{\"a\":[{\"cost_nusd\":[1,-500000000]}],\"nusd\":1,\"nusd_x\":1}", 0,
		"{\"a\":[{\"cost_usd\":[\"0.000000001\",\"-0.50\"]}],\"nusd\":1,\"nusd_x\":1}");
}

static void
values_follow_the_metric_of_the_reply(void **state)
{
	(void)state;
	assert_reply("{\"bars\":[1000000000,0],\"total\":1000000000,\"members\":[{\"value\":10,"
		     "\"prev_value\":null,\"spark\":[5],\"rank\":1}],\"metric\":\"cost\"}",
		0,
		"{\"bars\":[\"1.00\",\"0.00\"],\"total\":\"1.00\",\"members\":[{\"value\":"
		"\"0.00000001\",\"prev_value\":null,\"spark\":[\"0.000000005\"],\"rank\":1}],"
		"\"metric\":\"cost\"}");
	assert_reply("{\"metric\":\"tokens\",\"value\":7,\"spark\":[1,2],\"cost_nusd\":10000000}",
		0, "{\"metric\":\"tokens\",\"value\":7,\"spark\":[1,2],\"cost_usd\":\"0.01\"}");
	assert_reply("{\"inner\":{\"metric\":\"cost\",\"value\":7}}", 0,
		"{\"inner\":{\"metric\":\"cost\",\"value\":7}}");
	assert_reply("{\"metric\":\"cost\",\"total\":{\"requests\":3,\"cost_nusd\":10000000}}", 0,
		"{\"metric\":\"cost\",\"total\":{\"requests\":3,\"cost_usd\":\"0.01\"}}");
}

static void
indented_replies_are_for_people(void **state)
{
	(void)state;
	assert_reply("{\"a\":[1,{\"b\":true}],\"c\":[],\"d\":{}}", 2,
		"{\n  \"a\": [\n    1,\n    {\n      \"b\": true\n    }\n  ],\n  \"c\": [],\n"
		"  \"d\": {}\n}");
}

static void
bytes_are_hex_and_what_json_lacks_is_null(void **state)
{
	(void)state;
	tl_buf_reset(&packed);
	tl_buf_reset(&text);
	tl_pack_array(&packed, 4);
	tl_pack_bin(&packed, tl_slice_of("\x00\xab\xff", 3));
	tl_pack_float(&packed, 1.5);
	tl_buf_put(&packed, "\xd4\x01\x02", 3);
	tl_pack_int(&packed, INT64_MIN);
	tl_json_put_reply(&text, tl_buf_slice(&packed), 0);
	assert_text("[\"00abff\",null,null,-9223372036854775808]");
}

static void
strings_are_escaped_and_always_utf8(void **state)
{
	static const struct {
		const char *value;
		size_t bytes;
		const char *wanted;
	} cases[] = {
		{"", 0, "\"\""},
		{"plain", 5, "\"plain\""},
		{"\"\\\n\r\t\b\0\x1f\x7f", 9, "\"\\\"\\\\\\n\\r\\t\\u0008\\u0000\\u001f\x7f\""},
		{"\xc3\xbc\xf0\x9f\x98\x80", 6, "\"\xc3\xbc\xf0\x9f\x98\x80\""},
		{"a\xff"
		 "b",
			3,
			"\"a\xef\xbf\xbd"
			"b\""},
		{"\xc3", 1, "\"\xef\xbf\xbd\""},
		{"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tl_buf_reset(&text);
		tl_json_put_string(&text, tl_slice_of(cases[i].value, cases[i].bytes));
		assert_text(cases[i].wanted);
	}
}

static void
a_reply_that_is_not_well_formed_is_an_error(void **state)
{
	(void)state;
	tl_buf_reset(&text);
	tl_json_put_reply(&text,
		tl_slice_of("\x82\xa1"
			    "a\x01",
			4),
		0);
	assert_int_equal(text.err, TL_EFRAME_MALFORMED);
	tl_buf_reset(&text);
	tl_json_put_reply(&text, tl_slice_of("\x81\x01\x01", 3), 0);
	assert_int_equal(text.err, TL_EFIELD_TYPE);
}

static void
documents_out_of_bounds_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum tl_err err;
	} cases[] = {
		{"{}", TL_OK},
		{"[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", TL_OK},
		{"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", TL_ETOO_DEEP},
		{"[\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\"]", TL_OK},
		{"[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]", TL_OK},
		{"{\"a\":1,\"a\":2}", TL_EFRAME_MALFORMED},
		{"{} {}", TL_EFRAME_MALFORMED},
		{"7", TL_EFRAME_MALFORMED},
		{"", TL_EFRAME_MALFORMED},
		{"[1,]", TL_EFRAME_MALFORMED},
		{"[9223372036854775808]", TL_EFRAME_MALFORMED},
		{"[\"\\u0000\"]", TL_EFRAME_MALFORMED},
		{"[\"\xff\"]", TL_EFRAME_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tl_json *json = NULL;
		enum tl_err err = tl_json_parse(tl_slice_str(cases[i].text), &json, &why);

		if (err != cases[i].err)
			fail_msg("%s: %s", cases[i].text, tl_err_name(err));
		tl_json_free(json);
	}
}

static void
what_went_wrong_is_said_without_quoting_the_input(void **state)
{
	struct tl_json *json;

	(void)state;
	assert_int_equal(tl_json_parse(tl_slice_str("{\n \"a\": secret }"), &json, &why),
		TL_EFRAME_MALFORMED);
	assert_non_null(strstr(why.text, "line 2"));
	assert_null(strstr(why.text, "secret"));
}

static void
values_are_read_by_type_and_absence_is_harmless(void **state)
{
	const struct tl_json_value *root;
	struct tl_json *json;
	int64_t number = -1;
	bool flag = false;

	(void)state;
	assert_int_equal(
		tl_json_parse(tl_slice_str("{\"i\":7,\"r\":7.0,\"b\":true,\"s\":\"t\",\"n\":null,"
					   "\"a\":[1,2],\"o\":{\"k\":1}}"),
			&json, &why),
		TL_OK);
	root = tl_json_root(json);
	assert_true(tl_json_is_object(root));
	assert_int_equal(tl_json_count(root), 7);
	assert_true(tl_json_int(tl_json_get(root, "i"), &number));
	assert_int_equal(number, 7);
	assert_false(tl_json_int(tl_json_get(root, "r"), &number));
	assert_true(tl_json_bool(tl_json_get(root, "b"), &flag));
	assert_true(flag);
	assert_true(tl_slice_eq(tl_json_str(tl_json_get(root, "s")), tl_slice_str("t")));
	assert_true(tl_json_is_null(tl_json_get(root, "n")));
	assert_true(tl_json_is_null(tl_json_get(root, "absent")));
	assert_true(tl_json_is_array(tl_json_get(root, "a")));
	assert_int_equal(tl_json_count(tl_json_get(root, "a")), 2);
	assert_true(tl_json_int(tl_json_at(tl_json_get(root, "a"), 1), &number));
	assert_int_equal(number, 2);
	assert_null(tl_json_at(tl_json_get(root, "a"), 2));
	assert_null(tl_json_get(tl_json_get(root, "absent"), "k"));
	assert_null(tl_json_get(tl_json_get(root, "a"), "k"));
	assert_int_equal(tl_json_str(NULL).bytes, 0);
	assert_int_equal(tl_json_count(NULL), 0);
	assert_false(tl_json_int(NULL, &number));
	assert_false(tl_json_bool(NULL, &flag));
	assert_null(tl_json_root(NULL));
	tl_json_free(json);
	tl_json_free(NULL);
}

static void
reals_stay_reals_on_the_way_to_msgpack(void **state)
{
	struct tl_json *json;
	struct tl_reader reader;

	(void)state;
	assert_int_equal(
		tl_json_parse(tl_slice_str("[12.0,1e3,-3,\"x\",false]"), &json, &why), TL_OK);
	tl_buf_reset(&packed);
	assert_int_equal(tl_json_to_msgpack(tl_json_root(json), &packed), TL_OK);
	tl_json_free(json);
	assert_int_equal(tl_reader_check(tl_buf_slice(&packed), 1, &why), TL_OK);
	reader = tl_reader_of(tl_buf_slice(&packed));
	assert_int_equal(tl_read_array(&reader), 5);
	assert_true(tl_read_float(&reader) == 12.0);
	assert_true(tl_read_float(&reader) == 1000.0);
	assert_int_equal(tl_read_int(&reader), -3);
	assert_true(tl_slice_eq(tl_read_str(&reader), tl_slice_str("x")));
	assert_false(tl_read_bool(&reader));
	assert_int_equal(reader.err, TL_OK);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nano_dollars_become_decimal_strings),
		cmocka_unit_test(values_follow_the_metric_of_the_reply),
		cmocka_unit_test(indented_replies_are_for_people),
		cmocka_unit_test(bytes_are_hex_and_what_json_lacks_is_null),
		cmocka_unit_test(strings_are_escaped_and_always_utf8),
		cmocka_unit_test(a_reply_that_is_not_well_formed_is_an_error),
		cmocka_unit_test(documents_out_of_bounds_are_refused),
		cmocka_unit_test(what_went_wrong_is_said_without_quoting_the_input),
		cmocka_unit_test(values_are_read_by_type_and_absence_is_harmless),
		cmocka_unit_test(reals_stay_reals_on_the_way_to_msgpack),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
