#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/base/crypt.h"
#include "schema/store/block.h"
#include "tests/unit/store_golden.h"

#define GOLDEN "tests/golden/block.hex"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEN_MS 1795255200000LL /* 2026-11-21T10:00:00Z */
#define ARENA_BYTES ((size_t)64 << 20)

struct place {
	struct tl_arena arena;	 /* of the batch that goes in */
	struct tl_arena decoded; /* of the one that comes out */
	struct tl_batch batch;
	struct tl_buf buf;
	uint32_t row_idx[3000];
	uint64_t seed;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	tl_arena_init(&p->arena, ARENA_BYTES);
	tl_arena_init(&p->decoded, ARENA_BYTES);
	tl_buf_init(&p->buf, 0);
	for (uint32_t i = 0; i < COUNT(p->row_idx); i++)
		p->row_idx[i] = i;
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	tl_buf_fini(&p->buf);
	tl_arena_fini(&p->decoded);
	tl_arena_fini(&p->arena);
	free(p);
	return 0;
}

static void
begin(struct place *p, uint32_t rows)
{
	tl_arena_reset(&p->arena);
	assert_int_equal(tl_batch_init(&p->batch, &p->arena, rows), TL_OK);
	p->batch.row_count = rows;
}

static void
set(struct place *p, enum tl_column column, uint32_t row_idx, int64_t value)
{
	assert_int_equal(tl_batch_set(&p->batch, column, row_idx, value), TL_OK);
}

/* Four calls of two members; golden/block.hex and schema/README.md show the same four. */
static void
fill_golden(struct place *p)
{
	static const int64_t rows[4][8] = {
		/* ts offset, member, agent, session, input, output, cost, status */
		{0, 5, 7, 900, 1200, 310, 8250000, 200},
		{1500, 5, 7, 900, 80, 2950, 44490000, 200},
		{1400, 6, 8, 901, 15000, 12, -1, 529},
		{60000, 5, 7, 900, 400, 300, 5700000, 200},
	};

	begin(p, 4);
	for (uint32_t i = 0; i < 4; i++) {
		for (uint32_t k = 0; k < 16; k++)
			p->batch.id[i][k] = (uint8_t)(16 * i + k);
		set(p, TL_COL_ORG, i, 1);
		set(p, TL_COL_TS, i, TEN_MS + rows[i][0]);
		set(p, TL_COL_MEMBER, i, rows[i][1]);
		set(p, TL_COL_AGENT, i, rows[i][2]);
		set(p, TL_COL_SESSION, i, rows[i][3]);
		set(p, TL_COL_MODEL, i, 2);
		set(p, TL_COL_INPUT, i, rows[i][4]);
		set(p, TL_COL_OUTPUT, i, rows[i][5]);
		set(p, TL_COL_COST, i, rows[i][6]);
		set(p, TL_COL_STATUS, i, rows[i][7]);
	}
}

/* Calls of eight sessions at the rates of two models; every thirtieth failed and cost nothing. */
static void
fill_priced(struct place *p, uint32_t rows)
{
	begin(p, rows);
	for (uint32_t i = 0; i < rows; i++) {
		int64_t session = i * 5 % 8;
		int64_t input = 100 + i * 37 % 500;
		int64_t output = 20 + i * 91 % 300;
		int64_t rate = session % 2 == 0 ? 3000 : 15000;

		for (uint32_t k = 0; k < 16; k++)
			p->batch.id[i][k] = (uint8_t)(k < 2 ? i >> 8 * k : 0);
		set(p, TL_COL_ORG, i, 1);
		set(p, TL_COL_TS, i, TEN_MS + 900 * (int64_t)i);
		set(p, TL_COL_SESSION, i, 900 + session);
		set(p, TL_COL_MEMBER, i, 5 + session / 3);
		set(p, TL_COL_MODEL, i, 1 + session % 2);
		set(p, TL_COL_INPUT, i, input);
		set(p, TL_COL_OUTPUT, i, output);
		set(p, TL_COL_COST, i, i % 30 == 29 ? 0 : rate * (input + 5 * output));
	}
}

static void
fill_random(struct place *p, uint32_t rows)
{
	begin(p, rows);
	for (uint32_t i = 0; i < rows; i++) {
		for (uint32_t k = 0; k < 16; k++)
			p->batch.id[i][k] = (uint8_t)next_random(&p->seed);
		for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
			if (next_random(&p->seed) % 3 == 0 && column != TL_COL_COST)
				set(p, column, i,
					(int64_t)(next_random(&p->seed) >>
						  (next_random(&p->seed) % 64)));
		}
		if (next_random(&p->seed) % 3 > 0)
			set(p, TL_COL_COST, i, (int64_t)(next_random(&p->seed) % 1000000));
	}
}

