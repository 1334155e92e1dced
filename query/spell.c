/*
 * What is asked for once leaves a note; only the second time it is summed, since that reads every
 * quarter of it.
 */
#include "query/spell.h"

#include <assert.h>
#include <stdlib.h>

#include "query/kept.h"
#include "schema/model/bucket.h"

#define SPELL_MS (6 * TL_HOUR_MS)
#define SPELL_QUARTERS 24u
#define SPELL_ARENA_BYTES_MAX (256u << 20)
#define SPELL_KEY_BYTES 14u

/* Late events come now; a spell rests this long before it is worth keeping. */
#define SPELL_REST_MS TL_QUARTER_MS

/* One that late events keep changing is not summed again each time. */
#define SPELL_CALM_MS (10 * 1000LL)

/* A session that a row of the spell's board has a request of. */
struct spell_visit {
	uint32_t row_idx, session;
};

struct spell {
	struct lru_value value; /* first: what the cache keeps */
	bool is_note;		/* nothing is here yet, but it was asked for */
	int64_t calm_ms;	/* of a note: not summed before */

	/* fixed once kept */
	struct tl_arena arena;
	struct board board; /* without its sessions, which are a list here */
	struct spell_visit *visits;
	uint32_t visit_count;

	struct kept_since since;
};

static void
spell_free(struct lru_value *value)
{
	struct spell *spell = (struct spell *)value;

	tl_arena_fini(&spell->arena);
	free(spell->visits);
	free(spell);
}

static struct spell *
spell_new(void)
{
	struct spell *spell = calloc(1, sizeof(*spell));

	if (spell != NULL)
		spell->value = (struct lru_value){
			.free = spell_free, .bytes = sizeof(*spell), .pin_count = 1};
	return spell;
}

/* org | 's' | dimension | start; the fifth byte tells the kinds of what is kept apart */
static struct tl_slice
make_key(const struct query_scene *scene, enum tl_dim dim, int64_t start_ms,
	uint8_t key[SPELL_KEY_BYTES])
{
	tl_put_be32(key, scene->org->no);
	key[4] = 's';
	key[5] = (uint8_t)dim;
	tl_put_be64(key + 6, (uint64_t)start_ms);
	return tl_slice_of(key, SPELL_KEY_BYTES);
}

/* Its quarters as bins. */
static void
make_window(int64_t start_ms, struct tl_window *window_out)
{
	*window_out = (struct tl_window){.range = TL_RANGE_CUSTOM, .bin_count = SPELL_QUARTERS};
	for (uint32_t i = 0; i <= SPELL_QUARTERS; i++)
		window_out->edge_ms[i] = start_ms + i * TL_QUARTER_MS;
}

static enum tl_err
count_visit(void *arg, uint32_t row_idx, uint32_t session)
{
	struct spell *spell = arg;

	(void)row_idx;
	(void)session;
	spell->visit_count++;
	return TL_OK;
}

static enum tl_err
list_visit(void *arg, uint32_t row_idx, uint32_t session)
{
	struct spell *spell = arg;

	spell->visits[spell->visit_count++] = (struct spell_visit){row_idx, session};
	return TL_OK;
}

/* The sessions of a board move into a list: adding a spell goes through all of them. */
static enum tl_err
take_visits(struct spell *spell, struct board *board)
{
	enum tl_err err = visits_each(&board->sessions, count_visit, spell);

	if (!err)
		spell->visits = calloc(spell->visit_count + 1u, sizeof(*spell->visits));
	if (err || spell->visits == NULL)
		return TL_ENOMEM;
	spell->value.bytes += (spell->visit_count + 1u) * sizeof(*spell->visits);
	spell->visit_count = 0;
	err = visits_each(&board->sessions, list_visit, spell);
	board->sessions = (struct visits){0};
	return err;
}

static enum tl_err
build(const struct query_scene *scene, enum tl_dim dim, int64_t start_ms, struct spell **spell_out,
	struct tl_why *why)
{
	struct spell *spell = spell_new();
	struct tl_window window;
	struct facts_ask ask;
	struct tl_arena arena;
	struct board board;
	enum tl_err err;

