#include "schema/base/clock.h"

#include <assert.h>
#include <sys/timex.h>
#include <time.h>

const struct tl_clock *
tl_clock_system(void)
{
	static const struct tl_clock clock_system;

	return &clock_system;
}

static struct timespec
now(clockid_t id)
{
	struct timespec ts;
	int rc = clock_gettime(id, &ts);

	assert(rc == 0);
	return ts;
}

static int64_t
now_ms(clockid_t id)
{
	struct timespec ts = now(id);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
tl_clock_wall_ms(const struct tl_clock *clock)
{
	if (clock->fixed_wall_ms != 0)
		return clock->fixed_wall_ms;
	return now_ms(CLOCK_REALTIME);
}

int64_t
tl_clock_mono_ms(const struct tl_clock *clock)
{
	/* The wall decides for both, so that a fixed clock may start its monotonic time at 0. */
	if (clock->fixed_wall_ms != 0)
		return clock->fixed_mono_ms;
	return now_ms(CLOCK_MONOTONIC);
}

int64_t
tl_clock_boot_ms(const struct tl_clock *clock)
{
	if (clock->fixed_wall_ms != 0)
		return clock->fixed_mono_ms;
	return now_ms(CLOCK_BOOTTIME);
}

bool
tl_clock_is_synchronised(const struct tl_clock *clock)
{
	struct timex asked = {.modes = 0}; /* changes nothing, so anybody may */

	if (clock->fixed_wall_ms != 0)
		return clock->fixed_is_synchronised;
	return adjtimex(&asked) >= 0 && (asked.status & STA_UNSYNC) == 0;
}

int64_t
tl_clock_mono_us(void)
{
	struct timespec ts = now(CLOCK_MONOTONIC);

	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
