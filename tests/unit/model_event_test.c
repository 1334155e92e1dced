#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/model/event.h"
#include "schema/model/limits.h"

#define ARENA_BYTES (64u << 20)

static struct tl_arena arena;

static int
arena_up(void **state)
{
	(void)state;
	tl_arena_init(&arena, ARENA_BYTES);
	return 0;
}

static int
arena_down(void **state)
{
	(void)state;
	tl_arena_fini(&arena);
	return 0;
}

static struct tl_batch
batch_of(uint32_t row_capacity)
{
	struct tl_batch batch;

	assert_int_equal(tl_batch_init(&batch, &arena, row_capacity), TL_OK);
	batch.row_count = row_capacity;
	return batch;
}

static const struct {
	const char *says;
	enum tl_column column;
	const char *field;
	int64_t initial;
	enum tl_name_kind name_kind;
} columns[] = {
	{"the first", TL_COL_ORG, "org", 0, 0},
	{"a row counts forwards unless said", TL_COL_SIGN, "sign", 1, 0},
	{"a session is a name", TL_COL_SESSION, "session", 0, TL_NAME_SESSION},
	{"a cost is unknown unless said", TL_COL_COST, "cost_nusd", -1, 0},
	{"a status is good unless said", TL_COL_STATUS, "status", 200, 0},
	{"a duration is not stated unless said", TL_COL_DURATION, "duration_ms", -1, 0},
	{"a rule is text", TL_COL_RULE, "rule", 0, TL_NAME_TEXT},
	{"the last stored", TL_COL_FIX_MS, "fix_ms", 0, 0},
	{"the last", TL_COL_AGENT_TYPE, "agent", 0, TL_NAME_AGENT_TYPE},
};

static void
columns_know_their_field_and_default(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		enum tl_column column = columns[i].column;

		if (strcmp(tl_column_field(column), columns[i].field) != 0 ||
			tl_column_default(column) != columns[i].initial ||
			tl_column_name_kind(column) != columns[i].name_kind)
			fail_msg("%s: %s", columns[i].says, tl_column_field(column));
	}
	assert_int_equal(TL_COL_STORED_COUNT, TL_COL_FIX_MS + 1);
}

static void
an_absent_column_reads_as_its_default(void **state)
{
	struct tl_batch batch = batch_of(4);

	(void)state;
	for (enum tl_column column = 0; column < TL_COL_COUNT; column++) {
		assert_null(batch.column[column]);
		assert_int_equal(tl_batch_get(&batch, column, 3), tl_column_default(column));
	}
}

static void
a_default_into_an_absent_column_costs_nothing(void **state)
{
	struct tl_batch batch = batch_of(4);
	size_t used_bytes = arena.used_bytes;

	(void)state;
	for (enum tl_column column = 0; column < TL_COL_COUNT; column++)
		assert_int_equal(tl_batch_set(&batch, column, 1, tl_column_default(column)), TL_OK);
	assert_int_equal(arena.used_bytes, used_bytes);
}

static void
a_stored_value_leaves_the_other_rows_at_the_default(void **state)
{
	struct tl_batch batch = batch_of(3);

	(void)state;
	for (enum tl_column column = 0; column < TL_COL_COUNT; column++) {
		assert_int_equal(tl_batch_set(&batch, column, 1, 12345), TL_OK);
		assert_non_null(batch.column[column]);
		assert_int_equal(tl_batch_get(&batch, column, 0), tl_column_default(column));
		assert_int_equal(tl_batch_get(&batch, column, 1), 12345);
		assert_int_equal(tl_batch_get(&batch, column, 2), tl_column_default(column));
		assert_int_equal(tl_batch_set(&batch, column, 1, tl_column_default(column)), TL_OK);
		assert_int_equal(tl_batch_get(&batch, column, 1), tl_column_default(column));
	}
}

static void
needing_a_column_twice_keeps_its_values(void **state)
{
	struct tl_batch batch = batch_of(2);

	(void)state;
	assert_int_equal(tl_batch_set(&batch, TL_COL_TS, 0, 5), TL_OK);
	assert_int_equal(tl_batch_need(&batch, TL_COL_TS), TL_OK);
	assert_int_equal(tl_batch_get(&batch, TL_COL_TS, 0), 5);
}

