/*
 * Listeners to changes over HTTP while changes come, and what they cost the servers. Without
 * streams the same changes come and nobody listens.
 */
#ifndef BENCH_LIVE_LOAD_H
#define BENCH_LIVE_LOAD_H

#include <stdint.h>
#include <sys/types.h>

#include "bench/scratch.h"

#define LIVE_LOAD_STREAMS_A_TOKEN 8u
#define LIVE_LOAD_CHANGE_MS 200

struct live_load {
	uint16_t port;
	const char (
		*tokens)[SCRATCH_TOKEN_BYTES]; /* one for each LIVE_LOAD_STREAMS_A_TOKEN streams */
	uint32_t stream_count;
	const char *ingest_url, *gateway_token;
	int64_t ms;
	pid_t bridge, tallyd;

	/* what came of it */
	int64_t bridge_ns, tallyd_ns; /* processor time */
	uint64_t event_count;	      /* that listeners heard */
};

/* The calling process must not fork any more afterwards: it uses nng. */
void live_load_run(struct live_load *load);

#endif
