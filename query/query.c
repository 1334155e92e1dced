/*
 * The threads of the way out: requests wait in a bounded queue, one for everybody and one for the
 * operator's socket, and each worker answers one at a time with buffers of its own. Nothing is
 * shared between workers but counters and the cache.
 */
#include "query/query.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "query/answer.h"
#include "query/kept.h"
#include "schema/base/daemon.h"
#include "schema/base/queue.h"
#include "schema/wire/frame.h"

#define QUERY_WAITING_MAX 4096u
/* What is at hand unless told otherwise, and what it is divided into. */
#define QUERY_BYTES_MAX (512 << 20)
#define QUERY_ARENA_PART 2
#define QUERY_BOARD_PART 4
#define QUERY_REPLY_CACHE_PART 32
#define QUERY_WORKERS_MAX 64

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
	size_t bytes_max;
	struct tl_buf full_reply, closed_reply;
	struct door door;	  /* everybody's */
	struct door control_door; /* the operator's */
	struct answer_source source;

	/* any thread */
	struct query_stats stats;
};

static void *
work(void *arg)
{
	struct door *door = arg;
	struct answer answer;
	void *request;

	tl_thread_name(door->is_operator ? "query-control" : "query");
	answer_init(&answer, &door->query->source, door->is_operator,
		door->query->bytes_max / QUERY_ARENA_PART);
	while (tl_queue_pop(door->queue, -1, &request) == TL_OK)
		tl_rep_request_reply(
			request, answer_request(&answer, tl_rep_request_body(request)));
	answer_fini(&answer);
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
	struct tl_error_detail detail = {.limit = INT64_MIN, .retry_after_ms = ANSWER_RETRY_MS};

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
	query->source = (struct answer_source){
		.store = options->store,
		.roster = options->roster,
		.clock = options->clock,
		.on_health = options->on_health,
		.arg = options->arg,
		.stats = &query->stats,
	};
	query->bytes_max = (size_t)(options->bytes_max > 0 ? options->bytes_max : QUERY_BYTES_MAX);
	query->door = (struct door){.query = query};
	query->control_door = (struct door){.query = query, .is_operator = true};
	err = prepare_refusals(query);
	if (!err)
		err = query_cache_new(query->bytes_max / QUERY_BOARD_PART,
			query->bytes_max / QUERY_REPLY_CACHE_PART, &query->source.cache);
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
	query_cache_free(query->source.cache);
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
