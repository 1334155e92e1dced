#include "deploy/roles.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "deploy/exit_code.h"
#include "deploy/opening.h"
#include "deploy/orders.h"
#include "deploy/ready.h"
#include "deploy/stats_door.h"
#include "rollup/auditor.h"
#include "rollup/expire.h"
#include "rollup/repair.h"
#include "rollup/sealer.h"
#include "schema/base/daemon.h"
#include "schema/model/bucket.h"
#include "schema/net/peers.h"
#include "schema/store/flush.h"

#define URL_BYTES (TL_CONF_STRING_BYTES + 32)

/* What ends with a stop. */
struct running {
	bool is_read_only;
	struct tl_store *store;
	struct tl_highwater *highwater;
	struct tl_disk_guard *disk;
	struct tl_flusher *flusher;
	struct tl_roster *roster;
	struct rollup *rollup;
	struct ingest *ingest;
	struct query *query;
	struct orders *orders;
	struct stats_door *stats_door;
	struct expire *expire;
	struct auditor *auditor;
	struct sealer *sealer;
};

struct roles {
	struct roles_options options;
	const struct tallyd_settings *settings; /* of the options */
	struct tl_gate gate;
	_Atomic int exit_code; /* storage failed: the process ends with it */
	struct ready *ready;   /* NULL before the first start */
	struct running now;
};

enum tl_err
roles_new(const struct roles_options *options, struct roles **roles_out)
{
	struct roles *roles = calloc(1, sizeof(*roles));

	if (roles == NULL)
		return TL_ENOMEM;
	roles->options = *options;
	roles->settings = options->settings;
	*roles_out = roles;
	return TL_OK;
}

void
roles_free(struct roles *roles)
{
	if (roles == NULL)
		return;
	ready_free(roles->ready);
	free(roles);
}

/*
 * Nothing may be acknowledged any more, and RocksDB must not get to close itself. What waits is
 * refused meanwhile: the process ends with the next tick, at most a second later.
 */
static void
storage_failed(void *arg, enum tl_err err, const char *text)
{
	struct roles *roles = arg;

	tl_gate_close(&roles->gate, TL_GATE_STORAGE);
	tl_log(TL_LOG_ERROR, "storage failed code=%s why=\"%s\"", tl_err_name(err), text);
	atomic_store(&roles->exit_code, exit_code_of(err));
}

static void
end_if_failed(const struct roles *r)
{
	int exit_code = atomic_load(&r->exit_code);

	if (exit_code != 0)
		_exit(exit_code);
}

static void
disk_changed(void *arg, bool is_low, const struct tl_disk_figures *figures)
{
	struct roles *roles = arg;

	rollup_pause(roles->now.rollup, is_low);
	tl_log(is_low ? TL_LOG_WARN : TL_LOG_INFO,
		"disk %s free_bytes=%" PRIu64 " floor_bytes=%" PRIu64 " ballast_bytes=%" PRIu64,
		is_low ? "low, intake refuses with disk_full" : "has room, intake is open",
		figures->free_bytes, figures->floor_bytes, figures->ballast_bytes);
}

static enum tl_err
order_of(void *arg, const struct tl_command *command, struct tl_buf *reply, struct tl_why *why)
{
	struct roles *roles = arg;

	return orders_run(roles->now.orders, command, reply, why);
}

static void
commit_of(void *arg, uint64_t group_no)
{
	struct roles *roles = arg;

	rollup_wake(roles->now.rollup, group_no);
}

/* The sockets of one side: the ipc socket in the data directory and, unless 'none', tcp. */
struct urls {
	char ipc[URL_BYTES];
	char control[URL_BYTES];
	const char *list[2];
	size_t count;
};

static void
urls_init(struct urls *urls, const struct tallyd_settings *settings, const char *name,
	const char *tcp)
{
	snprintf(urls->ipc, sizeof(urls->ipc), "ipc://%s/%s.sock", settings->data, name);
	snprintf(urls->control, sizeof(urls->control), "ipc://%s/%s-control.sock", settings->data,
		name);
	urls->list[0] = urls->ipc;
	urls->list[1] = tcp;
	urls->count = strcmp(tcp, "none") == 0 ? 1 : 2;
}

