/*
 * Who owns what: nng's threads run receive_done, which turns a message into a request and hands it
 * to the queue; whoever pops a request owns it, replies from any thread and never waits. A request
 * holds the server's memory (not its socket), so a reply after the stop is dropped, not a crash.
 */
#include "schema/net/rep_server.h"

#include <assert.h>
#include <netinet/in.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema/base/clock.h"
#include "schema/model/limits.h"
#include "schema/net/nng_repair.h"
#include "schema/net/peers.h"

#define RECEIVE_COUNT_DEFAULT 8u
#define FLUSH_US_MAX 200000LL

/*
 * Replies between us and nng's own thread that sorts them to their pipes. Without room a send that
 * does not wait fails whenever that thread is busy, even when every peer reads.
 */
#define SEND_BUFFER_MESSAGES 4096

struct receive {
	struct tl_rep_server *server;
	nng_aio *aio;
};

struct tl_rep_server {
	/* fixed after start */
	nng_socket socket;
	bool is_open;
	struct tl_queue *queue;
	struct tl_slice full_reply;
	struct tl_slice closed_reply;
	uint16_t port;
	uint32_t receive_count;
	struct receive *receives;

	/* any thread */
	atomic_uint holders; /* the starter and every request */
	atomic_ullong received;
	atomic_ullong replied;
	atomic_ullong refused_full;
	atomic_llong replied_us; /* when the last reply was handed to nng */

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t pipe_gone;
	uint32_t pipes;
};

struct tl_rep_request {
	struct tl_rep_server *server;
	nng_msg *message; /* body and the header that leads the reply back */
	int64_t received_us;
};

static void
server_release(struct tl_rep_server *server)
{
	if (atomic_fetch_sub(&server->holders, 1) > 1)
		return;
	pthread_cond_destroy(&server->pipe_gone);
	pthread_mutex_destroy(&server->mtx);
	free(server->receives);
	free(server);
}

/* The buffer has room or the reply is lost; nng_sendmsg with this flag completes before it returns.
 */
static void
reply_send(struct tl_rep_server *server, nng_msg *request, struct tl_slice reply)
{
	nng_msg *message;

	/* The first word of the header is the pipe's number and stays here. */
	if (!tl_peers_owe((uint32_t)nng_msg_get_pipe(request).id,
		    reply.bytes + nng_msg_header_len(request) - sizeof(uint32_t)))
		return;
	if (nng_msg_alloc(&message, reply.bytes) != 0)
		return;
	if (reply.bytes > 0)
		memcpy(nng_msg_body(message), reply.data, reply.bytes);
	if (nng_msg_header_append(message, nng_msg_header(request), nng_msg_header_len(request)) !=
			0 ||
		nng_sendmsg(server->socket, message, NNG_FLAG_NONBLOCK) != 0) {
		nng_msg_free(message);
		return;
	}
	atomic_fetch_add(&server->replied, 1);
	atomic_store(&server->replied_us, tl_clock_mono_us());
}

static void
message_hand_over(struct tl_rep_server *server, nng_msg *message)
{
	struct tl_rep_request *request = malloc(sizeof(*request));
	enum tl_err err;

	atomic_fetch_add(&server->received, 1);
	if (request == NULL) {
		nng_msg_free(message);
		return;
	}
	*request = (struct tl_rep_request){
		.server = server, .message = message, .received_us = tl_clock_mono_us()};
	atomic_fetch_add(&server->holders, 1);
	err = tl_queue_push(server->queue, request, nng_msg_len(message));
	if (err == TL_OK)
		return;
	if (err == TL_ECLOSED) {
		tl_rep_request_reply(request, server->closed_reply);
		return;
	}
	atomic_fetch_add(&server->refused_full, 1);
	tl_rep_request_reply(request, server->full_reply);
}

static void
receive_done(void *arg)
{
	struct receive *receive = arg;
	int result = nng_aio_result(receive->aio);

	if (result == NNG_ECLOSED || result == NNG_ECANCELED)
		return;
	if (result == 0)
		message_hand_over(receive->server, nng_aio_get_msg(receive->aio));
	nng_recv_aio(receive->server->socket, receive->aio);
}

