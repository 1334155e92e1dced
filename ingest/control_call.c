/* What every command stands on: the state it sees, its org, its reply. */
#include "ingest/control_private.h"

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
