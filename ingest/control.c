#include "ingest/control_private.h"

#include <assert.h>

#include "schema/base/crypt.h"

#define SEATS_MAX 1000000

const struct tl_registry *
control_registry(const struct control_call *call)
{
	return call->edit ? tl_edit_registry(call->edit) : call->registry;
}

enum tl_err
control_need_org(
	const struct control_call *call, enum tl_right right, const struct tl_org **org_out)
{
	const struct tl_org *org;
	enum tl_err err = tl_authorise(call->caller, right, call->why);

	if (err)
		return err;
	if (call->caller->org_no == 0)
		return tl_fail(call->why, TL_EFIELD_MISSING, "org: is required");
	org = tl_registry_org(control_registry(call), call->caller->org_no);
	if (!org)
		return tl_fail(call->why, TL_ENOT_FOUND, "org: no such org");
	*org_out = org;
	return TL_OK;
}

struct tl_pack_open
control_open(const struct control_call *call)
{
	struct tl_pack_open map = tl_pack_open_map(call->reply);

	tl_pack_key_int(call->reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(call->reply, &map, "ok", true);
	return map;
}

enum tl_err
control_close(const struct control_call *call, const struct tl_pack_open *open)
{
	tl_pack_close(call->reply, open);
	return call->reply->err;
}

void
control_put_member_id(
	const struct control_call *call, struct tl_pack_open *map, const struct tl_member *member)
{
	char hex[2 * sizeof(member->id) + 1];

	tl_hex(member->id, sizeof(member->id), hex);
	tl_pack_key_str(call->reply, map, "member_id", hex);
}

/* The settings that org_create and org_update share, onto what *org holds. */
static enum tl_err
read_settings(const struct control_call *call, struct tl_org *org)
{
	enum control_presence presence;
	enum tl_err err = control_zone(call, &org->zone);

	if (!err)
		err = control_int(call, "seats", 0, SEATS_MAX, &org->seats, &presence);
	if (!err)
		err = control_flag(
			call, "one_agent_per_member", &org->one_agent_per_member, &presence);
	if (!err)
		err = control_flag(call, "peers_visible", &org->peers_visible, &presence);
	if (!err)
		err = control_flag(call, "github_connected", &org->github_connected, &presence);
	return err;
}

static enum tl_err
check_name_free(const struct control_call *call, const char *name, uint32_t own_no)
{
	const struct tl_org *other =
		tl_registry_org_named(control_registry(call), tl_slice_str(name));

	if (other && other->no != own_no)
		return tl_fail(call->why, TL_ECONFLICT, "name: an org has this name");
	return TL_OK;
}

static void
put_settings(const struct control_call *call, struct tl_pack_open *map, const struct tl_org *org)
{
	tl_pack_key_str(call->reply, map, "org", org->name);
	tl_pack_key_str(call->reply, map, "tz", tl_zone_name(org->zone));
	tl_pack_key_int(call->reply, map, "seats", org->seats);
	tl_pack_key_bool(call->reply, map, "one_agent_per_member", org->one_agent_per_member);
	tl_pack_key_bool(call->reply, map, "peers_visible", org->peers_visible);
	tl_pack_key_bool(call->reply, map, "github_connected", org->github_connected);
}

/* An org and the two tokens to begin with: one to manage it, one to push with. */
static enum tl_err
org_create(const struct control_call *call)
{
	char name[TL_NAME_BYTES_MAX + 1];
	char admin_token[TL_TOKEN_BYTES_MAX], gateway_token[TL_TOKEN_BYTES_MAX];
	struct tl_org org = {
		.name = name,
		.peers_visible = true,
		.created_ms = call->now_ms,
	};
	struct tl_credential admin = {
		.type = TL_CREDENTIAL_PERSON,
		.is_admin = true,
		.name = "first admin",
	};
	struct tl_credential gateway = {
		.type = TL_CREDENTIAL_GATEWAY,
		.name = "first gateway",
	};
	struct tl_pack_open map;
	enum tl_err err;

	err = tl_authorise(call->caller, TL_RIGHT_OPERATE, call->why);
	if (!err)
		err = control_text_need(call, "name", TL_NAME_BYTES_MAX, name);
	if (!err)
		err = check_name_free(call, name, 0);
	if (!err)
		err = tl_zone_get(tl_slice_str("UTC"), &org.zone, call->why);
	if (!err)
		err = read_settings(call, &org);
	if (err)
		return err;
	tl_random(org.secret, sizeof(org.secret));
	err = tl_edit_put_org(call->edit, &org, &org.no);
	if (err)
		return err;
	admin.org_no = org.no;
	gateway.org_no = org.no;
	err = control_issue(call, &admin, admin_token);
	if (!err)
		err = control_issue(call, &gateway, gateway_token);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "org", name);
	tl_pack_key_str(call->reply, &map, "admin_token", admin_token);
	tl_pack_key_str(call->reply, &map, "admin_token_id", admin.key_id);
	tl_pack_key_str(call->reply, &map, "gateway_token", gateway_token);
	tl_pack_key_str(call->reply, &map, "gateway_token_id", gateway.key_id);
	return control_close(call, &map);
}

