#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/highwater.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "tests/unit/store_golden.h"
#include "tests/unit/store_scratch.h"

#define GOLDEN "tests/golden/highwater.hex"
#define SLOT_STEP 4096

static const struct tl_highwater_mark example = {
	.epoch = 0x1122334455667788,
	.group_no = 44,
	.seq = 1444,
	.chain = 0x0123456789abcdef,
	.cost_nusd = 58440000,
	.flush_group_no = 40,
};

static void
check_mark(const struct tl_highwater_mark *a, const struct tl_highwater_mark *b)
{
	assert_true(a->epoch == b->epoch && a->chain == b->chain);
	assert_int_equal(a->group_no, b->group_no);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->cost_nusd, b->cost_nusd);
	assert_int_equal(a->flush_group_no, b->flush_group_no);
}

static const char *
mark_path(const struct scratch *s)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/mark", s->dir);
	return path;
}

static void
overwrite(const char *path, long at, const void *bytes, size_t count)
{
	FILE *file = fopen(path, "r+b");

	assert_non_null(file);
	assert_int_equal(fseek(file, at, SEEK_SET), 0);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	fclose(file);
}

static void
a_slot_has_its_golden_bytes(void **state)
{
	uint8_t slot[TL_HIGHWATER_SLOT_BYTES];
	struct tl_highwater_mark got;

	(void)state;
	tl_highwater_encode(&example, slot);
	golden_check(GOLDEN, "slot", tl_slice_of(slot, sizeof(slot)));
	assert_int_equal(tl_highwater_decode(slot, &got), TL_OK);
	check_mark(&got, &example);
}

