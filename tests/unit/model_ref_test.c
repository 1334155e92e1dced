#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "schema/model/ref.h"

static const struct {
	const char *says;
	const char *text;
	const char *name; /* NULL: refused */
} repos[] = {
	/* the forms */
	{"scp-like", "git@github.com:o/r.git", "github.com/o/r"},
	{"scp-like without .git", "git@github.com:o/r", "github.com/o/r"},
	{"scp-like without a user", "github.com:o/r.git", "github.com/o/r"},
	{"scp-like with an absolute path", "git@git.example.com:/o/r.git", "git.example.com/o/r"},
	{"https", "https://github.com/o/r.git", "github.com/o/r"},
	{"https with a slash at the end", "https://github.com/o/r/", "github.com/o/r"},
	{"http", "http://git.example.com/o/r", "git.example.com/o/r"},
	{"a port", "https://git.example.com:8443/o/r", "git.example.com/o/r"},
	{"a colon without a port", "https://git.example.com:/o/r", "git.example.com/o/r"},
	{"ssh with a port", "ssh://git@host.example:22/o/r", "host.example/o/r"},
	{"ssh without a user", "ssh://host.example/o/r", "host.example/o/r"},
	{"git", "git://git.kernel.org/pub/scm/git/git.git", "git.kernel.org/pub/scm/git/git"},
	{"git+ssh", "git+ssh://git@github.com/o/r.git", "github.com/o/r"},
	{"the scheme in upper case", "HTTPS://github.com/o/r", "github.com/o/r"},
	{"bare owner and name", "o/r", "github.com/o/r"},
	{"host, owner and name", "github.com/o/r", "github.com/o/r"},
	{"host and .git", "gitlab.com/o/r.git", "gitlab.com/o/r"},
	{"all in lower case", "git@GitHub.com:Owner/Repo.GIT", "github.com/owner/repo"},
	{".git twice", "o/r.git.git", "github.com/o/r"},
	{"a query and a fragment", "https://github.com/o/r?tab=readme#usage", "github.com/o/r"},
	{"an address in numbers", "http://10.0.0.7:3000/o/r", "10.0.0.7/o/r"},
	{"localhost", "http://localhost:3000/o/r", "localhost/o/r"},
	{"localhost again", "localhost/o/r", "localhost/o/r"},
	{"a port without a scheme", "git.example.com:8443/o/r", "git.example.com/o/r"},
	{"with a user a number is a group", "git@gitlab.com:2024/o/r", "gitlab.com/2024/o/r"},
	{"GitLab subgroups", "git@gitlab.com:group/sub/deep/r.git", "gitlab.com/group/sub/deep/r"},
	{"GitLab subgroups over https", "https://gitlab.com/group/sub/r", "gitlab.com/group/sub/r"},
	{"a page of GitLab", "https://gitlab.com/g/s/r/-/tree/main/src", "gitlab.com/g/s/r"},
	{"a page of GitHub", "https://github.com/o/r/tree/main/src", "github.com/o/r"},
	{"a repository that begins with a dot", "o/.github", "github.com/o/.github"},
	{"dots inside a name", "o/socket.io.js", "github.com/o/socket.io.js"},
	{"a user's tree", "https://git.sr.ht/~sircmpwn/scdoc", "git.sr.ht/~sircmpwn/scdoc"},
	{"another name of the same host", "ssh://git@ssh.github.com:443/o/r.git", "github.com/o/r"},
	{"www", "https://www.github.com/o/r", "github.com/o/r"},

	/* Azure DevOps */
	{"Azure", "https://dev.azure.com/org/project/_git/repo", "dev.azure.com/org/project/repo"},
	{"Azure with the organisation as user", "https://org@dev.azure.com/org/project/_git/repo",
		"dev.azure.com/org/project/repo"},
	{"Azure's old form", "https://org.visualstudio.com/project/_git/repo",
		"dev.azure.com/org/project/repo"},
	{"Azure's old form with a collection",
		"https://org.visualstudio.com/DefaultCollection/project/_git/repo",
		"dev.azure.com/org/project/repo"},
	{"Azure over ssh", "git@ssh.dev.azure.com:v3/org/project/repo",
		"dev.azure.com/org/project/repo"},
	{"Azure over ssh without a user", "ssh.dev.azure.com:v3/org/project/repo",
		"dev.azure.com/org/project/repo"},
	{"Azure's old ssh", "org@vs-ssh.visualstudio.com:v3/org/project/repo",
		"dev.azure.com/org/project/repo"},
	{"Azure with one name for both", "https://dev.azure.com/org/_git/repo",
		"dev.azure.com/org/repo/repo"},
	{"Azure's old form with one name for both", "https://org.visualstudio.com/_git/repo",
		"dev.azure.com/org/repo/repo"},
	{"Azure with a space in the project", "https://dev.azure.com/org/My%20Project/_git/repo",
		"dev.azure.com/org/my%20project/repo"},
	{"Azure, read again", "dev.azure.com/org/project/repo", "dev.azure.com/org/project/repo"},
	{"Azure with a query", "https://dev.azure.com/o/p/_git/r?path=/a&version=GBmain",
		"dev.azure.com/o/p/r"},
	{"Azure DevOps on one's own server", "https://tfs.example.com/tfs/Coll/project/_git/repo",
		"tfs.example.com/tfs/coll/project/repo"},
	{"Azure without a repository", "https://dev.azure.com/org/project", NULL},
	{"Azure over ssh without v3", "git@ssh.dev.azure.com:org/project/repo", NULL},
	{"nothing before visualstudio.com", "https://.visualstudio.com/project/_git/repo", NULL},

	/* credentials go */
	{"a user and a token", "https://user:tok@github.com/o/r", "github.com/o/r"},
	{"a token alone", "https://ghp_0123456789@github.com/o/r.git", "github.com/o/r"},
	{"an escaped password", "https://u:p%40ss@github.com/o/r", "github.com/o/r"},
	{"a token in the query", "https://github.com/o/r?access_token=secret", "github.com/o/r"},
	{"a user that looks like a host is not the host", "https://github.com@evil.example/o/r",
		"evil.example/o/r"},

	/* hostile or useless */
	{"nothing", "", NULL},
	{"a slash", "/", NULL},
	{"one part", "repo", NULL},
	{"a host alone", "github.com", NULL},
	{"a host and an owner", "github.com/o", NULL},
	{"a URL with one part", "https://github.com/o", NULL},
	{"a URL without a path", "https://github.com", NULL},
	{"a URL with an empty path", "https://github.com/", NULL},
	{"a URL without a host", "https:///o/r", NULL},
	{"a URL without anything", "https://", NULL},
	{"no scheme", "://github.com/o/r", NULL},
	{"the same scheme", "//github.com/o/r", NULL},
	{"a file", "file:///home/me/o/r", NULL},
	{"javascript", "javascript://github.com/o/r", NULL},
	{"a path", "/home/me/repo", NULL},
	{"a path from here", "./repo/x", NULL},
	{"a path upwards", "../o/r", NULL},
	{"a path on Windows", "C:\\code\\repo", NULL},
	{"a path on Windows with slashes", "C:/code/repo", NULL},
	{"upwards inside", "https://github.com/o/../r", NULL},
	{"escaped upwards", "https://github.com/o/%2e%2e/r", NULL},
	{"an escaped slash", "https://github.com/o%2fr/x", NULL},
	{"an escaped zero", "https://github.com/o/r%00", NULL},
	{"half an escape", "https://dev.azure.com/o/p%2/_git/r", NULL},
	{"an empty part", "https://github.com/o//r", NULL},
	{"an empty part first", "https://github.com//o/r", NULL},
	{"two slashes at the end", "https://github.com/o/r//", NULL},
	{"a name that is only .git", "o/.git", NULL},
	{"a space", "git@github.com:o/r r", NULL},
	{"a space at the end", "o/r ", NULL},
	{"a newline at the end", "o/r\n", NULL},
	{"a tab", "o\t/r", NULL},
	{"DEL", "o/r\x7f", NULL},
	{"letters outside ASCII", "o/r\xc3\xa9", NULL},
	{"a host outside ASCII", "https://g\xc3\xaathub.com/o/r", NULL},
	{"two users", "https://a@b@github.com/o/r", NULL},
	{"two users, scp-like", "a@b@github.com:o/r", NULL},
	{"an @ in the path", "git@github.com:o/r@v1", NULL},
	{"an @ without a scheme", "user@github.com/o/r", NULL},
	{"a password without a scheme", "user:tok@github.com/o/r", NULL},
	{"a backslash before the @", "https://github.com\\@evil.example/o/r", NULL},
	{"a fragment before the @", "https://github.com#@evil.example/o/r", NULL},
	{"a query before the path", "https://github.com?x=/o/r", NULL},
	{"a port that is none", "https://github.com:80x/o/r", NULL},
	{"a port too long", "https://github.com:123456/o/r", NULL},
	{"a host without a dot", "https://gitserver/o/r", NULL},
	{"a host without a dot, scp-like", "git@gitserver:o/r", NULL},
	{"three parts without a host", "group/sub/repo", NULL},
	{"a host that begins with a dot", "https://.com/o/r", NULL},
	{"a host that ends with a dot", "https://github.com./o/r", NULL},
	{"two dots in a host", "https://github..com/o/r", NULL},
	{"a hyphen before a dot", "https://github-.com/o/r", NULL},
	{"an underscore in a host", "https://git_hub.com/o/r", NULL},
	{"an IPv6 host", "https://[::1]/o/r", NULL},
	{"an owner with a dot", "o.x/r", NULL},
	{"more parts than GitHub has", "github.com/a/b/c", NULL},
	{"a shell's dollar", "o/$(id)", NULL},
	{"an option", "--upload-pack=x/r", NULL},
	{"angle brackets", "o/<b>", NULL},
	{"a quote", "o/r'", NULL},
	{"a GitLab page without a repository", "https://gitlab.com/o/-/r", NULL},
	{"a name that .git hides", "https://gitlab.com/o/r/_git.git", NULL},
	{"another that .git hides", "https://gitlab.com/o/-.git", NULL},
};

