/*
 * The hash of tables in memory that strangers fill. It is keyed with random words that never leave
 * the process, and so must no hash and nothing that tells an order of slots: without them nobody
 * can choose keys that meet. Under that condition folded multiplies are enough, at a quarter of
 * SipHash's price; what is shown to anybody is hashed by tl_siphash.
 */
#ifndef TL_BASE_HASH_H
#define TL_BASE_HASH_H

#include "schema/base/bytes.h"

struct tl_hash_key {
	uint64_t word[4];
};

void tl_hash_key_make(struct tl_hash_key *key);

/* All 64 bits are good. */
uint64_t tl_hash(const struct tl_hash_key *key, struct tl_slice data);

/* Both halves of the product; each bit of it hangs on all of a and b. */
static inline uint64_t
tl_fold_multiply(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
