/*
 * Requests in the order of (ts, id), by spans: as many quarters of one day as have a few thousand
 * requests together, so that a block is decoded once for all of them. What counts in a span may
 * bear a ts up to five minutes later, when the sender's clock was ahead: so the rows of a span are
 * those that count in it, and those that count in the last minutes before. Of a span, at most
 * ROWS_MAX rows after the place are held.
 */
#include <stdlib.h>

#include "query/export.h"
#include "query/facts.h"
#include "query/kept.h"
#include "query/raw.h"

#define ROWS_MAX 8192u
#define SPAN_REQUESTS 4096 /* from here on a span ends */
#define QUARTERS_A_DAY 96u
#define QUARTERS_MAX 4096u /* that one page looks at */
#define CELL_ARENA_BYTES_MAX (256u << 20)

/* The columns of a row that are shown as they are or as a name, in their order. */
static const enum tl_column columns[] = {TL_COL_SESSION, TL_COL_PROVIDER, TL_COL_MODEL, TL_COL_REPO,
	TL_COL_PR, TL_COL_BRANCH, TL_COL_COMMIT, TL_COL_BILLING, TL_COL_STATUS, TL_COL_DURATION,
	TL_COL_INPUT, TL_COL_CACHE_READ, TL_COL_CACHE_WRITE, TL_COL_CACHE_WRITE_1H, TL_COL_OUTPUT,
	TL_COL_REASONING, TL_COL_SAVED_TOKENS, TL_COL_COST, TL_COL_SAVED_NUSD, TL_COL_REV};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

struct request_row {
	int64_t ts_ms;
	uint8_t id[16];
	uint32_t member, agent;
	int64_t values[COLUMN_COUNT];
};

struct span {
	struct export *x;
	int64_t start_ms, end_ms; /* of ts */
	int64_t pages_ms;	  /* the first quarter that there are pages of */
	struct tl_page pages[QUARTERS_A_DAY];
	uint64_t *groups; /* of all pages, rising */
	uint32_t group_count;
	struct request_row *rows; /* twice ROWS_MAX */
	uint32_t count;
	bool is_cut; /* more came than are held */
};

static uint32_t
field_count(const struct query_job *job)
{
	return (uint32_t)COLUMN_COUNT + 4 + job->sees_private;
}

void
export_requests_fields(struct query_job *job, struct tl_pack_open *map)
{
	struct tl_buf *reply = job->reply;

	tl_pack_key(reply, map, "fields");
	tl_pack_array(reply, field_count(job));
	tl_pack_str(reply, "ts");
	tl_pack_str(reply, "id");
	tl_pack_str(reply, "member_id");
	if (job->sees_private)
		tl_pack_str(reply, "email");
	tl_pack_str(reply, "agent");
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		tl_pack_str(reply, tl_column_field(columns[i]));
}

static int
place_cmp(int64_t ms, const uint8_t id[16], int64_t other_ms, const uint8_t other_id[16])
{
	if (ms != other_ms)
		return ms < other_ms ? -1 : 1;
	return memcmp(id, other_id, 16);
}

static int
row_cmp(const void *a, const void *b)
{
	const struct request_row *left = a;
	const struct request_row *right = b;

	return place_cmp(left->ts_ms, left->id, right->ts_ms, right->id);
}

/* Keep the first ROWS_MAX. */
static void
shrink(struct span *span)
{
	qsort(span->rows, span->count, sizeof(*span->rows), row_cmp);
	if (span->count <= ROWS_MAX)
		return;
	span->count = ROWS_MAX;
	span->is_cut = true;
}

/* The repository that the links of the session give it: that of its rows without an own one. */
static uint32_t
linked_repo(const struct tl_page *page, uint32_t session)
{
	uint32_t low = 0, high = page->row_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (page->rows[middle].key.session < session)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < page->row_count && page->rows[low].key.session == session; low++) {
		if (!page->rows[low].key.has_own_repo)
			return page->rows[low].key.repo;
	}
	return 0;
}

static enum tl_err
take_row(void *arg, const struct raw_row *raw, struct tl_why *why)
{
	struct span *span = arg;
	const struct tl_batch *batch = raw->batch;
	const struct export_place *place = &span->x->place;
	const struct tl_page *page;
	uint32_t idx = raw->row_idx;
	int64_t ts_ms = tl_batch_get(batch, TL_COL_TS, idx);
	struct request_row *row;

	(void)why;
	if (tl_batch_get(batch, TL_COL_KIND, idx) != TL_KIND_REQUEST || ts_ms < span->start_ms ||
		ts_ms >= span->end_ms ||
		place_cmp(ts_ms, batch->id[idx], place->ms, place->id) <= 0)
		return TL_OK;
	if (span->count == 2 * ROWS_MAX)
		shrink(span);
	page = &span->pages[(raw->time_ms - span->pages_ms) / TL_QUARTER_MS];
	row = &span->rows[span->count++];
	row->ts_ms = ts_ms;
	memcpy(row->id, batch->id[idx], sizeof(row->id));
	row->member = (uint32_t)tl_batch_get(batch, TL_COL_MEMBER, idx);
	row->agent = (uint32_t)tl_batch_get(batch, TL_COL_AGENT, idx);
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		row->values[i] = tl_batch_get(batch, columns[i], idx);
		if (columns[i] == TL_COL_REPO && row->values[i] == 0 && row->values[0] != 0)
			row->values[i] = linked_repo(page, (uint32_t)row->values[0]);
	}
	return TL_OK;
}

