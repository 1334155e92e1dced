/*
 * How often something happened to a key within a while, in bounded memory: a fixed table of
 * windows, from which the oldest of a few makes room. Keys are hashed with a seed of the table's
 * own, so strangers cannot push each other out on purpose. Any thread.
 */
#ifndef TL_BASE_RATE_H
#define TL_BASE_RATE_H

#include <stdint.h>

#include "schema/base/bytes.h"

struct tl_rate;

/* At most count_max in window_ms for each key; remembers slot_count keys (a power of two). */
TL_MUST enum tl_err tl_rate_new(
	uint32_t count_max, int64_t window_ms, uint32_t slot_count, struct tl_rate **rate_out);
void tl_rate_free(struct tl_rate *rate);

/*
 * It happened once more at now_ms (monotonic). 0 while that is within the bound; else how many ms
 * the key's window goes on.
 */
int64_t tl_rate_count(struct tl_rate *rate, struct tl_slice key, int64_t now_ms);

/* Whether once more would be past the bound: as above, but nothing is counted. */
int64_t tl_rate_look(struct tl_rate *rate, struct tl_slice key, int64_t now_ms);

#endif
