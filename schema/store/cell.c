/*
 * Rows lie in memory as structs and in bytes as columns. A column of numbers that rise evenly takes
 * no more bytes the more rows it has; ROWS_PER_BYTE_MAX is what bounds the memory of a count before
 * its columns are read.
 */
#include "schema/store/cell.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/store/column.h"

#define PAGE_VERSION 2
#define CHECKSUM_BYTES 8
#define ROWS_PER_BYTE_MAX 1024u
#define MEASURE_MASK_ALL ((UINT64_C(1) << TL_MEASURE_COUNT) - 1)
/* An offset from the bucket's start where there is no time. */
#define NO_OFFSET (-1)

#define KEY_COLUMNS 6

/* The columns of the key, in their order. */
static const size_t key_offsets[KEY_COLUMNS] = {
	offsetof(struct tl_cell_key, session),
	offsetof(struct tl_cell_key, member),
	offsetof(struct tl_cell_key, agent),
	offsetof(struct tl_cell_key, model),
	offsetof(struct tl_cell_key, repo),
	offsetof(struct tl_cell_key, has_own_repo),
};
_Static_assert(sizeof(struct tl_cell_key) == KEY_COLUMNS * sizeof(uint32_t),
	"every field of the key is one of its columns");

static inline uint32_t *
key_column(struct tl_cell_key *key, size_t column)
{
	return (uint32_t *)((uint8_t *)key + key_offsets[column]);
}

static int
cmp_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

int
tl_cell_key_cmp(const struct tl_cell_key *a, const struct tl_cell_key *b)
{
	int order = cmp_u32(a->session, b->session);

	if (order == 0)
		order = cmp_u32(a->member, b->member);
	if (order == 0)
		order = cmp_u32(a->agent, b->agent);
	if (order == 0)
		order = cmp_u32(a->model, b->model);
	if (order == 0)
		order = cmp_u32(a->repo, b->repo);
	if (order == 0)
		order = cmp_u32(a->has_own_repo, b->has_own_repo);
	return order;
}

struct tl_cell_row *
tl_page_session_rows(const struct tl_page *page, uint32_t session, uint32_t *count_out)
{
	uint32_t low = 0;
	uint32_t high = page->row_count;
	uint32_t end;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (page->rows[middle].key.session < session)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < page->row_count && page->rows[end].key.session == session;)
		end++;
	*count_out = end - low;
	return page->rows + low;
}

int
tl_pr_cmp(struct tl_pr a, struct tl_pr b)
{
	int order = cmp_u32(a.repo, b.repo);

	return order != 0 ? order : cmp_u32(a.number, b.number);
}

/* Writing. A column is gathered from the structs into values first. */

static uint64_t
mask_of(const struct tl_totals *totals)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < TL_MEASURE_COUNT; i++)
		mask |= (uint64_t)(totals->measure[i] != 0) << i;
	return mask;
}

/* Totals of count structs of stride bytes each, the first at first. */
static const struct tl_totals *
totals_at(const struct tl_totals *first, size_t stride, uint32_t i)
{
	return (const struct tl_totals *)((const uint8_t *)first + i * stride);
}

static void
put_totals(struct tl_buf *buf, const struct tl_totals *first, size_t stride, uint32_t count,
	int64_t *values)
{
	uint64_t mask = 0;

	for (uint32_t i = 0; i < count; i++)
		mask |= mask_of(totals_at(first, stride, i));
	tl_buf_put_varint(buf, mask);
	for (uint32_t measure = 0; measure < TL_MEASURE_COUNT; measure++) {
		if ((mask >> measure & 1) == 0)
			continue;
		for (uint32_t i = 0; i < count; i++)
			values[i] = totals_at(first, stride, i)->measure[measure];
		tl_column_encode(buf, values, count);
	}
}

/* Times of a page are of its bucket: only a bug puts another in. */
static int64_t
time_offset(int64_t time_ms, int64_t none, enum tl_span span, int64_t bucket_ms)
{
	if (time_ms == none)
		return NO_OFFSET;
	assert(time_ms >= bucket_ms);
	assert(time_ms - bucket_ms < tl_span_ms(span));
	return time_ms - bucket_ms;
}

