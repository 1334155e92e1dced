/*
 * A correction is two rows: one with sign -1 that repeats the row it takes back, its revision
 * included, and the new one. Both directions lie in the same cell as what they undo, so within one
 * part of a cell a row stands unless the part also has (id, rev) with sign -1. One cheap pass notes
 * what is taken back (most cells have nothing), the second shows the rows that stand.
 *
 * The groups of a sealed day are read by their run: of it only the chunks that hold the org and the
 * time.
 */
#include "query/raw.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "schema/base/map.h"
#include "schema/store/days.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/sealed.h"

/* A block is 4 MiB at most on disk; as columns of int64 it is a few times that. */
#define RAW_BLOCK_ARENA_BYTES_MAX (256u << 20)
#define RAW_JOURNAL_ARENA_BYTES_MAX (16u << 20)
#define RAW_TAKEN_COUNT_MAX (1u << 20)

#define COLUMN_BIT(column) (1ULL << (column))
#define RAW_KEY_COLUMNS                                                             \
	(COLUMN_BIT(TL_COL_ORG) | COLUMN_BIT(TL_COL_TS) | COLUMN_BIT(TL_COL_SIGN) | \
		COLUMN_BIT(TL_COL_REV))
#define RAW_TAKEN_KEY_BYTES 24

/* The rows of blocks are kept for the second pass, up to this; beyond it they are read again. */
#define RAW_KEPT_BYTES_MAX (64u << 20)

/* Those of a block or a chunk that are of the org, more or less of the part. */
struct raw_rows {
	struct tl_batch batch;
	const struct tl_run *run; /* NULL: all arrived at received_ms */
	const int64_t *group_idx;
	int64_t received_ms;
};

/* A block or a chunk that may hold rows of the part. */
struct raw_block {
	struct tl_key key;
	uint64_t group_no;	     /* of a chunk: its run's last */
	const struct tl_run *run;    /* NULL: a block */
	const struct raw_rows *kept; /* NULL: to be read again */
};

struct raw_walk {
	const struct query_scene *scene;
	const struct raw_ask *ask;
	struct tl_day *day;
	struct tl_arena journal_arena; /* the list of blocks, runs */
	struct tl_arena kept_arena;    /* rows for the second pass */
	struct tl_arena block_arena;   /* the rows in hand, when they are not kept */
	struct tl_buf bytes;
	struct raw_block *blocks;
	uint32_t block_count, block_capacity;
	uint64_t sealed_to;   /* groups up to this one are in the list, by their runs */
	struct tl_map *taken; /* id and rev that are taken back; NULL: none */
	enum tl_err (*visit)(void *arg, const struct raw_row *row, struct tl_why *why);
	void *arg;
};

static enum tl_err
edge_gone(int64_t bucket_ms, struct tl_why *why)
{
	char text[TL_DAY_TEXT_BYTES];

	tl_day_format(bucket_ms, text);
	return tl_fail(
		why, TL_EEDGE_UNAVAILABLE, "the events of %s have expired; use whole hours", text);
}

static enum tl_err
add_block(struct raw_walk *walk, const struct raw_block *block)
{
	if (walk->block_count == walk->block_capacity) {
		uint32_t capacity = walk->block_capacity == 0 ? 64 : walk->block_capacity * 2;
		struct raw_block *blocks =
			tl_arena_array(&walk->journal_arena, capacity, sizeof(*blocks));

		if (blocks == NULL)
			return TL_ENOMEM;
		if (walk->block_count > 0)
			memcpy(blocks, walk->blocks, walk->block_count * sizeof(*blocks));
		walk->blocks = blocks;
		walk->block_capacity = capacity;
	}
	walk->blocks[walk->block_count++] = *block;
	return TL_OK;
}

static enum tl_err
block_fail(enum tl_err err, const struct raw_block *block, struct tl_why *why)
{
	return tl_fail(why, err, "%s of group %" PRIu64 " cannot be read",
		block->run != NULL ? "a chunk of the run" : "the block", block->group_no);
}

