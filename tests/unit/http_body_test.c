#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "schema/net/http_body.h"

#define LONG_BYTES 200000u

/* A gzip stream of bytes that repeat. */
static struct tl_http_body *
pack(size_t bytes)
{
	struct tl_http_body *body = NULL;
	struct tl_buf plain;

	tl_buf_init(&plain, 0);
	for (size_t i = 0; i < bytes; i++)
		tl_buf_put_u8(&plain, (uint8_t)(i / 100));
	assert_int_equal(tl_http_body_of(&plain, &body), TL_OK);
	assert_non_null(tl_http_body_gzip(body));
	return body;
}

static enum tl_err
inflate_part(struct tl_slice gzip, size_t bytes_max, struct tl_buf *plain)
{
	struct tl_why why;

	tl_buf_reset(plain);
	return tl_http_inflate(gzip, bytes_max, plain, &why);
}

static void
a_stream_inflates_to_what_it_was_made_of(void **state)
{
	struct tl_http_body *body = pack(LONG_BYTES);
	struct tl_buf plain;

	(void)state;
	tl_buf_init(&plain, 0);
	assert_int_equal(
		inflate_part(tl_http_body_slice(tl_http_body_gzip(body)), LONG_BYTES, &plain),
		TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&plain), tl_http_body_slice(body)));
	tl_buf_fini(&plain);
	tl_http_body_drop(body);
}

static void
a_bound_is_exact(void **state)
{
	struct tl_http_body *body = pack(LONG_BYTES);
	struct tl_slice gzip = tl_http_body_slice(tl_http_body_gzip(body));
	struct tl_buf plain;

	(void)state;
	tl_buf_init(&plain, 0);
	assert_int_equal(inflate_part(gzip, LONG_BYTES + 1, &plain), TL_OK);
	assert_int_equal(inflate_part(gzip, LONG_BYTES, &plain), TL_OK);
	assert_int_equal(inflate_part(gzip, LONG_BYTES - 1, &plain), TL_EFRAME_TOO_LARGE);
	assert_int_equal(inflate_part(gzip, 0, &plain), TL_EFRAME_TOO_LARGE);
	tl_buf_fini(&plain);
	tl_http_body_drop(body);
}

static void
what_is_no_whole_stream_is_refused(void **state)
{
	struct tl_http_body *body = pack(5000);
	struct tl_slice gzip = tl_http_body_slice(tl_http_body_gzip(body));
	uint8_t *bytes = malloc(gzip.bytes + 1);
	struct tl_buf plain;

	(void)state;
	assert_non_null(bytes);
	memcpy(bytes, gzip.data, gzip.bytes);
	bytes[gzip.bytes] = 0;
	tl_buf_init(&plain, 0);
	for (size_t cut = 0; cut < gzip.bytes; cut++)
		assert_int_equal(
			inflate_part(tl_slice_of(bytes, cut), 5000, &plain), TL_EFRAME_MALFORMED);
	assert_int_equal(inflate_part(tl_slice_of(bytes, gzip.bytes), 5000, &plain), TL_OK);
	/* Something behind it, and another content than its checksum says. */
	assert_int_equal(inflate_part(tl_slice_of(bytes, gzip.bytes + 1), 5000, &plain),
		TL_EFRAME_MALFORMED);
	bytes[gzip.bytes - 6] ^= 1;
	assert_int_equal(
		inflate_part(tl_slice_of(bytes, gzip.bytes), 5000, &plain), TL_EFRAME_MALFORMED);
	tl_buf_fini(&plain);
	tl_http_body_drop(body);
	free(bytes);
}

/* Borrowed, not made again. */
static void
a_stream_is_a_body_in_both_forms(void **state)
{
	struct tl_http_body *plain = pack(LONG_BYTES);
	struct tl_slice gzip = tl_http_body_slice(tl_http_body_gzip(plain));
	struct tl_http_body *body = NULL;

	(void)state;
	assert_int_equal(tl_http_body_of_gzip(gzip, LONG_BYTES - 1, &body), TL_EFRAME_TOO_LARGE);
	assert_null(body);
	assert_int_equal(tl_http_body_of_gzip(gzip, LONG_BYTES, &body), TL_OK);
	assert_true(tl_slice_eq(tl_http_body_slice(body), tl_http_body_slice(plain)));
	assert_ptr_equal(tl_http_body_slice(tl_http_body_gzip(body)).data, gzip.data);
	tl_http_body_drop(body);
	tl_http_body_drop(plain);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_inflates_to_what_it_was_made_of),
		cmocka_unit_test(a_bound_is_exact),
		cmocka_unit_test(what_is_no_whole_stream_is_refused),
		cmocka_unit_test(a_stream_is_a_body_in_both_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
