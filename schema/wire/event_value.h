/*
 * Reading the values of one event into a row that is not yet part of the batch: types, ranges and
 * spelling. What is wrong is kept as the row's fault, the gravest one only; the caller decides at
 * the end of the event whether the row is stored.
 */
#ifndef TL_WIRE_EVENT_VALUE_H
#define TL_WIRE_EVENT_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/event.h"
#include "schema/model/limits.h"
#include "schema/model/ref.h"
#include "schema/wire/event_field.h"
#include "schema/wire/token.h"

/* The order of checks: of several faults in one event the first of these is told. */
enum tl_event_rank {
	TL_RANK_NOT_MAP,
	TL_RANK_TOO_LARGE,
	TL_RANK_DUPLICATE,
	TL_RANK_UNKNOWN,
	TL_RANK_ID,
	TL_RANK_TYPE,
	TL_RANK_MISSING,
	TL_RANK_RANGE,
	TL_RANK_TIME,
	TL_RANK_NONE,
};

struct tl_event_fault {
	enum tl_event_rank rank;
	enum tl_err err;
	const char *field;   /* static, or NULL */
	int64_t limit;	     /* INT64_MIN: none */
	struct tl_slice got; /* the encoded value; empty: got_number */
	int64_t got_number;  /* INT64_MIN: nothing to show */
	const char *hint;    /* static, shown after what was got; or NULL */
};

#define TL_EVENT_BIT(field) ((uint64_t)1 << (field))

struct tl_event_row {
	uint64_t seen;	  /* fields that came, nil ones included */
	uint64_t present; /* fields with a value, right or wrong */
	uint64_t wrong;	  /* fields whose value is wrong */
	uint64_t pending; /* text that is not in its cell yet: a new name */
	uint64_t staged;  /* those of them whose text lies here and has to move to the arena */
	uint32_t dropped_tag_count;
	struct tl_event_fault fault;
	uint8_t id[16];
	struct tl_slice text[TL_FIELD_COUNT]; /* of what is pending: the name */
	struct tl_slice came[TL_FIELD_COUNT]; /* and how it was written */
	struct tl_token link_value;	      /* read when op is known */

	/* what text of this event was normalised to */
	char email[TL_EMAIL_BYTES_MAX + 1];
	char repo[TL_REPO_BYTES_MAX + 1];
	char commit[TL_COMMIT_BYTES_MAX + 1];
	char link_text[TL_REPO_BYTES_MAX + 16];
	uint8_t member[16];
	uint8_t tags[TL_TAGS_MAX * (TL_TAG_BYTES_MAX + 1)];
};

/*
 * Text some row before had, as it came, and what its cell became: most texts repeat within a batch.
 * Both ends of the text are here, so that short ones are compared without another look at them.
 */
#define TL_EVENT_RECENT_BITS 9
#define TL_EVENT_RECENT_SLOTS (1u << TL_EVENT_RECENT_BITS)
#define TL_EVENT_RECENT_PROBES 4u

struct tl_event_recent {
	uint64_t head;
	uint64_t tail;
	const uint8_t *data;
	uint32_t value;
	uint16_t bytes; /* 0: a free slot */
	uint8_t field;	/* enum tl_event_field */
};

/* Where a text may be remembered, worked out once for looking and for keeping. */
struct tl_event_text {
	struct tl_slice raw;
	uint64_t head;
	uint64_t tail;
	uint32_t slot;
};

/*
 * The row being read goes straight into the cells behind the batch's last row. What a refused event
 * leaves there is taken back; nobody looks at them before the row counts.
 */
struct tl_event_reading {
	struct tl_batch *batch;
	uint32_t row_idx;
	enum tl_err err;		/* memory: the batch cannot be read */
	int64_t *cells[TL_FIELD_COUNT]; /* the batch's columns by field, NULL while absent */
	struct tl_event_row row;
	struct tl_event_recent recent[TL_EVENT_RECENT_SLOTS];
};

/* Forget the row before. */
static inline void
tl_event_row_reset(struct tl_event_row *row)
{
	row->seen = 0;
	row->present = 0;
	row->wrong = 0;
	row->pending = 0;
	row->staged = 0;
	row->dropped_tag_count = 0;
	row->fault.rank = TL_RANK_NONE;
	memset(row->id, 0, sizeof(row->id));
}

/* A value into a column that is absent so far. */
void tl_event_column_begin(
	struct tl_event_reading *reading, enum tl_event_field field, int64_t value);

static inline void
tl_event_cell_put(struct tl_event_reading *reading, enum tl_event_field field, int64_t value)
{
	int64_t *cells = reading->cells[field];

	if (cells != NULL)
		cells[reading->row_idx] = value;
	else if (value != tl_event_fields[field].initial)
		tl_event_column_begin(reading, field, value);
}

