/*
 * The stored row behind a place: journal row -> day -> block -> row; the last blocks are kept. In a
 * sealed day the rows have moved into runs: the first that is asked for in a run moves the places
 * of all its ids.
 */
#ifndef INGEST_STORED_H
#define INGEST_STORED_H

#include "ingest/dedupe.h"
#include "schema/model/event.h"
#include "schema/store/store.h"

struct stored;

struct stored_row {
	const struct tl_batch *batch; /* valid until the next fetch; NULL: its day has expired */
	uint32_t row_idx;
	int64_t received_ms;
};

/* An event that is known. */
struct stored_event {
	uint32_t org;
	const uint8_t *id;
	const struct dedupe_slot *slot;
};

/* The table's places are put right where days were sealed. */
TL_MUST enum tl_err stored_new(
	struct tl_store *store, struct dedupe *dedupe, struct stored **stored_out);
void stored_free(struct stored *stored);

/* TL_EACKED_DATA_MISSING and TL_ESTORAGE_CORRUPT: the store no longer has what it acknowledged. */
TL_MUST enum tl_err stored_fetch(struct stored *stored, const struct stored_event *event,
	struct stored_row *row_out, struct tl_why *why);

#endif
