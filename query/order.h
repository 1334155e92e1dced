/*
 * The used rows of a kept board in the orders of the lists that show them. A page then needs the
 * first of an order and what came to the board since, not a look at every row.
 */
#ifndef QUERY_ORDER_H
#define QUERY_ORDER_H

#include "query/board.h"

/* What a list is ordered by: a metric, or this. */
#define ORDER_BY_SESSIONS ((uint32_t)TL_METRIC_COUNT)

/* Whether a row becomes a card: with a request in the window, and not shares of a PR. */
static inline bool
order_has(const struct board *board, const struct board_row *row)
{
	return row->totals.requests > 0 &&
	       (board->dim != TL_DIM_PR || (row->key & BOARD_KEY_SPLIT) == 0);
}

/* What places a row, both falling (SPEC 3.9, 9.18); names break ties. */
void order_values(const struct board_row *row, uint32_t by, int64_t values_out[2]);

/* Fill the orders of a board that stands on nothing. */
TL_MUST enum tl_err order_make(struct board *board, struct tl_arena *arena);

/*
 * The rows that may be among the first wanted of a list, in no order, and how many the whole list
 * has. Without a base with orders these are all. In arena.
 */
struct order_rows {
	const struct board_row **rows;
	uint32_t count;
	uint32_t list_count;
};

TL_MUST enum tl_err order_first(const struct board *board, uint32_t by, uint64_t wanted,
	struct tl_arena *arena, struct order_rows *out);

#endif
