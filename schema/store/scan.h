/* One bounded range that ends in TL_EEND or in an error, never in silence. */
#ifndef TL_STORE_SCAN_H
#define TL_STORE_SCAN_H

#include "schema/store/days.h"
#include "schema/store/store.h"

struct tl_scan;

/*
 * Keys of [first, last) in order. view NULL reads the newest. The caller uses the scan from one
 * thread and frees it before it lets go of the view. An empty last means the family's end.
 */
TL_MUST enum tl_err tl_scan_open(struct tl_store *store, const struct tl_view *view,
	enum tl_family family, struct tl_slice first, struct tl_slice last,
	struct tl_scan **scan_out, struct tl_why *why);
TL_MUST enum tl_err tl_scan_open_day(struct tl_store *store, const struct tl_view *view,
	struct tl_day *day, struct tl_slice first, struct tl_slice last, struct tl_scan **scan_out,
	struct tl_why *why);

/* The next pair, valid until the scan moves. TL_EEND after the last. */
TL_MUST enum tl_err tl_scan_next(struct tl_scan *scan, struct tl_slice *key_out,
	struct tl_slice *value_out, struct tl_why *why);

void tl_scan_free(struct tl_scan *scan);

#endif
