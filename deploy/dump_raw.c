#include "deploy/dump_raw.h"

#include <inttypes.h>

#include "deploy/dump_text.h"
#include "schema/store/key.h"
#include "schema/store/run.h"

/* Every column that is not at its default. */
static void
print_row(const struct tl_batch *batch, uint32_t row, struct tl_buf *text)
{
	char hex[33];

	tl_hex(batch->id[row], 16, hex);
	tl_buf_printf(text, "\n  %s", hex);
	for (int c = 0; c < TL_COL_STORED_COUNT; c++) {
		int64_t cell = tl_batch_get(batch, (enum tl_column)c, row);

		if (cell != tl_column_default((enum tl_column)c))
			tl_buf_printf(
				text, " %s=%" PRId64, tl_column_field((enum tl_column)c), cell);
	}
}

enum tl_err
dump_block(struct tl_slice value, struct tl_arena *arena, struct tl_buf *text)
{
	struct tl_block_head head;
	struct tl_batch batch;
	enum tl_err err = tl_block_decode(value, TL_BLOCK_ALL_COLUMNS, arena, &head, &batch);

	if (err)
		return err;
	tl_buf_printf(text, "  rows=%u", head.row_count);
	dump_time("received", head.received_ms, text);
	tl_buf_printf(text, " cost_nusd=%" PRId64, head.cost_nusd);
	for (uint32_t row = 0; row < head.row_count; row++)
		print_row(&batch, row, text);
	return text->err;
}

static enum tl_err
print_run(struct tl_slice value, struct tl_arena *arena, struct tl_buf *text)
{
	struct tl_run run;
	enum tl_err err = tl_run_decode(value, arena, &run);
	char hex[33];

	if (err)
		return err;
	tl_hex(run.id_xor, sizeof(run.id_xor), hex);
	tl_buf_printf(text, "  rows=%u cost_nusd=%" PRId64 " id_xor=%s", run.row_count,
		run.cost_nusd, hex);
	for (uint32_t i = 0; i < run.group_count; i++) {
		tl_buf_printf(text, "\n  %u: group=%" PRIu64 " block=%u rows=%u", i,
			run.groups[i].group_no, run.groups[i].block_no, run.groups[i].row_count);
		dump_time("received", run.groups[i].received_ms, text);
	}
	for (uint32_t i = 0; i < run.chunk_count; i++) {
		tl_buf_printf(text, "\n  chunk %u: rows=%u orgs=%u..%u", i, run.chunks[i].row_count,
			run.chunks[i].org_first, run.chunks[i].org_last);
		dump_time("from", run.chunks[i].time_ms_min, text);
		dump_time("to", run.chunks[i].time_ms_max, text);
	}
	return text->err;
}

/* from= is the row's group by its place in the list of the run. */
static enum tl_err
print_chunk(struct tl_slice value, struct tl_arena *arena, struct tl_buf *text)
{
	struct tl_chunk chunk;
	enum tl_err err = tl_chunk_decode(value, UINT32_MAX, TL_BLOCK_ALL_COLUMNS, arena, &chunk);

	if (err)
		return err;
	tl_buf_printf(text, "  rows=%u cost_nusd=%" PRId64, chunk.batch.row_count, chunk.cost_nusd);
	for (uint32_t row = 0; row < chunk.batch.row_count; row++) {
		print_row(&chunk.batch, row, text);
		tl_buf_printf(text, " from=%" PRId64, chunk.group_idx[row]);
	}
	return text->err;
}

void
dump_raw_key(struct tl_slice key, struct tl_buf *text)
{
	uint64_t group_no;
	uint16_t no;

	if (tl_key_block_parse(key, &group_no, &no))
		tl_buf_printf(text, "group=%" PRIu64 " block=%u", group_no, no);
	else if (tl_key_run_parse(key, &group_no))
		tl_buf_printf(text, "run to group=%" PRIu64, group_no);
	else if (tl_key_chunk_parse(key, &group_no, &no))
		tl_buf_printf(text, "run to group=%" PRIu64 " chunk=%u", group_no, no);
	else
		tl_buf_printf(text, "a key of %zu bytes", key.bytes);
}

enum tl_err
dump_raw_value(
	struct tl_slice key, struct tl_slice value, struct tl_arena *arena, struct tl_buf *text)
{
	uint64_t group_no;
	uint16_t no;

	if (tl_key_run_parse(key, &group_no))
		return print_run(value, arena, text);
	if (tl_key_chunk_parse(key, &group_no, &no))
		return print_chunk(value, arena, text);
	return dump_block(value, arena, text);
}
