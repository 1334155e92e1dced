#include "schema/wire/frame.h"

#define ZLIB_CONST /* next_in is const */
#include <zlib.h>

#include "schema/model/limits.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define ZLIB_FIRST_BYTE 0x78
#define INFLATE_STEP_BYTES (64u << 10)
#define REPLY_DEPTH_MAX 16u

static enum tl_err
too_large(struct tl_why *why, size_t bytes_max)
{
	return tl_fail(why, TL_EFRAME_TOO_LARGE,
		"the frame is larger than the limit of %zu bytes; split it", bytes_max);
}

/*
 * Inflates into the buffer until the stream ends. The bound is on what comes out: a kilobyte may
 * say a megabyte of zeros. A stream that is exactly at the bound still has to say that it ends, so
 * its last step gets one byte of room that it must not use.
 */
static enum tl_err
inflate_all(z_stream *stream, size_t bytes_max, struct tl_buf *inflated, struct tl_why *why)
{
	for (;;) {
		size_t room = bytes_max - inflated->bytes;
		uint8_t spare;
		uint8_t *at = &spare;
		int status;

		if (room > INFLATE_STEP_BYTES)
			room = INFLATE_STEP_BYTES;
		if (room > 0) {
			at = tl_buf_reserve(inflated, room);
			if (at == NULL)
				return tl_fail(why, inflated->err, "no memory to inflate a frame");
		}
		stream->next_out = at;
		stream->avail_out = room > 0 ? (uInt)room : 1;
		status = inflate(stream, Z_NO_FLUSH);
		if (room > 0)
			tl_buf_advance(inflated, room - stream->avail_out);
		else if (stream->avail_out == 0)
			return too_large(why, bytes_max);
		if (status == Z_STREAM_END)
			break;
		if (status != Z_OK)
			return tl_fail(why, TL_EFRAME_MALFORMED, "the frame does not inflate: %s",
				stream->msg != NULL ? stream->msg : "cut short");
	}
	if (stream->avail_in > 0)
		return tl_fail(why, TL_EFRAME_MALFORMED, "%u bytes follow the deflated frame",
			stream->avail_in);
	return TL_OK;
}

enum tl_err
tl_frame_open(struct tl_slice message, size_t bytes_max, struct tl_buf *inflated,
	struct tl_slice *map_out, struct tl_why *why)
{
	z_stream stream = {0};
	struct tl_slice map = message;
	enum tl_err err;

	tl_buf_reset(inflated);
	if (message.bytes == 0)
		return tl_fail(why, TL_EFRAME_MALFORMED, "the frame is empty");
	if (message.bytes > bytes_max)
		return too_large(why, bytes_max);
	if (message.data[0] == ZLIB_FIRST_BYTE) {
		if (inflateInit(&stream) != Z_OK)
			return tl_fail(why, TL_ENOMEM, "no memory to inflate a frame");
		stream.next_in = message.data;
		stream.avail_in = (uInt)message.bytes;
		err = inflate_all(&stream, bytes_max, inflated, why);
		inflateEnd(&stream);
		if (err)
			return err;
		map = tl_buf_slice(inflated);
	}
	*map_out = map;
	return TL_OK;
}

enum tl_err
tl_frame_deflate(struct tl_slice map, struct tl_buf *message)
{
	uLongf bytes = compressBound(map.bytes);
	uint8_t *at = tl_buf_reserve(message, bytes);

	if (at == NULL)
		return message->err;
	/* Level 1: on encoded events the higher ones cost several times the CPU for a few percent.
	 */
	if (compress2(at, &bytes, map.data, map.bytes, Z_BEST_SPEED) != Z_OK)
		return TL_ENOMEM;
	tl_buf_advance(message, bytes);
	return TL_OK;
}

void
tl_frame_put_error(struct tl_buf *reply, enum tl_err err, const struct tl_error_detail *detail)
{
	static const struct tl_error_detail nothing = {.limit = INT64_MIN};
	struct tl_pack_open map = tl_pack_open_map(reply);
	struct tl_pack_open error;

	if (detail == NULL)
		detail = &nothing;
	tl_pack_key_int(reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(reply, &map, "ok", false);
	tl_pack_key(reply, &map, "error");
	error = tl_pack_open_map(reply);
	tl_pack_key_str(reply, &error, "code", tl_err_name(err));
	tl_pack_key_str(reply, &error, "message",
		detail->message != NULL ? detail->message : tl_err_text(err));
	if (detail->field != NULL)
		tl_pack_key_str(reply, &error, "field", detail->field);
	if (detail->limit != INT64_MIN)
		tl_pack_key_int(reply, &error, "limit", detail->limit);
	tl_pack_key_str(reply, &error, "retry", tl_retry_name(tl_err_retry(err)));
	if (detail->request_id != NULL)
		tl_pack_key_str(reply, &error, "request_id", detail->request_id);
	tl_pack_close(reply, &error);
	if (detail->retry_after_ms != 0)
		tl_pack_key_int(reply, &map, "retry_after_ms", detail->retry_after_ms);
	tl_pack_close(reply, &map);
}

/* The error map of a reply that is not ok. */
static enum tl_err
error_read(struct tl_slice error, struct tl_why *why)
{
	struct tl_slice code = tl_reader_find_str(error, "code");
	struct tl_slice message = tl_reader_find_str(error, "message");
	struct tl_slice field = tl_reader_find_str(error, "field");
	enum tl_err err;

	if (code.bytes == 0)
		return tl_fail(why, TL_EFRAME_MALFORMED, "the reply has an error without a code");
	err = tl_err_from_name((const char *)code.data, code.bytes);
	if (err == TL_OK)
		err = TL_EINTERNAL;
	if (message.bytes == 0)
		message = code;
	return tl_fail(why, err, "%.*s%s%.*s%s", (int)message.bytes, (const char *)message.data,
		field.bytes > 0 ? " (" : "", (int)field.bytes, (const char *)field.data,
		field.bytes > 0 ? ")" : "");
}

enum tl_err
tl_frame_reply_status(struct tl_slice map, struct tl_why *why)
{
	struct tl_reader reader;
	enum tl_err err = tl_reader_check(map, REPLY_DEPTH_MAX, why);

	if (err)
		return TL_EFRAME_MALFORMED;
	reader = tl_reader_of(map);
	if (tl_reader_peek(&reader) != TL_WIRE_MAP)
		return tl_fail(why, TL_EFRAME_MALFORMED, "the reply is not a map");
	if (tl_reader_find_bool(map, "ok", true))
		return TL_OK;
	if (!tl_reader_find(map, "error", &reader))
		return tl_fail(why, TL_EFRAME_MALFORMED, "the reply is not ok and has no error");
	return error_read(tl_read_any(&reader), why);
}
