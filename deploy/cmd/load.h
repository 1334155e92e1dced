/* Simulated usage for tally load: people at work in sessions, or the rows of a trace. */
#ifndef CMD_LOAD_H
#define CMD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/client/tally.h"

struct load_shape {
	uint64_t seed;
	int64_t members, repos;
	int64_t resend_percent, late_percent; /* 1 %: in 100 events one is sent twice */
};

/*
 * One gateway's people. Deterministic: the same shape and gateway give the same events for the
 * same times. Strings of an event are valid until the next call.
 */
struct load_people;

struct load_people *load_people_new(const struct load_shape *shape, uint32_t gateway);
void load_people_free(struct load_people *people);

/*
 * Push what happens next at now_ms through tally: one request, sometimes a link (early or late), a
 * second copy of an event, an event that comes late.
 */
enum tally_result load_people_step(struct load_people *people, struct tally *tally, int64_t now_ms);

/* How busy people are at now_ms, 0..1000: office hours on weekdays, little at night. */
uint32_t load_activity(int64_t now_ms);

/* One row of a trace: a request some time after the first. */
struct load_trace_row {
	int64_t offset_ms;
	int64_t input_tokens, output_tokens;
};

/*
 * Reads a CSV trace (TIMESTAMP,ContextTokens,GeneratedTokens with a header; .gz through gzip).
 * Returns the rows (free them) or NULL with a reason.
 */
struct load_trace_row *load_trace_read(
	const char *path, size_t *row_count_out, const char **reason_out);

/* Push one row of the trace as a request of some person at ts_ms. */
enum tally_result load_people_trace(struct load_people *people, struct tally *tally,
	const struct load_trace_row *row, int64_t ts_ms);

#endif
