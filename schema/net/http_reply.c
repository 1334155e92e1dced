/* How a request is answered: its status, headers and body, as the asker takes them. */
#include "schema/net/http_private.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/net/http_head.h"
#include "schema/wire/json.h"

#define BUSY_RETRY_MS 250
#define GZIP_BYTES_MIN 1024u

static const struct {
	const char *name, *value;
} security_headers[] = {
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
};

/*
 * What a browser may do with a reply (RELIABILITY 4): with data nothing, with a page of ours its
 * own scripts, styles and figures. Inline style is for the chart library; inline script never runs.
 */
static const char data_policy[] = "default-src 'none'; frame-ancestors 'none'";
static const char page_policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
	"img-src 'self' data:; connect-src 'self'; base-uri 'none'; object-src 'none'; "
	"frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'";

void
tl_http_reply_header(struct tl_http_request *request, const char *name, const char *value)
{
	assert(request->header_count < TL_HTTP_REPLY_HEADERS_MAX);
	request->headers[request->header_count].name = name;
	snprintf(request->headers[request->header_count].value, sizeof(request->headers[0].value),
		"%s", value);
	request->header_count++;
}

/* Later wins: MHD would send both. */
static void
put_headers(const struct tl_http_request *request, struct MHD_Response *response,
	const char *content_type)
{
	bool has_caching = false;

	for (uint32_t i = 0; i < request->header_count; i++) {
		MHD_add_response_header(
			response, request->headers[i].name, request->headers[i].value);
		has_caching = has_caching || strcmp(request->headers[i].name, "Cache-Control") == 0;
	}
	if (!has_caching)
		MHD_add_response_header(response, "Cache-Control", "no-store");
	if (content_type != NULL)
		MHD_add_response_header(response, "Content-Type", content_type);
	MHD_add_response_header(response, "Content-Security-Policy",
		content_type != NULL && strncmp(content_type, "text/html", 9) == 0 ? page_policy
										   : data_policy);
	for (size_t i = 0; i < sizeof(security_headers) / sizeof(security_headers[0]); i++)
		MHD_add_response_header(
			response, security_headers[i].name, security_headers[i].value);
	if (request->server->options.is_behind_tls)
		MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
	if (request->must_close)
		MHD_add_response_header(response, "Connection", "close");
}

static void
body_dropped(void *body)
{
	tl_http_body_drop(body);
}

/* The gzip stream instead of the body, where the asker takes it and it is worth it. */
static struct tl_http_body *
encode(struct tl_http_request *request, struct tl_http_body *body)
{
	struct tl_http_body *gzipped;

	if (tl_http_body_slice(body).bytes < GZIP_BYTES_MIN)
		return body;
	tl_http_reply_header(request, "Vary", "Accept, Accept-Encoding, Authorization, Cookie");
	if (!tl_http_request_takes_gzip(request))
		return body;
	gzipped = tl_http_body_hold(tl_http_body_gzip(body));
	if (gzipped == NULL)
		return body;
	tl_http_body_drop(body);
	tl_http_reply_header(request, "Content-Encoding", "gzip");
	return gzipped;
}

/* The body as the asker takes it; taken over. NULL without memory. */
static struct MHD_Response *
make_response(struct tl_http_request *request, struct tl_http_body *body, uint64_t *bytes_out)
{
	struct MHD_Response *response;
	struct tl_slice bytes;

	if (body != NULL)
		body = encode(request, body);
	bytes = tl_http_body_slice(body);
	response = MHD_create_response_from_buffer_with_free_callback_cls(
		bytes.bytes, (void *)bytes.data, body_dropped, body);
	if (response == NULL)
		tl_http_body_drop(body);
	*bytes_out = bytes.bytes;
	return response;
}

bool
tl_http_request_takes_gzip(const struct tl_http_request *request)
{
	return tl_http_head_takes(tl_http_request_header(request, "Accept-Encoding"), "gzip");
}

