/*
 * Distinct sessions: which rows of a board had which session. Nearly every session belongs to one
 * row (one person, one model, one repository), so each has a place for the first row that had it,
 * by its dense number, and only further rows go into a set of pairs.
 */
#ifndef QUERY_VISITS_H
#define QUERY_VISITS_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/arena.h"

struct visits {
	uint32_t *
		*chunks; /* session number -> its first row + 1, 0: none; NULL: a chunk of those */
	uint32_t chunk_count;
	uint64_t *pairs; /* further (row, session), hashed; 0: free */
	uint32_t pair_slots, pair_count;
};

/* What adding a pair brought. */
struct visits_news {
	bool is_new_pair;
	bool is_new_session; /* no row had it */
};

/* session is not 0. base may be NULL; what it has is not added again. */
TL_MUST enum tl_err visits_add(struct visits *visits, const struct visits *base, uint32_t row_idx,
	uint32_t session, struct tl_arena *arena, struct visits_news *news_out);

/* Visit every pair, in no particular order. */
TL_MUST enum tl_err visits_each(const struct visits *visits,
	enum tl_err (*visit)(void *arg, uint32_t row_idx, uint32_t session), void *arg);

/* A copy without slack, and the bytes of arena that it takes. */
size_t visits_pack_bytes(const struct visits *visits);
TL_MUST enum tl_err visits_pack(
	const struct visits *visits, struct visits *packed_out, struct tl_arena *arena);

#endif
