#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/model/limits.h"
#include "schema/wire/event_field.h"
#include "schema/wire/event_wire.h"
#include "schema/wire/json.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define NOW_MS 1790000000000
#define DAY_MS 86400000LL

/* Events of the tests are written as JSON and packed; what JSON cannot say is packed by hand. */
#define ID "\"id\":\"event-0001\""
#define TS "\"ts\":1789999999000"
#define REQUEST ID "," TS ",\"model\":\"m-1\",\"input_tokens\":10,\"output_tokens\":20"
#define LINK ID "," TS ",\"kind\":\"link\",\"session\":\"s-1\""
#define VIOLATION ID "," TS ",\"kind\":\"violation\",\"rule\":\"r-1\""

static const struct tl_accept accept_rules = {
	.now_ms = NOW_MS, .past_ms_max = 35 * DAY_MS, .future_ms_max = 300000};

static struct tl_arena arena;
static struct tl_batch batch;
static struct tl_batch_head head;
static struct tl_buf frame;
static struct tl_why why;

static int
setup(void **state)
{
	(void)state;
	if (tl_crypt_init() != TL_OK)
		return -1;
	tl_arena_init(&arena, 64u << 20);
	tl_buf_init(&frame, 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tl_arena_fini(&arena);
	tl_buf_fini(&frame);
	return 0;
}

static void
put_json(struct tl_buf *buf, const char *text)
{
	struct tl_json *json;

	if (tl_json_parse(tl_slice_str(text), &json, &why) != TL_OK)
		fail_msg("%s: %s", why.text, text);
	assert_int_equal(tl_json_to_msgpack(tl_json_root(json), buf), TL_OK);
	tl_json_free(json);
}

static enum tl_err
head_read(struct tl_slice bytes)
{
	return tl_batch_head_read(bytes, &head, &why);
}

/* Decode what lies in frame; the head must be good. */
static enum tl_err
rows_read(void)
{
	if (head_read(tl_buf_slice(&frame)) != TL_OK)
		fail_msg("head: %s", why.text);
	tl_arena_reset(&arena);
	assert_int_equal(tl_batch_init(&batch, &arena, head.event_count), TL_OK);
	return tl_batch_rows_read(&head, &accept_rules, &batch, &why);
}

/* The frame around one encoded event in the map form. */
static void
frame_of_event(struct tl_slice event)
{
	tl_buf_reset(&frame);
	tl_pack_map(&frame, 3);
	tl_pack_str(&frame, "v");
	tl_pack_int(&frame, 1);
	tl_pack_str(&frame, "token");
	tl_pack_str(&frame, "t");
	tl_pack_str(&frame, "events");
	tl_pack_array(&frame, 1);
	tl_buf_put_slice(&frame, event);
}

/* The same event as fields and one row. */
static void
frame_of_row(struct tl_slice event)
{
	struct tl_reader keys = tl_reader_of(event);
	struct tl_reader values = keys;
	uint32_t count = tl_read_map(&keys);

	tl_buf_reset(&frame);
	tl_pack_map(&frame, 4);
	tl_pack_str(&frame, "v");
	tl_pack_int(&frame, 1);
	tl_pack_str(&frame, "token");
	tl_pack_str(&frame, "t");
	tl_pack_str(&frame, "fields");
	tl_pack_array(&frame, count);
	for (uint32_t i = 0; i < count; i++) {
		tl_buf_put_slice(&frame, tl_read_any(&keys));
		tl_read_any(&keys);
	}
	tl_pack_str(&frame, "rows");
	tl_pack_array(&frame, 1);
	tl_pack_array(&frame, count);
	tl_read_map(&values);
	for (uint32_t i = 0; i < count; i++) {
		tl_read_any(&values);
		tl_buf_put_slice(&frame, tl_read_any(&values));
	}
}

/* Decode one event given as JSON, as a map or as a row. */
static void
read_event(const char *json, bool as_row)
{
	struct tl_buf event;

	tl_buf_init(&event, 0);
	put_json(&event, json);
	if (as_row)
		frame_of_row(tl_buf_slice(&event));
	else
		frame_of_event(tl_buf_slice(&event));
	tl_buf_fini(&event);
	if (rows_read() != TL_OK)
		fail_msg("%s: %s", json, why.text);
}

static struct tl_slice
name_of(enum tl_column column, uint32_t row_idx)
{
	int64_t symbol = tl_batch_get(&batch, column, row_idx);

	if (symbol == 0)
		return tl_slice_of(NULL, 0);
	assert_true(symbol < batch.symbol_count);
	assert_int_equal(batch.symbols[symbol].kind, tl_column_name_kind(column));
	return batch.symbols[symbol].text;
}

static void
assert_name(enum tl_column column, uint32_t row_idx, const char *text)
{
	struct tl_slice name = name_of(column, row_idx);

	if (!tl_slice_eq(name, tl_slice_str(text)))
		fail_msg("%s is '%.*s', not '%s'", tl_column_field(column), (int)name.bytes,
			(const char *)name.data, text);
}

struct reject_case {
	const char *what;
	const char *event; /* JSON */
	enum tl_err err;
	const char *field;
	int64_t limit;
	const char *got;
};

static void
check_reject(const struct reject_case *c, bool as_row)
{
	const struct tl_reject *reject = &batch.rejects[0];
	const char *form = as_row ? "row" : "map";

	read_event(c->event, as_row);
	reject = &batch.rejects[0];
	if (batch.row_count != 0 || batch.reject_count != 1)
		fail_msg("%s (%s): accepted", c->what, form);
	if (reject->err != c->err)
		fail_msg("%s (%s): %s", c->what, form, tl_err_name(reject->err));
	if (c->field == NULL ? reject->field != NULL
			     : reject->field == NULL || strcmp(reject->field, c->field) != 0)
		fail_msg("%s (%s): field %s", c->what, form,
			reject->field != NULL ? reject->field : "none");
	if (reject->limit != c->limit)
		fail_msg("%s (%s): limit %" PRId64, c->what, form, reject->limit);
	if (strcmp(reject->got, c->got) != 0)
		fail_msg("%s (%s): got '%s'", c->what, form, reject->got);
}

#define NONE INT64_MIN
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void
each_wrong_event_is_refused_with_its_reason(void **state)
{
	static const struct reject_case cases[] = {
		{"no id", "{" TS ",\"model\":\"m\"}", TL_EFIELD_MISSING, "id", NONE, ""},
		{"id is nil", "{\"id\":null," TS "}", TL_EFIELD_MISSING, "id", NONE, ""},
		{"id is a number", "{\"id\":7," TS "}", TL_EID_INVALID, "id", NONE, "7"},
		{"id is short", "{\"id\":\"1234567\"," TS "}", TL_EID_INVALID, "id", NONE,
			"1234567"},
		{"id says nothing", "{\"id\":\"undefined\"," TS "}", TL_EID_INVALID, "id", NONE,
			"undefined"},
		{"id is long", "{\"id\":\"" X64 "x\"," TS "}", TL_EID_INVALID, "id", NONE, X64},
		{"no ts", "{" ID ",\"model\":\"m\",\"input_tokens\":1,\"output_tokens\":1}",
			TL_EFIELD_MISSING, "ts", NONE, ""},
		{"ts is zero", "{" ID ",\"ts\":0,\"kind\":\"activity\"}", TL_ETIME_INVALID, "ts", 1,
			"0"},
		{"ts is negative", "{" ID ",\"ts\":-5,\"kind\":\"activity\"}", TL_ETIME_INVALID,
			"ts", 1, "-5"},
		{"ts is in seconds", "{" ID ",\"ts\":1790000000,\"kind\":\"activity\"}",
			TL_ETIME_INVALID, "ts", TL_TIME_SECONDS_HINT,
			"1790000000 (seconds? send milliseconds)"},
		{"ts is past 2^53", "{" ID ",\"ts\":9007199254740993,\"kind\":\"activity\"}",
			TL_ETIME_INVALID, "ts", TL_TIME_MS_MAX, "9007199254740993"},
		{"ts is a real", "{" ID ",\"ts\":1789999999000.0,\"kind\":\"activity\"}",
			TL_EFIELD_TYPE, "ts", NONE, "1789999999000"},
		{"ts is too old", "{" ID ",\"ts\":1786975999999,\"kind\":\"activity\"}",
			TL_ETIME_TOO_OLD, "ts", NOW_MS - 35 * DAY_MS, "1786975999999"},
		{"ts is ahead", "{" ID ",\"ts\":1790000300001,\"kind\":\"activity\"}",
			TL_ETIME_IN_FUTURE, "ts", NOW_MS + 300000, "1790000300001"},
		{"no model", "{" ID "," TS ",\"input_tokens\":1,\"output_tokens\":1}",
			TL_EFIELD_MISSING, "model", NONE, ""},
		{"model is empty",
			"{" ID "," TS ",\"model\":\"\",\"input_tokens\":1,\"output_tokens\":1}",
			TL_EFIELD_MISSING, "model", NONE, ""},
		{"model is nil",
			"{" ID "," TS ",\"model\":null,\"input_tokens\":1,\"output_tokens\":1}",
			TL_EFIELD_MISSING, "model", NONE, ""},
		{"model is a list",
			"{" ID "," TS ",\"model\":[1,2],\"input_tokens\":1,\"output_tokens\":1}",
			TL_EFIELD_TYPE, "model", NONE, "a list of 2"},
		{"model is long",
			"{" ID "," TS ",\"model\":\"" X64 X64
			"x\",\"input_tokens\":1,\"output_tokens\":1}",
			TL_ESTRING_TOO_LONG, "model", 128, X64},
		{"model holds a tab",
			"{" ID "," TS
			",\"model\":\"a\\tb\",\"input_tokens\":1,\"output_tokens\":1}",
			TL_ESTRING_CONTROL, "model", NONE, "a\\x09b"},
		{"model holds DEL",
			"{" ID "," TS
			",\"model\":\"abcdefgh\\u007f\",\"input_tokens\":1,\"output_tokens\":1}",
			TL_ESTRING_CONTROL, "model", NONE, "abcdefgh\\x7f"},
		{"no output", "{" ID "," TS ",\"model\":\"m\",\"input_tokens\":1}",
			TL_EFIELD_MISSING, "output_tokens", NONE, ""},
		{"input is text",
			"{" ID "," TS
			",\"model\":\"m\",\"input_tokens\":\"5\",\"output_tokens\":1}",
			TL_EFIELD_TYPE, "input_tokens", NONE, "5"},
		{"input is negative",
			"{" ID "," TS ",\"model\":\"m\",\"input_tokens\":-1,\"output_tokens\":1}",
			TL_ETOKENS_NEGATIVE, "input_tokens", 0, "-1"},
		{"input is beyond", "{" REQUEST ",\"cache_read_tokens\":10000000001}",
			TL_ETOKENS_TOO_LARGE, "cache_read_tokens", TL_TOKENS_MAX, "10000000001"},
		{"reasoning above output", "{" REQUEST ",\"reasoning_tokens\":21}",
			TL_ETOKENS_INCONSISTENT, "reasoning_tokens", 20, "21"},
		{"an hour's part above the whole",
			"{" REQUEST ",\"cache_write_tokens\":5,\"cache_write_1h_tokens\":6}",
			TL_ETOKENS_INCONSISTENT, "cache_write_1h_tokens", 5, "6"},
		{"an hour's part of nothing", "{" REQUEST ",\"cache_write_1h_tokens\":6}",
			TL_ETOKENS_INCONSISTENT, "cache_write_1h_tokens", 0, "6"},
		{"cost is a real", "{" REQUEST ",\"cost_nusd\":1.5}", TL_EAMOUNT_NOT_INTEGER,
			"cost_nusd", NONE, "1.5"},
		{"cost is text", "{" REQUEST ",\"cost_nusd\":\"12\"}", TL_EAMOUNT_NOT_INTEGER,
			"cost_nusd", NONE, "12"},
		{"cost is negative", "{" REQUEST ",\"cost_nusd\":-12}", TL_EAMOUNT_NEGATIVE,
			"cost_nusd", 0, "-12"},
		{"cost is beyond", "{" REQUEST ",\"cost_nusd\":1000000000000001}",
			TL_EAMOUNT_TOO_LARGE, "cost_nusd", TL_COST_NUSD_MAX, "1000000000000001"},
		{"savings are a real", "{" REQUEST ",\"saved_nusd\":0.1}", TL_EAMOUNT_NOT_INTEGER,
			"saved_nusd", NONE, "0.10000000000000001"},
		{"status is beyond", "{" REQUEST ",\"status\":1000}", TL_EFIELD_TYPE, "status", 999,
			"1000"},
		{"duration is beyond a day", "{" REQUEST ",\"duration_ms\":86400001}",
			TL_EFIELD_TYPE, "duration_ms", TL_DURATION_MS_MAX, "86400001"},
		{"rev is negative", "{" REQUEST ",\"rev\":-1}", TL_EFIELD_TYPE, "rev", 0, "-1"},
		{"kind is a word of none", "{" REQUEST ",\"kind\":\"requests\"}", TL_EFIELD_TYPE,
			"kind", NONE, "requests"},
		{"billing is a word of none", "{" REQUEST ",\"billing\":\"API\"}", TL_EFIELD_TYPE,
			"billing", NONE, "API"},
		{"member is no hex", "{" REQUEST ",\"member\":\"0123\"}", TL_EFIELD_TYPE, "member",
			NONE, "0123"},
		{"email has no at", "{" REQUEST ",\"email\":\"nobody\"}", TL_EFIELD_TYPE, "email",
			NONE, "nobody"},
		{"email is wrong beside a key", "{" REQUEST ",\"key\":\"k\",\"email\":\"nobody\"}",
			TL_EFIELD_TYPE, "email", NONE, "nobody"},
		{"email_enc is text", "{" REQUEST ",\"email_enc\":\"x\"}", TL_EFIELD_TYPE,
			"email_enc", NONE, "x"},
		{"email_enc holds a real", "{" REQUEST ",\"email_enc\":{\"iv\":1.5}}",
			TL_EFIELD_TYPE, "email_enc", NONE, "a map of 1"},
		{"tags are text", "{" REQUEST ",\"tags\":\"a\"}", TL_EFIELD_TYPE, "tags", NONE,
			"a"},
		{"a tag is a number", "{" REQUEST ",\"tags\":[\"a\",1]}", TL_EFIELD_TYPE, "tags",
			NONE, "a list of 2"},
		{"a tag is long", "{" REQUEST ",\"tags\":[\"" X64 "x\"]}", TL_ESTRING_TOO_LONG,
			"tags", 64, X64},
		{"17 tags", "{" REQUEST ",\"tags\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
			TL_EFIELD_TYPE, "tags", 16, "a list of 17"},
		{"repo is a number", "{" REQUEST ",\"repo\":1}", TL_EFIELD_TYPE, "repo", NONE, "1"},
		{"pr is text", "{" REQUEST ",\"pr\":\"7\"}", TL_EFIELD_TYPE, "pr", NONE, "7"},
		{"a link without op", "{" LINK ",\"value\":\"o/r\"}", TL_EFIELD_MISSING, "op", NONE,
			""},
		{"a link without value", "{" LINK ",\"op\":\"set_repo\"}", TL_EFIELD_MISSING,
			"value", NONE, ""},
		{"a link of an empty value", "{" LINK ",\"op\":\"set_repo\",\"value\":\"\"}",
			TL_EFIELD_MISSING, "value", NONE, ""},
		{"a link to no repo", "{" LINK ",\"op\":\"set_repo\",\"value\":\"what?\"}",
			TL_EREPO_INVALID, "value", NONE, "what?"},
		{"a link to no pr", "{" LINK ",\"op\":\"add_pr\",\"value\":\"soon\"}",
			TL_EPR_INVALID, "value", NONE, "soon"},
		{"a link to pr 0", "{" LINK ",\"op\":\"add_pr\",\"value\":0}", TL_EPR_INVALID,
			"value", NONE, "0"},
		{"a link to no commit", "{" LINK ",\"op\":\"add_commit\",\"value\":\"xyz\"}",
			TL_ECOMMIT_INVALID, "value", NONE, "xyz"},
		{"a name that is a number", "{" LINK ",\"op\":\"set_name\",\"value\":5}",
			TL_EFIELD_TYPE, "value", NONE, "5"},
		{"an op of none", "{" LINK ",\"op\":\"del_repo\",\"value\":\"o/r\"}",
			TL_EFIELD_TYPE, "op", NONE, "del_repo"},
		{"a violation without severity", "{" VIOLATION "}", TL_EFIELD_MISSING, "severity",
			NONE, ""},
		{"a severity of none", "{" VIOLATION ",\"severity\":\"fatal\"}", TL_EFIELD_TYPE,
			"severity", NONE, "fatal"},
		/* of two faults the graver one is told, wherever it stands */
		{"a type before what is missing", "{" ID "," TS ",\"input_tokens\":\"x\"}",
			TL_EFIELD_TYPE, "input_tokens", NONE, "x"},
		{"what is missing before a range",
			"{" ID "," TS ",\"input_tokens\":-1,\"output_tokens\":1}",
			TL_EFIELD_MISSING, "model", NONE, ""},
		{"a range before the time",
			"{" ID ",\"ts\":1786975999999,\"model\":\"m\",\"input_tokens\":-1,"
			"\"output_tokens\":1}",
			TL_ETOKENS_NEGATIVE, "input_tokens", 0, "-1"},
		{"the id before a type", "{\"input_tokens\":\"x\",\"id\":5," TS "}", TL_EID_INVALID,
			"id", NONE, "5"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].err == TL_OK)
			continue;
		check_reject(&cases[i], false);
		check_reject(&cases[i], true);
	}
}

