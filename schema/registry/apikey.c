/*
 * tally_ca_ab12cd34_<43>_<6>
 * '------ key id --' '-- secret'
 * '-- what the checksum covers --'
 *
 * 43 digits of base 62 hold any 256-bit number, 6 any 32-bit one, 8 a number below 2^47; all are
 * written at full width, so every token of a type has the same length.
 */
#include "schema/registry/apikey.h"

#include <assert.h>
#include <stdio.h>

#include "schema/base/crypt.h"
#include "schema/registry/registry.h"

#define PREFIX "tally_"
#define PREFIX_BYTES (sizeof(PREFIX) - 1)
#define ID_DIGITS 8
#define SECRET_BYTES 32
#define SECRET_DIGITS 43
#define CHECK_DIGITS 6
#define DIGITS 62u

/* One text for missing, unknown, revoked and removed: a guesser must not learn which. */
#define UNAUTHENTICATED "the credential is missing, unknown, expired or revoked"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const struct {
	const char *tag;
	const char *word;
} types[] = {
	[TL_CREDENTIAL_GATEWAY] = {"gw", "gateway"},
	[TL_CREDENTIAL_AGENT] = {"ca", "agent"},
	[TL_CREDENTIAL_PERSON] = {"pat", "personal"},
	[TL_CREDENTIAL_SERVICE] = {"svc", "service"},
};

#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

const char *
tl_credential_type_tag(enum tl_credential_type type)
{
	assert(type < TYPE_COUNT);
	return types[type].tag;
}

const char *
tl_credential_type_word(enum tl_credential_type type)
{
	assert(type < TYPE_COUNT);
	return types[type].word;
}

bool
tl_credential_type_parse(struct tl_slice word, enum tl_credential_type *type_out)
{
	for (size_t i = 0; i < TYPE_COUNT; i++) {
		if (tl_slice_eq(word, tl_slice_str(types[i].word))) {
			*type_out = (enum tl_credential_type)i;
			return true;
		}
	}
	return false;
}

/* The lowest digit_count digits of value, without a terminator. */
static void
put_number(uint64_t value, size_t digit_count, char *text_out)
{
	for (size_t i = digit_count; i > 0; i--) {
		text_out[i - 1] = digits[value % DIGITS];
		value /= DIGITS;
	}
}

/* The big-endian number in secret: long division by 62, a digit a round. secret is used up. */
static void
put_secret(uint8_t secret[SECRET_BYTES], char text_out[SECRET_DIGITS])
{
	for (size_t i = SECRET_DIGITS; i > 0; i--) {
		uint32_t rest = 0;

		for (size_t at = 0; at < SECRET_BYTES; at++) {
			uint32_t value = rest << 8 | secret[at];

			secret[at] = (uint8_t)(value / DIGITS);
			rest = value % DIGITS;
		}
		text_out[i - 1] = digits[rest];
	}
}

void
tl_key_id_make(const char *tag, uint64_t number, char key_id_out[TL_KEY_ID_BYTES])
{
	char id_text[ID_DIGITS];

	put_number(number, ID_DIGITS, id_text);
	snprintf(key_id_out, TL_KEY_ID_BYTES, PREFIX "%.3s_%.*s", tag, ID_DIGITS, id_text);
}

void
tl_token_make(enum tl_credential_type type, struct tl_credential *credential,
	char token_out[TL_TOKEN_BYTES_MAX])
{
	uint8_t secret[SECRET_BYTES];
	char secret_text[SECRET_DIGITS];
	char check_text[CHECK_DIGITS];
	uint64_t id;
	int bytes;

	assert(type < TYPE_COUNT);
	tl_random(&id, sizeof(id));
	tl_random(secret, sizeof(secret));
	put_secret(secret, secret_text);
	tl_key_id_make(types[type].tag, id, credential->key_id);
	bytes = snprintf(token_out, TL_TOKEN_BYTES_MAX, "%s_%.*s", credential->key_id,
		SECRET_DIGITS, secret_text);
	put_number(tl_crc32(tl_slice_of(token_out, (size_t)bytes)), CHECK_DIGITS, check_text);
	bytes += snprintf(token_out + bytes, TL_TOKEN_BYTES_MAX - (size_t)bytes, "_%.*s",
		CHECK_DIGITS, check_text);
	assert(bytes < TL_TOKEN_BYTES_MAX);
	credential->type = type;
	tl_sha256(tl_slice_of(token_out, (size_t)bytes), credential->hash);
}

