#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "ingest/control.h"
#include "schema/base/crypt.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 2026-11-21T10:00:00Z */
#define NOW_MS 1795255200000LL
#define HOUR_MS 3600000LL
#define DAY_MS (24 * HOUR_MS)

/* Who asks, for short. */
#define OPERATOR ""

/* A store in a folder of its own, with the org "Acme" and the tokens it began with. */
struct place {
	char dir[32];
	struct tl_store *store;
	struct tl_roster *roster;
	struct tl_write *write;
	int64_t now_ms;
	struct tl_buf request;
	struct tl_buf reply;
	struct tl_why why;
	char admin[TL_TOKEN_BYTES_MAX];
	char gateway[TL_TOKEN_BYTES_MAX];
};

/* Pairs of a key and "s<text>", "i<number>", "t" true, "f" false, "n" nil, "d" a float. */
static void
put_params(struct tl_buf *buf, struct tl_pack_open *map, va_list params)
{
	const char *key;

	while ((key = va_arg(params, const char *))) {
		const char *value = va_arg(params, const char *);

		tl_pack_key(buf, map, key);
		switch (value[0]) {
		case 's':
			tl_pack_str(buf, value + 1);
			break;
		case 'i':
			tl_pack_int(buf, strtoll(value + 1, NULL, 10));
			break;
		case 't':
		case 'f':
			tl_pack_bool(buf, value[0] == 't');
			break;
		case 'd':
			/* 72.5 */
			tl_buf_put(buf, "\xcb\x40\x52\x20\0\0\0\0\0", 9);
			break;
		default:
			tl_pack_nil(buf);
		}
	}
}

static enum tl_err
run_write(struct place *p, const struct tl_command *command, const struct tl_caller *caller)
{
	struct tl_edit *edit = NULL;
	enum tl_err err;

	assert_int_equal(tl_edit_begin(p->roster, p->write, &edit), TL_OK);
	err = control_write(command, caller, edit, p->now_ms, &p->reply, &p->why);
	if (err) {
		/* A refused command leaves nothing behind, not even in the edit. */
		assert_false(tl_edit_is_dirty(edit));
		assert_int_equal(p->reply.bytes, 0);
		tl_edit_discard(edit);
		tl_write_reset(p->write);
		return err;
	}
	assert_int_equal(tl_write_commit(p->write, TL_SYNC, NULL), TL_OK);
	tl_edit_publish(edit);
	return TL_OK;
}

/* As the pipeline does it: resolve who asks, run, make durable. The reply is in p->reply. */
static enum tl_err
run(struct place *p, const char *token, const char *org, const char *op, ...)
{
	const struct tl_registry *registry = tl_registry_pin(p->roster);
	struct tl_command command;
	struct tl_caller caller;
	struct tl_pack_open map;
	va_list params;
	enum tl_err err;

	tl_buf_reset(&p->request);
	tl_buf_reset(&p->reply);
	p->why.text[0] = '\0';
	map = tl_pack_open_map(&p->request);
	tl_pack_key_int(&p->request, &map, "v", 1);
	tl_pack_key_str(&p->request, &map, "op", op);
	va_start(params, op);
	put_params(&p->request, &map, params);
	va_end(params);
	tl_pack_close(&p->request, &map);
	assert_int_equal(tl_reader_check(tl_buf_slice(&p->request), 4, NULL), TL_OK);
	assert_int_equal(tl_command_read(tl_buf_slice(&p->request), &command, NULL), TL_OK);

	err = tl_caller_resolve(registry, tl_slice_str(token), tl_slice_str(org),
		strcmp(token, OPERATOR) == 0, p->now_ms, &caller, &p->why);
	if (!err && tl_command_writes(command.op))
		err = run_write(p, &command, &caller);
	else if (!err)
		err = control_read(&command, &caller, registry, p->now_ms, &p->reply, &p->why);
	tl_registry_unpin(registry);
	if (!err) {
		assert_int_equal(tl_reader_check(tl_buf_slice(&p->reply), 8, NULL), TL_OK);
		assert_int_equal(tl_reader_find_int(tl_buf_slice(&p->reply), "v", 0), 1);
		assert_true(tl_reader_find_bool(tl_buf_slice(&p->reply), "ok", false));
	} else {
		assert_true(p->why.text[0] != '\0');
	}
	return err;
}

#define OK(...) assert_int_equal(run(__VA_ARGS__, NULL), TL_OK)
#define REFUSED(wanted, ...) assert_int_equal(run(__VA_ARGS__, NULL), wanted)

static int64_t
reply_int(struct place *p, const char *key)
{
	return tl_reader_find_int(tl_buf_slice(&p->reply), key, INT64_MIN);
}

static bool
reply_flag(struct place *p, const char *key)
{
	struct tl_reader value;

	assert_true(tl_reader_find(tl_buf_slice(&p->reply), key, &value));
	return tl_read_bool(&value);
}

static void
reply_text(struct place *p, const char *key, size_t text_bytes, char *text_out)
{
	struct tl_slice text = tl_reader_find_str(tl_buf_slice(&p->reply), key);

	assert_true(text.bytes > 0 && text.bytes < text_bytes);
	memcpy(text_out, text.data, text.bytes);
	text_out[text.bytes] = '\0';
}

static bool
reply_is(struct place *p, const char *key, const char *wanted)
{
	return tl_slice_eq(tl_reader_find_str(tl_buf_slice(&p->reply), key), tl_slice_str(wanted));
}

static bool
reply_is_nil(struct place *p, const char *key)
{
	struct tl_reader value;

	return tl_reader_find(tl_buf_slice(&p->reply), key, &value) &&
	       tl_reader_peek(&value) == TL_WIRE_NIL;
}

/* Row row_idx of the list under key; an empty slice when there are fewer. */
static struct tl_slice
reply_row(struct place *p, const char *key, uint32_t row_idx)
{
	struct tl_reader list;
	uint32_t count;

	assert_true(tl_reader_find(tl_buf_slice(&p->reply), key, &list));
	count = tl_read_array(&list);
	for (uint32_t i = 0; i < count; i++) {
		struct tl_slice row = tl_read_any(&list);

		if (i == row_idx)
			return row;
	}
	return tl_slice_of(NULL, 0);
}

