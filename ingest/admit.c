/*
 * Who an event belongs to is the same for all events of a batch with the same key or email, so it
 * is found out once per symbol (struct who) and then written into the rows.
 */
#include "ingest/admit.h"

#include <assert.h>

#include "ingest/links.h"
#include "ingest/own.h"
#include "ingest/rejects.h"
#include "schema/model/bucket.h"
#include "schema/model/limits.h"

#define AGENT_MEMOS 64u

/* What one key, email or member id of the batch stands for. */
struct who {
	bool is_known; /* looked up before */
	bool lacks_email;
	bool lacks_email_enc;
	enum tl_err err; /* of a key: why its events are refused */
	uint32_t org_no;
	uint32_t member_no; /* 0: to be made by the writer */
	uint32_t agent_no;
	uint32_t id_symbol; /* of the member id; the writer must see it: made or activated there */
	int64_t revoked_ms;
};

struct agent_memo {
	uint32_t member_no, type_symbol; /* 0: free */
	uint32_t agent_no;
};

struct admission {
	const struct tl_registry *registry;
	const struct admit_rules *rules;
	const struct tl_org *org; /* of the caller, NULL: every org */
	struct tl_batch *batch;
	/* columns of the batch by row: what the sender said, NULL where no event says it, */
	const int64_t *keys, *email_encs;
	int64_t *emails, *types;
	/* and who is meant */
	int64_t *orgs, *members, *agents, *member_ids;
	struct who *whos; /* by symbol; symbols made during admission are not asked for */
	uint32_t who_count;
	struct agent_memo memos[AGENT_MEMOS];
	uint32_t *kept; /* rows that stay */
	uint32_t kept_count;
};

static inline uint32_t
symbol_at(const int64_t *values, uint32_t row_idx)
{
	return values != NULL ? (uint32_t)values[row_idx] : 0;
}

static inline void
clear(int64_t *values, uint32_t row_idx)
{
	if (values != NULL)
		values[row_idx] = 0;
}

/* The symbol of a member's id. */
static enum tl_err
id_symbol(struct tl_batch *batch, const uint8_t id[16], uint32_t *symbol_out)
{
	struct tl_slice copy = tl_arena_copy(batch->arena, tl_slice_of(id, 16));

	if (copy.data == NULL)
		return TL_ENOMEM;
	return tl_batch_symbol(batch, TL_NAME_MEMBER, copy, symbol_out);
}

/* A member that was found: the writer need not see it unless the event brings it to life. */
static enum tl_err
set_member(struct admission *ad, const struct tl_member *member, struct who *who)
{
	who->member_no = member->no;
	who->lacks_email = member->email[0] == '\0';
	who->lacks_email_enc = member->email_enc.bytes == 0;
	if (member->state == TL_MEMBER_ACTIVE)
		return TL_OK;
	return id_symbol(ad->batch, member->id, &who->id_symbol);
}

static enum tl_err
find_key(struct admission *ad, uint32_t symbol, struct who *who)
{
	const struct tl_credential *key =
		tl_registry_key(ad->registry, ad->batch->symbols[symbol].text);
	const struct tl_org *org;
	const struct tl_member *member;

	/* Another org's key is as unknown as any: that it exists is not for strangers to learn. */
	if (key == NULL || key->type != TL_CREDENTIAL_AGENT || key->org_no == 0 ||
		(ad->org != NULL && key->org_no != ad->org->no)) {
		who->err = ad->org != NULL ? TL_EKEY_UNKNOWN : TL_EORG_UNKNOWN;
		return TL_OK;
	}
	who->org_no = key->org_no;
	who->agent_no = key->agent_no;
	who->revoked_ms = key->revoked_ms;
	org = tl_registry_org(ad->registry, key->org_no);
	member = org != NULL ? tl_org_member(org, key->member_no) : NULL;
	if (member == NULL) {
		who->err = TL_EKEY_UNKNOWN;
		return TL_OK;
	}
	return set_member(ad, member, who);
}

