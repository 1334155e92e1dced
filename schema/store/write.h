/* One atomic write with a sticky error: collect puts, then all of it or nothing. */
#ifndef TL_STORE_WRITE_H
#define TL_STORE_WRITE_H

#include "schema/store/days.h"
#include "schema/store/store.h"

enum tl_durability {
	TL_SYNC,    /* fdatasync of the WAL before it returns */
	TL_NO_SYNC, /* derived state: a power cut drops it whole and it is folded again */
};

struct tl_write;

TL_MUST enum tl_err tl_write_new(struct tl_store *store, struct tl_write **write_out);
void tl_write_free(struct tl_write *write);

/* Forget what was collected. */
void tl_write_reset(struct tl_write *write);

/* Copies key and value. */
void tl_write_put(
	struct tl_write *write, enum tl_family family, struct tl_slice key, struct tl_slice value);
void tl_write_put_raw(
	struct tl_write *write, struct tl_day *day, struct tl_slice key, struct tl_slice value);
void tl_write_delete_raw(struct tl_write *write, struct tl_day *day, struct tl_slice key);
void tl_write_delete(struct tl_write *write, enum tl_family family, struct tl_slice key);

/* Bytes collected so far. */
size_t tl_write_bytes(const struct tl_write *write);

/* Apply and reset. On failure nothing was applied that an ack may rely on. */
TL_MUST enum tl_err tl_write_commit(
	struct tl_write *write, enum tl_durability durability, struct tl_why *why);

/* Delete every key of a family. Own write, not synced. */
TL_MUST enum tl_err tl_store_erase(
	struct tl_store *store, enum tl_family family, struct tl_why *why);

#endif
