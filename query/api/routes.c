#include "query/api/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/api/export.h"
#include "query/api/live.h"
#include "query/api/params.h"
#include "query/lru.h"
#include "schema/wire/query_wire.h"
#include "schema/wire/reader.h"

/* What an ETag of a client may be old: within it an unchanged figure is not sent again. */
#define CLIENT_HAVE_AGE_MS 60000
#define MARK_BYTES_MAX 64
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

static void run_query(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_resolve(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_alive(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_ready(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_document(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);

#define FIGURES(path_, op_, fields_, reply_, summary_)                                            \
	{                                                                                         \
		.method = TL_HTTP_GET, .path = "/api/v1" path_, .run = run_query, .op = op_,      \
		.fields = fields_, .who = TL_RELAY_MEMBER, .tag = "figures", .summary = summary_, \
		.reply = reply_                                                                   \
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
		.run = run_query,
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
		.run = run_query,
		.op = "reconcile",
		.fields = list_fields,
		.who = TL_RELAY_AUDITOR,
		.tag = "figures",
		.summary = "What became of every event sent, by day of arrival and source.",
		.reply = "Reconcile"},
	{.method = TL_HTTP_GET,
		.path = "/api/v1/explain",
		.run = run_query,
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

/* A body that was made, under the question it answers. */
struct made {
	struct lru_value value; /* first: what the cache keeps */
	struct tl_http_body *body;
	char mark[MARK_BYTES_MAX];
};

struct routes_kept {
	struct lru *bodies;
};

enum tl_err
routes_kept_new(size_t bytes_max, struct routes_kept **kept_out)
{
	struct routes_kept *kept = calloc(1, sizeof(*kept));
	enum tl_err err;

	if (kept == NULL)
		return TL_ENOMEM;
	err = lru_new(bytes_max, &kept->bodies);
	if (err) {
		free(kept);
		return err;
	}
	*kept_out = kept;
	return TL_OK;
}

void
routes_kept_free(struct routes_kept *kept)
{
	if (kept == NULL)
		return;
	lru_free(kept->bodies);
	free(kept);
}

static void
made_free(struct lru_value *value)
{
	struct made *made = (struct made *)value;

	tl_http_body_drop(made->body);
	free(made);
}

/* What asks and what is known when the answer comes. */
struct asking {
	struct tl_relay *relay;
	struct tl_http_request *request;
	const struct tl_relay_route *route;
	struct tl_buf key; /* of the kept body: the form, then the question without "have" */
	char client_mark[MARK_BYTES_MAX]; /* of the ETag the client has, or "" */
	struct made *made;		  /* pinned, NULL: none is kept */
};

/* W/"<mark>.j": the mark, and the form it is in. Others are not of ours. */
static void
read_client_mark(struct asking *asking, const char *form)
{
	struct tl_slice tag = tl_http_request_header(asking->request, "If-None-Match");
	char end[4];

	asking->client_mark[0] = '\0';
	snprintf(end, sizeof(end), ".%s\"", form);
	if (tag.bytes < 7 || tag.bytes >= MARK_BYTES_MAX || memcmp(tag.data, "W/\"", 3) != 0 ||
		memcmp(tag.data + tag.bytes - 3, end, 3) != 0)
		return;
	memcpy(asking->client_mark, tag.data + 3, tag.bytes - 6);
	asking->client_mark[tag.bytes - 6] = '\0';
}

static const char *
form_of(const struct tl_http_request *request)
{
	return tl_http_request_takes_msgpack(request) ? "m" : "j";
}

static void
put_etag(struct tl_http_request *request, const char *mark)
{
	char tag[MARK_BYTES_MAX + 8];

	snprintf(tag, sizeof(tag), "W/\"%s.%s\"", mark, form_of(request));
	tl_http_reply_header(request, "ETag", tag);
	tl_http_reply_header(request, "Cache-Control", "private, no-cache");
}

static void
keep(struct asking *asking, const char *mark, struct tl_http_body *body)
{
	struct lru *bodies = asking->relay->kept->bodies;
	struct made *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return;
	made->value = (struct lru_value){.free = made_free,
		.bytes = sizeof(*made) + tl_http_body_cost(body),
		.pin_count = 1};
	made->body = tl_http_body_hold(body);
	snprintf(made->mark, sizeof(made->mark), "%s", mark);
	lru_put(bodies, tl_buf_slice(&asking->key), &made->value);
	lru_unpin(bodies, &made->value);
}

/* tallyd says that what the asker has is what it would answer. */
static void
answer_same(struct asking *asking)
{
	struct tl_http_request *request = asking->request;

	if (asking->client_mark[0] != '\0') {
		put_etag(request, asking->client_mark);
		tl_http_reply(request, 304, NULL, NULL);
		return;
	}
	put_etag(request, asking->made->mark);
	tl_http_reply(request, 200, tl_relay_content_type(request),
		tl_http_body_hold(asking->made->body));
}

/* A team that fits is exactly three members (SPEC 4); the other replies keep v and ok. */
static void
leave_envelope(struct tl_slice reply, struct tl_buf *bare)
{
	struct tl_reader reader = tl_reader_of(reply);
	struct tl_pack_open map = tl_pack_open_map(bare);
	uint32_t pair_count = tl_read_map(&reader);

	for (uint32_t i = 0; i < pair_count; i++) {
		const uint8_t *pair = reader.next;
		struct tl_slice name = tl_read_str(&reader);

		tl_read_any(&reader);
		if (tl_slice_eq(name, tl_slice_str("v")) || tl_slice_eq(name, tl_slice_str("ok")))
			continue;
		tl_buf_put(bare, pair, (size_t)(reader.next - pair));
		map.count++;
	}
	tl_pack_close(bare, &map);
}

static enum tl_err
make_body(struct asking *asking, struct tl_slice reply, struct tl_http_body **body_out)
{
	struct tl_buf bare;
	enum tl_err err;

	if (strcmp(asking->route->op, "team") != 0)
		return tl_relay_body(asking->request, reply, body_out);
	tl_buf_init(&bare, 0);
	leave_envelope(reply, &bare);
	err = bare.err ? bare.err : tl_relay_body(asking->request, tl_buf_slice(&bare), body_out);
	tl_buf_fini(&bare);
	return err;
}

static void
answer_new(struct asking *asking, struct tl_slice marked)
{
	struct tl_slice mark = tl_reader_find_str(marked, "mark");
	struct tl_http_body *body = NULL;
	struct tl_reader at;
	char text[MARK_BYTES_MAX];
	enum tl_err err = TL_EINTERNAL;

	if (tl_reader_find(marked, "reply", &at))
		err = make_body(asking, tl_read_any(&at), &body);
	if (err) {
		tl_http_reply_error(asking->request, err, NULL);
		return;
	}
	if (mark.bytes > 0 && mark.bytes < sizeof(text)) {
		snprintf(text, sizeof(text), "%.*s", (int)mark.bytes, (const char *)mark.data);
		put_etag(asking->request, text);
		keep(asking, text, body);
	}
	tl_http_reply(asking->request, 200, tl_relay_content_type(asking->request), body);
}

/* What the client has, or else what is kept here, is told to tallyd with the question. */
static void
put_have(struct asking *asking, struct tl_buf *question, struct tl_pack_open *map)
{
	const char *form = form_of(asking->request);

	tl_buf_put_str(&asking->key, form);
	tl_buf_put_slice(&asking->key, tl_buf_slice(question));
	read_client_mark(asking, form);
	if (asking->client_mark[0] != '\0') {
		tl_pack_key_str(question, map, "have", asking->client_mark);
		tl_pack_key_int(question, map, "have_age_ms", CLIENT_HAVE_AGE_MS);
		return;
	}
	asking->made =
		(struct made *)lru_get(asking->relay->kept->bodies, tl_buf_slice(&asking->key));
	tl_pack_key_str(question, map, "have", asking->made != NULL ? asking->made->mark : "");
}

static void
ask(struct asking *asking, struct tl_buf *question, struct tl_buf *reply)
{
	struct tl_pack_open map = tl_relay_question(question, asking->request, asking->route);

	if (!params_put(question, &map, asking->request, asking->route))
		return;
	put_have(asking, question, &map);
	tl_pack_close(question, &map);
	if (tl_relay_ask(asking->relay, asking->request, TL_RELAY_QUERY, question, reply))
		return;
	if (tl_reader_find_bool(tl_buf_slice(reply), "same", false))
		answer_same(asking);
	else
		answer_new(asking, tl_buf_slice(reply));
}

static void
run_query(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct asking asking = {.relay = arg, .request = request, .route = route->what};
	struct tl_buf question, reply;

	tl_buf_init(&asking.key, 0);
	tl_buf_init(&question, QUESTION_BYTES_MAX);
	tl_buf_init(&reply, 0);
	ask(&asking, &question, &reply);
	lru_unpin(asking.relay->kept->bodies, asking.made != NULL ? &asking.made->value : NULL);
	tl_buf_fini(&reply);
	tl_buf_fini(&question);
	tl_buf_fini(&asking.key);
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
