/* The first few of many, without sorting the rest. */
#ifndef QUERY_FIRST_H
#define QUERY_FIRST_H

#include <stddef.h>
#include <stdint.h>

#define FIRST_ITEM_BYTES_MAX 128u

/*
 * Bring the first_count items that cmp puts first to the front; in which order they and the others
 * come out is left open.
 */
void first_select(void *items, uint32_t count, size_t item_bytes, uint32_t first_count,
	int (*cmp)(const void *a, const void *b));

#endif
