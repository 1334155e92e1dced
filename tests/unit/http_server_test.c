/* The server with routes of its own and short deadlines, spoken to byte by byte. */
#include "http_peer.h"

#include <pthread.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"

#define BIG_BYTES 100000

/* Holds the routes "/held" back until it is opened. */
static struct {
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_open;
	int held_count;
} barrier = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};

static void
barrier_wait(void)
{
	pthread_mutex_lock(&barrier.mtx);
	barrier.held_count++;
	pthread_cond_broadcast(&barrier.changed);
	while (!barrier.is_open)
		pthread_cond_wait(&barrier.changed, &barrier.mtx);
	pthread_mutex_unlock(&barrier.mtx);
}

static void
barrier_set(bool is_open)
{
	pthread_mutex_lock(&barrier.mtx);
	barrier.is_open = is_open;
	barrier.held_count = 0;
	pthread_cond_broadcast(&barrier.changed);
	pthread_mutex_unlock(&barrier.mtx);
}

static void
barrier_wait_for(int held_count)
{
	pthread_mutex_lock(&barrier.mtx);
	while (barrier.held_count < held_count)
		pthread_cond_wait(&barrier.changed, &barrier.mtx);
	pthread_mutex_unlock(&barrier.mtx);
}

static void
reply_text(struct tl_http_request *request, struct tl_slice text)
{
	struct tl_http_body *body = NULL;
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	tl_buf_put_slice(&buf, text);
	assert_int_equal(tl_http_body_of(&buf, &body), TL_OK);
	tl_http_reply(request, 200, "text/plain", body);
}

static void
run_id(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	(void)route;
	(void)arg;
	reply_text(request, tl_http_request_id(request));
}

static void
run_echo(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	(void)route;
	(void)arg;
	reply_text(request, tl_http_request_body(request));
}

static void
run_held(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	barrier_wait();
	run_id(request, route, arg);
}

/* Another thread answers "now", hands "later" on, and the rest is not taken. */
static void *
answer_taken(void *arg)
{
	struct tl_http_request *request = arg;

	if (tl_slice_eq(tl_http_request_id(request), tl_slice_str("now"))) {
		reply_text(request, tl_slice_str("taken"));
		tl_http_request_done(request);
	} else {
		tl_http_request_hand_on(request);
	}
	return NULL;
}

static bool
start_taken(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	pthread_t thread;

	(void)route;
	(void)arg;
	if (tl_slice_eq(tl_http_request_id(request), tl_slice_str("never")))
		return false;
	assert_int_equal(pthread_create(&thread, NULL, answer_taken, request), 0);
	pthread_detach(thread);
	return true;
}

static void
run_big(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	static char text[BIG_BYTES];

	(void)route;
	(void)arg;
	memset(text, 'a', sizeof(text));
	reply_text(request, tl_slice_of(text, sizeof(text)));
}

static const struct tl_http_route routes[] = {
	{.path = "/id/{id}", .run = run_id},
	{.path = "/held/{id}", .run = run_held},
	{.path = "/taken/{id}", .run = run_held, .start = start_taken},
	{.path = "/big", .run = run_big},
	{.method = TL_HTTP_POST, .path = "/echo", .body_bytes_max = 1000, .run = run_echo},
};

static const char *const hosts[] = {"t"};

static struct tl_http_server *
start(const struct tl_http_options *change)
{
	struct tl_http_options options = *change;
	struct tl_http_server *server = NULL;
	struct tl_why why = {0};

	options.address = "127.0.0.1:0";
	options.routes = routes;
	options.route_count = sizeof(routes) / sizeof(routes[0]);
	options.hosts = hosts;
	options.host_count = 1;
	if (tl_http_server_start(&options, &server, &why))
		fail_msg("%s", why.text);
	return server;
}

static int
count(const char *text, const char *word)
{
	int found = 0;

	for (; (text = strstr(text, word)) != NULL; text++)
		found++;
	return found;
}

static void
one_request(const struct tl_http_server *server, const char *request, const char *wanted)
{
	struct tl_buf heard;
	int fd = dial(server);

	tl_buf_init(&heard, 0);
	say(fd, request);
	hear_all(fd, &heard);
	if (strstr((char *)heard.data, wanted) == NULL)
		fail_msg("%s\n->\n%s\nwithout %s", request, (char *)heard.data, wanted);
	tl_buf_fini(&heard);
}

