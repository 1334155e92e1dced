#include "rollup/mark.h"
#include "rollup/repair.h"
#include "schema/store/flush.h"
#include "tests/unit/rollup_world.h"

#define T0 (DAY0 + 10 * TL_HOUR_MS)

static int
set_up(void **state)
{
	*state = world_new();
	return 0;
}

static int
tear_down(void **state)
{
	world_free(*state);
	return 0;
}

static struct event
request(uint32_t org, uint64_t id, uint32_t session, int64_t ts)
{
	return (struct event){.org = org,
		.id = id,
		.session = session,
		.ts = ts,
		.member = 3,
		.agent = 4,
		.model = 5,
		.input = 100,
		.cost = 7};
}

/* Some hours of two sessions of an org, a link that moves one of them, a correction. */
static void
push_work(struct world *world, uint32_t org, uint64_t first_id)
{
	uint32_t repo = world_name(world, org, TL_NAME_REPO, "acme/app");
	struct event link = {.org = org,
		.id = first_id + 20,
		.session = 8,
		.ts = T0,
		.kind = TL_KIND_LINK,
		.op = TL_LINK_SET_REPO,
		.repo = repo};
	struct event corrected = request(org, first_id, 8, T0);

	for (uint64_t i = 0; i < 10; i++)
		world_push_one(world,
			request(org, first_id + i, 8 + i % 2, T0 + (int64_t)i * TL_HOUR_MS / 2));
	world_push_one(world, link);
	corrected.rev = 1;
	corrected.cost = 70;
	world_push_one(world, corrected);
}

static void
take_flush_point(struct world *world)
{
	rollup_flush_begins(world->rollup);
	must(tl_flush_point(world->store, world->dir, &world->why));
	rollup_flush_ended(world->rollup);
}

/* The org's rows of a family as the flush point has them, or none. */
static void
put_back(struct world *world, struct tl_store *point, enum tl_family family, uint32_t org)
{
	struct tl_key first = tl_key_org(org);
	struct tl_key last = tl_key_org_end(org);
	struct tl_store *stores[] = {world->store, point};

	for (int i = 0; i < 2; i++) {
		struct tl_scan *scan;
		struct tl_slice key;
		struct tl_slice value;

		if (stores[i] == NULL)
			continue;
		must(tl_scan_open(stores[i], NULL, family, tl_key_slice(&first),
			tl_key_slice(&last), &scan, &world->why));
		while (tl_scan_next(scan, &key, &value, &world->why) == TL_OK) {
			if (i == 0)
				tl_write_delete(world->write, family, key);
			else
				tl_write_put(world->write, family, key, value);
		}
		tl_scan_free(scan);
	}
}

/* What a lost log leaves: no row of the step, and all it wrote for the org as it was before. */
static void
lose_step(struct world *world, uint64_t step_no, uint32_t org)
{
	struct tl_store *point = NULL;
	struct tl_key key;
	char name[32];
	enum tl_err err = tl_flush_open(world->dir, &point, NULL);

	assert_true(err == TL_OK || err == TL_ENOT_FOUND);
	for (size_t i = 0; i < mark_derived_count; i++)
		put_back(world, point, mark_derived[i], org);
	snprintf(name, sizeof(name), "rollup.step.%016" PRIx64, step_no);
	key = tl_key_mark(name);
	tl_write_delete(world->write, TL_FAMILY_MARK, tl_key_slice(&key));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	tl_store_close(point);
	must(rollup_publish_as_found(world->store, &world->why));
}

static enum repair
start(struct world *world)
{
	enum repair repair;

	rollup_free(world->rollup);
	must(repair_derived(world->store, world->dir, &repair, &world->why));
	must(rollup_new(world->store, &world->rollup, &world->why));
	if (repair == REPAIR_REBUILD)
		must(rollup_rebuild(world->rollup, &world->why));
	world_fold(world);
	return repair;
}

static struct tl_mark
mark_of(struct world *world)
{
	struct tl_mark mark;

	must(mark_read(world->store, &mark, &world->why));
	return mark;
}

/* Work of org 1, folded in a step that is lost, between that of org 2, which is not. */
static void
work_and_lose(struct world *world)
{
	uint64_t lost_step_no;

	push_work(world, 1, 1000);
	world_fold(world);
	lost_step_no = mark_of(world).step_no;
	push_work(world, 2, 1000);
	world_fold(world);
	lose_step(world, lost_step_no, 1);
}

static struct tl_buf
dump_of(struct world *world)
{
	struct tl_buf dump;

	world_dump(world, DUMP_EXACT, &dump);
	return dump;
}

/* That it has the bytes of a world where nothing was lost. */
static void
assert_whole(struct world *world)
{
	struct tl_buf repaired = dump_of(world);
	struct tl_buf rebuilt;

	world_audit_clean(world);
	must(rollup_rebuild(world->rollup, &world->why));
	rebuilt = dump_of(world);
	assert_true(tl_slice_eq(tl_buf_slice(&repaired), tl_buf_slice(&rebuilt)));
	tl_buf_fini(&repaired);
	tl_buf_fini(&rebuilt);
}