static void
repos_have_one_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(repos) / sizeof(repos[0]); i++) {
		char name[TL_REPO_BYTES_MAX + 1] = "untouched";
		enum tl_err err = tl_repo_normalise(tl_slice_str(repos[i].text), name);

		if (repos[i].name == NULL) {
			if (err != TL_EREPO_INVALID || strcmp(name, "untouched") != 0)
				fail_msg("%s: '%s' gave '%s'", repos[i].says, repos[i].text, name);
		} else if (err || strcmp(name, repos[i].name) != 0) {
			fail_msg("%s: '%s' gave '%s'", repos[i].says, repos[i].text, name);
		}
	}
}

static void
a_zero_byte_is_refused(void **state)
{
	char name[TL_REPO_BYTES_MAX + 1];

	(void)state;
	assert_int_equal(tl_repo_normalise(tl_slice_of("o/r\0", 4), name), TL_EREPO_INVALID);
	assert_int_equal(tl_repo_normalise(tl_slice_of("o\0/r", 4), name), TL_EREPO_INVALID);
	assert_int_equal(tl_repo_normalise(tl_slice_of(NULL, 0), name), TL_EREPO_INVALID);
}

static void
a_repo_is_as_long_as_the_limit_and_no_longer(void **state)
{
	char text[TL_REPO_BYTES_MAX + 32];
	char name[TL_REPO_BYTES_MAX + 1];
	size_t bytes;

	(void)state;
	snprintf(text, sizeof(text), "gitlab.com/o/");
	bytes = strlen(text);
	memset(text + bytes, 'r', sizeof(text) - bytes);
	assert_int_equal(tl_repo_normalise(tl_slice_of(text, TL_REPO_BYTES_MAX), name), TL_OK);
	assert_int_equal(strlen(name), TL_REPO_BYTES_MAX);
	assert_int_equal(tl_repo_normalise(tl_slice_of(text, TL_REPO_BYTES_MAX + 1), name),
		TL_EREPO_INVALID);
	/* a bare name grows by its host */
	assert_int_equal(
		tl_repo_normalise(tl_slice_of(text + 11, TL_REPO_BYTES_MAX - 11), name), TL_OK);
	assert_int_equal(tl_repo_normalise(tl_slice_of(text + 11, TL_REPO_BYTES_MAX - 10), name),
		TL_EREPO_INVALID);
	/* a path with more parts than can be held */
	for (size_t i = 0; i < 60; i++)
		memcpy(text + 10 + i * 2, "/a", 2);
	assert_int_equal(tl_repo_normalise(tl_slice_of(text, 130), name), TL_EREPO_INVALID);
}

