/* What stands around the events of a batch, read before anything is known about its sender. */
#include "schema/wire/event_wire.h"

#include <inttypes.h>

#include "schema/model/limits.h"
#include "schema/wire/event_value.h"
#include "schema/wire/reader.h"
#include "schema/wire/token.h"

#define BATCH_NAME_BYTES_MAX 64u
#define HEAD_DEPTH_MAX (TL_WIRE_DEPTH_MAX - 1) /* the frame's map is around it */

enum head_key {
	HEAD_V,
	HEAD_TOKEN,
	HEAD_BATCH,
	HEAD_IMPORT,
	HEAD_FIELDS,
	HEAD_EVENTS,
	HEAD_ROWS,
	HEAD_KEY_COUNT, /* no key of ours */
	HEAD_IGNORED,	/* x_... */
};

static const char *const head_names[HEAD_KEY_COUNT] = {
	"v", "token", "batch", "import", "fields", "events", "rows"};

/* What the keys of the top map had; one that is absent or nil has no bytes. */
struct head_values {
	struct tl_slice value[HEAD_KEY_COUNT];
	struct tl_slice unknown; /* the first key that is none of these and not x_ */
	enum head_key duplicate; /* HEAD_KEY_COUNT: none */
};

static enum head_key
head_key_find(struct tl_slice encoded_name)
{
	struct tl_reader reader = tl_reader_of(encoded_name);
	struct tl_slice name = tl_read_str(&reader); /* empty when it is no text */
	enum head_key key = 0;

	if (name.bytes >= 2 && memcmp(name.data, "x_", 2) == 0)
		return HEAD_IGNORED;
	while (key < HEAD_KEY_COUNT && !tl_slice_eq(name, tl_slice_str(head_names[key])))
		key++;
	return key;
}

static bool
is_list(const uint8_t *at)
{
	return (*at & 0xf0) == TL_TOKEN_ARRAY || *at == TL_TOKEN_ARRAY_16 ||
	       *at == TL_TOKEN_ARRAY_32;
}

/* What one pair of the top map says. */
static void
head_value_take(struct head_values *values, struct tl_slice encoded_name, enum head_key key,
	struct tl_slice value)
{
	if (key < HEAD_KEY_COUNT) {
		if (values->value[key].bytes > 0)
			values->duplicate = key;
		else if (value.data[0] != TL_TOKEN_NIL)
			values->value[key] = value;
	} else if (key != HEAD_IGNORED && values->unknown.bytes == 0) {
		values->unknown = encoded_name;
	}
}

/*
 * The pairs of the top map, all of their bounds checked but those of the events, when these come
 * last: they are a thousand times the rest and checked where they are read. False when some pair
 * leaves the bytes or nests too deep, or when bytes are left.
 */
static bool
head_values_read(struct tl_slice map, struct head_values *values)
{
	struct tl_reader reader = tl_reader_of(map);
	uint32_t pair_count = tl_read_map(&reader);
	const uint8_t *end = reader.end;
	const uint8_t *at = reader.next;

	*values = (struct head_values){.duplicate = HEAD_KEY_COUNT};
	for (uint32_t i = 0; i < pair_count; i++) {
		const uint8_t *name_at = at;
		const uint8_t *value_at = tl_reader_pass(name_at, end, HEAD_DEPTH_MAX);
		enum head_key key;
		bool is_last;

		if (value_at == NULL || value_at == end)
			return false;
		key = head_key_find(tl_slice_of(name_at, (size_t)(value_at - name_at)));
		is_last = i + 1 == pair_count && is_list(value_at) &&
			  (key == HEAD_EVENTS || key == HEAD_ROWS);
		at = is_last ? end : tl_reader_pass(value_at, end, HEAD_DEPTH_MAX);
		if (at == NULL)
			return false;
		head_value_take(values, tl_slice_of(name_at, (size_t)(value_at - name_at)), key,
			tl_slice_of(value_at, (size_t)(at - value_at)));
	}
	return at == end;
}

static enum tl_err
version_check(struct tl_slice value, struct tl_why *why)
{
	struct tl_reader reader = tl_reader_of(value);
	int64_t version = tl_read_int(&reader);

	if (!reader.err && version == TL_PROTOCOL_VERSION)
		return TL_OK;
	if (reader.err)
		return tl_fail(why, TL_EVERSION_UNSUPPORTED,
			"v is missing or no number: versions %d to %d are spoken here",
			TL_PROTOCOL_VERSION, TL_PROTOCOL_VERSION);
	return tl_fail(why, TL_EVERSION_UNSUPPORTED,
		"version %" PRId64 ": versions %d to %d are spoken here", version,
		TL_PROTOCOL_VERSION, TL_PROTOCOL_VERSION);
}

