#include "query/session.h"

#include "query/reply.h"
#include "schema/model/limits.h"

struct session_walk {
	uint32_t session;
	uint32_t member;     /* of whom all rows should be */
	bool has_others;     /* and are not */
	struct board *board; /* NULL: only look whose the rows are */
};

static enum tl_err
add_own_rows(void *arg, uint32_t bin_idx, const struct tl_page *page, struct tl_why *why)
{
	struct session_walk *walk = arg;
	struct tl_page own = {0};
	enum tl_err err = TL_OK;

	own.rows = tl_page_session_rows(page, walk->session, &own.row_count);
	for (uint32_t i = 0; i < own.row_count; i++)
		walk->has_others |= own.rows[i].key.member != walk->member;
	if (walk->board != NULL)
		err = board_add_page(walk->board, bin_idx, &own);
	return err ? tl_fail(why, err, "a session cannot be summed") : TL_OK;
}

/* A window over all cells of the session. */
static void
whole_life(const struct tl_session_row *row, struct tl_window *window_out)
{
	*window_out = (struct tl_window){.range = TL_RANGE_CUSTOM, .bin_count = 1};
	if (row->bucket_count == 0)
		return;
	window_out->edge_ms[0] = row->buckets[0] * TL_QUARTER_MS;
	window_out->edge_ms[1] = (row->buckets[row->bucket_count - 1] + 1) * TL_QUARTER_MS;
}

enum tl_err
session_is_seen(struct query_job *job, uint32_t session, const struct tl_session_row *row,
	bool *is_seen_out, struct tl_why *why)
{
	struct session_walk walk = {.session = session, .member = job->only_member};
	struct tl_window window;
	struct facts_ask ask;
	enum tl_err err;

	*is_seen_out = job->only_member == 0;
	if (job->only_member == 0 || row->member != job->only_member)
		return TL_OK;
	whole_life(row, &window);
	ask = facts_all(&window);
	err = facts_walk_cells(
		job->scene, &ask, row->buckets, row->bucket_count, add_own_rows, &walk, why);
	*is_seen_out = !walk.has_others;
	return err;
}

enum tl_err
session_find(struct query_job *job, struct tl_slice name, uint32_t *no_out,
	struct tl_session_row *row_out, struct tl_why *why)
{
	bool is_seen = false;
	enum tl_err err;

	err = job_find(job, TL_NAME_SESSION, name, no_out, why);
	if (!err)
		err = facts_session(job->scene, *no_out, job->arena, row_out, why);
	if (!err)
		err = session_is_seen(job, *no_out, row_out, &is_seen, why);
	if (err == TL_ENOT_FOUND || (!err && !is_seen))
		return tl_fail(why, TL_ENOT_FOUND, "no such session");
	return err;
}

enum tl_err
session_board(struct query_job *job, const struct tl_window *window, uint32_t session,
	const struct tl_session_row *row, enum tl_dim dim, struct board *board, struct tl_why *why)
{
	struct session_walk walk = {.session = session, .board = board};
	struct facts_ask ask = facts_all(window); /* who sees a session sees all of it */
	enum tl_err err;

	err = board_init(board, dim, false, NULL, job->arena);
	if (err)
		return err;
	return facts_walk_cells(
		job->scene, &ask, row->buckets, row->bucket_count, add_own_rows, &walk, why);
}

bool
session_is_cut(const struct tl_session_row *row)
{
	uint32_t commit_count = 0;

	for (uint32_t i = 0; i < row->link_count; i++)
		commit_count += row->links[i].op == TL_LINK_ADD_COMMIT;
	return row->pr_count == TL_SESSION_PULLS_MAX || commit_count > TL_PAGE_ROWS_MAX;
}

static enum tl_err
put_pulls(struct query_job *job, struct tl_pack_open *map, const struct tl_session_row *row,
	struct tl_why *why)
{
	struct tl_buf *reply = job->reply;

