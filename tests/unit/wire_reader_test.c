#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "schema/wire/pack.h"
#include "schema/wire/reader.h"
#include "schema/wire/token.h"

struct frame_case {
	const char *what;
	const char *bytes;
	size_t byte_count;
	enum tl_err err;
};

#define FRAME(what, bytes, err)                     \
	{                                           \
		what, bytes, sizeof(bytes) - 1, err \
	}

static void
the_bounds_pass_believes_no_length(void **state)
{
	static const struct frame_case cases[] = {
		FRAME("nothing", "", TL_EFRAME_MALFORMED),
		FRAME("five bytes that claim 2^28 elements", "\xdd\x0f\xff\xff\xff",
			TL_EFRAME_MALFORMED),
		FRAME("a map that claims 2^32-1 pairs", "\xdf\xff\xff\xff\xff",
			TL_EFRAME_MALFORMED),
		FRAME("a map of one pair with only the key",
			"\x81\xa1"
			"a",
			TL_EFRAME_MALFORMED),
		FRAME("a list one short", "\x93\x01\x02", TL_EFRAME_MALFORMED),
		FRAME("the byte that means nothing", "\xc1", TL_EFRAME_MALFORMED),
		FRAME("that byte inside", "\x91\xc1", TL_EFRAME_MALFORMED),
		FRAME("text past the end",
			"\xa3"
			"ab",
			TL_EFRAME_MALFORMED),
		FRAME("text of 4 GiB",
			"\xdb\xff\xff\xff\xff"
			"abc",
			TL_EFRAME_MALFORMED),
		FRAME("a length cut short", "\xda\x00", TL_EFRAME_MALFORMED),
		FRAME("a number cut short", "\xcf\x00\x00\x00", TL_EFRAME_MALFORMED),
		FRAME("an extension past the end",
			"\xd8\x01"
			"short",
			TL_EFRAME_MALFORMED),
		FRAME("an extension without its type", "\xc7\x00", TL_EFRAME_MALFORMED),
		FRAME("bytes behind the value", "\x90\xc0", TL_EFRAME_MALFORMED),
		FRAME("five lists in one another", "\x91\x91\x91\x91\x91\xc0", TL_ETOO_DEEP),
		FRAME("five empty lists in one another", "\x91\x91\x91\x91\x90", TL_ETOO_DEEP),
		FRAME("four lists in one another", "\x91\x91\x91\x91\xc0", TL_OK),
		FRAME("four, and one beside", "\x92\x91\x91\x91\xc0\x91\x91\x91\xc0", TL_OK),
		FRAME("a scalar", "\x2a", TL_OK),
		FRAME("an extension",
			"\xc7\x02\x05"
			"ab",
			TL_OK),
		FRAME("a map of every scalar",
			"\x8a\x00\xc0\x01\xc2\x02\xc3\x03\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x04"
			"\xca\x00\x00\x00\x00\x05\xd0\xff\x06\xd1\xff\xff\x07\xd2\xff\xff\xff\xff"
			"\x08\xd3\xff\xff\xff\xff\xff\xff\xff\xff\x09\xd4\x01\x02",
			TL_OK),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tl_why why;
		enum tl_err err =
			tl_reader_check(tl_slice_of(cases[i].bytes, cases[i].byte_count), 4, &why);

		if (err != cases[i].err)
			fail_msg("%s: %s", cases[i].what, tl_err_name(err));
	}
}

static void
a_depth_bomb_ends_at_its_fifth_byte(void **state)
{
	static uint8_t bomb[1u << 20];
	struct tl_why why;

	(void)state;
	memset(bomb, 0x91, sizeof(bomb));
	assert_int_equal(tl_reader_check(tl_slice_of(bomb, sizeof(bomb)), 4, &why), TL_ETOO_DEEP);
	assert_non_null(strstr(why.text, "byte 4"));
}

static void
each_length_one_byte_short_is_refused(void **state)
{
	struct tl_buf buf;
	struct tl_pack_open map;

	(void)state;
	tl_buf_init(&buf, 0);
	map = tl_pack_open_map(&buf);
	tl_pack_key_int(&buf, &map, "number", 1u << 30);
	tl_pack_key_str(&buf, &map, "text",
		"longer than thirty-one bytes, so that it has a length of its own");
	tl_pack_key(&buf, &map, "list");
	tl_pack_array(&buf, 2);
	tl_pack_bool(&buf, true);
	tl_pack_bin(&buf, tl_slice_of("\x00\x01\x02", 3));
	tl_pack_close(&buf, &map);
	assert_int_equal(tl_reader_check(tl_buf_slice(&buf), 4, NULL), TL_OK);
	for (size_t bytes = 0; bytes < buf.bytes; bytes++) {
		/* A copy of its own size, so that a sanitizer sees a read past it. */
		uint8_t *copy = malloc(bytes + 1);

		memcpy(copy, buf.data, bytes);
		copy = realloc(copy, bytes > 0 ? bytes : 1);
		assert_int_equal(
			tl_reader_check(tl_slice_of(copy, bytes), 4, NULL), TL_EFRAME_MALFORMED);
		free(copy);
	}
	tl_buf_fini(&buf);
}

static void
a_read_of_the_wrong_type_sticks(void **state)
{
	struct tl_reader reader = tl_reader_of(tl_slice_of("\x93\x01\xa1"
							   "b\x02",
		5));

	(void)state;
	assert_int_equal(tl_read_array(&reader), 3);
	assert_int_equal(tl_read_str(&reader).bytes, 0);
	assert_int_equal(reader.err, TL_EFIELD_TYPE);
	assert_int_equal(tl_read_int(&reader), 0);
	assert_int_equal(tl_read_any(&reader).bytes, 0);
	assert_int_equal(tl_reader_peek(&reader), TL_WIRE_NIL);
	assert_int_equal(reader.err, TL_EFIELD_TYPE);
}

