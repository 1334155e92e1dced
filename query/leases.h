/*
 * Views that outlive a request: an export of many pages reads one. A few at a time, each for
 * whoever opened it, and let go of when it is over or nobody came back for a while.
 */
#ifndef QUERY_LEASES_H
#define QUERY_LEASES_H

#include "schema/model/window.h"
#include "schema/registry/apikey.h"
#include "schema/store/view.h"

#define LEASES_MAX 8u
#define LEASE_IDLE_MS 60000LL	/* from one page to the next */
#define LEASE_LIFE_MS 7200000LL /* in all: while it is held nothing old is forgotten */

struct leases;

struct lease {
	uint64_t no; /* random, never 0 */
	uint32_t org_no;
	char key_id[TL_KEY_ID_BYTES];
	struct tl_view *view;
	struct tl_window window;
	int64_t now_ms; /* when it was opened */

	/* the table's */
	uint32_t use_count; /* a question that was sent again is answered twice */
	bool is_over;
	int64_t opened_us, left_us;
};

TL_MUST enum tl_err leases_new(struct leases **leases_out);
void leases_free(struct leases *leases);

/* The current view for the caller, in use. TL_EOVERLOADED when all are taken. */
TL_MUST enum tl_err leases_open(struct leases *leases, struct tl_store *store,
	const struct tl_caller *caller, const struct tl_window *window, int64_t now_ms,
	struct lease **lease_out, struct tl_why *why);

/* The one with this number, in use; NULL when it is not the caller's, or over. */
struct lease *leases_take(struct leases *leases, const struct tl_caller *caller, uint64_t no);

/* After use. is_over: nobody will come back for it. NULL is fine. */
void leases_leave(struct leases *leases, struct lease *lease, bool is_over);

/* Let go of those that nobody came back for; costs nothing while there are none. */
void leases_expire(struct leases *leases);

#endif
