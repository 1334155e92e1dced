#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/base/file.h"
#include "schema/store/key.h"
#include "tests/unit/registry_place.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 2026-11-21T10:00:00Z */
#define NOW_MS 1795255200000LL

enum { ORG = 1, MEMBER, AGENT, CREDENTIAL, SIGNIN };

/* A store in a folder of its own, with an org. */
struct place {
	struct registry_place at;
	uint32_t org_no;
};

static int
set_up_empty(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	place_open(&p->at);
	*state = p;
	return 0;
}

static int
set_up(void **state)
{
	struct place *p;

	set_up_empty(state);
	p = *state;
	place_begin(&p->at);
	p->org_no = place_put_org(&p->at, "Acme", NOW_MS);
	place_commit(&p->at);
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

/* What a new start would see. */
static void
reopen(struct place *p)
{
	struct tl_why why = {""};

	tl_roster_free(p->at.roster);
	p->at.roster = NULL;
	if (tl_roster_open(p->at.store, &p->at.roster, &why))
		fail_msg("%s", why.text);
}

static void
id_of(uint32_t i, uint8_t id_out[16])
{
	memset(id_out, 0xab, 16);
	tl_put_be32(id_out, i);
}

static uint32_t
need(struct place *p, uint32_t i, const char *email)
{
	uint8_t id[16];
	uint32_t no = 0;

	id_of(i, id);
	assert_int_equal(
		tl_edit_need_member(p->at.edit, p->org_no, id, tl_slice_str(email), NOW_MS, &no),
		TL_OK);
	return no;
}

static const struct tl_member *
edited_member(struct place *p, uint32_t no)
{
	return tl_org_member(tl_edit_org(p->at.edit, p->org_no), no);
}

static void
an_empty_store_has_an_empty_registry(void **state)
{
	struct place *p = *state;
	const struct tl_registry *registry = tl_registry_pin(p->at.roster);
	size_t cursor = 0;

	assert_int_equal(tl_registry_org_count(registry), 0);
	assert_int_equal(tl_registry_generation(registry), 1);
	assert_null(tl_registry_org(registry, 0));
	assert_null(tl_registry_org(registry, 1));
	assert_null(tl_registry_org_named(registry, tl_slice_str("")));
	assert_null(tl_registry_key(registry, tl_slice_str("tally_gw_ab12cd34")));
	assert_null(tl_registry_credential_next(registry, 0, &cursor));
	tl_registry_unpin(registry);
}

static void
put_sample_credentials(struct tl_edit *edit)
{
	struct tl_credential agent = {
		.key_id = "tally_ca_ab12cd34",
		.type = TL_CREDENTIAL_AGENT,
		.org_no = 1,
		.member_no = 1,
		.agent_no = 1,
		.created_ms = NOW_MS,
		.revoked_ms = NOW_MS + 86400000,
		.name = "laptop",
	};
	struct tl_credential gateway = {
		.key_id = "tally_gw_ab12cd34",
		.type = TL_CREDENTIAL_GATEWAY,
		.created_ms = NOW_MS,
		.name = "every org",
	};

	for (int i = 0; i < 32; i++) {
		agent.hash[i] = (uint8_t)(0x80 + i);
		gateway.hash[i] = (uint8_t)(0x80 + i);
	}
	assert_int_equal(tl_edit_put_credential(edit, &agent), TL_OK);
	assert_int_equal(tl_edit_put_credential(edit, &gateway), TL_OK);
}

static void
put_sample_signins(struct tl_edit *edit)
{
	struct tl_signin signin = {
		.org_no = 1,
		.is_admin = true,
		.key_id = "tally_pat_ab12cd34",
		.created_ms = NOW_MS,
		.ends_ms = NOW_MS + 7 * 86400000LL,
		.used_ms = NOW_MS + 60000,
	};
	struct tl_signin link = {
		.org_no = 1,
		.is_link = true,
		.member_no = 2,
		.created_ms = NOW_MS,
		.ends_ms = NOW_MS + 600000,
		.used_ms = NOW_MS,
	};
	uint32_t no = 0;

	for (int i = 0; i < 32; i++) {
		signin.hash[i] = (uint8_t)(0xa0 + i);
		link.hash[i] = (uint8_t)(0xa0 + i);
	}
	assert_int_equal(tl_edit_put_signin(edit, &signin, NOW_MS, &no), TL_OK);
	assert_int_equal(no, 1);
	assert_int_equal(tl_edit_put_signin(edit, &link, NOW_MS, &no), TL_OK);
	assert_int_equal(no, 2);
}

/* One of each, with every field set; golden/registry.hex was made from the same values by hand. */
static void
put_samples(struct tl_edit *edit)
{
	struct tl_org org = {
		.name = "Acme",
		.seats = 300,
		.one_agent_per_member = true,
		.peers_visible = true,
		.github_connected = true,
		.created_ms = NOW_MS,
	};
	struct tl_member member = {
		.role = TL_ROLE_ADMIN,
		.state = TL_MEMBER_PENDING,
		.rate_cents = 7250,
		.created_ms = NOW_MS,
		.email = "ada@example.org",
		.display_name = "Ada",
		.email_enc = tl_slice_of("\x81\xa3"
					 "alg\0",
			6),
		.invitation = "0123456789abcdef",
		.invitation_ends_ms = NOW_MS + 14 * 86400000LL,
	};
	struct tl_member plain = {
		.state = TL_MEMBER_ACTIVE,
		.rate_cents = -1,
		.created_ms = NOW_MS,
	};
	struct tl_agent agent = {
		.member_no = 1,
		.type = "claude_code",
		.enrolled = true,
		.live = true,
		.compression = true,
		.debug_until_ms = NOW_MS + 3600000,
		.created_ms = NOW_MS,
	};
	uint32_t no = 0;

	assert_int_equal(tl_zone_get(tl_slice_str("Europe/Berlin"), &org.zone, NULL), TL_OK);
	for (int i = 0; i < 32; i++)
		org.secret[i] = (uint8_t)i;
	for (int i = 0; i < 16; i++)
		member.id[i] = (uint8_t)(0x10 + i);
	memset(plain.id, 0xff, sizeof(plain.id));
	assert_int_equal(tl_edit_put_org(edit, &org, &no), TL_OK);
	assert_int_equal(tl_edit_put_member(edit, 1, &member, &no), TL_OK);
	assert_int_equal(no, 1);
	assert_int_equal(tl_edit_put_member(edit, 1, &plain, &no), TL_OK);
	assert_int_equal(no, 2);
	assert_int_equal(tl_edit_put_agent(edit, 1, &agent, &no), TL_OK);
	assert_int_equal(no, 1);
	put_sample_credentials(edit);
	put_sample_signins(edit);
}

static const struct {
	const char *name;
	uint32_t org_no;
	uint8_t kind;
	uint32_t no;
} goldens[] = {
	{"org", 1, ORG, 0},
	{"member", 1, MEMBER, 1},
	{"member_plain", 1, MEMBER, 2},
	{"agent", 1, AGENT, 1},
	{"credential", 1, CREDENTIAL, 1},
	{"credential_installation", 0, CREDENTIAL, 1},
	{"signin", 1, SIGNIN, 1},
	{"signin_link", 1, SIGNIN, 2},
};

/* The hex after "name " on its line of the golden file. */
static struct tl_slice
golden_hex(const struct tl_buf *file, const char *name)
{
	const char *at = (const char *)file->data;
	size_t name_bytes = strlen(name);

	while (at && *at) {
		if (strncmp(at, name, name_bytes) == 0 && at[name_bytes] == ' ') {
			at += name_bytes + 1;
			return tl_slice_of(at, strcspn(at, "\n"));
		}
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	fail_msg("no golden row %s", name);
	return tl_slice_of(NULL, 0);
}

static void
records_have_their_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_buf file, value;

	tl_buf_init(&file, 0);
	tl_buf_init(&value, 0);
	assert_int_equal(tl_file_read("tests/golden/registry.hex", &file, NULL), TL_OK);
	tl_buf_put_u8(&file, 0);
	place_begin(&p->at);
	put_samples(p->at.edit);
	place_commit(&p->at);
	for (size_t i = 0; i < COUNT(goldens); i++) {
		struct tl_key key =
			tl_key_registry(goldens[i].org_no, goldens[i].kind, goldens[i].no);
		struct tl_slice wanted = golden_hex(&file, goldens[i].name);
		char hex[512];

		assert_int_equal(tl_store_get(p->at.store, NULL, TL_FAMILY_REGISTRY,
					 tl_key_slice(&key), &value, NULL),
			TL_OK);
		tl_hex(value.data, value.bytes, hex);
		if (!tl_slice_eq(wanted, tl_slice_str(hex)))
			fail_msg("%s: %s", goldens[i].name, hex);
	}
	tl_buf_fini(&file);
	tl_buf_fini(&value);
}

static void
check_samples(const struct tl_registry *registry)
{
	const struct tl_org *org = tl_registry_org_named(registry, tl_slice_str("Acme"));
	const struct tl_credential *credential;
	const struct tl_member *member;
	const struct tl_agent *agent;

	assert_non_null(org);
	assert_int_equal(org->no, 1);
	assert_string_equal(org->name, "Acme");
	assert_string_equal(tl_zone_name(org->zone), "Europe/Berlin");
	assert_int_equal(org->secret[31], 31);
	assert_int_equal(org->seats, 300);
	assert_true(org->one_agent_per_member && org->peers_visible && org->github_connected);
	assert_int_equal(org->created_ms, NOW_MS);
	assert_int_equal(org->member_count, 2);
	assert_int_equal(org->agent_count, 1);

	member = tl_org_member(org, 1);
	assert_int_equal(member->no, 1);
	assert_int_equal(member->id[0], 0x10);
	assert_int_equal(member->role, TL_ROLE_ADMIN);
	assert_int_equal(member->state, TL_MEMBER_PENDING);
	assert_int_equal(member->rate_cents, 7250);
	assert_int_equal(member->created_ms, NOW_MS);
	assert_string_equal(member->email, "ada@example.org");
	assert_string_equal(member->display_name, "Ada");
	assert_int_equal(member->email_enc.bytes, 6);
	assert_memory_equal(member->email_enc.data, "\x81\xa3", 2);
	assert_string_equal(member->invitation, "0123456789abcdef");
	assert_int_equal(member->invitation_ends_ms, NOW_MS + 14 * 86400000LL);
	assert_ptr_equal(tl_org_member_by_id(org, member->id), member);
	member = tl_org_member(org, 2);
	assert_int_equal(member->rate_cents, -1);
	assert_string_equal(member->email, "");
	assert_string_equal(member->display_name, "");
	assert_int_equal(member->email_enc.bytes, 0);
	assert_null(tl_org_member(org, 0));
	assert_null(tl_org_member(org, 3));

	agent = tl_org_agent(org, 1);
	assert_int_equal(agent->no, 1);
	assert_int_equal(agent->member_no, 1);
	assert_string_equal(agent->type, "claude_code");
	assert_true(agent->enrolled && agent->live && agent->compression);
	assert_int_equal(agent->debug_until_ms, NOW_MS + 3600000);
	assert_int_equal(agent->created_ms, NOW_MS);
	assert_int_equal(agent->ended_ms, 0);
	assert_ptr_equal(tl_org_agent_of(org, 1, tl_slice_str("claude_code")), agent);

	credential = tl_registry_key(registry, tl_slice_str("tally_ca_ab12cd34"));
	assert_non_null(credential);
	assert_int_equal(credential->type, TL_CREDENTIAL_AGENT);
	assert_int_equal(credential->org_no, 1);
	assert_int_equal(credential->member_no, 1);
	assert_int_equal(credential->agent_no, 1);
	assert_int_equal(credential->hash[31], 0x9f);
	assert_int_equal(credential->created_ms, NOW_MS);
	assert_int_equal(credential->revoked_ms, NOW_MS + 86400000);
	assert_string_equal(credential->name, "laptop");
	credential = tl_registry_key(registry, tl_slice_str("tally_gw_ab12cd34"));
	assert_non_null(credential);
	assert_int_equal(credential->org_no, 0);
}

static void
a_new_start_reads_what_was_committed(void **state)
{
	struct place *p = *state;
	const struct tl_registry *registry;

	place_begin(&p->at);
	put_samples(p->at.edit);
	place_commit(&p->at);
	registry = tl_registry_pin(p->at.roster);
	check_samples(registry);
	tl_registry_unpin(registry);
	reopen(p);
	registry = tl_registry_pin(p->at.roster);
	check_samples(registry);
	tl_registry_unpin(registry);
}

static void
numbers_go_on_after_a_new_start(void **state)
{
	struct place *p = *state;
	struct tl_credential credential = {.key_id = "tally_svc_00000001", .org_no = 1};
	uint32_t other_no;

	place_begin(&p->at);
	put_samples(p->at.edit);
	place_commit(&p->at);
	reopen(p);
	place_begin(&p->at);
	other_no = place_put_org(&p->at, "Other", NOW_MS);
	assert_int_equal(other_no, 2);
	p->org_no = 1;
	assert_int_equal(need(p, 9, ""), 3);
	assert_int_equal(tl_edit_put_credential(p->at.edit, &credential), TL_OK);
	strcpy(credential.key_id, "tally_svc_00000002");
	assert_int_equal(tl_edit_put_credential(p->at.edit, &credential), TL_OK);
	credential.org_no = other_no;
	strcpy(credential.key_id, "tally_svc_00000003");
	assert_int_equal(tl_edit_put_credential(p->at.edit, &credential), TL_OK);
	place_commit(&p->at);
	/* A number given twice would overwrite a record, and the next start would miss it. */
	reopen(p);
	place_begin(&p->at);
	assert_int_equal(tl_edit_org(p->at.edit, 1)->member_count, 3);
	assert_non_null(tl_edit_key(p->at.edit, tl_slice_str("tally_ca_ab12cd34")));
	assert_non_null(tl_edit_key(p->at.edit, tl_slice_str("tally_svc_00000001")));
	assert_non_null(tl_edit_key(p->at.edit, tl_slice_str("tally_svc_00000002")));
	assert_non_null(tl_edit_key(p->at.edit, tl_slice_str("tally_svc_00000003")));
}

static void
a_pinned_snapshot_never_changes(void **state)
{
	struct place *p = *state;
	const struct tl_registry *before = tl_registry_pin(p->at.roster);
	const struct tl_registry *after;
	const struct tl_org *org = tl_registry_org(before, p->org_no);
	struct tl_org renamed;

	place_begin(&p->at);
	renamed = *tl_edit_org(p->at.edit, p->org_no);
	renamed.name = "New name";
	assert_int_equal(tl_edit_put_org(p->at.edit, &renamed, &renamed.no), TL_OK);
	need(p, 1, "");
	place_put_org(&p->at, "Second", NOW_MS);
	place_commit(&p->at);

	assert_int_equal(tl_registry_org_count(before), 1);
	assert_ptr_equal(tl_registry_org(before, p->org_no), org);
	assert_string_equal(org->name, "Acme");
	assert_int_equal(org->member_count, 0);
	after = tl_registry_pin(p->at.roster);
	assert_int_equal(tl_registry_generation(after), tl_registry_generation(before) + 1);
	assert_int_equal(tl_registry_org_count(after), 2);
	assert_string_equal(tl_registry_org(after, p->org_no)->name, "New name");
	assert_int_equal(tl_registry_org(after, p->org_no)->member_count, 1);
	tl_registry_unpin(before);
	tl_registry_unpin(after);
}

static void
an_org_that_nobody_changed_is_shared(void **state)
{
	struct place *p = *state;
	const struct tl_registry *before, *after;
	uint32_t other_no;

	place_begin(&p->at);
	other_no = place_put_org(&p->at, "Other", NOW_MS);
	place_commit(&p->at);
	before = tl_registry_pin(p->at.roster);
	place_begin(&p->at);
	need(p, 1, "");
	place_commit(&p->at);
	after = tl_registry_pin(p->at.roster);
	assert_ptr_equal(tl_registry_org(before, other_no), tl_registry_org(after, other_no));
	assert_ptr_not_equal(tl_registry_org(before, p->org_no), tl_registry_org(after, p->org_no));
	tl_registry_unpin(before);
	tl_registry_unpin(after);
}

static void
an_edit_without_a_change_publishes_nothing(void **state)
{
	struct place *p = *state;
	const struct tl_registry *registry = tl_registry_pin(p->at.roster);
	uint64_t generation = tl_registry_generation(registry);

	tl_registry_unpin(registry);
	place_begin(&p->at);
	assert_false(tl_edit_is_dirty(p->at.edit));
	tl_edit_publish(p->at.edit);
	p->at.edit = NULL;
	registry = tl_registry_pin(p->at.roster);
	assert_int_equal(tl_registry_generation(registry), generation);
	tl_registry_unpin(registry);
}

static void
a_discarded_edit_leaves_nothing(void **state)
{
	struct place *p = *state;
	const struct tl_registry *registry;

	place_begin(&p->at);
	need(p, 1, "ada@example.org");
	place_put_org(&p->at, "Other", NOW_MS);
	put_sample_credentials(p->at.edit);
	assert_true(tl_edit_is_dirty(p->at.edit));
	tl_edit_discard(p->at.edit);
	p->at.edit = NULL;
	tl_write_reset(p->at.write);
	registry = tl_registry_pin(p->at.roster);
	assert_int_equal(tl_registry_org_count(registry), 1);
	assert_int_equal(tl_registry_org(registry, p->org_no)->member_count, 0);
	assert_null(tl_registry_key(registry, tl_slice_str("tally_gw_ab12cd34")));
	tl_registry_unpin(registry);
}

static void
a_member_appears_once(void **state)
{
	struct place *p = *state;
	const struct tl_member *member;
	size_t row_bytes;
	uint32_t no;

	place_begin(&p->at);
	no = need(p, 1, "");
	member = edited_member(p, no);
	assert_int_equal(member->state, TL_MEMBER_ACTIVE);
	assert_int_equal(member->role, TL_ROLE_MEMBER);
	assert_int_equal(member->rate_cents, -1);
	assert_int_equal(member->created_ms, NOW_MS);
	assert_string_equal(member->email, "");
	row_bytes = tl_write_bytes(p->at.write);
	assert_int_equal(need(p, 1, ""), no);
	assert_int_equal(tl_write_bytes(p->at.write), row_bytes);
	place_commit(&p->at);
	place_begin(&p->at);
	assert_int_equal(need(p, 1, ""), no);
	assert_false(tl_edit_is_dirty(p->at.edit));
	assert_int_equal(need(p, 2, ""), no + 1);
}

static void
the_first_email_of_a_member_is_kept(void **state)
{
	struct place *p = *state;
	uint32_t no;

	place_begin(&p->at);
	no = need(p, 1, "");
	assert_int_equal(need(p, 1, "ada@example.org"), no);
	assert_string_equal(edited_member(p, no)->email, "ada@example.org");
	place_commit(&p->at);
	place_begin(&p->at);
	assert_int_equal(need(p, 1, "eve@example.org"), no);
	assert_int_equal(need(p, 1, ""), no);
	assert_false(tl_edit_is_dirty(p->at.edit));
	assert_string_equal(edited_member(p, no)->email, "ada@example.org");
}

static void
the_next_event_brings_a_member_back_with_name_and_rate(void **state)
{
	struct place *p = *state;
	struct tl_member member;
	uint32_t no;

	place_begin(&p->at);
	no = need(p, 1, "ada@example.org");
	member = *edited_member(p, no);
	member.display_name = "Ada";
	member.rate_cents = 9900;
	member.state = TL_MEMBER_REMOVED;
	assert_int_equal(tl_edit_put_member(p->at.edit, p->org_no, &member, &no), TL_OK);
	place_commit(&p->at);
	place_begin(&p->at);
	assert_int_equal(need(p, 1, ""), no);
	assert_true(tl_edit_is_dirty(p->at.edit));
	assert_int_equal(edited_member(p, no)->state, TL_MEMBER_ACTIVE);
	assert_string_equal(edited_member(p, no)->display_name, "Ada");
	assert_string_equal(edited_member(p, no)->email, "ada@example.org");
	assert_int_equal(edited_member(p, no)->rate_cents, 9900);
	assert_int_equal(edited_member(p, no)->created_ms, NOW_MS);
}

static void
an_event_accepts_an_invitation(void **state)
{
	struct place *p = *state;
	struct tl_member member = {
		.role = TL_ROLE_ADMIN,
		.state = TL_MEMBER_PENDING,
		.rate_cents = -1,
		.invitation = "0123456789abcdef",
		.invitation_ends_ms = NOW_MS + 1,
	};
	uint32_t no = 0;

	id_of(1, member.id);
	place_begin(&p->at);
	assert_int_equal(tl_edit_put_member(p->at.edit, p->org_no, &member, &no), TL_OK);
	assert_int_equal(need(p, 1, ""), no);
	assert_int_equal(edited_member(p, no)->state, TL_MEMBER_ACTIVE);
	assert_int_equal(edited_member(p, no)->role, TL_ROLE_ADMIN);
	assert_string_equal(edited_member(p, no)->invitation, "");
	assert_int_equal(edited_member(p, no)->invitation_ends_ms, 0);
}

static void
many_members_of_one_edit_are_all_found(void **state)
{
	enum { MANY = 20000 };
	struct place *p = *state;
	const struct tl_registry *registry;
	const struct tl_org *org;
	uint8_t id[16];

	place_begin(&p->at);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(need(p, i, ""), i + 1);
		assert_int_equal(need(p, i / 2, ""), i / 2 + 1);
	}
	place_commit(&p->at);
	reopen(p);
	registry = tl_registry_pin(p->at.roster);
	org = tl_registry_org(registry, p->org_no);
	assert_int_equal(org->member_count, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		id_of(i, id);
		assert_int_equal(tl_org_member_by_id(org, id)->no, i + 1);
		assert_int_equal(org->members[i]->no, i + 1);
	}
	id_of(MANY, id);
	assert_null(tl_org_member_by_id(org, id));
	tl_registry_unpin(registry);
}

