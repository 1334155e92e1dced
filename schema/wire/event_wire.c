/*
 * A batch is decoded in one pass over its bytes, event by event, into the cells behind the batch's
 * last row, which counts only when the whole event is right. Senders repeat themselves, and the
 * speed is there: a key is first compared with the one that followed the key before it last time, a
 * name is looked for among the names of earlier rows, and nothing is allocated for an event.
 */
#include "schema/wire/event_wire.h"

#include <assert.h>

#include "schema/wire/event_field.h"
#include "schema/wire/event_value.h"
#include "schema/wire/frame.h"
#include "schema/wire/reader.h"
#include "schema/wire/token.h"

struct decoder {
	bool is_rows;
	uint64_t fields; /* rows: what every event has, as a mask */
	const struct tl_event_lane *columns[TL_MAP_KEYS_MAX]; /* rows: by place */
	uint32_t column_count;
	uint8_t follows[TL_FIELD_COUNT + 1]; /* maps: the field after this one, last time */
	struct tl_event_reading reading;
};

static enum tl_err
no_memory(const struct tl_batch *batch, struct tl_why *why)
{
	return tl_fail(why, TL_ENOMEM, "no memory for a batch of %u events", batch->row_capacity);
}

/* Where no field is before: the start of follows. */
#define BEFORE_FIRST TL_FIELD_COUNT

/* The key at a place that is not the expected one. at moves behind it, to NULL if it cannot. */
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
	*at = tl_reader_pass(key_at, end, TL_EVENT_VALUE_DEPTH);
	if (*at != NULL && tl_token_read(key_at, end, &token) != NULL && token.type == TL_WIRE_STR)
		field = tl_event_field_find(token.bytes);
	if (*at != NULL && field == TL_FIELD_UNKNOWN)
		tl_event_fault(row, TL_RANK_UNKNOWN, TL_EFIELD_UNKNOWN, field, INT64_MIN,
			tl_slice_of(key_at, (size_t)(*at - key_at)));
	return field;
}

/* The pairs of one event as a map; the place behind the last, or NULL. */
static const uint8_t *
map_read(struct decoder *decoder, int64_t pair_count, const uint8_t *at, const uint8_t *end)
{
	struct tl_event_reading *reading = &decoder->reading;
	struct tl_event_row *row = &reading->row;
	uint8_t before = BEFORE_FIRST;

	for (int64_t i = 0; i < pair_count && at != NULL; i++) {
		enum tl_event_field field = decoder->follows[before];

		if ((size_t)(end - at) >= TL_EVENT_KEY_BYTES &&
			tl_event_key_is(&tl_event_keys[field], at)) {
			at += tl_event_keys[field].raw_bytes;
		} else {
			field = key_read(row, &at, end);
			if (at == NULL)
				break;
			if (field >= TL_FIELD_COUNT) {
				at = tl_reader_pass(at, end, TL_EVENT_VALUE_DEPTH);
				continue;
			}
			if (!tl_event_lane_begin(reading, field))
				break;
			decoder->follows[before] = (uint8_t)field;
		}
		before = (uint8_t)field;
		if ((row->seen & TL_EVENT_BIT(field)) != 0) {
			tl_event_fault(row, TL_RANK_DUPLICATE, TL_EFIELD_DUPLICATE, field,
				INT64_MIN, tl_slice_of(NULL, 0));
			at = tl_reader_pass(at, end, TL_EVENT_VALUE_DEPTH);
			continue;
		}
		row->seen |= TL_EVENT_BIT(field);
		at = tl_event_value(reading, &reading->lane[field], at, end);
	}
	return at;
}

/* The values of one event as a row of the dense form; the place behind the last, or NULL. */
static const uint8_t *
row_read(struct decoder *decoder, const uint8_t *at, const uint8_t *end)
{
	const struct tl_event_lane *const *lane = decoder->columns;
	const struct tl_event_lane *const *behind = lane + decoder->column_count;

	for (; lane < behind && at != NULL; lane++)
		at = tl_event_value(&decoder->reading, *lane, at, end);
	return at;
}

