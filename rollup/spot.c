#include "rollup/spot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rollup/index.h"
#include "schema/model/bucket.h"
#include "schema/store/block.h"
#include "schema/store/cell_read.h"
#include "schema/store/days.h"
#include "schema/store/key.h"
#include "schema/store/sealed.h"

#define ARENA_BYTES_MAX (64u << 20)
#define BLOCK_ARENA_BYTES_MAX (512u << 20)

#define COLUMN(column) (UINT64_C(1) << (column))
#define UNUSED_COLUMNS                                                                 \
	(COLUMN(TL_COL_PROVIDER) | COLUMN(TL_COL_BRANCH) | COLUMN(TL_COL_COMMIT) |     \
		COLUMN(TL_COL_TAGS) | COLUMN(TL_COL_EMAIL_ENC) | COLUMN(TL_COL_RULE) | \
		COLUMN(TL_COL_SEVERITY))

#define HOUR_QUARTERS 4

/* What raw says of one key in one quarter. */
struct spot_row {
	int64_t bucket_no;
	struct tl_cell_row row;
};

/* The hour as it is counted. */
struct count {
	struct spot *spot;
	const struct tl_view *view;
	const struct spot_hour *hour;
	struct index index;
	struct spot_row **rows; /* by (bucket, key) once complete */
	uint32_t row_count, row_capacity;
};

void
spot_init(struct spot *spot, struct tl_store *store)
{
	*spot = (struct spot){.store = store};
	tl_arena_init(&spot->arena, ARENA_BYTES_MAX);
	tl_arena_init(&spot->block_arena, BLOCK_ARENA_BYTES_MAX);
}

void
spot_fini(struct spot *spot)
{
	tl_arena_fini(&spot->arena);
	tl_arena_fini(&spot->block_arena);
}

static struct spot_row *
find_row(const struct count *count, uint64_t hash, int64_t bucket_no, const struct tl_cell_key *key)
{
	uint64_t at = hash;
	struct spot_row *row;

	while ((row = index_next(&count->index, hash, &at)) != NULL) {
		if (row->bucket_no == bucket_no && tl_cell_key_cmp(&row->row.key, key) == 0)
			return row;
	}
	return NULL;
}

static enum tl_err
list_row(struct count *count, struct spot_row *row)
{
	if (count->row_count == count->row_capacity) {
		uint32_t capacity = count->row_capacity * 2 + 256;
		struct spot_row **rows =
			tl_arena_array(&count->spot->arena, capacity, sizeof(struct spot_row *));

		if (rows == NULL)
			return TL_ENOMEM;
		if (count->row_count > 0)
			memcpy(rows, count->rows, count->row_count * sizeof(struct spot_row *));
		count->rows = rows;
		count->row_capacity = capacity;
	}
	count->rows[count->row_count++] = row;
	return TL_OK;
}

static enum tl_err
need_row(struct count *count, int64_t bucket_no, const struct tl_cell_key *key,
	struct spot_row **row_out)
{
	struct tl_arena *arena = &count->spot->arena;
	uint64_t hash = index_hash(index_hash(key->session, (uint64_t)bucket_no),
		index_hash((uint64_t)key->member << 32 | key->agent,
			(uint64_t)key->model << 32 | key->repo));
	enum tl_err err;

	*row_out = find_row(count, hash, bucket_no, key);
	if (*row_out != NULL)
		return TL_OK;
	*row_out = tl_arena_alloc(arena, sizeof(**row_out));
	if (*row_out == NULL)
		return TL_ENOMEM;
	**row_out = (struct spot_row){.bucket_no = bucket_no, .row.key = *key};
	err = index_put(&count->index, arena, hash, *row_out);
	return err ? err : list_row(count, *row_out);
}

static struct tl_cell_key
key_of(const struct tl_batch *batch, uint32_t idx)
{
	struct tl_cell_key key = {
		.session = (uint32_t)tl_batch_get(batch, TL_COL_SESSION, idx),
		.member = (uint32_t)tl_batch_get(batch, TL_COL_MEMBER, idx),
		.agent = (uint32_t)tl_batch_get(batch, TL_COL_AGENT, idx),
		.model = (uint32_t)tl_batch_get(batch, TL_COL_MODEL, idx),
		.repo = (uint32_t)tl_batch_get(batch, TL_COL_REPO, idx),
	};

	key.has_own_repo = key.repo != 0;
	return key;
}

static enum tl_err
count_row(struct count *count, const struct tl_batch *batch, uint32_t idx, int64_t received_ms)
{
	int64_t time_ms = tl_event_time(tl_batch_get(batch, TL_COL_TS, idx), received_ms);
	struct tl_cell_key key = key_of(batch, idx);
	struct tl_totals totals;
	struct spot_row *row;
	enum tl_err err;

	if (tl_batch_get(batch, TL_COL_ORG, idx) != count->hour->org ||
		tl_bucket_floor(TL_SPAN_1H, time_ms) != count->hour->hour_ms ||
		tl_batch_get(batch, TL_COL_KIND, idx) == TL_KIND_LINK)
		return TL_OK;
	tl_event_totals(batch, idx, &totals);
	err = need_row(count, tl_bucket_no(TL_SPAN_15M, time_ms), &key, &row);
	if (err)
		return err;
	return tl_totals_add(
		&row->row.totals, &totals, tl_batch_get(batch, TL_COL_SIGN, idx) < 0 ? -1 : 1);
}

