#include "deploy/cmd/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTIVE_SESSIONS 4
#define NAME_BYTES 96
#define MINUTE_MS 60000LL
#define HOUR_MS 3600000LL
#define DAY_MS 86400000LL

/* List prices in nano-dollars per token: input, output, cache read, cache write. */
static const struct {
	const char *name, *provider;
	int64_t input, output, cache_read, cache_write;
} model_table[] = {
	{"claude-opus-4-6", "anthropic", 5000, 25000, 500, 6250},
	{"claude-sonnet-4-5", "anthropic", 3000, 15000, 300, 3750},
	{"claude-haiku-4-5", "anthropic", 1000, 5000, 100, 1250},
	{"gpt-5.3-codex", "openai", 1250, 10000, 125, 1250},
	{"gpt-5-mini", "openai", 250, 2000, 25, 250},
	{"glm-4.6", "zai", 600, 2200, 110, 600},
};

static const char *const agent_table[] = {"claude_code", "codex", "opencode"};
static const char *const repo_table[] = {"api", "web", "mobile", "infra", "billing", "search",
	"docs", "design-system", "data-pipeline", "gateway", "auth", "cli"};

struct session {
	char id[40], email[NAME_BYTES], repo[NAME_BYTES];
	const char *agent;
	uint32_t model, small_model;
	int64_t requests_left, context_tokens, last_ms;
	int64_t pr; /* 0: none */
	bool is_open;
	bool links_late; /* repo and pull request become known at the end */
};

