#include "rollup/expire.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "rollup/mark.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/model/bucket.h"
#include "schema/model/limits.h"
#include "schema/store/days.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/write.h"

#define EXPIRY_S (6 * 3600)
#define CLOSED_S 60
#define SESSION_DAYS TL_RETENTION_DAYS

/* Rows a write: the fold waits for no more than these. */
#define DELETES_MAX 256u

/* The mark file stands at one of the newest groups: it is written every 100 ms, 500 groups at most.
 */
#define GROUPS_KEPT 1000u

/* A session's buckets and links; far above what one can hold. */
#define SESSION_ARENA_BYTES_MAX (256u << 20)

static pthread_mutex_t session_mtx = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t generation;

void
expire_hold(void)
{
	pthread_mutex_lock(&session_mtx);
}

void
expire_release(void)
{
	pthread_mutex_unlock(&session_mtx);
}

uint64_t
expire_generation(void)
{
	return atomic_load(&generation);
}

/* The days there are, oldest first; the caller frees the list. */
static enum tl_err
list_days(struct tl_store *store, int64_t **day_ms_out, size_t *count_out)
{
	size_t count = tl_days_list(store, NULL, 0);
	int64_t *day_ms = calloc(count + 1, sizeof(*day_ms));

	if (day_ms == NULL)
		return TL_ENOMEM;
	if (tl_days_list(store, day_ms, count) < count)
		count = tl_days_list(store, day_ms, count);
	*day_ms_out = day_ms;
	*count_out = count;
	return TL_OK;
}

static enum tl_err
drop_days(struct tl_store *store, int64_t cut_ms, uint64_t *count_out, struct tl_why *why)
{
	int64_t *day_ms = NULL;
	size_t count = 0;
	enum tl_err err = list_days(store, &day_ms, &count);

	for (size_t i = 0; !err && i < count && day_ms[i] < cut_ms; i++) {
		err = tl_day_drop(store, day_ms[i], why);
		if (!err)
			++*count_out;
	}
	free(day_ms);
	return err;
}

/* The first day there is from from_ms on; INT64_MAX when there is none. */
static enum tl_err
find_day(struct tl_store *store, int64_t from_ms, int64_t *day_ms_out)
{
	int64_t *day_ms = NULL;
	size_t count = 0;
	enum tl_err err = list_days(store, &day_ms, &count);

	*day_ms_out = INT64_MAX;
	for (size_t i = count; i > 0 && day_ms[i - 1] >= from_ms; i--)
		*day_ms_out = day_ms[i - 1];
	free(day_ms);
	return err;
}

/*
 * Hold the cut to the end of the first day that is still there. Days without events are passed
 * over, but with no day at all nothing moves: there is nothing to tell a wrong clock by.
 */
static enum tl_err
hold_cut(struct tl_store *store, struct tl_expiry *cut, struct tl_why *why)
{
	struct tl_expiry before;
	int64_t day_ms;
	enum tl_err err = tl_expiry_get(store, NULL, &before, why);

	if (!err)
		err = find_day(store, before.day_ms, &day_ms);
	if (err)
		return err;
	if (day_ms == INT64_MAX)
		cut->day_ms = before.day_ms;
	else if (cut->day_ms > day_ms + TL_DAY_MS)
		cut->day_ms = day_ms + TL_DAY_MS;
	if (before.session_ms != INT64_MIN && cut->session_ms > before.session_ms + TL_DAY_MS)
		cut->session_ms = before.session_ms + TL_DAY_MS;
	/* A row that can still be corrected finds its session. */
	if (cut->session_ms > cut->day_ms)
		cut->session_ms = cut->day_ms;
	return TL_OK;
}

static enum tl_err
commit_deletes(struct tl_write *write, struct tl_why *why)
{
	enum tl_err err = tl_write_commit(write, TL_NO_SYNC, why);

	atomic_fetch_add(&generation, 1);
	return err;
}

