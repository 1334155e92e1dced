/*
 * What every target is: one function of bytes. libFuzzer calls it with what it makes up, replay.c
 * with the committed corpus. A target states its promises with assert, which stays on everywhere.
 *
 * Buffers and arenas of a target live as long as the process: what is called a million times a
 * minute must not spend them in malloc.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "schema/base/arena.h"
#include "schema/base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A zeroed static arena, emptied and with its ceiling. */
static inline struct tl_arena *
fuzz_arena(struct tl_arena *arena, size_t bytes_max)
{
	if (arena->bytes_max == 0)
		tl_arena_init(arena, bytes_max);
	tl_arena_reset(arena);
	return arena;
}

/* What is left of a cursor. */
static inline struct tl_slice
fuzz_rest(struct tl_cursor *cur)
{
	return tl_cursor_take(cur, tl_cursor_left(cur));
}

#endif
