/* The commands, by name. */
#include "ingest/control_private.h"

#include <assert.h>

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
		return control_org_create(call);
	case TL_COMMAND_ORG_UPDATE:
		return control_org_update(call);
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
		return control_org_list(call);
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