static void
put_rows(struct tl_buf *buf, const struct tl_page *page, enum tl_span span, int64_t bucket_ms,
	int64_t *values)
{
	tl_buf_put_varint(buf, page->row_count);
	if (page->row_count == 0)
		return;
	for (size_t column = 0; column < KEY_COLUMNS; column++) {
		for (uint32_t i = 0; i < page->row_count; i++)
			values[i] = *key_column(&page->rows[i].key, column);
		tl_column_encode(buf, values, page->row_count);
	}
	put_totals(buf, &page->rows[0].totals, sizeof(page->rows[0]), page->row_count, values);
	for (uint32_t i = 0; i < page->row_count; i++)
		values[i] = time_offset(page->rows[i].first_ms, INT64_MAX, span, bucket_ms);
	tl_column_encode(buf, values, page->row_count);
	for (uint32_t i = 0; i < page->row_count; i++)
		values[i] = time_offset(page->rows[i].last_ms, INT64_MIN, span, bucket_ms);
	tl_column_encode(buf, values, page->row_count);
}

static void
put_prs(struct tl_buf *buf, const struct tl_page *page, int64_t *values)
{
	tl_buf_put_varint(buf, page->pr_count);
	if (page->pr_count == 0)
		return;
	for (uint32_t i = 0; i < page->pr_count; i++)
		values[i] = page->prs[i].session;
	tl_column_encode(buf, values, page->pr_count);
	for (uint32_t i = 0; i < page->pr_count; i++)
		values[i] = page->prs[i].pr.repo;
	tl_column_encode(buf, values, page->pr_count);
	for (uint32_t i = 0; i < page->pr_count; i++)
		values[i] = page->prs[i].pr.number;
	tl_column_encode(buf, values, page->pr_count);
}

static void
put_splits(struct tl_buf *buf, const struct tl_page *page, int64_t *values)
{
	tl_buf_put_varint(buf, page->split_count);
	if (page->split_count == 0)
		return;
	for (uint32_t i = 0; i < page->split_count; i++)
		values[i] = page->splits[i].pr.repo;
	tl_column_encode(buf, values, page->split_count);
	for (uint32_t i = 0; i < page->split_count; i++)
		values[i] = page->splits[i].pr.number;
	tl_column_encode(buf, values, page->split_count);
	put_totals(
		buf, &page->splits[0].totals, sizeof(page->splits[0]), page->split_count, values);
}

static void
put_groups(struct tl_buf *buf, const struct tl_page *page)
{
	uint64_t before = 0;

	tl_buf_put_varint(buf, page->group_count);
	for (uint32_t i = 0; i < page->group_count; i++) {
		assert(page->groups[i] > before);
		tl_buf_put_varint(buf, page->groups[i] - before);
		before = page->groups[i];
	}
}

static uint32_t
max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void
tl_page_encode(const struct tl_page *page, enum tl_span span, int64_t bucket_ms, struct tl_buf *buf)
{
	size_t start = buf->bytes;
	size_t count_max = max_u32(max_u32(page->row_count, page->pr_count), page->split_count);
	int64_t *values = malloc((count_max + 1) * sizeof(*values));

	if (values == NULL) {
		if (!buf->err)
			buf->err = TL_ENOMEM;
		return;
	}
	tl_buf_put_u8(buf, PAGE_VERSION);
	put_rows(buf, page, span, bucket_ms, values);
	put_prs(buf, page, values);
	if (span == TL_SPAN_15M)
		put_groups(buf, page);
	else
		put_splits(buf, page, values);
	free(values);
	if (!buf->err)
		tl_buf_put_be64(
			buf, tl_checksum64(tl_slice_of(buf->data + start, buf->bytes - start)));
}

/* Reading. Columns are scattered into the structs as they come. */

struct reader {
	struct tl_cursor cur;
	struct tl_arena *arena;
	int64_t *values; /* room for the rows of the largest section so far */
	uint32_t capacity;
};

/* How many rows the next section has, with room for their values. */
static enum tl_err
take_count(struct reader *reader, uint32_t *count_out)
{
	uint64_t count = tl_cursor_varint(&reader->cur);

	if (reader->cur.err || count / ROWS_PER_BYTE_MAX > tl_cursor_left(&reader->cur) ||
		count > UINT32_MAX)
		return TL_ESTORAGE_CORRUPT;
	if (count > reader->capacity) {
		reader->values = tl_arena_array(reader->arena, count, sizeof(*reader->values));
		if (reader->values == NULL)
			return TL_ENOMEM;
		reader->capacity = (uint32_t)count;
	}
	*count_out = (uint32_t)count;
	return TL_OK;
}

/* Decode a column of values in [min, max]; false when it is damaged. */
static bool
take_column(struct reader *reader, uint32_t count, int64_t min, int64_t max)
{
	bool outside = false;

	tl_column_decode(&reader->cur, reader->values, count);
	if (reader->cur.err)
		return false;
	for (uint32_t i = 0; i < count; i++)
		outside |= reader->values[i] < min || reader->values[i] > max;
	return !outside;
}

