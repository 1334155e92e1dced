#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/origin.h"
#include "tests/unit/store_golden.h"

#define ROWS 2000u

struct place {
	struct tl_arena arena;
	struct tl_batch batch;
	struct tl_origins origins;
	uint32_t row_idx[ROWS];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	tl_arena_init(&p->arena, (size_t)64 << 20);
	assert_int_equal(tl_batch_init(&p->batch, &p->arena, ROWS), TL_OK);
	p->batch.row_count = ROWS;
	for (uint32_t i = 0; i < ROWS; i++)
		p->row_idx[i] = i;
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	tl_arena_fini(&p->arena);
	free(p);
	return 0;
}

static void
set(struct place *p, enum tl_column column, uint32_t row_idx, int64_t value)
{
	assert_int_equal(tl_batch_set(&p->batch, column, row_idx, value), TL_OK);
}

/* Every row has the columns of its origin's first row. */
static void
find(struct place *p, uint32_t count)
{
	assert_int_equal(
		tl_origins_find(&p->batch, p->row_idx, count, &p->arena, &p->origins), TL_OK);
	assert_true(p->origins.count >= 1);
	assert_true(p->origins.count <= count);
	for (uint32_t i = 0; i < count; i++) {
		int64_t origin = p->origins.of_row[i];

		assert_true(origin >= 0 && origin < p->origins.count);
		for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
			if (tl_column_is_of_origin(column))
				assert_true(
					tl_batch_get(&p->batch, column, p->row_idx[i]) ==
					tl_batch_get(&p->batch, column, p->origins.row[origin]));
		}
	}
}

static void
rows_that_have_all_in_common_are_one(void **state)
{
	struct place *p = *state;

	for (uint32_t i = 0; i < ROWS; i++) {
		set(p, TL_COL_SESSION, i, i % 7);
		set(p, TL_COL_MEMBER, i, i % 7 / 2);
		set(p, TL_COL_INPUT, i, i); /* not of an origin */
	}
	find(p, ROWS);
	assert_int_equal(p->origins.count, 7);
	for (uint32_t i = 0; i < ROWS; i++)
		assert_int_equal(p->origins.of_row[i], i % 7); /* in the order of the first */
}

static void
each_column_of_an_origin_tells_rows_apart(void **state)
{
	struct place *p = *state;

	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		if (!tl_column_is_of_origin(column))
			continue;
		set(p, column, 3, 77);
		find(p, 5);
		assert_int_equal(p->origins.count, 2);
		assert_int_equal(p->origins.of_row[3], 1);
		assert_int_equal(p->origins.of_row[4], 0);
		set(p, column, 3, tl_column_default(column));
		p->batch.column[column] = NULL;
	}
}

static void
rows_without_any_of_them_are_one(void **state)
{
	struct place *p = *state;

	find(p, ROWS);
	assert_int_equal(p->origins.count, 1);
	find(p, 1);
	assert_int_equal(p->origins.count, 1);
}

static void
only_the_rows_that_are_listed_count(void **state)
{
	struct place *p = *state;

	for (uint32_t i = 0; i < ROWS; i++)
		set(p, TL_COL_SESSION, i, i);
	p->row_idx[0] = 900;
	p->row_idx[1] = 3;
	p->row_idx[2] = 900;
	find(p, 3);
	assert_int_equal(p->origins.count, 2);
	assert_int_equal(p->origins.row[0], 900);
	assert_int_equal(p->origins.of_row[2], 0);
}

/* Numbers chosen so that all of them fall into one slot: right, and no slower for it. */
static void
names_that_fall_together_are_survived(void **state)
{
	struct place *p = *state;
	uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t inverse = 1;

	factor *= factor;
	for (int i = 0; i < 6; i++) /* doubles the bits that are right */
		inverse *= 2 - factor * inverse;
	assert_true(factor * inverse == 1);
	for (uint32_t i = 0; i < ROWS; i++)
		set(p, TL_COL_PR, i, (int64_t)(inverse * (1 + i % (ROWS / 2))));
	find(p, ROWS);
	assert_true(p->origins.count > ROWS / 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(rows_that_have_all_in_common_are_one),
		TEST(each_column_of_an_origin_tells_rows_apart),
		TEST(rows_without_any_of_them_are_one),
		TEST(only_the_rows_that_are_listed_count),
		TEST(names_that_fall_together_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
