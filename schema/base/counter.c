/*
 * Buckets of a histogram: 0 to 7 us have one each, then every power of two is cut into eight.
 * The last one ends at 2^34 us, 4.7 hours, and takes what is above.
 */
#include "schema/base/counter.h"

#include <assert.h>
#include <stddef.h>

#define HISTOGRAM_PARTS_BITS 3
#define HISTOGRAM_PARTS (1 << HISTOGRAM_PARTS_BITS)
#define PPM_MAX 1000000

void
tl_counter_add(struct tl_counter *counter, uint64_t n)
{
	atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
}

uint64_t
tl_counter_get(const struct tl_counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static size_t
bucket_of(uint64_t us)
{
	size_t power;
	size_t idx;

	if (us < HISTOGRAM_PARTS)
		return (size_t)us;
	power = 63 - (size_t)__builtin_clzll(us);
	idx = (power - HISTOGRAM_PARTS_BITS + 1) * HISTOGRAM_PARTS +
	      (size_t)(us >> (power - HISTOGRAM_PARTS_BITS)) % HISTOGRAM_PARTS;
	return idx < TL_HISTOGRAM_BUCKETS ? idx : TL_HISTOGRAM_BUCKETS - 1;
}

/* The largest value of the bucket. */
static int64_t
upper_edge_us(size_t idx)
{
	size_t shift;

	if (idx < HISTOGRAM_PARTS)
		return (int64_t)idx;
	shift = idx / HISTOGRAM_PARTS - 1;
	return (int64_t)((HISTOGRAM_PARTS + idx % HISTOGRAM_PARTS + 1) << shift) - 1;
}

void
tl_histogram_add(struct tl_histogram *histogram, int64_t us)
{
	uint64_t at_least_0 = us > 0 ? (uint64_t)us : 0;

	atomic_fetch_add_explicit(
		&histogram->buckets[bucket_of(at_least_0)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&histogram->sum_us, at_least_0, memory_order_relaxed);
}

uint64_t
tl_histogram_count(const struct tl_histogram *histogram)
{
	uint64_t count = 0;

	for (size_t i = 0; i < TL_HISTOGRAM_BUCKETS; i++)
		count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
	return count;
}

int64_t
tl_histogram_quantile_us(const struct tl_histogram *histogram, uint32_t ppm)
{
	uint64_t counts[TL_HISTOGRAM_BUCKETS];
	uint64_t count = 0;
	uint64_t below = 0;
	uint64_t rank;

	assert(ppm <= PPM_MAX);
	/* Copied first, because others add meanwhile and the rank must fit the counts. */
	for (size_t i = 0; i < TL_HISTOGRAM_BUCKETS; i++) {
		counts[i] = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
		count += counts[i];
	}
	if (count == 0)
		return 0;
	rank = (uint64_t)(((unsigned __int128)count * ppm + PPM_MAX - 1) / PPM_MAX);
	if (rank == 0)
		rank = 1;
	for (size_t i = 0; i < TL_HISTOGRAM_BUCKETS; i++) {
		below += counts[i];
		if (below >= rank)
			return upper_edge_us(i);
	}
	return upper_edge_us(TL_HISTOGRAM_BUCKETS - 1);
}