static void
requests_are_answered_by_their_route(void **state)
{
	struct tl_http_server *server = start(&tl_http_defaults);

	(void)state;
	one_request(server, "GET /id/a%2Fb HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"\r\n\r\na/b");
	one_request(server,
		"POST /echo HTTP/1.1\r\nHost: t:1\r\nContent-Length: 5\r\nConnection: "
		"close\r\n\r\nhello",
		"\r\n\r\nhello");
	one_request(server,
		"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: "
		"close\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
		"\r\n\r\nhello");
	one_request(server, "GET /none HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"\"code\":\"not_found\"");
	one_request(server, "DELETE /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"Allow: POST\r\n");
	one_request(server, "PUT /id/x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"Allow: GET, HEAD\r\n");
	one_request(server, "GET /id/x HTTP/1.1\r\nHost: evil\r\n\r\n", "HTTP/1.1 400 ");
	tl_http_server_stop(server);
}

static void
pipelined_requests_are_answered_in_order(void **state)
{
	struct tl_http_server *server = start(&tl_http_defaults);
	struct tl_buf heard;
	int fd = dial(server);
	const char *first, *second, *third;

	(void)state;
	tl_buf_init(&heard, 0);
	say(fd, "GET /id/one HTTP/1.1\r\nHost: t\r\n\r\n"
		"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\ntwo"
		"GET /id/three HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	hear_all(fd, &heard);
	first = strstr((char *)heard.data, "\r\n\r\none");
	second = strstr((char *)heard.data, "\r\n\r\ntwo");
	third = strstr((char *)heard.data, "\r\n\r\nthree");
	assert_true(first != NULL && first < second && second < third);
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
a_start_takes_requests_off_the_workers(void **state)
{
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server;
	int fds[2];

	(void)state;
	options.worker_count = 1;
	barrier_set(false);
	server = start(&options);
	for (int i = 0; i < 2; i++) {
		fds[i] = dial(server);
		say(fds[i], i == 0 ? "GET /taken/later HTTP/1.1\r\nHost: t\r\n\r\n"
				   : "GET /taken/never HTTP/1.1\r\nHost: t\r\n\r\n");
	}
	barrier_wait_for(1); /* the worker is held, and what is taken is answered all the same */
	one_request(server, "GET /taken/now HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"\r\n\r\ntaken");
	barrier_set(true);
	for (int i = 0; i < 2; i++) {
		struct tl_buf heard;

		tl_buf_init(&heard, 0);
		hear(fds[i], &heard, i == 0 ? "\r\n\r\nlater" : "\r\n\r\nnever");
		tl_buf_fini(&heard);
		close(fds[i]);
	}
	tl_http_server_stop(server);
}

static void
a_body_has_a_bound(void **state)
{
	struct tl_http_server *server = start(&tl_http_defaults);
	char request[4096];
	size_t at;

	(void)state;
	for (int over = 0; over < 2; over++) {
		at = (size_t)snprintf(request, sizeof(request),
			"POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: "
			"%d\r\n\r\n",
			1000 + over);
		memset(request + at, 'b', 1000 + (size_t)over);
		request[at + 1000 + (size_t)over] = '\0';
		one_request(server, request, over ? "HTTP/1.1 413 " : "HTTP/1.1 200 ");
		at = (size_t)snprintf(request, sizeof(request),
			"POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: "
			"chunked\r\n\r\n%x\r\n",
			1000 + over);
		memset(request + at, 'b', 1000 + (size_t)over);
		strcpy(request + at + 1000 + over, "\r\n0\r\n\r\n");
		one_request(server, request, over ? "HTTP/1.1 413 " : "HTTP/1.1 200 ");
	}
	one_request(server,
		"GET /id/x HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
		"HTTP/1.1 413 ");
	tl_http_server_stop(server);
}

static void
gzip_comes_when_asked_for(void **state)
{
	static const char ask[] = "GET /big HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
				  "Accept-Encoding: gzip\r\n\r\n";
	struct tl_http_server *server = start(&tl_http_defaults);
	struct tl_buf heard;
	int fd = dial(server);

	(void)state;
	tl_buf_init(&heard, 0);
	say(fd, ask);
	hear_all(fd, &heard);
	assert_non_null(strstr((char *)heard.data, "Content-Encoding: gzip\r\n"));
	assert_true(heard.bytes < BIG_BYTES / 10);
	fd = dial(server);
	say(fd, "HEAD /big HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	hear_all(fd, &heard);
	assert_non_null(strstr((char *)heard.data, "Content-Length: 100000\r\n"));
	assert_true(heard.bytes < 2000);
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
a_full_queue_says_overloaded(void **state)
{
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server;
	struct tl_buf heard;
	int held, waiting;

	(void)state;
	options.worker_count = 1;
	options.waiting_max = 1;
	server = start(&options);
	barrier_set(false);
	tl_buf_init(&heard, 0);
	held = dial(server);
	say(held, "GET /held/1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	barrier_wait_for(1);
	waiting = dial(server);
	say(waiting, "GET /held/2 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
	while (tl_http_server_conns(server, TL_HTTP_WORK) < 2)
		usleep(1000);
	one_request(server, "GET /id/3 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
		"\"code\":\"overloaded\"");
	barrier_set(true);
	hear_all(held, &heard);
	assert_non_null(strstr((char *)heard.data, "\r\n\r\n1"));
	hear_all(waiting, &heard);
	assert_non_null(strstr((char *)heard.data, "\r\n\r\n2"));
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void *
open_barrier(void *server)
{
	(void)server;
	usleep(50000); /* the stop is on its way */
	barrier_set(true);
	return NULL;
}

static void
stop_answers_what_waits(void **state)
{
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server;
	struct tl_buf heard;
	pthread_t opener;
	int fds[20];

	(void)state;
	options.worker_count = 2;
	server = start(&options);
	barrier_set(false);
	for (int i = 0; i < 20; i++) {
		fds[i] = dial(server);
		say(fds[i], "GET /held/x HTTP/1.1\r\nHost: t\r\n\r\n");
	}
	while (tl_http_server_conns(server, TL_HTTP_WORK) < 20)
		usleep(1000);
	pthread_create(&opener, NULL, open_barrier, server);
	tl_http_server_stop(server);
	pthread_join(opener, NULL);
	tl_buf_init(&heard, 0);
	for (int i = 0; i < 20; i++) {
		hear_all(fds[i], &heard);
		assert_int_equal(count((char *)heard.data, "\r\n\r\nx"), 1);
	}
	tl_buf_fini(&heard);
}

/* Send text, then a byte each 30 ms for as long as the server listens; what it said. */
static void
drip(const struct tl_http_server *server, const char *text, struct tl_buf *heard)
{
	int fd = dial(server);
	char byte;

	say(fd, text);
	for (;;) {
		if (send(fd, "a", 1, MSG_NOSIGNAL) != 1)
			break;
		usleep(30000);
		if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
			break;
	}
	hear_all(fd, heard);
}

static void
who_is_late_is_shut_down(void **state)
{
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server;
	const struct tl_http_conns_stats *stats;
	struct tl_buf heard;
	int fd;

	(void)state;
	options.deadlines = (struct tl_http_deadlines){
		.head_ms = 200, .body_ms = 200, .write_ms = 300, .idle_ms = 300};
	server = start(&options);
	stats = tl_http_server_stats_of(server)->conns;
	tl_buf_init(&heard, 0);
	drip(server, "GET /id/x HTTP/1.1\r\nHost: t\r\nX: ", &heard);
	assert_non_null(strstr((char *)heard.data, "408 Request Timeout"));
	assert_int_equal(tl_counter_get(&stats->reaped[TL_HTTP_HEAD]), 1);
	drip(server, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 900\r\n\r\n", &heard);
	assert_non_null(strstr((char *)heard.data, "408 Request Timeout"));
	assert_int_equal(tl_counter_get(&stats->reaped[TL_HTTP_BODY]), 1);
	/* Nothing is said to who asks nothing. */
	fd = dial(server);
	say(fd, "GET /id/x HTTP/1.1\r\nHost: t\r\n\r\n");
	hear_all(fd, &heard);
	assert_null(strstr((char *)heard.data, "408"));
	assert_int_equal(tl_counter_get(&stats->reaped[TL_HTTP_IDLE]), 1);
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
the_oldest_without_a_head_makes_room(void **state)
{
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server;
	struct tl_buf heard;
	int fds[36];

	(void)state;
	options.connection_max = 40;
	server = start(&options);
	tl_buf_init(&heard, 0);
	for (int i = 0; i < 36; i++) {
		fds[i] = dial(server);
		while (tl_http_server_conns(server, TL_HTTP_HEAD) < (uint32_t)i + 1)
			usleep(1000);
	}
	one_request(
		server, "GET /id/x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", "\r\n\r\nx");
	hear_all(fds[0], &heard);
	assert_int_equal(
		tl_counter_get(&tl_http_server_stats_of(server)->conns->reaped[TL_HTTP_HEAD]), 1);
	for (int i = 1; i < 36; i++)
		close(fds[i]);
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
an_address_has_its_share(void **state)
{
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server;
	struct tl_buf heard;
	int fds[3];

	(void)state;
	options.per_address_max = 3;
	server = start(&options);
	tl_buf_init(&heard, 0);
	for (uint32_t i = 0; i < 3; i++) {
		fds[i] = dial(server);
		while (tl_http_server_conns(server, TL_HTTP_HEAD) < i + 1)
			usleep(1000);
	}
	hear_all(dial(server), &heard); /* closed at once */
	assert_int_equal(heard.bytes, 1);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	tl_buf_fini(&heard);
	tl_http_server_stop(server);
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const addresses[] = {"", "8787", "127.0.0.1", "localhost:8787",
		"127.0.0.1:", "127.0.0.1:http", "[::1:8787", "1.2.3.4.5:1"};
	struct tl_http_options options = tl_http_defaults;
	struct tl_http_server *server = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		options.address = addresses[i];
		assert_int_equal(tl_http_server_start(&options, &server, NULL), TL_ECONFIG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_answered_by_their_route),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(a_start_takes_requests_off_the_workers),
		cmocka_unit_test(a_body_has_a_bound),
		cmocka_unit_test(gzip_comes_when_asked_for),
		cmocka_unit_test(a_full_queue_says_overloaded),
		cmocka_unit_test(stop_answers_what_waits),
		cmocka_unit_test(who_is_late_is_shut_down),
		cmocka_unit_test(the_oldest_without_a_head_makes_room),
		cmocka_unit_test(an_address_has_its_share),
		cmocka_unit_test(what_is_no_address_is_refused),
	};

	if (tl_crypt_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
