/*
 * The page of one session: its figures by model and over its life, and its requests one by one. The
 * cells that hold the session say how many requests each has, so that a page of requests reads only
 * the blocks it shows.
 */
#include <stdlib.h>

#include "query/listing.h"
#include "query/raw.h"
#include "query/session.h"

#define COLUMN_BIT(column) (1ULL << (column))

#define REQUEST_COLUMNS                                                                    \
	(COLUMN_BIT(TL_COL_KIND) | COLUMN_BIT(TL_COL_SESSION) | COLUMN_BIT(TL_COL_MODEL) | \
		COLUMN_BIT(TL_COL_INPUT) | COLUMN_BIT(TL_COL_CACHE_READ) |                 \
		COLUMN_BIT(TL_COL_CACHE_WRITE) | COLUMN_BIT(TL_COL_OUTPUT) |               \
		COLUMN_BIT(TL_COL_COST) | COLUMN_BIT(TL_COL_STATUS) |                      \
		COLUMN_BIT(TL_COL_DURATION) | COLUMN_BIT(TL_COL_TAGS))

#define CELL_ARENA_BYTES_MAX (256u << 20)

/* One request event, as much as is shown. */
struct request {
	uint8_t id[16];
	int64_t time_ms, ts_ms;
	int64_t input, cache_read, cache_write, output;
	int64_t cost_nusd, status, duration_ms; /* -1: unknown */
	uint32_t model, tags;
};

struct requests {
	struct query_job *job;
	uint32_t session;
	struct request *list;
	uint32_t count, capacity;
};

static enum tl_err
take_request(void *arg, const struct raw_row *row, struct tl_why *why)
{
	struct requests *requests = arg;
	const struct tl_batch *batch = row->batch;
	uint32_t idx = row->row_idx;
	struct request *request;

	if (tl_batch_get(batch, TL_COL_SESSION, idx) != requests->session ||
		tl_batch_get(batch, TL_COL_KIND, idx) != TL_KIND_REQUEST)
		return TL_OK;
	if (requests->count == requests->capacity) {
		uint32_t capacity = requests->capacity == 0 ? 64 : requests->capacity * 2;
		struct request *list =
			tl_arena_array(requests->job->arena, capacity, sizeof(*list));

		if (list == NULL)
			return tl_fail(why, TL_ENOMEM, "no memory for the requests");
		if (requests->count > 0)
			memcpy(list, requests->list, requests->count * sizeof(*list));
		requests->list = list;
		requests->capacity = capacity;
	}
	request = &requests->list[requests->count++];
	*request = (struct request){
		.time_ms = row->time_ms,
		.ts_ms = tl_batch_get(batch, TL_COL_TS, idx),
		.input = tl_batch_get(batch, TL_COL_INPUT, idx),
		.cache_read = tl_batch_get(batch, TL_COL_CACHE_READ, idx),
		.cache_write = tl_batch_get(batch, TL_COL_CACHE_WRITE, idx),
		.output = tl_batch_get(batch, TL_COL_OUTPUT, idx),
		.cost_nusd = tl_batch_get(batch, TL_COL_COST, idx),
		.status = tl_batch_get(batch, TL_COL_STATUS, idx),
		.duration_ms = tl_batch_get(batch, TL_COL_DURATION, idx),
		.model = (uint32_t)tl_batch_get(batch, TL_COL_MODEL, idx),
		.tags = (uint32_t)tl_batch_get(batch, TL_COL_TAGS, idx),
	};
	memcpy(request->id, batch->id[idx], sizeof(request->id));
	return TL_OK;
}

static int
request_cmp(const void *a, const void *b)
{
	const struct request *left = a;
	const struct request *right = b;

	if (left->time_ms != right->time_ms)
		return left->time_ms < right->time_ms ? -1 : 1;
	return memcmp(left->id, right->id, sizeof(left->id));
}

static uint32_t
count_requests(const struct tl_page *page, uint32_t session)
{
	int64_t count = 0;

	for (uint32_t i = 0; i < page->row_count; i++) {
		if (page->rows[i].key.session == session)
			count += page->rows[i].totals.requests;
	}
	return (uint32_t)count;
}

/* Where a page of requests lies among the cells of a session. */
struct place {
	uint64_t before; /* requests of the cells passed */
	uint64_t first, end;
};

