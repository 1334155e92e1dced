/*
 *      window start              cut T            now       window end
 *          |------- past: kept ----|--- rest: read ---|          |
 *
 * A past is good as long as nothing before T changes (kept.h); a view older than the one it was
 * made from is served without it.
 *
 * T follows how late events come. Behind now by a quarter of an hour at least; when a late event
 * makes a past useless, the next cut lies before that event, so that a stream of late events costs
 * a longer rest and not a sum of the whole window each time. The lateness is forgotten again by an
 * eighth with every new cut that was not forced.
 *
 * With the members are kept the times of their last use and their agents', where these lie before
 * the cut. A later use shows in the rest, which is read anyway; so only who was used after the cut
 * when the past was made, and in the rest no longer is, needs a look at the stored life.
 */
#include "query/past.h"

#include <assert.h>
#include <stdlib.h>

#include "query/kept.h"
#include "query/order.h"
#include "query/spell.h"
#include "schema/model/rank.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define PAST_ARENA_BYTES_MAX (256u << 20)
#define PAST_KEY_BYTES (4 + 4 + TL_ZONE_NAME_BYTES)

/* A rest longer than it has to be by this much gets a new cut. */
#define PAST_STEP_MS TL_HOUR_MS

/* What is known of somebody's life before the cut. */
struct life_before {
	int64_t last_ms; /* LIFE_UNKNOWN: used after the cut when this was noted */
	bool is_used;
};

#define LIFE_UNKNOWN INT64_MAX

struct past {
	struct lru_value value; /* first: what the cache keeps */

	/* fixed once kept */
	struct tl_arena arena;
	struct board board;
	struct tl_arena life_arena;
	struct life_before *members, *agents; /* by number, 0 unused */
	uint32_t member_count, agent_count;
	uint32_t *order[TL_METRIC_COUNT]; /* members: rows of the used ones, by rank */
	uint32_t order_count;
	int64_t start_ms; /* of the window */
	int64_t cut_ms;
	int64_t late_ms; /* how far behind now the cut was meant to be */

	struct kept_since since;
};

static void
past_free(struct lru_value *value)
{
	struct past *past = (struct past *)value;

	tl_arena_fini(&past->arena);
	tl_arena_fini(&past->life_arena);
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
	switch (kept_judge(&past->since, ask->scene, past->cut_ms, low_ms_out)) {
	case KEPT_NEWER:
		return PAST_NEWER;
	case KEPT_CHANGED:
		return past->start_ms == tl_window_start_ms(ask->window) ? PAST_CHANGED : PAST_OLD;
	case KEPT_GOOD:
		break;
	}
	if (past->start_ms != tl_window_start_ms(ask->window))
		return PAST_OLD;
	return cut_at(ask, past->late_ms) - past->cut_ms >= PAST_STEP_MS ? PAST_OLD : PAST_GOOD;
}

/* The lives of all members or agents, in one scan. */
static enum tl_err
note_lives(const struct past_ask *ask, enum tl_dim dim, uint32_t count, int64_t cut_ms,
	struct life_before *lives, struct tl_why *why)
{
	const struct query_scene *scene = ask->scene;
	struct tl_key first = tl_key_life(scene->org->no, dim, 0);
	struct tl_key last = tl_key_life(scene->org->no, dim, count + 1);
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err;

	for (uint32_t no = 0; no <= count; no++)
		lives[no].last_ms = INT64_MIN;
	err = tl_scan_open(scene->store, scene->view, TL_FAMILY_LIFE, tl_key_slice(&first),
		tl_key_slice(&last), &scan, why);
	while (!err) {
		struct tl_life life = {0};
		enum tl_dim key_dim;
		uint32_t org, no = 0;

		err = tl_scan_next(scan, &key, &value, why);
		if (!err && !tl_key_life_parse(key, &org, &key_dim, &no))
			err = TL_ESTORAGE_CORRUPT;
		if (!err)
			err = tl_life_decode(value, &life);
		if (err)
			break;
		lives[no].is_used = life.totals.requests > 0;
		lives[no].last_ms = life.last_ms < cut_ms ? life.last_ms : LIFE_UNKNOWN;
	}
	tl_scan_free(scan);
	if (err == TL_ESTORAGE_CORRUPT)
		return tl_fail(why, err, "a life cannot be read");
	return err == TL_EEND ? TL_OK : err;
}

