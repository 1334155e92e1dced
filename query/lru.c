#include "query/lru.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "schema/base/map.h"

/* Beyond the value: the node, the key, the map's slot. */
#define LRU_NODE_BYTES 128u
#define LRU_NODES_MAX (1u << 16)

/* A key and its value, in a ring in the order of use. */
struct node {
	struct node *newer, *older;
	struct lru_value *value;
	size_t bytes;
	size_t key_bytes;
	uint8_t key[];
};

struct lru {
	/* fixed after new */
	size_t bytes_max;
	pthread_mutex_t mtx;

	/* guarded by mtx */
	struct tl_map *map; /* key -> node */
	struct node *newest, *oldest;
	size_t bytes;
};

enum tl_err
lru_new(size_t bytes_max, struct lru **lru_out)
{
	struct lru *lru = calloc(1, sizeof(*lru));
	enum tl_err err;

	if (lru == NULL)
		return TL_ENOMEM;
	lru->bytes_max = bytes_max;
	err = tl_map_new(LRU_NODES_MAX, &lru->map);
	if (err || pthread_mutex_init(&lru->mtx, NULL) != 0) {
		tl_map_free(lru->map);
		free(lru);
		return TL_ENOMEM;
	}
	*lru_out = lru;
	return TL_OK;
}

/* Under the lock: true when that was the last pin, and the caller frees. */
static bool
let_go(struct lru_value *value)
{
	assert(value->pin_count > 0);
	return --value->pin_count == 0;
}

static void
unlink_node(struct lru *lru, struct node *node)
{
	if (node->newer != NULL)
		node->newer->older = node->older;
	else
		lru->newest = node->older;
	if (node->older != NULL)
		node->older->newer = node->newer;
	else
		lru->oldest = node->newer;
}

static void
link_newest(struct lru *lru, struct node *node)
{
	node->newer = NULL;
	node->older = lru->newest;
	if (lru->newest != NULL)
		lru->newest->newer = node;
	else
		lru->oldest = node;
	lru->newest = node;
}

/* Values are freed under the lock: it is rare and keeps the order simple. */
static void
drop(struct lru *lru, struct node *node)
{
	tl_map_remove(lru->map, tl_slice_of(node->key, node->key_bytes));
	unlink_node(lru, node);
	lru->bytes -= node->bytes;
	if (let_go(node->value))
		node->value->free(node->value);
	free(node);
}

void
lru_free(struct lru *lru)
{
	if (lru == NULL)
		return;
	while (lru->newest != NULL)
		drop(lru, lru->newest);
	assert(lru->bytes == 0);
	pthread_mutex_destroy(&lru->mtx);
	tl_map_free(lru->map);
	free(lru);
}

static struct node *
find(const struct lru *lru, struct tl_slice key)
{
	uint64_t place;

	if (!tl_map_get(lru->map, key, &place))
		return NULL;
	return (struct node *)(uintptr_t)place;
}

struct lru_value *
lru_get(struct lru *lru, struct tl_slice key)
{
	struct lru_value *value = NULL;
	struct node *node;

	pthread_mutex_lock(&lru->mtx);
	node = find(lru, key);
	if (node != NULL) {
		unlink_node(lru, node);
		link_newest(lru, node);
		value = node->value;
		value->pin_count++;
	}
	pthread_mutex_unlock(&lru->mtx);
	return value;
}

static struct node *
make_node(struct tl_slice key, struct lru_value *value)
{
	struct node *node = malloc(sizeof(*node) + key.bytes);

	if (node == NULL)
		return NULL;
	*node = (struct node){
		.value = value,
		.bytes = value->bytes + key.bytes + LRU_NODE_BYTES,
		.key_bytes = key.bytes,
	};
	memcpy(node->key, key.data, key.bytes);
	return node;
}

void
lru_put(struct lru *lru, struct tl_slice key, struct lru_value *value)
{
	struct node *node = make_node(key, value);
	struct node *before;

	if (node == NULL)
		return;
	pthread_mutex_lock(&lru->mtx);
	before = find(lru, key);
	if (before != NULL)
		drop(lru, before);
	while (lru->oldest != NULL && (lru->bytes + node->bytes > lru->bytes_max ||
					      tl_map_count(lru->map) == LRU_NODES_MAX))
		drop(lru, lru->oldest);
	if (node->bytes > lru->bytes_max ||
		tl_map_put(lru->map, key, (uint64_t)(uintptr_t)node) != TL_OK) {
		free(node);
	} else {
		link_newest(lru, node);
		lru->bytes += node->bytes;
		value->pin_count++;
	}
	pthread_mutex_unlock(&lru->mtx);
}

void
lru_unpin(struct lru *lru, struct lru_value *value)
{
	bool is_last;

	if (value == NULL)
		return;
	pthread_mutex_lock(&lru->mtx);
	is_last = let_go(value);
	pthread_mutex_unlock(&lru->mtx);
	if (is_last)
		value->free(value);
}

size_t
lru_bytes(struct lru *lru)
{
	size_t bytes;

	pthread_mutex_lock(&lru->mtx);
	bytes = lru->bytes;
	pthread_mutex_unlock(&lru->mtx);
	return bytes;
}
