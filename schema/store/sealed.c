/*
 * A run is decoded whole and its rows are listed by group; a block is gathered from that list. A
 * group's late rows are of other days, so a few runs are kept: those that a walk of the journal
 * alternates between.
 */
#include "schema/store/sealed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "schema/model/money.h"
#include "schema/store/key.h"
#include "schema/store/store_private.h"

#define RUNS_KEPT 8u
#define RUN_ARENA_BYTES_MAX ((size_t)128 << 20)
#define COLUMN(column) (UINT64_C(1) << (column))
#define HEAD_COLUMNS (COLUMN(TL_COL_TS) | COLUMN(TL_COL_COST) | COLUMN(TL_COL_SIGN))

/* A run in memory. */
struct kept_run {
	int64_t day_ms;
	uint64_t group_last; /* 0: free */
	uint64_t column_mask;
	uint64_t used_at;
	struct tl_arena arena;
	struct tl_run run;
	struct tl_chunk chunks[TL_RUN_CHUNKS_MAX];
	uint32_t *rows;	 /* chunk << 16 | row, by group */
	uint32_t *first; /* group -> place in rows; one more than there are groups */
};

struct tl_sealed {
	struct tl_store *store;
	struct kept_run runs[RUNS_KEPT];
	uint64_t clock; /* counts uses */
};

static enum tl_err
run_fail(struct tl_why *why, enum tl_err err, int64_t day_ms, uint64_t group_last)
{
	char text[TL_DAY_TEXT_BYTES];

	tl_day_format(day_ms, text);
	return tl_fail(why, err, "day %s: the run to group %" PRIu64 ": %s", text, group_last,
		tl_err_text(err));
}

enum tl_err
tl_sealed_next(struct tl_store *store, const struct tl_view *view, struct tl_day *day,
	uint64_t group_no, struct tl_arena *arena, struct tl_run *run_out, struct tl_why *why)
{
	struct tl_key first = tl_key_run(group_no);
	struct tl_key last = tl_key_chunk(0, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	uint64_t group_last = 0;
	enum tl_err err;

	err = tl_scan_open_day(
		store, view, day, tl_key_slice(&first), tl_key_slice(&last), &scan, why);
	if (!err)
		err = tl_scan_next(scan, &key, &value, why);
	if (!err) {
		err = tl_key_run_parse(key, &group_last) ? tl_run_decode(value, arena, run_out)
							 : TL_ESTORAGE_CORRUPT;
		if (!err && tl_run_group_last(run_out) != group_last)
			err = TL_ESTORAGE_CORRUPT;
		if (err)
			err = run_fail(why, err, tl_day_ms(day), group_last);
	}
	tl_scan_free(scan);
	return err;
}

enum tl_err
tl_sealed_chunk(struct tl_store *store, const struct tl_view *view, struct tl_day *day,
	const struct tl_run *run, uint32_t chunk_idx, uint64_t column_mask, struct tl_arena *arena,
	struct tl_chunk *chunk_out, struct tl_why *why)
{
	struct tl_key key = tl_key_chunk(tl_run_group_last(run), (uint16_t)chunk_idx);
	struct tl_buf buf;
	enum tl_err err;

	assert(chunk_idx < run->chunk_count);
	tl_buf_init(&buf, 0);
	err = tl_day_get(store, view, day, tl_key_slice(&key), &buf, why);
	if (err == TL_ENOT_FOUND)
		err = run_fail(why, TL_EACKED_DATA_MISSING, tl_day_ms(day), tl_run_group_last(run));
	else if (!err) {
		err = tl_chunk_decode(
			tl_buf_slice(&buf), run->group_count, column_mask, arena, chunk_out);
		if (!err && chunk_out->batch.row_count != run->chunks[chunk_idx].row_count)
			err = TL_ESTORAGE_CORRUPT;
		if (err)
			err = run_fail(why, err, tl_day_ms(day), tl_run_group_last(run));
	}
	tl_buf_fini(&buf);
	return err;
}

enum tl_err
tl_sealed_newest_block(
	struct tl_store *store, struct tl_day *day, uint64_t *group_no_out, struct tl_why *why)
{
	struct tl_key end = tl_key_run(0);
	struct tl_buf key, value;
	uint16_t block_no;
	enum tl_err err;

	tl_buf_init(&key, 0);
	tl_buf_init(&value, 0);
	err = tl_day_last(store, day, tl_key_slice(&end), &key, &value, why);
	if (!err && !tl_key_block_parse(tl_buf_slice(&key), group_no_out, &block_no))
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "raw: a wrong key");
	tl_buf_fini(&value);
	tl_buf_fini(&key);
	return err;
}

