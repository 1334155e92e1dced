#include "query/api/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/api/export.h"
#include "query/api/figures.h"
#include "query/api/live.h"
#include "schema/wire/query_wire.h"
#include "schema/wire/reader.h"

#define QUESTION_BYTES_MAX 16384

#define WINDOW_FIELDS                                                                         \
	{.name = "range",                                                                     \
		.one_of = "24h|7d|30d|90d|custom",                                            \
		.about = "The window; custom when from and to are given."},                   \
		{.name = "from",                                                              \
			.kind = TL_RELAY_TIME,                                                \
			.about = "Start of a custom window, Unix ms or RFC 3339."},           \
		{.name = "to", .kind = TL_RELAY_TIME, .about = "Its end, exclusive."},        \
	{                                                                                     \
		.name = "tz", .about = "IANA time zone of days and hours; default the org's." \
	}

#define METRIC_FIELDS                                              \
	{.name = "metric",                                         \
		.one_of = "cost|tokens|requests",                  \
		.about = "What to rank and draw by."},             \
	{                                                          \
		.name = "tokens", .one_of = "all|uncached",        \
		.about = "Whether tokens read from a cache count." \
	}

#define PAGE_FIELDS                                                                     \
	{.name = "limit", .kind = TL_RELAY_INT, .about = "Rows of a page, 1 to 1000."}, \
	{                                                                               \
		.name = "cursor", .about = "next_cursor of the page before."            \
	}

#define END                  \
	{                    \
		.name = NULL \
	}

static const struct tl_relay_field list_fields[] = {WINDOW_FIELDS, METRIC_FIELDS, PAGE_FIELDS, END};

static const struct tl_relay_field team_fields[] = {PAGE_FIELDS, END};

static const struct tl_relay_field series_fields[] = {
	{.name = "scope",
		.about = "org, member:ID, agent:ID, model:NAME, repo:NAME, pr:REPO#N or "
			 "session:ID; default org."},
	{.name = "split",
		.kind = TL_RELAY_BOOL,
		.about = "For a pull request: its equal share of each session instead of all of "
			 "it."},
	WINDOW_FIELDS, METRIC_FIELDS, END};

static const struct tl_relay_field session_list_fields[] = {
	{.name = "member", .about = "Only of this member, an id or an email."},
	{.name = "repo", .about = "Only of this repository."},
	{.name = "pr", .kind = TL_RELAY_INT, .about = "Only of this pull request of repo."},
	{.name = "agent", .about = "Only of this type of agent."},
	{.name = "q", .about = "Only with this text in id or name."}, WINDOW_FIELDS, METRIC_FIELDS,
	PAGE_FIELDS, END};

static const struct tl_relay_field explain_fields[] = {
	{.name = "scope", .about = "As of series; default org."}, WINDOW_FIELDS, PAGE_FIELDS, END};

static const struct tl_relay_field export_fields[] = {
	{.name = "format",
		.wire = "",
		.one_of = "csv|ndjson",
		.about = "Lines of CSV (default), or of JSON objects."},
	{.name = "level",
		.one_of = "request|bins",
		.about = "Every request by (ts, id) (default), or the totals of each member in "
			 "each bin."},
	WINDOW_FIELDS, END};

