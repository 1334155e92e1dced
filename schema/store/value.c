/*
 * The bytes, all numbers varints (zigzag where they may be negative):
 *
 * totals:  mask of the measures that are not 0, then each of them, zigzag
 * times:   1, first zigzag, last - first; or 0 without any
 * session: version u8 = 2
 *          bucket count, if > 0: first zigzag, then the steps
 *          last - first + 1, 0 without any; then first from the start of the first bucket, zigzag
 *          member, agent | totals | repo, name
 *          PR count, then repo, number each
 *          link count, then op u8, ts zigzag, id 16 bytes, repo, number, value each
 *          event PR count, then repo, number, event count zigzag each
 * life:    version u8 = 1 | totals | times
 * intake:  version u8 = 1 | the ten counts in the order of the struct, zigzag
 *          code count, then length u8, wire name, count zigzag each
 * mark:    version u8 = 1 | group number | seq
 */
#include "schema/store/value.h"

#include <assert.h>

#include "schema/model/bucket.h"
#include "schema/model/money.h"

#define SESSION_VERSION 2
#define LIFE_VERSION 1
#define INTAKE_VERSION 1
#define QUARANTINE_VERSION 1
#define MARK_VERSION 2
#define MARK_VERSION_STEPS 2
#define ID_BYTES 16
#define MEASURE_MASK_ALL ((UINT64_C(1) << TL_MEASURE_COUNT) - 1)

/* The fewest bytes of one, which bound a count by what is left. */
#define PR_BYTES_MIN 2
#define LINK_BYTES_MIN (1 + 1 + ID_BYTES + 3)
#define EVENT_PR_BYTES_MIN 3
#define BUCKET_BYTES_MIN 1

static void
corrupt(struct tl_cursor *cur)
{
	cur->err = TL_ESTORAGE_CORRUPT;
	cur->next = cur->end;
}

static void
check_version(struct tl_cursor *cur, uint8_t version)
{
	if (tl_cursor_u8(cur) != version)
		corrupt(cur);
}

static uint32_t
take_u32(struct tl_cursor *cur)
{
	uint64_t value = tl_cursor_varint(cur);

	if (value > UINT32_MAX) {
		corrupt(cur);
		return 0;
	}
	return (uint32_t)value;
}

/* A count of things that take at least bytes_min bytes each; 0 when there is no room for them. */
static uint32_t
take_count(struct tl_cursor *cur, size_t bytes_min)
{
	uint64_t count = tl_cursor_varint(cur);

	if (count > tl_cursor_left(cur) / bytes_min || count > UINT32_MAX) {
		corrupt(cur);
		return 0;
	}
	return (uint32_t)count;
}

static enum tl_err
end_of(const struct tl_cursor *cur)
{
	return cur->err || tl_cursor_left(cur) != 0 ? TL_ESTORAGE_CORRUPT : TL_OK;
}

static void
put_totals(struct tl_buf *buf, const struct tl_totals *totals)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < TL_MEASURE_COUNT; i++)
		mask |= (uint64_t)(totals->measure[i] != 0) << i;
	tl_buf_put_varint(buf, mask);
	for (uint32_t i = 0; i < TL_MEASURE_COUNT; i++) {
		if (totals->measure[i] != 0)
			tl_buf_put_zigzag(buf, totals->measure[i]);
	}
}

static void
take_totals(struct tl_cursor *cur, struct tl_totals *totals)
{
	uint64_t mask = tl_cursor_varint(cur);

	if ((mask & ~MEASURE_MASK_ALL) != 0)
		corrupt(cur);
	for (uint32_t i = 0; i < TL_MEASURE_COUNT; i++)
		totals->measure[i] = mask >> i & 1 ? tl_cursor_zigzag(cur) : 0;
}

static void
put_times(struct tl_buf *buf, int64_t first_ms, int64_t last_ms)
{
	bool any = first_ms <= last_ms;

	tl_buf_put_u8(buf, any);
	if (!any)
		return;
	tl_buf_put_zigzag(buf, first_ms);
	tl_buf_put_varint(buf, (uint64_t)last_ms - (uint64_t)first_ms);
}

