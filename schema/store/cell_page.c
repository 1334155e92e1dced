/*
 * Pages <-> bytes. Rows lie in memory as structs and in bytes as columns, of which only what says
 * something is there: a byte a row tells in which fields of the key the row is as the one before
 * it, and the columns of the key have the values of the other rows. Columns that are mostly zero
 * have a bit a row and the values that are not. Money saved is tokens saved by a rate, so it stands
 * as what is left after the rate of the model's row before.
 *
 * A row takes a byte at least, so a count that is larger than what is left is damage, found before
 * anything is allocated for it.
 */
#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/store/cell.h"
#include "schema/store/totals_list.h"

#define PAGE_VERSION 3
#define CHECKSUM_BYTES 8
#define VARINT_BYTES_MAX 10
#define RATES 16u /* models whose rate is remembered, by their number modulo this */

/* The byte of a row. */
#define SHAPE_SAME_SESSION 0x01u
#define SHAPE_SAME_MEMBER 0x02u
#define SHAPE_SAME_AGENT 0x04u
#define SHAPE_SAME_MODEL 0x08u
#define SHAPE_SAME_REPO 0x10u
#define SHAPE_OWN_REPO 0x20u
#define SHAPE_QUARTER_SHIFT 6

/* The columns of the key in their order, but for what fits the byte of the row. */
#define KEY_COLUMNS 5
static const size_t key_offsets[KEY_COLUMNS] = {
	offsetof(struct tl_cell_key, session),
	offsetof(struct tl_cell_key, member),
	offsetof(struct tl_cell_key, agent),
	offsetof(struct tl_cell_key, model),
	offsetof(struct tl_cell_key, repo),
};

static inline uint32_t *
key_column(struct tl_cell_key *key, size_t column)
{
	return (uint32_t *)((uint8_t *)key + key_offsets[column]);
}

/* What one token saved was worth in the rows before, by model. Both directions learn the same. */
struct rates {
	uint32_t model[RATES];
	uint64_t nusd[RATES];
};

static inline uint64_t
expected_saving(const struct rates *rates, const struct tl_cell_row *row)
{
	uint32_t at = row->key.model % RATES;

	return rates->model[at] == row->key.model
		       ? rates->nusd[at] * (uint64_t)row->totals.saved_tokens
		       : 0;
}

static inline void
learn_rate(struct rates *rates, const struct tl_cell_row *row)
{
	uint32_t at = row->key.model % RATES;

	if (row->totals.saved_tokens <= 0 || row->totals.saved_nusd < 0)
		return;
	rates->model[at] = row->key.model;
	rates->nusd[at] = (uint64_t)row->totals.saved_nusd / (uint64_t)row->totals.saved_tokens;
}

/* Where the first request of a row is counted from. */
static int64_t
time_base(const struct tl_cell_row *row, enum tl_span span, int64_t bucket_ms, int64_t before_ms)
{
	return span == TL_SPAN_1H ? bucket_ms + row->key.quarter * TL_QUARTER_MS : before_ms;
}

/* Writing. Room for the longest a column can be is taken first. */

static uint8_t *
reserve(struct tl_buf *buf, uint32_t count)
{
	return tl_buf_reserve(buf, ((size_t)count + 1) * VARINT_BYTES_MAX);
}

static void
advance(struct tl_buf *buf, const uint8_t *start, const uint8_t *at)
{
	if (start != NULL)
		tl_buf_advance(buf, (size_t)(at - start));
}

static uint8_t
shape_of(const struct tl_cell_key *key, const struct tl_cell_key *before)
{
	return (uint8_t)((key->session == before->session ? SHAPE_SAME_SESSION : 0) |
			 (key->member == before->member ? SHAPE_SAME_MEMBER : 0) |
			 (key->agent == before->agent ? SHAPE_SAME_AGENT : 0) |
			 (key->model == before->model ? SHAPE_SAME_MODEL : 0) |
			 (key->repo == before->repo ? SHAPE_SAME_REPO : 0) |
			 (key->has_own_repo != 0 ? SHAPE_OWN_REPO : 0) |
			 key->quarter << SHAPE_QUARTER_SHIFT);
}

