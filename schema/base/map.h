/*
 * A hash table from byte strings to 64-bit values, with a bound; its hash is keyed per table so
 * that strangers cannot choose collisions.
 */
#ifndef TL_BASE_MAP_H
#define TL_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/bytes.h"

struct tl_map;

TL_MUST enum tl_err tl_map_new(size_t count_max, struct tl_map **map_out);
void tl_map_free(struct tl_map *map);

/* Forget all keys, keep the memory. */
void tl_map_clear(struct tl_map *map);

/* True and *value_out when the key is there. */
bool tl_map_get(const struct tl_map *map, struct tl_slice key, uint64_t *value_out);

/* Copies the key. Replaces the value of a present key. TL_EFULL at count_max, TL_ENOMEM. */
TL_MUST enum tl_err tl_map_put(struct tl_map *map, struct tl_slice key, uint64_t value);

/* Returns whether the key was there. */
bool tl_map_remove(struct tl_map *map, struct tl_slice key);

size_t tl_map_count(const struct tl_map *map);

/*
 * Walk in no particular order: start with *cursor = 0, false at the end. The key is valid until
 * the next put or remove.
 */
bool tl_map_next(
	const struct tl_map *map, size_t *cursor, struct tl_slice *key_out, uint64_t *value_out);

#endif
