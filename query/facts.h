/*
 * The facts of an org in a window, bin by bin in the order of time, with the fewest reads: day
 * pages where a whole UTC day lies in one bin, else hours, else their quarters, and the events
 * themselves where an edge cuts a quarter.
 */
#ifndef QUERY_FACTS_H
#define QUERY_FACTS_H

#include "query/query.h"
#include "schema/store/value.h"

struct facts_ask {
	const struct tl_window *window;
	int64_t from_ms, to_ms; /* the part of the window to read; multiples of 15 minutes inside */
	bool is_one_bin;	/* bins do not matter: every page is of bin 0 */
	uint32_t only_member;	/* 0: everybody's rows; else those of one member */
	bool exact_splits;	/* with only_member: page->splits are those of that member's rows */
};

/* Ask for all of a window and everybody. */
static inline struct facts_ask
facts_all(const struct tl_window *window)
{
	return (struct facts_ask){
		.window = window,
		.from_ms = tl_window_start_ms(window),
		.to_ms = tl_window_end_ms(window),
	};
}

/*
 * Visit every page, several of a cell with many sessions; its rows lie in bin bin_idx as a whole.
 * The page is valid during the visit. Its prs belong to the sessions that have rows in it, its
 * splits are always there. Errors: what the store says, TL_EEDGE_UNAVAILABLE, and what visit
 * returns.
 */
TL_MUST enum tl_err facts_walk(const struct query_scene *scene, const struct facts_ask *ask,
	enum tl_err (*visit)(
		void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why),
	void *arg, struct tl_why *why);

/*
 * The same over single 15m cells, given by their numbers, rising: what one session needs. Cells
 * outside the window are passed over.
 */
TL_MUST enum tl_err facts_walk_cells(const struct query_scene *scene, const struct facts_ask *ask,
	const int64_t *bucket_nos, uint32_t bucket_count,
	enum tl_err (*visit)(
		void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why),
	void *arg, struct tl_why *why);

/* One cell as a whole; TL_ENOT_FOUND when nothing is in it. Memory is the arena's. */
TL_MUST enum tl_err facts_page(const struct query_scene *scene, enum tl_span span,
	int64_t bucket_ms, struct tl_arena *arena, struct tl_page *page_out, struct tl_why *why);

/* The session row of an id; TL_ENOT_FOUND. Memory is the arena's. */
TL_MUST enum tl_err facts_session(const struct query_scene *scene, uint32_t session,
	struct tl_arena *arena, struct tl_session_row *row_out, struct tl_why *why);

#endif
