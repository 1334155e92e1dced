#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "schema/base/clock.h"
#include "schema/base/queue.h"

static int marks[8];

static struct tl_queue *
new_queue(size_t count_max, size_t bytes_max)
{
	struct tl_queue *queue = NULL;

	assert_int_equal(tl_queue_new(count_max, bytes_max, &queue), TL_OK);
	return queue;
}

static void
assert_pops(struct tl_queue *queue, void *expected)
{
	void *element = NULL;

	assert_int_equal(tl_queue_pop(queue, 0, &element), TL_OK);
	assert_ptr_equal(element, expected);
}

static void
the_oldest_leaves_first(void **state)
{
	struct tl_queue *queue = new_queue(3, 0);

	(void)state;
	/* More than the room, so that the ring goes round. */
	for (size_t round = 0; round < 5; round++) {
		assert_int_equal(tl_queue_push(queue, &marks[0], 10), TL_OK);
		assert_int_equal(tl_queue_push(queue, &marks[1], 20), TL_OK);
		assert_int_equal(tl_queue_count(queue), 2);
		assert_int_equal(tl_queue_bytes(queue), 30);
		assert_pops(queue, &marks[0]);
		assert_int_equal(tl_queue_bytes(queue), 20);
		assert_pops(queue, &marks[1]);
	}
	assert_int_equal(tl_queue_bytes(queue), 0);
	tl_queue_free(queue);
	tl_queue_free(NULL);
}

static const struct {
	const char *name;
	size_t count_max;
	size_t bytes_max;
	size_t present_bytes; /* one element of that size is there */
	size_t bytes;
	enum tl_err err;
	bool full; /* before the push */
} bounds[] = {
	{"the count is a bound", 1, 0, 0, 0, TL_EFULL, true},
	{"without a bound of bytes any size fits", 2, 0, 1 << 30, SIZE_MAX >> 1, TL_OK, false},
	{"bytes up to the bound fit", 9, 100, 60, 40, TL_OK, false},
	{"a byte above it does not", 9, 100, 60, 41, TL_EFULL, false},
	{"a queue with all its bytes is full", 9, 100, 100, 1, TL_EFULL, true},
	{"nothing fits even then", 9, 100, 100, 0, TL_OK, true},
	{"an absurd size does not wrap around", 9, 100, 60, SIZE_MAX, TL_EFULL, false},
};

static void
both_bounds_hold(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		struct tl_queue *queue = new_queue(bounds[i].count_max, bounds[i].bytes_max);

		assert_int_equal(tl_queue_push(queue, &marks[0], bounds[i].present_bytes), TL_OK);
		if (tl_queue_is_full(queue) != bounds[i].full ||
			tl_queue_push(queue, &marks[1], bounds[i].bytes) != bounds[i].err)
			fail_msg("%s", bounds[i].name);
		assert_pops(queue, &marks[0]);
		if (bounds[i].err == TL_OK)
			assert_pops(queue, &marks[1]);
		assert_int_equal(tl_queue_count(queue), 0);
		tl_queue_free(queue);
	}
}

static void
one_element_past_the_bound_does_not_wait_for_ever(void **state)
{
	struct tl_queue *queue = new_queue(4, 100);

	(void)state;
	assert_int_equal(tl_queue_push_wait(queue, &marks[0], 101), TL_EFULL);
	tl_queue_free(queue);
}

static void
a_pop_of_nothing_waits_its_time(void **state)
{
	struct tl_queue *queue = new_queue(1, 0);
	void *element = &marks[7];
	int64_t start_us;

	(void)state;
	assert_int_equal(tl_queue_pop(queue, 0, &element), TL_ETIMEOUT);
	start_us = tl_clock_mono_us();
	assert_int_equal(tl_queue_pop(queue, 20, &element), TL_ETIMEOUT);
	assert_true(tl_clock_mono_us() - start_us >= 20000);
	assert_ptr_equal(element, &marks[7]);
	tl_queue_free(queue);
}

static void
a_closed_queue_gives_what_it_has(void **state)
{
	struct tl_queue *queue = new_queue(2, 0);
	void *element = NULL;

	(void)state;
	assert_int_equal(tl_queue_push(queue, &marks[0], 1), TL_OK);
	tl_queue_close(queue);
	tl_queue_close(queue);
	assert_int_equal(tl_queue_push(queue, &marks[1], 1), TL_ECLOSED);
	assert_int_equal(tl_queue_push_wait(queue, &marks[1], 1), TL_ECLOSED);
	assert_pops(queue, &marks[0]);
	assert_int_equal(tl_queue_pop(queue, 0, &element), TL_ECLOSED);
	assert_int_equal(tl_queue_pop(queue, -1, &element), TL_ECLOSED);
	tl_queue_free(queue);
}

/* One call made on another thread. */
struct call {
	struct tl_queue *queue;
	void *element;
	size_t bytes;
	enum tl_err err;
};

