/*
 * A journal row under the number in its first eight bytes. What decodes is written again to the
 * same bytes but for the chain, which follows from the one before and from nothing else.
 */
#include "schema/store/journal.h"
#include "tests/fuzz/fuzz.h"

#define CHAIN_BYTES 8

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_arena static_arena;
	static struct tl_buf again;
	struct tl_arena *arena = fuzz_arena(&static_arena, (size_t)1 << 20);
	struct tl_cursor cur = tl_cursor_of(tl_slice_of(data, bytes));
	uint64_t group_no = tl_cursor_be64(&cur);
	struct tl_slice rest = fuzz_rest(&cur);
	struct tl_journal_row row, row_again;
	uint64_t chain;
	enum tl_err err = tl_journal_decode(group_no, rest, arena, &row);

	if (err) {
		assert(err == TL_ESTORAGE_CORRUPT || err == TL_ENOMEM);
		return 0;
	}
	assert(row.group_no == group_no);
	chain = row.chain;
	tl_buf_reset(&again);
	tl_journal_encode(&row, group_no, &again);
	assert(tl_journal_chained(&row, group_no));
	assert(again.bytes == rest.bytes);
	assert(memcmp(again.data, rest.data, rest.bytes - CHAIN_BYTES) == 0);
	assert(tl_journal_decode(group_no, tl_buf_slice(&again), arena, &row_again) == TL_OK);
	assert(row_again.chain == row.chain && row_again.block_count == row.block_count);
	row.chain = chain;
	assert(tl_journal_chained(&row, group_no) == (chain == row_again.chain));
	return 0;
}