	tl_pack_key(reply, map, "pulls");
	tl_pack_array(reply, row->pr_count);
	for (uint32_t i = 0; i < row->pr_count; i++) {
		char url[TL_REF_URL_BYTES];
		struct tl_slice repo = {0};
		enum tl_err err = job_name(job, TL_NAME_REPO, row->prs[i].repo, &repo, why);

		if (err)
			return err;
		tl_pr_url(repo, row->prs[i].number, url);
		tl_pack_map(reply, 3);
		tl_pack_str(reply, "repo");
		tl_pack_slice(reply, repo);
		tl_pack_str(reply, "number");
		tl_pack_int(reply, row->prs[i].number);
		tl_pack_str(reply, "url");
		tl_pack_str(reply, url);
	}
	return TL_OK;
}

/* A commit linked twice is one commit. Links are in the order of their times. */
static bool
is_repeat(const struct tl_session_row *row, uint32_t link_idx)
{
	for (uint32_t i = 0; i < link_idx; i++) {
		if (row->links[i].op == TL_LINK_ADD_COMMIT &&
			row->links[i].value == row->links[link_idx].value)
			return true;
	}
	return false;
}

static enum tl_err
put_commits(struct query_job *job, struct tl_pack_open *map, const struct tl_session_row *row,
	struct tl_why *why)
{
	struct tl_pack_open array;

	tl_pack_key(job->reply, map, "commits");
	array = tl_pack_open_array(job->reply);
	for (uint32_t i = 0; i < row->link_count && array.count < TL_PAGE_ROWS_MAX; i++) {
		struct tl_slice commit = {0};
		enum tl_err err;

		if (row->links[i].op != TL_LINK_ADD_COMMIT || is_repeat(row, i))
			continue;
		err = job_name(job, TL_NAME_TEXT, row->links[i].value, &commit, why);
		if (err)
			return err;
		tl_pack_slice(job->reply, commit);
		array.count++;
	}
	tl_pack_close(job->reply, &array);
	return TL_OK;
}

static void
put_text(struct query_job *job, struct tl_pack_open *map, const char *key, struct tl_slice text)
{
	if (text.bytes > 0)
		tl_pack_key_slice(job->reply, map, key, text);
	else
		tl_pack_key_str(job->reply, map, key, NULL);
}

enum tl_err
session_put(struct query_job *job, struct tl_pack_open *map, uint32_t session,
	const struct tl_session_row *row, struct tl_why *why)
{
	const struct tl_org *org = job->scene->org;
	const struct tl_member *member = row->member != 0 ? tl_org_member(org, row->member) : NULL;
	const struct tl_agent *agent = row->agent != 0 ? tl_org_agent(org, row->agent) : NULL;
	struct tl_slice id = {0}, name = {0}, repo = {0};
	enum tl_err err;

	err = job_name(job, TL_NAME_SESSION, session, &id, why);
	if (!err)
		err = job_name(job, TL_NAME_TEXT, row->name, &name, why);
	if (!err)
		err = job_name(job, TL_NAME_REPO, row->repo, &repo, why);
	if (err)
		return err;
	tl_pack_key_slice(job->reply, map, "session", id);
	put_text(job, map, "name", name);
	reply_member_id(job, map, "member_id", member);
	if (member != NULL)
		reply_member_name(job, map, "display_name", member);
	else
		tl_pack_key_str(job->reply, map, "display_name", NULL);
	tl_pack_key_str(job->reply, map, "agent", agent != NULL ? agent->type : NULL);
	put_text(job, map, "repo", repo);
	err = put_pulls(job, map, row, why);
	if (!err)
		err = put_commits(job, map, row, why);
	if (err)
		return err;
	reply_time(job, map, "first_ms", row->first_ms);
	reply_time(job, map, "last_ms", row->last_ms);
	reply_totals(job, map, &row->totals, row->totals.requests > 0);
	return TL_OK;
}
