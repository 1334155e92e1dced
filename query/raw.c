/*
 * A correction is two rows: one with sign -1 that repeats the row it takes back, and the new one.
 * Both directions lie in the same cell as what they undo, so within one part of a cell an id has P
 * rows that count and N that take back, and P - N is 0 or 1. When it is 1, the row that stands is
 * the last of the P, which is number N + 1 in the order of commits. So one cheap pass counts N per
 * id (most cells have none), and the second shows each id's row number N + 1.
 */
#include "query/raw.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "schema/base/map.h"
#include "schema/store/block.h"
#include "schema/store/days.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"

/* A block is 4 MiB at most on disk; as columns of int64 it is a few times that. */
#define RAW_BLOCK_ARENA_BYTES_MAX (256u << 20)
#define RAW_JOURNAL_ARENA_BYTES_MAX (16u << 20)
#define RAW_TAKEN_COUNT_MAX (1u << 20)

#define COLUMN_BIT(column) (1ULL << (column))
#define RAW_KEY_COLUMNS (COLUMN_BIT(TL_COL_ORG) | COLUMN_BIT(TL_COL_TS) | COLUMN_BIT(TL_COL_SIGN))

/* Blocks are read once and kept for the second pass, up to this; beyond it they are read again. */
#define RAW_KEPT_BYTES_MAX (64u << 20)

/* A block that may hold rows of the part. */
struct raw_block {
	uint64_t group_no;
	uint16_t block_no;
	struct tl_slice kept; /* its bytes, empty: to be read again */
};

struct raw_walk {
	const struct query_scene *scene;
	const struct raw_ask *ask;
	struct tl_day *day;
	struct tl_arena journal_arena; /* the list of blocks */
	struct tl_arena kept_arena;    /* blocks for the second pass */
	struct tl_arena block_arena;   /* the block in hand */
	struct tl_buf bytes;
	struct raw_block *blocks;
	uint32_t block_count, block_capacity;
	struct tl_map *taken; /* id -> rows taken back << 32 | rows seen; NULL: no correction */
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
add_block(struct raw_walk *walk, uint64_t group_no, uint16_t block_no)
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
	walk->blocks[walk->block_count++] =
		(struct raw_block){.group_no = group_no, .block_no = block_no};
	return TL_OK;
}

/* The group's blocks of the cell's day. */
static enum tl_err
add_group(struct raw_walk *walk, uint64_t group_no, struct tl_why *why)
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
	for (uint32_t i = 0; !err && i < row.block_count; i++) {
		if (row.blocks[i].day_ms == tl_day_ms(walk->day))
			err = add_block(walk, group_no, row.blocks[i].block_no);
	}
	return err;
}

static enum tl_err
block_fail(enum tl_err err, const struct raw_block *block, struct tl_why *why)
{
	return tl_fail(why, err, "block %u of group %" PRIu64 " cannot be read", block->block_no,
		block->group_no);
}

/* The block's bytes, valid until the next read. */
static enum tl_err
read_bytes(struct raw_walk *walk, const struct raw_block *block, struct tl_slice *bytes_out,
	struct tl_why *why)
{
	struct tl_key key = tl_key_block(block->group_no, block->block_no);
	enum tl_err err;

	if (block->kept.bytes > 0) {
		*bytes_out = block->kept;
		return TL_OK;
	}
	err = tl_day_get(walk->scene->store, walk->scene->view, walk->day, tl_key_slice(&key),
		&walk->bytes, why);
	*bytes_out = tl_buf_slice(&walk->bytes);
	if (err == TL_ENOT_FOUND)
		err = TL_ESTORAGE_CORRUPT;
	return err ? block_fail(err, block, why) : TL_OK;
}

static enum tl_err
decode(struct raw_walk *walk, const struct raw_block *block, struct tl_slice bytes,
	uint64_t column_mask, int64_t *received_ms_out, struct tl_batch *batch, struct tl_why *why)
{
	struct tl_block_head head = {0};
	enum tl_err err;

	tl_arena_reset(&walk->block_arena);
	err = tl_block_decode(bytes, column_mask, &walk->block_arena, &head, batch);
	*received_ms_out = head.received_ms;
	return err ? block_fail(err, block, why) : TL_OK;
}

/* True when the row is the org's and counts in the part. */
static bool
is_asked(const struct raw_ask *ask, const struct tl_batch *batch, uint32_t row_idx,
	int64_t received_ms, int64_t *time_ms_out)
{
	int64_t time_ms = tl_event_time(tl_batch_get(batch, TL_COL_TS, row_idx), received_ms);

	*time_ms_out = time_ms;
	return time_ms >= ask->from_ms && time_ms < ask->to_ms &&
	       tl_batch_get(batch, TL_COL_ORG, row_idx) == ask->org;
}

