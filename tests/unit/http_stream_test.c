/* Replies that go on: what is put arrives at once, and nobody is held up by who listens. */
#include "http_peer.h"

#include <pthread.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/net/http_stream.h"

#define STREAMS_MAX 16
#define STREAM_BYTES_MAX 4096
#define ASK "GET /stream HTTP/1.1\r\nHost: t\r\n\r\n"

/* The streams that were opened, in order. */
static struct {
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	struct tl_http_stream *streams[STREAMS_MAX];
	int count;
} opened = {.mtx = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void
run_stream(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_http_stream *stream = NULL;

	(void)route;
	(void)arg;
	if (tl_http_stream_open(request, "text/event-stream", STREAM_BYTES_MAX, &stream)) {
		tl_http_reply_error(request, TL_ESHUTTING_DOWN, NULL);
		return;
	}
	assert_true(tl_http_stream_put(stream, tl_slice_str("hello;")));
	pthread_mutex_lock(&opened.mtx);
	opened.streams[opened.count++] = stream;
	pthread_cond_broadcast(&opened.changed);
	pthread_mutex_unlock(&opened.mtx);
}

static void
run_plain(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	(void)route;
	(void)arg;
	tl_http_reply(request, 200, NULL, NULL);
}

static const struct tl_http_route routes[] = {
	{.path = "/stream", .run = run_stream},
	{.path = "/plain", .run = run_plain},
};

static const char *const hosts[] = {"t"};

static struct tl_http_server *
start(void)
{
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server = NULL;
	struct tl_why why = {0};

	opened.count = 0;
	options.address = "127.0.0.1:0";
	options.routes = routes;
	options.route_count = sizeof(routes) / sizeof(routes[0]);
	options.hosts = hosts;
	options.host_count = 1;
	options.worker_count = 1;
	if (tl_http_server_start(&options, &server, &why))
		fail_msg("%s", why.text);
	return server;
}

static struct tl_http_stream *
stream_of(int idx)
{
	struct tl_http_stream *stream;

	pthread_mutex_lock(&opened.mtx);
	while (opened.count <= idx)
		pthread_cond_wait(&opened.changed, &opened.mtx);
	stream = opened.streams[idx];
	pthread_mutex_unlock(&opened.mtx);
	return stream;
}

static void
what_is_put_arrives_while_the_stream_goes_on(void **state)
{
	struct tl_http_server *server = start();
	struct tl_buf heard;
	int fd = dial(server);

	(void)state;
	tl_buf_init(&heard, 0);
	say(fd, ASK);
	hear(fd, &heard, "6\r\nhello;\r\n");
	assert_non_null(strstr((char *)heard.data, "HTTP/1.1 200 "));
	assert_non_null(strstr((char *)heard.data, "Transfer-Encoding: chunked\r\n"));
	for (int i = 0; i < 3; i++) {
		assert_true(tl_http_stream_put(stream_of(0), tl_slice_str("more;")));
		hear(fd, &heard, "5\r\nmore;\r\n");
		tl_buf_reset(&heard);
	}
	assert_true(tl_http_stream_is_open(stream_of(0)));
	assert_int_equal(tl_http_server_conns(server, TL_HTTP_STREAM), 1);
	assert_true(tl_http_stream_put(stream_of(0), tl_slice_str("last;")));
	tl_http_stream_end(stream_of(0), true);
	hear(fd, &heard, "5\r\nlast;\r\n0\r\n\r\n");
	/* the connection is as any other afterwards */
	say(fd, "GET /plain HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	hear_all(fd, &heard);
	assert_non_null(strstr((char *)heard.data, "HTTP/1.1 200 "));
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
a_cut_stream_has_no_last_chunk(void **state)
{
	struct tl_http_server *server = start();
	struct tl_buf heard;
	int fd = dial(server);

	(void)state;
	tl_buf_init(&heard, 0);
	say(fd, ASK);
	hear(fd, &heard, "hello;\r\n");
	tl_http_stream_end(stream_of(0), false);
	hear_all(fd, &heard);
	assert_null(strstr((char *)heard.data, "0\r\n\r\n"));
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
quiet_streams_hold_nobody_up(void **state)
{
	struct tl_http_server *server = start();
	struct tl_buf heard;
	int fds[STREAMS_MAX], fd;

	(void)state;
	tl_buf_init(&heard, 0);
	for (int i = 0; i < STREAMS_MAX; i++) {
		fds[i] = dial(server);
		say(fds[i], ASK);
		stream_of(i);
	}
	fd = dial(server);
	say(fd, "GET /plain HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	hear_all(fd, &heard);
	assert_non_null(strstr((char *)heard.data, "HTTP/1.1 200 "));
	for (int i = 0; i < STREAMS_MAX; i++) {
		tl_http_stream_end(stream_of(i), false);
		hear_all(fds[i], &heard);
	}
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
a_peer_that_leaves_is_seen(void **state)
{
	struct tl_http_server *server = start();
	struct tl_buf heard;
	int fd = dial(server);

	(void)state;
	tl_buf_init(&heard, 0);
	say(fd, ASK);
	hear(fd, &heard, "hello;\r\n");
	assert_true(tl_http_stream_is_open(stream_of(0)));
	close(fd);
	while (tl_http_stream_is_open(stream_of(0)))
		usleep(1000);
	tl_http_stream_end(stream_of(0), false);
	while (tl_http_server_conns(server, TL_HTTP_STREAM) > 0)
		usleep(1000);
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
a_peer_that_does_not_read_is_given_up(void **state)
{
	struct tl_http_server *server = start();
	static char text[STREAM_BYTES_MAX / 2];
	int fd = dial(server);

	(void)state;
	say(fd, ASK);
	memset(text, 'x', sizeof(text));
	while (tl_http_stream_put(stream_of(0), tl_slice_of(text, sizeof(text))) &&
		tl_http_stream_wait(stream_of(0), 50))
		;
	assert_false(tl_http_stream_put(stream_of(0), tl_slice_of(text, sizeof(text))));
	tl_http_stream_end(stream_of(0), false);
	while (tl_http_server_conns(server, TL_HTTP_STREAM) > 0)
		usleep(1000);
	close(fd);
	tl_http_server_stop(server);
}

static void
stop_ends_what_is_open(void **state)
{
	struct tl_http_server *server = start();
	struct tl_buf heard;
	int fd = dial(server);
	int64_t start_us;

	(void)state;
	tl_buf_init(&heard, 0);
	say(fd, ASK);
	hear(fd, &heard, "hello;\r\n");
	start_us = tl_clock_mono_us();
	tl_http_server_stop(server);
	assert_true(tl_clock_mono_us() - start_us < 2000000);
	assert_false(tl_http_stream_put(stream_of(0), tl_slice_str("late")));
	assert_false(tl_http_stream_is_open(stream_of(0)));
	tl_http_stream_end(stream_of(0), true);
	hear_all(fd, &heard);
	assert_null(strstr((char *)heard.data, "late"));
	tl_buf_fini(&heard);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_arrives_while_the_stream_goes_on),
		cmocka_unit_test(a_cut_stream_has_no_last_chunk),
		cmocka_unit_test(quiet_streams_hold_nobody_up),
		cmocka_unit_test(a_peer_that_leaves_is_seen),
		cmocka_unit_test(a_peer_that_does_not_read_is_given_up),
		cmocka_unit_test(stop_ends_what_is_open),
	};

	if (tl_crypt_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
