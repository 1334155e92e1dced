/*
 * The events behind a figure: every 15-minute cell with facts of the scope, the groups they came
 * from, and the events themselves, as many as the limit allows. Cells are read one by one, so this
 * is for looking, not for dashboards.
 */
#include "query/board.h"
#include "query/edge.h"
#include "query/raw.h"
#include "query/reply.h"
#include "query/scope.h"
#include "query/session.h"

#define CELL_ARENA_BYTES_MAX (256u << 20)

struct explain {
	struct query_job *job;
	struct scope scope;
	uint32_t session; /* of a session's scope */
	struct tl_totals total;
	uint32_t event_count;
	bool is_cut;
	/* of the cell at hand */
	const struct tl_page *page;
	struct tl_pack_open *events;
};

static bool
touches(const struct tl_page *page, uint32_t session, uint64_t key)
{
	for (uint32_t i = 0; i < page->pr_count; i++) {
		if (page->prs[i].session == session && board_key_pr(page->prs[i].pr, false) == key)
			return true;
	}
	return false;
}

static bool
is_meant(const struct explain *x, const struct tl_cell_key *key)
{
	switch (x->scope.dim) {
	case TL_DIM_ORG:
		return true;
	case TL_DIM_MEMBER:
		return key->member == x->scope.key;
	case TL_DIM_AGENT:
		return key->agent == x->scope.key;
	case TL_DIM_MODEL:
		return key->model == x->scope.key;
	case TL_DIM_REPO:
		return key->repo == x->scope.key;
	case TL_DIM_PR:
		return touches(x->page, key->session, x->scope.key);
	case TL_DIM_SESSION:
		return key->session == x->session;
	}
	return false;
}

/* The fact that an event is part of: the same names, and its session's repo when it has none. */
static const struct tl_cell_row *
fact_of(const struct tl_page *page, const struct raw_row *row)
{
	const struct tl_batch *batch = row->batch;
	uint32_t idx = row->row_idx;
	uint32_t repo = (uint32_t)tl_batch_get(batch, TL_COL_REPO, idx);

	for (uint32_t i = 0; i < page->row_count; i++) {
		const struct tl_cell_key *key = &page->rows[i].key;

		if (key->session == tl_batch_get(batch, TL_COL_SESSION, idx) &&
			key->member == tl_batch_get(batch, TL_COL_MEMBER, idx) &&
			key->agent == tl_batch_get(batch, TL_COL_AGENT, idx) &&
			key->model == tl_batch_get(batch, TL_COL_MODEL, idx) &&
			key->has_own_repo == (repo != 0) && (repo == 0 || key->repo == repo))
			return &page->rows[i];
	}
	return NULL;
}

static enum tl_err
put_event(struct explain *x, const struct raw_row *row, struct tl_why *why)
{
	struct query_job *job = x->job;
	struct tl_pack_open map = tl_pack_open_map(job->reply);
	const struct tl_batch *batch = row->batch;
	uint32_t idx = row->row_idx;
	char hex[33];

	(void)why;
	tl_hex(batch->id[idx], 16, hex);
	tl_pack_key_str(job->reply, &map, "id", hex);
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		int64_t value = tl_batch_get(batch, column, idx);

		if (column != TL_COL_ORG && column != TL_COL_SIGN &&
			value != tl_column_default(column))
			tl_pack_key_int(job->reply, &map, tl_column_field(column), value);
	}
	tl_pack_close(job->reply, &map);
	x->events->count++;
	x->event_count++;
	return TL_OK;
}

static enum tl_err
visit_event(void *arg, const struct raw_row *row, struct tl_why *why)
{
	struct explain *x = arg;
	const struct tl_cell_row *fact;

	if (tl_batch_get(row->batch, TL_COL_KIND, row->row_idx) == TL_KIND_LINK)
		return TL_OK;
	fact = fact_of(x->page, row);
	if (fact == NULL || !is_meant(x, &fact->key))
		return TL_OK;
	if (x->event_count >= x->job->limit) {
		x->is_cut = true;
		return TL_OK;
	}
	return put_event(x, row, why);
}

/* Sum the facts that are meant; false when there are none. */
static bool
sum_cell(const struct explain *x, struct tl_totals *sum)
{
	bool is_any = false;

	*sum = (struct tl_totals){0};
	for (uint32_t i = 0; i < x->page->row_count; i++) {
		if (!is_meant(x, &x->page->rows[i].key))
			continue;
		is_any = true;
		if (tl_totals_add(sum, &x->page->rows[i].totals, 1))
			return false; /* cannot be: intake bounds every sum */
	}
	return is_any;
}