static void
put_keys(struct tl_buf *buf, const struct tl_page *page)
{
	static const struct tl_cell_key none;
	const struct tl_cell_key *before = &none;
	uint8_t *shapes = reserve(buf, page->row_count);
	uint8_t *at = shapes;

	for (uint32_t i = 0; shapes != NULL && i < page->row_count; i++) {
		const struct tl_cell_key *key = &page->rows[i].key;

		assert(key->quarter < TL_HOUR_QUARTERS);
		*at++ = shape_of(key, before);
		before = key;
	}
	advance(buf, shapes, at);
	for (size_t column = 0; column < KEY_COLUMNS; column++) {
		uint8_t *start = reserve(buf, page->row_count);
		uint32_t last = 0;

		at = start;
		for (uint32_t i = 0; start != NULL && i < page->row_count; i++) {
			uint32_t value = *key_column(&page->rows[i].key, column);

			if (value != last)
				at = tl_varint_write(at, column == 0 ? value - last : value);
			last = value;
		}
		advance(buf, start, at);
	}
}

/* Times of a page are of its bucket: only a bug puts another in. */
static void
put_times(struct tl_buf *buf, const struct tl_page *page, enum tl_span span, int64_t bucket_ms)
{
	uint8_t *start = reserve(buf, page->row_count * 2);
	int64_t before_ms = bucket_ms;
	uint8_t *at = start;

	for (uint32_t i = 0; start != NULL && i < page->row_count; i++) {
		const struct tl_cell_row *row = &page->rows[i];

		if (row->last_ms == INT64_MIN) {
			at = tl_varint_write(at, 0);
			continue;
		}
		assert(row->first_ms >= bucket_ms && row->last_ms >= row->first_ms);
		assert(row->last_ms - bucket_ms < tl_span_ms(span));
		at = tl_varint_write(at, (uint64_t)(row->last_ms - row->first_ms) + 1);
	}
	for (uint32_t i = 0; start != NULL && i < page->row_count; i++) {
		const struct tl_cell_row *row = &page->rows[i];

		if (row->last_ms == INT64_MIN)
			continue;
		at = tl_varint_write(
			at, tl_zigzag(row->first_ms - time_base(row, span, bucket_ms, before_ms)));
		before_ms = row->first_ms;
	}
	advance(buf, start, at);
}

/* saved_nusd: room for a value a row. */
static void
put_rows(struct tl_buf *buf, const struct tl_page *page, enum tl_span span, int64_t bucket_ms,
	int64_t *saved_nusd)
{
	struct tl_totals_list list = {
		.stride = sizeof(page->rows[0]),
		.count = page->row_count,
	};
	struct rates rates = {0};

	tl_buf_put_varint(buf, page->row_count);
	if (page->row_count == 0)
		return;
	list.first = &page->rows[0].totals;
	put_keys(buf, page);
	for (uint32_t i = 0; i < page->row_count; i++) {
		saved_nusd[i] = (int64_t)((uint64_t)page->rows[i].totals.saved_nusd -
					  expected_saving(&rates, &page->rows[i]));
		learn_rate(&rates, &page->rows[i]);
	}
	tl_totals_list_encode(&list, saved_nusd, buf);
	put_times(buf, page, span, bucket_ms);
}

static void
put_prs(struct tl_buf *buf, const struct tl_page *page)
{
	uint8_t *start;
	uint8_t *at;
	uint32_t session = 0;

	tl_buf_put_varint(buf, page->pr_count);
	start = at = reserve(buf, page->pr_count * 3);
	if (start == NULL)
		return;
	for (uint32_t i = 0; i < page->pr_count; i++) {
		at = tl_varint_write(at, page->prs[i].session - session);
		session = page->prs[i].session;
	}
	for (uint32_t i = 0; i < page->pr_count; i++)
		at = tl_varint_write(at, page->prs[i].pr.repo);
	for (uint32_t i = 0; i < page->pr_count; i++)
		at = tl_varint_write(at, page->prs[i].pr.number);
	advance(buf, start, at);
}

