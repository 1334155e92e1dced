/*
 * Cells. A cell of (org, bucket) is the facts of that bucket: one row per (session, member, agent,
 * model, repo) with its totals, sorted. Every dimension is a sum over rows of one cell, a distinct
 * count is a set over them, and a link that comes late rewrites the rows of one session. So that a
 * page is no larger the more sessions an org has, each holds those of one part: a range of session
 * numbers. Numbers are given in order, so a bucket rarely has more than a few parts.
 *
 * Hours and days have pages. The rows of an hour are those of its quarters, so the page of an hour
 * is all that is stored of 15m cells as well: a quarter is the rows that say so, the hour adds them
 * up. schema/README.md 3.4 has the bytes.
 */
#ifndef TL_STORE_CELL_H
#define TL_STORE_CELL_H

#include "schema/base/arena.h"
#include "schema/base/bytes.h"
#include "schema/model/bucket.h"
#include "schema/model/totals.h"

#define TL_HOUR_QUARTERS 4u

/* What a row is about. 0 is "none" throughout. The order of the fields is the sort order. */
struct tl_cell_key {
	uint32_t session;
	uint32_t member; /* 0: unattributed */
	uint32_t agent;
	uint32_t model;
	uint32_t repo;	       /* the event's own, else the session's */
	uint32_t has_own_repo; /* 1: the event named it, so a link does not move it */
	uint32_t quarter;      /* 0 to 3 in the page of an hour; else 0 */
};

struct tl_cell_row {
	struct tl_cell_key key;
	struct tl_totals totals;
	int64_t first_ms, last_ms; /* of request events; INT64_MAX and INT64_MIN without any */
};

struct tl_pr {
	uint32_t repo;
	uint32_t number;
};

/* A pull request of a session that is active in the page. */
struct tl_cell_pr {
	uint32_t session;
	struct tl_pr pr;
};

/* The shares of one pull request (SPEC 9.8), summed over the page. */
struct tl_cell_split {
	struct tl_pr pr;
	struct tl_totals totals;
};

struct tl_page {
	struct tl_cell_row *rows; /* sorted by key, no two equal */
	uint32_t row_count;
	struct tl_cell_pr *prs; /* sorted by session, then the session's order of PRs */
	uint32_t pr_count;
	struct tl_cell_split *splits; /* sorted by (repo, number) */
	uint32_t split_count;
	uint64_t *groups;	 /* whose rows these are, rising; of hours and quarters */
	uint8_t *group_quarters; /* bit q: of quarter q; of the page of an hour, else NULL */
	uint32_t group_count;
};

/* How many sessions may have rows in one page. */
#define TL_PAGE_SESSIONS_MAX 4096u

/* The part of each cell that has the rows of the session; the first has those of none. */
static inline uint32_t
tl_cell_part(uint32_t session)
{
	return session / TL_PAGE_SESSIONS_MAX;
}

/* The span of the pages that hold the cells of a span. */
static inline enum tl_span
tl_page_span(enum tl_span span)
{
	return span == TL_SPAN_15M ? TL_SPAN_1H : span;
}

int tl_cell_key_cmp(const struct tl_cell_key *a, const struct tl_cell_key *b);

/* By repo, then number. */
int tl_pr_cmp(struct tl_pr a, struct tl_pr b);

/*
 * Append the page of an hour or a day. Splits of an hour are not written: they follow from its
 * rows.
 */
void tl_page_encode(
	const struct tl_page *page, enum tl_span span, int64_t bucket_ms, struct tl_buf *buf);

/*
 * The page of an hour, its rows by quarter and its splits computed, or of a day. All memory is the
 * arena's. TL_ESTORAGE_CORRUPT, TL_ENOMEM.
 */
TL_MUST enum tl_err tl_page_decode(struct tl_slice bytes, enum tl_span span, int64_t bucket_ms,
	struct tl_arena *arena, struct tl_page *page_out);

/* The rows of a session: the first, and how many. Without any, the first is where they would stand.
 */
struct tl_cell_row *tl_page_session_rows(
	const struct tl_page *page, uint32_t session, uint32_t *count_out);

/* The page of an hour -> one of its quarters, which may be empty: new memory in the arena. */
TL_MUST enum tl_err tl_page_quarter(const struct tl_page *hour, int64_t hour_ms, uint32_t quarter,
	struct tl_arena *arena, struct tl_page *quarter_out);

/* The page of an hour -> the hour: rows that differ in their quarter alone add up, in place, and
 * groups go. TL_EAMOUNT_OVERFLOW. */
TL_MUST enum tl_err tl_page_join_quarters(struct tl_page *page);

/*
 * The shares of every PR of the page's sessions: the rows of each session in each quarter summed,
 * divided among its PRs in their order, remainders from index (number of the 15m cell mod PRs) on.
 * bucket_ms: of the quarter, or of the hour whose rows have quarters.
 */
TL_MUST enum tl_err tl_page_split(struct tl_page *page, int64_t bucket_ms, struct tl_arena *arena);

/*
 * page + delta -> sum (new memory in the arena): rows with equal keys add up (delta's totals may be
 * negative), rows and splits that become zero vanish, first and last widen. The PRs of a session
 * that delta mentions replace the page's; PRs of sessions without rows go. delta mentions a session
 * when it has a row of it (one of zeros will do) or a PR. Groups unite. delta rows are sorted.
 * Splits are added as given: call tl_page_split for an hour. TL_EAMOUNT_OVERFLOW, TL_ENOMEM.
 */
TL_MUST enum tl_err tl_page_add(const struct tl_page *page, const struct tl_page *delta,
	struct tl_arena *arena, struct tl_page *sum_out);

/* Sort splits in place and add those of equal PRs up. */
TL_MUST enum tl_err tl_page_combine_splits(struct tl_page *page);

bool tl_page_eq(const struct tl_page *a, const struct tl_page *b);

#endif
