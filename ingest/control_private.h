/* Inside control*.c: one command being run, its parameters, and what several commands share. */
#ifndef INGEST_CONTROL_PRIVATE_H
#define INGEST_CONTROL_PRIVATE_H

#include "ingest/control.h"
#include "schema/wire/pack.h"

struct control_call {
	struct tl_slice map; /* of the command: where the parameters are */
	const struct tl_caller *caller;
	struct tl_edit *edit;		    /* NULL for a command that only reads */
	const struct tl_registry *registry; /* NULL for a command that writes */
	int64_t now_ms;
	struct tl_buf *reply;
	struct tl_why *why;
};

/* A parameter that was not sent leaves things as they are, nil clears. */
enum control_presence {
	CONTROL_ABSENT,
	CONTROL_NIL,
	CONTROL_GIVEN,
};

/* The state the command sees; valid until the next put. */
const struct tl_registry *control_registry(const struct control_call *call);

/* The right, and the org the command is about. */
TL_MUST enum tl_err control_need_org(
	const struct control_call *call, enum tl_right right, const struct tl_org **org_out);

/* Parameters. text_out has room for bytes_max and the terminator, and is "" when nothing came. */
TL_MUST enum tl_err control_text(const struct control_call *call, const char *key, size_t bytes_max,
	char *text_out, enum control_presence *presence_out);

/* The same for one that must be there and not empty. */
TL_MUST enum tl_err control_text_need(
	const struct control_call *call, const char *key, size_t bytes_max, char *text_out);

/* Absent or nil leaves *value untouched. */
TL_MUST enum tl_err control_flag(const struct control_call *call, const char *key, bool *value,
	enum control_presence *presence_out);
TL_MUST enum tl_err control_int(const struct control_call *call, const char *key, int64_t min,
	int64_t max, int64_t *value, enum control_presence *presence_out);
TL_MUST enum tl_err control_role(
	const struct control_call *call, enum tl_role *role, enum control_presence *presence_out);
TL_MUST enum tl_err control_zone(const struct control_call *call, const struct tl_zone **zone);

/* "email", normalised, with the member id it has in the org. */
TL_MUST enum tl_err control_email(const struct control_call *call, const struct tl_org *org,
	char email_out[TL_EMAIL_BYTES_MAX + 1], uint8_t id_out[16]);

/* "hourly_rate" in USD -> cents. */
TL_MUST enum tl_err control_rate(
	const struct control_call *call, int64_t *cents, enum control_presence *presence_out);

/* "member": 32 hex digits or an email of somebody in the org. */
TL_MUST enum tl_err control_member(const struct control_call *call, const struct tl_org *org,
	const struct tl_member **member_out);

/* Replies: {v:1, ok:true, ...}; control_close ends one and tells whether it fitted. */
struct tl_pack_open control_open(const struct control_call *call);
TL_MUST enum tl_err control_close(const struct control_call *call, const struct tl_pack_open *open);
void control_put_member_id(
	const struct control_call *call, struct tl_pack_open *map, const struct tl_member *member);
const char *control_role_word(enum tl_role role);

/* One page of a list, by the parameters "limit" and "cursor" as queries have them (SPEC 4). */
struct control_page {
	uint32_t first, end; /* rows on the page */
	uint32_t row_count;  /* of the list, as far as it was walked */
};

TL_MUST enum tl_err control_page_read(
	const struct control_call *call, struct control_page *page_out);

/* Counts the next row of the list and tells whether it is on the page. */
bool control_page_takes(struct control_page *page);

/* truncated and next_cursor, behind the list. */
void control_page_put(
	const struct control_call *call, struct tl_pack_open *map, const struct control_page *page);

#define CONTROL_URL_BYTES_MAX 200

/* "url": the address that agents reach tally-http at, "" when it is not given. */
TL_MUST enum tl_err control_setup_url(
	const struct control_call *call, char url_out[CONTROL_URL_BYTES_MAX + 1]);

/*
 * token, instructions and instructions_direct: the key, and what a person pastes into a shell to
 * run an agent of this type with its key, through a gateway and without one.
 */
TL_MUST enum tl_err control_setup_put(const struct control_call *call, struct tl_pack_open *map,
	const char *type, const char *token, const char *url);

/* Give credential (org, type and owner set) a new secret and put it. */
TL_MUST enum tl_err control_issue(const struct control_call *call, struct tl_credential *credential,
	char token_out[TL_TOKEN_BYTES_MAX]);

/* Let all keys of an agent, or all personal tokens of a member, end at ends_ms or before. */
TL_MUST enum tl_err control_end_agent_keys(
	const struct control_call *call, uint32_t org_no, uint32_t agent_no, int64_t ends_ms);
TL_MUST enum tl_err control_end_member_tokens(
	const struct control_call *call, uint32_t org_no, uint32_t member_no, int64_t ends_ms);

/* End all sign-ins of a member, and the links made for them. */
TL_MUST enum tl_err control_end_member_signins(
	const struct control_call *call, uint32_t org_no, uint32_t member_no);

/* The commands; control.c picks one. */
TL_MUST enum tl_err control_org_create(const struct control_call *call);
TL_MUST enum tl_err control_org_update(const struct control_call *call);
TL_MUST enum tl_err control_org_list(const struct control_call *call);
TL_MUST enum tl_err control_token_create(const struct control_call *call);
TL_MUST enum tl_err control_token_revoke(const struct control_call *call);
TL_MUST enum tl_err control_token_list(const struct control_call *call);
TL_MUST enum tl_err control_key_resolve(const struct control_call *call);
TL_MUST enum tl_err control_invite(const struct control_call *call);
TL_MUST enum tl_err control_invite_accept(const struct control_call *call);
TL_MUST enum tl_err control_invite_revoke(const struct control_call *call);
TL_MUST enum tl_err control_invite_list(const struct control_call *call);
TL_MUST enum tl_err control_member_update(const struct control_call *call);
TL_MUST enum tl_err control_member_remove(const struct control_call *call);
TL_MUST enum tl_err control_agent_create(const struct control_call *call);
TL_MUST enum tl_err control_agent_update(const struct control_call *call);
TL_MUST enum tl_err control_agent_rotate(const struct control_call *call);
TL_MUST enum tl_err control_agent_reveal(const struct control_call *call);
TL_MUST enum tl_err control_agent_delete(const struct control_call *call);
TL_MUST enum tl_err control_signin_create(const struct control_call *call);
TL_MUST enum tl_err control_signin_show(const struct control_call *call);
TL_MUST enum tl_err control_signin_end(const struct control_call *call);
TL_MUST enum tl_err control_signin_list(const struct control_call *call);
TL_MUST enum tl_err control_signin_revoke(const struct control_call *call);
TL_MUST enum tl_err control_link_create(const struct control_call *call);

#endif
