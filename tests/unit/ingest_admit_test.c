#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "ingest/admit.h"
#include "schema/base/crypt.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 2026-11-21T10:00:00Z */
#define NOW_MS 1795255200000LL
#define DAY_MS 86400000LL
#define EVENTS_MAX 16

/* Two orgs, their gateways, one of both, an admin, and people with and without keys. */
struct place {
	char dir[32];
	struct tl_store *store;
	struct tl_roster *roster;
	struct tl_write *write;
	struct tl_edit *edit;
	const struct tl_registry *registry;
	uint32_t acme, other;
	uint32_t ann, pat; /* active, pending */
	uint32_t ann_codex;
	char gateway[TL_TOKEN_BYTES_MAX];
	char all_orgs[TL_TOKEN_BYTES_MAX];
	char admin[TL_TOKEN_BYTES_MAX];
	char ann_token[TL_TOKEN_BYTES_MAX];
	char ann_key[TL_KEY_ID_BYTES];
	char old_key[TL_KEY_ID_BYTES]; /* revoked an hour ago */
	char other_key[TL_KEY_ID_BYTES];
	struct tl_map *members;
	struct tl_arena arena;
	struct tl_buf frame;
	struct tl_why why;
	struct admitted admitted;
	struct tl_wire_event events[EVENTS_MAX];
	uint32_t event_count;
	bool import;
	bool is_operator;
};

static uint32_t
put_org(struct place *p, const char *name)
{
	struct tl_org org = {.name = name, .created_ms = NOW_MS};
	uint32_t no = 0;

	memset(org.secret, name[0], sizeof(org.secret));
	assert_int_equal(tl_zone_get(tl_slice_str("UTC"), &org.zone, NULL), TL_OK);
	assert_int_equal(tl_edit_put_org(p->edit, &org, &no), TL_OK);
	return no;
}

static uint32_t
put_member(struct place *p, uint32_t org_no, const char *email, enum tl_member_state state)
{
	struct tl_member member = {
		.state = state,
		.rate_cents = -1,
		.email = email,
		.display_name = "",
	};
	uint32_t no = 0;

	tl_org_member_id(tl_edit_org(p->edit, org_no), tl_slice_str(email), member.id);
	assert_int_equal(tl_edit_put_member(p->edit, org_no, &member, &no), TL_OK);
	return no;
}

static uint32_t
put_agent(struct place *p, uint32_t org_no, uint32_t member_no, const char *type)
{
	struct tl_agent agent = {
		.member_no = member_no, .type = type, .enrolled = true, .live = true};
	uint32_t no = 0;

	assert_int_equal(tl_edit_put_agent(p->edit, org_no, &agent, &no), TL_OK);
	return no;
}

static void
put_credential(struct place *p, struct tl_credential credential, char *token_out, char *key_out)
{
	char token[TL_TOKEN_BYTES_MAX];

	credential.name = "";
	tl_token_make(credential.type, &credential, token);
	assert_int_equal(tl_edit_put_credential(p->edit, &credential), TL_OK);
	if (token_out)
		strcpy(token_out, token);
	if (key_out)
		strcpy(key_out, credential.key_id);
}

