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
#include "schema/wire/event_recent.h"
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

/* Containers of a value, which has the frame, the list of events and the event around it. */
#define TL_EVENT_VALUE_DEPTH (TL_WIRE_DEPTH_MAX - 3)

#define TL_EVENT_BIT(field) ((uint64_t)1 << (field))

struct tl_event_row {
	uint64_t seen;	  /* fields that came, nil ones included */
	uint64_t absent;  /* those of them that say nothing: nil, empty, dropped */
	uint64_t wrong;	  /* fields whose value is wrong */
	uint64_t pending; /* text that is not in its cell yet: a new name */
	uint64_t staged;  /* those of them whose text lies here and has to move to the arena */
	uint32_t dropped_tag_count;
	struct tl_event_fault fault;
	uint8_t id[16];
	struct tl_slice text[TL_FIELD_COUNT]; /* of what is pending: the name */
	struct tl_slice came[TL_FIELD_COUNT]; /* and the value as it came */
	struct tl_token link_value;	      /* read when op is known */

	/* what text of this event was normalised to */
	char email[TL_EMAIL_BYTES_MAX + 1];
	char repo[TL_REPO_BYTES_MAX + 1];
	char commit[TL_COMMIT_BYTES_MAX + 1];
	char link_text[TL_REPO_BYTES_MAX + 16];
	uint8_t member[16];
	uint8_t tags[TL_TAGS_MAX * (TL_TAG_BYTES_MAX + 1)];
};

/* How a value is read when it is what it nearly always is. */
enum tl_event_way {
	TL_EVENT_BY_COUNT, /* an unsigned integer */
	TL_EVENT_BY_TEXT,  /* text that means the same wherever it comes again */
	TL_EVENT_BY_ID,
	TL_EVENT_BY_VALUE, /* there is no quick way */
	TL_EVENT_BY_SKIP,  /* a field that is ignored */
};

/* A field while a batch is read. */
struct tl_event_lane {
	int64_t *cells; /* the batch's column; NULL before the field comes, and for the id */
	uint64_t min;	/* of a number */
	uint64_t span;	/* max - min */
	int64_t initial;
	uint8_t field; /* enum tl_event_field */
	uint8_t way;   /* enum tl_event_way */
};

/*
 * The row being read goes straight into the cells behind the batch's last row. What a refused event
 * leaves there is taken back; nobody looks at them before the row counts. A column is there before
 * the first value of its field.
 */
struct tl_event_reading {
	struct tl_batch *batch;
	uint32_t row_idx;
	enum tl_err err;  /* memory: the batch cannot be read */
	int64_t first_ms; /* of the times that are right */
	int64_t last_ms;
	struct tl_event_lane lane[TL_FIELD_IGNORED + 1]; /* by field */
	struct tl_event_row row;
	struct tl_event_recent recent[TL_EVENT_RECENT_SLOTS];
};

/* Forget the row before; seen are the fields that this one will have. */
static inline void
tl_event_row_reset(struct tl_event_row *row, uint64_t seen)
{
	row->seen = seen;
	row->absent = 0;
	row->wrong = 0;
	row->pending = 0;
	row->staged = 0;
	row->dropped_tag_count = 0;
	row->fault.rank = TL_RANK_NONE;
	memset(row->id, 0, sizeof(row->id));
}

/* Fields with a value, right or wrong. */
static inline uint64_t
tl_event_present(const struct tl_event_row *row)
{
	return row->seen & ~row->absent;
}

/* True when the field is there and right. */
static inline bool
tl_event_has(const struct tl_event_row *row, enum tl_event_field field)
{
	return (tl_event_present(row) & ~row->wrong & TL_EVENT_BIT(field)) != 0;
}

static inline void
tl_event_cell_put(struct tl_event_reading *reading, enum tl_event_field field, int64_t value)
{
	reading->lane[field].cells[reading->row_idx] = value;
}

/* Of a field that was seen. */
static inline int64_t
tl_event_cell(const struct tl_event_reading *reading, enum tl_event_field field)
{
	return reading->lane[field].cells[reading->row_idx];
}

/* The field came and says nothing. */
static inline void
tl_event_absent(struct tl_event_reading *reading, enum tl_event_field field)
{
	struct tl_event_lane *lane = &reading->lane[field];

	reading->row.absent |= TL_EVENT_BIT(field);
	if (lane->cells != NULL)
		lane->cells[reading->row_idx] = lane->initial;
}

/* Keep the fault if it is graver than the one there is, and mark the field as wrong. */
void tl_event_fault(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, struct tl_slice got);

