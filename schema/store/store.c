/*
 * Opening looks before it touches: a folder that lost CURRENT is not taken for an empty one, and a
 * store without its format row is finished only when nothing was ever stored in it.
 */
#include "schema/store/store.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/base/crypt.h"
#include "schema/base/file.h"
#include "schema/store/key.h"
#include "schema/store/store_private.h"

#define MARK_FORMAT "format"
#define MARK_EPOCH "epoch"

const char *
tl_family_name(enum tl_family family)
{
	static const char *const names[TL_FAMILY_COUNT] = {
#define X(symbol, name) [symbol] = name,
		TL_FAMILY_LIST(X)
#undef X
	};

	assert(family < TL_FAMILY_COUNT);
	return names[family];
}

static bool
begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static enum tl_err
err_of(const char *text)
{
	if (begins_with(text, "Corruption:"))
		return TL_ESTORAGE_CORRUPT;
	if (begins_with(text, "IO error: No space left"))
		return TL_ENOSPACE;
	/* By another process, and by this one. */
	if (begins_with(text, "IO error: While lock file") ||
		begins_with(text, "IO error: lock hold by current process"))
		return TL_ELOCKED;
	if (begins_with(text, "IO error:"))
		return TL_EIO;
	return TL_EINTERNAL;
}

enum tl_err
tl_store_fail(struct tl_why *why, const char *step, char *text)
{
	enum tl_err err = err_of(text);

	tl_fail(why, err, "%s: %s", step, text);
	rocksdb_free(text);
	return err;
}

enum tl_err
tl_store_fail_write(struct tl_store *store, struct tl_why *why, const char *step, char *text)
{
	struct tl_why fresh = {.text = ""};
	enum tl_err err = tl_store_fail(&fresh, step, text);

	pthread_mutex_lock(&store->days_mtx);
	if (!store->write_err) {
		store->write_err = err;
		store->write_why = fresh;
	}
	pthread_mutex_unlock(&store->days_mtx);
	atomic_store(&store->has_failed, true);
	return tl_fail(why, err, "%s", fresh.text);
}

static enum tl_err
write_error(struct tl_store *store, struct tl_why *why)
{
	enum tl_err err;

	pthread_mutex_lock(&store->days_mtx);
	err = store->write_err;
	if (err)
		tl_fail(why, err, "%s", store->write_why.text);
	pthread_mutex_unlock(&store->days_mtx);
	return err;
}

enum tl_err
tl_store_may_write(struct tl_store *store, struct tl_why *why)
{
	return atomic_load(&store->has_failed) ? write_error(store, why) : TL_OK;
}

/* A first open that was cut short leaves neither tables nor a log of writes. */
static enum tl_err
check_folder(const char *path, bool *exists_out, struct tl_why *why)
{
	char current[PATH_MAX];
	bool leftovers = false;
	struct dirent *file;
	DIR *folder;

	if (snprintf(current, sizeof(current), "%s/CURRENT", path) >= (int)sizeof(current))
		return tl_fail(why, TL_EIO, "the path '%.100s...' is too long", path);
	*exists_out = access(current, F_OK) == 0;
	if (*exists_out)
		return TL_OK;
	folder = opendir(path);
	if (folder == NULL)
		return TL_OK;
	while ((file = readdir(folder)) != NULL) {
		size_t bytes = strlen(file->d_name);

		leftovers |= bytes > 4 && (strcmp(file->d_name + bytes - 4, ".sst") == 0 ||
						  strcmp(file->d_name + bytes - 4, ".log") == 0);
	}
	closedir(folder);
	if (leftovers) /* making a new store here would delete them */
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "'%s' holds tables but no CURRENT", path);
	return TL_OK;
}

/* Both rows in one write: a store has a format and an epoch, or neither. */
static enum tl_err
put_format(struct tl_store *store, struct tl_why *why)
{
	struct tl_key format_key = tl_key_mark(MARK_FORMAT);
	struct tl_key epoch_key = tl_key_mark(MARK_EPOCH);
	uint8_t format[4];
	uint8_t epoch[8];
	struct tl_write *write = NULL;
	enum tl_err err;

	while (store->epoch == 0)
		tl_random(&store->epoch, sizeof(store->epoch));
	tl_put_be32(format, TL_FORMAT_VERSION);
	tl_put_be64(epoch, store->epoch);
	err = tl_write_new(store, &write);
	if (err)
		return err;
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&format_key),
		tl_slice_of(format, sizeof(format)));
	tl_write_put(
		write, TL_FAMILY_MARK, tl_key_slice(&epoch_key), tl_slice_of(epoch, sizeof(epoch)));
	err = tl_write_commit(write, TL_SYNC, why);
	tl_write_free(write);
	return err;
}