/* The worker's memory: member numbers are for ever, so what it says needs no second look. */
static const struct tl_member *
remembered(const struct admission *ad, struct tl_slice key)
{
	uint64_t member_no;

	if (ad->rules->members == NULL || !tl_map_get(ad->rules->members, key, &member_no))
		return NULL;
	return tl_org_member(ad->org, (uint32_t)member_no);
}

static void
remember(const struct admission *ad, struct tl_slice key, const struct tl_member *member)
{
	if (ad->rules->members == NULL)
		return;
	/* Forgetting all is the simplest bound: the emails in use come back at once. */
	if (tl_map_put(ad->rules->members, key, member->no) != TL_OK)
		tl_map_clear(ad->rules->members);
}

static enum tl_err
find_email(struct admission *ad, uint32_t symbol, struct who *who)
{
	struct tl_slice email = ad->batch->symbols[symbol].text;
	const struct tl_member *member;
	uint8_t key[4 + TL_EMAIL_BYTES_MAX];
	uint8_t id[16];

	assert(email.bytes <= TL_EMAIL_BYTES_MAX);
	tl_put_be32(key, ad->org->no);
	memcpy(key + 4, email.data, email.bytes);
	member = remembered(ad, tl_slice_of(key, 4 + email.bytes));
	if (member != NULL)
		return set_member(ad, member, who);
	tl_org_member_id(ad->org, email, id);
	member = tl_org_member_by_id(ad->org, id);
	if (member == NULL)
		return id_symbol(ad->batch, id, &who->id_symbol);
	remember(ad, tl_slice_of(key, 4 + email.bytes), member);
	return set_member(ad, member, who);
}

static enum tl_err
find_member(struct admission *ad, uint32_t symbol, struct who *who)
{
	struct tl_slice id = ad->batch->symbols[symbol].text;
	const struct tl_member *member;

	assert(id.bytes == 16);
	member = tl_org_member_by_id(ad->org, id.data);
	if (member != NULL)
		return set_member(ad, member, who);
	who->id_symbol = symbol;
	return TL_OK;
}

static enum tl_err
find_who(struct admission *ad, uint32_t symbol, struct who *who)
{
	who->is_known = true;
	switch (ad->batch->symbols[symbol].kind) {
	case TL_NAME_KEY:
		return find_key(ad, symbol, who);
	case TL_NAME_EMAIL:
		return find_email(ad, symbol, who);
	default:
		return find_member(ad, symbol, who);
	}
}

/* The who of a symbol, found out when it is met first. */
static inline enum tl_err
who_of(struct admission *ad, uint32_t symbol, struct who **who_out)
{
	assert(symbol < ad->who_count);
	*who_out = &ad->whos[symbol];
	return (*who_out)->is_known ? TL_OK : find_who(ad, symbol, *who_out);
}

/* The agent of a known member, or 0 when the writer has to make it. */
static inline uint32_t
agent_no_of(struct admission *ad, uint32_t member_no, uint32_t type_symbol)
{
	struct agent_memo *memo = &ad->memos[(member_no * 31 + type_symbol) % AGENT_MEMOS];
	const struct tl_agent *agent;

	if (memo->member_no == member_no && memo->type_symbol == type_symbol)
		return memo->agent_no;
	agent = tl_org_agent_of(ad->org, member_no, ad->batch->symbols[type_symbol].text);
	*memo = (struct agent_memo){.member_no = member_no,
		.type_symbol = type_symbol,
		.agent_no = agent != NULL ? agent->no : 0};
	return memo->agent_no;
}

/*
 * The row is this one's. The writer must see the member to make or activate it, or because the row
 * brings an address that the registry does not have yet.
 */
