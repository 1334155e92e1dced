/*
 * The families of days, raw.YYYY-MM-DD, one per UTC day of event time. Handles are counted: a day
 * that expires is dropped by the last reader to let go, so readers never wait.
 */
#ifndef TL_STORE_DAYS_H
#define TL_STORE_DAYS_H

#include "schema/store/store.h"

struct tl_day;

/* The family of the day that starts at day_ms, pinned; NULL when there is none. Any thread. */
struct tl_day *tl_day_pin(struct tl_store *store, int64_t day_ms);
void tl_day_unpin(struct tl_day *day);
int64_t tl_day_ms(const struct tl_day *day);

/*
 * As pin, but makes the family when missing. Writer thread only: 10..50 ms when it is new.
 * TL_ECONFLICT while a dropped family of that day is still pinned.
 */
TL_MUST enum tl_err tl_day_make(
	struct tl_store *store, int64_t day_ms, struct tl_day **day_out, struct tl_why *why);

/* Days present, oldest first; returns how many there are (may exceed count_max). */
size_t tl_days_list(struct tl_store *store, int64_t *day_ms_out, size_t count_max);

/* Take the day out of the table; its bytes go when the last pin does. */
TL_MUST enum tl_err tl_day_drop(struct tl_store *store, int64_t day_ms, struct tl_why *why);

TL_MUST enum tl_err tl_day_get(struct tl_store *store, const struct tl_view *view,
	struct tl_day *day, struct tl_slice key, struct tl_buf *buf, struct tl_why *why);

/*
 * Write the day's tables anew without what was deleted; other compactions go on beside. What is in
 * memory goes to tables first, of all families together.
 */
void tl_day_compact(struct tl_store *store, struct tl_day *day);

#endif
