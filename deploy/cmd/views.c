/* The figures in a terminal: top, repos, pulls, models, sessions, team, reconcile. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "deploy/cmd/cells.h"
#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "schema/model/bucket.h"
#include "schema/model/limits.h"

#define ASK_TIMEOUT_MS 30000
#define SPARK_WIDTH 30

struct view_settings {
	struct cli cli;
	char range[TL_CONF_STRING_BYTES];
	char from[TL_CONF_STRING_BYTES];
	char to[TL_CONF_STRING_BYTES];
	char tz[TL_CONF_STRING_BYTES];
	char by[TL_CONF_STRING_BYTES];
	char tokens[TL_CONF_STRING_BYTES];
	int64_t limit;
	char member[TL_CONF_STRING_BYTES];
	char repo[TL_CONF_STRING_BYTES];
	char agent[TL_CONF_STRING_BYTES];
	char q[TL_CONF_STRING_BYTES];
	int64_t pr;
};

#define AT(field) offsetof(struct view_settings, field)

#define LIMIT_SETTING                                                              \
	{                                                                          \
		"limit", TL_CONF_INT, AT(limit), "20", 1, TL_PAGE_ROWS_MAX, "rows" \
	}

#define RANGE_SETTINGS                                                                         \
	{"range", TL_CONF_STRING, AT(range), "", 0, 0, "24h, 7d (default), 30d or 90d"},       \
		{"from", TL_CONF_STRING, AT(from), "", 0, 0,                                   \
			"custom range: start, RFC 3339 or Unix ms"},                           \
		{"to", TL_CONF_STRING, AT(to), "", 0, 0, "custom range: end, exclusive"},      \
		{"tz", TL_CONF_STRING, AT(tz), "", 0, 0, "IANA time zone; default the org's"}, \
		{"by", TL_CONF_STRING, AT(by), "cost", 0, 0, "cost, tokens or requests"},      \
		{"tokens", TL_CONF_STRING, AT(tokens), "all", 0, 0,                            \
			"all, or uncached: leave cache reads out of the ranking"},             \
		LIMIT_SETTING

static const struct tl_conf_setting figure_settings[] = {CLI_SETTINGS, RANGE_SETTINGS};

static const struct tl_conf_setting session_settings[] = {CLI_SETTINGS, RANGE_SETTINGS,
	{"member", TL_CONF_STRING, AT(member), "", 0, 0, "only of this member (id or email)"},
	{"repo", TL_CONF_STRING, AT(repo), "", 0, 0, "only of this repository"},
	{"pr", TL_CONF_INT, AT(pr), "0", 0, TL_PR_MAX, "only of this pull request of --repo"},
	{"agent", TL_CONF_STRING, AT(agent), "", 0, 0, "only of this agent type"},
	{"q", TL_CONF_STRING, AT(q), "", 0, 0, "only with this text in id or name"}};

static const struct tl_conf_setting team_settings[] = {CLI_SETTINGS, LIMIT_SETTING};

static void
put_range(struct tl_buf *request, struct tl_pack_open *map, const struct view_settings *s)
{
	cli_put_text(request, map, "range", s->from[0] != '\0' ? "custom" : s->range);
	cli_put_text(request, map, "from", s->from);
	cli_put_text(request, map, "to", s->to);
	cli_put_text(request, map, "tz", s->tz);
	cli_put_text(request, map, "metric", s->by);
	cli_put_text(request, map, "tokens", s->tokens);
	if (s->limit > 0)
		tl_pack_key_int(request, map, "limit", s->limit);
}

typedef void put_params(
	struct tl_buf *request, struct tl_pack_open *map, const struct view_settings *s);

/* Ask op with what the settings say; print JSON when asked to. CLI_OK: the reply is to be shown. */
static int
ask(struct view_settings *s, const char *op, put_params *put, struct tl_buf *reply)
{
	struct tl_buf request;
	struct tl_pack_open map;
	int code = cli_choose_org(&s->cli);

	if (code != CLI_OK)
		return code;
	map = cli_request(&s->cli, &request, op);
	put(&request, &map, s);
	tl_pack_close(&request, &map);
	code = cli_ask(&s->cli, CLI_DOOR_QUERY, &request, ASK_TIMEOUT_MS, reply);
	tl_buf_fini(&request);
	if (code == CLI_OK && s->cli.json)
		cli_print_json(reply);
	return code;
}

