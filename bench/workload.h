/*
 * Workload W: usage in the shape of teams at work. Orgs of unequal size, people of unequal
 * activity, office hours, sessions of some forty requests with a growing context, repositories and
 * pull requests, a few late events and resends. The same shape gives the same events.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdint.h>

#include "schema/base/bytes.h"

#define WORKLOAD_ORGS 100u /* of W */

struct workload_shape {
	uint64_t seed; /* of ids and sessions; orgs and members are the same for every seed */
	uint32_t event_count;
	uint32_t org_count;	  /* 100 is W; 1 is its largest org alone */
	int64_t first_ms, end_ms; /* events have a ts in [first, end) */
};

struct workload;

/* Ends the process when there is no memory. */
struct workload *workload_new(const struct workload_shape *shape);
void workload_free(struct workload *workload);

/* What is sent: the events, 1 % of them twice. */
uint32_t workload_sent_count(const struct workload *workload);

/* What was made: distinct events, their cost, sessions. */
struct workload_figures {
	uint32_t event_count, resend_count, session_count, member_count, repo_count;
	int64_t cost_nusd;
};
void workload_figures(const struct workload *workload, struct workload_figures *figures_out);

/* An event by its place in the order of arrival, as numbers from 0, for other stores. */
struct workload_row {
	uint8_t id[16];
	int64_t ts_ms, cost_nusd;
	uint32_t org, member, agent, session, model;
	uint32_t input, output, cache_read, cache_write, saved;
	uint32_t repo; /* of all orgs; UINT32_MAX: none */
	uint32_t pr;   /* 0: none */
	uint16_t status;
};
void workload_row(const struct workload *workload, uint32_t arrival, struct workload_row *row_out);

/* Who uses agents: members are numbered through all orgs, agents of a member from 0. */
#define WORKLOAD_AGENTS 3u
uint32_t workload_org_of(const struct workload *workload, uint32_t member);
const char *workload_agent_name(uint32_t agent);

/* The key ids of the members' agents, by member * WORKLOAD_AGENTS + agent; see people.h. */
#define WORKLOAD_KEY_BYTES 24
struct workload_keys {
	char token[160]; /* of a gateway for all orgs */
	char (*key)[WORKLOAD_KEY_BYTES];
	uint32_t count;
};

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

/*
 * Encode messages. Resends of events that were sent before cut->first count as resends. With keys
 * an event names its agent's key; without (org_count 1) its member and agent, and token is a
 * gateway's of the org.
 */
void workload_encode(const struct workload *workload, const char *token,
	const struct workload_keys *keys, const struct workload_cut *cut,
	struct workload_batches *batches_out);
void workload_batches_fini(struct workload_batches *batches);

/*
 * Append one batch with an event on each UTC day of the shape: it makes the families of the days,
 * which a daemon that runs from day to day has long made.
 */
void workload_put_days(const struct workload_shape *shape, const char *token, struct tl_buf *buf);

#endif
