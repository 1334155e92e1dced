#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "schema/model/rank.h"

#define CONTENDERS_MAX 6

static const struct {
	const char *says;
	size_t count;
	struct {
		int64_t value;
		const char *name;
		uint8_t tier;
	} in[CONTENDERS_MAX];
	struct {
		uint32_t idx;
		uint32_t rank;
	} out[CONTENDERS_MAX];
} boards[] = {
	{"nobody", 0, {{0, NULL, 0}}, {{0, 0}}},
	{"one alone is first", 1, {{5, "a", 0}}, {{0, 1}}},
	{"one alone without usage has no rank", 1, {{0, "a", 1}}, {{0, 0}}},
	{"more is better", 3, {{1, "a", 0}, {3, "b", 0}, {2, "c", 0}}, {{1, 1}, {2, 2}, {0, 3}}},
	{"equal values share a rank and the next is skipped", 3,
		{{7, "b", 0}, {7, "a", 0}, {1, "c", 0}}, {{1, 1}, {0, 1}, {2, 3}}},
	{"three share the second", 5,
		{{9, "e", 0}, {5, "d", 0}, {5, "c", 0}, {5, "b", 0}, {1, "a", 0}},
		{{0, 1}, {3, 2}, {2, 2}, {1, 2}, {4, 5}}},
	{"value 0 with a request is ranked", 2, {{0, "a", 0}, {4, "b", 0}}, {{1, 1}, {0, 2}}},
	{"those without a request follow, whatever their value", 3,
		{{100, "a", 1}, {1, "b", 0}, {0, "c", 0}}, {{1, 1}, {2, 2}, {0, 0}}},
	{"pending after those without usage, by name", 4,
		{{0, "d", 2}, {0, "c", 2}, {0, "z", 1}, {0, "y", 1}},
		{{3, 0}, {2, 0}, {1, 0}, {0, 0}}},
	{"a prefix stands before what it begins", 2, {{1, "ab", 0}, {1, "a", 0}}, {{1, 1}, {0, 1}}},
	{"names compare as bytes", 2, {{1, "\xc3\xa4", 0}, {1, "z", 0}}, {{1, 1}, {0, 1}}},
	{"equal names keep the caller's order", 3, {{1, "a", 0}, {1, "a", 0}, {1, "a", 0}},
		{{0, 1}, {1, 1}, {2, 1}}},
	{"the extremes of a value do not overflow", 2, {{INT64_MIN, "a", 0}, {INT64_MAX, "b", 0}},
		{{1, 1}, {0, 2}}},
};

static void
boards_are_ranked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(boards) / sizeof(boards[0]); i++) {
		struct tl_contender contenders[CONTENDERS_MAX] = {0};

		for (size_t k = 0; k < boards[i].count; k++) {
			contenders[k].value = boards[i].in[k].value;
			contenders[k].name = tl_slice_str(boards[i].in[k].name);
			contenders[k].tier = boards[i].in[k].tier;
			contenders[k].idx = (uint32_t)k;
			contenders[k].rank = 99;
		}
		tl_rank(contenders, boards[i].count);
		for (size_t k = 0; k < boards[i].count; k++) {
			if (contenders[k].idx != boards[i].out[k].idx ||
				contenders[k].rank != boards[i].out[k].rank)
				fail_msg("%s: place %zu is %u with rank %u", boards[i].says, k,
					contenders[k].idx, contenders[k].rank);
		}
	}
}

/* Any arrival order gives the same board. */
static void
the_order_does_not_depend_on_the_order_before(void **state)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	struct tl_contender first[512];

	(void)state;
	srand(7);
	for (uint32_t i = 0; i < 512; i++)
		first[i] = (struct tl_contender){.value = rand() % 5,
			.name = tl_slice_str(names[rand() % 8]),
			.tier = (uint8_t)(rand() % 3),
			.idx = i};
	for (int round = 0; round < 20; round++) {
		struct tl_contender sorted[512];
		struct tl_contender shuffled[512];

		memcpy(sorted, first, sizeof(sorted));
		memcpy(shuffled, first, sizeof(shuffled));
		for (size_t i = 511; i > 0; i--) {
			size_t k = (size_t)rand() % (i + 1);
			struct tl_contender held = shuffled[i];

			shuffled[i] = shuffled[k];
			shuffled[k] = held;
		}
		tl_rank(sorted, 512);
		tl_rank(shuffled, 512);
		for (size_t i = 0; i < 512; i++) {
			assert_int_equal(sorted[i].idx, shuffled[i].idx);
			assert_int_equal(sorted[i].rank, shuffled[i].rank);
		}
	}
}

static const struct {
	const char *says;
	uint32_t rank;
	int64_t value;
	const char *badge;
} badges[] = {
	{"the first", 1, 1, "gold"},
	{"the second", 2, 1, "silver"},
	{"the third", 3, INT64_MAX, "bronze"},
	{"the fourth has none", 4, 1, NULL},
	{"without rank there is none", 0, 1, NULL},
	{"the first with nothing has none", 1, 0, NULL},
	{"nor with less than nothing", 1, -1, NULL},
	{"a rank far down", UINT32_MAX, 1, NULL},
};

static void
badges_go_to_the_first_three(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(badges) / sizeof(badges[0]); i++) {
		const char *badge = tl_rank_badge(badges[i].rank, badges[i].value);

		if (badges[i].badge == NULL ? badge != NULL
					    : badge == NULL || strcmp(badge, badges[i].badge) != 0)
			fail_msg("%s: %s", badges[i].says, badge);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boards_are_ranked),
		cmocka_unit_test(the_order_does_not_depend_on_the_order_before),
		cmocka_unit_test(badges_go_to_the_first_three),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
