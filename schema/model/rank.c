#include "schema/model/rank.h"

#include <stdlib.h>

/* Total: the caller's index decides between contenders of one name, so equal input gives equal
 * output whatever the sort does. */
static int
contender_cmp(const void *left, const void *right)
{
	const struct tl_contender *a = left;
	const struct tl_contender *b = right;
	int order;

	if (a->tier != b->tier)
		return a->tier < b->tier ? -1 : 1;
	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	order = tl_slice_cmp(a->name, b->name);
	if (order != 0)
		return order;
	return (a->idx > b->idx) - (a->idx < b->idx);
}

void
tl_rank(struct tl_contender *contenders, size_t count)
{
	if (count > 1)
		qsort(contenders, count, sizeof(*contenders), contender_cmp);
	for (size_t i = 0; i < count; i++) {
		struct tl_contender *contender = &contenders[i];

		if (contender->tier != 0)
			contender->rank = 0;
		else if (i > 0 && contender->value == contender[-1].value)
			contender->rank = contender[-1].rank;
		else
			contender->rank = (uint32_t)i + 1;
	}
}

const char *
tl_rank_badge(uint32_t rank, int64_t value)
{
	static const char *const badges[] = {NULL, "gold", "silver", "bronze"};

	if (rank > 3 || value <= 0)
		return NULL;
	return badges[rank];
}
