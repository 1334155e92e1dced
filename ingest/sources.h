/*
 * What became of the events of each source (a credential within an org) on each day of arrival:
 * the rows of family intake, absolute values, read once and then kept. And how much money each org
 * has been charged in all: it stays below SOURCES_MONEY_MAX, so that no sum of any of its events
 * can leave 63 bits. Writer thread only.
 */
#ifndef INGEST_SOURCES_H
#define INGEST_SOURCES_H

#include "schema/store/dict.h"
#include "schema/store/value.h"

/* Half of what fits, 4.6 thousand million dollars. */
#define SOURCES_MONEY_MAX (INT64_MAX / 2)

struct sources;

/* Adds up what every org has been charged so far. */
TL_MUST enum tl_err sources_new(
	struct tl_store *store, struct sources **sources_out, struct tl_why *why);
void sources_free(struct sources *sources);

/* Before a group; received_ms decides the day of all rows until the next begin. */
void sources_begin(struct sources *sources, int64_t received_ms);

/* The row of (org, key id), to be changed; valid until the next begin. Org 0: no org known. */
TL_MUST enum tl_err sources_row(struct sources *sources, uint32_t org, const char *key_id,
	struct tl_dict *dict, struct tl_write *write, struct tl_intake_row **row_out,
	struct tl_why *why);

/*
 * Charge the org, for a row that becomes part of the group. False, and nothing is charged, when
 * that would pass the bound: the event is refused as amount_overflow.
 */
TL_MUST bool sources_charge(struct sources *sources, uint32_t org, int64_t money_nusd);

/* Put the rows asked for since begin. */
TL_MUST enum tl_err sources_put(struct sources *sources, struct tl_write *write);

#endif
