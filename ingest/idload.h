/*
 * Ids on their way from stored blocks and runs into the table, with their places, checked on the
 * way. Used by the walk at open and by imports.
 */
#ifndef INGEST_IDLOAD_H
#define INGEST_IDLOAD_H

#include "ingest/dedupe.h"
#include "schema/store/sealed.h"

struct idload {
	struct tl_store *store;
	struct dedupe *dedupe;
	int64_t bytes_max; /* of the table, for its message */
	/* of a run, only the ids of these groups */
	uint64_t group_first, group_end;
	struct tl_arena arena;
	bool has_retractions; /* set when rows took others back, for the caller to look at and clear
			       */
};

struct commit;

void idload_init(
	struct idload *load, const struct commit *commit, uint64_t group_first, uint64_t group_end);
void idload_fini(struct idload *load);

/*
 * The ids of a block. row_count: as the journal says, 0: not known. TL_EACKED_DATA_MISSING when it
 * has another, TL_ESTORAGE_CORRUPT, TL_EID_INDEX_FULL.
 */
TL_MUST enum tl_err idload_block(struct idload *load, struct tl_slice block, uint64_t group_no,
	uint16_t block_no, uint32_t row_count, struct tl_why *why);

/* The ids of a run, and that it is whole: TL_EACKED_DATA_MISSING when it is not. */
TL_MUST enum tl_err idload_run(
	struct idload *load, struct tl_day *day, const struct tl_run *run, struct tl_why *why);

#endif
