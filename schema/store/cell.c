/*
 * Rows lie in memory as structs and in bytes as columns. No two rows of a page are equal in their
 * key, so at least one column of a section takes a byte for every row but one: a count that is
 * larger than what is left plus one is damage, found before anything is allocated for it.
 */
#include "schema/store/cell.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/store/column.h"

#define PAGE_VERSION 1
#define CHECKSUM_BYTES 8
#define MEASURE_MASK_ALL ((UINT64_C(1) << TL_MEASURE_COUNT) - 1)
/* An offset from the bucket's start where there is no time. */
#define NO_OFFSET (-1)

#define KEY_COLUMNS 6
_Static_assert(sizeof(struct tl_cell_key) == KEY_COLUMNS * sizeof(uint32_t),
	"the key is columns of 32 bits");

/* The columns of the key, in their order. */
static inline uint32_t *
key_column(struct tl_cell_key *key, size_t column)
{
	uint32_t *const columns[KEY_COLUMNS] = {&key->session, &key->member, &key->agent,
		&key->model, &key->repo, &key->has_own_repo};

	return columns[column];
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

static int
pr_cmp(struct tl_pr a, struct tl_pr b)
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
	put_totals(buf, &page->splits[0].totals, sizeof(page->splits[0]), page->split_count,
		values);
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
	size_t count_max =
		max_u32(max_u32(page->row_count, page->pr_count), page->split_count);
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
		tl_buf_put_be64(buf,
			tl_checksum64(tl_slice_of(buf->data + start, buf->bytes - start)));
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

	if (reader->cur.err || count > tl_cursor_left(&reader->cur) + 1 || count > UINT32_MAX)
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
		page->rows[i].first_ms = reader->values[i] == NO_OFFSET
			? INT64_MAX
			: bucket_ms + reader->values[i];
	if (!take_column(reader, page->row_count, NO_OFFSET, offset_max))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->row_count; i++)
		page->rows[i].last_ms = reader->values[i] == NO_OFFSET
			? INT64_MIN
			: bucket_ms + reader->values[i];
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
	for (uint32_t i = 1; i < page->pr_count; i++) {
		if (page->prs[i - 1].session > page->prs[i].session)
			return TL_ESTORAGE_CORRUPT;
	}
	if (!take_column(reader, page->pr_count, 0, UINT32_MAX))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->pr_count; i++)
		page->prs[i].pr.repo = (uint32_t)reader->values[i];
	if (!take_column(reader, page->pr_count, 0, UINT32_MAX))
		return TL_ESTORAGE_CORRUPT;
	for (uint32_t i = 0; i < page->pr_count; i++)
		page->prs[i].pr.number = (uint32_t)reader->values[i];
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
		if (pr_cmp(page->splits[i - 1].pr, page->splits[i].pr) >= 0)
			return TL_ESTORAGE_CORRUPT;
	}
	return take_totals(reader, &page->splits[0].totals, sizeof(page->splits[0]),
		page->split_count);
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

/* Splitting. */

/* One PR of one session: which part of whose totals is its share. */
struct share {
	struct tl_pr pr;
	uint32_t sum_idx;
	uint32_t part_idx;
	uint32_t part_count;
};

static int
share_cmp(const void *a, const void *b)
{
	const struct share *share_a = a;
	const struct share *share_b = b;

	return pr_cmp(share_a->pr, share_b->pr);
}

/* The totals of a session's rows; *row_idx moves past them. Both lists are sorted by session. */
static enum tl_err
sum_session(const struct tl_page *page, uint32_t session, uint32_t *row_idx, struct tl_totals *sum)
{
	while (*row_idx < page->row_count && page->rows[*row_idx].key.session < session)
		++*row_idx;
	while (*row_idx < page->row_count && page->rows[*row_idx].key.session == session) {
		enum tl_err err = tl_totals_add(sum, &page->rows[*row_idx].totals, 1);

		if (err)
			return err;
		++*row_idx;
	}
	return TL_OK;
}

/* The shares of all PRs, in the page's order, and the totals that they are parts of. */
static enum tl_err
find_shares(const struct tl_page *page, struct share *shares, struct tl_totals *sums)
{
	uint32_t row_idx = 0;
	uint32_t sum_idx = 0;

	for (uint32_t from = 0, to; from < page->pr_count; from = to, sum_idx++) {
		uint32_t session = page->prs[from].session;
		enum tl_err err = sum_session(page, session, &row_idx, &sums[sum_idx]);

		if (err)
			return err;
		for (to = from; to < page->pr_count && page->prs[to].session == session; to++)
			shares[to] = (struct share){.pr = page->prs[to].pr,
				.sum_idx = sum_idx,
				.part_idx = to - from};
		for (uint32_t i = from; i < to; i++)
			shares[i].part_count = to - from;
	}
	return TL_OK;
}

