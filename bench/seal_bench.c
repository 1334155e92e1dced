/*
 * Sealing of the days that ingest_bench filled: how much smaller they get, what it costs, and what
 * a gateway that pushes meanwhile notices. Two copies of the data, one sealed in quiet, one under a
 * stream of small batches.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/disk.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/people.h"
#include "bench/scratch.h"
#include "bench/workload.h"
#include "schema/base/clock.h"
#include "schema/net/req_client.h"
#include "schema/wire/event_wire.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define ANSWER_MS 60000
#define HOUR_MS 3600000LL
#define POLL_US 20000
#define BATCH_EVENTS 100
#define BATCHES_A_SECOND 200
#define STREAM_SECONDS_MAX 300
#define SEALED_GOAL_BYTES 32

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char tallyd[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	char data[TL_CONF_STRING_BYTES];
	char busy[TL_CONF_STRING_BYTES];
	int64_t quiet_ms;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"its directories are what ingest_bench left; they stay as they are"},
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"data", TL_CONF_STRING, AT(data), "data", 0, 0, "what is sealed in quiet"},
	{"busy", TL_CONF_STRING, AT(busy), "tenth", 0, 0, "what is sealed under the stream"},
	{"quiet_ms", TL_CONF_INT, AT(quiet_ms), "4000", 100, 600000,
		"how long acks are measured before the sealing begins"},
};

/* One sealing, as the order told of it. */
struct sealing {
	int64_t ns, cpu_ns, events, days, runs;
};

static void
ask(struct tl_req_client *client, const struct tl_buf *request, struct tl_buf *reply)
{
	struct tl_why why = {0};

	tl_buf_reset(reply);
	if (tl_req_client_call(client, tl_buf_slice(request), ANSWER_MS, reply, &why) ||
		tl_frame_reply_status(tl_buf_slice(reply), &why))
		measure_die("seal: %s", why.text);
}

static void
put_order(struct tl_buf *request, bool start)
{
	struct tl_pack_open map;

	tl_buf_reset(request);
	map = tl_pack_open_map(request);
	tl_pack_key_int(request, &map, "v", 1);
	tl_pack_key_str(request, &map, "op", "seal");
	tl_pack_key_bool(request, &map, "start", start);
	tl_pack_close(request, &map);
}

/* Order it and wait for its end. */
static void
seal(const struct scratch *scratch, struct sealing *sealing_out)
{
	struct tl_req_client *client;
	struct tl_buf request, reply;
	char url[SCRATCH_URL_BYTES];
	struct tl_slice state;
	struct tl_why why;
	int64_t cpu_ns = measure_cpu_ns(scratch->pid), begun_ns = measure_now_ns();
	bool is_first = true;

	scratch_url(scratch, SCRATCH_CONTROL, url);
	if (tl_req_client_open(url, &client, &why))
		measure_die("%s", why.text);
	tl_buf_init(&request, 0);
	tl_buf_init(&reply, 0);
	do {
		if (!is_first)
			usleep(POLL_US);
		put_order(&request, is_first);
		ask(client, &request, &reply);
		state = tl_reader_find_str(tl_buf_slice(&reply), "state");
		is_first = false;
	} while (tl_slice_eq(state, tl_slice_str("running")));
	if (!tl_slice_eq(state, tl_slice_str("done")))
		measure_die("sealing failed; see %s.log", scratch->dir);
	*sealing_out = (struct sealing){.ns = measure_now_ns() - begun_ns,
		.cpu_ns = measure_cpu_ns(scratch->pid) - cpu_ns,
		.events = tl_reader_find_int(tl_buf_slice(&reply), "events", 0),
		.days = tl_reader_find_int(tl_buf_slice(&reply), "days", 0),
		.runs = tl_reader_find_int(tl_buf_slice(&reply), "runs", 0)};
	if (sealing_out->events == 0)
		measure_die("there was nothing to seal in %s", scratch->dir);
	tl_req_client_close(client);
	tl_buf_fini(&reply);
	tl_buf_fini(&request);
}

/* A gateway that pushes small batches at a steady pace, and how long each ack took. */
struct stream {
	/* fixed after start */
	const struct workload_batches *batches;
	char url[SCRATCH_URL_BYTES];
	/* any thread */
	atomic_bool is_stopping, is_sealing;
	/* the stream's, then whoever joined it */
	struct measure_samples quiet, sealing;
};

static void
push(struct stream *stream, struct tl_req_client *client, const struct workload_batch *batch,
	struct tl_buf *reply)
{
	bool is_sealing = atomic_load(&stream->is_sealing);
	int64_t begun_ns = measure_now_ns();
	struct tl_batch_result answer;
	struct tl_why why = {0};

	tl_buf_reset(reply);
	if (tl_req_client_call(client, batch->bytes, ANSWER_MS, reply, &why) ||
		tl_batch_answer_read(tl_buf_slice(reply), &answer, &why))
		measure_die("push a batch: %s", why.text);
	measure_sample(is_sealing ? &stream->sealing : &stream->quiet, measure_now_ns() - begun_ns);
}

static void *
stream_main(void *arg)
{
	struct stream *stream = arg;
	struct tl_req_client *client;
	struct timespec pace = {.tv_nsec = 1000000000 / BATCHES_A_SECOND};
	struct tl_buf reply;
	struct tl_why why;

	if (tl_req_client_open(stream->url, &client, &why))
		measure_die("%s", why.text);
	tl_buf_init(&reply, 0);
	for (uint32_t i = 0; i < stream->batches->count; i++) {
		if (atomic_load(&stream->is_stopping))
			break;
		push(stream, client, &stream->batches->batch[i], &reply);
		nanosleep(&pace, NULL);
	}
	tl_buf_fini(&reply);
	tl_req_client_close(client);
	return NULL;
}

