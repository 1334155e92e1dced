#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "schema/net/http_head.h"

static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};

/* The verdict on headers given as "name: value" lines; the colon and one blank part them. */
static enum tl_err
judge(const char *lines)
{
	struct tl_http_head head = {0};

	while (*lines != '\0') {
		size_t bytes = strcspn(lines, "\n");
		const char *colon = memchr(lines, ':', bytes);
		size_t name_bytes = (size_t)(colon - lines);

		assert_non_null(colon);
		tl_http_head_add(&head, tl_slice_of(lines, name_bytes),
			tl_slice_of(colon + 2, bytes - name_bytes - 2), hosts, 3);
		lines += bytes + (lines[bytes] == '\n');
	}
	return tl_http_head_check(&head, NULL);
}

static void
an_ambiguous_head_is_refused(void **state)
{
	static const struct {
		const char *lines;
		enum tl_err verdict;
	} cases[] = {
		{"Host: localhost", TL_OK},
		{"hOST: LocalHost:8787\nContent-Length: 0", TL_OK},
		{"Host: [::1]:8787\nTransfer-Encoding: chunked", TL_OK},
		{"Host: 127.0.0.1\nTransfer-Encoding: Chunked", TL_OK},
		{"", TL_EBAD_HEADER},
		{"Accept: text/html", TL_EBAD_HEADER},
		{"Host: localhost\nHost: localhost", TL_EBAD_HEADER},
		{"Host: evil.example", TL_EBAD_HEADER},
		{"Host: localhost.evil.example", TL_EBAD_HEADER},
		{"Host: ", TL_EBAD_HEADER},
		{"Host: localhost\nContent-Length: 3\nContent-Length: 3", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: 3\nContent-Length: 4", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: 3, 3", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: +3", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: -3", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: 0x3", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: ", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: 9999999999999999", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length: 3\nTransfer-Encoding: chunked", TL_EBAD_LENGTH},
		{"Host: localhost\nTransfer-Encoding: chunked\nContent-Length: 3", TL_EBAD_LENGTH},
		{"Host: localhost\nTransfer-Encoding: gzip, chunked", TL_EBAD_LENGTH},
		{"Host: localhost\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked",
			TL_EBAD_LENGTH},
		{"Host: localhost\nTransfer-Encoding: identity", TL_EBAD_LENGTH},
		{"Host: localhost\nContent-Length : 3", TL_EBAD_HEADER},
		{"Host: localhost\nContent-Length2: 3", TL_EBAD_HEADER},
		{"Host: localhost\nTransfer-Encoding-x: chunked", TL_EBAD_HEADER},
		{"Host: localhost\nX Y: 3", TL_EBAD_HEADER},
		{"Host: localhost\nX\tY: 3", TL_EBAD_HEADER},
		{"Host: localhost\n: 3", TL_EBAD_HEADER},
		{"Host: localhost\nX: a\rb", TL_EBAD_HEADER},
		{"Host: localhost\nX: a\x01", TL_EBAD_HEADER},
		{"Host: localhost\nX: a\tb", TL_OK},
		{"Host: localhost\nX: \xc3\xa4", TL_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum tl_err verdict = judge(cases[i].lines);

		if (verdict != cases[i].verdict)
			fail_msg("%s\n-> %s", cases[i].lines, tl_err_name(verdict));
	}
}

static void
sixty_four_headers_are_taken(void **state)
{
	struct tl_http_head head = {0};

	(void)state;
	tl_http_head_add(&head, tl_slice_str("Host"), tl_slice_str("localhost"), hosts, 3);
	for (uint32_t i = 1; i < TL_HTTP_HEADERS_MAX; i++)
		tl_http_head_add(&head, tl_slice_str("X"), tl_slice_str("1"), hosts, 3);
	assert_int_equal(tl_http_head_check(&head, NULL), TL_OK);
	tl_http_head_add(&head, tl_slice_str("X"), tl_slice_str("1"), hosts, 3);
	assert_int_equal(tl_http_head_check(&head, NULL), TL_EHEADER_TOO_LARGE);
}

static void
a_list_names_a_word_unless_it_refuses_it(void **state)
{
	(void)state;
	assert_true(tl_http_head_takes(tl_slice_str("gzip"), "gzip"));
	assert_true(tl_http_head_takes(tl_slice_str("br, GZip;q=0.5"), "gzip"));
	assert_true(tl_http_head_takes(tl_slice_str("br ,gzip ; q=1"), "gzip"));
	assert_false(tl_http_head_takes(tl_slice_str("gzip;q=0"), "gzip"));
	assert_false(tl_http_head_takes(tl_slice_str("gzip; q=0.000"), "gzip"));
	assert_false(tl_http_head_takes(tl_slice_str("xgzip, gzipx"), "gzip"));
	assert_false(tl_http_head_takes(tl_slice_str(""), "gzip"));
	assert_false(tl_http_head_takes(tl_slice_of(NULL, 0), "gzip"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ambiguous_head_is_refused),
		cmocka_unit_test(sixty_four_headers_are_taken),
		cmocka_unit_test(a_list_names_a_word_unless_it_refuses_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
