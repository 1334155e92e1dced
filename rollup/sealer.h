/*
 * The sealer: a slow thread of low priority that seals days when they are finished. A day is due
 * when it ended some hours ago and nothing arrived for an hour; again when something came later
 * and a day has passed without more, or when it can take no more. All of it can be ordered at once.
 */
#ifndef ROLLUP_SEALER_H
#define ROLLUP_SEALER_H

#include "rollup/seal.h"
#include "schema/base/clock_watch.h"
#include "schema/base/gate.h"

struct sealer_options {
	struct tl_store *store;
	struct tl_clock_watch *watch;
	const struct tl_gate *gate; /* closed: it waits */
	int64_t after_ms;	    /* from the end of a day to its sealing */
	int64_t accept_past_ms;	    /* how late events may come */
	void (*renew)(void *arg);   /* have the view published again, soon */
	void (*on_failure)(void *arg, enum tl_err err, const char *text); /* of a write */
	void *arg;
};

/* Since the start. Any thread. */
struct sealer_stats {
	_Atomic uint64_t runs, blocks, events;
	_Atomic uint64_t failures; /* days that could not be sealed; each is logged */
};

struct sealer;

TL_MUST enum tl_err sealer_start(
	const struct sealer_options *options, struct sealer **sealer_out, struct tl_why *why);

/*
 * Stop ends the thread after the run in progress, and lets an order end so too; free when whoever
 * ordered is done. NULL is fine.
 */
void sealer_stop(struct sealer *sealer);
void sealer_free(struct sealer *sealer);

const struct sealer_stats *sealer_stats_of(const struct sealer *sealer);

/* How far an order is. Any thread. */
struct sealer_progress {
	_Atomic uint64_t days_done, days_total;
};

/*
 * Seal every day that has ended, now; one at a time beside the thread. TL_ECLOCK_UNTRUSTED, the
 * gate's reason, TL_ESHUTTING_DOWN, or what a day could not be sealed for: those before it are.
 */
TL_MUST enum tl_err sealer_order(struct sealer *sealer, struct sealer_progress *progress,
	struct seal_counts *counts_out, struct tl_why *why);

#endif
