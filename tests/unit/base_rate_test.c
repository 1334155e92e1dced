#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "schema/base/crypt.h"
#include "schema/base/rate.h"

static void
so_many_in_a_window_and_then_none(void **state)
{
	struct tl_slice a = tl_slice_str("a"), b = tl_slice_str("b");
	struct tl_rate *rate = NULL;

	(void)state;
	assert_int_equal(tl_rate_new(3, 1000, 64, &rate), TL_OK);
	assert_int_equal(tl_rate_look(rate, a, 0), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(tl_rate_look(rate, a, 100 * i), 0);
		assert_int_equal(tl_rate_count(rate, a, 100 * i), 0);
	}
	assert_int_equal(tl_rate_look(rate, a, 300), 700);
	assert_int_equal(tl_rate_count(rate, a, 400), 600);
	assert_int_equal(tl_rate_count(rate, b, 400), 0);
	assert_int_equal(tl_rate_count(rate, a, 999), 1);
	assert_int_equal(tl_rate_count(rate, a, 1000), 0);
	assert_int_equal(tl_rate_look(rate, a, 1001), 0);
	tl_rate_free(rate);
}

static void
a_flood_of_keys_takes_no_more_memory_and_is_counted(void **state)
{
	struct tl_rate *rate = NULL;
	int refused = 0;
	char key[16];

	(void)state;
	assert_int_equal(tl_rate_new(1, 1000000, 64, &rate), TL_OK);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 100000; i++) {
			snprintf(key, sizeof(key), "%d", i);
			refused += tl_rate_count(rate, tl_slice_str(key), i) > 0;
		}
	}
	/* What was pushed out is forgotten, and nobody is taken for another. */
	assert_true(refused <= 64);
	/* One that goes on is not pushed out by a few others. */
	assert_int_equal(tl_rate_count(rate, tl_slice_str("stays"), 200000), 0);
	assert_true(tl_rate_count(rate, tl_slice_str("stays"), 200001) > 0);
	tl_rate_free(rate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_in_a_window_and_then_none),
		cmocka_unit_test(a_flood_of_keys_takes_no_more_memory_and_is_counted),
	};

	return tl_crypt_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
