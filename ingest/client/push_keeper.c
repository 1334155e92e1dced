/*
 * The keeper alone owns the spool. What it does for a batch, in this order: encode and spool it,
 * read it back when it did not fit in memory, and do what its answer asks for: remove it, or move
 * it to refused/ and tell the caller.
 */
#include "ingest/client/tally_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/daemon.h"

/* Unsent bytes kept in memory while there is a spool: enough to keep every sender busy. */
#define LOADED_BYTES_MAX ((size_t)8 << 20)

/* Of what is sent again after a loss, queued at a time. */
#define RESEND_COUNT_MAX 16u

/* Between tries when memory or the spool fails the keeper. */
#define KEEPER_RETRY_MS 500

static void
batch_unlink(struct tally *tally, struct push_batch *batch)
{
	assert(batch != tally->to_send);
	assert(batch != tally->to_load);
	assert(batch != tally->to_pack);
	if (batch->older != NULL)
		batch->older->newer = batch->newer;
	else
		tally->oldest = batch->newer;
	if (batch->newer != NULL)
		batch->newer->older = batch->older;
	else
		tally->newest = batch->older;
}

/* What the batch holds now counts instead of what it held. */
static void
batch_account(struct tally *tally, struct push_batch *batch, size_t held_bytes)
{
	tally->held_bytes -= batch->held_bytes;
	tally->held_bytes += held_bytes;
	batch->held_bytes = held_bytes;
}

/* Encode and spool; TL_OK also when only the spool failed: then the bytes stay in memory. */
static enum tl_err
batch_pack(struct tally *tally, struct push_batch *batch, struct tl_why *why)
{
	char name[sizeof(tally->name) + 24];
	enum tl_err err;

	snprintf(name, sizeof(name), "%s-%" PRIu64, tally->name, batch->serial);
	err = push_batch_encode(batch, tally->token, name, &tally->frame, why);
	if (!err)
		err = push_batch_load(batch, tl_buf_slice(&tally->frame));
	if (err)
		return err;
	push_batch_drop_events(batch);
	if (tally->spool != NULL && spool_put(tally->spool, tl_buf_slice(&tally->frame),
					    batch->event_count, &batch->number, why) != TL_OK) {
		batch->is_unspooled = true;
		push_trouble(tally, why);
	}
	return TL_OK;
}

/* The first closed batch becomes an encoded one, in memory if there is room. */
static enum tl_err
keeper_pack(struct tally *tally, struct push_batch *batch)
{
	struct tl_why why = {""};
	enum tl_err err = batch_pack(tally, batch, &why);

	if (err) {
		push_trouble(tally, &why);
		return err;
	}
	pthread_mutex_lock(&tally->mtx);
	batch_account(tally, batch, sizeof(*batch) + batch->bytes);
	tally->unspooled_count += batch->is_unspooled;
	if (batch->number != 0 &&
		(tally->to_load != NULL || tally->loaded_bytes >= LOADED_BYTES_MAX)) {
		push_batch_unload(batch);
		if (tally->to_load == NULL)
			tally->to_load = batch;
	} else {
		tally->loaded_bytes += batch->bytes;
	}
	tally->to_pack = batch->newer;
	pthread_cond_signal(&tally->sender_wake);
	pthread_mutex_unlock(&tally->mtx);
	return TL_OK;
}

/* Read a batch back; TL_EEND when the spool does not have it any more. */
static enum tl_err
batch_read_back(struct tally *tally, struct push_batch *batch, struct tl_why *why)
{
	uint64_t number = 0;
	uint32_t event_count;
	uint32_t damaged_count = 0;
	enum tl_err err = spool_next(tally->spool, batch->number - 1, &tally->frame, &number,
		&event_count, &damaged_count, why);

	if (err)
		return err;
	if (number != batch->number || event_count != batch->event_count)
		return TL_EEND;
	return push_batch_load(batch, tl_buf_slice(&tally->frame));
}

