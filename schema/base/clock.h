/* Wall and monotonic time behind one handle, so that tests own time. */
#ifndef TL_BASE_CLOCK_H
#define TL_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed or tl_clock_system(): the machine's clocks. A fixed wall: all stand still until moved. */
struct tl_clock {
	int64_t fixed_wall_ms; /* 0: the system's */
	int64_t fixed_mono_ms;
	bool fixed_is_synchronised;
};

const struct tl_clock *tl_clock_system(void);

int64_t tl_clock_wall_ms(const struct tl_clock *clock);
int64_t tl_clock_mono_ms(const struct tl_clock *clock);

/* As monotonic time, but it also runs while the machine sleeps, as the wall does. */
int64_t tl_clock_boot_ms(const struct tl_clock *clock);

/* Whether the kernel says that something keeps the wall clock right. */
bool tl_clock_is_synchronised(const struct tl_clock *clock);

/* Monotonic microseconds for measuring; always the machine's. */
int64_t tl_clock_mono_us(void);

#endif
