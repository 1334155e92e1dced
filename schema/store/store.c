/*
 * What may go wrong on a disk decides most options here (schema/README.md lists them): families
 * reach their files together, recovery stops at the first torn record, and memory is bounded
 * whatever the number of families.
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
#include "schema/model/bucket.h"
#include "schema/store/key.h"
#include "schema/store/store_private.h"

#define MIB ((int64_t)1 << 20)
#define CACHE_BYTES (64 * MIB)
#define WRITE_BUFFER_BYTES (128 * MIB)
#define WAL_BYTES_MAX (128 * MIB)
#define MANIFEST_BYTES_MAX (4 * MIB)
/* A memtable takes its memory in such steps: small, because a late event may touch any of 400. */
#define ARENA_BLOCK_BYTES ((size_t)128 << 10)
#define TABLE_BLOCK_BYTES ((size_t)16 << 10)
#define FILTER_BITS_PER_KEY 10
#define LOG_LEVEL_WARN 2
#define LOG_BYTES_MAX ((size_t)1 << 20)
#define RECOVERY_POINT_IN_TIME 2

#define MARK_FORMAT "format"
#define MARK_EPOCH "epoch"
#define DAY_PREFIX "raw."

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

static rocksdb_options_t *
make_options(const struct tl_store_options *options, rocksdb_cache_t *cache, bool filter)
{
	int64_t write_buffer_bytes =
		options->write_buffer_bytes > 0 ? options->write_buffer_bytes : WRITE_BUFFER_BYTES;
	rocksdb_options_t *made = rocksdb_options_create();
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(table, cache);
	rocksdb_block_based_options_set_block_size(table, TABLE_BLOCK_BYTES);
	if (filter) /* owned by the table options from here on */
		rocksdb_block_based_options_set_filter_policy(
			table, rocksdb_filterpolicy_create_bloom_full(FILTER_BITS_PER_KEY));
	rocksdb_options_set_block_based_table_factory(made, table);
	rocksdb_block_based_options_destroy(table);

	rocksdb_options_set_create_if_missing(made, options->create);
	rocksdb_options_set_create_missing_column_families(made, 1);
	rocksdb_options_set_compression(made, rocksdb_lz4_compression);
	rocksdb_options_set_atomic_flush(made, 1);
	rocksdb_options_set_wal_recovery_mode(made, RECOVERY_POINT_IN_TIME);
	rocksdb_options_set_paranoid_checks(made, 1);
	rocksdb_options_set_recycle_log_file_num(made, 0);
	rocksdb_options_set_wal_bytes_per_sync(made, 0);
	rocksdb_options_set_manual_wal_flush(made, 0);
	rocksdb_options_set_max_total_wal_size(made, WAL_BYTES_MAX);
	rocksdb_options_set_db_write_buffer_size(made, (size_t)write_buffer_bytes);
	rocksdb_options_set_write_buffer_size(made, (size_t)write_buffer_bytes / 2);
	rocksdb_options_set_arena_block_size(made, ARENA_BLOCK_BYTES);
	rocksdb_options_set_max_open_files(made, -1);
	rocksdb_options_set_max_file_opening_threads(made, 1);
	rocksdb_options_set_skip_stats_update_on_db_open(made, 1);
	rocksdb_options_set_max_background_jobs(made, 2);
	rocksdb_options_set_max_manifest_file_size(made, (size_t)MANIFEST_BYTES_MAX);
	rocksdb_options_set_info_log_level(made, LOG_LEVEL_WARN);
	rocksdb_options_set_keep_log_file_num(made, 2);
	rocksdb_options_set_max_log_file_size(made, LOG_BYTES_MAX);
	rocksdb_options_set_stats_dump_period_sec(made, 0);
	rocksdb_options_set_stats_persist_period_sec(made, 0);
	return made;
}

static void
make_all_options(struct tl_store *store, const struct tl_store_options *options)
{
	int64_t cache_bytes = options->cache_bytes > 0 ? options->cache_bytes : CACHE_BYTES;
	rocksdb_cache_t *cache = rocksdb_cache_create_lru((size_t)cache_bytes);

	store->options = make_options(options, cache, false);
	store->point_options = make_options(options, cache, true);
	rocksdb_cache_destroy(cache); /* both options hold it */

	store->read_options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(store->read_options, 1);
	store->sync_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(store->sync_options, 1);
	store->no_sync_options = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(store->no_sync_options, 0);
}

/* The families to open, in the order of their handles. */
struct families {
	char **names;
	rocksdb_column_family_handle_t **handles;
	const rocksdb_options_t **options;
	size_t count;
};

static void
families_fini(struct families *families)
{
	for (size_t i = 0; i < families->count; i++)
		free(families->names[i]);
	free(families->names);
	free(families->handles);
	free(families->options);
}

static bool
families_have(const struct families *families, const char *name)
{
	for (size_t i = 0; i < families->count; i++) {
		if (strcmp(families->names[i], name) == 0)
			return true;
	}
	return false;
}

