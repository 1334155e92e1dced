#include "bench/live_load.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/http_load.h"
#include "bench/measure.h"
#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/net/req_client.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"

#define ANSWER_MS 30000
#define EVENTS_MAX 64
#define SETTLE_MS 1500 /* after the streams began, before the clock does */

struct listening {
	struct live_load *load;
	int epoll;
	int *fds;
	_Atomic uint64_t event_count;
	_Atomic int is_over;
};

static void
listen_on(struct listening *l, uint32_t idx)
{
	struct epoll_event event = {.events = EPOLLIN};
	char request[512];
	int fd = http_load_dial(l->load->port);
	size_t bytes = (size_t)snprintf(request, sizeof(request),
		"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
		l->load->tokens[idx / LIVE_LOAD_STREAMS_A_TOKEN]);

	if (send(fd, request, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
		measure_die("send a request: %m");
	event.data.fd = fd;
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event);
	l->fds[idx] = fd;
}

/* Events that say something: they begin with an id and have data, so "data:" counts them. */
static uint64_t
count_events(int fd)
{
	char part[8192];
	ssize_t got = recv(fd, part, sizeof(part) - 1, MSG_DONTWAIT);
	uint64_t count = 0;

	if (got == 0 || (got < 0 && errno != EAGAIN))
		measure_die("a stream ended: %m");
	if (got < 0)
		return 0;
	part[got] = '\0';
	if (strncmp(part, "HTTP/1.1 ", 9) == 0 && strncmp(part, "HTTP/1.1 200", 12) != 0)
		measure_die("answered %.60s", part);
	for (const char *at = part; (at = strstr(at, "\ndata: ")) != NULL; at++)
		count++;
	return count;
}

static void *
hear(void *arg)
{
	struct listening *l = arg;
	struct epoll_event events[EVENTS_MAX];

	while (!l->is_over) {
		int ready = epoll_wait(l->epoll, events, EVENTS_MAX, 50);

		for (int i = 0; i < ready; i++)
			l->event_count += count_events(events[i].data.fd);
	}
	return NULL;
}

static void
put_change(struct tl_buf *request, const struct live_load *load, int64_t now_ms)
{
	struct tl_pack_open map, event;
	uint8_t id[16];

	tl_buf_reset(request);
	tl_random(id, sizeof(id));
	map = tl_pack_open_map(request);
	tl_pack_key_int(request, &map, "v", 1);
	tl_pack_key_str(request, &map, "token", load->gateway_token);
	tl_pack_key(request, &map, "events");
	tl_pack_array(request, 1);
	event = tl_pack_open_map(request);
	tl_pack_key(request, &event, "id");
	tl_pack_bin(request, tl_slice_of(id, sizeof(id)));
	tl_pack_key_int(request, &event, "ts", now_ms);
	tl_pack_key_str(request, &event, "email", "ada@acme.test");
	tl_pack_key_str(request, &event, "agent", "codex");
	tl_pack_key_str(request, &event, "model", "m");
	tl_pack_key_int(request, &event, "input_tokens", 1);
	tl_pack_key_int(request, &event, "output_tokens", 1);
	tl_pack_close(request, &event);
	tl_pack_close(request, &map);
}

static void
push_for(struct live_load *load, struct tl_req_client *client, int64_t ms)
{
	const struct timespec pause = {.tv_nsec = LIVE_LOAD_CHANGE_MS * 1000000L};
	int64_t until_ns = measure_now_ns() + ms * 1000000;
	struct tl_buf request, reply;
	struct tl_why why = {0};

	tl_buf_init(&request, 0);
	tl_buf_init(&reply, 0);
	while (measure_now_ns() < until_ns) {
		put_change(&request, load, tl_clock_wall_ms(tl_clock_system()));
		tl_buf_reset(&reply);
		if (tl_req_client_call(client, tl_buf_slice(&request), ANSWER_MS, &reply, &why) ||
			tl_frame_reply_status(tl_buf_slice(&reply), &why))
			measure_die("a change was refused: %s", why.text);
		nanosleep(&pause, NULL);
	}
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
}

void
live_load_run(struct live_load *load)
{
	struct listening l = {.load = load, .epoll = epoll_create1(EPOLL_CLOEXEC)};
	struct tl_req_client *client;
	struct tl_why why = {0};
	pthread_t thread;

	l.fds = calloc(load->stream_count + 1, sizeof(*l.fds));
	for (uint32_t i = 0; i < load->stream_count; i++)
		listen_on(&l, i);
	if (l.fds == NULL || pthread_create(&thread, NULL, hear, &l) != 0)
		measure_die("nobody to listen");
	if (tl_req_client_open(load->ingest_url, &client, &why))
		measure_die("%s", why.text);
	push_for(load, client, SETTLE_MS);
	load->bridge_ns = measure_cpu_ns(load->bridge);
	load->tallyd_ns = measure_cpu_ns(load->tallyd);
	l.event_count = 0;
	push_for(load, client, load->ms);
	load->event_count = l.event_count;
	load->bridge_ns = measure_cpu_ns(load->bridge) - load->bridge_ns;
	load->tallyd_ns = measure_cpu_ns(load->tallyd) - load->tallyd_ns;
	l.is_over = 1;
	pthread_join(thread, NULL);
	tl_req_client_close(client);
	for (uint32_t i = 0; i < load->stream_count; i++)
		close(l.fds[i]);
	close(l.epoll);
	free(l.fds);
}
