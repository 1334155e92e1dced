/* tally import: local transcripts of coding agents, exactly once however often it runs. */
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "deploy/price_file.h"
#include "ingest/import/import.h"
#include "schema/base/file.h"
#include "schema/model/limits.h"

#define ASK_TIMEOUT_MS 60000
#define FILE_BYTES_MAX ((size_t)4 << 30)
#define BATCH_EVENTS 500

struct import_settings {
	struct cli cli;
	char email[TL_CONF_STRING_BYTES];
	char prices[TL_CONF_STRING_BYTES];
};

static const struct tl_conf_setting settings[] = {CLI_SETTINGS,
	{"email", TL_CONF_STRING, offsetof(struct import_settings, email), "", 0, 0,
		"whose usage it is; without it: unattributed"},
	{"prices", TL_CONF_STRING, offsetof(struct import_settings, prices), "", 0, 0,
		"file of own prices, over those that 'tally prices' shows"}};

struct paths {
	char **list;
	size_t count, capacity;
};

static void
paths_free(struct paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		free(paths->list[i]);
	free(paths->list);
}

static bool
paths_add(struct paths *paths, const char *path)
{
	if (paths->count == paths->capacity) {
		size_t capacity = paths->capacity * 2 + 64;
		char **list = realloc(paths->list, capacity * sizeof(*list));

		if (list == NULL)
			return false;
		paths->list = list;
		paths->capacity = capacity;
	}
	paths->list[paths->count] = strdup(path);
	return paths->list[paths->count++] != NULL;
}