static void
take_times(struct tl_cursor *cur, int64_t *first_ms_out, int64_t *last_ms_out)
{
	uint8_t any = tl_cursor_u8(cur);
	int64_t first_ms = INT64_MAX;
	int64_t last_ms = INT64_MIN;

	if (any > 1)
		corrupt(cur);
	if (any == 1) {
		first_ms = tl_cursor_zigzag(cur);
		last_ms = (int64_t)((uint64_t)first_ms + tl_cursor_varint(cur));
		if (last_ms < first_ms)
			corrupt(cur);
	}
	*first_ms_out = first_ms;
	*last_ms_out = last_ms;
}

void
tl_session_row_init(struct tl_session_row *row)
{
	*row = (struct tl_session_row){.first_ms = INT64_MAX, .last_ms = INT64_MIN};
}

static void
put_links(struct tl_buf *buf, const struct tl_session_row *row)
{
	tl_buf_put_varint(buf, row->link_count);
	for (uint32_t i = 0; i < row->link_count; i++) {
		const struct tl_session_link *link = &row->links[i];

		tl_buf_put_u8(buf, (uint8_t)link->op);
		tl_buf_put_zigzag(buf, link->ts_ms);
		tl_buf_put(buf, link->id, ID_BYTES);
		tl_buf_put_varint(buf, link->repo);
		tl_buf_put_varint(buf, link->number);
		tl_buf_put_varint(buf, link->value);
	}
}

static void
put_buckets(struct tl_buf *buf, const struct tl_session_row *row)
{
	tl_buf_put_varint(buf, row->bucket_count);
	if (row->bucket_count == 0)
		return;
	tl_buf_put_zigzag(buf, row->buckets[0]);
	for (uint32_t i = 1; i < row->bucket_count; i++) {
		assert(row->buckets[i] > row->buckets[i - 1]);
		tl_buf_put_varint(buf, (uint64_t)row->buckets[i] - (uint64_t)row->buckets[i - 1]);
	}
}

/* Where its first request is likely. */
static uint64_t
time_base(const struct tl_session_row *row)
{
	return row->bucket_count > 0 ? (uint64_t)row->buckets[0] * (uint64_t)TL_QUARTER_MS : 0;
}

static void
put_requests_times(struct tl_buf *buf, const struct tl_session_row *row)
{
	if (row->first_ms > row->last_ms) {
		tl_buf_put_varint(buf, 0);
		return;
	}
	tl_buf_put_varint(buf, (uint64_t)row->last_ms - (uint64_t)row->first_ms + 1);
	tl_buf_put_zigzag(buf, (int64_t)((uint64_t)row->first_ms - time_base(row)));
}

static void
take_requests_times(struct tl_cursor *cur, struct tl_session_row *row)
{
	uint64_t length = tl_cursor_varint(cur);

	row->first_ms = INT64_MAX;
	row->last_ms = INT64_MIN;
	if (length == 0)
		return;
	row->first_ms = (int64_t)(time_base(row) + (uint64_t)tl_cursor_zigzag(cur));
	row->last_ms = (int64_t)((uint64_t)row->first_ms + (length - 1));
	if (row->last_ms < row->first_ms)
		corrupt(cur);
}

void
tl_session_row_encode(const struct tl_session_row *row, struct tl_buf *buf)
{
	tl_buf_put_u8(buf, SESSION_VERSION);
	put_buckets(buf, row);
	put_requests_times(buf, row);
	tl_buf_put_varint(buf, row->member);
	tl_buf_put_varint(buf, row->agent);
	put_totals(buf, &row->totals);
	tl_buf_put_varint(buf, row->repo);
	tl_buf_put_varint(buf, row->name);
	tl_buf_put_varint(buf, row->pr_count);
	for (uint32_t i = 0; i < row->pr_count; i++) {
		tl_buf_put_varint(buf, row->prs[i].repo);
		tl_buf_put_varint(buf, row->prs[i].number);
	}
	put_links(buf, row);
	tl_buf_put_varint(buf, row->event_pr_count);
	for (uint32_t i = 0; i < row->event_pr_count; i++) {
		tl_buf_put_varint(buf, row->event_prs[i].pr.repo);
		tl_buf_put_varint(buf, row->event_prs[i].pr.number);
		tl_buf_put_zigzag(buf, row->event_prs[i].event_count);
	}
}

static void
take_id(struct tl_cursor *cur, uint8_t id_out[ID_BYTES])
{
	struct tl_slice id = tl_cursor_take(cur, ID_BYTES);

	if (id.bytes == ID_BYTES)
		memcpy(id_out, id.data, ID_BYTES);
}

