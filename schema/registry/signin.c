/*
 * Every sign-in of the installation in one list, sorted by the hash of its secret: a hash is as
 * good as random, so nobody chooses where it lands. Ended ones have a hash of zeros, stand at the
 * front and keep their place in the org until somebody takes it.
 */
#include <assert.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/registry/registry_private.h"

#define SECRET_BYTES 16
#define CAPACITY_MIN 8u

static const uint8_t no_hash[32];

void
tl_signin_make(struct tl_signin *signin, char secret_out[TL_SIGNIN_SECRET_BYTES])
{
	uint8_t secret[SECRET_BYTES];

	tl_random(secret, sizeof(secret));
	tl_hex(secret, sizeof(secret), secret_out);
	tl_sha256(tl_slice_str(secret_out), signin->hash);
}

void
tl_signin_id(const struct tl_signin *signin, char id_out[TL_KEY_ID_BYTES])
{
	tl_key_id_make("sid", tl_get_be64(signin->hash), id_out);
}

bool
tl_signin_is_live(const struct tl_signin *signin, int64_t now_ms)
{
	if (memcmp(signin->hash, no_hash, sizeof(no_hash)) == 0 || now_ms >= signin->ends_ms)
		return false;
	return signin->is_link || now_ms - atomic_load(&signin->used_ms) < TL_SIGNIN_IDLE_MS;
}

struct tl_signin *
tl_signin_copy(const struct tl_signin *signin)
{
	struct tl_signin *copy = tl_shared_new(sizeof(*copy));

	if (!copy)
		return NULL;
	copy->org_no = signin->org_no;
	copy->no = signin->no;
	memcpy(copy->hash, signin->hash, sizeof(copy->hash));
	copy->is_link = signin->is_link;
	copy->is_admin = signin->is_admin;
	copy->member_no = signin->member_no;
	memcpy(copy->key_id, signin->key_id, sizeof(copy->key_id));
	copy->created_ms = signin->created_ms;
	copy->ends_ms = signin->ends_ms;
	atomic_init(&copy->used_ms, atomic_load(&signin->used_ms));
	copy->stored_ms = atomic_load(&signin->used_ms);
	return copy;
}

struct tl_signins *
tl_signins_new(void)
{
	return tl_shared_new(sizeof(struct tl_signins));
}

void
tl_signins_drop(const struct tl_signins *signins)
{
	if (!signins || !tl_shared_drop(signins))
		return;
	for (uint32_t i = 0; i < signins->count; i++)
		tl_record_drop(signins->list[i]);
	free(signins->list);
	tl_shared_free(signins);
}

static enum tl_err
reserve(struct tl_signins *signins, uint32_t count)
{
	uint32_t capacity = signins->capacity > 0 ? signins->capacity : CAPACITY_MIN;
	struct tl_signin **list;

	while (capacity < count)
		capacity *= 2;
	if (capacity > TL_SIGNINS_MAX)
		return TL_EFULL;
	if (capacity <= signins->capacity)
		return TL_OK;
	list = realloc(signins->list, capacity * sizeof(struct tl_signin *));
	if (!list)
		return TL_ENOMEM;
	signins->list = list;
	signins->capacity = capacity;
	return TL_OK;
}

enum tl_err
tl_signins_clone(const struct tl_signins *signins, struct tl_signins **clone_out)
{
	struct tl_signins *clone = tl_signins_new();
	enum tl_err err;

	if (!clone)
		return TL_ENOMEM;
	err = reserve(clone, signins->count);
	if (err) {
		tl_signins_drop(clone);
		return err;
	}
	for (uint32_t i = 0; i < signins->count; i++) {
		clone->list[i] = signins->list[i];
		tl_shared_hold(clone->list[i]);
	}
	clone->count = signins->count;
	*clone_out = clone;
	return TL_OK;
}

/* The first place whose hash is not below hash. */
static uint32_t
place_of(const struct tl_signins *signins, const uint8_t hash[32])
{
	uint32_t low = 0, high = signins->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (memcmp(signins->list[middle]->hash, hash, 32) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct tl_signin *
tl_signins_find(const struct tl_signins *signins, struct tl_slice secret)
{
	uint8_t hash[32];
	uint32_t place;

	if (secret.bytes != TL_SIGNIN_SECRET_BYTES - 1)
		return NULL;
	tl_sha256(secret, hash);
	place = place_of(signins, hash);
	if (place == signins->count ||
		!tl_equal_secret(signins->list[place]->hash, hash, sizeof(hash)))
		return NULL;
	return signins->list[place];
}

static uint32_t
find_no(const struct tl_signins *signins, uint32_t org_no, uint32_t no)
{
	uint32_t place = 0;

	while (place < signins->count &&
		(signins->list[place]->org_no != org_no || signins->list[place]->no != no))
		place++;
	return place;
}

enum tl_err
tl_signins_put(struct tl_signins *signins, struct tl_signin *signin)
{
	uint32_t place = find_no(signins, signin->org_no, signin->no);
	enum tl_err err;

	assert(signin->no > 0);
	if (place < signins->count) {
		tl_record_drop(signins->list[place]);
		signins->count--;
		memmove(&signins->list[place], &signins->list[place + 1],
			(signins->count - place) * sizeof(*signins->list));
	} else {
		err = reserve(signins, signins->count + 1);
		if (err)
			return err;
	}
	place = place_of(signins, signin->hash);
	memmove(&signins->list[place + 1], &signins->list[place],
		(signins->count - place) * sizeof(*signins->list));
	signins->list[place] = signin;
	signins->count++;
	return TL_OK;
}

/* Requests of one browser come from many threads: the latest stands. */
void
tl_registry_use_signin(
	const struct tl_registry *registry, const struct tl_signin *signin, int64_t now_ms)
{
	struct tl_signin *used = registry->signins->list[place_of(registry->signins, signin->hash)];
	int64_t before_ms = atomic_load(&used->used_ms);

	assert(used == signin);
	while (before_ms < now_ms &&
		!atomic_compare_exchange_weak(&used->used_ms, &before_ms, now_ms))
		;
}

static bool
is_same_owner(const struct tl_signin *a, const struct tl_signin *b)
{
	if (a->member_no != 0 || b->member_no != 0)
		return a->member_no == b->member_no;
	return strcmp(a->key_id, b->key_id) == 0;
}

uint32_t
tl_signins_free_no(const struct tl_signins *signins, const struct tl_signin *wanted, int64_t now_ms)
{
	const struct tl_signin *oldest = NULL;
	uint32_t free_no = 0, count = 0, last_no = 0;

	for (uint32_t i = 0; i < signins->count; i++) {
		const struct tl_signin *signin = signins->list[i];

		if (signin->org_no != wanted->org_no)
			continue;
		last_no = signin->no > last_no ? signin->no : last_no;
		if (!tl_signin_is_live(signin, now_ms)) {
			free_no = signin->no;
		} else if (is_same_owner(signin, wanted)) {
			count++;
			if (!oldest ||
				atomic_load(&signin->used_ms) < atomic_load(&oldest->used_ms))
				oldest = signin;
		}
	}
	if (count >= TL_SIGNINS_PER_OWNER_MAX)
		return oldest->no;
	return free_no > 0 ? free_no : last_no + 1;
}
