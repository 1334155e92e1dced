#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

static struct tl_buf buf;

static int
setup(void **state)
{
	(void)state;
	tl_buf_init(&buf, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tl_buf_fini(&buf);
	return 0;
}

static void
an_integer_takes_its_shortest_form_and_reads_back(void **state)
{
	static const struct {
		int64_t value;
		size_t bytes;
	} cases[] = {{0, 1}, {127, 1}, {128, 2}, {255, 2}, {256, 3}, {65535, 3}, {65536, 5},
		{4294967295, 5}, {4294967296, 9}, {INT64_MAX, 9}, {-1, 1}, {-32, 1}, {-33, 2},
		{-128, 2}, {-129, 3}, {-32768, 3}, {-32769, 5}, {INT32_MIN, 5},
		{(int64_t)INT32_MIN - 1, 9}, {INT64_MIN, 9}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tl_reader reader;

		tl_buf_reset(&buf);
		tl_pack_int(&buf, cases[i].value);
		assert_int_equal(buf.bytes, cases[i].bytes);
		assert_int_equal(tl_reader_check(tl_buf_slice(&buf), 0, NULL), TL_OK);
		reader = tl_reader_of(tl_buf_slice(&buf));
		assert_true(tl_read_int(&reader) == cases[i].value);
		assert_int_equal(reader.err, TL_OK);
		assert_ptr_equal(reader.next, reader.end);
	}
}

static void
an_array_of_integers_has_the_bytes_of_one_put_together(void **state)
{
	static const int64_t values[] = {0, 127, 128, 65536, INT64_MAX, -1, -33, INT64_MIN};
	uint32_t count = sizeof(values) / sizeof(values[0]);
	struct tl_buf at_once;

	(void)state;
	tl_buf_init(&at_once, 0);
	tl_buf_reset(&buf);
	tl_pack_ints(&at_once, values, count);
	tl_pack_array(&buf, count);
	for (uint32_t i = 0; i < count; i++)
		tl_pack_int(&buf, values[i]);
	assert_true(tl_slice_eq(tl_buf_slice(&at_once), tl_buf_slice(&buf)));
	tl_buf_fini(&at_once);
}

static void
text_and_binary_of_every_length_class_read_back(void **state)
{
	static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
	static uint8_t data[65536];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct tl_slice sent = tl_slice_of(data, lengths[i]);
		struct tl_reader reader;

		memset(data, 'a' + (int)i, sizeof(data));
		tl_buf_reset(&buf);
		tl_pack_array(&buf, 2);
		tl_pack_slice(&buf, sent);
		tl_pack_bin(&buf, sent);
		assert_int_equal(tl_reader_check(tl_buf_slice(&buf), 1, NULL), TL_OK);
		reader = tl_reader_of(tl_buf_slice(&buf));
		assert_int_equal(tl_read_array(&reader), 2);
		assert_true(tl_slice_eq(tl_read_str(&reader), sent));
		assert_true(tl_slice_eq(tl_read_bin(&reader), sent));
		assert_int_equal(reader.err, TL_OK);
	}
}

static void
containers_of_every_size_class_read_back(void **state)
{
	static const uint32_t counts[] = {0, 1, 15, 16, 65535, 65536};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct tl_reader reader;

		tl_buf_reset(&buf);
		tl_pack_map(&buf, counts[i]);
		for (uint32_t n = 0; n < counts[i]; n++) {
			tl_pack_int(&buf, n);
			tl_pack_bool(&buf, true);
		}
		assert_int_equal(tl_reader_check(tl_buf_slice(&buf), 1, NULL), TL_OK);
		reader = tl_reader_of(tl_buf_slice(&buf));
		assert_int_equal(tl_read_map(&reader), counts[i]);
		assert_int_equal(reader.err, TL_OK);
	}
}

static void
an_open_map_counts_what_was_put_and_nests(void **state)
{
	struct tl_pack_open map;
	struct tl_pack_open list;
	struct tl_slice packed;

	(void)state;
	tl_buf_reset(&buf);
	map = tl_pack_open_map(&buf);
	tl_pack_key_int(&buf, &map, "a", 1);
	tl_pack_key(&buf, &map, "list");
	list = tl_pack_open_array(&buf);
	for (; list.count < 3; list.count++)
		tl_pack_int(&buf, list.count);
	tl_pack_close(&buf, &list);
	tl_pack_key_str(&buf, &map, "none", NULL);
	tl_pack_key_slice(&buf, &map, "text", tl_slice_str("t"));
	tl_pack_key_bool(&buf, &map, "yes", true);
	tl_pack_close(&buf, &map);

	packed = tl_buf_slice(&buf);
	assert_int_equal(tl_reader_check(packed, 2, NULL), TL_OK);
	assert_int_equal(tl_reader_check(packed, 1, NULL), TL_ETOO_DEEP);
	assert_int_equal(tl_reader_find_int(packed, "a", -1), 1);
	assert_true(tl_reader_find_bool(packed, "yes", false));
	assert_true(tl_slice_eq(tl_reader_find_str(packed, "text"), tl_slice_str("t")));
	assert_int_equal(tl_reader_find_int(packed, "none", 7), 7);
}

static void
a_full_buffer_keeps_its_error_and_closing_is_harmless(void **state)
{
	struct tl_buf small;
	struct tl_pack_open map;

	(void)state;
	tl_buf_init(&small, 12);
	map = tl_pack_open_map(&small);
	tl_pack_key_str(&small, &map, "key", "a value that does not fit");
	tl_pack_close(&small, &map);
	assert_int_equal(small.err, TL_EFULL);
	tl_buf_fini(&small);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_integer_takes_its_shortest_form_and_reads_back),
		cmocka_unit_test(an_array_of_integers_has_the_bytes_of_one_put_together),
		cmocka_unit_test(text_and_binary_of_every_length_class_read_back),
		cmocka_unit_test(containers_of_every_size_class_read_back),
		cmocka_unit_test(an_open_map_counts_what_was_put_and_nests),
		cmocka_unit_test(a_full_buffer_keeps_its_error_and_closing_is_harmless),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
