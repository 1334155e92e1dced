/* What pages add up to: the shares of pull requests, and page + page, by merging sorted lists. */
#include <stdlib.h>

#include "schema/store/cell.h"

/* One PR of one session in one quarter: which part of whose totals is its share. */
struct share {
	struct tl_pr pr;
	const struct tl_totals *sum;
	uint32_t part_idx;
	uint32_t part_count;
	uint32_t start; /* the part that gets the first of the remainder */
};

static int
share_cmp(const void *a, const void *b)
{
	const struct share *share_a = a;
	const struct share *share_b = b;

	return tl_pr_cmp(share_a->pr, share_b->pr);
}

/*
 * The totals of a session's rows by quarter, and a bit for each quarter that has some; *row_idx
 * moves past them. Rows and sessions are sorted.
 */
static enum tl_err
sum_session(const struct tl_page *page, uint32_t session, uint32_t *row_idx,
	struct tl_totals sums[TL_HOUR_QUARTERS], uint32_t *quarters_out)
{
	uint32_t quarters = 0;

	while (*row_idx < page->row_count && page->rows[*row_idx].key.session < session)
		++*row_idx;
	for (; *row_idx < page->row_count; ++*row_idx) {
		const struct tl_cell_row *row = &page->rows[*row_idx];
		uint32_t quarter = row->key.quarter;
		enum tl_err err;

		if (row->key.session != session)
			break;
		if ((quarters >> quarter & 1) == 0)
			sums[quarter] = (struct tl_totals){.requests = 0};
		quarters |= 1u << quarter;
		err = tl_totals_add(&sums[quarter], &row->totals, 1);
		if (err)
			return err;
	}
	*quarters_out = quarters;
	return TL_OK;
}

/* number mod count, never below 0. */
static uint32_t
turn_of(int64_t number, uint32_t count)
{
	int64_t turn = number % count;

	return (uint32_t)(turn < 0 ? turn + count : turn);
}

/* The shares of all PRs, and the totals that they are parts of: TL_HOUR_QUARTERS a session. */
static enum tl_err
find_shares(const struct tl_page *page, int64_t cell_no, struct share *shares,
	struct tl_totals *sums, uint32_t *share_count_out)
{
	uint32_t row_idx = 0;
	uint32_t count = 0;

	for (uint32_t from = 0, to; from < page->pr_count; from = to, sums += TL_HOUR_QUARTERS) {
		uint32_t session = page->prs[from].session;
		uint32_t quarters;
		enum tl_err err = sum_session(page, session, &row_idx, sums, &quarters);

		if (err)
			return err;
		for (to = from; to < page->pr_count && page->prs[to].session == session;)
			to++;
		for (uint32_t quarter = 0; quarters >> quarter != 0; quarter++) {
			uint32_t start = turn_of(cell_no + quarter, to - from);

			if ((quarters >> quarter & 1) == 0)
				continue;
			for (uint32_t i = from; i < to; i++)
				shares[count++] = (struct share){.pr = page->prs[i].pr,
					.sum = &sums[quarter],
					.part_idx = i - from,
					.part_count = to - from,
					.start = start};
		}
	}
	*share_count_out = count;
	return TL_OK;
}

static enum tl_err
add_shares(const struct share *shares, uint32_t count, struct tl_cell_split *split)
{
	for (uint32_t i = 0; i < count; i++) {
		struct tl_totals part;
		enum tl_err err;

		tl_totals_share(shares[i].sum, shares[i].part_count, shares[i].part_idx,
			shares[i].start, &part);
		err = tl_totals_add(&split->totals, &part, 1);
		if (err)
			return err;
	}
	return TL_OK;
}