/* Without a format row nothing was ever stored, or something is lost: the journal tells which. */
static enum tl_err
start_format(struct tl_store *store, bool create, struct tl_why *why)
{
	struct tl_buf key;
	struct tl_buf value;
	enum tl_err err;

	tl_buf_init(&key, 0);
	tl_buf_init(&value, 0);
	err = tl_store_last(store, TL_FAMILY_JOURNAL, &key, &value, why);
	tl_buf_fini(&key);
	tl_buf_fini(&value);
	if (!err)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "the format row is missing");
	if (err != TL_ENOT_FOUND)
		return err;
	if (!create || store->read_only)
		return tl_fail(why, TL_ENOT_FOUND, "the store was not completely made");
	return put_format(store, why);
}

static enum tl_err
get_mark(struct tl_store *store, const char *name, struct tl_buf *value, struct tl_why *why)
{
	struct tl_key key = tl_key_mark(name);

	return tl_store_get(store, NULL, TL_FAMILY_MARK, tl_key_slice(&key), value, why);
}

static enum tl_err
check_format(struct tl_store *store, bool create, struct tl_why *why)
{
	struct tl_buf value;
	uint32_t version = 0;
	enum tl_err err;

	tl_buf_init(&value, 0);
	err = get_mark(store, MARK_FORMAT, &value, why);
	if (err == TL_ENOT_FOUND) {
		err = start_format(store, create, why);
		goto out;
	}
	if (err)
		goto out;
	if (value.bytes != 4 || tl_get_be32(value.data) == 0) {
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "the format row is damaged");
		goto out;
	}
	version = tl_get_be32(value.data);
	if (version > TL_FORMAT_VERSION) {
		err = tl_fail(why, TL_EFORMAT_TOO_NEW, "format %" PRIu32 ", this program knows %d",
			version, TL_FORMAT_VERSION);
		goto out;
	}
	if (version < TL_FORMAT_VERSION) {
		err = tl_fail(why, TL_EFORMAT_TOO_OLD, "format %" PRIu32 ", this program knows %d",
			version, TL_FORMAT_VERSION);
		goto out;
	}
	err = get_mark(store, MARK_EPOCH, &value, why);
	if (err && err != TL_ENOT_FOUND)
		goto out;
	if (err || value.bytes != 8) {
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "the epoch row is missing or damaged");
		goto out;
	}
	store->epoch = tl_get_be64(value.data);

out:
	tl_buf_fini(&value);
	return err;
}

static enum tl_err
open_store(struct tl_store *store, const struct tl_store_options *options, struct tl_why *why)
{
	char path[PATH_MAX];
	bool exists = false;
	enum tl_err err;

	if (snprintf(path, sizeof(path), "%s/db", options->dir) >= (int)sizeof(path))
		return tl_fail(why, TL_EIO, "the path '%.100s...' is too long", options->dir);
	err = check_folder(path, &exists, why);
	if (err)
		return err;
	if (!exists && (!options->create || options->read_only))
		return tl_fail(why, TL_ENOT_FOUND, "there is no store in '%s'", options->dir);
	if (!options->read_only) {
		err = tl_dir_make(path, why);
		if (err)
			return err;
	}
	tl_store_make_options(store, options);
	err = tl_store_open_families(store, path, exists, why);
	if (err)
		return err;
	return check_format(store, options->create, why);
}

enum tl_err
tl_store_open(
	const struct tl_store_options *options, struct tl_store **store_out, struct tl_why *why)
{
	struct tl_store *store = calloc(1, sizeof(*store));
	enum tl_err err;

	if (store == NULL)
		return TL_ENOMEM;
	pthread_mutex_init(&store->days_mtx, NULL);
	pthread_mutex_init(&store->view_mtx, NULL);
	tl_fresh_open(store);
	store->read_only = options->read_only;
	err = open_store(store, options, why);
	if (err) {
		tl_store_close(store);
		return err;
	}
	*store_out = store;
	return TL_OK;
}

static void
destroy_handles(struct tl_store *store)
{
	for (size_t i = 0; i < TL_FAMILY_COUNT; i++) {
		if (store->handles[i] != NULL)
			rocksdb_column_family_handle_destroy(store->handles[i]);
	}
	if (store->default_handle != NULL)
		rocksdb_column_family_handle_destroy(store->default_handle);
}

