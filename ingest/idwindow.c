/*
 * Which ids are in the table: those of every group that arrived within the id life (the time
 * events are accepted, and a day), and those of older days that an import touched today.
 *
 *   group   1 ...... first_group ................ last
 *           |  days of |      all ids known       |
 *           |  imports |                          |
 *
 * The walk that fills the table at open is also the hole check: numbers dense, chain unbroken,
 * every block there with as many rows as the journal says.
 */
#include <assert.h>
#include <inttypes.h>

#include "ingest/writer.h"
#include "schema/base/log.h"
#include "schema/model/bucket.h"
#include "schema/store/block.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define PREFETCH_ROWS 16u
/* Retention is 3,650 days at most; days to come are few. */
#define DAYS_MAX 4096u
#define ID_COLUMNS (1ull << TL_COL_ORG | 1ull << TL_COL_SIGN)

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

/* Ids on their way from blocks into the table. */
struct loading {
	struct commit *commit;
	struct tl_arena arena;
	struct tl_buf buf;
	int64_t cutoff_ms;
	bool found_first; /* a group inside the window */
	uint64_t group_count;
	/* of an import: groups that took rows back, whose other days must be loaded as well */
	bool has_retractions;
};

static void
loading_init(struct loading *loading, struct commit *commit)
{
	*loading = (struct loading){.commit = commit};
	tl_arena_init(&loading->arena, ARENA_BYTES_MAX);
	tl_buf_init(&loading->buf, 0);
}

static void
loading_fini(struct loading *loading)
{
	tl_buf_fini(&loading->buf);
	tl_arena_fini(&loading->arena);
}

/*
 * The ids of a block. Within a group an id has one row at most beside the row it takes back, so
 * the highest group that has it is where it stands.
 */
static enum tl_err
load_ids(
	struct loading *loading, const struct tl_batch *batch, uint64_t group_no, uint16_t block_no)
{
	struct dedupe *dedupe = loading->commit->dedupe;
	const int64_t *orgs = batch->column[TL_COL_ORG];
	const int64_t *signs = batch->column[TL_COL_SIGN];
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < batch->row_count; i++) {
		uint32_t ahead = i + PREFETCH_ROWS;
		struct dedupe_place place = {group_no, block_no, (uint16_t)i};
		struct dedupe_slot *slot;
		bool is_new;

		if (ahead < batch->row_count)
			dedupe_prefetch(dedupe, (uint32_t)orgs[ahead], batch->id[ahead]);
		if (signs != NULL && signs[i] < 0) {
			loading->has_retractions = true;
			continue;
		}
		/* One by one: a revision of a known id needs no room. */
		err = dedupe_reserve(dedupe, 1);
		if (err)
			return err;
		slot = dedupe_claim(dedupe, (uint32_t)orgs[i], batch->id[i], &is_new);
		if (!is_new && dedupe_place_of(slot).group_no > group_no)
			continue;
		slot->place = dedupe_place_pack(place);
		slot->print = 0;
	}
	return TL_OK;
}

static enum tl_err
load_block(struct loading *loading, struct tl_slice block, uint64_t group_no, uint16_t block_no,
	uint32_t row_count, struct tl_why *why)
{
	struct tl_block_head head;
	struct tl_batch batch;
	enum tl_err err;

	tl_arena_reset(&loading->arena);
	err = tl_block_decode(block, ID_COLUMNS, &loading->arena, &head, &batch);
	if (!err && (head.row_count > UINT16_MAX || batch.column[TL_COL_ORG] == NULL))
		err = TL_ESTORAGE_CORRUPT;
	if (err)
		return tl_fail(why, err, "group %" PRIu64 ": block %u: %s", group_no, block_no,
			tl_err_text(err));
	if (row_count != 0 && head.row_count != row_count)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": block %u has %" PRIu32
			" rows, the journal says %" PRIu32,
			group_no, block_no, head.row_count, row_count);
	err = load_ids(loading, &batch, group_no, block_no);
	if (err)
		return tl_fail(why, err, "the id index is at its cap of %" PRId64 " bytes",
			loading->commit->settings.id_index_bytes_max);
	return TL_OK;
}

/* One block the journal names. Its day may have expired as a whole; a block alone may not. */
static enum tl_err
check_block(struct loading *loading, const struct tl_journal_row *row,
	const struct tl_journal_block *block, struct tl_why *why)
{
	struct tl_store *store = loading->commit->store;
	struct tl_key key = tl_key_block(row->group_no, block->block_no);
	struct tl_day *day = tl_day_pin(store, block->day_ms);
	char text[TL_DAY_TEXT_BYTES];
	enum tl_err err;

	if (block->day_ms < loading->commit->expired_before_ms) {
		tl_day_unpin(day);
		return TL_OK;
	}
	if (day == NULL) {
		tl_day_format(block->day_ms, text);
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": day %s is missing and has not expired", row->group_no,
			text);
	}
	err = tl_day_get(store, NULL, day, tl_key_slice(&key), &loading->buf, why);
	tl_day_unpin(day);
	if (err == TL_ENOT_FOUND) {
		tl_day_format(block->day_ms, text);
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 ": block %u of day %s is missing", row->group_no,
			block->block_no, text);
	}
	if (err)
		return err;
	return load_block(loading, tl_buf_slice(&loading->buf), row->group_no, block->block_no,
		block->row_count, why);
}

