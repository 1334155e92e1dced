/*
 *   bin      |<------------------------- one bin ------------------------->|
 *   quarters    :   |   |   |   |   |   |   |   |   |   |   |   |   |   :
 *   read     raw 15m 15m |------1h------|-- 1d --|------1h------| 15m 15m raw
 *
 * Every bin is covered by itself, so that a page never lies in two; what touches and has the same
 * span is then joined into one run over all bins, and each run is one scan.
 */
#include "query/facts.h"

#include <assert.h>

#include "query/edge.h"
#include "schema/store/cell_read.h"
#include "schema/store/days.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

/* Per bin: raw, quarters, hours, days, hours, quarters, raw. */
#define FACTS_RUNS_PER_BIN 7u

#define FACTS_PAGE_ARENA_BYTES_MAX (256u << 20)

/* What is read in one go. */
struct run {
	bool is_raw; /* the part of one quarter */
	enum tl_span span;
	int64_t start_ms, end_ms;
};

struct walk {
	const struct query_scene *scene;
	const struct facts_ask *ask;
	enum tl_span span_max;
	struct run *runs;
	uint32_t run_count;
	uint32_t bin_idx;	 /* of the page in hand; time only moves on */
	int64_t oldest_day_ms;	 /* the first raw day that is still there */
	struct hour_part *parts; /* of the hour in hand, when quarters are read */
	int64_t hour_ms;
	struct tl_arena arena; /* the page in hand, or those parts */
	enum tl_err (*visit)(
		void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why);
	void *arg;
};

static void
add_run(struct walk *walk, struct run run)
{
	struct run *last = walk->run_count > 0 ? &walk->runs[walk->run_count - 1] : NULL;

	if (run.start_ms >= run.end_ms)
		return;
	if (last != NULL && !last->is_raw && !run.is_raw && last->span == run.span &&
		last->end_ms == run.start_ms) {
		last->end_ms = run.end_ms;
		return;
	}
	assert(walk->run_count < TL_WINDOW_BINS_MAX * FACTS_RUNS_PER_BIN);
	walk->runs[walk->run_count++] = run;
}

/* Cover [start, end), whole buckets of 15m, with the widest spans. */
static void
add_pages(struct walk *walk, enum tl_span span, int64_t start_ms, int64_t end_ms)
{
	struct run run = {.span = span, .start_ms = start_ms, .end_ms = end_ms};

	if (start_ms >= end_ms)
		return;
	if (span != TL_SPAN_15M) {
		run.start_ms = tl_bucket_ceil(span, start_ms);
		run.end_ms = tl_bucket_floor(span, end_ms);
		if (run.start_ms >= run.end_ms) {
			add_pages(walk, span - 1, start_ms, end_ms);
			return;
		}
		add_pages(walk, span - 1, start_ms, run.start_ms);
	}
	add_run(walk, run);
	if (span != TL_SPAN_15M)
		add_pages(walk, span - 1, run.end_ms, end_ms);
}

static void
add_bin(struct walk *walk, int64_t start_ms, int64_t end_ms)
{
	int64_t first_ms = tl_bucket_ceil(TL_SPAN_15M, start_ms);
	int64_t last_ms = tl_bucket_floor(TL_SPAN_15M, end_ms);
	struct run run = {.is_raw = true, .start_ms = start_ms};

	if (first_ms > last_ms) { /* both edges in one quarter */
		run.end_ms = end_ms;
		add_run(walk, run);
		return;
	}
	run.end_ms = first_ms;
	add_run(walk, run);
	add_pages(walk, walk->span_max, first_ms, last_ms);
	run.start_ms = last_ms;
	run.end_ms = end_ms;
	add_run(walk, run);
}

static enum tl_err
plan(struct walk *walk, struct tl_arena *arena)
{
	const struct facts_ask *ask = walk->ask;
	const struct tl_window *window = ask->window;

	walk->runs =
		tl_arena_array(arena, TL_WINDOW_BINS_MAX * FACTS_RUNS_PER_BIN, sizeof(*walk->runs));
	if (walk->runs == NULL)
		return TL_ENOMEM;
	if (ask->is_one_bin && ask->from_ms < ask->to_ms)
		add_bin(walk, ask->from_ms, ask->to_ms);
	for (uint32_t i = 0; !ask->is_one_bin && i < window->bin_count; i++) {
		int64_t start_ms = window->edge_ms[i];
		int64_t end_ms = window->edge_ms[i + 1];

		if (start_ms < ask->from_ms)
			start_ms = ask->from_ms;
		if (end_ms > ask->to_ms)
			end_ms = ask->to_ms;
		if (start_ms < end_ms)
			add_bin(walk, start_ms, end_ms);
	}
	return TL_OK;
}

