#include "rollup/lives.h"

#include <stdlib.h>

#include "rollup/fold.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

void
lives_begin(struct lives *lives)
{
	*lives = (struct lives){0};
}

static enum tl_err
life_of(struct lives *lives, struct tl_arena *arena, uint32_t org, enum tl_dim dim, uint32_t entity,
	struct life_touch **touch_out)
{
	uint64_t hash = index_hash((uint64_t)org << 32 | entity, (uint64_t)dim);
	uint64_t at = hash;
	struct life_touch *touch;

	while ((touch = index_next(&lives->index, hash, &at)) != NULL) {
		if (touch->entity == entity && touch->org == org && touch->dim == dim) {
			*touch_out = touch;
			return TL_OK;
		}
	}
	touch = tl_arena_alloc(arena, sizeof(*touch));
	if (touch == NULL)
		return TL_ENOMEM;
	touch->next = lives->list;
	touch->org = org;
	touch->dim = dim;
	touch->entity = entity;
	touch->life.first_ms = touch->taken_first_ms = INT64_MAX;
	touch->life.last_ms = touch->taken_last_ms = INT64_MIN;
	lives->list = touch;
	lives->count++;
	*touch_out = touch;
	return index_put(&lives->index, arena, hash, touch);
}

static void
widen(int64_t *first_ms, int64_t *last_ms, int64_t more_first_ms, int64_t more_last_ms)
{
	if (more_first_ms < *first_ms)
		*first_ms = more_first_ms;
	if (more_last_ms > *last_ms)
		*last_ms = more_last_ms;
}

static enum tl_err
add(struct lives *lives, struct tl_arena *arena, const struct fold_delta *delta, enum tl_dim dim,
	uint32_t entity)
{
	struct life_touch *touch;
	enum tl_err err;

	if (entity == 0)
		return TL_OK;
	err = life_of(lives, arena, delta->page->org->org, dim, entity, &touch);
	if (err)
		return err;
	widen(&touch->life.first_ms, &touch->life.last_ms, delta->row.first_ms, delta->row.last_ms);
	widen(&touch->taken_first_ms, &touch->taken_last_ms, delta->taken_first_ms,
		delta->taken_last_ms);
	return tl_totals_add(&touch->life.totals, &delta->row.totals, 1);
}

enum tl_err
lives_add(struct lives *lives, struct tl_arena *arena, const struct fold_delta *delta)
{
	enum tl_err err = add(lives, arena, delta, TL_DIM_MEMBER, delta->row.key.member);

	return err ? err : add(lives, arena, delta, TL_DIM_AGENT, delta->row.key.agent);
}

/* What is stored plus what the step brings. */
static enum tl_err
settle(struct fold *fold, struct life_touch *touch, struct tl_why *why)
{
	struct cache_key key = cache_key_life(touch->org, touch->dim, touch->entity);
	struct tl_life stored;
	struct tl_slice value;
	enum tl_err err;

	err = cache_get(&fold->cache, &key, &fold->bytes, &value, why);
	if (err && err != TL_ENOT_FOUND)
		return err;
	if (!err) {
		err = tl_life_decode(value, &stored);
		if (err)
			return tl_fail(why, err, "life of org %u, entity %u: %s", touch->org,
				touch->entity, tl_err_text(err));
		err = tl_totals_add(&touch->life.totals, &stored.totals, 1);
		if (err)
			return err;
		widen(&touch->life.first_ms, &touch->life.last_ms, stored.first_ms, stored.last_ms);
	}
	touch->is_lost = touch->taken_last_ms != INT64_MIN &&
			 (touch->taken_first_ms <= touch->life.first_ms ||
				 touch->taken_last_ms >= touch->life.last_ms);
	if (touch->is_lost) {
		touch->life.first_ms = INT64_MAX;
		touch->life.last_ms = INT64_MIN;
	}
	return TL_OK;
}

/* Lives of the org that lost their first or last find it in the rows of a day. */
static void
search_page(struct lives *lives, uint32_t org, const struct tl_page *page)
{
	for (struct life_touch *touch = lives->list; touch != NULL; touch = touch->next) {
		if (!touch->is_lost || touch->org != org)
			continue;
		for (uint32_t i = 0; i < page->row_count; i++) {
			const struct tl_cell_row *row = &page->rows[i];

			if ((touch->dim == TL_DIM_MEMBER ? row->key.member : row->key.agent) ==
				touch->entity)
				widen(&touch->life.first_ms, &touch->life.last_ms, row->first_ms,
					row->last_ms);
		}
	}
}