static enum tl_err
visit_group(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct loading *loading = arg;
	struct commit *commit = loading->commit;
	enum tl_err err = TL_OK;

	if (!loading->found_first && row->received_ms < loading->cutoff_ms)
		return TL_OK;
	if (!loading->found_first) {
		loading->found_first = true;
		commit->window.first_group = row->group_no;
		/* One step to the final size, if it fits; what does not is told at its block. */
		if (commit->seq - row->seq_first < UINT32_MAX)
			(void)!dedupe_reserve(
				commit->dedupe, (uint32_t)(commit->seq + 1 - row->seq_first));
	}
	loading->group_count++;
	for (uint32_t i = 0; i < row->block_count && !err; i++)
		err = check_block(loading, row, &row->blocks[i], why);
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
	struct loading loading;
	enum tl_err err = TL_OK;

	loading_init(&loading, commit);
	while (low < high && !err) {
		uint64_t middle = low + (high - low) / 2;
		struct tl_journal_row row;

		tl_arena_reset(&loading.arena);
		err = idwindow_journal(
			commit->store, middle, &loading.arena, &loading.buf, &row, why);
		if (err)
			break;
		if (row.received_ms < cutoff_ms)
			low = middle + 1;
		else
			high = middle;
	}
	loading_fini(&loading);
	*group_no_out = low;
	return err;
}

/* Rows of groups past the journal's end: the journal has lost its tail. */
static enum tl_err
check_tail(struct commit *commit, struct tl_why *why)
{
	struct tl_key first = tl_key_block(commit->group_no + 1, 0);
	int64_t *day_ms;
	struct tl_arena arena;
	size_t count;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, DAYS_MAX * sizeof(*day_ms) + 64);
	day_ms = tl_arena_array(&arena, DAYS_MAX, sizeof(*day_ms));
	count = day_ms != NULL ? tl_days_list(commit->store, day_ms, DAYS_MAX) : 0;
	for (size_t i = 0; i < count && i < DAYS_MAX && !err; i++) {
		struct tl_day *day = tl_day_pin(commit->store, day_ms[i]);
		struct tl_scan *scan = NULL;
		struct tl_slice key;
		struct tl_slice value;

		if (day == NULL)
			continue;
		err = tl_scan_open_day(commit->store, NULL, day, tl_key_slice(&first),
			tl_slice_of(NULL, 0), &scan, why);
		if (!err)
			err = tl_scan_next(scan, &key, &value, why);
		tl_scan_free(scan);
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
	struct loading loading;
	struct tl_journal_row row = {.received_ms = INT64_MAX};
	enum tl_err err;

	if (oldest == 1)
		return TL_OK;
	loading_init(&loading, commit);
	err = idwindow_journal(commit->store, oldest, &loading.arena, &loading.buf, &row, why);
	loading_fini(&loading);
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
	struct loading loading;
	uint64_t start = 1;
	enum tl_err err;

	commit->window.day_ms = tl_bucket_floor(TL_SPAN_1D, now_ms);
	commit->window.first_group = 1;
	err = tl_map_new(DAYS_MAX, &commit->window.days);
	if (!err)
		err = check_tail(commit, why);
	if (err || commit->group_no == 0)
		return err;
	err = find_start(commit, cutoff_of(commit, now_ms), &start, why);
	if (err)
		return err;
	loading_init(&loading, commit);
	loading.cutoff_ms = cutoff_of(commit, now_ms);
	err = tl_journal_walk(commit->store, start, visit_group, &loading, why);
	loading_fini(&loading);
	if (!err)
		tl_log(TL_LOG_INFO, "ids loaded groups=%" PRIu64 " ids=%" PRIu64 " bytes=%" PRIu64,
			loading.group_count, dedupe_count(commit->dedupe),
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
	if (*todo_count == DAYS_MAX)
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
note_group(struct loading *loading, uint64_t group_no, int64_t *todo, size_t *todo_count,
	struct tl_why *why)
{
	struct tl_journal_row row;
	enum tl_err err;

	tl_arena_reset(&loading->arena);
	err = idwindow_journal(
		loading->commit->store, group_no, &loading->arena, &loading->buf, &row, why);
	for (uint32_t i = 0; !err && i < row.block_count; i++)
		err = note_day(loading->commit, row.blocks[i].day_ms, todo, todo_count);
	return err;
}

static enum tl_err
load_day(struct loading *loading, int64_t day_ms, int64_t *todo, size_t *todo_count,
	struct tl_why *why)
{
	struct commit *commit = loading->commit;
	struct tl_day *day = tl_day_pin(commit->store, day_ms);
	struct tl_key last = tl_key_block(commit->window.first_group, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	if (day == NULL)
		return TL_OK;
	/* Groups of the window are in the table. */
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
		loading->has_retractions = false;
		err = load_block(loading, value, group_no, block_no, 0, why);
		if (!err && loading->has_retractions)
			err = note_group(loading, group_no, todo, todo_count, why);
	}
	tl_scan_free(scan);
	tl_day_unpin(day);
	return err == TL_EEND ? TL_OK : err;
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
	int64_t *todo = tl_arena_array(&commit->group.arena, DAYS_MAX, sizeof(*todo));
	size_t todo_count = 0;
	size_t done_count = 0;
	struct loading loading;
	enum tl_err err = todo != NULL ? TL_OK : TL_ENOMEM;

	loading_init(&loading, commit);
	for (uint32_t i = 0; i < batch->row_count && !err; i++) {
		int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, tl_batch_get(batch, TL_COL_TS, i));

		/* An event is stored at its own time or later, so within the life of its id. */
		if (day_ms < known_from_ms)
			err = note_day(commit, day_ms, todo, &todo_count);
	}
	while (!err && done_count < todo_count) {
		err = load_day(&loading, todo[done_count], todo, &todo_count, why);
		done_count += err == TL_OK;
	}
	if (err && todo != NULL)
		forget_days(commit, todo, done_count, todo_count);
	loading_fini(&loading);
	return err;
}
