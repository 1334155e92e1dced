/*
 * The rows of the newest groups as the writer had them, in columns: who follows the journal takes
 * them from here instead of reading and decoding what was encoded a moment ago. A few groups,
 * bounded in bytes; a group that is not here, any more or ever, is read from raw. Both give the
 * same rows.
 */
#ifndef TL_STORE_FRESH_H
#define TL_STORE_FRESH_H

#include "schema/model/event.h"
#include "schema/store/store.h"

struct tl_fresh {
	uint64_t group_no;
	int64_t received_ms;
	struct tl_batch rows;  /* dense ids; more than were stored, perhaps */
	const uint32_t *order; /* the stored ones, block after block */
	uint32_t count;
};

/* How much memory the groups may take together; 64 MiB until told. */
void tl_fresh_bound(struct tl_store *store, size_t bytes_max);

/*
 * A group that is durable. All that fresh points to lies in *arena, which is taken when there is
 * room for it; *arena is another one then, to be reset before use. Writer thread only.
 */
void tl_fresh_put(struct tl_store *store, const struct tl_fresh *fresh, struct tl_arena *arena);

/* The group, pinned, or NULL. One at a time; rollup thread only. */
const struct tl_fresh *tl_fresh_pin(struct tl_store *store, uint64_t group_no);
void tl_fresh_unpin(struct tl_store *store, const struct tl_fresh *fresh);

#endif
