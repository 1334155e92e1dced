#include "query_store.h"

/* splitmix64: the same walk every time. */
static uint64_t
draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#define REPOS 8u

static const char *const ops[] = {
	"leaderboard", "series", "repos", "pulls", "models", "top_repos", "sessions", "team"};
static const char *const ranges[] = {"24h", "7d", "30d", "90d"};
static const char *const zones[] = {"UTC", "Europe/Berlin", "Asia/Kolkata"};
static const char *const metrics[] = {"cost", "tokens", "requests"};

/* The reply as of view, with the cache or without. */
static void
run_at(struct place *p, struct tl_view *view, const struct tl_query *query, bool is_cached,
	struct tl_buf *reply)
{
	struct query_scene scene = {
		.store = p->store,
		.view = view,
		.registry = p->registry,
		.now_ms = p->now_ms,
		.org = tl_registry_org(p->registry, p->org),
		.caller = p->caller,
		.cache = is_cached ? p->cache : NULL,
	};
	struct tl_why why = {{0}};
	enum tl_err err;

	tl_arena_reset(&p->arena);
	tl_buf_reset(reply);
	err = query_run(&scene, query, &p->arena, reply, &why);
	if (err)
		fail_msg("%s %s", tl_err_name(err), why.text);
}

static void
compare_request(struct place *p, struct tl_view *view, const struct tl_buf *request)
{
	struct tl_buf cached, plain;
	struct tl_query query;

	tl_buf_init(&cached, 0);
	tl_buf_init(&plain, 0);
	OK(tl_query_read(tl_buf_slice(request), &query, &ok_why));
	run_at(p, view, &query, true, &cached);
	run_at(p, view, &query, false, &plain);
	assert_int_equal(cached.bytes, plain.bytes);
	assert_memory_equal(cached.data, plain.data, plain.bytes);
	tl_buf_fini(&cached);
	tl_buf_fini(&plain);
}

static void
compare(struct place *p, struct tl_view *view, uint64_t *seed)
{
	struct tl_pack_open map;
	struct tl_buf request;

	tl_buf_init(&request, 0);
	map = tl_pack_open_map(&request);
	tl_pack_key_int(&request, &map, "v", 1);
	tl_pack_key_str(&request, &map, "op", ops[draw(seed) % COUNT(ops)]);
	if (draw(seed) % 3 == 0) { /* any minutes, some of them whole quarters */
		int64_t step_ms = draw(seed) % 2 ? MINUTE_MS : QUARTER_MS;
		int64_t to_ms = p->now_ms - (int64_t)(draw(seed) % (uint64_t)DAY_MS);
		int64_t days = 1 + (int64_t)(draw(seed) % 20);

		tl_pack_key_int(
			&request, &map, "from", (to_ms - days * DAY_MS) / step_ms * step_ms);
		tl_pack_key_int(&request, &map, "to", to_ms / step_ms * step_ms);
	} else {
		tl_pack_key_str(&request, &map, "range", ranges[draw(seed) % COUNT(ranges)]);
	}
	tl_pack_key_str(&request, &map, "tz", zones[draw(seed) % COUNT(zones)]);
	tl_pack_key_str(&request, &map, "metric", metrics[draw(seed) % COUNT(metrics)]);
	if (draw(seed) % 3 > 0) { /* pages that end inside a list */
		char cursor[] = "o0";

		cursor[1] += (char)(draw(seed) % 4);
		tl_pack_key_str(&request, &map, "cursor", cursor);
		tl_pack_key_int(&request, &map, "limit", 1 + (int64_t)(draw(seed) % 3));
	}
	tl_pack_close(&request, &map);
	compare_request(p, view, &request);
	tl_buf_fini(&request);
}

/* Mostly of the last minutes, some late by hours, a few by days. */
static int64_t
draw_age_ms(uint64_t *seed)
{
	switch (draw(seed) % 8) {
	case 0:
		return (int64_t)(draw(seed) % (uint64_t)(30 * DAY_MS));
	case 1:
	case 2:
		return (int64_t)(draw(seed) % (uint64_t)(5 * HOUR_MS));
	case 3:
	case 4: /* where the past is cut */
		return 10 * MINUTE_MS + (int64_t)(draw(seed) % (uint64_t)(30 * MINUTE_MS));
	default:
		return (int64_t)(draw(seed) % (uint64_t)(10 * MINUTE_MS));
	}
}

