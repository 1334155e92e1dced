/*
 * A preload library that makes RocksDB keep the write-ahead log it recovered and begin another, as
 * it also does while it flushes. So a test gets a directory with two live logs: kill, start with
 * this, push, kill.
 */
#include <dlfcn.h>
#include <rocksdb/c.h>
#include <stdlib.h>

rocksdb_t *
rocksdb_open_column_families(const rocksdb_options_t *options, const char *name, int family_count,
	const char *const *family_names, const rocksdb_options_t *const *family_options,
	rocksdb_column_family_handle_t **handles, char **error)
{
	__typeof__(&rocksdb_open_column_families) next =
		(__typeof__(next))dlsym(RTLD_NEXT, "rocksdb_open_column_families");
	rocksdb_options_t *lazy = rocksdb_options_create();

	rocksdb_get_options_from_string(options, "avoid_flush_during_recovery=true", lazy, error);
	if (*error != NULL)
		abort();
	return next(lazy, name, family_count, family_names, family_options, handles, error);
}