/* Most blocks of a day end before the hour or begin after it: their heads say so. */
static enum tl_err
count_block(struct count *count, struct tl_slice block)
{
	struct tl_arena *arena = &count->spot->block_arena;
	struct tl_block_head head;
	struct tl_batch batch;
	enum tl_err err = tl_block_head(block, &head);

	if (err || tl_event_time(head.ts_ms_max, head.received_ms) < count->hour->hour_ms ||
		tl_event_time(head.ts_ms_min, head.received_ms) >=
			count->hour->hour_ms + TL_HOUR_MS)
		return err;
	tl_arena_reset(arena);
	err = tl_block_decode(block, ~UNUSED_COLUMNS, arena, &head, &batch);
	for (uint32_t i = 0; !err && i < batch.row_count; i++)
		err = count_row(count, &batch, i, head.received_ms);
	return err;
}

static enum tl_err
count_chunk(struct count *count, struct tl_day *day, const struct tl_run *run, uint32_t chunk_idx,
	struct tl_why *why)
{
	const struct tl_run_chunk *about = &run->chunks[chunk_idx];
	struct tl_chunk chunk;
	enum tl_err err;

	if (count->hour->org < about->org_first || count->hour->org > about->org_last ||
		about->time_ms_max < count->hour->hour_ms ||
		about->time_ms_min >= count->hour->hour_ms + TL_HOUR_MS)
		return TL_OK;
	tl_arena_reset(&count->spot->block_arena);
	err = tl_sealed_chunk(count->spot->store, count->view, day, run, chunk_idx, ~UNUSED_COLUMNS,
		&count->spot->block_arena, &chunk, why);
	for (uint32_t i = 0; !err && i < chunk.batch.row_count; i++)
		err = count_row(count, &chunk.batch, i, tl_chunk_received_ms(run, &chunk, i));
	return err;
}

static enum tl_err
count_runs(struct count *count, struct tl_day *day, struct tl_why *why)
{
	struct tl_arena arena;
	uint64_t next = 0;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	while (!err) {
		struct tl_run run;

		tl_arena_reset(&arena);
		err = tl_sealed_next(count->spot->store, count->view, day, next, &arena, &run, why);
		if (err)
			break;
		next = tl_run_group_last(&run) + 1;
		for (uint32_t i = 0; !err && i < run.chunk_count; i++)
			err = count_chunk(count, day, &run, i, why);
	}
	tl_arena_fini(&arena);
	return err == TL_EEND ? TL_OK : err;
}

