#include "ingest/stored.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "ingest/writer.h"
#include "schema/store/key.h"
#include "schema/store/sealed.h"

/* A resend reads the same one or two blocks row after row. */
#define STORED_BLOCKS 8u
#define STORED_RUNS 4u
#define RUN_ARENA_BYTES_MAX ((size_t)16 << 20)
#define RELOCATE_COLUMNS (1ull << TL_COL_ORG | 1ull << TL_COL_SIGN)
#define BLOCK_ARENA_BYTES_MAX ((size_t)64 << 20)
#define JOURNAL_ARENA_BYTES_MAX ((size_t)1 << 20)

/* A block, or a chunk of a run. */
struct stored_block {
	uint64_t group_no; /* 0: free; of a chunk: the run's last */
	uint16_t block_no; /* of a chunk: its place in the run */
	int64_t day_ms;	   /* of a chunk; NO_DAY: a block */
	uint64_t used_at;
	struct tl_arena arena;
	int64_t received_ms; /* of a block */
	struct tl_chunk rows;
};

#define NO_DAY INT64_MIN

struct stored_run {
	int64_t day_ms;
	uint64_t used_at; /* 0: free */
	struct tl_arena arena;
	struct tl_run run;
};

struct stored {
	struct tl_store *store;
	struct dedupe *dedupe;
	struct stored_block blocks[STORED_BLOCKS];
	struct stored_run runs[STORED_RUNS];
	uint64_t clock; /* counts fetches */
	struct tl_arena arena;
	struct tl_buf buf;
};

enum tl_err
stored_new(struct tl_store *store, struct dedupe *dedupe, struct stored **stored_out)
{
	struct stored *stored = calloc(1, sizeof(*stored));

	if (stored == NULL)
		return TL_ENOMEM;
	stored->store = store;
	stored->dedupe = dedupe;
	for (size_t i = 0; i < STORED_BLOCKS; i++)
		tl_arena_init(&stored->blocks[i].arena, BLOCK_ARENA_BYTES_MAX);
	for (size_t i = 0; i < STORED_RUNS; i++)
		tl_arena_init(&stored->runs[i].arena, RUN_ARENA_BYTES_MAX);
	tl_arena_init(&stored->arena, JOURNAL_ARENA_BYTES_MAX);
	tl_buf_init(&stored->buf, 0);
	*stored_out = stored;
	return TL_OK;
}

void
stored_free(struct stored *stored)
{
	if (stored == NULL)
		return;
	for (size_t i = 0; i < STORED_BLOCKS; i++)
		tl_arena_fini(&stored->blocks[i].arena);
	for (size_t i = 0; i < STORED_RUNS; i++)
		tl_arena_fini(&stored->runs[i].arena);
	tl_arena_fini(&stored->arena);
	tl_buf_fini(&stored->buf);
	free(stored);
}

/* The block or chunk if it is kept, else the one to give up for it. */
static struct stored_block *
find_block(struct stored *stored, int64_t day_ms, uint64_t group_no, uint16_t block_no)
{
	struct stored_block *oldest = &stored->blocks[0];

	for (size_t i = 0; i < STORED_BLOCKS; i++) {
		struct stored_block *block = &stored->blocks[i];

		if (block->group_no == group_no && block->block_no == block_no &&
			block->day_ms == day_ms)
			return block;
		if (block->used_at < oldest->used_at)
			oldest = block;
	}
	return oldest;
}

static bool
is_block(const struct stored_block *block, int64_t day_ms, uint64_t group_no, uint16_t block_no)
{
	return block->group_no == group_no && block->block_no == block_no &&
	       block->day_ms == day_ms;
}

static struct stored_block *
give_up(struct stored_block *block)
{
	block->group_no = 0;
	block->used_at = 0;
	tl_arena_reset(&block->arena);
	return block;
}

