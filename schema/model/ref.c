/*
 * A repository's text is split into a host and the parts of a path, whatever form it came in; the
 * rules of the large forges then reduce the parts to owner and name. The result read again has the
 * same host and parts, so normalising twice changes nothing.
 */
#include "schema/model/ref.h"

#include <assert.h>
#include <stdio.h>

#define PARTS_MAX 24 /* GitLab nests groups 20 deep */
#define GITHUB "github.com"
#define BITBUCKET "bitbucket.org"
#define AZURE "dev.azure.com"
#define AZURE_OLD ".visualstudio.com" /* the organisation stands before it */

struct location {
	struct tl_slice host;
	struct tl_slice part[PARTS_MAX];
	size_t part_count;
};

static const struct tl_slice nothing = {0};

static uint8_t
lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool
is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool
is_alnum(uint8_t byte)
{
	return is_digit(byte) || (lower(byte) >= 'a' && lower(byte) <= 'z');
}

static struct tl_slice
slice_from(struct tl_slice text, size_t start)
{
	return tl_slice_of(text.data + start, text.bytes - start);
}

/* Equal but for the case of ASCII letters; word is lower case. */
static bool
slice_is(struct tl_slice text, const char *word)
{
	if (text.bytes != strlen(word))
		return false;
	for (size_t i = 0; i < text.bytes; i++) {
		if (lower(text.data[i]) != (uint8_t)word[i])
			return false;
	}
	return true;
}

static bool
slice_ends(struct tl_slice text, const char *word)
{
	size_t bytes = strlen(word);

	return text.bytes >= bytes && slice_is(slice_from(text, text.bytes - bytes), word);
}

static bool
slice_has(struct tl_slice text, const char *word)
{
	size_t bytes = strlen(word);

	for (size_t i = 0; i + bytes <= text.bytes; i++) {
		if (slice_is(tl_slice_of(text.data + i, bytes), word))
			return true;
	}
	return false;
}

/* Index of the first byte that is one of set, or text.bytes. */
static size_t
slice_find(struct tl_slice text, const char *set)
{
	size_t at = text.bytes;

	for (; *set != '\0' && at > 0; set++) {
		const uint8_t *found = memchr(text.data, *set, at);

		if (found != NULL)
			at = (size_t)(found - text.data);
	}
	return at;
}

/* Takes text up to a byte of set, and that byte, off the front of *rest. */
static struct tl_slice
slice_cut(struct tl_slice *rest, const char *set)
{
	size_t at = slice_find(*rest, set);
	struct tl_slice head = tl_slice_of(rest->data, at);

	*rest = at < rest->bytes ? slice_from(*rest, at + 1) : nothing;
	return head;
}

static bool
slice_is_number(struct tl_slice text)
{
	size_t i = 0;

	while (i < text.bytes && is_digit(text.data[i]))
		i++;
	return i > 0 && i == text.bytes;
}

/* No control byte, space, backslash or anything outside ASCII, in no form. */
static bool
is_plain(struct tl_slice text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~' || text.data[i] == '\\')
			return false;
	}
	return true;
}

/* Labels of letters, digits and inner hyphens; at least two of them, except for localhost. */
static bool
is_host(struct tl_slice host)
{
	size_t dot_count = 0;
	struct tl_slice rest = host;

	if (slice_is(host, "localhost"))
		return true;
	while (rest.bytes > 0) {
		bool more = slice_find(rest, ".") < rest.bytes;
		struct tl_slice label = slice_cut(&rest, ".");

		if (label.bytes == 0 || label.bytes > 63 || (more && rest.bytes == 0))
			return false;
		if (label.data[0] == '-' || label.data[label.bytes - 1] == '-')
			return false;
		for (size_t i = 0; i < label.bytes; i++) {
			if (!is_alnum(label.data[i]) && label.data[i] != '-')
				return false;
		}
		dot_count += more;
	}
	return dot_count > 0;
}

