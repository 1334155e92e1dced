/*
 * A preload library that moves the wall clock by TALLY_WALL_OFFSET_MS and leaves the monotonic
 * clock alone. Deadlines of condition variables on the wall clock are moved back, so that waits
 * keep their length.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *at);
int gettimeofday(struct timeval *restrict at, void *restrict zone);
time_t time(time_t *at);

static int64_t
offset_ms(void)
{
	static int64_t known = INT64_MIN;

	if (known == INT64_MIN) {
		const char *text = getenv("TALLY_WALL_OFFSET_MS");

		known = text != NULL ? atoll(text) : 0;
	}
	return known;
}

static void
shift(struct timespec *at, int64_t ms)
{
	int64_t ns = at->tv_nsec + ms % 1000 * 1000000;

	at->tv_sec += ms / 1000;
	if (ns < 0) {
		ns += 1000000000;
		at->tv_sec--;
	} else if (ns >= 1000000000) {
		ns -= 1000000000;
		at->tv_sec++;
	}
	at->tv_nsec = ns;
}

int
clock_gettime(clockid_t clock, struct timespec *at)
{
	static int (*real)(clockid_t, struct timespec *);
	int result;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, at);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		shift(at, offset_ms());
	return result;
}

int
gettimeofday(struct timeval *restrict at, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	at->tv_sec = now.tv_sec;
	at->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *at)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (at != NULL)
		*at = now.tv_sec;
	return now.tv_sec;
}

/* Monotonic deadlines are small numbers of seconds since boot; wall ones are past 1973. */
#define WALL_SECONDS_MIN 100000000

int
pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mtx,
	const struct timespec *restrict deadline)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	struct timespec moved = *deadline;

	if (real == NULL)
		real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlsym(
			RTLD_NEXT, "pthread_cond_timedwait");
	if (moved.tv_sec > WALL_SECONDS_MIN)
		shift(&moved, -offset_ms());
	return real(cond, mtx, &moved);
}

int
pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mtx, clockid_t clock,
	const struct timespec *deadline)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
	struct timespec moved = *deadline;

	if (real == NULL)
		real = (int (*)(pthread_cond_t *, pthread_mutex_t *, clockid_t,
			const struct timespec *))dlsym(RTLD_NEXT, "pthread_cond_clockwait");
	if (clock == CLOCK_REALTIME)
		shift(&moved, -offset_ms());
	return real(cond, mtx, clock, &moved);
}