/* There is room: families_list counted. */
static enum tl_err
families_add(struct families *families, const char *name, const struct tl_store *store)
{
	bool point = strcmp(name, tl_family_name(TL_FAMILY_DICT)) == 0 ||
		     strcmp(name, tl_family_name(TL_FAMILY_SESSION)) == 0;
	char *copy = strdup(name);

	if (copy == NULL)
		return TL_ENOMEM;
	families->names[families->count] = copy;
	families->options[families->count] = point ? store->point_options : store->options;
	families->count++;
	return TL_OK;
}

static enum tl_err
families_list(struct tl_store *store, const char *path, bool exists, struct families *families,
	struct tl_why *why)
{
	char **found = NULL;
	char *text = NULL;
	size_t found_count = 0;
	size_t count_max;
	enum tl_err err = TL_OK;

	if (exists) {
		found = rocksdb_list_column_families(store->options, path, &found_count, &text);
		if (text != NULL)
			return tl_store_fail(why, "list families", text);
	}
	count_max = found_count + TL_FAMILY_COUNT + 1;
	families->names = calloc(count_max, sizeof(*families->names));
	families->handles = calloc(count_max, sizeof(*families->handles));
	families->options = calloc(count_max, sizeof(*families->options));
	if (families->names == NULL || families->handles == NULL || families->options == NULL)
		err = TL_ENOMEM;
	for (size_t i = 0; i < found_count && !err; i++)
		err = families_add(families, found[i], store);
	if (!err && !families_have(families, "default"))
		err = families_add(families, "default", store);
	for (size_t i = 0; i < TL_FAMILY_COUNT && !err; i++) {
		const char *name = tl_family_name((enum tl_family)i);

		if (families_have(families, name))
			continue;
		if (store->read_only)
			err = tl_fail(why, TL_ENOT_FOUND, "the family '%s' is missing", name);
		else
			err = families_add(families, name, store);
	}
	if (found != NULL)
		rocksdb_list_column_families_destroy(found, found_count);
	return err;
}

/* Hand a handle to its place in the store, which destroys it at close from then on. */
static enum tl_err
take_handle(struct tl_store *store, const char *name, rocksdb_column_family_handle_t *handle,
	struct tl_why *why)
{
	bool valid = false;
	int64_t day_ms;

	if (strcmp(name, "default") == 0) {
		store->default_handle = handle;
		return TL_OK;
	}
	for (size_t i = 0; i < TL_FAMILY_COUNT; i++) {
		if (strcmp(name, tl_family_name((enum tl_family)i)) == 0) {
			store->handles[i] = handle;
			return TL_OK;
		}
	}
	if (begins_with(name, DAY_PREFIX)) {
		day_ms = tl_day_parse(name + strlen(DAY_PREFIX), &valid);
		if (valid)
			return tl_days_add(store, day_ms, handle);
	}
	return tl_fail(why, TL_EFORMAT_TOO_NEW, "the family '%s' is not known here", name);
}

static enum tl_err
take_handles(struct tl_store *store, struct families *families, struct tl_why *why)
{
	enum tl_err first = TL_OK;

	for (size_t i = 0; i < families->count; i++) {
		enum tl_err err = take_handle(store, families->names[i], families->handles[i], why);

		/* Closing aborts over a handle that is left, so none is, also on failure. */
		if (err)
			rocksdb_column_family_handle_destroy(families->handles[i]);
		if (err && !first)
			first = err;
	}
	return first;
}

static enum tl_err
open_families(struct tl_store *store, const char *path, bool exists, struct tl_why *why)
{
	struct families families = {.count = 0};
	char *text = NULL;
	enum tl_err err;

	err = families_list(store, path, exists, &families, why);
	if (err)
		goto out;
	if (store->read_only)
		store->db = rocksdb_open_for_read_only_column_families(store->options, path,
			(int)families.count, (const char *const *)families.names, families.options,
			families.handles, 0, &text);
	else
		store->db = rocksdb_open_column_families(store->options, path, (int)families.count,
			(const char *const *)families.names, families.options, families.handles,
			&text);
	if (text != NULL) {
		store->db = NULL;
		err = tl_store_fail(why, "open", text);
		goto out;
	}
	err = take_handles(store, &families, why);

out:
	families_fini(&families);
	return err;
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

	do
		tl_random(&store->epoch, sizeof(store->epoch));
	while (store->epoch == 0);
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
	if (tl_get_be32(value.data) > TL_FORMAT_VERSION) {
		err = tl_fail(why, TL_EFORMAT_TOO_NEW, "format %" PRIu32 ", this program knows %d",
			tl_get_be32(value.data), TL_FORMAT_VERSION);
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
	make_all_options(store, options);
	err = open_families(store, path, exists, why);
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
	enum tl_err err;

	pthread_mutex_lock(&store->days_mtx);
	err = store->drop_err;
	if (err)
		tl_fail(why, err, "%s", store->drop_why.text);
	pthread_mutex_unlock(&store->days_mtx);
	if (err)
		return err;
	if (rocksdb_property_int(store->db, "rocksdb.background-errors", &count) != 0)
		return tl_fail(why, TL_EINTERNAL, "RocksDB does not tell its background errors");
	if (count > 0)
		return tl_fail(why, TL_EIO,
			"%" PRIu64 " flushes or compactions failed; db/LOG has the reason", count);
	return TL_OK;
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
