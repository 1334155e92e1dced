#include "query/api/live.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schema/base/clock.h"
#include "schema/base/daemon.h"
#include "schema/model/limits.h"
#include "schema/net/http_stream.h"
#include "schema/wire/reader.h"

#define STREAMS_MAX 500u
#define STREAMS_PER_USER_MAX 8u
#define STREAM_BYTES_MAX (16u << 10)
#define QUESTION_BYTES_MAX 1024u
#define REPLY_DEPTH_MAX 6u
#define ASK_TIMEOUT_MS 3000
#define ROUND_US 200000	   /* from one question for all to the next */
#define RECHECK_US 2000000 /* a credential is asked about at least this often */
#define LOOK_US 1000000	   /* whether peers are still there */
#define HEARTBEAT_US 15000000
#define DIGEST_BYTES 17

/* What a peer was told last, or tallyd said. */
struct position {
	char usage[DIGEST_BYTES], team[DIGEST_BYTES];
};

struct org {
	char key[DIGEST_BYTES];
	struct position now;
	int64_t seq, as_of_ms;
	uint32_t stream_count;
	bool is_asked; /* in this round */
};

struct watcher {
	struct tl_http_stream *stream;
	struct org *org;
	char user[DIGEST_BYTES];
	struct position told;
	struct tl_buf question;
	int64_t asked_us, put_us;
};

struct live {
	/* fixed after start */
	const struct tl_relay *relay;
	pthread_t thread;

	/* guarded by mtx; only the thread takes watchers out */
	pthread_mutex_t mtx;
	pthread_cond_t changed; /* on the monotonic clock */
	bool is_stopping;
	struct watcher *watchers[STREAMS_MAX];
	uint32_t count;
	struct org orgs[STREAMS_MAX]; /* stream_count 0: free */

	/* the thread's */
	int64_t looked_us;
	struct tl_buf question, reply, event;
	struct watcher *asked[STREAMS_MAX]; /* of this round, in the order of the answers */
	uint32_t asked_count;
};

static bool
copy_digest(struct tl_slice map, const char *key, char to[DIGEST_BYTES])
{
	struct tl_slice text = tl_reader_find_str(map, key);

	if (text.bytes != DIGEST_BYTES - 1)
		return false;
	memcpy(to, text.data, text.bytes);
	to[text.bytes] = '\0';
	return true;
}

static bool
is_same(const struct position *a, const struct position *b)
{
	return strcmp(a->usage, b->usage) == 0 && strcmp(a->team, b->team) == 0;
}

/* The event that says what moved since the peer was told; name NULL: the usual one. */
static void
put_event(
	struct tl_buf *event, const char *name, const struct position *told, const struct org *org)
{
	bool has_usage = strcmp(told->usage, org->now.usage) != 0;
	bool has_team = strcmp(told->team, org->now.team) != 0;

	tl_buf_reset(event);
	if (name != NULL)
		tl_buf_printf(event, "event: %s\n", name);
	tl_buf_printf(event, "id: %s-%s\n", org->now.usage, org->now.team);
	tl_buf_printf(event,
		"data: {\"seq\":%" PRId64 ",\"as_of_ms\":%" PRId64 ",\"changed\":[%s%s%s]}\n\n",
		org->seq, org->as_of_ms, has_usage ? "\"usage\"" : "",
		has_usage && has_team ? "," : "", has_team ? "\"team\"" : "");
}

static void
watcher_free(struct watcher *watcher, bool is_whole)
{
	if (watcher == NULL)
		return;
	tl_http_stream_end(watcher->stream, is_whole);
	tl_buf_fini(&watcher->question);
	free(watcher);
}

static void
remove_at(struct live *live, uint32_t idx, bool is_whole)
{
	struct watcher *watcher = live->watchers[idx];

	watcher->org->stream_count--;
	live->watchers[idx] = live->watchers[--live->count];
	watcher_free(watcher, is_whole);
}