/* Texts put together from what the rules look at; whatever is accepted is its own normal form. */
static void
normalising_twice_changes_nothing(void **state)
{
	static const char *const pieces[] = {"https://", "ssh://", "git@", "user:tok@",
		"github.com", "gitlab.com", "dev.azure.com", "ssh.dev.azure.com",
		"org.visualstudio.com", "vs-ssh.visualstudio.com", "bitbucket.org", "localhost",
		"www.github.com", "git.example.com", "/", "/", "/", "/", "/", ":", ":22", "v3",
		"_git", "-", ".git", ".git", "o", "r", "O", "R2", "~u", "tree", "pull",
		"DefaultCollection", "%20", ".", "..", "#1", "?x", "7"};
	enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };
	int accepted = 0;

	(void)state;
	srand(11);
	for (int round = 0; round < 1000000; round++) {
		char text[400] = "";
		char once[TL_REPO_BYTES_MAX + 1];
		char twice[TL_REPO_BYTES_MAX + 1];

		for (int i = rand() % 10 + 2; i > 0; i--)
			strcat(text, pieces[rand() % PIECES]);
		if (tl_repo_normalise(tl_slice_str(text), once))
			continue;
		accepted++;
		if (tl_repo_normalise(tl_slice_str(once), twice) || strcmp(once, twice) != 0)
			fail_msg("'%s' gave '%s' and that '%s'", text, once, twice);
		if (strstr(once, "tok") != NULL || strchr(once, '@') != NULL)
			fail_msg("'%s' kept its user: '%s'", text, once);
	}
	assert_true(accepted > 1000);
}

