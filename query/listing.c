#include "query/listing.h"

#include <stdlib.h>

#include "query/first.h"

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

/* Bring what ties with the last of the first end rows behind them; how many there are then. */
static uint32_t
take_ties(struct listing_row *rows, uint32_t count, uint32_t end)
{
	struct listing_row last = rows[0];

	for (uint32_t i = 1; i < end; i++) {
		if (order_cmp(&rows[i], &last) > 0)
			last = rows[i];
	}
	for (uint32_t i = end; i < count; i++) {
		struct listing_row row = rows[i];

		if (order_cmp(&row, &last) != 0)
			continue;
		rows[i] = rows[end];
		rows[end++] = row;
	}
	return end;
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
	/* Rows that tie with the page's last may belong on this side of its edge, and with its
	 * first on the other. */
	first_select(rows, count, sizeof(*rows), end, by_order);
	end = take_ties(rows, count, end);
	qsort(rows, end, sizeof(*rows), by_order);
	while (first > 0 && order_cmp(&rows[first - 1], &rows[first]) == 0)
		first--;
	for (uint32_t i = first; !err && i < end; i++)
		err = name(job, &rows[i], why);
	if (!err)
		qsort(rows + first, end - first, sizeof(*rows), by_name);
	return err;
}