static enum tl_err
take_back(struct raw_walk *walk, const uint8_t id[16])
{
	struct tl_slice key = tl_slice_of(id, 16);
	uint64_t counts = 0;
	enum tl_err err;

	if (walk->taken == NULL) {
		err = tl_map_new(RAW_TAKEN_COUNT_MAX, &walk->taken);
		if (err)
			return err;
	}
	(void)tl_map_get(walk->taken, key, &counts);
	return tl_map_put(walk->taken, key, counts + (1ULL << 32));
}

/* Note the ids that the block takes back in the part. */
static enum tl_err
note_taken(struct raw_walk *walk, const struct raw_block *block, struct tl_slice bytes,
	struct tl_why *why)
{
	struct tl_batch batch = {0};
	int64_t received_ms = 0;
	int64_t time_ms;
	enum tl_err err;

	err = decode(walk, block, bytes, COLUMN_BIT(TL_COL_SIGN), &received_ms, &batch, why);
	if (err || batch.column[TL_COL_SIGN] == NULL)
		return err;
	err = decode(walk, block, bytes, RAW_KEY_COLUMNS, &received_ms, &batch, why);
	for (uint32_t i = 0; !err && i < batch.row_count; i++) {
		if (tl_batch_get(&batch, TL_COL_SIGN, i) < 0 &&
			is_asked(walk->ask, &batch, i, received_ms, &time_ms))
			err = take_back(walk, batch.id[i]);
	}
	return err;
}

/* The first pass over a block: whether the part may have rows in it, and what it takes back. */
static enum tl_err
look(struct raw_walk *walk, struct raw_block *block, bool *found_out, struct tl_why *why)
{
	const struct raw_ask *ask = walk->ask;
	struct tl_block_head head = {0};
	struct tl_slice bytes = {0};
	enum tl_err err;

	err = read_bytes(walk, block, &bytes, why);
	if (err)
		return err;
	err = tl_block_head(bytes, &head);
	if (err)
		return block_fail(err, block, why);
	*found_out = tl_event_time(head.ts_ms_max, head.received_ms) >= ask->from_ms &&
		     tl_event_time(head.ts_ms_min, head.received_ms) < ask->to_ms;
	if (!*found_out)
		return TL_OK;
	err = note_taken(walk, block, bytes, why);
	if (!err) /* without room it stays empty */
		block->kept = tl_arena_copy(&walk->kept_arena, bytes);
	return err;
}

/* Count the row as seen. True when it is the one that stands. */
static enum tl_err
see(struct raw_walk *walk, const uint8_t id[16], bool *stands_out)
{
	struct tl_slice key = tl_slice_of(id, 16);
	uint64_t counts;

	*stands_out = true;
	if (walk->taken == NULL || !tl_map_get(walk->taken, key, &counts))
		return TL_OK;
	counts++;
	*stands_out = (counts & UINT32_MAX) == (counts >> 32) + 1;
	return tl_map_put(walk->taken, key, counts);
}

static enum tl_err
show_block(struct raw_walk *walk, const struct raw_block *block, struct tl_why *why)
{
	struct tl_batch batch = {0};
	struct tl_slice bytes = {0};
	int64_t received_ms = 0;
	enum tl_err err;

	err = read_bytes(walk, block, &bytes, why);
	if (!err)
		err = decode(walk, block, bytes, RAW_KEY_COLUMNS | walk->ask->column_mask,
			&received_ms, &batch, why);
	for (uint32_t i = 0; !err && i < batch.row_count; i++) {
		struct raw_row row = {.batch = &batch, .row_idx = i};
		bool stands;

		if (tl_batch_get(&batch, TL_COL_SIGN, i) < 0 ||
			!is_asked(walk->ask, &batch, i, received_ms, &row.time_ms))
			continue;
		err = see(walk, batch.id[i], &stands);
		if (!err && stands)
			err = walk->visit(walk->arg, &row, why);
	}
	return err;
}

static enum tl_err
walk_blocks(struct raw_walk *walk, struct tl_why *why)
{
	uint32_t kept_count = 0;
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < walk->ask->group_count; i++)
		err = add_group(walk, walk->ask->groups[i], why);
	for (uint32_t i = 0; !err && i < walk->block_count; i++) {
		bool found = false;

		err = look(walk, &walk->blocks[i], &found, why);
		if (found)
			walk->blocks[kept_count++] = walk->blocks[i];
	}
	for (uint32_t i = 0; !err && i < kept_count; i++)
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
