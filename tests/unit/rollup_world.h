/*
 * A store in a scratch directory, and a writer that is too simple to be wrong: what ingest does to
 * raw, journal and dictionary, for tests that start behind it. The same id with a higher rev takes
 * the row before it back, in the same group; a lower one is dropped.
 */
#ifndef TESTS_UNIT_ROLLUP_WORLD_H
#define TESTS_UNIT_ROLLUP_WORLD_H

#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "rollup/audit.h"
#include "rollup/rollup.h"
#include "rollup/spot.h"
#include "schema/base/crypt.h"
#include "schema/store/block.h"
#include "schema/store/cell_read.h"
#include "schema/store/dict.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/value.h"

/* 2026-11-20T00:00:00Z */
#define DAY0 (20777LL * TL_DAY_MS)
#define EVENTS_MAX 4096

struct event {
	uint32_t org; /* 0: 1 */
	uint64_t id;
	int64_t ts;
	int rev;
	enum tl_kind kind;
	uint32_t member, agent, session, model;
	int64_t input, cost; /* cost 0: unknown */
	uint32_t repo, pr;
	enum tl_link_op op;
	uint32_t value;
	int64_t lines_added, fix_ms;
};

struct stored_event {
	struct event event;
	int64_t time_ms; /* it counts at */
};

struct world {
	char dir[64];
	struct tl_store *store;
	struct tl_dict *dict;
	struct tl_write *write;
	struct rollup *rollup;
	struct tl_why why;
	uint64_t group_no, seq, chain;
	int64_t received_ms;
	struct stored_event stored[EVENTS_MAX];
	size_t stored_count;
};

#define WORLD_FN static __attribute__((unused))

