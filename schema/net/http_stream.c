#include "schema/net/http_stream.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema/base/clock.h"
#include "schema/net/http_private.h"

#define BLOCK_BYTES (16u << 10)

/* Two own it: who opened it, and libmicrohttpd as long as it has the response. */
struct tl_http_stream {
	struct tl_http_server *server;
	struct tl_http_stream *before, *after; /* guarded by the server's stream_mtx */

	pthread_mutex_t mtx;
	pthread_cond_t room; /* on the monotonic clock */
	struct tl_buf waiting;
	size_t sent_bytes;		   /* of waiting */
	struct MHD_Connection *connection; /* NULL: the request has ended */
	struct tl_http_conn *conn;
	bool is_suspended;
	bool is_ended; /* after what waits */
	bool is_cut;   /* at once */
	int owner_count;
};

static void
stream_free(struct tl_http_stream *stream)
{
	pthread_cond_destroy(&stream->room);
	pthread_mutex_destroy(&stream->mtx);
	tl_buf_fini(&stream->waiting);
	free(stream);
}

/* With the lock held; gives it back. */
static void
let_go(struct tl_http_stream *stream)
{
	bool is_last = --stream->owner_count == 0;

	pthread_mutex_unlock(&stream->mtx);
	if (is_last)
		stream_free(stream);
}

/* With the lock held: libmicrohttpd looks again at what there is to send. */
static void
wake(struct tl_http_stream *stream)
{
	if (!stream->is_suspended)
		return;
	stream->is_suspended = false;
	MHD_resume_connection(stream->connection);
}

/* With the lock held: what waits will not be sent, even to a peer that does not read. */
static void
cut(struct tl_http_stream *stream)
{
	stream->is_cut = true;
	tl_http_conn_shut(stream->conn);
	pthread_cond_signal(&stream->room);
	wake(stream);
}

static size_t
take(struct tl_http_stream *stream, char *to, size_t bytes_max)
{
	size_t bytes = stream->waiting.bytes - stream->sent_bytes;

	if (bytes > bytes_max)
		bytes = bytes_max;
	memcpy(to, stream->waiting.data + stream->sent_bytes, bytes);
	stream->sent_bytes += bytes;
	if (stream->sent_bytes == stream->waiting.bytes) {
		tl_buf_reset(&stream->waiting);
		stream->sent_bytes = 0;
	}
	pthread_cond_signal(&stream->room);
	return bytes;
}