static enum tl_err
org_update(const struct control_call *call)
{
	char name[TL_NAME_BYTES_MAX + 1];
	const struct tl_org *org;
	struct tl_org changed;
	struct tl_pack_open map;
	enum control_presence presence;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (err)
		return err;
	changed = *org;
	err = control_text(call, "name", TL_NAME_BYTES_MAX, name, &presence);
	if (!err && presence == CONTROL_GIVEN) {
		if (name[0] == '\0')
			return tl_fail(call->why, TL_EBAD_PARAM, "name: must not be empty");
		err = check_name_free(call, name, org->no);
		changed.name = name;
	}
	if (!err)
		err = read_settings(call, &changed);
	if (!err)
		err = tl_edit_put_org(call->edit, &changed, &changed.no);
	if (err)
		return err;
	map = control_open(call);
	put_settings(call, &map, tl_edit_org(call->edit, changed.no));
	return control_close(call, &map);
}

static uint32_t
count_members(const struct tl_org *org)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < org->member_count; i++)
		count += org->members[i]->state != TL_MEMBER_REMOVED;
	return count;
}

static enum tl_err
org_list(const struct control_call *call)
{
	const struct tl_registry *registry = call->registry;
	struct tl_pack_open map, list, row;
	struct control_page page;
	enum tl_err err = tl_authorise(call->caller, TL_RIGHT_OPERATE, call->why);

	if (!err)
		err = control_page_read(call, &page);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key(call->reply, &map, "orgs");
	list = tl_pack_open_array(call->reply);
	for (uint32_t no = 1; no <= tl_registry_org_count(registry); no++) {
		const struct tl_org *org = tl_registry_org(registry, no);

		if (!control_page_takes(&page))
			continue;
		list.count++;
		row = tl_pack_open_map(call->reply);
		tl_pack_key_str(call->reply, &row, "name", org->name);
		tl_pack_key_str(call->reply, &row, "tz", tl_zone_name(org->zone));
		tl_pack_key_int(call->reply, &row, "members", count_members(org));
		tl_pack_key_int(call->reply, &row, "seats", org->seats);
		tl_pack_key_int(call->reply, &row, "created_ms", org->created_ms);
		tl_pack_close(call->reply, &row);
	}
	tl_pack_close(call->reply, &list);
	control_page_put(call, &map, &page);
	return control_close(call, &map);
}

static enum tl_err
ping(const struct control_call *call)
{
	struct tl_pack_open map = control_open(call);

	return control_close(call, &map);
}

static enum tl_err
run_write(enum tl_command_op op, const struct control_call *call)
{
	switch (op) {
	case TL_COMMAND_ORG_CREATE:
		return org_create(call);
	case TL_COMMAND_ORG_UPDATE:
		return org_update(call);
	case TL_COMMAND_TOKEN_CREATE:
		return control_token_create(call);
	case TL_COMMAND_TOKEN_REVOKE:
		return control_token_revoke(call);
	case TL_COMMAND_INVITE:
		return control_invite(call);
	case TL_COMMAND_INVITE_ACCEPT:
		return control_invite_accept(call);
	case TL_COMMAND_INVITE_REVOKE:
		return control_invite_revoke(call);
	case TL_COMMAND_AGENT_CREATE:
		return control_agent_create(call);
	case TL_COMMAND_AGENT_UPDATE:
		return control_agent_update(call);
	case TL_COMMAND_AGENT_ROTATE:
		return control_agent_rotate(call);
	case TL_COMMAND_AGENT_DELETE:
		return control_agent_delete(call);
	case TL_COMMAND_MEMBER_UPDATE:
		return control_member_update(call);
	case TL_COMMAND_MEMBER_REMOVE:
		return control_member_remove(call);
	case TL_COMMAND_SIGNIN_CREATE:
		return control_signin_create(call);
	case TL_COMMAND_SIGNIN_END:
		return control_signin_end(call);
	case TL_COMMAND_SIGNIN_REVOKE:
		return control_signin_revoke(call);
	case TL_COMMAND_LINK_CREATE:
		return control_link_create(call);
	case TL_COMMAND_ORG_LIST:
	case TL_COMMAND_TOKEN_LIST:
	case TL_COMMAND_INVITE_LIST:
	case TL_COMMAND_AGENT_REVEAL:
	case TL_COMMAND_KEY_RESOLVE:
	case TL_COMMAND_SIGNIN_SHOW:
	case TL_COMMAND_SIGNIN_LIST:
	case TL_COMMAND_PING:
	case TL_COMMAND_STATS:
	case TL_COMMAND_VERIFY:
	case TL_COMMAND_REBUILD:
	case TL_COMMAND_SEAL:
	case TL_COMMAND_DUMP:
	case TL_COMMAND_ACCEPT_CLOCK:
	case TL_COMMAND_COUNT:
		break;
	}
	return tl_fail(call->why, TL_EINTERNAL, "op: does not write");
}

