/*
 * The way in over HTTP: usage (SPEC 6.1) and the commands of SPEC 5, each one question to tallyd
 * with the asker's own token.
 */
#ifndef INGEST_API_RECEIVE_H
#define INGEST_API_RECEIVE_H

#include "schema/net/http_relay.h"

/* The table of routes; ends after *count_out lines. */
const struct tl_relay_route *receive_routes(uint32_t *count_out);

#endif
