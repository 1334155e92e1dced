#include "bench/echo.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/scratch.h"
#include "schema/model/limits.h"
#include "schema/net/rep_server.h"
#include "schema/wire/event_wire.h"

#define WORKERS_MAX 256

struct echo {
	struct tl_queue *queue;
	enum echo_type type;
	struct tl_buf reply; /* fixed once workers run */
};

static struct tl_slice
reply_of(const struct echo *echo, struct tl_slice request)
{
	size_t bytes = echo->reply.bytes;

	if (echo->type == ECHO_SIZED)
		bytes = request.bytes >= 4 ? tl_get_be32(request.data) : 0;
	return tl_slice_of(echo->reply.data, bytes < echo->reply.bytes ? bytes : echo->reply.bytes);
}

static void *
work(void *arg)
{
	const struct echo *echo = arg;
	void *request;

	while (!tl_queue_pop(echo->queue, -1, &request))
		tl_rep_request_reply(request, reply_of(echo, tl_rep_request_body(request)));
	return NULL;
}

static void
make_reply(struct echo *echo)
{
	tl_buf_init(&echo->reply, 0);
	if (echo->type == ECHO_ACK) {
		tl_batch_put_answer(&echo->reply,
			&(struct tl_batch_answer){
				.batch = tl_slice_str("b0000000"), .seq = 1000, .accepted = 1000});
		return;
	}
	if (tl_buf_reserve(&echo->reply, TL_REPLY_BYTES_MAX) == NULL)
		measure_die("no memory for an echo");
	memset(echo->reply.data, 0x55, TL_REPLY_BYTES_MAX);
	tl_buf_advance(&echo->reply, TL_REPLY_BYTES_MAX);
}

/* As many threads behind the queue as tallyd has: one a core. */
static void
echo_main(const char *url, enum echo_type type)
{
	static struct echo echo;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct tl_rep_server *server;
	struct tl_why why;
	pthread_t thread;

	echo.type = type;
	make_reply(&echo);
	if (tl_queue_new(4096, 0, &echo.queue))
		measure_die("no memory for an echo");
	if (tl_rep_server_start(
		    &(struct tl_rep_options){.urls = &url, .url_count = 1, .queue = echo.queue},
		    &server, &why))
		measure_die("echo: %s", why.text);
	for (long i = 0; i < cores && i < WORKERS_MAX; i++) {
		if (pthread_create(&thread, NULL, work, &echo) != 0)
			measure_die("no thread for an echo");
	}
	for (;;)
		pause();
}

pid_t
echo_start(const char *url, enum echo_type type)
{
	pid_t pid = scratch_fork();

	if (pid == 0)
		echo_main(url, type);
	return pid;
}

void
echo_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void
echo_put_request(struct tl_buf *buf, struct tl_slice like, uint32_t reply_bytes)
{
	tl_buf_reset(buf);
	tl_buf_put_be32(buf, reply_bytes);
	if (like.bytes > 4)
		tl_buf_put(buf, like.data + 4, like.bytes - 4);
}
