/*
 * A reply that goes on after its head: what is put into it leaves as fast as the peer reads. While
 * nothing waits the connection is suspended, so a quiet stream costs no thread. Any thread may call
 * anything.
 */
#ifndef TL_NET_HTTP_STREAM_H
#define TL_NET_HTTP_STREAM_H

#include "schema/net/http_server.h"

struct tl_http_stream;

/*
 * Answer the request with a stream (status 200). At most bytes_max wait for the peer. The caller
 * owns *stream_out, also after the peer is gone, and lets go of it with tl_http_stream_end. On
 * failure the request is not answered.
 */
TL_MUST enum tl_err tl_http_stream_open(struct tl_http_request *request, const char *content_type,
	size_t bytes_max, struct tl_http_stream **stream_out);

/* False when the peer is gone or does not keep up: nothing of the bytes goes. */
bool tl_http_stream_put(struct tl_http_stream *stream, struct tl_slice bytes);

/* Wait until at most half of bytes_max waits. False when the peer is gone or too slow. */
TL_MUST bool tl_http_stream_wait(struct tl_http_stream *stream, int64_t timeout_ms);

/* Whether the peer is still there. */
bool tl_http_stream_is_open(struct tl_http_stream *stream);

/*
 * The end, after what waits; or, when the reply is not whole, a cut: the connection closes without
 * the last chunk, by which the peer knows. NULL is fine.
 */
void tl_http_stream_end(struct tl_http_stream *stream, bool is_whole);

#endif
