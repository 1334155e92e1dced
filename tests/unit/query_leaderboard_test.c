#include "query_store.h"

/* Three people, a pending one, one that left; usage of known sums. */
struct team {
	struct place *p;
	uint32_t ada, bob, cyd, pat, rob;
};

static struct team
make_team(const char *tz)
{
	struct team t = {.p = place_open(tz)};

	t.ada = place_member(t.p, 0xaa, TL_MEMBER_ACTIVE, "ada@acme.test", "Ada", -1);
	t.bob = place_member(t.p, 0xbb, TL_MEMBER_ACTIVE, "bob@acme.test", "", -1);
	t.cyd = place_member(t.p, 0xcc, TL_MEMBER_ACTIVE, "", "", -1);
	t.pat = place_member(t.p, 0x11, TL_MEMBER_PENDING, "pat@acme.test", "", -1);
	t.rob = place_member(t.p, 0xdd, TL_MEMBER_REMOVED, "rob@acme.test", "Rob", -1);
	return t;
}

/* DESIGN 8.5, for whatever is in the reply. */
static void
check_sums(struct place *p)
{
	int64_t org = reply_int(p, "org.value");
	int64_t sum = reply_int(p, "unattributed.value");
	uint32_t count = reply_count(p, "members");
	char path[64];

	for (uint32_t i = 0; i < count; i++) {
		int64_t value;

		snprintf(path, sizeof(path), "members.%u.value", i);
		value = reply_int(p, path);
		snprintf(path, sizeof(path), "members.%u.spark", i);
		assert_int_equal(reply_count(p, path), reply_int(p, "window.bins"));
		assert_int_equal(reply_sum(p, path), value);
		sum += value;
	}
	assert_int_equal(sum, org);
	assert_int_equal(reply_sum(p, "org.spark"), org);
	assert_int_equal(reply_sum(p, "unattributed.spark"), reply_int(p, "unattributed.value"));
	assert_int_equal(reply_count(p, "window.bin_edges_ms"), reply_int(p, "window.bins") + 1);
}

