/*
 * Inside the registry folder: counted memory, records <-> bytes, and the private state an edit
 * builds. Nothing outside this folder includes it, apart from its tests.
 *
 * A published object never changes. Whoever keeps a pointer to one holds a count of it; an object
 * with a count of one belongs to whoever is building it, and only then may be changed.
 */
#ifndef TL_REGISTRY_REGISTRY_PRIVATE_H
#define TL_REGISTRY_REGISTRY_PRIVATE_H

#include "schema/base/hash.h"
#include "schema/registry/registry.h"

/* Bounds that only a flood of invented people reaches. */
#define TL_MEMBERS_MAX (1u << 20)
#define TL_AGENTS_MAX (1u << 22)
#define TL_SIGNINS_MAX (1u << 18)

/* Kinds of records: the second part of a registry key. */
enum tl_record_kind {
	TL_RECORD_ORG = 1, /* number 0 */
	TL_RECORD_MEMBER,
	TL_RECORD_AGENT,
	TL_RECORD_CREDENTIAL, /* dense per org; org 0: of the installation */
	TL_RECORD_SIGNIN,
};

/* Counted memory: zeroed, with a count of one; NULL when there is none. */
void *tl_shared_new(size_t bytes);
void tl_shared_hold(const void *object);

/* True when that was the last count: the caller lets go of what the object holds and frees it. */
bool tl_shared_drop(const void *object);
void tl_shared_free(const void *object);

/* True when nobody else holds it. */
bool tl_shared_is_own(const void *object);

/* Drop a record, whose strings lie in the same memory. NULL is fine. */
void tl_record_drop(const void *record);

/* Counted copies, strings included (NULL becomes ""). NULL: out of memory. */
struct tl_member *tl_member_copy(const struct tl_member *member);
struct tl_agent *tl_agent_copy(const struct tl_agent *agent);
struct tl_credential *tl_credential_copy(const struct tl_credential *credential);
struct tl_signin *tl_signin_copy(const struct tl_signin *signin);

/* The bytes of a record. */
void tl_org_encode(const struct tl_org *org, struct tl_buf *value);
void tl_member_encode(const struct tl_member *member, struct tl_buf *value);
void tl_agent_encode(const struct tl_agent *agent, struct tl_buf *value);
void tl_credential_encode(const struct tl_credential *credential, struct tl_buf *value);
void tl_signin_encode(const struct tl_signin *signin, struct tl_buf *value);

/* And back, into new counted records. TL_ESTORAGE_CORRUPT, TL_EFORMAT_TOO_NEW, TL_ENOMEM. */
TL_MUST enum tl_err tl_member_decode(
	struct tl_slice value, struct tl_member **member_out, struct tl_why *why);
TL_MUST enum tl_err tl_agent_decode(
	struct tl_slice value, struct tl_agent **agent_out, struct tl_why *why);
TL_MUST enum tl_err tl_credential_decode(
	struct tl_slice value, struct tl_credential **credential_out, struct tl_why *why);

/* org_no and no are the key's: the caller sets them. */
TL_MUST enum tl_err tl_signin_decode(
	struct tl_slice value, struct tl_signin **signin_out, struct tl_why *why);

/* org_out->name is name_text. */
TL_MUST enum tl_err tl_org_decode(struct tl_slice value, struct tl_org *org_out,
	char name_text[TL_NAME_BYTES_MAX + 1], struct tl_why *why);

/* An org with its people: what a tl_org handed out is the beginning of. */
struct tl_org_state {
	struct tl_org org; /* first; org.members and org.agents are the two arrays below */
	char name[TL_NAME_BYTES_MAX + 1];
	struct tl_hash_key
		hash_key; /* of the two indexes: strangers choose member ids and agent types */
	const struct tl_member **members;
	const struct tl_agent **agents;
	uint32_t member_capacity; /* a power of two or 0; an index has twice the slots */
	uint32_t agent_capacity;
	uint32_t *member_slots; /* by id: member no, 0 empty */
	uint32_t *agent_slots;	/* by (member, type): the no of the agent that stands for them */
};

