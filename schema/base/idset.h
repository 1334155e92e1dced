/* An exact set of dense 32-bit ids. CRoaring stops here. */
#ifndef TL_BASE_IDSET_H
#define TL_BASE_IDSET_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/err.h"

struct tl_idset;

TL_MUST enum tl_err tl_idset_new(struct tl_idset **set_out);
void tl_idset_free(struct tl_idset *set);

/* True when the id was not in the set before. */
bool tl_idset_add(struct tl_idset *set, uint32_t id);
bool tl_idset_has(const struct tl_idset *set, uint32_t id);
uint64_t tl_idset_count(const struct tl_idset *set);

#endif
