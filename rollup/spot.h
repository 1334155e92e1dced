/*
 * A spot check: one hour of one org counted again from raw and compared with its cells. The small
 * form of an audit: cheap enough to go on for ever beside the work. It says nothing of sessions,
 * lives, pull requests and the repos that links give; those are for the whole audit.
 */
#ifndef ROLLUP_SPOT_H
#define ROLLUP_SPOT_H

#include "schema/base/arena.h"
#include "schema/store/view.h"

struct spot {
	struct tl_store *store;
	struct tl_arena arena;	     /* of the hour in hand */
	struct tl_arena block_arena; /* of the block in hand */
};

struct spot_hour {
	uint32_t org;
	int64_t hour_ms;
};

struct spot_report {
	uint32_t rows;	      /* compared */
	char difference[200]; /* "" when there is none */
};

void spot_init(struct spot *spot, struct tl_store *store);
void spot_fini(struct spot *spot);

/*
 * The org and hour of a random event, or of one of those taken in last: where more is used, more is
 * looked at. TL_EEND when the place that was tried holds nothing (any more).
 */
TL_MUST enum tl_err spot_pick(struct spot *spot, const struct tl_view *view, bool is_recent,
	struct spot_hour *hour_out, struct tl_why *why);

/*
 * TL_OK also when there is a difference. TL_EEND when the day has expired, or the hour has more
 * rows than memory for them.
 */
TL_MUST enum tl_err spot_check(struct spot *spot, const struct tl_view *view,
	const struct spot_hour *hour, struct spot_report *report_out, struct tl_why *why);

#endif
