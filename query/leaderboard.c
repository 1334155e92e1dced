/*
 * Who used how much. Everybody of the org stands on the board: with a request in the window in rank
 * order, then those without, then the invited, so that members and the unattributed rest add up to
 * the org whatever page is shown.
 */
#include <assert.h>

#include "query/agents.h"
#include "query/first.h"
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

struct list {
	struct query_job *job;
	const struct past_board *uses; /* tells last uses */
	const struct board *board;
	const struct board *before;  /* NULL: no longer stored */
	const struct board_row *org; /* all of it */
	const struct agents *agents;
	uint32_t count;			 /* of the whole list */
	struct tl_contender *contenders; /* all, or those that may be on the page */
	uint32_t contender_count;
};

/*
 * Ranks of the window before, which needs no more than totals. What has expired there takes nothing
 * from the window itself: then there are none.
 */
static enum tl_err
read_before(struct list *list, struct tl_why *why)
{
	struct query_job *job = list->job;
	enum tl_metric metric = job->query->metric;
	struct board *before;
	enum tl_err err;

	err = job_board_before(job, TL_DIM_MEMBER, &before, why);
	if (err == TL_EEDGE_UNAVAILABLE)
		return TL_OK;
	if (err)
		return err;
	list->before = before;
	/* A kept board is in order, and mostly nothing came to it. */
	if (before->base != NULL && before->own_count == 0)
		list->before = before->base;
	else
		err = board_order(before, metric, job->arena);
	return err;
}

static bool
is_used(const struct board_row *row)
{
	return row != NULL && row->totals.requests > 0;
}

