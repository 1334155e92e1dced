/*
 * One step of the fold: groups of the journal in, changed rows of the derived families out, as
 * puts of one write. begin, group .. group, finish. Nothing is kept between steps but memory,
 * names, and rows that are as the last write left them.
 */
#ifndef ROLLUP_FOLD_H
#define ROLLUP_FOLD_H

#include "rollup/blocks.h"
#include "rollup/cache.h"
#include "rollup/index.h"
#include "rollup/lives.h"
#include "rollup/sessions.h"

#include "schema/store/write.h"

/* What a step knows of one org. */
struct fold_org {
	struct fold_org *next;
	uint32_t org;
	int64_t low_ms;	  /* the lowest event time that the step changes */
	bool keeps_pages; /* it has corrections or the like: slow paths read its pages of this step
			   */
};

struct fold_group_no {
	struct fold_group_no *next;
	uint64_t group_no;
	uint8_t quarters; /* bit q: has rows of quarter q */
};

/* A session of the page whose repo or PRs changed: its older rows follow. */
struct fold_move {
	struct fold_move *next;
	struct session_touch *touch;
};

/* A page of an hour that the step changes. */
struct fold_page {
	struct fold_org *org;
	uint32_t part;
	int64_t hour_no;
	struct fold_delta *deltas;
	uint32_t delta_count;
	struct fold_move *moves;
	uint32_t move_count;
	struct fold_group_no *groups; /* newest first, so falling */
	uint32_t group_count;
	bool has_taken_back;
};

/* Which hour has the 15m cell, by their numbers, and the other way. */
static inline int64_t
fold_hour_no(int64_t quarter_no)
{
	return quarter_no >> 2;
}

static inline int64_t
fold_quarter_no(const struct fold_page *page, uint32_t quarter)
{
	return page->hour_no * (int64_t)TL_HOUR_QUARTERS + quarter;
}

/*
 * What the step adds to one row of one page. The repo of a row without one of its own is its
 * session's, which is known only when all links of the step are.
 */
struct fold_delta {
	struct fold_delta *next; /* of the same page */
	struct fold_page *page;
	struct session_touch *touch;
	struct tl_cell_row row;
	int64_t taken_first_ms, taken_last_ms; /* of requests taken back */
	bool has_taken_back;
};

/* A page of this step, kept because its org says so. */
struct fold_kept {
	struct tl_page_place place;
	struct tl_page page;
};

struct fold {
	struct tl_store *store;
	struct blocks blocks;
	struct cache cache;
	struct sessions sessions;
	struct lives lives;
	struct tl_arena arena;	    /* until the next step begins */
	struct tl_arena page_arena; /* of the page in hand */
	struct tl_buf bytes, value;
	struct tl_write *write; /* the caller's, during finish */
	struct index deltas, pages, orgs;
	struct fold_page **page_list;
	uint32_t page_count, page_capacity;
	struct fold_org *org_list;
	uint32_t org_count;
	struct fold_delta *delta_last;	       /* of the row before */
	struct fold_kept *kept[TL_SPAN_COUNT]; /* in order of (org, part, bucket) */
	uint32_t kept_count[TL_SPAN_COUNT], kept_capacity[TL_SPAN_COUNT];
	uint64_t row_count;	     /* of the step so far */
	size_t arena_keep_bytes_max; /* what stays allocated between steps, in each arena */
};

TL_MUST enum tl_err fold_new(struct tl_store *store, struct fold **fold_out);
void fold_free(struct fold *fold);

/* Before the first step: what may be kept between steps, instead of the initial bounds. */
void fold_bound(struct fold *fold, size_t arena_keep_bytes_max, size_t cache_bytes_max);

/* Forget the step before. */
void fold_begin(struct fold *fold);

/* Take in the rows of one group: as the writer left them in memory, else from its blocks. */
TL_MUST enum tl_err fold_group(
	struct fold *fold, const struct tl_journal_row *row, struct tl_why *why);

/*
 * Everything that the step changes into write, which is committed next. When this or the commit
 * fails, or derived rows are deleted, fold_forget is due.
 */
TL_MUST enum tl_err fold_finish(struct fold *fold, struct tl_write *write, struct tl_why *why);

void fold_forget(struct fold *fold);

/* The page of an hour with the session's rows, as part of the step, made when it is not yet. */
TL_MUST enum tl_err fold_page_of(struct fold *fold, uint32_t org, uint32_t session, int64_t hour_no,
	struct fold_page **page_out);

/*
 * The page as it stands after this step: kept, else stored. TL_ENOT_FOUND. Only for orgs with
 * corrections, after cells_fold has passed the bucket.
 */
TL_MUST enum tl_err fold_page_get(struct fold *fold, const struct tl_page_place *place,
	struct tl_arena *arena, struct tl_page *page_out, struct tl_why *why);

#endif
