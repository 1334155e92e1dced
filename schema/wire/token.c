#include "schema/wire/token.h"

#define SIZED(size)                             \
	{                                       \
		.is_plain = true, .bytes = size \
	}
#define LENGTH_8(size)                                               \
	{                                                            \
		.is_plain = true, .bytes = size, .length_mask = 0xff \
	}
#define UNSIGNED(width)                                                              \
	{                                                                            \
		.is_plain = true, .bytes = 1 + (width), .is_count = true, .skip = 1, \
		.shift = 64 - 8 * (width)                                            \
	}
#define FIXSTR(length) \
	[0xa0 + (length)] = {.is_plain = true, .bytes = 1 + (length), .is_text = true, .skip = 1}

const struct tl_token_head tl_token_heads[256] = {
	[0x00 ... 0x7f] = {.is_plain = true,
		.bytes = 1,
		.is_count = true,
		.shift = 56}, /* its own number */
	FIXSTR(0),
	FIXSTR(1),
	FIXSTR(2),
	FIXSTR(3),
	FIXSTR(4),
	FIXSTR(5),
	FIXSTR(6),
	FIXSTR(7),
	FIXSTR(8),
	FIXSTR(9),
	FIXSTR(10),
	FIXSTR(11),
	FIXSTR(12),
	FIXSTR(13),
	FIXSTR(14),
	FIXSTR(15),
	FIXSTR(16),
	FIXSTR(17),
	FIXSTR(18),
	FIXSTR(19),
	FIXSTR(20),
	FIXSTR(21),
	FIXSTR(22),
	FIXSTR(23),
	FIXSTR(24),
	FIXSTR(25),
	FIXSTR(26),
	FIXSTR(27),
	FIXSTR(28),
	FIXSTR(29),
	FIXSTR(30),
	FIXSTR(31),
	[TL_TOKEN_NIL] = SIZED(1),
	[0xc2] = SIZED(1),
	[0xc3] = SIZED(1),
	[0xc4] = LENGTH_8(2), /* bin */
	[0xc7] = LENGTH_8(3), /* ext */
	[0xca] = SIZED(5),
	[0xcb] = SIZED(9),
	[0xcc] = UNSIGNED(1),
	[0xcd] = UNSIGNED(2),
	[0xce] = UNSIGNED(4),
	[0xcf] = UNSIGNED(8),
	[0xd0] = SIZED(2),
	[0xd1] = SIZED(3),
	[0xd2] = SIZED(5),
	[0xd3] = SIZED(9),
	[0xd4] = SIZED(3), /* ext of a fixed size, after its type */
	[0xd5] = SIZED(4),
	[0xd6] = SIZED(6),
	[0xd7] = SIZED(10),
	[0xd8] = SIZED(18),
	[0xd9] = {.is_plain = true, .bytes = 2, .length_mask = 0xff, .is_text = true, .skip = 2},
	[0xe0 ... 0xff] = SIZED(1),
};

const uint8_t *
tl_token_skip(const uint8_t *at, const uint8_t *end)
{
	uint64_t owed = 1;

	for (; at != NULL && owed > 0; owed--)
		at = tl_token_step(at, end, &owed);
	return at;
}
