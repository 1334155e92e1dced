/*
 * Org o of W has 5 + 9,500 / (H o) members and 3 + 4,700 / (H o) repositories, H the sum of 1 / o
 * over all 100: 1,836 and 909 in the largest. An event is kept as numbers and becomes text only
 * while a batch is encoded.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/workload_private.h"

#define SECOND_MS 1000LL
#define HOUR_MS 3600000LL
#define DAY_MS 86400000LL

#define MEMBER_SEED UINT64_C(20261120)

const struct workload_model workload_models[MODEL_COUNT] = {
	{"claude-opus-4-6", 15000, 75000, 1500, 18750},
	{"claude-sonnet-4-5", 3000, 15000, 300, 3750},
	{"claude-haiku-4-5", 1000, 5000, 100, 1250},
	{"gpt-5.3-codex", 1250, 10000, 125, 1250},
	{"gpt-5-mini", 250, 2000, 25, 250},
	{"qwen3-max", 2000, 8000, 500, 2000},
	{"glm-4.6", 600, 2200, 110, 600},
	{"deepseek-v3.2", 150, 600, 15, 150},
};

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
	event->cost_nusd = event->input * workload_models[event->model].input +
			   event->output * workload_models[event->model].output +
			   event->cache_read * workload_models[event->model].cache_read +
			   event->cache_write * workload_models[event->model].cache_write;
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
