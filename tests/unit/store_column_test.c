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

/* What a tag says: how many bits a row has at first, whether of steps, whether more follow. */
enum { WIDTH = 0x3f, STEPS = 0x40, MORE = 0x80 };

static int64_t values[ROWS_MAX];
static int64_t decoded[ROWS_MAX];

/* Every third row, or none of a column of steps. */
static void
check_pick(struct tl_slice bytes, int tag, uint32_t count)
{
	static int64_t picked[ROWS_MAX];
	static uint32_t rows[ROWS_MAX];
	struct tl_cursor cur = tl_cursor_of(bytes);
	uint32_t row_count = 0;

	for (uint32_t i = count % 3; i < count; i += 3)
		rows[row_count++] = i;
	assert_int_equal(tl_column_pick(&cur, count, rows, row_count, picked), (tag & STEPS) == 0);
	assert_int_equal(cur.err, TL_OK);
	assert_ptr_equal(cur.next, (tag & STEPS) == 0 ? cur.end : bytes.data);
	for (uint32_t i = 0; (tag & STEPS) == 0 && i < row_count; i++)
		assert_true(picked[i] == values[rows[i]]);
}

/* Encode and decode; the tag. */
static int
round_trip(uint32_t count, size_t *bytes_out)
{
	struct tl_buf buf;
	struct tl_cursor cur;
	int tag;

	tl_buf_init(&buf, 0);
	tl_buf_put_str(&buf, "before");
	tl_column_encode(&buf, values, count);
	assert_int_equal(buf.err, TL_OK);
	*bytes_out = buf.bytes - 6;
	tag = buf.data[6];
	tl_buf_put_str(&buf, "behind");
	cur = tl_cursor_of(tl_slice_of(buf.data + 6, buf.bytes - 6));
	memset(decoded, 0x5a, sizeof(decoded));
	tl_column_decode(&cur, decoded, count);
	assert_int_equal(cur.err, TL_OK);
	assert_int_equal(tl_cursor_left(&cur), 6);
	assert_memory_equal(decoded, values, count * sizeof(*values));
	/* A column by itself, without bytes behind it that a wide read could fall on. */
	buf.bytes -= 6;
	cur = tl_cursor_of(tl_slice_of(buf.data + 6, buf.bytes - 6));
	tl_column_decode(&cur, decoded, count);
	assert_int_equal(cur.err, TL_OK);
	assert_memory_equal(decoded, values, count * sizeof(*values));
	check_pick(tl_slice_of(buf.data + 6, buf.bytes - 6), tag, count);
	tl_buf_fini(&buf);
	return tag;
}

static void
one_value_again_and_again_takes_no_room(void **state)
{
	static const int64_t kinds[] = {0, 1, -1, 63, 64, INT64_MAX, INT64_MIN};
	size_t bytes;

	(void)state;
	for (size_t k = 0; k < COUNT(kinds); k++) {
		for (uint32_t i = 0; i < 100; i++)
			values[i] = kinds[k];
		assert_int_equal(round_trip(1, &bytes), 0);
		assert_int_equal(round_trip(100, &bytes), 0);
		assert_true(bytes <= 11);
	}
}

static void
a_small_range_takes_its_bits(void **state)
{
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		values[i] = 1000000 + (i * 37) % 128;
	assert_int_equal(round_trip(1000, &bytes), 7);
	assert_int_equal(bytes, 1 + 3 + 875);
}

static void
rising_values_are_steps(void **state)
{
	uint64_t seed = 1;
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		values[i] = 1795255200000 + 7 * (int64_t)i;
	assert_int_equal(round_trip(1000, &bytes), STEPS);
	assert_int_equal(bytes, 1 + 6 + 1);
	for (uint32_t i = 1; i < 1000; i++)
		values[i] = values[i - 1] + (int64_t)(next_random(&seed) % 8);
	assert_int_equal(round_trip(1000, &bytes), STEPS | 4);
	assert_int_equal(bytes, 1 + 6 + 1 + 500);
}

