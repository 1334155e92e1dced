/* Rows of a batch that are refused while their siblings stay. */
#ifndef INGEST_REJECTS_H
#define INGEST_REJECTS_H

#include "schema/model/event.h"

/* Reject a row for a field of its; got_symbol is shown (0: nothing). The row is still there. */
void rejects_add(struct tl_batch *batch, uint32_t row_idx, enum tl_err err, enum tl_column column,
	uint32_t got_symbol);

/* Keep kept[0, kept_count), which rise; what else there was has been rejected. */
void rejects_keep(struct tl_batch *batch, const uint32_t *kept, uint32_t kept_count);

/* Rejects by event_idx, for whoever added some. */
void rejects_sort(struct tl_batch *batch);

#endif
