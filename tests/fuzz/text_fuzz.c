/*
 * The small readers everything stands on: UTF-8 against a decoder that knows code points, varints,
 * hex, money as text, the names of errors, ids. What is read is written to the same text.
 */
#include <stdio.h>

#include "schema/model/event.h"
#include "schema/model/money.h"
#include "tests/fuzz/fuzz.h"

/* Bytes of the code point at the start, 0 when there is none: by its value, not by its bytes. */
static size_t
code_point_bytes(struct tl_slice text)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t head = text.data[0];
	size_t bytes = head < 0x80 ? 1 : head < 0xc0 ? 0 : head < 0xe0 ? 2 : head < 0xf0 ? 3 : 4;
	uint32_t point = bytes == 1 ? head : bytes == 0 ? 0 : head & (0x7fu >> bytes);

	if (bytes == 0 || head >= 0xf8 || bytes > text.bytes)
		return 0;
	for (size_t i = 1; i < bytes; i++) {
		if ((text.data[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (text.data[i] & 0x3fu);
	}
	if (point < least[bytes] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	return bytes;
}

static bool
is_utf8(struct tl_slice text)
{
	while (text.bytes > 0) {
		size_t bytes = code_point_bytes(text);

		if (bytes == 0)
			return false;
		text = tl_slice_of(text.data + bytes, text.bytes - bytes);
	}
	return true;
}

static void
check_varint(struct tl_slice input)
{
	uint64_t value;
	uint8_t again[10];
	size_t bytes = tl_varint_get(input.data, input.data + input.bytes, &value);

	if (bytes == 0)
		return;
	assert(tl_varint_put(again, value) == bytes);
	assert(memcmp(again, input.data, bytes) == 0);
	assert(tl_zigzag(tl_unzigzag(value)) == value);
}

static void
check_hex(struct tl_slice input)
{
	uint8_t data[32];
	char text[65];

	if (input.bytes > 64 || !tl_unhex(input, data, input.bytes / 2))
		return;
	tl_hex(data, input.bytes / 2, text);
	assert(strlen(text) == input.bytes);
	for (size_t i = 0; i < input.bytes; i++)
		assert((input.data[i] | 0x20) == (text[i] | 0x20));
}

static void
check_usd(struct tl_slice input)
{
	char text[TL_USD_TEXT_BYTES];
	int64_t nusd, again;

	if (!tl_usd_parse(input, &nusd))
		return;
	tl_usd_format(nusd, text);
	assert(tl_usd_parse(tl_slice_str(text), &again) && again == nusd);
}

static void
check_id(struct tl_slice input)
{
	uint8_t id[16];

	if (tl_event_id_from_text(input, id))
		assert(input.bytes >= 8 && input.bytes <= 64);
	if (input.bytes == 16 && tl_event_id_from_bytes(input.data, id))
		assert(memcmp(id, input.data, sizeof(id)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice input = tl_slice_of(data, bytes);
	enum tl_err err;

	if (bytes == 0)
		return 0;
	assert(tl_utf8_valid(input) == is_utf8(input));
	check_varint(input);
	check_hex(input);
	check_usd(input);
	check_id(input);
	err = tl_err_from_name((const char *)data, bytes);
	assert(err == TL_EINTERNAL || tl_slice_eq(input, tl_slice_str(tl_err_name(err))));
	return 0;
}