/* Where an org's rows of before the cut end. They are in order of time. */
static struct tl_key
front_end(enum tl_family family, uint32_t org, int64_t cut_ms)
{
	if (family == TL_FAMILY_INTAKE)
		return tl_key_intake(org, cut_ms, 0);
	return tl_key_cell(org, TL_SPAN_1H, cut_ms);
}

static enum tl_err
drop_org_front(struct tl_store *store, struct tl_write *write, enum tl_family family, uint32_t org,
	int64_t cut_ms, uint64_t *count_out, struct tl_why *why)
{
	struct tl_key first = tl_key_org(org);
	struct tl_key last = front_end(family, org, cut_ms);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	uint32_t pending = 0;
	enum tl_err err;

	err = tl_scan_open(
		store, NULL, family, tl_key_slice(&first), tl_key_slice(&last), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK) {
		tl_write_delete(write, family, key);
		++*count_out;
		if (++pending == DELETES_MAX) {
			pending = 0;
			err = commit_deletes(write, why);
		}
	}
	tl_scan_free(scan);
	if (err == TL_EEND)
		err = commit_deletes(write, why);
	return err;
}

/* The first org after org that has rows; TL_EEND. Org 0 has none. */
static enum tl_err
next_org(struct tl_store *store, enum tl_family family, uint32_t *org, struct tl_why *why)
{
	struct tl_key first = tl_key_org_end(*org);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open(
		store, NULL, family, tl_key_slice(&first), tl_slice_of(NULL, 0), &scan, why);
	if (!err)
		err = tl_scan_next(scan, &key, &value, why);
	if (!err && key.bytes < 4)
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "%s: a wrong key", tl_family_name(family));
	if (!err)
		*org = tl_get_be32(key.data);
	tl_scan_free(scan);
	return err;
}

static enum tl_err
drop_front(struct tl_store *store, struct tl_write *write, enum tl_family family, int64_t cut_ms,
	uint64_t *count_out, struct tl_why *why)
{
	uint32_t org = 0;
	enum tl_err err = TL_OK;

	while (!err) {
		err = next_org(store, family, &org, why);
		if (!err)
			err = drop_org_front(store, write, family, org, cut_ms, count_out, why);
	}
	return err == TL_EEND ? TL_OK : err;
}

/* The front of the journal on its way out. */
struct front {
	struct tl_store *store;
	struct tl_write *write;
	int64_t cut_ms;
	uint64_t last; /* no group from here on */
	uint64_t due;  /* goes when the one after it is due as well; 0: none */
	uint32_t pending;
	uint64_t *count;
};

/* Arrived before the cut, and so did the days of all its rows. */
static bool
is_due(const struct front *front, const struct tl_journal_row *row)
{
	bool is_old = row->group_no < front->last && row->received_ms < front->cut_ms;

	for (uint32_t i = 0; i < row->block_count; i++)
		is_old = is_old && row->blocks[i].day_ms < front->cut_ms;
	return is_old;
}

static enum tl_err
drop_group(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct front *front = arg;
	struct tl_key key = tl_key_journal(front->due);
	enum tl_err err = TL_OK;

	if (!is_due(front, row))
		return TL_EEND;
	if (front->due != 0) {
		tl_write_delete(front->write, TL_FAMILY_JOURNAL, tl_key_slice(&key));
		++*front->count;
		front->pending++;
	}
	front->due = row->group_no;
	if (front->pending == DELETES_MAX) {
		front->pending = 0;
		err = tl_write_commit(front->write, TL_NO_SYNC, why);
	}
	return err;
}

/*
 * The oldest groups, in order, as long as all that they say is of expired days: what is left is
 * always the journal's end. They go a day after their blocks, so that whoever found a block finds
 * its group. The last that may go stays: a first row younger than the cut would be a loss
 * (ingest/idwindow), and so do the newest, one of which the mark file names, and those that the
 * fold has still to read.
 */
