#include "deploy/dump_text.h"

#include <inttypes.h>

#include "schema/model/bucket.h"

void
dump_totals(const struct tl_totals *totals, struct tl_buf *text)
{
	for (int m = 0; m < TL_MEASURE_COUNT; m++) {
		if (totals->measure[m] != 0)
			tl_buf_printf(text, " %s=%" PRId64, tl_measure_name((enum tl_measure)m),
				totals->measure[m]);
	}
}

void
dump_time(const char *label, int64_t time_ms, struct tl_buf *text)
{
	char at[TL_TIME_TEXT_BYTES];

	if (time_ms == INT64_MAX || time_ms == INT64_MIN)
		return;
	tl_time_format(time_ms, at);
	tl_buf_printf(text, " %s=%s", label, at);
}