static void
one_id_is_one_member(void **state)
{
	struct place *p = *state;
	struct tl_member twin = {.rate_cents = -1};
	uint32_t no = 0;

	place_begin(&p->at);
	need(p, 1, "");
	id_of(1, twin.id);
	assert_int_equal(tl_edit_put_member(p->at.edit, p->org_no, &twin, &no), TL_ECONFLICT);
	assert_int_equal(tl_edit_org(p->at.edit, p->org_no)->member_count, 1);
	assert_int_equal(no, 0);
}

static void
what_could_not_be_read_again_is_not_written(void **state)
{
	struct place *p = *state;
	char long_text[TL_NAME_BYTES_MAX + 100];
	struct tl_member member = {.rate_cents = -1, .display_name = long_text};
	struct tl_agent agent = {.member_no = 1, .type = long_text};
	uint8_t id[16];
	uint32_t no = 0;

	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	place_begin(&p->at);
	need(p, 1, "");
	id_of(2, id);
	assert_int_equal(
		tl_edit_put_member(p->at.edit, p->org_no, &member, &no), TL_ESTRING_TOO_LONG);
	assert_int_equal(
		tl_edit_put_agent(p->at.edit, p->org_no, &agent, &no), TL_ESTRING_TOO_LONG);
	assert_int_equal(
		tl_edit_need_member(p->at.edit, p->org_no, id, tl_slice_str(long_text), 0, &no),
		TL_ESTRING_TOO_LONG);
	assert_int_equal(
		tl_edit_need_member(p->at.edit, p->org_no, id, tl_slice_of("a\0b", 3), 0, &no),
		TL_ESTRING_CONTROL);
	assert_int_equal(
		tl_edit_need_agent(p->at.edit, p->org_no, 1, tl_slice_str(long_text), 0, &no),
		TL_ESTRING_TOO_LONG);
	agent.type = "codex";
	agent.member_no = 2;
	assert_int_equal(tl_edit_put_agent(p->at.edit, p->org_no, &agent, &no), TL_ENOT_FOUND);
	assert_int_equal(
		tl_edit_need_member(p->at.edit, 7, id, tl_slice_str(""), 0, &no), TL_ENOT_FOUND);
	assert_int_equal(no, 0);
}

