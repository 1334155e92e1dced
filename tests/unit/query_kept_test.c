#include "query_store.h"

#define REQUEST "\x81\xa1q\xa7request"
#define OTHER "\x81\xa1q\xa5other"
#define REQUEST_WITH_HAVE "\x83\xa4have\xa0\xa1q\xa7request\xabhave_age_ms\x05"

struct thing {
	struct lru_value value;
	int no;
};

static int freed;

static void
thing_free(struct lru_value *value)
{
	freed++;
	free(value);
}

static struct thing *
make_thing(int no, size_t bytes)
{
	struct thing *thing = calloc(1, sizeof(*thing));

	assert_non_null(thing);
	thing->value = (struct lru_value){.free = thing_free, .bytes = bytes, .pin_count = 1};
	thing->no = no;
	return thing;
}

static void
keep(struct lru *cache, const char *key, int no, size_t bytes)
{
	struct thing *thing = make_thing(no, bytes);

	lru_put(cache, tl_slice_str(key), &thing->value);
	lru_unpin(cache, &thing->value);
}

static int
look(struct lru *cache, const char *key)
{
	struct thing *thing = (struct thing *)lru_get(cache, tl_slice_str(key));
	int no = thing != NULL ? thing->no : 0;

	if (thing != NULL)
		lru_unpin(cache, &thing->value);
	return no;
}

static void
the_least_recently_used_goes_first(void **state)
{
	struct lru *cache;
	struct thing *pinned;

	(void)state;
	freed = 0;
	OK(lru_new(10000, &cache));
	keep(cache, "a", 1, 4000);
	keep(cache, "b", 2, 4000);
	assert_int_equal(look(cache, "a"), 1);
	keep(cache, "c", 3, 4000); /* b goes */
	assert_int_equal(look(cache, "b"), 0);
	assert_int_equal(look(cache, "a"), 1);
	assert_int_equal(look(cache, "c"), 3);
	assert_int_equal(freed, 1);
	pinned = (struct thing *)lru_get(cache, tl_slice_str("a"));
	keep(cache, "a", 4, 4000); /* replaced, but still in use */
	assert_int_equal(freed, 1);
	assert_int_equal(pinned->no, 1);
	lru_unpin(cache, &pinned->value);
	assert_int_equal(freed, 2);
	assert_int_equal(look(cache, "a"), 4);
	keep(cache, "d", 5, 20000); /* larger than everything */
	assert_int_equal(look(cache, "d"), 0);
	assert_true(lru_bytes(cache) <= 10000);
	lru_unpin(cache, NULL);
	lru_free(cache);
	assert_int_equal(freed, 5);
	lru_free(NULL);
}

/* What serves a request now. */
static bool
is_kept(struct place *p, const struct query_scene *scene, const char *request)
{
	struct tl_buf reply;
	int64_t made_ms = 0;
	bool served;

	(void)p;
	tl_buf_init(&reply, 0);
	served = kept_reply_get(
		scene, TL_QUERY_LEADERBOARD, tl_slice_str(request), &reply, &made_ms);
	if (served)
		assert_true(tl_slice_eq(tl_buf_slice(&reply), tl_slice_str("answer")));
	tl_buf_fini(&reply);
	return served;
}

static struct query_scene
make_scene(struct place *p, struct tl_view *view)
{
	return (struct query_scene){
		.store = p->store,
		.view = view,
		.registry = p->registry,
		.now_ms = p->now_ms,
		.org = tl_registry_org(p->registry, p->org),
		.caller = p->caller,
		.cache = p->cache,
	};
}

static void
a_reply_is_served_while_nothing_changed(void **state)
{
	struct place *p = place_open("UTC");
	struct query_scene scene;
	struct tl_view *view;
	struct tl_slice request = tl_slice_str(REQUEST);
	struct tl_slice answer = tl_slice_str("answer");

	(void)state;
	OK(query_cache_new(1 << 20, 1 << 20, &p->cache));
	place_publish(p);
	view = tl_view_pin(p->store);
	scene = make_scene(p, view);
	assert_false(is_kept(p, &scene, REQUEST));
	kept_reply_put(&scene, TL_QUERY_LEADERBOARD, request, answer);
	kept_reply_put(&scene, TL_QUERY_HEALTH, tl_slice_str(OTHER), answer);
	assert_true(is_kept(p, &scene, REQUEST));
	assert_true(is_kept(p, &scene, REQUEST_WITH_HAVE)); /* the same question */
	assert_false(is_kept(p, &scene, OTHER));
	scene.now_ms += 1000;
	assert_true(is_kept(p, &scene, REQUEST));
	scene.now_ms += 1;
	assert_false(is_kept(p, &scene, REQUEST));
	scene.now_ms = p->now_ms - 1;
	assert_false(is_kept(p, &scene, REQUEST));
	scene.now_ms = p->now_ms;
	scene.caller.is_operator = false;
	assert_false(is_kept(p, &scene, REQUEST));
	tl_view_unpin(view);

	/* the org changed */
	place_request(p, NOW_MS, 0, 0, 1, 1);
	place_publish(p);
	view = tl_view_pin(p->store);
	scene = make_scene(p, view);
	assert_false(is_kept(p, &scene, REQUEST));
	kept_reply_put(&scene, TL_QUERY_LEADERBOARD, request, answer);
	tl_view_unpin(view);

	/* another org changed */
	OK(tl_view_publish(
		p->store, 1, 1, &(struct tl_change){.org = 99, .low_ms = 1}, 1, &ok_why));
	view = tl_view_pin(p->store);
	scene = make_scene(p, view);
	assert_true(is_kept(p, &scene, REQUEST));
	tl_view_unpin(view);

	/* the registry changed */
	place_settings(p, false, false, 7);
	tl_registry_unpin(p->registry);
	p->registry = tl_registry_pin(p->roster);
	view = tl_view_pin(p->store);
	scene = make_scene(p, view);
	assert_false(is_kept(p, &scene, REQUEST));

	/* a quarter of an hour ends, and with it a bin may */
	scene.now_ms = NOW_MS + 10 * MINUTE_MS - 1;
	kept_reply_put(&scene, TL_QUERY_LEADERBOARD, request, answer);
	assert_true(is_kept(p, &scene, REQUEST));
	scene.now_ms++;
	assert_false(is_kept(p, &scene, REQUEST));
	tl_view_unpin(view);
	place_close(p);
}

