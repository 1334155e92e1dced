/*
 * A run's row, or, when the first byte is odd, a chunk of it. The input lacks the checksums, which
 * are put behind: the first pass shows what they find, the second what is left to the rest. What
 * decodes is written again to the same bytes.
 */
#include "schema/base/crypt.h"
#include "schema/store/run.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_BYTES_MAX ((size_t)16 << 20)
#define GROUPS 3u

static void
check_run(struct tl_slice bytes)
{
	static struct tl_arena static_arena;
	static struct tl_buf buf, again;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_run run;
	uint64_t rows = 0;
	enum tl_err err = tl_run_decode(bytes, arena, &run);

	assert(err != TL_OK || bytes.bytes >= 8);
	tl_buf_reset(&buf);
	tl_buf_put_slice(&buf, bytes);
	tl_buf_put_be64(&buf, tl_checksum64(bytes));
	err = tl_run_decode(tl_buf_slice(&buf), arena, &run);
	if (err) {
		assert(err == TL_ESTORAGE_CORRUPT || err == TL_ENOMEM);
		return;
	}
	assert(run.group_count > 0 && run.chunk_count > 0 && run.row_count <= TL_RUN_ROWS_MAX);
	for (uint32_t i = 0; i < run.group_count; i++) {
		rows += run.groups[i].row_count;
		assert(tl_run_find(&run, run.groups[i].group_no) == &run.groups[i]);
	}
	assert(rows == run.row_count);
	tl_buf_reset(&again);
	tl_run_encode(&run, &again);
	assert(tl_slice_eq(tl_buf_slice(&again), tl_buf_slice(&buf)));
}

/* The head up to its checksum, then the block up to its own; the first byte says how long. */
static void
check_chunk(struct tl_slice bytes)
{
	static struct tl_arena static_arena;
	static struct tl_buf buf;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	size_t head_bytes = bytes.bytes > 0 ? bytes.data[0] : 0;
	struct tl_slice head, block;
	struct tl_chunk chunk;
	enum tl_err err;

	if (head_bytes + 1 > bytes.bytes)
		return;
	head = tl_slice_of(bytes.data + 1, head_bytes);
	block = tl_slice_of(bytes.data + 1 + head_bytes, bytes.bytes - 1 - head_bytes);
	tl_buf_reset(&buf);
	tl_buf_put_slice(&buf, head);
	tl_buf_put_be64(&buf, tl_checksum64(head));
	tl_buf_put_slice(&buf, block);
	tl_buf_put_be64(&buf, tl_checksum64(block));
	err = tl_chunk_decode(tl_buf_slice(&buf), GROUPS, TL_BLOCK_ALL_COLUMNS, arena, &chunk);
	if (err) {
		assert(err == TL_ESTORAGE_CORRUPT || err == TL_ENOMEM);
		return;
	}
	assert(chunk.batch.row_count > 0 && chunk.batch.row_count <= TL_RUN_CHUNK_ROWS);
	for (uint32_t i = 0; i < chunk.batch.row_count; i++)
		assert(chunk.group_idx[i] >= 0 && chunk.group_idx[i] < GROUPS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes == 0)
		return 0;
	if (data[0] % 2 == 0)
		check_run(tl_slice_of(data + 1, bytes - 1));
	else
		check_chunk(tl_slice_of(data + 1, bytes - 1));
	return 0;
}