static enum tl_err
add_shares(const struct share *shares, uint32_t count, const struct tl_totals *sums,
	int64_t cell_no, struct tl_cell_split *split)
{
	for (uint32_t i = 0; i < count; i++) {
		int64_t start = cell_no % shares[i].part_count;
		struct tl_totals part;
		enum tl_err err;

		if (start < 0)
			start += shares[i].part_count;
		tl_totals_share(&sums[shares[i].sum_idx], shares[i].part_count, shares[i].part_idx,
			(uint32_t)start, &part);
		err = tl_totals_add(&split->totals, &part, 1);
		if (err)
			return err;
	}
	return TL_OK;
}

enum tl_err
tl_page_split(struct tl_page *page, int64_t bucket_ms, struct tl_arena *arena)
{
	int64_t cell_no = tl_bucket_no(TL_SPAN_15M, bucket_ms);
	struct share *shares;
	struct tl_totals *sums;
	struct tl_cell_split *splits;
	uint32_t split_count = 0;
	enum tl_err err;

	page->splits = NULL;
	page->split_count = 0;
	if (page->pr_count == 0)
		return TL_OK;
	shares = tl_arena_array(arena, page->pr_count, sizeof(*shares));
	sums = tl_arena_array(arena, page->pr_count, sizeof(*sums));
	splits = tl_arena_array(arena, page->pr_count, sizeof(*splits));
	if (shares == NULL || sums == NULL || splits == NULL)
		return TL_ENOMEM;
	err = find_shares(page, shares, sums);
	if (err)
		return err;
	qsort(shares, page->pr_count, sizeof(*shares), share_cmp);
	for (uint32_t from = 0, to; from < page->pr_count; from = to) {
		struct tl_cell_split *split = &splits[split_count];

		for (to = from; to < page->pr_count; to++) {
			if (pr_cmp(shares[to].pr, shares[from].pr) != 0)
				break;
		}
		*split = (struct tl_cell_split){.pr = shares[from].pr};
		err = add_shares(shares + from, to - from, sums, cell_no, split);
		if (err)
			return err;
		split_count += !tl_totals_is_zero(&split->totals);
	}
	page->splits = splits;
	page->split_count = split_count;
	return TL_OK;
}

/* Adding: merges of two sorted lists. */

static enum tl_err
add_row(const struct tl_cell_row *row, const struct tl_cell_row *delta, struct tl_cell_row *sum)
{
	*sum = *row;
	if (delta->first_ms < sum->first_ms)
		sum->first_ms = delta->first_ms;
	if (delta->last_ms > sum->last_ms)
		sum->last_ms = delta->last_ms;
	return tl_totals_add(&sum->totals, &delta->totals, 1);
}

static enum tl_err
add_rows(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->row_count + delta->row_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;
	enum tl_err err;

	sum->rows = tl_arena_array(arena, count_max, sizeof(*sum->rows));
	if (sum->rows == NULL)
		return TL_ENOMEM;
	while (page_idx < page->row_count || delta_idx < delta->row_count) {
		struct tl_cell_row *row = &sum->rows[sum->row_count];
		int order;

		if (page_idx == page->row_count)
			order = 1;
		else if (delta_idx == delta->row_count)
			order = -1;
		else
			order = tl_cell_key_cmp(
				&page->rows[page_idx].key, &delta->rows[delta_idx].key);
		if (order < 0) {
			*row = page->rows[page_idx++];
		} else if (order > 0) {
			*row = delta->rows[delta_idx++];
		} else {
			err = add_row(&page->rows[page_idx++], &delta->rows[delta_idx++], row);
			if (err)
				return err;
		}
		sum->row_count += !tl_totals_is_zero(&row->totals);
	}
	return TL_OK;
}

