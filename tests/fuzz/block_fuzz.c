/*
 * A block. The input lacks the checksum, which is put behind it: damage that the checksum finds is
 * the first check, damage it does not find is the rest. What decodes is written again to a block
 * of the same rows, and a part of the columns reads as the same part of all.
 */
#include "schema/base/crypt.h"
#include "schema/store/block.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_BYTES_MAX ((size_t)8 << 20)
#define ROWS_MAX 4096u

static void
check_head(struct tl_slice block, const struct tl_block_head *head)
{
	struct tl_block_head alone;

	assert(tl_block_head(block, &alone) == TL_OK);
	assert(alone.row_count == head->row_count && alone.received_ms == head->received_ms);
	assert(alone.ts_ms_min == head->ts_ms_min && alone.ts_ms_max == head->ts_ms_max);
	assert(alone.cost_nusd == head->cost_nusd);
}

static void
check_same(const struct tl_batch *a, const struct tl_batch *b, uint64_t column_mask)
{
	assert(a->row_count == b->row_count);
	assert(memcmp(a->id, b->id, a->row_count * sizeof(*a->id)) == 0);
	for (uint32_t column = 0; column < TL_COL_STORED_COUNT; column++) {
		if ((column_mask >> column & 1) == 0)
			continue;
		for (uint32_t i = 0; i < a->row_count; i++)
			assert(tl_batch_get(a, (enum tl_column)column, i) ==
				tl_batch_get(b, (enum tl_column)column, i));
	}
}

static void
check_again(const struct tl_batch *batch, const struct tl_block_head *head)
{
	static struct tl_arena static_arena;
	static struct tl_buf again;
	static uint32_t row_idx[ROWS_MAX];
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_block_head head_again;
	struct tl_batch batch_again;
	enum tl_err err;

	if (batch->row_count > ROWS_MAX)
		return;
	for (uint32_t i = 0; i < batch->row_count; i++)
		row_idx[i] = i;
	tl_buf_reset(&again);
	err = tl_block_encode(batch, row_idx, batch->row_count, head->received_ms, &again);
	if (err) {
		assert(err == TL_EAMOUNT_OVERFLOW); /* the sum of costs, which decoding believes */
		return;
	}
	assert(tl_block_decode(tl_buf_slice(&again), TL_BLOCK_ALL_COLUMNS, arena, &head_again,
		       &batch_again) == TL_OK);
	assert(head_again.row_count == head->row_count);
	assert(head_again.received_ms == head->received_ms);
	check_same(batch, &batch_again, TL_BLOCK_ALL_COLUMNS);
}

static void
check_part(struct tl_slice block, const struct tl_batch *batch, uint64_t column_mask)
{
	static struct tl_arena static_arena;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_block_head head;
	struct tl_batch part;

	assert(tl_block_decode(block, column_mask, arena, &head, &part) == TL_OK);
	check_same(batch, &part, column_mask);
}

/* Rows of one org, from the time of one row on. */
static void
check_pick(struct tl_slice block, const struct tl_batch *batch, uint32_t row_idx)
{
	static struct tl_arena static_arena;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_block_pick pick = {.org = (uint32_t)tl_batch_get(batch, TL_COL_ORG, row_idx),
		.from_ms = tl_batch_get(batch, TL_COL_TS, row_idx),
		.last_ms = INT64_MAX};
	struct tl_block_head head;
	struct tl_batch picked;
	uint32_t at = 0;

	assert(tl_block_pick(block, TL_BLOCK_ALL_COLUMNS, &pick, arena, &head, &picked) == TL_OK);
	for (uint32_t i = 0; i < batch->row_count; i++) {
		if (tl_batch_get(batch, TL_COL_ORG, i) != pick.org ||
			tl_batch_get(batch, TL_COL_TS, i) < pick.from_ms)
			continue;
		assert(at < picked.row_count);
		assert(memcmp(batch->id[i], picked.id[at], sizeof(batch->id[i])) == 0);
		for (uint32_t column = 0; column < TL_COL_STORED_COUNT; column++)
			assert(tl_batch_get(batch, (enum tl_column)column, i) ==
				tl_batch_get(&picked, (enum tl_column)column, at));
		at++;
	}
	assert(at == picked.row_count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_arena static_arena;
	static struct tl_buf buf;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_block_head head;
	struct tl_batch batch;
	struct tl_slice block;
	enum tl_err err;

	err = tl_block_decode(tl_slice_of(data, bytes), TL_BLOCK_ALL_COLUMNS, arena, &head, &batch);
	assert(err != TL_OK || bytes >= 8);
	if (err == TL_OK)
		check_head(tl_slice_of(data, bytes), &head);

	tl_buf_reset(&buf);
	tl_buf_put(&buf, data, bytes);
	tl_buf_put_be64(&buf, tl_checksum64(tl_slice_of(data, bytes)));
	block = tl_buf_slice(&buf);
	arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	err = tl_block_decode(block, TL_BLOCK_ALL_COLUMNS, arena, &head, &batch);
	if (err) {
		assert(err == TL_ESTORAGE_CORRUPT || err == TL_ENOMEM);
		return 0;
	}
	assert(head.row_count == batch.row_count);
	assert(batch.row_count <= bytes / 16); /* an id each */
	check_head(block, &head);
	check_again(&batch, &head);
	check_part(block, &batch, tl_checksum64(block));
	check_pick(block, &batch, (uint32_t)(tl_checksum64(block) % batch.row_count));
	return 0;
}