static void
values_at_their_limits_are_accepted(void **state)
{
	static const char *const events[] = {
		"{" REQUEST ",\"cost_nusd\":1000000000000000,\"cache_read_tokens\":10000000000}",
		"{" REQUEST ",\"cost_nusd\":0,\"status\":999,\"duration_ms\":86400000}",
		"{" REQUEST ",\"reasoning_tokens\":20,\"rev\":1000000,\"pr\":1000000000}",
		"{" REQUEST ",\"session\":\"" X64 "\",\"provider\":\"" X64 X64 "\"}",
		"{" REQUEST ",\"tags\":[\"" X64 "\",\"\"],\"branch\":\"\\u00fcber/alles\"}",
		"{" ID ",\"ts\":1786976000000,\"kind\":\"activity\",\"lines_added\":1000000000}",
		"{" ID ",\"ts\":1790000300000,\"kind\":\"activity\",\"active_ms\":1}",
		"{\"id\":\"12345678\"," TS ",\"kind\":\"activity\"}",
		"{\"id\":\"" X64 "\"," TS ",\"kind\":\"activity\"}",
		"{" REQUEST ",\"cost_nusd\":null,\"repo\":null,\"tags\":null,\"email\":\"\"}",
		"{" REQUEST ",\"x_mine\":{\"a\":1},\"x_\":[1,2],\"tags\":[],\"email_enc\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		for (int as_row = 0; as_row < 2; as_row++) {
			read_event(events[i], as_row != 0);
			if (batch.row_count != 1)
				fail_msg("%s: %s of %s", events[i],
					tl_err_name(batch.rejects[0].err), batch.rejects[0].field);
			assert_int_equal(batch.dropped_tag_count, 0);
		}
	}
}

