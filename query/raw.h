/*
 * The events behind a 15-minute cell, from the blocks of its groups. What a higher revision took
 * back is not shown: of every id at most the row that stands.
 */
#ifndef QUERY_RAW_H
#define QUERY_RAW_H

#include "query/query.h"
#include "schema/store/cell.h"

/* One event, valid during the visit. Cells of its batch are read with tl_batch_get. */
struct raw_row {
	const struct tl_batch *batch;
	uint32_t row_idx;
	int64_t time_ms; /* the time it counts at */
};

struct raw_ask {
	uint32_t org;
	int64_t bucket_ms;	/* the cell; it holds from_ms and to_ms */
	int64_t from_ms, to_ms; /* event time, to_ms exclusive */
	uint64_t column_mask;	/* what the visitor reads; ORG, TS, SIGN, REV come by themselves */
	const uint64_t *groups; /* of the cell's page, rising */
	uint32_t group_count;
};

/*
 * Visit the standing events: those of blocks in the order they were committed, those of sealed days
 * by member and time. TL_EEDGE_UNAVAILABLE when the raw day or the journal's row has expired;
 * TL_ESTORAGE_CORRUPT when a block is damaged or missing.
 */
TL_MUST enum tl_err raw_walk(const struct query_scene *scene, const struct raw_ask *ask,
	enum tl_err (*visit)(void *arg, const struct raw_row *row, struct tl_why *why), void *arg,
	struct tl_why *why);

#endif
