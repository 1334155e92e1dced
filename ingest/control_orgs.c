/* Orgs: made, changed, listed. */
#include "ingest/control_private.h"

#include "schema/base/crypt.h"

#define SEATS_MAX 1000000

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
enum tl_err
control_org_create(const struct control_call *call)
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

enum tl_err
control_org_update(const struct control_call *call)
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

enum tl_err
control_org_list(const struct control_call *call)
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