static void
the_board_ranks_by_the_metric_and_adds_up(void **state)
{
	struct team t = make_team("UTC");
	struct place *p = t.p;
	struct session *one = place_session(p, "session-1");
	struct session *two = place_session(p, "session-2");

	(void)state;
	place_request(p, NOW_MS - 10 * MINUTE_MS, one->no, t.ada, 100, 5000);
	place_request(p, NOW_MS - 2 * DAY_MS, one->no, t.ada, 200, 7000);
	place_request(p, NOW_MS - 3 * DAY_MS, two->no, t.ada, 0, 0);
	place_request(p, NOW_MS - 2 * HOUR_MS, two->no, t.bob, 1000, 3000);
	place_request(p, NOW_MS - 26 * HOUR_MS, 0, 0, 50, 11000);
	place_request(p, NOW_MS - 8 * DAY_MS, two->no, t.bob, 10, 900);
	place_request(p, NOW_MS - 9 * DAY_MS, two->no, t.ada, 10, 800);
	place_publish(p);

	ASK(p, "leaderboard");
	assert_int_equal(reply_int(p, "v"), 1);
	assert_true(reply_bool(p, "ok"));
	assert_int_equal(reply_int(p, "as_of_ms"), NOW_MS);
	assert_int_equal(reply_int(p, "seq"), 7);
	assert_string_equal(reply_text(p, "window.range"), "7d");
	assert_string_equal(reply_text(p, "window.tz"), "UTC");
	assert_int_equal(reply_int(p, "window.bins"), 28);
	assert_string_equal(reply_text(p, "metric"), "cost");
	assert_string_equal(reply_text(p, "tokens_rule"), "all");
	assert_false(reply_bool(p, "truncated"));
	assert_true(reply_is_nil(p, "next_cursor"));

	assert_int_equal(reply_int(p, "org.cost_nusd"), 26000);
	assert_int_equal(reply_int(p, "org.requests"), 5);
	assert_int_equal(reply_int(p, "org.sessions"), 2);
	assert_int_equal(reply_count(p, "members"), 4); /* who left without usage is not listed */
	assert_int_equal(reply_int(p, "members.0.rank"), 1);
	assert_string_equal(reply_text(p, "members.0.badge"), "gold");
	assert_string_equal(reply_text(p, "members.0.display_name"), "Ada");
	assert_string_equal(reply_text(p, "members.0.email"), "ada@acme.test");
	assert_string_equal(
		reply_text(p, "members.0.email_hash"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(reply_int(p, "members.0.value"), 12000);
	assert_int_equal(reply_int(p, "members.0.requests"), 3);
	assert_int_equal(reply_int(p, "members.0.sessions"), 2);
	assert_int_equal(reply_int(p, "members.0.share_ppm"), 461538);
	assert_int_equal(reply_int(p, "members.0.prev_rank"), 2);
	assert_int_equal(reply_int(p, "members.0.prev_value"), 800);
	assert_int_equal(reply_int(p, "members.0.last_used_ms"), NOW_MS - 10 * MINUTE_MS);
	assert_true(reply_bool(p, "members.0.active_now"));
	assert_int_equal(reply_int(p, "members.0.spark.27"), 5000);
	assert_string_equal(reply_text(p, "members.1.display_name"), "bob@acme.test");
	assert_int_equal(reply_int(p, "members.1.prev_rank"), 1);
	assert_false(reply_bool(p, "members.1.active_now"));
	assert_true(reply_is_nil(p, "members.2.rank"));
	assert_true(reply_is_nil(p, "members.2.badge"));
	assert_true(reply_is_nil(p, "members.2.last_used_ms"));
	assert_string_equal(reply_text(p, "members.2.display_name"), "cccccccccccccccc...");
	assert_true(reply_bool(p, "members.3.pending"));
	assert_int_equal(reply_int(p, "unattributed.value"), 11000);
	check_sums(p);

	ASK(p, "leaderboard", "metric", "tokens");
	assert_int_equal(reply_int(p, "members.0.value"), 1000);
	assert_string_equal(reply_text(p, "members.0.display_name"), "bob@acme.test");
	check_sums(p);
	place_close(p);
}

static void
equal_values_share_a_rank_and_zero_has_no_badge(void **state)
{
	struct team t = make_team("UTC");
	struct place *p = t.p;

	(void)state;
	place_request(p, NOW_MS - HOUR_MS, 0, t.cyd, 1, 500);
	place_request(p, NOW_MS - HOUR_MS, 0, t.bob, 1, 500);
	place_request(p, NOW_MS - HOUR_MS, 0, t.ada, 1, 100);
	place_request(p, NOW_MS - HOUR_MS, 0, t.rob, 1, 0);
	place_publish(p);
	ASK(p, "leaderboard", "range", "24h");
	assert_int_equal(reply_int(p, "members.0.rank"), 1);
	assert_string_equal(reply_text(p, "members.0.display_name"), "bob@acme.test");
	assert_int_equal(reply_int(p, "members.1.rank"), 1);
	assert_int_equal(reply_int(p, "members.2.rank"), 3);
	assert_string_equal(reply_text(p, "members.2.badge"), "bronze");
	assert_int_equal(reply_int(p, "members.3.rank"), 4);
	assert_true(reply_bool(p, "members.3.removed"));
	assert_true(reply_is_nil(p, "members.3.badge"));
	assert_true(reply_is_nil(p, "members.0.prev_rank"));
	assert_int_equal(reply_int(p, "members.0.prev_value"), 0);
	check_sums(p);
	place_close(p);
}

static void
pages_follow_each_other(void **state)
{
	struct team t = make_team("UTC");
	struct place *p = t.p;

	(void)state;
	place_request(p, NOW_MS - HOUR_MS, 0, t.ada, 1, 500);
	place_request(p, NOW_MS - HOUR_MS, 0, t.bob, 1, 400);
	place_request(p, NOW_MS - HOUR_MS, 0, t.cyd, 1, 300);
	place_publish(p);
	ASK(p, "leaderboard", "limit", "2");
	assert_int_equal(reply_count(p, "members"), 2);
	assert_true(reply_bool(p, "truncated"));
	assert_string_equal(reply_text(p, "next_cursor"), "o2");
	assert_int_equal(reply_int(p, "org.value"), 1200);
	ASK(p, "leaderboard", "limit", "2", "cursor", "o2");
	assert_int_equal(reply_count(p, "members"), 2);
	assert_int_equal(reply_int(p, "members.0.value"), 300);
	assert_int_equal(reply_int(p, "members.0.rank"), 3);
	assert_false(reply_bool(p, "truncated"));
	ASK(p, "leaderboard", "cursor", "o99");
	assert_int_equal(reply_count(p, "members"), 0);
	assert_int_equal(place_try(p, "leaderboard", "cursor", "x2", NULL), TL_ECURSOR_INVALID);
	assert_int_equal(place_try(p, "leaderboard", "cursor", "o", NULL), TL_ECURSOR_INVALID);
	assert_int_equal(place_try(p, "leaderboard", "cursor", "o2x", NULL), TL_ECURSOR_INVALID);
	place_close(p);
}

/* Ties, zeros and people without usage, page by page and all at once. */
static void
any_page_is_a_part_of_the_whole(void **state)
{
	struct place *p = place_open("UTC");
	char ids[60][33], path[48], cursor[8];
	int64_t ranks[60], values[60];

	(void)state;
	for (uint8_t i = 0; i < 60; i++) {
		uint32_t no = place_member(p, (uint8_t)(i * 37 + 1),
			i % 7 ? TL_MEMBER_ACTIVE : TL_MEMBER_PENDING, "", "", -1);

		if (i % 4 != 0)
			place_request(p, NOW_MS - HOUR_MS, 0, no, 1, i * 5 % 11);
	}
	place_publish(p);
	ASK(p, "leaderboard", "limit", "1000");
	assert_int_equal(reply_count(p, "members"), 60);
	for (uint32_t i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "members.%u.member_id", i);
		strcpy(ids[i], reply_text(p, path));
		snprintf(path, sizeof(path), "members.%u.rank", i);
		ranks[i] = reply_is_nil(p, path) ? 0 : reply_int(p, path);
		snprintf(path, sizeof(path), "members.%u.value", i);
		values[i] = reply_int(p, path);
		if (i > 0 && ranks[i] != 0) {
			assert_true(values[i] <= values[i - 1]);
			assert_int_equal(
				ranks[i], values[i] == values[i - 1] ? ranks[i - 1] : i + 1);
			if (values[i] == values[i - 1])
				assert_true(strcmp(ids[i - 1], ids[i]) < 0);
		}
	}
	for (uint32_t first = 0; first < 60; first += 7) {
		snprintf(cursor, sizeof(cursor), "o%u", first);
		ASK(p, "leaderboard", "limit", "7", "cursor", cursor);
		for (uint32_t i = 0; i < reply_count(p, "members"); i++) {
			snprintf(path, sizeof(path), "members.%u.member_id", i);
			assert_string_equal(reply_text(p, path), ids[first + i]);
			snprintf(path, sizeof(path), "members.%u.rank", i);
			assert_int_equal(
				reply_is_nil(p, path) ? 0 : reply_int(p, path), ranks[first + i]);
		}
	}
	place_close(p);
}

static void
a_half_hour_zone_cuts_at_its_own_clock(void **state)
{
	struct team t = make_team("Asia/Kolkata");
	struct place *p = t.p;
	int64_t midnight_ms = NOW_MS - NOW_MS % DAY_MS - (5 * HOUR_MS + 30 * MINUTE_MS);

	(void)state;
	place_request(p, midnight_ms - 1, 0, t.ada, 1, 1);
	place_request(p, midnight_ms, 0, t.ada, 1, 10);
	place_request(p, midnight_ms + 20 * MINUTE_MS, 0, t.bob, 1, 100);
	place_publish(p);
	ASK(p, "leaderboard", "range", "30d");
	assert_int_equal(reply_int(p, "window.bin_edges_ms.29"), midnight_ms);
	assert_int_equal(reply_int(p, "org.spark.28"), 1);
	assert_int_equal(reply_int(p, "org.spark.29"), 110);
	check_sums(p);
	ASK(p, "leaderboard", "range", "24h", "tz", "Asia/Kathmandu");
	assert_int_equal((reply_int(p, "window.start_ms") / MINUTE_MS) % 60, 15);
	check_sums(p);
	place_close(p);
}

static void
a_day_of_25_hours_is_a_day(void **state)
{
	struct team t = make_team("Europe/Berlin");
	struct place *p = t.p;
	int64_t start_ms = 1792879200000LL; /* 2026-10-25T00:00 in Berlin, 25 hours long */

	(void)state;
	place_request(p, start_ms - 1, 0, t.ada, 1, 1);
	for (int hour = 0; hour < 25; hour++)
		place_request(p, start_ms + hour * HOUR_MS, 0, t.ada, 1, 10);
	place_request(p, start_ms + 25 * HOUR_MS, 0, t.ada, 1, 1000);
	place_publish(p);
	ASK(p, "leaderboard", "range", "30d");
	for (int i = 0; i < 30; i++) {
		char path[64];

		snprintf(path, sizeof(path), "window.bin_edges_ms.%d", i);
		if (reply_int(p, path) != start_ms)
			continue;
		snprintf(path, sizeof(path), "org.spark.%d", i);
		assert_int_equal(reply_int(p, path), 250);
		snprintf(path, sizeof(path), "org.spark.%d", i - 1);
		assert_int_equal(reply_int(p, path), 1);
		snprintf(path, sizeof(path), "org.spark.%d", i + 1);
		assert_int_equal(reply_int(p, path), 1000);
		check_sums(p);
		place_close(p);
		return;
	}
	fail_msg("no bin starts with that day");
}

static void
agents_come_with_their_keys_and_last_use(void **state)
{
	struct team t = make_team("UTC");
	struct place *p = t.p;
	char key[TL_KEY_ID_BYTES];
	uint32_t enrolled = place_agent(p, t.ada, "codex", key, NULL);
	uint32_t appeared = place_agent(p, t.ada, "claude_code", NULL, NULL);

	(void)state;
	place_request(p, NOW_MS - 40 * DAY_MS, 0, t.ada, 1, 1)->agent = appeared;
	place_publish(p);
	assert_int_equal(enrolled, 1);
	ASK(p, "leaderboard");
	assert_int_equal(reply_count(p, "members.0.agents"), 2);
	assert_string_equal(reply_text(p, "members.0.agents.0.agent_id"), key);
	assert_string_equal(reply_text(p, "members.0.agents.0.type"), "codex");
	assert_true(reply_bool(p, "members.0.agents.0.never_used"));
	assert_true(reply_is_nil(p, "members.0.agents.0.last_used_ms"));
	assert_string_equal(reply_text(p, "members.0.agents.1.agent_id"), "2");
	assert_false(reply_bool(p, "members.0.agents.1.never_used"));
	assert_int_equal(reply_int(p, "members.0.agents.1.last_used_ms"), NOW_MS - 40 * DAY_MS);
	assert_int_equal(reply_int(p, "members.0.last_used_ms"), NOW_MS - 40 * DAY_MS);
	place_close(p);
}

static void
hidden_peers_leave_the_own_row(void **state)
{
	struct team t = make_team("UTC");
	struct place *p = t.p;

	(void)state;
	place_request(p, NOW_MS - HOUR_MS, 0, t.ada, 1, 500);
	place_request(p, NOW_MS - HOUR_MS, 0, t.bob, 1, 400);
	place_settings(p, false, false, 0);
	place_publish(p);
	p->caller = (struct tl_caller){
		.type = TL_CREDENTIAL_PERSON, .org_no = p->org, .member_no = t.bob};
	ASK(p, "leaderboard");
	assert_int_equal(reply_int(p, "org.value"), 900);
	assert_int_equal(reply_count(p, "members"), 1);
	assert_int_equal(reply_int(p, "members.0.rank"), 2);
	assert_int_equal(reply_int(p, "members.0.value"), 400);
	assert_true(reply_is_nil(p, "unattributed"));
	assert_string_equal(reply_text(p, "members.0.email"), "bob@acme.test");
	p->caller.type = TL_CREDENTIAL_SERVICE;
	ASK(p, "leaderboard");
	assert_int_equal(reply_count(p, "members"), 4);
	assert_string_equal(reply_text(p, "members.0.display_name"), "Ada");
	assert_int_equal(reply_at(p, "members.0.email").bytes, 0);
	place_settings(p, true, false, 0);
	place_publish(p);
	p->caller.type = TL_CREDENTIAL_PERSON;
	ASK(p, "leaderboard");
	assert_int_equal(reply_count(p, "members"), 4);
	assert_int_equal(reply_at(p, "members.0.email").bytes, 0);
	assert_string_equal(reply_text(p, "members.1.email"), "bob@acme.test");
	place_close(p);
}

static void
rights_are_asked(void **state)
{
	struct team t = make_team("UTC");
	struct place *p = t.p;

	(void)state;
	place_publish(p);
	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_AGENT, .org_no = p->org};
	assert_int_equal(place_try(p, "leaderboard", NULL), TL_EFORBIDDEN);
	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_GATEWAY, .org_no = p->org};
	assert_int_equal(place_try(p, "leaderboard", NULL), TL_EFORBIDDEN);
	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_PERSON, .org_no = p->org};
	assert_int_equal(place_try(p, "reconcile", NULL), TL_EFORBIDDEN);
	ASK(p, "leaderboard");
	assert_int_equal(place_try(p, "leaderboard", "tz", "Mars/Olympus", NULL), TL_EBAD_PARAM);
	assert_int_equal(
		place_try(p, "leaderboard", "from", "2", "to", "1", NULL), TL_ERANGE_INVALID);
	assert_int_equal(place_try(p, "leaderboard", "from", "2026-01-01T00:00:00Z", "to",
				 "2028-01-01T00:00:00Z", NULL),
		TL_ERANGE_TOO_LONG);
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_board_ranks_by_the_metric_and_adds_up),
		cmocka_unit_test(equal_values_share_a_rank_and_zero_has_no_badge),
		cmocka_unit_test(pages_follow_each_other),
		cmocka_unit_test(any_page_is_a_part_of_the_whole),
		cmocka_unit_test(a_half_hour_zone_cuts_at_its_own_clock),
		cmocka_unit_test(a_day_of_25_hours_is_a_day),
		cmocka_unit_test(agents_come_with_their_keys_and_last_use),
		cmocka_unit_test(hidden_peers_leave_the_own_row),
		cmocka_unit_test(rights_are_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
