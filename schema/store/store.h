/*
 * The store: one RocksDB, its families, format version and options. rocksdb/c.h stops in this
 * folder; its error strings become our codes. One process has it open.
 */
#ifndef TL_STORE_STORE_H
#define TL_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

#define TL_FORMAT_VERSION 5

/* X(symbol, family name). The families of days (raw.YYYY-MM-DD) are in days.h. */
#define TL_FAMILY_LIST(X)                     \
	X(TL_FAMILY_MARK, "mark")             \
	X(TL_FAMILY_JOURNAL, "journal")       \
	X(TL_FAMILY_DICT, "dict")             \
	X(TL_FAMILY_CELL_1H, "cell.1h")       \
	X(TL_FAMILY_CELL_1D, "cell.1d")       \
	X(TL_FAMILY_SESSION, "session")       \
	X(TL_FAMILY_LIFE, "life")             \
	X(TL_FAMILY_QUARANTINE, "quarantine") \
	X(TL_FAMILY_INTAKE, "intake")         \
	X(TL_FAMILY_REGISTRY, "registry")

enum tl_family {
#define X(symbol, name) symbol,
	TL_FAMILY_LIST(X)
#undef X
		TL_FAMILY_COUNT
};

const char *tl_family_name(enum tl_family family);

struct tl_store;

struct tl_store_options {
	const char *dir;	    /* data directory; RocksDB lives in dir/db */
	bool create;		    /* make a new one when there is none */
	bool read_only;		    /* a frozen picture for offline verify and dump */
	int64_t cache_bytes;	    /* block cache, 0: 64 MiB */
	int64_t write_buffer_bytes; /* all memtables, 0: 128 MiB */
};

/*
 * TL_ELOCKED when another process has it, TL_EFORMAT_TOO_NEW or _OLD, TL_ENOT_FOUND without create,
 * TL_ESTORAGE_CORRUPT, TL_EIO. Creates missing fixed families and, in a new directory, the format
 * row and a random epoch. Publishes no view (view.h).
 */
TL_MUST enum tl_err tl_store_open(
	const struct tl_store_options *options, struct tl_store **store_out, struct tl_why *why);

/* Every view, scan and day must have been let go. NULL is fine. */
void tl_store_close(struct tl_store *store);

/* Random, made with the directory (and again when data loss is accepted). */
uint64_t tl_store_epoch(const struct tl_store *store);

struct tl_view;

/*
 * The value of key, replacing buf's content. view NULL reads the newest. TL_ENOT_FOUND is ordinary.
 */
TL_MUST enum tl_err tl_store_get(struct tl_store *store, const struct tl_view *view,
	enum tl_family family, struct tl_slice key, struct tl_buf *buf, struct tl_why *why);

/* Sizes for stats: live SST bytes and memtable bytes of all families. */
void tl_store_sizes(struct tl_store *store, uint64_t *sst_bytes_out, uint64_t *memtable_bytes_out);

/*
 * The first error that a write met, or a background flush or compaction; TL_OK when none. After one
 * of a write every further write fails with it.
 */
TL_MUST enum tl_err tl_store_background_error(struct tl_store *store, struct tl_why *why);

/*
 * Before closing: ends flushes and compactions, those in progress too, then the first error that
 * one of them met. Nothing may be written afterwards.
 */
TL_MUST enum tl_err tl_store_end_background(struct tl_store *store, struct tl_why *why);

/* Compact everything: for measuring bytes per event. */
void tl_store_compact(struct tl_store *store);

#endif
