/*
 * What a token costs. The cost of a call is nearly always a sum of its tokens, each kind at its
 * rate, and calls at the same rates are many. So a block has the rates, for each origin which of
 * them are its own, and of each row only by how much it differs. Rates are found from the rows
 * themselves; a row that does not follow costs bytes and loses nothing.
 */
#ifndef TL_STORE_RATES_H
#define TL_STORE_RATES_H

#include "schema/store/origin.h"

#define TL_RATES_MAX 15u

/* Kinds of tokens: input, cache read, cache write, of it for an hour, output; saved. */
enum {
	TL_RATES_OF_COST = 5,
	TL_RATES,
};

/* The columns of tokens that make a column; 0 when rates do not make it. */
static inline uint64_t
tl_rates_make(enum tl_column column)
{
	if (column == TL_COL_SAVED_NUSD)
		return TL_COLUMN_BIT(TL_COL_SAVED_TOKENS);
	if (column != TL_COL_COST)
		return 0;
	return TL_COLUMN_BIT(TL_COL_INPUT) | TL_COLUMN_BIT(TL_COL_CACHE_READ) |
	       TL_COLUMN_BIT(TL_COL_CACHE_WRITE) | TL_COLUMN_BIT(TL_COL_CACHE_WRITE_1H) |
	       TL_COLUMN_BIT(TL_COL_OUTPUT);
}

/* Rates by number; 0 is none: all of them 0. */
struct tl_rates {
	uint32_t count; /* 0: none were found, costs are written as they are */
	int64_t rate[TL_RATES_MAX + 1][TL_RATES];
	int64_t *of_origin; /* origin -> number of its rates */
};

/* The rates of rows row_idx[0..row_count) of batch. Memory is the arena's: TL_ENOMEM. */
TL_MUST enum tl_err tl_rates_find(const struct tl_batch *batch, const uint32_t *row_idx,
	uint32_t row_count, const struct tl_origins *origins, struct tl_arena *arena,
	struct tl_rates *rates_out);

/* By how much rows differ in column (cost or savings), zigzagged. Sums wrap modulo 2^64. */
void tl_rates_take_off(const struct tl_rates *rates, const struct tl_batch *batch,
	enum tl_column column, const uint32_t *row_idx, uint32_t row_count, const int64_t *of_row,
	int64_t *differences_out);

/* And back, in place, of all rows of batch. */
void tl_rates_put_on(const struct tl_rates *rates, const struct tl_batch *batch,
	enum tl_column column, const int64_t *of_row, int64_t *values);

#endif
