/*
 * A batch is judged in two passes. First every id is claimed: the new ones, nearly all, are
 * appended to the group together, column by column. Then the known ones are looked at one by one;
 * their stored row may by then be one that this very batch brought.
 *
 *   print equal, rev 0        duplicate, without reading anything
 *   rev above the stored      replaced: a row that takes the stored one back, and the new row
 *   rev equal, same content   duplicate
 *   rev equal, other content  conflict: the first stays, this one goes to quarantine
 *   rev below                 stale, which is a duplicate to the sender
 *
 * While the group is built a slot's place is (its number, block 0, row in the group).
 */
#include <assert.h>

#include "ingest/rejects.h"
#include "ingest/writer.h"
#include "schema/model/bucket.h"
#include "schema/model/limits.h"

#define PREFETCH_ROWS 16u
#define LATE_MS TL_HOUR_MS

struct judging {
	struct commit *commit;
	struct tl_batch *batch;
	const struct tl_caller *caller;
	struct names_memo memo;
	uint32_t *fresh; /* rows whose id is new, */
	uint32_t fresh_count;
	struct dedupe_slot **fresh_slots; /* its slot */
	uint16_t *fresh_days;		  /* and the day it counts on */
	uint32_t *known;		  /* rows whose id is not */
	uint32_t known_count;
	struct tl_batch scratch; /* the known rows as dense ids, to compare */
	uint32_t other_count;	 /* names past their limit */
	struct verdicts verdicts;
	uint32_t tally_org; /* of tally */
	struct tl_intake_row *tally;
	struct tl_why *why;
};

static uint32_t
org_of(const struct judging *j, uint32_t row_idx)
{
	return (uint32_t)j->batch->column[TL_COL_ORG][row_idx];
}

static int64_t
time_of(const struct judging *j, uint32_t row_idx)
{
	int64_t ts_ms = tl_batch_get(j->batch, TL_COL_TS, row_idx);

	return tl_event_time(ts_ms, j->commit->group.received_ms);
}

/* The counters of the org's source, in j->tally. */
static enum tl_err
find_tally(struct judging *j, uint32_t org)
{
	if (j->tally != NULL && j->tally_org == org)
		return TL_OK;
	j->tally_org = org;
	return sources_row(j->commit->sources, org, j->caller->key_id, j->commit->dict,
		j->commit->write, &j->tally, j->why);
}

/* Note a refusal of a row; a conflict is counted apart from what is rejected. */
static enum tl_err
refuse(struct judging *j, uint32_t row_idx, enum tl_err code, const char *field, int64_t limit)
{
	struct tl_batch *batch = j->batch;
	struct tl_reject *reject = &batch->rejects[batch->reject_count];
	enum tl_err err = find_tally(j, org_of(j, row_idx));

	if (err)
		return err;
	assert(batch->reject_count < batch->row_capacity);
	*reject = (struct tl_reject){
		.event_idx = batch->event_idx[row_idx],
		.err = code,
		.field = field,
		.limit = limit,
	};
	memcpy(reject->id, batch->id[row_idx], sizeof(reject->id));
	batch->reject_count++;
	j->tally->received++;
	if (code == TL_EID_CONFLICT) {
		j->tally->conflict++;
		j->verdicts.conflict++;
	} else {
		j->tally->rejected++;
		j->tally->rejected_by[code]++;
		j->verdicts.rejected++;
	}
	return TL_OK;
}

/* What a row adds to sums of money: unknown cost is -1, and nothing is below 0 otherwise. */
static int64_t
money_of(const struct judging *j, uint32_t row_idx)
{
	int64_t cost_nusd = tl_batch_get(j->batch, TL_COL_COST, row_idx);

	return (cost_nusd > 0 ? cost_nusd : 0) + tl_batch_get(j->batch, TL_COL_SAVED_NUSD, row_idx);
}

/* A place for the row's day in the group; else why not. */
static enum tl_err
find_day(struct judging *j, uint32_t row_idx, uint16_t *day_idx_out)
{
	int64_t time_ms = time_of(j, row_idx);

	if (time_ms < j->commit->expired_before_ms)
		return TL_ETIME_TOO_OLD;
	if (!group_find_day(&j->commit->group, time_ms, day_idx_out))
		return TL_EOVERLOADED;
	return TL_OK;
}

