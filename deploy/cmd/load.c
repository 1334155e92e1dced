/* tally load: simulated gateways that push through libtally. */
#include "deploy/cmd/load.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "schema/base/clock.h"

#define DAY_MS 86400000LL
#define FLUSH_MS 60000
#define GATEWAYS_MAX 256

struct load_settings {
	struct cli cli;
	int64_t gateways, events, rate, seconds, days, members, repos, seed, late, resend, speed;
	char trace[TL_CONF_STRING_BYTES];
};

#define AT(field) offsetof(struct load_settings, field)

static const struct tl_conf_setting settings[] = {CLI_SETTINGS,
	{"gateways", TL_CONF_INT, AT(gateways), "4", 1, GATEWAYS_MAX, "how many push side by side"},
	{"events", TL_CONF_INT, AT(events), "100000", 1, 1LL << 40, "requests in all"},
	{"rate", TL_CONF_INT, AT(rate), "0", 0, 100000000,
		"requests a second in all; 0: as fast as it goes"},
	{"seconds", TL_CONF_INT, AT(seconds), "0", 0, 100000000,
		"stop after this long; 0: no limit"},
	{"days", TL_CONF_INT, AT(days), "0", 0, 400,
		"spread the events over the last days instead of now"},
	{"members", TL_CONF_INT, AT(members), "24", 1, 1000000, "people"},
	{"repos", TL_CONF_INT, AT(repos), "10", 1, 10000, "repositories"},
	{"late", TL_CONF_INT, AT(late), "2", 0, 100, "percent of events 2 h to 4 d late"},
	{"resend", TL_CONF_INT, AT(resend), "1", 0, 100, "percent of events sent twice"},
	{"seed", TL_CONF_INT, AT(seed), "20261120", 0, INT64_MAX, "the same seed, the same usage"},
	{"trace", TL_CONF_STRING, AT(trace), "", 0, 0,
		"replay a CSV trace (TIMESTAMP,ContextTokens,GeneratedTokens; .gz) in its own "
		"timing, ending now"},
	{"speed", TL_CONF_INT, AT(speed), "0", 0, 1000000,
		"trace: times faster than real; 0: all at once, with the trace's times"}};

static volatile sig_atomic_t is_stopped;

static void
stop(int signal_no)
{
	(void)signal_no;
	is_stopped = 1;
}

struct gateway {
	pthread_t thread;
	bool is_running;
	const struct load_settings *settings;
	const struct load_trace_row *rows;
	size_t row_count;
	uint32_t no;
	int64_t start_ms; /* of the load: now, or the oldest day */
	struct tally *tally;
	enum tally_result result;
};

static void
sleep_until_us(int64_t deadline_us)
{
	int64_t left_us = deadline_us - tl_clock_mono_us();
	struct timespec wait = {.tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000};

	if (left_us > 0)
		nanosleep(&wait, NULL);
}

/* The backlog is full: the daemon is slower than the load. Wait a little and go on. */
static enum tally_result
with_patience(enum tally_result result)
{
	if (result != TALLY_FULL)
		return result;
	sleep_until_us(tl_clock_mono_us() + 1000);
	return TALLY_OK;
}

/* A moment of the past days, in rising order, where people are at work. */
static int64_t
history_time(int64_t start_ms, int64_t span_ms, int64_t at, int64_t count)
{
	int64_t now_ms = start_ms + (int64_t)((__int128)span_ms * at / count);

	/* Quiet hours pass quickly: events there move on to busier ones, a bit each. */
	while (load_activity(now_ms) < 1000 &&
		(uint64_t)(at * 7919 % 1000) >= load_activity(now_ms))
		now_ms += 1800000;
	return now_ms < start_ms + span_ms ? now_ms : start_ms + span_ms;
}

static enum tally_result
run_people(struct gateway *g, struct load_people *people)
{
	const struct load_settings *s = g->settings;
	int64_t count = s->events / s->gateways, begun_us = tl_clock_mono_us();
	enum tally_result result = TALLY_OK;

	for (int64_t at = 0; at < count && !is_stopped && result == TALLY_OK; at++) {
		int64_t now_ms = tl_clock_wall_ms(tl_clock_system()) - 1;

		if (s->seconds > 0 && tl_clock_mono_us() - begun_us > s->seconds * 1000000)
			break;
		if (s->days > 0)
			now_ms = history_time(g->start_ms, s->days * DAY_MS - 60000, at, count);
		result = with_patience(load_people_step(people, g->tally, now_ms));
		if (s->rate > 0)
			sleep_until_us(begun_us + (at + 1) * 1000000 * s->gateways / s->rate);
	}
	return result;
}

static enum tally_result
run_trace(struct gateway *g, struct load_people *people)
{
	const struct load_settings *s = g->settings;
	int64_t begun_us = tl_clock_mono_us(), last_ms = g->rows[g->row_count - 1].offset_ms;
	enum tally_result result = TALLY_OK;

	for (size_t i = g->no; i < g->row_count && !is_stopped && result == TALLY_OK;
		i += (size_t)s->gateways) {
		int64_t ts_ms = g->start_ms - last_ms + g->rows[i].offset_ms;

		if (s->speed > 0) {
			sleep_until_us(begun_us + g->rows[i].offset_ms * 1000 / s->speed);
			ts_ms = tl_clock_wall_ms(tl_clock_system()) - 1;
		}
		result = with_patience(load_people_trace(people, g->tally, &g->rows[i], ts_ms));
	}
	return result;
}

