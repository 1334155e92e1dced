#include "schema/net/http_relay.h"

#include <stdio.h>

#include "schema/base/clock.h"
#include "schema/base/log.h"
#include "schema/model/limits.h"
#include "schema/net/http_browser.h"
#include "schema/wire/json.h"
#include "schema/wire/reader.h"

#define REPLY_DEPTH_MAX 16u
#define FAILURE_WINDOW_MS 60000
#define FAILURE_SLOTS 8192u /* 200 KB */
#define KEY_ID_BYTES_MAX 32u

const char *
tl_relay_who_name(enum tl_relay_who who)
{
	static const char *const names[] = {
		[TL_RELAY_ANYBODY] = "anybody",
		[TL_RELAY_MEMBER] = "member",
		[TL_RELAY_AUDITOR] = "auditor",
		[TL_RELAY_ADMIN] = "admin",
		[TL_RELAY_GATEWAY] = "gateway",
		[TL_RELAY_ANY_TOKEN] = "any",
		[TL_RELAY_AGENT] = "agent",
	};

	return names[who];
}

enum tl_err
tl_relay_open(struct tl_relay *relay, const char *query_url, const char *ingest_url,
	int64_t timeout_ms, struct tl_why *why)
{
	enum tl_err err;

	*relay = (struct tl_relay){.timeout_ms = timeout_ms};
	err = tl_req_client_open(query_url, &relay->clients[TL_RELAY_QUERY], why);
	if (!err)
		err = tl_rate_new(
			TL_RELAY_FAILURES_MAX, FAILURE_WINDOW_MS, FAILURE_SLOTS, &relay->failures);
	if (!err)
		err = tl_req_client_open(ingest_url, &relay->clients[TL_RELAY_INGEST], why);
	if (err)
		tl_relay_close(relay);
	return err;
}

void
tl_relay_close(struct tl_relay *relay)
{
	for (int door = 0; door < TL_RELAY_DOORS; door++) {
		tl_req_client_close(relay->clients[door]);
		relay->clients[door] = NULL;
	}
	tl_rate_free(relay->failures);
	relay->failures = NULL;
}

static struct tl_slice
find_cookie(const struct tl_http_request *request)
{
	return tl_http_cookie_find(tl_http_request_header(request, "Cookie"),
		tl_http_cookie_name(tl_http_request_is_tls(request)));
}

struct tl_slice
tl_relay_credential(const struct tl_http_request *request)
{
	struct tl_slice token = tl_http_request_bearer(request);

	return token.bytes > 0 ? token : find_cookie(request);
}

/* A browser adds the cookie whoever wrote the page; a bearer token nobody adds by accident. */
static enum tl_err
check_origin(const struct tl_http_request *request, const struct tl_relay_route *route,
	struct tl_why *why)
{
	struct tl_http_origin origin = {
		.origin = tl_http_request_header(request, "Origin"),
		.fetch_site = tl_http_request_header(request, "Sec-Fetch-Site"),
		.host = tl_http_request_header(request, "Host"),
		.tally = tl_http_request_header(request, "X-Tally"),
		.content_type = tl_http_request_header(request, "Content-Type"),
		.is_tls = tl_http_request_is_tls(request),
	};

	if (tl_http_request_method(request) == TL_HTTP_GET)
		return TL_OK;
	if (!route->sets_cookie &&
		(tl_http_request_bearer(request).bytes > 0 || find_cookie(request).bytes == 0))
		return TL_OK;
	return tl_http_origin_check(&origin, why);
}

static void
refuse_origin(struct tl_relay *relay, struct tl_http_request *request, enum tl_err err,
	const struct tl_why *why)
{
	tl_counter_add(err == TL_ECSRF_FAILED ? &relay->stats.csrf_failed
					      : &relay->stats.origin_not_allowed,
		1);
	tl_relay_refuse(request, err, NULL, why->text);
}

/* TL_ERATE_LIMITED, counted, and what is said about it. */
static enum tl_err
limit_rate(struct tl_relay *relay, int64_t left_ms, struct tl_error_detail *detail_out)
{
	tl_counter_add(&relay->stats.rate_limited, 1);
	*detail_out = (struct tl_error_detail){.limit = TL_RELAY_FAILURES_MAX,
		.retry_after_ms = left_ms,
		.message = "too many wrong credentials; wait"};
	return TL_ERATE_LIMITED;
}

void
tl_relay_run(struct tl_http_request *request, const struct tl_http_route *http, void *arg)
{
	const struct tl_relay_route *route = http->what;
	struct tl_http_address client = tl_http_request_client(request);
	struct tl_relay *relay = arg;
	struct tl_error_detail detail;
	struct tl_why why = {""};
	enum tl_err err = check_origin(request, route, &why);
	int64_t left_ms = 0;

	if (!err && route->takes_code)
		left_ms = tl_rate_look(
			relay->failures, tl_http_address_key(&client), tl_clock_mono_us() / 1000);
	if (err)
		refuse_origin(relay, request, err, &why);
	else if (left_ms > 0)
		tl_http_reply_error(request, limit_rate(relay, left_ms, &detail), &detail);
	else
		route->run(request, http, arg);
}

