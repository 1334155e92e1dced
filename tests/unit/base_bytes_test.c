#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "schema/base/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A literal with zero bytes inside. */
#define BYTES(text)                                       \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}

static const struct {
	const char *name;
	struct tl_slice a;
	struct tl_slice b;
	int order;
} comparisons[] = {
	{"nothing equals nothing", {NULL, 0}, BYTES(""), 0},
	{"nothing comes before a zero byte", {NULL, 0}, BYTES("\0"), -1},
	{"a prefix comes before what it begins", BYTES("ab"), BYTES("abc"), -1},
	{"the first different byte decides", BYTES("b"), BYTES("abc"), 1},
	{"bytes are unsigned", BYTES("\xff"), BYTES("\x01"), 1},
	{"equal bytes are equal", BYTES("a\0b"), BYTES("a\0b"), 0},
};

static void
slices_compare_as_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(comparisons); i++) {
		struct tl_slice a = comparisons[i].a;
		struct tl_slice b = comparisons[i].b;
		int order = comparisons[i].order;
		int there = tl_slice_cmp(a, b);
		int back = tl_slice_cmp(b, a);

		if ((there > 0) - (there < 0) != order || (back > 0) - (back < 0) != -order ||
			tl_slice_eq(a, b) != (order == 0))
			fail_msg("%s", comparisons[i].name);
	}
}

