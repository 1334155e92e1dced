/*
 * A server for the client's tests: reads batches as tallyd does, keeps each event once by its id,
 * and does to each request what the test planned for it.
 */
#ifndef TL_TESTS_CLIENT_FAKE_SERVER_H
#define TL_TESTS_CLIENT_FAKE_SERVER_H

#include <pthread.h>
#include <time.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/base/map.h"
#include "schema/base/queue.h"
#include "schema/model/limits.h"
#include "schema/net/rep_server.h"
#include "schema/wire/event_wire.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"

enum fake_plan {
	FAKE_ANSWER,
	FAKE_LOSE_REQUEST, /* as if it had never come */
	FAKE_LOSE_ACK,	   /* stored, and no reply */
	FAKE_HOLD,	   /* until fake_release */
	FAKE_OVERLOADED,   /* with a retry_after_ms of FAKE_RETRY_AFTER_MS */
	FAKE_STARTING,
	FAKE_REFUSE, /* the whole batch */
	FAKE_GARBAGE,
	FAKE_NEW_CODE_AFTER, /* a code the client does not know, and the word "after" */
	FAKE_NEW_CODE_NEVER,
};

#define FAKE_RETRY_AFTER_MS 120
#define FAKE_REQUESTS_MAX 4096
#define FAKE_WAIT_S 120

/* An event of this model is refused, the others of its batch are not. */
#define FAKE_WRONG_MODEL "wrong-model"

/* What the server has seen so far. */
struct fake_notes {
	uint64_t request_count;
	uint64_t event_count; /* received, repeats included */
	uint64_t epoch, seq;
	size_t held_count_max;
	int64_t arrived_us[FAKE_REQUESTS_MAX];
	uint64_t batch_hash[FAKE_REQUESTS_MAX];
	char batch_name[FAKE_REQUESTS_MAX][65];
	char token[80];
	/* of the last event */
	int64_t last[TL_COL_COUNT];
	char last_text[TL_COL_COUNT][400];
	uint8_t last_id[16];
};

struct fake {
	/* fixed while it runs */
	struct tl_queue *queue;
	struct tl_rep_server *server;
	pthread_t thread;
	enum fake_plan (*plan)(uint64_t request_no); /* from 0; NULL: answer all */

	/* guarded by mtx; they outlive a restart */
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	struct tl_map *ids;
	bool holds; /* FAKE_HOLD holds; cleared by fake_release */
	struct tl_rep_request *held[64];
	size_t held_count;
	struct fake_notes notes;
};

static inline void
fake_row_keep(struct fake *fake, const struct tl_batch *batch, uint32_t row)
{
	for (int column = 0; column < TL_COL_COUNT; column++) {
		int64_t value = tl_batch_get(batch, (enum tl_column)column, row);
		struct tl_slice text = tl_slice_of("", 0);

		if (tl_column_name_kind((enum tl_column)column) != 0 && value > 0)
			text = batch->symbols[value].text;
		fake->notes.last[column] = value;
		snprintf(fake->notes.last_text[column], sizeof(fake->notes.last_text[column]),
			"%.*s", (int)text.bytes, (const char *)text.data);
	}
	memcpy(fake->notes.last_id, batch->id[row], sizeof(fake->notes.last_id));
}

static inline bool
fake_model_is_wrong(const struct tl_batch *batch, uint32_t row)
{
	int64_t model = tl_batch_get(batch, TL_COL_MODEL, row);

	return model > 0 && tl_slice_eq(batch->symbols[model].text, tl_slice_str(FAKE_WRONG_MODEL));
}

