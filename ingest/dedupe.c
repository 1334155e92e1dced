/*
 * Slots are filled one behind the other and never move; an index of pegs finds them:
 *
 *   pegs    | . | hash, 4 | hash, 1 | . | hash, 3 | . |     open addressing, linear probing
 *   slots   | 1 | 2 free | 3 | 4 | not used yet ...         what is free is used again first
 *
 * A new id so costs one random line of the index, at 8 bytes a peg, and a line of slots every
 * other id. A peg has 32 bits of the hash, which are its home, scaled to the number of pegs, and
 * tell most others apart without a look at their slots. So the index can have any size: it grows
 * by a half or a third and reads no slot for that.
 *
 * The addresses of all the slots there can ever be are reserved from the start and made memory as
 * they are used.
 */
#include "ingest/dedupe.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "schema/base/crypt.h"
#include "schema/base/hash.h"

#define IDS_MIN 3584u
#define PEGS_MIN 4096u
#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define PREFETCH_SLOTS 16u

/* Place of a free slot: no group has this number. Its id[0] is the number of the next free one. */
#define PLACE_FREE UINT64_MAX

struct peg {
	uint32_t hash;
	uint32_t slot_no; /* from 1; 0: no slot hangs here */
};

struct dedupe {
	uint64_t id_count_max;
	uint64_t taken_count;
	/* slots, number 1 first */
	struct dedupe_slot *slots;
	size_t reserved_bytes; /* addresses of them, */
	size_t slots_bytes;    /* of which this much is memory */
	uint64_t used_count;   /* those behind were never taken */
	uint64_t free_count;
	uint32_t free_no; /* the free one to take next; 0: none */
	/* index */
	struct peg *pegs;
	uint64_t peg_count;
	/* secrets, fixed after new */
	uint64_t seed[4];
	unsigned __int128 org_factor;
};

_Static_assert(sizeof(struct dedupe_slot) == 28, "no padding");

/* 7/8: longer runs would cost more than the memory they save. */
static uint64_t
taken_max(uint64_t peg_count)
{
	return peg_count / 8 * 7;
}

/* As tl_hash, of 16 bytes. */
static uint32_t
hash_of(const struct dedupe *dedupe, uint64_t low, uint64_t high)
{
	uint64_t hash = tl_fold_multiply(low ^ dedupe->seed[0], high ^ dedupe->seed[1]);

	return (uint32_t)(tl_fold_multiply(hash ^ dedupe->seed[2], dedupe->seed[3]) >> 32);
}

static uint32_t
hash_of_slot(const struct dedupe *dedupe, const struct dedupe_slot *slot)
{
	return hash_of(dedupe, slot->id[0], slot->id[1]);
}

struct dedupe_key
dedupe_key_of(const struct dedupe *dedupe, uint32_t org, const uint8_t id[16])
{
	unsigned __int128 sum;
	struct dedupe_key key;

	memcpy(&sum, id, sizeof(sum));
	sum += dedupe->org_factor * org;
	key.id[0] = (uint64_t)sum;
	key.id[1] = (uint64_t)(sum >> 64);
	key.hash = hash_of(dedupe, key.id[0], key.id[1]);
	return key;
}

static uint64_t
home_of(const struct dedupe *dedupe, uint32_t hash)
{
	return hash * dedupe->peg_count >> 32;
}

static uint64_t
next_of(const struct dedupe *dedupe, uint64_t at)
{
	return at + 1 < dedupe->peg_count ? at + 1 : 0;
}

static struct dedupe_slot *
slot_of(const struct dedupe *dedupe, uint32_t slot_no)
{
	return &dedupe->slots[slot_no - 1];
}

/*
 * Zeroed memory for pegs, NULL without. Every probe is a random page, so huge ones are asked for;
 * the advice may be declined without harm.
 */
static struct peg *
map_pegs(uint64_t peg_count)
{
	size_t bytes = peg_count * sizeof(struct peg);
	void *pegs = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pegs == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE_PAGE_BYTES)
		(void)madvise(pegs, bytes, MADV_HUGEPAGE);
	return pegs;
}

