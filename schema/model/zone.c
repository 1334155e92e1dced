/*
 * A zone is a list of stretches, each from one transition to the next with one offset from UTC:
 *
 *     [0] before the first transition | [1] | [2] | ... | [last] from the last transition on
 *
 * The last one has no end in the file. There the footer, a POSIX TZ string such as
 * "CET-1CEST,M3.5.0,M10.5.0/3", gives two transitions a year for ever.
 */
#include "schema/model/zone.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/file.h"
#include "schema/model/bucket.h"

#define DAY_S 86400
#define HOUR_S 3600
#define TZDIR_DEFAULT "/usr/share/zoneinfo"
#define FILE_BYTES_MAX (1u << 20) /* the largest in the database has 4 KiB */

/* Times in a file may be anything; ours stay where milliseconds do not overflow. */
#define TIME_S_MAX (1LL << 53)

/* RFC 8536 3.2 allows no offset outside these; they also bound how far local time is from UTC. */
#define OFFSET_S_MIN (-25 * HOUR_S)
#define OFFSET_S_MAX (26 * HOUR_S)

enum date_form {
	DATE_MONTH_WEEK_DAY, /* Mm.w.d */
	DATE_JULIAN,	     /* Jn, 1..365: 29 February is never counted */
	DATE_ZERO_BASED,     /* n, 0..365: 29 February is counted */
};

struct rule_date {
	enum date_form form;
	int month;
	int week;    /* 1..4, 5 is the last */
	int weekday; /* 0 is Sunday */
	int day;
	int time_s; /* of local time, may be below 0 and past a day */
};

struct rule {
	bool is_set;
	bool has_dst;
	int32_t std_offset_s;
	int32_t dst_offset_s;
	struct rule_date dst_start; /* read in standard time */
	struct rule_date dst_end;   /* read in daylight time */
};

struct transition {
	int64_t at_s;
	int32_t offset_s; /* from at_s on */
};

struct tl_zone {
	struct tl_zone *next; /* guarded by cache_mtx */
	/* fixed after parsing */
	char name[TL_ZONE_NAME_BYTES];
	struct rule rule;
	uint32_t stretch_count;
	struct transition stretch[];
};

/* What is left of a POSIX TZ string. */
struct text {
	const uint8_t *at;
	const uint8_t *end;
};

static bool
take_byte(struct text *text, char byte)
{
	if (text->at == text->end || *text->at != (uint8_t)byte)
		return false;
	text->at++;
	return true;
}

static bool
take_number(struct text *text, int min, int max, int *number_out)
{
	const uint8_t *start = text->at;
	int number = 0;

	while (text->at != text->end && *text->at >= '0' && *text->at <= '9' && number <= max) {
		number = number * 10 + (*text->at - '0');
		text->at++;
	}
	*number_out = number;
	return text->at != start && number >= min && number <= max;
}