static int
group_cmp(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

/* The groups of the pages of some quarters, each once. */
static enum tl_err
join_groups(struct span *span, uint32_t page_count, struct tl_arena *arena)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < page_count; i++)
		count += span->pages[i].group_count;
	span->group_count = 0;
	span->groups = tl_arena_array(arena, count, sizeof(*span->groups));
	if (span->groups == NULL)
		return TL_ENOMEM;
	count = 0;
	for (uint32_t i = 0; i < page_count; i++) {
		const struct tl_page *page = &span->pages[i];

		if (page->group_count > 0)
			memcpy(span->groups + count, page->groups,
				page->group_count * sizeof(*span->groups));
		count += page->group_count;
	}
	if (count > 1)
		qsort(span->groups, count, sizeof(*span->groups), group_cmp);
	for (uint32_t i = 0; i < count; i++) {
		if (i == 0 || span->groups[i] != span->groups[span->group_count - 1])
			span->groups[span->group_count++] = span->groups[i];
	}
	return TL_OK;
}

/* Pages from pages_ms on, up to end_ms or until they have enough; where they end. */
static enum tl_err
read_pages(struct span *span, int64_t end_ms, struct tl_arena *arena, int64_t *end_ms_out,
	struct tl_why *why)
{
	int64_t at = span->pages_ms;
	int64_t request_count = 0;
	uint32_t page_count = 0;

	while (at < end_ms && request_count < SPAN_REQUESTS) {
		struct tl_page *page = &span->pages[page_count++];
		enum tl_err err =
			facts_page(span->x->job->scene, TL_SPAN_15M, at, arena, page, why);

		if (err && err != TL_ENOT_FOUND)
			return err;
		if (err)
			*page = (struct tl_page){.row_count = 0};
		for (uint32_t i = 0; i < page->row_count; i++)
			request_count += page->rows[i].totals.requests;
		at += TL_QUARTER_MS;
	}
	*end_ms_out = at;
	return join_groups(span, page_count, arena);
}

/* Events that count in [from, to) of the pages, as far as the window reaches. */
static enum tl_err
read_rows(struct span *span, int64_t from_ms, int64_t to_ms, struct tl_why *why)
{
	const struct query_job *job = span->x->job;
	int64_t start_ms = tl_window_start_ms(&job->window);
	int64_t end_ms = tl_window_end_ms(&job->window);
	struct raw_ask ask = {.org = job->scene->org->no,
		.bucket_ms = span->pages_ms,
		.from_ms = from_ms > start_ms ? from_ms : start_ms,
		.to_ms = to_ms < end_ms ? to_ms : end_ms,
		.column_mask = ~0ULL,
		.groups = span->groups,
		.group_count = span->group_count};

	if (ask.from_ms >= ask.to_ms)
		return TL_OK;
	return raw_walk(job->scene, &ask, take_row, span, why);
}

/* The span that begins at start_ms: where it ends, and its rows. */
static enum tl_err
read_span(struct span *span, struct tl_arena *arena, struct tl_why *why)
{
	int64_t day_end_ms = tl_bucket_floor(TL_SPAN_1D, span->start_ms) + TL_DAY_MS;
	int64_t before_ms = span->start_ms - TL_QUARTER_MS;
	enum tl_err err;

	span->count = 0;
	span->is_cut = false;
	tl_arena_reset(arena);
	span->pages_ms = span->start_ms;
	err = read_pages(span, day_end_ms, arena, &span->end_ms, why);
	if (!err)
		err = read_rows(span, span->start_ms, span->end_ms, why);
	if (err)
		return err;
	tl_arena_reset(arena);
	span->pages_ms = before_ms;
	err = read_pages(span, span->start_ms, arena, &before_ms, why);
	return err ? err : read_rows(span, span->start_ms - TL_FUTURE_MS_MAX, span->start_ms, why);
}

static enum tl_err
put_name(struct query_job *job, enum tl_name_kind kind, uint32_t id, struct tl_buf *name,
	struct tl_why *why)
{
	enum tl_err err;

	if (id == 0) {
		tl_pack_nil(job->reply);
		return TL_OK;
	}
	err = kept_name(job->scene, kind, id, name, why);
	if (err == TL_ENOT_FOUND)
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "name %u of kind %d is missing", id, kind);
	if (!err)
		tl_pack_slice(job->reply, tl_buf_slice(name));
	return err;
}

