#include "rollup/recount.h"

#include <inttypes.h>
#include <stdlib.h>

#include "rollup/cells.h"
#include "schema/store/key.h"

#define COLUMN(column) (UINT64_C(1) << (column))

#define RECOUNT_COLUMNS                                                                      \
	(COLUMN(TL_COL_ORG) | COLUMN(TL_COL_TS) | COLUMN(TL_COL_SIGN) | COLUMN(TL_COL_REV) | \
		COLUMN(TL_COL_KIND) | COLUMN(TL_COL_MEMBER) | COLUMN(TL_COL_AGENT) |         \
		COLUMN(TL_COL_SESSION) | COLUMN(TL_COL_MODEL) | COLUMN(TL_COL_REPO))

/* A request of the bucket, as far as first and last go. */
struct raw_row {
	uint8_t id[16];
	int64_t rev;
	int sign;
	int64_t time_ms;
	struct tl_cell_key key; /* repo: its own */
};

struct raw_rows {
	uint32_t org;
	int64_t quarter_no;
	const uint32_t *sessions; /* wanted, sorted */
	uint32_t session_count;
	struct tl_arena *arena;
	struct raw_row *rows;
	uint32_t count, capacity;
};

/* Which quarter of its hour. */
static uint32_t
quarter_of(int64_t quarter_no)
{
	return (uint32_t)(quarter_no & (TL_HOUR_QUARTERS - 1));
}

static int
compare_u32(const void *a_arg, const void *b_arg)
{
	uint32_t a = *(const uint32_t *)a_arg;
	uint32_t b = *(const uint32_t *)b_arg;

	return (a > b) - (a < b);
}

static enum tl_err
add_raw_row(struct raw_rows *raw, const struct raw_row *row)
{
	if (raw->count == raw->capacity) {
		uint32_t capacity = raw->capacity * 2 + 256;
		struct raw_row *rows = tl_arena_array(raw->arena, capacity, sizeof(*rows));

		if (rows == NULL)
			return TL_ENOMEM;
		if (raw->count > 0)
			memcpy(rows, raw->rows, raw->count * sizeof(*rows));
		raw->rows = rows;
		raw->capacity = capacity;
	}
	raw->rows[raw->count++] = *row;
	return TL_OK;
}

static enum tl_err
read_block(const struct tl_batch *batch, int64_t received_ms, struct raw_rows *raw)
{
	for (uint32_t i = 0; i < batch->row_count; i++) {
		struct raw_row row = {0};
		enum tl_err err;

		if ((uint32_t)tl_batch_get(batch, TL_COL_ORG, i) != raw->org ||
			tl_batch_get(batch, TL_COL_KIND, i) != TL_KIND_REQUEST)
			continue;
		row.time_ms = tl_event_time(tl_batch_get(batch, TL_COL_TS, i), received_ms);
		if (tl_bucket_no(TL_SPAN_15M, row.time_ms) != raw->quarter_no)
			continue;
		row.key.session = (uint32_t)tl_batch_get(batch, TL_COL_SESSION, i);
		if (bsearch(&row.key.session, raw->sessions, raw->session_count,
			    sizeof(*raw->sessions), compare_u32) == NULL)
			continue;
		row.key.member = (uint32_t)tl_batch_get(batch, TL_COL_MEMBER, i);
		row.key.agent = (uint32_t)tl_batch_get(batch, TL_COL_AGENT, i);
		row.key.model = (uint32_t)tl_batch_get(batch, TL_COL_MODEL, i);
		row.key.repo = (uint32_t)tl_batch_get(batch, TL_COL_REPO, i);
		row.key.has_own_repo = row.key.repo != 0;
		row.key.quarter = quarter_of(raw->quarter_no);
		row.rev = tl_batch_get(batch, TL_COL_REV, i);
		row.sign = tl_batch_get(batch, TL_COL_SIGN, i) < 0 ? -1 : 1;
		memcpy(row.id, batch->id[i], sizeof(row.id));
		err = add_raw_row(raw, &row);
		if (err)
			return err;
	}
	return TL_OK;
}

static enum tl_err
read_group(struct fold *fold, uint64_t group_no, struct raw_rows *raw, struct tl_why *why)
{
	struct tl_key key = tl_key_journal(group_no);
	int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, raw->quarter_no * TL_QUARTER_MS);
	struct tl_journal_row row;
	enum tl_err err;

	err = tl_store_get(
		fold->store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key), &fold->bytes, why);
	if (!err)
		err = tl_journal_decode(group_no, tl_buf_slice(&fold->bytes), raw->arena, &row);
	if (err)
		return tl_fail(why, err == TL_ENOT_FOUND ? TL_EACKED_DATA_MISSING : err,
			"journal row %" PRIu64 ": %s", group_no, tl_err_text(err));
	for (uint32_t i = 0; !err && i < row.block_count; i++) {
		struct tl_block_head head;
		struct tl_batch batch;

		if (row.blocks[i].day_ms != day_ms)
			continue;
		err = blocks_get(&fold->blocks, group_no, &row.blocks[i], RECOUNT_COLUMNS, &head,
			&batch, why);
		if (!err)
			err = read_block(&batch, head.received_ms, raw);
	}
	return err == TL_EEND ? TL_OK : err;
}