static enum tl_err
add_splits(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->split_count + delta->split_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;
	enum tl_err err;

	sum->splits = tl_arena_array(arena, count_max, sizeof(*sum->splits));
	if (sum->splits == NULL)
		return TL_ENOMEM;
	while (page_idx < page->split_count || delta_idx < delta->split_count) {
		struct tl_cell_split *split = &sum->splits[sum->split_count];
		int order;

		if (page_idx == page->split_count)
			order = 1;
		else if (delta_idx == delta->split_count)
			order = -1;
		else
			order = pr_cmp(page->splits[page_idx].pr, delta->splits[delta_idx].pr);
		if (order > 0) {
			*split = delta->splits[delta_idx++];
		} else {
			*split = page->splits[page_idx++];
		}
		if (order == 0) {
			err = tl_totals_add(
				&split->totals, &delta->splits[delta_idx++].totals, 1);
			if (err)
				return err;
		}
		sum->split_count += !tl_totals_is_zero(&split->totals);
	}
	return TL_OK;
}

/* Whether the page has a row of the session; *row_idx moves on with rising sessions. */
static bool
has_session(const struct tl_page *page, uint32_t session, uint32_t *row_idx)
{
	while (*row_idx < page->row_count && page->rows[*row_idx].key.session < session)
		++*row_idx;
	return *row_idx < page->row_count && page->rows[*row_idx].key.session == session;
}

/* Copy the PRs of one session, or step over them. */
static uint32_t
copy_prs(const struct tl_page *from, uint32_t *pr_idx, uint32_t session, bool keep,
	struct tl_page *sum)
{
	uint32_t count = 0;

	while (*pr_idx < from->pr_count && from->prs[*pr_idx].session == session) {
		if (keep)
			sum->prs[sum->pr_count++] = from->prs[*pr_idx];
		++*pr_idx;
		count++;
	}
	return count;
}

/* delta says what the PRs of a session are as soon as it has a row or a PR of that session. */
static enum tl_err
add_prs(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->pr_count + delta->pr_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;
	uint32_t delta_row_idx = 0;
	uint32_t sum_row_idx = 0;

	sum->prs = tl_arena_array(arena, count_max, sizeof(*sum->prs));
	if (sum->prs == NULL)
		return TL_ENOMEM;
	while (page_idx < page->pr_count || delta_idx < delta->pr_count) {
		uint32_t session = UINT32_MAX;
		bool keep;
		bool said;

		if (page_idx < page->pr_count)
			session = page->prs[page_idx].session;
		if (delta_idx < delta->pr_count && delta->prs[delta_idx].session < session)
			session = delta->prs[delta_idx].session;
		keep = has_session(sum, session, &sum_row_idx);
		said = has_session(delta, session, &delta_row_idx);
		said |= copy_prs(delta, &delta_idx, session, keep, sum) > 0;
		(void)copy_prs(page, &page_idx, session, keep && !said, sum);
	}
	return TL_OK;
}

static enum tl_err
add_groups(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->group_count + delta->group_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;

	sum->groups = tl_arena_array(arena, count_max, sizeof(*sum->groups));
	if (sum->groups == NULL)
		return TL_ENOMEM;
	while (page_idx < page->group_count || delta_idx < delta->group_count) {
		uint64_t group_no = UINT64_MAX;

		if (page_idx < page->group_count)
			group_no = page->groups[page_idx];
		if (delta_idx < delta->group_count && delta->groups[delta_idx] < group_no)
			group_no = delta->groups[delta_idx];
		if (page_idx < page->group_count && page->groups[page_idx] == group_no)
			page_idx++;
		if (delta_idx < delta->group_count && delta->groups[delta_idx] == group_no)
			delta_idx++;
		sum->groups[sum->group_count++] = group_no;
	}
	return TL_OK;
}

enum tl_err
tl_page_add(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum_out)
{
	struct tl_page sum = {.row_count = 0};
	enum tl_err err;

	err = add_rows(page, delta, arena, &sum);
	if (!err)
		err = add_splits(page, delta, arena, &sum);
	if (!err)
		err = add_prs(page, delta, arena, &sum);
	if (!err)
		err = add_groups(page, delta, arena, &sum);
	if (!err)
		*sum_out = sum;
	return err;
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
			pr_cmp(a->prs[i].pr, b->prs[i].pr) != 0)
			return false;
	}
	for (uint32_t i = 0; i < a->split_count; i++) {
		if (pr_cmp(a->splits[i].pr, b->splits[i].pr) != 0 ||
			!tl_totals_eq(&a->splits[i].totals, &b->splits[i].totals))
			return false;
	}
	for (uint32_t i = 0; i < a->group_count; i++) {
		if (a->groups[i] != b->groups[i])
			return false;
	}
	return true;
}
