/* Rows of an export as text: lines of CSV, or of JSON objects. */
#ifndef TL_WIRE_ROWS_TEXT_H
#define TL_WIRE_ROWS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

enum tl_rows_form {
	TL_ROWS_CSV,
	TL_ROWS_NDJSON,
};

TL_MUST bool tl_rows_form_parse(struct tl_slice text, enum tl_rows_form *form_out);

/*
 * The first line, where the form has one: the names. page is a checked reply with fields and rows.
 * A name that ends in _nusd becomes _usd, and its values decimal dollars.
 */
void tl_rows_put_head(struct tl_buf *text, enum tl_rows_form form, struct tl_slice page);

/*
 * A line for each row; how many. CSV as in RFC 4180 with \n: a text that a spreadsheet would take
 * for a formula (it begins with = + - @, a tab or a return) stands behind an apostrophe, in quotes.
 * What is not there is an empty cell, or null.
 */
uint32_t tl_rows_put(struct tl_buf *text, enum tl_rows_form form, struct tl_slice page);

#endif
