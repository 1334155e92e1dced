#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "schema/wire/pack.h"
#include "schema/wire/rows_text.h"

/* A page with every kind of value: who, money, not known. */
static void
put_page(struct tl_buf *page)
{
	static const char *const names[] = {
		"plain", "=1+1", "a,b", "say \"hi\"", "two\nlines", "-5", "@x", "\tx", "", "é\""};
	struct tl_pack_open map = tl_pack_open_map(page);
	uint32_t count = sizeof(names) / sizeof(names[0]);

	tl_pack_key(page, &map, "fields");
	tl_pack_array(page, 4);
	tl_pack_str(page, "ts");
	tl_pack_str(page, "name");
	tl_pack_str(page, "cost_nusd");
	tl_pack_str(page, "pr");
	tl_pack_key(page, &map, "rows");
	tl_pack_array(page, count);
	for (uint32_t i = 0; i < count; i++) {
		tl_pack_array(page, 4);
		tl_pack_int(page, 1000 + i);
		tl_pack_str(page, names[i]);
		if (i == 1)
			tl_pack_nil(page);
		else
			tl_pack_int(page, 9007199254740993);
		if (i == 0)
			tl_pack_int(page, 7);
		else
			tl_pack_nil(page);
	}
	tl_pack_close(page, &map);
}

static void
check(enum tl_rows_form form, const char *wanted)
{
	struct tl_buf page, text;

	tl_buf_init(&page, 0);
	tl_buf_init(&text, 0);
	put_page(&page);
	tl_rows_put_head(&text, form, tl_buf_slice(&page));
	assert_int_equal(tl_rows_put(&text, form, tl_buf_slice(&page)), 10);
	tl_buf_put_u8(&text, 0);
	assert_string_equal((char *)text.data, wanted);
	tl_buf_fini(&page);
	tl_buf_fini(&text);
}

static void
csv_is_safe_to_open(void **state)
{
	(void)state;
	check(TL_ROWS_CSV, "ts,name,cost_usd,pr\n"
			   "1000,plain,9007199.254740993,7\n"
			   "1001,\"'=1+1\",,\n"
			   "1002,\"a,b\",9007199.254740993,\n"
			   "1003,\"say \"\"hi\"\"\",9007199.254740993,\n"
			   "1004,\"two\nlines\",9007199.254740993,\n"
			   "1005,\"'-5\",9007199.254740993,\n"
			   "1006,\"'@x\",9007199.254740993,\n"
			   "1007,\"'\tx\",9007199.254740993,\n"
			   "1008,,9007199.254740993,\n"
			   "1009,\"é\"\"\",9007199.254740993,\n");
}

static void
ndjson_has_an_object_a_line(void **state)
{
	(void)state;
	check(TL_ROWS_NDJSON,
		"{\"ts\":1000,\"name\":\"plain\",\"cost_usd\":\"9007199.254740993\",\"pr\":7}\n"
		"{\"ts\":1001,\"name\":\"=1+1\",\"cost_usd\":null,\"pr\":null}\n"
		"{\"ts\":1002,\"name\":\"a,b\",\"cost_usd\":\"9007199.254740993\",\"pr\":null}\n"
		"{\"ts\":1003,\"name\":\"say \\\"hi\\\"\",\"cost_usd\":\"9007199.254740993\","
		"\"pr\":null}\n"
		"{\"ts\":1004,\"name\":\"two\\nlines\",\"cost_usd\":\"9007199.254740993\","
		"\"pr\":null}\n"
		"{\"ts\":1005,\"name\":\"-5\",\"cost_usd\":\"9007199.254740993\",\"pr\":null}\n"
		"{\"ts\":1006,\"name\":\"@x\",\"cost_usd\":\"9007199.254740993\",\"pr\":null}\n"
		"{\"ts\":1007,\"name\":\"\\tx\",\"cost_usd\":\"9007199.254740993\",\"pr\":null}\n"
		"{\"ts\":1008,\"name\":\"\",\"cost_usd\":\"9007199.254740993\",\"pr\":null}\n"
		"{\"ts\":1009,\"name\":\"é\\\"\",\"cost_usd\":\"9007199.254740993\",\"pr\":null}"
		"\n");
}

static void
forms_have_names(void **state)
{
	enum tl_rows_form form;

	(void)state;
	assert_true(tl_rows_form_parse(tl_slice_str("csv"), &form) && form == TL_ROWS_CSV);
	assert_true(tl_rows_form_parse(tl_slice_str("ndjson"), &form) && form == TL_ROWS_NDJSON);
	assert_false(tl_rows_form_parse(tl_slice_str("xml"), &form));
	assert_false(tl_rows_form_parse(tl_slice_str(""), &form));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_is_safe_to_open),
		cmocka_unit_test(ndjson_has_an_object_a_line),
		cmocka_unit_test(forms_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