/* The block's bytes, valid until the next read. TL_ENOT_FOUND is left to the caller. */
static enum tl_err
read_bytes(struct raw_walk *walk, const struct raw_block *block, struct tl_slice *bytes_out,
	struct tl_why *why)
{
	enum tl_err err = tl_day_get(walk->scene->store, walk->scene->view, walk->day,
		tl_key_slice(&block->key), &walk->bytes, why);

	*bytes_out = tl_buf_slice(&walk->bytes);
	return err;
}

/*
 * Who is asked for is picked by the org and ts. The time a row counts at is not later than its ts,
 * nor than the arrival: when that lies before the end, no ts is too late.
 */
static enum tl_err
decode(struct raw_walk *walk, const struct raw_block *block, struct tl_slice bytes,
	int64_t received_ms, struct tl_arena *arena, struct raw_rows *rows_out)
{
	const struct raw_ask *ask = walk->ask;
	uint64_t column_mask = RAW_KEY_COLUMNS | ask->column_mask;
	struct tl_block_pick pick = {.org = ask->org,
		.from_ms = ask->from_ms,
		.last_ms = received_ms < ask->to_ms ? INT64_MAX : ask->to_ms - 1};
	struct tl_block_head head = {0};
	struct tl_chunk chunk = {.group_idx = NULL};
	enum tl_err err;

	if (block->run == NULL)
		err = tl_block_pick(bytes, column_mask, &pick, arena, &head, &chunk.batch);
	else
		err = tl_chunk_decode(bytes, block->run->group_count, column_mask, arena, &chunk);
	*rows_out = (struct raw_rows){.batch = chunk.batch,
		.run = block->run,
		.group_idx = chunk.group_idx,
		.received_ms = head.received_ms};
	return err;
}

/* True when the row is the org's and counts in the part. */
static bool
is_asked(const struct raw_ask *ask, const struct raw_rows *rows, uint32_t row_idx,
	int64_t *time_ms_out)
{
	int64_t received_ms = rows->received_ms;

	if (rows->run != NULL)
		received_ms = rows->run->groups[rows->group_idx[row_idx]].received_ms;
	*time_ms_out = tl_event_time(tl_batch_get(&rows->batch, TL_COL_TS, row_idx), received_ms);
	return *time_ms_out >= ask->from_ms && *time_ms_out < ask->to_ms &&
	       tl_batch_get(&rows->batch, TL_COL_ORG, row_idx) == ask->org;
}

/* What a correction names: a row is one revision of an id. */
static void
taken_key(const struct tl_batch *batch, uint32_t row_idx, uint8_t key[RAW_TAKEN_KEY_BYTES])
{
	memcpy(key, batch->id[row_idx], 16);
	tl_put_be64(key + 16, (uint64_t)tl_batch_get(batch, TL_COL_REV, row_idx));
}

static enum tl_err
take_back(struct raw_walk *walk, const struct tl_batch *batch, uint32_t row_idx)
{
	uint8_t key[RAW_TAKEN_KEY_BYTES];

	if (walk->taken == NULL) {
		enum tl_err err = tl_map_new(RAW_TAKEN_COUNT_MAX, &walk->taken);

		if (err)
			return err;
	}
	taken_key(batch, row_idx, key);
	return tl_map_put(walk->taken, tl_slice_of(key, sizeof(key)), 1);
}

/* Note what the rows take back in the part. */
static enum tl_err
note_taken(struct raw_walk *walk, const struct raw_rows *rows)
{
	const int64_t *sign = rows->batch.column[TL_COL_SIGN];
	int64_t time_ms;
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && sign != NULL && i < rows->batch.row_count; i++) {
		if (sign[i] < 0 && is_asked(walk->ask, rows, i, &time_ms))
			err = take_back(walk, &rows->batch, i);
	}
	return err;
}

/* The first pass over a block: what it takes back; it is listed, its rows kept for the second. */
static enum tl_err
look(struct raw_walk *walk, struct raw_block *block, struct tl_slice bytes, int64_t received_ms,
	struct tl_why *why)
{
	struct raw_rows *kept = tl_arena_alloc(&walk->kept_arena, sizeof(*kept));
	struct raw_rows rows;
	enum tl_err err = TL_ENOMEM;