/* The bytes of "tally_<tag>_" when text begins with one of ours, else 0. */
static size_t
head_bytes(struct tl_slice text)
{
	for (size_t i = 0; i < TYPE_COUNT; i++) {
		size_t tag_bytes = strlen(types[i].tag);
		size_t bytes = PREFIX_BYTES + tag_bytes + 1;

		if (text.bytes >= bytes && memcmp(text.data, PREFIX, PREFIX_BYTES) == 0 &&
			memcmp(text.data + PREFIX_BYTES, types[i].tag, tag_bytes) == 0 &&
			text.data[bytes - 1] == '_')
			return bytes;
	}
	return 0;
}

static bool
are_digits(const uint8_t *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\0' || !strchr(digits, text[i]))
			return false;
	}
	return true;
}

bool
tl_token_parse(struct tl_slice token, struct tl_slice *key_id_out)
{
	size_t id_at = head_bytes(token);
	size_t secret_at = id_at + ID_DIGITS + 1;
	size_t check_at = secret_at + SECRET_DIGITS + 1;
	char check_text[CHECK_DIGITS];

	if (id_at == 0 || token.bytes != check_at + CHECK_DIGITS)
		return false;
	if (token.data[secret_at - 1] != '_' || token.data[check_at - 1] != '_')
		return false;
	if (!are_digits(token.data + id_at, ID_DIGITS) ||
		!are_digits(token.data + secret_at, SECRET_DIGITS))
		return false;
	put_number(tl_crc32(tl_slice_of(token.data, check_at - 1)), CHECK_DIGITS, check_text);
	if (memcmp(token.data + check_at, check_text, CHECK_DIGITS) != 0)
		return false;
	*key_id_out = tl_slice_of(token.data, secret_at - 1);
	return true;
}

bool
tl_token_matches(const struct tl_credential *credential, struct tl_slice token)
{
	uint8_t hash[sizeof(credential->hash)];

	if (token.bytes == 0 || token.bytes >= TL_TOKEN_BYTES_MAX)
		return false;
	tl_sha256(token, hash);
	return tl_equal_secret(hash, credential->hash, sizeof(hash));
}

static enum tl_err
resolve_operator(const struct tl_registry *registry, struct tl_slice org_name,
	struct tl_caller *caller_out, struct tl_why *why)
{
	struct tl_caller caller = {
		.is_operator = true,
		.type = TL_CREDENTIAL_PERSON,
		.is_admin = true,
		.key_id = "operator",
	};

	if (org_name.bytes > 0) {
		const struct tl_org *org = tl_registry_org_named(registry, org_name);

		if (!org)
			return tl_fail(why, TL_ENOT_FOUND, "org: no such org");
		caller.org_no = org->no;
	}
	*caller_out = caller;
	return TL_OK;
}

/* False when the person's member is off the team: the credential is as good as revoked. */
static bool
read_member(const struct tl_registry *registry, struct tl_caller *caller)
{
	const struct tl_org *org = tl_registry_org(registry, caller->org_no);
	const struct tl_member *member;

	if (caller->member_no == 0)
		return true;
	member = org ? tl_org_member(org, caller->member_no) : NULL;
	if (!member || member->state == TL_MEMBER_REMOVED)
		return false;
	caller->is_admin = member->role == TL_ROLE_ADMIN;
	return true;
}

static bool
is_valid(const struct tl_credential *credential, int64_t now_ms)
{
	return credential && (credential->revoked_ms == 0 || now_ms < credential->revoked_ms);
}

