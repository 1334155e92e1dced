/*
 *      window start              cut T            now       window end
 *          |------- past: kept ----|--- rest: read ---|          |
 *
 * A kept past is exact for every view from the one it was built on (built) to the last one it was
 * checked against (seen): nothing before T changed between them. For a newer view the store says
 * from what time on the org changed since; at or after T the past is still exact, and seen moves
 * up. A view older than built cannot be judged and is served without the past.
 *
 * T follows how late events come. Behind now by a quarter of an hour at least; when a late event
 * makes a past useless, the next cut lies before that event, so that a stream of late events costs
 * a longer rest and not a sum of the whole window each time. The lateness is forgotten again by an
 * eighth with every new cut that was not forced.
 */
#include "query/past.h"

#include <assert.h>
#include <stdlib.h>

#include "query/kept.h"

#define PAST_ARENA_BYTES_MAX (256u << 20)
#define PAST_KEY_BYTES (4 + 4 + TL_ZONE_NAME_BYTES)

/* A rest longer than it has to be by this much gets a new cut. */
#define PAST_STEP_MS TL_HOUR_MS

struct past {
	struct lru_value value; /* first: what the cache keeps */

	/* fixed once kept */
	struct tl_arena arena;
	struct board board;
	int64_t start_ms; /* of the window */
	int64_t cut_ms;
	int64_t late_ms; /* how far behind now the cut was meant to be */
	uint64_t built;

	/* rises only */
	_Atomic uint64_t seen;
};

static void
past_free(struct lru_value *value)
{
	struct past *past = (struct past *)value;

	tl_arena_fini(&past->arena);
	free(past);
}

/* org | range, dimension, before | zone */
static struct tl_slice
make_key(const struct past_ask *ask, uint8_t key[PAST_KEY_BYTES])
{
	const char *zone = tl_zone_name(ask->window->zone);
	size_t zone_bytes = strlen(zone);

	assert(zone_bytes <= TL_ZONE_NAME_BYTES);
	tl_put_be32(key, ask->scene->org->no);
	key[4] = (uint8_t)ask->window->range;
	key[5] = (uint8_t)ask->dim;
	key[6] = ask->is_before;
	key[7] = 0;
	memcpy(key + 8, zone, zone_bytes);
	return tl_slice_of(key, 8 + zone_bytes);
}

/* The latest cut that is worth making: whole quarters, inside the window. */
static int64_t
cut_at(const struct past_ask *ask, int64_t late_ms)
{
	int64_t cut_ms = tl_bucket_floor(TL_SPAN_15M, ask->scene->now_ms - late_ms);

	if (cut_ms > tl_window_end_ms(ask->window))
		cut_ms = tl_window_end_ms(ask->window);
	if (cut_ms < tl_window_start_ms(ask->window))
		cut_ms = tl_window_start_ms(ask->window);
	return cut_ms;
}

enum verdict {
	PAST_GOOD,
	PAST_CHANGED, /* something before its cut did */
	PAST_OLD,     /* another window, or too long a rest */
	PAST_NEWER,   /* than the view: it cannot be judged */
};

static enum verdict
judge(const struct past_ask *ask, struct past *past, int64_t *low_ms_out)
{
	const struct tl_view *view = ask->scene->view;
	uint64_t generation = tl_view_generation(view);
	uint64_t seen = atomic_load(&past->seen);

	if (generation < past->built)
		return PAST_NEWER;
	if (past->start_ms != tl_window_start_ms(ask->window))
		return PAST_OLD;
	if (generation > seen) {
		*low_ms_out = tl_view_changed_from(view, ask->scene->org->no, seen);
		if (*low_ms_out < past->cut_ms)
			return PAST_CHANGED;
		while (seen < generation &&
			!atomic_compare_exchange_weak(&past->seen, &seen, generation))
			;
	}
	return cut_at(ask, past->late_ms) - past->cut_ms >= PAST_STEP_MS ? PAST_OLD : PAST_GOOD;
}