static enum tl_err
count_day(struct count *count, struct tl_day *day, struct tl_why *why)
{
	struct tl_key end = tl_key_block(tl_view_group_no(count->view) + 1, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err = count_runs(count, day, why);

	if (!err)
		err = tl_scan_open_day(count->spot->store, count->view, day, tl_slice_of(NULL, 0),
			tl_key_slice(&end), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK)
		err = count_block(count, value);
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

static int
compare_counted(const void *a_arg, const void *b_arg)
{
	const struct spot_row *a = *(struct spot_row *const *)a_arg;
	const struct spot_row *b = *(struct spot_row *const *)b_arg;

	if (a->bucket_no != b->bucket_no)
		return a->bucket_no < b->bucket_no ? -1 : 1;
	return tl_cell_key_cmp(&a->row.key, &b->row.key);
}

static int
compare_rows(const void *a_arg, const void *b_arg)
{
	return tl_cell_key_cmp(&((const struct tl_cell_row *)a_arg)->key,
		&((const struct tl_cell_row *)b_arg)->key);
}

/* By key, equal keys added up, rows of nothing left out. */
static enum tl_err
settle(struct tl_cell_row *rows, uint32_t *count)
{
	uint32_t kept = 0;
	enum tl_err err = TL_OK;

	if (*count > 1)
		qsort(rows, *count, sizeof(*rows), compare_rows);
	for (uint32_t i = 0; !err && i < *count; i++) {
		if (kept > 0 && tl_cell_key_cmp(&rows[kept - 1].key, &rows[i].key) == 0)
			err = tl_totals_add(&rows[kept - 1].totals, &rows[i].totals, 1);
		else
			rows[kept++] = rows[i];
	}
	*count = 0;
	for (uint32_t i = 0; i < kept; i++) {
		if (!tl_totals_is_zero(&rows[i].totals))
			rows[(*count)++] = rows[i];
	}
	return err;
}

/* The rows of a stored cell as raw could give them: without the repos that links gave. */
static enum tl_err
read_cell(struct count *count, enum tl_span span, int64_t bucket_ms, struct tl_page *page_out,
	struct tl_why *why)
{
	struct spot *spot = count->spot;
	enum tl_err err = tl_cell_read(spot->store, count->view, count->hour->org, span, bucket_ms,
		&spot->block_arena, page_out, why);

	if (err == TL_ENOT_FOUND) {
		*page_out = (struct tl_page){.row_count = 0};
		return TL_OK;
	}
	for (uint32_t i = 0; !err && i < page_out->row_count; i++) {
		if (!page_out->rows[i].key.has_own_repo)
			page_out->rows[i].key.repo = 0;
	}
	return err ? err : settle(page_out->rows, &page_out->row_count);
}

static void
report_row(const struct count *count, enum tl_span span, int64_t bucket_ms,
	const struct tl_cell_row *stored, const struct tl_cell_row *counted,
	struct spot_report *report)
{
	char time[TL_TIME_TEXT_BYTES];

	tl_time_format(bucket_ms, time);
	snprintf(report->difference, sizeof(report->difference),
		"cell %s org %u %s session %u: stored %" PRId64 " requests %" PRId64
		" nusd, recounted %" PRId64 " %" PRId64,
		tl_span_name(span), count->hour->org, time,
		counted->key.session != 0 ? counted->key.session : stored->key.session,
		stored->totals.requests, stored->totals.cost_nusd, counted->totals.requests,
		counted->totals.cost_nusd);
}

/* A cell against rows[0..row_count) of what was counted, which is put in order here. */
static enum tl_err
compare_cell(struct count *count, enum tl_span span, int64_t bucket_ms, struct tl_cell_row *rows,
	uint32_t row_count, struct spot_report *report, struct tl_why *why)
{
	static const struct tl_cell_row none = {.totals = {.requests = 0}};
	struct tl_page page;
	enum tl_err err = settle(rows, &row_count);

	if (!err)
		err = read_cell(count, span, bucket_ms, &page, why);
	for (uint32_t i = 0; !err && (i < row_count || i < page.row_count); i++) {
		const struct tl_cell_row *counted = i < row_count ? &rows[i] : &none;
		const struct tl_cell_row *stored = i < page.row_count ? &page.rows[i] : &none;

		report->rows++;
		if (tl_cell_key_cmp(&counted->key, &stored->key) == 0 &&
			tl_totals_eq(&counted->totals, &stored->totals))
			continue;
		report_row(count, span, bucket_ms, stored, counted, report);
		break;
	}
	return err;
}

/* The rows of some quarters copied in a row. */
static enum tl_err
copy_rows(struct count *count, uint32_t first, uint32_t end, struct tl_cell_row **rows_out)
{
	*rows_out = tl_arena_array(&count->spot->block_arena, end - first, sizeof(**rows_out));
	if (*rows_out == NULL)
		return TL_ENOMEM;
	for (uint32_t i = first; i < end; i++)
		(*rows_out)[i - first] = count->rows[i]->row;
	return TL_OK;
}

static enum tl_err
compare_hour(struct count *count, struct spot_report *report, struct tl_why *why)
{
	int64_t hour_ms = count->hour->hour_ms;
	struct tl_cell_row *rows;
	uint32_t first = 0;
	enum tl_err err = TL_OK;

	tl_arena_reset(&count->spot->block_arena);
	if (count->row_count > 1)
		qsort(count->rows, count->row_count, sizeof(struct spot_row *), compare_counted);
	for (int i = 0; i < HOUR_QUARTERS && !err && report->difference[0] == '\0'; i++) {
		int64_t bucket_ms = hour_ms + i * TL_QUARTER_MS;
		uint32_t end = first;

		while (end < count->row_count &&
			count->rows[end]->bucket_no == tl_bucket_no(TL_SPAN_15M, bucket_ms))
			end++;
		err = copy_rows(count, first, end, &rows);
		if (!err)
			err = compare_cell(
				count, TL_SPAN_15M, bucket_ms, rows, end - first, report, why);
		first = end;
	}
	if (err || report->difference[0] != '\0')
		return err;
	err = copy_rows(count, 0, count->row_count, &rows);
	return err ? err
		   : compare_cell(count, TL_SPAN_1H, hour_ms, rows, count->row_count, report, why);
}

enum tl_err
spot_check(struct spot *spot, const struct tl_view *view, const struct spot_hour *hour,
	struct spot_report *report_out, struct tl_why *why)
{
	struct tl_day *day = tl_day_pin(spot->store, tl_bucket_floor(TL_SPAN_1D, hour->hour_ms));
	struct count count = {.spot = spot, .view = view, .hour = hour};
	struct spot_report report = {.rows = 0};
	enum tl_err err;

	if (day == NULL)
		return TL_EEND;
	tl_arena_reset(&spot->arena);
	err = count_day(&count, day, why);
	tl_day_unpin(day);
	if (!err)
		err = compare_hour(&count, &report, why);
	if (!err)
		*report_out = report;
	return err == TL_ENOMEM ? TL_EEND : err;
}