/* Tell whose connection the pipe is. */
static void
pipe_introduce(nng_pipe pipe)
{
	struct sockaddr_storage from = {0};
	uint64_t pid = 0;
	nng_sockaddr address;

	if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &address) != 0)
		return;
	if (address.s_family == NNG_AF_INET) {
		*(struct sockaddr_in *)&from = (struct sockaddr_in){.sin_family = AF_INET,
			.sin_port = address.s_in.sa_port,
			.sin_addr.s_addr = address.s_in.sa_addr};
	} else if (address.s_family == NNG_AF_INET6) {
		from.ss_family = AF_INET6;
		((struct sockaddr_in6 *)&from)->sin6_port = address.s_in6.sa_port;
		memcpy(&((struct sockaddr_in6 *)&from)->sin6_addr, address.s_in6.sa_addr, 16);
	} else if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_PID, &pid) != 0) {
		return;
	}
	tl_peers_pipe_opened((uint32_t)pipe.id, from.ss_family != 0 ? &from : NULL, (int64_t)pid);
}

static void
pipe_changed(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	struct tl_rep_server *server = arg;

	if (event == NNG_PIPE_EV_ADD_POST)
		pipe_introduce(pipe);
	pthread_mutex_lock(&server->mtx);
	if (event == NNG_PIPE_EV_ADD_POST) {
		server->pipes++;
	} else if (server->pipes > 0) {
		server->pipes--;
		pthread_cond_broadcast(&server->pipe_gone);
	}
	pthread_mutex_unlock(&server->mtx);
}

static struct tl_rep_server *
server_new(const struct tl_rep_options *options)
{
	struct tl_rep_server *server = calloc(1, sizeof(*server));
	pthread_condattr_t monotonic;

	if (server == NULL)
		return NULL;
	server->receive_count =
		options->receive_count > 0 ? options->receive_count : RECEIVE_COUNT_DEFAULT;
	server->receives = calloc(server->receive_count, sizeof(*server->receives));
	if (server->receives == NULL) {
		free(server);
		return NULL;
	}
	server->queue = options->queue;
	server->full_reply = options->full_reply;
	server->closed_reply = options->closed_reply;
	atomic_init(&server->holders, 1);
	pthread_mutex_init(&server->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&server->pipe_gone, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return server;
}

static int
socket_open(struct tl_rep_server *server)
{
	int result;

	tl_nng_repair_start();
	result = nng_rep0_open_raw(&server->socket);
	if (result != 0)
		return result;
	server->is_open = true;
	result = nng_socket_set_size(
		server->socket, NNG_OPT_RECVMAXSZ, (size_t)TL_TRANSPORT_BYTES_MAX);
	if (result == 0)
		result = nng_socket_set_int(server->socket, NNG_OPT_SENDBUF, SEND_BUFFER_MESSAGES);
	if (result == 0)
		result =
			nng_pipe_notify(server->socket, NNG_PIPE_EV_ADD_POST, pipe_changed, server);
	if (result == 0)
		result =
			nng_pipe_notify(server->socket, NNG_PIPE_EV_REM_POST, pipe_changed, server);
	return result;
}

static int
url_listen(struct tl_rep_server *server, const char *url)
{
	nng_listener listener;
	int port = 0;
	int result = nng_listener_create(&listener, server->socket, url);

	if (result == 0)
		result = nng_listener_set_size(
			listener, NNG_OPT_RECVMAXSZ, (size_t)TL_TRANSPORT_BYTES_MAX);
	if (result == 0 && strncmp(url, "ipc:", 4) == 0)
		result = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, 0600);
	if (result == 0)
		result = nng_listener_start(listener, 0);
	if (result == 0 && strstr(url, "tcp") == url) {
		result = nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port);
		server->port = (uint16_t)port;
	}
	return result;
}

