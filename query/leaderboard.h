/* The rows of the leaderboard, for every reply that shows them. */
#ifndef QUERY_LEADERBOARD_H
#define QUERY_LEADERBOARD_H

#include "query/reply.h"
#include "query/standing.h"

/* value, totals and spark of the org or of a part of it, in place. row NULL: zeros. */
void leaderboard_put_sum(
	struct standing *standing, struct tl_pack_open *map, const struct board_row *row);

/*
 * members: [rows of the page]. Once the reply has more than bytes_max the page ends there, and
 * *page says so.
 */
TL_MUST enum tl_err leaderboard_put_members(struct standing *standing, struct tl_pack_open *map,
	struct reply_page *page, size_t bytes_max, struct tl_why *why);

/* unattributed: what belongs to nobody; nil for who may not see it. */
void leaderboard_put_unattributed(struct standing *standing, struct tl_pack_open *map);

#endif
