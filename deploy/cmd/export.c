/* The rows behind the figures into a file or to standard output, page after page of one snapshot.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "schema/wire/rows_text.h"

#define ASK_TIMEOUT_MS 60000
#define PATH_BYTES (TL_CONF_STRING_BYTES + 8)

struct export_settings {
	struct cli cli;
	char range[TL_CONF_STRING_BYTES];
	char from[TL_CONF_STRING_BYTES];
	char to[TL_CONF_STRING_BYTES];
	char tz[TL_CONF_STRING_BYTES];
	char level[TL_CONF_STRING_BYTES];
	char format[TL_CONF_STRING_BYTES];
	char out[TL_CONF_STRING_BYTES];
};

#define AT(field) offsetof(struct export_settings, field)

static const struct tl_conf_setting settings[] = {CLI_SETTINGS,
	{"range", TL_CONF_STRING, AT(range), "", 0, 0, "24h, 7d (default), 30d or 90d"},
	{"from", TL_CONF_STRING, AT(from), "", 0, 0, "custom range: start, RFC 3339 or Unix ms"},
	{"to", TL_CONF_STRING, AT(to), "", 0, 0, "custom range: end, exclusive"},
	{"tz", TL_CONF_STRING, AT(tz), "", 0, 0, "IANA time zone; default the org's"},
	{"level", TL_CONF_STRING, AT(level), "request", 0, 0,
		"request: every one, by time and id; bins: totals of each member in each bin"},
	{"format", TL_CONF_STRING, AT(format), "csv", 0, 0, "csv or ndjson"},
	{"out", TL_CONF_STRING, AT(out), "", 0, 0,
		"file that gets the rows once they are all there; default standard output"}};

/* An export on its way into a file. */
struct sink {
	const struct export_settings *settings;
	enum tl_rows_form form;
	FILE *file;
	char part_path[PATH_BYTES]; /* "": standard output */
	uint64_t row_count;
	bool has_head;
};

static bool
sink_open(struct sink *sink)
{
	const char *out = sink->settings->out;

	sink->file = stdout;
	sink->part_path[0] = '\0';
	if (out[0] == '\0')
		return true;
	snprintf(sink->part_path, sizeof(sink->part_path), "%s.part", out);
	sink->file = fopen(sink->part_path, "w");
	if (sink->file == NULL)
		cli_error("export: open %s: %s", sink->part_path, strerror(errno));
	return sink->file != NULL;
}

/* The file takes its name when all is in it, and goes when not. */
static int
sink_close(struct sink *sink, int code)
{
	bool is_written = fflush(sink->file) == 0 && !ferror(sink->file);

	if (sink->part_path[0] != '\0') {
		is_written = fsync(fileno(sink->file)) == 0 && is_written;
		is_written = fclose(sink->file) == 0 && is_written;
	}
	if (code == CLI_OK && is_written && sink->part_path[0] != '\0')
		is_written = rename(sink->part_path, sink->settings->out) == 0;
	if (!is_written)
		cli_error("export: cannot write the rows: %s", strerror(errno));
	if (sink->part_path[0] != '\0' && (code != CLI_OK || !is_written))
		unlink(sink->part_path);
	return code == CLI_OK && !is_written ? CLI_UNAVAILABLE : code;
}

static bool
sink_put(struct sink *sink, struct tl_slice page)
{
	struct tl_buf text;
	bool is_written;

	tl_buf_init(&text, 0);
	if (!sink->has_head)
		tl_rows_put_head(&text, sink->form, page);
	sink->has_head = true;
	sink->row_count += tl_rows_put(&text, sink->form, page);
	is_written = !text.err && fwrite(text.data, 1, text.bytes, sink->file) == text.bytes;
	tl_buf_fini(&text);
	return is_written;
}

static int
ask_page(const struct export_settings *s, struct tl_slice cursor, struct tl_buf *page)
{
	struct tl_buf request;
	struct tl_pack_open map = cli_request(&s->cli, &request, "export");
	int code;

	cli_put_text(&request, &map, "range", s->from[0] != '\0' ? "custom" : s->range);
	cli_put_text(&request, &map, "from", s->from);
	cli_put_text(&request, &map, "to", s->to);
	cli_put_text(&request, &map, "tz", s->tz);
	cli_put_text(&request, &map, "level", s->level);
	if (cursor.bytes > 0)
		tl_pack_key_slice(&request, &map, "cursor", cursor);
	tl_pack_close(&request, &map);
	tl_buf_reset(page);
	code = cli_ask(&s->cli, CLI_DOOR_QUERY, &request, ASK_TIMEOUT_MS, page);
	tl_buf_fini(&request);
	return code;
}

/* How far the rows have come between the window's edges; the cursor has the time of the last. */
static void
show_progress(struct tl_slice page, struct tl_slice cursor)
{
	struct tl_slice window = {0};
	struct tl_reader at;
	uint64_t ms = 0;
	int64_t start_ms, end_ms;

	if (tl_reader_find(page, "window", &at))
		window = tl_read_any(&at);
	start_ms = tl_reader_find_int(window, "start_ms", 0);
	end_ms = tl_reader_find_int(window, "end_ms", 1);
	if (cursor.bytes < 34 || sscanf((const char *)cursor.data + 18, "%16" SCNx64, &ms) != 1)
		return;
	progress_show("exporting", (uint64_t)(((int64_t)ms - start_ms) / 60000),
		(uint64_t)((end_ms - start_ms) / 60000), "minutes");
}

static int
export_pages(struct sink *sink)
{
	char cursor_text[TL_CONF_STRING_BYTES] = "";
	struct tl_slice cursor = {0};
	struct tl_buf page;
	int code;

	tl_buf_init(&page, 0);
	do {
		code = ask_page(sink->settings, cursor, &page);
		if (code != CLI_OK || !sink_put(sink, tl_buf_slice(&page)))
			break;
		cursor = tl_reader_find_str(tl_buf_slice(&page), "next_cursor");
		show_progress(tl_buf_slice(&page), cursor);
		snprintf(cursor_text, sizeof(cursor_text), "%.*s", (int)cursor.bytes,
			(const char *)cursor.data);
		cursor = tl_slice_str(cursor_text);
	} while (cursor.bytes > 0);
	progress_end();
	tl_buf_fini(&page);
	return code;
}

int
cmd_export(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally export",
		"The rows behind the figures as CSV or JSON lines, of one snapshot. Wants an "
		"admin's "
		"or a service token.",
		NULL, settings);
	struct export_settings s = {0};
	struct sink sink = {.settings = &s};
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	if (!tl_rows_form_parse(tl_slice_str(s.format), &sink.form)) {
		cli_error("export: --format is csv or ndjson");
		return CLI_USAGE;
	}
	code = cli_choose_org(&s.cli);
	if (code != CLI_OK)
		return code;
	if (!sink_open(&sink))
		return CLI_UNAVAILABLE;
	code = sink_close(&sink, export_pages(&sink));
	if (code == CLI_OK && s.out[0] != '\0')
		fprintf(stderr, "%" PRIu64 " rows in %s\n", sink.row_count, s.out);
	return code;
}
