/*
 * Rows of the fixed families go into the memtables in the order of their keys, whatever the order
 * they were put in: RocksDB begins the search for a row's place where the one before went in, and a
 * search from the top is what an insert costs. Of several puts of one key only the last goes in.
 */
#include "schema/store/write.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/store/store_private.h"

/* What is collected from here on is another filling. */
static void
next_filling(struct tl_write *write)
{
	rocksdb_writebatch_clear(write->batch);
	tl_buf_reset(&write->bytes);
	for (size_t i = 0; i < TL_FAMILY_COUNT; i++) {
		write->rows[i].count = 0;
		write->rows[i].is_unsorted = false;
	}
	write->err = TL_OK;
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
	tl_buf_init(&write->bytes, 0);
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
	tl_buf_fini(&write->bytes);
	for (size_t i = 0; i < TL_FAMILY_COUNT; i++)
		free(write->rows[i].row);
	atomic_fetch_sub(&write->store->write_count, 1);
	free(write);
}

void
tl_write_reset(struct tl_write *write)
{
	next_filling(write);
}

static struct tl_slice
key_of(const struct tl_write *write, const struct tl_write_row *row)
{
	return tl_slice_of(write->bytes.data + row->at, row->key_bytes);
}

static struct tl_write_row *
add_row(struct tl_write_rows *rows)
{
	if (rows->count == rows->capacity) {
		size_t capacity = rows->capacity * 2 + 64;
		struct tl_write_row *row = realloc(rows->row, capacity * sizeof(*row));

		if (row == NULL)
			return NULL;
		rows->row = row;
		rows->capacity = capacity;
	}
	return &rows->row[rows->count++];
}

static void
collect(struct tl_write *write, enum tl_family family, struct tl_slice key, struct tl_slice value,
	bool is_delete)
{
	struct tl_write_rows *rows = &write->rows[family];
	struct tl_write_row *row;

	assert(family < TL_FAMILY_COUNT);
	assert(key.bytes > 0);
	assert(key.bytes < TL_KEY_BYTES_ABOVE);
	row = write->err ? NULL : add_row(rows);
	if (row == NULL) {
		write->err = TL_ENOMEM;
		return;
	}
	*row = (struct tl_write_row){
		.at = write->bytes.bytes,
		.value_bytes = value.bytes,
		.no = (uint32_t)rows->count,
		.key_bytes = (uint16_t)key.bytes,
		.is_delete = is_delete,
	};
	if (rows->count > 1 && tl_slice_cmp(key_of(write, row - 1), key) > 0)
		rows->is_unsorted = true;
	tl_buf_put_slice(&write->bytes, key);
	tl_buf_put_slice(&write->bytes, value);
}

void
tl_write_put(
	struct tl_write *write, enum tl_family family, struct tl_slice key, struct tl_slice value)
{
	collect(write, family, key, value, false);
}

void
tl_write_delete(struct tl_write *write, enum tl_family family, struct tl_slice key)
{
	collect(write, family, key, tl_slice_of(NULL, 0), true);
}

void
tl_write_put_raw(
	struct tl_write *write, struct tl_day *day, struct tl_slice key, struct tl_slice value)
{
	assert(day->store == write->store);
	assert(key.bytes > 0);
	assert(key.bytes < TL_KEY_BYTES_ABOVE);
	rocksdb_writebatch_put_cf(write->batch, day->handle, (const char *)key.data, key.bytes,
		(const char *)value.data, value.bytes);
}

void
tl_write_delete_raw(struct tl_write *write, struct tl_day *day, struct tl_slice key)
{
	assert(day->store == write->store);
	assert(key.bytes > 0);
	rocksdb_writebatch_delete_cf(write->batch, day->handle, (const char *)key.data, key.bytes);
}

size_t
tl_write_bytes(const struct tl_write *write)
{
	size_t bytes;

	(void)rocksdb_writebatch_data(write->batch, &bytes);
	return bytes + write->bytes.bytes;
}

static int
row_cmp(const void *a_arg, const void *b_arg, void *write)
{
	const struct tl_write_row *a = a_arg;
	const struct tl_write_row *b = b_arg;
	int order = tl_slice_cmp(key_of(write, a), key_of(write, b));

	return order != 0 ? order : (a->no > b->no) - (a->no < b->no);
}

static void
apply(struct tl_write *write, enum tl_family family, const struct tl_write_row *row)
{
	rocksdb_column_family_handle_t *handle = write->store->handles[family];
	const char *key = (const char *)write->bytes.data + row->at;

	if (row->is_delete)
		rocksdb_writebatch_delete_cf(write->batch, handle, key, row->key_bytes);
	else
		rocksdb_writebatch_put_cf(write->batch, handle, key, row->key_bytes,
			key + row->key_bytes, row->value_bytes);
}

static void
apply_family(struct tl_write *write, enum tl_family family)
{
	struct tl_write_rows *rows = &write->rows[family];

	if (rows->is_unsorted)
		qsort_r(rows->row, rows->count, sizeof(*rows->row), row_cmp, write);
	for (size_t i = 0; i < rows->count; i++) {
		const struct tl_write_row *row = &rows->row[i];

		if (i + 1 == rows->count ||
			!tl_slice_eq(key_of(write, row), key_of(write, row + 1)))
			apply(write, family, row);
	}
}

enum tl_err
tl_write_commit(struct tl_write *write, enum tl_durability durability, struct tl_why *why)
{
	struct tl_store *store = write->store;
	char *text = NULL;
	enum tl_err err = tl_store_may_write(store, why);

	if (!err && (write->err || write->bytes.err))
		err = tl_fail(why, TL_ENOMEM, "no memory for a write");
	if (err) {
		next_filling(write);
		return err;
	}
	for (enum tl_family family = 0; family < TL_FAMILY_COUNT; family++)
		apply_family(write, family);
	tl_store_quiet_thread();
	rocksdb_write(store->db,
		durability == TL_SYNC ? store->sync_options : store->no_sync_options, write->batch,
		&text);
	next_filling(write);
	return text != NULL ? tl_store_fail_write(store, why, "write", text) : TL_OK;
}

enum tl_err
tl_store_erase(struct tl_store *store, enum tl_family family, struct tl_why *why)
{
	rocksdb_writebatch_t *batch;
	char above[TL_KEY_BYTES_ABOVE];
	char *text = NULL;
	enum tl_err err = tl_store_may_write(store, why);

	assert(family < TL_FAMILY_COUNT);
	assert(!store->read_only);
	if (err)
		return err;
	memset(above, 0xff, sizeof(above));
	batch = rocksdb_writebatch_create();
	rocksdb_writebatch_delete_range_cf(
		batch, store->handles[family], "", 0, above, sizeof(above));
	rocksdb_write(store->db, store->no_sync_options, batch, &text);
	rocksdb_writebatch_destroy(batch);
	return text != NULL ? tl_store_fail_write(store, why, "erase", text) : TL_OK;
}
