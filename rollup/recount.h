/*
 * First and last cannot be subtracted: when a correction takes back the request that made one,
 * these ask the raw rows again. Rare and slow.
 */
#ifndef ROLLUP_RECOUNT_H
#define ROLLUP_RECOUNT_H

#include "rollup/fold.h"

/*
 * First and last of those rows of one quarter in the page of its hour, whose sessions are in
 * sessions, from the raw rows of the quarter's groups.
 */
TL_MUST enum tl_err recount_quarter(struct fold *fold, uint32_t org, int64_t quarter_no,
	const uint32_t *sessions, uint32_t session_count, struct tl_page *page, struct tl_why *why);

/* First and last of all rows of a day from its hours, after the step. */
TL_MUST enum tl_err recount_day(struct fold *fold, const struct tl_page_place *place,
	struct tl_page *page, struct tl_why *why);

/* First, last and who made the last request of a session, after the step. */
TL_MUST enum tl_err recount_session(
	struct fold *fold, struct session_touch *touch, struct tl_why *why);

#endif
