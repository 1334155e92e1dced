/*
 * Agents' keys and people's tokens: tally_<type>_<8 id>_<43 secret>_<6 CRC-32>, base62. The secret
 * is 256 random bits, shown once; SHA-256 of the whole string is stored. And the one place that
 * says what a credential may do.
 */
#ifndef TL_REGISTRY_APIKEY_H
#define TL_REGISTRY_APIKEY_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

#define TL_TOKEN_BYTES_MAX 80
#define TL_KEY_ID_BYTES 19 /* "tally_pat_ab12cd34", the longest, and NUL */

enum tl_credential_type {
	TL_CREDENTIAL_GATEWAY, /* gw: pushes usage */
	TL_CREDENTIAL_AGENT,   /* ca: one coding agent's key */
	TL_CREDENTIAL_PERSON,  /* pat: a member or admin */
	TL_CREDENTIAL_SERVICE, /* svc: reads */
};

/* "gw", "ca", "pat", "svc"; and the words of the API: "gateway", "agent", "personal", "service". */
const char *tl_credential_type_tag(enum tl_credential_type type);
const char *tl_credential_type_word(enum tl_credential_type type);

/* Parses the words of the API. */
TL_MUST bool tl_credential_type_parse(struct tl_slice word, enum tl_credential_type *type_out);

struct tl_credential {
	char key_id[TL_KEY_ID_BYTES];
	enum tl_credential_type type;
	uint8_t hash[32];
	uint32_t org_no;    /* 0: every org (an operator's gateway token) */
	uint32_t member_no; /* person and agent; 0: none */
	uint32_t agent_no;  /* agent only */
	bool is_admin;	    /* person without a member record: the org's first token */
	int64_t created_ms;
	int64_t revoked_ms; /* 0: valid; else dead from then on */
	const char *name;
};

/* "tally_<tag>_" and the number in 8 digits; tag has at most 3 letters. */
void tl_key_id_make(const char *tag, uint64_t number, char key_id_out[TL_KEY_ID_BYTES]);

/* A new secret of the type: fills key_id and hash, and the token to show once. */
void tl_token_make(enum tl_credential_type type, struct tl_credential *credential,
	char token_out[TL_TOKEN_BYTES_MAX]);

/* Splits and checks the CRC offline; *key_id_out points into token. False: a typo or not ours. */
TL_MUST bool tl_token_parse(struct tl_slice token, struct tl_slice *key_id_out);

TL_MUST bool tl_token_matches(const struct tl_credential *credential, struct tl_slice token);

/* What somebody may do. */
enum tl_right {
	TL_RIGHT_PUSH,	   /* batches of usage */
	TL_RIGHT_PUSH_OWN, /* usage of the key's own member, links of their sessions */
	TL_RIGHT_IMPORT,   /* batches of history */
	TL_RIGHT_RESOLVE,  /* keys/resolve */
	TL_RIGHT_READ,	   /* the team's figures */
	TL_RIGHT_AUDIT,	   /* reconcile, export */
	TL_RIGHT_MANAGE,   /* members, agents, tokens, settings */
	TL_RIGHT_OPERATE,  /* the daemon itself: only over the control socket */
};

/* Who is asking: resolved once per request, never cached. */
struct tl_caller {
	bool is_operator; /* came by the control socket */
	bool is_signin; /* a browser's session: a person, who reads and manages but sends nothing */
	enum tl_credential_type type;
	uint32_t org_no; /* the org this request is about; 0: every org (gateway) */
	uint32_t member_no;
	bool is_admin;
	char key_id[TL_KEY_ID_BYTES]; /* "operator" for the operator, "tally_sid_..." for a sign-in
				       */
};

struct tl_registry;

/*
 * token (empty is allowed only for the operator) -> caller. The secret of a sign-in is a token as
 * well; resolving it is a use of it. org_name chooses the org for an
 * operator; for anybody else it must be empty or their own. TL_EUNAUTHENTICATED, TL_ENOT_FOUND.
 */
TL_MUST enum tl_err tl_caller_resolve(const struct tl_registry *registry, struct tl_slice token,
	struct tl_slice org_name, bool is_operator, int64_t now_ms, struct tl_caller *caller_out,
	struct tl_why *why);

/* TL_OK or TL_EFORBIDDEN. The only function that decides. */
TL_MUST enum tl_err tl_authorise(
	const struct tl_caller *caller, enum tl_right right, struct tl_why *why);

#endif
