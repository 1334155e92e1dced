/*
 * The way out over nng, beside a bare round trip of the same size. A query and its echo take turns
 * inside a round, and the ratio is taken per round: what the machine does to one it does to both.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bench/echo.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/question.h"
#include "bench/scratch.h"
#include "schema/base/clock.h"
#include "schema/net/req_client.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"

#define ANSWER_MS 30000
#define CLIENTS 8
#define SECOND_NS INT64_C(1000000000)

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char tallyd[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	char only[TL_CONF_STRING_BYTES];
	int64_t rounds, samples, round_ms;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"its directory data is what ingest_bench left"},
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"only", TL_CONF_STRING, AT(only), "", 0, 0,
		"leaderboard, custom, series, repos, pulls, one of them with _anew, or "
		"throughput"},
	{"rounds", TL_CONF_INT, AT(rounds), "5", 1, MEASURE_ROUNDS_MAX, "rounds of each query"},
	{"samples", TL_CONF_INT, AT(samples), "1000", 50, 1000000,
		"requests of a round, unless round_ms is over first"},
	{"round_ms", TL_CONF_INT, AT(round_ms), "1200", 10, 600000, "a round's longest time"},
};

/* One kind of query, and what its rounds gave. */
struct question {
	const char *name;
	const char *op;
	enum question_type type;
	double p50_ratio_goal, p99_ratio_goal, p50_ms_goal, p99_ms_goal;

	struct measure p50, p99, p50_ratio, p99_ratio, reply_kib;
	struct measure range_p50[QUESTION_RANGES];
};

static struct question questions[] = {
	{.name = "leaderboard", .op = "leaderboard", .p50_ratio_goal = 1.3, .p99_ratio_goal = 2},
	{.name = "leaderboard_anew",
		.op = "leaderboard",
		.type = ASK_ANEW,
		.p50_ratio_goal = 1.3,
		.p99_ratio_goal = 2},
	{.name = "custom",
		.op = "leaderboard",
		.type = ASK_CUSTOM,
		.p50_ms_goal = 1,
		.p99_ms_goal = 5},
	{.name = "series", .op = "series"},
	{.name = "series_anew", .op = "series", .type = ASK_ANEW},
	{.name = "repos", .op = "repos"},
	{.name = "repos_anew", .op = "repos", .type = ASK_ANEW},
	{.name = "pulls", .op = "pulls"},
	{.name = "pulls_anew", .op = "pulls", .type = ASK_ANEW},
};

#define QUESTION_COUNT (sizeof(questions) / sizeof(questions[0]))

struct bench {
	const struct settings *settings;
	char token[SCRATCH_TOKEN_BYTES];
	char query_url[SCRATCH_URL_BYTES], echo_url[SCRATCH_URL_BYTES];
	struct tl_req_client *query, *echo;
	struct tl_buf request, echo_request, reply;
	int64_t now_ms;
	uint32_t custom_no; /* so that no custom range is asked twice */
};

/* The no-th question; custom ranges go on through all rounds, so that none is asked twice. */
static void
put_request(struct bench *b, const struct question *question, uint32_t no, struct tl_buf *request)
{
	struct question_ask ask = {
		.op = question->op, .type = question->type, .token = b->token, .now_ms = b->now_ms};

	question_put(request, &ask, question->type == ASK_CUSTOM ? b->custom_no++ : no);
}

/* The round trip of one request; its reply is in b->reply. */
static int64_t
ask(struct bench *b, struct tl_req_client *client, const struct tl_buf *request)
{
	int64_t begun_ns = measure_now_ns();
	struct tl_why why;

	tl_buf_reset(&b->reply);
	if (tl_req_client_call(client, tl_buf_slice(request), ANSWER_MS, &b->reply, &why))
		measure_die("query: %s", why.text);
	return measure_now_ns() - begun_ns;
}

static int64_t
ask_tally(struct bench *b, const char *name)
{
	struct tl_why why = {0};
	int64_t ns = ask(b, b->query, &b->request);

	if (tl_frame_reply_status(tl_buf_slice(&b->reply), &why))
		measure_die("%s was refused: %s", name, why.text);
	return ns;
}

