/* What can be said of an event only when all of it was read. */
#include "schema/wire/event_value.h"

#define SECONDS_HINT " (seconds? send milliseconds)"

/* Fix times of a violation that states none. */
static const int64_t fix_ms_default[] = {[TL_SEVERITY_ERROR] = 9 * 60000,
	[TL_SEVERITY_WARNING] = 5 * 60000,
	[TL_SEVERITY_INFO] = 2 * 60000};

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
	uint64_t missing = required[kind] & ~tl_event_present(row);

	if (missing != 0) {
		enum tl_event_field field = (enum tl_event_field)__builtin_ctzll(missing);

		tl_event_fault(row, field == TL_FIELD_ID ? TL_RANK_ID : TL_RANK_MISSING,
			TL_EFIELD_MISSING, field, INT64_MIN, tl_slice_of(NULL, 0));
	}
}

static void
part_check(struct tl_event_reading *reading, enum tl_event_field part, enum tl_event_field whole)
{
	struct tl_event_row *row = &reading->row;
	int64_t whole_tokens = tl_event_has(row, whole) ? tl_event_cell(reading, whole) : 0;
	int64_t part_tokens;

	if (!tl_event_has(row, part) || (row->wrong & TL_EVENT_BIT(whole)) != 0)
		return;
	part_tokens = tl_event_cell(reading, part);
	if (part_tokens > whole_tokens)
		tl_event_fault_number(row, TL_RANK_RANGE, TL_ETOKENS_INCONSISTENT, part,
			whole_tokens, part_tokens, NULL);
}

static void
time_check(struct tl_event_reading *reading)
{
	struct tl_event_row *row = &reading->row;
	int64_t ts_ms = tl_event_cell(reading, TL_FIELD_TS);

	if (ts_ms < TL_TIME_SECONDS_HINT)
		tl_event_fault_number(row, TL_RANK_RANGE, TL_ETIME_INVALID, TL_FIELD_TS,
			TL_TIME_SECONDS_HINT, ts_ms, SECONDS_HINT);
	else if (ts_ms < reading->first_ms)
		tl_event_fault_number(row, TL_RANK_TIME, TL_ETIME_TOO_OLD, TL_FIELD_TS,
			reading->first_ms, ts_ms, NULL);
	else if (ts_ms > reading->last_ms)
		tl_event_fault_number(row, TL_RANK_TIME, TL_ETIME_IN_FUTURE, TL_FIELD_TS,
			reading->last_ms, ts_ms, NULL);
}

static void
link_check(struct tl_event_reading *reading, enum tl_kind kind)
{
	bool is_link = kind == TL_KIND_LINK && tl_event_has(&reading->row, TL_FIELD_OP);

	tl_event_link_value_read(reading,
		is_link ? (enum tl_link_op)tl_event_cell(reading, TL_FIELD_OP) : TL_LINK_NONE);
}

/* A violation that does not say how long its fix takes. */
static void
fix_time_put(struct tl_event_reading *reading)
{
	struct tl_event_row *row = &reading->row;

	if (!tl_event_has(row, TL_FIELD_SEVERITY) || !tl_event_lane_begin(reading, TL_FIELD_FIX_MS))
		return;
	tl_event_cell_put(reading, TL_FIELD_FIX_MS,
		fix_ms_default[tl_event_cell(reading, TL_FIELD_SEVERITY)]);
	row->seen |= TL_EVENT_BIT(TL_FIELD_FIX_MS);
	row->absent &= ~TL_EVENT_BIT(TL_FIELD_FIX_MS);
}

#define BITS_PARTS (TL_EVENT_BIT(TL_FIELD_REASONING) | TL_EVENT_BIT(TL_FIELD_CACHE_WRITE_1H))

void
tl_event_check(struct tl_event_reading *reading)
{
	struct tl_event_row *row = &reading->row;
	uint64_t present = tl_event_present(row);
	enum tl_kind kind = TL_KIND_REQUEST;

	if (tl_event_has(row, TL_FIELD_KIND))
		kind = (enum tl_kind)tl_event_cell(reading, TL_FIELD_KIND);
	missing_check(row, kind);
	if ((present & TL_EVENT_BIT(TL_FIELD_VALUE)) != 0)
		link_check(reading, kind);
	if ((present & BITS_PARTS) != 0) {
		part_check(reading, TL_FIELD_REASONING, TL_FIELD_OUTPUT);
		part_check(reading, TL_FIELD_CACHE_WRITE_1H, TL_FIELD_CACHE_WRITE);
	}
	if (tl_event_has(row, TL_FIELD_TS))
		time_check(reading);
	if (kind == TL_KIND_VIOLATION && (present & TL_EVENT_BIT(TL_FIELD_FIX_MS)) == 0)
		fix_time_put(reading);
}
