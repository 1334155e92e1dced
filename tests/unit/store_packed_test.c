#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/packed.h"
#include "tests/unit/store_golden.h"

#define COUNT_MAX 70u

/* In memory of exactly so many bytes, so that a sanitizer sees a read or write past them. */
static void
check(uint32_t width, const uint64_t *numbers, uint32_t count)
{
	size_t bytes = tl_packed_bytes(count, width);
	uint8_t *wide = malloc(bytes + TL_PACKED_SLACK_BYTES);
	uint8_t *exact = malloc(bytes + 1);
	uint64_t taken[COUNT_MAX];

	tl_packed_put(wide, numbers, count, width);
	memcpy(exact, wide, bytes);
	tl_packed_take(tl_slice_of(exact, bytes), width, taken, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_true(taken[i] == (numbers[i] & tl_packed_mask(width)));
		assert_true(taken[i] == tl_packed_get(tl_slice_of(exact, bytes), width, i));
	}
	tl_packed_take(tl_slice_of(wide, bytes + TL_PACKED_SLACK_BYTES), width, taken, count);
	for (uint32_t i = 0; i < count; i++)
		assert_true(taken[i] == (numbers[i] & tl_packed_mask(width)));
	free(exact);
	free(wide);
}

static void
numbers_of_every_width_come_back(void **state)
{
	uint64_t numbers[COUNT_MAX];
	uint64_t seed = 5;

	(void)state;
	for (uint32_t bits = 0; bits <= 64; bits++) {
		for (uint32_t count = 0; count <= COUNT_MAX; count++) {
			for (uint32_t i = 0; i < count; i++)
				numbers[i] = next_random(&seed); /* higher bits are left out */
			check(tl_packed_width(bits), numbers, count);
		}
	}
}

static void
the_lowest_bit_comes_first(void **state)
{
	static const uint64_t numbers[] = {1, 2, 7, 0, 5};
	uint8_t bytes[2 + TL_PACKED_SLACK_BYTES];

	(void)state;
	tl_packed_put(bytes, numbers, 5, 3);
	assert_int_equal(bytes[0], 0xd1); /* 11 010 001 */
	assert_int_equal(bytes[1], 0x51); /* 0 101 000 1 */
}

static void
a_width_is_one_that_is_read_at_once(void **state)
{
	(void)state;
	assert_int_equal(tl_packed_width(0), 0);
	assert_int_equal(tl_packed_width(56), 56);
	assert_int_equal(tl_packed_width(57), 64);
	assert_int_equal(tl_packed_width(64), 64);
	assert_int_equal(tl_packed_bits(0), 0);
	assert_int_equal(tl_packed_bits(1), 1);
	assert_int_equal(tl_packed_bits(255), 8);
	assert_int_equal(tl_packed_bits(UINT64_MAX), 64);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_every_width_come_back),
		cmocka_unit_test(the_lowest_bit_comes_first),
		cmocka_unit_test(a_width_is_one_that_is_read_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
