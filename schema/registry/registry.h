/*
 * Who exists: orgs, their settings, members, agents and credentials. Readers pin an immutable
 * snapshot; the writer thread edits a copy, puts the changed records into its write, and publishes
 * after the commit. What nobody changed is shared between snapshots.
 */
#ifndef TL_REGISTRY_REGISTRY_H
#define TL_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/limits.h"
#include "schema/model/window.h"
#include "schema/registry/apikey.h"
#include "schema/registry/signin.h"
#include "schema/store/write.h"

enum tl_role {
	TL_ROLE_MEMBER,
	TL_ROLE_ADMIN,
};

enum tl_member_state {
	TL_MEMBER_PENDING, /* invited, not accepted, no event yet */
	TL_MEMBER_ACTIVE,
	TL_MEMBER_REMOVED, /* off the team, history kept; the next event brings the person back */
};

/* Strings end in NUL and live as long as the snapshot; "" is absent. */
struct tl_member {
	uint32_t no;	/* dense in the org, from 1; what rows and cells hold */
	uint8_t id[16]; /* first half of HMAC-SHA-256(org secret, normalised email) */
	enum tl_role role;
	enum tl_member_state state;
	int64_t rate_cents; /* hourly rate in USD cents, -1: none */
	int64_t created_ms;
	const char *email;	   /* plain, when known */
	const char *display_name;  /* "" : show the email or the short id */
	struct tl_slice email_enc; /* msgpack map, opaque */
	char invitation[17];	   /* first 16 hex digits of the invitation's hash; "" none */
	int64_t invitation_ends_ms;
};

struct tl_agent {
	uint32_t no; /* dense in the org, from 1 */
	uint32_t member_no;
	const char *type; /* "claude_code" */
	bool enrolled;	  /* has or had a key; else it appeared with an event */
	bool live;	  /* false after unenrolment */
	bool compression;
	int64_t debug_until_ms; /* 0: off */
	int64_t created_ms, ended_ms;
};

struct tl_org {
	uint32_t no; /* from 1 */
	const char *name;
	uint8_t secret[32];
	const struct tl_zone *zone; /* default for windows */
	int64_t seats;		    /* 0: no limit */
	bool one_agent_per_member;
	bool peers_visible;
	bool github_connected;
	int64_t created_ms;
	uint64_t generation; /* of the registry when this org last changed: settings, people,
				agents, their keys; not when another org did */
	const struct tl_member *const *members; /* member no - 1 -> member */
	uint32_t member_count;
	const struct tl_agent *const *agents; /* agent no - 1 -> agent */
	uint32_t agent_count;
};

struct tl_registry; /* one published snapshot */
struct tl_roster;   /* the place snapshots are published at; one per daemon */

/* Loads every record. The caller frees after all threads stopped. */
TL_MUST enum tl_err tl_roster_open(
	struct tl_store *store, struct tl_roster **roster_out, struct tl_why *why);
void tl_roster_free(struct tl_roster *roster);

/* The current snapshot, pinned; any thread. */
const struct tl_registry *tl_registry_pin(struct tl_roster *roster);
void tl_registry_unpin(const struct tl_registry *registry);

/* 1,000 keys a second for one credential, by whichever door: TL_ERATE_LIMITED past it. The operator
 * asks as often as they like. now_ms is monotonic. */
TL_MUST enum tl_err tl_roster_allow_resolve(struct tl_roster *roster,
	const struct tl_caller *caller, int64_t now_ms, struct tl_why *why);

/* Rises with each publication. */
uint64_t tl_registry_generation(const struct tl_registry *registry);

uint32_t tl_registry_org_count(const struct tl_registry *registry);

/* NULL when there is none. org_no from 1. */
const struct tl_org *tl_registry_org(const struct tl_registry *registry, uint32_t org_no);
const struct tl_org *tl_registry_org_named(
	const struct tl_registry *registry, struct tl_slice name);

const struct tl_member *tl_org_member(const struct tl_org *org, uint32_t member_no);
const struct tl_member *tl_org_member_by_id(const struct tl_org *org, const uint8_t id[16]);
const struct tl_agent *tl_org_agent(const struct tl_org *org, uint32_t agent_no);

/* The live enrolled agent of (member, type), else the one that appeared by itself; NULL: none. */
const struct tl_agent *tl_org_agent_of(
	const struct tl_org *org, uint32_t member_no, struct tl_slice type);

/* The member id an email has in this org. email is normalised. */
void tl_org_member_id(const struct tl_org *org, struct tl_slice email, uint8_t id_out[16]);

