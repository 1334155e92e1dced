/*
 * How far the derived families go. A step writes the mark together with them, unsynced: a power cut
 * drops both, and the same groups are folded again.
 */
#ifndef ROLLUP_MARK_H
#define ROLLUP_MARK_H

#include "schema/store/value.h"
#include "schema/store/write.h"

/* Zero when there is none yet. */
TL_MUST enum tl_err mark_read(struct tl_store *store, struct tl_mark *mark_out, struct tl_why *why);

/* Into the write of a step; value is scratch. */
void mark_put(struct tl_write *write, const struct tl_mark *mark, struct tl_buf *value);

/*
 * Empty the derived families and set the mark to zero. No single write can do that, so a second
 * mark stands from the first write to the last: who finds it erases again (mark_finish_erasing).
 */
TL_MUST enum tl_err mark_erase_derived(
	struct tl_store *store, struct tl_write *write, struct tl_buf *value, struct tl_why *why);

/* Before the mark is read at open. */
TL_MUST enum tl_err mark_finish_erasing(
	struct tl_store *store, struct tl_write *write, struct tl_buf *value, struct tl_why *why);

#endif
