#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/base/crypt.h"
#include "schema/registry/apikey.h"
#include "tests/unit/registry_place.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Made apart from this program: base 62 of the bytes 00 01 .. 1f, CRC-32 by another library. */
static const struct {
	const char *token;
	const char *key_id;
} vectors[] = {
	{"tally_gw_ab12cd34_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_0iC99o",
		"tally_gw_ab12cd34"},
	{"tally_ca_ab12cd34_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_3FPtJo",
		"tally_ca_ab12cd34"},
	{"tally_pat_ab12cd34_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_46Jxis",
		"tally_pat_ab12cd34"},
	{"tally_svc_ab12cd34_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_1G4LqE",
		"tally_svc_ab12cd34"},
};

static void
known_tokens_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct tl_slice key_id;

		assert_true(tl_token_parse(tl_slice_str(vectors[i].token), &key_id));
		assert_true(tl_slice_eq(key_id, tl_slice_str(vectors[i].key_id)));
	}
}

static void
every_typo_in_one_character_is_noticed(void **state)
{
	const char *good = vectors[2].token;
	char text[TL_TOKEN_BYTES_MAX];
	struct tl_slice key_id;

	(void)state;
	for (size_t at = 0; at < strlen(good); at++) {
		for (int byte = 0; byte < 256; byte++) {
			strcpy(text, good);
			text[at] = (char)byte;
			if (byte == (uint8_t)good[at])
				continue;
			if (tl_token_parse(tl_slice_of(text, strlen(good)), &key_id))
				fail_msg("byte %d at %zu is taken", byte, at);
		}
	}
}

static void
a_token_has_one_length(void **state)
{
	const char *good = vectors[1].token;
	char longer[TL_TOKEN_BYTES_MAX];
	struct tl_slice key_id;

	(void)state;
	for (size_t bytes = 0; bytes < strlen(good); bytes++)
		assert_false(tl_token_parse(tl_slice_of(good, bytes), &key_id));
	snprintf(longer, sizeof(longer), "%s0", good);
	assert_false(tl_token_parse(tl_slice_str(longer), &key_id));
	assert_false(tl_token_parse(tl_slice_of(NULL, 0), &key_id));
	assert_false(tl_token_parse(tl_slice_str("tally_ca_ab12cd34"), &key_id));
}

static void
a_made_token_parses_and_matches_only_itself(void **state)
{
	static const enum tl_credential_type types[] = {TL_CREDENTIAL_GATEWAY, TL_CREDENTIAL_AGENT,
		TL_CREDENTIAL_PERSON, TL_CREDENTIAL_SERVICE};
	char before[TL_TOKEN_BYTES_MAX] = "";

	(void)state;
	for (size_t i = 0; i < 400; i++) {
		struct tl_credential credential = {0};
		char token[TL_TOKEN_BYTES_MAX];
		char head[32];
		struct tl_slice key_id;

		tl_token_make(types[i % 4], &credential, token);
		assert_int_equal(credential.type, types[i % 4]);
		snprintf(head, sizeof(head), "tally_%s_", tl_credential_type_tag(types[i % 4]));
		assert_memory_equal(token, head, strlen(head));
		assert_true(tl_token_parse(tl_slice_str(token), &key_id));
		assert_true(tl_slice_eq(key_id, tl_slice_str(credential.key_id)));
		assert_true(tl_token_matches(&credential, tl_slice_str(token)));
		assert_false(tl_token_matches(&credential, tl_slice_str(before)));
		assert_false(tl_token_matches(&credential, tl_slice_str(credential.key_id)));
		assert_string_not_equal(token, before);
		strcpy(before, token);
	}
}

static void
only_the_hash_of_the_whole_token_is_kept(void **state)
{
	struct tl_credential credential = {0};
	char token[TL_TOKEN_BYTES_MAX];
	uint8_t hash[32];

	(void)state;
	tl_token_make(TL_CREDENTIAL_AGENT, &credential, token);
	tl_sha256(tl_slice_str(token), hash);
	assert_memory_equal(hash, credential.hash, 32);
}

