#include "query_store.h"

static void
the_team_with_true_cost(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "ada@acme.test", "Ada", 7250);
	uint32_t bob = place_member(p, 0xbb, TL_MEMBER_ACTIVE, "bob@acme.test", "", -1);
	uint32_t rob = place_member(p, 0xdd, TL_MEMBER_REMOVED, "", "Rob", -1);
	uint32_t idle = place_member(p, 0xee, TL_MEMBER_ACTIVE, "", "Idle", 100);
	struct event *e;

	(void)state;
	place_member(p, 0x11, TL_MEMBER_PENDING, "pat@acme.test", "", -1);
	place_settings(p, true, false, 3);
	place_request(p, NOW_MS - 300 * DAY_MS, 0, ada, 1, 1000);
	place_request(p, NOW_MS - HOUR_MS, 0, ada, 1, 500);
	place_request(p, NOW_MS - HOUR_MS, 0, bob, 1, 70);
	place_request(p, NOW_MS - HOUR_MS, 0, rob, 1, 70);
	e = place_event(p, (struct event){.ts_ms = NOW_MS, .member = ada, .cost = -1});
	e->kind = TL_KIND_ACTIVITY;
	e->lines = 7;
	e->active_ms = 100;
	e = place_event(p, (struct event){.ts_ms = NOW_MS, .member = ada, .cost = -1});
	e->kind = TL_KIND_VIOLATION;
	e->fix_ms = 9 * MINUTE_MS;
	e = place_event(p, (struct event){.ts_ms = NOW_MS, .member = bob, .cost = -1});
	e->kind = TL_KIND_ACTIVITY;
	e->lines = 3;
	place_publish(p);

	ASK(p, "team");
	assert_int_equal(reply_count(p, ""), 5); /* v, ok, members, seats, used */
	assert_int_equal(reply_int(p, "seats"), 3);
	assert_int_equal(reply_int(p, "used"), 2); /* who left holds no seat */
	assert_int_equal(reply_count(p, "members"), 4);
	assert_string_equal(
		reply_text(p, "members.0.gitEmailHash"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_string_equal(reply_text(p, "members.0.email"), "ada@acme.test");
	assert_string_equal(reply_text(p, "members.0.displayName"), "Ada");
	assert_string_equal(reply_text(p, "members.0.lastActive"), "2026-11-20T14:20:00.000Z");
	assert_string_equal(reply_text(p, "members.0.firstSeen"), "2026-01-24T15:20:00.000Z");
	assert_string_equal(reply_text(p, "members.0.hourlyRate"), "72.50");
	assert_int_equal(reply_int(p, "members.0.events"), 2);
	assert_int_equal(reply_int(p, "members.0.cost_nusd"), 1500);
	/* 100 ms of 72.50 an hour are 2,013,888.8 nano-dollars */
	assert_int_equal(reply_int(p, "members.0.true_cost_nusd"), 1500 + 2013888);
	assert_int_equal(reply_int(p, "members.0.true_cost_per_line_nusd"), (1500 + 2013888) / 7);
	assert_int_equal(reply_int(p, "members.0.estimated_loss_nusd"), 10875000000LL);
	assert_true(reply_is_nil(p, "members.1.hourlyRate"));
	assert_int_equal(reply_int(p, "members.1.true_cost_nusd"), 70);
	assert_int_equal(reply_int(p, "members.1.true_cost_per_line_nusd"), 23);
	assert_true(reply_is_nil(p, "members.1.estimated_loss_nusd"));
	assert_string_equal(reply_text(p, "members.2.displayName"), "Idle");
	assert_true(reply_is_nil(p, "members.2.firstSeen"));
	assert_true(reply_is_nil(p, "members.2.true_cost_per_line_nusd"));
	assert_int_equal(reply_int(p, "members.2.estimated_loss_nusd"), 0);
	assert_true(reply_bool(p, "members.3.pending"));
	assert_int_equal(idle, 4);

	p->caller = (struct tl_caller){
		.type = TL_CREDENTIAL_PERSON, .org_no = p->org, .member_no = bob};
	ASK(p, "team");
	assert_int_equal(reply_count(p, "members"), 4);
	assert_int_equal(reply_at(p, "members.0.email").bytes, 0);
	assert_true(reply_is_nil(p, "members.0.hourlyRate"));
	assert_true(reply_is_nil(p, "members.0.true_cost_nusd"));
	assert_true(reply_is_nil(p, "members.0.estimated_loss_nusd"));
	assert_int_equal(reply_int(p, "members.0.cost_nusd"), 1500);
	assert_string_equal(reply_text(p, "members.1.email"), "bob@acme.test");
	place_settings(p, false, false, 3);
	place_publish(p);
	ASK(p, "team");
	assert_int_equal(reply_count(p, "members"), 1);
	assert_int_equal(reply_int(p, "used"), 2);
	place_close(p);
}

/* A team of more than a page is told a page at a time, each person once. */
static void
a_long_team_comes_in_pages(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t bob = 0;

	(void)state;
	for (uint32_t i = 0; i < TL_PAGE_ROWS + 1; i++)
		bob = place_member(p, (uint8_t)(i + 1), TL_MEMBER_ACTIVE, "", "", -1);
	place_member(p, 0xee, TL_MEMBER_REMOVED, "", "", -1);
	place_request(p, NOW_MS - HOUR_MS, 0, bob, 1, 70);
	place_publish(p);
	ASK(p, "team");
	assert_int_equal(reply_count(p, "members"), TL_PAGE_ROWS);
	assert_true(reply_bool(p, "truncated"));
	assert_string_equal(reply_text(p, "next_cursor"), "o50");
	assert_int_equal(reply_int(p, "used"), 1); /* of the whole team */
	ASK(p, "team", "cursor", "o50");
	assert_int_equal(reply_count(p, "members"), 1);
	assert_string_equal(
		reply_text(p, "members.0.gitEmailHash"), "33333333333333333333333333333333");
	assert_int_equal(reply_at(p, "next_cursor").bytes, 0);
	ASK(p, "team", "limit", "51");
	assert_int_equal(reply_count(p, "members"), 51);
	assert_int_equal(reply_count(p, ""), 5);
	p->caller = (struct tl_caller){
		.type = TL_CREDENTIAL_PERSON, .org_no = p->org, .member_no = bob};
	place_settings(p, false, false, 3);
	place_publish(p);
	ASK(p, "team");
	assert_int_equal(reply_count(p, "members"), 1);
	place_close(p);
}

static void
put_intake(struct place *p, int64_t day_ms, uint32_t source, const struct tl_intake_row *row)
{
	struct tl_key key = tl_key_intake(p->org, day_ms, source);
	struct tl_buf bytes;

	tl_buf_init(&bytes, 0);
	tl_intake_row_encode(row, &bytes);
	tl_write_put(p->write, TL_FAMILY_INTAKE, tl_key_slice(&key), tl_buf_slice(&bytes));
	tl_buf_fini(&bytes);
}

static void
reconcile_lists_days_and_sources(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t one = place_name(p, TL_NAME_TEXT, "tally_gw_11111111");
	uint32_t two = place_name(p, TL_NAME_TEXT, "tally_gw_22222222");
	struct tl_intake_row row = {.received = 10,
		.accepted = 6,
		.duplicate = 1,
		.replaced = 1,
		.conflict = 1,
		.rejected = 1,
		.late = 2,
		.unpriced = 3};

	(void)state;
	row.rejected_by[TL_ETIME_TOO_OLD] = 1;
	put_intake(p, tl_bucket_floor(TL_SPAN_1D, NOW_MS), one, &row);
	put_intake(p, tl_bucket_floor(TL_SPAN_1D, NOW_MS - DAY_MS), two, &row);
	put_intake(p, tl_bucket_floor(TL_SPAN_1D, NOW_MS - 20 * DAY_MS), one, &row);
	place_publish(p);
	ASK(p, "reconcile");
	assert_int_equal(reply_count(p, "rows"), 2);
	assert_string_equal(reply_text(p, "rows.0.day"), "2026-11-19");
	assert_string_equal(reply_text(p, "rows.0.source"), "tally_gw_22222222");
	assert_string_equal(reply_text(p, "rows.1.source"), "tally_gw_11111111");
	assert_int_equal(reply_int(p, "rows.1.received"), 10);
	assert_int_equal(reply_int(p, "rows.1.accepted"), 6);
	assert_int_equal(reply_int(p, "rows.1.conflict"), 1);
	assert_int_equal(reply_int(p, "rows.1.rejected_by.time_too_old"), 1);
	assert_int_equal(reply_count(p, "rows.1.rejected_by"), 1);
	assert_int_equal(reply_int(p, "rows.1.late"), 2);
	assert_int_equal(reply_int(p, "rows.1.unpriced"), 3);
	ASK(p, "reconcile", "limit", "1", "range", "30d");
	assert_int_equal(reply_count(p, "rows"), 1);
	assert_string_equal(reply_text(p, "rows.0.day"), "2026-10-31");
	assert_string_equal(reply_text(p, "next_cursor"), "o1");
	ASK(p, "reconcile", "limit", "1", "range", "30d", "cursor", "o2");
	assert_string_equal(reply_text(p, "rows.0.day"), "2026-11-20");
	assert_true(reply_is_nil(p, "next_cursor"));
	place_close(p);
}

static void
health_and_keys(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "", "Ada", -1);
	char key[TL_KEY_ID_BYTES], token[TL_TOKEN_BYTES_MAX];

	(void)state;
	place_agent(p, ada, "codex", key, token);
	place_request(p, NOW_MS, 0, ada, 1, 1);
	place_publish(p);
	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_AGENT};
	ASK(p, "health");
	assert_true(reply_bool(p, "ready"));
	assert_int_equal(reply_int(p, "as_of_ms"), NOW_MS);
	assert_int_equal(reply_at(p, "seq").bytes, 0);
	assert_int_equal(reply_at(p, "group_no").bytes, 0);
	assert_int_equal(reply_at(p, "rollup").bytes, 0);
	p->caller = (struct tl_caller){.is_operator = true};
	ASK(p, "health");
	assert_int_equal(reply_int(p, "seq"), 1);
	assert_int_equal(reply_int(p, "group_no"), 1);
	assert_int_equal(reply_int(p, "rollup.lag_groups"), 0);

	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_AGENT};
	assert_int_equal(place_try(p, "keys_resolve", "key", key, NULL), TL_EFORBIDDEN);
	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_GATEWAY, .org_no = p->org};
	ASK(p, "keys_resolve", "key", key);
	assert_string_equal(reply_text(p, "org"), "acme");
	assert_string_equal(reply_text(p, "member_id"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_string_equal(reply_text(p, "agent"), "codex");
	assert_string_equal(reply_text(p, "agent_id"), key);
	assert_true(reply_bool(p, "compression"));
	assert_false(reply_bool(p, "debug"));
	assert_true(reply_bool(p, "active"));
	ASK(p, "keys_resolve", "key", token);
	assert_string_equal(reply_text(p, "agent_id"), key);
	token[20] = token[20] == 'a' ? 'b' : 'a';
	assert_int_equal(place_try(p, "keys_resolve", "key", token, NULL), TL_ENOT_FOUND);
	assert_int_equal(place_try(p, "keys_resolve", NULL), TL_EBAD_PARAM);
	p->caller.org_no = p->org + 1;
	assert_int_equal(place_try(p, "keys_resolve", "key", key, NULL), TL_ENOT_FOUND);
	p->caller.org_no = 0; /* a gateway of every org */
	ASK(p, "keys_resolve", "key", key);
	assert_true(reply_bool(p, "active"));
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_team_with_true_cost),
		cmocka_unit_test(a_long_team_comes_in_pages),
		cmocka_unit_test(reconcile_lists_days_and_sources),
		cmocka_unit_test(health_and_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
