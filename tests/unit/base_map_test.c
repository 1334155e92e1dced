#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/base/map.h"

/* "key 17", valid until the next call. */
static struct tl_slice
key_no(unsigned int no)
{
	static char text[32];

	snprintf(text, sizeof(text), "key %u", no);
	return tl_slice_str(text);
}

static struct tl_map *
new_map(size_t count_max)
{
	struct tl_map *map = NULL;

	assert_int_equal(tl_map_new(count_max, &map), TL_OK);
	return map;
}

static void
an_empty_map_holds_nothing(void **state)
{
	struct tl_map *map = new_map(10);
	struct tl_slice key;
	size_t cursor = 0;
	uint64_t value = 5;

	(void)state;
	assert_false(tl_map_get(map, tl_slice_str("a"), &value));
	assert_int_equal(value, 5);
	assert_false(tl_map_remove(map, tl_slice_str("a")));
	assert_false(tl_map_next(map, &cursor, &key, &value));
	assert_int_equal(tl_map_count(map), 0);
	tl_map_clear(map);
	tl_map_free(map);
	tl_map_free(NULL);
}

static const struct {
	const char *name;
	struct tl_slice key;
} odd_keys[] = {
	{"the empty key", {NULL, 0}},
	{"one zero byte", {(const uint8_t *)"\0", 1}},
	{"two zero bytes", {(const uint8_t *)"\0\0", 2}},
	{"a short key", {(const uint8_t *)"a", 1}},
	{"a key that begins with another", {(const uint8_t *)"ab", 2}},
	{"a key with a zero byte inside", {(const uint8_t *)"a\0b", 3}},
};

static void
keys_are_any_bytes(void **state)
{
	const size_t count = sizeof(odd_keys) / sizeof(odd_keys[0]);
	struct tl_map *map = new_map(count);
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < count; i++)
		assert_int_equal(tl_map_put(map, odd_keys[i].key, i), TL_OK);
	assert_int_equal(tl_map_count(map), count);
	for (size_t i = 0; i < count; i++) {
		if (!tl_map_get(map, odd_keys[i].key, &value) || value != i)
			fail_msg("%s", odd_keys[i].name);
	}
	for (size_t i = 0; i < count; i++) {
		if (!tl_map_remove(map, odd_keys[i].key) ||
			tl_map_get(map, odd_keys[i].key, &value))
			fail_msg("%s", odd_keys[i].name);
	}
	assert_int_equal(tl_map_count(map), 0);
	tl_map_free(map);
}

static void
the_map_grows_to_its_bound_and_no_further(void **state)
{
	const unsigned int count_max = 10000;
	struct tl_map *map = new_map(count_max);
	uint64_t value;

	(void)state;
	for (unsigned int i = 0; i < count_max; i++)
		assert_int_equal(tl_map_put(map, key_no(i), i), TL_OK);
	assert_int_equal(tl_map_put(map, tl_slice_str("one more"), 1), TL_EFULL);
	assert_false(tl_map_get(map, tl_slice_str("one more"), &value));
	assert_int_equal(tl_map_count(map), count_max);
	for (unsigned int i = 0; i < count_max; i++) {
		assert_true(tl_map_get(map, key_no(i), &value));
		assert_int_equal(value, i);
	}
	tl_map_free(map);
}

static void
a_full_map_still_replaces(void **state)
{
	struct tl_map *map = new_map(2);
	uint64_t value = 0;

	(void)state;
	assert_int_equal(tl_map_put(map, tl_slice_str("a"), 1), TL_OK);
	assert_int_equal(tl_map_put(map, tl_slice_str("b"), 2), TL_OK);
	assert_int_equal(tl_map_put(map, tl_slice_str("a"), 3), TL_OK);
	assert_int_equal(tl_map_put(map, tl_slice_str("c"), 4), TL_EFULL);
	assert_true(tl_map_get(map, tl_slice_str("a"), &value));
	assert_int_equal(value, 3);
	assert_true(tl_map_remove(map, tl_slice_str("b")));
	assert_int_equal(tl_map_put(map, tl_slice_str("c"), 4), TL_OK);
	assert_int_equal(tl_map_count(map), 2);
	tl_map_free(map);
}

static void
a_map_without_room_takes_nothing(void **state)
{
	struct tl_map *map = new_map(0);

	(void)state;
	assert_int_equal(tl_map_put(map, tl_slice_str("a"), 1), TL_EFULL);
	tl_map_free(map);
}