static enum tl_err
keeper_load(struct tally *tally, struct push_batch *batch)
{
	struct tl_why why = {""};
	enum tl_err err = TL_OK;

	/* What the spool would not take has stayed in memory. */
	if (batch->data == NULL)
		err = batch_read_back(tally, batch, &why);
	if (err == TL_EEND)
		tl_fail(&why, err, "batch %" PRIu64 " of the spool is damaged", batch->number);
	if (err)
		push_trouble(tally, &why);
	if (err && err != TL_EEND)
		return err;

	pthread_mutex_lock(&tally->mtx);
	tally->to_load = batch->newer == tally->to_pack ? NULL : batch->newer;
	if (err == TL_EEND) {
		/* A batch without bytes: its turn comes, and its sender tells that it is lost. */
		batch->number = 0;
		batch->bytes = 0;
	} else if (!batch->is_unspooled) {
		tally->loaded_bytes += batch->bytes;
	}
	pthread_cond_signal(&tally->sender_wake);
	pthread_mutex_unlock(&tally->mtx);
	return TL_OK;
}

/* Tell the caller about each event that was refused. */
static void
refused_tell(const struct tally *tally, const struct push_batch *batch)
{
	const struct tally_options *options = &tally->options;
	struct push_reply_errors errors;

	if (options->on_refused == NULL)
		return;
	if (batch->reply.verdict == PUSH_REFUSED) {
		for (uint32_t i = 0; i < batch->event_count; i++)
			options->on_refused(options->arg, batch->reply.code, batch->reply.field);
		return;
	}
	push_reply_errors_of(&batch->reply, &errors);
	while (push_reply_errors_next(&errors))
		options->on_refused(options->arg, errors.code, errors.field);
}

static void
stats_add(struct tally_stats *stats, const struct push_batch *batch)
{
	const struct tl_batch_result *result = &batch->reply.result;

	stats->pending -= batch->event_count;
	if (batch->reply.verdict == PUSH_REFUSED) {
		stats->rejected += batch->event_count;
		return;
	}
	stats->accepted += (uint64_t)result->accepted;
	if (batch->is_kept)
		stats->restored += (uint64_t)result->accepted;
	stats->duplicate += (uint64_t)result->duplicate;
	stats->replaced += (uint64_t)result->replaced;
	stats->rejected += (uint64_t)result->rejected;
	if (result->seq > stats->seq)
		stats->seq = result->seq;
}

/* True when a server that is there now knows less than was acknowledged to mark. */
static bool
mark_is_past(struct kept_mark mark, const struct tl_batch_result *result)
{
	if (mark.epoch == 0 && mark.seq == 0)
		return false;
	return result->epoch != mark.epoch || result->seq < mark.seq;
}

/*
 * Note how far the server is. A request sent after an acknowledgement is answered from behind it
 * only by a server that has lost something; answers that crossed each other say nothing, and
 * neither do those on their way when the loss was found.
 */
static void
keeper_note(struct tally *tally, const struct push_batch *batch)
{
	const struct tl_batch_result *result = &batch->reply.result;
	bool has_lost =
		mark_is_past(batch->sent_after, result) && mark_is_past(tally->acked, result);

	pthread_mutex_lock(&tally->mtx);
	if (has_lost || tally->acked.epoch != result->epoch || tally->acked.seq < result->seq)
		tally->acked = (struct kept_mark){.epoch = result->epoch, .seq = result->seq};
	tally->stats.losses += has_lost;
	pthread_mutex_unlock(&tally->mtx);
	if (tally->kept == NULL)
		return;
	if (has_lost) {
		pthread_mutex_lock(&tally->mtx);
		tally->resends = true;
		pthread_mutex_unlock(&tally->mtx);
		tally->resend_next = 1;
		tally->resend_last = kept_last(tally->kept);
	}
	/* On disk the old mark stays until all is sent: another process would begin again. */
	if (!tally->resends)
		kept_mark_set(tally->kept, tally->acked);
}