static void *
gateway_main(void *arg)
{
	struct gateway *g = arg;
	const struct load_settings *s = g->settings;
	struct load_shape shape = {.seed = (uint64_t)s->seed,
		.members = s->members,
		.repos = s->repos,
		.resend_percent = s->resend,
		.late_percent = s->late};
	struct load_people *people = load_people_new(&shape, g->no);

	if (people == NULL)
		g->result = TALLY_NOMEM;
	else
		g->result = g->rows != NULL ? run_trace(g, people) : run_people(g, people);
	load_people_free(people);
	if (g->result == TALLY_OK)
		g->result = tally_flush(g->tally, FLUSH_MS);
	return NULL;
}

static void
add_stats(struct gateway *gateways, int64_t count, struct tally_stats *sum)
{
	*sum = (struct tally_stats){0};
	for (int64_t i = 0; i < count; i++) {
		struct tally_stats one;

		tally_stats(gateways[i].tally, &one);
		sum->pushed += one.pushed;
		sum->accepted += one.accepted;
		sum->duplicate += one.duplicate;
		sum->replaced += one.replaced;
		sum->rejected += one.rejected;
		sum->resent += one.resent;
		sum->pending += one.pending;
	}
}

static int
start_gateways(struct gateway *gateways, const struct load_settings *s, const char *url,
	const struct load_trace_row *rows, size_t row_count)
{
	int64_t now_ms = tl_clock_wall_ms(tl_clock_system());

	for (int64_t i = 0; i < s->gateways; i++) {
		struct tally_options options = {.url = url, .token = s->cli.token};
		struct gateway *g = &gateways[i];

		*g = (struct gateway){.settings = s,
			.rows = rows,
			.row_count = row_count,
			.no = (uint32_t)i,
			.start_ms = now_ms - s->days * DAY_MS};
		if (tally_open(&options, &g->tally) != TALLY_OK) {
			cli_error("load: %s", tally_error());
			return CLI_USAGE;
		}
		g->is_running = pthread_create(&g->thread, NULL, gateway_main, g) == 0;
	}
	return CLI_OK;
}

static bool
all_done(struct gateway *gateways, int64_t count, int64_t total)
{
	struct tally_stats sum;

	for (int64_t i = 0; i < count; i++) {
		if (gateways[i].is_running && pthread_tryjoin_np(gateways[i].thread, NULL) == 0)
			gateways[i].is_running = false;
	}
	add_stats(gateways, count, &sum);
	progress_show("load", sum.pushed - sum.pending, (uint64_t)total, "events acknowledged");
	for (int64_t i = 0; i < count; i++) {
		if (gateways[i].is_running)
			return false;
	}
	return true;
}

static int
finish(struct gateway *gateways, const struct load_settings *s, int64_t begun_us)
{
	int64_t us = tl_clock_mono_us() - begun_us;
	struct tally_stats sum;
	int code = CLI_OK;

	add_stats(gateways, s->gateways, &sum);
	for (int64_t i = 0; i < s->gateways; i++) {
		if (gateways[i].result != TALLY_OK)
			code = CLI_UNAVAILABLE;
		tally_close(gateways[i].tally, 0);
	}
	printf(s->cli.json ? "{\"pushed\": %" PRIu64 ", \"accepted\": %" PRIu64
			     ", \"duplicate\": %" PRIu64 ", \"rejected\": %" PRIu64
			     ", \"resent\": %" PRIu64 ", \"pending\": %" PRIu64 ", \"ms\": %" PRId64
			     "}\n"
			   : "pushed=%" PRIu64 " accepted=%" PRIu64 " duplicate=%" PRIu64
			     " rejected=%" PRIu64 " resent=%" PRIu64 " pending=%" PRIu64
			     " ms=%" PRId64 "\n",
		sum.pushed, sum.accepted, sum.duplicate, sum.rejected, sum.resent, sum.pending,
		us / 1000);
	if (code != CLI_OK)
		cli_error("load: not everything was acknowledged");
	return code == CLI_OK && sum.rejected > 0 ? CLI_REFUSED : code;
}

static int
run(struct load_settings *s, const char *url)
{
	static struct gateway gateways[GATEWAYS_MAX];
	struct load_trace_row *rows = NULL;
	size_t row_count = 0;
	const char *reason;
	int64_t begun_us = tl_clock_mono_us(), total = s->events;
	int code;

	if (s->trace[0] != '\0') {
		rows = load_trace_read(s->trace, &row_count, &reason);
		if (rows == NULL) {
			cli_error("load: %s: %s", s->trace, reason);
			return CLI_USAGE;
		}
		total = (int64_t)row_count;
	}
	code = start_gateways(gateways, s, url, rows, row_count);
	if (code == CLI_OK) {
		while (!all_done(gateways, s->gateways, total))
			sleep_until_us(tl_clock_mono_us() + 50000);
		progress_end();
		code = finish(gateways, s, begun_us);
	}
	free(rows);
	return code;
}

int
cmd_load(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "tally load",
		.summary = "Simulated gateways: people at work in sessions with repositories and "
			   "pull requests, or the rows of a trace. Wants a gateway token.",
		.operands = NULL,
		.settings = settings,
		.setting_count = sizeof(settings) / sizeof(settings[0])};
	struct load_settings s;
	char url[TL_CONF_STRING_BYTES + 32];
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	if (s.cli.token[0] == '\0') {
		cli_error("load: a gateway token is needed: --token or $TALLY_TOKEN");
		return CLI_USAGE;
	}
	cli_url(&s.cli, CLI_DOOR_INGEST, url);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	return run(&s, url);
}
