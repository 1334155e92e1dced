#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/model/bucket.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "tests/unit/store_golden.h"
#include "tests/unit/store_scratch.h"

#define GOLDEN "tests/golden/journal.hex"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DAY_MS 1795219200000LL /* 2026-11-21 */
#define ARENA_BYTES ((size_t)64 << 20)

static struct tl_journal_block blocks[] = {
	{.day_ms = DAY_MS - TL_DAY_MS, .block_no = 0, .row_count = 12, .cost_nusd = 250},
	{.day_ms = DAY_MS, .block_no = 1, .row_count = 988, .cost_nusd = -3},
};

static struct tl_journal_row
example(uint64_t group_no)
{
	return (struct tl_journal_row){
		.group_no = group_no,
		.epoch = 0x1122334455667788,
		.seq_first = 1000 * group_no,
		.seq_last = 1000 * group_no + 999,
		.received_ms = DAY_MS + 36000000,
		.cost_nusd = 247,
		.blocks = blocks,
		.block_count = COUNT(blocks),
	};
}

static void
check_row(const struct tl_journal_row *a, const struct tl_journal_row *b)
{
	assert_int_equal(a->group_no, b->group_no);
	assert_true(a->epoch == b->epoch);
	assert_true(a->seq_first == b->seq_first && a->seq_last == b->seq_last);
	assert_int_equal(a->received_ms, b->received_ms);
	assert_int_equal(a->cost_nusd, b->cost_nusd);
	assert_int_equal(a->block_count, b->block_count);
	for (uint32_t i = 0; i < a->block_count; i++) {
		assert_int_equal(a->blocks[i].day_ms, b->blocks[i].day_ms);
		assert_int_equal(a->blocks[i].block_no, b->blocks[i].block_no);
		assert_int_equal(a->blocks[i].row_count, b->blocks[i].row_count);
		assert_int_equal(a->blocks[i].cost_nusd, b->blocks[i].cost_nusd);
	}
	assert_true(a->chain == b->chain);
}

static void
rows_have_their_golden_bytes(void **state)
{
	struct tl_journal_row first = example(1);
	struct tl_journal_row second = example(2);
	struct tl_journal_row got;
	struct tl_arena arena;
	struct tl_buf buf;

	(void)state;
	tl_arena_init(&arena, ARENA_BYTES);
	tl_buf_init(&buf, 0);
	tl_journal_encode(&first, 0, &buf);
	golden_check(GOLDEN, "first", tl_buf_slice(&buf));
	assert_int_equal(
		tl_journal_decode(1, golden_read(GOLDEN, "first", &buf), &arena, &got), TL_OK);
	check_row(&got, &first);
	assert_true(tl_journal_chained(&got, 0));

	/* A group of commands only: no rows, no blocks. */
	second.seq_last = second.seq_first - 1;
	second.block_count = 0;
	tl_buf_reset(&buf);
	tl_journal_encode(&second, first.chain, &buf);
	golden_check(GOLDEN, "second", tl_buf_slice(&buf));
	assert_int_equal(
		tl_journal_decode(2, golden_read(GOLDEN, "second", &buf), &arena, &got), TL_OK);
	check_row(&got, &second);
	assert_true(tl_journal_chained(&got, first.chain));
	assert_false(tl_journal_chained(&got, 0));
	tl_buf_fini(&buf);
	tl_arena_fini(&arena);
}

static void
a_row_of_another_group_is_refused(void **state)
{
	struct tl_journal_row row = example(1);
	struct tl_journal_row got;
	struct tl_arena arena;
	struct tl_buf buf;

	(void)state;
	tl_arena_init(&arena, ARENA_BYTES);
	tl_buf_init(&buf, 0);
	tl_journal_encode(&row, 0, &buf);
	assert_int_equal(
		tl_journal_decode(2, tl_buf_slice(&buf), &arena, &got), TL_ESTORAGE_CORRUPT);
	tl_buf_fini(&buf);
	tl_arena_fini(&arena);
}

