/* People: invited, accepted, named, paid, removed. */
#include "ingest/control_private.h"

#include "schema/base/crypt.h"
#include "schema/model/bucket.h"

#define INVITATION_MS (14 * TL_DAY_MS)
#define CODE_BYTES 16

/* What is kept of a code: enough to find the one member, useless for making the code. */
static void
hash_code(const uint8_t code[CODE_BYTES], char text_out[17])
{
	uint8_t digest[32];

	tl_sha256(tl_slice_of(code, CODE_BYTES), digest);
	tl_hex(digest, 8, text_out);
}

/* The invitation of a pending or new member; a second one replaces the first, whose code is lost.
 */
enum tl_err
control_invite(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_member *known;
	struct tl_member member = {.rate_cents = -1, .created_ms = call->now_ms};
	char email[TL_EMAIL_BYTES_MAX + 1];
	uint8_t code[CODE_BYTES];
	char code_text[2 * CODE_BYTES + 1];
	enum control_presence presence;
	enum tl_role role = TL_ROLE_MEMBER;
	struct tl_pack_open map;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = control_email(call, org, email, member.id);
	if (!err)
		err = control_role(call, &role, &presence);
	if (err)
		return err;
	known = tl_org_member_by_id(org, member.id);
	if (known && known->state == TL_MEMBER_ACTIVE)
		return tl_fail(call->why, TL_ECONFLICT, "email: is a member already");
	if (known)
		member = *known;
	member.role = role;
	member.state = TL_MEMBER_PENDING;
	member.email = email;
	member.invitation_ends_ms = call->now_ms + INVITATION_MS;
	tl_random(code, sizeof(code));
	hash_code(code, member.invitation);
	err = tl_edit_put_member(call->edit, org->no, &member, &member.no);
	if (err)
		return err;
	tl_hex(code, sizeof(code), code_text);
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "code", code_text);
	control_put_member_id(call, &map, &member);
	tl_pack_key_int(call->reply, &map, "ends_ms", member.invitation_ends_ms);
	return control_close(call, &map);
}

static bool
is_invited(const struct tl_member *member)
{
	return member->state == TL_MEMBER_PENDING && member->invitation[0] != '\0';
}

/* Whose invitation a code is. Nobody asks often, so everybody is looked at. */
static const struct tl_member *
find_invited(const struct tl_registry *registry, const char *hash, const struct tl_org **org_out)
{
	for (uint32_t no = 1; no <= tl_registry_org_count(registry); no++) {
		const struct tl_org *org = tl_registry_org(registry, no);

		for (uint32_t i = 0; i < org->member_count; i++) {
			const struct tl_member *member = org->members[i];

			if (is_invited(member) && strcmp(member->invitation, hash) == 0) {
				*org_out = org;
				return member;
			}
		}
	}
	return NULL;
}

/* The invitation that the command's code is good for, and its org. */
static enum tl_err
need_invited(const struct control_call *call, const struct tl_org **org_out,
	const struct tl_member **invited_out)
{
	char code_text[2 * CODE_BYTES + 1];
	uint8_t code[CODE_BYTES];
	char hash[17];
	const struct tl_member *invited = NULL;
	enum tl_err err = control_text_need(call, "code", sizeof(code_text) - 1, code_text);

	if (err)
		return err;
	if (tl_unhex(tl_slice_str(code_text), code, sizeof(code))) {
		hash_code(code, hash);
		invited = find_invited(control_registry(call), hash, org_out);
	}
	if (!invited || call->now_ms >= invited->invitation_ends_ms)
		return tl_fail(call->why, TL_ENOT_FOUND, "code: unknown, used or expired");
	*invited_out = invited;
	return TL_OK;
}

enum tl_err
control_invite_check(const struct tl_command *command, const struct tl_registry *registry,
	int64_t now_ms, struct tl_why *why)
{
	const struct control_call call = {
		.map = command->map, .registry = registry, .now_ms = now_ms, .why = why};
	const struct tl_member *invited;
	const struct tl_org *org;

	return need_invited(&call, &org, &invited);
}

/* The code is the credential: whoever holds it may use it once. */
enum tl_err
control_invite_accept(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_member *invited;
	struct tl_member member;
	struct tl_pack_open map;
	uint32_t org_no;
	enum tl_err err = need_invited(call, &org, &invited);

	if (err)
		return err;
	org_no = org->no;
	member = *invited;
	member.state = TL_MEMBER_ACTIVE;
	member.invitation[0] = '\0';
	member.invitation_ends_ms = 0;
	err = tl_edit_put_member(call->edit, org_no, &member, &member.no);
	if (err)
		return err;
	org = tl_edit_org(call->edit, org_no);
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "org", org->name);
	control_put_member_id(call, &map, &member);
	return control_close(call, &map);
}

