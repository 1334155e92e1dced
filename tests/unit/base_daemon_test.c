#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/base/daemon.h"

static const struct {
	const char *name;
	int signo;
	enum tl_daemon_event event;
} signals[] = {
	{"SIGTERM stops", SIGTERM, TL_DAEMON_STOP},
	{"SIGINT stops", SIGINT, TL_DAEMON_STOP},
	{"SIGHUP reloads", SIGHUP, TL_DAEMON_RELOAD},
	{"SIGUSR1 reports", SIGUSR1, TL_DAEMON_REPORT},
};

static void
signals_become_events(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(kill(getpid(), signals[i].signo), 0);
		if (tl_daemon_wait(60000) != signals[i].event)
			fail_msg("%s", signals[i].name);
	}
	assert_int_equal(tl_daemon_wait(0), TL_DAEMON_TICK);
}

static void
without_a_signal_the_tick_comes_in_time(void **state)
{
	int64_t start_us = tl_clock_mono_us();

	(void)state;
	assert_int_equal(tl_daemon_wait(20), TL_DAEMON_TICK);
	assert_true(tl_clock_mono_us() - start_us >= 20000);
}

static void
do_nothing(int signo)
{
	(void)signo;
}

/* Another signal ends sigtimedwait, but not the wait: what comes next is the event. */
static void
a_foreign_signal_does_not_end_the_wait(void **state)
{
	struct sigaction action = {.sa_handler = do_nothing};
	int64_t start_us = tl_clock_mono_us();
	pid_t child;

	(void)state;
	assert_int_equal(sigaction(SIGUSR2, &action, NULL), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		for (int i = 0; i < 5; i++) {
			kill(getppid(), SIGUSR2);
			usleep(2000);
		}
		_exit(0);
	}
	assert_int_equal(tl_daemon_wait(50), TL_DAEMON_TICK);
	assert_true(tl_clock_mono_us() - start_us >= 50000);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void
a_broken_pipe_is_an_error_not_the_end(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(fds[1]);
}

/* Runs body in a child and returns its exit code, -1 when a signal killed it. */
static int
exit_code_of(void (*body)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		alarm(60);
		body();
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
stop_twice(void)
{
	kill(getpid(), SIGTERM);
	if (tl_daemon_wait(60000) != TL_DAEMON_STOP)
		_exit(98);
	tl_daemon_stopping(7, 60);
	kill(getpid(), SIGTERM);
}

static void
interrupt_before_stopping(void)
{
	/* It came between the first signal and the call. */
	kill(getpid(), SIGINT);
	tl_daemon_stopping(8, 60);
}

static void
terminate_while_waiting(void)
{
	pid_t child;

	tl_daemon_stopping(9, 60);
	child = fork();
	if (child == 0) {
		kill(getppid(), SIGTERM);
		_exit(0);
	}
	tl_daemon_wait(60000);
}

static void
report_while_stopping(void)
{
	tl_daemon_stopping(7, 60);
	kill(getpid(), SIGUSR1);
	_exit(tl_daemon_wait(60000) == TL_DAEMON_REPORT ? 10 : 97);
}

static void
stop_once(void)
{
	kill(getpid(), SIGTERM);
	tl_daemon_wait(60000);
	tl_daemon_stopping(7, 60);
	_exit(0);
}

static void
stop_for_ever(void)
{
	tl_daemon_stopping(11, 1);
	for (;;)
		tl_daemon_wait(60000);
}

static const struct {
	const char *name;
	void (*body)(void);
	int exit_code;
} stops[] = {
	{"one signal lets the process stop in order", stop_once, 0},
	{"a second one ends it at once", stop_twice, 7},
	{"so does one that was already waiting", interrupt_before_stopping, 8},
	{"and one that comes during a wait", terminate_while_waiting, 9},
	{"the others are still events", report_while_stopping, 10},
	{"a stop that takes too long ends by itself", stop_for_ever, 11},
};

static void
a_second_stop_ends_the_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		if (exit_code_of(stops[i].body) != stops[i].exit_code)
			fail_msg("%s", stops[i].name);
	}
}

/* What a supervisor bound to the address hears; first is its first byte, '@' for abstract. */
static void
assert_notifies(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t address_bytes =
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char heard[32] = {0};

	assert_true(fd >= 0);
	memcpy(address.sun_path, path, strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address, address_bytes), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	tl_daemon_notify("READY=1");
	assert_int_equal(recv(fd, heard, sizeof(heard) - 1, MSG_DONTWAIT), 7);
	assert_string_equal(heard, "READY=1");
	close(fd);
}

static void
a_supervisor_is_notified(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/base_daemon_test.%d", (int)getpid());
	assert_notifies(path);
	unlink(path);
	snprintf(path, sizeof(path), "@base_daemon_test.%d", (int)getpid());
	assert_notifies(path);
}

static void
without_a_supervisor_nothing_happens(void **state)
{
	static const char *const addresses[] = {"", "@", "relative", "/nobody/is/here",
		"/long/0123456789012345678901234567890123456789012345678901234567890123456789"
		"01234567890123456789012345678901234567890123456789"};

	(void)state;
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	tl_daemon_notify("READY=1");
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", addresses[i], 1), 0);
		tl_daemon_notify("READY=1");
	}
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

static void
a_thread_is_named_and_a_long_name_cut(void **state)
{
	char name[32];

	(void)state;
	tl_thread_name("writer");
	assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	assert_string_equal(name, "writer");
	tl_thread_name("0123456789abcdefgh");
	assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	assert_string_equal(name, "0123456789abcde");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_become_events),
		cmocka_unit_test(without_a_signal_the_tick_comes_in_time),
		cmocka_unit_test(a_foreign_signal_does_not_end_the_wait),
		cmocka_unit_test(a_broken_pipe_is_an_error_not_the_end),
		cmocka_unit_test(a_second_stop_ends_the_process),
		cmocka_unit_test(a_supervisor_is_notified),
		cmocka_unit_test(without_a_supervisor_nothing_happens),
		cmocka_unit_test(a_thread_is_named_and_a_long_name_cut),
	};

	tl_daemon_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
