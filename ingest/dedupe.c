/*
 * Linear probing, home slot = the top bits of the hash, so that a table twice as large is filled in
 * the order the old one is read. A slot is empty (org 0), dead (org DEDUPE_DEAD) or taken:
 *
 *   ... | empty | A | B | dead | C | empty | ...      probes stop at the first empty slot
 *
 * Dead slots exist because slots that were handed out must not move: they are left by unclaim,
 * used again by claim and swept away by expire and reserve.
 *
 * The addresses of the largest table are reserved from the start and made memory as it grows, so
 * growing moves slots within one place and never needs room for two tables.
 */
#include "ingest/dedupe.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "schema/base/crypt.h"

#define DEDUPE_SLOTS_MIN 4096u
#define DEDUPE_DEAD UINT32_MAX
#define HUGE_PAGE_BYTES ((size_t)2 << 20)

/* No slot lies so far behind its home: a quarter of the keyed hashes would have to agree. */
#define DISTANCE_MAX 65536u

struct dedupe {
	void *reserved; /* addresses, slots among them */
	size_t reserved_bytes;
	struct dedupe_slot *slots;
	uint64_t slot_count; /* a power of two */
	uint64_t slot_count_max;
	unsigned home_shift; /* hash >> home_shift is the home slot */
	uint64_t taken_count;
	uint64_t dead_count;
	uint64_t seed[4];
};

_Static_assert(sizeof(struct dedupe_slot) == 32, "two slots share a cache line");

/* 7/8: longer runs would cost more than the memory they save. */
static uint64_t
taken_max(uint64_t slot_count)
{
	return slot_count / 8 * 7;
}

