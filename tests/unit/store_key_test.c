#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/key.h"
#include "tests/unit/store_golden.h"

#define GOLDEN "tests/golden/key.hex"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN_MS 1795255200000LL /* 2026-11-21T10:00:00Z */

static struct tl_key
long_name_key(uint32_t org)
{
	uint8_t name[129];

	memset(name, 'a', sizeof(name));
	return tl_key_dict_name(org, TL_NAME_BRANCH, tl_slice_of(name, sizeof(name)));
}

static struct {
	const char *name; /* in the golden file */
	enum tl_family family;
	struct tl_key key;
	const char *printed;
} goldens[24];
static size_t golden_count;

static void
add_golden(const char *name, enum tl_family family, struct tl_key key, const char *printed)
{
	assert_true(golden_count < COUNT(goldens));
	goldens[golden_count].name = name;
	goldens[golden_count].family = family;
	goldens[golden_count].key = key;
	goldens[golden_count].printed = printed;
	golden_count++;
}

static struct tl_key
page_key(enum tl_span span, int64_t bucket_ms, uint32_t part)
{
	return tl_key_page(&(struct tl_page_place){1, span, bucket_ms, part});
}

static int
make_goldens(void **state)
{
	static const uint8_t event_id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

	(void)state;
	add_golden("journal", TL_FAMILY_JOURNAL, tl_key_journal(7), "group=7");
	add_golden("cell_1h", TL_FAMILY_CELL_1H, page_key(TL_SPAN_1H, TEN_MS, 3),
		"org=1 bucket=2026-11-21T10:00:00.000Z part=3");
	add_golden("cell_1d", TL_FAMILY_CELL_1D, page_key(TL_SPAN_1D, TEN_MS, 0),
		"org=1 bucket=2026-11-21T00:00:00.000Z part=0");
	add_golden("cell_before_1970", TL_FAMILY_CELL_1D, page_key(TL_SPAN_1D, -1, 0),
		"org=1 bucket=1969-12-31T00:00:00.000Z part=0");
	add_golden("session", TL_FAMILY_SESSION, tl_key_session(1, 258), "org=1 session=258");
	add_golden("life", TL_FAMILY_LIFE, tl_key_life(1, TL_DIM_MEMBER, 3), "org=1 member=3");
	add_golden("intake", TL_FAMILY_INTAKE, tl_key_intake(1, TEN_MS, 9),
		"org=1 day=2026-11-21 source=9");
	add_golden("quarantine", TL_FAMILY_QUARANTINE, tl_key_quarantine(1, event_id),
		"org=1 id=000102030405060708090a0b0c0d0e0f");
	add_golden("registry", TL_FAMILY_REGISTRY, tl_key_registry(1, 4, 5), "org=1 record=4 no=5");
	add_golden("dict_name", TL_FAMILY_DICT,
		tl_key_dict_name(1, TL_NAME_MODEL, tl_slice_str("gpt \"5\"")),
		"org=1 kind=2 name=\"gpt \\x225\\x22\"");
	add_golden("dict_name_long", TL_FAMILY_DICT, long_name_key(1),
		"org=1 kind=5 sha256="
		"c12cb024a2e5551cca0e08fce8f1c5e314555cc3fef6329ee994a3db752166ae");
	add_golden("dict_name_uuid", TL_FAMILY_DICT,
		tl_key_dict_name(
			1, TL_NAME_SESSION, tl_slice_str("00112233-4455-6677-8899-aabbccddeeff")),
		"org=1 kind=1 name=\"00112233-4455-6677-8899-aabbccddeeff\"");
	add_golden("dict_id", TL_FAMILY_DICT, tl_key_dict_id(1, TL_NAME_MODEL, 6),
		"org=1 kind=2 first_id=6");
	add_golden("mark", TL_FAMILY_MARK, tl_key_mark("rollup"), "mark=rollup");
	add_golden("org", TL_FAMILY_JOURNAL, tl_key_org(1), "key=00000001");
	add_golden("org_end", TL_FAMILY_JOURNAL, tl_key_org_end(1), "key=00000002");
	return 0;
}

static void
keys_have_their_golden_bytes(void **state)
{
	struct tl_key block = tl_key_block(7, 3);
	struct tl_key run = tl_key_run(7), chunk = tl_key_chunk(7, 3);

	(void)state;
	golden_check(GOLDEN, "block", tl_key_slice(&block));
	golden_check(GOLDEN, "run", tl_key_slice(&run));
	golden_check(GOLDEN, "chunk", tl_key_slice(&chunk));
	for (size_t i = 0; i < golden_count; i++)
		golden_check(GOLDEN, goldens[i].name, tl_key_slice(&goldens[i].key));
}

