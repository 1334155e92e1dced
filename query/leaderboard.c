/*
 * Who used how much. Everybody of the org stands on the board, so that members and the unattributed
 * rest add up to the org whatever page is shown.
 */
#include "query/leaderboard.h"

#define ACTIVE_NOW_MS (60 * 60 * 1000LL)

static enum tl_err
member_last_use(
	struct standing *standing, uint32_t member_no, int64_t *last_ms_out, struct tl_why *why)
{
	struct past_use use;
	struct tl_life life;
	enum tl_err err;

	if (past_member_use(standing->uses, member_no, &use)) {
		*last_ms_out = use.last_ms;
		return TL_OK;
	}
	err = job_life(standing->job, TL_DIM_MEMBER, member_no, &life, why);
	*last_ms_out = life.last_ms;
	return err;
}

static enum tl_err
agent_use(
	struct standing *standing, uint32_t agent_no, struct past_use *use_out, struct tl_why *why)
{
	struct tl_life life;
	enum tl_err err;

	if (past_agent_use(standing->uses, agent_no, use_out))
		return TL_OK;
	err = job_life(standing->job, TL_DIM_AGENT, agent_no, &life, why);
	*use_out = (struct past_use){.last_ms = life.last_ms, .is_used = life.totals.requests > 0};
	return err;
}

/* What an agent is set to is for those who may set it. */
static void
put_agent_settings(struct query_job *job, struct tl_pack_open *map, const struct tl_agent *agent)
{
	bool is_debugged = agent->debug_until_ms > job->scene->now_ms;

	if (!job->sees_private)
		return;
	tl_pack_key_bool(job->reply, map, "compression", agent->compression);
	reply_time(job, map, "debug_until_ms", is_debugged ? agent->debug_until_ms : INT64_MIN);
}

static enum tl_err
put_agent(struct standing *standing, uint32_t no, struct tl_why *why)
{
	struct query_job *job = standing->job;
	const struct tl_agent *agent = tl_org_agent(job->scene->org, no);
	struct past_use use;
	struct tl_pack_open map;
	enum tl_err err = agent_use(standing, no, &use, why);

	if (err)
		return err;
	map = tl_pack_open_map(job->reply);
	tl_pack_key_str(job->reply, &map, "agent_id", standing->agents->id[no]);
	tl_pack_key_str(job->reply, &map, "type", agent->type);
	reply_time(job, &map, "last_used_ms", use.last_ms);
	tl_pack_key_bool(job->reply, &map, "never_used", !use.is_used);
	put_agent_settings(job, &map, agent);
	tl_pack_close(job->reply, &map);
	return TL_OK;
}

static enum tl_err
put_agents(
	struct standing *standing, struct tl_pack_open *map, uint32_t member_no, struct tl_why *why)
{
	struct tl_buf *reply = standing->job->reply;
	const struct agents *agents = standing->agents;
	struct tl_pack_open array;

	tl_pack_key(reply, map, "agents");
	array = tl_pack_open_array(reply);
	for (uint32_t no = agents->first[member_no]; no != 0; no = agents->next[no]) {
		enum tl_err err = put_agent(standing, no, why);

		if (err)
			return err;
		array.count++;
	}
	tl_pack_close(reply, &array);
	return TL_OK;
}

static void
put_person(struct standing *standing, struct tl_pack_open *map, const struct tl_member *member)
{
	struct query_job *job = standing->job;
	struct tl_buf *reply = job->reply;

	reply_member_id(job, map, "member_id", member);
	reply_member_name(job, map, "display_name", member);
	if (reply_shows_email(job, member)) {
		if (member->email[0] != '\0')
			tl_pack_key_str(reply, map, "email", member->email);
		if (member->email_enc.bytes > 0) {
			tl_pack_key(reply, map, "email_enc");
			tl_buf_put_slice(reply, member->email_enc);
		}
	}
	reply_member_id(job, map, "email_hash", member);
	tl_pack_key_str(reply, map, "role", member->role == TL_ROLE_ADMIN ? "admin" : "member");
	tl_pack_key_bool(reply, map, "pending", member->state == TL_MEMBER_PENDING);
	if (member->state == TL_MEMBER_REMOVED)
		tl_pack_key_bool(reply, map, "removed", true);
}

static void
put_rank(struct tl_buf *reply, struct tl_pack_open *map, const char *key, uint32_t rank)
{
	tl_pack_key(reply, map, key);
	if (rank == 0)
		tl_pack_nil(reply);
	else
		tl_pack_int(reply, rank);
}

