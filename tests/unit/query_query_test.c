#include "query_store.h"

#include <pthread.h>

#include "schema/net/req_client.h"
#include "schema/wire/frame.h"

struct served {
	struct place *p;
	struct query *query;
	struct tl_req_client *client;
	struct tl_req_client *control;
	struct tl_clock clock;
	char url[96], control_url[96];
	char admin[TL_TOKEN_BYTES_MAX];
};

static void
start(struct served *s)
{
	const char *urls[1];
	struct query_options options = {.url_count = 1, .worker_count = 2};

	memset(s, 0, sizeof(*s));
	s->p = place_open("UTC");
	s->clock = (struct tl_clock){.fixed_wall_ms = NOW_MS, .fixed_mono_ms = 1};
	place_member(s->p, 0xaa, TL_MEMBER_ACTIVE, "ada@acme.test", "Ada", -1);
	place_token(s->p, TL_CREDENTIAL_PERSON, 0, true, s->admin);
	place_request(s->p, NOW_MS - HOUR_MS, 0, 1, 10, 500);
	place_publish(s->p);
	snprintf(s->url, sizeof(s->url), "ipc://%s/query.sock", s->p->dir);
	snprintf(s->control_url, sizeof(s->control_url), "ipc://%s/control.sock", s->p->dir);
	urls[0] = s->url;
	options.store = s->p->store;
	options.roster = s->p->roster;
	options.clock = &s->clock;
	options.urls = urls;
	options.control_url = s->control_url;
	OK(query_start(&options, &s->query, &ok_why));
	OK(tl_req_client_open(s->url, &s->client, &ok_why));
	OK(tl_req_client_open(s->control_url, &s->control, &ok_why));
}

static void
stop(struct served *s)
{
	tl_req_client_close(s->client);
	tl_req_client_close(s->control);
	query_stop(s->query);
	place_close(s->p);
}

/* The reply lies in p->reply. */
static void
call(struct served *s, struct tl_req_client *client, struct tl_slice request)
{
	tl_buf_reset(&s->p->reply);
	OK(tl_req_client_call(client, request, 10000, &s->p->reply, &ok_why));
}

static void
ask(struct served *s, struct tl_req_client *client, const char *op, ...)
{
	struct tl_buf request;
	va_list params;

	tl_buf_init(&request, 0);
	va_start(params, op);
	put_request(&request, op, params);
	va_end(params);
	call(s, client, tl_buf_slice(&request));
	tl_buf_fini(&request);
}

static void
a_token_opens_its_org(void **state)
{
	struct served s;
	struct place *p;

	(void)state;
	start(&s);
	p = s.p;
	ask(&s, s.client, "leaderboard", "token", s.admin, NULL);
	assert_true(reply_bool(p, "ok"));
	assert_int_equal(reply_int(p, "org.value"), 500);
	assert_int_equal(reply_int(p, "as_of_ms"), NOW_MS);
	assert_string_equal(reply_text(p, "members.0.email"), "ada@acme.test");
	ask(&s, s.client, "leaderboard", "token", s.admin, NULL);
	assert_int_equal(reply_int(p, "org.value"), 500);
	assert_int_equal(tl_counter_get(&query_stats_of(s.query)->cached), 1);
	/* a write is seen by the read that follows it */
	place_request(p, NOW_MS - HOUR_MS, 0, 1, 10, 70);
	place_publish(p);
	ask(&s, s.client, "leaderboard", "token", s.admin, NULL);
	assert_int_equal(reply_int(p, "org.value"), 570);

	ask(&s, s.client, "leaderboard", NULL);
	assert_string_equal(reply_text(p, "error.code"), "unauthenticated");
	assert_string_equal(reply_text(p, "error.retry"), "never");
	ask(&s, s.client, "leaderboard", "token", "tally_pat_nonsense", NULL);
	assert_string_equal(reply_text(p, "error.code"), "unauthenticated");
	ask(&s, s.client, "leaderboard", "token", s.admin, "org", "acme", NULL);
	assert_true(reply_bool(p, "ok"));
	ask(&s, s.client, "leaderboard", "token", s.admin, "org", "other", NULL);
	assert_string_equal(reply_text(p, "error.code"), "not_found");
	ask(&s, s.client, "leaderboard", "token", s.admin, "limit", "1001", NULL);
	assert_string_equal(reply_text(p, "error.code"), "bad_param");
	assert_string_equal(reply_text(p, "error.field"), "limit");
	ask(&s, s.client, "health", NULL);
	assert_true(reply_bool(p, "ready"));
	assert_true(tl_counter_get(&query_stats_of(s.query)->errors) >= 4);
	assert_int_equal(tl_histogram_count(&query_stats_of(s.query)->run_us[TL_QUERY_HEALTH]), 1);
	assert_int_equal(query_port(s.query), 0);
	stop(&s);
}