enum tl_err
dedupe_new(size_t bytes_max, struct dedupe **dedupe_out)
{
	struct dedupe *dedupe = calloc(1, sizeof(*dedupe));
	uint64_t id_bytes = sizeof(struct dedupe_slot) + sizeof(struct peg) * 8 / 7 + 1;

	if (dedupe == NULL)
		return TL_ENOMEM;
	dedupe->id_count_max = bytes_max / id_bytes;
	if (dedupe->id_count_max < IDS_MIN)
		dedupe->id_count_max = IDS_MIN;
	if (dedupe->id_count_max > UINT32_MAX - 1)
		dedupe->id_count_max = UINT32_MAX - 1;
	dedupe->reserved_bytes =
		dedupe->id_count_max * sizeof(struct dedupe_slot) + HUGE_PAGE_BYTES;
	dedupe->slots = mmap(NULL, dedupe->reserved_bytes, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (dedupe->slots == MAP_FAILED) {
		free(dedupe);
		return TL_ENOMEM;
	}
	dedupe->pegs = map_pegs(PEGS_MIN);
	if (dedupe->pegs == NULL) {
		dedupe_free(dedupe);
		return TL_ENOMEM;
	}
	dedupe->peg_count = PEGS_MIN;
	tl_random(dedupe->seed, sizeof(dedupe->seed));
	tl_random(&dedupe->org_factor, sizeof(dedupe->org_factor));
	*dedupe_out = dedupe;
	return TL_OK;
}

void
dedupe_free(struct dedupe *dedupe)
{
	if (dedupe == NULL)
		return;
	if (dedupe->pegs != NULL)
		(void)munmap(dedupe->pegs, dedupe->peg_count * sizeof(struct peg));
	(void)munmap(dedupe->slots, dedupe->reserved_bytes);
	free(dedupe);
}

/* The peg where a slot whose hash and number are known to be in no peg belongs. */
static struct peg *
find_empty(const struct dedupe *dedupe, uint32_t hash)
{
	uint64_t at = home_of(dedupe, hash);

	while (dedupe->pegs[at].slot_no != 0)
		at = next_of(dedupe, at);
	return &dedupe->pegs[at];
}

/* The peg of the key, or the empty one where it belongs. There is always an empty one. */
static struct peg *
find_peg(const struct dedupe *dedupe, const struct dedupe_key *key)
{
	uint64_t at = home_of(dedupe, key->hash);

	for (;; at = next_of(dedupe, at)) {
		struct peg *peg = &dedupe->pegs[at];
		const struct dedupe_slot *slot;

		if (peg->slot_no == 0)
			return peg;
		if (peg->hash != key->hash)
			continue;
		slot = slot_of(dedupe, peg->slot_no);
		if (slot->id[0] == key->id[0] && slot->id[1] == key->id[1])
			return peg;
	}
}

/*
 * A larger index. Pegs lie near the order of their hashes in both, so each is read and written
 * once from start to end, and what was read is given back on the way: the two together take
 * hardly more than the new one alone.
 */
static bool
grow_index(struct dedupe *dedupe, uint64_t peg_count)
{
	struct peg *old = dedupe->pegs;
	uint64_t old_count = dedupe->peg_count;
	uint64_t step = HUGE_PAGE_BYTES / sizeof(*old);
	struct peg *pegs = map_pegs(peg_count);

	if (pegs == NULL)
		return false;
	dedupe->pegs = pegs;
	dedupe->peg_count = peg_count;
	for (uint64_t first = 0; first < old_count; first += step) {
		uint64_t end = first + step < old_count ? first + step : old_count;

		for (uint64_t i = first; i < end; i++) {
			if (old[i].slot_no != 0)
				*find_empty(dedupe, old[i].hash) = old[i];
		}
		(void)munmap(&old[first], (end - first) * sizeof(*old));
	}
	return true;
}

/* 2^k and 3 * 2^k in turn, or what the cap needs. */
static uint64_t
larger_count(const struct dedupe *dedupe, uint64_t taken_count)
{
	uint64_t last = (dedupe->id_count_max + 6) / 7 * 8;
	uint64_t count = PEGS_MIN;

	while (taken_max(count) < taken_count) {
		bool is_power = (count & (count - 1)) == 0;

		count += is_power ? count / 2 : count / 3;
	}
	return count < last ? count : last;
}

/* The first slot_count slots are memory, up to the end of a huge page; false without memory. */
static bool
make_slots(struct dedupe *dedupe, uint64_t slot_count)
{
	size_t bytes = slot_count * sizeof(struct dedupe_slot);

	if (bytes <= dedupe->slots_bytes)
		return true;
	bytes += -((uintptr_t)dedupe->slots + bytes) & (HUGE_PAGE_BYTES - 1);
	if (mprotect(dedupe->slots, bytes, PROT_READ | PROT_WRITE) != 0)
		return false;
	(void)madvise(dedupe->slots, bytes, MADV_HUGEPAGE);
	dedupe->slots_bytes = bytes;
	return true;
}

enum tl_err
dedupe_reserve(struct dedupe *dedupe, uint32_t count)
{
	uint64_t taken_count = dedupe->taken_count + count;

	/* No memory is a cap as well: the sender is told to come again, nothing is dropped. */
	if (taken_count > dedupe->id_count_max)
		return TL_EID_INDEX_FULL;
	if (count > dedupe->free_count &&
		!make_slots(dedupe, dedupe->used_count + count - dedupe->free_count))
		return TL_EID_INDEX_FULL;
	if (taken_count > taken_max(dedupe->peg_count) &&
		!grow_index(dedupe, larger_count(dedupe, taken_count)))
		return TL_EID_INDEX_FULL;
	return TL_OK;
}

static uint32_t
take_slot(struct dedupe *dedupe)
{
	uint32_t slot_no = dedupe->free_no;

	if (slot_no != 0) {
		dedupe->free_no = (uint32_t)slot_of(dedupe, slot_no)->id[0];
		dedupe->free_count--;
		return slot_no;
	}
	dedupe->used_count++;
	assert(dedupe->used_count * sizeof(struct dedupe_slot) <= dedupe->slots_bytes);
	return (uint32_t)dedupe->used_count;
}

static void
prefetch(const struct dedupe *dedupe, uint32_t hash)
{
	__builtin_prefetch(&dedupe->pegs[home_of(dedupe, hash)], 1);
}

void
dedupe_prefetch(const struct dedupe *dedupe, const struct dedupe_key *key)
{
	prefetch(dedupe, key->hash);
}

struct dedupe_slot *
dedupe_claim(struct dedupe *dedupe, const struct dedupe_key *key, bool *is_new_out)
{
	struct peg *peg = find_peg(dedupe, key);
	struct dedupe_slot *slot;

	*is_new_out = peg->slot_no == 0;
	if (!*is_new_out)
		return slot_of(dedupe, peg->slot_no);
	*peg = (struct peg){.hash = key->hash, .slot_no = take_slot(dedupe)};
	slot = slot_of(dedupe, peg->slot_no);
	*slot = (struct dedupe_slot){.id = {key->id[0], key->id[1]}};
	dedupe->taken_count++;
	/* Past the reserve a probe might find no empty peg to stop at. */
	assert(dedupe->taken_count <= taken_max(dedupe->peg_count));
	return slot;
}

struct dedupe_slot *
dedupe_find(struct dedupe *dedupe, const struct dedupe_key *key)
{
	const struct peg *peg = find_peg(dedupe, key);

	return peg->slot_no != 0 ? slot_of(dedupe, peg->slot_no) : NULL;
}

/* Close the gap: a later peg of the run moves into it unless its home lies behind it. */
static void
shift_back(struct dedupe *dedupe, uint64_t gap)
{
	uint64_t at = gap;

	for (;;) {
		uint64_t home;

		at = next_of(dedupe, at);
		if (dedupe->pegs[at].slot_no == 0)
			break;
		home = home_of(dedupe, dedupe->pegs[at].hash);
		if (gap < at ? gap < home && home <= at : gap < home || home <= at)
			continue;
		dedupe->pegs[gap] = dedupe->pegs[at];
		gap = at;
	}
	dedupe->pegs[gap] = (struct peg){.slot_no = 0};
}

void
dedupe_unclaim(struct dedupe *dedupe, struct dedupe_slot *slot)
{
	uint32_t slot_no = (uint32_t)(slot - dedupe->slots) + 1;
	uint64_t at = home_of(dedupe, hash_of_slot(dedupe, slot));

	assert(slot->place != PLACE_FREE);
	while (dedupe->pegs[at].slot_no != slot_no)
		at = next_of(dedupe, at);
	shift_back(dedupe, at);
	*slot = (struct dedupe_slot){.id = {dedupe->free_no}, .place = PLACE_FREE};
	dedupe->free_no = slot_no;
	dedupe->free_count++;
	dedupe->taken_count--;
}

/* The group of a free slot is above all others. */
static bool
is_before(const struct dedupe_slot *slot, uint64_t group_no)
{
	return slot->place >> DEDUPE_GROUP_SHIFT < group_no;
}

void
dedupe_expire(struct dedupe *dedupe, uint64_t group_no)
{
	for (uint64_t i = 0; i < dedupe->used_count; i++) {
		const struct dedupe_slot *ahead = &dedupe->slots[i + PREFETCH_SLOTS];

		if (i + PREFETCH_SLOTS < dedupe->used_count && is_before(ahead, group_no))
			prefetch(dedupe, hash_of_slot(dedupe, ahead));
		if (is_before(&dedupe->slots[i], group_no))
			dedupe_unclaim(dedupe, &dedupe->slots[i]);
	}
}

uint64_t
dedupe_count(const struct dedupe *dedupe)
{
	return dedupe->taken_count;
}

uint64_t
dedupe_bytes(const struct dedupe *dedupe)
{
	return dedupe->used_count * sizeof(struct dedupe_slot) +
	       dedupe->peg_count * sizeof(struct peg);
}
