/*
 * What has expired: a mark that is raised, synced, before anything is dropped, so that what is
 * missing can be told from what is lost, and nothing is taken into a day that is gone.
 */
#ifndef TL_STORE_EXPIRY_H
#define TL_STORE_EXPIRY_H

#include "schema/store/view.h"
#include "schema/store/write.h"

/* Nothing of before these is promised to be there; INT64_MIN: nothing has expired. */
struct tl_expiry {
	int64_t day_ms;
	int64_t session_ms;
};

/* As of view, NULL: the newest. */
TL_MUST enum tl_err tl_expiry_get(struct tl_store *store, const struct tl_view *view,
	struct tl_expiry *expiry_out, struct tl_why *why);

/*
 * Raise the mark in a write of its own, synced. It only rises: a longer retention does not bring
 * back what is gone, and *expiry becomes what stands.
 */
TL_MUST enum tl_err tl_expiry_raise(struct tl_store *store, struct tl_write *write,
	struct tl_expiry *expiry, struct tl_why *why);

#endif
