#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ingest/client/kept.h"
#include "ingest/client/tally.h"
#include "schema/base/crypt.h"
#include "schema/base/file.h"
#include "tests/unit/client_scratch.h"
#include "tests/unit/client_fake_server.h"

#define LONG_MS 120000 /* a wait that ends by an event, or the test has failed */
#define NEVER_MS 3600000

static char url[128];

static int64_t
now_ms(void)
{
	return tl_clock_wall_ms(tl_clock_system());
}

/*
 * A port that nobody listens on: servers of a test come and go on it. Not ipc, because one peer
 * that goes away while nng 1.5.2 negotiates with it ends an ipc listener for good.
 */
static int
set_up(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(tl_crypt_init(), TL_OK);
	assert_int_equal(scratch_make(state), 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
	close(fd);
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%u", ntohs(address.sin_port));
	return 0;
}

static struct tally *
opened(struct tally_options options)
{
	struct tally *tally = NULL;

	options.url = options.url != NULL ? options.url : url;
	options.token = "tally_gw_test";
	if (tally_open(&options, &tally) != TALLY_OK)
		fail_msg("open: %s", tally_error());
	return tally;
}

static const char *
id_of(uint64_t event_no)
{
	static _Thread_local char id[32];

	snprintf(id, sizeof(id), "event-%08" PRIu64, event_no);
	return id;
}

static enum tally_result
push_try(struct tally *tally, uint64_t event_no)
{
	return tally_push(tally, &(struct tally_event){.id = id_of(event_no),
					 .ts_ms = now_ms(),
					 .key = "tally_ca_ab12cd34",
					 .session = "session-1",
					 .provider = "anthropic",
					 .model = "claude-sonnet-4-5",
					 .input_tokens = 1000,
					 .output_tokens = 200,
					 .cost_nusd = (int64_t)event_no});
}

static void
push(struct tally *tally, uint64_t first_no, uint64_t end_no)
{
	for (uint64_t i = first_no; i < end_no; i++) {
		if (push_try(tally, i) != TALLY_OK)
			fail_msg("push: %s", tally_error());
	}
}

static void
push_wrong(struct tally *tally, const char *id)
{
	assert_int_equal(tally_push(tally,
				 &(struct tally_event){
					 .id = id, .ts_ms = now_ms(), .model = FAKE_WRONG_MODEL}),
		TALLY_OK);
}

static void
assert_flushed(struct tally *tally)
{
	struct tally_stats stats;

	if (tally_flush(tally, LONG_MS) != TALLY_OK)
		fail_msg("flush: %s", tally_error());
	tally_stats(tally, &stats);
	assert_int_equal(stats.pending, 0);
}

/* The server has these events and no others. */
static void
assert_stored(struct fake *fake, uint64_t first_no, uint64_t end_no)
{
	for (uint64_t i = first_no; i < end_no; i++) {
		if (!fake_has(fake, id_of(i)))
			fail_msg("%s is missing", id_of(i));
	}
	assert_int_equal(fake_stored(fake), end_no - first_no);
}

static void
close_all(struct tally *tally, struct fake *fake)
{
	if (tally_close(tally, LONG_MS) != TALLY_OK)
		fail_msg("close: %s", tally_error());
	fake_free(fake);
}

/* What on_refused was told. */
struct refusals {
	unsigned count;
	char code[64];
	char field[64];
	struct tally *push_to; /* a replacement is pushed from the callback */
};

static void
refusal_note(void *arg, const char *code, const char *field)
{
	struct refusals *refusals = arg;

	refusals->count++;
	snprintf(refusals->code, sizeof(refusals->code), "%s", code);
	snprintf(refusals->field, sizeof(refusals->field), "%s", field);
	if (refusals->push_to != NULL)
		push(refusals->push_to, 900 + refusals->count, 901 + refusals->count);
}

/* Pushes and what arrives */

struct pusher {
	pthread_t thread;
	struct tally *tally;
	uint64_t first_no;
};

#define PUSHERS 4
#define PUSHER_EVENTS 2500

static void *
pusher_run(void *arg)
{
	struct pusher *pusher = arg;

	push(pusher->tally, pusher->first_no, pusher->first_no + PUSHER_EVENTS);
	return NULL;
}

static void
every_event_of_several_threads_arrives(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct pusher pushers[PUSHERS];
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_events = 300});
	for (int i = 0; i < PUSHERS; i++) {
		pushers[i] =
			(struct pusher){.tally = tally, .first_no = (uint64_t)i * PUSHER_EVENTS};
		assert_int_equal(
			pthread_create(&pushers[i].thread, NULL, pusher_run, &pushers[i]), 0);
	}
	for (int i = 0; i < PUSHERS; i++)
		pthread_join(pushers[i].thread, NULL);
	assert_flushed(tally);
	assert_stored(fake, 0, PUSHERS * PUSHER_EVENTS);
	tally_stats(tally, &stats);
	assert_int_equal(stats.pushed, PUSHERS * PUSHER_EVENTS);
	assert_int_equal(stats.accepted, PUSHERS * PUSHER_EVENTS);
	assert_int_equal(stats.duplicate + stats.replaced + stats.rejected, 0);
	assert_int_equal(stats.seq, PUSHERS * PUSHER_EVENTS);
	assert_string_equal(fake_noted(fake)->token, "tally_gw_test");
	close_all(tally, fake);
}

static void
ipc_works_too(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally *tally;
	char ipc_url[128];

	(void)state;
	snprintf(ipc_url, sizeof(ipc_url), "ipc://%s/socket", scratch);
	fake_start(fake, ipc_url);
	tally = opened((struct tally_options){.url = ipc_url});
	push(tally, 0, 10);
	assert_flushed(tally);
	assert_stored(fake, 0, 10);
	close_all(tally, fake);
}

