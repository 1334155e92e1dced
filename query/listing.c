#include "query/listing.h"

#include <stdlib.h>

static int
order_cmp(const struct listing_row *a, const struct listing_row *b)
{
	for (int i = 0; i < 2; i++) {
		if (a->order[i] != b->order[i])
			return a->order[i] > b->order[i] ? -1 : 1;
	}
	return 0;
}

static int
key_cmp(const struct listing_row *a, const struct listing_row *b)
{
	return (a->key > b->key) - (a->key < b->key);
}

static int
by_order(const void *a, const void *b)
{
	int order = order_cmp(a, b);

	return order != 0 ? order : key_cmp(a, b);
}

static int
by_name(const void *a, const void *b)
{
	const struct listing_row *left = a;
	const struct listing_row *right = b;
	int order = order_cmp(left, right);

	if (order == 0)
		order = tl_slice_cmp(left->name, right->name);
	if (order == 0)
		order = (left->number > right->number) - (left->number < right->number);
	return order != 0 ? order : key_cmp(left, right);
}

enum tl_err
listing_sort(struct query_job *job, struct listing_row *rows, uint32_t count,
	const struct reply_page *page,
	enum tl_err (*name)(struct query_job *job, struct listing_row *row, struct tl_why *why),
	struct tl_why *why)
{
	uint32_t first = page->first;
	uint32_t end = page->end;
	enum tl_err err = TL_OK;

	if (first >= end)
		return TL_OK;
	qsort(rows, count, sizeof(*rows), by_order);
	/* Rows that tie with the page's first and last may belong on the other side of its edge. */
	while (first > 0 && order_cmp(&rows[first - 1], &rows[first]) == 0)
		first--;
	while (end < count && order_cmp(&rows[end - 1], &rows[end]) == 0)
		end++;
	for (uint32_t i = first; !err && i < end; i++)
		err = name(job, &rows[i], why);
	if (!err)
		qsort(rows + first, end - first, sizeof(*rows), by_name);
	return err;
}
