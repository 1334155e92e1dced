/* The page that a part of a 15-minute cell would be, from its events. */
#ifndef QUERY_EDGE_H
#define QUERY_EDGE_H

#include "query/query.h"
#include "schema/store/cell.h"

/*
 * whole is the page of the cell that holds [from_ms, to_ms). The page's rows are those of the
 * events in the part, under the repo and with the PRs that the whole page gives their sessions; its
 * splits are divided by the rule of the whole cell. All memory is the arena's. TL_EEDGE_UNAVAILABLE
 * when the events have expired.
 */
TL_MUST enum tl_err edge_page(const struct query_scene *scene, const struct tl_page *whole,
	int64_t from_ms, int64_t to_ms, struct tl_arena *arena, struct tl_page *page_out,
	struct tl_why *why);

#endif