/* Room for the row's money in its org's sums; the last thing that may refuse a row. */
static enum tl_err
charge(struct judging *j, uint32_t row_idx, int64_t money_nusd)
{
	if (!sources_charge(j->commit->sources, org_of(j, row_idx), money_nusd))
		return TL_EAMOUNT_OVERFLOW;
	return TL_OK;
}

/*
 * A group numbers so many blocks: whoever sends events of a thousand days is asked to come again.
 * Money past the bound of the org is refused for good.
 */
static enum tl_err
refuse_room(struct judging *j, uint32_t row_idx, enum tl_err code)
{
	if (code == TL_EAMOUNT_OVERFLOW)
		return refuse(j, row_idx, code, tl_column_field(TL_COL_COST), SOURCES_MONEY_MAX);
	if (code == TL_ETIME_TOO_OLD)
		return refuse(
			j, row_idx, code, tl_column_field(TL_COL_TS), j->commit->expired_before_ms);
	return refuse(j, row_idx, code, tl_column_field(TL_COL_TS), GROUP_DAYS_MAX);
}

static enum tl_err
count_duplicate(struct judging *j, uint32_t row_idx)
{
	enum tl_err err = find_tally(j, org_of(j, row_idx));

	if (err)
		return err;
	j->tally->received++;
	j->tally->duplicate++;
	j->verdicts.duplicate++;
	return TL_OK;
}

static enum tl_err
count_accepted(struct judging *j, uint32_t row_idx, int64_t money_nusd)
{
	int64_t ts_ms = tl_batch_get(j->batch, TL_COL_TS, row_idx);
	enum tl_err err = find_tally(j, org_of(j, row_idx));

	if (err)
		return err;
	j->tally->received++;
	j->tally->accepted++;
	j->tally->money_nusd += money_nusd;
	j->verdicts.accepted++;
	if (j->commit->group.received_ms - ts_ms > LATE_MS)
		j->tally->late++;
	if (tl_batch_get(j->batch, TL_COL_KIND, row_idx) == TL_KIND_REQUEST &&
		tl_batch_get(j->batch, TL_COL_COST, row_idx) < 0)
		j->tally->unpriced++;
	return TL_OK;
}

static enum tl_err
init_judging(struct judging *j)
{
	struct tl_arena *arena = &j->commit->group.arena;
	uint32_t count = j->batch->row_count;

	j->fresh = tl_arena_room(arena, count, sizeof(*j->fresh));
	j->fresh_slots = tl_arena_room(arena, count, sizeof(struct dedupe_slot *));
	j->fresh_days = tl_arena_room(arena, count, sizeof(*j->fresh_days));
	j->known = tl_arena_room(arena, count, sizeof(*j->known));
	if (j->fresh == NULL || j->fresh_slots == NULL || j->fresh_days == NULL || j->known == NULL)
		return TL_ENOMEM;
	return names_memo_make(j->commit, j->batch, &j->memo);
}

static enum tl_err
claim_fresh(struct judging *j, uint32_t row_idx, struct dedupe_slot *slot)
{
	int64_t money_nusd = money_of(j, row_idx);
	uint16_t day_idx;
	enum tl_err code = find_day(j, row_idx, &day_idx);

	if (!code)
		code = charge(j, row_idx, money_nusd);
	if (code) {
		dedupe_unclaim(j->commit->dedupe, slot);
		return refuse_room(j, row_idx, code);
	}
	j->fresh[j->fresh_count] = row_idx;
	j->fresh_slots[j->fresh_count] = slot;
	j->fresh_days[j->fresh_count] = day_idx;
	j->fresh_count++;
	return count_accepted(j, row_idx, money_nusd);
}

static struct dedupe_key
key_of(const struct judging *j, uint32_t row_idx)
{
	return dedupe_key_of(j->commit->dedupe, org_of(j, row_idx), j->batch->id[row_idx]);
}

static enum tl_err
claim_row(struct judging *j, uint32_t row_idx, const struct dedupe_key *key)
{
	bool is_new;
	struct dedupe_slot *slot = dedupe_claim(j->commit->dedupe, key, &is_new);

	if (is_new)
		return claim_fresh(j, row_idx, slot);
	j->known[j->known_count++] = row_idx;
	return TL_OK;
}

