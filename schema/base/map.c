/*
 * Open addressing with linear probing: a slot holds hash and value, and where its key lies in one
 * growing store of bytes. Removal shifts the run behind it back, so there are no tombstones;
 * bytes of removed keys stay in the store until it is full and then copied without them.
 */
#include "schema/base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "schema/base/hash.h"

#define MAP_SLOTS_MIN 16
#define MAP_KEY_BYTES_MIN 256
/* Set in every hash that is stored, so that 0 is an empty slot. */
#define MAP_HASH_USED (UINT64_C(1) << 63)

struct map_slot {
	uint64_t hash; /* 0: empty */
	uint64_t value;
	size_t key_at;
	size_t key_bytes;
};

struct tl_map {
	struct tl_hash_key hash_key;
	size_t count_max;
	size_t count;
	struct map_slot *slots;
	size_t slot_count; /* a power of two, or 0 before the first put */
	uint8_t *keys;
	size_t keys_capacity;
	size_t keys_bytes;	/* written so far */
	size_t keys_live_bytes; /* of those, of keys that are present */
};

enum tl_err
tl_map_new(size_t count_max, struct tl_map **map_out)
{
	struct tl_map *map = calloc(1, sizeof(*map));

	if (!map)
		return TL_ENOMEM;
	map->count_max = count_max;
	tl_hash_key_make(&map->hash_key);
	*map_out = map;
	return TL_OK;
}

void
tl_map_free(struct tl_map *map)
{
	if (!map)
		return;
	free(map->slots);
	free(map->keys);
	free(map);
}

void
tl_map_clear(struct tl_map *map)
{
	if (map->count > 0)
		memset(map->slots, 0, map->slot_count * sizeof(*map->slots));
	map->count = 0;
	map->keys_bytes = 0;
	map->keys_live_bytes = 0;
}

static uint64_t
hash_of(const struct tl_map *map, struct tl_slice key)
{
	return tl_hash(&map->hash_key, key) | MAP_HASH_USED;
}

static struct tl_slice
key_of(const struct tl_map *map, const struct map_slot *slot)
{
	return tl_slice_of(map->keys ? map->keys + slot->key_at : NULL, slot->key_bytes);
}

/* The slot that holds the key, or the empty one where it belongs. There is always an empty one. */
static struct map_slot *
find_slot(const struct tl_map *map, uint64_t hash, struct tl_slice key)
{
	size_t mask = map->slot_count - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		struct map_slot *slot = &map->slots[i];

		if (slot->hash == 0)
			return slot;
		if (slot->hash == hash && tl_slice_eq(key_of(map, slot), key))
			return slot;
	}
}

