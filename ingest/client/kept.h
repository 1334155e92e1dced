/*
 * What the server has acknowledged, kept for a day in case it loses it: a disk that dies, a backup
 * that is put back. Every acknowledgement says how far the server is (epoch, seq); one that says
 * less than an earlier one comes from a server that has lost something, and then all that is kept
 * is sent again. What the server still has it knows by the ids.
 *
 *   dir/kept/0000000000000007   a batch as it lay in the spool; its mtime is when it was written
 *   dir/mark                    the last acknowledged position: "TSM1" | epoch be64 | seq be64 |
 * XXH3-64
 *
 * The mark is written without a sync: it is needed when the server loses data, not when this
 * machine loses power at the same time. Owned by whoever owns the spool.
 */
#ifndef CLIENT_KEPT_H
#define CLIENT_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/* How far the server was. Zero: nothing is known. */
struct kept_mark {
	uint64_t epoch, seq;
};

struct kept;

/* Opens what an earlier process kept. age_ms_max 0: nothing is kept from now on. */
TL_MUST enum tl_err kept_open(const char *dir, size_t bytes_max, int64_t age_ms_max,
	struct kept **kept_out, struct tl_why *why);
void kept_close(struct kept *kept);

/* The highest number there is, 0: none. */
uint64_t kept_last(const struct kept *kept);

/*
 * Take over the file of a batch, or remove it when nothing is kept. What is too old, or past
 * bytes_max, goes; not while everything is being sent again.
 */
void kept_take(struct kept *kept, const char *path, uint64_t number, bool resends);

/* The lowest number above after, read into batch. TL_EEND after the last; damaged files are passed
 * over. */
TL_MUST enum tl_err kept_next(struct kept *kept, uint64_t after, struct tl_buf *batch,
	uint64_t *number_out, uint32_t *event_count_out, struct tl_why *why);

struct kept_mark kept_mark_get(const struct kept *kept);
void kept_mark_set(struct kept *kept, struct kept_mark mark);

uint64_t kept_bytes(const struct kept *kept);

#endif
