/*
 * The rollup thread: follows the journal by group number, folds blocks into cells, sessions and
 * lives, and writes them with the new mark in one write; then publishes the view. It never looks
 * at the clock to decide what to fold: derived = f(raw), so deleting it and folding again gives
 * the same bytes.
 */
#ifndef ROLLUP_ROLLUP_H
#define ROLLUP_ROLLUP_H

#include "schema/base/counter.h"
#include "schema/store/view.h"

struct rollup;

struct rollup_stats {
	struct tl_counter folded_groups, folded_rows, writes, written_bytes;
	struct tl_histogram fold_us;
	_Atomic uint64_t group_no, seq; /* the mark */
};

/* Reads the mark and publishes the first view. No thread yet. */
TL_MUST enum tl_err rollup_new(
	struct tl_store *store, struct rollup **rollup_out, struct tl_why *why);
void rollup_free(struct rollup *rollup);

/*
 * Before the first step: about how much it may have at hand, the sums of a step and the rows it
 * keeps. Less memory makes smaller steps; the bytes it writes are the same. A single group is taken
 * whole, whatever its size.
 */
void rollup_bound(struct rollup *rollup, size_t bytes_max);

/*
 * Fold what the journal has after the mark, up to group_no_max, at most a bounded amount, write and
 * publish. *folded_out tells whether there was anything. The thread's body, and the tests' handle.
 */
TL_MUST enum tl_err rollup_step(
	struct rollup *rollup, uint64_t group_no_max, bool *folded_out, struct tl_why *why);

/* Publishes the view a daemon would begin with, of a store that is open for reading only. */
TL_MUST enum tl_err rollup_publish_as_found(struct tl_store *store, struct tl_why *why);

/* Start the thread. on_failure is called once, at its end, when storage fails or is damaged. */
TL_MUST enum tl_err rollup_start(struct rollup *rollup,
	void (*on_failure)(void *arg, enum tl_err err, const char *text), void *arg,
	struct tl_why *why);

/* A group was committed. Any thread. */
void rollup_wake(struct rollup *rollup, uint64_t group_no);

/*
 * A flush point begins: how far the derived rows are, all of which it will have. It ended well: a
 * start has no need of the steps before. One thread.
 */
uint64_t rollup_flush_begins(struct rollup *rollup);
void rollup_flush_ended(struct rollup *rollup);

/*
 * Publish the view again, soon, as far as it is: readers come to see what was sealed, and what was
 * deleted can leave the disk. Any thread.
 */
void rollup_renew(struct rollup *rollup);

/* While paused, steps and rebuilds wait: nothing derived is written. Any thread. */
void rollup_pause(struct rollup *rollup, bool is_paused);

/* Ends the thread after the step in progress. */
void rollup_stop(struct rollup *rollup);

/*
 * Erase the derived families and fold everything again; readers keep the view they have until it
 * has caught up. Runs on the rollup thread at its next turn (or in the caller when no thread was
 * started) and waits for the end.
 */
TL_MUST enum tl_err rollup_rebuild(struct rollup *rollup, struct tl_why *why);

const struct rollup_stats *rollup_stats_of(const struct rollup *rollup);

#endif