static struct opening_options
opening_options_of(const struct roles *r)
{
	return (struct opening_options){.data_dir = r->settings->data,
		.mark_path = r->options.mark_path,
		.intake = &r->settings->intake,
		.clock = tl_clock_system(),
		.disk = r->settings->disk,
		.cache_bytes = r->settings->cache_bytes};
}

static uint64_t
flush_begins(void *arg)
{
	struct roles *roles = arg;

	return rollup_flush_begins(roles->now.rollup);
}

static void
flush_ended(void *arg)
{
	struct roles *roles = arg;

	rollup_flush_ended(roles->now.rollup);
}

/* Derived rows of lost steps are made again before anybody can ask for them. */
static enum tl_err
open_rollup(struct roles *r, struct tl_why *why)
{
	enum repair repair;
	enum tl_err err = repair_derived(r->now.store, r->settings->data, &repair, why);

	if (!err && repair != REPAIR_NONE)
		tl_log(TL_LOG_WARN, "derived rows were missing, folding again from=\"%s\"",
			repair == REPAIR_REBUILD ? "the first group" : "the last flush point");
	if (!err)
		err = rollup_new(r->now.store, &r->now.rollup, why);
	if (!err)
		rollup_bound(r->now.rollup, (size_t)r->settings->rollup_bytes_max);
	if (!err && repair == REPAIR_REBUILD)
		err = rollup_rebuild(r->now.rollup, why);
	/* Days whose raw events have expired are only in the rows that were lost. */
	return err == TL_ECONFLICT ? TL_ESTORAGE_CORRUPT : err;
}

/* What writes: the mark, the guard of the disk, the rollup, flush points. */
static enum tl_err
start_writing(struct roles *r, const struct opening *opening, struct tl_why *why)
{
	struct opening_options options = opening_options_of(r);
	enum tl_err err;

	err = opening_start_mark(&options, opening, storage_failed, r, &r->now.highwater, why);
	if (!err)
		err = open_rollup(r, why);
	if (!err)
		err = tl_disk_guard_start(
			&(struct tl_disk_guard_options){.data_dir = r->settings->data,
				.settings = r->settings->disk,
				.gate = &r->gate,
				.on_change = disk_changed,
				.arg = r},
			&r->now.disk, why);
	if (!err)
		err = rollup_start(r->now.rollup, storage_failed, r, why);
	if (!err)
		err = tl_flusher_start(&(struct tl_flusher_options){.store = r->now.store,
					       .data_dir = r->settings->data,
					       .highwater = r->now.highwater,
					       .gate = &r->gate,
					       .on_begin = flush_begins,
					       .on_end = flush_ended,
					       .on_failure = storage_failed,
					       .arg = r},
			&r->now.flusher, why);
	return err;
}

/* Queries answer, intake says disk_full. */
static enum tl_err
start_reading(struct roles *r, const struct opening *opening, struct tl_why *why)
{
	tl_gate_close(&r->gate, TL_GATE_READ_ONLY);
	tl_log(TL_LOG_WARN, "read only, intake refuses with disk_full why=\"%s\"",
		opening->disk_why.text);
	return rollup_publish_as_found(r->now.store, why);
}

/* On failure the process ends: nothing was acknowledged. */
static enum tl_err
open_data(struct roles *r, struct commit **commit_out, struct tl_why *why)
{
	struct opening_options options = opening_options_of(r);
	struct opening opening;
	enum tl_err err = opening_run(&options, &opening, why);

	if (err)
		return err;
	r->now.store = opening.store;
	r->now.is_read_only = opening.is_read_only;
	*commit_out = opening.commit;
	if (r->ready == NULL)
		err = ready_new(&(struct ready_options){.data = r->settings->data,
					.gate = &r->gate,
					.clock = tl_clock_system(),
					.received_ms = opening.received_ms},
			&r->ready);
	if (err)
		return err;
	return r->now.is_read_only ? start_reading(r, &opening, why)
				   : start_writing(r, &opening, why);
}

static struct tl_peers_limits
peers_limits_of(const struct tallyd_settings *settings)
{
	return (struct tl_peers_limits){
		.count_max = settings->connections_max,
		.per_address_max = settings->connections_per_address_max,
		.frame_ms = settings->frame_ms_max,
		.idle_ms = settings->idle_ms_max,
		.partial_bytes_max = settings->partial_bytes_max,
		.unread_bytes_max = settings->unread_bytes_max,
	};
}