static void
a_full_arena_is_an_error_not_a_crash(void **state)
{
	struct tl_arena small;
	struct tl_batch batch;
	enum tl_err err = TL_OK;
	uint32_t symbol;
	uint32_t made = 0;

	(void)state;
	tl_arena_init(&small, 64 << 10);
	assert_int_equal(tl_batch_init(&batch, &small, 1000000), TL_ENOMEM);
	tl_arena_reset(&small);
	assert_int_equal(tl_batch_init(&batch, &small, 100), TL_OK);
	for (enum tl_column column = 0; column < TL_COL_COUNT; column++)
		assert_int_equal(tl_batch_need(&batch, column), TL_OK);
	while (err == TL_OK) {
		struct tl_slice text = tl_arena_copy(&small, tl_slice_of(&made, sizeof(made)));

		if (text.data == NULL)
			break;
		err = tl_batch_symbol(&batch, TL_NAME_MODEL, text, &symbol);
		made += err == TL_OK;
	}
	assert_int_equal(batch.symbol_count, made + 1);
	if (err)
		assert_int_equal(err, TL_ENOMEM);
	tl_arena_fini(&small);
}

static void
a_batch_of_no_rows_is_a_batch(void **state)
{
	struct tl_batch batch;
	uint32_t symbol = 0;

	(void)state;
	assert_int_equal(tl_batch_init(&batch, &arena, 0), TL_OK);
	assert_int_equal(batch.symbol_count, 0);
	assert_int_equal(tl_batch_symbol(&batch, TL_NAME_MODEL, tl_slice_str("m"), &symbol), TL_OK);
	assert_int_equal(symbol, 1);
	assert_int_equal(batch.symbol_count, 2);
}

static void
a_name_has_one_symbol(void **state)
{
	struct tl_batch batch = batch_of(1);
	uint32_t a, b, c, d, e, f;
	char copy[] = "opus";

	(void)state;
	assert_int_equal(tl_batch_symbol(&batch, TL_NAME_MODEL, tl_slice_str("opus"), &a), TL_OK);
	assert_int_equal(tl_batch_symbol(&batch, TL_NAME_MODEL, tl_slice_str(copy), &b), TL_OK);
	assert_int_equal(tl_batch_symbol(&batch, TL_NAME_MODEL, tl_slice_str("opu"), &c), TL_OK);
	assert_int_equal(tl_batch_symbol(&batch, TL_NAME_TEXT, tl_slice_str("opus"), &d), TL_OK);
	assert_int_equal(tl_batch_symbol(&batch, TL_NAME_TEXT, tl_slice_of(NULL, 0), &e), TL_OK);
	assert_int_equal(tl_batch_symbol(&batch, TL_NAME_TEXT, tl_slice_str(""), &f), TL_OK);
	assert_int_equal(a, 1);
	assert_int_equal(b, a);
	assert_int_equal(c, 2);
	assert_int_equal(d, 3);
	assert_int_equal(e, 4);
	assert_int_equal(f, e);
	assert_int_equal(batch.symbol_count, 5);
	assert_int_equal(batch.symbols[d].kind, TL_NAME_TEXT);
	assert_true(tl_slice_eq(batch.symbols[d].text, tl_slice_str("opus")));
}

static void
many_names_keep_their_symbols(void **state)
{
	enum { NAMES = 20000 };
	static char names[NAMES][16];
	struct tl_batch batch = batch_of(1);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < NAMES; i++) {
			enum tl_name_kind kind = TL_NAME_SESSION + i % 3;
			uint32_t symbol = 0;

			snprintf(names[i], sizeof(names[i]), "name-%u", i / 3);
			assert_int_equal(
				tl_batch_symbol(&batch, kind, tl_slice_str(names[i]), &symbol),
				TL_OK);
			assert_int_equal(symbol, i + 1);
			assert_int_equal(batch.symbols[symbol].kind, kind);
		}
	}
	assert_int_equal(batch.symbol_count, NAMES + 1);
}

/* A row to set, and what it counts for: cells that are not named hold their default or zero. */
struct counted {
	const char *says;
	struct {
		enum tl_column column;
		int64_t value;
	} cells[12];
	struct tl_totals totals;
};

#define CELLS_END               \
	{                       \
		TL_COL_COUNT, 0 \
	}