/* Twice the slots. They keep their hashes, so no key is read. */
static enum tl_err
grow_slots(struct tl_map *map)
{
	size_t slot_count = map->slot_count > 0 ? map->slot_count * 2 : MAP_SLOTS_MIN;
	size_t mask = slot_count - 1;
	struct map_slot *slots = calloc(slot_count, sizeof(*slots));

	if (!slots)
		return TL_ENOMEM;
	for (size_t i = 0; i < map->slot_count; i++) {
		size_t to = map->slots[i].hash & mask;

		if (map->slots[i].hash == 0)
			continue;
		while (slots[to].hash != 0)
			to = (to + 1) & mask;
		slots[to] = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->slot_count = slot_count;
	return TL_OK;
}

/* Copy the present keys into a store of capacity bytes; the old one is the caller's to free. */
static enum tl_err
move_keys(struct tl_map *map, size_t capacity, uint8_t **keys_before_out)
{
	uint8_t *keys = malloc(capacity);
	size_t at = 0;

	if (!keys)
		return TL_ENOMEM;
	for (size_t i = 0; i < map->slot_count; i++) {
		struct map_slot *slot = &map->slots[i];

		if (slot->hash == 0 || slot->key_bytes == 0)
			continue;
		memcpy(keys + at, map->keys + slot->key_at, slot->key_bytes);
		slot->key_at = at;
		at += slot->key_bytes;
	}
	assert(at == map->keys_live_bytes);
	*keys_before_out = map->keys;
	map->keys = keys;
	map->keys_capacity = capacity;
	map->keys_bytes = at;
	return TL_OK;
}

/*
 * Append the key. A full store moves into one at most half full, so the copying stays linear; the
 * old one is freed last because key may lie in it.
 */
static enum tl_err
store_key(struct tl_map *map, struct tl_slice key, size_t *key_at_out)
{
	uint8_t *keys_before = NULL;
	enum tl_err err;

	if (!map->keys || key.bytes > map->keys_capacity - map->keys_bytes) {
		size_t capacity;

		if (__builtin_add_overflow(map->keys_live_bytes, key.bytes, &capacity) ||
			__builtin_mul_overflow(capacity, (size_t)2, &capacity))
			return TL_ENOMEM;
		if (capacity < MAP_KEY_BYTES_MIN)
			capacity = MAP_KEY_BYTES_MIN;
		err = move_keys(map, capacity, &keys_before);
		if (err)
			return err;
	}
	*key_at_out = map->keys_bytes;
	if (key.bytes > 0)
		memcpy(map->keys + map->keys_bytes, key.data, key.bytes);
	map->keys_bytes += key.bytes;
	map->keys_live_bytes += key.bytes;
	free(keys_before);
	return TL_OK;
}

bool
tl_map_get(const struct tl_map *map, struct tl_slice key, uint64_t *value_out)
{
	const struct map_slot *slot;

	if (map->count == 0)
		return false;
	slot = find_slot(map, hash_of(map, key), key);
	if (slot->hash == 0)
		return false;
	*value_out = slot->value;
	return true;
}

enum tl_err
tl_map_put(struct tl_map *map, struct tl_slice key, uint64_t value)
{
	uint64_t hash = hash_of(map, key);
	struct map_slot *slot;
	size_t key_at = 0;
	enum tl_err err;

	if (map->count > 0) {
		slot = find_slot(map, hash, key);
		if (slot->hash != 0) {
			slot->value = value;
			return TL_OK;
		}
	}
	if (map->count >= map->count_max)
		return TL_EFULL;
	/* Three quarters full: beyond that the runs of linear probing get long. */
	if (map->count + 1 > map->slot_count / 4 * 3) {
		err = grow_slots(map);
		if (err)
			return err;
	}
	/* The place is free whatever happens to the keys: moving them moves no slot. */
	slot = find_slot(map, hash, key);
	err = store_key(map, key, &key_at);
	if (err)
		return err;
	*slot = (struct map_slot){
		.hash = hash, .value = value, .key_at = key_at, .key_bytes = key.bytes};
	map->count++;
	return TL_OK;
}

/* Close the gap: a later slot of the run moves into it unless its own place lies behind it. */
static void
shift_back(struct tl_map *map, size_t gap)
{
	size_t mask = map->slot_count - 1;

	for (size_t i = (gap + 1) & mask; map->slots[i].hash != 0; i = (i + 1) & mask) {
		size_t home = map->slots[i].hash & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		map->slots[gap] = map->slots[i];
		gap = i;
	}
	map->slots[gap] = (struct map_slot){0};
}

bool
tl_map_remove(struct tl_map *map, struct tl_slice key)
{
	struct map_slot *slot;

	if (map->count == 0)
		return false;
	slot = find_slot(map, hash_of(map, key), key);
	if (slot->hash == 0)
		return false;
	map->keys_live_bytes -= slot->key_bytes;
	map->count--;
	shift_back(map, (size_t)(slot - map->slots));
	return true;
}

size_t
tl_map_count(const struct tl_map *map)
{
	return map->count;
}

bool
tl_map_next(const struct tl_map *map, size_t *cursor, struct tl_slice *key_out, uint64_t *value_out)
{
	for (size_t i = *cursor; i < map->slot_count; i++) {
		const struct map_slot *slot = &map->slots[i];

		if (slot->hash == 0)
			continue;
		*cursor = i + 1;
		*key_out = key_of(map, slot);
		*value_out = slot->value;
		return true;
	}
	*cursor = map->slot_count;
	return false;
}
