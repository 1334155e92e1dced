#include "query_store.h"

/* The value of the only bar that is not zero, and which one it is. */
static int64_t
only_bar(struct place *p, uint32_t *idx_out)
{
	int64_t value = 0;

	for (uint32_t i = 0; i < reply_count(p, "bars"); i++) {
		char path[32];

		snprintf(path, sizeof(path), "bars.%u", i);
		if (reply_int(p, path) == 0)
			continue;
		assert_int_equal(value, 0);
		value = reply_int(p, path);
		*idx_out = i;
	}
	return value;
}

static void
each_scope_has_its_bars(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "", "Ada", -1);
	uint32_t bob = place_member(p, 0xbb, TL_MEMBER_ACTIVE, "", "Bob", -1);
	char key[TL_KEY_ID_BYTES];
	uint32_t agent = place_agent(p, ada, "codex", key, NULL);
	struct session *session = place_session(p, "s-1");
	uint32_t repo = place_name(p, TL_NAME_REPO, "github.com/o/r");
	uint32_t own = place_name(p, TL_NAME_REPO, "github.com/o/own");
	struct event *e;
	uint32_t idx = 0;

	(void)state;
	session->repo = repo;
	session->prs[session->pr_count++] = (struct tl_pr){repo, 7};
	session->prs[session->pr_count++] = (struct tl_pr){repo, 9};
	e = place_request(p, NOW_MS - 30 * HOUR_MS, session->no, ada, 5, 101);
	e->agent = agent;
	e = place_request(p, NOW_MS - 30 * HOUR_MS, session->no, ada, 5, 10);
	e->repo = own;
	e->model = place_name(p, TL_NAME_MODEL, "haiku");
	place_request(p, NOW_MS - 30 * HOUR_MS, 0, bob, 5, 1000);
	place_publish(p);

	ASK(p, "series", "range", "30d");
	assert_int_equal(reply_int(p, "total"), 1111);
	assert_int_equal(only_bar(p, &idx), 1111);
	assert_int_equal(idx, 28);
	ASK(p, "series", "range", "30d", "scope", "org", "metric", "requests");
	assert_int_equal(reply_int(p, "total"), 3);
	assert_string_equal(reply_text(p, "metric"), "requests");
	ASK(p, "series", "scope", "member:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	assert_int_equal(reply_int(p, "total"), 1000);
	ASK(p, "series", "scope", "member:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(reply_int(p, "total"), 111);
	ASK(p, "series", "scope", "agent:1");
	assert_int_equal(reply_int(p, "total"), 101);
	{
		char scope[64];

		snprintf(scope, sizeof(scope), "agent:%s", key);
		ASK(p, "series", "scope", scope);
		assert_int_equal(reply_int(p, "total"), 101);
	}
	ASK(p, "series", "scope", "model:haiku");
	assert_int_equal(reply_int(p, "total"), 10);
	ASK(p, "series", "scope", "repo:git@github.com:O/R.git");
	assert_int_equal(reply_int(p, "total"), 101);
	ASK(p, "series", "scope", "repo:o/own");
	assert_int_equal(reply_int(p, "total"), 10);
	ASK(p, "series", "scope", "pr:o/r#7");
	assert_int_equal(reply_int(p, "total"), 111); /* touched: all of the session */
	ASK(p, "series", "scope", "session:s-1");
	assert_int_equal(reply_int(p, "total"), 111);
	assert_int_equal(reply_sum(p, "bars"), 111);
	place_close(p);
}

static void
shares_of_a_session_add_up(void **state)
{
	struct place *p = place_open("UTC");
	struct session *session = place_session(p, "s-1");
	uint32_t repo = place_name(p, TL_NAME_REPO, "github.com/o/r");
	int64_t sum = 0;

	(void)state;
	for (uint32_t n = 1; n <= 3; n++)
		session->prs[session->pr_count++] = (struct tl_pr){repo, n};
	place_request(p, NOW_MS - HOUR_MS, session->no, 0, 1, 100);
	place_request(p, NOW_MS - HOUR_MS, session->no, 0, 1, 100);
	place_request(p, NOW_MS - 2 * HOUR_MS, session->no, 0, 1, 100);
	place_publish(p);
	for (uint32_t n = 1; n <= 3; n++) {
		char scope[32];
		int64_t cell = tl_bucket_no(TL_SPAN_15M, NOW_MS - HOUR_MS);
		int64_t other = tl_bucket_no(TL_SPAN_15M, NOW_MS - 2 * HOUR_MS);

		snprintf(scope, sizeof(scope), "pr:o/r#%u", n);
		ASK(p, "series", "range", "24h", "scope", scope, "split", "1");
		assert_int_equal(reply_int(p, "total"),
			tl_share(200, 3, n - 1, (uint32_t)(cell % 3)) +
				tl_share(100, 3, n - 1, (uint32_t)(other % 3)));
		sum += reply_int(p, "total");
		ASK(p, "series", "range", "24h", "scope", scope);
		assert_int_equal(reply_int(p, "total"), 300);
	}
	assert_int_equal(sum, 300);
	place_close(p);
}

static void
odd_minutes_are_cut_from_the_events(void **state)
{
	struct place *p = place_open("Europe/Berlin");
	struct session *session = place_session(p, "s-1");
	uint32_t ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "", "Ada", -1);
	uint32_t repo = place_name(p, TL_NAME_REPO, "github.com/o/r");
	int64_t start_ms = NOW_MS - 3 * DAY_MS - 20 * MINUTE_MS; /* 15:00 */
	int64_t sum;
	char from[32], to[32];

	(void)state;
	session->repo = repo;
	session->prs[session->pr_count++] = (struct tl_pr){repo, 4};
	session->prs[session->pr_count++] = (struct tl_pr){repo, 5};
	for (int64_t minute = 0; minute < 180; minute++)
		place_request(p, start_ms + minute * MINUTE_MS, session->no, ada, 1, minute);
	place_publish(p);
	/* [15:07, 17:21): two odd edges, pages between them */
	snprintf(from, sizeof(from), "%lld", (long long)(start_ms + 7 * MINUTE_MS));
	snprintf(to, sizeof(to), "%lld", (long long)(start_ms + 141 * MINUTE_MS));
	ASK(p, "series", "from", from, "to", to);
	sum = (7 + 140) * 134 / 2;
	assert_int_equal(reply_int(p, "total"), sum);
	assert_int_equal(reply_sum(p, "bars"), sum);
	assert_int_equal(reply_int(p, "window.start_ms"), start_ms + 7 * MINUTE_MS);
	assert_int_equal(reply_int(p, "window.end_ms"), start_ms + 141 * MINUTE_MS);
	assert_string_equal(reply_text(p, "window.range"), "custom");
	ASK(p, "series", "from", from, "to", to, "scope", "repo:o/r");
	assert_int_equal(reply_int(p, "total"), sum);
	ASK(p, "series", "from", from, "to", to, "scope", "session:s-1");
	assert_int_equal(reply_int(p, "total"), sum);
	ASK(p, "series", "from", from, "to", to, "scope", "pr:o/r#4", "split", "true");
	sum -= reply_int(p, "total");
	ASK(p, "series", "from", from, "to", to, "scope", "pr:o/r#5", "split", "true");
	assert_int_equal(reply_int(p, "total"), sum);
	/* both edges in one quarter, to the millisecond */
	snprintf(from, sizeof(from), "%lld", (long long)(start_ms + 3 * MINUTE_MS));
	snprintf(to, sizeof(to), "%lld", (long long)(start_ms + 5 * MINUTE_MS + 1));
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 3 + 4 + 5);
	snprintf(to, sizeof(to), "%lld", (long long)(start_ms + 5 * MINUTE_MS));
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 3 + 4);
	place_close(p);
}

