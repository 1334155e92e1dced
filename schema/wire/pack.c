#include "schema/wire/pack.h"

#include <assert.h>
#include <msgpack/pack.h>

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

void
tl_pack_wide_int(struct tl_buf *buf, int64_t value)
{
	msgpack_packer packer = packer_of(buf);

	msgpack_pack_int64(&packer, value);
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