/* Store what is new and build the answer. */
static inline void
fake_store(struct fake *fake, struct tl_slice body, struct tl_buf *reply)
{
	struct tl_accept accept = {.now_ms = tl_clock_wall_ms(tl_clock_system()),
		.past_ms_max = 86400000,
		.future_ms_max = TL_FUTURE_MS_MAX};
	struct tl_batch_head head;
	struct tl_batch batch;
	struct tl_batch_answer answer = {0};
	struct tl_arena arena;
	struct tl_why why;

	if (tl_batch_head_read(body, &head, &why) != TL_OK)
		fail_msg("head: %s", why.text);
	tl_arena_init(&arena, (size_t)64 << 20);
	assert_int_equal(tl_batch_init(&batch, &arena, head.event_count), TL_OK);
	if (tl_batch_rows_read(&head, &accept, &batch, &why) != TL_OK)
		fail_msg("rows: %s", why.text);
	for (uint32_t row = 0; row < batch.row_count; row++) {
		struct tl_slice id = tl_slice_of(batch.id[row], 16);
		uint64_t value;

		if (row + 1 == batch.row_count)
			fake_row_keep(fake, &batch, row);
		if (fake_model_is_wrong(&batch, row)) {
			struct tl_reject *reject = &batch.rejects[batch.reject_count++];

			*reject = (struct tl_reject){.event_idx = batch.event_idx[row],
				.err = TL_ETIME_TOO_OLD,
				.field = "ts",
				.limit = INT64_MIN};
		} else if (tl_map_get(fake->ids, id, &value)) {
			answer.duplicate++;
		} else {
			assert_int_equal(tl_map_put(fake->ids, id, 1), TL_OK);
			answer.accepted++;
		}
	}
	answer.batch = head.batch;
	answer.epoch = fake->notes.epoch;
	answer.seq = fake->notes.seq += answer.accepted;
	answer.rejects = batch.rejects;
	answer.reject_count = batch.reject_count;
	answer.rejected = batch.reject_count;
	tl_batch_put_answer(reply, &answer);
	tl_arena_fini(&arena);
}

/* The error shape with words of our own. */
static inline void
fake_put_new_code(struct tl_buf *reply, const char *retry)
{
	struct tl_pack_open map = tl_pack_open_map(reply);
	struct tl_pack_open error;

	tl_pack_key_int(reply, &map, "v", 1);
	tl_pack_key_bool(reply, &map, "ok", false);
	tl_pack_key(reply, &map, "error");
	error = tl_pack_open_map(reply);
	tl_pack_key_str(reply, &error, "code", "moon_in_the_way");
	tl_pack_key_str(reply, &error, "message", "the moon is in the way");
	tl_pack_key_str(reply, &error, "retry", retry);
	tl_pack_close(reply, &error);
	tl_pack_close(reply, &map);
}

static inline void
fake_reply(struct fake *fake, struct tl_rep_request *request, enum fake_plan plan)
{
	struct tl_error_detail soon = {.limit = INT64_MIN, .retry_after_ms = FAKE_RETRY_AFTER_MS};
	struct tl_error_detail token = {.limit = INT64_MIN, .field = "token"};
	struct tl_buf reply;

	tl_buf_init(&reply, 0);
	switch (plan) {
	case FAKE_LOSE_REQUEST:
		break;
	case FAKE_ANSWER:
	case FAKE_HOLD:
	case FAKE_LOSE_ACK:
		fake_store(fake, tl_rep_request_body(request), &reply);
		break;
	case FAKE_OVERLOADED:
		tl_frame_put_error(&reply, TL_EOVERLOADED, &soon);
		break;
	case FAKE_STARTING:
		tl_frame_put_error(&reply, TL_ESTARTING, NULL);
		break;
	case FAKE_REFUSE:
		tl_frame_put_error(&reply, TL_EUNAUTHENTICATED, &token);
		break;
	case FAKE_GARBAGE:
		tl_buf_put_str(&reply, "HTTP/1.1 400 Bad Request");
		break;
	case FAKE_NEW_CODE_AFTER:
		fake_put_new_code(&reply, "after");
		break;
	case FAKE_NEW_CODE_NEVER:
		fake_put_new_code(&reply, "never");
		break;
	}
	if (plan == FAKE_LOSE_REQUEST || plan == FAKE_LOSE_ACK) {
		tl_rep_request_drop(request);
	} else {
		tl_rep_request_reply(request, tl_buf_slice(&reply));
	}
	tl_buf_fini(&reply);
}

/* With mtx held: what every request leaves behind. */
static inline uint64_t
fake_note(struct fake *fake, struct tl_rep_request *request)
{
	struct tl_slice body = tl_rep_request_body(request);
	uint64_t request_no = fake->notes.request_count++;
	struct tl_batch_head head;

	assert_int_equal(tl_batch_head_read(body, &head, NULL), TL_OK);
	assert_true(request_no < FAKE_REQUESTS_MAX);
	fake->notes.event_count += head.event_count;
	fake->notes.arrived_us[request_no] = tl_rep_request_received_us(request);
	fake->notes.batch_hash[request_no] = tl_checksum64(body);
	snprintf(fake->notes.batch_name[request_no], sizeof(fake->notes.batch_name[0]), "%.*s",
		(int)head.batch.bytes, (const char *)head.batch.data);
	snprintf(fake->notes.token, sizeof(fake->notes.token), "%.*s", (int)head.token.bytes,
		(const char *)head.token.data);
	return request_no;
}

