#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/column.h"
#include "tests/unit/store_golden.h"

#define GOLDEN "tests/golden/column.hex"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS_MAX 3000u

enum { CONST, OFFSET, DELTA, DICTIONARY };

static int64_t values[ROWS_MAX];
static int64_t decoded[ROWS_MAX];

/* Encode, decode and skip; the form that was taken. */
static int
round_trip(uint32_t count, size_t *bytes_out)
{
	struct tl_buf buf;
	struct tl_cursor cur;
	struct tl_cursor skip;
	int form;

	tl_buf_init(&buf, 0);
	tl_buf_put_str(&buf, "before");
	tl_column_encode(&buf, values, count);
	assert_int_equal(buf.err, TL_OK);
	*bytes_out = buf.bytes - 6;
	form = buf.data[6];
	tl_buf_put_str(&buf, "behind");
	cur = tl_cursor_of(tl_slice_of(buf.data + 6, buf.bytes - 6));
	skip = cur;
	memset(decoded, 0x5a, sizeof(decoded));
	tl_column_decode(&cur, decoded, count);
	assert_int_equal(cur.err, TL_OK);
	assert_int_equal(tl_cursor_left(&cur), 6);
	assert_memory_equal(decoded, values, count * sizeof(*values));
	tl_column_skip(&skip, count);
	assert_int_equal(skip.err, TL_OK);
	assert_int_equal(tl_cursor_left(&skip), 6);
	/* A column by itself, without bytes behind it that a wide read could fall on. */
	buf.bytes -= 6;
	cur = tl_cursor_of(tl_slice_of(buf.data + 6, buf.bytes - 6));
	tl_column_decode(&cur, decoded, count);
	assert_int_equal(cur.err, TL_OK);
	assert_memory_equal(decoded, values, count * sizeof(*values));
	tl_buf_fini(&buf);
	return form;
}

static void
one_value_again_and_again_is_const(void **state)
{
	static const int64_t kinds[] = {0, 1, -1, 63, 64, INT64_MAX, INT64_MIN};
	size_t bytes;

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		for (uint32_t i = 0; i < 100; i++)
			values[i] = kinds[k];
		assert_int_equal(round_trip(1, &bytes), CONST);
		assert_int_equal(round_trip(100, &bytes), CONST);
		assert_true(bytes <= 11);
	}
}

static void
a_small_range_is_one_byte_a_row(void **state)
{
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		values[i] = 1000000 + (i * 37) % 128;
	assert_int_equal(round_trip(1000, &bytes), OFFSET);
	assert_int_equal(bytes, 1 + 3 + 1000);
}

static void
rising_values_are_steps(void **state)
{
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		values[i] = 1795255200000 + 7 * (int64_t)i;
	assert_int_equal(round_trip(1000, &bytes), DELTA);
	assert_int_equal(bytes, 1 + 6 + 999);
}

static void
few_values_far_apart_are_a_dictionary(void **state)
{
	uint64_t seed = 1;
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < 2000; i++)
		values[i] = (int64_t)(next_random(&seed) % 256) * 1000003;
	assert_int_equal(round_trip(2000, &bytes), DICTIONARY);
	assert_true(bytes <= 1 + 2 + 256 * 5 + 2000);
}

static void
one_value_more_than_a_dictionary_takes(void **state)
{
	uint64_t seed = 1;
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < 2570; i++)
		values[i] = (int64_t)((i * 101) % 257) * 1000000000000;
	assert_int_equal(round_trip(2570, &bytes), OFFSET);
	for (uint32_t i = 0; i < 2570; i++)
		values[i] = (int64_t)(next_random(&seed) % 200) * 1000000000000;
	assert_int_equal(round_trip(2570, &bytes), DICTIONARY);
}