/* The part of one cell's requests that lies in [first, end) is kept. */
static enum tl_err
read_cell(struct requests *requests, int64_t bucket_ms, struct place *place, bool *is_cut,
	struct tl_why *why)
{
	const struct query_scene *scene = requests->job->scene;
	struct raw_ask ask = {
		.org = scene->org->no,
		.bucket_ms = bucket_ms,
		.from_ms = bucket_ms,
		.to_ms = bucket_ms + TL_QUARTER_MS,
		.column_mask = REQUEST_COLUMNS,
	};
	struct tl_page page = {0};
	struct tl_arena arena;
	uint64_t before = place->before;
	uint32_t start = requests->count;
	uint32_t skip, kept;
	enum tl_err err;

	tl_arena_init(&arena, CELL_ARENA_BYTES_MAX);
	err = facts_page(scene, TL_SPAN_15M, bucket_ms, &arena, &page, why);
	if (err)
		goto out;
	place->before += count_requests(&page, requests->session);
	if (place->before <= place->first || before >= place->end)
		goto out;
	ask.groups = page.groups;
	ask.group_count = page.group_count;
	err = raw_walk(scene, &ask, take_request, requests, why);
	if (!err && requests->count - start != place->before - before)
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "a cell and its events differ");
	if (err)
		goto out;
	qsort(requests->list + start, requests->count - start, sizeof(*requests->list),
		request_cmp);
	skip = before < place->first ? (uint32_t)(place->first - before) : 0;
	kept = requests->count - start - skip;
	if (kept > place->end - before - skip)
		kept = (uint32_t)(place->end - before - skip);
	memmove(requests->list + start, requests->list + start + skip,
		kept * sizeof(*requests->list));
	requests->count = start + kept;

out:
	tl_arena_fini(&arena);
	if (err == TL_EEDGE_UNAVAILABLE || err == TL_ENOT_FOUND) {
		*is_cut = true; /* figures outlive the events they are of */
		requests->count = start;
		return TL_OK;
	}
	return err;
}

static enum tl_err
read_requests(struct requests *requests, const struct tl_session_row *row, struct reply_page *page,
	struct tl_why *why)
{
	struct place place = {.first = page->first, .end = page->end};
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < row->bucket_count && place.before < place.end; i++)
		err = read_cell(
			requests, row->buckets[i] * TL_QUARTER_MS, &place, &page->is_cut, why);
	return err;
}

static void
put_unknown(struct tl_buf *reply, struct tl_pack_open *map, const char *key, int64_t value)
{
	tl_pack_key(reply, map, key);
	if (value < 0)
		tl_pack_nil(reply);
	else
		tl_pack_int(reply, value);
}

