#include "schema/base/hash.h"

#include "schema/base/crypt.h"

void
tl_hash_key_make(struct tl_hash_key *key)
{
	tl_random(key, sizeof(*key));
}

static uint64_t
load_u64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint64_t
load_u32(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint64_t
mix(const struct tl_hash_key *key, uint64_t hash, uint64_t low, uint64_t high)
{
	return tl_fold_multiply(low ^ key->word[1], high ^ hash);
}

/* Up to 16 bytes, in words that may overlap: with their number they are all of them. */
static uint64_t
mix_short(const struct tl_hash_key *key, uint64_t hash, const uint8_t *at, size_t bytes)
{
	if (bytes >= 8)
		return mix(key, hash, load_u64(at), load_u64(at + bytes - 8));
	if (bytes >= 4)
		return mix(key, hash, load_u32(at), load_u32(at + bytes - 4));
	if (bytes == 0)
		return mix(key, hash, 0, 0);
	return mix(key, hash, at[0], (uint64_t)at[bytes / 2] << 8 | at[bytes - 1]);
}

uint64_t
tl_hash(const struct tl_hash_key *key, struct tl_slice data)
{
	const uint8_t *at = data.data;
	size_t left = data.bytes;
	uint64_t hash = key->word[0];

	for (; left > 16; at += 16, left -= 16)
		hash = mix(key, hash, load_u64(at), load_u64(at + 8));
	hash = mix_short(key, hash, at, left);
	return tl_fold_multiply(hash ^ key->word[2], data.bytes ^ key->word[3]);
}
