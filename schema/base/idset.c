#include "schema/base/idset.h"

#include <stdlib.h>

#include <roaring/roaring.h>

struct tl_idset {
	roaring_bitmap_t *ids;
};

enum tl_err
tl_idset_new(struct tl_idset **set_out)
{
	struct tl_idset *set = calloc(1, sizeof(*set));

	if (!set)
		return TL_ENOMEM;
	set->ids = roaring_bitmap_create();
	if (!set->ids) {
		free(set);
		return TL_ENOMEM;
	}
	*set_out = set;
	return TL_OK;
}

void
tl_idset_free(struct tl_idset *set)
{
	if (!set)
		return;
	roaring_bitmap_free(set->ids);
	free(set);
}

bool
tl_idset_add(struct tl_idset *set, uint32_t id)
{
	return roaring_bitmap_add_checked(set->ids, id);
}

bool
tl_idset_has(const struct tl_idset *set, uint32_t id)
{
	return roaring_bitmap_contains(set->ids, id);
}

uint64_t
tl_idset_count(const struct tl_idset *set)
{
	return roaring_bitmap_get_cardinality(set->ids);
}