/* One part of a path. The only escape taken is a space, which Azure has in names of projects. */
static bool
is_part(struct tl_slice part)
{
	if (part.bytes == 0 || slice_is(part, ".") || slice_is(part, ".."))
		return false;
	for (size_t i = 0; i < part.bytes; i++) {
		uint8_t byte = part.data[i];

		if (byte == '%' && i + 2 < part.bytes && part.data[i + 1] == '2' &&
			part.data[i + 2] == '0') {
			i += 2;
			continue;
		}
		if (byte == '~' && i == 0 && part.bytes > 1)
			continue;
		if (!is_alnum(byte) && strchr("._-+", byte) == NULL)
			return false;
	}
	return true;
}

static bool
is_owner(struct tl_slice part)
{
	for (size_t i = 0; i < part.bytes; i++) {
		if (!is_alnum(part.data[i]) && part.data[i] != '-' && part.data[i] != '_')
			return false;
	}
	return part.bytes > 0;
}

/* One '/' at the end is forgiven; every part must be good. */
static bool
split_path(struct tl_slice path, struct location *location)
{
	location->part_count = 0;
	if (path.bytes > 0 && path.data[path.bytes - 1] == '/')
		path.bytes--;
	for (;;) {
		bool more = slice_find(path, "/") < path.bytes;
		struct tl_slice part = slice_cut(&path, "/");

		if (!is_part(part) || location->part_count == PARTS_MAX)
			return false;
		location->part[location->part_count++] = part;
		if (!more)
			return true;
		if (path.bytes == 0)
			return false;
	}
}

/* The user, a password or token among it, ends here. A second '@' could hide the host: refused. */
static bool
drop_user(struct tl_slice *authority)
{
	size_t at = slice_find(*authority, "@");

	if (at == authority->bytes)
		return true;
	*authority = slice_from(*authority, at + 1);
	return slice_find(*authority, "@") == authority->bytes;
}

static void
parts_remove(struct location *location, size_t part_idx)
{
	location->part_count--;
	memmove(&location->part[part_idx], &location->part[part_idx + 1],
		(location->part_count - part_idx) * sizeof(location->part[0]));
}

/* After "scheme://": [user[:password]@]host[:port]/path[?query][#fragment] */
static bool
split_url(struct tl_slice scheme, struct tl_slice rest, struct location *location)
{
	static const char *const schemes[] = {
		"https", "http", "ssh", "git", "git+ssh", "ssh+git", "git+https", "git+http"};
	size_t at = slice_find(rest, "/?#");
	struct tl_slice authority = tl_slice_of(rest.data, at);
	bool known = false;

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		known = known || slice_is(scheme, schemes[i]);
	if (!known || at == rest.bytes || rest.data[at] != '/' || !drop_user(&authority))
		return false;
	location->host = slice_cut(&authority, ":");
	if (authority.bytes > 0 && (authority.bytes > 5 || !slice_is_number(authority)))
		return false;
	rest = slice_from(rest, at + 1);
	rest.bytes = slice_find(rest, "?#");
	return split_path(rest, location);
}

/* [user@]host:path, or without a user host:port/path when that is what it must be. */
static bool
split_scp(struct tl_slice text, size_t colon_at, struct location *location)
{
	struct tl_slice authority = tl_slice_of(text.data, colon_at);
	struct tl_slice path = slice_from(text, colon_at + 1);

	if (!drop_user(&authority))
		return false;
	location->host = authority;
	if (path.bytes > 0 && path.data[0] == '/')
		path = slice_from(path, 1);
	if (!split_path(path, location))
		return false;
	if (authority.bytes == colon_at && location->part_count >= 3 &&
		slice_is_number(location->part[0]) && location->part[0].bytes <= 5)
		parts_remove(location, 0);
	return true;
}

/* owner/name, or host/owner/name. */
static bool
split_bare(struct tl_slice text, struct location *location)
{
	if (!split_path(text, location))
		return false;
	if (location->part_count == 2) {
		location->host = tl_slice_str(GITHUB);
		return is_owner(location->part[0]);
	}
	location->host = location->part[0];
	parts_remove(location, 0);
	return true;
}

static bool
split(struct tl_slice text, struct location *location)
{
	size_t at = slice_find(text, ":/");

	if (!is_plain(text))
		return false;
	if (at == text.bytes || text.data[at] == '/')
		return split_bare(text, location);
	if (text.bytes - at >= 3 && memcmp(text.data + at, "://", 3) == 0)
		return split_url(tl_slice_of(text.data, at), slice_from(text, at + 3), location);
	return split_scp(text, at, location);
}

