/*
 * The journal: one row per group, dense numbers from 1, each row's checksum chained to the row
 * before. What rollup follows and what the hole check at open walks.
 */
#ifndef TL_STORE_JOURNAL_H
#define TL_STORE_JOURNAL_H

#include "schema/base/arena.h"
#include "schema/store/view.h"
#include "schema/store/write.h"

/* One block of the group. */
struct tl_journal_block {
	int64_t day_ms;
	uint16_t block_no;
	uint32_t row_count;
	int64_t cost_nusd;
};

struct tl_journal_row {
	uint64_t group_no;
	uint64_t epoch;
	uint64_t seq_first; /* sequence number of the group's first row */
	uint64_t seq_last;  /* of its last; seq_first - 1 when the group has no rows */
	int64_t received_ms;
	int64_t cost_nusd; /* sum over blocks */
	struct tl_journal_block *blocks;
	uint32_t block_count;
	uint64_t chain; /* XXH3-64 of (previous chain, this row's bytes) */
};

/* Fills row->chain from previous_chain, then appends the bytes. */
void tl_journal_encode(struct tl_journal_row *row, uint64_t previous_chain, struct tl_buf *buf);
TL_MUST enum tl_err tl_journal_decode(uint64_t group_no, struct tl_slice bytes,
	struct tl_arena *arena, struct tl_journal_row *row_out);

/* True when row's chain follows from previous_chain and its content. */
TL_MUST bool tl_journal_chained(const struct tl_journal_row *row, uint64_t previous_chain);

/*
 * The number of the oldest row; TL_ENOT_FOUND in an empty store. It is 1 until the front of the
 * journal expires with its days.
 */
TL_MUST enum tl_err tl_journal_first(
	struct tl_store *store, uint64_t *group_no_out, struct tl_why *why);

/* The newest row; TL_ENOT_FOUND in an empty store. */
TL_MUST enum tl_err tl_journal_last(struct tl_store *store, struct tl_arena *arena,
	struct tl_journal_row *row_out, struct tl_why *why);

/*
 * Walk rows from group_no on to the newest: visit returns TL_OK to go on, TL_EEND to stop there
 * (the walk is TL_OK then), anything else to fail with it. Numbers must be dense and chained: a
 * hole or a broken chain is TL_EACKED_DATA_MISSING with the numbers in why. When the row before
 * group_no is gone, the first is taken as it is. The row is valid during the visit only.
 */
TL_MUST enum tl_err tl_journal_walk(struct tl_store *store, uint64_t group_no,
	enum tl_err (*visit)(void *arg, const struct tl_journal_row *row, struct tl_why *why),
	void *arg, struct tl_why *why);

#endif
