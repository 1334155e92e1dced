/*
 * Members and agents by usage: who an event names, and admission did not find in the registry, is
 * made and activated with it. Past the limits an event counts for nobody, or for its member alone.
 */
#include "ingest/writer.h"

/* Rows on their way from symbols to numbers of the registry. */
struct people {
	struct commit *commit;
	const struct tl_batch *from;
	struct tl_batch *to;
	uint32_t *other_count;
};

static uint32_t
symbol_at(const struct people *people, enum tl_column column, uint32_t row_idx)
{
	const int64_t *symbols = people->from->column[column];

	return symbols != NULL ? (uint32_t)symbols[row_idx] : 0;
}

/* Addresses the registry cannot hold are none; usage is never lost for them. */
static bool
is_text_error(enum tl_err err)
{
	return err == TL_ESTRING_TOO_LONG || err == TL_ESTRING_CONTROL ||
	       err == TL_ESTRING_NOT_UTF8;
}

/* Members are for ever, so the same event finds the same answer when it is sent again. */
static bool
is_member_past_limit(const struct tl_org *org, struct tl_slice id)
{
	return org != NULL && org->member_count >= TL_MEMBERS_BY_USAGE_MAX &&
	       tl_org_member_by_id(org, id.data) == NULL;
}

static bool
is_agent_past_limit(const struct tl_org *org, uint32_t member_no, struct tl_slice type)
{
	return org != NULL && org->agent_count >= TL_AGENTS_BY_USAGE_MAX &&
	       tl_org_agent_of(org, member_no, type) == NULL;
}

static enum tl_err
need_member(struct people *people, uint32_t org, struct tl_slice id, uint32_t row_idx,
	uint32_t *member_no)
{
	struct commit *commit = people->commit;
	uint32_t email = symbol_at(people, TL_COL_EMAIL, row_idx);
	uint32_t enc = symbol_at(people, TL_COL_EMAIL_ENC, row_idx);
	struct tl_slice text = {0};
	struct tl_member changed;
	const struct tl_member *member;
	enum tl_err err;

	if (is_member_past_limit(tl_edit_org(commit->edit, org), id)) {
		*member_no = 0;
		(*people->other_count)++;
		return TL_OK;
	}
	if (email != 0)
		text = people->from->symbols[email].text;
	err = tl_edit_need_member(
		commit->edit, org, id.data, text, commit->group.received_ms, member_no);
	if (is_text_error(err))
		err = tl_edit_need_member(commit->edit, org, id.data, tl_slice_of(NULL, 0),
			commit->group.received_ms, member_no);
	if (err || enc == 0)
		return err;
	member = tl_org_member(tl_edit_org(commit->edit, org), *member_no);
	if (member->email_enc.bytes > 0)
		return TL_OK;
	changed = *member;
	changed.email_enc = people->from->symbols[enc].text;
	err = tl_edit_put_member(commit->edit, org, &changed, member_no);
	return is_text_error(err) ? TL_OK : err;
}

static enum tl_err
need_agent(struct people *people, uint32_t org, uint32_t member_no, struct tl_slice type,
	uint32_t *agent_no)
{
	enum tl_err err;

	if (is_agent_past_limit(tl_edit_org(people->commit->edit, org), member_no, type)) {
		*agent_no = 0;
		(*people->other_count)++;
		return TL_OK;
	}
	err = tl_edit_need_agent(people->commit->edit, org, member_no, type,
		people->commit->group.received_ms, agent_no);
	if (is_text_error(err)) {
		*agent_no = 0;
		err = TL_OK;
	}
	return err;
}

/* Who a row belongs to, made where it must be. */
static enum tl_err
make_people(struct people *people, uint32_t row_idx, uint32_t at)
{
	uint32_t org = (uint32_t)people->from->column[TL_COL_ORG][row_idx];
	uint32_t id = symbol_at(people, TL_COL_MEMBER_ID, row_idx);
	uint32_t type = symbol_at(people, TL_COL_AGENT_TYPE, row_idx);
	uint32_t member_no = (uint32_t)tl_batch_get(people->to, TL_COL_MEMBER, at);
	uint32_t agent_no;
	enum tl_err err = TL_OK;

	if (id != 0) {
		err = need_member(people, org, people->from->symbols[id].text, row_idx, &member_no);
		if (!err)
			err = tl_batch_set(people->to, TL_COL_MEMBER, at, member_no);
	}
	if (err || type == 0 || member_no == 0)
		return err;
	err = need_agent(people, org, member_no, people->from->symbols[type].text, &agent_no);
	if (!err)
		err = tl_batch_set(people->to, TL_COL_AGENT, at, agent_no);
	return err;
}

/* Who a row would belong to. */
static enum tl_err
find_people(struct people *people, uint32_t row_idx, uint32_t at)
{
	const struct tl_org *org = tl_edit_org(
		people->commit->edit, (uint32_t)people->from->column[TL_COL_ORG][row_idx]);
	uint32_t id = symbol_at(people, TL_COL_MEMBER_ID, row_idx);
	uint32_t type = symbol_at(people, TL_COL_AGENT_TYPE, row_idx);
	int64_t member_no = tl_batch_get(people->to, TL_COL_MEMBER, at);
	const struct tl_member *member = NULL;
	const struct tl_agent *agent = NULL;
	enum tl_err err = TL_OK;

	if (org != NULL && id != 0) {
		member = tl_org_member_by_id(org, people->from->symbols[id].text.data);
		member_no = member != NULL ? member->no : NAMES_NOBODY;
		if (is_member_past_limit(org, people->from->symbols[id].text))
			member_no = 0;
		err = tl_batch_set(people->to, TL_COL_MEMBER, at, member_no);
	}
	if (err || type == 0 || member_no == 0)
		return err;
	if (org != NULL && member_no > 0)
		agent = tl_org_agent_of(org, (uint32_t)member_no, people->from->symbols[type].text);
	if (agent == NULL && member_no > 0 &&
		is_agent_past_limit(org, (uint32_t)member_no, people->from->symbols[type].text))
		return TL_OK;
	return tl_batch_set(people->to, TL_COL_AGENT, at, agent != NULL ? agent->no : NAMES_NOBODY);
}

enum tl_err
people_translate(struct commit *commit, const struct tl_batch *from, const uint32_t *row_idx,
	uint32_t count, enum names_mode mode, struct tl_batch *to, uint32_t *other_count)
{
	struct people people = {commit, from, to, other_count};
	enum tl_err err = TL_OK;

	if (from->column[TL_COL_MEMBER_ID] == NULL && from->column[TL_COL_AGENT_TYPE] == NULL)
		return TL_OK;
	for (uint32_t i = 0; i < count && !err; i++) {
		/* Admission knew most of them. */
		if (symbol_at(&people, TL_COL_MEMBER_ID, row_idx[i]) == 0 &&
			symbol_at(&people, TL_COL_AGENT_TYPE, row_idx[i]) == 0)
			continue;
		if (mode == NAMES_MAKE)
			err = make_people(&people, row_idx[i], to->row_count + i);
		else
			err = find_people(&people, row_idx[i], to->row_count + i);
	}
	return err;
}
