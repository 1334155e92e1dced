/*
 * Usage of one org in the shape of a team at work: people of unequal activity, office hours,
 * sessions of some forty requests with a growing context, repositories and pull requests, a few
 * late events and resends. The same shape gives the same events.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdint.h>

#include "schema/base/bytes.h"

struct workload_shape {
	uint64_t seed; /* of ids and sessions; members are the same for every seed */
	uint32_t event_count;
	int64_t first_ms, end_ms; /* events have a ts in [first, end) */
};

struct workload;

/* Ends the process when there is no memory. */
struct workload *workload_new(const struct workload_shape *shape);
void workload_free(struct workload *workload);

/* What is sent: the events, 1 % of them twice. */
uint32_t workload_sent_count(const struct workload *workload);

enum workload_form {
	WORKLOAD_ROWS,
	WORKLOAD_MAPS,
};

struct workload_batch {
	struct tl_slice bytes;
	uint32_t event_count;
};

struct workload_batches {
	struct workload_batch *batch;
	uint32_t count;
	uint32_t sent_count, event_count; /* of all batches; the second without resends */
	uint64_t bytes;
};

struct workload_cut {
	enum workload_form form;
	uint32_t events_min, events_max; /* of a batch; any number between */
	uint32_t first, count;		 /* which of what is sent, in the order of arrival */
};

/* Encode messages. Resends of events that were sent before cut->first count as resends. */
void workload_encode(const struct workload *workload, const char *token,
	const struct workload_cut *cut, struct workload_batches *batches_out);
void workload_batches_fini(struct workload_batches *batches);

/*
 * Append one batch with an event on each UTC day of the shape: it makes the families of the days,
 * which a daemon that runs from day to day has long made.
 */
void workload_put_days(const struct workload_shape *shape, const char *token, struct tl_buf *buf);

#endif