static inline int64_t
tl_event_cell(const struct tl_event_reading *reading, enum tl_event_field field)
{
	const int64_t *cells = reading->cells[field];

	return cells != NULL ? cells[reading->row_idx] : tl_event_fields[field].initial;
}

static inline struct tl_event_text
tl_event_text_of(enum tl_event_field field, struct tl_slice raw)
{
	struct tl_event_text text = {.raw = raw};
	uint64_t mixed;

	if (raw.bytes >= 8) {
		memcpy(&text.head, raw.data, 8);
		memcpy(&text.tail, raw.data + raw.bytes - 8, 8);
	} else if (raw.bytes >= 4) {
		memcpy(&text.head, raw.data, 4);
		memcpy(&text.tail, raw.data + raw.bytes - 4, 4);
	} else if (raw.bytes > 0) {
		text.head = raw.data[0];
		text.tail = (uint64_t)raw.data[raw.bytes / 2] << 8 | raw.data[raw.bytes - 1];
	}
	mixed = text.head ^ (text.tail << 23 | text.tail >> 41) ^ (raw.bytes << 6 | field);
	text.slot = (uint32_t)((mixed * 0x9e3779b97f4a7c15u) >> (64 - TL_EVENT_RECENT_BITS));
	return text;
}

/* The ends are equal already: compares what lies between them. */
static inline bool
tl_event_middle_is(const struct tl_event_recent *recent, struct tl_slice raw)
{
	for (size_t i = 8; i + 8 < raw.bytes; i += 8) {
		uint64_t a;
		uint64_t b;

		memcpy(&a, raw.data + i, sizeof(a));
		memcpy(&b, recent->data + i, sizeof(b));
		if (a != b)
			return false;
	}
	return true;
}

/* The remembered text, or NULL. */
static inline const struct tl_event_recent *
tl_event_recent_find(const struct tl_event_reading *reading, enum tl_event_field field,
	const struct tl_event_text *text)
{
	for (uint32_t i = 0; i < TL_EVENT_RECENT_PROBES; i++) {
		const struct tl_event_recent *recent =
			&reading->recent[(text->slot + i) % TL_EVENT_RECENT_SLOTS];

		if (recent->bytes == 0)
			return NULL;
		if (recent->head == text->head && recent->tail == text->tail &&
			recent->bytes == text->raw.bytes && recent->field == field &&
			tl_event_middle_is(recent, text->raw))
			return recent;
	}
	return NULL;
}

/* Empty text and text longer than an event may be is not kept. */
void tl_event_recent_keep(struct tl_event_reading *reading, enum tl_event_field field,
	struct tl_slice raw, uint32_t value);

/* Keep the fault if it is graver than the one there is, and mark the field as wrong. */
void tl_event_fault(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, struct tl_slice got);

/* The same for a number that was read and kept. */
void tl_event_fault_number(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, int64_t got, const char *hint);

/* Any value, right or wrong. Returns the place behind it. */
const uint8_t *tl_event_value_read(struct tl_event_reading *reading, enum tl_event_field field,
	const uint8_t *at, const uint8_t *end);

/* The value of a link, once op and repo are known. */
void tl_event_link_value_read(struct tl_event_reading *reading, enum tl_link_op op);

/* One encoded value for a person: at most 64 bytes of UTF-8 without control characters. */
void tl_event_got(char got_out[72], struct tl_slice got);

/* What the fault shows of the value. */
void tl_event_fault_got(const struct tl_event_fault *fault, char got_out[72]);

/* Text that a row before had is taken from there, anything else goes the long way. */
const uint8_t *tl_event_text_value(struct tl_event_reading *reading, enum tl_event_field field,
	const uint8_t *at, const uint8_t *end);

/* The id, which is nearly always 16 bytes of bin. */
const uint8_t *tl_event_id_value(
	struct tl_event_reading *reading, const uint8_t *at, const uint8_t *end);

/* The same as tl_event_value_read, with the quick ways for what nearly every value is. */
static inline __attribute__((always_inline)) const uint8_t *
tl_event_value(struct tl_event_reading *reading, enum tl_event_field field, const uint8_t *at,
	const uint8_t *end)
{
	const struct tl_event_field_info *info = &tl_event_fields[field];

	if (info->is_text)
		return tl_event_text_value(reading, field, at, end);
	if (info->is_number && end - at > 8) {
		const struct tl_token_head *head = &tl_token_heads[*at];
		uint64_t number = tl_token_counted(head, at);
		uint64_t span = (uint64_t)info->max - info->min;

		if (head->is_count && (number - info->min <= span || head->is_nil)) {
			reading->row.present |= (uint64_t)(head->is_nil ^ 1) << field;
			tl_event_cell_put(
				reading, field, head->is_nil ? info->initial : (int64_t)number);
			return at + head->bytes;
		}
	}
	if (field == TL_FIELD_ID)
		return tl_event_id_value(reading, at, end);
	return tl_event_value_read(reading, field, at, end);
}

#endif
