/*
 * The way out over HTTP beside a bare libmicrohttpd: both take turns inside a round, and the ratio
 * is taken per round. And what many listeners to changes cost.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/hello.h"
#include "bench/http_load.h"
#include "bench/live_load.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/scratch.h"

#define HELLO_BYTES 5 /* "hello" */
#define STREAMS_MAX 500
#define STREAM_TOKENS (STREAMS_MAX / LIVE_LOAD_STREAMS_A_TOKEN + 1)

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char tallyd[TL_CONF_STRING_BYTES];
	char bridge[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	char only[TL_CONF_STRING_BYTES];
	int64_t rounds, round_ms, streams, live_ms;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"its directory data is what ingest_bench left"},
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"bridge", TL_CONF_STRING, AT(bridge), "build/release/tally-http", 0, 0, "the bridge"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"only", TL_CONF_STRING, AT(only), "", 0, 0, "requests or live"},
	{"rounds", TL_CONF_INT, AT(rounds), "5", 1, MEASURE_ROUNDS_MAX, "rounds of requests"},
	{"round_ms", TL_CONF_INT, AT(round_ms), "500", 10, 600000, "one measurement of a round"},
	{"streams", TL_CONF_INT, AT(streams), "500", 1, STREAMS_MAX, "listeners to changes"},
	{"live_ms", TL_CONF_INT, AT(live_ms), "8000", 1000, 600000, "how long they listen"},
};

/* A request that both servers get from as many connections. */
struct question {
	const char *name;
	uint32_t connection_count;
	const char *path;
	double ratio_goal;

	struct measure ratio, sized_ratio, rate, hello_rate, cpu, tallyd_cpu, hello_cpu, reply_kib;
};

static struct question questions[] = {
	{.name = "http_8",
		.connection_count = 8,
		.path = "/api/v1/leaderboard?range=7d&limit=50",
		.ratio_goal = 0.6},
	{.name = "http_64",
		.connection_count = 64,
		.path = "/api/v1/leaderboard?range=7d&limit=50",
		.ratio_goal = 0.6},
	{.name = "http_dashboard_8",
		.connection_count = 8,
		.path = "/api/v1/dashboard?range=7d&limit=50"},
};

#define QUESTION_COUNT (sizeof(questions) / sizeof(questions[0]))

struct bench {
	const struct settings *settings;
	struct scratch scratch, bridge;
	uint16_t port, hello_port;
	pid_t hello;
	char token[SCRATCH_TOKEN_BYTES], gateway_token[SCRATCH_TOKEN_BYTES];
	char stream_tokens[STREAM_TOKENS][SCRATCH_TOKEN_BYTES];
};

static double
requests_a_second(struct http_load *load)
{
	http_load_run(load);
	return (double)load->count * 1000 / (double)load->ms;
}

static double
hellos_a_second(const struct bench *b, const struct question *question, uint64_t bytes)
{
	char request[128];
	struct http_load load = {.port = b->hello_port,
		.connection_count = question->connection_count,
		.request = request,
		.ms = b->settings->round_ms};

	snprintf(request, sizeof(request), "GET /%" PRIu64 " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		bytes);
	return requests_a_second(&load);
}

static void
run_question(const struct bench *b, struct question *question)
{
	char request[512];
	struct http_load load = {.port = b->port,
		.connection_count = question->connection_count,
		.request = request,
		.ms = b->settings->round_ms};
	int64_t bridge_ns = measure_cpu_ns(b->bridge.pid);
	int64_t tallyd_ns = measure_cpu_ns(b->scratch.pid);
	int64_t hello_ns = measure_cpu_ns(b->hello);
	double rate, hello;

	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
		"Accept-Encoding: gzip\r\n\r\n",
		question->path, b->token);
	rate = requests_a_second(&load);
	bridge_ns = measure_cpu_ns(b->bridge.pid) - bridge_ns;
	tallyd_ns = measure_cpu_ns(b->scratch.pid) - tallyd_ns;
	hello = hellos_a_second(b, question, HELLO_BYTES);
	hello_ns = measure_cpu_ns(b->hello) - hello_ns;
	measure_add(&question->rate, rate);
	measure_add(&question->hello_rate, hello);
	measure_add(&question->ratio, rate / hello);
	measure_add(&question->sized_ratio, rate / hellos_a_second(b, question, load.body_bytes));
	measure_add(&question->cpu, (double)bridge_ns / 1e3 / (double)load.count);
	measure_add(&question->tallyd_cpu, (double)tallyd_ns / 1e3 / (double)load.count);
	measure_add(&question->hello_cpu,
		(double)hello_ns / 1e6 / (hello * (double)b->settings->round_ms / 1e6));
	measure_add(&question->reply_kib, (double)load.body_bytes / 1024);
}

