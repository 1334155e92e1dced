/*
 * A bounded backlog of encoded batches on disk: one file per batch, named by a rising number,
 * written beside and renamed, so a file is whole or not there. Removed when acknowledged. Owned by
 * one process (a lock file); one thread at a time.
 *
 *   file: "TSP1" | batch bytes be32 | event count be32 | XXH3-64 of the batch be64 | batch
 */
#ifndef CLIENT_SPOOL_H
#define CLIENT_SPOOL_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include "ingest/client/kept.h"
#include "schema/base/bytes.h"
#include "schema/model/limits.h"

/* The name of a file, from its number. */
#define SPOOL_NAME "%016" PRIx64

#define SPOOL_HEAD_BYTES 20u
#define SPOOL_FILE_BYTES_MAX (SPOOL_HEAD_BYTES + TL_FRAME_BYTES_MAX)

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

/* Acknowledged: handed to kept. */
void spool_keep(struct spool *spool, uint64_t number, struct kept *kept, bool resends);

/*
 * Refused for good: moved to refused/ with the reply beside it. Past SPOOL_REFUSED_BYTES_MAX the
 * oldest there goes; *dropped counts it.
 */
#define SPOOL_REFUSED_BYTES_MAX ((uint64_t)64 << 20)
void spool_refuse(struct spool *spool, uint64_t number, struct tl_slice reply, uint64_t *dropped);

/* Refused in part: there, and still here. */
void spool_refuse_part(
	struct spool *spool, uint64_t number, struct tl_slice reply, uint64_t *dropped);

/* The lowest number above after that is in the spool, read into batch. TL_EEND after the last. A
 * damaged file is moved to damaged/ and passed over; *damaged_out counts them. */
TL_MUST enum tl_err spool_next(struct spool *spool, uint64_t after, struct tl_buf *batch,
	uint64_t *number_out, uint32_t *event_count_out, uint32_t *damaged_out, struct tl_why *why);

uint64_t spool_bytes(const struct spool *spool);

/* True for the name of a whole batch, here or in one of the folders. */
bool spool_name_parse(const char *name, uint64_t *number_out);

/* One file into batch, by way of content; TL_ESTORAGE_CORRUPT when it is not what was put. */
TL_MUST enum tl_err spool_file_read(const char *path, struct tl_buf *content, struct tl_buf *batch,
	uint32_t *event_count_out, struct tl_why *why);

/* True when the content of a file is a batch as it was put. Split out for fuzzing. */
TL_MUST bool spool_content_parse(
	struct tl_slice content, struct tl_slice *batch_out, uint32_t *event_count_out);

#endif