static enum tl_err
take_totals(struct reader *reader, struct tl_totals *first, size_t stride, uint32_t count)
{
	uint64_t mask = tl_cursor_varint(&reader->cur);

	if (reader->cur.err || (mask & ~MEASURE_MASK_ALL) != 0)
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t measure = 0; measure < TL_MEASURE_COUNT; measure++) {
		uint8_t *at = (uint8_t *)first;

		if ((mask >> measure & 1) == 0)
			continue;
		if (!take_column(reader, count, INT64_MIN, INT64_MAX))
			return TL_ESTORAGE_CORRUPT;
		for (uint32_t i = 0; i < count; i++, at += stride)
			((struct tl_totals *)at)->measure[measure] = reader->values[i];
	}
	return TL_OK;
}

static enum tl_err
take_times(struct reader *reader, struct tl_page *page, enum tl_span span, int64_t bucket_ms)
{
	int64_t offset_max = tl_span_ms(span) - 1;

	if (!take_column(reader, page->row_count, NO_OFFSET, offset_max))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->row_count; i++)
		page->rows[i].first_ms =
			reader->values[i] == NO_OFFSET ? INT64_MAX : bucket_ms + reader->values[i];
	if (!take_column(reader, page->row_count, NO_OFFSET, offset_max))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->row_count; i++)
		page->rows[i].last_ms =
			reader->values[i] == NO_OFFSET ? INT64_MIN : bucket_ms + reader->values[i];
	return TL_OK;
}

static enum tl_err
take_rows(struct reader *reader, struct tl_page *page, enum tl_span span, int64_t bucket_ms)
{
	enum tl_err err = take_count(reader, &page->row_count);

	if (err || page->row_count == 0)
		return err;
	page->rows = tl_arena_array(reader->arena, page->row_count, sizeof(*page->rows));
	if (page->rows == NULL)
		return TL_ENOMEM;
	for (size_t column = 0; column < KEY_COLUMNS; column++) {
		int64_t max = column == KEY_COLUMNS - 1 ? 1 : UINT32_MAX;

		if (!take_column(reader, page->row_count, 0, max))
			return TL_ESTORAGE_CORRUPT;
		for (uint32_t i = 0; i < page->row_count; i++)
			*key_column(&page->rows[i].key, column) = (uint32_t)reader->values[i];
	}
	for (uint32_t i = 1; i < page->row_count; i++) {
		if (tl_cell_key_cmp(&page->rows[i - 1].key, &page->rows[i].key) >= 0)
			return TL_ESTORAGE_CORRUPT;
	}
	err = take_totals(reader, &page->rows[0].totals, sizeof(page->rows[0]), page->row_count);
	if (err)
		return err;
	return take_times(reader, page, span, bucket_ms);
}

static enum tl_err
take_prs(struct reader *reader, struct tl_page *page)
{
	enum tl_err err = take_count(reader, &page->pr_count);

	if (err || page->pr_count == 0)
		return err;
	page->prs = tl_arena_array(reader->arena, page->pr_count, sizeof(*page->prs));
	if (page->prs == NULL)
		return TL_ENOMEM;
	if (!take_column(reader, page->pr_count, 0, UINT32_MAX))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->pr_count; i++)
		page->prs[i].session = (uint32_t)reader->values[i];
	if (!take_column(reader, page->pr_count, 0, UINT32_MAX))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->pr_count; i++)
		page->prs[i].pr.repo = (uint32_t)reader->values[i];
	if (!take_column(reader, page->pr_count, 0, UINT32_MAX))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->pr_count; i++)
		page->prs[i].pr.number = (uint32_t)reader->values[i];
	/* A session has a pull request once. */
	for (uint32_t i = 1; i < page->pr_count; i++) {
		const struct tl_cell_pr *before = &page->prs[i - 1];
		const struct tl_cell_pr *pr = &page->prs[i];

		if (before->session > pr->session ||
			(before->session == pr->session && tl_pr_cmp(before->pr, pr->pr) == 0))
			return TL_ESTORAGE_CORRUPT;
	}
	return TL_OK;
}

