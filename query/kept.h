/* What a query daemon keeps between requests: pasts of windows, and whole replies. */
#ifndef QUERY_KEPT_H
#define QUERY_KEPT_H

#include "query/leases.h"
#include "query/lru.h"
#include "query/query.h"
#include "schema/model/event.h"

struct query_cache {
	uint8_t secret[16]; /* of marks: none of another life of the daemon is good */
	struct leases *leases;
	struct lru *boards;
	struct lru *replies;
	struct lru *names; /* of the dictionary, where an id never changes its meaning */
};

TL_MUST enum tl_err query_cache_new(
	size_t board_bytes_max, size_t reply_bytes_max, struct query_cache **cache_out);

/* Nothing may be in use any more. NULL is fine. */
void query_cache_free(struct query_cache *cache);

/*
 * A name of the org's dictionary: kept, or read and then kept. Replaces *name; TL_ENOT_FOUND for
 * an id that was never given out.
 */
TL_MUST enum tl_err kept_name(const struct query_scene *scene, enum tl_name_kind kind, uint32_t id,
	struct tl_buf *name, struct tl_why *why);

/*
 * For what views something kept is good: exact on every one from built to seen. It begins with the
 * view it was made from.
 */
struct kept_since {
	uint64_t built;
	_Atomic uint64_t seen; /* rises only */
};

void kept_since_init(struct kept_since *since, const struct query_scene *scene);

enum kept_verdict {
	KEPT_GOOD,
	KEPT_CHANGED, /* something before the cut did */
	KEPT_NEWER,   /* than the view: it cannot be judged */
};

/*
 * Judge what shows event times before cut_ms only. For a newer view the store says from what time
 * on the org changed since: at or after the cut it stays good, and seen moves up. *low_ms_out: that
 * time when it changed, INT64_MIN when it is not known any more.
 */
enum kept_verdict kept_judge(struct kept_since *since, const struct query_scene *scene,
	int64_t cut_ms, int64_t *low_ms_out);

/*
 * The reply to the very same request, if nothing that it shows has changed: same bytes (token
 * included, "have" left out), door and org, figures and people of the org unchanged, the same
 * quarter of an hour and at most a second old. Appends to reply, says when it was made and returns
 * true.
 */
bool kept_reply_get(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_buf *reply, int64_t *made_ms_out);
void kept_reply_put(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_slice reply);

/*
 * A mark names the reply that a request made at made_ms has: request, door, org and generations as
 * above, so it is good for nobody else and for nothing else. False when the operation has none.
 */
#define KEPT_MARK_BYTES 36

bool kept_mark(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	int64_t made_ms, char mark_out[KEPT_MARK_BYTES]);

/* A keyed hash of something of the scene's org, as hex; what tells one thing from another. */
#define KEPT_DIGEST_BYTES 17

void kept_digest(const struct query_scene *scene, const char *what, struct tl_slice of,
	char digest_out[KEPT_DIGEST_BYTES]);

/* Whether the request would have that reply again, but for its age of at most age_ms_max. */
bool kept_mark_holds(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_slice mark, int64_t age_ms_max);

#endif
