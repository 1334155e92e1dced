/*
 * Rows become sums first: one delta per (session, member, agent, model, own repo, quarter). About
 * 40 events share a session, so everything after the row pass works on a few sums per session, and
 * session rows and lives are added up from those as well.
 *
 *   rows -> deltas -> sessions settled (links, repo, PRs) -> keys complete -> 1h -> 1d
 *                  \-> lives, session totals
 */
#include "rollup/fold.h"

#include <inttypes.h>
#include <stdlib.h>

#include "rollup/cells.h"
#include "rollup/recount.h"
#include "schema/store/fresh.h"

/* A step is bounded by its rows; these are far above what those can need. */
#define STEP_ARENA_BYTES_MAX (4ull << 30)
#define PAGE_ARENA_BYTES_MAX (4ull << 30)

/* What stays allocated between steps, unless told otherwise. */
#define ARENA_KEEP_BYTES_MAX (256u << 20)

#define COLUMN(column) (UINT64_C(1) << (column))

/* Everything but what no figure depends on. */
#define FOLD_COLUMNS                                                                             \
	(TL_BLOCK_ALL_COLUMNS &                                                                  \
		~(COLUMN(TL_COL_REV) | COLUMN(TL_COL_PROVIDER) | COLUMN(TL_COL_BRANCH) |         \
			COLUMN(TL_COL_COMMIT) | COLUMN(TL_COL_TAGS) | COLUMN(TL_COL_EMAIL_ENC) | \
			COLUMN(TL_COL_RULE) | COLUMN(TL_COL_SEVERITY)))

enum tl_err
fold_new(struct tl_store *store, struct fold **fold_out)
{
	struct fold *fold = calloc(1, sizeof(*fold));
	enum tl_err err;

	if (fold == NULL)
		return TL_ENOMEM;
	fold->store = store;
	fold->arena_keep_bytes_max = ARENA_KEEP_BYTES_MAX;
	blocks_init(&fold->blocks, store);
	cache_init(&fold->cache, store);
	tl_arena_init(&fold->arena, STEP_ARENA_BYTES_MAX);
	tl_arena_init(&fold->page_arena, PAGE_ARENA_BYTES_MAX);
	tl_buf_init(&fold->bytes, 0);
	tl_buf_init(&fold->value, 0);
	err = sessions_init(&fold->sessions, store, &fold->cache);
	if (err) {
		fold_free(fold);
		return err;
	}
	*fold_out = fold;
	return TL_OK;
}

void
fold_free(struct fold *fold)
{
	if (fold == NULL)
		return;
	blocks_fini(&fold->blocks);
	cache_fini(&fold->cache);
	sessions_fini(&fold->sessions);
	tl_arena_fini(&fold->arena);
	tl_arena_fini(&fold->page_arena);
	tl_buf_fini(&fold->bytes);
	tl_buf_fini(&fold->value);
	free(fold);
}

/* Two halves of the cache and half as much for the ends of families. */
void
fold_bound(struct fold *fold, size_t arena_keep_bytes_max, size_t cache_bytes_max)
{
	fold->arena_keep_bytes_max = arena_keep_bytes_max;
	cache_bound(&fold->cache, cache_bytes_max / 5 * 2, cache_bytes_max / 5);
}

static void
reset_arena(struct tl_arena *arena, size_t keep_bytes_max)
{
	if (arena->used_bytes > keep_bytes_max) {
		size_t bytes_max = arena->bytes_max;

		tl_arena_fini(arena);
		tl_arena_init(arena, bytes_max);
	} else {
		tl_arena_reset(arena);
	}
}

