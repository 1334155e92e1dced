/*
 * The threads of the way out: requests wait in a bounded queue, one for everybody and one for the
 * operator's socket, and each worker answers one at a time with an arena, a view and a registry
 * snapshot of its own. Nothing is shared between workers but counters and the cache.
 */
#include "query/query.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "query/kept.h"
#include "schema/base/daemon.h"
#include "schema/base/log.h"
#include "schema/base/queue.h"
#include "schema/wire/frame.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define QUERY_WAITING_MAX 4096u
/* What is at hand unless told otherwise, and what it is divided into. */
#define QUERY_BYTES_MAX (512 << 20)
#define QUERY_ARENA_PART 2
#define QUERY_BOARD_PART 8
#define QUERY_REPLY_CACHE_PART 32
#define QUERY_WORKERS_MAX 64
#define QUERY_RETRY_MS 250
#define QUERY_FIELD_BYTES 32
#define QUERY_MARKED_BYTES 256 /* around a marked reply */

/* A socket and those who answer it. */
struct door {
	struct query *query;
	bool is_operator;
	struct tl_queue *queue;
	struct tl_rep_server *server;
	pthread_t *workers;
	uint32_t worker_count;
};

struct query {
	/* fixed after start */
	struct tl_store *store;
	struct tl_roster *roster;
	const struct tl_clock *clock;
	void (*on_health)(void *arg, struct query_health *health_out);
	void *arg;
	size_t bytes_max;
	struct tl_buf full_reply, closed_reply;
	struct door door;	  /* everybody's */
	struct door control_door; /* the operator's */
	struct query_cache *cache;

	/* any thread */
	struct query_stats stats;
};

/* What one worker owns. */
struct worker {
	struct door *door;
	struct tl_arena arena;
	struct tl_buf inflated;
	struct tl_buf inner; /* a reply that goes into another */
	struct tl_buf reply;
};

/* One request from its bytes to its reply. */
struct task {
	struct worker *worker;
	struct tl_slice map;
	struct tl_query query;
	struct query_scene scene;
	struct tl_why why;
};

static bool
is_ours(enum tl_err code)
{
	return code == TL_EINTERNAL || code == TL_ESTORAGE_UNAVAILABLE ||
	       code == TL_ESTORAGE_CORRUPT || code == TL_EACKED_DATA_MISSING ||
	       code == TL_EOVERLOADED;
}

/* The parameter that a text about a parameter begins with. */
static bool
find_field(const char *text, char field_out[QUERY_FIELD_BYTES])
{
	size_t bytes = strcspn(text, ": ");

	if (bytes == 0 || bytes >= QUERY_FIELD_BYTES || text[bytes] != ':')
		return false;
	memcpy(field_out, text, bytes);
	field_out[bytes] = '\0';
	return true;
}

/* Replace the reply by the error. What the program told itself about its trouble is logged. */
static void
put_error(struct tl_buf *reply, enum tl_err err, const struct tl_why *why)
{
	enum tl_err code = tl_err_outward(err);
	struct tl_error_detail detail = {.limit = INT64_MIN};
	char field[QUERY_FIELD_BYTES];

	if (is_ours(code))
		tl_log(TL_LOG_ERROR, "query failed code=%s why=%s", tl_err_name(err), why->text);
	else if (why->text[0] != '\0')
		detail.message = why->text;
	if (code == TL_EBAD_PARAM && find_field(why->text, field))
		detail.field = field;
	if (code == TL_EFRAME_TOO_LARGE)
		detail.limit = TL_FRAME_BYTES_MAX;
	if (tl_err_retry(code) == TL_RETRY_AFTER)
		detail.retry_after_ms = QUERY_RETRY_MS;
	tl_buf_reset(reply);
	tl_frame_put_error(reply, code, &detail);
}

static enum tl_err
read_request(struct task *task, struct tl_slice body)
{
	enum tl_err err;

	err = tl_frame_open(
		body, TL_FRAME_BYTES_MAX, &task->worker->inflated, &task->map, &task->why);
	if (!err)
		err = tl_reader_check(task->map, TL_WIRE_DEPTH_MAX, &task->why);
	return err ? err : tl_query_read(task->map, &task->query, &task->why);
}

/* Anybody may ask for health, by either door; for the rest the credential says who and which org.
 */
static enum tl_err
find_caller(struct task *task)
{
	struct query_scene *scene = &task->scene;
	enum tl_err err;

	if (task->query.op == TL_QUERY_HEALTH) {
		scene->caller = (struct tl_caller){.is_operator = task->worker->door->is_operator};
		return TL_OK;
	}
	err = tl_caller_resolve(scene->registry, task->query.token, task->query.org,
		task->worker->door->is_operator, scene->now_ms, &scene->caller, &task->why);
	if (!err && scene->caller.org_no != 0)
		scene->org = tl_registry_org(scene->registry, scene->caller.org_no);
	return err;
}

