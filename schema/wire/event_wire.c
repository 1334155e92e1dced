/*
 * A batch is decoded in one pass over its bytes, event by event, into the cells behind the batch's
 * last row, which counts only when the whole event is right. Senders repeat themselves, and the
 * speed is there: a key is first compared with the one that followed the key before it last time, a
 * name is looked for among the names of earlier rows, and nothing is allocated for an event.
 */
#include "schema/wire/event_wire.h"

#include <assert.h>
#include <inttypes.h>

#include "schema/wire/event_field.h"
#include "schema/wire/event_value.h"
#include "schema/wire/frame.h"
#include "schema/wire/reader.h"
#include "schema/wire/token.h"

#define SECONDS_HINT " (seconds? send milliseconds)"

/* Fix times of a violation that states none. */
static const int64_t fix_ms_default[] = {[TL_SEVERITY_ERROR] = 9 * 60000,
	[TL_SEVERITY_WARNING] = 5 * 60000,
	[TL_SEVERITY_INFO] = 2 * 60000};

struct decoder {
	const struct tl_accept *accept;
	uint8_t columns[TL_MAP_KEYS_MAX]; /* rows: enum tl_event_field by place */
	uint32_t column_count;
	uint8_t follows[TL_FIELD_COUNT + 1]; /* maps: the field after this one, last time */
	struct tl_event_reading reading;
};

/* Where no field is before: the start of follows. */
#define BEFORE_FIRST TL_FIELD_COUNT

/* The key at a place that is not the expected one. at moves behind it. */
static enum tl_event_field
key_read(struct tl_event_row *row, const uint8_t **at, const uint8_t *end)
{
	const uint8_t *key_at = *at;
	enum tl_event_field field = TL_FIELD_UNKNOWN;
	struct tl_token token;

	if ((size_t)(end - key_at) >= TL_EVENT_KEY_BYTES)
		field = tl_event_key_find(key_at);
	if (field < TL_FIELD_COUNT) {
		*at = key_at + tl_event_keys[field].raw_bytes;
		return field;
	}
	*at = tl_token_read(key_at, end, &token);
	assert(*at != NULL); /* the bounds pass was here */
	if (token.type == TL_WIRE_STR)
		field = tl_event_field_find(token.bytes);
	else
		*at = tl_token_skip(key_at, end);
	if (field == TL_FIELD_UNKNOWN)
		tl_event_fault(row, TL_RANK_UNKNOWN, TL_EFIELD_UNKNOWN, field, INT64_MIN,
			tl_slice_of(key_at, (size_t)(*at - key_at)));
	return field;
}

/* The pairs of one event as a map; the place behind the last. */
static const uint8_t *
map_read(struct decoder *decoder, int64_t pair_count, const uint8_t *at, const uint8_t *end)
{
	struct tl_event_reading *reading = &decoder->reading;
	struct tl_event_row *row = &reading->row;
	uint8_t before = BEFORE_FIRST;

	for (int64_t i = 0; i < pair_count; i++) {
		enum tl_event_field field = decoder->follows[before];

		if ((size_t)(end - at) >= TL_EVENT_KEY_BYTES &&
			tl_event_key_is(&tl_event_keys[field], at)) {
			at += tl_event_keys[field].raw_bytes;
		} else {
			field = key_read(row, &at, end);
			if (field >= TL_FIELD_COUNT) {
				at = tl_token_skip(at, end);
				continue;
			}
			decoder->follows[before] = (uint8_t)field;
		}
		before = (uint8_t)field;
		if ((row->seen & TL_EVENT_BIT(field)) != 0) {
			tl_event_fault(row, TL_RANK_DUPLICATE, TL_EFIELD_DUPLICATE, field,
				INT64_MIN, tl_slice_of(NULL, 0));
			at = tl_token_skip(at, end);
			continue;
		}
		row->seen |= TL_EVENT_BIT(field);
		at = tl_event_value(reading, field, at, end);
	}
	return at;
}

