#include "deploy/stats_door.h"

#include <pthread.h>
#include <stdlib.h>

#include "schema/base/daemon.h"
#include "schema/model/limits.h"
#include "schema/net/rep_server.h"
#include "schema/wire/frame.h"

#define WAITING_MAX 16u

struct stats_door {
	struct orders *orders;
	struct tl_queue *queue;
	struct tl_rep_server *server;
	struct tl_buf busy; /* what is said while the queue is full or closed */
	pthread_t thread;
	bool has_thread;
};

static void *
answer_all(void *arg)
{
	static const struct tl_command stats = {.op = TL_COMMAND_STATS};
	struct stats_door *door = arg;
	struct tl_buf reply;
	void *request;

	tl_thread_name("stats-door");
	tl_buf_init(&reply, TL_REPLY_BYTES_MAX);
	while (tl_queue_pop(door->queue, -1, &request) == TL_OK) {
		struct tl_why why = {0};
		enum tl_err err;

		tl_buf_reset(&reply);
		err = orders_run(door->orders, &stats, &reply, &why);
		if (err) {
			tl_buf_reset(&reply);
			tl_frame_put_error(&reply, tl_err_outward(err), NULL);
		}
		tl_rep_request_reply(request, tl_buf_slice(&reply));
	}
	tl_buf_fini(&reply);
	return NULL;
}

enum tl_err
stats_door_open(
	const char *url, struct orders *orders, struct stats_door **door_out, struct tl_why *why)
{
	struct stats_door *door = calloc(1, sizeof(*door));
	enum tl_err err;

	if (door == NULL)
		return TL_ENOMEM;
	door->orders = orders;
	tl_buf_init(&door->busy, 0);
	tl_frame_put_error(&door->busy, TL_EOVERLOADED, NULL);
	err = door->busy.err;
	if (!err)
		err = tl_queue_new(WAITING_MAX, 0, &door->queue);
	if (!err) {
		door->has_thread = pthread_create(&door->thread, NULL, answer_all, door) == 0;
		err = door->has_thread ? TL_OK : TL_ENOMEM;
	}
	if (!err)
		err = tl_rep_server_start(&(struct tl_rep_options){.urls = &url,
						  .url_count = 1,
						  .queue = door->queue,
						  .full_reply = tl_buf_slice(&door->busy),
						  .closed_reply = tl_buf_slice(&door->busy),
						  .receive_count = 2},
			&door->server, why);
	if (err) {
		stats_door_close(door);
		return err;
	}
	*door_out = door;
	return TL_OK;
}

void
stats_door_close(struct stats_door *door)
{
	if (door == NULL)
		return;
	if (door->queue != NULL)
		tl_queue_close(door->queue);
	if (door->has_thread)
		pthread_join(door->thread, NULL);
	tl_rep_server_stop(door->server);
	tl_queue_free(door->queue);
	tl_buf_fini(&door->busy);
	free(door);
}
