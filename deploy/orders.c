#include "deploy/orders.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "deploy/dump.h"
#include "rollup/audit.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/net/peers.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

enum job_state {
	JOB_IDLE,
	JOB_RUNNING,
	JOB_DONE,
	JOB_FAILED,
};

/* One long order. Started on the order thread, run on its own, polled by the command line. */
struct job {
	enum job_state state; /* guarded by mtx */
	enum tl_err err;
	struct tl_why why;
	pthread_t thread;
	bool was_started; /* order thread only: joined before the next start */
};

struct orders {
	struct orders_options options; /* fixed after new */
	int64_t started_ms;
	/* set once, perhaps beside the first orders, and then fixed */
	const struct ingest *_Atomic ingest;
	const struct query *_Atomic query;
	const struct auditor *_Atomic auditor;
	struct sealer *_Atomic sealer; /* NULL also while the store is open for reading only */
	pthread_mutex_t mtx;
	struct job verify, rebuild, seal;
	struct audit_progress progress;
	struct sealer_progress seal_progress;
	/* of the last of each; guarded by mtx */
	struct audit_report report;
	struct seal_counts sealed;
};

enum tl_err
orders_new(const struct orders_options *options, struct orders **orders_out)
{
	struct orders *orders = calloc(1, sizeof(*orders));

	if (orders == NULL)
		return TL_ENOMEM;
	orders->options = *options;
	orders->started_ms = tl_clock_mono_ms(options->clock);
	pthread_mutex_init(&orders->mtx, NULL);
	*orders_out = orders;
	return TL_OK;
}

void
orders_attach(struct orders *orders, const struct ingest *ingest, const struct query *query,
	const struct auditor *auditor, struct sealer *sealer)
{
	orders->auditor = auditor;
	orders->sealer = sealer;
	orders->ingest = ingest;
	orders->query = query;
}

static void
job_join(struct job *job)
{
	if (job->was_started)
		pthread_join(job->thread, NULL);
	job->was_started = false;
}

void
orders_free(struct orders *orders)
{
	if (orders == NULL)
		return;
	atomic_store(&orders->progress.is_cancelled, true);
	job_join(&orders->verify);
	job_join(&orders->rebuild);
	job_join(&orders->seal);
	pthread_mutex_destroy(&orders->mtx);
	free(orders);
}

static void
job_finish(struct orders *orders, struct job *job, enum tl_err err, const struct tl_why *why)
{
	pthread_mutex_lock(&orders->mtx);
	job->err = err;
	job->why = *why;
	job->state = err ? JOB_FAILED : JOB_DONE;
	pthread_mutex_unlock(&orders->mtx);
}

static void *
verify_main(void *arg)
{
	struct orders *orders = arg;
	struct tl_view *view = tl_view_pin(orders->options.store);
	struct audit_report report;
	struct tl_why why = {0};
	enum tl_err err;

	tl_thread_name("verify");
	err = audit_run(orders->options.store, view, &orders->progress, &report, &why);
	tl_view_unpin(view);
	pthread_mutex_lock(&orders->mtx);
	if (!err)
		orders->report = report;
	pthread_mutex_unlock(&orders->mtx);
	job_finish(orders, &orders->verify, err, &why);
	return NULL;
}

static void *
rebuild_main(void *arg)
{
	struct orders *orders = arg;
	struct tl_why why = {0};
	enum tl_err err;

	tl_thread_name("rebuild");
	err = rollup_rebuild(orders->options.rollup, &why);
	job_finish(orders, &orders->rebuild, err, &why);
	return NULL;
}

static void *
seal_main(void *arg)
{
	struct orders *orders = arg;
	struct seal_counts counts;
	struct tl_why why = {0};
	enum tl_err err;

	tl_thread_name("seal");
	err = sealer_order(orders->sealer, &orders->seal_progress, &counts, &why);
	pthread_mutex_lock(&orders->mtx);
	orders->sealed = counts;
	pthread_mutex_unlock(&orders->mtx);
	job_finish(orders, &orders->seal, err, &why);
	return NULL;
}