	if (kept != NULL)
		err = decode(walk, block, bytes, received_ms, &walk->kept_arena, kept);
	if (!err) {
		block->kept = kept;
		rows = *kept;
	} else if (err == TL_ENOMEM) {
		tl_arena_reset(&walk->block_arena);
		err = decode(walk, block, bytes, received_ms, &walk->block_arena, &rows);
	}
	if (err)
		return block_fail(err, block, why);
	if (rows.batch.row_count == 0)
		return TL_OK;
	err = note_taken(walk, &rows);
	return err ? err : add_block(walk, block);
}

/* Whether a block may have rows of the part, by its head. */
static bool
is_near(const struct raw_ask *ask, const struct tl_block_head *head)
{
	return tl_event_time(head->ts_ms_max, head->received_ms) >= ask->from_ms &&
	       tl_event_time(head->ts_ms_min, head->received_ms) < ask->to_ms;
}

static enum tl_err
look_at_chunk(
	struct raw_walk *walk, const struct tl_run *run, uint32_t chunk_idx, struct tl_why *why)
{
	const struct raw_ask *ask = walk->ask;
	const struct tl_run_chunk *chunk = &run->chunks[chunk_idx];
	struct raw_block block = {.run = run, .group_no = tl_run_group_last(run)};
	struct tl_slice bytes = {0};
	enum tl_err err;

	if (ask->org < chunk->org_first || ask->org > chunk->org_last ||
		chunk->time_ms_max < ask->from_ms || chunk->time_ms_min >= ask->to_ms)
		return TL_OK;
	block.key = tl_key_chunk(block.group_no, (uint16_t)chunk_idx);
	err = read_bytes(walk, &block, &bytes, why);
	if (err == TL_ENOT_FOUND)
		return block_fail(TL_ESTORAGE_CORRUPT, &block, why);
	return err ? err : look(walk, &block, bytes, 0, why);
}

/* The run that the group went into; its other groups are done with it. */
static enum tl_err
look_at_run(struct raw_walk *walk, const struct raw_block *block, struct tl_why *why)
{
	struct tl_run *run = tl_arena_alloc(&walk->journal_arena, sizeof(*run));
	enum tl_err err;

	if (run == NULL)
		return TL_ENOMEM;
	err = tl_sealed_next(walk->scene->store, walk->scene->view, walk->day, block->group_no,
		&walk->journal_arena, run, why);
	if (err == TL_EEND || (!err && tl_run_find(run, block->group_no) == NULL))
		return block_fail(TL_ESTORAGE_CORRUPT, block, why);
	for (uint32_t i = 0; !err && i < run->chunk_count; i++)
		err = look_at_chunk(walk, run, i, why);
	if (!err)
		walk->sealed_to = tl_run_group_last(run);
	return err;
}

static enum tl_err
look_at_block(struct raw_walk *walk, uint64_t group_no, uint16_t block_no, struct tl_why *why)
{
	struct raw_block block = {.key = tl_key_block(group_no, block_no), .group_no = group_no};
	struct tl_block_head head = {0};
	struct tl_slice bytes = {0};
	enum tl_err err = read_bytes(walk, &block, &bytes, why);

	if (err == TL_ENOT_FOUND)
		return look_at_run(walk, &block, why);
	if (!err)
		err = tl_block_head(bytes, &head);
	if (err)
		return block_fail(err, &block, why);
	if (!is_near(walk->ask, &head))
		return TL_OK;
	return look(walk, &block, bytes, head.received_ms, why);
}

/* The group's block of the cell's day: it has one at most. */
static enum tl_err
look_at_group(struct raw_walk *walk, uint64_t group_no, struct tl_why *why)
{
	struct tl_key key = tl_key_journal(group_no);
	struct tl_journal_row row = {0};
	enum tl_err err;

	err = tl_store_get(walk->scene->store, walk->scene->view, TL_FAMILY_JOURNAL,
		tl_key_slice(&key), &walk->bytes, why);
	if (err == TL_ENOT_FOUND)
		return edge_gone(walk->ask->bucket_ms, why);
	if (err)
		return err;
	tl_arena_reset(&walk->block_arena);
	err = tl_journal_decode(group_no, tl_buf_slice(&walk->bytes), &walk->block_arena, &row);
	if (err)
		return tl_fail(why, err, "journal row %" PRIu64 " cannot be read", group_no);
	for (uint32_t i = 0; i < row.block_count; i++) {
		if (row.blocks[i].day_ms == tl_day_ms(walk->day))
			return look_at_block(walk, group_no, row.blocks[i].block_no, why);
	}
	return TL_OK;
}