static void
a_key_prints_as_text(void **state)
{
	struct tl_buf text;

	(void)state;
	tl_buf_init(&text, 0);
	for (size_t i = 0; i < golden_count; i++) {
		tl_buf_reset(&text);
		tl_key_print(goldens[i].family, tl_key_slice(&goldens[i].key), &text);
		tl_buf_put_u8(&text, 0);
		assert_int_equal(text.err, TL_OK);
		assert_string_equal((char *)text.data, goldens[i].printed);
	}
	tl_buf_fini(&text);
}

static void
each_dimension_prints_by_its_name(void **state)
{
	static const char *const printed[] = {"org=1 org=3", "org=1 member=3", "org=1 agent=3",
		"org=1 model=3", "org=1 repo=3", "org=1 pr=3", "org=1 session=3"};
	struct tl_buf text;

	(void)state;
	tl_buf_init(&text, 0);
	for (size_t dim = 0; dim <= TL_DIM_SESSION; dim++) {
		struct tl_key key = tl_key_life(1, (enum tl_dim)dim, 3);

		tl_buf_reset(&text);
		tl_key_print(TL_FAMILY_LIFE, tl_key_slice(&key), &text);
		tl_buf_put_u8(&text, 0);
		assert_string_equal((char *)text.data, printed[dim]);
	}
	tl_buf_fini(&text);
}

static void
long_text_prints_cut(void **state)
{
	uint8_t bytes[300];
	struct tl_buf text;

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	tl_buf_init(&text, 0);
	tl_key_print(TL_FAMILY_MARK, tl_slice_of(bytes, sizeof(bytes)), &text);
	assert_int_equal(text.bytes, 5 + 200 + 3);
	tl_buf_fini(&text);
}

static void
foreign_bytes_print_as_hex(void **state)
{
	static const uint8_t bytes[] = {0, 0, 0, 1, 'z', 0xfe, 9};
	struct tl_buf text;

	(void)state;
	tl_buf_init(&text, 0);
	for (size_t i = 0; i < TL_FAMILY_COUNT; i++) {
		if (i == TL_FAMILY_MARK)
			continue;
		tl_buf_reset(&text);
		tl_key_print((enum tl_family)i, tl_slice_of(bytes, sizeof(bytes)), &text);
		tl_buf_put_u8(&text, 0);
		assert_string_equal((char *)text.data, "key=000000017afe09");
	}
	tl_buf_reset(&text);
	tl_key_print(TL_FAMILY_MARK, tl_slice_of(bytes, sizeof(bytes)), &text);
	tl_buf_put_u8(&text, 0);
	assert_string_equal((char *)text.data, "mark=\\x00\\x00\\x00\\x01z\\xfe\\x09");
	tl_buf_fini(&text);
}

/* No length of any bytes makes a print or a parse read past them; the sanitizer watches. */
static void
a_cut_key_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < golden_count; i++) {
		for (size_t bytes = 0; bytes < goldens[i].key.bytes; bytes++) {
			uint8_t *cut = malloc(bytes + 1);
			struct tl_slice key = tl_slice_of(cut, bytes);
			struct tl_buf text;
			enum tl_dim dim;
			uint64_t u64;
			uint32_t u32;
			uint16_t u16;
			uint8_t u8;
			int64_t ms;
			struct tl_page_place place;

			memcpy(cut, goldens[i].key.data, bytes);
			tl_buf_init(&text, 0);
			tl_key_print(goldens[i].family, key, &text);
			tl_buf_fini(&text);
			assert_true(tl_key_journal_parse(key, &u64) == (bytes == 8));
			assert_true(tl_key_block_parse(key, &u64, &u16) == (bytes == 10));
			assert_true(tl_key_session_parse(key, &u32, &u32) == (bytes == 8));
			assert_true(tl_key_registry_parse(key, &u32, &u8, &u32) == (bytes == 9));
			if (bytes != 9)
				assert_false(tl_key_life_parse(key, &u32, &dim, &u32));
			if (bytes != 16)
				assert_false(tl_key_page_parse(key, TL_SPAN_1H, &place));
			if (bytes != 16)
				assert_false(tl_key_intake_parse(key, &u32, &ms, &u32));
			free(cut);
		}
	}
}

