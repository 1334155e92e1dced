#include "query/api/fresh.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/model/limits.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define QUESTIONS_MAX 256u /* in one message; tallyd takes 512 */
#define REPLY_DEPTH_MAX 6u
#define ASK_TIMEOUT_MS 1000

/*
 * Who was just answered asks again at once, one after the other: so many as last time are waited
 * for this long, that one message is asked and not one for the first of them and one for the rest.
 */
#define GATHER_US 150
#define GATHER_MAX 16u

#define THREADS 2u /* questions under way at once */

struct questions {
	struct fresh_ask *list[QUESTIONS_MAX]; /* each the first of those that ask it */
	uint32_t count;
};

struct fresh {
	/* fixed after start */
	struct tl_req_client *client;
	pthread_t threads[THREADS];
	uint32_t thread_count;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t changed; /* for threads with nothing to do */
	pthread_cond_t enough;	/* for the one that gathers, on the monotonic clock */
	bool is_stopping;
	struct questions waiting;
	uint32_t waiting_count;	 /* of requests */
	uint32_t expected_count; /* as many as were asked about last */
	bool is_gathering;	 /* one thread waits for more to come */
	uint32_t asking_count;	 /* threads with a question under way */
};

/* What one thread asks. */
struct round {
	struct fresh *fresh;
	struct questions asked;
	struct tl_buf message, reply;
};

/* With the lock held. While a question is under way, another is asked only for many. */
static bool
is_worth_a_round(const struct fresh *fresh)
{
	return fresh->waiting_count >= (fresh->asking_count == 0 ? 1 : GATHER_MAX);
}

bool
fresh_add(struct fresh *fresh, struct fresh_ask *ask)
{
	struct questions *waiting = &fresh->waiting;
	bool is_taken;
	uint32_t i = 0;

	ask->hash = tl_checksum64(ask->question);
	ask->next = NULL;
	pthread_mutex_lock(&fresh->mtx);
	while (i < waiting->count &&
		(waiting->list[i]->hash != ask->hash ||
			!tl_slice_eq(waiting->list[i]->question, ask->question)))
		i++;
	is_taken = i < QUESTIONS_MAX && !fresh->is_stopping;
	if (is_taken && i < waiting->count) {
		ask->next = waiting->list[i]->next;
		waiting->list[i]->next = ask;
	} else if (is_taken) {
		waiting->list[waiting->count++] = ask;
	}
	fresh->waiting_count += is_taken;
	if (is_taken && fresh->is_gathering && fresh->waiting_count == fresh->expected_count)
		pthread_cond_signal(&fresh->enough);
	else if (is_taken && !fresh->is_gathering && is_worth_a_round(fresh))
		pthread_cond_signal(&fresh->changed);
	pthread_mutex_unlock(&fresh->mtx);
	return is_taken;
}

