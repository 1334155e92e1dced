#include "schema/store/expiry.h"

#include "schema/store/key.h"

#define MARK_EXPIRED "rollup.expired"
#define EXPIRY_VERSION 1

enum tl_err
tl_expiry_get(struct tl_store *store, const struct tl_view *view, struct tl_expiry *expiry_out,
	struct tl_why *why)
{
	struct tl_key key = tl_key_mark(MARK_EXPIRED);
	struct tl_buf value;
	struct tl_cursor cur;
	enum tl_err err;

	*expiry_out = (struct tl_expiry){INT64_MIN, INT64_MIN};
	tl_buf_init(&value, 0);
	err = tl_store_get(store, view, TL_FAMILY_MARK, tl_key_slice(&key), &value, why);
	if (!err) {
		cur = tl_cursor_of(tl_buf_slice(&value));
		if (tl_cursor_u8(&cur) != EXPIRY_VERSION)
			err = TL_ESTORAGE_CORRUPT;
		expiry_out->day_ms = (int64_t)tl_cursor_be64(&cur);
		expiry_out->session_ms = (int64_t)tl_cursor_be64(&cur);
		if (err || cur.err || tl_cursor_left(&cur) != 0)
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "the mark of expiry is damaged");
	}
	tl_buf_fini(&value);
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

enum tl_err
tl_expiry_raise(struct tl_store *store, struct tl_write *write, struct tl_expiry *expiry,
	struct tl_why *why)
{
	struct tl_key key = tl_key_mark(MARK_EXPIRED);
	struct tl_expiry before;
	struct tl_buf value;
	enum tl_err err = tl_expiry_get(store, NULL, &before, why);

	if (err)
		return err;
	if (expiry->day_ms <= before.day_ms && expiry->session_ms <= before.session_ms) {
		*expiry = before;
		return TL_OK;
	}
	if (expiry->day_ms < before.day_ms)
		expiry->day_ms = before.day_ms;
	if (expiry->session_ms < before.session_ms)
		expiry->session_ms = before.session_ms;
	tl_buf_init(&value, 0);
	tl_buf_put_u8(&value, EXPIRY_VERSION);
	tl_buf_put_be64(&value, (uint64_t)expiry->day_ms);
	tl_buf_put_be64(&value, (uint64_t)expiry->session_ms);
	err = value.err;
	if (!err) {
		tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&key), tl_buf_slice(&value));
		err = tl_write_commit(write, TL_SYNC, why);
	}
	tl_buf_fini(&value);
	return err;
}
