#include "rollup/cache.h"

#include "rollup/expire.h"
#include "schema/store/scan.h"

/* What one half holds, unless told otherwise; a value larger than a share of that is not worth its
 * place. */
#define HALF_BYTES_MAX (32u << 20)
#define HALF_VALUES_MIN 1024u
#define END_BYTES_MAX (16u << 20)

#define BUCKET_SIGN (UINT64_C(1) << 63)

/* A value, or that there is none. */
struct cached {
	uint64_t no;
	uint32_t org;
	uint32_t part;
	uint8_t family;
	bool is_absent;
	uint32_t bytes;
	uint32_t capacity;
	uint8_t *data;
};

/* No key of (family, org) has a number of no or more. */
struct family_end {
	uint32_t org;
	enum tl_family family;
	uint64_t no;
	bool is_full; /* the greatest number is taken: nothing is known to be absent */
};

void
cache_init(struct cache *cache, struct tl_store *store)
{
	*cache = (struct cache){.store = store};
	tl_arena_init(&cache->halves[0].arena, HALF_BYTES_MAX);
	tl_arena_init(&cache->halves[1].arena, HALF_BYTES_MAX);
	tl_arena_init(&cache->end_arena, END_BYTES_MAX);
}

void
cache_fini(struct cache *cache)
{
	if (cache->store == NULL)
		return;
	tl_arena_fini(&cache->halves[0].arena);
	tl_arena_fini(&cache->halves[1].arena);
	tl_arena_fini(&cache->end_arena);
}

static void
clear_half(struct cache_half *half)
{
	tl_arena_reset(&half->arena);
	half->index = (struct index){0};
}

void
cache_clear(struct cache *cache)
{
	clear_half(&cache->halves[0]);
	clear_half(&cache->halves[1]);
	tl_arena_reset(&cache->end_arena);
	cache->ends = (struct index){0};
	cache->began_empty = false;
}

void
cache_begin_empty(struct cache *cache)
{
	cache_clear(cache);
	cache->began_empty = true;
}

void
cache_bound(struct cache *cache, size_t half_bytes_max, size_t end_bytes_max)
{
	bool began_empty = cache->began_empty;

	cache_fini(cache);
	tl_arena_init(&cache->halves[0].arena, half_bytes_max);
	tl_arena_init(&cache->halves[1].arena, half_bytes_max);
	tl_arena_init(&cache->end_arena, end_bytes_max);
	cache_clear(cache);
	cache->began_empty = began_empty;
}

void
cache_check(struct cache *cache)
{
	uint64_t generation = expire_generation();

	if (generation != cache->generation)
		cache_clear(cache);
	cache->generation = generation;
}

struct cache_key
cache_key_session(uint32_t org, uint32_t session)
{
	return (struct cache_key){.family = TL_FAMILY_SESSION,
		.org = org,
		.no = session,
		.key = tl_key_session(org, session)};
}

struct cache_key
cache_key_page(const struct tl_page_place *place)
{
	return (struct cache_key){.family = tl_cell_family(place->span),
		.org = place->org,
		.no = (uint64_t)tl_bucket_no(place->span, place->bucket_ms) ^ BUCKET_SIGN,
		.part = place->part,
		.key = tl_key_page(place)};
}

struct cache_key
cache_key_life(uint32_t org, enum tl_dim dim, uint32_t entity)
{
	return (struct cache_key){.family = TL_FAMILY_LIFE,
		.org = org,
		.no = (uint64_t)dim << 32 | entity,
		.key = tl_key_life(org, dim, entity)};
}

static uint64_t
hash_of(const struct cache_key *key)
{
	return index_hash(
		(uint64_t)key->family << 32 | key->org, key->no ^ (uint64_t)key->part << 40);
}

static struct cached *
find_in(const struct cache_half *half, const struct cache_key *key, uint64_t hash)
{
	uint64_t at = hash;
	struct cached *cached;

	while ((cached = index_next(&half->index, hash, &at)) != NULL) {
		if (cached->no == key->no && cached->part == key->part && cached->org == key->org &&
			cached->family == (uint8_t)key->family)
			break;
	}
	return cached;
}

/* A place for the value in the young half, NULL when it has no room. */
static struct cached *
claim(struct cache_half *half, const struct cache_key *key, uint64_t hash, uint32_t bytes)
{
	struct cached *cached = find_in(half, key, hash);

	if (cached == NULL) {
		cached = tl_arena_alloc(&half->arena, sizeof(*cached));
		if (cached == NULL)
			return NULL;
		cached->no = key->no;
		cached->org = key->org;
		cached->part = key->part;
		cached->family = (uint8_t)key->family;
		cached->is_absent = true;
		if (index_put(&half->index, &half->arena, hash, cached) != TL_OK)
			return NULL;
	}
	if (bytes > cached->capacity) {
		uint32_t capacity = bytes + bytes / 2 + 16;
		uint8_t *data = tl_arena_alloc(&half->arena, capacity);

		if (data == NULL)
			return NULL;
		cached->data = data;
		cached->capacity = capacity;
	}
	return cached;
}

/* Whatever was known of the key is wrong now. */
static void
forget(struct cache *cache, const struct cache_key *key, uint64_t hash)
{
	for (int i = 0; i < 2; i++) {
		struct cached *cached = find_in(&cache->halves[i], key, hash);

		if (cached != NULL)
			cached->family = UINT8_MAX;
	}
}

