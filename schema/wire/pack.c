#include "schema/wire/pack.h"

#include <assert.h>
#include <msgpack/pack.h>

#define INT_BYTES_MAX 9
#define OPEN_HEAD_BYTES 5 /* the type byte and a count of 32 bits */

static int
packer_write(void *data, const char *bytes, size_t byte_count)
{
	tl_buf_put(data, bytes, byte_count);
	return 0; /* the buffer keeps its own error */
}

static msgpack_packer
packer_of(struct tl_buf *buf)
{
	return (msgpack_packer){.data = buf, .callback = packer_write};
}

void
tl_pack_map(struct tl_buf *buf, uint32_t pair_count)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_map(&packer, pair_count);
}

void
tl_pack_array(struct tl_buf *buf, uint32_t element_count)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_array(&packer, element_count);
}

void
tl_pack_nil(struct tl_buf *buf)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_nil(&packer);
}

void
tl_pack_bool(struct tl_buf *buf, bool value)
{
	msgpack_packer packer = packer_of(buf);

	if (value)
		msgpack_pack_true(&packer);
	else
		msgpack_pack_false(&packer);
}

/* The type byte and a big-endian integer of 1 << width bytes. at has room for 9. */
static inline size_t
put_int(uint8_t *at, int64_t value)
{
	uint32_t width;

	if (value >= TL_PACK_FIXINT_MIN && value <= TL_PACK_FIXINT_MAX) {
		at[0] = (uint8_t)value;
		return 1;
	}
	if (value > 0) {
		width = value <= UINT8_MAX    ? 0
			: value <= UINT16_MAX ? 1
			: value <= UINT32_MAX ? 2
					      : 3;
		at[0] = (uint8_t)(0xcc + width);
	} else {
		width = value >= INT8_MIN ? 0 : value >= INT16_MIN ? 1 : value >= INT32_MIN ? 2 : 3;
		at[0] = (uint8_t)(0xd0 + width);
	}
	tl_put_be64(at + 1, (uint64_t)value << (64 - (8u << width)));
	return 1 + (1u << width);
}

void
tl_pack_wide_int(struct tl_buf *buf, int64_t value)
{
	uint8_t at[INT_BYTES_MAX];

	tl_buf_put(buf, at, put_int(at, value));
}

void
tl_pack_ints(struct tl_buf *buf, const int64_t *values, uint32_t count)
{
	uint8_t *at;

	tl_pack_array(buf, count);
	at = tl_buf_reserve(buf, (size_t)count * INT_BYTES_MAX);
	if (at == NULL)
		return;
	for (uint32_t i = 0; i < count; i++)
		at += put_int(at, values[i]);
	tl_buf_advance(buf, (size_t)(at - buf->data) - buf->bytes);
}

void
tl_pack_float(struct tl_buf *buf, double value)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_double(&packer, value);
}

void
tl_pack_long_slice(struct tl_buf *buf, struct tl_slice text)
{
	msgpack_packer packer = packer_of(buf);

	assert(text.bytes <= UINT32_MAX);
	msgpack_pack_str(&packer, text.bytes);
	tl_buf_put_slice(buf, text);
}

void
tl_pack_bin(struct tl_buf *buf, struct tl_slice data)
{
	msgpack_packer packer = packer_of(buf);

	assert(data.bytes <= UINT32_MAX);
	msgpack_pack_bin(&packer, data.bytes);
	tl_buf_put_slice(buf, data);
}

/* msgpack-c knows no open containers: their heads are written here, in the widest form. */
static struct tl_pack_open
open_at_end(struct tl_buf *buf, uint8_t type)
{
	struct tl_pack_open open = {.at = buf->bytes};

	tl_buf_put_u8(buf, type);
	tl_buf_put_be32(buf, 0);
	return open;
}

struct tl_pack_open
tl_pack_open_map(struct tl_buf *buf)
{
	return open_at_end(buf, 0xdf);
}

struct tl_pack_open
tl_pack_open_array(struct tl_buf *buf)
{
	return open_at_end(buf, 0xdd);
}

void
tl_pack_close(struct tl_buf *buf, const struct tl_pack_open *open)
{
	if (buf->err)
		return;
	assert(open->at + OPEN_HEAD_BYTES <= buf->bytes);
	tl_put_be32(buf->data + open->at + 1, open->count);
}