/* A tally query, then an echo of as many bytes both ways. */
static void
run_question(struct bench *b, struct question *question)
{
	struct measure_samples query = {0}, echo = {0}, by_range[QUESTION_RANGES] = {0};
	int64_t ends_ns = measure_now_ns() + b->settings->round_ms * 1000000;
	double reply_bytes = 0;

	for (int64_t i = 0; i < b->settings->samples; i++) {
		int64_t ns;

		if (i >= QUESTION_RANGES && measure_now_ns() >= ends_ns)
			break;
		put_request(b, question, (uint32_t)i, &b->request);
		ns = ask_tally(b, question->name);
		measure_sample(&query, ns);
		measure_sample(&by_range[i % QUESTION_RANGES], ns);
		reply_bytes += (double)b->reply.bytes;
		echo_put_request(
			&b->echo_request, tl_buf_slice(&b->request), (uint32_t)b->reply.bytes);
		measure_sample(&echo, ask(b, b->echo, &b->echo_request));
	}
	measure_add(&question->p50, (double)measure_quantile_ns(&query, 500000) / 1e6);
	measure_add(&question->p99, (double)measure_quantile_ns(&query, 990000) / 1e6);
	measure_add(&question->p50_ratio, (double)measure_quantile_ns(&query, 500000) /
						  (double)measure_quantile_ns(&echo, 500000));
	measure_add(&question->p99_ratio, (double)measure_quantile_ns(&query, 990000) /
						  (double)measure_quantile_ns(&echo, 990000));
	measure_add(&question->reply_kib, reply_bytes / 1024 / (double)query.count);
	for (uint32_t i = 0; i < QUESTION_RANGES; i++) {
		measure_add(&question->range_p50[i],
			(double)measure_quantile_ns(&by_range[i], 500000) / 1e6);
		measure_samples_fini(&by_range[i]);
	}
	measure_samples_fini(&query);
	measure_samples_fini(&echo);
}

/* One of the clients that ask at the same time. */
struct asker {
	pthread_t thread;
	const char *url;
	const struct tl_buf *requests; /* QUESTION_RANGES */
	pthread_barrier_t *start;
	int64_t ns;
	uint64_t count;
};

static void *
ask_for_a_while(void *arg)
{
	struct asker *asker = arg;
	struct tl_req_client *client;
	int64_t begun_ns = 0, passed_ns = 0;
	struct tl_buf reply;
	struct tl_why why;

	tl_buf_init(&reply, 0);
	if (tl_req_client_open(asker->url, &client, &why))
		measure_die("%s", why.text);
	/* The first four make the connection and fill what is cached. */
	for (uint64_t i = 0; i < QUESTION_RANGES || passed_ns < asker->ns; i++) {
		tl_buf_reset(&reply);
		if (tl_req_client_call(client, tl_buf_slice(&asker->requests[i % QUESTION_RANGES]),
			    ANSWER_MS, &reply, &why))
			measure_die("query: %s", why.text);
		if (i + 1 < QUESTION_RANGES)
			continue;
		if (i + 1 == QUESTION_RANGES) {
			pthread_barrier_wait(asker->start);
			begun_ns = measure_now_ns();
		}
		asker->count = i + 1 - QUESTION_RANGES;
		passed_ns = measure_now_ns() - begun_ns;
	}
	tl_req_client_close(client);
	tl_buf_fini(&reply);
	return NULL;
}

static double
requests_a_second(const char *url, const struct tl_buf requests[QUESTION_RANGES])
{
	struct asker askers[CLIENTS];
	pthread_barrier_t start;
	uint64_t count = 0;

	pthread_barrier_init(&start, NULL, CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		askers[i] = (struct asker){
			.url = url, .requests = requests, .start = &start, .ns = SECOND_NS};
		if (pthread_create(&askers[i].thread, NULL, ask_for_a_while, &askers[i]) != 0)
			measure_die("no thread for a client");
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(askers[i].thread, NULL);
		count += askers[i].count;
	}
	pthread_barrier_destroy(&start);
	return (double)count;
}

struct throughput {
	struct measure rate, echo_rate, ratio, cpu;
};

static void
run_throughput(struct bench *b, pid_t server, struct throughput *t)
{
	struct tl_buf requests[QUESTION_RANGES], echoes[QUESTION_RANGES];
	double rate, echo_rate;
	int64_t cpu_ns;

	for (uint32_t i = 0; i < QUESTION_RANGES; i++) {
		tl_buf_init(&requests[i], 0);
		tl_buf_init(&echoes[i], 0);
		put_request(b, &questions[0], i, &requests[i]);
		put_request(b, &questions[0], i, &b->request);
		ask_tally(b, "leaderboard");
		echo_put_request(&echoes[i], tl_buf_slice(&b->request), (uint32_t)b->reply.bytes);
	}
	cpu_ns = measure_cpu_ns(server);
	rate = requests_a_second(b->query_url, requests);
	measure_add(&t->cpu, (double)(measure_cpu_ns(server) - cpu_ns) / 1e3 / rate);
	echo_rate = requests_a_second(b->echo_url, echoes);
	measure_add(&t->rate, rate);
	measure_add(&t->echo_rate, echo_rate);
	measure_add(&t->ratio, rate / echo_rate);
	for (uint32_t i = 0; i < QUESTION_RANGES; i++) {
		tl_buf_fini(&requests[i]);
		tl_buf_fini(&echoes[i]);
	}
}