	if (spell == NULL)
		return TL_ENOMEM;
	make_window(start_ms, &window);
	ask = facts_all(&window);
	kept_since_init(&spell->since, scene);
	tl_arena_init(&arena, SPELL_ARENA_BYTES_MAX);
	err = board_init(&board, dim, false, NULL, &arena);
	if (!err)
		err = board_add(&board, scene, &ask, why);
	if (!err)
		err = take_visits(spell, &board);
	if (!err)
		err = board_pack(&board, &spell->board, &spell->arena);
	tl_arena_fini(&arena);
	if (err) {
		spell_free(&spell->value);
		return err;
	}
	spell->value.bytes += spell->arena.used_bytes;
	*spell_out = spell;
	return TL_OK;
}

/* Leave word that the spell was asked for. */
static enum tl_err
put_note(const struct query_scene *scene, struct tl_slice key, int64_t calm_ms)
{
	struct spell *note = spell_new();

	if (note == NULL)
		return TL_ENOMEM;
	note->is_note = true;
	note->calm_ms = calm_ms;
	lru_put(scene->cache->boards, key, &note->value);
	lru_unpin(scene->cache->boards, &note->value);
	return TL_OK;
}

static enum tl_err
make(const struct query_scene *scene, enum tl_dim dim, int64_t start_ms, struct tl_slice key,
	struct spell **spell_out, struct tl_why *why)
{
	enum tl_err err = build(scene, dim, start_ms, spell_out, why);

	if (err == TL_EEDGE_UNAVAILABLE)
		return TL_OK; /* longer pages may still be there */
	if (!err)
		lru_put(scene->cache->boards, key, &(*spell_out)->value);
	return err;
}

/* The kept spell, pinned, made when it is time to; NULL when the pages have to do. */
static enum tl_err
find(const struct query_scene *scene, enum tl_dim dim, int64_t start_ms, enum spell_use use,
	struct spell **spell_out, struct tl_why *why)
{
	struct lru *kept = scene->cache->boards;
	uint8_t key_bytes[SPELL_KEY_BYTES];
	struct tl_slice key = make_key(scene, dim, start_ms, key_bytes);
	struct spell *spell = (struct spell *)lru_get(kept, key);
	enum kept_verdict verdict;
	int64_t low_ms, calm_ms;

	*spell_out = NULL;
	if (spell == NULL)
		return use == SPELL_MAKE ? put_note(scene, key, scene->now_ms) : TL_OK;
	if (spell->is_note) {
		calm_ms = spell->calm_ms;
		lru_unpin(kept, &spell->value);
		if (use != SPELL_MAKE || scene->now_ms < calm_ms)
			return TL_OK;
		return make(scene, dim, start_ms, key, spell_out, why);
	}
	verdict = kept_judge(&spell->since, scene, start_ms + SPELL_MS, &low_ms);
	if (verdict == KEPT_GOOD) {
		*spell_out = spell;
		return TL_OK;
	}
	lru_unpin(kept, &spell->value);
	if (verdict == KEPT_NEWER)
		return TL_OK;
	return put_note(scene, key, scene->now_ms + SPELL_CALM_MS);
}

/* The rows of a spell on their way into a board. */
struct adding {
	struct board *board;
	const uint32_t *row_of;		 /* row of the spell -> row of the board */
	uint32_t bin_of[SPELL_QUARTERS]; /* quarter -> bin */
};

static enum tl_err
add_visits(struct adding *adding, const struct spell *spell)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < spell->visit_count; i++) {
		const struct spell_visit *visit = &spell->visits[i];

		err = board_add_session(
			adding->board, adding->row_of[visit->row_idx], visit->session);
	}
	return err;
}

/* The packed bins lie side by side, newest first. */
static enum tl_err
add_bins(struct adding *adding, uint32_t row_idx, const struct board_row *row)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = row->bin_count; !err && i > 0; i--) {
		const struct board_bin *bin = &row->bins[i - 1];

		err = board_add_values(
			adding->board, row_idx, adding->bin_of[bin->bin_idx], bin->value);
	}
	return err;
}

