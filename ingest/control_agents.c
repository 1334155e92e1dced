/* Coding agents: enrolled, set, rotated, unenrolled. An agent is named by the id of a key of its.
 */
#include "ingest/control_private.h"

#include "schema/model/bucket.h"

#define DEBUG_MS (1 * TL_HOUR_MS)
#define DEBUG_MS_MAX (24 * TL_HOUR_MS)
#define ROTATE_OVERLAP_MS (24 * TL_HOUR_MS)

/* The agent behind "agent", a key id of the caller's org. */
static enum tl_err
find_agent(const struct control_call *call, const struct tl_org *org, char key_id[TL_KEY_ID_BYTES],
	const struct tl_agent **agent_out)
{
	const struct tl_credential *credential;
	const struct tl_agent *agent = NULL;
	enum tl_err err = control_text_need(call, "agent", TL_KEY_ID_BYTES - 1, key_id);

	if (err)
		return err;
	credential = tl_registry_key(control_registry(call), tl_slice_str(key_id));
	if (credential && credential->type == TL_CREDENTIAL_AGENT && credential->org_no == org->no)
		agent = tl_org_agent(org, credential->agent_no);
	if (!agent)
		return tl_fail(call->why, TL_ENOT_FOUND, "agent: no such key id");
	*agent_out = agent;
	return TL_OK;
}

static enum tl_err
find_live_agent(const struct control_call *call, const struct tl_org *org,
	char key_id[TL_KEY_ID_BYTES], const struct tl_agent **agent_out)
{
	enum tl_err err = find_agent(call, org, key_id, agent_out);

	if (!err && !(*agent_out)->live)
		return tl_fail(call->why, TL_ECONFLICT, "agent: was unenrolled");
	return err;
}

/* A key for the agent. */
static enum tl_err
issue_key(const struct control_call *call, uint32_t org_no, const struct tl_agent *agent,
	struct tl_credential *credential_out, char token_out[TL_TOKEN_BYTES_MAX])
{
	*credential_out = (struct tl_credential){
		.type = TL_CREDENTIAL_AGENT,
		.org_no = org_no,
		.member_no = agent->member_no,
		.agent_no = agent->no,
	};
	return control_issue(call, credential_out, token_out);
}

/* At most one live agent per (member, type), or per member where the org says so. */
static enum tl_err
check_place(const struct control_call *call, const struct tl_org *org,
	const struct tl_member *member, const char *type)
{
	const struct tl_agent *agent = tl_org_agent_of(org, member->no, tl_slice_str(type));

	if (member->state == TL_MEMBER_REMOVED)
		return tl_fail(call->why, TL_ECONFLICT, "member: was removed; invite first");
	if (agent && agent->enrolled)
		return tl_fail(
			call->why, TL_ECONFLICT, "type: the member has an agent of this type");
	for (uint32_t i = 0; org->one_agent_per_member && i < org->agent_count; i++) {
		const struct tl_agent *other = org->agents[i];

		if (other->member_no == member->no && other->enrolled && other->live)
			return tl_fail(call->why, TL_ECONFLICT,
				"member: has an agent, and the org allows one each");
	}
	return TL_OK;
}

/* Whose agent it becomes: a member of the org, or whoever has the email, known or new. */
static enum tl_err
need_holder(const struct control_call *call, const struct tl_org *org, const char *type,
	uint32_t *member_no_out)
{
	const struct tl_member *member = NULL;
	char email[TL_EMAIL_BYTES_MAX + 1];
	enum control_presence has_email;
	uint8_t id[sizeof(member->id)];
	enum tl_err err = control_text(call, "email", TL_EMAIL_BYTES_MAX, email, &has_email);

	if (!err && has_email == CONTROL_GIVEN) {
		err = control_email(call, org, email, id);
		if (!err)
			member = tl_org_member_by_id(org, id);
	} else if (!err) {
		err = control_member(call, org, &member);
	}
	if (!err && member != NULL)
		err = check_place(call, org, member, type);
	if (err)
		return err;
	if (has_email == CONTROL_GIVEN)
		return tl_edit_need_member(
			call->edit, org->no, id, tl_slice_str(email), call->now_ms, member_no_out);
	*member_no_out = member->no;
	return TL_OK;
}

enum tl_err
control_agent_create(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_agent *appeared;
	struct tl_agent agent = {.created_ms = call->now_ms};
	struct tl_credential credential;
	char type[TL_AGENT_TYPE_BYTES_MAX + 1];
	char token[TL_TOKEN_BYTES_MAX];
	char url[CONTROL_URL_BYTES_MAX + 1];
	struct tl_pack_open map;
	uint32_t org_no = 0, member_no = 0;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = control_text_need(call, "type", TL_AGENT_TYPE_BYTES_MAX, type);
	if (!err)
		err = control_setup_url(call, url);
	if (!err) {
		org_no = org->no;
		err = need_holder(call, org, type, &member_no);
	}
	if (err)
		return err;
	org = tl_edit_org(call->edit, org_no);
	/* One that appeared with an event is this agent: it keeps its number and so its history. */
	appeared = tl_org_agent_of(org, member_no, tl_slice_str(type));
	if (appeared)
		agent = *appeared;
	agent.member_no = member_no;
	agent.type = type;
	agent.enrolled = true;
	agent.live = true;
	agent.compression = true;
	err = tl_edit_put_agent(call->edit, org_no, &agent, &agent.no);
	if (!err)
		err = issue_key(call, org_no, &agent, &credential, token);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "agent_id", credential.key_id);
	tl_pack_key_int(call->reply, &map, "agent_no", agent.no);
	err = control_setup_put(call, &map, type, token, url);
	if (err)
		return err;
	return control_close(call, &map);
}

