/*
 * The totals of many rows <-> columns, one for each measure that is not 0 everywhere. A column that
 * is mostly zero is a bit a row and the values that are not.
 *
 *   varint masks of measures: which there are; which are so; which hold values below 0
 *   a column each: of those, if so, a bit a row, the first lowest; then the values, zigzag if
 *   there are some below 0
 */
#ifndef TL_STORE_TOTALS_LIST_H
#define TL_STORE_TOTALS_LIST_H

#include "schema/base/bytes.h"
#include "schema/model/totals.h"

/* Totals within structs of stride bytes each, those of the first at first. */
struct tl_totals_list {
	struct tl_totals *first;
	size_t stride;
	uint32_t count;
};

/* saved_nusd: what is written in place of that measure, a value a row; NULL: itself. */
void tl_totals_list_encode(
	const struct tl_totals_list *list, const int64_t *saved_nusd, struct tl_buf *buf);

/* Sets what is not 0. TL_ESTORAGE_CORRUPT. */
TL_MUST enum tl_err tl_totals_list_decode(const struct tl_totals_list *list, struct tl_cursor *cur);

#endif