#define must(call)                                                                             \
	do {                                                                                   \
		enum tl_err must_err = (call);                                                 \
		if (must_err != TL_OK)                                                         \
			fail_msg("%s: %s: %s", #call, tl_err_name(must_err), world->why.text); \
	} while (0)

WORLD_FN void
world_open_store(struct world *world)
{
	struct tl_store_options options = {.dir = world->dir, .create = true};

	must(tl_store_open(&options, &world->store, &world->why));
	must(tl_dict_new(world->store, 1000, &world->dict));
	must(tl_write_new(world->store, &world->write));
	must(rollup_new(world->store, &world->rollup, &world->why));
}

WORLD_FN void
world_close_store(struct world *world)
{
	rollup_stop(world->rollup);
	rollup_free(world->rollup);
	tl_write_free(world->write);
	tl_dict_free(world->dict);
	tl_store_close(world->store);
}

WORLD_FN struct world *
world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	must(tl_crypt_init());
	strcpy(world->dir, "/tmp/rollup-test-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	world->received_ms = DAY0 + 30 * TL_DAY_MS;
	world_open_store(world);
	return world;
}

static inline int
world_remove(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

WORLD_FN void
world_free(struct world *world)
{
	world_close_store(world);
	nftw(world->dir, world_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(world);
}

/* The id of a name, made when new. */
WORLD_FN uint32_t
world_name(struct world *world, uint32_t org, enum tl_name_kind kind, const char *name)
{
	uint32_t id;

	must(tl_dict_id(
		world->dict, org, kind, tl_slice_str(name), world->write, &id, &world->why));
	must(tl_dict_put(world->dict, world->write));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	return id;
}

WORLD_FN void
world_put_event(struct world *world, struct tl_batch *batch, const struct event *event, int sign,
	int64_t ts)
{
	uint32_t row = batch->row_count++;
	int64_t columns[TL_COL_COUNT];

	for (int i = 0; i < TL_COL_COUNT; i++)
		columns[i] = tl_column_default((enum tl_column)i);
	columns[TL_COL_ORG] = event->org ? event->org : 1;
	columns[TL_COL_TS] = ts;
	columns[TL_COL_SIGN] = sign;
	columns[TL_COL_REV] = event->rev;
	columns[TL_COL_KIND] = event->kind;
	columns[TL_COL_MEMBER] = event->member;
	columns[TL_COL_AGENT] = event->agent;
	columns[TL_COL_SESSION] = event->session;
	columns[TL_COL_MODEL] = event->model;
	columns[TL_COL_INPUT] = event->input;
	columns[TL_COL_COST] = event->cost > 0 ? event->cost : -1;
	columns[TL_COL_REPO] = event->repo;
	columns[TL_COL_PR] = event->pr;
	columns[TL_COL_LINK_OP] = event->op;
	columns[TL_COL_VALUE] = event->value;
	columns[TL_COL_LINES_ADDED] = event->lines_added;
	columns[TL_COL_FIX_MS] = event->fix_ms;
	for (int i = 0; i < TL_COL_STORED_COUNT; i++)
		must(tl_batch_set(batch, (enum tl_column)i, row, columns[i]));
	memset(batch->id[row], 0, 16);
	tl_put_be64(batch->id[row] + 8, event->id);
}

/* Blocks of the batch by day, the journal row, one write. */
WORLD_FN void
world_commit(struct world *world, struct tl_batch *batch, const int64_t *times)
{
	struct tl_journal_block blocks[64];
	struct tl_journal_row row = {.group_no = ++world->group_no,
		.epoch = tl_store_epoch(world->store),
		.seq_first = world->seq + 1,
		.seq_last = world->seq + batch->row_count,
		.received_ms = world->received_ms,
		.blocks = blocks};
	bool *done = calloc(batch->row_count + 1, sizeof(*done));
	uint32_t *idx = calloc(batch->row_count + 1, sizeof(*idx));
	struct tl_key key;
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	for (uint32_t i = 0; i < batch->row_count; i++) {
		int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, times[i]);
		struct tl_block_head head;
		struct tl_day *day;
		uint32_t count = 0;

		if (done[i])
			continue;
		for (uint32_t j = i; j < batch->row_count; j++) {
			if (tl_bucket_floor(TL_SPAN_1D, times[j]) == day_ms) {
				done[j] = true;
				idx[count++] = j;
			}
		}
		tl_buf_reset(&buf);
		must(tl_block_encode(batch, idx, count, world->received_ms, &buf));
		must(tl_block_head(tl_buf_slice(&buf), &head));
		must(tl_day_make(world->store, day_ms, &day, &world->why));
		key = tl_key_block(row.group_no, (uint16_t)row.block_count);
		tl_write_put_raw(world->write, day, tl_key_slice(&key), tl_buf_slice(&buf));
		tl_day_unpin(day);
		assert_true(row.block_count < 64);
		row.cost_nusd += head.cost_nusd;
		blocks[row.block_count] = (struct tl_journal_block){
			day_ms, (uint16_t)row.block_count, count, head.cost_nusd};
		row.block_count++;
	}
	tl_buf_reset(&buf);
	tl_journal_encode(&row, world->chain, &buf);
	key = tl_key_journal(row.group_no);
	tl_write_put(world->write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&buf));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	world->chain = row.chain;
	world->seq = row.seq_last;
	tl_buf_fini(&buf);
	free(done);
	free(idx);
}

/* One group of events, as ingest would store it. */
WORLD_FN void
world_push(struct world *world, const struct event *events, size_t count)
{
	struct tl_arena arena;
	struct tl_batch batch;
	int64_t *times = calloc(2 * count + 1, sizeof(*times));

	tl_arena_init(&arena, 256u << 20);
	must(tl_batch_init(&batch, &arena, (uint32_t)(2 * count + 1)));
	for (size_t i = 0; i < count; i++) {
		struct stored_event *known = NULL;

		for (size_t j = 0; j < world->stored_count && known == NULL; j++) {
			if (world->stored[j].event.id == events[i].id &&
				world->stored[j].event.org == events[i].org)
				known = &world->stored[j];
		}
		if (known != NULL && known->event.rev >= events[i].rev)
			continue;
		if (known != NULL) {
			times[batch.row_count] = known->time_ms;
			world_put_event(world, &batch, &known->event, -1, known->time_ms);
		} else {
			assert_true(world->stored_count < EVENTS_MAX);
			known = &world->stored[world->stored_count++];
		}
		known->event = events[i];
		known->time_ms = tl_event_time(events[i].ts, world->received_ms);
		times[batch.row_count] = known->time_ms;
		world_put_event(world, &batch, &events[i], 1, events[i].ts);
	}
	if (batch.row_count > 0)
		world_commit(world, &batch, times);
	free(times);
	tl_arena_fini(&arena);
}

WORLD_FN void
world_push_one(struct world *world, struct event event)
{
	world_push(world, &event, 1);
}

WORLD_FN void
world_fold(struct world *world)
{
	bool folded = true;

	while (folded)
		must(rollup_step(world->rollup, world->group_no, &folded, &world->why));
}

/* One group a step. */
WORLD_FN void
world_fold_slowly(struct world *world)
{
	for (uint64_t group_no = 1; group_no <= world->group_no; group_no++) {
		bool folded;

		must(rollup_step(world->rollup, group_no, &folded, &world->why));
	}
}

WORLD_FN struct audit_report
world_audit(struct world *world)
{
	struct tl_view *view = tl_view_pin(world->store);
	struct audit_progress progress = {0};
	struct audit_report report = {0};

	must(audit_run(world->store, view, &progress, &report, &world->why));
	assert_int_equal(progress.blocks_done, progress.blocks_total);
	tl_view_unpin(view);
	return report;
}

WORLD_FN struct spot_report
world_spot(struct world *world, uint32_t org, int64_t hour_ms)
{
	struct tl_view *view = tl_view_pin(world->store);
	struct spot_hour hour = {.org = org, .hour_ms = hour_ms};
	struct spot_report report;
	struct spot spot;

	spot_init(&spot, world->store);
	must(spot_check(&spot, view, &hour, &report, &world->why));
	spot_fini(&spot);
	tl_view_unpin(view);
	return report;
}

/* Every hour there is, spot by spot. */
WORLD_FN void
world_spot_clean(struct world *world)
{
	struct tl_slice none = {0};
	struct tl_slice key;
	struct tl_slice value;
	struct tl_scan *scan;

	must(tl_scan_open(world->store, NULL, TL_FAMILY_CELL_1H, none, none, &scan, &world->why));
	while (tl_scan_next(scan, &key, &value, &world->why) == TL_OK) {
		struct spot_report report;
		struct tl_page_place place;

		assert_true(tl_key_page_parse(key, TL_SPAN_1H, &place));
		report = world_spot(world, place.org, place.bucket_ms);
		assert_string_equal(report.difference, "");
	}
	tl_scan_free(scan);
}

WORLD_FN void
world_audit_clean(struct world *world)
{
	struct audit_report report = world_audit(world);

	if (report.differences != 0)
		fail_msg(
			"%" PRIu64 " differences: %s", report.differences, report.first_difference);
	world_spot_clean(world);
}

/* Keys and values of the derived families, one after the other. */
enum dump { DUMP_EXACT, DUMP_WITHOUT_GROUPS };

WORLD_FN void
world_dump_page(struct tl_slice key, struct tl_slice value, struct tl_buf *dump)
{
	struct tl_arena arena;
	struct tl_page_place place;
	struct tl_page page;

	tl_arena_init(&arena, 64u << 20);
	assert_true(tl_key_page_parse(key, TL_SPAN_1H, &place));
	assert_int_equal(tl_page_decode(value, TL_SPAN_1H, place.bucket_ms, &arena, &page), TL_OK);
	page.group_count = 0;
	if (page.row_count > 0) {
		tl_buf_put_slice(dump, key);
		tl_page_encode(&page, TL_SPAN_1H, place.bucket_ms, dump);
	}
	tl_arena_fini(&arena);
}

WORLD_FN void
world_dump(struct world *world, enum dump how, struct tl_buf *dump)
{
	static const enum tl_family families[] = {
		TL_FAMILY_CELL_1H, TL_FAMILY_CELL_1D, TL_FAMILY_SESSION, TL_FAMILY_LIFE};

	tl_buf_init(dump, 0);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		struct tl_slice none = {0};
		struct tl_slice key;
		struct tl_slice value;
		struct tl_scan *scan;

		must(tl_scan_open(world->store, NULL, families[i], none, none, &scan, &world->why));
		while (tl_scan_next(scan, &key, &value, &world->why) == TL_OK) {
			if (how == DUMP_WITHOUT_GROUPS && families[i] == TL_FAMILY_CELL_1H) {
				world_dump_page(key, value, dump);
				continue;
			}
			tl_buf_put_slice(dump, key);
			tl_buf_put_slice(dump, value);
		}
		tl_scan_free(scan);
	}
	assert_int_equal(dump->err, TL_OK);
}

