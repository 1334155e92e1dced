#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

static struct tl_buf message;
static struct tl_buf inflated;
static struct tl_why why;

static int
setup(void **state)
{
	(void)state;
	tl_buf_init(&message, 0);
	tl_buf_init(&inflated, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tl_buf_fini(&message);
	tl_buf_fini(&inflated);
	return 0;
}

/* A message that deflates from byte_count zeros (read as msgpack: many zeros, which is fine). */
static void
deflate_zeros(size_t byte_count)
{
	uint8_t *zeros = calloc(1, byte_count);

	assert_non_null(zeros);
	tl_buf_reset(&message);
	assert_int_equal(tl_frame_deflate(tl_slice_of(zeros, byte_count), &message), TL_OK);
	free(zeros);
}

static void
a_bare_map_is_itself(void **state)
{
	struct tl_slice sent = tl_slice_of("\x81\xa1v\x01", 4);
	struct tl_slice map;

	(void)state;
	assert_int_equal(tl_frame_open(sent, 100, &inflated, &map, &why), TL_OK);
	assert_ptr_equal(map.data, sent.data);
	assert_int_equal(map.bytes, sent.bytes);
}

static void
a_deflated_map_comes_out_as_it_went_in(void **state)
{
	uint8_t sent[5000];
	struct tl_slice map;

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * i >> 3);
	tl_buf_reset(&message);
	assert_int_equal(tl_frame_deflate(tl_slice_of(sent, sizeof(sent)), &message), TL_OK);
	assert_int_equal(message.data[0], 0x78);
	assert_int_equal(
		tl_frame_open(tl_buf_slice(&message), sizeof(sent), &inflated, &map, &why), TL_OK);
	assert_true(tl_slice_eq(map, tl_slice_of(sent, sizeof(sent))));
}

static void
what_comes_out_is_bounded(void **state)
{
	struct tl_slice map;

	(void)state;
	deflate_zeros(100000);
	assert_int_equal(
		tl_frame_open(tl_buf_slice(&message), 100000, &inflated, &map, &why), TL_OK);
	assert_int_equal(map.bytes, 100000);
	assert_int_equal(tl_frame_open(tl_buf_slice(&message), 99999, &inflated, &map, &why),
		TL_EFRAME_TOO_LARGE);
	deflate_zeros(64u << 20);
	assert_int_equal(tl_frame_open(tl_buf_slice(&message), 1u << 20, &inflated, &map, &why),
		TL_EFRAME_TOO_LARGE);
	assert_true(inflated.capacity <= 2u << 20);
}

static void
a_plain_message_is_bounded_too(void **state)
{
	static const uint8_t zeros[101];
	struct tl_slice map;

	(void)state;
	assert_int_equal(tl_frame_open(tl_slice_of(zeros, 100), 100, &inflated, &map, &why), TL_OK);
	assert_int_equal(tl_frame_open(tl_slice_of(zeros, 101), 100, &inflated, &map, &why),
		TL_EFRAME_TOO_LARGE);
}

static void
damaged_streams_are_malformed(void **state)
{
	struct tl_slice map;

	(void)state;
	assert_int_equal(
		tl_frame_open(tl_slice_of("", 0), 100, &inflated, &map, &why), TL_EFRAME_MALFORMED);
	assert_int_equal(tl_frame_open(tl_slice_of("x", 1), 100, &inflated, &map, &why),
		TL_EFRAME_MALFORMED);
	assert_int_equal(tl_frame_open(tl_slice_of("xyzzy", 5), 100, &inflated, &map, &why),
		TL_EFRAME_MALFORMED);
	deflate_zeros(1000);
	for (size_t bytes = 1; bytes < message.bytes; bytes++)
		assert_int_equal(tl_frame_open(tl_slice_of(message.data, bytes), 1000, &inflated,
					 &map, &why),
			TL_EFRAME_MALFORMED);
	tl_buf_put_u8(&message, 0);
	assert_int_equal(tl_frame_open(tl_buf_slice(&message), 2000, &inflated, &map, &why),
		TL_EFRAME_MALFORMED);
}