void
fold_begin(struct fold *fold)
{
	reset_arena(&fold->arena, fold->arena_keep_bytes_max);
	reset_arena(&fold->page_arena, fold->arena_keep_bytes_max);
	sessions_begin(&fold->sessions);
	lives_begin(&fold->lives);
	fold->deltas = fold->pages = fold->orgs = (struct index){0};
	fold->page_list = NULL;
	fold->page_count = fold->page_capacity = 0;
	fold->org_list = NULL;
	fold->org_count = 0;
	fold->delta_last = NULL;
	fold->row_count = 0;
	for (int span = 0; span < TL_SPAN_COUNT; span++) {
		fold->kept[span] = NULL;
		fold->kept_count[span] = fold->kept_capacity[span] = 0;
	}
}

static enum tl_err
org_of(struct fold *fold, uint32_t no, struct fold_org **org_out)
{
	uint64_t hash = index_hash(no, 1);
	uint64_t at = hash;
	struct fold_org *org;

	while ((org = index_next(&fold->orgs, hash, &at)) != NULL) {
		if (org->org == no) {
			*org_out = org;
			return TL_OK;
		}
	}
	org = tl_arena_alloc(&fold->arena, sizeof(*org));
	if (org == NULL)
		return TL_ENOMEM;
	*org = (struct fold_org){.next = fold->org_list, .org = no, .low_ms = INT64_MAX};
	fold->org_list = org;
	fold->org_count++;
	*org_out = org;
	return index_put(&fold->orgs, &fold->arena, hash, org);
}

static enum tl_err
list_page(struct fold *fold, struct fold_page *page)
{
	if (fold->page_count == fold->page_capacity) {
		uint32_t capacity = fold->page_capacity * 2 + 64;
		struct fold_page **list =
			tl_arena_array(&fold->arena, capacity, sizeof(struct fold_page *));

		if (list == NULL)
			return TL_ENOMEM;
		if (fold->page_count > 0)
			memcpy(list, fold->page_list,
				fold->page_count * sizeof(struct fold_page *));
		fold->page_list = list;
		fold->page_capacity = capacity;
	}
	fold->page_list[fold->page_count++] = page;
	return TL_OK;
}

enum tl_err
fold_page_of(struct fold *fold, uint32_t org, uint32_t session, int64_t hour_no,
	struct fold_page **page_out)
{
	uint32_t part = tl_cell_part(session);
	uint64_t hash = index_hash((uint64_t)part << 32 | org, (uint64_t)hour_no);
	uint64_t at = hash;
	struct fold_page *page;
	enum tl_err err;

	while ((page = index_next(&fold->pages, hash, &at)) != NULL) {
		if (page->org->org == org && page->part == part && page->hour_no == hour_no) {
			*page_out = page;
			return TL_OK;
		}
	}
	page = tl_arena_alloc(&fold->arena, sizeof(*page));
	if (page == NULL)
		return TL_ENOMEM;
	page->hour_no = hour_no;
	page->part = part;
	err = org_of(fold, org, &page->org);
	if (!err)
		err = list_page(fold, page);
	if (!err)
		err = index_put(&fold->pages, &fold->arena, hash, page);
	if (err)
		return err;
	*page_out = page;
	return TL_OK;
}

static bool
is_delta_of(const struct fold_delta *delta, const struct session_touch *touch,
	const struct tl_cell_key *key, int64_t hour_no)
{
	return delta->touch == touch && delta->page->hour_no == hour_no &&
	       delta->row.key.quarter == key->quarter && delta->row.key.model == key->model &&
	       delta->row.key.member == key->member && delta->row.key.agent == key->agent &&
	       delta->row.key.repo == key->repo;
}

static enum tl_err
make_delta(struct fold *fold, struct session_touch *touch, const struct tl_cell_key *key,
	int64_t hour_no, uint64_t hash, struct fold_delta **delta_out)
{
	struct fold_delta *delta = tl_arena_alloc(&fold->arena, sizeof(*delta));
	enum tl_err err;

	if (delta == NULL)
		return TL_ENOMEM;
	err = fold_page_of(fold, touch->org, touch->session, hour_no, &delta->page);
	if (err)
		return err;
	delta->touch = touch;
	delta->row.key = *key;
	delta->row.first_ms = delta->taken_first_ms = INT64_MAX;
	delta->row.last_ms = delta->taken_last_ms = INT64_MIN;
	delta->next = delta->page->deltas;
	delta->page->deltas = delta;
	delta->page->delta_count++;
	*delta_out = delta;
	return index_put(&fold->deltas, &fold->arena, hash, delta);
}

