/* One session: found by its name, its facts alone. */
#ifndef QUERY_SESSION_H
#define QUERY_SESSION_H

#include "query/job.h"

/* A session of the org that the caller may see; all others are TL_ENOT_FOUND. */
TL_MUST enum tl_err session_find(struct query_job *job, struct tl_slice name, uint32_t *no_out,
	struct tl_session_row *row_out, struct tl_why *why);

/*
 * Whether the caller may see the session: where peers are hidden, only when every row of it is the
 * caller's own, so that naming somebody's session does not open it.
 */
TL_MUST enum tl_err session_is_seen(struct query_job *job, uint32_t session,
	const struct tl_session_row *row, bool *is_seen_out, struct tl_why *why);

/* The session's facts in a window, from the few cells that hold any. */
TL_MUST enum tl_err session_board(struct query_job *job, const struct tl_window *window,
	uint32_t session, const struct tl_session_row *row, enum tl_dim dim, struct board *board,
	struct tl_why *why);

/* Whether it lists fewer pull requests or commits than were linked: those that a reply can hold. */
bool session_is_cut(const struct tl_session_row *row);

/* What every list of sessions says of one: from name to commits, first and last, totals. */
TL_MUST enum tl_err session_put(struct query_job *job, struct tl_pack_open *map, uint32_t session,
	const struct tl_session_row *row, struct tl_why *why);

#endif