static void
every_field_arrives_as_it_was_given(void **state)
{
	struct fake *fake = fake_new(NULL);
	int64_t ts_ms = now_ms();
	uint8_t id[16];
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){0});
	assert_int_equal(tally_push(tally, &(struct tally_event){.id = "msg_01ABC",
						   .ts_ms = ts_ms,
						   .email = " Ada@Example.com",
						   .agent = "codex",
						   .session = "s-1",
						   .provider = "openai",
						   .model = "gpt-5",
						   .input_tokens = 1,
						   .cache_read_tokens = 2,
						   .cache_write_tokens = 4,
						   .cache_write_1h_tokens = 3,
						   .output_tokens = 6,
						   .reasoning_tokens = 5,
						   .cost_nusd = 7,
						   .saved_tokens = 8,
						   .saved_nusd = 9,
						   .status = 529,
						   .duration_ms = 10,
						   .repo = "git@github.com:Acme/API.git",
						   .pr = 11,
						   .branch = "feature/x",
						   .commit = "0123456789ABCDEF",
						   .is_plan = 1,
						   .rev = 12}),
		TALLY_OK);
	assert_flushed(tally);
	assert_true(tl_event_id_from_text(tl_slice_str("msg_01ABC"), id));
	assert_memory_equal(fake_noted(fake)->last_id, id, sizeof(id));
	assert_int_equal(fake_noted(fake)->last[TL_COL_TS], ts_ms);
	assert_int_equal(fake_noted(fake)->last[TL_COL_KIND], TL_KIND_REQUEST);
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_EMAIL], "ada@example.com");
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_AGENT_TYPE], "codex");
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_SESSION], "s-1");
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_PROVIDER], "openai");
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_MODEL], "gpt-5");
	assert_int_equal(fake_noted(fake)->last[TL_COL_INPUT], 1);
	assert_int_equal(fake_noted(fake)->last[TL_COL_CACHE_READ], 2);
	assert_int_equal(fake_noted(fake)->last[TL_COL_CACHE_WRITE], 4);
	assert_int_equal(fake_noted(fake)->last[TL_COL_CACHE_WRITE_1H], 3);
	assert_int_equal(fake_noted(fake)->last[TL_COL_OUTPUT], 6);
	assert_int_equal(fake_noted(fake)->last[TL_COL_REASONING], 5);
	assert_int_equal(fake_noted(fake)->last[TL_COL_COST], 7);
	assert_int_equal(fake_noted(fake)->last[TL_COL_SAVED_TOKENS], 8);
	assert_int_equal(fake_noted(fake)->last[TL_COL_SAVED_NUSD], 9);
	assert_int_equal(fake_noted(fake)->last[TL_COL_STATUS], 529);
	assert_int_equal(fake_noted(fake)->last[TL_COL_DURATION], 10);
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_REPO], "github.com/acme/api");
	assert_int_equal(fake_noted(fake)->last[TL_COL_PR], 11);
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_BRANCH], "feature/x");
	assert_string_equal(fake_noted(fake)->last_text[TL_COL_COMMIT], "0123456789abcdef");
	assert_int_equal(fake_noted(fake)->last[TL_COL_BILLING], TL_BILLING_PLAN);
	assert_int_equal(fake_noted(fake)->last[TL_COL_REV], 12);
	close_all(tally, fake);
}

static void
what_is_not_stated_arrives_as_unknown(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){0});
	assert_int_equal(tally_push(tally, &(struct tally_event){.id = "msg_01ABC",
						   .ts_ms = now_ms(),
						   .email = "",
						   .model = "gpt-5",
						   .cost_nusd = TALLY_UNKNOWN,
						   .duration_ms = TALLY_UNKNOWN}),
		TALLY_OK);
	assert_flushed(tally);
	assert_int_equal(fake_noted(fake)->last[TL_COL_COST], -1);
	assert_int_equal(fake_noted(fake)->last[TL_COL_DURATION], -1);
	assert_int_equal(fake_noted(fake)->last[TL_COL_STATUS], 200);
	assert_int_equal(fake_noted(fake)->last[TL_COL_EMAIL], 0);
	assert_int_equal(fake_noted(fake)->last[TL_COL_BILLING], TL_BILLING_API);

	/* A zeroed cost is a cost of zero, which is not the same. */
	assert_int_equal(tally_push(tally,
				 &(struct tally_event){
					 .id = "msg_02ABC", .ts_ms = now_ms(), .model = "gpt-5"}),
		TALLY_OK);
	assert_flushed(tally);
	assert_int_equal(fake_noted(fake)->last[TL_COL_COST], 0);
	assert_int_equal(fake_noted(fake)->last[TL_COL_DURATION], -1);
	close_all(tally, fake);
}

static const struct {
	enum tally_link link;
	const char *value;
	enum tl_link_op op;
	const char *arrives;
} links[] = {
	{TALLY_SET_REPO, "https://github.com/Acme/api.git", TL_LINK_SET_REPO,
		"github.com/acme/api"},
	{TALLY_ADD_PR, "https://github.com/acme/api/pull/7", TL_LINK_ADD_PR,
		"github.com/acme/api#7"},
	{TALLY_ADD_PR, "#7", TL_LINK_ADD_PR, "#7"},
	{TALLY_ADD_COMMIT, "ABCDEF1", TL_LINK_ADD_COMMIT, "abcdef1"},
	{TALLY_SET_NAME, "Fix the parser", TL_LINK_SET_NAME, "Fix the parser"},
};

static void
links_arrive(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){0});
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		assert_int_equal(tally_push_link(tally, id_of(i), now_ms(), "s-1", links[i].link,
					 links[i].value),
			TALLY_OK);
		assert_flushed(tally);
		assert_int_equal(fake_noted(fake)->last[TL_COL_KIND], TL_KIND_LINK);
		assert_int_equal(fake_noted(fake)->last[TL_COL_LINK_OP], links[i].op);
		assert_string_equal(fake_noted(fake)->last_text[TL_COL_VALUE], links[i].arrives);
		assert_string_equal(fake_noted(fake)->last_text[TL_COL_SESSION], "s-1");
	}
	tally_stats(tally, &stats);
	assert_int_equal(stats.pushed, sizeof(links) / sizeof(links[0]));
	close_all(tally, fake);
}