static enum tl_err
drop_journal(struct tl_store *store, struct tl_write *write, int64_t cut_ms, uint64_t *count_out,
	struct tl_why *why)
{
	struct front front = {
		.store = store, .write = write, .cut_ms = cut_ms - TL_DAY_MS, .count = count_out};
	struct tl_mark mark;
	uint64_t first = 1;
	enum tl_err err = mark_read(store, &mark, why);

	if (!err)
		err = tl_journal_first(store, &first, why);
	if (err)
		return err == TL_ENOT_FOUND ? TL_OK : err;
	front.last = mark.group_no > GROUPS_KEPT ? mark.group_no - GROUPS_KEPT : 0;
	err = tl_journal_walk(store, first, drop_group, &front, why);
	return err ? err : tl_write_commit(write, TL_NO_SYNC, why);
}

int64_t
expire_last_activity_ms(const struct tl_session_row *row)
{
	int64_t last_ms = row->last_ms;

	if (row->bucket_count > 0) {
		/* Activity without a request counts by its cell. */
		int64_t bucket_ms = row->buckets[row->bucket_count - 1] * TL_QUARTER_MS;

		if (bucket_ms > last_ms)
			last_ms = bucket_ms;
	}
	for (uint32_t i = 0; i < row->link_count; i++) {
		if (row->links[i].ts_ms > last_ms)
			last_ms = row->links[i].ts_ms;
	}
	return last_ms;
}

/* Up to DELETES_MAX sessions from first on; first moves past what was looked at. */
static enum tl_err
drop_some_sessions(struct tl_store *store, struct tl_write *write, int64_t cut_ms,
	struct tl_arena *arena, struct tl_key *first, uint64_t *count_out, struct tl_why *why)
{
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open(store, NULL, TL_FAMILY_SESSION, tl_key_slice(first),
		tl_slice_of(NULL, 0), &scan, why);
	for (uint32_t i = 0; !err && i < DELETES_MAX; i++) {
		struct tl_session_row row;

		err = tl_scan_next(scan, &key, &value, why);
		if (err)
			break;
		tl_arena_reset(arena);
		err = tl_session_row_decode(value, arena, &row);
		if (err)
			err = tl_fail(why, err, "a session row: %s", tl_err_text(err));
		else if (expire_last_activity_ms(&row) < cut_ms) {
			tl_write_delete(write, TL_FAMILY_SESSION, key);
			++*count_out;
		}
		*first = tl_key_after(key);
	}
	tl_scan_free(scan);
	if (!err || err == TL_EEND) {
		enum tl_err write_err = commit_deletes(write, why);

		err = write_err ? write_err : err;
	}
	return err;
}

static enum tl_err
drop_sessions(struct tl_store *store, struct tl_write *write, int64_t cut_ms, uint64_t *count_out,
	struct tl_why *why)
{
	struct tl_key first = tl_key_org(0);
	struct tl_arena arena;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, SESSION_ARENA_BYTES_MAX);
	while (!err) {
		expire_hold();
		err = drop_some_sessions(store, write, cut_ms, &arena, &first, count_out, why);
		expire_release();
	}
	tl_arena_fini(&arena);
	return err == TL_EEND ? TL_OK : err;
}

enum tl_err
expire_days(struct tl_store *store, int64_t now_ms, int64_t retention_days,
	struct expire_counts *counts_out, struct tl_why *why)
{
	struct expire_counts counts = {0};
	struct tl_expiry cut = {
		.day_ms = tl_bucket_floor(TL_SPAN_1D, now_ms - retention_days * TL_DAY_MS),
		.session_ms = now_ms - SESSION_DAYS * TL_DAY_MS,
	};
	struct tl_write *write = NULL;
	enum tl_err err;

