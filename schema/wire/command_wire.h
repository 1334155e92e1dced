/*
 * Commands: changes to the registry and orders to the daemon, one map each on the ingest and the
 * control sockets: {v:1, token, op, ...}. A frame with a key "op" is a command, one with "events"
 * or "rows" a batch.
 */
#ifndef TL_WIRE_COMMAND_WIRE_H
#define TL_WIRE_COMMAND_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/* X(symbol, name, true when it runs on the writer thread and is durable before the answer) */
#define TL_COMMAND_LIST(X)                                 \
	X(TL_COMMAND_ORG_CREATE, "org_create", true)       \
	X(TL_COMMAND_ORG_UPDATE, "org_update", true)       \
	X(TL_COMMAND_ORG_LIST, "org_list", false)          \
	X(TL_COMMAND_TOKEN_CREATE, "token_create", true)   \
	X(TL_COMMAND_TOKEN_REVOKE, "token_revoke", true)   \
	X(TL_COMMAND_TOKEN_LIST, "token_list", false)      \
	X(TL_COMMAND_INVITE, "invite", true)               \
	X(TL_COMMAND_INVITE_ACCEPT, "invite_accept", true) \
	X(TL_COMMAND_INVITE_REVOKE, "invite_revoke", true) \
	X(TL_COMMAND_INVITE_LIST, "invite_list", false)    \
	X(TL_COMMAND_AGENT_CREATE, "agent_create", true)   \
	X(TL_COMMAND_AGENT_UPDATE, "agent_update", true)   \
	X(TL_COMMAND_AGENT_ROTATE, "agent_rotate", true)   \
	X(TL_COMMAND_AGENT_REVEAL, "agent_reveal", false)  \
	X(TL_COMMAND_AGENT_DELETE, "agent_delete", true)   \
	X(TL_COMMAND_MEMBER_UPDATE, "member_update", true) \
	X(TL_COMMAND_MEMBER_REMOVE, "member_remove", true) \
	X(TL_COMMAND_KEY_RESOLVE, "key_resolve", false)    \
	X(TL_COMMAND_SIGNIN_CREATE, "signin_create", true) \
	X(TL_COMMAND_SIGNIN_SHOW, "signin_show", false)    \
	X(TL_COMMAND_SIGNIN_END, "signin_end", true)       \
	X(TL_COMMAND_SIGNIN_LIST, "signin_list", false)    \
	X(TL_COMMAND_SIGNIN_REVOKE, "signin_revoke", true) \
	X(TL_COMMAND_LINK_CREATE, "link_create", true)     \
	X(TL_COMMAND_PING, "ping", false)                  \
	X(TL_COMMAND_STATS, "stats", false)                \
	X(TL_COMMAND_VERIFY, "verify", false)              \
	X(TL_COMMAND_REBUILD, "rebuild", false)            \
	X(TL_COMMAND_SEAL, "seal", false)                  \
	X(TL_COMMAND_DUMP, "dump", false)                  \
	X(TL_COMMAND_ACCEPT_CLOCK, "accept_clock", false)

enum tl_command_op {
#define X(symbol, name, writes) symbol,
	TL_COMMAND_LIST(X)
#undef X
		TL_COMMAND_COUNT
};

const char *tl_command_name(enum tl_command_op op);
bool tl_command_writes(enum tl_command_op op);

/* The head of a command; parameters are read from map with tl_reader_find_*. */
struct tl_command {
	enum tl_command_op op;
	struct tl_slice token;
	struct tl_slice org; /* name, for an operator */
	struct tl_slice map; /* the whole checked map */
};

/* True when the map has an "op": it is a command, not a batch. */
bool tl_command_is(struct tl_slice checked_map);

/* TL_EVERSION_UNSUPPORTED, TL_EFIELD_MISSING, TL_ENOT_FOUND (no such op). map was checked. */
TL_MUST enum tl_err tl_command_read(
	struct tl_slice checked_map, struct tl_command *command_out, struct tl_why *why);

#endif