static bool
has_block(const struct tl_run *run, struct dedupe_place place)
{
	const struct tl_run_group *group = tl_run_find(run, place.group_no);

	return group != NULL && group->block_no == place.block_no;
}

/* The run that is kept and has the block; NULL. */
static struct stored_run *
find_run(struct stored *stored, struct dedupe_place place)
{
	for (size_t i = 0; i < STORED_RUNS; i++) {
		struct stored_run *run = &stored->runs[i];

		if (run->used_at > 0 && has_block(&run->run, place))
			return run;
	}
	return NULL;
}

/* The day a block lies on, from its group's journal row. */
static enum tl_err
find_day(struct stored *stored, struct dedupe_place place, int64_t *day_ms_out, struct tl_why *why)
{
	struct tl_journal_row row;
	enum tl_err err;

	tl_arena_reset(&stored->arena);
	err = idwindow_journal(
		stored->store, place.group_no, &stored->arena, &stored->buf, &row, why);
	if (err)
		return err;
	for (uint32_t i = 0; i < row.block_count; i++) {
		if (row.blocks[i].block_no == place.block_no) {
			*day_ms_out = row.blocks[i].day_ms;
			return TL_OK;
		}
	}
	return tl_fail(why, TL_EACKED_DATA_MISSING,
		"group %" PRIu64 ": the journal does not name block %u", place.group_no,
		place.block_no);
}

static enum tl_err
read_run(struct stored *stored, struct tl_day *day, struct dedupe_place place,
	struct stored_run **run_out, struct tl_why *why)
{
	struct stored_run *run = &stored->runs[0];
	enum tl_err err;

	for (size_t i = 1; i < STORED_RUNS; i++) {
		if (stored->runs[i].used_at < run->used_at)
			run = &stored->runs[i];
	}
	run->used_at = 0;
	tl_arena_reset(&run->arena);
	err = tl_sealed_next(stored->store, NULL, day, place.group_no, &run->arena, &run->run, why);
	if (err == TL_EEND || (!err && !has_block(&run->run, place)))
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": block %u is missing", place.group_no, place.block_no);
	if (err)
		return err;
	run->day_ms = tl_day_ms(day);
	*run_out = run;
	return TL_OK;
}

/* A block into *block, or, when it was sealed, its run: *run_out is NULL then or it. */
static enum tl_err
read_block(struct stored *stored, struct tl_day *day, struct dedupe_place place,
	struct stored_block *block, struct stored_run **run_out, struct tl_why *why)
{
	struct tl_key key = tl_key_block(place.group_no, place.block_no);
	struct tl_block_head head;
	enum tl_err err =
		tl_day_get(stored->store, NULL, day, tl_key_slice(&key), &stored->buf, why);

	*run_out = NULL;
	if (err == TL_ENOT_FOUND)
		return read_run(stored, day, place, run_out, why);
	if (err)
		return err;
	give_up(block);
	err = tl_block_decode(tl_buf_slice(&stored->buf), TL_BLOCK_ALL_COLUMNS, &block->arena,
		&head, &block->rows.batch);
	if (err)
		return tl_fail(why, err, "group %" PRIu64 ": block %u: %s", place.group_no,
			place.block_no, tl_err_text(err));
	block->group_no = place.group_no;
	block->block_no = place.block_no;
	block->day_ms = NO_DAY;
	block->received_ms = head.received_ms;
	return TL_OK;
}

/* What a place names, when nothing of it is kept. *is_expired_out: the day is gone. */
static enum tl_err
read_place(struct stored *stored, struct dedupe_place place, struct stored_block *block,
	struct stored_run **run_out, bool *is_expired_out, struct tl_why *why)
{
	struct tl_day *day;
	int64_t day_ms = 0;
	enum tl_err err = find_day(stored, place, &day_ms, why);

	if (err)
		return err;
	day = tl_day_pin(stored->store, day_ms);
	*is_expired_out = day == NULL;
	if (day == NULL)
		return TL_OK;
	err = read_block(stored, day, place, block, run_out, why);
	tl_day_unpin(day);
	return err;
}