static void
every_field_arrives_in_its_column(void **state)
{
	static const char request[] =
		"{" REQUEST ",\"kind\":\"request\",\"email\":\" Ada@Example.com \","
		"\"agent\":\"claude_code\",\"session\":\"s-1\",\"provider\":\"p-1\","
		"\"cache_read_tokens\":30,\"cache_write_tokens\":40,\"cache_write_1h_tokens\":7,"
		"\"reasoning_tokens\":5,\"cost_nusd\":0,\"saved_tokens\":8,\"saved_nusd\":9,"
		"\"status\":0,\"duration_ms\":0,\"repo\":\"git@github.com:Owner/Repo.git\","
		"\"pr\":12,\"branch\":\"main\",\"commit\":\"ABCDEF1234\",\"billing\":\"plan\","
		"\"tags\":[\"a\",\"bc\"],\"rev\":3}";

	(void)state;
	for (int as_row = 0; as_row < 2; as_row++) {
		read_event(request, as_row != 0);
		assert_int_equal(batch.row_count, 1);
		assert_int_equal(batch.event_idx[0], 0);
		assert_int_equal(tl_batch_get(&batch, TL_COL_TS, 0), 1789999999000);
		assert_int_equal(tl_batch_get(&batch, TL_COL_KIND, 0), TL_KIND_REQUEST);
		assert_name(TL_COL_EMAIL, 0, "ada@example.com");
		assert_name(TL_COL_AGENT_TYPE, 0, "claude_code");
		assert_name(TL_COL_SESSION, 0, "s-1");
		assert_name(TL_COL_PROVIDER, 0, "p-1");
		assert_name(TL_COL_MODEL, 0, "m-1");
		assert_int_equal(tl_batch_get(&batch, TL_COL_INPUT, 0), 10);
		assert_int_equal(tl_batch_get(&batch, TL_COL_CACHE_READ, 0), 30);
		assert_int_equal(tl_batch_get(&batch, TL_COL_CACHE_WRITE, 0), 40);
		assert_int_equal(tl_batch_get(&batch, TL_COL_CACHE_WRITE_1H, 0), 7);
		assert_int_equal(tl_batch_get(&batch, TL_COL_OUTPUT, 0), 20);
		assert_int_equal(tl_batch_get(&batch, TL_COL_REASONING, 0), 5);
		assert_int_equal(tl_batch_get(&batch, TL_COL_COST, 0), 0);
		assert_int_equal(tl_batch_get(&batch, TL_COL_SAVED_TOKENS, 0), 8);
		assert_int_equal(tl_batch_get(&batch, TL_COL_SAVED_NUSD, 0), 9);
		assert_int_equal(tl_batch_get(&batch, TL_COL_STATUS, 0), 0);
		assert_int_equal(tl_batch_get(&batch, TL_COL_DURATION, 0), 0);
		assert_name(TL_COL_REPO, 0, "github.com/owner/repo");
		assert_int_equal(tl_batch_get(&batch, TL_COL_PR, 0), 12);
		assert_name(TL_COL_BRANCH, 0, "main");
		assert_name(TL_COL_COMMIT, 0, "abcdef1234");
		assert_int_equal(tl_batch_get(&batch, TL_COL_BILLING, 0), TL_BILLING_PLAN);
		assert_name(TL_COL_TAGS, 0, "\1a\2bc");
		assert_int_equal(tl_batch_get(&batch, TL_COL_REV, 0), 3);
		assert_int_equal(tl_batch_get(&batch, TL_COL_SIGN, 0), 1);
		assert_null(batch.column[TL_COL_VALUE]);
		assert_null(batch.column[TL_COL_FIX_MS]);
	}
	read_event("{" ID "," TS ",\"kind\":\"activity\",\"lines_added\":1,\"lines_removed\":2,"
		   "\"commits\":3,\"pull_requests\":4,\"active_ms\":5,\"edits_accepted\":6,"
		   "\"edits_rejected\":7}",
		false);
	assert_int_equal(batch.row_count, 1);
	for (int i = 0; i < 7; i++)
		assert_int_equal(tl_batch_get(&batch, TL_COL_LINES_ADDED + i, 0), i + 1);
	assert_int_equal(tl_batch_get(&batch, TL_COL_COST, 0), -1);
	assert_int_equal(tl_batch_get(&batch, TL_COL_STATUS, 0), 200);
}