struct load_people {
	struct load_shape shape;
	uint64_t random;
	uint32_t gateway;
	uint64_t event_no, session_no;
	struct session sessions[ACTIVE_SESSIONS];
};

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t
next_random(struct load_people *people)
{
	uint64_t z = people->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static int64_t
below(struct load_people *people, int64_t bound)
{
	return bound > 0 ? (int64_t)(next_random(people) % (uint64_t)bound) : 0;
}

/* Mostly small, seldom large: the product of two draws. */
static int64_t
skewed(struct load_people *people, int64_t bound)
{
	return below(people, 1 + below(people, 1 + below(people, bound)));
}

struct load_people *
load_people_new(const struct load_shape *shape, uint32_t gateway)
{
	struct load_people *people = calloc(1, sizeof(*people));

	if (people == NULL)
		return NULL;
	people->shape = *shape;
	people->gateway = gateway;
	people->random = shape->seed * 0x2545f4914f6cdd1d + gateway;
	return people;
}

void
load_people_free(struct load_people *people)
{
	free(people);
}

uint32_t
load_activity(int64_t now_ms)
{
	int64_t hour = now_ms / HOUR_MS % 24;
	bool is_weekend = (now_ms / DAY_MS + 4) % 7 % 6 == 0; /* 1970-01-01 was a Thursday */
	uint32_t level = 60;

	if (hour >= 8 && hour < 18)
		level = 1000;
	else if (hour >= 6 && hour < 22)
		level = 420;
	return is_weekend ? level * 22 / 100 : level;
}

static void
session_open(struct load_people *people, struct session *session, int64_t now_ms)
{
	static const char *const first_names[] = {"ada", "grace", "linus", "barbara", "ken",
		"margaret", "dennis", "radia", "donald", "frances", "edsger", "joan", "tony",
		"lynn", "niklaus", "shafi"};
	int64_t person = skewed(people, people->shape.members);
	int64_t repo = skewed(people, people->shape.repos);
	int64_t kind = (person * 7 + (below(people, 10) == 0)) % 3;

	*session = (struct session){.is_open = true, .agent = agent_table[kind]};
	snprintf(session->id, sizeof(session->id), "%08" PRIx64 "-%04x-%012" PRIx64,
		people->shape.seed & 0xffffffff, people->gateway, people->session_no++);
	if (person < 16)
		snprintf(session->email, sizeof(session->email), "%s@acme.example",
			first_names[person]);
	else
		snprintf(session->email, sizeof(session->email), "%s%" PRId64 "@acme.example",
			first_names[person % 16], person / 16);
	if (below(people, 10) < 6)
		snprintf(session->repo, sizeof(session->repo), "github.com/acme/%s%.0" PRId64,
			repo_table[repo % 12], repo / 12);
	if (session->repo[0] != '\0' && below(people, 10) < 5)
		session->pr = 1 + now_ms / DAY_MS % 100 * 4 + below(people, 8);
	session->model = kind == 0 ? (uint32_t)below(people, 2) : kind == 1 ? 3 : 5;
	session->small_model = kind == 1 ? 4 : 2;
	session->links_late = below(people, 2) == 0;
	session->requests_left = 4 + skewed(people, 240);
	session->context_tokens = 20000 + below(people, 60000);
	session->last_ms = now_ms;
}

static enum tally_result
push_link(
	struct tally *tally, const struct session *session, enum tally_link link, const char *value)
{
	char id[64];

	snprintf(id, sizeof(id), "link-%s-%d", session->id, (int)link);
	return tally_push_link(tally, id, session->last_ms, session->id, link, value);
}

static enum tally_result
push_links(struct load_people *people, struct tally *tally, const struct session *session)
{
	enum tally_result result = TALLY_OK;
	char value[NAME_BYTES];

	if (session->repo[0] != '\0')
		result = push_link(tally, session, TALLY_SET_REPO, session->repo);
	if (result == TALLY_OK && session->pr != 0) {
		snprintf(value, sizeof(value), "#%" PRId64, session->pr);
		result = push_link(tally, session, TALLY_ADD_PR, value);
	}
	if (result == TALLY_OK && below(people, 3) == 0) {
		snprintf(value, sizeof(value), "work item %" PRId64, 100 + below(people, 900));
		result = push_link(tally, session, TALLY_SET_NAME, value);
	}
	return result;
}

/* Tokens and cost of one call in a session whose context grows. */
static void
fill_usage(struct load_people *people, struct session *session, struct tally_event *event)
{
	uint32_t model = below(people, 100) < 12 ? session->small_model : session->model;
	int64_t draw = below(people, 1000);

	event->model = model_table[model].name;
	event->provider = model_table[model].provider;
	event->input_tokens = 200 + skewed(people, 20000);
	event->status = draw < 970 ? 200 : draw < 985 ? 429 : 500;
	event->duration_ms = 300 + skewed(people, 40000);
	if (event->status != 200) {
		event->cost_nusd = 0;
		return;
	}
	event->output_tokens = 30 + skewed(people, 12000);
	event->cache_read_tokens = session->context_tokens;
	event->cache_write_tokens = event->input_tokens + event->output_tokens;
	event->cost_nusd = event->input_tokens * model_table[model].input +
			   event->output_tokens * model_table[model].output +
			   event->cache_read_tokens * model_table[model].cache_read +
			   event->cache_write_tokens * model_table[model].cache_write;
	if (below(people, 100) < 45) {
		event->saved_tokens = skewed(people, 6000);
		event->saved_nusd = event->saved_tokens * model_table[model].input;
	}
	session->context_tokens += event->input_tokens + event->output_tokens;
	if (session->context_tokens > 180000)
		session->context_tokens = 24000;
}

static enum tally_result
push_request(struct load_people *people, struct tally *tally, struct session *session,
	int64_t now_ms, struct tally_event *event)
{
	char id[64];
	enum tally_result result;

	snprintf(id, sizeof(id), "req-%08" PRIx64 "-%04x-%010" PRIx64,
		people->shape.seed & 0xffffffff, people->gateway, people->event_no++);
	event->id = id;
	event->ts_ms = now_ms;
	if (below(people, 100) < people->shape.late_percent)
		event->ts_ms -= 2 * HOUR_MS + below(people, 94 * HOUR_MS);
	event->email = session->email;
	event->agent = session->agent;
	event->session = session->id;
	result = tally_push(tally, event);
	if (result == TALLY_OK && below(people, 100) < people->shape.resend_percent)
		result = tally_push(tally, event);
	return result;
}

enum tally_result
load_people_step(struct load_people *people, struct tally *tally, int64_t now_ms)
{
	struct session *session = &people->sessions[below(people, ACTIVE_SESSIONS)];
	struct tally_event event = {0};
	enum tally_result result = TALLY_OK;

	/* Nobody goes on with a session after hours away from it. */
	if (session->is_open && now_ms - session->last_ms > 3 * HOUR_MS)
		session->requests_left = 0;
	if (!session->is_open || session->requests_left == 0) {
		if (session->is_open && session->links_late)
			result = push_links(people, tally, session);
		session_open(people, session, now_ms);
		if (result == TALLY_OK && !session->links_late)
			result = push_links(people, tally, session);
	}
	if (result != TALLY_OK)
		return result;
	session->requests_left--;
	session->last_ms = now_ms;
	fill_usage(people, session, &event);
	return push_request(people, tally, session, now_ms, &event);
}

enum tally_result
load_people_trace(struct load_people *people, struct tally *tally, const struct load_trace_row *row,
	int64_t ts_ms)
{
	struct session *session = &people->sessions[below(people, ACTIVE_SESSIONS)];
	struct tally_event event = {.model = model_table[0].name,
		.provider = model_table[0].provider,
		.input_tokens = row->input_tokens,
		.output_tokens = row->output_tokens};

	if (!session->is_open || session->requests_left == 0)
		session_open(people, session, ts_ms);
	session->requests_left--;
	session->last_ms = ts_ms;
	event.cost_nusd = row->input_tokens * model_table[0].input +
			  row->output_tokens * model_table[0].output;
	return push_request(people, tally, session, ts_ms, &event);
}
