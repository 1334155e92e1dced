/*
 * The questions of bench/peers to tally, from C and over nng, as a gateway or a dashboard's server
 * asks them. A line on stdin is a question, "OP RANGE LIMIT" or "OP custom LIMIT FROM TO"; it goes
 * to every org in turn, and a line of JSON says how long that took and what the answers were:
 *
 *   {"p50_ms": 0.1, "p99_ms": 0.2, "orgs": [{"from": 1, "to": 2, "rows": [[3], [4]]}, ...]}
 *
 * from and to are the window of the reply. A row is a member's cost, tokens and requests, or a
 * repository's sessions. No question is asked twice in the same words: each reply is made for it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/options.h"
#include "bench/people.h"
#include "bench/question.h"
#include "bench/scratch.h"
#include "schema/net/req_client.h"
#include "schema/wire/frame.h"
#include "schema/wire/reader.h"

#define ANSWER_MS 30000
#define LINE_BYTES 256

struct settings {
	char tallyd[TL_CONF_STRING_BYTES];
	char data[TL_CONF_STRING_BYTES];
};

#define AT(field) offsetof(struct settings, field)

static const struct tl_conf_setting setting_table[] = {
	{"tallyd", TL_CONF_STRING, AT(tallyd), "build/release/tallyd", 0, 0, "the daemon"},
	{"data", TL_CONF_STRING, AT(data), "/tmp/tally-bench/data", 0, 0, "what ingest_bench left"},
};

struct bench {
	struct tl_req_client *client;
	struct tl_buf request, replies[WORKLOAD_ORGS];
	uint32_t asked; /* lines so far */
};

static bool
read_question(
	const char *line, char op[LINE_BYTES], char range[LINE_BYTES], struct question_ask *ask)
{
	int count = sscanf(line, "%s %s %" SCNu32 " %" SCNd64 " %" SCNd64, op, range, &ask->limit,
		&ask->from_ms, &ask->to_ms);

	ask->op = op;
	ask->range = range;
	return count == (strcmp(range, "custom") == 0 ? 5 : 3);
}

static int64_t
ask_org(struct bench *b, const struct question_ask *ask, struct tl_buf *reply)
{
	struct tl_why why = {0};
	int64_t begun_ns, ns;

	question_put(&b->request, ask, b->asked);
	tl_buf_reset(reply);
	begun_ns = measure_now_ns();
	if (tl_req_client_call(b->client, tl_buf_slice(&b->request), ANSWER_MS, reply, &why))
		measure_die("%s: %s", ask->op, why.text);
	ns = measure_now_ns() - begun_ns;
	if (tl_frame_reply_status(tl_buf_slice(reply), &why))
		measure_die("%s of %s was refused: %s", ask->op, ask->org, why.text);
	return ns;
}

static void
print_member(struct tl_slice member)
{
	printf("[%" PRId64 ",%" PRId64 ",%" PRId64 "]", tl_reader_find_int(member, "cost_nusd", 0),
		tl_reader_find_int(member, "tokens", 0), tl_reader_find_int(member, "requests", 0));
}

/* Members without usage follow those with it; other stores do not know them. */
static void
print_rows(struct tl_slice reply)
{
	struct tl_reader list;
	bool has_members = tl_reader_find(reply, "members", &list);
	uint32_t count, printed = 0;

	if (!has_members && !tl_reader_find(reply, "repos", &list))
		measure_die("a reply has neither members nor repositories");
	count = tl_read_array(&list);
	for (uint32_t i = 0; i < count; i++) {
		struct tl_slice row = tl_read_any(&list);

		if (has_members && tl_reader_find_int(row, "requests", 0) == 0)
			continue;
		if (printed++ > 0)
			putchar(',');
		if (has_members)
			print_member(row);
		else
			printf("[%" PRId64 "]", tl_reader_find_int(row, "sessions", 0));
	}
}

static void
print_org(struct tl_slice reply)
{
	struct tl_slice window = {0};
	struct tl_reader found;

	if (tl_reader_find(reply, "window", &found))
		window = tl_read_any(&found);
	printf("{\"from\":%" PRId64 ",\"to\":%" PRId64 ",\"rows\":[",
		tl_reader_find_int(window, "start_ms", 0), tl_reader_find_int(window, "end_ms", 0));
	print_rows(reply);
	printf("]}");
}

static void
run_line(struct bench *b, const char *line)
{
	struct question_ask ask = {.type = ASK_WINDOW};
	char op[LINE_BYTES], range[LINE_BYTES], org[PEOPLE_ORG_BYTES];
	struct measure_samples samples = {0};

	if (!read_question(line, op, range, &ask))
		measure_die("not a question: %s", line);
	for (uint32_t i = 0; i < WORKLOAD_ORGS; i++) {
		people_org_name(i, org);
		ask.org = org;
		measure_sample(&samples, ask_org(b, &ask, &b->replies[i]));
	}
	b->asked++;
	printf("{\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"orgs\":[",
		(double)measure_quantile_ns(&samples, 500000) / 1e6,
		(double)measure_quantile_ns(&samples, 990000) / 1e6);
	for (uint32_t i = 0; i < WORKLOAD_ORGS; i++) {
		if (i > 0)
			putchar(',');
		print_org(tl_buf_slice(&b->replies[i]));
	}
	printf("]}\n");
	fflush(stdout);
	measure_samples_fini(&samples);
}

int
main(int argc, char **argv)
{
	static const struct tl_conf_table conf = {.program = "ask_bench",
		.summary = "Asks every org of ingest_bench's data what stdin says.",
		.settings = setting_table,
		.setting_count = sizeof(setting_table) / sizeof(setting_table[0])};
	static struct bench b;
	char url[SCRATCH_URL_BYTES], line[LINE_BYTES];
	struct scratch scratch;
	struct settings s;
	struct tl_why why;

	options_read(&conf, argc, argv, &s);
	scratch_start(&scratch, s.tallyd, s.data);
	scratch_url(&scratch, SCRATCH_QUERY_CONTROL, url);
	if (tl_req_client_open(url, &b.client, &why))
		measure_die("%s", why.text);
	tl_buf_init(&b.request, 0);
	for (uint32_t i = 0; i < WORKLOAD_ORGS; i++)
		tl_buf_init(&b.replies[i], 0);
	while (fgets(line, sizeof(line), stdin) != NULL)
		run_line(&b, line);
	scratch_stop(&scratch);
	return 0;
}
