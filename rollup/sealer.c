#include "rollup/sealer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/model/bucket.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/sealed.h"

#define CHECK_S 600
#define QUIET_MS TL_HOUR_MS
#define QUIET_AGAIN_MS TL_DAY_MS
#define NICE 10
/* The rest after a run is so many times as long: the intake goes first. */
#define IDLE_SHARE 4
#define IDLE_SHARE_HURRIED 1
#define ARENA_BYTES_MAX ((size_t)16 << 20)
#define RENEWAL_MS 10
#define RENEWALS_MAX 200

struct sealer {
	/* fixed after start */
	struct sealer_options options;
	pthread_t thread;
	/* guarded by work_mtx: who seals */
	pthread_mutex_t work_mtx;
	struct seal *seal;
	bool is_hurried; /* an order's */
	int64_t run_start_us;
	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t wake;
	bool is_stopped;
	/* anybody's */
	struct sealer_stats stats;
};

/* False: the thread is to end. */
static bool
wait_ms(struct sealer *sealer, int64_t ms)
{
	struct timespec until;
	bool is_stopped;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&sealer->mtx);
	while (!sealer->is_stopped &&
		pthread_cond_timedwait(&sealer->wake, &sealer->mtx, &until) == 0)
		;
	is_stopped = sealer->is_stopped;
	pthread_mutex_unlock(&sealer->mtx);
	return !is_stopped;
}

/* Between two runs. */
static bool
go_on(void *arg)
{
	struct sealer *sealer = arg;
	int64_t now_us = tl_clock_mono_us();
	int64_t share = sealer->is_hurried ? IDLE_SHARE_HURRIED : IDLE_SHARE;
	int64_t pause_ms = 0;
	bool is_stopped;

	if (sealer->run_start_us > 0)
		pause_ms = (now_us - sealer->run_start_us) * share / 1000;
	is_stopped = !wait_ms(sealer, pause_ms);
	sealer->run_start_us = tl_clock_mono_us();
	return !is_stopped && tl_gate_err(sealer->options.gate) == TL_OK;
}

/* When the newest block that is not sealed arrived; TL_EEND when all are. */
static enum tl_err
last_arrival(
	struct sealer *sealer, struct tl_day *day, int64_t *received_ms_out, struct tl_why *why)
{
	struct tl_journal_row row;
	struct tl_arena arena;
	struct tl_buf buf;
	struct tl_key key;
	uint64_t group_no;
	enum tl_err err = tl_sealed_newest_block(sealer->options.store, day, &group_no, why);

	if (err)
		return err;
	tl_arena_init(&arena, ARENA_BYTES_MAX);
	tl_buf_init(&buf, 0);
	key = tl_key_journal(group_no);
	err = tl_store_get(
		sealer->options.store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key), &buf, why);
	if (!err)
		err = tl_journal_decode(group_no, tl_buf_slice(&buf), &arena, &row);
	if (!err)
		*received_ms_out = row.received_ms;
	else
		err = tl_fail(why, TL_ESTORAGE_CORRUPT, "journal row %" PRIu64 " cannot be read",
			group_no);
	tl_buf_fini(&buf);
	tl_arena_fini(&arena);
	return err;
}

static enum tl_err
has_runs(struct sealer *sealer, struct tl_day *day, bool *has_out, struct tl_why *why)
{
	struct tl_arena arena;
	struct tl_run run;
	enum tl_err err;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	err = tl_sealed_next(sealer->options.store, NULL, day, 0, &arena, &run, why);
	tl_arena_fini(&arena);
	*has_out = err == TL_OK;
	return err == TL_EEND ? TL_OK : err;
}

/* TL_EEND: not yet, or no more. */
static enum tl_err
check_due(struct sealer *sealer, int64_t day_ms, int64_t now_ms, struct tl_why *why)
{
	int64_t end_ms = day_ms + TL_DAY_MS;
	struct tl_day *day;
	int64_t received_ms = 0;
	bool is_again = false;
	enum tl_err err;

	if (now_ms < end_ms + sealer->options.after_ms)
		return TL_EEND;
	day = tl_day_pin(sealer->options.store, day_ms);
	if (day == NULL)
		return TL_EEND;
	err = last_arrival(sealer, day, &received_ms, why);
	if (!err)
		err = has_runs(sealer, day, &is_again, why);
	tl_day_unpin(day);
	if (err)
		return err;
	if (is_again && now_ms < end_ms + sealer->options.accept_past_ms)
		return now_ms >= received_ms + QUIET_AGAIN_MS ? TL_OK : TL_EEND;
	return now_ms >= received_ms + QUIET_MS ? TL_OK : TL_EEND;
}

