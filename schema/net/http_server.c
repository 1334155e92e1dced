/* The server's life: listens, runs libmicrohttpd's threads and the workers, stops in order. */
#include "schema/net/http_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/wire/json.h"

#define LIBRARY_THREADS 2u
#define CONNECTION_BYTES (32u << 10) /* a head of 16 KiB as the library keeps it */

#define STOP_WRITE_MS 2000
#define STOP_STEP_NS 5000000

const struct tl_http_options tl_http_defaults = {
	.worker_count = 8,
	.waiting_max = 512,
	.connection_max = 4096,
	.per_address_max = 64,
	.deadlines = {.head_ms = 5000, .body_ms = 10000, .write_ms = 30000, .idle_ms = 30000},
};

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

/* Behind proxies nobody else comes in: what they add could be said by anybody. */
static enum MHD_Result
accept_peer(void *cls, const struct sockaddr *socket, socklen_t bytes)
{
	struct tl_http_server *server = cls;
	struct tl_http_address peer;

	(void)bytes;
	if (server->options.proxies == NULL ||
		(tl_http_address_of(socket, &peer) &&
			(tl_http_address_is_loopback(&peer) ||
				tl_http_proxies_have(server->options.proxies, &peer))))
		return MHD_YES;
	tl_counter_add(&server->stats.strangers, 1);
	return MHD_NO;
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
		tl_http_request_done(request);
	}
	return NULL;
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
	enum tl_err err = tl_http_listen(options->address, &fd, why);

	if (err)
		return err;
	server->port = tl_http_listen_port(fd);
	server->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME,
		0, accept_peer, server, tl_http_request_handle, server, MHD_OPTION_LISTEN_SOCKET,
		fd, MHD_OPTION_THREAD_POOL_SIZE, LIBRARY_THREADS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_CONNECTION_LIMIT, options->connection_max,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->per_address_max,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, notice, server,
		MHD_OPTION_NOTIFY_COMPLETED, tl_http_request_end, server,
		MHD_OPTION_URI_LOG_CALLBACK, tl_http_request_begin, server,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, server, MHD_OPTION_END);
	if (server->daemon == NULL) {
		close(fd);
		return tl_fail(why, TL_EIO, "serve HTTP on %s", options->address);
	}
	return TL_OK;
}

static enum tl_err
start_workers(struct tl_http_server *server, struct tl_why *why)
{
	assert(server->options.worker_count <= TL_HTTP_WORKERS_MAX);
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
	pthread_mutex_init(&server->stream_mtx, NULL);
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
	tl_http_streams_cut(server);
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
	pthread_mutex_destroy(&server->stream_mtx);
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