static void *
run_push_wait(void *arg)
{
	struct call *call = arg;

	call->err = tl_queue_push_wait(call->queue, call->element, call->bytes);
	return NULL;
}

static void *
run_pop(void *arg)
{
	struct call *call = arg;

	call->err = tl_queue_pop(call->queue, -1, &call->element);
	return NULL;
}

static void
a_waiting_push_goes_on_when_there_is_room(void **state)
{
	struct tl_queue *queue = new_queue(4, 100);
	struct call call = {.queue = queue, .element = &marks[1], .bytes = 80};
	void *element = NULL;
	pthread_t thread;

	(void)state;
	assert_int_equal(tl_queue_push(queue, &marks[0], 50), TL_OK);
	assert_int_equal(pthread_create(&thread, NULL, run_push_wait, &call), 0);
	assert_int_equal(tl_queue_pop(queue, -1, &element), TL_OK);
	assert_ptr_equal(element, &marks[0]);
	assert_int_equal(tl_queue_pop(queue, -1, &element), TL_OK);
	assert_ptr_equal(element, &marks[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(call.err, TL_OK);
	tl_queue_free(queue);
}

static void
a_close_ends_a_waiting_push(void **state)
{
	struct tl_queue *queue = new_queue(1, 0);
	struct call call = {.queue = queue, .element = &marks[1]};
	pthread_t thread;

	(void)state;
	assert_int_equal(tl_queue_push(queue, &marks[0], 0), TL_OK);
	assert_int_equal(pthread_create(&thread, NULL, run_push_wait, &call), 0);
	tl_queue_close(queue);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(call.err, TL_ECLOSED);
	assert_pops(queue, &marks[0]);
	tl_queue_free(queue);
}

static void
a_close_ends_every_waiting_pop(void **state)
{
	struct tl_queue *queue = new_queue(1, 0);
	struct call calls[3] = {{.queue = queue}, {.queue = queue}, {.queue = queue}};
	pthread_t threads[3];

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_pop, &calls[i]), 0);
	tl_queue_close(queue);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(calls[i].err, TL_ECLOSED);
	}
	tl_queue_free(queue);
}

enum { PUSHERS = 3, POPPERS = 3, EACH = 5000 };

static unsigned char numbers[PUSHERS * EACH];

struct crowd {
	struct tl_queue *queue;
	size_t first;
	size_t count; /* of what this popper took */
};

static void *
push_numbers(void *arg)
{
	struct crowd *crowd = arg;

	for (size_t i = 0; i < EACH; i++) {
		/* A failed assertion must stay on the main thread: a lost one shows in the sum. */
		if (tl_queue_push_wait(crowd->queue, &numbers[crowd->first + i], 1 + i % 30))
			break;
	}
	return NULL;
}

static void *
pop_numbers(void *arg)
{
	struct crowd *crowd = arg;
	void *element;

	while (tl_queue_pop(crowd->queue, -1, &element) == TL_OK) {
		(*(unsigned char *)element)++;
		crowd->count++;
	}
	return NULL;
}

static void
many_threads_hand_each_element_over_once(void **state)
{
	struct tl_queue *queue = new_queue(16, 64);
	struct crowd pushers[PUSHERS];
	struct crowd poppers[POPPERS];
	pthread_t push_threads[PUSHERS];
	pthread_t pop_threads[POPPERS];
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < PUSHERS; i++) {
		pushers[i] = (struct crowd){.queue = queue, .first = i * EACH};
		assert_int_equal(
			pthread_create(&push_threads[i], NULL, push_numbers, &pushers[i]), 0);
	}
	for (size_t i = 0; i < POPPERS; i++) {
		poppers[i] = (struct crowd){.queue = queue};
		assert_int_equal(
			pthread_create(&pop_threads[i], NULL, pop_numbers, &poppers[i]), 0);
	}
	for (size_t i = 0; i < PUSHERS; i++)
		assert_int_equal(pthread_join(push_threads[i], NULL), 0);
	tl_queue_close(queue);
	for (size_t i = 0; i < POPPERS; i++) {
		assert_int_equal(pthread_join(pop_threads[i], NULL), 0);
		count += poppers[i].count;
	}
	assert_int_equal(count, PUSHERS * EACH);
	for (size_t i = 0; i < PUSHERS * EACH; i++)
		assert_int_equal(numbers[i], 1);
	assert_int_equal(tl_queue_bytes(queue), 0);
	tl_queue_free(queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_leaves_first),
		cmocka_unit_test(both_bounds_hold),
		cmocka_unit_test(one_element_past_the_bound_does_not_wait_for_ever),
		cmocka_unit_test(a_pop_of_nothing_waits_its_time),
		cmocka_unit_test(a_closed_queue_gives_what_it_has),
		cmocka_unit_test(a_waiting_push_goes_on_when_there_is_room),
		cmocka_unit_test(a_close_ends_a_waiting_push),
		cmocka_unit_test(a_close_ends_every_waiting_pop),
		cmocka_unit_test(many_threads_hand_each_element_over_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
