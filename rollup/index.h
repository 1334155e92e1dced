/*
 * A hash index of pointers for the length of one step: open addressing in the step's arena, so
 * there is nothing to clear and nothing to free. The caller hashes and compares.
 */
#ifndef ROLLUP_INDEX_H
#define ROLLUP_INDEX_H

#include <stdint.h>

#include "schema/base/arena.h"

#define INDEX_SLOTS_INITIAL 256u

struct index_slot {
	uint64_t hash; /* 0: free */
	void *what;
};

struct index {
	struct index_slot *slots;
	uint32_t slot_count; /* a power of two, or 0 */
	uint32_t count;
};

/* Ids are dense and given out in order, so their bits need spreading. Never 0. */
static inline uint64_t
index_hash(uint64_t a, uint64_t b)
{
	uint64_t hash = a * UINT64_C(0x9e3779b97f4a7c15) ^ b * UINT64_C(0xc2b2ae3d27d4eb4f);

	hash ^= hash >> 32;
	hash *= UINT64_C(0xd6e8feb86659fd93);
	hash ^= hash >> 29;
	return hash | 1;
}

/*
 * The next candidate with this hash: start with *at = hash, NULL when there is none left. What it
 * returns may be another thing with the same hash.
 */
static inline void *
index_next(const struct index *index, uint64_t hash, uint64_t *at)
{
	uint64_t mask;

	if (index->slot_count == 0)
		return NULL;
	mask = index->slot_count - 1;
	for (;; (*at)++) {
		const struct index_slot *slot = &index->slots[*at & mask];

		if (slot->hash == 0)
			return NULL;
		if (slot->hash == hash) {
			(*at)++;
			return slot->what;
		}
	}
}

static inline void
index_place(struct index *index, uint64_t hash, void *what)
{
	uint64_t mask = index->slot_count - 1;
	uint64_t at = hash;

	while (index->slots[at & mask].hash != 0)
		at++;
	index->slots[at & mask] = (struct index_slot){.hash = hash, .what = what};
}

/* Put what is known to be absent. The table left behind by growing stays in the arena. */
TL_MUST static inline enum tl_err
index_put(struct index *index, struct tl_arena *arena, uint64_t hash, void *what)
{
	struct index before = *index;

	if ((index->count + 1) * 2 > index->slot_count) {
		index->slot_count =
			before.slot_count == 0 ? INDEX_SLOTS_INITIAL : before.slot_count * 2;
		index->slots = tl_arena_array(arena, index->slot_count, sizeof(*index->slots));
		if (index->slots == NULL) {
			*index = before;
			return TL_ENOMEM;
		}
		for (uint32_t i = 0; i < before.slot_count; i++) {
			if (before.slots[i].hash != 0)
				index_place(index, before.slots[i].hash, before.slots[i].what);
		}
	}
	index_place(index, hash, what);
	index->count++;
	return TL_OK;
}

#endif