/* Start the job unless it runs already, which is not an error: the caller polls it. */
static enum tl_err
job_start(struct orders *orders, struct job *job, void *(*body)(void *), struct tl_why *why)
{
	bool is_running;

	pthread_mutex_lock(&orders->mtx);
	is_running = job->state == JOB_RUNNING;
	pthread_mutex_unlock(&orders->mtx);
	if (is_running)
		return TL_OK;
	job_join(job);
	job->state = JOB_RUNNING;
	if (pthread_create(&job->thread, NULL, body, orders) != 0) {
		job->state = JOB_IDLE;
		return tl_fail(why, TL_EOVERLOADED, "no thread for the job");
	}
	job->was_started = true;
	return TL_OK;
}

static const char *
job_state_name(enum job_state state)
{
	switch (state) {
	case JOB_IDLE:
		return "idle";
	case JOB_RUNNING:
		return "running";
	case JOB_DONE:
		return "done";
	case JOB_FAILED:
		return "failed";
	}
	return "idle";
}

static void
pack_job(struct tl_buf *reply, struct tl_pack_open *map, const struct job *job)
{
	tl_pack_key_str(reply, map, "state", job_state_name(job->state));
	if (job->state == JOB_FAILED) {
		tl_pack_key_str(reply, map, "code", tl_err_name(job->err));
		tl_pack_key_str(reply, map, "message",
			job->why.text[0] != '\0' ? job->why.text : tl_err_text(job->err));
	}
}

static struct tl_pack_open
reply_open(struct tl_buf *reply)
{
	struct tl_pack_open map = tl_pack_open_map(reply);

	tl_pack_key_int(reply, &map, "v", 1);
	tl_pack_key_bool(reply, &map, "ok", true);
	return map;
}

static void
pack_report(struct tl_buf *reply, struct tl_pack_open *map, const struct audit_report *report)
{
	tl_pack_key_int(reply, map, "groups", (int64_t)report->groups);
	tl_pack_key_int(reply, map, "blocks", (int64_t)report->blocks);
	tl_pack_key_int(reply, map, "events", (int64_t)report->events);
	tl_pack_key_int(reply, map, "ids", (int64_t)report->ids);
	tl_pack_key_int(reply, map, "pages", (int64_t)report->pages);
	tl_pack_key_int(reply, map, "sessions", (int64_t)report->sessions);
	tl_pack_key_int(reply, map, "lives", (int64_t)report->lives);
	tl_pack_key_int(reply, map, "differences", (int64_t)report->differences);
	tl_pack_key_str(reply, map, "first_difference", report->first_difference);
}

static enum tl_err
order_verify(struct orders *orders, bool start, struct tl_buf *reply, struct tl_why *why)
{
	struct tl_pack_open map;
	enum tl_err err = TL_OK;

	if (start) {
		orders->progress.blocks_done = 0;
		orders->progress.blocks_total = 0;
		err = job_start(orders, &orders->verify, verify_main, why);
	}
	if (err)
		return err;
	map = reply_open(reply);
	pthread_mutex_lock(&orders->mtx);
	pack_job(reply, &map, &orders->verify);
	tl_pack_key_int(reply, &map, "done", (int64_t)orders->progress.blocks_done);
	tl_pack_key_int(reply, &map, "total", (int64_t)orders->progress.blocks_total);
	if (orders->verify.state == JOB_DONE)
		pack_report(reply, &map, &orders->report);
	pthread_mutex_unlock(&orders->mtx);
	tl_pack_close(reply, &map);
	return TL_OK;
}

static enum tl_err
order_rebuild(struct orders *orders, bool start, struct tl_buf *reply, struct tl_why *why)
{
	const struct rollup_stats *stats;
	struct tl_pack_open map;
	enum tl_err err = TL_OK;

	if (orders->options.rollup == NULL)
		return tl_fail(why, TL_EDISK_FULL, "the store is open for reading only");
	stats = rollup_stats_of(orders->options.rollup);
	if (start)
		err = job_start(orders, &orders->rebuild, rebuild_main, why);
	if (err)
		return err;
	map = reply_open(reply);
	pthread_mutex_lock(&orders->mtx);
	pack_job(reply, &map, &orders->rebuild);
	pthread_mutex_unlock(&orders->mtx);
	tl_pack_key_int(reply, &map, "done", (int64_t)stats->group_no);
	tl_pack_key_int(reply, &map, "total",
		orders->ingest != NULL
			? (int64_t)ingest_stats_of(orders->ingest)->committed_group_no
			: 0);
	tl_pack_close(reply, &map);
	return TL_OK;
}

