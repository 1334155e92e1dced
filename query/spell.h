/*
 * Six hours of an org by one dimension, summed once: a board whose bins are the quarters of the
 * spell. Whatever zone cuts it into bins, its sum needs no page. Custom ranges are made of these,
 * and so is a past that has to be made again.
 */
#ifndef QUERY_SPELL_H
#define QUERY_SPELL_H

#include "query/board.h"

enum spell_use {
	SPELL_IF_KEPT,
	SPELL_MAKE, /* what is asked for the second time is summed and kept */
};

/*
 * board_add, but spells that are over come from what is kept, where there is a cache. For
 * everything of everybody: no only_member.
 */
TL_MUST enum tl_err spell_add(struct board *board, const struct query_scene *scene,
	const struct facts_ask *ask, enum spell_use use, struct tl_why *why);

#endif