/* Fields of the row being read back to absent. */
static void
cells_clear(struct tl_event_reading *reading, uint64_t fields)
{
	for (uint64_t left = fields; left != 0; left &= left - 1) {
		unsigned int field = (unsigned int)__builtin_ctzll(left);

		if (reading->lane[field].cells != NULL)
			tl_event_cell_put(
				reading, (enum tl_event_field)field, reading->lane[field].initial);
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
	cells_clear(reading, row->seen);
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
	uint64_t present = tl_event_present(row);
	uint64_t unused = 0;

	if ((present & by_key) != 0)
		unused = by_email | by_member | agent;
	else if ((present & by_email) != 0)
		unused = by_member;
	else if ((present & by_member) == 0)
		unused = agent;
	unused &= present;
	if (unused == 0)
		return;
	row->absent |= unused;
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
		tl_event_recent_keep(reading->recent, (uint8_t)field, row->came[field], symbol);
	tl_event_cell_put(reading, field, symbol);
	return TL_OK;
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

/* An event that is no row of this batch, or no map that could be an event; the place behind. */
static const uint8_t *
shape_refuse(struct decoder *decoder, const struct tl_token *token, const uint8_t *at,
	const uint8_t *end)
{
	struct tl_event_row *row = &decoder->reading.row;
	const uint8_t *after = tl_reader_pass(at, end, TL_EVENT_VALUE_DEPTH + 1);
	struct tl_slice raw = tl_slice_of(at, after != NULL ? (size_t)(after - at) : 0);

	if (decoder->is_rows)
		tl_event_fault(row, TL_RANK_NOT_MAP, TL_EEVENT_NOT_MAP, TL_FIELD_UNKNOWN,
			decoder->column_count, raw);
	else if (token->type != TL_WIRE_MAP)
		tl_event_fault(
			row, TL_RANK_NOT_MAP, TL_EEVENT_NOT_MAP, TL_FIELD_UNKNOWN, INT64_MIN, raw);
	else
		tl_event_fault(row, TL_RANK_TOO_LARGE, TL_EEVENT_TOO_LARGE, TL_FIELD_UNKNOWN,
			TL_MAP_KEYS_MAX, raw);
	return after;
}

/* Reads one event into the row; the place behind it, or NULL when it leaves its bounds. */
static const uint8_t *
event_read(struct decoder *decoder, const uint8_t *at, const uint8_t *end)
{
	struct tl_event_row *row = &decoder->reading.row;
	const uint8_t *event_at = at;
	struct tl_token token;

	tl_event_row_reset(row, decoder->fields);
	at = tl_token_read(at, end, &token);
	if (at == NULL)
		return NULL;
	if (decoder->is_rows && token.type == TL_WIRE_ARRAY &&
		token.number == decoder->column_count)
		at = row_read(decoder, at, end);
	else if (!decoder->is_rows && token.type == TL_WIRE_MAP && token.number <= TL_MAP_KEYS_MAX)
		at = map_read(decoder, token.number, at, end);
	else
		return shape_refuse(decoder, &token, event_at, end);
	if (at == NULL || decoder->reading.err)
		return at;
	tl_event_check(&decoder->reading);
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
			if ((decoder->fields & TL_EVENT_BIT(field)) != 0)
				return tl_fail(why, TL_EFIELD_DUPLICATE, "fields lists %s twice",
					tl_event_field_name(field));
			decoder->fields |= TL_EVENT_BIT(field);
		}
		decoder->columns[i] = &decoder->reading.lane[field];
	}
	decoder->column_count = count;
	return TL_OK;
}

/* Every row has all the fields, so their cells need no default first. */
static enum tl_err
columns_begin(struct decoder *decoder, struct tl_why *why)
{
	struct tl_batch *batch = decoder->reading.batch;

	for (uint64_t left = decoder->fields; left != 0; left &= left - 1) {
		unsigned int field = (unsigned int)__builtin_ctzll(left);
		enum tl_column column = (enum tl_column)tl_event_fields[field].column;

		if (column == TL_COL_COUNT)
			continue;
		if (tl_batch_room(batch, column) != TL_OK)
			return no_memory(batch, why);
		decoder->reading.lane[field].cells = batch->column[column];
	}
	return TL_OK;
}

/* A column in which nobody says anything is no column. */
static void
columns_end(struct tl_batch *batch)
{
	for (enum tl_column column = 0; column < TL_COL_COUNT; column++)
		tl_batch_trim(batch, column);
}

static enum tl_event_way
way_of(const struct tl_event_field_info *info)
{
	if (info->is_number)
		return TL_EVENT_BY_COUNT;
	if (info->is_text)
		return TL_EVENT_BY_TEXT;
	return info->type == TL_FIELD_EVENT_ID ? TL_EVENT_BY_ID : TL_EVENT_BY_VALUE;
}

static void
reading_begin(
	struct tl_event_reading *reading, const struct tl_accept *accept, struct tl_batch *batch)
{
	reading->batch = batch;
	reading->row_idx = 0;
	reading->err = TL_OK;
	reading->first_ms = accept->now_ms - accept->past_ms_max;
	reading->last_ms = accept->now_ms + accept->future_ms_max;
	for (uint8_t field = 0; field < TL_FIELD_COUNT; field++) {
		const struct tl_event_field_info *info = &tl_event_fields[field];

		reading->lane[field] = (struct tl_event_lane){.min = info->min,
			.span = (uint64_t)info->max - info->min,
			.initial = info->initial,
			.field = field,
			.way = (uint8_t)way_of(info)};
	}
	reading->lane[TL_FIELD_IGNORED].way = TL_EVENT_BY_SKIP;
	memset(reading->recent, 0, sizeof(reading->recent));
}

static void
decoder_begin(struct decoder *decoder, const struct tl_batch_head *head,
	const struct tl_accept *accept, struct tl_batch *batch)
{
	tl_event_keys_init();
	decoder->is_rows = head->is_rows;
	decoder->fields = 0;
	decoder->column_count = 0;
	memset(decoder->follows, 0, sizeof(decoder->follows));
	reading_begin(&decoder->reading, accept, batch);
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

		at = event_read(decoder, at, end);
		if (reading->err)
			return reading->err;
		if (at == NULL)
			return TL_EFRAME_MALFORMED;
		if (reading->row.fault.rank != TL_RANK_NONE)
			row_reject(reading, i);
		else
			err = row_store(reading, i);
		if (err)
			return err;
	}
	return at == end ? TL_OK : TL_EFRAME_MALFORMED;
}

enum tl_err
tl_batch_rows_read(const struct tl_batch_head *head, const struct tl_accept *accept,
	struct tl_batch *batch, struct tl_why *why)
{
	struct decoder decoder;
	enum tl_err err;

	assert(batch->row_count == 0 && batch->reject_count == 0);
	assert(batch->row_capacity >= head->event_count);
	decoder_begin(&decoder, head, accept, batch);
	if (head->is_rows) {
		err = columns_read(head->fields, &decoder, why);
		if (!err)
			err = columns_begin(&decoder, why);
		if (err)
			return err;
	}
	err = events_read(&decoder, head);
	if (err == TL_EFRAME_MALFORMED)
		return tl_fail(why, err, "the events are not whole");
	if (err)
		return no_memory(batch, why);
	columns_end(batch);
	return TL_OK;
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