static const struct {
	const char *name;
	uint64_t value;
	struct tl_slice bytes;
} varints[] = {
	{"zero is one byte", 0, BYTES("\0")},
	{"127 is the last of one byte", 127, BYTES("\x7f")},
	{"128 is the first of two", 128, BYTES("\x80\x01")},
	{"300 has its low bits first", 300, BYTES("\xac\x02")},
	{"63 bits are nine bytes", INT64_MAX, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\x7f")},
	{"the 64th bit is a tenth byte", UINT64_C(1) << 63,
		BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
	{"the largest is ten bytes", UINT64_MAX, BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
};

static void
varints_have_one_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(varints); i++) {
		struct tl_slice bytes = varints[i].bytes;
		uint8_t at[10];
		uint64_t value = 0;
		size_t put_bytes = tl_varint_put(at, varints[i].value);

		if (!tl_slice_eq(tl_slice_of(at, put_bytes), bytes))
			fail_msg("%s", varints[i].name);
		if (tl_varint_get(bytes.data, bytes.data + bytes.bytes, &value) != bytes.bytes ||
			value != varints[i].value)
			fail_msg("%s", varints[i].name);
		/* Every cut of it is short. */
		for (size_t cut = 0; cut < bytes.bytes; cut++)
			assert_int_equal(tl_varint_get(bytes.data, bytes.data + cut, &value), 0);
	}
}

static const struct {
	const char *name;
	struct tl_slice bytes;
} wrong_varints[] = {
	{"zero in two bytes is over-long", BYTES("\x80\x00")},
	{"one in three bytes is over-long", BYTES("\x81\x80\x00")},
	{"63 bits in ten bytes are over-long", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00")},
	{"a 65th bit does not fit", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")},
	{"an eleventh byte does not fit", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x00")},
	{"a tenth byte may not go on", BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x01")},
};

static void
wrong_varints_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_varints); i++) {
		struct tl_slice bytes = wrong_varints[i].bytes;
		struct tl_cursor cur = tl_cursor_of(bytes);
		uint64_t value = 77;

		if (tl_varint_get(bytes.data, bytes.data + bytes.bytes, &value) != 0)
			fail_msg("%s", wrong_varints[i].name);
		assert_int_equal(value, 77);
		assert_int_equal(tl_cursor_varint(&cur), 0);
		assert_int_equal(cur.err, TL_ESTORAGE_CORRUPT);
	}
}

static void
zigzag_keeps_small_magnitudes_small(void **state)
{
	static const int64_t values[] = {0, -1, 1, -2, 2, 63, -64, INT64_MAX, INT64_MIN};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++)
		assert_true(tl_unzigzag(tl_zigzag(values[i])) == values[i]);
	assert_int_equal(tl_zigzag(-1), 1);
	assert_int_equal(tl_zigzag(1), 2);
	assert_true(tl_zigzag(INT64_MIN) == UINT64_MAX);
}

static void
what_is_put_is_read_back_in_order(void **state)
{
	static const uint8_t golden[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
		0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0xac, 0x02, 0x03, 'a', 'b', 'c', '-', '7'};
	struct tl_buf buf;
	struct tl_cursor cur;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_buf_put_u8(&buf, 1);
	tl_buf_put_be16(&buf, 0x0203);
	tl_buf_put_be32(&buf, 0x04050607);
	tl_buf_put_be64(&buf, UINT64_C(0x08090a0b0c0d0e0f));
	tl_buf_put_varint(&buf, 300);
	tl_buf_put_zigzag(&buf, -2);
	tl_buf_put_str(&buf, "ab");
	tl_buf_put_slice(&buf, tl_slice_of("c", 1));
	tl_buf_put_slice(&buf, tl_slice_of(NULL, 0));
	tl_buf_printf(&buf, "%d", -7);
	assert_int_equal(buf.err, TL_OK);
	assert_int_equal(buf.bytes, sizeof(golden));
	assert_memory_equal(buf.data, golden, sizeof(golden));

	cur = tl_cursor_of(tl_buf_slice(&buf));
	assert_int_equal(tl_cursor_u8(&cur), 1);
	assert_int_equal(tl_cursor_be16(&cur), 0x0203);
	assert_int_equal(tl_cursor_be32(&cur), 0x04050607);
	assert_true(tl_cursor_be64(&cur) == UINT64_C(0x08090a0b0c0d0e0f));
	assert_int_equal(tl_cursor_varint(&cur), 300);
	assert_true(tl_cursor_zigzag(&cur) == -2);
	assert_true(tl_slice_eq(tl_cursor_take(&cur, 3), tl_slice_str("abc")));
	assert_int_equal(tl_cursor_left(&cur), 2);
	assert_true(tl_slice_eq(tl_cursor_take(&cur, 2), tl_slice_str("-7")));
	assert_int_equal(tl_cursor_left(&cur), 0);
	assert_int_equal(tl_cursor_take(&cur, 0).bytes, 0);
	assert_int_equal(cur.err, TL_OK);
	tl_buf_fini(&buf);
}

static void
a_short_read_sticks_and_leaves_nothing(void **state)
{
	struct tl_cursor cur = tl_cursor_of(tl_slice_str("abc"));

	(void)state;
	assert_int_equal(tl_cursor_be32(&cur), 0);
	assert_int_equal(cur.err, TL_ESTORAGE_CORRUPT);
	assert_int_equal(tl_cursor_left(&cur), 0);
	assert_int_equal(tl_cursor_u8(&cur), 0);
	assert_int_equal(tl_cursor_varint(&cur), 0);
	assert_int_equal(tl_cursor_take(&cur, 0).bytes, 0);
	assert_null(tl_cursor_take(&cur, 1).data);
	assert_int_equal(cur.err, TL_ESTORAGE_CORRUPT);
}

static void
a_cursor_over_nothing_is_at_its_end(void **state)
{
	struct tl_cursor cur = tl_cursor_of(tl_slice_of(NULL, 0));

	(void)state;
	assert_int_equal(tl_cursor_left(&cur), 0);
	assert_int_equal(tl_cursor_take(&cur, 0).bytes, 0);
	assert_int_equal(cur.err, TL_OK);
	assert_int_equal(tl_cursor_u8(&cur), 0);
	assert_int_equal(cur.err, TL_ESTORAGE_CORRUPT);
}

static void
a_buffer_takes_exactly_its_ceiling(void **state)
{
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 5);
	tl_buf_put_str(&buf, "abc");
	tl_buf_printf(&buf, "%s", "de");
	assert_int_equal(buf.err, TL_OK);
	tl_buf_put_u8(&buf, 'f');
	assert_int_equal(buf.err, TL_EFULL);
	assert_true(tl_slice_eq(tl_buf_slice(&buf), tl_slice_str("abcde")));
	tl_buf_fini(&buf);
}