static uint32_t
reply_count(struct place *p, const char *key)
{
	struct tl_reader list;

	assert_true(tl_reader_find(tl_buf_slice(&p->reply), key, &list));
	return tl_read_array(&list);
}

static bool
row_is(struct tl_slice row, const char *key, const char *wanted)
{
	return tl_slice_eq(tl_reader_find_str(row, key), tl_slice_str(wanted));
}

/* "s" before a text, for run. Two at a time are enough. */
static const char *
s(const char *text)
{
	static char texts[4][TL_NAME_BYTES_MAX + 2];
	static unsigned next;
	char *out = texts[next++ % COUNT(texts)];

	snprintf(out, sizeof(texts[0]), "s%s", text);
	return out;
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct tl_store_options options = {.create = true};

	assert_non_null(p);
	p->now_ms = NOW_MS;
	strcpy(p->dir, "/tmp/control.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	options.dir = p->dir;
	assert_int_equal(tl_store_open(&options, &p->store, NULL), TL_OK);
	assert_int_equal(tl_write_new(p->store, &p->write), TL_OK);
	assert_int_equal(tl_roster_open(p->store, &p->roster, NULL), TL_OK);
	OK(p, OPERATOR, "", "org_create", "name", "sAcme");
	reply_text(p, "admin_token", sizeof(p->admin), p->admin);
	reply_text(p, "gateway_token", sizeof(p->gateway), p->gateway);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	char command[64];

	tl_roster_free(p->roster);
	tl_write_free(p->write);
	tl_store_close(p->store);
	tl_buf_fini(&p->request);
	tl_buf_fini(&p->reply);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static void
reopen(struct place *p)
{
	tl_roster_free(p->roster);
	p->roster = NULL;
	assert_int_equal(tl_roster_open(p->store, &p->roster, NULL), TL_OK);
}

/* A member by its email, as the newest snapshot has it; strings live until the next change. */
static struct tl_member
member_of(struct place *p, const char *email)
{
	const struct tl_registry *registry = tl_registry_pin(p->roster);
	const struct tl_org *org = tl_registry_org(registry, 1);
	const struct tl_member *member;
	struct tl_member copy;
	uint8_t id[16];

	tl_org_member_id(org, tl_slice_str(email), id);
	member = tl_org_member_by_id(org, id);
	assert_non_null(member);
	copy = *member;
	tl_registry_unpin(registry);
	return copy;
}

/* What an event does that names somebody. */
static void
send_event(struct place *p, const char *email, const char *type)
{
	struct tl_edit *edit = NULL;
	uint8_t id[16];
	uint32_t member_no, agent_no;

	assert_int_equal(tl_edit_begin(p->roster, p->write, &edit), TL_OK);
	tl_org_member_id(tl_edit_org(edit, 1), tl_slice_str(email), id);
	assert_int_equal(
		tl_edit_need_member(edit, 1, id, tl_slice_str(email), p->now_ms, &member_no),
		TL_OK);
	if (type)
		assert_int_equal(tl_edit_need_agent(edit, 1, member_no, tl_slice_str(type),
					 p->now_ms, &agent_no),
			TL_OK);
	assert_int_equal(tl_write_commit(p->write, TL_SYNC, NULL), TL_OK);
	tl_edit_publish(edit);
}

static void
make_token(struct place *p, const char *type, char token_out[TL_TOKEN_BYTES_MAX])
{
	OK(p, p->admin, "", "token_create", "type", s(type), "name", "sa token");
	reply_text(p, "token", TL_TOKEN_BYTES_MAX, token_out);
}

static void
a_new_org_comes_with_two_tokens_that_work(void **state)
{
	struct place *p = *state;
	char id[TL_KEY_ID_BYTES];

	OK(p, OPERATOR, "", "org_create", "name", "sOther", "tz", "sEurope/Berlin", "seats", "i3");
	assert_true(reply_is(p, "org", "Other"));
	reply_text(p, "admin_token", sizeof(p->admin), p->admin);
	reply_text(p, "admin_token_id", sizeof(id), id);
	assert_memory_equal(p->admin, id, strlen(id));
	reply_text(p, "gateway_token", sizeof(p->gateway), p->gateway);
	reply_text(p, "gateway_token_id", sizeof(id), id);
	assert_memory_equal(p->gateway, id, strlen(id));
	reopen(p);
	OK(p, p->admin, "", "org_update");
	assert_true(reply_is(p, "org", "Other"));
	assert_true(reply_is(p, "tz", "Europe/Berlin"));
	assert_int_equal(reply_int(p, "seats"), 3);
	assert_false(reply_flag(p, "one_agent_per_member"));
	assert_true(reply_flag(p, "peers_visible"));
	assert_false(reply_flag(p, "github_connected"));
	REFUSED(TL_EFORBIDDEN, p, p->gateway, "", "org_update");
	OK(p, p->gateway, "", "ping");
}

static void
only_an_operator_makes_and_lists_orgs(void **state)
{
	struct place *p = *state;

	REFUSED(TL_EFORBIDDEN, p, p->admin, "", "org_create", "name", "sOther");
	REFUSED(TL_EFORBIDDEN, p, p->gateway, "", "org_create", "name", "sOther");
	REFUSED(TL_EFORBIDDEN, p, p->admin, "", "org_list");
}

/* Refusals of org_create: the parameter, and a word the text must hold. */
static const struct {
	const char *key;
	const char *value;
	enum tl_err err;
	const char *text;
} wrong_orgs[] = {
	{"name", "n", TL_EFIELD_MISSING, "name"},
	{"name", "s", TL_EFIELD_MISSING, "name"},
	{"name", "i7", TL_EFIELD_TYPE, "name"},
	{"name", "sAcme", TL_ECONFLICT, "name"},
	{"name", "sA\x1b[1m", TL_ESTRING_CONTROL, "name"},
	{"name", "sA\nB", TL_ESTRING_CONTROL, "name"},
	{"name", "sA\xc2\x85", TL_ESTRING_CONTROL, "name"},
	{"name", "sA\xff", TL_ESTRING_NOT_UTF8, "name"},
	{"tz", "sEurope/Atlantis", TL_EBAD_PARAM, "tz"},
	{"tz", "s../../etc/passwd", TL_EBAD_PARAM, "tz"},
	{"seats", "i-1", TL_EBAD_PARAM, "1000000"},
	{"seats", "i1000001", TL_EBAD_PARAM, "1000000"},
	{"seats", "s3", TL_EFIELD_TYPE, "seats"},
	{"seats", "d", TL_EFIELD_TYPE, "seats"},
	{"peers_visible", "i1", TL_EFIELD_TYPE, "peers_visible"},
};

static void
wrong_orgs_are_refused_by_field(void **state)
{
	struct place *p = *state;

	for (size_t i = 0; i < COUNT(wrong_orgs); i++) {
		bool is_name = strcmp(wrong_orgs[i].key, "name") == 0;
		enum tl_err err = run(p, OPERATOR, "", "org_create", wrong_orgs[i].key,
			wrong_orgs[i].value, is_name ? NULL : "name", "sOther", NULL);

		if (err != wrong_orgs[i].err || !strstr(p->why.text, wrong_orgs[i].text))
			fail_msg("%s=%s: %s: %s", wrong_orgs[i].key, wrong_orgs[i].value,
				tl_err_name(err), p->why.text);
	}
}

static void
a_name_is_taken_at_the_limit_and_not_past_it(void **state)
{
	struct place *p = *state;
	char value[TL_NAME_BYTES_MAX + 3];

	memset(value, 'x', sizeof(value));
	value[0] = 's';
	value[TL_NAME_BYTES_MAX + 2] = '\0';
	REFUSED(TL_ESTRING_TOO_LONG, p, OPERATOR, "", "org_create", "name", value);
	assert_non_null(strstr(p->why.text, "name: at most 200"));
	value[TL_NAME_BYTES_MAX + 1] = '\0';
	OK(p, OPERATOR, "", "org_create", "name", value);
	reopen(p);
}

static void
settings_change_one_at_a_time(void **state)
{
	struct place *p = *state;

	OK(p, OPERATOR, "", "org_create", "name", "sOther");
	OK(p, p->admin, "", "org_update", "seats", "i5", "tz", "sAsia/Tokyo");
	OK(p, p->admin, "", "org_update", "name", "sAcme Ltd", "one_agent_per_member", "t",
		"github_connected", "t", "peers_visible", "f", "tz", "n");
	assert_true(reply_is(p, "org", "Acme Ltd"));
	assert_true(reply_is(p, "tz", "Asia/Tokyo"));
	assert_int_equal(reply_int(p, "seats"), 5);
	assert_true(reply_flag(p, "one_agent_per_member"));
	assert_true(reply_flag(p, "github_connected"));
	assert_false(reply_flag(p, "peers_visible"));
	OK(p, p->admin, "", "org_update", "name", "sAcme Ltd");
	REFUSED(TL_ECONFLICT, p, p->admin, "", "org_update", "name", "sOther");
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "org_update", "name", "s");
}

static void
an_operator_must_name_the_org(void **state)
{
	struct place *p = *state;

	REFUSED(TL_EFIELD_MISSING, p, OPERATOR, "", "org_update", "seats", "i5");
	assert_non_null(strstr(p->why.text, "org"));
	REFUSED(TL_ENOT_FOUND, p, OPERATOR, "Nobody", "org_update", "seats", "i5");
	OK(p, OPERATOR, "Acme", "org_update", "seats", "i5");
}

static void
orgs_are_listed_with_their_people(void **state)
{
	struct place *p = *state;

	send_event(p, "ada@example.org", NULL);
	send_event(p, "eve@example.org", NULL);
	OK(p, p->admin, "", "member_remove", "member", "seve@example.org");
	OK(p, OPERATOR, "", "org_create", "name", "sOther", "seats", "i9");
	OK(p, OPERATOR, "", "org_list");
	assert_int_equal(reply_count(p, "orgs"), 2);
	assert_true(row_is(reply_row(p, "orgs", 0), "name", "Acme"));
	assert_true(row_is(reply_row(p, "orgs", 0), "tz", "UTC"));
	assert_int_equal(tl_reader_find_int(reply_row(p, "orgs", 0), "members", -1), 1);
	assert_int_equal(tl_reader_find_int(reply_row(p, "orgs", 0), "created_ms", -1), NOW_MS);
	assert_int_equal(tl_reader_find_int(reply_row(p, "orgs", 1), "seats", -1), 9);
	assert_int_equal(tl_reader_find_int(reply_row(p, "orgs", 1), "members", -1), 0);
}

static void
a_token_works_until_it_is_revoked(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];

	OK(p, p->admin, "", "token_create", "type", "spersonal", "name", "scli", "role", "sadmin");
	reply_text(p, "token", sizeof(token), token);
	reply_text(p, "token_id", sizeof(id), id);
	OK(p, token, "", "org_update");
	reopen(p);
	OK(p, token, "", "org_update");
	p->now_ms += 5;
	OK(p, token, "", "token_revoke", "token_id", s(id));
	REFUSED(TL_EUNAUTHENTICATED, p, token, "", "org_update");
	OK(p, p->admin, "", "token_revoke", "token_id", s(id));
	OK(p, p->admin, "", "token_list");
	assert_true(row_is(reply_row(p, "tokens", 2), "token_id", id));
	assert_int_equal(
		tl_reader_find_int(reply_row(p, "tokens", 2), "revoked_ms", -1), NOW_MS + 5);
}

