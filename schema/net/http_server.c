/*
 * The course of a request: begin (its line was read), check (its head), take (its body), wait for
 * a worker, answer. All but the work is on libmicrohttpd's threads; the request belongs to them or
 * to the worker, never to both: a suspended connection is handed over by the queue and comes back
 * by its resumption.
 */
#include "schema/net/http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/base/queue.h"
#include "schema/net/http_head.h"
#include "schema/wire/json.h"

#define LIBRARY_THREADS 2u
#define CONNECTION_BYTES (32u << 10) /* a head of 16 KiB as the library keeps it */
#define LISTEN_BACKLOG 1024
#define WORKERS_MAX 256u
#define BUSY_RETRY_MS 250
#define GZIP_BYTES_MIN 1024u
#define REPLY_HEADERS_MAX 8u

/*
 * A body that is too large is read and forgotten up to here, so that its sender hears of it: a
 * connection closed with bytes unread is reset, and the answer lost with it.
 */
#define DISCARD_BYTES_MAX (8u << 20)

#define STOP_WRITE_MS 2000
#define STOP_STEP_NS 5000000

const struct tl_http_options tl_http_defaults = {
	.worker_count = 8,
	.waiting_max = 512,
	.connection_max = 4096,
	.per_address_max = 64,
	.deadlines = {.head_ms = 5000, .body_ms = 10000, .write_ms = 30000, .idle_ms = 30000},
};

struct tl_http_server {
	/* fixed after start */
	struct tl_http_options options;
	struct MHD_Daemon *daemon;
	uint16_t port;
	struct tl_http_conns *conns;
	struct tl_queue *queue;
	pthread_t workers[WORKERS_MAX];
	uint32_t worker_count;
	struct tl_buf timeout_reply;
	char name_prefix[9];

	/* any thread */
	_Atomic uint64_t request_no;
	struct tl_http_stats stats;
};

enum stage {
	STAGE_HEAD, /* nothing was looked at */
	STAGE_BODY,
	STAGE_DISCARD, /* the body is too large */
	STAGE_WORK,    /* the worker's, or on the way back from it */
};

struct tl_http_request {
	struct tl_http_server *server;
	struct tl_http_conn *conn;
	struct MHD_Connection *connection;
	enum stage stage;
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
		char value[128];
	} headers[REPLY_HEADERS_MAX];
	uint32_t header_count;
	bool must_close;
};

static const struct {
	const char *name, *value;
} security_headers[] = {
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
	{"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
};

enum tl_http_method
tl_http_request_method(const struct tl_http_request *request)
{
	return request->method;
}

const struct tl_http_target *
tl_http_request_target(const struct tl_http_request *request)
{
	return &request->target;
}

struct tl_slice
tl_http_request_id(const struct tl_http_request *request)
{
	return request->id;
}

struct tl_slice
tl_http_request_body(const struct tl_http_request *request)
{
	return tl_buf_slice(&request->body);
}

const char *
tl_http_request_name(const struct tl_http_request *request)
{
	return request->name;
}

struct tl_slice
tl_http_request_header(const struct tl_http_request *request, const char *name)
{
	const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);

	return value != NULL ? tl_slice_str(value) : tl_slice_of(NULL, 0);
}

struct tl_slice
tl_http_request_bearer(const struct tl_http_request *request)
{
	struct tl_slice value = tl_http_request_header(request, "Authorization");

	if (value.bytes < 7 || strncasecmp((const char *)value.data, "Bearer ", 7) != 0)
		return tl_slice_of(NULL, 0);
	return tl_slice_of(value.data + 7, value.bytes - 7);
}

bool
tl_http_request_takes_msgpack(const struct tl_http_request *request)
{
	return tl_http_head_takes(tl_http_request_header(request, "Accept"), "application/msgpack");
}

void
tl_http_reply_header(struct tl_http_request *request, const char *name, const char *value)
{
	assert(request->header_count < REPLY_HEADERS_MAX);
	request->headers[request->header_count].name = name;
	snprintf(request->headers[request->header_count].value, sizeof(request->headers[0].value),
		"%s", value);
	request->header_count++;
}