static const struct {
	const char *says;
	const char *repo;
	const char *repo_url;
	const char *pr_url; /* of number 7 */
} urls[] = {
	{"GitHub", "github.com/o/r", "https://github.com/o/r", "https://github.com/o/r/pull/7"},
	{"GitLab", "gitlab.com/o/r", "https://gitlab.com/o/r",
		"https://gitlab.com/o/r/-/merge_requests/7"},
	{"groups in groups are a GitLab", "git.example.com/a/b/c", "https://git.example.com/a/b/c",
		"https://git.example.com/a/b/c/-/merge_requests/7"},
	{"GitHub on one's own server", "git.example.com/o/r", "https://git.example.com/o/r",
		"https://git.example.com/o/r/pull/7"},
	{"Bitbucket", "bitbucket.org/o/r", "https://bitbucket.org/o/r",
		"https://bitbucket.org/o/r/pull-requests/7"},
	{"Azure", "dev.azure.com/org/project/repo", "https://dev.azure.com/org/project/_git/repo",
		"https://dev.azure.com/org/project/_git/repo/pullrequest/7"},
	{"Codeberg", "codeberg.org/o/r", "https://codeberg.org/o/r",
		"https://codeberg.org/o/r/pulls/7"},
};

static void
urls_open_the_page_of_the_forge(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct tl_slice repo = tl_slice_str(urls[i].repo);
		char url[TL_REF_URL_BYTES];
		char back[TL_REPO_BYTES_MAX + 1];
		struct tl_pr_ref ref;

		tl_repo_url(repo, url);
		if (strcmp(url, urls[i].repo_url) != 0)
			fail_msg("%s: '%s'", urls[i].says, url);
		assert_int_equal(tl_repo_normalise(tl_slice_str(url), back), TL_OK);
		assert_string_equal(back, urls[i].repo);
		tl_pr_url(repo, 7, url);
		if (strcmp(url, urls[i].pr_url) != 0)
			fail_msg("%s: '%s'", urls[i].says, url);
		assert_int_equal(tl_pr_parse(tl_slice_str(url), &ref), TL_OK);
		assert_string_equal(ref.repo, urls[i].repo);
		assert_int_equal(ref.number, 7);
	}
}

static void
the_longest_urls_fit(void **state)
{
	static const char *const hosts[] = {"gitlab.com/o/", "dev.azure.com/o/p/", "github.com/o/"};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		char repo[TL_REPO_BYTES_MAX];
		char url[TL_REF_URL_BYTES];

		memset(repo, 'r', sizeof(repo));
		memcpy(repo, hosts[i], strlen(hosts[i]));
		tl_pr_url(tl_slice_of(repo, sizeof(repo)), TL_PR_MAX, url);
		assert_string_equal(url + strlen(url) - 11, "/1000000000");
	}
}

