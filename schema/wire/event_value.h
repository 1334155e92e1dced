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
	uint64_t pending; /* names that have no symbol yet: text becomes one, under raw */
	uint64_t staged;  /* those whose text lies in the row */
	uint32_t dropped_tag_count;
	struct tl_event_fault fault;
	uint8_t id[16];
	int64_t value[TL_FIELD_COUNT]; /* numbers, and symbols of names that are not pending */
	struct tl_slice text[TL_FIELD_COUNT];
	struct tl_slice raw[TL_FIELD_COUNT];
	struct tl_token link_value; /* read when op is known */

	/* what text of this event was normalised to */
	char email[TL_EMAIL_BYTES_MAX + 1];
	char repo[TL_REPO_BYTES_MAX + 1];
	char commit[TL_COMMIT_BYTES_MAX + 1];
	char link_text[TL_REPO_BYTES_MAX + 16];
	uint8_t member[16];
	uint8_t tags[TL_TAGS_MAX * (TL_TAG_BYTES_MAX + 1)];
};

/* A name some row before had, as it came, and its symbol: most names repeat within a batch. */
#define TL_EVENT_RECENT_SLOTS 512u

struct tl_event_recent {
	const uint8_t *data;
	uint32_t bytes;
	uint32_t field;	 /* enum tl_event_field */
	uint32_t symbol; /* 0: a free slot */
};

struct tl_event_reading {
	struct tl_batch *batch;
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

/* Which slot a name as it came belongs to. Both ends of the text are enough to tell most apart. */
static inline uint32_t
tl_event_recent_slot(enum tl_event_field field, struct tl_slice raw)
{
	uint64_t head = 0;
	uint64_t tail = 0;

	if (raw.bytes >= sizeof(head)) {
		memcpy(&head, raw.data, sizeof(head));
		memcpy(&tail, raw.data + raw.bytes - sizeof(tail), sizeof(tail));
	} else {
		for (size_t i = 0; i < raw.bytes; i++)
			head = head << 8 | raw.data[i];
	}
	head ^= (tail << 23 | tail >> 41) ^ (raw.bytes << 6 | field);
	return (uint32_t)((head * 0x9e3779b97f4a7c15u) >> (64 - 9));
}

/* The symbol of a name that came before, 0 when it is not remembered. */
static inline uint32_t
tl_event_recent_find(
	const struct tl_event_reading *reading, enum tl_event_field field, struct tl_slice raw)
{
	const struct tl_event_recent *recent = &reading->recent[tl_event_recent_slot(field, raw)];

	if (recent->symbol == 0 || recent->field != field || recent->bytes != raw.bytes ||
		memcmp(recent->data, raw.data, raw.bytes) != 0)
		return 0;
	return recent->symbol;
}

void tl_event_recent_keep(struct tl_event_reading *reading, enum tl_event_field field,
	struct tl_slice raw, uint32_t symbol);

/* Keep the fault if it is graver than the one there is, and mark the field as wrong. */
void tl_event_fault(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, struct tl_slice got);

/* The same for a number that was read and kept. */
void tl_event_fault_number(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, int64_t got, const char *hint);

/* Every value that is not a number in range or a name seen before. raw is the whole value. */
void tl_event_value_read(struct tl_event_reading *reading, enum tl_event_field field,
	const struct tl_token *token, struct tl_slice raw);

/* The value of a link, once op and repo are known. */
void tl_event_link_value_read(struct tl_event_reading *reading, enum tl_link_op op);

/* One encoded value for a person: at most 64 bytes of UTF-8 without control characters. */
void tl_event_got(char got_out[72], struct tl_slice got);

/* What the fault shows of the value. */
void tl_event_fault_got(const struct tl_event_fault *fault, char got_out[72]);

/* The two cases nearly every value is, without a call. */
static inline void
tl_event_value(struct tl_event_reading *reading, enum tl_event_field field,
	const struct tl_token *token, struct tl_slice raw)
{
	const struct tl_event_field_info *info = &tl_event_fields[field];
	struct tl_event_row *row = &reading->row;

	if (info->is_number && token->type == TL_WIRE_INT &&
		(uint64_t)token->number <= (uint64_t)info->max) {
		row->value[field] = token->number;
		row->present |= TL_EVENT_BIT(field);
		return;
	}
	if (info->name_kind != 0 && token->type == TL_WIRE_STR) {
		uint32_t symbol = tl_event_recent_find(reading, field, token->bytes);

		if (symbol != 0) {
			row->value[field] = symbol;
			row->present |= TL_EVENT_BIT(field);
			return;
		}
	}
	tl_event_value_read(reading, field, token, raw);
}

#endif
