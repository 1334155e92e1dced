/* The daemon: settings, wiring, wait. Owns the data directory; see deploy/README.md. */
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "deploy/offline.h"
#include "deploy/opening.h"
#include "deploy/orders.h"
#include "deploy/ready.h"
#include "deploy/stats_door.h"
#include "rollup/auditor.h"
#include "rollup/expire.h"
#include "schema/base/conf.h"
#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/base/file.h"
#include "schema/base/log.h"
#include "schema/net/peers.h"
#include "schema/store/flush.h"

enum {
	EXIT_CODE_USAGE = 64,
	EXIT_CODE_DATA = 65,
	EXIT_CODE_LOCKED = 69,
	EXIT_CODE_IO = 75,
	EXIT_CODE_CONFIG = 78,
};

/* Ids live a day longer than events are accepted; a day more is for the one in progress. */
#define ID_LIFE_DAYS 37

#define URL_BYTES (TL_CONF_STRING_BYTES + 32)

struct settings {
	char data[TL_CONF_STRING_BYTES];
	char ingest[TL_CONF_STRING_BYTES];
	char query[TL_CONF_STRING_BYTES];
	char log[TL_CONF_STRING_BYTES];
	char mark_file[TL_CONF_STRING_BYTES];
	int64_t memory_bytes_max;
	int64_t cache_bytes;
	int64_t rollup_bytes_max;
	int64_t query_bytes_max;
	int64_t partial_bytes_max;
	int64_t unread_bytes_max;
	int64_t connections_max;
	int64_t connections_per_address_max;
	int64_t frame_ms_max;
	int64_t idle_ms_max;
	struct tl_disk_settings disk;
	struct ingest_settings intake;
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"data", TL_CONF_STRING, AT(data), "./data", 0, 0, "data directory (made when missing)"},
	{"ingest", TL_CONF_STRING, AT(ingest), "tcp://127.0.0.1:7411", 0, 0,
		"where gateways push; DATA/ingest.sock is always there; 'none' for no tcp"},
	{"query", TL_CONF_STRING, AT(query), "tcp://127.0.0.1:7412", 0, 0,
		"where readers ask; DATA/query.sock is always there; 'none' for no tcp"},
	{"log", TL_CONF_STRING, AT(log), "info", 0, 0, "error, warn, info or debug"},
	{"mark_file", TL_CONF_STRING, AT(mark_file), "", 0, 0,
		"how far was acknowledged, better on another disk; default DATA/mark"},
	{"disk_floor_bytes", TL_CONF_INT, AT(disk.floor_bytes), "0", 0, 1LL << 50,
		"below so much free space intake says disk_full; 0: 5 % of the disk, at least 1G"},
	{"ballast_bytes", TL_CONF_INT, AT(disk.ballast_bytes), "320M", 0, 1LL << 40,
		"held in DATA/ballast and let go when the disk fills; twice memtable_bytes and "
		"64M"},
	{"memtable_bytes", TL_CONF_INT, AT(disk.memtable_bytes), "128M", 4 << 20, 1LL << 36,
		"what is written and not yet in tables, in memory and in the log, each"},
	{"memory_bytes_max", TL_CONF_INT, AT(memory_bytes_max), "0", 0, 1LL << 45,
		"what the process may take: lowers each of the bounds below and memtable_bytes to "
		"its share; at least 128M; 0: they stand as they are"},
	{"cache_bytes", TL_CONF_INT, AT(cache_bytes), "64M", 1 << 20, 1LL << 40,
		"memory for blocks read from disk"},
	{"rollup_bytes_max", TL_CONF_INT, AT(rollup_bytes_max), "512M", 4 << 20, 1LL << 40,
		"sums of a step of the rollup and rows it keeps at hand; less makes smaller steps"},
	{"query_bytes_max", TL_CONF_INT, AT(query_bytes_max), "512M", 8 << 20, 1LL << 40,
		"half of it is what one question may take, a sixth is kept between questions"},
	{"accept_past_days", TL_CONF_INT, AT(intake.accept_past_days), "35", 1, 400,
		"how old a pushed event may be; ids are kept a day longer"},
	{"retention_days", TL_CONF_INT, AT(intake.retention_days), "400", 72, 3650,
		"how long raw events and fine cells are kept, and how far back an import goes"},
	{"id_index_bytes_max", TL_CONF_INT, AT(intake.id_index_bytes_max), "4G", 1 << 20, 1LL << 45,
		"memory for the id index; at the cap intake says id_index_full"},
	{"queue_bytes_max", TL_CONF_INT, AT(intake.queue_bytes_max), "64M", 4 << 20, 1LL << 40,
		"batches waiting; past it gateways are told 'overloaded'"},
	{"partial_bytes_max", TL_CONF_INT, AT(partial_bytes_max), "64M", 4 << 20, 1LL << 40,
		"received of frames that are not whole; past it the oldest is closed"},
	{"unread_bytes_max", TL_CONF_INT, AT(unread_bytes_max), "64M", 4 << 20, 1LL << 40,
		"replies that wait for peers to read them; past it who does not read is closed"},
	{"connections_max", TL_CONF_INT, AT(connections_max), "1024", 8, 60000,
		"connections in all; past it the longest silent one makes room"},
	{"connections_per_address_max", TL_CONF_INT, AT(connections_per_address_max), "64", 1,
		60000, "the same for connections from one address over tcp"},
	{"frame_ms_max", TL_CONF_INT, AT(frame_ms_max), "30000", 100, 3600000,
		"how long a peer may take over a frame it began, or to read a reply"},
	{"idle_ms_max", TL_CONF_INT, AT(idle_ms_max), "900000", 100, 86400000,
		"a connection silent for so long is closed; its owner dials again"},
	{"workers", TL_CONF_INT, AT(intake.worker_count), "0", 0, 256,
		"threads that decode, and as many that answer; 0: one a core"},
};

