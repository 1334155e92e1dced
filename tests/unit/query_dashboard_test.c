#include "query_store.h"

/* Two people with repositories and pull requests, and one that is invited. */
struct team {
	struct place *p;
	uint32_t ada, bob;
};

static struct team
make_team(void)
{
	struct team t = {.p = place_open("Europe/Berlin")};
	uint32_t repo = place_name(t.p, TL_NAME_REPO, "github.com/o/r");
	struct session *one = place_session(t.p, "one");
	struct session *two = place_session(t.p, "two");
	char key[TL_KEY_ID_BYTES];

	t.ada = place_member(t.p, 0xaa, TL_MEMBER_ACTIVE, "ada@acme.test", "Ada", 5000);
	t.bob = place_member(t.p, 0xbb, TL_MEMBER_ACTIVE, "bob@acme.test", "", -1);
	place_member(t.p, 0x11, TL_MEMBER_PENDING, "pat@acme.test", "", -1);
	place_agent(t.p, t.ada, "codex", key, NULL);
	one->repo = repo;
	one->prs[one->pr_count++] = (struct tl_pr){repo, 7};
	place_request(t.p, NOW_MS - 10 * MINUTE_MS, one->no, t.ada, 100, 5000);
	place_request(t.p, NOW_MS - 2 * DAY_MS, two->no, t.bob, 200, 7000);
	place_request(t.p, NOW_MS - 26 * HOUR_MS, 0, 0, 50, 11000);
	place_request(t.p, NOW_MS - 8 * DAY_MS, two->no, t.bob, 10, 900);
	place_settings(t.p, true, true, 3);
	place_publish(t.p);
	return t;
}

static struct tl_buf
copy_of(const struct place *p, const char *path)
{
	struct tl_buf copy;

	tl_buf_init(&copy, 0);
	tl_buf_put_slice(&copy, reply_at(p, path));
	return copy;
}

/* The part of the dashboard is what op answers at part_of_op, to the byte. */
static void
same_as(struct place *p, const char *part, const char *op, const char *part_of_op)
{
	struct tl_buf single;

	ASK(p, op, "range", "7d", "metric", "tokens");
	single = copy_of(p, part_of_op);
	ASK(p, "dashboard", "range", "7d", "metric", "tokens");
	if (single.bytes == 0 || !tl_slice_eq(tl_buf_slice(&single), reply_at(p, part)))
		fail_msg("%s is not %s of %s", part, part_of_op, op);
	tl_buf_fini(&single);
}

static void
check_parts(struct place *p)
{
	static const char *const head[] = {"as_of_ms", "seq", "window", "metric", "tokens_rule",
		"members", "unattributed", "truncated", "next_cursor", "org.value", "org.cost_nusd",
		"org.sessions", "org.spark"};

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		same_as(p, head[i], "leaderboard", head[i]);
	same_as(p, "bars", "series", "bars");
	same_as(p, "top_repos.state", "top_repos", "state");
	same_as(p, "top_repos.repos", "top_repos", "repos");
	same_as(p, "repos", "repos", "repos");
	same_as(p, "pulls", "pulls", "pulls");
	same_as(p, "seats.seats", "team", "seats");
	same_as(p, "seats.used", "team", "used");
}

static void
each_part_is_what_its_own_operation_says(void **state)
{
	struct team t = make_team();
	struct place *p = t.p;

	(void)state;
	check_parts(p);
	ASK(p, "dashboard");
	assert_string_equal(reply_text(p, "org.name"), "acme");
	assert_string_equal(reply_text(p, "org.tz"), "Europe/Berlin");
	assert_int_equal(reply_int(p, "org.value"), 23000);
	assert_int_equal(reply_int(p, "org.prev_value"), 900);
	assert_int_equal(reply_sum(p, "bars"), 23000);
	assert_int_equal(reply_count(p, "members"), 3);
	assert_true(reply_bool(p, "members.2.pending"));
	assert_int_equal(reply_count(p, "repos"), 1);
	assert_int_equal(reply_int(p, "pulls.0.number"), 7);
	assert_false(reply_bool(p, "pulls_page.truncated"));
	assert_int_equal(reply_int(p, "seats.seats"), 3);
	assert_int_equal(reply_int(p, "seats.used"), 2);
	p->caller = (struct tl_caller){
		.type = TL_CREDENTIAL_PERSON, .org_no = p->org, .member_no = t.bob};
	check_parts(p);
	place_settings(p, false, false, 3);
	place_publish(p);
	check_parts(p);
	place_close(p);
}

