/* Bytes of an HTTP reply: immutable and counted, so that one body serves many replies at once. */
#ifndef TL_NET_HTTP_BODY_H
#define TL_NET_HTTP_BODY_H

#include "schema/base/bytes.h"

struct tl_http_body;

/* Takes the buffer's content over and leaves the buffer empty; on failure it is as before. */
TL_MUST enum tl_err tl_http_body_of(struct tl_buf *buf, struct tl_http_body **body_out);

/*
 * A body that is its gzip stream, which is borrowed and outlives all bodies made of it: bytes of
 * the program. Fails as tl_http_inflate does.
 */
TL_MUST enum tl_err tl_http_body_of_gzip(
	struct tl_slice stream, size_t bytes_max, struct tl_http_body **body_out);

/* Another owner; and one less. Any thread. NULL is fine. */
struct tl_http_body *tl_http_body_hold(struct tl_http_body *body);
void tl_http_body_drop(struct tl_http_body *body);

/* Valid as long as the body is held. */
struct tl_slice tl_http_body_slice(const struct tl_http_body *body);

/*
 * The same as a gzip stream: made when it is first asked for, then kept with the body, which stays
 * its owner. NULL when it would be no smaller, or without memory.
 */
struct tl_http_body *tl_http_body_gzip(struct tl_http_body *body);

/*
 * Append what a gzip stream inflates to, at most bytes_max. TL_EFRAME_TOO_LARGE, and
 * TL_EFRAME_MALFORMED for what is no gzip stream, is cut off, or has bytes behind it.
 */
TL_MUST enum tl_err tl_http_inflate(
	struct tl_slice gzip, size_t bytes_max, struct tl_buf *plain, struct tl_why *why);

/* What the body takes in memory when its gzip stream is made too. */
size_t tl_http_body_cost(const struct tl_http_body *body);

#endif
