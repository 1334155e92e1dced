#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/value.h"
#include "tests/unit/store_golden.h"

#define GOLDEN "tests/golden/value.hex"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN_MS 1795255200000LL /* 2026-11-21T10:00:00Z */
#define ARENA_BYTES ((size_t)64 << 20)

struct place {
	struct tl_arena arena;
	struct tl_buf buf;
	struct tl_buf golden;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	tl_arena_init(&p->arena, ARENA_BYTES);
	tl_buf_init(&p->buf, 0);
	tl_buf_init(&p->golden, 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	tl_buf_fini(&p->golden);
	tl_buf_fini(&p->buf);
	tl_arena_fini(&p->arena);
	free(p);
	return 0;
}

static struct tl_pr prs[] = {{4, 7}, {4, 31}};
static struct tl_session_link links[] = {
	{.ts_ms = TEN_MS, .id = {1}, .op = TL_LINK_SET_REPO, .repo = 4},
	{.ts_ms = TEN_MS + 5, .id = {2}, .op = TL_LINK_ADD_PR, .number = 7},
	{.ts_ms = TEN_MS + 1, .id = {3}, .op = TL_LINK_ADD_COMMIT, .value = 12},
	{.ts_ms = -1, .id = {4}, .op = TL_LINK_SET_NAME, .value = UINT32_MAX},
};
static struct tl_session_event_pr event_prs[] = {{{4, 31}, 3}};
static int64_t buckets[] = {-1, 1994728, 1994731};

static struct tl_session_row
full_session(void)
{
	return (struct tl_session_row){
		.first_ms = TEN_MS,
		.last_ms = TEN_MS + 60000,
		.member = 5,
		.agent = 7,
		.totals = {{{.requests = 3, .cost_nusd = 58440000, .fix_ms = -1}}},
		.repo = 4,
		.name = 300,
		.prs = prs,
		.pr_count = COUNT(prs),
		.links = links,
		.link_count = COUNT(links),
		.event_prs = event_prs,
		.event_pr_count = COUNT(event_prs),
		.buckets = buckets,
		.bucket_count = COUNT(buckets),
	};
}

static void
check_session(const struct tl_session_row *a, const struct tl_session_row *b)
{
	assert_int_equal(a->first_ms, b->first_ms);
	assert_int_equal(a->last_ms, b->last_ms);
	assert_true(a->member == b->member && a->agent == b->agent);
	assert_true(tl_totals_eq(&a->totals, &b->totals));
	assert_true(a->repo == b->repo && a->name == b->name);
	assert_int_equal(a->pr_count, b->pr_count);
	for (uint32_t i = 0; i < a->pr_count; i++)
		assert_int_equal(tl_pr_cmp(a->prs[i], b->prs[i]), 0);
	assert_int_equal(a->link_count, b->link_count);
	for (uint32_t i = 0; i < a->link_count; i++) {
		assert_int_equal(a->links[i].ts_ms, b->links[i].ts_ms);
		assert_memory_equal(a->links[i].id, b->links[i].id, 16);
		assert_int_equal(a->links[i].op, b->links[i].op);
		assert_int_equal(a->links[i].repo, b->links[i].repo);
		assert_int_equal(a->links[i].number, b->links[i].number);
		assert_int_equal(a->links[i].value, b->links[i].value);
	}
	assert_int_equal(a->event_pr_count, b->event_pr_count);
	for (uint32_t i = 0; i < a->event_pr_count; i++) {
		assert_int_equal(tl_pr_cmp(a->event_prs[i].pr, b->event_prs[i].pr), 0);
		assert_int_equal(a->event_prs[i].event_count, b->event_prs[i].event_count);
	}
	assert_int_equal(a->bucket_count, b->bucket_count);
	for (uint32_t i = 0; i < a->bucket_count; i++)
		assert_int_equal(a->buckets[i], b->buckets[i]);
}

static void
sessions_have_their_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_session_row full = full_session();
	struct tl_session_row bare, got;

	tl_session_row_encode(&full, &p->buf);
	golden_check(GOLDEN, "session", tl_buf_slice(&p->buf));
	assert_int_equal(
		tl_session_row_decode(golden_read(GOLDEN, "session", &p->golden), &p->arena, &got),
		TL_OK);
	check_session(&got, &full);