static void
the_first_failure_sticks_until_the_reset(void **state)
{
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 4);
	tl_buf_put_str(&buf, "ab");
	tl_buf_put_be32(&buf, 1);
	tl_buf_put_u8(&buf, 'c'); /* it would fit */
	tl_buf_printf(&buf, "d");
	assert_null(tl_buf_reserve(&buf, 1));
	assert_int_equal(buf.err, TL_EFULL);
	assert_true(tl_slice_eq(tl_buf_slice(&buf), tl_slice_str("ab")));
	tl_buf_reset(&buf);
	assert_int_equal(buf.err, TL_OK);
	tl_buf_put_str(&buf, "wxyz");
	assert_true(tl_slice_eq(tl_buf_slice(&buf), tl_slice_str("wxyz")));
	tl_buf_fini(&buf);
}

static void
an_absurd_size_is_an_error_not_a_crash(void **state)
{
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_buf_put_u8(&buf, 1);
	assert_null(tl_buf_reserve(&buf, SIZE_MAX));
	assert_int_equal(buf.err, TL_EFULL);
	assert_int_equal(buf.bytes, 1);
	tl_buf_fini(&buf);
}

static void
what_is_written_into_the_reserve_counts_after_the_advance(void **state)
{
	struct tl_buf buf;
	uint8_t *at;

	(void)state;
	tl_buf_init(&buf, 0);
	assert_non_null(tl_buf_reserve(&buf, 0));
	at = tl_buf_reserve(&buf, 1000);
	assert_non_null(at);
	memset(at, 'x', 1000);
	assert_int_equal(buf.bytes, 0);
	tl_buf_advance(&buf, 900);
	assert_int_equal(buf.bytes, 900);
	assert_int_equal(buf.data[899], 'x');
	tl_buf_fini(&buf);
}

static void
long_texts_are_printed_whole(void **state)
{
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_buf_put_str(&buf, "<");
	tl_buf_printf(&buf, "%05000d", 3);
	tl_buf_printf(&buf, "%s", "");
	tl_buf_put_str(&buf, ">");
	assert_int_equal(buf.bytes, 5002);
	assert_memory_equal(buf.data + 4999, "03>", 3);
	tl_buf_fini(&buf);
}

static const struct {
	const char *name;
	const char *text;
	bool valid;
} hexes[] = {
	{"lower case is taken", "00ff1a", true},
	{"upper case is taken", "00FF1A", true},
	{"a digit too few is refused", "00ff1", false},
	{"a byte too few is refused", "00ff", false},
	{"a byte too many is refused", "00ff1a00", false},
	{"a letter behind f is refused", "00fg1a", false},
	{"a sign is refused", "00+f1a", false},
	{"a prefix is refused", "0x001a", false},
	{"nothing is refused", "", false},
};

static void
hex_is_read_strictly(void **state)
{
	static const uint8_t expected[3] = {0x00, 0xff, 0x1a};
	char text[7];

	(void)state;
	for (size_t i = 0; i < COUNT(hexes); i++) {
		uint8_t data[3] = {9, 9, 9};

		if (tl_unhex(tl_slice_str(hexes[i].text), data, 3) != hexes[i].valid)
			fail_msg("%s", hexes[i].name);
		if (hexes[i].valid)
			assert_memory_equal(data, expected, 3);
		else
			assert_int_equal(data[0], 9);
	}
	tl_hex(expected, 3, text);
	assert_string_equal(text, "00ff1a");
	tl_hex(expected, 0, text);
	assert_string_equal(text, "");
}

