#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

#include "schema/base/arena.h"

static bool
is_zero(const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (data[i] != 0)
			return false;
	}
	return true;
}

static void
memory_is_zeroed_aligned_and_apart(void **state)
{
	struct tl_arena arena;
	uint8_t *before = NULL;

	(void)state;
	tl_arena_init(&arena, 1 << 20);
	for (size_t bytes = 0; bytes < 700; bytes++) {
		uint8_t *data = tl_arena_alloc(&arena, bytes);

		assert_non_null(data);
		assert_int_equal((uintptr_t)data % alignof(max_align_t), 0);
		assert_true(is_zero(data, bytes));
		assert_ptr_not_equal(data, before);
		memset(data, 0xaa, bytes);
		before = data;
	}
	tl_arena_fini(&arena);
	assert_int_equal(arena.used_bytes, 0);
}

static void
room_is_counted_like_the_rest_and_capacity_is_not_less(void **state)
{
	struct tl_arena arena;
	size_t used_bytes;

	(void)state;
	tl_arena_init(&arena, 1 << 20);
	assert_int_equal(tl_arena_capacity(&arena), 0);
	assert_non_null(tl_arena_room(&arena, 1000, 16));
	assert_int_equal(arena.used_bytes, 16000);
	assert_true(tl_arena_capacity(&arena) >= arena.used_bytes);
	assert_null(tl_arena_room(&arena, SIZE_MAX, 16));
	assert_null(tl_arena_room(&arena, 1 << 20, 1));
	used_bytes = tl_arena_capacity(&arena);
	tl_arena_reset(&arena);
	assert_int_equal(tl_arena_capacity(&arena), used_bytes);
	assert_true(is_zero(tl_arena_alloc(&arena, 16000), 16000));
	tl_arena_fini(&arena);
	assert_int_equal(tl_arena_capacity(&arena), 0);
}

static const struct {
	const char *name;
	size_t bytes_max;
	size_t bytes;
	bool fits;
} ceilings[] = {
	{"exactly the ceiling fits", 4096, 4096, true},
	{"one byte more does not", 4096, 4097, false},
	{"a large allocation up to the ceiling fits", 10 << 20, 10 << 20, true},
	{"the alignment counts", 100, 100, false},
	{"what fits with its alignment fits", 100, 96, true},
	{"the largest size does not wrap around", 4096, SIZE_MAX, false},
	{"nor does one just below it", SIZE_MAX, SIZE_MAX - 16, false},
};

static void
the_ceiling_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
		struct tl_arena arena;

		tl_arena_init(&arena, ceilings[i].bytes_max);
		if ((tl_arena_alloc(&arena, ceilings[i].bytes) != NULL) != ceilings[i].fits)
			fail_msg("%s", ceilings[i].name);
		tl_arena_fini(&arena);
	}
}

static void
small_allocations_use_the_ceiling_up(void **state)
{
	struct tl_arena arena;
	size_t count = 0;

	(void)state;
	tl_arena_init(&arena, 100000);
	while (tl_arena_alloc(&arena, 48))
		count++;
	assert_int_equal(count, 100000 / 48);
	assert_int_equal(arena.used_bytes, count * 48);
	assert_null(tl_arena_alloc(&arena, 48));
	/* A refusal takes nothing: what is smaller still fits. */
	assert_non_null(tl_arena_alloc(&arena, 16));
	tl_arena_fini(&arena);
}

static void
a_reset_gives_everything_back_zeroed(void **state)
{
	struct tl_arena arena;

	(void)state;
	tl_arena_init(&arena, 100000);
	for (size_t round = 0; round < 10; round++) {
		uint8_t *data;

		for (size_t i = 0; i < 90; i++) {
			data = tl_arena_alloc(&arena, 1000);
			assert_non_null(data);
			assert_true(is_zero(data, 1000));
			memset(data, 0xff, 1000);
		}
		tl_arena_reset(&arena);
		assert_int_equal(arena.used_bytes, 0);
	}
	tl_arena_fini(&arena);
}

static void
a_reset_keeps_one_chunk(void **state)
{
	struct tl_arena arena;
	void *first;

	(void)state;
	tl_arena_init(&arena, 1 << 20);
	tl_arena_reset(&arena);
	assert_null(arena.chunk);
	assert_non_null(tl_arena_alloc(&arena, 10));
	first = tl_arena_alloc(&arena, 100000);
	tl_arena_reset(&arena);
	assert_ptr_equal(tl_arena_alloc(&arena, 100000), first);
	tl_arena_fini(&arena);
}

static void
an_array_whose_size_overflows_is_refused(void **state)
{
	struct tl_arena arena;
	uint64_t *values;

	(void)state;
	tl_arena_init(&arena, 4096);
	assert_null(tl_arena_array(&arena, SIZE_MAX / 8 + 2, 8));
	assert_null(tl_arena_array(&arena, 8, SIZE_MAX / 8 + 2));
	values = tl_arena_array(&arena, 512, sizeof(*values));
	assert_non_null(values);
	values[511] = 1;
	assert_null(tl_arena_array(&arena, 1, 1));
	tl_arena_fini(&arena);
}

static void
a_copy_stands_on_its_own(void **state)
{
	struct tl_arena arena;
	char text[] = "abc";
	struct tl_slice copy;

	(void)state;
	tl_arena_init(&arena, 64);
	copy = tl_arena_copy(&arena, tl_slice_str(text));
	text[0] = 'x';
	assert_true(tl_slice_eq(copy, tl_slice_str("abc")));
	copy = tl_arena_copy(&arena, tl_slice_of(NULL, 0));
	assert_non_null(copy.data);
	assert_int_equal(copy.bytes, 0);
	copy = tl_arena_copy(&arena, tl_slice_of("0123456789012345678901234567890123456789", 40));
	assert_null(copy.data);
	assert_int_equal(copy.bytes, 0);
	tl_arena_fini(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
		cmocka_unit_test(room_is_counted_like_the_rest_and_capacity_is_not_less),
		cmocka_unit_test(the_ceiling_holds),
		cmocka_unit_test(small_allocations_use_the_ceiling_up),
		cmocka_unit_test(a_reset_gives_everything_back_zeroed),
		cmocka_unit_test(a_reset_keeps_one_chunk),
		cmocka_unit_test(an_array_whose_size_overflows_is_refused),
		cmocka_unit_test(a_copy_stands_on_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
