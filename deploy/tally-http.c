/* The bridge between HTTP and tallyd: settings, wiring, wait. No data directory, no RocksDB. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "deploy/exit_code.h"
#include "deploy/metrics.h"
#include "deploy/price_file.h"
#include "ingest/api/receive.h"
#include "ingest/api/session.h"
#include "query/api/document.h"
#include "query/api/export.h"
#include "query/api/figures.h"
#include "query/api/fresh.h"
#include "query/api/live.h"
#include "query/api/routes.h"
#include "query/web/assets.h"
#include "schema/base/clock.h"
#include "schema/base/conf.h"
#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"

#define URL_BYTES (TL_CONF_STRING_BYTES + 32)
#define ROUTES_MAX 96u
#define HOSTS_MAX 16u
#define KEPT_BYTES_MAX (32u << 20)
#define ASK_TIMEOUT_MS 15000
#define OWN_FILES 64 /* open files that are no connections */
#define STOP_S_MAX 10

struct settings {
	char listen[TL_CONF_STRING_BYTES];
	char metrics[TL_CONF_STRING_BYTES];
	char host[TL_CONF_STRING_BYTES];
	bool behind_proxy;
	char trusted_proxy[TL_CONF_STRING_BYTES];
	char forwarded[TL_CONF_STRING_BYTES];
	char data[TL_CONF_STRING_BYTES];
	char query[TL_CONF_STRING_BYTES];
	char ingest[TL_CONF_STRING_BYTES];
	char prices[TL_CONF_STRING_BYTES];
	char log[TL_CONF_STRING_BYTES];
	int64_t workers;
	int64_t connections;
	int64_t connections_per_address;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"listen", TL_CONF_STRING, AT(listen), "127.0.0.1:8787", 0, 0,
		"address to serve HTTP on; plain HTTP, so loopback only unless a proxy that speaks "
		"TLS stands before it"},
	{"metrics", TL_CONF_STRING, AT(metrics), "127.0.0.1:8788", 0, 0,
		"loopback address to serve /metrics on, 'none' for none"},
	{"host", TL_CONF_STRING, AT(host), "", 0, 0,
		"names requests may be for, separated by commas; localhost and the addresses of "
		"loopback always are"},
	{"behind_proxy", TL_CONF_FLAG, AT(behind_proxy), "false", 0, 0,
		"a proxy that speaks TLS stands before this: any address may be listened on, and "
		"the bound per address is the proxy's to keep"},
	{"trusted_proxy", TL_CONF_STRING, AT(trusted_proxy), "", 0, 0,
		"with --behind-proxy: addresses and networks of the proxies, separated by commas; "
		"only they and this machine may connect"},
	{"forwarded", TL_CONF_STRING, AT(forwarded), "x-forwarded-for", 0, 0,
		"with --behind-proxy: the header in which they say who asks, x-forwarded-for or "
		"forwarded"},
	{"data", TL_CONF_STRING, AT(data), "./data", 0, 0,
		"data directory of tallyd here, whose sockets are asked"},
	{"query", TL_CONF_STRING, AT(query), "", 0, 0,
		"tallyd's way out, when it is not the socket in the data directory"},
	{"ingest", TL_CONF_STRING, AT(ingest), "", 0, 0,
		"tallyd's way in, when it is not the socket in the data directory"},
	{"prices", TL_CONF_STRING, AT(prices), "", 0, 0,
		"file of own prices, over the built-in ones ('tally prices' shows them), for "
		"telemetry that comes without a cost"},
	{"log", TL_CONF_STRING, AT(log), "info", 0, 0, "error, warn, info or debug"},
	{"workers", TL_CONF_INT, AT(workers), "8", 1, 256,
		"requests that are asked of tallyd at the same time"},
	{"connections", TL_CONF_INT, AT(connections), "4096", 16, 65536, "open at once"},
	{"connections_per_address", TL_CONF_INT, AT(connections_per_address), "64", 1, 65536,
		"open at once from one address; not with --behind-proxy"},
};

