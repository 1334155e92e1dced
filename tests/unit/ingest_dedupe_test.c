#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "ingest/dedupe.h"
#include "schema/base/crypt.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MIB ((size_t)1 << 20)

static void
make_id(uint64_t no, uint8_t id_out[16])
{
	memset(id_out, 0, 16);
	tl_put_be64(id_out, no);
	tl_put_be64(id_out + 8, ~no);
}

static struct dedupe_slot *
claim(struct dedupe *dedupe, uint32_t org, uint64_t no, bool *is_new_out)
{
	uint8_t id[16];
	struct dedupe_key key;

	make_id(no, id);
	key = dedupe_key_of(dedupe, org, id);
	return dedupe_claim(dedupe, &key, is_new_out);
}

static bool
claim_at(struct dedupe *dedupe, uint32_t org, uint64_t no, uint64_t group_no)
{
	struct dedupe_slot *slot;
	bool is_new;

	assert_int_equal(dedupe_reserve(dedupe, 1), TL_OK);
	slot = claim(dedupe, org, no, &is_new);
	if (is_new)
		slot->place = dedupe_place_pack((struct dedupe_place){.group_no = group_no});
	return is_new;
}

static void
an_id_is_new_once(void **state)
{
	struct dedupe *dedupe;

	(void)state;
	assert_int_equal(dedupe_new(MIB, &dedupe), TL_OK);
	assert_true(claim_at(dedupe, 1, 7, 1));
	assert_false(claim_at(dedupe, 1, 7, 2));
	assert_int_equal(dedupe_count(dedupe), 1);
	dedupe_free(dedupe);
}

/* Through many sizes of the index, with claims taken back among them. */
static void
growing_keeps_every_id_and_its_place(void **state)
{
	const uint64_t count = 500000;
	struct dedupe *dedupe;
	bool is_new;

	(void)state;
	assert_int_equal(dedupe_new(64 * MIB, &dedupe), TL_OK);
	for (uint64_t no = 0; no < count; no++) {
		assert_true(claim_at(dedupe, 1, no, no));
		if (no % 3 == 0)
			dedupe_unclaim(dedupe, claim(dedupe, 1, no, &is_new));
	}
	assert_int_equal(dedupe_count(dedupe), count - (count + 2) / 3);
	assert_int_equal(dedupe_reserve(dedupe, count), TL_OK);
	for (uint64_t no = 0; no < count; no++) {
		struct dedupe_slot *slot = claim(dedupe, 1, no, &is_new);

		assert_int_equal(is_new, no % 3 == 0);
		if (!is_new)
			assert_int_equal(dedupe_place_of(slot).group_no, no);
	}
	dedupe_free(dedupe);
}

static void
the_same_id_in_another_org_is_another_id(void **state)
{
	struct dedupe *dedupe;

	(void)state;
	assert_int_equal(dedupe_new(MIB, &dedupe), TL_OK);
	assert_true(claim_at(dedupe, 1, 7, 1));
	assert_true(claim_at(dedupe, 2, 7, 1));
	assert_false(claim_at(dedupe, 2, 7, 1));
	dedupe_free(dedupe);
}

static void
a_place_survives_packing(void **state)
{
	static const struct dedupe_place places[] = {
		{.group_no = 0},
		{.group_no = 1, .block_no = 2, .row_idx = 3},
		{.group_no = (1ull << 38) - 2, .block_no = 1023, .row_idx = UINT16_MAX},
		{.group_no = 1ull << 37, .row_idx = UINT16_MAX},
		{.group_no = 12345, .block_no = 1023},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		struct dedupe_slot slot = {.place = dedupe_place_pack(places[i])};
		struct dedupe_place place = dedupe_place_of(&slot);

		assert_int_equal(place.group_no, places[i].group_no);
		assert_int_equal(place.block_no, places[i].block_no);
		assert_int_equal(place.row_idx, places[i].row_idx);
	}
}

static void
ids_stay_known_while_the_table_grows(void **state)
{
	struct dedupe *dedupe;
	const uint64_t count = 300000;

	(void)state;
	assert_int_equal(dedupe_new(64 * MIB, &dedupe), TL_OK);
	for (uint64_t no = 0; no < count; no++)
		assert_true(claim_at(dedupe, (uint32_t)(no % 3) + 1, no, no + 1));
	assert_int_equal(dedupe_count(dedupe), count);
	for (uint64_t no = 0; no < count; no++) {
		bool is_new;
		struct dedupe_slot *slot = claim(dedupe, (uint32_t)(no % 3) + 1, no, &is_new);

		assert_false(is_new);
		assert_int_equal(dedupe_place_of(slot).group_no, no + 1);
	}
	dedupe_free(dedupe);
}

