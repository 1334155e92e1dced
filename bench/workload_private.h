/* What the files of a workload share: how it is kept between its making and its encoding. */
#ifndef BENCH_WORKLOAD_PRIVATE_H
#define BENCH_WORKLOAD_PRIVATE_H

#include <stdbool.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "bench/workload.h"

#define AGENT_COUNT WORKLOAD_AGENTS
#define NO_REPO UINT32_MAX
#define SESSION_PRS_MAX 3u
#define MODEL_COUNT 8u

/* Nano-dollars a token. */
struct workload_model {
	const char *name;
	int64_t input, output, cache_read, cache_write;
};
extern const struct workload_model workload_models[MODEL_COUNT];

struct org {
	uint32_t repo_first, repo_count;
	int64_t offset_ms; /* where its office hours are */
};

struct member {
	char id[33];
	uint8_t org;
	uint8_t agent;
	double activity_below; /* sum of the activities up to this one */
};

struct session {
	char text[37];
	uint32_t member;
	uint32_t repo; /* NO_REPO: none */
	uint32_t pr[SESSION_PRS_MAX];
	uint8_t pr_count;
	uint8_t agent, model, small_model;
};

struct event {
	int64_t ts_ms;
	int64_t cost_nusd;
	uint32_t session;
	uint32_t input, output, cache_read, cache_write, saved;
	uint32_t pr; /* 0: none */
	uint16_t status;
	uint8_t model;
};

/* An event on its way; the second copy of one is a resend. */
struct arrival {
	int64_t at_ms;
	uint32_t event;
	bool is_resend;
};

struct workload {
	struct workload_shape shape;
	uint64_t random;
	struct org *orgs;
	struct member *members;
	uint32_t member_count, repo_count;
	char (*repos)[48];
	struct session *sessions;
	uint32_t session_count, session_capacity;
	struct event *events;
	uint32_t event_count;
	struct arrival *arrivals;
	uint32_t arrival_count;
};

/* splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline void *
need(void *memory)
{
	if (memory == NULL)
		measure_die("no memory for the workload");
	return memory;
}

#endif