static const struct tl_conf_table conf_table = {
	.program = "tally-http",
	.summary = "Serves tallyd's figures and takes usage over HTTP (JSON or msgpack). Holds no "
		   "data and no rights: every request is asked of tallyd with the token that came "
		   "with it. With --routes it lists its routes and who may ask them.",
	.settings = setting_table,
	.setting_count = sizeof(setting_table) / sizeof(setting_table[0]),
};

struct bridge {
	struct settings settings;
	char query_url[URL_BYTES], ingest_url[URL_BYTES], stats_url[URL_BYTES];
	char host_text[TL_CONF_STRING_BYTES];
	const char *hosts[HOSTS_MAX];
	uint32_t host_count;
	struct tl_http_proxies proxies;
	struct tl_http_route routes[ROUTES_MAX];
	uint32_t route_count;
	struct tl_relay relay;
	struct assets *assets;
	struct tl_http_server *server;
	struct metrics *metrics; /* NULL: not served */
};

static enum tl_err
find_hosts(struct bridge *bridge, struct tl_why *why)
{
	static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
	char *rest = NULL;

	for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
		bridge->hosts[bridge->host_count++] = loopback[i];
	snprintf(bridge->host_text, sizeof(bridge->host_text), "%s", bridge->settings.host);
	for (char *name = strtok_r(bridge->host_text, ", ", &rest); name != NULL;
		name = strtok_r(NULL, ", ", &rest)) {
		if (bridge->host_count == HOSTS_MAX)
			return tl_fail(why, TL_ECONFIG, "--host: at most %u names", HOSTS_MAX - 3);
		bridge->hosts[bridge->host_count++] = name;
	}
	return TL_OK;
}

/* A proxy on this machine is one without being named. */
static enum tl_err
find_proxies(struct bridge *bridge, struct tl_why *why)
{
	char text[TL_CONF_STRING_BYTES + 32];
	struct tl_why wrong = {""};

	snprintf(text, sizeof(text), "127.0.0.0/8,::1,%s", bridge->settings.trusted_proxy);
	if (tl_http_proxies_parse(text, &bridge->proxies, &wrong))
		return tl_fail(why, TL_ECONFIG, "--trusted-proxy: %s", wrong.text);
	return TL_OK;
}

static void
add_routes(struct bridge *bridge, const struct tl_relay_route *table, uint32_t count)
{
	for (uint32_t i = 0; i < count && bridge->route_count < ROUTES_MAX; i++)
		bridge->routes[bridge->route_count++] = (struct tl_http_route){
			.method = table[i].method,
			.path = table[i].path,
			.body_bytes_max = table[i].body_bytes_max,
			.start = table[i].start,
			.run = tl_relay_run,
			.what = &table[i],
		};
}

/* Beside the API: the document does not list the pages. */
static void
add_dashboard(struct bridge *bridge)
{
	uint32_t count;
	const struct tl_http_route *pages = assets_routes(bridge->assets, &count);

	for (uint32_t i = 0; i < count && bridge->route_count < ROUTES_MAX; i++)
		bridge->routes[bridge->route_count++] = pages[i];
}

static void
find_url(const struct settings *settings, const char *given, const char *name, char url[URL_BYTES])
{
	if (given[0] != '\0')
		snprintf(url, URL_BYTES, "%s", given);
	else
		snprintf(url, URL_BYTES, "ipc://%s/%s.sock", settings->data, name);
}

/* A connection is a file; the hard limit is what an operator may have set on purpose. */
static void
raise_file_limit(int64_t connection_count)
{
	rlim_t wanted = (rlim_t)connection_count + OWN_FILES;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
		tl_log(TL_LOG_WARN, "few files may be open limit=%" PRIu64 " wanted=%" PRIu64,
			(uint64_t)limit.rlim_cur, (uint64_t)wanted);
}

