/*
 * Org o of W has 5 + 9,500 / (H o) members and 3 + 4,700 / (H o) repositories, H the sum of 1 / o
 * over all 100: 1,836 and 909 in the largest. An event is kept as numbers and becomes text only
 * while a batch is encoded.
 */
#include "bench/workload.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "schema/model/limits.h"
#include "schema/wire/event_wire.h"

#define AGENT_COUNT WORKLOAD_AGENTS
#define NO_REPO UINT32_MAX
#define SESSION_PRS_MAX 3u

#define SECOND_MS 1000LL
#define HOUR_MS 3600000LL
#define DAY_MS 86400000LL

#define MEMBER_SEED UINT64_C(20261120)

static const char *const agent_names[AGENT_COUNT] = {"claude_code", "codex", "opencode"};

/* Nano-dollars a token. */
static const struct {
	const char *name;
	int64_t input, output, cache_read, cache_write;
} models[] = {
	{"claude-opus-4-6", 15000, 75000, 1500, 18750},
	{"claude-sonnet-4-5", 3000, 15000, 300, 3750},
	{"claude-haiku-4-5", 1000, 5000, 100, 1250},
	{"gpt-5.3-codex", 1250, 10000, 125, 1250},
	{"gpt-5-mini", 250, 2000, 25, 250},
	{"qwen3-max", 2000, 8000, 500, 2000},
	{"glm-4.6", 600, 2200, 110, 600},
	{"deepseek-v3.2", 150, 600, 15, 150},
};

struct org {
	uint32_t repo_first, repo_count;
	int64_t offset_ms; /* where its office hours are */
};

struct member {
	char id[33];
	uint8_t org;
	uint8_t agent;
	double activity_below; /* sum of the activities up to this one */
};

struct session {
	char text[37];
	uint32_t member;
	uint32_t repo; /* NO_REPO: none */
	uint32_t pr[SESSION_PRS_MAX];
	uint8_t pr_count;
	uint8_t agent, model, small_model;
};

struct event {
	int64_t ts_ms;
	int64_t cost_nusd;
	uint32_t session;
	uint32_t input, output, cache_read, cache_write, saved;
	uint32_t pr; /* 0: none */
	uint16_t status;
	uint8_t model;
};

/* An event on its way; the second copy of one is a resend. */
struct arrival {
	int64_t at_ms;
	uint32_t event;
	bool is_resend;
};

struct workload {
	struct workload_shape shape;
	uint64_t random;
	struct org *orgs;
	struct member *members;
	uint32_t member_count, repo_count;
	char (*repos)[48];
	struct session *sessions;
	uint32_t session_count, session_capacity;
	struct event *events;
	uint32_t event_count;
	struct arrival *arrivals;
	uint32_t arrival_count;
};

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* In [0, 1). */
static double
uniform(struct workload *w)
{
	return (double)(next_random(&w->random) >> 11) * 0x1p-53;
}

static uint32_t
below(struct workload *w, uint32_t bound)
{
	return (uint32_t)(uniform(w) * bound);
}

static double
exponential(struct workload *w, double mean)
{
	return -mean * log(1 - uniform(w));
}

static uint32_t
lognormal(struct workload *w, double median, double deviation, double max)
{
	/* Box and Muller, one of the two. */
	double normal = sqrt(-2 * log(1 - uniform(w))) * cos(2 * M_PI * uniform(w));
	double value = median * exp(deviation * normal);

	return (uint32_t)(value < max ? value : max);
}

static void *
need(void *memory)
{
	if (memory == NULL)
		measure_die("no memory for the workload");
	return memory;
}

/* What org no of W has of a thing, by its share. */
static uint32_t
share_of(uint32_t no, uint32_t least, double rest)
{
	double harmonic = 0;

	for (uint32_t o = 1; o <= WORKLOAD_ORGS; o++)
		harmonic += 1.0 / o;
	return least + (uint32_t)(rest / (harmonic * (no + 1)));
}

