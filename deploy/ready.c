#include "deploy/ready.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/log.h"

#define LAG_MS_MAX 60000
#define QUEUE_PPM_MAX 900000u

struct ready {
	struct ready_options options; /* fixed after new */
	struct tl_clock_watch *watch;
	/* main thread only */
	enum tl_clock_doubt doubt_told;
	uint64_t turns_seen;
	/* guarded by mtx, so that nobody asks a role that has been freed */
	pthread_mutex_t mtx;
	const struct ingest *ingest; /* NULL: it does not run */
	const struct rollup *rollup;
	const struct auditor *auditor;
	struct tl_highwater *highwater;
	const char *absence;	   /* why no role runs */
	uint64_t awaited_group_no; /* what the rollup has not shown since awaited_ms */
	int64_t awaited_ms;
};

static void
tell_clock(struct ready *ready)
{
	char text[240];
	enum tl_clock_doubt doubt = tl_clock_watch_explain(ready->watch, text, sizeof(text));

	if (doubt == ready->doubt_told)
		return;
	ready->doubt_told = doubt;
	if (doubt == TL_CLOCK_TRUSTED)
		tl_log(TL_LOG_INFO, "clock trusted again");
	else
		tl_log(TL_LOG_ERROR, "clock not trusted, no usage is taken data=%s why=\"%s\"",
			ready->options.data, text);
}

enum tl_err
ready_new(const struct ready_options *options, struct ready **ready_out)
{
	struct ready *ready = calloc(1, sizeof(*ready));
	enum tl_err err;

	if (ready == NULL)
		return TL_ENOMEM;
	ready->options = *options;
	ready->absence = "starting";
	pthread_mutex_init(&ready->mtx, NULL);
	err = tl_clock_watch_new(
		options->clock, options->gate, options->received_ms, &ready->watch);
	if (err) {
		ready_free(ready);
		return err;
	}
	tell_clock(ready);
	*ready_out = ready;
	return TL_OK;
}

void
ready_free(struct ready *ready)
{
	if (ready == NULL)
		return;
	tl_clock_watch_free(ready->watch);
	pthread_mutex_destroy(&ready->mtx);
	free(ready);
}

struct tl_clock_watch *
ready_watch(struct ready *ready)
{
	return ready->watch;
}

/*
 * The rollup is behind by as long as it takes to show what was committed when we looked: a group is
 * awaited from then on, and once it is shown, the newest of that moment. Under mtx.
 */
static void
await_rollup(struct ready *ready)
{
	if (ready->rollup == NULL ||
		rollup_stats_of(ready->rollup)->group_no < ready->awaited_group_no)
		return;
	ready->awaited_group_no = ingest_stats_of(ready->ingest)->committed_group_no;
	ready->awaited_ms = tl_clock_mono_ms(ready->options.clock);
}

void
ready_attach(struct ready *ready, const struct ingest *ingest, const struct rollup *rollup,
	const struct auditor *auditor, struct tl_highwater *highwater)
{
	pthread_mutex_lock(&ready->mtx);
	ready->ingest = ingest;
	ready->rollup = rollup;
	ready->auditor = auditor;
	ready->highwater = highwater;
	await_rollup(ready);
	pthread_mutex_unlock(&ready->mtx);
}

void
ready_tick(struct ready *ready)
{
	tell_clock(ready);
	pthread_mutex_lock(&ready->mtx);
	await_rollup(ready);
	pthread_mutex_unlock(&ready->mtx);
}

void
ready_detach(struct ready *ready, const char *reason)
{
	if (ready == NULL)
		return;
	pthread_mutex_lock(&ready->mtx);
	ready->absence = reason;
	ready->ingest = NULL;
	ready->rollup = NULL;
	ready->auditor = NULL;
	ready->highwater = NULL;
	pthread_mutex_unlock(&ready->mtx);
}

bool
ready_is_writing(struct ready *ready)
{
	uint64_t turns = ingest_stats_of(ready->ingest)->writer_turns;
	bool has_turned = turns != ready->turns_seen;

	ready->turns_seen = turns;
	return has_turned;
}

static void TL_PRINTF(4, 5)
	add(struct query_health *health, const char *name, bool is_met, const char *fmt, ...)
{
	struct query_condition *condition = &health->conditions[health->count++];
	va_list args;

	assert(health->count <= QUERY_CONDITIONS_MAX);
	condition->name = name;
	condition->is_met = is_met;
	va_start(args, fmt);
	vsnprintf(condition->why, sizeof(condition->why), fmt, args);
	va_end(args);
}

static void
tell_store(const struct ready *ready, struct query_health *health)
{
	const struct tl_gate *gate = ready->options.gate;

	add(health, "storage", !tl_gate_is_closed_for(gate, TL_GATE_STORAGE),
		"a write failed: nothing is acknowledged any more and the daemon ends");
	add(health, "writable", !tl_gate_is_closed_for(gate, TL_GATE_READ_ONLY),
		"opened for reading only: the disk had no room for a start");
	add(health, "disk", !tl_gate_is_closed_for(gate, TL_GATE_DISK),
		"free space is below the floor: make room in %s", ready->options.data);
}

/* Under mtx. */
static void
tell_writing(const struct ready *ready, struct query_health *health)
{
	uint64_t marked_seq = tl_highwater_seq(ready->highwater);
	uint64_t seq = ingest_stats_of(ready->ingest)->committed_seq;
	int64_t lag_ms = 0;

	if (rollup_stats_of(ready->rollup)->group_no < ready->awaited_group_no)
		lag_ms = tl_clock_mono_ms(ready->options.clock) - ready->awaited_ms;
	add(health, "mark", seq >= marked_seq, "have %" PRIu64 ", acked %" PRIu64, seq, marked_seq);
	add(health, "rollup", lag_ms < LAG_MS_MAX,
		"figures are %" PRId64 " s behind what was acknowledged", lag_ms / 1000);
	add(health, "audit", auditor_stats_of(ready->auditor)->mismatches == 0,
		"a recount from raw differs from the figures: run tally verify, then tally "
		"rebuild");
}

/* Under mtx. */
static void
tell_intake(const struct ready *ready, struct query_health *health)
{
	uint32_t queue_ppm = ingest_queue_ppm(ready->ingest);

	add(health, "queue", queue_ppm < QUEUE_PPM_MAX,
		"%u %% of the room for batches that wait is taken", queue_ppm / 10000);
}

void
ready_tell(void *arg, struct query_health *health_out)
{
	struct ready *ready = arg;
	char text[240];
	enum tl_clock_doubt doubt = tl_clock_watch_explain(ready->watch, text, sizeof(text));

	add(health_out, "clock", doubt == TL_CLOCK_TRUSTED, "%s", text);
	tell_store(ready, health_out);
	pthread_mutex_lock(&ready->mtx);
	add(health_out, "listening", ready->ingest != NULL, "%s", ready->absence);
	if (ready->ingest != NULL)
		tell_intake(ready, health_out);
	if (ready->rollup != NULL)
		tell_writing(ready, health_out);
	pthread_mutex_unlock(&ready->mtx);
}