static void
encode(struct place *p, uint32_t rows)
{
	tl_buf_reset(&p->buf);
	assert_int_equal(
		tl_block_encode(&p->batch, p->row_idx, rows, TEN_MS + 70000, &p->buf), TL_OK);
}

/* What comes out is what went in through row_idx. */
static void
check_same(struct place *p, const struct tl_batch *got, uint32_t rows)
{
	assert_int_equal(got->row_count, rows);
	for (uint32_t i = 0; i < rows; i++) {
		uint32_t from = p->row_idx[i];

		assert_memory_equal(got->id[i], p->batch.id[from], 16);
		for (enum tl_column column = 0; column < TL_COL_COUNT; column++)
			assert_true(tl_batch_get(got, column, i) ==
				    (column < TL_COL_STORED_COUNT
						    ? tl_batch_get(&p->batch, column, from)
						    : tl_column_default(column)));
	}
}

static void
a_block_has_its_golden_bytes(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	fill_golden(p);
	encode(p, 4);
	golden_check(GOLDEN, "block", tl_buf_slice(&p->buf));
	assert_int_equal(tl_block_decode(golden_read(GOLDEN, "block", &p->buf),
				 TL_BLOCK_ALL_COLUMNS, &p->decoded, &head, &got),
		TL_OK);
	check_same(p, &got, 4);
	assert_int_equal(head.row_count, 4);
	assert_int_equal(head.received_ms, TEN_MS + 70000);
	assert_int_equal(head.ts_ms_min, TEN_MS);
	assert_int_equal(head.ts_ms_max, TEN_MS + 60000);
	assert_int_equal(head.cost_nusd, 8250000 + 44490000 + 5700000);
	assert_null(got.event_idx);
	assert_int_equal(got.symbol_count, 0);
	assert_int_equal(got.reject_count, 0);
}

static void
what_rows_have_in_common_is_written_once(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	fill_priced(p, 128);
	encode(p, 128);
	golden_check(GOLDEN, "priced", tl_buf_slice(&p->buf));
	assert_int_equal(tl_block_decode(golden_read(GOLDEN, "priced", &p->buf),
				 TL_BLOCK_ALL_COLUMNS, &p->decoded, &head, &got),
		TL_OK);
	check_same(p, &got, 128);
	/* a row: 3 bits of its origin, 9 of each of the tokens, and none of its cost but for four
	 */
	fill_priced(p, 2400);
	encode(p, 2400);
	assert_true(p->buf.bytes < 2400 * (16 + 3) + 80 * 6);
	tl_arena_reset(&p->decoded);
	assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS, &p->decoded,
				 &head, &got),
		TL_OK);
	check_same(p, &got, 2400);
}

static void
the_head_reads_alone(void **state)
{
	struct place *p = *state;
	struct tl_block_head head, whole;
	struct tl_batch got;

	fill_golden(p);
	encode(p, 4);
	assert_int_equal(
		tl_block_decode(tl_buf_slice(&p->buf), 0, &p->decoded, &whole, &got), TL_OK);
	p->buf.data[p->buf.bytes - 1] ^= 1; /* the checksum is not looked at */
	assert_int_equal(tl_block_head(tl_buf_slice(&p->buf), &head), TL_OK);
	assert_int_equal(head.row_count, whole.row_count);
	assert_int_equal(head.received_ms, whole.received_ms);
	assert_int_equal(head.ts_ms_min, whole.ts_ms_min);
	assert_int_equal(head.ts_ms_max, whole.ts_ms_max);
	assert_int_equal(head.cost_nusd, whole.cost_nusd);
}

static void
any_rows_in_any_order_come_back(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	p->seed = 6;
	for (int round = 0; round < 60; round++) {
		uint32_t rows = 1 + (uint32_t)(next_random(&p->seed) % (round < 50 ? 60 : 3000));
		uint32_t some = rows;

		fill_random(p, rows);
		for (uint32_t i = 0; i < rows; i++)
			p->row_idx[i] = i;
		if (round % 3 == 1) { /* a stretch in the middle */
			some = 1 + rows / 2;
			for (uint32_t i = 0; i < some; i++)
				p->row_idx[i] = i + rows - some;
		}
		if (round % 3 == 2) { /* mixed up, some twice */
			for (uint32_t i = 0; i < rows; i++)
				p->row_idx[i] = (uint32_t)(next_random(&p->seed) % rows);
		}
		encode(p, some);
		tl_arena_reset(&p->decoded);
		assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS,
					 &p->decoded, &head, &got),
			TL_OK);
		check_same(p, &got, some);
	}
}

