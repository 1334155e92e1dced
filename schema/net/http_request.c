/*
 * The course of a request: begin (its line was read), check (its head), take (its body), wait for
 * a worker, answer. All but the work is on libmicrohttpd's threads; the request belongs to them or
 * to the worker, never to both: a suspended connection is handed over by the queue and comes back
 * by its resumption.
 */
#include "schema/net/http_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema/net/http_head.h"

/*
 * A body that is too large is read and forgotten up to here, so that its sender hears of it: a
 * connection closed with bytes unread is reset, and the answer lost with it.
 */
#define DISCARD_BYTES_MAX (8u << 20)

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

/* Proxies may add a line each: they are one list, in the order they came. */
struct header_lines {
	const char *name;
	struct tl_buf text;
};

static enum MHD_Result
join_line(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_lines *lines = cls;

	(void)kind;
	if (strcasecmp(name, lines->name) == 0 && value != NULL)
		tl_buf_printf(&lines->text, ",%s", value);
	return MHD_YES;
}

/* The peer's own address; all zeros for one without. */
static struct tl_http_address
find_peer(const struct tl_http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct tl_http_address peer = {{0}};

	if (info != NULL && info->client_addr != NULL)
		tl_http_address_of(info->client_addr, &peer);
	return peer;
}

struct tl_http_address
tl_http_request_client(const struct tl_http_request *request)
{
	const struct tl_http_options *options = &request->server->options;
	struct tl_http_address client = find_peer(request);
	struct header_lines lines = {.name = "X-Forwarded-For"};

	if (options->proxies == NULL || options->forwarded == TL_HTTP_FORWARDED_NONE)
		return client;
	if (options->forwarded == TL_HTTP_FORWARDED)
		lines.name = "Forwarded";
	tl_buf_init(&lines.text, TL_HTTP_HEAD_BYTES_MAX);
	MHD_get_connection_values(request->connection, MHD_HEADER_KIND, join_line, &lines);
	client = tl_http_client_address(
		&client, options->proxies, options->forwarded, tl_buf_slice(&lines.text));
	tl_buf_fini(&lines.text);
	return client;
}

const struct tl_http_route *
tl_http_request_route(const struct tl_http_request *request)
{
	return request->route;
}

bool
tl_http_request_is_tls(const struct tl_http_request *request)
{
	return request->server->options.is_behind_tls;
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
	tl_http_conn_phase(request->server->conns, request->conn,
		request->stream != NULL ? TL_HTTP_STREAM : TL_HTTP_WRITE, request->answer_bytes);
	return MHD_queue_response(
		request->connection, (unsigned int)request->status, request->response);
}

void *
tl_http_request_begin(void *cls, const char *uri, struct MHD_Connection *connection)
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

void
tl_http_request_end(void *cls, struct MHD_Connection *connection, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct tl_http_request *request = *con_cls;

	(void)cls;
	(void)connection;
	(void)code;
	if (request == NULL)
		return;
	if (request->stream != NULL)
		tl_http_stream_request_ended(request->stream);
	tl_http_conn_phase(request->server->conns, request->conn, TL_HTTP_IDLE, 0);
	if (request->ready != NULL)
		tl_http_ready_drop(request->ready);
	else if (request->response != NULL)
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
	request->stage = TL_HTTP_STAGE_BODY;
	if (walk.head.body_bytes > request->route->body_bytes_max)
		request->stage = TL_HTTP_STAGE_DISCARD;
	if (walk.head.body_bytes > DISCARD_BYTES_MAX ||
		(request->stage == TL_HTTP_STAGE_DISCARD &&
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
		request->stage = TL_HTTP_STAGE_DISCARD;
	if (request->stage == TL_HTTP_STAGE_DISCARD)
		return request->received_bytes > DISCARD_BYTES_MAX ? MHD_NO : MHD_YES;
	tl_buf_put(&request->body, data, bytes);
	return request->body.err ? MHD_NO : MHD_YES;
}

void
tl_http_request_done(struct tl_http_request *request)
{
	MHD_resume_connection(request->connection);
}

void
tl_http_request_hand_on(struct tl_http_request *request)
{
	struct tl_http_server *server = request->server;
	enum tl_err err = tl_queue_push(server->queue, request, 0);

	if (!err)
		return;
	if (err == TL_EFULL)
		tl_counter_add(&server->stats.overloaded, 1);
	tl_http_reply_error(request, err == TL_EFULL ? TL_EOVERLOADED : TL_ESHUTTING_DOWN, NULL);
	tl_http_request_done(request);
}

/* To who answers. Suspended first: it may be answered before this returns. */
static enum MHD_Result
hand_over(struct tl_http_request *request)
{
	const struct tl_http_route *route = request->route;

	request->stage = TL_HTTP_STAGE_WORK;
	tl_http_conn_phase(request->server->conns, request->conn, TL_HTTP_WORK, 0);
	MHD_suspend_connection(request->connection);
	if (route->start == NULL || !route->start(request, route, request->server->options.arg))
		tl_http_request_hand_on(request);
	return MHD_YES;
}

enum MHD_Result
tl_http_request_handle(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_bytes,
	void **con_cls)
{
	struct tl_http_request *request = *con_cls;
	enum MHD_Result result;

	(void)cls;
	(void)connection;
	(void)url;
	if (request == NULL)
		return MHD_NO;
	switch (request->stage) {
	case TL_HTTP_STAGE_HEAD:
		tl_counter_add(&request->server->stats.requests, 1);
		check(request, method, version);
		if (request->response != NULL)
			return answer(request);
		if (request->stage == TL_HTTP_STAGE_HEAD)
			return MHD_NO;
		tl_http_conn_phase(request->server->conns, request->conn, TL_HTTP_BODY, 0);
		return MHD_YES;
	case TL_HTTP_STAGE_BODY:
	case TL_HTTP_STAGE_DISCARD:
		if (*data_bytes > 0) {
			result = take(request, data, *data_bytes);
			*data_bytes = 0;
			return result;
		}
		if (request->stage == TL_HTTP_STAGE_BODY)
			return hand_over(request);
		refuse(request, TL_EFRAME_TOO_LARGE, NULL, request->route->body_bytes_max);
		return answer(request);
	case TL_HTTP_STAGE_WORK:
		return answer(request);
	}
	return MHD_NO;
}
