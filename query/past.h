/*
 * The past of a fixed window, summed once: a board of everything before a cut, kept as long as
 * nothing before the cut changes. A query adds the cells from the cut on and has the whole window.
 */
#ifndef QUERY_PAST_H
#define QUERY_PAST_H

#include "query/board.h"
#include "query/lru.h"

struct past_ask {
	const struct query_scene *scene;
	const struct tl_window *window;
	enum tl_dim dim;
	bool is_before; /* window is the one before the one that is shown: plain, and all of it past
			 */
};

/*
 * The board of the window. When *pinned_out is not NULL the board stands on it: unpin it (cache of
 * the scene) after the board's last use. Without a cache, and for custom ranges, all is summed
 * anew.
 */
TL_MUST enum tl_err past_board(const struct past_ask *ask, struct tl_arena *arena,
	struct board *board, struct lru_value **pinned_out, struct tl_why *why);

#endif
