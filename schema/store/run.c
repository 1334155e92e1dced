/*
 * run:   version u8 = 1 | rows | cost zigzag | id xor 16
 *        group count, then per group: step of its number | block number, rows | arrival step zigzag
 *        chunk count, then per chunk: rows | first org's step, last - first | least time zigzag,
 *        greatest - least
 *        XXH3-64 be64
 * chunk: version u8 = 2 | column byte count | column of group places | XXH3-64 be64 | block
 *
 * Counts are varints; steps are from the one before, the first from 0.
 */
#include "schema/store/run.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/store/column.h"

#define RUN_VERSION 1
#define CHUNK_VERSION 2
#define ID_BYTES 16
#define CHECKSUM_BYTES 8
/* The fewest bytes of one, which bound a count by what is left. */
#define GROUP_BYTES_MIN 4
#define CHUNK_BYTES_MIN 5

static void
put_groups(const struct tl_run *run, struct tl_buf *buf)
{
	struct tl_run_group before = {.group_no = 0};

	tl_buf_put_varint(buf, run->group_count);
	for (uint32_t i = 0; i < run->group_count; i++) {
		const struct tl_run_group *group = &run->groups[i];

		tl_buf_put_varint(buf, group->group_no - before.group_no);
		tl_buf_put_varint(buf, group->block_no);
		tl_buf_put_varint(buf, group->row_count);
		tl_buf_put_zigzag(buf, group->received_ms - before.received_ms);
		before = *group;
	}
}

static void
put_chunks(const struct tl_run *run, struct tl_buf *buf)
{
	uint32_t org = 0;

	tl_buf_put_varint(buf, run->chunk_count);
	for (uint32_t i = 0; i < run->chunk_count; i++) {
		const struct tl_run_chunk *chunk = &run->chunks[i];

		tl_buf_put_varint(buf, chunk->row_count);
		tl_buf_put_varint(buf, chunk->org_first - org);
		tl_buf_put_varint(buf, chunk->org_last - chunk->org_first);
		tl_buf_put_zigzag(buf, chunk->time_ms_min);
		tl_buf_put_varint(buf, (uint64_t)chunk->time_ms_max - (uint64_t)chunk->time_ms_min);
		org = chunk->org_last;
	}
}

static void
put_checksum(struct tl_buf *buf, size_t start)
{
	if (!buf->err)
		tl_buf_put_be64(
			buf, tl_checksum64(tl_slice_of(buf->data + start, buf->bytes - start)));
}

void
tl_run_encode(const struct tl_run *run, struct tl_buf *buf)
{
	size_t start = buf->bytes;

	tl_buf_put_u8(buf, RUN_VERSION);
	tl_buf_put_varint(buf, run->row_count);
	tl_buf_put_zigzag(buf, run->cost_nusd);
	tl_buf_put(buf, run->id_xor, ID_BYTES);
	put_groups(run, buf);
	put_chunks(run, buf);
	put_checksum(buf, start);
}

static uint32_t
take_count(struct tl_cursor *cur, size_t bytes_min)
{
	uint64_t count = tl_cursor_varint(cur);

	if (cur->err || count == 0 || count > tl_cursor_left(cur) / bytes_min) {
		cur->err = TL_ESTORAGE_CORRUPT;
		return 0;
	}
	return (uint32_t)count;
}

/* False: the group cannot follow the one before it. */
static bool
take_group(struct tl_cursor *cur, const struct tl_run_group *before, struct tl_run_group *group)
{
	uint64_t step = tl_cursor_varint(cur);
	uint64_t block_no = tl_cursor_varint(cur);
	uint64_t row_count = tl_cursor_varint(cur);
	int64_t received_step = tl_cursor_zigzag(cur);

	group->block_no = (uint16_t)block_no;
	group->row_count = (uint32_t)row_count;
	return !cur->err && step > 0 && block_no <= UINT16_MAX && row_count > 0 &&
	       row_count <= TL_RUN_ROWS_MAX &&
	       !__builtin_add_overflow(before->group_no, step, &group->group_no) &&
	       !__builtin_add_overflow(before->received_ms, received_step, &group->received_ms);
}

