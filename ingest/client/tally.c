/*
 * What the caller's threads do: open, take events into the batch that is being filled, wait, close.
 */
#include "ingest/client/tally_private.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ingest/client/push_check.h"
#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/model/limits.h"

#define BATCH_BYTES_DEFAULT ((size_t)256 << 10)
#define BATCH_MS_DEFAULT 200
#define BACKLOG_BYTES_DEFAULT ((size_t)256 << 20)
#define KEEP_MS_DEFAULT 86400000LL
#define KEEP_BYTES_DEFAULT ((size_t)256 << 20)
#define IN_FLIGHT_DEFAULT 4u
#define IN_FLIGHT_MAX 64u
#define ACK_TIMEOUT_MS_DEFAULT 10000

/* A frame has room for one more event and the head beside this many bytes of events. */
#define BATCH_BYTES_MAX ((size_t)TL_FRAME_BYTES_MAX - TL_EVENT_BYTES_MAX - 2048)

#define TOKEN_BYTES_MAX 256u
#define URL_BYTES_MAX 1024u

static _Thread_local char error_text[512];

static enum tally_result TL_PRINTF(2, 3) fail(enum tally_result result, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, args);
	va_end(args);
	return result;
}

const char *
tally_error(void)
{
	return error_text;
}

int64_t
push_now_ms(void)
{
	return tl_clock_mono_ms(tl_clock_system());
}

bool
push_wait(pthread_cond_t *cond, pthread_mutex_t *mtx, int64_t until_ms)
{
	struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

	return pthread_cond_timedwait(cond, mtx, &until) != ETIMEDOUT;
}

void
push_trouble(struct tally *tally, const struct tl_why *why)
{
	pthread_mutex_lock(&tally->mtx);
	snprintf(tally->trouble, sizeof(tally->trouble), "%s", why->text);
	pthread_mutex_unlock(&tally->mtx);
}

/* With mtx held, or before there is a thread. */
static void
batch_append(struct tally *tally, struct push_batch *batch)
{
	batch->serial = tally->serial_next++;
	batch->older = tally->newest;
	if (tally->newest != NULL)
		tally->newest->newer = batch;
	else
		tally->oldest = batch;
	tally->newest = batch;
	if (tally->to_send == NULL)
		tally->to_send = batch;
}

void
push_close_filling(struct tally *tally)
{
	struct push_batch *batch = tally->filling;

	if (batch == NULL)
		return;
	tally->filling = NULL;
	batch_append(tally, batch);
	if (tally->to_pack == NULL)
		tally->to_pack = batch;
	pthread_cond_signal(&tally->keeper_wake);
}

static enum tally_result
options_check(const struct tally_options *options)
{
	struct tl_why why;

	if (push_check_text("url", options->url, URL_BYTES_MAX, &why) != TL_OK)
		return fail(TALLY_INVALID, "%s", why.text);
	if (strncmp(options->url, "tcp://", 6) != 0 && strncmp(options->url, "ipc://", 6) != 0)
		return fail(TALLY_INVALID, "url: '%s' begins neither with tcp:// nor with ipc://",
			options->url);
	if (push_check_text("token", options->token, TOKEN_BYTES_MAX, &why) != TL_OK)
		return fail(TALLY_INVALID, "%s", why.text);
	if (options->batch_events > TL_BATCH_EVENTS_MAX)
		return fail(TALLY_INVALID, "batch_events: %zu, the limit is %u",
			options->batch_events, TL_BATCH_EVENTS_MAX);
	if (options->batch_bytes > BATCH_BYTES_MAX)
		return fail(TALLY_INVALID, "batch_bytes: %zu, the limit is %zu",
			options->batch_bytes, BATCH_BYTES_MAX);
	if (options->batch_ms < 0 || options->batch_ms > PUSH_WAIT_MS_MAX)
		return fail(TALLY_INVALID, "batch_ms: %" PRId64 ", the limits are 0 and %lld",
			options->batch_ms, PUSH_WAIT_MS_MAX);
	if (options->in_flight > IN_FLIGHT_MAX)
		return fail(TALLY_INVALID, "in_flight: %u, the limit is %u", options->in_flight,
			IN_FLIGHT_MAX);
	if (options->ack_timeout_ms < 0 || options->ack_timeout_ms > PUSH_WAIT_MS_MAX)
		return fail(TALLY_INVALID, "ack_timeout_ms: %" PRId64 ", the limits are 0 and %lld",
			options->ack_timeout_ms, PUSH_WAIT_MS_MAX);
	return TALLY_OK;
}

