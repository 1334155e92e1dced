#include "rollup/audit_expect.h"

#include <stdlib.h>

enum tl_err
audit_list_put(struct audit_list *list, struct tl_arena *arena, void *what)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity * 2 + 256;
		void **at = tl_arena_array(arena, capacity, sizeof(void *));

		if (at == NULL)
			return TL_ENOMEM;
		if (list->count > 0)
			memcpy(at, list->at, list->count * sizeof(void *));
		list->at = at;
		list->capacity = capacity;
	}
	list->at[list->count++] = what;
	return TL_OK;
}

static int
compare_rows(const void *a_arg, const void *b_arg)
{
	return tl_cell_key_cmp(&((const struct tl_cell_row *)a_arg)->key,
		&((const struct tl_cell_row *)b_arg)->key);
}

/* Facts of one page, copied and added up by key, those of an hour by quarter as well. */
static enum tl_err
expect_rows(struct audit *audit, struct audit_fact *const *facts, size_t count, bool by_quarter,
	struct tl_page *page)
{
	struct tl_cell_row *rows = tl_arena_array(&audit->block_arena, count, sizeof(*rows));

	if (rows == NULL)
		return TL_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		rows[i] = facts[i]->row;
		if (by_quarter)
			rows[i].key.quarter = (uint32_t)(facts[i]->bucket_no & 3);
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	page->rows = rows;
	for (size_t i = 0; i < count; i++) {
		struct tl_cell_row *last = page->row_count > 0 ? &rows[page->row_count - 1] : NULL;
		enum tl_err err;

		if (last == NULL || tl_cell_key_cmp(&last->key, &rows[i].key) != 0) {
			rows[page->row_count++] = rows[i];
			continue;
		}
		if (rows[i].first_ms < last->first_ms)
			last->first_ms = rows[i].first_ms;
		if (rows[i].last_ms > last->last_ms)
			last->last_ms = rows[i].last_ms;
		err = tl_totals_add(&last->totals, &rows[i].totals, 1);
		if (err)
			return err;
	}
	return TL_OK;
}

static const struct audit_session *
session_with_prs(const struct audit *audit, uint32_t org, uint32_t id)
{
	const struct audit_session *session = id != 0 ? audit_session_of(audit, org, id) : NULL;

	return session != NULL && session->row.pr_count > 0 ? session : NULL;
}

static enum tl_err
expect_prs(struct audit *audit, uint32_t org, struct tl_page *page)
{
	size_t capacity = 0;

	for (int is_filling = 0; is_filling <= 1; is_filling++) {
		uint32_t before = 0;

		if (is_filling) {
			page->prs =
				tl_arena_array(&audit->block_arena, capacity, sizeof(*page->prs));
			if (page->prs == NULL)
				return TL_ENOMEM;
		}
		for (uint32_t i = 0; i < page->row_count; i++) {
			uint32_t id = page->rows[i].key.session;
			const struct audit_session *session = NULL;

			if (id != before)
				session = session_with_prs(audit, org, id);
			before = id;
			for (uint32_t j = 0; session != NULL && j < session->row.pr_count; j++) {
				if (is_filling)
					page->prs[page->pr_count++] =
						(struct tl_cell_pr){id, session->row.prs[j]};
				else
					capacity++;
			}
		}
	}
	return TL_OK;
}

/* Part part_idx of count of each measure: the floor, and one more for the first remainder parts
 * counted from start on, around. */
static void
share_by_hand(const struct tl_totals *totals, int64_t count, int64_t part_idx, int64_t start,
	struct tl_totals *share)
{
	int64_t turn = (part_idx - start + count) % count;

	for (int i = 0; i < TL_MEASURE_COUNT; i++)
		share->measure[i] =
			totals->measure[i] / count + (turn < totals->measure[i] % count ? 1 : 0);
}

/* Shares of one session in one quarter go to the end of the page's splits. */
static enum tl_err
split_session(struct audit *audit, const struct audit_session *session,
	struct audit_fact *const *facts, size_t count, struct audit_list *splits)
{
	int64_t pr_count = session->row.pr_count;
	int64_t start = (facts[0]->bucket_no % pr_count + pr_count) % pr_count;
	struct tl_totals sum = {0};
	enum tl_err err = TL_OK;

