/* What the files of the server share. Nobody else includes this. */
#ifndef TL_NET_HTTP_PRIVATE_H
#define TL_NET_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>

#include "schema/base/queue.h"
#include "schema/net/http_server.h"

#define TL_HTTP_WORKERS_MAX 256u
#define TL_HTTP_REPLY_HEADERS_MAX 8u

struct tl_http_server {
	/* fixed after start */
	struct tl_http_options options;
	struct MHD_Daemon *daemon;
	uint16_t port;
	struct tl_http_conns *conns;
	struct tl_queue *queue;
	pthread_t workers[TL_HTTP_WORKERS_MAX];
	uint32_t worker_count;
	struct tl_buf timeout_reply;
	char name_prefix[9];

	/* guarded by stream_mtx */
	pthread_mutex_t stream_mtx;
	struct tl_http_stream *streams;
	bool is_closed_to_streams;

	/* any thread */
	_Atomic uint64_t request_no;
	struct tl_http_stats stats;
};

enum tl_http_stage {
	TL_HTTP_STAGE_HEAD, /* nothing was looked at */
	TL_HTTP_STAGE_BODY,
	TL_HTTP_STAGE_DISCARD, /* the body is too large */
	TL_HTTP_STAGE_WORK,    /* the worker's, or on the way back from it */
};

struct tl_http_request {
	struct tl_http_server *server;
	struct tl_http_conn *conn;
	struct MHD_Connection *connection;
	enum tl_http_stage stage;
	char name[32];
	enum tl_err line_err; /* of the request line */
	struct tl_why line_why;
	char *line; /* the target, decoded in place */
	struct tl_http_target target;
	enum tl_http_method method;
	const struct tl_http_route *route;
	struct tl_slice id;
	struct tl_buf body;
	uint64_t received_bytes;

	/* the answer */
	struct MHD_Response *response;
	int status;
	uint64_t answer_bytes;
	struct {
		const char *name;
		char value[TL_HTTP_REPLY_HEADER_BYTES];
	} headers[TL_HTTP_REPLY_HEADERS_MAX];
	uint32_t header_count;
	bool must_close;
	struct tl_http_stream *stream; /* NULL: the answer is a body */
	struct tl_http_ready *ready;   /* NULL: response is the request's own */
};

/* A socket that listens on the address, and which port it got. */
TL_MUST enum tl_err tl_http_listen(const char *address, int *fd_out, struct tl_why *why);
uint16_t tl_http_listen_port(int fd);

/* What libmicrohttpd calls: a request's line was read; its head, its body, its answer; it ended. */
void *tl_http_request_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result tl_http_request_handle(void *cls, struct MHD_Connection *connection,
	const char *url, const char *method, const char *version, const char *data,
	size_t *data_bytes, void **con_cls);
void tl_http_request_end(void *cls, struct MHD_Connection *connection, void **con_cls,
	enum MHD_RequestTerminationCode code);

/* The answer is response, which is taken over; answer_bytes long, 0: nobody knows. */
void tl_http_reply_response(struct tl_http_request *request, int status, const char *content_type,
	struct MHD_Response *response, uint64_t answer_bytes);

/* The stream's request is over; and all streams are, the server stops. */
void tl_http_stream_request_ended(struct tl_http_stream *stream);
void tl_http_streams_cut(struct tl_http_server *server);

#endif
