/*
 * Three passes over raw, one column set each: ids, sessions with lives, and the cells day by day.
 * What has expired cannot be recounted: days before the cut of expiry are taken as they are.
 */
#include "rollup/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "rollup/audit_parts.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define PASSES 3u
#define AUDIT_ARENA_BYTES_MAX (64ull << 30)
#define BLOCK_ARENA_BYTES_MAX (512u << 20)
#define RUN_ARENA_BYTES_MAX (16u << 20)

void
audit_differs(struct audit *audit, const char *fmt, ...)
{
	va_list args;

	audit->report.differences++;
	if (audit->report.first_difference[0] != '\0')
		return;
	va_start(args, fmt);
	vsnprintf(
		audit->report.first_difference, sizeof(audit->report.first_difference), fmt, args);
	va_end(args);
}

static enum tl_err
pin_days(struct audit *audit)
{
	size_t count = tl_days_list(audit->store, NULL, 0);
	int64_t *day_ms = calloc(count + 1, sizeof(*day_ms));

	audit->days = calloc(count + 1, sizeof(struct tl_day *));
	if (day_ms == NULL || audit->days == NULL) {
		free(day_ms);
		return TL_ENOMEM;
	}
	/* A day made since is newer than the view. */
	if (tl_days_list(audit->store, day_ms, count) < count)
		count = tl_days_list(audit->store, day_ms, count);
	for (size_t i = 0; i < count; i++) {
		struct tl_day *day = NULL;

		if (day_ms[i] >= audit->cut.day_ms)
			day = tl_day_pin(audit->store, day_ms[i]);

		if (day != NULL)
			audit->days[audit->day_count++] = day;
	}
	free(day_ms);
	return TL_OK;
}

static bool
has_day(const struct audit *audit, int64_t day_ms)
{
	for (size_t i = 0; i < audit->day_count; i++) {
		if (tl_day_ms(audit->days[i]) == day_ms)
			return true;
	}
	return false;
}

static enum tl_err
note_block(struct audit *audit, const struct tl_journal_row *row,
	const struct tl_journal_block *block, struct tl_why *why)
{
	if (!has_day(audit, block->day_ms)) {
		char text[TL_DAY_TEXT_BYTES];

		if (block->day_ms < audit->cut.day_ms)
			return TL_OK;
		tl_day_format(block->day_ms, text);
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"the day %s of group %" PRIu64 " is missing", text, row->group_no);
	}
	if (audit->block_count == audit->block_capacity) {
		size_t capacity = audit->block_capacity * 2 + 1024;
		struct audit_block *blocks =
			realloc(audit->blocks, capacity * sizeof(*audit->blocks));

		if (blocks == NULL)
			return TL_ENOMEM;
		audit->blocks = blocks;
		audit->block_capacity = capacity;
	}
	audit->blocks[audit->block_count++] = (struct audit_block){.day_ms = block->day_ms,
		.group_no = row->group_no,
		.block_no = block->block_no,
		.row_count = block->row_count,
		.cost_nusd = block->cost_nusd};
	return TL_OK;
}

static enum tl_err
note_group(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct audit *audit = arg;
	int64_t cost_nusd = 0;
	uint64_t row_count = 0;

	if (row->group_no > tl_view_group_no(audit->view))
		return TL_EEND;
	for (uint32_t i = 0; i < row->block_count; i++) {
		enum tl_err err = note_block(audit, row, &row->blocks[i], why);

		if (err)
			return err;
		cost_nusd += row->blocks[i].cost_nusd;
		row_count += row->blocks[i].row_count;
	}
	if (cost_nusd != row->cost_nusd || row_count != row->seq_last + 1 - row->seq_first)
		return tl_fail(why, TL_ESTORAGE_CORRUPT,
			"journal: group %" PRIu64 " is not the sum of its blocks", row->group_no);
	audit->report.groups++;
	return TL_OK;
}

static int
compare_blocks(const void *a_arg, const void *b_arg)
{
	const struct audit_block *a = a_arg;
	const struct audit_block *b = b_arg;

	if (a->day_ms != b->day_ms)
		return a->day_ms < b->day_ms ? -1 : 1;
	if (a->group_no != b->group_no)
		return a->group_no < b->group_no ? -1 : 1;
	return (a->block_no > b->block_no) - (a->block_no < b->block_no);
}

static enum tl_err
read_journal(struct audit *audit, struct tl_why *why)
{
	uint64_t first = 1;
	uint64_t last = tl_view_group_no(audit->view);
	enum tl_err err = tl_journal_first(audit->store, &first, why);

	if (!err || err == TL_ENOT_FOUND)
		err = tl_journal_walk(audit->store, first, note_group, audit, why);
	if (err)
		return err;
	if (audit->report.groups != (last >= first ? last + 1 - first : 0))
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"the journal ends before group %" PRIu64 " of the view", last);
	if (audit->block_count > 0)
		qsort(audit->blocks, audit->block_count, sizeof(*audit->blocks), compare_blocks);
	audit->report.blocks = audit->block_count;
	if (audit->progress != NULL)
		atomic_store(&audit->progress->blocks_total, PASSES * audit->block_count);
	return TL_OK;
}

