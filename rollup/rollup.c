/*
 * Derived rows are never ahead of raw: only what the journal holds is folded, and all families
 * share one log. Everything here but the flags under mtx belongs to whoever steps.
 */
#include "rollup/rollup.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "rollup/expire.h"
#include "rollup/fold.h"
#include "rollup/mark.h"
#include "schema/base/clock.h"
#include "schema/store/fresh.h"
#include "schema/store/key.h"
#include "schema/store/value.h"

/* A step: large enough to spread the cost of its pages, small enough to keep readers current. */
#define STEP_GROUPS_MAX 256u
#define STEP_ROWS_MAX 200000u

/*
 * A step costs its pages, however few rows it brings: patience makes fewer and fuller steps. After
 * a step the next waits as long as that one took, or until what it wrote is WRITE_BYTES_PER_US of
 * the time, whatever is longer; at least GATHER_US while groups keep coming, at most PACE_US_MAX
 * (an acknowledged event is to be seen within 50 ms). Nobody waits for the first step after a rest,
 * nor with a whole step at hand.
 */
#define GATHER_US 1500
#define PACE_US_MAX 25000
#define WRITE_BYTES_PER_US 20

/* How rollup_bound divides what it is given: a half for the sums of a step, at about so much a row.
 */
#define STEP_ROW_BYTES 1024
#define STEP_ROWS_MIN 1024u
#define CACHE_BYTES_MAX (80u << 20)
#define ARENA_KEEP_BYTES_MAX (256u << 20)

#define JOURNAL_ARENA_BYTES_MAX (16u << 20)

struct rollup {
	/* fixed after start */
	struct tl_store *store;
	void (*on_failure)(void *arg, enum tl_err err, const char *text);
	void *on_failure_arg;
	pthread_t thread;
	bool has_thread;

	uint64_t step_rows_max;

	/* whoever steps: the thread, or the caller when none was started */
	struct fold *fold;
	struct tl_write *write;
	struct tl_mark mark;
	struct tl_change *changes; /* since the last publication */
	size_t change_count, change_capacity;
	int64_t step_end_us, pace_us; /* the end of the last step, and the rest after it */
	uint64_t step_groups;	      /* how many groups like the last ones fill a step */

	/* steps: the last one, that of the flush point in progress, that of the last one */
	_Atomic uint64_t step_no, flushing_step_no, flushed_step_no;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t wake, rebuilt;
	uint64_t group_no_wanted;
	bool is_stopping;
	bool is_paused;
	bool is_rebuild_wanted;
	bool is_renewal_wanted;
	bool has_ended; /* the thread is gone, no rebuild will come */
	enum tl_err rebuild_err;
	struct tl_why rebuild_why;

	struct rollup_stats stats;
};

static void
set_mark(struct rollup *rollup, const struct tl_mark *mark)
{
	rollup->mark = *mark;
	atomic_store(&rollup->stats.group_no, mark->group_no);
	atomic_store(&rollup->stats.seq, mark->seq);
	atomic_store(&rollup->step_no, mark->step_no);
}

/* The number of the newest group, 0 in an empty store. */
static enum tl_err
journal_end(struct tl_store *store, uint64_t *group_no_out, struct tl_why *why)
{
	struct tl_journal_row row = {0};
	struct tl_arena arena;
	enum tl_err err;

	tl_arena_init(&arena, JOURNAL_ARENA_BYTES_MAX);
	err = tl_journal_last(store, &arena, &row, why);
	tl_arena_fini(&arena);
	if (err && err != TL_ENOT_FOUND)
		return err;
	*group_no_out = err ? 0 : row.group_no;
	return TL_OK;
}