static void
one_way_of_naming_the_sender_is_kept(void **state)
{
	static const char hex[] = "00112233445566778899AABBCCDDEEFF";
	static const uint8_t raw[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
		0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	char event[600];

	(void)state;
	snprintf(event, sizeof(event), "{" REQUEST ",\"member\":\"%s\",\"agent\":\"codex\"}", hex);
	read_event(event, false);
	assert_true(tl_slice_eq(name_of(TL_COL_MEMBER_ID, 0), tl_slice_of(raw, sizeof(raw))));
	assert_name(TL_COL_AGENT_TYPE, 0, "codex");

	snprintf(event, sizeof(event),
		"{" REQUEST ",\"member\":\"%s\",\"email\":\"a@b.c\",\"agent\":\"codex\"}", hex);
	read_event(event, false);
	assert_name(TL_COL_EMAIL, 0, "a@b.c");
	assert_name(TL_COL_MEMBER_ID, 0, "");
	assert_name(TL_COL_AGENT_TYPE, 0, "codex");

	snprintf(event, sizeof(event),
		"{" REQUEST ",\"member\":\"%s\",\"email\":\"a@b.c\",\"agent\":\"codex\","
		"\"key\":\"tally_ca_1\"}",
		hex);
	read_event(event, false);
	assert_name(TL_COL_KEY, 0, "tally_ca_1");
	assert_name(TL_COL_EMAIL, 0, "");
	assert_name(TL_COL_MEMBER_ID, 0, "");
	assert_name(TL_COL_AGENT_TYPE, 0, "");

	read_event("{" REQUEST ",\"agent\":\"codex\"}", false);
	assert_int_equal(batch.row_count, 1);
	assert_name(TL_COL_AGENT_TYPE, 0, "");
}

static void
wrong_tags_are_dropped_and_counted(void **state)
{
	(void)state;
	read_event("{" REQUEST ",\"repo\":\"not a repo\",\"pr\":0,\"commit\":\"HEAD\"}", true);
	assert_int_equal(batch.row_count, 1);
	assert_int_equal(batch.dropped_tag_count, 3);
	assert_name(TL_COL_REPO, 0, "");
	assert_name(TL_COL_COMMIT, 0, "");
	assert_int_equal(tl_batch_get(&batch, TL_COL_PR, 0), 0);
	read_event("{" REQUEST ",\"pr\":1000000001}", false);
	assert_int_equal(batch.row_count, 1);
	assert_int_equal(batch.dropped_tag_count, 1);
	/* at the very end of a message numbers are read the long way */
	read_event("{" REQUEST ",\"pr\":7}", false);
	assert_int_equal(tl_batch_get(&batch, TL_COL_PR, 0), 7);
	assert_int_equal(batch.dropped_tag_count, 0);
}

static void
the_value_of_a_link_has_one_spelling(void **state)
{
	static const struct {
		const char *more;
		const char *value;
	} cases[] = {
		{"\"op\":\"set_repo\",\"value\":\"https://u:p@GitHub.com/O/R.git\"",
			"github.com/o/r"},
		{"\"op\":\"add_pr\",\"value\":7", "#7"},
		{"\"op\":\"add_pr\",\"value\":\"7\"", "#7"},
		{"\"op\":\"add_pr\",\"value\":\"#7\"", "#7"},
		{"\"op\":\"add_pr\",\"value\":\"o/r#7\"", "github.com/o/r#7"},
		{"\"op\":\"add_pr\",\"value\":\"https://github.com/O/R/pull/7\"",
			"github.com/o/r#7"},
		{"\"op\":\"add_pr\",\"value\":7,\"repo\":\"O/R\"", "github.com/o/r#7"},
		{"\"value\":7,\"repo\":\"O/R\",\"op\":\"add_pr\"", "github.com/o/r#7"},
		{"\"op\":\"add_pr\",\"value\":\"x/y#7\",\"repo\":\"O/R\"", "github.com/x/y#7"},
		{"\"op\":\"add_pr\",\"value\":7,\"repo\":\"nowhere\"", "#7"},
		{"\"op\":\"add_commit\",\"value\":\"ABCDEF0\"", "abcdef0"},
		{"\"op\":\"set_name\",\"value\":\"fix the build\"", "fix the build"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char event[400];

		snprintf(event, sizeof(event), "{" LINK ",%s}", cases[i].more);
		read_event(event, (i & 1) != 0);
		if (batch.row_count != 1)
			fail_msg("%s: %s", cases[i].more, tl_err_name(batch.rejects[0].err));
		assert_name(TL_COL_VALUE, 0, cases[i].value);
		assert_int_equal(tl_batch_get(&batch, TL_COL_KIND, 0), TL_KIND_LINK);
	}
}

/* One text may be a name for one op and a repo for another. */
static void
the_same_value_under_two_ops_is_two_names(void **state)
{
	(void)state;
	tl_buf_reset(&frame);
	put_json(&frame, "{\"v\":1,\"token\":\"t\",\"events\":["
			 "{\"id\":\"event-0001\"," TS ",\"kind\":\"link\",\"session\":\"s\","
			 "\"op\":\"set_repo\",\"value\":\"O/R\"},"
			 "{\"id\":\"event-0002\"," TS ",\"kind\":\"link\",\"session\":\"s\","
			 "\"op\":\"set_name\",\"value\":\"O/R\"},"
			 "{\"id\":\"event-0003\"," TS ",\"kind\":\"link\",\"session\":\"s\","
			 "\"op\":\"set_repo\",\"value\":\"O/R\"}]}");
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.row_count, 3);
	assert_name(TL_COL_VALUE, 0, "github.com/o/r");
	assert_name(TL_COL_VALUE, 1, "O/R");
	assert_name(TL_COL_VALUE, 2, "github.com/o/r");
	assert_true(tl_batch_get(&batch, TL_COL_VALUE, 0) == tl_batch_get(&batch, TL_COL_VALUE, 2));
}

static void
a_violation_without_a_fix_time_gets_its_severity_s(void **state)
{
	static const struct {
		const char *severity;
		int64_t fix_ms;
	} cases[] = {{"error", 540000}, {"warning", 300000}, {"info", 120000}};
	char event[300];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(event, sizeof(event), "{" VIOLATION ",\"severity\":\"%s\"}",
			cases[i].severity);
		read_event(event, false);
		assert_int_equal(tl_batch_get(&batch, TL_COL_FIX_MS, 0), cases[i].fix_ms);
		assert_int_equal(tl_batch_get(&batch, TL_COL_SEVERITY, 0), i + 1);
		assert_name(TL_COL_RULE, 0, "r-1");
	}
	read_event("{" VIOLATION ",\"severity\":\"info\",\"fix_ms\":0}", true);
	assert_int_equal(tl_batch_get(&batch, TL_COL_FIX_MS, 0), 0);
}

static void
an_event_fails_alone_and_leaves_nothing_behind(void **state)
{
	(void)state;
	tl_buf_reset(&frame);
	put_json(&frame, "{\"v\":1,\"token\":\"t\",\"events\":["
			 "{\"id\":\"event-0001\"," TS ",\"model\":\"m\",\"input_tokens\":1,"
			 "\"output_tokens\":1,\"session\":\"s\",\"cost_nusd\":5},"
			 "{\"id\":\"event-0002\"," TS ",\"model\":\"m\",\"input_tokens\":2,"
			 "\"output_tokens\":2,\"session\":\"s\",\"cost_nusd\":6,\"status\":500,"
			 "\"pr\":4,\"rev\":2,\"nonsense\":1},"
			 "17,"
			 "{\"id\":\"event-0004\"," TS ",\"model\":\"m\",\"input_tokens\":3,"
			 "\"output_tokens\":3}]}");
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.row_count, 2);
	assert_int_equal(batch.reject_count, 2);
	assert_int_equal(batch.rejects[0].event_idx, 1);
	assert_int_equal(batch.rejects[0].err, TL_EFIELD_UNKNOWN);
	assert_string_equal(batch.rejects[0].got, "nonsense");
	assert_int_equal(batch.rejects[1].event_idx, 2);
	assert_int_equal(batch.rejects[1].err, TL_EEVENT_NOT_MAP);
	assert_int_equal(batch.event_idx[0], 0);
	assert_int_equal(batch.event_idx[1], 3);
	assert_int_equal(tl_batch_get(&batch, TL_COL_COST, 0), 5);
	assert_int_equal(tl_batch_get(&batch, TL_COL_COST, 1), -1);
	assert_int_equal(tl_batch_get(&batch, TL_COL_STATUS, 1), 200);
	assert_int_equal(tl_batch_get(&batch, TL_COL_PR, 1), 0);
	assert_int_equal(tl_batch_get(&batch, TL_COL_REV, 1), 0);
	assert_name(TL_COL_SESSION, 0, "s");
	assert_name(TL_COL_SESSION, 1, "");
	assert_int_equal(tl_batch_get(&batch, TL_COL_INPUT, 1), 3);
}

