/*
 * How long after its acknowledgement an event shows in queries, while usage arrives at a steady
 * rate. One thread keeps the rate; the other is a gateway and a reader in one: it pushes a small
 * batch, and from the moment of the answer asks until a reply's seq has reached the batch's.
 * Slices in which it asks for health and in which it asks for the leaderboard take turns. Replies
 * with a new seq were computed for it, so their round trips tell what a change costs a reader.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench/gateway.h"
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

#define ANSWER_MS 30000
#define HOUR_MS 3600000LL
#define SECOND_NS INT64_C(1000000000)
#define STREAM_EVENTS 500 /* of a batch of the steady stream */
#define PROBE_EVENTS 100
#define PROBES_A_SECOND_MAX 500
#define OUTSTANDING 32
#define POLL_US 200 /* a reader that never rests would take a core from the daemon */

struct settings {
	char scratch[TL_CONF_STRING_BYTES];
	char tallyd[TL_CONF_STRING_BYTES];
	char json[TL_CONF_STRING_BYTES];
	int64_t rate, rounds, slice_ms, hours;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"scratch", TL_CONF_STRING, AT(scratch), "/tmp/tally-bench", 0, 0,
		"its directory data is what ingest_bench left"},
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"json", TL_CONF_STRING, AT(json), "", 0, 0, "append the figures to this file"},
	{"rate", TL_CONF_INT, AT(rate), "100000", 1000, 100000000, "events a second"},
	{"rounds", TL_CONF_INT, AT(rounds), "5", 1, MEASURE_ROUNDS_MAX, "slices of each kind"},
	{"slice_ms", TL_CONF_INT, AT(slice_ms), "1500", 100, 600000, "how long a slice is"},
	{"hours", TL_CONF_INT, AT(hours), "2160", 1, 2160,
		"the past that the events lie in; few hours make hot cells"},
};

struct stream {
	/* fixed after start */
	const struct workload_batches *batches;
	const char *url;
	int64_t rate;
	int64_t begun_ns;

	/* any thread */
	_Atomic int64_t sent_count; /* the probes' events too */
	atomic_bool is_stopping;

	/* stream thread only */
	struct tl_req_call *calls[OUTSTANDING];
	struct tl_buf reply;
};

static void
sleep_until_ns(int64_t at_ns)
{
	struct timespec at = {.tv_sec = at_ns / SECOND_NS, .tv_nsec = at_ns % SECOND_NS};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
		continue;
}

static int64_t
read_answer(const struct tl_buf *reply)
{
	struct tl_batch_result answer;
	struct tl_why why = {0};

	if (tl_batch_answer_read(tl_buf_slice(reply), &answer, &why))
		measure_die("a batch was refused: %s", why.text);
	if (answer.rejected > 0)
		measure_die("%" PRId64 " events of a batch were refused", answer.rejected);
	return (int64_t)answer.seq;
}

static void
finish_call(struct stream *stream, uint32_t idx)
{
	struct tl_why why;

	if (stream->calls[idx] == NULL)
		return;
	tl_buf_reset(&stream->reply);
	if (tl_req_call_finish(stream->calls[idx], ANSWER_MS, &stream->reply, &why))
		measure_die("no answer to a batch: %s", why.text);
	stream->calls[idx] = NULL;
	read_answer(&stream->reply);
}

static void *
stream_main(void *arg)
{
	struct stream *stream = arg;
	struct tl_req_client *client;
	struct tl_why why;

	if (tl_req_client_open(stream->url, &client, &why))
		measure_die("%s", why.text);
	for (uint32_t i = 0; i < stream->batches->count; i++) {
		const struct workload_batch *batch = &stream->batches->batch[i];
		int64_t sent_count;

		if (atomic_load(&stream->is_stopping))
			break;
		finish_call(stream, i % OUTSTANDING);
		if (tl_req_call_start(client, batch->bytes, &stream->calls[i % OUTSTANDING], &why))
			measure_die("send a batch: %s", why.text);
		sent_count = atomic_fetch_add(&stream->sent_count, batch->event_count);
		sleep_until_ns(stream->begun_ns +
			       (int64_t)((double)sent_count * 1e9 / (double)stream->rate));
	}
	for (uint32_t i = 0; i < OUTSTANDING; i++)
		finish_call(stream, i);
	tl_req_client_close(client);
	return NULL;
}

enum reader_type {
	READ_HEALTH,
	READ_LEADERBOARD,
	READER_COUNT,
};

/* What the slices of one kind of reader gave. */
struct view {
	struct measure p50, p99, anew_p50, anew_p99;
};

struct prober {
	struct stream *stream;
	const struct workload_batches *batches;
	uint32_t next; /* batch */
	struct tl_req_client *ingest;
	struct tl_req_client *readers[READER_COUNT];
	struct tl_buf requests[READER_COUNT];
	struct tl_buf reply;
	struct view views[READER_COUNT];
	struct measure ack_p50, ack_p99, rate, cpu;
};