static void
note_connections(const struct tallyd_settings *settings, int64_t count_max)
{
	if (count_max < settings->connections_max)
		tl_log(TL_LOG_WARN,
			"connections_max=%" PRId64 " is all the limit of open files allows",
			count_max);
}

static enum tl_err
peers_start(const struct tallyd_settings *settings, struct tl_why *why)
{
	struct tl_peers_limits limits = peers_limits_of(settings);
	int64_t count_max = 0;
	enum tl_err err = tl_peers_start(&limits, &count_max, why);

	if (!err)
		note_connections(settings, count_max);
	return err;
}

static enum tl_err
start_orders(struct roles *r, struct tl_why *why)
{
	enum tl_err err = tl_roster_open(r->now.store, &r->now.roster, why);

	if (err)
		return err;
	return orders_new(&(struct orders_options){.store = r->now.store,
				  .roster = r->now.roster,
				  .rollup = r->now.rollup,
				  .gate = &r->gate,
				  .mark_path = r->options.mark_path,
				  .disk = r->now.disk,
				  .highwater = r->now.highwater,
				  .watch = ready_watch(r->ready),
				  .reloads = r->options.reloads,
				  .failed_reloads = r->options.failed_reloads,
				  .clock = tl_clock_system()},
		&r->now.orders);
}

static enum tl_err
start_query(struct roles *r, struct tl_why *why)
{
	struct urls urls;

	urls_init(&urls, r->settings, "query", r->settings->query);
	return query_start(&(struct query_options){.store = r->now.store,
				   .roster = r->now.roster,
				   .clock = tl_clock_system(),
				   .urls = urls.list,
				   .url_count = urls.count,
				   .control_url = urls.control,
				   .bytes_max = r->settings->query_bytes_max,
				   .worker_count = r->settings->intake.worker_count,
				   .on_health = ready_tell,
				   .arg = r->ready},
		&r->now.query, why);
}

static enum tl_err
start_ingest(struct roles *r, struct commit *commit, struct tl_why *why)
{
	struct urls urls;

	urls_init(&urls, r->settings, "ingest", r->settings->ingest);
	return ingest_start(&(struct ingest_options){.store = r->now.store,
				    .roster = r->now.roster,
				    .clock = tl_clock_system(),
				    .watch = ready_watch(r->ready),
				    .settings = r->settings->intake,
				    .commit = commit,
				    .highwater = r->now.highwater,
				    .gate = &r->gate,
				    .disk = r->now.disk,
				    .urls = urls.list,
				    .url_count = urls.count,
				    .control_url = urls.control,
				    .on_commit = commit_of,
				    .on_order = order_of,
				    .on_storage_failure = storage_failed,
				    .arg = r},
		&r->now.ingest, why);
}

static void
renew_view(void *arg)
{
	struct roles *roles = arg;

	rollup_renew(roles->now.rollup);
}

static enum tl_err
start_sealer(struct roles *r, struct tl_why *why)
{
	return sealer_start(
		&(struct sealer_options){.store = r->now.store,
			.watch = ready_watch(r->ready),
			.gate = &r->gate,
			.after_ms = r->settings->seal_after_hours * TL_HOUR_MS,
			.accept_past_ms = r->settings->intake.accept_past_days * TL_DAY_MS,
			.renew = renew_view,
			.on_failure = storage_failed,
			.arg = r},
		&r->now.sealer, why);
}

/* The slow threads, which write. */
static enum tl_err
start_upkeep(struct roles *r, struct tl_why *why)
{
	enum tl_err err;

	if (r->now.is_read_only)
		return TL_OK;
	err = expire_start(r->now.store, ready_watch(r->ready), &r->gate,
		r->settings->intake.retention_days, &r->now.expire, why);
	if (!err)
		err = auditor_start(r->now.store, &r->gate, &r->now.auditor, why);
	return err ? err : start_sealer(r, why);
}

/* The roles run: who tells about them may know them. */
static enum tl_err
attach(struct roles *r, struct tl_why *why)
{
	char url[URL_BYTES];

	orders_attach(r->now.orders, r->now.ingest, r->now.query, r->now.auditor, r->now.sealer);
	ready_attach(r->ready, r->now.ingest, r->now.rollup, r->now.auditor, r->now.highwater);
	snprintf(url, sizeof(url), "ipc://%s/stats.sock", r->settings->data);
	return stats_door_open(url, r->now.orders, &r->now.stats_door, why);
}

