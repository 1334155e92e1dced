#include "query/edge.h"

#include <stdlib.h>

#include "query/kept.h"
#include "query/raw.h"
#include "query/table.h"
#include "schema/store/block.h"

/* Events of a cell that are kept; of more, each range reads its part again. */
#define EDGE_KEPT_MAX 16384u
#define EDGE_ARENA_BYTES_MAX (64u << 20)
#define EDGE_KEY_BYTES 13u

#define COLUMN_BIT(column) (1ULL << (column))

/* What tl_event_totals reads, and the keys of a row. */
#define EDGE_COLUMNS                                                                           \
	(TL_BLOCK_ALL_COLUMNS & ~(COLUMN_BIT(TL_COL_TAGS) | COLUMN_BIT(TL_COL_BRANCH) |        \
					COLUMN_BIT(TL_COL_COMMIT) | COLUMN_BIT(TL_COL_VALUE) | \
					COLUMN_BIT(TL_COL_EMAIL_ENC) | COLUMN_BIT(TL_COL_RULE)))

/* An event as a fact. */
struct edge_event {
	struct tl_cell_key key; /* the repo is the event's own */
	int64_t time_ms;
	bool is_request;
	struct tl_totals totals;
};

/* The events of a whole cell: the next range often ends a minute further in the same one. */
struct edge_events {
	struct lru_value value; /* first: what the cache keeps */
	struct tl_arena arena;
	struct edge_event *list;
	uint32_t count, capacity;
	struct kept_since since;
};

/* A page on its way. */
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

/* An event as a fact; false: it adds nothing. */
static bool
read_event(const struct raw_row *raw, struct edge_event *event_out)
{
	const struct tl_batch *batch = raw->batch;
	uint32_t idx = raw->row_idx;
	struct tl_cell_key key = {
		.session = (uint32_t)tl_batch_get(batch, TL_COL_SESSION, idx),
		.member = (uint32_t)tl_batch_get(batch, TL_COL_MEMBER, idx),
		.agent = (uint32_t)tl_batch_get(batch, TL_COL_AGENT, idx),
		.model = (uint32_t)tl_batch_get(batch, TL_COL_MODEL, idx),
		.repo = (uint32_t)tl_batch_get(batch, TL_COL_REPO, idx),
	};

	key.has_own_repo = key.repo != 0;
	event_out->key = key;
	event_out->time_ms = raw->time_ms;
	event_out->is_request = tl_batch_get(batch, TL_COL_KIND, idx) == TL_KIND_REQUEST;
	tl_event_totals(batch, idx, &event_out->totals);
	return !tl_totals_is_zero(&event_out->totals);
}

static enum tl_err
add_event(struct edge *edge, const struct edge_event *event, struct tl_why *why)
{
	struct tl_cell_row *row = NULL;
	enum tl_err err = need_row(edge, &event->key, &row);

	if (!err)
		err = tl_totals_add(&row->totals, &event->totals, 1);
	if (err)
		return tl_fail(why, err, "a part of a cell cannot be summed");
	if (event->is_request && event->time_ms < row->first_ms)
		row->first_ms = event->time_ms;
	if (event->is_request && event->time_ms > row->last_ms)
		row->last_ms = event->time_ms;
	return TL_OK;
}

static enum tl_err
add_raw(void *arg, const struct raw_row *raw, struct tl_why *why)
{
	struct edge_event event = {0};

	return read_event(raw, &event) ? add_event(arg, &event, why) : TL_OK;
}

static void
events_free(struct lru_value *value)
{
	struct edge_events *events = (struct edge_events *)value;

	tl_arena_fini(&events->arena);
	free(events);
}

/* TL_EFULL: too many to keep. */
static enum tl_err
keep_raw(void *arg, const struct raw_row *raw, struct tl_why *why)
{
	struct edge_events *events = arg;
	uint32_t capacity = events->capacity == 0 ? 64 : events->capacity * 2;
	struct edge_event *list;

	if (events->count == EDGE_KEPT_MAX)
		return TL_EFULL;
	if (events->count == events->capacity) {
		list = tl_arena_array(&events->arena, capacity, sizeof(*list));
		if (list == NULL)
			return tl_fail(why, TL_ENOMEM, "no memory for the events of a cell");
		if (events->count > 0)
			memcpy(list, events->list, events->count * sizeof(*list));
		events->list = list;
		events->capacity = capacity;
	}
	if (read_event(raw, &events->list[events->count]))
		events->count++;
	return TL_OK;
}

