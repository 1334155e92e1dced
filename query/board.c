#include "query/board.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/model/money.h"

#define BOARD_ROWS_INITIAL 64u
#define BOARD_BINS_AT_ONCE 64u

/* A page on its way into a board. */
struct page_add {
	struct board *board;
	uint32_t bin_idx;
};

static bool
find_in(const struct board *board, uint64_t key, uint32_t *idx_out)
{
	uint64_t hash, at;

	if (key < BOARD_DIRECT_MAX) {
		if (key < board->direct_count && board->direct[key] != 0) {
			*idx_out = board->direct[key] - 1;
			return true;
		}
		return board->base != NULL && find_in(board->base, key, idx_out);
	}
	hash = table_hash(key, key >> 32);
	at = hash;
	while (table_next(&board->keys, hash, &at, idx_out)) {
		if (board_row(board, *idx_out)->key == key)
			return true;
	}
	return board->base != NULL && find_in(board->base, key, idx_out);
}

/* Remember where a new row is. */
static enum tl_err
put_key(struct board *board, uint64_t key, uint32_t row_idx)
{
	uint32_t count = board->direct_count == 0 ? BOARD_ROWS_INITIAL : board->direct_count * 2;
	uint32_t *direct;

	if (key >= BOARD_DIRECT_MAX)
		return table_put(&board->keys, board->arena, table_hash(key, key >> 32), row_idx);
	if (key >= board->direct_count) {
		while (key >= count)
			count *= 2;
		direct = tl_arena_array(board->arena, count, sizeof(*direct));
		if (direct == NULL)
			return TL_ENOMEM;
		if (board->direct_count > 0)
			memcpy(direct, board->direct, board->direct_count * sizeof(*direct));
		board->direct = direct;
		board->direct_count = count;
	}
	board->direct[key] = row_idx + 1;
	return TL_OK;
}

const struct board_row *
board_find(const struct board *board, uint64_t key)
{
	uint32_t idx;

	return find_in(board, key, &idx) ? board_row(board, idx) : NULL;
}

/* Room for one more own row. */
static enum tl_err
make_own_room(struct board *board)
{
	uint32_t capacity = board->own_capacity == 0 ? BOARD_ROWS_INITIAL : board->own_capacity * 2;
	struct board_row *own;

	if (board->own_count < board->own_capacity)
		return TL_OK;
	own = tl_arena_room(board->arena, capacity, sizeof(*own));
	if (own == NULL)
		return TL_ENOMEM;
	if (board->own_count > 0)
		memcpy(own, board->own, board->own_count * sizeof(*own));
	board->own = own;
	board->own_capacity = capacity;
	return TL_OK;
}

/* Room for count rows in the way from a row to its place in own. */
static enum tl_err
make_row_room(struct board *board, uint32_t count)
{
	uint32_t capacity = count + BOARD_ROWS_INITIAL;
	uint32_t *own_of;

	if (board->base == NULL || count <= board->row_capacity)
		return TL_OK;
	if (capacity < board->row_capacity * 2)
		capacity = board->row_capacity * 2;
	own_of = tl_arena_array(board->arena, capacity, sizeof(*own_of));
	if (own_of == NULL)
		return TL_ENOMEM;
	if (board->row_count > 0)
		memcpy(own_of, board->own_of, board->row_count * sizeof(*own_of));
	board->own_of = own_of;
	board->row_capacity = capacity;
	return TL_OK;
}

/* A row of this board's own for row_idx, which is the base's or new. */
static enum tl_err
take_row(struct board *board, uint32_t row_idx, struct board_row row)
{
	enum tl_err err = make_own_room(board);

	if (err)
		return err;
	row.own_bin = NULL;
	board->own[board->own_count++] = row;
	if (board->base != NULL)
		board->own_of[row_idx] = board->own_count;
	return TL_OK;
}

static enum tl_err
make_row(struct board *board, uint64_t key, uint32_t *idx_out)
{
	enum tl_err err = make_row_room(board, board->row_count + 1);

	if (!err)
		err = take_row(board, board->row_count,
			(struct board_row){.key = key, .last_ms = INT64_MIN});
	if (!err)
		err = put_key(board, key, board->row_count);
	if (!err)
		*idx_out = board->row_count++;
	return err;
}

