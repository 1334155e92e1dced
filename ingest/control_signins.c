/* Browsers: signed in by a token or a one-time link, shown, ended. */
#include "ingest/control_private.h"

#include "schema/wire/reader.h"

/* Who a sign-in is; without a member it is the org's first admin, or the operator's link. */
static void
put_person(const struct control_call *call, struct tl_pack_open *map, const struct tl_org *org,
	uint32_t member_no)
{
	const struct tl_member *member = org ? tl_org_member(org, member_no) : NULL;

	if (!member) {
		tl_pack_key_str(call->reply, map, "member_id", NULL);
		tl_pack_key_str(call->reply, map, "email", NULL);
		tl_pack_key_str(call->reply, map, "display_name", NULL);
		return;
	}
	control_put_member_id(call, map, member);
	tl_pack_key_str(call->reply, map, "email", member->email[0] != '\0' ? member->email : NULL);
	tl_pack_key_str(call->reply, map, "display_name",
		member->display_name[0] != '\0' ? member->display_name : NULL);
}

/* "admin" or "member" for people; what the token is for, for all others. */
static const char *
role_of(const struct tl_org *org, const struct tl_caller *caller)
{
	const struct tl_member *member = org ? tl_org_member(org, caller->member_no) : NULL;

	if (caller->type != TL_CREDENTIAL_PERSON)
		return tl_credential_type_word(caller->type);
	if (member)
		return control_role_word(member->role);
	return control_role_word(caller->is_admin ? TL_ROLE_ADMIN : TL_ROLE_MEMBER);
}

/* Who is asking; signin NULL: by a token, which has no end known beforehand. */
static enum tl_err
reply_session(const struct control_call *call, const struct tl_caller *caller,
	const struct tl_signin *signin, const char *secret)
{
	const struct tl_org *org = tl_registry_org(control_registry(call), caller->org_no);
	struct tl_pack_open map = control_open(call);

	if (secret)
		tl_pack_key_str(call->reply, &map, "session", secret);
	tl_pack_key_str(call->reply, &map, "org", org ? org->name : NULL);
	tl_pack_key_str(call->reply, &map, "role", role_of(org, caller));
	put_person(call, &map, org, caller->member_no);
	tl_pack_key_str(call->reply, &map, "credential_id", caller->key_id);
	if (signin) {
		tl_pack_key_int(call->reply, &map, "ends_ms", signin->ends_ms);
		tl_pack_key_int(call->reply, &map, "idle_ms", TL_SIGNIN_IDLE_MS);
	} else {
		tl_pack_key_str(call->reply, &map, "ends_ms", NULL);
		tl_pack_key_str(call->reply, &map, "idle_ms", NULL);
	}
	return control_close(call, &map);
}

/* Put, with a secret of its own. */
static enum tl_err
begin_signin(const struct control_call *call, struct tl_signin *signin,
	char secret_out[TL_SIGNIN_SECRET_BYTES])
{
	tl_signin_make(signin, secret_out);
	signin->created_ms = call->now_ms;
	signin->ends_ms = call->now_ms + (signin->is_link ? TL_LINK_LIFE_MS : TL_SIGNIN_LIFE_MS);
	atomic_store(&signin->used_ms, call->now_ms);
	return tl_edit_put_signin(call->edit, signin, call->now_ms, &signin->no);
}

/* Begin it, and answer as the one who is signed in from now on. */
static enum tl_err
sign_in(const struct control_call *call, struct tl_signin *signin)
{
	char secret[TL_SIGNIN_SECRET_BYTES];
	struct tl_caller caller = {
		.type = TL_CREDENTIAL_PERSON,
		.is_signin = true,
		.org_no = signin->org_no,
		.member_no = signin->member_no,
		.is_admin = signin->is_admin,
	};
	enum tl_err err = begin_signin(call, signin, secret);

	if (err)
		return err;
	tl_signin_id(signin, caller.key_id);
	return reply_session(call, &caller, signin, secret);
}

/* The member of a link may have left since it was made: then it is as good as used. */
static bool
is_welcome(const struct control_call *call, const struct tl_signin *link)
{
	const struct tl_org *org = tl_registry_org(control_registry(call), link->org_no);
	const struct tl_member *member = org ? tl_org_member(org, link->member_no) : NULL;

	return link->member_no == 0 || (member && member->state != TL_MEMBER_REMOVED);
}

