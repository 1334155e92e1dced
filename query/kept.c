#include "query/kept.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/store/dict.h"
#include "schema/wire/reader.h"

#define KEPT_AGE_MS_MAX 1000
#define KEPT_REQUEST_BYTES_MAX 1024u
#define KEPT_HEAD_BYTES 6u
#define KEPT_NAME_BYTES_MAX (4u << 20)
#define KEPT_NAME_KEY_BYTES 9u

struct kept_reply {
	struct lru_value value; /* first: what the cache keeps */
	uint64_t org_generation;
	uint64_t people_generation;
	int64_t now_ms;
	size_t bytes;
	uint8_t data[];
};

enum tl_err
query_cache_new(size_t board_bytes_max, size_t reply_bytes_max, struct query_cache **cache_out)
{
	struct query_cache *cache = calloc(1, sizeof(*cache));
	enum tl_err err;

	if (cache == NULL)
		return TL_ENOMEM;
	tl_random(cache->secret, sizeof(cache->secret));
	err = leases_new(&cache->leases);
	if (!err)
		err = lru_new(board_bytes_max, &cache->boards);
	if (!err)
		err = lru_new(reply_bytes_max, &cache->replies);
	if (!err)
		err = lru_new(KEPT_NAME_BYTES_MAX, &cache->names);
	if (err) {
		query_cache_free(cache);
		return err;
	}
	*cache_out = cache;
	return TL_OK;
}

void
query_cache_free(struct query_cache *cache)
{
	if (cache == NULL)
		return;
	leases_free(cache->leases);
	lru_free(cache->boards);
	lru_free(cache->replies);
	lru_free(cache->names);
	free(cache);
}

void
kept_since_init(struct kept_since *since, const struct query_scene *scene)
{
	since->built = tl_view_generation(scene->view);
	since->seen = since->built;
}

enum kept_verdict
kept_judge(struct kept_since *since, const struct query_scene *scene, int64_t cut_ms,
	int64_t *low_ms_out)
{
	uint64_t generation = tl_view_generation(scene->view);
	uint64_t seen = atomic_load(&since->seen);

	if (generation < since->built)
		return KEPT_NEWER;
	if (generation <= seen)
		return KEPT_GOOD;
	*low_ms_out = tl_view_changed_from(scene->view, scene->org->no, seen);
	if (*low_ms_out < cut_ms)
		return KEPT_CHANGED;
	while (seen < generation && !atomic_compare_exchange_weak(&since->seen, &seen, generation))
		;
	return KEPT_GOOD;
}

struct kept_text {
	struct lru_value value; /* first: what the cache keeps */
	size_t bytes;
	uint8_t data[];
};

static void
text_free(struct lru_value *value)
{
	free(value);
}

static void
put_name(struct lru *names, struct tl_slice key, struct tl_slice name)
{
	struct kept_text *text = malloc(sizeof(*text) + name.bytes);

	if (text == NULL)
		return;
	*text = (struct kept_text){
		.value = {.free = text_free, .bytes = sizeof(*text) + name.bytes, .pin_count = 1},
		.bytes = name.bytes,
	};
	memcpy(text->data, name.data, name.bytes);
	lru_put(names, key, &text->value);
	lru_unpin(names, &text->value);
}

enum tl_err
kept_name(const struct query_scene *scene, enum tl_name_kind kind, uint32_t id, struct tl_buf *name,
	struct tl_why *why)
{
	struct lru *names = scene->cache != NULL ? scene->cache->names : NULL;
	uint8_t key_bytes[KEPT_NAME_KEY_BYTES];
	struct tl_slice key = tl_slice_of(key_bytes, sizeof(key_bytes));
	struct kept_text *text;
	enum tl_err err;