void
tl_store_close(struct tl_store *store)
{
	if (store == NULL)
		return;
	assert(atomic_load(&store->scan_count) == 0);
	assert(atomic_load(&store->write_count) == 0);
	tl_views_close(store);
	tl_days_close(store);
	tl_fresh_close(store);
	destroy_handles(store);
	if (store->db != NULL)
		rocksdb_close(store->db);
	if (store->options != NULL) {
		rocksdb_writeoptions_destroy(store->no_sync_options);
		rocksdb_writeoptions_destroy(store->sync_options);
		rocksdb_readoptions_destroy(store->read_options);
		rocksdb_options_destroy(store->point_options);
		rocksdb_options_destroy(store->options);
	}
	pthread_mutex_destroy(&store->view_mtx);
	pthread_mutex_destroy(&store->days_mtx);
	free(store);
}

uint64_t
tl_store_epoch(const struct tl_store *store)
{
	return store->epoch;
}

enum tl_err
tl_store_get_from(struct tl_store *store, const struct tl_view *view,
	rocksdb_column_family_handle_t *handle, struct tl_slice key, struct tl_buf *buf,
	struct tl_why *why)
{
	rocksdb_readoptions_t *options = view != NULL ? view->read_options : store->read_options;
	rocksdb_pinnableslice_t *pinned;
	char *text = NULL;
	const char *data;
	size_t bytes;

	tl_store_quiet_thread();
	pinned = rocksdb_get_pinned_cf(
		store->db, options, handle, (const char *)key.data, key.bytes, &text);
	if (text != NULL)
		return tl_store_fail(why, "get", text);
	if (pinned == NULL)
		return TL_ENOT_FOUND;
	data = rocksdb_pinnableslice_value(pinned, &bytes);
	tl_buf_reset(buf);
	tl_buf_put(buf, data, bytes);
	rocksdb_pinnableslice_destroy(pinned);
	if (buf->err)
		return tl_fail(why, buf->err, "get: no room for %zu bytes", bytes);
	return TL_OK;
}

enum tl_err
tl_store_get(struct tl_store *store, const struct tl_view *view, enum tl_family family,
	struct tl_slice key, struct tl_buf *buf, struct tl_why *why)
{
	assert(family < TL_FAMILY_COUNT);
	return tl_store_get_from(store, view, store->handles[family], key, buf, why);
}

static uint64_t
family_figure(struct tl_store *store, rocksdb_column_family_handle_t *handle, const char *name)
{
	uint64_t value = 0;

	if (rocksdb_property_int_cf(store->db, handle, name, &value) != 0)
		return 0;
	return value;
}

struct sizes {
	uint64_t sst_bytes;
	uint64_t memtable_bytes;
};

static void
add_sizes(struct tl_store *store, rocksdb_column_family_handle_t *handle, void *arg)
{
	struct sizes *sizes = arg;

	sizes->sst_bytes += family_figure(store, handle, "rocksdb.live-sst-files-size");
	sizes->memtable_bytes += family_figure(store, handle, "rocksdb.cur-size-all-mem-tables");
}

void
tl_store_sizes(struct tl_store *store, uint64_t *sst_bytes_out, uint64_t *memtable_bytes_out)
{
	struct sizes sizes = {0};

	for (size_t i = 0; i < TL_FAMILY_COUNT; i++)
		add_sizes(store, store->handles[i], &sizes);
	tl_days_visit(store, add_sizes, &sizes);
	*sst_bytes_out = sizes.sst_bytes;
	*memtable_bytes_out = sizes.memtable_bytes;
}

enum tl_err
tl_store_background_error(struct tl_store *store, struct tl_why *why)
{
	uint64_t count = 0;
	enum tl_err err = write_error(store, why);

	if (err)
		return err;
	if (rocksdb_property_int(store->db, "rocksdb.background-errors", &count) != 0)
		return tl_fail(why, TL_EINTERNAL, "RocksDB does not tell its background errors");
	if (count > 0)
		return tl_fail(why, TL_EIO,
			"%" PRIu64 " flushes or compactions failed; db/LOG has the reason", count);
	return TL_OK;
}

enum tl_err
tl_store_end_background(struct tl_store *store, struct tl_why *why)
{
	rocksdb_cancel_all_background_work(store->db, 1);
	return tl_store_background_error(store, why);
}

static void
compact(struct tl_store *store, rocksdb_column_family_handle_t *handle, void *arg)
{
	(void)arg;
	rocksdb_compact_range_cf(store->db, handle, NULL, 0, NULL, 0);
}

void
tl_store_compact(struct tl_store *store)
{
	for (size_t i = 0; i < TL_FAMILY_COUNT; i++)
		compact(store, store->handles[i], NULL);
	tl_days_visit(store, compact, NULL);
}