static inline void *
fake_run(void *arg)
{
	struct fake *fake = arg;
	void *element;

	while (tl_queue_pop(fake->queue, -1, &element) == TL_OK) {
		struct tl_rep_request *request = element;
		enum fake_plan plan = FAKE_ANSWER;
		uint64_t request_no;

		pthread_mutex_lock(&fake->mtx);
		request_no = fake_note(fake, request);
		if (fake->plan != NULL)
			plan = fake->plan(request_no);
		if (plan == FAKE_HOLD && fake->holds) {
			assert_true(fake->held_count < 64);
			fake->held[fake->held_count++] = request;
			if (fake->held_count > fake->notes.held_count_max)
				fake->notes.held_count_max = fake->held_count;
		} else {
			fake_reply(fake, request, plan);
		}
		pthread_cond_broadcast(&fake->changed);
		pthread_mutex_unlock(&fake->mtx);
	}
	return NULL;
}

static inline void
fake_start(struct fake *fake, const char *url)
{
	struct tl_rep_options options = {.urls = &url, .url_count = 1};
	struct tl_why why;

	assert_int_equal(tl_queue_new(1024, 0, &fake->queue), TL_OK);
	options.queue = fake->queue;
	if (tl_rep_server_start(&options, &fake->server, &why) != TL_OK)
		fail_msg("%s", why.text);
	assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
}

static inline void
fake_stop(struct fake *fake)
{
	if (fake->server == NULL)
		return;
	tl_queue_close(fake->queue);
	pthread_join(fake->thread, NULL);
	while (fake->held_count > 0)
		tl_rep_request_drop(fake->held[--fake->held_count]);
	tl_rep_server_stop(fake->server);
	fake->server = NULL;
	tl_queue_free(fake->queue);
}

static inline struct fake *fake_new(enum fake_plan (*plan)(uint64_t request_no))
{
	struct fake *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	fake->plan = plan;
	fake->holds = true;
	pthread_mutex_init(&fake->mtx, NULL);
	pthread_cond_init(&fake->changed, NULL);
	assert_int_equal(tl_map_new(1u << 20, &fake->ids), TL_OK);
	return fake;
}

static inline void
fake_free(struct fake *fake)
{
	fake_stop(fake);
	tl_map_free(fake->ids);
	pthread_cond_destroy(&fake->changed);
	pthread_mutex_destroy(&fake->mtx);
	free(fake);
}

/* Answer what is held, and hold nothing from now on. */
static inline void
fake_release(struct fake *fake)
{
	pthread_mutex_lock(&fake->mtx);
	fake->holds = false;
	while (fake->held_count > 0)
		fake_reply(fake, fake->held[--fake->held_count], FAKE_ANSWER);
	pthread_mutex_unlock(&fake->mtx);
}

/* Wait until a number of the server's has come to at least this; a hang fails the test. */
static inline void
fake_wait(struct fake *fake, const uint64_t *number, uint64_t least)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += FAKE_WAIT_S;
	pthread_mutex_lock(&fake->mtx);
	while (*number < least && result == 0)
		result = pthread_cond_timedwait(&fake->changed, &fake->mtx, &until);
	pthread_mutex_unlock(&fake->mtx);
	if (result != 0)
		fail_msg("nothing more came in %d s", FAKE_WAIT_S);
}

/* A copy of the notes, for a test to look at while the server goes on. */
static inline const struct fake_notes *
fake_noted(struct fake *fake)
{
	static struct fake_notes notes;

	pthread_mutex_lock(&fake->mtx);
	notes = fake->notes;
	pthread_mutex_unlock(&fake->mtx);
	return &notes;
}

static inline bool
fake_has(struct fake *fake, const char *id_text)
{
	uint8_t id[16];
	uint64_t value;
	bool has;

	assert_true(tl_event_id_from_text(tl_slice_str(id_text), id));
	pthread_mutex_lock(&fake->mtx);
	has = tl_map_get(fake->ids, tl_slice_of(id, sizeof(id)), &value);
	pthread_mutex_unlock(&fake->mtx);
	return has;
}

static inline size_t
fake_stored(struct fake *fake)
{
	size_t count;

	pthread_mutex_lock(&fake->mtx);
	count = tl_map_count(fake->ids);
	pthread_mutex_unlock(&fake->mtx);
	return count;
}

/* The server loses all it has, as when an old copy of its data is put back. */
static inline void
fake_lose(struct fake *fake, uint64_t epoch, uint64_t seq)
{
	pthread_mutex_lock(&fake->mtx);
	tl_map_clear(fake->ids);
	fake->notes.epoch = epoch;
	fake->notes.seq = seq;
	pthread_mutex_unlock(&fake->mtx);
}

#endif
