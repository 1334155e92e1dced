#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/base/clock.h"

/* 2024-01-01: the machine that runs this is not set to before it was written. */
#define WALL_MS_MIN INT64_C(1704067200000)

static void
the_system_clock_runs(void **state)
{
	const struct tl_clock *clock = tl_clock_system();
	int64_t mono_ms = tl_clock_mono_ms(clock);
	int64_t mono_us = tl_clock_mono_us();

	(void)state;
	assert_true(tl_clock_wall_ms(clock) > WALL_MS_MIN);
	assert_true(mono_us / 1000 >= mono_ms);
	while (tl_clock_mono_ms(clock) == mono_ms)
		;
	assert_true(tl_clock_mono_ms(clock) > mono_ms);
	assert_true(tl_clock_mono_us() > mono_us);
}

static void
a_zeroed_clock_is_the_system_clock(void **state)
{
	struct tl_clock clock = {0};

	(void)state;
	assert_true(tl_clock_wall_ms(&clock) > WALL_MS_MIN);
	assert_true(tl_clock_mono_ms(&clock) >= tl_clock_mono_us() / 1000 - 60000);
}

static void
a_fixed_clock_stands_until_it_is_moved(void **state)
{
	struct tl_clock clock = {.fixed_wall_ms = -5};

	(void)state;
	assert_true(tl_clock_wall_ms(&clock) == -5);
	assert_true(tl_clock_mono_ms(&clock) == 0);
	clock.fixed_wall_ms = 1000;
	clock.fixed_mono_ms = 7;
	assert_true(tl_clock_wall_ms(&clock) == 1000);
	assert_true(tl_clock_mono_ms(&clock) == 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_system_clock_runs),
		cmocka_unit_test(a_zeroed_clock_is_the_system_clock),
		cmocka_unit_test(a_fixed_clock_stands_until_it_is_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