/* The same for a number that was read and kept. */
void tl_event_fault_number(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, int64_t got, const char *hint);

/* The column of a field whose first value comes; false with reading->err without memory. */
bool tl_event_lane_begin(struct tl_event_reading *reading, enum tl_event_field field);

/* The checks behind the last value: what is missing, links, parts and wholes, the time. */
void tl_event_check(struct tl_event_reading *reading);

/* Any value but nil, right or wrong: the place behind it, or NULL when it leaves its bounds. */
const uint8_t *tl_event_value_read(struct tl_event_reading *reading, enum tl_event_field field,
	const uint8_t *at, const uint8_t *end);

/* The value of a link, once op and repo are known. */
void tl_event_link_value_read(struct tl_event_reading *reading, enum tl_link_op op);

/* One encoded value for a person: at most 64 bytes of UTF-8 without control characters. */
void tl_event_got(char got_out[72], struct tl_slice got);

/* What the fault shows of the value. */
void tl_event_fault_got(const struct tl_event_fault *fault, char got_out[72]);

/*
 * The quick ways take what nearly every value is and return the place behind it, or NULL: then it
 * is read the long way. All of them have TL_EVENT_QUICK_BYTES bytes.
 */
#define TL_EVENT_QUICK_BYTES TL_TOKEN_COUNTED_BYTES
#define TL_EVENT_QUICK static inline __attribute__((always_inline))

TL_EVENT_QUICK const uint8_t *
tl_event_quick_count(const struct tl_event_lane *lane, uint32_t row_idx, const uint8_t *at)
{
	const struct tl_token_head *head = &tl_token_heads[*at];
	uint64_t number = tl_token_counted(head, at);

	if (!head->is_count || number - lane->min > lane->span)
		return NULL;
	lane->cells[row_idx] = (int64_t)number;
	return at + head->bytes;
}

/* Text that a row before had is taken from there. */
TL_EVENT_QUICK const uint8_t *
tl_event_quick_text(struct tl_event_reading *reading, const struct tl_event_lane *lane,
	const uint8_t *at, const uint8_t *end)
{
	const struct tl_token_head *head = &tl_token_heads[*at];
	size_t bytes = (size_t)head->bytes + (at[1] & head->length_mask);
	const struct tl_event_recent *recent;
	struct tl_event_text text;

	if (!head->is_text || bytes > (size_t)(end - at))
		return NULL;
	text = tl_event_text_of(lane->field, tl_slice_of(at, bytes));
	recent = tl_event_recent_find(reading->recent, &text);
	if (recent == NULL)
		return NULL;
	lane->cells[reading->row_idx] = recent->cell;
	return at + bytes;
}

/* An id is 16 bytes of bin. */
TL_EVENT_QUICK const uint8_t *
tl_event_quick_id(struct tl_event_row *row, const uint8_t *at, const uint8_t *end)
{
	static const uint8_t bin_16[] = {0xc4, sizeof(row->id)};

	if (memcmp(at, bin_16, sizeof(bin_16)) != 0 ||
		end - at < (ptrdiff_t)(sizeof(bin_16) + sizeof(row->id)) ||
		!tl_event_id_from_bytes(at + sizeof(bin_16), row->id))
		return NULL;
	return at + sizeof(bin_16) + sizeof(row->id);
}

/*
 * Any value, nil included; NULL when it leaves its bounds. The message begins more than
 * TL_EVENT_QUICK_BYTES before its events, so the place that far before the end is one.
 */
TL_EVENT_QUICK const uint8_t *
tl_event_value(struct tl_event_reading *reading, const struct tl_event_lane *lane,
	const uint8_t *at, const uint8_t *end)
{
	const uint8_t *after = NULL;

	if (at <= end - TL_EVENT_QUICK_BYTES) {
		if (lane->way == TL_EVENT_BY_COUNT)
			after = tl_event_quick_count(lane, reading->row_idx, at);
		else if (lane->way == TL_EVENT_BY_TEXT)
			after = tl_event_quick_text(reading, lane, at, end);
		else if (lane->way == TL_EVENT_BY_ID)
			after = tl_event_quick_id(&reading->row, at, end);
		if (after != NULL)
			return after;
	}
	if (lane->way == TL_EVENT_BY_SKIP)
		return tl_reader_pass(at, end, TL_EVENT_VALUE_DEPTH);
	if (at < end && *at == TL_TOKEN_NIL) {
		tl_event_absent(reading, (enum tl_event_field)lane->field);
		return at + 1;
	}
	return tl_event_value_read(reading, (enum tl_event_field)lane->field, at, end);
}

#endif
