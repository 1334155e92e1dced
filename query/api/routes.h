/* The way out over HTTP (SPEC 4): the table of routes. */
#ifndef QUERY_API_ROUTES_H
#define QUERY_API_ROUTES_H

#include "schema/net/http_relay.h"

/* The table; ends after *count_out lines. */
const struct tl_relay_route *routes_of(uint32_t *count_out);

#endif
