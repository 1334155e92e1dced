/*
 * tallyd's figures are asked when a scraper asks, so nothing here is older than the scrape. A
 * figure that tallyd does not tell (it is older, or has no such part now) is left out.
 */
#include "deploy/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/api/export.h"
#include "schema/net/req_client.h"
#include "schema/wire/query_wire.h"
#include "schema/wire/reader.h"

#define ASK_TIMEOUT_MS 2000
#define REPLY_DEPTH_MAX 8u

struct metrics {
	const struct tl_http_server *api;
	const struct tl_relay_stats *relay;
	struct tl_req_client *client;
	struct tl_http_server *server;
};

/* A figure of tallyd: one line, and a head where a new name begins. */
struct figure {
	const char *name, *type, *help;
	const char *labels; /* "" or {...} */
	const char *map;    /* the part of stats it is in, NULL: the top */
	const char *key;
	int64_t per; /* the figure is this many of the metric's unit */
};

#define COUNT "counter"
#define GAUGE "gauge"

static const struct figure figures[] = {
	{"tally_events_total", COUNT, "Events by what became of them.", "{result=\"accepted\"}",
		NULL, "accepted", 1},
	{"tally_events_total", COUNT, "", "{result=\"duplicate\"}", NULL, "duplicate", 1},
	{"tally_events_total", COUNT, "", "{result=\"replaced\"}", NULL, "replaced", 1},
	{"tally_events_total", COUNT, "", "{result=\"rejected\"}", NULL, "rejected", 1},
	{"tally_batches_total", COUNT, "Batches, committed or refused as a whole.",
		"{result=\"committed\"}", NULL, "batches", 1},
	{"tally_batches_total", COUNT, "", "{result=\"refused\"}", NULL, "refused_batches", 1},
	{"tally_commands_total", COUNT, "Changes of the registry.", "", NULL, "commands", 1},
	{"tally_commit_groups_total", COUNT, "Groups made durable, one fsync each.", "", NULL,
		"groups", 1},
	{"tally_committed_seq", GAUGE, "Newest durable row.", "", NULL, "committed_seq", 1},
	{"tally_marked_seq", GAUGE, "Newest row of the high-water mark.", "", NULL, "marked_seq",
		1},
	{"tally_rollup_seq", GAUGE, "Newest row that is in the figures.", "", NULL, "rollup_seq",
		1},
	{"tally_rollup_writes_total", COUNT, "Writes of derived rows.", "", NULL, "rollup_writes",
		1},
	{"tally_audit_recounts_total", COUNT, "Hours recounted from the raw events.", "", NULL,
		"audit_hours", 1},
	{"tally_audit_mismatches_total", COUNT, "Recounts that differed.", "", NULL,
		"audit_mismatches", 1},
	{"tally_id_index_entries", GAUGE, "Event ids in memory.", "", NULL, "ids", 1},
	{"tally_id_index_bytes", GAUGE, "What they take.", "", NULL, "id_bytes", 1},
	{"tally_query_errors_total", COUNT, "Queries that were refused.", "", NULL, "query_errors",
		1},
	{"tally_query_cached_total", COUNT, "Queries answered by a kept reply.", "", NULL,
		"query_cached", 1},
	{"tally_query_same_total", COUNT, "Queries whose asker had the reply.", "", NULL,
		"query_same", 1},
	{"tally_nng_pipes", GAUGE, "Open connections of gateways, readers and this bridge.", "",
		NULL, "connections", 1},
	{"tally_nng_partial_bytes", GAUGE, "Bytes of half-sent frames.", "", NULL, "partial_bytes",
		1},
	{"tally_nng_unread_bytes", GAUGE, "Bytes of replies that peers have not read.", "", NULL,
		"unread_bytes", 1},
	{"tally_store_sst_bytes", GAUGE, "Tables on disk.", "", NULL, "sst_bytes", 1},
	{"tally_store_memtable_bytes", GAUGE, "Tables in memory.", "", NULL, "memtable_bytes", 1},
	{"tally_disk_free_bytes", GAUGE, "Free on the data directory's disk.", "", NULL,
		"disk_free_bytes", 1},
	{"tally_disk_floor_bytes", GAUGE, "Below it intake closes.", "", NULL, "disk_floor_bytes",
		1},
	{"tally_disk_ballast_bytes", GAUGE, "Kept aside for the day the disk is full.", "", NULL,
		"disk_ballast_bytes", 1},
	{"tally_reloads_total", COUNT, "Reloads of the settings.", "", NULL, "reloads", 1},
	{"tally_reloads_failed_total", COUNT, "Reloads that changed nothing.", "", NULL,
		"failed_reloads", 1},
	{"tally_uptime_seconds", GAUGE, "Since the start of tallyd.", "", NULL, "uptime_ms", 1000},
};