static void run_resolve(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_alive(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_ready(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_document(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);

#define FIGURES(path_, op_, fields_, reply_, summary_)                                    \
	{                                                                                 \
		.method = TL_HTTP_GET, .path = "/api/v1" path_, .start = figures_start,   \
		.run = figures_run, .op = op_, .fields = fields_, .who = TL_RELAY_MEMBER, \
		.tag = "figures", .summary = summary_, .reply = reply_                    \
	}

static const struct tl_relay_route table[] = {
	FIGURES("/dashboard", "dashboard", list_fields, "Dashboard",
		"The whole Team screen from one snapshot; limit and cursor are of members."),
	FIGURES("/leaderboard", "leaderboard", list_fields, "Leaderboard",
		"Who spends what: the ranked team with totals and sparklines."),
	FIGURES("/series", "series", series_fields, "Series",
		"One bar per bin for the org, or for one thing in it."),
	FIGURES("/repos/top", "top_repos", list_fields, "TopRepos",
		"The repositories with the most sessions."),
	FIGURES("/repos", "repos", list_fields, "Repos", "Usage by repository."),
	FIGURES("/pulls", "pulls", list_fields, "Pulls",
		"Usage by pull request: touched, and split so that it adds up."),
	FIGURES("/models", "models", list_fields, "Models", "Usage by model."),
	FIGURES("/sessions", "sessions", session_list_fields, "Sessions",
		"Sessions active in the window, with the figures of their whole life."),
	{.method = TL_HTTP_GET,
		.path = "/api/v1/sessions/{id}",
		.start = figures_start,
		.run = figures_run,
		.op = "session",
		.id_wire = "session",
		.fields = list_fields,
		.who = TL_RELAY_MEMBER,
		.tag = "figures",
		.summary = "One session: tokens by model, links, and its requests page by page.",
		.reply = "Session"},
	FIGURES("/team", "team", team_fields, "Team",
		"The people of the team, with seats and true cost."),
	{.method = TL_HTTP_GET,
		.path = "/api/v1/reconcile",
		.start = figures_start,
		.run = figures_run,
		.op = "reconcile",
		.fields = list_fields,
		.who = TL_RELAY_AUDITOR,
		.tag = "figures",
		.summary = "What became of every event sent, by day of arrival and source.",
		.reply = "Reconcile"},
	{.method = TL_HTTP_GET,
		.path = "/api/v1/explain",
		.start = figures_start,
		.run = figures_run,
		.op = "explain",
		.fields = explain_fields,
		.who = TL_RELAY_AUDITOR,
		.tag = "figures",
		.summary = "The events behind a figure.",
		.reply = "Explain"},
	{.method = TL_HTTP_GET,
		.path = "/api/v1/export",
		.run = export_serve,
		.op = "export",
		.fields = export_fields,
		.who = TL_RELAY_AUDITOR,
		.tag = "figures",
		.summary =
			"The rows behind the figures, of one snapshot, as they are read. Without "
			"its last chunk a reply was cut and is not whole.",
		.reply = "ExportedRows",
		.reply_type = "text/csv"},
	{.method = TL_HTTP_GET,
		.path = "/api/v1/live",
		.run = live_serve,
		.op = "live",
		.who = TL_RELAY_MEMBER,
		.tag = "figures",
		.summary = "Word of changes as server-sent events, resumed by Last-Event-ID.",
		.reply = "Live",
		.reply_type = "text/event-stream"},
	{.method = TL_HTTP_GET,
		.path = "/api/v1/keys/resolve",
		.run = run_resolve,
		.op = "keys_resolve",
		.who = TL_RELAY_GATEWAY,
		.tag = "gateways",
		.summary = "Whose key is this? The key or its id comes in the header X-Tally-Key.",
		.reply = "Key"},
	{.method = TL_HTTP_GET,
		.path = "/api/v1/openapi.json",
		.run = run_document,
		.who = TL_RELAY_ANYBODY,
		.tag = "service",
		.summary = "This document.",
		.reply = "Document"},
	{.method = TL_HTTP_GET,
		.path = "/livez",
		.run = run_alive,
		.who = TL_RELAY_ANYBODY,
		.tag = "service",
		.summary = "Whether this process answers; nothing is asked of tallyd.",
		.reply = "Status"},
	{.method = TL_HTTP_GET,
		.path = "/readyz",
		.run = run_ready,
		.op = "health",
		.who = TL_RELAY_ANYBODY,
		.tag = "service",
		.summary = "Whether tallyd answers and takes usage; 503 when not.",
		.reply = "Status"},
};

const struct tl_relay_route *
routes_of(uint32_t *count_out)
{
	*count_out = sizeof(table) / sizeof(table[0]);
	return table;
}

/* A key never stands in an address, where logs would keep it. */
static void
run_resolve(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_buf question, reply;
	struct tl_pack_open map;

	tl_buf_init(&question, QUESTION_BYTES_MAX);
	tl_buf_init(&reply, 0);
	map = tl_relay_question(&question, request, route->what);
	tl_pack_key_slice(&question, &map, "key", tl_http_request_header(request, "X-Tally-Key"));
	tl_pack_close(&question, &map);
	if (!tl_relay_ask(arg, request, TL_RELAY_QUERY, &question, &reply))
		tl_relay_reply(request, 200, tl_buf_slice(&reply));
	tl_buf_fini(&reply);
	tl_buf_fini(&question);
}

/* {v, ok}: no reasons, no figures; anybody may ask. */
static void
reply_status(struct tl_http_request *request, bool is_well)
{
	struct tl_buf map_bytes;
	struct tl_pack_open map;

	tl_buf_init(&map_bytes, 0);
	map = tl_pack_open_map(&map_bytes);
	tl_pack_key_int(&map_bytes, &map, "v", 1);
	tl_pack_key_bool(&map_bytes, &map, "ok", is_well);
	tl_pack_close(&map_bytes, &map);
	tl_relay_reply(request, is_well ? 200 : 503, tl_buf_slice(&map_bytes));
	tl_buf_fini(&map_bytes);
}

static void
run_alive(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	(void)route;
	(void)arg;
	reply_status(request, true);
}

static void
run_ready(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_buf question, reply;
	struct tl_pack_open map;

	tl_buf_init(&question, QUESTION_BYTES_MAX);
	tl_buf_init(&reply, 0);
	map = tl_relay_question(&question, request, route->what);
	tl_pack_close(&question, &map);
	if (!tl_relay_ask(arg, request, TL_RELAY_QUERY, &question, &reply))
		reply_status(request, tl_reader_find_bool(tl_buf_slice(&reply), "ready", false));
	tl_buf_fini(&reply);
	tl_buf_fini(&question);
}

static void
run_document(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_relay *relay = arg;

	(void)route;
	tl_http_reply_header(request, "Cache-Control", "no-cache");
	tl_http_reply(request, 200, "application/json", tl_http_body_hold(relay->document));
}