static void
types_have_words_and_tags(void **state)
{
	enum tl_credential_type type = TL_CREDENTIAL_GATEWAY;

	(void)state;
	assert_true(tl_credential_type_parse(tl_slice_str("service"), &type));
	assert_int_equal(type, TL_CREDENTIAL_SERVICE);
	assert_true(tl_credential_type_parse(tl_slice_str("personal"), &type));
	assert_int_equal(type, TL_CREDENTIAL_PERSON);
	assert_string_equal(tl_credential_type_word(TL_CREDENTIAL_AGENT), "agent");
	assert_string_equal(tl_credential_type_tag(TL_CREDENTIAL_PERSON), "pat");
	assert_false(tl_credential_type_parse(tl_slice_str("pat"), &type));
	assert_false(tl_credential_type_parse(tl_slice_str(""), &type));
}

#define P (1u << TL_RIGHT_PUSH)
#define W (1u << TL_RIGHT_PUSH_OWN)
#define I (1u << TL_RIGHT_IMPORT)
#define V (1u << TL_RIGHT_RESOLVE)
#define R (1u << TL_RIGHT_READ)
#define A (1u << TL_RIGHT_AUDIT)
#define M (1u << TL_RIGHT_MANAGE)
#define O (1u << TL_RIGHT_OPERATE)

static const struct {
	const char *name;
	struct tl_caller caller;
	unsigned rights;
} matrix[] = {
	{"the operator does everything", {.is_operator = true}, P | W | I | V | R | A | M | O},
	{"a gateway pushes and resolves", {.type = TL_CREDENTIAL_GATEWAY, .org_no = 1}, P | V},
	{"so does one of every org", {.type = TL_CREDENTIAL_GATEWAY}, P | V},
	{"an agent's key pushes what is its own",
		{.type = TL_CREDENTIAL_AGENT, .org_no = 1, .member_no = 1}, W},
	{"an admin manages, and never pushes",
		{.type = TL_CREDENTIAL_PERSON, .org_no = 1, .is_admin = true}, I | R | A | M},
	{"a member reads", {.type = TL_CREDENTIAL_PERSON, .org_no = 1, .member_no = 1}, R},
	{"a service reads and audits", {.type = TL_CREDENTIAL_SERVICE, .org_no = 1}, R | A},
	{"an admin flag on a service means nothing",
		{.type = TL_CREDENTIAL_SERVICE, .org_no = 1, .is_admin = true}, R | A},
	{"a person of no org does nothing", {.type = TL_CREDENTIAL_PERSON, .is_admin = true}, 0},
};

static void
rights_are_the_matrix(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(matrix); i++) {
		for (int right = TL_RIGHT_PUSH; right <= TL_RIGHT_OPERATE; right++) {
			enum tl_err wanted = matrix[i].rights & 1u << right ? TL_OK : TL_EFORBIDDEN;
			enum tl_err err =
				tl_authorise(&matrix[i].caller, (enum tl_right)right, NULL);

			if (err != wanted)
				fail_msg("%s: right %d: %s", matrix[i].name, right,
					tl_err_name(err));
		}
	}
}

/* Two orgs, people in the first, and a token of each kind. */
struct place {
	struct registry_place at;
	uint32_t org_no, other_no;
	uint32_t admin_no, member_no, removed_no;
	char token[TL_TOKEN_BYTES_MAX];
	struct tl_credential credential;
};

static uint32_t
put_member(struct tl_edit *edit, uint32_t org_no, uint8_t id, enum tl_role role,
	enum tl_member_state member_state)
{
	struct tl_member member = {
		.id = {id},
		.role = role,
		.state = member_state,
		.rate_cents = -1,
	};
	uint32_t no = 0;