/* A subcommand that asks one op and shows its reply. */
static int
view(const struct tl_conf_table *conf, int argc, char **argv, const char *op, put_params *put,
	void (*show)(struct tl_slice reply))
{
	struct view_settings s = {0};
	struct tl_buf reply;
	int operands = 0, code = 0;

	if (!cli_parse(conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	code = ask(&s, op, put, &reply);
	if (code == CLI_OK && !s.cli.json)
		show(tl_buf_slice(&reply));
	tl_buf_fini(&reply);
	return code;
}

/* "30d  2026-10-23 .. 2026-11-21  Europe/Berlin  by cost" above a table. */
static void
print_head(struct tl_slice reply)
{
	char start[TL_TIME_TEXT_BYTES], end[TL_TIME_TEXT_BYTES];
	struct tl_slice metric = tl_reader_find_str(reply, "metric");
	struct tl_slice rule = tl_reader_find_str(reply, "tokens_rule");
	struct tl_reader at;
	struct tl_slice window, range, tz;

	if (!tl_reader_find(reply, "window", &at))
		return;
	window = tl_read_any(&at);
	range = tl_reader_find_str(window, "range");
	tz = tl_reader_find_str(window, "tz");
	tl_time_format(tl_reader_find_int(window, "start_ms", 0), start);
	tl_time_format(tl_reader_find_int(window, "end_ms", 0), end);
	printf("%.*s  %.16sZ .. %.16sZ  %.*s  by %.*s%s\n", (int)range.bytes,
		(const char *)range.data, start, end, (int)tz.bytes, (const char *)tz.data,
		(int)metric.bytes, (const char *)metric.data,
		tl_slice_eq(rule, tl_slice_str("uncached")) ? ", cache reads left out" : "");
}

static void
cell_spark(struct table *table, struct tl_slice row)
{
	int64_t values[TL_WINDOW_BINS_MAX];
	char text[TABLE_TEXT_BYTES] = "";
	struct tl_reader bins;
	uint32_t count = cells_open(row, "spark", &bins);

	if (count > TL_WINDOW_BINS_MAX)
		count = TL_WINDOW_BINS_MAX;
	for (uint32_t i = 0; i < count; i++)
		values[i] = tl_read_int(&bins);
	if (count > 0)
		text_spark(values, count, SPARK_WIDTH, text);
	table_cell_str(table, text);
}

/* Rank, and movement in a cell of its own: an arrow and how far, or "new". */
static void
cells_rank(struct table *table, struct tl_slice row)
{
	int64_t rank = tl_reader_find_int(row, "rank", 0);
	int64_t before = tl_reader_find_int(row, "prev_rank", 0);
	char text[TABLE_TEXT_BYTES];

	snprintf(text, sizeof(text), rank == 0 ? "-" : "%" PRId64, rank);
	table_cell_str(table, text);
	text[0] = '\0';
	if (rank != 0 && before == 0)
		snprintf(text, sizeof(text), "new");
	else if (rank != 0 && before != rank)
		snprintf(text, sizeof(text), "%s%" PRId64,
			before > rank ? "\xe2\x86\x91" : "\xe2\x86\x93",
			before > rank ? before - rank : rank - before);
	table_cell_str(table, text);
}

static void
cell_agents(struct table *table, struct tl_slice row)
{
	struct tl_buf text;
	struct tl_reader agents;
	struct tl_slice agent;
	uint32_t left = cells_open(row, "agents", &agents);

	tl_buf_init(&text, 0);
	while (cells_next(&agents, &left, &agent)) {
		if (text.bytes > 0)
			tl_buf_put_str(&text, ", ");
		tl_buf_put_slice(&text, tl_reader_find_str(agent, "type"));
	}
	table_cell(table, tl_buf_slice(&text));
	tl_buf_fini(&text);
}

static void
print_total(struct tl_slice reply, const char *key, const char *label)
{
	char cost[TABLE_TEXT_BYTES], tokens[TABLE_TEXT_BYTES], requests[TABLE_TEXT_BYTES];
	struct tl_reader at;
	struct tl_slice totals;

	if (!tl_reader_find(reply, key, &at))
		return;
	totals = tl_read_any(&at);
	if (tl_reader_find_int(totals, "requests", 0) == 0 && strcmp(key, "org") != 0)
		return;
	text_money(tl_reader_find_int(totals, "cost_nusd", 0), cost);
	text_short(tl_reader_find_int(totals, "tokens", 0), tokens);
	text_count(tl_reader_find_int(totals, "requests", 0), requests);
	printf("%s: %s, %s tokens, %s requests", label, cost, tokens, requests);
	if (tl_reader_find_int(totals, "unpriced", 0) > 0)
		printf(" (%" PRId64 " of unknown cost)", tl_reader_find_int(totals, "unpriced", 0));
	putchar('\n');
}

static const struct table_column top_columns[] = {{"#", TABLE_RIGHT, 0}, {"", TABLE_LEFT, 0},
	{"member", TABLE_LEFT, 32}, {"cost", TABLE_RIGHT, 0}, {"tokens", TABLE_RIGHT, 0},
	{"requests", TABLE_RIGHT, 0}, {"sessions", TABLE_RIGHT, 0}, {"last used", TABLE_LEFT, 0},
	{"agents", TABLE_LEFT, 28}, {"trend", TABLE_LEFT, 0}};

static void
show_top(struct tl_slice reply)
{
	struct table *table = table_new(top_columns, sizeof(top_columns) / sizeof(top_columns[0]));
	struct tl_reader rows;
	struct tl_slice row;
	uint32_t left = cells_open(reply, "members", &rows), count = left;

	print_head(reply);
	while (table != NULL && cells_next(&rows, &left, &row)) {
		cells_rank(table, row);
		cell_text(table, row, "display_name");
		cell_money(table, row, "cost_nusd");
		cell_short(table, row, "tokens");
		cell_count(table, row, "requests");
		cell_count(table, row, "sessions");
		cell_ago(table, row, "last_used_ms", reply);
		cell_agents(table, row);
		cell_spark(table, row);
	}
	cells_print(table);
	cells_print_more(reply, count);
	print_total(reply, "unattributed", "unattributed");
	print_total(reply, "org", "total");
}

int
cmd_top(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally top",
		"Who spends what: the team ranked by cost, tokens or requests, with a sparkline "
		"each.",
		NULL, figure_settings);

	return view(&conf, argc, argv, "leaderboard", put_range, show_top);
}

/* Cards: what a dimension's rows have in common, and its own first columns. */
struct cards {
	const char *op, *rows_key;
	const struct table_column *columns;
	size_t column_count;
	void (*first_cells)(struct table *table, struct tl_slice row);
	const char *totals_key; /* where a row keeps its totals, NULL: in the row */
	const char *last_key;
};

static void
show_cards(const struct cards *cards, struct tl_slice reply)
{
	struct table *table = table_new(cards->columns, cards->column_count);
	struct tl_reader rows, at;
	struct tl_slice row, totals;
	uint32_t left = cells_open(reply, cards->rows_key, &rows), count = left;

	print_head(reply);
	while (table != NULL && cells_next(&rows, &left, &row)) {
		totals = row;
		if (cards->totals_key != NULL && tl_reader_find(row, cards->totals_key, &at))
			totals = tl_read_any(&at);
		cards->first_cells(table, row);
		cell_money(table, totals, "cost_nusd");
		cell_short(table, totals, "tokens");
		cell_count(table, totals, "requests");
		cell_count(table, row, "sessions");
		cell_ago(table, row, cards->last_key, reply);
		cell_spark(table, row);
	}
	cells_print(table);
	cells_print_more(reply, count);
	if (count == 0)
		puts("no activity in this period");
}

static int
run_cards(const struct cards *cards, const struct tl_conf_table *conf, int argc, char **argv)
{
	struct view_settings s;
	struct tl_buf reply;
	int operands = 0, code = 0;

	if (!cli_parse(conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	code = ask(&s, cards->op, put_range, &reply);
	if (code == CLI_OK && !s.cli.json)
		show_cards(cards, tl_buf_slice(&reply));
	tl_buf_fini(&reply);
	return code;
}

static void
repo_cells(struct table *table, struct tl_slice row)
{
	cell_text(table, row, "repo");
}

static void
pull_cells(struct table *table, struct tl_slice row)
{
	char number[TABLE_TEXT_BYTES];

	cell_text(table, row, "repo");
	snprintf(number, sizeof(number), "#%" PRId64, tl_reader_find_int(row, "number", 0));
	table_cell_str(table, number);
}

static void
model_cells(struct table *table, struct tl_slice row)
{
	cell_text(table, row, "model");
}

#define CARD_COLUMNS                                                                        \
	{"cost", TABLE_RIGHT, 0}, {"tokens", TABLE_RIGHT, 0}, {"requests", TABLE_RIGHT, 0}, \
		{"sessions", TABLE_RIGHT, 0}, {"last activity", TABLE_LEFT, 0},             \
	{                                                                                   \
		"trend", TABLE_LEFT, 0                                                      \
	}

static const struct table_column repo_columns[] = {{"repository", TABLE_LEFT, 48}, CARD_COLUMNS};
static const struct table_column pull_columns[] = {
	{"repository", TABLE_LEFT, 48}, {"pull", TABLE_RIGHT, 0}, CARD_COLUMNS};
static const struct table_column model_columns[] = {{"model", TABLE_LEFT, 40}, CARD_COLUMNS};

int
cmd_repos(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally repos",
		"Usage by repository: events that name it, and sessions linked to it.", NULL,
		figure_settings);
	static const struct cards cards = {
		"repos", "repos", repo_columns, 7, repo_cells, NULL, "last_activity_ms"};

	return run_cards(&cards, &conf, argc, argv);
}

int
cmd_pulls(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally pulls",
		"Usage by pull request: the whole usage of the sessions that touched it. The share "
		"that adds up over pull requests is in --json, as 'split'.",
		NULL, figure_settings);
	static const struct cards cards = {
		"pulls", "pulls", pull_columns, 8, pull_cells, "touched", "last_activity_ms"};

	return run_cards(&cards, &conf, argc, argv);
}

int
cmd_models(int argc, char **argv)
{
	static const struct tl_conf_table conf =
		CLI_TABLE("tally models", "Usage by model.", NULL, figure_settings);
	static const struct cards cards = {
		"models", "models", model_columns, 7, model_cells, NULL, "last_activity_ms"};

	return run_cards(&cards, &conf, argc, argv);
}

static void
put_session_filters(struct tl_buf *request, struct tl_pack_open *map, const struct view_settings *s)
{
	put_range(request, map, s);
	cli_put_text(request, map, "member", s->member);
	cli_put_text(request, map, "repo", s->repo);
	cli_put_text(request, map, "agent", s->agent);
	cli_put_text(request, map, "q", s->q);
	if (s->pr > 0)
		tl_pack_key_int(request, map, "pr", s->pr);
}

static void
put_session(struct tl_buf *request, struct tl_pack_open *map, const struct view_settings *s)
{
	tl_pack_key_str(request, map, "session", s->q);
}

static const struct table_column session_columns[] = {{"session", TABLE_LEFT, 36},
	{"name", TABLE_LEFT, 24}, {"agent", TABLE_LEFT, 16}, {"repository", TABLE_LEFT, 32},
	{"cost", TABLE_RIGHT, 0}, {"tokens", TABLE_RIGHT, 0}, {"requests", TABLE_RIGHT, 0},
	{"last", TABLE_LEFT, 0}};

static void
show_sessions(struct tl_slice reply)
{
	struct table *table =
		table_new(session_columns, sizeof(session_columns) / sizeof(session_columns[0]));
	struct tl_reader rows;
	struct tl_slice row;
	uint32_t left = cells_open(reply, "sessions", &rows), count = left;

	while (table != NULL && cells_next(&rows, &left, &row)) {
		cell_text(table, row, "session");
		cell_text(table, row, "name");
		cell_text(table, row, "agent");
		cell_text(table, row, "repo");
		cell_money(table, row, "cost_nusd");
		cell_short(table, row, "tokens");
		cell_count(table, row, "requests");
		cell_ago(table, row, "last_ms", reply);
	}
	cells_print(table);
	cells_print_more(reply, count);
	if (count == 0)
		puts("no session was active in this period");
}

int
cmd_sessions(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally sessions",
		"Sessions active in the range, latest first; with a session's id, all about that "
		"one (as JSON).",
		"[SESSION]", session_settings);
	struct view_settings s;
	struct tl_buf reply;
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	if (operands == 1) {
		snprintf(s.q, sizeof(s.q), "%s", argv[1]);
		s.cli.json = true;
		code = ask(&s, "session", put_session, &reply);
	} else {
		code = ask(&s, "sessions", put_session_filters, &reply);
		if (code == CLI_OK && !s.cli.json)
			show_sessions(tl_buf_slice(&reply));
	}
	tl_buf_fini(&reply);
	return code;
}