/* The chain covers every byte, so a row that decodes is still not chained. */
static void
every_flipped_bit_breaks_the_chain(void **state)
{
	struct tl_journal_row row = example(1);
	struct tl_journal_row got;
	struct tl_arena arena;
	struct tl_buf buf;

	(void)state;
	tl_arena_init(&arena, ARENA_BYTES);
	tl_buf_init(&buf, 0);
	tl_journal_encode(&row, 7, &buf);
	for (size_t bit = 0; bit < buf.bytes * 8; bit++) {
		buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (tl_journal_decode(1, tl_buf_slice(&buf), &arena, &got) == TL_OK)
			assert_false(tl_journal_chained(&got, 7));
		buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bytes = 0; bytes < buf.bytes; bytes++)
		assert_int_equal(tl_journal_decode(1, tl_slice_of(buf.data, bytes), &arena, &got),
			TL_ESTORAGE_CORRUPT);
	tl_buf_put_u8(&buf, 0);
	assert_int_equal(
		tl_journal_decode(1, tl_buf_slice(&buf), &arena, &got), TL_ESTORAGE_CORRUPT);
	tl_buf_fini(&buf);
	tl_arena_fini(&arena);
}

static void
any_bytes_are_survived(void **state)
{
	struct tl_journal_row row = example(1);
	struct tl_journal_row got;
	struct tl_arena arena;
	struct tl_buf buf;
	uint64_t seed = 31;

	(void)state;
	tl_arena_init(&arena, (size_t)1 << 16);
	tl_buf_init(&buf, 0);
	tl_journal_encode(&row, 7, &buf);
	for (int round = 0; round < 100000; round++) {
		size_t bytes = 1 + next_random(&seed) % buf.bytes;
		uint8_t *data = malloc(bytes);

		memcpy(data, buf.data, bytes);
		for (uint64_t i = next_random(&seed) % 4; i > 0; i--)
			data[next_random(&seed) % bytes] = (uint8_t)next_random(&seed);
		tl_arena_reset(&arena);
		if (tl_journal_decode(1, tl_slice_of(data, bytes), &arena, &got) == TL_OK)
			assert_true(got.block_count == 0 || got.blocks != NULL);
		free(data);
	}
	tl_buf_fini(&buf);
	tl_arena_fini(&arena);
}

/* Rows first to last, chained, as the writer would put them. */
static void
put_rows(struct scratch *s, uint64_t first, uint64_t last, uint64_t chain)
{
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	for (uint64_t no = first; no <= last; no++) {
		struct tl_key key = tl_key_journal(no);
		struct tl_journal_row row = example(no);

		tl_buf_reset(&s->buf);
		tl_journal_encode(&row, chain, &s->buf);
		chain = row.chain;
		tl_write_put(write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&s->buf));
	}
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

