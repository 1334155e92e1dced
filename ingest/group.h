/*
 * The rows of the group being built: dense ids, appended batch by batch, then cut into one block
 * per UTC day. Writer thread only.
 */
#ifndef INGEST_GROUP_H
#define INGEST_GROUP_H

#include "ingest/dedupe.h"
#include "schema/model/event.h"
#include "schema/store/journal.h"
#include "schema/store/write.h"

/* Blocks a place can number. */
#define GROUP_DAYS_MAX 1024u
#define GROUP_NO_DAY UINT16_MAX

/* Random per process: see group_prints. */
struct group_print_key {
	uint64_t base;
	uint64_t low[TL_COL_STORED_COUNT];
	uint64_t high[TL_COL_STORED_COUNT];
};

struct group_day {
	int64_t day_ms;
	struct tl_day *day; /* pinned from group_put on */
	uint32_t row_count;
	uint32_t first; /* of its rows in order[] */
	uint16_t block_no;
};

struct group {
	struct tl_arena arena; /* all below, and what building the group needs; reset per group */
	uint64_t group_no;
	int64_t received_ms;
	struct tl_batch rows;	    /* behind row_count columns hold anything */
	struct dedupe_slot **slots; /* row -> the slot of its id; NULL for a retraction */
	uint16_t *day_idx;	    /* row -> days[]; GROUP_NO_DAY: replaced before it was stored */
	struct group_day *days;
	uint32_t day_count;
	uint32_t day_last; /* the day asked for last */
	uint32_t *order;   /* stored rows, day after day */
	uint32_t stored_count;
	struct tl_journal_block *blocks;
	uint32_t block_count;
	int64_t cost_nusd;
	int64_t cost_nusd_bound; /* the sum of |cost| is not above this */
	struct tl_buf block;	 /* kept between groups */
};

void group_init(struct group *group);
void group_fini(struct group *group);

/* Forget the group before. */
TL_MUST enum tl_err group_begin(
	struct group *group, uint64_t group_no, int64_t received_ms, uint32_t row_capacity);

/*
 * Whether the cost surely fits 63 bits with this batch in the group, whatever it replaces; if so it
 * is counted in. A batch alone always fits.
 */
TL_MUST bool group_fits_cost(struct group *group, const struct tl_batch *batch);

/* Room for count more rows; rows and slots may move. */
TL_MUST enum tl_err group_reserve(struct group *group, uint32_t count);

/* The day that counts time_ms; false when the group cannot take another day. */
bool group_find_day(struct group *group, int64_t time_ms, uint16_t *day_idx_out);

/* Take note of a row that was written behind the last one. slot NULL: a retraction. */
void group_add(struct group *group, uint16_t day_idx, struct dedupe_slot *slot);

/* A row of this group that is replaced before it was stored: it will not be. */
void group_drop(struct group *group, uint32_t row_idx);

/*
 * Append what takes back row row_idx of stored (dense ids), which arrived at received_ms. Its ts
 * becomes the time it counted at, so that it is taken back from the cell it was added to.
 */
TL_MUST enum tl_err group_retract(struct group *group, const struct tl_batch *stored,
	uint32_t row_idx, int64_t received_ms, uint16_t day_idx);

/*
 * 32 bits per row of batch[first, first + count) that tell contents apart: prints_out[i] >> 32.
 * Multilinear hashing of the columns' 32-bit halves: two different contents have the same print
 * with probability 2^-32 over the keys (Lemire and Kaser, 2014), whatever a stranger sends, since
 * nothing about the keys leaves the process.
 */
void group_prints(const struct group_print_key *key, const struct tl_batch *batch, uint32_t first,
	uint32_t count, uint64_t *prints_out);

/* The print of one sum, never 0. */
static inline uint32_t
group_print_of(uint64_t sum)
{
	return sum >> 32 != 0 ? (uint32_t)(sum >> 32) : 1;
}

/* Encode the blocks into write; fills blocks and cost_nusd. */
TL_MUST enum tl_err group_put(
	struct group *group, struct tl_store *store, struct tl_write *write, struct tl_why *why);

/* After the commit: slots say where the rows lie. */
void group_settle(struct group *group);

/*
 * Let go of the days, and of the rows: when the group is durable they go to who follows the journal
 * (schema/store/fresh.h). Of the arena nothing is valid afterwards.
 */
void group_end(struct group *group, struct tl_store *store, bool is_durable);

#endif
