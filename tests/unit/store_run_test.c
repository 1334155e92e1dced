#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/base/crypt.h"
#include "schema/model/bucket.h"
#include "schema/store/key.h"
#include "schema/store/sealed.h"
#include "schema/store/write.h"
#include "tests/unit/store_golden.h"
#include "tests/unit/store_scratch.h"

#define GOLDEN "tests/golden/run.hex"
#define TEN_MS 1795255200000LL /* 2026-11-21T10:00:00Z */
#define ARENA_BYTES ((size_t)64 << 20)
#define ROWS 4u

/* Two groups of two rows, as the sealer would write them: sorted by (org, member, ts). */
struct place {
	struct scratch *scratch;
	struct tl_arena arena;
	struct tl_batch batch;
	int64_t group_idx[ROWS];
	uint32_t order[ROWS];
	struct tl_run_group groups[2];
	struct tl_run_chunk chunks[1];
	struct tl_run run;
	struct tl_buf run_bytes, chunk_bytes;
};

static void
fill(struct place *p)
{
	static const int64_t rows[ROWS][5] = {
		/* org, ts offset, member, cost, group */
		{1, 0, 5, 100, 0},
		{1, 900, 5, -1, 1},
		{1, 300, 6, 40, 0},
		{2, 100, 3, 7, 1},
	};

	assert_int_equal(tl_batch_init(&p->batch, &p->arena, ROWS), TL_OK);
	p->batch.row_count = ROWS;
	for (uint32_t i = 0; i < ROWS; i++) {
		for (uint32_t k = 0; k < 16; k++)
			p->batch.id[i][k] = (uint8_t)(16 * i * i + k);
		assert_int_equal(tl_batch_set(&p->batch, TL_COL_ORG, i, rows[i][0]), TL_OK);
		assert_int_equal(tl_batch_set(&p->batch, TL_COL_TS, i, TEN_MS + rows[i][1]), TL_OK);
		assert_int_equal(tl_batch_set(&p->batch, TL_COL_MEMBER, i, rows[i][2]), TL_OK);
		assert_int_equal(tl_batch_set(&p->batch, TL_COL_COST, i, rows[i][3]), TL_OK);
		p->group_idx[i] = rows[i][4];
		p->order[i] = i;
		for (uint32_t k = 0; k < 16; k++)
			p->run.id_xor[k] ^= p->batch.id[i][k];
	}
	p->groups[0] = (struct tl_run_group){7, TEN_MS + 1000, 2, 0};
	p->groups[1] = (struct tl_run_group){9, TEN_MS + 5000, 2, 3};
	p->chunks[0] = (struct tl_run_chunk){ROWS, 1, 2, TEN_MS, TEN_MS + 900};
	p->run.groups = p->groups;
	p->run.group_count = 2;
	p->run.chunks = p->chunks;
	p->run.chunk_count = 1;
	p->run.row_count = ROWS;
	p->run.cost_nusd = 147;
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	void *scratch;

	scratch_set_up_closed(&scratch);
	p->scratch = scratch;
	scratch_open(p->scratch);
	tl_arena_init(&p->arena, ARENA_BYTES);
	tl_buf_init(&p->run_bytes, 0);
	tl_buf_init(&p->chunk_bytes, 0);
	fill(p);
	tl_run_encode(&p->run, &p->run_bytes);
	assert_int_equal(tl_chunk_encode(&p->batch, p->group_idx, p->order, ROWS, TEN_MS + 5000,
				 &p->chunk_bytes),
		TL_OK);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	void *scratch = p->scratch;

	tl_buf_fini(&p->chunk_bytes);
	tl_buf_fini(&p->run_bytes);
	tl_arena_fini(&p->arena);
	free(p);
	return scratch_tear_down(&scratch);
}

static void
a_run_and_a_chunk_have_their_golden_bytes(void **state)
{
	struct place *p = *state;

	golden_check(GOLDEN, "run", tl_buf_slice(&p->run_bytes));
	golden_check(GOLDEN, "chunk", tl_buf_slice(&p->chunk_bytes));
}