static enum tl_err
moved_fail(struct dedupe_place place, struct tl_why *why)
{
	return tl_fail(why, TL_ESTORAGE_CORRUPT,
		"group %" PRIu64 ": block %u row %u is not the event its id stands for",
		place.group_no, place.block_no, place.row_idx);
}

/* TL_EEND: the day has expired meanwhile. */
static enum tl_err
read_chunk(struct stored *stored, const struct stored_run *run, uint32_t chunk_idx,
	uint64_t column_mask, struct tl_arena *arena, struct tl_chunk *chunk_out,
	struct tl_why *why)
{
	struct tl_day *day = tl_day_pin(stored->store, run->day_ms);
	enum tl_err err;

	if (day == NULL)
		return TL_EEND;
	err = tl_sealed_chunk(
		stored->store, NULL, day, &run->run, chunk_idx, column_mask, arena, chunk_out, why);
	tl_day_unpin(day);
	return err;
}

/* The chunk's rows, kept. */
static enum tl_err
need_chunk(struct stored *stored, const struct stored_run *run, uint32_t chunk_idx,
	struct stored_block **block_out, struct tl_why *why)
{
	uint64_t group_last = tl_run_group_last(&run->run);
	struct stored_block *block =
		find_block(stored, run->day_ms, group_last, (uint16_t)chunk_idx);
	enum tl_err err;

	*block_out = block;
	if (is_block(block, run->day_ms, group_last, (uint16_t)chunk_idx))
		return TL_OK;
	give_up(block);
	err = read_chunk(
		stored, run, chunk_idx, TL_BLOCK_ALL_COLUMNS, &block->arena, &block->rows, why);
	if (err)
		return err;
	block->group_no = group_last;
	block->block_no = (uint16_t)chunk_idx;
	block->day_ms = run->day_ms;
	return TL_OK;
}

static bool
is_id(const struct tl_batch *batch, uint32_t row_idx, const struct stored_event *event)
{
	return (uint32_t)tl_batch_get(batch, TL_COL_ORG, row_idx) == event->org &&
	       memcmp(batch->id[row_idx], event->id, sizeof(batch->id[row_idx])) == 0;
}

/* Whether a row of the run is the event's. */
static bool
is_meant(const struct tl_run *run, const struct tl_chunk *rows, uint32_t row_idx,
	const struct stored_event *event)
{
	uint64_t group_no = run->groups[rows->group_idx[row_idx]].group_no;

	return group_no == dedupe_place_of(event->slot).group_no &&
	       is_id(&rows->batch, row_idx, event) &&
	       tl_batch_get(&rows->batch, TL_COL_SIGN, row_idx) > 0;
}

/* Ids of these rows that stand in the blocks they came in stand in the run from now on. */
static void
move_ids(struct dedupe *dedupe, const struct tl_run *run, const struct tl_chunk *rows,
	uint32_t first_row)
{
	for (uint32_t i = 0; i < rows->batch.row_count; i++) {
		const struct tl_run_group *group = &run->groups[rows->group_idx[i]];
		uint32_t org = (uint32_t)tl_batch_get(&rows->batch, TL_COL_ORG, i);
		struct dedupe_key key = dedupe_key_of(dedupe, org, rows->batch.id[i]);
		struct dedupe_slot *slot = dedupe_find(dedupe, &key);

		if (slot != NULL && dedupe_place_of(slot).group_no == group->group_no &&
			tl_batch_get(&rows->batch, TL_COL_SIGN, i) > 0)
			slot->place = dedupe_place_pack((struct dedupe_place){
				group->group_no, group->block_no, (uint16_t)(first_row + i)});
	}
}

