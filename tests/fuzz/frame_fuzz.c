/*
 * The frame around a map. The first two bytes say how: the bound, and whether the rest is the
 * message as it came or is deflated first and then damaged at one place. Nothing larger than the
 * bound comes out, and what was deflated comes back.
 */
#include "schema/wire/frame.h"
#include "tests/fuzz/fuzz.h"

static void
check_opened(struct tl_slice message, size_t bytes_max, struct tl_buf *inflated)
{
	struct tl_slice map;
	enum tl_err err = tl_frame_open(message, bytes_max, inflated, &map, NULL);

	assert(inflated->bytes <= bytes_max);
	if (message.bytes == 0)
		assert(err == TL_EFRAME_MALFORMED);
	else if (message.bytes > bytes_max)
		assert(err == TL_EFRAME_TOO_LARGE);
	else if (message.data[0] != 0x78)
		assert(err == TL_OK && map.data == message.data && map.bytes == message.bytes);
	else if (!err)
		assert(map.bytes <= bytes_max);
}

static void
check_deflated(struct tl_slice map, size_t bytes_max, size_t damage, struct tl_buf *inflated)
{
	static struct tl_buf message;
	struct tl_slice back;
	enum tl_err err;

	tl_buf_reset(&message);
	assert(tl_frame_deflate(map, &message) == TL_OK);
	err = tl_frame_open(tl_buf_slice(&message), bytes_max, inflated, &back, NULL);
	if (message.bytes > bytes_max || map.bytes > bytes_max)
		assert(err == TL_EFRAME_TOO_LARGE);
	else
		assert(err == TL_OK && tl_slice_eq(back, map));

	/* One byte other, one short, one more. */
	check_opened(tl_slice_of(message.data, message.bytes - 1), bytes_max, inflated);
	message.data[damage % message.bytes] ^= (uint8_t)(1u << damage % 8);
	check_opened(tl_buf_slice(&message), bytes_max, inflated);
	message.data[damage % message.bytes] ^= (uint8_t)(1u << damage % 8);
	tl_buf_put_u8(&message, 0);
	err = tl_frame_open(tl_buf_slice(&message), bytes_max, inflated, &back, NULL);
	assert(err != TL_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_buf inflated;
	struct tl_cursor cur = tl_cursor_of(tl_slice_of(data, bytes));
	uint8_t how = tl_cursor_u8(&cur);
	uint8_t damage = tl_cursor_u8(&cur);
	size_t bytes_max = (size_t)1 << (how >> 4);
	struct tl_slice rest = fuzz_rest(&cur);

	if ((how & 1) != 0)
		check_deflated(rest, bytes_max, damage, &inflated);
	else
		check_opened(rest, bytes_max * 16, &inflated);
	return 0;
}
