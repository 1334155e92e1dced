/*
 * The way out: query_run is a pure function of a view, the registry and the request; the nng
 * workers are one door to it, the HTTP bridge will be another.
 */
#ifndef QUERY_QUERY_H
#define QUERY_QUERY_H

#include "schema/base/arena.h"
#include "schema/base/clock.h"
#include "schema/base/counter.h"
#include "schema/net/rep_server.h"
#include "schema/registry/registry.h"
#include "schema/store/view.h"
#include "schema/wire/query_wire.h"

struct query_cache;

/* What must hold for the daemon to be ready, told by whoever knows all roles. */
#define QUERY_CONDITIONS_MAX 9u

struct query_condition {
	const char *name; /* static */
	bool is_met;
	char why[240]; /* for the operator, when it is not met */
};

struct query_health {
	struct query_condition conditions[QUERY_CONDITIONS_MAX];
	uint32_t count;
};

/* What one request sees; taken once. */
struct query_scene {
	struct tl_store *store;
	const struct tl_view *view;
	const struct tl_registry *registry;
	int64_t now_ms;
	const struct tl_org *org;
	struct tl_caller caller;
	const struct query_health
		*health;	   /* for that question; NULL: nothing stands against ready */
	struct query_cache *cache; /* kept between requests; NULL: everything is counted anew */
};

/* Append the reply map of query to reply. All scratch memory is the arena's. */
TL_MUST enum tl_err query_run(const struct query_scene *scene, const struct tl_query *query,
	struct tl_arena *arena, struct tl_buf *reply, struct tl_why *why);

/* Whether who asks may ask that: what query_run checks first. */
TL_MUST enum tl_err query_allow(
	const struct query_scene *scene, const struct tl_query *query, struct tl_why *why);

struct query;

struct query_options {
	struct tl_store *store;
	struct tl_roster *roster;
	const struct tl_clock *clock;
	const char *const *urls;
	size_t url_count;
	const char *control_url; /* ipc of the operator, NULL: none */
	int64_t worker_count;	 /* 0: one per core */
	int64_t bytes_max;	 /* at hand: a half for each question, an eighth kept */
	/* Fills in the conditions, on a worker's thread. NULL: there are none. */
	void (*on_health)(void *arg, struct query_health *health_out);
	void *arg;
};

struct query_stats {
	struct tl_counter requests, errors, cached, same, unauthenticated;
	struct tl_counter denied[TL_QUERY_COUNT]; /* known, but not allowed that */
	struct tl_histogram run_us[TL_QUERY_COUNT];
};

TL_MUST enum tl_err query_start(
	const struct query_options *options, struct query **query_out, struct tl_why *why);
void query_stop(struct query *query);
const struct query_stats *query_stats_of(const struct query *query);
uint16_t query_port(const struct query *query);

#endif