static void
the_operator_names_the_org(void **state)
{
	struct served s;
	struct place *p;

	(void)state;
	start(&s);
	p = s.p;
	ask(&s, s.control, "leaderboard", "org", "acme", NULL);
	assert_int_equal(reply_int(p, "org.value"), 500);
	ask(&s, s.control, "leaderboard", NULL);
	assert_string_equal(reply_text(p, "error.code"), "bad_param");
	assert_string_equal(reply_text(p, "error.field"), "org");
	ask(&s, s.control, "leaderboard", "org", "none", NULL);
	assert_string_equal(reply_text(p, "error.code"), "not_found");
	ask(&s, s.client, "leaderboard", "org", "acme", NULL);
	assert_string_equal(reply_text(p, "error.code"), "unauthenticated");
	stop(&s);
}

static void
odd_frames_get_a_coded_reply(void **state)
{
	static const uint8_t deep[] = {0x81, 0xa1, 'v', 0x91, 0x91, 0x91, 0x91, 0x91, 0x01};
	struct tl_buf request, packed;
	struct tl_pack_open map;
	struct served s;
	struct place *p;
	uint8_t *large;

	(void)state;
	start(&s);
	p = s.p;
	call(&s, s.client, tl_slice_of("\xc1", 1));
	assert_string_equal(reply_text(p, "error.code"), "frame_malformed");
	call(&s, s.client, tl_slice_of("\x93\x01\x02\x03", 4));
	assert_string_equal(reply_text(p, "error.code"), "frame_malformed");
	call(&s, s.client, tl_slice_of(deep, sizeof(deep)));
	assert_string_equal(reply_text(p, "error.code"), "too_deep");
	large = calloc(1, TL_FRAME_BYTES_MAX + 1);
	call(&s, s.client, tl_slice_of(large, TL_FRAME_BYTES_MAX + 1));
	assert_string_equal(reply_text(p, "error.code"), "frame_too_large");
	assert_int_equal(reply_int(p, "error.limit"), TL_FRAME_BYTES_MAX);
	free(large);
	tl_buf_init(&request, 0);
	tl_buf_init(&packed, 0);
	map = tl_pack_open_map(&request);
	tl_pack_key_int(&request, &map, "v", 2);
	tl_pack_close(&request, &map);
	call(&s, s.client, tl_buf_slice(&request));
	assert_string_equal(reply_text(p, "error.code"), "version_unsupported");
	tl_buf_reset(&request);
	map = tl_pack_open_map(&request);
	tl_pack_key_int(&request, &map, "v", 1);
	tl_pack_key_str(&request, &map, "op", "leaderboard");
	tl_pack_key_str(&request, &map, "token", s.admin);
	tl_pack_close(&request, &map);
	OK(tl_frame_deflate(tl_buf_slice(&request), &packed));
	call(&s, s.client, tl_buf_slice(&packed));
	assert_int_equal(reply_int(p, "org.value"), 500);
	tl_buf_fini(&request);
	tl_buf_fini(&packed);
	stop(&s);
}

static void *
ask_often(void *arg)
{
	struct served *s = arg;
	struct tl_buf request, reply;
	struct tl_pack_open map;
	struct tl_why why;

	tl_buf_init(&request, 0);
	tl_buf_init(&reply, 0);
	map = tl_pack_open_map(&request);
	tl_pack_key_int(&request, &map, "v", 1);
	tl_pack_key_str(&request, &map, "op", "leaderboard");
	tl_pack_key_str(&request, &map, "token", s->admin);
	tl_pack_close(&request, &map);
	for (int i = 0; i < 200; i++) {
		tl_buf_reset(&reply);
		if (tl_req_client_call(s->client, tl_buf_slice(&request), 10000, &reply, &why) ||
			!tl_reader_find_bool(tl_buf_slice(&reply), "ok", false))
			return s;
	}
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
	return NULL;
}

/* Views are published while many ask; the sanitizers look on. */
static void
many_ask_while_views_move(void **state)
{
	struct served s;
	pthread_t threads[4];

	(void)state;
	start(&s);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &s), 0);
	for (int i = 0; i < 30; i++) {
		struct tl_change change = {
			.org = s.p->org, .low_ms = i % 3 ? NOW_MS : NOW_MS - 3 * DAY_MS};

		OK(tl_view_publish(s.p->store, s.p->group_no, s.p->seq, &change, 1, &ok_why));
	}
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *failed = NULL;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	stop(&s);
}

/* One question of several: NULL leaves a pair out. */
static void
put_question(struct tl_buf *to, const char *op, const char *token, const char *have)
{
	struct tl_pack_open map = tl_pack_open_map(to);

	tl_pack_key_int(to, &map, "v", 1);
	tl_pack_key_str(to, &map, "op", op);
	tl_pack_key_str(to, &map, "token", token);
	if (have != NULL)
		tl_pack_key_str(to, &map, "have", have);
	tl_pack_close(to, &map);
}

static struct tl_pack_open
begin_several(struct tl_buf *request, struct tl_pack_open *map)
{
	tl_buf_init(request, 0);
	*map = tl_pack_open_map(request);
	tl_pack_key_int(request, map, "v", 1);
	tl_pack_key_str(request, map, "op", "several");
	tl_pack_key(request, map, "asks");
	return tl_pack_open_array(request);
}

