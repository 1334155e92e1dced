/*
 * A page after the step = page before + delta. The delta of an hour is what the row pass summed up,
 * plus the rows of moved sessions once negative under their old repo and once positive under the
 * new one. Deltas of hours add up to the day's:
 *
 *   page of an hour  --delta rows, PR lists, split after - split before-->  page of the day
 *
 * Pages of one org and part lie next to each other in page_list, days close in order.
 */
#include "rollup/cells.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "rollup/recount.h"
#include "schema/store/expiry.h"
#include "schema/store/key.h"

#define HOURS_OF_DAY 24u

struct cells_delta {
	struct tl_page page;
	struct session_touch *
		*touches; /* whose PR lists are in page, by session; never session 0 */
	uint32_t touch_count;
	bool has_taken_back;
};

const struct tl_cell_row *
cells_row(const struct tl_page *page, const struct tl_cell_key *key)
{
	uint32_t low = 0;
	uint32_t high = page->row_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = tl_cell_key_cmp(&page->rows[middle].key, key);

		if (order == 0)
			return &page->rows[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int
compare_row_ptrs(const void *a_arg, const void *b_arg)
{
	const struct tl_cell_row *a = *(struct tl_cell_row *const *)a_arg;
	const struct tl_cell_row *b = *(struct tl_cell_row *const *)b_arg;

	return tl_cell_key_cmp(&a->key, &b->key);
}

/* Sort the rows behind the pointers and add those of equal keys up: new memory. */
static enum tl_err
gather_rows(struct tl_arena *arena, const struct tl_cell_row **from, uint32_t from_count,
	struct tl_page *page)
{
	uint32_t count = 0;

	page->rows = tl_arena_room(arena, from_count, sizeof(*page->rows));
	if (page->rows == NULL)
		return TL_ENOMEM;
	qsort(from, from_count, sizeof(*from), compare_row_ptrs);
	for (uint32_t i = 0; i < from_count; i++) {
		struct tl_cell_row *row = &page->rows[count];
		enum tl_err err;

		if (count == 0 || tl_cell_key_cmp(&row[-1].key, &from[i]->key) != 0) {
			*row = *from[i];
			count++;
			continue;
		}
		row--;
		err = tl_totals_add(&row->totals, &from[i]->totals, 1);
		if (err)
			return err;
		if (from[i]->first_ms < row->first_ms)
			row->first_ms = from[i]->first_ms;
		if (from[i]->last_ms > row->last_ms)
			row->last_ms = from[i]->last_ms;
	}
	page->row_count = count;
	return TL_OK;
}

static int
compare_touches(const void *a_arg, const void *b_arg)
{
	const struct session_touch *a = *(struct session_touch *const *)a_arg;
	const struct session_touch *b = *(struct session_touch *const *)b_arg;

	return (a->session > b->session) - (a->session < b->session);
}

/* Sort the touches, each once, and list the PRs of all of them. */
static enum tl_err
gather_prs(struct tl_arena *arena, struct cells_delta *delta)
{
	struct tl_page *page = &delta->page;
	size_t pr_count = 0;
	uint32_t count = 0;

	qsort(delta->touches, delta->touch_count, sizeof(struct session_touch *), compare_touches);
	for (uint32_t i = 0; i < delta->touch_count; i++) {
		if (count > 0 && delta->touches[count - 1] == delta->touches[i])
			continue;
		delta->touches[count++] = delta->touches[i];
		pr_count += delta->touches[i]->row.pr_count;
	}
	delta->touch_count = count;
	page->prs = tl_arena_array(arena, pr_count, sizeof(*page->prs));
	if (page->prs == NULL || pr_count > UINT32_MAX)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		const struct tl_session_row *row = &delta->touches[i]->row;

		for (uint32_t j = 0; j < row->pr_count; j++)
			page->prs[page->pr_count++] =
				(struct tl_cell_pr){delta->touches[i]->session, row->prs[j]};
	}
	return TL_OK;
}

/* after - before, as splits of the delta. */
static enum tl_err
subtract_splits(struct tl_arena *arena, const struct tl_page *after, const struct tl_page *before,
	struct tl_page *delta)
{
	uint32_t count = after->split_count + before->split_count;

	if (count == 0)
		return TL_OK;
	delta->splits = tl_arena_array(arena, count, sizeof(*delta->splits));
	if (delta->splits == NULL)
		return TL_ENOMEM;
	if (after->split_count > 0)
		memcpy(delta->splits, after->splits, after->split_count * sizeof(*delta->splits));
	for (uint32_t i = 0; i < before->split_count; i++) {
		struct tl_cell_split *split = &delta->splits[after->split_count + i];
		enum tl_err err;

		split->pr = before->splits[i].pr;
		err = tl_totals_add(&split->totals, &before->splits[i].totals, -1);
		if (err)
			return err;
	}
	delta->split_count = count;
	return tl_page_combine_splits(delta);
}

/* Where the page, or what it is added up to, stands. */
static struct tl_page_place
place_of(const struct fold_page *page, enum tl_span span)
{
	return (struct tl_page_place){.org = page->org->org,
		.span = span,
		.bucket_ms = tl_bucket_floor(span, page->hour_no * TL_HOUR_MS),
		.part = page->part};
}

/* The stored page, or an empty one. */
static enum tl_err
load_page(struct fold *fold, const struct tl_page_place *place, struct tl_arena *arena,
	struct tl_page *page_out, bool *is_stored_out, struct tl_why *why)
{
	enum tl_err err = fold_page_get(fold, place, arena, page_out, why);

	*is_stored_out = err == TL_OK;
	if (err == TL_ENOT_FOUND)
		*page_out = (struct tl_page){0};
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

static enum tl_err
keep_page(struct fold *fold, const struct tl_page_place *place, const struct tl_page *page)
{
	enum tl_span span = place->span;
	uint32_t count = fold->kept_count[span];

	if (count == fold->kept_capacity[span]) {
		uint32_t capacity = count * 2 + 16;
		struct fold_kept *kept = tl_arena_array(&fold->arena, capacity, sizeof(*kept));

		if (kept == NULL)
			return TL_ENOMEM;
		if (count > 0)
			memcpy(kept, fold->kept[span], count * sizeof(*kept));
		fold->kept[span] = kept;
		fold->kept_capacity[span] = capacity;
	}
	fold->kept[span][count] = (struct fold_kept){.place = *place, .page = *page};
	fold->kept_count[span]++;
	return TL_OK;
}

/*
 * A day without rows goes. An hour stays for its groups: which groups hold rows of it must not hang
 * on where one step ended.
 */
static enum tl_err
put_page(struct fold *fold, const struct fold_org *org, const struct tl_page_place *place,
	const struct tl_page *page)
{
	struct cache_key key = cache_key_page(place);

	if (page->row_count == 0 && page->group_count == 0) {
		cache_delete(&fold->cache, &key, fold->write);
	} else {
		tl_buf_reset(&fold->value);
		tl_page_encode(page, place->span, place->bucket_ms, &fold->value);
		if (fold->value.err)
			return fold->value.err;
		cache_put(&fold->cache, &key, tl_buf_slice(&fold->value), fold->write);
	}
	return org->keeps_pages ? keep_page(fold, place, page) : TL_OK;
}

/* Take the PR lists of the delta's sessions out of the page: the delta has them as they are now. */
static void
strip_prs(struct tl_page *page, const struct cells_delta *delta)
{
	uint32_t count = 0;
	uint32_t at = 0;

	for (uint32_t i = 0; i < page->pr_count; i++) {
		uint32_t session = page->prs[i].session;

		while (at < delta->touch_count && delta->touches[at]->session < session)
			at++;
		if (at == delta->touch_count || delta->touches[at]->session != session)
			page->prs[count++] = page->prs[i];
	}
	page->pr_count = count;
}

/* Pages of an org with corrections outlive the next page. */
static struct tl_arena *
arena_for(struct fold *fold, const struct fold_org *org)
{
	tl_arena_reset(&fold->page_arena);
	return org->keeps_pages ? &fold->arena : &fold->page_arena;
}

/* The rows of one moved session: away from the old repo, to the new one. */
static enum tl_err
move_rows(struct fold *fold, const struct tl_page *before, const struct session_touch *touch,
	const struct tl_cell_row **from, uint32_t *from_count)
{
	uint32_t count;
	const struct tl_cell_row *rows = tl_page_session_rows(before, touch->session, &count);

	for (uint32_t i = 0; touch->is_moved && i < count; i++) {
		struct tl_cell_row *pair;
		enum tl_err err;

		if (rows[i].key.has_own_repo)
			continue;
		pair = tl_arena_array(&fold->arena, 2, sizeof(*pair));
		if (pair == NULL)
			return TL_ENOMEM;
		pair[0].key = pair[1].key = rows[i].key;
		err = tl_totals_add(&pair[0].totals, &rows[i].totals, -1);
		if (err)
			return err;
		pair[0].first_ms = INT64_MAX;
		pair[0].last_ms = INT64_MIN;
		pair[1] = rows[i];
		pair[1].key.repo = touch->row.repo;
		from[(*from_count)++] = &pair[0];
		from[(*from_count)++] = &pair[1];
	}
	return TL_OK;
}

static size_t
moved_rows_max(const struct fold_page *page, const struct tl_page *before)
{
	size_t count_max = 0;

	for (const struct fold_move *move = page->moves; move != NULL; move = move->next) {
		uint32_t count;

		tl_page_session_rows(before, move->touch->session, &count);
		count_max += 2 * (size_t)count;
	}
	return count_max;
}

static enum tl_err
hour_delta(struct fold *fold, const struct fold_page *page, const struct tl_page *before,
	struct cells_delta *delta)
{
	size_t from_max = page->delta_count + moved_rows_max(page, before);
	const struct tl_cell_row **from =
		tl_arena_array(&fold->arena, from_max, sizeof(const struct tl_cell_row *));
	uint32_t from_count = 0;
	uint32_t group_idx = page->group_count;
	enum tl_err err = TL_OK;

	delta->touches = tl_arena_array(&fold->arena, (size_t)page->delta_count + page->move_count,
		sizeof(struct session_touch *));
	delta->page.groups =
		tl_arena_array(&fold->arena, page->group_count, sizeof(*delta->page.groups));
	delta->page.group_quarters = tl_arena_array(&fold->arena, page->group_count, 1);
	if (from == NULL || delta->touches == NULL || delta->page.groups == NULL ||
		delta->page.group_quarters == NULL)
		return TL_ENOMEM;
	for (const struct fold_delta *part = page->deltas; part != NULL; part = part->next) {
		from[from_count++] = &part->row;
		if (part->touch->session != 0)
			delta->touches[delta->touch_count++] = part->touch;
	}
	for (const struct fold_move *move = page->moves; !err && move; move = move->next) {
		delta->touches[delta->touch_count++] = move->touch;
		err = move_rows(fold, before, move->touch, from, &from_count);
	}
	assert(err || from_count <= from_max);
	if (!err)
		err = gather_rows(&fold->arena, from, from_count, &delta->page);
	if (!err)
		err = gather_prs(&fold->arena, delta);
	for (const struct fold_group_no *group = page->groups; group; group = group->next) {
		delta->page.groups[--group_idx] = group->group_no;
		delta->page.group_quarters[group_idx] = group->quarters;
	}
	delta->page.group_count = page->group_count;
	delta->has_taken_back = page->has_taken_back;
	return err;
}

/* Sessions of the quarter whose first or last was taken back. */
static uint32_t
find_lost(const struct fold_page *page, const struct tl_page *after, uint32_t quarter,
	uint32_t *sessions)
{
	uint32_t count = 0;

	for (const struct fold_delta *delta = page->deltas; delta != NULL; delta = delta->next) {
		const struct tl_cell_row *row;

		if (!delta->has_taken_back || delta->row.key.quarter != quarter ||
			delta->taken_last_ms == INT64_MIN)
			continue;
		row = cells_row(after, &delta->row.key);
		if (row != NULL && (delta->taken_first_ms <= row->first_ms ||
					   delta->taken_last_ms >= row->last_ms))
			sessions[count++] = delta->row.key.session;
	}
	return count;
}

static bool
has_rows(const struct tl_page *page, uint32_t session, uint32_t quarter)
{
	uint32_t count;
	const struct tl_cell_row *rows = tl_page_session_rows(page, session, &count);

	for (uint32_t i = 0; i < count; i++) {
		if (rows[i].key.quarter == quarter)
			return true;
	}
	return false;
}

/*
 * Corrections of a page: rows whose first or last was taken back are asked for again from raw, and
 * sessions that are left without a row in a quarter forget it.
 */
static enum tl_err
correct_hour(
	struct fold *fold, const struct fold_page *page, struct tl_page *after, struct tl_why *why)
{
	uint32_t *sessions = tl_arena_array(&fold->arena, page->delta_count, sizeof(*sessions));
	enum tl_err err = TL_OK;

	if (sessions == NULL)
		return TL_ENOMEM;
	for (uint32_t quarter = 0; !err && quarter < TL_HOUR_QUARTERS; quarter++) {
		uint32_t count = find_lost(page, after, quarter, sessions);

		if (count > 0)
			err = recount_quarter(fold, page->org->org, fold_quarter_no(page, quarter),
				sessions, count, after, why);
	}
	for (const struct fold_delta *delta = page->deltas; !err && delta; delta = delta->next) {
		uint32_t quarter = delta->row.key.quarter;

		if (delta->has_taken_back && delta->touch->session != 0 &&
			!has_rows(after, delta->touch->session, quarter))
			sessions_drop_bucket(delta->touch, fold_quarter_no(page, quarter));
	}
	return err;
}

/* A session says it has rows in a page that is not there: fine when the day has expired. */
static enum tl_err
missing_page(struct fold *fold, const struct fold_page *page, struct tl_why *why)
{
	int64_t bucket_ms = page->hour_no * TL_HOUR_MS;
	int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, bucket_ms);
	struct tl_expiry expiry;
	enum tl_err err = tl_expiry_get(fold->store, NULL, &expiry, why);

	/* A day's cells go before the day itself does. */
	if (err || day_ms < expiry.day_ms || !blocks_has_day(&fold->blocks, day_ms))
		return err;
	return tl_fail(why, TL_ESTORAGE_CORRUPT,
		"cell 1h org %u bucket %" PRId64 " is missing, session %u has rows in it",
		page->org->org, bucket_ms, page->moves->touch->session);
}

/* The page of an hour; what it adds to its day in *delta. */
static enum tl_err
fold_hour(struct fold *fold, const struct fold_page *page, struct cells_delta *delta,
	struct tl_why *why)
{
	struct tl_page_place place = place_of(page, TL_SPAN_1H);
	struct tl_arena *arena = arena_for(fold, page->org);
	struct tl_page before;
	struct tl_page after;
	bool is_stored;
	enum tl_err err;

	err = load_page(fold, &place, arena, &before, &is_stored, why);
	if (err)
		return err;
	if (!is_stored && page->deltas == NULL)
		return missing_page(fold, page, why);
	err = hour_delta(fold, page, &before, delta);
	if (err)
		return err;
	strip_prs(&before, delta);
	err = tl_page_add(&before, &delta->page, arena, &after);
	if (!err)
		err = tl_page_split(&after, place.bucket_ms, arena);
	if (!err && page->has_taken_back)
		err = correct_hour(fold, page, &after, why);
	if (!err)
		err = subtract_splits(&fold->arena, &after, &before, &delta->page);
	if (!err)
		err = put_page(fold, page->org, &place, &after);
	return err ? err : tl_page_join_quarters(&delta->page);
}

/* The delta of a day is the sum of its hours'. */
static enum tl_err
sum_deltas(struct fold *fold, const struct cells_delta *parts, uint32_t part_count,
	struct cells_delta *sum)
{
	const struct tl_cell_row **from;
	uint32_t row_count = 0;
	uint32_t split_count = 0;
	uint32_t touch_count = 0;
	uint32_t at = 0;
	enum tl_err err;

	if (part_count == 1) {
		*sum = parts[0];
		return TL_OK;
	}
	*sum = (struct cells_delta){0};
	for (uint32_t i = 0; i < part_count; i++) {
		row_count += parts[i].page.row_count;
		split_count += parts[i].page.split_count;
		touch_count += parts[i].touch_count;
		sum->has_taken_back |= parts[i].has_taken_back;
	}
	from = tl_arena_array(&fold->arena, row_count, sizeof(const struct tl_cell_row *));
	sum->touches = tl_arena_array(&fold->arena, touch_count, sizeof(struct session_touch *));
	sum->page.splits = tl_arena_array(&fold->arena, split_count, sizeof(*sum->page.splits));
	if (from == NULL || sum->touches == NULL || sum->page.splits == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < part_count; i++) {
		const struct cells_delta *part = &parts[i];

		for (uint32_t j = 0; j < part->page.row_count; j++)
			from[at++] = &part->page.rows[j];
		for (uint32_t j = 0; j < part->page.split_count; j++)
			sum->page.splits[sum->page.split_count++] = part->page.splits[j];
		for (uint32_t j = 0; j < part->touch_count; j++)
			sum->touches[sum->touch_count++] = part->touches[j];
	}
	err = gather_rows(&fold->arena, from, row_count, &sum->page);
	if (!err)
		err = gather_prs(&fold->arena, sum);
	return err ? err : tl_page_combine_splits(&sum->page);
}

static enum tl_err
fold_sum(struct fold *fold, const struct fold_org *org, const struct tl_page_place *place,
	const struct cells_delta *delta, struct tl_why *why)
{
	struct tl_arena *arena = arena_for(fold, org);
	struct tl_page before;
	struct tl_page after;
	bool is_stored;
	enum tl_err err;

	if (delta->page.row_count == 0 && delta->touch_count == 0)
		return TL_OK;
	err = load_page(fold, place, arena, &before, &is_stored, why);
	if (err)
		return err;
	strip_prs(&before, delta);
	err = tl_page_add(&before, &delta->page, arena, &after);
	if (!err && delta->has_taken_back)
		err = recount_day(fold, place, &after, why);
	return err ? err : put_page(fold, org, place, &after);
}

/* Whether the page is a part of what stands at place. */
static bool
is_within(const struct fold_page *page, const struct tl_page_place *place)
{
	struct tl_page_place above = place_of(page, place->span);

	return above.org == place->org && above.part == place->part &&
	       above.bucket_ms == place->bucket_ms;
}

/* The pages of one day; *at moves past them. */
static enum tl_err
fold_day(struct fold *fold, uint32_t *at, struct tl_why *why)
{
	struct cells_delta hours[HOURS_OF_DAY] = {0};
	struct cells_delta day = {0};
	const struct fold_org *org = fold->page_list[*at]->org;
	struct tl_page_place place = place_of(fold->page_list[*at], TL_SPAN_1D);
	uint32_t count = 0;
	enum tl_err err = TL_OK;

	for (; !err && *at < fold->page_count; (*at)++) {
		const struct fold_page *page = fold->page_list[*at];

		if (!is_within(page, &place))
			break;
		assert(count < HOURS_OF_DAY);
		err = fold_hour(fold, page, &hours[count++], why);
	}
	if (!err)
		err = sum_deltas(fold, hours, count, &day);
	return err ? err : fold_sum(fold, org, &place, &day, why);
}

static int
compare_pages(const void *a_arg, const void *b_arg)
{
	const struct fold_page *a = *(struct fold_page *const *)a_arg;
	const struct fold_page *b = *(struct fold_page *const *)b_arg;

	if (a->org->org != b->org->org)
		return a->org->org < b->org->org ? -1 : 1;
	if (a->part != b->part)
		return a->part < b->part ? -1 : 1;
	return (a->hour_no > b->hour_no) - (a->hour_no < b->hour_no);
}

enum tl_err
cells_fold(struct fold *fold, struct tl_why *why)
{
	uint32_t at = 0;
	enum tl_err err = TL_OK;

	if (fold->page_count > 0)
		qsort(fold->page_list, fold->page_count, sizeof(struct fold_page *), compare_pages);
	while (!err && at < fold->page_count)
		err = fold_day(fold, &at, why);
	return err;
}