static void
a_refused_event_is_told_by_its_id(void **state)
{
	uint8_t id[16];

	(void)state;
	assert_true(tl_event_id_from_text(tl_slice_str("event-0001"), id));
	read_event("{" REQUEST ",\"cost_nusd\":-1}", false);
	assert_memory_equal(batch.rejects[0].id, id, sizeof(id));
	memset(id, 0, sizeof(id));
	read_event("{\"id\":\"none\"," TS "}", false);
	assert_memory_equal(batch.rejects[0].id, id, sizeof(id));
}

/* Pack the pairs of REQUEST with a binary id, then more. */
static void
put_request_pairs(struct tl_buf *event, uint8_t last_id_byte)
{
	uint8_t id[16] = {0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, last_id_byte};

	tl_pack_str(event, "id");
	tl_pack_bin(event, tl_slice_of(id, sizeof(id)));
	tl_pack_str(event, "ts");
	tl_pack_int(event, NOW_MS - 1000);
	tl_pack_str(event, "model");
	tl_pack_str(event, "m");
	tl_pack_str(event, "input_tokens");
	tl_pack_int(event, 1);
	tl_pack_str(event, "output_tokens");
	tl_pack_int(event, 1);
}

#define REQUEST_PAIRS 5

static void
what_json_cannot_say_is_refused_too(void **state)
{
	struct tl_buf event;
	static char long_text[9000];

	(void)state;
	tl_buf_init(&event, 0);

	tl_pack_map(&event, REQUEST_PAIRS + 1);
	put_request_pairs(&event, 1);
	tl_pack_str(&event, "model");
	tl_pack_str(&event, "again");
	frame_of_event(tl_buf_slice(&event));
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.rejects[0].err, TL_EFIELD_DUPLICATE);
	assert_string_equal(batch.rejects[0].field, "model");

	tl_buf_reset(&event);
	tl_pack_map(&event, REQUEST_PAIRS + 1);
	put_request_pairs(&event, 1);
	tl_pack_int(&event, 7);
	tl_pack_str(&event, "a key that is a number");
	frame_of_event(tl_buf_slice(&event));
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.rejects[0].err, TL_EFIELD_UNKNOWN);
	assert_string_equal(batch.rejects[0].got, "7");

	tl_buf_reset(&event);
	tl_pack_map(&event, REQUEST_PAIRS + 1);
	put_request_pairs(&event, 1);
	tl_pack_str(&event, "session");
	tl_pack_slice(&event, tl_slice_of("ab\xff\xfe", 4));
	frame_of_event(tl_buf_slice(&event));
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.rejects[0].err, TL_ESTRING_NOT_UTF8);
	assert_string_equal(batch.rejects[0].got, "ab\\xff\\xfe");

	tl_buf_reset(&event);
	tl_pack_map(&event, REQUEST_PAIRS + 1);
	put_request_pairs(&event, 1);
	tl_pack_str(&event, "saved_tokens");
	tl_buf_put(&event, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9);
	frame_of_event(tl_buf_slice(&event));
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.rejects[0].err, TL_ETOKENS_TOO_LARGE);
	assert_string_equal(batch.rejects[0].got, "18446744073709551615");

	memset(long_text, 'x', sizeof(long_text));
	for (size_t bytes = TL_EVENT_BYTES_MAX - 200; bytes < TL_EVENT_BYTES_MAX; bytes++) {
		tl_buf_reset(&event);
		tl_pack_map(&event, REQUEST_PAIRS + 1);
		put_request_pairs(&event, 1);
		tl_pack_str(&event, "x_more");
		tl_pack_slice(&event, tl_slice_of(long_text, bytes));
		frame_of_event(tl_buf_slice(&event));
		assert_int_equal(rows_read(), TL_OK);
		assert_int_equal(batch.reject_count, event.bytes > TL_EVENT_BYTES_MAX);
		if (batch.reject_count > 0) {
			assert_int_equal(batch.rejects[0].err, TL_EEVENT_TOO_LARGE);
			assert_int_equal(batch.rejects[0].limit, TL_EVENT_BYTES_MAX);
		}
	}

	tl_buf_reset(&event);
	tl_pack_map(&event, REQUEST_PAIRS + TL_MAP_KEYS_MAX);
	put_request_pairs(&event, 1);
	for (uint32_t i = 0; i < TL_MAP_KEYS_MAX; i++) {
		tl_pack_str(&event, "x_a");
		tl_pack_nil(&event);
	}
	frame_of_event(tl_buf_slice(&event));
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.rejects[0].err, TL_EEVENT_TOO_LARGE);

	/* all zeros and all ones */
	for (int byte = 0; byte < 256; byte += 255) {
		uint8_t id[16];

		memset(id, byte, sizeof(id));
		tl_buf_reset(&event);
		tl_pack_map(&event, REQUEST_PAIRS);
		put_request_pairs(&event, 1);
		memcpy(event.data + 6, id, sizeof(id));
		frame_of_event(tl_buf_slice(&event));
		assert_int_equal(rows_read(), TL_OK);
		assert_int_equal(batch.rejects[0].err, TL_EID_INVALID);
		assert_string_equal(batch.rejects[0].got, "binary of 16 bytes");
	}
	tl_buf_fini(&event);
}

/* Keys may come in any order, encoding and company: the guess is only a guess. */
static void
keys_in_any_order_are_read_alike(void **state)
{
	struct tl_buf events;
	uint32_t seed = 1;

	(void)state;
	tl_buf_init(&events, 0);
	tl_pack_map(&events, 3);
	tl_pack_str(&events, "v");
	tl_pack_int(&events, 1);
	tl_pack_str(&events, "token");
	tl_pack_str(&events, "t");
	tl_pack_str(&events, "events");
	tl_pack_array(&events, 200);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t order[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
		uint8_t id[16] = {0x5a, (uint8_t)i};
		char text[40];

		for (uint32_t n = 8; n > 0; n--) {
			uint32_t other;
			uint32_t held = order[n];

			seed = seed * 1664525u + 1013904223u;
			other = (seed >> 16) % (n + 1);
			order[n] = order[other];
			order[other] = held;
		}
		tl_pack_map(&events, 9);
		for (uint32_t n = 0; n < 9; n++) {
			switch (order[n]) {
			case 0:
				tl_pack_str(&events, "id");
				tl_pack_bin(&events, tl_slice_of(id, sizeof(id)));
				break;
			case 1:
				tl_pack_str(&events, "ts");
				tl_pack_int(&events, NOW_MS - i);
				break;
			case 2:
				/* the key as str8, which nobody sends */
				tl_buf_put(&events, "\xd9\x05model", 7);
				snprintf(text, sizeof(text), "model-%u", i % 7);
				tl_pack_str(&events, text);
				break;
			case 3:
				tl_pack_str(&events, "input_tokens");
				tl_pack_int(&events, i);
				break;
			case 4:
				tl_pack_str(&events, "output_tokens");
				tl_pack_int(&events, (int64_t)i * 1000);
				break;
			case 5:
				tl_pack_str(&events, "x_extra");
				tl_pack_int(&events, i);
				break;
			case 6:
				tl_pack_str(&events, "session");
				snprintf(text, sizeof(text), "session number %u of many", i % 50);
				tl_pack_str(&events, text);
				break;
			case 7:
				tl_pack_str(&events, "branch");
				snprintf(text, sizeof(text), "%u", i % 5);
				tl_pack_str(&events, text);
				break;
			case 8:
				tl_pack_str(&events, "cost_nusd");
				if (i % 3 == 0)
					tl_pack_nil(&events);
				else
					tl_pack_int(&events, (int64_t)i << (i % 32));
				break;
			}
		}
	}
	tl_buf_reset(&frame);
	tl_buf_put_slice(&frame, tl_buf_slice(&events));
	tl_buf_fini(&events);
	assert_int_equal(rows_read(), TL_OK);
	if (batch.reject_count > 0)
		fail_msg("%s %s", tl_err_name(batch.rejects[0].err), batch.rejects[0].got);
	assert_int_equal(batch.row_count, 200);
	for (uint32_t i = 0; i < 200; i++) {
		char text[40];

		assert_int_equal(tl_batch_get(&batch, TL_COL_TS, i), NOW_MS - i);
		assert_int_equal(tl_batch_get(&batch, TL_COL_INPUT, i), i);
		assert_int_equal(tl_batch_get(&batch, TL_COL_OUTPUT, i), i * 1000);
		assert_int_equal(tl_batch_get(&batch, TL_COL_COST, i),
			i % 3 == 0 ? -1 : (int64_t)i << (i % 32));
		snprintf(text, sizeof(text), "model-%u", i % 7);
		assert_name(TL_COL_MODEL, i, text);
		snprintf(text, sizeof(text), "session number %u of many", i % 50);
		assert_name(TL_COL_SESSION, i, text);
		snprintf(text, sizeof(text), "%u", i % 5);
		assert_name(TL_COL_BRANCH, i, text);
		assert_int_equal(batch.id[i][1], (uint8_t)i);
	}
	assert_int_equal(batch.symbol_count, 1 + 7 + 50 + 5);
}