static enum tl_err
take_groups(struct tl_cursor *cur, struct tl_arena *arena, struct tl_run *run)
{
	struct tl_run_group before = {.group_no = 0};
	uint64_t row_count = 0;

	run->group_count = take_count(cur, GROUP_BYTES_MIN);
	if (cur->err)
		return TL_ESTORAGE_CORRUPT;
	run->groups = tl_arena_array(arena, run->group_count, sizeof(*run->groups));
	if (run->groups == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < run->group_count; i++) {
		if (!take_group(cur, &before, &run->groups[i]))
			return TL_ESTORAGE_CORRUPT;
		before = run->groups[i];
		row_count += before.row_count;
	}
	return row_count == run->row_count ? TL_OK : TL_ESTORAGE_CORRUPT;
}

static bool
take_chunk(struct tl_cursor *cur, uint32_t org_before, struct tl_run_chunk *chunk)
{
	uint64_t row_count = tl_cursor_varint(cur);
	uint64_t org_step = tl_cursor_varint(cur);
	uint64_t org_range = tl_cursor_varint(cur);
	uint64_t time_range;

	chunk->time_ms_min = tl_cursor_zigzag(cur);
	time_range = tl_cursor_varint(cur);
	chunk->row_count = (uint32_t)row_count;
	return !cur->err && row_count > 0 && row_count <= TL_RUN_CHUNK_ROWS &&
	       !__builtin_add_overflow(org_before, org_step, &chunk->org_first) &&
	       !__builtin_add_overflow(chunk->org_first, org_range, &chunk->org_last) &&
	       !__builtin_add_overflow(chunk->time_ms_min, time_range, &chunk->time_ms_max);
}

static enum tl_err
take_chunks(struct tl_cursor *cur, struct tl_arena *arena, struct tl_run *run)
{
	uint64_t row_count = 0;
	uint32_t org = 0;

	run->chunk_count = take_count(cur, CHUNK_BYTES_MIN);
	if (cur->err || run->chunk_count > TL_RUN_CHUNKS_MAX)
		return TL_ESTORAGE_CORRUPT;
	run->chunks = tl_arena_array(arena, run->chunk_count, sizeof(*run->chunks));
	if (run->chunks == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < run->chunk_count; i++) {
		if (row_count % TL_RUN_CHUNK_ROWS != 0 || !take_chunk(cur, org, &run->chunks[i]))
			return TL_ESTORAGE_CORRUPT;
		org = run->chunks[i].org_last;
		row_count += run->chunks[i].row_count;
	}
	return row_count == run->row_count ? TL_OK : TL_ESTORAGE_CORRUPT;
}

/* The bytes before the checksum at the end of bytes, if it is theirs. */
static bool
check(struct tl_slice bytes, struct tl_slice *body_out)
{
	if (bytes.bytes < CHECKSUM_BYTES)
		return false;
	*body_out = tl_slice_of(bytes.data, bytes.bytes - CHECKSUM_BYTES);
	return tl_checksum64(*body_out) == tl_get_be64(bytes.data + body_out->bytes);
}

enum tl_err
tl_run_decode(struct tl_slice bytes, struct tl_arena *arena, struct tl_run *run_out)
{
	struct tl_run run = {.row_count = 0};
	struct tl_slice body;
	struct tl_slice id_xor;
	struct tl_cursor cur;
	uint64_t row_count;
	uint8_t version;
	enum tl_err err;

	if (!check(bytes, &body))
		return TL_ESTORAGE_CORRUPT;
	cur = tl_cursor_of(body);
	version = tl_cursor_u8(&cur);
	row_count = tl_cursor_varint(&cur);
	run.cost_nusd = tl_cursor_zigzag(&cur);
	id_xor = tl_cursor_take(&cur, ID_BYTES);
	if (cur.err || version != RUN_VERSION || row_count > TL_RUN_ROWS_MAX)
		return TL_ESTORAGE_CORRUPT;
	run.row_count = (uint32_t)row_count;
	memcpy(run.id_xor, id_xor.data, ID_BYTES);
	err = take_groups(&cur, arena, &run);
	if (!err)
		err = take_chunks(&cur, arena, &run);
	if (!err && (cur.err || tl_cursor_left(&cur) != 0))
		err = TL_ESTORAGE_CORRUPT;
	if (!err)
		*run_out = run;
	return err;
}