static uint32_t
need_agent(struct place *p, uint32_t member_no, const char *type)
{
	uint32_t no = 0;

	assert_int_equal(tl_edit_need_agent(
				 p->at.edit, p->org_no, member_no, tl_slice_str(type), NOW_MS, &no),
		TL_OK);
	return no;
}

static const struct tl_agent *
edited_agent_of(struct place *p, uint32_t member_no, const char *type)
{
	return tl_org_agent_of(tl_edit_org(p->at.edit, p->org_no), member_no, tl_slice_str(type));
}

static void
an_agent_appears_once_per_member_and_type(void **state)
{
	struct place *p = *state;
	uint32_t ada, eve, no;

	place_begin(&p->at);
	ada = need(p, 1, "");
	eve = need(p, 2, "");
	no = need_agent(p, ada, "codex");
	assert_int_equal(need_agent(p, ada, "codex"), no);
	assert_int_equal(need_agent(p, eve, "codex"), no + 1);
	assert_int_equal(need_agent(p, ada, "code"), no + 2);
	assert_false(edited_agent_of(p, ada, "codex")->enrolled);
	assert_true(edited_agent_of(p, ada, "codex")->live);
	assert_null(edited_agent_of(p, eve, "code"));
	place_commit(&p->at);
	place_begin(&p->at);
	assert_int_equal(need_agent(p, ada, "codex"), no);
	assert_false(tl_edit_is_dirty(p->at.edit));
}