	tl_session_row_init(&bare);
	tl_buf_reset(&p->buf);
	tl_session_row_encode(&bare, &p->buf);
	golden_check(GOLDEN, "session_bare", tl_buf_slice(&p->buf));
	assert_int_equal(tl_session_row_decode(
				 golden_read(GOLDEN, "session_bare", &p->golden), &p->arena, &got),
		TL_OK);
	check_session(&got, &bare);
	assert_int_equal(got.first_ms, INT64_MAX);
	assert_int_equal(got.last_ms, INT64_MIN);
}

static void
lives_have_their_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_life used = {.totals = {{{.requests = 1, .output_tokens = 300}}},
		.first_ms = TEN_MS,
		.last_ms = TEN_MS};
	struct tl_life unused = {.first_ms = INT64_MAX, .last_ms = INT64_MIN};
	struct tl_life got;

	tl_life_encode(&used, &p->buf);
	golden_check(GOLDEN, "life", tl_buf_slice(&p->buf));
	assert_int_equal(tl_life_decode(golden_read(GOLDEN, "life", &p->golden), &got), TL_OK);
	assert_memory_equal(&got, &used, sizeof(got));
	tl_buf_reset(&p->buf);
	tl_life_encode(&unused, &p->buf);
	golden_check(GOLDEN, "life_unused", tl_buf_slice(&p->buf));
	assert_int_equal(
		tl_life_decode(golden_read(GOLDEN, "life_unused", &p->golden), &got), TL_OK);
	assert_memory_equal(&got, &unused, sizeof(got));
}

static void
intakes_have_their_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_intake_row row = {.received = 1000,
		.accepted = 900,
		.duplicate = 50,
		.replaced = 1,
		.conflict = 2,
		.rejected = 47,
		.late = 10,
		.unpriced = 20,
		.dropped_tags = 3,
		.money_nusd = 58440000};
	struct tl_intake_row got;

	row.rejected_by[TL_EID_CONFLICT] = 2;
	row.rejected_by[TL_EFIELD_MISSING] = 47;
	tl_intake_row_encode(&row, &p->buf);
	golden_check(GOLDEN, "intake", tl_buf_slice(&p->buf));
	assert_int_equal(
		tl_intake_row_decode(golden_read(GOLDEN, "intake", &p->golden), &got), TL_OK);
	assert_memory_equal(&got, &row, sizeof(got));
}

static void
every_code_has_its_place_in_an_intake(void **state)
{
	struct place *p = *state;
	struct tl_intake_row row = {.received = -1};
	struct tl_intake_row got;

	for (int i = 0; i < TL_ERR_COUNT; i++)
		row.rejected_by[i] = i + 1;
	tl_intake_row_encode(&row, &p->buf);
	assert_int_equal(tl_intake_row_decode(tl_buf_slice(&p->buf), &got), TL_OK);
	assert_memory_equal(&got, &row, sizeof(got));
}

static void
a_code_of_another_version_counts_as_internal(void **state)
{
	struct place *p = *state;
	struct tl_intake_row got;

	tl_buf_put_u8(&p->buf, 1);
	for (int i = 0; i < 10; i++)
		tl_buf_put_zigzag(&p->buf, i);
	tl_buf_put_varint(&p->buf, 2);
	tl_buf_put_u8(&p->buf, 5);
	tl_buf_put_str(&p->buf, "later");
	tl_buf_put_zigzag(&p->buf, 4);
	tl_buf_put_u8(&p->buf, 0);
	tl_buf_put_zigzag(&p->buf, 3);
	assert_int_equal(tl_intake_row_decode(tl_buf_slice(&p->buf), &got), TL_OK);
	assert_int_equal(got.rejected_by[TL_EINTERNAL], 7);
	assert_int_equal(got.dropped_tags, 8);
}

static void
marks_have_their_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_mark mark = {.group_no = 40, .seq = 123456, .step_no = 9, .first_step_no = 5};
	struct tl_mark far = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	struct tl_mark got;

	tl_mark_encode(&mark, &p->buf);
	golden_check(GOLDEN, "mark", tl_buf_slice(&p->buf));
	assert_int_equal(tl_mark_decode(golden_read(GOLDEN, "mark", &p->golden), &got), TL_OK);
	assert_memory_equal(&got, &mark, sizeof(got));
	tl_buf_reset(&p->buf);
	tl_mark_encode(&far, &p->buf);
	assert_int_equal(tl_mark_decode(tl_buf_slice(&p->buf), &got), TL_OK);
	assert_memory_equal(&got, &far, sizeof(got));
	mark.step_no = mark.first_step_no = 0;
	assert_int_equal(tl_mark_decode(golden_read(GOLDEN, "mark_v1", &p->golden), &got), TL_OK);
	assert_memory_equal(&got, &mark, sizeof(got));
}