enum tl_err
tl_sealed_new(struct tl_store *store, struct tl_sealed **sealed_out)
{
	struct tl_sealed *sealed = calloc(1, sizeof(*sealed));

	if (sealed == NULL)
		return TL_ENOMEM;
	sealed->store = store;
	for (size_t i = 0; i < RUNS_KEPT; i++)
		tl_arena_init(&sealed->runs[i].arena, RUN_ARENA_BYTES_MAX);
	*sealed_out = sealed;
	return TL_OK;
}

void
tl_sealed_forget(struct tl_sealed *sealed)
{
	for (size_t i = 0; i < RUNS_KEPT; i++) {
		sealed->runs[i].group_last = 0;
		sealed->runs[i].used_at = 0;
		tl_arena_fini(&sealed->runs[i].arena);
		tl_arena_init(&sealed->runs[i].arena, RUN_ARENA_BYTES_MAX);
	}
}

void
tl_sealed_free(struct tl_sealed *sealed)
{
	if (sealed == NULL)
		return;
	for (size_t i = 0; i < RUNS_KEPT; i++)
		tl_arena_fini(&sealed->runs[i].arena);
	free(sealed);
}

/* The run that is kept and has the group, else the one to give up: then *found_out is false. */
static struct kept_run *
find_kept(struct tl_sealed *sealed, int64_t day_ms, uint64_t group_no, uint64_t column_mask,
	bool *found_out)
{
	struct kept_run *oldest = &sealed->runs[0];

	*found_out = true;
	for (size_t i = 0; i < RUNS_KEPT; i++) {
		struct kept_run *kept = &sealed->runs[i];

		if (kept->group_last != 0 && kept->day_ms == day_ms &&
			kept->column_mask == column_mask &&
			tl_run_find(&kept->run, group_no) != NULL)
			return kept;
		if (kept->used_at < oldest->used_at)
			oldest = kept;
	}
	*found_out = false;
	return oldest;
}

/* Each group's rows side by side, in the run's order. */
static enum tl_err
list_rows(struct kept_run *kept)
{
	const struct tl_run *run = &kept->run;
	uint32_t *next = tl_arena_array(&kept->arena, run->group_count, sizeof(*next));

	kept->rows = tl_arena_array(&kept->arena, run->row_count, sizeof(*kept->rows));
	kept->first = tl_arena_array(&kept->arena, run->group_count + 1, sizeof(*kept->first));
	if (next == NULL || kept->rows == NULL || kept->first == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < run->group_count; i++) {
		next[i] = kept->first[i];
		kept->first[i + 1] = kept->first[i] + run->groups[i].row_count;
	}
	for (uint32_t i = 0; i < run->chunk_count; i++) {
		const struct tl_chunk *chunk = &kept->chunks[i];

		for (uint32_t j = 0; j < chunk->batch.row_count; j++) {
			int64_t group = chunk->group_idx[j];

			if (next[group] == kept->first[group + 1])
				return TL_ESTORAGE_CORRUPT; /* more than the run says */
			kept->rows[next[group]++] = i << 16 | j;
		}
	}
	return TL_OK;
}

/* The run that has the group into kept; TL_ENOT_FOUND. */
static enum tl_err
load(struct tl_sealed *sealed, const struct tl_view *view, struct tl_day *day, uint64_t group_no,
	uint64_t column_mask, struct kept_run *kept, struct tl_why *why)
{
	enum tl_err err;

	kept->group_last = 0;
	kept->used_at = 0;
	tl_arena_reset(&kept->arena);
	err = tl_sealed_next(sealed->store, view, day, group_no, &kept->arena, &kept->run, why);
	if (err == TL_EEND || (!err && tl_run_find(&kept->run, group_no) == NULL))
		return TL_ENOT_FOUND;
	for (uint32_t i = 0; !err && i < kept->run.chunk_count; i++)
		err = tl_sealed_chunk(sealed->store, view, day, &kept->run, i, column_mask,
			&kept->arena, &kept->chunks[i], why);
	if (!err) {
		err = list_rows(kept);
		if (err)
			err = run_fail(why, err, tl_day_ms(day), tl_run_group_last(&kept->run));
	}
	if (err)
		return err;
	kept->day_ms = tl_day_ms(day);
	kept->group_last = tl_run_group_last(&kept->run);
	kept->column_mask = column_mask;
	return TL_OK;
}