static void
a_personal_token_has_the_least_rights_unless_told(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX];

	make_token(p, "personal", token);
	REFUSED(TL_EFORBIDDEN, p, token, "", "token_list");
	make_token(p, "service", token);
	REFUSED(TL_EFORBIDDEN, p, token, "", "token_list");
	make_token(p, "gateway", token);
	REFUSED(TL_EFORBIDDEN, p, token, "", "token_list");
}

static void
a_personal_token_for_an_email_is_that_members(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX];

	OK(p, p->admin, "", "token_create", "type", "spersonal", "name", "scli", "email",
		"s Ada@Example.org ");
	reply_text(p, "token", sizeof(token), token);
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_ACTIVE);
	assert_int_equal(member_of(p, "ada@example.org").role, TL_ROLE_MEMBER);
	REFUSED(TL_EFORBIDDEN, p, token, "", "org_update");
	OK(p, p->admin, "", "token_create", "type", "spersonal", "name", "smore", "email",
		"sada@example.org", "role", "sadmin");
	/* The role is the member's, so the first token has it too. */
	OK(p, token, "", "org_update");
	OK(p, p->admin, "", "member_remove", "member", "sada@example.org");
	REFUSED(TL_EUNAUTHENTICATED, p, token, "", "org_update");
}

static void
usage_that_arrives_late_does_not_bring_access_back(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX];

	OK(p, p->admin, "", "token_create", "type", "spersonal", "name", "scli", "email",
		"sada@example.org", "role", "sadmin");
	reply_text(p, "token", sizeof(token), token);
	OK(p, p->admin, "", "member_remove", "member", "sada@example.org");
	send_event(p, "ada@example.org", "codex");
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_ACTIVE);
	assert_int_equal(member_of(p, "ada@example.org").role, TL_ROLE_MEMBER);
	REFUSED(TL_EUNAUTHENTICATED, p, token, "", "ping");
}

