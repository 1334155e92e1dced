/*
 * Who and what rows are about: about forty calls share a session, and member, agent, repo and the
 * like follow from it. A block writes each combination of those columns once, its origin, and for
 * each row which origin it has.
 */
#ifndef TL_STORE_ORIGIN_H
#define TL_STORE_ORIGIN_H

#include "schema/model/event.h"

#define TL_COLUMN_BIT(column) (UINT64_C(1) << (column))

/* The columns of an origin. */
#define TL_ORIGIN_COLUMNS                                                                         \
	(TL_COLUMN_BIT(TL_COL_ORG) | TL_COLUMN_BIT(TL_COL_MEMBER) | TL_COLUMN_BIT(TL_COL_AGENT) | \
		TL_COLUMN_BIT(TL_COL_SESSION) | TL_COLUMN_BIT(TL_COL_PROVIDER) |                  \
		TL_COLUMN_BIT(TL_COL_MODEL) | TL_COLUMN_BIT(TL_COL_REPO) |                        \
		TL_COLUMN_BIT(TL_COL_PR) | TL_COLUMN_BIT(TL_COL_BRANCH) |                         \
		TL_COLUMN_BIT(TL_COL_COMMIT) | TL_COLUMN_BIT(TL_COL_BILLING) |                    \
		TL_COLUMN_BIT(TL_COL_TAGS) | TL_COLUMN_BIT(TL_COL_EMAIL_ENC))

static inline bool
tl_column_is_of_origin(enum tl_column column)
{
	return (TL_ORIGIN_COLUMNS >> column & 1) != 0;
}

struct tl_origins {
	int64_t *of_row; /* place of a row -> its origin */
	uint32_t *row;	 /* origin -> the row of the batch that it was first seen in */
	uint32_t count;
};

/*
 * The origins of rows row_idx[0..row_count) of batch, in the order of their first rows. Two may be
 * equal, when names are chosen so that many fall together. Memory is the arena's: TL_ENOMEM.
 */
TL_MUST enum tl_err tl_origins_find(const struct tl_batch *batch, const uint32_t *row_idx,
	uint32_t row_count, struct tl_arena *arena, struct tl_origins *origins_out);

#endif
