/*
 * What a browser says of itself: the cookie that holds its session, and where a request was made.
 * Pure: texts in, a verdict out.
 */
#ifndef TL_NET_HTTP_BROWSER_H
#define TL_NET_HTTP_BROWSER_H

#include <stdbool.h>

#include "schema/base/bytes.h"
#include "schema/base/err.h"

/* Behind TLS the name itself makes browsers refuse it from anybody else and without Secure. */
const char *tl_http_cookie_name(bool is_tls);

/*
 * The value of the cookie called name in a Cookie header. Empty when it is not there, when it is
 * there twice with different values, or when it is not 1 to 64 letters and digits.
 */
struct tl_slice tl_http_cookie_find(struct tl_slice header, const char *name);

/* What is looked at before a request that came with a cookie may change something. */
struct tl_http_origin {
	struct tl_slice origin;	      /* Origin: of the page that asks */
	struct tl_slice fetch_site;   /* Sec-Fetch-Site */
	struct tl_slice host;	      /* Host: already known to be one of ours */
	struct tl_slice tally;	      /* X-Tally, which no form can send */
	struct tl_slice content_type; /* Content-Type; empty when there is no body */
	bool is_tls;
};

/*
 * TL_OK when a page of ours made the request. TL_ECSRF_FAILED: "X-Tally: 1" is missing, or the body
 * is of a type that a form could send. TL_EORIGIN_NOT_ALLOWED: another origin, or none is named.
 */
TL_MUST enum tl_err tl_http_origin_check(const struct tl_http_origin *origin, struct tl_why *why);

#endif