/* The largest values that are taken, a thousand times: the frame has room for them. */
static void
the_largest_events_fit(void **state)
{
	static char text[8][1025];
	struct fake *fake = fake_new(NULL);
	struct tally_event event = {.input_tokens = TL_TOKENS_MAX,
		.cache_read_tokens = TL_TOKENS_MAX,
		.cache_write_tokens = TL_TOKENS_MAX,
		.cache_write_1h_tokens = TL_TOKENS_MAX,
		.output_tokens = TL_TOKENS_MAX,
		.reasoning_tokens = TL_TOKENS_MAX,
		.cost_nusd = TL_COST_NUSD_MAX,
		.saved_tokens = TL_TOKENS_MAX,
		.saved_nusd = TL_COST_NUSD_MAX,
		.status = TL_STATUS_MAX,
		.duration_ms = TL_DURATION_MS_MAX,
		.pr = TL_PR_MAX,
		.is_plan = 1,
		.rev = TL_REV_MAX};
	static const size_t bytes[8] = {TL_NAME_BYTES_MAX, TL_AGENT_TYPE_BYTES_MAX,
		TL_SESSION_BYTES_MAX, TL_PROVIDER_BYTES_MAX, TL_MODEL_BYTES_MAX, 1024,
		TL_BRANCH_BYTES_MAX, TL_COMMIT_BYTES_MAX};
	struct tally *tally;

	(void)state;
	for (int i = 0; i < 8; i++)
		memset(text[i], 'a', bytes[i]);
	event.key = text[0];
	event.agent = text[1];
	event.session = text[2];
	event.provider = text[3];
	event.model = text[4];
	event.repo = text[5];
	event.branch = text[6];
	event.commit = text[7];
	event.ts_ms = now_ms();
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_bytes = 1000000, .batch_ms = NEVER_MS});
	for (uint64_t i = 0; i < 1000; i++) {
		event.id = id_of(i);
		if (tally_push(tally, &event) != TALLY_OK)
			fail_msg("%s", tally_error());
	}
	assert_flushed(tally);
	assert_stored(fake, 0, 1000);
	assert_true(fake_noted(fake)->request_count > 1);
	close_all(tally, fake);
}

static void
a_batch_closes_at_its_bounds(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_events = 10, .batch_ms = NEVER_MS});
	push(tally, 0, 25);
	fake_wait(fake, &fake->notes.event_count, 20);
	assert_int_equal(fake_noted(fake)->event_count, 20);
	assert_flushed(tally);
	assert_int_equal(fake_noted(fake)->request_count, 3);
	assert_int_equal(tally_close(tally, LONG_MS), TALLY_OK);

	tally = opened((struct tally_options){.batch_bytes = 2000, .batch_ms = NEVER_MS});
	push(tally, 100, 200);
	fake_wait(fake, &fake->notes.request_count, 6);
	assert_int_equal(tally_close(tally, LONG_MS), TALLY_OK);

	tally = opened((struct tally_options){.batch_ms = 1});
	push(tally, 300, 301);
	fake_wait(fake, &fake->notes.event_count, 126);
	close_all(tally, fake);
}

/* What goes wrong on the way */

static enum fake_plan
lose_acks(uint64_t request_no)
{
	return request_no < 3 || request_no % 3 == 0 ? FAKE_LOSE_ACK : FAKE_ANSWER;
}

static enum fake_plan
lose_requests(uint64_t request_no)
{
	return request_no < 3 || request_no % 3 == 0 ? FAKE_LOSE_REQUEST : FAKE_ANSWER;
}

static void
losses(enum fake_plan (*plan)(uint64_t), uint64_t duplicates_min)
{
	struct fake *fake = fake_new(plan);
	struct tally_stats stats;
	struct tally *tally;

	fake_start(fake, url);
	tally = opened((struct tally_options){
		.batch_events = 50, .ack_timeout_ms = 50, .spool_dir = at("spool")});
	push(tally, 0, 1000);
	assert_flushed(tally);
	assert_stored(fake, 0, 1000);
	tally_stats(tally, &stats);
	assert_int_equal(stats.accepted + stats.duplicate, 1000);
	assert_true(stats.duplicate >= duplicates_min);
	assert_true(stats.resent >= 3);
	assert_int_equal(files_in("spool"), 0);
	close_all(tally, fake);
}

static void
a_lost_ack_is_asked_for_again(void **state)
{
	(void)state;
	losses(lose_acks, 50);
}

static void
a_lost_request_is_sent_again(void **state)
{
	(void)state;
	losses(lose_requests, 0);
}

static enum fake_plan
lose_first_ack(uint64_t request_no)
{
	return request_no == 0 ? FAKE_LOSE_ACK : FAKE_ANSWER;
}

static void
the_same_bytes_are_sent_again(void **state)
{
	struct fake *fake = fake_new(lose_first_ack);
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS, .ack_timeout_ms = 20});
	push(tally, 0, 5);
	assert_flushed(tally);
	assert_true(fake_noted(fake)->request_count >= 2);
	assert_true(fake_noted(fake)->batch_hash[0] == fake_noted(fake)->batch_hash[1]);
	assert_string_equal(fake_noted(fake)->batch_name[0], fake_noted(fake)->batch_name[1]);
	close_all(tally, fake);
}

static enum fake_plan
busy_at_first(uint64_t request_no)
{
	return request_no < 2 ? FAKE_OVERLOADED : FAKE_ANSWER;
}

static void
a_busy_server_is_given_its_time(void **state)
{
	struct fake *fake = fake_new(busy_at_first);
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS});
	push(tally, 0, 5);
	assert_flushed(tally);
	assert_int_equal(fake_noted(fake)->request_count, 3);
	assert_true(fake_noted(fake)->arrived_us[1] - fake_noted(fake)->arrived_us[0] >=
		    FAKE_RETRY_AFTER_MS * 1000);
	assert_true(fake_noted(fake)->arrived_us[2] - fake_noted(fake)->arrived_us[1] >=
		    FAKE_RETRY_AFTER_MS * 1000);
	tally_stats(tally, &stats);
	assert_int_equal(stats.accepted, 5);
	assert_int_equal(stats.resent, 1); /* one batch, however often */
	close_all(tally, fake);
}

static enum fake_plan
starts_then_garbage(uint64_t request_no)
{
	static const enum fake_plan plans[] = {
		FAKE_STARTING, FAKE_GARBAGE, FAKE_NEW_CODE_AFTER, FAKE_GARBAGE};

	return request_no < 4 ? plans[request_no] : FAKE_ANSWER;
}

static void
anything_short_of_an_answer_is_tried_again(void **state)
{
	struct fake *fake = fake_new(starts_then_garbage);
	struct refusals refusals = {0};
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){
		.batch_ms = NEVER_MS, .on_refused = refusal_note, .arg = &refusals});
	push(tally, 0, 5);
	assert_flushed(tally);
	assert_int_equal(fake_noted(fake)->request_count, 5);
	assert_stored(fake, 0, 5);
	assert_int_equal(refusals.count, 0);
	close_all(tally, fake);
}

static void
a_server_that_comes_late_or_goes_and_comes_back(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally *tally;

	(void)state;
	tally = opened((struct tally_options){
		.batch_events = 10, .ack_timeout_ms = 100, .spool_dir = at("spool")});
	push(tally, 0, 100);
	fake_start(fake, url);
	assert_flushed(tally);
	for (uint64_t i = 1; i < 4; i++) {
		fake_stop(fake);
		push(tally, i * 100, i * 100 + 100);
		fake_start(fake, url);
		assert_flushed(tally);
	}
	assert_stored(fake, 0, 400);
	close_all(tally, fake);
}