/* Durations: a summary each, from {count, sum_us, p50_us, p99_us}. */
static const struct {
	const char *name, *help, *key;
} durations[] = {
	{"tally_ack_seconds", "From a batch's arrival to its acknowledgement.", "ack"},
	{"tally_commit_seconds", "One group, its fsync included.", "commit"},
	{"tally_commit_fsync_seconds", "The fsync of a group.", "fsync"},
	{"tally_rollup_fold_seconds", "Folding a group into the figures.", "fold"},
};

static void
put_head(struct tl_buf *text, const char *name, const char *type, const char *help)
{
	tl_buf_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* value / per, exactly, for per a power of ten up to 1,000,000. */
static void
put_value(struct tl_buf *text, int64_t value, int64_t per)
{
	int digits = 0;

	for (int64_t rest = per; rest > 1; rest /= 10)
		digits++;
	tl_buf_printf(text, " %" PRId64, value / per);
	if (digits > 0)
		tl_buf_printf(text, ".%0*" PRId64, digits, value % per);
	tl_buf_put_str(text, "\n");
}

static void
put_figures(struct tl_buf *text, struct tl_slice stats)
{
	const char *last = "";

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		const struct figure *figure = &figures[i];
		int64_t value = tl_reader_find_int(stats, figure->key, INT64_MIN);

		if (value == INT64_MIN)
			continue;
		if (strcmp(last, figure->name) != 0)
			put_head(text, figure->name, figure->type, figure->help);
		last = figure->name;
		tl_buf_printf(text, "%s%s", figure->name, figure->labels);
		put_value(text, value, figure->per);
	}
}

/* label: "" or "op=\"repos\"". */
static void
put_duration(struct tl_buf *text, const char *name, const char *label, struct tl_slice duration)
{
	const char *comma = label[0] != '\0' ? "," : "";
	const char *open = label[0] != '\0' ? "{" : "", *close = label[0] != '\0' ? "}" : "";

	tl_buf_printf(text, "%s{%s%squantile=\"0.5\"}", name, label, comma);
	put_value(text, tl_reader_find_int(duration, "p50_us", 0), 1000000);
	tl_buf_printf(text, "%s{%s%squantile=\"0.99\"}", name, label, comma);
	put_value(text, tl_reader_find_int(duration, "p99_us", 0), 1000000);
	tl_buf_printf(text, "%s_sum%s%s%s", name, open, label, close);
	put_value(text, tl_reader_find_int(duration, "sum_us", 0), 1000000);
	tl_buf_printf(text, "%s_count%s%s%s", name, open, label, close);
	put_value(text, tl_reader_find_int(duration, "count", 0), 1);
}

static bool
find_map(struct tl_slice stats, const char *key, struct tl_slice *map_out)
{
	struct tl_reader at;

	if (!tl_reader_find(stats, key, &at) || tl_reader_peek(&at) != TL_WIRE_MAP)
		return false;
	*map_out = tl_read_any(&at);
	return true;
}

