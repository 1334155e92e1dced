/*
 * The list of sessions. Who is in it follows from the facts of the range: a session is active when
 * it has a request there, and a filter by member, agent or repository holds for such a request, so
 * that a card's count and the list behind it are the same sessions. The figures are of the whole
 * life and come from the session rows, read for one page where the facts already give the order.
 */
#include "query/listing.h"
#include "query/session.h"

#define SESSIONS_ROW_ARENA_BYTES_MAX (64u << 20)

struct list {
	struct query_job *job;
	struct board all;     /* every session of the range */
	struct board matched; /* those with a request that passes the filters */
	bool has_filter;      /* one that asks each fact */
	const struct tl_member *member;
	const struct tl_agent *agent;
	struct tl_slice agent_type;
	uint32_t repo;
	bool is_cut; /* a session of the range has expired */
};

/* Read what the filters name. *none_out: something that does not exist, so nothing matches. */
static enum tl_err
read_filters(struct list *list, bool *none_out, struct tl_why *why)
{
	struct query_job *job = list->job;
	const struct tl_query *query = job->query;
	enum tl_err err = TL_OK;

	if (query->member.bytes > 0)
		err = job_find_member(job, query->member, &list->member, why);
	if (!err && query->repo.bytes > 0)
		err = job_find_repo(job, query->repo, &list->repo, why);
	if (!err && query->agent.bytes > 0) {
		err = job_find_agent(job, query->agent, &list->agent, why);
		if (err == TL_ENOT_FOUND) { /* then it is a type */
			list->agent_type = query->agent;
			err = TL_OK;
		}
	}
	*none_out = err == TL_ENOT_FOUND;
	list->has_filter = list->member != NULL || list->agent != NULL ||
			   list->agent_type.bytes > 0 || (list->repo != 0 && query->pr == 0);
	return *none_out ? TL_OK : err;
}

static bool
is_type(const struct list *list, uint32_t agent_no)
{
	const struct tl_agent *agent =
		agent_no != 0 ? tl_org_agent(list->job->scene->org, agent_no) : NULL;

	return agent != NULL && tl_slice_eq(list->agent_type, tl_slice_str(agent->type));
}

static bool
passes(const struct list *list, const struct tl_cell_row *fact)
{
	if (fact->totals.requests == 0)
		return false;
	if (list->member != NULL && fact->key.member != list->member->no)
		return false;
	if (list->agent != NULL && fact->key.agent != list->agent->no)
		return false;
	if (list->agent_type.bytes > 0 && !is_type(list, fact->key.agent))
		return false;
	/* With a PR the repository is the PR's, which the session row tells. */
	return list->repo == 0 || list->job->query->pr != 0 || fact->key.repo == list->repo;
}

static enum tl_err
take_page(void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why)
{
	struct list *list = arg;
	enum tl_err err = board_add_page(&list->all, bin_idx, page);

	for (uint32_t i = 0; !err && list->has_filter && i < page->row_count; i++) {
		struct tl_page one = {.rows = &page->rows[i], .row_count = 1};

		if (passes(list, &page->rows[i]))
			err = board_add_page(&list->matched, bin_idx, &one);
	}
	return err ? tl_fail(why, err, "a page cannot be summed") : TL_OK;
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* ASCII letters match in either case. */
static bool
contains(struct tl_slice text, struct tl_slice part)
{
	for (size_t at = 0; at + part.bytes <= text.bytes; at++) {
		size_t i = 0;

		while (i < part.bytes && lower(text.data[at + i]) == lower(part.data[i]))
			i++;
		if (i == part.bytes)
			return true;
	}
	return false;
}

static bool
has_pull(const struct list *list, const struct tl_session_row *row)
{
	uint32_t number = (uint32_t)list->job->query->pr;

	for (uint32_t i = 0; i < row->pr_count; i++) {
		if (row->prs[i].number == number &&
			(list->repo == 0 || row->prs[i].repo == list->repo))
			return true;
	}
	return false;
}

/* The filters that only the session row can answer. */
static enum tl_err
passes_row(struct list *list, uint32_t session, const struct tl_session_row *row, bool *passes_out,
	struct tl_why *why)
{
	struct query_job *job = list->job;
	struct tl_slice text = job->query->text;
	struct tl_slice id = {0}, name = {0};
	enum tl_err err;

	*passes_out = false;
	if (job->query->pr != 0 && !has_pull(list, row))
		return TL_OK;
	err = session_is_seen(job, session, row, passes_out, why);
	if (err || !*passes_out || text.bytes == 0)
		return err;
	err = job_name(job, TL_NAME_SESSION, session, &id, why);
	if (!err)
		err = job_name(job, TL_NAME_TEXT, row->name, &name, why);
	*passes_out = !err && (contains(id, text) || contains(name, text));
	return err;
}

/*
 * In a fixed range what was last there was last at all, as nothing is later than now; in a custom
 * one the row says what came after, if the row is still there.
 */
static bool
needs_rows(const struct query_job *job)
{
	return job->query->text.bytes > 0 || job->query->pr != 0 || job->only_member != 0 ||
	       job->window.range == TL_RANGE_CUSTOM;
}

/*
 * Ask the row of every candidate; those that pass stay, in the order of their whole life. Rows
 * expire with their last use, which may be before the cells do.
 */
static enum tl_err
ask_rows(struct list *list, struct listing_row *rows, uint32_t *count, struct tl_why *why)
{
	struct tl_arena arena;
	uint32_t kept = 0;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, SESSIONS_ROW_ARENA_BYTES_MAX);
	for (uint32_t i = 0; !err && i < *count; i++) {
		struct tl_session_row row;
		bool stays = false;

		tl_arena_reset(&arena);
		err = facts_session(list->job->scene, (uint32_t)rows[i].key, &arena, &row, why);
		if (err == TL_ENOT_FOUND) {
			list->is_cut = true;
			err = TL_OK;
			continue;
		}
		if (!err)
			err = passes_row(list, (uint32_t)rows[i].key, &row, &stays, why);
		if (err || !stays)
			continue;
		rows[kept] = rows[i];
		rows[kept++].order[0] = row.last_ms;
	}
	tl_arena_fini(&arena);
	*count = kept;
	return err;
}