/* The sum that the row belongs to. Rows of a session tend to come one after the other. */
static enum tl_err
delta_of(struct fold *fold, struct session_touch *touch, const struct tl_cell_key *key,
	int64_t hour_no, struct fold_delta **delta_out)
{
	struct fold_delta *delta = fold->delta_last;
	uint64_t hash;
	uint64_t at;
	enum tl_err err = TL_OK;

	if (delta == NULL || !is_delta_of(delta, touch, key, hour_no)) {
		hash = index_hash((uint64_t)(uintptr_t)touch ^ (uint64_t)key->model << 48,
			((uint64_t)hour_no << 2 | key->quarter) ^ (uint64_t)key->member << 32 ^
				(uint64_t)key->agent << 20 ^ (uint64_t)key->repo << 44);
		at = hash;
		do {
			delta = index_next(&fold->deltas, hash, &at);
		} while (delta != NULL && !is_delta_of(delta, touch, key, hour_no));
		if (delta == NULL)
			err = make_delta(fold, touch, key, hour_no, hash, &delta);
		if (err)
			return err;
		fold->delta_last = delta;
	}
	*delta_out = delta;
	return TL_OK;
}

/* Group numbers rise, so one look at the newest tells whether it is there. */
static enum tl_err
note_group(struct fold *fold, struct fold_page *page, uint64_t group_no, uint32_t quarter)
{
	struct fold_group_no *group = page->groups;

	if (group == NULL || group->group_no != group_no) {
		group = tl_arena_alloc(&fold->arena, sizeof(*group));
		if (group == NULL)
			return TL_ENOMEM;
		group->next = page->groups;
		group->group_no = group_no;
		page->groups = group;
		page->group_count++;
	}
	group->quarters |= (uint8_t)(1u << quarter);
	return TL_OK;
}

static void
note_time(struct fold_delta *delta, int64_t time_ms, int sign)
{
	int64_t *first_ms = sign > 0 ? &delta->row.first_ms : &delta->taken_first_ms;
	int64_t *last_ms = sign > 0 ? &delta->row.last_ms : &delta->taken_last_ms;

	if (time_ms < *first_ms)
		*first_ms = time_ms;
	if (time_ms > *last_ms)
		*last_ms = time_ms;
}

/* One row of a block, its columns as far as more than one place needs them. */
struct fold_row {
	const struct tl_batch *batch;
	uint32_t idx;
	int sign;
	enum tl_kind kind;
	int64_t time_ms;
	uint32_t session, repo;
	uint64_t group_no;
};

static uint32_t
id_at(const struct tl_batch *batch, enum tl_column column, uint32_t idx)
{
	return (uint32_t)tl_batch_get(batch, column, idx);
}

static enum tl_err
fold_link(struct fold *fold, const struct fold_row *row, struct session_touch *touch)
{
	struct tl_session_link link = {
		/* As stamped, not as counted: which of two links wins must not hang on arrival. */
		.ts_ms = tl_batch_get(row->batch, TL_COL_TS, row->idx),
		.op = (enum tl_link_op)tl_batch_get(row->batch, TL_COL_LINK_OP, row->idx),
		.repo = row->repo,
		.number = id_at(row->batch, TL_COL_PR, row->idx),
		.value = id_at(row->batch, TL_COL_VALUE, row->idx),
	};

	memcpy(link.id, row->batch->id[row->idx], sizeof(link.id));
	return sessions_link(touch, &fold->arena, &link, row->sign);
}

