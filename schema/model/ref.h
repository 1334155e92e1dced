/* One spelling for repositories, pull requests, commits, emails and agent types. Pure text work. */
#ifndef TL_MODEL_REF_H
#define TL_MODEL_REF_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/limits.h"

/* Dimensions that usage is summed by. */
enum tl_dim {
	TL_DIM_ORG,
	TL_DIM_MEMBER,
	TL_DIM_AGENT,
	TL_DIM_MODEL,
	TL_DIM_REPO,
	TL_DIM_PR,
	TL_DIM_SESSION,
};

/*
 * host/owner/name in lower case: from scp-like, https, ssh and git URLs (user, password, port and
 * ".git" dropped), GitLab subgroups, Azure DevOps (_git dropped), and bare owner/name = github.com.
 * Idempotent. TL_EREPO_INVALID when it is none of these or longer than TL_REPO_BYTES_MAX.
 */
TL_MUST enum tl_err tl_repo_normalise(struct tl_slice text, char name_out[TL_REPO_BYTES_MAX + 1]);

/* "https://" + repo + "/-/merge_requests/1000000000", the longest, and the terminator. */
#define TL_REF_URL_BYTES (TL_REPO_BYTES_MAX + 48)

/* https URL of a normalised repo, for links in replies. */
void tl_repo_url(struct tl_slice repo, char url_out[TL_REF_URL_BYTES]);
void tl_pr_url(struct tl_slice repo, uint32_t number, char url_out[TL_REF_URL_BYTES]);

struct tl_pr_ref {
	char repo[TL_REPO_BYTES_MAX + 1]; /* empty: the session's repo */
	uint32_t number;
};

/*
 * A pull request URL (GitHub /pull/N, GitLab /-/merge_requests/N, Bitbucket /pull-requests/N,
 * Azure /pullrequest/N), "owner/name#N", "#N" or "N". TL_EPR_INVALID otherwise or past TL_PR_MAX.
 */
TL_MUST enum tl_err tl_pr_parse(struct tl_slice text, struct tl_pr_ref *ref_out);

/* 7..64 hex digits, lowered. TL_ECOMMIT_INVALID otherwise. */
TL_MUST enum tl_err tl_commit_normalise(
	struct tl_slice text, char name_out[TL_COMMIT_BYTES_MAX + 1]);

/* Spaces at both ends trimmed, ASCII letters lowered, the rest kept. False when empty, without an
 * '@', or longer than TL_EMAIL_BYTES_MAX. */
TL_MUST bool tl_email_normalise(struct tl_slice text, char email_out[TL_EMAIL_BYTES_MAX + 1]);

/* "Claude Code" for "claude_code"; an unknown type is its own name. Static or the argument. */
const char *tl_agent_type_title(const char *type);

#endif