/* Later wins: MHD would send both. */
static void
put_headers(struct tl_http_request *request, const char *content_type)
{
	struct MHD_Response *response = request->response;
	bool has_caching = false;

	for (uint32_t i = 0; i < request->header_count; i++) {
		MHD_add_response_header(
			response, request->headers[i].name, request->headers[i].value);
		has_caching = has_caching || strcmp(request->headers[i].name, "Cache-Control") == 0;
	}
	if (!has_caching)
		MHD_add_response_header(response, "Cache-Control", "no-store");
	if (content_type != NULL)
		MHD_add_response_header(response, "Content-Type", content_type);
	MHD_add_response_header(response, "X-Request-Id", request->name);
	for (size_t i = 0; i < sizeof(security_headers) / sizeof(security_headers[0]); i++)
		MHD_add_response_header(
			response, security_headers[i].name, security_headers[i].value);
	if (request->server->options.is_behind_tls)
		MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
	if (request->must_close)
		MHD_add_response_header(response, "Connection", "close");
}

static void
body_dropped(void *body)
{
	tl_http_body_drop(body);
}

/* The gzip stream instead of the body, where the asker takes it and it is worth it. */
static struct tl_http_body *
encode(struct tl_http_request *request, struct tl_http_body *body)
{
	struct tl_http_body *gzipped;

	if (tl_http_body_slice(body).bytes < GZIP_BYTES_MIN)
		return body;
	tl_http_reply_header(request, "Vary", "Accept, Accept-Encoding, Authorization");
	if (!tl_http_head_takes(tl_http_request_header(request, "Accept-Encoding"), "gzip"))
		return body;
	gzipped = tl_http_body_hold(tl_http_body_gzip(body));
	if (gzipped == NULL)
		return body;
	tl_http_body_drop(body);
	tl_http_reply_header(request, "Content-Encoding", "gzip");
	return gzipped;
}

void
tl_http_reply(struct tl_http_request *request, int status, const char *content_type,
	struct tl_http_body *body)
{
	struct tl_slice bytes;

	assert(request->response == NULL);
	if (body != NULL)
		body = encode(request, body);
	bytes = tl_http_body_slice(body);
	request->response = MHD_create_response_from_buffer_with_free_callback_cls(
		bytes.bytes, (void *)bytes.data, body_dropped, body);
	if (request->response == NULL) {
		tl_http_body_drop(body);
		return;
	}
	request->status = status;
	request->answer_bytes = bytes.bytes;
	put_headers(request, content_type);
	tl_counter_add(&request->server->stats.replies[status / 100 % 6], 1);
}

/* The error map as the asker takes it. */
static enum tl_err
make_error_body(struct tl_http_request *request, enum tl_err err,
	const struct tl_error_detail *detail, struct tl_http_body **body_out)
{
	struct tl_buf msgpack, text;
	enum tl_err made;

	tl_buf_init(&msgpack, 0);
	tl_buf_init(&text, 0);
	tl_frame_put_error(&msgpack, err, detail);
	if (tl_http_request_takes_msgpack(request)) {
		made = tl_http_body_of(&msgpack, body_out);
	} else {
		tl_json_put_reply(&text, tl_buf_slice(&msgpack), 0);
		tl_buf_put_str(&text, "\n");
		made = tl_http_body_of(&text, body_out);
	}
	tl_buf_fini(&msgpack);
	tl_buf_fini(&text);
	return made;
}

void
tl_http_reply_error(
	struct tl_http_request *request, enum tl_err err, const struct tl_error_detail *detail)
{
	struct tl_error_detail said = {.limit = INT64_MIN};
	enum tl_err code = tl_err_outward(err);
	struct tl_http_body *body = NULL;
	char seconds[24];

	if (detail != NULL)
		said = *detail;
	said.request_id = request->name;
	if (tl_err_retry(code) == TL_RETRY_AFTER && said.retry_after_ms == 0)
		said.retry_after_ms = BUSY_RETRY_MS;
	if (said.retry_after_ms > 0) {
		snprintf(seconds, sizeof(seconds), "%lld",
			(long long)((said.retry_after_ms + 999) / 1000));
		tl_http_reply_header(request, "Retry-After", seconds);
	}
	if (code == TL_EUNAUTHENTICATED)
		tl_http_reply_header(request, "WWW-Authenticate", "Bearer");
	if (make_error_body(request, code, &said, &body))
		body = NULL;
	tl_http_reply(request, tl_err_http(code),
		tl_http_request_takes_msgpack(request) ? "application/msgpack" : "application/json",
		body);
}

