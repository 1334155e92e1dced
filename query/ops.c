/* The table of operations, and what each needs before it runs. */
#include <assert.h>

#include "query/job.h"

struct op {
	enum tl_err (*run)(struct query_job *job, struct tl_why *why);
	bool is_open;	     /* anybody may ask, with no credential */
	enum tl_right right; /* else */
	bool needs_org;	     /* and with it a window */
	enum tl_range range; /* when none is given */
	uint32_t limit;	     /* likewise; 0: TL_PAGE_ROWS */
	bool has_own_cursor; /* which is not a place in a list */
};

static const struct op ops[TL_QUERY_COUNT] = {
	[TL_QUERY_LEADERBOARD] = {leaderboard_run, false, TL_RIGHT_READ, true, TL_RANGE_7D},
	[TL_QUERY_SERIES] = {series_run, false, TL_RIGHT_READ, true, TL_RANGE_7D},
	[TL_QUERY_TOP_REPOS] = {top_repos_run, false, TL_RIGHT_READ, true, TL_RANGE_7D},
	[TL_QUERY_REPOS] = {repos_run, false, TL_RIGHT_READ, true, TL_RANGE_7D},
	[TL_QUERY_PULLS] = {pulls_run, false, TL_RIGHT_READ, true, TL_RANGE_7D},
	[TL_QUERY_MODELS] = {models_run, false, TL_RIGHT_READ, true, TL_RANGE_7D},
	[TL_QUERY_SESSIONS] = {session_list_run, false, TL_RIGHT_READ, true, TL_RANGE_30D},
	[TL_QUERY_SESSION] = {session_run, false, TL_RIGHT_READ, true, TL_RANGE_30D},
	[TL_QUERY_TEAM] = {team_run, false, TL_RIGHT_READ, true, TL_RANGE_7D},
	[TL_QUERY_DASHBOARD] = {dashboard_run, false, TL_RIGHT_READ, true, TL_RANGE_7D,
		TL_PAGE_ROWS_MAX},
	[TL_QUERY_RECONCILE] = {reconcile_run, false, TL_RIGHT_AUDIT, true, TL_RANGE_7D},
	[TL_QUERY_HEALTH] = {health_run, true, TL_RIGHT_READ, false, TL_RANGE_7D},
	[TL_QUERY_EXPLAIN] = {explain_run, false, TL_RIGHT_AUDIT, true, TL_RANGE_24H},
	[TL_QUERY_EXPORT] = {export_run, false, TL_RIGHT_AUDIT, true, TL_RANGE_7D, 0, true},
	[TL_QUERY_LIVE] = {live_run, false, TL_RIGHT_READ, false, TL_RANGE_7D},
	[TL_QUERY_KEYS_RESOLVE] = {keys_resolve_run, false, TL_RIGHT_RESOLVE, false, TL_RANGE_7D},
};

static enum tl_err
make_window(const struct query_scene *scene, const struct tl_query *query, enum tl_range initial,
	struct tl_window *window_out, struct tl_why *why)
{
	const struct tl_zone *zone = scene->org->zone;
	enum tl_range range = query->has_range ? query->range : initial;

	if (query->tz.bytes > 0 && tl_zone_get(query->tz, &zone, why))
		return tl_fail(why, TL_EBAD_PARAM, "tz: no such time zone");
	if (range == TL_RANGE_CUSTOM)
		return tl_window_custom(zone, query->from_ms, query->to_ms, window_out, why);
	tl_window_fixed(range, zone, scene->now_ms, window_out);
	return TL_OK;
}

/* Where an org hides peers from each other, a plain member sees one person. */
static void
limit_sight(struct query_job *job)
{
	const struct tl_caller *caller = &job->scene->caller;

	job->sees_private = caller->is_operator || caller->is_admin;
	if (job->sees_private || job->scene->org->peers_visible ||
		caller->type != TL_CREDENTIAL_PERSON)
		return;
	job->only_member = caller->member_no != 0 ? caller->member_no : JOB_NOBODY;
}

static uint32_t
choose_limit(const struct op *op, const struct tl_query *query)
{
	if (query->limit > 0)
		return query->limit;
	return op->limit > 0 ? op->limit : TL_PAGE_ROWS;
}

enum tl_err
query_allow(const struct query_scene *scene, const struct tl_query *query, struct tl_why *why)
{
	const struct op *op = &ops[query->op];

	return op->is_open ? TL_OK : tl_authorise(&scene->caller, op->right, why);
}

enum tl_err
query_run(const struct query_scene *scene, const struct tl_query *query, struct tl_arena *arena,
	struct tl_buf *reply, struct tl_why *why)
{
	const struct op *op = &ops[query->op];
	struct query_job job = {.scene = scene, .query = query, .arena = arena, .reply = reply};
	size_t start = reply->bytes;
	enum tl_err err;

	assert(query->op < TL_QUERY_COUNT);
	err = query_allow(scene, query, why);
	if (!err && op->needs_org && scene->org == NULL)
		err = tl_fail(why, TL_EBAD_PARAM, "org: name the org");
	if (!err && !op->has_own_cursor)
		err = tl_page_cursor_read(query->cursor, &job.offset, why);
	job.limit = choose_limit(op, query);
	if (!err && op->needs_org) {
		limit_sight(&job);
		err = make_window(scene, query, op->range, &job.window, why);
	}
	if (!err)
		err = op->run(&job, why);
	job_fini(&job);
	if (err) { /* half a reply is none */
		reply->bytes = start;
		reply->err = TL_OK;
	}
	return err;
}