static void
only_an_operator_makes_a_gateway_of_every_org(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];

	REFUSED(TL_EFORBIDDEN, p, p->admin, "", "token_create", "type", "sgateway", "name", "sall",
		"all_orgs", "t");
	REFUSED(TL_EBAD_PARAM, p, OPERATOR, "", "token_create", "type", "spersonal", "name", "sall",
		"all_orgs", "t");
	OK(p, OPERATOR, "", "token_create", "type", "sgateway", "name", "sall", "all_orgs", "t");
	reply_text(p, "token", sizeof(token), token);
	reply_text(p, "token_id", sizeof(id), id);
	OK(p, token, "", "ping");
	OK(p, OPERATOR, "", "token_list");
	assert_int_equal(reply_count(p, "tokens"), 1);
	assert_true(row_is(reply_row(p, "tokens", 0), "token_id", id));
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "token_revoke", "token_id", s(id));
	OK(p, OPERATOR, "", "token_revoke", "token_id", s(id));
	REFUSED(TL_EUNAUTHENTICATED, p, token, "", "ping");
}

static void
wrong_tokens_are_refused(void **state)
{
	struct place *p = *state;

	REFUSED(TL_EFIELD_MISSING, p, p->admin, "", "token_create", "name", "sx");
	REFUSED(TL_EFIELD_MISSING, p, p->admin, "", "token_create", "type", "sgateway");
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "token_create", "type", "sagent", "name", "sx");
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "token_create", "type", "sgw", "name", "sx");
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "token_create", "type", "sgateway", "name", "sx",
		"role", "sadmin");
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "token_create", "type", "sservice", "name", "sx",
		"email", "sada@example.org");
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "token_create", "type", "spersonal", "name", "sx",
		"role", "sowner");
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "token_create", "type", "spersonal", "name", "sx",
		"email", "snobody");
	REFUSED(TL_EFIELD_MISSING, p, OPERATOR, "", "token_create", "type", "sgateway", "name",
		"sx");
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "token_revoke", "token_id", "stally_gw_00000000");
	REFUSED(TL_EFORBIDDEN, p, p->gateway, "", "token_create", "type", "sgateway", "name", "sx");
}

static void
tokens_of_an_org_are_listed_without_secrets(void **state)
{
	struct place *p = *state;
	struct tl_slice row;

	send_event(p, "ada@example.org", NULL);
	OK(p, p->admin, "", "agent_create", "member", "sada@example.org", "type", "scodex");
	OK(p, OPERATOR, "", "org_create", "name", "sOther");
	OK(p, p->admin, "", "token_list");
	assert_int_equal(reply_count(p, "tokens"), 2);
	row = reply_row(p, "tokens", 1);
	assert_true(row_is(row, "type", "gateway"));
	assert_int_equal(tl_reader_find_int(row, "created_ms", -1), NOW_MS);
	assert_int_equal(tl_reader_find_int(row, "revoked_ms", -1), 0);
	assert_null(memmem(p->reply.data, p->reply.bytes, p->admin, strlen(p->admin)));
	assert_null(memmem(p->reply.data, p->reply.bytes, p->gateway, strlen(p->gateway)));
}

static void
an_invitation_is_accepted_once(void **state)
{
	struct place *p = *state;
	char code[40], id[40];

	OK(p, p->admin, "", "invite", "email", "sAda@example.org", "role", "sadmin");
	reply_text(p, "code", sizeof(code), code);
	reply_text(p, "member_id", sizeof(id), id);
	assert_int_equal(strlen(code), 32);
	assert_int_equal(strlen(id), 32);
	assert_int_equal(reply_int(p, "ends_ms"), NOW_MS + 14 * DAY_MS);
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_PENDING);
	assert_string_not_equal(member_of(p, "ada@example.org").invitation, "");
	assert_null(strstr(code, member_of(p, "ada@example.org").invitation));
	reopen(p);
	OK(p, p->gateway, "", "invite_accept", "code", s(code));
	assert_true(reply_is(p, "member_id", id));
	assert_true(reply_is(p, "org", "Acme"));
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_ACTIVE);
	assert_int_equal(member_of(p, "ada@example.org").role, TL_ROLE_ADMIN);
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "invite_accept", "code", s(code));
	REFUSED(TL_ECONFLICT, p, p->admin, "", "invite", "email", "sada@example.org");
}

static void
a_code_needs_no_other_credential(void **state)
{
	struct place *p = *state;
	struct tl_command command;
	struct tl_pack_open map;
	char code[40];

	OK(p, p->admin, "", "invite", "email", "sada@example.org");
	reply_text(p, "code", sizeof(code), code);
	tl_buf_reset(&p->request);
	tl_buf_reset(&p->reply);
	map = tl_pack_open_map(&p->request);
	tl_pack_key_int(&p->request, &map, "v", 1);
	tl_pack_key_str(&p->request, &map, "op", "invite_accept");
	tl_pack_key_str(&p->request, &map, "code", code);
	tl_pack_close(&p->request, &map);
	assert_int_equal(tl_command_read(tl_buf_slice(&p->request), &command, NULL), TL_OK);
	assert_int_equal(run_write(p, &command, NULL), TL_OK);
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_ACTIVE);

	/* And nothing else goes without one. */
	command.op = TL_COMMAND_ORG_CREATE;
	tl_buf_reset(&p->reply);
	assert_int_equal(run_write(p, &command, NULL), TL_EFORBIDDEN);
}

