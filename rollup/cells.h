/* The pages that a step changes: 15m, and from what changed there 1h and 1d. */
#ifndef ROLLUP_CELLS_H
#define ROLLUP_CELLS_H

#include "rollup/fold.h"

/* Put every page. The keys of the deltas are complete and the sessions settled. */
TL_MUST enum tl_err cells_fold(struct fold *fold, struct tl_why *why);

/* The row of key in a sorted page, or NULL. */
const struct tl_cell_row *cells_row(const struct tl_page *page, const struct tl_cell_key *key);

#endif