static enum tl_err
order_seal(struct orders *orders, bool start, struct tl_buf *reply, struct tl_why *why)
{
	struct tl_pack_open map;
	enum tl_err err = TL_OK;

	if (orders->sealer == NULL)
		return orders->options.rollup == NULL
			       ? tl_fail(why, TL_EDISK_FULL, "the store is open for reading only")
			       : tl_fail(why, TL_ESTARTING, "the sealer is not there yet");
	if (start) {
		orders->seal_progress.days_done = 0;
		orders->seal_progress.days_total = 0;
		err = job_start(orders, &orders->seal, seal_main, why);
	}
	if (err)
		return err;
	map = reply_open(reply);
	pthread_mutex_lock(&orders->mtx);
	pack_job(reply, &map, &orders->seal);
	tl_pack_key_int(reply, &map, "done", (int64_t)orders->seal_progress.days_done);
	tl_pack_key_int(reply, &map, "total", (int64_t)orders->seal_progress.days_total);
	if (orders->seal.state == JOB_DONE) {
		tl_pack_key_int(reply, &map, "days", (int64_t)orders->sealed.days);
		tl_pack_key_int(reply, &map, "runs", (int64_t)orders->sealed.runs);
		tl_pack_key_int(reply, &map, "blocks", (int64_t)orders->sealed.blocks);
		tl_pack_key_int(reply, &map, "events", (int64_t)orders->sealed.events);
	}
	pthread_mutex_unlock(&orders->mtx);
	tl_pack_close(reply, &map);
	return TL_OK;
}

static void
pack_counter(struct tl_buf *reply, struct tl_pack_open *map, const char *key,
	const struct tl_counter *counter)
{
	tl_pack_key_int(reply, map, key, (int64_t)tl_counter_get(counter));
}

static void
pack_latency(struct tl_buf *reply, struct tl_pack_open *map, const char *key,
	const struct tl_histogram *histogram)
{
	struct tl_pack_open inner;

	if (tl_histogram_count(histogram) == 0)
		return;
	tl_pack_key(reply, map, key);
	inner = tl_pack_open_map(reply);
	tl_pack_key_int(reply, &inner, "count", (int64_t)tl_histogram_count(histogram));
	tl_pack_key_int(reply, &inner, "sum_us", (int64_t)histogram->sum_us);
	tl_pack_key_int(reply, &inner, "p50_us", tl_histogram_quantile_us(histogram, 500000));
	tl_pack_key_int(reply, &inner, "p99_us", tl_histogram_quantile_us(histogram, 990000));
	tl_pack_close(reply, &inner);
}

static void
pack_ingest(struct tl_buf *reply, struct tl_pack_open *map, const struct ingest_stats *stats)
{
	pack_counter(reply, map, "batches", &stats->batches);
	pack_counter(reply, map, "refused_batches", &stats->refused_batches);
	pack_counter(reply, map, "events", &stats->events);
	pack_counter(reply, map, "accepted", &stats->accepted);
	pack_counter(reply, map, "duplicate", &stats->duplicate);
	pack_counter(reply, map, "replaced", &stats->replaced);
	pack_counter(reply, map, "rejected", &stats->rejected);
	pack_counter(reply, map, "groups", &stats->groups);
	pack_counter(reply, map, "commands", &stats->commands);
	pack_counter(reply, map, "signins_stored", &stats->signins_stored);
	pack_latency(reply, map, "ack", &stats->ack_us);
	pack_latency(reply, map, "commit", &stats->commit_us);
	pack_latency(reply, map, "fsync", &stats->fsync_us);
	tl_pack_key_int(reply, map, "committed_seq", (int64_t)stats->committed_seq);
	tl_pack_key_int(reply, map, "ids", (int64_t)stats->id_count);
	tl_pack_key_int(reply, map, "id_bytes", (int64_t)stats->id_bytes);
}