static enum tl_err
ask_health(struct task *task)
{
	struct query *query = task->worker->door->query;
	struct query_health *health;

	if (task->query.op != TL_QUERY_HEALTH || query->on_health == NULL)
		return TL_OK;
	health = tl_arena_array(&task->worker->arena, 1, sizeof(*health));
	if (health == NULL)
		return TL_ENOMEM;
	*health = (struct query_health){.count = 0};
	query->on_health(query->arg, health);
	task->scene.health = health;
	return TL_OK;
}

/* Append the reply, kept or made anew. */
static enum tl_err
find_reply(struct task *task, struct tl_buf *reply, int64_t *made_ms_out)
{
	struct query *query = task->worker->door->query;
	enum tl_err err = ask_health(task);

	if (err)
		return err;
	if (kept_reply_get(&task->scene, task->query.op, task->map, reply, made_ms_out)) {
		tl_counter_add(&query->stats.cached, 1);
		return TL_OK;
	}
	*made_ms_out = task->scene.now_ms;
	err = query_run(&task->scene, &task->query, &task->worker->arena, reply, &task->why);
	if (!err)
		kept_reply_put(&task->scene, task->query.op, task->map, tl_buf_slice(reply));
	return err;
}

/* {v, ok, mark, same} for who has the reply already. */
static enum tl_err
put_same(struct tl_buf *reply, struct tl_slice mark)
{
	struct tl_pack_open map = tl_pack_open_map(reply);

	tl_pack_key_int(reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(reply, &map, "ok", true);
	tl_pack_key_slice(reply, &map, "mark", mark);
	tl_pack_key_bool(reply, &map, "same", true);
	tl_pack_close(reply, &map);
	return reply->err;
}

/* {v, ok, mark, reply}: the mark is not in the reply itself, which others may have kept. */
static enum tl_err
put_marked(struct task *task, struct tl_buf *reply, int64_t made_ms)
{
	struct tl_pack_open map = tl_pack_open_map(reply);
	char mark[KEPT_MARK_BYTES];

	tl_pack_key_int(reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(reply, &map, "ok", true);
	if (kept_mark(&task->scene, task->query.op, task->map, made_ms, mark))
		tl_pack_key_str(reply, &map, "mark", mark);
	tl_pack_key(reply, &map, "reply");
	tl_buf_put_slice(reply, tl_buf_slice(&task->worker->inner));
	tl_pack_close(reply, &map);
	return reply->err;
}

static enum tl_err
run(struct task *task)
{
	const struct tl_query *query = &task->query;
	struct worker *worker = task->worker;
	int64_t made_ms;
	enum tl_err err = find_caller(task);

	if (err)
		return err;
	if (!query->has_have)
		return find_reply(task, &worker->reply, &made_ms);
	err = query_allow(&task->scene, query, &task->why);
	if (err)
		return err;
	if (kept_mark_holds(&task->scene, query->op, task->map, query->have, query->have_age_ms)) {
		tl_counter_add(&worker->door->query->stats.same, 1);
		return put_same(&worker->reply, query->have);
	}
	tl_buf_reset(&worker->inner);
	err = find_reply(task, &worker->inner, &made_ms);
	return err ? err : put_marked(task, &worker->reply, made_ms);
}

/*
 * The view is pinned before the registry, which is published before anything of it can be rolled
 * up, so every member in the view is known; and before the clock is read, so nothing in the view is
 * later than now.
 */
static enum tl_err
answer(struct task *task)
{
	struct query *query = task->worker->door->query;
	struct query_scene *scene = &task->scene;
	struct tl_view *view = tl_view_pin(query->store);
	enum tl_err err;

	if (view == NULL)
		return TL_ESTARTING;
	*scene = (struct query_scene){
		.store = query->store,
		.view = view,
		.registry = tl_registry_pin(query->roster),
		.now_ms = tl_clock_wall_ms(query->clock),
		.cache = query->cache,
	};
	err = run(task);
	tl_registry_unpin(scene->registry);
	tl_view_unpin(view);
	return err;
}

static void
serve(struct worker *worker, struct tl_rep_request *request)
{
	struct query *query = worker->door->query;
	struct task task = {.worker = worker};
	int64_t start_us = tl_clock_mono_us();
	bool is_read;
	enum tl_err err;

	tl_buf_reset(&worker->reply);
	tl_arena_reset(&worker->arena);
	err = read_request(&task, tl_rep_request_body(request));
	is_read = !err;
	if (!err)
		err = answer(&task);
	if (err)
		put_error(&worker->reply, err, &task.why);
	tl_counter_add(&query->stats.requests, 1);
	if (err)
		tl_counter_add(&query->stats.errors, 1);
	if (is_read)
		tl_histogram_add(
			&query->stats.run_us[task.query.op], tl_clock_mono_us() - start_us);
	tl_rep_request_reply(request, tl_buf_slice(&worker->reply));
}

static void *
work(void *arg)
{
	struct worker worker = {.door = arg};
	void *request;

	tl_thread_name(worker.door->is_operator ? "query-control" : "query");
	tl_arena_init(&worker.arena, worker.door->query->bytes_max / QUERY_ARENA_PART);
	tl_buf_init(&worker.inflated, TL_FRAME_BYTES_MAX);
	tl_buf_init(&worker.inner, TL_REPLY_BYTES_MAX);
	tl_buf_init(&worker.reply, TL_REPLY_BYTES_MAX + QUERY_MARKED_BYTES);
	while (tl_queue_pop(worker.door->queue, -1, &request) == TL_OK)
		serve(&worker, request);
	tl_buf_fini(&worker.reply);
	tl_buf_fini(&worker.inner);
	tl_buf_fini(&worker.inflated);
	tl_arena_fini(&worker.arena);
	return NULL;
}

static enum tl_err
door_open(struct door *door, const char *const *urls, size_t url_count, uint32_t worker_count,
	struct tl_why *why)
{
	struct query *query = door->query;
	struct tl_rep_options options = {
		.urls = urls,
		.url_count = url_count,
		.full_reply = tl_buf_slice(&query->full_reply),
		.closed_reply = tl_buf_slice(&query->closed_reply),
	};
	enum tl_err err;

	err = tl_queue_new(QUERY_WAITING_MAX, TL_QUEUE_BYTES_MAX, &door->queue);
	if (err)
		return err;
	door->workers = calloc(worker_count, sizeof(*door->workers));
	if (door->workers == NULL)
		return TL_ENOMEM;
	while (door->worker_count < worker_count) {
		if (pthread_create(&door->workers[door->worker_count], NULL, work, door) != 0)
			return tl_fail(why, TL_ENOMEM, "cannot start a query worker");
		door->worker_count++;
	}
	options.queue = door->queue;
	return tl_rep_server_start(&options, &door->server, why);
}

/* What waits is still answered. */
static void
door_close(struct door *door)
{
	if (door->queue != NULL)
		tl_queue_close(door->queue);
	for (uint32_t i = 0; i < door->worker_count; i++)
		pthread_join(door->workers[i], NULL);
	tl_rep_server_stop(door->server);
	tl_queue_free(door->queue);
	free(door->workers);
}

static uint32_t
count_workers(int64_t wanted)
{
	int64_t count = wanted > 0 ? wanted : sysconf(_SC_NPROCESSORS_ONLN);

	if (count < 1)
		count = 1;
	return (uint32_t)(count < QUERY_WORKERS_MAX ? count : QUERY_WORKERS_MAX);
}

static enum tl_err
prepare_refusals(struct query *query)
{
	struct tl_error_detail detail = {.limit = INT64_MIN, .retry_after_ms = QUERY_RETRY_MS};

	tl_buf_init(&query->full_reply, 0);
	tl_buf_init(&query->closed_reply, 0);
	tl_frame_put_error(&query->full_reply, TL_EOVERLOADED, &detail);
	tl_frame_put_error(&query->closed_reply, TL_ESHUTTING_DOWN, NULL);
	return query->full_reply.err ? query->full_reply.err : query->closed_reply.err;
}

enum tl_err
query_start(const struct query_options *options, struct query **query_out, struct tl_why *why)
{
	struct query *query = calloc(1, sizeof(*query));
	const char *control_urls[] = {options->control_url};
	enum tl_err err;

	if (query == NULL)
		return TL_ENOMEM;
	query->store = options->store;
	query->roster = options->roster;
	query->clock = options->clock;
	query->on_health = options->on_health;
	query->arg = options->arg;
	query->bytes_max = (size_t)(options->bytes_max > 0 ? options->bytes_max : QUERY_BYTES_MAX);
	query->door = (struct door){.query = query};
	query->control_door = (struct door){.query = query, .is_operator = true};
	err = prepare_refusals(query);
	if (!err)
		err = query_cache_new(query->bytes_max / QUERY_BOARD_PART,
			query->bytes_max / QUERY_REPLY_CACHE_PART, &query->cache);
	if (!err)
		err = door_open(&query->door, options->urls, options->url_count,
			count_workers(options->worker_count), why);
	if (!err && options->control_url != NULL)
		err = door_open(&query->control_door, control_urls, 1, 1, why);
	if (err) {
		query_stop(query);
		return err;
	}
	*query_out = query;
	return TL_OK;
}

void
query_stop(struct query *query)
{
	if (query == NULL)
		return;
	door_close(&query->control_door);
	door_close(&query->door);
	query_cache_free(query->cache);
	tl_buf_fini(&query->full_reply);
	tl_buf_fini(&query->closed_reply);
	free(query);
}

const struct query_stats *
query_stats_of(const struct query *query)
{
	return &query->stats;
}

uint16_t
query_port(const struct query *query)
{
	return tl_rep_server_port(query->door.server);
}
