/*
 * The Model Context Protocol as far as four tools need it: JSON-RPC messages -> links of sessions,
 * and answers back. Pure; the caller makes the links durable in between. Nothing is remembered from
 * message to message, so there is no session to open or to lose.
 *
 *   setSessionGitHubRepo (also called setSessionGitRepo) {sessionId, repo}
 *   addSessionPullRequest {sessionId, pullRequest}
 *   addSessionCommit {sessionId, commit}
 *   setSessionName {sessionId, name}
 */
#ifndef MCP_MCP_H
#define MCP_MCP_H

#include "schema/base/arena.h"
#include "schema/wire/event_wire.h"

#define MCP_MESSAGES_MAX 100u /* of one batch */

enum mcp_version {
	MCP_2024_11_05,
	MCP_2025_03_26,
	MCP_2025_06_18,
	MCP_2025_11_25,
	MCP_VERSION_COUNT
};

/* The version of the header MCP-Protocol-Version; without one it is 2025-03-26. */
TL_MUST bool mcp_version_parse(struct tl_slice text, enum mcp_version *version_out);

enum mcp_kind {
	MCP_SILENT,   /* a notification or somebody's response: no answer */
	MCP_ANSWERED, /* answer is the whole reply */
	MCP_LINK,     /* link is to be pushed, then mcp_put_outcome */
};

struct mcp_message {
	enum mcp_kind kind;
	struct tl_slice id;	/* as JSON */
	struct tl_slice answer; /* a JSON-RPC object */
	struct tl_wire_event link;
};

/* Of the arena. */
struct mcp_body {
	struct mcp_message *messages;
	uint32_t count;
	bool is_batch;
};

/*
 * Read what was posted. What is wrong with a message is its answer, so this fails only for memory.
 * Batches are taken where the version has them (up to 2025-03-26).
 */
TL_MUST enum tl_err mcp_read(struct tl_slice body, enum mcp_version version, int64_t now_ms,
	struct tl_arena *arena, struct mcp_body *body_out);

/* What became of a link: err of its event, TL_OK when it is durable, and the field that is wrong.
 */
void mcp_put_outcome(struct tl_buf *text, const struct mcp_message *message, enum tl_err err,
	struct tl_slice field);

#endif