enum tl_err
tl_page_split(struct tl_page *page, int64_t bucket_ms, struct tl_arena *arena)
{
	size_t shares_max = (size_t)page->pr_count * TL_HOUR_QUARTERS;
	struct share *shares;
	struct tl_totals *sums;
	uint32_t share_count;
	enum tl_err err;

	page->splits = NULL;
	page->split_count = 0;
	if (page->pr_count == 0)
		return TL_OK;
	shares = tl_arena_room(arena, shares_max, sizeof(*shares));
	sums = tl_arena_room(arena, shares_max, sizeof(*sums));
	page->splits = tl_arena_room(arena, page->pr_count, sizeof(*page->splits));
	if (shares == NULL || sums == NULL || page->splits == NULL || shares_max > UINT32_MAX)
		return TL_ENOMEM;
	err = find_shares(page, tl_bucket_no(TL_SPAN_15M, bucket_ms), shares, sums, &share_count);
	if (err)
		return err;
	qsort(shares, share_count, sizeof(*shares), share_cmp);
	for (uint32_t from = 0, to; from < share_count; from = to) {
		struct tl_cell_split *split = &page->splits[page->split_count];

		for (to = from; to < share_count; to++) {
			if (tl_pr_cmp(shares[to].pr, shares[from].pr) != 0)
				break;
		}
		*split = (struct tl_cell_split){.pr = shares[from].pr};
		err = add_shares(shares + from, to - from, split);
		if (err)
			return err;
		page->split_count += !tl_totals_is_zero(&split->totals);
	}
	return TL_OK;
}

static int
split_cmp(const void *a, const void *b)
{
	return tl_pr_cmp(
		((const struct tl_cell_split *)a)->pr, ((const struct tl_cell_split *)b)->pr);
}

enum tl_err
tl_page_combine_splits(struct tl_page *page)
{
	uint32_t count = 0;

	if (page->split_count == 0)
		return TL_OK;
	qsort(page->splits, page->split_count, sizeof(*page->splits), split_cmp);
	for (uint32_t i = 0; i < page->split_count; i++) {
		enum tl_err err;

		if (count == 0 || split_cmp(&page->splits[count - 1], &page->splits[i]) != 0) {
			page->splits[count++] = page->splits[i];
			continue;
		}
		err = tl_totals_add(&page->splits[count - 1].totals, &page->splits[i].totals, 1);
		if (err)
			return err;
	}
	page->split_count = count;
	return TL_OK;
}

static enum tl_err
add_row(const struct tl_cell_row *row, const struct tl_cell_row *delta, struct tl_cell_row *sum)
{
	*sum = *row;
	if (delta->first_ms < sum->first_ms)
		sum->first_ms = delta->first_ms;
	if (delta->last_ms > sum->last_ms)
		sum->last_ms = delta->last_ms;
	return tl_totals_add(&sum->totals, &delta->totals, 1);
}

static enum tl_err
add_rows(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->row_count + delta->row_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;
	enum tl_err err;

	sum->rows = tl_arena_room(arena, count_max, sizeof(*sum->rows));
	if (sum->rows == NULL)
		return TL_ENOMEM;
	while (page_idx < page->row_count || delta_idx < delta->row_count) {
		struct tl_cell_row *row = &sum->rows[sum->row_count];
		int order;

		if (page_idx == page->row_count)
			order = 1;
		else if (delta_idx == delta->row_count)
			order = -1;
		else
			order = tl_cell_key_cmp(
				&page->rows[page_idx].key, &delta->rows[delta_idx].key);
		if (order < 0) {
			*row = page->rows[page_idx++];
		} else if (order > 0) {
			*row = delta->rows[delta_idx++];
		} else {
			err = add_row(&page->rows[page_idx++], &delta->rows[delta_idx++], row);
			if (err)
				return err;
		}
		sum->row_count += !tl_totals_is_zero(&row->totals);
	}
	return TL_OK;
}

static enum tl_err
add_splits(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->split_count + delta->split_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;
	enum tl_err err;

	sum->splits = tl_arena_room(arena, count_max, sizeof(*sum->splits));
	if (sum->splits == NULL)
		return TL_ENOMEM;
	while (page_idx < page->split_count || delta_idx < delta->split_count) {
		struct tl_cell_split *split = &sum->splits[sum->split_count];
		int order;

		if (page_idx == page->split_count)
			order = 1;
		else if (delta_idx == delta->split_count)
			order = -1;
		else
			order = tl_pr_cmp(page->splits[page_idx].pr, delta->splits[delta_idx].pr);
		if (order > 0) {
			*split = delta->splits[delta_idx++];
		} else {
			*split = page->splits[page_idx++];
		}
		if (order == 0) {
			err = tl_totals_add(&split->totals, &delta->splits[delta_idx++].totals, 1);
			if (err)
				return err;
		}
		sum->split_count += !tl_totals_is_zero(&split->totals);
	}
	return TL_OK;
}

