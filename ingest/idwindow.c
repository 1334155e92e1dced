/*
 * Which ids are in the table: those of every group that arrived within the id life (the time
 * events are accepted, and a day), and those of older days that an import touched today.
 *
 *   group   1 ...... first_group ................ last
 *           |  days of |      all ids known       |
 *           |  imports |                          |
 *
 * The walk that fills the table at open is also the hole check: numbers dense, chain unbroken,
 * every block there with as many rows as the journal says, as a key of its own or in a run of its
 * day. A run is read once, with the first of its groups that the walk meets.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "ingest/idload.h"
#include "ingest/writer.h"
#include "schema/base/log.h"
#include "schema/model/bucket.h"
#include "schema/store/key.h"

#define ARENA_BYTES_MAX ((size_t)64 << 20)

static int64_t
cutoff_of(const struct commit *commit, int64_t now_ms)
{
	return now_ms - (commit->settings.accept_past_days + 1) * TL_DAY_MS;
}

enum tl_err
idwindow_journal(struct tl_store *store, uint64_t group_no, struct tl_arena *arena,
	struct tl_buf *buf, struct tl_journal_row *row_out, struct tl_why *why)
{
	struct tl_key key = tl_key_journal(group_no);
	enum tl_err err;

	err = tl_store_get(store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key), buf, why);
	if (err == TL_ENOT_FOUND)
		return tl_fail(why, TL_EACKED_DATA_MISSING, "journal: group %" PRIu64 " is missing",
			group_no);
	if (err)
		return err;
	err = tl_journal_decode(group_no, tl_buf_slice(buf), arena, row_out);
	if (err)
		return tl_fail(
			why, err, "journal: group %" PRIu64 ": %s", group_no, tl_err_text(err));
	return TL_OK;
}

/* The run of a day that was read last; groups only rise, so none before it is met again. */
struct walk_day {
	int64_t day_ms;
	struct tl_arena arena;
	struct tl_run run;
};

/* The walk of the journal at open. */
struct walk {
	struct commit *commit;
	struct idload load; /* of the window's groups */
	struct tl_buf buf;
	int64_t cutoff_ms;
	bool found_first; /* a group inside the window */
	uint64_t group_count;
	struct walk_day *days[IDWINDOW_DAYS_MAX]; /* that have runs, in no order */
	size_t day_count;
};

static void
walk_init(struct walk *walk, struct commit *commit, int64_t cutoff_ms)
{
	memset(walk, 0, sizeof(*walk));
	walk->commit = commit;
	walk->cutoff_ms = cutoff_ms;
	idload_init(&walk->load, commit, commit->window.first_group, UINT64_MAX);
	tl_buf_init(&walk->buf, 0);
}

static void
walk_fini(struct walk *walk)
{
	for (size_t i = 0; i < walk->day_count; i++) {
		tl_arena_fini(&walk->days[i]->arena);
		free(walk->days[i]);
	}
	tl_buf_fini(&walk->buf);
	idload_fini(&walk->load);
}

static enum tl_err
need_day(struct walk *walk, int64_t day_ms, struct walk_day **day_out)
{
	struct walk_day *day;

	for (size_t i = 0; i < walk->day_count; i++) {
		if (walk->days[i]->day_ms == day_ms) {
			*day_out = walk->days[i];
			return TL_OK;
		}
	}
	if (walk->day_count == IDWINDOW_DAYS_MAX)
		return TL_EFULL;
	day = calloc(1, sizeof(*day));
	if (day == NULL)
		return TL_ENOMEM;
	day->day_ms = day_ms;
	tl_arena_init(&day->arena, ARENA_BYTES_MAX);
	walk->days[walk->day_count++] = day;
	*day_out = day;
	return TL_OK;
}

static enum tl_err
missing_block(
	const struct tl_journal_row *row, const struct tl_journal_block *block, struct tl_why *why)
{
	char text[TL_DAY_TEXT_BYTES];

	tl_day_format(block->day_ms, text);
	return tl_fail(why, TL_EACKED_DATA_MISSING,
		"group %" PRIu64 ": block %u of day %s is missing", row->group_no, block->block_no,
		text);
}

