#include "query/edge.h"

#include <stdlib.h>

#include "query/raw.h"
#include "query/table.h"
#include "schema/store/block.h"

#define COLUMN_BIT(column) (1ULL << (column))

/* What tl_event_totals reads, and the keys of a row. */
#define EDGE_COLUMNS                                                                           \
	(TL_BLOCK_ALL_COLUMNS & ~(COLUMN_BIT(TL_COL_TAGS) | COLUMN_BIT(TL_COL_BRANCH) |        \
					COLUMN_BIT(TL_COL_COMMIT) | COLUMN_BIT(TL_COL_VALUE) | \
					COLUMN_BIT(TL_COL_EMAIL_ENC) | COLUMN_BIT(TL_COL_RULE)))

struct edge {
	struct tl_arena *arena;
	struct tl_page *page;
	uint32_t capacity;
	struct table rows; /* hash of the key -> row_idx */
};

static uint64_t
key_hash(const struct tl_cell_key *key)
{
	uint64_t hash = table_hash(key->session, key->member);

	hash = table_hash(hash, (uint64_t)key->agent << 32 | key->model);
	return table_hash(hash, (uint64_t)key->repo << 1 | key->has_own_repo);
}

/* The row of the key, made when new. */
static enum tl_err
need_row(struct edge *edge, const struct tl_cell_key *key, struct tl_cell_row **row_out)
{
	struct tl_page *page = edge->page;
	uint64_t hash = key_hash(key);
	uint64_t at = hash;
	uint32_t idx;

	while (table_next(&edge->rows, hash, &at, &idx)) {
		if (tl_cell_key_cmp(&page->rows[idx].key, key) == 0) {
			*row_out = &page->rows[idx];
			return TL_OK;
		}
	}
	if (page->row_count == edge->capacity) {
		uint32_t capacity = edge->capacity == 0 ? 64 : edge->capacity * 2;
		struct tl_cell_row *rows = tl_arena_array(edge->arena, capacity, sizeof(*rows));

		if (rows == NULL)
			return TL_ENOMEM;
		if (page->row_count > 0)
			memcpy(rows, page->rows, page->row_count * sizeof(*rows));
		page->rows = rows;
		edge->capacity = capacity;
	}
	*row_out = &page->rows[page->row_count];
	**row_out = (struct tl_cell_row){.key = *key, .first_ms = INT64_MAX, .last_ms = INT64_MIN};
	return table_put(&edge->rows, edge->arena, hash, page->row_count++);
}

static enum tl_err
add_event(void *arg, const struct raw_row *event, struct tl_why *why)
{
	struct edge *edge = arg;
	const struct tl_batch *batch = event->batch;
	uint32_t idx = event->row_idx;
	struct tl_cell_key key = {
		.session = (uint32_t)tl_batch_get(batch, TL_COL_SESSION, idx),
		.member = (uint32_t)tl_batch_get(batch, TL_COL_MEMBER, idx),
		.agent = (uint32_t)tl_batch_get(batch, TL_COL_AGENT, idx),
		.model = (uint32_t)tl_batch_get(batch, TL_COL_MODEL, idx),
		.repo = (uint32_t)tl_batch_get(batch, TL_COL_REPO, idx),
	};
	struct tl_cell_row *row = NULL;
	struct tl_totals totals = {0};
	enum tl_err err;

	tl_event_totals(batch, idx, &totals);
	if (tl_totals_is_zero(&totals))
		return TL_OK;
	key.has_own_repo = key.repo != 0;
	err = need_row(edge, &key, &row);
	if (!err)
		err = tl_totals_add(&row->totals, &totals, 1);
	if (err)
		return tl_fail(why, err, "a part of a cell cannot be summed");
	if (tl_batch_get(batch, TL_COL_KIND, idx) == TL_KIND_REQUEST) {
		if (event->time_ms < row->first_ms)
			row->first_ms = event->time_ms;
		if (event->time_ms > row->last_ms)
			row->last_ms = event->time_ms;
	}
	return TL_OK;
}

static int
row_cmp(const void *a, const void *b)
{
	const struct tl_cell_row *left = a;
	const struct tl_cell_row *right = b;

	return tl_cell_key_cmp(&left->key, &right->key);
}

static void
sort_rows(struct tl_page *page)
{
	if (page->row_count > 1)
		qsort(page->rows, page->row_count, sizeof(*page->rows), row_cmp);
}

/* The first row of a session in a sorted page, or of one after it. */
static uint32_t
first_row(const struct tl_page *page, uint32_t session)
{
	uint32_t low = 0;
	uint32_t high = page->row_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (page->rows[middle].key.session < session)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Whatever the whole cell says of a session holds for its part: the repo of its rows without one of
 * their own, and its PRs.
 */
static enum tl_err
attribute(struct tl_page *page, uint32_t first, uint32_t end, const struct tl_page *whole,
	uint32_t *pr_idx, struct tl_why *why)
{
	uint32_t session = page->rows[first].key.session;
	const struct tl_cell_row *known = NULL;

	for (uint32_t i = first_row(whole, session);
		i < whole->row_count && whole->rows[i].key.session == session; i++) {
		if (!whole->rows[i].key.has_own_repo)
			known = &whole->rows[i];
	}
	for (uint32_t i = first; i < end; i++) {
		if (page->rows[i].key.has_own_repo)
			continue;
		if (known == NULL)
			return tl_fail(
				why, TL_ESTORAGE_CORRUPT, "a cell lacks session %u", session);
		page->rows[i].key.repo = known->key.repo;
	}
	while (*pr_idx < whole->pr_count && whole->prs[*pr_idx].session < session)
		++*pr_idx;
	while (*pr_idx < whole->pr_count && whole->prs[*pr_idx].session == session)
		page->prs[page->pr_count++] = whole->prs[(*pr_idx)++];
	return TL_OK;
}

enum tl_err
edge_page(const struct query_scene *scene, const struct tl_page *whole, int64_t from_ms,
	int64_t to_ms, struct tl_arena *arena, struct tl_page *page_out, struct tl_why *why)
{
	struct tl_page page = {0};
	struct edge edge = {.arena = arena, .page = &page};
	struct raw_ask ask = {
		.org = scene->org->no,
		.bucket_ms = tl_bucket_floor(TL_SPAN_15M, from_ms),
		.from_ms = from_ms,
		.to_ms = to_ms,
		.column_mask = EDGE_COLUMNS,
		.groups = whole->groups,
		.group_count = whole->group_count,
	};
	uint32_t pr_idx = 0;
	enum tl_err err;

	err = raw_walk(scene, &ask, add_event, &edge, why);
	if (err)
		return err;
	page.prs = tl_arena_array(arena, whole->pr_count, sizeof(*page.prs));
	if (page.prs == NULL)
		return TL_ENOMEM;
	sort_rows(&page);
	for (uint32_t first = 0, end; first < page.row_count; first = end) {
		end = first + 1;
		while (end < page.row_count &&
			page.rows[end].key.session == page.rows[first].key.session)
			end++;
		err = attribute(&page, first, end, whole, &pr_idx, why);
		if (err)
			return err;
	}
	sort_rows(&page); /* a repo is part of the key */
	err = tl_page_split(&page, ask.bucket_ms, arena);
	if (err)
		return tl_fail(why, err, "a part of a cell cannot be divided");
	*page_out = page;
	return TL_OK;
}