enum tl_err
roles_start(struct roles *r, struct tl_why *why)
{
	int64_t started_us = tl_clock_mono_us();
	struct commit *commit = NULL;
	enum tl_err err = peers_start(r->settings, why);

	if (!err)
		err = open_data(r, &commit, why);
	if (!err)
		err = start_orders(r, why);
	if (!err)
		err = start_query(r, why);
	if (!err)
		err = start_ingest(r, commit, why);
	if (!err)
		err = start_upkeep(r, why);
	if (!err)
		err = attach(r, why);
	if (!err)
		tl_log(TL_LOG_INFO, "ready data=%s ingest_port=%u query_port=%u ms=%" PRId64,
			r->settings->data, ingest_port(r->now.ingest), query_port(r->now.query),
			(tl_clock_mono_us() - started_us) / 1000);
	return err;
}

void
roles_stop(struct roles *r, const char *reason)
{
	struct tl_why why = {0};

	ready_detach(r->ready, reason);
	stats_door_close(r->now.stats_door);
	ingest_stop(r->now.ingest);
	query_stop(r->now.query);
	tl_peers_stop();
	expire_stop(r->now.expire);
	auditor_stop(r->now.auditor);
	sealer_stop(r->now.sealer);
	orders_free(r->now.orders);
	sealer_free(r->now.sealer);
	if (r->now.rollup != NULL)
		rollup_stop(r->now.rollup);
	tl_flusher_stop(r->now.flusher);
	tl_disk_guard_stop(r->now.disk);
	if (tl_highwater_stop(r->now.highwater, &why))
		storage_failed(r, TL_EIO, why.text);
	/* The last flush wakes compactions, which no tick will ask about any more. */
	if (r->now.store != NULL && !r->now.is_read_only &&
		tl_store_end_background(r->now.store, &why))
		storage_failed(r, TL_EIO, why.text);
	end_if_failed(r);
	rollup_free(r->now.rollup);
	tl_roster_free(r->now.roster);
	tl_store_close(r->now.store);
	r->now = (struct running){0};
	tl_gate_open(&r->gate, TL_GATE_READ_ONLY);
}

void
roles_report(const struct roles *r)
{
	const struct ingest_stats *in = ingest_stats_of(r->now.ingest);
	const struct rollup_stats *roll;

	if (r->now.is_read_only)
		return;
	roll = rollup_stats_of(r->now.rollup);
	tl_log(TL_LOG_INFO,
		"report accepted=%" PRIu64 " duplicate=%" PRIu64 " replaced=%" PRIu64
		" rejected=%" PRIu64 " groups=%" PRIu64 " committed_seq=%" PRIu64
		" rollup_seq=%" PRIu64 " ids=%" PRIu64,
		tl_counter_get(&in->accepted), tl_counter_get(&in->duplicate),
		tl_counter_get(&in->replaced), tl_counter_get(&in->rejected),
		tl_counter_get(&in->groups), (uint64_t)in->committed_seq, (uint64_t)roll->seq,
		(uint64_t)in->id_count);
}

static void
watch_storage(struct roles *r)
{
	struct tl_why why = {0};
	enum tl_err err = tl_store_background_error(r->now.store, &why);

	if (err && atomic_load(&r->exit_code) == 0)
		storage_failed(r, err, why.text);
}

void
roles_tick(struct roles *r)
{
	end_if_failed(r);
	watch_storage(r);
	ready_tick(r->ready);
	if (ready_is_writing(r->ready))
		tl_daemon_notify("WATCHDOG=1");
}

bool
roles_have_room(const struct roles *r)
{
	return r->now.is_read_only &&
	       tl_disk_check_open(r->settings->data, &r->settings->disk, NULL) == TL_OK;
}

void
roles_reload(struct roles *r)
{
	struct tl_peers_limits limits = peers_limits_of(r->settings);

	ingest_set_queue_bytes_max(r->now.ingest, r->settings->intake.queue_bytes_max);
	note_connections(r->settings, tl_peers_limit(&limits));
}
