#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "schema/net/http_target.h"

/* "part|part?name=value&name=value", or "-" when the target is refused. */
static void
show(const char *target, char text[512])
{
	static char line[512];
	struct tl_http_target parsed;
	struct tl_why why;
	size_t at = 0;

	snprintf(line, sizeof(line), "%s", target);
	if (tl_http_target_parse(line, &parsed, &why)) {
		strcpy(text, "-");
		return;
	}
	text[0] = '\0';
	for (uint32_t i = 0; i < parsed.part_count; i++)
		at += (size_t)snprintf(text + at, 512 - at, "%s%.*s", i > 0 ? "|" : "",
			(int)parsed.parts[i].bytes, (const char *)parsed.parts[i].data);
	for (uint32_t i = 0; i < parsed.param_count; i++)
		at += (size_t)snprintf(text + at, 512 - at, "%s%.*s=%.*s", i > 0 ? "&" : "?",
			(int)parsed.params[i].name.bytes, (const char *)parsed.params[i].name.data,
			(int)parsed.params[i].value.bytes,
			(const char *)parsed.params[i].value.data);
}

static void
a_target_is_taken_apart_and_decoded_once(void **state)
{
	static const struct {
		const char *target, *shown;
	} cases[] = {
		{"/", ""},
		{"/a/b", "a|b"},
		{"/a/", "a|"},
		{"/a%2Fb/c", "a/b|c"},
		{"/a+b?c+d=e+f", "a+b?c d=e f"},
		{"/x?a=%2B%26%3d&b", "x?a=+&=&b="},
		{"/x?a=%2541", "x?a=%41"},
		{"/x?&&a=1&", "x?a=1"},
		{"/x?a=b=c", "x?a=b=c"},
		{"/x?q=%C3%A4", "x?q=\xc3\xa4"},
		/* refused */
		{"x", "-"},
		{"*", "-"},
		{"http://evil/x", "-"},
		{"/a%00b", "-"},
		{"/a%0d%0aSet-Cookie", "-"},
		{"/a%7f", "-"},
		{"/a%", "-"},
		{"/a%2", "-"},
		{"/a%zz", "-"},
		{"/x?q=%ff", "-"},
		{"/x?a=1&a=2", "-"},
		{"/x?a=1&%61=2", "-"},
		{"/1/2/3/4/5/6/7/8/9", "-"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		show(cases[i].target, text);
		if (strcmp(text, cases[i].shown) != 0 && strcmp(cases[i].shown, "") != 0)
			fail_msg("%s: %s, not %s", cases[i].target, text, cases[i].shown);
	}
}

static void
parameters_have_a_bound(void **state)
{
	char target[2048] = "/x?";
	char taken_apart[sizeof(target)];
	struct tl_http_target parsed;
	size_t at = 3;

	(void)state;
	for (uint32_t i = 0; i < TL_HTTP_PARAMS_MAX; i++)
		at += (size_t)snprintf(target + at, sizeof(target) - at, "p%u=1&", i);
	strcpy(taken_apart, target);
	assert_int_equal(tl_http_target_parse(taken_apart, &parsed, NULL), TL_OK);
	assert_int_equal(parsed.param_count, TL_HTTP_PARAMS_MAX);
	snprintf(target + at, sizeof(target) - at, "more=1");
	assert_int_equal(tl_http_target_parse(target, &parsed, NULL), TL_EBAD_PARAM);
}

static const struct tl_http_route routes[] = {
	{.method = TL_HTTP_GET, .path = "/api/v1/sessions"},
	{.method = TL_HTTP_GET, .path = "/api/v1/sessions/{id}"},
	{.method = TL_HTTP_GET, .path = "/api/v1/repos/top"},
	{.method = TL_HTTP_POST, .path = "/api/v1/members/{id}/agents"},
	{.method = TL_HTTP_DELETE, .path = "/api/v1/sessions/{id}"},
};

static void
a_route_is_found_by_method_and_path(void **state)
{
	static const struct {
		enum tl_http_method method;
		const char *target;
		int route; /* -1: none */
		const char *id;
		uint32_t methods;
	} cases[] = {
		{TL_HTTP_GET, "/api/v1/sessions", 0, "", 1u << TL_HTTP_GET},
		{TL_HTTP_GET, "/api/v1/sessions/s-1?x=1", 1, "s-1",
			1u << TL_HTTP_GET | 1u << TL_HTTP_DELETE},
		{TL_HTTP_DELETE, "/api/v1/sessions/a%2Fb", 4, "a/b",
			1u << TL_HTTP_GET | 1u << TL_HTTP_DELETE},
		{TL_HTTP_POST, "/api/v1/sessions/s-1", -1, "",
			1u << TL_HTTP_GET | 1u << TL_HTTP_DELETE},
		{TL_HTTP_POST, "/api/v1/members/m/agents", 3, "m", 1u << TL_HTTP_POST},
		{TL_HTTP_POST, "/api/v1/members//agents", -1, "", 0},
		{TL_HTTP_GET, "/api/v1/sessions/", -1, "", 0},
		{TL_HTTP_GET, "/api/v1/sessions/a/b", -1, "", 0},
		{TL_HTTP_GET, "/api/v1", -1, "", 0},
		{TL_HTTP_GET, "/", -1, "", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[64];
		struct tl_http_target target;
		const struct tl_http_route *route;
		struct tl_slice id;
		uint32_t methods;

		snprintf(line, sizeof(line), "%s", cases[i].target);
		assert_int_equal(tl_http_target_parse(line, &target, NULL), TL_OK);
		route = tl_http_route_find(routes, 5, cases[i].method, &target, &id, &methods);
		if (route != (cases[i].route < 0 ? NULL : &routes[cases[i].route]) ||
			!tl_slice_eq(id, tl_slice_str(cases[i].id)) || methods != cases[i].methods)
			fail_msg("%s: id '%.*s' methods %u", cases[i].target, (int)id.bytes,
				(const char *)id.data, methods);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_target_is_taken_apart_and_decoded_once),
		cmocka_unit_test(parameters_have_a_bound),
		cmocka_unit_test(a_route_is_found_by_method_and_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
