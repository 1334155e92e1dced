/*
 * The usage of a window by one dimension: for each entity its totals, its value in every bin, its
 * distinct sessions and its last request. A board may stand on another one that holds an earlier
 * part of the same window: then it copies the rows that it adds to, and the other stays as it is.
 */
#ifndef QUERY_BOARD_H
#define QUERY_BOARD_H

#include "query/facts.h"
#include "query/table.h"
#include "query/visits.h"
#include "schema/model/ref.h"

/* The values of one entity in one bin. */
struct board_bin {
	const struct board_bin *older;
	uint32_t bin_idx;
	int64_t value[TL_METRIC_COUNT];
};

struct board_row {
	uint64_t key;
	struct tl_totals totals;
	uint32_t session_count; /* distinct, with a request in the window */
	uint32_t bin_count;
	int64_t last_ms;	      /* of a request in the window; INT64_MIN without any */
	const struct board_bin *bins; /* newest first; a bin may come twice and then adds up */
	struct board_bin *own_bin;    /* the newest, when this board may still add to it */
};

/* By each metric and by sessions. */
#define BOARD_ORDERS (TL_METRIC_COUNT + 1)

struct board {
	enum tl_dim dim;
	bool is_plain;	    /* totals and last request only: no bins, no sessions */
	uint32_t row_count; /* of base and own; row 0 is the whole org where there is such a row */
	struct tl_arena *arena;
	const struct board *base; /* NULL, or what this one stands on: read only */
	struct board_row *own;	  /* rows made or copied here */
	uint32_t own_count, own_capacity;
	uint32_t *own_of; /* with a base: row -> its place in own + 1, 0: the base's is good */
	uint32_t row_capacity;
	uint32_t *direct; /* small key -> row + 1, of the rows that base does not have; 0: none */
	uint32_t direct_count;
	struct table keys;	      /* the same for keys that are not small */
	struct board_bin *spare_bins; /* made in one piece, not yet used */
	uint32_t spare_bin_count;
	struct visits sessions; /* that base does not have */
	uint64_t memo_key;	/* the row found last */
	uint32_t memo_idx;
	int64_t *falling[TL_METRIC_COUNT]; /* board_order: the used members' values, falling */
	uint32_t falling_count;
	uint32_t *order[BOARD_ORDERS]; /* order.h: rows of the used entities */
	uint32_t order_count;
};

/* Ids are dense: up to here a key is a place in an array, beyond and for PRs it is hashed. */
#define BOARD_DIRECT_MAX (1u << 16)

/* Keys of rows: the id of the entity; 0 is the unattributed rest (members only). */
#define BOARD_KEY_ORG UINT64_MAX
#define BOARD_KEY_SPLIT (1ULL << 31)

_Static_assert(TL_PR_MAX < BOARD_KEY_SPLIT, "a PR's number leaves room for the mark");

/* Row 0 is the whole org. */
static inline bool
board_has_org(enum tl_dim dim)
{
	return dim == TL_DIM_ORG || dim == TL_DIM_MEMBER;
}

/* A pull request has two rows: all usage of the sessions that touched it, and its shares. */
static inline uint64_t
board_key_pr(struct tl_pr pr, bool is_split)
{
	return (uint64_t)pr.repo << 32 | (is_split ? BOARD_KEY_SPLIT : 0) | pr.number;
}

/* base may be NULL; else it stands on nothing itself and outlives the board. */
TL_MUST enum tl_err board_init(struct board *board, enum tl_dim dim, bool is_plain,
	const struct board *base, struct tl_arena *arena);

/* Add the facts of a part of a window. Parts must not overlap and come in the order of time. */
TL_MUST enum tl_err board_add(struct board *board, const struct query_scene *scene,
	const struct facts_ask *ask, struct tl_why *why);

/* What one fact counts for: it, or its share of a PR, under the key of an entity. */
typedef enum tl_err board_visit(void *arg, uint64_t key, const struct tl_cell_row *fact);

/* Visit the facts of a page by entity. The whole org, where it has a row, is not visited. */
TL_MUST enum tl_err board_each(
	enum tl_dim dim, const struct tl_page *page, board_visit *visit, void *arg);

/* Add one page, whose rows lie in one bin. */
TL_MUST enum tl_err board_add_page(
	struct board *board, uint32_t bin_idx, const struct tl_page *page);

/* row_idx is below row_count. Valid until the board is added to. */
static inline const struct board_row *
board_row(const struct board *board, uint32_t row_idx)
{
	if (board->base == NULL)
		return &board->own[row_idx];
	if (board->own_of[row_idx] != 0)
		return &board->own[board->own_of[row_idx] - 1];
	return &board->base->own[row_idx];
}

/* The parts of adding, for sums that are not pages: the row of a key, made when new and ours. */
TL_MUST enum tl_err board_need_row(struct board *board, uint64_t key, uint32_t *idx_out);
TL_MUST enum tl_err board_add_values(struct board *board, uint32_t row_idx, uint32_t bin_idx,
	const int64_t values[TL_METRIC_COUNT]);
TL_MUST enum tl_err board_add_session(struct board *board, uint32_t row_idx, uint32_t session);

/* A row that board_need_row gave; valid until the next one is needed. */
static inline struct board_row *
board_own_row(struct board *board, uint32_t row_idx)
{
	return &board->own[board->base != NULL ? board->own_of[row_idx] - 1 : row_idx];
}

static inline void
board_values(const struct tl_totals *totals, int64_t values_out[TL_METRIC_COUNT])
{
	for (int metric = 0; metric < TL_METRIC_COUNT; metric++)
		values_out[metric] = tl_totals_value(totals, (enum tl_metric)metric);
}

/* Whether the row was made or added to here, and not by the base. */
static inline bool
board_is_own(const struct board *board, uint32_t row_idx)
{
	return board->base == NULL || board->own_of[row_idx] != 0;
}

/* NULL when there is no such row. */
const struct board_row *board_find(const struct board *board, uint64_t key);

/* The value in each of bin_count bins. row may be NULL: zeros. */
void board_spark(const struct board_row *row, enum tl_metric metric, uint32_t bin_count,
	int64_t *values_out);

/*
 * A copy without slack, each row's bins side by side, in an arena made for it: what is kept for
 * long. The board must have no base. The caller owns *arena_out.
 */
TL_MUST enum tl_err board_pack(
	const struct board *board, struct board *packed_out, struct tl_arena *arena_out);

/* Fill falling for a metric. Members only. */
TL_MUST enum tl_err board_order(struct board *board, enum tl_metric metric, struct tl_arena *arena);

/* The rank that a value has among the used members: one more than those that are ahead. */
uint32_t board_rank(const struct board *board, enum tl_metric metric, int64_t value);

#endif
