/* HTTP clients on one thread: connections that stay open, one request outstanding on each. */
#ifndef BENCH_HTTP_LOAD_H
#define BENCH_HTTP_LOAD_H

#include <stdint.h>

struct http_load {
	uint16_t port; /* of 127.0.0.1 */
	uint32_t connection_count;
	const char *request; /* whole, with its empty line */
	int64_t ms;

	/* what came of it */
	uint64_t count;	     /* whole replies, all with status 200 */
	uint64_t body_bytes; /* of the last one */
};

#define HTTP_LOAD_CONNECTIONS_MAX 1024u

/* Replies must have a Content-Length. Anything else than 200 ends the program. */
void http_load_run(struct http_load *load);

/* A connected socket. */
int http_load_dial(uint16_t port);

#endif