static void
an_invitation_ends(void **state)
{
	struct place *p = *state;
	char code[40];

	OK(p, p->admin, "", "invite", "email", "sada@example.org");
	reply_text(p, "code", sizeof(code), code);
	p->now_ms = NOW_MS + 14 * DAY_MS;
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "invite_accept", "code", s(code));
	OK(p, p->admin, "", "invite_list");
	assert_true(tl_reader_find_bool(reply_row(p, "invitations", 0), "expired", false));
	p->now_ms = NOW_MS + 14 * DAY_MS - 1;
	OK(p, p->gateway, "", "invite_accept", "code", s(code));
}

static void
a_second_invitation_replaces_the_first(void **state)
{
	struct place *p = *state;
	char first[40], second[40];

	OK(p, p->admin, "", "invite", "email", "sada@example.org", "role", "sadmin");
	reply_text(p, "code", sizeof(first), first);
	OK(p, p->admin, "", "invite", "email", "sada@example.org");
	reply_text(p, "code", sizeof(second), second);
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "invite_accept", "code", s(first));
	OK(p, p->gateway, "", "invite_accept", "code", s(second));
	assert_int_equal(member_of(p, "ada@example.org").role, TL_ROLE_MEMBER);
}

static void
wrong_codes_have_one_answer(void **state)
{
	struct place *p = *state;

	OK(p, p->admin, "", "invite", "email", "sada@example.org");
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "invite_accept", "code",
		"s00000000000000000000000000000000");
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "invite_accept", "code", "szz");
	REFUSED(TL_EFIELD_MISSING, p, p->gateway, "", "invite_accept");
}

static void
invitations_are_listed_and_revoked(void **state)
{
	struct place *p = *state;
	char code[40], id[40];

	OK(p, p->admin, "", "invite", "email", "sada@example.org", "role", "sadmin");
	reply_text(p, "code", sizeof(code), code);
	reply_text(p, "member_id", sizeof(id), id);
	send_event(p, "eve@example.org", NULL);
	OK(p, p->admin, "", "invite_list");
	assert_int_equal(reply_count(p, "invitations"), 1);
	assert_true(row_is(reply_row(p, "invitations", 0), "email", "ada@example.org"));
	assert_true(row_is(reply_row(p, "invitations", 0), "role", "admin"));
	assert_true(row_is(reply_row(p, "invitations", 0), "member_id", id));
	assert_null(memmem(p->reply.data, p->reply.bytes, code, strlen(code)));
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "invite_revoke", "member", "seve@example.org");
	OK(p, p->admin, "", "invite_revoke", "member", s(id));
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "invite_accept", "code", s(code));
	OK(p, p->admin, "", "invite_list");
	assert_int_equal(reply_count(p, "invitations"), 0);
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_REMOVED);
	OK(p, p->admin, "", "invite", "email", "sada@example.org");
}

static void
enrol(struct place *p, const char *member, const char *type, char token_out[TL_TOKEN_BYTES_MAX],
	char id_out[TL_KEY_ID_BYTES])
{
	OK(p, p->admin, "", "agent_create", "member", s(member), "type", s(type));
	reply_text(p, "token", TL_TOKEN_BYTES_MAX, token_out);
	reply_text(p, "agent_id", TL_KEY_ID_BYTES, id_out);
}

static void
an_enrolled_agent_resolves_by_key_and_by_token(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES], typo[TL_TOKEN_BYTES_MAX];
	char member_id[33];
	struct tl_member ada;
	struct tl_slice text;

	send_event(p, "ada@example.org", NULL);
	ada = member_of(p, "ada@example.org");
	tl_hex(ada.id, 16, member_id);
	enrol(p, member_id, "claude_code", token, id);
	assert_int_equal(reply_int(p, "agent_no"), 1);
	text = tl_reader_find_str(tl_buf_slice(&p->reply), "instructions");
	assert_non_null(memmem(text.data, text.bytes, token, strlen(token)));
	assert_non_null(memmem(text.data, text.bytes, "ANTHROPIC_BASE_URL", 18));
	reopen(p);
	for (int by_token = 0; by_token < 2; by_token++) {
		OK(p, p->gateway, "", "key_resolve", "key", s(by_token ? token : id));
		assert_true(reply_is(p, "org", "Acme"));
		assert_true(reply_is(p, "member_id", member_id));
		assert_true(reply_is(p, "agent", "claude_code"));
		assert_true(reply_is(p, "agent_id", id));
		assert_true(reply_flag(p, "compression"));
		assert_false(reply_flag(p, "debug"));
		assert_true(reply_flag(p, "active"));
	}
	strcpy(typo, token);
	typo[30] = typo[30] == 'a' ? 'b' : 'a';
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "key_resolve", "key", s(typo));
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "key_resolve", "key", "stally_ca_00000000");
	REFUSED(TL_ENOT_FOUND, p, p->gateway, "", "key_resolve", "key", s(p->gateway));
	REFUSED(TL_EFORBIDDEN, p, p->admin, "", "key_resolve", "key", s(id));
	REFUSED(TL_EFORBIDDEN, p, token, "", "key_resolve", "key", s(id));
}

static void
a_foreign_key_is_not_found(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];
	char admin[TL_TOKEN_BYTES_MAX], gateway[TL_TOKEN_BYTES_MAX];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", token, id);
	OK(p, OPERATOR, "", "org_create", "name", "sOther");
	reply_text(p, "admin_token", sizeof(admin), admin);
	reply_text(p, "gateway_token", sizeof(gateway), gateway);
	REFUSED(TL_ENOT_FOUND, p, gateway, "", "key_resolve", "key", s(token));
	REFUSED(TL_ENOT_FOUND, p, admin, "", "agent_update", "agent", s(id), "compression", "f");
	REFUSED(TL_ENOT_FOUND, p, admin, "", "agent_rotate", "agent", s(id));
	REFUSED(TL_ENOT_FOUND, p, admin, "", "agent_delete", "agent", s(id), "confirm", s(id));
	REFUSED(TL_ENOT_FOUND, p, admin, "", "token_revoke", "token_id", s(id));
	REFUSED(TL_ENOT_FOUND, p, admin, "", "member_remove", "member", "sada@example.org");
	/* A gateway of every org sees it. */
	OK(p, OPERATOR, "", "token_create", "type", "sgateway", "name", "sall", "all_orgs", "t");
	reply_text(p, "token", sizeof(gateway), gateway);
	OK(p, gateway, "", "key_resolve", "key", s(token));
	assert_true(reply_is(p, "org", "Acme"));
}

