#include "schema/store/block.h"

#include "schema/base/crypt.h"
#include "schema/store/column.h"
#include "schema/store/rates.h"

#define CHECKSUM_BYTES 8

/* A block's parts as they lie in its bytes, and what was read of them. */
struct reader {
	struct tl_block_head head;
	uint32_t origin_count;
	struct tl_slice ids;
	struct tl_slice of_row;
	struct tl_slice rates[TL_RATES];
	struct tl_slice rates_of_origin;
	struct tl_slice column[TL_COL_STORED_COUNT]; /* NULL: all default */
	struct tl_rates found;			     /* as many as the block says */
	struct tl_arena *arena;
	int64_t *origins; /* row -> origin, once it was asked for */
	/* the rows that are read: all, or those picked, which rise */
	const uint32_t *picked; /* NULL: all */
	uint32_t row_count;
	int64_t *origin_of; /* read row -> origin, with origins */
	int64_t *ts_ms;	    /* of all rows, when that is what they were picked by */
};

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
	if (cur->err || version != TL_BLOCK_VERSION || row_count == 0 || row_count > UINT32_MAX ||
		row_count > tl_cursor_left(cur) / TL_BLOCK_ID_BYTES)
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

/* A column behind its byte count. */
static struct tl_slice
take_column(struct tl_cursor *cur)
{
	uint64_t bytes = tl_cursor_varint(cur);

	return tl_cursor_take(cur, bytes);
}

/* How many origins and rates there are, which bounds what is made of them. */
static enum tl_err
take_origins(struct tl_cursor *cur, struct reader *reader)
{
	uint64_t origin_count = tl_cursor_varint(cur);

	reader->of_row = take_column(cur);
	reader->found.count = tl_cursor_u8(cur);
	if (origin_count == 0 || origin_count > reader->head.row_count ||
		reader->found.count > TL_RATES_MAX)
		return TL_ESTORAGE_CORRUPT;
	reader->origin_count = (uint32_t)origin_count;
	for (uint32_t kind = 0; reader->found.count > 0 && kind < TL_RATES; kind++)
		reader->rates[kind] = take_column(cur);
	if (reader->found.count > 0)
		reader->rates_of_origin = take_column(cur);
	return TL_OK;
}

static enum tl_err
take_columns(struct tl_cursor *cur, struct reader *reader)
{
	uint8_t column_count = tl_cursor_u8(cur);
	int column_before = -1;

	for (uint8_t i = 0; i < column_count && !cur->err; i++) {
		uint8_t column = tl_cursor_u8(cur);

		if (column >= TL_COL_STORED_COUNT || column <= column_before)
			return TL_ESTORAGE_CORRUPT;
		column_before = column;
		reader->column[column] = take_column(cur);
	}
	return cur->err || tl_cursor_left(cur) != 0 ? TL_ESTORAGE_CORRUPT : TL_OK;
}

static enum tl_err
decode(struct tl_slice column, uint32_t count, struct tl_arena *arena, int64_t **values_out)
{
	struct tl_cursor cur = tl_cursor_of(column);
	int64_t *values = tl_arena_room(arena, count, sizeof(*values));

	if (values == NULL)
		return TL_ENOMEM;
	tl_column_decode(&cur, values, count);
	if (cur.err || tl_cursor_left(&cur) != 0)
		return TL_ESTORAGE_CORRUPT;
	*values_out = values;
	return TL_OK;
}

/* A column of numbers below end. */
static enum tl_err
decode_below(struct tl_slice column, uint32_t count, uint32_t end, struct tl_arena *arena,
	int64_t **numbers_out)
{
	int64_t *numbers = NULL;
	enum tl_err err = decode(column, count, arena, &numbers);
	bool outside = false;

	for (uint32_t i = 0; !err && i < count; i++)
		outside |= (uint64_t)numbers[i] >= end;
	if (outside)
		return TL_ESTORAGE_CORRUPT;
	*numbers_out = numbers;
	return err;
}

static enum tl_err
need_origins(struct reader *reader)
{
	enum tl_err err;

	if (reader->origins != NULL)
		return TL_OK;
	err = decode_below(reader->of_row, reader->head.row_count, reader->origin_count,
		reader->arena, &reader->origins);
	reader->origin_of = reader->origins;
	return err;
}

