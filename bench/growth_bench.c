/*
 * Whether questions take longer when there is more: the same ones, to daemons on data of different
 * size, in turns. The slope is the median on more over the median on less, taken per round.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/options.h"
#include "bench/question.h"
#include "bench/scratch.h"
#include "schema/base/clock.h"
#include "schema/net/req_client.h"
#include "schema/wire/frame.h"

#define ANSWER_MS 30000
#define PLACES_MAX 3u
#define SLOPE_GOAL 1.2

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char tallyd[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	char data[PLACES_MAX][TL_CONF_STRING_BYTES];
	int64_t rounds, samples;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"its directories are what ingest_bench left"},
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"small", TL_CONF_STRING, AT(data[0]), "tenth", 0, 0, "the least data"},
	{"large", TL_CONF_STRING, AT(data[1]), "data", 0, 0, "more of it"},
	{"huge", TL_CONF_STRING, AT(data[2]), "", 0, 0, "still more; none when empty"},
	{"rounds", TL_CONF_INT, AT(rounds), "5", 1, MEASURE_ROUNDS_MAX, "rounds of each question"},
	{"samples", TL_CONF_INT, AT(samples), "200", 8, 1000000, "requests of a round, each"},
};

/* A daemon on one of the directories. */
struct place {
	struct scratch scratch;
	struct tl_req_client *client;
	char token[SCRATCH_TOKEN_BYTES];
	int64_t events;
};

struct question {
	const char *name, *op;
	enum question_type type;
	uint32_t asked; /* of all rounds: a custom range is never asked twice */
	struct measure p50[PLACES_MAX], slope[PLACES_MAX];
};

static struct question questions[] = {
	{.name = "leaderboard", .op = "leaderboard", .type = ASK_RANGES},
	{.name = "leaderboard_anew", .op = "leaderboard", .type = ASK_ANEW},
	{.name = "custom", .op = "leaderboard", .type = ASK_CUSTOM},
	{.name = "series_anew", .op = "series", .type = ASK_ANEW},
	{.name = "repos_anew", .op = "repos", .type = ASK_ANEW},
	{.name = "pulls_anew", .op = "pulls", .type = ASK_ANEW},
};

#define QUESTION_COUNT (sizeof(questions) / sizeof(questions[0]))

struct bench {
	const struct settings *settings;
	struct place places[PLACES_MAX];
	uint32_t place_count;
	int64_t now_ms;
	struct tl_buf request, reply;
};

static int64_t
ask(struct bench *b, struct place *place, const struct question *question, uint32_t no)
{
	struct question_ask ask = {.op = question->op,
		.type = question->type,
		.token = place->token,
		.now_ms = b->now_ms};
	struct tl_why why = {0};
	int64_t begun_ns;

	question_put(&b->request, &ask, no);
	tl_buf_reset(&b->reply);
	begun_ns = measure_now_ns();
	if (tl_req_client_call(
		    place->client, tl_buf_slice(&b->request), ANSWER_MS, &b->reply, &why) ||
		tl_frame_reply_status(tl_buf_slice(&b->reply), &why))
		measure_die("%s: %s", question->name, why.text);
	return measure_now_ns() - begun_ns;
}

static void
run_question(struct bench *b, struct question *question)
{
	struct measure_samples samples[PLACES_MAX] = {{0}};
	double p50[PLACES_MAX];

	for (int64_t i = 0; i < b->settings->samples; i++) {
		uint32_t no = question->type == ASK_CUSTOM ? question->asked++ : (uint32_t)i;

		for (uint32_t p = 0; p < b->place_count; p++)
			measure_sample(&samples[p], ask(b, &b->places[p], question, no));
	}
	for (uint32_t p = 0; p < b->place_count; p++) {
		p50[p] = (double)measure_quantile_ns(&samples[p], 500000) / 1e6;
		measure_add(&question->p50[p], p50[p]);
		if (p > 0)
			measure_add(&question->slope[p], p50[p] / p50[0]);
		measure_samples_fini(&samples[p]);
	}
}

static void
print_question(const struct bench *b, const struct question *question)
{
	char name[96];

	for (uint32_t p = 1; p < b->place_count; p++) {
		snprintf(name, sizeof(name), "growth_%s_%s", question->name, b->settings->data[p]);
		measure_print(name, &question->slope[p], "x",
			(struct measure_goal){MEASURE_AT_MOST, SLOPE_GOAL});
	}
	for (uint32_t p = 0; p < b->place_count; p++) {
		snprintf(name, sizeof(name), "%s_p50_%s", question->name, b->settings->data[p]);
		measure_print(name, &question->p50[p], "ms", (struct measure_goal){0});
	}
}

static void
start_places(struct bench *b)
{
	for (uint32_t p = 0; p < PLACES_MAX && b->settings->data[p][0] != '\0'; p++) {
		struct place *place = &b->places[b->place_count++];
		char dir[TL_CONF_STRING_BYTES * 2 + 1];
		struct scratch_stats stats;

		snprintf(dir, sizeof(dir), "%s/%s", b->settings->scratch, b->settings->data[p]);
		scratch_start(&place->scratch, b->settings->tallyd, dir);
		scratch_create_token(&place->scratch, "service", place->token);
		scratch_stats(&place->scratch, &stats);
		place->events = stats.ids;
	}
}

static void
connect_places(struct bench *b)
{
	char url[SCRATCH_URL_BYTES];
	struct tl_why why;

	for (uint32_t p = 0; p < b->place_count; p++) {
		scratch_url(&b->places[p].scratch, SCRATCH_QUERY, url);
		if (tl_req_client_open(url, &b->places[p].client, &why))
			measure_die("%s", why.text);
	}
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "growth_bench",
		.summary = "Measures the same questions over less and more data.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	static struct bench b;
	struct settings s;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	b.settings = &s;
	b.now_ms = tl_clock_wall_ms(tl_clock_system());
	start_places(&b);
	connect_places(&b);
	for (int64_t round = 0; round < s.rounds; round++) {
		for (size_t i = 0; i < QUESTION_COUNT; i++)
			run_question(&b, &questions[i]);
	}
	measure_title("growth: the same questions over more");
	for (uint32_t p = 0; p < b.place_count; p++)
		printf("  %s: %" PRId64 " events\n", s.data[p], b.places[p].events);
	for (size_t i = 0; i < QUESTION_COUNT; i++)
		print_question(&b, &questions[i]);
	for (uint32_t p = 0; p < b.place_count; p++)
		scratch_stop(&b.places[p].scratch);
	return 0;
}
