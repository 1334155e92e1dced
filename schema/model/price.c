#include "schema/model/price.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/model/bucket.h"
#include "schema/model/money.h"

/* The file's bytes, from tl_price_table to tl_price_table_end. */
__asm__(".section .rodata\n"
	".global tl_price_table\n"
	".global tl_price_table_end\n"
	"tl_price_table:\n"
	".incbin \"schema/model/prices.txt\"\n"
	"tl_price_table_end:\n"
	".previous\n");

extern const char tl_price_table[];
extern const char tl_price_table_end[];

#define COLUMNS 7u

struct tl_prices {
	char *text; /* of an own table */
	struct tl_price_row *rows;
	uint32_t count, capacity;
	uint32_t own_count; /* the first rows */
	char version[2 * TL_PRICE_VERSION_BYTES];
};

static enum tl_err
push(struct tl_prices *prices, const struct tl_price_row *row)
{
	if (prices->count == TL_PRICE_ROWS_MAX)
		return TL_EFULL;
	if (prices->count == prices->capacity) {
		uint32_t capacity = prices->capacity * 2 + 64;
		struct tl_price_row *rows =
			realloc(prices->rows, capacity * sizeof(struct tl_price_row));

		if (rows == NULL)
			return TL_ENOMEM;
		prices->rows = rows;
		prices->capacity = capacity;
	}
	prices->rows[prices->count++] = *row;
	return TL_OK;
}

/* The next word of a line, empty at its end. */
static struct tl_slice
next_word(struct tl_slice *line)
{
	struct tl_slice word;

	while (line->bytes > 0 && isspace(line->data[0]))
		*line = tl_slice_of(line->data + 1, line->bytes - 1);
	word = tl_slice_of(line->data, 0);
	while (line->bytes > 0 && !isspace(line->data[0])) {
		word.bytes++;
		*line = tl_slice_of(line->data + 1, line->bytes - 1);
	}
	return word;
}

static bool
read_price(struct tl_slice word, int64_t *price_out)
{
	int64_t price = 0;

	for (size_t i = 0; i < word.bytes; i++) {
		if (!isdigit(word.data[i]) || price > TL_PRICE_NUSD_MAX)
			return false;
		price = price * 10 + (word.data[i] - '0');
	}
	*price_out = price;
	return word.bytes > 0 && price <= TL_PRICE_NUSD_MAX;
}

/* "-", or a day of the UTC calendar. */
static bool
read_since(struct tl_slice word, int64_t *since_ms_out)
{
	char text[32];

	*since_ms_out = INT64_MIN;
	if (tl_slice_eq(word, tl_slice_str("-")))
		return true;
	if (word.bytes != strlen("2026-11-21"))
		return false;
	snprintf(text, sizeof(text), "%.10sT00:00:00Z", (const char *)word.data);
	return tl_time_parse(text, since_ms_out);
}

static enum tl_err
read_row(struct tl_prices *prices, const struct tl_slice words[COLUMNS], struct tl_why *why)
{
	struct tl_price_row row = {.model = words[0]};
	int64_t *const numbers[] = {
		&row.input, &row.output, &row.cache_read, &row.cache_write, &row.cache_write_1h};

	row.is_prefix = words[0].data[words[0].bytes - 1] == '*';
	row.model.bytes -= row.is_prefix;
	if (!read_since(words[1], &row.since_ms))
		return tl_fail(why, TL_ECONFIG, "since is a day like 2026-11-21, or -");
	for (uint32_t i = 2; i < COLUMNS; i++) {
		if (!read_price(words[i], numbers[i - 2]))
			return tl_fail(why, TL_ECONFIG,
				"column %u is no whole number of nano-dollars up to %lld", i + 1,
				TL_PRICE_NUSD_MAX);
	}
	return push(prices, &row);
}

static enum tl_err
read_line(struct tl_prices *prices, struct tl_slice line, char *version, struct tl_why *why)
{
	struct tl_slice words[COLUMNS + 1];
	uint32_t count = 0;
	const uint8_t *comment = memchr(line.data, '#', line.bytes);

	if (comment != NULL)
		line.bytes = (size_t)(comment - line.data);
	while (count <= COLUMNS && (words[count] = next_word(&line)).bytes > 0)
		count++;
	if (count == 0)
		return TL_OK;
	if (count == 2 && tl_slice_eq(words[0], tl_slice_str("version"))) {
		snprintf(version, TL_PRICE_VERSION_BYTES, "%.*s", (int)words[1].bytes,
			(const char *)words[1].data);
		return TL_OK;
	}
	if (count != COLUMNS)
		return tl_fail(why, TL_ECONFIG,
			"a row is model since input output cache_read cache_write cache_write_1h");
	return read_row(prices, words, why);
}