	assert(retention_days > 0);
	err = hold_cut(store, &cut, why);
	if (!err && cut.day_ms == INT64_MIN) { /* no day has ever been there */
		*counts_out = counts;
		return TL_OK;
	}
	if (!err)
		err = tl_write_new(store, &write);
	if (!err)
		err = tl_expiry_raise(store, write, &cut, why);
	if (!err)
		err = drop_front(store, write, TL_FAMILY_CELL_1H, cut.day_ms, &counts.cells, why);
	if (!err)
		err = drop_days(store, cut.day_ms, &counts.days, why);
	if (!err)
		err = drop_sessions(store, write, cut.session_ms, &counts.sessions, why);
	if (!err)
		err = drop_front(store, write, TL_FAMILY_INTAKE, cut.day_ms, &counts.intake, why);
	if (!err)
		err = drop_journal(store, write, cut.day_ms, &counts.groups, why);
	tl_write_free(write);
	if (!err)
		*counts_out = counts;
	return err;
}

struct expire {
	/* fixed after start */
	struct tl_store *store;
	struct tl_clock_watch *watch;
	const struct tl_gate *gate;
	int64_t retention_days;
	pthread_t thread;
	pthread_mutex_t mtx;
	pthread_cond_t wake;
	bool is_stopped; /* guarded by mtx */
};

static void
expire_once(struct expire *expire)
{
	struct expire_counts counts = {0};
	struct tl_why why = {0};
	int64_t now_ms;
	enum tl_err err = tl_clock_watch_read(expire->watch, &now_ms);

	if (!err)
		err = expire_days(expire->store, now_ms, expire->retention_days, &counts, &why);
	if (err == TL_ECLOCK_UNTRUSTED)
		tl_log(TL_LOG_WARN, "expiry left out: the clock is not trusted");
	else if (err)
		tl_log(TL_LOG_ERROR, "expiry failed code=%s why=\"%s\"", tl_err_name(err),
			why.text);
	else if (counts.days + counts.cells + counts.sessions + counts.intake + counts.groups > 0)
		tl_log(TL_LOG_INFO,
			"expired days=%" PRIu64 " cells=%" PRIu64 " sessions=%" PRIu64
			" intake=%" PRIu64 " groups=%" PRIu64,
			counts.days, counts.cells, counts.sessions, counts.intake, counts.groups);
}

static void *
expire_main(void *arg)
{
	struct expire *expire = arg;
	struct timespec until;

	tl_thread_name("expire");
	clock_gettime(CLOCK_MONOTONIC, &until);
	pthread_mutex_lock(&expire->mtx);
	while (!expire->is_stopped) {
		bool is_closed = tl_gate_err(expire->gate) != TL_OK;

		pthread_mutex_unlock(&expire->mtx);
		if (!is_closed)
			expire_once(expire);
		until.tv_sec += is_closed ? CLOSED_S : EXPIRY_S;
		pthread_mutex_lock(&expire->mtx);
		while (!expire->is_stopped &&
			pthread_cond_timedwait(&expire->wake, &expire->mtx, &until) == 0)
			;
	}
	pthread_mutex_unlock(&expire->mtx);
	return NULL;
}

enum tl_err
expire_start(struct tl_store *store, struct tl_clock_watch *watch, const struct tl_gate *gate,
	int64_t retention_days, struct expire **expire_out, struct tl_why *why)
{
	struct expire *expire = calloc(1, sizeof(*expire));
	pthread_condattr_t attr;

	if (expire == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for expiry");
	expire->store = store;
	expire->watch = watch;
	expire->gate = gate;
	expire->retention_days = retention_days;
	pthread_mutex_init(&expire->mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&expire->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&expire->thread, NULL, expire_main, expire) != 0) {
		pthread_cond_destroy(&expire->wake);
		pthread_mutex_destroy(&expire->mtx);
		free(expire);
		return tl_fail(why, TL_ENOMEM, "no thread for expiry");
	}
	*expire_out = expire;
	return TL_OK;
}

void
expire_stop(struct expire *expire)
{
	if (expire == NULL)
		return;
	pthread_mutex_lock(&expire->mtx);
	expire->is_stopped = true;
	pthread_cond_signal(&expire->wake);
	pthread_mutex_unlock(&expire->mtx);
	pthread_join(expire->thread, NULL);
	pthread_cond_destroy(&expire->wake);
	pthread_mutex_destroy(&expire->mtx);
	free(expire);
}
