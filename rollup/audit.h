/*
 * Recount everything from raw and compare: journal dense and chained, blocks whole, ids unique,
 * every cell page, session row and life equal to a recount that shares no code with the fold
 * beyond what an event is worth (tl_event_totals) and the page format.
 */
#ifndef ROLLUP_AUDIT_H
#define ROLLUP_AUDIT_H

#include <stdatomic.h>

#include "schema/store/view.h"

struct audit_report {
	uint64_t groups, blocks, events, ids;
	uint64_t pages, sessions, lives; /* compared */
	uint64_t differences;
	char first_difference[240]; /* "" when there is none */
};

/* Read by others while an audit runs, for progress; and how they end it. */
struct audit_progress {
	_Atomic uint64_t blocks_done, blocks_total;
	_Atomic bool is_cancelled; /* set: the audit ends with TL_ESHUTTING_DOWN */
};

/*
 * Audit the state as of view, on the calling thread. TL_OK also when differences were found;
 * TL_ESTORAGE_CORRUPT and TL_EACKED_DATA_MISSING when raw itself is damaged. progress may be NULL.
 */
TL_MUST enum tl_err audit_run(struct tl_store *store, const struct tl_view *view,
	struct audit_progress *progress, struct audit_report *report_out, struct tl_why *why);

#endif