static void
steps_lost_since_the_flush_point_are_folded_again(void **state)
{
	struct world *world = *state;

	push_work(world, 1, 1);
	push_work(world, 2, 1);
	world_fold(world);
	take_flush_point(world);
	work_and_lose(world);
	assert_int_not_equal(world_audit(world).differences, 0);
	assert_int_equal(start(world), REPAIR_FLUSH_POINT);
	assert_int_equal(mark_of(world).group_no, world->group_no);
	assert_whole(world);
	assert_int_equal(start(world), REPAIR_NONE);
}

static void
without_a_flush_point_everything_is_folded_again(void **state)
{
	struct world *world = *state;

	push_work(world, 2, 1);
	world_fold(world);
	work_and_lose(world);
	assert_int_equal(start(world), REPAIR_REBUILD);
	assert_whole(world);
	assert_int_equal(start(world), REPAIR_NONE);
}

static void
a_flush_point_of_before_a_rebuild_is_not_gone_back_to(void **state)
{
	struct world *world = *state;

	push_work(world, 1, 1);
	world_fold(world);
	take_flush_point(world);
	must(rollup_rebuild(world->rollup, &world->why));
	work_and_lose(world);
	assert_int_equal(start(world), REPAIR_REBUILD);
	assert_whole(world);
}

static void
a_damaged_flush_point_is_not_gone_back_to(void **state)
{
	struct world *world = *state;
	char command[128];

	push_work(world, 1, 1);
	world_fold(world);
	take_flush_point(world);
	work_and_lose(world);
	snprintf(command, sizeof(command), "rm %s/flush/db/MANIFEST*", world->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(start(world), REPAIR_REBUILD);
	assert_whole(world);
}

static void
going_back_that_was_cut_off_begins_again(void **state)
{
	struct world *world = *state;
	struct tl_key restoring = tl_key_mark("rollup.restoring");

	push_work(world, 1, 1);
	world_fold(world);
	take_flush_point(world);
	push_work(world, 1, 1000);
	world_fold(world);
	tl_write_put(world->write, TL_FAMILY_MARK, tl_key_slice(&restoring), tl_slice_of("\1", 1));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	must(tl_store_erase(world->store, TL_FAMILY_CELL_1H, &world->why));
	assert_int_equal(start(world), REPAIR_FLUSH_POINT);
	assert_whole(world);
	assert_int_equal(start(world), REPAIR_NONE);
}

static void
nothing_is_repaired_where_nothing_is_lost(void **state)
{
	struct world *world = *state;

	assert_int_equal(start(world), REPAIR_NONE);
	push_work(world, 1, 1);
	world_fold_slowly(world);
	assert_int_equal(start(world), REPAIR_NONE);
	take_flush_point(world);
	assert_int_equal(start(world), REPAIR_NONE);
	push_work(world, 1, 1000);
	world_fold_slowly(world);
	assert_int_equal(start(world), REPAIR_NONE);
	/* A flush point that began before a rebuild and ends after it. */
	rollup_flush_begins(world->rollup);
	must(rollup_rebuild(world->rollup, &world->why));
	rollup_flush_ended(world->rollup);
	push_work(world, 2, 1);
	world_fold(world);
	assert_int_equal(start(world), REPAIR_NONE);
	assert_whole(world);
}

static void
steps_of_before_a_flush_point_have_no_row(void **state)
{
	struct world *world = *state;
	struct tl_mark mark;

	push_work(world, 1, 1);
	world_fold_slowly(world);
	mark = mark_of(world);
	assert_int_equal(mark.first_step_no, 1);
	assert_int_equal(mark.step_no, world->group_no);
	take_flush_point(world);
	push_work(world, 1, 1000);
	world_fold(world);
	assert_int_equal(mark_of(world).first_step_no, mark.step_no);
	assert_int_equal(mark_of(world).step_no, mark.step_no + 1);
	lose_step(world, 1, 1);
	assert_int_equal(start(world), REPAIR_NONE);
}

/* Written by a program that knew no steps, and one page for a cell. */
static void
derived_rows_of_an_older_form_are_folded_again(void **state)
{
	struct world *world = *state;
	struct tl_key key = tl_key_mark("rollup");
	struct tl_mark mark;

	push_work(world, 1, 1);
	world_fold(world);
	take_flush_point(world);
	mark = mark_of(world);
	tl_write_put(world->write, TL_FAMILY_MARK, tl_key_slice(&key),
		tl_slice_of((uint8_t[]){1, (uint8_t)mark.group_no, (uint8_t)mark.seq}, 3));
	key = tl_key_cell(1, TL_SPAN_1D, DAY0);
	tl_write_put(world->write, TL_FAMILY_CELL_1D, tl_key_slice(&key), tl_slice_str("a page"));
	must(tl_write_commit(world->write, TL_NO_SYNC, &world->why));
	assert_int_equal(mark_of(world).step_no, 0);
	assert_int_equal(start(world), REPAIR_REBUILD);
	assert_whole(world);
	assert_int_not_equal(mark_of(world).step_no, 0);
	assert_int_equal(start(world), REPAIR_NONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(steps_lost_since_the_flush_point_are_folded_again),
		TEST(without_a_flush_point_everything_is_folded_again),
		TEST(a_flush_point_of_before_a_rebuild_is_not_gone_back_to),
		TEST(a_damaged_flush_point_is_not_gone_back_to),
		TEST(going_back_that_was_cut_off_begins_again),
		TEST(nothing_is_repaired_where_nothing_is_lost),
		TEST(steps_of_before_a_flush_point_have_no_row),
		TEST(derived_rows_of_an_older_form_are_folded_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
