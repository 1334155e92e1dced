#include "ingest/otlp/producers.h"

#include <strings.h>

#include "ingest/otlp/activity.h"
#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/model/limits.h"

#define NS_PER_MS 1000000u
#define KEY_BYTES_MAX (64u << 10)

struct translation {
	const struct producers_rules *rules;
	struct producers_batch batch;
	struct tl_buf key; /* scratch: what an id is made from */
};

static void
count_unreadable(struct translation *t, const char *problem)
{
	t->batch.unreadable++;
	if (t->batch.problem == NULL)
		t->batch.problem = problem;
}

static struct tl_slice
text_at(const struct otlp_attributes *attributes, const char *key)
{
	return otlp_find(attributes, key)->text;
}

static bool
is_text(struct tl_slice text, const char *wanted)
{
	return tl_slice_eq(text, tl_slice_str(wanted));
}

/* A name past the protocol's limit is left out, the usage stays. */
static struct tl_slice
fit(struct tl_slice text, size_t bytes_max)
{
	return text.bytes <= bytes_max ? text : tl_slice_of("", 0);
}

/* When it was: the record's time, else what it says of itself, else when it was observed. */
static bool
time_of(const struct otlp_log *log, int64_t *ts_ms_out)
{
	struct tl_slice text = text_at(&log->attributes, "event.timestamp");
	char copy[64];

	if (log->time_ns != 0) {
		*ts_ms_out = (int64_t)(log->time_ns / NS_PER_MS);
		return true;
	}
	if (text.bytes > 0 && text.bytes < sizeof(copy)) {
		memcpy(copy, text.data, text.bytes);
		copy[text.bytes] = '\0';
		if (tl_time_parse(copy, ts_ms_out))
			return true;
	}
	*ts_ms_out = (int64_t)(log->observed_ns / NS_PER_MS);
	return log->observed_ns != 0;
}

/* Counts of one record; an absent one is 0, a wrong one sticks. */
struct counts {
	const struct otlp_attributes *attributes;
	bool is_wrong;
};

static int64_t
count_at(struct counts *counts, const char *key)
{
	const struct otlp_value *value = otlp_find(counts->attributes, key);
	int64_t count = 0;

	if (value->type == OTLP_NONE)
		return 0;
	if (!otlp_int(value, &count) || count < 0)
		counts->is_wrong = true;
	return count;
}

static void
key_put(struct tl_buf *key, struct tl_slice text)
{
	tl_buf_put_varint(key, text.bytes);
	tl_buf_put_slice(key, text);
}

/* An id that follows from the record: what it is of, when, and what it counted. */
static void
make_id(struct translation *t, const char *agent, struct tl_slice no,
	const struct tl_wire_event *event, uint8_t id_out[16])
{
	uint8_t digest[32];

	tl_buf_reset(&t->key);
	tl_buf_put_str(&t->key, agent);
	tl_buf_put_u8(&t->key, 0);
	key_put(&t->key, event->session);
	key_put(&t->key, event->model);
	key_put(&t->key, no);
	tl_buf_put_be64(&t->key, (uint64_t)event->ts_ms);
	tl_buf_put_be64(&t->key, (uint64_t)event->input_tokens);
	tl_buf_put_be64(&t->key, (uint64_t)event->cache_read_tokens);
	tl_buf_put_be64(&t->key, (uint64_t)event->cache_write_tokens);
	tl_buf_put_be64(&t->key, (uint64_t)event->output_tokens);
	tl_buf_put_be64(&t->key, (uint64_t)event->reasoning_tokens);
	tl_sha256(tl_buf_slice(&t->key), digest);
	memcpy(id_out, digest, 16);
}

/* Who it is: the key that is sent with it says, unless it is a gateway's. */
static void
attribute(const struct translation *t, const char *agent, const struct otlp_attributes *attributes,
	const struct otlp_attributes *resource, struct tl_wire_event *event)
{
	struct tl_slice email = text_at(attributes, "user.email");

	event->tag = tl_slice_str(TL_TAG_CLIENT);
	if (!t->rules->is_of_many)
		return;
	if (email.bytes == 0)
		email = text_at(resource, "user.email");
	if (email.bytes == 0 || email.bytes > TL_EMAIL_BYTES_MAX ||
		memchr(email.data, '@', email.bytes) == NULL)
		return; /* nobody */
	event->email = email;
	event->agent = tl_slice_str(agent);
}

/* SPEC 9.28. False for a cost that is none. */
static bool
read_cost(const struct otlp_attributes *attributes, int64_t *cost_nusd)
{
	const struct otlp_value *micros = otlp_find(attributes, "cost_usd_micros");
	const struct otlp_value *usd = otlp_find(attributes, "cost_usd");

	if (micros->type != OTLP_NONE)
		return otlp_scaled(micros, 3, cost_nusd) && *cost_nusd >= 0;
	if (usd->type != OTLP_NONE)
		return otlp_scaled(usd, 9, cost_nusd) && *cost_nusd >= 0;
	return true;
}

static const struct tl_wire_event blank_request = {.kind = TL_KIND_REQUEST,
	.status = 200,
	.cost_nusd = TL_WIRE_ABSENT,
	.duration_ms = TL_WIRE_ABSENT};

static void
read_duration(struct counts *counts, struct tl_wire_event *event)
{
	if (otlp_find(counts->attributes, "duration_ms")->type != OTLP_NONE)
		event->duration_ms = count_at(counts, "duration_ms");
}