static enum tl_err
take_prs(struct tl_cursor *cur, struct tl_arena *arena, struct tl_session_row *row)
{
	row->pr_count = take_count(cur, PR_BYTES_MIN);
	row->prs = tl_arena_array(arena, row->pr_count, sizeof(*row->prs));
	if (row->prs == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < row->pr_count; i++) {
		row->prs[i].repo = take_u32(cur);
		row->prs[i].number = take_u32(cur);
	}
	return TL_OK;
}

static enum tl_err
take_links(struct tl_cursor *cur, struct tl_arena *arena, struct tl_session_row *row)
{
	row->link_count = take_count(cur, LINK_BYTES_MIN);
	row->links = tl_arena_array(arena, row->link_count, sizeof(*row->links));
	if (row->links == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < row->link_count; i++) {
		struct tl_session_link *link = &row->links[i];
		uint8_t op = tl_cursor_u8(cur);

		if (op == TL_LINK_NONE || op > TL_LINK_SET_NAME)
			corrupt(cur);
		link->op = (enum tl_link_op)op;
		link->ts_ms = tl_cursor_zigzag(cur);
		take_id(cur, link->id);
		link->repo = take_u32(cur);
		link->number = take_u32(cur);
		link->value = take_u32(cur);
	}
	return TL_OK;
}

static enum tl_err
take_event_prs(struct tl_cursor *cur, struct tl_arena *arena, struct tl_session_row *row)
{
	row->event_pr_count = take_count(cur, EVENT_PR_BYTES_MIN);
	row->event_prs = tl_arena_array(arena, row->event_pr_count, sizeof(*row->event_prs));
	if (row->event_prs == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < row->event_pr_count; i++) {
		row->event_prs[i].pr.repo = take_u32(cur);
		row->event_prs[i].pr.number = take_u32(cur);
		row->event_prs[i].event_count = tl_cursor_zigzag(cur);
	}
	return TL_OK;
}

static enum tl_err
take_buckets(struct tl_cursor *cur, struct tl_arena *arena, struct tl_session_row *row)
{
	row->bucket_count = take_count(cur, BUCKET_BYTES_MIN);
	row->buckets = tl_arena_array(arena, row->bucket_count, sizeof(*row->buckets));
	if (row->buckets == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < row->bucket_count; i++) {
		if (i == 0) {
			row->buckets[0] = tl_cursor_zigzag(cur);
			continue;
		}
		row->buckets[i] = (int64_t)((uint64_t)row->buckets[i - 1] + tl_cursor_varint(cur));
		if (row->buckets[i] <= row->buckets[i - 1])
			return TL_ESTORAGE_CORRUPT;
	}
	return TL_OK;
}

enum tl_err
tl_session_row_decode(struct tl_slice bytes, struct tl_arena *arena, struct tl_session_row *row_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_session_row row = {.repo = 0};
	enum tl_err err;

	check_version(&cur, SESSION_VERSION);
	err = take_buckets(&cur, arena, &row);
	if (err)
		return err;
	take_requests_times(&cur, &row);
	row.member = take_u32(&cur);
	row.agent = take_u32(&cur);
	take_totals(&cur, &row.totals);
	row.repo = take_u32(&cur);
	row.name = take_u32(&cur);
	err = take_prs(&cur, arena, &row);
	if (!err)
		err = take_links(&cur, arena, &row);
	if (!err)
		err = take_event_prs(&cur, arena, &row);
	if (!err)
		err = end_of(&cur);
	if (!err)
		*row_out = row;
	return err;
}

void
tl_life_encode(const struct tl_life *life, struct tl_buf *buf)
{
	tl_buf_put_u8(buf, LIFE_VERSION);
	put_totals(buf, &life->totals);
	put_times(buf, life->first_ms, life->last_ms);
}

enum tl_err
tl_life_decode(struct tl_slice bytes, struct tl_life *life_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_life life;

	check_version(&cur, LIFE_VERSION);
	take_totals(&cur, &life.totals);
	take_times(&cur, &life.first_ms, &life.last_ms);
	if (end_of(&cur))
		return TL_ESTORAGE_CORRUPT;
	*life_out = life;
	return TL_OK;
}

#define INTAKE_COUNTS 10

/* The counts that are always written, in their order. */
static int64_t *
intake_count(struct tl_intake_row *row, size_t idx)
{
	int64_t *const counts[INTAKE_COUNTS] = {&row->received, &row->accepted, &row->duplicate,
		&row->replaced, &row->conflict, &row->rejected, &row->late, &row->unpriced,
		&row->dropped_tags, &row->money_nusd};

	return counts[idx];
}

