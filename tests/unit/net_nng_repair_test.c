/*
 * Peers that die at the worst moment. The test runs itself as the other process, because only a
 * killed process leaves connections the way these faults of nng need.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/net/nng_repair.h"
#include "schema/net/rep_server.h"
#include "schema/net/req_client.h"

#define WAIT_MS 10000 /* far above what anything here takes */
#define THREADS 4
#define KILLS 40 /* one in six or so met the fault on a busy server */

/* nng drops a message whose connection ends just before it would be sent, without freeing it. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libnng";
}

static char dir[64];
static char ipc_path[96];
static char ipc_url[112];
static struct tl_why why;
static uint8_t body[200000];

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

static void
sleep_ms(int64_t ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* A server that answers with the bytes it was sent. */
struct echo {
	struct tl_queue *queue;
	struct tl_rep_server *server;
	pthread_t worker;
	char tcp_url[64];
};

static void *
echo_work(void *arg)
{
	struct echo *echo = arg;
	void *element;

	while (tl_queue_pop(echo->queue, -1, &element) == TL_OK)
		tl_rep_request_reply(element, tl_rep_request_body(element));
	return NULL;
}

static enum tl_err
echo_start(struct echo *echo, const char *const *urls, size_t url_count)
{
	struct tl_rep_options options = {.urls = urls, .url_count = url_count};
	enum tl_err err = tl_queue_new(1000, 64u << 20, &echo->queue);

	options.queue = echo->queue;
	if (!err)
		err = tl_rep_server_start(&options, &echo->server, &why);
	if (err)
		return err;
	snprintf(echo->tcp_url, sizeof(echo->tcp_url), "tcp://127.0.0.1:%u",
		tl_rep_server_port(echo->server));
	return pthread_create(&echo->worker, NULL, echo_work, echo) == 0 ? TL_OK : TL_ENOMEM;
}

static void
echo_stop(struct echo *echo)
{
	tl_queue_close(echo->queue);
	pthread_join(echo->worker, NULL);
	tl_rep_server_stop(echo->server);
	tl_queue_free(echo->queue);
}

/* Call after call until told to stop; what was answered is counted. */
struct load {
	struct tl_req_client *client;
	size_t bytes_max;
	atomic_bool stop;
	atomic_uint answered;
	pthread_t threads[THREADS];
};

static void *
load_work(void *arg)
{
	struct load *load = arg;
	unsigned int seed = 1;

	while (!atomic_load(&load->stop)) {
		size_t bytes = 1 + (size_t)rand_r(&seed) % load->bytes_max;
		struct tl_buf reply;

		tl_buf_init(&reply, 0);
		if (tl_req_client_call(
			    load->client, tl_slice_of(body, bytes), WAIT_MS, &reply, NULL) == TL_OK)
			atomic_fetch_add(&load->answered, 1);
		tl_buf_fini(&reply);
	}
	return NULL;
}

static enum tl_err
load_start(struct load *load, const char *url, size_t bytes_max)
{
	enum tl_err err = tl_req_client_open(url, &load->client, &why);

	load->bytes_max = bytes_max;
	for (int i = 0; !err && i < THREADS; i++) {
		if (pthread_create(&load->threads[i], NULL, load_work, load) != 0)
			err = TL_ENOMEM;
	}
	return err;
}

static void
load_stop(struct load *load)
{
	atomic_store(&load->stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(load->threads[i], NULL);
	tl_req_client_close(load->client);
}

/* This program as another process: "client" or "server". */
static pid_t
spawn(const char *role, const char *url)
{
	char *args[] = {"peer", (char *)role, (char *)url, NULL};
	pid_t pid;

	assert_int_equal(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ), 0);
	return pid;
}