static void
remove_watcher(struct live *live, const struct watcher *watcher, bool is_whole)
{
	for (uint32_t i = 0; i < live->count; i++) {
		if (live->watchers[i] == watcher) {
			remove_at(live, i, is_whole);
			return;
		}
	}
}

static void
look_for_the_gone(struct live *live, int64_t now_us)
{
	if (now_us - live->looked_us < LOOK_US)
		return;
	live->looked_us = now_us;
	for (uint32_t i = live->count; i > 0; i--) {
		if (!tl_http_stream_is_open(live->watchers[i - 1]->stream))
			remove_at(live, i - 1, false);
	}
}

/* Each org once, by whichever stream comes first, and whoever was not asked about for long. */
static void
choose(struct live *live, int64_t now_us)
{
	live->asked_count = 0;
	for (uint32_t i = 0; i < live->count; i++)
		live->watchers[i]->org->is_asked = false;
	for (uint32_t i = 0; i < live->count; i++) {
		struct watcher *watcher = live->watchers[i];

		if (watcher->org->is_asked && now_us - watcher->asked_us < RECHECK_US)
			continue;
		watcher->org->is_asked = true;
		watcher->asked_us = now_us;
		live->asked[live->asked_count++] = watcher;
	}
}

static void
put_question(struct live *live)
{
	struct tl_buf *question = &live->question;
	struct tl_pack_open map, asks;

	tl_buf_reset(question);
	map = tl_pack_open_map(question);
	tl_pack_key_int(question, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_str(question, &map, "op", "several");
	tl_pack_key(question, &map, "asks");
	asks = tl_pack_open_array(question);
	for (uint32_t i = 0; i < live->asked_count; i++)
		tl_buf_put_slice(question, tl_buf_slice(&live->asked[i]->question));
	asks.count = live->asked_count;
	tl_pack_close(question, &asks);
	tl_pack_close(question, &map);
}

/* False when the credential is none any more. Trouble of tallyd's passes, and ends nothing. */
static bool
take_answer(struct org *org, struct tl_slice answer)
{
	struct position now;
	struct tl_slice code;
	struct tl_reader error;
	enum tl_err err;

	if (tl_reader_find_bool(answer, "ok", false)) {
		if (copy_digest(answer, "usage", now.usage) &&
			copy_digest(answer, "team", now.team)) {
			org->now = now;
			org->seq = tl_reader_find_int(answer, "seq", 0);
			org->as_of_ms = tl_reader_find_int(answer, "as_of_ms", 0);
		}
		return true;
	}
	if (!tl_reader_find(answer, "error", &error) || tl_reader_peek(&error) != TL_WIRE_MAP)
		return true;
	code = tl_reader_find_str(tl_read_any(&error), "code");
	err = tl_err_from_name((const char *)code.data, code.bytes);
	return err != TL_EUNAUTHENTICATED && err != TL_EFORBIDDEN && err != TL_ENOT_FOUND;
}

static void
take_answers(struct live *live)
{
	struct tl_slice reply = tl_buf_slice(&live->reply);
	struct tl_reader answers;
	uint32_t count;

	if (!tl_reader_find(reply, "answers", &answers) ||
		tl_reader_peek(&answers) != TL_WIRE_ARRAY)
		return;
	count = tl_read_array(&answers);
	for (uint32_t i = 0; i < count && i < live->asked_count; i++) {
		struct watcher *watcher = live->asked[i];

		if (take_answer(watcher->org, tl_read_any(&answers)))
			continue;
		tl_http_stream_put(watcher->stream,
			tl_slice_str("event: end\ndata: {\"code\":\"unauthenticated\"}\n\n"));
		remove_watcher(live, watcher, true);
	}
}

/* Who does not know yet is told; who was told nothing for long hears that we are here. */
static void
tell(struct live *live, int64_t now_us)
{
	for (uint32_t i = live->count; i > 0; i--) {
		struct watcher *watcher = live->watchers[i - 1];
		struct tl_slice text = tl_slice_str(": here\n\n");

		if (!is_same(&watcher->told, &watcher->org->now)) {
			put_event(&live->event, NULL, &watcher->told, watcher->org);
			text = tl_buf_slice(&live->event);
		} else if (now_us - watcher->put_us < HEARTBEAT_US) {
			continue;
		}
		watcher->told = watcher->org->now;
		watcher->put_us = now_us;
		if (!tl_http_stream_put(watcher->stream, text))
			remove_at(live, i - 1, false);
	}
}

/* With the lock held, but while tallyd is asked. */
static void
run_round(struct live *live)
{
	struct tl_why why = {0};
	enum tl_err err;

	look_for_the_gone(live, tl_clock_mono_us());
	choose(live, tl_clock_mono_us());
	put_question(live);
	pthread_mutex_unlock(&live->mtx);
	tl_buf_reset(&live->reply);
	err = tl_req_client_call(live->relay->clients[TL_RELAY_QUERY],
		tl_buf_slice(&live->question), ASK_TIMEOUT_MS, &live->reply, &why);
	if (!err)
		err = tl_reader_check(tl_buf_slice(&live->reply), REPLY_DEPTH_MAX, &why);
	pthread_mutex_lock(&live->mtx);
	if (!err)
		take_answers(live);
	tell(live, tl_clock_mono_us());
}

static void
wait_until(struct live *live, int64_t until_us)
{
	struct timespec until = {
		.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};

	while (!live->is_stopping && tl_clock_mono_us() < until_us)
		pthread_cond_timedwait(&live->changed, &live->mtx, &until);
}

static void *
live_main(void *arg)
{
	struct live *live = arg;

	tl_thread_name("http-live");
	pthread_mutex_lock(&live->mtx);
	while (!live->is_stopping) {
		int64_t start_us = tl_clock_mono_us();

		if (live->count == 0) {
			pthread_cond_wait(&live->changed, &live->mtx);
			continue;
		}
		run_round(live);
		wait_until(live, start_us + ROUND_US);
	}
	while (live->count > 0)
		remove_at(live, live->count - 1, true);
	pthread_mutex_unlock(&live->mtx);
	return NULL;
}

enum tl_err
live_start(const struct tl_relay *relay, struct live **live_out, struct tl_why *why)
{
	struct live *live = calloc(1, sizeof(*live));
	pthread_condattr_t monotonic;

	if (live == NULL)
		return TL_ENOMEM;
	live->relay = relay;
	tl_buf_init(&live->question, TL_FRAME_BYTES_MAX);
	tl_buf_init(&live->reply, 0);
	tl_buf_init(&live->event, 0);
	pthread_mutex_init(&live->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&live->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&live->thread, NULL, live_main, live) != 0) {
		live->is_stopping = true;
		live_free(live);
		return tl_fail(why, TL_ENOMEM, "no thread for live streams");
	}
	*live_out = live;
	return TL_OK;
}

