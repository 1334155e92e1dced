/* UTC time is cut into buckets here and nowhere else. */
#ifndef TL_MODEL_BUCKET_H
#define TL_MODEL_BUCKET_H

#include <stdint.h>

#define TL_MINUTE_MS 60000LL
#define TL_HOUR_MS 3600000LL
#define TL_DAY_MS 86400000LL
#define TL_QUARTER_MS (15 * TL_MINUTE_MS)

/* 15 minutes divides every UTC offset in use; each width is a sum of the one before. */
enum tl_span {
	TL_SPAN_15M,
	TL_SPAN_1H,
	TL_SPAN_1D,
};
#define TL_SPAN_COUNT 3

int64_t tl_span_ms(enum tl_span span);

/* "15m", "1h", "1d". */
const char *tl_span_name(enum tl_span span);

/* Start of the bucket that holds time_ms. Times before 1970 floor downwards, not towards zero. */
int64_t tl_bucket_floor(enum tl_span span, int64_t time_ms);

/* Start of the first bucket at or after time_ms. */
int64_t tl_bucket_ceil(enum tl_span span, int64_t time_ms);

/* The number of the bucket since 1970, also negative. */
int64_t tl_bucket_no(enum tl_span span, int64_t time_ms);

/* A date of the proleptic Gregorian calendar. */
struct tl_civil {
	int64_t year;
	int month; /* 1..12 */
	int day;   /* 1..31 */
};

/* The date of day number day_no (0 is 1970-01-01) and back; a day past the month's end runs on. */
struct tl_civil tl_civil_of_day_no(int64_t day_no);
int64_t tl_civil_day_no(struct tl_civil civil);

#define TL_DAY_TEXT_BYTES 11

/* "2026-11-21" of the UTC day that holds time_ms (years 0000..9999). */
void tl_day_format(int64_t time_ms, char text_out[TL_DAY_TEXT_BYTES]);

/* Parses "YYYY-MM-DD"; returns the day's start or -1 with *valid_out false. */
int64_t tl_day_parse(const char *text, _Bool *valid_out);

#define TL_TIME_TEXT_BYTES 32

/* "2026-11-21T10:00:00.123Z". */
void tl_time_format(int64_t time_ms, char text_out[TL_TIME_TEXT_BYTES]);

/* RFC 3339 with any offset and up to 9 fraction digits (cut to ms). False when it is not. */
_Bool tl_time_parse(const char *text, int64_t *time_ms_out);

#endif
