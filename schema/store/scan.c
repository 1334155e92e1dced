/* The only loop over an iterator: damage shows up as an early end, and is asked for here. */
#include "schema/store/scan.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/store/store_private.h"

struct tl_scan {
	struct tl_store *store;
	rocksdb_readoptions_t *options;
	rocksdb_iterator_t *iterator;
	enum tl_err end; /* what tl_scan_next said last when it did not give a pair */
	bool begun;
	size_t bound_bytes;
	char bound[]; /* RocksDB keeps a pointer to it, not a copy */
};

/* Scans of days pass over much that is not read again soon: they leave the cache alone. */
enum cache_use {
	CACHE_FILL,
	CACHE_LEAVE,
};

static enum tl_err
open_scan(struct tl_store *store, const struct tl_view *view,
	rocksdb_column_family_handle_t *handle, enum cache_use cache_use, struct tl_slice last,
	struct tl_scan **scan_out, struct tl_why *why)
{
	size_t bound_bytes = last.bytes > 0 ? last.bytes : TL_KEY_BYTES_ABOVE;
	struct tl_scan *scan = malloc(sizeof(*scan) + bound_bytes);

	if (scan == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for a scan");
	*scan = (struct tl_scan){.store = store, .bound_bytes = bound_bytes};
	if (last.bytes > 0)
		memcpy(scan->bound, last.data, last.bytes);
	else
		memset(scan->bound, 0xff, bound_bytes);
	scan->options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(scan->options, 1);
	rocksdb_readoptions_set_fill_cache(scan->options, cache_use == CACHE_FILL);
	rocksdb_readoptions_set_iterate_upper_bound(scan->options, scan->bound, bound_bytes);
	if (view != NULL)
		rocksdb_readoptions_set_snapshot(scan->options, view->snapshot);
	tl_store_quiet_thread();
	scan->iterator = rocksdb_create_iterator_cf(store->db, scan->options, handle);
	atomic_fetch_add(&store->scan_count, 1);
	*scan_out = scan;
	return TL_OK;
}

static void
seek(struct tl_scan *scan, struct tl_slice first)
{
	rocksdb_iter_seek(scan->iterator, (const char *)first.data, first.bytes);
}

enum tl_err
tl_scan_open(struct tl_store *store, const struct tl_view *view, enum tl_family family,
	struct tl_slice first, struct tl_slice last, struct tl_scan **scan_out, struct tl_why *why)
{
	enum tl_err err;

	assert(family < TL_FAMILY_COUNT);
	err = open_scan(store, view, store->handles[family], CACHE_FILL, last, scan_out, why);
	if (!err)
		seek(*scan_out, first);
	return err;
}

enum tl_err
tl_scan_open_day(struct tl_store *store, const struct tl_view *view, struct tl_day *day,
	struct tl_slice first, struct tl_slice last, struct tl_scan **scan_out, struct tl_why *why)
{
	enum tl_err err;

	assert(day->store == store);
	err = open_scan(store, view, day->handle, CACHE_LEAVE, last, scan_out, why);
	if (!err)
		seek(*scan_out, first);
	return err;
}

static struct tl_slice
iterator_key(const rocksdb_iterator_t *iterator)
{
	size_t bytes;
	const char *data = rocksdb_iter_key(iterator, &bytes);

	return tl_slice_of(data, bytes);
}

static struct tl_slice
iterator_value(const rocksdb_iterator_t *iterator)
{
	size_t bytes;
	const char *data = rocksdb_iter_value(iterator, &bytes);

	return tl_slice_of(data, bytes);
}

/* The iterator stands on nothing: the end or an error, and only RocksDB knows which. */
static enum tl_err
end_of(const rocksdb_iterator_t *iterator, struct tl_why *why)
{
	char *text = NULL;

	rocksdb_iter_get_error(iterator, &text);
	return text != NULL ? tl_store_fail(why, "scan", text) : TL_EEND;
}

enum tl_err
tl_scan_next(struct tl_scan *scan, struct tl_slice *key_out, struct tl_slice *value_out,
	struct tl_why *why)
{
	if (scan->end)
		return scan->end;
	if (scan->begun)
		rocksdb_iter_next(scan->iterator);
	scan->begun = true;
	if (!rocksdb_iter_valid(scan->iterator)) {
		scan->end = end_of(scan->iterator, why);
		return scan->end;
	}
	*key_out = iterator_key(scan->iterator);
	*value_out = iterator_value(scan->iterator);
	return TL_OK;
}

void
tl_scan_free(struct tl_scan *scan)
{
	if (scan == NULL)
		return;
	rocksdb_iter_destroy(scan->iterator);
	rocksdb_readoptions_destroy(scan->options);
	atomic_fetch_sub(&scan->store->scan_count, 1);
	free(scan);
}

/* The pair under the iterator, copied, and the scan freed. TL_EEND: it stands on nothing. */
static enum tl_err
take_pair(struct tl_scan *scan, struct tl_buf *key, struct tl_buf *value, struct tl_why *why)
{
	enum tl_err err;

	if (rocksdb_iter_valid(scan->iterator)) {
		tl_buf_reset(key);
		tl_buf_put_slice(key, iterator_key(scan->iterator));
		tl_buf_reset(value);
		tl_buf_put_slice(value, iterator_value(scan->iterator));
		err = key->err ? key->err : value->err;
	} else {
		err = end_of(scan->iterator, why);
	}
	tl_scan_free(scan);
	return err;
}

enum tl_err
tl_day_last(struct tl_store *store, struct tl_day *day, struct tl_slice end, struct tl_buf *key,
	struct tl_buf *value, struct tl_why *why)
{
	struct tl_scan *scan;
	enum tl_err err;

	assert(day->store == store);
	err = open_scan(store, NULL, day->handle, CACHE_LEAVE, end, &scan, why);
	if (err)
		return err;
	rocksdb_iter_seek_to_last(scan->iterator);
	return take_pair(scan, key, value, why);
}

enum tl_err
tl_store_last(struct tl_store *store, enum tl_family family, struct tl_buf *key,
	struct tl_buf *value, struct tl_why *why)
{
	struct tl_scan *scan;
	enum tl_err err;

	assert(family < TL_FAMILY_COUNT);
	err = open_scan(
		store, NULL, store->handles[family], CACHE_FILL, tl_slice_of(NULL, 0), &scan, why);
	if (err)
		return err;
	rocksdb_iter_seek_to_last(scan->iterator);
	err = take_pair(scan, key, value, why);
	return err == TL_EEND ? TL_ENOT_FOUND : err;
}

enum tl_err
tl_store_floor(struct tl_store *store, const struct tl_view *view, enum tl_family family,
	struct tl_slice at, struct tl_buf *key, struct tl_buf *value, struct tl_why *why)
{
	struct tl_scan *scan;
	enum tl_err err;

	assert(family < TL_FAMILY_COUNT);
	err = open_scan(
		store, view, store->handles[family], CACHE_FILL, tl_slice_of(NULL, 0), &scan, why);
	if (err)
		return err;
	rocksdb_iter_seek_for_prev(scan->iterator, (const char *)at.data, at.bytes);
	err = take_pair(scan, key, value, why);
	return err == TL_EEND ? TL_ENOT_FOUND : err;
}
