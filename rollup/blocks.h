/*
 * Raw blocks for the fold, one at a time. The days in use stay pinned until they are let go of at
 * the end of a step, so that an expired day does not hang on to its bytes while rollup is idle.
 */
#ifndef ROLLUP_BLOCKS_H
#define ROLLUP_BLOCKS_H

#include "schema/model/event.h"
#include "schema/store/block.h"
#include "schema/store/days.h"
#include "schema/store/journal.h"
#include "schema/store/sealed.h"

#define BLOCKS_DAYS_MAX 16u

struct blocks {
	struct tl_store *store;
	struct tl_day *days[BLOCKS_DAYS_MAX];
	uint32_t day_next;	  /* the place that is taken next */
	struct tl_sealed *sealed; /* made when first needed */
	struct tl_buf bytes;
	struct tl_arena arena; /* of the decoded block */
};

void blocks_init(struct blocks *blocks, struct tl_store *store);
void blocks_fini(struct blocks *blocks);

/*
 * Read and decode a block of a group; head and batch are valid until the next call. TL_EEND when
 * its day has expired. What is missing otherwise is TL_EACKED_DATA_MISSING.
 */
TL_MUST enum tl_err blocks_get(struct blocks *blocks, uint64_t group_no,
	const struct tl_journal_block *block, uint64_t column_mask, struct tl_block_head *head_out,
	struct tl_batch *batch_out, struct tl_why *why);

/* Unpin all days, and let go of what was read of sealed ones. */
void blocks_release(struct blocks *blocks);

/* Whether the family of the day is there. */
bool blocks_has_day(struct blocks *blocks, int64_t day_ms);

#endif