	assert_int_equal(tl_edit_put_member(edit, org_no, &member, &no), TL_OK);
	return no;
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	place_open(&p->at);
	place_begin(&p->at);
	p->org_no = place_put_org(&p->at, "Acme", 0);
	p->other_no = place_put_org(&p->at, "Other", 0);
	p->admin_no = put_member(p->at.edit, p->org_no, 1, TL_ROLE_ADMIN, TL_MEMBER_ACTIVE);
	p->member_no = put_member(p->at.edit, p->org_no, 2, TL_ROLE_MEMBER, TL_MEMBER_ACTIVE);
	p->removed_no = put_member(p->at.edit, p->org_no, 3, TL_ROLE_ADMIN, TL_MEMBER_REMOVED);
	place_commit(&p->at);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	place_close(&p->at);
	free(p);
	return 0;
}

static void
put_token(struct place *p, struct tl_credential credential)
{

	tl_token_make(credential.type, &credential, p->token);
	p->credential = credential;
	place_begin(&p->at);
	assert_int_equal(tl_edit_put_credential(p->at.edit, &credential), TL_OK);
	place_commit(&p->at);
}

static enum tl_err
resolve(struct place *p, const char *token, const char *org, bool is_operator, int64_t now_ms,
	struct tl_caller *caller_out)
{
	struct tl_why why = {""};
	const struct tl_registry *registry = tl_registry_pin(p->at.roster);
	enum tl_err err = tl_caller_resolve(registry, tl_slice_str(token), tl_slice_str(org),
		is_operator, now_ms, caller_out, &why);

	tl_registry_unpin(registry);
	if (err == TL_EUNAUTHENTICATED)
		assert_string_equal(
			why.text, "the credential is missing, unknown, expired or revoked");
	return err;
}

static void
the_operator_chooses_an_org(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;

	assert_int_equal(resolve(p, "", "", true, 5, &caller), TL_OK);
	assert_true(caller.is_operator);
	assert_int_equal(caller.org_no, 0);
	assert_string_equal(caller.key_id, "operator");
	assert_int_equal(resolve(p, "", "Other", true, 5, &caller), TL_OK);
	assert_int_equal(caller.org_no, p->other_no);
	assert_int_equal(resolve(p, "", "Nobody", true, 5, &caller), TL_ENOT_FOUND);
}

static void
a_token_on_the_control_socket_is_only_that_token(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;

	put_token(p, (struct tl_credential){.type = TL_CREDENTIAL_SERVICE, .org_no = p->org_no});
	assert_int_equal(resolve(p, p->token, "", true, 5, &caller), TL_OK);
	assert_false(caller.is_operator);
	assert_int_equal(tl_authorise(&caller, TL_RIGHT_MANAGE, NULL), TL_EFORBIDDEN);
	assert_int_equal(
		resolve(p, "tally_svc_nonsense", "", true, 5, &caller), TL_EUNAUTHENTICATED);
}

static void
nobody_else_comes_without_a_token(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;

	assert_int_equal(resolve(p, "", "", false, 5, &caller), TL_EUNAUTHENTICATED);
	assert_int_equal(resolve(p, "", "Acme", false, 5, &caller), TL_EUNAUTHENTICATED);
	assert_int_equal(resolve(p, vectors[0].token, "", false, 5, &caller), TL_EUNAUTHENTICATED);
}

static void
a_key_id_is_no_token(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;

	put_token(p, (struct tl_credential){.type = TL_CREDENTIAL_GATEWAY, .org_no = p->org_no});
	assert_int_equal(
		resolve(p, p->credential.key_id, "", false, 5, &caller), TL_EUNAUTHENTICATED);
}

static void
the_right_id_with_another_secret_is_refused(void **state)
{
	struct place *p = *state;
	struct tl_credential stored = {
		.type = TL_CREDENTIAL_GATEWAY,
		.org_no = p->org_no,
		.key_id = "tally_gw_ab12cd34",
	};
	struct tl_caller caller;

	/* The token's own checksum is right, so the hash alone must refuse it. */
	place_begin(&p->at);
	assert_int_equal(tl_edit_put_credential(p->at.edit, &stored), TL_OK);
	place_commit(&p->at);
	assert_int_equal(resolve(p, vectors[0].token, "", false, 5, &caller), TL_EUNAUTHENTICATED);
}