/* EST or <-03>. Only offsets matter here, so the name is passed over. */
static bool
take_name(struct text *text)
{
	bool quoted = take_byte(text, '<');
	const uint8_t *start = text->at;
	ptrdiff_t bytes;

	for (; text->at != text->end; text->at++) {
		uint8_t byte = *text->at;
		uint8_t letter = byte | 0x20;
		bool extra = (byte >= '0' && byte <= '9') || byte == '+' || byte == '-';

		if ((letter < 'a' || letter > 'z') && !(quoted && extra))
			break;
	}
	bytes = text->at - start;
	return bytes >= 3 && (!quoted || take_byte(text, '>'));
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool
take_hms(struct text *text, int hours_max, int *seconds_out)
{
	bool minus = take_byte(text, '-');
	int hours;
	int minutes = 0;
	int seconds = 0;

	if (!minus)
		(void)take_byte(text, '+');
	if (!take_number(text, 0, hours_max, &hours))
		return false;
	if (take_byte(text, ':')) {
		if (!take_number(text, 0, 59, &minutes))
			return false;
		if (take_byte(text, ':') && !take_number(text, 0, 59, &seconds))
			return false;
	}
	seconds += hours * HOUR_S + minutes * 60;
	*seconds_out = minus ? -seconds : seconds;
	return true;
}

/* POSIX counts west of UTC as positive. */
static bool
take_offset(struct text *text, int32_t *offset_s_out)
{
	int west_s;

	if (!take_hms(text, 24, &west_s))
		return false;
	*offset_s_out = -west_s;
	return true;
}

/* ,date[/time], the time 02:00 when it is not said. */
static bool
take_date(struct text *text, struct rule_date *date)
{
	bool good;

	*date = (struct rule_date){.time_s = 2 * HOUR_S};
	if (!take_byte(text, ','))
		return false;
	if (take_byte(text, 'M')) {
		date->form = DATE_MONTH_WEEK_DAY;
		good = take_number(text, 1, 12, &date->month) && take_byte(text, '.') &&
		       take_number(text, 1, 5, &date->week) && take_byte(text, '.') &&
		       take_number(text, 0, 6, &date->weekday);
	} else if (take_byte(text, 'J')) {
		date->form = DATE_JULIAN;
		good = take_number(text, 1, 365, &date->day);
	} else {
		date->form = DATE_ZERO_BASED;
		good = take_number(text, 0, 365, &date->day);
	}
	if (good && take_byte(text, '/')) /* up to a week either way: RFC 8536 3.3.1 */
		good = take_hms(text, 167, &date->time_s);
	return good;
}

static bool
parse_rule(struct tl_slice footer, struct rule *rule)
{
	struct text text = {.at = footer.data, .end = footer.data + footer.bytes};

	*rule = (struct rule){.is_set = footer.bytes > 0};
	if (!rule->is_set)
		return true;
	if (!take_name(&text) || !take_offset(&text, &rule->std_offset_s))
		return false;
	if (text.at == text.end)
		return true;
	rule->has_dst = true;
	rule->dst_offset_s = rule->std_offset_s + HOUR_S;
	if (!take_name(&text))
		return false;
	if (text.at != text.end && *text.at != ',' && !take_offset(&text, &rule->dst_offset_s))
		return false;
	return take_date(&text, &rule->dst_start) && take_date(&text, &rule->dst_end) &&
	       text.at == text.end;
}

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Local seconds, as if local time were UTC, at which the date of the rule falls in year. */
static int64_t
date_in_year(const struct rule_date *date, int64_t year)
{
	int64_t day_no = tl_civil_day_no((struct tl_civil){.year = year, .month = 1, .day = 1});
	struct tl_civil first = {.year = year, .month = date->month, .day = 1};
	struct tl_civil next = {.year = year, .month = date->month + 1, .day = 1};
	int64_t weekday;

	switch (date->form) {
	case DATE_JULIAN:
		day_no += date->day - 1 + (date->day >= 60 && is_leap(year));
		break;
	case DATE_ZERO_BASED:
		day_no += date->day;
		break;
	case DATE_MONTH_WEEK_DAY:
		if (date->month == 12)
			next = (struct tl_civil){.year = year + 1, .month = 1, .day = 1};
		day_no = tl_civil_day_no(first);
		weekday = ((day_no + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
		day_no += (date->weekday - weekday + 7) % 7 + (date->week - 1) * 7;
		if (day_no >= tl_civil_day_no(next)) /* the fifth is the last, maybe the fourth */
			day_no -= 7;
		break;
	}
	return day_no * DAY_S + date->time_s;
}

/*
 * The stretch of the rule around time_s. Two years on either side are enough, whatever the rule:
 * no time of a date moves it by more than a week. Equal times stay in order of the years, so that
 * a rule whose summer ends when the next one starts ("XXX3EDT4,0/0,J365/23") is summer for ever.
 */
static void
rule_stretch(
	const struct rule *rule, int64_t time_s, struct transition *stretch_out, int64_t *end_s_out)
{
	int64_t day_no = time_s / DAY_S - (time_s % DAY_S < 0);
	int64_t year = tl_civil_of_day_no(day_no).year;
	struct transition sorted[10];
	size_t count = 0;

	for (int64_t y = year - 2; y <= year + 2; y++) {
		struct transition pair[2] = {
			{date_in_year(&rule->dst_start, y) - rule->std_offset_s,
				rule->dst_offset_s},
			{date_in_year(&rule->dst_end, y) - rule->dst_offset_s, rule->std_offset_s},
		};

		for (size_t i = 0; i < 2; i++) {
			size_t at = count++;

			for (; at > 0 && sorted[at - 1].at_s > pair[i].at_s; at--)
				sorted[at] = sorted[at - 1];
			sorted[at] = pair[i];
		}
	}
	for (size_t i = 0; i < count && sorted[i].at_s <= time_s; i++) {
		*stretch_out = sorted[i];
		*end_s_out = i + 1 < count ? sorted[i + 1].at_s : TIME_S_MAX;
	}
}

/* Index of the last stretch of the file that begins at or before time_s; the first has no begin. */
static uint32_t
stretch_idx_at(const struct tl_zone *zone, int64_t time_s)
{
	uint32_t low = 0;
	uint32_t high = zone->stretch_count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (zone->stretch[middle].at_s <= time_s)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct tl_stretch
tl_zone_stretch(const struct tl_zone *zone, int64_t time_ms)
{
	int64_t time_s = time_ms / 1000 - (time_ms % 1000 < 0);
	int64_t end_s = TIME_S_MAX;
	struct transition found;
	uint32_t idx;

	if (time_s < -TIME_S_MAX)
		time_s = -TIME_S_MAX;
	if (time_s >= TIME_S_MAX)
		time_s = TIME_S_MAX - 1;
	idx = stretch_idx_at(zone, time_s);
	found = zone->stretch[idx];
	if (idx + 1 < zone->stretch_count) {
		end_s = zone->stretch[idx + 1].at_s;
	} else if (zone->rule.has_dst) {
		rule_stretch(&zone->rule, time_s, &found, &end_s);
		if (found.at_s < zone->stretch[idx].at_s)
			found.at_s = zone->stretch[idx].at_s;
	} else if (zone->rule.is_set) {
		found.offset_s = zone->rule.std_offset_s;
	}
	return (struct tl_stretch){
		.start_ms = found.at_s * 1000, .end_ms = end_s * 1000, .offset_s = found.offset_s};
}

int32_t
tl_zone_offset_s(const struct tl_zone *zone, int64_t time_ms)
{
	return tl_zone_stretch(zone, time_ms).offset_s;
}

/* The first instant at which the local clock has reached local_ms, by reading it or jumping. */
int64_t
tl_zone_from_local(const struct tl_zone *zone, int64_t local_ms)
{
	int64_t time_ms = local_ms - OFFSET_S_MAX * 1000LL; /* too early in any zone */

	for (;;) {
		struct tl_stretch stretch = tl_zone_stretch(zone, time_ms);
		int64_t read_ms = local_ms - stretch.offset_s * 1000LL;

		if (read_ms < time_ms)
			return time_ms;
		if (read_ms < stretch.end_ms)
			return read_ms;
		time_ms = stretch.end_ms;
	}
}

const char *
tl_zone_name(const struct tl_zone *zone)
{
	return zone->name;
}

/* The counts in a TZif header, in its order. */
struct counts {
	uint32_t isut;
	uint32_t isstd;
	uint32_t leap;
	uint32_t time;
	uint32_t type;
	uint32_t chars;
};

static bool
read_header(struct tl_cursor *cur, struct counts *counts)
{
	struct tl_slice magic = tl_cursor_take(cur, 4);
	uint8_t version = tl_cursor_u8(cur);

	(void)tl_cursor_take(cur, 15);
	counts->isut = tl_cursor_be32(cur);
	counts->isstd = tl_cursor_be32(cur);
	counts->leap = tl_cursor_be32(cur);
	counts->time = tl_cursor_be32(cur);
	counts->type = tl_cursor_be32(cur);
	counts->chars = tl_cursor_be32(cur);
	return cur->err == TL_OK && tl_slice_eq(magic, tl_slice_str("TZif")) && version >= '2';
}

/* Passes over the first block: it has the same in 32 bits, for readers older than we are. */
static void
skip_block(struct tl_cursor *cur, const struct counts *counts)
{
	uint64_t bytes = counts->time * 5ull + counts->type * 6ull + counts->chars +
			 counts->leap * 8ull + counts->isstd + counts->isut;

	(void)tl_cursor_take(cur, bytes);
}

static int32_t
type_offset_s(struct tl_slice types, uint32_t type_idx)
{
	return (int32_t)tl_get_be32(types.data + type_idx * 6u);
}

/* The stretches of the second block into zone, which has room for all of them. */
static const char *
fill_stretches(struct tl_zone *zone, const struct counts *counts, struct tl_slice times,
	struct tl_slice idxs, struct tl_slice types)
{
	int64_t before_s = INT64_MIN;

	for (uint32_t i = 0; i < counts->type; i++) {
		if (type_offset_s(types, i) <= OFFSET_S_MIN ||
			type_offset_s(types, i) >= OFFSET_S_MAX)
			return "an offset is out of range";
	}
	zone->stretch[0] =
		(struct transition){.at_s = -TIME_S_MAX, .offset_s = type_offset_s(types, 0)};
	zone->stretch_count = 1;
	for (uint32_t i = 0; i < counts->time; i++) {
		int64_t at_s = (int64_t)tl_get_be64(times.data + i * 8u);

		if (i > 0 && at_s <= before_s)
			return "the transitions are not in order";
		if (at_s > TIME_S_MAX || idxs.data[i] >= counts->type)
			return "a transition is out of range";
		before_s = at_s;
		if (at_s <= -TIME_S_MAX) /* some writers begin with the Big Bang */
			zone->stretch_count = 0;
		zone->stretch[zone->stretch_count++] =
			(struct transition){.at_s = at_s <= -TIME_S_MAX ? -TIME_S_MAX : at_s,
				.offset_s = type_offset_s(types, idxs.data[i])};
	}
	return NULL;
}

/* The TZ string between its two newlines; data is NULL when they are not there. */
static struct tl_slice
read_footer(struct tl_cursor *cur)
{
	struct tl_slice none = {0};
	const uint8_t *end;

	if (tl_cursor_u8(cur) != '\n')
		return none;
	end = memchr(cur->next, '\n', tl_cursor_left(cur));
	return end == NULL ? none : tl_slice_of(cur->next, (size_t)(end - cur->next));
}

enum tl_err
tl_zone_parse(
	struct tl_slice name, struct tl_slice tzif, struct tl_zone **zone_out, struct tl_why *why)
{
	struct tl_cursor cur = tl_cursor_of(tzif);
	struct tl_zone *zone = NULL;
	const char *wrong = "it is cut short";
	enum tl_err err = TL_EBAD_PARAM;
	struct tl_slice times, idxs, types, footer;
	struct counts counts;

	if (name.bytes >= TL_ZONE_NAME_BYTES)
		return tl_fail(why, TL_EBAD_PARAM, "the name of a zone is too long");
	if (!read_header(&cur, &counts)) {
		wrong = "it is not TZif 2 or later";
		goto out;
	}
	skip_block(&cur, &counts);
	if (cur.err || !read_header(&cur, &counts))
		goto out;
	if (counts.leap > 0 || counts.type == 0) {
		wrong = counts.type == 0 ? "it has no offset" : "it counts leap seconds";
		goto out;
	}
	times = tl_cursor_take(&cur, counts.time * 8ull);
	idxs = tl_cursor_take(&cur, counts.time);
	types = tl_cursor_take(&cur, counts.type * 6ull);
	(void)tl_cursor_take(&cur, (uint64_t)counts.chars + counts.isstd + counts.isut);
	if (cur.err)
		goto out;
	footer = read_footer(&cur);
	if (footer.data == NULL)
		goto out;

	zone = calloc(1, sizeof(*zone) + (counts.time + 1ull) * sizeof(zone->stretch[0]));
	if (zone == NULL) {
		err = TL_ENOMEM;
		wrong = "out of memory";
		goto out;
	}
	memcpy(zone->name, name.data, name.bytes);
	wrong = fill_stretches(zone, &counts, times, idxs, types);
	if (wrong == NULL && !parse_rule(footer, &zone->rule))
		wrong = "its footer is not a POSIX TZ string";
	if (wrong == NULL) {
		*zone_out = zone;
		return TL_OK;
	}

out:
	tl_zone_free(zone);
	return tl_fail(
		why, err, "time zone '%.*s': %s", (int)name.bytes, (const char *)name.data, wrong);
}

void
tl_zone_free(struct tl_zone *zone)
{
	free(zone);
}

/* The zones read so far. They are never freed, so what the lock guards is only the list. */
static pthread_mutex_t cache_mtx = PTHREAD_MUTEX_INITIALIZER;
static struct tl_zone *cache;

static struct tl_zone *
cache_find(struct tl_slice name)
{
	struct tl_zone *zone = cache;

	while (zone != NULL && !tl_slice_eq(tl_slice_str(zone->name), name))
		zone = zone->next;
	return zone;
}

/* Relative, and nothing but letters, digits, '_', '+' and '-' between single slashes. */
static bool
is_plain_path(struct tl_slice name)
{
	uint8_t before = '/';

	if (name.bytes >= TL_ZONE_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.bytes; i++) {
		uint8_t byte = name.data[i];
		uint8_t letter = byte | 0x20;
		bool good = (letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9') ||
			    byte == '_' || byte == '+' || byte == '-' ||
			    (byte == '/' && before != '/');

		if (!good)
			return false;
		before = byte;
	}
	return before != '/';
}

static enum tl_err
read_zone(struct tl_slice name, struct tl_zone **zone_out, struct tl_why *why)
{
	const char *folder = getenv("TZDIR");
	char path[4096];
	struct tl_buf buf;
	enum tl_err err;
	int bytes;

	if (folder == NULL || folder[0] != '/')
		folder = TZDIR_DEFAULT;
	bytes = snprintf(
		path, sizeof(path), "%s/%.*s", folder, (int)name.bytes, (const char *)name.data);
	if (bytes < 0 || (size_t)bytes >= sizeof(path))
		return tl_fail(why, TL_EBAD_PARAM, "TZDIR is too long");
	tl_buf_init(&buf, FILE_BYTES_MAX);
	err = tl_file_read(path, &buf, why);
	if (err == TL_OK)
		err = tl_zone_parse(name, tl_buf_slice(&buf), zone_out, why);
	else if (err != TL_ENOMEM) /* not there, a folder, or not for us to read: no such zone */
		err = tl_fail(why, TL_EBAD_PARAM, "no time zone '%.*s'", (int)name.bytes,
			(const char *)name.data);
	tl_buf_fini(&buf);
	return err;
}

enum tl_err
tl_zone_get(struct tl_slice name, const struct tl_zone **zone_out, struct tl_why *why)
{
	struct tl_zone *made = NULL;
	struct tl_zone *zone;
	enum tl_err err;

	if (!is_plain_path(name))
		return tl_fail(why, TL_EBAD_PARAM, "not the name of a time zone");
	pthread_mutex_lock(&cache_mtx);
	zone = cache_find(name);
	pthread_mutex_unlock(&cache_mtx);
	if (zone == NULL) {
		err = read_zone(name, &made, why);
		if (err)
			return err;
		pthread_mutex_lock(&cache_mtx);
		zone = cache_find(name); /* another thread may have been faster */
		if (zone == NULL) {
			made->next = cache;
			cache = made;
			zone = made;
			made = NULL;
		}
		pthread_mutex_unlock(&cache_mtx);
		tl_zone_free(made);
	}
	*zone_out = zone;
	return TL_OK;
}
