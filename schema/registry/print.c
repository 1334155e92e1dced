/* Records as text for `tally dump registry`: everything but secrets and their hashes. */
#include <inttypes.h>

#include "schema/registry/registry_private.h"
#include "schema/store/key.h"

static void
put_text(struct tl_buf *text, const char *label, const char *value)
{
	if (value[0] != '\0')
		tl_buf_printf(text, " %s=\"%s\"", label, value);
}

static void
put_int(struct tl_buf *text, const char *label, int64_t value)
{
	if (value != 0)
		tl_buf_printf(text, " %s=%" PRId64, label, value);
}

static void
put_flag(struct tl_buf *text, const char *label, bool value)
{
	if (value)
		tl_buf_printf(text, " %s", label);
}

static enum tl_err
print_org(struct tl_slice value, struct tl_buf *text, struct tl_why *why)
{
	char name[TL_NAME_BYTES_MAX + 1];
	struct tl_org org;
	enum tl_err err = tl_org_decode(value, &org, name, why);

	if (err)
		return err;
	put_text(text, "org", org.name);
	put_text(text, "tz", tl_zone_name(org.zone));
	put_int(text, "seats", org.seats);
	put_flag(text, "one_agent_per_member", org.one_agent_per_member);
	put_flag(text, "peers_visible", org.peers_visible);
	put_flag(text, "github_connected", org.github_connected);
	put_int(text, "created_ms", org.created_ms);
	return TL_OK;
}

static enum tl_err
print_member(struct tl_slice value, struct tl_buf *text, struct tl_why *why)
{
	static const char *const states[] = {"pending", "active", "removed"};
	struct tl_member *member;
	char id[2 * sizeof(member->id) + 1];
	enum tl_err err = tl_member_decode(value, &member, why);

	if (err)
		return err;
	tl_hex(member->id, sizeof(member->id), id);
	put_text(text, "member", id);
	put_text(text, "email", member->email);
	put_text(text, "display_name", member->display_name);
	put_text(text, "state", states[member->state]);
	put_flag(text, "admin", member->role == TL_ROLE_ADMIN);
	put_int(text, "rate_cents", member->rate_cents);
	put_int(text, "created_ms", member->created_ms);
	put_int(text, "invitation_ends_ms", member->invitation_ends_ms);
	tl_record_drop(member);
	return TL_OK;
}

static enum tl_err
print_agent(struct tl_slice value, struct tl_buf *text, struct tl_why *why)
{
	struct tl_agent *agent;
	enum tl_err err = tl_agent_decode(value, &agent, why);

	if (err)
		return err;
	put_text(text, "agent", agent->type);
	put_int(text, "member_no", agent->member_no);
	put_flag(text, "enrolled", agent->enrolled);
	put_flag(text, "live", agent->live);
	put_flag(text, "compression", agent->compression);
	put_int(text, "debug_until_ms", agent->debug_until_ms);
	put_int(text, "created_ms", agent->created_ms);
	put_int(text, "ended_ms", agent->ended_ms);
	tl_record_drop(agent);
	return TL_OK;
}

static enum tl_err
print_credential(struct tl_slice value, struct tl_buf *text, struct tl_why *why)
{
	struct tl_credential *credential;
	enum tl_err err = tl_credential_decode(value, &credential, why);

	if (err)
		return err;
	put_text(text, "credential", credential->key_id);
	put_text(text, "name", credential->name);
	put_int(text, "member_no", credential->member_no);
	put_int(text, "agent_no", credential->agent_no);
	put_flag(text, "admin", credential->is_admin);
	put_int(text, "created_ms", credential->created_ms);
	put_int(text, "revoked_ms", credential->revoked_ms);
	tl_record_drop(credential);
	return TL_OK;
}

static enum tl_err
print_signin(struct tl_slice value, struct tl_buf *text, struct tl_why *why)
{
	struct tl_signin *signin;
	char id[TL_KEY_ID_BYTES];
	enum tl_err err = tl_signin_decode(value, &signin, why);

	if (err)
		return err;
	tl_signin_id(signin, id);
	put_text(text, signin->is_link ? "link" : "signin", id);
	put_text(text, "token", signin->key_id);
	put_int(text, "member_no", signin->member_no);
	put_flag(text, "admin", signin->is_admin);
	put_int(text, "created_ms", signin->created_ms);
	put_int(text, "used_ms", atomic_load(&signin->used_ms));
	put_int(text, "ends_ms", signin->ends_ms);
	tl_record_drop(signin);
	return TL_OK;
}

enum tl_err
tl_record_print(struct tl_slice key, struct tl_slice value, struct tl_buf *text, struct tl_why *why)
{
	uint32_t org_no, no;
	uint8_t kind;

	if (!tl_key_registry_parse(key, &org_no, &kind, &no))
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "not a key of the registry");
	switch (kind) {
	case TL_RECORD_ORG:
		return print_org(value, text, why);
	case TL_RECORD_MEMBER:
		return print_member(value, text, why);
	case TL_RECORD_AGENT:
		return print_agent(value, text, why);
	case TL_RECORD_CREDENTIAL:
		return print_credential(value, text, why);
	case TL_RECORD_SIGNIN:
		return print_signin(value, text, why);
	}
	return tl_fail(why, TL_ESTORAGE_CORRUPT, "no such kind of record");
}
