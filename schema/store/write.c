#include "schema/store/write.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/store/store_private.h"

/* What is collected from here on is another filling. */
static void
next_filling(struct tl_write *write)
{
	rocksdb_writebatch_clear(write->batch);
	write->no = atomic_fetch_add(&write->store->write_no, 1) + 1;
}

enum tl_err
tl_write_new(struct tl_store *store, struct tl_write **write_out)
{
	struct tl_write *write = calloc(1, sizeof(*write));

	assert(!store->read_only);
	if (write == NULL)
		return TL_ENOMEM;
	write->store = store;
	write->batch = rocksdb_writebatch_create();
	atomic_fetch_add(&store->write_count, 1);
	next_filling(write);
	*write_out = write;
	return TL_OK;
}

void
tl_write_free(struct tl_write *write)
{
	if (write == NULL)
		return;
	rocksdb_writebatch_destroy(write->batch);
	atomic_fetch_sub(&write->store->write_count, 1);
	free(write);
}

void
tl_write_reset(struct tl_write *write)
{
	next_filling(write);
}

static void
put(struct tl_write *write, rocksdb_column_family_handle_t *handle, struct tl_slice key,
	struct tl_slice value)
{
	assert(key.bytes > 0);
	assert(key.bytes < TL_KEY_BYTES_ABOVE);
	rocksdb_writebatch_put_cf(write->batch, handle, (const char *)key.data, key.bytes,
		(const char *)value.data, value.bytes);
}

void
tl_write_put(
	struct tl_write *write, enum tl_family family, struct tl_slice key, struct tl_slice value)
{
	assert(family < TL_FAMILY_COUNT);
	put(write, write->store->handles[family], key, value);
}

void
tl_write_put_raw(
	struct tl_write *write, struct tl_day *day, struct tl_slice key, struct tl_slice value)
{
	assert(day->store == write->store);
	put(write, day->handle, key, value);
}

void
tl_write_delete(struct tl_write *write, enum tl_family family, struct tl_slice key)
{
	assert(family < TL_FAMILY_COUNT);
	assert(key.bytes > 0);
	rocksdb_writebatch_delete_cf(
		write->batch, write->store->handles[family], (const char *)key.data, key.bytes);
}

size_t
tl_write_bytes(const struct tl_write *write)
{
	size_t bytes;

	(void)rocksdb_writebatch_data(write->batch, &bytes);
	return bytes;
}

enum tl_err
tl_write_commit(struct tl_write *write, enum tl_durability durability, struct tl_why *why)
{
	struct tl_store *store = write->store;
	char *text = NULL;

	rocksdb_write(store->db,
		durability == TL_SYNC ? store->sync_options : store->no_sync_options, write->batch,
		&text);
	next_filling(write);
	return text != NULL ? tl_store_fail(why, "write", text) : TL_OK;
}

enum tl_err
tl_store_erase(struct tl_store *store, enum tl_family family, struct tl_why *why)
{
	rocksdb_writebatch_t *batch;
	char above[TL_KEY_BYTES_ABOVE];
	char *text = NULL;

	assert(family < TL_FAMILY_COUNT);
	assert(!store->read_only);
	memset(above, 0xff, sizeof(above));
	batch = rocksdb_writebatch_create();
	rocksdb_writebatch_delete_range_cf(
		batch, store->handles[family], "", 0, above, sizeof(above));
	rocksdb_write(store->db, store->no_sync_options, batch, &text);
	rocksdb_writebatch_destroy(batch);
	return text != NULL ? tl_store_fail(why, "erase", text) : TL_OK;
}