static void
many_agents_are_all_found(void **state)
{
	enum { MANY = 3000 };
	struct place *p = *state;

	place_begin(&p->at);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(need(p, i, ""), i + 1);
		assert_int_equal(need_agent(p, i + 1, "codex"), 2 * i + 1);
		assert_int_equal(need_agent(p, i + 1, "opencode"), 2 * i + 2);
	}
	place_commit(&p->at);
	reopen(p);
	place_begin(&p->at);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(edited_agent_of(p, i + 1, "codex")->no, 2 * i + 1);
		assert_int_equal(edited_agent_of(p, i + 1, "opencode")->no, 2 * i + 2);
	}
}

static void
the_live_enrolled_agent_stands_before_the_one_that_appeared(void **state)
{
	struct place *p = *state;
	struct tl_agent enrolled = {.type = "codex", .enrolled = true, .live = true};
	uint32_t appeared_no, newer_no = 0;

	place_begin(&p->at);
	enrolled.member_no = need(p, 1, "");
	appeared_no = need_agent(p, 1, "codex");
	assert_int_equal(tl_edit_put_agent(p->at.edit, p->org_no, &enrolled, &enrolled.no), TL_OK);
	assert_int_equal(edited_agent_of(p, 1, "codex")->no, enrolled.no);
	assert_int_equal(need_agent(p, 1, "codex"), enrolled.no);

	/* Unenrolled: the one that appeared stands in again, and so it does after a new start. */
	enrolled.live = false;
	assert_int_equal(tl_edit_put_agent(p->at.edit, p->org_no, &enrolled, &enrolled.no), TL_OK);
	assert_int_equal(edited_agent_of(p, 1, "codex")->no, appeared_no);
	place_commit(&p->at);
	reopen(p);
	place_begin(&p->at);
	assert_int_equal(edited_agent_of(p, 1, "codex")->no, appeared_no);

	enrolled.no = 0;
	enrolled.live = true;
	assert_int_equal(tl_edit_put_agent(p->at.edit, p->org_no, &enrolled, &newer_no), TL_OK);
	assert_int_equal(edited_agent_of(p, 1, "codex")->no, newer_no);
}