static bool
holds(const struct query_scene *scene, const char *request, const char *mark, int64_t age_ms_max)
{
	return kept_mark_holds(
		scene, TL_QUERY_LEADERBOARD, tl_slice_str(request), tl_slice_str(mark), age_ms_max);
}

/* The scene with the registry as it is by now. */
static struct query_scene
repin(struct place *p, struct tl_view *view)
{
	tl_registry_unpin(p->registry);
	p->registry = tl_registry_pin(p->roster);
	return make_scene(p, view);
}

static void
add_org(struct place *p, const char *name)
{
	struct tl_edit *edit;
	struct tl_org org;
	uint32_t no;

	OK(tl_edit_begin(p->roster, p->write, &edit));
	org = *tl_edit_org(edit, p->org);
	org.no = 0;
	org.name = name;
	OK(tl_edit_put_org(edit, &org, &no));
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
}

static void
a_mark_holds_for_the_same_question_until_something_changed(void **state)
{
	struct place *p = place_open("UTC");
	struct query_scene scene, later;
	struct tl_view *view;
	char mark[KEPT_MARK_BYTES], again[KEPT_MARK_BYTES];
	char key[TL_KEY_ID_BYTES];
	uint32_t ada;

	(void)state;
	OK(query_cache_new(1 << 20, 1 << 20, &p->cache));
	place_publish(p);
	view = tl_view_pin(p->store);
	scene = make_scene(p, view);
	assert_false(kept_mark(&scene, TL_QUERY_RECONCILE, tl_slice_str(REQUEST), p->now_ms, mark));
	assert_true(
		kept_mark(&scene, TL_QUERY_LEADERBOARD, tl_slice_str(REQUEST), p->now_ms, mark));
	assert_true(kept_mark(
		&scene, TL_QUERY_LEADERBOARD, tl_slice_str(REQUEST_WITH_HAVE), p->now_ms, again));
	assert_string_equal(mark, again);
	assert_true(holds(&scene, REQUEST, mark, 0));
	assert_false(holds(&scene, OTHER, mark, 1000));
	assert_false(holds(&scene, REQUEST, "", 1000));
	assert_false(holds(&scene, REQUEST, "0123456789abcdef-zz", 1000));
	mark[0] ^= 1;
	assert_false(holds(&scene, REQUEST, mark, 1000));
	mark[0] ^= 1;

	later = scene;
	later.now_ms += 1000;
	assert_true(holds(&later, REQUEST, mark, 1000));
	assert_false(holds(&later, REQUEST, mark, 999));
	later.now_ms = scene.now_ms - 1;
	assert_false(holds(&later, REQUEST, mark, 1000));
	later.now_ms = NOW_MS + 10 * MINUTE_MS; /* another quarter of an hour */
	assert_false(holds(&later, REQUEST, mark, 60 * MINUTE_MS));
	later = scene;
	later.caller.is_admin = !later.caller.is_admin;
	assert_false(holds(&later, REQUEST, mark, 1000));
	tl_view_unpin(view);

	place_request(p, NOW_MS, 0, 0, 1, 1);
	place_publish(p);
	view = tl_view_pin(p->store);
	scene = make_scene(p, view);
	assert_false(holds(&scene, REQUEST, mark, 1000));
	assert_true(
		kept_mark(&scene, TL_QUERY_LEADERBOARD, tl_slice_str(REQUEST), p->now_ms, mark));
	add_org(p, "other"); /* what another org does shows nowhere */
	scene = repin(p, view);
	assert_true(holds(&scene, REQUEST, mark, 1000));
	ada = place_member(p, 0xaa, TL_MEMBER_ACTIVE, "", "Ada", -1);
	scene = repin(p, view);
	assert_false(holds(&scene, REQUEST, mark, 1000));
	assert_true(
		kept_mark(&scene, TL_QUERY_LEADERBOARD, tl_slice_str(REQUEST), p->now_ms, mark));
	place_agent(p, ada, "codex", key, NULL);
	scene = repin(p, view);
	assert_false(holds(&scene, REQUEST, mark, 1000));
	assert_true(
		kept_mark(&scene, TL_QUERY_LEADERBOARD, tl_slice_str(REQUEST), p->now_ms, mark));
	place_settings(p, false, false, 7);
	tl_registry_unpin(p->registry);
	p->registry = tl_registry_pin(p->roster);
	scene = make_scene(p, view);
	assert_false(holds(&scene, REQUEST, mark, 1000));
	tl_view_unpin(view);
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_recently_used_goes_first),
		cmocka_unit_test(a_reply_is_served_while_nothing_changed),
		cmocka_unit_test(a_mark_holds_for_the_same_question_until_something_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