static enum tl_err
give_row(struct admission *ad, uint32_t row_idx, struct who *who, uint32_t email)
{
	bool brings_email = email != 0 && who->lacks_email;
	bool brings_enc = who->lacks_email_enc && symbol_at(ad->email_encs, row_idx) != 0;
	const struct tl_org *org;
	enum tl_err err;

	if (who->id_symbol == 0 && (brings_email || brings_enc)) {
		org = tl_registry_org(ad->registry, who->org_no);
		err = id_symbol(ad->batch, tl_org_member(org, who->member_no)->id, &who->id_symbol);
		if (err)
			return err;
	}
	if (who->id_symbol == 0 || email == 0)
		clear(ad->emails, row_idx);
	ad->orgs[row_idx] = who->org_no;
	ad->members[row_idx] = who->member_no;
	ad->agents[row_idx] = who->agent_no;
	ad->member_ids[row_idx] = who->id_symbol;
	return TL_OK;
}

/* Attribute a row that came with a key. *refused_out: it was rejected. */
static enum tl_err
resolve_key(struct admission *ad, uint32_t row_idx, uint32_t symbol, bool *refused_out)
{
	struct who *who;
	enum tl_err err = who_of(ad, symbol, &who);

	if (err)
		return err;
	err = who->err;
	if (!err && who->revoked_ms != 0 &&
		tl_batch_get(ad->batch, TL_COL_TS, row_idx) >= who->revoked_ms)
		err = TL_EKEY_REVOKED;
	if (err) {
		rejects_add(ad->batch, row_idx, err, TL_COL_KEY, symbol);
		*refused_out = true;
		return TL_OK;
	}
	clear(ad->types, row_idx);
	return give_row(ad, row_idx, who, 0);
}

/* Attribute a row by its email, else its member id, else not at all. */
static enum tl_err
resolve_member(struct admission *ad, uint32_t row_idx)
{
	struct who nobody = {.org_no = ad->org->no};
	uint32_t email = symbol_at(ad->emails, row_idx);
	uint32_t symbol = email != 0 ? email : (uint32_t)ad->member_ids[row_idx];
	uint32_t type = symbol_at(ad->types, row_idx);
	struct who *who = &nobody;
	enum tl_err err = TL_OK;

	if (symbol != 0)
		err = who_of(ad, symbol, &who);
	if (err)
		return err;
	/* An agent of nobody cannot be told from everybody else's; the writer makes a new one's. */
	if (symbol == 0)
		clear(ad->types, row_idx);
	who->org_no = ad->org->no;
	who->agent_no =
		type != 0 && who->member_no != 0 ? agent_no_of(ad, who->member_no, type) : 0;
	if (who->agent_no != 0)
		clear(ad->types, row_idx);
	return give_row(ad, row_idx, who, email);
}

static enum tl_err
resolve_rows(struct admission *ad)
{
	struct tl_batch *batch = ad->batch;

	for (uint32_t i = 0; i < batch->row_count; i++) {
		uint32_t key = symbol_at(ad->keys, i);
		bool refused = false;
		enum tl_err err = TL_OK;

		if (key != 0) {
			err = resolve_key(ad, i, key, &refused);
		} else if (ad->org == NULL) {
			rejects_add(batch, i, TL_EORG_UNKNOWN, TL_COL_KEY, 0);
			refused = true;
		} else {
			err = resolve_member(ad, i);
		}
		if (err)
			return err;
		if (!refused)
			ad->kept[ad->kept_count++] = i;
	}
	return TL_OK;
}

/* Every kept row gets all four of them; a member id may be there as the sender said it. */
static enum tl_err
columns_begin(struct admission *ad)
{
	struct tl_batch *batch = ad->batch;

	if (tl_batch_room(batch, TL_COL_ORG) != TL_OK ||
		tl_batch_room(batch, TL_COL_MEMBER) != TL_OK ||
		tl_batch_room(batch, TL_COL_AGENT) != TL_OK ||
		tl_batch_need(batch, TL_COL_MEMBER_ID) != TL_OK)
		return TL_ENOMEM;
	ad->keys = batch->column[TL_COL_KEY];
	ad->emails = batch->column[TL_COL_EMAIL];
	ad->email_encs = batch->column[TL_COL_EMAIL_ENC];
	ad->types = batch->column[TL_COL_AGENT_TYPE];
	ad->orgs = batch->column[TL_COL_ORG];
	ad->members = batch->column[TL_COL_MEMBER];
	ad->agents = batch->column[TL_COL_AGENT];
	ad->member_ids = batch->column[TL_COL_MEMBER_ID];
	return TL_OK;
}