/* The link that the command's code is good for. */
static enum tl_err
need_link(const struct control_call *call, const struct tl_signin **link_out)
{
	char code[TL_SIGNIN_SECRET_BYTES];
	const struct tl_signin *link;
	enum tl_err err = control_text_need(call, "code", sizeof(code) - 1, code);

	if (err)
		return err;
	link = tl_registry_signin(control_registry(call), tl_slice_str(code));
	if (!link || !link->is_link || !tl_signin_is_live(link, call->now_ms) ||
		!is_welcome(call, link))
		return tl_fail(call->why, TL_EUNAUTHENTICATED,
			"the credential is missing, unknown, expired or revoked");
	*link_out = link;
	return TL_OK;
}

enum tl_err
control_link_check(const struct tl_command *command, const struct tl_registry *registry,
	int64_t now_ms, struct tl_why *why)
{
	const struct control_call call = {
		.map = command->map, .registry = registry, .now_ms = now_ms, .why = why};
	const struct tl_signin *link;

	return need_link(&call, &link);
}

/* The link's place becomes the sign-in's, so nobody can use it again. */
static enum tl_err
use_link(const struct control_call *call)
{
	const struct tl_signin *link;
	struct tl_signin signin = {0};
	enum tl_err err = need_link(call, &link);

	if (err)
		return err;
	signin.org_no = link->org_no;
	signin.no = link->no;
	signin.member_no = link->member_no;
	signin.is_admin = link->is_admin;
	return sign_in(call, &signin);
}

static bool
has(const struct control_call *call, const char *key)
{
	struct tl_reader value;

	return tl_reader_find(call->map, key, &value) && tl_reader_peek(&value) != TL_WIRE_NIL;
}

enum tl_err
control_signin_create(const struct control_call *call)
{
	char token[TL_TOKEN_BYTES_MAX];
	enum control_presence presence;
	struct tl_signin signin = {0};
	struct tl_caller caller;
	enum tl_err err = control_text(call, "token", sizeof(token) - 1, token, &presence);

	if (err)
		return err;
	if (presence != CONTROL_GIVEN)
		return use_link(call);
	if (has(call, "code"))
		return tl_fail(call->why, TL_EBAD_PARAM, "code: not together with a token");
	/* Again, as the registry is now: the token may have ended before this in the group. */
	err = tl_caller_resolve(control_registry(call), tl_slice_str(token), tl_slice_str(""),
		false, call->now_ms, &caller, call->why);
	if (err)
		return err;
	if (caller.type != TL_CREDENTIAL_PERSON || caller.is_signin)
		return tl_fail(call->why, TL_EFORBIDDEN, "token: must be a personal token");
	signin.org_no = caller.org_no;
	signin.member_no = caller.member_no;
	signin.is_admin = caller.is_admin && caller.member_no == 0;
	memcpy(signin.key_id, caller.key_id, sizeof(signin.key_id));
	return sign_in(call, &signin);
}

/* The sign-in whose secret came as the command's token; NULL when a token asks. */
static enum tl_err
find_own(const struct control_call *call, const struct tl_signin **signin_out)
{
	char secret[TL_TOKEN_BYTES_MAX];
	enum control_presence presence;
	enum tl_err err = control_text(call, "token", sizeof(secret) - 1, secret, &presence);

	if (!err)
		*signin_out = tl_registry_signin(control_registry(call), tl_slice_str(secret));
	return err;
}

enum tl_err
control_signin_show(const struct control_call *call)
{
	const struct tl_signin *signin;
	enum tl_err err = find_own(call, &signin);

	return err ? err : reply_session(call, call->caller, signin, NULL);
}

enum tl_err
control_signin_end(const struct control_call *call)
{
	const struct tl_signin *signin;
	struct tl_pack_open map;
	enum tl_err err = find_own(call, &signin);

	if (!err && !signin)
		err = tl_fail(call->why, TL_ENOT_FOUND, "nobody is signed in by a session here");
	if (!err)
		err = tl_edit_end_signin(call->edit, signin);
	if (err)
		return err;
	map = control_open(call);
	return control_close(call, &map);
}