static enum tl_err
keys_check(const struct head_values *values, struct tl_why *why)
{
	char got[72];

	if (values->value[HEAD_TOKEN].bytes == 0)
		return tl_fail(why, TL_EFIELD_MISSING, "token is missing");
	if (values->unknown.bytes > 0) {
		tl_event_got(got, values->unknown);
		return tl_fail(why, TL_EFIELD_UNKNOWN, "a batch has no field '%s'", got);
	}
	if (values->duplicate != HEAD_KEY_COUNT)
		return tl_fail(why, TL_EFIELD_DUPLICATE, "%s appears twice",
			head_names[values->duplicate]);
	if (values->value[HEAD_EVENTS].bytes > 0 && values->value[HEAD_ROWS].bytes > 0)
		return tl_fail(why, TL_EFIELD_DUPLICATE, "a batch has events or rows, not both");
	if (values->value[HEAD_EVENTS].bytes == 0 && values->value[HEAD_ROWS].bytes == 0)
		return tl_fail(why, TL_EFIELD_MISSING, "events (or fields and rows) is missing");
	if (values->value[HEAD_ROWS].bytes > 0 && values->value[HEAD_FIELDS].bytes == 0)
		return tl_fail(why, TL_EFIELD_MISSING, "rows come without fields");
	return TL_OK;
}

/* The name is echoed in the answer, so it has to be text. */
static enum tl_err
batch_name_check(struct tl_slice name, struct tl_why *why)
{
	if (name.bytes > BATCH_NAME_BYTES_MAX)
		return tl_fail(why, TL_ESTRING_TOO_LONG, "batch has %zu bytes, the limit is %u",
			name.bytes, BATCH_NAME_BYTES_MAX);
	if (!tl_utf8_valid(name))
		return tl_fail(why, TL_ESTRING_NOT_UTF8, "batch is not UTF-8");
	for (size_t i = 0; i < name.bytes; i++) {
		if (name.data[i] < 0x20 || name.data[i] == 0x7f)
			return tl_fail(why, TL_ESTRING_CONTROL, "batch holds a control character");
	}
	return TL_OK;
}

static enum tl_err
values_take(const struct head_values *values, struct tl_batch_head *head, struct tl_why *why)
{
	struct tl_reader reader = tl_reader_of(values->value[HEAD_TOKEN]);

	head->token = tl_read_str(&reader);
	if (reader.err)
		return tl_fail(why, TL_EFIELD_TYPE, "token is not text");
	if (values->value[HEAD_BATCH].bytes > 0) {
		reader = tl_reader_of(values->value[HEAD_BATCH]);
		head->batch = tl_read_str(&reader);
		if (reader.err)
			return tl_fail(why, TL_EFIELD_TYPE, "batch is not text");
	}
	if (values->value[HEAD_IMPORT].bytes > 0) {
		reader = tl_reader_of(values->value[HEAD_IMPORT]);
		head->import = tl_read_bool(&reader);
		if (reader.err)
			return tl_fail(why, TL_EFIELD_TYPE, "import is not true or false");
	}
	head->is_rows = values->value[HEAD_ROWS].bytes > 0;
	head->events = values->value[head->is_rows ? HEAD_ROWS : HEAD_EVENTS];
	reader = tl_reader_of(head->events);
	head->event_count = tl_read_array(&reader);
	if (reader.err)
		return tl_fail(
			why, TL_EFIELD_TYPE, "%s is not a list", head->is_rows ? "rows" : "events");
	if (head->event_count > (size_t)(reader.end - reader.next))
		return tl_fail(why, TL_EFRAME_MALFORMED, "%u events do not fit %zu bytes",
			head->event_count, head->events.bytes);
	if (head->is_rows) {
		head->fields = values->value[HEAD_FIELDS];
		reader = tl_reader_of(head->fields);
		tl_read_array(&reader);
		if (reader.err)
			return tl_fail(why, TL_EFIELD_TYPE, "fields is not a list");
	}
	return batch_name_check(head->batch, why);
}

enum tl_err
tl_batch_head_read(struct tl_slice map, struct tl_batch_head *head_out, struct tl_why *why)
{
	struct tl_batch_head head = {0};
	struct head_values values;
	struct tl_reader reader = tl_reader_of(map);
	enum tl_err err;

	if (tl_reader_peek(&reader) != TL_WIRE_MAP)
		return tl_fail(why, TL_EFRAME_MALFORMED, "the frame is not a map");
	if (!head_values_read(map, &values))
		return tl_fail(why, TL_EFRAME_MALFORMED, "the frame is not whole");
	err = version_check(values.value[HEAD_V], why);
	if (!err)
		err = keys_check(&values, why);
	if (!err)
		err = values_take(&values, &head, why);
	if (err)
		return err;
	if (head.event_count > TL_BATCH_EVENTS_MAX)
		return tl_fail(why, TL_ETOO_MANY_EVENTS,
			"%u events, the limit is %u; split the batch", head.event_count,
			TL_BATCH_EVENTS_MAX);
	*head_out = head;
	return TL_OK;
}

enum tl_err
tl_batch_refuse(struct tl_slice map, enum tl_err err, struct tl_why *why)
{
	enum tl_err broken = tl_reader_check(map, TL_WIRE_DEPTH_MAX, why);

	return broken ? broken : err;
}