/* What becomes of the file of an answered batch. */
static void
keeper_put_away(struct tally *tally, struct push_batch *batch)
{
	struct tl_slice answer = tl_buf_slice(&batch->answer);
	uint64_t dropped_count = 0;

	if (batch->reply.verdict == PUSH_REFUSED) {
		spool_refuse(tally->spool, batch->number, answer, &dropped_count);
	} else {
		if (batch->reply.result.rejected > 0)
			spool_refuse_part(tally->spool, batch->number, answer, &dropped_count);
		spool_keep(tally->spool, batch->number, tally->kept, tally->resends);
	}
	pthread_mutex_lock(&tally->mtx);
	tally->stats.refused_dropped += dropped_count;
	pthread_mutex_unlock(&tally->mtx);
}

/* An answered batch leaves: the spool first, then the list, so that a flush means both. */
static void
keeper_settle(struct tally *tally, struct push_batch *batch)
{
	bool is_refused = batch->reply.verdict == PUSH_REFUSED || batch->reply.result.rejected > 0;

	if (is_refused)
		refused_tell(tally, batch);
	if (batch->is_kept)
		tally->resend_count--;
	else if (batch->number != 0)
		keeper_put_away(tally, batch);
	if (batch->reply.verdict == PUSH_ACKNOWLEDGED)
		keeper_note(tally, batch);
	pthread_mutex_lock(&tally->mtx);
	stats_add(&tally->stats, batch);
	if (batch->reply.verdict == PUSH_ACKNOWLEDGED)
		tally->trouble[0] = '\0';
	tally->unspooled_count -= batch->is_unspooled;
	tally->held_bytes -= batch->held_bytes;
	batch_unlink(tally, batch);
	pthread_cond_broadcast(&tally->settled);
	pthread_mutex_unlock(&tally->mtx);
	push_batch_free(batch);
}

/* With mtx held: a batch in memory is the next to be sent after those that are. */
static void
batch_insert_loaded(struct tally *tally, struct push_batch *batch)
{
	struct push_batch *newer = tally->to_load != NULL ? tally->to_load : tally->to_pack;

	batch->newer = newer;
	batch->older = newer != NULL ? newer->older : tally->newest;
	if (batch->older != NULL)
		batch->older->newer = batch;
	else
		tally->oldest = batch;
	if (newer != NULL)
		newer->older = batch;
	else
		tally->newest = batch;
	/* As old as what it stands behind: whoever flushes waits for it too. */
	batch->serial = batch->older != NULL ? batch->older->serial : 0;
	if (tally->to_send == newer)
		tally->to_send = batch;
	tally->held_bytes += batch->held_bytes;
	tally->loaded_bytes += batch->bytes;
	tally->stats.pending += batch->event_count;
	pthread_cond_signal(&tally->sender_wake);
}

/* Once all is sent again, the server is as far as it says. */
static void
resend_end(struct tally *tally)
{
	if (!tally->resends || tally->resend_next != UINT64_MAX || tally->resend_count > 0)
		return;
	kept_mark_set(tally->kept, tally->acked);
	pthread_mutex_lock(&tally->mtx);
	tally->resends = false;
	pthread_cond_broadcast(&tally->settled);
	pthread_mutex_unlock(&tally->mtx);
}

/* Queue the next of what is kept. */
static enum tl_err
keeper_resend(struct tally *tally)
{
	struct tl_why why = {""};
	struct push_batch *batch;
	uint64_t number = 0;
	uint32_t event_count = 0;
	enum tl_err err = kept_next(
		tally->kept, tally->resend_next - 1, &tally->frame, &number, &event_count, &why);

	if (err == TL_EEND || (!err && number > tally->resend_last)) {
		tally->resend_next = UINT64_MAX;
		return TL_OK;
	}
	batch = err ? NULL : push_batch_new();
	if (!err && (batch == NULL || push_batch_load(batch, tl_buf_slice(&tally->frame)) != TL_OK))
		err = tl_fail(&why, TL_ENOMEM, "no memory to send again what is kept");
	if (err) {
		push_batch_free(batch);
		push_trouble(tally, &why);
		return err;
	}
	tally->resend_next = number + 1;
	tally->resend_count++;
	batch->is_kept = true;
	batch->number = number;
	batch->event_count = event_count;
	batch->held_bytes = sizeof(*batch) + batch->bytes;
	pthread_mutex_lock(&tally->mtx);
	batch_insert_loaded(tally, batch);
	pthread_mutex_unlock(&tally->mtx);
	return TL_OK;
}