/* Refuse what is not understood: the connection ends with it, for what follows is a guess. */
static void
refuse(struct tl_http_request *request, enum tl_err err, const struct tl_why *why, int64_t limit)
{
	struct tl_error_detail detail = {.limit = limit};

	if (why != NULL && why->text[0] != '\0')
		detail.message = why->text;
	request->must_close = true;
	tl_counter_add(&request->server->stats.refused, 1);
	tl_http_reply_error(request, err, &detail);
}

/* Answer what was made; without an answer, for want of memory, the connection is closed. */
static enum MHD_Result
answer(struct tl_http_request *request)
{
	if (request->response == NULL)
		return MHD_NO;
	tl_http_conn_phase(
		request->server->conns, request->conn, TL_HTTP_WRITE, request->answer_bytes);
	return MHD_queue_response(
		request->connection, (unsigned int)request->status, request->response);
}

static void *
begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct tl_http_server *server = cls;
	struct tl_http_request *request = calloc(1, sizeof(*request));
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (request == NULL)
		return NULL;
	request->server = server;
	request->connection = connection;
	request->conn = info != NULL ? info->socket_context : NULL;
	snprintf(request->name, sizeof(request->name), "%s-%llx", server->name_prefix,
		(unsigned long long)atomic_fetch_add(&server->request_no, 1));
	tl_buf_init(&request->body, 0);
	tl_http_conn_phase(server->conns, request->conn, TL_HTTP_HEAD, 0);
	if (strlen(uri) > TL_HTTP_TARGET_BYTES_MAX)
		request->line_err = TL_EURI_TOO_LONG;
	else
		request->line = strdup(uri);
	if (request->line != NULL)
		request->line_err =
			tl_http_target_parse(request->line, &request->target, &request->line_why);
	return request;
}

static void
end(void *cls, struct MHD_Connection *connection, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct tl_http_request *request = *con_cls;

	(void)cls;
	(void)connection;
	(void)code;
	if (request == NULL)
		return;
	tl_http_conn_phase(request->server->conns, request->conn, TL_HTTP_IDLE, 0);
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	tl_buf_fini(&request->body);
	free(request->line);
	free(request);
	*con_cls = NULL;
}

struct head_walk {
	struct tl_http_head head;
	const struct tl_http_options *options;
};

static enum MHD_Result
walk_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
	const char *value, size_t value_bytes)
{
	struct head_walk *walk = cls;

	(void)kind;
	tl_http_head_add(&walk->head, tl_slice_of(name, name_bytes),
		tl_slice_of(value, value_bytes), walk->options->hosts, walk->options->host_count);
	return MHD_YES;
}

static bool
parse_method(const char *text, enum tl_http_method *method_out)
{
	if (strcmp(text, "HEAD") == 0)
		text = "GET";
	for (int method = 0; method < TL_HTTP_METHOD_COUNT; method++) {
		if (strcmp(text, tl_http_method_name((enum tl_http_method)method)) == 0) {
			*method_out = (enum tl_http_method)method;
			return true;
		}
	}
	return false;
}

static void
refuse_method(struct tl_http_request *request, uint32_t methods)
{
	char allow[64] = "";

	for (int method = 0; method < TL_HTTP_METHOD_COUNT; method++) {
		if ((methods & (1u << method)) == 0)
			continue;
		if (allow[0] != '\0')
			strcat(allow, ", ");
		strcat(allow, tl_http_method_name((enum tl_http_method)method));
		if (method == TL_HTTP_GET)
			strcat(allow, ", HEAD");
	}
	tl_http_reply_header(request, "Allow", allow);
	tl_counter_add(&request->server->stats.refused, 1);
	tl_http_reply_error(request, TL_EBAD_METHOD, NULL);
}