/* What nothing is left in is no column, so that the writer need not look. */
static void
columns_end(struct tl_batch *batch)
{
	static const enum tl_column people[] = {
		TL_COL_MEMBER, TL_COL_AGENT, TL_COL_EMAIL, TL_COL_MEMBER_ID, TL_COL_AGENT_TYPE};

	for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++)
		tl_batch_trim(batch, people[i]);
}

static enum tl_err
resolve(struct admission *ad)
{
	struct tl_batch *batch = ad->batch;
	enum tl_err err;

	ad->who_count = batch->symbol_count;
	ad->whos = tl_arena_array(batch->arena, ad->who_count, sizeof(*ad->whos));
	ad->kept = tl_arena_room(batch->arena, batch->row_count, sizeof(*ad->kept));
	if (ad->whos == NULL || ad->kept == NULL)
		return TL_ENOMEM;
	err = columns_begin(ad);
	if (!err)
		err = resolve_rows(ad);
	if (!err)
		err = links_split(batch);
	if (err)
		return err;
	rejects_keep(batch, ad->kept, ad->kept_count);
	columns_end(batch);
	return TL_OK;
}

static enum tl_err
find_caller(struct admitted *admitted, const struct tl_registry *registry,
	const struct admit_rules *rules, struct tl_why *why)
{
	enum tl_right right;
	enum tl_err err;

	err = tl_caller_resolve(registry, admitted->head.token, tl_slice_str(""),
		rules->is_operator, rules->now_ms, &admitted->caller, why);
	if (err)
		return err;
	right = own_is(&admitted->caller) ? TL_RIGHT_PUSH_OWN : TL_RIGHT_PUSH;
	if (admitted->head.import)
		right = TL_RIGHT_IMPORT;
	return tl_authorise(&admitted->caller, right, why);
}

static enum tl_err
admit(struct tl_slice map, const struct tl_registry *registry, const struct admit_rules *rules,
	struct tl_arena *arena, struct admitted *admitted_out, struct tl_why *why)
{
	struct admitted admitted = {0};
	struct tl_accept accept = {.now_ms = rules->now_ms, .future_ms_max = TL_FUTURE_MS_MAX};
	struct admission ad = {.registry = registry, .rules = rules};
	enum tl_err err;

	err = tl_batch_head_read(map, &admitted.head, why);
	if (err)
		return err;
	err = find_caller(&admitted, registry, rules, why);
	if (!err && admitted.head.event_count == 0)
		err = tl_fail(why, TL_EBATCH_EMPTY, "the batch holds no event");
	if (err)
		return err;
	accept.past_ms_max = TL_DAY_MS * (admitted.head.import ? rules->retention_days
							       : rules->accept_past_days);
	err = tl_batch_init(&admitted.batch, arena, admitted.head.event_count);
	if (!err)
		err = tl_batch_rows_read(&admitted.head, &accept, &admitted.batch, why);
	if (err)
		return err;

	ad.batch = &admitted.batch;
	if (admitted.caller.org_no != 0) {
		ad.org = tl_registry_org(registry, admitted.caller.org_no);
		if (ad.org == NULL)
			return tl_fail(why, TL_EUNAUTHENTICATED, "the credential's org is gone");
	}
	if (own_is(&admitted.caller))
		err = own_rows(&admitted.caller, &admitted.batch);
	if (!err)
		err = resolve(&ad);
	if (err)
		return err;
	*admitted_out = admitted;
	return TL_OK;
}

enum tl_err
admit_batch(struct tl_slice map, const struct tl_registry *registry,
	const struct admit_rules *rules, struct tl_arena *arena, struct admitted *admitted_out,
	struct tl_why *why)
{
	enum tl_err err = admit(map, registry, rules, arena, admitted_out, why);

	return err ? tl_batch_refuse(map, err, why) : TL_OK;
}
