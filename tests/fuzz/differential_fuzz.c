/*
 * Ours against msgpack-c: the same verdict on every input and the same values. What msgpack-c does
 * otherwise, and this allows for:
 *  - it nests 32 deep, ours to the depth asked for (too_deep is a verdict of its own);
 *  - it allocates what a header claims before it looks for the elements: an input whose claims
 *    exceed its bytes is ours to refuse, and never given to it;
 *  - integers above int64 are numbers to it; our reader refuses to read them as one.
 * Of a batch that decodes, each accepted number and plain name is what msgpack-c's tree has there.
 */
#include <msgpack.h>

#include "schema/model/limits.h"
#include "schema/wire/event_field.h"
#include "schema/wire/event_wire.h"
#include "schema/wire/reader.h"
#include "schema/wire/token.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 16u
#define ARENA_BYTES_MAX ((size_t)24 << 20)
#define NOW_MS INT64_C(1795255200000)

/* True when some header, taken for what it says, promises more than the bytes behind it. */
static bool
claims_too_much(struct tl_slice value)
{
	const uint8_t *at = value.data;
	const uint8_t *end = value.data + value.bytes;
	struct tl_token token;

	while (at < end) {
		at = tl_token_read(at, end, &token);
		if (at == NULL)
			return false;
		if (tl_token_children(&token) > (uint64_t)(end - at))
			return true;
	}
	return false;
}

static void
check_int(struct tl_reader *reader, const msgpack_object *object)
{
	struct tl_reader ahead = *reader;
	int64_t number = tl_read_int(&ahead);

	if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 > INT64_MAX) {
		assert(ahead.err == TL_EFIELD_TYPE);
		(void)tl_read_any(reader);
		return;
	}
	assert(!ahead.err);
	*reader = ahead;
	if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		assert(number >= 0 && (uint64_t)number == object->via.u64);
	else
		assert(object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER &&
			number == object->via.i64);
}

static void
check_ext(struct tl_reader *reader, const msgpack_object *object)
{
	struct tl_slice raw = tl_read_any(reader);

	/* Its payload is the end of the token, its type the byte before. */
	assert(object->type == MSGPACK_OBJECT_EXT && raw.bytes > object->via.ext.size);
	assert(tl_slice_eq(tl_slice_of(object->via.ext.ptr, object->via.ext.size),
		tl_slice_of(raw.data + raw.bytes - object->via.ext.size, object->via.ext.size)));
	assert((int8_t)raw.data[raw.bytes - object->via.ext.size - 1] == object->via.ext.type);
}

static void
check_value(struct tl_reader *reader, const msgpack_object *object)
{
	double real;

	switch (tl_reader_peek(reader)) {
	case TL_WIRE_NIL:
		tl_read_nil(reader);
		assert(object->type == MSGPACK_OBJECT_NIL);
		break;
	case TL_WIRE_BOOL:
		assert(object->type == MSGPACK_OBJECT_BOOLEAN);
		assert(tl_read_bool(reader) == object->via.boolean);
		break;
	case TL_WIRE_INT:
		check_int(reader, object);
		break;
	case TL_WIRE_FLOAT:
		real = tl_read_float(reader);
		assert(object->type == MSGPACK_OBJECT_FLOAT32 ||
			object->type == MSGPACK_OBJECT_FLOAT64);
		assert(memcmp(&real, &object->via.f64, sizeof(real)) == 0);
		break;
	case TL_WIRE_STR:
		assert(object->type == MSGPACK_OBJECT_STR);
		assert(tl_slice_eq(tl_read_str(reader),
			tl_slice_of(object->via.str.ptr, object->via.str.size)));
		break;
	case TL_WIRE_BIN:
		assert(object->type == MSGPACK_OBJECT_BIN);
		assert(tl_slice_eq(tl_read_bin(reader),
			tl_slice_of(object->via.bin.ptr, object->via.bin.size)));
		break;
	case TL_WIRE_EXT:
		check_ext(reader, object);
		break;
	case TL_WIRE_ARRAY:
		assert(object->type == MSGPACK_OBJECT_ARRAY);
		assert(tl_read_array(reader) == object->via.array.size);
		for (uint32_t i = 0; i < object->via.array.size; i++)
			check_value(reader, &object->via.array.ptr[i]);
		break;
	case TL_WIRE_MAP:
		assert(object->type == MSGPACK_OBJECT_MAP);
		assert(tl_read_map(reader) == object->via.map.size);
		for (uint32_t i = 0; i < object->via.map.size; i++) {
			check_value(reader, &object->via.map.ptr[i].key);
			check_value(reader, &object->via.map.ptr[i].val);
		}
		break;
	}
	assert(!reader->err);
}

