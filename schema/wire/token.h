/*
 * One msgpack token: the head of a value and, for what is no container, the value itself. The only
 * code that knows the type bytes of what comes in; inline because every byte of every event goes
 * through it.
 */
#ifndef TL_WIRE_TOKEN_H
#define TL_WIRE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "schema/base/bytes.h"
#include "schema/wire/reader.h"

#define TL_TOKEN_NIL 0xc0
#define TL_TOKEN_ARRAY 0x90 /* with a count below 16 in it */
#define TL_TOKEN_ARRAY_16 0xdc
#define TL_TOKEN_ARRAY_32 0xdd

struct tl_token {
	enum tl_wire_type type;
	bool is_wide;	       /* an unsigned integer above int64; number is INT64_MAX */
	int64_t number;	       /* of INT; 0 or 1 of BOOL; pairs of MAP, elements of ARRAY */
	double real;	       /* of FLOAT */
	struct tl_slice bytes; /* of STR, BIN and EXT, valid as long as the input is */
};

/* The big-endian integer of 1, 2, 4 or 8 bytes at a place known to hold it. */
static inline uint64_t
tl_token_be(const uint8_t *at, size_t width)
{
	uint16_t two;
	uint32_t four;
	uint64_t eight;

	if (width == 1)
		return *at;
	if (width == 2) {
		memcpy(&two, at, sizeof(two));
		return __builtin_bswap16(two);
	}
	if (width == 4) {
		memcpy(&four, at, sizeof(four));
		return __builtin_bswap32(four);
	}
	memcpy(&eight, at, sizeof(eight));
	return __builtin_bswap64(eight);
}

/* The helpers take the place after the type byte and return the place after the token, or NULL. */
static inline const uint8_t *
tl_token_unsigned(const uint8_t *at, const uint8_t *end, size_t width, struct tl_token *token)
{
	uint64_t value;

	if ((size_t)(end - at) < width)
		return NULL;
	value = tl_token_be(at, width);
	token->type = TL_WIRE_INT;
	token->is_wide = value > INT64_MAX;
	token->number = token->is_wide ? INT64_MAX : (int64_t)value;
	return at + width;
}

static inline const uint8_t *
tl_token_signed(const uint8_t *at, const uint8_t *end, size_t width, struct tl_token *token)
{
	uint64_t value;

	if ((size_t)(end - at) < width)
		return NULL;
	value = tl_token_be(at, width);
	token->type = TL_WIRE_INT;
	if (width == 1)
		token->number = (int8_t)value;
	else if (width == 2)
		token->number = (int16_t)value;
	else if (width == 4)
		token->number = (int32_t)value;
	else
		token->number = (int64_t)value;
	return at + width;
}

static inline const uint8_t *
tl_token_real(const uint8_t *at, const uint8_t *end, size_t width, struct tl_token *token)
{
	uint64_t bits;
	uint32_t narrow_bits;
	float narrow;

	if ((size_t)(end - at) < width)
		return NULL;
	bits = tl_token_be(at, width);
	token->type = TL_WIRE_FLOAT;
	if (width == sizeof(narrow)) {
		narrow_bits = (uint32_t)bits;
		memcpy(&narrow, &narrow_bits, sizeof(narrow));
		token->real = (double)narrow;
	} else {
		memcpy(&token->real, &bits, sizeof(bits));
	}
	return at + width;
}

static inline const uint8_t *
tl_token_count(const uint8_t *at, const uint8_t *end, size_t width, enum tl_wire_type type,
	struct tl_token *token)
{
	if ((size_t)(end - at) < width)
		return NULL;
	token->type = type;
	token->number = (int64_t)tl_token_be(at, width);
	return at + width;
}

static inline const uint8_t *
tl_token_payload(const uint8_t *at, const uint8_t *end, size_t payload_bytes,
	enum tl_wire_type type, struct tl_token *token)
{
	if ((size_t)(end - at) < payload_bytes)
		return NULL;
	token->type = type;
	token->bytes = tl_slice_of(at, payload_bytes);
	return at + payload_bytes;
}

/* A length of width bytes, skip bytes, the payload. */
static inline const uint8_t *
tl_token_sequence(const uint8_t *at, const uint8_t *end, size_t width, size_t skip,
	enum tl_wire_type type, struct tl_token *token)
{
	if ((size_t)(end - at) < width + skip)
		return NULL;
	return tl_token_payload(
		at + width + skip, end, (size_t)tl_token_be(at, width), type, token);
}

/*
 * Read the token at a place. Returns where the next one begins, or NULL when this one runs past
 * the end or is the byte 0xc1. Of token only what its type says is set.
 */
