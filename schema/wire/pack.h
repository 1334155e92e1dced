/*
 * Writing msgpack into a tl_buf, in its shortest forms. msgpack-c's packer stops here. Errors are
 * the buffer's: check buf->err once at the end.
 */
#ifndef TL_WIRE_PACK_H
#define TL_WIRE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/*
 * What is short and common in replies is written here, without a call: a reply is a few thousand
 * of these, and most keys are literals whose length the compiler knows.
 */
#define TL_PACK_FIXSTR 0xa0u
#define TL_PACK_FIXSTR_BYTES_MAX 31u
#define TL_PACK_FIXINT_MIN (-32)
#define TL_PACK_FIXINT_MAX 127

void tl_pack_map(struct tl_buf *buf, uint32_t pair_count);
void tl_pack_array(struct tl_buf *buf, uint32_t element_count);
void tl_pack_nil(struct tl_buf *buf);
void tl_pack_bool(struct tl_buf *buf, bool value);
/* An array; at its end the buffer has to have room for the longest that it could be. */
void tl_pack_ints(struct tl_buf *buf, const int64_t *values, uint32_t count);
void tl_pack_wide_int(struct tl_buf *buf, int64_t value); /* tl_pack_int's rest */
void tl_pack_float(struct tl_buf *buf, double value);	  /* what JSON brought; we make none */
void tl_pack_long_slice(struct tl_buf *buf, struct tl_slice text); /* tl_pack_slice's rest */
void tl_pack_bin(struct tl_buf *buf, struct tl_slice data);

static inline void
tl_pack_int(struct tl_buf *buf, int64_t value)
{
	uint8_t *at = tl_buf_place(buf, 1);

	if (at == NULL || value < TL_PACK_FIXINT_MIN || value > TL_PACK_FIXINT_MAX) {
		tl_pack_wide_int(buf, value);
		return;
	}
	*at = (uint8_t)value;
	buf->bytes++;
}

/* As str. */
static inline void
tl_pack_slice(struct tl_buf *buf, struct tl_slice text)
{
	uint8_t *at = NULL;

	if (text.bytes > 0 && text.bytes <= TL_PACK_FIXSTR_BYTES_MAX)
		at = tl_buf_place(buf, 1 + text.bytes);
	if (at == NULL) {
		tl_pack_long_slice(buf, text);
		return;
	}
	*at = (uint8_t)(TL_PACK_FIXSTR | text.bytes);
	memcpy(at + 1, text.data, text.bytes);
	buf->bytes += 1 + text.bytes;
}

static inline void
tl_pack_str(struct tl_buf *buf, const char *text)
{
	tl_pack_slice(buf, tl_slice_str(text));
}

/*
 * A map whose size is not known when it starts: the header is written as map32 and filled in by
 * tl_pack_close. Nest freely.
 */
struct tl_pack_open {
	size_t at;
	uint32_t count;
};

struct tl_pack_open tl_pack_open_map(struct tl_buf *buf);
struct tl_pack_open tl_pack_open_array(struct tl_buf *buf);
void tl_pack_close(struct tl_buf *buf, const struct tl_pack_open *open);

/* Key and value in an open map; each counts one pair. */
static inline void
tl_pack_key(struct tl_buf *buf, struct tl_pack_open *map, const char *key)
{
	tl_pack_str(buf, key);
	map->count++;
}

static inline void
tl_pack_key_int(struct tl_buf *buf, struct tl_pack_open *map, const char *key, int64_t value)
{
	tl_pack_key(buf, map, key);
	tl_pack_int(buf, value);
}

static inline void
tl_pack_key_bool(struct tl_buf *buf, struct tl_pack_open *map, const char *key, bool value)
{
	tl_pack_key(buf, map, key);
	tl_pack_bool(buf, value);
}

/* NULL packs nil. */
static inline void
tl_pack_key_str(struct tl_buf *buf, struct tl_pack_open *map, const char *key, const char *text)
{
	tl_pack_key(buf, map, key);
	if (text == NULL)
		tl_pack_nil(buf);
	else
		tl_pack_str(buf, text);
}

static inline void
tl_pack_key_slice(
	struct tl_buf *buf, struct tl_pack_open *map, const char *key, struct tl_slice text)
{
	tl_pack_key(buf, map, key);
	tl_pack_slice(buf, text);
}

#endif
