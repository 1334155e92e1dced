/*
 * What a request line names: a path in segments, percent-decoded each, and the parameters of the
 * query. And routes: which function answers which method and path.
 */
#ifndef TL_NET_HTTP_TARGET_H
#define TL_NET_HTTP_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

#define TL_HTTP_PARTS_MAX 8u
#define TL_HTTP_PARAMS_MAX 32u

enum tl_http_method {
	TL_HTTP_GET, /* and HEAD, which is GET without the body */
	TL_HTTP_POST,
	TL_HTTP_PATCH,
	TL_HTTP_DELETE,
	TL_HTTP_METHOD_COUNT
};

const char *tl_http_method_name(enum tl_http_method method);

struct tl_http_param {
	struct tl_slice name, value;
};

/* Slices point into the text that was parsed. */
struct tl_http_target {
	struct tl_slice parts[TL_HTTP_PARTS_MAX];
	uint32_t part_count;
	struct tl_http_param params[TL_HTTP_PARAMS_MAX];
	uint32_t param_count;
};

/*
 * Take a request target apart, decoding in place: text must live as long as target. In the query a
 * '+' is a space. TL_EBAD_PARAM for a wrong escape, a control byte, text that is not UTF-8, a
 * parameter that comes twice, too many segments or parameters, or what is no path.
 */
TL_MUST enum tl_err tl_http_target_parse(
	char *text, struct tl_http_target *target_out, struct tl_why *why);

/* The value of a parameter; empty when it was not given. */
struct tl_slice tl_http_target_param(const struct tl_http_target *target, const char *name);

struct tl_http_request;

/*
 * One line of the table of routes. path is literal segments, at most one of them "{name}", which
 * takes any segment that is not empty.
 */
struct tl_http_route {
	enum tl_http_method method;
	const char *path;
	uint32_t body_bytes_max; /* 0: the request has no body */
	void (*run)(struct tl_http_request *request, const struct tl_http_route *route, void *arg);
	const void *what; /* the runner's own */

	/*
	 * NULL, or called before run on the library's thread, where nothing may wait. True: it took
	 * the request, which is answered and then done (tl_http_request_done), or goes on to run
	 * after all (tl_http_request_hand_on), by any thread, even before this returns.
	 */
	bool (*start)(
		struct tl_http_request *request, const struct tl_http_route *route, void *arg);
};

/*
 * The route of method and target, NULL when there is none. *id_out is the segment that stood for
 * {name}, empty if the route has none. *methods_out: a bit for each method the path has.
 */
const struct tl_http_route *tl_http_route_find(const struct tl_http_route *routes,
	uint32_t route_count, enum tl_http_method method, const struct tl_http_target *target,
	struct tl_slice *id_out, uint32_t *methods_out);

#endif
