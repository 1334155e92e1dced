/*
 *   blocks -> rows, in the order of groups -> sorted by (org, member, ts) -> chunks
 *      |                                                                       |
 *      +------ compared with the journal                 decoded, compared ----+
 *      |                                                  with the rows
 *      +--> deleted <---------- one synced batch ------------> put with their run
 */
#include "rollup/seal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "schema/model/money.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/sealed.h"

/* Rows a run, but for one block that has more. */
#define RUN_ROWS 32768u
#define ARENA_BYTES_MAX ((size_t)128 << 20)

/* What rows are sorted by; equal ones stay in the order of their groups and blocks. */
struct sort_row {
	uint32_t org, member;
	int64_t ts_ms;
	uint32_t row_idx;
};

struct seal {
	struct tl_store *store;
	struct tl_write *write;
	struct tl_arena arena;	     /* of the run in hand */
	struct tl_arena block_arena; /* of the block or chunk in hand */
	struct tl_buf buf;
	/* the run in hand, on arena */
	struct tl_day *day;
	struct tl_batch rows;
	int64_t *group_idx; /* row -> place in run.groups */
	uint32_t *order;    /* rows as they are sorted */
	struct tl_run run;
};

enum tl_err
seal_new(struct tl_store *store, struct seal **seal_out)
{
	struct seal *seal = calloc(1, sizeof(*seal));
	enum tl_err err;

	if (seal == NULL)
		return TL_ENOMEM;
	seal->store = store;
	tl_arena_init(&seal->arena, ARENA_BYTES_MAX);
	tl_arena_init(&seal->block_arena, ARENA_BYTES_MAX);
	tl_buf_init(&seal->buf, 0);
	err = tl_write_new(store, &seal->write);
	if (err) {
		seal_free(seal);
		return err;
	}
	*seal_out = seal;
	return TL_OK;
}

void
seal_free(struct seal *seal)
{
	if (seal == NULL)
		return;
	tl_write_free(seal->write);
	tl_buf_fini(&seal->buf);
	tl_arena_fini(&seal->block_arena);
	tl_arena_fini(&seal->arena);
	free(seal);
}

static enum tl_err
begin_run(struct seal *seal, struct tl_day *day)
{
	struct tl_arena *arena = &seal->arena;

	tl_arena_reset(arena);
	seal->day = day;
	seal->run = (struct tl_run){
		.groups = tl_arena_array(arena, RUN_ROWS, sizeof(*seal->run.groups)),
		.chunks = tl_arena_array(arena, TL_RUN_CHUNKS_MAX, sizeof(*seal->run.chunks))};
	seal->rows = (struct tl_batch){.arena = arena,
		.row_capacity = TL_RUN_ROWS_MAX,
		.id = tl_arena_array(arena, TL_RUN_ROWS_MAX, sizeof(*seal->rows.id))};
	seal->group_idx = tl_arena_array(arena, TL_RUN_ROWS_MAX, sizeof(*seal->group_idx));
	if (seal->run.groups == NULL || seal->run.chunks == NULL || seal->rows.id == NULL ||
		seal->group_idx == NULL)
		return TL_ENOMEM;
	return TL_OK;
}

/* The block as the journal has it. */
static enum tl_err
check_journal(struct seal *seal, uint64_t group_no, uint16_t block_no,
	const struct tl_block_head *head, struct tl_why *why)
{
	struct tl_key key = tl_key_journal(group_no);
	struct tl_journal_row row;
	enum tl_err err = tl_store_get(
		seal->store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key), &seal->buf, why);

	if (!err)
		err = tl_journal_decode(
			group_no, tl_buf_slice(&seal->buf), &seal->block_arena, &row);
	if (err)
		return tl_fail(why, err == TL_ENOT_FOUND ? TL_EACKED_DATA_MISSING : err,
			"journal row %" PRIu64 ": %s", group_no, tl_err_text(err));
	for (uint32_t i = 0; i < row.block_count; i++) {
		const struct tl_journal_block *block = &row.blocks[i];

		if (block->day_ms == tl_day_ms(seal->day) && block->block_no == block_no &&
			block->row_count == head->row_count &&
			block->cost_nusd == head->cost_nusd && row.received_ms == head->received_ms)
			return TL_OK;
	}
	return tl_fail(why, TL_ESTORAGE_CORRUPT,
		"block %u of group %" PRIu64 " is not what the journal says", block_no, group_no);
}

static enum tl_err
append_rows(struct seal *seal, const struct tl_batch *block)
{
	struct tl_batch *rows = &seal->rows;
	uint32_t first = rows->row_count;

	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		enum tl_err err;

		if (block->column[column] == NULL)
			continue;
		err = tl_batch_need(rows, column);
		if (err)
			return err;
		memcpy(rows->column[column] + first, block->column[column],
			block->row_count * sizeof(*block->column[column]));
	}
	memcpy(rows->id[first], block->id, block->row_count * sizeof(*block->id));
	for (uint32_t i = 0; i < block->row_count; i++) {
		seal->group_idx[first + i] = seal->run.group_count;
		for (int k = 0; k < 16; k++)
			seal->run.id_xor[k] ^= block->id[i][k];
	}
	rows->row_count += block->row_count;
	return TL_OK;
}