static const struct {
	const char *says;
	const char *text;
	const char *repo; /* NULL: refused */
	uint32_t number;
} pulls[] = {
	{"a number", "123", "", 123},
	{"a number with a hash", "#123", "", 123},
	{"zeros in front", "007", "", 7},
	{"the largest", "1000000000", "", 1000000000},
	{"one above the largest", "1000000001", NULL, 0},
	{"far too large", "99999999999999999999", NULL, 0},
	{"zero", "0", NULL, 0},
	{"zero with a hash", "#0", NULL, 0},
	{"a bare repo and a number", "o/r#45", "github.com/o/r", 45},
	{"in upper case", "Owner/Repo#45", "github.com/owner/repo", 45},
	{"a whole repo and a number", "gitlab.com/g/s/r#45", "gitlab.com/g/s/r", 45},
	{"GitHub", "https://github.com/o/r/pull/12", "github.com/o/r", 12},
	{"one of its pages", "https://github.com/o/r/pull/12/files", "github.com/o/r", 12},
	{"one of its comments", "https://github.com/o/r/pull/12#issuecomment-99", "github.com/o/r",
		12},
	{"with a query", "https://github.com/o/r/pull/12?diff=split", "github.com/o/r", 12},
	{"with a slash at the end", "https://github.com/o/r/pull/12/", "github.com/o/r", 12},
	{"with a user", "https://u:tok@github.com/o/r/pull/12", "github.com/o/r", 12},
	{"without a scheme", "github.com/o/r/pull/12", "github.com/o/r", 12},
	{"GitLab", "https://gitlab.com/g/s/r/-/merge_requests/3", "gitlab.com/g/s/r", 3},
	{"GitLab, before the hyphen came", "https://gitlab.com/g/r/merge_requests/3",
		"gitlab.com/g/r", 3},
	{"one of its pages", "https://gitlab.com/g/r/-/merge_requests/3/diffs", "gitlab.com/g/r",
		3},
	{"Bitbucket", "https://bitbucket.org/o/r/pull-requests/9", "bitbucket.org/o/r", 9},
	{"Azure", "https://dev.azure.com/org/project/_git/repo/pullrequest/77",
		"dev.azure.com/org/project/repo", 77},
	{"Azure's old form", "https://org.visualstudio.com/project/_git/repo/pullrequest/77",
		"dev.azure.com/org/project/repo", 77},
	{"Gitea", "https://codeberg.org/o/r/pulls/5", "codeberg.org/o/r", 5},
	{"an owner called pull", "https://github.com/pull/pull/pull/5", "github.com/pull/pull", 5},
	{"an owner called pull and a numbered name", "https://github.com/pull/5/pull/7",
		"github.com/pull/5", 7},
	{"nothing", "", NULL, 0},
	{"a hash", "#", NULL, 0},
	{"a word", "#abc", NULL, 0},
	{"a sign", "-5", NULL, 0},
	{"a plus", "+5", NULL, 0},
	{"a fraction", "1.5", NULL, 0},
	{"a space", "# 5", NULL, 0},
	{"a space after", "5 ", NULL, 0},
	{"two hashes", "o/r##5", NULL, 0},
	{"something behind the number", "o/r#5x", NULL, 0},
	{"no owner", "r#5", NULL, 0},
	{"a repo alone", "o/r", NULL, 0},
	{"a repo's URL", "https://github.com/o/r", NULL, 0},
	{"an issue", "https://github.com/o/r/issues/5", NULL, 0},
	{"a pull without a number", "https://github.com/o/r/pull/", NULL, 0},
	{"a pull numbered in words", "https://github.com/o/r/pull/five", NULL, 0},
	{"a pull numbered 0", "https://github.com/o/r/pull/0", NULL, 0},
	{"a pull above the largest", "https://github.com/o/r/pull/1000000001", NULL, 0},
	{"a pull of nothing", "https://github.com/pull/5", NULL, 0},
	{"a newline", "https://github.com/o/r/pull/5\n", NULL, 0},
	{"upwards", "https://github.com/o/../pull/5", NULL, 0},
};

static void
pull_requests_are_read_in_every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pulls) / sizeof(pulls[0]); i++) {
		struct tl_pr_ref ref = {.repo = "untouched", .number = 99};
		enum tl_err err = tl_pr_parse(tl_slice_str(pulls[i].text), &ref);

		if (pulls[i].repo == NULL) {
			if (err != TL_EPR_INVALID || ref.number != 99)
				fail_msg("%s: '%s' gave '%s' #%u", pulls[i].says, pulls[i].text,
					ref.repo, ref.number);
		} else if (err || strcmp(ref.repo, pulls[i].repo) != 0 ||
			   ref.number != pulls[i].number) {
			fail_msg("%s: '%s' gave '%s' #%u", pulls[i].says, pulls[i].text, ref.repo,
				ref.number);
		}
	}
}