static enum tier
tier_of(const struct tl_member *member, const struct board_row *row)
{
	if (is_used(row))
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

/* A member that the registry does not know is not ours to guess at. */
static enum tl_err
check_members(const struct list *list, struct tl_why *why)
{
	const struct board *board = list->board;
	uint32_t member_count = list->job->scene->org->member_count;

	for (uint32_t i = 0; i < board->own_count; i++) {
		uint64_t key = board->own[i].key;

		if (key != BOARD_KEY_ORG && key > member_count)
			return tl_fail(why, TL_EINTERNAL, "member %llu is not in the registry",
				(unsigned long long)key);
	}
	return TL_OK;
}

static void
add_contender(struct list *list, const struct tl_member *member, const struct board_row *row)
{
	enum tier tier = tier_of(member, row);

	if (tier == TIER_HIDDEN)
		return;
	list->contenders[list->contender_count++] = (struct tl_contender){
		.value = row != NULL ? tl_totals_value(&row->totals, list->job->query->metric) : 0,
		.name = tl_slice_of(member->id, sizeof(member->id)),
		.idx = member->no,
		.tier = (uint8_t)tier,
	};
}

static enum tl_err
collect_all(struct list *list)
{
	struct query_job *job = list->job;
	const struct tl_org *org = job->scene->org;

	list->contender_count = 0;
	list->contenders = tl_arena_array(job->arena, org->member_count, sizeof(*list->contenders));
	if (list->contenders == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < org->member_count; i++)
		add_contender(list, org->members[i], board_find(list->board, i + 1));
	return TL_OK;
}

/*
 * Those who may be among the first first_count: as many of the past's order, which nothing was
 * added to since, and all that something was added to. False when that does not reach far enough.
 */
static bool
collect_first(struct list *list, const struct past_board *past, uint32_t first_count)
{
	struct query_job *job = list->job;
	const struct tl_org *org = job->scene->org;
	const struct board *board = list->board;
	uint32_t order_count = 0;
	const uint32_t *order = past_order(past, job->query->metric, &order_count);
	uint32_t taken = 0;

	if (order == NULL)
		return false;
	list->contenders = tl_arena_array(
		job->arena, (size_t)first_count + board->own_count, sizeof(*list->contenders));
	if (list->contenders == NULL)
		return false;
	for (uint32_t i = 0; i < order_count && taken < first_count; i++) {
		const struct board_row *row = board_row(board, order[i]);

		if (board_is_own(board, order[i]))
			continue;
		add_contender(list, org->members[row->key - 1], row);
		taken++;
	}
	for (uint32_t i = 0; i < board->own_count; i++) {
		const struct board_row *row = &board->own[i];

		if (row->key != BOARD_KEY_ORG && row->key != 0 && is_used(row))
			add_contender(list, org->members[row->key - 1], row);
	}
	return list->contender_count >= first_count;
}

/* Everybody but who was removed, unless used in the window. */
static uint32_t
count_listed(const struct list *list)
{
	uint32_t count = list->agents->present_count;

	for (uint32_t i = 0; i < list->agents->removed_count; i++)
		count += is_used(board_find(list->board, list->agents->removed[i]));
	return count;
}

/* The order of tl_rank. */
static int
contender_cmp(const void *left, const void *right)
{
	const struct tl_contender *a = left;
	const struct tl_contender *b = right;

	if (a->tier != b->tier)
		return a->tier < b->tier ? -1 : 1;
	if (a->value != b->value)
		return a->value > b->value ? -1 : 1;
	return tl_slice_cmp(a->name, b->name);
}

/* Rank those that a page shows and those ahead of them, which decide its ranks. */
static void
rank_first(struct list *list, uint32_t first_count)
{
	first_select(list->contenders, list->contender_count, sizeof(*list->contenders),
		first_count, contender_cmp);
	tl_rank(list->contenders, first_count);
}

/* Who sees one row sees it with the rank it has among all. */
static enum tl_err
rank_own(struct list *list)
{
	enum tl_err err = collect_all(list);

	if (err)
		return err;
	tl_rank(list->contenders, list->contender_count);
	list->count = 0;
	for (uint32_t i = 0; i < list->contender_count; i++) {
		if (list->contenders[i].idx == list->job->only_member)
			list->contenders[list->count++] = list->contenders[i];
	}
	return TL_OK;
}

static enum tl_err
rank_page(struct list *list, const struct past_board *past)
{
	struct reply_page page;
	enum tl_err err = TL_OK;

	if (list->job->only_member != 0)
		return rank_own(list);
	list->count = count_listed(list);
	page = reply_page_of(list->job, list->count);
	if (!collect_first(list, past, page.end))
		err = collect_all(list);
	if (!err)
		rank_first(list, page.end);
	return err;
}

static enum tl_err
member_last_use(struct list *list, uint32_t member_no, int64_t *last_ms_out, struct tl_why *why)
{
	struct past_use use;
	struct tl_life life;
	enum tl_err err;

	if (past_member_use(list->uses, member_no, &use)) {
		*last_ms_out = use.last_ms;
		return TL_OK;
	}
	err = job_life(list->job, TL_DIM_MEMBER, member_no, &life, why);
	*last_ms_out = life.last_ms;
	return err;
}

static enum tl_err
agent_use(struct list *list, uint32_t agent_no, struct past_use *use_out, struct tl_why *why)
{
	struct tl_life life;
	enum tl_err err;

	if (past_agent_use(list->uses, agent_no, use_out))
		return TL_OK;
	err = job_life(list->job, TL_DIM_AGENT, agent_no, &life, why);
	*use_out = (struct past_use){.last_ms = life.last_ms, .is_used = life.totals.requests > 0};
	return err;
}

static enum tl_err
put_agents(struct list *list, struct tl_pack_open *map, uint32_t member_no, struct tl_why *why)
{
	struct tl_buf *reply = list->job->reply;
	const struct agents *agents = list->agents;
	struct tl_pack_open array;

	tl_pack_key(reply, map, "agents");
	array = tl_pack_open_array(reply);
	for (uint32_t no = agents->first[member_no]; no != 0; no = agents->next[no]) {
		struct past_use use;
		enum tl_err err = agent_use(list, no, &use, why);

		if (err)
			return err;
		tl_pack_map(reply, 4);
		tl_pack_str(reply, "agent_id");
		tl_pack_str(reply, agents->id[no]);
		tl_pack_str(reply, "type");
		tl_pack_str(reply, tl_org_agent(list->job->scene->org, no)->type);
		tl_pack_str(reply, "last_used_ms");
		if (use.last_ms == INT64_MIN)
			tl_pack_nil(reply);
		else
			tl_pack_int(reply, use.last_ms);
		tl_pack_str(reply, "never_used");
		tl_pack_bool(reply, !use.is_used);
		array.count++;
	}
	tl_pack_close(reply, &array);
	return TL_OK;
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

static void
put_before(struct list *list, struct tl_pack_open *map, uint32_t member_no)
{
	struct tl_buf *reply = list->job->reply;
	enum tl_metric metric = list->job->query->metric;
	const struct board_row *row =
		list->before != NULL ? board_find(list->before, member_no) : NULL;
	int64_t value = row != NULL ? tl_totals_value(&row->totals, metric) : 0;

	put_rank(reply, map, "prev_rank",
		is_used(row) ? board_rank(list->before, metric, value) : 0);
	tl_pack_key(reply, map, "prev_value");
	if (list->before != NULL)
		tl_pack_int(reply, value);
	else
		tl_pack_nil(reply);
}

static enum tl_err
put_member(struct list *list, const struct tl_contender *contender, struct tl_why *why)
{
	static const struct tl_totals nothing;
	struct query_job *job = list->job;
	struct tl_buf *reply = job->reply;
	const struct tl_member *member = tl_org_member(job->scene->org, contender->idx);
	const struct board_row *row = board_find(list->board, contender->idx);
	struct tl_pack_open map = tl_pack_open_map(reply);
	int64_t last_ms = INT64_MIN;
	enum tl_err err;

	put_rank(reply, &map, "rank", contender->rank);
	put_before(list, &map, member->no);
	tl_pack_key_str(reply, &map, "badge",
		contender->rank != 0 ? tl_rank_badge(contender->rank, contender->value) : NULL);
	put_person(list, &map, member);
	err = put_agents(list, &map, member->no, why);
	if (!err)
		err = member_last_use(list, member->no, &last_ms, why);
	tl_pack_key_int(reply, &map, "value", contender->value);
	tl_pack_key_int(reply, &map, "share_ppm",
		reply_ppm(
			contender->value, tl_totals_value(&list->org->totals, job->query->metric)));
	reply_totals(job, &map, row != NULL ? &row->totals : &nothing,
		row != NULL ? row->session_count : 0);
	reply_time(job, &map, "last_used_ms", last_ms);
	tl_pack_key_bool(reply, &map, "active_now",
		last_ms != INT64_MIN && job->scene->now_ms - last_ms <= ACTIVE_NOW_MS);
	reply_spark(job, &map, "spark", row);
	tl_pack_close(reply, &map);
	return err;
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
	struct tl_pack_open array;
	enum tl_err err = TL_OK;

	tl_pack_key(job->reply, map, "members");
	array = tl_pack_open_array(job->reply);
	for (uint32_t i = page->first; !err && i < page->end; i++) {
		err = put_member(list, &list->contenders[i], why);
		array.count++;
	}
	tl_pack_close(job->reply, &array);
	return err;
}

static enum tl_err
read_list(struct list *list, struct tl_why *why)
{
	struct query_job *job = list->job;
	const struct past_board *past;
	enum tl_err err = job_whole_board(job, TL_DIM_MEMBER, &past, why);

	if (err)
		return err;
	list->board = &past->board;
	list->uses = past;
	list->org = board_row(list->board, 0);
	assert(list->org->key == BOARD_KEY_ORG);
	err = check_members(list, why);
	if (!err && job->window.range == TL_RANGE_CUSTOM && job->scene->cache != NULL)
		err = job_uses(job, &list->uses, why);
	if (!err)
		err = read_before(list, why);
	if (!err)
		err = agents_get(job, &list->agents, why);
	return err ? err : rank_page(list, past);
}

enum tl_err
leaderboard_run(struct query_job *job, struct tl_why *why)
{
	struct list list = {.job = job};
	struct tl_pack_open map;
	struct reply_page page;
	enum tl_err err = read_list(&list, why);

	if (err)
		return err;
	page = reply_page_of(job, list.count);
	map = reply_open(job);
	reply_head(job, &map, &page);
	put_sum(&list, &map, "org", list.org);
	err = put_members(&list, &map, &page, why);
	if (err)
		return err;
	if (job->only_member == 0) {
		put_sum(&list, &map, "unattributed", board_find(list.board, 0));
	} else {
		tl_pack_key(job->reply, &map, "unattributed");
		tl_pack_nil(job->reply);
	}
	return reply_close(job, &map, why);
}