static void
put_before(struct standing *standing, struct tl_pack_open *map, uint32_t member_no)
{
	struct tl_buf *reply = standing->job->reply;
	enum tl_metric metric = standing->job->query->metric;
	const struct board_row *row =
		standing->before != NULL ? board_find(standing->before, member_no) : NULL;
	int64_t value = row != NULL ? tl_totals_value(&row->totals, metric) : 0;

	put_rank(reply, map, "prev_rank",
		standing_is_used(row) ? board_rank(standing->before, metric, value) : 0);
	tl_pack_key(reply, map, "prev_value");
	if (standing->before != NULL)
		tl_pack_int(reply, value);
	else
		tl_pack_nil(reply);
}

static enum tl_err
put_member(struct standing *standing, const struct tl_contender *contender, struct tl_why *why)
{
	static const struct tl_totals nothing;
	struct query_job *job = standing->job;
	struct tl_buf *reply = job->reply;
	const struct tl_member *member = tl_org_member(job->scene->org, contender->idx);
	const struct board_row *row = board_find(standing->board, contender->idx);
	struct tl_pack_open map = tl_pack_open_map(reply);
	int64_t last_ms = INT64_MIN;
	enum tl_err err;

	put_rank(reply, &map, "rank", contender->rank);
	put_before(standing, &map, member->no);
	tl_pack_key_str(reply, &map, "badge",
		contender->rank != 0 ? tl_rank_badge(contender->rank, contender->value) : NULL);
	put_person(standing, &map, member);
	err = put_agents(standing, &map, member->no, why);
	if (!err)
		err = member_last_use(standing, member->no, &last_ms, why);
	tl_pack_key_int(reply, &map, "value", contender->value);
	tl_pack_key_int(reply, &map, "share_ppm",
		reply_ppm(contender->value,
			tl_totals_value(&standing->org->totals, job->query->metric)));
	reply_totals(job, &map, row != NULL ? &row->totals : &nothing,
		row != NULL ? row->session_count : 0);
	reply_time(job, &map, "last_used_ms", last_ms);
	tl_pack_key_bool(reply, &map, "active_now",
		last_ms != INT64_MIN && job->scene->now_ms - last_ms <= ACTIVE_NOW_MS);
	reply_spark(job, &map, "spark", row);
	tl_pack_close(reply, &map);
	return err;
}

void
leaderboard_put_sum(
	struct standing *standing, struct tl_pack_open *map, const struct board_row *row)
{
	static const struct tl_totals nothing;
	struct query_job *job = standing->job;
	const struct tl_totals *totals = row != NULL ? &row->totals : &nothing;

	tl_pack_key_int(job->reply, map, "value", tl_totals_value(totals, job->query->metric));
	reply_totals(job, map, totals, row != NULL ? row->session_count : 0);
	reply_spark(job, map, "spark", row);
}

enum tl_err
leaderboard_put_members(struct standing *standing, struct tl_pack_open *map,
	struct reply_page *page, size_t bytes_max, struct tl_why *why)
{
	struct query_job *job = standing->job;
	struct tl_pack_open array;
	enum tl_err err = TL_OK;

	tl_pack_key(job->reply, map, "members");
	array = tl_pack_open_array(job->reply);
	for (uint32_t i = page->first; !err && i < page->end; i++) {
		if (job->reply->bytes > bytes_max) {
			page->end = i;
			page->has_more = true;
			break;
		}
		err = put_member(standing, &standing->contenders[i], why);
		array.count++;
	}
	tl_pack_close(job->reply, &array);
	return err;
}

void
leaderboard_put_unattributed(struct standing *standing, struct tl_pack_open *map)
{
	struct query_job *job = standing->job;
	struct tl_pack_open sum;

	tl_pack_key(job->reply, map, "unattributed");
	if (job->only_member != 0) {
		tl_pack_nil(job->reply);
		return;
	}
	sum = tl_pack_open_map(job->reply);
	leaderboard_put_sum(standing, &sum, board_find(standing->board, 0));
	tl_pack_close(job->reply, &sum);
}

enum tl_err
leaderboard_run(struct query_job *job, struct tl_why *why)
{
	struct standing standing;
	struct tl_pack_open map, org;
	struct reply_page page;
	enum tl_err err = standing_read(job, &standing, why);

	if (err)
		return err;
	page = reply_page_of(job, standing.count);
	map = reply_open(job);
	reply_head(job, &map, &page);
	tl_pack_key(job->reply, &map, "org");
	org = tl_pack_open_map(job->reply);
	leaderboard_put_sum(&standing, &org, standing.org);
	tl_pack_close(job->reply, &org);
	err = leaderboard_put_members(&standing, &map, &page, SIZE_MAX, why);
	if (err)
		return err;
	leaderboard_put_unattributed(&standing, &map);
	return reply_close(job, &map, why);
}