static enum tl_err
open_at_mark(struct rollup *rollup, struct tl_why *why)
{
	struct tl_mark mark;
	uint64_t end;
	enum tl_err err;

	err = fold_new(rollup->store, &rollup->fold);
	if (!err)
		err = tl_write_new(rollup->store, &rollup->write);
	if (err)
		return tl_fail(why, err, "rollup: %s", tl_err_text(err));
	err = mark_finish_erasing(rollup->store, rollup->write, &rollup->fold->value, why);
	if (!err)
		err = mark_read(rollup->store, &mark, why);
	if (!err)
		err = journal_end(rollup->store, &end, why);
	if (err)
		return err;
	if (mark.group_no > end)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"rollup stands at group %" PRIu64 ", the journal ends at %" PRIu64,
			mark.group_no, end);
	set_mark(rollup, &mark);
	if (mark.group_no == 0)
		cache_begin_empty(&rollup->fold->cache);
	return tl_view_publish(rollup->store, mark.group_no, mark.seq, NULL, 0, why);
}

enum tl_err
rollup_publish_as_found(struct tl_store *store, struct tl_why *why)
{
	struct tl_mark mark;
	enum tl_err err = mark_read(store, &mark, why);

	return err ? err : tl_view_publish(store, mark.group_no, mark.seq, NULL, 0, why);
}

enum tl_err
rollup_new(struct tl_store *store, struct rollup **rollup_out, struct tl_why *why)
{
	struct rollup *rollup = calloc(1, sizeof(*rollup));
	pthread_condattr_t monotonic;
	enum tl_err err;

	if (rollup == NULL)
		return tl_fail(why, TL_ENOMEM, "rollup: out of memory");
	rollup->store = store;
	rollup->step_rows_max = STEP_ROWS_MAX;
	pthread_mutex_init(&rollup->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&rollup->wake, &monotonic);
	pthread_cond_init(&rollup->rebuilt, NULL);
	pthread_condattr_destroy(&monotonic);
	err = open_at_mark(rollup, why);
	if (err) {
		rollup_free(rollup);
		return err;
	}
	*rollup_out = rollup;
	return TL_OK;
}

void
rollup_bound(struct rollup *rollup, size_t bytes_max)
{
	size_t half = bytes_max / 2;
	size_t cache_bytes = bytes_max / 4;

	assert(!rollup->has_thread);
	tl_fresh_bound(rollup->store, bytes_max / 8);
	rollup->step_rows_max = half / STEP_ROW_BYTES;
	if (rollup->step_rows_max > STEP_ROWS_MAX)
		rollup->step_rows_max = STEP_ROWS_MAX;
	if (rollup->step_rows_max < STEP_ROWS_MIN)
		rollup->step_rows_max = STEP_ROWS_MIN;
	fold_bound(rollup->fold, half < ARENA_KEEP_BYTES_MAX ? half : ARENA_KEEP_BYTES_MAX,
		cache_bytes < CACHE_BYTES_MAX ? cache_bytes : CACHE_BYTES_MAX);
}

void
rollup_free(struct rollup *rollup)
{
	if (rollup == NULL)
		return;
	assert(!rollup->has_thread);
	tl_write_free(rollup->write);
	fold_free(rollup->fold);
	free(rollup->changes);
	pthread_cond_destroy(&rollup->rebuilt);
	pthread_cond_destroy(&rollup->wake);
	pthread_mutex_destroy(&rollup->mtx);
	free(rollup);
}

static int
compare_changes(const void *a_arg, const void *b_arg)
{
	const struct tl_change *a = a_arg;
	const struct tl_change *b = b_arg;

	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	return (a->low_ms > b->low_ms) - (a->low_ms < b->low_ms);
}

/* Collect what the step changed: one row per org, the lowest time. */
static enum tl_err
note_changes(struct rollup *rollup)
{
	size_t count = rollup->change_count + rollup->fold->org_count;
	size_t kept_count = 0;

	if (count > rollup->change_capacity) {
		struct tl_change *changes = realloc(rollup->changes, 2 * count * sizeof(*changes));

		if (changes == NULL)
			return TL_ENOMEM;
		rollup->changes = changes;
		rollup->change_capacity = 2 * count;
	}
	for (const struct fold_org *org = rollup->fold->org_list; org != NULL; org = org->next)
		rollup->changes[rollup->change_count++] = (struct tl_change){org->org, org->low_ms};
	if (count > 0)
		qsort(rollup->changes, count, sizeof(*rollup->changes), compare_changes);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || rollup->changes[i].org != rollup->changes[kept_count - 1].org)
			rollup->changes[kept_count++] = rollup->changes[i];
	}
	rollup->change_count = kept_count;
	return TL_OK;
}

