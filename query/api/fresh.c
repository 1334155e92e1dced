#include "query/api/fresh.h"

#include <pthread.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/model/limits.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define QUESTIONS_MAX 256u /* in one message; tallyd takes 512 */
#define REPLY_DEPTH_MAX 6u
#define ASK_TIMEOUT_MS 1000

struct questions {
	struct fresh_ask *list[QUESTIONS_MAX]; /* each the first of those that ask it */
	uint32_t count;
};

struct fresh {
	/* fixed after start */
	struct tl_req_client *client;
	pthread_t thread;

	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_stopping;
	struct questions waiting;

	/* the thread's */
	struct questions asked;
	struct tl_buf message, reply;
};

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
		if (i == 0)
			pthread_cond_signal(&fresh->changed);
	}
	pthread_mutex_unlock(&fresh->mtx);
	return is_taken;
}

static void
put_message(struct fresh *fresh)
{
	struct tl_buf *message = &fresh->message;
	struct tl_pack_open map;

	tl_buf_reset(message);
	map = tl_pack_open_map(message);
	tl_pack_key_int(message, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_str(message, &map, "op", "several");
	tl_pack_key(message, &map, "asks");
	tl_pack_array(message, fresh->asked.count);
	for (uint32_t i = 0; i < fresh->asked.count; i++)
		tl_buf_put_slice(message, fresh->asked.list[i]->question);
	tl_pack_close(message, &map);
}

/* The answers, in the order of the questions; none when there is no reply. */
static uint32_t
ask_all(struct fresh *fresh, struct tl_reader *answers_out)
{
	struct tl_slice reply;
	struct tl_why why = {0};

	put_message(fresh);
	tl_buf_reset(&fresh->reply);
	if (fresh->message.err || tl_req_client_call(fresh->client, tl_buf_slice(&fresh->message),
					  ASK_TIMEOUT_MS, &fresh->reply, &why))
		return 0;
	reply = tl_buf_slice(&fresh->reply);
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
run_round(struct fresh *fresh)
{
	struct tl_reader answers;
	uint32_t count = ask_all(fresh, &answers);

	for (uint32_t i = 0; i < fresh->asked.count; i++) {
		bool is_same =
			i < count && tl_reader_find_bool(tl_read_any(&answers), "same", false);

		tell(fresh->asked.list[i], is_same);
	}
}

static void *
fresh_main(void *arg)
{
	struct fresh *fresh = arg;

	tl_thread_name("http-fresh");
	pthread_mutex_lock(&fresh->mtx);
	while (!fresh->is_stopping || fresh->waiting.count > 0) {
		if (fresh->waiting.count == 0) {
			pthread_cond_wait(&fresh->changed, &fresh->mtx);
			continue;
		}
		fresh->asked = fresh->waiting;
		fresh->waiting.count = 0;
		pthread_mutex_unlock(&fresh->mtx);
		run_round(fresh);
		pthread_mutex_lock(&fresh->mtx);
	}
	pthread_mutex_unlock(&fresh->mtx);
	return NULL;
}

enum tl_err
fresh_start(struct tl_req_client *client, struct fresh **fresh_out, struct tl_why *why)
{
	struct fresh *fresh = calloc(1, sizeof(*fresh));

	if (fresh == NULL)
		return TL_ENOMEM;
	fresh->client = client;
	tl_buf_init(&fresh->message, TL_FRAME_BYTES_MAX);
	tl_buf_init(&fresh->reply, 0);
	pthread_mutex_init(&fresh->mtx, NULL);
	pthread_cond_init(&fresh->changed, NULL);
	if (pthread_create(&fresh->thread, NULL, fresh_main, fresh) != 0) {
		fresh_free(fresh);
		return tl_fail(why, TL_ENOMEM, "no thread to ask tallyd");
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
	pthread_cond_signal(&fresh->changed);
	pthread_mutex_unlock(&fresh->mtx);
	pthread_join(fresh->thread, NULL);
}

void
fresh_free(struct fresh *fresh)
{
	if (fresh == NULL)
		return;
	tl_buf_fini(&fresh->reply);
	tl_buf_fini(&fresh->message);
	pthread_cond_destroy(&fresh->changed);
	pthread_mutex_destroy(&fresh->mtx);
	free(fresh);
}
