#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/base/idset.h"

static void
an_id_is_new_once(void **state)
{
	static const uint32_t ids[] = {0, 1, 65535, 65536, 65537, 1000000, UINT32_MAX};
	struct tl_idset *set = NULL;
	size_t count = sizeof(ids) / sizeof(ids[0]);

	(void)state;
	assert_int_equal(tl_idset_new(&set), TL_OK);
	assert_int_equal(tl_idset_count(set), 0);
	for (size_t i = 0; i < count; i++) {
		assert_false(tl_idset_has(set, ids[i]));
		assert_true(tl_idset_add(set, ids[i]));
		assert_false(tl_idset_add(set, ids[i]));
		assert_true(tl_idset_has(set, ids[i]));
		assert_int_equal(tl_idset_count(set), i + 1);
	}
	assert_false(tl_idset_has(set, 2));
	assert_false(tl_idset_has(set, UINT32_MAX - 1));
	tl_idset_free(set);
}

static void
dense_ids_are_counted_exactly(void **state)
{
	struct tl_idset *set = NULL;
	uint64_t new_count = 0;

	(void)state;
	assert_int_equal(tl_idset_new(&set), TL_OK);
	/* 7 and 200000 share no factor, so every id comes up once in each of the two rounds. */
	for (uint32_t i = 0; i < 400000; i++)
		new_count += tl_idset_add(set, (uint32_t)((uint64_t)i * 7 % 200000));
	assert_int_equal(new_count, 200000);
	assert_int_equal(tl_idset_count(set), 200000);
	assert_false(tl_idset_has(set, 200000));
	tl_idset_free(set);
}

static void
freeing_nothing_is_fine(void **state)
{
	(void)state;
	tl_idset_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_new_once),
		cmocka_unit_test(dense_ids_are_counted_exactly),
		cmocka_unit_test(freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
