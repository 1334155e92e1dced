#include "ingest/api/export.h"

#include <pthread.h>
#include <stdio.h>
#include <strings.h>

#include "ingest/api/sender.h"
#include "ingest/otlp/producers.h"
#include "schema/model/limits.h"
#include "schema/wire/reader.h"

/* What a compressed body may become. */
#define INFLATED_BYTES_MAX ((size_t)8 << 20)

/*
 * What reading a body may take in memory, for each worker. Past 1 MiB a body is read when its
 * sender was found to be somebody, and one at a time: records take several times what they take as
 * bytes, JSON twenty times as much.
 */
#define LARGE_BYTES (1u << 20)
#define ARENA_BYTES_MAX ((size_t)32 << 20)
#define LARGE_ARENA_BYTES_MAX ((size_t)128 << 20)

/* Half a frame's worth, so that events with long names fit one. */
#define BATCH_EVENTS 500u

#define RETRY_AFTER_S 1

static const char *const signal_names[] = {
	[OTLP_LOGS] = "logs", [OTLP_METRICS] = "metrics", [OTLP_TRACES] = "traces"};
#define SIGNAL_COUNT (sizeof(signal_names) / sizeof(signal_names[0]))

static struct export_stats stats[SIGNAL_COUNT];
static pthread_mutex_t large_mtx = PTHREAD_MUTEX_INITIALIZER;

const struct export_stats *
export_stats_of(enum otlp_signal signal)
{
	return &stats[signal];
}

const char *
export_signal_name(enum otlp_signal signal)
{
	return signal_names[signal];
}

/* One export on its way. */
struct export
{
	struct tl_relay *relay;
	struct tl_http_request *request;
	enum otlp_signal signal;
	enum otlp_encoding encoding;
	struct tl_arena arena;
	struct producers_batch batch;
	int64_t refused;
	char problem[160]; /* of the first that was refused */
	struct tl_relay_refusal refusal;
};

static bool
find_encoding(const struct tl_http_request *request, enum otlp_encoding *encoding_out)
{
	struct tl_slice type = tl_http_request_header(request, "Content-Type");
	size_t bytes = 0;

	while (bytes < type.bytes && type.data[bytes] != ';' && type.data[bytes] != ' ')
		bytes++;
	type.bytes = bytes;
	if (bytes == strlen("application/json") &&
		strncasecmp((const char *)type.data, "application/json", bytes) == 0)
		*encoding_out = OTLP_JSON;
	else if (bytes == strlen("application/x-protobuf") &&
		 strncasecmp((const char *)type.data, "application/x-protobuf", bytes) == 0)
		*encoding_out = OTLP_PROTOBUF;
	else
		return false;
	return true;
}

static void
reply(struct export *export, int status, struct tl_buf *text)
{
	struct tl_http_body *body = NULL;

	if (tl_http_body_of(text, &body))
		tl_http_reply_error(export->request, TL_ENOMEM, NULL);
	else
		tl_http_reply(export->request, status,
			export->encoding == OTLP_JSON ? "application/json"
						      : "application/x-protobuf",
			body);
}

/* The number google.rpc gives to what the status says. */
static int32_t
rpc_code(int status)
{
	switch (status) {
	case 400:
	case 413:
	case 415:
		return 3; /* invalid argument */
	case 401:
		return 16; /* unauthenticated */
	case 403:
		return 7; /* permission denied */
	case 429:
		return 8; /* resource exhausted */
	case 503:
		return 14; /* unavailable */
	default:
		return 13; /* internal */
	}
}

/* Exporters send again after 429 and 503 alone, so what may be sent again is one of those. */
static int
status_of(enum tl_err err)
{
	enum tl_retry retry = tl_err_retry(err);

	if (err == TL_ERATE_LIMITED || (retry != TL_RETRY_AFTER && retry != TL_RETRY_SAME))
		return tl_err_http(err);
	return 503;
}

static void
refuse(struct export *export, enum tl_err err, const char *message)
{
	enum tl_err code = tl_err_outward(err);
	int status = status_of(code);
	int64_t retry_s = (export->refusal.detail.retry_after_ms + 999) / 1000;
	char header[24];
	struct tl_buf text;

	if (status == 429 || status == 503) {
		snprintf(header, sizeof(header), "%lld",
			(long long)(retry_s > 0 ? retry_s : RETRY_AFTER_S));
		tl_http_reply_header(export->request, "Retry-After", header);
	}
	if (code == TL_EUNAUTHENTICATED)
		tl_http_reply_header(export->request, "WWW-Authenticate", "Bearer");
	tl_buf_init(&text, 0);
	otlp_put_status(&text, export->encoding, rpc_code(status),
		message != NULL && message[0] != '\0' ? message : tl_err_text(code));
	reply(export, status, &text);
	tl_buf_fini(&text);
}

static enum tl_err
translate(struct export *export, struct tl_slice body, struct tl_why *why)
{
	struct tl_slice token = tl_http_request_bearer(export->request);
	static const char agents[] = "tally_ca_";
	struct producers_rules rules = {
		.prices = export->relay->prices,
		.is_of_many = token.bytes < strlen(agents) ||
			      memcmp(token.data, agents, strlen(agents)) != 0,
	};
	struct otlp_records records;
	enum tl_err err;

	err = otlp_read(export->signal, export->encoding, body, &export->arena, &records, why);
	if (!err)
		err = producers_translate(&records, &rules, &export->arena, &export->batch);
	return err;
}