static void
remember(struct cache *cache, const struct cache_key *key, const struct tl_slice *value)
{
	uint64_t hash = hash_of(key);
	uint32_t bytes = value != NULL ? (uint32_t)value->bytes : 0;
	struct cached *cached;

	if (value != NULL && value->bytes > cache->halves[0].arena.bytes_max / HALF_VALUES_MIN) {
		forget(cache, key, hash);
		return;
	}
	cached = claim(&cache->halves[cache->young], key, hash, bytes);
	if (cached == NULL) {
		cache->young = 1 - cache->young;
		clear_half(&cache->halves[cache->young]);
		cached = claim(&cache->halves[cache->young], key, hash, bytes);
	}
	if (cached == NULL) {
		forget(cache, key, hash);
		return;
	}
	cached->is_absent = value == NULL;
	cached->bytes = bytes;
	if (bytes > 0)
		memcpy(cached->data, value->data, bytes);
}

static struct tl_key
key_of_no(enum tl_family family, uint32_t org, uint64_t no)
{
	struct tl_key key = tl_key_session(org, (uint32_t)no);

	if (family != TL_FAMILY_SESSION) {
		/* Bucket numbers follow the org as they are. */
		key.bytes = 4 + 8;
		tl_put_be64(key.data + 4, no);
	}
	return key;
}

/* Whether the family holds a key of the org with number no or more. */
static enum tl_err
reaches(struct cache *cache, enum tl_family family, uint32_t org, uint64_t no, bool *reaches_out,
	struct tl_why *why)
{
	struct tl_key first = key_of_no(family, org, no);
	struct tl_key last = tl_key_org_end(org);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open(
		cache->store, NULL, family, tl_key_slice(&first), tl_key_slice(&last), &scan, why);
	if (!err)
		err = tl_scan_next(scan, &key, &value, why);
	tl_scan_free(scan);
	*reaches_out = err == TL_OK;
	return err == TL_EEND ? TL_OK : err;
}

/* Keys are in order, so the end is found by halving: once per family, org and start. */
static enum tl_err
find_end(struct cache *cache, struct family_end *end, struct tl_why *why)
{
	uint64_t low = 0;
	uint64_t high = end->family == TL_FAMILY_SESSION ? UINT32_MAX : UINT64_MAX;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		bool found;
		enum tl_err err = reaches(cache, end->family, end->org, middle, &found, why);

		if (err)
			return err;
		if (found)
			low = middle + 1;
		else
			high = middle;
	}
	end->no = low;
	end->is_full = low == (end->family == TL_FAMILY_SESSION ? UINT32_MAX : UINT64_MAX);
	return TL_OK;
}

/* NULL in *end_out when there is no room to know it. */
static enum tl_err
end_of(struct cache *cache, const struct cache_key *key, struct family_end **end_out,
	struct tl_why *why)
{
	uint64_t hash = index_hash(key->org, (uint64_t)key->family);
	uint64_t at = hash;
	struct family_end *end;
	enum tl_err err;

	while ((end = index_next(&cache->ends, hash, &at)) != NULL) {
		if (end->org == key->org && end->family == key->family) {
			*end_out = end;
			return TL_OK;
		}
	}
	*end_out = NULL;
	end = tl_arena_alloc(&cache->end_arena, sizeof(*end));
	if (end == NULL)
		return TL_OK;
	end->org = key->org;
	end->family = key->family;
	if (!cache->began_empty) {
		err = find_end(cache, end, why);
		if (err)
			return err;
	}
	if (index_put(&cache->ends, &cache->end_arena, hash, end) == TL_OK)
		*end_out = end;
	return TL_OK;
}

enum tl_err
cache_get(struct cache *cache, const struct cache_key *key, struct tl_buf *buf,
	struct tl_slice *value_out, struct tl_why *why)
{
	uint64_t hash = hash_of(key);
	struct family_end *end;
	enum tl_err err;

	for (int i = 0; i < 2; i++) {
		const struct cached *cached = find_in(&cache->halves[i ^ cache->young], key, hash);

		if (cached == NULL)
			continue;
		*value_out = tl_slice_of(cached->data, cached->bytes);
		return cached->is_absent ? TL_ENOT_FOUND : TL_OK;
	}
	if (key->family != TL_FAMILY_LIFE) {
		err = end_of(cache, key, &end, why);
		if (err)
			return err;
		if (end != NULL && !end->is_full && key->no >= end->no)
			return TL_ENOT_FOUND;
	}
	err = tl_store_get(cache->store, NULL, key->family, tl_key_slice(&key->key), buf, why);
	*value_out = tl_buf_slice(buf);
	return err;
}

static void
raise_end(struct cache *cache, const struct cache_key *key)
{
	uint64_t hash = index_hash(key->org, (uint64_t)key->family);
	uint64_t at = hash;
	struct family_end *end;

	while ((end = index_next(&cache->ends, hash, &at)) != NULL) {
		if (end->org != key->org || end->family != key->family)
			continue;
		if (key->no >= end->no) {
			end->no = key->no + 1;
			end->is_full = end->no == 0 ||
				       (key->family == TL_FAMILY_SESSION && end->no > UINT32_MAX);
		}
		return;
	}
}

void
cache_put(struct cache *cache, const struct cache_key *key, struct tl_slice value,
	struct tl_write *write)
{
	tl_write_put(write, key->family, tl_key_slice(&key->key), value);
	raise_end(cache, key);
	remember(cache, key, &value);
}

void
cache_delete(struct cache *cache, const struct cache_key *key, struct tl_write *write)
{
	tl_write_delete(write, key->family, tl_key_slice(&key->key));
	remember(cache, key, NULL);
}