static void
end_several(struct served *s, struct tl_buf *request, struct tl_pack_open *map,
	struct tl_pack_open *asks, uint32_t count)
{
	asks->count = count;
	tl_pack_close(request, asks);
	tl_pack_close(request, map);
	call(s, s->client, tl_buf_slice(request));
	tl_buf_fini(request);
}

static void
several_are_answered_each_for_itself(void **state)
{
	struct served s;
	struct place *p;
	struct tl_buf request;
	struct tl_pack_open map, asks;
	char mark[64];

	(void)state;
	start(&s);
	p = s.p;
	ask(&s, s.client, "leaderboard", "token", s.admin, "have", "", NULL);
	strcpy(mark, reply_text(p, "mark"));
	asks = begin_several(&request, &map);
	put_question(&request, "leaderboard", s.admin, mark);
	put_question(&request, "series", s.admin, mark);
	put_question(&request, "leaderboard", "nobody", mark);
	put_question(&request, "leaderboard", s.admin, NULL);
	put_question(&request, "live", s.admin, NULL);
	put_question(&request, "leaderboard", s.admin, mark);
	end_several(&s, &request, &map, &asks, 6);
	assert_true(reply_bool(p, "ok"));
	assert_int_equal(reply_count(p, "answers"), 6);
	assert_true(reply_bool(p, "answers.0.same"));
	assert_string_equal(reply_text(p, "answers.0.mark"), mark);
	assert_false(reply_bool(p, "answers.1.same"));
	assert_string_equal(reply_text(p, "answers.2.error.code"), "unauthenticated");
	assert_string_equal(reply_text(p, "answers.3.error.field"), "have");
	assert_int_equal(reply_int(p, "answers.4.as_of_ms"), NOW_MS);
	assert_true(reply_bool(p, "answers.5.same"));

	asks = begin_several(&request, &map);
	for (int i = 0; i < 513; i++)
		tl_pack_int(&request, 1);
	end_several(&s, &request, &map, &asks, 513);
	assert_string_equal(reply_text(p, "error.field"), "asks");
	ask(&s, s.client, "several", NULL);
	assert_string_equal(reply_text(p, "error.field"), "asks");
	ask(&s, s.client, "several", "asks", "x", NULL);
	assert_string_equal(reply_text(p, "error.field"), "asks");
	stop(&s);
}

/* The digests of the last two live replies. */
static bool
has_moved(struct served *s, const char *token, const char *key, char before[64])
{
	char now[64];
	bool moved;

	ask(s, s->client, "live", "token", token, NULL);
	strcpy(now, reply_text(s->p, key));
	assert_int_equal(strlen(now), 16);
	moved = strcmp(now, before) != 0;
	strcpy(before, now);
	return moved;
}

static void
live_tells_the_own_changes_and_no_others(void **state)
{
	struct served s;
	struct place *p;
	char usage[64] = "", team[64] = "", user[64] = "", org[64] = "";
	char first[TL_TOKEN_BYTES_MAX], second[TL_TOKEN_BYTES_MAX], service[TL_TOKEN_BYTES_MAX];

	(void)state;
	start(&s);
	p = s.p;
	place_token(p, TL_CREDENTIAL_PERSON, 1, false, first);
	place_token(p, TL_CREDENTIAL_PERSON, 1, false, second);
	place_token(p, TL_CREDENTIAL_SERVICE, 0, false, service);
	assert_true(has_moved(&s, first, "usage", usage));
	assert_true(has_moved(&s, first, "team", team));
	assert_true(has_moved(&s, first, "user", user));
	assert_false(has_moved(&s, second, "user", user));
	assert_true(has_moved(&s, service, "user", user));
	assert_true(has_moved(&s, service, "org", org));
	assert_false(has_moved(&s, first, "org", org));
	/* another org's usage */
	OK(tl_view_publish(p->store, p->group_no, p->seq + 7,
		&(struct tl_change){.org = 99, .low_ms = 1}, 1, &ok_why));
	assert_false(has_moved(&s, first, "usage", usage));
	assert_false(has_moved(&s, first, "team", team));
	/* the own, and the own people */
	place_request(p, NOW_MS - HOUR_MS, 0, 1, 10, 70);
	place_publish(p);
	assert_true(has_moved(&s, first, "usage", usage));
	assert_false(has_moved(&s, first, "team", team));
	place_member(p, 0xbb, TL_MEMBER_ACTIVE, "", "Bob", -1);
	assert_false(has_moved(&s, first, "usage", usage));
	assert_true(has_moved(&s, first, "team", team));
	ask(&s, s.client, "live", "token", "nobody", NULL);
	assert_string_equal(reply_text(p, "error.code"), "unauthenticated");
	ask(&s, s.control, "live", NULL);
	assert_string_equal(reply_text(p, "error.field"), "org");
	stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_opens_its_org),
		cmocka_unit_test(the_operator_names_the_org),
		cmocka_unit_test(odd_frames_get_a_coded_reply),
		cmocka_unit_test(many_ask_while_views_move),
		cmocka_unit_test(several_are_answered_each_for_itself),
		cmocka_unit_test(live_tells_the_own_changes_and_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
