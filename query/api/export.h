/*
 * Rows behind the figures over HTTP, as text that streams (SPEC 4): a thread an export asks tallyd
 * for page after page of one snapshot and waits for its peer, so memory is a page and what waits.
 */
#ifndef QUERY_API_EXPORT_H
#define QUERY_API_EXPORT_H

#include "schema/net/http_relay.h"

struct exports;

/* relay outlives it. */
TL_MUST enum tl_err exports_new(struct tl_relay *relay, struct exports **exports_out);

/* Waits for those under way, which end when their streams are cut: the server is stopped. */
void exports_free(struct exports *exports);

/* GET /api/v1/export. */
void export_serve(struct tl_http_request *request, const struct tl_http_route *route, void *arg);

#endif
