/*
 * What runs inside tallyd: the store and the three roles, started in order and stopped in reverse.
 * All of it belongs to the main thread.
 */
#ifndef DEPLOY_ROLES_H
#define DEPLOY_ROLES_H

#include "deploy/tallyd_settings.h"
#include "schema/base/counter.h"

struct roles;

struct roles_options {
	const struct tallyd_settings *settings; /* lives as long as the roles */
	const char *mark_path;			/* likewise */
	/* what main counts, for whoever asks for figures */
	const struct tl_counter *reloads, *failed_reloads;
};

TL_MUST enum tl_err roles_new(const struct roles_options *options, struct roles **roles_out);

/* Not while they run. */
void roles_free(struct roles *roles);

/*
 * Open the data and listen. Without room on the disk the store is open for reading only and intake
 * refuses. On failure the process ends, with nothing stopped: nothing was acknowledged.
 */
TL_MUST enum tl_err roles_start(struct roles *roles, struct tl_why *why);

/*
 * What was taken in is committed, acknowledged and folded before the store closes; they may be
 * started again after. reason (static) is what is said to whoever asks meanwhile. Ends the process
 * when storage failed: a store that did is never closed.
 */
void roles_stop(struct roles *roles, const char *reason);

/* Once a second: ends the process when storage failed, feeds the watchdog while the writer moves.
 */
void roles_tick(struct roles *roles);

/* True when the store is open for reading only and there is room by now to open it for writing. */
bool roles_have_room(const struct roles *roles);

/* Settings that change while they run. */
void roles_reload(struct roles *roles);

/* Counters to the log. */
void roles_report(const struct roles *roles);

#endif