static bool
is_text(const msgpack_object *object, const char *text)
{
	return object->type == MSGPACK_OBJECT_STR &&
	       tl_slice_eq(
		       tl_slice_of(object->via.str.ptr, object->via.str.size), tl_slice_str(text));
}

static const msgpack_object *
map_find(const msgpack_object *map, const char *key)
{
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		if (is_text(&map->via.map.ptr[i].key, key) &&
			map->via.map.ptr[i].val.type != MSGPACK_OBJECT_NIL)
			return &map->via.map.ptr[i].val;
	}
	return NULL;
}

/* The value of a field in msgpack-c's tree, NULL when it is absent or nil. */
static const msgpack_object *
event_find(const msgpack_object *map, bool is_rows, uint32_t event_idx, const char *name)
{
	const msgpack_object *events = map_find(map, is_rows ? "rows" : "events");
	const msgpack_object *event = &events->via.array.ptr[event_idx];
	const msgpack_object *fields;

	if (!is_rows)
		return map_find(event, name);
	fields = map_find(map, "fields");
	for (uint32_t i = 0; i < fields->via.array.size; i++) {
		const msgpack_object *value = &event->via.array.ptr[i];

		if (is_text(&fields->via.array.ptr[i], name))
			return value->type == MSGPACK_OBJECT_NIL ? NULL : value;
	}
	return NULL;
}

static void
check_cell(const struct tl_batch *batch, uint32_t row, enum tl_event_field field,
	const msgpack_object *object)
{
	const struct tl_event_field_info *info = &tl_event_fields[field];
	int64_t cell = tl_batch_get(batch, (enum tl_column)info->column, row);
	bool is_sender = field == TL_FIELD_EMAIL || field == TL_FIELD_MEMBER ||
			 field == TL_FIELD_AGENT; /* one way of several stays */

	if (info->is_number && object == NULL)
		assert(cell == info->initial || field == TL_FIELD_FIX_MS);
	else if (info->is_number && cell != info->initial)
		assert(object->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
			object->via.u64 == (uint64_t)cell);
	else if (info->type == TL_FIELD_NAME && !is_sender) {
		struct tl_slice wanted =
			object != NULL ? tl_slice_of(object->via.str.ptr, object->via.str.size)
				       : tl_slice_of("", 0);
		struct tl_slice name = cell != 0 ? batch->symbols[cell].text : tl_slice_of("", 0);

		assert(object == NULL || object->type == MSGPACK_OBJECT_STR);
		assert(tl_slice_eq(name, wanted));
	}
}

static void
check_batch(struct tl_slice map, const msgpack_object *object)
{
	static struct tl_arena static_arena;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_accept accept = {NOW_MS, NOW_MS, TL_FUTURE_MS_MAX};
	struct tl_batch_head head;
	struct tl_batch batch;

	if (tl_batch_head_read(map, &head, NULL) != TL_OK ||
		tl_batch_init(&batch, arena, head.event_count) != TL_OK ||
		tl_batch_rows_read(&head, &accept, &batch, NULL) != TL_OK)
		return;
	for (uint32_t row = 0; row < batch.row_count; row++) {
		for (int i = 0; i < TL_FIELD_COUNT; i++) {
			enum tl_event_field field = (enum tl_event_field)i;

			if (tl_event_fields[field].column == TL_COL_COUNT)
				continue;
			check_cell(&batch, row, field,
				event_find(object, head.is_rows, batch.event_idx[row],
					tl_event_field_name(field)));
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice value = tl_slice_of(data, bytes);
	enum tl_err err = tl_reader_check(value, DEPTH_MAX, NULL);
	struct tl_reader reader = tl_reader_of(value);
	msgpack_unpacked theirs;
	size_t at = 0;
	bool is_whole;

	if (claims_too_much(value)) {
		assert(err != TL_OK);
		return 0;
	}
	if (err == TL_ETOO_DEEP)
		return 0;
	msgpack_unpacked_init(&theirs);
	is_whole = msgpack_unpack_next(&theirs, (const char *)data, bytes, &at) ==
			   MSGPACK_UNPACK_SUCCESS &&
		   at == bytes;
	assert(is_whole == (err == TL_OK));
	if (is_whole) {
		check_value(&reader, &theirs.data);
		assert(reader.next == reader.end);
		check_batch(value, &theirs.data);
	}
	msgpack_unpacked_destroy(&theirs);
	return 0;
}
