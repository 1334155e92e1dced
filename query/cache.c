#include "query/cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "schema/base/map.h"

/* Beyond the value: the node, the key, the map's slot. */
#define CACHE_NODE_BYTES 128u
#define CACHE_NODES_MAX (1u << 16)

/* A key and its value, in a ring in the order of use. */
struct node {
	struct node *newer, *older;
	struct cache_value *value;
	size_t bytes;
	size_t key_bytes;
	uint8_t key[];
};

struct cache {
	/* fixed after new */
	size_t bytes_max;
	pthread_mutex_t mtx;

	/* guarded by mtx */
	struct tl_map *map; /* key -> node */
	struct node *newest, *oldest;
	size_t bytes;
};

enum tl_err
cache_new(size_t bytes_max, struct cache **cache_out)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	enum tl_err err;

	if (cache == NULL)
		return TL_ENOMEM;
	cache->bytes_max = bytes_max;
	err = tl_map_new(CACHE_NODES_MAX, &cache->map);
	if (err || pthread_mutex_init(&cache->mtx, NULL) != 0) {
		tl_map_free(cache->map);
		free(cache);
		return TL_ENOMEM;
	}
	*cache_out = cache;
	return TL_OK;
}

/* Under the lock: true when that was the last pin, and the caller frees. */
static bool
let_go(struct cache_value *value)
{
	assert(value->pin_count > 0);
	return --value->pin_count == 0;
}

static void
unlink_node(struct cache *cache, struct node *node)
{
	if (node->newer != NULL)
		node->newer->older = node->older;
	else
		cache->newest = node->older;
	if (node->older != NULL)
		node->older->newer = node->newer;
	else
		cache->oldest = node->newer;
}

static void
link_newest(struct cache *cache, struct node *node)
{
	node->newer = NULL;
	node->older = cache->newest;
	if (cache->newest != NULL)
		cache->newest->newer = node;
	else
		cache->oldest = node;
	cache->newest = node;
}

/* Values are freed under the lock: it is rare and keeps the order simple. */
static void
drop(struct cache *cache, struct node *node)
{
	tl_map_remove(cache->map, tl_slice_of(node->key, node->key_bytes));
	unlink_node(cache, node);
	cache->bytes -= node->bytes;
	if (let_go(node->value))
		node->value->free(node->value);
	free(node);
}

void
cache_free(struct cache *cache)
{
	if (cache == NULL)
		return;
	while (cache->newest != NULL)
		drop(cache, cache->newest);
	assert(cache->bytes == 0);
	pthread_mutex_destroy(&cache->mtx);
	tl_map_free(cache->map);
	free(cache);
}

static struct node *
find(const struct cache *cache, struct tl_slice key)
{
	uint64_t place;

	if (!tl_map_get(cache->map, key, &place))
		return NULL;
	return (struct node *)(uintptr_t)place;
}

struct cache_value *
cache_get(struct cache *cache, struct tl_slice key)
{
	struct cache_value *value = NULL;
	struct node *node;

	pthread_mutex_lock(&cache->mtx);
	node = find(cache, key);
	if (node != NULL) {
		unlink_node(cache, node);
		link_newest(cache, node);
		value = node->value;
		value->pin_count++;
	}
	pthread_mutex_unlock(&cache->mtx);
	return value;
}

static struct node *
make_node(struct tl_slice key, struct cache_value *value)
{
	struct node *node = malloc(sizeof(*node) + key.bytes);

	if (node == NULL)
		return NULL;
	*node = (struct node){
		.value = value,
		.bytes = value->bytes + key.bytes + CACHE_NODE_BYTES,
		.key_bytes = key.bytes,
	};
	memcpy(node->key, key.data, key.bytes);
	return node;
}

void
cache_put(struct cache *cache, struct tl_slice key, struct cache_value *value)
{
	struct node *node = make_node(key, value);
	struct node *before;

	if (node == NULL)
		return;
	pthread_mutex_lock(&cache->mtx);
	before = find(cache, key);
	if (before != NULL)
		drop(cache, before);
	while (cache->oldest != NULL && (cache->bytes + node->bytes > cache->bytes_max ||
						tl_map_count(cache->map) == CACHE_NODES_MAX))
		drop(cache, cache->oldest);
	if (node->bytes > cache->bytes_max ||
		tl_map_put(cache->map, key, (uint64_t)(uintptr_t)node) != TL_OK) {
		free(node);
	} else {
		link_newest(cache, node);
		cache->bytes += node->bytes;
		value->pin_count++;
	}
	pthread_mutex_unlock(&cache->mtx);
}

void
cache_unpin(struct cache *cache, struct cache_value *value)
{
	bool is_last;

	if (value == NULL)
		return;
	pthread_mutex_lock(&cache->mtx);
	is_last = let_go(value);
	pthread_mutex_unlock(&cache->mtx);
	if (is_last)
		value->free(value);
}

size_t
cache_bytes(struct cache *cache)
{
	size_t bytes;

	pthread_mutex_lock(&cache->mtx);
	bytes = cache->bytes;
	pthread_mutex_unlock(&cache->mtx);
	return bytes;
}
