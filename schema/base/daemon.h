/* Signals, ticks and orderly stop: what the mains wait in. */
#ifndef TL_BASE_DAEMON_H
#define TL_BASE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/err.h"

enum tl_daemon_event {
	TL_DAEMON_TICK,	  /* tick_ms passed */
	TL_DAEMON_STOP,	  /* SIGTERM or SIGINT; the second one ends the process at once */
	TL_DAEMON_RELOAD, /* SIGHUP */
	TL_DAEMON_REPORT, /* SIGUSR1 */
};

/* Block the signals. Call first in main, before any thread exists, so that all inherit it. */
void tl_daemon_init(void);

/* Wait for the next event. Main thread only. */
enum tl_daemon_event tl_daemon_wait(int64_t tick_ms);

/* After this a further SIGTERM or SIGINT, or deadline_s, ends the process with _exit(exit_code). */
void tl_daemon_stopping(int exit_code, unsigned deadline_s);

/* sd_notify: "READY=1", "STOPPING=1", "WATCHDOG=1"; does nothing outside systemd. */
void tl_daemon_notify(const char *state);

/* Name the calling thread (at most 15 characters). */
void tl_thread_name(const char *name);

#endif