static bool
parts_insert(struct location *location, size_t part_idx, struct tl_slice part)
{
	if (location->part_count == PARTS_MAX)
		return false;
	memmove(&location->part[part_idx + 1], &location->part[part_idx],
		(location->part_count - part_idx) * sizeof(location->part[0]));
	location->part[part_idx] = part;
	location->part_count++;
	return true;
}

/*
 * Azure DevOps has org/project/_git/repo, and org/_git/repo when both have one name; before 2018
 * the organisation was in the host; over ssh the path is v3/org/project/repo.
 */
static bool
reduce_azure(struct location *location)
{
	struct tl_slice host = location->host;

	if (slice_is(host, "ssh." AZURE) || slice_is(host, "vs-ssh" AZURE_OLD)) {
		if (!slice_is(location->part[0], "v3"))
			return false;
		parts_remove(location, 0);
	} else if (slice_ends(host, AZURE_OLD)) {
		struct tl_slice org = tl_slice_of(host.data, host.bytes - strlen(AZURE_OLD));

		if (slice_is(location->part[0], "defaultcollection"))
			parts_remove(location, 0);
		if (slice_find(org, ".") < org.bytes || !parts_insert(location, 0, org))
			return false;
	}
	location->host = tl_slice_str(AZURE);
	if (location->part_count == 3 && slice_is(location->part[1], "_git"))
		location->part[1] = location->part[2];
	else if (location->part_count == 4 && slice_is(location->part[2], "_git"))
		parts_remove(location, 2);
	for (size_t i = 0; i < location->part_count; i++) {
		if (slice_is(location->part[i], "_git"))
			return false;
	}
	return location->part_count == 3;
}

/* The forges without groups in groups: what follows owner/name is a page about the repository. */
static bool
reduce_pages(struct location *location)
{
	static const char *const pages[] = {"tree", "blob", "pull", "pulls", "issues", "commit",
		"commits", "compare", "releases", "actions", "wiki", "src", "branch", "branches",
		"pull-requests"};

	if (location->part_count == 2)
		return true;
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (location->part_count > 2 && slice_is(location->part[2], pages[i]))
			location->part_count = 2;
	}
	return location->part_count == 2;
}

/*
 * Everywhere else: GitLab's pages come after "/-", and an Azure DevOps server has _git too. One
 * part fewer than there is room for, because read again the host is a part of its own.
 */
static bool
reduce_other(struct location *location)
{
	for (size_t i = 0; i < location->part_count;) {
		if (slice_is(location->part[i], "-"))
			location->part_count = i;
		else if (slice_is(location->part[i], "_git"))
			parts_remove(location, i);
		else
			i++;
	}
	return location->part_count >= 2 && location->part_count < PARTS_MAX;
}

static bool
reduce(struct location *location)
{
	static const char *const aliases[][2] = {{"www.github.com", GITHUB},
		{"ssh.github.com", GITHUB}, {"www.gitlab.com", "gitlab.com"},
		{"altssh.gitlab.com", "gitlab.com"}, {"www.bitbucket.org", BITBUCKET},
		{"altssh.bitbucket.org", BITBUCKET}};

	if (!is_host(location->host))
		return false;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (slice_is(location->host, aliases[i][0]))
			location->host = tl_slice_str(aliases[i][1]);
	}
	if (slice_is(location->host, AZURE) || slice_is(location->host, "ssh." AZURE) ||
		slice_ends(location->host, AZURE_OLD))
		return reduce_azure(location);
	if (slice_is(location->host, GITHUB) || slice_is(location->host, BITBUCKET))
		return reduce_pages(location);
	return reduce_other(location);
}

/*
 * "name.git" is the same repository as "name", and so is "name.git.git": reading twice is safe. For
 * the same reason nothing may come out that reduce_other would drop.
 */
static bool
drop_git(struct tl_slice *name)
{
	while (slice_ends(*name, ".git"))
		name->bytes -= strlen(".git");
	return is_part(*name) && !slice_is(*name, "-") && !slice_is(*name, "_git");
}

