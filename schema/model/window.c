/*
 * Bins are cut where the local clock passes a multiple of their width:
 *
 *  - up to an hour wide at every such reading, so that a repeated hour is two bins;
 *  - wider ones at the first such reading, so that a repeated hour makes its bin longer.
 *
 * A reading that a jump forward skips counts at the jump. Readings that fall on one instant make
 * one edge: an hour, a midnight or a whole day that never was has no bin.
 */
#include "schema/model/window.h"

#include <assert.h>

#include "schema/model/bucket.h"

struct grid {
	int64_t width_ms;
	int64_t origin_ms; /* local: edges are at origin + k * width */
};

static const struct {
	const char *name;
	uint32_t bin_count;
	int64_t width_ms;
} ranges[] = {
	[TL_RANGE_24H] = {"24h", 24, TL_HOUR_MS},
	[TL_RANGE_7D] = {"7d", 28, 6 * TL_HOUR_MS},
	[TL_RANGE_30D] = {"30d", 30, TL_DAY_MS},
	[TL_RANGE_90D] = {"90d", 90, TL_DAY_MS},
	[TL_RANGE_CUSTOM] = {"custom", 0, 0},
};
#define RANGE_COUNT (sizeof(ranges) / sizeof(ranges[0]))

const char *
tl_range_name(enum tl_range range)
{
	assert(range < RANGE_COUNT);
	return ranges[range].name;
}

bool
tl_range_parse(struct tl_slice text, enum tl_range *range_out)
{
	for (size_t i = 0; i < RANGE_COUNT; i++) {
		if (tl_slice_eq(text, tl_slice_str(ranges[i].name))) {
			*range_out = (enum tl_range)i;
			return true;
		}
	}
	return false;
}

/* The last multiple of the grid at or before a local time. */
static int64_t
grid_floor(const struct grid *grid, int64_t local_ms)
{
	int64_t over_ms = (local_ms - grid->origin_ms) % grid->width_ms;

	return local_ms - over_ms - (over_ms < 0 ? grid->width_ms : 0);
}

static int64_t
local_of(const struct tl_stretch *stretch, int64_t time_ms)
{
	return time_ms + stretch->offset_s * 1000LL;
}

/* True when the clock jumped forward at the stretch's start over a multiple that it did not read.
 */
static bool
skips_at_start(
	const struct tl_zone *zone, const struct grid *grid, const struct tl_stretch *stretch)
{
	struct tl_stretch before = tl_zone_stretch(zone, stretch->start_ms - 1);
	int64_t from_ms = local_of(&before, stretch->start_ms);
	int64_t to_ms = local_of(stretch, stretch->start_ms);

	return from_ms < to_ms && grid_floor(grid, to_ms - 1) >= from_ms;
}

/* The last edge at or before time_ms, where every reading is one. */
static int64_t
reading_at_or_before(const struct tl_zone *zone, const struct grid *grid, int64_t time_ms)
{
	for (;;) {
		struct tl_stretch stretch = tl_zone_stretch(zone, time_ms);
		int64_t read_ms = grid_floor(grid, local_of(&stretch, time_ms));

		read_ms -= stretch.offset_s * 1000LL;
		if (read_ms >= stretch.start_ms)
			return read_ms;
		if (skips_at_start(zone, grid, &stretch))
			return stretch.start_ms;
		time_ms = stretch.start_ms - 1;
	}
}

/* The first edge after time_ms, where every reading is one. */
static int64_t
reading_after(const struct tl_zone *zone, const struct grid *grid, int64_t time_ms)
{
	for (;;) {
		struct tl_stretch stretch = tl_zone_stretch(zone, time_ms);
		int64_t read_ms = grid_floor(grid, local_of(&stretch, time_ms)) + grid->width_ms;
		struct tl_stretch next;

		read_ms -= stretch.offset_s * 1000LL;
		if (read_ms < stretch.end_ms)
			return read_ms;
		next = tl_zone_stretch(zone, stretch.end_ms);
		if (reading_at_or_before(zone, grid, next.start_ms) == next.start_ms)
			return next.start_ms;
		time_ms = next.start_ms;
	}
}

/* The last edge at or before time_ms. */
static int64_t
edge_at_or_before(const struct tl_zone *zone, const struct grid *grid, int64_t time_ms)
{
	int64_t local_ms;
	int64_t edge_ms;

	if (grid->width_ms <= TL_HOUR_MS)
		return reading_at_or_before(zone, grid, time_ms);
	local_ms = grid_floor(grid, time_ms + tl_zone_offset_s(zone, time_ms) * 1000LL);
	/* The clock may have been further on before it was put back. */
	do {
		edge_ms = tl_zone_from_local(zone, local_ms);
		local_ms += grid->width_ms;
	} while (tl_zone_from_local(zone, local_ms) <= time_ms);
	return edge_ms;
}

/* The first edge after time_ms. */
static int64_t
edge_after(const struct tl_zone *zone, const struct grid *grid, int64_t time_ms)
{
	int64_t local_ms;
	int64_t edge_ms;

	if (grid->width_ms <= TL_HOUR_MS)
		return reading_after(zone, grid, time_ms);
	local_ms = grid_floor(grid, time_ms + tl_zone_offset_s(zone, time_ms) * 1000LL);
	do {
		local_ms += grid->width_ms;
		edge_ms = tl_zone_from_local(zone, local_ms);
	} while (edge_ms <= time_ms);
	return edge_ms;
}