static bool
is_kept(const struct fold *fold, const struct tl_page_place *place)
{
	for (uint32_t i = 0; i < fold->kept_count[TL_SPAN_1D]; i++) {
		const struct tl_page_place *kept = &fold->kept[TL_SPAN_1D][i].place;

		if (kept->org == place->org && kept->part == place->part &&
			kept->bucket_ms == place->bucket_ms)
			return true;
	}
	return false;
}

/* All days of the org: those of this step as they are now, the others as stored. */
static enum tl_err
search_org(struct fold *fold, uint32_t org, struct tl_why *why)
{
	struct tl_key first = tl_key_org(org);
	struct tl_key last = tl_key_org_end(org);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	for (uint32_t i = 0; i < fold->kept_count[TL_SPAN_1D]; i++) {
		if (fold->kept[TL_SPAN_1D][i].place.org == org)
			search_page(&fold->lives, org, &fold->kept[TL_SPAN_1D][i].page);
	}
	err = tl_scan_open(fold->store, NULL, TL_FAMILY_CELL_1D, tl_key_slice(&first),
		tl_key_slice(&last), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK) {
		struct tl_page_place place;
		struct tl_page page;

		if (!tl_key_page_parse(key, TL_SPAN_1D, &place)) {
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "cell 1d org %u: a wrong key", org);
			break;
		}
		if (is_kept(fold, &place))
			continue;
		tl_arena_reset(&fold->page_arena);
		err = tl_page_decode(value, TL_SPAN_1D, place.bucket_ms, &fold->page_arena, &page);
		if (!err)
			search_page(&fold->lives, org, &page);
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

static enum tl_err
search_lost(struct fold *fold, struct tl_why *why)
{
	for (const struct fold_org *org = fold->org_list; org != NULL; org = org->next) {
		bool has_lost = false;
		enum tl_err err;

		if (!org->keeps_pages)
			continue;
		for (const struct life_touch *touch = fold->lives.list; touch; touch = touch->next)
			has_lost |= touch->is_lost && touch->org == org->org;
		err = has_lost ? search_org(fold, org->org, why) : TL_OK;
		if (err)
			return err;
	}
	return TL_OK;
}

static int
compare_touches(const void *a_arg, const void *b_arg)
{
	const struct life_touch *a = *(struct life_touch *const *)a_arg;
	const struct life_touch *b = *(struct life_touch *const *)b_arg;

	if (a->org != b->org)
		return a->org < b->org ? -1 : 1;
	if (a->dim != b->dim)
		return a->dim < b->dim ? -1 : 1;
	return (a->entity > b->entity) - (a->entity < b->entity);
}

/* In the order of their keys: neighbours in the store one after the other. */
static enum tl_err
sort(struct lives *lives, struct tl_arena *arena)
{
	struct life_touch **sorted =
		tl_arena_array(arena, lives->count, sizeof(struct life_touch *));
	struct life_touch **tail = &lives->list;
	uint32_t count = 0;

	if (sorted == NULL)
		return TL_ENOMEM;
	for (struct life_touch *touch = lives->list; touch != NULL; touch = touch->next)
		sorted[count++] = touch;
	qsort(sorted, count, sizeof(struct life_touch *), compare_touches);
	for (uint32_t i = 0; i < count; i++) {
		*tail = sorted[i];
		tail = &sorted[i]->next;
	}
	*tail = NULL;
	return TL_OK;
}

enum tl_err
lives_fold(struct fold *fold, struct tl_why *why)
{
	struct life_touch *touch;
	enum tl_err err = sort(&fold->lives, &fold->arena);

	if (err)
		return err;
	for (touch = fold->lives.list; touch != NULL; touch = touch->next) {
		err = settle(fold, touch, why);
		if (err)
			return err;
	}
	err = search_lost(fold, why);
	for (touch = fold->lives.list; !err && touch != NULL; touch = touch->next) {
		struct cache_key key = cache_key_life(touch->org, touch->dim, touch->entity);

		if (tl_totals_is_zero(&touch->life.totals)) {
			cache_delete(&fold->cache, &key, fold->write);
			continue;
		}
		tl_buf_reset(&fold->value);
		tl_life_encode(&touch->life, &fold->value);
		cache_put(&fold->cache, &key, tl_buf_slice(&fold->value), fold->write);
	}
	return err;
}