/* debug turns itself off: after an hour when debug_ms does not say otherwise. */
static enum tl_err
read_debug(const struct control_call *call, struct tl_agent *agent)
{
	enum control_presence has_debug, has_ms;
	int64_t debug_ms = DEBUG_MS;
	bool debug = false;
	enum tl_err err = control_flag(call, "debug", &debug, &has_debug);

	if (!err)
		err = control_int(call, "debug_ms", 1, DEBUG_MS_MAX, &debug_ms, &has_ms);
	if (err)
		return err;
	if (has_ms == CONTROL_GIVEN && !debug)
		return tl_fail(call->why, TL_EBAD_PARAM, "debug_ms: only with debug true");
	if (has_debug == CONTROL_GIVEN)
		agent->debug_until_ms = debug ? call->now_ms + debug_ms : 0;
	return TL_OK;
}

enum tl_err
control_agent_update(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_agent *known;
	struct tl_agent agent;
	char key_id[TL_KEY_ID_BYTES];
	enum control_presence presence;
	struct tl_pack_open map;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = find_live_agent(call, org, key_id, &known);
	if (err)
		return err;
	agent = *known;
	err = control_flag(call, "compression", &agent.compression, &presence);
	if (!err)
		err = read_debug(call, &agent);
	if (!err)
		err = tl_edit_put_agent(call->edit, org->no, &agent, &agent.no);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "agent_id", key_id);
	tl_pack_key_bool(call->reply, &map, "compression", agent.compression);
	tl_pack_key_bool(call->reply, &map, "debug", call->now_ms < agent.debug_until_ms);
	tl_pack_key_int(call->reply, &map, "debug_until_ms", agent.debug_until_ms);
	return control_close(call, &map);
}

enum tl_err
control_agent_rotate(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_agent *agent;
	struct tl_credential credential;
	char key_id[TL_KEY_ID_BYTES];
	char token[TL_TOKEN_BYTES_MAX];
	char url[CONTROL_URL_BYTES_MAX + 1];
	int64_t ends_ms = call->now_ms + ROTATE_OVERLAP_MS;
	struct tl_pack_open map;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = find_live_agent(call, org, key_id, &agent);
	if (!err)
		err = control_setup_url(call, url);
	if (err)
		return err;
	/* Only credentials change from here on, so org and agent stay as they are. */
	err = control_end_agent_keys(call, org->no, agent->no, ends_ms);
	if (!err)
		err = issue_key(call, org->no, agent, &credential, token);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "agent_id", credential.key_id);
	tl_pack_key_int(call->reply, &map, "old_valid_until_ms", ends_ms);
	err = control_setup_put(call, &map, agent->type, token, url);
	if (err)
		return err;
	return control_close(call, &map);
}

/* Only hashes are kept, so there is nothing to show. */
enum tl_err
control_agent_reveal(const struct control_call *call)
{
	char key_id[TL_KEY_ID_BYTES];
	const struct tl_agent *agent;
	const struct tl_org *org;
	enum tl_err err = control_need_org(call, TL_RIGHT_MANAGE, &org);

	if (!err)
		err = find_agent(call, org, key_id, &agent);
	if (err)
		return err;
	return tl_fail(call->why, TL_EREVEAL_OFF, "keys are stored as hashes; rotate instead");
}

enum tl_err
control_agent_delete(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_agent *known;
	struct tl_agent agent;
	char key_id[TL_KEY_ID_BYTES];
	char confirm[TL_NAME_BYTES_MAX + 1];
	enum control_presence presence;
	struct tl_pack_open map;
	uint32_t org_no;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = find_agent(call, org, key_id, &known);
	if (!err)
		err = control_text(call, "confirm", sizeof(confirm) - 1, confirm, &presence);
	if (err)
		return err;
	if (strcmp(confirm, key_id) != 0)
		return tl_fail(call->why, TL_ECONFIRM_REQUIRED, "confirm: type %s", key_id);
	org_no = org->no;
	agent = *known;
	if (agent.live) {
		agent.live = false;
		agent.ended_ms = call->now_ms;
		agent.debug_until_ms = 0;
		err = tl_edit_put_agent(call->edit, org_no, &agent, &agent.no);
	}
	if (!err)
		err = control_end_agent_keys(call, org_no, agent.no, call->now_ms);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "agent_id", key_id);
	return control_close(call, &map);
}