static void
a_key_parses_back(void **state)
{
	struct tl_key key;
	enum tl_dim dim = TL_DIM_ORG;
	uint64_t group_no = 0;
	uint32_t a = 0, b = 0;
	uint16_t block_no = 0;
	uint8_t kind = 0;
	int64_t ms = 0;
	struct tl_page_place place;

	(void)state;
	key = tl_key_journal(UINT64_MAX);
	assert_true(tl_key_journal_parse(tl_key_slice(&key), &group_no));
	assert_int_equal(group_no, UINT64_MAX);
	key = tl_key_run(1234567890123);
	assert_true(tl_key_run_parse(tl_key_slice(&key), &group_no));
	assert_true(group_no == 1234567890123);
	key = tl_key_chunk(1234567890124, 65535);
	assert_true(tl_key_chunk_parse(tl_key_slice(&key), &group_no, &block_no));
	assert_true(group_no == 1234567890124 && block_no == 65535);
	key = tl_key_block(1234567890123, 65535);
	assert_true(tl_key_block_parse(tl_key_slice(&key), &group_no, &block_no));
	assert_true(group_no == 1234567890123 && block_no == 65535);
	place = (struct tl_page_place){UINT32_MAX, TL_SPAN_1H, -TL_HOUR_MS, 77};
	key = tl_key_page(&place);
	place = (struct tl_page_place){.org = 0};
	assert_true(tl_key_page_parse(tl_key_slice(&key), TL_SPAN_1H, &place));
	assert_true(place.org == UINT32_MAX && place.span == TL_SPAN_1H);
	assert_true(place.bucket_ms == -TL_HOUR_MS && place.part == 77);
	key = tl_key_session(3, 4);
	assert_true(tl_key_session_parse(tl_key_slice(&key), &a, &b));
	assert_true(a == 3 && b == 4);
	key = tl_key_life(5, TL_DIM_AGENT, 6);
	assert_true(tl_key_life_parse(tl_key_slice(&key), &a, &dim, &b));
	assert_true(a == 5 && dim == TL_DIM_AGENT && b == 6);
	key = tl_key_intake(7, TEN_MS, 8);
	assert_true(tl_key_intake_parse(tl_key_slice(&key), &a, &ms, &b));
	assert_true(a == 7 && ms == tl_bucket_floor(TL_SPAN_1D, TEN_MS) && b == 8);
	key = tl_key_registry(0, 9, 10);
	assert_true(tl_key_registry_parse(tl_key_slice(&key), &a, &kind, &b));
	assert_true(a == 0 && kind == 9 && b == 10);
}

static void
a_bucket_that_no_time_has_is_refused(void **state)
{
	static const uint8_t first[16] = {0, 0, 0, 1, 0};
	static const uint8_t last[16] = {
		0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
	struct tl_page_place place = {.org = 77};

	(void)state;
	assert_false(tl_key_page_parse(tl_slice_of(first, 16), TL_SPAN_1H, &place));
	assert_false(tl_key_page_parse(tl_slice_of(last, 16), TL_SPAN_1H, &place));
	assert_int_equal(place.org, 77);
}

static void
an_unknown_dimension_is_refused(void **state)
{
	struct tl_key key = tl_key_life(1, TL_DIM_SESSION, 2);
	enum tl_dim dim;
	uint32_t org, entity;

	(void)state;
	assert_true(tl_key_life_parse(tl_key_slice(&key), &org, &dim, &entity));
	key.data[4] = TL_DIM_SESSION + 1;
	assert_false(tl_key_life_parse(tl_key_slice(&key), &org, &dim, &entity));
}

static int
sign(int64_t value)
{
	return (value > 0) - (value < 0);
}

static void
keys_sort_as_their_tuples(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t org_a = (uint32_t)(next_random(&seed) % 3);
		uint32_t org_b = (uint32_t)(next_random(&seed) % 3);
		int64_t no_a = (int64_t)(next_random(&seed) % 1000) - 500;
		int64_t no_b = (int64_t)(next_random(&seed) % 1000) - 500;
		uint32_t part_a = (uint32_t)(next_random(&seed) % 3);
		uint32_t part_b = (uint32_t)(next_random(&seed) % 3);
		struct tl_key a = tl_key_page(
			&(struct tl_page_place){org_a, TL_SPAN_1H, no_a * TL_HOUR_MS, part_a});
		struct tl_key b = tl_key_page(
			&(struct tl_page_place){org_b, TL_SPAN_1H, no_b * TL_HOUR_MS, part_b});
		struct tl_key cell = tl_key_cell(org_b, TL_SPAN_1H, no_b * TL_HOUR_MS);
		int cell_order = org_a != org_b ? sign((int64_t)org_a - org_b) : sign(no_a - no_b);
		int order = cell_order != 0 ? cell_order : sign((int64_t)part_a - part_b);

		assert_int_equal(sign(tl_slice_cmp(tl_key_slice(&a), tl_key_slice(&b))), order);
		assert_int_equal(sign(tl_slice_cmp(tl_key_slice(&a), tl_key_slice(&cell))),
			cell_order != 0 ? cell_order : 1);
	}
}