uint64_t
tl_run_group_last(const struct tl_run *run)
{
	assert(run->group_count > 0);
	return run->groups[run->group_count - 1].group_no;
}

const struct tl_run_group *
tl_run_find(const struct tl_run *run, uint64_t group_no)
{
	uint32_t low = 0;
	uint32_t high = run->group_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (run->groups[middle].group_no < group_no)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == run->group_count || run->groups[low].group_no != group_no)
		return NULL;
	return &run->groups[low];
}

static void
put_places(struct tl_buf *buf, const int64_t *gathered, uint32_t row_count)
{
	struct tl_buf column;

	tl_buf_init(&column, 0);
	tl_column_encode(&column, gathered, row_count);
	if (column.err && !buf->err)
		buf->err = column.err;
	tl_buf_put_varint(buf, column.bytes);
	tl_buf_put_slice(buf, tl_buf_slice(&column));
	tl_buf_fini(&column);
}

enum tl_err
tl_chunk_encode(const struct tl_batch *batch, const int64_t *group_idx, const uint32_t *row_idx,
	uint32_t row_count, int64_t received_ms, struct tl_buf *buf)
{
	int64_t *gathered = malloc(row_count * sizeof(*gathered));
	size_t start = buf->bytes;

	assert(row_count > 0);
	if (gathered == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < row_count; i++)
		gathered[i] = group_idx[row_idx[i]];
	tl_buf_put_u8(buf, CHUNK_VERSION);
	put_places(buf, gathered, row_count);
	put_checksum(buf, start);
	free(gathered);
	return buf->err ? buf->err : tl_block_encode(batch, row_idx, row_count, received_ms, buf);
}

/* What stands before the block; cur is behind it then. */
static enum tl_err
take_places(struct tl_cursor *cur, struct tl_slice *places_out)
{
	const uint8_t *start = cur->next;
	uint8_t version = tl_cursor_u8(cur);
	uint64_t bytes = tl_cursor_varint(cur);
	struct tl_slice head;
	struct tl_slice body;

	*places_out = tl_cursor_take(cur, bytes);
	(void)tl_cursor_take(cur, CHECKSUM_BYTES);
	if (cur->err || version != CHUNK_VERSION)
		return TL_ESTORAGE_CORRUPT;
	head = tl_slice_of(start, (size_t)(cur->next - start));
	return check(head, &body) ? TL_OK : TL_ESTORAGE_CORRUPT;
}

enum tl_err
tl_chunk_decode(struct tl_slice bytes, uint32_t group_count, uint64_t column_mask,
	struct tl_arena *arena, struct tl_chunk *chunk_out)
{
	struct tl_cursor cur = tl_cursor_of(bytes);
	struct tl_chunk chunk;
	struct tl_block_head head;
	struct tl_slice places;
	struct tl_cursor inner;
	int64_t *group_idx;
	enum tl_err err = take_places(&cur, &places);

	if (!err)
		err = tl_block_decode(tl_cursor_take(&cur, tl_cursor_left(&cur)), column_mask,
			arena, &head, &chunk.batch);
	if (err)
		return err;
	if (head.row_count > TL_RUN_CHUNK_ROWS)
		return TL_ESTORAGE_CORRUPT;
	group_idx = tl_arena_array(arena, head.row_count, sizeof(*group_idx));
	if (group_idx == NULL)
		return TL_ENOMEM;
	inner = tl_cursor_of(places);
	tl_column_decode(&inner, group_idx, head.row_count);
	if (inner.err || tl_cursor_left(&inner) != 0)
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < head.row_count; i++) {
		if (group_idx[i] < 0 || group_idx[i] >= group_count)
			return TL_ESTORAGE_CORRUPT;
	}
	chunk.group_idx = group_idx;
	chunk.cost_nusd = head.cost_nusd;
	*chunk_out = chunk;
	return TL_OK;
}
