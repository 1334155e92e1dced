/*
 * The way in, end to end: gateways push over nng and the clock runs until everything is durable,
 * counted once, rolled up and shown by a query. Each round has a daemon and a directory of its own;
 * the forms take turns, so that a change of the machine's mood meets all of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/echo.h"
#include "bench/gateway.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/people.h"
#include "bench/scratch.h"
#include "bench/workload.h"
#include "schema/base/clock.h"

#define DAY_MS 86400000LL
#define WINDOW_DAYS 90
#define RSS_GOAL_MIB 512

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char tallyd[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	char only[TL_CONF_STRING_BYTES];
	char keep[TL_CONF_STRING_BYTES];
	char prefix[TL_CONF_STRING_BYTES];
	int64_t events, small_events, rounds, slice, seed, end_ms;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"where daemons get their directories"},
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"only", TL_CONF_STRING, AT(only), "", 0, 0, "rows, maps, small or nng; all when empty"},
	{"keep", TL_CONF_STRING, AT(keep), "data", 0, 0,
		"the last round of rows is left for the others in scratch/KEEP"},
	{"prefix", TL_CONF_STRING, AT(prefix), "", 0, 0, "before the names of the figures"},
	{"events", TL_CONF_INT, AT(events), "1000000", 1000, 100000000, "events of a round"},
	{"small_events", TL_CONF_INT, AT(small_events), "250000", 1000, 100000000,
		"events of a round of small batches"},
	{"rounds", TL_CONF_INT, AT(rounds), "3", 1, MEASURE_ROUNDS_MAX, "rounds of each form"},
	{"slice", TL_CONF_INT, AT(slice), "100000000", 1000, 100000000,
		"events sent before more are encoded, the clock standing: less memory, and rests"},
	{"end_ms", TL_CONF_INT, AT(end_ms), "0", 0, INT64_MAX, "the end of the 90 days; 0: now"},
	{"seed", TL_CONF_INT, AT(seed), "20261120", 1, INT64_MAX, "of the workload"},
};

/* A way of pushing, and what its rounds gave. */
struct form {
	const char *name;
	const char *title;
	enum workload_form form;
	uint32_t events_min, events_max;
	uint32_t process_count, connection_count, outstanding_count;
	bool is_transport; /* to a server that answers and does nothing */
	double rate_goal, cpu_goal;

	struct measure rate, acked_rate, cpu, life_cpu, client_cpu, lag, batch_bytes, rss;
	struct measure group_events, step_events, rollup_bytes, fsync_ms;
};

static struct form forms[] = {
	{.name = "rows",
		.title = "ingest: 4 gateways, 1,000 events, rows",
		.form = WORKLOAD_ROWS,
		.events_min = 1000,
		.events_max = 1000,
		.process_count = 4,
		.connection_count = 1,
		.outstanding_count = 8,
		.rate_goal = 2.0,
		.cpu_goal = 0.55},
	{.name = "maps",
		.title = "ingest: 4 gateways, 1,000 events, maps",
		.form = WORKLOAD_MAPS,
		.events_min = 1000,
		.events_max = 1000,
		.process_count = 4,
		.connection_count = 1,
		.outstanding_count = 8,
		.rate_goal = 1.4,
		.cpu_goal = 0.75},
	{.name = "small",
		.title = "ingest: 64 gateways, 10..100 events",
		.form = WORKLOAD_ROWS,
		.events_min = 10,
		.events_max = 100,
		.process_count = 4,
		.connection_count = 16,
		.outstanding_count = 4,
		.rate_goal = 0.4},
	{.name = "nng",
		.title = "nng alone: the rows, answered unread",
		.form = WORKLOAD_ROWS,
		.events_min = 1000,
		.events_max = 1000,
		.process_count = 4,
		.connection_count = 1,
		.outstanding_count = 8,
		.is_transport = true},
};

#define FORM_COUNT (sizeof(forms) / sizeof(forms[0]))

static double
millions_a_second(int64_t events, int64_t ns)
{
	return ns > 0 ? (double)events * 1e3 / (double)ns : 0;
}

/* CPU-seconds for a million events. */
static double
cpu_per_million(int64_t cpu_ns, int64_t events)
{
	return events > 0 ? (double)cpu_ns / 1e3 / (double)events : 0;
}

/* What is sent: the first slice of each form is encoded once, further ones between pushes. */
struct supply {
	struct workload *workload; /* NULL: the first slices are all */
	const struct workload_keys *keys;
	struct workload_batches first[FORM_COUNT];
};

