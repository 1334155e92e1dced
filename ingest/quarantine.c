/*
 * Events that say something else under an id that is stored: refused, and kept where an operator
 * finds them, the last of each id with the number of times. A row lives as long as an id does
 * without a conflict, so what a sender that repeats itself can leave here is bounded by its ids.
 */
#include "ingest/writer.h"
#include "schema/model/bucket.h"
#include "schema/store/block.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/value.h"

/* Rows looked at for each group, so that no group waits for all of them. */
#define SWEEP_ROWS 256u
/* Keys of format 1: org, group, number in the group. Nothing in them says which id it was. */
#define OLD_KEY_BYTES 16u

/* How often the id was in conflict before; names what this group already counted. */
static enum tl_err
times_before(
	struct commit *commit, const struct tl_key *key, uint64_t *times_out, struct tl_why *why)
{
	struct tl_quarantine_row row;
	enum tl_err err;

	if (tl_map_get(commit->conflicts, tl_key_slice(key), times_out))
		return TL_OK;
	err = tl_store_get(
		commit->store, NULL, TL_FAMILY_QUARANTINE, tl_key_slice(key), &commit->buf, why);
	if (err == TL_ENOT_FOUND) {
		*times_out = 0;
		return TL_OK;
	}
	if (!err)
		err = tl_quarantine_row_decode(tl_buf_slice(&commit->buf), &row);
	if (err)
		return tl_fail(why, err, "quarantine: %s", tl_err_text(err));
	*times_out = row.times;
	return TL_OK;
}

enum tl_err
quarantine_put(struct commit *commit, const struct tl_batch *batch, uint32_t row_idx,
	const char *field, struct tl_why *why)
{
	uint32_t org = (uint32_t)tl_batch_get(batch, TL_COL_ORG, row_idx);
	struct tl_key key = tl_key_quarantine(org, batch->id[row_idx]);
	struct tl_quarantine_row row = {
		.last_ms = commit->group.received_ms, .field = tl_slice_str(field)};
	struct tl_buf *buf = &commit->buf;
	enum tl_err err = times_before(commit, &key, &row.times, why);

	if (err)
		return err;
	row.times++;
	err = tl_map_put(commit->conflicts, tl_key_slice(&key), row.times);
	if (err)
		return err;
	tl_buf_reset(buf);
	tl_quarantine_row_encode(&row, buf);
	err = tl_block_encode(batch, &row_idx, 1, row.last_ms, buf);
	if (!err)
		tl_write_put(
			commit->write, TL_FAMILY_QUARANTINE, tl_key_slice(&key), tl_buf_slice(buf));
	return err;
}

static enum tl_err
sweep_row(struct commit *commit, struct tl_slice key, struct tl_slice value, int64_t cutoff_ms,
	struct tl_why *why)
{
	struct tl_quarantine_row row = {.last_ms = INT64_MIN};
	enum tl_err err = TL_OK;

	if (key.bytes != OLD_KEY_BYTES)
		err = tl_quarantine_row_decode(value, &row);
	if (err)
		return tl_fail(why, err, "quarantine: %s", tl_err_text(err));
	if (row.last_ms < cutoff_ms)
		tl_write_delete(commit->write, TL_FAMILY_QUARANTINE, key);
	return TL_OK;
}

enum tl_err
quarantine_sweep(struct commit *commit, int64_t cutoff_ms, struct tl_why *why)
{
	struct tl_key *next = &commit->sweep.next;
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	if (commit->sweep.is_done)
		return TL_OK;
	err = tl_scan_open(commit->store, NULL, TL_FAMILY_QUARANTINE, tl_key_slice(next),
		tl_slice_of(NULL, 0), &scan, why);
	for (uint32_t i = 0; !err && i < SWEEP_ROWS; i++) {
		err = tl_scan_next(scan, &key, &value, why);
		if (!err)
			err = sweep_row(commit, key, value, cutoff_ms, why);
		if (!err)
			*next = tl_key_after(key);
	}
	tl_scan_free(scan);
	commit->sweep.is_done = err == TL_EEND;
	return err == TL_EEND ? TL_OK : err;
}

void
quarantine_turn(struct commit *commit)
{
	commit->sweep = (struct sweep){.is_done = false};
}