/* What the reply says of the first event that was refused. */
static void
note_refused(struct export *export, const struct tl_batch_result *result)
{
	struct tl_reader errors = tl_reader_of(result->errors);
	struct tl_slice error, code, field;

	export->refused += result->rejected;
	if (result->rejected == 0 || export->problem[0] != '\0' || tl_read_array(&errors) == 0)
		return;
	error = tl_read_any(&errors);
	code = tl_reader_find_str(error, "code");
	field = tl_reader_find_str(error, "field");
	snprintf(export->problem, sizeof(export->problem), "%.*s: %.*s", (int)field.bytes,
		(const char *)field.data, (int)code.bytes, (const char *)code.data);
}

static enum tl_err
push(struct export *export, const struct tl_wire_event *events, uint32_t count)
{
	struct tl_batch_result result;
	struct tl_buf frame, answer;
	enum tl_err err;

	tl_buf_init(&frame, TL_FRAME_BYTES_MAX);
	tl_buf_init(&answer, 0);
	tl_batch_put_rows(&frame, tl_http_request_bearer(export->request), tl_slice_str("otlp"),
		false, events, count);
	err = tl_relay_call(
		export->relay, export->request, TL_RELAY_INGEST, &frame, &answer, &export->refusal);
	if (!err)
		err = tl_batch_answer_read(tl_buf_slice(&answer), &result, NULL);
	if (!err)
		note_refused(export, &result);
	tl_buf_fini(&answer);
	tl_buf_fini(&frame);
	return err;
}

/*
 * All of it, in batches. One that fails fails the export: what went before is durable, and is
 * answered `duplicate` when it is sent again.
 */
static enum tl_err
push_all(struct export *export)
{
	const struct producers_batch *batch = &export->batch;
	enum tl_err err = TL_OK;

	if (batch->event_count == 0)
		err = sender_check(export->relay, export->request, &export->refusal);
	export->refused = batch->unreadable;
	if (batch->problem != NULL)
		snprintf(export->problem, sizeof(export->problem), "%s", batch->problem);
	for (uint32_t at = 0; at < batch->event_count && !err; at += BATCH_EVENTS) {
		uint32_t left = batch->event_count - at;

		err = push(export, batch->events + at, left < BATCH_EVENTS ? left : BATCH_EVENTS);
	}
	return err;
}

static void
count(const struct export *export)
{
	struct export_stats *to = &stats[export->signal];

	tl_counter_add(&to->events, export->batch.event_count);
	tl_counter_add(&to->ignored, export->batch.ignored);
	tl_counter_add(&to->refused, (uint64_t) export->refused);
}

static void
answer(struct export *export)
{
	struct tl_buf text;

	count(export);
	tl_buf_init(&text, 0);
	otlp_put_answer(&text, export->signal, export->encoding, export->refused,
		export->refused > 0 ? export->problem : NULL);
	reply(export, 200, &text);
	tl_buf_fini(&text);
}

/* Read it, push what is usage in it, answer. */
static void
take(struct export *export, struct tl_slice body, size_t arena_bytes_max)
{
	struct tl_why why = {0};
	enum tl_err err;

	tl_arena_init(&export->arena, arena_bytes_max);
	err = translate(export, body, &why);
	if (err) {
		refuse(export, err, why.text);
	} else {
		err = push_all(export);
		if (err)
			refuse(export, err, export->refusal.detail.message);
		else
			answer(export);
	}
	tl_arena_fini(&export->arena);
}

static void
take_large(struct export *export, struct tl_slice body)
{
	enum tl_err err = sender_check(export->relay, export->request, &export->refusal);

	if (err) {
		refuse(export, err, export->refusal.detail.message);
		return;
	}
	pthread_mutex_lock(&large_mtx);
	take(export, body, LARGE_ARENA_BYTES_MAX);
	pthread_mutex_unlock(&large_mtx);
}

static void
run(struct export *export)
{
	struct tl_why why = {0};
	struct tl_slice body;
	struct tl_buf plain;
	enum tl_err err;

	tl_buf_init(&plain, 0);
	err = tl_relay_plain(export->request, INFLATED_BYTES_MAX, &plain, &body, &why);
	if (err)
		refuse(export, err, why.text);
	else if (body.bytes > LARGE_BYTES)
		take_large(export, body);
	else
		take(export, body, ARENA_BYTES_MAX);
	tl_buf_fini(&plain);
}

static enum otlp_signal
signal_of(const struct tl_http_route *route)
{
	enum otlp_signal signal = OTLP_LOGS;

	while (signal != OTLP_TRACES &&
		strcmp(route->path + strlen("/v1/"), signal_names[signal]) != 0)
		signal++;
	return signal;
}

void
export_run(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct export export = {
		.relay = arg,
		.request = request,
		.signal = signal_of(route),
	};

	if (!find_encoding(request, &export.encoding))
		refuse(&export, TL_EBAD_CONTENT_TYPE,
			"application/json or application/x-protobuf is taken");
	else if (tl_http_request_bearer(request).bytes == 0)
		refuse(&export, TL_EUNAUTHENTICATED, NULL);
	else
		run(&export);
}