/* Values whose differences do not fit, at every length of column and each length of varint. */
static void
every_value_comes_back(void **state)
{
	uint64_t seed = 2;
	size_t bytes;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		uint32_t count = 1 + (uint32_t)(next_random(&seed) % (round % 50 == 0 ? 3000 : 40));
		uint32_t bits = 1 + (uint32_t)(next_random(&seed) % 64);
		int64_t base = (int64_t)next_random(&seed) >> (next_random(&seed) % 64);
		int64_t value = base;
		bool steps = next_random(&seed) % 2 == 0;

		for (uint32_t i = 0; i < count; i++) {
			uint64_t some = next_random(&seed) >> (64 - bits);

			if (next_random(&seed) % 8 == 0)
				some = next_random(&seed) >> (next_random(&seed) % 64);
			value = (int64_t)((uint64_t)(steps ? value : base) + some);
			values[i] = value;
		}
		(void)round_trip(count, &bytes);
	}
	values[0] = INT64_MIN;
	values[1] = INT64_MAX;
	values[2] = 0;
	values[3] = INT64_MIN;
	(void)round_trip(4, &bytes);
	(void)round_trip(2, &bytes);
}

static size_t
varint_size(uint64_t value)
{
	uint8_t at[10];

	return tl_varint_put(at, value);
}

/* What the choice promises: never more than the better of offsets and steps, but for an eighth. */
static void
the_form_is_about_the_smallest(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int round = 0; round < 300; round++) {
		uint32_t bits = 8 + (uint32_t)(next_random(&seed) % 40);
		size_t offsets = 1, bytes;
		int64_t min = INT64_MAX;

		for (uint32_t i = 0; i < 1000; i++) {
			values[i] = (int64_t)(next_random(&seed) >> (64 - bits));
			min = values[i] < min ? values[i] : min;
		}
		offsets += varint_size(tl_zigzag(min));
		for (uint32_t i = 0; i < 1000; i++)
			offsets += varint_size((uint64_t)(values[i] - min));
		(void)round_trip(1000, &bytes);
		assert_true(bytes <= offsets);
	}
}

static void
a_full_buffer_keeps_its_ceiling(void **state)
{
	struct tl_buf buf;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		values[i] = i * 3;
	/* The exact size is enough, one byte less is not. */
	tl_buf_init(&buf, 0);
	tl_column_encode(&buf, values, 100);
	buf.bytes_max = buf.bytes;
	buf.bytes = 0;
	tl_column_encode(&buf, values, 100);
	assert_int_equal(buf.err, TL_OK);
	buf.bytes_max--;
	buf.bytes = 0;
	tl_column_encode(&buf, values, 100);
	assert_int_equal(buf.err, TL_EFULL);
	tl_column_encode(&buf, values, 1);
	assert_int_equal(buf.bytes, 0);
	tl_buf_fini(&buf);
}

static const struct {
	const char *name; /* says what is wrong; rows is 3 */
	const char *hex;
} damaged[] = {
	{"nothing", ""},
	{"an unknown form", "0400"},
	{"a constant without its value", "00"},
	{"an offset column cut short", "01000102"},
	{"a varint that does not end", "0100010280"},
	{"an over-long offset of two bytes", "01008100800001"},
	{"a step column cut short", "020002"},
	{"a varint past 64 bits", "0100ffffffffffffffffff7f0000"},
	{"a dictionary of one", "030100000000"},
	{"a dictionary of none", "0300000000"},
	{"a dictionary of 257", "03810200000000"},
	{"an index past the dictionary", "030202040001"
					 "02"},
	{"a dictionary's rows cut short", "03020204"
					  "0001"},
};

static void
damage_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(damaged); i++) {
		size_t bytes = strlen(damaged[i].hex) / 2;
		uint8_t *data = malloc(bytes + 1);
		struct tl_cursor cur, skip;

		assert_true(tl_unhex(tl_slice_str(damaged[i].hex), data, bytes));
		cur = tl_cursor_of(tl_slice_of(data, bytes));
		skip = cur;
		tl_column_decode(&cur, decoded, 3);
		if (cur.err != TL_ESTORAGE_CORRUPT)
			fail_msg("%s was taken", damaged[i].name);
		tl_column_skip(&skip, 3); /* may pass over a wrong index, never over the end */
		assert_true(skip.next <= skip.end);
		free(data);
	}
}