/* TL_EFULL: the run is full without this block. */
static enum tl_err
take_block(struct seal *seal, struct tl_slice key, struct tl_slice bytes, struct tl_why *why)
{
	struct tl_run *run = &seal->run;
	struct tl_run_group group;
	struct tl_block_head head;
	struct tl_batch block;
	enum tl_err err;

	if (!tl_key_block_parse(key, &group.group_no, &group.block_no))
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "raw: a wrong key");
	tl_arena_reset(&seal->block_arena);
	err = tl_block_decode(bytes, TL_BLOCK_ALL_COLUMNS, &seal->block_arena, &head, &block);
	if (err)
		return tl_fail(why, err, "block %u of group %" PRIu64 ": %s", group.block_no,
			group.group_no, tl_err_text(err));
	if (run->group_count > 0 && run->row_count + head.row_count > RUN_ROWS)
		return TL_EFULL;
	if (head.row_count > TL_RUN_ROWS_MAX)
		return tl_fail(why, TL_ESTORAGE_CORRUPT,
			"block %u of group %" PRIu64 " has %u rows", group.block_no, group.group_no,
			head.row_count);
	err = check_journal(seal, group.group_no, group.block_no, &head, why);
	if (!err && !tl_sum_add(&run->cost_nusd, head.cost_nusd))
		err = TL_EFULL; /* together they are more than a sum can hold */
	if (!err)
		err = append_rows(seal, &block);
	if (err)
		return err;
	group.received_ms = head.received_ms;
	group.row_count = head.row_count;
	run->groups[run->group_count++] = group;
	run->row_count += head.row_count;
	return TL_OK;
}

/* The day's oldest blocks, as many as a run takes. */
static enum tl_err
collect(struct seal *seal, uint64_t group_no_max, struct tl_why *why)
{
	struct tl_key end = tl_key_block(group_no_max + 1, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open_day(
		seal->store, NULL, seal->day, tl_slice_of(NULL, 0), tl_key_slice(&end), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK)
		err = take_block(seal, key, value, why);
	tl_scan_free(scan);
	if (err != TL_EEND && err != TL_EFULL)
		return err;
	return seal->run.group_count > 0 ? TL_OK : TL_EEND;
}

static int
compare_rows(const void *a_arg, const void *b_arg)
{
	const struct sort_row *a = a_arg;
	const struct sort_row *b = b_arg;

	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	if (a->member != b->member)
		return a->member < b->member ? -1 : 1;
	if (a->ts_ms != b->ts_ms)
		return a->ts_ms < b->ts_ms ? -1 : 1;
	return (a->row_idx > b->row_idx) - (a->row_idx < b->row_idx);
}

static enum tl_err
sort_rows(struct seal *seal)
{
	const struct tl_batch *rows = &seal->rows;
	struct sort_row *sorted = tl_arena_array(&seal->arena, rows->row_count, sizeof(*sorted));

	seal->order = tl_arena_array(&seal->arena, rows->row_count, sizeof(*seal->order));
	if (sorted == NULL || seal->order == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < rows->row_count; i++)
		sorted[i] = (struct sort_row){
			.org = (uint32_t)tl_batch_get(rows, TL_COL_ORG, i),
			.member = (uint32_t)tl_batch_get(rows, TL_COL_MEMBER, i),
			.ts_ms = tl_batch_get(rows, TL_COL_TS, i),
			.row_idx = i,
		};
	qsort(sorted, rows->row_count, sizeof(*sorted), compare_rows);
	for (uint32_t i = 0; i < rows->row_count; i++)
		seal->order[i] = sorted[i].row_idx;
	return TL_OK;
}

/* What the run says of rows order[0..count). */
static struct tl_run_chunk
describe(const struct seal *seal, const uint32_t *order, uint32_t count)
{
	const struct tl_batch *rows = &seal->rows;
	struct tl_run_chunk chunk = {.row_count = count,
		.org_first = (uint32_t)tl_batch_get(rows, TL_COL_ORG, order[0]),
		.org_last = (uint32_t)tl_batch_get(rows, TL_COL_ORG, order[count - 1]),
		.time_ms_min = INT64_MAX,
		.time_ms_max = INT64_MIN};

	for (uint32_t i = 0; i < count; i++) {
		int64_t received_ms = seal->run.groups[seal->group_idx[order[i]]].received_ms;
		int64_t time_ms =
			tl_event_time(tl_batch_get(rows, TL_COL_TS, order[i]), received_ms);

		if (time_ms < chunk.time_ms_min)
			chunk.time_ms_min = time_ms;
		if (time_ms > chunk.time_ms_max)
			chunk.time_ms_max = time_ms;
	}
	return chunk;
}

static bool
is_same_row(const struct seal *seal, uint32_t row_idx, const struct tl_chunk *chunk, uint32_t at)
{
	if (memcmp(seal->rows.id[row_idx], chunk->batch.id[at], sizeof(*chunk->batch.id)) != 0 ||
		seal->group_idx[row_idx] != chunk->group_idx[at])
		return false;
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		if (tl_batch_get(&seal->rows, column, row_idx) !=
			tl_batch_get(&chunk->batch, column, at))
			return false;
	}
	return true;
}

