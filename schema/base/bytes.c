#include "schema/base/bytes.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_BYTES_MIN 64
#define VARINT_BYTES_MAX 10

int
tl_slice_cmp(struct tl_slice a, struct tl_slice b)
{
	size_t common_bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
	int order = common_bytes > 0 ? memcmp(a.data, b.data, common_bytes) : 0;

	if (order != 0)
		return order;
	return (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

void
tl_buf_init(struct tl_buf *buf, size_t bytes_max)
{
	*buf = (struct tl_buf){.bytes_max = bytes_max};
}

void
tl_buf_fini(struct tl_buf *buf)
{
	free(buf->data);
	*buf = (struct tl_buf){.bytes_max = buf->bytes_max};
}

void
tl_buf_reset(struct tl_buf *buf)
{
	buf->bytes = 0;
	buf->err = TL_OK;
}

struct tl_slice
tl_buf_slice(const struct tl_buf *buf)
{
	return tl_slice_of(buf->data, buf->bytes);
}

/* Memory for need_bytes in all, at least doubled so that many small puts stay linear. */
static bool
buf_grow(struct tl_buf *buf, size_t need_bytes)
{
	size_t capacity = buf->capacity <= SIZE_MAX / 2 ? buf->capacity * 2 : need_bytes;
	uint8_t *data;

	if (capacity < need_bytes)
		capacity = need_bytes;
	if (capacity < BUF_BYTES_MIN)
		capacity = BUF_BYTES_MIN;
	data = realloc(buf->data, capacity);
	if (!data) {
		buf->err = TL_ENOMEM;
		return false;
	}
	buf->data = data;
	buf->capacity = capacity;
	return true;
}

/* The ceiling counts content; spare_bytes (a terminator of printf) are memory only. */
static bool
buf_make_room(struct tl_buf *buf, size_t bytes, size_t spare_bytes)
{
	size_t need_bytes;

	if (buf->err)
		return false;
	if (__builtin_add_overflow(buf->bytes, bytes, &need_bytes) ||
		(buf->bytes_max > 0 && need_bytes > buf->bytes_max)) {
		buf->err = TL_EFULL;
		return false;
	}
	if (__builtin_add_overflow(need_bytes, spare_bytes, &need_bytes)) {
		buf->err = TL_ENOMEM;
		return false;
	}
	if (buf->data && need_bytes <= buf->capacity)
		return true;
	return buf_grow(buf, need_bytes);
}

void
tl_buf_grow_put(struct tl_buf *buf, const void *data, size_t bytes)
{
	if (bytes == 0 || !buf_make_room(buf, bytes, 0))
		return;
	memcpy(buf->data + buf->bytes, data, bytes);
	buf->bytes += bytes;
}

void
tl_buf_put_slice(struct tl_buf *buf, struct tl_slice slice)
{
	tl_buf_put(buf, slice.data, slice.bytes);
}

void
tl_buf_put_str(struct tl_buf *buf, const char *text)
{
	tl_buf_put(buf, text, strlen(text));
}

void
tl_buf_put_u8(struct tl_buf *buf, uint8_t value)
{
	tl_buf_put(buf, &value, 1);
}

void
tl_buf_put_be16(struct tl_buf *buf, uint16_t value)
{
	uint8_t at[2];

	tl_put_be16(at, value);
	tl_buf_put(buf, at, sizeof(at));
}

void
tl_buf_put_be32(struct tl_buf *buf, uint32_t value)
{
	uint8_t at[4];

	tl_put_be32(at, value);
	tl_buf_put(buf, at, sizeof(at));
}

void
tl_buf_put_be64(struct tl_buf *buf, uint64_t value)
{
	uint8_t at[8];

	tl_put_be64(at, value);
	tl_buf_put(buf, at, sizeof(at));
}

void
tl_buf_put_varint(struct tl_buf *buf, uint64_t value)
{
	uint8_t at[VARINT_BYTES_MAX];

	tl_buf_put(buf, at, tl_varint_put(at, value));
}

void
tl_buf_put_zigzag(struct tl_buf *buf, int64_t value)
{
	tl_buf_put_varint(buf, tl_zigzag(value));
}

void
tl_buf_printf(struct tl_buf *buf, const char *fmt, ...)
{
	va_list args;
	va_list again;
	int text_bytes;

	va_start(args, fmt);
	va_copy(again, args);
	text_bytes = vsnprintf(NULL, 0, fmt, args);
	if (text_bytes < 0 && !buf->err)
		buf->err = TL_EINTERNAL;
	if (text_bytes > 0 && buf_make_room(buf, (size_t)text_bytes, 1)) {
		vsnprintf((char *)buf->data + buf->bytes, (size_t)text_bytes + 1, fmt, again);
		buf->bytes += (size_t)text_bytes;
	}
	va_end(again);
	va_end(args);
}

uint8_t *
tl_buf_reserve(struct tl_buf *buf, size_t bytes)
{
	if (!buf_make_room(buf, bytes, 0))
		return NULL;
	return buf->data + buf->bytes;
}

void
tl_buf_advance(struct tl_buf *buf, size_t bytes)
{
	assert(!buf->err);
	assert(bytes <= buf->capacity - buf->bytes);
	buf->bytes += bytes;
}

struct tl_cursor
tl_cursor_of(struct tl_slice slice)
{
	return (struct tl_cursor){
		.next = slice.data, .end = slice.bytes > 0 ? slice.data + slice.bytes : slice.data};
}

size_t
tl_cursor_left(const struct tl_cursor *cur)
{
	return (size_t)(cur->end - cur->next);
}

/* The next bytes, or NULL with the error stuck and nothing left, so that loops end. */
static const uint8_t *
cursor_step(struct tl_cursor *cur, size_t bytes)
{
	const uint8_t *at = cur->next;

	if (cur->err || bytes > tl_cursor_left(cur)) {
		cur->err = TL_ESTORAGE_CORRUPT;
		cur->next = cur->end;
		return NULL;
	}
	if (bytes > 0)
		cur->next += bytes;
	return at;
}

uint8_t
tl_cursor_u8(struct tl_cursor *cur)
{
	const uint8_t *at = cursor_step(cur, 1);

	return at ? *at : 0;
}

uint16_t
tl_cursor_be16(struct tl_cursor *cur)
{
	const uint8_t *at = cursor_step(cur, 2);

	return at ? tl_get_be16(at) : 0;
}

uint32_t
tl_cursor_be32(struct tl_cursor *cur)
{
	const uint8_t *at = cursor_step(cur, 4);

	return at ? tl_get_be32(at) : 0;
}

uint64_t
tl_cursor_be64(struct tl_cursor *cur)
{
	const uint8_t *at = cursor_step(cur, 8);

	return at ? tl_get_be64(at) : 0;
}

uint64_t
tl_cursor_varint(struct tl_cursor *cur)
{
	uint64_t value = 0;
	size_t bytes = cur->err ? 0 : tl_varint_get(cur->next, cur->end, &value);

	if (bytes == 0) {
		cur->err = TL_ESTORAGE_CORRUPT;
		cur->next = cur->end;
		return 0;
	}
	cur->next += bytes;
	return value;
}

int64_t
tl_cursor_zigzag(struct tl_cursor *cur)
{
	return tl_unzigzag(tl_cursor_varint(cur));
}

struct tl_slice
tl_cursor_take(struct tl_cursor *cur, size_t bytes)
{
	const uint8_t *at = cursor_step(cur, bytes);

	return cur->err ? tl_slice_of(NULL, 0) : tl_slice_of(at, bytes);
}

void
tl_put_be16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
}

void
tl_put_be32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

void
tl_put_be64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
}