static void
one_live_agent_per_member_and_type(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", token, id);
	REFUSED(TL_ECONFLICT, p, p->admin, "", "agent_create", "member", "sada@example.org", "type",
		"scodex");
	enrol(p, "ada@example.org", "opencode", token, id);
	OK(p, p->admin, "", "org_update", "one_agent_per_member", "t");
	REFUSED(TL_ECONFLICT, p, p->admin, "", "agent_create", "member", "sada@example.org", "type",
		"sclaude_code");
	send_event(p, "eve@example.org", NULL);
	enrol(p, "eve@example.org", "codex", token, id);
}

static void
enrolling_adopts_the_agent_that_appeared(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];

	send_event(p, "eve@example.org", "codex");
	send_event(p, "ada@example.org", "codex");
	enrol(p, "ada@example.org", "codex", token, id);
	assert_int_equal(reply_int(p, "agent_no"), 2);
	OK(p, p->gateway, "", "key_resolve", "key", s(token));
	assert_true(reply_flag(p, "active"));
	assert_true(reply_flag(p, "compression"));
	send_event(p, "ada@example.org", "codex");
	OK(p, p->admin, "", "agent_delete", "agent", s(id), "confirm", s(id));
	/* A new enrolment is a new agent: the old one's history is its own. */
	enrol(p, "ada@example.org", "codex", token, id);
	assert_int_equal(reply_int(p, "agent_no"), 3);
}

static void
wrong_enrolments_are_refused(void **state)
{
	struct place *p = *state;
	char long_type[TL_AGENT_TYPE_BYTES_MAX + 3];

	memset(long_type, 'x', sizeof(long_type));
	long_type[0] = 's';
	long_type[TL_AGENT_TYPE_BYTES_MAX + 2] = '\0';
	send_event(p, "ada@example.org", NULL);
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "agent_create", "member", "seve@example.org",
		"type", "scodex");
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "agent_create", "member",
		"s00112233445566778899aabbccddeeff", "type", "scodex");
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "agent_create", "member", "sada", "type", "scodex");
	REFUSED(TL_EFIELD_MISSING, p, p->admin, "", "agent_create", "member", "sada@example.org");
	REFUSED(TL_EFIELD_MISSING, p, p->admin, "", "agent_create", "type", "scodex");
	REFUSED(TL_ESTRING_TOO_LONG, p, p->admin, "", "agent_create", "member", "sada@example.org",
		"type", long_type);
	long_type[TL_AGENT_TYPE_BYTES_MAX + 1] = '\0';
	OK(p, p->admin, "", "agent_create", "member", "sada@example.org", "type", long_type);
	OK(p, p->admin, "", "member_remove", "member", "sada@example.org");
	REFUSED(TL_ECONFLICT, p, p->admin, "", "agent_create", "member", "sada@example.org", "type",
		"scodex");
}

static void
debug_turns_itself_off(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", token, id);
	OK(p, p->admin, "", "agent_update", "agent", s(id), "debug", "t");
	assert_true(reply_flag(p, "debug"));
	assert_true(reply_flag(p, "compression"));
	assert_int_equal(reply_int(p, "debug_until_ms"), NOW_MS + HOUR_MS);
	p->now_ms += HOUR_MS - 1;
	OK(p, p->gateway, "", "key_resolve", "key", s(id));
	assert_true(reply_flag(p, "debug"));
	p->now_ms += 1;
	OK(p, p->gateway, "", "key_resolve", "key", s(id));
	assert_false(reply_flag(p, "debug"));
	OK(p, p->admin, "", "agent_update", "agent", s(id), "debug", "t", "debug_ms", "i86400000");
	assert_int_equal(reply_int(p, "debug_until_ms"), p->now_ms + DAY_MS);
	OK(p, p->admin, "", "agent_update", "agent", s(id), "compression", "f");
	assert_false(reply_flag(p, "compression"));
	assert_true(reply_flag(p, "debug"));
	OK(p, p->admin, "", "agent_update", "agent", s(id), "debug", "f");
	assert_false(reply_flag(p, "debug"));
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "agent_update", "agent", s(id), "debug", "t",
		"debug_ms", "i86400001");
	assert_non_null(strstr(p->why.text, "86400000"));
	REFUSED(TL_EBAD_PARAM, p, p->admin, "", "agent_update", "agent", s(id), "debug_ms", "i5");
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "agent_update", "agent", "stally_ca_00000000");
}

static void
the_old_key_is_valid_for_a_day_after_a_rotation(void **state)
{
	struct place *p = *state;
	char first[TL_TOKEN_BYTES_MAX], first_id[TL_KEY_ID_BYTES];
	char second[TL_TOKEN_BYTES_MAX], second_id[TL_KEY_ID_BYTES];
	char third_id[TL_KEY_ID_BYTES];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", first, first_id);
	OK(p, p->admin, "", "agent_rotate", "agent", s(first_id));
	reply_text(p, "token", sizeof(second), second);
	reply_text(p, "agent_id", sizeof(second_id), second_id);
	assert_int_equal(reply_int(p, "old_valid_until_ms"), NOW_MS + DAY_MS);
	assert_string_not_equal(first_id, second_id);
	p->now_ms = NOW_MS + DAY_MS - 1;
	OK(p, p->gateway, "", "key_resolve", "key", s(first));
	assert_true(reply_flag(p, "active"));
	/* A second rotation does not lengthen the first key's life. */
	OK(p, p->admin, "", "agent_rotate", "agent", s(first_id));
	reply_text(p, "agent_id", sizeof(third_id), third_id);
	p->now_ms = NOW_MS + DAY_MS;
	OK(p, p->gateway, "", "key_resolve", "key", s(first));
	assert_false(reply_flag(p, "active"));
	OK(p, p->gateway, "", "key_resolve", "key", s(second));
	assert_true(reply_flag(p, "active"));
	p->now_ms = NOW_MS + 2 * DAY_MS;
	OK(p, p->gateway, "", "key_resolve", "key", s(second));
	assert_false(reply_flag(p, "active"));
	OK(p, p->gateway, "", "key_resolve", "key", s(third_id));
	assert_true(reply_flag(p, "active"));
	assert_true(reply_is(p, "agent", "codex"));
}

