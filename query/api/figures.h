/*
 * Figures over HTTP. The bridge keeps bodies it made, but never who may see them: tallyd is asked
 * on each request, and says "same" when the asker's right stands and the body is still what it
 * would answer. Requests that have a body are asked about together (fresh); the others each by a
 * worker.
 */
#ifndef QUERY_API_FIGURES_H
#define QUERY_API_FIGURES_H

#include "schema/net/http_relay.h"

struct figures_kept;

/* Bodies that were made, up to bytes_max. */
TL_MUST enum tl_err figures_kept_new(size_t bytes_max, struct figures_kept **kept_out);
void figures_kept_free(struct figures_kept *kept);

/* GET of any operation about figures. */
bool figures_start(struct tl_http_request *request, const struct tl_http_route *route, void *arg);
void figures_run(struct tl_http_request *request, const struct tl_http_route *route, void *arg);

#endif