static void
claude_request(struct translation *t, const struct otlp_log *log)
{
	const struct otlp_attributes *attributes = &log->attributes;
	struct counts counts = {.attributes = attributes};
	struct tl_wire_event event = blank_request;
	int64_t sequence_no = 0;

	event.session = fit(text_at(attributes, "session.id"), TL_SESSION_BYTES_MAX);
	event.model = fit(text_at(attributes, "model"), TL_MODEL_BYTES_MAX);
	event.provider = tl_slice_str("anthropic");
	event.input_tokens = count_at(&counts, "input_tokens");
	event.output_tokens = count_at(&counts, "output_tokens");
	event.cache_read_tokens = count_at(&counts, "cache_read_tokens");
	event.cache_write_tokens = count_at(&counts, "cache_creation_tokens");
	read_duration(&counts, &event);
	if (!time_of(log, &event.ts_ms) || counts.is_wrong ||
		!read_cost(attributes, &event.cost_nusd)) {
		count_unreadable(t, "api_request: a count, cost or time that cannot be read");
		return;
	}
	if (event.cost_nusd == TL_WIRE_ABSENT)
		tl_wire_event_price(&event, t->rules->prices);
	if (!tl_event_id_from_text(text_at(attributes, "request_id"), event.id)) {
		uint8_t sequence[8];

		if (!otlp_int(otlp_find(attributes, "event.sequence"), &sequence_no))
			sequence_no = 0;
		tl_put_be64(sequence, (uint64_t)sequence_no);
		make_id(t, "claude_code", tl_slice_of(sequence, sizeof(sequence)), &event,
			event.id);
	}
	attribute(t, "claude_code", attributes, log->resource, &event);
	t->batch.events[t->batch.event_count++] = event;
}

/* Input includes what was read from the cache in these records; output includes reasoning. */
static void
codex_response(struct translation *t, const struct otlp_log *log)
{
	const struct otlp_attributes *attributes = &log->attributes;
	struct counts counts = {.attributes = attributes};
	struct tl_wire_event event = blank_request;
	int64_t input = count_at(&counts, "input_token_count");

	event.session = fit(text_at(attributes, "conversation.id"), TL_SESSION_BYTES_MAX);
	event.model = fit(text_at(attributes, "model"), TL_MODEL_BYTES_MAX);
	event.cache_read_tokens = count_at(&counts, "cached_token_count");
	event.output_tokens = count_at(&counts, "output_token_count");
	event.reasoning_tokens = count_at(&counts, "reasoning_token_count");
	read_duration(&counts, &event);
	if (!time_of(log, &event.ts_ms) || counts.is_wrong || event.cache_read_tokens > input) {
		count_unreadable(t, "response.completed: a count or time that cannot be read");
		return;
	}
	event.input_tokens = input - event.cache_read_tokens;
	if (event.reasoning_tokens > event.output_tokens)
		event.reasoning_tokens = event.output_tokens;
	tl_wire_event_price(&event, t->rules->prices);
	make_id(t, "codex", tl_slice_of("", 0), &event, event.id);
	attribute(t, "codex", attributes, log->resource, &event);
	t->batch.events[t->batch.event_count++] = event;
}

/* The name stands in the body, the event's name or an attribute, with or without the agent's. */
static bool
is_claude_request(const struct otlp_log *log, struct tl_slice name)
{
	if (is_text(name, "claude_code.api_request") ||
		is_text(log->body, "claude_code.api_request") ||
		is_text(log->event_name, "claude_code.api_request"))
		return true;
	return is_text(name, "api_request") &&
	       is_text(text_at(log->resource, "service.name"), "claude-code");
}

static void
translate_log(struct translation *t, const struct otlp_log *log)
{
	struct tl_slice name = text_at(&log->attributes, "event.name");

	if (is_claude_request(log, name))
		claude_request(t, log);
	else if (is_text(name, "codex.sse_event") &&
		 is_text(text_at(&log->attributes, "event.kind"), "response.completed"))
		codex_response(t, log);
	else
		t->batch.ignored++;
}

static void
translate_point(struct translation *t, const struct otlp_point *point)
{
	struct tl_wire_event *event = &t->batch.events[t->batch.event_count];
	const char *problem;

	switch (activity_of(point, &t->key, event, &problem)) {
	case ACTIVITY_EVENT:
		event->session =
			fit(text_at(&point->attributes, "session.id"), TL_SESSION_BYTES_MAX);
		attribute(t, "claude_code", &point->attributes, point->resource, event);
		t->batch.event_count++;
		break;
	case ACTIVITY_IGNORED:
		t->batch.ignored++;
		break;
	case ACTIVITY_UNREADABLE:
		count_unreadable(t, problem);
		break;
	}
}

enum tl_err
producers_translate(const struct otlp_records *records, const struct producers_rules *rules,
	struct tl_arena *arena, struct producers_batch *batch_out)
{
	struct translation t = {.rules = rules};
	size_t count = (size_t)records->log_count + records->point_count;

	t.batch.events = tl_arena_array(arena, count, sizeof(*t.batch.events));
	if (t.batch.events == NULL)
		return TL_EFRAME_TOO_LARGE;
	tl_buf_init(&t.key, KEY_BYTES_MAX);
	for (uint32_t i = 0; i < records->log_count; i++)
		translate_log(&t, &records->logs[i]);
	for (uint32_t i = 0; i < records->point_count; i++)
		translate_point(&t, &records->points[i]);
	tl_buf_fini(&t.key);
	*batch_out = t.batch;
	return TL_OK;
}