static enum tl_err
need_rates(struct reader *reader)
{
	struct tl_rates *found = &reader->found;
	enum tl_err err = need_origins(reader);

	if (err || found->of_origin != NULL)
		return err;
	for (uint32_t kind = 0; kind < TL_RATES; kind++) {
		struct tl_cursor cur = tl_cursor_of(reader->rates[kind]);
		int64_t of_kind[TL_RATES_MAX];

		tl_column_decode(&cur, of_kind, found->count);
		if (cur.err || tl_cursor_left(&cur) != 0)
			return TL_ESTORAGE_CORRUPT;
		for (uint32_t i = 0; i < found->count; i++)
			found->rate[i + 1][kind] = of_kind[i];
	}
	return decode_below(reader->rates_of_origin, reader->origin_count, found->count + 1,
		reader->arena, &found->of_origin);
}

/* A column by row, of the rows that are read. */
static enum tl_err
decode_of_rows(struct reader *reader, enum tl_column column, int64_t **values_out)
{
	struct tl_slice bytes = reader->column[column];
	struct tl_cursor cur = tl_cursor_of(bytes);
	int64_t *whole = column == TL_COL_TS ? reader->ts_ms : NULL;
	int64_t *values;
	enum tl_err err = TL_OK;

	if (reader->picked == NULL)
		return decode(bytes, reader->row_count, reader->arena, values_out);
	values = tl_arena_room(reader->arena, reader->row_count, sizeof(*values));
	if (values == NULL)
		return TL_ENOMEM;
	*values_out = values;
	if (whole == NULL && tl_column_pick(&cur, reader->head.row_count, reader->picked,
				     reader->row_count, values))
		return cur.err || tl_cursor_left(&cur) != 0 ? TL_ESTORAGE_CORRUPT : TL_OK;
	if (whole == NULL)
		err = decode(bytes, reader->head.row_count, reader->arena, &whole);
	for (uint32_t i = 0; !err && i < reader->row_count; i++)
		values[i] = whole[reader->picked[i]];
	return err;
}

/* A column that origins have, for each row that is read. */
static enum tl_err
decode_of_origin(struct reader *reader, struct tl_slice column, int64_t **values_out)
{
	int64_t *of_origin = NULL;
	int64_t *values = NULL;
	enum tl_err err = need_origins(reader);

	if (!err)
		err = decode(column, reader->origin_count, reader->arena, &of_origin);
	if (err)
		return err;
	values = tl_arena_room(reader->arena, reader->row_count, sizeof(*values));
	if (values == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < reader->row_count; i++)
		values[i] = of_origin[reader->origin_of[i]];
	*values_out = values;
	return TL_OK;
}

/* Costs and savings, which were read as differences from what rates make of the tokens. */
static enum tl_err
put_on_rates(struct reader *reader, struct tl_batch *batch)
{
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		enum tl_err err;

		if (batch->column[column] == NULL || tl_rates_make(column) == 0)
			continue;
		err = need_rates(reader);
		if (err)
			return err;
		tl_rates_put_on(
			&reader->found, batch, column, reader->origin_of, batch->column[column]);
	}
	return TL_OK;
}

static enum tl_err
decode_columns(struct reader *reader, uint64_t column_mask, struct tl_batch *batch)
{
	enum tl_err err = TL_OK;

	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		if ((column_mask >> column & 1) != 0 && reader->found.count > 0)
			column_mask |= tl_rates_make(column);
	}
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT && !err; column++) {
		struct tl_slice bytes = reader->column[column];

		if ((column_mask >> column & 1) == 0 || bytes.data == NULL)
			continue;
		if (tl_column_is_of_origin(column))
			err = decode_of_origin(reader, bytes, &batch->column[column]);
		else
			err = decode_of_rows(reader, column, &batch->column[column]);
	}
	if (err || reader->found.count == 0)
		return err;
	return put_on_rates(reader, batch);
}

/* The bytes before the checksum at the end, if it is theirs. */
static bool
check(struct tl_slice block, struct tl_slice *body_out)
{
	if (block.bytes < CHECKSUM_BYTES)
		return false;
	*body_out = tl_slice_of(block.data, block.bytes - CHECKSUM_BYTES);
	return tl_checksum64(*body_out) == tl_get_be64(block.data + body_out->bytes);
}

/* Verify the checksum and find the parts. */
static enum tl_err
open_block(struct tl_slice block, struct reader *reader)
{
	struct tl_slice body;
	struct tl_cursor cur;
	enum tl_err err;

	if (!check(block, &body))
		return TL_ESTORAGE_CORRUPT;
	cur = tl_cursor_of(body);
	err = take_head(&cur, &reader->head);
	if (err)
		return err;
	reader->ids = tl_cursor_take(&cur, (size_t)reader->head.row_count * TL_BLOCK_ID_BYTES);
	err = take_origins(&cur, reader);
	return err ? err : take_columns(&cur, reader);
}