static void
put_durations(struct tl_buf *text, struct tl_slice stats)
{
	struct tl_slice duration;
	bool has_head = false;
	char label[64];

	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		if (!find_map(stats, durations[i].key, &duration))
			continue;
		put_head(text, durations[i].name, "summary", durations[i].help);
		put_duration(text, durations[i].name, "", duration);
	}
	for (int op = 0; op < TL_QUERY_COUNT; op++) {
		const char *name = tl_query_name((enum tl_query_op)op);

		if (!find_map(stats, name, &duration))
			continue;
		if (!has_head)
			put_head(text, "tally_query_seconds", "summary",
				"Answering a query, by operation.");
		has_head = true;
		snprintf(label, sizeof(label), "op=\"%s\"", name);
		put_duration(text, "tally_query_seconds", label, duration);
	}
}

/* A map of counters: a line each, with the key as its label. */
static void
put_map(struct tl_buf *text, struct tl_slice stats, const char *key, const char *name,
	const char *label, const char *help)
{
	struct tl_slice map;
	struct tl_reader reader;
	uint32_t count;

	if (!find_map(stats, key, &map))
		return;
	put_head(text, name, COUNT, help);
	reader = tl_reader_of(map);
	count = tl_read_map(&reader);
	for (uint32_t i = 0; i < count; i++) {
		struct tl_slice value = tl_read_str(&reader);

		tl_buf_printf(text, "%s{%s=\"%.*s\"} %" PRId64 "\n", name, label, (int)value.bytes,
			(const char *)value.data, tl_read_int(&reader));
	}
}

/* Credentials that were wrong, which tallyd counts, and what this process refused by itself. */
static void
put_failures(struct tl_buf *text, struct tl_slice stats, const struct tl_relay_stats *relay)
{
	static const char name[] = "tally_auth_failures_total";

	put_head(text, name, COUNT, "Requests of nobody known, or of a page of nobody's.");
	if (stats.bytes > 0)
		tl_buf_printf(text, "%s{kind=\"credential\"} %" PRId64 "\n", name,
			tl_reader_find_int(stats, "unauthenticated", 0));
	tl_buf_printf(
		text, "%s{kind=\"csrf\"} %" PRIu64 "\n", name, tl_counter_get(&relay->csrf_failed));
	tl_buf_printf(text, "%s{kind=\"origin\"} %" PRIu64 "\n", name,
		tl_counter_get(&relay->origin_not_allowed));
	tl_buf_printf(text, "%s{kind=\"rate_limited\"} %" PRIu64 "\n", name,
		tl_counter_get(&relay->rate_limited));
}

/* What this process knows by itself. */
static void
put_own(struct tl_buf *text, const struct tl_http_server *api)
{
	const struct tl_http_stats *stats = tl_http_server_stats_of(api);

	put_head(text, "tally_http_requests_total", COUNT, "HTTP requests.");
	tl_buf_printf(
		text, "tally_http_requests_total %" PRIu64 "\n", tl_counter_get(&stats->requests));
	put_head(
		text, "tally_http_replies_total", COUNT, "HTTP replies by hundreds of the status.");
	for (int hundred = 2; hundred < 6; hundred++)
		tl_buf_printf(text, "tally_http_replies_total{code=\"%dxx\"} %" PRIu64 "\n",
			hundred, tl_counter_get(&stats->replies[hundred]));
	put_head(text, "tally_http_overloaded_total", COUNT, "Requests that met a full queue.");
	tl_buf_printf(text, "tally_http_overloaded_total %" PRIu64 "\n",
		tl_counter_get(&stats->overloaded));
	put_head(text, "tally_http_connections", GAUGE, "Open HTTP connections.");
	for (int phase = 0; phase < TL_HTTP_PHASE_COUNT; phase++)
		tl_buf_printf(text, "tally_http_connections{state=\"%s\"} %u\n",
			tl_http_phase_name((enum tl_http_phase)phase),
			tl_http_server_conns(api, (enum tl_http_phase)phase));
	put_head(text, "tally_http_reaped_total", COUNT, "HTTP connections past a deadline.");
	for (int phase = 0; phase < TL_HTTP_PHASE_COUNT; phase++)
		tl_buf_printf(text, "tally_http_reaped_total{phase=\"%s\"} %" PRIu64 "\n",
			tl_http_phase_name((enum tl_http_phase)phase),
			tl_counter_get(&stats->conns->reaped[phase]));
}