/* The values of one event as a row of the dense form. */
static const uint8_t *
row_read(struct decoder *decoder, const uint8_t *at, const uint8_t *end)
{
	for (uint32_t i = 0; i < decoder->column_count; i++) {
		enum tl_event_field field = decoder->columns[i];

		if (field == TL_FIELD_IGNORED)
			at = tl_token_skip(at, end);
		else
			at = tl_event_value(&decoder->reading, field, at, end);
	}
	return at;
}

#define BITS_ALWAYS (TL_EVENT_BIT(TL_FIELD_ID) | TL_EVENT_BIT(TL_FIELD_TS))

static void
missing_check(struct tl_event_row *row, enum tl_kind kind)
{
	static const uint64_t required[] = {
		[TL_KIND_REQUEST] = BITS_ALWAYS | TL_EVENT_BIT(TL_FIELD_MODEL) |
				    TL_EVENT_BIT(TL_FIELD_INPUT) | TL_EVENT_BIT(TL_FIELD_OUTPUT),
		[TL_KIND_LINK] = BITS_ALWAYS | TL_EVENT_BIT(TL_FIELD_SESSION) |
				 TL_EVENT_BIT(TL_FIELD_OP) | TL_EVENT_BIT(TL_FIELD_VALUE),
		[TL_KIND_ACTIVITY] = BITS_ALWAYS,
		[TL_KIND_VIOLATION] =
			BITS_ALWAYS | TL_EVENT_BIT(TL_FIELD_RULE) | TL_EVENT_BIT(TL_FIELD_SEVERITY),
	};
	uint64_t missing = required[kind] & ~row->present;

	if (missing != 0) {
		enum tl_event_field field = (enum tl_event_field)__builtin_ctzll(missing);

		tl_event_fault(row, field == TL_FIELD_ID ? TL_RANK_ID : TL_RANK_MISSING,
			TL_EFIELD_MISSING, field, INT64_MIN, tl_slice_of(NULL, 0));
	}
}

/* True when the field is there and right. */
static inline bool
has(const struct tl_event_row *row, enum tl_event_field field)
{
	return (row->present & ~row->wrong & TL_EVENT_BIT(field)) != 0;
}

static void
parts_check(struct tl_event_reading *reading, enum tl_event_field part, enum tl_event_field whole)
{
	struct tl_event_row *row = &reading->row;
	int64_t part_tokens = tl_event_cell(reading, part);
	int64_t whole_tokens = has(row, whole) ? tl_event_cell(reading, whole) : 0;

	if (!has(row, part) || part_tokens <= whole_tokens ||
		(row->wrong & TL_EVENT_BIT(whole)) != 0)
		return;
	tl_event_fault_number(
		row, TL_RANK_RANGE, TL_ETOKENS_INCONSISTENT, part, whole_tokens, part_tokens, NULL);
}

static void
time_check(struct tl_event_reading *reading, const struct tl_accept *accept)
{
	struct tl_event_row *row = &reading->row;
	int64_t ts_ms = tl_event_cell(reading, TL_FIELD_TS);
	int64_t first_ms = accept->now_ms - accept->past_ms_max;
	int64_t last_ms = accept->now_ms + accept->future_ms_max;

	if (!has(row, TL_FIELD_TS))
		return;
	if (ts_ms < TL_TIME_SECONDS_HINT)
		tl_event_fault_number(row, TL_RANK_RANGE, TL_ETIME_INVALID, TL_FIELD_TS,
			TL_TIME_SECONDS_HINT, ts_ms, SECONDS_HINT);
	else if (ts_ms < first_ms)
		tl_event_fault_number(
			row, TL_RANK_TIME, TL_ETIME_TOO_OLD, TL_FIELD_TS, first_ms, ts_ms, NULL);
	else if (ts_ms > last_ms)
		tl_event_fault_number(
			row, TL_RANK_TIME, TL_ETIME_IN_FUTURE, TL_FIELD_TS, last_ms, ts_ms, NULL);
}