static enum tl_err
publish(struct rollup *rollup, struct tl_why *why)
{
	enum tl_err err = tl_view_publish(rollup->store, rollup->mark.group_no, rollup->mark.seq,
		rollup->changes, rollup->change_count, why);

	if (!err)
		rollup->change_count = 0;
	return err;
}

struct step {
	struct fold *fold;
	uint64_t group_no_max;
	uint64_t row_count_max;
	uint32_t group_count;
	uint64_t group_no, seq; /* of the last group taken in */
};

static enum tl_err
take_group(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct step *step = arg;
	uint64_t row_count = step->fold->row_count + (row->seq_last + 1 - row->seq_first);
	enum tl_err err;

	if (row->group_no > step->group_no_max)
		return TL_EEND;
	if (step->group_count > 0 &&
		(step->group_count == STEP_GROUPS_MAX || row_count > step->row_count_max))
		return TL_EEND;
	err = fold_group(step->fold, row, why);
	if (err)
		return err;
	step->group_count++;
	step->group_no = row->group_no;
	step->seq = row->seq_last;
	return TL_OK;
}

/* How many groups of this size make a whole step. */
static uint64_t
groups_a_step(const struct rollup *rollup, uint32_t group_count, uint64_t row_count)
{
	uint64_t groups = (uint64_t)group_count * rollup->step_rows_max / (row_count + 1) + 1;

	return groups < STEP_GROUPS_MAX ? groups : STEP_GROUPS_MAX;
}

static enum tl_err
commit_step(struct rollup *rollup, const struct step *step, struct tl_why *why)
{
	struct rollup_stats *stats = &rollup->stats;
	struct tl_mark mark = mark_next(
		&rollup->mark, step->group_no, step->seq, atomic_load(&rollup->flushed_step_no));
	size_t bytes = 0;
	enum tl_err err;

	expire_hold();
	err = fold_finish(rollup->fold, rollup->write, why);
	if (!err) {
		mark_put(rollup->write, &rollup->mark, &mark, &rollup->fold->value);
		bytes = tl_write_bytes(rollup->write);
		err = tl_write_commit(rollup->write, TL_NO_SYNC, why);
	}
	expire_release();
	if (err)
		return err;
	set_mark(rollup, &mark);
	tl_counter_add(&stats->folded_groups, step->group_count);
	tl_counter_add(&stats->folded_rows, rollup->fold->row_count);
	tl_counter_add(&stats->writes, 1);
	tl_counter_add(&stats->written_bytes, bytes);
	rollup->step_groups = groups_a_step(rollup, step->group_count, rollup->fold->row_count);
	rollup->pace_us = (int64_t)(bytes / WRITE_BYTES_PER_US);
	err = note_changes(rollup);
	return err ? tl_fail(why, err, "rollup: %s", tl_err_text(err)) : TL_OK;
}

/* Fold and write, without a view. */
static enum tl_err
fold_step(struct rollup *rollup, uint64_t group_no_max, bool *folded_out, struct tl_why *why)
{
	struct step step = {.fold = rollup->fold,
		.group_no_max = group_no_max,
		.row_count_max = rollup->step_rows_max};
	int64_t start_us = tl_clock_mono_us();
	enum tl_err err;

	*folded_out = false;
	if (group_no_max <= rollup->mark.group_no)
		return TL_OK;
	tl_write_reset(rollup->write);
	fold_begin(rollup->fold);
	err = tl_journal_walk(rollup->store, rollup->mark.group_no + 1, take_group, &step, why);
	if (!err && step.group_count == 0)
		return TL_OK;
	if (!err)
		err = commit_step(rollup, &step, why);
	if (err) {
		fold_forget(rollup->fold);
		tl_write_reset(rollup->write);
		return err;
	}
	rollup->step_end_us = tl_clock_mono_us();
	tl_histogram_add(&rollup->stats.fold_us, rollup->step_end_us - start_us);
	if (rollup->pace_us < rollup->step_end_us - start_us)
		rollup->pace_us = rollup->step_end_us - start_us;
	*folded_out = true;
	return TL_OK;
}

