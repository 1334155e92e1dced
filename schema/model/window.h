/* 24h 7d 30d 90d and custom ranges -> whole bins on the clock and calendar of an IANA zone. */
#ifndef TL_MODEL_WINDOW_H
#define TL_MODEL_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/limits.h"
#include "schema/model/zone.h"

enum tl_range {
	TL_RANGE_24H,
	TL_RANGE_7D,
	TL_RANGE_30D,
	TL_RANGE_90D,
	TL_RANGE_CUSTOM,
};
#define TL_RANGE_FIXED_COUNT 4

/* "24h" .. "custom". */
const char *tl_range_name(enum tl_range range);
TL_MUST bool tl_range_parse(struct tl_slice text, enum tl_range *range_out);

/*
 * Bin i is [edge_ms[i], edge_ms[i + 1]). Edges rise strictly. For a fixed range the last bin holds
 * now; for custom the first and last edges are from and to.
 */
struct tl_window {
	enum tl_range range;
	const struct tl_zone *zone;
	uint32_t bin_count;
	int64_t edge_ms[TL_WINDOW_BINS_MAX + 1];
};

/*
 * The fixed window whose last bin holds now_ms: 24 local hours, 28 six-hour bins cut at local 00,
 * 06, 12 and 18, 30 or 90 local days. In a zone whose clock jumps, a repeated hour makes bins of
 * the doubled local hour distinct (each real hour is a bin) and days of 23 or 25 hours are days.
 */
void tl_window_fixed(enum tl_range range, const struct tl_zone *zone, int64_t now_ms,
	struct tl_window *window_out);

/* The window before: its N bins end where window starts; custom: the same length in ms. */
void tl_window_before(const struct tl_window *window, struct tl_window *before_out);

/*
 * [from_ms, to_ms), at most TL_RANGE_DAYS_MAX days (of the calendar or of 24 hours, whichever is
 * kinder); the bins are the smallest of 15 m, 30 m, 1 h, 2 h, 3 h, 6 h, 12 h, 1 d, 2 d, 4 d that
 * give at most TL_BINS_MAX, cut in the zone's local time, the outer two by from and to.
 * TL_ERANGE_INVALID (from >= to, or past TL_TIME_MS_MAX), TL_ERANGE_TOO_LONG.
 */
TL_MUST enum tl_err tl_window_custom(const struct tl_zone *zone, int64_t from_ms, int64_t to_ms,
	struct tl_window *window_out, struct tl_why *why);

static inline int64_t
tl_window_start_ms(const struct tl_window *window)
{
	return window->edge_ms[0];
}

static inline int64_t
tl_window_end_ms(const struct tl_window *window)
{
	return window->edge_ms[window->bin_count];
}

/* The bin that holds time_ms, or -1 outside the window. */
int32_t tl_window_bin(const struct tl_window *window, int64_t time_ms);

#endif