/* The day's blocks in the list of the journal. */
static size_t
first_block(const struct audit *audit, int64_t day_ms)
{
	size_t low = 0;
	size_t high = audit->block_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (audit->blocks[middle].day_ms < day_ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static enum tl_err
missing_block(const struct audit_block *block, struct tl_why *why)
{
	return tl_fail(why, TL_EACKED_DATA_MISSING, "block %u of group %" PRIu64 " is missing",
		block->block_no, block->group_no);
}

/* What a block holds against what the journal says of it. */
static enum tl_err
check_head(struct audit *audit, const struct audit_block *block, const struct tl_block_head *head,
	struct tl_why *why)
{
	if (head->row_count != block->row_count || head->cost_nusd != block->cost_nusd)
		return tl_fail(why, TL_ESTORAGE_CORRUPT,
			"block %u of group %" PRIu64 " has %u rows, the journal says %u",
			block->block_no, block->group_no, head->row_count, block->row_count);
	if (audit->progress == NULL)
		return TL_OK;
	atomic_fetch_add(&audit->progress->blocks_done, 1);
	return atomic_load(&audit->progress->is_cancelled)
		       ? tl_fail(why, TL_ESHUTTING_DOWN, "the audit was cut short")
		       : TL_OK;
}

typedef enum tl_err visit_row(
	struct audit *audit, const struct audit_row *row, void *arg, struct tl_why *why);

static enum tl_err
visit_rows(struct audit *audit, const struct audit_block *block, const struct tl_block_head *head,
	const struct tl_batch *batch, visit_row *visit, void *arg, struct tl_why *why)
{
	struct audit_row row = {.batch = batch, .group_no = block->group_no};
	enum tl_err err = check_head(audit, block, head, why);

	for (row.idx = 0; !err && row.idx < batch->row_count; row.idx++) {
		row.org = (uint32_t)tl_batch_get(batch, TL_COL_ORG, row.idx);
		row.sign = tl_batch_get(batch, TL_COL_SIGN, row.idx) < 0 ? -1 : 1;
		row.kind = (enum tl_kind)tl_batch_get(batch, TL_COL_KIND, row.idx);
		row.time_ms =
			tl_event_time(tl_batch_get(batch, TL_COL_TS, row.idx), head->received_ms);
		err = visit(audit, &row, arg, why);
	}
	return err;
}

static enum tl_err
visit_block(struct audit *audit, const struct audit_block *block, struct tl_slice bytes,
	uint64_t column_mask, visit_row *visit, void *arg, struct tl_why *why)
{
	struct tl_block_head head;
	struct tl_batch batch;
	enum tl_err err;

	tl_arena_reset(&audit->block_arena);
	err = tl_block_decode(bytes, column_mask, &audit->block_arena, &head, &batch);
	if (err)
		return tl_fail(why, err, "block %u of group %" PRIu64 ": %s", block->block_no,
			block->group_no, tl_err_text(err));
	return visit_rows(audit, block, &head, &batch, visit, arg, why);
}

/* The journal's next block of the day must be this one; it is passed. */
static enum tl_err
pass_block(struct audit *audit, int64_t day_ms, uint64_t group_no, uint16_t block_no, size_t *at,
	const struct audit_block **block_out, struct tl_why *why)
{
	const struct audit_block *block = &audit->blocks[*at];

	if (*at == audit->block_count || block->day_ms != day_ms || group_no < block->group_no ||
		(group_no == block->group_no && block_no < block->block_no))
		return tl_fail(why, TL_ESTORAGE_CORRUPT,
			"block %u of group %" PRIu64 " is not in the journal", block_no, group_no);
	if (group_no != block->group_no || block_no != block->block_no)
		return missing_block(block, why);
	++*at;
	*block_out = block;
	return TL_OK;
}

static void
xor_ids(uint8_t sum[16], const struct tl_batch *batch)
{
	for (uint32_t i = 0; i < batch->row_count; i++) {
		for (int k = 0; k < 16; k++)
			sum[k] ^= batch->id[i][k];
	}
}

/* The blocks that went into a run, and whether the run is their sum. */
static enum tl_err
read_run(struct audit *audit, struct tl_day *day, const struct tl_run *run, uint64_t column_mask,
	size_t *at, visit_row *visit, void *arg, struct tl_why *why)
{
	int64_t cost_nusd = 0;
	uint8_t id_xor[16] = {0};
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < run->group_count; i++) {
		const struct tl_run_group *group = &run->groups[i];
		const struct audit_block *block;
		struct tl_block_head head;
		struct tl_batch batch;

		err = pass_block(
			audit, tl_day_ms(day), group->group_no, group->block_no, at, &block, why);
		tl_arena_reset(&audit->block_arena);
		if (!err)
			err = tl_sealed_block(audit->sealed, audit->view, day, group->group_no,
				group->block_no, column_mask, &audit->block_arena, &head, &batch,
				why);
		if (err)
			break;
		cost_nusd += block->cost_nusd;
		xor_ids(id_xor, &batch);
		err = visit_rows(audit, block, &head, &batch, visit, arg, why);
	}
	if (!err && (cost_nusd != run->cost_nusd || memcmp(id_xor, run->id_xor, 16) != 0))
		err = tl_fail(why, TL_ESTORAGE_CORRUPT,
			"the run to group %" PRIu64 " is not the sum of its groups",
			tl_run_group_last(run));
	return err;
}

static enum tl_err
read_sealed(struct audit *audit, struct tl_day *day, uint64_t column_mask, size_t *at,
	visit_row *visit, void *arg, struct tl_why *why)
{
	struct tl_arena arena;
	uint64_t next = 0;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, RUN_ARENA_BYTES_MAX);
	while (!err) {
		struct tl_run run;

		tl_arena_reset(&arena);
		err = tl_sealed_next(audit->store, audit->view, day, next, &arena, &run, why);
		if (err)
			break;
		next = tl_run_group_last(&run) + 1;
		err = read_run(audit, day, &run, column_mask, at, visit, arg, why);
	}
	tl_arena_fini(&arena);
	return err == TL_EEND ? TL_OK : err;
}