static void
options_default(struct tally_options *options)
{
	if (options->batch_events == 0)
		options->batch_events = TL_BATCH_EVENTS_MAX;
	if (options->batch_bytes == 0)
		options->batch_bytes = BATCH_BYTES_DEFAULT;
	if (options->batch_ms == 0)
		options->batch_ms = BATCH_MS_DEFAULT;
	if (options->backlog_bytes == 0)
		options->backlog_bytes = BACKLOG_BYTES_DEFAULT;
	if (options->keep_ms == 0)
		options->keep_ms = KEEP_MS_DEFAULT;
	if (options->keep_ms < 0)
		options->keep_ms = 0;
	if (options->keep_bytes == 0)
		options->keep_bytes = KEEP_BYTES_DEFAULT;
	if (options->in_flight == 0)
		options->in_flight = IN_FLIGHT_DEFAULT;
	if (options->ack_timeout_ms == 0)
		options->ack_timeout_ms = ACK_TIMEOUT_MS_DEFAULT;
}

static struct tally *
tally_new(const struct tally_options *options)
{
	struct tally *tally = calloc(1, sizeof(*tally));
	pthread_condattr_t monotonic;
	uint8_t random[8];

	if (tally == NULL)
		return NULL;
	tally->options = *options;
	options_default(&tally->options);
	tally->serial_next = 1;
	tl_random(random, sizeof(random));
	tl_hex(random, sizeof(random), tally->name);
	tl_buf_init(&tally->frame, TL_FRAME_BYTES_MAX);
	pthread_mutex_init(&tally->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&tally->keeper_wake, &monotonic);
	pthread_cond_init(&tally->sender_wake, &monotonic);
	pthread_cond_init(&tally->senders_stopped, &monotonic);
	pthread_cond_init(&tally->settled, &monotonic);
	pthread_condattr_destroy(&monotonic);
	tally->url = strdup(options->url);
	tally->token = strdup(options->token);
	tally->senders = calloc(tally->options.in_flight, sizeof(*tally->senders));
	return tally;
}

/* No thread is running. */
static void
tally_free(struct tally *tally)
{
	for (unsigned i = 0; tally->senders != NULL && i < tally->options.in_flight; i++)
		tl_req_client_close(tally->senders[i].client);
	while (tally->oldest != NULL) {
		struct push_batch *batch = tally->oldest;

		tally->oldest = batch->newer;
		push_batch_free(batch);
	}
	push_batch_free(tally->filling);
	spool_close(tally->spool);
	kept_close(tally->kept);
	tl_buf_fini(&tally->frame);
	pthread_cond_destroy(&tally->settled);
	pthread_cond_destroy(&tally->senders_stopped);
	pthread_cond_destroy(&tally->sender_wake);
	pthread_cond_destroy(&tally->keeper_wake);
	pthread_mutex_destroy(&tally->mtx);
	free(tally->senders);
	free(tally->token);
	free(tally->url);
	free(tally);
}

static enum tally_result
result_of(enum tl_err err)
{
	return err == TL_ENOMEM ? TALLY_NOMEM : TALLY_IO;
}

/* Queue what an earlier process left; it is read again when it is its turn. */
static enum tally_result
spool_recover(struct tally *tally)
{
	struct tl_why why = {""};
	uint64_t number = 0;
	uint32_t event_count;
	uint32_t damaged_count = 0;
	enum tl_err err;

	while ((err = spool_next(tally->spool, number, &tally->frame, &number, &event_count,
			&damaged_count, &why)) == TL_OK) {
		struct push_batch *batch = push_batch_new();

		if (batch == NULL)
			return fail(TALLY_NOMEM, "no memory for the batches of the spool");
		batch->number = number;
		batch->event_count = event_count;
		batch->bytes = tally->frame.bytes;
		batch->held_bytes = sizeof(*batch) + batch->bytes;
		tally->held_bytes += batch->held_bytes;
		batch_append(tally, batch);
		tally->stats.recovered++;
		tally->stats.pending += event_count;
	}
	if (err != TL_EEND)
		return fail(result_of(err), "%s", why.text);
	tally->to_load = tally->oldest;
	if (damaged_count > 0)
		return fail(TALLY_OK, "%u damaged files of the spool were moved to '%s/damaged'",
			damaged_count, tally->options.spool_dir);
	return TALLY_OK;
}

