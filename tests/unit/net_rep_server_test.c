#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/model/limits.h"
#include "schema/net/rep_server.h"
#include "schema/net/req_client.h"

#define WAIT_MS 10000 /* far above what anything here takes */

static char dir[64];
static char ipc_path[96];
static char ipc_url[112];
static struct tl_why why;

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/tally-net-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(ipc_path, sizeof(ipc_path), "%s/s.ipc", dir);
	snprintf(ipc_url, sizeof(ipc_url), "ipc://%s", ipc_path);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(ipc_path);
	return rmdir(dir);
}

/* A server with worker threads that answer each request with its own bytes. */
struct echo {
	struct tl_queue *queue;
	struct tl_rep_server *server;
	pthread_t workers[4];
	size_t worker_count;
	char tcp_url[64];
};

static void *
echo_work(void *arg)
{
	struct echo *echo = arg;
	void *element;

	while (tl_queue_pop(echo->queue, -1, &element) == TL_OK) {
		struct tl_rep_request *request = element;

		assert_true(tl_rep_request_received_us(request) <= tl_clock_mono_us());
		tl_rep_request_reply(request, tl_rep_request_body(request));
	}
	return NULL;
}

static void
echo_start(struct echo *echo, size_t worker_count, size_t queue_count_max)
{
	const char *urls[] = {"tcp://127.0.0.1:0", ipc_url};
	struct tl_rep_options options = {
		.urls = urls,
		.url_count = 2,
		.full_reply = tl_slice_str("full"),
		.closed_reply = tl_slice_str("closed"),
	};

	*echo = (struct echo){.worker_count = worker_count};
	assert_int_equal(tl_queue_new(queue_count_max, 64u << 20, &echo->queue), TL_OK);
	options.queue = echo->queue;
	if (tl_rep_server_start(&options, &echo->server, &why) != TL_OK)
		fail_msg("%s", why.text);
	assert_int_not_equal(tl_rep_server_port(echo->server), 0);
	snprintf(echo->tcp_url, sizeof(echo->tcp_url), "tcp://127.0.0.1:%u",
		tl_rep_server_port(echo->server));
	for (size_t i = 0; i < worker_count; i++)
		assert_int_equal(pthread_create(&echo->workers[i], NULL, echo_work, echo), 0);
}

static void
echo_stop(struct echo *echo)
{
	void *element;

	tl_queue_close(echo->queue);
	for (size_t i = 0; i < echo->worker_count; i++)
		pthread_join(echo->workers[i], NULL);
	tl_rep_server_stop(echo->server);
	while (tl_queue_pop(echo->queue, 0, &element) == TL_OK)
		tl_rep_request_drop(element);
	tl_queue_free(echo->queue);
}

static struct tl_req_client *
client_open(const char *url)
{
	struct tl_req_client *client;

	if (tl_req_client_open(url, &client, &why) != TL_OK)
		fail_msg("%s", why.text);
	return client;
}

static void
call_expect(struct tl_req_client *client, struct tl_slice request, struct tl_slice wanted)
{
	struct tl_buf reply;

	tl_buf_init(&reply, 0);
	if (tl_req_client_call(client, request, WAIT_MS, &reply, &why) != TL_OK)
		fail_msg("%s", why.text);
	assert_true(tl_slice_eq(tl_buf_slice(&reply), wanted));
	tl_buf_fini(&reply);
}

static void
a_request_is_answered_over_tcp_and_ipc(void **state)
{
	static uint8_t large[1u << 20];
	struct echo echo;
	const char *urls[2] = {ipc_url};

	(void)state;
	echo_start(&echo, 2, 100);
	urls[1] = echo.tcp_url;
	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < 2; i++) {
		struct tl_req_client *client = client_open(urls[i]);

		call_expect(client, tl_slice_str("hello"), tl_slice_str("hello"));
		call_expect(client, tl_slice_of(NULL, 0), tl_slice_of(NULL, 0));
		call_expect(client, tl_slice_of(large, sizeof(large)),
			tl_slice_of(large, sizeof(large)));
		tl_req_client_close(client);
	}
	echo_stop(&echo);
}

