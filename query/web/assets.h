/*
 * The dashboard, as files in the program. The build makes the table (table.S, by embed.sh); without
 * a built dashboard it is empty, and a page says so.
 */
#ifndef QUERY_WEB_ASSETS_H
#define QUERY_WEB_ASSETS_H

#include "schema/net/http_server.h"

/* A line of the table, in the layout that embed.sh writes: eight bytes each. */
struct assets_file {
	const char *path; /* "/index.html", "/assets/index-CxZM.js" */
	const char *type;
	const char *etag;      /* of the content, with its quotes */
	const uint8_t *stream; /* gzip */
	uint64_t stream_bytes;
	uint64_t is_immutable; /* the name carries a hash of the content */
};

extern const struct assets_file assets_table[];
extern const uint64_t assets_count;

struct assets;

/* The routes of the dashboard, ready to be served. The caller frees it after the server stopped. */
TL_MUST enum tl_err assets_new(struct assets **assets_out, struct tl_why *why);
void assets_free(struct assets *assets);

const struct tl_http_route *assets_routes(const struct assets *assets, uint32_t *count_out);

#endif