/* Whether the page has a row of the session; *row_idx moves on with rising sessions. */
static bool
has_session(const struct tl_page *page, uint32_t session, uint32_t *row_idx)
{
	while (*row_idx < page->row_count && page->rows[*row_idx].key.session < session)
		++*row_idx;
	return *row_idx < page->row_count && page->rows[*row_idx].key.session == session;
}

/* Copy the PRs of one session, or step over them. */
static uint32_t
copy_prs(const struct tl_page *from, uint32_t *pr_idx, uint32_t session, bool keep,
	struct tl_page *sum)
{
	uint32_t count = 0;

	while (*pr_idx < from->pr_count && from->prs[*pr_idx].session == session) {
		if (keep)
			sum->prs[sum->pr_count++] = from->prs[*pr_idx];
		++*pr_idx;
		count++;
	}
	return count;
}

/* delta says what the PRs of a session are as soon as it has a row or a PR of that session. */
static enum tl_err
add_prs(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->pr_count + delta->pr_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;
	uint32_t delta_row_idx = 0;
	uint32_t sum_row_idx = 0;

	sum->prs = tl_arena_room(arena, count_max, sizeof(*sum->prs));
	if (sum->prs == NULL)
		return TL_ENOMEM;
	while (page_idx < page->pr_count || delta_idx < delta->pr_count) {
		uint32_t session = UINT32_MAX;
		bool keep;
		bool said;

		if (page_idx < page->pr_count)
			session = page->prs[page_idx].session;
		if (delta_idx < delta->pr_count && delta->prs[delta_idx].session < session)
			session = delta->prs[delta_idx].session;
		keep = has_session(sum, session, &sum_row_idx);
		said = has_session(delta, session, &delta_row_idx);
		said |= copy_prs(delta, &delta_idx, session, keep, sum) > 0;
		(void)copy_prs(page, &page_idx, session, keep && !said, sum);
	}
	return TL_OK;
}

/* The group at *idx of the page, when it is this one: its quarters, and past it. */
static uint8_t
take_group(const struct tl_page *page, uint64_t group_no, uint32_t *idx)
{
	if (*idx == page->group_count || page->groups[*idx] != group_no)
		return 0;
	return page->group_quarters[(*idx)++];
}

static enum tl_err
add_groups(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum)
{
	size_t count_max = (size_t)page->group_count + delta->group_count;
	uint32_t page_idx = 0;
	uint32_t delta_idx = 0;

	sum->groups = tl_arena_room(arena, count_max, sizeof(*sum->groups));
	sum->group_quarters = tl_arena_room(arena, count_max, 1);
	if (sum->groups == NULL || sum->group_quarters == NULL)
		return TL_ENOMEM;
	while (page_idx < page->group_count || delta_idx < delta->group_count) {
		uint64_t group_no = UINT64_MAX;
		uint8_t quarters;

		if (page_idx < page->group_count)
			group_no = page->groups[page_idx];
		if (delta_idx < delta->group_count && delta->groups[delta_idx] < group_no)
			group_no = delta->groups[delta_idx];
		quarters = take_group(page, group_no, &page_idx);
		quarters |= take_group(delta, group_no, &delta_idx);
		sum->groups[sum->group_count] = group_no;
		sum->group_quarters[sum->group_count++] = quarters;
	}
	return TL_OK;
}

enum tl_err
tl_page_add(const struct tl_page *page, const struct tl_page *delta, struct tl_arena *arena,
	struct tl_page *sum_out)
{
	struct tl_page sum = {.row_count = 0};
	enum tl_err err;

	err = add_rows(page, delta, arena, &sum);
	if (!err)
		err = add_splits(page, delta, arena, &sum);
	if (!err)
		err = add_prs(page, delta, arena, &sum);
	if (!err)
		err = add_groups(page, delta, arena, &sum);
	if (!err)
		*sum_out = sum;
	return err;
}