/* Keep the rows of one member, and the PRs of the sessions that still have rows. */
static void
keep_member(struct tl_page *page, uint32_t member)
{
	uint32_t row_count = 0;
	uint32_t pr_count = 0;
	uint32_t row_idx = 0;

	for (uint32_t i = 0; i < page->row_count; i++) {
		if (page->rows[i].key.member == member)
			page->rows[row_count++] = page->rows[i];
	}
	page->row_count = row_count;
	for (uint32_t i = 0; i < page->pr_count; i++) {
		while (row_idx < row_count &&
			page->rows[row_idx].key.session < page->prs[i].session)
			row_idx++;
		if (row_idx < row_count && page->rows[row_idx].key.session == page->prs[i].session)
			page->prs[pr_count++] = page->prs[i];
	}
	page->pr_count = pr_count;
}

static enum tl_err
show(struct walk *walk, struct tl_page *page, int64_t start_ms, struct tl_why *why)
{
	const struct facts_ask *ask = walk->ask;
	enum tl_err err;

	while (!ask->is_one_bin && start_ms >= ask->window->edge_ms[walk->bin_idx + 1])
		walk->bin_idx++;
	assert(walk->bin_idx < ask->window->bin_count);
	if (ask->only_member != 0) {
		keep_member(page, ask->only_member);
		if (ask->exact_splits) {
			page->splits = NULL;
			page->split_count = 0;
			err = tl_page_split(
				page, tl_bucket_floor(TL_SPAN_15M, start_ms), &walk->arena);
			if (err)
				return err;
		}
	}
	return walk->visit(walk->arg, walk->bin_idx, page, why);
}

/* The pages that hold the cells of the span in [start, end). */
static enum tl_err
open_pages(const struct query_scene *scene, enum tl_span span, int64_t start_ms, int64_t end_ms,
	struct tl_scan **scan_out, struct tl_why *why)
{
	enum tl_span page_span = tl_page_span(span);
	struct tl_key first =
		tl_key_cell(scene->org->no, page_span, tl_bucket_floor(page_span, start_ms));
	struct tl_key last =
		tl_key_cell(scene->org->no, page_span, tl_bucket_ceil(page_span, end_ms));

	return tl_scan_open(scene->store, scene->view, tl_cell_family(page_span),
		tl_key_slice(&first), tl_key_slice(&last), scan_out, why);
}

/* TL_EEDGE_UNAVAILABLE when the day has no page of the span at all: it had some, and they expired.
 */
static enum tl_err
check_day(struct walk *walk, enum tl_span span, int64_t day_ms, struct tl_why *why)
{
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	char text[TL_DAY_TEXT_BYTES];
	enum tl_err err;

	err = open_pages(walk->scene, span, day_ms, day_ms + TL_DAY_MS, &scan, why);
	if (err)
		return err;
	err = tl_scan_next(scan, &key, &value, why);
	tl_scan_free(scan);
	if (err != TL_EEND)
		return err;
	tl_day_format(day_ms, text);
	return tl_fail(why, TL_EEDGE_UNAVAILABLE,
		"only the whole day is known of %s; use whole UTC days there", text);
}

/*
 * Day pages are kept for ever, what they are summed from is not. Where no finer page was found,
 * either nothing happened or it expired; a smaller figure must not pass for the truth.
 */
static enum tl_err
check_gap(struct walk *walk, enum tl_span span, int64_t first_day_ms, int64_t end_ms,
	struct tl_why *why)
{
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err;

	if (end_ms > walk->oldest_day_ms)
		end_ms = walk->oldest_day_ms;
	end_ms = tl_bucket_ceil(TL_SPAN_1D, end_ms);
	if (first_day_ms >= end_ms)
		return TL_OK;
	err = open_pages(walk->scene, TL_SPAN_1D, first_day_ms, end_ms, &scan, why);
	while (!err) {
		struct tl_page_place place = {0};

		err = tl_scan_next(scan, &key, &value, why);
		if (!err && !tl_key_page_parse(key, TL_SPAN_1D, &place))
			err = TL_ESTORAGE_CORRUPT;
		if (!err)
			err = check_day(walk, span, place.bucket_ms, why);
	}
	tl_scan_free(scan);
	return err == TL_EEND ? TL_OK : err;
}

static enum tl_err
unreadable(const struct tl_page_place *place, enum tl_err err, struct tl_why *why)
{
	char text[TL_TIME_TEXT_BYTES];

	tl_time_format(place->bucket_ms, text);
	return tl_fail(
		why, err, "the %s page of %s cannot be read", tl_span_name(place->span), text);
}