static void
quarantine_rows_have_their_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_quarantine_row row = {
		.times = 3, .last_ms = TEN_MS, .field = tl_slice_str("cost_nusd")};
	struct tl_quarantine_row got;

	tl_quarantine_row_encode(&row, &p->buf);
	assert_int_equal(
		tl_quarantine_row_decode(tl_buf_slice(&p->buf), &got), TL_ESTORAGE_CORRUPT);
	tl_buf_put_str(&p->buf, "block");
	golden_check(GOLDEN, "quarantine", tl_buf_slice(&p->buf));
	assert_int_equal(
		tl_quarantine_row_decode(golden_read(GOLDEN, "quarantine", &p->golden), &got),
		TL_OK);
	assert_int_equal(got.times, 3);
	assert_int_equal(got.last_ms, TEN_MS);
	assert_true(tl_slice_eq(got.field, row.field));
	assert_true(tl_slice_eq(got.block, tl_slice_str("block")));
}

/* Each decoder with the bytes of an example; the result is what any of them says. */
static enum tl_err
decode_any(struct place *p, size_t kind, struct tl_slice bytes)
{
	struct tl_session_row session;
	struct tl_life life;
	struct tl_intake_row intake;
	struct tl_mark mark;

	switch (kind) {
	case 0:
		return tl_session_row_decode(bytes, &p->arena, &session);
	case 1:
		return tl_life_decode(bytes, &life);
	case 2:
		return tl_intake_row_decode(bytes, &intake);
	default:
		return tl_mark_decode(bytes, &mark);
	}
}

static const char *const examples[] = {"session", "life", "intake", "mark"};

static void
cut_and_long_values_are_refused(void **state)
{
	struct place *p = *state;

	for (size_t kind = 0; kind < COUNT(examples); kind++) {
		struct tl_slice whole = golden_read(GOLDEN, examples[kind], &p->golden);

		for (size_t bytes = 0; bytes < whole.bytes; bytes++) {
			uint8_t *data = malloc(bytes + 1);

			memcpy(data, whole.data, bytes);
			assert_int_equal(
				decode_any(p, kind, tl_slice_of(data, bytes)), TL_ESTORAGE_CORRUPT);
			free(data);
		}
		tl_buf_put_u8(&p->golden, 0);
		assert_int_equal(
			decode_any(p, kind, tl_buf_slice(&p->golden)), TL_ESTORAGE_CORRUPT);
		p->golden.bytes--;
		p->golden.data[0]++; /* another version */
		assert_int_equal(
			decode_any(p, kind, tl_buf_slice(&p->golden)), TL_ESTORAGE_CORRUPT);
	}
}

static void
any_bytes_are_survived(void **state)
{
	struct place *p = *state;
	uint64_t seed = 21;
	uint32_t taken_count = 0;

	for (int round = 0; round < 200000; round++) {
		size_t kind = (size_t)round % COUNT(examples);
		struct tl_slice whole = {p->golden.data, p->golden.bytes};
		uint8_t *data;

		if (round < 4 || round % 64 < 4)
			whole = golden_read(GOLDEN, examples[kind], &p->golden);
		data = malloc(whole.bytes);
		memcpy(data, whole.data, whole.bytes);
		for (uint64_t i = 1 + next_random(&seed) % 3; i > 0; i--)
			data[1 + next_random(&seed) % (whole.bytes - 1)] =
				(uint8_t)next_random(&seed);
		tl_arena_reset(&p->arena);
		taken_count += decode_any(p, kind, tl_slice_of(data, whole.bytes)) == TL_OK;
		free(data);
	}
	assert_true(taken_count > 0);
}

static const struct {
	const char *name;
	size_t kind;
	const char *hex;
} damaged[] = {
	{"a measure that does not exist", 1,
		"0180808008"
		"0000"},
	{"times that are neither there nor not", 1, "010002"},
	{"a last time before the first", 1,
		"010001"
		"02"
		"ffffffffffffffffff01"},
	{"a count past the end", 2,
		"01"
		"000000000000000000"
		"05"
		"0000"},
	{"a name past the end", 2,
		"01"
		"000000000000000000"
		"01"
		"0900"},
	{"a sum of unknown codes past 63 bits", 2,
		"01"
		"000000000000000000"
		"02"
		"01"
		"78"
		"feffffffffffffffff01"
		"01"
		"79"
		"02"},
};

