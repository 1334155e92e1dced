/*
 * Ranges, windows and times as text. A window's bins rise without gaps and hold what they say; the
 * window before ends where it starts; a custom one has the ends that were asked for. A time that
 * parses is written and read again as the same.
 */
#include <stdio.h>

#include "schema/model/bucket.h"
#include "schema/model/limits.h"
#include "schema/model/window.h"
#include "tests/fuzz/fuzz.h"

#define YEARS_MS (INT64_C(300) * 366 * TL_DAY_MS)

static const char *const zone_names[] = {"UTC", "Europe/Berlin", "America/St_Johns",
	"Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "Pacific/Apia",
	"Europe/Dublin"};

static const struct tl_zone *
zone_of(uint8_t choice)
{
	const struct tl_zone *zone = NULL;

	assert(tl_zone_get(tl_slice_str(zone_names[choice % 8]), &zone, NULL) == TL_OK);
	return zone;
}

static void
check_bins(const struct tl_window *window, int64_t inside_ms)
{
	int32_t bin = tl_window_bin(window, inside_ms);

	assert(window->bin_count >= 1 && window->bin_count <= TL_WINDOW_BINS_MAX);
	for (uint32_t i = 0; i < window->bin_count; i++)
		assert(window->edge_ms[i] < window->edge_ms[i + 1]);
	assert(bin >= 0 && (uint32_t)bin < window->bin_count);
	assert(window->edge_ms[bin] <= inside_ms && inside_ms < window->edge_ms[bin + 1]);
	assert(tl_window_bin(window, tl_window_start_ms(window) - 1) == -1);
	assert(tl_window_bin(window, tl_window_end_ms(window)) == -1);
}

static void
check_fixed(const struct tl_zone *zone, uint8_t choice, int64_t now_ms)
{
	static const uint32_t bin_counts[TL_RANGE_FIXED_COUNT] = {24, 28, 30, 90};
	enum tl_range range = (enum tl_range)(choice % TL_RANGE_FIXED_COUNT);
	struct tl_window window, before;

	tl_window_fixed(range, zone, now_ms, &window);
	check_bins(&window, now_ms);
	assert(window.bin_count == bin_counts[range]);
	assert(tl_window_bin(&window, now_ms) == (int32_t)window.bin_count - 1);
	tl_window_before(&window, &before);
	assert(tl_window_end_ms(&before) == tl_window_start_ms(&window));
	assert(before.bin_count == window.bin_count);
	check_bins(&before, tl_window_start_ms(&window) - 1);
}

static void
check_custom(const struct tl_zone *zone, int64_t from_ms, int64_t to_ms)
{
	struct tl_window window, before;
	enum tl_err err = tl_window_custom(zone, from_ms, to_ms, &window, NULL);

	if (from_ms >= to_ms)
		assert(err == TL_ERANGE_INVALID);
	else if (to_ms - from_ms <= (TL_RANGE_DAYS_MAX - 2) * TL_DAY_MS && from_ms >= 0)
		assert(err == TL_OK);
	if (err)
		return;
	check_bins(&window, from_ms);
	assert(window.bin_count <= TL_BINS_MAX);
	assert(tl_window_start_ms(&window) == from_ms && tl_window_end_ms(&window) == to_ms);
	tl_window_before(&window, &before);
	assert(tl_window_end_ms(&before) == from_ms);
	check_bins(&before, from_ms - 1);
}

static void
check_text(struct tl_slice slice)
{
	char text[64], again[TL_TIME_TEXT_BYTES];
	enum tl_range range;
	int64_t time_ms, time_again_ms;
	bool is_valid;

	if (tl_range_parse(slice, &range))
		assert(tl_slice_eq(slice, tl_slice_str(tl_range_name(range))));
	if (slice.bytes >= sizeof(text))
		return;
	if (slice.bytes > 0)
		memcpy(text, slice.data, slice.bytes);
	text[slice.bytes] = '\0';
	if (tl_time_parse(text, &time_ms)) {
		tl_time_format(time_ms, again);
		if (again[0] != '-' && again[4] == '-') { /* the years of four digits */
			assert(tl_time_parse(again, &time_again_ms));
			assert(time_again_ms == time_ms);
		}
	}
	time_ms = tl_day_parse(text, &is_valid);
	if (is_valid) {
		tl_day_format(time_ms, again);
		assert(strcmp(text, again) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_cursor cur = tl_cursor_of(tl_slice_of(data, bytes));
	const struct tl_zone *zone = zone_of(tl_cursor_u8(&cur));
	uint8_t choice = tl_cursor_u8(&cur);
	int64_t from_ms = (int64_t)tl_cursor_be64(&cur) % YEARS_MS;
	int64_t to_ms = from_ms + (int32_t)tl_cursor_be32(&cur) * INT64_C(20);

	check_text(tl_slice_of(data, bytes));
	if (cur.err)
		return 0;
	if ((choice & 1) != 0)
		check_fixed(zone, choice >> 1, from_ms);
	else
		check_custom(zone, from_ms, to_ms);
	return 0;
}
