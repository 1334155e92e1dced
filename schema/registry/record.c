/*
 * Records <-> bytes. A value is its version (1), then the fields in the order below: varints,
 * zigzag varints for what may be negative, flags in one byte, texts as varint length and bytes.
 *
 * In memory a record is one counted allocation: the struct, then its strings with their NULs.
 */
#include "schema/registry/registry_private.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#define RECORD_VERSION 1

#define ORG_ONE_AGENT 1u
#define ORG_PEERS_VISIBLE 2u
#define ORG_GITHUB 4u
#define AGENT_ENROLLED 1u
#define AGENT_LIVE 2u
#define AGENT_COMPRESSION 4u
#define CREDENTIAL_ADMIN 1u
#define SIGNIN_ADMIN 1u
#define SIGNIN_LINK 2u

/* Before each counted object; its size keeps what follows aligned for anything. */
struct shared {
	_Alignas(max_align_t) _Atomic uint32_t count;
};

static struct shared *
shared_of(const void *object)
{
	return (struct shared *)((uintptr_t)object - sizeof(struct shared));
}

void *
tl_shared_new(size_t bytes)
{
	struct shared *shared = calloc(1, sizeof(*shared) + bytes);

	if (!shared)
		return NULL;
	atomic_init(&shared->count, 1);
	return shared + 1;
}

void
tl_shared_hold(const void *object)
{
	atomic_fetch_add_explicit(&shared_of(object)->count, 1, memory_order_relaxed);
}

bool
tl_shared_drop(const void *object)
{
	return atomic_fetch_sub_explicit(&shared_of(object)->count, 1, memory_order_acq_rel) == 1;
}

void
tl_shared_free(const void *object)
{
	free(shared_of(object));
}

bool
tl_shared_is_own(const void *object)
{
	return atomic_load_explicit(&shared_of(object)->count, memory_order_acquire) == 1;
}

void
tl_record_drop(const void *record)
{
	if (record && tl_shared_drop(record))
		tl_shared_free(record);
}

/* A string into the room behind a record. */
static const char *
room_put(char **room, struct tl_slice text)
{
	char *at = *room;

	if (text.bytes > 0)
		memcpy(at, text.data, text.bytes);
	at[text.bytes] = '\0';
	*room += text.bytes + 1;
	return at;
}

static struct tl_slice
text_of(const char *text)
{
	return tl_slice_str(text ? text : "");
}

/* The strings of a record, from wherever they are to the room behind it. */
struct member_texts {
	struct tl_slice email, display_name, email_enc;
};

static struct tl_member *
member_new(const struct tl_member *fields, const struct member_texts *texts)
{
	struct tl_member *member =
		tl_shared_new(sizeof(*member) + texts->email.bytes + texts->display_name.bytes +
			      texts->email_enc.bytes + 3);
	char *room;

	if (!member)
		return NULL;
	room = (char *)(member + 1);
	*member = *fields;
	member->email = room_put(&room, texts->email);
	member->display_name = room_put(&room, texts->display_name);
	member->email_enc = tl_slice_of(room_put(&room, texts->email_enc), texts->email_enc.bytes);
	return member;
}

struct tl_member *
tl_member_copy(const struct tl_member *member)
{
	struct member_texts texts = {
		.email = text_of(member->email),
		.display_name = text_of(member->display_name),
		.email_enc = member->email_enc,
	};

	return member_new(member, &texts);
}

static struct tl_agent *
agent_new(const struct tl_agent *fields, struct tl_slice type)
{
	struct tl_agent *agent = tl_shared_new(sizeof(*agent) + type.bytes + 1);
	char *room;

	if (!agent)
		return NULL;
	room = (char *)(agent + 1);
	*agent = *fields;
	agent->type = room_put(&room, type);
	return agent;
}

struct tl_agent *
tl_agent_copy(const struct tl_agent *agent)
{
	return agent_new(agent, text_of(agent->type));
}

static struct tl_credential *
credential_new(const struct tl_credential *fields, struct tl_slice name)
{
	struct tl_credential *credential = tl_shared_new(sizeof(*credential) + name.bytes + 1);
	char *room;

	if (!credential)
		return NULL;
	room = (char *)(credential + 1);
	*credential = *fields;
	credential->name = room_put(&room, name);
	return credential;
}

struct tl_credential *
tl_credential_copy(const struct tl_credential *credential)
{
	return credential_new(credential, text_of(credential->name));
}