/* What is refused for good */

static void
refused_events_are_told_and_kept(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct refusals refusals = {0};
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS,
		.spool_dir = at("spool"),
		.on_refused = refusal_note,
		.arg = &refusals});
	push(tally, 0, 5);
	push_wrong(tally, "wrong-event-1");
	push_wrong(tally, "wrong-event-2");
	push(tally, 5, 10);
	assert_flushed(tally);
	assert_stored(fake, 0, 10);
	assert_int_equal(refusals.count, 2);
	assert_string_equal(refusals.code, "time_too_old");
	assert_string_equal(refusals.field, "ts");
	tally_stats(tally, &stats);
	assert_int_equal(stats.accepted, 10);
	assert_int_equal(stats.rejected, 2);
	assert_int_equal(files_in("spool"), 0);
	assert_int_equal(files_in("spool/refused"), 2); /* the batch and the reply */

	/* A batch without a refused event leaves nothing behind. */
	push(tally, 10, 20);
	assert_flushed(tally);
	assert_int_equal(files_in("spool/refused"), 2);
	close_all(tally, fake);
}

static enum fake_plan
refuse_first(uint64_t request_no)
{
	return request_no == 0 ? FAKE_REFUSE : FAKE_ANSWER;
}

static void
a_refused_batch_is_told_kept_and_not_sent_again(void **state)
{
	struct fake *fake = fake_new(refuse_first);
	struct refusals refusals = {0};
	struct tally_stats stats;
	struct tl_buf reply;
	struct tl_why why;
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS,
		.spool_dir = at("spool"),
		.on_refused = refusal_note,
		.arg = &refusals});
	push(tally, 0, 7);
	assert_flushed(tally);
	assert_int_equal(fake_noted(fake)->request_count, 1);
	assert_int_equal(refusals.count, 7);
	assert_string_equal(refusals.code, "unauthenticated");
	assert_string_equal(refusals.field, "token");
	tally_stats(tally, &stats);
	assert_int_equal(stats.accepted, 0);
	assert_int_equal(stats.rejected, 7);
	assert_int_equal(files_in("spool"), 0);
	tl_buf_init(&reply, 0);
	assert_int_equal(
		tl_file_read(at("spool/refused/0000000000000001.reply"), &reply, NULL), TL_OK);
	assert_int_equal(tl_frame_reply_status(tl_buf_slice(&reply), &why), TL_EUNAUTHENTICATED);
	tl_buf_fini(&reply);

	push(tally, 7, 10);
	assert_flushed(tally);
	assert_stored(fake, 7, 10);
	close_all(tally, fake);
}

static enum fake_plan
never_first(uint64_t request_no)
{
	return request_no == 0 ? FAKE_NEW_CODE_NEVER : FAKE_ANSWER;
}

static void
a_code_of_a_newer_server_says_itself_what_to_do(void **state)
{
	struct fake *fake = fake_new(never_first);
	struct refusals refusals = {0};
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){
		.batch_ms = NEVER_MS, .on_refused = refusal_note, .arg = &refusals});
	push(tally, 0, 3);
	assert_flushed(tally);
	assert_int_equal(refusals.count, 3);
	assert_string_equal(refusals.code, "moon_in_the_way");
	assert_int_equal(fake_noted(fake)->request_count, 1);
	close_all(tally, fake);
}

static void
what_is_told_of_a_refusal_may_push(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct refusals refusals = {0};
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.on_refused = refusal_note, .arg = &refusals});
	refusals.push_to = tally;
	push_wrong(tally, "wrong-event-1");
	assert_int_equal(tally_flush(tally, LONG_MS), TALLY_OK);
	assert_flushed(tally);
	assert_stored(fake, 901, 902);
	close_all(tally, fake);
}

/* Bounds and waiting */

static enum fake_plan
hold(uint64_t request_no)
{
	(void)request_no;
	return FAKE_HOLD;
}

static void
a_full_backlog_refuses_and_recovers(void **state)
{
	struct fake *fake = fake_new(hold);
	struct tally *tally;
	struct tally_stats stats;
	enum tally_result result;
	uint64_t taken = 0;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){
		.batch_events = 20, .backlog_bytes = 100000, .spool_dir = at("spool")});
	while ((result = push_try(tally, taken)) == TALLY_OK)
		taken++;
	assert_int_equal(result, TALLY_FULL);
	assert_non_null(strstr(tally_error(), "backlog_bytes"));
	assert_non_null(strstr(tally_error(), "100000"));
	assert_true(taken > 20);
	tally_stats(tally, &stats);
	assert_int_equal(stats.pushed, taken);
	assert_int_equal(stats.pending, taken);
	fake_release(fake);
	assert_flushed(tally);
	assert_stored(fake, 0, taken);
	push(tally, taken, taken + 30);
	assert_flushed(tally);
	assert_stored(fake, 0, taken + 30);
	close_all(tally, fake);
}

static void
a_flush_says_that_it_was_late(void **state)
{
	struct fake *fake = fake_new(hold);
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS});
	assert_int_equal(tally_flush(tally, 0), TALLY_OK); /* nothing to wait for */
	push(tally, 0, 5);
	assert_int_equal(tally_flush(tally, 1), TALLY_TIMEOUT);
	assert_non_null(strstr(tally_error(), "5 events"));
	assert_int_equal(tally_flush(tally, -5), TALLY_TIMEOUT);
	fake_wait(fake, &fake->notes.request_count, 1);
	tally_stats(tally, &stats);
	assert_int_equal(stats.pending, 5);
	fake_release(fake);
	assert_flushed(tally);
	close_all(tally, fake);
}

static void *
flush_run(void *arg)
{
	return tally_flush(arg, LONG_MS) == TALLY_OK ? arg : NULL;
}

static void
a_flush_waits_only_for_what_was_pushed_before(void **state)
{
	struct fake *fake = fake_new(hold);
	struct tally_stats stats;
	struct tally *tally;
	pthread_t thread;
	void *flushed;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS});
	push(tally, 0, 5);
	assert_int_equal(pthread_create(&thread, NULL, flush_run, tally), 0);
	fake_wait(fake, &fake->notes.request_count, 1);
	push(tally, 5, 10);
	fake_release(fake);
	pthread_join(thread, &flushed);
	assert_ptr_equal(flushed, tally);
	tally_stats(tally, &stats);
	assert_int_equal(stats.pending, 5);
	close_all(tally, fake);
}

