/* Measures that add up. Distinct counts are sets, never totals. */
#ifndef TL_MODEL_TOTALS_H
#define TL_MODEL_TOTALS_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/*
 * X(name): one int64 measure each. The order is the order of the columns in stored cells:
 * append only, and raise the cell version.
 */
#define TL_MEASURE_LIST(X)       \
	X(requests)              \
	X(errors)                \
	X(unpriced)              \
	X(input_tokens)          \
	X(cache_read_tokens)     \
	X(cache_write_tokens)    \
	X(cache_write_1h_tokens) \
	X(output_tokens)         \
	X(reasoning_tokens)      \
	X(cost_nusd)             \
	X(cost_plan_nusd)        \
	X(saved_tokens)          \
	X(saved_nusd)            \
	X(duration_ms)           \
	X(timed_requests)        \
	X(lines_added)           \
	X(lines_removed)         \
	X(commits)               \
	X(pull_requests)         \
	X(active_ms)             \
	X(edits_accepted)        \
	X(edits_rejected)        \
	X(violations)            \
	X(fix_ms)

enum tl_measure {
#define X(name) TL_MEASURE_##name,
	TL_MEASURE_LIST(X)
#undef X
		TL_MEASURE_COUNT
};

struct tl_totals {
	union {
		struct {
#define X(name) int64_t name;
			TL_MEASURE_LIST(X)
#undef X
		};
		int64_t measure[TL_MEASURE_COUNT];
	};
};

const char *tl_measure_name(enum tl_measure measure);

/* sum += sign * value; TL_EAMOUNT_OVERFLOW leaves *sum unspecified. sign is 1 or -1. */
TL_MUST enum tl_err tl_totals_add(struct tl_totals *sum, const struct tl_totals *value, int sign);

bool tl_totals_is_zero(const struct tl_totals *totals);
bool tl_totals_eq(const struct tl_totals *a, const struct tl_totals *b);

/* input + cache read + cache write + output; cannot overflow below 2^61 each. */
int64_t tl_totals_tokens(const struct tl_totals *totals);
int64_t tl_totals_tokens_uncached(const struct tl_totals *totals);

enum tl_metric {
	TL_METRIC_COST,
	TL_METRIC_TOKENS,
	TL_METRIC_TOKENS_UNCACHED,
	TL_METRIC_REQUESTS,
};
#define TL_METRIC_COUNT 4

int64_t tl_totals_value(const struct tl_totals *totals, enum tl_metric metric);

/*
 * Share part_idx of part_count of an amount divided equally: floor, and the remainder one unit
 * each to the parts from start_idx on, around. Shares of all parts sum to the amount exactly.
 */
int64_t tl_share(int64_t amount, uint32_t part_count, uint32_t part_idx, uint32_t start_idx);

/* tl_share of each measure. */
void tl_totals_share(const struct tl_totals *totals, uint32_t part_count, uint32_t part_idx,
	uint32_t start_idx, struct tl_totals *share_out);

#endif