static void
an_ipc_socket_is_for_its_user_alone(void **state)
{
	struct echo echo;
	struct stat status;

	(void)state;
	echo_start(&echo, 1, 10);
	assert_int_equal(stat(ipc_path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	echo_stop(&echo);
}

static void
a_stale_socket_file_is_replaced(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct tl_req_client *client;
	struct echo echo;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	/* What a killed server leaves: a bound file that nobody listens on. */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", ipc_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(access(ipc_path, F_OK), 0);
	echo_start(&echo, 1, 10);
	client = client_open(ipc_url);
	call_expect(client, tl_slice_str("hello"), tl_slice_str("hello"));
	tl_req_client_close(client);
	echo_stop(&echo);
}

static void
an_address_in_use_is_named(void **state)
{
	struct tl_rep_options options = {.url_count = 1};
	struct tl_rep_server *server;
	struct echo echo;
	const char *urls[1];

	(void)state;
	echo_start(&echo, 1, 10);
	urls[0] = echo.tcp_url;
	options.urls = urls;
	options.queue = echo.queue;
	assert_int_equal(tl_rep_server_start(&options, &server, &why), TL_EIO);
	assert_non_null(strstr(why.text, echo.tcp_url));
	urls[0] = "carrier-pigeon://roof";
	assert_int_equal(tl_rep_server_start(&options, &server, &why), TL_EIO);
	tl_rep_server_stop(NULL);
	echo_stop(&echo);
}

static void
many_requests_are_outstanding_at_once(void **state)
{
	enum { CALLS = 64 };
	struct tl_req_call *calls[CALLS];
	struct tl_req_client *client;
	struct echo echo;
	struct tl_rep_stats stats;

	(void)state;
	echo_start(&echo, 4, 1000);
	client = client_open(echo.tcp_url);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < CALLS; i++) {
			uint8_t request[2] = {(uint8_t)round, (uint8_t)i};

			assert_int_equal(
				tl_req_call_start(client, tl_slice_of(request, 2), &calls[i], &why),
				TL_OK);
		}
		for (int i = CALLS - 1; i >= 0; i--) {
			uint8_t wanted[2] = {(uint8_t)round, (uint8_t)i};
			struct tl_buf reply;

			tl_buf_init(&reply, 0);
			assert_int_equal(
				tl_req_call_finish(calls[i], WAIT_MS, &reply, &why), TL_OK);
			assert_true(tl_slice_eq(tl_buf_slice(&reply), tl_slice_of(wanted, 2)));
			tl_buf_fini(&reply);
		}
	}
	do {
		/* A reply is counted when nng has it, and may arrive before that. */
		sched_yield();
		tl_rep_server_stats(echo.server, &stats);
	} while (stats.replied < 20 * CALLS);
	assert_true(stats.received >= 20 * CALLS);
	assert_int_equal(stats.refused_full, 0);
	assert_int_equal(stats.pipes, 1);
	tl_req_client_close(client);
	echo_stop(&echo);
}

static void
a_full_queue_is_answered_at_once(void **state)
{
	struct tl_req_client *client;
	struct tl_req_call *first;
	struct tl_rep_stats stats;
	struct tl_buf reply;
	struct echo echo;
	void *element;

	(void)state;
	echo_start(&echo, 0, 1);
	client = client_open(ipc_url);
	assert_int_equal(tl_req_call_start(client, tl_slice_str("first"), &first, &why), TL_OK);
	while (tl_queue_count(echo.queue) == 0)
		sched_yield();
	call_expect(client, tl_slice_str("second"), tl_slice_str("full"));
	tl_rep_server_stats(echo.server, &stats);
	assert_int_equal(stats.refused_full, 1);

	assert_int_equal(tl_queue_pop(echo.queue, WAIT_MS, &element), TL_OK);
	tl_rep_request_reply(element, tl_slice_str("served"));
	tl_buf_init(&reply, 0);
	assert_int_equal(tl_req_call_finish(first, WAIT_MS, &reply, &why), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&reply), tl_slice_str("served")));
	tl_buf_fini(&reply);

	tl_queue_close(echo.queue);
	call_expect(client, tl_slice_str("late"), tl_slice_str("closed"));
	tl_req_client_close(client);
	echo_stop(&echo);
}

static void
the_deadline_is_ours_and_the_client_goes_on(void **state)
{
	struct tl_req_client *client;
	struct tl_buf reply;
	struct echo echo;
	void *element;
	int64_t start_us;

	(void)state;
	echo_start(&echo, 0, 10);
	client = client_open(echo.tcp_url);
	tl_buf_init(&reply, 0);
	start_us = tl_clock_mono_us();
	assert_int_equal(
		tl_req_client_call(client, tl_slice_str("lost"), 50, &reply, &why), TL_ETIMEOUT);
	assert_true(tl_clock_mono_us() - start_us >= 50000);
	assert_int_equal(reply.bytes, 0);

	/* The late answer to the lost request must not be taken for another's. */
	assert_int_equal(tl_queue_pop(echo.queue, WAIT_MS, &element), TL_OK);
	tl_rep_request_reply(element, tl_slice_str("too late"));
	assert_int_equal(
		pthread_create(&echo.workers[echo.worker_count++], NULL, echo_work, &echo), 0);
	call_expect(client, tl_slice_str("next"), tl_slice_str("next"));
	tl_buf_fini(&reply);
	tl_req_client_close(client);
	echo_stop(&echo);
}

static void
a_server_that_comes_later_is_found(void **state)
{
	struct tl_req_client *client = client_open(ipc_url);
	struct tl_req_call *call;
	struct tl_buf reply;
	struct echo echo;

	(void)state;
	tl_buf_init(&reply, 0);
	assert_int_equal(
		tl_req_client_call(client, tl_slice_str("nobody"), 30, &reply, &why), TL_ETIMEOUT);
	assert_int_equal(tl_req_call_start(client, tl_slice_str("early"), &call, &why), TL_OK);
	echo_start(&echo, 1, 10);
	assert_int_equal(tl_req_call_finish(call, WAIT_MS, &reply, &why), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&reply), tl_slice_str("early")));
	echo_stop(&echo);

	/* A restarted server gets what was not answered. */
	tl_buf_reset(&reply);
	assert_int_equal(tl_req_call_start(client, tl_slice_str("again"), &call, &why), TL_OK);
	echo_start(&echo, 1, 10);
	assert_int_equal(tl_req_call_finish(call, WAIT_MS, &reply, &why), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&reply), tl_slice_str("again")));
	tl_req_client_close(client);
	echo_stop(&echo);
	tl_buf_fini(&reply);
}

