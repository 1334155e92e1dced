/*
 * Every stored byte can be looked at: the rows of a family as text, key and value, from a running
 * daemon (tally dump) or from a directory that nobody has open (tallyd dump).
 */
#ifndef DEPLOY_DUMP_H
#define DEPLOY_DUMP_H

#include "schema/base/bytes.h"
#include "schema/registry/registry.h"
#include "schema/store/view.h"

/* In place of a family: all derived rows, with names in place of numbers (derived.h). */
#define DUMP_DERIVED "derived"

struct dump_request {
	/* "cell.1h", "raw.2026-11-21", ..., "highwater": the mark file; empty: list them */
	struct tl_slice family;
	const char *mark_path;
	struct tl_slice after; /* hex of the last key seen, for paging; empty: from the start */
	uint32_t row_count_max;
	const struct tl_registry *registry; /* for DUMP_DERIVED */
};

/*
 * Append {v, ok, rows:[{key, text, value}], after} to reply: key in hex, text its meaning, value as
 * readable text; after is nil on the last page. view NULL reads the newest. TL_EBAD_PARAM for an
 * unknown family.
 */
TL_MUST enum tl_err dump_rows(struct tl_store *store, const struct tl_view *view,
	const struct dump_request *request, struct tl_buf *reply, struct tl_why *why);

#endif