static void
the_few_large_ones_are_a_layer(void **state)
{
	uint64_t seed = 1;
	size_t bytes;

	(void)state;
	for (uint32_t i = 0; i < 2000; i++)
		values[i] = (int64_t)(next_random(&seed) % 16) + (i % 50 == 7 ? 1000000 : 0);
	assert_int_equal(round_trip(2000, &bytes), MORE | 4);
	assert_true(bytes <= 1000 + 40 * (6 + 16) / 8 + 10);
	/* nothing but for some, of very unequal size */
	for (uint32_t i = 0; i < 2000; i++)
		values[i] = i % 20 != 7	   ? 0
			    : i % 400 == 7 ? INT64_C(1) << 40
					   : (int64_t)(next_random(&seed) % 256);
	assert_int_equal(round_trip(2000, &bytes), MORE);
	assert_true(bytes <= 100 * (5 + 8) / 8 + 5 * (9 + 33) / 8 + 24);
	/* so few rows that the head of a layer would not pay */
	for (uint32_t i = 0; i < 10; i++)
		values[i] = i == 7 ? 100 : 0;
	assert_int_equal(round_trip(10, &bytes), 7);
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

/* What the choice promises: of what has no pattern, hardly more than its bits. */
static void
the_form_is_about_the_smallest(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (int round = 0; round < 1000; round++) {
		uint32_t bits = 1 + (uint32_t)(next_random(&seed) % 56);
		uint32_t count = 1 + (uint32_t)(next_random(&seed) % 1000);
		size_t bytes;

		for (uint32_t i = 0; i < count; i++)
			values[i] = (int64_t)(next_random(&seed) >> (64 - bits));
		values[0] = 0;
		(void)round_trip(count, &bytes);
		assert_true(bytes <= 4 + (count * bits + 7) / 8 + count / 4);
	}
}

static void
a_ceiling_is_kept(void **state)
{
	struct tl_buf buf;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		values[i] = (i * 37) % 128 + (i % 100 == 0 ? 100000 : 0);
	tl_buf_init(&buf, 0);
	tl_column_encode(&buf, values, 1000);
	for (size_t less = 1; less < buf.bytes; less++) {
		struct tl_buf small;

		tl_buf_init(&small, buf.bytes - less);
		tl_column_encode(&small, values, 1000);
		assert_int_equal(small.err, TL_EFULL);
		assert_true(small.bytes <= small.bytes_max);
		tl_column_encode(&small, values, 1);
		assert_int_equal(small.err, TL_EFULL);
		tl_buf_fini(&small);
	}
	tl_buf_fini(&buf);
}

static const struct {
	const char *name; /* says what is wrong; rows is 3 */
	const char *hex;
} damaged[] = {
	{"nothing", ""},
	{"a width past 64", "3a00000000000000000000000000000000000000000000000000"},
	{"a column without its least value", "00"},
	{"an over-long least value", "008000"},
	{"numbers cut short", "08000102"},
	{"steps without a least one", "4002"},
	{"steps cut short", "48020001"},
	{"a layer that is not there", "8000"},
	{"a layer of no rows", "80000800"
			       "00"},
	{"a layer of more rows than there are", "80000804"
						"00"
						"01010101"},
	{"a layer of no bits", "8000000100"},
	{"a layer past the last row", "80000801"
				      "0803"
				      "01"},
	{"two gaps past the last row", "80000802"
				       "080101"
				       "0101"},
	{"a layer's gaps of a width past 64", "800008013a00000000000000000001"},
	{"a layer's numbers cut short", "80001001"
					"080001"},
	{"a layer above the 64th bit", "b900ffffffffffffffffffffffffffffffff"
				       "ffffffffffffffff08010001"},
};

static void
damage_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(damaged); i++) {
		size_t bytes = strlen(damaged[i].hex) / 2;
		uint8_t *data = malloc(bytes + 1);
		struct tl_cursor cur;

		assert_true(tl_unhex(tl_slice_str(damaged[i].hex), data, bytes));
		cur = tl_cursor_of(tl_slice_of(data, bytes));
		tl_column_decode(&cur, decoded, 3);
		if (cur.err != TL_ESTORAGE_CORRUPT)
			fail_msg("%s was taken", damaged[i].name);
		assert_ptr_equal(cur.next, cur.end);
		free(data);
	}
}

