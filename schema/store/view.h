/*
 * What readers see: a snapshot published by the rollup thread right after each of its writes, with
 * the position it stands for. All requests between two publications share one view, so a reply is
 * consistent by construction and a view costs a reference count.
 */
#ifndef TL_STORE_VIEW_H
#define TL_STORE_VIEW_H

#include "schema/store/store.h"

/* Of one org, cells from low_ms on (event time) changed; sessions and lives may have, of any time.
 */
struct tl_change {
	uint32_t org;
	int64_t low_ms;
};

/*
 * Snapshot now and make it the current view. group_no and seq: the last folded group. changes:
 * what this publication moved, one row an org. Rollup thread only.
 */
TL_MUST enum tl_err tl_view_publish(struct tl_store *store, uint64_t group_no, uint64_t seq,
	const struct tl_change *changes, size_t change_count, struct tl_why *why);

/* The current view, pinned. Never NULL once the first was published. Any thread. */
struct tl_view *tl_view_pin(struct tl_store *store);
void tl_view_unpin(struct tl_view *view);

uint64_t tl_view_group_no(const struct tl_view *view);
uint64_t tl_view_seq(const struct tl_view *view);

/* Rises by one with each publication; 1 is the first. */
uint64_t tl_view_generation(const struct tl_view *view);

/*
 * The newest publication, not later than view, that changed the org (0: none since start). For an
 * old view that may be forgotten: then view's own generation, which fits no other view.
 */
uint64_t tl_view_org_generation(const struct tl_view *view, uint32_t org);

/*
 * The lowest event time changed for the org by publications after generation and up to view:
 * INT64_MAX when nothing changed, INT64_MIN when that is no longer known.
 */
int64_t tl_view_changed_from(const struct tl_view *view, uint32_t org, uint64_t generation);

#endif
