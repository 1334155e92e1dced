/*
 * What became of the events of each source (a credential within an org) on each day of arrival:
 * the rows of family intake, absolute values, read once and then kept. Writer thread only.
 */
#ifndef INGEST_SOURCES_H
#define INGEST_SOURCES_H

#include "schema/store/dict.h"
#include "schema/store/value.h"

struct sources;

TL_MUST enum tl_err sources_new(struct tl_store *store, struct sources **sources_out);
void sources_free(struct sources *sources);

/* Before a group; received_ms decides the day of all rows until the next begin. */
void sources_begin(struct sources *sources, int64_t received_ms);

/* The row of (org, key id), to be changed; valid until the next begin. Org 0: no org known. */
TL_MUST enum tl_err sources_row(struct sources *sources, uint32_t org, const char *key_id,
	struct tl_dict *dict, struct tl_write *write, struct tl_intake_row **row_out,
	struct tl_why *why);

/* Put the rows asked for since begin. */
TL_MUST enum tl_err sources_put(struct sources *sources, struct tl_write *write);

#endif
