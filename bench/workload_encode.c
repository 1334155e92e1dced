/* The events of a workload as numbers, and as messages. */
#include <stdio.h>
#include <string.h>

#include "bench/workload_private.h"
#include "schema/model/limits.h"
#include "schema/wire/event_wire.h"

#define DAY_MS 86400000LL

static const char *const agent_names[AGENT_COUNT] = {"claude_code", "codex", "opencode"};

/* Random to look at, and the same each time an event is sent. */
static void
event_id(const struct workload *w, uint32_t event, uint8_t id_out[16])
{
	uint64_t state = w->shape.seed ^ (uint64_t)event << 20;

	tl_put_be64(id_out, next_random(&state));
	tl_put_be64(id_out + 8, next_random(&state));
}

static void
fill_wire_event(const struct workload *w, const struct workload_keys *keys, uint32_t no,
	struct tl_wire_event *wire)
{
	const struct event *event = &w->events[no];
	const struct session *session = &w->sessions[event->session];
	const struct member *member = &w->members[session->member];

	*wire = (struct tl_wire_event){
		.ts_ms = event->ts_ms,
		.kind = TL_KIND_REQUEST,
		.session = tl_slice_str(session->text),
		.model = tl_slice_str(workload_models[event->model].name),
		.input_tokens = event->input,
		.output_tokens = event->output,
		.cache_read_tokens = event->cache_read,
		.cache_write_tokens = event->cache_write,
		.cost_nusd = event->cost_nusd,
		.saved_tokens = event->saved,
		.saved_nusd = event->saved * workload_models[event->model].input,
		.status = event->status,
		.duration_ms = TL_WIRE_ABSENT,
		.pr = event->pr,
	};
	if (keys != NULL) {
		wire->key = tl_slice_str(keys->key[session->member * AGENT_COUNT + session->agent]);
	} else {
		wire->member_hex = tl_slice_str(member->id);
		wire->agent = tl_slice_str(agent_names[session->agent]);
	}
	if (session->repo != NO_REPO)
		wire->repo = tl_slice_str(w->repos[session->repo]);
	event_id(w, no, wire->id);
}

void
workload_figures(const struct workload *w, struct workload_figures *figures_out)
{
	*figures_out = (struct workload_figures){.event_count = w->event_count,
		.resend_count = w->arrival_count - w->event_count,
		.session_count = w->session_count,
		.member_count = w->member_count,
		.repo_count = w->repo_count};
	for (uint32_t i = 0; i < w->event_count; i++)
		figures_out->cost_nusd += w->events[i].cost_nusd;
}

void
workload_row(const struct workload *w, uint32_t arrival, struct workload_row *row_out)
{
	uint32_t no = w->arrivals[arrival].event;
	const struct event *event = &w->events[no];
	const struct session *session = &w->sessions[event->session];

	*row_out = (struct workload_row){.ts_ms = event->ts_ms,
		.cost_nusd = event->cost_nusd,
		.org = w->members[session->member].org,
		.member = session->member,
		.agent = session->agent,
		.session = event->session,
		.model = event->model,
		.input = event->input,
		.output = event->output,
		.cache_read = event->cache_read,
		.cache_write = event->cache_write,
		.saved = event->saved,
		.repo = session->repo,
		.pr = event->pr,
		.status = event->status};
	event_id(w, no, row_out->id);
}

uint32_t
workload_org_of(const struct workload *w, uint32_t member)
{
	return w->members[member].org;
}

const char *
workload_agent_name(uint32_t agent)
{
	return agent_names[agent];
}

/* The message in memory of its own: a forked gateway reads it and changes nothing. */
static struct tl_slice
encode_batch(struct tl_buf *buf, enum workload_form form, const char *token, uint32_t no,
	const struct tl_wire_event *events, uint32_t event_count)
{
	char name[16];
	uint8_t *copy;

	snprintf(name, sizeof(name), "b%07u", no);
	tl_buf_reset(buf);
	if (form == WORKLOAD_ROWS)
		tl_batch_put_rows(
			buf, tl_slice_str(token), tl_slice_str(name), false, events, event_count);
	else
		tl_batch_put_maps(
			buf, tl_slice_str(token), tl_slice_str(name), false, events, event_count);
	if (buf->err)
		measure_die("no memory for a batch");
	copy = need(malloc(buf->bytes));
	memcpy(copy, buf->data, buf->bytes);
	return tl_slice_of(copy, buf->bytes);
}

void
workload_encode(const struct workload *workload, const char *token,
	const struct workload_keys *keys, const struct workload_cut *cut,
	struct workload_batches *batches_out)
{
	static struct tl_wire_event events[TL_BATCH_EVENTS_MAX];
	struct workload_batches made = {0};
	uint64_t random = workload->shape.seed;
	uint32_t end = workload->arrival_count;
	struct tl_buf buf;

	if (cut->count < end - cut->first)
		end = cut->first + cut->count;
	made.batch = need(calloc((end - cut->first) / cut->events_min + 1, sizeof(*made.batch)));
	tl_buf_init(&buf, 0);
	for (uint32_t next = cut->first; next < end;) {
		uint32_t spread = cut->events_max - cut->events_min + 1;
		uint32_t count = cut->events_min + (uint32_t)(next_random(&random) % spread);
		struct workload_batch *batch = &made.batch[made.count];

		count = count < end - next ? count : end - next;
		for (uint32_t i = 0; i < count; i++) {
			const struct arrival *arrival = &workload->arrivals[next + i];

			fill_wire_event(workload, keys, arrival->event, &events[i]);
			made.event_count += !arrival->is_resend;
		}
		batch->bytes = encode_batch(&buf, cut->form, token, made.count, events, count);
		batch->event_count = count;
		made.bytes += batch->bytes.bytes;
		made.sent_count += count;
		made.count++;
		next += count;
	}
	tl_buf_fini(&buf);
	*batches_out = made;
}

void
workload_batches_fini(struct workload_batches *batches)
{
	for (uint32_t i = 0; i < batches->count; i++)
		free((void *)batches->batch[i].bytes.data);
	free(batches->batch);
	*batches = (struct workload_batches){0};
}

void
workload_put_days(const struct workload_shape *shape, const char *token, struct tl_buf *buf)
{
	static struct tl_wire_event events[TL_RETENTION_DAYS];
	uint64_t random = shape->seed + 1;
	uint32_t count = 0;

	for (int64_t ts_ms = shape->first_ms; ts_ms < shape->end_ms + DAY_MS; ts_ms += DAY_MS) {
		struct tl_wire_event *event = &events[count++];

		*event = (struct tl_wire_event){
			.ts_ms = ts_ms < shape->end_ms ? ts_ms : shape->end_ms - 1,
			.kind = TL_KIND_REQUEST,
			.model = tl_slice_str(workload_models[0].name),
			.status = 200,
			.duration_ms = TL_WIRE_ABSENT,
		};
		tl_put_be64(event->id, next_random(&random));
		tl_put_be64(event->id + 8, next_random(&random));
	}
	tl_batch_put_rows(buf, tl_slice_str(token), tl_slice_str("days"), false, events, count);
}