	for (size_t i = 0; !err && i < count; i++)
		err = tl_totals_add(&sum, &facts[i]->row.totals, 1);
	for (uint32_t i = 0; !err && i < session->row.pr_count; i++) {
		struct tl_cell_split *split = tl_arena_alloc(&audit->block_arena, sizeof(*split));

		if (split == NULL)
			return TL_ENOMEM;
		split->pr = session->row.prs[i];
		share_by_hand(&sum, pr_count, i, start, &split->totals);
		err = audit_list_put(splits, &audit->block_arena, split);
	}
	return err;
}

static int
compare_splits(const void *a_arg, const void *b_arg)
{
	const struct tl_pr *a = &(*(struct tl_cell_split *const *)a_arg)->pr;
	const struct tl_pr *b = &(*(struct tl_cell_split *const *)b_arg)->pr;

	if (a->repo != b->repo)
		return a->repo < b->repo ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

/* Facts are by (bucket, session), so a run of both is one session in one quarter. */
static enum tl_err
expect_splits(struct audit *audit, uint32_t org, struct audit_fact *const *facts, size_t count,
	struct tl_page *page)
{
	struct audit_list splits = {0};
	enum tl_err err = TL_OK;

	for (size_t from = 0, to; !err && from < count; from = to) {
		uint32_t id = facts[from]->row.key.session;
		const struct audit_session *session = session_with_prs(audit, org, id);

		for (to = from; to < count && facts[to]->row.key.session == id; to++) {
			if (facts[to]->bucket_no != facts[from]->bucket_no)
				break;
		}
		if (session != NULL)
			err = split_session(audit, session, facts + from, to - from, &splits);
	}
	if (err || splits.count == 0)
		return err;
	qsort(splits.at, splits.count, sizeof(void *), compare_splits);
	page->splits = tl_arena_array(&audit->block_arena, splits.count, sizeof(*page->splits));
	if (page->splits == NULL)
		return TL_ENOMEM;
	for (size_t from = 0, to; !err && from < splits.count; from = to) {
		struct tl_cell_split *sum = &page->splits[page->split_count];

		sum->pr = ((struct tl_cell_split *)splits.at[from])->pr;
		for (to = from;
			to < splits.count && compare_splits(&splits.at[from], &splits.at[to]) == 0;
			to++) {
			const struct tl_cell_split *split = splits.at[to];

			err = err ? err : tl_totals_add(&sum->totals, &split->totals, 1);
		}
		page->split_count += !tl_totals_is_zero(&sum->totals);
	}
	return err;
}

static enum tl_err
expect_groups(struct audit *audit, const struct audit_hour *hour, struct tl_page *page)
{
	uint32_t idx = hour->group_count;

	page->groups = tl_arena_array(&audit->block_arena, idx, sizeof(*page->groups));
	page->group_quarters = tl_arena_array(&audit->block_arena, idx, 1);
	if (page->groups == NULL || page->group_quarters == NULL)
		return TL_ENOMEM;
	for (const struct audit_group *group = hour->groups; group != NULL; group = group->next) {
		page->groups[--idx] = group->group_no;
		page->group_quarters[idx] = group->quarters;
	}
	page->group_count = hour->group_count;
	return TL_OK;
}

enum tl_err
audit_expect(struct audit *audit, uint32_t org, struct audit_fact *const *facts, size_t count,
	const struct audit_hour *hour, struct tl_page *page_out)
{
	struct tl_page page = {0};
	enum tl_err err;

	tl_arena_reset(&audit->block_arena);
	err = expect_rows(audit, facts, count, hour != NULL, &page);
	if (!err)
		err = expect_prs(audit, org, &page);
	if (!err)
		err = expect_splits(audit, org, facts, count, &page);
	if (!err && hour != NULL)
		err = expect_groups(audit, hour, &page);
	if (!err)
		*page_out = page;
	return err;
}