static uint64_t
fold_multiply(uint64_t a, uint64_t b)
{
	__extension__ unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Ids are chosen by strangers, so the hash is keyed with random words that never leave the
 * process, and nobody outside sees a hash or an order of slots that could tell them. Under that
 * condition two folded multiplies are enough, at a third of SipHash's price.
 */
static uint64_t
hash_of(const struct dedupe *dedupe, uint32_t org, const uint8_t id[16])
{
	uint64_t words[2];
	uint64_t hash;

	memcpy(words, id, sizeof(words));
	hash = fold_multiply(words[0] ^ dedupe->seed[0], words[1] ^ dedupe->seed[1]);
	return fold_multiply(hash ^ dedupe->seed[2], org ^ dedupe->seed[3]);
}

/* Addresses without memory, for the largest table and for starting it at a huge page. */
static bool
reserve_addresses(struct dedupe *dedupe)
{
	uintptr_t at;

	dedupe->reserved_bytes =
		dedupe->slot_count_max * sizeof(struct dedupe_slot) + HUGE_PAGE_BYTES;
	dedupe->reserved = mmap(NULL, dedupe->reserved_bytes, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (dedupe->reserved == MAP_FAILED)
		return false;
	at = ((uintptr_t)dedupe->reserved + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1);
	dedupe->slots = (struct dedupe_slot *)at;
	return true;
}

/* The first slot_count slots are memory, those that were none before zeroed; false without memory.
 */
static bool
set_slots(struct dedupe *dedupe, uint64_t slot_count)
{
	size_t bytes = slot_count * sizeof(struct dedupe_slot);

	if (mprotect(dedupe->slots, bytes, PROT_READ | PROT_WRITE) != 0)
		return false;
	/* Every probe is a random page; the advice may be declined without harm. */
	if (bytes >= HUGE_PAGE_BYTES)
		(void)madvise(dedupe->slots, bytes, MADV_HUGEPAGE);
	dedupe->slot_count = slot_count;
	dedupe->home_shift = 64u - (unsigned)__builtin_ctzll(slot_count);
	return true;
}

enum tl_err
dedupe_new(size_t bytes_max, struct dedupe **dedupe_out)
{
	struct dedupe *dedupe = calloc(1, sizeof(*dedupe));

	if (dedupe == NULL)
		return TL_ENOMEM;
	dedupe->slot_count_max = DEDUPE_SLOTS_MIN;
	while (dedupe->slot_count_max <= bytes_max / sizeof(struct dedupe_slot) / 2)
		dedupe->slot_count_max *= 2;
	if (!reserve_addresses(dedupe)) {
		free(dedupe);
		return TL_ENOMEM;
	}
	if (!set_slots(dedupe, DEDUPE_SLOTS_MIN)) {
		dedupe_free(dedupe);
		return TL_ENOMEM;
	}
	tl_random(dedupe->seed, sizeof(dedupe->seed));
	*dedupe_out = dedupe;
	return TL_OK;
}

void
dedupe_free(struct dedupe *dedupe)
{
	if (dedupe == NULL)
		return;
	(void)munmap(dedupe->reserved, dedupe->reserved_bytes);
	free(dedupe);
}

static uint64_t
home_of(const struct dedupe *dedupe, const struct dedupe_slot *slot)
{
	return hash_of(dedupe, slot->org, slot->id) >> dedupe->home_shift;
}

static bool
is_taken(const struct dedupe_slot *slot)
{
	return slot->org != 0 && slot->org != DEDUPE_DEAD;
}

/* Put what is known not to be in the table into the first empty slot from its home, at, on. */
static void
settle(struct dedupe *dedupe, const struct dedupe_slot *slot, uint64_t at)
{
	uint64_t mask = dedupe->slot_count - 1;

	while (dedupe->slots[at].org != 0)
		at = (at + 1) & mask;
	dedupe->slots[at] = *slot;
}

/*
 * Drop the dead and the ids of groups before group_no, in place. Begins behind an empty slot and
 * takes out and settles one slot after the other: what was settled before lies between its home
 * and the present slot, so nothing moves past the sweep and nothing is met twice.
 */
static void
sweep(struct dedupe *dedupe, uint64_t group_no)
{
	uint64_t mask = dedupe->slot_count - 1;
	uint64_t start = 0;

	while (dedupe->slots[start].org != 0)
		start++;
	for (uint64_t step = 1; step < dedupe->slot_count; step++) {
		struct dedupe_slot *slot = &dedupe->slots[(start + step) & mask];
		struct dedupe_slot taken = *slot;

		if (taken.org == 0)
			continue;
		*slot = (struct dedupe_slot){0};
		if (taken.org == DEDUPE_DEAD)
			continue;
		if (taken.place >> DEDUPE_GROUP_SHIFT < group_no)
			dedupe->taken_count--;
		else
			settle(dedupe, &taken, home_of(dedupe, &taken));
	}
	dedupe->dead_count = 0;
}

/*
 * In place, from the last slot down: a slot's home at least doubles its number, so it goes to where
 * only slots lie that have been moved. Only near the start that may be wrong by its distance from
 * home; those slots are taken out before and put back last.
 */
static enum tl_err
grow(struct dedupe *dedupe, uint64_t slot_count)
{
	uint64_t old_count = dedupe->slot_count;
	uint64_t low_count = old_count < 2 * DISTANCE_MAX ? old_count : 2 * DISTANCE_MAX;
	struct dedupe_slot *low = malloc(low_count * sizeof(*low));

	/* No memory is a cap as well: the sender is told to come again, nothing is dropped. */
	if (low == NULL || !set_slots(dedupe, slot_count)) {
		free(low);
		return TL_EID_INDEX_FULL;
	}
	memcpy(low, dedupe->slots, low_count * sizeof(*low));
	memset(dedupe->slots, 0, low_count * sizeof(*low));
	for (uint64_t i = old_count; i-- > low_count;) {
		struct dedupe_slot moved = dedupe->slots[i];
		uint64_t home;

		dedupe->slots[i] = (struct dedupe_slot){0};
		if (!is_taken(&moved))
			continue;
		home = home_of(dedupe, &moved);
		assert(home >= i);
		settle(dedupe, &moved, home);
	}
	for (uint64_t i = 0; i < low_count; i++) {
		if (is_taken(&low[i]))
			settle(dedupe, &low[i], home_of(dedupe, &low[i]));
	}
	dedupe->dead_count = 0;
	free(low);
	return TL_OK;
}

enum tl_err
dedupe_reserve(struct dedupe *dedupe, uint32_t count)
{
	uint64_t wanted = dedupe->taken_count + count;
	uint64_t slot_count = dedupe->slot_count;

	if (wanted + dedupe->dead_count <= taken_max(slot_count))
		return TL_OK;
	if (wanted <= taken_max(slot_count)) {
		sweep(dedupe, 0);
		return TL_OK;
	}
	while (wanted > taken_max(slot_count)) {
		if (slot_count >= dedupe->slot_count_max)
			return TL_EID_INDEX_FULL;
		slot_count *= 2;
	}
	return grow(dedupe, slot_count);
}

struct dedupe_slot *
dedupe_claim(struct dedupe *dedupe, uint32_t org, const uint8_t id[16], bool *is_new_out)
{
	uint64_t mask = dedupe->slot_count - 1;
	uint64_t at = hash_of(dedupe, org, id) >> dedupe->home_shift;
	struct dedupe_slot *dead = NULL;
	struct dedupe_slot *slot;

	assert(org != 0 && org != DEDUPE_DEAD);
	for (;; at = (at + 1) & mask) {
		slot = &dedupe->slots[at];
		if (slot->org == 0)
			break;
		if (slot->org == org && memcmp(slot->id, id, sizeof(slot->id)) == 0) {
			*is_new_out = false;
			return slot;
		}
		if (slot->org == DEDUPE_DEAD && dead == NULL)
			dead = slot;
	}
	if (dead != NULL) {
		slot = dead;
		dedupe->dead_count--;
	}
	*slot = (struct dedupe_slot){.org = org};
	memcpy(slot->id, id, sizeof(slot->id));
	dedupe->taken_count++;
	/* Past the reserve a probe might find no empty slot to stop at. */
	assert(dedupe->taken_count + dedupe->dead_count <= taken_max(dedupe->slot_count));
	*is_new_out = true;
	return slot;
}

struct dedupe_slot *
dedupe_find(struct dedupe *dedupe, uint32_t org, const uint8_t id[16])
{
	uint64_t mask = dedupe->slot_count - 1;
	uint64_t at = hash_of(dedupe, org, id) >> dedupe->home_shift;

	for (; dedupe->slots[at].org != 0; at = (at + 1) & mask) {
		struct dedupe_slot *slot = &dedupe->slots[at];

		if (slot->org == org && memcmp(slot->id, id, sizeof(slot->id)) == 0)
			return slot;
	}
	return NULL;
}

void
dedupe_prefetch(const struct dedupe *dedupe, uint32_t org, const uint8_t id[16])
{
	__builtin_prefetch(&dedupe->slots[hash_of(dedupe, org, id) >> dedupe->home_shift], 1);
}

void
dedupe_unclaim(struct dedupe *dedupe, struct dedupe_slot *slot)
{
	uint64_t next = ((uint64_t)(slot - dedupe->slots) + 1) & (dedupe->slot_count - 1);

	assert(slot->org != 0 && slot->org != DEDUPE_DEAD);
	dedupe->taken_count--;
	*slot = (struct dedupe_slot){0};
	/* At the end of its run nothing was probed past it. */
	if (dedupe->slots[next].org == 0)
		return;
	slot->org = DEDUPE_DEAD;
	dedupe->dead_count++;
}

void
dedupe_expire(struct dedupe *dedupe, uint64_t group_no)
{
	sweep(dedupe, group_no);
}

uint64_t
dedupe_count(const struct dedupe *dedupe)
{
	return dedupe->taken_count;
}

uint64_t
dedupe_bytes(const struct dedupe *dedupe)
{
	return dedupe->slot_count * sizeof(struct dedupe_slot);
}
