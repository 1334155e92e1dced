/*
 * What a request's head must be before anything is made of it. libmicrohttpd 0.9.75 takes the first
 * of two lengths, takes a length beside chunked, ignores a length whose name has a blank, and glues
 * a folded line to a name: each could make a proxy before us and us see different requests.
 */
#ifndef TL_NET_HTTP_HEAD_H
#define TL_NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

#define TL_HTTP_HEAD_BYTES_MAX 16384u
#define TL_HTTP_HEADERS_MAX 64u
#define TL_HTTP_TARGET_BYTES_MAX 4096u

/* What the headers seen so far say. Zeroed at first. */
struct tl_http_head {
	enum tl_err err; /* the first thing wrong */
	struct tl_why why;
	uint32_t header_count;
	uint32_t host_count;
	uint32_t length_count;
	uint32_t coding_count;
	uint64_t body_bytes; /* as Content-Length says */
};

/* One header line. hosts: the names a request may be for, without port, in lower case. */
void tl_http_head_add(struct tl_http_head *head, struct tl_slice name, struct tl_slice value,
	const char *const *hosts, uint32_t host_count);

/* When all were added. */
TL_MUST enum tl_err tl_http_head_check(const struct tl_http_head *head, struct tl_why *why);

/* Whether a list header (Accept, Accept-Encoding) takes word: named, and not with q=0. */
bool tl_http_head_takes(struct tl_slice value, const char *word);

#endif
