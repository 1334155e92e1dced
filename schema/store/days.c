/*
 * A day leaves in two steps: tl_day_drop hides it from tl_day_pin, and whoever holds the last pin
 * (tl_day_drop itself when there is none) drops the family. It stays in the table in between, so
 * that no second family of its name is made.
 */
#include "schema/store/days.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/model/bucket.h"
#include "schema/store/store_private.h"

#define DAYS_INITIAL 64u

/* The first place whose day is not before day_ms. Under days_mtx. */
static size_t
find_place(const struct tl_store *store, int64_t day_ms)
{
	size_t low = 0;
	size_t high = store->day_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (store->days[middle]->day_ms < day_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Also one that is being dropped. Under days_mtx. */
static struct tl_day *
find_day(const struct tl_store *store, int64_t day_ms)
{
	size_t at = find_place(store, day_ms);

	if (at == store->day_count || store->days[at]->day_ms != day_ms)
		return NULL;
	return store->days[at];
}

/* Under days_mtx; the day is new. */
static enum tl_err
insert_day(struct tl_store *store, struct tl_day *day)
{
	size_t at = find_place(store, day->day_ms);

	if (store->day_count == store->day_capacity) {
		size_t capacity = store->day_capacity > 0 ? store->day_capacity * 2 : DAYS_INITIAL;
		struct tl_day **days = realloc(store->days, capacity * sizeof(*days));

		if (days == NULL)
			return TL_ENOMEM;
		store->days = days;
		store->day_capacity = capacity;
	}
	memmove(store->days + at + 1, store->days + at,
		(store->day_count - at) * sizeof(*store->days));
	store->days[at] = day;
	store->day_count++;
	return TL_OK;
}

/* Under days_mtx. */
static void
remove_day(struct tl_store *store, struct tl_day *day)
{
	size_t at = find_place(store, day->day_ms);

	assert(at < store->day_count);
	assert(store->days[at] == day);
	store->day_count--;
	memmove(store->days + at, store->days + at + 1,
		(store->day_count - at) * sizeof(*store->days));
}

enum tl_err
tl_days_add(struct tl_store *store, int64_t day_ms, rocksdb_column_family_handle_t *handle)
{
	struct tl_day *day = calloc(1, sizeof(*day));
	enum tl_err err;

	if (day == NULL)
		return TL_ENOMEM;
	*day = (struct tl_day){.store = store, .day_ms = day_ms, .handle = handle};
	pthread_mutex_lock(&store->days_mtx);
	err = insert_day(store, day);
	pthread_mutex_unlock(&store->days_mtx);
	if (err)
		free(day);
	return err;
}

void
tl_days_close(struct tl_store *store)
{
	for (size_t i = 0; i < store->day_count; i++) {
		assert(store->days[i]->pin_count == 0);
		rocksdb_column_family_handle_destroy(store->days[i]->handle);
		free(store->days[i]);
	}
	free(store->days);
}

struct tl_day *
tl_day_pin(struct tl_store *store, int64_t day_ms)
{
	struct tl_day *day;

	pthread_mutex_lock(&store->days_mtx);
	day = find_day(store, day_ms);
	if (day != NULL && day->dropped)
		day = NULL;
	if (day != NULL)
		day->pin_count++;
	pthread_mutex_unlock(&store->days_mtx);
	return day;
}

/* Nobody holds the day and nobody can: its bytes go. */
static enum tl_err
drop_family(struct tl_day *day, struct tl_why *why)
{
	struct tl_store *store = day->store;
	char *text = NULL;
	enum tl_err err = TL_OK;

	rocksdb_drop_column_family(store->db, day->handle, &text);
	if (text != NULL)
		err = tl_store_fail_write(store, why, "drop a day", text);
	rocksdb_column_family_handle_destroy(day->handle);

	pthread_mutex_lock(&store->days_mtx);
	remove_day(store, day);
	pthread_mutex_unlock(&store->days_mtx);
	free(day);
	return err;
}

void
tl_day_unpin(struct tl_day *day)
{
	struct tl_store *store;
	bool last;

	if (day == NULL)
		return;
	store = day->store;
	pthread_mutex_lock(&store->days_mtx);
	assert(day->pin_count > 0);
	day->pin_count--;
	last = day->pin_count == 0 && day->dropped;
	pthread_mutex_unlock(&store->days_mtx);
	if (last)
		(void)drop_family(day, NULL);
}

int64_t
tl_day_ms(const struct tl_day *day)
{
	return day->day_ms;
}

/* A pin on the day that is there: *day_out NULL when there is none. */
static enum tl_err
pin_present(struct tl_store *store, int64_t day_ms, struct tl_day **day_out, struct tl_why *why)
{
	struct tl_day *day;
	bool dropped;

	pthread_mutex_lock(&store->days_mtx);
	day = find_day(store, day_ms);
	dropped = day != NULL && day->dropped;
	if (day != NULL && !dropped)
		day->pin_count++;
	pthread_mutex_unlock(&store->days_mtx);
	if (dropped)
		return tl_fail(why, TL_ECONFLICT, "the day is dropped and still read");
	*day_out = day;
	return TL_OK;
}

/* The writer alone makes days, so none can appear between the look and the insertion. */
enum tl_err
tl_day_make(struct tl_store *store, int64_t day_ms, struct tl_day **day_out, struct tl_why *why)
{
	struct tl_day *day = NULL;
	rocksdb_column_family_handle_t *handle;
	char name[sizeof("raw.") + TL_DAY_TEXT_BYTES];
	char text[TL_DAY_TEXT_BYTES];
	char *error = NULL;
	enum tl_err err;

	assert(tl_bucket_floor(TL_SPAN_1D, day_ms) == day_ms);
	err = pin_present(store, day_ms, &day, why);
	if (err)
		return err;
	if (day != NULL) {
		*day_out = day;
		return TL_OK;
	}
	tl_day_format(day_ms, text);
	snprintf(name, sizeof(name), "raw.%s", text);
	handle = rocksdb_create_column_family(store->db, store->options, name, &error);
	if (error != NULL)
		return tl_store_fail_write(store, why, "make a day", error);
	err = tl_days_add(store, day_ms, handle);
	if (err) {
		rocksdb_column_family_handle_destroy(handle);
		return err;
	}
	*day_out = tl_day_pin(store, day_ms);
	assert(*day_out != NULL);
	return TL_OK;
}

size_t
tl_days_list(struct tl_store *store, int64_t *day_ms_out, size_t count_max)
{
	size_t count = 0;

	pthread_mutex_lock(&store->days_mtx);
	for (size_t i = 0; i < store->day_count; i++) {
		if (store->days[i]->dropped)
			continue;
		if (count < count_max)
			day_ms_out[count] = store->days[i]->day_ms;
		count++;
	}
	pthread_mutex_unlock(&store->days_mtx);
	return count;
}

void
tl_days_visit(struct tl_store *store,
	void (*visit)(struct tl_store *store, rocksdb_column_family_handle_t *handle, void *arg),
	void *arg)
{
	struct tl_day **pinned;
	size_t count = 0;

	pthread_mutex_lock(&store->days_mtx);
	pinned = calloc(store->day_count + 1, sizeof(struct tl_day *));
	for (size_t i = 0; pinned != NULL && i < store->day_count; i++) {
		if (store->days[i]->dropped)
			continue;
		store->days[i]->pin_count++;
		pinned[count++] = store->days[i];
	}
	pthread_mutex_unlock(&store->days_mtx);

	for (size_t i = 0; i < count; i++) {
		visit(store, pinned[i]->handle, arg);
		tl_day_unpin(pinned[i]);
	}
	free(pinned);
}

enum tl_err
tl_day_drop(struct tl_store *store, int64_t day_ms, struct tl_why *why)
{
	struct tl_day *day;
	bool last;

	assert(!store->read_only);
	pthread_mutex_lock(&store->days_mtx);
	day = find_day(store, day_ms);
	if (day == NULL || day->dropped) {
		pthread_mutex_unlock(&store->days_mtx);
		return tl_fail(why, TL_ENOT_FOUND, "there is no such day");
	}
	day->dropped = true;
	last = day->pin_count == 0;
	pthread_mutex_unlock(&store->days_mtx);
	return last ? drop_family(day, why) : TL_OK;
}

enum tl_err
tl_day_get(struct tl_store *store, const struct tl_view *view, struct tl_day *day,
	struct tl_slice key, struct tl_buf *buf, struct tl_why *why)
{
	return tl_store_get_from(store, view, day->handle, key, buf, why);
}

void
tl_day_compact(struct tl_store *store, struct tl_day *day)
{
	rocksdb_compactoptions_t *options = rocksdb_compactoptions_create();

	rocksdb_compactoptions_set_exclusive_manual_compaction(options, 0);
	rocksdb_compact_range_cf_opt(store->db, day->handle, options, NULL, 0, NULL, 0);
	rocksdb_compactoptions_destroy(options);
}
