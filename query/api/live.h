/*
 * Word of changes, as server-sent events (SPEC 4). One thread asks tallyd for all streams at once,
 * a few times a second while there are any: each org through one of its streams, and each stream's
 * own credential every other second, so that a revoked one ends. Streams are suspended connections.
 */
#ifndef QUERY_API_LIVE_H
#define QUERY_API_LIVE_H

#include "schema/net/http_relay.h"

struct live;

/* relay outlives it. */
TL_MUST enum tl_err live_start(
	const struct tl_relay *relay, struct live **live_out, struct tl_why *why);

/* Ends every stream; what comes later is told that the server stops. NULL is fine. */
void live_stop(struct live *live);

/* No request may be running any more. NULL is fine. */
void live_free(struct live *live);

/* GET /api/v1/live. */
void live_serve(struct tl_http_request *request, const struct tl_http_route *route, void *arg);

#endif