void
tl_http_reply(struct tl_http_request *request, int status, const char *content_type,
	struct tl_http_body *body)
{
	uint64_t bytes;
	struct MHD_Response *response = make_response(request, body, &bytes);

	if (response != NULL)
		tl_http_reply_response(request, status, content_type, response, bytes);
}

void
tl_http_reply_response(struct tl_http_request *request, int status, const char *content_type,
	struct MHD_Response *response, uint64_t answer_bytes)
{
	assert(request->response == NULL);
	request->response = response;
	request->status = status;
	request->answer_bytes = answer_bytes;
	put_headers(request, response, content_type);
	MHD_add_response_header(response, "X-Request-Id", request->name);
	tl_counter_add(&request->server->stats.replies[status / 100 % 6], 1);
}

struct tl_http_ready {
	_Atomic uint32_t owner_count;
	struct MHD_Response *response;
	uint64_t bytes;
};

struct tl_http_ready *
tl_http_ready_new(
	struct tl_http_request *request, const char *content_type, struct tl_http_body *body)
{
	struct tl_http_ready *ready = calloc(1, sizeof(*ready));

	if (ready == NULL)
		return NULL;
	ready->owner_count = 1;
	ready->response = make_response(request, tl_http_body_hold(body), &ready->bytes);
	if (ready->response == NULL) {
		free(ready);
		return NULL;
	}
	put_headers(request, ready->response, content_type);
	return ready;
}

void
tl_http_ready_drop(struct tl_http_ready *ready)
{
	if (ready == NULL || atomic_fetch_sub(&ready->owner_count, 1) > 1)
		return;
	MHD_destroy_response(ready->response);
	free(ready);
}

void
tl_http_reply_ready(struct tl_http_request *request, struct tl_http_ready *ready)
{
	assert(request->response == NULL);
	atomic_fetch_add(&ready->owner_count, 1);
	request->ready = ready;
	request->response = ready->response;
	request->status = 200;
	request->answer_bytes = ready->bytes;
	tl_counter_add(&request->server->stats.replies[2], 1);
}

/* The error map as the asker takes it. */
static enum tl_err
make_error_body(struct tl_http_request *request, enum tl_err err,
	const struct tl_error_detail *detail, struct tl_http_body **body_out)
{
	struct tl_buf msgpack, text;
	enum tl_err made;

	tl_buf_init(&msgpack, 0);
	tl_buf_init(&text, 0);
	tl_frame_put_error(&msgpack, err, detail);
	if (tl_http_request_takes_msgpack(request)) {
		made = tl_http_body_of(&msgpack, body_out);
	} else {
		tl_json_put_reply(&text, tl_buf_slice(&msgpack), 0);
		tl_buf_put_str(&text, "\n");
		made = tl_http_body_of(&text, body_out);
	}
	tl_buf_fini(&msgpack);
	tl_buf_fini(&text);
	return made;
}

void
tl_http_reply_error(
	struct tl_http_request *request, enum tl_err err, const struct tl_error_detail *detail)
{
	struct tl_error_detail said = {.limit = INT64_MIN};
	enum tl_err code = tl_err_outward(err);
	struct tl_http_body *body = NULL;
	char seconds[24];

	if (detail != NULL)
		said = *detail;
	said.request_id = request->name;
	if (tl_err_retry(code) == TL_RETRY_AFTER && said.retry_after_ms == 0)
		said.retry_after_ms = BUSY_RETRY_MS;
	if (said.retry_after_ms > 0) {
		snprintf(seconds, sizeof(seconds), "%lld",
			(long long)((said.retry_after_ms + 999) / 1000));
		tl_http_reply_header(request, "Retry-After", seconds);
	}
	if (code == TL_EUNAUTHENTICATED)
		tl_http_reply_header(request, "WWW-Authenticate", "Bearer");
	if (make_error_body(request, code, &said, &body))
		body = NULL;
	tl_http_reply(request, tl_err_http(code),
		tl_http_request_takes_msgpack(request) ? "application/msgpack" : "application/json",
		body);
}
