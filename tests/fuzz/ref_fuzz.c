/* One spelling: a normalised repository, commit or address stays as it is, its URL is read back as
 * the same repository, and a pull request's URL as the same pull request. */
#include <stdio.h>

#include "schema/model/ref.h"
#include "tests/fuzz/fuzz.h"

static void
check_repo(struct tl_slice text)
{
	char repo[TL_REPO_BYTES_MAX + 1], again[TL_REPO_BYTES_MAX + 1];
	char url[TL_REF_URL_BYTES];

	if (tl_repo_normalise(text, repo))
		return;
	assert(strlen(repo) <= TL_REPO_BYTES_MAX && strchr(repo, '/') != NULL);
	assert(tl_repo_normalise(tl_slice_str(repo), again) == TL_OK);
	assert(strcmp(repo, again) == 0);
	tl_repo_url(tl_slice_str(repo), url);
	assert(strlen(url) < TL_REF_URL_BYTES);
	assert(tl_repo_normalise(tl_slice_str(url), again) == TL_OK);
	assert(strcmp(repo, again) == 0);
}

static void
check_pr(struct tl_slice text)
{
	struct tl_pr_ref ref, again;
	char url[TL_REF_URL_BYTES];
	char shorthand[TL_REPO_BYTES_MAX + 16];

	if (tl_pr_parse(text, &ref))
		return;
	assert(ref.number >= 1 && ref.number <= TL_PR_MAX);
	snprintf(shorthand, sizeof(shorthand), "%s#%u", ref.repo, ref.number);
	assert(tl_pr_parse(tl_slice_str(shorthand), &again) == TL_OK);
	assert(again.number == ref.number && strcmp(again.repo, ref.repo) == 0);
	if (ref.repo[0] == '\0')
		return;
	tl_pr_url(tl_slice_str(ref.repo), ref.number, url);
	assert(tl_pr_parse(tl_slice_str(url), &again) == TL_OK);
	assert(again.number == ref.number && strcmp(again.repo, ref.repo) == 0);
}

static void
check_rest(struct tl_slice text)
{
	char commit[TL_COMMIT_BYTES_MAX + 1], commit_again[TL_COMMIT_BYTES_MAX + 1];
	char email[TL_EMAIL_BYTES_MAX + 1], email_again[TL_EMAIL_BYTES_MAX + 1];

	if (tl_commit_normalise(text, commit) == TL_OK) {
		assert(tl_commit_normalise(tl_slice_str(commit), commit_again) == TL_OK);
		assert(strcmp(commit, commit_again) == 0);
	}
	if (tl_email_normalise(text, email) && strlen(email) > 0) {
		assert(tl_email_normalise(tl_slice_str(email), email_again));
		assert(strcmp(email, email_again) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice text = tl_slice_of(data, bytes);

	check_repo(text);
	check_pr(text);
	check_rest(text);
	return 0;
}
