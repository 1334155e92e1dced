/*
 * A preload library for what happens every few minutes: a wait on a condition whose deadline is
 * more than a minute away ends after TALLY_HURRY_MS. So flush points and expiry meet the deaths of
 * a test that lasts seconds.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define FAR_S 60
/* Monotonic deadlines are small numbers of seconds since boot; wall ones are past 1973. */
#define WALL_SECONDS_MIN 100000000

int
pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mtx,
	const struct timespec *restrict deadline)
{
	__typeof__(&pthread_cond_timedwait) next =
		(__typeof__(next))dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	const char *ms = getenv("TALLY_HURRY_MS");
	struct timespec at;
	int64_t ns;

	clock_gettime(deadline->tv_sec > WALL_SECONDS_MIN ? CLOCK_REALTIME : CLOCK_MONOTONIC, &at);
	if (ms == NULL || deadline->tv_sec < at.tv_sec + FAR_S)
		return next(cond, mtx, deadline);
	ns = at.tv_nsec + atoll(ms) * 1000000;
	at.tv_sec += ns / 1000000000;
	at.tv_nsec = ns % 1000000000;
	return next(cond, mtx, &at);
}