static void
find_route(struct tl_http_request *request, const char *method)
{
	const struct tl_http_options *options = &request->server->options;
	bool is_method = parse_method(method, &request->method);
	uint32_t methods;

	request->route = tl_http_route_find(options->routes, options->route_count, request->method,
		&request->target, &request->id, &methods);
	if (is_method && request->route != NULL)
		return;
	request->route = NULL;
	if (methods != 0) {
		refuse_method(request, methods);
		return;
	}
	tl_counter_add(&request->server->stats.refused, 1);
	tl_http_reply_error(request, TL_ENOT_FOUND, NULL);
}

/* Everything about the head; an answer is made unless all is well. */
static void
check(struct tl_http_request *request, const char *method, const char *version)
{
	struct head_walk walk = {.options = &request->server->options};
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct tl_why why = {0};
	enum tl_err err;

	MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, walk_header, &walk);
	if (info == NULL || info->header_size > TL_HTTP_HEAD_BYTES_MAX ||
		walk.head.header_count > TL_HTTP_HEADERS_MAX) {
		refuse(request, TL_EHEADER_TOO_LARGE, NULL, TL_HTTP_HEAD_BYTES_MAX);
		return;
	}
	err = tl_http_head_check(&walk.head, &why);
	if (!err && strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		err = tl_fail(&why, TL_EBAD_HEADER, "the version is not HTTP/1.1");
	if (!err && request->line_err)
		err = tl_fail(&why, request->line_err, "%s", request->line_why.text);
	if (err) {
		refuse(request, err, &why,
			err == TL_EURI_TOO_LONG ? (int64_t)TL_HTTP_TARGET_BYTES_MAX : INT64_MIN);
		return;
	}
	find_route(request, method);
	if (request->route == NULL)
		return;
	request->body.bytes_max = request->route->body_bytes_max;
	request->stage = STAGE_BODY;
	if (walk.head.body_bytes > request->route->body_bytes_max)
		request->stage = STAGE_DISCARD;
	if (walk.head.body_bytes > DISCARD_BYTES_MAX ||
		(request->stage == STAGE_DISCARD &&
			tl_http_request_header(request, "Expect").bytes > 0))
		refuse(request, TL_EFRAME_TOO_LARGE, NULL, request->route->body_bytes_max);
}

/* A part of the body. MHD_NO: it is so much too large that nobody is told. */
static enum MHD_Result
take(struct tl_http_request *request, const char *data, size_t bytes)
{
	request->received_bytes += bytes;
	tl_http_conn_phase(
		request->server->conns, request->conn, TL_HTTP_BODY, request->received_bytes);
	if (request->received_bytes > request->route->body_bytes_max)
		request->stage = STAGE_DISCARD;
	if (request->stage == STAGE_DISCARD)
		return request->received_bytes > DISCARD_BYTES_MAX ? MHD_NO : MHD_YES;
	tl_buf_put(&request->body, data, bytes);
	return request->body.err ? MHD_NO : MHD_YES;
}

/* Hand over to a worker. Suspended first: the worker may be done before the push returns. */
static enum MHD_Result
hand_over(struct tl_http_request *request)
{
	struct tl_http_server *server = request->server;
	struct MHD_Connection *connection = request->connection;
	enum tl_err err;

	request->stage = STAGE_WORK;
	tl_http_conn_phase(server->conns, request->conn, TL_HTTP_WORK, 0);
	MHD_suspend_connection(connection);
	err = tl_queue_push(server->queue, request, 0);
	if (!err)
		return MHD_YES;
	if (err == TL_EFULL)
		tl_counter_add(&server->stats.overloaded, 1);
	tl_http_reply_error(request, err == TL_EFULL ? TL_EOVERLOADED : TL_ESHUTTING_DOWN, NULL);
	MHD_resume_connection(connection);
	return MHD_YES;
}

static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *data, size_t *data_bytes, void **con_cls)
{
	struct tl_http_request *request = *con_cls;
	enum MHD_Result result;

	(void)cls;
	(void)connection;
	(void)url;
	if (request == NULL)
		return MHD_NO;
	switch (request->stage) {
	case STAGE_HEAD:
		tl_counter_add(&request->server->stats.requests, 1);
		check(request, method, version);
		if (request->response != NULL)
			return answer(request);
		if (request->stage == STAGE_HEAD)
			return MHD_NO;
		tl_http_conn_phase(request->server->conns, request->conn, TL_HTTP_BODY, 0);
		return MHD_YES;
	case STAGE_BODY:
	case STAGE_DISCARD:
		if (*data_bytes > 0) {
			result = take(request, data, *data_bytes);
			*data_bytes = 0;
			return result;
		}
		if (request->stage == STAGE_BODY)
			return hand_over(request);
		refuse(request, TL_EFRAME_TOO_LARGE, NULL, request->route->body_bytes_max);
		return answer(request);
	case STAGE_WORK:
		return answer(request);
	}
	return MHD_NO;
}