static void
put_text(struct tl_buf *value, struct tl_slice text)
{
	tl_buf_put_varint(value, text.bytes);
	tl_buf_put_slice(value, text);
}

/* A text that becomes a string, so without NUL and within its bound; else the cursor fails. */
static struct tl_slice
take_text(struct tl_cursor *cur, size_t bytes_max)
{
	uint64_t bytes = tl_cursor_varint(cur);
	struct tl_slice text;

	if (bytes > bytes_max) {
		cur->err = TL_ESTORAGE_CORRUPT;
		return tl_slice_of(NULL, 0);
	}
	text = tl_cursor_take(cur, (size_t)bytes);
	if (text.bytes > 0 && memchr(text.data, '\0', text.bytes)) {
		cur->err = TL_ESTORAGE_CORRUPT;
		return tl_slice_of(NULL, 0);
	}
	return text;
}

/* A varint that fits 32 bits. */
static uint32_t
take_no(struct tl_cursor *cur)
{
	uint64_t value = tl_cursor_varint(cur);

	if (value > UINT32_MAX) {
		cur->err = TL_ESTORAGE_CORRUPT;
		return 0;
	}
	return (uint32_t)value;
}

/* A byte below end: an enum or a set of flags. */
static uint8_t
take_below(struct tl_cursor *cur, unsigned end)
{
	uint8_t value = tl_cursor_u8(cur);

	if (value >= end) {
		cur->err = TL_ESTORAGE_CORRUPT;
		return 0;
	}
	return value;
}

static void
take_bytes(struct tl_cursor *cur, uint8_t *out, size_t bytes)
{
	struct tl_slice taken = tl_cursor_take(cur, bytes);

	if (taken.bytes == bytes)
		memcpy(out, taken.data, bytes);
}

static enum tl_err
take_version(struct tl_cursor *cur, const char *what, struct tl_why *why)
{
	uint8_t version = tl_cursor_u8(cur);

	if (version > RECORD_VERSION)
		return tl_fail(why, TL_EFORMAT_TOO_NEW, "%s record of version %u", what, version);
	if (version != RECORD_VERSION)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "%s record without a version", what);
	return TL_OK;
}

static enum tl_err
check_end(const struct tl_cursor *cur, const char *what, struct tl_why *why)
{
	if (cur->err || tl_cursor_left(cur) > 0)
		return tl_fail(why, TL_ESTORAGE_CORRUPT, "%s record is damaged", what);
	return TL_OK;
}

void
tl_org_encode(const struct tl_org *org, struct tl_buf *value)
{
	unsigned flags = (org->one_agent_per_member ? ORG_ONE_AGENT : 0) |
			 (org->peers_visible ? ORG_PEERS_VISIBLE : 0) |
			 (org->github_connected ? ORG_GITHUB : 0);

	tl_buf_put_u8(value, RECORD_VERSION);
	tl_buf_put(value, org->secret, sizeof(org->secret));
	tl_buf_put_u8(value, (uint8_t)flags);
	tl_buf_put_varint(value, (uint64_t)org->seats);
	tl_buf_put_zigzag(value, org->created_ms);
	put_text(value, tl_slice_str(org->name));
	put_text(value, tl_slice_str(tl_zone_name(org->zone)));
}

enum tl_err
tl_org_decode(struct tl_slice value, struct tl_org *org_out, char name_text[TL_NAME_BYTES_MAX + 1],
	struct tl_why *why)
{
	struct tl_cursor cur = tl_cursor_of(value);
	struct tl_org org = {0};
	struct tl_slice name, zone;
	unsigned flags;
	enum tl_err err;

	err = take_version(&cur, "org", why);
	if (err)
		return err;
	take_bytes(&cur, org.secret, sizeof(org.secret));
	flags = take_below(&cur, ORG_GITHUB << 1);
	org.one_agent_per_member = (flags & ORG_ONE_AGENT) != 0;
	org.peers_visible = (flags & ORG_PEERS_VISIBLE) != 0;
	org.github_connected = (flags & ORG_GITHUB) != 0;
	org.seats = (int64_t)tl_cursor_varint(&cur);
	org.created_ms = tl_cursor_zigzag(&cur);
	name = take_text(&cur, TL_NAME_BYTES_MAX);
	zone = take_text(&cur, TL_ZONE_NAME_BYTES);
	if (org.seats < 0)
		cur.err = TL_ESTORAGE_CORRUPT;
	err = check_end(&cur, "org", why);
	if (err)
		return err;
	err = tl_zone_get(zone, &org.zone, why);
	if (err)
		return err;
	org.name = room_put(&name_text, name);
	*org_out = org;
	return TL_OK;
}