static void
no_more_than_in_flight_are_sent_at_once(void **state)
{
	struct fake *fake = fake_new(hold);
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_events = 1, .in_flight = 3});
	push(tally, 0, 20);
	fake_wait(fake, &fake->notes.request_count, 3);
	fake_release(fake);
	assert_flushed(tally);
	assert_int_equal(fake_noted(fake)->held_count_max, 3);
	assert_stored(fake, 0, 20);
	close_all(tally, fake);
}

/* The spool */

static void
what_was_not_acknowledged_is_sent_by_the_next(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	tally = opened((struct tally_options){
		.batch_events = 10, .ack_timeout_ms = 20, .spool_dir = at("spool")});
	push(tally, 0, 95);
	assert_int_equal(tally_close(tally, 0), TALLY_TIMEOUT);
	assert_int_equal(files_in("spool"), 10);

	/* Twice nobody is there, and nothing is lost by it. */
	tally = opened((struct tally_options){.ack_timeout_ms = 20, .spool_dir = at("spool")});
	assert_int_equal(tally_close(tally, 0), TALLY_TIMEOUT);
	assert_int_equal(files_in("spool"), 10);

	fake_start(fake, url);
	tally = opened((struct tally_options){.in_flight = 1, .spool_dir = at("spool")});
	tally_stats(tally, &stats);
	assert_int_equal(stats.recovered, 10);
	assert_flushed(tally);
	tally_stats(tally, &stats);
	assert_int_equal(stats.pushed, 0);
	assert_int_equal(stats.accepted, 95);
	assert_stored(fake, 0, 95);
	assert_int_equal(files_in("spool"), 0);
	for (uint64_t i = 0; i < 10; i++) {
		const char *dash = strchr(fake_noted(fake)->batch_name[i], '-');

		assert_non_null(dash);
		assert_int_equal(strtoull(dash + 1, NULL, 10), i + 1); /* in order */
	}
	close_all(tally, fake);
}

static void
without_a_spool_a_close_in_time_loses_nothing(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally *tally;

	(void)state;
	tally = opened((struct tally_options){.ack_timeout_ms = 20});
	push(tally, 0, 10);
	assert_int_equal(tally_close(tally, 0), TALLY_TIMEOUT);
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS});
	push(tally, 10, 20);
	assert_int_equal(tally_close(tally, LONG_MS), TALLY_OK);
	assert_stored(fake, 10, 20);
	fake_free(fake);
	assert_int_equal(tally_close(NULL, 0), TALLY_OK);
}

/* Far more than is kept in memory: most of it is read back from the spool, some of it damaged. */
static void
a_backlog_larger_than_memory_comes_from_the_spool(void **state)
{
	static char repo[1025];
	struct fake *fake = fake_new(NULL);
	struct refusals refusals = {0};
	struct tally_stats stats;
	struct tally *tally;
	struct tally_event event = {.model = "m", .repo = repo};
	const uint64_t event_count = 9000;
	uint64_t batch_count;
	char path[64];

	(void)state;
	memset(repo, 'r', sizeof(repo) - 1);
	tally = opened((struct tally_options){.batch_events = 100,
		.spool_dir = at("spool"),
		.on_refused = refusal_note,
		.arg = &refusals});
	for (uint64_t i = 0; i < event_count; i++) {
		event.id = id_of(i);
		event.ts_ms = now_ms();
		assert_int_equal(tally_push(tally, &event), TALLY_OK);
	}
	batch_count = event_count / 100;
	snprintf(path, sizeof(path), "spool/%016" PRIx64, batch_count);
	while (!is_there(path)) /* the last batch is in the spool */
		usleep(1000);
	assert_int_equal(truncate(at(path), 1000), 0);
	fake_start(fake, url);
	assert_flushed(tally);
	assert_stored(fake, 0, event_count - 100);
	assert_int_equal(refusals.count, 100);
	assert_string_equal(refusals.code, "storage_corrupt");
	tally_stats(tally, &stats);
	assert_int_equal(stats.rejected, 100);
	assert_int_equal(files_in("spool"), 0);
	assert_int_equal(files_in("spool/damaged"), 1);
	close_all(tally, fake);
}

static void
damage_found_at_open_is_told(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	tally = opened((struct tally_options){
		.batch_events = 5, .ack_timeout_ms = 20, .spool_dir = at("spool")});
	push(tally, 0, 10);
	assert_int_equal(tally_close(tally, 0), TALLY_TIMEOUT);
	assert_int_equal(truncate(at("spool/0000000000000001"), 30), 0);
	fake_start(fake, url);
	tally = opened((struct tally_options){.spool_dir = at("spool")});
	assert_non_null(strstr(tally_error(), "damaged"));
	tally_stats(tally, &stats);
	assert_int_equal(stats.recovered, 1);
	assert_flushed(tally);
	assert_stored(fake, 5, 10);
	close_all(tally, fake);
}

static void
a_spool_that_fails_holds_nothing_up(void **state)
{
	struct fake *fake = fake_new(hold);
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.spool_dir = at("spool"), .batch_ms = NEVER_MS});
	assert_int_equal(rename(at("spool"), at("elsewhere")), 0);
	push(tally, 0, 5);
	assert_int_not_equal(tally_flush(tally, 1), TALLY_OK);
	fake_wait(fake, &fake->notes.request_count, 1);
	/* Sent, not acknowledged, and not in the spool: that is more than late. */
	assert_int_equal(tally_flush(tally, 0), TALLY_IO);
	assert_non_null(strstr(tally_error(), "spool"));
	fake_release(fake);
	assert_flushed(tally);
	assert_stored(fake, 0, 5);
	assert_int_equal(rename(at("elsewhere"), at("spool")), 0);
	push(tally, 5, 10);
	assert_flushed(tally);
	close_all(tally, fake);
}

static void
a_spool_in_use_is_an_error(void **state)
{
	struct tally *tally = opened((struct tally_options){.spool_dir = at("spool")});
	struct tally_options options = {.url = url, .token = "t", .spool_dir = at("spool")};
	struct tally *second = NULL;

	(void)state;
	assert_int_equal(tally_open(&options, &second), TALLY_IO);
	assert_non_null(strstr(tally_error(), "in use"));
	assert_null(second);
	assert_int_equal(tally_close(tally, 0), TALLY_OK);
}