static void
a_run_is_read_back(void **state)
{
	struct place *p = *state;
	struct tl_run run;

	assert_int_equal(tl_run_decode(tl_buf_slice(&p->run_bytes), &p->arena, &run), TL_OK);
	assert_int_equal(run.row_count, ROWS);
	assert_int_equal(run.cost_nusd, 147);
	assert_memory_equal(run.id_xor, p->run.id_xor, 16);
	assert_int_equal(run.group_count, 2);
	assert_memory_equal(&run.chunks[0], &p->chunks[0], sizeof(run.chunks[0]));
	assert_int_equal(tl_run_group_last(&run), 9);
	assert_int_equal(tl_run_find(&run, 9)->block_no, 3);
	assert_int_equal(tl_run_find(&run, 9)->received_ms, TEN_MS + 5000);
	assert_null(tl_run_find(&run, 8));
	assert_null(tl_run_find(&run, 10));
}

static void
no_bit_of_a_run_can_change(void **state)
{
	struct place *p = *state;
	struct tl_run run;
	struct tl_chunk chunk;

	for (size_t bit = 0; bit < p->run_bytes.bytes * 8; bit++) {
		p->run_bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(tl_run_decode(tl_buf_slice(&p->run_bytes), &p->arena, &run),
			TL_ESTORAGE_CORRUPT);
		p->run_bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < p->chunk_bytes.bytes * 8; bit++) {
		p->chunk_bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(tl_chunk_decode(tl_buf_slice(&p->chunk_bytes), 2,
					 TL_BLOCK_ALL_COLUMNS, &p->arena, &chunk),
			TL_ESTORAGE_CORRUPT);
		p->chunk_bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void
a_cut_run_is_refused(void **state)
{
	struct place *p = *state;
	struct tl_run run;
	struct tl_chunk chunk;

	for (size_t bytes = 0; bytes < p->run_bytes.bytes; bytes++)
		assert_int_equal(
			tl_run_decode(tl_slice_of(p->run_bytes.data, bytes), &p->arena, &run),
			TL_ESTORAGE_CORRUPT);
	for (size_t bytes = 0; bytes < p->chunk_bytes.bytes; bytes++)
		assert_int_equal(tl_chunk_decode(tl_slice_of(p->chunk_bytes.data, bytes), 2,
					 TL_BLOCK_ALL_COLUMNS, &p->arena, &chunk),
			TL_ESTORAGE_CORRUPT);
}

/* What the checksum cannot see: numbers that do not belong together. */
static void
a_run_that_does_not_add_up_is_refused(void **state)
{
	struct place *p = *state;
	struct tl_run wrong[4];
	struct tl_run_group groups[2];
	struct tl_run run;
	struct tl_buf buf;

	for (size_t i = 0; i < 4; i++)
		wrong[i] = p->run;
	memcpy(groups, p->groups, sizeof(groups));
	groups[1].group_no = groups[0].group_no;
	wrong[0].row_count = ROWS + 1;
	wrong[1].groups = groups;
	wrong[2].chunk_count = 0;
	wrong[3].group_count = 1;
	tl_buf_init(&buf, 0);
	for (size_t i = 0; i < 4; i++) {
		tl_buf_reset(&buf);
		tl_run_encode(&wrong[i], &buf);
		if (tl_run_decode(tl_buf_slice(&buf), &p->arena, &run) != TL_ESTORAGE_CORRUPT)
			fail_msg("%zu", i);
	}
	tl_buf_fini(&buf);
}

static void
a_row_of_a_group_that_the_run_lacks_is_refused(void **state)
{
	struct place *p = *state;
	struct tl_chunk chunk;

	assert_int_equal(tl_chunk_decode(tl_buf_slice(&p->chunk_bytes), 1, TL_BLOCK_ALL_COLUMNS,
				 &p->arena, &chunk),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(tl_chunk_decode(tl_buf_slice(&p->chunk_bytes), 2, TL_BLOCK_ALL_COLUMNS,
				 &p->arena, &chunk),
		TL_OK);
	assert_int_equal(chunk.cost_nusd, 147);
	assert_int_equal(chunk.group_idx[1], 1);
	assert_int_equal(tl_chunk_received_ms(&p->run, &chunk, 1), TEN_MS + 5000);
}

/* The day of the run, pinned. */
static struct tl_day *
store(struct place *p, bool with_chunk)
{
	struct scratch *s = p->scratch;
	struct tl_key run_key = tl_key_run(9), chunk_key = tl_key_chunk(9, 0);
	struct tl_write *write = NULL;
	struct tl_day *day = NULL;

	assert_int_equal(
		tl_day_make(s->store, tl_bucket_floor(TL_SPAN_1D, TEN_MS), &day, &s->why), TL_OK);
	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put_raw(write, day, tl_key_slice(&run_key), tl_buf_slice(&p->run_bytes));
	if (with_chunk)
		tl_write_put_raw(
			write, day, tl_key_slice(&chunk_key), tl_buf_slice(&p->chunk_bytes));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
	return day;
}

static enum tl_err
get_block(struct place *p, struct tl_day *day, uint64_t group_no, uint16_t block_no,
	struct tl_block_head *head, struct tl_batch *batch)
{
	struct tl_sealed *sealed = NULL;
	enum tl_err err;

	assert_int_equal(tl_sealed_new(p->scratch->store, &sealed), TL_OK);
	err = tl_sealed_block(sealed, NULL, day, group_no, block_no, 1u << TL_COL_ORG, &p->arena,
		head, batch, &p->scratch->why);
	tl_sealed_free(sealed);
	return err;
}

static void
a_block_is_gathered_from_its_run(void **state)
{
	struct place *p = *state;
	struct tl_day *day = store(p, true);
	struct tl_block_head head;
	struct tl_batch batch;

	assert_int_equal(get_block(p, day, 9, 3, &head, &batch), TL_OK);
	assert_int_equal(head.row_count, 2);
	assert_int_equal(head.received_ms, TEN_MS + 5000);
	assert_int_equal(head.cost_nusd, 7);
	assert_int_equal(head.ts_ms_min, TEN_MS + 100);
	assert_int_equal(head.ts_ms_max, TEN_MS + 900);
	assert_int_equal(batch.id[0][0], 16);
	assert_int_equal(tl_batch_get(&batch, TL_COL_ORG, 1), 2);
	assert_int_equal(get_block(p, day, 7, 0, &head, &batch), TL_OK);
	assert_int_equal(head.cost_nusd, 140);
	assert_int_equal(get_block(p, day, 7, 1, &head, &batch), TL_ENOT_FOUND);
	assert_int_equal(get_block(p, day, 8, 0, &head, &batch), TL_ENOT_FOUND);
	assert_int_equal(get_block(p, day, 10, 0, &head, &batch), TL_ENOT_FOUND);
	tl_day_unpin(day);
}

static void
a_run_without_its_chunk_is_missing_data(void **state)
{
	struct place *p = *state;
	struct tl_day *day = store(p, false);
	struct tl_block_head head;
	struct tl_batch batch;

	assert_int_equal(get_block(p, day, 9, 3, &head, &batch), TL_EACKED_DATA_MISSING);
	tl_day_unpin(day);
}

static void
a_run_is_found_by_any_of_its_groups(void **state)
{
	struct place *p = *state;
	struct tl_day *day = store(p, true);
	struct tl_run run;
	uint64_t group_no = 0;

	for (uint64_t group = 0; group <= 9; group++)
		assert_int_equal(tl_sealed_next(p->scratch->store, NULL, day, group, &p->arena,
					 &run, &p->scratch->why),
			TL_OK);
	assert_int_equal(
		tl_sealed_next(p->scratch->store, NULL, day, 10, &p->arena, &run, &p->scratch->why),
		TL_EEND);
	assert_int_equal(
		tl_sealed_newest_block(p->scratch->store, day, &group_no, &p->scratch->why),
		TL_EEND);
	tl_day_unpin(day);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_run_and_a_chunk_have_their_golden_bytes),
		T(a_run_is_read_back),
		T(no_bit_of_a_run_can_change),
		T(a_cut_run_is_refused),
		T(a_run_that_does_not_add_up_is_refused),
		T(a_row_of_a_group_that_the_run_lacks_is_refused),
		T(a_block_is_gathered_from_its_run),
		T(a_run_without_its_chunk_is_missing_data),
		T(a_run_is_found_by_any_of_its_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