enum tl_err
control_end_member_signins(const struct control_call *call, uint32_t org_no, uint32_t member_no)
{
	const struct tl_signin *signin;
	size_t cursor = 0;
	enum tl_err err;

	while ((signin = tl_registry_signin_next(control_registry(call), org_no, &cursor))) {
		if (signin->member_no != member_no)
			continue;
		err = tl_edit_end_signin(call->edit, signin);
		if (err)
			return err;
		cursor = 0; /* the list was sorted anew */
	}
	return TL_OK;
}

static bool
is_named(const struct tl_signin *signin, const char *id)
{
	char own_id[TL_KEY_ID_BYTES];

	tl_signin_id(signin, own_id);
	return strcmp(own_id, id) == 0;
}

enum tl_err
control_signin_revoke(const struct control_call *call)
{
	char id[TL_KEY_ID_BYTES];
	const struct tl_signin *signin;
	const struct tl_org *org;
	struct tl_pack_open map;
	size_t cursor = 0;
	enum tl_err err = control_need_org(call, TL_RIGHT_MANAGE, &org);

	if (!err)
		err = control_text_need(call, "signin_id", sizeof(id) - 1, id);
	if (err)
		return err;
	do {
		signin = tl_registry_signin_next(control_registry(call), org->no, &cursor);
		if (!signin)
			return tl_fail(call->why, TL_ENOT_FOUND, "signin_id: no such sign-in");
	} while (!tl_signin_is_live(signin, call->now_ms) || !is_named(signin, id));
	err = tl_edit_end_signin(call->edit, signin);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "signin_id", id);
	return control_close(call, &map);
}

static void
put_signin(
	const struct control_call *call, const struct tl_org *org, const struct tl_signin *signin)
{
	struct tl_pack_open row = tl_pack_open_map(call->reply);
	char id[TL_KEY_ID_BYTES];

	tl_signin_id(signin, id);
	tl_pack_key_str(call->reply, &row, "signin_id", id);
	tl_pack_key_str(
		call->reply, &row, "token_id", signin->key_id[0] != '\0' ? signin->key_id : NULL);
	put_person(call, &row, org, signin->member_no);
	tl_pack_key_bool(call->reply, &row, "is_link", signin->is_link);
	tl_pack_key_int(call->reply, &row, "created_ms", signin->created_ms);
	tl_pack_key_int(call->reply, &row, "used_ms", atomic_load(&signin->used_ms));
	tl_pack_key_int(call->reply, &row, "ends_ms", signin->ends_ms);
	tl_pack_close(call->reply, &row);
}

enum tl_err
control_signin_list(const struct control_call *call)
{
	const struct tl_signin *signin;
	const struct tl_org *org;
	struct tl_pack_open map, list;
	struct control_page page;
	size_t cursor = 0;
	enum tl_err err = control_need_org(call, TL_RIGHT_MANAGE, &org);

	if (!err)
		err = control_page_read(call, &page);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key(call->reply, &map, "signins");
	list = tl_pack_open_array(call->reply);
	while ((signin = tl_registry_signin_next(call->registry, org->no, &cursor))) {
		if (!tl_signin_is_live(signin, call->now_ms) || !control_page_takes(&page))
			continue;
		list.count++;
		put_signin(call, org, signin);
	}
	tl_pack_close(call->reply, &list);
	control_page_put(call, &map, &page);
	return control_close(call, &map);
}

/* Only on the control socket: whoever may touch the data directory may sign in as anybody. */
enum tl_err
control_link_create(const struct control_call *call)
{
	char code[TL_SIGNIN_SECRET_BYTES];
	struct tl_signin link = {.is_link = true};
	const struct tl_member *member;
	const struct tl_org *org;
	struct tl_pack_open map;
	enum tl_err err = control_need_org(call, TL_RIGHT_OPERATE, &org);

	if (err)
		return err;
	link.org_no = org->no;
	link.is_admin = !has(call, "member");
	if (!link.is_admin) {
		err = control_member(call, org, &member);
		if (!err && member->state == TL_MEMBER_REMOVED)
			err = tl_fail(call->why, TL_ENOT_FOUND, "member: was removed");
		if (err)
			return err;
		link.member_no = member->no;
	}
	err = begin_signin(call, &link, code);
	if (err)
		return err;
	map = control_open(call);
	tl_pack_key_str(call->reply, &map, "code", code);
	tl_pack_key_int(call->reply, &map, "ends_ms", link.ends_ms);
	return control_close(call, &map);
}
