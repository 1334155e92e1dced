/*
 * The way out over HTTP (SPEC 4): the table of routes, and how a question is asked for each. The
 * bridge keeps bodies it made, but never who may see them: tallyd is asked on each request, and
 * says "same" when the asker's right stands and the body is still what it would answer.
 */
#ifndef QUERY_API_ROUTES_H
#define QUERY_API_ROUTES_H

#include "schema/net/http_relay.h"

/* The table; ends after *count_out lines. */
const struct tl_relay_route *routes_of(uint32_t *count_out);

/* Bodies that were made, up to bytes_max. */
TL_MUST enum tl_err routes_kept_new(size_t bytes_max, struct routes_kept **kept_out);
void routes_kept_free(struct routes_kept *kept);

#endif
