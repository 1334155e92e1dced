#include "schema/base/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct queue_place {
	void *element;
	size_t bytes;
};

struct tl_queue {
	/* fixed after new */
	size_t count_max;
	pthread_mutex_t mtx;
	pthread_cond_t came; /* an element, or the close */
	pthread_cond_t left; /* an element, or the close */
	/* guarded by mtx */
	size_t bytes_max;
	struct queue_place *places; /* a ring of count_max */
	size_t first_idx;
	size_t count;
	size_t bytes;
	bool closed;
};

static bool
init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attr;
	bool made;

	if (pthread_condattr_init(&attr) != 0)
		return false;
	/* Deadlines must not move when somebody sets the wall clock. */
	made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
	       pthread_cond_init(condition, &attr) == 0;
	pthread_condattr_destroy(&attr);
	return made;
}

enum tl_err
tl_queue_new(size_t count_max, size_t bytes_max, struct tl_queue **queue_out)
{
	struct tl_queue *queue = calloc(1, sizeof(*queue));
	enum tl_err err = TL_ENOMEM;

	assert(count_max > 0);
	if (!queue)
		goto out;
	queue->count_max = count_max;
	queue->bytes_max = bytes_max;
	/* The zeroes of calloc are valid initializers, so a half-built queue can be freed. */
	queue->places = calloc(count_max, sizeof(*queue->places));
	if (!queue->places || pthread_mutex_init(&queue->mtx, NULL) != 0)
		goto out;
	if (!init_condition(&queue->came) || !init_condition(&queue->left))
		goto out;
	*queue_out = queue;
	queue = NULL;
	err = TL_OK;

out:
	tl_queue_free(queue);
	return err;
}

void
tl_queue_free(struct tl_queue *queue)
{
	if (!queue)
		return;
	assert(queue->count == 0);
	pthread_cond_destroy(&queue->left);
	pthread_cond_destroy(&queue->came);
	pthread_mutex_destroy(&queue->mtx);
	free(queue->places);
	free(queue);
}

static void
lock(struct tl_queue *queue)
{
	int rc = pthread_mutex_lock(&queue->mtx);

	assert(rc == 0);
}

static void
unlock(struct tl_queue *queue)
{
	int rc = pthread_mutex_unlock(&queue->mtx);

	assert(rc == 0);
}

static void
wake(pthread_cond_t *condition)
{
	int rc = pthread_cond_broadcast(condition);

	assert(rc == 0);
}

static bool
has_room(const struct tl_queue *queue, size_t bytes)
{
	if (queue->count == queue->count_max)
		return false;
	return queue->bytes_max == 0 ||
	       (bytes <= queue->bytes_max && queue->bytes <= queue->bytes_max - bytes);
}

/* Call with mtx held and room. */
static void
append(struct tl_queue *queue, void *element, size_t bytes)
{
	size_t idx = (queue->first_idx + queue->count) % queue->count_max;
	int rc;

	queue->places[idx] = (struct queue_place){.element = element, .bytes = bytes};
	queue->count++;
	queue->bytes += bytes;
	rc = pthread_cond_signal(&queue->came);
	assert(rc == 0);
}

enum tl_err
tl_queue_push(struct tl_queue *queue, void *element, size_t bytes)
{
	enum tl_err err = TL_OK;

	lock(queue);
	if (queue->closed)
		err = TL_ECLOSED;
	else if (!has_room(queue, bytes))
		err = TL_EFULL;
	else
		append(queue, element, bytes);
	unlock(queue);
	return err;
}

enum tl_err
tl_queue_push_wait(struct tl_queue *queue, void *element, size_t bytes)
{
	enum tl_err err = TL_OK;

	/* One that alone is past the bound would wait for ever. */
	if (queue->bytes_max > 0 && bytes > queue->bytes_max)
		return TL_EFULL;

	lock(queue);
	while (!queue->closed && !has_room(queue, bytes)) {
		int rc = pthread_cond_wait(&queue->left, &queue->mtx);

		assert(rc == 0);
	}
	if (queue->closed)
		err = TL_ECLOSED;
	else
		append(queue, element, bytes);
	unlock(queue);
	return err;
}

static struct timespec
deadline_in(int64_t timeout_ms)
{
	struct timespec deadline;
	int rc = clock_gettime(CLOCK_MONOTONIC, &deadline);

	assert(rc == 0);
	deadline.tv_sec += timeout_ms / 1000;
	deadline.tv_nsec += timeout_ms % 1000 * 1000000;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	return deadline;
}

/* Call with mtx held: returns when an element came, the queue was closed or the time is over. */
static void
wait_for_element(struct tl_queue *queue, int64_t timeout_ms)
{
	struct timespec deadline = {0};
	int rc = 0;

	if (timeout_ms > 0)
		deadline = deadline_in(timeout_ms);
	while (queue->count == 0 && !queue->closed && timeout_ms != 0 && rc != ETIMEDOUT) {
		if (timeout_ms < 0)
			rc = pthread_cond_wait(&queue->came, &queue->mtx);
		else
			rc = pthread_cond_timedwait(&queue->came, &queue->mtx, &deadline);
		assert(rc == 0 || rc == ETIMEDOUT);
	}
}

enum tl_err
tl_queue_pop(struct tl_queue *queue, int64_t timeout_ms, void **element_out)
{
	enum tl_err err = TL_OK;

	lock(queue);
	wait_for_element(queue, timeout_ms);
	if (queue->count > 0) {
		struct queue_place *place = &queue->places[queue->first_idx];

		*element_out = place->element;
		queue->first_idx = (queue->first_idx + 1) % queue->count_max;
		queue->count--;
		queue->bytes -= place->bytes;
		/* Everybody, because the first in line may still be too large where another fits.
		 */
		wake(&queue->left);
	} else {
		err = queue->closed ? TL_ECLOSED : TL_ETIMEOUT;
	}
	unlock(queue);
	return err;
}

void
tl_queue_close(struct tl_queue *queue)
{
	lock(queue);
	queue->closed = true;
	wake(&queue->came);
	wake(&queue->left);
	unlock(queue);
}

size_t
tl_queue_count(struct tl_queue *queue)
{
	size_t count;

	lock(queue);
	count = queue->count;
	unlock(queue);
	return count;
}

size_t
tl_queue_bytes(struct tl_queue *queue)
{
	size_t bytes;

	lock(queue);
	bytes = queue->bytes;
	unlock(queue);
	return bytes;
}

bool
tl_queue_is_full(struct tl_queue *queue)
{
	bool full;

	lock(queue);
	full = queue->count == queue->count_max ||
	       (queue->bytes_max > 0 && queue->bytes >= queue->bytes_max);
	unlock(queue);
	return full;
}

static uint32_t
ppm_of(size_t taken, size_t max)
{
	return max > 0 ? (uint32_t)((uint64_t)taken * 1000000 / max) : 0;
}

uint32_t
tl_queue_filled_ppm(struct tl_queue *queue)
{
	uint32_t by_count;
	uint32_t by_bytes;

	lock(queue);
	by_count = ppm_of(queue->count, queue->count_max);
	by_bytes = ppm_of(queue->bytes, queue->bytes_max);
	unlock(queue);
	return by_count > by_bytes ? by_count : by_bytes;
}

void
tl_queue_set_bytes_max(struct tl_queue *queue, size_t bytes_max)
{
	lock(queue);
	queue->bytes_max = bytes_max;
	unlock(queue);
}
