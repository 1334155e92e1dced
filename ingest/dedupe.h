/*
 * (org, id) -> where the stored event lies, for as long as the id can be accepted. 28 bytes a slot:
 *
 *   id 16, of which org | place u64 = group_no << 26 | block_no << 16 | row | print u32
 *
 * and 8 to 14 bytes in the index that finds it. print is 32 bits of a keyed hash of the content:
 * equal prints are taken as equal content (a mistake needs 2^32 conflicting resends), differing
 * prints are compared against the stored row. 0 means not known (after a restart): the stored row
 * is read. Writer thread only.
 *
 * A slot's id is that of the event plus org times a secret, modulo 2^128. Within an org that is
 * exact. Between two orgs two given ids meet for at most 2^t of the 2^128 secrets, where 2^t
 * divides the difference of the orgs' numbers: less than 2^-96 whatever is sent, as nothing about
 * the secret leaves the process.
 */
#ifndef INGEST_DEDUPE_H
#define INGEST_DEDUPE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

struct dedupe;

struct __attribute__((packed, aligned(4))) dedupe_slot {
	uint64_t id[2];
	uint64_t place;
	uint32_t print;
};

/* An (org, id) as the table looks for it; made once, then prefetched, claimed or found. */
struct dedupe_key {
	uint64_t id[2];
	uint32_t hash;
};

/*
 * The block that the event came in. Once its day is sealed the row is that of the run, or, where
 * nobody has asked since, still that of the block: then the row is another event, which shows.
 */
struct dedupe_place {
	uint64_t group_no; /* below 2^38 - 1 */
	uint16_t block_no; /* below 2^10 */
	uint16_t row_idx;
};

TL_MUST enum tl_err dedupe_new(size_t bytes_max, struct dedupe **dedupe_out);
void dedupe_free(struct dedupe *dedupe);

/*
 * Make room for count more ids. TL_EID_INDEX_FULL when that would pass the cap: refuse the group,
 * drop nothing.
 */
TL_MUST enum tl_err dedupe_reserve(struct dedupe *dedupe, uint32_t count);

struct dedupe_key dedupe_key_of(const struct dedupe *dedupe, uint32_t org, const uint8_t id[16]);

/* Tell the cache that this key is about to be claimed. */
void dedupe_prefetch(const struct dedupe *dedupe, const struct dedupe_key *key);

/*
 * The slot of a key, made empty-placed when new (*is_new_out). Never NULL after reserve. It stays
 * where it is until it is unclaimed or expires.
 */
struct dedupe_slot *dedupe_claim(
	struct dedupe *dedupe, const struct dedupe_key *key, bool *is_new_out);

/* The slot of a key, NULL when it is not known. */
struct dedupe_slot *dedupe_find(struct dedupe *dedupe, const struct dedupe_key *key);

/* Take back a claim (the event turned out to be refused). */
void dedupe_unclaim(struct dedupe *dedupe, struct dedupe_slot *slot);

#define DEDUPE_ROW_BITS 16
#define DEDUPE_BLOCK_BITS 10
#define DEDUPE_GROUP_SHIFT (DEDUPE_ROW_BITS + DEDUPE_BLOCK_BITS)

static inline uint64_t
dedupe_place_pack(struct dedupe_place place)
{
	assert(place.group_no < (UINT64_C(1) << (64 - DEDUPE_GROUP_SHIFT)) - 1);
	assert(place.block_no < 1u << DEDUPE_BLOCK_BITS);
	return place.group_no << DEDUPE_GROUP_SHIFT | (uint64_t)place.block_no << DEDUPE_ROW_BITS |
	       place.row_idx;
}

static inline struct dedupe_place
dedupe_place_of(const struct dedupe_slot *slot)
{
	return (struct dedupe_place){
		.group_no = slot->place >> DEDUPE_GROUP_SHIFT,
		.block_no = (uint16_t)(slot->place >> DEDUPE_ROW_BITS &
				       ((1u << DEDUPE_BLOCK_BITS) - 1)),
		.row_idx = (uint16_t)slot->place,
	};
}

/* Forget ids of groups before group_no. */
void dedupe_expire(struct dedupe *dedupe, uint64_t group_no);

uint64_t dedupe_count(const struct dedupe *dedupe);
uint64_t dedupe_bytes(const struct dedupe *dedupe);

#endif