static void
a_slot_with_any_bit_flipped_is_not_believed(void **state)
{
	uint8_t slot[TL_HIGHWATER_SLOT_BYTES];
	struct tl_highwater_mark got;

	(void)state;
	tl_highwater_encode(&example, slot);
	for (size_t bit = 0; bit < 8 * sizeof(slot); bit++) {
		slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(tl_highwater_decode(slot, &got), TL_ESTORAGE_CORRUPT);
		slot[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
a_torn_slot_leaves_the_other(void **state)
{
	struct scratch *s = *state;
	struct tl_highwater_mark newer = example;
	uint8_t slot[TL_HIGHWATER_SLOT_BYTES];
	struct tl_highwater_mark got;

	assert_int_equal(tl_highwater_read(mark_path(s), &got, &s->why), TL_ENOT_FOUND);
	assert_int_equal(tl_highwater_make(mark_path(s), &example, &s->why), TL_OK);
	newer.group_no = 45;
	tl_highwater_encode(&newer, slot);
	overwrite(mark_path(s), SLOT_STEP, slot, sizeof(slot));
	assert_int_equal(tl_highwater_read(mark_path(s), &got, &s->why), TL_OK);
	check_mark(&got, &newer);
	overwrite(mark_path(s), SLOT_STEP, "torn", 4);
	assert_int_equal(tl_highwater_read(mark_path(s), &got, &s->why), TL_OK);
	check_mark(&got, &example);
	overwrite(mark_path(s), 0, "torn", 4);
	assert_int_equal(tl_highwater_read(mark_path(s), &got, &s->why), TL_ESTORAGE_CORRUPT);
	assert_int_equal(truncate(mark_path(s), 100), 0);
	assert_int_equal(tl_highwater_read(mark_path(s), &got, &s->why), TL_ESTORAGE_CORRUPT);
}

/* Groups of 10 rows worth 7 each; returns the chain. */
static uint64_t
put_groups(struct scratch *s, uint64_t first, uint64_t last, uint64_t chain)
{
	struct tl_write *write;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	for (uint64_t no = first; no <= last; no++) {
		struct tl_key key = tl_key_journal(no);
		struct tl_journal_row row = {
			.group_no = no,
			.epoch = tl_store_epoch(s->store),
			.seq_first = 10 * no - 9,
			.seq_last = 10 * no,
			.cost_nusd = 7,
		};

		tl_buf_reset(&s->buf);
		tl_journal_encode(&row, chain, &s->buf);
		chain = row.chain;
		tl_write_put(write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_buf_slice(&s->buf));
	}
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
	return chain;
}

static void
the_store_may_be_ahead_of_the_mark_and_never_behind(void **state)
{
	struct scratch *s = *state;
	struct tl_highwater_mark acked = {.epoch = tl_store_epoch(s->store)};
	struct tl_highwater_mark now;

	assert_int_equal(tl_highwater_check(s->store, &acked, &now, &s->why), TL_OK);
	assert_int_equal(now.group_no, 0);
	acked.chain = put_groups(s, 1, 3, 0);
	acked.group_no = 3;
	acked.seq = 30;
	acked.cost_nusd = 21;
	put_groups(s, 4, 5, acked.chain);
	assert_int_equal(tl_highwater_check(s->store, &acked, &now, &s->why), TL_OK);
	assert_int_equal(now.group_no, 5);
	assert_int_equal(now.seq, 50);
	assert_int_equal(now.cost_nusd, 35);

	now.group_no = 6;
	now.seq = 60;
	assert_int_equal(
		tl_highwater_check(s->store, &now, &acked, &s->why), TL_EACKED_DATA_MISSING);
	assert_non_null(strstr(s->why.text, "have 50, acked 60"));
}

static void
another_past_or_another_epoch_is_refused(void **state)
{
	struct scratch *s = *state;
	struct tl_highwater_mark now;
	struct tl_highwater_mark acked = {
		.epoch = tl_store_epoch(s->store), .group_no = 3, .seq = 30, .cost_nusd = 21};

	acked.chain = put_groups(s, 1, 3, 0);
	assert_int_equal(tl_highwater_check(s->store, &acked, &now, &s->why), TL_OK);
	acked.chain ^= 1;
	assert_int_equal(
		tl_highwater_check(s->store, &acked, &now, &s->why), TL_EACKED_DATA_MISSING);
	acked.chain ^= 1;
	acked.epoch ^= 1;
	assert_int_equal(
		tl_highwater_check(s->store, &acked, &now, &s->why), TL_EACKED_DATA_MISSING);
}

static void
a_store_remembers_that_it_has_a_mark_file(void **state)
{
	struct scratch *s = *state;
	bool is_expected;

	assert_int_equal(tl_highwater_is_expected(s->store, &is_expected, &s->why), TL_OK);
	assert_false(is_expected);
	assert_int_equal(tl_highwater_expect(s->store, &s->why), TL_OK);
	scratch_reopen(s);
	assert_int_equal(tl_highwater_is_expected(s->store, &is_expected, &s->why), TL_OK);
	assert_true(is_expected);
}

/* The file is read while it is written: what it says must have been noted before. */
static void
the_file_follows_and_is_never_ahead(void **state)
{
	struct scratch *s = *state;
	struct tl_highwater_options options = {.path = mark_path(s), .mark = example};
	struct tl_highwater *highwater;
	struct tl_highwater_mark got = {0};

	assert_int_equal(tl_highwater_make(mark_path(s), &example, &s->why), TL_OK);
	assert_int_equal(tl_highwater_start(&options, &highwater, &s->why), TL_OK);
	for (uint64_t no = 45; no <= 60; no++) {
		tl_highwater_note_group(highwater, no, 10 * no, no, 2);
		while (no % 5 == 0 && got.group_no < no) {
			if (tl_highwater_read(mark_path(s), &got, &s->why) == TL_OK)
				assert_true(got.group_no <= no);
			usleep(1000);
		}
	}
	tl_highwater_note_flush(highwater, 58);
	tl_highwater_note_group(highwater, 61, 611, 99, 2);
	assert_int_equal(tl_highwater_stop(highwater, &s->why), TL_OK);
	assert_int_equal(tl_highwater_read(mark_path(s), &got, &s->why), TL_OK);
	check_mark(&got, &(struct tl_highwater_mark){.epoch = example.epoch,
				 .group_no = 61,
				 .seq = 611,
				 .chain = 99,
				 .cost_nusd = example.cost_nusd + 34,
				 .flush_group_no = 58});
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_has_its_golden_bytes),
		cmocka_unit_test(a_slot_with_any_bit_flipped_is_not_believed),
		SCRATCH_TEST_CLOSED(a_torn_slot_leaves_the_other),
		SCRATCH_TEST(the_store_may_be_ahead_of_the_mark_and_never_behind),
		SCRATCH_TEST(another_past_or_another_epoch_is_refused),
		SCRATCH_TEST(a_store_remembers_that_it_has_a_mark_file),
		SCRATCH_TEST_CLOSED(the_file_follows_and_is_never_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
