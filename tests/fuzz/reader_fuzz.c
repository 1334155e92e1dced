/*
 * The bounds pass and the reader: the pass gives the verdict of a walk that recurses and keeps no
 * counts; what it let through is read whole, written again and means the same.
 */
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"
#include "schema/wire/token.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 16u

static enum tl_err
walk(const uint8_t **at, const uint8_t *end, uint32_t depth_left)
{
	struct tl_token token;
	uint64_t children;
	enum tl_err err = TL_OK;

	*at = tl_token_read(*at, end, &token);
	if (*at == NULL)
		return TL_EFRAME_MALFORMED;
	if (token.type != TL_WIRE_ARRAY && token.type != TL_WIRE_MAP)
		return TL_OK;
	children = tl_token_children(&token);
	if (children > (uint64_t)(end - *at))
		return TL_EFRAME_MALFORMED;
	if (depth_left == 0)
		return TL_ETOO_DEEP;
	for (uint64_t i = 0; i < children && !err; i++)
		err = walk(at, end, depth_left - 1);
	return err;
}

static enum tl_err
walk_whole(struct tl_slice value, uint32_t depth_max)
{
	const uint8_t *at = value.data;
	const uint8_t *end = value.data + value.bytes;
	enum tl_err err = walk(&at, end, depth_max);

	return !err && at != end ? TL_EFRAME_MALFORMED : err;
}

/* The value that begins here, whatever follows it. */
static void
check_pass(struct tl_slice value)
{
	const uint8_t *at = value.data;
	const uint8_t *end = value.data + value.bytes;
	const uint8_t *passed = tl_reader_pass(at, end, 2);

	assert(passed == (walk(&at, end, 2) ? NULL : at));
}

/* One value written again in its shortest form; extensions and wide integers as they are. */
static void
copy(struct tl_reader *reader, struct tl_buf *out)
{
	struct tl_reader ahead = *reader;
	enum tl_wire_type type = tl_reader_peek(reader);
	uint32_t count;

	switch (type) {
	case TL_WIRE_NIL:
		tl_read_nil(reader);
		tl_pack_nil(out);
		break;
	case TL_WIRE_BOOL:
		tl_pack_bool(out, tl_read_bool(reader));
		break;
	case TL_WIRE_INT:
		tl_read_int(&ahead);
		if (ahead.err) /* above int64 */
			tl_buf_put_slice(out, tl_read_any(reader));
		else
			tl_pack_int(out, tl_read_int(reader));
		break;
	case TL_WIRE_FLOAT:
		tl_pack_float(out, tl_read_float(reader));
		break;
	case TL_WIRE_STR:
		tl_pack_slice(out, tl_read_str(reader));
		break;
	case TL_WIRE_BIN:
		tl_pack_bin(out, tl_read_bin(reader));
		break;
	case TL_WIRE_EXT:
		tl_buf_put_slice(out, tl_read_any(reader));
		break;
	case TL_WIRE_ARRAY:
		count = tl_read_array(reader);
		tl_pack_array(out, count);
		for (uint32_t i = 0; i < count; i++)
			copy(reader, out);
		break;
	case TL_WIRE_MAP:
		count = tl_read_map(reader);
		tl_pack_map(out, count);
		for (uint32_t i = 0; i < count * 2; i++)
			copy(reader, out);
		break;
	}
}

static void
check_copies(struct tl_slice value)
{
	static struct tl_buf once, twice;
	struct tl_reader reader = tl_reader_of(value);

	tl_buf_reset(&once);
	copy(&reader, &once);
	assert(reader.err == TL_OK && reader.next == reader.end);
	assert(tl_reader_check(tl_buf_slice(&once), DEPTH_MAX, NULL) == TL_OK);
	reader = tl_reader_of(tl_buf_slice(&once));
	tl_buf_reset(&twice);
	copy(&reader, &twice);
	assert(reader.err == TL_OK);
	assert(tl_slice_eq(tl_buf_slice(&once), tl_buf_slice(&twice)));

	reader = tl_reader_of(value);
	assert(tl_slice_eq(tl_read_any(&reader), value));
	assert(tl_token_skip(value.data, value.data + value.bytes) == value.data + value.bytes);
}

/* Every text key of the top map is found, at its first place. */
static void
check_find(struct tl_slice value)
{
	struct tl_reader reader = tl_reader_of(value);
	uint32_t pair_count = tl_reader_peek(&reader) == TL_WIRE_MAP ? tl_read_map(&reader) : 0;

	for (uint32_t i = 0; i < pair_count; i++) {
		bool is_text = tl_reader_peek(&reader) == TL_WIRE_STR;
		struct tl_slice name = is_text ? tl_read_str(&reader) : tl_read_any(&reader);
		struct tl_slice one = tl_read_any(&reader);
		struct tl_reader found;
		char key[64];

		if (!is_text || name.bytes >= sizeof(key) ||
			(name.bytes > 0 && memchr(name.data, '\0', name.bytes)))
			continue;
		if (name.bytes > 0)
			memcpy(key, name.data, name.bytes);
		key[name.bytes] = '\0';
		assert(tl_reader_find(value, key, &found));
		assert(found.next <= one.data && found.end <= one.data + one.bytes);
	}
}

/* Reads in any order, right or wrong, stay within the bytes and keep their first error. */
static void
read_anyhow(struct tl_slice value)
{
	struct tl_reader reader = tl_reader_of(value);

	for (size_t i = 0; i < value.bytes && i < 32; i++) {
		enum tl_err before = reader.err;
		struct tl_reader found;

		switch (value.data[value.bytes - 1 - i] % 11) {
		case 0:
			tl_read_map(&reader);
			break;
		case 1:
			tl_read_array(&reader);
			break;
		case 2:
			tl_read_str(&reader);
			break;
		case 3:
			tl_read_bin(&reader);
			break;
		case 4:
			tl_read_bool(&reader);
			break;
		case 5:
			tl_read_nil(&reader);
			break;
		case 6:
			tl_read_int(&reader);
			break;
		case 7:
			tl_read_float(&reader);
			break;
		case 8:
			tl_read_any(&reader);
			break;
		case 9:
			tl_reader_peek(&reader);
			break;
		case 10:
			tl_reader_find(value, "v", &found);
			break;
		}
		assert(reader.next <= reader.end);
		assert(!before || reader.err == before);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice value = tl_slice_of(data, bytes);
	enum tl_err err = tl_reader_check(value, DEPTH_MAX, NULL);

	assert(err == walk_whole(value, DEPTH_MAX));
	assert(tl_reader_check(value, 4, NULL) == walk_whole(value, 4));
	check_pass(value);
	read_anyhow(value);
	if (!err) {
		check_copies(value);
		check_find(value);
	}
	return 0;
}
