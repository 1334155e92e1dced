#include "schema/store/block.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/model/money.h"
#include "schema/store/column.h"
#include "schema/store/rates.h"

/* The longest byte count that stands before a column: 2^32 rows of ten bytes. */
#define COUNT_BYTES_MAX 6
/* What writing a block needs beside it: origins, their slots, and the column in hand. */
#define SCRATCH_BYTES_PER_ROW 64u
#define SCRATCH_BYTES_MIN ((size_t)64 << 10)

/* A block on its way. */
struct writer {
	struct tl_buf *buf;
	const struct tl_batch *batch;
	const uint32_t *row_idx;
	uint32_t row_count;
	bool is_adjacent;
	struct tl_origins origins;
	struct tl_rates rates;
	int64_t *gathered; /* the column in hand */
};

static void
put_head(struct tl_buf *buf, const struct tl_block_head *head)
{
	tl_buf_put_u8(buf, TL_BLOCK_VERSION);
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
	uint8_t *at = tl_buf_reserve(buf, (size_t)row_count * TL_BLOCK_ID_BYTES);

	if (at == NULL)
		return;
	for (uint32_t i = 0; i < row_count; i++)
		memcpy(at + (size_t)i * TL_BLOCK_ID_BYTES, batch->id[row_idx[i]],
			TL_BLOCK_ID_BYTES);
	tl_buf_advance(buf, (size_t)row_count * TL_BLOCK_ID_BYTES);
}

/* A column behind its byte count, which is known only afterwards and closes up then. */
static void
put_column(struct tl_buf *buf, const int64_t *values, uint32_t count)
{
	size_t start;
	size_t column_bytes;
	size_t count_bytes;

	if (tl_buf_reserve(buf, COUNT_BYTES_MAX) == NULL)
		return;
	start = buf->bytes;
	tl_buf_advance(buf, COUNT_BYTES_MAX);
	tl_column_encode(buf, values, count);
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
is_default(
	const int64_t *values, enum tl_column column, const uint32_t *row_idx, uint32_t row_count)
{
	int64_t initial = tl_column_default(column);

	for (uint32_t i = 0; i < row_count; i++) {
		if (values[row_idx[i]] != initial)
			return false;
	}
	return true;
}

static void
put_origins(struct writer *w)
{
	tl_buf_put_varint(w->buf, w->origins.count);
	put_column(w->buf, w->origins.of_row, w->row_count);
}

/* A column for each kind of tokens, then which of the rates are an origin's. */
static void
put_rates(struct writer *w)
{
	const struct tl_rates *rates = &w->rates;
	int64_t of_kind[TL_RATES_MAX];

	tl_buf_put_u8(w->buf, (uint8_t)rates->count);
	for (uint32_t kind = 0; rates->count > 0 && kind < TL_RATES; kind++) {
		for (uint32_t i = 0; i < rates->count; i++)
			of_kind[i] = rates->rate[i + 1][kind];
		put_column(w->buf, of_kind, rates->count);
	}
	if (rates->count > 0)
		put_column(w->buf, rates->of_origin, w->origins.count);
}

/* The values of a column by row, as they are written. */
static const int64_t *
by_row(struct writer *w, enum tl_column column)
{
	const int64_t *values = w->batch->column[column];

	if (w->rates.count > 0 && tl_rates_make(column) != 0)
		tl_rates_take_off(&w->rates, w->batch, column, w->row_idx, w->row_count,
			w->origins.of_row, w->gathered);
	else if (w->is_adjacent)
		return values + w->row_idx[0];
	else
		gather(values, w->row_idx, w->row_count, w->gathered);
	return w->gathered;
}

static bool
put_column_of(struct writer *w, enum tl_column column)
{
	const int64_t *values = w->batch->column[column];

	if (values == NULL || is_default(values, column, w->row_idx, w->row_count))
		return false;
	tl_buf_put_u8(w->buf, (uint8_t)column);
	if (tl_column_is_of_origin(column)) {
		gather(values, w->origins.row, w->origins.count, w->gathered);
		put_column(w->buf, w->gathered, w->origins.count);
	} else {
		put_column(w->buf, by_row(w, column), w->row_count);
	}
	return true;
}

static void
put_columns(struct writer *w)
{
	size_t count_at = w->buf->bytes;
	uint8_t column_count = 0;

	tl_buf_put_u8(w->buf, 0); /* the count, below */
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT && !w->buf->err; column++)
		column_count += put_column_of(w, column);
	if (!w->buf->err)
		w->buf->data[count_at] = column_count;
}

static enum tl_err
put_rows(struct writer *w, struct tl_arena *scratch)
{
	enum tl_err err = tl_origins_find(w->batch, w->row_idx, w->row_count, scratch, &w->origins);

	if (!err)
		err = tl_rates_find(
			w->batch, w->row_idx, w->row_count, &w->origins, scratch, &w->rates);
	w->gathered = tl_arena_room(scratch, w->row_count, sizeof(*w->gathered));
	if (err || w->gathered == NULL)
		return TL_ENOMEM;
	w->is_adjacent = are_adjacent(w->row_idx, w->row_count);
	put_ids(w->buf, w->batch, w->row_idx, w->row_count);
	put_origins(w);
	put_rates(w);
	put_columns(w);
	return w->buf->err;
}

enum tl_err
tl_block_encode(const struct tl_batch *batch, const uint32_t *row_idx, uint32_t row_count,
	int64_t received_ms, struct tl_buf *buf)
{
	struct tl_block_head head = {.row_count = row_count, .received_ms = received_ms};
	struct writer writer = {
		.buf = buf, .batch = batch, .row_idx = row_idx, .row_count = row_count};
	size_t start = buf->bytes;
	struct tl_arena scratch;
	enum tl_err err;

	assert(row_count >= 1);
	err = sum_head(batch, row_idx, &head);
	if (err)
		return err;
	tl_arena_init(&scratch, SCRATCH_BYTES_MIN + (size_t)row_count * SCRATCH_BYTES_PER_ROW);
	put_head(buf, &head);
	err = put_rows(&writer, &scratch);
	tl_arena_fini(&scratch);
	if (err)
		return err;
	tl_buf_put_be64(buf, tl_checksum64(tl_slice_of(buf->data + start, buf->bytes - start)));
	return buf->err;
}