/* Usage of the last hour: none of it is of a day that is sealed. */
static void
make_batches(const char *dir, struct workload_batches *batches_out)
{
	int64_t now_ms = tl_clock_wall_ms(tl_clock_system());
	struct workload_shape shape = {.seed = (uint64_t)now_ms,
		.event_count = STREAM_SECONDS_MAX * BATCHES_A_SECOND * BATCH_EVENTS,
		.org_count = WORKLOAD_ORGS,
		.first_ms = now_ms - HOUR_MS,
		.end_ms = now_ms};
	struct workload_keys keys;
	struct workload *workload;

	people_load(dir, &keys);
	workload = workload_new(&shape);
	workload_encode(workload, keys.token, &keys,
		&(struct workload_cut){.form = WORKLOAD_ROWS,
			.events_min = BATCH_EVENTS,
			.events_max = BATCH_EVENTS,
			.count = shape.event_count},
		batches_out);
	workload_free(workload);
	people_fini(&keys);
}

static void
seal_under_stream(const struct settings *s, const struct scratch *scratch, struct stream *stream,
	struct sealing *sealing_out)
{
	pthread_t thread;

	scratch_url(scratch, SCRATCH_INGEST, stream->url);
	if (pthread_create(&thread, NULL, stream_main, stream) != 0)
		measure_die("no thread for the stream");
	usleep((useconds_t)s->quiet_ms * 1000);
	atomic_store(&stream->is_sealing, true);
	seal(scratch, sealing_out);
	atomic_store(&stream->is_stopping, true);
	pthread_join(thread, NULL);
}

static void
one(const char *name, double value, const char *unit, struct measure_goal goal)
{
	struct measure measure = {.count = 0};

	measure_add(&measure, value);
	measure_print(name, &measure, unit, goal);
}

static void
print_sizes(const struct disk_sizes *before, const struct disk_sizes *after, double events)
{
	double sum = (double)(disk_kept_bytes(after) + after->derived_bytes);

	one("disk_sealed", (double)disk_kept_bytes(after) / events, "B/event",
		(struct measure_goal){MEASURE_AT_MOST, SEALED_GOAL_BYTES});
	one("disk_sealed_all", sum / events, "B/event", (struct measure_goal){0});
	one("raw_before_sealing", (double)before->raw_bytes / events, "B/event",
		(struct measure_goal){0});
	one("raw_sealed", (double)after->raw_bytes / events, "B/event", (struct measure_goal){0});
}

static void
print_cost(const struct sealing *sealing)
{
	double events = (double)sealing->events;

	one("seal_time", (double)sealing->ns / 1e3 / events, "s/M events",
		(struct measure_goal){0});
	one("seal_cpu", (double)sealing->cpu_ns / 1e3 / events, "CPU-s/M",
		(struct measure_goal){0});
}

static void
print_acks(struct stream *stream)
{
	double quiet = (double)measure_quantile_ns(&stream->quiet, 990000);
	double sealing = (double)measure_quantile_ns(&stream->sealing, 990000);

	one("ack_p99_quiet", quiet / 1e6, "ms", (struct measure_goal){0});
	one("ack_p99_while_sealing", sealing / 1e6, "ms", (struct measure_goal){0});
	one("ack_p99_sealing_to_quiet", sealing / quiet, "x", (struct measure_goal){0});
	one("ack_p50_sealing_to_quiet",
		(double)measure_quantile_ns(&stream->sealing, 500000) /
			(double)measure_quantile_ns(&stream->quiet, 500000),
		"x", (struct measure_goal){0});
}

/* A copy of the data with a daemon on it, started twice: the first moves the log into tables. */
static void
start_copy(const struct settings *s, const char *data, struct scratch *scratch)
{
	char from[TL_CONF_STRING_BYTES * 2 + 1], dir[TL_CONF_STRING_BYTES * 2 + 16];

	snprintf(from, sizeof(from), "%s/%s", s->scratch, data);
	snprintf(dir, sizeof(dir), "%s-sealed", from);
	scratch_copy(from, dir);
	scratch_start(scratch, s->tallyd, dir);
	scratch_stop(scratch);
	scratch_start(scratch, s->tallyd, dir);
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "seal_bench",
		.summary = "Measures the sealing of finished days.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	static struct stream stream;
	char keys[TL_CONF_STRING_BYTES * 2 + 1];
	struct scratch quiet, busy;
	struct workload_batches batches;
	struct sealing in_quiet, under_stream;
	struct disk_sizes before, after;
	struct scratch_stats stats;
	struct settings s;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	snprintf(keys, sizeof(keys), "%s/%s", s.scratch, s.busy);
	make_batches(keys, &batches);
	start_copy(&s, s.data, &quiet);
	start_copy(&s, s.busy, &busy);
	scratch_stats(&quiet, &stats);
	disk_read(quiet.dir, &before);

	stream.batches = &batches;
	seal(&quiet, &in_quiet);
	seal_under_stream(&s, &busy, &stream, &under_stream);
	scratch_stop(&quiet);
	scratch_stop(&busy);
	disk_read(quiet.dir, &after);

	measure_title("sealing of finished days");
	printf("  %" PRId64 " of %" PRId64 " events in %" PRId64 " days, %" PRId64 " runs\n",
		in_quiet.events, stats.ids, in_quiet.days, in_quiet.runs);
	print_sizes(&before, &after, (double)stats.ids);
	print_cost(&in_quiet);
	one("seal_under_stream_time", (double)under_stream.ns / 1e3 / (double)under_stream.events,
		"s/M events", (struct measure_goal){0});
	print_acks(&stream);
	workload_batches_fini(&batches);
	scratch_remove(quiet.dir);
	scratch_remove(busy.dir);
	return 0;
}
