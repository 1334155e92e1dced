/*
 * Whether the daemon can take usage in and show it, condition by condition: what /readyz will ask.
 * A condition that is not met closes nothing by itself and ends nothing.
 */
#ifndef DEPLOY_READY_H
#define DEPLOY_READY_H

#include "ingest/ingest.h"
#include "query/query.h"
#include "rollup/auditor.h"
#include "rollup/rollup.h"
#include "schema/store/highwater.h"

struct ready;

struct ready_options {
	const char *data; /* the directory, for what an operator may type */
	struct tl_gate *gate;
	const struct tl_clock *clock;
	int64_t received_ms; /* when the store took its last group; 0: never */
};

/* Judges the clock by what the store received last, and logs when it is not believed. */
TL_MUST enum tl_err ready_new(const struct ready_options *options, struct ready **ready_out);
void ready_free(struct ready *ready);

struct tl_clock_watch *ready_watch(struct ready *ready);

/* The roles run. All but ingest are NULL while the store is open for reading only. */
void ready_attach(struct ready *ready, const struct ingest *ingest, const struct rollup *rollup,
	const struct auditor *auditor, struct tl_highwater *highwater);

/* They are about to end: from now on not ready, for this reason (static). NULL is fine. */
void ready_detach(struct ready *ready, const char *reason);

/* Once a second, main thread: judge the clock, measure how far the rollup is behind. */
void ready_tick(struct ready *ready);

/* query_options.on_health with a ready as arg. Any thread. */
void ready_tell(void *arg, struct query_health *health_out);

/* True when the writer thread has shown itself since the last time this was asked. Main thread. */
bool ready_is_writing(struct ready *ready);

#endif