/* What can be said of an event only when all of it was read. */
static void
row_check(struct decoder *decoder)
{
	struct tl_event_reading *reading = &decoder->reading;
	struct tl_event_row *row = &reading->row;
	enum tl_kind kind = TL_KIND_REQUEST;

	if (has(row, TL_FIELD_KIND))
		kind = (enum tl_kind)tl_event_cell(reading, TL_FIELD_KIND);
	missing_check(row, kind);
	if ((row->present & TL_EVENT_BIT(TL_FIELD_VALUE)) != 0) {
		bool is_link = kind == TL_KIND_LINK && has(row, TL_FIELD_OP);

		tl_event_link_value_read(
			reading, is_link ? (enum tl_link_op)tl_event_cell(reading, TL_FIELD_OP)
					 : TL_LINK_NONE);
	}
	parts_check(reading, TL_FIELD_REASONING, TL_FIELD_OUTPUT);
	parts_check(reading, TL_FIELD_CACHE_WRITE_1H, TL_FIELD_CACHE_WRITE);
	time_check(reading, decoder->accept);
	if (kind == TL_KIND_VIOLATION && has(row, TL_FIELD_SEVERITY) &&
		(row->present & TL_EVENT_BIT(TL_FIELD_FIX_MS)) == 0) {
		tl_event_cell_put(reading, TL_FIELD_FIX_MS,
			fix_ms_default[tl_event_cell(reading, TL_FIELD_SEVERITY)]);
		row->present |= TL_EVENT_BIT(TL_FIELD_FIX_MS);
	}
}

/* Fields of the row being read back to absent. */
static void
cells_clear(struct tl_event_reading *reading, uint64_t fields)
{
	for (uint64_t left = fields; left != 0; left &= left - 1) {
		unsigned int field = (unsigned int)__builtin_ctzll(left);

		if (reading->cells[field] != NULL)
			reading->cells[field][reading->row_idx] = tl_event_fields[field].initial;
	}
}

static void
row_reject(struct tl_event_reading *reading, uint32_t event_idx)
{
	const struct tl_event_row *row = &reading->row;
	const struct tl_event_fault *fault = &row->fault;
	struct tl_reject *reject = &reading->batch->rejects[reading->batch->reject_count++];

	*reject = (struct tl_reject){.event_idx = event_idx,
		.err = fault->err,
		.field = fault->field,
		.limit = fault->limit};
	tl_event_fault_got(fault, reject->got);
	memcpy(reject->id, row->id, sizeof(row->id));
	cells_clear(reading, row->present);
}

/* One way of saying whose event it is stays, the surest. */
static void
sender_choose(struct tl_event_reading *reading)
{
	const uint64_t by_key = TL_EVENT_BIT(TL_FIELD_KEY);
	const uint64_t by_email = TL_EVENT_BIT(TL_FIELD_EMAIL);
	const uint64_t by_member = TL_EVENT_BIT(TL_FIELD_MEMBER);
	const uint64_t agent = TL_EVENT_BIT(TL_FIELD_AGENT);
	struct tl_event_row *row = &reading->row;
	uint64_t unused = 0;

	if ((row->present & by_key) != 0)
		unused = by_email | by_member | agent;
	else if ((row->present & by_email) != 0)
		unused = by_member;
	else if ((row->present & by_member) == 0)
		unused = agent;
	unused &= row->present;
	if (unused == 0)
		return;
	row->present &= ~unused;
	row->pending &= ~unused;
	cells_clear(reading, unused);
}