/* Who was turned away: wrong credentials in all, and by operation who may not do it. */
static void
pack_denied(struct tl_buf *reply, struct tl_pack_open *map, const struct ingest_stats *ingest,
	const struct query_stats *query)
{
	uint64_t unauthenticated = 0;
	struct tl_pack_open inner;

	if (ingest != NULL)
		unauthenticated += tl_counter_get(&ingest->unauthenticated);
	if (query != NULL)
		unauthenticated += tl_counter_get(&query->unauthenticated);
	tl_pack_key_int(reply, map, "unauthenticated", (int64_t)unauthenticated);
	tl_pack_key(reply, map, "denied");
	inner = tl_pack_open_map(reply);
	for (int op = 0; query != NULL && op < TL_QUERY_COUNT; op++)
		pack_counter(
			reply, &inner, tl_query_name((enum tl_query_op)op), &query->denied[op]);
	for (int op = 0; ingest != NULL && op < TL_COMMAND_COUNT; op++)
		pack_counter(reply, &inner, tl_command_name((enum tl_command_op)op),
			&ingest->denied[op]);
	if (ingest != NULL)
		pack_counter(reply, &inner, "events", &ingest->denied_batches);
	tl_pack_close(reply, &inner);
}

static void
pack_peers(struct tl_buf *reply, struct tl_pack_open *map)
{
	struct tl_pack_open inner;
	struct tl_peers_stats stats;

	tl_peers_stats(&stats);
	tl_pack_key_int(reply, map, "connections", (int64_t)stats.open);
	tl_pack_key_int(reply, map, "partial_bytes", (int64_t)stats.partial_bytes);
	tl_pack_key_int(reply, map, "unread_bytes", (int64_t)stats.unread_bytes);
	tl_pack_key(reply, map, "connections_ended");
	inner = tl_pack_open_map(reply);
	for (int end = 0; end < TL_PEER_END_COUNT; end++)
		tl_pack_key_int(reply, &inner, tl_peer_end_name((enum tl_peer_end)end),
			(int64_t)stats.ended[end]);
	tl_pack_close(reply, &inner);
}

static void
pack_query(struct tl_buf *reply, struct tl_pack_open *map, const struct query_stats *stats)
{
	pack_counter(reply, map, "queries", &stats->requests);
	pack_counter(reply, map, "query_errors", &stats->errors);
	pack_counter(reply, map, "query_cached", &stats->cached);
	pack_counter(reply, map, "query_same", &stats->same);
	for (int op = 0; op < TL_QUERY_COUNT; op++)
		pack_latency(reply, map, tl_query_name((enum tl_query_op)op), &stats->run_us[op]);
}

static void
pack_rollup(struct tl_buf *reply, struct tl_pack_open *map, const struct rollup_stats *stats)
{
	tl_pack_key_int(reply, map, "rollup_seq", (int64_t)stats->seq);
	tl_pack_key_int(reply, map, "rollup_group_no", (int64_t)stats->group_no);
	pack_counter(reply, map, "rollup_writes", &stats->writes);
	pack_counter(reply, map, "rollup_bytes", &stats->written_bytes);
	pack_latency(reply, map, "fold", &stats->fold_us);
}

static void
pack_audit(struct tl_buf *reply, struct tl_pack_open *map, const struct auditor_stats *stats)
{
	tl_pack_key_int(reply, map, "audit_hours", (int64_t)stats->checks);
	tl_pack_key_int(reply, map, "audit_rows", (int64_t)stats->rows);
	tl_pack_key_int(reply, map, "audit_mismatches", (int64_t)stats->mismatches);
}

static void
pack_sealed(struct tl_buf *reply, struct tl_pack_open *map, const struct sealer_stats *stats)
{
	tl_pack_key_int(reply, map, "sealed_runs", (int64_t)stats->runs);
	tl_pack_key_int(reply, map, "sealed_events", (int64_t)stats->events);
	tl_pack_key_int(reply, map, "seal_failures", (int64_t)stats->failures);
}

static void
pack_disk(struct tl_buf *reply, struct tl_pack_open *map, struct tl_disk_guard *disk)
{
	struct tl_disk_figures figures;

	tl_disk_guard_figures(disk, &figures);
	tl_pack_key_int(reply, map, "disk_free_bytes", (int64_t)figures.free_bytes);
	tl_pack_key_int(reply, map, "disk_floor_bytes", (int64_t)figures.floor_bytes);
	tl_pack_key_int(reply, map, "disk_ballast_bytes", (int64_t)figures.ballast_bytes);
}

