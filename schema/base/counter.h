/* Counters and latency histograms a program reports about itself; any thread may add. */
#ifndef TL_BASE_COUNTER_H
#define TL_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct tl_counter {
	_Atomic uint64_t value;
};

void tl_counter_add(struct tl_counter *counter, uint64_t n);
uint64_t tl_counter_get(const struct tl_counter *counter);

/* Log-linear buckets: 8 per power of two, relative error below 1/8, 1 us to about an hour. */
#define TL_HISTOGRAM_BUCKETS 256

struct tl_histogram {
	_Atomic uint64_t buckets[TL_HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_us;
};

void tl_histogram_add(struct tl_histogram *histogram, int64_t us);
uint64_t tl_histogram_count(const struct tl_histogram *histogram);

/* Upper edge in us of the bucket that holds quantile ppm / 1,000,000; 0 when empty. */
int64_t tl_histogram_quantile_us(const struct tl_histogram *histogram, uint32_t ppm);

#endif
