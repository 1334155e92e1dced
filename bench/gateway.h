/*
 * Gateways: processes that push encoded batches with several requests outstanding, until all is
 * acknowledged and a query shows it.
 */
#ifndef BENCH_GATEWAY_H
#define BENCH_GATEWAY_H

#include <sys/types.h>

#include "bench/workload.h"

struct gateway_plan {
	const char *ingest_url;
	/* The operator's; NULL: do not wait until queries show what was acknowledged. */
	const char *query_url;
	const struct workload_batches *batches;
	uint32_t process_count;
	uint32_t connection_count;  /* of each process */
	uint32_t outstanding_count; /* of each connection */
	pid_t server;		    /* whose processor time is taken */
};

struct gateway_result {
	int64_t acked_ns;		      /* from the start until the last answer */
	int64_t visible_ns;		      /* until a query showed the last acknowledged event */
	int64_t client_cpu_ns, server_cpu_ns; /* from the start until visible */
	int64_t accepted, duplicate, rejected;
	int64_t resent_batches; /* refused for a while and sent again */
};

/* Runs the plan. The calling process must not have used nng. */
void gateway_run(const struct gateway_plan *plan, struct gateway_result *result_out);

/* Append {v:1, op:"health"}; only the operator is told a seq. */
void gateway_put_health(struct tl_buf *buf);

#endif
