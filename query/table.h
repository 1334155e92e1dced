/*
 * A hash table from 64-bit hashes to 32-bit indexes in an arena: nothing to free, nothing a
 * stranger can aim at, since ids are dense numbers that we gave out. The caller compares.
 */
#ifndef QUERY_TABLE_H
#define QUERY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schema/base/arena.h"

struct table_slot {
	uint64_t hash; /* 0: free */
	uint32_t idx;
};

struct table {
	struct table_slot *slots;
	uint32_t slot_count; /* a power of two, or 0 */
	uint32_t count;
};

/* Dense ids differ in their low bits only: spread them. Never 0. */
static inline uint64_t
table_hash(uint64_t a, uint64_t b)
{
	uint64_t hash = a * UINT64_C(0x9e3779b97f4a7c15) ^ b * UINT64_C(0xc2b2ae3d27d4eb4f);

	hash ^= hash >> 32;
	hash *= UINT64_C(0xd6e8feb86659fd93);
	hash ^= hash >> 29;
	return hash | 1;
}

/* The next candidate: start with *at = hash. What has the same hash may still be another thing. */
static inline bool
table_next(const struct table *table, uint64_t hash, uint64_t *at, uint32_t *idx_out)
{
	uint64_t mask = (uint64_t)table->slot_count - 1;

	if (table->slot_count == 0)
		return false;
	for (;; (*at)++) {
		const struct table_slot *slot = &table->slots[*at & mask];

		if (slot->hash == 0)
			return false;
		if (slot->hash == hash) {
			(*at)++;
			*idx_out = slot->idx;
			return true;
		}
	}
}

static inline void
table_place(struct table *table, uint64_t hash, uint32_t idx)
{
	uint64_t mask = (uint64_t)table->slot_count - 1;
	uint64_t at = hash;

	while (table->slots[at & mask].hash != 0)
		at++;
	table->slots[at & mask] = (struct table_slot){.hash = hash, .idx = idx};
}

/* Put what is known to be absent. The slots left behind by growing stay in the arena. */
TL_MUST static inline enum tl_err
table_put(struct table *table, struct tl_arena *arena, uint64_t hash, uint32_t idx)
{
	struct table before = *table;

	if (((uint64_t)table->count + 1) * 2 > table->slot_count) {
		table->slot_count = before.slot_count == 0 ? 64 : before.slot_count * 2;
		table->slots = tl_arena_array(arena, table->slot_count, sizeof(*table->slots));
		if (table->slots == NULL) {
			*table = before;
			return TL_ENOMEM;
		}
		for (uint32_t i = 0; i < before.slot_count; i++) {
			if (before.slots[i].hash != 0)
				table_place(table, before.slots[i].hash, before.slots[i].idx);
		}
	}
	table_place(table, hash, idx);
	table->count++;
	return TL_OK;
}

/* What tl_arena_array takes of its arena for an array. */
static inline size_t
table_array_bytes(size_t count, size_t element_bytes)
{
	size_t align = _Alignof(max_align_t);
	size_t bytes = count * element_bytes;

	return bytes == 0 ? align : (bytes + align - 1) / align * align;
}

/* NULL without memory. */
static inline void *
table_copy_array(struct tl_arena *arena, const void *array, size_t count, size_t element_bytes)
{
	void *copy = tl_arena_array(arena, count, element_bytes);

	if (copy != NULL && count > 0)
		memcpy(copy, array, count * element_bytes);
	return copy;
}

#endif