struct tl_pack_open
tl_relay_question(struct tl_buf *question, const struct tl_http_request *request,
	const struct tl_relay_route *route)
{
	struct tl_slice token = tl_relay_credential(request);
	struct tl_slice id = tl_http_request_id(request);
	struct tl_pack_open map = tl_pack_open_map(question);

	tl_pack_key_int(question, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_str(question, &map, "op", route->op);
	/* A code is its own credential, whatever a browser sends along. */
	if (token.bytes > 0 && !route->takes_code)
		tl_pack_key_slice(question, &map, "token", token);
	if (route->id_wire != NULL)
		tl_pack_key_slice(question, &map, route->id_wire, id);
	return map;
}

static const char *
copy_text(struct tl_slice text, char *to, size_t bytes_max)
{
	if (text.bytes == 0)
		return NULL;
	snprintf(to, bytes_max, "%.*s", (int)text.bytes, (const char *)text.data);
	return to;
}

/* "tally_pat_ab12cd34" of a whole token: up to its third underscore. Empty for other secrets. */
static struct tl_slice
key_id_of(struct tl_slice token)
{
	uint32_t underscore_count = 0;

	for (size_t i = 0; i < token.bytes && i < KEY_ID_BYTES_MAX; i++) {
		underscore_count += token.data[i] == '_';
		if (underscore_count == 3)
			return tl_slice_of(token.data, i);
	}
	return tl_slice_of(NULL, 0);
}

/* Whether a secret was tried and is wrong. A code that is wrong is no such thing, not nobody. */
static bool
is_wrong_credential(const struct tl_http_request *request, struct tl_slice token, enum tl_err err)
{
	const struct tl_relay_route *route = tl_http_request_route(request)->what;

	if (route->takes_code)
		return err == TL_EUNAUTHENTICATED || err == TL_ENOT_FOUND;
	return err == TL_EUNAUTHENTICATED && token.bytes > 0;
}

/* Counts it. How long the asker has to wait until such a one is looked at again; 0: not at all. */
static int64_t
count_failure(struct tl_relay *relay, const struct tl_http_request *request, struct tl_slice token)
{
	struct tl_http_address client = tl_http_request_client(request);
	struct tl_slice key_id = key_id_of(token);
	int64_t now_ms = tl_clock_mono_us() / 1000;
	int64_t left_ms = tl_rate_count(relay->failures, tl_http_address_key(&client), now_ms);
	int64_t key_left_ms = 0;

	if (key_id.bytes > 0)
		key_left_ms = tl_rate_count(relay->failures, key_id, now_ms);
	return left_ms > key_left_ms ? left_ms : key_left_ms;
}

/* The error of a reply. */
static enum tl_err
read_error(struct tl_relay *relay, const struct tl_http_request *request, struct tl_slice token,
	struct tl_slice reply, struct tl_relay_refusal *refusal)
{
	struct tl_error_detail *detail = &refusal->detail;
	struct tl_slice error, code;
	struct tl_reader at;
	int64_t left_ms = 0;
	enum tl_err err;

	if (!tl_reader_find(reply, "error", &at) || tl_reader_peek(&at) != TL_WIRE_MAP)
		return TL_EINTERNAL;
	error = tl_read_any(&at);
	code = tl_reader_find_str(error, "code");
	err = tl_err_from_name((const char *)code.data, code.bytes);
	detail->message = copy_text(
		tl_reader_find_str(error, "message"), refusal->message, sizeof(refusal->message));
	detail->field = copy_text(
		tl_reader_find_str(error, "field"), refusal->field, sizeof(refusal->field));
	detail->limit = tl_reader_find_int(error, "limit", INT64_MIN);
	detail->retry_after_ms = tl_reader_find_int(reply, "retry_after_ms", 0);
	if (is_wrong_credential(request, token, err))
		left_ms = count_failure(relay, request, token);
	if (left_ms > 0)
		return limit_rate(relay, left_ms, detail);
	if (tl_err_http(err) >= 500)
		tl_log(TL_LOG_WARN, "request=%s failed code=%s", tl_http_request_name(request),
			tl_err_name(err));
	return err;
}

/*
 * No answer of tallyd's. It may have been served all the same, so only what may be sent twice is
 * told to come again; tallyd counts usage once, and reading changes nothing.
 */
static enum tl_err
no_answer(const struct tl_http_request *request, enum tl_err err, const struct tl_why *why,
	struct tl_relay_refusal *refusal)
{
	tl_log(TL_LOG_WARN, "request=%s no answer from tallyd code=%s why=\"%s\"",
		tl_http_request_name(request), tl_err_name(err), why->text);
	refusal->detail.retry_after_ms = 500;
	refusal->detail.message = "tallyd does not answer";
	return TL_ESTARTING;
}

enum tl_err
tl_relay_call(struct tl_relay *relay, const struct tl_http_request *request,
	enum tl_relay_door door, const struct tl_buf *question, struct tl_buf *reply,
	struct tl_relay_refusal *refusal_out)
{
	struct tl_why why = {0};
	enum tl_err err = question->err;

	*refusal_out = (struct tl_relay_refusal){.detail = {.limit = INT64_MIN}};
	tl_buf_reset(reply);
	if (err)
		return err;
	err = tl_req_client_call(
		relay->clients[door], tl_buf_slice(question), relay->timeout_ms, reply, &why);
	if (err)
		return no_answer(request, err, &why, refusal_out);
	err = tl_reader_check(tl_buf_slice(reply), REPLY_DEPTH_MAX, &why);
	if (err) {
		tl_log(TL_LOG_ERROR, "request=%s wrong reply of tallyd why=\"%s\"",
			tl_http_request_name(request), why.text);
		return TL_EINTERNAL;
	}
	if (!tl_reader_find_bool(tl_buf_slice(reply), "ok", true))
		return read_error(relay, request,
			tl_reader_find_str(tl_buf_slice(question), "token"), tl_buf_slice(reply),
			refusal_out);
	return TL_OK;
}

enum tl_err
tl_relay_ask(struct tl_relay *relay, struct tl_http_request *request, enum tl_relay_door door,
	const struct tl_buf *question, struct tl_buf *reply)
{
	struct tl_relay_refusal refusal;
	enum tl_err err = tl_relay_call(relay, request, door, question, reply, &refusal);

	if (err)
		tl_http_reply_error(request, err, &refusal.detail);
	return err;
}

enum tl_err
tl_relay_plain(const struct tl_http_request *request, size_t bytes_max, struct tl_buf *plain,
	struct tl_slice *body_out, struct tl_why *why)
{
	struct tl_slice encoding = tl_http_request_header(request, "Content-Encoding");
	struct tl_slice body = tl_http_request_body(request);
	enum tl_err err = TL_OK;

	if (tl_slice_eq(encoding, tl_slice_str("gzip"))) {
		err = tl_http_inflate(body, bytes_max, plain, why);
		body = tl_buf_slice(plain);
	} else if (encoding.bytes > 0 && !tl_slice_eq(encoding, tl_slice_str("identity"))) {
		err = tl_fail(why, TL_EBAD_CONTENT_TYPE, "Content-Encoding: only gzip is taken");
	}
	*body_out = body;
	return err;
}

const char *
tl_relay_content_type(const struct tl_http_request *request)
{
	return tl_http_request_takes_msgpack(request) ? "application/msgpack" : "application/json";
}

enum tl_err
tl_relay_body(const struct tl_http_request *request, struct tl_slice reply,
	struct tl_http_body **body_out)
{
	struct tl_buf text;
	enum tl_err err;

	tl_buf_init(&text, 0);
	if (tl_http_request_takes_msgpack(request)) {
		tl_buf_put_slice(&text, reply);
	} else {
		tl_json_put_reply(&text, reply, 0);
		tl_buf_put_u8(&text, '\n');
	}
	err = tl_http_body_of(&text, body_out);
	tl_buf_fini(&text);
	return err;
}

static bool
is_among(struct tl_slice name, const char *const *names)
{
	while (*names != NULL && !tl_slice_eq(name, tl_slice_str(*names)))
		names++;
	return *names != NULL;
}

void
tl_relay_leave_out(struct tl_slice reply, const char *const *names, struct tl_buf *bare)
{
	struct tl_reader reader = tl_reader_of(reply);
	struct tl_pack_open map = tl_pack_open_map(bare);
	uint32_t pair_count = tl_read_map(&reader);

	for (uint32_t i = 0; i < pair_count; i++) {
		const uint8_t *pair = reader.next;
		struct tl_slice name = tl_read_str(&reader);

		tl_read_any(&reader);
		if (is_among(name, names))
			continue;
		tl_buf_put(bare, pair, (size_t)(reader.next - pair));
		map.count++;
	}
	tl_pack_close(bare, &map);
}

void
tl_relay_reply(struct tl_http_request *request, int status, struct tl_slice reply)
{
	struct tl_http_body *body = NULL;
	enum tl_err err = tl_relay_body(request, reply, &body);

	if (err)
		tl_http_reply_error(request, err, NULL);
	else
		tl_http_reply(request, status, tl_relay_content_type(request), body);
}

void
tl_relay_refuse(
	struct tl_http_request *request, enum tl_err err, const char *field, const char *message)
{
	struct tl_error_detail detail = {.limit = INT64_MIN, .field = field, .message = message};

	tl_http_reply_error(request, err, &detail);
}