static bool
has_column(const struct kept_run *kept, enum tl_column column)
{
	for (uint32_t i = 0; i < kept->run.chunk_count; i++) {
		if (kept->chunks[i].batch.column[column] != NULL)
			return true;
	}
	return false;
}

static enum tl_err
gather_column(
	const struct kept_run *kept, enum tl_column column, uint32_t first, struct tl_batch *batch)
{
	enum tl_err err;

	if (!has_column(kept, column))
		return TL_OK;
	err = tl_batch_need(batch, column);
	for (uint32_t i = 0; !err && i < batch->row_count; i++) {
		uint32_t row = kept->rows[first + i];
		const int64_t *values = kept->chunks[row >> 16].batch.column[column];

		if (values != NULL)
			batch->column[column][i] = values[row & 0xffff];
	}
	return err;
}

/* What the block's own head said. */
static enum tl_err
sum_head(const struct tl_batch *batch, struct tl_block_head *head)
{
	head->ts_ms_min = INT64_MAX;
	head->ts_ms_max = INT64_MIN;
	for (uint32_t i = 0; i < batch->row_count; i++) {
		int64_t ts_ms = tl_batch_get(batch, TL_COL_TS, i);
		int64_t cost_nusd = tl_batch_get(batch, TL_COL_COST, i);

		head->ts_ms_min = ts_ms < head->ts_ms_min ? ts_ms : head->ts_ms_min;
		head->ts_ms_max = ts_ms > head->ts_ms_max ? ts_ms : head->ts_ms_max;
		if (cost_nusd < 0) /* unknown */
			continue;
		if (tl_batch_get(batch, TL_COL_SIGN, i) < 0)
			cost_nusd = -cost_nusd;
		if (!tl_sum_add(&head->cost_nusd, cost_nusd))
			return TL_EAMOUNT_OVERFLOW;
	}
	return TL_OK;
}

static enum tl_err
gather(const struct kept_run *kept, uint32_t group, struct tl_arena *arena,
	struct tl_block_head *head_out, struct tl_batch *batch_out)
{
	uint32_t first = kept->first[group];
	struct tl_block_head head = {.row_count = kept->first[group + 1] - first,
		.received_ms = kept->run.groups[group].received_ms};
	struct tl_batch batch = {
		.arena = arena, .row_count = head.row_count, .row_capacity = head.row_count};
	enum tl_err err = TL_OK;

	batch.id = tl_arena_array(arena, head.row_count, sizeof(*batch.id));
	if (batch.id == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < head.row_count; i++) {
		uint32_t row = kept->rows[first + i];

		memcpy(batch.id[i], kept->chunks[row >> 16].batch.id[row & 0xffff],
			sizeof(batch.id[i]));
	}
	for (enum tl_column column = 0; !err && column < TL_COL_STORED_COUNT; column++)
		err = gather_column(kept, column, first, &batch);
	if (!err)
		err = sum_head(&batch, &head);
	if (err)
		return err;
	*head_out = head;
	*batch_out = batch;
	return TL_OK;
}

enum tl_err
tl_sealed_block(struct tl_sealed *sealed, const struct tl_view *view, struct tl_day *day,
	uint64_t group_no, uint16_t block_no, uint64_t column_mask, struct tl_arena *arena,
	struct tl_block_head *head_out, struct tl_batch *batch_out, struct tl_why *why)
{
	bool found;
	struct kept_run *kept;
	const struct tl_run_group *group;
	enum tl_err err = TL_OK;

	column_mask |= HEAD_COLUMNS;
	kept = find_kept(sealed, tl_day_ms(day), group_no, column_mask, &found);
	if (!found)
		err = load(sealed, view, day, group_no, column_mask, kept, why);
	if (err)
		return err;
	kept->used_at = ++sealed->clock;
	group = tl_run_find(&kept->run, group_no);
	if (group->block_no != block_no)
		return TL_ENOT_FOUND;
	return gather(kept, (uint32_t)(group - kept->run.groups), arena, head_out, batch_out);
}