static void
an_unenrolled_agent_stands_for_nobody(void **state)
{
	struct place *p = *state;
	struct tl_agent agent = {.type = "codex", .enrolled = true, .live = true};
	uint32_t next_no;

	place_begin(&p->at);
	agent.member_no = need(p, 1, "");
	assert_int_equal(tl_edit_put_agent(p->at.edit, p->org_no, &agent, &agent.no), TL_OK);
	agent.live = false;
	assert_int_equal(tl_edit_put_agent(p->at.edit, p->org_no, &agent, &agent.no), TL_OK);
	assert_null(edited_agent_of(p, 1, "codex"));
	next_no = need_agent(p, 1, "codex");
	assert_int_equal(next_no, agent.no + 1);
	assert_int_equal(edited_agent_of(p, 1, "codex")->no, next_no);
}

static void
credentials_are_listed_by_org_in_order(void **state)
{
	struct place *p = *state;
	struct tl_credential credential = {.type = TL_CREDENTIAL_SERVICE};
	const struct tl_registry *registry;
	const struct tl_credential *next;
	uint32_t seen = 0;
	size_t cursor = 0;
	uint32_t other_no;

	place_begin(&p->at);
	other_no = place_put_org(&p->at, "Other", NOW_MS);
	for (int i = 0; i < 300; i++) {
		credential.org_no = i % 3 == 0 ? 0 : i % 3 == 1 ? p->org_no : other_no;
		snprintf(credential.key_id, sizeof(credential.key_id), "tally_svc_%08u",
			(unsigned)i % 1000);
		credential.created_ms = i;
		assert_int_equal(tl_edit_put_credential(p->at.edit, &credential), TL_OK);
	}
	place_commit(&p->at);
	reopen(p);
	registry = tl_registry_pin(p->at.roster);
	while ((next = tl_registry_credential_next(registry, other_no, &cursor))) {
		assert_int_equal(next->created_ms, 3 * seen + 2);
		seen++;
	}
	assert_int_equal(seen, 100);
	tl_registry_unpin(registry);
}

