/*
 * Whether bodies that are at hand are still what tallyd would answer: one message asks for all
 * requests that came while the last one was under way. Who asks is resolved for each; requests that
 * ask the same with the same credential are one question.
 */
#ifndef QUERY_API_FRESH_H
#define QUERY_API_FRESH_H

#include "schema/net/req_client.h"

struct fresh;

struct fresh_ask {
	struct tl_slice question; /* a whole request with "have"; lives until told */

	/* On another thread. Not the same: changed, not allowed, or no answer. */
	void (*told)(struct fresh_ask *ask, bool is_same);

	/* of fresh */
	uint64_t hash;
	struct fresh_ask *next; /* asks the same */
};

/* client outlives it. */
TL_MUST enum tl_err fresh_start(
	struct tl_req_client *client, struct fresh **fresh_out, struct tl_why *why);

/* Whoever waits is told; nothing is added any more. */
void fresh_stop(struct fresh *fresh);
void fresh_free(struct fresh *fresh);

/* Never waits. False when there is no room: the ask stays the caller's. */
TL_MUST bool fresh_add(struct fresh *fresh, struct fresh_ask *ask);

#endif
