#include "rollup/mark.h"

#include "schema/store/key.h"

#define MARK_POSITION "rollup"
#define MARK_ERASING "rollup.erasing"

static const enum tl_family derived_families[] = {TL_FAMILY_CELL_15M, TL_FAMILY_CELL_1H,
	TL_FAMILY_CELL_1D, TL_FAMILY_SESSION, TL_FAMILY_LIFE};

#define DERIVED_FAMILY_COUNT (sizeof(derived_families) / sizeof(derived_families[0]))

enum tl_err
mark_read(struct tl_store *store, struct tl_mark *mark_out, struct tl_why *why)
{
	struct tl_key key = tl_key_mark(MARK_POSITION);
	struct tl_mark mark = {0};
	struct tl_buf value;
	enum tl_err err;

	tl_buf_init(&value, 0);
	err = tl_store_get(store, NULL, TL_FAMILY_MARK, tl_key_slice(&key), &value, why);
	if (err == TL_ENOT_FOUND) {
		err = TL_OK;
	} else if (!err) {
		err = tl_mark_decode(tl_buf_slice(&value), &mark);
		if (err)
			err = tl_fail(why, err, "the rollup's mark: %s", tl_err_text(err));
	}
	tl_buf_fini(&value);
	if (!err)
		*mark_out = mark;
	return err;
}

void
mark_put(struct tl_write *write, const struct tl_mark *mark, struct tl_buf *value)
{
	struct tl_key key = tl_key_mark(MARK_POSITION);

	tl_buf_reset(value);
	tl_mark_encode(mark, value);
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&key), tl_buf_slice(value));
}

enum tl_err
mark_erase_derived(
	struct tl_store *store, struct tl_write *write, struct tl_buf *value, struct tl_why *why)
{
	struct tl_key erasing = tl_key_mark(MARK_ERASING);
	struct tl_mark zero = {0};
	enum tl_err err;

	tl_write_reset(write);
	mark_put(write, &zero, value);
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&erasing), tl_slice_of("\1", 1));
	err = tl_write_commit(write, TL_NO_SYNC, why);
	for (size_t i = 0; !err && i < DERIVED_FAMILY_COUNT; i++)
		err = tl_store_erase(store, derived_families[i], why);
	if (err)
		return err;
	tl_write_delete(write, TL_FAMILY_MARK, tl_key_slice(&erasing));
	return tl_write_commit(write, TL_NO_SYNC, why);
}

enum tl_err
mark_finish_erasing(
	struct tl_store *store, struct tl_write *write, struct tl_buf *value, struct tl_why *why)
{
	struct tl_key erasing = tl_key_mark(MARK_ERASING);
	enum tl_err err;

	err = tl_store_get(store, NULL, TL_FAMILY_MARK, tl_key_slice(&erasing), value, why);
	if (err)
		return err == TL_ENOT_FOUND ? TL_OK : err;
	return mark_erase_derived(store, write, value, why);
}
