/*
 * The auditor: one spot check after the other, for as long as the daemon runs, on a fiftieth of a
 * core at the most. First what was taken in last, since a start is when something may be missing.
 */
#ifndef ROLLUP_AUDITOR_H
#define ROLLUP_AUDITOR_H

#include "schema/base/gate.h"
#include "schema/store/view.h"

struct auditor_stats {
	_Atomic uint64_t checks, rows; /* hours and rows of their cells compared */
	_Atomic uint64_t mismatches;   /* hours that differ or cannot be read; each is logged */
};

struct auditor;

/* Pauses while the gate is closed. */
TL_MUST enum tl_err auditor_start(struct tl_store *store, const struct tl_gate *gate,
	struct auditor **auditor_out, struct tl_why *why);

/* Ends after the check in progress. NULL is fine. */
void auditor_stop(struct auditor *auditor);

const struct auditor_stats *auditor_stats_of(const struct auditor *auditor);

#endif
