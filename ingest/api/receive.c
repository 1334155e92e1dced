#include "ingest/api/receive.h"

#include "ingest/api/command.h"
#include "ingest/api/events.h"
#include "ingest/api/export.h"
#include "ingest/api/tools.h"
#include "schema/model/limits.h"

#define END                  \
	{                    \
		.name = NULL \
	}

static const struct tl_relay_field invitation_fields[] = {
	{.name = "email", .about = "Whom to invite.", .is_required = true},
	{.name = "role", .one_of = "member|admin", .about = "What they become; default member."},
	END};

static const struct tl_relay_field agent_fields[] = {
	{.name = "type",
		.about = "claude_code, codex, opencode, or a name of your own.",
		.is_required = true},
	END};

static const struct tl_relay_field agent_change_fields[] = {
	{.name = "compression", .kind = TL_RELAY_BOOL, .about = "For this key only."},
	{.name = "debug", .kind = TL_RELAY_BOOL, .about = "Turns itself off."},
	{.name = "debug_ms",
		.kind = TL_RELAY_INT,
		.about = "After how long; default an hour, at most a day."},
	END};

static const struct tl_relay_field confirm_fields[] = {
	{.name = "confirm", .about = "The agent's id, typed again.", .is_required = true}, END};

static const struct tl_relay_field person_fields[] = {
	{.name = "displayName", .wire = "display_name", .about = "The name to show; null clears."},
	{.name = "hourlyRate",
		.wire = "hourly_rate",
		.kind = TL_RELAY_USD,
		.about = "Dollars an hour, at most two decimals; null clears."},
	END};

static const struct tl_relay_field org_fields[] = {{.name = "name", .about = "The org's name."},
	{.name = "tz", .about = "IANA time zone of its days."},
	{.name = "seats", .kind = TL_RELAY_INT, .about = "0: no limit. Counted, never enforced."},
	{.name = "one_agent_per_member", .kind = TL_RELAY_BOOL, .about = "Instead of one a type."},
	{.name = "peers_visible",
		.kind = TL_RELAY_BOOL,
		.about = "Whether members see each other's figures."},
	{.name = "github_connected", .kind = TL_RELAY_BOOL, .about = "Whether repos are known."},
	END};

static const struct tl_relay_field token_fields[] = {{.name = "type",
							     .one_of = "gateway|personal|service",
							     .about = "What it is for.",
							     .is_required = true},
	{.name = "name", .about = "To tell it from others.", .is_required = true},
	{.name = "email", .about = "Whose, for a personal token."},
	{.name = "role", .one_of = "member|admin", .about = "For a personal token."}, END};

static void run_events(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);

#define COMMAND(method_, path_, op_, id_wire_, fields_, summary_)                           \
	{                                                                                   \
		.method = method_, .path = "/api/v1" path_, .run = command_run, .op = op_,  \
		.id_wire = id_wire_, .fields = fields_,                                     \
		.body_bytes_max = method_ == TL_HTTP_GET ? 0 : COMMAND_BODY_BYTES_MAX,      \
		.who = TL_RELAY_ADMIN, .tag = "admin", .summary = summary_, .reply = "Done" \
	}

/* One that makes an agent's key, and says how to set the agent up. */
#define KEY_COMMAND(path_, op_, id_wire_, fields_, summary_)                                      \
	{                                                                                         \
		.method = TL_HTTP_POST, .path = "/api/v1" path_, .run = command_run, .op = op_,   \
		.id_wire = id_wire_, .fields = fields_, .body_bytes_max = COMMAND_BODY_BYTES_MAX, \
		.who = TL_RELAY_ADMIN, .tag = "admin", .summary = summary_, .reply = "NewKey",    \
		.wants_url = true                                                                 \
	}

#define MCP_BODY_BYTES_MAX (64u << 10)

#define EXPORT(signal_, summary_)                                                              \
	{                                                                                      \
		.method = TL_HTTP_POST, .path = "/v1/" signal_, .run = export_run,             \
		.body_bytes_max = TL_FRAME_BYTES_MAX, .who = TL_RELAY_AGENT, .tag = "agents",  \
		.summary = summary_, .body = "Export", .body_types = "application/x-protobuf", \
		.reply = "ExportReply"                                                         \
	}