static int64_t
call_ns(struct prober *prober, struct tl_req_client *client, struct tl_slice request)
{
	int64_t begun_ns = measure_now_ns();
	struct tl_why why = {0};

	tl_buf_reset(&prober->reply);
	if (tl_req_client_call(client, request, ANSWER_MS, &prober->reply, &why))
		measure_die("ask: %s", why.text);
	return measure_now_ns() - begun_ns;
}

/* Pushes a batch; the time until its answer, and its seq. */
static int64_t
push_probe(struct prober *prober, int64_t *seq_out)
{
	const struct workload_batch *batch;
	int64_t ns;

	if (prober->next == prober->batches->count)
		measure_die("out of probes: fewer a second were expected");
	batch = &prober->batches->batch[prober->next++];
	atomic_fetch_add(&prober->stream->sent_count, batch->event_count);
	ns = call_ns(prober, prober->ingest, batch->bytes);
	*seq_out = read_answer(&prober->reply);
	return ns;
}

static int64_t
read_seq(struct prober *prober)
{
	struct tl_why why = {0};
	struct tl_slice reply = tl_buf_slice(&prober->reply);

	if (tl_frame_reply_status(reply, &why))
		measure_die("a query was refused: %s", why.text);
	return tl_reader_find_int(reply, "seq", -1);
}

static void
run_slice(struct prober *prober, enum reader_type type, int64_t slice_ns,
	struct measure_samples *acks)
{
	struct measure_samples visible = {0}, anew = {0};
	struct view *view = &prober->views[type];
	int64_t ends_ns = measure_now_ns() + slice_ns;
	int64_t earliest_ns = measure_now_ns();
	int64_t seq = -1;

	while (measure_now_ns() < ends_ns) {
		int64_t wanted_seq, acked_ns, ns;

		measure_sample(acks, push_probe(prober, &wanted_seq));
		acked_ns = measure_now_ns();
		for (;;) {
			int64_t seen_seq = seq;

			ns = call_ns(prober, prober->readers[type],
				tl_buf_slice(&prober->requests[type]));
			seq = read_seq(prober);
			if (seq != seen_seq)
				measure_sample(&anew, ns);
			if (seq >= wanted_seq)
				break;
			usleep(POLL_US);
		}
		measure_sample(&visible, measure_now_ns() - acked_ns);
		earliest_ns += SECOND_NS / PROBES_A_SECOND_MAX;
		sleep_until_ns(earliest_ns);
	}
	measure_add(&view->p50, (double)measure_quantile_ns(&visible, 500000) / 1e6);
	measure_add(&view->p99, (double)measure_quantile_ns(&visible, 990000) / 1e6);
	measure_add(&view->anew_p50, (double)measure_quantile_ns(&anew, 500000) / 1e6);
	measure_add(&view->anew_p99, (double)measure_quantile_ns(&anew, 990000) / 1e6);
	measure_samples_fini(&visible);
	measure_samples_fini(&anew);
}

static void
run_round(struct prober *prober, const struct settings *s, pid_t server)
{
	struct measure_samples acks = {0};
	int64_t cpu_ns = measure_cpu_ns(server);
	int64_t begun_ns = measure_now_ns();
	int64_t sent_count = atomic_load(&prober->stream->sent_count);
	double events;

	for (int type = 0; type < READER_COUNT; type++)
		run_slice(prober, (enum reader_type)type, s->slice_ms * 1000000, &acks);
	events = (double)(atomic_load(&prober->stream->sent_count) - sent_count);
	measure_add(&prober->rate, events * 1e6 / (double)(measure_now_ns() - begun_ns));
	measure_add(&prober->cpu, (double)(measure_cpu_ns(server) - cpu_ns) / 1e3 / events);
	measure_add(&prober->ack_p50, (double)measure_quantile_ns(&acks, 500000) / 1e6);
	measure_add(&prober->ack_p99, (double)measure_quantile_ns(&acks, 990000) / 1e6);
	measure_samples_fini(&acks);
}

static void
print(const struct prober *prober)
{
	const struct view *health = &prober->views[READ_HEALTH];
	const struct view *board = &prober->views[READ_LEADERBOARD];
	const struct measure_goal none = {0}, soon = {MEASURE_AT_MOST, 50};

	measure_title("ack -> visible, steady usage");
	measure_print("steady_rate", &prober->rate, "k events/s", none);
	measure_print("steady_cpu", &prober->cpu, "CPU-s/M", none);
	measure_print("ack_p50", &prober->ack_p50, "ms", none);
	measure_print("ack_p99", &prober->ack_p99, "ms", none);
	measure_print("visible_in_health_p50", &health->p50, "ms", none);
	measure_print("visible_in_health_p99", &health->p99, "ms", soon);
	measure_print("visible_in_leaderboard_p50", &board->p50, "ms", none);
	measure_print("visible_in_leaderboard_p99", &board->p99, "ms", soon);
	measure_print("leaderboard_after_change_p50", &board->anew_p50, "ms", none);
	measure_print("leaderboard_after_change_p99", &board->anew_p99, "ms", none);
}