/* Telemetry that came, by what became of its records here; tallyd counts events by what it says. */
static void
put_exports(struct tl_buf *text)
{
	put_head(text, "tally_otlp_records_total", COUNT, "Records of OTLP exports.");
	for (enum otlp_signal signal = OTLP_LOGS; signal <= OTLP_METRICS; signal++) {
		const struct export_stats *stats = export_stats_of(signal);
		const struct {
			const char *result;
			const struct tl_counter *counter;
		} rows[] = {{"event", &stats->events}, {"ignored", &stats->ignored},
			{"refused", &stats->refused}};

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			tl_buf_printf(text,
				"tally_otlp_records_total{signal=\"%s\",result=\"%s\"} %" PRIu64
				"\n",
				export_signal_name(signal), rows[i].result,
				tl_counter_get(rows[i].counter));
	}
}

static bool
ask_stats(struct metrics *metrics, struct tl_buf *reply)
{
	static const uint8_t empty_map[] = {0x80};
	struct tl_why why;

	return !tl_req_client_call(metrics->client, tl_slice_of(empty_map, sizeof(empty_map)),
		       ASK_TIMEOUT_MS, reply, &why) &&
	       !tl_reader_check(tl_buf_slice(reply), REPLY_DEPTH_MAX, &why) &&
	       tl_reader_find_bool(tl_buf_slice(reply), "ok", false);
}

static void
run_metrics(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct metrics *metrics = arg;
	struct tl_http_body *body = NULL;
	struct tl_buf reply, text;
	enum tl_err err;
	bool is_up;

	(void)route;
	tl_buf_init(&reply, 0);
	tl_buf_init(&text, 0);
	is_up = ask_stats(metrics, &reply);
	put_head(&text, "tally_up", GAUGE, "Whether tallyd answers.");
	tl_buf_printf(&text, "tally_up %d\n", is_up);
	if (is_up) {
		put_figures(&text, tl_buf_slice(&reply));
		put_durations(&text, tl_buf_slice(&reply));
		put_map(&text, tl_buf_slice(&reply), "connections_ended",
			"tally_nng_pipe_rejects_total", "reason",
			"Connections that tallyd refused or ended.");
		put_map(&text, tl_buf_slice(&reply), "denied", "tally_authz_denied_total", "op",
			"Requests of somebody known who may not do that.");
	}
	put_failures(&text, is_up ? tl_buf_slice(&reply) : tl_slice_of(NULL, 0), metrics->relay);
	put_own(&text, metrics->api);
	put_exports(&text);
	err = tl_http_body_of(&text, &body);
	if (err)
		tl_http_reply_error(request, err, NULL);
	else
		tl_http_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", body);
	tl_buf_fini(&text);
	tl_buf_fini(&reply);
}

static const struct tl_http_route routes[] = {
	{.method = TL_HTTP_GET, .path = "/metrics", .run = run_metrics},
};

static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};

enum tl_err
metrics_start(const char *address, const char *stats_url, const struct tl_http_server *api,
	const struct tl_relay_stats *relay, struct metrics **metrics_out, struct tl_why *why)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));
	struct tl_http_options options = tl_http_defaults;
	enum tl_err err;

	if (metrics == NULL)
		return TL_ENOMEM;
	metrics->api = api;
	metrics->relay = relay;
	options.address = address;
	options.routes = routes;
	options.route_count = 1;
	options.arg = metrics;
	options.hosts = hosts;
	options.host_count = 3;
	options.worker_count = 1;
	options.connection_max = 64;
	err = tl_req_client_open(stats_url, &metrics->client, why);
	if (!err)
		err = tl_http_server_start(&options, &metrics->server, why);
	if (err) {
		metrics_stop(metrics);
		return err;
	}
	*metrics_out = metrics;
	return TL_OK;
}

uint16_t
metrics_port(const struct metrics *metrics)
{
	return tl_http_server_port(metrics->server);
}

void
metrics_stop(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	tl_http_server_stop(metrics->server);
	tl_req_client_close(metrics->client);
	free(metrics);
}