static int
receives_start(struct tl_rep_server *server)
{
	for (uint32_t i = 0; i < server->receive_count; i++) {
		struct receive *receive = &server->receives[i];
		int result;

		receive->server = server;
		result = nng_aio_alloc(&receive->aio, receive_done, receive);
		if (result != 0)
			return result;
	}
	for (uint32_t i = 0; i < server->receive_count; i++)
		nng_recv_aio(server->socket, server->receives[i].aio);
	return 0;
}

enum tl_err
tl_rep_server_start(
	const struct tl_rep_options *options, struct tl_rep_server **server_out, struct tl_why *why)
{
	struct tl_rep_server *server = server_new(options);
	enum tl_err err = TL_OK;
	int result;

	if (server == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for a server");
	result = socket_open(server);
	if (result != 0)
		err = tl_fail(why, TL_EIO, "open a reply socket: %s", nng_strerror(result));
	for (size_t i = 0; !err && i < options->url_count; i++) {
		result = url_listen(server, options->urls[i]);
		if (result != 0)
			err = tl_fail(why, TL_EIO, "listen on %s: %s", options->urls[i],
				nng_strerror(result));
	}
	if (!err) {
		result = receives_start(server);
		if (result != 0)
			err = tl_fail(why, TL_ENOMEM, "start receiving: %s", nng_strerror(result));
	}
	if (err) {
		tl_rep_server_stop(server);
		return err;
	}
	*server_out = server;
	return TL_OK;
}

uint16_t
tl_rep_server_port(const struct tl_rep_server *server)
{
	return server->port;
}

/*
 * nng cannot be asked whether a reply has left, so the last one gets its 200 ms, or less when no
 * peer is there to read it.
 */
static void
replies_flush(struct tl_rep_server *server)
{
	int64_t until_us = atomic_load(&server->replied_us) + FLUSH_US_MAX;
	struct timespec until = {
		.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
	int result = 0;

	pthread_mutex_lock(&server->mtx);
	while (server->pipes > 0 && result == 0)
		result = pthread_cond_timedwait(&server->pipe_gone, &server->mtx, &until);
	pthread_mutex_unlock(&server->mtx);
}

void
tl_rep_server_stop(struct tl_rep_server *server)
{
	if (server == NULL)
		return;
	for (uint32_t i = 0; i < server->receive_count; i++) {
		if (server->receives[i].aio != NULL)
			nng_aio_stop(server->receives[i].aio);
	}
	if (server->is_open) {
		if (atomic_load(&server->replied) > 0)
			replies_flush(server);
		nng_close(server->socket);
	}
	for (uint32_t i = 0; i < server->receive_count; i++) {
		if (server->receives[i].aio != NULL)
			nng_aio_free(server->receives[i].aio);
	}
	server_release(server);
}

struct tl_slice
tl_rep_request_body(const struct tl_rep_request *request)
{
	return tl_slice_of(nng_msg_body(request->message), nng_msg_len(request->message));
}

int64_t
tl_rep_request_received_us(const struct tl_rep_request *request)
{
	return request->received_us;
}

void
tl_rep_request_reply(struct tl_rep_request *request, struct tl_slice reply)
{
	reply_send(request->server, request->message, reply);
	tl_rep_request_drop(request);
}

void
tl_rep_request_drop(struct tl_rep_request *request)
{
	if (request == NULL)
		return;
	nng_msg_free(request->message);
	server_release(request->server);
	free(request);
}

void
tl_rep_server_stats(const struct tl_rep_server *server, struct tl_rep_stats *stats_out)
{
	struct tl_rep_server *counted = (struct tl_rep_server *)server; /* its mutex moves */

	stats_out->received = atomic_load(&counted->received);
	stats_out->replied = atomic_load(&counted->replied);
	stats_out->refused_full = atomic_load(&counted->refused_full);
	pthread_mutex_lock(&counted->mtx);
	stats_out->pipes = counted->pipes;
	pthread_mutex_unlock(&counted->mtx);
}
