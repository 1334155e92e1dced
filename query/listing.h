/*
 * A long list of which one page is shown: sorted by numbers first, and by name only where numbers
 * tie within reach of the page, so that names are read for what is shown and not for the rest.
 */
#ifndef QUERY_LISTING_H
#define QUERY_LISTING_H

#include "query/reply.h"

struct listing_row {
	int64_t order[2]; /* both descending */
	uint64_t key;	  /* the last tie-breaker, ascending */
	const void *what; /* the caller's */
	struct tl_slice name;
	uint32_t number; /* after the name */
};

/*
 * Bring rows into order as far as the page reaches. name fills row->name (and number) of the rows
 * of the page at least.
 */
TL_MUST enum tl_err listing_sort(struct query_job *job, struct listing_row *rows, uint32_t count,
	const struct reply_page *page,
	enum tl_err (*name)(struct query_job *job, struct listing_row *row, struct tl_why *why),
	struct tl_why *why);

#endif
