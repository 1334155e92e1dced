/*
 * Whether the wall clock may be believed, judged from readings: the wall, a clock that nobody sets,
 * and what the kernel says of the wall. Pure, so that a test can make the readings. A wrong clock
 * must not decide what is too old, which ids to forget and which days to drop.
 */
#ifndef TL_BASE_CLOCK_TRUST_H
#define TL_BASE_CLOCK_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A drift of the wall against the other clock up to this in TL_CLOCK_CALM_MS is followed. */
#define TL_CLOCK_DRIFT_MS INT64_C(2000)
#define TL_CLOCK_CALM_MS INT64_C(60000)
/* A step up to this is believed once it has lasted. */
#define TL_CLOCK_STEP_MS INT64_C(3600000)
/* At the start: how far behind, and how far ahead of what was received last. */
#define TL_CLOCK_BEHIND_MS INT64_C(300000)
#define TL_CLOCK_AHEAD_MS (7 * INT64_C(86400000))

enum tl_clock_doubt {
	TL_CLOCK_TRUSTED,
	TL_CLOCK_STEPPED,     /* until it is back or has not moved again for TL_CLOCK_CALM_MS */
	TL_CLOCK_STEPPED_FAR, /* until it is back, synchronised or accepted */
	TL_CLOCK_BEHIND,      /* at the start: until it is not, or synchronised or accepted */
	TL_CLOCK_AHEAD,	      /* the same */
};

struct tl_clock_reading {
	int64_t wall_ms;
	int64_t boot_ms;
	bool is_synchronised;
};

struct tl_clock_trust {
	enum tl_clock_doubt doubt;
	int64_t off_ms; /* in doubt: how far the wall is from where it was believed to be */
	/* wall minus boot, the constant of a clock that runs true */
	int64_t line_ms;      /* as it was trusted last */
	int64_t line_boot_ms; /* when it followed a drift last */
	int64_t calm_ms;      /* in doubt: as it is now */
	int64_t calm_boot_ms; /* since when */
	int64_t received_ms;  /* what the store received last before the start; 0: nothing */
};

/* The first judgement. received_ms 0: nothing was ever received, so nothing speaks against it. */
void tl_clock_trust_start(
	struct tl_clock_trust *trust, const struct tl_clock_reading *reading, int64_t received_ms);

/* Judge a reading. They come in the order in which they were taken. */
enum tl_clock_doubt tl_clock_trust_judge(
	struct tl_clock_trust *trust, const struct tl_clock_reading *reading);

/* The operator says that the wall is right. */
void tl_clock_trust_accept(struct tl_clock_trust *trust, const struct tl_clock_reading *reading);

/* One line for the operator: what is wrong and what to type. Empty while trusted. */
void tl_clock_trust_explain(const struct tl_clock_trust *trust, char *text, size_t text_bytes);

#endif