static enum tl_err
claim_rows(struct judging *j)
{
	uint32_t row_count = j->batch->row_count;
	struct dedupe_key keys[PREFETCH_ROWS]; /* of the rows ahead */
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < row_count + PREFETCH_ROWS && !err; i++) {
		struct dedupe_key *key = &keys[i % PREFETCH_ROWS];

		if (i >= PREFETCH_ROWS)
			err = claim_row(j, i - PREFETCH_ROWS, key);
		if (i < row_count) {
			*key = key_of(j, i);
			dedupe_prefetch(j->commit->dedupe, key);
		}
	}
	return err;
}

/* Append rows to the group; slots and days are one for each. */
static enum tl_err
append(struct judging *j, const uint32_t *row_idx, struct dedupe_slot *const *slots,
	const uint16_t *day_idx, uint32_t count)
{
	struct commit *commit = j->commit;
	struct group *group = &commit->group;
	uint64_t *prints = tl_arena_room(&group->arena, count, sizeof(*prints));
	uint32_t first = group->rows.row_count;
	enum tl_err err;

	if (prints == NULL)
		return TL_ENOMEM;
	err = group_reserve(group, count);
	if (!err)
		err = names_translate(commit, j->batch, row_idx, count, &j->memo, NAMES_MAKE,
			&group->rows, &j->other_count, j->why);
	if (err)
		return err;
	group_prints(&commit->print_key, &group->rows, first, count, prints);
	for (uint32_t i = 0; i < count; i++) {
		struct dedupe_place place = {
			.group_no = group->group_no, .row_idx = (uint16_t)(first + i)};

		slots[i]->print = group_print_of(prints[i]);
		slots[i]->place = dedupe_place_pack(place);
		group_add(group, day_idx[i], slots[i]);
	}
	return TL_OK;
}

static enum tl_err
take_fresh(struct judging *j)
{
	if (j->fresh_count == 0)
		return TL_OK;
	return append(j, j->fresh, j->fresh_slots, j->fresh_days, j->fresh_count);
}

/* The row a known row's slot stands for; batch NULL when its day has expired. */
static enum tl_err
fetch(struct judging *j, uint32_t row_idx, const struct dedupe_slot *slot,
	struct stored_row *row_out)
{
	struct group *group = &j->commit->group;
	struct dedupe_place place = dedupe_place_of(slot);
	struct stored_event event = {org_of(j, row_idx), j->batch->id[row_idx], slot};

	if (place.group_no != group->group_no)
		return stored_fetch(j->commit->stored, &event, row_out, j->why);
	*row_out = (struct stored_row){
		.batch = &group->rows,
		.row_idx = place.row_idx,
		.received_ms = group->received_ms,
	};
	return TL_OK;
}

/* False when the day is gone, or the group cannot take it. */
static bool
find_retract_day(struct judging *j, const struct stored_row *stored, uint16_t *day_idx_out,
	enum tl_err *code_out)
{
	int64_t ts_ms = tl_batch_get(stored->batch, TL_COL_TS, stored->row_idx);
	int64_t time_ms = tl_event_time(ts_ms, stored->received_ms);
	struct tl_day *day = tl_day_pin(j->commit->store, tl_bucket_floor(TL_SPAN_1D, time_ms));

	*code_out = TL_EREV_AFTER_HORIZON;
	if (day != NULL)
		tl_day_unpin(day);
	if (day == NULL || time_ms < j->commit->expired_before_ms)
		return false;
	*code_out = TL_EOVERLOADED;
	return group_find_day(&j->commit->group, time_ms, day_idx_out);
}