static const struct {
	const char *says;
	const char *text;
	const char *name; /* NULL: refused */
} commits[] = {
	{"a short one", "0a1b2c3", "0a1b2c3"},
	{"lowered", "0A1B2C3DEF", "0a1b2c3def"},
	{"six digits", "0a1b2c", NULL},
	{"SHA-1", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
		"da39a3ee5e6b4b0d3255bfef95601890afd80709"},
	{"64 digits", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
	{"65 digits", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", NULL},
	{"a letter past f", "0a1b2c3g", NULL},
	{"a branch", "main", NULL},
	{"a space", "0a1b2c3 ", NULL},
	{"nothing", "", NULL},
};

static void
commits_are_hex_digits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(commits) / sizeof(commits[0]); i++) {
		char name[TL_COMMIT_BYTES_MAX + 1] = "untouched";
		enum tl_err err = tl_commit_normalise(tl_slice_str(commits[i].text), name);
		const char *wanted = commits[i].name != NULL ? commits[i].name : "untouched";

		if (err != (commits[i].name != NULL ? TL_OK : TL_ECOMMIT_INVALID) ||
			strcmp(name, wanted) != 0)
			fail_msg("%s: '%s'", commits[i].says, name);
	}
}

static const struct {
	const char *says;
	const char *text;
	const char *email; /* NULL: refused */
} emails[] = {
	{"as it is", "ann@example.com", "ann@example.com"},
	{"letters are lowered", "Ann.Lee@Example.COM", "ann.lee@example.com"},
	{"spaces at both ends go", "  ann@example.com \t\r\n", "ann@example.com"},
	{"other letters stay", "\xc3\x84nn@example.com", "\xc3\x84nn@example.com"},
	{"a tag stays", "ann+x@example.com", "ann+x@example.com"},
	{"no @", "ann.example.com", NULL},
	{"nothing", "", NULL},
	{"spaces", "   ", NULL},
};

static void
emails_have_one_spelling(void **state)
{
	char text[TL_EMAIL_BYTES_MAX + 8];
	char email[TL_EMAIL_BYTES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(emails) / sizeof(emails[0]); i++) {
		bool good;

		snprintf(email, sizeof(email), "untouched");
		good = tl_email_normalise(tl_slice_str(emails[i].text), email);
		if (good != (emails[i].email != NULL) ||
			strcmp(email, good ? emails[i].email : "untouched") != 0)
			fail_msg("%s: '%s'", emails[i].says, email);
	}
	memset(text, 'a', sizeof(text));
	text[1] = '@';
	assert_true(tl_email_normalise(tl_slice_of(text, TL_EMAIL_BYTES_MAX), email));
	assert_int_equal(strlen(email), TL_EMAIL_BYTES_MAX);
	assert_false(tl_email_normalise(tl_slice_of(text, TL_EMAIL_BYTES_MAX + 1), email));
	text[TL_EMAIL_BYTES_MAX] = ' ';
	assert_true(tl_email_normalise(tl_slice_of(text, TL_EMAIL_BYTES_MAX + 1), email));
	assert_false(tl_email_normalise(tl_slice_of("a@b\0c", 5), email));
	assert_false(tl_email_normalise(tl_slice_of(NULL, 0), email));
}

static void
agent_types_have_titles(void **state)
{
	const char *own = "my_agent";

	(void)state;
	assert_string_equal(tl_agent_type_title("claude_code"), "Claude Code");
	assert_string_equal(tl_agent_type_title("codex"), "Codex");
	assert_string_equal(tl_agent_type_title("opencode"), "OpenCode");
	assert_ptr_equal(tl_agent_type_title(own), own);
	assert_string_equal(tl_agent_type_title(""), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repos_have_one_spelling),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(a_repo_is_as_long_as_the_limit_and_no_longer),
		cmocka_unit_test(normalising_twice_changes_nothing),
		cmocka_unit_test(urls_open_the_page_of_the_forge),
		cmocka_unit_test(the_longest_urls_fit),
		cmocka_unit_test(pull_requests_are_read_in_every_form),
		cmocka_unit_test(commits_are_hex_digits),
		cmocka_unit_test(emails_have_one_spelling),
		cmocka_unit_test(agent_types_have_titles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