/* The bins of a fixed range, the last of which ends at the edge end_ms. */
static void
fill_back(enum tl_range range, const struct tl_zone *zone, int64_t end_ms,
	struct tl_window *window_out)
{
	struct grid grid = {.width_ms = ranges[range].width_ms};
	uint32_t bin_count = ranges[range].bin_count;

	window_out->range = range;
	window_out->zone = zone;
	window_out->bin_count = bin_count;
	window_out->edge_ms[bin_count] = end_ms;
	for (uint32_t i = bin_count; i > 0; i--)
		window_out->edge_ms[i - 1] =
			edge_at_or_before(zone, &grid, window_out->edge_ms[i] - 1);
}

void
tl_window_fixed(enum tl_range range, const struct tl_zone *zone, int64_t now_ms,
	struct tl_window *window_out)
{
	struct grid grid;

	assert(range < TL_RANGE_FIXED_COUNT);
	grid = (struct grid){.width_ms = ranges[range].width_ms};
	fill_back(range, zone, edge_after(zone, &grid, now_ms), window_out);
}

/* Bins of one width between from and to; false when there would be too many. */
static bool
fill_custom(const struct tl_zone *zone, const struct grid *grid, int64_t from_ms, int64_t to_ms,
	struct tl_window *window_out)
{
	uint32_t bin_count = 0;
	int64_t edge_ms = from_ms;

	while (edge_ms < to_ms) {
		if (bin_count == TL_BINS_MAX)
			return false;
		window_out->edge_ms[bin_count++] = edge_ms;
		edge_ms = edge_after(zone, grid, edge_ms);
	}
	window_out->edge_ms[bin_count] = to_ms;
	window_out->bin_count = bin_count;
	return true;
}

/* The smallest width that fits. The widest always does: the caller has bounded the range. */
static void
cut_custom(const struct tl_zone *zone, int64_t from_ms, int64_t to_ms, struct tl_window *window_out)
{
	static const int64_t widths_ms[] = {TL_QUARTER_MS, 2 * TL_QUARTER_MS, TL_HOUR_MS,
		2 * TL_HOUR_MS, 3 * TL_HOUR_MS, 6 * TL_HOUR_MS, 12 * TL_HOUR_MS, TL_DAY_MS,
		2 * TL_DAY_MS, 4 * TL_DAY_MS};
	int64_t from_local_ms = from_ms + tl_zone_offset_s(zone, from_ms) * 1000LL;
	bool fits = false;

	window_out->range = TL_RANGE_CUSTOM;
	window_out->zone = zone;
	for (size_t i = 0; !fits && i < sizeof(widths_ms) / sizeof(widths_ms[0]); i++) {
		struct grid grid = {.width_ms = widths_ms[i]};

		if (grid.width_ms > TL_DAY_MS)
			grid.origin_ms = tl_bucket_floor(TL_SPAN_1D, from_local_ms);
		fits = fill_custom(zone, &grid, from_ms, to_ms, window_out);
	}
	assert(fits);
}

enum tl_err
tl_window_custom(const struct tl_zone *zone, int64_t from_ms, int64_t to_ms,
	struct tl_window *window_out, struct tl_why *why)
{
	const int64_t length_max_ms = TL_RANGE_DAYS_MAX * TL_DAY_MS;
	int64_t offset_change_ms;

	if (from_ms >= to_ms)
		return tl_fail(why, TL_ERANGE_INVALID, "from is not before to");
	if (from_ms < -TL_TIME_MS_MAX || to_ms > TL_TIME_MS_MAX)
		return tl_fail(why, TL_ERANGE_INVALID, "from or to is not a time in milliseconds");
	/* 400 days of the calendar are good, also when one of them has 25 hours. */
	offset_change_ms =
		(tl_zone_offset_s(zone, to_ms) - tl_zone_offset_s(zone, from_ms)) * 1000LL;
	if (to_ms - from_ms > length_max_ms && to_ms - from_ms + offset_change_ms > length_max_ms)
		return tl_fail(why, TL_ERANGE_TOO_LONG, "more than %d days", TL_RANGE_DAYS_MAX);
	cut_custom(zone, from_ms, to_ms, window_out);
	return TL_OK;
}

void
tl_window_before(const struct tl_window *window, struct tl_window *before_out)
{
	int64_t start_ms = tl_window_start_ms(window);
	int64_t length_ms = tl_window_end_ms(window) - start_ms;

	if (window->range == TL_RANGE_CUSTOM)
		cut_custom(window->zone, start_ms - length_ms, start_ms, before_out);
	else
		fill_back(window->range, window->zone, start_ms, before_out);
}

int32_t
tl_window_bin(const struct tl_window *window, int64_t time_ms)
{
	uint32_t low = 0;
	uint32_t high = window->bin_count;

	if (time_ms < tl_window_start_ms(window) || time_ms >= tl_window_end_ms(window))
		return -1;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (window->edge_ms[middle] <= time_ms)
			low = middle;
		else
			high = middle;
	}
	return (int32_t)low;
}
