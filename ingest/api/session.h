/*
 * Browsers sign in and out: a token or a one-time code becomes a session, whose secret goes into a
 * cookie that scripts cannot read, and nowhere else.
 */
#ifndef INGEST_API_SESSION_H
#define INGEST_API_SESSION_H

#include "schema/net/http_relay.h"

/* The routes of /api/v1/session; static. Their arg is a struct tl_relay. */
const struct tl_relay_route *session_routes(uint32_t *count_out);

#endif
