/*
 * A past UTC day of an org by one dimension, small enough to keep: the day's totals of each entity,
 * and quarter by quarter its values. Whatever zone cuts the day, and wherever, a sum over its parts
 * needs no page.
 */
#ifndef QUERY_DAYSUM_H
#define QUERY_DAYSUM_H

#include "query/board.h"
#include "query/lru.h"

/* Whether a day that is not kept yet is worth summing; one that was asked for before is. */
enum daysum_use {
	DAYSUM_IF_KEPT,
	DAYSUM_MAKE,
};

/*
 * board_add, but days that are over come from their kept sums where that is possible. Needs a
 * cache; everything of everybody (no only_member).
 */
TL_MUST enum tl_err daysum_add(struct board *board, const struct query_scene *scene,
	const struct facts_ask *ask, enum daysum_use use, struct tl_why *why);

#endif