static enum tl_err
order_stats(struct orders *orders, struct tl_buf *reply)
{
	const struct orders_options *options = &orders->options;
	struct tl_pack_open map = reply_open(reply);
	uint64_t sst_bytes, memtable_bytes;

	pack_counter(reply, &map, "reloads", orders->options.reloads);
	pack_counter(reply, &map, "failed_reloads", orders->options.failed_reloads);
	tl_pack_key_int(reply, &map, "uptime_ms",
		tl_clock_mono_ms(orders->options.clock) - orders->started_ms);
	tl_pack_key_str(reply, &map, "intake", tl_gate_state(orders->options.gate));
	if (orders->ingest != NULL)
		pack_ingest(reply, &map, ingest_stats_of(orders->ingest));
	if (orders->query != NULL)
		pack_query(reply, &map, query_stats_of(orders->query));
	pack_denied(reply, &map, orders->ingest != NULL ? ingest_stats_of(orders->ingest) : NULL,
		orders->query != NULL ? query_stats_of(orders->query) : NULL);
	pack_peers(reply, &map);
	if (options->rollup != NULL)
		pack_rollup(reply, &map, rollup_stats_of(options->rollup));
	if (orders->auditor != NULL)
		pack_audit(reply, &map, auditor_stats_of(orders->auditor));
	if (orders->sealer != NULL)
		pack_sealed(reply, &map, sealer_stats_of(orders->sealer));
	if (options->highwater != NULL)
		tl_pack_key_int(
			reply, &map, "marked_seq", (int64_t)tl_highwater_seq(options->highwater));
	if (options->disk != NULL)
		pack_disk(reply, &map, options->disk);
	tl_store_sizes(orders->options.store, &sst_bytes, &memtable_bytes);
	tl_pack_key_int(reply, &map, "sst_bytes", (int64_t)sst_bytes);
	tl_pack_key_int(reply, &map, "memtable_bytes", (int64_t)memtable_bytes);
	tl_pack_close(reply, &map);
	return TL_OK;
}

static enum tl_err
order_dump(struct orders *orders, const struct tl_command *command, struct tl_buf *reply,
	struct tl_why *why)
{
	struct tl_view *view = tl_view_pin(orders->options.store);
	const struct tl_registry *registry = tl_registry_pin(orders->options.roster);
	struct dump_request request = {
		.registry = registry,
		.family = tl_reader_find_str(command->map, "family"),
		.after = tl_reader_find_str(command->map, "after"),
		.mark_path = orders->options.mark_path,
		.row_count_max = (uint32_t)tl_reader_find_int(command->map, "limit", 100),
	};
	enum tl_err err = dump_rows(orders->options.store, view, &request, reply, why);

	tl_registry_unpin(registry);
	tl_view_unpin(view);
	return err;
}

static enum tl_err
order_accept_clock(struct orders *orders, struct tl_buf *reply)
{
	char why[240];
	struct tl_pack_open map = reply_open(reply);
	int64_t wall_ms = tl_clock_wall_ms(orders->options.clock);

	tl_clock_watch_explain(orders->options.watch, why, sizeof(why));
	tl_clock_watch_accept(orders->options.watch);
	tl_log(TL_LOG_WARN, "the operator accepted the clock doubt=\"%s\"", why);
	tl_pack_key_int(reply, &map, "wall_ms", wall_ms);
	tl_pack_key_str(reply, &map, "doubt", why);
	tl_pack_close(reply, &map);
	return TL_OK;
}

enum tl_err
orders_run(void *arg, const struct tl_command *command, struct tl_buf *reply, struct tl_why *why)
{
	struct orders *orders = arg;
	bool start = tl_reader_find_bool(command->map, "start", false);

	if (command->op == TL_COMMAND_STATS)
		return order_stats(orders, reply);
	if (command->op == TL_COMMAND_VERIFY)
		return order_verify(orders, start, reply, why);
	if (command->op == TL_COMMAND_REBUILD)
		return order_rebuild(orders, start, reply, why);
	if (command->op == TL_COMMAND_SEAL)
		return order_seal(orders, start, reply, why);
	if (command->op == TL_COMMAND_DUMP)
		return order_dump(orders, command, reply, why);
	if (command->op == TL_COMMAND_ACCEPT_CLOCK)
		return order_accept_clock(orders, reply);
	return tl_fail(why, TL_ENOT_FOUND, "op '%s' is not an order to the daemon",
		tl_command_name(command->op));
}