static void
a_bad_list_of_fields_refuses_the_batch(void **state)
{
	static const struct {
		const char *fields;
		enum tl_err err;
	} cases[] = {
		{"[\"id\",\"ts\",\"what\"]", TL_EFIELD_UNKNOWN},
		{"[\"id\",\"ts\",7]", TL_EFIELD_UNKNOWN},
		{"[\"id\",\"ts\",\"id\"]", TL_EFIELD_DUPLICATE},
		{"[\"id\",\"ts\",\"x_a\",\"x_a\"]", TL_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[300];

		snprintf(text, sizeof(text),
			"{\"v\":1,\"token\":\"t\",\"fields\":%s,\"rows\":[[1,2,3,4]]}",
			cases[i].fields);
		tl_buf_reset(&frame);
		put_json(&frame, text);
		assert_int_equal(rows_read(), cases[i].err);
	}
}

static void
a_row_of_another_length_is_refused_alone(void **state)
{
	(void)state;
	tl_buf_reset(&frame);
	put_json(&frame, "{\"v\":1,\"token\":\"t\",\"fields\":[\"id\",\"ts\",\"kind\"],\"rows\":["
			 "[\"event-0001\",1789999999000],"
			 "[\"event-0002\",1789999999000,\"activity\"],"
			 "[\"event-0003\",1789999999000,\"activity\",1],"
			 "{\"id\":\"event-0004\"}]}");
	assert_int_equal(rows_read(), TL_OK);
	assert_int_equal(batch.row_count, 1);
	assert_int_equal(batch.event_idx[0], 1);
	assert_int_equal(batch.reject_count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(batch.rejects[i].err, TL_EEVENT_NOT_MAP);
	assert_string_equal(batch.rejects[0].got, "a list of 2");
}

static void
the_head_is_checked_in_order(void **state)
{
	static const struct {
		const char *json;
		enum tl_err err;
	} cases[] = {
		{"{\"v\":1,\"token\":\"t\",\"events\":[{}]}", TL_OK},
		{"{\"v\":1,\"token\":\"t\",\"batch\":\"b\",\"import\":true,\"x_\":1,"
		 "\"events\":[{}]}",
			TL_OK},
		{"{\"v\":1,\"token\":\"t\",\"batch\":null,\"import\":null,\"events\":[{}]}", TL_OK},
		{"{\"v\":1,\"token\":\"t\",\"fields\":[],\"rows\":[[]]}", TL_OK},
		{"[1]", TL_EFRAME_MALFORMED},
		{"{\"v\":1,\"token\":\"t\",\"x_\":[[[[1]]]],\"events\":[{}]}", TL_EFRAME_MALFORMED},
		{"{\"token\":\"t\",\"events\":[{}]}", TL_EVERSION_UNSUPPORTED},
		{"{\"v\":2,\"events\":[{}]}", TL_EVERSION_UNSUPPORTED},
		{"{\"v\":\"1\",\"token\":\"t\",\"events\":[{}]}", TL_EVERSION_UNSUPPORTED},
		{"{\"v\":2,\"future\":1,\"token\":\"t\",\"events\":[{}]}", TL_EVERSION_UNSUPPORTED},
		{"{\"v\":1,\"future\":1,\"events\":[{}]}", TL_EFIELD_MISSING},
		{"{\"v\":1,\"future\":1,\"token\":\"t\",\"events\":[]}", TL_EFIELD_UNKNOWN},
		{"{\"v\":1,\"token\":\"t\"}", TL_EFIELD_MISSING},
		{"{\"v\":1,\"token\":\"t\",\"rows\":[[1]]}", TL_EFIELD_MISSING},
		{"{\"v\":1,\"token\":7,\"events\":[{}]}", TL_EFIELD_TYPE},
		{"{\"v\":1,\"token\":\"t\",\"events\":7}", TL_EFIELD_TYPE},
		{"{\"v\":1,\"token\":\"t\",\"batch\":7,\"events\":[{}]}", TL_EFIELD_TYPE},
		{"{\"v\":1,\"token\":\"t\",\"import\":1,\"events\":[{}]}", TL_EFIELD_TYPE},
		{"{\"v\":1,\"token\":\"t\",\"batch\":\"" X64 "\",\"events\":[{}]}", TL_OK},
		{"{\"v\":1,\"token\":\"t\",\"batch\":\"" X64 "x\",\"events\":[{}]}",
			TL_ESTRING_TOO_LONG},
		{"{\"v\":1,\"token\":\"t\",\"batch\":\"a\\nb\",\"events\":[{}]}",
			TL_ESTRING_CONTROL},
		{"{\"v\":1,\"token\":\"t\",\"events\":[{}],\"fields\":[],\"rows\":[[]]}",
			TL_EFIELD_DUPLICATE},
		{"{\"v\":1,\"token\":\"t\",\"events\":[]}", TL_OK},
		{"{\"v\":1,\"token\":\"t\",\"fields\":[\"id\"],\"rows\":[]}", TL_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum tl_err err;

		tl_buf_reset(&frame);
		put_json(&frame, cases[i].json);
		err = head_read(tl_buf_slice(&frame));
		if (err != cases[i].err)
			fail_msg("%s: %s", cases[i].json, tl_err_name(err));
	}
}

/* The bytes in frame, decoded as far as they go; what they are refused for, if they are. */
static enum tl_err
frame_verdict(struct tl_slice bytes)
{
	enum tl_err err = head_read(bytes);

	tl_arena_reset(&arena);
	if (!err)
		err = tl_batch_init(&batch, &arena, head.event_count);
	if (!err)
		err = tl_batch_rows_read(&head, &accept_rules, &batch, &why);
	return err ? tl_batch_refuse(bytes, err, &why) : TL_OK;
}

static void
events_that_leave_their_bounds_refuse_the_batch(void **state)
{
	static const struct {
		const char *json;
		enum tl_err err;
	} cases[] = {
		{"{\"v\":1,\"token\":\"t\",\"events\":[{\"tags\":[1]}]}", TL_OK},
		{"{\"v\":1,\"token\":\"t\",\"events\":[{\"tags\":[[]]}]}", TL_ETOO_DEEP},
		{"{\"v\":1,\"token\":\"t\",\"events\":[{\"x_\":{\"a\":{}}}]}", TL_ETOO_DEEP},
		{"{\"v\":1,\"token\":\"t\",\"events\":[{\"nothing\":[[]]}]}", TL_ETOO_DEEP},
		{"{\"v\":1,\"token\":\"t\",\"events\":[[[[]]]]}", TL_ETOO_DEEP},
		{"{\"v\":1,\"token\":\"t\",\"fields\":[\"x_\"],\"rows\":[[[]]]}", TL_OK},
		{"{\"v\":1,\"token\":\"t\",\"fields\":[\"x_\"],\"rows\":[[[{}]]]}", TL_ETOO_DEEP},
		{"{\"v\":1,\"token\":\"t\",\"fields\":[\"id\"],\"rows\":[[[{}]]]}", TL_ETOO_DEEP},
		{"{\"v\":2,\"token\":\"t\",\"fields\":[],\"rows\":[[[{}]]]}", TL_ETOO_DEEP},
		{"{\"v\":1,\"token\":\"t\",\"x_\":[[[[1]]]],\"events\":[{}]}", TL_ETOO_DEEP},
		{"[[[[[1]]]]]", TL_ETOO_DEEP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum tl_err err;

		tl_buf_reset(&frame);
		put_json(&frame, cases[i].json);
		err = frame_verdict(tl_buf_slice(&frame));
		if (err != cases[i].err)
			fail_msg("%s: %s", cases[i].json, tl_err_name(err));
	}
}

static void
a_batch_has_at_most_a_thousand_events(void **state)
{
	(void)state;
	for (uint32_t count = TL_BATCH_EVENTS_MAX - 1; count <= TL_BATCH_EVENTS_MAX + 1; count++) {
		tl_buf_reset(&frame);
		tl_pack_map(&frame, 3);
		tl_pack_str(&frame, "events");
		tl_pack_array(&frame, count);
		for (uint32_t i = 0; i < count; i++)
			tl_pack_map(&frame, 0);
		tl_pack_str(&frame, "v");
		tl_pack_int(&frame, 1);
		tl_pack_str(&frame, "token");
		tl_pack_str(&frame, "t");
		assert_int_equal(head_read(tl_buf_slice(&frame)),
			count > TL_BATCH_EVENTS_MAX ? TL_ETOO_MANY_EVENTS : TL_OK);
	}
	assert_int_equal(head.event_count, TL_BATCH_EVENTS_MAX);
}

/* An event that uses every field there is. */
static struct tl_wire_event
full_event(uint8_t number)
{
	return (struct tl_wire_event){
		.id = {0x5a, number},
		.ts_ms = NOW_MS - number,
		.kind = TL_KIND_REQUEST,
		.email = tl_slice_str("ada@example.com"),
		.agent = tl_slice_str("codex"),
		.session = tl_slice_str("s-1"),
		.provider = tl_slice_str("p-1"),
		.model = tl_slice_str("m-1"),
		.input_tokens = 1,
		.cache_read_tokens = 2,
		.cache_write_tokens = 4,
		.cache_write_1h_tokens = 3,
		.output_tokens = 6,
		.reasoning_tokens = 5,
		.cost_nusd = 7,
		.saved_tokens = 8,
		.saved_nusd = 9,
		.status = 429,
		.duration_ms = 10,
		.repo = tl_slice_str("o/r"),
		.branch = tl_slice_str("main"),
		.commit = tl_slice_str("abcdef0"),
		.pr = 11,
		.is_plan = true,
		.rev = 12,
	};
}

static void
what_a_sender_puts_is_read_back(void **state)
{
	struct tl_wire_event events[4] = {full_event(1)};
	void (*const put[])(struct tl_buf *, struct tl_slice, struct tl_slice, bool,
		const struct tl_wire_event *, uint32_t) = {tl_batch_put_maps, tl_batch_put_rows};

	(void)state;
	/* a zeroed request: its numbers are said, but neither cost nor duration are known */
	events[1] = (struct tl_wire_event){.id = {0x5a, 2},
		.ts_ms = NOW_MS,
		.model = tl_slice_str("m-1"),
		.status = 200,
		.cost_nusd = TL_WIRE_ABSENT,
		.duration_ms = TL_WIRE_ABSENT};
	events[2] = (struct tl_wire_event){.id_text = tl_slice_str("violation-3"),
		.ts_ms = NOW_MS,
		.kind = TL_KIND_VIOLATION,
		.rule = tl_slice_str("r-1"),
		.severity = tl_slice_str("warning")};
	events[3] = (struct tl_wire_event){.id_text = tl_slice_str("link-four"),
		.ts_ms = NOW_MS,
		.kind = TL_KIND_LINK,
		.session = tl_slice_str("s-1"),
		.link_op = TL_LINK_ADD_PR,
		.value = tl_slice_str("#4")};

	for (size_t form = 0; form < 2; form++) {
		tl_buf_reset(&frame);
		put[form](
			&frame, tl_slice_str("secret"), tl_slice_str("b-1"), form == 1, events, 4);
		assert_int_equal(frame.err, TL_OK);
		assert_int_equal(rows_read(), TL_OK);
		assert_true(tl_slice_eq(head.token, tl_slice_str("secret")));
		assert_true(tl_slice_eq(head.batch, tl_slice_str("b-1")));
		assert_int_equal(head.import, form == 1);
		assert_int_equal(head.is_rows, form == 1);
		if (batch.reject_count > 0)
			fail_msg("%u: %s %s", batch.rejects[0].event_idx,
				tl_err_name(batch.rejects[0].err), batch.rejects[0].field);
		assert_int_equal(batch.row_count, 4);
		assert_int_equal(batch.id[0][1], 1);
		assert_name(TL_COL_EMAIL, 0, "ada@example.com");
		assert_name(TL_COL_AGENT_TYPE, 0, "codex");
		assert_name(TL_COL_REPO, 0, "github.com/o/r");
		for (int column = TL_COL_INPUT; column <= TL_COL_SAVED_NUSD; column++) {
			static const int64_t wanted[] = {1, 2, 4, 3, 6, 5, 7, 8, 9};

			assert_int_equal(tl_batch_get(&batch, (enum tl_column)column, 0),
				wanted[column - TL_COL_INPUT]);
		}
		assert_int_equal(tl_batch_get(&batch, TL_COL_STATUS, 0), 429);
		assert_int_equal(tl_batch_get(&batch, TL_COL_BILLING, 0), TL_BILLING_PLAN);
		assert_int_equal(tl_batch_get(&batch, TL_COL_REV, 0), 12);
		assert_int_equal(tl_batch_get(&batch, TL_COL_PR, 0), 11);
		assert_int_equal(tl_batch_get(&batch, TL_COL_COST, 1), -1);
		assert_int_equal(tl_batch_get(&batch, TL_COL_DURATION, 1), -1);
		assert_int_equal(tl_batch_get(&batch, TL_COL_STATUS, 1), 200);
		assert_int_equal(tl_batch_get(&batch, TL_COL_REPO, 1), 0);
		assert_int_equal(tl_batch_get(&batch, TL_COL_FIX_MS, 2), 300000);
		assert_int_equal(tl_batch_get(&batch, TL_COL_COST, 2), -1);
		assert_int_equal(tl_batch_get(&batch, TL_COL_STATUS, 2), 200);
		assert_name(TL_COL_VALUE, 3, "#4");
	}
}

static void
rows_name_only_the_fields_in_use(void **state)
{
	struct tl_wire_event event = {.id = {0x5a, 1},
		.ts_ms = NOW_MS,
		.model = tl_slice_str("m"),
		.status = 200,
		.cost_nusd = TL_WIRE_ABSENT,
		.duration_ms = TL_WIRE_ABSENT};
	struct tl_reader fields;

	(void)state;
	tl_buf_reset(&frame);
	tl_batch_put_rows(&frame, tl_slice_str("t"), tl_slice_of(NULL, 0), false, &event, 1);
	assert_true(tl_reader_find(tl_buf_slice(&frame), "fields", &fields));
	assert_int_equal(tl_read_array(&fields), 5);
	assert_false(tl_reader_find(tl_buf_slice(&frame), "batch", &fields));
	assert_false(tl_reader_find(tl_buf_slice(&frame), "import", &fields));
}

static void
an_answer_is_read_back(void **state)
{
	static const struct tl_reject rejects[] = {
		{.event_idx = 3,
			.err = TL_EAMOUNT_TOO_LARGE,
			.field = "cost_nusd",
			.limit = TL_COST_NUSD_MAX,
			.got = "1000000000000001",
			.id = {1, 2, 3}},
		{.event_idx = 9, .err = TL_EID_INVALID, .field = "id", .limit = INT64_MIN},
	};
	struct tl_batch_result result;
	struct tl_reader errors;
	struct tl_slice first;
	struct tl_slice second;
	struct tl_reader value;

	(void)state;
	tl_buf_reset(&frame);
	tl_batch_put_answer(&frame, &(struct tl_batch_answer){.batch = tl_slice_str("b-1"),
					    .epoch = 5,
					    .seq = 77,
					    .accepted = 10,
					    .duplicate = 3,
					    .replaced = 1,
					    .rejected = 2,
					    .rejects = rejects,
					    .reject_count = 2});
	assert_int_equal(tl_batch_answer_read(tl_buf_slice(&frame), &result, &why), TL_OK);
	assert_int_equal(result.epoch, 5);
	assert_int_equal(result.seq, 77);
	assert_int_equal(result.accepted, 10);
	assert_int_equal(result.duplicate, 3);
	assert_int_equal(result.replaced, 1);
	assert_int_equal(result.rejected, 2);
	assert_int_equal(result.retry_after_ms, 0);

	errors = tl_reader_of(result.errors);
	assert_int_equal(tl_read_array(&errors), 2);
	first = tl_read_any(&errors);
	second = tl_read_any(&errors);
	assert_int_equal(tl_reader_find_int(first, "i", -1), 3);
	assert_int_equal(tl_reader_find_int(first, "limit", -1), TL_COST_NUSD_MAX);
	assert_true(
		tl_slice_eq(tl_reader_find_str(first, "code"), tl_slice_str("amount_too_large")));
	assert_true(tl_reader_find(first, "id", &value));
	assert_int_equal(tl_read_bin(&value).bytes, 16);
	assert_false(tl_reader_find(second, "limit", &value));
	assert_false(tl_reader_find(second, "got", &value));
	assert_true(tl_reader_find(second, "id", &value));
	assert_int_equal(tl_reader_peek(&value), TL_WIRE_NIL);
}

static void
every_field_is_found_by_its_name(void **state)
{
	(void)state;
	tl_event_keys_init();
	for (enum tl_event_field field = 0; field < TL_FIELD_COUNT; field++) {
		uint8_t key[32] = {0};
		struct tl_slice name = tl_slice_str(tl_event_field_name(field));

		assert_int_equal(tl_event_field_find(name), field);
		key[0] = (uint8_t)(0xa0 + name.bytes);
		memcpy(key + 1, name.data, name.bytes);
		assert_int_equal(tl_event_key_find(key), field);
		assert_true(tl_event_key_is(&tl_event_keys[field], key));
		key[1]++;
		assert_int_equal(tl_event_key_find(key), TL_FIELD_UNKNOWN);
		assert_int_equal(tl_event_key_is(&tl_event_keys[field], key), false);
	}
	assert_int_equal(tl_event_field_find(tl_slice_str("x_")), TL_FIELD_IGNORED);
	assert_int_equal(tl_event_field_find(tl_slice_str("x")), TL_FIELD_UNKNOWN);
	assert_int_equal(tl_event_field_find(tl_slice_str("")), TL_FIELD_UNKNOWN);
}

static void
a_batch_that_does_not_fit_the_arena_fails_as_a_whole(void **state)
{
	struct tl_arena small;
	struct tl_wire_event event = full_event(1);

	(void)state;
	tl_buf_reset(&frame);
	tl_batch_put_maps(&frame, tl_slice_str("t"), tl_slice_str("b"), false, &event, 1);
	assert_int_equal(head_read(tl_buf_slice(&frame)), TL_OK);
	for (size_t bytes = 256; bytes < 4000; bytes += 64) {
		tl_arena_init(&small, bytes);
		if (tl_batch_init(&batch, &small, 1) == TL_OK &&
			tl_batch_rows_read(&head, &accept_rules, &batch, &why) == TL_OK)
			assert_int_equal(batch.row_count, 1);
		tl_arena_fini(&small);
	}
}

/* A batch cut short anywhere, or followed by a byte, is malformed in either form. */
static void
a_cut_batch_is_refused_whatever_was_read_of_it(void **state)
{
	struct tl_wire_event events[2] = {full_event(1), full_event(2)};

	(void)state;
	for (int form = 0; form < 2; form++) {
		tl_buf_reset(&frame);
		if (form == 0)
			tl_batch_put_maps(
				&frame, tl_slice_str("t"), tl_slice_str("b"), false, events, 2);
		else
			tl_batch_put_rows(
				&frame, tl_slice_str("t"), tl_slice_str("b"), false, events, 2);
		for (size_t bytes = 0; bytes < frame.bytes; bytes++) {
			uint8_t *copy = malloc(bytes + 1); /* so that a sanitizer sees its end */

			memcpy(copy, frame.data, bytes);
			assert_int_equal(
				frame_verdict(tl_slice_of(copy, bytes)), TL_EFRAME_MALFORMED);
			free(copy);
		}
		assert_int_equal(frame_verdict(tl_buf_slice(&frame)), TL_OK);
		assert_int_equal(batch.row_count, 2);
		tl_buf_put_u8(&frame, 0xc0);
		assert_int_equal(frame_verdict(tl_buf_slice(&frame)), TL_EFRAME_MALFORMED);
		assert_string_equal(why.text, "1 bytes follow the value");
	}
}

/* Damaged batches are refused or read, but never past their end. */
static void
damaged_batches_do_no_harm(void **state)
{
	struct tl_wire_event events[20];
	uint64_t seed = 20261120;

	(void)state;
	for (uint8_t i = 0; i < 20; i++)
		events[i] = full_event(i);
	for (int round = 0; round < 4000; round++) {
		enum tl_err bounds;
		struct tl_slice whole;
		enum tl_err err;
		uint8_t *copy;

		tl_buf_reset(&frame);
		if (round & 1)
			tl_batch_put_rows(
				&frame, tl_slice_str("t"), tl_slice_str("b"), false, events, 20);
		else
			tl_batch_put_maps(
				&frame, tl_slice_str("t"), tl_slice_str("b"), false, events, 20);
		whole = tl_buf_slice(&frame);
		copy = malloc(whole.bytes);
		memcpy(copy, whole.data, whole.bytes);
		for (int n = 0; n < 1 + round % 4; n++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			copy[(seed >> 33) % whole.bytes] = (uint8_t)(seed >> 20);
		}
		err = frame_verdict(tl_slice_of(copy, whole.bytes));
		bounds = tl_reader_check(tl_slice_of(copy, whole.bytes), TL_WIRE_DEPTH_MAX, NULL);
		if (bounds)
			assert_int_equal(err, bounds);
		else if (err == TL_OK)
			assert_int_equal(batch.row_count + batch.reject_count, head.event_count);
		free(copy);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wrong_event_is_refused_with_its_reason),
		cmocka_unit_test(values_at_their_limits_are_accepted),
		cmocka_unit_test(every_field_arrives_in_its_column),
		cmocka_unit_test(one_way_of_naming_the_sender_is_kept),
		cmocka_unit_test(wrong_tags_are_dropped_and_counted),
		cmocka_unit_test(the_value_of_a_link_has_one_spelling),
		cmocka_unit_test(the_same_value_under_two_ops_is_two_names),
		cmocka_unit_test(a_violation_without_a_fix_time_gets_its_severity_s),
		cmocka_unit_test(an_event_fails_alone_and_leaves_nothing_behind),
		cmocka_unit_test(a_refused_event_is_told_by_its_id),
		cmocka_unit_test(what_json_cannot_say_is_refused_too),
		cmocka_unit_test(keys_in_any_order_are_read_alike),
		cmocka_unit_test(a_bad_list_of_fields_refuses_the_batch),
		cmocka_unit_test(a_row_of_another_length_is_refused_alone),
		cmocka_unit_test(the_head_is_checked_in_order),
		cmocka_unit_test(events_that_leave_their_bounds_refuse_the_batch),
		cmocka_unit_test(a_batch_has_at_most_a_thousand_events),
		cmocka_unit_test(what_a_sender_puts_is_read_back),
		cmocka_unit_test(rows_name_only_the_fields_in_use),
		cmocka_unit_test(an_answer_is_read_back),
		cmocka_unit_test(every_field_is_found_by_its_name),
		cmocka_unit_test(a_batch_that_does_not_fit_the_arena_fails_as_a_whole),
		cmocka_unit_test(a_cut_batch_is_refused_whatever_was_read_of_it),
		cmocka_unit_test(damaged_batches_do_no_harm),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
