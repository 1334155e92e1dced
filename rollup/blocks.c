#include "rollup/blocks.h"

#include <inttypes.h>

#include "rollup/expire.h"
#include "schema/store/key.h"

/* A group is 4 MiB at most on disk; its columns as int64 are a few times that. */
#define BLOCK_ARENA_BYTES_MAX (512u << 20)

void
blocks_init(struct blocks *blocks, struct tl_store *store)
{
	*blocks = (struct blocks){.store = store};
	tl_buf_init(&blocks->bytes, 0);
	tl_arena_init(&blocks->arena, BLOCK_ARENA_BYTES_MAX);
}

void
blocks_release(struct blocks *blocks)
{
	for (uint32_t i = 0; i < BLOCKS_DAYS_MAX; i++) {
		if (blocks->days[i] != NULL)
			tl_day_unpin(blocks->days[i]);
		blocks->days[i] = NULL;
	}
	if (blocks->sealed != NULL)
		tl_sealed_forget(blocks->sealed);
}

void
blocks_fini(struct blocks *blocks)
{
	if (blocks->store == NULL)
		return;
	blocks_release(blocks);
	tl_sealed_free(blocks->sealed);
	tl_buf_fini(&blocks->bytes);
	tl_arena_fini(&blocks->arena);
}

static struct tl_day *
pinned_day(struct blocks *blocks, int64_t day_ms)
{
	struct tl_day *day;

	for (uint32_t i = 0; i < BLOCKS_DAYS_MAX; i++) {
		if (blocks->days[i] != NULL && tl_day_ms(blocks->days[i]) == day_ms)
			return blocks->days[i];
	}
	day = tl_day_pin(blocks->store, day_ms);
	if (day == NULL)
		return NULL;
	if (blocks->days[blocks->day_next] != NULL)
		tl_day_unpin(blocks->days[blocks->day_next]);
	blocks->days[blocks->day_next] = day;
	blocks->day_next = (blocks->day_next + 1) % BLOCKS_DAYS_MAX;
	return day;
}

bool
blocks_has_day(struct blocks *blocks, int64_t day_ms)
{
	return pinned_day(blocks, day_ms) != NULL;
}

/* Expired, or lost? */
static enum tl_err
missing_day(struct blocks *blocks, uint64_t group_no, int64_t day_ms, struct tl_why *why)
{
	char text[TL_DAY_TEXT_BYTES];
	struct tl_expiry cut;
	enum tl_err err = tl_expiry_get(blocks->store, NULL, &cut, why);

	if (err)
		return err;
	if (day_ms < cut.day_ms)
		return TL_EEND;
	tl_day_format(day_ms, text);
	return tl_fail(why, TL_EACKED_DATA_MISSING, "the day %s of group %" PRIu64 " is missing",
		text, group_no);
}

static enum tl_err
decode(struct blocks *blocks, uint64_t group_no, const struct tl_journal_block *block,
	uint64_t column_mask, struct tl_block_head *head_out, struct tl_batch *batch_out,
	struct tl_why *why)
{
	enum tl_err err = tl_block_decode(
		tl_buf_slice(&blocks->bytes), column_mask, &blocks->arena, head_out, batch_out);

	if (err)
		return tl_fail(why, err, "block %u of group %" PRIu64 ": %s", block->block_no,
			group_no, tl_err_text(err));
	return TL_OK;
}

/* A block that is no key of its own any more. */
static enum tl_err
get_sealed(struct blocks *blocks, struct tl_day *day, uint64_t group_no,
	const struct tl_journal_block *block, uint64_t column_mask, struct tl_block_head *head_out,
	struct tl_batch *batch_out, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	if (blocks->sealed == NULL)
		err = tl_sealed_new(blocks->store, &blocks->sealed);
	if (!err)
		err = tl_sealed_block(blocks->sealed, NULL, day, group_no, block->block_no,
			column_mask, &blocks->arena, head_out, batch_out, why);
	if (err == TL_ENOT_FOUND)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"block %u of group %" PRIu64 " is missing", block->block_no, group_no);
	return err;
}

enum tl_err
blocks_get(struct blocks *blocks, uint64_t group_no, const struct tl_journal_block *block,
	uint64_t column_mask, struct tl_block_head *head_out, struct tl_batch *batch_out,
	struct tl_why *why)
{
	struct tl_day *day = pinned_day(blocks, block->day_ms);
	struct tl_key key = tl_key_block(group_no, block->block_no);
	enum tl_err err;

	if (day == NULL)
		return missing_day(blocks, group_no, block->day_ms, why);
	tl_arena_reset(&blocks->arena);
	err = tl_day_get(blocks->store, NULL, day, tl_key_slice(&key), &blocks->bytes, why);
	if (err && err != TL_ENOT_FOUND)
		return err;
	if (err)
		err = get_sealed(
			blocks, day, group_no, block, column_mask, head_out, batch_out, why);
	else
		err = decode(blocks, group_no, block, column_mask, head_out, batch_out, why);
	if (!err && head_out->row_count != block->row_count)
		err = tl_fail(why, TL_ESTORAGE_CORRUPT,
			"block %u of group %" PRIu64 " has %u rows, the journal says %u",
			block->block_no, group_no, head_out->row_count, block->row_count);
	return err;
}
