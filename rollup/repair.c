/*
 * Derived rows are absolute, so a lost step leaves older ones behind, and which is not written on
 * them. All of them together are right only as of a state that is known whole: the flush point's.
 * Copying is no single write: "rollup.restoring" stands from the first to the last, and who finds
 * it copies again.
 */
#include "rollup/repair.h"

#include "rollup/mark.h"
#include "schema/store/flush.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define MARK_RESTORING "rollup.restoring"
#define WRITE_BYTES ((size_t)4 << 20)

struct repairer {
	struct tl_store *store;
	struct tl_store *point; /* the flush point */
	struct tl_write *write;
	struct tl_buf value;
	struct tl_mark mark, point_mark;
};

static enum tl_err
is_marked(struct tl_store *store, const char *name, struct tl_buf *value, bool *marked_out,
	struct tl_why *why)
{
	struct tl_key key = tl_key_mark(name);
	enum tl_err err = tl_store_get(store, NULL, TL_FAMILY_MARK, tl_key_slice(&key), value, why);

	*marked_out = err == TL_OK;
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

/* What has no steps yet has cells of one page each. */
static bool
is_of_older_form(const struct tl_mark *mark)
{
	return mark->group_no > 0 && mark->step_no == 0;
}

/* A rebuild that was cut off begins anew, whatever is missing: its mark stands at zero. */
static enum tl_err
is_needed(struct repairer *repairer, bool *needed_out, struct tl_why *why)
{
	struct tl_store *store = repairer->store;
	bool is_erasing = false;
	bool is_restoring = false;
	bool is_whole = true;
	enum tl_err err;

	err = is_marked(store, MARK_ERASING, &repairer->value, &is_erasing, why);
	if (!err)
		err = is_marked(store, MARK_RESTORING, &repairer->value, &is_restoring, why);
	if (!err)
		err = mark_read(store, &repairer->mark, why);
	if (!err && !is_erasing && !is_restoring)
		err = mark_is_whole(store, &repairer->mark, &is_whole, why);
	*needed_out = is_restoring || !is_whole || is_of_older_form(&repairer->mark);
	return err;
}

/* Not one of before a rebuild: what it had may be what the rebuild was for. */
static bool
open_point(struct repairer *repairer, const char *data_dir)
{
	return tl_flush_open(data_dir, &repairer->point, NULL) == TL_OK &&
	       mark_read(repairer->point, &repairer->point_mark, NULL) == TL_OK &&
	       repairer->point_mark.step_no >= repairer->mark.first_step_no;
}

static enum tl_err
copy_family(struct repairer *repairer, enum tl_family family, struct tl_why *why)
{
	struct tl_slice none = tl_slice_of(NULL, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err = tl_store_erase(repairer->store, family, why);

	if (!err)
		err = tl_scan_open(repairer->point, NULL, family, none, none, &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK) {
		tl_write_put(repairer->write, family, key, value);
		if (tl_write_bytes(repairer->write) >= WRITE_BYTES)
			err = tl_write_commit(repairer->write, TL_NO_SYNC, why);
	}
	tl_scan_free(scan);
	return err == TL_EEND ? tl_write_commit(repairer->write, TL_NO_SYNC, why) : err;
}

static enum tl_err
restore(struct repairer *repairer, struct tl_why *why)
{
	struct tl_key restoring = tl_key_mark(MARK_RESTORING);
	const struct tl_mark *from = &repairer->point_mark;
	struct tl_mark mark =
		mark_next(&repairer->mark, from->group_no, from->seq, repairer->mark.step_no + 1);
	enum tl_err err;

	tl_write_put(
		repairer->write, TL_FAMILY_MARK, tl_key_slice(&restoring), tl_slice_of("\1", 1));
	err = tl_write_commit(repairer->write, TL_NO_SYNC, why);
	for (size_t i = 0; !err && i < mark_derived_count; i++)
		err = copy_family(repairer, mark_derived[i], why);
	if (err)
		return err;
	mark_put(repairer->write, &repairer->mark, &mark, &repairer->value);
	tl_write_delete(repairer->write, TL_FAMILY_MARK, tl_key_slice(&restoring));
	return tl_write_commit(repairer->write, TL_NO_SYNC, why);
}

static enum tl_err
repair(struct repairer *repairer, const char *data_dir, enum repair *repair_out, struct tl_why *why)
{
	bool needed = false;
	enum tl_err err = is_needed(repairer, &needed, why);

	*repair_out = REPAIR_NONE;
	if (err || !needed)
		return err;
	if (is_of_older_form(&repairer->mark) || !open_point(repairer, data_dir)) {
		*repair_out = REPAIR_REBUILD;
		return TL_OK;
	}
	*repair_out = REPAIR_FLUSH_POINT;
	return restore(repairer, why);
}

enum tl_err
repair_derived(
	struct tl_store *store, const char *data_dir, enum repair *repair_out, struct tl_why *why)
{
	struct repairer repairer = {.store = store};
	enum tl_err err = tl_write_new(store, &repairer.write);

	if (err)
		return tl_fail(why, err, "repair: %s", tl_err_text(err));
	tl_buf_init(&repairer.value, 0);
	err = repair(&repairer, data_dir, repair_out, why);
	tl_buf_fini(&repairer.value);
	tl_write_free(repairer.write);
	tl_store_close(repairer.point);
	return err;
}