/* Blocks that are kept of before the sealing have the rows in other places. */
static enum tl_err
move_run(struct stored *stored, const struct stored_run *run, struct tl_why *why)
{
	struct tl_arena arena;
	enum tl_err err = TL_OK;

	for (size_t i = 0; i < STORED_BLOCKS; i++) {
		struct stored_block *block = &stored->blocks[i];

		if (block->day_ms == NO_DAY && tl_run_find(&run->run, block->group_no) != NULL)
			give_up(block);
	}
	tl_arena_init(&arena, RUN_ARENA_BYTES_MAX);
	for (uint32_t i = 0; !err && i < run->run.chunk_count; i++) {
		struct tl_chunk rows;

		tl_arena_reset(&arena);
		err = read_chunk(stored, run, i, RELOCATE_COLUMNS, &arena, &rows, why);
		if (!err)
			move_ids(stored->dedupe, &run->run, &rows, i * TL_RUN_CHUNK_ROWS);
	}
	tl_arena_fini(&arena);
	return err;
}

/* TL_ENOT_FOUND: the slot's place is not that of the event in the run. */
static enum tl_err
fetch_at(struct stored *stored, struct stored_run *run, const struct stored_event *event,
	struct stored_row *row_out, struct tl_why *why)
{
	uint32_t row_idx = dedupe_place_of(event->slot).row_idx;
	struct stored_block *block;
	enum tl_err err;

	if (row_idx >= run->run.row_count)
		return TL_ENOT_FOUND;
	err = need_chunk(stored, run, row_idx / TL_RUN_CHUNK_ROWS, &block, why);
	if (err)
		return err;
	row_idx %= TL_RUN_CHUNK_ROWS;
	if (row_idx >= block->rows.batch.row_count ||
		!is_meant(&run->run, &block->rows, row_idx, event))
		return TL_ENOT_FOUND;
	run->used_at = ++stored->clock;
	block->used_at = stored->clock;
	*row_out = (struct stored_row){.batch = &block->rows.batch,
		.row_idx = row_idx,
		.received_ms = tl_chunk_received_ms(&run->run, &block->rows, row_idx)};
	return TL_OK;
}

static enum tl_err
fetch_sealed(struct stored *stored, struct stored_run *run, const struct stored_event *event,
	struct stored_row *row_out, struct tl_why *why)
{
	enum tl_err err = fetch_at(stored, run, event, row_out, why);

	if (err == TL_ENOT_FOUND) {
		err = move_run(stored, run, why);
		if (!err)
			err = fetch_at(stored, run, event, row_out, why);
	}
	if (err == TL_EEND) {
		*row_out = (struct stored_row){.batch = NULL};
		return TL_OK;
	}
	return err == TL_ENOT_FOUND ? moved_fail(dedupe_place_of(event->slot), why) : err;
}

enum tl_err
stored_fetch(struct stored *stored, const struct stored_event *event, struct stored_row *row_out,
	struct tl_why *why)
{
	struct dedupe_place place = dedupe_place_of(event->slot);
	struct stored_run *run = find_run(stored, place);
	struct stored_block *block = find_block(stored, NO_DAY, place.group_no, place.block_no);
	bool is_expired = false;
	enum tl_err err = TL_OK;

	assert(place.group_no != 0);
	if (run == NULL && !is_block(block, NO_DAY, place.group_no, place.block_no))
		err = read_place(stored, place, block, &run, &is_expired, why);
	if (err)
		return err;
	if (is_expired) {
		*row_out = (struct stored_row){.batch = NULL};
		return TL_OK;
	}
	if (run != NULL)
		return fetch_sealed(stored, run, event, row_out, why);
	block->used_at = ++stored->clock;
	if (place.row_idx >= block->rows.batch.row_count ||
		!is_id(&block->rows.batch, place.row_idx, event))
		return moved_fail(place, why);
	*row_out = (struct stored_row){
		.batch = &block->rows.batch,
		.row_idx = place.row_idx,
		.received_ms = block->received_ms,
	};
	return TL_OK;
}
