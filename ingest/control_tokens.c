/* Tokens: made, listed, revoked, and an agent's key resolved for a gateway. */
#include "ingest/control_private.h"

enum tl_err
control_issue(const struct control_call *call, struct tl_credential *credential,
	char token_out[TL_TOKEN_BYTES_MAX])
{
	/* Ids are short enough that a taken one is thinkable, and it must not be overwritten. */
	do {
		tl_token_make(credential->type, credential, token_out);
	} while (tl_edit_key(call->edit, tl_slice_str(credential->key_id)));
	credential->created_ms = call->now_ms;
	return tl_edit_put_credential(call->edit, credential);
}

static enum tl_err
end_credential(
	const struct control_call *call, const struct tl_credential *credential, int64_t ends_ms)
{
	struct tl_credential ended = *credential;

	if (ended.revoked_ms != 0 && ended.revoked_ms <= ends_ms)
		return TL_OK;
	ended.revoked_ms = ends_ms;
	return tl_edit_put_credential(call->edit, &ended);
}

enum tl_err
control_end_agent_keys(
	const struct control_call *call, uint32_t org_no, uint32_t agent_no, int64_t ends_ms)
{
	const struct tl_credential *credential;
	size_t cursor = 0;
	enum tl_err err = TL_OK;

	while (!err && (credential = tl_registry_credential_next(
				control_registry(call), org_no, &cursor))) {
		if (credential->type == TL_CREDENTIAL_AGENT && credential->agent_no == agent_no)
			err = end_credential(call, credential, ends_ms);
	}
	return err;
}

enum tl_err
control_end_member_tokens(
	const struct control_call *call, uint32_t org_no, uint32_t member_no, int64_t ends_ms)
{
	const struct tl_credential *credential;
	size_t cursor = 0;
	enum tl_err err = TL_OK;

	while (!err && (credential = tl_registry_credential_next(
				control_registry(call), org_no, &cursor))) {
		if (credential->type == TL_CREDENTIAL_PERSON && credential->member_no == member_no)
			err = end_credential(call, credential, ends_ms);
	}
	return err;
}

/* What token_create was asked for, checked. */
struct token_order {
	enum tl_credential_type type;
	char name[TL_NAME_BYTES_MAX + 1];
	bool all_orgs;
	enum tl_role role;
	enum control_presence has_role;
	enum control_presence has_email;
};

static enum tl_err
read_order(const struct control_call *call, struct token_order *order)
{
	char type[16];
	char email[TL_EMAIL_BYTES_MAX + 1];
	enum control_presence presence;
	enum tl_err err = control_text_need(call, "type", sizeof(type) - 1, type);

	if (err)
		return err;
	if (!tl_credential_type_parse(tl_slice_str(type), &order->type) ||
		order->type == TL_CREDENTIAL_AGENT)
		return tl_fail(
			call->why, TL_EBAD_PARAM, "type: must be gateway, personal or service");
	err = control_text_need(call, "name", TL_NAME_BYTES_MAX, order->name);
	if (!err)
		err = control_flag(call, "all_orgs", &order->all_orgs, &presence);
	if (!err)
		err = control_role(call, &order->role, &order->has_role);
	if (!err)
		err = control_text(call, "email", TL_EMAIL_BYTES_MAX, email, &order->has_email);
	if (err)
		return err;
	if (order->type != TL_CREDENTIAL_PERSON && order->has_role == CONTROL_GIVEN)
		return tl_fail(call->why, TL_EBAD_PARAM, "role: only for a personal token");
	if (order->type != TL_CREDENTIAL_PERSON && order->has_email == CONTROL_GIVEN)
		return tl_fail(call->why, TL_EBAD_PARAM, "email: only for a personal token");
	if (order->all_orgs && order->type != TL_CREDENTIAL_GATEWAY)
		return tl_fail(call->why, TL_EBAD_PARAM, "all_orgs: only for a gateway token");
	return TL_OK;
}

/* The member a personal token is for: made when new, back when removed, with the role asked for. */
static enum tl_err
bind_member(const struct control_call *call, const struct token_order *order,
	struct tl_credential *credential)
{
	const struct tl_org *org = tl_registry_org(control_registry(call), credential->org_no);
	char email[TL_EMAIL_BYTES_MAX + 1];
	struct tl_member changed;
	uint8_t id[16];
	enum tl_err err = control_email(call, org, email, id);

	if (err)
		return err;
	err = tl_edit_need_member(call->edit, credential->org_no, id, tl_slice_str(email),
		call->now_ms, &credential->member_no);
	if (err)
		return err;
	org = tl_edit_org(call->edit, credential->org_no);
	changed = *tl_org_member(org, credential->member_no);
	if (order->has_role != CONTROL_GIVEN || changed.role == order->role)
		return TL_OK;
	changed.role = order->role;
	return tl_edit_put_member(call->edit, credential->org_no, &changed, &changed.no);
}