static bool
is_of_the_write(enum tl_err err)
{
	return err && err != TL_ESTORAGE_CORRUPT && err != TL_EACKED_DATA_MISSING &&
	       err != TL_ESHUTTING_DOWN && err != TL_ENOMEM;
}

static void
read_view(struct sealer *sealer, uint64_t *group_no_out, uint64_t *generation_out)
{
	struct tl_view *view = tl_view_pin(sealer->options.store);

	*group_no_out = tl_view_group_no(view);
	*generation_out = tl_view_generation(view);
	tl_view_unpin(view);
}

/* What was deleted is seen by no view any more, or soon not. */
static void
renew_view(struct sealer *sealer)
{
	uint64_t group_no, before, now;

	read_view(sealer, &group_no, &before);
	now = before;
	sealer->options.renew(sealer->options.arg);
	for (int i = 0; i < RENEWALS_MAX && now == before && wait_ms(sealer, RENEWAL_MS); i++)
		read_view(sealer, &group_no, &now);
}

/*
 * The blocks of these days leave the disk. All at once: the first writes memory to tables. Not
 * while the disk is low, which this makes worse before it makes it better; what is left goes with
 * later compactions.
 */
static void
reclaim(struct sealer *sealer, const int64_t *day_ms, size_t count)
{
	if (count > 0)
		renew_view(sealer);
	for (size_t i = 0; i < count && wait_ms(sealer, 0); i++) {
		struct tl_day *day;

		if (tl_gate_err(sealer->options.gate) != TL_OK)
			return;
		day = tl_day_pin(sealer->options.store, day_ms[i]);

		if (day != NULL)
			tl_day_compact(sealer->options.store, day);
		tl_day_unpin(day);
	}
}

static enum tl_err
seal_one(struct sealer *sealer, int64_t day_ms, struct seal_counts *counts, struct tl_why *why)
{
	struct tl_day *day = tl_day_pin(sealer->options.store, day_ms);
	struct seal_counts fresh = {.runs = 0};
	char text[TL_DAY_TEXT_BYTES];
	uint64_t group_no_max, generation;
	enum tl_err err;

	if (day == NULL) /* expired */
		return TL_OK;
	read_view(sealer, &group_no_max, &generation);
	tl_day_format(day_ms, text);
	err = seal_day(sealer->seal, day, group_no_max, go_on, sealer, &fresh, why);
	sealer->run_start_us = 0;
	tl_day_unpin(day);
	counts->days += fresh.days;
	counts->runs += fresh.runs;
	counts->blocks += fresh.blocks;
	counts->events += fresh.events;
	atomic_fetch_add(&sealer->stats.runs, fresh.runs);
	atomic_fetch_add(&sealer->stats.blocks, fresh.blocks);
	atomic_fetch_add(&sealer->stats.events, fresh.events);
	if (fresh.runs > 0)
		tl_log(TL_LOG_INFO,
			"sealed day=%s runs=%" PRIu64 " blocks=%" PRIu64 " events=%" PRIu64, text,
			fresh.runs, fresh.blocks, fresh.events);
	if (is_of_the_write(err))
		sealer->options.on_failure(sealer->options.arg, err, why->text);
	return err;
}

/* The days there are, oldest first; the caller frees the list. */
static enum tl_err
list_days(struct tl_store *store, int64_t **day_ms_out, size_t *count_out)
{
	size_t capacity = tl_days_list(store, NULL, 0);
	int64_t *day_ms = calloc(capacity + 1, sizeof(*day_ms));
	size_t count;

	if (day_ms == NULL)
		return TL_ENOMEM;
	count = tl_days_list(store, day_ms, capacity);
	*count_out = count < capacity ? count : capacity;
	*day_ms_out = day_ms;
	return TL_OK;
}

/* One day is no reason to leave the others out. */
static void
seal_due(struct sealer *sealer, int64_t day_ms, int64_t now_ms, struct seal_counts *counts)
{
	struct tl_why why = {.text = ""};
	char text[TL_DAY_TEXT_BYTES];
	enum tl_err err = check_due(sealer, day_ms, now_ms, &why);

	if (!err)
		err = seal_one(sealer, day_ms, counts, &why);
	if (!err || err == TL_EEND || err == TL_ESHUTTING_DOWN)
		return;
	tl_day_format(day_ms, text);
	atomic_fetch_add(&sealer->stats.failures, 1);
	tl_log(TL_LOG_ERROR, "sealing failed day=%s code=%s why=\"%s\"", text, tl_err_name(err),
		why.text);
}

