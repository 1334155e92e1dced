#include "schema/store/block.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/model/money.h"
#include "schema/store/column.h"

#define BLOCK_VERSION 2
#define ID_BYTES 16
#define CHECKSUM_BYTES 8
/* The longest byte count that stands before a column: 2^32 rows of ten bytes. */
#define COUNT_BYTES_MAX 6

static void
put_head(struct tl_buf *buf, const struct tl_block_head *head)
{
	tl_buf_put_u8(buf, BLOCK_VERSION);
	tl_buf_put_varint(buf, head->row_count);
	tl_buf_put_zigzag(buf, head->received_ms);
	tl_buf_put_zigzag(buf, head->ts_ms_min);
	tl_buf_put_zigzag(buf, head->ts_ms_max);
	tl_buf_put_zigzag(buf, head->cost_nusd);
}

static enum tl_err
sum_head(const struct tl_batch *batch, const uint32_t *row_idx, struct tl_block_head *head)
{
	const int64_t *ts_ms = batch->column[TL_COL_TS];
	const int64_t *cost_nusd = batch->column[TL_COL_COST];
	const int64_t *sign = batch->column[TL_COL_SIGN];

	head->ts_ms_min = ts_ms != NULL ? INT64_MAX : 0;
	head->ts_ms_max = ts_ms != NULL ? INT64_MIN : 0;
	for (uint32_t i = 0; i < head->row_count && ts_ms != NULL; i++) {
		int64_t row_ms = ts_ms[row_idx[i]];

		head->ts_ms_min = row_ms < head->ts_ms_min ? row_ms : head->ts_ms_min;
		head->ts_ms_max = row_ms > head->ts_ms_max ? row_ms : head->ts_ms_max;
	}
	for (uint32_t i = 0; i < head->row_count && cost_nusd != NULL; i++) {
		int64_t row_nusd = cost_nusd[row_idx[i]];

		if (row_nusd < 0) /* unknown */
			continue;
		if (sign != NULL && sign[row_idx[i]] < 0)
			row_nusd = -row_nusd;
		if (!tl_sum_add(&head->cost_nusd, row_nusd))
			return TL_EAMOUNT_OVERFLOW;
	}
	return TL_OK;
}

static void
put_ids(struct tl_buf *buf, const struct tl_batch *batch, const uint32_t *row_idx,
	uint32_t row_count)
{
	uint8_t *at = tl_buf_reserve(buf, (size_t)row_count * ID_BYTES);

	if (at == NULL)
		return;
	for (uint32_t i = 0; i < row_count; i++)
		memcpy(at + (size_t)i * ID_BYTES, batch->id[row_idx[i]], ID_BYTES);
	tl_buf_advance(buf, (size_t)row_count * ID_BYTES);
}

/* The column behind its byte count, which is known only afterwards and closes up then. */
static void
put_column(struct tl_buf *buf, enum tl_column column, const int64_t *values, uint32_t row_count)
{
	size_t start;
	size_t column_bytes;
	size_t count_bytes;

	tl_buf_put_u8(buf, (uint8_t)column);
	if (tl_buf_reserve(buf, COUNT_BYTES_MAX) == NULL)
		return;
	start = buf->bytes;
	tl_buf_advance(buf, COUNT_BYTES_MAX);
	tl_column_encode(buf, values, row_count);
	if (buf->err)
		return;
	column_bytes = buf->bytes - start - COUNT_BYTES_MAX;
	count_bytes = tl_varint_put(buf->data + start, column_bytes);
	assert(count_bytes <= COUNT_BYTES_MAX);
	memmove(buf->data + start + count_bytes, buf->data + start + COUNT_BYTES_MAX, column_bytes);
	buf->bytes = start + count_bytes + column_bytes;
}

/* Rows that follow each other in the batch, as those of one sender do, need no gathering. */
static bool
are_adjacent(const uint32_t *row_idx, uint32_t row_count)
{
	uint32_t apart = 0;

	for (uint32_t i = 0; i < row_count; i++)
		apart |= row_idx[i] - i - row_idx[0];
	return apart == 0;
}

static void
gather(const int64_t *values, const uint32_t *row_idx, uint32_t row_count, int64_t *gathered)
{
	for (uint32_t i = 0; i < row_count; i++)
		gathered[i] = values[row_idx[i]];
}

static bool
is_default(const int64_t *values, enum tl_column column, uint32_t row_count)
{
	int64_t initial = tl_column_default(column);

	for (uint32_t i = 0; i < row_count; i++) {
		if (values[i] != initial)
			return false;
	}
	return true;
}

static void
put_columns(struct tl_buf *buf, const struct tl_batch *batch, const uint32_t *row_idx,
	uint32_t row_count)
{
	bool adjacent = are_adjacent(row_idx, row_count);
	int64_t *gathered = malloc((size_t)row_count * sizeof(*gathered));
	size_t count_at = buf->bytes;
	uint8_t column_count = 0;

	tl_buf_put_u8(buf, 0); /* the count, below */
	if (gathered == NULL && !buf->err)
		buf->err = TL_ENOMEM;
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT && !buf->err; column++) {
		const int64_t *values = batch->column[column];

		if (values == NULL)
			continue;
		if (adjacent) {
			values += row_idx[0];
		} else {
			gather(values, row_idx, row_count, gathered);
			values = gathered;
		}
		if (is_default(values, column, row_count))
			continue;
		put_column(buf, column, values, row_count);
		column_count++;
	}
	free(gathered);
	if (!buf->err)
		buf->data[count_at] = column_count;
}

