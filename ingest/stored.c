#include "ingest/stored.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "ingest/writer.h"
#include "schema/store/block.h"
#include "schema/store/key.h"

/* A resend reads the same one or two blocks row after row. */
#define STORED_BLOCKS 8u
#define BLOCK_ARENA_BYTES_MAX ((size_t)64 << 20)
#define JOURNAL_ARENA_BYTES_MAX ((size_t)1 << 20)

struct stored_block {
	uint64_t group_no; /* 0: free */
	uint16_t block_no;
	uint64_t used_at;
	struct tl_arena arena;
	struct tl_block_head head;
	struct tl_batch batch;
};

struct stored {
	struct tl_store *store;
	struct stored_block blocks[STORED_BLOCKS];
	uint64_t clock; /* counts fetches */
	struct tl_arena arena;
	struct tl_buf buf;
};

enum tl_err
stored_new(struct tl_store *store, struct stored **stored_out)
{
	struct stored *stored = calloc(1, sizeof(*stored));

	if (stored == NULL)
		return TL_ENOMEM;
	stored->store = store;
	for (size_t i = 0; i < STORED_BLOCKS; i++)
		tl_arena_init(&stored->blocks[i].arena, BLOCK_ARENA_BYTES_MAX);
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
	tl_arena_fini(&stored->arena);
	tl_buf_fini(&stored->buf);
	free(stored);
}

/* The block if it is kept, else the one to give up for it. */
static struct stored_block *
find_block(struct stored *stored, struct dedupe_place place)
{
	struct stored_block *oldest = &stored->blocks[0];

	for (size_t i = 0; i < STORED_BLOCKS; i++) {
		struct stored_block *block = &stored->blocks[i];

		if (block->group_no == place.group_no && block->block_no == place.block_no)
			return block;
		if (block->used_at < oldest->used_at)
			oldest = block;
	}
	return oldest;
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

/* *is_expired_out: the day is gone, which is ordinary. */
static enum tl_err
read_block(struct stored *stored, struct stored_block *block, struct dedupe_place place,
	bool *is_expired_out, struct tl_why *why)
{
	struct tl_key key = tl_key_block(place.group_no, place.block_no);
	struct tl_day *day;
	int64_t day_ms = 0;
	enum tl_err err;

	block->group_no = 0;
	block->used_at = 0;
	err = find_day(stored, place, &day_ms, why);
	if (err)
		return err;
	day = tl_day_pin(stored->store, day_ms);
	if (day == NULL) {
		*is_expired_out = true;
		return TL_OK;
	}
	err = tl_day_get(stored->store, NULL, day, tl_key_slice(&key), &stored->buf, why);
	tl_day_unpin(day);
	if (err == TL_ENOT_FOUND)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": block %u is missing", place.group_no, place.block_no);
	if (err)
		return err;
	tl_arena_reset(&block->arena);
	err = tl_block_decode(tl_buf_slice(&stored->buf), TL_BLOCK_ALL_COLUMNS, &block->arena,
		&block->head, &block->batch);
	if (err)
		return tl_fail(why, err, "group %" PRIu64 ": block %u: %s", place.group_no,
			place.block_no, tl_err_text(err));
	block->group_no = place.group_no;
	block->block_no = place.block_no;
	return TL_OK;
}

enum tl_err
stored_fetch(struct stored *stored, const struct dedupe_slot *slot, struct stored_row *row_out,
	struct tl_why *why)
{
	struct dedupe_place place = dedupe_place_of(slot);
	struct stored_block *block = find_block(stored, place);
	bool is_expired = false;
	enum tl_err err;

	assert(place.group_no != 0);
	if (block->group_no != place.group_no || block->block_no != place.block_no) {
		err = read_block(stored, block, place, &is_expired, why);
		if (err)
			return err;
	}
	if (is_expired) {
		*row_out = (struct stored_row){.batch = NULL};
		return TL_OK;
	}
	block->used_at = ++stored->clock;
	if (place.row_idx >= block->batch.row_count ||
		memcmp(block->batch.id[place.row_idx], slot->id, sizeof(slot->id)) != 0)
		return tl_fail(why, TL_ESTORAGE_CORRUPT,
			"group %" PRIu64 ": block %u row %u is not the event its id stands for",
			place.group_no, place.block_no, place.row_idx);
	*row_out = (struct stored_row){
		.batch = &block->batch,
		.row_idx = place.row_idx,
		.received_ms = block->head.received_ms,
	};
	return TL_OK;
}