/* The bytes in buf give back the rows; their cost joins the sum. */
static enum tl_err
check_chunk(struct seal *seal, const uint32_t *order, uint32_t count, int64_t *cost_nusd)
{
	struct tl_chunk chunk;
	enum tl_err err;

	tl_arena_reset(&seal->block_arena);
	err = tl_chunk_decode(tl_buf_slice(&seal->buf), seal->run.group_count, TL_BLOCK_ALL_COLUMNS,
		&seal->block_arena, &chunk);
	if (err)
		return err;
	if (chunk.batch.row_count != count || !tl_sum_add(cost_nusd, chunk.cost_nusd))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < count; i++) {
		if (!is_same_row(seal, order[i], &chunk, i))
			return TL_ESTORAGE_CORRUPT;
	}
	return TL_OK;
}

static enum tl_err
put_chunks(struct seal *seal)
{
	struct tl_run *run = &seal->run;
	uint64_t group_last = tl_run_group_last(run);
	int64_t received_ms = run->groups[run->group_count - 1].received_ms;
	int64_t cost_nusd = 0;
	enum tl_err err = TL_OK;

	for (uint32_t first = 0; first < run->row_count && !err; first += TL_RUN_CHUNK_ROWS) {
		struct tl_key key = tl_key_chunk(group_last, (uint16_t)run->chunk_count);
		const uint32_t *order = seal->order + first;
		uint32_t count = run->row_count - first;

		if (count > TL_RUN_CHUNK_ROWS)
			count = TL_RUN_CHUNK_ROWS;
		tl_buf_reset(&seal->buf);
		err = tl_chunk_encode(
			&seal->rows, seal->group_idx, order, count, received_ms, &seal->buf);
		if (!err)
			err = check_chunk(seal, order, count, &cost_nusd);
		if (err)
			break;
		run->chunks[run->chunk_count++] = describe(seal, order, count);
		tl_write_put_raw(
			seal->write, seal->day, tl_key_slice(&key), tl_buf_slice(&seal->buf));
	}
	return !err && cost_nusd != run->cost_nusd ? TL_ESTORAGE_CORRUPT : err;
}

/* The row that says what the run holds, and the blocks it stands for from now on. */
static enum tl_err
put_run(struct seal *seal)
{
	const struct tl_run *run = &seal->run;
	struct tl_key key = tl_key_run(tl_run_group_last(run));
	struct tl_run again;
	enum tl_err err;

	tl_buf_reset(&seal->buf);
	tl_run_encode(run, &seal->buf);
	err = seal->buf.err;
	if (!err)
		err = tl_run_decode(tl_buf_slice(&seal->buf), &seal->arena, &again);
	if (err)
		return err;
	tl_write_put_raw(seal->write, seal->day, tl_key_slice(&key), tl_buf_slice(&seal->buf));
	for (uint32_t i = 0; i < run->group_count; i++) {
		struct tl_key block =
			tl_key_block(run->groups[i].group_no, run->groups[i].block_no);

		tl_write_delete_raw(seal->write, seal->day, tl_key_slice(&block));
	}
	return TL_OK;
}

static enum tl_err
build(struct seal *seal, struct tl_why *why)
{
	enum tl_err err = sort_rows(seal);

	if (!err)
		err = put_chunks(seal);
	if (!err)
		err = put_run(seal);
	if (err)
		return tl_fail(why, err, "a run to group %" PRIu64 " does not encode: %s",
			tl_run_group_last(&seal->run), tl_err_text(err));
	return TL_OK;
}

/* The day's oldest blocks into one run; TL_EEND when there are none. */
static enum tl_err
seal_run(struct seal *seal, struct tl_day *day, uint64_t group_no_max, struct seal_counts *counts,
	struct tl_why *why)
{
	enum tl_err err = begin_run(seal, day);

	if (!err)
		err = collect(seal, group_no_max, why);
	if (err)
		return err;
	tl_write_reset(seal->write);
	err = build(seal, why);
	if (!err)
		err = tl_write_commit(seal->write, TL_SYNC, why);
	if (err)
		return err;
	counts->runs++;
	counts->blocks += seal->run.group_count;
	counts->events += seal->run.row_count;
	return TL_OK;
}

enum tl_err
seal_day(struct seal *seal, struct tl_day *day, uint64_t group_no_max, bool (*go_on)(void *arg),
	void *arg, struct seal_counts *counts, struct tl_why *why)
{
	uint64_t runs_before = counts->runs;
	enum tl_err err = TL_OK;

	while (!err)
		err = go_on == NULL || go_on(arg) ? seal_run(seal, day, group_no_max, counts, why)
						  : TL_ESHUTTING_DOWN;
	counts->days += counts->runs > runs_before;
	tl_arena_fini(&seal->arena);
	tl_arena_init(&seal->arena, ARENA_BYTES_MAX);
	return err == TL_EEND ? TL_OK : err;
}