static enum tl_err
fold_request(struct fold *fold, const struct fold_row *row, struct session_touch *touch,
	struct fold_delta *delta)
{
	struct tl_pr pr = {row->repo, id_at(row->batch, TL_COL_PR, row->idx)};

	note_time(delta, row->time_ms, row->sign);
	if (row->session == 0)
		return TL_OK;
	sessions_request(touch, row->time_ms, row->batch->id[row->idx], row->sign,
		delta->row.key.member, delta->row.key.agent);
	if (pr.repo == 0 || pr.number == 0)
		return TL_OK;
	return sessions_event_pr(touch, &fold->arena, pr, row->sign);
}

static enum tl_err
fold_usage(struct fold *fold, const struct fold_row *row, struct session_touch *touch)
{
	int64_t quarter_no = tl_bucket_no(TL_SPAN_15M, row->time_ms);
	struct tl_cell_key key = {
		.session = row->session,
		.member = id_at(row->batch, TL_COL_MEMBER, row->idx),
		.agent = id_at(row->batch, TL_COL_AGENT, row->idx),
		.model = id_at(row->batch, TL_COL_MODEL, row->idx),
		.repo = row->repo,
		.has_own_repo = row->repo != 0,
		.quarter = (uint32_t)(quarter_no & (TL_HOUR_QUARTERS - 1)),
	};
	struct fold_delta *delta;
	enum tl_err err;

	err = delta_of(fold, touch, &key, fold_hour_no(quarter_no), &delta);
	if (!err)
		err = note_group(fold, delta->page, row->group_no, key.quarter);
	if (!err)
		err = tl_event_totals_add(row->batch, row->idx, row->sign, &delta->row.totals);
	if (err)
		return err;
	if (row->sign < 0) {
		delta->has_taken_back = true;
		delta->page->has_taken_back = true;
		delta->page->org->keeps_pages = true;
	}
	return row->kind == TL_KIND_REQUEST ? fold_request(fold, row, touch, delta) : TL_OK;
}

/* Nothing to add up and no session to link: such a row leaves nothing anywhere. */
static bool
is_idle(const struct fold_row *row)
{
	struct tl_totals totals;

	if (row->kind == TL_KIND_REQUEST) /* counts itself */
		return false;
	if (row->kind == TL_KIND_LINK)
		return row->session == 0;
	tl_event_totals(row->batch, row->idx, &totals);
	return tl_totals_is_zero(&totals);
}

static enum tl_err
fold_row(struct fold *fold, const struct fold_row *row)
{
	struct session_touch *touch;
	enum tl_err err;

	if (is_idle(row))
		return TL_OK;
	err = sessions_touch(&fold->sessions, &fold->arena, id_at(row->batch, TL_COL_ORG, row->idx),
		row->session, &touch);
	if (err)
		return err;
	if (row->time_ms < touch->low_ms)
		touch->low_ms = row->time_ms;
	if (row->kind == TL_KIND_LINK)
		return fold_link(fold, row, touch);
	return fold_usage(fold, row, touch);
}

/* Rows order[0..count) of the batch, or its first count ones. */
static enum tl_err
fold_rows(struct fold *fold, uint64_t group_no, const struct tl_batch *batch, const uint32_t *order,
	uint32_t count, int64_t received_ms, struct tl_why *why)
{
	struct fold_row row = {.batch = batch, .group_no = group_no};

	for (uint32_t i = 0; i < count; i++) {
		enum tl_err err;

		row.idx = order != NULL ? order[i] : i;
		row.sign = tl_batch_get(batch, TL_COL_SIGN, row.idx) < 0 ? -1 : 1;
		row.kind = (enum tl_kind)tl_batch_get(batch, TL_COL_KIND, row.idx);
		row.time_ms = tl_event_time(tl_batch_get(batch, TL_COL_TS, row.idx), received_ms);
		row.session = id_at(batch, TL_COL_SESSION, row.idx);
		row.repo = id_at(batch, TL_COL_REPO, row.idx);
		err = fold_row(fold, &row);
		if (err)
			return tl_fail(why, err, "group %" PRIu64 " row %u: %s", group_no, row.idx,
				tl_err_text(err));
	}
	fold->row_count += count;
	return TL_OK;
}