static void
put_splits(struct tl_buf *buf, const struct tl_page *page)
{
	struct tl_totals_list list = {
		.stride = sizeof(page->splits[0]),
		.count = page->split_count,
	};
	uint32_t repo = 0;
	uint8_t *start;
	uint8_t *at;

	tl_buf_put_varint(buf, page->split_count);
	if (page->split_count == 0)
		return;
	start = at = reserve(buf, page->split_count * 2);
	if (start == NULL)
		return;
	for (uint32_t i = 0; i < page->split_count; i++) {
		at = tl_varint_write(at, page->splits[i].pr.repo - repo);
		repo = page->splits[i].pr.repo;
	}
	for (uint32_t i = 0; i < page->split_count; i++)
		at = tl_varint_write(at, page->splits[i].pr.number);
	advance(buf, start, at);
	list.first = &page->splits[0].totals;
	tl_totals_list_encode(&list, NULL, buf);
}

static void
put_groups(struct tl_buf *buf, const struct tl_page *page)
{
	uint8_t *start = reserve(buf, page->group_count + 1);
	uint8_t *at = start;
	uint64_t before = 0;

	if (start == NULL)
		return;
	at = tl_varint_write(at, page->group_count);
	for (uint32_t i = 0; i < page->group_count; i++) {
		assert(page->groups[i] > before);
		assert(page->group_quarters[i] != 0);
		at = tl_varint_write(at,
			(page->groups[i] - before) << TL_HOUR_QUARTERS | page->group_quarters[i]);
		before = page->groups[i];
	}
	advance(buf, start, at);
}

void
tl_page_encode(const struct tl_page *page, enum tl_span span, int64_t bucket_ms, struct tl_buf *buf)
{
	size_t start = buf->bytes;
	int64_t *saved_nusd = malloc(((size_t)page->row_count + 1) * sizeof(*saved_nusd));

	assert(span != TL_SPAN_15M);
	if (saved_nusd == NULL) {
		if (!buf->err)
			buf->err = TL_ENOMEM;
		return;
	}
	tl_buf_put_u8(buf, PAGE_VERSION);
	put_rows(buf, page, span, bucket_ms, saved_nusd);
	put_prs(buf, page);
	if (span == TL_SPAN_1H)
		put_groups(buf, page);
	else
		put_splits(buf, page);
	free(saved_nusd);
	if (!buf->err)
		tl_buf_put_be64(
			buf, tl_checksum64(tl_slice_of(buf->data + start, buf->bytes - start)));
}

/* Reading. Columns are scattered into the structs as they come. */

/* Damage sticks in the cursor's err. */
static inline uint32_t
take_u32(struct tl_cursor *cur)
{
	uint64_t value = tl_cursor_next(cur);

	if (value > UINT32_MAX)
		cur->err = TL_ESTORAGE_CORRUPT;
	return (uint32_t)value;
}

/* A count of what takes a byte each at least. */
static enum tl_err
take_count(struct tl_cursor *cur, uint32_t *count_out)
{
	uint64_t count = tl_cursor_varint(cur);

	if (cur->err || count > tl_cursor_left(cur) || count > UINT32_MAX)
		return TL_ESTORAGE_CORRUPT;
	*count_out = (uint32_t)count;
	return TL_OK;
}

static enum tl_err
take_keys(struct tl_cursor *cur, struct tl_page *page, enum tl_span span)
{
	struct tl_slice shapes = tl_cursor_take(cur, page->row_count);

	if (cur->err)
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->row_count; i++) {
		struct tl_cell_key *key = &page->rows[i].key;

		key->has_own_repo = (shapes.data[i] & SHAPE_OWN_REPO) != 0;
		key->quarter = shapes.data[i] >> SHAPE_QUARTER_SHIFT;
		if (key->quarter != 0 && span != TL_SPAN_1H)
			return TL_ESTORAGE_CORRUPT;
	}
	for (size_t column = 0; column < KEY_COLUMNS; column++) {
		uint32_t value = 0;

		for (uint32_t i = 0; i < page->row_count; i++) {
			if ((shapes.data[i] >> column & 1) == 0)
				value = take_u32(cur) + (column == 0 ? value : 0);
			*key_column(&page->rows[i].key, column) = value;
		}
	}
	for (uint32_t i = 1; i < page->row_count; i++) {
		if (tl_cell_key_cmp(&page->rows[i - 1].key, &page->rows[i].key) >= 0)
			return TL_ESTORAGE_CORRUPT;
	}
	return cur->err;
}