static void
a_key_is_never_shown_again(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", token, id);
	REFUSED(TL_EREVEAL_OFF, p, p->admin, "", "agent_reveal", "agent", s(id));
	assert_non_null(strstr(p->why.text, "rotate"));
	REFUSED(TL_EFORBIDDEN, p, p->gateway, "", "agent_reveal", "agent", s(id));
}

static void
an_unenrolled_agent_is_dead_at_once(void **state)
{
	struct place *p = *state;
	char first_id[TL_KEY_ID_BYTES], id[TL_KEY_ID_BYTES], token[TL_TOKEN_BYTES_MAX];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", token, first_id);
	OK(p, p->admin, "", "agent_rotate", "agent", s(first_id));
	reply_text(p, "agent_id", sizeof(id), id);
	REFUSED(TL_ECONFIRM_REQUIRED, p, p->admin, "", "agent_delete", "agent", s(id));
	assert_non_null(strstr(p->why.text, id));
	REFUSED(TL_ECONFIRM_REQUIRED, p, p->admin, "", "agent_delete", "agent", s(id), "confirm",
		s(first_id));
	REFUSED(TL_ECONFIRM_REQUIRED, p, p->admin, "", "agent_delete", "agent", s(id), "confirm",
		"syes please, I do want it to be gone");
	OK(p, p->admin, "", "agent_delete", "agent", s(id), "confirm", s(id));
	OK(p, p->gateway, "", "key_resolve", "key", s(id));
	assert_false(reply_flag(p, "active"));
	OK(p, p->gateway, "", "key_resolve", "key", s(first_id));
	assert_false(reply_flag(p, "active"));
	REFUSED(TL_ECONFLICT, p, p->admin, "", "agent_rotate", "agent", s(id));
	REFUSED(TL_ECONFLICT, p, p->admin, "", "agent_update", "agent", s(id), "debug", "t");
	OK(p, p->admin, "", "agent_delete", "agent", s(id), "confirm", s(id));
	reopen(p);
	OK(p, p->gateway, "", "key_resolve", "key", s(id));
	assert_false(reply_flag(p, "active"));
}

static void
a_leaked_key_can_be_revoked_without_unenrolling(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES], next_id[TL_KEY_ID_BYTES];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", token, id);
	OK(p, p->admin, "", "token_revoke", "token_id", s(id));
	OK(p, p->gateway, "", "key_resolve", "key", s(id));
	assert_false(reply_flag(p, "active"));
	OK(p, p->admin, "", "agent_rotate", "agent", s(id));
	reply_text(p, "agent_id", sizeof(next_id), next_id);
	OK(p, p->gateway, "", "key_resolve", "key", s(next_id));
	assert_true(reply_flag(p, "active"));
	OK(p, p->gateway, "", "key_resolve", "key", s(id));
	assert_false(reply_flag(p, "active"));
}

/* hourly_rate as it is sent, and the cents it becomes or the refusal. */
static const struct {
	const char *value;
	enum tl_err err;
	int64_t cents;
} rates[] = {
	{"i0", TL_OK, 0},
	{"i72", TL_OK, 7200},
	{"s72", TL_OK, 7200},
	{"s72.5", TL_OK, 7250},
	{"s72.05", TL_OK, 7205},
	{"s72.050000000", TL_OK, 7205},
	{"s0.01", TL_OK, 1},
	{"i100000", TL_OK, 10000000},
	{"s100000.00", TL_OK, 10000000},
	{"s100000.01", TL_EBAD_PARAM, 0},
	{"i100001", TL_EBAD_PARAM, 0},
	{"i9223372036854775807", TL_EBAD_PARAM, 0},
	{"i-1", TL_EBAD_PARAM, 0},
	{"s-0.01", TL_EBAD_PARAM, 0},
	{"s0.001", TL_EBAD_PARAM, 0},
	{"s", TL_EFIELD_TYPE, 0},
	{"s1e3", TL_EFIELD_TYPE, 0},
	{"smuch", TL_EFIELD_TYPE, 0},
	{"d", TL_EFIELD_TYPE, 0},
	{"t", TL_EFIELD_TYPE, 0},
};

static void
a_rate_is_whole_cents(void **state)
{
	struct place *p = *state;

	send_event(p, "ada@example.org", NULL);
	for (size_t i = 0; i < COUNT(rates); i++) {
		enum tl_err err = run(p, p->admin, "", "member_update", "member",
			"sada@example.org", "hourly_rate", rates[i].value, NULL);

		if (err != rates[i].err)
			fail_msg("%s: %s", rates[i].value, tl_err_name(err));
		if (err)
			assert_non_null(strstr(p->why.text, "hourly_rate"));
		else
			assert_int_equal(reply_int(p, "hourly_rate_cents"), rates[i].cents);
	}
}

static void
nil_clears_and_absent_leaves(void **state)
{
	struct place *p = *state;

	send_event(p, "ada@example.org", NULL);
	OK(p, p->admin, "", "member_update", "member", "sada@example.org", "display_name", "sAda L",
		"hourly_rate", "i50");
	OK(p, p->admin, "", "member_update", "member", "sada@example.org");
	assert_true(reply_is(p, "display_name", "Ada L"));
	assert_int_equal(reply_int(p, "hourly_rate_cents"), 5000);
	OK(p, p->admin, "", "member_update", "member", "sada@example.org", "display_name", "n");
	assert_true(reply_is_nil(p, "display_name"));
	assert_int_equal(reply_int(p, "hourly_rate_cents"), 5000);
	OK(p, p->admin, "", "member_update", "member", "sada@example.org", "hourly_rate", "n",
		"display_name", "sAda");
	assert_true(reply_is_nil(p, "hourly_rate_cents"));
	assert_true(reply_is(p, "display_name", "Ada"));
	reopen(p);
	assert_int_equal(member_of(p, "ada@example.org").rate_cents, -1);
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "member_update", "member", "seve@example.org");
	REFUSED(TL_ESTRING_CONTROL, p, p->admin, "", "member_update", "member", "sada@example.org",
		"display_name", "sA\tB");
}