/* kill -9 */

#define CRASH_ROUNDS 12

static enum fake_plan
lose_some(uint64_t request_no)
{
	static const enum fake_plan plans[] = {FAKE_ANSWER, FAKE_LOSE_ACK, FAKE_ANSWER, FAKE_ANSWER,
		FAKE_OVERLOADED, FAKE_ANSWER, FAKE_LOSE_REQUEST};

	return plans[request_no % 7];
}

static int
client_fail(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, tally_error());
	return 1;
}

/*
 * The process that is killed: pushes from first_no on and says on stdout how far a flush has come.
 * It is this program once more, so that no thread and no lock of the test is copied into it.
 */
static int
client_main(char **argv)
{
	struct tally_options options = {.url = argv[0],
		.token = "tally_gw_test",
		.spool_dir = argv[1],
		.batch_events = 10,
		.batch_ms = 5,
		.ack_timeout_ms = 50};
	uint64_t event_no = strtoull(argv[2], NULL, 10);
	struct tally *tally;

	if (tally_open(&options, &tally) != TALLY_OK)
		return client_fail("open");
	for (;;) {
		for (int i = 0; i < 37; i++) {
			if (push_try(tally, event_no++) != TALLY_OK)
				return client_fail("push");
		}
		if (event_no % 2 != 0)
			continue;
		if (tally_flush(tally, LONG_MS) != TALLY_OK)
			return client_fail("flush");
		if (write(STDOUT_FILENO, &event_no, sizeof(event_no)) != sizeof(event_no))
			return 1;
	}
}

/* Run it and kill it after so many reports; the last report. */
static uint64_t
client_crash(uint64_t first_no, uint64_t reports)
{
	char number[32];
	uint64_t flushed = first_no;
	int report[2];
	pid_t pid;

	snprintf(number, sizeof(number), "%" PRIu64, first_no);
	assert_int_equal(pipe(report), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(report[1], STDOUT_FILENO);
		close(report[0]);
		close(report[1]);
		execl("/proc/self/exe", "client", "client", url, at("spool"), number, NULL);
		_exit(1);
	}
	close(report[1]);
	for (uint64_t i = 0; i < reports; i++)
		assert_int_equal(read(report[0], &flushed, sizeof(flushed)), sizeof(flushed));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (read(report[0], &flushed, sizeof(flushed)) == sizeof(flushed))
		;
	close(report[0]);
	return flushed;
}

/*
 * Batches are spooled in order before they are sent. So when the next process has sent the spool,
 * the server has the events from the first to some last one without a gap, at least all that a
 * flush had promised, each once.
 */
static void
kill_9_loses_only_the_end(void **state)
{
	struct fake *fake = fake_new(lose_some);
	uint64_t seed = seed_of_run();
	uint64_t first_no = 0;

	(void)state;
	fake_start(fake, url);
	for (int round = 0; round < CRASH_ROUNDS; round++) {
		uint64_t flushed = client_crash(first_no, next_random(&seed) % 3);
		struct tally *tally = opened(
			(struct tally_options){.ack_timeout_ms = 50, .spool_dir = at("spool")});
		uint64_t end_no;

		assert_flushed(tally);
		assert_int_equal(files_in("spool"), 0);
		assert_int_equal(tally_close(tally, LONG_MS), TALLY_OK);
		end_no = fake_stored(fake);
		assert_true(end_no >= flushed);
		assert_stored(fake, 0, end_no);
		first_no = end_no;
	}
	assert_true(first_no > 0);
	fake_free(fake);
}

/* What the server had acknowledged and lost */

static void
wait_stored(struct fake *fake, uint64_t count)
{
	for (int i = 0; i < LONG_MS && fake_stored(fake) < count; i++)
		usleep(1000);
	assert_int_equal(fake_stored(fake), count);
}

/* Three batches of 10 events, acknowledged one after the other. */
static struct tally *
thirty_acknowledged(struct fake *fake, struct tally_options options)
{
	struct tally *tally;

	options.batch_ms = NEVER_MS;
	if (options.spool_dir == NULL)
		options.spool_dir = at("spool");
	tally = opened(options);
	for (uint64_t first = 0; first < 30; first += 10) {
		push(tally, first, first + 10);
		assert_flushed(tally);
	}
	assert_stored(fake, 0, 30);
	return tally;
}

static void
what_the_server_lost_is_sent_again(void **state)
{
	/* The same epoch and a lower position, or another epoch whatever the position. */
	static const struct kept_mark behind[] = {
		{.epoch = 0, .seq = 3}, {.epoch = 9, .seq = 1000}};
	struct tally_stats stats;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fake *fake = fake_new(NULL);
		struct tally *tally;

		fake_start(fake, url);
		tally = thirty_acknowledged(
			fake, (struct tally_options){.spool_dir = at(i == 0 ? "spool" : "other")});
		fake_lose(fake, behind[i].epoch, behind[i].seq);
		push(tally, 30, 31);
		assert_flushed(tally);
		wait_stored(fake, 31);
		assert_stored(fake, 0, 31);
		assert_flushed(tally);
		push(tally, 31, 32);
		assert_flushed(tally);
		tally_stats(tally, &stats);
		assert_int_equal(stats.losses, 1);
		assert_int_equal(stats.restored, 30);
		assert_int_equal(stats.pending, 0);
		close_all(tally, fake);
	}
}

static void
what_the_server_lost_is_sent_by_the_next_process(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally_stats stats;
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	assert_int_equal(tally_close(thirty_acknowledged(fake, (struct tally_options){0}), LONG_MS),
		TALLY_OK);
	assert_int_equal(files_in("spool/kept"), 3);
	fake_lose(fake, 0, 0);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS, .spool_dir = at("spool")});
	push(tally, 30, 31);
	assert_flushed(tally);
	wait_stored(fake, 31);
	assert_stored(fake, 0, 31);
	tally_stats(tally, &stats);
	assert_int_equal(stats.losses, 1);
	close_all(tally, fake);
}

static void
the_rest_of_a_refused_batch_is_kept_too(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = opened((struct tally_options){.batch_ms = NEVER_MS, .spool_dir = at("spool")});
	push(tally, 0, 5);
	push_wrong(tally, "wrong-event-1");
	assert_flushed(tally);
	assert_int_equal(files_in("spool/refused"), 2);
	assert_int_equal(files_in("spool/kept"), 1);
	fake_lose(fake, 0, 0);
	push(tally, 5, 6);
	assert_flushed(tally);
	wait_stored(fake, 6);
	close_all(tally, fake);
}