static void
draw_event(struct place *p, uint64_t *seed, const uint32_t repos[REPOS])
{
	static const char *const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"};
	struct session *session = place_session(p, names[draw(seed) % COUNT(names)]);
	struct event *e;

	e = place_request(p, p->now_ms - draw_age_ms(seed), session->no, (uint32_t)(draw(seed) % 4),
		(int64_t)(draw(seed) % 1000), (int64_t)(draw(seed) % 100000) - 1);
	if (draw(seed) % 3 == 0)
		e->repo = repos[draw(seed) % REPOS];
	if (draw(seed) % 10 == 0)
		e->model = place_name(p, TL_NAME_MODEL, "haiku");
	if (draw(seed) % 20 == 0 && session->pr_count < 3) { /* a link moves the past */
		session->repo = repos[draw(seed) % REPOS];
		session->prs[session->pr_count] = (struct tl_pr){repos[0], session->pr_count + 1};
		session->pr_count++;
		for (uint32_t i = 0; i < p->event_count; i++) {
			if (p->events[i].session == session->no)
				place_touch(p, event_time(&p->events[i]));
		}
	}
}

static void
cached_and_counted_replies_are_the_same_bytes(void **state)
{
	struct place *p = place_open("Europe/Berlin");
	struct tl_view *old = NULL;
	uint32_t repos[REPOS];
	char name[] = "github.com/o/a";
	uint64_t seed = 20261120;

	(void)state;
	for (uint8_t i = 1; i <= 3; i++)
		place_member(p, i, TL_MEMBER_ACTIVE, "", "", -1);
	for (uint32_t i = 0; i < REPOS; i++) {
		repos[REPOS - 1 - i] = place_name(p, TL_NAME_REPO, name);
		name[sizeof(name) - 2]++;
	}
	OK(query_cache_new(4 << 20, 1 << 20, &p->cache));
	place_publish(p);
	for (int step = 0; step < 120; step++) {
		struct tl_view *view;

		p->now_ms += (int64_t)(draw(&seed) % (uint64_t)(20 * MINUTE_MS));
		for (uint64_t i = draw(&seed) % 3; i > 0; i--)
			draw_event(p, &seed, repos);
		if (draw(&seed) % 4 != 0)
			place_publish(p);
		view = tl_view_pin(p->store);
		for (int i = 0; i < 8; i++)
			compare(p, view, &seed);
		/* who still holds an older view gets the older figures */
		if (old != NULL)
			compare(p, old, &seed);
		if (draw(&seed) % 3 == 0 || old == NULL) {
			tl_view_unpin(old != NULL ? old : view);
			old = old != NULL ? view : tl_view_pin(p->store);
		} else {
			tl_view_unpin(view);
		}
	}
	tl_view_unpin(old);
	assert_true(lru_bytes(p->cache->boards) > 0);
	place_close(p);
}

static void
names_decide_at_the_edge_of_a_page(void **state)
{
	struct place *p = place_open("UTC");
	char name[] = "github.com/o/z";
	struct tl_view *view;
	struct tl_pack_open map;
	struct tl_buf request;

	(void)state;
	tl_buf_init(&request, 0);
	OK(query_cache_new(4 << 20, 1 << 20, &p->cache));
	for (int i = 0; i < 6; i++) { /* they tie, and the last comes first */
		struct event *e = place_request(p, p->now_ms - 2 * HOUR_MS, 0, 0, 7, 7);

		e->repo = place_name(p, TL_NAME_REPO, name);
		name[sizeof(name) - 2]--;
	}
	place_publish(p);
	view = tl_view_pin(p->store);
	for (int64_t limit = 1; limit <= 6; limit++) {
		tl_buf_reset(&request);
		map = tl_pack_open_map(&request);
		tl_pack_key_int(&request, &map, "v", 1);
		tl_pack_key_str(&request, &map, "op", "repos");
		tl_pack_key_int(&request, &map, "limit", limit);
		tl_pack_close(&request, &map);
		compare_request(p, view, &request);
	}
	tl_view_unpin(view);
	tl_buf_fini(&request);
	place_close(p);
}

static void
a_late_event_moves_the_past(void **state)
{
	struct place *p = place_open("UTC");

	(void)state;
	OK(query_cache_new(64 << 20, 1 << 20, &p->cache));
	place_request(p, NOW_MS - 3 * DAY_MS, 0, 0, 1, 10);
	place_publish(p);
	ASK(p, "series");
	assert_int_equal(reply_int(p, "total"), 10);
	place_request(p, NOW_MS - 4 * DAY_MS, 0, 0, 1, 100);
	place_publish(p);
	ASK(p, "series");
	assert_int_equal(reply_int(p, "total"), 110);
	place_request(p, NOW_MS, 0, 0, 1, 1000);
	place_publish(p);
	ASK(p, "series");
	assert_int_equal(reply_int(p, "total"), 1110);
	p->now_ms += 6 * HOUR_MS; /* the window moves on */
	ASK(p, "series");
	assert_int_equal(reply_int(p, "total"), 1110);
	p->now_ms += 4 * DAY_MS;
	ASK(p, "series");
	assert_int_equal(reply_int(p, "total"), 1000);
	place_close(p);
}

static void
ask_custom(struct place *p, int64_t from_ms, int64_t to_ms)
{
	char from[32], to[32];

	snprintf(from, sizeof(from), "%lld", (long long)from_ms);
	snprintf(to, sizeof(to), "%lld", (long long)to_ms);
	ASK(p, "leaderboard", "from", from, "to", to);
}

