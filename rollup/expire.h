/*
 * The end of a day: its raw family is dropped whole, its 1h cells go, quarters with them, and the
 * counters of what arrived on it; 1d cells stay for ever. The journal's oldest groups go a day
 * later, when all they name has gone. Sessions go 400 days after their last activity. The cut is
 * written before anything goes, so that what is missing can be told from what has expired.
 */
#ifndef ROLLUP_EXPIRE_H
#define ROLLUP_EXPIRE_H

#include "schema/base/clock_watch.h"
#include "schema/base/gate.h"
#include "schema/store/expiry.h"
#include "schema/store/value.h"

struct expire_counts {
	uint64_t days, cells, sessions;
	uint64_t intake; /* counters of arrival days */
	uint64_t groups; /* rows of the journal */
};

/*
 * Drop what is older than retention_days at now_ms, but at most one day that holds events: were the
 * clock wrong after all, little would be gone. What is left is for the next runs. The slow
 * thread's; safe beside the fold.
 */
TL_MUST enum tl_err expire_days(struct tl_store *store, int64_t now_ms, int64_t retention_days,
	struct expire_counts *counts_out, struct tl_why *why);

/*
 * The slow thread: expires once at its start, then every six hours, if the clock is trusted and the
 * gate open: room on the disk may be wanting. A failure is logged.
 */
struct expire;

TL_MUST enum tl_err expire_start(struct tl_store *store, struct tl_clock_watch *watch,
	const struct tl_gate *gate, int64_t retention_days, struct expire **expire_out,
	struct tl_why *why);

/* Ends after the expiry in progress. NULL is fine. */
void expire_stop(struct expire *expire);

/* The last thing that happened to a session; INT64_MIN when nothing did. */
int64_t expire_last_activity_ms(const struct tl_session_row *row);

/*
 * Between reading session rows and writing them back: a step of the fold holds this, and expire
 * while it deletes, so neither writes over what the other just did.
 */
void expire_hold(void);
void expire_release(void);

/* Rises whenever derived rows were deleted. Any thread. */
uint64_t expire_generation(void);

#endif
