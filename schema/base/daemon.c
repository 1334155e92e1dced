#include "schema/base/daemon.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"

#define THREAD_NAME_BYTES 16

/* Signals belong to the process, so this is its only state of that kind. Main thread only. */
static sigset_t waited;
static volatile sig_atomic_t exit_code_at_once;

void
tl_daemon_init(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	int rc;

	sigemptyset(&waited);
	sigaddset(&waited, SIGTERM);
	sigaddset(&waited, SIGINT);
	sigaddset(&waited, SIGHUP);
	sigaddset(&waited, SIGUSR1);
	rc = pthread_sigmask(SIG_BLOCK, &waited, NULL);
	assert(rc == 0);
	/* A peer that went away is an error of write, not the end of the process. */
	rc = sigaction(SIGPIPE, &ignore, NULL);
	assert(rc == 0);
}

static enum tl_daemon_event
event_of(int signo)
{
	if (signo == SIGHUP)
		return TL_DAEMON_RELOAD;
	if (signo == SIGUSR1)
		return TL_DAEMON_REPORT;
	assert(signo == SIGTERM || signo == SIGINT);
	return TL_DAEMON_STOP;
}

enum tl_daemon_event
tl_daemon_wait(int64_t tick_ms)
{
	int64_t now_us = tl_clock_mono_us();
	int64_t end_us = now_us + tick_ms * 1000;

	assert(tick_ms >= 0);
	for (;;) {
		int64_t left_us = end_us > now_us ? end_us - now_us : 0;
		struct timespec left = {
			.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};
		int signo = sigtimedwait(&waited, NULL, &left);

		if (signo > 0)
			return event_of(signo);
		if (errno == EAGAIN)
			return TL_DAEMON_TICK;
		/* Being stopped and continued, or traced, also ends the wait. */
		assert(errno == EINTR);
		now_us = tl_clock_mono_us();
	}
}

static void
exit_at_once(int signo)
{
	(void)signo;
	_exit(exit_code_at_once);
}

void
tl_daemon_stopping(int exit_code, unsigned deadline_s)
{
	struct sigaction action = {.sa_handler = exit_at_once};
	sigset_t stops;
	int rc;

	exit_code_at_once = exit_code;
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	rc = sigaction(SIGTERM, &action, NULL);
	assert(rc == 0);
	rc = sigaction(SIGINT, &action, NULL);
	assert(rc == 0);
	rc = sigaction(SIGALRM, &action, NULL);
	assert(rc == 0);
	alarm(deadline_s);
	/* A wait would take them before the handler does. */
	sigdelset(&waited, SIGTERM);
	sigdelset(&waited, SIGINT);
	rc = pthread_sigmask(SIG_UNBLOCK, &stops, NULL);
	assert(rc == 0);
}

void
tl_daemon_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t path_bytes = path ? strlen(path) : 0;
	int fd;

	if (path_bytes < 2 || path_bytes >= sizeof(address.sun_path))
		return;
	if (path[0] != '/' && path[0] != '@')
		return;
	memcpy(address.sun_path, path, path_bytes);
	/* The abstract namespace: there is no file, the name starts with a zero byte. */
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nothing to do about a failure: systemd acts on what it did not hear. */
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_bytes));
	close(fd);
}

void
tl_thread_name(const char *name)
{
	char cut[THREAD_NAME_BYTES];
	int rc;

	snprintf(cut, sizeof(cut), "%s", name);
	rc = pthread_setname_np(pthread_self(), cut);
	assert(rc == 0);
}