static enum tl_err
replace(struct judging *j, uint32_t row_idx, struct dedupe_slot *slot,
	const struct stored_row *stored)
{
	struct group *group = &j->commit->group;
	const char *field = tl_column_field(TL_COL_REV);
	uint16_t day_idx;
	uint16_t retract_idx = 0;
	bool is_stored = stored->batch != &group->rows;
	enum tl_err code = find_day(j, row_idx, &day_idx);
	enum tl_err err = TL_OK;

	if (code)
		return refuse_room(j, row_idx, code);
	if (is_stored && !find_retract_day(j, stored, &retract_idx, &code))
		return refuse(j, row_idx, code, field, INT64_MIN);
	code = charge(j, row_idx, money_of(j, row_idx));
	if (code)
		return refuse_room(j, row_idx, code);
	if (is_stored) {
		err = group_reserve(group, 1);
		if (!err)
			err = group_retract(group, stored->batch, stored->row_idx,
				stored->received_ms, retract_idx);
	} else {
		group_drop(group, stored->row_idx);
	}
	if (!err)
		err = append(j, &row_idx, &slot, &day_idx, 1);
	if (!err)
		err = find_tally(j, org_of(j, row_idx));
	if (err)
		return err;
	j->tally->received++;
	j->tally->replaced++;
	j->tally->money_nusd += money_of(j, row_idx);
	j->verdicts.replaced++;
	return TL_OK;
}

/*
 * Without a key, the agent of an event follows from its type, and which agent that is changes when
 * one is enrolled. The event that was sent is still the same.
 */
static bool
is_same_agent_type(struct judging *j, uint32_t known_idx, const struct stored_row *stored)
{
	uint32_t row_idx = j->known[known_idx];
	const struct tl_org *org = tl_edit_org(j->commit->edit, org_of(j, row_idx));
	int64_t stored_no = tl_batch_get(stored->batch, TL_COL_AGENT, stored->row_idx);
	int64_t agent_no = tl_batch_get(&j->scratch, TL_COL_AGENT, known_idx);
	const int64_t *types = j->batch->column[TL_COL_AGENT_TYPE];
	const struct tl_agent *was;
	const struct tl_agent *is;
	struct tl_slice type = {0};

	if (tl_batch_get(j->batch, TL_COL_KEY, row_idx) != 0 || org == NULL || stored_no <= 0)
		return false;
	was = tl_org_agent(org, (uint32_t)stored_no);
	is = agent_no > 0 ? tl_org_agent(org, (uint32_t)agent_no) : NULL;
	if (is != NULL)
		type = tl_slice_str(is->type);
	else if (types != NULL && types[row_idx] != 0)
		type = j->batch->symbols[types[row_idx]].text;
	return was != NULL && type.bytes > 0 && tl_slice_eq(tl_slice_str(was->type), type);
}

static enum tl_column
find_difference(struct judging *j, uint32_t known_idx, const struct stored_row *stored)
{
	struct tl_batch *scratch = &j->scratch;
	enum tl_column column;

	column = tl_event_differs(scratch, known_idx, stored->batch, stored->row_idx);
	if (column != TL_COL_AGENT || !is_same_agent_type(j, known_idx, stored))
		return column;
	if (tl_batch_set(scratch, TL_COL_AGENT, known_idx,
		    tl_batch_get(stored->batch, TL_COL_AGENT, stored->row_idx)) != TL_OK)
		return column;
	return tl_event_differs(scratch, known_idx, stored->batch, stored->row_idx);
}

/* Who is not there is nobody in what is kept of a refused event. */
static enum tl_err
quarantine(struct judging *j, uint32_t known_idx, const char *field)
{
	static const enum tl_column people[] = {TL_COL_MEMBER, TL_COL_AGENT};

	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
		int64_t *values = j->scratch.column[people[i]];

		if (values != NULL && values[known_idx] == NAMES_NOBODY)
			values[known_idx] = 0;
	}
	return quarantine_put(j->commit, &j->scratch, known_idx, field, j->why);
}

/* Equal revs: the same event again, or two events with one id. */
static enum tl_err
compare(struct judging *j, uint32_t known_idx, uint32_t print, struct dedupe_slot *slot,
	const struct stored_row *stored)
{
	uint32_t row_idx = j->known[known_idx];
	enum tl_column column = find_difference(j, known_idx, stored);
	enum tl_err err;

	if (column == TL_COL_COUNT) {
		slot->print = print;
		return count_duplicate(j, row_idx);
	}
	err = quarantine(j, known_idx, tl_column_field(column));
	if (err)
		return err;
	return refuse(j, row_idx, TL_EID_CONFLICT, tl_column_field(column), INT64_MIN);
}

