/*
 * One column of int64 <-> bytes, about the smallest of four forms (schema/README.md says how it is
 * chosen). Blocks and pages are made of these.
 *
 *   form u8, payload:
 *   0 const       zigzag varint
 *   1 offset      zigzag varint min, then a varint of value - min per row
 *   2 delta       zigzag varint first, then a zigzag varint of the step per further row
 *   3 dictionary  varint count (2..256), zigzag varints, then one index byte per row
 */
#ifndef TL_STORE_COLUMN_H
#define TL_STORE_COLUMN_H

#include "schema/base/bytes.h"

/* Appends the column; count >= 1. Differences wrap modulo 2^64, so every int64 round-trips. */
void tl_column_encode(struct tl_buf *buf, const int64_t *values, uint32_t count);

/* Reads count values; damage sticks in the cursor's err. */
void tl_column_decode(struct tl_cursor *cur, int64_t *values_out, uint32_t count);

/* Moves past a column without reading it. */
void tl_column_skip(struct tl_cursor *cur, uint32_t count);

#endif