static const struct counted counted[] = {
	{"a request without anything is one unpriced request", {CELLS_END},
		{.requests = 1, .unpriced = 1}},
	{"a cost of zero is a price", {{TL_COL_COST, 0}, CELLS_END}, {.requests = 1}},
	{"a cost counts once", {{TL_COL_COST, 5}, CELLS_END}, {.requests = 1, .cost_nusd = 5}},
	{"a cost billed by plan counts in both",
		{{TL_COL_COST, 5}, {TL_COL_BILLING, TL_BILLING_PLAN}, CELLS_END},
		{.requests = 1, .cost_nusd = 5, .cost_plan_nusd = 5}},
	{"an unknown cost billed by plan stays unknown",
		{{TL_COL_BILLING, TL_BILLING_PLAN}, CELLS_END}, {.requests = 1, .unpriced = 1}},
	{"status 399 is no error", {{TL_COL_COST, 0}, {TL_COL_STATUS, 399}, CELLS_END},
		{.requests = 1}},
	{"status 400 is an error", {{TL_COL_COST, 0}, {TL_COL_STATUS, 400}, CELLS_END},
		{.requests = 1, .errors = 1}},
	{"status 0 is an error", {{TL_COL_COST, 0}, {TL_COL_STATUS, 0}, CELLS_END},
		{.requests = 1, .errors = 1}},
	{"status 999 is an error", {{TL_COL_COST, 0}, {TL_COL_STATUS, 999}, CELLS_END},
		{.requests = 1, .errors = 1}},
	{"status 1 is none", {{TL_COL_COST, 0}, {TL_COL_STATUS, 1}, CELLS_END}, {.requests = 1}},
	{"a duration of 0 is stated", {{TL_COL_COST, 0}, {TL_COL_DURATION, 0}, CELLS_END},
		{.requests = 1, .timed_requests = 1}},
	{"a duration counts", {{TL_COL_COST, 0}, {TL_COL_DURATION, 70}, CELLS_END},
		{.requests = 1, .timed_requests = 1, .duration_ms = 70}},
	{"each class of tokens has its own measure",
		{{TL_COL_COST, 0}, {TL_COL_INPUT, 1}, {TL_COL_CACHE_READ, 2},
			{TL_COL_CACHE_WRITE, 3}, {TL_COL_CACHE_WRITE_1H, 4}, {TL_COL_OUTPUT, 5},
			{TL_COL_REASONING, 6}, {TL_COL_SAVED_TOKENS, 7}, {TL_COL_SAVED_NUSD, 8},
			CELLS_END},
		{.requests = 1,
			.input_tokens = 1,
			.cache_read_tokens = 2,
			.cache_write_tokens = 3,
			.cache_write_1h_tokens = 4,
			.output_tokens = 5,
			.reasoning_tokens = 6,
			.saved_tokens = 7,
			.saved_nusd = 8}},
	{"a sign does not change what a row holds",
		{{TL_COL_COST, 5}, {TL_COL_SIGN, -1}, CELLS_END}, {.requests = 1, .cost_nusd = 5}},
	{"a link counts nothing",
		{{TL_COL_KIND, TL_KIND_LINK}, {TL_COL_COST, 5}, {TL_COL_INPUT, 5},
			{TL_COL_LINES_ADDED, 5}, {TL_COL_FIX_MS, 5}, CELLS_END},
		{.requests = 0}},
	{"an activity counts its measures and no request",
		{{TL_COL_KIND, TL_KIND_ACTIVITY}, {TL_COL_LINES_ADDED, 1},
			{TL_COL_LINES_REMOVED, 2}, {TL_COL_COMMITS, 3}, {TL_COL_PULL_REQUESTS, 4},
			{TL_COL_ACTIVE_MS, 5}, {TL_COL_EDITS_ACCEPTED, 6},
			{TL_COL_EDITS_REJECTED, 7}, {TL_COL_COST, 8}, {TL_COL_DURATION, 9},
			CELLS_END},
		{.lines_added = 1,
			.lines_removed = 2,
			.commits = 3,
			.pull_requests = 4,
			.active_ms = 5,
			.edits_accepted = 6,
			.edits_rejected = 7}},
	{"a violation counts its time to fix",
		{{TL_COL_KIND, TL_KIND_VIOLATION}, {TL_COL_FIX_MS, 540000}, {TL_COL_COST, 8},
			CELLS_END},
		{.violations = 1, .fix_ms = 540000}},
	{"a kind of a later version counts nothing", {{TL_COL_KIND, 9}, CELLS_END},
		{.requests = 0}},
};

