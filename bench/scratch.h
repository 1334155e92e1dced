/*
 * A tallyd of our own in a scratch directory: started, asked, stopped. Everything here forks or
 * waits for a child; a process that has used nng cannot fork another that will, so scratch_ask is
 * for before.
 */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

#include <stdint.h>
#include <sys/types.h>

#include "schema/base/bytes.h"
#include "schema/base/conf.h"

#define SCRATCH_URL_BYTES (TL_CONF_STRING_BYTES + 64)
#define SCRATCH_TOKEN_BYTES 160
#define SCRATCH_ORG "acme" /* that scratch_create_org makes */

struct scratch {
	pid_t pid;
	char dir[TL_CONF_STRING_BYTES];
	int64_t start_ns;     /* from exec until it said that it is ready */
	int64_t start_cpu_ns; /* what it had used by then */
};

enum scratch_door {
	SCRATCH_INGEST,
	SCRATCH_QUERY,
	SCRATCH_CONTROL,
	SCRATCH_QUERY_CONTROL,
};

/* Starts the program on dir (made when missing), waits until it is ready. Its log is dir.log. */
void scratch_start(struct scratch *scratch, const char *tallyd, const char *dir);

/* Starts a bridge beside the tallyd on dir; its log is dir.http.log. Stopped with scratch_stop. */
void scratch_start_bridge(
	struct scratch *scratch, const char *bridge, const char *dir, uint16_t *port_out);

/* Asks it to stop and waits; all the processor time it used in its life. */
int64_t scratch_stop(struct scratch *scratch);

void scratch_url(
	const struct scratch *scratch, enum scratch_door door, char url_out[SCRATCH_URL_BYTES]);

/* One request to the operator's door. A refusal ends the process with what it says. */
void scratch_ask(const struct scratch *scratch, struct tl_slice request, struct tl_buf *reply);

/* Make the org, or a further token of the org that is there. */
void scratch_create_org(const struct scratch *scratch, char gateway_token_out[SCRATCH_TOKEN_BYTES]);
void scratch_create_token(
	const struct scratch *scratch, const char *type, char token_out[SCRATCH_TOKEN_BYTES]);

/* Some of what the daemon says about itself. */
struct scratch_stats {
	int64_t ids, id_bytes;
	int64_t groups;
	int64_t rollup_writes, rollup_bytes;
	int64_t fsync_us_p50;
};
void scratch_stats(const struct scratch *scratch, struct scratch_stats *stats_out);

/* A child that dies with us: 0 in the child, as fork. */
pid_t scratch_fork(void);

/* Remove a directory and what is in it. */
void scratch_remove(const char *dir);

/* Copy the directory of a daemon that has stopped, and its keys (people.h). */
void scratch_copy(const char *from, const char *to);

#endif
