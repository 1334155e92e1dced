/* Parameters of an address on their way to tallyd. */
#ifndef QUERY_API_PARAMS_H
#define QUERY_API_PARAMS_H

#include "schema/net/http_relay.h"

/*
 * Put every parameter into the question, as text; only those of the route's table. False: the
 * request was refused.
 */
TL_MUST bool params_put(struct tl_buf *question, struct tl_pack_open *map,
	struct tl_http_request *request, const struct tl_relay_route *route);

#endif
