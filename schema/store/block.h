/*
 * One day's events of one group as columns (schema/README.md 3.3). Who and what they are about is
 * written once for all rows that have it in common (origin.h), costs as differences (rates.h).
 */
#ifndef TL_STORE_BLOCK_H
#define TL_STORE_BLOCK_H

#include "schema/base/bytes.h"
#include "schema/model/event.h"

#define TL_BLOCK_VERSION 3
#define TL_BLOCK_ID_BYTES 16

struct tl_block_head {
	uint32_t row_count;
	int64_t received_ms; /* arrival of the group */
	int64_t ts_ms_min, ts_ms_max;
	int64_t cost_nusd; /* sum of sign x known cost */
};

/* Append rows row_idx[0..row_count) of batch (dense ids) as one block. TL_EAMOUNT_OVERFLOW. */
TL_MUST enum tl_err tl_block_encode(const struct tl_batch *batch, const uint32_t *row_idx,
	uint32_t row_count, int64_t received_ms, struct tl_buf *buf);

/* The head alone, without the checksum. TL_ESTORAGE_CORRUPT. */
TL_MUST enum tl_err tl_block_head(struct tl_slice block, struct tl_block_head *head_out);

#define TL_BLOCK_ALL_COLUMNS (~0ULL)

/*
 * Verify the checksum and decode the columns whose bit is set in column_mask (and all ids, and with
 * costs the tokens they follow from) into batch, which is initialised here on the arena.
 * TL_ESTORAGE_CORRUPT, TL_ENOMEM.
 */
TL_MUST enum tl_err tl_block_decode(struct tl_slice block, uint64_t column_mask,
	struct tl_arena *arena, struct tl_block_head *head_out, struct tl_batch *batch_out);

/* Rows of an org with a ts in a range, its ends included. */
struct tl_block_pick {
	uint32_t org;
	int64_t from_ms, last_ms;
};

/* tl_block_decode of these rows alone, in their order; maybe of none. */
TL_MUST enum tl_err tl_block_pick(struct tl_slice block, uint64_t column_mask,
	const struct tl_block_pick *pick, struct tl_arena *arena, struct tl_block_head *head_out,
	struct tl_batch *batch_out);

#endif
