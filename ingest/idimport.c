/*
 * The ids of older days that an import touches: loaded before its rows are judged. Those of groups
 * in the window are in the table already.
 */
#include <inttypes.h>

#include "ingest/idload.h"
#include "ingest/writer.h"
#include "schema/model/bucket.h"

#define ARENA_BYTES_MAX ((size_t)64 << 20)

struct importing {
	struct commit *commit;
	struct idload load; /* of groups before the window */
	struct tl_arena arena;
	struct tl_buf buf;
};

static void
importing_init(struct importing *importing, struct commit *commit)
{
	*importing = (struct importing){.commit = commit};
	idload_init(&importing->load, commit, 0, commit->window.first_group);
	tl_arena_init(&importing->arena, ARENA_BYTES_MAX);
	tl_buf_init(&importing->buf, 0);
}

static void
importing_fini(struct importing *importing)
{
	tl_buf_fini(&importing->buf);
	tl_arena_fini(&importing->arena);
	idload_fini(&importing->load);
}

/* Note a day to load; false when it is loaded or noted already. */
static enum tl_err
note_day(struct commit *commit, int64_t day_ms, int64_t *todo, size_t *todo_count)
{
	uint8_t key[8];
	uint64_t known;
	enum tl_err err;

	tl_put_be64(key, (uint64_t)day_ms);
	if (tl_map_get(commit->window.days, tl_slice_of(key, sizeof(key)), &known))
		return TL_OK;
	if (*todo_count == IDWINDOW_DAYS_MAX)
		return TL_EFULL;
	err = tl_map_put(commit->window.days, tl_slice_of(key, sizeof(key)), 1);
	if (!err)
		todo[(*todo_count)++] = day_ms;
	return err;
}

/*
 * A group took rows of this day back: what replaced them may lie on another of its days, and
 * until that is loaded the table would take the old row for the present one.
 */
static enum tl_err
note_group(struct importing *importing, uint64_t group_no, int64_t *todo, size_t *todo_count,
	struct tl_why *why)
{
	struct tl_journal_row row;
	enum tl_err err;

	tl_arena_reset(&importing->arena);
	err = idwindow_journal(
		importing->commit->store, group_no, &importing->arena, &importing->buf, &row, why);
	for (uint32_t i = 0; !err && i < row.block_count; i++)
		err = note_day(importing->commit, row.blocks[i].day_ms, todo, todo_count);
	return err;
}

/* The other days of groups that a run took rows back with. */
static enum tl_err
note_run(struct importing *importing, const struct tl_run *run, int64_t *todo, size_t *todo_count,
	struct tl_why *why)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < run->group_count && !err; i++) {
		if (run->groups[i].group_no < importing->load.group_end)
			err = note_group(importing, run->groups[i].group_no, todo, todo_count, why);
	}
	return err;
}

static enum tl_err
load_runs(struct importing *importing, struct tl_day *day, int64_t *todo, size_t *todo_count,
	struct tl_why *why)
{
	struct tl_arena arena;
	uint64_t next = 0;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	while (!err && next < importing->load.group_end) {
		struct tl_run run;

		tl_arena_reset(&arena);
		err = tl_sealed_next(importing->commit->store, NULL, day, next, &arena, &run, why);
		if (err)
			break;
		next = tl_run_group_last(&run) + 1;
		importing->load.has_retractions = false;
		err = idload_run(&importing->load, day, &run, why);
		if (!err && importing->load.has_retractions)
			err = note_run(importing, &run, todo, todo_count, why);
	}
	tl_arena_fini(&arena);
	return err == TL_EEND ? TL_OK : err;
}

static enum tl_err
load_blocks(struct importing *importing, struct tl_day *day, int64_t *todo, size_t *todo_count,
	struct tl_why *why)
{
	struct commit *commit = importing->commit;
	struct tl_key last = tl_key_block(commit->window.first_group, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open_day(
		commit->store, NULL, day, tl_slice_of(NULL, 0), tl_key_slice(&last), &scan, why);
	while (!err) {
		uint64_t group_no;
		uint16_t block_no;

		err = tl_scan_next(scan, &key, &value, why);
		if (err)
			break;
		if (!tl_key_block_parse(key, &group_no, &block_no)) {
			err = tl_fail(
				why, TL_ESTORAGE_CORRUPT, "a block key of %zu bytes", key.bytes);
			break;
		}
		importing->load.has_retractions = false;
		err = idload_block(&importing->load, value, group_no, block_no, 0, why);
		if (!err && importing->load.has_retractions)
			err = note_group(importing, group_no, todo, todo_count, why);
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

/*
 * Blocks before runs: what is sealed in between is met twice, which is harmless; the other way
 * round it would be missed.
 */
static enum tl_err
load_day(struct importing *importing, int64_t day_ms, int64_t *todo, size_t *todo_count,
	struct tl_why *why)
{
	struct tl_day *day = tl_day_pin(importing->commit->store, day_ms);
	enum tl_err err;

	if (day == NULL)
		return TL_OK;
	err = load_blocks(importing, day, todo, todo_count, why);
	if (!err)
		err = load_runs(importing, day, todo, todo_count, why);
	tl_day_unpin(day);
	return err;
}

/* Days noted but not loaded must be asked for again. */
static void
forget_days(struct commit *commit, const int64_t *todo, size_t first, size_t count)
{
	uint8_t key[8];

	for (size_t i = first; i < count; i++) {
		tl_put_be64(key, (uint64_t)todo[i]);
		(void)tl_map_remove(commit->window.days, tl_slice_of(key, sizeof(key)));
	}
}

enum tl_err
idwindow_load(
	struct commit *commit, const struct tl_batch *batch, int64_t now_ms, struct tl_why *why)
{
	int64_t known_from_ms = now_ms - commit->settings.accept_past_days * TL_DAY_MS;
	int64_t *todo = tl_arena_array(&commit->group.arena, IDWINDOW_DAYS_MAX, sizeof(*todo));
	size_t todo_count = 0;
	size_t done_count = 0;
	struct importing importing;
	enum tl_err err = todo != NULL ? TL_OK : TL_ENOMEM;

	importing_init(&importing, commit);
	for (uint32_t i = 0; i < batch->row_count && !err; i++) {
		int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, tl_batch_get(batch, TL_COL_TS, i));

		/* An event is stored at its own time or later, so within the life of its id. */
		if (day_ms < known_from_ms)
			err = note_day(commit, day_ms, todo, &todo_count);
	}
	while (!err && done_count < todo_count) {
		err = load_day(&importing, todo[done_count], todo, &todo_count, why);
		done_count += err == TL_OK;
	}
	if (err && todo != NULL)
		forget_days(commit, todo, done_count, todo_count);
	importing_fini(&importing);
	return err;
}
