#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "schema/base/counter.h"

enum { THREADS = 4, ADDS = 20000 };

struct shared {
	struct tl_counter counter;
	struct tl_histogram histogram;
};

static void *
add_many(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < ADDS; i++) {
		tl_counter_add(&shared->counter, 3);
		tl_histogram_add(&shared->histogram, i);
	}
	return NULL;
}

static void
threads_lose_no_count(void **state)
{
	static struct shared shared;
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, &shared), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(tl_counter_get(&shared.counter), 3 * THREADS * ADDS);
	assert_int_equal(tl_histogram_count(&shared.histogram), THREADS * ADDS);
	assert_true(shared.histogram.sum_us == (uint64_t)THREADS * ADDS * (ADDS - 1) / 2);
}

static void
one_value_is_found_within_an_eighth(void **state)
{
	(void)state;
	/* All small values, then steps that hit and miss the powers of two. */
	for (int64_t us = 0; us < (int64_t)1 << 34; us += us < 3000 ? 1 : us / 1000 * 3 + 1) {
		struct tl_histogram histogram = {0};
		int64_t edge_us;

		tl_histogram_add(&histogram, us);
		edge_us = tl_histogram_quantile_us(&histogram, 500000);
		assert_true(edge_us >= us);
		assert_true((edge_us - us) * 8 <= us);
	}
}

static const struct {
	const char *name;
	int64_t us;
	int64_t edge_us;
} edges[] = {
	{"a negative time counts as none", -5, 0},
	{"the most negative too", INT64_MIN, 0},
	{"up to 15 us every value has its bucket", 15, 15},
	{"16 and 17 share one", 16, 17},
	{"18 begins the next", 18, 19},
	{"31 ends its power of two", 31, 31},
	{"32 begins the next", 32, 35},
	{"the last bucket ends at 2^34", ((int64_t)1 << 34) - 1, ((int64_t)1 << 34) - 1},
	{"and takes what is above", (int64_t)1 << 34, ((int64_t)1 << 34) - 1},
	{"however far", INT64_MAX, ((int64_t)1 << 34) - 1},
};

static void
the_edges_are_where_they_are(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct tl_histogram histogram = {0};

		tl_histogram_add(&histogram, edges[i].us);
		if (tl_histogram_quantile_us(&histogram, 1000000) != edges[i].edge_us)
			fail_msg("%s", edges[i].name);
		assert_int_equal(tl_histogram_count(&histogram), 1);
	}
}

static const struct {
	const char *name;
	uint32_t ppm;
	int64_t us;
} quantiles[] = {
	{"the quantile 0 is the least", 0, 1},
	{"half of ten are five", 500000, 5},
	{"a bit more is the sixth", 500001, 6},
	{"90% of ten are nine", 900000, 9},
	{"99% of ten is the last", 990000, 10},
	{"the quantile 1 is the last", 1000000, 10},
};

static void
quantiles_of_one_to_ten(void **state)
{
	struct tl_histogram histogram = {0};

	(void)state;
	assert_int_equal(tl_histogram_quantile_us(&histogram, 990000), 0);
	for (int64_t us = 1; us <= 10; us++)
		tl_histogram_add(&histogram, us);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		if (tl_histogram_quantile_us(&histogram, quantiles[i].ppm) != quantiles[i].us)
			fail_msg("%s", quantiles[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_lose_no_count),
		cmocka_unit_test(one_value_is_found_within_an_eighth),
		cmocka_unit_test(the_edges_are_where_they_are),
		cmocka_unit_test(quantiles_of_one_to_ten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