static void
a_correction_counts_once_at_an_odd_edge(void **state)
{
	struct place *p = place_open("UTC");
	int64_t start_ms = NOW_MS - DAY_MS - 20 * MINUTE_MS; /* 15:00 */
	struct event *first, *second, *moved, after;
	char from[32], to[32];

	(void)state;
	snprintf(from, sizeof(from), "%lld", (long long)(start_ms + MINUTE_MS));
	snprintf(to, sizeof(to), "%lld", (long long)(start_ms + 14 * MINUTE_MS));
	first = place_request(p, start_ms + 2 * MINUTE_MS, 0, 0, 1, 100);
	second = place_request(p, start_ms + 3 * MINUTE_MS, 0, 0, 1, 1000);
	moved = place_request(p, start_ms + 4 * MINUTE_MS, 0, 0, 1, 10000);
	/* stamped ahead of its arrival: it counts at arrival, also when taken back */
	place_event(p, (struct event){.ts_ms = start_ms + 17 * MINUTE_MS,
			       .received_ms = start_ms + 13 * MINUTE_MS,
			       .model = place_name(p, TL_NAME_MODEL, "opus"),
			       .cost = 100000});
	place_publish(p);
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 111100);

	after = *first;
	after.cost = 200;
	place_replace(p, first, after);
	after = *second;
	after.cost = 2000;
	place_replace(p, second, after);
	after = p->events[p->event_count - 1];
	after.cost = 3000;
	place_replace(p, &p->events[p->event_count - 1], after);
	after = *moved; /* out of the part, and back in by the next revision */
	after.ts_ms = start_ms + 40 * MINUTE_MS;
	place_replace(p, moved, after);
	place_publish(p);
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 103200);
	after.ts_ms = start_ms + 5 * MINUTE_MS;
	after.cost = 50000;
	place_replace(p, &p->events[p->event_count - 1], after);
	place_publish(p);
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 153200);
	ASK(p, "series", "range", "7d");
	assert_int_equal(reply_int(p, "total"), 153200);
	place_close(p);
}

