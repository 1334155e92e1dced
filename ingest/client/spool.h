/*
 * A bounded backlog of encoded batches on disk: one file per batch, named by a rising number,
 * written beside and renamed, so a file is whole or not there. Removed when acknowledged. Owned by
 * one process (a lock file); one thread at a time.
 *
 *   file: "TSP1" | batch bytes be32 | event count be32 | XXH3-64 of the batch be64 | batch
 */
#ifndef CLIENT_SPOOL_H
#define CLIENT_SPOOL_H

#include <stdint.h>

#include "schema/base/bytes.h"

struct spool;

/* TL_ELOCKED when another process has it. Unfinished files are removed. */
TL_MUST enum tl_err spool_open(
	const char *dir, size_t bytes_max, struct spool **spool_out, struct tl_why *why);
void spool_close(struct spool *spool);

/* Make the batch durable. TL_EFULL past the bound. */
TL_MUST enum tl_err spool_put(struct spool *spool, struct tl_slice batch, uint32_t event_count,
	uint64_t *number_out, struct tl_why *why);

/* Acknowledged: remove. */
void spool_remove(struct spool *spool, uint64_t number);

/* Refused for good: moved to refused/ with the reply beside it, never deleted. */
void spool_refuse(struct spool *spool, uint64_t number, struct tl_slice reply);

/* The lowest number above after that is in the spool, read into batch. TL_EEND after the last. A
 * damaged file is moved to damaged/ and passed over; *damaged_out counts them. */
TL_MUST enum tl_err spool_next(struct spool *spool, uint64_t after, struct tl_buf *batch,
	uint64_t *number_out, uint32_t *event_count_out, uint32_t *damaged_out, struct tl_why *why);

uint64_t spool_bytes(const struct spool *spool);

#endif