static void
what_is_kept_has_a_bound_and_may_be_nothing(void **state)
{
	struct fake *fake = fake_new(NULL);
	struct tally *tally;

	(void)state;
	fake_start(fake, url);
	tally = thirty_acknowledged(fake, (struct tally_options){.keep_bytes = 1500});
	assert_in_range(files_in("spool/kept"), 1, 2);
	assert_int_equal(tally_close(tally, LONG_MS), TALLY_OK);
	tally = opened((struct tally_options){
		.batch_ms = NEVER_MS, .spool_dir = at("spool"), .keep_ms = 1});
	usleep(1100000); /* the time of a file has seconds */
	push(tally, 30, 40);
	assert_flushed(tally);
	push(tally, 40, 41);
	assert_flushed(tally);
	assert_in_range(files_in("spool/kept"), 0, 2);
	assert_int_equal(tally_close(tally, LONG_MS), TALLY_OK);
	tally = opened((struct tally_options){
		.batch_ms = NEVER_MS, .spool_dir = at("spool"), .keep_ms = -1});
	push(tally, 41, 42);
	assert_flushed(tally);
	assert_in_range(files_in("spool/kept"), 0, 2);
	close_all(tally, fake);
}

/* What is refused at once */

static const struct {
	const char *name;
	struct tally_options options;
	const char *says;
} wrong_options[] = {
	{"no url", {.token = "t"}, "url: missing"},
	{"no token", {.url = "tcp://h:1"}, "token: missing"},
	{"an empty token", {.url = "tcp://h:1", .token = ""}, "token: missing"},
	{"a url of the web", {.url = "http://h:1", .token = "t"}, "url: 'http://h:1'"},
	{"a url without a port", {.url = "tcp://127.0.0.1", .token = "t"}, "url: "},
	{"too many events", {.url = "tcp://h:1", .token = "t", .batch_events = 1001},
		"batch_events: 1001, the limit is 1000"},
	{"too many bytes", {.url = "tcp://h:1", .token = "t", .batch_bytes = 1 << 20},
		"batch_bytes: 1048576, the limit is"},
	{"a batch in the past", {.url = "tcp://h:1", .token = "t", .batch_ms = -1}, "batch_ms: -1"},
	{"too many in flight", {.url = "tcp://h:1", .token = "t", .in_flight = 65},
		"in_flight: 65, the limit is 64"},
	{"a deadline in the past", {.url = "tcp://h:1", .token = "t", .ack_timeout_ms = -1},
		"ack_timeout_ms: -1"},
};

static void
wrong_options_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong_options) / sizeof(wrong_options[0]); i++) {
		struct tally *tally = NULL;

		if (tally_open(&wrong_options[i].options, &tally) != TALLY_INVALID ||
			tally != NULL ||
			strncmp(tally_error(), wrong_options[i].says,
				strlen(wrong_options[i].says)) != 0)
			fail_msg("%s: %s", wrong_options[i].name, tally_error());
	}
}

#define TEXT_64 "0123456789012345678901234567890123456789012345678901234567890123"
#define TEXT_128 TEXT_64 TEXT_64
#define TS .ts_ms = 1763720000000
#define GOOD .id = "msg_01ABC", TS, .model = "m"

static const struct {
	struct tally_event event;
	const char *says;
} wrong_events[] = {
	{{TS, .model = "m"}, "id: missing"},
	{{.id = "1234567", TS, .model = "m"}, "id: shorter than the limit of 8 bytes"},
	{{.id = TEXT_64 "x", TS, .model = "m"}, "id: longer than the limit of 64 bytes"},
	{{.id = "undefined", TS, .model = "m"}, "id: 'undefined' cannot identify an event"},
	{{.id = "msg_01ABC", .model = "m"}, "ts_ms: missing"},
	{{.id = "msg_01ABC", .ts_ms = -1, .model = "m"}, "ts_ms: -1, the least is"},
	{{.id = "msg_01ABC", .ts_ms = 1763720000, .model = "m"},
		"ts_ms: 1763720000, the least is 100000000000 (seconds? give milliseconds)"},
	{{.id = "msg_01ABC", .ts_ms = (1LL << 53) + 1, .model = "m"},
		"ts_ms: 9007199254740993, the limit is 9007199254740992"},
	{{.id = "msg_01ABC", TS}, "model: missing"},
	{{.id = "msg_01ABC", TS, .model = ""}, "model: missing"},
	{{.id = "msg_01ABC", TS, .model = TEXT_128 "x"},
		"model: longer than the limit of 128 bytes"},
	{{.id = "msg_01ABC", TS, .model = "a\nb"}, "model: control character 0x0a at byte 1"},
	{{.id = "msg_01ABC", TS, .model = "a\x7f"}, "model: control character 0x7f at byte 1"},
	{{.id = "msg_01ABC", TS, .model = "\xff\xfe"}, "model: not UTF-8"},
	{{GOOD, .key = TEXT_128 TEXT_64 "123456789"}, "key: longer than the limit of 200 bytes"},
	{{GOOD, .email = "ada"}, "email: not an address"},
	{{GOOD, .email = TEXT_128 TEXT_128 "@"}, "email: longer than the limit of 254 bytes"},
	{{GOOD, .member = "12"}, "member: not 32 hex digits"},
	{{GOOD, .member = TEXT_64}, "member: longer than the limit of 32 bytes"},
	{{GOOD, .agent = TEXT_64 "x"}, "agent: longer than the limit of 64 bytes"},
	{{GOOD, .session = TEXT_64 "x"}, "session: longer than the limit of 64 bytes"},
	{{GOOD, .provider = TEXT_128 "x"}, "provider: longer than the limit of 128 bytes"},
	{{GOOD, .branch = TEXT_128 TEXT_64 "123456789"},
		"branch: longer than the limit of 200 bytes"},
	{{GOOD, .commit = TEXT_64 "x"}, "commit: longer than the limit of 64 bytes"},
	{{GOOD, .input_tokens = -1}, "input_tokens: -1, the least is 0"},
	{{GOOD, .input_tokens = TALLY_UNKNOWN}, "input_tokens: cannot be unknown"},
	{{GOOD, .output_tokens = 10000000001}, "output_tokens: 10000000001, the limit is"},
	{{GOOD, .cache_read_tokens = -1}, "cache_read_tokens: -1"},
	{{GOOD, .cache_write_tokens = -1}, "cache_write_tokens: -1"},
	{{GOOD, .cache_write_1h_tokens = 2, .cache_write_tokens = 1},
		"cache_write_1h_tokens: 2, more than the 1 of cache_write_tokens"},
	{{GOOD, .reasoning_tokens = 2, .output_tokens = 1},
		"reasoning_tokens: 2, more than the 1 of output_tokens"},
	{{GOOD, .cost_nusd = -1}, "cost_nusd: -1, the least is 0"},
	{{GOOD, .cost_nusd = 1000000000000001}, "cost_nusd: 1000000000000001, the limit is"},
	{{GOOD, .saved_tokens = -1}, "saved_tokens: -1"},
	{{GOOD, .saved_nusd = TALLY_UNKNOWN}, "saved_nusd: cannot be unknown"},
	{{GOOD, .status = -1}, "status: -1"},
	{{GOOD, .status = 1000}, "status: 1000, the limit is 999"},
	{{GOOD, .duration_ms = 86400001}, "duration_ms: 86400001, the limit is 86400000"},
	{{GOOD, .pr = -1}, "pr: -1"},
	{{GOOD, .pr = 1000000001}, "pr: 1000000001, the limit is 1000000000"},
	{{GOOD, .rev = 1000000001}, "rev: 1000000001, the limit is 1000000000"},
};