static enum tl_err
run_read(enum tl_command_op op, const struct control_call *call)
{
	switch (op) {
	case TL_COMMAND_ORG_LIST:
		return org_list(call);
	case TL_COMMAND_TOKEN_LIST:
		return control_token_list(call);
	case TL_COMMAND_INVITE_LIST:
		return control_invite_list(call);
	case TL_COMMAND_AGENT_REVEAL:
		return control_agent_reveal(call);
	case TL_COMMAND_KEY_RESOLVE:
		return control_key_resolve(call);
	case TL_COMMAND_SIGNIN_SHOW:
		return control_signin_show(call);
	case TL_COMMAND_SIGNIN_LIST:
		return control_signin_list(call);
	case TL_COMMAND_PING:
		return ping(call);
	case TL_COMMAND_ORG_CREATE:
	case TL_COMMAND_ORG_UPDATE:
	case TL_COMMAND_TOKEN_CREATE:
	case TL_COMMAND_TOKEN_REVOKE:
	case TL_COMMAND_INVITE:
	case TL_COMMAND_INVITE_ACCEPT:
	case TL_COMMAND_INVITE_REVOKE:
	case TL_COMMAND_AGENT_CREATE:
	case TL_COMMAND_AGENT_UPDATE:
	case TL_COMMAND_AGENT_ROTATE:
	case TL_COMMAND_AGENT_DELETE:
	case TL_COMMAND_MEMBER_UPDATE:
	case TL_COMMAND_MEMBER_REMOVE:
	case TL_COMMAND_SIGNIN_CREATE:
	case TL_COMMAND_SIGNIN_END:
	case TL_COMMAND_SIGNIN_REVOKE:
	case TL_COMMAND_LINK_CREATE:
	case TL_COMMAND_STATS:
	case TL_COMMAND_VERIFY:
	case TL_COMMAND_REBUILD:
	case TL_COMMAND_SEAL:
	case TL_COMMAND_DUMP:
	case TL_COMMAND_ACCEPT_CLOCK:
	case TL_COMMAND_COUNT:
		break;
	}
	return tl_fail(call->why, TL_ENOT_FOUND, "op: not a command of the registry");
}

/* Failures of memory come without words, and a person is waiting for some. */
static enum tl_err
explain(const struct control_call *call, enum tl_err err)
{
	if (err && call->why && call->why->text[0] == '\0')
		return tl_fail(call->why, err, "%s", tl_err_text(err));
	return err;
}

enum tl_err
control_write(const struct tl_command *command, const struct tl_caller *caller,
	struct tl_edit *edit, int64_t now_ms, struct tl_buf *reply, struct tl_why *why)
{
	/* An invitation is accepted, a link used, by somebody who is nobody yet. */
	static const struct tl_caller nobody = {.type = TL_CREDENTIAL_AGENT};
	const struct control_call call = {
		.map = command->map,
		.caller = caller ? caller : &nobody,
		.edit = edit,
		.now_ms = now_ms,
		.reply = reply,
		.why = why,
	};

	assert(tl_command_writes(command->op));
	if (why)
		why->text[0] = '\0';
	return explain(&call, run_write(command->op, &call));
}

enum tl_err
control_read(const struct tl_command *command, const struct tl_caller *caller,
	const struct tl_registry *registry, int64_t now_ms, struct tl_buf *reply,
	struct tl_why *why)
{
	const struct control_call call = {
		.map = command->map,
		.caller = caller,
		.registry = registry,
		.now_ms = now_ms,
		.reply = reply,
		.why = why,
	};

	if (why)
		why->text[0] = '\0';
	return explain(&call, run_read(command->op, &call));
}