static void
a_read_past_the_end_is_malformed(void **state)
{
	struct tl_reader reader = tl_reader_of(tl_slice_of("\x01", 1));

	(void)state;
	assert_int_equal(tl_read_int(&reader), 1);
	assert_int_equal(tl_reader_peek(&reader), TL_WIRE_NIL);
	assert_int_equal(reader.err, TL_EFRAME_MALFORMED);

	reader = tl_reader_of(tl_slice_of(NULL, 0));
	assert_int_equal(tl_read_map(&reader), 0);
	assert_int_equal(reader.err, TL_EFRAME_MALFORMED);
}

static void
an_integer_above_int64_is_no_integer_of_ours(void **state)
{
	struct tl_reader reader =
		tl_reader_of(tl_slice_of("\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 9));

	(void)state;
	assert_int_equal(tl_reader_peek(&reader), TL_WIRE_INT);
	assert_int_equal(tl_read_int(&reader), 0);
	assert_int_equal(reader.err, TL_EFIELD_TYPE);
}

static void
both_widths_of_real_numbers_are_read(void **state)
{
	struct tl_reader reader = tl_reader_of(
		tl_slice_of("\xca\x3f\xc0\x00\x00\xcb\xbf\xf8\x00\x00\x00\x00\x00\x00", 14));

	(void)state;
	assert_true(tl_read_float(&reader) == 1.5);
	assert_true(tl_read_float(&reader) == -1.5);
	assert_int_equal(reader.err, TL_OK);
}

static void
skipping_walks_whole_values(void **state)
{
	static const char bytes[] = "\x93\x82\x01\x91\x02\x03\xc4\x01\xff\xa1z\x05";
	struct tl_reader reader = tl_reader_of(tl_slice_of(bytes, sizeof(bytes) - 1));

	(void)state;
	assert_int_equal(tl_read_array(&reader), 3);
	assert_int_equal(tl_read_any(&reader).bytes, 8);
	assert_true(tl_slice_eq(tl_read_str(&reader), tl_slice_str("z")));
	assert_int_equal(tl_read_int(&reader), 5);
	assert_int_equal(reader.err, TL_OK);
}

static void
a_key_is_found_behind_others_of_any_type(void **state)
{
	static const char bytes[] = "\x84\x01\xa1x\x92\x01\x02\xc0\xa1"
				    "a\x81\xa1"
				    "b\x07\xa1"
				    "b\x09";
	struct tl_slice map = tl_slice_of(bytes, sizeof(bytes) - 1);
	struct tl_reader value;

	(void)state;
	assert_int_equal(tl_reader_check(map, 2, NULL), TL_OK);
	assert_int_equal(tl_reader_find_int(map, "b", -1), 9);
	assert_true(tl_reader_find(map, "a", &value));
	assert_int_equal(tl_reader_peek(&value), TL_WIRE_MAP);
	assert_false(tl_reader_find(map, "x", &value));
	assert_int_equal(tl_reader_find_int(map, "a", -1), -1);
	assert_int_equal(tl_reader_find_str(map, "b").bytes, 0);
	assert_false(tl_reader_find(tl_slice_of("\x01", 1), "a", &value));
}

/* What the table says of a token that the reader read, or could not (NULL). */
static void
check_head(const struct tl_token_head *head, const uint8_t *at, const struct tl_token *token)
{
	if (head->is_count) {
		assert_non_null(token);
		assert_int_equal(token->type, TL_WIRE_INT);
		assert_true(
			token->is_wide || tl_token_counted(head, at) == (uint64_t)token->number);
	}
	if (head->is_text) {
		size_t bytes = head->bytes + (at[1] & head->length_mask) - (size_t)head->skip;

		assert_non_null(token);
		assert_int_equal(token->type, TL_WIRE_STR);
		assert_ptr_equal(token->bytes.data, at + head->skip);
		assert_int_equal(token->bytes.bytes, bytes);
	}
}

/* The quick table and the full reader are two descriptions of one format. */
static void
the_table_of_heads_agrees_with_the_reader(void **state)
{
	uint8_t bytes[300] = {0};

	(void)state;
	for (unsigned int head = 0; head < 256; head++) {
		for (unsigned int second = 0; second < 256; second++) {
			struct tl_token token;
			uint64_t children = 0;
			const uint8_t *end = bytes + sizeof(bytes);
			const uint8_t *read;
			const uint8_t *stepped;

			bytes[0] = (uint8_t)head;
			bytes[1] = (uint8_t)second;
			read = tl_token_read(bytes, end, &token);
			stepped = tl_token_step(bytes, end, &children);
			assert_ptr_equal(read, stepped);
			if (read != NULL)
				assert_int_equal(children, tl_token_children(&token));
			check_head(&tl_token_heads[head], bytes, read != NULL ? &token : NULL);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bounds_pass_believes_no_length),
		cmocka_unit_test(a_depth_bomb_ends_at_its_fifth_byte),
		cmocka_unit_test(each_length_one_byte_short_is_refused),
		cmocka_unit_test(a_read_of_the_wrong_type_sticks),
		cmocka_unit_test(a_read_past_the_end_is_malformed),
		cmocka_unit_test(an_integer_above_int64_is_no_integer_of_ours),
		cmocka_unit_test(both_widths_of_real_numbers_are_read),
		cmocka_unit_test(skipping_walks_whole_values),
		cmocka_unit_test(a_key_is_found_behind_others_of_any_type),
		cmocka_unit_test(the_table_of_heads_agrees_with_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