	tl_put_be32(key_bytes, scene->org->no);
	key_bytes[4] = (uint8_t)kind;
	tl_put_be32(key_bytes + 5, id);
	text = names != NULL ? (struct kept_text *)lru_get(names, key) : NULL;
	if (text != NULL) {
		tl_buf_reset(name);
		tl_buf_put(name, text->data, text->bytes);
		lru_unpin(names, &text->value);
		return name->err;
	}
	err = tl_dict_name(scene->store, scene->view, scene->org->no, kind, id, name, why);
	if (!err && names != NULL)
		put_name(names, key, tl_buf_slice(name));
	return err;
}

static void
reply_free(struct lru_value *value)
{
	free(value);
}

/* Figures of an org. The rest is cheap, or changes with what no generation tells. */
static bool
is_keepable(enum tl_query_op op)
{
	switch (op) {
	case TL_QUERY_LEADERBOARD:
	case TL_QUERY_SERIES:
	case TL_QUERY_TOP_REPOS:
	case TL_QUERY_REPOS:
	case TL_QUERY_PULLS:
	case TL_QUERY_MODELS:
	case TL_QUERY_SESSIONS:
	case TL_QUERY_SESSION:
	case TL_QUERY_TEAM:
	case TL_QUERY_DASHBOARD:
		return true;
	case TL_QUERY_RECONCILE:
	case TL_QUERY_HEALTH:
	case TL_QUERY_KEYS_RESOLVE:
	case TL_QUERY_EXPLAIN:
	case TL_QUERY_LIVE:
	case TL_QUERY_EXPORT:
	case TL_QUERY_COUNT:
		break;
	}
	return false;
}

/* The bytes of a request that say what is asked and by whom, one pair after the other. */
static size_t
copy_question(struct tl_slice request, uint8_t *to)
{
	struct tl_reader reader = tl_reader_of(request);
	uint32_t pair_count = tl_read_map(&reader);
	size_t bytes = 0;

	for (uint32_t i = 0; i < pair_count; i++) {
		const uint8_t *pair = reader.next;
		struct tl_slice name = tl_read_str(&reader);

		tl_read_any(&reader);
		if (tl_query_is_about_having(name))
			continue;
		memcpy(to + bytes, pair, (size_t)(reader.next - pair));
		bytes += (size_t)(reader.next - pair);
	}
	return bytes;
}

/* The org and the door, then the request with the token in it, so the caller is in the key. */
static bool
make_key(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	uint8_t key[KEPT_HEAD_BYTES + KEPT_REQUEST_BYTES_MAX], struct tl_slice *key_out)
{
	if (scene->cache == NULL || scene->org == NULL || !is_keepable(op) ||
		request.bytes > KEPT_REQUEST_BYTES_MAX)
		return false;
	tl_put_be32(key, scene->org->no);
	key[4] = scene->caller.is_operator;
	key[5] = scene->caller.is_admin;
	*key_out =
		tl_slice_of(key, KEPT_HEAD_BYTES + copy_question(request, key + KEPT_HEAD_BYTES));
	return true;
}

/* Every bin is cut at whole quarters, so within one of them the windows are the same. */
static bool
is_recent(const struct query_scene *scene, int64_t made_ms, int64_t age_ms_max)
{
	int64_t age_ms = scene->now_ms - made_ms;

	return age_ms >= 0 && age_ms <= age_ms_max &&
	       tl_bucket_no(TL_SPAN_15M, made_ms) == tl_bucket_no(TL_SPAN_15M, scene->now_ms);
}

static bool
is_fresh(const struct query_scene *scene, const struct kept_reply *kept)
{
	return is_recent(scene, kept->now_ms, KEPT_AGE_MS_MAX) &&
	       kept->org_generation == tl_view_org_generation(scene->view, scene->org->no) &&
	       kept->people_generation == scene->org->generation;
}

bool
kept_mark(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	int64_t made_ms, char mark_out[KEPT_MARK_BYTES])
{
	uint8_t bytes[KEPT_HEAD_BYTES + KEPT_REQUEST_BYTES_MAX + 16];
	struct tl_slice key;

	if (!make_key(scene, op, request, bytes, &key))
		return false;
	tl_put_be64(bytes + key.bytes, tl_view_org_generation(scene->view, scene->org->no));
	tl_put_be64(bytes + key.bytes + 8, scene->org->generation);
	key.bytes += 16;
	snprintf(mark_out, KEPT_MARK_BYTES, "%016" PRIx64 "-%" PRIx64,
		tl_siphash(scene->cache->secret, key), (uint64_t)made_ms);
	return true;
}

