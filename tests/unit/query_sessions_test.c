#include "query_store.h"

static void
the_list_filters_and_orders(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "", "Ada", -1);
	uint32_t bob = place_member(p, 0xbb, TL_MEMBER_ACTIVE, "", "Bob", -1);
	uint32_t agent = place_agent(p, ada, "codex", NULL, NULL);
	struct session *a = place_session(p, "aaaa-1");
	struct session *b = place_session(p, "bbbb-2");
	struct session *c = place_session(p, "cccc-3");
	struct session *d = place_session(p, "dddd-4");
	uint32_t repo = place_name(p, TL_NAME_REPO, "github.com/o/r");

	(void)state;
	a->name = place_name(p, TL_NAME_TEXT, "Fix The Bug");
	a->repo = repo;
	a->prs[a->pr_count++] = (struct tl_pr){repo, 12};
	a->commits[a->commit_count++] = place_name(p, TL_NAME_TEXT, "abcdef1");
	a->commits[a->commit_count++] = place_name(p, TL_NAME_TEXT, "abcdef2");
	a->commits[a->commit_count++] = place_name(p, TL_NAME_TEXT, "abcdef1");
	place_request(p, NOW_MS - HOUR_MS, a->no, ada, 10, 100)->agent = agent;
	place_request(p, NOW_MS - 40 * DAY_MS, a->no, ada, 10, 11)->agent = agent;
	place_request(p, NOW_MS - 2 * HOUR_MS, b->no, bob, 20, 200);
	place_request(p, NOW_MS - HOUR_MS, c->no, bob, 30, 300);
	place_request(p, NOW_MS - 50 * DAY_MS, d->no, bob, 40, 400);
	place_publish(p);

	ASK(p, "sessions");
	assert_string_equal(reply_text(p, "window.range"), "30d");
	assert_int_equal(reply_count(p, "sessions"), 3);
	assert_string_equal(reply_text(p, "sessions.0.session"), "aaaa-1"); /* ties by name */
	assert_string_equal(reply_text(p, "sessions.1.session"), "cccc-3");
	assert_string_equal(reply_text(p, "sessions.2.session"), "bbbb-2");
	assert_string_equal(reply_text(p, "sessions.0.name"), "Fix The Bug");
	assert_string_equal(
		reply_text(p, "sessions.0.member_id"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_string_equal(reply_text(p, "sessions.0.agent"), "codex");
	assert_string_equal(reply_text(p, "sessions.0.repo"), "github.com/o/r");
	assert_int_equal(reply_int(p, "sessions.0.pulls.0.number"), 12);
	assert_int_equal(reply_count(p, "sessions.0.commits"), 2);
	assert_string_equal(reply_text(p, "sessions.0.commits.1"), "abcdef2");
	assert_int_equal(reply_int(p, "sessions.0.cost_nusd"), 111); /* of its whole life */
	assert_int_equal(reply_int(p, "sessions.0.first_ms"), NOW_MS - 40 * DAY_MS);
	assert_int_equal(reply_int(p, "sessions.0.last_ms"), NOW_MS - HOUR_MS);
	assert_true(reply_is_nil(p, "sessions.2.name"));
	assert_true(reply_is_nil(p, "sessions.2.repo"));

	ASK(p, "sessions", "range", "90d");
	assert_int_equal(reply_count(p, "sessions"), 4);
	ASK(p, "sessions", "member", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	assert_int_equal(reply_count(p, "sessions"), 2);
	ASK(p, "sessions", "member", "00bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	assert_int_equal(reply_count(p, "sessions"), 0);
	ASK(p, "sessions", "repo", "o/r");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "sessions", "pr", "12");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "sessions", "pr", "12", "repo", "o/r");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "sessions", "pr", "13");
	assert_int_equal(reply_count(p, "sessions"), 0);
	ASK(p, "sessions", "agent", "codex");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "sessions", "agent", "1");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "sessions", "agent", "claude_code");
	assert_int_equal(reply_count(p, "sessions"), 0);
	ASK(p, "sessions", "q", "the bUG");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "sessions", "q", "B-2");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "sessions", "limit", "1", "cursor", "o1");
	assert_int_equal(reply_count(p, "sessions"), 1);
	assert_string_equal(reply_text(p, "sessions.0.session"), "cccc-3");
	assert_string_equal(reply_text(p, "next_cursor"), "o2");
	place_close(p);
}

