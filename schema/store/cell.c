/* Pages in memory: their order, and the cells that the page of an hour holds. */
#include "schema/store/cell.h"

#include <assert.h>

static int
cmp_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

int
tl_cell_key_cmp(const struct tl_cell_key *a, const struct tl_cell_key *b)
{
	if (a->session != b->session)
		return a->session < b->session ? -1 : 1;
	if (a->member != b->member)
		return a->member < b->member ? -1 : 1;
	if (a->agent != b->agent)
		return a->agent < b->agent ? -1 : 1;
	if (a->model != b->model)
		return a->model < b->model ? -1 : 1;
	if (a->repo != b->repo)
		return a->repo < b->repo ? -1 : 1;
	if (a->has_own_repo != b->has_own_repo)
		return a->has_own_repo < b->has_own_repo ? -1 : 1;
	return cmp_u32(a->quarter, b->quarter);
}

int
tl_pr_cmp(struct tl_pr a, struct tl_pr b)
{
	int order = cmp_u32(a.repo, b.repo);

	return order != 0 ? order : cmp_u32(a.number, b.number);
}

struct tl_cell_row *
tl_page_session_rows(const struct tl_page *page, uint32_t session, uint32_t *count_out)
{
	uint32_t low = 0;
	uint32_t high = page->row_count;
	uint32_t end;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (page->rows[middle].key.session < session)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < page->row_count && page->rows[end].key.session == session;)
		end++;
	*count_out = end - low;
	return page->rows + low;
}

/* The PRs of sessions that have rows in the quarter. */
static void
copy_prs(const struct tl_page *hour, struct tl_page *page)
{
	uint32_t row_idx = 0;

	for (uint32_t i = 0; i < hour->pr_count; i++) {
		uint32_t session = hour->prs[i].session;

		while (row_idx < page->row_count && page->rows[row_idx].key.session < session)
			row_idx++;
		if (row_idx < page->row_count && page->rows[row_idx].key.session == session)
			page->prs[page->pr_count++] = hour->prs[i];
	}
}

enum tl_err
tl_page_quarter(const struct tl_page *hour, int64_t hour_ms, uint32_t quarter,
	struct tl_arena *arena, struct tl_page *quarter_out)
{
	struct tl_page page = {
		.rows = tl_arena_room(arena, hour->row_count, sizeof(*page.rows)),
		.prs = tl_arena_room(arena, hour->pr_count, sizeof(*page.prs)),
		.groups = tl_arena_room(arena, hour->group_count, sizeof(*page.groups)),
	};
	enum tl_err err;

	assert(quarter < TL_HOUR_QUARTERS);
	if (page.rows == NULL || page.prs == NULL || page.groups == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < hour->row_count; i++) {
		if (hour->rows[i].key.quarter != quarter)
			continue;
		page.rows[page.row_count] = hour->rows[i];
		page.rows[page.row_count++].key.quarter = 0;
	}
	copy_prs(hour, &page);
	for (uint32_t i = 0; i < hour->group_count; i++) {
		if (hour->group_quarters[i] >> quarter & 1)
			page.groups[page.group_count++] = hour->groups[i];
	}
	err = tl_page_split(&page, hour_ms + quarter * TL_QUARTER_MS, arena);
	if (!err)
		*quarter_out = page;
	return err;
}

enum tl_err
tl_page_join_quarters(struct tl_page *page)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < page->row_count; i++) {
		struct tl_cell_row *row = &page->rows[i];
		struct tl_cell_row *last = &page->rows[count == 0 ? 0 : count - 1];
		enum tl_err err;

		row->key.quarter = 0;
		if (count == 0 || tl_cell_key_cmp(&last->key, &row->key) != 0) {
			if (count != i)
				page->rows[count] = *row;
			count++;
			continue;
		}
		if (row->first_ms < last->first_ms)
			last->first_ms = row->first_ms;
		if (row->last_ms > last->last_ms)
			last->last_ms = row->last_ms;
		err = tl_totals_add(&last->totals, &row->totals, 1);
		if (err)
			return err;
	}
	page->row_count = count;
	page->group_count = 0;
	page->group_quarters = NULL;
	return TL_OK;
}

static bool
row_eq(const struct tl_cell_row *a, const struct tl_cell_row *b)
{
	return tl_cell_key_cmp(&a->key, &b->key) == 0 && tl_totals_eq(&a->totals, &b->totals) &&
	       a->first_ms == b->first_ms && a->last_ms == b->last_ms;
}

static uint8_t
quarters_of(const struct tl_page *page, uint32_t group_idx)
{
	return page->group_quarters != NULL ? page->group_quarters[group_idx] : 0;
}

bool
tl_page_eq(const struct tl_page *a, const struct tl_page *b)
{
	if (a->row_count != b->row_count || a->pr_count != b->pr_count ||
		a->split_count != b->split_count || a->group_count != b->group_count)
		return false;
	for (uint32_t i = 0; i < a->row_count; i++) {
		if (!row_eq(&a->rows[i], &b->rows[i]))
			return false;
	}
	for (uint32_t i = 0; i < a->pr_count; i++) {
		if (a->prs[i].session != b->prs[i].session ||
			tl_pr_cmp(a->prs[i].pr, b->prs[i].pr) != 0)
			return false;
	}
	for (uint32_t i = 0; i < a->split_count; i++) {
		if (tl_pr_cmp(a->splits[i].pr, b->splits[i].pr) != 0 ||
			!tl_totals_eq(&a->splits[i].totals, &b->splits[i].totals))
			return false;
	}
	for (uint32_t i = 0; i < a->group_count; i++) {
		if (a->groups[i] != b->groups[i] || quarters_of(a, i) != quarters_of(b, i))
			return false;
	}
	return true;
}
