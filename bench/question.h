/* What is asked of a daemon, as requests: kinds of questions that query_bench and growth_bench
 * share. */
#ifndef BENCH_QUESTION_H
#define BENCH_QUESTION_H

#include <stdint.h>

#include "schema/base/bytes.h"

#define QUESTION_RANGES 4u /* 24h, 7d, 30d, 90d */
const char *question_range(uint32_t idx);

enum question_type {
	ASK_RANGES, /* the ranges in turn */
	ASK_ANEW,   /* the same in other words each time, so that no kept reply is the answer */
	ASK_CUSTOM, /* 17 days 23 minutes, 41 days back, each time a minute on and in another zone
		     */
	ASK_WINDOW, /* a window of an org, at the operator's door; in other words each time */
};

struct question_ask {
	const char *op;
	enum question_type type;
	const char *token; /* but for ASK_WINDOW */
	int64_t now_ms;	   /* ASK_CUSTOM */

	/* ASK_WINDOW */
	const char *org, *range;
	int64_t from_ms, to_ms; /* range custom */
	uint32_t limit;
};

/* The no-th question of its kind, from 0, in place of what request held. */
void question_put(struct tl_buf *request, const struct question_ask *ask, uint32_t no);

#endif