static void
a_credential_is_replaced_in_its_place(void **state)
{
	struct place *p = *state;
	const struct tl_registry *before;
	const struct tl_credential *found;
	struct tl_credential changed;
	uint32_t count = 0;
	size_t cursor = 0;

	place_begin(&p->at);
	need(p, 1, "");
	put_sample_credentials(p->at.edit);
	place_commit(&p->at);
	before = tl_registry_pin(p->at.roster);
	found = tl_registry_key(before, tl_slice_str("tally_ca_ab12cd34"));
	place_begin(&p->at);
	changed = *found;
	changed.revoked_ms = 7;
	assert_int_equal(tl_edit_put_credential(p->at.edit, &changed), TL_OK);
	place_commit(&p->at);
	assert_int_equal(found->revoked_ms, NOW_MS + 86400000);
	tl_registry_unpin(before);
	reopen(p);
	before = tl_registry_pin(p->at.roster);
	found = tl_registry_key(before, tl_slice_str("tally_ca_ab12cd34"));
	assert_int_equal(found->revoked_ms, 7);
	assert_string_equal(found->name, "laptop");
	while (tl_registry_credential_next(before, p->org_no, &cursor))
		count++;
	assert_int_equal(count, 1);
	tl_registry_unpin(before);
}

static void
a_member_id_is_half_a_mac_of_the_email(void **state)
{
	struct tl_org org = {.no = 1};
	uint8_t id[16], mac[32], key[32] = {0};

	(void)state;
	tl_org_member_id(&org, tl_slice_str("ada@example.org"), id);
	tl_hmac_sha256(key, tl_slice_str("ada@example.org"), mac);
	assert_memory_equal(id, mac, 16);
}