/* What a page says of one thing. */
struct sum {
	struct tl_totals totals;
	uint32_t row_count;
	int64_t first_ms, last_ms;
};

WORLD_FN bool
world_page(struct world *world, enum tl_span span, uint32_t org, int64_t bucket_ms,
	struct tl_arena *arena, struct tl_page *page)
{
	enum tl_err err =
		tl_cell_read(world->store, NULL, org, span, bucket_ms, arena, page, &world->why);

	assert_true(err == TL_OK || err == TL_ENOT_FOUND);
	return err == TL_OK;
}

/* Rows of a repo in a page; UINT32_MAX: all rows. */
WORLD_FN struct sum
world_repo(struct world *world, enum tl_span span, int64_t bucket_ms, uint32_t repo)
{
	struct sum sum = {.first_ms = INT64_MAX, .last_ms = INT64_MIN};
	struct tl_arena arena;
	struct tl_page page;

	tl_arena_init(&arena, 64u << 20);
	if (world_page(world, span, 1, bucket_ms, &arena, &page)) {
		for (uint32_t i = 0; i < page.row_count; i++) {
			if (repo != UINT32_MAX && page.rows[i].key.repo != repo)
				continue;
			must(tl_totals_add(&sum.totals, &page.rows[i].totals, 1));
			sum.row_count++;
			if (page.rows[i].first_ms < sum.first_ms)
				sum.first_ms = page.rows[i].first_ms;
			if (page.rows[i].last_ms > sum.last_ms)
				sum.last_ms = page.rows[i].last_ms;
		}
	}
	tl_arena_fini(&arena);
	return sum;
}