enum tl_err
tl_block_encode(const struct tl_batch *batch, const uint32_t *row_idx, uint32_t row_count,
	int64_t received_ms, struct tl_buf *buf)
{
	struct tl_block_head head = {.row_count = row_count, .received_ms = received_ms};
	size_t start = buf->bytes;
	enum tl_err err;

	assert(row_count >= 1);
	err = sum_head(batch, row_idx, &head);
	if (err)
		return err;
	put_head(buf, &head);
	put_ids(buf, batch, row_idx, row_count);
	put_columns(buf, batch, row_idx, row_count);
	if (buf->err)
		return buf->err;
	tl_buf_put_be64(buf, tl_checksum64(tl_slice_of(buf->data + start, buf->bytes - start)));
	return buf->err;
}

static enum tl_err
take_head(struct tl_cursor *cur, struct tl_block_head *head)
{
	uint8_t version = tl_cursor_u8(cur);
	uint64_t row_count = tl_cursor_varint(cur);

	head->received_ms = tl_cursor_zigzag(cur);
	head->ts_ms_min = tl_cursor_zigzag(cur);
	head->ts_ms_max = tl_cursor_zigzag(cur);
	head->cost_nusd = tl_cursor_zigzag(cur);
	/* The ids alone bound the rows before anything is allocated for them. */
	if (cur->err || version != BLOCK_VERSION || row_count == 0 || row_count > UINT32_MAX ||
		row_count > tl_cursor_left(cur) / ID_BYTES)
		return TL_ESTORAGE_CORRUPT;
	head->row_count = (uint32_t)row_count;
	return TL_OK;
}

enum tl_err
tl_block_head(struct tl_slice block, struct tl_block_head *head_out)
{
	struct tl_cursor cur = tl_cursor_of(block);
	struct tl_block_head head;
	enum tl_err err = take_head(&cur, &head);

	if (err)
		return err;
	*head_out = head;
	return TL_OK;
}

/* One column, decoded when it is asked for and stepped over when not. */
static enum tl_err
take_column(struct tl_cursor *cur, uint64_t column_mask, int *column_before, struct tl_batch *batch)
{
	uint8_t column = tl_cursor_u8(cur);
	uint64_t column_bytes = tl_cursor_varint(cur);
	struct tl_cursor inner;
	int64_t *values;

	if (cur->err || column >= TL_COL_STORED_COUNT || column <= *column_before ||
		column_bytes > tl_cursor_left(cur))
		return TL_ESTORAGE_CORRUPT;
	*column_before = column;
	inner = tl_cursor_of(tl_cursor_take(cur, column_bytes));
	if ((column_mask >> column & 1) == 0)
		return TL_OK;
	values = tl_arena_room(batch->arena, batch->row_count, sizeof(*values));
	if (values == NULL)
		return TL_ENOMEM;
	tl_column_decode(&inner, values, batch->row_count);
	if (inner.err || tl_cursor_left(&inner) != 0)
		return TL_ESTORAGE_CORRUPT;
	batch->column[column] = values;
	return TL_OK;
}

static enum tl_err
take_columns(struct tl_cursor *cur, uint64_t column_mask, struct tl_batch *batch)
{
	uint8_t column_count = tl_cursor_u8(cur);
	int column_before = -1;

	for (uint8_t i = 0; i < column_count; i++) {
		enum tl_err err = take_column(cur, column_mask, &column_before, batch);

		if (err)
			return err;
	}
	return cur->err || tl_cursor_left(cur) != 0 ? TL_ESTORAGE_CORRUPT : TL_OK;
}

enum tl_err
tl_block_decode(struct tl_slice block, uint64_t column_mask, struct tl_arena *arena,
	struct tl_block_head *head_out, struct tl_batch *batch_out)
{
	struct tl_batch batch = {.arena = arena};
	struct tl_block_head head;
	struct tl_slice body;
	struct tl_slice ids;
	struct tl_cursor cur;
	enum tl_err err;

	if (block.bytes < CHECKSUM_BYTES)
		return TL_ESTORAGE_CORRUPT;
	body = tl_slice_of(block.data, block.bytes - CHECKSUM_BYTES);
	if (tl_checksum64(body) != tl_get_be64(block.data + body.bytes))
		return TL_ESTORAGE_CORRUPT;
	cur = tl_cursor_of(body);
	err = take_head(&cur, &head);
	if (err)
		return err;
	ids = tl_arena_copy(arena, tl_cursor_take(&cur, (size_t)head.row_count * ID_BYTES));
	if (ids.data == NULL)
		return TL_ENOMEM;
	/* The copy is the arena's own memory: only the slice's type forbids writing. */
	batch.id = (uint8_t(*)[ID_BYTES])(uintptr_t)ids.data;
	batch.row_count = head.row_count;
	batch.row_capacity = head.row_count;
	err = take_columns(&cur, column_mask, &batch);
	if (err)
		return err;
	*head_out = head;
	*batch_out = batch;
	return TL_OK;
}