/* A block that is no key of its own: a run has it, with as many rows. */
static enum tl_err
check_sealed(struct walk *walk, struct tl_day *day, const struct tl_journal_row *row,
	const struct tl_journal_block *block, struct tl_why *why)
{
	struct walk_day *kept;
	const struct tl_run_group *group;
	enum tl_err err = need_day(walk, block->day_ms, &kept);

	if (err)
		return err;
	if (kept->run.group_count == 0 || tl_run_group_last(&kept->run) < row->group_no) {
		tl_arena_reset(&kept->arena);
		err = tl_sealed_next(walk->commit->store, NULL, day, row->group_no, &kept->arena,
			&kept->run, why);
		if (err == TL_EEND)
			return missing_block(row, block, why);
		if (!err)
			err = idload_run(&walk->load, day, &kept->run, why);
		if (err)
			return err;
	}
	group = tl_run_find(&kept->run, row->group_no);
	if (group == NULL || group->block_no != block->block_no)
		return missing_block(row, block, why);
	if (group->row_count != block->row_count || group->received_ms != row->received_ms)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": block %u has %" PRIu32
			" rows in its run, the journal says %" PRIu32,
			row->group_no, block->block_no, group->row_count, block->row_count);
	return TL_OK;
}

/* One block the journal names. Its day may have expired as a whole; a block alone may not. */
static enum tl_err
check_block(struct walk *walk, const struct tl_journal_row *row,
	const struct tl_journal_block *block, struct tl_why *why)
{
	struct tl_store *store = walk->commit->store;
	struct tl_key key = tl_key_block(row->group_no, block->block_no);
	struct tl_day *day = tl_day_pin(store, block->day_ms);
	char text[TL_DAY_TEXT_BYTES];
	enum tl_err err;

	if (block->day_ms < walk->commit->expired_before_ms) {
		tl_day_unpin(day);
		return TL_OK;
	}
	if (day == NULL) {
		tl_day_format(block->day_ms, text);
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": day %s is missing and has not expired", row->group_no,
			text);
	}
	err = tl_day_get(store, NULL, day, tl_key_slice(&key), &walk->buf, why);
	if (err == TL_ENOT_FOUND)
		err = check_sealed(walk, day, row, block, why);
	else if (!err)
		err = idload_block(&walk->load, tl_buf_slice(&walk->buf), row->group_no,
			block->block_no, block->row_count, why);
	tl_day_unpin(day);
	return err;
}

static enum tl_err
visit_group(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct walk *walk = arg;
	struct commit *commit = walk->commit;
	enum tl_err err = TL_OK;

	if (!walk->found_first && row->received_ms < walk->cutoff_ms)
		return TL_OK;
	if (!walk->found_first) {
		walk->found_first = true;
		commit->window.first_group = row->group_no;
		walk->load.group_first = row->group_no;
		/* One step to the final size, if it fits; what does not is told at its block. */
		if (commit->seq - row->seq_first < UINT32_MAX)
			(void)!dedupe_reserve(
				commit->dedupe, (uint32_t)(commit->seq + 1 - row->seq_first));
	}
	walk->group_count++;
	for (uint32_t i = 0; i < row->block_count && !err; i++)
		err = check_block(walk, row, &row->blocks[i], why);
	return err;
}

/*
 * The first group from low on that arrived at or after cutoff_ms, last + 1 when there is none.
 * Arrival never falls from group to group, and every group asked about must be there.
 */
static enum tl_err
find_first(struct commit *commit, uint64_t low, int64_t cutoff_ms, uint64_t *group_no_out,
	struct tl_why *why)
{
	uint64_t high = commit->group_no + 1;
	struct tl_arena arena;
	struct tl_buf buf;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	tl_buf_init(&buf, 0);
	while (low < high && !err) {
		uint64_t middle = low + (high - low) / 2;
		struct tl_journal_row row;

		tl_arena_reset(&arena);
		err = idwindow_journal(commit->store, middle, &arena, &buf, &row, why);
		if (err)
			break;
		if (row.received_ms < cutoff_ms)
			low = middle + 1;
		else
			high = middle;
	}
	tl_buf_fini(&buf);
	tl_arena_fini(&arena);
	*group_no_out = low;
	return err;
}

/* TL_EEND: the day has nothing of groups from group_no on. */
static enum tl_err
find_later(struct tl_store *store, struct tl_day *day, uint64_t group_no, struct tl_why *why)
{
	struct tl_key first = tl_key_block(group_no, 0);
	struct tl_key last = tl_key_run(0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	struct tl_arena arena;
	struct tl_run run;
	enum tl_err err;

	err = tl_scan_open_day(
		store, NULL, day, tl_key_slice(&first), tl_key_slice(&last), &scan, why);
	if (!err)
		err = tl_scan_next(scan, &key, &value, why);
	tl_scan_free(scan);
	if (err != TL_EEND)
		return err;
	tl_arena_init(&arena, ARENA_BYTES_MAX);
	err = tl_sealed_next(store, NULL, day, group_no, &arena, &run, why);
	tl_arena_fini(&arena);
	return err;
}

/* Rows of groups past the journal's end: the journal has lost its tail. */
static enum tl_err
check_tail(struct commit *commit, struct tl_why *why)
{
	int64_t *day_ms;
	struct tl_arena arena;
	size_t count;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, IDWINDOW_DAYS_MAX * sizeof(*day_ms) + 64);
	day_ms = tl_arena_array(&arena, IDWINDOW_DAYS_MAX, sizeof(*day_ms));
	count = day_ms != NULL ? tl_days_list(commit->store, day_ms, IDWINDOW_DAYS_MAX) : 0;
	for (size_t i = 0; i < count && i < IDWINDOW_DAYS_MAX && !err; i++) {
		struct tl_day *day = tl_day_pin(commit->store, day_ms[i]);

		if (day == NULL)
			continue;
		err = find_later(commit->store, day, commit->group_no + 1, why);
		tl_day_unpin(day);
		if (!err)
			err = tl_fail(why, TL_EACKED_DATA_MISSING,
				"journal: groups after %" PRIu64
				" are missing, their events are there",
				commit->group_no);
		else if (err == TL_EEND)
			err = TL_OK;
	}
	tl_arena_fini(&arena);
	return err;
}

