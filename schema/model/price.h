/*
 * Price rows -> nano-dollars, for usage whose producer gives no cost (SPEC 6.5). No row means
 * unpriced, never a guess.
 *
 * A table is text: a line "version TEXT", and rows "model since input output cache_read cache_write
 * cache_write_1h" in nano-dollars a token; # begins a comment. prices.txt beside this file is the
 * one that is built in, and says the rest.
 */
#ifndef TL_MODEL_PRICE_H
#define TL_MODEL_PRICE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

#define TL_PRICE_NUSD_MAX 1000000000LL /* a dollar a token is a typing error */
#define TL_PRICE_ROWS_MAX 4096u
#define TL_PRICE_VERSION_BYTES 64

struct tl_price_row {
	struct tl_slice model; /* without the * */
	bool is_prefix;
	int64_t since_ms; /* INT64_MIN: always */
	int64_t input, output, cache_read, cache_write, cache_write_1h;
};

struct tl_prices;

/*
 * The built-in table, and over it the rows of own, an operator's table (empty: none): a model that
 * has a row there is priced by that table alone. *prices_out is the caller's, read by any thread.
 * TL_ECONFIG with the line in why.
 */
TL_MUST enum tl_err tl_prices_new(
	struct tl_slice own, struct tl_prices **prices_out, struct tl_why *why);
void tl_prices_free(struct tl_prices *prices);

/* The version of the built-in table; with an own table "OWN over BUILT-IN". */
const char *tl_prices_version(const struct tl_prices *prices);

/* The row of a model at a time; NULL: unpriced. */
const struct tl_price_row *tl_prices_find(
	const struct tl_prices *prices, struct tl_slice model, int64_t ts_ms);

/* Every row, an own table's first. */
const struct tl_price_row *tl_prices_rows(const struct tl_prices *prices, uint32_t *count_out);

/* Tokens as an event has them: disjoint, but for cache_write_1h, which is part of cache_write. */
struct tl_price_tokens {
	int64_t input, output, cache_read, cache_write, cache_write_1h;
};

/* False when the cost leaves int64. */
TL_MUST bool tl_price_cost(const struct tl_price_row *row, const struct tl_price_tokens *tokens,
	int64_t *cost_nusd_out);

#endif