static void
turn(struct sealer *sealer)
{
	struct seal_counts counts = {.runs = 0};
	int64_t *day_ms = NULL;
	size_t count = 0, sealed = 0;
	int64_t now_ms;

	if (tl_gate_err(sealer->options.gate) ||
		tl_clock_watch_read(sealer->options.watch, &now_ms) ||
		list_days(sealer->options.store, &day_ms, &count))
		return;
	for (size_t i = 0; i < count && tl_gate_err(sealer->options.gate) == TL_OK; i++) {
		uint64_t runs_before = counts.runs;

		pthread_mutex_lock(&sealer->work_mtx);
		sealer->is_hurried = false;
		seal_due(sealer, day_ms[i], now_ms, &counts);
		pthread_mutex_unlock(&sealer->work_mtx);
		if (counts.runs > runs_before)
			day_ms[sealed++] = day_ms[i];
		if (!wait_ms(sealer, 0))
			break;
	}
	reclaim(sealer, day_ms, sealed);
	free(day_ms);
}

static void *
sealer_main(void *arg)
{
	struct sealer *sealer = arg;

	tl_thread_name("sealer");
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	do
		turn(sealer);
	while (wait_ms(sealer, CHECK_S * 1000));
	return NULL;
}

enum tl_err
sealer_order(struct sealer *sealer, struct sealer_progress *progress,
	struct seal_counts *counts_out, struct tl_why *why)
{
	struct seal_counts counts = {.runs = 0};
	int64_t *day_ms = NULL;
	size_t count = 0, sealed = 0;
	int64_t now_ms;
	enum tl_err err = tl_clock_watch_read(sealer->options.watch, &now_ms);

	if (!err)
		err = list_days(sealer->options.store, &day_ms, &count);
	while (count > 0 && day_ms[count - 1] + TL_DAY_MS > now_ms)
		count--;
	atomic_store(&progress->days_total, count);
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&sealer->work_mtx);
	for (size_t i = 0; i < count && !err; i++) {
		uint64_t runs_before = counts.runs;

		sealer->is_hurried = true;
		err = tl_gate_err(sealer->options.gate);
		if (!err)
			err = seal_one(sealer, day_ms[i], &counts, why);
		if (counts.runs > runs_before)
			day_ms[sealed++] = day_ms[i];
		atomic_store(&progress->days_done, i + 1);
	}
	pthread_mutex_unlock(&sealer->work_mtx);
	reclaim(sealer, day_ms, sealed);
	free(day_ms);
	*counts_out = counts;
	return err;
}

void
sealer_free(struct sealer *sealer)
{
	if (sealer == NULL)
		return;
	seal_free(sealer->seal);
	pthread_cond_destroy(&sealer->wake);
	pthread_mutex_destroy(&sealer->mtx);
	pthread_mutex_destroy(&sealer->work_mtx);
	free(sealer);
}

enum tl_err
sealer_start(const struct sealer_options *options, struct sealer **sealer_out, struct tl_why *why)
{
	struct sealer *sealer = calloc(1, sizeof(*sealer));
	pthread_condattr_t attr;
	enum tl_err err;

	if (sealer == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for the sealer");
	sealer->options = *options;
	pthread_mutex_init(&sealer->work_mtx, NULL);
	pthread_mutex_init(&sealer->mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sealer->wake, &attr);
	pthread_condattr_destroy(&attr);
	err = seal_new(options->store, &sealer->seal);
	if (!err && pthread_create(&sealer->thread, NULL, sealer_main, sealer) != 0)
		err = TL_ENOMEM;
	if (err) {
		sealer_free(sealer);
		return tl_fail(why, err, "no thread for the sealer");
	}
	*sealer_out = sealer;
	return TL_OK;
}

void
sealer_stop(struct sealer *sealer)
{
	if (sealer == NULL)
		return;
	pthread_mutex_lock(&sealer->mtx);
	sealer->is_stopped = true;
	pthread_cond_broadcast(&sealer->wake);
	pthread_mutex_unlock(&sealer->mtx);
	pthread_join(sealer->thread, NULL);
}

const struct sealer_stats *
sealer_stats_of(const struct sealer *sealer)
{
	return &sealer->stats;
}
