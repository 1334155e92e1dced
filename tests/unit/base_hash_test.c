#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/base/hash.h"

#define BYTES_MAX 80u

static int
compare_hashes(const void *a_arg, const void *b_arg)
{
	uint64_t a = *(const uint64_t *)a_arg;
	uint64_t b = *(const uint64_t *)b_arg;

	return (a > b) - (a < b);
}

static void
equal_bytes_have_equal_hashes_wherever_they_lie(void **state)
{
	uint8_t data[BYTES_MAX + 8], moved[BYTES_MAX + 8];
	struct tl_hash_key key;

	(void)state;
	tl_hash_key_make(&key);
	tl_random(data, sizeof(data));
	for (size_t bytes = 0; bytes <= BYTES_MAX; bytes++) {
		for (size_t at = 0; at < 8; at++) {
			tl_random(moved, sizeof(moved));
			memcpy(moved + at, data, bytes);
			assert_true(tl_hash(&key, tl_slice_of(data, bytes)) ==
				    tl_hash(&key, tl_slice_of(moved + at, bytes)));
		}
	}
}

/* Of zeros too, which could fall out of a product. */
static void
every_bit_and_the_length_matter(void **state)
{
	uint8_t data[BYTES_MAX] = {0};
	uint64_t hashes[BYTES_MAX * 8 + BYTES_MAX + 1];
	struct tl_hash_key key;
	size_t count = 0;

	(void)state;
	tl_hash_key_make(&key);
	for (size_t bytes = 0; bytes <= BYTES_MAX; bytes++)
		hashes[count++] = tl_hash(&key, tl_slice_of(data, bytes));
	for (size_t bytes = 1; bytes <= BYTES_MAX; bytes++) {
		size_t first = BYTES_MAX + 1;

		count = first;
		for (size_t bit = 0; bit < bytes * 8; bit++) {
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
			hashes[count++] = tl_hash(&key, tl_slice_of(data, bytes));
			data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		qsort(hashes + first, count - first, sizeof(hashes[0]), compare_hashes);
		for (size_t i = first + 1; i < count; i++)
			assert_true(hashes[i] != hashes[i - 1]);
	}
	qsort(hashes, count, sizeof(hashes[0]), compare_hashes);
	for (size_t i = 1; i < count; i++)
		assert_true(hashes[i] != hashes[i - 1]);
}

static void
another_key_is_another_hash(void **state)
{
	struct tl_hash_key key, other;
	struct tl_slice data = tl_slice_str("github.com/acme/api");

	(void)state;
	tl_hash_key_make(&key);
	tl_hash_key_make(&other);
	assert_true(tl_hash(&key, data) != tl_hash(&other, data));
	for (size_t i = 0; i < 4; i++) {
		other = key;
		other.word[i] ^= 1;
		assert_true(tl_hash(&key, data) != tl_hash(&other, data));
	}
}

/* Numbered names, as people make them: no slot of a table takes much more than its share. */
static void
names_spread_over_the_low_and_the_high_bits(void **state)
{
	static uint32_t low[4096], high[4096];
	struct tl_hash_key key;
	char name[32];

	(void)state;
	tl_hash_key_make(&key);
	for (uint32_t i = 0; i < 4096 * 64; i++) {
		uint64_t hash;

		snprintf(name, sizeof(name), "feature/%u", i);
		hash = tl_hash(&key, tl_slice_str(name));
		low[hash & 4095]++;
		high[hash >> 52]++;
	}
	/* 64 are due, give or take 8; 128 are 8 deviations. */
	for (size_t i = 0; i < 4096; i++) {
		assert_in_range(low[i], 16, 128);
		assert_in_range(high[i], 16, 128);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_bytes_have_equal_hashes_wherever_they_lie),
		cmocka_unit_test(every_bit_and_the_length_matter),
		cmocka_unit_test(another_key_is_another_hash),
		cmocka_unit_test(names_spread_over_the_low_and_the_high_bits),
	};

	if (tl_crypt_init() != TL_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
