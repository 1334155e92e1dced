/*
 * Before the first step: are all steps there that were made since the last flush point? A log that
 * is lost while later ones are not takes derived rows with it that nobody would miss: the mark
 * stands in each log, raw has its own check (ingest/idwindow). Then what is derived begins again
 * where the flush point left it, and is folded from there.
 */
#ifndef ROLLUP_REPAIR_H
#define ROLLUP_REPAIR_H

#include "schema/store/store.h"

enum repair {
	REPAIR_NONE,	    /* nothing is missing */
	REPAIR_FLUSH_POINT, /* derived rows are as the flush point had them */
	REPAIR_REBUILD, /* there is none to use, or derived rows are of an older form: due before
			   anybody asks */
};

/* The store is open for writing, and rollup_new has not been called. */
TL_MUST enum tl_err repair_derived(
	struct tl_store *store, const char *data_dir, enum repair *repair_out, struct tl_why *why);

#endif
