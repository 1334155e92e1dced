#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "schema/base/clock_watch.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define NOW INT64_C(1795262400000) /* 2026-11-21 */
#define YEAR_2038 INT64_C(2147483647000)

/* A machine whose clocks the test moves. */
struct machine {
	struct tl_clock clock;
	struct tl_gate gate;
	struct tl_clock_watch *watch;
};

static void
start(struct machine *m, int64_t wall_ms, int64_t received_ms)
{
	m->clock.fixed_wall_ms = wall_ms;
	m->clock.fixed_mono_ms = 1000 * SECOND;
	assert_int_equal(tl_clock_watch_new(&m->clock, &m->gate, received_ms, &m->watch), TL_OK);
}

static int
set_up(void **state)
{
	static struct machine machine;

	machine = (struct machine){.watch = NULL};
	*state = &machine;
	return 0;
}

static int
tear_down(void **state)
{
	struct machine *m = *state;

	tl_clock_watch_free(m->watch);
	return 0;
}

static enum tl_err
look(struct machine *m)
{
	int64_t wall_ms;
	enum tl_err err = tl_clock_watch_read(m->watch, &wall_ms);

	assert_true(wall_ms == m->clock.fixed_wall_ms);
	assert_int_equal(err, tl_gate_err(&m->gate));
	return err;
}

static void
set_wall(struct machine *m, int64_t step_ms)
{
	m->clock.fixed_wall_ms += step_ms;
}

/* Time passes on both clocks, looked at each second. */
static enum tl_err
pass(struct machine *m, int64_t ms)
{
	enum tl_err err = TL_OK;

	for (int64_t left_ms = ms; left_ms > 0; left_ms -= SECOND) {
		int64_t step_ms = left_ms < SECOND ? left_ms : SECOND;

		m->clock.fixed_wall_ms += step_ms;
		m->clock.fixed_mono_ms += step_ms;
		err = look(m);
	}
	return err;
}

static void
a_second_is_not_a_step(void **state)
{
	struct machine *m = *state;

	start(m, NOW, NOW - DAY);
	assert_int_equal(look(m), TL_OK);
	set_wall(m, SECOND);
	assert_int_equal(look(m), TL_OK);
	assert_int_equal(pass(m, 60 * SECOND), TL_OK);
	set_wall(m, -SECOND);
	assert_int_equal(look(m), TL_OK);
	set_wall(m, -SECOND);
	assert_int_equal(look(m), TL_OK);
	set_wall(m, -1);
	assert_int_equal(look(m), TL_ECLOCK_UNTRUSTED);
}

static void
small_steps_that_add_up_within_a_minute_are_seen(void **state)
{
	struct machine *m = *state;

	start(m, NOW, 0);
	set_wall(m, 1900);
	assert_int_equal(look(m), TL_OK);
	assert_int_equal(pass(m, 20 * SECOND), TL_OK);
	set_wall(m, 1900);
	assert_int_equal(look(m), TL_ECLOCK_UNTRUSTED);
}

static void
a_clock_that_is_slewed_is_followed(void **state)
{
	struct machine *m = *state;

	start(m, NOW, 0);
	/* The kernel slews by 0.5 ms a second at most; a broken one is seen at 40. */
	for (int i = 0; i < 100000; i++) {
		set_wall(m, i % 2);
		assert_int_equal(pass(m, SECOND), TL_OK);
	}
	for (int i = 0; i < 1000 && tl_gate_err(&m->gate) == TL_OK; i++) {
		set_wall(m, 40);
		(void)!pass(m, SECOND);
	}
	assert_int_equal(tl_gate_err(&m->gate), TL_ECLOCK_UNTRUSTED);
}

static void
an_hour_is_believed_after_a_minute_without_another_step(void **state)
{
	static const int64_t steps[] = {HOUR, -HOUR, 3 * SECOND, -3 * SECOND};
	struct machine *m = *state;

	start(m, NOW, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		set_wall(m, steps[i]);
		assert_int_equal(look(m), TL_ECLOCK_UNTRUSTED);
		assert_int_equal(pass(m, 59 * SECOND), TL_ECLOCK_UNTRUSTED);
		assert_int_equal(pass(m, SECOND), TL_OK);
		assert_int_equal(pass(m, HOUR), TL_OK);
	}
}

static void
another_step_begins_the_minute_again(void **state)
{
	struct machine *m = *state;

	start(m, NOW, 0);
	set_wall(m, 600 * SECOND);
	assert_int_equal(pass(m, 50 * SECOND), TL_ECLOCK_UNTRUSTED);
	set_wall(m, 3 * SECOND);
	assert_int_equal(pass(m, 59 * SECOND), TL_ECLOCK_UNTRUSTED);
	assert_int_equal(pass(m, 2 * SECOND), TL_OK);
	/* Small steps may not add up to a far one. */
	for (int i = 0; i < 4; i++) {
		set_wall(m, 1000 * SECOND);
		assert_int_equal(pass(m, 30 * SECOND), TL_ECLOCK_UNTRUSTED);
	}
	assert_int_equal(pass(m, HOUR), TL_ECLOCK_UNTRUSTED);
}

static void
a_clock_that_is_back_is_believed_at_once(void **state)
{
	static const int64_t steps[] = {
		HOUR, -HOUR, DAY, -DAY, YEAR, -YEAR, YEAR_2038 - NOW, 1 - NOW};
	struct machine *m = *state;

	start(m, NOW, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		set_wall(m, steps[i]);
		assert_int_equal(pass(m, 40 * SECOND), TL_ECLOCK_UNTRUSTED);
		set_wall(m, -steps[i]);
		assert_int_equal(look(m), TL_OK);
		assert_int_equal(pass(m, 120 * SECOND), TL_OK);
	}
}