static enum tl_err
fold_block(struct fold *fold, uint64_t group_no, const struct tl_journal_block *block,
	struct tl_why *why)
{
	struct tl_block_head head;
	struct tl_batch batch;
	enum tl_err err;

	err = blocks_get(&fold->blocks, group_no, block, FOLD_COLUMNS, &head, &batch, why);
	if (err)
		return err == TL_EEND ? TL_OK : err;
	return fold_rows(fold, group_no, &batch, NULL, batch.row_count, head.received_ms, why);
}

enum tl_err
fold_group(struct fold *fold, const struct tl_journal_row *row, struct tl_why *why)
{
	const struct tl_fresh *fresh = tl_fresh_pin(fold->store, row->group_no);
	enum tl_err err = TL_OK;

	if (fresh != NULL) {
		err = fold_rows(fold, row->group_no, &fresh->rows, fresh->order, fresh->count,
			fresh->received_ms, why);
		tl_fresh_unpin(fold->store, fresh);
		return err;
	}
	for (uint32_t i = 0; !err && i < row->block_count; i++)
		err = fold_block(fold, row->group_no, &row->blocks[i], why);
	return err;
}

/* Rows of before this step follow the session's repo; lists of PRs are replaced. */
static enum tl_err
move_session(struct fold *fold, struct session_touch *touch)
{
	if (!touch->is_moved && !touch->has_new_prs)
		return TL_OK;
	for (uint32_t i = 0; i < touch->bucket_count_before; i++) {
		struct fold_page *page;
		struct fold_move *move;
		enum tl_err err = fold_page_of(fold, touch->org, touch->session,
			fold_hour_no(touch->buckets_before[i]), &page);

		if (err)
			return err;
		if (page->moves != NULL && page->moves->touch == touch) /* another quarter of it */
			continue;
		move = tl_arena_alloc(&fold->arena, sizeof(*move));
		if (move == NULL)
			return TL_ENOMEM;
		*move = (struct fold_move){.next = page->moves, .touch = touch};
		page->moves = move;
		page->move_count++;
	}
	return TL_OK;
}

/* Slow paths of this step will read the pages of the org as it leaves them. */
static enum tl_err
keep_pages(struct fold *fold, uint32_t org_no)
{
	struct fold_org *org;
	enum tl_err err = org_of(fold, org_no, &org);

	if (!err)
		org->keeps_pages = true;
	return err;
}

static enum tl_err
settle_sessions(struct fold *fold, struct tl_why *why)
{
	for (struct session_touch *touch = fold->sessions.list; touch; touch = touch->next) {
		enum tl_err err = sessions_settle(&fold->sessions, &fold->arena, touch, why);

		if (!err)
			err = move_session(fold, touch);
		if (!err && touch->is_tied)
			err = keep_pages(fold, touch->org);
		if (err)
			return err;
	}
	return TL_OK;
}

/* Complete the keys of one page's deltas; add them to their sessions and lives. */
static enum tl_err
settle_page(struct fold *fold, const struct fold_page *page)
{
	enum tl_err err;

	for (struct fold_delta *delta = page->deltas; delta != NULL; delta = delta->next) {
		struct session_touch *touch = delta->touch;

		err = lives_add(&fold->lives, &fold->arena, delta);
		if (err)
			return err;
		if (touch->session == 0)
			continue;
		if (!delta->row.key.has_own_repo)
			delta->row.key.repo = touch->row.repo;
		err = sessions_add_bucket(
			touch, &fold->arena, fold_quarter_no(page, delta->row.key.quarter));
		if (!err)
			err = tl_totals_add(&touch->row.totals, &delta->row.totals, 1);
		if (err)
			return err;
	}
	return TL_OK;
}

