/*
 * Unsigned numbers of so many bits each, side by side in the order of their places, the lowest bit
 * first: number i begins at bit i x width. Any of them is read without those before it.
 */
#ifndef TL_STORE_PACKED_H
#define TL_STORE_PACKED_H

#include <endian.h>

#include "schema/base/bytes.h"

/* Widths are 0 to 56, and 64: a number of up to 56 bits lies in eight bytes, wherever it begins. */
#define TL_PACKED_WIDTH_MAX 64u
#define TL_PACKED_WORD_BITS 56u

/* The width that takes a number of so many bits. */
static inline uint32_t
tl_packed_width(uint32_t bits)
{
	return bits > TL_PACKED_WORD_BITS ? TL_PACKED_WIDTH_MAX : bits;
}

/* The bits of a number without leading zeros. */
static inline uint32_t
tl_packed_bits(uint64_t number)
{
	return number == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(number);
}

static inline uint64_t
tl_packed_mask(uint32_t width)
{
	return width == 0 ? 0 : UINT64_MAX >> (64 - width);
}

static inline uint64_t
tl_packed_bytes(uint32_t count, uint32_t width)
{
	return ((uint64_t)count * width + 7) / 8;
}

/* How far tl_packed_put writes past the last byte that counts. */
#define TL_PACKED_SLACK_BYTES 8u

/* The low bits of each number. Room: tl_packed_bytes and the slack. */
void tl_packed_put(uint8_t *at, const uint64_t *numbers, uint32_t count, uint32_t width);

/* packed begins with tl_packed_bytes of them; what is behind is not looked at, but helps. */
void tl_packed_take(struct tl_slice packed, uint32_t width, uint64_t *numbers_out, uint32_t count);

/* The one at a place; packed has it. */
static inline uint64_t
tl_packed_get(struct tl_slice packed, uint32_t width, uint32_t idx)
{
	uint64_t bit = (uint64_t)idx * width;
	size_t left = packed.bytes - bit / 8;
	uint64_t word = 0;

	if (left >= sizeof(word))
		memcpy(&word, packed.data + bit / 8, sizeof(word));
	else
		memcpy(&word, packed.data + bit / 8, left);
	return le64toh(word) >> bit % 8 & tl_packed_mask(width);
}

#endif