static void
fill_registry(struct place *p)
{
	uint32_t eve;

	p->acme = put_org(p, "Acme");
	p->other = put_org(p, "Other");
	p->ann = put_member(p, p->acme, "ann@acme.example", TL_MEMBER_ACTIVE);
	p->pat = put_member(p, p->acme, "pat@acme.example", TL_MEMBER_PENDING);
	eve = put_member(p, p->other, "eve@other.example", TL_MEMBER_ACTIVE);
	p->ann_codex = put_agent(p, p->acme, p->ann, "codex");
	put_agent(p, p->other, eve, "codex");
	put_credential(p, (struct tl_credential){.type = TL_CREDENTIAL_GATEWAY, .org_no = p->acme},
		p->gateway, NULL);
	put_credential(p, (struct tl_credential){.type = TL_CREDENTIAL_GATEWAY}, p->all_orgs, NULL);
	put_credential(p,
		(struct tl_credential){
			.type = TL_CREDENTIAL_PERSON, .org_no = p->acme, .is_admin = true},
		p->admin, NULL);
	put_credential(p,
		(struct tl_credential){.type = TL_CREDENTIAL_AGENT,
			.org_no = p->acme,
			.member_no = p->ann,
			.agent_no = p->ann_codex},
		p->ann_token, p->ann_key);
	put_credential(p,
		(struct tl_credential){.type = TL_CREDENTIAL_AGENT,
			.org_no = p->acme,
			.member_no = p->ann,
			.agent_no = p->ann_codex,
			.revoked_ms = NOW_MS - 3600000},
		NULL, p->old_key);
	put_credential(p,
		(struct tl_credential){.type = TL_CREDENTIAL_AGENT,
			.org_no = p->other,
			.member_no = eve,
			.agent_no = 1},
		NULL, p->other_key);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct tl_store_options options = {.create = true};

	assert_non_null(p);
	strcpy(p->dir, "/tmp/admit.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	options.dir = p->dir;
	assert_int_equal(tl_store_open(&options, &p->store, NULL), TL_OK);
	assert_int_equal(tl_write_new(p->store, &p->write), TL_OK);
	assert_int_equal(tl_roster_open(p->store, &p->roster, NULL), TL_OK);
	assert_int_equal(tl_edit_begin(p->roster, p->write, &p->edit), TL_OK);
	fill_registry(p);
	assert_int_equal(tl_write_commit(p->write, TL_SYNC, NULL), TL_OK);
	tl_edit_publish(p->edit);
	p->registry = tl_registry_pin(p->roster);
	assert_int_equal(tl_map_new(100, &p->members), TL_OK);
	tl_arena_init(&p->arena, (size_t)16 << 20);
	tl_buf_init(&p->frame, 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	char command[64];

	tl_buf_fini(&p->frame);
	tl_arena_fini(&p->arena);
	tl_map_free(p->members);
	tl_registry_unpin(p->registry);
	tl_roster_free(p->roster);
	tl_write_free(p->write);
	tl_store_close(p->store);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

/* One more event of the batch; the caller says who and what. */
static struct tl_wire_event *
add_event(struct place *p)
{
	struct tl_wire_event *event = &p->events[p->event_count++];

	assert_true(p->event_count <= EVENTS_MAX);
	*event = (struct tl_wire_event){
		.ts_ms = NOW_MS - 1000,
		.model = tl_slice_str("opus"),
		.status = 200,
		.cost_nusd = 5,
		.duration_ms = TL_WIRE_ABSENT,
	};
	tl_put_be64(event->id, p->event_count);
	event->id[15] = 1;
	return event;
}

static struct tl_wire_event *
add_email(struct place *p, const char *email, const char *agent)
{
	struct tl_wire_event *event = add_event(p);

	event->email = tl_slice_str(email);
	event->agent = tl_slice_str(agent);
	return event;
}

static struct tl_wire_event *
add_key(struct place *p, const char *key)
{
	struct tl_wire_event *event = add_event(p);

	event->key = tl_slice_str(key);
	return event;
}

static struct tl_wire_event *
add_link(struct place *p, enum tl_link_op op, const char *value)
{
	struct tl_wire_event *event = add_event(p);

	event->kind = TL_KIND_LINK;
	event->model = tl_slice_str("");
	event->session = tl_slice_str("s-1");
	event->link_op = op;
	event->value = tl_slice_str(value);
	return event;
}

static enum tl_err
admit(struct place *p, const char *token)
{
	struct admit_rules rules = {
		.now_ms = NOW_MS,
		.accept_past_days = 35,
		.retention_days = 400,
		.is_operator = p->is_operator,
		.members = p->members,
	};

	tl_arena_reset(&p->arena);
	tl_buf_reset(&p->frame);
	tl_batch_put_rows(&p->frame, tl_slice_str(token), tl_slice_str("b-1"), p->import, p->events,
		p->event_count);
	assert_int_equal(p->frame.err, TL_OK);
	p->admitted = (struct admitted){0};
	return admit_batch(
		tl_buf_slice(&p->frame), p->registry, &rules, &p->arena, &p->admitted, &p->why);
}

#define ADMIT(p, token) assert_int_equal(admit(p, token), TL_OK)

static int64_t
get(struct place *p, enum tl_column column, uint32_t row_idx)
{
	assert_true(row_idx < p->admitted.batch.row_count);
	return tl_batch_get(&p->admitted.batch, column, row_idx);
}

static const struct tl_symbol *
symbol(struct place *p, enum tl_column column, uint32_t row_idx)
{
	return &p->admitted.batch.symbols[get(p, column, row_idx)];
}

static void
check_reject(struct place *p, uint32_t at, uint32_t event_idx, enum tl_err err)
{
	const struct tl_reject *reject = &p->admitted.batch.rejects[at];

	assert_true(at < p->admitted.batch.reject_count);
	assert_int_equal(reject->event_idx, event_idx);
	assert_string_equal(tl_err_name(reject->err), tl_err_name(err));
	assert_memory_equal(reject->id, p->events[event_idx].id, 16);
}

static void
a_key_gives_org_member_and_agent(void **state)
{
	struct place *p = *state;

	add_key(p, p->ann_key);
	ADMIT(p, p->gateway);
	assert_int_equal(p->admitted.batch.row_count, 1);
	assert_int_equal(get(p, TL_COL_ORG, 0), p->acme);
	assert_int_equal(get(p, TL_COL_MEMBER, 0), p->ann);
	assert_int_equal(get(p, TL_COL_AGENT, 0), p->ann_codex);
	assert_null(p->admitted.batch.column[TL_COL_MEMBER_ID]);
	assert_int_equal(p->admitted.caller.org_no, p->acme);
}

static void
a_key_that_is_unknown_foreign_or_revoked_refuses_its_event_alone(void **state)
{
	struct place *p = *state;

	add_key(p, "tally_ca_nobody00");
	add_key(p, p->ann_key);
	add_key(p, p->other_key);
	add_key(p, p->old_key);
	add_key(p, p->old_key)->ts_ms = NOW_MS - 3600000;
	add_key(p, p->old_key)->ts_ms = NOW_MS - 3600001;
	ADMIT(p, p->gateway);
	assert_int_equal(p->admitted.batch.row_count, 2);
	assert_int_equal(p->admitted.batch.event_idx[0], 1);
	assert_int_equal(p->admitted.batch.event_idx[1], 5);
	assert_memory_equal(p->admitted.batch.id[1], p->events[5].id, 16);
	assert_int_equal(get(p, TL_COL_TS, 1), NOW_MS - 3600001);
	assert_int_equal(p->admitted.batch.reject_count, 4);
	check_reject(p, 0, 0, TL_EKEY_UNKNOWN);
	check_reject(p, 1, 2, TL_EKEY_UNKNOWN); /* another org's: told as one that is not */
	check_reject(p, 2, 3, TL_EKEY_REVOKED);
	check_reject(p, 3, 4, TL_EKEY_REVOKED);
	assert_string_equal(p->admitted.batch.rejects[0].field, "key");
	assert_string_equal(p->admitted.batch.rejects[0].got, "tally_ca_nobody00");
}

static void
a_gateway_of_every_org_takes_the_org_from_the_key(void **state)
{
	struct place *p = *state;

	add_key(p, p->other_key);
	add_email(p, "ann@acme.example", "codex");
	add_key(p, p->ann_key);
	add_key(p, "tally_ca_nobody00");
	add_event(p);
	ADMIT(p, p->all_orgs);
	assert_int_equal(p->admitted.batch.row_count, 2);
	assert_int_equal(get(p, TL_COL_ORG, 0), p->other);
	assert_int_equal(get(p, TL_COL_ORG, 1), p->acme);
	check_reject(p, 0, 1, TL_EORG_UNKNOWN);
	check_reject(p, 1, 3, TL_EORG_UNKNOWN);
	check_reject(p, 2, 4, TL_EORG_UNKNOWN);
}

static void
a_known_email_is_a_member_and_leaves_nothing_to_the_writer(void **state)
{
	struct place *p = *state;

	/* Twice: the second time from the worker's memory. */
	for (int round = 0; round < 2; round++) {
		p->event_count = 0;
		add_email(p, " Ann@Acme.example", "codex");
		add_email(p, "ann@acme.example", "");
		ADMIT(p, p->gateway);
		assert_int_equal(get(p, TL_COL_MEMBER, 0), p->ann);
		assert_int_equal(get(p, TL_COL_AGENT, 0), p->ann_codex);
		assert_int_equal(get(p, TL_COL_MEMBER, 1), p->ann);
		assert_int_equal(get(p, TL_COL_AGENT, 1), 0);
		assert_null(p->admitted.batch.column[TL_COL_EMAIL]);
		assert_null(p->admitted.batch.column[TL_COL_MEMBER_ID]);
		assert_null(p->admitted.batch.column[TL_COL_AGENT_TYPE]);
	}
	assert_int_equal(tl_map_count(p->members), 1);
}

static void
an_email_of_nobody_is_left_to_the_writer_with_its_id(void **state)
{
	struct place *p = *state;
	uint8_t id[16];

	add_email(p, "new@acme.example", "codex");
	add_email(p, "ann@acme.example", "claude_code");
	ADMIT(p, p->gateway);
	tl_org_member_id(
		tl_registry_org(p->registry, p->acme), tl_slice_str("new@acme.example"), id);
	assert_int_equal(get(p, TL_COL_MEMBER, 0), 0);
	assert_int_equal(symbol(p, TL_COL_MEMBER_ID, 0)->kind, TL_NAME_MEMBER);
	assert_memory_equal(symbol(p, TL_COL_MEMBER_ID, 0)->text.data, id, 16);
	assert_int_equal(symbol(p, TL_COL_EMAIL, 0)->text.bytes, strlen("new@acme.example"));
	assert_int_equal(symbol(p, TL_COL_AGENT_TYPE, 0)->text.bytes, strlen("codex"));
	/* A known member's new agent: the type alone. */
	assert_int_equal(get(p, TL_COL_MEMBER, 1), p->ann);
	assert_int_equal(get(p, TL_COL_MEMBER_ID, 1), 0);
	assert_int_equal(get(p, TL_COL_EMAIL, 1), 0);
	assert_true(get(p, TL_COL_AGENT_TYPE, 1) != 0);
}

static void
a_pending_member_is_shown_to_the_writer(void **state)
{
	struct place *p = *state;

	add_email(p, "pat@acme.example", "");
	ADMIT(p, p->gateway);
	assert_int_equal(get(p, TL_COL_MEMBER, 0), p->pat);
	assert_true(get(p, TL_COL_MEMBER_ID, 0) != 0);
}

static void
a_member_id_names_a_member(void **state)
{
	struct place *p = *state;
	const struct tl_org *org = tl_registry_org(p->registry, p->acme);
	char hex[33];

	tl_hex(tl_org_member(org, p->ann)->id, 16, hex);
	add_event(p)->member_hex = tl_slice_str(hex);
	add_event(p)->member_hex = tl_slice_str("00112233445566778899aabbccddeeff");
	ADMIT(p, p->gateway);
	assert_int_equal(get(p, TL_COL_MEMBER, 0), p->ann);
	assert_int_equal(get(p, TL_COL_MEMBER_ID, 0), 0);
	assert_int_equal(get(p, TL_COL_MEMBER, 1), 0);
	assert_int_equal(symbol(p, TL_COL_MEMBER_ID, 1)->text.data[1], 0x11);
}

static void
an_agent_of_nobody_is_nobody(void **state)
{
	struct place *p = *state;

	add_event(p)->agent = tl_slice_str("codex");
	ADMIT(p, p->gateway);
	assert_int_equal(get(p, TL_COL_MEMBER, 0), 0);
	assert_int_equal(get(p, TL_COL_AGENT, 0), 0);
	assert_null(p->admitted.batch.column[TL_COL_AGENT_TYPE]);
}

static void
links_become_a_repo_and_a_number(void **state)
{
	struct place *p = *state;

	add_link(p, TL_LINK_SET_REPO, "git@github.com:Acme/Web.git");
	add_link(p, TL_LINK_ADD_PR, "https://github.com/acme/web/pull/17");
	add_link(p, TL_LINK_ADD_PR, "#8");
	add_link(p, TL_LINK_ADD_COMMIT, "ABCDEF0123");
	add_link(p, TL_LINK_SET_NAME, "fix #9");
	ADMIT(p, p->gateway);
	assert_int_equal(p->admitted.batch.row_count, 5);
	assert_int_equal(symbol(p, TL_COL_REPO, 0)->kind, TL_NAME_REPO);
	assert_memory_equal(symbol(p, TL_COL_REPO, 0)->text.data, "github.com/acme/web", 19);
	assert_int_equal(symbol(p, TL_COL_REPO, 0)->text.bytes, 19);
	assert_int_equal(get(p, TL_COL_PR, 0), 0);
	assert_int_equal(get(p, TL_COL_VALUE, 0), 0);
	assert_int_equal(get(p, TL_COL_REPO, 1), get(p, TL_COL_REPO, 0));
	assert_int_equal(get(p, TL_COL_PR, 1), 17);
	assert_int_equal(get(p, TL_COL_VALUE, 1), 0);
	assert_int_equal(get(p, TL_COL_REPO, 2), 0);
	assert_int_equal(get(p, TL_COL_PR, 2), 8);
	assert_int_equal(get(p, TL_COL_VALUE, 2), 0);
	assert_memory_equal(symbol(p, TL_COL_VALUE, 3)->text.data, "abcdef0123", 10);
	assert_memory_equal(symbol(p, TL_COL_VALUE, 4)->text.data, "fix #9", 6);
	assert_int_equal(get(p, TL_COL_PR, 4), 0);
}

static void
only_a_gateway_pushes_and_only_an_admin_imports(void **state)
{
	struct place *p = *state;

	add_event(p);
	assert_int_equal(admit(p, ""), TL_EUNAUTHENTICATED);
	assert_int_equal(admit(p, "tally_gw_nonsense"), TL_EUNAUTHENTICATED);
	assert_int_equal(admit(p, p->admin), TL_EFORBIDDEN);
	ADMIT(p, p->gateway);
	p->import = true;
	assert_int_equal(admit(p, p->gateway), TL_EFORBIDDEN);
	ADMIT(p, p->admin);
	assert_int_equal(get(p, TL_COL_ORG, 0), p->acme);
}

static void
the_operator_needs_no_token_but_a_key_in_each_event(void **state)
{
	struct place *p = *state;

	p->is_operator = true;
	add_key(p, p->ann_key);
	add_event(p);
	ADMIT(p, "");
	assert_true(p->admitted.caller.is_operator);
	assert_int_equal(p->admitted.batch.row_count, 1);
	check_reject(p, 0, 1, TL_EORG_UNKNOWN);
}

static void
an_import_reaches_back_to_the_retention(void **state)
{
	struct place *p = *state;

	add_event(p)->ts_ms = NOW_MS - 35 * DAY_MS;
	add_event(p)->ts_ms = NOW_MS - 35 * DAY_MS - 1;
	add_event(p)->ts_ms = NOW_MS - 400 * DAY_MS;
	add_event(p)->ts_ms = NOW_MS - 400 * DAY_MS - 1;
	add_event(p)->ts_ms = NOW_MS + 300000;
	add_event(p)->ts_ms = NOW_MS + 300001;
	ADMIT(p, p->gateway);
	assert_int_equal(p->admitted.batch.row_count, 2);
	check_reject(p, 0, 1, TL_ETIME_TOO_OLD);
	check_reject(p, 3, 5, TL_ETIME_IN_FUTURE);
	p->import = true;
	ADMIT(p, p->admin);
	assert_int_equal(p->admitted.batch.row_count, 4);
	check_reject(p, 0, 3, TL_ETIME_TOO_OLD);
}

/* A batch up to its events, under a token of nobody. */
#define STRANGER                          \
	"\x83\xa1v\x01\xa5token\xa1t\xa6" \
	"events"

static void
a_frame_that_is_no_batch_is_refused_whole(void **state)
{
	static const struct {
		const char *name;
		struct tl_slice frame;
		enum tl_err err;
	} cases[] = {
		{"nothing", {NULL, 0}, TL_EFRAME_MALFORMED},
		{"not a map", {(const uint8_t *)"\x93\x01\x02\x03", 4}, TL_EFRAME_MALFORMED},
		{"cut short", {(const uint8_t *)"\x82\xa1v", 3}, TL_EFRAME_MALFORMED},
		{"no version", {(const uint8_t *)"\x80", 1}, TL_EVERSION_UNSUPPORTED},
		{"a stranger's", {(const uint8_t *)STRANGER "\x91\x80", 21}, TL_EUNAUTHENTICATED},
		{"a stranger's, cut in its events", {(const uint8_t *)STRANGER "\x92\x80", 21},
			TL_EFRAME_MALFORMED},
	};
	struct place *p = *state;
	struct admit_rules rules = {.now_ms = NOW_MS};

	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("%s\n", cases[i].name);
		assert_int_equal(admit_batch(cases[i].frame, p->registry, &rules, &p->arena,
					 &p->admitted, &p->why),
			cases[i].err);
	}
}

static void
an_agents_key_pushes_what_is_its_own(void **state)
{
	struct place *p = *state;
	struct tl_wire_event *event;
	uint8_t id[2][16];

	event = add_event(p);
	event->pr = 7;
	event->repo = tl_slice_str("acme/api");
	event->tag = tl_slice_str("mine");
	add_key(p, p->ann_key);
	add_link(p, TL_LINK_ADD_PR, "#5");
	ADMIT(p, p->ann_token);
	assert_int_equal(p->admitted.batch.row_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(get(p, TL_COL_ORG, i), p->acme);
		assert_int_equal(get(p, TL_COL_MEMBER, i), p->ann);
		assert_int_equal(get(p, TL_COL_AGENT, i), p->ann_codex);
		assert_true(tl_slice_eq(
			symbol(p, TL_COL_TAGS, i)->text, tl_slice_str("\x0f"
								      "client_reported")));
	}
	/* On usage a pull request is a link to its session; on a link it is what is linked. */
	assert_int_equal(get(p, TL_COL_PR, 0), 0);
	assert_int_equal(p->admitted.batch.dropped_tag_count, 1);
	assert_int_equal(get(p, TL_COL_PR, 2), 5);
	assert_string_equal(p->admitted.caller.key_id, p->ann_key);
	/* The same event has the same id again, and never the one it came with. */
	memcpy(id, p->admitted.batch.id, sizeof(id));
	assert_memory_not_equal(id[0], p->events[0].id, 16);
	assert_memory_not_equal(id[0], id[1], 16);
	ADMIT(p, p->ann_token);
	assert_memory_equal(id, p->admitted.batch.id, sizeof(id));
}

static void
an_agents_key_speaks_for_nobody_else(void **state)
{
	struct place *p = *state;

	add_email(p, "pat@acme.example", "codex");
	add_event(p)->member_hex = tl_slice_str("00000000000000000000000000000007");
	add_key(p, p->old_key);
	add_key(p, p->other_key);
	add_key(p, "tally_ca_00000000");
	add_event(p);
	ADMIT(p, p->ann_token);
	assert_int_equal(p->admitted.batch.row_count, 1);
	assert_int_equal(p->admitted.batch.reject_count, 5);
	for (uint32_t i = 0; i < 5; i++)
		check_reject(p, i, i, TL_EFORBIDDEN);
	assert_string_equal(p->admitted.batch.rejects[0].field, "email");
	assert_string_equal(p->admitted.batch.rejects[1].field, "member");
	assert_string_equal(p->admitted.batch.rejects[2].field, "key");
	p->import = true;
	assert_int_equal(admit(p, p->ann_token), TL_EFORBIDDEN);
	p->import = false;
	p->event_count = 0;
	assert_int_equal(admit(p, p->ann_token), TL_EBATCH_EMPTY);
	assert_int_equal(admit(p, "nobody"), TL_EUNAUTHENTICATED);
	assert_int_equal(admit(p, p->admin), TL_EFORBIDDEN);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_gives_org_member_and_agent),
		TEST(a_key_that_is_unknown_foreign_or_revoked_refuses_its_event_alone),
		TEST(a_gateway_of_every_org_takes_the_org_from_the_key),
		TEST(a_known_email_is_a_member_and_leaves_nothing_to_the_writer),
		TEST(an_email_of_nobody_is_left_to_the_writer_with_its_id),
		TEST(a_pending_member_is_shown_to_the_writer),
		TEST(a_member_id_names_a_member),
		TEST(an_agent_of_nobody_is_nobody),
		TEST(links_become_a_repo_and_a_number),
		TEST(only_a_gateway_pushes_and_only_an_admin_imports),
		TEST(the_operator_needs_no_token_but_a_key_in_each_event),
		TEST(an_agents_key_pushes_what_is_its_own),
		TEST(an_agents_key_speaks_for_nobody_else),
		TEST(an_import_reaches_back_to_the_retention),
		TEST(a_frame_that_is_no_batch_is_refused_whole),
	};

	if (tl_crypt_init() != TL_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
