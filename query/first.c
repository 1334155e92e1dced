#include "query/first.h"

#include <assert.h>
#include <string.h>

/* The items in hand: a heap with the last of them on top. */
struct heap {
	uint8_t *items;
	size_t item_bytes;
	uint32_t count;
	int (*cmp)(const void *a, const void *b);
};

static uint8_t *
item(const struct heap *heap, uint32_t idx)
{
	return heap->items + idx * heap->item_bytes;
}

static void
swap(const struct heap *heap, uint8_t *a, uint8_t *b)
{
	uint8_t c[FIRST_ITEM_BYTES_MAX];

	memcpy(c, a, heap->item_bytes);
	memcpy(a, b, heap->item_bytes);
	memcpy(b, c, heap->item_bytes);
}

static void
sink(const struct heap *heap, uint32_t idx)
{
	for (;;) {
		uint32_t last = idx;

		for (uint32_t child = 2 * idx + 1; child <= 2 * idx + 2 && child < heap->count;
			child++) {
			if (heap->cmp(item(heap, last), item(heap, child)) < 0)
				last = child;
		}
		if (last == idx)
			return;
		swap(heap, item(heap, idx), item(heap, last));
		idx = last;
	}
}

void
first_select(void *items, uint32_t count, size_t item_bytes, uint32_t first_count,
	int (*cmp)(const void *a, const void *b))
{
	struct heap heap = {
		.items = items, .item_bytes = item_bytes, .count = first_count, .cmp = cmp};

	assert(item_bytes <= FIRST_ITEM_BYTES_MAX);
	if (first_count == 0 || first_count >= count)
		return;
	for (uint32_t i = first_count / 2; i > 0; i--)
		sink(&heap, i - 1);
	for (uint32_t i = first_count; i < count; i++) {
		if (cmp(item(&heap, i), items) >= 0)
			continue;
		swap(&heap, item(&heap, i), items);
		sink(&heap, 0);
	}
}