static void
make_orgs(struct workload *w)
{
	static const int64_t offset_hours[] = {1, -8, -5, 0, 5, 9};
	uint32_t count = w->shape.org_count;

	w->orgs = need(calloc(count, sizeof(*w->orgs)));
	for (uint32_t i = 0; i < count; i++) {
		w->orgs[i] = (struct org){.repo_first = w->repo_count,
			.repo_count = share_of(i, 3, 4700),
			.offset_ms = offset_hours[i % 6] * HOUR_MS};
		w->repo_count += w->orgs[i].repo_count;
		w->member_count += share_of(i, 5, 9500);
	}
}

/* Ranks of activity, shuffled: the busiest is anybody, not the first. */
static uint32_t *
make_ranks(const struct workload *w, uint64_t *random)
{
	uint32_t *ranks = need(calloc(w->member_count, sizeof(*ranks)));

	for (uint32_t i = 0; i < w->member_count; i++)
		ranks[i] = i;
	for (uint32_t i = w->member_count - 1; i > 0; i--) {
		uint32_t other = (uint32_t)(next_random(random) % (i + 1));
		uint32_t kept = ranks[i];

		ranks[i] = ranks[other];
		ranks[other] = kept;
	}
	return ranks;
}

static void
make_members(struct workload *w)
{
	uint64_t random = MEMBER_SEED;
	uint32_t *ranks = make_ranks(w, &random);
	uint32_t org = 0, left = share_of(0, 5, 9500);
	double sum = 0;

	w->members = need(calloc(w->member_count, sizeof(*w->members)));
	for (uint32_t i = 0; i < w->member_count; i++, left--) {
		struct member *member = &w->members[i];
		uint64_t high = next_random(&random), low = next_random(&random);
		uint32_t draw = (uint32_t)(next_random(&random) % 10);

		if (left == 0)
			left = share_of(++org, 5, 9500);
		snprintf(member->id, sizeof(member->id), "%016" PRIx64 "%016" PRIx64, high, low);
		member->org = (uint8_t)org;
		member->agent = draw < 6 ? 0 : draw < 8 ? 1 : 2;
		sum += pow(ranks[i] + 20, -0.9);
		member->activity_below = sum;
	}
	free(ranks);
}

static void
make_repos(struct workload *w)
{
	w->repos = need(calloc(w->repo_count, sizeof(*w->repos)));
	for (uint32_t o = 0; o < w->shape.org_count; o++) {
		for (uint32_t i = 0; i < w->orgs[o].repo_count; i++)
			snprintf(w->repos[w->orgs[o].repo_first + i], sizeof(w->repos[0]),
				"github.com/org-%03u/service-%03u", o + 1, i);
	}
}