/* Of libmicrohttpd: the next bytes of the reply. */
static ssize_t
read_stream(void *cls, uint64_t position, char *to, size_t bytes_max)
{
	struct tl_http_stream *stream = cls;
	ssize_t result = 0;

	(void)position;
	pthread_mutex_lock(&stream->mtx);
	if (stream->is_cut || stream->connection == NULL) {
		result = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (stream->waiting.bytes > 0) {
		result = (ssize_t)take(stream, to, bytes_max);
	} else if (stream->is_ended) {
		result = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		stream->is_suspended = true;
		MHD_suspend_connection(stream->connection);
	}
	pthread_mutex_unlock(&stream->mtx);
	return result;
}

/* Of libmicrohttpd: it has no more use for the response. */
static void
response_ended(void *cls)
{
	struct tl_http_stream *stream = cls;
	struct tl_http_server *server = stream->server;

	pthread_mutex_lock(&server->stream_mtx);
	if (stream->before != NULL)
		stream->before->after = stream->after;
	else
		server->streams = stream->after;
	if (stream->after != NULL)
		stream->after->before = stream->before;
	pthread_mutex_unlock(&server->stream_mtx);
	pthread_mutex_lock(&stream->mtx);
	let_go(stream);
}

void
tl_http_stream_request_ended(struct tl_http_stream *stream)
{
	pthread_mutex_lock(&stream->mtx);
	stream->connection = NULL;
	stream->conn = NULL;
	stream->is_suspended = false;
	pthread_cond_signal(&stream->room);
	pthread_mutex_unlock(&stream->mtx);
}

static struct tl_http_stream *
stream_new(struct tl_http_request *request, size_t bytes_max)
{
	struct tl_http_stream *stream = calloc(1, sizeof(*stream));
	pthread_condattr_t monotonic;

	if (stream == NULL)
		return NULL;
	stream->server = request->server;
	stream->connection = request->connection;
	stream->conn = request->conn;
	stream->owner_count = 2;
	tl_buf_init(&stream->waiting, bytes_max);
	pthread_mutex_init(&stream->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&stream->room, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return stream;
}

/* False when the server is about to stop. */
static bool
enlist(struct tl_http_stream *stream)
{
	struct tl_http_server *server = stream->server;
	bool is_open;

	pthread_mutex_lock(&server->stream_mtx);
	is_open = !server->is_closed_to_streams;
	if (is_open) {
		stream->after = server->streams;
		if (server->streams != NULL)
			server->streams->before = stream;
		server->streams = stream;
	}
	pthread_mutex_unlock(&server->stream_mtx);
	return is_open;
}

enum tl_err
tl_http_stream_open(struct tl_http_request *request, const char *content_type, size_t bytes_max,
	struct tl_http_stream **stream_out)
{
	struct tl_http_stream *stream = stream_new(request, bytes_max);
	struct MHD_Response *response;

	if (stream == NULL)
		return TL_ENOMEM;
	if (!enlist(stream)) {
		stream_free(stream);
		return TL_ESHUTTING_DOWN;
	}
	response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream, response_ended);
	if (response == NULL) {
		response_ended(stream);
		stream_free(stream);
		return TL_ENOMEM;
	}
	request->stream = stream;
	tl_http_reply_response(request, 200, content_type, response, 0);
	*stream_out = stream;
	return TL_OK;
}

bool
tl_http_stream_put(struct tl_http_stream *stream, struct tl_slice bytes)
{
	bool is_taken;

	pthread_mutex_lock(&stream->mtx);
	is_taken = stream->connection != NULL && !stream->is_cut && !stream->is_ended &&
		   bytes.bytes <= stream->waiting.bytes_max - stream->waiting.bytes;
	if (is_taken)
		tl_buf_put_slice(&stream->waiting, bytes);
	if (is_taken)
		wake(stream);
	pthread_mutex_unlock(&stream->mtx);
	return is_taken;
}

bool
tl_http_stream_wait(struct tl_http_stream *stream, int64_t timeout_ms)
{
	int64_t until_us = tl_clock_mono_us() + timeout_ms * 1000;
	struct timespec until = {
		.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
	bool has_room = false;
	bool is_late = false;

	pthread_mutex_lock(&stream->mtx);
	while (!is_late && stream->connection != NULL && !stream->is_cut) {
		has_room = stream->waiting.bytes <= stream->waiting.bytes_max / 2;
		if (has_room)
			break;
		is_late = pthread_cond_timedwait(&stream->room, &stream->mtx, &until) != 0;
	}
	pthread_mutex_unlock(&stream->mtx);
	return has_room;
}

bool
tl_http_stream_is_open(struct tl_http_stream *stream)
{
	bool is_open;

	pthread_mutex_lock(&stream->mtx);
	is_open = stream->connection != NULL && !stream->is_cut &&
		  !tl_http_conn_is_gone(stream->conn);
	pthread_mutex_unlock(&stream->mtx);
	return is_open;
}

void
tl_http_stream_end(struct tl_http_stream *stream, bool is_whole)
{
	if (stream == NULL)
		return;
	pthread_mutex_lock(&stream->mtx);
	stream->is_ended = true;
	if (is_whole)
		wake(stream);
	else
		cut(stream);
	let_go(stream);
}

void
tl_http_streams_cut(struct tl_http_server *server)
{
	pthread_mutex_lock(&server->stream_mtx);
	server->is_closed_to_streams = true;
	for (struct tl_http_stream *stream = server->streams; stream != NULL;
		stream = stream->after) {
		pthread_mutex_lock(&stream->mtx);
		cut(stream);
		pthread_mutex_unlock(&stream->mtx);
	}
	pthread_mutex_unlock(&server->stream_mtx);
}
