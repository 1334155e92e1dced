/* What the files of this folder share about an open store. */
#ifndef TL_STORE_STORE_PRIVATE_H
#define TL_STORE_STORE_PRIVATE_H

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>

#include "schema/base/map.h"
#include "schema/store/days.h"
#include "schema/store/fresh.h"
#include "schema/store/store.h"
#include "schema/store/view.h"
#include "schema/store/write.h"

/* Above every key: longer than the longest, all ones. */
#define TL_KEY_BYTES_ABOVE 321

struct tl_day {
	struct tl_store *store;
	int64_t day_ms;
	rocksdb_column_family_handle_t *handle;
	/* guarded by the store's days_mtx */
	size_t pin_count;
	bool dropped; /* out of the table for readers; the last pin takes its bytes */
};

/* The last publications that changed an org, oldest first from first_idx, around. */
#define TL_CHANGES_KEPT 32u
struct tl_org_change {
	uint64_t generation;
	int64_t low_ms;
};
struct tl_org_changes {
	struct tl_org_change kept[TL_CHANGES_KEPT];
	uint32_t first_idx;
	uint32_t count;
	uint64_t forgotten; /* generation of the newest that fell out, 0: none did */
};

#define TL_FRESH_SLOTS 8u
#define TL_FRESH_BYTES_MAX (64u << 20)
struct tl_fresh_slot {
	struct tl_fresh fresh; /* group_no 0: empty */
	struct tl_arena arena; /* of what it points to */
	bool is_pinned;
};

struct tl_view {
	struct tl_store *store;
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *read_options;
	uint64_t group_no;
	uint64_t seq;
	uint64_t generation;
	size_t pin_count; /* guarded by the store's view_mtx */
};

struct tl_store {
	/* fixed after open */
	rocksdb_t *db;
	rocksdb_options_t *options;	  /* of the database and of most families */
	rocksdb_options_t *point_options; /* of families read by whole keys: with a filter */
	rocksdb_readoptions_t *read_options;
	rocksdb_writeoptions_t *sync_options;
	rocksdb_writeoptions_t *no_sync_options;
	rocksdb_column_family_handle_t *default_handle;
	rocksdb_column_family_handle_t *handles[TL_FAMILY_COUNT];
	bool read_only;
	uint64_t epoch;

	_Atomic bool has_failed; /* set once write_err is */

	/* guarded by days_mtx */
	pthread_mutex_t days_mtx;
	struct tl_day **days; /* sorted by day_ms */
	size_t day_count;
	size_t day_capacity;
	enum tl_err write_err; /* the first write that failed */
	struct tl_why write_why;

	/* guarded by view_mtx */
	pthread_mutex_t view_mtx;
	struct tl_view *view;
	size_t view_count;
	uint64_t generation;
	struct tl_map *org_idx; /* org be32 -> index into org_changes */
	struct tl_org_changes *org_changes;
	size_t org_count;
	size_t org_capacity;

	/* guarded by fresh_mtx; what is pinned does not change */
	pthread_mutex_t fresh_mtx;
	struct tl_fresh_slot fresh[TL_FRESH_SLOTS];
	size_t fresh_bytes_max; /* of one slot */

	_Atomic size_t scan_count;
	_Atomic size_t write_count;
	_Atomic uint64_t write_no; /* numbers each filling of each write */
};

/* A row of a fixed family that a write is to change; its key and value lie in the write's bytes. */
struct tl_write_row {
	size_t at; /* of the key, the value follows */
	size_t value_bytes;
	uint32_t no; /* in the order of the calls */
	uint16_t key_bytes;
	bool is_delete;
};

/* The rows of one family, in the order of the calls. */
struct tl_write_rows {
	struct tl_write_row *row;
	size_t count, capacity;
	bool is_unsorted; /* by key */
};

struct tl_write {
	struct tl_store *store;
	rocksdb_writebatch_t *batch; /* raw rows at once, the others at commit */
	struct tl_buf bytes;	     /* of the other rows */
	struct tl_write_rows rows[TL_FAMILY_COUNT];
	enum tl_err err; /* sticky: no memory for a row */
	uint64_t no;	 /* of this filling */
};

/*
 * RocksDB counts each comparison of two keys for the calling thread, and nobody reads the counts:
 * a tenth of an insert. Costs nothing when it is off already.
 */
static inline void
tl_store_quiet_thread(void)
{
	rocksdb_set_perf_level(rocksdb_disable);
}

/* RocksDB's error text -> our code; the text goes into why after what was tried, and is freed. */
enum tl_err tl_store_fail(struct tl_why *why, const char *step, char *text);

/*
 * The same for a write. RocksDB may go on after one, as if a log with a torn end were none: here it
 * is the last one (tl_store_may_write), and tl_store_background_error tells of it.
 */
enum tl_err tl_store_fail_write(
	struct tl_store *store, struct tl_why *why, const char *step, char *text);
TL_MUST enum tl_err tl_store_may_write(struct tl_store *store, struct tl_why *why);

/* The value of key in one family, replacing buf's content. */
TL_MUST enum tl_err tl_store_get_from(struct tl_store *store, const struct tl_view *view,
	rocksdb_column_family_handle_t *handle, struct tl_slice key, struct tl_buf *buf,
	struct tl_why *why);

/* The last pair of a family, newest state. TL_ENOT_FOUND in an empty family. */
TL_MUST enum tl_err tl_store_last(struct tl_store *store, enum tl_family family, struct tl_buf *key,
	struct tl_buf *value, struct tl_why *why);

/* The last pair whose key is at or below. TL_ENOT_FOUND: there is none. */
TL_MUST enum tl_err tl_store_floor(struct tl_store *store, const struct tl_view *view,
	enum tl_family family, struct tl_slice at, struct tl_buf *key, struct tl_buf *value,
	struct tl_why *why);

/* The last pair of a day before end, newest state. TL_EEND when there is none. */
TL_MUST enum tl_err tl_day_last(struct tl_store *store, struct tl_day *day, struct tl_slice end,
	struct tl_buf *key, struct tl_buf *value, struct tl_why *why);

/* Open: options as README.md says, then all families, each handle at its place in the store. */
void tl_store_make_options(struct tl_store *store, const struct tl_store_options *options);
TL_MUST enum tl_err tl_store_open_families(
	struct tl_store *store, const char *path, bool exists, struct tl_why *why);

/* Open: take over the handle of an existing day. */
TL_MUST enum tl_err tl_days_add(
	struct tl_store *store, int64_t day_ms, rocksdb_column_family_handle_t *handle);

/* Call visit for each day, pinned meanwhile; days made or dropped meanwhile may be left out. */
void tl_days_visit(struct tl_store *store,
	void (*visit)(struct tl_store *store, rocksdb_column_family_handle_t *handle, void *arg),
	void *arg);

/* Close: every day must have been let go. */
void tl_days_close(struct tl_store *store);
void tl_views_close(struct tl_store *store);

void tl_fresh_open(struct tl_store *store);
void tl_fresh_close(struct tl_store *store);

#endif