/* A new org without people. */
TL_MUST enum tl_err tl_org_state_new(const struct tl_org *org, struct tl_org_state **state_out);

/* The same people in arrays of its own: costs the arrays, not the records. */
TL_MUST enum tl_err tl_org_state_clone(
	const struct tl_org_state *state, struct tl_org_state **clone_out);
void tl_org_state_drop(const struct tl_org_state *state);

/* Take over the settings of org; number and people stay. state is the caller's own. */
void tl_org_state_set(struct tl_org_state *state, const struct tl_org *org);

/*
 * Put a record at its number: the next free one, or one that exists and keeps its id (member) or
 * its member and type (agent). On success the state holds the record in the caller's place.
 */
TL_MUST enum tl_err tl_org_state_put_member(
	struct tl_org_state *state, const struct tl_member *member);
TL_MUST enum tl_err tl_org_state_put_agent(
	struct tl_org_state *state, const struct tl_agent *agent);

/* All credentials, indexed by key id. Those of one org stand in the order of their numbers. */
struct tl_credentials {
	struct tl_hash_key hash_key;
	const struct tl_credential **list;
	uint32_t *nos; /* the number of each in its org */
	uint32_t count;
	uint32_t capacity; /* a power of two or 0 */
	uint32_t *slots;   /* index in list + 1; twice the capacity */
};

struct tl_credentials *tl_credentials_new(void);
TL_MUST enum tl_err tl_credentials_clone(
	const struct tl_credentials *credentials, struct tl_credentials **clone_out);
void tl_credentials_drop(const struct tl_credentials *credentials);
const struct tl_credential *tl_credentials_find(
	const struct tl_credentials *credentials, struct tl_slice key_id);

/* Add, or replace the one with the same key id. *no_inout is its number in its org: 0 becomes the
 * next free one. On success the table holds the record in the caller's place. */
TL_MUST enum tl_err tl_credentials_put(struct tl_credentials *credentials,
	const struct tl_credential *credential, uint32_t *no_inout);

/* All sign-ins, sorted by hash. The records are shared: who may find one may note its use. */
struct tl_signins {
	struct tl_signin **list;
	uint32_t count;
	uint32_t capacity;
};

struct tl_signins *tl_signins_new(void);
TL_MUST enum tl_err tl_signins_clone(
	const struct tl_signins *signins, struct tl_signins **clone_out);
void tl_signins_drop(const struct tl_signins *signins);
struct tl_signin *tl_signins_find(const struct tl_signins *signins, struct tl_slice secret);

/* Add, or replace the one with the same number. On success the list holds the record. */
TL_MUST enum tl_err tl_signins_put(struct tl_signins *signins, struct tl_signin *signin);

/* A number for a new one: of one that ended, of the owner's oldest when there are too many, or the
 * next. */
uint32_t tl_signins_free_no(
	const struct tl_signins *signins, const struct tl_signin *wanted, int64_t now_ms);

struct tl_registry {
	uint64_t generation;
	struct tl_org_state **orgs; /* org no - 1 -> state */
	uint32_t org_count;
	uint32_t org_capacity;
	struct tl_credentials *credentials;
	struct tl_signins *signins;
};

/* An empty one of generation 0, and one that shares everything with registry. */
struct tl_registry *tl_registry_new(void);
TL_MUST enum tl_err tl_registry_clone(
	const struct tl_registry *registry, struct tl_registry **clone_out);
TL_MUST enum tl_err tl_registry_add_org(struct tl_registry *registry, struct tl_org_state *state);

/* The newest snapshot, for the writer thread, which needs no pin. */
struct tl_registry *tl_roster_current(struct tl_roster *roster);

/* Replace the current snapshot; registry's count is the roster's from here on. */
void tl_roster_publish(struct tl_roster *roster, struct tl_registry *registry);

/* The one edit, kept from one to the next so that beginning costs nothing. */
struct tl_edit {
	struct tl_roster *roster;
	struct tl_write *write;
	struct tl_registry *next; /* NULL until something changes */
	struct tl_buf value;
	bool is_open;
};

struct tl_edit *tl_roster_edit(struct tl_roster *roster);

#endif
