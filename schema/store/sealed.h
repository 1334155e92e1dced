/*
 * Reading a sealed day: which run holds a group, its chunks, and the rows of one of its blocks as
 * they were before. Runs never change, and a group's rows are in a block or, from then on, in a
 * run: who does not find the block looks here, with the same view.
 */
#ifndef TL_STORE_SEALED_H
#define TL_STORE_SEALED_H

#include "schema/store/run.h"
#include "schema/store/scan.h"

/*
 * The first run of the day whose last group is group_no or later, lists on the arena. TL_EEND when
 * there is none.
 */
TL_MUST enum tl_err tl_sealed_next(struct tl_store *store, const struct tl_view *view,
	struct tl_day *day, uint64_t group_no, struct tl_arena *arena, struct tl_run *run_out,
	struct tl_why *why);

/* A chunk of a run, held against what the run says of it. Missing: TL_EACKED_DATA_MISSING. */
TL_MUST enum tl_err tl_sealed_chunk(struct tl_store *store, const struct tl_view *view,
	struct tl_day *day, const struct tl_run *run, uint32_t chunk_idx, uint64_t column_mask,
	struct tl_arena *arena, struct tl_chunk *chunk_out, struct tl_why *why);

/* The group of the day's newest block that is not sealed; TL_EEND when all are. */
TL_MUST enum tl_err tl_sealed_newest_block(
	struct tl_store *store, struct tl_day *day, uint64_t *group_no_out, struct tl_why *why);

/* Runs as they were read last, whole: who follows the journal meets the same few again. */
struct tl_sealed;

TL_MUST enum tl_err tl_sealed_new(struct tl_store *store, struct tl_sealed **sealed_out);
void tl_sealed_free(struct tl_sealed *sealed);

/* Give back the memory of what was read. */
void tl_sealed_forget(struct tl_sealed *sealed);

/*
 * The rows of a block that was sealed, those of its columns that are in column_mask, in the run's
 * order, on the arena. TL_ENOT_FOUND when no run of the day has it.
 */
TL_MUST enum tl_err tl_sealed_block(struct tl_sealed *sealed, const struct tl_view *view,
	struct tl_day *day, uint64_t group_no, uint16_t block_no, uint64_t column_mask,
	struct tl_arena *arena, struct tl_block_head *head_out, struct tl_batch *batch_out,
	struct tl_why *why);

#endif
