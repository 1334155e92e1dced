/* Raw events as text: blocks, runs and their chunks. A part of dump. */
#ifndef DEPLOY_DUMP_RAW_H
#define DEPLOY_DUMP_RAW_H

#include "schema/base/arena.h"
#include "schema/base/bytes.h"

/* "group=7 block=0", "run to group=9", "run to group=9 chunk=0". */
void dump_raw_key(struct tl_slice key, struct tl_buf *text);

/* TL_ESTORAGE_CORRUPT, TL_ENOMEM. */
TL_MUST enum tl_err dump_raw_value(
	struct tl_slice key, struct tl_slice value, struct tl_arena *arena, struct tl_buf *text);

/* A block: a line about it, then one for each row. */
TL_MUST enum tl_err dump_block(struct tl_slice value, struct tl_arena *arena, struct tl_buf *text);

#endif
