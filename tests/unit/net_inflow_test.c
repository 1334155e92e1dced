#include "schema/net/inflow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "schema/model/limits.h"

static const uint8_t greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

static void
greet(struct tl_inflow *inflow, bool is_ipc)
{
	tl_inflow_init(inflow, is_ipc);
	assert_int_equal(tl_inflow_take(inflow, greeting, sizeof(greeting), 1), TL_INFLOW_FINE);
	assert_true(inflow->is_greeted);
}

/* tcp: 8 bytes of length, most significant first. */
static void
head_put(uint8_t head[8], uint64_t bytes)
{
	for (int i = 0; i < 8; i++)
		head[i] = (uint8_t)(bytes >> (56 - 8 * i));
}

static void
test_a_frame_is_begun_by_its_first_byte_and_whole_by_its_last(void **state)
{
	uint8_t frame[8 + 5] = {0};
	struct tl_inflow inflow;

	(void)state;
	head_put(frame, 5);
	greet(&inflow, false);
	for (size_t i = 0; i < sizeof(frame); i++) {
		assert_int_equal(inflow.begun_ms, i == 0 ? 0 : 10);
		assert_int_equal(inflow.whole_ms, 0);
		assert_int_equal(
			tl_inflow_take(&inflow, frame + i, 1, 10 + (int64_t)i), TL_INFLOW_FINE);
	}
	assert_int_equal(inflow.begun_ms, 0);
	assert_int_equal(inflow.whole_ms, 22);
	assert_int_equal(inflow.held_bytes, 0);
}

static void
test_frames_may_come_in_any_pieces(void **state)
{
	uint8_t bytes[3 * (9 + 2)];
	struct tl_inflow inflow;

	(void)state;
	for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
		greet(&inflow, true);
		for (size_t i = 0; i < 3; i++) {
			bytes[11 * i] = 1;
			head_put(bytes + 11 * i + 1, 2);
		}
		for (size_t at = 0; at < sizeof(bytes); at += piece) {
			size_t left = sizeof(bytes) - at;

			assert_int_equal(tl_inflow_take(&inflow, bytes + at,
						 left < piece ? left : piece, (int64_t)at + 1),
				TL_INFLOW_FINE);
		}
		assert_int_equal(inflow.begun_ms, 0);
		assert_int_equal(
			inflow.whole_ms, (int64_t)((sizeof(bytes) - 1) / piece * piece) + 1);
	}
}

static void
test_a_small_frame_is_held_in_full_and_a_large_one_as_it_comes(void **state)
{
	uint8_t head[8];
	struct tl_inflow inflow;

	(void)state;
	greet(&inflow, false);
	head_put(head, TL_INFLOW_HEAP_BYTES_MAX);
	assert_int_equal(tl_inflow_take(&inflow, head, 8, 1), TL_INFLOW_FINE);
	assert_int_equal(inflow.held_bytes, TL_INFLOW_HEAP_BYTES_MAX);

	greet(&inflow, false);
	head_put(head, TL_INFLOW_HEAP_BYTES_MAX + 1);
	assert_int_equal(tl_inflow_take(&inflow, head, 8, 1), TL_INFLOW_FINE);
	assert_int_equal(inflow.held_bytes, 0);
	assert_int_equal(tl_inflow_take(&inflow, greeting, 8, 1), TL_INFLOW_FINE);
	assert_int_equal(inflow.held_bytes, 8);
}

static void
test_a_frame_past_the_bound_is_a_fault(void **state)
{
	static const uint64_t lengths[] = {TL_TRANSPORT_BYTES_MAX + 1ull, 1ull << 62, UINT64_MAX};
	uint8_t head[8];
	struct tl_inflow inflow;

	(void)state;
	greet(&inflow, false);
	head_put(head, TL_TRANSPORT_BYTES_MAX);
	assert_int_equal(tl_inflow_take(&inflow, head, 8, 1), TL_INFLOW_FINE);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		greet(&inflow, false);
		head_put(head, lengths[i]);
		assert_int_equal(tl_inflow_take(&inflow, head, 8, 1), TL_INFLOW_TOO_LONG);
		assert_int_equal(tl_inflow_take(&inflow, head, 8, 1), TL_INFLOW_FINE);
		assert_int_equal(inflow.held_bytes, 0);
	}
}

static void
test_only_req_is_greeted(void **state)
{
	uint8_t other[8];
	struct tl_inflow inflow;

	(void)state;
	for (size_t i = 0; i < sizeof(other); i++) {
		memcpy(other, greeting, sizeof(other));
		other[i] ^= 1;
		tl_inflow_init(&inflow, false);
		assert_int_equal(
			tl_inflow_take(&inflow, other, sizeof(other), 1), TL_INFLOW_NO_REQ);
		assert_false(inflow.is_greeted);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_frame_is_begun_by_its_first_byte_and_whole_by_its_last),
		cmocka_unit_test(test_frames_may_come_in_any_pieces),
		cmocka_unit_test(test_a_small_frame_is_held_in_full_and_a_large_one_as_it_comes),
		cmocka_unit_test(test_a_frame_past_the_bound_is_a_fault),
		cmocka_unit_test(test_only_req_is_greeted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
