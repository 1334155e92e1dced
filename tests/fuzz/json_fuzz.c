/*
 * JSON in and out. A document becomes msgpack that the reader takes; that becomes JSON again, which
 * parses to the same msgpack, but for numbers with a fraction, which no reply of ours has.
 */
#include "schema/wire/json.h"
#include "schema/wire/reader.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 16u

static bool
has_float(struct tl_reader *reader)
{
	uint32_t left = 0;

	switch (tl_reader_peek(reader)) {
	case TL_WIRE_FLOAT:
		return true;
	case TL_WIRE_ARRAY:
		left = tl_read_array(reader);
		break;
	case TL_WIRE_MAP:
		left = tl_read_map(reader) * 2;
		break;
	case TL_WIRE_NIL:
	case TL_WIRE_BOOL:
	case TL_WIRE_INT:
	case TL_WIRE_STR:
	case TL_WIRE_BIN:
	case TL_WIRE_EXT:
		(void)tl_read_any(reader);
		break;
	}
	while (left-- > 0) {
		if (has_float(reader))
			return true;
	}
	return false;
}

/* True when the text holds a key that is written otherwise, or what changes with the metric. */
static bool
has_money(struct tl_slice text)
{
	return memmem(text.data, text.bytes, "nusd", 4) != NULL ||
	       memmem(text.data, text.bytes, "metric", 6) != NULL ||
	       memchr(text.data, '\\', text.bytes) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_buf once, twice, text;
	struct tl_json *json = NULL;
	struct tl_why why = {""};
	struct tl_reader reader;

	if (bytes == 0 || tl_json_parse(tl_slice_of(data, bytes), &json, &why)) {
		assert(bytes == 0 || tl_utf8_valid(tl_slice_str(why.text)));
		return 0;
	}
	tl_buf_reset(&once);
	assert(tl_json_to_msgpack(tl_json_root(json), &once) == TL_OK);
	tl_json_free(json);
	assert(tl_reader_check(tl_buf_slice(&once), DEPTH_MAX, NULL) == TL_OK);
	reader = tl_reader_of(tl_buf_slice(&once));
	if (has_float(&reader) || has_money(tl_slice_of(data, bytes)))
		return 0;
	tl_buf_reset(&text);
	tl_json_put_reply(&text, tl_buf_slice(&once), data[0] % 3);
	assert(!text.err && tl_json_parse(tl_buf_slice(&text), &json, &why) == TL_OK);
	tl_buf_reset(&twice);
	assert(tl_json_to_msgpack(tl_json_root(json), &twice) == TL_OK);
	tl_json_free(json);
	assert(tl_slice_eq(tl_buf_slice(&once), tl_buf_slice(&twice)));
	return 0;
}