static enum tl_err
build(const struct past_ask *ask, int64_t late_ms, struct past **past_out, struct tl_why *why)
{
	struct past *past = calloc(1, sizeof(*past));
	struct facts_ask facts = facts_all(ask->window);
	enum tl_err err;

	if (past == NULL)
		return TL_ENOMEM;
	past->value = (struct lru_value){.free = past_free, .pin_count = 1};
	past->start_ms = tl_window_start_ms(ask->window);
	past->late_ms = late_ms;
	past->cut_ms = cut_at(ask, late_ms);
	past->built = tl_view_generation(ask->scene->view);
	past->seen = past->built;
	tl_arena_init(&past->arena, PAST_ARENA_BYTES_MAX);
	facts.to_ms = past->cut_ms;
	err = board_init(&past->board, ask->dim, ask->is_before, NULL, &past->arena);
	if (!err && facts.from_ms < facts.to_ms)
		err = board_add(&past->board, ask->scene, &facts, why);
	if (err) {
		past_free(&past->value);
		return err;
	}
	/* The arena's chunks double, so they hold at most twice what is in use. */
	past->value.bytes = sizeof(*past) + 2 * past->arena.used_bytes;
	*past_out = past;
	return TL_OK;
}

/* How late events come, from what the past that is there was worth. */
static int64_t
choose_lateness(
	const struct past_ask *ask, const struct past *before, enum verdict verdict, int64_t low_ms)
{
	int64_t late_ms = TL_QUARTER_MS;

	if (before == NULL)
		return late_ms;
	late_ms = before->late_ms;
	if (verdict == PAST_OLD)
		late_ms -= late_ms / 8;
	else if (low_ms != INT64_MIN && ask->scene->now_ms - low_ms > late_ms)
		late_ms = ask->scene->now_ms - low_ms;
	return late_ms < TL_QUARTER_MS ? TL_QUARTER_MS : late_ms;
}

/* The past to stand on, pinned; NULL when this view has to do without. */
static enum tl_err
find(const struct past_ask *ask, struct past **past_out, struct tl_why *why)
{
	struct lru *cache = ask->scene->cache->boards;
	uint8_t key_bytes[PAST_KEY_BYTES];
	struct tl_slice key = make_key(ask, key_bytes);
	struct past *before = (struct past *)lru_get(cache, key);
	enum verdict verdict = PAST_OLD;
	int64_t low_ms = INT64_MIN;
	enum tl_err err;

	*past_out = NULL;
	if (before != NULL)
		verdict = judge(ask, before, &low_ms);
	if (before != NULL && verdict == PAST_GOOD) {
		*past_out = before;
		return TL_OK;
	}
	if (before != NULL && verdict == PAST_NEWER) {
		lru_unpin(cache, &before->value);
		return TL_OK;
	}
	err = build(ask, choose_lateness(ask, before, verdict, low_ms), past_out, why);
	if (!err)
		lru_put(cache, key, &(*past_out)->value);
	if (before != NULL)
		lru_unpin(cache, &before->value);
	return err;
}

enum tl_err
past_board(const struct past_ask *ask, struct tl_arena *arena, struct board *board,
	struct lru_value **pinned_out, struct tl_why *why)
{
	struct facts_ask facts = facts_all(ask->window);
	struct past *past = NULL;
	enum tl_err err = TL_OK;

	*pinned_out = NULL;
	if (ask->scene->cache != NULL && ask->window->range != TL_RANGE_CUSTOM)
		err = find(ask, &past, why);
	if (err)
		return err;
	if (past != NULL) {
		*pinned_out = &past->value;
		facts.from_ms = past->cut_ms;
	}
	err = board_init(
		board, ask->dim, ask->is_before, past != NULL ? &past->board : NULL, arena);
	if (!err && facts.from_ms < facts.to_ms)
		err = board_add(board, ask->scene, &facts, why);
	return err;
}