/* The lowest time that each org's readers must look at again. */
static enum tl_err
note_changes(struct fold *fold)
{
	for (const struct session_touch *touch = fold->sessions.list; touch; touch = touch->next) {
		int64_t low_ms = touch->low_ms;
		struct fold_org *org;
		enum tl_err err = org_of(fold, touch->org, &org);

		if (err)
			return err;
		/* New attributes rewrite every cell of the session; else only the step's own move.
		 */
		if ((touch->is_moved || touch->has_new_prs) && touch->row.bucket_count > 0 &&
			touch->row.buckets[0] * TL_QUARTER_MS < low_ms)
			low_ms = touch->row.buckets[0] * TL_QUARTER_MS;
		if (low_ms < org->low_ms)
			org->low_ms = low_ms;
	}
	return TL_OK;
}

static enum tl_err
put_sessions(struct fold *fold, struct tl_why *why)
{
	for (struct session_touch *touch = fold->sessions.list; touch; touch = touch->next) {
		if (touch->session == 0)
			continue;
		if (sessions_is_lost(touch)) {
			enum tl_err err = recount_session(fold, touch, why);

			if (err)
				return err;
		}
		sessions_put(&fold->sessions, touch, &fold->value, fold->write);
	}
	return TL_OK;
}

enum tl_err
fold_finish(struct fold *fold, struct tl_write *write, struct tl_why *why)
{
	enum tl_err err;

	fold->write = write;
	tl_fail(why, TL_OK, "%s", "");
	cache_check(&fold->cache);
	err = sessions_sort(&fold->sessions, &fold->arena);
	if (!err)
		err = settle_sessions(fold, why);
	for (uint32_t i = 0; !err && i < fold->page_count; i++)
		err = settle_page(fold, fold->page_list[i]);
	if (!err)
		err = note_changes(fold);
	if (!err)
		err = cells_fold(fold, why);
	if (!err)
		err = put_sessions(fold, why);
	if (!err)
		err = lives_fold(fold, why);
	fold->write = NULL;
	blocks_release(&fold->blocks);
	if (err && why != NULL && why->text[0] == '\0')
		return tl_fail(why, err, "the fold: %s", tl_err_text(err));
	return err;
}

void
fold_forget(struct fold *fold)
{
	blocks_release(&fold->blocks);
	cache_clear(&fold->cache);
}

static int
compare_kept(const void *key_arg, const void *kept_arg)
{
	const struct tl_page_place *key = key_arg;
	const struct tl_page_place *place = &((const struct fold_kept *)kept_arg)->place;

	if (key->org != place->org)
		return key->org < place->org ? -1 : 1;
	if (key->part != place->part)
		return key->part < place->part ? -1 : 1;
	return (key->bucket_ms > place->bucket_ms) - (key->bucket_ms < place->bucket_ms);
}

enum tl_err
fold_page_get(struct fold *fold, const struct tl_page_place *place, struct tl_arena *arena,
	struct tl_page *page_out, struct tl_why *why)
{
	enum tl_span span = place->span;
	const struct fold_kept *kept = NULL;
	struct cache_key key = cache_key_page(place);
	struct tl_slice value;
	enum tl_err err;

	if (fold->kept_count[span] > 0)
		kept = bsearch(place, fold->kept[span], fold->kept_count[span], sizeof(*kept),
			compare_kept);
	if (kept != NULL) {
		*page_out = kept->page;
		return TL_OK;
	}
	err = cache_get(&fold->cache, &key, &fold->bytes, &value, why);
	if (err)
		return err;
	err = tl_page_decode(value, span, place->bucket_ms, arena, page_out);
	if (err)
		return tl_fail(why, err, "cell %s org %u bucket %" PRId64 " part %u: %s",
			tl_span_name(span), place->org, place->bucket_ms, place->part,
			tl_err_text(err));
	return TL_OK;
}