static void
kill_now(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int
run_as_peer(const char *role, const char *url)
{
	static struct load load;
	static struct echo echo;

	if (strcmp(role, "client") == 0) {
		if (load_start(&load, url, sizeof(body)) != TL_OK)
			return 1;
	} else if (echo_start(&echo, &url, 1) != TL_OK) {
		return 1;
	}
	for (;;)
		pause();
}

static void
clients_killed_under_load_leave_nothing_behind(void **state)
{
	const char *urls[] = {"tcp://127.0.0.1:0", ipc_url};
	struct tl_rep_stats stats = {0};
	struct echo echo;
	int64_t until_us;

	(void)state;
	assert_int_equal(echo_start(&echo, urls, 2), TL_OK);
	for (int i = 0; i < KILLS; i++) {
		uint64_t received = stats.received;
		pid_t pid = spawn("client", (i & 1) != 0 ? echo.tcp_url : ipc_url);

		while (stats.received < received + 20) {
			sched_yield();
			tl_rep_server_stats(echo.server, &stats);
		}
		kill_now(pid);
	}
	until_us = tl_clock_mono_us() + WAIT_MS * 1000;
	do {
		sched_yield();
		tl_rep_server_stats(echo.server, &stats);
	} while (stats.pipes > 0 && tl_clock_mono_us() < until_us);
	assert_int_equal(stats.pipes, 0);
	echo_stop(&echo); /* would never return */
}

static void
a_server_killed_under_load_is_found_again(void **state)
{
	struct load load = {0};

	(void)state;
	assert_int_equal(load_start(&load, ipc_url, sizeof(body)), TL_OK);
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = spawn("server", ipc_url);
		unsigned int answered = atomic_load(&load.answered);
		int64_t until_us = tl_clock_mono_us() + WAIT_MS * 1000;

		while (atomic_load(&load.answered) < answered + 10 && tl_clock_mono_us() < until_us)
			sleep_ms(1);
		assert_true(atomic_load(&load.answered) >= answered + 10);
		/* the calls on their way must not wait for a server that will not come */
		if (i == KILLS - 1)
			load_stop(&load);
		kill_now(pid);
	}
}

static int
unix_socket(struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", ipc_path);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static void
a_peer_that_leaves_before_the_greeting_does_not_end_a_listener(void **state)
{
	const char *urls[] = {ipc_url};
	struct sockaddr_un address;
	struct tl_req_client *client;
	struct tl_buf reply;
	struct echo echo;

	(void)state;
	assert_int_equal(echo_start(&echo, urls, 1), TL_OK);
	for (int i = 0; i < 300; i++) {
		int fd = unix_socket(&address);

		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		close(fd);
	}
	assert_int_equal(tl_req_client_open(ipc_url, &client, &why), TL_OK);
	tl_buf_init(&reply, 0);
	assert_int_equal(
		tl_req_client_call(client, tl_slice_str("hello"), WAIT_MS, &reply, &why), TL_OK);
	tl_buf_fini(&reply);
	tl_req_client_close(client);
	echo_stop(&echo);
}

static void
a_peer_that_leaves_before_the_greeting_does_not_end_a_dialer(void **state)
{
	const char *urls[] = {ipc_url};
	struct sockaddr_un address;
	struct tl_req_client *client;
	struct tl_req_call *call;
	struct tl_buf reply;
	struct echo echo;
	int fd = unix_socket(&address);
	struct timeval timeout = {.tv_sec = WAIT_MS / 1000}; /* of accept, when nobody dials */

	(void)state;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	unlink(ipc_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(tl_req_client_open(ipc_url, &client, &why), TL_OK);
	assert_int_equal(tl_req_call_start(client, tl_slice_str("hello"), &call, &why), TL_OK);
	for (int i = 0; i < 5; i++) {
		int peer = accept(fd, NULL, NULL);

		assert_true(peer >= 0);
		close(peer);
	}
	close(fd);
	unlink(ipc_path);
	assert_int_equal(echo_start(&echo, urls, 1), TL_OK);
	tl_buf_init(&reply, 0);
	assert_int_equal(tl_req_call_finish(call, WAIT_MS, &reply, &why), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&reply), tl_slice_str("hello")));
	tl_buf_fini(&reply);
	tl_req_client_close(client);
	echo_stop(&echo);
	assert_true(tl_nng_repair_count() > 0);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_killed_under_load_leave_nothing_behind),
		cmocka_unit_test(a_server_killed_under_load_is_found_again),
		cmocka_unit_test(a_peer_that_leaves_before_the_greeting_does_not_end_a_listener),
		cmocka_unit_test(a_peer_that_leaves_before_the_greeting_does_not_end_a_dialer),
	};

	if (argc == 3)
		return run_as_peer(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