static void
find_bins(struct adding *adding, const struct facts_ask *ask, int64_t start_ms)
{
	for (uint32_t i = 0; !ask->is_one_bin && i < SPELL_QUARTERS; i++)
		adding->bin_of[i] =
			(uint32_t)tl_window_bin(ask->window, start_ms + i * TL_QUARTER_MS);
}

static enum tl_err
add_spell(struct board *board, const struct spell *spell, int64_t start_ms,
	const struct facts_ask *ask)
{
	uint32_t *row_of = tl_arena_array(board->arena, spell->board.row_count, sizeof(*row_of));
	struct adding adding = {.board = board, .row_of = row_of};
	enum tl_err err = row_of == NULL ? TL_ENOMEM : TL_OK;

	find_bins(&adding, ask, start_ms);
	for (uint32_t i = 0; !err && i < spell->board.row_count; i++) {
		const struct board_row *row = board_row(&spell->board, i);
		struct board_row *to;

		err = board_need_row(board, row->key, &row_of[i]);
		if (err)
			break;
		to = board_own_row(board, row_of[i]);
		if (row->last_ms > to->last_ms)
			to->last_ms = row->last_ms;
		err = tl_totals_add(&to->totals, &row->totals, 1);
		if (!err && !board->is_plain)
			err = add_bins(&adding, row_of[i], row);
	}
	if (!err && !board->is_plain)
		err = add_visits(&adding, spell);
	return err;
}

/* A bin's edge inside a quarter would need parts of what is kept. */
static bool
is_cut_at_quarters(const struct facts_ask *ask, int64_t start_ms, int64_t end_ms)
{
	const struct tl_window *window = ask->window;

	if (ask->is_one_bin)
		return true;
	for (int32_t i = tl_window_bin(window, start_ms);
		i >= 0 && (uint32_t)i <= window->bin_count && window->edge_ms[i] < end_ms; i++) {
		if (window->edge_ms[i] > start_ms && window->edge_ms[i] % TL_QUARTER_MS != 0)
			return false;
	}
	return true;
}

static enum tl_err
add_pages(struct board *board, const struct query_scene *scene, const struct facts_ask *ask,
	int64_t from_ms, int64_t to_ms, struct tl_why *why)
{
	struct facts_ask part = *ask;

	part.from_ms = from_ms;
	part.to_ms = to_ms;
	return from_ms < to_ms ? board_add(board, scene, &part, why) : TL_OK;
}

static int64_t
ceil_spell(int64_t time_ms)
{
	int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, time_ms);

	return day_ms + (time_ms - day_ms + SPELL_MS - 1) / SPELL_MS * SPELL_MS;
}

enum tl_err
spell_add(struct board *board, const struct query_scene *scene, const struct facts_ask *ask,
	enum spell_use use, struct tl_why *why)
{
	int64_t paged_ms = ask->from_ms; /* all before it is added */
	int64_t over_ms = scene->now_ms - SPELL_REST_MS;
	enum tl_err err = TL_OK;

	assert(ask->only_member == 0);
	if (over_ms > ask->to_ms)
		over_ms = ask->to_ms;
	for (int64_t start_ms = ceil_spell(ask->from_ms);
		!err && scene->cache != NULL && start_ms + SPELL_MS <= over_ms;
		start_ms += SPELL_MS) {
		struct spell *spell = NULL;

		if (is_cut_at_quarters(ask, start_ms, start_ms + SPELL_MS))
			err = find(scene, board->dim, start_ms, use, &spell, why);
		if (err || spell == NULL)
			continue;
		err = add_pages(board, scene, ask, paged_ms, start_ms, why);
		if (!err)
			err = add_spell(board, spell, start_ms, ask);
		paged_ms = start_ms + SPELL_MS;
		lru_unpin(scene->cache->boards, &spell->value);
	}
	return err ? err : add_pages(board, scene, ask, paged_ms, ask->to_ms, why);
}
