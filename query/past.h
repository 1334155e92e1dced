/*
 * The past of a fixed window, summed once: a board of everything before a cut, kept as long as
 * nothing before the cut changes. A query adds the cells from the cut on and has the whole window.
 */
#ifndef QUERY_PAST_H
#define QUERY_PAST_H

#include "query/board.h"
#include "query/lru.h"
#include "schema/store/value.h"

struct past_ask {
	const struct query_scene *scene;
	const struct tl_window *window;
	enum tl_dim dim;
	bool is_before; /* window is the one before the one that is shown: plain, and all of it past
			 */
};

struct past;

/* A board of a window, and what it stands on. */
struct past_board {
	struct board board;
	struct past *past;   /* NULL: the board stands on nothing */
	struct board agents; /* members with a past only: by agent, from the cut on */
};

/*
 * The board of the window. Without a cache, and for custom ranges, all is summed anew. Let go with
 * past_board_fini after the last use, also when this failed.
 */
TL_MUST enum tl_err past_board_init(struct past_board *board, const struct past_ask *ask,
	struct tl_arena *arena, struct tl_why *why);
void past_board_fini(struct past_board *board, const struct query_scene *scene);

/*
 * The used members of the past by rank: rows of its board, NULL when there is no past. Those that
 * the rest added to stand elsewhere now (board_is_own).
 */
const uint32_t *past_order(
	const struct past_board *board, enum tl_metric metric, uint32_t *count_out);

/* When somebody was last used, and whether ever. */
struct past_use {
	int64_t last_ms; /* INT64_MIN: never */
	bool is_used;
};

/* Of a member or an agent; false when the past does not tell and the life has to be read. */
bool past_member_use(const struct past_board *board, uint32_t member_no, struct past_use *use_out);
bool past_agent_use(const struct past_board *board, uint32_t agent_no, struct past_use *use_out);

#endif