static void
slots_stay_where_they_are_while_the_table_grows(void **state)
{
	struct dedupe *dedupe;
	struct dedupe_slot *slots[3000];
	bool is_new;

	(void)state;
	assert_int_equal(dedupe_new(16 * MIB, &dedupe), TL_OK);
	assert_int_equal(dedupe_reserve(dedupe, COUNT(slots)), TL_OK);
	for (uint64_t no = 0; no < COUNT(slots); no++) {
		slots[no] = claim(dedupe, 1, no, &is_new);
		assert_true(is_new);
		/* Every third is taken back, which must not move the others. */
		if (no % 3 == 2)
			dedupe_unclaim(dedupe, slots[no]);
	}
	assert_int_equal(dedupe_reserve(dedupe, 200000), TL_OK);
	for (uint64_t no = 0; no < COUNT(slots); no++) {
		if (no % 3 == 2)
			continue;
		assert_ptr_equal(claim(dedupe, 1, no, &is_new), slots[no]);
		assert_false(is_new);
	}
	dedupe_free(dedupe);
}

static void
a_claim_that_was_taken_back_is_new_again(void **state)
{
	struct dedupe *dedupe;
	struct dedupe_slot *slot;
	bool is_new;

	(void)state;
	assert_int_equal(dedupe_new(MIB, &dedupe), TL_OK);
	for (int round = 0; round < 100000; round++) {
		assert_int_equal(dedupe_reserve(dedupe, 2), TL_OK);
		(void)claim(dedupe, 1, (uint64_t)round % 3000, &is_new);
		slot = claim(dedupe, 2, (uint64_t)round, &is_new);
		assert_true(is_new);
		dedupe_unclaim(dedupe, slot);
	}
	assert_int_equal(dedupe_count(dedupe), 3000);
	/* What was taken back is used again: 3,001 slots, and the index of the smallest table. */
	assert_int_equal(dedupe_bytes(dedupe), 3001 * sizeof(*slot) + 4096 * 8);
	dedupe_free(dedupe);
}

static void
expiry_forgets_groups_before_the_one_named_and_no_other(void **state)
{
	struct dedupe *dedupe;
	const uint64_t count = 20000;

	(void)state;
	assert_int_equal(dedupe_new(4 * MIB, &dedupe), TL_OK);
	for (uint64_t no = 0; no < count; no++)
		assert_true(claim_at(dedupe, 1, no, no / 100));
	dedupe_expire(dedupe, 150);
	assert_int_equal(dedupe_count(dedupe), count - 15000);
	for (uint64_t no = 0; no < count; no++)
		assert_int_equal(claim_at(dedupe, 1, no, 300), no < 15000);
	/* Nor does it forget what is free. */
	dedupe_expire(dedupe, UINT64_MAX >> DEDUPE_GROUP_SHIFT);
	assert_int_equal(dedupe_count(dedupe), 0);
	dedupe_expire(dedupe, UINT64_MAX >> DEDUPE_GROUP_SHIFT);
	for (uint64_t no = 0; no < count; no++)
		assert_true(claim_at(dedupe, 1, no, 300));
	dedupe_free(dedupe);
}

/* What each id should be: its group, 0: not there. */
#define MODEL_IDS 6000u

static uint64_t random_state;

static uint64_t
next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 33;
}

static void
claim_or_take_back(struct dedupe *dedupe, uint64_t *groups, uint64_t group_no)
{
	uint64_t no = next_random() % MODEL_IDS;
	struct dedupe_slot *slot;
	bool is_new;

	assert_int_equal(dedupe_reserve(dedupe, 1), TL_OK);
	slot = claim(dedupe, (uint32_t)(no % 3) + 1, no / 3, &is_new);
	assert_int_equal(is_new, groups[no] == 0);
	if (!is_new)
		assert_int_equal(dedupe_place_of(slot).group_no, groups[no]);
	groups[no] = next_random() % 3 == 0 ? 0 : group_no;
	if (groups[no] == 0)
		dedupe_unclaim(dedupe, slot);
	else
		slot->place = dedupe_place_pack((struct dedupe_place){.group_no = group_no});
}