static int
compare_raw_rows(const void *a_arg, const void *b_arg)
{
	const struct raw_row *a = a_arg;
	const struct raw_row *b = b_arg;
	int order = memcmp(a->id, b->id, sizeof(a->id));

	if (order != 0)
		return order;
	if (a->sign != b->sign)
		return a->sign > b->sign ? -1 : 1;
	return (a->rev < b->rev) - (a->rev > b->rev);
}

/*
 * Keep what was not taken back. Revisions of an id replace each other one by one, so at most one
 * row is left of it: its highest.
 */
static enum tl_err
drop_taken_back(struct raw_rows *raw, struct tl_why *why)
{
	uint32_t count = 0;

	if (raw->count > 0)
		qsort(raw->rows, raw->count, sizeof(*raw->rows), compare_raw_rows);
	for (uint32_t i = 0; i < raw->count;) {
		const struct raw_row *highest = &raw->rows[i];
		int net = 0;

		while (i < raw->count && memcmp(raw->rows[i].id, highest->id, 16) == 0)
			net += raw->rows[i++].sign;
		if (net != 0 && net != 1)
			return tl_fail(why, TL_ESTORAGE_CORRUPT,
				"org %u quarter %" PRId64 ": an event is there %d times", raw->org,
				raw->quarter_no, net);
		if (net == 1)
			raw->rows[count++] = *highest;
	}
	raw->count = count;
	return TL_OK;
}

/* page: of the quarter's hour. */
static enum tl_err
read_raw(struct fold *fold, const struct tl_page *page, struct raw_rows *raw, struct tl_why *why)
{
	for (uint32_t i = 0; i < page->group_count; i++) {
		enum tl_err err;

		if ((page->group_quarters[i] >> quarter_of(raw->quarter_no) & 1) == 0)
			continue;
		err = read_group(fold, page->groups[i], raw, why);
		if (err)
			return err;
	}
	return drop_taken_back(raw, why);
}

static void
forget_times(struct tl_cell_row *row)
{
	row->first_ms = INT64_MAX;
	row->last_ms = INT64_MIN;
}

static void
widen(struct tl_cell_row *row, int64_t first_ms, int64_t last_ms)
{
	if (first_ms < row->first_ms)
		row->first_ms = first_ms;
	if (last_ms > row->last_ms)
		row->last_ms = last_ms;
}

/* The page's row for a raw one; rows of a session without an own repo share the session's. */
static struct tl_cell_row *
row_for(struct tl_page *page, const struct tl_cell_key *raw_key)
{
	uint32_t count;
	struct tl_cell_row *rows = tl_page_session_rows(page, raw_key->session, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct tl_cell_key key = rows[i].key;

		if (!key.has_own_repo)
			key.repo = 0;
		if (tl_cell_key_cmp(&key, raw_key) == 0)
			return &rows[i];
	}
	return NULL;
}

enum tl_err
recount_quarter(struct fold *fold, uint32_t org, int64_t quarter_no, const uint32_t *sessions,
	uint32_t session_count, struct tl_page *page, struct tl_why *why)
{
	uint32_t *wanted;
	struct raw_rows raw = {.org = org,
		.quarter_no = quarter_no,
		.session_count = session_count,
		.arena = &fold->page_arena};
	enum tl_err err;

	tl_arena_reset(&fold->page_arena);
	wanted = tl_arena_array(&fold->page_arena, session_count, sizeof(*wanted));
	if (wanted == NULL)
		return TL_ENOMEM;
	memcpy(wanted, sessions, session_count * sizeof(*wanted));
	qsort(wanted, session_count, sizeof(*wanted), compare_u32);
	raw.sessions = wanted;
	err = read_raw(fold, page, &raw, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < session_count; i++) {
		uint32_t count;
		struct tl_cell_row *rows = tl_page_session_rows(page, wanted[i], &count);

		for (uint32_t j = 0; j < count; j++) {
			if (rows[j].key.quarter == quarter_of(quarter_no))
				forget_times(&rows[j]);
		}
	}
	for (uint32_t i = 0; i < raw.count; i++) {
		struct tl_cell_row *row = row_for(page, &raw.rows[i].key);

		if (row == NULL)
			return tl_fail(why, TL_ESTORAGE_CORRUPT,
				"cell 15m org %u bucket %" PRId64 " lacks a row of session %u", org,
				(int64_t)(quarter_no * TL_QUARTER_MS), raw.rows[i].key.session);
		widen(row, raw.rows[i].time_ms, raw.rows[i].time_ms);
	}
	return TL_OK;
}

