/*
 * What query keeps between requests, bounded in bytes, the least recently used goes first: whole
 * replies, and boards of the past of a window. Everything kept is immutable and counted, so nobody
 * holds the lock while reading. Any thread.
 */
#ifndef QUERY_CACHE_H
#define QUERY_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/* The first member of everything kept. */
struct cache_value {
	void (*free)(struct cache_value *value);
	size_t bytes;
	uint32_t pin_count; /* guarded by the cache's lock */
};

struct cache;

TL_MUST enum tl_err cache_new(size_t bytes_max, struct cache **cache_out);

/* No value may be pinned. NULL is fine. */
void cache_free(struct cache *cache);

/* The value of a key, pinned; NULL when there is none. */
struct cache_value *cache_get(struct cache *cache, struct tl_slice key);

/*
 * Keep a value under key instead of the one that is there. The caller's pin, which a new value
 * comes with (pin_count 1), stays the caller's. A value that does not fit is not kept.
 */
void cache_put(struct cache *cache, struct tl_slice key, struct cache_value *value);

/* NULL is fine. */
void cache_unpin(struct cache *cache, struct cache_value *value);

size_t cache_bytes(struct cache *cache);

#endif
