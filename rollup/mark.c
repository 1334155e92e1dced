#include "rollup/mark.h"

#include <inttypes.h>
#include <stdio.h>

#include "schema/store/key.h"
#include "schema/store/scan.h"

#define MARK_POSITION "rollup"
#define MARK_STEP "rollup.step."

const enum tl_family mark_derived[] = {
	TL_FAMILY_CELL_1H, TL_FAMILY_CELL_1D, TL_FAMILY_SESSION, TL_FAMILY_LIFE};
const size_t mark_derived_count = sizeof(mark_derived) / sizeof(mark_derived[0]);

static struct tl_key
key_of_step(uint64_t step_no)
{
	char name[sizeof(MARK_STEP) + 16];

	snprintf(name, sizeof(name), MARK_STEP "%016" PRIx64, step_no);
	return tl_key_mark(name);
}

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

struct tl_mark
mark_next(const struct tl_mark *before, uint64_t group_no, uint64_t seq, uint64_t first_step_no)
{
	struct tl_mark mark = {.group_no = group_no,
		.seq = seq,
		.step_no = before->step_no + 1,
		.first_step_no = first_step_no};

	if (mark.first_step_no < before->first_step_no)
		mark.first_step_no = before->first_step_no;
	if (before->step_no == 0)
		mark.first_step_no = mark.step_no;
	return mark;
}

void
mark_put(struct tl_write *write, const struct tl_mark *before, const struct tl_mark *mark,
	struct tl_buf *value)
{
	struct tl_key key = tl_key_mark(MARK_POSITION);

	tl_buf_reset(value);
	tl_mark_encode(mark, value);
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&key), tl_buf_slice(value));
	key = key_of_step(mark->step_no);
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&key), tl_buf_slice(value));
	for (uint64_t no = before->first_step_no; no != 0 && no < mark->first_step_no; no++) {
		key = key_of_step(no);
		tl_write_delete(write, TL_FAMILY_MARK, tl_key_slice(&key));
	}
}

enum tl_err
mark_is_whole(
	struct tl_store *store, const struct tl_mark *mark, bool *whole_out, struct tl_why *why)
{
	struct tl_key first = key_of_step(mark->first_step_no);
	struct tl_key last = key_of_step(mark->step_no);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	uint64_t count = 1; /* the mark itself is in the write of the last */
	enum tl_err err;

	err = tl_scan_open(
		store, NULL, TL_FAMILY_MARK, tl_key_slice(&first), tl_key_slice(&last), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK)
		count++;
	tl_scan_free(scan);
	if (err != TL_EEND)
		return err;
	*whole_out = mark->step_no == 0 || count == mark->step_no - mark->first_step_no + 1;
	return TL_OK;
}

enum tl_err
mark_erase_derived(
	struct tl_store *store, struct tl_write *write, struct tl_buf *value, struct tl_why *why)
{
	struct tl_key erasing = tl_key_mark(MARK_ERASING);
	struct tl_mark before;
	struct tl_mark zero;
	enum tl_err err = mark_read(store, &before, why);

	if (err)
		return err;
	zero = mark_next(&before, 0, 0, before.step_no + 1);
	tl_write_reset(write);
	mark_put(write, &before, &zero, value);
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&erasing), tl_slice_of("\1", 1));
	err = tl_write_commit(write, TL_NO_SYNC, why);
	for (size_t i = 0; !err && i < mark_derived_count; i++)
		err = tl_store_erase(store, mark_derived[i], why);
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