static const struct tl_relay_route table[] = {
	{.method = TL_HTTP_POST,
		.path = "/api/v1/events",
		.run = run_events,
		.body_bytes_max = TL_FRAME_BYTES_MAX,
		.who = TL_RELAY_AGENT,
		.tag = "gateways",
		.summary = "Usage, up to 1,000 events; answered when it is durable. Sending again "
			   "counts nothing twice.",
		.body = "Events",
		.body_types = "application/x-ndjson|application/msgpack",
		.reply = "Batch"},
	EXPORT("logs",
		"OTLP/HTTP logs, JSON or protobuf: calls of Claude Code and Codex become usage; "
		"other records are counted and left alone."),
	EXPORT("metrics", "OTLP/HTTP metrics: lines, commits, pull requests, active time and edit "
			  "decisions of Claude Code; tokens and cost come from logs alone."),
	{.method = TL_HTTP_POST,
		.path = "/mcp",
		.run = tools_run,
		.body_bytes_max = MCP_BODY_BYTES_MAX,
		.who = TL_RELAY_AGENT,
		.tag = "agents",
		.summary = "The Model Context Protocol (Streamable HTTP): an agent says which "
			   "repository, pull requests and commits its session is about.",
		.body = "JsonRpc",
		.reply = "JsonRpc"},
	EXPORT("traces", "OTLP/HTTP traces: taken and left alone."),
	COMMAND(TL_HTTP_GET, "/invitations", "invite_list", NULL, NULL, "Open invitations."),
	COMMAND(TL_HTTP_POST, "/invitations", "invite", NULL, invitation_fields,
		"Invite somebody; the code is shown once."),
	COMMAND(TL_HTTP_DELETE, "/invitations/{member}", "invite_revoke", "member", NULL,
		"Take an invitation back."),
	{.method = TL_HTTP_POST,
		.path = "/api/v1/invitations/{code}/accept",
		.run = command_run,
		.op = "invite_accept",
		.id_wire = "code",
		.body_bytes_max = COMMAND_BODY_BYTES_MAX,
		.who = TL_RELAY_ANYBODY,
		.tag = "admin",
		.summary = "Accept an invitation, once.",
		.reply = "Done",
		.takes_code = true},
	KEY_COMMAND("/members/{member}/agents", "agent_create", "member", agent_fields,
		"Enrol an agent: its key, shown once, and how to set it up."),
	COMMAND(TL_HTTP_PATCH, "/agents/{agent}", "agent_update", "agent", agent_change_fields,
		"Switches of one key."),
	COMMAND(TL_HTTP_DELETE, "/agents/{agent}", "agent_delete", "agent", confirm_fields,
		"Unenrol: the key is dead at once, history stays."),
	KEY_COMMAND("/agents/{agent}/rotate", "agent_rotate", "agent", NULL,
		"A new key; the old one is good for another day."),
	COMMAND(TL_HTTP_POST, "/agents/{agent}/reveal", "agent_reveal", "agent", NULL,
		"Refused while keys are kept as hashes: rotate."),
	COMMAND(TL_HTTP_PATCH, "/team/{gitEmailHash}", "member_update", "member", person_fields,
		"Name and rate of one person."),
	COMMAND(TL_HTTP_DELETE, "/team/{gitEmailHash}", "member_remove", "member", NULL,
		"Off the team: the seat is free, history stays."),
	COMMAND(TL_HTTP_PATCH, "/org", "org_update", NULL, org_fields, "Settings of the org."),
	COMMAND(TL_HTTP_GET, "/tokens", "token_list", NULL, NULL, "Tokens, without secrets."),
	COMMAND(TL_HTTP_POST, "/tokens", "token_create", NULL, token_fields,
		"A token, shown once."),
	COMMAND(TL_HTTP_DELETE, "/tokens/{token}", "token_revoke", "token_id", NULL,
		"Dead with the next request."),
	COMMAND(TL_HTTP_GET, "/signins", "signin_list", NULL, NULL,
		"Browsers that are signed in, and links not used yet."),
	COMMAND(TL_HTTP_DELETE, "/signins/{signin}", "signin_revoke", "signin_id", NULL,
		"Sign somebody else's browser out."),
};

const struct tl_relay_route *
receive_routes(uint32_t *count_out)
{
	*count_out = sizeof(table) / sizeof(table[0]);
	return table;
}

/* The batch in the request's body. */
static enum tl_err
read_events(const struct tl_http_request *request, enum events_form form, struct tl_buf *frame,
	struct tl_why *why)
{
	struct tl_slice body;
	struct tl_buf plain;
	enum tl_err err;

	tl_buf_init(&plain, 0);
	err = tl_relay_plain(request, TL_FRAME_BYTES_MAX, &plain, &body, why);
	if (!err)
		err = events_frame(form, body, tl_http_request_bearer(request), frame, why);
	tl_buf_fini(&plain);
	return err;
}

static void
run_events(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	struct tl_why why = {0};
	struct tl_buf frame, reply;
	enum events_form form;
	enum tl_err err;

	(void)route;
	if (!events_form_of(tl_http_request_header(request, "Content-Type"), &form)) {
		command_refuse_type(request, "application/json, application/x-ndjson or "
					     "application/msgpack is taken");
		return;
	}
	if (form != EVENTS_MSGPACK && tl_http_request_bearer(request).bytes == 0) {
		tl_http_reply_error(request, TL_EUNAUTHENTICATED, NULL);
		return;
	}
	tl_buf_init(&frame, TL_FRAME_BYTES_MAX);
	tl_buf_init(&reply, 0);
	err = read_events(request, form, &frame, &why);
	if (err)
		tl_relay_refuse(request, err, NULL, why.text[0] != '\0' ? why.text : NULL);
	else if (!tl_relay_ask(arg, request, TL_RELAY_INGEST, &frame, &reply))
		tl_relay_reply(request, 200, tl_buf_slice(&reply));
	tl_buf_fini(&reply);
	tl_buf_fini(&frame);
}