void
tl_member_encode(const struct tl_member *member, struct tl_buf *value)
{
	tl_buf_put_u8(value, RECORD_VERSION);
	tl_buf_put(value, member->id, sizeof(member->id));
	tl_buf_put_u8(value, (uint8_t)member->role);
	tl_buf_put_u8(value, (uint8_t)member->state);
	tl_buf_put_zigzag(value, member->rate_cents);
	tl_buf_put_zigzag(value, member->created_ms);
	tl_buf_put_zigzag(value, member->invitation_ends_ms);
	put_text(value, tl_slice_str(member->invitation));
	put_text(value, tl_slice_str(member->email));
	put_text(value, tl_slice_str(member->display_name));
	put_text(value, member->email_enc);
}

enum tl_err
tl_member_decode(struct tl_slice value, struct tl_member **member_out, struct tl_why *why)
{
	struct tl_cursor cur = tl_cursor_of(value);
	struct tl_member fields = {0};
	struct member_texts texts;
	struct tl_slice invitation;
	struct tl_member *member;
	uint64_t email_enc_bytes;
	enum tl_err err;

	err = take_version(&cur, "member", why);
	if (err)
		return err;
	take_bytes(&cur, fields.id, sizeof(fields.id));
	fields.role = take_below(&cur, TL_ROLE_ADMIN + 1);
	fields.state = take_below(&cur, TL_MEMBER_REMOVED + 1);
	fields.rate_cents = tl_cursor_zigzag(&cur);
	fields.created_ms = tl_cursor_zigzag(&cur);
	fields.invitation_ends_ms = tl_cursor_zigzag(&cur);
	invitation = take_text(&cur, sizeof(fields.invitation) - 1);
	texts.email = take_text(&cur, TL_EMAIL_BYTES_MAX);
	texts.display_name = take_text(&cur, TL_NAME_BYTES_MAX);
	/* msgpack, where a NUL byte means nothing. */
	email_enc_bytes = tl_cursor_varint(&cur);
	if (email_enc_bytes > TL_EMAIL_ENC_BYTES_MAX)
		cur.err = TL_ESTORAGE_CORRUPT;
	texts.email_enc = tl_cursor_take(&cur, cur.err ? 0 : (size_t)email_enc_bytes);
	err = check_end(&cur, "member", why);
	if (err)
		return err;
	memcpy(fields.invitation, invitation.data, invitation.bytes);
	member = member_new(&fields, &texts);
	if (!member)
		return TL_ENOMEM;
	*member_out = member;
	return TL_OK;
}

void
tl_agent_encode(const struct tl_agent *agent, struct tl_buf *value)
{
	unsigned flags = (agent->enrolled ? AGENT_ENROLLED : 0) | (agent->live ? AGENT_LIVE : 0) |
			 (agent->compression ? AGENT_COMPRESSION : 0);

	tl_buf_put_u8(value, RECORD_VERSION);
	tl_buf_put_varint(value, agent->member_no);
	tl_buf_put_u8(value, (uint8_t)flags);
	tl_buf_put_zigzag(value, agent->debug_until_ms);
	tl_buf_put_zigzag(value, agent->created_ms);
	tl_buf_put_zigzag(value, agent->ended_ms);
	put_text(value, tl_slice_str(agent->type));
}

enum tl_err
tl_agent_decode(struct tl_slice value, struct tl_agent **agent_out, struct tl_why *why)
{
	struct tl_cursor cur = tl_cursor_of(value);
	struct tl_agent fields = {0};
	struct tl_slice type;
	struct tl_agent *agent;
	unsigned flags;
	enum tl_err err;

	err = take_version(&cur, "agent", why);
	if (err)
		return err;
	fields.member_no = take_no(&cur);
	flags = take_below(&cur, AGENT_COMPRESSION << 1);
	fields.enrolled = (flags & AGENT_ENROLLED) != 0;
	fields.live = (flags & AGENT_LIVE) != 0;
	fields.compression = (flags & AGENT_COMPRESSION) != 0;
	fields.debug_until_ms = tl_cursor_zigzag(&cur);
	fields.created_ms = tl_cursor_zigzag(&cur);
	fields.ended_ms = tl_cursor_zigzag(&cur);
	type = take_text(&cur, TL_AGENT_TYPE_BYTES_MAX);
	err = check_end(&cur, "agent", why);
	if (err)
		return err;
	agent = agent_new(&fields, type);
	if (!agent)
		return TL_ENOMEM;
	*agent_out = agent;
	return TL_OK;
}