static void
notice(void *cls, struct MHD_Connection *connection, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct tl_http_server *server = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		*socket_context =
			info != NULL ? tl_http_conn_open(server->conns, info->connect_fd) : NULL;
		return;
	}
	tl_http_conn_close(server->conns, *socket_context);
	*socket_context = NULL;
}

/* Percent signs are ours to decode, once and with an eye on what comes out. */
static size_t
leave_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
	(void)cls;
	(void)connection;
	return strlen(text);
}

static void *
work(void *arg)
{
	struct tl_http_server *server = arg;
	void *element;

	tl_thread_name("http-worker");
	while (tl_queue_pop(server->queue, -1, &element) == TL_OK) {
		struct tl_http_request *request = element;

		request->route->run(request, request->route, server->options.arg);
		if (request->response == NULL)
			tl_log(TL_LOG_ERROR, "no answer to request=%s path=%s", request->name,
				request->route->path);
		MHD_resume_connection(request->connection);
	}
	return NULL;
}

/* "host:port" with an address in numbers; names would say nothing about who can connect. */
static enum tl_err
split_address(const char *address, char host_out[64], char port_out[8], struct tl_why *why)
{
	const char *colon = strrchr(address, ':');
	const char *host = address;
	size_t bytes = colon != NULL ? (size_t)(colon - address) : 0;

	if (bytes > 2 && address[0] == '[' && address[bytes - 1] == ']') {
		host++;
		bytes -= 2;
	}
	if (bytes == 0 || bytes >= 64 || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
		return tl_fail(
			why, TL_ECONFIG, "'%s' is not an address like 127.0.0.1:8787", address);
	memcpy(host_out, host, bytes);
	host_out[bytes] = '\0';
	strcpy(port_out, colon + 1);
	return TL_OK;
}

bool
tl_http_is_loopback(const char *address)
{
	struct in6_addr v6;
	struct in_addr v4;
	char host[64], port[8];

	if (split_address(address, host, port, NULL))
		return false;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static enum tl_err
listen_on(const char *address, int *fd_out, struct tl_why *why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *found = NULL;
	char host[64], port[8];
	int yes = 1, fd;
	enum tl_err err = split_address(address, host, port, why);

	if (err)
		return err;
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return tl_fail(
			why, TL_ECONFIG, "'%s' is not an address like 127.0.0.1:8787", address);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
		bind(fd, found->ai_addr, found->ai_addrlen) != 0 ||
		listen(fd, LISTEN_BACKLOG) != 0) {
		err = tl_fail(why, TL_EIO, "listen on %s: %m", address);
		if (fd >= 0)
			close(fd);
	} else {
		*fd_out = fd;
	}
	freeaddrinfo(found);
	return err;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_storage bound;
	socklen_t bytes = sizeof(bound);
	char port[8];

	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0 ||
		getnameinfo((struct sockaddr *)&bound, bytes, NULL, 0, port, sizeof(port),
			NI_NUMERICSERV) != 0)
		return 0;
	return (uint16_t)atoi(port);
}

