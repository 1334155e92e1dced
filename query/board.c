#include "query/board.h"

#include <assert.h>

#include "schema/model/money.h"

#define BOARD_ROWS_INITIAL 64u
#define BOARD_SET_INITIAL 256u

static bool
dim_has_org(enum tl_dim dim)
{
	return dim == TL_DIM_ORG || dim == TL_DIM_MEMBER;
}

static uint64_t
pair_of(uint32_t row_idx, uint32_t session)
{
	return (uint64_t)row_idx << 32 | session;
}

static bool
set_has(const struct board_set *set, uint64_t pair)
{
	uint64_t mask = (uint64_t)set->slot_count - 1;

	if (set->slot_count == 0)
		return false;
	for (uint64_t at = table_hash(pair, 0);; at++) {
		if (set->slots[at & mask] == pair)
			return true;
		if (set->slots[at & mask] == 0)
			return false;
	}
}

static void
set_place(struct board_set *set, uint64_t pair)
{
	uint64_t mask = (uint64_t)set->slot_count - 1;
	uint64_t at = table_hash(pair, 0);

	while (set->slots[at & mask] != 0)
		at++;
	set->slots[at & mask] = pair;
}

/* Put what is known to be absent. */
static enum tl_err
set_put(struct board_set *set, struct tl_arena *arena, uint64_t pair)
{
	struct board_set before = *set;

	if (((uint64_t)set->count + 1) * 2 > set->slot_count) {
		set->slot_count =
			before.slot_count == 0 ? BOARD_SET_INITIAL : before.slot_count * 2;
		set->slots = tl_arena_array(arena, set->slot_count, sizeof(*set->slots));
		if (set->slots == NULL) {
			*set = before;
			return TL_ENOMEM;
		}
		for (uint32_t i = 0; i < before.slot_count; i++) {
			if (before.slots[i] != 0)
				set_place(set, before.slots[i]);
		}
	}
	set_place(set, pair);
	set->count++;
	return TL_OK;
}

static bool
find_in(const struct board *board, uint64_t key, uint32_t *idx_out)
{
	uint64_t hash = table_hash(key, key >> 32);
	uint64_t at = hash;

	while (table_next(&board->keys, hash, &at, idx_out)) {
		if (board->rows[*idx_out].key == key)
			return true;
	}
	return board->base != NULL && find_in(board->base, key, idx_out);
}

const struct board_row *
board_find(const struct board *board, uint64_t key)
{
	uint32_t idx;

	return find_in(board, key, &idx) ? &board->rows[idx] : NULL;
}

static enum tl_err
make_room(struct board *board, uint32_t capacity)
{
	struct board_row *rows = tl_arena_array(board->arena, capacity, sizeof(*rows));

	if (rows == NULL)
		return TL_ENOMEM;
	if (board->row_count > 0)
		memcpy(rows, board->rows, board->row_count * sizeof(*rows));
	board->rows = rows;
	board->row_capacity = capacity;
	return TL_OK;
}

/* The row of a key, made when new. */
static enum tl_err
need_row(struct board *board, uint64_t key, uint32_t *idx_out)
{
	enum tl_err err = TL_OK;

	if (board->memo_key == key && board->memo_idx < board->row_count) {
		*idx_out = board->memo_idx;
		return TL_OK;
	}
	if (!find_in(board, key, idx_out)) {
		if (board->row_count == board->row_capacity)
			err = make_room(board, board->row_capacity * 2);
		if (!err)
			err = table_put(&board->keys, board->arena, table_hash(key, key >> 32),
				board->row_count);
		if (err)
			return err;
		*idx_out = board->row_count++;
		board->rows[*idx_out] = (struct board_row){.key = key, .last_ms = INT64_MIN};
	}
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
	if (base == NULL) {
		err = make_room(board, BOARD_ROWS_INITIAL);
		if (!err && dim_has_org(dim))
			err = need_row(board, BOARD_KEY_ORG, &idx);
		return err;
	}
	assert(base->dim == dim && base->is_plain == is_plain);
	err = make_room(board, base->row_count + BOARD_ROWS_INITIAL);
	if (err)
		return err;
	memcpy(board->rows, base->rows, base->row_count * sizeof(*board->rows));
	board->row_count = base->row_count;
	for (uint32_t i = 0; i < board->row_count; i++)
		board->rows[i].own_bin = NULL;
	return TL_OK;
}

