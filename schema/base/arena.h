/* A bump allocator with a ceiling, reset as a whole: one per message in, one per request out. */
#ifndef TL_BASE_ARENA_H
#define TL_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "schema/base/bytes.h"

struct tl_arena {
	struct tl_arena_chunk *chunk; /* newest first */
	size_t used_bytes;	      /* of all chunks, alignment included */
	size_t bytes_max;
};

void tl_arena_init(struct tl_arena *arena, size_t bytes_max);
void tl_arena_fini(struct tl_arena *arena);

/* Everything handed out becomes invalid; one chunk of memory is kept. */
void tl_arena_reset(struct tl_arena *arena);

/* The memory behind it, handed out or not. */
size_t tl_arena_capacity(const struct tl_arena *arena);

/* Zeroed memory aligned for anything, NULL past the ceiling or out of memory. */
void *tl_arena_alloc(struct tl_arena *arena, size_t bytes);

/* An array of count zeroed elements; NULL also when the product overflows. */
void *tl_arena_array(struct tl_arena *arena, size_t count, size_t element_bytes);

/* The same with whatever was there before, for who writes all of it. */
void *tl_arena_room(struct tl_arena *arena, size_t count, size_t element_bytes);

/* A copy that lives in the arena; data is NULL when there was no room. */
struct tl_slice tl_arena_copy(struct tl_arena *arena, struct tl_slice slice);

#endif
