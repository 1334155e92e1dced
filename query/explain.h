/*
 * The rows behind an answer: for an org, a range and a scope, every 15-minute cell with the facts
 * that match, the groups they came from and the events themselves.
 */
#ifndef QUERY_EXPLAIN_H
#define QUERY_EXPLAIN_H

#include "schema/registry/registry.h"
#include "schema/store/view.h"

/*
 * params: the command's map with range or from / to, tz, scope (as for series), limit (events, at
 * most 1000). Appends {v, ok, window, total{...}, cells:[{start_ms, rows, groups[], events[{id,
 * ts, ...}]}], truncated}: the sum over cells is the total, the sum over events too when not
 * truncated.
 */
TL_MUST enum tl_err explain_run(struct tl_store *store, const struct tl_view *view,
	const struct tl_registry *registry, struct tl_slice org_name, struct tl_slice params,
	int64_t now_ms, struct tl_buf *reply, struct tl_why *why);

#endif
