#include "ingest/api/tools.h"

#include <strings.h>

#include "ingest/api/sender.h"
#include "ingest/mcp/mcp.h"
#include "schema/base/clock.h"
#include "schema/wire/reader.h"

#define ARENA_BYTES_MAX ((size_t)4 << 20)

/* What became of each link, in the order of the links. */
struct outcomes {
	enum tl_err err[MCP_MESSAGES_MAX];
	struct tl_slice field[MCP_MESSAGES_MAX]; /* into the reply of tallyd */
	uint32_t count;
};

static void
read_outcomes(struct tl_slice reply, struct outcomes *outcomes)
{
	struct tl_reader errors;
	uint32_t count;

	if (!tl_reader_find(reply, "errors", &errors))
		return;
	count = tl_read_array(&errors);
	for (uint32_t i = 0; i < count; i++) {
		struct tl_slice error = tl_read_any(&errors);
		struct tl_slice code = tl_reader_find_str(error, "code");
		int64_t idx = tl_reader_find_int(error, "i", -1);

		if (idx < 0 || idx >= outcomes->count)
			continue;
		outcomes->err[idx] = tl_err_from_name((const char *)code.data, code.bytes);
		outcomes->field[idx] = tl_reader_find_str(error, "field");
	}
}

/* Push the links, one batch; without any, ask whether the key is good. Else it is answered. */
static enum tl_err
push(struct tl_relay *relay, struct tl_http_request *request, const struct mcp_body *body,
	struct outcomes *outcomes, struct tl_buf *reply)
{
	struct tl_wire_event links[MCP_MESSAGES_MAX];
	struct tl_relay_refusal refusal;
	struct tl_buf frame;
	enum tl_err err;

	for (uint32_t i = 0; i < body->count; i++) {
		if (body->messages[i].kind == MCP_LINK)
			links[outcomes->count++] = body->messages[i].link;
	}
	tl_buf_init(&frame, 0);
	if (outcomes->count == 0) {
		err = sender_check(relay, request, &refusal);
		if (err)
			tl_http_reply_error(request, err, &refusal.detail);
	} else {
		tl_batch_put_maps(&frame, tl_http_request_bearer(request), tl_slice_str("mcp"),
			false, links, outcomes->count);
		err = tl_relay_ask(relay, request, TL_RELAY_INGEST, &frame, reply);
		if (!err)
			read_outcomes(tl_buf_slice(reply), outcomes);
	}
	tl_buf_fini(&frame);
	return err;
}

/* Every answer there is, as one object or as a batch. */
static void
put_answers(struct tl_buf *text, const struct mcp_body *body, const struct outcomes *outcomes)
{
	uint32_t link_idx = 0, answer_count = 0;

	for (uint32_t i = 0; i < body->count; i++) {
		const struct mcp_message *message = &body->messages[i];

		if (message->kind == MCP_SILENT)
			continue;
		tl_buf_put_str(text, answer_count > 0 ? "," : body->is_batch ? "[" : "");
		answer_count++;
		if (message->kind == MCP_ANSWERED) {
			tl_buf_put_slice(text, message->answer);
			continue;
		}
		mcp_put_outcome(text, message, outcomes->err[link_idx], outcomes->field[link_idx]);
		link_idx++;
	}
	if (body->is_batch && answer_count > 0)
		tl_buf_put_str(text, "]");
}

static void
answer(struct tl_http_request *request, const struct mcp_body *body,
	const struct outcomes *outcomes)
{
	struct tl_http_body *reply = NULL;
	struct tl_buf text;
	bool is_silent;

	tl_buf_init(&text, 0);
	put_answers(&text, body, outcomes);
	is_silent = text.bytes == 0 && !text.err;
	if (is_silent)
		tl_http_reply(request, 202, NULL, NULL);
	else if (tl_http_body_of(&text, &reply))
		tl_http_reply_error(request, TL_ENOMEM, NULL);
	else
		tl_http_reply(request, 200, "application/json", reply);
	tl_buf_fini(&text);
}

static void
run(struct tl_relay *relay, struct tl_http_request *request, enum mcp_version version,
	struct tl_arena *arena)
{
	struct outcomes outcomes = {.count = 0};
	struct mcp_body body;
	struct tl_buf reply;
	enum tl_err err;

	err = mcp_read(tl_http_request_body(request), version, tl_clock_wall_ms(tl_clock_system()),
		arena, &body);
	if (err) {
		tl_http_reply_error(request, err, NULL);
		return;
	}
	tl_buf_init(&reply, 0);
	if (!push(relay, request, &body, &outcomes, &reply))
		answer(request, &body, &outcomes);
	tl_buf_fini(&reply);
}

static bool
is_json(const struct tl_http_request *request)
{
	static const char json[] = "application/json";
	struct tl_slice type = tl_http_request_header(request, "Content-Type");

	return type.bytes >= strlen(json) &&
	       strncasecmp((const char *)type.data, json, strlen(json)) == 0;
}

void
tools_run(struct tl_http_request *request, const struct tl_http_route *route, void *arg)
{
	enum mcp_version version;
	struct tl_arena arena;

	(void)route;
	if (tl_http_request_bearer(request).bytes == 0)
		tl_http_reply_error(request, TL_EUNAUTHENTICATED, NULL);
	else if (!is_json(request))
		tl_relay_refuse(request, TL_EBAD_CONTENT_TYPE, NULL, "application/json is taken");
	else if (!mcp_version_parse(
			 tl_http_request_header(request, "MCP-Protocol-Version"), &version))
		tl_relay_refuse(request, TL_EBAD_PARAM, "MCP-Protocol-Version",
			"2025-11-25, 2025-06-18, 2025-03-26 and 2024-11-05 are spoken");
	else {
		tl_arena_init(&arena, ARENA_BYTES_MAX);
		run(arg, request, version, &arena);
		tl_arena_fini(&arena);
	}
}