static void
keys_are_copied(void **state)
{
	struct tl_map *map = new_map(10);
	char text[] = "abc";
	uint64_t value = 0;

	(void)state;
	assert_int_equal(tl_map_put(map, tl_slice_str(text), 7), TL_OK);
	text[0] = 'x';
	assert_false(tl_map_get(map, tl_slice_str(text), &value));
	assert_true(tl_map_get(map, tl_slice_str("abc"), &value));
	assert_int_equal(value, 7);
	tl_map_free(map);
}

/* The store of keys moves while the part of a key that lies in it is put as a new key. */
static void
a_key_may_be_part_of_a_stored_one(void **state)
{
	struct tl_map *map = new_map(300);
	uint8_t letters[200];
	struct tl_slice key;
	size_t cursor = 0;
	uint64_t value;

	(void)state;
	memset(letters, 'k', sizeof(letters));
	assert_int_equal(tl_map_put(map, tl_slice_of(letters, sizeof(letters)), 200), TL_OK);
	for (size_t bytes = 199; bytes > 0; bytes--) {
		cursor = 0;
		assert_true(tl_map_next(map, &cursor, &key, &value));
		while (key.bytes < bytes)
			assert_true(tl_map_next(map, &cursor, &key, &value));
		key.bytes = bytes;
		assert_int_equal(tl_map_put(map, key, bytes), TL_OK);
	}
	for (size_t bytes = 1; bytes <= 200; bytes++) {
		assert_true(tl_map_get(map, tl_slice_of(letters, bytes), &value));
		assert_int_equal(value, bytes);
	}
	tl_map_free(map);
}

static void
a_walk_meets_every_key_once(void **state)
{
	static unsigned char met[1000];
	struct tl_map *map = new_map(1000);
	struct tl_slice key;
	size_t cursor = 0;
	size_t count = 0;
	uint64_t value;

	(void)state;
	memset(met, 0, sizeof(met));
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(tl_map_put(map, key_no(i), i), TL_OK);
	while (tl_map_next(map, &cursor, &key, &value)) {
		assert_in_range(value, 0, 999);
		assert_true(tl_slice_eq(key, key_no((unsigned int)value)));
		assert_int_equal(met[value]++, 0);
		count++;
	}
	assert_int_equal(count, 1000);
	assert_false(tl_map_next(map, &cursor, &key, &value));
	tl_map_free(map);
}

static void
a_cleared_map_is_empty_and_usable(void **state)
{
	struct tl_map *map = new_map(100);
	uint64_t value;

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 100; i++)
			assert_int_equal(tl_map_put(map, key_no(i), round), TL_OK);
		assert_true(tl_map_get(map, key_no(99), &value));
		assert_int_equal(value, round);
		tl_map_clear(map);
		assert_int_equal(tl_map_count(map), 0);
		assert_false(tl_map_get(map, key_no(99), &value));
	}
	tl_map_free(map);
}

/* A fixed sequence, so that a failure repeats; the map's own seed still differs in each run. */
static unsigned int
next_random(unsigned int *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void
puts_and_removes_agree_with_an_array(void **state)
{
	enum { KEYS = 500, STEPS = 200000 };
	static uint64_t values[KEYS]; /* 0: absent */
	struct tl_map *map = new_map(KEYS);
	unsigned int seed = 42;
	size_t count = 0;

	(void)state;
	memset(values, 0, sizeof(values));
	for (uint64_t step = 1; step <= STEPS; step++) {
		unsigned int no = next_random(&seed) % KEYS;
		uint64_t value = 0;

		assert_int_equal(tl_map_get(map, key_no(no), &value), values[no] != 0);
		assert_true(value == values[no]);
		if (next_random(&seed) % 2 == 0) {
			count += values[no] == 0;
			values[no] = step;
			assert_int_equal(tl_map_put(map, key_no(no), step), TL_OK);
		} else {
			assert_int_equal(tl_map_remove(map, key_no(no)), values[no] != 0);
			count -= values[no] != 0;
			values[no] = 0;
		}
		assert_int_equal(tl_map_count(map), count);
	}
	tl_map_free(map);
}

static int
init_crypt(void **state)
{
	(void)state;
	return tl_crypt_init() == TL_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_holds_nothing),
		cmocka_unit_test(keys_are_any_bytes),
		cmocka_unit_test(the_map_grows_to_its_bound_and_no_further),
		cmocka_unit_test(a_full_map_still_replaces),
		cmocka_unit_test(a_map_without_room_takes_nothing),
		cmocka_unit_test(keys_are_copied),
		cmocka_unit_test(a_key_may_be_part_of_a_stored_one),
		cmocka_unit_test(a_walk_meets_every_key_once),
		cmocka_unit_test(a_cleared_map_is_empty_and_usable),
		cmocka_unit_test(puts_and_removes_agree_with_an_array),
	};

	return cmocka_run_group_tests(tests, init_crypt, NULL);
}
