/*
 * The whole Team screen from one snapshot. Each part is read and put by the code of the operation
 * that shows it alone, so the figures are the same; members come last, as many as fit.
 */
#include "query/cards.h"
#include "query/leaderboard.h"
#include "query/team.h"

#define TOP_REPOS_SHOWN 10u
#define CARDS_SHOWN 12u
#define AFTER_MEMBERS_BYTES (128u << 10) /* room for one more member, and for the end */

struct dashboard {
	struct query_job *job;
	struct standing standing;
	struct top_repos top;
	struct cards repos, pulls;
};

static enum tl_err
read_cards(struct dashboard *d, struct tl_why *why)
{
	struct query_job *job = d->job;
	const struct board *repos, *pulls;
	enum tl_err err = job_board(job, cards_dim(CARDS_REPOS), &repos, why);

	if (!err)
		err = job_board(job, cards_dim(CARDS_PULLS), &pulls, why);
	if (!err)
		err = top_repos_read(job, repos, 0, TOP_REPOS_SHOWN, &d->top, why);
	if (!err)
		err = cards_read(job, CARDS_REPOS, repos, 0, CARDS_SHOWN, &d->repos, why);
	return err ? err : cards_read(job, CARDS_PULLS, pulls, 0, CARDS_SHOWN, &d->pulls, why);
}

static bool
may(const struct query_job *job, enum tl_right right)
{
	return !tl_authorise(&job->scene->caller, right, NULL);
}

/* Who reads this, so that a page offers what would be allowed. */
static void
put_me(struct query_job *job, struct tl_pack_open *map)
{
	const struct tl_caller *caller = &job->scene->caller;
	const struct tl_member *member = NULL;
	const char *role = caller->is_admin ? "admin" : "member";
	struct tl_pack_open me;

	if (caller->is_operator)
		role = "operator";
	else if (caller->type == TL_CREDENTIAL_SERVICE)
		role = "service";
	if (caller->member_no != 0)
		member = tl_org_member(job->scene->org, caller->member_no);
	tl_pack_key(job->reply, map, "me");
	me = tl_pack_open_map(job->reply);
	tl_pack_key_str(job->reply, &me, "role", role);
	reply_member_id(job, &me, "member_id", member);
	tl_pack_key_bool(job->reply, &me, "may_manage", may(job, TL_RIGHT_MANAGE));
	tl_pack_key_bool(job->reply, &me, "may_audit", may(job, TL_RIGHT_AUDIT));
	tl_pack_key_bool(job->reply, &me, "sees_peers", job->only_member == 0);
	tl_pack_close(job->reply, &me);
}

static void
put_org(struct dashboard *d, struct tl_pack_open *map)
{
	const struct tl_org *org = d->job->scene->org;
	const struct board *before = d->standing.before;
	struct tl_buf *reply = d->job->reply;
	struct tl_pack_open sum;

	tl_pack_key(reply, map, "org");
	sum = tl_pack_open_map(reply);
	tl_pack_key_str(reply, &sum, "name", org->name);
	tl_pack_key_str(reply, &sum, "tz", tl_zone_name(org->zone));
	leaderboard_put_sum(&d->standing, &sum, d->standing.org);
	tl_pack_key(reply, &sum, "prev_value");
	if (before != NULL)
		tl_pack_int(reply,
			tl_totals_value(&board_row(before, 0)->totals, d->job->query->metric));
	else
		tl_pack_nil(reply);
	tl_pack_close(reply, &sum);
	reply_spark(d->job, map, "bars", d->standing.org);
}

/* key: {truncated, next_cursor}, where the operation of that list goes on. */
static void
put_page(struct query_job *job, struct tl_pack_open *map, const char *key,
	const struct reply_page *page)
{
	struct tl_pack_open nested;

	tl_pack_key(job->reply, map, key);
	nested = tl_pack_open_map(job->reply);
	reply_page_put(job, &nested, page);
	tl_pack_close(job->reply, &nested);
}

static void
put_cards(struct dashboard *d, struct tl_pack_open *map)
{
	struct query_job *job = d->job;
	struct tl_pack_open top;

	tl_pack_key(job->reply, map, "top_repos");
	top = tl_pack_open_map(job->reply);
	reply_page_put(job, &top, &d->top.page);
	top_repos_put(job, &top, &d->top);
	tl_pack_close(job->reply, &top);
	cards_put(job, map, &d->repos);
	put_page(job, map, "repos_page", &d->repos.page);
	cards_put(job, map, &d->pulls);
	put_page(job, map, "pulls_page", &d->pulls.page);
}

static enum tl_err
put_seats(struct query_job *job, struct tl_pack_open *map, struct tl_why *why)
{
	struct tl_pack_open seats;
	enum tl_err err;

	tl_pack_key(job->reply, map, "seats");
	seats = tl_pack_open_map(job->reply);
	err = team_put_seats(job, &seats, why);
	tl_pack_close(job->reply, &seats);
	return err;
}

enum tl_err
dashboard_run(struct query_job *job, struct tl_why *why)
{
	struct dashboard d = {.job = job};
	struct tl_pack_open map;
	struct reply_page page;
	enum tl_err err = standing_read(job, &d.standing, why);

	if (!err)
		err = read_cards(&d, why);
	if (err)
		return err;
	page = reply_page_of(job, d.standing.count);
	map = reply_open(job);
	reply_head_figures(job, &map);
	put_me(job, &map);
	put_org(&d, &map);
	put_cards(&d, &map);
	err = put_seats(job, &map, why);
	if (err)
		return err;
	leaderboard_put_unattributed(&d.standing, &map);
	err = leaderboard_put_members(
		&d.standing, &map, &page, TL_REPLY_BYTES_MAX - AFTER_MEMBERS_BYTES, why);
	if (err)
		return err;
	reply_page_put(job, &map, &page);
	return reply_close(job, &map, why);
}