static void
the_org_of_a_token_is_its_own(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;

	put_token(p, (struct tl_credential){.type = TL_CREDENTIAL_SERVICE, .org_no = p->other_no});
	assert_int_equal(resolve(p, p->token, "", false, 5, &caller), TL_OK);
	assert_int_equal(caller.org_no, p->other_no);
	assert_string_equal(caller.key_id, p->credential.key_id);
	assert_int_equal(resolve(p, p->token, "Other", false, 5, &caller), TL_OK);
	assert_int_equal(resolve(p, p->token, "Acme", false, 5, &caller), TL_ENOT_FOUND);
	assert_int_equal(resolve(p, p->token, "Nobody", false, 5, &caller), TL_ENOT_FOUND);
}

static void
a_gateway_of_every_org_has_none(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;

	put_token(p, (struct tl_credential){.type = TL_CREDENTIAL_GATEWAY});
	assert_int_equal(resolve(p, p->token, "", false, 5, &caller), TL_OK);
	assert_int_equal(caller.org_no, 0);
	assert_int_equal(tl_authorise(&caller, TL_RIGHT_PUSH, NULL), TL_OK);
	assert_int_equal(resolve(p, p->token, "Acme", false, 5, &caller), TL_ENOT_FOUND);
}

static void
a_token_ends_at_the_millisecond(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;

	put_token(
		p, (struct tl_credential){
			   .type = TL_CREDENTIAL_GATEWAY, .org_no = p->org_no, .revoked_ms = 1000});
	assert_int_equal(resolve(p, p->token, "", false, 999, &caller), TL_OK);
	assert_int_equal(resolve(p, p->token, "", false, 1000, &caller), TL_EUNAUTHENTICATED);
}

static void
what_a_person_may_follows_the_member(void **state)
{
	struct place *p = *state;
	struct tl_caller caller;
	struct tl_credential token = {.type = TL_CREDENTIAL_PERSON, .org_no = p->org_no};

	token.member_no = p->admin_no;
	put_token(p, token);
	assert_int_equal(resolve(p, p->token, "", false, 5, &caller), TL_OK);
	assert_true(caller.is_admin);
	assert_int_equal(caller.member_no, p->admin_no);

	/* The member's role counts, not what the token says. */
	token.member_no = p->member_no;
	token.is_admin = true;
	put_token(p, token);
	assert_int_equal(resolve(p, p->token, "", false, 5, &caller), TL_OK);
	assert_false(caller.is_admin);

	token.member_no = p->removed_no;
	put_token(p, token);
	assert_int_equal(resolve(p, p->token, "", false, 5, &caller), TL_EUNAUTHENTICATED);

	token.member_no = 0;
	put_token(p, token);
	assert_int_equal(resolve(p, p->token, "", false, 5, &caller), TL_OK);
	assert_true(caller.is_admin);
}

static int
init_crypt(void **state)
{
	(void)state;
	return tl_crypt_init() == TL_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_tokens_are_read),
		cmocka_unit_test(every_typo_in_one_character_is_noticed),
		cmocka_unit_test(a_token_has_one_length),
		cmocka_unit_test(a_made_token_parses_and_matches_only_itself),
		cmocka_unit_test(only_the_hash_of_the_whole_token_is_kept),
		cmocka_unit_test(types_have_words_and_tags),
		cmocka_unit_test(rights_are_the_matrix),
		cmocka_unit_test_setup_teardown(the_operator_chooses_an_org, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_token_on_the_control_socket_is_only_that_token, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nobody_else_comes_without_a_token, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_id_is_no_token, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_right_id_with_another_secret_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_org_of_a_token_is_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_gateway_of_every_org_has_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_token_ends_at_the_millisecond, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_a_person_may_follows_the_member, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, init_crypt, NULL);
}