static void
a_far_step_waits_for_the_kernel_or_the_operator(void **state)
{
	static const int64_t steps[] = {HOUR + 3 * SECOND, -HOUR - 3 * SECOND, DAY, -DAY, YEAR,
		-YEAR, YEAR_2038 - NOW, 2 * YEAR - YEAR_2038 + NOW};
	struct machine *m = *state;
	char text[240];

	start(m, NOW, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		set_wall(m, steps[i]);
		assert_int_equal(pass(m, 2 * HOUR), TL_ECLOCK_UNTRUSTED);
		assert_int_equal(
			tl_clock_watch_explain(m->watch, text, sizeof(text)), TL_CLOCK_STEPPED_FAR);
		assert_non_null(strstr(text, "tally accept-clock"));
		if (i % 2 == 0)
			assert_int_equal(tl_clock_watch_accept(m->watch), TL_CLOCK_STEPPED_FAR);
		else
			m->clock.fixed_is_synchronised = true;
		assert_int_equal(look(m), TL_OK);
		m->clock.fixed_is_synchronised = false;
		assert_int_equal(pass(m, HOUR), TL_OK);
	}
	assert_int_equal(tl_clock_watch_explain(m->watch, text, sizeof(text)), TL_CLOCK_TRUSTED);
	assert_string_equal(text, "");
}

static void
a_machine_that_slept_has_not_stepped(void **state)
{
	struct machine *m = *state;

	start(m, NOW, 0);
	m->clock.fixed_wall_ms += 9 * HOUR;
	m->clock.fixed_mono_ms += 9 * HOUR; /* the boot clock runs on while it sleeps */
	assert_int_equal(look(m), TL_OK);
}

struct start_case {
	const char *name;
	int64_t off_ms; /* of the wall from what was received last */
	bool is_synchronised;
	enum tl_clock_doubt doubt;
};

static const struct start_case starts[] = {
	{"five minutes back", -300 * SECOND, false, TL_CLOCK_TRUSTED},
	{"more than that", -300 * SECOND - 1, false, TL_CLOCK_BEHIND},
	{"a year back", -YEAR, false, TL_CLOCK_BEHIND},
	{"a year back, and the kernel is sure", -YEAR, true, TL_CLOCK_TRUSTED},
	{"a week later", 7 * DAY, false, TL_CLOCK_TRUSTED},
	{"more than that", 7 * DAY + 1, false, TL_CLOCK_AHEAD},
	{"ten years later", 10 * YEAR, false, TL_CLOCK_AHEAD},
	{"ten years later, and the kernel is sure", 10 * YEAR, true, TL_CLOCK_TRUSTED},
};

static void
what_was_received_last_judges_the_start(void **state)
{
	struct machine *m = *state;
	char text[240];

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		const struct start_case *c = &starts[i];

		m->clock.fixed_is_synchronised = c->is_synchronised;
		start(m, NOW, NOW - c->off_ms);
		m->clock.fixed_is_synchronised = false;
		if (tl_clock_watch_explain(m->watch, text, sizeof(text)) != c->doubt)
			fail_msg("%s: '%s'", c->name, text);
		assert_int_equal(
			look(m), c->doubt == TL_CLOCK_TRUSTED ? TL_OK : TL_ECLOCK_UNTRUSTED);
		if (c->doubt != TL_CLOCK_TRUSTED)
			assert_non_null(strstr(text, "tally accept-clock"));
		tl_gate_open(&m->gate, TL_GATE_CLOCK);
		tl_clock_watch_free(m->watch);
		m->watch = NULL;
	}
}

static void
a_doubtful_start_ends_by_time_set_right_or_synchronised_or_accepted(void **state)
{
	struct machine *m = *state;

	start(m, NOW, NOW + DAY);
	assert_int_equal(pass(m, HOUR), TL_ECLOCK_UNTRUSTED);
	set_wall(m, DAY);
	assert_int_equal(look(m), TL_OK);
	tl_clock_watch_free(m->watch);

	start(m, NOW, NOW + DAY);
	m->clock.fixed_is_synchronised = true;
	assert_int_equal(look(m), TL_OK);
	m->clock.fixed_is_synchronised = false;
	assert_int_equal(pass(m, HOUR), TL_OK);
	tl_clock_watch_free(m->watch);

	start(m, NOW, NOW - 30 * DAY);
	assert_int_equal(pass(m, HOUR), TL_ECLOCK_UNTRUSTED);
	assert_int_equal(tl_clock_watch_accept(m->watch), TL_CLOCK_AHEAD);
	assert_int_equal(pass(m, HOUR), TL_OK);
	set_wall(m, YEAR);
	assert_int_equal(look(m), TL_ECLOCK_UNTRUSTED);
}

static void
an_empty_store_believes_any_clock(void **state)
{
	struct machine *m = *state;

	start(m, 1, 0);
	assert_int_equal(look(m), TL_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_is_not_a_step),
		TEST(small_steps_that_add_up_within_a_minute_are_seen),
		TEST(a_clock_that_is_slewed_is_followed),
		TEST(an_hour_is_believed_after_a_minute_without_another_step),
		TEST(another_step_begins_the_minute_again),
		TEST(a_clock_that_is_back_is_believed_at_once),
		TEST(a_far_step_waits_for_the_kernel_or_the_operator),
		TEST(a_machine_that_slept_has_not_stepped),
		TEST(what_was_received_last_judges_the_start),
		TEST(a_doubtful_start_ends_by_time_set_right_or_synchronised_or_accepted),
		TEST(an_empty_store_believes_any_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
