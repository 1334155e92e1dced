/*
 * How everybody of an org stands in the window: with a request in it in rank order, then those
 * without, then the invited. Only what a page shows, and what decides its ranks, is brought into
 * order.
 */
#ifndef QUERY_STANDING_H
#define QUERY_STANDING_H

#include "query/agents.h"
#include "schema/model/rank.h"

struct standing {
	struct query_job *job;
	const struct past_board *uses; /* tells last uses */
	const struct board *board;
	const struct board *before;  /* NULL: no longer stored */
	const struct board_row *org; /* all of it */
	const struct agents *agents;
	uint32_t count;			 /* of the whole list */
	struct tl_contender *contenders; /* idx: the member; ranked as far as the job's page goes */
	uint32_t contender_count;
};

/* As far as the job's caller may see; valid as long as the job. */
TL_MUST enum tl_err standing_read(
	struct query_job *job, struct standing *standing, struct tl_why *why);

/* Whether a row makes a member one with a rank. */
static inline bool
standing_is_used(const struct board_row *row)
{
	return row != NULL && row->totals.requests > 0;
}

#endif