/* The credential behind a token (whole string, secret compared in constant time) or a key id
 * ("tally_ca_ab12cd34"); NULL when there is none. Whether it is still valid is the caller's to
 * ask: credential->revoked_ms. */
const struct tl_credential *tl_registry_credential(
	const struct tl_registry *registry, struct tl_slice token);
const struct tl_credential *tl_registry_key(
	const struct tl_registry *registry, struct tl_slice key_id);

/* All credentials of an org (0: of the installation), for lists: *cursor starts at 0. */
const struct tl_credential *tl_registry_credential_next(
	const struct tl_registry *registry, uint32_t org_no, size_t *cursor);

/* The sign-in, or the unused link, behind a secret; NULL when there is none. Whether it is still
 * live is the caller's to ask. */
const struct tl_signin *tl_registry_signin(
	const struct tl_registry *registry, struct tl_slice secret);

/* All of an org, ended ones included: *cursor starts at 0. */
const struct tl_signin *tl_registry_signin_next(
	const struct tl_registry *registry, uint32_t org_no, size_t *cursor);

/* signin was used at now_ms: its 8 hours begin anew. Any thread. */
void tl_registry_use_signin(
	const struct tl_registry *registry, const struct tl_signin *signin, int64_t now_ms);

/* Append a stored record as text, " name=value" each, without what is secret. */
TL_MUST enum tl_err tl_record_print(
	struct tl_slice key, struct tl_slice value, struct tl_buf *text, struct tl_why *why);

/* Editing: writer thread only. One edit at a time; begins from the newest snapshot. */
struct tl_edit;

TL_MUST enum tl_err tl_edit_begin(
	struct tl_roster *roster, struct tl_write *write, struct tl_edit **edit_out);

/* After the write was committed: publish what changed (nothing when nothing did). Frees. */
void tl_edit_publish(struct tl_edit *edit);

/* Instead, when the command was refused or the write failed. Frees. Rows already put stay in the
 * write: the caller resets it. NULL is fine. */
void tl_edit_discard(struct tl_edit *edit);

/* The state as edited so far; valid until the next edit call. The registry needs no unpin. */
const struct tl_registry *tl_edit_registry(struct tl_edit *edit);
const struct tl_org *tl_edit_org(struct tl_edit *edit, uint32_t org_no);
const struct tl_org *tl_edit_org_named(struct tl_edit *edit, struct tl_slice name);
const struct tl_credential *tl_edit_credential(struct tl_edit *edit, struct tl_slice token);
const struct tl_credential *tl_edit_key(struct tl_edit *edit, struct tl_slice key_id);

/* Each put copies the record (strings included), bumps nothing else, and adds its row to the
 * write. no == 0 makes a new record and reports its number. */
TL_MUST enum tl_err tl_edit_put_org(
	struct tl_edit *edit, const struct tl_org *org, uint32_t *no_out);
TL_MUST enum tl_err tl_edit_put_member(
	struct tl_edit *edit, uint32_t org_no, const struct tl_member *member, uint32_t *no_out);
TL_MUST enum tl_err tl_edit_put_agent(
	struct tl_edit *edit, uint32_t org_no, const struct tl_agent *agent, uint32_t *no_out);
TL_MUST enum tl_err tl_edit_put_credential(
	struct tl_edit *edit, const struct tl_credential *credential);

/* no == 0 takes a place at now_ms that is free. */
TL_MUST enum tl_err tl_edit_put_signin(
	struct tl_edit *edit, const struct tl_signin *signin, int64_t now_ms, uint32_t *no_out);

/* The sign-in ends: its secret is forgotten. */
TL_MUST enum tl_err tl_edit_end_signin(struct tl_edit *edit, const struct tl_signin *signin);

/* Rows of the sign-ins whose stored use is older than the last by age_ms or more; how many. */
uint32_t tl_edit_keep_signins(struct tl_edit *edit, int64_t age_ms);

/*
 * The member an event names, made (active, role member) when new, activated when pending or
 * removed. email may be empty; it is kept when the member has none. Fast when nothing changes.
 */
TL_MUST enum tl_err tl_edit_need_member(struct tl_edit *edit, uint32_t org_no, const uint8_t id[16],
	struct tl_slice email, int64_t now_ms, uint32_t *member_no_out);

/* The agent of (member, type) that events without a key belong to, made when new. */
TL_MUST enum tl_err tl_edit_need_agent(struct tl_edit *edit, uint32_t org_no, uint32_t member_no,
	struct tl_slice type, int64_t now_ms, uint32_t *agent_no_out);

/* True when a put or need changed something since begin. */
bool tl_edit_is_dirty(const struct tl_edit *edit);

#endif
