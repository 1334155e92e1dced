/*
 * POST /mcp: the Model Context Protocol over Streamable HTTP (SPEC 6.3). Each message is answered
 * in the reply of its own request, as JSON; there are no streams and no sessions, so GET and DELETE
 * are 405. A link is durable before its call is answered.
 */
#ifndef API_TOOLS_H
#define API_TOOLS_H

#include "schema/net/http_relay.h"

void tools_run(struct tl_http_request *request, const struct tl_http_route *route, void *arg);

#endif
