#include "schema/model/bucket.h"

#include <assert.h>
#include <stdbool.h>

/* The years that a date can be written in with four digits. */
#define DAY_NO_FIRST (-719528LL) /* 0000-01-01 */
#define DAY_NO_LAST 2932896LL	 /* 9999-12-31 */

int64_t
tl_span_ms(enum tl_span span)
{
	static const int64_t span_ms[TL_SPAN_COUNT] = {
		[TL_SPAN_15M] = TL_QUARTER_MS,
		[TL_SPAN_1H] = TL_HOUR_MS,
		[TL_SPAN_1D] = TL_DAY_MS,
	};

	assert(span < TL_SPAN_COUNT);
	return span_ms[span];
}

const char *
tl_span_name(enum tl_span span)
{
	static const char *const names[TL_SPAN_COUNT] = {
		[TL_SPAN_15M] = "15m",
		[TL_SPAN_1H] = "1h",
		[TL_SPAN_1D] = "1d",
	};

	assert(span < TL_SPAN_COUNT);
	return names[span];
}

int64_t
tl_bucket_floor(enum tl_span span, int64_t time_ms)
{
	return tl_bucket_no(span, time_ms) * tl_span_ms(span);
}

int64_t
tl_bucket_ceil(enum tl_span span, int64_t time_ms)
{
	int64_t start_ms = tl_bucket_floor(span, time_ms);

	return start_ms == time_ms ? time_ms : start_ms + tl_span_ms(span);
}

int64_t
tl_bucket_no(enum tl_span span, int64_t time_ms)
{
	int64_t span_ms = tl_span_ms(span);

	return time_ms / span_ms - (time_ms % span_ms < 0);
}

/*
 * Both conversions count in eras of 400 years (146097 days) and in years that begin in March, so
 * that the leap day is a year's last: Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms".
 */
struct tl_civil
tl_civil_of_day_no(int64_t day_no)
{
	int64_t from_march = day_no + 719468;
	int64_t era = (from_march >= 0 ? from_march : from_march - 146096) / 146097;
	int64_t day_of_era = from_march - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t march_month = (5 * day_of_year + 2) / 153;
	struct tl_civil civil;

	civil.day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
	civil.month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
	civil.year = year_of_era + era * 400 + (civil.month <= 2);
	return civil;
}

