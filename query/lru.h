/*
 * What query keeps between requests, bounded in bytes, the least recently used goes first: whole
 * replies, and boards of the past of a window. Everything kept is immutable and counted, so nobody
 * holds the lock while reading. Any thread.
 */
#ifndef QUERY_LRU_H
#define QUERY_LRU_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/* The first member of everything kept. */
struct lru_value {
	void (*free)(struct lru_value *value);
	size_t bytes;
	uint32_t pin_count; /* guarded by the table's lock */
};

struct lru;

TL_MUST enum tl_err lru_new(size_t bytes_max, struct lru **lru_out);

/* No value may be pinned. NULL is fine. */
void lru_free(struct lru *lru);

/* The value of a key, pinned; NULL when there is none. */
struct lru_value *lru_get(struct lru *lru, struct tl_slice key);

/*
 * Keep a value under key instead of the one that is there. The caller's pin, which a new value
 * comes with (pin_count 1), stays the caller's. A value that does not fit is not kept.
 */
void lru_put(struct lru *lru, struct tl_slice key, struct lru_value *value);

/* NULL is fine. */
void lru_unpin(struct lru *lru, struct lru_value *value);

size_t lru_bytes(struct lru *lru);

#endif
