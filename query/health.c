/* Questions about the daemon and about keys: no org's figures are in them. */
#include "query/reply.h"
#include "schema/store/journal.h"

/* How far the view is behind what was acknowledged. */
static enum tl_err
read_lag(struct query_job *job, uint64_t *lag_groups_out, struct tl_why *why)
{
	struct tl_journal_row last = {0};
	uint64_t group_no = tl_view_group_no(job->scene->view);
	enum tl_err err = tl_journal_last(job->scene->store, job->arena, &last, why);

	if (err == TL_ENOT_FOUND)
		err = TL_OK;
	*lag_groups_out = last.group_no > group_no ? last.group_no - group_no : 0;
	return err;
}

/* Positions in the journal count what all orgs send, which is for the operator alone. */
static enum tl_err
put_positions(struct query_job *job, struct tl_pack_open *map, struct tl_why *why)
{
	const struct tl_view *view = job->scene->view;
	struct tl_buf *reply = job->reply;
	struct tl_pack_open rollup;
	uint64_t lag_groups = 0;
	enum tl_err err = read_lag(job, &lag_groups, why);

	if (err)
		return err;
	tl_pack_key_int(reply, map, "seq", (int64_t)tl_view_seq(view));
	tl_pack_key_int(reply, map, "group_no", (int64_t)tl_view_group_no(view));
	tl_pack_key(reply, map, "rollup");
	rollup = tl_pack_open_map(reply);
	tl_pack_key_int(reply, &rollup, "group_no", (int64_t)tl_view_group_no(view));
	tl_pack_key_int(reply, &rollup, "seq", (int64_t)tl_view_seq(view));
	tl_pack_key_int(reply, &rollup, "generation", (int64_t)tl_view_generation(view));
	tl_pack_key_int(reply, &rollup, "lag_groups", (int64_t)lag_groups);
	tl_pack_close(reply, &rollup);
	return TL_OK;
}

static bool
is_ready(const struct query_health *health)
{
	for (uint32_t i = 0; health != NULL && i < health->count; i++) {
		if (!health->conditions[i].is_met)
			return false;
	}
	return true;
}

/* Everybody is told what holds, the operator also why something does not. */
static void
put_conditions(struct query_job *job, struct tl_pack_open *map)
{
	const struct query_health *health = job->scene->health;
	struct tl_buf *reply = job->reply;
	struct tl_pack_open conditions;

	tl_pack_key(reply, map, "conditions");
	conditions = tl_pack_open_map(reply);
	for (uint32_t i = 0; health != NULL && i < health->count; i++) {
		const struct query_condition *condition = &health->conditions[i];
		struct tl_pack_open one;

		tl_pack_key(reply, &conditions, condition->name);
		one = tl_pack_open_map(reply);
		tl_pack_key_bool(reply, &one, "ok", condition->is_met);
		if (!condition->is_met && job->scene->caller.is_operator)
			tl_pack_key_str(reply, &one, "why", condition->why);
		tl_pack_close(reply, &one);
	}
	tl_pack_close(reply, &conditions);
}

enum tl_err
health_run(struct query_job *job, struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	struct tl_pack_open map = reply_open(job);
	enum tl_err err = TL_OK;

	tl_pack_key_bool(job->reply, &map, "ready", is_ready(scene->health));
	tl_pack_key_int(job->reply, &map, "as_of_ms", scene->now_ms);
	put_conditions(job, &map);
	if (scene->caller.is_operator)
		err = put_positions(job, &map, why);
	return err ? err : reply_close(job, &map, why);
}

/* By key id or by the whole key, among the caller's orgs; a foreign key is no key. */
static const struct tl_credential *
find_key(const struct query_job *job)
{
	const struct tl_registry *registry = job->scene->registry;
	uint32_t org_no = job->scene->caller.org_no;
	const struct tl_credential *credential = tl_registry_key(registry, job->query->key);

	if (credential == NULL)
		credential = tl_registry_credential(registry, job->query->key);
	if (credential == NULL || credential->type != TL_CREDENTIAL_AGENT)
		return NULL;
	return org_no == 0 || org_no == credential->org_no ? credential : NULL;
}

enum tl_err
keys_resolve_run(struct query_job *job, struct tl_why *why)
{
	int64_t now_ms = job->scene->now_ms;
	const struct tl_credential *credential;
	const struct tl_org *org;
	const struct tl_agent *agent;
	const struct tl_member *member;
	struct tl_buf *reply = job->reply;
	struct tl_pack_open map;
	bool is_valid;

	if (job->query->key.bytes == 0)
		return tl_fail(why, TL_EBAD_PARAM, "key: a key or its id is wanted");
	credential = find_key(job);
	org = credential ? tl_registry_org(job->scene->registry, credential->org_no) : NULL;
	agent = org ? tl_org_agent(org, credential->agent_no) : NULL;
	member = agent ? tl_org_member(org, agent->member_no) : NULL;
	if (member == NULL)
		return tl_fail(why, TL_ENOT_FOUND, "key: no such key");
	is_valid = credential->revoked_ms == 0 || now_ms < credential->revoked_ms;
	map = reply_open(job);
	tl_pack_key_str(reply, &map, "org", org->name);
	reply_member_id(job, &map, "member_id", member);
	tl_pack_key_str(reply, &map, "agent", agent->type);
	tl_pack_key_str(reply, &map, "agent_id", credential->key_id);
	tl_pack_key_bool(reply, &map, "compression", agent->compression);
	tl_pack_key_bool(reply, &map, "debug", now_ms < agent->debug_until_ms);
	tl_pack_key_bool(reply, &map, "active", is_valid && agent->live);
	return reply_close(job, &map, why);
}