static enum tl_err
walk_page(struct walk *walk, const struct tl_page_place *place, struct tl_slice value,
	struct tl_why *why)
{
	struct tl_page page;
	enum tl_err err;

	tl_arena_reset(&walk->arena);
	err = tl_cell_decode(value, place->span, place->bucket_ms, &walk->arena, &page);
	if (err)
		return unreadable(place, err, why);
	return show(walk, &page, place->bucket_ms, why);
}

/* The page of an hour of which quarters are wanted, until all parts of that hour are read. */
struct hour_part {
	struct hour_part *next;
	struct tl_page page;
};

static enum tl_err
take_part(struct walk *walk, const struct tl_page_place *place, struct tl_slice value,
	struct tl_why *why)
{
	struct hour_part *part;
	enum tl_err err;

	if (walk->parts == NULL)
		tl_arena_reset(&walk->arena);
	part = tl_arena_alloc(&walk->arena, sizeof(*part));
	if (part == NULL)
		return TL_ENOMEM;
	err = tl_page_decode(value, place->span, place->bucket_ms, &walk->arena, &part->page);
	if (err)
		return unreadable(place, err, why);
	part->next = walk->parts;
	walk->parts = part;
	walk->hour_ms = place->bucket_ms;
	return TL_OK;
}

/* The quarters of the hour that was read, as far as the run has them, in the order of time. */
static enum tl_err
show_quarters(struct walk *walk, const struct run *run, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < TL_HOUR_QUARTERS; i++) {
		int64_t bucket_ms = walk->hour_ms + i * TL_QUARTER_MS;

		if (bucket_ms < run->start_ms || bucket_ms >= run->end_ms)
			continue;
		for (struct hour_part *part = walk->parts; !err && part; part = part->next) {
			struct tl_page page;

			err = tl_page_quarter(&part->page, walk->hour_ms, i, &walk->arena, &page);
			if (!err && page.row_count > 0)
				err = show(walk, &page, bucket_ms, why);
		}
	}
	walk->parts = NULL;
	return err;
}

static enum tl_err
walk_place(struct walk *walk, const struct run *run, const struct tl_page_place *place,
	struct tl_slice value, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	if (run->span != TL_SPAN_15M)
		return walk_page(walk, place, value, why);
	if (walk->parts != NULL && walk->hour_ms != place->bucket_ms)
		err = show_quarters(walk, run, why);
	return err ? err : take_part(walk, place, value, why);
}

static enum tl_err
walk_pages(struct walk *walk, const struct run *run, struct tl_why *why)
{
	int64_t unseen_day_ms = tl_bucket_floor(TL_SPAN_1D, run->start_ms);
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err;

	err = open_pages(walk->scene, run->span, run->start_ms, run->end_ms, &scan, why);
	while (!err) {
		struct tl_page_place place = {0};
		int64_t day_ms;

		err = tl_scan_next(scan, &key, &value, why);
		if (err)
			break;
		if (!tl_key_page_parse(key, tl_page_span(run->span), &place)) {
			err = tl_fail(why, TL_ESTORAGE_CORRUPT, "a cell's key cannot be read");
			break;
		}
		day_ms = tl_bucket_floor(TL_SPAN_1D, place.bucket_ms);
		if (run->span != TL_SPAN_1D)
			err = check_gap(walk, run->span, unseen_day_ms, day_ms, why);
		unseen_day_ms = day_ms + TL_DAY_MS;
		if (!err)
			err = walk_place(walk, run, &place, value, why);
	}
	tl_scan_free(scan);
	if (err == TL_EEND)
		err = show_quarters(walk, run, why);
	if (!err && run->span != TL_SPAN_1D)
		return check_gap(walk, run->span, unseen_day_ms, run->end_ms, why);
	return err;
}

/* A part of one quarter: its events, made into the page that they would be. */
static enum tl_err
walk_raw(struct walk *walk, const struct run *run, struct tl_why *why)
{
	int64_t bucket_ms = tl_bucket_floor(TL_SPAN_15M, run->start_ms);
	struct tl_page whole = {0};
	struct tl_page page = {0};
	enum tl_err err;

	tl_arena_reset(&walk->arena);
	err = facts_page(walk->scene, TL_SPAN_15M, bucket_ms, &walk->arena, &whole, why);
	if (err == TL_ENOT_FOUND)
		return check_gap(walk, TL_SPAN_15M, tl_bucket_floor(TL_SPAN_1D, bucket_ms),
			run->end_ms, why);
	if (!err)
		err = edge_page(
			walk->scene, &whole, run->start_ms, run->end_ms, &walk->arena, &page, why);
	if (!err)
		err = show(walk, &page, run->start_ms, why);
	return err;
}