static const struct {
	const char *name;
	struct tl_slice text;
	bool valid;
} utf8s[] = {
	{"nothing is valid", {NULL, 0}, true},
	{"ASCII is valid, a zero byte too", BYTES("a\0~\x7f"), true},
	{"the first of two bytes, U+0080", BYTES("\xc2\x80"), true},
	{"the first of three bytes, U+0800", BYTES("\xe0\xa0\x80"), true},
	{"the last before the surrogates, U+D7FF", BYTES("\xed\x9f\xbf"), true},
	{"the first behind the surrogates, U+E000", BYTES("\xee\x80\x80"), true},
	{"the first of four bytes, U+10000", BYTES("\xf0\x90\x80\x80"), true},
	{"the last of all, U+10FFFF", BYTES("\xf4\x8f\xbf\xbf"), true},
	{"mixed lengths are valid", BYTES("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"), true},
	{"a lone continuation is refused", BYTES("\x80"), false},
	{"an over-long zero is refused", BYTES("\xc0\x80"), false},
	{"an over-long slash is refused", BYTES("\xc1\xaf"), false},
	{"over-long in three bytes is refused", BYTES("\xe0\x9f\xbf"), false},
	{"over-long in four bytes is refused", BYTES("\xf0\x8f\xbf\xbf"), false},
	{"the first surrogate is refused", BYTES("\xed\xa0\x80"), false},
	{"the last surrogate is refused", BYTES("\xed\xbf\xbf"), false},
	{"a pair of surrogates is refused", BYTES("\xed\xa0\xbd\xed\xb8\x80"), false},
	{"past U+10FFFF is refused", BYTES("\xf4\x90\x80\x80"), false},
	{"the byte F5 is refused", BYTES("\xf5\x80\x80\x80"), false},
	{"the byte FF is refused", BYTES("\xff"), false},
	{"a character cut short is refused", BYTES("a\xe2\x82"), false},
	{"a character cut by ASCII is refused", BYTES("\xe2\x82z"), false},
	{"a last byte that is none is refused", BYTES("\xf0\x90\x80z"), false},
};

static void
utf8_is_what_rfc_3629_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(utf8s); i++) {
		if (tl_utf8_valid(utf8s[i].text) != utf8s[i].valid)
			fail_msg("%s", utf8s[i].name);
	}
}

/* All code points, encoded by the definition. */
static void
every_code_point_but_the_surrogates_is_valid(void **state)
{
	(void)state;
	for (uint32_t point = 0x80; point < 0x120000; point++) {
		uint8_t at[4];
		size_t bytes = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
		bool valid = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);

		for (size_t i = bytes - 1; i > 0; i--)
			at[i] = (uint8_t)(0x80 | (point >> 6 * (bytes - 1 - i) & 0x3f));
		at[0] = (uint8_t)(0xf00 >> bytes | point >> 6 * (bytes - 1));
		if (tl_utf8_valid(tl_slice_of(at, bytes)) != valid)
			fail_msg("U+%04X", point);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_compare_as_bytes),
		cmocka_unit_test(varints_have_one_spelling),
		cmocka_unit_test(wrong_varints_are_refused),
		cmocka_unit_test(zigzag_keeps_small_magnitudes_small),
		cmocka_unit_test(what_is_put_is_read_back_in_order),
		cmocka_unit_test(a_short_read_sticks_and_leaves_nothing),
		cmocka_unit_test(a_cursor_over_nothing_is_at_its_end),
		cmocka_unit_test(a_buffer_takes_exactly_its_ceiling),
		cmocka_unit_test(the_first_failure_sticks_until_the_reset),
		cmocka_unit_test(an_absurd_size_is_an_error_not_a_crash),
		cmocka_unit_test(what_is_written_into_the_reserve_counts_after_the_advance),
		cmocka_unit_test(long_texts_are_printed_whole),
		cmocka_unit_test(hex_is_read_strictly),
		cmocka_unit_test(utf8_is_what_rfc_3629_says),
		cmocka_unit_test(every_code_point_but_the_surrogates_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
