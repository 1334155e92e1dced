/*
 * A row that something was added to since stands elsewhere now: of the kept order those are left
 * out, and all of them are taken beside its first rows.
 */
#include "query/order.h"

#include <assert.h>
#include <stdlib.h>

struct place {
	int64_t values[2];
	uint32_t row_idx;
};

void
order_values(const struct board_row *row, uint32_t by, int64_t values_out[2])
{
	bool by_sessions = by == ORDER_BY_SESSIONS;

	values_out[0] = by_sessions ? (int64_t)row->session_count
				    : tl_totals_value(&row->totals, (enum tl_metric)by);
	values_out[1] = by_sessions ? tl_totals_tokens(&row->totals) : row->totals.requests;
}

static int
place_cmp(const void *a, const void *b)
{
	const struct place *left = a;
	const struct place *right = b;

	for (int i = 0; i < 2; i++) {
		if (left->values[i] != right->values[i])
			return left->values[i] > right->values[i] ? -1 : 1;
	}
	return 0;
}

static void
sort(const struct board *board, uint32_t by, struct place *places, uint32_t count, uint32_t *order)
{
	for (uint32_t i = 0; i < count; i++)
		order_values(board_row(board, places[i].row_idx), by, places[i].values);
	qsort(places, count, sizeof(*places), place_cmp);
	for (uint32_t i = 0; i < count; i++)
		order[i] = places[i].row_idx;
}

enum tl_err
order_make(struct board *board, struct tl_arena *arena)
{
	struct place *places = calloc((size_t)board->row_count + 1, sizeof(*places));
	uint32_t count = 0;
	enum tl_err err = places == NULL ? TL_ENOMEM : TL_OK;

	assert(board->base == NULL);
	for (uint32_t i = 0; !err && i < board->row_count; i++) {
		if (order_has(board, board_row(board, i)))
			places[count++].row_idx = i;
	}
	for (uint32_t by = 0; !err && by < BOARD_ORDERS; by++) {
		board->order[by] = tl_arena_array(arena, count, sizeof(*board->order[by]));
		if (board->order[by] == NULL)
			err = TL_ENOMEM;
		else
			sort(board, by, places, count, board->order[by]);
	}
	board->order_count = count;
	free(places);
	return err;
}

static bool
ties(const struct board *board, uint32_t by, uint32_t row_idx, uint32_t with_idx)
{
	int64_t values[2], with[2];

	order_values(board_row(board, row_idx), by, values);
	order_values(board_row(board, with_idx), by, with);
	return values[0] == with[0] && values[1] == with[1];
}

/* How far into the kept order a page of wanted rows has to look: to the last that ties with it. */
static uint32_t
find_end(const struct board *board, uint32_t by, uint64_t wanted)
{
	const uint32_t *order = board->base->order[by];
	uint32_t end = 0, last = 0;
	uint64_t taken = 0;

	for (; end < board->base->order_count; end++) {
		if (board_is_own(board, order[end]))
			continue;
		if (taken >= wanted && !ties(board, by, order[end], order[last]))
			break;
		last = end;
		taken++;
	}
	return end;
}

static void
take_all(const struct board *board, struct order_rows *out)
{
	for (uint32_t i = 0; i < board->row_count; i++) {
		const struct board_row *row = board_row(board, i);

		if (order_has(board, row))
			out->rows[out->count++] = row;
	}
	out->list_count = out->count;
}

static void
take_first(const struct board *board, uint32_t by, uint32_t end, struct order_rows *out)
{
	const struct board *base = board->base;

	for (uint32_t i = 0; i < end; i++) {
		if (!board_is_own(board, base->order[by][i]))
			out->rows[out->count++] = board_row(board, base->order[by][i]);
	}
	out->list_count = base->order_count;
	for (uint32_t i = 0; i < board->own_count; i++) {
		const struct board_row *row = &board->own[i];
		const struct board_row *before = board_find(base, row->key);

		if (before != NULL && order_has(base, before))
			out->list_count--;
		if (!order_has(board, row))
			continue;
		out->list_count++;
		out->rows[out->count++] = row;
	}
}

enum tl_err
order_first(const struct board *board, uint32_t by, uint64_t wanted, struct tl_arena *arena,
	struct order_rows *out)
{
	bool has_order = board->base != NULL && board->base->order[by] != NULL;
	uint32_t end = has_order ? find_end(board, by, wanted) : 0;
	size_t room = has_order ? (size_t)end + board->own_count : board->row_count;

	*out = (struct order_rows){.rows = tl_arena_array(arena, room, sizeof(struct board_row *))};
	if (out->rows == NULL)
		return TL_ENOMEM;
	if (has_order)
		take_first(board, by, end, out);
	else
		take_all(board, out);
	return TL_OK;
}
