/*
 * Chunks of growing size, newest first; an allocation is a step in the newest. The ceiling counts
 * what was handed out (rounded up to the alignment), and a chunk is never larger than what the
 * ceiling leaves, so the memory behind it stays bounded as well.
 */
#include "schema/base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_ALIGN alignof(max_align_t)
#define ARENA_CHUNK_BYTES_MIN 4096

struct tl_arena_chunk {
	struct tl_arena_chunk *older;
	size_t capacity;
	size_t used_bytes;
	alignas(max_align_t) uint8_t data[];
};

void
tl_arena_init(struct tl_arena *arena, size_t bytes_max)
{
	assert(bytes_max > 0);
	*arena = (struct tl_arena){.bytes_max = bytes_max};
}

/* Free the chunks and unlink them, all but keep. */
static void
free_chunks(struct tl_arena *arena, struct tl_arena_chunk *keep)
{
	struct tl_arena_chunk *chunk = arena->chunk;

	while (chunk) {
		struct tl_arena_chunk *older = chunk->older;

		if (chunk != keep)
			free(chunk);
		chunk = older;
	}
	arena->chunk = keep;
	arena->used_bytes = 0;
}

void
tl_arena_fini(struct tl_arena *arena)
{
	free_chunks(arena, NULL);
}

void
tl_arena_reset(struct tl_arena *arena)
{
	struct tl_arena_chunk *largest = arena->chunk;

	for (struct tl_arena_chunk *chunk = largest; chunk; chunk = chunk->older) {
		if (chunk->capacity > largest->capacity)
			largest = chunk;
	}
	free_chunks(arena, largest);
	if (largest) {
		largest->older = NULL;
		largest->used_bytes = 0;
	}
}

size_t
tl_arena_capacity(const struct tl_arena *arena)
{
	size_t capacity = 0;

	for (const struct tl_arena_chunk *chunk = arena->chunk; chunk; chunk = chunk->older)
		capacity += chunk->capacity;
	return capacity;
}

/* A chunk with room for bytes becomes the newest. Doubling lets the one kept at reset hold all. */
static bool
add_chunk(struct tl_arena *arena, size_t bytes)
{
	size_t left_bytes = arena->bytes_max - arena->used_bytes;
	size_t capacity = ARENA_CHUNK_BYTES_MIN;
	struct tl_arena_chunk *chunk;

	if (arena->chunk && arena->chunk->capacity <= SIZE_MAX / 2 &&
		capacity < arena->chunk->capacity * 2)
		capacity = arena->chunk->capacity * 2;
	if (capacity > left_bytes)
		capacity = left_bytes;
	if (capacity < bytes)
		capacity = bytes;
	if (capacity > SIZE_MAX - sizeof(*chunk))
		return false;
	chunk = malloc(sizeof(*chunk) + capacity);
	if (!chunk)
		return false;
	*chunk = (struct tl_arena_chunk){.older = arena->chunk, .capacity = capacity};
	arena->chunk = chunk;
	return true;
}

/* Memory as it was left, NULL past the ceiling or out of memory. */
static void *
take(struct tl_arena *arena, size_t bytes)
{
	struct tl_arena_chunk *chunk = arena->chunk;
	uint8_t *data;

	/* Nothing is one byte, so that NULL always means failure. */
	if (bytes == 0)
		bytes = 1;
	if (bytes > SIZE_MAX - ARENA_ALIGN)
		return NULL;
	bytes = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	if (bytes > arena->bytes_max - arena->used_bytes)
		return NULL;
	if (!chunk || bytes > chunk->capacity - chunk->used_bytes) {
		if (!add_chunk(arena, bytes))
			return NULL;
		chunk = arena->chunk;
	}
	data = chunk->data + chunk->used_bytes;
	chunk->used_bytes += bytes;
	arena->used_bytes += bytes;
	return data;
}

void *
tl_arena_alloc(struct tl_arena *arena, size_t bytes)
{
	void *data = take(arena, bytes);

	return data != NULL ? memset(data, 0, bytes) : NULL;
}

void *
tl_arena_array(struct tl_arena *arena, size_t count, size_t element_bytes)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, element_bytes, &bytes))
		return NULL;
	return tl_arena_alloc(arena, bytes);
}

void *
tl_arena_room(struct tl_arena *arena, size_t count, size_t element_bytes)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, element_bytes, &bytes))
		return NULL;
	return take(arena, bytes);
}

struct tl_slice
tl_arena_copy(struct tl_arena *arena, struct tl_slice slice)
{
	uint8_t *data = take(arena, slice.bytes);

	if (!data)
		return tl_slice_of(NULL, 0);
	if (slice.bytes > 0)
		memcpy(data, slice.data, slice.bytes);
	return tl_slice_of(data, slice.bytes);
}
