/*
 * The usage of a window by one dimension: for each entity its totals, its value in every bin, its
 * distinct sessions and its last request. A board may stand on another one that holds an earlier
 * part of the same window: it takes over its rows and adds to them, and the other stays as it is.
 */
#ifndef QUERY_BOARD_H
#define QUERY_BOARD_H

#include "query/facts.h"
#include "query/table.h"
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
	uint32_t session_count;	      /* distinct, with a request in the window */
	int64_t last_ms;	      /* of a request in the window; INT64_MIN without any */
	const struct board_bin *bins; /* newest first; a bin may come twice and then adds up */
	struct board_bin *own_bin;    /* the newest, when this board may still add to it */
};

/* A set of (row, session). */
struct board_set {
	uint64_t *slots; /* 0: free */
	uint32_t slot_count;
	uint32_t count;
};

struct board {
	enum tl_dim dim;
	bool is_plain; /* totals and last request only: no bins, no sessions */
	struct tl_arena *arena;
	const struct board *base; /* NULL, or what this one stands on: read only */
	struct board_row *rows;	  /* row 0 is the whole org where the dimension has one */
	uint32_t row_count, row_capacity;
	struct table keys;	   /* of the rows that base does not have */
	struct board_set sessions; /* that base does not have */
	uint64_t memo_key;	   /* the row found last */
	uint32_t memo_idx;
};

/* Keys of rows: the id of the entity; 0 is the unattributed rest (members only). */
#define BOARD_KEY_ORG UINT64_MAX
#define BOARD_KEY_SPLIT (1ULL << 31)

_Static_assert(TL_PR_MAX < BOARD_KEY_SPLIT, "a PR's number leaves room for the mark");

/* A pull request has two rows: all usage of the sessions that touched it, and its shares. */
static inline uint64_t
board_key_pr(struct tl_pr pr, bool is_split)
{
	return (uint64_t)pr.repo << 32 | (is_split ? BOARD_KEY_SPLIT : 0) | pr.number;
}

/* base may be NULL; it must outlive the board. */
TL_MUST enum tl_err board_init(struct board *board, enum tl_dim dim, bool is_plain,
	const struct board *base, struct tl_arena *arena);

/* Add the facts of a part of a window. Parts must not overlap and come in the order of time. */
TL_MUST enum tl_err board_add(struct board *board, const struct query_scene *scene,
	const struct facts_ask *ask, struct tl_why *why);

/* Add one page, whose rows lie in one bin. */
TL_MUST enum tl_err board_add_page(
	struct board *board, uint32_t bin_idx, const struct tl_page *page);

/* NULL when there is no such row. */
const struct board_row *board_find(const struct board *board, uint64_t key);

/* The value in each of bin_count bins. row may be NULL: zeros. */
void board_spark(const struct board_row *row, enum tl_metric metric, uint32_t bin_count,
	int64_t *values_out);

#endif