static const char *const reloads[] = {"log", "queue_bytes_max", NULL};

static const struct tl_conf_table conf_table = {
	.program = "tallyd",
	.summary =
		"Meters the usage of coding agents: takes events over nng, keeps exact rollups, "
		"answers queries. 'tallyd verify' and 'tallyd dump' work on a data directory that "
		"no daemon has open.",
	.operands = "[verify|rebuild|dump FAMILY|accept-loss HAVE]",
	.settings = setting_table,
	.setting_count = sizeof(setting_table) / sizeof(setting_table[0]),
	.reloads = reloads,
};

static int
exit_code_of(enum tl_err err)
{
	if (err == TL_ELOCKED)
		return EXIT_CODE_LOCKED;
	if (err == TL_EUSAGE)
		return EXIT_CODE_USAGE;
	if (err == TL_ECONFIG || err == TL_EFORMAT_TOO_NEW)
		return EXIT_CODE_CONFIG;
	if (err == TL_EACKED_DATA_MISSING || err == TL_ESTORAGE_CORRUPT)
		return EXIT_CODE_DATA;
	return EXIT_CODE_IO;
}

struct tallyd {
	struct settings settings;
	char mark_path[PATH_MAX];
	struct tl_gate gate;
	_Atomic int exit_code; /* storage failed: the process ends with it */
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
	struct ready *ready;
	/* the command line, which is read again with its file */
	int argc;
	char **argv;
	struct tl_counter reloads, failed_reloads;
};

/*
 * Nothing may be acknowledged any more, and RocksDB must not get to close itself. What waits is
 * refused meanwhile: the process ends with the next tick, at most a second later.
 */
static void
storage_failed(void *arg, enum tl_err err, const char *text)
{
	struct tallyd *tallyd = arg;

	tl_gate_close(&tallyd->gate, TL_GATE_STORAGE);
	tl_log(TL_LOG_ERROR, "storage failed code=%s why=\"%s\"", tl_err_name(err), text);
	atomic_store(&tallyd->exit_code, exit_code_of(err));
}

static void
end_if_failed(struct tallyd *t)
{
	int exit_code = atomic_load(&t->exit_code);

	if (exit_code != 0)
		_exit(exit_code);
}

static void
disk_changed(void *arg, bool is_low, const struct tl_disk_figures *figures)
{
	struct tallyd *tallyd = arg;

	rollup_pause(tallyd->rollup, is_low);
	tl_log(is_low ? TL_LOG_WARN : TL_LOG_INFO,
		"disk %s free_bytes=%" PRIu64 " floor_bytes=%" PRIu64 " ballast_bytes=%" PRIu64,
		is_low ? "low, intake refuses with disk_full" : "has room, intake is open",
		figures->free_bytes, figures->floor_bytes, figures->ballast_bytes);
}

static enum tl_err
order_of(void *arg, const struct tl_command *command, struct tl_buf *reply, struct tl_why *why)
{
	struct tallyd *tallyd = arg;

	return orders_run(tallyd->orders, command, reply, why);
}