void
kept_digest(const struct query_scene *scene, const char *what, struct tl_slice of,
	char digest_out[KEPT_DIGEST_BYTES])
{
	static const uint8_t no_secret[sizeof(scene->cache->secret)];
	uint8_t bytes[64] = {0};
	size_t what_bytes = strlen(what);

	assert(4 + what_bytes + 1 + of.bytes <= sizeof(bytes));
	tl_put_be32(bytes, scene->org->no);
	memcpy(bytes + 4, what, what_bytes);
	if (of.bytes > 0)
		memcpy(bytes + 4 + what_bytes + 1, of.data, of.bytes);
	snprintf(digest_out, KEPT_DIGEST_BYTES, "%016" PRIx64,
		tl_siphash(scene->cache != NULL ? scene->cache->secret : no_secret,
			tl_slice_of(bytes, sizeof(bytes))));
}

/* When the reply of a mark was made; -1 for what is no mark. */
static int64_t
mark_made_ms(struct tl_slice mark)
{
	char text[KEPT_MARK_BYTES];
	int64_t made_ms;

	if (mark.bytes < 18 || mark.bytes >= sizeof(text) || mark.data[16] != '-')
		return -1;
	memcpy(text, mark.data, mark.bytes);
	text[mark.bytes] = '\0';
	return sscanf(text + 17, "%" SCNx64, (uint64_t *)&made_ms) == 1 ? made_ms : -1;
}

bool
kept_mark_holds(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_slice mark, int64_t age_ms_max)
{
	int64_t made_ms = mark_made_ms(mark);
	char now[KEPT_MARK_BYTES];

	return made_ms >= 0 && is_recent(scene, made_ms, age_ms_max) &&
	       kept_mark(scene, op, request, made_ms, now) && tl_slice_eq(mark, tl_slice_str(now));
}

bool
kept_reply_get(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_buf *reply, int64_t *made_ms_out)
{
	uint8_t key_bytes[KEPT_HEAD_BYTES + KEPT_REQUEST_BYTES_MAX];
	struct tl_slice key;
	struct kept_reply *kept;
	bool is_served = false;

	if (!make_key(scene, op, request, key_bytes, &key))
		return false;
	kept = (struct kept_reply *)lru_get(scene->cache->replies, key);
	if (kept == NULL)
		return false;
	if (is_fresh(scene, kept)) {
		tl_buf_put(reply, kept->data, kept->bytes);
		*made_ms_out = kept->now_ms;
		is_served = !reply->err;
	}
	lru_unpin(scene->cache->replies, &kept->value);
	return is_served;
}

void
kept_reply_put(const struct query_scene *scene, enum tl_query_op op, struct tl_slice request,
	struct tl_slice reply)
{
	uint8_t key_bytes[KEPT_HEAD_BYTES + KEPT_REQUEST_BYTES_MAX];
	struct tl_slice key;
	struct kept_reply *kept;

	if (!make_key(scene, op, request, key_bytes, &key))
		return;
	kept = malloc(sizeof(*kept) + reply.bytes);
	if (kept == NULL)
		return;
	*kept = (struct kept_reply){
		.value = {.free = reply_free, .bytes = sizeof(*kept) + reply.bytes, .pin_count = 1},
		.org_generation = tl_view_org_generation(scene->view, scene->org->no),
		.people_generation = scene->org->generation,
		.now_ms = scene->now_ms,
		.bytes = reply.bytes,
	};
	memcpy(kept->data, reply.data, reply.bytes);
	lru_put(scene->cache->replies, key, &kept->value);
	lru_unpin(scene->cache->replies, &kept->value);
}
