/*
 * What the fold read or wrote lately, as stored bytes, so that a row that changes with every step
 * is not looked up in the store each time; and from which key on a family holds nothing of an org,
 * so that a new session or quarter is not looked up at all. Bounded: two halves, and when the young
 * one is full the old one is forgotten. The fold is the only writer of derived rows; who else
 * deletes some (expiry) says so by expire_generation.
 */
#ifndef ROLLUP_CACHE_H
#define ROLLUP_CACHE_H

#include "rollup/index.h"
#include "schema/store/key.h"
#include "schema/store/write.h"

struct cache_half {
	struct tl_arena arena;
	struct index index;
};

struct cache {
	struct tl_store *store;
	struct cache_half halves[2];
	int young;
	/* (family, org) -> the first number that no key of it reaches */
	struct tl_arena end_arena;
	struct index ends;
	bool began_empty;    /* the families held nothing when this began to be filled */
	uint64_t generation; /* of expiry, when this was filled */
};

/* Families whose keys are an org and a number. */
struct cache_key {
	enum tl_family family;
	uint32_t org;
	uint64_t no;   /* the rest of the key: session, bucket number, dimension and entity */
	uint32_t part; /* of a cell; else 0 */
	struct tl_key key;
};

void cache_init(struct cache *cache, struct tl_store *store);

/* Forget everything and hold no more than this from now on. */
void cache_bound(struct cache *cache, size_t half_bytes_max, size_t end_bytes_max);
void cache_fini(struct cache *cache);

/* Forget everything: after a failed step or an expiry. */
void cache_clear(struct cache *cache);

/* Forget everything and know that the derived families hold nothing. */
void cache_begin_empty(struct cache *cache);

/* Forget what an expiry since the last call may have deleted. */
void cache_check(struct cache *cache);

struct cache_key cache_key_session(uint32_t org, uint32_t session);
struct cache_key cache_key_page(const struct tl_page_place *place);
struct cache_key cache_key_life(uint32_t org, enum tl_dim dim, uint32_t entity);

/* The value as of the last put; valid until the next call. TL_ENOT_FOUND. */
TL_MUST enum tl_err cache_get(struct cache *cache, const struct cache_key *key, struct tl_buf *buf,
	struct tl_slice *value_out, struct tl_why *why);

/* Into write, and remembered. The write must be committed, or the cache cleared. */
void cache_put(struct cache *cache, const struct cache_key *key, struct tl_slice value,
	struct tl_write *write);
void cache_delete(struct cache *cache, const struct cache_key *key, struct tl_write *write);

#endif
