/* Every credential of the installation in one table, found by key id. None is ever taken out. */
#include "schema/registry/registry_private.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"

#define CAPACITY_MIN 8u
#define SLOT_COUNT(capacity) ((size_t)(capacity)*2)

struct tl_credentials *
tl_credentials_new(void)
{
	struct tl_credentials *credentials = tl_shared_new(sizeof(*credentials));

	if (credentials)
		tl_hash_key_make(&credentials->hash_key);
	return credentials;
}

static void
table_free(const struct tl_credentials *credentials)
{
	free(credentials->list);
	free(credentials->nos);
	free(credentials->slots);
	tl_shared_free(credentials);
}

void
tl_credentials_drop(const struct tl_credentials *credentials)
{
	if (!credentials || !tl_shared_drop(credentials))
		return;
	for (uint32_t i = 0; i < credentials->count; i++)
		tl_record_drop(credentials->list[i]);
	table_free(credentials);
}

/* The slot of key_id, or the empty one where it belongs. capacity is not 0. */
static uint32_t *
slot_of(const struct tl_credentials *credentials, struct tl_slice key_id)
{
	size_t mask = SLOT_COUNT(credentials->capacity) - 1;
	size_t i = tl_hash(&credentials->hash_key, key_id) & mask;

	for (;; i = (i + 1) & mask) {
		uint32_t *slot = &credentials->slots[i];

		if (*slot == 0 ||
			tl_slice_eq(tl_slice_str(credentials->list[*slot - 1]->key_id), key_id))
			return slot;
	}
}

/* Room for capacity credentials in *to, filled with those of from. */
static enum tl_err
fill(const struct tl_credentials *from, uint32_t capacity, struct tl_credentials *to)
{
	const struct tl_credential **list = calloc(capacity, sizeof(const struct tl_credential *));
	uint32_t *nos = calloc(capacity, sizeof(*nos));
	uint32_t *slots = calloc(SLOT_COUNT(capacity), sizeof(*slots));

	if (!list || !nos || !slots) {
		free(list);
		free(nos);
		free(slots);
		return TL_ENOMEM;
	}
	if (from->count > 0) {
		memcpy(list, from->list, from->count * sizeof(*list));
		memcpy(nos, from->nos, from->count * sizeof(*nos));
	}
	to->count = from->count;
	to->capacity = capacity;
	to->list = list;
	to->nos = nos;
	to->slots = slots;
	if (from->capacity == capacity) {
		memcpy(slots, from->slots, SLOT_COUNT(capacity) * sizeof(*slots));
		return TL_OK;
	}
	for (uint32_t i = 0; i < to->count; i++)
		*slot_of(to, tl_slice_str(list[i]->key_id)) = i + 1;
	return TL_OK;
}

enum tl_err
tl_credentials_clone(const struct tl_credentials *credentials, struct tl_credentials **clone_out)
{
	struct tl_credentials *clone = tl_shared_new(sizeof(*clone));
	enum tl_err err = TL_OK;

	if (!clone)
		return TL_ENOMEM;
	clone->hash_key = credentials->hash_key;
	if (credentials->capacity > 0)
		err = fill(credentials, credentials->capacity, clone);
	if (err) {
		tl_shared_free(clone);
		return err;
	}
	for (uint32_t i = 0; i < clone->count; i++)
		tl_shared_hold(clone->list[i]);
	*clone_out = clone;
	return TL_OK;
}

static enum tl_err
grow(struct tl_credentials *credentials)
{
	struct tl_credentials before = *credentials;
	uint32_t capacity = before.capacity > 0 ? before.capacity * 2 : CAPACITY_MIN;
	enum tl_err err;

	if (before.capacity > UINT32_MAX / 4)
		return TL_EFULL;
	err = fill(&before, capacity, credentials);
	if (err)
		return err;
	free(before.list);
	free(before.nos);
	free(before.slots);
	return TL_OK;
}

const struct tl_credential *
tl_credentials_find(const struct tl_credentials *credentials, struct tl_slice key_id)
{
	uint32_t place;

	if (credentials->capacity == 0)
		return NULL;
	place = *slot_of(credentials, key_id);
	return place > 0 ? credentials->list[place - 1] : NULL;
}

/* One more than the last of the org, which is the last in the list that belongs to it. */
static uint32_t
next_no(const struct tl_credentials *credentials, uint32_t org_no)
{
	for (uint32_t i = credentials->count; i > 0; i--) {
		if (credentials->list[i - 1]->org_no == org_no)
			return credentials->nos[i - 1] + 1;
	}
	return 1;
}

enum tl_err
tl_credentials_put(struct tl_credentials *credentials, const struct tl_credential *credential,
	uint32_t *no_inout)
{
	uint32_t *slot;
	uint32_t place;
	enum tl_err err;

	if (credentials->count == credentials->capacity) {
		err = grow(credentials);
		if (err)
			return err;
	}
	slot = slot_of(credentials, tl_slice_str(credential->key_id));
	if (*slot > 0) {
		place = *slot - 1;
		assert(credentials->list[place]->org_no == credential->org_no);
		tl_record_drop(credentials->list[place]);
	} else {
		place = credentials->count;
		credentials->nos[place] =
			*no_inout > 0 ? *no_inout : next_no(credentials, credential->org_no);
		credentials->count++;
		*slot = place + 1;
	}
	credentials->list[place] = credential;
	*no_inout = credentials->nos[place];
	return TL_OK;
}