static enum tl_err
take_times(struct tl_cursor *cur, struct tl_page *page, enum tl_span span, int64_t bucket_ms)
{
	uint64_t span_ms = (uint64_t)tl_span_ms(span == TL_SPAN_1H ? TL_SPAN_15M : span);
	int64_t before_ms = bucket_ms;

	for (uint32_t i = 0; i < page->row_count; i++) {
		uint64_t length = tl_cursor_next(cur);

		if (length > span_ms)
			return TL_ESTORAGE_CORRUPT;
		page->rows[i].last_ms = (int64_t)length; /* until the first is known */
	}
	for (uint32_t i = 0; i < page->row_count; i++) {
		struct tl_cell_row *row = &page->rows[i];
		uint64_t length = (uint64_t)row->last_ms;
		int64_t start_ms = bucket_ms + row->key.quarter * TL_QUARTER_MS;
		uint64_t offset;

		row->first_ms = INT64_MAX;
		row->last_ms = INT64_MIN;
		if (length == 0)
			continue;
		offset = (uint64_t)time_base(row, span, bucket_ms, before_ms) - (uint64_t)start_ms +
			 (uint64_t)tl_unzigzag(tl_cursor_next(cur));
		if (offset >= span_ms || length > span_ms - offset)
			return TL_ESTORAGE_CORRUPT;
		row->first_ms = before_ms = start_ms + (int64_t)offset;
		row->last_ms = row->first_ms + (int64_t)(length - 1);
	}
	return cur->err;
}

static enum tl_err
take_rows(struct tl_cursor *cur, struct tl_page *page, enum tl_span span, int64_t bucket_ms,
	struct tl_arena *arena)
{
	struct tl_totals_list list = {.stride = sizeof(page->rows[0])};
	struct rates rates = {0};
	enum tl_err err = take_count(cur, &page->row_count);

	if (err || page->row_count == 0)
		return err;
	page->rows = tl_arena_array(arena, page->row_count, sizeof(*page->rows));
	if (page->rows == NULL)
		return TL_ENOMEM;
	list.first = &page->rows[0].totals;
	list.count = page->row_count;
	err = take_keys(cur, page, span);
	if (!err)
		err = tl_totals_list_decode(&list, cur);
	for (uint32_t i = 0; !err && i < page->row_count; i++) {
		struct tl_cell_row *row = &page->rows[i];

		row->totals.saved_nusd =
			(int64_t)((uint64_t)row->totals.saved_nusd + expected_saving(&rates, row));
		learn_rate(&rates, row);
	}
	return err ? err : take_times(cur, page, span, bucket_ms);
}

static enum tl_err
take_prs(struct tl_cursor *cur, struct tl_page *page, struct tl_arena *arena)
{
	uint64_t session = 0;
	enum tl_err err = take_count(cur, &page->pr_count);

	if (err || page->pr_count == 0)
		return err;
	page->prs = tl_arena_array(arena, page->pr_count, sizeof(*page->prs));
	if (page->prs == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < page->pr_count; i++) {
		session += take_u32(cur);
		if (session > UINT32_MAX)
			return TL_ESTORAGE_CORRUPT;
		page->prs[i].session = (uint32_t)session;
	}
	for (uint32_t i = 0; i < page->pr_count; i++)
		page->prs[i].pr.repo = take_u32(cur);
	for (uint32_t i = 0; i < page->pr_count; i++)
		page->prs[i].pr.number = take_u32(cur);
	for (uint32_t i = 1; i < page->pr_count; i++) { /* a session has a pull request once */
		if (page->prs[i - 1].session == page->prs[i].session &&
			tl_pr_cmp(page->prs[i - 1].pr, page->prs[i].pr) == 0)
			return TL_ESTORAGE_CORRUPT;
	}
	return cur->err;
}