void
tl_credential_encode(const struct tl_credential *credential, struct tl_buf *value)
{
	tl_buf_put_u8(value, RECORD_VERSION);
	tl_buf_put_u8(value, (uint8_t)credential->type);
	tl_buf_put_u8(value, credential->is_admin ? CREDENTIAL_ADMIN : 0);
	tl_buf_put(value, credential->hash, sizeof(credential->hash));
	tl_buf_put_varint(value, credential->member_no);
	tl_buf_put_varint(value, credential->agent_no);
	tl_buf_put_zigzag(value, credential->created_ms);
	tl_buf_put_zigzag(value, credential->revoked_ms);
	put_text(value, tl_slice_str(credential->key_id));
	put_text(value, text_of(credential->name));
}

enum tl_err
tl_credential_decode(
	struct tl_slice value, struct tl_credential **credential_out, struct tl_why *why)
{
	struct tl_cursor cur = tl_cursor_of(value);
	struct tl_credential fields = {0};
	struct tl_slice key_id, name;
	struct tl_credential *credential;
	enum tl_err err;

	err = take_version(&cur, "credential", why);
	if (err)
		return err;
	fields.type = take_below(&cur, TL_CREDENTIAL_SERVICE + 1);
	fields.is_admin = take_below(&cur, CREDENTIAL_ADMIN << 1) != 0;
	take_bytes(&cur, fields.hash, sizeof(fields.hash));
	fields.member_no = take_no(&cur);
	fields.agent_no = take_no(&cur);
	fields.created_ms = tl_cursor_zigzag(&cur);
	fields.revoked_ms = tl_cursor_zigzag(&cur);
	key_id = take_text(&cur, sizeof(fields.key_id) - 1);
	name = take_text(&cur, TL_NAME_BYTES_MAX);
	err = check_end(&cur, "credential", why);
	if (err)
		return err;
	memcpy(fields.key_id, key_id.data, key_id.bytes);
	credential = credential_new(&fields, name);
	if (!credential)
		return TL_ENOMEM;
	*credential_out = credential;
	return TL_OK;
}

void
tl_signin_encode(const struct tl_signin *signin, struct tl_buf *value)
{
	unsigned flags =
		(signin->is_admin ? SIGNIN_ADMIN : 0) | (signin->is_link ? SIGNIN_LINK : 0);

	tl_buf_put_u8(value, RECORD_VERSION);
	tl_buf_put_u8(value, (uint8_t)flags);
	tl_buf_put(value, signin->hash, sizeof(signin->hash));
	tl_buf_put_varint(value, signin->member_no);
	tl_buf_put_zigzag(value, signin->created_ms);
	tl_buf_put_zigzag(value, signin->ends_ms);
	tl_buf_put_zigzag(value, atomic_load(&signin->used_ms));
	put_text(value, tl_slice_str(signin->key_id));
}

enum tl_err
tl_signin_decode(struct tl_slice value, struct tl_signin **signin_out, struct tl_why *why)
{
	struct tl_cursor cur = tl_cursor_of(value);
	struct tl_signin fields = {0};
	struct tl_signin *signin;
	struct tl_slice key_id;
	unsigned flags;
	enum tl_err err;

	err = take_version(&cur, "sign-in", why);
	if (err)
		return err;
	flags = take_below(&cur, SIGNIN_LINK << 1);
	fields.is_admin = (flags & SIGNIN_ADMIN) != 0;
	fields.is_link = (flags & SIGNIN_LINK) != 0;
	take_bytes(&cur, fields.hash, sizeof(fields.hash));
	fields.member_no = take_no(&cur);
	fields.created_ms = tl_cursor_zigzag(&cur);
	fields.ends_ms = tl_cursor_zigzag(&cur);
	atomic_init(&fields.used_ms, tl_cursor_zigzag(&cur));
	key_id = take_text(&cur, sizeof(fields.key_id) - 1);
	err = check_end(&cur, "sign-in", why);
	if (err)
		return err;
	memcpy(fields.key_id, key_id.data, key_id.bytes);
	signin = tl_signin_copy(&fields);
	if (!signin)
		return TL_ENOMEM;
	*signin_out = signin;
	return TL_OK;
}