static void
an_edge_whose_events_expired_is_refused(void **state)
{
	struct place *p = place_open("UTC");
	int64_t old_ms = NOW_MS - 20 * DAY_MS;
	int64_t day_ms = tl_bucket_floor(TL_SPAN_1D, old_ms);
	struct tl_key key;
	char from[32], to[32];

	(void)state;
	place_request(p, old_ms, 0, 0, 1, 7);
	place_request(p, NOW_MS - HOUR_MS, 0, 0, 1, 70);
	place_publish(p);
	snprintf(from, sizeof(from), "%lld", (long long)(old_ms - MINUTE_MS));
	snprintf(to, sizeof(to), "%lld", (long long)NOW_MS);
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 77);

	OK(tl_day_drop(p->store, day_ms, &ok_why));
	assert_int_equal(
		place_try(p, "series", "from", from, "to", to, NULL), TL_EEDGE_UNAVAILABLE);
	/* whole quarters need no events */
	snprintf(from, sizeof(from), "%lld", (long long)tl_bucket_floor(TL_SPAN_15M, old_ms));
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 77);
	/* when the cells have gone as well only whole days are left */
	key = tl_key_page(&(struct tl_page_place){
		p->org, TL_SPAN_1H, tl_bucket_floor(TL_SPAN_1H, old_ms), 0});
	tl_write_delete(p->write, TL_FAMILY_CELL_1H, tl_key_slice(&key));
	OK(tl_write_commit(p->write, TL_NO_SYNC, &ok_why));
	OK(tl_view_publish(p->store, p->group_no, p->seq, NULL, 0, &ok_why));
	assert_int_equal(
		place_try(p, "series", "from", from, "to", to, NULL), TL_EEDGE_UNAVAILABLE);
	/* which a window of day bins can show */
	snprintf(from, sizeof(from), "%lld", (long long)(day_ms - 60 * DAY_MS));
	snprintf(to, sizeof(to), "%lld", (long long)tl_bucket_ceil(TL_SPAN_1D, NOW_MS));
	ASK(p, "series", "from", from, "to", to);
	assert_int_equal(reply_int(p, "total"), 77);
	/* another zone's days are not whole UTC days */
	assert_int_equal(place_try(p, "series", "range", "30d", "tz", "Europe/Berlin", NULL),
		TL_EEDGE_UNAVAILABLE);
	ASK(p, "series", "range", "7d", "tz", "Europe/Berlin");
	assert_int_equal(reply_int(p, "total"), 70);
	place_close(p);
}