/* The tags of what agents say of themselves, as this org has them; 0: nothing here is tagged so. */
static enum tl_err
find_client_tags(const struct query_job *job, uint32_t *tags_out, struct tl_why *why)
{
	enum tl_err err = job_find(job, TL_NAME_TAGS, tl_slice_str(TL_TAGS_CLIENT), tags_out, why);

	if (err == TL_ENOT_FOUND)
		*tags_out = 0;
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

static enum tl_err
put_requests(struct requests *requests, struct tl_pack_open *map, struct tl_why *why)
{
	struct query_job *job = requests->job;
	struct tl_buf *reply = job->reply;
	struct tl_slice model = {0};
	uint32_t model_id = 0, client_tags;
	enum tl_err err = find_client_tags(job, &client_tags, why);

	tl_pack_key(reply, map, "rows");
	tl_pack_array(reply, requests->count);
	for (uint32_t i = 0; !err && i < requests->count; i++) {
		const struct request *request = &requests->list[i];
		struct tl_pack_open row = tl_pack_open_map(reply);
		char hex[2 * sizeof(request->id) + 1];

		tl_hex(request->id, sizeof(request->id), hex);
		if (request->model != model_id)
			err = job_name(job, TL_NAME_MODEL, request->model, &model, why);
		model_id = request->model;
		tl_pack_key_str(reply, &row, "id", hex);
		tl_pack_key_int(reply, &row, "ts", request->ts_ms);
		tl_pack_key_slice(reply, &row, "model", model);
		tl_pack_key_int(reply, &row, "tokens",
			request->input + request->cache_read + request->cache_write +
				request->output);
		tl_pack_key_int(reply, &row, "input_tokens", request->input);
		tl_pack_key_int(reply, &row, "cache_read_tokens", request->cache_read);
		tl_pack_key_int(reply, &row, "cache_write_tokens", request->cache_write);
		tl_pack_key_int(reply, &row, "output_tokens", request->output);
		put_unknown(reply, &row, "cost_nusd", request->cost_nusd);
		tl_pack_key_int(reply, &row, "status", request->status);
		put_unknown(reply, &row, "duration_ms", request->duration_ms);
		tl_pack_key_bool(reply, &row, "client_reported",
			request->tags != 0 && request->tags == client_tags);
		tl_pack_close(reply, &row);
	}
	return err;
}

static enum tl_err
name_model(struct query_job *job, struct listing_row *row, struct tl_why *why)
{
	return job_name(job, TL_NAME_MODEL, (uint32_t)row->key, &row->name, why);
}

static enum tl_err
put_models(struct query_job *job, struct tl_pack_open *map, const struct board *board,
	struct tl_why *why)
{
	struct listing_row *rows = tl_arena_array(job->arena, board->row_count, sizeof(*rows));
	struct reply_page page = {0};
	enum tl_err err;

	if (rows == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < board->row_count; i++) {
		const struct board_row *usage = board_row(board, i);

		if (usage->totals.requests > 0)
			rows[page.end++] = (struct listing_row){
				.order = {tl_totals_value(&usage->totals, job->query->metric),
					usage->totals.requests},
				.key = usage->key,
				.what = usage,
			};
	}
	err = listing_sort(job, rows, page.end, &page, name_model, why);
	tl_pack_key(job->reply, map, "models");
	tl_pack_array(job->reply, page.end);
	for (uint32_t i = 0; !err && i < page.end; i++) {
		const struct board_row *usage = rows[i].what;
		struct tl_pack_open row = tl_pack_open_map(job->reply);

		tl_pack_key_slice(job->reply, &row, "model", rows[i].name);
		tl_pack_key_int(job->reply, &row, "value", rows[i].order[0]);
		reply_totals(job, &row, &usage->totals, usage->session_count);
		tl_pack_close(job->reply, &row);
	}
	return err;
}

/* Whole quarters from the session's first cell to its last, so that no edge cuts one. */
static enum tl_err
make_window(struct query_job *job, const struct tl_session_row *row, struct tl_why *why)
{
	int64_t from_ms = tl_bucket_floor(TL_SPAN_15M, job->scene->now_ms);
	int64_t to_ms = from_ms + TL_QUARTER_MS;

	if (row->bucket_count > 0) {
		from_ms = row->buckets[0] * TL_QUARTER_MS;
		to_ms = (row->buckets[row->bucket_count - 1] + 1) * TL_QUARTER_MS;
	}
	if (to_ms - from_ms > TL_RANGE_DAYS_MAX * TL_DAY_MS)
		from_ms = to_ms - TL_RANGE_DAYS_MAX * TL_DAY_MS;
	return tl_window_custom(job->window.zone, from_ms, to_ms, &job->window, why);
}

static enum tl_err
put_figures(struct query_job *job, struct tl_pack_open *map, uint32_t session,
	const struct tl_session_row *row, struct tl_why *why)
{
	struct board all, models;
	enum tl_err err;

	err = session_board(job, &job->window, session, row, TL_DIM_ORG, &all, why);
	if (!err)
		err = session_board(job, &job->window, session, row, TL_DIM_MODEL, &models, why);
	if (!err)
		err = session_put(job, map, session, row, why);
	if (err)
		return err;
	tl_pack_key(job->reply, map, "mean_duration_ms");
	if (row->totals.timed_requests > 0)
		tl_pack_int(job->reply, row->totals.duration_ms / row->totals.timed_requests);
	else
		tl_pack_nil(job->reply);
	tl_pack_key_int(
		job->reply, map, "value", tl_totals_value(&row->totals, job->query->metric));
	reply_spark(job, map, "spark", board_find(&all, BOARD_KEY_ORG));
	return put_models(job, map, &models, why);
}

enum tl_err
session_run(struct query_job *job, struct tl_why *why)
{
	struct requests requests = {.job = job};
	struct tl_session_row row;
	struct reply_page page;
	struct tl_pack_open map;
	enum tl_err err;

	if (job->query->session.bytes == 0)
		return tl_fail(why, TL_EBAD_PARAM, "session: its id is wanted");
	err = session_find(job, job->query->session, &requests.session, &row, why);
	if (!err)
		err = make_window(job, &row, why);
	if (err)
		return err;
	page = reply_page_of(job, (uint32_t)row.totals.requests);
	err = read_requests(&requests, &row, &page, why);
	if (err)
		return err;
	page.is_cut |= session_is_cut(&row);
	map = reply_open(job);
	reply_head(job, &map, &page);
	err = put_figures(job, &map, requests.session, &row, why);
	if (!err)
		err = put_requests(&requests, &map, why);
	return err ? err : reply_close(job, &map, why);
}
