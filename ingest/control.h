/*
 * Commands that change the registry (SPEC 5). Each checks everything first and only then edits, so
 * a refused command leaves nothing behind; the writer thread makes the edit durable before the
 * answer leaves.
 */
#ifndef INGEST_CONTROL_H
#define INGEST_CONTROL_H

#include "schema/registry/registry.h"
#include "schema/wire/command_wire.h"

/*
 * Run a writing command (tl_command_writes) for caller, who may be NULL for invite_accept and
 * signin_create: their code is the credential. On success the whole reply map is appended to reply,
 * secrets included: they are shown here once. On failure why says what is wrong.
 */
TL_MUST enum tl_err control_write(const struct tl_command *command, const struct tl_caller *caller,
	struct tl_edit *edit, int64_t now_ms, struct tl_buf *reply, struct tl_why *why);

/* Whether the code of an invite_accept or of a signin_create is good for anything right now: what
 * the command itself would say, for who looks before it is queued. */
TL_MUST enum tl_err control_invite_check(const struct tl_command *command,
	const struct tl_registry *registry, int64_t now_ms, struct tl_why *why);
TL_MUST enum tl_err control_link_check(const struct tl_command *command,
	const struct tl_registry *registry, int64_t now_ms, struct tl_why *why);

/* Run a command that only reads the registry: lists, key_resolve, agent_reveal, signin_show, ping.
 */
TL_MUST enum tl_err control_read(const struct tl_command *command, const struct tl_caller *caller,
	const struct tl_registry *registry, int64_t now_ms, struct tl_buf *reply,
	struct tl_why *why);

#endif
