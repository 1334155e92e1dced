/*
 * The people of the team with the figures of their whole life, true cost included (SPEC 3.11). What
 * a rate enters into is shown to those who may know the rate, since the rate follows from it.
 */
#include "query/team.h"

#include "query/reply.h"
#include "schema/model/money.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"

#define NUSD_PER_CENT 10000000LL

/* Integers only; each is rounded down once, at the end. has_x false: null. */
struct true_cost {
	int64_t lines;
	int64_t cost_nusd; /* with the hours, when there is a rate */
	bool has_per_line;
	int64_t per_line_nusd;
	bool has_loss;
	int64_t loss_nusd;
};

/* time x rate: rate in cents per hour. False when it leaves int64. */
static bool
hours_cost(int64_t time_ms, int64_t rate_cents, int64_t *nusd_out)
{
	int64_t rate_nusd;

	return !__builtin_mul_overflow(rate_cents, NUSD_PER_CENT, &rate_nusd) &&
	       tl_muldiv(time_ms, rate_nusd, TL_HOUR_MS, nusd_out);
}

/* rate_cents -1: none, then only what the machine cost counts. */
static enum tl_err
count_true_cost(const struct tl_totals *totals, int64_t rate_cents, struct true_cost *cost_out)
{
	struct true_cost cost = {.cost_nusd = totals->cost_nusd};
	bool has_rate = rate_cents >= 0;
	int64_t hours_nusd = 0;

	cost.lines = totals->lines_added;
	if (!tl_sum_add(&cost.lines, totals->lines_removed))
		return TL_EAMOUNT_OVERFLOW;
	if (has_rate && (!hours_cost(totals->active_ms, rate_cents, &hours_nusd) ||
				!tl_sum_add(&cost.cost_nusd, hours_nusd)))
		return TL_EAMOUNT_OVERFLOW;
	/* cost / lines + rate / (lines / hours) is (cost + hours x rate) / lines. */
	cost.has_per_line = cost.lines > 0 && (!has_rate || totals->active_ms > 0);
	if (cost.has_per_line)
		cost.per_line_nusd = cost.cost_nusd / cost.lines;
	cost.has_loss = has_rate;
	if (has_rate && !hours_cost(totals->fix_ms, rate_cents, &cost.loss_nusd))
		return TL_EAMOUNT_OVERFLOW;
	*cost_out = cost;
	return TL_OK;
}

/* All lives of members in one scan, by number; in the arena. */
static enum tl_err
read_lives(struct query_job *job, struct tl_life **lives_out, struct tl_why *why)
{
	const struct query_scene *scene = job->scene;
	const struct tl_org *org = scene->org;
	struct tl_life *lives =
		tl_arena_array(job->arena, (size_t)org->member_count + 1, sizeof(*lives));
	struct tl_key first = tl_key_life(org->no, TL_DIM_MEMBER, 0);
	struct tl_key last = tl_key_life(org->no, TL_DIM_MEMBER, org->member_count + 1);
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err;

	*lives_out = lives;
	if (lives == NULL)
		return TL_ENOMEM;
	for (uint32_t no = 0; no <= org->member_count; no++)
		lives[no] = (struct tl_life){.first_ms = INT64_MAX, .last_ms = INT64_MIN};
	err = tl_scan_open(scene->store, scene->view, TL_FAMILY_LIFE, tl_key_slice(&first),
		tl_key_slice(&last), &scan, why);
	while (!err) {
		uint32_t org_no, member_no;
		enum tl_dim dim;

		err = tl_scan_next(scan, &key, &value, why);
		if (!err && !tl_key_life_parse(key, &org_no, &dim, &member_no))
			err = TL_ESTORAGE_CORRUPT;
		if (!err)
			err = tl_life_decode(value, &lives[member_no]);
	}
	tl_scan_free(scan);
	if (err == TL_EEND)
		return TL_OK;
	return err == TL_ESTORAGE_CORRUPT ? tl_fail(why, err, "a life cannot be read") : err;
}

static void
put_utc(struct tl_buf *reply, struct tl_pack_open *map, const char *key, int64_t time_ms)
{
	char text[TL_TIME_TEXT_BYTES];

	if (time_ms != INT64_MIN && time_ms != INT64_MAX)
		tl_time_format(time_ms, text);
	tl_pack_key_str(
		reply, map, key, time_ms != INT64_MIN && time_ms != INT64_MAX ? text : NULL);
}

static void
put_maybe(struct tl_buf *reply, struct tl_pack_open *map, const char *key, bool has_value,
	int64_t value)
{
	tl_pack_key(reply, map, key);
	if (has_value)
		tl_pack_int(reply, value);
	else
		tl_pack_nil(reply);
}

