#include "ingest/mcp/mcp.h"

#include <inttypes.h>
#include <stdio.h>

#include "schema/base/crypt.h"
#include "schema/model/limits.h"
#include "schema/wire/json.h"

#define ANSWER_BYTES_MAX (64u << 10)

/* JSON-RPC's numbers for what is wrong. */
enum {
	RPC_PARSE = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_NO_METHOD = -32601,
	RPC_INVALID_PARAMS = -32602,
};

static const char *const versions[] = {
	[MCP_2024_11_05] = "2024-11-05",
	[MCP_2025_03_26] = "2025-03-26",
	[MCP_2025_06_18] = "2025-06-18",
	[MCP_2025_11_25] = "2025-11-25",
};

/* A tool: what it is called, the argument beside sessionId, and the link it makes. */
static const struct tool {
	const char *name, *alias;
	const char *title, *description;
	const char *argument, *argument_type, *argument_about;
	enum tl_link_op op;
} tools[] = {
	{"setSessionGitHubRepo", "setSessionGitRepo", "Repository of the session",
		"Say which repository this coding session works on. The last call counts; usage "
		"from before it moves along.",
		"repo", "\"string\"",
		"A remote address or owner/name, like git@github.com:acme/api.git or acme/api",
		TL_LINK_SET_REPO},
	{"addSessionPullRequest", NULL, "Pull request of the session",
		"Say that this coding session works on a pull request. Call it for each one.",
		"pullRequest", "[\"string\",\"integer\"]",
		"Its address, or its number in the session's repository", TL_LINK_ADD_PR},
	{"addSessionCommit", NULL, "Commit of the session",
		"Say that a commit was made in this coding session. Call it for each one.",
		"commit", "\"string\"", "The commit's hash", TL_LINK_ADD_COMMIT},
	{"setSessionName", NULL, "Name of the session",
		"Give this coding session a short name that says what it is about. The last call "
		"counts.",
		"name", "\"string\"", "A few words", TL_LINK_SET_NAME},
};
#define TOOL_COUNT (sizeof(tools) / sizeof(tools[0]))

static const char instructions[] =
	"tally counts what coding sessions cost. Tell it what this session is about: once the "
	"repository is known call setSessionGitHubRepo, after opening a pull request "
	"addSessionPullRequest, after committing addSessionCommit. sessionId is the id of this "
	"coding session, as your telemetry names it. Calling again does no harm.";

bool
mcp_version_parse(struct tl_slice text, enum mcp_version *version_out)
{
	*version_out = MCP_2025_03_26;
	if (text.bytes == 0)
		return true;
	for (int version = 0; version < MCP_VERSION_COUNT; version++) {
		if (tl_slice_eq(text, tl_slice_str(versions[version]))) {
			*version_out = (enum mcp_version)version;
			return true;
		}
	}
	return false;
}

struct reading {
	struct tl_arena *arena;
	int64_t now_ms;
	struct tl_buf text; /* scratch: the answer being written */
	enum tl_err err;
};

/* The scratch text, kept. */
static struct tl_slice
keep(struct reading *reading)
{
	struct tl_slice copy = {0};

	if (!reading->text.err)
		copy = tl_arena_copy(reading->arena, tl_buf_slice(&reading->text));
	if (copy.data == NULL)
		reading->err = reading->text.err ? reading->text.err : TL_ENOMEM;
	tl_buf_reset(&reading->text);
	return copy;
}

static void
open_answer(struct tl_buf *text, struct tl_slice id, const char *member)
{
	tl_buf_put_str(text, "{\"jsonrpc\":\"2.0\",\"id\":");
	tl_buf_put_slice(text, id.bytes > 0 ? id : tl_slice_str("null"));
	tl_buf_printf(text, ",\"%s\":", member);
}

/* The scratch text is a whole answer. */
static struct mcp_message
answered(struct reading *reading)
{
	return (struct mcp_message){.kind = MCP_ANSWERED, .answer = keep(reading)};
}

static struct mcp_message
error_of(struct reading *reading, struct tl_slice id, int code, const char *message)
{
	open_answer(&reading->text, id, "error");
	tl_buf_printf(&reading->text, "{\"code\":%d,\"message\":", code);
	tl_json_put_string(&reading->text, tl_slice_str(message));
	tl_buf_put_str(&reading->text, "}}");
	return answered(reading);
}

/* A tool's result is text for the model, which may try again when it is told why. */
static void
put_result(struct tl_buf *text, struct tl_slice id, bool is_error, const char *message)
{
	open_answer(text, id, "result");
	tl_buf_put_str(text, "{\"content\":[{\"type\":\"text\",\"text\":");
	tl_json_put_string(text, tl_slice_str(message));
	tl_buf_printf(text, "}],\"isError\":%s}}", is_error ? "true" : "false");
}

static struct mcp_message
wrong_argument(
	struct reading *reading, struct tl_slice id, const char *argument, uint32_t bytes_max)
{
	char message[96];

	snprintf(message, sizeof(message), "%s: a text of 1 to %u bytes is needed", argument,
		bytes_max);
	put_result(&reading->text, id, true, message);
	return answered(reading);
}