static const struct {
	const char *id;
	int64_t ts_ms;
	const char *session;
	enum tally_link link;
	const char *value;
	const char *says;
} wrong_links[] = {
	{NULL, 1763720000000, "s", TALLY_SET_NAME, "v", "id: missing"},
	{"link-0001", 0, "s", TALLY_SET_NAME, "v", "ts_ms: missing"},
	{"link-0001", 1763720000000, NULL, TALLY_SET_NAME, "v", "session: missing"},
	{"link-0001", 1763720000000, TEXT_64 "x", TALLY_SET_NAME, "v", "session: longer"},
	{"link-0001", 1763720000000, "s", 0, "v", "link: 0"},
	{"link-0001", 1763720000000, "s", 5, "v", "link: 5"},
	{"link-0001", 1763720000000, "s", TALLY_SET_NAME, NULL, "value: missing"},
	{"link-0001", 1763720000000, "s", TALLY_SET_NAME, TEXT_128 TEXT_64 "123456789",
		"value: longer than the limit of 200 bytes"},
	{"link-0001", 1763720000000, "s", TALLY_SET_REPO, "not a repo", "value: not a repository"},
	{"link-0001", 1763720000000, "s", TALLY_ADD_PR, "#0", "value: not a pull request"},
	{"link-0001", 1763720000000, "s", TALLY_ADD_COMMIT, "xyz", "value: not a commit id"},
};

static void
wrong_fields_are_named_with_their_limit(void **state)
{
	struct tally *tally = opened((struct tally_options){0});
	struct tally_stats stats;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong_events) / sizeof(wrong_events[0]); i++) {
		if (tally_push(tally, &wrong_events[i].event) != TALLY_INVALID ||
			strncmp(tally_error(), wrong_events[i].says,
				strlen(wrong_events[i].says)) != 0)
			fail_msg("'%s' is '%s'", wrong_events[i].says, tally_error());
	}
	for (size_t i = 0; i < sizeof(wrong_links) / sizeof(wrong_links[0]); i++) {
		if (tally_push_link(tally, wrong_links[i].id, wrong_links[i].ts_ms,
			    wrong_links[i].session, wrong_links[i].link,
			    wrong_links[i].value) != TALLY_INVALID ||
			strncmp(tally_error(), wrong_links[i].says, strlen(wrong_links[i].says)) !=
				0)
			fail_msg("'%s' is '%s'", wrong_links[i].says, tally_error());
	}
	tally_stats(tally, &stats);
	assert_int_equal(stats.pushed, 0);
	assert_int_equal(tally_close(tally, 0), TALLY_OK);
}

#define CLIENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_remove)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CLIENT_TEST(every_event_of_several_threads_arrives),
		CLIENT_TEST(ipc_works_too),
		CLIENT_TEST(every_field_arrives_as_it_was_given),
		CLIENT_TEST(what_is_not_stated_arrives_as_unknown),
		CLIENT_TEST(links_arrive),
		CLIENT_TEST(the_largest_events_fit),
		CLIENT_TEST(a_batch_closes_at_its_bounds),
		CLIENT_TEST(a_lost_ack_is_asked_for_again),
		CLIENT_TEST(a_lost_request_is_sent_again),
		CLIENT_TEST(the_same_bytes_are_sent_again),
		CLIENT_TEST(a_busy_server_is_given_its_time),
		CLIENT_TEST(anything_short_of_an_answer_is_tried_again),
		CLIENT_TEST(a_server_that_comes_late_or_goes_and_comes_back),
		CLIENT_TEST(what_the_server_lost_is_sent_again),
		CLIENT_TEST(what_the_server_lost_is_sent_by_the_next_process),
		CLIENT_TEST(the_rest_of_a_refused_batch_is_kept_too),
		CLIENT_TEST(what_is_kept_has_a_bound_and_may_be_nothing),
		CLIENT_TEST(refused_events_are_told_and_kept),
		CLIENT_TEST(a_refused_batch_is_told_kept_and_not_sent_again),
		CLIENT_TEST(a_code_of_a_newer_server_says_itself_what_to_do),
		CLIENT_TEST(what_is_told_of_a_refusal_may_push),
		CLIENT_TEST(a_full_backlog_refuses_and_recovers),
		CLIENT_TEST(a_flush_says_that_it_was_late),
		CLIENT_TEST(a_flush_waits_only_for_what_was_pushed_before),
		CLIENT_TEST(no_more_than_in_flight_are_sent_at_once),
		CLIENT_TEST(what_was_not_acknowledged_is_sent_by_the_next),
		CLIENT_TEST(without_a_spool_a_close_in_time_loses_nothing),
		CLIENT_TEST(a_backlog_larger_than_memory_comes_from_the_spool),
		CLIENT_TEST(damage_found_at_open_is_told),
		CLIENT_TEST(a_spool_that_fails_holds_nothing_up),
		CLIENT_TEST(a_spool_in_use_is_an_error),
		CLIENT_TEST(kill_9_loses_only_the_end),
		CLIENT_TEST(wrong_options_are_named),
		CLIENT_TEST(wrong_fields_are_named_with_their_limit),
	};

	if (argc == 5 && strcmp(argv[1], "client") == 0)
		return client_main(argv + 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