static enum tally_result
outside_open(struct tally *tally)
{
	struct tl_why why = {""};
	enum tl_err err;

	/* The first connection is opened here, so that a wrong url is told at once. */
	err = tl_req_client_open(tally->url, &tally->senders[0].client, &why);
	if (err)
		return fail(err == TL_ENOMEM ? TALLY_NOMEM : TALLY_INVALID, "url: %s", why.text);
	if (tally->options.spool_dir == NULL)
		return TALLY_OK;
	err = spool_open(
		tally->options.spool_dir, tally->options.backlog_bytes, &tally->spool, &why);
	if (!err)
		err = kept_open(tally->options.spool_dir, tally->options.keep_bytes,
			tally->options.keep_ms, &tally->kept, &why);
	if (err)
		return fail(result_of(err), "%s", why.text);
	tally->acked = kept_mark_get(tally->kept);
	return spool_recover(tally);
}

static enum tally_result
threads_start(struct tally *tally)
{
	int result = pthread_create(&tally->keeper, NULL, push_keeper_run, tally);

	tally->keeper_is_started = result == 0;
	for (unsigned i = 0; result == 0 && i < tally->options.in_flight; i++) {
		struct push_sender *sender = &tally->senders[i];

		sender->tally = tally;
		result = pthread_create(&sender->thread, NULL, push_sender_run, sender);
		sender->is_started = result == 0;
	}
	if (result != 0)
		return fail(TALLY_NOMEM, "start a thread: %s", strerror(result));
	return TALLY_OK;
}

/* The senders end with the call they are in, the keeper when all that can be spooled is. */
static void
threads_stop(struct tally *tally)
{
	pthread_mutex_lock(&tally->mtx);
	tally->senders_stop = true;
	pthread_cond_broadcast(&tally->sender_wake);
	pthread_cond_broadcast(&tally->senders_stopped);
	pthread_mutex_unlock(&tally->mtx);
	for (unsigned i = 0; i < tally->options.in_flight; i++) {
		if (tally->senders[i].is_started)
			pthread_join(tally->senders[i].thread, NULL);
	}
	pthread_mutex_lock(&tally->mtx);
	tally->keeper_stops = true;
	pthread_cond_signal(&tally->keeper_wake);
	pthread_mutex_unlock(&tally->mtx);
	if (tally->keeper_is_started)
		pthread_join(tally->keeper, NULL);
}