/* A new name of the batch. What was normalised lies in the row and has to move to the arena. */
static enum tl_err
name_store(struct tl_event_reading *reading, enum tl_event_field field)
{
	struct tl_event_row *row = &reading->row;
	struct tl_slice text = row->text[field];
	uint32_t symbol;
	enum tl_err err;

	if ((row->staged & TL_EVENT_BIT(field)) != 0) {
		text = tl_arena_copy(reading->batch->arena, text);
		if (text.data == NULL)
			return TL_ENOMEM;
	}
	err = tl_batch_symbol(
		reading->batch, (enum tl_name_kind)tl_event_fields[field].name_kind, text, &symbol);
	if (err)
		return err;
	/* What a link's value means depends on its op, so the same bytes may be another name. */
	if (field != TL_FIELD_VALUE)
		tl_event_recent_keep(reading, field, row->came[field], symbol);
	tl_event_cell_put(reading, field, symbol);
	return reading->err;
}

static enum tl_err
row_store(struct tl_event_reading *reading, uint32_t event_idx)
{
	struct tl_batch *batch = reading->batch;
	const struct tl_event_row *row = &reading->row;
	enum tl_err err;

	sender_choose(reading);
	for (uint64_t left = row->pending; left != 0; left &= left - 1) {
		err = name_store(reading, (enum tl_event_field)__builtin_ctzll(left));
		if (err)
			return err;
	}
	memcpy(batch->id[reading->row_idx], row->id, sizeof(row->id));
	batch->event_idx[reading->row_idx] = event_idx;
	batch->dropped_tag_count += row->dropped_tag_count;
	batch->row_count = ++reading->row_idx;
	return TL_OK;
}

/* Reads one event into the row; the place behind it. */
static const uint8_t *
event_read(struct decoder *decoder, bool is_rows, const uint8_t *at, const uint8_t *end)
{
	struct tl_event_row *row = &decoder->reading.row;
	enum tl_wire_type wanted = is_rows ? TL_WIRE_ARRAY : TL_WIRE_MAP;
	const uint8_t *event_at = at;
	struct tl_token token;

	tl_event_row_reset(row);
	at = tl_token_read(at, end, &token);
	assert(at != NULL); /* the bounds pass was here */
	if (token.type != wanted || (is_rows && (uint64_t)token.number != decoder->column_count)) {
		at = tl_token_skip(event_at, end);
		tl_event_fault(row, TL_RANK_NOT_MAP, TL_EEVENT_NOT_MAP, TL_FIELD_UNKNOWN,
			is_rows ? (int64_t)decoder->column_count : INT64_MIN,
			tl_slice_of(event_at, (size_t)(at - event_at)));
		return at;
	}
	if (!is_rows && token.number > TL_MAP_KEYS_MAX) {
		at = tl_token_skip(event_at, end);
		tl_event_fault(row, TL_RANK_TOO_LARGE, TL_EEVENT_TOO_LARGE, TL_FIELD_UNKNOWN,
			TL_MAP_KEYS_MAX, tl_slice_of(event_at, (size_t)(at - event_at)));
		return at;
	}
	at = is_rows ? row_read(decoder, at, end) : map_read(decoder, token.number, at, end);
	row_check(decoder);
	if ((size_t)(at - event_at) > TL_EVENT_BYTES_MAX)
		tl_event_fault(row, TL_RANK_TOO_LARGE, TL_EEVENT_TOO_LARGE, TL_FIELD_UNKNOWN,
			TL_EVENT_BYTES_MAX, tl_slice_of(NULL, 0));
	return at;
}

