/*
 * Sealing: the blocks of a finished day are written again as runs (schema/README.md 3.17). Beside
 * the expiry of days this is the only code that deletes raw rows: one synced batch puts a run and
 * deletes exactly the blocks whose rows it holds.
 */
#ifndef ROLLUP_SEAL_H
#define ROLLUP_SEAL_H

#include "schema/store/days.h"

struct seal;

struct seal_counts {
	uint64_t days, runs, blocks, events;
};

TL_MUST enum tl_err seal_new(struct tl_store *store, struct seal **seal_out);
void seal_free(struct seal *seal);

/*
 * Make runs of the day's blocks of groups up to group_no_max, oldest first; adds to *counts. Takes
 * some 40 MB meanwhile, whatever the day's size. Before each run go_on is asked (NULL: always);
 * when it says no: TL_ESHUTTING_DOWN. The blocks leave the disk when no view sees them any more and
 * the day is compacted (tl_day_compact), which is left to the caller.
 *
 * TL_ESTORAGE_CORRUPT, TL_EACKED_DATA_MISSING: a block is not what the journal says, or what was
 * encoded does not decode to the same rows; that run changed nothing. TL_EIO is of the write: what
 * is durable then is not known.
 */
TL_MUST enum tl_err seal_day(struct seal *seal, struct tl_day *day, uint64_t group_no_max,
	bool (*go_on)(void *arg), void *arg, struct seal_counts *counts, struct tl_why *why);

#endif