static enum tl_err
serve(struct bridge *bridge, struct tl_why *why)
{
	const struct settings *settings = &bridge->settings;
	struct tl_http_options options = tl_http_defaults;

	options.address = settings->listen;
	options.routes = bridge->routes;
	options.route_count = bridge->route_count;
	options.arg = &bridge->relay;
	options.hosts = bridge->hosts;
	options.host_count = bridge->host_count;
	options.is_behind_tls = settings->behind_proxy;
	options.proxies = settings->behind_proxy ? &bridge->proxies : NULL;
	options.forwarded = strcmp(settings->forwarded, "forwarded") == 0 ? TL_HTTP_FORWARDED
									  : TL_HTTP_FORWARDED_FOR;
	options.worker_count = (uint32_t)settings->workers;
	options.connection_max = (uint32_t)settings->connections;
	options.per_address_max =
		settings->behind_proxy ? 0 : (uint32_t)settings->connections_per_address;
	return tl_http_server_start(&options, &bridge->server, why);
}

static void
add_api(struct bridge *bridge)
{
	const struct tl_relay_route *table;
	uint32_t count;

	table = routes_of(&count);
	add_routes(bridge, table, count);
	table = receive_routes(&count);
	add_routes(bridge, table, count);
	table = session_routes(&count);
	add_routes(bridge, table, count);
}

static enum tl_err
bridge_start(struct bridge *bridge, struct tl_why *why)
{
	const struct settings *settings = &bridge->settings;
	enum tl_err err;

	add_api(bridge);
	find_url(settings, settings->query, "query", bridge->query_url);
	find_url(settings, settings->ingest, "ingest", bridge->ingest_url);
	find_url(settings, "", "stats", bridge->stats_url);
	raise_file_limit(settings->connections);
	err = find_hosts(bridge, why);
	if (!err)
		err = find_proxies(bridge, why);
	if (!err)
		err = tl_relay_open(
			&bridge->relay, bridge->query_url, bridge->ingest_url, ASK_TIMEOUT_MS, why);
	if (!err)
		err = price_file_open(settings->prices, &bridge->relay.prices, why);
	if (!err)
		err = figures_kept_new(KEPT_BYTES_MAX, &bridge->relay.kept);
	if (!err)
		err = document_new(bridge->routes, bridge->route_count, &bridge->relay.document);
	if (!err)
		err = assets_new(&bridge->assets, why);
	if (!err)
		add_dashboard(bridge);
	if (!err)
		err = exports_new(&bridge->relay, &bridge->relay.exports);
	if (!err)
		err = fresh_start(bridge->relay.clients[TL_RELAY_QUERY], &bridge->relay.fresh, why);
	if (!err)
		err = live_start(&bridge->relay, &bridge->relay.live, why);
	if (!err)
		err = serve(bridge, why);
	if (!err && strcmp(settings->metrics, "none") != 0)
		err = metrics_start(settings->metrics, bridge->stats_url, bridge->server,
			&bridge->relay.stats, &bridge->metrics, why);
	return err;
}

static void
bridge_stop(struct bridge *bridge)
{
	metrics_stop(bridge->metrics);
	live_stop(bridge->relay.live);
	fresh_stop(bridge->relay.fresh);
	tl_http_server_stop(bridge->server);
	live_free(bridge->relay.live);
	fresh_free(bridge->relay.fresh);
	exports_free(bridge->relay.exports);
	tl_relay_close(&bridge->relay);
	tl_prices_free(bridge->relay.prices);
	figures_kept_free(bridge->relay.kept);
	tl_http_body_drop(bridge->relay.document);
	assets_free(bridge->assets);
}

static void
report(const struct bridge *bridge)
{
	const struct tl_http_stats *stats = tl_http_server_stats_of(bridge->server);

	tl_log(TL_LOG_INFO,
		"report requests=%" PRIu64 " refused=%" PRIu64 " overloaded=%" PRIu64
		" replies_2xx=%" PRIu64 " replies_4xx=%" PRIu64 " replies_5xx=%" PRIu64,
		tl_counter_get(&stats->requests), tl_counter_get(&stats->refused),
		tl_counter_get(&stats->overloaded), tl_counter_get(&stats->replies[2]),
		tl_counter_get(&stats->replies[4]), tl_counter_get(&stats->replies[5]));
}

