#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/base/gate.h"

static void
no_gate_and_a_new_gate_are_open(void **state)
{
	struct tl_gate gate = {0};

	(void)state;
	assert_int_equal(tl_gate_err(NULL), TL_OK);
	assert_int_equal(tl_gate_err(&gate), TL_OK);
	assert_string_equal(tl_gate_state(&gate), "ok");
}

static void
a_reason_stays_until_it_is_opened_itself(void **state)
{
	struct tl_gate gate = {0};

	(void)state;
	tl_gate_close(&gate, TL_GATE_CLOCK);
	assert_int_equal(tl_gate_err(&gate), TL_ECLOCK_UNTRUSTED);
	tl_gate_close(&gate, TL_GATE_DISK);
	tl_gate_close(&gate, TL_GATE_DISK);
	assert_int_equal(tl_gate_err(&gate), TL_EDISK_FULL);
	assert_string_equal(tl_gate_state(&gate), "disk_full");
	tl_gate_open(&gate, TL_GATE_DISK);
	assert_int_equal(tl_gate_err(&gate), TL_ECLOCK_UNTRUSTED);
	assert_false(tl_gate_is_closed_for(&gate, TL_GATE_DISK));
	assert_true(tl_gate_is_closed_for(&gate, TL_GATE_CLOCK));
	tl_gate_open(&gate, TL_GATE_CLOCK);
	assert_int_equal(tl_gate_err(&gate), TL_OK);
}

static void
failed_storage_is_told_before_anything_else(void **state)
{
	struct tl_gate gate = {0};

	(void)state;
	tl_gate_close(&gate, TL_GATE_READ_ONLY);
	tl_gate_close(&gate, TL_GATE_STORAGE);
	assert_int_equal(tl_gate_err(&gate), TL_ESTORAGE_UNAVAILABLE);
	assert_string_equal(tl_gate_state(&gate), "storage_failed");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_gate_and_a_new_gate_are_open),
		cmocka_unit_test(a_reason_stays_until_it_is_opened_itself),
		cmocka_unit_test(failed_storage_is_told_before_anything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