/* How much of the workload a round of the form sends. */
static uint32_t
count_sent(const struct workload *workload, const struct form *form, const struct settings *s)
{
	uint32_t count = workload_sent_count(workload);

	if (form->events_max < 1000 && s->small_events < count)
		count = (uint32_t)s->small_events;
	return count;
}

static void
encode(const struct supply *supply, const struct form *form, const struct settings *s,
	uint32_t first, struct workload_batches *batches)
{
	uint32_t left = count_sent(supply->workload, form, s) - first;

	workload_encode(supply->workload, supply->keys->token, supply->keys,
		&(struct workload_cut){.form = form->form,
			.events_min = form->events_min,
			.events_max = form->events_max,
			.first = first,
			.count = left < s->slice ? left : (uint32_t)s->slice},
		batches);
}

static void
check(const struct form *form, const struct workload_batches *batches,
	const struct gateway_result *result)
{
	int64_t resent = batches->sent_count - batches->event_count;

	if (result->accepted == batches->event_count && result->duplicate == resent &&
		result->rejected == 0)
		return;
	measure_die("%s: sent %" PRIu32 " events and %" PRId64 " resends, but accepted=%" PRId64
		    " duplicate=%" PRId64 " rejected=%" PRId64,
		form->name, batches->event_count, resent, result->accepted, result->duplicate,
		result->rejected);
}

static struct gateway_plan
plan_of(const struct form *form, const struct workload_batches *batches, const char *ingest_url,
	const char *query_url, pid_t server)
{
	return (struct gateway_plan){.ingest_url = ingest_url,
		.query_url = query_url,
		.batches = batches,
		.process_count = form->process_count,
		.connection_count = form->connection_count,
		.outstanding_count = form->outstanding_count,
		.server = server};
}

static void
record(struct form *form, const struct workload_batches *batches,
	const struct gateway_result *result)
{
	int64_t events = batches->event_count;

	measure_add(&form->rate, millions_a_second(events, result->visible_ns));
	measure_add(&form->acked_rate, millions_a_second(events, result->acked_ns));
	measure_add(&form->cpu, cpu_per_million(result->server_cpu_ns, events));
	measure_add(&form->client_cpu, cpu_per_million(result->client_cpu_ns, events));
	measure_add(&form->lag, (double)(result->visible_ns - result->acked_ns) / 1e6);
	measure_add(&form->batch_bytes, (double)batches->bytes / batches->sent_count);
}

static void
run_transport(struct form *form, const struct settings *s, const struct workload_batches *batches)
{
	struct gateway_result result;
	struct gateway_plan plan;
	char url[SCRATCH_URL_BYTES];
	pid_t server;

	snprintf(url, sizeof(url), "ipc://%s/echo.sock", s->scratch);
	server = echo_start(url, ECHO_ACK);
	plan = plan_of(form, batches, url, NULL, server);
	gateway_run(&plan, &result);
	echo_stop(server);
	record(form, batches, &result);
}

/* Make the days' families before the clock runs; a running daemon meets one new day a day. */
static void
open_days(const struct workload_shape *shape, const char *token, const struct scratch *scratch,
	struct measure *days)
{
	struct workload_batch batch = {0};
	struct workload_batches batches = {.batch = &batch, .count = 1};
	char ingest_url[SCRATCH_URL_BYTES], query_url[SCRATCH_URL_BYTES];
	struct gateway_result result;
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	workload_put_days(shape, token, &buf);
	batch.bytes = tl_buf_slice(&buf);
	scratch_url(scratch, SCRATCH_INGEST, ingest_url);
	scratch_url(scratch, SCRATCH_QUERY_CONTROL, query_url);
	gateway_run(&(struct gateway_plan){.ingest_url = ingest_url,
			    .query_url = query_url,
			    .batches = &batches,
			    .process_count = 1,
			    .connection_count = 1,
			    .outstanding_count = 1,
			    .server = scratch->pid},
		&result);
	if (result.accepted == 0 || result.rejected > 0)
		measure_die("the days were refused: accepted=%" PRId64 " rejected=%" PRId64,
			result.accepted, result.rejected);
	measure_add(days, (double)result.acked_ns / 1e6 / (double)result.accepted);
	tl_buf_fini(&buf);
}

/* What the daemon says it did, from before (days only) to now. */
static void
record_stats(struct form *form, const struct scratch *scratch, const struct scratch_stats *before,
	double events)
{
	struct scratch_stats now;
	double groups, steps;

	scratch_stats(scratch, &now);
	groups = (double)(now.groups - before->groups);
	steps = (double)(now.rollup_writes - before->rollup_writes);
	measure_add(&form->group_events, groups > 0 ? events / groups : 0);
	measure_add(&form->step_events, steps > 0 ? events / steps : 0);
	measure_add(
		&form->rollup_bytes, (double)(now.rollup_bytes - before->rollup_bytes) / events);
	measure_add(&form->fsync_ms, (double)now.fsync_us_p50 / 1e3);
}

