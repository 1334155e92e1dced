#include "ingest/rejects.h"

#include <assert.h>
#include <stdlib.h>

void
rejects_add(struct tl_batch *batch, uint32_t row_idx, enum tl_err err, enum tl_column column,
	uint32_t got_symbol)
{
	struct tl_reject *to = &batch->rejects[batch->reject_count];
	struct tl_slice got = {0};

	assert(batch->reject_count < batch->row_capacity);
	*to = (struct tl_reject){
		.event_idx = batch->event_idx[row_idx],
		.err = err,
		.field = tl_column_field(column),
		.limit = INT64_MIN,
	};
	memcpy(to->id, batch->id[row_idx], sizeof(to->id));
	/* Names were checked for UTF-8 and control bytes, so this needs no escapes. */
	if (got_symbol != 0)
		got = batch->symbols[got_symbol].text;
	if (got.bytes > 0 && got.bytes < sizeof(to->got))
		memcpy(to->got, got.data, got.bytes);
	batch->reject_count++;
}

static int
compare_rejects(const void *a, const void *b)
{
	const struct tl_reject *left = a;
	const struct tl_reject *right = b;

	return (left->event_idx > right->event_idx) - (left->event_idx < right->event_idx);
}

void
rejects_sort(struct tl_batch *batch)
{
	qsort(batch->rejects, batch->reject_count, sizeof(*batch->rejects), compare_rejects);
}

void
rejects_keep(struct tl_batch *batch, const uint32_t *kept, uint32_t kept_count)
{
	if (kept_count == batch->row_count)
		return;
	for (uint32_t i = 0; i < kept_count; i++) {
		memmove(batch->id[i], batch->id[kept[i]], sizeof(batch->id[i]));
		batch->event_idx[i] = batch->event_idx[kept[i]];
	}
	for (enum tl_column column = 0; column < TL_COL_COUNT; column++) {
		int64_t *values = batch->column[column];

		for (uint32_t i = 0; values != NULL && i < kept_count; i++)
			values[i] = values[kept[i]];
	}
	batch->row_count = kept_count;
	rejects_sort(batch);
}
