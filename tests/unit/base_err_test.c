#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "schema/base/err.h"

static void
every_code_has_a_name_a_text_and_a_status(void **state)
{
	(void)state;
	for (int i = 0; i < TL_ERR_COUNT; i++) {
		enum tl_err err = (enum tl_err)i;
		const char *name = tl_err_name(err);
		const char *text = tl_err_text(err);

		assert_true(strlen(name) > 0);
		assert_int_equal(
			strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
		assert_true(strlen(text) > 0);
		assert_int_not_equal(text[strlen(text) - 1], '.');
		assert_in_range(tl_err_http(err), 200, 599);
		assert_true(strlen(tl_retry_name(tl_err_retry(err))) > 0);
	}
}

static void
a_success_has_a_status_of_success(void **state)
{
	(void)state;
	for (int i = 0; i < TL_ERR_COUNT; i++) {
		enum tl_err err = (enum tl_err)i;

		assert_int_equal(tl_err_retry(err) == TL_RETRY_SUCCESS, tl_err_http(err) == 200);
	}
}

static void
a_name_leads_back_to_its_code(void **state)
{
	(void)state;
	for (int i = 0; i < TL_ERR_COUNT; i++) {
		const char *name = tl_err_name((enum tl_err)i);

		assert_int_equal(tl_err_from_name(name, strlen(name)), i);
	}
}

static const struct {
	const char *name;
	const char *text;
	size_t text_bytes;
	enum tl_err err;
} lookups[] = {
	{"a name need not end in a zero byte", "duplicates", 9, TL_EDUPLICATE},
	{"the beginning of a name is unknown", "duplicat", 8, TL_EINTERNAL},
	{"a longer name is unknown", "duplicates", 10, TL_EINTERNAL},
	{"a name in capitals is unknown", "DUPLICATE", 9, TL_EINTERNAL},
	{"nothing is unknown", "", 0, TL_EINTERNAL},
	{"ok is success", "ok", 2, TL_OK},
};

static void
only_exact_names_are_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++) {
		if (tl_err_from_name(lookups[i].text, lookups[i].text_bytes) != lookups[i].err)
			fail_msg("%s", lookups[i].name);
	}
}

static void
the_retry_classes_have_their_wire_names(void **state)
{
	(void)state;
	assert_string_equal(tl_retry_name(TL_RETRY_NEVER), "never");
	assert_string_equal(tl_retry_name(TL_RETRY_SAME), "same");
	assert_string_equal(tl_retry_name(TL_RETRY_AFTER), "after");
	assert_string_equal(tl_retry_name(TL_RETRY_SUCCESS), "success");
}

static void
a_failure_fills_the_line_and_returns_its_code(void **state)
{
	struct tl_why why = {"before"};

	(void)state;
	assert_int_equal(tl_fail(&why, TL_EIO, "open '%s': %d", "x", 5), TL_EIO);
	assert_string_equal(why.text, "open 'x': 5");
	assert_int_equal(tl_fail(NULL, TL_ENOMEM, "nobody asks"), TL_ENOMEM);
}

static void
a_line_may_be_made_longer_by_itself(void **state)
{
	struct tl_why why = {"the disk is gone"};

	(void)state;
	tl_fail(&why, TL_EIO, "store: %s", why.text);
	assert_string_equal(why.text, "store: the disk is gone");
}

static void
a_line_that_is_too_long_is_cut(void **state)
{
	struct tl_why why;

	(void)state;
	tl_fail(&why, TL_EIO, "%0500d", 7);
	assert_int_equal(strlen(why.text), sizeof(why.text) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_name_a_text_and_a_status),
		cmocka_unit_test(a_success_has_a_status_of_success),
		cmocka_unit_test(a_name_leads_back_to_its_code),
		cmocka_unit_test(only_exact_names_are_known),
		cmocka_unit_test(the_retry_classes_have_their_wire_names),
		cmocka_unit_test(a_failure_fills_the_line_and_returns_its_code),
		cmocka_unit_test(a_line_may_be_made_longer_by_itself),
		cmocka_unit_test(a_line_that_is_too_long_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