/* The list of fields -> a field for each place of a row. */
static enum tl_err
columns_read(struct tl_slice fields, struct decoder *decoder, struct tl_why *why)
{
	struct tl_reader reader = tl_reader_of(fields);
	uint32_t count = tl_read_array(&reader);
	uint64_t seen = 0;

	if (count > TL_MAP_KEYS_MAX)
		return tl_fail(why, TL_EFIELD_UNKNOWN, "%u fields, the limit is %u", count,
			TL_MAP_KEYS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		struct tl_reader ahead = reader;
		bool is_text = tl_reader_peek(&reader) == TL_WIRE_STR;
		enum tl_event_field field = TL_FIELD_UNKNOWN;
		struct tl_slice encoded = tl_read_any(&reader);

		if (is_text)
			field = tl_event_field_find(tl_read_str(&ahead));
		if (field == TL_FIELD_UNKNOWN) {
			char got[72];

			tl_event_got(got, encoded);
			return tl_fail(why, TL_EFIELD_UNKNOWN, "an event has no field '%s'", got);
		}
		if (field < TL_FIELD_COUNT) {
			if ((seen & TL_EVENT_BIT(field)) != 0)
				return tl_fail(why, TL_EFIELD_DUPLICATE, "fields lists %s twice",
					tl_event_field_name(field));
			seen |= TL_EVENT_BIT(field);
		}
		decoder->columns[i] = (uint8_t)field;
	}
	decoder->column_count = count;
	return TL_OK;
}

static void
reading_begin(struct tl_event_reading *reading, struct tl_batch *batch)
{
	reading->batch = batch;
	reading->row_idx = batch->row_count;
	reading->err = TL_OK;
	for (unsigned int field = 0; field < TL_FIELD_COUNT; field++) {
		uint8_t column = tl_event_fields[field].column;

		reading->cells[field] = column < TL_COL_COUNT ? batch->column[column] : NULL;
	}
	memset(reading->recent, 0, sizeof(reading->recent));
}

static enum tl_err
events_read(struct decoder *decoder, const struct tl_batch_head *head)
{
	struct tl_event_reading *reading = &decoder->reading;
	const uint8_t *end = head->events.data + head->events.bytes;
	struct tl_token list;
	const uint8_t *at = tl_token_read(head->events.data, end, &list);

	for (uint32_t i = 0; i < head->event_count; i++) {
		enum tl_err err = TL_OK;

		at = event_read(decoder, head->is_rows, at, end);
		if (reading->err)
			return reading->err;
		if (reading->row.fault.rank != TL_RANK_NONE)
			row_reject(reading, i);
		else
			err = row_store(reading, i);
		if (err)
			return err;
	}
	return TL_OK;
}

enum tl_err
tl_batch_rows_read(const struct tl_batch_head *head, const struct tl_accept *accept,
	struct tl_batch *batch, struct tl_why *why)
{
	struct decoder decoder;
	enum tl_err err;

	assert(batch->row_capacity - batch->row_count >= head->event_count);
	assert(batch->row_capacity - batch->reject_count >= head->event_count);
	tl_event_keys_init();
	decoder.accept = accept;
	decoder.column_count = 0;
	memset(decoder.follows, 0, sizeof(decoder.follows));
	reading_begin(&decoder.reading, batch);
	if (head->is_rows) {
		err = columns_read(head->fields, &decoder, why);
		if (err)
			return err;
	}
	err = events_read(&decoder, head);
	if (err)
		tl_fail(why, err, "no memory for a batch of %u events", head->event_count);
	return err;
}

enum tl_err
tl_batch_answer_read(
	struct tl_slice reply_map, struct tl_batch_result *result_out, struct tl_why *why)
{
	struct tl_batch_result result = {0};
	struct tl_reader reader;
	enum tl_err err = tl_frame_reply_status(reply_map, why);

	if (err)
		return err;
	result.epoch = (uint64_t)tl_reader_find_int(reply_map, "epoch", 0);
	result.seq = (uint64_t)tl_reader_find_int(reply_map, "seq", 0);
	result.accepted = tl_reader_find_int(reply_map, "accepted", 0);
	result.duplicate = tl_reader_find_int(reply_map, "duplicate", 0);
	result.replaced = tl_reader_find_int(reply_map, "replaced", 0);
	result.rejected = tl_reader_find_int(reply_map, "rejected", 0);
	result.retry_after_ms = tl_reader_find_int(reply_map, "retry_after_ms", 0);
	if (tl_reader_find(reply_map, "errors", &reader))
		result.errors = tl_read_any(&reader);
	*result_out = result;
	return TL_OK;
}