static void
print_part(const struct question *question, const char *part, const struct measure *measure,
	const char *unit, struct measure_goal goal)
{
	char name[96];

	snprintf(name, sizeof(name), "%s_%s", question->name, part);
	measure_print(name, measure, unit, goal);
}

static void
print_question(const struct question *question)
{
	const struct measure_goal none = {0};
	char title[128];

	snprintf(title, sizeof(title), "http: %.40s, %u connections", question->path,
		question->connection_count);
	measure_title(title);
	print_part(question, "to_hello", &question->ratio, "x",
		question->ratio_goal > 0
			? (struct measure_goal){MEASURE_AT_LEAST, question->ratio_goal}
			: none);
	print_part(question, "to_hello_of_its_size", &question->sized_ratio, "x", none);
	print_part(question, "rate", &question->rate, "requests/s", none);
	print_part(question, "hello_rate", &question->hello_rate, "hellos/s", none);
	print_part(question, "cpu", &question->cpu, "us/request", none);
	print_part(question, "tallyd_cpu", &question->tallyd_cpu, "us/request", none);
	print_part(question, "hello_cpu", &question->hello_cpu, "us/hello", none);
	print_part(question, "reply", &question->reply_kib, "KiB gzip", none);
}

static void
run_requests(const struct bench *b)
{
	for (int64_t round = 0; round < b->settings->rounds; round++) {
		for (size_t i = 0; i < QUESTION_COUNT; i++)
			run_question(b, &questions[i]);
	}
	for (size_t i = 0; i < QUESTION_COUNT; i++)
		print_question(&questions[i]);
}

/* Processor time in hundredths of a core. */
static double
percent_of_a_core(const struct live_load *load)
{
	return (double)(load->bridge_ns + load->tallyd_ns) / 1e4 / (double)load->ms;
}

/* What listeners add to the cost of the changes themselves. */
static void
run_live(const struct bench *b)
{
	char ingest_url[SCRATCH_URL_BYTES];
	struct measure all = {0}, bridge = {0}, changes = {0}, events = {0};
	struct live_load load = {.port = b->port,
		.tokens = b->stream_tokens,
		.ingest_url = ingest_url,
		.gateway_token = b->gateway_token,
		.ms = b->settings->live_ms,
		.bridge = b->bridge.pid,
		.tallyd = b->scratch.pid};

	scratch_url(&b->scratch, SCRATCH_INGEST, ingest_url);
	live_load_run(&load);
	measure_add(&changes, percent_of_a_core(&load));
	load.stream_count = (uint32_t)b->settings->streams;
	live_load_run(&load);
	measure_add(&all, percent_of_a_core(&load) - changes.values[0]);
	measure_add(&bridge, (double)load.bridge_ns / 1e4 / (double)load.ms);
	measure_add(&events, (double)load.event_count * 1000 / (double)load.ms);
	measure_title("http: listeners to changes, 5 changes a second");
	measure_print("live_cpu", &all, "% of a core", (struct measure_goal){MEASURE_AT_MOST, 5});
	measure_print("live_bridge_cpu", &bridge, "% of a core", (struct measure_goal){0});
	measure_print("live_changes_cpu", &changes, "% of a core", (struct measure_goal){0});
	measure_print("live_events", &events, "events/s", (struct measure_goal){0});
}

static bool
is_wanted(const struct settings *s, const char *name)
{
	return s->only[0] == '\0' || strcmp(s->only, name) == 0;
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "http_bench",
		.summary = "Measures the bridge over the data of ingest_bench, beside a bare "
			   "libmicrohttpd.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	static struct bench b;
	char dir[TL_CONF_STRING_BYTES + 8];
	struct settings s;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	snprintf(dir, sizeof(dir), "%s/data", s.scratch);
	b.settings = &s;
	scratch_start(&b.scratch, s.tallyd, dir);
	scratch_create_token(&b.scratch, "service", b.token);
	scratch_create_token(&b.scratch, "gateway", b.gateway_token);
	for (size_t i = 0; i < STREAM_TOKENS && is_wanted(&s, "live"); i++)
		scratch_create_token(&b.scratch, "service", b.stream_tokens[i]);
	scratch_start_bridge(&b.bridge, s.bridge, dir, &b.port);
	b.hello = hello_start(&b.hello_port);
	if (is_wanted(&s, "requests"))
		run_requests(&b);
	if (is_wanted(&s, "live"))
		run_live(&b);
	hello_stop(b.hello);
	scratch_stop(&b.bridge);
	scratch_stop(&b.scratch);
	return 0;
}
