/*
 * A run: the rows of consecutive blocks of a finished day as one piece, sorted by (org, member, ts,
 * group, row) and cut into chunks. schema/README.md 3.17 has the bytes.
 */
#ifndef TL_STORE_RUN_H
#define TL_STORE_RUN_H

#include "schema/store/block.h"

#define TL_RUN_ROWS_MAX 65536u /* so that a row's place in its run is 16 bits */
#define TL_RUN_CHUNK_ROWS 4096u
#define TL_RUN_CHUNKS_MAX (TL_RUN_ROWS_MAX / TL_RUN_CHUNK_ROWS)

/* A block that went into the run. */
struct tl_run_group {
	uint64_t group_no;
	int64_t received_ms;
	uint32_t row_count;
	uint16_t block_no;
};

/* Every chunk but the last has TL_RUN_CHUNK_ROWS rows. */
struct tl_run_chunk {
	uint32_t row_count;
	uint32_t org_first, org_last;
	int64_t time_ms_min, time_ms_max; /* the times the rows count at */
};

struct tl_run {
	struct tl_run_group *groups; /* rising; at least one */
	uint32_t group_count;
	struct tl_run_chunk *chunks;
	uint32_t chunk_count;
	uint32_t row_count;
	int64_t cost_nusd;  /* sum of sign x known cost */
	uint8_t id_xor[16]; /* of all rows */
};

void tl_run_encode(const struct tl_run *run, struct tl_buf *buf);

/* Lists are the arena's. TL_ESTORAGE_CORRUPT, TL_ENOMEM. */
TL_MUST enum tl_err tl_run_decode(
	struct tl_slice bytes, struct tl_arena *arena, struct tl_run *run_out);

uint64_t tl_run_group_last(const struct tl_run *run);

/* NULL when the run has no rows of the group. */
const struct tl_run_group *tl_run_find(const struct tl_run *run, uint64_t group_no);

/* Rows of a chunk; group_idx: row -> place in the run's groups. */
struct tl_chunk {
	struct tl_batch batch;
	const int64_t *group_idx;
	int64_t cost_nusd;
};

/* The arrival of a row. */
static inline int64_t
tl_chunk_received_ms(const struct tl_run *run, const struct tl_chunk *chunk, uint32_t row_idx)
{
	return run->groups[chunk->group_idx[row_idx]].received_ms;
}

/* Append rows row_idx[0..row_count) of batch; group_idx is by row of the batch. */
TL_MUST enum tl_err tl_chunk_encode(const struct tl_batch *batch, const int64_t *group_idx,
	const uint32_t *row_idx, uint32_t row_count, int64_t received_ms, struct tl_buf *buf);

/* Columns as in tl_block_decode; no group_idx is group_count or above. */
TL_MUST enum tl_err tl_chunk_decode(struct tl_slice bytes, uint32_t group_count,
	uint64_t column_mask, struct tl_arena *arena, struct tl_chunk *chunk_out);

#endif
