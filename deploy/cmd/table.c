#include "deploy/cmd/table.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

struct table {
	const struct table_column *columns;
	size_t column_count;
	char **cells;
	size_t cell_count, cell_capacity;
	bool failed;
};

struct table *
table_new(const struct table_column *columns, size_t column_count)
{
	struct table *table = calloc(1, sizeof(*table));

	setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters */
	if (table == NULL)
		return NULL;
	table->columns = columns;
	table->column_count = column_count;
	return table;
}

void
table_free(struct table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

/* Decode one character; its width in terminal cells and its bytes. */
static int
char_width(const char *at, size_t left, size_t *bytes_out)
{
	mbstate_t state = {0};
	wchar_t wide;
	size_t bytes = mbrtowc(&wide, at, left, &state);
	int width;

	if (bytes == 0 || bytes > left) {
		*bytes_out = 1;
		return 1;
	}
	*bytes_out = bytes;
	width = wcwidth(wide);
	return width < 0 ? 1 : width;
}

static uint32_t
text_width(const char *text)
{
	uint32_t width = 0;
	size_t left = strlen(text), bytes;

	for (; left > 0; text += bytes, left -= bytes)
		width += (uint32_t)char_width(text, left, &bytes);
	return width;
}

/* Cut text to width_max terminal cells, the last one an ellipsis. */
static void
text_cut(char *text, uint32_t width_max)
{
	uint32_t width = 0;
	size_t left = strlen(text), bytes;
	char *at = text;

	if (text_width(text) <= width_max)
		return;
	while (left > 0) {
		uint32_t next = (uint32_t)char_width(at, left, &bytes);

		if (width + next > width_max - 1)
			break;
		width += next;
		at += bytes;
		left -= bytes;
	}
	if (left >= 3)
		strcpy(at, "\xe2\x80\xa6");
}

void
table_cell(struct table *table, struct tl_slice text)
{
	const struct table_column *column =
		&table->columns[table->cell_count % table->column_count];
	char *copy;

	if (table->cell_count == table->cell_capacity) {
		size_t capacity = table->cell_capacity * 2 + 64;
		char **cells = realloc(table->cells, capacity * sizeof(*cells));

		if (cells == NULL) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->cell_capacity = capacity;
	}
	copy = malloc(text.bytes + 4);
	if (copy == NULL) {
		table->failed = true;
		return;
	}
	if (text.bytes > 0)
		memcpy(copy, text.data, text.bytes);
	copy[text.bytes] = '\0';
	for (size_t i = 0; i < text.bytes; i++) {
		if ((unsigned char)copy[i] < 0x20 || copy[i] == 0x7f)
			copy[i] = '?';
	}
	if (column->width_max > 0)
		text_cut(copy, column->width_max);
	table->cells[table->cell_count++] = copy;
}

void
table_cell_str(struct table *table, const char *text)
{
	table_cell(table, tl_slice_str(text));
}

static void
print_cell(const struct table *table, size_t column, const char *text, uint32_t width)
{
	bool is_last = column + 1 == table->column_count;
	int pad = (int)(width - text_width(text));

	if (table->columns[column].align == TABLE_RIGHT)
		printf("%*s%s", pad, "", text);
	else
		printf("%s%*s", text, is_last ? 0 : pad, "");
	fputs(is_last ? "\n" : "  ", stdout);
}

void
table_print(const struct table *table)
{
	uint32_t width[TABLE_COLUMNS_MAX] = {0};
	bool is_bold = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;

	if (table->failed)
		fputs("(table cut off: out of memory)\n", stdout);
	for (size_t c = 0; c < table->column_count; c++)
		width[c] = text_width(table->columns[c].title);
	for (size_t i = 0; i < table->cell_count; i++) {
		uint32_t cell = text_width(table->cells[i]);

		if (cell > width[i % table->column_count])
			width[i % table->column_count] = cell;
	}
	if (is_bold)
		fputs("\033[1m", stdout);
	for (size_t c = 0; c < table->column_count; c++)
		print_cell(table, c, table->columns[c].title, width[c]);
	if (is_bold)
		fputs("\033[0m", stdout);
	for (size_t i = 0; i < table->cell_count; i++)
		print_cell(table, i % table->column_count, table->cells[i],
			width[i % table->column_count]);
}

/* Digits with a comma at each thousand. */
static size_t
put_grouped(uint64_t value, char *text)
{
	char digits[24];
	int count = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	size_t at = 0;

	for (int i = 0; i < count; i++) {
		if (i > 0 && (count - i) % 3 == 0)
			text[at++] = ',';
		text[at++] = digits[i];
	}
	text[at] = '\0';
	return at;
}

void
text_count(int64_t value, char text_out[TABLE_TEXT_BYTES])
{
	size_t sign = value < 0 ? 1 : 0;

	text_out[0] = '-';
	put_grouped(sign ? 0 - (uint64_t)value : (uint64_t)value, text_out + sign);
}

void
text_money(int64_t nusd, char text_out[TABLE_TEXT_BYTES])
{
	uint64_t size = nusd < 0 ? 0 - (uint64_t)nusd : (uint64_t)nusd;
	uint64_t cents = size / 10000000 + (size % 10000000 >= 5000000 ? 1 : 0);
	size_t at = 0;

	if (nusd < 0)
		text_out[at++] = '-';
	text_out[at++] = '$';
	at += put_grouped(cents / 100, text_out + at);
	snprintf(text_out + at, TABLE_TEXT_BYTES - at, ".%02u", (unsigned)(cents % 100));
}

void
text_short(int64_t value, char text_out[TABLE_TEXT_BYTES])
{
	static const char units[] = {'k', 'M', 'B', 'T'};
	uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	uint64_t tenths = size;
	int unit = -1;

	if (size < 10000) {
		text_count(value, text_out);
		return;
	}
	for (uint64_t scale = 1000; unit < 3; scale *= 1000) {
		unit++;
		tenths = size / (scale / 10);
		if (tenths < 10000 || unit == 3)
			break;
	}
	snprintf(text_out, TABLE_TEXT_BYTES, "%s%" PRIu64 ".%" PRIu64 "%c", value < 0 ? "-" : "",
		tenths / 10, tenths % 10, units[unit]);
}

void
text_ago(int64_t then_ms, int64_t now_ms, char text_out[TABLE_TEXT_BYTES])
{
	int64_t minutes = (now_ms - then_ms) / 60000;

	if (then_ms <= 0)
		snprintf(text_out, TABLE_TEXT_BYTES, "never");
	else if (minutes < 1)
		snprintf(text_out, TABLE_TEXT_BYTES, "just now");
	else if (minutes < 60)
		snprintf(text_out, TABLE_TEXT_BYTES, "%" PRId64 " min ago", minutes);
	else if (minutes < 48 * 60)
		snprintf(text_out, TABLE_TEXT_BYTES, "%" PRId64 " h ago", minutes / 60);
	else
		snprintf(text_out, TABLE_TEXT_BYTES, "%" PRId64 " days ago", minutes / (24 * 60));
}

void
text_spark(const int64_t *values, uint32_t value_count, uint32_t width_max,
	char text_out[TABLE_TEXT_BYTES])
{
	uint32_t per_bar = (value_count + width_max - 1) / width_max;
	int64_t bars[64] = {0};
	uint32_t bar_count = 0;
	int64_t highest = 0;
	size_t at = 0;

	for (uint32_t first = 0; first < value_count && bar_count < 48; first += per_bar) {
		for (uint32_t i = first; i < first + per_bar && i < value_count; i++)
			bars[bar_count] += values[i];
		if (bars[bar_count] > highest)
			highest = bars[bar_count];
		bar_count++;
	}
	for (uint32_t i = 0; i < bar_count; i++) {
		/* A bin with anything in it is taller than an empty one. */
		int step = bars[i] <= 0 ? 0 : 1 + (int)((__int128)bars[i] * 6 / highest);

		memcpy(text_out + at, bars[i] <= 0 ? "\xe2\x96\x81" : "\xe2\x96\x82", 3);
		if (step > 1)
			text_out[at + 2] = (char)(0x81 + step);
		at += 3;
	}
	text_out[at] = '\0';
}

void
progress_show(const char *what, uint64_t done, uint64_t total, const char *unit)
{
	char count[TABLE_TEXT_BYTES], whole[TABLE_TEXT_BYTES];
	int filled = total > 0 ? (int)(done * 24 / total) : 0;

	if (!isatty(STDERR_FILENO))
		return;
	if (filled > 24)
		filled = 24;
	text_count((int64_t)done, count);
	text_count((int64_t)total, whole);
	fprintf(stderr, "\r\033[K%s [%.*s%.*s] %s of %s %s", what, filled,
		"########################", 24 - filled, "........................", count, whole,
		unit);
	fflush(stderr);
}

void
progress_end(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}