static void
what_is_unknown_is_not_found(void **state)
{
	static const char *const scopes[] = {"member:00000000000000000000000000000000", "member:x",
		"agent:5", "agent:tally_ca_aaaaaaaa", "model:none", "repo:o/none", "repo:!",
		"pr:o/none#1", "session:none", "session:"};
	static const char *const wrong[] = {
		"orgs", "pr:o/r", "pr:o/r#", "pr:o/r#x", "pr:o/r#0", "pr:o/r#9999999999", "member"};
	struct place *p = place_open("UTC");

	(void)state;
	place_publish(p);
	for (size_t i = 0; i < COUNT(scopes); i++)
		assert_int_equal(place_try(p, "series", "scope", scopes[i], NULL), TL_ENOT_FOUND);
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(place_try(p, "series", "scope", wrong[i], NULL), TL_EBAD_PARAM);
	place_close(p);
}

static void
hidden_peers_have_no_series(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "", "Ada", -1);
	uint32_t bob = place_member(p, 0xbb, TL_MEMBER_ACTIVE, "", "Bob", -1);
	struct session *mixed = place_session(p, "mixed");
	struct session *own = place_session(p, "own");
	struct session *shared = place_session(p, "ada's");
	uint32_t repo = place_name(p, TL_NAME_REPO, "github.com/o/r");

	(void)state;
	mixed->repo = own->repo = shared->repo = repo;
	mixed->prs[mixed->pr_count++] = (struct tl_pr){repo, 1};
	own->prs[own->pr_count++] = (struct tl_pr){repo, 1};
	own->prs[own->pr_count++] = (struct tl_pr){repo, 2};
	place_request(p, NOW_MS - 2 * HOUR_MS, mixed->no, ada, 1, 1000);
	place_request(p, NOW_MS - HOUR_MS, mixed->no, bob, 1, 100);
	place_request(p, NOW_MS - HOUR_MS, own->no, bob, 1, 11);
	place_request(p, NOW_MS - HOUR_MS, shared->no, ada, 1, 5);
	place_settings(p, false, false, 0);
	place_publish(p);
	p->caller = (struct tl_caller){
		.type = TL_CREDENTIAL_PERSON, .org_no = p->org, .member_no = bob};
	ASK(p, "series");
	assert_int_equal(reply_int(p, "total"), 1116);
	ASK(p, "series", "scope", "member:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
	assert_int_equal(reply_int(p, "total"), 111);
	assert_int_equal(
		place_try(p, "series", "scope", "member:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL),
		TL_ENOT_FOUND);
	ASK(p, "series", "scope", "repo:o/r");
	assert_int_equal(reply_int(p, "total"), 111);
	ASK(p, "series", "scope", "pr:o/r#2", "split", "1");
	assert_in_range(reply_int(p, "total"), 5, 6);
	ASK(p, "series", "scope", "session:own");
	assert_int_equal(reply_int(p, "total"), 11);
	assert_int_equal(place_try(p, "series", "scope", "session:ada's", NULL), TL_ENOT_FOUND);
	/* the last word in somebody's session does not open it */
	assert_int_equal(place_try(p, "series", "scope", "session:mixed", NULL), TL_ENOT_FOUND);
	ASK(p, "sessions");
	assert_int_equal(reply_count(p, "sessions"), 1);
	ASK(p, "repos");
	assert_int_equal(reply_int(p, "repos.0.cost_nusd"), 111);
	ASK(p, "pulls");
	assert_int_equal(reply_int(p, "pulls.0.touched.cost_nusd"), 111);
	assert_int_equal(
		reply_int(p, "pulls.0.split.cost_nusd") + reply_int(p, "pulls.1.split.cost_nusd"),
		111);
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_scope_has_its_bars),
		cmocka_unit_test(shares_of_a_session_add_up),
		cmocka_unit_test(odd_minutes_are_cut_from_the_events),
		cmocka_unit_test(a_correction_counts_once_at_an_odd_edge),
		cmocka_unit_test(an_edge_whose_events_expired_is_refused),
		cmocka_unit_test(what_is_unknown_is_not_found),
		cmocka_unit_test(hidden_peers_have_no_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
