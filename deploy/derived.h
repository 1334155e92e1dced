/*
 * The derived rows as text that two daemons have in common: cells, sessions and lives with names in
 * place of numbers, each line whole by itself, in an order that follows from the text alone. What
 * depends on the order of arrival is left out; deploy/README.md says exactly what.
 */
#ifndef DEPLOY_DERIVED_H
#define DEPLOY_DERIVED_H

#include "schema/base/bytes.h"
#include "schema/registry/registry.h"
#include "schema/store/view.h"

struct derived_source {
	struct tl_store *store;
	const struct tl_view *view; /* NULL: the newest */
	const struct tl_registry *registry;
};

/*
 * Append lines to text, from where after (hex, empty: the start) left off until text has some
 * hundred kilobytes; after_out, empty at the start, gets where to go on. TL_EEND with the last
 * lines. TL_EBAD_PARAM when after is none of ours.
 */
TL_MUST enum tl_err derived_lines(const struct derived_source *source, struct tl_slice after,
	struct tl_buf *text, struct tl_buf *after_out, struct tl_why *why);

#endif