static bool
put_lowered(char *text, size_t bytes_max, size_t *bytes, struct tl_slice slice)
{
	if (slice.bytes > bytes_max - *bytes)
		return false;
	for (size_t i = 0; i < slice.bytes; i++)
		text[(*bytes)++] = (char)lower(slice.data[i]);
	return true;
}

static bool
join(const struct location *location, char name_out[TL_REPO_BYTES_MAX + 1])
{
	char name[TL_REPO_BYTES_MAX + 1];
	size_t bytes = 0;

	if (!put_lowered(name, TL_REPO_BYTES_MAX, &bytes, location->host))
		return false;
	for (size_t i = 0; i < location->part_count; i++) {
		if (!put_lowered(name, TL_REPO_BYTES_MAX, &bytes, tl_slice_str("/")) ||
			!put_lowered(name, TL_REPO_BYTES_MAX, &bytes, location->part[i]))
			return false;
	}
	memcpy(name_out, name, bytes);
	name_out[bytes] = '\0';
	return true;
}

enum tl_err
tl_repo_normalise(struct tl_slice text, char name_out[TL_REPO_BYTES_MAX + 1])
{
	struct location location = {0};

	if (!split(text, &location) || !reduce(&location))
		return TL_EREPO_INVALID;
	if (!drop_git(&location.part[location.part_count - 1]))
		return TL_EREPO_INVALID;
	return join(&location, name_out) ? TL_OK : TL_EREPO_INVALID;
}

/* Where a forge shows pull requests. */
enum forge {
	FORGE_GITHUB,
	FORGE_GITLAB,
	FORGE_BITBUCKET,
	FORGE_AZURE,
	FORGE_GITEA,
};

/* By the host's name; a server of another name with groups in groups can only be a GitLab. */
static enum forge
forge_of(struct tl_slice repo)
{
	struct tl_slice path = repo;
	struct tl_slice host = slice_cut(&path, "/");
	size_t owner_bytes = slice_find(path, "/");
	bool nested = owner_bytes < path.bytes && slice_has(slice_from(path, owner_bytes + 1), "/");

	if (!nested && slice_is(host, "github.com")) /* nearly always, and in every card */
		return FORGE_GITHUB;
	if (slice_is(host, AZURE))
		return FORGE_AZURE;
	if (slice_has(host, "bitbucket"))
		return FORGE_BITBUCKET;
	if (slice_has(host, "gitea") || slice_has(host, "forgejo") ||
		slice_is(host, "codeberg.org"))
		return FORGE_GITEA;
	return nested || slice_has(host, "gitlab") ? FORGE_GITLAB : FORGE_GITHUB;
}

/* The page of the repository; how long it is. */
static size_t
put_repo_url(struct tl_slice repo, enum forge forge, char url_out[TL_REF_URL_BYTES])
{
	static const char scheme[] = "https://";
	int owner_bytes = (int)repo.bytes;

	assert(repo.bytes <= TL_REPO_BYTES_MAX);
	if (forge == FORGE_AZURE) {
		while (owner_bytes > 0 && repo.data[owner_bytes - 1] != '/')
			owner_bytes--;
		return (size_t)snprintf(url_out, TL_REF_URL_BYTES, "%s%.*s_git/%.*s", scheme,
			owner_bytes, (const char *)repo.data, (int)repo.bytes - owner_bytes,
			(const char *)repo.data + owner_bytes);
	}
	memcpy(url_out, scheme, sizeof(scheme));
	if (repo.bytes > 0)
		memcpy(url_out + sizeof(scheme) - 1, repo.data, repo.bytes);
	url_out[sizeof(scheme) - 1 + repo.bytes] = '\0';
	return sizeof(scheme) - 1 + repo.bytes;
}

void
tl_repo_url(struct tl_slice repo, char url_out[TL_REF_URL_BYTES])
{
	put_repo_url(repo, forge_of(repo), url_out);
}

void
tl_pr_url(struct tl_slice repo, uint32_t number, char url_out[TL_REF_URL_BYTES])
{
	static const char *const pages[] = {
		[FORGE_GITHUB] = "pull",
		[FORGE_GITLAB] = "-/merge_requests",
		[FORGE_BITBUCKET] = "pull-requests",
		[FORGE_AZURE] = "pullrequest",
		[FORGE_GITEA] = "pulls",
	};
	enum forge forge = forge_of(repo);
	size_t bytes = put_repo_url(repo, forge, url_out);

	snprintf(url_out + bytes, TL_REF_URL_BYTES - bytes, "/%s/%u", pages[forge],
		(unsigned)number);
}