static void
put_true_cost(struct query_job *job, struct tl_pack_open *map, const struct tl_totals *totals,
	const struct true_cost *cost, bool is_shown)
{
	struct tl_buf *reply = job->reply;

	tl_pack_key_int(reply, map, "cost_nusd", totals->cost_nusd);
	tl_pack_key_int(reply, map, "active_ms", totals->active_ms);
	tl_pack_key_int(reply, map, "lines", cost->lines);
	tl_pack_key_int(reply, map, "fix_ms", totals->fix_ms);
	put_maybe(reply, map, "true_cost_nusd", is_shown, cost->cost_nusd);
	put_maybe(reply, map, "true_cost_per_line_nusd", is_shown && cost->has_per_line,
		cost->per_line_nusd);
	put_maybe(reply, map, "estimated_loss_nusd", is_shown && cost->has_loss, cost->loss_nusd);
}

static void
put_rate(struct query_job *job, struct tl_pack_open *map, int64_t rate_cents)
{
	char text[TL_USD_TEXT_BYTES];
	int64_t nusd = 0;
	bool is_shown = job->sees_private && rate_cents >= 0 &&
			!__builtin_mul_overflow(rate_cents, NUSD_PER_CENT, &nusd);

	if (is_shown)
		tl_usd_format(nusd, text);
	tl_pack_key_str(job->reply, map, "hourlyRate", is_shown ? text : NULL);
}

static enum tl_err
put_member(struct query_job *job, const struct tl_member *member, const struct tl_life *life,
	struct tl_why *why)
{
	struct tl_buf *reply = job->reply;
	struct true_cost cost;
	struct tl_pack_open map;
	enum tl_err err = count_true_cost(&life->totals, member->rate_cents, &cost);

	if (err)
		return tl_fail(why, err, "the true cost of a member does not fit");
	map = tl_pack_open_map(reply);
	reply_member_id(job, &map, "gitEmailHash", member);
	if (reply_shows_email(job, member)) {
		if (member->email[0] != '\0')
			tl_pack_key_str(reply, &map, "email", member->email);
		if (member->email_enc.bytes > 0) {
			tl_pack_key(reply, &map, "emailEnc");
			tl_buf_put_slice(reply, member->email_enc);
		}
	}
	reply_member_name(job, &map, "displayName", member);
	put_utc(reply, &map, "firstSeen", life->first_ms);
	put_utc(reply, &map, "lastActive", life->last_ms);
	put_rate(job, &map, member->rate_cents);
	tl_pack_key_int(reply, &map, "events", life->totals.requests);
	tl_pack_key_str(reply, &map, "role", member->role == TL_ROLE_ADMIN ? "admin" : "member");
	if (member->state == TL_MEMBER_PENDING)
		tl_pack_key_bool(reply, &map, "pending", true);
	put_true_cost(job, &map, &life->totals, &cost, job->sees_private || member->rate_cents < 0);
	tl_pack_close(reply, &map);
	return TL_OK;
}

static bool
is_listed(const struct query_job *job, const struct tl_member *member)
{
	return member->state != TL_MEMBER_REMOVED &&
	       (job->only_member == 0 || job->only_member == member->no);
}

static uint32_t
count_listed(const struct query_job *job)
{
	const struct tl_org *org = job->scene->org;
	uint32_t count = 0;

	for (uint32_t i = 0; i < org->member_count; i++)
		count += is_listed(job, org->members[i]);
	return count;
}

/* Members with at least one event, not removed. */
static int64_t
count_used(const struct tl_org *org, const struct tl_life *lives)
{
	int64_t count = 0;

	for (uint32_t i = 0; i < org->member_count; i++)
		count += org->members[i]->state != TL_MEMBER_REMOVED &&
			 lives[org->members[i]->no].totals.requests > 0;
	return count;
}

static void
put_seats(struct query_job *job, struct tl_pack_open *map, const struct tl_life *lives)
{
	const struct tl_org *org = job->scene->org;

	tl_pack_key_int(job->reply, map, "seats", org->seats);
	tl_pack_key_int(job->reply, map, "used", count_used(org, lives));
}

enum tl_err
team_put_seats(struct query_job *job, struct tl_pack_open *map, struct tl_why *why)
{
	struct tl_life *lives;
	enum tl_err err = read_lives(job, &lives, why);

	if (!err)
		put_seats(job, map, lives);
	return err;
}

enum tl_err
team_run(struct query_job *job, struct tl_why *why)
{
	const struct tl_org *org = job->scene->org;
	struct reply_page page = reply_page_of(job, count_listed(job));
	struct tl_pack_open map, array;
	struct tl_life *lives;
	uint32_t row_idx = 0;
	enum tl_err err = read_lives(job, &lives, why);

	if (err)
		return err;
	map = reply_open(job);
	tl_pack_key(job->reply, &map, "members");
	array = tl_pack_open_array(job->reply);
	for (uint32_t i = 0; !err && i < org->member_count; i++) {
		const struct tl_member *member = org->members[i];

		if (!is_listed(job, member))
			continue;
		if (row_idx++ < page.first || row_idx > page.end)
			continue;
		err = put_member(job, member, &lives[member->no], why);
		array.count++;
	}
	tl_pack_close(job->reply, &array);
	if (err)
		return err;
	put_seats(job, &map, lives);
	/* Three keys (SPEC 4) when everybody is there. */
	if (page.has_more)
		reply_page_put(job, &map, &page);
	return reply_close(job, &map, why);
}