static void
commit_of(void *arg, uint64_t group_no)
{
	struct tallyd *tallyd = arg;

	rollup_wake(tallyd->rollup, group_no);
}

/* The sockets of one side: the ipc socket in the data directory and, unless 'none', tcp. */
struct urls {
	char ipc[URL_BYTES];
	char control[URL_BYTES];
	const char *list[2];
	size_t count;
};

static void
urls_init(struct urls *urls, const struct settings *settings, const char *name, const char *tcp)
{
	snprintf(urls->ipc, sizeof(urls->ipc), "ipc://%s/%s.sock", settings->data, name);
	snprintf(urls->control, sizeof(urls->control), "ipc://%s/%s-control.sock", settings->data,
		name);
	urls->list[0] = urls->ipc;
	urls->list[1] = tcp;
	urls->count = strcmp(tcp, "none") == 0 ? 1 : 2;
}

static struct opening_options
opening_options_of(const struct tallyd *t)
{
	return (struct opening_options){.data_dir = t->settings.data,
		.mark_path = t->mark_path,
		.intake = &t->settings.intake,
		.clock = tl_clock_system(),
		.disk = t->settings.disk,
		.cache_bytes = t->settings.cache_bytes};
}

static uint64_t
derived_group_no(void *arg)
{
	struct tallyd *tallyd = arg;

	return rollup_stats_of(tallyd->rollup)->group_no;
}

/* What writes: the mark, the guard of the disk, the rollup, flush points. */
static enum tl_err
start_writing(struct tallyd *t, const struct opening *opening, struct tl_why *why)
{
	struct opening_options options = opening_options_of(t);
	enum tl_err err;

	err = opening_start_mark(&options, opening, storage_failed, t, &t->highwater, why);
	if (!err)
		err = rollup_new(t->store, &t->rollup, why);
	if (!err)
		rollup_bound(t->rollup, (size_t)t->settings.rollup_bytes_max);
	if (!err)
		err = tl_disk_guard_start(
			&(struct tl_disk_guard_options){.data_dir = t->settings.data,
				.settings = t->settings.disk,
				.gate = &t->gate,
				.on_change = disk_changed,
				.arg = t},
			&t->disk, why);
	if (!err)
		err = rollup_start(t->rollup, storage_failed, t, why);
	if (!err)
		err = tl_flusher_start(&(struct tl_flusher_options){.store = t->store,
					       .data_dir = t->settings.data,
					       .highwater = t->highwater,
					       .gate = &t->gate,
					       .derived_group_no = derived_group_no,
					       .on_failure = storage_failed,
					       .arg = t},
			&t->flusher, why);
	return err;
}

/* Queries answer, intake says disk_full. */
static enum tl_err
start_reading(struct tallyd *t, const struct opening *opening, struct tl_why *why)
{
	tl_gate_close(&t->gate, TL_GATE_READ_ONLY);
	tl_log(TL_LOG_WARN, "read only, intake refuses with disk_full why=\"%s\"",
		opening->disk_why.text);
	return rollup_publish_as_found(t->store, why);
}

/* On failure the process ends: nothing was acknowledged. */
static enum tl_err
open_data(struct tallyd *t, struct commit **commit_out, struct tl_why *why)
{
	struct opening_options options = opening_options_of(t);
	struct opening opening;
	enum tl_err err = opening_run(&options, &opening, why);

	if (err)
		return err;
	t->store = opening.store;
	t->is_read_only = opening.is_read_only;
	*commit_out = opening.commit;
	if (t->ready == NULL)
		err = ready_new(&(struct ready_options){.data = t->settings.data,
					.gate = &t->gate,
					.clock = tl_clock_system(),
					.received_ms = opening.received_ms},
			&t->ready);
	if (err)
		return err;
	return t->is_read_only ? start_reading(t, &opening, why) : start_writing(t, &opening, why);
}

static enum tl_err
peers_start(const struct settings *settings, struct tl_why *why)
{
	int64_t count_max = 0;
	enum tl_err err = tl_peers_start(
		&(struct tl_peers_limits){
			.count_max = settings->connections_max,
			.per_address_max = settings->connections_per_address_max,
			.frame_ms = settings->frame_ms_max,
			.idle_ms = settings->idle_ms_max,
			.partial_bytes_max = settings->partial_bytes_max,
			.unread_bytes_max = settings->unread_bytes_max,
		},
		&count_max, why);

	if (!err && count_max < settings->connections_max)
		tl_log(TL_LOG_WARN,
			"connections_max=%" PRId64 " is all the limit of open files allows",
			count_max);
	return err;
}

