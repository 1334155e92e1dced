/*
 * Writing msgpack into a tl_buf, in its shortest forms. msgpack-c's packer stops here. Errors are
 * the buffer's: check buf->err once at the end.
 */
#ifndef TL_WIRE_PACK_H
#define TL_WIRE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

void tl_pack_map(struct tl_buf *buf, uint32_t pair_count);
void tl_pack_array(struct tl_buf *buf, uint32_t element_count);
void tl_pack_nil(struct tl_buf *buf);
void tl_pack_bool(struct tl_buf *buf, bool value);
void tl_pack_int(struct tl_buf *buf, int64_t value);
void tl_pack_float(struct tl_buf *buf, double value); /* what JSON brought; we make none */
void tl_pack_str(struct tl_buf *buf, const char *text);
void tl_pack_slice(struct tl_buf *buf, struct tl_slice text); /* as str */
void tl_pack_bin(struct tl_buf *buf, struct tl_slice data);

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
void tl_pack_key(struct tl_buf *buf, struct tl_pack_open *map, const char *key);
void tl_pack_key_int(struct tl_buf *buf, struct tl_pack_open *map, const char *key, int64_t value);
void tl_pack_key_bool(struct tl_buf *buf, struct tl_pack_open *map, const char *key, bool value);
void tl_pack_key_str(struct tl_buf *buf, struct tl_pack_open *map, const char *key,
	const char *text); /* NULL packs nil */
void tl_pack_key_slice(
	struct tl_buf *buf, struct tl_pack_open *map, const char *key, struct tl_slice text);

#endif