static void
any_bytes_are_survived(void **state)
{
	static const uint32_t some_rows[3] = {0, 1, 2};
	uint64_t seed = 4;

	(void)state;
	for (int round = 0; round < 50000; round++) {
		size_t bytes = next_random(&seed) % 60;
		uint32_t count = 1 + (uint32_t)(next_random(&seed) % 50);
		uint8_t *data = malloc(bytes + 1);
		struct tl_cursor cur;

		for (size_t i = 0; i < bytes; i++)
			data[i] = (uint8_t)(next_random(&seed) >> (next_random(&seed) % 8));
		if (bytes > 0)
			data[0] &= (STEPS | MORE | 7);
		cur = tl_cursor_of(tl_slice_of(data, bytes));
		tl_column_decode(&cur, decoded, count);
		assert_true(cur.next <= cur.end);
		cur = tl_cursor_of(tl_slice_of(data, bytes));
		(void)!tl_column_pick(&cur, count, some_rows, count < 3 ? count : 3, decoded);
		assert_true(cur.next <= cur.end);
		free(data);
	}
}

static void
columns_have_their_golden_bytes(void **state)
{
	static const struct {
		const char *name;
		int tag;
		int64_t values[30];
	} goldens[] = {
		{"one", 0,
			{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
				-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}},
		{"offsets", 3,
			{500, 501, 502, 503, 504, 505, 506, 507, 500, 500, 507, 507, 503, 502, 501,
				500, 506, 505, 501, 500, 506, 507, 503, 502, 505, 504, 503, 501,
				500, 507}},
		{"steps", STEPS | 2,
			{100, 101, 102, 102, 101, 102, 103, 104, 104, 105, 106, 107, 106, 107, 108,
				109, 109, 110, 111, 112, 113, 113, 114, 115, 116, 117, 117, 118,
				119, 120}},
		{"layer", MORE,
			{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 90000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				0, 70000, 0, 0, 0, 0}},
	};
	struct tl_buf buf, golden;

	(void)state;
	tl_buf_init(&buf, 0);
	tl_buf_init(&golden, 0);
	for (size_t i = 0; i < COUNT(goldens); i++) {
		struct tl_cursor cur;

		tl_buf_reset(&buf);
		tl_column_encode(&buf, goldens[i].values, 30);
		assert_int_equal(buf.data[0], goldens[i].tag);
		golden_check(GOLDEN, goldens[i].name, tl_buf_slice(&buf));
		cur = tl_cursor_of(golden_read(GOLDEN, goldens[i].name, &golden));
		tl_column_decode(&cur, decoded, 30);
		assert_int_equal(cur.err, TL_OK);
		assert_int_equal(tl_cursor_left(&cur), 0);
		assert_memory_equal(decoded, goldens[i].values, 30 * sizeof(int64_t));
	}
	tl_buf_fini(&golden);
	tl_buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_value_again_and_again_takes_no_room),
		cmocka_unit_test(a_small_range_takes_its_bits),
		cmocka_unit_test(rising_values_are_steps),
		cmocka_unit_test(the_few_large_ones_are_a_layer),
		cmocka_unit_test(every_value_comes_back),
		cmocka_unit_test(the_form_is_about_the_smallest),
		cmocka_unit_test(a_ceiling_is_kept),
		cmocka_unit_test(damage_is_told),
		cmocka_unit_test(any_bytes_are_survived),
		cmocka_unit_test(columns_have_their_golden_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