static enum tl_err
put_value(struct query_job *job, enum tl_column column, int64_t value, struct tl_buf *name,
	struct tl_why *why)
{
	if (tl_column_name_kind(column) != 0)
		return put_name(job, tl_column_name_kind(column), (uint32_t)value, name, why);
	if (column == TL_COL_BILLING)
		tl_pack_str(job->reply, value == TL_BILLING_PLAN ? "plan" : "api");
	else if ((tl_column_default(column) == -1 && value == -1) ||
		 (column == TL_COL_PR && value == 0))
		tl_pack_nil(job->reply); /* not known; none */
	else
		tl_pack_int(job->reply, value);
	return TL_OK;
}

static void
put_who(struct query_job *job, const struct request_row *row)
{
	const struct tl_org *org = job->scene->org;
	const struct tl_member *member = tl_org_member(org, row->member);
	const struct tl_agent *agent = tl_org_agent(org, row->agent);
	char hex[33];

	if (member != NULL) {
		tl_hex(member->id, sizeof(member->id), hex);
		tl_pack_str(job->reply, hex);
	} else {
		tl_pack_nil(job->reply);
	}
	if (job->sees_private && member != NULL && member->email[0] != '\0')
		tl_pack_str(job->reply, member->email);
	else if (job->sees_private)
		tl_pack_nil(job->reply);
	if (agent != NULL)
		tl_pack_str(job->reply, agent->type);
	else
		tl_pack_nil(job->reply);
}

static enum tl_err
put_row(struct query_job *job, const struct request_row *row, struct tl_buf *name,
	struct tl_why *why)
{
	char hex[33];
	enum tl_err err = TL_OK;

	tl_pack_array(job->reply, field_count(job));
	tl_pack_int(job->reply, row->ts_ms);
	tl_hex(row->id, sizeof(row->id), hex);
	tl_pack_str(job->reply, hex);
	put_who(job, row);
	for (size_t i = 0; !err && i < COLUMN_COUNT; i++)
		err = put_value(job, columns[i], row->values[i], name, why);
	return err;
}

/* The span's rows, one at least and as many as fit. *is_done_out false: the page ends here. */
static enum tl_err
put_span(struct span *span, struct tl_buf *name, bool *is_done_out, struct tl_why *why)
{
	struct export *x = span->x;
	enum tl_err err = TL_OK;
	uint32_t i;

	shrink(span);
	for (i = 0; !err && i < span->count && (i == 0 || !export_is_full(x)); i++) {
		err = put_row(x->job, &span->rows[i], name, why);
		x->rows->count++;
		x->place.ms = span->rows[i].ts_ms;
		memcpy(x->place.id, span->rows[i].id, sizeof(x->place.id));
	}
	*is_done_out = i == span->count && !span->is_cut;
	if (!*is_done_out)
		return err;
	x->place.ms = span->end_ms - 1;
	memset(x->place.id, 0xff, sizeof(x->place.id));
	return err;
}

/* Where to go on: a span that is done is marked by an id that no event has. */
static int64_t
first_quarter(const struct export_place *place)
{
	bool is_done = true;

	for (size_t i = 0; i < sizeof(place->id); i++)
		is_done = is_done && place->id[i] == 0xff;
	return tl_bucket_floor(TL_SPAN_15M, place->ms + is_done);
}

enum tl_err
export_requests(struct export *x, struct tl_why *why)
{
	int64_t end_ms = tl_window_end_ms(&x->job->window) + TL_FUTURE_MS_MAX;
	struct span *span = tl_arena_array(x->job->arena, 1, sizeof(*span));
	struct tl_arena arena;
	struct tl_buf name;
	int64_t far_ms;
	bool is_done = true;
	enum tl_err err = TL_OK;

	if (span == NULL)
		return TL_ENOMEM;
	span->x = x;
	span->rows = tl_arena_array(x->job->arena, 2 * ROWS_MAX, sizeof(*span->rows));
	if (span->rows == NULL)
		return TL_ENOMEM;
	tl_arena_init(&arena, CELL_ARENA_BYTES_MAX);
	tl_buf_init(&name, 0);
	span->start_ms = first_quarter(&x->place);
	far_ms = span->start_ms + QUARTERS_MAX * TL_QUARTER_MS;
	do {
		err = read_span(span, &arena, why);
		if (!err)
			err = put_span(span, &name, &is_done, why);
		if (is_done)
			span->start_ms = span->end_ms;
	} while (!err && is_done && span->start_ms < end_ms && span->start_ms < far_ms &&
		 !export_is_full(x));
	x->is_over = is_done && span->start_ms >= end_ms;
	tl_buf_fini(&name);
	tl_arena_fini(&arena);
	return err;
}