static void
an_orgs_keys_lie_between_its_prefix_and_its_end(void **state)
{
	struct tl_key first = tl_key_org(255);
	struct tl_key end = tl_key_org_end(255);
	struct tl_key inside = tl_key_session(255, UINT32_MAX);
	struct tl_key after = tl_key_session(256, 0);
	struct tl_key last = tl_key_org_end(UINT32_MAX);

	(void)state;
	assert_true(tl_slice_cmp(tl_key_slice(&first), tl_key_slice(&inside)) < 0);
	assert_true(tl_slice_cmp(tl_key_slice(&inside), tl_key_slice(&end)) < 0);
	assert_true(tl_slice_cmp(tl_key_slice(&end), tl_key_slice(&after)) <= 0);
	assert_int_equal(last.bytes, 0);
}

static void
a_name_cannot_pass_for_anothers_digest(void **state)
{
	uint8_t name[129];
	struct tl_key at_limit, past_limit, posing;

	(void)state;
	memset(name, 'a', sizeof(name));
	at_limit = tl_key_dict_name(1, TL_NAME_TEXT, tl_slice_of(name, 128));
	assert_int_equal(at_limit.bytes, 6 + 128);
	past_limit = tl_key_dict_name(1, TL_NAME_TEXT, tl_slice_of(name, 129));
	assert_int_equal(past_limit.bytes, 6 + 33);
	/* The 33 bytes that stand for the long name, used as a name. */
	posing = tl_key_dict_name(1, TL_NAME_TEXT, tl_slice_of(past_limit.data + 6, 33));
	assert_int_equal(posing.bytes, 6 + 33);
	assert_false(tl_slice_eq(tl_key_slice(&past_limit), tl_key_slice(&posing)));
}

static void
a_name_cannot_pass_for_a_uuid(void **state)
{
	struct tl_key uuid, posing, upper;

	(void)state;
	uuid = tl_key_dict_name(
		1, TL_NAME_TEXT, tl_slice_str("00112233-4455-6677-8899-aabbccddeeff"));
	assert_int_equal(uuid.bytes, 6 + 17);
	posing = tl_key_dict_name(1, TL_NAME_TEXT, tl_slice_of(uuid.data + 6, 17));
	assert_int_equal(posing.bytes, 6 + 33);
	/* Another spelling is another name. */
	upper = tl_key_dict_name(
		1, TL_NAME_TEXT, tl_slice_str("00112233-4455-6677-8899-AABBCCDDEEFF"));
	assert_int_equal(upper.bytes, 6 + 36);
}

static void
hours_and_days_have_their_family(void **state)
{
	(void)state;
	assert_int_equal(tl_cell_family(TL_SPAN_1H), TL_FAMILY_CELL_1H);
	assert_int_equal(tl_cell_family(TL_SPAN_1D), TL_FAMILY_CELL_1D);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_have_their_golden_bytes),
		cmocka_unit_test(a_key_prints_as_text),
		cmocka_unit_test(each_dimension_prints_by_its_name),
		cmocka_unit_test(long_text_prints_cut),
		cmocka_unit_test(foreign_bytes_print_as_hex),
		cmocka_unit_test(a_cut_key_is_refused),
		cmocka_unit_test(a_key_parses_back),
		cmocka_unit_test(a_bucket_that_no_time_has_is_refused),
		cmocka_unit_test(an_unknown_dimension_is_refused),
		cmocka_unit_test(keys_sort_as_their_tuples),
		cmocka_unit_test(an_orgs_keys_lie_between_its_prefix_and_its_end),
		cmocka_unit_test(a_name_cannot_pass_for_anothers_digest),
		cmocka_unit_test(a_name_cannot_pass_for_a_uuid),
		cmocka_unit_test(hours_and_days_have_their_family),
	};

	return cmocka_run_group_tests(tests, make_goldens, NULL);
}
