#include "query_store.h"

static void
repos_take_their_sessions_and_their_own_events(void **state)
{
	struct place *p = place_open("UTC");
	struct session *linked = place_session(p, "linked");
	struct session *bare = place_session(p, "bare");
	uint32_t r = place_name(p, TL_NAME_REPO, "github.com/o/r");
	uint32_t q = place_name(p, TL_NAME_REPO, "github.com/o/q");
	struct event *e;

	(void)state;
	linked->repo = r;
	e = place_request(p, NOW_MS - HOUR_MS, linked->no, 0, 100, 10);
	e->saved_tokens = 100;
	e->saved_nusd = 3;
	e = place_request(p, NOW_MS - 2 * HOUR_MS, linked->no, 0, 10, 7);
	e->repo = q;
	e = place_request(p, NOW_MS - 3 * HOUR_MS, bare->no, 0, 10, 5);
	e->repo = r;
	place_request(p, NOW_MS - 3 * HOUR_MS, bare->no, 0, 10, 900);  /* nobody's */
	place_request(p, NOW_MS - 9 * DAY_MS, linked->no, 0, 10, 900); /* outside */
	place_publish(p);

	ASK(p, "repos", "range", "24h");
	assert_int_equal(reply_count(p, "repos"), 2);
	assert_string_equal(reply_text(p, "repos.0.repo"), "github.com/o/r");
	assert_string_equal(reply_text(p, "repos.0.url"), "https://github.com/o/r");
	assert_int_equal(reply_int(p, "repos.0.value"), 15);
	assert_int_equal(reply_int(p, "repos.0.cost_nusd"), 15);
	assert_int_equal(reply_int(p, "repos.0.tokens"), 110);
	assert_int_equal(reply_int(p, "repos.0.requests"), 2);
	assert_int_equal(reply_int(p, "repos.0.sessions"), 2);
	assert_int_equal(reply_int(p, "repos.0.saved_nusd"), 3);
	assert_int_equal(reply_int(p, "repos.0.saved_tokens"), 100);
	assert_int_equal(reply_int(p, "repos.0.saved_ppm"), 476190); /* 100 / 210 */
	assert_int_equal(reply_int(p, "repos.0.last_activity_ms"), NOW_MS - HOUR_MS);
	assert_int_equal(reply_sum(p, "repos.0.spark"), 15);
	assert_string_equal(reply_text(p, "repos.1.repo"), "github.com/o/q");
	assert_int_equal(reply_int(p, "repos.1.sessions"), 1);
	ASK(p, "repos", "repo", "o/q");
	assert_int_equal(reply_count(p, "repos"), 1);
	ASK(p, "repos", "repo", "o/none");
	assert_int_equal(reply_count(p, "repos"), 0);
	/* a link that comes late moves what is not named by the events themselves */
	linked->repo = q;
	place_touch(p, NOW_MS - 9 * DAY_MS);
	place_publish(p);
	ASK(p, "repos", "range", "24h");
	assert_string_equal(reply_text(p, "repos.0.repo"), "github.com/o/q");
	assert_int_equal(reply_int(p, "repos.0.value"), 17);
	assert_int_equal(reply_int(p, "repos.1.value"), 5);
	place_close(p);
}

static void
ties_are_broken_by_requests_and_name(void **state)
{
	static const char *const names[] = {
		"github.com/o/c", "github.com/o/a", "github.com/o/d", "github.com/o/b"};
	struct place *p = place_open("UTC");

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		uint32_t repo = place_name(p, TL_NAME_REPO, names[i]);

		place_request(p, NOW_MS - HOUR_MS, 0, 0, 10, 6)->repo = repo;
		if (i == 2)
			place_request(p, NOW_MS - HOUR_MS, 0, 0, 10, 0)->repo = repo;
	}
	place_publish(p);
	ASK(p, "repos", "limit", "2");
	assert_string_equal(reply_text(p, "repos.0.repo"), "github.com/o/d");
	assert_string_equal(reply_text(p, "repos.1.repo"), "github.com/o/a");
	assert_string_equal(reply_text(p, "next_cursor"), "o2");
	ASK(p, "repos", "limit", "2", "cursor", "o2");
	assert_string_equal(reply_text(p, "repos.0.repo"), "github.com/o/b");
	assert_string_equal(reply_text(p, "repos.1.repo"), "github.com/o/c");
	assert_true(reply_is_nil(p, "next_cursor"));
	place_close(p);
}

/* Many ties: every page is a part of the whole list. */
static void
pages_of_ties_are_parts_of_the_whole(void **state)
{
	struct place *p = place_open("UTC");
	char names[40][64], path[48], cursor[8];

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		char name[32];

		snprintf(name, sizeof(name), "github.com/o/r%02u", i * 23 % 40);
		place_request(p, NOW_MS - HOUR_MS, 0, 0, 1, i / 10 * 7 % 3)->repo =
			place_name(p, TL_NAME_REPO, name);
	}
	place_publish(p);
	ASK(p, "repos", "limit", "1000");
	for (uint32_t i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "repos.%u.repo", i);
		strcpy(names[i], reply_text(p, path));
	}
	for (uint32_t first = 0; first < 40; first += 3) {
		snprintf(cursor, sizeof(cursor), "o%u", first);
		ASK(p, "repos", "limit", "3", "cursor", cursor);
		for (uint32_t i = 0; i < reply_count(p, "repos"); i++) {
			snprintf(path, sizeof(path), "repos.%u.repo", i);
			assert_string_equal(reply_text(p, path), names[first + i]);
		}
	}
	place_close(p);
}