static enum tl_err
judge(struct judging *j, uint32_t known_idx, uint32_t print)
{
	uint32_t row_idx = j->known[known_idx];
	int64_t rev = tl_batch_get(j->batch, TL_COL_REV, row_idx);
	struct dedupe_key key = key_of(j, row_idx);
	struct dedupe_slot *slot;
	struct stored_row stored;
	bool is_new;
	int64_t stored_rev;
	enum tl_err err;

	slot = dedupe_claim(j->commit->dedupe, &key, &is_new);
	if (is_new) {
		/* It was this batch's own, and refused meanwhile, for the same reason. */
		uint16_t day_idx;
		enum tl_err code = find_day(j, row_idx, &day_idx);

		dedupe_unclaim(j->commit->dedupe, slot);
		return refuse_room(j, row_idx, code ? code : TL_EAMOUNT_OVERFLOW);
	}
	if (rev == 0 && slot->print == print)
		return count_duplicate(j, row_idx);
	err = fetch(j, row_idx, slot, &stored);
	if (err)
		return err;
	if (stored.batch == NULL) {
		if (rev == 0 || slot->print == print)
			return count_duplicate(j, row_idx);
		return refuse(
			j, row_idx, TL_EREV_AFTER_HORIZON, tl_column_field(TL_COL_REV), INT64_MIN);
	}
	stored_rev = tl_batch_get(stored.batch, TL_COL_REV, stored.row_idx);
	if (rev > stored_rev)
		return replace(j, row_idx, slot, &stored);
	if (rev < stored_rev)
		return count_duplicate(j, row_idx);
	return compare(j, known_idx, print, slot, &stored);
}

static enum tl_err
judge_known(struct judging *j)
{
	struct tl_arena *arena = &j->commit->group.arena;
	uint32_t uncounted = 0;
	uint64_t *prints;
	enum tl_err err;

	if (j->known_count == 0)
		return TL_OK;
	j->scratch = (struct tl_batch){.arena = arena, .row_capacity = j->known_count};
	j->scratch.id = tl_arena_room(arena, j->known_count, sizeof(*j->scratch.id));
	prints = tl_arena_room(arena, j->known_count, sizeof(*prints));
	if (j->scratch.id == NULL || prints == NULL)
		return TL_ENOMEM;
	err = names_translate(j->commit, j->batch, j->known, j->known_count, &j->memo, NAMES_FIND,
		&j->scratch, &uncounted, j->why);
	if (err)
		return err;
	j->scratch.row_count = j->known_count;
	group_prints(&j->commit->print_key, &j->scratch, 0, j->known_count, prints);
	for (uint32_t i = 0; i < j->known_count && !err; i++)
		err = judge(j, i, group_print_of(prints[i]));
	return err;
}

/* What admission refused, and the tags it dropped: by the sender's org, as no other is known. */
static enum tl_err
count_admission(struct judging *j, uint32_t reject_count)
{
	uint32_t dropped_count = j->batch->dropped_tag_count + j->other_count;
	enum tl_err err;

	if (reject_count == 0 && dropped_count == 0)
		return TL_OK;
	err = find_tally(j, j->caller->org_no);
	if (err)
		return err;
	for (uint32_t i = 0; i < reject_count; i++)
		j->tally->rejected_by[j->batch->rejects[i].err]++;
	j->tally->received += reject_count;
	j->tally->rejected += reject_count;
	j->tally->dropped_tags += dropped_count;
	j->verdicts.rejected += reject_count;
	return TL_OK;
}

enum tl_err
verdict_batch(struct commit *commit, struct admitted *admitted, struct verdicts *verdicts_out,
	struct tl_why *why)
{
	struct judging j = {
		.commit = commit,
		.batch = &admitted->batch,
		.caller = &admitted->caller,
		.why = why,
	};
	uint32_t reject_count = j.batch->reject_count;
	enum tl_err err = TL_OK;

	if (j.batch->row_count > 0) {
		err = init_judging(&j);
		if (!err)
			err = claim_rows(&j);
		if (!err)
			err = take_fresh(&j);
		if (!err)
			err = judge_known(&j);
	}
	if (!err)
		err = count_admission(&j, reject_count);
	if (err)
		return err;
	if (j.batch->reject_count > reject_count)
		rejects_sort(j.batch);
	*verdicts_out = j.verdicts;
	return TL_OK;
}