static bool
parse_number(struct tl_slice text, uint32_t *number_out)
{
	uint32_t number = 0;

	if (!slice_is_number(text))
		return false;
	for (size_t i = 0; i < text.bytes; i++) {
		if (number > TL_PR_MAX / 10)
			return false;
		number = number * 10 + (uint32_t)(text.data[i] - '0');
	}
	if (number == 0 || number > TL_PR_MAX)
		return false;
	*number_out = number;
	return true;
}

/* .../pull/N and its kin: the first such place with a repository before it and a number after. */
static bool
parse_pr_url(struct tl_slice text, struct tl_pr_ref *ref)
{
	static const char *const pages[] = {
		"pull", "pulls", "merge_requests", "pull-requests", "pullrequest"};

	for (size_t at = 0; at < text.bytes; at++) {
		struct tl_slice rest = slice_from(text, at + 1);
		struct tl_slice page;
		bool known = false;

		if (text.data[at] != '/')
			continue;
		page = slice_cut(&rest, "/");
		for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
			known = known || slice_is(page, pages[i]);
		if (known && parse_number(slice_cut(&rest, "/?#"), &ref->number) &&
			tl_repo_normalise(tl_slice_of(text.data, at), ref->repo) == TL_OK)
			return true;
	}
	return false;
}

/* #N and owner/name#N */
static bool
parse_pr_hash(struct tl_slice text, struct tl_pr_ref *ref)
{
	size_t at = slice_find(text, "#");

	if (at == text.bytes || !parse_number(slice_from(text, at + 1), &ref->number))
		return false;
	return at == 0 || tl_repo_normalise(tl_slice_of(text.data, at), ref->repo) == TL_OK;
}

enum tl_err
tl_pr_parse(struct tl_slice text, struct tl_pr_ref *ref_out)
{
	struct tl_pr_ref ref = {0};

	if (!is_plain(text))
		return TL_EPR_INVALID;
	if (!parse_number(text, &ref.number) && !parse_pr_url(text, &ref)) {
		ref = (struct tl_pr_ref){0};
		if (!parse_pr_hash(text, &ref))
			return TL_EPR_INVALID;
	}
	*ref_out = ref;
	return TL_OK;
}

enum tl_err
tl_commit_normalise(struct tl_slice text, char name_out[TL_COMMIT_BYTES_MAX + 1])
{
	if (text.bytes < 7 || text.bytes > TL_COMMIT_BYTES_MAX)
		return TL_ECOMMIT_INVALID;
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = lower(text.data[i]);

		if (!is_digit(byte) && (byte < 'a' || byte > 'f'))
			return TL_ECOMMIT_INVALID;
	}
	for (size_t i = 0; i < text.bytes; i++)
		name_out[i] = (char)lower(text.data[i]);
	name_out[text.bytes] = '\0';
	return TL_OK;
}

static bool
is_space(uint8_t byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

bool
tl_email_normalise(struct tl_slice text, char email_out[TL_EMAIL_BYTES_MAX + 1])
{
	while (text.bytes > 0 && is_space(text.data[0]))
		text = slice_from(text, 1);
	while (text.bytes > 0 && is_space(text.data[text.bytes - 1]))
		text.bytes--;
	if (text.bytes > TL_EMAIL_BYTES_MAX || slice_find(text, "@") == text.bytes)
		return false;
	/* A zero byte would end the name early, and two people would become one. */
	if (memchr(text.data, '\0', text.bytes) != NULL)
		return false;
	for (size_t i = 0; i < text.bytes; i++)
		email_out[i] = (char)lower(text.data[i]);
	email_out[text.bytes] = '\0';
	return true;
}

const char *
tl_agent_type_title(const char *type)
{
	static const char *const titles[][2] = {
		{"claude_code", "Claude Code"}, {"codex", "Codex"}, {"opencode", "OpenCode"}};

	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		if (strcmp(type, titles[i][0]) == 0)
			return titles[i][1];
	}
	return type;
}