enum tl_err
rollup_step(struct rollup *rollup, uint64_t group_no_max, bool *folded_out, struct tl_why *why)
{
	bool folded;
	enum tl_err err = fold_step(rollup, group_no_max, &folded, why);

	if (!err && folded)
		err = publish(rollup, why);
	if (!err)
		*folded_out = folded;
	return err;
}

static enum tl_err
check_day(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct rollup *rollup = arg;

	if (row->group_no > rollup->mark.group_no)
		return TL_EEND;
	for (uint32_t i = 0; i < row->block_count; i++) {
		char text[TL_DAY_TEXT_BYTES];

		if (blocks_has_day(&rollup->fold->blocks, row->blocks[i].day_ms))
			continue;
		tl_day_format(row->blocks[i].day_ms, text);
		return tl_fail(why, TL_ECONFLICT,
			"the raw events of %s have expired: a rebuild would lose their figures",
			text);
	}
	return TL_OK;
}

/* A rebuild may throw away only what raw can bring back. */
static enum tl_err
check_raw(struct rollup *rollup, struct tl_why *why)
{
	struct tl_key key = tl_key_journal(1);
	enum tl_err err;

	if (rollup->mark.group_no == 0)
		return TL_OK;
	err = tl_store_get(rollup->store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key),
		&rollup->fold->bytes, why);
	if (err == TL_ENOT_FOUND)
		return tl_fail(why, TL_ECONFLICT, "the journal no longer begins with group 1");
	if (!err)
		err = tl_journal_walk(rollup->store, 1, check_day, rollup, why);
	blocks_release(&rollup->fold->blocks);
	return err;
}

/* Between the steps of a rebuild: waits while paused; true when it has to be given up. */
static bool
must_stop(struct rollup *rollup)
{
	bool is_stopping;

	pthread_mutex_lock(&rollup->mtx);
	while (rollup->is_paused && !rollup->is_stopping)
		pthread_cond_wait(&rollup->wake, &rollup->mtx);
	is_stopping = rollup->is_stopping;
	pthread_mutex_unlock(&rollup->mtx);
	return is_stopping;
}

static enum tl_err
erase_derived(struct rollup *rollup, struct tl_why *why)
{
	struct tl_mark mark;
	enum tl_err err;

	fold_forget(rollup->fold);
	err = mark_erase_derived(rollup->store, rollup->write, &rollup->fold->value, why);
	if (!err)
		err = mark_read(rollup->store, &mark, why);
	if (err)
		return err;
	cache_begin_empty(&rollup->fold->cache);
	set_mark(rollup, &mark);
	return TL_OK;
}

/* After check_raw. */
static enum tl_err
fold_anew(struct rollup *rollup, struct tl_why *why)
{
	uint64_t group_no_before = rollup->mark.group_no;
	enum tl_err err = erase_derived(rollup, why);

	while (!err && rollup->mark.group_no < group_no_before) {
		bool folded;

		if (must_stop(rollup))
			return tl_fail(why, TL_ESHUTTING_DOWN,
				"stopped at group %" PRIu64 " of %" PRIu64
				"; the next start goes on",
				rollup->mark.group_no, group_no_before);
		err = fold_step(rollup, group_no_before, &folded, why);
		if (!err && !folded)
			err = tl_fail(why, TL_EACKED_DATA_MISSING,
				"the journal ends at group %" PRIu64 ", rollup was at %" PRIu64,
				rollup->mark.group_no, group_no_before);
	}
	/* What was wrong before may have been wrong anywhere. */
	for (size_t i = 0; i < rollup->change_count; i++)
		rollup->changes[i].low_ms = INT64_MIN;
	return err ? err : publish(rollup, why);
}