static enum tl_err
walk_runs(struct walk *walk, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; !err && i < walk->run_count; i++) {
		if (walk->runs[i].is_raw)
			err = walk_raw(walk, &walk->runs[i], why);
		else
			err = walk_pages(walk, &walk->runs[i], why);
	}
	return err;
}

static void
walk_init(struct walk *walk)
{
	tl_arena_init(&walk->arena, FACTS_PAGE_ARENA_BYTES_MAX);
	if (tl_days_list(walk->scene->store, &walk->oldest_day_ms, 1) == 0)
		walk->oldest_day_ms = INT64_MAX - TL_DAY_MS;
}

enum tl_err
facts_walk(const struct query_scene *scene, const struct facts_ask *ask,
	enum tl_err (*visit)(
		void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why),
	void *arg, struct tl_why *why)
{
	struct walk walk = {
		.scene = scene,
		.ask = ask,
		.span_max = ask->exact_splits ? TL_SPAN_15M : TL_SPAN_1D,
		.visit = visit,
		.arg = arg,
	};
	struct tl_arena plan_arena;
	enum tl_err err;

	tl_arena_init(&plan_arena, 1u << 20);
	walk_init(&walk);
	err = plan(&walk, &plan_arena);
	if (!err)
		err = walk_runs(&walk, why);
	tl_arena_fini(&walk.arena);
	tl_arena_fini(&plan_arena);
	return err;
}

static enum tl_err
walk_cell(struct walk *walk, int64_t bucket_ms, struct tl_why *why)
{
	const struct facts_ask *ask = walk->ask;
	struct run run = {.is_raw = true, .span = TL_SPAN_15M, .start_ms = bucket_ms};
	struct tl_page page = {0};
	enum tl_err err;

	run.end_ms = bucket_ms + TL_QUARTER_MS;
	if (run.end_ms <= ask->from_ms || run.start_ms >= ask->to_ms)
		return TL_OK;
	if (run.start_ms < ask->from_ms || run.end_ms > ask->to_ms) {
		run.start_ms = run.start_ms < ask->from_ms ? ask->from_ms : run.start_ms;
		run.end_ms = run.end_ms > ask->to_ms ? ask->to_ms : run.end_ms;
		return walk_raw(walk, &run, why);
	}
	tl_arena_reset(&walk->arena);
	err = facts_page(walk->scene, TL_SPAN_15M, bucket_ms, &walk->arena, &page, why);
	if (err == TL_ENOT_FOUND)
		return check_gap(
			walk, TL_SPAN_15M, tl_bucket_floor(TL_SPAN_1D, bucket_ms), run.end_ms, why);
	return err ? err : show(walk, &page, bucket_ms, why);
}

enum tl_err
facts_walk_cells(const struct query_scene *scene, const struct facts_ask *ask,
	const int64_t *bucket_nos, uint32_t bucket_count,
	enum tl_err (*visit)(
		void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why),
	void *arg, struct tl_why *why)
{
	struct walk walk = {.scene = scene, .ask = ask, .visit = visit, .arg = arg};
	enum tl_err err = TL_OK;

	walk_init(&walk);
	for (uint32_t i = 0; !err && i < bucket_count; i++)
		err = walk_cell(&walk, bucket_nos[i] * TL_QUARTER_MS, why);
	tl_arena_fini(&walk.arena);
	return err;
}

enum tl_err
facts_page(const struct query_scene *scene, enum tl_span span, int64_t bucket_ms,
	struct tl_arena *arena, struct tl_page *page_out, struct tl_why *why)
{
	return tl_cell_read(
		scene->store, scene->view, scene->org->no, span, bucket_ms, arena, page_out, why);
}

enum tl_err
facts_session(const struct query_scene *scene, uint32_t session, struct tl_arena *arena,
	struct tl_session_row *row_out, struct tl_why *why)
{
	struct tl_key key = tl_key_session(scene->org->no, session);
	struct tl_buf bytes;
	enum tl_err err;

	tl_buf_init(&bytes, 0);
	err = tl_store_get(
		scene->store, scene->view, TL_FAMILY_SESSION, tl_key_slice(&key), &bytes, why);
	if (!err) {
		err = tl_session_row_decode(tl_buf_slice(&bytes), arena, row_out);
		if (err)
			tl_fail(why, err, "session row %u cannot be read", session);
	}
	tl_buf_fini(&bytes);
	return err;
}
