/*
 * The families of a store and how they are opened. What may go wrong on a disk decides most options
 * (schema/README.md lists them): families reach their files together, recovery stops at the first
 * torn record, and memory is bounded whatever the number of families.
 */
#include <stdlib.h>
#include <string.h>

#include "schema/model/bucket.h"
#include "schema/store/store_private.h"

#define MIB ((int64_t)1 << 20)
#define CACHE_BYTES (64 * MIB)
#define WRITE_BUFFER_BYTES (128 * MIB)
/* One compaction at a time takes about this much room, L0 into L1 included. */
#define COMPACTION_BYTES_MAX (512 * MIB)
#define MANIFEST_BYTES_MAX (4 * MIB)
/* A memtable takes its memory in such steps: small, because a late event may touch any of 400. */
#define ARENA_BLOCK_BYTES ((size_t)128 << 10)
#define TABLE_BLOCK_BYTES ((size_t)16 << 10)
#define FILTER_BITS_PER_KEY 10
#define MEMTABLE_FILTER_RATIO 0.02 /* of the write buffer: 1.3 MB a memtable, made with it */
/* One more than RocksDB's own: a flush that takes long need not stop the writer. */
#define MEMTABLES_MAX 3
#define LOG_LEVEL_WARN 2
#define LOG_BYTES_MAX ((size_t)1 << 20)
#define RECOVERY_POINT_IN_TIME 2

#define DAY_PREFIX "raw."

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
	if (filter) { /* the same for what is in memory still */
		rocksdb_options_set_memtable_prefix_bloom_size_ratio(made, MEMTABLE_FILTER_RATIO);
		rocksdb_options_set_memtable_whole_key_filtering(made, 1);
	}
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
	rocksdb_options_set_max_total_wal_size(made, (uint64_t)write_buffer_bytes);
	rocksdb_options_set_max_compaction_bytes(made, COMPACTION_BYTES_MAX);
	rocksdb_options_set_db_write_buffer_size(made, (size_t)write_buffer_bytes);
	rocksdb_options_set_write_buffer_size(made, (size_t)write_buffer_bytes / 2);
	rocksdb_options_set_max_write_buffer_number(made, MEMTABLES_MAX);
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

void
tl_store_make_options(struct tl_store *store, const struct tl_store_options *options)
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
	if (strncmp(name, DAY_PREFIX, strlen(DAY_PREFIX)) == 0) {
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

enum tl_err
tl_store_open_families(struct tl_store *store, const char *path, bool exists, struct tl_why *why)
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