/* On the thread, mtx held on entry and on return; true when a failure ends the thread. */
static bool
rebuild_on_thread(struct rollup *rollup)
{
	struct tl_why why = {.text = ""};
	enum tl_err err;
	bool is_failure = false;

	pthread_mutex_unlock(&rollup->mtx);
	err = check_raw(rollup, &why);
	if (!err) {
		err = fold_anew(rollup, &why);
		is_failure = err && err != TL_ESHUTTING_DOWN;
	}
	pthread_mutex_lock(&rollup->mtx);
	rollup->is_rebuild_wanted = false;
	rollup->rebuild_err = err;
	rollup->rebuild_why = why;
	pthread_cond_broadcast(&rollup->rebuilt);
	return is_failure;
}

/* Wait for work, mtx held. True when it was there already: more is likely on its way. */
static bool
wait_for_work(struct rollup *rollup)
{
	bool was_there = true;

	while (!rollup->is_stopping &&
		(rollup->is_paused || (!rollup->is_rebuild_wanted && !rollup->is_renewal_wanted &&
					      rollup->group_no_wanted <= rollup->mark.group_no))) {
		was_there = false;
		pthread_cond_wait(&rollup->wake, &rollup->mtx);
	}
	return was_there;
}

/* Let more groups come, mtx held. */
static void
gather(struct rollup *rollup, bool is_busy)
{
	int64_t pace_us = rollup->pace_us;
	int64_t until_us;
	struct timespec until;

	if (is_busy && pace_us < GATHER_US)
		pace_us = GATHER_US;
	if (pace_us > PACE_US_MAX)
		pace_us = PACE_US_MAX;
	until_us = rollup->step_end_us + pace_us;
	if (tl_clock_mono_us() >= until_us)
		return;
	until.tv_sec = until_us / 1000000;
	until.tv_nsec = until_us % 1000000 * 1000;
	while (!rollup->is_stopping && !rollup->is_rebuild_wanted &&
		rollup->group_no_wanted < rollup->mark.group_no + rollup->step_groups) {
		if (pthread_cond_timedwait(&rollup->wake, &rollup->mtx, &until) != 0)
			return;
	}
}

/* mtx held on entry and on return; true when a failure ends the thread. */
static bool
step_on_thread(struct rollup *rollup, struct tl_why *why, enum tl_err *err_out)
{
	uint64_t group_no_max = rollup->group_no_wanted;
	bool folded = false;

	pthread_mutex_unlock(&rollup->mtx);
	*err_out = rollup_step(rollup, group_no_max, &folded, why);
	pthread_mutex_lock(&rollup->mtx);
	/* A number that the journal does not have yet is no reason to spin. */
	if (!folded && rollup->group_no_wanted == group_no_max)
		rollup->group_no_wanted = rollup->mark.group_no;
	return *err_out != TL_OK;
}

/* Between two steps the snapshot stands for the mark. As step_on_thread. */
static bool
renew_on_thread(struct rollup *rollup, struct tl_why *why, enum tl_err *err_out)
{
	rollup->is_renewal_wanted = false;
	pthread_mutex_unlock(&rollup->mtx);
	*err_out = publish(rollup, why);
	pthread_mutex_lock(&rollup->mtx);
	return *err_out != TL_OK;
}

static void *
run(void *arg)
{
	struct rollup *rollup = arg;
	struct tl_why why = {.text = ""};
	enum tl_err err = TL_OK;

	pthread_mutex_lock(&rollup->mtx);
	for (;;) {
		bool is_busy = wait_for_work(rollup);

		if (rollup->is_stopping)
			break;
		if (rollup->is_rebuild_wanted) {
			if (rebuild_on_thread(rollup)) {
				err = rollup->rebuild_err;
				why = rollup->rebuild_why;
				break;
			}
			continue;
		}
		if (rollup->is_renewal_wanted) {
			if (renew_on_thread(rollup, &why, &err))
				break;
			continue;
		}
		gather(rollup, is_busy);
		if (step_on_thread(rollup, &why, &err))
			break;
	}
	rollup->has_ended = true;
	pthread_cond_broadcast(&rollup->rebuilt);
	pthread_mutex_unlock(&rollup->mtx);
	if (err)
		rollup->on_failure(rollup->on_failure_arg, err, why.text);
	return NULL;
}