static enum tl_err
take_splits(struct reader *reader, struct tl_page *page)
{
	enum tl_err err = take_count(reader, &page->split_count);

	if (err || page->split_count == 0)
		return err;
	page->splits = tl_arena_array(reader->arena, page->split_count, sizeof(*page->splits));
	if (page->splits == NULL)
		return TL_ENOMEM;
	if (!take_column(reader, page->split_count, 0, UINT32_MAX))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->split_count; i++)
		page->splits[i].pr.repo = (uint32_t)reader->values[i];
	if (!take_column(reader, page->split_count, 0, UINT32_MAX))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->split_count; i++)
		page->splits[i].pr.number = (uint32_t)reader->values[i];
	for (uint32_t i = 1; i < page->split_count; i++) {
		if (tl_pr_cmp(page->splits[i - 1].pr, page->splits[i].pr) >= 0)
			return TL_ESTORAGE_CORRUPT;
	}
	return take_totals(
		reader, &page->splits[0].totals, sizeof(page->splits[0]), page->split_count);
}

static enum tl_err
take_groups(struct reader *reader, struct tl_page *page)
{
	struct tl_cursor *cur = &reader->cur;
	uint64_t count = tl_cursor_varint(cur);
	uint64_t group_no = 0;

	if (cur->err || count > tl_cursor_left(cur) || count > UINT32_MAX)
		return TL_ESTORAGE_CORRUPT;
	if (count == 0)
		return TL_OK;
	page->group_count = (uint32_t)count;
	page->groups = tl_arena_array(reader->arena, count, sizeof(*page->groups));
	if (page->groups == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < page->group_count; i++) {
		uint64_t step = tl_cursor_varint(cur);

		if (step == 0 || __builtin_add_overflow(group_no, step, &group_no))
			return TL_ESTORAGE_CORRUPT;
		page->groups[i] = group_no;
	}
	return TL_OK;
}

static enum tl_err
take_page(struct reader *reader, enum tl_span span, int64_t bucket_ms, struct tl_page *page)
{
	enum tl_err err;

	if (tl_cursor_u8(&reader->cur) != PAGE_VERSION)
		return TL_ESTORAGE_CORRUPT;
	err = take_rows(reader, page, span, bucket_ms);
	if (!err)
		err = take_prs(reader, page);
	if (!err)
		err = span == TL_SPAN_15M ? take_groups(reader, page) : take_splits(reader, page);
	if (err)
		return err;
	return reader->cur.err || tl_cursor_left(&reader->cur) != 0 ? TL_ESTORAGE_CORRUPT : TL_OK;
}

enum tl_err
tl_page_decode(struct tl_slice bytes, enum tl_span span, int64_t bucket_ms, struct tl_arena *arena,
	struct tl_page *page_out)
{
	struct reader reader = {.arena = arena};
	struct tl_page page = {.row_count = 0};
	struct tl_slice body;
	enum tl_err err;

	if (bytes.bytes < CHECKSUM_BYTES)
		return TL_ESTORAGE_CORRUPT;
	body = tl_slice_of(bytes.data, bytes.bytes - CHECKSUM_BYTES);
	if (tl_checksum64(body) != tl_get_be64(bytes.data + body.bytes))
		return TL_ESTORAGE_CORRUPT;
	reader.cur = tl_cursor_of(body);
	err = take_page(&reader, span, bucket_ms, &page);
	if (!err && span == TL_SPAN_15M)
		err = tl_page_split(&page, bucket_ms, arena);
	if (err) /* sums that overflow are none that were ever written */
		return err == TL_ENOMEM ? err : TL_ESTORAGE_CORRUPT;
	*page_out = page;
	return TL_OK;
}

static bool
row_eq(const struct tl_cell_row *a, const struct tl_cell_row *b)
{
	return tl_cell_key_cmp(&a->key, &b->key) == 0 && tl_totals_eq(&a->totals, &b->totals) &&
	       a->first_ms == b->first_ms && a->last_ms == b->last_ms;
}

bool
tl_page_eq(const struct tl_page *a, const struct tl_page *b)
{
	if (a->row_count != b->row_count || a->pr_count != b->pr_count ||
		a->split_count != b->split_count || a->group_count != b->group_count)
		return false;
	for (uint32_t i = 0; i < a->row_count; i++) {
		if (!row_eq(&a->rows[i], &b->rows[i]))
			return false;
	}
	for (uint32_t i = 0; i < a->pr_count; i++) {
		if (a->prs[i].session != b->prs[i].session ||
			tl_pr_cmp(a->prs[i].pr, b->prs[i].pr) != 0)
			return false;
	}
	for (uint32_t i = 0; i < a->split_count; i++) {
		if (tl_pr_cmp(a->splits[i].pr, b->splits[i].pr) != 0 ||
			!tl_totals_eq(&a->splits[i].totals, &b->splits[i].totals))
			return false;
	}
	for (uint32_t i = 0; i < a->group_count; i++) {
		if (a->groups[i] != b->groups[i])
			return false;
	}
	return true;
}