static void
make_requests(struct prober *prober, const char *token)
{
	struct tl_buf *board = &prober->requests[READ_LEADERBOARD];
	struct tl_pack_open map;

	tl_buf_init(&prober->requests[READ_HEALTH], 0);
	gateway_put_health(&prober->requests[READ_HEALTH]);
	tl_buf_init(board, 0);
	map = tl_pack_open_map(board);
	tl_pack_key_int(board, &map, "v", 1);
	tl_pack_key_str(board, &map, "token", token);
	tl_pack_key_str(board, &map, "op", "leaderboard");
	tl_pack_key_str(board, &map, "range", "24h");
	tl_pack_close(board, &map);
}

/* Usage of the last hours, cut for the stream and for the probes; nothing of it was sent yet. */
static void
make_batches(const struct settings *s, const struct workload_keys *keys,
	struct workload_batches *stream, struct workload_batches *probes)
{
	int64_t now_ms = tl_clock_wall_ms(tl_clock_system());
	int64_t ms = s->rounds * s->slice_ms * READER_COUNT + 2000;
	uint32_t probe_count = (uint32_t)(ms * PROBES_A_SECOND_MAX / 1000 * PROBE_EVENTS);
	uint32_t stream_count = (uint32_t)(ms * s->rate / 1000);
	struct workload_shape shape = {.seed = (uint64_t)now_ms,
		.event_count = probe_count + stream_count,
		.org_count = WORKLOAD_ORGS,
		.first_ms = now_ms - s->hours * HOUR_MS,
		.end_ms = now_ms};
	struct workload *workload = workload_new(&shape);

	workload_encode(workload, keys->token, keys,
		&(struct workload_cut){.form = WORKLOAD_ROWS,
			.events_min = STREAM_EVENTS,
			.events_max = STREAM_EVENTS,
			.count = stream_count},
		stream);
	workload_encode(workload, keys->token, keys,
		&(struct workload_cut){.form = WORKLOAD_ROWS,
			.events_min = PROBE_EVENTS,
			.events_max = PROBE_EVENTS,
			.first = stream_count,
			.count = probe_count},
		probes);
	workload_free(workload);
}

static void
run(const struct settings *s, const struct scratch *scratch, const struct workload_keys *keys,
	const char *query_token)
{
	static struct prober prober;
	static struct stream stream;
	struct workload_batches stream_batches, probe_batches;
	char ingest_url[SCRATCH_URL_BYTES], query_url[SCRATCH_URL_BYTES];
	char health_url[SCRATCH_URL_BYTES]; /* only the operator is told a seq by health */
	struct tl_why why;
	pthread_t thread;

	scratch_url(scratch, SCRATCH_INGEST, ingest_url);
	scratch_url(scratch, SCRATCH_QUERY, query_url);
	scratch_url(scratch, SCRATCH_QUERY_CONTROL, health_url);
	make_batches(s, keys, &stream_batches, &probe_batches);
	make_requests(&prober, query_token);
	stream.batches = &stream_batches;
	stream.url = ingest_url;
	stream.rate = s->rate;
	prober.stream = &stream;
	prober.batches = &probe_batches;
	if (tl_req_client_open(ingest_url, &prober.ingest, &why) ||
		tl_req_client_open(health_url, &prober.readers[READ_HEALTH], &why) ||
		tl_req_client_open(query_url, &prober.readers[READ_LEADERBOARD], &why))
		measure_die("%s", why.text);

	stream.begun_ns = measure_now_ns();
	if (pthread_create(&thread, NULL, stream_main, &stream) != 0)
		measure_die("no thread for the stream");
	sleep_until_ns(stream.begun_ns + SECOND_NS);
	for (int64_t i = 0; i < s->rounds; i++)
		run_round(&prober, s, scratch->pid);
	atomic_store(&stream.is_stopping, true);
	pthread_join(thread, NULL);
	print(&prober);
	workload_batches_fini(&stream_batches);
	workload_batches_fini(&probe_batches);
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "visible_bench",
		.summary = "Measures how soon acknowledged events show in queries.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	char query_token[SCRATCH_TOKEN_BYTES];
	struct workload_keys keys;
	char dir[TL_CONF_STRING_BYTES + 8];
	struct scratch scratch;
	struct settings s;

	options_read(&conf, argc, argv, &s);
	measure_open(s.json);
	snprintf(dir, sizeof(dir), "%s/data", s.scratch);
	scratch_start(&scratch, s.tallyd, dir);
	people_load(dir, &keys);
	scratch_create_token(&scratch, "service", query_token);
	run(&s, &scratch, &keys, query_token);
	people_fini(&keys);
	scratch_stop(&scratch);
	return 0;
}
