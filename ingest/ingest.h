/*
 * The way in: starts the pipeline, stops it in reverse.
 *
 *   nng callbacks -> requests queue -> intake workers (admit) -> jobs queue -> the writer thread
 *   (dedupe, ids, blocks, one write, one fsync) -> the acks
 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "schema/base/clock_watch.h"
#include "schema/base/counter.h"
#include "schema/base/gate.h"
#include "schema/net/rep_server.h"
#include "schema/registry/registry.h"
#include "schema/wire/command_wire.h"

struct ingest;
struct commit;
struct tl_highwater;
struct tl_disk_guard;

struct ingest_settings {
	int64_t accept_past_days; /* 1..400; ids live a day longer */
	int64_t retention_days;	  /* how far back an import may go */
	int64_t id_index_bytes_max;
	int64_t queue_bytes_max;
	int64_t worker_count; /* 0: one per core */
};

struct ingest_options {
	struct tl_store *store;
	struct tl_roster *roster;
	const struct tl_clock *clock;
	/* Whether the clock may be believed: no, and what it would stamp is refused. NULL: always.
	 */
	struct tl_clock_watch *watch;
	struct ingest_settings settings;
	/*
	 * What commit_open read, taken over also on failure. NULL: the store is open for reading
	 * only, and the gate stays closed.
	 */
	struct commit *commit;
	struct tl_highwater *highwater; /* told of each group; NULL: none */
	struct tl_gate *gate;		/* closed: batches and writing commands are refused */
	struct tl_disk_guard *disk;	/* asked before each group; NULL: none */
	const char *const *urls;	/* where gateways push */
	size_t url_count;
	const char *control_url; /* ipc of the operator, NULL: none */
	/* After each commit, on the writer thread: wakes rollup. */
	void (*on_commit)(void *arg, uint64_t group_no);
	/*
	 * An order to the daemon (stats, verify, rebuild, dump) from the control socket. On
	 * a thread of its own, one at a time; appends the reply map.
	 */
	enum tl_err (*on_order)(void *arg, const struct tl_command *command, struct tl_buf *reply,
		struct tl_why *why);
	/*
	 * A write failed: the data on disk may be behind memory, so the process must end (exit 75).
	 * Called once, on the writer thread; it returns, and all that waits is refused.
	 */
	void (*on_storage_failure)(void *arg, enum tl_err err, const char *text);
	void *arg;
};

/* What the daemon reports about itself; see stats. */
struct ingest_stats {
	struct tl_counter batches, events, accepted, duplicate, replaced, rejected;
	struct tl_counter groups, refused_batches, commands;
	struct tl_counter signins_stored; /* times of use, while the writer was idle */
	struct tl_counter unauthenticated;
	struct tl_counter denied[TL_COMMAND_COUNT]; /* known, but not allowed that command */
	struct tl_counter denied_batches;
	struct tl_histogram ack_us, commit_us, fsync_us;
	_Atomic uint64_t committed_group_no, committed_seq;
	_Atomic uint64_t id_count, id_bytes;
	_Atomic uint64_t writer_turns; /* stands still while the writer does */
};

/* Listens at its end. */
TL_MUST enum tl_err ingest_start(
	const struct ingest_options *options, struct ingest **ingest_out, struct tl_why *why);

/* From now on new batches get shutting_down; what was taken is committed and acknowledged. */
void ingest_stop(struct ingest *ingest);

const struct ingest_stats *ingest_stats_of(const struct ingest *ingest);

/* Another bound on batches that wait. Any thread. */
void ingest_set_queue_bytes_max(struct ingest *ingest, int64_t bytes_max);

/* How full the fullest queue on the way to the writer is, in millionths. Any thread. */
uint32_t ingest_queue_ppm(const struct ingest *ingest);

/* The tcp port in use. */
uint16_t ingest_port(const struct ingest *ingest);

#endif
