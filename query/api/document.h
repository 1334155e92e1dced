/* The description of the API (OpenAPI 3.1), written from the table that the server answers from. */
#ifndef QUERY_API_DOCUMENT_H
#define QUERY_API_DOCUMENT_H

#include "schema/net/http_relay.h"

/* routes: each one's what is a tl_relay_route. The caller owns the body. */
TL_MUST enum tl_err document_new(const struct tl_http_route *routes, uint32_t route_count,
	struct tl_http_body **document_out);

#endif