static void
damage_is_told(void **state)
{
	struct place *p = *state;

	for (size_t i = 0; i < COUNT(damaged); i++) {
		uint8_t data[64];
		size_t bytes = strlen(damaged[i].hex) / 2;

		assert_true(tl_unhex(tl_slice_str(damaged[i].hex), data, bytes));
		if (decode_any(p, damaged[i].kind, tl_slice_of(data, bytes)) != TL_ESTORAGE_CORRUPT)
			fail_msg("%s was taken", damaged[i].name);
	}
}

/* A session of nothing but what is taken from hex: buckets with times, and the lists at the end. */
static enum tl_err
decode_session(struct place *p, const char *times_hex, const char *lists_hex)
{
	static const uint8_t middle[] = {/* member, agent, totals, repo, name */ 0, 0, 0, 0, 0};
	const char *const hex[] = {times_hex, lists_hex};
	struct tl_session_row row;

	tl_buf_reset(&p->buf);
	tl_buf_put_u8(&p->buf, 2);
	for (size_t i = 0; i < 2; i++) {
		size_t bytes = strlen(hex[i]) / 2;
		uint8_t data[64];

		assert_true(tl_unhex(tl_slice_str(hex[i]), data, bytes));
		tl_buf_put(&p->buf, data, bytes);
		if (i == 0)
			tl_buf_put(&p->buf, middle, sizeof(middle));
	}
	return tl_session_row_decode(tl_buf_slice(&p->buf), &p->arena, &row);
}

static void
damaged_sessions_are_told(void **state)
{
	static const struct {
		const char *name, *times, *lists;
		enum tl_err err;
	} cases[] = {
		{"nothing", "0000", "000000", TL_OK},
		{"a PR number past 32 bits", "0000", "0101808080801000000000", TL_ESTORAGE_CORRUPT},
		{"a link of no kind", "0000",
			"00010000"
			"00000000000000000000000000000000"
			"00000000",
			TL_ESTORAGE_CORRUPT},
		{"a link of a kind too many", "0000",
			"00010500"
			"00000000000000000000000000000000"
			"00000000",
			TL_ESTORAGE_CORRUPT},
		{"a link", "0000",
			"00010400"
			"00000000000000000000000000000000"
			"00000000",
			TL_OK},
		{"buckets that do not rise", "02040000", "000000", TL_ESTORAGE_CORRUPT},
		{"buckets that rise", "02040100", "000000", TL_OK},
		{"more buckets than there is room for", "ffffffff0f00", "000000",
			TL_ESTORAGE_CORRUPT},
		{"a last time past what there is", "00ffffffffffffffffff0102", "000000",
			TL_ESTORAGE_CORRUPT},
		{"a request", "000102", "000000", TL_OK},
		{"more PRs than there is room for", "0000", "ffffffff0f0000", TL_ESTORAGE_CORRUPT},
	};
	struct place *p = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		if (decode_session(p, cases[i].times, cases[i].lists) != cases[i].err)
			fail_msg("%s", cases[i].name);
	}
}

static void
a_small_arena_is_told(void **state)
{
	struct place *p = *state;
	struct tl_session_row full = full_session();
	struct tl_session_row got;
	enum tl_err err = TL_ENOMEM;

	tl_session_row_encode(&full, &p->buf);
	for (size_t bytes = 16; err == TL_ENOMEM; bytes += 16) {
		struct tl_arena small;

		tl_arena_init(&small, bytes);
		err = tl_session_row_decode(tl_buf_slice(&p->buf), &small, &got);
		tl_arena_fini(&small);
	}
	assert_int_equal(err, TL_OK);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(sessions_have_their_golden_bytes),
		TEST(lives_have_their_golden_bytes),
		TEST(intakes_have_their_golden_bytes),
		TEST(every_code_has_its_place_in_an_intake),
		TEST(a_code_of_another_version_counts_as_internal),
		TEST(marks_have_their_golden_bytes),
		TEST(quarantine_rows_have_their_golden_bytes),
		TEST(cut_and_long_values_are_refused),
		TEST(any_bytes_are_survived),
		TEST(damage_is_told),
		TEST(damaged_sessions_are_told),
		TEST(a_small_arena_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