enum tally_result
tally_open(const struct tally_options *options, struct tally **tally_out)
{
	enum tally_result result = options_check(options);
	struct tally *tally;
	sigset_t all, before;

	if (result != TALLY_OK)
		return result;
	if (tl_crypt_init() != TL_OK)
		return fail(TALLY_IO, "no source of random bytes");
	tally = tally_new(options);
	if (tally == NULL)
		return fail(TALLY_NOMEM, "no memory");

	/* The caller's signals are for the caller's threads; nng starts some too. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (tally->url == NULL || tally->token == NULL || tally->senders == NULL)
		result = fail(TALLY_NOMEM, "no memory");
	if (result == TALLY_OK)
		result = outside_open(tally);
	if (result == TALLY_OK) {
		result = threads_start(tally);
		if (result != TALLY_OK)
			threads_stop(tally);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result != TALLY_OK) {
		tally_free(tally);
		return result;
	}
	*tally_out = tally;
	return TALLY_OK;
}

/* With mtx held. */
static enum tally_result
event_take(struct tally *tally, const struct tl_wire_event *event)
{
	size_t bytes = push_batch_event_bytes(event);
	struct push_batch *batch = tally->filling;
	size_t need_bytes = bytes + (batch == NULL ? PUSH_BATCH_BYTES_MIN : 0);

	if (tally->held_bytes > tally->options.backlog_bytes ||
		need_bytes > tally->options.backlog_bytes - tally->held_bytes)
		return fail(TALLY_FULL,
			"backlog_bytes: %zu bytes are not acknowledged, the limit is %zu%s%s",
			tally->held_bytes, tally->options.backlog_bytes,
			tally->trouble[0] != '\0' ? ": " : "", tally->trouble);
	if (batch == NULL)
		batch = push_batch_new();
	if (batch == NULL || push_batch_add(batch, event) != TL_OK) {
		if (batch != tally->filling)
			push_batch_free(batch);
		return fail(TALLY_NOMEM, "no memory for an event");
	}
	if (tally->filling == NULL) {
		tally->filling = batch;
		tally->filling_since_ms = push_now_ms();
		pthread_cond_signal(&tally->keeper_wake);
	}
	tally->held_bytes += need_bytes;
	tally->stats.pushed++;
	tally->stats.pending++;
	if (batch->event_count >= tally->options.batch_events ||
		batch->encoded_bytes >= tally->options.batch_bytes)
		push_close_filling(tally);
	return TALLY_OK;
}

enum tally_result
tally_push(struct tally *tally, const struct tally_event *event)
{
	struct tl_wire_event wire;
	struct tl_why why;
	enum tally_result result;

	if (push_check_event(event, &wire, &why) != TL_OK)
		return fail(TALLY_INVALID, "%s", why.text);
	pthread_mutex_lock(&tally->mtx);
	result = event_take(tally, &wire);
	pthread_mutex_unlock(&tally->mtx);
	return result;
}

enum tally_result
tally_push_link(struct tally *tally, const char *id, int64_t ts_ms, const char *session,
	enum tally_link link, const char *value)
{
	struct tl_wire_event wire;
	struct tl_why why;
	enum tally_result result;

	if (push_check_link(id, ts_ms, session, link, value, &wire, &why) != TL_OK)
		return fail(TALLY_INVALID, "%s", why.text);
	pthread_mutex_lock(&tally->mtx);
	result = event_take(tally, &wire);
	pthread_mutex_unlock(&tally->mtx);
	return result;
}

/* With mtx held: what is left has not been acknowledged in time. */
static enum tally_result
late(const struct tally *tally, int64_t timeout_ms)
{
	const char *between = tally->trouble[0] != '\0' ? ": " : "";

	if (tally->unspooled_count > 0)
		return fail(TALLY_IO,
			"%" PRIu64 " events are not acknowledged and not all in the spool%s%s",
			tally->stats.pending, between, tally->trouble);
	return fail(TALLY_TIMEOUT,
		"%" PRIu64 " events are not acknowledged after %" PRId64 " ms%s%s",
		tally->stats.pending, timeout_ms, between, tally->trouble);
}

enum tally_result
tally_flush(struct tally *tally, int64_t timeout_ms)
{
	enum tally_result result = TALLY_OK;
	int64_t until_ms;
	uint64_t serial_last;

	if (timeout_ms < 0)
		timeout_ms = 0;
	if (timeout_ms > PUSH_WAIT_MS_MAX)
		timeout_ms = PUSH_WAIT_MS_MAX;
	until_ms = push_now_ms() + timeout_ms;
	pthread_mutex_lock(&tally->mtx);
	push_close_filling(tally);
	/* Others may go on pushing: only what was taken before this call is waited for. */
	serial_last = tally->serial_next - 1;
	while (tally->oldest != NULL && tally->oldest->serial <= serial_last) {
		if (push_wait(&tally->settled, &tally->mtx, until_ms))
			continue;
		if (tally->oldest != NULL && tally->oldest->serial <= serial_last)
			result = late(tally, timeout_ms);
		break;
	}
	pthread_mutex_unlock(&tally->mtx);
	return result;
}

void
tally_stats(struct tally *tally, struct tally_stats *stats_out)
{
	pthread_mutex_lock(&tally->mtx);
	*stats_out = tally->stats;
	pthread_mutex_unlock(&tally->mtx);
}

/*
 * What a server lost is sent again before we go, in the time there is: a gateway of short runs
 * would never get to it else. The rest is for the next run, which finds the old mark.
 */
static void
resend_wait(struct tally *tally)
{
	pthread_mutex_lock(&tally->mtx);
	while (tally->resends && push_wait(&tally->settled, &tally->mtx, tally->calls_until_ms))
		;
	pthread_mutex_unlock(&tally->mtx);
}

enum tally_result
tally_close(struct tally *tally, int64_t timeout_ms)
{
	enum tally_result result;

	if (tally == NULL)
		return TALLY_OK;
	if (timeout_ms < 0)
		timeout_ms = 0;
	if (timeout_ms > PUSH_WAIT_MS_MAX)
		timeout_ms = PUSH_WAIT_MS_MAX;
	/* The calls that start from here on end in time; those under way have their own deadline.
	 */
	pthread_mutex_lock(&tally->mtx);
	tally->calls_until_ms = push_now_ms() + timeout_ms;
	pthread_mutex_unlock(&tally->mtx);
	result = tally_flush(tally, timeout_ms);
	resend_wait(tally);
	threads_stop(tally);
	/* The last of it was spooled, or not, only now. */
	if (result == TALLY_TIMEOUT && tally->unspooled_count > 0)
		result = late(tally, timeout_ms);
	tally_free(tally);
	return result;
}