static struct measure_goal
at_most(double value)
{
	return (struct measure_goal){value > 0 ? MEASURE_AT_MOST : MEASURE_NO_GOAL, value};
}

static void
print_part(const struct question *question, const char *part, const struct measure *measure,
	const char *unit, double goal)
{
	char name[96];

	snprintf(name, sizeof(name), "%s_%s", question->name, part);
	measure_print(name, measure, unit, at_most(goal));
}

static void
print_question(const struct question *question)
{
	char title[64], name[64];

	if (question->p50.count == 0)
		return;
	snprintf(title, sizeof(title), "query: %s over nng", question->name);
	measure_title(title);
	print_part(question, "p50_to_echo", &question->p50_ratio, "x", question->p50_ratio_goal);
	print_part(question, "p99_to_echo", &question->p99_ratio, "x", question->p99_ratio_goal);
	print_part(question, "p50", &question->p50, "ms", question->p50_ms_goal);
	print_part(question, "p99", &question->p99, "ms", question->p99_ms_goal);
	for (uint32_t i = 0; i < QUESTION_RANGES && question->type == ASK_ANEW; i++) {
		snprintf(name, sizeof(name), "p50_%s", question_range(i));
		print_part(question, name, &question->range_p50[i], "ms", 0);
	}
	print_part(question, "reply", &question->reply_kib, "KiB", 0);
}

static void
print_throughput(const struct throughput *t)
{
	const struct measure_goal none = {0};

	if (t->rate.count == 0)
		return;
	measure_title("query: leaderboard, 8 clients");
	measure_print(
		"throughput_to_echo", &t->ratio, "x", (struct measure_goal){MEASURE_AT_LEAST, 0.7});
	measure_print("throughput", &t->rate, "queries/s",
		(struct measure_goal){MEASURE_AT_LEAST, 10000});
	measure_print("throughput_echo", &t->echo_rate, "echoes/s", none);
	measure_print("throughput_cpu", &t->cpu, "us/query", none);
}

static bool
is_wanted(const struct settings *s, const char *name)
{
	return s->only[0] == '\0' || strcmp(s->only, name) == 0;
}

static void
run(const struct settings *s, const struct scratch *scratch, struct bench *b)
{
	struct throughput throughput = {0};
	struct measure rss = {0};

	for (int64_t round = 0; round < s->rounds; round++) {
		for (size_t i = 0; i < QUESTION_COUNT; i++) {
			if (is_wanted(s, questions[i].name))
				run_question(b, &questions[i]);
		}
		if (is_wanted(s, "throughput"))
			run_throughput(b, scratch->pid, &throughput);
	}
	for (size_t i = 0; i < QUESTION_COUNT; i++)
		print_question(&questions[i]);
	print_throughput(&throughput);
	measure_add(&rss, (double)measure_rss_bytes(scratch->pid) / (1 << 20));
	measure_print("rss_after_queries", &rss, "MiB", (struct measure_goal){0});
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "query_bench",
		.summary = "Measures queries over the data of ingest_bench, beside an echo.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	static struct bench b;
	char dir[TL_CONF_STRING_BYTES + 8];
	struct scratch scratch;
	struct settings s;
	struct tl_why why;
	pid_t echo;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	snprintf(dir, sizeof(dir), "%s/data", s.scratch);
	b.settings = &s;
	b.now_ms = tl_clock_wall_ms(tl_clock_system());
	snprintf(b.echo_url, sizeof(b.echo_url), "ipc://%s/echo.sock", s.scratch);
	scratch_start(&scratch, s.tallyd, dir);
	scratch_create_token(&scratch, "service", b.token);
	scratch_url(&scratch, SCRATCH_QUERY, b.query_url);
	echo = echo_start(b.echo_url, ECHO_SIZED);

	tl_buf_init(&b.request, 0);
	tl_buf_init(&b.echo_request, 0);
	tl_buf_init(&b.reply, 0);
	if (tl_req_client_open(b.query_url, &b.query, &why) ||
		tl_req_client_open(b.echo_url, &b.echo, &why))
		measure_die("%s", why.text);
	run(&s, &scratch, &b);
	echo_stop(echo);
	scratch_stop(&scratch);
	return 0;
}