void
live_stop(struct live *live)
{
	if (live == NULL)
		return;
	pthread_mutex_lock(&live->mtx);
	live->is_stopping = true;
	pthread_cond_signal(&live->changed);
	pthread_mutex_unlock(&live->mtx);
	pthread_join(live->thread, NULL);
}

void
live_free(struct live *live)
{
	if (live == NULL)
		return;
	tl_buf_fini(&live->event);
	tl_buf_fini(&live->reply);
	tl_buf_fini(&live->question);
	pthread_cond_destroy(&live->changed);
	pthread_mutex_destroy(&live->mtx);
	free(live);
}

/* The org's place, made when it has none. */
static struct org *
find_org(struct live *live, const char *key)
{
	struct org *unused = NULL;

	for (uint32_t i = 0; i < STREAMS_MAX; i++) {
		struct org *org = &live->orgs[i];

		if (org->stream_count == 0)
			unused = unused != NULL ? unused : org;
		else if (strcmp(org->key, key) == 0)
			return org;
	}
	*unused = (struct org){.stream_count = 0};
	snprintf(unused->key, sizeof(unused->key), "%s", key);
	return unused;
}

/* Those that are really there. */
static uint32_t
count_of_user(const struct live *live, const char *user)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < live->count; i++)
		count += strcmp(live->watchers[i]->user, user) == 0 &&
			 tl_http_stream_is_open(live->watchers[i]->stream);
	return count;
}