/* Orgs, agents and the families of days, for every daemon to begin with. */
static void
make_template(const struct settings *s, const struct workload_shape *shape,
	const struct workload *workload, const char *dir, struct measure *days)
{
	char token[SCRATCH_TOKEN_BYTES];
	struct scratch scratch;

	scratch_remove(dir);
	scratch_start(&scratch, s->tallyd, dir);
	scratch_create_org(&scratch, token);
	open_days(shape, token, &scratch, days);
	people_make(&scratch, workload);
	scratch_stop(&scratch);
}

static void
add_result(struct gateway_result *sum, const struct gateway_result *result)
{
	sum->acked_ns += result->acked_ns;
	sum->visible_ns += result->visible_ns;
	sum->client_cpu_ns += result->client_cpu_ns;
	sum->server_cpu_ns += result->server_cpu_ns;
	sum->resent_batches += result->resent_batches;
}

/* The slices behind the first one; adds to what was sent and how it went. */
static void
push_rest(const struct form *form, const struct settings *s, const struct supply *supply,
	struct gateway_plan plan, struct workload_batches *sent, struct gateway_result *sum)
{
	while (supply->workload != NULL &&
		sent->sent_count < count_sent(supply->workload, form, s)) {
		struct workload_batches slice;
		struct gateway_result result;

		encode(supply, form, s, sent->sent_count, &slice);
		plan.batches = &slice;
		gateway_run(&plan, &result);
		check(form, &slice, &result);
		add_result(sum, &result);
		sent->sent_count += slice.sent_count;
		sent->event_count += slice.event_count;
		sent->bytes += slice.bytes;
		workload_batches_fini(&slice);
	}
}

static void
run_form(struct form *form, const struct settings *s, const struct supply *supply,
	const char *template, const char *dir)
{
	const struct workload_batches *batches = &supply->first[form - forms];
	struct workload_batches sent = *batches;
	char ingest_url[SCRATCH_URL_BYTES], query_url[SCRATCH_URL_BYTES];
	struct gateway_result result;
	struct gateway_plan plan;
	struct scratch_stats before;
	struct scratch scratch;
	int64_t cpu_ns;

	scratch_copy(template, dir);
	scratch_start(&scratch, s->tallyd, dir);
	scratch_url(&scratch, SCRATCH_INGEST, ingest_url);
	scratch_url(&scratch, SCRATCH_QUERY_CONTROL, query_url);

	scratch_stats(&scratch, &before);
	cpu_ns = measure_cpu_ns(scratch.pid);
	plan = plan_of(form, batches, ingest_url, query_url, scratch.pid);
	gateway_run(&plan, &result);
	check(form, batches, &result);
	push_rest(form, s, supply, plan, &sent, &result);
	record(form, &sent, &result);
	record_stats(form, &scratch, &before, sent.event_count);
	measure_add(&form->rss, (double)measure_rss_bytes(scratch.pid) / (1 << 20));
	measure_add(&form->life_cpu,
		cpu_per_million(scratch_stop(&scratch) - cpu_ns, sent.event_count));
	if (result.resent_batches > 0)
		fprintf(stderr, "bench: %s: %" PRId64 " batches were refused for a while\n",
			form->name, result.resent_batches);
}

static struct measure_goal
at_least(double value)
{
	return (struct measure_goal){value > 0 ? MEASURE_AT_LEAST : MEASURE_NO_GOAL, value};
}

static struct measure_goal
at_most(double value)
{
	return (struct measure_goal){value > 0 ? MEASURE_AT_MOST : MEASURE_NO_GOAL, value};
}

/* What the process may take: a fixed amount, and 32 bytes an id. */
static double
rss_goal_mib(const struct settings *s)
{
	return RSS_GOAL_MIB + (double)s->events * 32 / (1 << 20);
}

static void
print_part(const struct settings *s, const struct form *form, const char *part,
	const struct measure *measure, const char *unit, struct measure_goal goal)
{
	char name[TL_CONF_STRING_BYTES + 64];

	snprintf(name, sizeof(name), "%s%s_%s", s->prefix, form->name, part);
	measure_print(name, measure, unit, goal);
}

