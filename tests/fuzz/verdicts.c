/*
 * What our reader makes of frames, as text, to compare with other decoders: standard input holds
 * frames, each behind its length (be32); a line a frame goes out. A value is written as
 *
 *   n  t  f  i<number>  d<8 bytes>  s<bytes>  b<bytes>  e<type>:<bytes>  [v,v]  {k=v,k=v}
 *
 * with bytes in hex; a wide integer is an i too. Otherwise the line is the error's name.
 */
#include <inttypes.h>
#include <stdio.h>

#include "schema/wire/reader.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 16u
#define FRAME_BYTES_MAX (1u << 20)

static void
put_bytes(char form, struct tl_slice data)
{
	putchar(form);
	for (size_t i = 0; i < data.bytes; i++)
		printf("%02x", data.data[i]);
}

static void
put_int(struct tl_reader *reader)
{
	struct tl_reader ahead = *reader;
	int64_t number = tl_read_int(&ahead);
	struct tl_slice raw = tl_read_any(reader);

	if (ahead.err) /* above int64: the 8 bytes after the type byte */
		printf("i%" PRIu64, tl_get_be64(raw.data + 1));
	else
		printf("i%" PRId64, number);
}

/* The payload is the end of the token: its bytes, after the type, follow from the head. */
static void
put_ext(struct tl_slice raw)
{
	size_t head_bytes = raw.data[0] >= 0xd4 ? 1 : (size_t)1 + (1u << (raw.data[0] - 0xc7));

	printf("e%d:", (int8_t)raw.data[head_bytes]);
	for (size_t i = head_bytes + 1; i < raw.bytes; i++)
		printf("%02x", raw.data[i]);
}

static void
put_value(struct tl_reader *reader)
{
	uint8_t real_bytes[8];
	uint64_t bits;
	double real;
	uint32_t count;

	switch (tl_reader_peek(reader)) {
	case TL_WIRE_NIL:
		tl_read_nil(reader);
		putchar('n');
		break;
	case TL_WIRE_BOOL:
		putchar(tl_read_bool(reader) ? 't' : 'f');
		break;
	case TL_WIRE_INT:
		put_int(reader);
		break;
	case TL_WIRE_FLOAT:
		real = tl_read_float(reader);
		memcpy(&bits, &real, sizeof(bits));
		tl_put_be64(real_bytes, bits);
		put_bytes('d', tl_slice_of(real_bytes, sizeof(real_bytes)));
		break;
	case TL_WIRE_STR:
		put_bytes('s', tl_read_str(reader));
		break;
	case TL_WIRE_BIN:
		put_bytes('b', tl_read_bin(reader));
		break;
	case TL_WIRE_EXT:
		put_ext(tl_read_any(reader));
		break;
	case TL_WIRE_ARRAY:
		count = tl_read_array(reader);
		putchar('[');
		for (uint32_t i = 0; i < count; i++) {
			if (i > 0)
				putchar(',');
			put_value(reader);
		}
		putchar(']');
		break;
	case TL_WIRE_MAP:
		count = tl_read_map(reader);
		putchar('{');
		for (uint32_t i = 0; i < count; i++) {
			if (i > 0)
				putchar(',');
			put_value(reader);
			putchar('=');
			put_value(reader);
		}
		putchar('}');
		break;
	}
}

int
main(void)
{
	static uint8_t frame[FRAME_BYTES_MAX];
	uint8_t head[4];

	while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
		size_t bytes = tl_get_be32(head);
		struct tl_slice value = tl_slice_of(frame, bytes);
		struct tl_reader reader = tl_reader_of(value);
		enum tl_err err;

		if (bytes > sizeof(frame) || fread(frame, 1, bytes, stdin) != bytes)
			return 1;
		err = tl_reader_check(value, DEPTH_MAX, NULL);
		if (err)
			fputs(tl_err_name(err), stdout);
		else
			put_value(&reader);
		putchar('\n');
	}
	return 0;
}
