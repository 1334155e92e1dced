/*
 * The bytes of a time zone file. A zone that parses answers for every time there is: the stretch
 * that holds a time has the offset of that time, stretches join, and a local reading is found
 * again.
 */
#include "schema/model/limits.h"
#include "schema/model/zone.h"
#include "tests/fuzz/fuzz.h"

#define YEAR_MS (INT64_C(31556952) * 1000)

static void
check_time(const struct tl_zone *zone, int64_t time_ms)
{
	struct tl_stretch stretch = tl_zone_stretch(zone, time_ms);
	int32_t offset_s = tl_zone_offset_s(zone, time_ms);
	int64_t local_ms = time_ms + (int64_t)offset_s * 1000;
	int64_t back_ms;

	assert(stretch.start_ms <= time_ms && time_ms < stretch.end_ms);
	assert(stretch.offset_s == offset_s);
	assert(offset_s > -200000 && offset_s < 200000);
	if (local_ms > TL_TIME_MS_MAX || local_ms < -TL_TIME_MS_MAX)
		return;
	back_ms = tl_zone_from_local(zone, local_ms);
	assert(back_ms <= time_ms); /* the first instant that reads so */
	assert(back_ms + (int64_t)tl_zone_offset_s(zone, back_ms) * 1000 == local_ms);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_cursor cur = tl_cursor_of(tl_slice_of(data, bytes));
	int64_t time_ms = (int64_t)tl_cursor_be64(&cur) >> 11;
	struct tl_zone *zone;

	if (tl_zone_parse(tl_slice_str("Fuzz/Zone"), fuzz_rest(&cur), &zone, NULL))
		return 0;
	if (time_ms > TL_TIME_MS_MAX - 1 || time_ms < -TL_TIME_MS_MAX + 1)
		time_ms = 0;
	check_time(zone, time_ms);
	for (int year = -80; year < 100; year += 9)
		check_time(zone, year * YEAR_MS + time_ms % YEAR_MS);
	tl_zone_free(zone);
	return 0;
}
