/*
 * A call is one nng context and one aio, used first to send and then to receive. Its life:
 *
 *	start: CALL_SENDING -> (sent) CALL_RECEIVING -> (reply or error) CALL_DONE: finish
 *
 * The steps run in nng's callback; the deadline is ours, a condition variable on the monotonic
 * clock. A call that ran into it is stopped and its context closed, so that no late reply can be
 * taken for the answer to another request; one that ended by itself is kept for the next.
 */
#include "schema/net/req_client.h"

#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema/base/clock.h"
#include "schema/net/nng_repair.h"

#define RESEND_MS 2000
#define RECONNECT_MS_MIN 10
#define RECONNECT_MS_MAX 500
#define REPLY_TRANSPORT_BYTES_MAX ((size_t)8 << 20)
#define IDLE_CALLS_MAX 64u

enum call_state {
	CALL_SENDING,
	CALL_RECEIVING,
	CALL_DONE,
};

struct tl_req_call {
	/* fixed */
	struct tl_req_client *client;
	nng_ctx context;
	nng_aio *aio;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t is_done;
	enum call_state state;
	int result;	/* nng's, once done */
	nng_msg *reply; /* once done with result 0 */

	struct tl_req_call *next; /* guarded by the client's mtx, while idle */
};

struct tl_req_client {
	/* fixed after open */
	nng_socket socket;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	struct tl_req_call *idle;
	uint32_t idle_count;
	uint32_t outstanding_count;
};

static void
call_free(struct tl_req_call *call)
{
	if (call == NULL)
		return;
	nng_aio_stop(call->aio);
	nng_ctx_close(call->context);
	nng_aio_free(call->aio);
	nng_msg_free(call->reply);
	pthread_cond_destroy(&call->is_done);
	pthread_mutex_destroy(&call->mtx);
	free(call);
}

static void
call_done(struct tl_req_call *call, int result, nng_msg *reply)
{
	pthread_mutex_lock(&call->mtx);
	call->state = CALL_DONE;
	call->result = result;
	call->reply = reply;
	pthread_cond_signal(&call->is_done);
	pthread_mutex_unlock(&call->mtx);
}

static void
call_step(void *arg)
{
	struct tl_req_call *call = arg;
	int result = nng_aio_result(call->aio);
	bool is_sent;

	pthread_mutex_lock(&call->mtx);
	is_sent = call->state == CALL_SENDING;
	if (is_sent && result == 0)
		call->state = CALL_RECEIVING;
	pthread_mutex_unlock(&call->mtx);

	if (is_sent && result == 0) {
		nng_ctx_recv(call->context, call->aio);
		return;
	}
	if (is_sent) {
		/* A message that could not be sent is ours again. */
		nng_msg_free(nng_aio_get_msg(call->aio));
		nng_aio_set_msg(call->aio, NULL);
	}
	call_done(call, result, result == 0 ? nng_aio_get_msg(call->aio) : NULL);
}

static int
call_new(struct tl_req_client *client, struct tl_req_call **call_out)
{
	struct tl_req_call *call = calloc(1, sizeof(*call));
	pthread_condattr_t monotonic;
	int result;

	if (call == NULL)
		return NNG_ENOMEM;
	call->client = client;
	result = nng_ctx_open(&call->context, client->socket);
	if (result != 0) {
		free(call);
		return result;
	}
	result = nng_aio_alloc(&call->aio, call_step, call);
	if (result != 0) {
		nng_ctx_close(call->context);
		free(call);
		return result;
	}
	nng_aio_set_timeout(call->aio, NNG_DURATION_INFINITE);
	pthread_mutex_init(&call->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&call->is_done, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*call_out = call;
	return 0;
}

static enum tl_err
client_fail(struct tl_why *why, const char *what, int result)
{
	return tl_fail(why, result == NNG_ENOMEM ? TL_ENOMEM : TL_EIO, "%s: %s", what,
		nng_strerror(result));
}

static int
socket_dial(nng_socket socket, const char *url)
{
	nng_dialer dialer;
	int result = nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, REPLY_TRANSPORT_BYTES_MAX);

	if (result == 0)
		result = nng_socket_set_ms(socket, NNG_OPT_RECONNMINT, RECONNECT_MS_MIN);
	if (result == 0)
		result = nng_socket_set_ms(socket, NNG_OPT_RECONNMAXT, RECONNECT_MS_MAX);
	if (result == 0)
		result = nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, RESEND_MS);
	if (result == 0)
		result = nng_dialer_create(&dialer, socket, url);
	if (result == 0)
		result = nng_dialer_set_size(dialer, NNG_OPT_RECVMAXSZ, REPLY_TRANSPORT_BYTES_MAX);
	if (result == 0)
		result = nng_dialer_start(dialer, NNG_FLAG_NONBLOCK);
	return result;
}

