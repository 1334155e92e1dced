#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/store/key.h"
#include "tests/unit/registry_place.h"

/* 2026-11-21T10:00:00Z */
#define NOW_MS 1795255200000LL
#define SIGNIN_KIND 5

/* A store with two orgs, a member in the first, and a personal token of theirs. */
struct place {
	struct registry_place at;
	uint32_t member_no;
	struct tl_credential token;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct tl_member member = {
		.id = {1}, .state = TL_MEMBER_ACTIVE, .role = TL_ROLE_ADMIN, .created_ms = NOW_MS};
	char token[TL_TOKEN_BYTES_MAX];

	assert_non_null(p);
	place_open(&p->at);
	place_begin(&p->at);
	place_put_org(&p->at, "acme", NOW_MS);
	place_put_org(&p->at, "other", NOW_MS);
	assert_int_equal(tl_edit_put_member(p->at.edit, 1, &member, &p->member_no), TL_OK);
	p->token = (struct tl_credential){.org_no = 1, .member_no = p->member_no};
	tl_token_make(TL_CREDENTIAL_PERSON, &p->token, token);
	assert_int_equal(tl_edit_put_credential(p->at.edit, &p->token), TL_OK);
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

static uint32_t
put(struct place *p, uint32_t org_no, const char *key_id, uint32_t member_no, int64_t now_ms,
	char secret_out[TL_SIGNIN_SECRET_BYTES])
{
	struct tl_signin signin = {
		.org_no = org_no,
		.member_no = member_no,
		.created_ms = now_ms,
		.ends_ms = now_ms + TL_SIGNIN_LIFE_MS,
		.used_ms = now_ms,
	};
	uint32_t no = 0;

	snprintf(signin.key_id, sizeof(signin.key_id), "%s", key_id);
	tl_signin_make(&signin, secret_out);
	place_begin(&p->at);
	assert_int_equal(tl_edit_put_signin(p->at.edit, &signin, now_ms, &no), TL_OK);
	place_commit(&p->at);
	return no;
}

static enum tl_err
resolve(struct place *p, const char *secret, int64_t now_ms, struct tl_caller *caller_out)
{
	const struct tl_registry *registry = tl_registry_pin(p->at.roster);
	struct tl_why why = {""};
	enum tl_err err = tl_caller_resolve(
		registry, tl_slice_str(secret), tl_slice_str(""), false, now_ms, caller_out, &why);

	tl_registry_unpin(registry);
	return err;
}

static void
reopen(struct place *p)
{
	tl_roster_free(p->at.roster);
	p->at.roster = NULL;
	assert_int_equal(tl_roster_open(p->at.store, &p->at.roster, NULL), TL_OK);
}

static void
a_signin_is_the_person_it_was_made_for(void **state)
{
	struct place *p = *state;
	char secret[TL_SIGNIN_SECRET_BYTES];
	struct tl_caller caller;

	assert_int_equal(put(p, 1, p->token.key_id, p->member_no, NOW_MS, secret), 1);
	assert_int_equal(resolve(p, secret, NOW_MS, &caller), TL_OK);
	assert_true(caller.is_signin && caller.is_admin && !caller.is_operator);
	assert_int_equal(caller.type, TL_CREDENTIAL_PERSON);
	assert_int_equal(caller.org_no, 1);
	assert_int_equal(caller.member_no, p->member_no);
	assert_int_equal(strncmp(caller.key_id, "tally_sid_", 10), 0);
	assert_int_equal(tl_authorise(&caller, TL_RIGHT_READ, NULL), TL_OK);
	assert_int_equal(tl_authorise(&caller, TL_RIGHT_MANAGE, NULL), TL_OK);
	assert_int_equal(tl_authorise(&caller, TL_RIGHT_PUSH, NULL), TL_EFORBIDDEN);
	assert_int_equal(tl_authorise(&caller, TL_RIGHT_IMPORT, NULL), TL_EFORBIDDEN);
	assert_int_equal(tl_authorise(&caller, TL_RIGHT_OPERATE, NULL), TL_EFORBIDDEN);
	secret[0] = secret[0] == '0' ? '1' : '0';
	assert_int_equal(resolve(p, secret, NOW_MS, &caller), TL_EUNAUTHENTICATED);
	assert_int_equal(resolve(p, "", NOW_MS, &caller), TL_EUNAUTHENTICATED);
}

static void
eight_hours_without_use_end_it_and_a_use_does_not(void **state)
{
	struct place *p = *state;
	char idle[TL_SIGNIN_SECRET_BYTES], busy[TL_SIGNIN_SECRET_BYTES];
	struct tl_caller caller;

	put(p, 1, p->token.key_id, p->member_no, NOW_MS, idle);
	put(p, 1, p->token.key_id, p->member_no, NOW_MS, busy);
	assert_int_equal(resolve(p, busy, NOW_MS + TL_SIGNIN_IDLE_MS - 1, &caller), TL_OK);
	assert_int_equal(
		resolve(p, idle, NOW_MS + TL_SIGNIN_IDLE_MS, &caller), TL_EUNAUTHENTICATED);
	/* A clock that is set back takes no use away. */
	assert_int_equal(resolve(p, busy, NOW_MS, &caller), TL_OK);
	assert_int_equal(resolve(p, busy, NOW_MS + 2 * TL_SIGNIN_IDLE_MS - 2, &caller), TL_OK);
	for (int64_t at = 2 * TL_SIGNIN_IDLE_MS; at < TL_SIGNIN_LIFE_MS;
		at += TL_SIGNIN_IDLE_MS / 2)
		assert_int_equal(resolve(p, busy, NOW_MS + at, &caller), TL_OK);
	assert_int_equal(resolve(p, busy, NOW_MS + TL_SIGNIN_LIFE_MS - 1, &caller), TL_OK);
	assert_int_equal(
		resolve(p, busy, NOW_MS + TL_SIGNIN_LIFE_MS, &caller), TL_EUNAUTHENTICATED);
}

static void
it_ends_with_its_token_and_its_member(void **state)
{
	struct place *p = *state;
	char by_token[TL_SIGNIN_SECRET_BYTES], by_link[TL_SIGNIN_SECRET_BYTES];
	struct tl_caller caller;
	const struct tl_org *org;
	struct tl_member member;
	uint32_t no;

	put(p, 1, p->token.key_id, p->member_no, NOW_MS, by_token);
	put(p, 1, "", p->member_no, NOW_MS, by_link);
	place_begin(&p->at);
	p->token.revoked_ms = NOW_MS + 10;
	assert_int_equal(tl_edit_put_credential(p->at.edit, &p->token), TL_OK);
	place_commit(&p->at);
	assert_int_equal(resolve(p, by_token, NOW_MS + 9, &caller), TL_OK);
	assert_int_equal(resolve(p, by_token, NOW_MS + 10, &caller), TL_EUNAUTHENTICATED);
	assert_int_equal(resolve(p, by_link, NOW_MS + 10, &caller), TL_OK);
	place_begin(&p->at);
	org = tl_edit_org(p->at.edit, 1);
	member = *tl_org_member(org, p->member_no);
	member.state = TL_MEMBER_REMOVED;
	assert_int_equal(tl_edit_put_member(p->at.edit, 1, &member, &no), TL_OK);
	place_commit(&p->at);
	assert_int_equal(resolve(p, by_link, NOW_MS + 10, &caller), TL_EUNAUTHENTICATED);
}

static void
an_ended_one_stays_ended_and_its_place_is_taken(void **state)
{
	struct place *p = *state;
	char first[TL_SIGNIN_SECRET_BYTES], second[TL_SIGNIN_SECRET_BYTES];
	struct tl_caller caller;
	const struct tl_registry *registry;

	assert_int_equal(put(p, 1, "", 0, NOW_MS, first), 1);
	assert_int_equal(put(p, 1, "", 0, NOW_MS, second), 2);
	assert_int_equal(put(p, 2, "", 0, NOW_MS, second), 1);
	place_begin(&p->at);
	registry = tl_edit_registry(p->at.edit);
	assert_int_equal(
		tl_edit_end_signin(p->at.edit, tl_registry_signin(registry, tl_slice_str(first))),
		TL_OK);
	place_commit(&p->at);
	reopen(p);
	assert_int_equal(resolve(p, first, NOW_MS, &caller), TL_EUNAUTHENTICATED);
	assert_int_equal(resolve(p, second, NOW_MS, &caller), TL_OK);
	assert_int_equal(caller.org_no, 2);
	assert_int_equal(put(p, 1, "", 0, NOW_MS, first), 1);
	assert_int_equal(put(p, 1, "", 0, NOW_MS, first), 3);
	/* After eight hours nobody is there any more. */
	assert_true(put(p, 1, "", 0, NOW_MS + TL_SIGNIN_IDLE_MS, first) <= 3);
}

static void
one_owner_has_so_many_and_the_oldest_goes(void **state)
{
	struct place *p = *state;
	char secrets[TL_SIGNINS_PER_OWNER_MAX + 1][TL_SIGNIN_SECRET_BYTES];
	char other[TL_SIGNIN_SECRET_BYTES];
	struct tl_caller caller;

	put(p, 1, "", 0, NOW_MS, other);
	for (int i = 0; i < TL_SIGNINS_PER_OWNER_MAX; i++)
		put(p, 1, p->token.key_id, p->member_no, NOW_MS + i, secrets[i]);
	assert_int_equal(resolve(p, secrets[0], NOW_MS + 100, &caller), TL_OK);
	put(p, 1, p->token.key_id, p->member_no, NOW_MS + 200, secrets[TL_SIGNINS_PER_OWNER_MAX]);
	for (int i = 0; i <= TL_SIGNINS_PER_OWNER_MAX; i++)
		assert_int_equal(resolve(p, secrets[i], NOW_MS + 300, &caller),
			i == 1 ? TL_EUNAUTHENTICATED : TL_OK);
	assert_int_equal(resolve(p, other, NOW_MS + 300, &caller), TL_OK);
}

static void
a_use_is_stored_when_it_is_old_enough(void **state)
{
	struct place *p = *state;
	char secret[TL_SIGNIN_SECRET_BYTES];
	struct tl_caller caller;

	put(p, 1, "", 0, NOW_MS, secret);
	assert_int_equal(resolve(p, secret, NOW_MS + TL_SIGNIN_STORE_MS - 1, &caller), TL_OK);
	place_begin(&p->at);
	assert_int_equal(tl_edit_keep_signins(p->at.edit, TL_SIGNIN_STORE_MS), 0);
	place_commit(&p->at);
	assert_int_equal(resolve(p, secret, NOW_MS + TL_SIGNIN_STORE_MS, &caller), TL_OK);
	place_begin(&p->at);
	assert_int_equal(tl_edit_keep_signins(p->at.edit, TL_SIGNIN_STORE_MS), 1);
	assert_int_equal(tl_edit_keep_signins(p->at.edit, 0), 0);
	place_commit(&p->at);
	reopen(p);
	assert_int_equal(
		resolve(p, secret, NOW_MS + TL_SIGNIN_STORE_MS + TL_SIGNIN_IDLE_MS - 1, &caller),
		TL_OK);
}

static void
a_gap_in_the_numbers_stops_the_load(void **state)
{
	struct place *p = *state;
	char secret[TL_SIGNIN_SECRET_BYTES];
	struct tl_key key = tl_key_registry(1, SIGNIN_KIND, 1);
	struct tl_roster *roster = NULL;
	struct tl_why why = {""};

	put(p, 1, "", 0, NOW_MS, secret);
	put(p, 1, "", 0, NOW_MS, secret);
	tl_write_reset(p->at.write);
	tl_write_delete(p->at.write, TL_FAMILY_REGISTRY, tl_key_slice(&key));
	assert_int_equal(tl_write_commit(p->at.write, TL_SYNC, NULL), TL_OK);
	assert_int_equal(tl_roster_open(p->at.store, &roster, &why), TL_ESTORAGE_CORRUPT);
	assert_non_null(strstr(why.text, "numbers are not dense"));
}

/* Not of a sign-in, but of the same roster. */
static void
a_credential_resolves_a_thousand_keys_a_second(void **state)
{
	struct place *p = *state;
	struct tl_caller gateway = {.type = TL_CREDENTIAL_GATEWAY, .key_id = "tally_gw_ab12cd34"};
	struct tl_caller other = {.type = TL_CREDENTIAL_GATEWAY, .key_id = "tally_gw_ab12cd35"};
	struct tl_caller operator= {.is_operator = true, .key_id = "operator"};

	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			tl_roster_allow_resolve(p->at.roster, &gateway, 5000 + i % 1000, NULL),
			TL_OK);
	assert_int_equal(
		tl_roster_allow_resolve(p->at.roster, &gateway, 5999, NULL), TL_ERATE_LIMITED);
	assert_int_equal(tl_roster_allow_resolve(p->at.roster, &other, 5999, NULL), TL_OK);
	for (int i = 0; i < 1001; i++)
		assert_int_equal(
			tl_roster_allow_resolve(p->at.roster, &operator, 5999, NULL), TL_OK);
	assert_int_equal(tl_roster_allow_resolve(p->at.roster, &gateway, 6000, NULL), TL_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_signin_is_the_person_it_was_made_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			eight_hours_without_use_end_it_and_a_use_does_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			it_ends_with_its_token_and_its_member, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_ended_one_stays_ended_and_its_place_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_owner_has_so_many_and_the_oldest_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_use_is_stored_when_it_is_old_enough, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_gap_in_the_numbers_stops_the_load, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_credential_resolves_a_thousand_keys_a_second, set_up, tear_down),
	};

	return tl_crypt_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