static struct mcp_message
initialize(struct reading *reading, struct tl_slice id, const struct tl_json_value *params)
{
	struct tl_slice wanted = tl_json_str(tl_json_get(params, "protocolVersion"));
	enum mcp_version version;

	/* One that is not known is answered with the newest: the client decides. */
	if (wanted.bytes == 0 || !mcp_version_parse(wanted, &version))
		version = MCP_2025_11_25;
	open_answer(&reading->text, id, "result");
	tl_buf_printf(&reading->text,
		"{\"protocolVersion\":\"%s\",\"capabilities\":{\"tools\":{\"listChanged\":false}},"
		"\"serverInfo\":{\"name\":\"tally\",\"version\":\"1\"},\"instructions\":",
		versions[version]);
	tl_json_put_string(&reading->text, tl_slice_str(instructions));
	tl_buf_put_str(&reading->text, "}}");
	return answered(reading);
}

static void
put_member(struct tl_buf *text, const char *key, const char *value)
{
	tl_buf_printf(text, "\"%s\":", key);
	tl_json_put_string(text, tl_slice_str(value));
}

static void
put_tool(struct tl_buf *text, const struct tool *tool)
{
	tl_buf_put_str(text, "{");
	put_member(text, "name", tool->name);
	tl_buf_put_str(text, ",");
	put_member(text, "title", tool->title);
	tl_buf_put_str(text, ",");
	put_member(text, "description", tool->description);
	tl_buf_printf(text,
		",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"sessionId\":{\"type\":"
		"\"string\",\"description\":\"The id of the coding session\"},\"%s\":{\"type\":%s,",
		tool->argument, tool->argument_type);
	put_member(text, "description", tool->argument_about);
	tl_buf_printf(text,
		"}},\"required\":[\"sessionId\",\"%s\"]},\"annotations\":{\"readOnlyHint\":false,"
		"\"destructiveHint\":false,\"idempotentHint\":true,\"openWorldHint\":false}}",
		tool->argument);
}

static struct mcp_message
list_tools(struct reading *reading, struct tl_slice id)
{
	open_answer(&reading->text, id, "result");
	tl_buf_put_str(&reading->text, "{\"tools\":[");
	for (size_t i = 0; i < TOOL_COUNT; i++) {
		if (i > 0)
			tl_buf_put_str(&reading->text, ",");
		put_tool(&reading->text, &tools[i]);
	}
	tl_buf_put_str(&reading->text, "]}}");
	return answered(reading);
}

static const struct tool *
find_tool(struct tl_slice name)
{
	for (size_t i = 0; i < TOOL_COUNT; i++) {
		if (tl_slice_eq(name, tl_slice_str(tools[i].name)) ||
			(tools[i].alias != NULL && tl_slice_eq(name, tl_slice_str(tools[i].alias))))
			return &tools[i];
	}
	return NULL;
}

/* The id of a call: the same call in another millisecond is another one, and harmless. */
static void
make_id(struct reading *reading, struct tl_wire_event *link)
{
	uint8_t digest[32];

	tl_buf_put_str(&reading->text, "mcp-link");
	tl_buf_put_u8(&reading->text, (uint8_t)link->link_op);
	tl_buf_put_be64(&reading->text, (uint64_t)link->ts_ms);
	tl_buf_put_varint(&reading->text, link->session.bytes);
	tl_buf_put_slice(&reading->text, link->session);
	tl_buf_put_slice(&reading->text, link->value);
	if (reading->text.err)
		reading->err = reading->text.err;
	tl_sha256(tl_buf_slice(&reading->text), digest);
	memcpy(link->id, digest, sizeof(link->id));
	tl_buf_reset(&reading->text);
}

/* A text, or a whole number as text, in the arena; empty when it is neither. */
static struct tl_slice
read_value(struct reading *reading, const struct tl_json_value *value)
{
	int64_t number;

	if (tl_json_int(value, &number))
		tl_buf_printf(&reading->text, "%" PRId64, number);
	else
		tl_buf_put_slice(&reading->text, tl_json_str(value));
	return keep(reading);
}

static struct mcp_message
call_tool(struct reading *reading, struct tl_slice id, const struct tl_json_value *params)
{
	const struct tool *tool = find_tool(tl_json_str(tl_json_get(params, "name")));
	const struct tl_json_value *arguments = tl_json_get(params, "arguments");
	struct mcp_message message = {.kind = MCP_LINK, .id = id};
	struct tl_wire_event *link = &message.link;

	if (tool == NULL)
		return error_of(reading, id, RPC_INVALID_PARAMS, "there is no such tool");
	link->kind = TL_KIND_LINK;
	link->link_op = tool->op;
	link->ts_ms = reading->now_ms;
	link->session = read_value(reading, tl_json_get(arguments, "sessionId"));
	link->value = read_value(reading, tl_json_get(arguments, tool->argument));
	if (link->session.bytes == 0 || link->session.bytes > TL_SESSION_BYTES_MAX)
		return wrong_argument(reading, id, "sessionId", TL_SESSION_BYTES_MAX);
	if (link->value.bytes == 0 || link->value.bytes > TL_LINK_VALUE_BYTES_MAX)
		return wrong_argument(reading, id, tool->argument, TL_LINK_VALUE_BYTES_MAX);
	make_id(reading, link);
	return message;
}