enum tl_err
tl_req_client_open(const char *url, struct tl_req_client **client_out, struct tl_why *why)
{
	struct tl_req_client *client = calloc(1, sizeof(*client));
	int result;

	if (client == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for a client");
	tl_nng_repair_start();
	result = nng_req0_open(&client->socket);
	if (result != 0) {
		free(client);
		return client_fail(why, "open a request socket", result);
	}
	result = socket_dial(client->socket, url);
	if (result != 0) {
		nng_close(client->socket);
		free(client);
		return tl_fail(why, TL_EIO, "dial %s: %s", url, nng_strerror(result));
	}
	pthread_mutex_init(&client->mtx, NULL);
	*client_out = client;
	return TL_OK;
}

void
tl_req_client_close(struct tl_req_client *client)
{
	if (client == NULL)
		return;
	assert(client->outstanding_count == 0);
	while (client->idle != NULL) {
		struct tl_req_call *call = client->idle;

		client->idle = call->next;
		call_free(call);
	}
	nng_close(client->socket);
	pthread_mutex_destroy(&client->mtx);
	free(client);
}

enum tl_err
tl_req_client_call(struct tl_req_client *client, struct tl_slice request, int64_t timeout_ms,
	struct tl_buf *reply, struct tl_why *why)
{
	struct tl_req_call *call;
	enum tl_err err = tl_req_call_start(client, request, &call, why);

	if (err)
		return err;
	return tl_req_call_finish(call, timeout_ms, reply, why);
}

/* An idle call or a new one; it counts as outstanding. */
static int
call_take(struct tl_req_client *client, struct tl_req_call **call_out)
{
	struct tl_req_call *call;
	int result = 0;

	pthread_mutex_lock(&client->mtx);
	call = client->idle;
	if (call != NULL) {
		client->idle = call->next;
		client->idle_count--;
	}
	client->outstanding_count++;
	pthread_mutex_unlock(&client->mtx);

	if (call == NULL)
		result = call_new(client, &call);
	if (result != 0) {
		pthread_mutex_lock(&client->mtx);
		client->outstanding_count--;
		pthread_mutex_unlock(&client->mtx);
		return result;
	}
	call->state = CALL_SENDING;
	*call_out = call;
	return 0;
}

/* Only a call whose context has nothing outstanding may be kept. */
static void
call_give_back(struct tl_req_call *call, bool keep)
{
	struct tl_req_client *client = call->client;

	nng_msg_free(call->reply);
	call->reply = NULL;
	pthread_mutex_lock(&client->mtx);
	client->outstanding_count--;
	keep = keep && client->idle_count < IDLE_CALLS_MAX;
	if (keep) {
		call->next = client->idle;
		client->idle = call;
		client->idle_count++;
	}
	pthread_mutex_unlock(&client->mtx);
	if (!keep)
		call_free(call);
}

enum tl_err
tl_req_call_start(struct tl_req_client *client, struct tl_slice request,
	struct tl_req_call **call_out, struct tl_why *why)
{
	struct tl_req_call *call;
	nng_msg *message;
	int result = nng_msg_alloc(&message, request.bytes);

	if (result != 0)
		return client_fail(why, "make a request", result);
	if (request.bytes > 0)
		memcpy(nng_msg_body(message), request.data, request.bytes);
	result = call_take(client, &call);
	if (result != 0) {
		nng_msg_free(message);
		return client_fail(why, "start a request", result);
	}
	nng_aio_set_msg(call->aio, message);
	nng_ctx_send(call->context, call->aio);
	*call_out = call;
	return TL_OK;
}

/* True when the call was done in time. */
static bool
call_wait(struct tl_req_call *call, int64_t timeout_ms)
{
	int64_t until_us = tl_clock_mono_us() + timeout_ms * 1000;
	struct timespec until = {
		.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
	bool done;
	int result = 0;

	pthread_mutex_lock(&call->mtx);
	while (call->state != CALL_DONE && result == 0)
		result = pthread_cond_timedwait(&call->is_done, &call->mtx, &until);
	done = call->state == CALL_DONE;
	pthread_mutex_unlock(&call->mtx);
	return done;
}

enum tl_err
tl_req_call_finish(
	struct tl_req_call *call, int64_t timeout_ms, struct tl_buf *reply, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	if (!call_wait(call, timeout_ms)) {
		call_give_back(call, false);
		return tl_fail(why, TL_ETIMEOUT, "no answer within %lld ms", (long long)timeout_ms);
	}
	if (call->result != 0) {
		err = client_fail(why, "request", call->result);
	} else {
		tl_buf_put(reply, nng_msg_body(call->reply), nng_msg_len(call->reply));
		err = reply->err;
		if (err)
			tl_fail(why, err, "no room for a reply of %zu bytes",
				nng_msg_len(call->reply));
	}
	call_give_back(call, call->result == 0);
	return err;
}