static void
only_columns_asked_for_are_decoded(void **state)
{
	struct place *p = *state;
	uint64_t mask = UINT64_C(1) << TL_COL_TS | UINT64_C(1) << TL_COL_COST;
	struct tl_block_head head;
	struct tl_batch got;

	fill_golden(p);
	encode(p, 4);
	assert_int_equal(
		tl_block_decode(tl_buf_slice(&p->buf), mask, &p->decoded, &head, &got), TL_OK);
	assert_non_null(got.column[TL_COL_TS]);
	assert_non_null(got.column[TL_COL_COST]);
	assert_null(got.column[TL_COL_MEMBER]);
	assert_int_equal(tl_batch_get(&got, TL_COL_COST, 2), -1);
	assert_memory_equal(got.id[3], p->batch.id[3], 16);
	/* what rates make comes whole, whatever else was asked for */
	fill_priced(p, 128);
	encode(p, 128);
	tl_arena_reset(&p->decoded);
	assert_int_equal(
		tl_block_decode(tl_buf_slice(&p->buf), mask, &p->decoded, &head, &got), TL_OK);
	assert_null(got.column[TL_COL_SESSION]);
	for (uint32_t i = 0; i < 128; i++)
		assert_true(tl_batch_get(&got, TL_COL_COST, i) ==
			    tl_batch_get(&p->batch, TL_COL_COST, i));
}

/* What is picked is what a whole read has of these rows. */
static void
check_pick(struct place *p, const struct tl_batch *whole, const struct tl_block_pick *pick)
{
	struct tl_block_head head;
	struct tl_batch got = {0};
	struct tl_arena arena;
	uint32_t at = 0;

	tl_arena_init(&arena, ARENA_BYTES);
	assert_int_equal(tl_block_pick(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS, pick, &arena,
				 &head, &got),
		TL_OK);
	assert_int_equal(head.row_count, whole->row_count);
	for (uint32_t i = 0; i < whole->row_count; i++) {
		int64_t ts_ms = tl_batch_get(whole, TL_COL_TS, i);

		if (tl_batch_get(whole, TL_COL_ORG, i) != pick->org || ts_ms < pick->from_ms ||
			ts_ms > pick->last_ms)
			continue;
		assert_true(at < got.row_count);
		assert_memory_equal(got.id[at], whole->id[i], 16);
		for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++)
			assert_true(
				tl_batch_get(&got, column, at) == tl_batch_get(whole, column, i));
		at++;
	}
	assert_int_equal(got.row_count, at);
	tl_arena_fini(&arena);
}

static void
rows_of_an_org_and_a_time_are_picked(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch whole;

	p->seed = 9;
	for (int round = 0; round < 40; round++) {
		uint32_t rows = 1 + (uint32_t)(next_random(&p->seed) % (round < 30 ? 60 : 3000));
		int64_t range_ms = 900 * (int64_t)rows;

		if (round % 2 == 0)
			fill_random(p, rows);
		else
			fill_priced(p, rows);
		for (uint32_t i = 0; i < rows; i++) {
			p->row_idx[i] = i;
			if (round % 4 > 1) /* several orgs, and times out of order */
				set(p, TL_COL_ORG, i, (int64_t)(next_random(&p->seed) % 3));
			if (round % 4 > 2)
				set(p, TL_COL_TS, i,
					TEN_MS + (int64_t)(next_random(&p->seed) % 1000000));
		}
		encode(p, rows);
		tl_arena_reset(&p->decoded);
		assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS,
					 &p->decoded, &head, &whole),
			TL_OK);
		for (uint32_t org = 0; org < 3; org++) {
			check_pick(p, &whole,
				&(struct tl_block_pick){
					org, TEN_MS + range_ms / 3, TEN_MS + range_ms / 3 * 2});
			check_pick(p, &whole, &(struct tl_block_pick){org, INT64_MIN, INT64_MAX});
			check_pick(p, &whole, &(struct tl_block_pick){org, 1, 0});
		}
	}
}