static enum tl_err
take_splits(struct tl_cursor *cur, struct tl_page *page, struct tl_arena *arena)
{
	struct tl_totals_list list = {.stride = sizeof(page->splits[0])};
	uint64_t repo = 0;
	enum tl_err err = take_count(cur, &page->split_count);

	if (err || page->split_count == 0)
		return err;
	page->splits = tl_arena_array(arena, page->split_count, sizeof(*page->splits));
	if (page->splits == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < page->split_count; i++) {
		repo += take_u32(cur);
		if (repo > UINT32_MAX)
			return TL_ESTORAGE_CORRUPT;
		page->splits[i].pr.repo = (uint32_t)repo;
	}
	for (uint32_t i = 0; i < page->split_count; i++)
		page->splits[i].pr.number = take_u32(cur);
	for (uint32_t i = 1; i < page->split_count; i++) {
		if (tl_pr_cmp(page->splits[i - 1].pr, page->splits[i].pr) >= 0)
			return TL_ESTORAGE_CORRUPT;
	}
	list.first = &page->splits[0].totals;
	list.count = page->split_count;
	return tl_totals_list_decode(&list, cur);
}

static enum tl_err
take_groups(struct tl_cursor *cur, struct tl_page *page, struct tl_arena *arena)
{
	uint64_t group_no = 0;
	enum tl_err err = take_count(cur, &page->group_count);

	if (err || page->group_count == 0)
		return err;
	page->groups = tl_arena_room(arena, page->group_count, sizeof(*page->groups));
	page->group_quarters = tl_arena_room(arena, page->group_count, 1);
	if (page->groups == NULL || page->group_quarters == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < page->group_count; i++) {
		uint64_t step = tl_cursor_next(cur);
		uint8_t quarters = step & ((1u << TL_HOUR_QUARTERS) - 1);

		step >>= TL_HOUR_QUARTERS;
		if (step == 0 || quarters == 0 || __builtin_add_overflow(group_no, step, &group_no))
			return TL_ESTORAGE_CORRUPT;
		page->groups[i] = group_no;
		page->group_quarters[i] = quarters;
	}
	return cur->err;
}

static enum tl_err
take_page(struct tl_cursor *cur, enum tl_span span, int64_t bucket_ms, struct tl_arena *arena,
	struct tl_page *page)
{
	enum tl_err err;

	if (tl_cursor_u8(cur) != PAGE_VERSION)
		return TL_ESTORAGE_CORRUPT;
	err = take_rows(cur, page, span, bucket_ms, arena);
	if (!err)
		err = take_prs(cur, page, arena);
	if (!err)
		err = span == TL_SPAN_1H ? take_groups(cur, page, arena)
					 : take_splits(cur, page, arena);
	if (err)
		return err;
	return cur->err || tl_cursor_left(cur) != 0 ? TL_ESTORAGE_CORRUPT : TL_OK;
}

enum tl_err
tl_page_decode(struct tl_slice bytes, enum tl_span span, int64_t bucket_ms, struct tl_arena *arena,
	struct tl_page *page_out)
{
	struct tl_page page = {.row_count = 0};
	struct tl_cursor cur;
	struct tl_slice body;
	enum tl_err err;

	assert(span != TL_SPAN_15M);
	if (bytes.bytes < CHECKSUM_BYTES)
		return TL_ESTORAGE_CORRUPT;
	body = tl_slice_of(bytes.data, bytes.bytes - CHECKSUM_BYTES);
	if (tl_checksum64(body) != tl_get_be64(bytes.data + body.bytes))
		return TL_ESTORAGE_CORRUPT;
	cur = tl_cursor_of(body);
	err = take_page(&cur, span, bucket_ms, arena, &page);
	if (!err && span == TL_SPAN_1H)
		err = tl_page_split(&page, bucket_ms, arena);
	if (err) /* sums that overflow are none that were ever written */
		return err == TL_ENOMEM ? err : TL_ESTORAGE_CORRUPT;
	*page_out = page;
	return TL_OK;
}