static void
delete_row(struct scratch *s, uint64_t group_no)
{
	struct tl_key key = tl_key_journal(group_no);
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_delete(write, TL_FAMILY_JOURNAL, tl_key_slice(&key));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

struct visits {
	uint64_t first, last;
	uint64_t count;
	uint64_t stop_at; /* 0: never */
	enum tl_err stop_with;
};

static enum tl_err
visit(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct visits *visits = arg;

	(void)why;
	if (visits->count == 0)
		visits->first = row->group_no;
	visits->last = row->group_no;
	visits->count++;
	assert_int_equal(row->block_count, 2);
	assert_int_equal(row->blocks[1].row_count, 988);
	return row->group_no == visits->stop_at ? visits->stop_with : TL_OK;
}

static enum tl_err
walk(struct scratch *s, uint64_t from, struct visits *visits)
{
	*visits = (struct visits){.stop_at = visits->stop_at, .stop_with = visits->stop_with};
	return tl_journal_walk(s->store, from, visit, visits, &s->why);
}

static void
an_empty_journal_has_no_last_row_and_nothing_to_walk(void **state)
{
	struct scratch *s = *state;
	struct visits visits = {0};
	struct tl_journal_row row;
	struct tl_arena arena;

	tl_arena_init(&arena, ARENA_BYTES);
	assert_int_equal(tl_journal_last(s->store, &arena, &row, &s->why), TL_ENOT_FOUND);
	assert_int_equal(walk(s, 1, &visits), TL_OK);
	assert_int_equal(walk(s, 9, &visits), TL_OK);
	assert_int_equal(visits.count, 0);
	tl_arena_fini(&arena);
}

static void
a_walk_sees_every_row_from_its_start(void **state)
{
	struct scratch *s = *state;
	struct visits visits = {0};
	struct tl_journal_row row;
	struct tl_arena arena;

	put_rows(s, 1, 300, 0);
	assert_int_equal(walk(s, 1, &visits), TL_OK);
	assert_true(visits.first == 1 && visits.last == 300 && visits.count == 300);
	assert_int_equal(walk(s, 250, &visits), TL_OK);
	assert_true(visits.first == 250 && visits.last == 300 && visits.count == 51);
	assert_int_equal(walk(s, 301, &visits), TL_OK);
	assert_int_equal(visits.count, 0);

	tl_arena_init(&arena, ARENA_BYTES);
	assert_int_equal(tl_journal_last(s->store, &arena, &row, &s->why), TL_OK);
	assert_int_equal(row.group_no, 300);
	assert_int_equal(row.seq_last, 300999);
	tl_arena_fini(&arena);
}

static void
a_visit_can_stop_the_walk(void **state)
{
	struct scratch *s = *state;
	struct visits visits = {.stop_at = 5, .stop_with = TL_EEND};

	put_rows(s, 1, 10, 0);
	assert_int_equal(walk(s, 1, &visits), TL_OK);
	assert_int_equal(visits.count, 5);
	visits.stop_with = TL_EIO;
	assert_int_equal(walk(s, 1, &visits), TL_EIO);
	assert_int_equal(visits.count, 5);
}

static void
a_hole_is_missing_data(void **state)
{
	struct scratch *s = *state;
	struct visits visits = {0};

	put_rows(s, 1, 10, 0);
	delete_row(s, 7);
	assert_int_equal(walk(s, 1, &visits), TL_EACKED_DATA_MISSING);
	assert_int_equal(visits.count, 6);
	assert_non_null(strstr(s->why.text, "group 7 is missing, the next there is 8"));
	/* Also at the start of the walk. */
	assert_int_equal(walk(s, 7, &visits), TL_EACKED_DATA_MISSING);
	assert_int_equal(visits.count, 0);
	/* Behind the hole the chain cannot be checked back, and is taken as it is. */
	assert_int_equal(walk(s, 8, &visits), TL_OK);
	assert_int_equal(visits.count, 3);
}

static void
a_row_from_another_history_breaks_the_chain(void **state)
{
	struct scratch *s = *state;
	struct visits visits = {0};

	put_rows(s, 1, 10, 0);
	put_rows(s, 5, 5, 12345); /* the right number after the wrong row */
	assert_int_equal(walk(s, 1, &visits), TL_EACKED_DATA_MISSING);
	assert_int_equal(visits.count, 4);
	assert_non_null(strstr(s->why.text, "group 5 does not follow from group 4"));
	/* The row before the start counts too. */
	assert_int_equal(walk(s, 5, &visits), TL_EACKED_DATA_MISSING);
	assert_int_equal(walk(s, 6, &visits), TL_EACKED_DATA_MISSING);
	assert_int_equal(walk(s, 7, &visits), TL_OK);
	assert_int_equal(visits.count, 4);
}

static void
a_first_row_that_is_not_the_first_breaks_the_chain(void **state)
{
	struct scratch *s = *state;
	struct visits visits = {0};

	put_rows(s, 1, 3, 9);
	assert_int_equal(walk(s, 1, &visits), TL_EACKED_DATA_MISSING);
	assert_int_equal(visits.count, 0);
}

static void
a_damaged_row_is_told(void **state)
{
	struct scratch *s = *state;
	struct tl_key key = tl_key_journal(2);
	struct visits visits = {0};
	struct tl_write *write = NULL;
	struct tl_journal_row row;
	struct tl_arena arena;

	put_rows(s, 1, 3, 0);
	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put(write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_slice_str("\1abc"));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	assert_int_equal(walk(s, 1, &visits), TL_ESTORAGE_CORRUPT);
	assert_int_equal(visits.count, 1);
	assert_int_equal(walk(s, 3, &visits), TL_ESTORAGE_CORRUPT);

	tl_write_put(write, TL_FAMILY_JOURNAL, tl_slice_str("zzz"), tl_slice_str("x"));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_arena_init(&arena, ARENA_BYTES);
	assert_int_equal(tl_journal_last(s->store, &arena, &row, &s->why), TL_ESTORAGE_CORRUPT);
	tl_arena_fini(&arena);
	tl_write_free(write);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_have_their_golden_bytes),
		cmocka_unit_test(a_row_of_another_group_is_refused),
		cmocka_unit_test(every_flipped_bit_breaks_the_chain),
		cmocka_unit_test(any_bytes_are_survived),
		SCRATCH_TEST(an_empty_journal_has_no_last_row_and_nothing_to_walk),
		SCRATCH_TEST(a_walk_sees_every_row_from_its_start),
		SCRATCH_TEST(a_visit_can_stop_the_walk),
		SCRATCH_TEST(a_hole_is_missing_data),
		SCRATCH_TEST(a_row_from_another_history_breaks_the_chain),
		SCRATCH_TEST(a_first_row_that_is_not_the_first_breaks_the_chain),
		SCRATCH_TEST(a_damaged_row_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
