/*
 * How far the derived families go. A step writes the mark together with them, unsynced: a power cut
 * drops both, and the same groups are folded again. The same write holds a row of the step itself,
 * which stays until a flush point: when a log is lost and what came after it is not, steps are
 * missing, and what they wrote with them.
 */
#ifndef ROLLUP_MARK_H
#define ROLLUP_MARK_H

#include "schema/store/value.h"
#include "schema/store/write.h"

/* Stands while the derived families are erased. */
#define MARK_ERASING "rollup.erasing"

/* The families that are a function of the others. */
extern const enum tl_family mark_derived[];
extern const size_t mark_derived_count;

/* Zero when there is none yet. */
TL_MUST enum tl_err mark_read(struct tl_store *store, struct tl_mark *mark_out, struct tl_why *why);

/* The mark of the step after before: rows of steps older than first_step_no go. */
struct tl_mark mark_next(
	const struct tl_mark *before, uint64_t group_no, uint64_t seq, uint64_t first_step_no);

/* Into the write of the step that leads from before to mark; value is scratch. */
void mark_put(struct tl_write *write, const struct tl_mark *before, const struct tl_mark *mark,
	struct tl_buf *value);

/* Whether every step has its row that should have one. */
TL_MUST enum tl_err mark_is_whole(
	struct tl_store *store, const struct tl_mark *mark, bool *whole_out, struct tl_why *why);

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
