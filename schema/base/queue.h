/* A bounded queue that hands ownership of pointers from thread to thread. */
#ifndef TL_BASE_QUEUE_H
#define TL_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/err.h"

struct tl_queue;

/* Room for count_max pointers whose declared sizes add up to at most bytes_max (0: no bound). */
TL_MUST enum tl_err tl_queue_new(size_t count_max, size_t bytes_max, struct tl_queue **queue_out);

/* The queue must be empty: whoever stops it drains it first. NULL is fine. */
void tl_queue_free(struct tl_queue *queue);

/*
 * Hand over element, declared as bytes large. Never waits: TL_EFULL when a bound is reached and
 * TL_ECLOSED after tl_queue_close, and the caller still owns the element.
 */
TL_MUST enum tl_err tl_queue_push(struct tl_queue *queue, void *element, size_t bytes);

/*
 * As push, but waits while full. TL_ECLOSED when the queue is closed meanwhile, TL_EFULL at once
 * when bytes alone are past the bound.
 */
TL_MUST enum tl_err tl_queue_push_wait(struct tl_queue *queue, void *element, size_t bytes);

/*
 * Take the oldest. Waits up to timeout_ms (negative: for ever) on the monotonic clock.
 * TL_ETIMEOUT when nothing came, TL_ECLOSED when closed and empty.
 */
TL_MUST enum tl_err tl_queue_pop(struct tl_queue *queue, int64_t timeout_ms, void **element_out);

/* No more pushes; pops go on until the queue is empty. Wakes everybody. */
void tl_queue_close(struct tl_queue *queue);

/* Another bound on the sizes; what is inside stays. */
void tl_queue_set_bytes_max(struct tl_queue *queue, size_t bytes_max);

size_t tl_queue_count(struct tl_queue *queue);
size_t tl_queue_bytes(struct tl_queue *queue);
bool tl_queue_is_full(struct tl_queue *queue);

/* How much of the nearer bound is taken, in millionths. */
uint32_t tl_queue_filled_ppm(struct tl_queue *queue);

#endif