/* What a peer that is late hears, as bytes: no request is there to answer. */
static enum tl_err
make_timeout_reply(struct tl_buf *reply)
{
	struct tl_buf msgpack, text;
	enum tl_err err;

	tl_buf_init(&msgpack, 0);
	tl_buf_init(&text, 0);
	tl_buf_init(reply, 0);
	tl_frame_put_error(&msgpack, TL_EREQUEST_TIMEOUT, NULL);
	tl_json_put_reply(&text, tl_buf_slice(&msgpack), 0);
	tl_buf_put_str(&text, "\n");
	tl_buf_printf(reply,
		"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nCache-Control: no-store\r\n"
		"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		text.bytes);
	tl_buf_put_slice(reply, tl_buf_slice(&text));
	err = text.err ? text.err : reply->err;
	tl_buf_fini(&msgpack);
	tl_buf_fini(&text);
	return err;
}

static enum tl_err
start_daemon(struct tl_http_server *server, struct tl_why *why)
{
	const struct tl_http_options *options = &server->options;
	int fd = -1;
	enum tl_err err = listen_on(options->address, &fd, why);

	if (err)
		return err;
	server->port = port_of(fd);
	server->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME,
		0, NULL, NULL, handle, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_THREAD_POOL_SIZE, LIBRARY_THREADS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_LIMIT, options->connection_max,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->per_address_max,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, notice, server,
		MHD_OPTION_NOTIFY_COMPLETED, end, server, MHD_OPTION_URI_LOG_CALLBACK, begin,
		server, MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, server, MHD_OPTION_END);
	if (server->daemon == NULL) {
		close(fd);
		return tl_fail(why, TL_EIO, "serve HTTP on %s", options->address);
	}
	return TL_OK;
}

static enum tl_err
start_workers(struct tl_http_server *server, struct tl_why *why)
{
	assert(server->options.worker_count <= WORKERS_MAX);
	while (server->worker_count < server->options.worker_count) {
		if (pthread_create(&server->workers[server->worker_count], NULL, work, server) != 0)
			return tl_fail(why, TL_ENOMEM, "no thread for a worker");
		server->worker_count++;
	}
	return TL_OK;
}

enum tl_err
tl_http_server_start(const struct tl_http_options *options, struct tl_http_server **server_out,
	struct tl_why *why)
{
	struct tl_http_server *server = calloc(1, sizeof(*server));
	uint8_t random[4];
	enum tl_err err;

	if (server == NULL)
		return TL_ENOMEM;
	server->options = *options;
	tl_random(random, sizeof(random));
	tl_hex(random, sizeof(random), server->name_prefix);
	err = make_timeout_reply(&server->timeout_reply);
	if (!err)
		err = tl_queue_new(options->waiting_max, 0, &server->queue);
	if (!err)
		err = tl_http_conns_start(&options->deadlines, options->connection_max,
			tl_buf_slice(&server->timeout_reply), &server->conns);
	if (!err) {
		server->stats.conns = tl_http_conns_stats_of(server->conns);
		err = start_workers(server, why);
	}
	if (!err)
		err = start_daemon(server, why);
	if (err) {
		tl_http_server_stop(server);
		return err;
	}
	*server_out = server;
	return TL_OK;
}

uint16_t
tl_http_server_port(const struct tl_http_server *server)
{
	return server->port;
}

/* What was answered is on its way; a peer that does not read is not waited for long. */
static void
wait_for_writes(struct tl_http_server *server)
{
	const struct timespec step = {.tv_nsec = STOP_STEP_NS};
	int64_t until_ms = tl_clock_mono_us() / 1000 + STOP_WRITE_MS;

	while (tl_http_conns_count(server->conns, TL_HTTP_WORK) +
				tl_http_conns_count(server->conns, TL_HTTP_WRITE) >
			0 &&
		tl_clock_mono_us() / 1000 < until_ms)
		nanosleep(&step, NULL);
}

void
tl_http_server_stop(struct tl_http_server *server)
{
	int listen_fd = -1;

	if (server == NULL)
		return;
	if (server->daemon != NULL)
		listen_fd = MHD_quiesce_daemon(server->daemon);
	if (server->queue != NULL)
		tl_queue_close(server->queue);
	for (uint32_t i = 0; i < server->worker_count; i++)
		pthread_join(server->workers[i], NULL);
	if (server->daemon != NULL) {
		wait_for_writes(server);
		MHD_stop_daemon(server->daemon);
		close(listen_fd); /* the library's threads may have looked at it until here */
	}
	tl_http_conns_stop(server->conns);
	tl_queue_free(server->queue);
	tl_buf_fini(&server->timeout_reply);
	free(server);
}

const struct tl_http_stats *
tl_http_server_stats_of(const struct tl_http_server *server)
{
	return &server->stats;
}

uint32_t
tl_http_server_conns(const struct tl_http_server *server, enum tl_http_phase phase)
{
	return tl_http_conns_count(server->conns, phase);
}