static enum tl_err
collect(struct list *list, struct listing_row **rows_out, uint32_t *count_out, struct tl_why *why)
{
	const struct board *board = list->has_filter ? &list->matched : &list->all;
	struct listing_row *rows =
		tl_arena_array(list->job->arena, board->row_count, sizeof(*rows));
	uint32_t count = 0;

	if (rows == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < board->row_count; i++) {
		const struct board_row *row = board_find(&list->all, board_row(board, i)->key);

		if (row->totals.requests > 0)
			rows[count++] = (struct listing_row){
				.order = {row->last_ms, 0},
				.key = row->key,
			};
	}
	*rows_out = rows;
	*count_out = count;
	return needs_rows(list->job) ? ask_rows(list, rows, count_out, why) : TL_OK;
}

static enum tl_err
name_session(struct query_job *job, struct listing_row *row, struct tl_why *why)
{
	return job_name(job, TL_NAME_SESSION, (uint32_t)row->key, &row->name, why);
}

static enum tl_err
put_list(struct query_job *job, struct tl_pack_open *map, const struct listing_row *rows,
	const struct reply_page *page, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	tl_pack_key(job->reply, map, "sessions");
	tl_pack_array(job->reply, page->end - page->first);
	for (uint32_t i = page->first; !err && i < page->end; i++) {
		struct tl_pack_open card = tl_pack_open_map(job->reply);
		struct tl_session_row row;

		err = facts_session(job->scene, (uint32_t)rows[i].key, job->arena, &row, why);
		if (err == TL_ENOT_FOUND)
			return tl_fail(why, TL_ESTORAGE_CORRUPT, "a session has no row");
		if (!err)
			err = session_put(job, &card, (uint32_t)rows[i].key, &row, why);
		if (!err)
			tl_pack_key_int(job->reply, &card, "value",
				tl_totals_value(&row.totals, job->query->metric));
		if (!err && session_is_cut(&row))
			tl_pack_key_bool(job->reply, &card, "truncated", true);
		tl_pack_close(job->reply, &card);
	}
	return err;
}

enum tl_err
session_list_run(struct query_job *job, struct tl_why *why)
{
	struct list list = {.job = job};
	struct facts_ask ask = job_facts(job, &job->window);
	struct listing_row *rows = NULL;
	struct reply_page page;
	struct tl_pack_open map;
	uint32_t count = 0;
	bool none = false;
	enum tl_err err;

	ask.is_one_bin = true;
	err = read_filters(&list, &none, why);
	if (!err)
		err = board_init(&list.all, TL_DIM_SESSION, true, NULL, job->arena);
	if (!err)
		err = board_init(&list.matched, TL_DIM_SESSION, true, NULL, job->arena);
	if (!err && !none)
		err = facts_walk(job->scene, &ask, take_page, &list, why);
	if (!err && !none)
		err = collect(&list, &rows, &count, why);
	if (err)
		return err;
	page = reply_page_of(job, count);
	page.is_cut = list.is_cut;
	err = listing_sort(job, rows, count, &page, name_session, why);
	if (err)
		return err;
	map = reply_open(job);
	reply_head(job, &map, &page);
	err = put_list(job, &map, rows, &page, why);
	return err ? err : reply_close(job, &map, why);
}
