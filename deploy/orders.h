/*
 * What an operator may ask of the running daemon over the control socket: stats, verify, rebuild,
 * seal, dump. The one place that knows all three roles; long orders run as a job that the
 * command line polls for progress.
 */
#ifndef DEPLOY_ORDERS_H
#define DEPLOY_ORDERS_H

#include "ingest/ingest.h"
#include "query/query.h"
#include "rollup/auditor.h"
#include "rollup/rollup.h"
#include "rollup/sealer.h"
#include "schema/store/disk.h"
#include "schema/store/highwater.h"

struct orders;

struct orders_options {
	struct tl_store *store;
	struct tl_roster *roster;
	const struct tl_clock *clock;
	const struct tl_gate *gate;
	struct tl_clock_watch *watch;
	const struct tl_counter *reloads, *failed_reloads;
	const char *mark_path;
	/* NULL while the store is open for reading only */
	struct rollup *rollup;
	struct tl_disk_guard *disk;
	struct tl_highwater *highwater;
};

TL_MUST enum tl_err orders_new(const struct orders_options *options, struct orders **orders_out);

/* Tell it about the other roles once they run; before that, stats leaves their part out. */
void orders_attach(struct orders *orders, const struct ingest *ingest, const struct query *query,
	const struct auditor *auditor, struct sealer *sealer);

/* Waits for a job that runs; a verify is cut short. NULL is fine. */
void orders_free(struct orders *orders);

/* ingest_options.on_order with an orders as arg. */
TL_MUST enum tl_err orders_run(
	void *arg, const struct tl_command *command, struct tl_buf *reply, struct tl_why *why);

#endif