static void
a_message_above_the_transport_s_limit_never_arrives(void **state)
{
	uint8_t *large = calloc(1, TL_TRANSPORT_BYTES_MAX + 1024);
	struct tl_req_client *client;
	struct tl_rep_stats stats;
	struct tl_buf reply;
	struct echo echo;

	(void)state;
	assert_non_null(large);
	echo_start(&echo, 1, 10);
	client = client_open(echo.tcp_url);
	tl_buf_init(&reply, 0);
	assert_int_equal(
		tl_req_client_call(client, tl_slice_of(large, TL_TRANSPORT_BYTES_MAX + 1024), 200,
			&reply, &why),
		TL_ETIMEOUT);
	tl_rep_server_stats(echo.server, &stats);
	assert_int_equal(stats.received, 0);
	call_expect(client, tl_slice_of(large, TL_TRANSPORT_BYTES_MAX - 64),
		tl_slice_of(large, TL_TRANSPORT_BYTES_MAX - 64));
	tl_buf_fini(&reply);
	tl_req_client_close(client);
	echo_stop(&echo);
	free(large);
}

static void
a_reply_that_does_not_fit_is_the_buffer_s_error(void **state)
{
	struct tl_req_client *client;
	struct tl_buf reply;
	struct echo echo;

	(void)state;
	echo_start(&echo, 1, 10);
	client = client_open(ipc_url);
	tl_buf_init(&reply, 4);
	assert_int_equal(
		tl_req_client_call(client, tl_slice_str("12345"), WAIT_MS, &reply, &why), TL_EFULL);
	tl_buf_reset(&reply);
	assert_int_equal(
		tl_req_client_call(client, tl_slice_str("1234"), WAIT_MS, &reply, &why), TL_OK);
	tl_buf_fini(&reply);
	tl_req_client_close(client);
	echo_stop(&echo);
}

static void
a_request_may_outlive_its_server(void **state)
{
	struct tl_req_client *client;
	struct tl_req_call *call;
	struct tl_buf reply;
	struct echo echo;
	void *element;

	(void)state;
	echo_start(&echo, 0, 10);
	client = client_open(ipc_url);
	assert_int_equal(tl_req_call_start(client, tl_slice_str("hello"), &call, &why), TL_OK);
	assert_int_equal(tl_queue_pop(echo.queue, WAIT_MS, &element), TL_OK);
	echo_stop(&echo);
	assert_true(tl_slice_eq(tl_rep_request_body(element), tl_slice_str("hello")));
	tl_rep_request_reply(element, tl_slice_str("nobody hears this"));
	tl_buf_init(&reply, 0);
	assert_int_equal(tl_req_call_finish(call, 0, &reply, &why), TL_ETIMEOUT);
	tl_buf_fini(&reply);
	tl_req_client_close(client);
}

static void
replies_leave_before_the_server_is_gone(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		struct tl_req_client *client;
		struct tl_req_call *call;
		struct tl_buf reply;
		struct echo echo;
		void *element;

		echo_start(&echo, 0, 10);
		client = client_open(echo.tcp_url);
		assert_int_equal(
			tl_req_call_start(client, tl_slice_str("hello"), &call, &why), TL_OK);
		assert_int_equal(tl_queue_pop(echo.queue, WAIT_MS, &element), TL_OK);
		tl_rep_request_reply(element, tl_slice_str("bye"));
		echo_stop(&echo);
		tl_buf_init(&reply, 0);
		assert_int_equal(tl_req_call_finish(call, WAIT_MS, &reply, &why), TL_OK);
		assert_true(tl_slice_eq(tl_buf_slice(&reply), tl_slice_str("bye")));
		tl_buf_fini(&reply);
		tl_req_client_close(client);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_answered_over_tcp_and_ipc),
		cmocka_unit_test(an_ipc_socket_is_for_its_user_alone),
		cmocka_unit_test(a_stale_socket_file_is_replaced),
		cmocka_unit_test(an_address_in_use_is_named),
		cmocka_unit_test(many_requests_are_outstanding_at_once),
		cmocka_unit_test(a_full_queue_is_answered_at_once),
		cmocka_unit_test(the_deadline_is_ours_and_the_client_goes_on),
		cmocka_unit_test(a_server_that_comes_later_is_found),
		cmocka_unit_test(a_message_above_the_transport_s_limit_never_arrives),
		cmocka_unit_test(a_reply_that_does_not_fit_is_the_buffer_s_error),
		cmocka_unit_test(a_request_may_outlive_its_server),
		cmocka_unit_test(replies_leave_before_the_server_is_gone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