/* The rows of an hour among those of its day, which both are in order. */
static bool
widen_day(struct tl_page *day, const struct tl_page *hour)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < hour->row_count; i++) {
		struct tl_cell_key key = hour->rows[i].key;
		int order = -1;

		key.quarter = 0;
		while (at < day->row_count &&
			(order = tl_cell_key_cmp(&day->rows[at].key, &key)) < 0)
			at++;
		if (order != 0)
			return false;
		widen(&day->rows[at], hour->rows[i].first_ms, hour->rows[i].last_ms);
	}
	return true;
}

enum tl_err
recount_day(struct fold *fold, const struct tl_page_place *place, struct tl_page *page,
	struct tl_why *why)
{
	int64_t end_ms = place->bucket_ms + TL_DAY_MS;
	struct tl_page_place hour = *place;

	hour.span = TL_SPAN_1H;
	for (uint32_t i = 0; i < page->row_count; i++)
		forget_times(&page->rows[i]);
	for (; hour.bucket_ms < end_ms; hour.bucket_ms += TL_HOUR_MS) {
		struct tl_page part;
		enum tl_err err;

		tl_arena_reset(&fold->page_arena);
		err = fold_page_get(fold, &hour, &fold->page_arena, &part, why);
		if (err == TL_ENOT_FOUND)
			continue;
		if (err)
			return err;
		if (!widen_day(page, &part))
			return tl_fail(why, TL_ESTORAGE_CORRUPT,
				"cell 1d org %u bucket %" PRId64 " lacks a row of its parts",
				place->org, place->bucket_ms);
	}
	return TL_OK;
}

/* First and last request of the session in one quarter, and the page of its hour. */
static enum tl_err
times_in_quarter(struct fold *fold, const struct session_touch *touch, int64_t quarter_no,
	struct tl_page *page, struct tl_cell_row *times_out, struct tl_why *why)
{
	struct tl_page_place place = {.org = touch->org,
		.span = TL_SPAN_1H,
		.bucket_ms = fold_hour_no(quarter_no) * TL_HOUR_MS,
		.part = tl_cell_part(touch->session)};
	const struct tl_cell_row *rows;
	uint32_t count;
	enum tl_err err;

	forget_times(times_out);
	tl_arena_reset(&fold->page_arena);
	err = fold_page_get(fold, &place, &fold->page_arena, page, why);
	if (err)
		return err == TL_ENOT_FOUND ? TL_OK : err; /* expired */
	rows = tl_page_session_rows(page, touch->session, &count);
	for (uint32_t i = 0; i < count; i++) {
		if (rows[i].key.quarter == quarter_of(quarter_no))
			widen(times_out, rows[i].first_ms, rows[i].last_ms);
	}
	return TL_OK;
}

/* Who made the last request, from the raw rows of its quarter; page is that of the hour. */
static enum tl_err
recount_last(struct fold *fold, struct session_touch *touch, const struct tl_page *page,
	struct tl_why *why)
{
	struct tl_session_row *row = &touch->row;
	const struct raw_row *last = NULL;
	struct raw_rows raw = {.org = touch->org,
		.quarter_no = tl_bucket_no(TL_SPAN_15M, row->last_ms),
		.sessions = &touch->session,
		.session_count = 1,
		.arena = &fold->arena};
	enum tl_err err = read_raw(fold, page, &raw, why);

	if (err)
		return err;
	for (uint32_t i = 0; i < raw.count; i++) {
		if (raw.rows[i].time_ms == row->last_ms &&
			(last == NULL || memcmp(raw.rows[i].id, last->id, 16) > 0))
			last = &raw.rows[i];
	}
	if (last == NULL)
		return tl_fail(why, TL_ESTORAGE_CORRUPT,
			"org %u session %u: its last request is not in raw", touch->org,
			touch->session);
	row->member = last->key.member;
	row->agent = last->key.agent;
	return TL_OK;
}

enum tl_err
recount_session(struct fold *fold, struct session_touch *touch, struct tl_why *why)
{
	struct tl_session_row *row = &touch->row;
	struct tl_page page = {0};
	struct tl_cell_row times;
	uint32_t i;
	enum tl_err err;

	forget_times(&times);
	for (i = 0; i < row->bucket_count && times.last_ms == INT64_MIN; i++) {
		err = times_in_quarter(fold, touch, row->buckets[i], &page, &times, why);
		if (err)
			return err;
	}
	row->first_ms = times.first_ms;
	forget_times(&times);
	for (i = row->bucket_count; i > 0 && times.last_ms == INT64_MIN; i--) {
		err = times_in_quarter(fold, touch, row->buckets[i - 1], &page, &times, why);
		if (err)
			return err;
	}
	row->last_ms = times.last_ms;
	if (times.last_ms != INT64_MIN)
		return recount_last(fold, touch, &page, why);
	row->member = row->agent = 0;
	return TL_OK;
}
