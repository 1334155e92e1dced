/* The total order of a leaderboard: value descending, ties share a rank, names break them. */
#ifndef TL_MODEL_RANK_H
#define TL_MODEL_RANK_H

#include <stdint.h>

#include "schema/base/bytes.h"

/* One contender. Those that are not ranked (no request in the window) come after all ranked. */
struct tl_contender {
	int64_t value;
	struct tl_slice name; /* breaks ties, byte order, ascending */
	uint32_t idx;	      /* the caller's */
	uint32_t rank;	      /* filled: 1, 1, 3; 0 when not ranked */
	uint8_t tier;	      /* 0 ranked; 1, 2 .. listed after, in this order, without rank */
};

/* Sort by tier, then value descending, then name, and fill rank. */
void tl_rank(struct tl_contender *contenders, size_t count);

/* "gold", "silver", "bronze" for ranks 1..3 with a value above 0, else NULL. */
const char *tl_rank_badge(uint32_t rank, int64_t value);

#endif