static enum tl_err
put_cell(struct explain *x, struct tl_pack_open *cells, const struct raw_ask *ask,
	const struct tl_totals *sum, struct tl_why *why)
{
	struct tl_buf *reply = x->job->reply;
	struct tl_pack_open map = tl_pack_open_map(reply);
	struct tl_pack_open events;
	enum tl_err err = TL_OK;

	tl_pack_key_int(reply, &map, "start_ms", ask->from_ms);
	tl_pack_key_int(reply, &map, "end_ms", ask->to_ms);
	reply_totals(x->job, &map, sum, 0);
	tl_pack_key(reply, &map, "groups");
	tl_pack_array(reply, ask->group_count);
	for (uint32_t i = 0; i < ask->group_count; i++)
		tl_pack_int(reply, (int64_t)ask->groups[i]);
	tl_pack_key(reply, &map, "events");
	events = tl_pack_open_array(reply);
	x->events = &events;
	if (x->event_count < x->job->limit)
		err = raw_walk(x->job->scene, ask, visit_event, x, why);
	else
		x->is_cut = true;
	tl_pack_close(reply, &events);
	tl_pack_close(reply, &map);
	cells->count++;
	return err;
}

static enum tl_err
explain_cell(struct explain *x, struct tl_pack_open *cells, struct raw_ask *ask,
	struct tl_arena *arena, struct tl_why *why)
{
	struct tl_page whole, part;
	struct tl_totals sum;
	enum tl_err err;

	err = facts_page(x->job->scene, TL_SPAN_15M, ask->bucket_ms, arena, &whole, why);
	if (err)
		return err == TL_ENOT_FOUND ? TL_OK : err;
	x->page = &whole;
	if (ask->to_ms - ask->from_ms < TL_QUARTER_MS) {
		err = edge_page(x->job->scene, &whole, ask->from_ms, ask->to_ms, arena, &part, why);
		if (err)
			return err;
		x->page = &part;
	}
	if (!sum_cell(x, &sum))
		return TL_OK;
	ask->groups = whole.groups;
	ask->group_count = whole.group_count;
	err = tl_totals_add(&x->total, &sum, 1);
	return err ? err : put_cell(x, cells, ask, &sum, why);
}

static enum tl_err
explain_cells(struct explain *x, struct tl_pack_open *cells, struct tl_why *why)
{
	const struct tl_window *window = &x->job->window;
	int64_t start_ms = tl_window_start_ms(window), end_ms = tl_window_end_ms(window);
	struct tl_arena arena;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, CELL_ARENA_BYTES_MAX);
	for (int64_t at = tl_bucket_floor(TL_SPAN_15M, start_ms); at < end_ms && !err;
		at += TL_QUARTER_MS) {
		struct raw_ask ask = {
			.org = x->job->scene->org->no,
			.bucket_ms = at,
			.from_ms = at < start_ms ? start_ms : at,
			.to_ms = at + TL_QUARTER_MS > end_ms ? end_ms : at + TL_QUARTER_MS,
			.column_mask = ~0ULL,
		};

		tl_arena_reset(&arena);
		err = explain_cell(x, cells, &ask, &arena, why);
	}
	tl_arena_fini(&arena);
	return err;
}

enum tl_err
explain_run(struct query_job *job, struct tl_why *why)
{
	struct explain x = {.job = job};
	struct tl_session_row session;
	struct tl_pack_open map, cells, total;
	enum tl_err err = scope_find(job, &x.scope, why);

	if (!err && x.scope.dim == TL_DIM_SESSION)
		err = session_find(job, x.scope.name, &x.session, &session, why);
	if (err)
		return err;
	map = reply_open(job);
	reply_head(job, &map, NULL);
	tl_pack_key(job->reply, &map, "cells");
	cells = tl_pack_open_array(job->reply);
	err = explain_cells(&x, &cells, why);
	tl_pack_close(job->reply, &cells);
	if (err)
		return err;
	tl_pack_key(job->reply, &map, "total");
	total = tl_pack_open_map(job->reply);
	reply_totals(job, &total, &x.total, 0);
	tl_pack_close(job->reply, &total);
	tl_pack_key_bool(job->reply, &map, "events_truncated", x.is_cut);
	return reply_close(job, &map, why);
}
