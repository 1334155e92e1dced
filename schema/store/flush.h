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
 * RocksDB's own flush takes one family even under atomic_flush; a checkpoint takes all. The last
 * one stays as data_dir/flush, a store that can be read: what the log should have had since can be
 * done again from there. Its tables are links; those that the store has replaced since are its
 * price, and it is let go of at the first turn with too little room on the disk.
 */
TL_MUST enum tl_err tl_flush_point(
	struct tl_store *store, const char *data_dir, struct tl_why *why);

/* The last flush point, for reading; the caller closes it. TL_ENOT_FOUND when there is none. */
TL_MUST enum tl_err tl_flush_open(
	const char *data_dir, struct tl_store **store_out, struct tl_why *why);

struct tl_flusher;

struct tl_flusher_options {
	struct tl_store *store;
	const char *data_dir;		 /* borrowed */
	struct tl_highwater *highwater;	 /* told of each flush point */
	const struct tl_gate *gate;	 /* nothing is flushed while the disk is low */
	uint64_t (*on_begin)(void *arg); /* how far the derived rows are */
	void (*on_end)(void *arg);	 /* what was derived then is in tables, and kept */
	void (*on_failure)(void *arg, enum tl_err err, const char *text);
	void *arg;
};

TL_MUST enum tl_err tl_flusher_start(const struct tl_flusher_options *options,
	struct tl_flusher **flusher_out, struct tl_why *why);

/* With a last flush point, after all who write have stopped. NULL is fine. */
void tl_flusher_stop(struct tl_flusher *flusher);

#endif