static enum tl_err
read_blocks(struct audit *audit, struct tl_day *day, uint64_t column_mask, size_t *at,
	visit_row *visit, void *arg, struct tl_why *why)
{
	struct tl_key end = tl_key_block(tl_view_group_no(audit->view) + 1, 0);
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	err = tl_scan_open_day(audit->store, audit->view, day, tl_slice_of(NULL, 0),
		tl_key_slice(&end), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK) {
		const struct audit_block *block;
		uint64_t group_no;
		uint16_t block_no;

		if (tl_key_block_parse(key, &group_no, &block_no))
			err = pass_block(
				audit, tl_day_ms(day), group_no, block_no, at, &block, why);
		else
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "raw: a wrong key");
		if (!err)
			err = visit_block(audit, block, value, column_mask, visit, arg, why);
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

enum tl_err
audit_read_day(struct audit *audit, size_t day_idx, uint64_t column_mask, visit_row *visit,
	void *arg, struct tl_why *why)
{
	struct tl_day *day = audit->days[day_idx];
	int64_t day_ms = tl_day_ms(day);
	size_t at = first_block(audit, day_ms);
	enum tl_err err = read_sealed(audit, day, column_mask, &at, visit, arg, why);

	if (!err)
		err = read_blocks(audit, day, column_mask, &at, visit, arg, why);
	if (!err && at < audit->block_count && audit->blocks[at].day_ms == day_ms)
		err = missing_block(&audit->blocks[at], why);
	tl_sealed_forget(audit->sealed);
	return err;
}

static void
audit_fini(struct audit *audit)
{
	for (size_t i = 0; i < audit->day_count; i++)
		tl_day_unpin(audit->days[i]);
	free(audit->days);
	free(audit->blocks);
	tl_arena_fini(&audit->arena);
	tl_arena_fini(&audit->block_arena);
	tl_arena_fini(&audit->day_arena);
	tl_buf_fini(&audit->bytes);
	tl_sealed_free(audit->sealed);
}

enum tl_err
audit_run(struct tl_store *store, const struct tl_view *view, struct audit_progress *progress,
	struct audit_report *report_out, struct tl_why *why)
{
	struct audit audit = {.store = store, .view = view, .progress = progress};
	enum tl_err err;

	tl_arena_init(&audit.arena, AUDIT_ARENA_BYTES_MAX);
	tl_arena_init(&audit.block_arena, BLOCK_ARENA_BYTES_MAX);
	tl_arena_init(&audit.day_arena, AUDIT_ARENA_BYTES_MAX);
	tl_buf_init(&audit.bytes, 0);
	tl_fail(why, TL_OK, "%s", "");
	/* The newest cut: days that went since the view was taken cannot be read through it. */
	err = tl_expiry_get(store, NULL, &audit.cut, why);
	if (!err)
		err = tl_sealed_new(store, &audit.sealed);
	if (!err)
		err = pin_days(&audit);
	if (!err)
		err = read_journal(&audit, why);
	if (!err)
		err = audit_ids(&audit, why);
	if (!err)
		err = audit_sessions(&audit, why);
	if (!err)
		err = audit_lives(&audit, why);
	if (!err)
		err = audit_cells(&audit, why);
	if (!err)
		*report_out = audit.report;
	audit_fini(&audit);
	if (err && why != NULL && why->text[0] == '\0')
		return tl_fail(why, err, "the audit: %s", tl_err_text(err));
	return err;
}