/* Rows that must not be taken for a registry. The hex is put under the key. */
static const struct {
	const char *name;
	uint32_t org_no;
	uint8_t kind;
	uint32_t no;
	const char *hex;
	enum tl_err err;
} damages[] = {
	{"a member number is missing", 1, MEMBER, 2,
		"01ffffffffffffffffffffffffffffffff0001010000"
		"00000000",
		TL_ESTORAGE_CORRUPT},
	{"an org number is missing", 3, ORG, 0, "01", TL_ESTORAGE_CORRUPT},
	{"an org with a number of its own", 2, ORG, 1, "01", TL_ESTORAGE_CORRUPT},
	{"a member of no org", 2, MEMBER, 1, "01", TL_ESTORAGE_CORRUPT},
	{"a member of the installation", 0, MEMBER, 1, "01", TL_ESTORAGE_CORRUPT},
	{"an unknown kind", 1, 9, 1, "01", TL_ESTORAGE_CORRUPT},
	{"a later version", 1, MEMBER, 1, "02", TL_EFORMAT_TOO_NEW},
	{"no version", 1, MEMBER, 1, "00", TL_ESTORAGE_CORRUPT},
	{"nothing at all", 1, MEMBER, 1, "", TL_ESTORAGE_CORRUPT},
	{"a member that is cut", 1, MEMBER, 1, "01ffffffffffffffffffffffffffffffff00010100000000",
		TL_ESTORAGE_CORRUPT},
	{"a member with a byte too many", 1, MEMBER, 1,
		"01ffffffffffffffffffffffffffffffff000101000000000000"
		"00",
		TL_ESTORAGE_CORRUPT},
	{"a role nobody has", 1, MEMBER, 1,
		"01ffffffffffffffffffffffffffffffff0201010000"
		"00000000",
		TL_ESTORAGE_CORRUPT},
	{"a text longer than its bound", 1, MEMBER, 1,
		"01ffffffffffffffffffffffffffffffff000101000011"
		"000000",
		TL_ESTORAGE_CORRUPT},
	{"a text with a NUL", 1, MEMBER, 1,
		"01ffffffffffffffffffffffffffffffff000101000001"
		"00"
		"000000",
		TL_ESTORAGE_CORRUPT},
	{"an agent of nobody", 1, AGENT, 1, "0101030000000161", TL_ESTORAGE_CORRUPT},
	{"a credential number is missing", 1, CREDENTIAL, 2, "01", TL_ESTORAGE_CORRUPT},
};

