/*
 * A preload library that moves the wall clock and leaves the monotonic one alone.
 *
 * TALLY_WALL_OFFSET_MS: by so much, for good; the kernel of that machine says that its clock is
 * synchronised, so that a test simply lives on another day.
 * TALLY_WALL_FILE: by what the file says at each moment, so that a test can set the clock of a
 * running program. Three int64, little-endian: milliseconds that the wall is off; milliseconds that
 * the boot clock is ahead (to let a quiet minute pass); 1 when the kernel says "synchronised".
 *
 * Waits until a wall time end when that time has come on the moved clock, so they become longer or
 * shorter by a step, as real ones do.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *at);
int gettimeofday(struct timeval *restrict at, void *restrict zone);
time_t time(time_t *at);
int adjtimex(struct timex *asked);

struct moved {
	volatile int64_t wall_ms;
	volatile int64_t boot_ms;
	volatile int64_t is_synchronised;
};

static struct moved constant;
static struct moved *moved;

__attribute__((constructor)) static void
find_moved(void)
{
	const char *path = getenv("TALLY_WALL_FILE");
	const char *offset = getenv("TALLY_WALL_OFFSET_MS");
	void *mapped;
	int fd;

	constant.wall_ms = offset != NULL ? atoll(offset) : 0;
	constant.is_synchronised = 1;
	moved = &constant;
	if (path == NULL)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		abort();
	mapped = mmap(NULL, sizeof(*moved), PROT_READ, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		abort();
	moved = mapped;
	close(fd);
}

static int64_t
offset_ms(void)
{
	return moved != NULL ? moved->wall_ms : 0;
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
	if (result == 0 && clock == CLOCK_BOOTTIME && moved != NULL)
		shift(at, moved->boot_ms);
	return result;
}

int
adjtimex(struct timex *asked)
{
	static int (*real)(struct timex *);
	int result;

	if (real == NULL)
		real = (int (*)(struct timex *))dlsym(RTLD_NEXT, "adjtimex");
	result = real(asked);
	if (result < 0)
		return result;
	if (moved->is_synchronised)
		asked->status &= ~STA_UNSYNC;
	else
		asked->status |= STA_UNSYNC;
	return moved->is_synchronised ? TIME_OK : TIME_ERROR;
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

/* So often a wait looks whether the clock was moved. */
#define LOOK_NS 20000000

static int64_t
ns_until(const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (deadline->tv_sec - now.tv_sec > 1)
		return INT64_MAX;
	if (deadline->tv_sec - now.tv_sec < -1)
		return 0;
	return (deadline->tv_sec - now.tv_sec) * 1000000000 + deadline->tv_nsec - now.tv_nsec;
}

/*
 * The time, on the machine's own wall clock, to wait until: the deadline, or a moment from now when
 * that is later.
 */
static struct timespec
look_at(const struct timespec *deadline)
{
	struct timespec look = *deadline;

	if (ns_until(deadline) > LOOK_NS) {
		clock_gettime(CLOCK_REALTIME, &look);
		shift(&look, LOOK_NS / 1000000);
	}
	shift(&look, -offset_ms());
	return look;
}

/*
 * A moment that is over without anything is told as a wakeup for no reason, which every caller must
 * bear: waiting on from here could miss what came in between.
 */
static int
result_of(int result, const struct timespec *deadline)
{
	return result == ETIMEDOUT && ns_until(deadline) > 0 ? 0 : result;
}

int
pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mtx,
	const struct timespec *restrict deadline)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
	struct timespec look;

	if (real == NULL)
		real = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlsym(
			RTLD_NEXT, "pthread_cond_timedwait");
	if (deadline->tv_sec <= WALL_SECONDS_MIN)
		return real(cond, mtx, deadline);
	look = look_at(deadline);
	return result_of(real(cond, mtx, &look), deadline);
}

int
pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mtx, clockid_t clock,
	const struct timespec *deadline)
{
	static int (*real)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
	struct timespec look;

	if (real == NULL)
		real = (int (*)(pthread_cond_t *, pthread_mutex_t *, clockid_t,
			const struct timespec *))dlsym(RTLD_NEXT, "pthread_cond_clockwait");
	if (clock != CLOCK_REALTIME)
		return real(cond, mtx, clock, deadline);
	look = look_at(deadline);
	return result_of(real(cond, mtx, clock, &look), deadline);
}