static enum tl_err
add_value(struct board *board, struct board_row *row, uint32_t bin_idx,
	const struct tl_totals *totals)
{
	struct board_bin *bin = row->own_bin;
	bool fits = true;

	if (bin == NULL || bin->bin_idx != bin_idx) {
		bin = tl_arena_alloc(board->arena, sizeof(*bin));
		if (bin == NULL)
			return TL_ENOMEM;
		bin->older = row->bins;
		bin->bin_idx = bin_idx;
		row->bins = bin;
		row->own_bin = bin;
	}
	for (int metric = 0; metric < TL_METRIC_COUNT; metric++)
		fits &= tl_sum_add(
			&bin->value[metric], tl_totals_value(totals, (enum tl_metric)metric));
	return fits ? TL_OK : TL_EAMOUNT_OVERFLOW;
}

static enum tl_err
add_session(struct board *board, uint32_t row_idx, uint32_t session)
{
	uint64_t pair = pair_of(row_idx, session);
	enum tl_err err;

	for (const struct board *at = board; at != NULL; at = at->base) {
		if (set_has(&at->sessions, pair))
			return TL_OK;
	}
	err = set_put(&board->sessions, board->arena, pair);
	if (!err)
		board->rows[row_idx].session_count++;
	return err;
}

/* One fact counts for one entity. */
static enum tl_err
add_fact(struct board *board, uint64_t key, uint32_t bin_idx, const struct tl_cell_row *fact)
{
	struct board_row *row;
	uint32_t idx = 0;
	enum tl_err err;

	err = need_row(board, key, &idx);
	if (err)
		return err;
	row = &board->rows[idx];
	err = tl_totals_add(&row->totals, &fact->totals, 1);
	if (err)
		return err;
	if (fact->totals.requests != 0 && fact->last_ms > row->last_ms)
		row->last_ms = fact->last_ms;
	if (board->is_plain)
		return TL_OK;
	err = add_value(board, row, bin_idx, &fact->totals);
	if (err || fact->totals.requests == 0 || fact->key.session == 0)
		return err;
	return add_session(board, idx, fact->key.session);
}

static enum tl_err
add_split(struct board *board, uint32_t bin_idx, const struct tl_cell_split *split)
{
	uint32_t idx = 0;
	enum tl_err err;

	err = need_row(board, board_key_pr(split->pr, true), &idx);
	if (!err)
		err = tl_totals_add(&board->rows[idx].totals, &split->totals, 1);
	if (!err && !board->is_plain)
		err = add_value(board, &board->rows[idx], bin_idx, &split->totals);
	return err;
}

/* Rows and PRs of a page are both in the order of sessions: walk them side by side. */
static enum tl_err
add_prs(struct board *board, uint32_t bin_idx, const struct tl_page *page)
{
	uint32_t first = 0;
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < page->pr_count; i++) {
		uint32_t session = page->prs[i].session;

		while (first < page->row_count && page->rows[first].key.session < session)
			first++;
		for (uint32_t at = first;
			!err && at < page->row_count && page->rows[at].key.session == session; at++)
			err = add_fact(board, board_key_pr(page->prs[i].pr, false), bin_idx,
				&page->rows[at]);
		if (err)
			return err;
	}
	for (uint32_t i = 0; !err && i < page->split_count; i++)
		err = add_split(board, bin_idx, &page->splits[i]);
	return err;
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
board_add_page(struct board *board, uint32_t bin_idx, const struct tl_page *page)
{
	enum tl_err err = TL_OK;
	uint64_t key;

	if (board->dim == TL_DIM_PR)
		return add_prs(board, bin_idx, page);
	if (dim_has_org(board->dim)) {
		for (uint32_t i = 0; !err && i < page->row_count; i++)
			err = add_fact(board, BOARD_KEY_ORG, bin_idx, &page->rows[i]);
	}
	for (uint32_t i = 0; !err && i < page->row_count; i++) {
		if (key_of(board->dim, &page->rows[i].key, &key))
			err = add_fact(board, key, bin_idx, &page->rows[i]);
	}
	return err;
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