WORLD_FN struct tl_totals
world_split(struct world *world, enum tl_span span, int64_t bucket_ms, uint32_t repo, uint32_t pr)
{
	struct tl_totals totals = {0};
	struct tl_arena arena;
	struct tl_page page;

	tl_arena_init(&arena, 64u << 20);
	if (world_page(world, span, 1, bucket_ms, &arena, &page)) {
		for (uint32_t i = 0; i < page.split_count; i++) {
			if (page.splits[i].pr.repo == repo && page.splits[i].pr.number == pr)
				totals = page.splits[i].totals;
		}
	}
	tl_arena_fini(&arena);
	return totals;
}

/* The row lives in the arena. */
WORLD_FN bool
world_session(
	struct world *world, uint32_t session, struct tl_arena *arena, struct tl_session_row *row)
{
	struct tl_key key = tl_key_session(1, session);
	struct tl_buf buf;
	enum tl_err err;

	tl_buf_init(&buf, 0);
	err = tl_store_get(
		world->store, NULL, TL_FAMILY_SESSION, tl_key_slice(&key), &buf, &world->why);
	if (!err)
		must(tl_session_row_decode(tl_buf_slice(&buf), arena, row));
	tl_buf_fini(&buf);
	return err == TL_OK;
}

WORLD_FN bool
world_life(struct world *world, enum tl_dim dim, uint32_t entity, struct tl_life *life)
{
	struct tl_key key = tl_key_life(1, dim, entity);
	struct tl_buf buf;
	enum tl_err err;

	tl_buf_init(&buf, 0);
	err = tl_store_get(
		world->store, NULL, TL_FAMILY_LIFE, tl_key_slice(&key), &buf, &world->why);
	if (!err)
		must(tl_life_decode(tl_buf_slice(&buf), life));
	tl_buf_fini(&buf);
	return err == TL_OK;
}

/* A small seeded generator: xorshift. */
WORLD_FN uint64_t
world_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
