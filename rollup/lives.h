/* The whole life of each member and agent that a step touches. */
#ifndef ROLLUP_LIVES_H
#define ROLLUP_LIVES_H

#include "rollup/index.h"
#include "schema/model/ref.h"
#include "schema/store/value.h"
#include "schema/store/write.h"

struct fold;
struct fold_delta;

struct life_touch {
	struct life_touch *next;
	uint32_t org, entity;
	enum tl_dim dim;
	struct tl_life life; /* what the step brings, then what is to be stored */
	int64_t taken_first_ms, taken_last_ms;
	bool is_lost; /* first or last must be found again */
};

struct lives {
	struct index index;
	struct life_touch *list;
	uint32_t count;
};

void lives_begin(struct lives *lives);

/* Member 0 and agent 0 have no life. */
TL_MUST enum tl_err lives_add(
	struct lives *lives, struct tl_arena *arena, const struct fold_delta *delta);

/* Put every life that changed; after the day cells of the step. */
TL_MUST enum tl_err lives_fold(struct fold *fold, struct tl_why *why);

#endif