static void
a_row_counts_for_what_its_kind_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
		struct tl_batch batch = batch_of(2);
		struct tl_totals totals;

		memset(&totals, 0x55, sizeof(totals));
		for (size_t k = 0; counted[i].cells[k].column != TL_COL_COUNT; k++)
			assert_int_equal(tl_batch_set(&batch, counted[i].cells[k].column, 1,
						 counted[i].cells[k].value),
				TL_OK);
		tl_event_totals(&batch, 1, &totals);
		if (!tl_totals_eq(&totals, &counted[i].totals))
			fail_msg("%s", counted[i].says);
		assert_int_equal(tl_event_totals_add(&batch, 1, 1, &totals), TL_OK);
		assert_int_equal(tl_event_totals_add(&batch, 1, -1, &totals), TL_OK);
		if (!tl_totals_eq(&totals, &counted[i].totals))
			fail_msg("%s, added and taken back", counted[i].says);
	}
}

static void
a_sum_past_63_bits_is_seen_in_both_directions(void **state)
{
	struct tl_batch batch = batch_of(1);
	struct tl_totals sum = {0};

	(void)state;
	assert_int_equal(tl_batch_set(&batch, TL_COL_COST, 0, 2), TL_OK);
	sum.cost_nusd = INT64_MAX - 2;
	assert_int_equal(tl_event_totals_add(&batch, 0, 1, &sum), TL_OK);
	assert_int_equal(sum.cost_nusd, INT64_MAX);
	assert_int_equal(tl_event_totals_add(&batch, 0, 1, &sum), TL_EAMOUNT_OVERFLOW);
	sum.cost_nusd = INT64_MIN + 1;
	assert_int_equal(tl_event_totals_add(&batch, 0, -1, &sum), TL_EAMOUNT_OVERFLOW);
}

static void
rows_differ_in_any_content_and_in_nothing_else(void **state)
{
	(void)state;
	for (enum tl_column column = 0; column < TL_COL_COUNT; column++) {
		bool content = column < TL_COL_STORED_COUNT && column != TL_COL_ORG &&
			       column != TL_COL_SIGN && column != TL_COL_REV;
		enum tl_column wanted = content ? column : TL_COL_COUNT;
		struct tl_batch a = batch_of(2);
		struct tl_batch b = batch_of(3);

		assert_int_equal(tl_batch_set(&a, column, 1, 4242), TL_OK);
		assert_int_equal(tl_event_differs(&a, 1, &b, 2), wanted);
		assert_int_equal(tl_event_differs(&b, 2, &a, 1), wanted);
		assert_int_equal(tl_event_differs(&a, 0, &b, 2), TL_COL_COUNT);
		assert_int_equal(tl_event_differs(&a, 1, &a, 1), TL_COL_COUNT);
		assert_int_equal(tl_batch_set(&b, column, 2, 4242), TL_OK);
		assert_int_equal(tl_event_differs(&a, 1, &b, 2), TL_COL_COUNT);
	}
}

static void
the_first_column_that_differs_is_named(void **state)
{
	struct tl_batch a = batch_of(1);
	struct tl_batch b = batch_of(1);

	(void)state;
	assert_int_equal(tl_batch_set(&a, TL_COL_FIX_MS, 0, 1), TL_OK);
	assert_int_equal(tl_batch_set(&a, TL_COL_COST, 0, 1), TL_OK);
	assert_int_equal(tl_batch_set(&b, TL_COL_TS, 0, 1), TL_OK);
	assert_int_equal(tl_event_differs(&a, 0, &b, 0), TL_COL_TS);
}

static const struct {
	const char *says;
	int64_t ts_ms;
	int64_t received_ms;
	int64_t time_ms;
} arrivals[] = {
	{"a stamp behind the clock counts at its stamp", 1000, 2000, 1000},
	{"a stamp ahead of the clock counts at arrival", 2000, 1000, 1000},
	{"both at once", 1000, 1000, 1000},
};

static void
no_event_counts_later_than_it_came(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(arrivals) / sizeof(arrivals[0]); i++) {
		if (tl_event_time(arrivals[i].ts_ms, arrivals[i].received_ms) !=
			arrivals[i].time_ms)
			fail_msg("%s", arrivals[i].says);
	}
}

