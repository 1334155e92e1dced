/* Bytes: borrowed slices, growing buffers, big-endian integers and varints. */
#ifndef TL_BASE_BYTES_H
#define TL_BASE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "schema/base/err.h"

/* Borrowed bytes. Whoever hands one out says until when it is valid. */
struct tl_slice {
	const uint8_t *data;
	size_t bytes;
};

static inline struct tl_slice
tl_slice_of(const void *data, size_t bytes)
{
	return (struct tl_slice){.data = data, .bytes = bytes};
}

/* The text without its terminator. */
static inline struct tl_slice
tl_slice_str(const char *text)
{
	return tl_slice_of(text, strlen(text));
}

static inline bool
tl_slice_eq(struct tl_slice a, struct tl_slice b)
{
	return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

/* Byte order, a prefix before what it begins: <0, 0, >0. */
int tl_slice_cmp(struct tl_slice a, struct tl_slice b);

/*
 * A growing buffer. The first failure (memory, or past bytes_max) sticks in err; later puts do
 * nothing, so a builder checks once at the end. Zero bytes_max means no ceiling.
 */
struct tl_buf {
	uint8_t *data;
	size_t bytes;
	size_t capacity;
	size_t bytes_max;
	enum tl_err err;
};

void tl_buf_init(struct tl_buf *buf, size_t bytes_max);
void tl_buf_fini(struct tl_buf *buf);

/* Forget the content and the error, keep the memory. */
void tl_buf_reset(struct tl_buf *buf);

/* The content; valid until the next put. */
struct tl_slice tl_buf_slice(const struct tl_buf *buf);

/*
 * Where bytes more can be written at once; the caller then adds them to buf->bytes. NULL when the
 * buffer has to grow for them, or has an error or would have.
 */
static inline uint8_t *
tl_buf_place(struct tl_buf *buf, size_t bytes)
{
	if (buf->err || bytes > buf->capacity - buf->bytes ||
		(buf->bytes_max > 0 && bytes > buf->bytes_max - buf->bytes))
		return NULL;
	return buf->data + buf->bytes;
}

void tl_buf_grow_put(struct tl_buf *buf, const void *data, size_t bytes); /* tl_buf_put's rest */

static inline void
tl_buf_put(struct tl_buf *buf, const void *data, size_t bytes)
{
	uint8_t *at = bytes > 0 ? tl_buf_place(buf, bytes) : NULL;

	if (at == NULL) {
		tl_buf_grow_put(buf, data, bytes);
		return;
	}
	memcpy(at, data, bytes);
	buf->bytes += bytes;
}

void tl_buf_put_slice(struct tl_buf *buf, struct tl_slice slice);
void tl_buf_put_str(struct tl_buf *buf, const char *text);
void tl_buf_put_u8(struct tl_buf *buf, uint8_t value);
void tl_buf_put_be16(struct tl_buf *buf, uint16_t value);
void tl_buf_put_be32(struct tl_buf *buf, uint32_t value);
void tl_buf_put_be64(struct tl_buf *buf, uint64_t value);
void tl_buf_put_varint(struct tl_buf *buf, uint64_t value);
void tl_buf_put_zigzag(struct tl_buf *buf, int64_t value);
void tl_buf_printf(struct tl_buf *buf, const char *fmt, ...) TL_PRINTF(2, 3);

/* Room for bytes more at the end, or NULL (error stuck). tl_buf_advance takes what was written. */
uint8_t *tl_buf_reserve(struct tl_buf *buf, size_t bytes);
void tl_buf_advance(struct tl_buf *buf, size_t bytes);

/*
 * Reading. A cursor over borrowed bytes; the first short or malformed read sticks as
 * TL_ESTORAGE_CORRUPT, later reads give 0 and an empty slice.
 */
struct tl_cursor {
	const uint8_t *next;
	const uint8_t *end;
	enum tl_err err;
};

struct tl_cursor tl_cursor_of(struct tl_slice slice);
size_t tl_cursor_left(const struct tl_cursor *cur);
uint8_t tl_cursor_u8(struct tl_cursor *cur);
uint16_t tl_cursor_be16(struct tl_cursor *cur);
uint32_t tl_cursor_be32(struct tl_cursor *cur);
uint64_t tl_cursor_be64(struct tl_cursor *cur);
uint64_t tl_cursor_varint(struct tl_cursor *cur);
int64_t tl_cursor_zigzag(struct tl_cursor *cur);

/* tl_cursor_varint, for loops over small numbers. */
static inline uint64_t
tl_cursor_next(struct tl_cursor *cur)
{
	if (cur->next < cur->end && *cur->next < 0x80)
		return *cur->next++;
	return tl_cursor_varint(cur);
}

struct tl_slice tl_cursor_take(struct tl_cursor *cur, size_t bytes);

/* Big-endian integers at a fixed place. */
void tl_put_be16(uint8_t *at, uint16_t value);
void tl_put_be32(uint8_t *at, uint32_t value);
void tl_put_be64(uint8_t *at, uint64_t value);
uint16_t tl_get_be16(const uint8_t *at);
uint32_t tl_get_be32(const uint8_t *at);
uint64_t tl_get_be64(const uint8_t *at);

/* LEB128; at has room for 10 bytes. Returns the bytes written. */
size_t tl_varint_put(uint8_t *at, uint64_t value);

/* The same, and where the next byte goes. */
static inline uint8_t *
tl_varint_write(uint8_t *at, uint64_t value)
{
	if (value < 0x80) {
		*at = (uint8_t)value;
		return at + 1;
	}
	return at + tl_varint_put(at, value);
}

/* Returns the bytes read, 0 when the varint is cut short, over-long or past 64 bits. */
size_t tl_varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value_out);

static inline uint64_t
tl_zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t
tl_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Lower-case hex; text_out has room for 2 * bytes + 1. */
void tl_hex(const uint8_t *data, size_t bytes, char *text_out);

/* Parses exactly 2 * bytes hex digits, either case. */
TL_MUST bool tl_unhex(struct tl_slice text, uint8_t *data_out, size_t bytes);

/* True when the bytes are UTF-8 as RFC 3629 defines it (no surrogates, no over-long forms). */
TL_MUST bool tl_utf8_valid(struct tl_slice text);

#endif
