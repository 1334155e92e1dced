/* A whole cell, whatever the number of its pages. */
#ifndef TL_STORE_CELL_READ_H
#define TL_STORE_CELL_READ_H

#include "schema/store/cell.h"
#include "schema/store/store.h"

/*
 * The cell of any span from a stored page that holds it: the value of the page of
 * tl_page_span(span) at bucket_ms. TL_ENOT_FOUND when the hour has nothing in the quarter.
 * TL_ESTORAGE_CORRUPT.
 */
TL_MUST enum tl_err tl_cell_decode(struct tl_slice value, enum tl_span span, int64_t bucket_ms,
	struct tl_arena *arena, struct tl_page *page_out);

/*
 * The pages of a cell as the one they would be: sessions lie in one page each, so rows and PRs
 * stand one after the other, splits add up and groups unite. All memory is the arena's.
 * TL_ENOT_FOUND when there is no page.
 */
TL_MUST enum tl_err tl_cell_read(struct tl_store *store, const struct tl_view *view, uint32_t org,
	enum tl_span span, int64_t bucket_ms, struct tl_arena *arena, struct tl_page *page_out,
	struct tl_why *why);

#endif