static void
put_limit(struct tl_buf *request, struct tl_pack_open *map, const struct view_settings *s)
{
	tl_pack_key_int(request, map, "limit", s->limit);
}

static const struct table_column team_columns[] = {{"#", TABLE_RIGHT, 0},
	{"member", TABLE_LEFT, 28}, {"email", TABLE_LEFT, 32}, {"first seen", TABLE_LEFT, 10},
	{"last active", TABLE_LEFT, 10}, {"hourly rate", TABLE_RIGHT, 0},
	{"events", TABLE_RIGHT, 0}};

static void
show_team(struct tl_slice reply)
{
	struct table *table =
		table_new(team_columns, sizeof(team_columns) / sizeof(team_columns[0]));
	struct tl_reader rows;
	struct tl_slice row;
	uint32_t left = cells_open(reply, "members", &rows), count = left;
	char text[TABLE_TEXT_BYTES];

	for (int64_t no = 1; table != NULL && cells_next(&rows, &left, &row); no++) {
		text_count(no, text);
		table_cell_str(table, text);
		cell_text(table, row, "displayName");
		cell_text(table, row, "email");
		cell_text(table, row, "firstSeen");
		cell_text(table, row, "lastActive");
		cell_text(table, row, "hourlyRate");
		cell_count(table, row, "events");
	}
	cells_print(table);
	cells_print_more(reply, count);
	printf("%" PRId64 " of %" PRId64 " seats used\n", tl_reader_find_int(reply, "used", 0),
		tl_reader_find_int(reply, "seats", 0));
}