static bool
is_taken_back(const struct raw_walk *walk, const struct tl_batch *batch, uint32_t row_idx)
{
	uint8_t key[RAW_TAKEN_KEY_BYTES];
	uint64_t found;

	if (walk->taken == NULL)
		return false;
	taken_key(batch, row_idx, key);
	return tl_map_get(walk->taken, tl_slice_of(key, sizeof(key)), &found);
}

/* What look could not keep. */
static enum tl_err
read_again(struct raw_walk *walk, const struct raw_block *block, struct raw_rows *rows_out,
	struct tl_why *why)
{
	struct tl_block_head head = {0};
	struct tl_slice bytes = {0};
	enum tl_err err = read_bytes(walk, block, &bytes, why);

	tl_arena_reset(&walk->block_arena);
	if (!err && block->run == NULL)
		err = tl_block_head(bytes, &head);
	if (!err)
		err = decode(walk, block, bytes, head.received_ms, &walk->block_arena, rows_out);
	if (err)
		return block_fail(err == TL_ENOT_FOUND ? TL_ESTORAGE_CORRUPT : err, block, why);
	return TL_OK;
}

static enum tl_err
show_block(struct raw_walk *walk, const struct raw_block *block, struct tl_why *why)
{
	struct raw_rows again;
	const struct raw_rows *rows = block->kept;
	enum tl_err err = TL_OK;

	if (rows == NULL) {
		err = read_again(walk, block, &again, why);
		rows = &again;
	}
	for (uint32_t i = 0; !err && i < rows->batch.row_count; i++) {
		struct raw_row row = {.batch = &rows->batch, .row_idx = i};

		if (tl_batch_get(&rows->batch, TL_COL_SIGN, i) < 0 ||
			!is_asked(walk->ask, rows, i, &row.time_ms) ||
			is_taken_back(walk, &rows->batch, i))
			continue;
		err = walk->visit(walk->arg, &row, why);
	}
	return err;
}

static enum tl_err
walk_blocks(struct raw_walk *walk, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < walk->ask->group_count; i++) {
		if (walk->ask->groups[i] > walk->sealed_to)
			err = look_at_group(walk, walk->ask->groups[i], why);
	}
	for (uint32_t i = 0; !err && i < walk->block_count; i++)
		err = show_block(walk, &walk->blocks[i], why);
	return err;
}

enum tl_err
raw_walk(const struct query_scene *scene, const struct raw_ask *ask,
	enum tl_err (*visit)(void *arg, const struct raw_row *row, struct tl_why *why), void *arg,
	struct tl_why *why)
{
	struct raw_walk walk = {.scene = scene, .ask = ask, .visit = visit, .arg = arg};
	enum tl_err err;

	assert(ask->from_ms < ask->to_ms);
	if (ask->group_count == 0)
		return TL_OK;
	walk.day = tl_day_pin(scene->store, tl_bucket_floor(TL_SPAN_1D, ask->bucket_ms));
	if (walk.day == NULL)
		return edge_gone(ask->bucket_ms, why);
	tl_arena_init(&walk.journal_arena, RAW_JOURNAL_ARENA_BYTES_MAX);
	tl_arena_init(&walk.kept_arena, RAW_KEPT_BYTES_MAX);
	tl_arena_init(&walk.block_arena, RAW_BLOCK_ARENA_BYTES_MAX);
	tl_buf_init(&walk.bytes, 0);
	err = walk_blocks(&walk, why);
	tl_map_free(walk.taken);
	tl_buf_fini(&walk.bytes);
	tl_arena_fini(&walk.block_arena);
	tl_arena_fini(&walk.kept_arena);
	tl_arena_fini(&walk.journal_arena);
	tl_day_unpin(walk.day);
	return err;
}