static struct mcp_message
run_method(struct reading *reading, struct tl_slice id, struct tl_slice method,
	const struct tl_json_value *params)
{
	if (tl_slice_eq(method, tl_slice_str("initialize")))
		return initialize(reading, id, params);
	if (tl_slice_eq(method, tl_slice_str("tools/list")))
		return list_tools(reading, id);
	if (tl_slice_eq(method, tl_slice_str("tools/call")))
		return call_tool(reading, id, params);
	if (tl_slice_eq(method, tl_slice_str("ping"))) {
		open_answer(&reading->text, id, "result");
		tl_buf_put_str(&reading->text, "{}}");
		return answered(reading);
	}
	return error_of(reading, id, RPC_NO_METHOD, "there is no such method");
}

/* The id as JSON; empty for one that is no text and no whole number. */
static struct tl_slice
read_id(struct reading *reading, const struct tl_json_value *id)
{
	int64_t number;

	if (tl_json_int(id, &number))
		tl_buf_printf(&reading->text, "%" PRId64, number);
	else if (tl_json_str(id).bytes > 0)
		tl_json_put_string(&reading->text, tl_json_str(id));
	else
		return tl_slice_of(NULL, 0);
	return keep(reading);
}

static struct mcp_message
read_message(struct reading *reading, const struct tl_json_value *from)
{
	struct tl_slice method = tl_json_str(tl_json_get(from, "method"));
	const struct tl_json_value *id_value = tl_json_get(from, "id");
	struct tl_slice none = {0}, id;

	if (!tl_slice_eq(tl_json_str(tl_json_get(from, "jsonrpc")), tl_slice_str("2.0")))
		return error_of(reading, none, RPC_INVALID_REQUEST, "no JSON-RPC 2.0 message");
	if (method.bytes == 0 &&
		(tl_json_get(from, "result") != NULL || tl_json_get(from, "error") != NULL))
		return (struct mcp_message){.kind = MCP_SILENT};
	if (method.bytes == 0)
		return error_of(reading, none, RPC_INVALID_REQUEST, "no method");
	if (id_value == NULL)
		return (struct mcp_message){.kind = MCP_SILENT};
	id = read_id(reading, id_value);
	if (id.bytes == 0)
		return error_of(
			reading, none, RPC_INVALID_REQUEST, "id is a text or a whole number");
	return run_method(reading, id, method, tl_json_get(from, "params"));
}

static void
read_root(struct reading *reading, const struct tl_json_value *root, enum mcp_version version,
	struct mcp_body *body)
{
	struct tl_slice none = {0};
	size_t count = tl_json_is_array(root) ? tl_json_count(root) : 0;

	body->is_batch = version <= MCP_2025_03_26 && count > 0 && count <= MCP_MESSAGES_MAX;
	for (size_t i = 0; body->is_batch && i < count && !reading->err; i++)
		body->messages[body->count++] = read_message(reading, tl_json_at(root, i));
	if (body->is_batch)
		return;
	if (tl_json_is_array(root))
		body->messages[body->count++] = error_of(reading, none, RPC_INVALID_REQUEST,
			version > MCP_2025_03_26 ? "this version has no batches"
						 : "a batch has 1 to 100 messages");
	else
		body->messages[body->count++] = read_message(reading, root);
}

enum tl_err
mcp_read(struct tl_slice body, enum mcp_version version, int64_t now_ms, struct tl_arena *arena,
	struct mcp_body *body_out)
{
	struct reading reading = {.arena = arena, .now_ms = now_ms};
	struct mcp_body made = {0};
	struct tl_json *json = NULL;
	struct tl_why why = {0};
	struct tl_slice none = {0};

	made.messages = tl_arena_array(arena, MCP_MESSAGES_MAX, sizeof(*made.messages));
	if (made.messages == NULL)
		return TL_ENOMEM;
	tl_buf_init(&reading.text, ANSWER_BYTES_MAX);
	if (tl_json_parse(body, &json, &why))
		made.messages[made.count++] = error_of(&reading, none, RPC_PARSE, why.text);
	else
		read_root(&reading, tl_json_root(json), version, &made);
	tl_json_free(json);
	tl_buf_fini(&reading.text);
	if (!reading.err)
		*body_out = made;
	return reading.err;
}

void
mcp_put_outcome(struct tl_buf *text, const struct mcp_message *message, enum tl_err err,
	struct tl_slice field)
{
	char said[160];

	if (!err) {
		put_result(text, message->id, false, "Noted.");
	} else if (err == TL_EFORBIDDEN) {
		put_result(text, message->id, true,
			"sessionId: that session is another member's; only your own can be "
			"changed");
	} else {
		snprintf(said, sizeof(said), "%.*s%s%s", (int)field.bytes, (const char *)field.data,
			field.bytes > 0 ? ": " : "", tl_err_text(err));
		put_result(text, message->id, true, said);
	}
}