enum tl_err
rollup_start(struct rollup *rollup,
	void (*on_failure)(void *arg, enum tl_err err, const char *text), void *arg,
	struct tl_why *why)
{
	enum tl_err err;

	assert(!rollup->has_thread);
	err = journal_end(rollup->store, &rollup->group_no_wanted, why);
	if (err)
		return err;
	rollup->on_failure = on_failure;
	rollup->on_failure_arg = arg;
	rollup->is_stopping = false;
	rollup->has_ended = false;
	if (pthread_create(&rollup->thread, NULL, run, rollup) != 0)
		return tl_fail(why, TL_ENOMEM, "rollup: no thread");
	pthread_setname_np(rollup->thread, "rollup");
	rollup->has_thread = true;
	return TL_OK;
}

void
rollup_wake(struct rollup *rollup, uint64_t group_no)
{
	pthread_mutex_lock(&rollup->mtx);
	if (group_no > rollup->group_no_wanted)
		rollup->group_no_wanted = group_no;
	pthread_cond_signal(&rollup->wake);
	pthread_mutex_unlock(&rollup->mtx);
}

uint64_t
rollup_flush_begins(struct rollup *rollup)
{
	atomic_store(&rollup->flushing_step_no, atomic_load(&rollup->step_no));
	return atomic_load(&rollup->stats.group_no);
}

void
rollup_flush_ended(struct rollup *rollup)
{
	atomic_store(&rollup->flushed_step_no, atomic_load(&rollup->flushing_step_no));
}

void
rollup_renew(struct rollup *rollup)
{
	pthread_mutex_lock(&rollup->mtx);
	rollup->is_renewal_wanted = true;
	pthread_cond_signal(&rollup->wake);
	pthread_mutex_unlock(&rollup->mtx);
}

void
rollup_pause(struct rollup *rollup, bool is_paused)
{
	pthread_mutex_lock(&rollup->mtx);
	rollup->is_paused = is_paused;
	pthread_cond_signal(&rollup->wake);
	pthread_mutex_unlock(&rollup->mtx);
}

void
rollup_stop(struct rollup *rollup)
{
	if (!rollup->has_thread)
		return;
	pthread_mutex_lock(&rollup->mtx);
	rollup->is_stopping = true;
	pthread_cond_signal(&rollup->wake);
	pthread_mutex_unlock(&rollup->mtx);
	pthread_join(rollup->thread, NULL);
	rollup->has_thread = false;
	rollup->is_stopping = false; /* a rebuild may still run in the caller */
}

enum tl_err
rollup_rebuild(struct rollup *rollup, struct tl_why *why)
{
	enum tl_err err;

	if (!rollup->has_thread) {
		err = check_raw(rollup, why);
		return err ? err : fold_anew(rollup, why);
	}
	pthread_mutex_lock(&rollup->mtx);
	rollup->is_rebuild_wanted = true;
	pthread_cond_signal(&rollup->wake);
	while (rollup->is_rebuild_wanted && !rollup->has_ended)
		pthread_cond_wait(&rollup->rebuilt, &rollup->mtx);
	if (rollup->is_rebuild_wanted)
		err = tl_fail(why, TL_ESHUTTING_DOWN, "rollup has ended");
	else
		err = rollup->rebuild_err;
	if (err && why != NULL && !rollup->is_rebuild_wanted)
		*why = rollup->rebuild_why;
	pthread_mutex_unlock(&rollup->mtx);
	return err;
}

const struct rollup_stats *
rollup_stats_of(const struct rollup *rollup)
{
	return &rollup->stats;
}
