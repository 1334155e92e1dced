/*
 * Who used how much. Everybody of the org stands on the board: with a request in the window in rank
 * order, then those without, then the invited, so that members and the unattributed rest add up to
 * the org whatever page is shown.
 */
#include <assert.h>
#include <stdio.h>

#include "query/agents.h"
#include "query/reply.h"
#include "schema/model/rank.h"

#define ACTIVE_NOW_MS (60 * 60 * 1000LL)

/* Where somebody stands in the list; those without usage come last. */
enum tier {
	TIER_RANKED,
	TIER_IDLE,
	TIER_PENDING,
	TIER_HIDDEN, /* removed and without usage: not listed */
};

struct standing {
	const struct board_row *row; /* NULL: nothing in the window */
	int64_t prev_value;
	uint32_t prev_rank; /* 0: none */
};

struct list {
	struct query_job *job;
	const struct board_row *org; /* all of it */
	struct standing *standings;  /* by member no */
	bool has_before;	     /* the window before is still stored */
	struct tl_contender *contenders;
	uint32_t count;
};

/* The row of every member. A member that the registry does not know is not ours to guess at. */
static enum tl_err
place_rows(const struct tl_org *org, const struct board *board, struct standing *standings,
	struct tl_why *why)
{
	for (uint32_t i = 0; i < board->row_count; i++) {
		const struct board_row *row = &board->rows[i];

		if (row->key == BOARD_KEY_ORG)
			continue;
		if (row->key > org->member_count)
			return tl_fail(why, TL_EINTERNAL, "member %llu is not in the registry",
				(unsigned long long)row->key);
		standings[row->key].row = row;
	}
	return TL_OK;
}

static bool
is_used(const struct board_row *row)
{
	return row != NULL && row->totals.requests > 0;
}

/*
 * Ranks of the window before, which needs no more than totals. What has expired there takes nothing
 * from the window itself: then there are none.
 */
static enum tl_err
rank_before(struct list *list, struct tl_why *why)
{
	struct query_job *job = list->job;
	struct standing *standings = list->standings;
	const struct tl_org *org = job->scene->org;
	struct tl_contender *contenders =
		tl_arena_array(job->arena, org->member_count, sizeof(*contenders));
	struct board board;
	uint32_t count = 0;
	enum tl_err err;

	if (contenders == NULL)
		return TL_ENOMEM;
	err = job_board_before(job, TL_DIM_MEMBER, &board, why);
	if (err == TL_EEDGE_UNAVAILABLE)
		return TL_OK;
	if (err)
		return err;
	list->has_before = true;
	for (uint32_t i = 0; i < board.row_count; i++) {
		const struct board_row *row = &board.rows[i];
		const struct tl_member *member;

		if (row->key == BOARD_KEY_ORG || row->key == 0 || row->key > org->member_count)
			continue;
		member = org->members[row->key - 1];
		standings[member->no].prev_value =
			tl_totals_value(&row->totals, job->query->metric);
		if (is_used(row))
			contenders[count++] = (struct tl_contender){
				.value = standings[member->no].prev_value,
				.name = tl_slice_of(member->id, sizeof(member->id)),
				.idx = member->no,
			};
	}
	tl_rank(contenders, count);
	for (uint32_t i = 0; i < count; i++)
		standings[contenders[i].idx].prev_rank = contenders[i].rank;
	return TL_OK;
}

static enum tier
tier_of(const struct tl_member *member, const struct standing *standing)
{
	if (is_used(standing->row))
		return TIER_RANKED;
	switch (member->state) {
	case TL_MEMBER_PENDING:
		return TIER_PENDING;
	case TL_MEMBER_ACTIVE:
		return TIER_IDLE;
	case TL_MEMBER_REMOVED:
		/* Lines and violations carry no tokens and no cost: nothing is lost here. */
		return TIER_HIDDEN;
	}
	return TIER_HIDDEN;
}

static enum tl_err
rank_now(struct list *list)
{
	struct query_job *job = list->job;
	const struct tl_org *org = job->scene->org;
	enum tl_metric metric = job->query->metric;
	uint32_t shown = 0;

	list->contenders = tl_arena_array(job->arena, org->member_count, sizeof(*list->contenders));
	if (list->contenders == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < org->member_count; i++) {
		const struct tl_member *member = org->members[i];
		const struct standing *standing = &list->standings[member->no];
		enum tier tier = tier_of(member, standing);

		if (tier == TIER_HIDDEN)
			continue;
		list->contenders[list->count++] = (struct tl_contender){
			.value = standing->row != NULL
					 ? tl_totals_value(&standing->row->totals, metric)
					 : 0,
			.name = tl_slice_of(member->id, sizeof(member->id)),
			.idx = member->no,
			.tier = (uint8_t)tier,
		};
	}
	tl_rank(list->contenders, list->count);
	if (job->only_member == 0)
		return TL_OK;
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->contenders[i].idx == job->only_member)
			list->contenders[shown++] = list->contenders[i];
	}
	list->count = shown;
	return TL_OK;
}