/* False when it has ended, or the token that began it has. */
static bool
resolve_signin(const struct tl_registry *registry, const struct tl_signin *signin, int64_t now_ms,
	struct tl_caller *caller)
{
	if (signin->is_link || !tl_signin_is_live(signin, now_ms))
		return false;
	if (signin->key_id[0] != '\0' &&
		!is_valid(tl_registry_key(registry, tl_slice_str(signin->key_id)), now_ms))
		return false;
	caller->type = TL_CREDENTIAL_PERSON;
	caller->is_signin = true;
	caller->org_no = signin->org_no;
	caller->member_no = signin->member_no;
	caller->is_admin = signin->is_admin;
	tl_signin_id(signin, caller->key_id);
	if (!read_member(registry, caller))
		return false;
	tl_registry_use_signin(registry, signin, now_ms);
	return true;
}

static bool
resolve_token(const struct tl_registry *registry, const struct tl_credential *credential,
	int64_t now_ms, struct tl_caller *caller)
{
	if (!is_valid(credential, now_ms))
		return false;
	caller->type = credential->type;
	caller->org_no = credential->org_no;
	caller->member_no = credential->member_no;
	caller->is_admin = credential->is_admin;
	memcpy(caller->key_id, credential->key_id, sizeof(caller->key_id));
	return credential->type != TL_CREDENTIAL_PERSON || read_member(registry, caller);
}

enum tl_err
tl_caller_resolve(const struct tl_registry *registry, struct tl_slice token,
	struct tl_slice org_name, bool is_operator, int64_t now_ms, struct tl_caller *caller_out,
	struct tl_why *why)
{
	const struct tl_signin *signin;
	const struct tl_org *org;
	struct tl_caller caller = {0};
	bool is_known;

	/* A token says who is asking, on the control socket as elsewhere. */
	if (is_operator && token.bytes == 0)
		return resolve_operator(registry, org_name, caller_out, why);
	signin = tl_registry_signin(registry, token);
	is_known = signin ? resolve_signin(registry, signin, now_ms, &caller)
			  : resolve_token(registry, tl_registry_credential(registry, token), now_ms,
				    &caller);
	if (!is_known)
		return tl_fail(why, TL_EUNAUTHENTICATED, UNAUTHENTICATED);
	if (org_name.bytes > 0) {
		/* A foreign org and one that does not exist are the same to the caller. */
		org = tl_registry_org(registry, caller.org_no);
		if (!org || !tl_slice_eq(org_name, tl_slice_str(org->name)))
			return tl_fail(why, TL_ENOT_FOUND, "org: no such org");
	}
	*caller_out = caller;
	return TL_OK;
}

static bool
person_may(const struct tl_caller *caller, enum tl_right right)
{
	switch (right) {
	case TL_RIGHT_READ:
		return true;
	case TL_RIGHT_IMPORT:
		return caller->is_admin && !caller->is_signin;
	case TL_RIGHT_AUDIT:
	case TL_RIGHT_MANAGE:
		return caller->is_admin;
	case TL_RIGHT_PUSH:
	case TL_RIGHT_PUSH_OWN:
	case TL_RIGHT_RESOLVE:
	case TL_RIGHT_OPERATE:
		return false;
	}
	return false;
}

static bool
may(const struct tl_caller *caller, enum tl_right right)
{
	if (caller->is_operator)
		return true;
	/* A credential of every org carries usage; figures and settings belong to one org. */
	if (caller->org_no == 0 && right != TL_RIGHT_PUSH && right != TL_RIGHT_RESOLVE)
		return false;
	switch (caller->type) {
	case TL_CREDENTIAL_GATEWAY:
		return right == TL_RIGHT_PUSH || right == TL_RIGHT_RESOLVE;
	case TL_CREDENTIAL_AGENT:
		return right == TL_RIGHT_PUSH_OWN;
	case TL_CREDENTIAL_PERSON:
		return person_may(caller, right);
	case TL_CREDENTIAL_SERVICE:
		return right == TL_RIGHT_READ || right == TL_RIGHT_AUDIT;
	}
	return false;
}

enum tl_err
tl_authorise(const struct tl_caller *caller, enum tl_right right, struct tl_why *why)
{
	if (may(caller, right))
		return TL_OK;
	return tl_fail(why, TL_EFORBIDDEN, "this credential may not do that");
}