static void
the_reader_learns_what_is_allowed(void **state)
{
	struct team t = make_team();
	struct place *p = t.p;

	(void)state;
	ASK(p, "dashboard");
	assert_string_equal(reply_text(p, "me.role"), "operator");
	assert_true(reply_bool(p, "members.1.agents.0.compression"));
	assert_true(reply_is_nil(p, "members.1.agents.0.debug_until_ms"));
	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_PERSON,
		.org_no = p->org,
		.member_no = t.ada,
		.is_admin = true};
	ASK(p, "dashboard");
	assert_string_equal(reply_text(p, "me.role"), "admin");
	assert_string_equal(reply_text(p, "me.member_id"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_true(reply_bool(p, "me.may_manage"));
	assert_true(reply_bool(p, "me.may_audit"));
	assert_true(reply_bool(p, "me.sees_peers"));
	p->caller = (struct tl_caller){.type = TL_CREDENTIAL_SERVICE, .org_no = p->org};
	ASK(p, "dashboard");
	assert_string_equal(reply_text(p, "me.role"), "service");
	assert_true(reply_is_nil(p, "me.member_id"));
	assert_false(reply_bool(p, "me.may_manage"));
	p->caller = (struct tl_caller){
		.type = TL_CREDENTIAL_PERSON, .org_no = p->org, .member_no = t.bob};
	place_settings(p, false, false, 0);
	place_publish(p);
	ASK(p, "dashboard");
	assert_string_equal(reply_text(p, "me.role"), "member");
	assert_false(reply_bool(p, "me.may_manage"));
	assert_false(reply_bool(p, "me.may_audit"));
	assert_false(reply_bool(p, "me.sees_peers"));
	assert_int_equal(reply_count(p, "members"), 1);
	assert_int_equal(reply_count(p, "repos"), 0);
	assert_string_equal(reply_text(p, "top_repos.state"), "not_connected");
	assert_int_equal(reply_at(p, "members.0.agents.0.compression").bytes, 0);
	p->caller.type = TL_CREDENTIAL_GATEWAY;
	assert_int_equal(place_try(p, "dashboard", NULL), TL_EFORBIDDEN);
	place_close(p);
}

static void
add_agents(struct tl_edit *edit, uint32_t org, uint32_t member)
{
	struct tl_agent agent = {.member_no = member, .type = "of_some_type", .live = true};

	for (int i = 0; i < 20; i++) {
		agent.no = 0;
		OK(tl_edit_put_agent(edit, org, &agent, &agent.no));
	}
}

/* As large as a member can be: every text at its limit. */
static void
add_large_members(struct place *p, uint32_t count)
{
	static uint8_t sealed[TL_EMAIL_ENC_BYTES_MAX] = {
		0xc5, (sizeof(sealed) - 3) >> 8, (sizeof(sealed) - 3) & 0xff};
	char email[TL_EMAIL_BYTES_MAX + 1], name[TL_NAME_BYTES_MAX + 1];
	struct tl_edit *edit;

	memset(email, 'e', sizeof(email));
	memset(name, 'n', sizeof(name));
	email[sizeof(email) - 1] = name[sizeof(name) - 1] = '\0';
	OK(tl_edit_begin(p->roster, p->write, &edit));
	for (uint32_t i = 0; i < count; i++) {
		struct tl_member member = {.state = TL_MEMBER_ACTIVE,
			.rate_cents = -1,
			.email = email,
			.display_name = name,
			.email_enc = tl_slice_of(sealed, sizeof(sealed))};
		uint32_t no = 0;

		tl_put_be32(member.id, i);
		OK(tl_edit_put_member(edit, p->org, &member, &no));
		add_agents(edit, p->org, no);
	}
	OK(tl_write_commit(p->write, TL_SYNC, &ok_why));
	tl_edit_publish(edit);
}

static void
what_does_not_fit_goes_on_and_nobody_is_left_out(void **state)
{
	struct place *p = place_open("UTC");
	char from[24], to[24], cursor[512] = "";
	uint32_t member_count = 0, page_count = 0;

	(void)state;
	add_large_members(p, 1000);
	for (uint32_t no = 1; no <= 1000; no++)
		place_request(p, NOW_MS - HOUR_MS, 0, no, 1, 1000000 + no);
	place_publish(p);
	snprintf(from, sizeof(from), "%lld", (long long)(NOW_MS - 120 * HOUR_MS));
	snprintf(to, sizeof(to), "%lld", (long long)NOW_MS);
	do {
		if (cursor[0] == '\0')
			ASK(p, "dashboard", "from", from, "to", to);
		else
			ASK(p, "dashboard", "from", from, "to", to, "cursor", cursor);
		assert_true(p->reply.bytes <= TL_REPLY_BYTES_MAX);
		if (page_count == 0) /* cut by its bytes, before its thousand rows */
			assert_true(p->reply.bytes > 3 << 20);
		member_count += reply_count(p, "members");
		page_count++;
		snprintf(cursor, sizeof(cursor), "%s", reply_text(p, "next_cursor"));
		assert_int_equal(reply_bool(p, "truncated"), cursor[0] != '\0');
	} while (cursor[0] != '\0');
	assert_int_equal(member_count, 1000);
	assert_int_equal(page_count, 2);
	/* everybody on one page, when they are not that large */
	ASK(p, "dashboard", "limit", "3");
	assert_int_equal(reply_count(p, "members"), 3);
	assert_string_equal(reply_text(p, "next_cursor"), "o3");
	place_close(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_part_is_what_its_own_operation_says),
		cmocka_unit_test(the_reader_learns_what_is_allowed),
		cmocka_unit_test(what_does_not_fit_goes_on_and_nobody_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
