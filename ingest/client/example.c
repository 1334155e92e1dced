/*
 * Reports one agent session and waits until tally has it:
 *
 *	cc example.c -ltally $(pkg-config --libs nng msgpack-c libsodium zlib libxxhash) -lpthread
 *	TALLY_TOKEN=tally_gw_... ./a.out tcp://127.0.0.1:7411
 */
#include "tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the server would refuse again is worth a line in a log: somebody has to look at it. */
static void
on_refused(void *arg, const char *code, const char *field)
{
	(void)arg;
	fprintf(stderr, "refused: %s %s\n", code, field);
}

static int
fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, tally_error());
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct tally_options options = {
		.url = argc > 1 ? argv[1] : "tcp://127.0.0.1:7411",
		.token = getenv("TALLY_TOKEN"),
		.spool_dir = "spool",
		.on_refused = on_refused,
	};
	struct tally_stats stats;
	struct tally *tally;
	int64_t ended_ms = now_ms();
	char id[64];

	if (tally_open(&options, &tally) != TALLY_OK)
		return fail("open");

	for (int call = 0; call < 3; call++) {
		/* The provider's message id is best: the same call then always has the same id. */
		snprintf(id, sizeof(id), "msg_example_%" PRId64 "_%d", ended_ms, call);
		if (tally_push(tally, &(struct tally_event){
					      .id = id,
					      .ts_ms = ended_ms,
					      .email = "ada@example.com",
					      .agent = "claude_code",
					      .session = "example-session",
					      .provider = "anthropic",
					      .model = "claude-sonnet-4-5",
					      .input_tokens = 1200,
					      .cache_read_tokens = 48000,
					      .output_tokens = 650,
					      .cost_nusd = 27750000, /* 2.775 cents */
					      .duration_ms = 5400,
				      }) != TALLY_OK)
			return fail("push");
	}
	snprintf(id, sizeof(id), "link_example_%" PRId64, ended_ms);
	if (tally_push_link(tally, id, ended_ms, "example-session", TALLY_ADD_PR,
		    "https://github.com/acme/api/pull/7") != TALLY_OK)
		return fail("push a link");

	if (tally_flush(tally, 5000) != TALLY_OK)
		fprintf(stderr, "not yet: %s\n", tally_error());
	tally_stats(tally, &stats);
	printf("%" PRIu64 " pushed, %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64
	       " pending\n",
		stats.pushed, stats.accepted, stats.rejected, stats.pending);

	/* What is still pending stays in the spool and is sent by the next process. */
	if (tally_close(tally, 0) == TALLY_OK)
		return EXIT_SUCCESS;
	return fail("close");
}
