/* Which hour is looked at: that of a random event, of the last groups or of any. */
#include <assert.h>

#include "rollup/spot.h"
#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/store/key.h"
#include "schema/store/sealed.h"

#define COLUMN(column) (UINT64_C(1) << (column))
#define PICK_COLUMNS (COLUMN(TL_COL_ORG) | COLUMN(TL_COL_TS))
#define RECENT_GROUPS 256u

static uint64_t
random_below(uint64_t bound)
{
	uint64_t value;

	tl_random(&value, sizeof(value));
	return value % bound; /* that low values are a little likelier does not matter here */
}

static enum tl_err
pick_day(struct spot *spot, bool is_recent, struct tl_day **day_out)
{
	size_t count = tl_days_list(spot->store, NULL, 0);
	int64_t *day_ms = tl_arena_array(&spot->arena, count + 1, sizeof(*day_ms));

	if (day_ms == NULL)
		return TL_ENOMEM;
	if (tl_days_list(spot->store, day_ms, count) < count)
		count = tl_days_list(spot->store, day_ms, count);
	if (count == 0)
		return TL_EEND;
	*day_out = tl_day_pin(
		spot->store, day_ms[is_recent ? count - 1 : (size_t)random_below(count)]);
	return *day_out != NULL ? TL_OK : TL_EEND;
}

static void
pick_row(
	const struct tl_batch *batch, uint32_t idx, int64_t received_ms, struct spot_hour *hour_out)
{
	hour_out->org = (uint32_t)tl_batch_get(batch, TL_COL_ORG, idx);
	hour_out->hour_ms = tl_bucket_floor(
		TL_SPAN_1H, tl_event_time(tl_batch_get(batch, TL_COL_TS, idx), received_ms));
}

static enum tl_err
pick_in_block(struct spot *spot, struct tl_slice block, struct spot_hour *hour_out)
{
	struct tl_block_head head;
	struct tl_batch batch;
	enum tl_err err;

	tl_arena_reset(&spot->block_arena);
	err = tl_block_decode(block, PICK_COLUMNS, &spot->block_arena, &head, &batch);
	if (!err)
		pick_row(
			&batch, (uint32_t)random_below(head.row_count), head.received_ms, hour_out);
	return err;
}

/* In the run that has the group or in one after it. */
static enum tl_err
pick_in_run(struct spot *spot, const struct tl_view *view, struct tl_day *day, uint64_t group_no,
	struct spot_hour *hour_out, struct tl_why *why)
{
	struct tl_run run;
	struct tl_chunk chunk;
	uint32_t idx;
	enum tl_err err;

	tl_arena_reset(&spot->block_arena);
	err = tl_sealed_next(spot->store, view, day, group_no, &spot->block_arena, &run, why);
	if (!err)
		err = tl_sealed_chunk(spot->store, view, day, &run,
			(uint32_t)random_below(run.chunk_count), PICK_COLUMNS, &spot->block_arena,
			&chunk, why);
	if (err)
		return err;
	idx = (uint32_t)random_below(chunk.batch.row_count);
	pick_row(&chunk.batch, idx, tl_chunk_received_ms(&run, &chunk, idx), hour_out);
	return TL_OK;
}

static uint64_t
pick_group(uint64_t group_no_max, bool is_recent)
{
	uint64_t count = group_no_max;

	if (is_recent && count > RECENT_GROUPS)
		count = RECENT_GROUPS;
	return group_no_max - random_below(count);
}

enum tl_err
spot_pick(struct spot *spot, const struct tl_view *view, bool is_recent, struct spot_hour *hour_out,
	struct tl_why *why)
{
	uint64_t group_no_max = tl_view_group_no(view);
	uint64_t group_no = pick_group(group_no_max, is_recent);
	struct tl_key first = tl_key_block(group_no, 0);
	struct tl_key end = tl_key_block(group_no_max + 1, 0);
	struct tl_scan *scan = NULL;
	struct tl_day *day = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	assert(group_no_max > 0);
	tl_arena_reset(&spot->arena);
	err = pick_day(spot, is_recent, &day);
	if (err)
		return err;
	err = pick_in_run(spot, view, day, group_no, hour_out, why);
	if (err != TL_EEND) {
		tl_day_unpin(day);
		return err;
	}
	err = tl_scan_open_day(
		spot->store, view, day, tl_key_slice(&first), tl_key_slice(&end), &scan, why);
	if (!err)
		err = tl_scan_next(scan, &key, &value, why);
	if (!err)
		err = pick_in_block(spot, value, hour_out);
	tl_scan_free(scan);
	tl_day_unpin(day);
	return err;
}