static void
a_removed_member_comes_back_with_the_next_event(void **state)
{
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX], id[TL_KEY_ID_BYTES];

	send_event(p, "ada@example.org", NULL);
	enrol(p, "ada@example.org", "codex", token, id);
	OK(p, p->admin, "", "member_update", "member", "sada@example.org", "hourly_rate", "i50");
	OK(p, p->admin, "", "member_remove", "member", "sada@example.org");
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_REMOVED);
	OK(p, p->admin, "", "member_remove", "member", "sada@example.org");
	/* Agents go on metering: only people lose access. */
	OK(p, p->gateway, "", "key_resolve", "key", s(id));
	assert_true(reply_flag(p, "active"));
	send_event(p, "ada@example.org", NULL);
	assert_int_equal(member_of(p, "ada@example.org").state, TL_MEMBER_ACTIVE);
	assert_int_equal(member_of(p, "ada@example.org").rate_cents, 5000);
	REFUSED(TL_ENOT_FOUND, p, p->admin, "", "member_remove", "member", "seve@example.org");
}

static void
a_member_manages_nothing(void **state)
{
	static const char *const ops[] = {"org_update", "token_create", "token_revoke",
		"token_list", "invite", "invite_revoke", "invite_list", "agent_create",
		"agent_update", "agent_rotate", "agent_reveal", "agent_delete", "member_update",
		"member_remove", "key_resolve", "org_create", "org_list"};
	struct place *p = *state;
	char token[TL_TOKEN_BYTES_MAX];

	OK(p, p->admin, "", "token_create", "type", "spersonal", "name", "scli", "email",
		"sada@example.org");
	reply_text(p, "token", sizeof(token), token);
	for (size_t i = 0; i < COUNT(ops); i++) {
		enum tl_err err = run(p, token, "", ops[i], NULL);

		if (err != TL_EFORBIDDEN)
			fail_msg("%s: %s", ops[i], tl_err_name(err));
	}
	OK(p, token, "", "ping");
}

static void
orders_to_the_daemon_are_not_for_the_registry(void **state)
{
	struct place *p = *state;

	REFUSED(TL_ENOT_FOUND, p, OPERATOR, "", "stats");
	REFUSED(TL_ENOT_FOUND, p, OPERATOR, "", "rebuild");
}

/* Each list has a bound and says where it goes on. */
static void
lists_come_in_pages(void **state)
{
	static const char *const lists[][2] = {
		{"org_list", "orgs"}, {"token_list", "tokens"}, {"invite_list", "invitations"}};
	struct place *p = *state;

	for (uint32_t i = 0; i < 3; i++) {
		char name[24], email[32];

		snprintf(name, sizeof(name), "sorg %u", i);
		snprintf(email, sizeof(email), "sx%u@example.org", i);
		OK(p, OPERATOR, "", "org_create", "name", name);
		OK(p, p->admin, "", "token_create", "type", "sgateway", "name", "sone");
		OK(p, p->admin, "", "invite", "email", email);
	}
	for (size_t i = 0; i < COUNT(lists); i++) {
		const char *who = i == 0 ? OPERATOR : p->admin;
		uint32_t all;

		OK(p, who, "", lists[i][0]);
		all = reply_count(p, lists[i][1]);
		assert_true(all >= 3);
		assert_false(tl_reader_find_bool(tl_buf_slice(&p->reply), "truncated", true));
		OK(p, who, "", lists[i][0], "limit", "i2");
		assert_int_equal(reply_count(p, lists[i][1]), 2);
		assert_true(tl_reader_find_bool(tl_buf_slice(&p->reply), "truncated", false));
		assert_true(row_is(tl_buf_slice(&p->reply), "next_cursor", "o2"));
		OK(p, who, "", lists[i][0], "cursor", "so2");
		assert_int_equal(reply_count(p, lists[i][1]), all - 2);
		REFUSED(TL_ECURSOR_INVALID, p, who, "", lists[i][0], "cursor", "sx2");
		REFUSED(TL_EBAD_PARAM, p, who, "", lists[i][0], "limit", "i1001");
	}
}

static void
a_reply_that_does_not_fit_is_an_error(void **state)
{
	struct place *p = *state;

	p->reply.bytes_max = 40;
	REFUSED(TL_EFULL, p, OPERATOR, "", "org_list");
	p->reply.bytes_max = 0;
}

static int
init_crypt(void **state)
{
	(void)state;
	return tl_crypt_init() == TL_OK ? 0 : -1;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_org_comes_with_two_tokens_that_work),
		TEST(only_an_operator_makes_and_lists_orgs),
		TEST(wrong_orgs_are_refused_by_field),
		TEST(a_name_is_taken_at_the_limit_and_not_past_it),
		TEST(settings_change_one_at_a_time),
		TEST(an_operator_must_name_the_org),
		TEST(orgs_are_listed_with_their_people),
		TEST(a_token_works_until_it_is_revoked),
		TEST(a_personal_token_has_the_least_rights_unless_told),
		TEST(a_personal_token_for_an_email_is_that_members),
		TEST(usage_that_arrives_late_does_not_bring_access_back),
		TEST(only_an_operator_makes_a_gateway_of_every_org),
		TEST(wrong_tokens_are_refused),
		TEST(tokens_of_an_org_are_listed_without_secrets),
		TEST(an_invitation_is_accepted_once),
		TEST(a_code_needs_no_other_credential),
		TEST(an_invitation_ends),
		TEST(a_second_invitation_replaces_the_first),
		TEST(wrong_codes_have_one_answer),
		TEST(invitations_are_listed_and_revoked),
		TEST(an_enrolled_agent_resolves_by_key_and_by_token),
		TEST(a_foreign_key_is_not_found),
		TEST(one_live_agent_per_member_and_type),
		TEST(enrolling_adopts_the_agent_that_appeared),
		TEST(wrong_enrolments_are_refused),
		TEST(debug_turns_itself_off),
		TEST(the_old_key_is_valid_for_a_day_after_a_rotation),
		TEST(a_key_is_never_shown_again),
		TEST(an_unenrolled_agent_is_dead_at_once),
		TEST(a_leaked_key_can_be_revoked_without_unenrolling),
		TEST(a_rate_is_whole_cents),
		TEST(nil_clears_and_absent_leaves),
		TEST(a_removed_member_comes_back_with_the_next_event),
		TEST(a_member_manages_nothing),
		TEST(orders_to_the_daemon_are_not_for_the_registry),
		TEST(lists_come_in_pages),
		TEST(a_reply_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests(tests, init_crypt, NULL);
}
