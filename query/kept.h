/* What a query daemon keeps between requests: pasts of windows, and whole replies. */
#ifndef QUERY_KEPT_H
#define QUERY_KEPT_H

#include "query/lru.h"
#include "query/query.h"

struct query_cache {
	struct lru *boards;
	struct lru *replies;
};

TL_MUST enum tl_err query_cache_new(
	size_t board_bytes_max, size_t reply_bytes_max, struct query_cache **cache_out);

/* Nothing may be in use any more. NULL is fine. */
void query_cache_free(struct query_cache *cache);

/*
 * The reply to the very same request, if nothing that it shows has changed: same bytes (token
 * included), door and org, org and registry at the same generation, the same quarter of an hour and
 * at most a second old. Appends to reply and returns true.
 */
bool kept_reply_get(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_buf *reply);
void kept_reply_put(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_slice reply);

#endif