static void
damaged_rows_are_named(void **state)
{
	struct place *p = *state;

	tl_roster_free(p->at.roster);
	p->at.roster = NULL;
	for (size_t i = 0; i < COUNT(damages); i++) {
		struct tl_key key =
			tl_key_registry(damages[i].org_no, damages[i].kind, damages[i].no);
		struct tl_roster *roster = NULL;
		struct tl_why why = {""};
		uint8_t value[128];
		size_t value_bytes = strlen(damages[i].hex) / 2;
		char row[64];
		enum tl_err err;

		assert_true(tl_unhex(tl_slice_str(damages[i].hex), value, value_bytes));
		tl_write_put(p->at.write, TL_FAMILY_REGISTRY, tl_key_slice(&key),
			tl_slice_of(value, value_bytes));
		assert_int_equal(tl_write_commit(p->at.write, TL_SYNC, NULL), TL_OK);
		err = tl_roster_open(p->at.store, &roster, &why);
		if (err != damages[i].err)
			fail_msg("%s: %s: %s", damages[i].name, tl_err_name(err), why.text);
		assert_null(roster);
		snprintf(row, sizeof(row), "org=%u kind=%u no=%u", damages[i].org_no,
			damages[i].kind, damages[i].no);
		if (!strstr(why.text, row))
			fail_msg("%s: %s", damages[i].name, why.text);
		tl_write_delete(p->at.write, TL_FAMILY_REGISTRY, tl_key_slice(&key));
		assert_int_equal(tl_write_commit(p->at.write, TL_SYNC, NULL), TL_OK);
	}
	reopen(p);
}

struct reader {
	struct tl_roster *roster;
	_Atomic bool stop;
	_Atomic uint32_t pins;
};

/* In every snapshot, as many members as its generation says. */
static void *
read_snapshots(void *arg)
{
	struct reader *reader = arg;
	bool agrees = true;

	while (!atomic_load(&reader->stop)) {
		const struct tl_registry *registry = tl_registry_pin(reader->roster);
		const struct tl_org *org = tl_registry_org(registry, 1);
		uint64_t wanted = tl_registry_generation(registry) - 2;

		agrees = agrees && org->member_count == wanted;
		for (uint32_t i = 0; i < org->member_count; i++)
			agrees = agrees &&
				 tl_org_member_by_id(org, org->members[i]->id)->no == i + 1;
		tl_registry_unpin(registry);
		atomic_fetch_add(&reader->pins, 1);
	}
	return agrees ? reader : NULL;
}

static void
readers_see_whole_snapshots_while_the_writer_publishes(void **state)
{
	struct place *p = *state;
	struct reader reader = {.roster = p->at.roster};
	pthread_t threads[3];
	void *agreed;

	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_snapshots, &reader), 0);
	for (uint32_t i = 0; i < 300 || atomic_load(&reader.pins) < 300; i++) {
		place_begin(&p->at);
		need(p, i, "ada@example.org");
		tl_edit_publish(p->at.edit);
		p->at.edit = NULL;
	}
	atomic_store(&reader.stop, true);
	for (size_t i = 0; i < COUNT(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &agreed), 0);
		assert_non_null(agreed);
	}
}

static int
init_crypt(void **state)
{
	(void)state;
	return tl_crypt_init() == TL_OK ? 0 : -1;
}

#define EMPTY(test) cmocka_unit_test_setup_teardown(test, set_up_empty, tear_down)
#define WITH_ORG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EMPTY(an_empty_store_has_an_empty_registry),
		EMPTY(records_have_their_golden_bytes),
		EMPTY(a_new_start_reads_what_was_committed),
		EMPTY(numbers_go_on_after_a_new_start),
		WITH_ORG(a_pinned_snapshot_never_changes),
		WITH_ORG(an_org_that_nobody_changed_is_shared),
		WITH_ORG(an_edit_without_a_change_publishes_nothing),
		WITH_ORG(a_discarded_edit_leaves_nothing),
		WITH_ORG(a_member_appears_once),
		WITH_ORG(the_first_email_of_a_member_is_kept),
		WITH_ORG(the_next_event_brings_a_member_back_with_name_and_rate),
		WITH_ORG(an_event_accepts_an_invitation),
		WITH_ORG(many_members_of_one_edit_are_all_found),
		WITH_ORG(one_id_is_one_member),
		WITH_ORG(what_could_not_be_read_again_is_not_written),
		WITH_ORG(an_agent_appears_once_per_member_and_type),
		WITH_ORG(many_agents_are_all_found),
		WITH_ORG(the_live_enrolled_agent_stands_before_the_one_that_appeared),
		WITH_ORG(an_unenrolled_agent_stands_for_nobody),
		WITH_ORG(credentials_are_listed_by_org_in_order),
		WITH_ORG(a_credential_is_replaced_in_its_place),
		cmocka_unit_test(a_member_id_is_half_a_mac_of_the_email),
		WITH_ORG(damaged_rows_are_named),
		WITH_ORG(readers_see_whole_snapshots_while_the_writer_publishes),
	};

	return cmocka_run_group_tests(tests, init_crypt, NULL);
}
