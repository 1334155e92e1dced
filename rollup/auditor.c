#include "rollup/auditor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "rollup/spot.h"
#include "schema/base/clock.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/store/expiry.h"

#define RECENT_CHECKS 32u
#define PAUSE_US_MIN 500000
#define IDLE_SHARE 50 /* of the time a check took is what follows it */

struct auditor {
	/* fixed after start */
	struct tl_store *store;
	const struct tl_gate *gate;
	pthread_t thread;
	/* the thread's */
	struct spot spot;
	uint32_t turn_count;
	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t wake;
	bool is_stopped;
	/* anybody's */
	struct auditor_stats stats;
};

/* What expires goes cell by cell before its day goes: then a difference is none. */
static bool
is_expired(struct auditor *auditor, const struct spot_hour *hour)
{
	struct tl_expiry cut;

	return tl_expiry_get(auditor->store, NULL, &cut, NULL) == TL_OK &&
	       hour->hour_ms < cut.day_ms;
}

static void
note(struct auditor *auditor, const struct spot_hour *hour, const struct spot_report *report)
{
	atomic_fetch_add(&auditor->stats.checks, 1);
	atomic_fetch_add(&auditor->stats.rows, report->rows);
	if (report->difference[0] == '\0' || is_expired(auditor, hour))
		return;
	atomic_fetch_add(&auditor->stats.mismatches, 1);
	tl_log(TL_LOG_ERROR, "audit mismatch, run tally verify why=\"%s\"", report->difference);
}

static void
check_one(struct auditor *auditor, const struct tl_view *view)
{
	bool is_recent = auditor->turn_count < RECENT_CHECKS;
	struct spot_report report = {.rows = 0};
	struct tl_why why = {.text = ""};
	struct spot_hour hour;
	enum tl_err err;

	err = spot_pick(&auditor->spot, view, is_recent, &hour, &why);
	if (!err)
		err = spot_check(&auditor->spot, view, &hour, &report, &why);
	if (!err)
		note(auditor, &hour, &report);
	if (!err || err == TL_EEND || err == TL_ENOMEM)
		return;
	atomic_fetch_add(&auditor->stats.mismatches, 1);
	tl_log(TL_LOG_ERROR, "audit cannot read, run tally verify code=%s why=\"%s\"",
		tl_err_name(err), why.text);
}

static void
turn(struct auditor *auditor)
{
	struct tl_view *view;

	if (tl_gate_err(auditor->gate))
		return;
	view = tl_view_pin(auditor->store);
	if (view != NULL && tl_view_group_no(view) > 0) {
		check_one(auditor, view);
		auditor->turn_count++;
	}
	if (view != NULL)
		tl_view_unpin(view);
}

static void
add_us(struct timespec *time, int64_t us)
{
	time->tv_sec += us / 1000000;
	time->tv_nsec += us % 1000000 * 1000;
	if (time->tv_nsec >= 1000000000) {
		time->tv_nsec -= 1000000000;
		time->tv_sec++;
	}
}

static void *
auditor_main(void *arg)
{
	struct auditor *auditor = arg;
	struct timespec until;

	tl_thread_name("auditor");
	pthread_mutex_lock(&auditor->mtx);
	while (!auditor->is_stopped) {
		int64_t start_us = tl_clock_mono_us();
		int64_t pause_us;

		pthread_mutex_unlock(&auditor->mtx);
		turn(auditor);
		pause_us = (tl_clock_mono_us() - start_us) * IDLE_SHARE;
		clock_gettime(CLOCK_MONOTONIC, &until);
		add_us(&until, pause_us > PAUSE_US_MIN ? pause_us : PAUSE_US_MIN);
		pthread_mutex_lock(&auditor->mtx);
		while (!auditor->is_stopped &&
			pthread_cond_timedwait(&auditor->wake, &auditor->mtx, &until) == 0)
			;
	}
	pthread_mutex_unlock(&auditor->mtx);
	return NULL;
}

static void
auditor_free(struct auditor *auditor)
{
	spot_fini(&auditor->spot);
	pthread_cond_destroy(&auditor->wake);
	pthread_mutex_destroy(&auditor->mtx);
	free(auditor);
}

enum tl_err
auditor_start(struct tl_store *store, const struct tl_gate *gate, struct auditor **auditor_out,
	struct tl_why *why)
{
	struct auditor *auditor = calloc(1, sizeof(*auditor));
	pthread_condattr_t attr;

	if (auditor == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for the auditor");
	auditor->store = store;
	auditor->gate = gate;
	spot_init(&auditor->spot, store);
	pthread_mutex_init(&auditor->mtx, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&auditor->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&auditor->thread, NULL, auditor_main, auditor) != 0) {
		auditor_free(auditor);
		return tl_fail(why, TL_ENOMEM, "no thread for the auditor");
	}
	*auditor_out = auditor;
	return TL_OK;
}

void
auditor_stop(struct auditor *auditor)
{
	if (auditor == NULL)
		return;
	pthread_mutex_lock(&auditor->mtx);
	auditor->is_stopped = true;
	pthread_cond_signal(&auditor->wake);
	pthread_mutex_unlock(&auditor->mtx);
	pthread_join(auditor->thread, NULL);
	auditor_free(auditor);
}

const struct auditor_stats *
auditor_stats_of(const struct auditor *auditor)
{
	return &auditor->stats;
}