static inline const uint8_t *
tl_token_read(const uint8_t *at, const uint8_t *end, struct tl_token *token)
{
	uint8_t head;

	if (at == end)
		return NULL;
	head = *at++;
	token->is_wide = false;
	if (head < 0x80 || head >= 0xe0) {
		token->type = TL_WIRE_INT;
		token->number = (int8_t)head;
		return at;
	}
	if (head < 0xa0) {
		token->type = head < 0x90 ? TL_WIRE_MAP : TL_WIRE_ARRAY;
		token->number = head & 15;
		return at;
	}
	if (head < 0xc0)
		return tl_token_payload(at, end, head & 31, TL_WIRE_STR, token);
	switch (head) {
	case TL_TOKEN_NIL:
		token->type = TL_WIRE_NIL;
		return at;
	case 0xc2:
	case 0xc3:
		token->type = TL_WIRE_BOOL;
		token->number = head & 1;
		return at;
	case 0xc4:
		return tl_token_sequence(at, end, 1, 0, TL_WIRE_BIN, token);
	case 0xc5:
		return tl_token_sequence(at, end, 2, 0, TL_WIRE_BIN, token);
	case 0xc6:
		return tl_token_sequence(at, end, 4, 0, TL_WIRE_BIN, token);
	case 0xc7:
		return tl_token_sequence(at, end, 1, 1, TL_WIRE_EXT, token);
	case 0xc8:
		return tl_token_sequence(at, end, 2, 1, TL_WIRE_EXT, token);
	case 0xc9:
		return tl_token_sequence(at, end, 4, 1, TL_WIRE_EXT, token);
	case 0xca:
		return tl_token_real(at, end, 4, token);
	case 0xcb:
		return tl_token_real(at, end, 8, token);
	case 0xcc:
		return tl_token_unsigned(at, end, 1, token);
	case 0xcd:
		return tl_token_unsigned(at, end, 2, token);
	case 0xce:
		return tl_token_unsigned(at, end, 4, token);
	case 0xcf:
		return tl_token_unsigned(at, end, 8, token);
	case 0xd0:
		return tl_token_signed(at, end, 1, token);
	case 0xd1:
		return tl_token_signed(at, end, 2, token);
	case 0xd2:
		return tl_token_signed(at, end, 4, token);
	case 0xd3:
		return tl_token_signed(at, end, 8, token);
	case 0xd4: /* ext of 1, 2, 4, 8 or 16 bytes, each after its type */
	case 0xd5:
	case 0xd6:
	case 0xd7:
	case 0xd8:
		return tl_token_payload(
			at, end, 1 + ((size_t)1 << (head - 0xd4)), TL_WIRE_EXT, token);
	case 0xd9:
		return tl_token_sequence(at, end, 1, 0, TL_WIRE_STR, token);
	case 0xda:
		return tl_token_sequence(at, end, 2, 0, TL_WIRE_STR, token);
	case 0xdb:
		return tl_token_sequence(at, end, 4, 0, TL_WIRE_STR, token);
	case TL_TOKEN_ARRAY_16:
		return tl_token_count(at, end, 2, TL_WIRE_ARRAY, token);
	case TL_TOKEN_ARRAY_32:
		return tl_token_count(at, end, 4, TL_WIRE_ARRAY, token);
	case 0xde:
		return tl_token_count(at, end, 2, TL_WIRE_MAP, token);
	case 0xdf:
		return tl_token_count(at, end, 4, TL_WIRE_MAP, token);
	}
	return NULL;
}

/*
 * What the first byte of a token says about its size, for walking, and for numbers and text without
 * a branch on it: what senders count varies in width from one event to the next, and a mispredicted
 * branch costs more than all else about it.
 */
struct tl_token_head {
	bool is_plain; /* the size of the whole token is bytes + (second byte & length_mask) */
	uint8_t bytes;
	uint8_t length_mask;
	bool is_count;	/* an unsigned integer */
	bool is_text;	/* text shorter than 256 bytes */
	uint8_t skip;	/* where its number or text begins */
	uint8_t shift;	/* bits behind the number in the 8 bytes from there */
	uint8_t unused; /* makes it 8 bytes: an index is a shift */
};

/* Hidden: reached without a detour, also from a shared library. */
extern const struct tl_token_head tl_token_heads[256] __attribute__((visibility("hidden")));

/* What tl_token_counted looks at. */
#define TL_TOKEN_COUNTED_BYTES 9

/* The number of a token that is_count, at a place with TL_TOKEN_COUNTED_BYTES readable bytes. */
static inline uint64_t
tl_token_counted(const struct tl_token_head *head, const uint8_t *at)
{
	return tl_token_be(at + head->skip, 8) >> head->shift;
}

/* Values that follow the token before the value it begins is complete. */
static inline uint64_t
tl_token_children(const struct tl_token *token)
{
	if (token->type == TL_WIRE_ARRAY)
		return (uint64_t)token->number;
	return token->type == TL_WIRE_MAP ? (uint64_t)token->number * 2 : 0;
}

/*
 * The place after the token here, or NULL, and the values it announces added to *owed. What
 * tl_token_read does, for who only walks.
 */
static inline const uint8_t *
tl_token_step(const uint8_t *at, const uint8_t *end, uint64_t *owed)
{
	struct tl_token token;

	if (end - at >= 2 && (*at & 0xe0) == 0xa0) {
		size_t bytes = 1 + (size_t)(*at & 31);

		return bytes <= (size_t)(end - at) ? at + bytes : NULL;
	}
	if (end - at >= 2 && tl_token_heads[*at].is_plain) {
		const struct tl_token_head *head = &tl_token_heads[*at];
		size_t bytes = (size_t)head->bytes + (at[1] & head->length_mask);

		return bytes <= (size_t)(end - at) ? at + bytes : NULL;
	}
	at = tl_token_read(at, end, &token);
	if (at != NULL)
		*owed += tl_token_children(&token);
	return at;
}

/* The place after the whole value that begins here, or NULL. Walks containers, never recurses. */
const uint8_t *tl_token_skip(const uint8_t *at, const uint8_t *end);

#endif