static void
print_form(const struct settings *s, const struct form *form)
{
	const struct measure_goal none = {0};

	if (form->rate.count == 0)
		return;
	measure_title(form->title);
	print_part(s, form, "rate", &form->rate, "M events/s", at_least(form->rate_goal));
	if (!form->is_transport) {
		print_part(s, form, "rate_acked", &form->acked_rate, "M events/s", none);
		print_part(s, form, "cpu", &form->cpu, "CPU-s/M", at_most(form->cpu_goal));
		print_part(s, form, "cpu_to_stop", &form->life_cpu, "CPU-s/M",
			at_most(form->cpu_goal));
		print_part(s, form, "rollup_after_last_ack", &form->lag, "ms", none);
		print_part(s, form, "group", &form->group_events, "events", none);
		print_part(s, form, "rollup_step", &form->step_events, "events", none);
		print_part(s, form, "rollup_written", &form->rollup_bytes, "B/event", none);
		print_part(s, form, "fsync_p50", &form->fsync_ms, "ms", none);
		print_part(s, form, "rss", &form->rss, "MiB", at_most(rss_goal_mib(s)));
	} else {
		print_part(s, form, "server_cpu", &form->cpu, "CPU-s/M", none);
	}
	print_part(s, form, "client_cpu", &form->client_cpu, "CPU-s/M", none);
	print_part(s, form, "wire_bytes", &form->batch_bytes, "B/event", none);
}

static bool
is_wanted(const struct settings *s, const struct form *form)
{
	return s->only[0] == '\0' || strcmp(s->only, form->name) == 0;
}

static void
run_round(const struct settings *s, const struct supply *supply, const char *template)
{
	char dir[TL_CONF_STRING_BYTES * 2 + 1];

	for (size_t i = 0; i < FORM_COUNT; i++) {
		struct form *form = &forms[i];
		bool is_kept = strcmp(form->name, "rows") == 0;

		if (!is_wanted(s, form))
			continue;
		if (form->is_transport) {
			run_transport(form, s, &supply->first[i]);
			continue;
		}
		snprintf(dir, sizeof(dir), "%s/%s", s->scratch, is_kept ? s->keep : form->name);
		run_form(form, s, supply, template, dir);
		if (!is_kept)
			scratch_remove(dir);
	}
}

static void
print_shape(const struct workload *workload)
{
	struct workload_figures f;

	workload_figures(workload, &f);
	printf("\n%" PRIu32 " events, %" PRIu32 " resends, %" PRIu32 " sessions, %" PRIu32
	       " members, %" PRIu32 " repositories, %" PRId64 " nano-USD\n",
		f.event_count, f.resend_count, f.session_count, f.member_count, f.repo_count,
		f.cost_nusd);
}

/* The rounds send the same bytes. */
static void
run(const struct settings *s, const struct workload_shape *shape, struct workload *workload)
{
	struct workload_keys keys;
	struct supply supply = {.workload = workload, .keys = &keys};
	struct measure days = {.count = 0};
	char template[TL_CONF_STRING_BYTES + 16];

	snprintf(template, sizeof(template), "%s/template", s->scratch);
	make_template(s, shape, workload, template, &days);
	people_load(template, &keys);
	for (size_t i = 0; i < FORM_COUNT; i++) {
		if (is_wanted(s, &forms[i]))
			encode(&supply, &forms[i], s, 0, &supply.first[i]);
	}
	if (s->slice >= workload_sent_count(workload)) {
		workload_free(workload);
		supply.workload = NULL;
	}
	for (int64_t i = 0; i < s->rounds; i++)
		run_round(s, &supply, template);
	for (size_t i = 0; i < FORM_COUNT; i++) {
		print_form(s, &forms[i]);
		workload_batches_fini(&supply.first[i]);
	}
	workload_free(supply.workload);
	if (s->prefix[0] == '\0')
		measure_print("new_day", &days, "ms/day", (struct measure_goal){0});
	people_fini(&keys);
	scratch_remove(template);
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "ingest_bench",
		.summary = "Measures the way in, end to end over nng.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	struct workload_shape shape;
	struct workload *workload;
	struct settings s;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	shape = (struct workload_shape){.seed = (uint64_t)s.seed,
		.event_count = (uint32_t)s.events,
		.org_count = WORKLOAD_ORGS,
		.end_ms = s.end_ms > 0 ? s.end_ms : tl_clock_wall_ms(tl_clock_system())};
	shape.first_ms = shape.end_ms - WINDOW_DAYS * DAY_MS;
	workload = workload_new(&shape);
	print_shape(workload);
	run(&s, &shape, workload);
	return 0;
}