static enum tl_err
read_table(struct tl_prices *prices, struct tl_slice text, char *version, struct tl_why *why)
{
	struct tl_why inner = {0};
	uint32_t line_no = 0;
	enum tl_err err = TL_OK;

	while (text.bytes > 0 && !err) {
		const uint8_t *end = memchr(text.data, '\n', text.bytes);
		size_t bytes = end != NULL ? (size_t)(end - text.data) : text.bytes;

		line_no++;
		err = read_line(prices, tl_slice_of(text.data, bytes), version, &inner);
		bytes += end != NULL;
		text = tl_slice_of(text.data + bytes, text.bytes - bytes);
	}
	if (err)
		return tl_fail(why, err, "prices, line %u: %.180s", line_no,
			inner.text[0] != '\0' ? inner.text : tl_err_text(err));
	return TL_OK;
}

/* An own table's rows point into a copy that lives as long as they do. */
static enum tl_err
read_own(struct tl_prices *prices, struct tl_slice own, char *version, struct tl_why *why)
{
	enum tl_err err;

	if (own.bytes == 0)
		return TL_OK;
	prices->text = malloc(own.bytes);
	if (prices->text == NULL)
		return TL_ENOMEM;
	memcpy(prices->text, own.data, own.bytes);
	snprintf(version, TL_PRICE_VERSION_BYTES, "own");
	err = read_table(prices, tl_slice_of(prices->text, own.bytes), version, why);
	prices->own_count = prices->count;
	return err;
}

enum tl_err
tl_prices_new(struct tl_slice own, struct tl_prices **prices_out, struct tl_why *why)
{
	struct tl_slice built_in =
		tl_slice_of(tl_price_table, (size_t)(tl_price_table_end - tl_price_table));
	struct tl_prices *prices = calloc(1, sizeof(*prices));
	char own_version[TL_PRICE_VERSION_BYTES] = "";
	char version[TL_PRICE_VERSION_BYTES] = "";
	enum tl_err err;

	if (prices == NULL)
		return TL_ENOMEM;
	err = read_own(prices, own, own_version, why);
	if (!err)
		err = read_table(prices, built_in, version, why);
	if (err) {
		tl_prices_free(prices);
		return err;
	}
	snprintf(prices->version, sizeof(prices->version), "%s%s%s", own_version,
		own_version[0] != '\0' ? " over " : "", version);
	*prices_out = prices;
	return TL_OK;
}

void
tl_prices_free(struct tl_prices *prices)
{
	if (prices == NULL)
		return;
	free(prices->text);
	free(prices->rows);
	free(prices);
}

const char *
tl_prices_version(const struct tl_prices *prices)
{
	return prices->version;
}

const struct tl_price_row *
tl_prices_rows(const struct tl_prices *prices, uint32_t *count_out)
{
	*count_out = prices->count;
	return prices->rows;
}

static bool
fits(const struct tl_price_row *row, struct tl_slice model)
{
	if (!row->is_prefix)
		return tl_slice_eq(row->model, model);
	return model.bytes >= row->model.bytes &&
	       tl_slice_eq(row->model, tl_slice_of(model.data, row->model.bytes));
}

/* Whether a says more than b about a model that both fit: a whole name, a longer one, a later day.
 */
static bool
is_better(const struct tl_price_row *a, const struct tl_price_row *b)
{
	if (a->is_prefix != b->is_prefix)
		return b->is_prefix;
	if (a->model.bytes != b->model.bytes)
		return a->model.bytes > b->model.bytes;
	return a->since_ms > b->since_ms;
}

/* The best of rows[first, end); *is_listed_out: one fits, perhaps of another time. */
static const struct tl_price_row *
find_in(const struct tl_prices *prices, uint32_t first, uint32_t end, struct tl_slice model,
	int64_t ts_ms, bool *is_listed_out)
{
	const struct tl_price_row *best = NULL;

	*is_listed_out = false;
	for (uint32_t i = first; i < end; i++) {
		const struct tl_price_row *row = &prices->rows[i];

		if (!fits(row, model))
			continue;
		*is_listed_out = true;
		if (row->since_ms <= ts_ms && (best == NULL || is_better(row, best)))
			best = row;
	}
	return best;
}

const struct tl_price_row *
tl_prices_find(const struct tl_prices *prices, struct tl_slice model, int64_t ts_ms)
{
	const struct tl_price_row *row;
	bool is_listed;

	row = find_in(prices, 0, prices->own_count, model, ts_ms, &is_listed);
	if (is_listed)
		return row;
	return find_in(prices, prices->own_count, prices->count, model, ts_ms, &is_listed);
}

static bool
add_part(int64_t *sum, int64_t tokens, int64_t price)
{
	int64_t part;

	return !__builtin_mul_overflow(tokens, price, &part) && tl_sum_add(sum, part);
}

bool
tl_price_cost(const struct tl_price_row *row, const struct tl_price_tokens *tokens,
	int64_t *cost_nusd_out)
{
	int64_t cost_nusd = 0;

	if (!add_part(&cost_nusd, tokens->input, row->input) ||
		!add_part(&cost_nusd, tokens->output, row->output) ||
		!add_part(&cost_nusd, tokens->cache_read, row->cache_read) ||
		!add_part(&cost_nusd, tokens->cache_write - tokens->cache_write_1h,
			row->cache_write) ||
		!add_part(&cost_nusd, tokens->cache_write_1h, row->cache_write_1h))
		return false;
	*cost_nusd_out = cost_nusd;
	return true;
}