void
tl_intake_row_encode(const struct tl_intake_row *row, struct tl_buf *buf)
{
	struct tl_intake_row copy = *row;
	uint32_t code_count = 0;

	tl_buf_put_u8(buf, INTAKE_VERSION);
	for (size_t i = 0; i < INTAKE_COUNTS; i++)
		tl_buf_put_zigzag(buf, *intake_count(&copy, i));
	for (size_t i = 0; i < TL_ERR_COUNT; i++)
		code_count += row->rejected_by[i] != 0;
	tl_buf_put_varint(buf, code_count);
	for (size_t i = 0; i < TL_ERR_COUNT; i++) {
		const char *name = tl_err_name((enum tl_err)i);

		if (row->rejected_by[i] == 0)
			continue;
		tl_buf_put_u8(buf, (uint8_t)strlen(name));
		tl_buf_put_str(buf, name);
		tl_buf_put_zigzag(buf, row->rejected_by[i]);
	}
}

/* A name that is no longer known counts as internal: the sum over all codes stays right. */
enum tl_err
tl_intake_row_decode(struct tl_slice bytes, struct tl_intake_row *row_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_intake_row row = {.received = 0};
	uint32_t code_count;

	check_version(&cur, INTAKE_VERSION);
	for (size_t i = 0; i < INTAKE_COUNTS; i++)
		*intake_count(&row, i) = tl_cursor_zigzag(&cur);
	code_count = take_count(&cur, 2);
	for (uint32_t i = 0; i < code_count && !cur.err; i++) {
		struct tl_slice name = tl_cursor_take(&cur, tl_cursor_u8(&cur));
		int64_t count = tl_cursor_zigzag(&cur);
		enum tl_err code;

		if (cur.err)
			break;
		code = tl_err_from_name((const char *)name.data, name.bytes);
		if (!tl_sum_add(&row.rejected_by[code], count))
			corrupt(&cur);
	}
	if (end_of(&cur))
		return TL_ESTORAGE_CORRUPT;
	*row_out = row;
	return TL_OK;
}

void
tl_quarantine_row_encode(const struct tl_quarantine_row *row, struct tl_buf *buf)
{
	tl_buf_put_u8(buf, QUARANTINE_VERSION);
	tl_buf_put_varint(buf, row->times);
	tl_buf_put_zigzag(buf, row->last_ms);
	tl_buf_put_varint(buf, row->field.bytes);
	tl_buf_put_slice(buf, row->field);
}

enum tl_err
tl_quarantine_row_decode(struct tl_slice bytes, struct tl_quarantine_row *row_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_quarantine_row row;

	check_version(&cur, QUARANTINE_VERSION);
	row.times = tl_cursor_varint(&cur);
	row.last_ms = tl_cursor_zigzag(&cur);
	row.field = tl_cursor_take(&cur, tl_cursor_varint(&cur));
	row.block = tl_cursor_take(&cur, tl_cursor_left(&cur));
	if (cur.err || row.block.bytes == 0)
		return TL_ESTORAGE_CORRUPT;
	*row_out = row;
	return TL_OK;
}

void
tl_mark_encode(const struct tl_mark *mark, struct tl_buf *buf)
{
	tl_buf_put_u8(buf, MARK_VERSION);
	tl_buf_put_varint(buf, mark->group_no);
	tl_buf_put_varint(buf, mark->seq);
	tl_buf_put_varint(buf, mark->step_no);
	tl_buf_put_varint(buf, mark->first_step_no);
}

enum tl_err
tl_mark_decode(struct tl_slice bytes, struct tl_mark *mark_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_mark mark = {.step_no = 0};
	uint8_t version = tl_cursor_u8(&cur);

	mark.group_no = tl_cursor_varint(&cur);
	mark.seq = tl_cursor_varint(&cur);
	if (version >= MARK_VERSION_STEPS) {
		mark.step_no = tl_cursor_varint(&cur);
		mark.first_step_no = tl_cursor_varint(&cur);
	}
	if (version == 0 || version > MARK_VERSION || end_of(&cur) ||
		mark.first_step_no > mark.step_no)
		return TL_ESTORAGE_CORRUPT;
	*mark_out = mark;
	return TL_OK;
}
