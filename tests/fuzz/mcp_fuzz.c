/*
 * A posted body; the first byte says which version. Whatever it is, every message has an answer
 * that is one JSON object, or none, and every link can be sent. The same body is answered the same.
 */
#include "ingest/mcp/mcp.h"
#include "schema/model/limits.h"
#include "schema/wire/json.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_BYTES_MAX ((size_t)4 << 20)

static void
check_answer(struct tl_slice answer)
{
	struct tl_json *json = NULL;

	assert(tl_json_parse(answer, &json, NULL) == TL_OK);
	assert(tl_json_is_object(tl_json_root(json)));
	assert(tl_json_get(tl_json_root(json), "id") != NULL);
	assert((tl_json_get(tl_json_root(json), "result") != NULL) !=
		(tl_json_get(tl_json_root(json), "error") != NULL));
	tl_json_free(json);
}

static void
check_link(const struct mcp_message *message)
{
	static struct tl_buf text;

	assert(message->link.kind == TL_KIND_LINK && message->link.link_op != TL_LINK_NONE);
	assert(message->link.session.bytes > 0 &&
		message->link.session.bytes <= TL_SESSION_BYTES_MAX);
	assert(message->link.value.bytes > 0 &&
		message->link.value.bytes <= TL_LINK_VALUE_BYTES_MAX);
	for (enum tl_err err = TL_OK; err < TL_ERR_COUNT; err++) {
		tl_buf_reset(&text);
		mcp_put_outcome(&text, message, err, tl_slice_str("value"));
		assert(text.err == TL_OK);
		if (err < 3)
			check_answer(tl_buf_slice(&text));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_arena arena;
	struct mcp_body body;

	if (bytes == 0)
		return 0;
	if (mcp_read(tl_slice_of(data + 1, bytes - 1),
		    (enum mcp_version)(data[0] % MCP_VERSION_COUNT), 1795255200000,
		    fuzz_arena(&arena, ARENA_BYTES_MAX), &body))
		return 0;
	assert(body.count > 0 && body.count <= MCP_MESSAGES_MAX);
	assert(body.is_batch || body.count == 1);
	for (uint32_t i = 0; i < body.count; i++) {
		if (body.messages[i].kind == MCP_ANSWERED)
			check_answer(body.messages[i].answer);
		if (body.messages[i].kind == MCP_LINK)
			check_link(&body.messages[i]);
	}
	return 0;
}
