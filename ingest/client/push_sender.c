/*
 * A sender has a connection of its own and one batch, which it sends until there is an answer. So
 * one that waits out a backoff keeps nothing from the others, and a new connection disturbs nobody.
 */
#include "ingest/client/tally_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/base/daemon.h"

#define BACKOFF_MS_MIN 50
#define BACKOFF_MS_MAX 2000
#define RETRY_AFTER_MS_MAX 60000

/* An answer is at hand: the keeper does the rest. */
static void
batch_settle(struct tally *tally, struct push_batch *batch)
{
	batch->settled_next = NULL;
	if (tally->settled_last != NULL)
		tally->settled_last->settled_next = batch;
	else
		tally->settled_first = batch;
	tally->settled_last = batch;
	pthread_cond_signal(&tally->keeper_wake);
}

/* The next batch to send; NULL when the senders stop. */
static struct push_batch *
batch_take(struct tally *tally)
{
	struct push_batch *batch = NULL;

	pthread_mutex_lock(&tally->mtx);
	while (!tally->senders_stop &&
		(tally->to_send == NULL || tally->to_send == tally->to_load ||
			tally->to_send == tally->to_pack))
		pthread_cond_wait(&tally->sender_wake, &tally->mtx);
	if (!tally->senders_stop) {
		batch = tally->to_send;
		tally->to_send = batch->newer;
		assert(tally->loaded_bytes >= batch->bytes);
		tally->loaded_bytes -= batch->bytes;
		if (tally->to_load != NULL) /* there is room to read more back */
			pthread_cond_signal(&tally->keeper_wake);
	}
	pthread_mutex_unlock(&tally->mtx);
	return batch;
}

/* Count the try; how long its answer may take. */
static int64_t
call_begin(struct tally *tally, struct push_batch *batch)
{
	int64_t timeout_ms = tally->options.ack_timeout_ms;

	pthread_mutex_lock(&tally->mtx);
	batch->sent_after = tally->acked;
	if (batch->send_count++ == 1)
		tally->stats.resent++;
	if (tally->calls_until_ms > 0) {
		int64_t left_ms = tally->calls_until_ms - push_now_ms();

		if (left_ms < timeout_ms)
			timeout_ms = left_ms > 0 ? left_ms : 0;
	}
	pthread_mutex_unlock(&tally->mtx);
	return timeout_ms;
}

/* Send once. No answer in time, or none of ours: PUSH_UNREADABLE. */
static void
batch_try(struct push_sender *sender, struct push_batch *batch, struct tl_why *why)
{
	struct tally *tally = sender->tally;
	enum tl_err err = TL_OK;
	int64_t timeout_ms = call_begin(tally, batch);

	batch->reply = (struct push_reply){.verdict = PUSH_UNREADABLE};
	tl_buf_reset(&batch->answer);
	if (sender->client == NULL)
		err = tl_req_client_open(tally->url, &sender->client, why);
	if (!err)
		err = tl_req_client_call(sender->client, tl_slice_of(batch->data, batch->bytes),
			timeout_ms, &batch->answer, why);
	if (!err)
		push_reply_read(tl_buf_slice(&batch->answer), &batch->reply, why);
	if (batch->reply.verdict == PUSH_UNREADABLE) {
		/* Whatever the connection carries now, it is not trusted with the next try. */
		tl_req_client_close(sender->client);
		sender->client = NULL;
	}
}

/*
 * How long to wait before the next try. Without a word from the server the wait doubles, and half
 * of it is left to chance, so that senders that failed together do not come back together.
 */
static int64_t
wait_ms_of(const struct push_reply *reply, int64_t *backoff_ms)
{
	uint32_t chance;
	int64_t wait_ms = *backoff_ms;

	tl_random(&chance, sizeof(chance));
	if (reply->verdict == PUSH_AGAIN && reply->retry_after_ms > 0) {
		wait_ms = reply->retry_after_ms;
		if (wait_ms > RETRY_AFTER_MS_MAX)
			wait_ms = RETRY_AFTER_MS_MAX;
		return wait_ms + chance % (wait_ms / 8 + 1);
	}
	*backoff_ms = wait_ms * 2 < BACKOFF_MS_MAX ? wait_ms * 2 : BACKOFF_MS_MAX;
	return wait_ms / 2 + chance % (wait_ms / 2 + 1);
}

/* False when the senders stop. */
static bool
sender_wait(struct tally *tally, int64_t wait_ms)
{
	int64_t until_ms = push_now_ms() + wait_ms + 1; /* now is rounded down */
	bool goes_on;

	pthread_mutex_lock(&tally->mtx);
	while (!tally->senders_stop && push_wait(&tally->senders_stopped, &tally->mtx, until_ms))
		;
	goes_on = !tally->senders_stop;
	pthread_mutex_unlock(&tally->mtx);
	return goes_on;
}

/* Until there is an answer; false when the senders stop before. */
static bool
batch_send(struct push_sender *sender, struct push_batch *batch)
{
	int64_t backoff_ms = BACKOFF_MS_MIN;

	if (batch->data == NULL) {
		/* Damaged in the spool. Its events are told as refused: nobody will send them. */
		batch->reply = (struct push_reply){.verdict = PUSH_REFUSED};
		snprintf(batch->reply.code, sizeof(batch->reply.code), "%s",
			tl_err_name(TL_ESTORAGE_CORRUPT));
		return true;
	}
	for (;;) {
		struct tl_why why = {""};

		batch_try(sender, batch, &why);
		if (batch->reply.verdict == PUSH_ACKNOWLEDGED)
			return true;
		push_trouble(sender->tally, &why);
		if (batch->reply.verdict == PUSH_REFUSED)
			return true;
		if (!sender_wait(sender->tally, wait_ms_of(&batch->reply, &backoff_ms)))
			return false;
	}
}

void *
push_sender_run(void *arg)
{
	struct push_sender *sender = arg;
	struct tally *tally = sender->tally;
	struct push_batch *batch;

	tl_thread_name("tally-send");
	while ((batch = batch_take(tally)) != NULL && batch_send(sender, batch)) {
		pthread_mutex_lock(&tally->mtx);
		batch_settle(tally, batch);
		pthread_mutex_unlock(&tally->mtx);
	}
	return NULL;
}
