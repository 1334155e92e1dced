/*
 * The message around a map: size bounds, optional deflate, the one error shape. A message is one
 * bare msgpack map, or a zlib stream (first byte 0x78) of one.
 */
#ifndef TL_WIRE_FRAME_H
#define TL_WIRE_FRAME_H

#include <stdint.h>

#include "schema/base/bytes.h"

/*
 * The map inside a message: the message itself, or what it inflates to in *inflated (reset first;
 * bounded by bytes_max). Valid as long as both are. TL_EFRAME_TOO_LARGE, TL_EFRAME_MALFORMED.
 */
TL_MUST enum tl_err tl_frame_open(struct tl_slice message, size_t bytes_max,
	struct tl_buf *inflated, struct tl_slice *map_out, struct tl_why *why);

/* Deflate map into *message (appended) as a zlib stream. */
TL_MUST enum tl_err tl_frame_deflate(struct tl_slice map, struct tl_buf *message);

/* What an error reply says beside its code. NULL, INT64_MIN and 0 leave the part out. */
struct tl_error_detail {
	const char *message; /* NULL: tl_err_text */
	const char *field;
	int64_t limit;
	int64_t retry_after_ms;
	const char *request_id; /* of an HTTP request */
};

/* {v:1, ok:false, error:{code, message, field?, limit?, retry, request_id?}, retry_after_ms?} */
void tl_frame_put_error(
	struct tl_buf *reply, enum tl_err err, const struct tl_error_detail *detail);

/*
 * Reads the head of any reply: TL_OK when ok is true or absent, else the error's code with its
 * message (and field) in why. TL_EFRAME_MALFORMED when it is not a reply.
 */
TL_MUST enum tl_err tl_frame_reply_status(struct tl_slice map, struct tl_why *why);

#endif