int
cmd_team(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally team",
		"The team's table: first seen, last active, hourly rate, events; true cost in "
		"--json.",
		NULL, team_settings);

	return view(&conf, argc, argv, "team", put_limit, show_team);
}

static const struct table_column reconcile_columns[] = {{"day", TABLE_LEFT, 0},
	{"source", TABLE_LEFT, 24}, {"received", TABLE_RIGHT, 0}, {"accepted", TABLE_RIGHT, 0},
	{"duplicate", TABLE_RIGHT, 0}, {"replaced", TABLE_RIGHT, 0}, {"conflict", TABLE_RIGHT, 0},
	{"rejected", TABLE_RIGHT, 0}, {"late", TABLE_RIGHT, 0}, {"unpriced", TABLE_RIGHT, 0}};

static void
show_reconcile(struct tl_slice reply)
{
	static const char *const keys[] = {"received", "accepted", "duplicate", "replaced",
		"conflict", "rejected", "late", "unpriced"};
	struct table *table = table_new(
		reconcile_columns, sizeof(reconcile_columns) / sizeof(reconcile_columns[0]));
	struct tl_reader rows;
	struct tl_slice row;
	uint32_t left = cells_open(reply, "rows", &rows), count = left;

	while (table != NULL && cells_next(&rows, &left, &row)) {
		cell_text(table, row, "day");
		cell_text(table, row, "source");
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			cell_count(table, row, keys[i]);
	}
	cells_print(table);
	cells_print_more(reply, count);
}

int
cmd_reconcile(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally reconcile",
		"What became of every event sent, by day of arrival and source.", NULL,
		figure_settings);

	return view(&conf, argc, argv, "reconcile", put_range, show_reconcile);
}