/* "usage-team" of the last event that the peer has; empty when that is not ours. */
static struct position
read_last_id(struct tl_http_request *request)
{
	struct tl_slice id = tl_http_request_header(request, "Last-Event-ID");
	struct position told = {.usage = ""};

	if (id.bytes != 2 * (DIGEST_BYTES - 1) + 1 || id.data[DIGEST_BYTES - 1] != '-')
		return told;
	memcpy(told.usage, id.data, DIGEST_BYTES - 1);
	memcpy(told.team, id.data + DIGEST_BYTES, DIGEST_BYTES - 1);
	return told;
}

/* The first event: what was missed since the last id; without one, where things stand. */
static void
greet(struct watcher *watcher, struct tl_http_request *request)
{
	struct position told = read_last_id(request);
	bool is_new = told.usage[0] == '\0';
	struct tl_buf event;

	tl_buf_init(&event, 0);
	if (is_new || is_same(&told, &watcher->org->now))
		put_event(&event, "hello", &watcher->org->now, watcher->org);
	else
		put_event(&event, NULL, &told, watcher->org);
	tl_http_stream_put(watcher->stream, tl_buf_slice(&event));
	tl_buf_fini(&event);
	watcher->told = watcher->org->now;
}

/* With the lock held. On success the watcher belongs to live and the request is answered. */
static enum tl_err
admit(struct live *live, struct watcher *watcher, struct tl_slice answer,
	struct tl_http_request *request)
{
	char key[DIGEST_BYTES];
	enum tl_err err;

	if (live->is_stopping)
		return TL_ESHUTTING_DOWN;
	if (!copy_digest(answer, "user", watcher->user) || !copy_digest(answer, "org", key))
		return TL_EINTERNAL;
	if (live->count == STREAMS_MAX)
		return TL_EOVERLOADED;
	if (count_of_user(live, watcher->user) >= STREAMS_PER_USER_MAX)
		return TL_ERATE_LIMITED;
	tl_http_reply_header(request, "X-Accel-Buffering", "no");
	err = tl_http_stream_open(request, "text/event-stream", STREAM_BYTES_MAX, &watcher->stream);
	if (err)
		return err;
	watcher->org = find_org(live, key);
	watcher->org->stream_count++;
	(void)take_answer(watcher->org, answer);
	watcher->asked_us = watcher->put_us = tl_clock_mono_us();
	greet(watcher, request);
	live->watchers[live->count++] = watcher;
	pthread_cond_signal(&live->changed);
	return TL_OK;
}

static struct watcher *
watcher_new(struct tl_http_request *request, const struct tl_relay_route *route)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	struct tl_pack_open map;

	if (watcher == NULL)
		return NULL;
	tl_buf_init(&watcher->question, QUESTION_BYTES_MAX);
	map = tl_relay_question(&watcher->question, request, route);
	tl_pack_close(&watcher->question, &map);
	return watcher;
}

void
live_serve(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_relay *relay = arg;
	struct live *live = relay->live;
	struct watcher *watcher = watcher_new(request, route->what);
	struct tl_buf reply;
	enum tl_err err;

	if (watcher == NULL) {
		tl_http_reply_error(request, TL_ENOMEM, NULL);
		return;
	}
	tl_buf_init(&reply, 0);
	if (tl_relay_ask(relay, request, TL_RELAY_QUERY, &watcher->question, &reply)) {
		watcher_free(watcher, false);
	} else {
		pthread_mutex_lock(&live->mtx);
		err = admit(live, watcher, tl_buf_slice(&reply), request);
		pthread_mutex_unlock(&live->mtx);
		if (err) {
			watcher_free(watcher, false);
			tl_http_reply_error(request, err, NULL);
		}
	}
	tl_buf_fini(&reply);
}