int64_t
tl_civil_day_no(struct tl_civil civil)
{
	int64_t year = civil.year - (civil.month <= 2);
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t march_month = civil.month > 2 ? civil.month - 3 : civil.month + 9;
	int64_t day_of_year = (153 * march_month + 2) / 5 + civil.day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

/* Times that four digits cannot write show as the nearest day that they can. */
static struct tl_civil
printable_day(int64_t time_ms)
{
	int64_t day_no = tl_bucket_no(TL_SPAN_1D, time_ms);

	if (day_no < DAY_NO_FIRST)
		day_no = DAY_NO_FIRST;
	if (day_no > DAY_NO_LAST)
		day_no = DAY_NO_LAST;
	return tl_civil_of_day_no(day_no);
}

static void
put_digits(char *at, int digit_count, int64_t value)
{
	for (int i = digit_count - 1; i >= 0; i--) {
		at[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

void
tl_day_format(int64_t time_ms, char text_out[TL_DAY_TEXT_BYTES])
{
	struct tl_civil civil = printable_day(time_ms);

	put_digits(text_out, 4, civil.year);
	text_out[4] = '-';
	put_digits(text_out + 5, 2, civil.month);
	text_out[7] = '-';
	put_digits(text_out + 8, 2, civil.day);
	text_out[10] = '\0';
}

void
tl_time_format(int64_t time_ms, char text_out[TL_TIME_TEXT_BYTES])
{
	int64_t of_day_ms = time_ms - tl_bucket_floor(TL_SPAN_1D, time_ms);

	tl_day_format(time_ms, text_out);
	text_out[10] = 'T';
	put_digits(text_out + 11, 2, of_day_ms / TL_HOUR_MS);
	text_out[13] = ':';
	put_digits(text_out + 14, 2, of_day_ms / TL_MINUTE_MS % 60);
	text_out[16] = ':';
	put_digits(text_out + 17, 2, of_day_ms / 1000 % 60);
	text_out[19] = '.';
	put_digits(text_out + 20, 3, of_day_ms % 1000);
	text_out[23] = 'Z';
	text_out[24] = '\0';
}

/* Reads exactly digit_count digits and moves *at past them. */
static bool
take_digits(const char **at, int digit_count, int *value_out)
{
	int value = 0;

	for (int i = 0; i < digit_count; i++) {
		if ((*at)[i] < '0' || (*at)[i] > '9')
			return false;
		value = value * 10 + ((*at)[i] - '0');
	}
	*at += digit_count;
	*value_out = value;
	return true;
}

static bool
take_byte(const char **at, char byte)
{
	if (**at != byte)
		return false;
	(*at)++;
	return true;
}

/* A date that the calendar has: the conversion there and back finds 2026-02-29 out. */
static bool
take_day(const char **at, int64_t *day_no_out)
{
	struct tl_civil civil;
	struct tl_civil back;
	int year;

	if (!take_digits(at, 4, &year) || !take_byte(at, '-') ||
		!take_digits(at, 2, &civil.month) || !take_byte(at, '-') ||
		!take_digits(at, 2, &civil.day))
		return false;
	if (civil.month < 1 || civil.month > 12 || civil.day < 1 || civil.day > 31)
		return false;
	civil.year = year;
	*day_no_out = tl_civil_day_no(civil);
	back = tl_civil_of_day_no(*day_no_out);
	return back.month == civil.month;
}

int64_t
tl_day_parse(const char *text, _Bool *valid_out)
{
	int64_t day_no;

	*valid_out = take_day(&text, &day_no) && *text == '\0';
	return *valid_out ? day_no * TL_DAY_MS : -1;
}

static bool
take_fraction_ms(const char **at, int *ms_out)
{
	int digit_count = 0;
	int digit;

	*ms_out = 0;
	if (!take_byte(at, '.'))
		return true;
	while (take_digits(at, 1, &digit)) {
		digit_count++;
		if (digit_count <= 3)
			*ms_out = *ms_out * 10 + digit;
	}
	for (int i = digit_count; i < 3; i++)
		*ms_out *= 10;
	return digit_count >= 1 && digit_count <= 9;
}

/* Seconds east of UTC. */
static bool
take_offset_s(const char **at, int *offset_s_out)
{
	bool west = **at == '-';
	int hours;
	int minutes;

	*offset_s_out = 0;
	if (take_byte(at, 'Z') || take_byte(at, 'z'))
		return true;
	if (!take_byte(at, '+') && !take_byte(at, '-'))
		return false;
	if (!take_digits(at, 2, &hours) || !take_byte(at, ':') || !take_digits(at, 2, &minutes))
		return false;
	*offset_s_out = (hours * 60 + minutes) * (west ? -60 : 60);
	return hours <= 23 && minutes <= 59;
}

_Bool
tl_time_parse(const char *text, int64_t *time_ms_out)
{
	int64_t day_no;
	int64_t time_s;
	int hour;
	int minute;
	int second;
	int fraction_ms;
	int offset_s;

	if (!take_day(&text, &day_no))
		return false;
	if (!take_byte(&text, 'T') && !take_byte(&text, 't') && !take_byte(&text, ' '))
		return false;
	if (!take_digits(&text, 2, &hour) || !take_byte(&text, ':') ||
		!take_digits(&text, 2, &minute) || !take_byte(&text, ':') ||
		!take_digits(&text, 2, &second))
		return false;
	if (!take_fraction_ms(&text, &fraction_ms) || !take_offset_s(&text, &offset_s))
		return false;
	if (*text != '\0' || hour > 23 || minute > 59 || second > 60)
		return false;

	time_s = day_no * 86400 + hour * 3600 + minute * 60 + second - offset_s;
	/* A leap second ends a UTC day; it counts as the second after it, which Unix time has. */
	if (second == 60 && time_s % 86400 != 0)
		return false;
	*time_ms_out = time_s * 1000 + fraction_ms;
	return true;
}