enum tl_err
board_need_row(struct board *board, uint64_t key, uint32_t *idx_out)
{
	enum tl_err err = TL_OK;

	if (board->memo_key == key && board->memo_idx < board->row_count) {
		*idx_out = board->memo_idx;
		return TL_OK;
	}
	if (!find_in(board, key, idx_out))
		err = make_row(board, key, idx_out);
	else if (board->base != NULL && board->own_of[*idx_out] == 0)
		err = take_row(board, *idx_out, board->base->own[*idx_out]);
	if (err)
		return err;
	board->memo_key = key;
	board->memo_idx = *idx_out;
	return TL_OK;
}

enum tl_err
board_init(struct board *board, enum tl_dim dim, bool is_plain, const struct board *base,
	struct tl_arena *arena)
{
	uint32_t idx;
	enum tl_err err;

	*board = (struct board){
		.dim = dim,
		.is_plain = is_plain,
		.arena = arena,
		.base = base,
		.memo_idx = UINT32_MAX,
	};
	if (base == NULL)
		return board_has_org(dim) ? board_need_row(board, BOARD_KEY_ORG, &idx) : TL_OK;
	assert(base->dim == dim && base->is_plain == is_plain && base->base == NULL);
	err = make_row_room(board, base->row_count);
	if (!err)
		board->row_count = base->row_count;
	return err;
}

/* One at a time they would cost more than what is added to them. */
static struct board_bin *
make_bin(struct board *board)
{
	if (board->spare_bin_count == 0) {
		board->spare_bins = tl_arena_array(
			board->arena, BOARD_BINS_AT_ONCE, sizeof(*board->spare_bins));
		if (board->spare_bins == NULL)
			return NULL;
		board->spare_bin_count = BOARD_BINS_AT_ONCE;
	}
	board->spare_bin_count--;
	return board->spare_bins++;
}

enum tl_err
board_add_values(struct board *board, uint32_t row_idx, uint32_t bin_idx,
	const int64_t values[TL_METRIC_COUNT])
{
	struct board_row *row = board_own_row(board, row_idx);
	struct board_bin *bin = row->own_bin;
	bool fits = true;

	if (bin == NULL || bin->bin_idx != bin_idx) {
		bin = make_bin(board);
		if (bin == NULL)
			return TL_ENOMEM;
		bin->older = row->bins;
		bin->bin_idx = bin_idx;
		row->bins = bin;
		row->own_bin = bin;
		row->bin_count++;
	}
	for (int metric = 0; metric < TL_METRIC_COUNT; metric++)
		fits &= tl_sum_add(&bin->value[metric], values[metric]);
	return fits ? TL_OK : TL_EAMOUNT_OVERFLOW;
}

static enum tl_err
add_value(struct board *board, uint32_t row_idx, uint32_t bin_idx, const struct tl_totals *totals)
{
	int64_t values[TL_METRIC_COUNT];

	board_values(totals, values);
	return board_add_values(board, row_idx, bin_idx, values);
}

/* Every fact of the org is of some member too, so a session that no row had is new to the org. */
enum tl_err
board_add_session(struct board *board, uint32_t row_idx, uint32_t session)
{
	struct visits_news news;
	enum tl_err err;

	err = visits_add(&board->sessions, board->base != NULL ? &board->base->sessions : NULL,
		row_idx, session, board->arena, &news);
	if (err || !news.is_new_pair)
		return err;
	board_own_row(board, row_idx)->session_count++;
	if (board->dim == TL_DIM_MEMBER && news.is_new_session)
		board_own_row(board, 0)->session_count++; /* add_org made it ours */
	return TL_OK;
}

/* One fact counts for one entity. */
static enum tl_err
add_fact(void *arg, uint64_t key, const struct tl_cell_row *fact)
{
	struct page_add *add = arg;
	struct board *board = add->board;
	struct board_row *row;
	uint32_t idx = 0;
	enum tl_err err;

	err = board_need_row(board, key, &idx);
	if (err)
		return err;
	row = board_own_row(board, idx);
	err = tl_totals_add(&row->totals, &fact->totals, 1);
	if (err)
		return err;
	if (fact->totals.requests != 0 && fact->last_ms > row->last_ms)
		row->last_ms = fact->last_ms;
	if (board->is_plain)
		return TL_OK;
	err = add_value(board, idx, add->bin_idx, &fact->totals);
	if (err || fact->totals.requests == 0 || fact->key.session == 0)
		return err;
	return board_add_session(board, idx, fact->key.session);
}