static void
put_message(struct round *round)
{
	struct tl_buf *message = &round->message;
	struct tl_pack_open map;

	tl_buf_reset(message);
	map = tl_pack_open_map(message);
	tl_pack_key_int(message, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_str(message, &map, "op", "several");
	tl_pack_key(message, &map, "asks");
	tl_pack_array(message, round->asked.count);
	for (uint32_t i = 0; i < round->asked.count; i++)
		tl_buf_put_slice(message, round->asked.list[i]->question);
	tl_pack_close(message, &map);
}

/* The answers, in the order of the questions; none when there is no reply. */
static uint32_t
ask_all(struct round *round, struct tl_reader *answers_out)
{
	struct tl_slice reply;
	struct tl_why why = {0};

	put_message(round);
	tl_buf_reset(&round->reply);
	if (round->message.err ||
		tl_req_client_call(round->fresh->client, tl_buf_slice(&round->message),
			ASK_TIMEOUT_MS, &round->reply, &why))
		return 0;
	reply = tl_buf_slice(&round->reply);
	if (tl_reader_check(reply, REPLY_DEPTH_MAX, &why) ||
		!tl_reader_find(reply, "answers", answers_out) ||
		tl_reader_peek(answers_out) != TL_WIRE_ARRAY)
		return 0;
	return tl_read_array(answers_out);
}

static void
tell(struct fresh_ask *ask, bool is_same)
{
	while (ask != NULL) {
		struct fresh_ask *next = ask->next;

		ask->told(ask, is_same);
		ask = next;
	}
}

static void
run_round(struct round *round)
{
	struct tl_reader answers;
	uint32_t count = ask_all(round, &answers);

	for (uint32_t i = 0; i < round->asked.count; i++) {
		bool is_same =
			i < count && tl_reader_find_bool(tl_read_any(&answers), "same", false);

		tell(round->asked.list[i], is_same);
	}
}

/* With the lock held, and somebody waiting. */
static void
gather(struct fresh *fresh, struct questions *asked_out)
{
	int64_t until_us = tl_clock_mono_us() + GATHER_US;
	struct timespec until = {
		.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};

	fresh->is_gathering = true;
	while (fresh->waiting_count < fresh->expected_count && !fresh->is_stopping &&
		pthread_cond_timedwait(&fresh->enough, &fresh->mtx, &until) == 0)
		;
	*asked_out = fresh->waiting;
	fresh->expected_count =
		fresh->waiting_count < GATHER_MAX ? fresh->waiting_count : GATHER_MAX;
	fresh->waiting.count = 0;
	fresh->waiting_count = 0;
	fresh->is_gathering = false;
}

static void *
fresh_main(void *arg)
{
	struct fresh *fresh = arg;
	struct round round = {.fresh = fresh};

	tl_thread_name("http-fresh");
	tl_buf_init(&round.message, TL_FRAME_BYTES_MAX);
	tl_buf_init(&round.reply, 0);
	pthread_mutex_lock(&fresh->mtx);
	while (!fresh->is_stopping || fresh->waiting.count > 0) {
		if (fresh->is_gathering || !is_worth_a_round(fresh)) {
			pthread_cond_wait(&fresh->changed, &fresh->mtx);
			continue;
		}
		gather(fresh, &round.asked);
		fresh->asking_count++;
		pthread_mutex_unlock(&fresh->mtx);
		run_round(&round);
		pthread_mutex_lock(&fresh->mtx);
		fresh->asking_count--;
	}
	pthread_cond_broadcast(&fresh->changed);
	pthread_mutex_unlock(&fresh->mtx);
	tl_buf_fini(&round.reply);
	tl_buf_fini(&round.message);
	return NULL;
}

enum tl_err
fresh_start(struct tl_req_client *client, struct fresh **fresh_out, struct tl_why *why)
{
	struct fresh *fresh = calloc(1, sizeof(*fresh));
	pthread_condattr_t monotonic;

	if (fresh == NULL)
		return TL_ENOMEM;
	fresh->client = client;
	pthread_mutex_init(&fresh->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&fresh->changed, NULL);
	pthread_cond_init(&fresh->enough, &monotonic);
	pthread_condattr_destroy(&monotonic);
	while (fresh->thread_count < THREADS) {
		pthread_t *thread = &fresh->threads[fresh->thread_count];

		if (pthread_create(thread, NULL, fresh_main, fresh) != 0) {
			fresh_stop(fresh);
			fresh_free(fresh);
			return tl_fail(why, TL_ENOMEM, "no thread to ask tallyd");
		}
		fresh->thread_count++;
	}
	*fresh_out = fresh;
	return TL_OK;
}

void
fresh_stop(struct fresh *fresh)
{
	if (fresh == NULL)
		return;
	pthread_mutex_lock(&fresh->mtx);
	fresh->is_stopping = true;
	pthread_cond_broadcast(&fresh->changed);
	pthread_cond_signal(&fresh->enough);
	pthread_mutex_unlock(&fresh->mtx);
	for (uint32_t i = 0; i < fresh->thread_count; i++)
		pthread_join(fresh->threads[i], NULL);
}

void
fresh_free(struct fresh *fresh)
{
	if (fresh == NULL)
		return;
	pthread_cond_destroy(&fresh->enough);
	pthread_cond_destroy(&fresh->changed);
	pthread_mutex_destroy(&fresh->mtx);
	free(fresh);
}