static void
a_column_of_defaults_is_not_written(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;
	size_t bytes;

	fill_golden(p);
	encode(p, 4);
	bytes = p->buf.bytes;
	/* Present in the batch, but defaults in the rows that are taken. */
	assert_int_equal(tl_batch_need(&p->batch, TL_COL_PR), TL_OK);
	assert_int_equal(tl_batch_need(&p->batch, TL_COL_DURATION), TL_OK);
	/* What is resolved on the way in stays out of blocks. */
	set(p, TL_COL_EMAIL, 1, 5);
	encode(p, 4);
	assert_int_equal(p->buf.bytes, bytes);
	assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS, &p->decoded,
				 &head, &got),
		TL_OK);
	assert_null(got.column[TL_COL_PR]);
	assert_null(got.column[TL_COL_EMAIL]);
}

static void
a_block_may_follow_other_bytes(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	fill_golden(p);
	tl_buf_reset(&p->buf);
	tl_buf_put_str(&p->buf, "before");
	assert_int_equal(tl_block_encode(&p->batch, p->row_idx, 4, TEN_MS, &p->buf), TL_OK);
	assert_int_equal(tl_block_decode(tl_slice_of(p->buf.data + 6, p->buf.bytes - 6),
				 TL_BLOCK_ALL_COLUMNS, &p->decoded, &head, &got),
		TL_OK);
	check_same(p, &got, 4);
}

static void
the_cost_follows_the_sign_and_skips_the_unknown(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;

	begin(p, 3);
	set(p, TL_COL_COST, 0, 100);
	set(p, TL_COL_COST, 1, 30);
	set(p, TL_COL_SIGN, 1, -1);
	encode(p, 3);
	assert_int_equal(tl_block_head(tl_buf_slice(&p->buf), &head), TL_OK);
	assert_int_equal(head.cost_nusd, 70);
	assert_int_equal(head.ts_ms_min, 0);
	assert_int_equal(head.ts_ms_max, 0);
}

static void
a_sum_past_63_bits_is_refused(void **state)
{
	struct place *p = *state;

	begin(p, 2);
	set(p, TL_COL_COST, 0, INT64_MAX);
	set(p, TL_COL_COST, 1, 1);
	tl_buf_reset(&p->buf);
	assert_int_equal(
		tl_block_encode(&p->batch, p->row_idx, 2, 0, &p->buf), TL_EAMOUNT_OVERFLOW);
	assert_int_equal(p->buf.bytes, 0);
}

static void
every_flipped_bit_is_found(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	fill_golden(p);
	encode(p, 4);
	for (size_t bit = 0; bit < p->buf.bytes * 8; bit++) {
		p->buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS,
					 &p->decoded, &head, &got),
			TL_ESTORAGE_CORRUPT);
		p->buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bytes = 0; bytes < p->buf.bytes; bytes++)
		assert_int_equal(tl_block_decode(tl_slice_of(p->buf.data, bytes),
					 TL_BLOCK_ALL_COLUMNS, &p->decoded, &head, &got),
			TL_ESTORAGE_CORRUPT);
}

/* Damage that comes with a right checksum: nothing is believed because of it. */
static void
forge(struct place *p, uint32_t rows)
{
	struct tl_block_pick pick = {1, TEN_MS + 1000, TEN_MS + 70000};
	size_t ids = (size_t)16 * rows;
	struct tl_block_head head;
	struct tl_batch got;
	struct tl_buf whole;

	encode(p, rows);
	tl_buf_init(&whole, 0);
	tl_buf_put_slice(&whole, tl_buf_slice(&p->buf));
	for (int round = 0; round < 100000; round++) {
		size_t bytes = whole.bytes;
		uint8_t *data;

		if (next_random(&p->seed) % 4 == 0)
			bytes = 9 + next_random(&p->seed) % (bytes - 9);
		data = malloc(bytes);
		memcpy(data, whole.data, bytes);
		for (uint64_t i = next_random(&p->seed) % 4; i > 0; i--) {
			/* Mostly not in the ids, where every byte is as good as any. */
			size_t at = next_random(&p->seed) % (bytes - 8);

			if (at >= 24 && at < 24 + ids)
				at = 24 + ids + next_random(&p->seed) % 64;
			if (at < bytes - 8)
				data[at] = (uint8_t)next_random(&p->seed);
		}
		tl_put_be64(data + bytes - 8, tl_checksum64(tl_slice_of(data, bytes - 8)));
		tl_arena_reset(&p->decoded);
		(void)!tl_block_head(tl_slice_of(data, bytes), &head);
		(void)!tl_block_decode(
			tl_slice_of(data, bytes), TL_BLOCK_ALL_COLUMNS, &p->decoded, &head, &got);
		tl_arena_reset(&p->decoded);
		(void)!tl_block_pick(tl_slice_of(data, bytes), TL_BLOCK_ALL_COLUMNS, &pick,
			&p->decoded, &head, &got);
		free(data);
	}
	tl_buf_fini(&whole);
}