/* The front of the journal expires, but for its last group that may: one before it is there. */
static enum tl_err
check_oldest(struct commit *commit, uint64_t oldest, struct tl_why *why)
{
	struct tl_arena arena;
	struct tl_buf buf;
	struct tl_journal_row row = {.received_ms = INT64_MAX};
	enum tl_err err;

	if (oldest == 1)
		return TL_OK;
	tl_arena_init(&arena, ARENA_BYTES_MAX);
	tl_buf_init(&buf, 0);
	err = idwindow_journal(commit->store, oldest, &arena, &buf, &row, why);
	tl_buf_fini(&buf);
	tl_arena_fini(&arena);
	if (!err && row.received_ms >= commit->expired_before_ms)
		err = tl_fail(why, TL_EACKED_DATA_MISSING,
			"journal: groups before %" PRIu64 " are missing", oldest);
	return err;
}

/* Where the walk begins: the group before the window, so that the chain into it is checked too. */
static enum tl_err
find_start(struct commit *commit, int64_t cutoff_ms, uint64_t *group_no_out, struct tl_why *why)
{
	uint64_t oldest = 1;
	uint64_t first = 1;
	enum tl_err err;

	err = tl_journal_first(commit->store, &oldest, why);
	if (!err)
		err = check_oldest(commit, oldest, why);
	if (!err)
		err = find_first(commit, oldest, cutoff_ms, &first, why);
	if (err)
		return err;
	commit->window.first_group = first;
	*group_no_out = first > oldest ? first - 1 : first;
	return TL_OK;
}

enum tl_err
idwindow_open(struct commit *commit, int64_t now_ms, struct tl_why *why)
{
	struct walk walk;
	uint64_t start = 1;
	enum tl_err err;

	commit->window.day_ms = tl_bucket_floor(TL_SPAN_1D, now_ms);
	commit->window.first_group = 1;
	err = tl_map_new(IDWINDOW_DAYS_MAX, &commit->window.days);
	if (!err)
		err = check_tail(commit, why);
	if (err || commit->group_no == 0)
		return err;
	err = find_start(commit, cutoff_of(commit, now_ms), &start, why);
	if (err)
		return err;
	walk_init(&walk, commit, cutoff_of(commit, now_ms));
	err = tl_journal_walk(commit->store, start, visit_group, &walk, why);
	walk_fini(&walk);
	if (!err)
		tl_log(TL_LOG_INFO, "ids loaded groups=%" PRIu64 " ids=%" PRIu64 " bytes=%" PRIu64,
			walk.group_count, dedupe_count(commit->dedupe),
			dedupe_bytes(commit->dedupe));
	return err;
}

void
idwindow_close(struct commit *commit)
{
	tl_map_free(commit->window.days);
	commit->window.days = NULL;
}

enum tl_err
idwindow_turn(struct commit *commit, int64_t now_ms, struct tl_why *why)
{
	int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, now_ms);
	uint64_t first = 1;
	enum tl_err err;

	if (day_ms <= commit->window.day_ms)
		return quarantine_sweep(commit, cutoff_of(commit, now_ms), why);
	/* After a long silence the window may begin with groups that have expired. */
	err = tl_journal_first(commit->store, &first, why);
	if (!err && first < commit->window.first_group)
		first = commit->window.first_group;
	if (!err)
		err = find_first(commit, first, cutoff_of(commit, now_ms), &first, why);
	if (err && err != TL_ENOT_FOUND)
		return err;
	commit->window.day_ms = day_ms;
	commit->window.first_group = first;
	quarantine_turn(commit);
	dedupe_expire(commit->dedupe, first);
	/* The ids of imported days are of older groups, so they went with the rest. */
	tl_map_clear(commit->window.days);
	return TL_OK;
}
