/*
 * Flush points: everything that is only in memory and in the log goes into tables, all families
 * together, so that a start has little to recover and the log stays short. Taken every five
 * minutes and at a clean stop.
 */
#ifndef TL_STORE_FLUSH_H
#define TL_STORE_FLUSH_H

#include "schema/base/gate.h"
#include "schema/store/highwater.h"

/*
 * RocksDB's own flush takes one family even under atomic_flush; a checkpoint takes all. It is made
 * in scratch_dir and removed at once, as is what an earlier one left there.
 */
TL_MUST enum tl_err tl_flush_point(
	struct tl_store *store, const char *scratch_dir, struct tl_why *why);

struct tl_flusher;

struct tl_flusher_options {
	struct tl_store *store;
	const char *data_dir;
	struct tl_highwater *highwater;		 /* told of each flush point */
	const struct tl_gate *gate;		 /* nothing is flushed while the disk is low */
	uint64_t (*derived_group_no)(void *arg); /* how far the derived rows are */
	void (*on_failure)(void *arg, enum tl_err err, const char *text);
	void *arg;
};

TL_MUST enum tl_err tl_flusher_start(const struct tl_flusher_options *options,
	struct tl_flusher **flusher_out, struct tl_why *why);

/* With a last flush point, after all who write have stopped. NULL is fine. */
void tl_flusher_stop(struct tl_flusher *flusher);

#endif