static void
one_session_with_its_requests(void **state)
{
	struct place *p = place_open("Europe/Berlin");
	struct session *s = place_session(p, "s-1");
	struct session *other = place_session(p, "s-2");
	int64_t start_ms = NOW_MS - 26 * HOUR_MS;
	struct event *e;
	char from[32];

	(void)state;
	for (int i = 0; i < 30; i++) {
		e = place_request(p, start_ms + i * 7 * MINUTE_MS, s->no, 0, 10, i % 3 ? 100 : -1);
		e->cache_read = 5;
		e->duration_ms = i % 2 ? 1000 + i : 0;
		if (i % 5 == 0)
			e->model = place_name(p, TL_NAME_MODEL, "haiku");
		place_request(p, start_ms + i * 7 * MINUTE_MS, other->no, 0, 1, 1);
	}
	e = place_event(p, (struct event){.ts_ms = start_ms, .session = s->no, .cost = -1});
	e->kind = TL_KIND_ACTIVITY;
	e->lines = 4;
	place_publish(p);

	ASK(p, "session", "session", "s-1", "limit", "1000");
	assert_string_equal(reply_text(p, "session"), "s-1");
	assert_int_equal(reply_int(p, "requests"), 30);
	assert_int_equal(reply_int(p, "cost_nusd"), 2000);
	assert_int_equal(reply_int(p, "unpriced"), 10);
	assert_int_equal(reply_int(p, "tokens"), 450);
	assert_int_equal(reply_int(p, "sessions"), 1);
	assert_int_equal(reply_int(p, "first_ms"), start_ms);
	assert_int_equal(reply_int(p, "last_ms"), start_ms + 29 * 7 * MINUTE_MS);
	assert_int_equal(reply_int(p, "mean_duration_ms"), 1015);
	assert_int_equal(reply_sum(p, "spark"), 2000);
	assert_int_equal(reply_count(p, "spark"), reply_int(p, "window.bins"));
	assert_int_equal(reply_count(p, "models"), 2);
	assert_string_equal(reply_text(p, "models.0.model"), "opus");
	assert_int_equal(reply_int(p, "models.0.requests") + reply_int(p, "models.1.requests"), 30);
	assert_int_equal(reply_count(p, "rows"), 30);
	assert_true(reply_is_nil(p, "rows.0.cost_nusd"));
	assert_true(reply_is_nil(p, "rows.0.duration_ms"));
	assert_int_equal(reply_int(p, "rows.1.cost_nusd"), 100);
	assert_int_equal(reply_int(p, "rows.1.duration_ms"), 1001);
	assert_string_equal(reply_text(p, "rows.0.model"), "haiku");
	assert_string_equal(reply_text(p, "rows.1.model"), "opus");
	assert_int_equal(reply_int(p, "rows.1.status"), 200);
	assert_int_equal(reply_int(p, "rows.1.tokens"), 15);
	assert_string_equal(reply_text(p, "rows.1.id"), "00000003000000000000000000000000");

	for (uint32_t offset = 0; offset < 30; offset += 7) {
		char cursor[16], path[32];

		snprintf(cursor, sizeof(cursor), "o%u", offset);
		ASK(p, "session", "session", "s-1", "limit", "7", "cursor", cursor);
		assert_int_equal(reply_count(p, "rows"), offset == 28 ? 2 : 7);
		assert_int_equal(reply_bool(p, "truncated"), offset < 28);
		for (uint32_t i = 0; i < reply_count(p, "rows"); i++) {
			snprintf(path, sizeof(path), "rows.%u.ts", i);
			assert_int_equal(
				reply_int(p, path), start_ms + (offset + i) * 7 * MINUTE_MS);
		}
	}
	assert_int_equal(place_try(p, "session", "session", "s-9", NULL), TL_ENOT_FOUND);
	assert_int_equal(place_try(p, "session", NULL), TL_EBAD_PARAM);

	/* figures outlive the events, and the reply says that something is missing */
	OK(tl_day_drop(p->store, tl_bucket_floor(TL_SPAN_1D, start_ms), &ok_why));
	ASK(p, "session", "session", "s-1", "limit", "1000");
	assert_int_equal(reply_int(p, "requests"), 30);
	assert_int_equal(reply_count(p, "rows"), 0);
	assert_true(reply_bool(p, "truncated"));
	/* a list of a custom range reads the whole life too */
	snprintf(from, sizeof(from), "%lld", (long long)(NOW_MS - 30 * HOUR_MS));
	ASK(p, "sessions", "from", from, "to", "2026-11-20T00:00:00Z");
	assert_int_equal(reply_count(p, "sessions"), 2);
	place_close(p);
}

static void
a_session_of_links_only_is_known(void **state)
{
	struct place *p = place_open("UTC");
	struct session *s = place_session(p, "linked");

	(void)state;
	s->name = place_name(p, TL_NAME_TEXT, "only a name");
	place_publish(p);
	ASK(p, "session", "session", "linked");
	assert_string_equal(reply_text(p, "name"), "only a name");
	assert_true(reply_is_nil(p, "first_ms"));
	assert_true(reply_is_nil(p, "mean_duration_ms"));
	assert_int_equal(reply_int(p, "requests"), 0);
	assert_int_equal(reply_count(p, "rows"), 0);
	ASK(p, "sessions");
	assert_int_equal(reply_count(p, "sessions"), 0);
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_filters_and_orders),
		cmocka_unit_test(one_session_with_its_requests),
		cmocka_unit_test(a_session_of_links_only_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
