/*
 * From the bytes of a request to those of its reply: who asks, whether the reply is kept or the
 * asker has it already, errors on the wire. And several questions in one message, for a bridge that
 * has many readers with the same reply each.
 */
#ifndef QUERY_ANSWER_H
#define QUERY_ANSWER_H

#include "query/query.h"

#define ANSWER_RETRY_MS 250	/* for what is told to come again */
#define ANSWER_SEVERAL_MAX 512u /* questions in one message */

/* What all who answer share; lives as long as any of them. */
struct answer_source {
	struct tl_store *store;
	struct tl_roster *roster;
	const struct tl_clock *clock;
	void (*on_health)(void *arg, struct query_health *health_out);
	void *arg;
	struct query_cache *cache;
	struct query_stats *stats;
};

/* What one thread answers with. */
struct answer {
	const struct answer_source *source;
	bool is_operator;
	struct tl_arena arena;
	struct tl_buf inflated;
	struct tl_buf inner; /* a reply that goes into another */
	struct tl_buf reply;
};

void answer_init(struct answer *answer, const struct answer_source *source, bool is_operator,
	size_t arena_bytes_max);
void answer_fini(struct answer *answer);

/* The reply, an error included; valid until the next. */
struct tl_slice answer_request(struct answer *answer, struct tl_slice body);

#endif
