#include "schema/net/http_conns.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "schema/base/clock.h"
#include "schema/base/daemon.h"

#define REAP_EVERY_MS 100

struct tl_http_conn {
	int fd;
	enum tl_http_phase phase;
	bool is_reaped;
	int64_t phase_us;		     /* when it began */
	int64_t deadline_us;		     /* 0: none */
	struct tl_http_conn *before, *after; /* by age, the oldest first */
};

struct tl_http_conns {
	/* fixed after start */
	struct tl_http_deadlines deadlines;
	uint32_t count_max;
	struct tl_slice timeout_reply;
	pthread_t reaper;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t wake; /* on the monotonic clock */
	bool is_stopping;
	struct tl_http_conn *first, *last;
	uint32_t count[TL_HTTP_PHASE_COUNT];
	uint32_t open_count;

	/* any thread */
	struct tl_http_conns_stats stats;
};

const char *
tl_http_phase_name(enum tl_http_phase phase)
{
	static const char *const names[TL_HTTP_PHASE_COUNT] = {
#define X(symbol, name) [symbol] = name,
		TL_HTTP_PHASE_LIST(X)
#undef X
	};

	assert(phase < TL_HTTP_PHASE_COUNT);
	return names[phase];
}

/*
 * End a connection: its owner sees end-of-file and closes it. A peer that began a request is told
 * why; nobody else writes then, for an answer begins only after the whole request.
 */
static void
reap(struct tl_http_conns *conns, struct tl_http_conn *conn)
{
	tl_counter_add(&conns->stats.reaped[conn->phase], 1);
	if (conn->phase == TL_HTTP_HEAD || conn->phase == TL_HTTP_BODY)
		send(conn->fd, conns->timeout_reply.data, conns->timeout_reply.bytes,
			MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(conn->fd, SHUT_RDWR);
	conn->is_reaped = true;
}

static void
reap_late(struct tl_http_conns *conns)
{
	int64_t now_us = tl_clock_mono_us();

	for (struct tl_http_conn *conn = conns->first; conn != NULL; conn = conn->after) {
		if (!conn->is_reaped && conn->deadline_us != 0 && conn->deadline_us <= now_us)
			reap(conns, conn);
	}
}

static void *
reaper_main(void *arg)
{
	struct tl_http_conns *conns = arg;

	tl_thread_name("http-reaper");
	pthread_mutex_lock(&conns->mtx);
	while (!conns->is_stopping) {
		int64_t until_us = tl_clock_mono_us() + REAP_EVERY_MS * 1000;
		struct timespec until = {
			.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};

		pthread_cond_timedwait(&conns->wake, &conns->mtx, &until);
		reap_late(conns);
	}
	pthread_mutex_unlock(&conns->mtx);
	return NULL;
}

enum tl_err
tl_http_conns_start(const struct tl_http_deadlines *deadlines, uint32_t count_max,
	struct tl_slice timeout_reply, struct tl_http_conns **conns_out)
{
	struct tl_http_conns *conns = calloc(1, sizeof(*conns));
	pthread_condattr_t monotonic;

	if (conns == NULL)
		return TL_ENOMEM;
	conns->deadlines = *deadlines;
	conns->count_max = count_max;
	conns->timeout_reply = timeout_reply;
	pthread_mutex_init(&conns->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&conns->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&conns->reaper, NULL, reaper_main, conns) != 0) {
		free(conns);
		return TL_ENOMEM;
	}
	*conns_out = conns;
	return TL_OK;
}

void
tl_http_conns_stop(struct tl_http_conns *conns)
{
	if (conns == NULL)
		return;
	pthread_mutex_lock(&conns->mtx);
	conns->is_stopping = true;
	pthread_cond_signal(&conns->wake);
	pthread_mutex_unlock(&conns->mtx);
	pthread_join(conns->reaper, NULL);
	assert(conns->open_count == 0);
	pthread_cond_destroy(&conns->wake);
	pthread_mutex_destroy(&conns->mtx);
	free(conns);
}