static void
an_edge_that_is_kept_follows_its_cell(void **state)
{
	struct place *p = place_open("UTC");
	int64_t start_ms = NOW_MS - 3 * DAY_MS - 20 * MINUTE_MS; /* 15:00 */

	(void)state;
	OK(query_cache_new(64 << 20, 1 << 20, &p->cache));
	place_request(p, start_ms + 3 * MINUTE_MS, 0, 0, 1, 1);
	place_request(p, start_ms + 7 * MINUTE_MS, 0, 0, 1, 10);
	place_request(p, start_ms + 9 * MINUTE_MS, 0, 0, 1, 100);
	place_publish(p);
	for (int i = 0; i < 3; i++) { /* from and to are to the millisecond, kept or not */
		ask_custom(p, start_ms + 3 * MINUTE_MS, start_ms + 9 * MINUTE_MS);
		assert_int_equal(reply_int(p, "org.value"), 11);
		ask_custom(p, start_ms + 3 * MINUTE_MS + 1, start_ms + 9 * MINUTE_MS + 1);
		assert_int_equal(reply_int(p, "org.value"), 110);
	}
	place_request(p, start_ms + 8 * MINUTE_MS, 0, 0, 1, 1000);
	place_publish(p);
	ask_custom(p, start_ms + 3 * MINUTE_MS, start_ms + 9 * MINUTE_MS);
	assert_int_equal(reply_int(p, "org.value"), 1011);
	/* later cells of the same spell change it too */
	for (int i = 0; i < 3; i++) {
		ask_custom(p, start_ms - DAY_MS, start_ms + DAY_MS);
		assert_int_equal(reply_int(p, "org.value"), 1111);
	}
	place_request(p, start_ms + HOUR_MS, 0, 0, 1, 5);
	place_publish(p);
	ask_custom(p, start_ms - DAY_MS, start_ms + DAY_MS);
	assert_int_equal(reply_int(p, "org.value"), 1116);
	place_close(p);
}

/* The last use of somebody is taken back: it falls to the one before. */
static void
a_last_use_may_go_back(void **state)
{
	struct place *p = place_open("UTC");
	uint32_t ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "", "Ada", -1);
	uint32_t bob = place_member(p, 0xbb, TL_MEMBER_ACTIVE, "", "Bob", -1);
	uint32_t agent = place_agent(p, ada, "codex", NULL, NULL);
	struct event *e;
	struct event after;

	(void)state;
	OK(query_cache_new(64 << 20, 1 << 20, &p->cache));
	place_request(p, NOW_MS - 3 * DAY_MS, 0, ada, 1, 100)->agent = agent;
	place_publish(p);
	e = place_request(p, NOW_MS - MINUTE_MS, 0, ada, 1, 100);
	e->agent = agent;
	place_publish(p);
	ASK(p, "leaderboard");
	assert_int_equal(reply_int(p, "members.0.last_used_ms"), NOW_MS - MINUTE_MS);
	assert_int_equal(reply_int(p, "members.0.agents.0.last_used_ms"), NOW_MS - MINUTE_MS);
	after = *e;
	after.member = bob;
	after.agent = 0;
	place_replace(p, e, after);
	place_publish(p);
	ASK(p, "leaderboard");
	assert_int_equal(reply_int(p, "members.0.last_used_ms"), NOW_MS - 3 * DAY_MS);
	assert_int_equal(reply_int(p, "members.0.agents.0.last_used_ms"), NOW_MS - 3 * DAY_MS);
	assert_int_equal(reply_int(p, "members.1.last_used_ms"), NOW_MS - MINUTE_MS);
	assert_true(reply_bool(p, "members.1.active_now"));
	place_close(p);
}

/* A cache that holds nothing but one board at a time still answers right. */
static void
a_small_cache_only_forgets(void **state)
{
	struct place *p = place_open("UTC");

	(void)state;
	OK(query_cache_new(20000, 1 << 20, &p->cache));
	place_request(p, NOW_MS - 3 * DAY_MS, 0, 0, 1, 10);
	place_publish(p);
	for (size_t i = 0; i < COUNT(ranges); i++) {
		ASK(p, "leaderboard", "range", ranges[i]);
		assert_int_equal(reply_int(p, "org.value"), i == 0 ? 0 : 10);
		assert_true(lru_bytes(p->cache->boards) <= 20000);
	}
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cached_and_counted_replies_are_the_same_bytes),
		cmocka_unit_test(names_decide_at_the_edge_of_a_page),
		cmocka_unit_test(a_late_event_moves_the_past),
		cmocka_unit_test(an_edge_that_is_kept_follows_its_cell),
		cmocka_unit_test(a_last_use_may_go_back),
		cmocka_unit_test(a_small_cache_only_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
