#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/net/http_browser.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
a_cookie_is_found_or_nothing_is(void **state)
{
	static const struct {
		const char *header, *value;
	} cases[] = {
		{"sid=abc", "abc"},
		{"a=b; sid=abc; c=d", "abc"},
		{"a=b;sid=abc;c=d", "abc"},
		{";; sid=abc ;", "abc"},
		{"sid=abc; sid=abc", "abc"},
		{"", ""},
		{"sid", ""},
		{"sid=", ""},
		{"xsid=abc", ""},
		{"sidx=abc", ""},
		{"SID=abc", ""},
		{"sid=a b", ""},
		{"sid=\"abc\"", ""},
		{"sid=a%41", ""},
		{"sid=abc; sid=abd", ""},
		{"sid=abc; sid=", ""},
		{"sid=abc; sid=a b", ""},
		{"sid=0123456789012345678901234567890123456789012345678901234567890123",
			"0123456789012345678901234567890123456789012345678901234567890123"},
		{"sid=01234567890123456789012345678901234567890123456789012345678901234", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tl_slice value = tl_http_cookie_find(tl_slice_str(cases[i].header), "sid");

		if (!tl_slice_eq(value, tl_slice_str(cases[i].value)))
			fail_msg("%s: %.*s", cases[i].header, (int)value.bytes,
				(const char *)value.data);
	}
}

static void
only_a_page_of_this_server_passes(void **state)
{
	static const struct {
		const char *origin, *fetch_site, *tally, *content_type;
		bool is_tls;
		enum tl_err wanted;
	} cases[] = {
		{"http://t.test:80", "", "1", "application/json", false, TL_OK},
		{"http://T.Test:80", "same-origin", "1", "application/json; charset=utf-8", false,
			TL_OK},
		{"", "same-origin", "1", "", false, TL_OK},
		{"https://t.test:80", "", "1", "", true, TL_OK},
		{"http://t.test:80", "", "1", "", true, TL_EORIGIN_NOT_ALLOWED},
		{"https://t.test:80", "", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"http://t.test", "", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"http://t.test:801", "", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"http://x.t.test:80", "", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"null", "", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"", "", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"", "none", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"", "same-site", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"http://t.test:80", "cross-site", "1", "", false, TL_EORIGIN_NOT_ALLOWED},
		{"http://t.test:80", "", "", "", false, TL_ECSRF_FAILED},
		{"http://t.test:80", "", "11", "", false, TL_ECSRF_FAILED},
		{"http://t.test:80", "", "1", "text/plain", false, TL_ECSRF_FAILED},
		{"http://t.test:80", "", "1", "application/jsonp", false, TL_ECSRF_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct tl_http_origin origin = {
			.origin = tl_slice_str(cases[i].origin),
			.fetch_site = tl_slice_str(cases[i].fetch_site),
			.host = tl_slice_str("t.test:80"),
			.tally = tl_slice_str(cases[i].tally),
			.content_type = tl_slice_str(cases[i].content_type),
			.is_tls = cases[i].is_tls,
		};
		struct tl_why why = {""};
		enum tl_err err = tl_http_origin_check(&origin, &why);

		if (err != cases[i].wanted)
			fail_msg("case %zu: %s, %s", i, tl_err_name(err), why.text);
		assert_true(!err || why.text[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cookie_is_found_or_nothing_is),
		cmocka_unit_test(only_a_page_of_this_server_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
