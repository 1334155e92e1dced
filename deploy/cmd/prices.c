/* tally prices: what usage is priced by when its producer gives no cost. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "deploy/price_file.h"

struct price_settings {
	struct cli cli;
	char prices[TL_CONF_STRING_BYTES];
};

static const struct tl_conf_setting settings_table[] = {
	CLI_SETTINGS, {"prices", TL_CONF_STRING, offsetof(struct price_settings, prices), "", 0, 0,
			      "file of own prices, over the built-in ones"}};

/* "claude-opus-4-6*" */
static void
format_model(const struct tl_price_row *row, char text_out[TABLE_TEXT_BYTES])
{
	snprintf(text_out, TABLE_TEXT_BYTES, "%.*s%s", (int)row->model.bytes,
		(const char *)row->model.data, row->is_prefix ? "*" : "");
}

static void
format_since(const struct tl_price_row *row, char text_out[TABLE_TEXT_BYTES])
{
	time_t seconds = (time_t)(row->since_ms / 1000);
	struct tm day;

	snprintf(text_out, TABLE_TEXT_BYTES, "-");
	if (row->since_ms != INT64_MIN && gmtime_r(&seconds, &day) != NULL)
		strftime(text_out, TABLE_TEXT_BYTES, "%Y-%m-%d", &day);
}

static void
add_row(struct table *table, const struct tl_price_row *row)
{
	const int64_t numbers[] = {
		row->input, row->output, row->cache_read, row->cache_write, row->cache_write_1h};
	char text[TABLE_TEXT_BYTES];

	format_model(row, text);
	table_cell_str(table, text);
	format_since(row, text);
	table_cell_str(table, text);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(text, sizeof(text), "%" PRId64, numbers[i]);
		table_cell_str(table, text);
	}
}

static int
print_table(const struct tl_prices *prices)
{
	static const struct table_column columns[] = {{"MODEL", TABLE_LEFT, 0},
		{"SINCE", TABLE_LEFT, 0}, {"INPUT", TABLE_RIGHT, 0}, {"OUTPUT", TABLE_RIGHT, 0},
		{"CACHE READ", TABLE_RIGHT, 0}, {"WRITE", TABLE_RIGHT, 0},
		{"WRITE 1H", TABLE_RIGHT, 0}};
	struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	uint32_t count;
	const struct tl_price_row *rows = tl_prices_rows(prices, &count);

	if (table == NULL)
		return CLI_UNAVAILABLE;
	for (uint32_t i = 0; i < count; i++)
		add_row(table, &rows[i]);
	printf("prices %s, nano-dollars a token (1000 is $1 a million)\n",
		tl_prices_version(prices));
	table_print(table);
	table_free(table);
	return CLI_OK;
}

static void
put_row(struct tl_buf *reply, const struct tl_price_row *row)
{
	struct tl_pack_open map = tl_pack_open_map(reply);
	char text[TABLE_TEXT_BYTES];

	format_model(row, text);
	tl_pack_key_str(reply, &map, "model", text);
	format_since(row, text);
	tl_pack_key_str(reply, &map, "since", row->since_ms != INT64_MIN ? text : NULL);
	tl_pack_key_int(reply, &map, "input", row->input);
	tl_pack_key_int(reply, &map, "output", row->output);
	tl_pack_key_int(reply, &map, "cache_read", row->cache_read);
	tl_pack_key_int(reply, &map, "cache_write", row->cache_write);
	tl_pack_key_int(reply, &map, "cache_write_1h", row->cache_write_1h);
	tl_pack_close(reply, &map);
}

static int
print_json(const struct tl_prices *prices)
{
	uint32_t count;
	const struct tl_price_row *rows = tl_prices_rows(prices, &count);
	struct tl_buf reply;
	struct tl_pack_open map;

	tl_buf_init(&reply, 0);
	map = tl_pack_open_map(&reply);
	tl_pack_key_str(&reply, &map, "version", tl_prices_version(prices));
	tl_pack_key_str(&reply, &map, "unit", "nano-dollars a token");
	tl_pack_key(&reply, &map, "prices");
	tl_pack_array(&reply, count);
	for (uint32_t i = 0; i < count; i++)
		put_row(&reply, &rows[i]);
	tl_pack_close(&reply, &map);
	cli_print_json(&reply);
	tl_buf_fini(&reply);
	return CLI_OK;
}

int
cmd_prices(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally prices",
		"Show what usage is priced by when its producer gives no cost: telemetry of Codex, "
		"imported transcripts. A model without a row stays unpriced. tally-http and tally "
		"import take the same --prices FILE.",
		NULL, settings_table);
	struct price_settings s;
	struct tl_prices *prices = NULL;
	struct tl_why why = {0};
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	if (price_file_open(s.prices, &prices, &why)) {
		cli_error("%s", why.text);
		return CLI_USAGE;
	}
	code = s.cli.json ? print_json(prices) : print_table(prices);
	tl_prices_free(prices);
	return code;
}