uint16_t
tl_get_be16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return be16toh(value);
}

uint32_t
tl_get_be32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

uint64_t
tl_get_be64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

size_t
tl_varint_put(uint8_t *at, uint64_t value)
{
	size_t bytes = 0;

	while (value >= 0x80) {
		at[bytes++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	at[bytes++] = (uint8_t)value;
	return bytes;
}

size_t
tl_varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value_out)
{
	uint64_t value = 0;
	size_t left_bytes = (size_t)(end - at);
	size_t bytes_max = left_bytes < VARINT_BYTES_MAX ? left_bytes : VARINT_BYTES_MAX;

	for (size_t i = 0; i < bytes_max; i++) {
		uint8_t byte = at[i];

		/* Nine bytes hold 63 bits: the tenth has one bit left and may not go on. */
		if (i == VARINT_BYTES_MAX - 1 && byte > 1)
			return 0;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		/* One value has one spelling, so that equal content has equal bytes. */
		if (byte == 0 && i > 0)
			return 0;
		*value_out = value;
		return i + 1;
	}
	return 0;
}

void
tl_hex(const uint8_t *data, size_t bytes, char *text_out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++) {
		text_out[2 * i] = digits[data[i] >> 4];
		text_out[2 * i + 1] = digits[data[i] & 15];
	}
	text_out[2 * bytes] = '\0';
}

/* 0 to 15, or 16 when it is no hex digit. */
static unsigned int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - (unsigned int)'0';
	if (c >= 'a' && c <= 'f')
		return c - (unsigned int)'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - (unsigned int)'A' + 10;
	return 16;
}

bool
tl_unhex(struct tl_slice text, uint8_t *data_out, size_t bytes)
{
	if (text.bytes % 2 != 0 || text.bytes / 2 != bytes)
		return false;
	for (size_t i = 0; i < text.bytes; i++) {
		if (hex_digit(text.data[i]) > 15)
			return false;
	}
	for (size_t i = 0; i < bytes; i++) {
		data_out[i] = (uint8_t)(hex_digit(text.data[2 * i]) << 4 |
					hex_digit(text.data[2 * i + 1]));
	}
	return true;
}

/*
 * The bytes of the well-formed character at the start, 0 when there is none. The range of the
 * second byte is what excludes over-long forms, surrogates and code points past U+10FFFF.
 */
static size_t
utf8_char_bytes(const uint8_t *at, size_t left_bytes)
{
	uint8_t first = at[0];
	uint8_t second_min = 0x80;
	uint8_t second_max = 0xbf;
	size_t bytes;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		bytes = 2;
	else if (first >= 0xe0 && first <= 0xef)
		bytes = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		bytes = 4;
	else
		return 0;
	if (left_bytes < bytes)
		return 0;

	if (first == 0xe0)
		second_min = 0xa0;
	else if (first == 0xed)
		second_max = 0x9f;
	else if (first == 0xf0)
		second_min = 0x90;
	else if (first == 0xf4)
		second_max = 0x8f;
	if (at[1] < second_min || at[1] > second_max)
		return 0;
	for (size_t i = 2; i < bytes; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return bytes;
}

bool
tl_utf8_valid(struct tl_slice text)
{
	size_t i = 0;

	while (i < text.bytes) {
		size_t bytes = utf8_char_bytes(text.data + i, text.bytes - i);

		if (bytes == 0)
			return false;
		i += bytes;
	}
	return true;
}
