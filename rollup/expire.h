/*
 * The end of a day: its raw family is dropped whole, its 15m and 1h cells go; 1d cells stay for
 * ever. Sessions go 400 days after their last activity. The cut is written before anything goes, so
 * that what is missing can be told from what has expired.
 */
#ifndef ROLLUP_EXPIRE_H
#define ROLLUP_EXPIRE_H

#include "schema/base/clock.h"
#include "schema/base/gate.h"
#include "schema/store/expiry.h"
#include "schema/store/value.h"

struct expire_counts {
	uint64_t days, cells, sessions;
};

/* Drop what is older than retention_days at now_ms. The slow thread's; safe beside the fold. */
TL_MUST enum tl_err expire_days(struct tl_store *store, int64_t now_ms, int64_t retention_days,
	struct expire_counts *counts_out, struct tl_why *why);

/*
 * The slow thread: expires once at its start, then every six hours, and waits while the gate is
 * closed: for room on the disk, and for a clock that can be trusted. A failure is logged.
 */
struct expire;

TL_MUST enum tl_err expire_start(struct tl_store *store, const struct tl_clock *clock,
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