/* The table stays at nearly as many ids as its index can have, so runs are long and often cut. */
static void
random_claims_agree_with_a_plain_list(void **state)
{
	static uint64_t groups[MODEL_IDS];
	struct dedupe *dedupe;
	const char *seed = getenv("SEED");
	uint64_t count = 0;

	(void)state;
	tl_random(&random_state, sizeof(random_state));
	if (seed != NULL && seed[0] != '\0')
		random_state = strtoull(seed, NULL, 10);
	print_message("seed %llu\n", (unsigned long long)random_state);
	assert_int_equal(dedupe_new(MIB, &dedupe), TL_OK);
	for (uint64_t group_no = 1; group_no <= 300; group_no++) {
		for (uint32_t i = 0; i < 1000; i++)
			claim_or_take_back(dedupe, groups, group_no);
		if (group_no % 50 != 0)
			continue;
		dedupe_expire(dedupe, group_no - 3);
		for (uint64_t no = 0; no < MODEL_IDS; no++) {
			if (groups[no] < group_no - 3)
				groups[no] = 0;
		}
	}
	for (uint64_t no = 0; no < MODEL_IDS; no++) {
		uint8_t id[16];
		struct dedupe_key key;
		const struct dedupe_slot *slot;

		make_id(no / 3, id);
		key = dedupe_key_of(dedupe, (uint32_t)(no % 3) + 1, id);
		slot = dedupe_find(dedupe, &key);
		assert_int_equal(slot != NULL, groups[no] != 0);
		if (slot != NULL)
			assert_int_equal(dedupe_place_of(slot).group_no, groups[no]);
		count += groups[no] != 0;
	}
	assert_int_equal(dedupe_count(dedupe), count);
	dedupe_free(dedupe);
}

static void
the_cap_refuses_and_drops_nothing(void **state)
{
	struct dedupe *dedupe;
	uint64_t count = 0;

	(void)state;
	assert_int_equal(dedupe_new(MIB, &dedupe), TL_OK);
	while (dedupe_reserve(dedupe, 1) == TL_OK)
		assert_true(claim_at(dedupe, 1, count++, 1));
	/* 28 bytes a slot and, 7/8 full, 9.1 in the index. */
	assert_int_equal(count, MIB / 38);
	assert_in_range(dedupe_bytes(dedupe), MIB / 100 * 97, MIB);
	assert_int_equal(dedupe_reserve(dedupe, 1), TL_EID_INDEX_FULL);
	for (uint64_t no = 0; no < count; no++) {
		bool is_new;

		(void)claim(dedupe, 1, no, &is_new);
		assert_false(is_new);
	}
	/* What expires makes room. */
	dedupe_expire(dedupe, 2);
	assert_int_equal(dedupe_reserve(dedupe, 1000), TL_OK);
	dedupe_free(dedupe);
}

static void
a_reserve_past_the_cap_in_one_step_is_refused(void **state)
{
	struct dedupe *dedupe;

	(void)state;
	assert_int_equal(dedupe_new(MIB, &dedupe), TL_OK);
	assert_int_equal(dedupe_reserve(dedupe, UINT32_MAX), TL_EID_INDEX_FULL);
	assert_int_equal(dedupe_reserve(dedupe, 27594), TL_OK);
	assert_int_equal(dedupe_reserve(dedupe, 27595), TL_EID_INDEX_FULL);
	dedupe_free(dedupe);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_is_new_once),
		cmocka_unit_test(growing_keeps_every_id_and_its_place),
		cmocka_unit_test(the_same_id_in_another_org_is_another_id),
		cmocka_unit_test(a_place_survives_packing),
		cmocka_unit_test(ids_stay_known_while_the_table_grows),
		cmocka_unit_test(slots_stay_where_they_are_while_the_table_grows),
		cmocka_unit_test(a_claim_that_was_taken_back_is_new_again),
		cmocka_unit_test(expiry_forgets_groups_before_the_one_named_and_no_other),
		cmocka_unit_test(random_claims_agree_with_a_plain_list),
		cmocka_unit_test(the_cap_refuses_and_drops_nothing),
		cmocka_unit_test(a_reserve_past_the_cap_in_one_step_is_refused),
	};

	if (tl_crypt_init() != TL_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
