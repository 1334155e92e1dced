/*
 * The sessions that one step touches: what it brings to each, and the row that follows. A session
 * row is a pure function of the session's events, whatever their order.
 */
#ifndef ROLLUP_SESSIONS_H
#define ROLLUP_SESSIONS_H

#include "rollup/cache.h"
#include "rollup/index.h"
#include "schema/base/map.h"
#include "schema/model/event.h"
#include "schema/store/value.h"
#include "schema/store/write.h"

/* A link event of the step. */
struct session_step_link {
	struct session_step_link *next;
	struct tl_session_link link;
	int sign;
};

/* An event of the step that named repo and PR. */
struct session_step_pr {
	struct session_step_pr *next;
	struct tl_session_event_pr event_pr;
};

/* Session 0 holds the rows of the org that name no session: it has no row. */
struct session_touch {
	struct session_touch *next;
	uint32_t org, session;
	int64_t low_ms; /* lowest event time of the step */

	/* what the step brings; filled by the fold */
	struct session_step_link *links;
	uint32_t link_count;
	struct session_step_pr *prs;
	uint32_t pr_count;
	int64_t first_ms, last_ms; /* requests */
	uint8_t last_id[16];
	uint32_t member, agent;		       /* of the last */
	int64_t taken_first_ms, taken_last_ms; /* requests taken back */

	/* filled by settle */
	bool is_stored;
	bool is_tied;	  /* whose request was the last is not known without the raw rows */
	bool is_moved;	  /* the effective repo changed */
	bool has_new_prs; /* the list of PRs changed */
	uint32_t repo_before;
	struct tl_pr *prs_before;
	uint32_t pr_count_before;
	int64_t *buckets_before;
	uint32_t bucket_count_before;
	uint32_t bucket_capacity;
	struct tl_session_row row;
};

struct sessions {
	struct tl_store *store;
	struct cache *cache;
	struct tl_buf bytes;
	struct index index;
	struct session_touch *list;
	struct session_touch *last; /* of the row before */
	uint32_t count;
	/* repo names, kept between steps: (org, repo) -> text in the arena */
	struct tl_map *names;
	struct tl_arena name_arena;
};

TL_MUST enum tl_err sessions_init(
	struct sessions *sessions, struct tl_store *store, struct cache *cache);
void sessions_fini(struct sessions *sessions);

/* Forget the touches of the step before; their memory is the step's arena. */
void sessions_begin(struct sessions *sessions);

TL_MUST enum tl_err sessions_touch(struct sessions *sessions, struct tl_arena *arena, uint32_t org,
	uint32_t session, struct session_touch **touch_out);

/* A request of the session; only times and who made it, figures come with the deltas. */
void sessions_request(struct session_touch *touch, int64_t time_ms, const uint8_t id[16], int sign,
	uint32_t member, uint32_t agent);
TL_MUST enum tl_err sessions_link(struct session_touch *touch, struct tl_arena *arena,
	const struct tl_session_link *link, int sign);
TL_MUST enum tl_err sessions_event_pr(
	struct session_touch *touch, struct tl_arena *arena, struct tl_pr pr, int sign);

/* Order the list by (org, session): neighbours in the store one after the other. */
TL_MUST enum tl_err sessions_sort(struct sessions *sessions, struct tl_arena *arena);

/* Load the row and apply what the step brings: links, PRs, repo, name, first and last. */
TL_MUST enum tl_err sessions_settle(struct sessions *sessions, struct tl_arena *arena,
	struct session_touch *touch, struct tl_why *why);

/* The session has rows in this 15m cell, or none any more. */
TL_MUST enum tl_err sessions_add_bucket(
	struct session_touch *touch, struct tl_arena *arena, int64_t bucket_no);
void sessions_drop_bucket(struct session_touch *touch, int64_t bucket_no);

/*
 * The raw rows must be asked for the session's first or last: a request of that time was taken
 * back, or the last of the step and the last before are of one time and of different people.
 */
bool sessions_is_lost(const struct session_touch *touch);

/* Put the row into write; a session of which nothing is left goes. */
void sessions_put(struct sessions *sessions, const struct session_touch *touch,
	struct tl_buf *value, struct tl_write *write);

#endif