/* Rows and PRs of a page are both in the order of sessions: walk them side by side. */
static enum tl_err
each_pr(const struct tl_page *page, board_visit *visit, void *arg)
{
	uint32_t first = 0;
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < page->pr_count; i++) {
		uint32_t session = page->prs[i].session;
		uint64_t key = board_key_pr(page->prs[i].pr, false);

		while (first < page->row_count && page->rows[first].key.session < session)
			first++;
		for (uint32_t at = first;
			!err && at < page->row_count && page->rows[at].key.session == session; at++)
			err = visit(arg, key, &page->rows[at]);
		if (err)
			return err;
	}
	for (uint32_t i = 0; !err && i < page->split_count; i++) {
		/* A share is of no session, and has no time of its own. */
		struct tl_cell_row share = {
			.totals = page->splits[i].totals,
			.first_ms = INT64_MAX,
			.last_ms = INT64_MIN,
		};

		err = visit(arg, board_key_pr(page->splits[i].pr, true), &share);
	}
	return err;
}

/* Everything counts for the org: the page is summed first and added once. */
static enum tl_err
add_org(struct board *board, uint32_t bin_idx, const struct tl_page *page)
{
	struct tl_totals sum = {0};
	struct board_row *row;
	int64_t last_ms = INT64_MIN;
	uint32_t idx = 0;
	enum tl_err err;

	err = board_need_row(board, BOARD_KEY_ORG, &idx);
	for (uint32_t i = 0; !err && i < page->row_count; i++) {
		const struct tl_cell_row *fact = &page->rows[i];

		err = tl_totals_add(&sum, &fact->totals, 1);
		if (err || fact->totals.requests == 0)
			continue;
		if (fact->last_ms > last_ms)
			last_ms = fact->last_ms;
		if (board->dim == TL_DIM_ORG && !board->is_plain && fact->key.session != 0)
			err = board_add_session(board, idx, fact->key.session);
	}
	if (err)
		return err;
	row = board_own_row(board, idx);
	err = tl_totals_add(&row->totals, &sum, 1);
	if (last_ms > row->last_ms)
		row->last_ms = last_ms;
	if (err || board->is_plain)
		return err;
	return add_value(board, idx, bin_idx, &sum);
}

/* What a fact counts for besides the org; false: nothing. */
static bool
key_of(enum tl_dim dim, const struct tl_cell_key *fact, uint64_t *key_out)
{
	uint64_t key = 0;

	switch (dim) {
	case TL_DIM_MEMBER:
		*key_out = fact->member;
		return true;
	case TL_DIM_AGENT:
		key = fact->agent;
		break;
	case TL_DIM_MODEL:
		key = fact->model;
		break;
	case TL_DIM_REPO:
		key = fact->repo;
		break;
	case TL_DIM_SESSION:
		key = fact->session;
		break;
	case TL_DIM_ORG:
	case TL_DIM_PR:
		return false;
	}
	*key_out = key;
	return key != 0;
}

enum tl_err
board_each(enum tl_dim dim, const struct tl_page *page, board_visit *visit, void *arg)
{
	enum tl_err err = TL_OK;
	uint64_t key;

	if (dim == TL_DIM_PR)
		return each_pr(page, visit, arg);
	for (uint32_t i = 0; !err && i < page->row_count; i++) {
		if (key_of(dim, &page->rows[i].key, &key))
			err = visit(arg, key, &page->rows[i]);
	}
	return err;
}

enum tl_err
board_add_page(struct board *board, uint32_t bin_idx, const struct tl_page *page)
{
	struct page_add add = {.board = board, .bin_idx = bin_idx};
	enum tl_err err = TL_OK;

	if (board_has_org(board->dim))
		err = add_org(board, bin_idx, page);
	return err ? err : board_each(board->dim, page, add_fact, &add);
}

static enum tl_err
add_visited(void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why)
{
	enum tl_err err = board_add_page(arg, bin_idx, page);

	return err ? tl_fail(why, err, "a page cannot be summed: %s", tl_err_text(err)) : TL_OK;
}

