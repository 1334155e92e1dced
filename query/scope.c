#include "query/scope.h"

#include "query/board.h"

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

enum tl_err
scope_find(struct query_job *job, struct scope *scope_out, struct tl_why *why)
{
	struct tl_slice scope = job->query->scope;
	const struct tl_member *member = NULL;
	const struct tl_agent *agent = NULL;
	struct tl_pr pr = {0};
	struct tl_slice rest;
	uint32_t id = 0;
	enum tl_err err;

	*scope_out = (struct scope){.dim = TL_DIM_ORG, .key = BOARD_KEY_ORG};
	if (scope.bytes == 0 || tl_slice_eq(scope, tl_slice_str("org")))
		return TL_OK;
	if (begins_with(scope, "member:", &rest)) {
		scope_out->dim = TL_DIM_MEMBER;
		err = job_find_member(job, rest, &member, why);
		scope_out->key = member != NULL ? member->no : 0;
		return err;
	}
	if (begins_with(scope, "agent:", &rest)) {
		scope_out->dim = TL_DIM_AGENT;
		err = job_find_agent(job, rest, &agent, why);
		scope_out->key = agent != NULL ? agent->no : 0;
		return err;
	}
	if (begins_with(scope, "model:", &rest)) {
		scope_out->dim = TL_DIM_MODEL;
		err = job_find(job, TL_NAME_MODEL, rest, &id, why);
		scope_out->key = id;
		return err;
	}
	if (begins_with(scope, "repo:", &rest)) {
		scope_out->dim = TL_DIM_REPO;
		err = job_find_repo(job, rest, &id, why);
		scope_out->key = id;
		return err;
	}
	if (begins_with(scope, "pr:", &rest)) {
		scope_out->dim = TL_DIM_PR;
		err = find_pr(job, rest, &pr, why);
		scope_out->key = board_key_pr(pr, job->query->split);
		return err;
	}
	if (begins_with(scope, "session:", &scope_out->name)) {
		scope_out->dim = TL_DIM_SESSION;
		return TL_OK;
	}
	return tl_fail(why, TL_EBAD_PARAM,
		"scope: org, member:ID, agent:ID, model:NAME, repo:NAME, pr:REPO#N or session:ID");
}