static enum tl_err
build_lives(const struct past_ask *ask, struct past *past, struct tl_why *why)
{
	const struct tl_org *org = ask->scene->org;
	enum tl_err err;

	past->members = tl_arena_array(
		&past->life_arena, (size_t)org->member_count + 1, sizeof(*past->members));
	past->agents = tl_arena_array(
		&past->life_arena, (size_t)org->agent_count + 1, sizeof(*past->agents));
	if (past->members == NULL || past->agents == NULL)
		return TL_ENOMEM;
	past->member_count = org->member_count;
	past->agent_count = org->agent_count;
	err = note_lives(ask, TL_DIM_MEMBER, org->member_count, past->cut_ms, past->members, why);
	if (err)
		return err;
	return note_lives(ask, TL_DIM_AGENT, org->agent_count, past->cut_ms, past->agents, why);
}

/* The used members by rank, for each metric. */
static enum tl_err
build_order(const struct past_ask *ask, struct past *past, enum tl_metric metric)
{
	const struct tl_org *org = ask->scene->org;
	const struct board *board = &past->board;
	struct tl_contender *contenders = calloc(board->row_count, sizeof(*contenders));
	uint32_t *order =
		tl_arena_array(&past->life_arena, board->row_count, sizeof(*past->order[metric]));
	uint32_t count = 0;

	for (uint32_t i = 0; contenders != NULL && i < board->row_count; i++) {
		const struct board_row *row = board_row(board, i);
		const struct tl_member *member;

		if (row->key == 0 || row->key > org->member_count || row->totals.requests == 0)
			continue;
		member = org->members[row->key - 1];
		contenders[count++] = (struct tl_contender){
			.value = tl_totals_value(&row->totals, metric),
			.name = tl_slice_of(member->id, sizeof(member->id)),
			.idx = i,
		};
	}
	if (contenders == NULL || order == NULL) {
		free(contenders);
		return TL_ENOMEM;
	}
	tl_rank(contenders, count);
	for (uint32_t i = 0; i < count; i++)
		order[i] = contenders[i].idx;
	free(contenders);
	past->order[metric] = order;
	past->order_count = count;
	return TL_OK;
}

/* The board before the cut, packed. */
static enum tl_err
build_board(const struct past_ask *ask, struct past *past, struct tl_why *why)
{
	struct facts_ask facts = facts_all(ask->window);
	struct tl_arena arena;
	struct board board;
	enum tl_err err;

	tl_arena_init(&arena, PAST_ARENA_BYTES_MAX);
	facts.to_ms = past->cut_ms;
	facts.is_one_bin = ask->is_before;
	err = board_init(&board, ask->dim, ask->is_before, NULL, &arena);
	if (!err && facts.from_ms < facts.to_ms)
		err = spell_add(&board, ask->scene, &facts, SPELL_IF_KEPT, why);
	if (!err)
		err = board_pack(&board, &past->board, &past->arena);
	tl_arena_fini(&arena);
	return err;
}

/* Cards of these are shown, the first of them. */
static bool
is_listed(enum tl_dim dim)
{
	return dim == TL_DIM_REPO || dim == TL_DIM_PR || dim == TL_DIM_MODEL;
}