enum tl_err
board_add(struct board *board, const struct query_scene *scene, const struct facts_ask *ask,
	struct tl_why *why)
{
	return facts_walk(scene, ask, add_visited, board, why);
}

void
board_spark(
	const struct board_row *row, enum tl_metric metric, uint32_t bin_count, int64_t *values_out)
{
	memset(values_out, 0, bin_count * sizeof(*values_out));
	if (row == NULL)
		return;
	for (const struct board_bin *bin = row->bins; bin != NULL; bin = bin->older) {
		assert(bin->bin_idx < bin_count);
		values_out[bin->bin_idx] += bin->value[metric];
	}
}

static size_t
packed_bytes(const struct board *board)
{
	size_t bytes = table_array_bytes(board->row_count, sizeof(*board->own)) +
		       table_array_bytes(board->direct_count, sizeof(*board->direct)) +
		       table_array_bytes(board->keys.slot_count, sizeof(*board->keys.slots)) +
		       visits_pack_bytes(&board->sessions);

	for (uint32_t i = 0; i < board->row_count; i++)
		bytes += table_array_bytes(board->own[i].bin_count, sizeof(struct board_bin));
	return bytes;
}

static enum tl_err
pack_bins(struct board_row *row, struct tl_arena *arena)
{
	uint32_t count = row->bin_count;
	struct board_bin *bins = tl_arena_array(arena, count, sizeof(*bins));
	uint32_t i = 0;

	if (bins == NULL)
		return TL_ENOMEM;
	for (const struct board_bin *bin = row->bins; bin != NULL; bin = bin->older) {
		bins[i] = *bin;
		bins[i].older = i + 1 < count ? &bins[i + 1] : NULL;
		i++;
	}
	row->bins = count > 0 ? bins : NULL;
	row->own_bin = NULL;
	return TL_OK;
}

enum tl_err
board_pack(const struct board *board, struct board *packed_out, struct tl_arena *arena_out)
{
	struct board packed = *board;
	struct tl_arena arena;
	enum tl_err err = TL_OK;

	assert(board->base == NULL);
	/* The ceiling is the size, so that the arena takes no more than it needs. */
	tl_arena_init(&arena, packed_bytes(board));
	packed.own = table_copy_array(&arena, board->own, board->row_count, sizeof(*board->own));
	packed.direct = table_copy_array(
		&arena, board->direct, board->direct_count, sizeof(*board->direct));
	packed.keys.slots = table_copy_array(
		&arena, board->keys.slots, board->keys.slot_count, sizeof(*board->keys.slots));
	if (packed.own == NULL || packed.direct == NULL || packed.keys.slots == NULL)
		err = TL_ENOMEM;
	if (!err)
		err = visits_pack(&board->sessions, &packed.sessions, &arena);
	for (uint32_t i = 0; !err && i < board->row_count; i++)
		err = pack_bins(&packed.own[i], &arena);
	if (err) {
		tl_arena_fini(&arena);
		return err;
	}
	packed.arena = NULL; /* nothing is added any more */
	packed.own_capacity = packed.own_count;
	*packed_out = packed;
	*arena_out = arena;
	return TL_OK;
}

static int
falling_cmp(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return (left < right) - (left > right);
}

enum tl_err
board_order(struct board *board, enum tl_metric metric, struct tl_arena *arena)
{
	int64_t *values = tl_arena_array(arena, board->row_count, sizeof(*values));
	uint32_t count = 0;

	assert(board->dim == TL_DIM_MEMBER);
	if (values == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < board->row_count; i++) {
		const struct board_row *row = board_row(board, i);

		if (row->key != BOARD_KEY_ORG && row->key != 0 && row->totals.requests > 0)
			values[count++] = tl_totals_value(&row->totals, metric);
	}
	if (count > 1)
		qsort(values, count, sizeof(*values), falling_cmp);
	board->falling[metric] = values;
	board->falling_count = count;
	return TL_OK;
}

uint32_t
board_rank(const struct board *board, enum tl_metric metric, int64_t value)
{
	const int64_t *values = board->falling[metric];
	uint32_t low = 0;
	uint32_t high = board->falling_count;

	assert(values != NULL);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (values[middle] > value)
			low = middle + 1;
		else
			high = middle;
	}
	return low + 1;
}