static void
put_agents(struct list *list, struct tl_pack_open *map, const struct agents *agents,
	uint32_t member_no)
{
	struct tl_buf *reply = list->job->reply;
	struct tl_pack_open array;

	tl_pack_key(reply, map, "agents");
	array = tl_pack_open_array(reply);
	for (const struct agents_row *agent = agents_of(agents, member_no); agent != NULL;
		agent = agent->next) {
		tl_pack_map(reply, 4);
		tl_pack_str(reply, "agent_id");
		tl_pack_str(reply, agent->id);
		tl_pack_str(reply, "type");
		tl_pack_str(reply, agent->agent->type);
		tl_pack_str(reply, "last_used_ms");
		if (agent->life.last_ms == INT64_MIN)
			tl_pack_nil(reply);
		else
			tl_pack_int(reply, agent->life.last_ms);
		tl_pack_str(reply, "never_used");
		tl_pack_bool(reply, agent->life.totals.requests == 0);
		array.count++;
	}
	tl_pack_close(reply, &array);
}

static void
put_person(struct list *list, struct tl_pack_open *map, const struct tl_member *member)
{
	struct query_job *job = list->job;
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

static enum tl_err
put_member(struct list *list, const struct tl_contender *contender, const struct agents *agents,
	struct tl_why *why)
{
	static const struct tl_totals nothing;
	struct query_job *job = list->job;
	struct tl_buf *reply = job->reply;
	const struct tl_member *member = tl_org_member(job->scene->org, contender->idx);
	const struct standing *standing = &list->standings[contender->idx];
	const struct board_row *row = standing->row;
	struct tl_pack_open map;
	struct tl_life life;
	enum tl_err err = job_life(job, TL_DIM_MEMBER, member->no, &life, why);

	if (err)
		return err;
	map = tl_pack_open_map(reply);
	put_rank(reply, &map, "rank", contender->rank);
	put_rank(reply, &map, "prev_rank", standing->prev_rank);
	tl_pack_key_str(reply, &map, "badge",
		contender->rank != 0 ? tl_rank_badge(contender->rank, contender->value) : NULL);
	put_person(list, &map, member);
	put_agents(list, &map, agents, member->no);
	tl_pack_key_int(reply, &map, "value", contender->value);
	tl_pack_key(reply, &map, "prev_value");
	if (list->has_before)
		tl_pack_int(reply, standing->prev_value);
	else
		tl_pack_nil(reply);
	tl_pack_key_int(reply, &map, "share_ppm",
		reply_ppm(
			contender->value, tl_totals_value(&list->org->totals, job->query->metric)));
	reply_totals(job, &map, row != NULL ? &row->totals : &nothing,
		row != NULL ? row->session_count : 0);
	reply_time(job, &map, "last_used_ms", life.last_ms);
	tl_pack_key_bool(reply, &map, "active_now",
		life.last_ms != INT64_MIN && job->scene->now_ms - life.last_ms <= ACTIVE_NOW_MS);
	reply_spark(job, &map, "spark", row);
	tl_pack_close(reply, &map);
	return TL_OK;
}

/* The org, or what belongs to nobody. */
static void
put_sum(struct list *list, struct tl_pack_open *map, const char *key, const struct board_row *row)
{
	static const struct tl_totals nothing;
	struct query_job *job = list->job;
	const struct tl_totals *totals = row != NULL ? &row->totals : &nothing;
	struct tl_pack_open sum;

	tl_pack_key(job->reply, map, key);
	sum = tl_pack_open_map(job->reply);
	tl_pack_key_int(job->reply, &sum, "value", tl_totals_value(totals, job->query->metric));
	reply_totals(job, &sum, totals, row != NULL ? row->session_count : 0);
	reply_spark(job, &sum, "spark", row);
	tl_pack_close(job->reply, &sum);
}

static enum tl_err
put_members(struct list *list, struct tl_pack_open *map, const struct reply_page *page,
	struct tl_why *why)
{
	struct query_job *job = list->job;
	struct agents agents = {0};
	struct tl_pack_open array;
	enum tl_err err;

	err = agents_begin(&agents, job, why);
	for (uint32_t i = page->first; !err && i < page->end; i++)
		agents_want(&agents, list->contenders[i].idx);
	if (!err)
		err = agents_read(&agents, why);
	if (err)
		return err;
	tl_pack_key(job->reply, map, "members");
	array = tl_pack_open_array(job->reply);
	for (uint32_t i = page->first; !err && i < page->end; i++) {
		err = put_member(list, &list->contenders[i], &agents, why);
		array.count++;
	}
	tl_pack_close(job->reply, &array);
	return err;
}

enum tl_err
leaderboard_run(struct query_job *job, struct tl_why *why)
{
	const struct tl_org *org = job->scene->org;
	struct list list = {.job = job};
	struct tl_pack_open map;
	struct reply_page page;
	struct board board;
	enum tl_err err;

	list.standings =
		tl_arena_array(job->arena, (size_t)org->member_count + 1, sizeof(*list.standings));
	if (list.standings == NULL)
		return TL_ENOMEM;
	err = job_whole_board(job, TL_DIM_MEMBER, &board, why);
	if (!err)
		err = place_rows(org, &board, list.standings, why);
	if (!err)
		err = rank_before(&list, why);
	if (!err)
		err = rank_now(&list);
	if (err)
		return err;
	list.org = &board.rows[0];
	assert(list.org->key == BOARD_KEY_ORG);
	page = reply_page_of(job, list.count);
	map = reply_open(job);
	reply_head(job, &map, &page);
	put_sum(&list, &map, "org", list.org);
	err = put_members(&list, &map, &page, why);
	if (err)
		return err;
	if (job->only_member == 0) {
		put_sum(&list, &map, "unattributed", list.standings[0].row);
	} else {
		tl_pack_key(job->reply, &map, "unattributed");
		tl_pack_nil(job->reply);
	}
	return reply_close(job, &map, why);
}