static uint32_t
pick_member(struct workload *w)
{
	double mark = uniform(w) * w->members[w->member_count - 1].activity_below;
	uint32_t low = 0, high = w->member_count - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (w->members[middle].activity_below > mark)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* How likely people begin to work then, 0 to 1. */
static double
start_weight(const struct workload *w, int64_t offset_ms, int64_t time_ms)
{
	int64_t local_ms = time_ms + offset_ms;
	int64_t hour = local_ms / HOUR_MS % 24;
	bool is_weekend = (local_ms / DAY_MS + 4) % 7 % 6 == 0; /* 1970-01-01 was a Thursday */
	double span_ms = (double)(w->shape.end_ms - w->shape.first_ms);
	double weight = 0.5 + 0.5 * (double)(time_ms - w->shape.first_ms) / span_ms;

	if (hour >= 18 && hour < 23)
		weight *= 0.45;
	else if (hour >= 7 && hour < 9)
		weight *= 0.4;
	else if (hour < 9 || hour >= 23)
		weight *= 0.06;
	return is_weekend ? weight * 0.22 : weight;
}

static int64_t
pick_start(struct workload *w, int64_t offset_ms)
{
	int64_t span_ms = w->shape.end_ms - w->shape.first_ms;
	int64_t time_ms;

	do {
		time_ms = w->shape.first_ms + (int64_t)(uniform(w) * (double)span_ms);
	} while (uniform(w) >= start_weight(w, offset_ms, time_ms));
	return time_ms;
}

static void
pick_models(struct workload *w, struct session *session)
{
	static const uint8_t small[AGENT_COUNT] = {2, 4, 7};

	session->small_model = small[session->agent];
	if (session->agent == 0)
		session->model = uniform(w) < 0.7 ? 1 : 0;
	else if (session->agent == 1)
		session->model = uniform(w) < 0.75 ? 3 : 4;
	else
		session->model = (uint8_t)(5 + below(w, 3));
}

static void
pick_work(struct workload *w, struct session *session, int64_t start_ms)
{
	double u = uniform(w), many;
	uint32_t day = (uint32_t)((start_ms - w->shape.first_ms) / DAY_MS);

	const struct org *org = &w->orgs[w->members[session->member].org];

	session->repo = NO_REPO;
	if (uniform(w) >= 0.6)
		return;
	session->repo = org->repo_first + (uint32_t)(u * u * u * org->repo_count);
	if (uniform(w) >= 0.4)
		return;
	many = uniform(w);
	session->pr_count = many < 0.85 ? 1 : many < 0.97 ? 2 : 3;
	for (uint32_t i = 0; i < session->pr_count; i++)
		session->pr[i] = 1 + 4 * day + below(w, 24);
}

static uint32_t
open_session(struct workload *w, uint32_t member, int64_t start_ms)
{
	struct session *session;
	uint64_t high = next_random(&w->random), low = next_random(&w->random);

	if (w->session_count == w->session_capacity) {
		w->session_capacity = w->session_capacity * 2 + 1024;
		w->sessions =
			need(realloc(w->sessions, w->session_capacity * sizeof(*w->sessions)));
	}
	session = &w->sessions[w->session_count];
	*session = (struct session){.member = member};
	snprintf(session->text, sizeof(session->text), "%08x-%04x-4%03x-a%03x-%012" PRIx64,
		(uint32_t)(high >> 32), (uint32_t)(high >> 16 & 0xffff), (uint32_t)(high & 0xfff),
		(uint32_t)(low >> 52), low & UINT64_C(0xffffffffffff));
	session->agent = uniform(w) < 0.88 ? w->members[session->member].agent
					   : (uint8_t)below(w, AGENT_COUNT);
	pick_models(w, session);
	pick_work(w, session, start_ms);
	return w->session_count++;
}

static uint16_t
pick_status(struct workload *w)
{
	double draw = uniform(w);

	return draw < 0.97 ? 200 : draw < 0.985 ? 429 : draw < 0.995 ? 500 : 499;
}

/* One call; the context it leaves behind is what the next one reads from the cache. */
static void
make_event(struct workload *w, struct event *event, int64_t *context)
{
	const struct session *session = &w->sessions[event->session];

	event->model = uniform(w) < 0.12 ? session->small_model : session->model;
	event->status = pick_status(w);
	event->input = lognormal(w, 600, 1.1, 60000);
	if (event->status != 200)
		return;
	event->output = 1 + lognormal(w, 260, 1.0, 32000);
	event->cache_read = (uint32_t)*context;
	if (uniform(w) < 0.8)
		event->cache_write = event->input + event->output;
	if (uniform(w) < 0.45)
		event->saved = lognormal(w, 900, 1.2, 80000);
	event->cost_nusd = event->input * models[event->model].input +
			   event->output * models[event->model].output +
			   event->cache_read * models[event->model].cache_read +
			   event->cache_write * models[event->model].cache_write;
	*context += event->input + event->output;
	if (*context > 180000)
		*context = 24000;
}

static void
add_arrival(struct workload *w, uint32_t event, int64_t at_ms, bool is_resend)
{
	w->arrivals[w->arrival_count++] =
		(struct arrival){.at_ms = at_ms, .event = event, .is_resend = is_resend};
}

static void
send_event(struct workload *w, uint32_t event)
{
	int64_t at_ms = w->events[event].ts_ms + 200 + (int64_t)exponential(w, 1500);

	if (uniform(w) < 0.02)
		at_ms += (int64_t)((double)(2 * HOUR_MS) * pow(48, uniform(w))); /* to 4 days */
	add_arrival(w, event, at_ms, false);
	if (event % 100 != 0)
		return;
	if (uniform(w) < 0.9)
		at_ms += SECOND_MS + (int64_t)exponential(w, 30000);
	else
		at_ms += SECOND_MS + (int64_t)(uniform(w) * (double)DAY_MS);
	add_arrival(w, event, at_ms, true);
}

static void
make_session(struct workload *w)
{
	uint32_t member = pick_member(w);
	int64_t time_ms = pick_start(w, w->orgs[w->members[member].org].offset_ms);
	uint32_t no = open_session(w, member, time_ms);
	uint32_t length = 1 + (uint32_t)exponential(w, 39);
	int64_t context = 12000 + (int64_t)exponential(w, 9000);

	for (uint32_t i = 0; i < length && w->event_count < w->shape.event_count; i++) {
		const struct session *session = &w->sessions[no];
		struct event *event = &w->events[w->event_count];

		if (time_ms >= w->shape.end_ms)
			return;
		*event = (struct event){.ts_ms = time_ms, .session = no};
		if (session->pr_count > 0)
			event->pr = session->pr[i * session->pr_count / length];
		make_event(w, event, &context);
		send_event(w, w->event_count++);
		time_ms += 800 + (int64_t)exponential(w, 38000);
	}
}

static int
compare_arrivals(const void *a, const void *b)
{
	const struct arrival *left = a, *right = b;

	if (left->at_ms != right->at_ms)
		return left->at_ms < right->at_ms ? -1 : 1;
	return (left->event > right->event) - (left->event < right->event);
}

struct workload *
workload_new(const struct workload_shape *shape)
{
	struct workload *w = need(calloc(1, sizeof(*w)));

	w->shape = *shape;
	w->random = shape->seed;
	w->events = need(malloc((shape->event_count + 1) * sizeof(*w->events)));
	w->arrivals = need(
		malloc((shape->event_count + shape->event_count / 100 + 2) * sizeof(*w->arrivals)));
	make_orgs(w);
	make_members(w);
	make_repos(w);
	while (w->event_count < shape->event_count)
		make_session(w);
	qsort(w->arrivals, w->arrival_count, sizeof(*w->arrivals), compare_arrivals);
	return w;
}

void
workload_free(struct workload *workload)
{
	if (workload == NULL)
		return;
	free(workload->orgs);
	free(workload->members);
	free(workload->repos);
	free(workload->sessions);
	free(workload->events);
	free(workload->arrivals);
	free(workload);
}

uint32_t
workload_sent_count(const struct workload *workload)
{
	return workload->arrival_count;
}

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
		.model = tl_slice_str(models[event->model].name),
		.input_tokens = event->input,
		.output_tokens = event->output,
		.cache_read_tokens = event->cache_read,
		.cache_write_tokens = event->cache_write,
		.cost_nusd = event->cost_nusd,
		.saved_tokens = event->saved,
		.saved_nusd = event->saved * models[event->model].input,
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
			.model = tl_slice_str(models[0].name),
			.status = 200,
			.duration_ms = TL_WIRE_ABSENT,
		};
		tl_put_be64(event->id, next_random(&random));
		tl_put_be64(event->id + 8, next_random(&random));
	}
	tl_batch_put_rows(buf, tl_slice_str(token), tl_slice_str("days"), false, events, count);
}