static void
an_error_says_its_code_and_what_to_do(void **state)
{
	struct tl_slice reply;
	struct tl_reader error;
	struct tl_slice inside;

	(void)state;
	tl_buf_reset(&message);
	tl_frame_put_error(&message, TL_EOVERLOADED,
		&(struct tl_error_detail){.message = "queue full",
			.field = "batch",
			.limit = 64,
			.retry_after_ms = 250});
	reply = tl_buf_slice(&message);
	assert_int_equal(tl_reader_check(reply, 2, NULL), TL_OK);
	assert_int_equal(tl_reader_find_int(reply, "v", 0), 1);
	assert_false(tl_reader_find_bool(reply, "ok", true));
	assert_int_equal(tl_reader_find_int(reply, "retry_after_ms", 0), 250);
	assert_true(tl_reader_find(reply, "error", &error));
	inside = tl_read_any(&error);
	assert_true(tl_slice_eq(tl_reader_find_str(inside, "code"), tl_slice_str("overloaded")));
	assert_true(tl_slice_eq(tl_reader_find_str(inside, "retry"), tl_slice_str("after")));
	assert_int_equal(tl_reader_find_int(inside, "limit", 0), 64);

	assert_int_equal(tl_frame_reply_status(reply, &why), TL_EOVERLOADED);
	assert_string_equal(why.text, "queue full (batch)");
}

static void
an_error_without_details_leaves_them_out(void **state)
{
	struct tl_reader value;
	struct tl_slice reply;

	(void)state;
	tl_buf_reset(&message);
	tl_frame_put_error(&message, TL_EUNAUTHENTICATED, NULL);
	reply = tl_buf_slice(&message);
	assert_false(tl_reader_find(reply, "retry_after_ms", &value));
	assert_true(tl_reader_find(reply, "error", &value));
	assert_int_equal(tl_read_map(&value), 3);
	assert_int_equal(tl_frame_reply_status(reply, &why), TL_EUNAUTHENTICATED);
	assert_string_equal(why.text, tl_err_text(TL_EUNAUTHENTICATED));
}

static void
the_status_of_a_reply_is_read(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t byte_count;
		enum tl_err err;
	} cases[] = {
		{"ok said", "\x81\xa2ok\xc3", 5, TL_OK},
		{"ok not said", "\x80", 1, TL_OK},
		{"not a map", "\x90", 1, TL_EFRAME_MALFORMED},
		{"cut short", "\x81\xa2ok", 4, TL_EFRAME_MALFORMED},
		{"not ok without an error", "\x81\xa2ok\xc2", 5, TL_EFRAME_MALFORMED},
		{"an error that is no map",
			"\x82\xa2ok\xc2\xa5"
			"error\x01",
			12, TL_EFRAME_MALFORMED},
		{"a code nobody knows",
			"\x82\xa2ok\xc2\xa5"
			"error\x81\xa4"
			"code\xa4what",
			22, TL_EINTERNAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum tl_err err = tl_frame_reply_status(
			tl_slice_of(cases[i].bytes, cases[i].byte_count), &why);

		if (err != cases[i].err)
			fail_msg("%s: %s", cases[i].what, tl_err_name(err));
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_map_is_itself),
		cmocka_unit_test(a_deflated_map_comes_out_as_it_went_in),
		cmocka_unit_test(what_comes_out_is_bounded),
		cmocka_unit_test(a_plain_message_is_bounded_too),
		cmocka_unit_test(damaged_streams_are_malformed),
		cmocka_unit_test(an_error_says_its_code_and_what_to_do),
		cmocka_unit_test(an_error_without_details_leaves_them_out),
		cmocka_unit_test(the_status_of_a_reply_is_read),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