enum tl_err
control_token_create(const struct control_call *call)
{
	struct token_order order = {.role = TL_ROLE_MEMBER};
	struct tl_credential credential = {0};
	char token[TL_TOKEN_BYTES_MAX];
	const struct tl_org *org;
	struct tl_pack_open map;
	enum tl_err err;

	err = tl_authorise(call->caller, TL_RIGHT_MANAGE, call->why);
	if (!err)
		err = read_order(call, &order);
	if (err)
		return err;
	if (order.all_orgs) {
		err = tl_authorise(call->caller, TL_RIGHT_OPERATE, call->why);
	} else {
		err = control_need_org(call, TL_RIGHT_MANAGE, &org);
		if (!err)
			credential.org_no = org->no;
	}
	if (err)
		return err;
	credential.type = order.type;
	credential.name = order.name;
	if (order.has_email == CONTROL_GIVEN)
		err = bind_member(call, &order, &credential);
	else
		credential.is_admin = order.role == TL_ROLE_ADMIN;
	if (!err)
		err = control_issue(call, &credential, token);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "token", token);
	tl_pack_key_str(call->reply, &map, "token_id", credential.key_id);
	return control_close(call, &map);
}

enum tl_err
control_token_revoke(const struct control_call *call)
{
	char token_id[TL_KEY_ID_BYTES];
	const struct tl_credential *credential;
	struct tl_pack_open map;
	enum tl_err err = tl_authorise(call->caller, TL_RIGHT_MANAGE, call->why);

	if (!err)
		err = control_text_need(call, "token_id", sizeof(token_id) - 1, token_id);
	if (err)
		return err;
	credential = tl_edit_key(call->edit, tl_slice_str(token_id));
	/* An operator who names no org reaches all of them, and the tokens of none. */
	if (!credential || (credential->org_no != call->caller->org_no &&
				   !(call->caller->is_operator && call->caller->org_no == 0)))
		return tl_fail(call->why, TL_ENOT_FOUND, "token_id: no such token");
	err = end_credential(call, credential, call->now_ms);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "token_id", token_id);
	return control_close(call, &map);
}

enum tl_err
control_token_list(const struct control_call *call)
{
	const struct tl_credential *credential;
	struct tl_pack_open map, list, row;
	struct control_page page;
	size_t cursor = 0;
	enum tl_err err = tl_authorise(call->caller, TL_RIGHT_MANAGE, call->why);

	if (!err)
		err = control_page_read(call, &page);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key(call->reply, &map, "tokens");
	list = tl_pack_open_array(call->reply);
	while ((credential = tl_registry_credential_next(
			call->registry, call->caller->org_no, &cursor))) {
		if (credential->type == TL_CREDENTIAL_AGENT || !control_page_takes(&page))
			continue;
		list.count++;
		row = tl_pack_open_map(call->reply);
		tl_pack_key_str(call->reply, &row, "token_id", credential->key_id);
		tl_pack_key_str(
			call->reply, &row, "type", tl_credential_type_word(credential->type));
		tl_pack_key_str(call->reply, &row, "name", credential->name);
		tl_pack_key_int(call->reply, &row, "created_ms", credential->created_ms);
		tl_pack_key_int(call->reply, &row, "revoked_ms", credential->revoked_ms);
		tl_pack_close(call->reply, &row);
	}
	tl_pack_close(call->reply, &list);
	control_page_put(call, &map, &page);
	return control_close(call, &map);
}

/* By key id or by the whole token, whose secret then must be right. */
static const struct tl_credential *
find_agent_key(const struct control_call *call, const char *key)
{
	struct tl_slice text = tl_slice_str(key);
	const struct tl_credential *credential = tl_registry_key(call->registry, text);

	if (!credential)
		credential = tl_registry_credential(call->registry, text);
	if (!credential || credential->type != TL_CREDENTIAL_AGENT)
		return NULL;
	if (call->caller->org_no != 0 && call->caller->org_no != credential->org_no)
		return NULL;
	return credential;
}

enum tl_err
control_key_resolve(const struct control_call *call)
{
	char key[TL_TOKEN_BYTES_MAX];
	const struct tl_credential *credential;
	const struct tl_org *org;
	const struct tl_agent *agent;
	const struct tl_member *member;
	struct tl_pack_open map;
	bool is_valid;
	enum tl_err err = tl_authorise(call->caller, TL_RIGHT_RESOLVE, call->why);

	if (!err)
		err = control_text_need(call, "key", sizeof(key) - 1, key);
	if (err)
		return err;
	credential = find_agent_key(call, key);
	org = credential ? tl_registry_org(call->registry, credential->org_no) : NULL;
	agent = org ? tl_org_agent(org, credential->agent_no) : NULL;
	member = agent ? tl_org_member(org, agent->member_no) : NULL;
	if (!member)
		return tl_fail(call->why, TL_ENOT_FOUND, "key: no such key");
	is_valid = credential->revoked_ms == 0 || call->now_ms < credential->revoked_ms;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "org", org->name);
	control_put_member_id(call, &map, member);
	tl_pack_key_str(call->reply, &map, "agent", agent->type);
	tl_pack_key_str(call->reply, &map, "agent_id", credential->key_id);
	tl_pack_key_bool(call->reply, &map, "compression", agent->compression);
	tl_pack_key_bool(call->reply, &map, "debug", call->now_ms < agent->debug_until_ms);
	tl_pack_key_bool(call->reply, &map, "active", is_valid && agent->live);
	return control_close(call, &map);
}
