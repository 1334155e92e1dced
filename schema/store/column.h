/*
 * One column of int64 <-> bytes: what is above the least value, or the steps from row to row, in as
 * many bits as most rows need; rows that need more have the rest in a list (schema/README.md 3.2).
 * Blocks and pages are made of these.
 */
#ifndef TL_STORE_COLUMN_H
#define TL_STORE_COLUMN_H

#include "schema/base/bytes.h"

/* Appends the column; count >= 1. Differences wrap modulo 2^64, so every int64 round-trips. */
void tl_column_encode(struct tl_buf *buf, const int64_t *values, uint32_t count);

/* Reads count values; damage sticks in the cursor's err. */
void tl_column_decode(struct tl_cursor *cur, int64_t *values_out, uint32_t count);

/*
 * The values of rows row_idx[0..row_count) alone, which rise, of a column of count. False: it is of
 * steps, where a row follows from all before it, and nothing was read.
 */
TL_MUST bool tl_column_pick(struct tl_cursor *cur, uint32_t count, const uint32_t *row_idx,
	uint32_t row_count, int64_t *values_out);

#endif
