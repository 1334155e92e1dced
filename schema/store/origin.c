/*
 * A hash table of the origins so far. Each look at it is bounded: what is not found within a few
 * slots is a new origin, and has no slot when none of them is free. That costs bytes, never time.
 */
#include "schema/store/origin.h"

#define COLUMNS_MAX 16u /* four by four: the last ones are there again */
#define PROBES_MAX 8u
#define SLOTS_MIN 16u
#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

struct finder {
	const int64_t *column[COLUMNS_MAX]; /* those of an origin that the batch has */
	uint64_t factor[COLUMNS_MAX];
	uint32_t column_count;
	uint32_t *slots; /* origin + 1, 0 free */
	uint32_t slot_mask;
	uint32_t slot_shift;
	struct tl_origins origins;
};

static void
list_columns(struct finder *finder, const struct tl_batch *batch)
{
	uint64_t factor = FACTOR;

	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		if (!tl_column_is_of_origin(column) || batch->column[column] == NULL)
			continue;
		factor = factor * FACTOR;
		finder->factor[finder->column_count] = factor;
		finder->column[finder->column_count++] = batch->column[column];
	}
	while (finder->column_count % 4 != 0) {
		finder->column[finder->column_count] = finder->column[0];
		finder->factor[finder->column_count++] = 0;
	}
}

static enum tl_err
make_room(struct finder *finder, uint32_t row_count, struct tl_arena *arena)
{
	uint32_t bits = 4;

	while (SLOTS_MIN << (bits - 4) < row_count && bits < 31)
		bits++;
	finder->slot_mask = (UINT32_C(1) << bits) - 1;
	finder->slot_shift = 64 - bits;
	finder->slots = tl_arena_array(arena, (size_t)finder->slot_mask + 1, sizeof(uint32_t));
	finder->origins.of_row = tl_arena_room(arena, row_count, sizeof(int64_t));
	finder->origins.row = tl_arena_room(arena, row_count, sizeof(uint32_t));
	if (finder->slots == NULL || finder->origins.of_row == NULL || finder->origins.row == NULL)
		return TL_ENOMEM;
	return TL_OK;
}

static inline uint64_t
hash_row(const struct finder *finder, uint32_t row)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < finder->column_count; i += 4) {
		const int64_t *const *column = finder->column + i;
		const uint64_t *factor = finder->factor + i;

		hash += (uint64_t)column[0][row] * factor[0] +
			(uint64_t)column[1][row] * factor[1] +
			(uint64_t)column[2][row] * factor[2] + (uint64_t)column[3][row] * factor[3];
	}
	return hash;
}

static inline bool
are_equal(const struct finder *finder, uint32_t a, uint32_t b)
{
	uint64_t differs = 0;

	for (uint32_t i = 0; i < finder->column_count; i += 4) {
		const int64_t *const *column = finder->column + i;

		differs |= (uint64_t)(column[0][a] ^ column[0][b]) |
			   (uint64_t)(column[1][a] ^ column[1][b]) |
			   (uint64_t)(column[2][a] ^ column[2][b]) |
			   (uint64_t)(column[3][a] ^ column[3][b]);
	}
	return differs == 0;
}

static uint32_t
add_origin(struct finder *finder, uint32_t row)
{
	finder->origins.row[finder->origins.count] = row;
	return finder->origins.count++;
}

static uint32_t
find_origin(struct finder *finder, uint32_t row)
{
	uint32_t at = (uint32_t)(hash_row(finder, row) >> finder->slot_shift);

	for (uint32_t i = 0; i < PROBES_MAX; i++, at = (at + 1) & finder->slot_mask) {
		uint32_t slot = finder->slots[at];

		if (slot == 0) {
			finder->slots[at] = finder->origins.count + 1;
			break;
		}
		if (are_equal(finder, finder->origins.row[slot - 1], row))
			return slot - 1;
	}
	return add_origin(finder, row);
}

enum tl_err
tl_origins_find(const struct tl_batch *batch, const uint32_t *row_idx, uint32_t row_count,
	struct tl_arena *arena, struct tl_origins *origins_out)
{
	struct finder finder = {.column_count = 0};
	enum tl_err err;

	list_columns(&finder, batch);
	err = make_room(&finder, row_count, arena);
	if (err)
		return err;
	for (uint32_t i = 0; i < row_count; i++)
		finder.origins.of_row[i] = find_origin(&finder, row_idx[i]);
	*origins_out = finder.origins;
	return TL_OK;
}