static enum tl_err
build(const struct past_ask *ask, int64_t late_ms, struct past **past_out, struct tl_why *why)
{
	struct past *past = calloc(1, sizeof(*past));
	enum tl_err err;

	if (past == NULL)
		return TL_ENOMEM;
	past->value = (struct lru_value){.free = past_free, .pin_count = 1};
	past->start_ms = tl_window_start_ms(ask->window);
	past->late_ms = late_ms;
	past->cut_ms = cut_at(ask, late_ms);
	kept_since_init(&past->since, ask->scene);
	tl_arena_init(&past->life_arena, PAST_ARENA_BYTES_MAX);
	err = build_board(ask, past, why);
	if (!err && ask->dim == TL_DIM_MEMBER && !ask->is_before)
		err = build_lives(ask, past, why);
	for (int metric = 0; !err && ask->dim == TL_DIM_MEMBER && metric < TL_METRIC_COUNT;
		metric++) {
		if (ask->is_before)
			err = board_order(&past->board, (enum tl_metric)metric, &past->life_arena);
		else
			err = build_order(ask, past, (enum tl_metric)metric);
	}
	if (!err && is_listed(ask->dim))
		err = order_make(&past->board, &past->life_arena);
	if (err) {
		past_free(&past->value);
		return err;
	}
	/* An arena's chunks double, so they hold at most twice what is in use; a packed one is
	 * exact. */
	past->value.bytes =
		sizeof(*past) + past->arena.used_bytes + 2 * past->life_arena.used_bytes;
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

struct rest {
	struct past_board *board;
	bool has_agents;
};

static enum tl_err
add_rest(void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why)
{
	struct rest *rest = arg;
	enum tl_err err = board_add_page(&rest->board->board, bin_idx, page);

	if (!err && rest->has_agents)
		err = board_add_page(&rest->board->agents, bin_idx, page);
	return err ? tl_fail(why, err, "a page cannot be summed: %s", tl_err_text(err)) : TL_OK;
}

enum tl_err
past_board_init(struct past_board *board, const struct past_ask *ask, struct tl_arena *arena,
	struct tl_why *why)
{
	struct facts_ask facts = facts_all(ask->window);
	struct rest rest = {.board = board};
	enum tl_err err = TL_OK;

	*board = (struct past_board){0};
	if (ask->scene->cache != NULL && ask->window->range != TL_RANGE_CUSTOM)
		err = find(ask, &board->past, why);
	if (err)
		return err;
	facts.is_one_bin = ask->is_before;
	if (board->past != NULL) {
		facts.from_ms = board->past->cut_ms;
		rest.has_agents = board->past->members != NULL;
	}
	err = board_init(&board->board, ask->dim, ask->is_before,
		board->past != NULL ? &board->past->board : NULL, arena);
	if (!err && rest.has_agents)
		err = board_init(&board->agents, TL_DIM_AGENT, true, NULL, arena);
	if (err || facts.from_ms >= facts.to_ms)
		return err;
	if (board->past == NULL)
		return spell_add(&board->board, ask->scene, &facts, SPELL_MAKE, why);
	return facts_walk(ask->scene, &facts, add_rest, &rest, why);
}

void
past_board_fini(struct past_board *board, const struct query_scene *scene)
{
	if (board->past != NULL)
		lru_unpin(scene->cache->boards, &board->past->value);
	board->past = NULL;
}

const uint32_t *
past_order(const struct past_board *board, enum tl_metric metric, uint32_t *count_out)
{
	if (board->past == NULL || board->past->order[metric] == NULL)
		return NULL;
	*count_out = board->past->order_count;
	return board->past->order[metric];
}

/* A use after the cut, else what is known from before it. */
static bool
find_use(const struct past *past, const struct board_row *row, const struct life_before *lives,
	uint32_t count, uint32_t no, struct past_use *use_out)
{
	if (row != NULL && row->totals.requests > 0 && row->last_ms >= past->cut_ms) {
		*use_out = (struct past_use){.last_ms = row->last_ms, .is_used = true};
		return true;
	}
	if (no > count || lives[no].last_ms == LIFE_UNKNOWN)
		return false;
	*use_out = (struct past_use){.last_ms = lives[no].last_ms, .is_used = lives[no].is_used};
	return true;
}

bool
past_member_use(const struct past_board *board, uint32_t member_no, struct past_use *use_out)
{
	const struct past *past = board->past;

	if (past == NULL || past->members == NULL)
		return false;
	return find_use(past, board_find(&board->board, member_no), past->members,
		past->member_count, member_no, use_out);
}

bool
past_agent_use(const struct past_board *board, uint32_t agent_no, struct past_use *use_out)
{
	const struct past *past = board->past;

	if (past == NULL || past->agents == NULL)
		return false;
	return find_use(past, board_find(&board->agents, agent_no), past->agents, past->agent_count,
		agent_no, use_out);
}
