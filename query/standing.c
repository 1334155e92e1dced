#include "query/standing.h"

#include <assert.h>

#include "query/first.h"
#include "query/reply.h"

/* Where somebody stands in the list; those without usage come last. */
enum tier {
	TIER_RANKED,
	TIER_IDLE,
	TIER_PENDING,
	TIER_HIDDEN, /* removed and without usage: not listed */
};

/*
 * Ranks of the window before, which needs no more than totals. What has expired there takes nothing
 * from the window itself: then there are none.
 */
static enum tl_err
read_before(struct standing *standing, struct tl_why *why)
{
	struct query_job *job = standing->job;
	enum tl_metric metric = job->query->metric;
	struct board *before;
	enum tl_err err;

	err = job_board_before(job, TL_DIM_MEMBER, &before, why);
	if (err == TL_EEDGE_UNAVAILABLE)
		return TL_OK;
	if (err)
		return err;
	standing->before = before;
	/* A kept board is in order, and mostly nothing came to it. */
	if (before->base != NULL && before->own_count == 0)
		standing->before = before->base;
	else
		err = board_order(before, metric, job->arena);
	return err;
}

static enum tier
tier_of(const struct tl_member *member, const struct board_row *row)
{
	if (standing_is_used(row))
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
check_members(const struct standing *standing, struct tl_why *why)
{
	const struct board *board = standing->board;
	uint32_t member_count = standing->job->scene->org->member_count;

	for (uint32_t i = 0; i < board->own_count; i++) {
		uint64_t key = board->own[i].key;

		if (key != BOARD_KEY_ORG && key > member_count)
			return tl_fail(why, TL_EINTERNAL, "member %llu is not in the registry",
				(unsigned long long)key);
	}
	return TL_OK;
}

static void
add_contender(
	struct standing *standing, const struct tl_member *member, const struct board_row *row)
{
	enum tier tier = tier_of(member, row);

	if (tier == TIER_HIDDEN)
		return;
	standing->contenders[standing->contender_count++] = (struct tl_contender){
		.value = row != NULL ? tl_totals_value(&row->totals, standing->job->query->metric)
				     : 0,
		.name = tl_slice_of(member->id, sizeof(member->id)),
		.idx = member->no,
		.tier = (uint8_t)tier,
	};
}

static enum tl_err
collect_all(struct standing *standing)
{
	struct query_job *job = standing->job;
	const struct tl_org *org = job->scene->org;

	standing->contender_count = 0;
	standing->contenders =
		tl_arena_array(job->arena, org->member_count, sizeof(*standing->contenders));
	if (standing->contenders == NULL)
		return TL_ENOMEM;
	for (uint32_t i = 0; i < org->member_count; i++)
		add_contender(standing, org->members[i], board_find(standing->board, i + 1));
	return TL_OK;
}

/*
 * Those who may be among the first first_count: as many of the past's order, which nothing was
 * added to since, and all that something was added to. False when that does not reach far enough.
 */
static bool
collect_first(struct standing *standing, const struct past_board *past, uint32_t first_count)
{
	struct query_job *job = standing->job;
	const struct tl_org *org = job->scene->org;
	const struct board *board = standing->board;
	uint32_t order_count = 0;
	const uint32_t *order = past_order(past, job->query->metric, &order_count);
	uint32_t taken = 0;

	if (order == NULL)
		return false;
	standing->contenders = tl_arena_array(
		job->arena, (size_t)first_count + board->own_count, sizeof(*standing->contenders));
	if (standing->contenders == NULL)
		return false;
	for (uint32_t i = 0; i < order_count && taken < first_count; i++) {
		const struct board_row *row = board_row(board, order[i]);

		if (board_is_own(board, order[i]))
			continue;
		add_contender(standing, org->members[row->key - 1], row);
		taken++;
	}
	for (uint32_t i = 0; i < board->own_count; i++) {
		const struct board_row *row = &board->own[i];

		if (row->key != BOARD_KEY_ORG && row->key != 0 && standing_is_used(row))
			add_contender(standing, org->members[row->key - 1], row);
	}
	return standing->contender_count >= first_count;
}

/* Everybody but who was removed, unless used in the window. */
static uint32_t
count_listed(const struct standing *standing)
{
	uint32_t count = standing->agents->present_count;

	for (uint32_t i = 0; i < standing->agents->removed_count; i++)
		count +=
			standing_is_used(board_find(standing->board, standing->agents->removed[i]));
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
rank_first(struct standing *standing, uint32_t first_count)
{
	first_select(standing->contenders, standing->contender_count, sizeof(*standing->contenders),
		first_count, contender_cmp);
	tl_rank(standing->contenders, first_count);
}

/* Who sees one row sees it with the rank it has among all. */
static enum tl_err
rank_own(struct standing *standing)
{
	enum tl_err err = collect_all(standing);

	if (err)
		return err;
	tl_rank(standing->contenders, standing->contender_count);
	standing->count = 0;
	for (uint32_t i = 0; i < standing->contender_count; i++) {
		if (standing->contenders[i].idx == standing->job->only_member)
			standing->contenders[standing->count++] = standing->contenders[i];
	}
	return TL_OK;
}

static enum tl_err
rank_page(struct standing *standing, const struct past_board *past)
{
	struct reply_page page;
	enum tl_err err = TL_OK;

	if (standing->job->only_member != 0)
		return rank_own(standing);
	standing->count = count_listed(standing);
	page = reply_page_of(standing->job, standing->count);
	if (!collect_first(standing, past, page.end))
		err = collect_all(standing);
	if (!err)
		rank_first(standing, page.end);
	return err;
}

enum tl_err
standing_read(struct query_job *job, struct standing *standing, struct tl_why *why)
{
	const struct past_board *past;
	enum tl_err err = job_whole_board(job, TL_DIM_MEMBER, &past, why);

	*standing = (struct standing){.job = job};
	if (err)
		return err;
	standing->board = &past->board;
	standing->uses = past;
	standing->org = board_row(standing->board, 0);
	assert(standing->org->key == BOARD_KEY_ORG);
	err = check_members(standing, why);
	if (!err && job->window.range == TL_RANGE_CUSTOM && job->scene->cache != NULL)
		err = job_uses(job, &standing->uses, why);
	if (!err)
		err = read_before(standing, why);
	if (!err)
		err = agents_get(job, &standing->agents, why);
	return err ? err : rank_page(standing, past);
}