static void
a_forged_block_is_survived(void **state)
{
	struct place *p = *state;

	p->seed = 7;
	fill_golden(p);
	forge(p, 4);
	fill_priced(p, 128);
	forge(p, 128);
}

static void
an_origin_or_rates_that_are_not_there_are_refused(void **state)
{
	static const struct {
		size_t at; /* behind the ids */
		uint8_t byte;
	} wrong[] = {
		{0, 0},	   /* no origins */
		{0, 5},	   /* more than rows */
		{4, 0x02}, /* the first row of an origin past the last */
		{5, 16},   /* more rates than there may be */
	};
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	fill_golden(p);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		uint8_t *data;
		size_t body;

		encode(p, 4);
		data = p->buf.data;
		body = p->buf.bytes - 8;
		/* 02 origins, in 03 bytes: of 2 bits from now on, least 0, 4; 00 rates */
		assert_memory_equal(data + 24 + 64, "\x02\x03\x01\x00\x04\x00", 6);
		data[24 + 64 + wrong[i].at] = wrong[i].byte;
		if (wrong[i].at == 4)
			data[24 + 64 + 2] = 2; /* bits a row */
		tl_put_be64(data + body, tl_checksum64(tl_slice_of(data, body)));
		assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS,
					 &p->decoded, &head, &got),
			TL_ESTORAGE_CORRUPT);
	}
}

static void
a_row_count_past_the_ids_is_refused(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	tl_buf_reset(&p->buf);
	tl_buf_put_u8(&p->buf, 1);
	tl_buf_put_varint(&p->buf, 0xffffffff);
	for (int i = 0; i < 4; i++)
		tl_buf_put_zigzag(&p->buf, 0);
	tl_buf_put_u8(&p->buf, 0);
	tl_buf_put_be64(&p->buf, tl_checksum64(tl_buf_slice(&p->buf)));
	assert_int_equal(tl_block_head(tl_buf_slice(&p->buf), &head), TL_ESTORAGE_CORRUPT);
	assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS, &p->decoded,
				 &head, &got),
		TL_ESTORAGE_CORRUPT);
}

static void
a_small_arena_is_told(void **state)
{
	struct place *p = *state;
	struct tl_block_head head;
	struct tl_batch got;

	fill_golden(p);
	encode(p, 4);
	/* 64 bytes of ids and ten columns of 32 are needed. */
	for (size_t bytes = 16; bytes < 384; bytes += 16) {
		struct tl_arena small;

		tl_arena_init(&small, bytes);
		assert_int_equal(tl_block_decode(tl_buf_slice(&p->buf), TL_BLOCK_ALL_COLUMNS,
					 &small, &head, &got),
			TL_ENOMEM);
		tl_arena_fini(&small);
	}
}

static void
a_full_buffer_is_told(void **state)
{
	struct place *p = *state;
	struct tl_buf small;

	fill_golden(p);
	for (size_t bytes = 1; bytes < 100; bytes++) {
		tl_buf_init(&small, bytes);
		assert_int_equal(tl_block_encode(&p->batch, p->row_idx, 4, 0, &small), TL_EFULL);
		tl_buf_fini(&small);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_block_has_its_golden_bytes),
		TEST(what_rows_have_in_common_is_written_once),
		TEST(the_head_reads_alone),
		TEST(any_rows_in_any_order_come_back),
		TEST(only_columns_asked_for_are_decoded),
		TEST(rows_of_an_org_and_a_time_are_picked),
		TEST(a_column_of_defaults_is_not_written),
		TEST(a_block_may_follow_other_bytes),
		TEST(the_cost_follows_the_sign_and_skips_the_unknown),
		TEST(a_sum_past_63_bits_is_refused),
		TEST(every_flipped_bit_is_found),
		TEST(a_forged_block_is_survived),
		TEST(an_origin_or_rates_that_are_not_there_are_refused),
		TEST(a_row_count_past_the_ids_is_refused),
		TEST(a_small_arena_is_told),
		TEST(a_full_buffer_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
