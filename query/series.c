/* One row of bars: what the chart shows, for the org or for one thing in it. */
#include "query/reply.h"
#include "query/session.h"

static bool
begins_with(struct tl_slice text, const char *prefix, struct tl_slice *rest_out)
{
	size_t bytes = strlen(prefix);

	if (text.bytes < bytes || memcmp(text.data, prefix, bytes) != 0)
		return false;
	*rest_out = tl_slice_of(text.data + bytes, text.bytes - bytes);
	return true;
}

/* REPO#N */
static enum tl_err
find_pr(struct query_job *job, struct tl_slice text, struct tl_pr *pr_out, struct tl_why *why)
{
	size_t at = text.bytes;
	uint64_t number = 0;

	while (at > 0 && text.data[at - 1] != '#')
		at--;
	for (size_t i = at; i < text.bytes && number <= TL_PR_MAX; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return tl_fail(why, TL_EBAD_PARAM, "scope: a pull request is pr:REPO#N");
		number = number * 10 + (text.data[i] - '0');
	}
	if (at == 0 || at == text.bytes || number == 0 || number > TL_PR_MAX)
		return tl_fail(why, TL_EBAD_PARAM, "scope: a pull request is pr:REPO#N");
	pr_out->number = (uint32_t)number;
	return job_find_repo(job, tl_slice_of(text.data, at - 1), &pr_out->repo, why);
}

/* The dimension and key that a scope names. */
static enum tl_err
find_scope(struct query_job *job, enum tl_dim *dim_out, uint64_t *key_out, struct tl_why *why)
{
	struct tl_slice scope = job->query->scope;
	const struct tl_member *member = NULL;
	const struct tl_agent *agent = NULL;
	struct tl_pr pr = {0};
	struct tl_slice rest;
	uint32_t id = 0;
	enum tl_err err;

	*dim_out = TL_DIM_ORG;
	*key_out = BOARD_KEY_ORG;
	if (scope.bytes == 0 || tl_slice_eq(scope, tl_slice_str("org")))
		return TL_OK;
	if (begins_with(scope, "member:", &rest)) {
		*dim_out = TL_DIM_MEMBER;
		err = job_find_member(job, rest, &member, why);
		*key_out = member != NULL ? member->no : 0;
		return err;
	}
	if (begins_with(scope, "agent:", &rest)) {
		*dim_out = TL_DIM_AGENT;
		err = job_find_agent(job, rest, &agent, why);
		*key_out = agent != NULL ? agent->no : 0;
		return err;
	}
	if (begins_with(scope, "model:", &rest)) {
		*dim_out = TL_DIM_MODEL;
		err = job_find(job, TL_NAME_MODEL, rest, &id, why);
		*key_out = id;
		return err;
	}
	if (begins_with(scope, "repo:", &rest)) {
		*dim_out = TL_DIM_REPO;
		err = job_find_repo(job, rest, &id, why);
		*key_out = id;
		return err;
	}
	if (begins_with(scope, "pr:", &rest)) {
		*dim_out = TL_DIM_PR;
		err = find_pr(job, rest, &pr, why);
		*key_out = board_key_pr(pr, job->query->split);
		return err;
	}
	return tl_fail(why, TL_EBAD_PARAM,
		"scope: org, member:ID, agent:ID, model:NAME, repo:NAME, pr:REPO#N or session:ID");
}

static enum tl_err
read_session(struct query_job *job, struct tl_slice name, const struct board_row **row_out,
	struct tl_why *why)
{
	struct board *board = tl_arena_alloc(job->arena, sizeof(*board));
	struct tl_session_row session;
	uint32_t no = 0;
	enum tl_err err;

	if (board == NULL)
		return TL_ENOMEM;
	err = session_find(job, name, &no, &session, why);
	if (!err)
		err = session_board(job, &job->window, no, &session, TL_DIM_ORG, board, why);
	if (!err)
		*row_out = board_find(board, BOARD_KEY_ORG);
	return err;
}

static enum tl_err
read_scope(struct query_job *job, const struct board_row **row_out, struct tl_why *why)
{
	const struct board *board;
	struct tl_slice name;
	enum tl_dim dim;
	uint64_t key;
	enum tl_err err;

	if (begins_with(job->query->scope, "session:", &name))
		return read_session(job, name, row_out, why);
	err = find_scope(job, &dim, &key, why);
	if (dim == TL_DIM_ORG)
		job->only_member = 0; /* the org's total is everybody's to see */
	if (!err)
		err = job_board(job, dim, &board, why);
	if (!err)
		*row_out = board_find(board, key);
	return err;
}

enum tl_err
series_run(struct query_job *job, struct tl_why *why)
{
	const struct board_row *row = NULL;
	struct tl_slice scope = job->query->scope;
	struct tl_pack_open map;
	enum tl_err err;

	err = read_scope(job, &row, why);
	if (err)
		return err;
	map = reply_open(job);
	reply_head(job, &map, NULL);
	tl_pack_key_slice(job->reply, &map, "scope", scope.bytes > 0 ? scope : tl_slice_str("org"));
	tl_pack_key_int(job->reply, &map, "total",
		row != NULL ? tl_totals_value(&row->totals, job->query->metric) : 0);
	reply_spark(job, &map, "bars", row);
	return reply_close(job, &map, why);
}