static int
by_path(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Every *.jsonl below dir, in the order of their paths. */
static bool
paths_find(const char *dir, struct paths *paths)
{
	char *roots[] = {(char *)dir, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_path);
	bool is_fine = tree != NULL;
	FTSENT *node;

	while (is_fine && (node = fts_read(tree)) != NULL) {
		if (node->fts_info == FTS_F && node->fts_namelen > 6 &&
			strcmp(node->fts_name + node->fts_namelen - 6, ".jsonl") == 0)
			is_fine = paths_add(paths, node->fts_path);
	}
	if (tree != NULL)
		fts_close(tree);
	return is_fine;
}

static enum tl_err
read_lines(struct import *import, struct tl_slice text)
{
	enum tl_err err = TL_OK;

	import_file(import);
	while (text.bytes > 0 && !err) {
		const uint8_t *newline = memchr(text.data, '\n', text.bytes);
		size_t bytes = newline != NULL ? (size_t)(newline - text.data) : text.bytes;

		err = import_line(import, tl_slice_of(text.data, bytes));
		bytes += newline != NULL ? 1 : 0;
		text = tl_slice_of(text.data + bytes, text.bytes - bytes);
	}
	return err;
}

static int
read_files(struct import *import, const struct paths *paths)
{
	struct tl_buf text;
	struct tl_why why = {0};
	enum tl_err err = TL_OK;

	tl_buf_init(&text, FILE_BYTES_MAX);
	for (size_t i = 0; i < paths->count && !err; i++) {
		tl_buf_reset(&text);
		err = tl_file_read(paths->list[i], &text, &why);
		if (!err)
			err = read_lines(import, tl_buf_slice(&text));
		progress_show("reading", i + 1, paths->count, "files");
	}
	progress_end();
	tl_buf_fini(&text);
	if (err) {
		cli_error("%s", why.text[0] != '\0' ? why.text : tl_err_text(err));
		return CLI_USAGE;
	}
	return CLI_OK;
}

struct counts {
	int64_t accepted, duplicate, replaced, rejected;
};

/* The first rejects of a reply, so that a person sees what is wrong. */
static void
show_rejects(const struct tl_batch_result *result)
{
	struct tl_reader errors = tl_reader_of(result->errors);
	uint32_t count = result->errors.bytes > 0 ? tl_read_array(&errors) : 0;

	for (uint32_t i = 0; i < count && i < 3; i++) {
		struct tl_slice error = tl_read_any(&errors);
		struct tl_slice code = tl_reader_find_str(error, "code");
		struct tl_slice field = tl_reader_find_str(error, "field");

		cli_error("an event was rejected: %.*s %.*s (limit %" PRId64 ")", (int)code.bytes,
			(const char *)code.data, (int)field.bytes, (const char *)field.data,
			tl_reader_find_int(error, "limit", 0));
	}
}

static int
send_events(const struct cli *cli, const struct tl_wire_event *events, uint32_t event_count,
	struct counts *counts)
{
	struct tl_batch_result result;
	struct tl_buf request, reply;
	struct tl_why why = {0};
	int code;

	tl_buf_init(&request, TL_TRANSPORT_BYTES_MAX);
	tl_buf_init(&reply, 0);
	tl_batch_put_rows(&request, tl_slice_str(cli->token), tl_slice_str("import"), true, events,
		event_count);
	code = cli_ask(cli, CLI_DOOR_INGEST, &request, ASK_TIMEOUT_MS, &reply);
	if (code == CLI_OK && tl_batch_answer_read(tl_buf_slice(&reply), &result, &why)) {
		cli_error("%s", why.text);
		code = CLI_REFUSED;
	} else if (code == CLI_OK) {
		counts->accepted += result.accepted;
		counts->duplicate += result.duplicate;
		counts->replaced += result.replaced;
		if (counts->rejected == 0)
			show_rejects(&result);
		counts->rejected += result.rejected;
	}
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
	return code;
}

static int
send_all(const struct cli *cli, const struct import *import, struct counts *counts)
{
	uint32_t event_count;
	const struct tl_wire_event *events = import_events(import, &event_count);
	int code = CLI_OK;

	for (uint32_t at = 0; at < event_count && code == CLI_OK; at += BATCH_EVENTS) {
		uint32_t left = event_count - at;

		code = send_events(
			cli, events + at, left < BATCH_EVENTS ? left : BATCH_EVENTS, counts);
		progress_show("importing", at, event_count, "requests");
	}
	progress_end();
	return code;
}

static void
print_outcome(const struct cli *cli, const struct import *import, const struct counts *counts,
	size_t file_count)
{
	struct import_stats stats;
	uint32_t event_count;

	import_events(import, &event_count);
	import_stats(import, &stats);
	if (cli->json) {
		printf("{\"files\": %zu, \"lines\": %" PRIu64 ", \"requests\": %u, "
		       "\"unreadable\": %" PRIu64 ", \"accepted\": %" PRId64
		       ", \"duplicate\": %" PRId64 ", \"replaced\": %" PRId64
		       ", \"rejected\": %" PRId64 "}\n",
			file_count, stats.lines, event_count, stats.unreadable, counts->accepted,
			counts->duplicate, counts->replaced, counts->rejected);
		return;
	}
	printf("read %" PRIu64 " lines of %zu files: %u requests", stats.lines, file_count,
		event_count);
	if (stats.unreadable > 0)
		printf(", %" PRIu64 " lines could not be read", stats.unreadable);
	printf("\naccepted=%" PRId64 " duplicate=%" PRId64 " replaced=%" PRId64 " rejected=%" PRId64
	       "\n",
		counts->accepted, counts->duplicate, counts->replaced, counts->rejected);
}

static int
run(const struct import_settings *s, enum import_source source, const char *dir)
{
	struct import *import = NULL;
	struct tl_prices *prices = NULL;
	struct paths paths = {0};
	struct counts counts = {0};
	struct tl_why why = {0};
	int code = CLI_OK;

	if (price_file_open(s->prices, &prices, &why)) {
		cli_error("import: %s", why.text);
		return CLI_USAGE;
	}
	if (!paths_find(dir, &paths) || paths.count == 0) {
		cli_error("import: no .jsonl file below '%s'", dir);
		code = CLI_USAGE;
	} else if (import_new(source, tl_slice_str(s->email), prices, &import)) {
		code = CLI_UNAVAILABLE;
	}
	if (code == CLI_OK)
		code = read_files(import, &paths);
	if (code == CLI_OK)
		code = send_all(&s->cli, import, &counts);
	if (code == CLI_OK)
		print_outcome(&s->cli, import, &counts, paths.count);
	if (code == CLI_OK && counts.rejected > 0)
		code = CLI_REFUSED;
	import_free(import);
	paths_free(&paths);
	tl_prices_free(prices);
	return code;
}

int
cmd_import(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "tally import",
		.summary = "Bring in local transcripts (DIR is searched for .jsonl files; usually "
			   "~/.claude or ~/.codex). Wants an admin token. Running it again adds "
			   "nothing.",
		.operands = "claude-code|codex DIR",
		.settings = settings,
		.setting_count = sizeof(settings) / sizeof(settings[0])};
	struct import_settings s;
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	if (operands != 2 ||
		(strcmp(argv[1], "claude-code") != 0 && strcmp(argv[1], "codex") != 0)) {
		cli_error("import: say claude-code or codex, and a directory");
		return CLI_USAGE;
	}
	if (s.cli.token[0] == '\0') {
		cli_error("import: an admin token is needed: --token or $TALLY_TOKEN");
		return CLI_USAGE;
	}
	return run(&s, argv[1][1] == 'l' ? IMPORT_CLAUDE_CODE : IMPORT_CODEX, argv[2]);
}