/* Over-long varints inside the stretch that is read eight bytes at a time. */
static void
an_over_long_varint_amid_others_is_told(void **state)
{
	uint8_t bytes[2 + 40] = {OFFSET, 0};
	struct tl_cursor cur;

	(void)state;
	for (size_t at = 2; at < 2 + 20; at++) {
		memset(bytes + 2, 1, 40);
		bytes[at] = 0x80;
		bytes[at + 1] = 0;
		cur = tl_cursor_of(tl_slice_of(bytes, sizeof(bytes)));
		tl_column_decode(&cur, decoded, 30);
		assert_int_equal(cur.err, TL_ESTORAGE_CORRUPT);
		/* Beside it: two bytes that are one value. */
		bytes[at + 1] = 1;
		cur = tl_cursor_of(tl_slice_of(bytes, sizeof(bytes)));
		tl_column_decode(&cur, decoded, 30);
		assert_int_equal(cur.err, TL_OK);
		assert_int_equal(decoded[at - 2], 128);
	}
}

static void
any_bytes_are_survived(void **state)
{
	uint64_t seed = 4;

	(void)state;
	for (int round = 0; round < 50000; round++) {
		size_t bytes = next_random(&seed) % 60;
		uint32_t count = 1 + (uint32_t)(next_random(&seed) % 50);
		uint8_t *data = malloc(bytes + 1);
		struct tl_cursor cur, skip;

		for (size_t i = 0; i < bytes; i++)
			data[i] = (uint8_t)(next_random(&seed) >> (next_random(&seed) % 8));
		if (bytes > 0)
			data[0] %= 5;
		cur = tl_cursor_of(tl_slice_of(data, bytes));
		skip = cur;
		tl_column_decode(&cur, decoded, count);
		tl_column_skip(&skip, count);
		if (cur.err == TL_OK) {
			assert_int_equal(skip.err, TL_OK);
			assert_ptr_equal(skip.next, cur.next);
		}
		free(data);
	}
}

static void
columns_have_their_golden_bytes(void **state)
{
	static const struct {
		const char *name;
		int64_t values[10];
	} goldens[] = {
		{"const", {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1}},
		{"offset", {500, 501, 502, 510, 499, 600, 500, 500, 500, 626}},
		{"delta", {1795255200000, 1795255200010, 1795255200250, 1795255201300,
				  1795255201200, 1795255202000, 1795255204000, 1795255204001,
				  1795255205000, 1795255209000}},
		{"dictionary",
			{70000, -70000, 70000, -70000, -70000, 70000, 70000, 70000, -70000, 70000}},
	};
	struct tl_buf buf, golden;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_buf_init(&golden, 0);
	for (size_t i = 0; i < COUNT(goldens); i++) {
		struct tl_cursor cur;

		tl_buf_reset(&buf);
		tl_column_encode(&buf, goldens[i].values, 10);
		assert_int_equal(buf.data[0], i);
		golden_check(GOLDEN, goldens[i].name, tl_buf_slice(&buf));
		cur = tl_cursor_of(golden_read(GOLDEN, goldens[i].name, &golden));
		tl_column_decode(&cur, decoded, 10);
		assert_int_equal(cur.err, TL_OK);
		assert_int_equal(tl_cursor_left(&cur), 0);
		assert_memory_equal(decoded, goldens[i].values, 10 * sizeof(int64_t));
	}
	tl_buf_fini(&golden);
	tl_buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_value_again_and_again_is_const),
		cmocka_unit_test(a_small_range_is_one_byte_a_row),
		cmocka_unit_test(rising_values_are_steps),
		cmocka_unit_test(few_values_far_apart_are_a_dictionary),
		cmocka_unit_test(one_value_more_than_a_dictionary_takes),
		cmocka_unit_test(every_value_comes_back),
		cmocka_unit_test(the_form_is_about_the_smallest),
		cmocka_unit_test(a_full_buffer_keeps_its_ceiling),
		cmocka_unit_test(damage_is_told),
		cmocka_unit_test(an_over_long_varint_amid_others_is_told),
		cmocka_unit_test(any_bytes_are_survived),
		cmocka_unit_test(columns_have_their_golden_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