enum tl_err
control_invite_revoke(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_member *invited;
	struct tl_member member;
	struct tl_pack_open map;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = control_member(call, org, &invited);
	if (err)
		return err;
	if (!is_invited(invited))
		return tl_fail(call->why, TL_ENOT_FOUND, "member: has no invitation");
	member = *invited;
	member.state = TL_MEMBER_REMOVED;
	member.role = TL_ROLE_MEMBER;
	member.invitation[0] = '\0';
	member.invitation_ends_ms = 0;
	err = tl_edit_put_member(call->edit, org->no, &member, &member.no);
	if (err)
		return err;
	map = control_open(call);
	control_put_member_id(call, &map, &member);
	return control_close(call, &map);
}

enum tl_err
control_invite_list(const struct control_call *call)
{
	const struct tl_org *org;
	struct tl_pack_open map, list, row;
	struct control_page page;
	enum tl_err err = control_need_org(call, TL_RIGHT_MANAGE, &org);

	if (!err)
		err = control_page_read(call, &page);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key(call->reply, &map, "invitations");
	list = tl_pack_open_array(call->reply);
	for (uint32_t i = 0; i < org->member_count; i++) {
		const struct tl_member *member = org->members[i];

		if (!is_invited(member) || !control_page_takes(&page))
			continue;
		list.count++;
		row = tl_pack_open_map(call->reply);
		control_put_member_id(call, &row, member);
		tl_pack_key_str(call->reply, &row, "email", member->email);
		tl_pack_key_str(call->reply, &row, "role", control_role_word(member->role));
		tl_pack_key_int(call->reply, &row, "ends_ms", member->invitation_ends_ms);
		tl_pack_key_bool(
			call->reply, &row, "expired", call->now_ms >= member->invitation_ends_ms);
		tl_pack_close(call->reply, &row);
	}
	tl_pack_close(call->reply, &list);
	control_page_put(call, &map, &page);
	return control_close(call, &map);
}

enum tl_err
control_member_update(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_member *known;
	struct tl_member member;
	char name[TL_NAME_BYTES_MAX + 1];
	enum control_presence has_name, has_rate;
	struct tl_pack_open map;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = control_member(call, org, &known);
	if (err)
		return err;
	member = *known;
	err = control_text(call, "display_name", TL_NAME_BYTES_MAX, name, &has_name);
	if (!err)
		err = control_rate(call, &member.rate_cents, &has_rate);
	if (err)
		return err;
	if (has_name != CONTROL_ABSENT)
		member.display_name = name; /* "" after nil */
	if (has_rate == CONTROL_NIL)
		member.rate_cents = -1;
	err = tl_edit_put_member(call->edit, org->no, &member, &member.no);
	if (err)
		return err;
	known = tl_org_member(tl_edit_org(call->edit, call->caller->org_no), member.no);
	map = control_open(call);
	control_put_member_id(call, &map, known);
	tl_pack_key_str(call->reply, &map, "display_name",
		known->display_name[0] != '\0' ? known->display_name : NULL);
	if (known->rate_cents >= 0)
		tl_pack_key_int(call->reply, &map, "hourly_rate_cents", known->rate_cents);
	else
		tl_pack_key_str(call->reply, &map, "hourly_rate_cents", NULL);
	return control_close(call, &map);
}

/*
 * The next event brings the person back, but never the access: roles and tokens end here, so that
 * usage that arrives late cannot revive them. Keys of agents go on metering.
 */
enum tl_err
control_member_remove(const struct control_call *call)
{
	const struct tl_org *org;
	const struct tl_member *known;
	struct tl_member member;
	struct tl_pack_open map;
	uint32_t org_no;
	enum tl_err err;

	err = control_need_org(call, TL_RIGHT_MANAGE, &org);
	if (!err)
		err = control_member(call, org, &known);
	if (err)
		return err;
	org_no = org->no;
	member = *known;
	if (member.state != TL_MEMBER_REMOVED) {
		member.state = TL_MEMBER_REMOVED;
		member.role = TL_ROLE_MEMBER;
		member.invitation[0] = '\0';
		member.invitation_ends_ms = 0;
		err = tl_edit_put_member(call->edit, org_no, &member, &member.no);
		if (!err)
			err = control_end_member_tokens(call, org_no, member.no, call->now_ms);
		if (!err)
			err = control_end_member_signins(call, org_no, member.no);
		if (err)
			return err;
	}
	map = control_open(call);
	control_put_member_id(call, &map, &member);
	return control_close(call, &map);
}