/* Ids and columns of the rows that are read. */
static enum tl_err
read_rows(struct reader *reader, uint64_t column_mask, struct tl_batch *batch_out)
{
	struct tl_batch batch = {.arena = reader->arena,
		.row_count = reader->row_count,
		.row_capacity = reader->row_count};
	enum tl_err err = need_origins(reader); /* whatever is read: damage to them is damage */

	if (err)
		return err;
	batch.id = tl_arena_room(reader->arena, reader->row_count, sizeof(*batch.id));
	if (batch.id == NULL)
		return TL_ENOMEM;
	if (reader->picked == NULL)
		memcpy(batch.id, reader->ids.data, reader->ids.bytes);
	for (uint32_t i = 0; reader->picked != NULL && i < reader->row_count; i++)
		memcpy(batch.id[i],
			reader->ids.data + (size_t)reader->picked[i] * TL_BLOCK_ID_BYTES,
			TL_BLOCK_ID_BYTES);
	err = decode_columns(reader, column_mask, &batch);
	if (!err)
		*batch_out = batch;
	return err;
}

enum tl_err
tl_block_decode(struct tl_slice block, uint64_t column_mask, struct tl_arena *arena,
	struct tl_block_head *head_out, struct tl_batch *batch_out)
{
	struct reader reader = {.arena = arena};
	enum tl_err err = open_block(block, &reader);

	if (err)
		return err;
	reader.row_count = reader.head.row_count;
	err = read_rows(&reader, column_mask, batch_out);
	if (!err)
		*head_out = reader.head;
	return err;
}

/* The origins of an org as flags; *found_out: whether there is any. */
static enum tl_err
find_origins(struct reader *reader, uint32_t org, uint8_t **is_org_out, bool *found_out)
{
	uint8_t *is_org = tl_arena_room(reader->arena, reader->origin_count, sizeof(*is_org));
	int64_t *orgs = NULL;
	enum tl_err err = TL_OK;
	bool found = false;

	if (reader->column[TL_COL_ORG].data != NULL)
		err = decode(
			reader->column[TL_COL_ORG], reader->origin_count, reader->arena, &orgs);
	if (err || is_org == NULL)
		return err ? err : TL_ENOMEM;
	for (uint32_t i = 0; i < reader->origin_count; i++) {
		is_org[i] = (orgs != NULL ? orgs[i] : 0) == org;
		found |= is_org[i];
	}
	*is_org_out = is_org;
	*found_out = found;
	return TL_OK;
}

static enum tl_err
pick_rows(struct reader *reader, const struct tl_block_pick *pick)
{
	int64_t *ts_ms = NULL, *origin_of;
	uint8_t *is_org = NULL;
	bool found = false;
	uint32_t *rows;
	uint32_t count = 0;
	enum tl_err err = find_origins(reader, pick->org, &is_org, &found);

	if (err || !found)
		return err;
	err = need_origins(reader);
	if (!err && reader->column[TL_COL_TS].data != NULL)
		err = decode(
			reader->column[TL_COL_TS], reader->head.row_count, reader->arena, &ts_ms);
	if (err)
		return err;
	rows = tl_arena_room(reader->arena, reader->head.row_count, sizeof(*rows));
	origin_of = tl_arena_room(reader->arena, reader->head.row_count, sizeof(*origin_of));
	if (rows == NULL || origin_of == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < reader->head.row_count; i++) {
		int64_t row_ms = ts_ms != NULL ? ts_ms[i] : 0;

		rows[count] = i;
		origin_of[count] = reader->origins[i];
		count += is_org[reader->origins[i]] && row_ms >= pick->from_ms &&
			 row_ms <= pick->last_ms;
	}
	reader->picked = rows;
	reader->row_count = count;
	reader->origin_of = origin_of;
	reader->ts_ms = ts_ms;
	return TL_OK;
}

enum tl_err
tl_block_pick(struct tl_slice block, uint64_t column_mask, const struct tl_block_pick *pick,
	struct tl_arena *arena, struct tl_block_head *head_out, struct tl_batch *batch_out)
{
	struct reader reader = {.arena = arena};
	enum tl_err err = open_block(block, &reader);

	if (!err)
		err = pick_rows(&reader, pick);
	if (err)
		return err;
	if (reader.row_count > 0)
		err = read_rows(&reader, column_mask, batch_out);
	else
		*batch_out = (struct tl_batch){.arena = arena};
	if (!err)
		*head_out = reader.head;
	return err;
}