static void
pulls_show_touched_and_split(void **state)
{
	struct place *p = place_open("UTC");
	struct session *one = place_session(p, "one");
	struct session *two = place_session(p, "two");
	uint32_t r = place_name(p, TL_NAME_REPO, "github.com/o/r");
	uint32_t q = place_name(p, TL_NAME_REPO, "gitlab.com/g/q");

	(void)state;
	one->prs[one->pr_count++] = (struct tl_pr){r, 7};
	two->prs[two->pr_count++] = (struct tl_pr){r, 7};
	two->prs[two->pr_count++] = (struct tl_pr){q, 7};
	place_request(p, NOW_MS - HOUR_MS, one->no, 0, 1, 100);
	place_request(p, NOW_MS - 2 * DAY_MS, two->no, 0, 1, 51);
	place_publish(p);
	ASK(p, "pulls", "range", "7d");
	assert_int_equal(reply_count(p, "pulls"), 2);
	assert_string_equal(reply_text(p, "pulls.0.repo"), "github.com/o/r");
	assert_int_equal(reply_int(p, "pulls.0.number"), 7);
	assert_string_equal(reply_text(p, "pulls.0.url"), "https://github.com/o/r/pull/7");
	assert_int_equal(reply_int(p, "pulls.0.value"), 151);
	assert_int_equal(reply_int(p, "pulls.0.touched.cost_nusd"), 151);
	assert_int_equal(reply_int(p, "pulls.0.sessions"), 2);
	assert_int_equal(reply_sum(p, "pulls.0.spark"), 151);
	assert_int_equal(reply_int(p, "pulls.1.touched.cost_nusd"), 51);
	assert_int_equal(
		reply_int(p, "pulls.0.split.cost_nusd") + reply_int(p, "pulls.1.split.cost_nusd"),
		151);
	assert_in_range(reply_int(p, "pulls.1.split.cost_nusd"), 25, 26);
	ASK(p, "pulls", "repo", "gitlab.com/g/q");
	assert_int_equal(reply_count(p, "pulls"), 1);
	ASK(p, "pulls", "pr", "8");
	assert_int_equal(reply_count(p, "pulls"), 0);
	place_close(p);
}

static void
models_and_unpriced_calls(void **state)
{
	struct place *p = place_open("UTC");
	struct event *e;

	(void)state;
	e = place_request(p, NOW_MS - HOUR_MS, 0, 0, 10, -1);
	e->model = place_name(p, TL_NAME_MODEL, "unknown");
	e->status = 429;
	e = place_request(p, NOW_MS - HOUR_MS, 0, 0, 10, 4);
	e->cache_read = 20;
	e->cache_write = 30;
	e->output = 40;
	e->is_plan = true;
	place_publish(p);
	ASK(p, "models", "metric", "tokens", "tokens", "uncached");
	assert_string_equal(reply_text(p, "tokens_rule"), "uncached");
	assert_string_equal(reply_text(p, "models.0.model"), "opus");
	assert_int_equal(reply_int(p, "models.0.value"), 80);
	assert_int_equal(reply_int(p, "models.0.tokens"), 100);
	assert_int_equal(reply_int(p, "models.0.tokens_uncached"), 80);
	assert_int_equal(reply_int(p, "models.0.cost_plan_nusd"), 4);
	assert_string_equal(reply_text(p, "models.1.model"), "unknown");
	assert_int_equal(reply_int(p, "models.1.unpriced"), 1);
	assert_int_equal(reply_int(p, "models.1.errors"), 1);
	assert_int_equal(reply_int(p, "models.1.cost_nusd"), 0);
	place_close(p);
}

static void
top_repos_go_by_sessions(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t dear = place_name(p, TL_NAME_REPO, "github.com/o/dear");
	uint32_t busy = place_name(p, TL_NAME_REPO, "github.com/o/busy");
	uint32_t calm = place_name(p, TL_NAME_REPO, "github.com/o/calm");

	(void)state;
	place_publish(p);
	ASK(p, "top_repos");
	assert_string_equal(reply_text(p, "state"), "not_connected");
	assert_int_equal(reply_count(p, "repos"), 0);
	place_settings(p, true, true, 0);
	place_publish(p);
	ASK(p, "top_repos");
	assert_string_equal(reply_text(p, "state"), "no_activity");
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%d", i);
		place_request(p, NOW_MS - HOUR_MS, place_session(p, name)->no, 0, 5, 1)->repo =
			i < 2	 ? busy
			: i == 2 ? calm
				 : dear;
	}
	p->events[3].input = 6;
	p->events[3].cost = 100000;
	place_publish(p);
	ASK(p, "top_repos");
	assert_string_equal(reply_text(p, "state"), "ok");
	assert_int_equal(reply_count(p, "repos"), 3);
	assert_string_equal(reply_text(p, "repos.0.repo"), "github.com/o/busy");
	assert_int_equal(reply_int(p, "repos.0.sessions"), 2);
	assert_string_equal(reply_text(p, "repos.1.repo"), "github.com/o/dear");
	assert_string_equal(reply_text(p, "repos.2.url"), "https://github.com/o/calm");
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repos_take_their_sessions_and_their_own_events),
		cmocka_unit_test(ties_are_broken_by_requests_and_name),
		cmocka_unit_test(pages_of_ties_are_parts_of_the_whole),
		cmocka_unit_test(pulls_show_touched_and_split),
		cmocka_unit_test(models_and_unpriced_calls),
		cmocka_unit_test(top_repos_go_by_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