static int
run(struct bridge *bridge)
{
	struct tl_why why = {0};
	enum tl_err err = bridge_start(bridge, &why);
	enum tl_daemon_event event;

	if (err) {
		tl_log(TL_LOG_ERROR, "start failed code=%s why=\"%s\"", tl_err_name(err), why.text);
		bridge_stop(bridge);
		return exit_code_of(err);
	}
	tl_log(TL_LOG_INFO, "ready http_port=%u metrics_port=%u query=%s",
		tl_http_server_port(bridge->server),
		bridge->metrics != NULL ? metrics_port(bridge->metrics) : 0, bridge->query_url);
	tl_daemon_notify("READY=1");
	while ((event = tl_daemon_wait(1000)) != TL_DAEMON_STOP) {
		if (event == TL_DAEMON_REPORT)
			report(bridge);
		if (event == TL_DAEMON_TICK)
			tl_daemon_notify("WATCHDOG=1");
	}
	tl_daemon_notify("STOPPING=1");
	tl_daemon_stopping(EXIT_CODE_IO, STOP_S_MAX);
	bridge_stop(bridge);
	tl_log(TL_LOG_INFO, "stopped");
	return 0;
}

static enum tl_err
check(const struct settings *settings, struct tl_why *why)
{
	enum tl_log_level level;

	if (!tl_log_level_parse(settings->log, &level))
		return tl_fail(
			why, TL_EUSAGE, "log '%s': error, warn, info or debug", settings->log);
	if (!settings->behind_proxy && !tl_http_is_loopback(settings->listen))
		return tl_fail(why, TL_ECONFIG,
			"--listen %s: plain HTTP is served on loopback only; put a proxy that "
			"speaks TLS before it and say --behind-proxy",
			settings->listen);
	if (strcmp(settings->metrics, "none") != 0 && !tl_http_is_loopback(settings->metrics))
		return tl_fail(why, TL_ECONFIG, "--metrics %s: is served on loopback only",
			settings->metrics);
	if (settings->behind_proxy && settings->trusted_proxy[0] == '\0' &&
		!tl_http_is_loopback(settings->listen))
		return tl_fail(why, TL_ECONFIG,
			"--behind-proxy --listen %s: name the proxies with --trusted-proxy",
			settings->listen);
	if (strcmp(settings->forwarded, "x-forwarded-for") != 0 &&
		strcmp(settings->forwarded, "forwarded") != 0)
		return tl_fail(why, TL_EUSAGE, "forwarded '%s': x-forwarded-for or forwarded",
			settings->forwarded);
	if (settings->behind_proxy && settings->host[0] == '\0')
		return tl_fail(why, TL_ECONFIG,
			"--behind-proxy: name the hosts that requests are for with --host");
	tl_log_set_level(level);
	return TL_OK;
}

/* Every route and who may ask it, as "GET /api/v1/team member". */
static int
list_routes(struct bridge *bridge)
{
	struct tl_why why = {""};

	add_api(bridge);
	if (assets_new(&bridge->assets, &why))
		return EXIT_CODE_CONFIG;
	add_dashboard(bridge);
	for (uint32_t i = 0; i < bridge->route_count; i++) {
		const struct tl_http_route *http = &bridge->routes[i];
		const struct tl_relay_route *route = http->run == tl_relay_run ? http->what : NULL;

		printf("%s %s %s\n", tl_http_method_name(http->method), http->path,
			route != NULL ? tl_relay_who_name(route->who) : "page");
	}
	assets_free(bridge->assets);
	return 0;
}

static int
help(void)
{
	struct tl_buf text;

	tl_buf_init(&text, 0);
	tl_conf_help(&conf_table, &text);
	fwrite(text.data, 1, text.bytes, stdout);
	tl_buf_fini(&text);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct bridge bridge;
	struct tl_why why = {0};
	int operand_count = 0;
	enum tl_err err;

	tl_conf_defaults(&conf_table, &bridge.settings);
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
	if (argc == 2 && strcmp(argv[1], "--routes") == 0)
		return list_routes(&bridge);
	err = tl_conf_read_args(&conf_table, argc, argv, &bridge.settings, &operand_count, &why);
	if (!err)
		err = check(&bridge.settings, &why);
	if (err) {
		fprintf(stderr, "tally-http: %s\n", why.text);
		return exit_code_of(err);
	}
	if (tl_crypt_init())
		return EXIT_CODE_CONFIG;
	tl_daemon_init();
	return run(&bridge);
}