enum keeper_job {
	KEEPER_SETTLE,
	KEEPER_RESEND,
	KEEPER_LOAD,
	KEEPER_PACK,
	KEEPER_STOP,
};

static struct push_batch *
settled_take(struct tally *tally)
{
	struct push_batch *batch = tally->settled_first;

	tally->settled_first = batch->settled_next;
	if (tally->settled_first == NULL)
		tally->settled_last = NULL;
	return batch;
}

/*
 * Packing and loading take turns while there is both to do: new events wait for the disk, and the
 * senders for old ones. When the senders have stopped, what is closed still goes into the spool, so
 * that it outlives the process; without a spool that has no use. KEEPER_STOP: nothing to do.
 */
static enum keeper_job
spool_job(struct tally *tally, struct push_batch **batch_out)
{
	bool can_pack = tally->to_pack != NULL && (!tally->keeper_stops || tally->spool != NULL);
	bool can_load = tally->to_load != NULL && !tally->keeper_stops &&
			tally->loaded_bytes < LOADED_BYTES_MAX;

	if (!can_pack && !can_load)
		return KEEPER_STOP;
	tally->loads_next = can_pack && !(can_load && tally->loads_next);
	*batch_out = tally->loads_next ? tally->to_pack : tally->to_load;
	return tally->loads_next ? KEEPER_PACK : KEEPER_LOAD;
}

/* A few at a time: new events are sent in between. */
static bool
resend_is_due(struct tally *tally)
{
	if (!tally->resends || tally->keeper_stops)
		return false;
	return tally->resend_next != UINT64_MAX && tally->resend_count < RESEND_COUNT_MAX;
}

/* Wait for something to do. Answers first: they make room. */
static enum keeper_job
keeper_next(struct tally *tally, int64_t pause_until_ms, struct push_batch **batch_out)
{
	for (;;) {
		int64_t at_ms = push_now_ms();
		int64_t wake_ms = at_ms + PUSH_WAIT_MS_MAX;

		if (tally->settled_first != NULL) {
			*batch_out = settled_take(tally);
			return KEEPER_SETTLE;
		}
		if (tally->filling != NULL) {
			wake_ms = tally->filling_since_ms + tally->options.batch_ms;
			if (at_ms >= wake_ms || tally->keeper_stops) {
				push_close_filling(tally);
				continue;
			}
		}
		if (at_ms >= pause_until_ms && resend_is_due(tally))
			return KEEPER_RESEND;
		if (at_ms >= pause_until_ms) {
			enum keeper_job job = spool_job(tally, batch_out);

			if (job != KEEPER_STOP)
				return job;
		} else if (wake_ms > pause_until_ms) {
			wake_ms = pause_until_ms;
		}
		if (tally->keeper_stops)
			return KEEPER_STOP;
		push_wait(&tally->keeper_wake, &tally->mtx, wake_ms);
	}
}

void *
push_keeper_run(void *arg)
{
	struct tally *tally = arg;
	int64_t pause_until_ms = 0;
	bool goes_on = true;

	tl_thread_name("tally-keep");
	while (goes_on) {
		struct push_batch *batch = NULL;
		enum keeper_job job;
		enum tl_err err = TL_OK;

		pthread_mutex_lock(&tally->mtx);
		job = keeper_next(tally, pause_until_ms, &batch);
		pthread_mutex_unlock(&tally->mtx);
		switch (job) {
		case KEEPER_SETTLE:
			keeper_settle(tally, batch);
			break;
		case KEEPER_RESEND:
			err = keeper_resend(tally);
			break;
		case KEEPER_LOAD:
			err = keeper_load(tally, batch);
			break;
		case KEEPER_PACK:
			err = keeper_pack(tally, batch);
			break;
		case KEEPER_STOP:
			goes_on = false;
			break;
		}
		if (err)
			pause_until_ms = push_now_ms() + KEEPER_RETRY_MS;
		resend_end(tally);
	}
	return NULL;
}