/* Read the events of the whole cell; TL_EFULL when they are too many to keep. */
static enum tl_err
make_events(const struct query_scene *scene, const struct raw_ask *part,
	struct edge_events **events_out, struct tl_why *why)
{
	struct edge_events *events = calloc(1, sizeof(*events));
	struct raw_ask ask = *part;
	enum tl_err err;

	if (events == NULL)
		return TL_ENOMEM;
	events->value = (struct lru_value){.free = events_free, .pin_count = 1};
	tl_arena_init(&events->arena, EDGE_ARENA_BYTES_MAX);
	kept_since_init(&events->since, scene);
	ask.from_ms = ask.bucket_ms;
	ask.to_ms = ask.bucket_ms + TL_QUARTER_MS;
	err = raw_walk(scene, &ask, keep_raw, events, why);
	if (err) {
		events_free(&events->value);
		return err;
	}
	events->value.bytes = sizeof(*events) + 2 * events->arena.used_bytes;
	*events_out = events;
	return TL_OK;
}

/* org | 'e' | start; the fifth byte tells the kinds of what is kept apart */
static struct tl_slice
make_key(const struct raw_ask *ask, uint8_t key[EDGE_KEY_BYTES])
{
	tl_put_be32(key, ask->org);
	key[4] = 'e';
	tl_put_be64(key + 5, (uint64_t)ask->bucket_ms);
	return tl_slice_of(key, EDGE_KEY_BYTES);
}

/* The events of the cell, kept, pinned; NULL when they have to be read as they come. */
static enum tl_err
find_events(const struct query_scene *scene, const struct raw_ask *ask,
	struct edge_events **events_out, struct tl_why *why)
{
	uint8_t key_bytes[EDGE_KEY_BYTES];
	struct tl_slice key = make_key(ask, key_bytes);
	struct edge_events *events;
	enum kept_verdict verdict;
	int64_t low_ms;
	enum tl_err err;

	*events_out = NULL;
	if (scene->cache == NULL)
		return TL_OK;
	events = (struct edge_events *)lru_get(scene->cache->boards, key);
	if (events != NULL) {
		verdict =
			kept_judge(&events->since, scene, ask->bucket_ms + TL_QUARTER_MS, &low_ms);
		if (verdict == KEPT_GOOD) {
			*events_out = events;
			return TL_OK;
		}
		lru_unpin(scene->cache->boards, &events->value);
		if (verdict == KEPT_NEWER)
			return TL_OK;
	}
	err = make_events(scene, ask, events_out, why);
	if (!err)
		lru_put(scene->cache->boards, key, &(*events_out)->value);
	return err == TL_EFULL ? TL_OK : err;
}

static enum tl_err
add_part(struct edge *edge, const struct query_scene *scene, const struct raw_ask *ask,
	struct tl_why *why)
{
	struct edge_events *events = NULL;
	enum tl_err err = find_events(scene, ask, &events, why);

	if (err)
		return err;
	if (events == NULL)
		return raw_walk(scene, ask, add_raw, edge, why);
	for (uint32_t i = 0; !err && i < events->count; i++) {
		const struct edge_event *event = &events->list[i];

		if (event->time_ms >= ask->from_ms && event->time_ms < ask->to_ms)
			err = add_event(edge, event, why);
	}
	lru_unpin(scene->cache->boards, &events->value);
	return err;
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
	uint32_t row_count;
	const struct tl_cell_row *rows = tl_page_session_rows(whole, session, &row_count);

	for (uint32_t i = 0; i < row_count; i++) {
		if (!rows[i].key.has_own_repo)
			known = &rows[i];
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

	err = add_part(&edge, scene, &ask, why);
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