static enum tl_err
tallyd_start(struct tallyd *t, struct tl_why *why)
{
	const struct settings *settings = &t->settings;
	struct commit *commit = NULL;
	struct urls in, out;
	char stats_url[URL_BYTES];
	enum tl_err err;

	urls_init(&in, settings, "ingest", settings->ingest);
	urls_init(&out, settings, "query", settings->query);

	err = peers_start(settings, why);
	if (!err)
		err = open_data(t, &commit, why);
	if (!err)
		err = tl_roster_open(t->store, &t->roster, why);
	if (!err)
		err = orders_new(&(struct orders_options){.store = t->store,
					 .roster = t->roster,
					 .rollup = t->rollup,
					 .gate = &t->gate,
					 .mark_path = t->mark_path,
					 .disk = t->disk,
					 .highwater = t->highwater,
					 .watch = ready_watch(t->ready),
					 .reloads = &t->reloads,
					 .failed_reloads = &t->failed_reloads,
					 .clock = tl_clock_system()},
			&t->orders);
	if (!err)
		err = query_start(&(struct query_options){.store = t->store,
					  .roster = t->roster,
					  .clock = tl_clock_system(),
					  .urls = out.list,
					  .url_count = out.count,
					  .control_url = out.control,
					  .bytes_max = t->settings.query_bytes_max,
					  .worker_count = settings->intake.worker_count,
					  .on_health = ready_tell,
					  .arg = t->ready},
			&t->query, why);
	if (!err)
		err = ingest_start(&(struct ingest_options){.store = t->store,
					   .roster = t->roster,
					   .clock = tl_clock_system(),
					   .watch = ready_watch(t->ready),
					   .settings = settings->intake,
					   .commit = commit,
					   .highwater = t->highwater,
					   .gate = &t->gate,
					   .disk = t->disk,
					   .urls = in.list,
					   .url_count = in.count,
					   .control_url = in.control,
					   .on_commit = commit_of,
					   .on_order = order_of,
					   .on_storage_failure = storage_failed,
					   .arg = t},
			&t->ingest, why);
	if (!err && !t->is_read_only)
		err = expire_start(t->store, ready_watch(t->ready), &t->gate,
			settings->intake.retention_days, &t->expire, why);
	if (!err && !t->is_read_only)
		err = auditor_start(t->store, &t->gate, &t->auditor, why);
	if (err)
		return err;
	orders_attach(t->orders, t->ingest, t->query, t->auditor);
	ready_attach(t->ready, t->ingest, t->rollup, t->auditor, t->highwater);
	snprintf(stats_url, sizeof(stats_url), "ipc://%s/stats.sock", settings->data);
	return stats_door_open(stats_url, t->orders, &t->stats_door, why);
}

/*
 * In reverse: what was taken in is committed, acknowledged and folded before the store closes.
 * Nothing that failed is closed. reason is what is said to whoever asks meanwhile.
 */
static void
tallyd_stop(struct tallyd *t, const char *reason)
{
	struct tl_why why = {0};

	ready_detach(t->ready, reason);
	stats_door_close(t->stats_door);
	ingest_stop(t->ingest);
	query_stop(t->query);
	tl_peers_stop();
	expire_stop(t->expire);
	auditor_stop(t->auditor);
	orders_free(t->orders);
	if (t->rollup != NULL)
		rollup_stop(t->rollup);
	tl_flusher_stop(t->flusher);
	tl_disk_guard_stop(t->disk);
	if (tl_highwater_stop(t->highwater, &why))
		storage_failed(t, TL_EIO, why.text);
	/* The last flush wakes compactions, which no tick will ask about any more. */
	if (t->store != NULL && !t->is_read_only && tl_store_end_background(t->store, &why))
		storage_failed(t, TL_EIO, why.text);
	end_if_failed(t);
	rollup_free(t->rollup);
	tl_roster_free(t->roster);
	tl_store_close(t->store);
}

static void
report(const struct tallyd *t)
{
	const struct ingest_stats *in = ingest_stats_of(t->ingest);
	const struct rollup_stats *roll;

	if (t->is_read_only)
		return;
	roll = rollup_stats_of(t->rollup);
	tl_log(TL_LOG_INFO,
		"report accepted=%" PRIu64 " duplicate=%" PRIu64 " replaced=%" PRIu64
		" rejected=%" PRIu64 " groups=%" PRIu64 " committed_seq=%" PRIu64
		" rollup_seq=%" PRIu64 " ids=%" PRIu64,
		tl_counter_get(&in->accepted), tl_counter_get(&in->duplicate),
		tl_counter_get(&in->replaced), tl_counter_get(&in->rejected),
		tl_counter_get(&in->groups), (uint64_t)in->committed_seq, (uint64_t)roll->seq,
		(uint64_t)in->id_count);
}

