#include "query/visits.h"

#include <assert.h>

#include "query/table.h"

#define VISITS_CHUNK 1024u
#define VISITS_PAIRS_INITIAL 64u

static uint32_t
first_row(const struct visits *visits, uint32_t session)
{
	uint32_t chunk = session / VISITS_CHUNK;

	if (chunk >= visits->chunk_count || visits->chunks[chunk] == NULL)
		return 0;
	return visits->chunks[chunk][session % VISITS_CHUNK];
}

/* The place of a session's first row, made when there is none; NULL without memory. */
static uint32_t *
need_place(struct visits *visits, uint32_t session, struct tl_arena *arena)
{
	uint32_t chunk = session / VISITS_CHUNK;
	uint32_t count = chunk + 1;
	uint32_t **chunks;

	if (chunk >= visits->chunk_count) {
		if (count < visits->chunk_count * 2)
			count = visits->chunk_count * 2;
		chunks = tl_arena_array(arena, count, sizeof(uint32_t *));
		if (chunks == NULL)
			return NULL;
		if (visits->chunk_count > 0)
			memcpy(chunks, visits->chunks, visits->chunk_count * sizeof(uint32_t *));
		visits->chunks = chunks;
		visits->chunk_count = count;
	}
	if (visits->chunks[chunk] == NULL)
		visits->chunks[chunk] = tl_arena_array(arena, VISITS_CHUNK, sizeof(uint32_t));
	if (visits->chunks[chunk] == NULL)
		return NULL;
	return &visits->chunks[chunk][session % VISITS_CHUNK];
}

static bool
has_pair(const struct visits *visits, uint64_t pair)
{
	uint64_t mask = (uint64_t)visits->pair_slots - 1;

	if (visits->pair_slots == 0)
		return false;
	for (uint64_t at = table_hash(pair, 0);; at++) {
		if (visits->pairs[at & mask] == pair)
			return true;
		if (visits->pairs[at & mask] == 0)
			return false;
	}
}

static void
place_pair(struct visits *visits, uint64_t pair)
{
	uint64_t mask = (uint64_t)visits->pair_slots - 1;
	uint64_t at = table_hash(pair, 0);

	while (visits->pairs[at & mask] != 0)
		at++;
	visits->pairs[at & mask] = pair;
}

/* Put what is known to be absent. */
static enum tl_err
put_pair(struct visits *visits, uint64_t pair, struct tl_arena *arena)
{
	struct visits before = *visits;

	if (((uint64_t)visits->pair_count + 1) * 2 > visits->pair_slots) {
		visits->pair_slots =
			before.pair_slots == 0 ? VISITS_PAIRS_INITIAL : before.pair_slots * 2;
		visits->pairs = tl_arena_array(arena, visits->pair_slots, sizeof(*visits->pairs));
		if (visits->pairs == NULL) {
			*visits = before;
			return TL_ENOMEM;
		}
		for (uint32_t i = 0; i < before.pair_slots; i++) {
			if (before.pairs[i] != 0)
				place_pair(visits, before.pairs[i]);
		}
	}
	place_pair(visits, pair);
	visits->pair_count++;
	return TL_OK;
}

enum tl_err
visits_add(struct visits *visits, const struct visits *base, uint32_t row_idx, uint32_t session,
	struct tl_arena *arena, struct visits_news *news_out)
{
	uint64_t pair = (uint64_t)(row_idx + 1) << 32 | session;
	uint32_t row = base != NULL ? first_row(base, session) : 0;
	uint32_t *place;

	assert(session != 0);
	*news_out = (struct visits_news){false, false};
	if (row == 0) {
		place = need_place(visits, session, arena);
		if (place == NULL)
			return TL_ENOMEM;
		if (*place == 0) {
			*place = row_idx + 1;
			*news_out = (struct visits_news){true, true};
			return TL_OK;
		}
		row = *place;
	}
	if (row == row_idx + 1 || has_pair(visits, pair) || (base != NULL && has_pair(base, pair)))
		return TL_OK;
	news_out->is_new_pair = true;
	return put_pair(visits, pair, arena);
}

static enum tl_err
each_in_chunk(const uint32_t *rows, uint32_t first_session,
	enum tl_err (*visit)(void *arg, uint32_t row_idx, uint32_t session), void *arg)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < VISITS_CHUNK; i++) {
		if (rows[i] != 0)
			err = visit(arg, rows[i] - 1, first_session + i);
	}
	return err;
}

enum tl_err
visits_each(const struct visits *visits,
	enum tl_err (*visit)(void *arg, uint32_t row_idx, uint32_t session), void *arg)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < visits->chunk_count; i++) {
		if (visits->chunks[i] != NULL)
			err = each_in_chunk(visits->chunks[i], i * VISITS_CHUNK, visit, arg);
	}
	for (uint32_t i = 0; !err && i < visits->pair_slots; i++) {
		if (visits->pairs[i] != 0)
			err = visit(arg, (uint32_t)(visits->pairs[i] >> 32) - 1,
				(uint32_t)visits->pairs[i]);
	}
	return err;
}

size_t
visits_pack_bytes(const struct visits *visits)
{
	size_t bytes = table_array_bytes(visits->chunk_count, sizeof(uint32_t *)) +
		       table_array_bytes(visits->pair_slots, sizeof(*visits->pairs));

	for (uint32_t i = 0; i < visits->chunk_count; i++) {
		if (visits->chunks[i] != NULL)
			bytes += table_array_bytes(VISITS_CHUNK, sizeof(uint32_t));
	}
	return bytes;
}

enum tl_err
visits_pack(const struct visits *visits, struct visits *packed_out, struct tl_arena *arena)
{
	struct visits packed = *visits;

	packed.chunks = tl_arena_array(arena, visits->chunk_count, sizeof(uint32_t *));
	packed.pairs =
		table_copy_array(arena, visits->pairs, visits->pair_slots, sizeof(*visits->pairs));
	if (packed.chunks == NULL || packed.pairs == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < visits->chunk_count; i++) {
		if (visits->chunks[i] == NULL)
			continue;
		packed.chunks[i] =
			table_copy_array(arena, visits->chunks[i], VISITS_CHUNK, sizeof(uint32_t));
		if (packed.chunks[i] == NULL)
			return TL_ENOMEM;
	}
	*packed_out = packed;
	return TL_OK;
}