static int64_t
allowed_ms(const struct tl_http_deadlines *deadlines, enum tl_http_phase phase, uint64_t bytes)
{
	switch (phase) {
	case TL_HTTP_HEAD:
		return deadlines->head_ms;
	case TL_HTTP_BODY:
		return deadlines->body_ms + (int64_t)(bytes * 1000 / TL_HTTP_BODY_RATE);
	case TL_HTTP_WRITE:
		return deadlines->write_ms + (int64_t)(bytes * 1000 / TL_HTTP_WRITE_RATE);
	case TL_HTTP_IDLE:
		return deadlines->idle_ms;
	case TL_HTTP_WORK:
	case TL_HTTP_STREAM:
	case TL_HTTP_PHASE_COUNT:
		break;
	}
	return 0;
}

static void
enter(struct tl_http_conns *conns, struct tl_http_conn *conn, enum tl_http_phase phase,
	uint64_t bytes)
{
	int64_t ms = allowed_ms(&conns->deadlines, phase, bytes);

	if (conn->phase != phase) {
		conns->count[conn->phase]--;
		conns->count[phase]++;
		conn->phase = phase;
		conn->phase_us = tl_clock_mono_us();
	}
	conn->deadline_us = ms > 0 ? conn->phase_us + ms * 1000 : 0;
}

/* Who has been here longest without a whole head makes room. */
static void
make_room(struct tl_http_conns *conns)
{
	if ((uint64_t)conns->open_count * 10 < (uint64_t)conns->count_max * 9)
		return;
	for (struct tl_http_conn *conn = conns->first; conn != NULL; conn = conn->after) {
		if (!conn->is_reaped && conn->phase == TL_HTTP_HEAD) {
			reap(conns, conn);
			return;
		}
	}
}

struct tl_http_conn *
tl_http_conn_open(struct tl_http_conns *conns, int fd)
{
	struct tl_http_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->fd = fd;
	conn->phase_us = tl_clock_mono_us();
	tl_counter_add(&conns->stats.opened, 1);
	pthread_mutex_lock(&conns->mtx);
	make_room(conns);
	conn->before = conns->last;
	if (conns->last != NULL)
		conns->last->after = conn;
	else
		conns->first = conn;
	conns->last = conn;
	conns->open_count++;
	conns->count[conn->phase]++;
	enter(conns, conn, TL_HTTP_HEAD, 0);
	pthread_mutex_unlock(&conns->mtx);
	return conn;
}

void
tl_http_conn_close(struct tl_http_conns *conns, struct tl_http_conn *conn)
{
	if (conn == NULL)
		return;
	pthread_mutex_lock(&conns->mtx);
	if (conn->before != NULL)
		conn->before->after = conn->after;
	else
		conns->first = conn->after;
	if (conn->after != NULL)
		conn->after->before = conn->before;
	else
		conns->last = conn->before;
	conns->open_count--;
	conns->count[conn->phase]--;
	pthread_mutex_unlock(&conns->mtx);
	free(conn);
}

void
tl_http_conn_phase(struct tl_http_conns *conns, struct tl_http_conn *conn, enum tl_http_phase phase,
	uint64_t bytes)
{
	if (conn == NULL)
		return;
	pthread_mutex_lock(&conns->mtx);
	enter(conns, conn, phase, bytes);
	pthread_mutex_unlock(&conns->mtx);
}

bool
tl_http_conn_is_gone(const struct tl_http_conn *conn)
{
	struct pollfd fd = {.fd = conn != NULL ? conn->fd : -1, .events = POLLRDHUP};

	return poll(&fd, 1, 0) > 0;
}

void
tl_http_conn_shut(const struct tl_http_conn *conn)
{
	if (conn != NULL)
		shutdown(conn->fd, SHUT_RDWR);
}

uint32_t
tl_http_conns_count(struct tl_http_conns *conns, enum tl_http_phase phase)
{
	uint32_t count;

	pthread_mutex_lock(&conns->mtx);
	count = conns->count[phase];
	pthread_mutex_unlock(&conns->mtx);
	return count;
}

const struct tl_http_conns_stats *
tl_http_conns_stats_of(const struct tl_http_conns *conns)
{
	return &conns->stats;
}