#define TICK_MS 1000
#define STOP_S_MAX 10
#define REOPEN_TICKS 5

static void
watch_storage(struct tallyd *t)
{
	struct tl_why why = {0};
	enum tl_err err = tl_store_background_error(t->store, &why);

	if (err && atomic_load(&t->exit_code) == 0)
		storage_failed(t, err, why.text);
}

/* True when there is room to open the store for writing. */
static bool
can_write(struct tallyd *t, unsigned tick)
{
	return t->is_read_only && tick % REOPEN_TICKS == 0 &&
	       tl_disk_check_open(t->settings.data, &t->settings.disk, NULL) == TL_OK;
}

#define MEMORY_BYTES_MIN ((int64_t)128 << 20)

/*
 * What each part may take of the memory of the process. The rest, an eighth, is for what is as
 * large as the load makes it and bounded by counts: batches being decoded, the registry.
 */
static enum tl_err
memory_share_out(struct settings *settings, struct tl_why *why)
{
	struct {
		int64_t *bytes;
		int64_t part; /* of 32 */
	} shares[] = {
		{&settings->intake.id_index_bytes_max, 8},
		{&settings->disk.memtable_bytes, 4},
		{&settings->intake.queue_bytes_max, 4},
		{&settings->cache_bytes, 2},
		{&settings->rollup_bytes_max, 4},
		{&settings->query_bytes_max, 4},
		{&settings->partial_bytes_max, 1},
		{&settings->unread_bytes_max, 1},
	};

	if (settings->memory_bytes_max == 0)
		return TL_OK;
	if (settings->memory_bytes_max < MEMORY_BYTES_MIN)
		return tl_fail(why, TL_ECONFIG, "memory_bytes_max: at least 128M");
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		int64_t share = settings->memory_bytes_max / 32 * shares[i].part;

		if (*shares[i].bytes > share)
			*shares[i].bytes = share;
	}
	return TL_OK;
}

/* The defaults, the file, the command line; and what one setting asks of another. */
static enum tl_err
settings_read(int argc, char **argv, struct settings *settings, enum tl_log_level *level_out,
	int *operand_count_out, struct tl_why *why)
{
	enum tl_err err;

	tl_conf_defaults(&conf_table, settings);
	err = tl_conf_read_args(&conf_table, argc, argv, settings, operand_count_out, why);
	if (err)
		return err;
	if (settings->intake.retention_days < settings->intake.accept_past_days + ID_LIFE_DAYS)
		return tl_fail(why, TL_ECONFIG,
			"retention_days must be at least accept_past_days + %d: an event may "
			"arrive that late, and its id lives on",
			ID_LIFE_DAYS);
	if (!tl_log_level_parse(settings->log, level_out))
		return tl_fail(
			why, TL_EUSAGE, "log '%s': error, warn, info or debug", settings->log);
	return memory_share_out(settings, why);
}

/* A wrong file changes nothing. */
static void
reload(struct tallyd *t)
{
	struct settings fresh;
	enum tl_log_level level;
	struct tl_buf changed, waiting;
	struct tl_why why = {0};
	int operand_count = 0;

	if (settings_read(t->argc, t->argv, &fresh, &level, &operand_count, &why)) {
		tl_counter_add(&t->failed_reloads, 1);
		tl_log(TL_LOG_ERROR, "reload failed, the settings stay why=\"%s\"", why.text);
		return;
	}
	tl_buf_init(&changed, 0);
	tl_buf_init(&waiting, 0);
	tl_conf_adopt(&conf_table, &fresh, &t->settings, &changed, &waiting);
	tl_log_set_level(level);
	ingest_set_queue_bytes_max(t->ingest, t->settings.intake.queue_bytes_max);
	tl_counter_add(&t->reloads, 1);
	tl_log(TL_LOG_WARN, "reloaded changed=\"%.*s\" at_the_next_start=\"%.*s\"",
		(int)changed.bytes, (const char *)changed.data, (int)waiting.bytes,
		(const char *)waiting.data);
	tl_buf_fini(&changed);
	tl_buf_fini(&waiting);
}

