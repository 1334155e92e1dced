/*
 * A ring of slots, each with an arena. A put swaps the arena of its slot with the writer's, so
 * after the first round nothing is allocated. The slot that is pinned is passed over: that group is
 * then not kept.
 */
#include "schema/store/fresh.h"

#include <assert.h>

#include "schema/store/store_private.h"

void
tl_fresh_bound(struct tl_store *store, size_t bytes_max)
{
	pthread_mutex_lock(&store->fresh_mtx);
	store->fresh_bytes_max = bytes_max / TL_FRESH_SLOTS;
	pthread_mutex_unlock(&store->fresh_mtx);
}

static struct tl_fresh_slot *
slot_of(struct tl_store *store, uint64_t group_no)
{
	return &store->fresh[group_no % TL_FRESH_SLOTS];
}

void
tl_fresh_put(struct tl_store *store, const struct tl_fresh *fresh, struct tl_arena *arena)
{
	struct tl_fresh_slot *slot = slot_of(store, fresh->group_no);

	pthread_mutex_lock(&store->fresh_mtx);
	if (!slot->is_pinned && tl_arena_capacity(arena) <= store->fresh_bytes_max) {
		struct tl_arena emptied = slot->arena;

		if (emptied.bytes_max == 0)
			tl_arena_init(&emptied, arena->bytes_max);
		slot->arena = *arena;
		slot->fresh = *fresh;
		slot->fresh.rows.arena = &slot->arena;
		*arena = emptied;
	}
	pthread_mutex_unlock(&store->fresh_mtx);
}

const struct tl_fresh *
tl_fresh_pin(struct tl_store *store, uint64_t group_no)
{
	struct tl_fresh_slot *slot = slot_of(store, group_no);
	bool is_there;

	pthread_mutex_lock(&store->fresh_mtx);
	is_there = slot->fresh.group_no == group_no && group_no != 0;
	slot->is_pinned = is_there;
	pthread_mutex_unlock(&store->fresh_mtx);
	return is_there ? &slot->fresh : NULL;
}

void
tl_fresh_unpin(struct tl_store *store, const struct tl_fresh *fresh)
{
	struct tl_fresh_slot *slot = slot_of(store, fresh->group_no);

	pthread_mutex_lock(&store->fresh_mtx);
	assert(slot->is_pinned);
	slot->is_pinned = false;
	pthread_mutex_unlock(&store->fresh_mtx);
}

void
tl_fresh_open(struct tl_store *store)
{
	pthread_mutex_init(&store->fresh_mtx, NULL);
	tl_fresh_bound(store, TL_FRESH_BYTES_MAX);
}

void
tl_fresh_close(struct tl_store *store)
{
	for (size_t i = 0; i < TL_FRESH_SLOTS; i++) {
		assert(!store->fresh[i].is_pinned);
		tl_arena_fini(&store->fresh[i].arena);
	}
	pthread_mutex_destroy(&store->fresh_mtx);
}