static const struct {
	const char *says;
	const char *text;
	bool good;
} text_ids[] = {
	{"a UUID", "7f1c2a34-9b1e-4d5c-8a57-0b7f6f1e2d3c", true},
	{"eight bytes", "abcdefgh", true},
	{"seven bytes", "abcdefg", false},
	{"nothing", "", false},
	{"64 bytes", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true},
	{"65 bytes", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefg", false},
	{"the UUID of zeros", "00000000-0000-0000-0000-000000000000", false},
	{"the UUID of ones", "ffffffff-ffff-ffff-ffff-ffffffffffff", false},
	{"in upper case too", "FFFFFFFFFFFFFFFF", false},
	{"zeros and a one", "00000000-0000-0000-0000-000000000001", true},
	{"zeros and ones mixed", "00ff00ff00ff00ff", true},
	{"eight zeros", "00000000", false},
	{"undefined", "undefined", false},
	{"Undefined", "Undefined", false},
	{"a template of nothing", "undefined-undefined", false},
	{"null twice", "null:null", false},
	{"null without a separator", "nullnull", false},
	{"an object's text", "[object Object]", false},
	{"None in a list", "(None, None)", false},
	{"spaces", "            ", false},
	{"hyphens", "--------", false},
	{"null and a number", "null-1234", true},
	{"a word that begins like a hollow one", "nullable", true},
	{"a message of a model", "msg_01XFDUDYJgAACzvnptvVoYEL", true},
	{"letters outside ASCII", "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", true},
};

static void
hollow_text_is_no_id(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(text_ids) / sizeof(text_ids[0]); i++) {
		uint8_t id[16] = {0};
		uint8_t untouched[16] = {0};
		bool good = tl_event_id_from_text(tl_slice_str(text_ids[i].text), id);

		if (good != text_ids[i].good || (memcmp(id, untouched, 16) != 0) != good)
			fail_msg("%s: %d", text_ids[i].says, good);
	}
}

static void
a_text_id_is_half_a_digest_in_its_own_domain(void **state)
{
	static const char data[] = "tally-id\0request-0001";
	uint8_t digest[32];
	uint8_t id[16];

	(void)state;
	tl_sha256(tl_slice_of(data, sizeof(data) - 1), digest);
	assert_true(tl_event_id_from_text(tl_slice_str("request-0001"), id));
	assert_memory_equal(id, digest, 16);
}

static const struct {
	const char *says;
	uint8_t bytes[16];
	bool good;
} byte_ids[] = {
	{"all zeros", {0}, false},
	{"all ones",
		{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
		false},
	{"one bit short of all ones",
		{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 254},
		true},
	{"a small number, the low byte last", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		true},
	{"a small number, the low byte first", {'-'}, true},
	{"the digit zero alone", {'0'}, true},
	{"undefined, padded with zeros", "undefined", false},
	{"null, padded with spaces", "null            ", false},
	{"None", "None", false},
	{"sixteen digits zero", {"0000000000000000"}, false},
	{"sixteen letters", {"abcdefghijklmnop"}, true},
	{"a UUID in bytes",
		{0x7f, 0x1c, 0x2a, 0x34, 0x9b, 0x1e, 0x4d, 0x5c, 0x8a, 0x57, 0x0b, 0x7f, 0x6f, 0x1e,
			0x2d, 0x3c},
		true},
};

static void
hollow_bytes_are_no_id(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(byte_ids) / sizeof(byte_ids[0]); i++) {
		uint8_t id[16] = {0xaa};
		bool good = tl_event_id_from_bytes(byte_ids[i].bytes, id);

		if (good != byte_ids[i].good || (good && memcmp(id, byte_ids[i].bytes, 16) != 0) ||
			(!good && id[0] != 0xaa))
			fail_msg("%s: %d", byte_ids[i].says, good);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_know_their_field_and_default),
		cmocka_unit_test(an_absent_column_reads_as_its_default),
		cmocka_unit_test(a_default_into_an_absent_column_costs_nothing),
		cmocka_unit_test(a_stored_value_leaves_the_other_rows_at_the_default),
		cmocka_unit_test(needing_a_column_twice_keeps_its_values),
		cmocka_unit_test(a_full_arena_is_an_error_not_a_crash),
		cmocka_unit_test(a_batch_of_no_rows_is_a_batch),
		cmocka_unit_test(a_name_has_one_symbol),
		cmocka_unit_test(many_names_keep_their_symbols),
		cmocka_unit_test(a_row_counts_for_what_its_kind_says),
		cmocka_unit_test(a_sum_past_63_bits_is_seen_in_both_directions),
		cmocka_unit_test(rows_differ_in_any_content_and_in_nothing_else),
		cmocka_unit_test(the_first_column_that_differs_is_named),
		cmocka_unit_test(no_event_counts_later_than_it_came),
		cmocka_unit_test(hollow_text_is_no_id),
		cmocka_unit_test(a_text_id_is_half_a_digest_in_its_own_domain),
		cmocka_unit_test(hollow_bytes_are_no_id),
	};

	if (tl_crypt_init())
		return 1;
	return cmocka_run_group_tests(tests, arena_up, arena_down);
}