/* True: open again, for writing. */
static bool
tallyd_wait(struct tallyd *t)
{
	unsigned tick = 0;

	for (;;) {
		enum tl_daemon_event event = tl_daemon_wait(TICK_MS);

		end_if_failed(t);
		switch (event) {
		case TL_DAEMON_STOP:
			return false;
		case TL_DAEMON_REPORT:
			report(t);
			break;
		case TL_DAEMON_RELOAD:
			reload(t);
			break;
		case TL_DAEMON_TICK:
			watch_storage(t);
			ready_tick(t->ready);
			if (ready_is_writing(t->ready))
				tl_daemon_notify("WATCHDOG=1");
			if (can_write(t, ++tick))
				return true;
			break;
		}
	}
}

static enum tl_err
start_and_say(struct tallyd *t, struct tl_why *why)
{
	int64_t started_us = tl_clock_mono_us();
	enum tl_err err = tallyd_start(t, why);

	if (!err)
		tl_log(TL_LOG_INFO, "ready data=%s ingest_port=%u query_port=%u ms=%" PRId64,
			t->settings.data, ingest_port(t->ingest), query_port(t->query),
			(tl_clock_mono_us() - started_us) / 1000);
	return err;
}

/* What stays when the store is opened again. */
static void
forget_roles(struct tallyd *t)
{
	t->store = NULL;
	t->highwater = NULL;
	t->disk = NULL;
	t->flusher = NULL;
	t->roster = NULL;
	t->rollup = NULL;
	t->ingest = NULL;
	t->query = NULL;
	t->orders = NULL;
	t->stats_door = NULL;
	t->expire = NULL;
	tl_gate_open(&t->gate, TL_GATE_READ_ONLY);
}

static void
set_mark_path(struct tallyd *t)
{
	bool is_set = t->settings.mark_file[0] != '\0';

	snprintf(t->mark_path, sizeof(t->mark_path), "%s%s",
		is_set ? t->settings.mark_file : t->settings.data, is_set ? "" : "/mark");
}

/* Held until the process ends. */
static enum tl_err
lock_data(const struct tallyd *t, struct tl_why *why)
{
	char path[PATH_MAX];
	enum tl_err err;
	int fd;

	snprintf(path, sizeof(path), "%s/lock", t->settings.data);
	err = tl_dir_make(t->settings.data, why);
	return err ? err : tl_file_lock(path, &fd, why);
}

static int
run(struct tallyd *t)
{
	struct tl_why why = {0};
	enum tl_err err = lock_data(t, &why);

	if (!err)
		err = start_and_say(t, &why);
	if (!err)
		tl_daemon_notify("READY=1");
	while (!err && tallyd_wait(t)) {
		tallyd_stop(t, "there is room now: opening for writing");
		forget_roles(t);
		err = start_and_say(t, &why);
	}
	if (err) {
		tl_log(TL_LOG_ERROR, "start failed code=%s why=\"%s\"", tl_err_name(err), why.text);
		return exit_code_of(err); /* the process ends; nothing was acknowledged */
	}
	tl_daemon_notify("STOPPING=1");
	tl_daemon_stopping(EXIT_CODE_IO, STOP_S_MAX);
	tl_log(TL_LOG_INFO, "stopping");
	tallyd_stop(t, "stopping");
	ready_free(t->ready);
	tl_log(TL_LOG_INFO, "stopped");
	return 0;
}

int
main(int argc, char **argv)
{
	static struct tallyd tallyd;
	struct tl_why why = {0};
	enum tl_log_level level;
	int operand_count = 0;
	enum tl_err err;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		struct tl_buf text;

		tl_buf_init(&text, 0);
		tl_conf_help(&conf_table, &text);
		fwrite(text.data, 1, text.bytes, stdout);
		tl_buf_fini(&text);
		return 0;
	}
	err = settings_read(argc, argv, &tallyd.settings, &level, &operand_count, &why);
	if (err) {
		fprintf(stderr, "tallyd: %s\n", why.text);
		return exit_code_of(err);
	}
	tl_log_set_level(level);
	tallyd.argc = argc;
	tallyd.argv = argv;
	if (tl_crypt_init())
		return EXIT_CODE_CONFIG;
	set_mark_path(&tallyd);
	if (operand_count > 0)
		return offline_run(tallyd.settings.data, tallyd.mark_path, operand_count, argv + 1);
	tl_daemon_init();
	return run(&tallyd);
}
