#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/dict.h"
#include "schema/store/key.h"
#include "tests/unit/store_scratch.h"

struct place {
	struct scratch *s;
	struct tl_dict *dict;
	struct tl_write *write;
};

static void
open_dict(struct place *p, size_t cache_count_max)
{
	assert_int_equal(tl_dict_new(p->s->store, cache_count_max, &p->dict), TL_OK);
	assert_int_equal(tl_write_new(p->s->store, &p->write), TL_OK);
}

static void
close_dict(struct place *p)
{
	tl_dict_free(p->dict);
	tl_write_free(p->write);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	void *scratch;

	scratch_set_up(&scratch);
	p->s = scratch;
	open_dict(p, 1000);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	void *scratch = p->s;

	close_dict(p);
	scratch_tear_down(&scratch);
	free(p);
	return 0;
}

static void
commit(struct place *p)
{
	assert_int_equal(tl_write_commit(p->write, TL_SYNC, &p->s->why), TL_OK);
}

static uint32_t
id_of(struct place *p, uint32_t org, enum tl_name_kind kind, struct tl_slice name)
{
	uint32_t id = 0;
	enum tl_err err = tl_dict_id(p->dict, org, kind, name, p->write, &id, &p->s->why);

	if (err)
		fail_msg("%s: %s", tl_err_name(err), p->s->why.text);
	return id;
}

static uint32_t
count_of(struct place *p, uint32_t org, enum tl_name_kind kind)
{
	uint32_t count = 77;

	assert_int_equal(tl_dict_count(p->dict, org, kind, &count, &p->s->why), TL_OK);
	return count;
}

static struct tl_slice
numbered(uint32_t no)
{
	static char text[32];

	snprintf(text, sizeof(text), "name %u", no);
	return tl_slice_str(text);
}

static void
ids_count_from_one_per_org_and_kind(void **state)
{
	struct place *p = *state;

	assert_int_equal(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("opus")), 1);
	assert_int_equal(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("haiku")), 2);
	assert_int_equal(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("opus")), 1);
	assert_int_equal(id_of(p, 1, TL_NAME_REPO, tl_slice_str("haiku")), 1);
	assert_int_equal(id_of(p, 2, TL_NAME_MODEL, tl_slice_str("haiku")), 1);
	assert_int_equal(count_of(p, 1, TL_NAME_MODEL), 2);
	assert_int_equal(count_of(p, 1, TL_NAME_REPO), 1);
	assert_int_equal(count_of(p, 3, TL_NAME_MODEL), 0);
}

static void
names_live_on_in_the_store(void **state)
{
	struct place *p = *state;
	struct tl_slice name;
	uint32_t id = 0;

	assert_int_equal(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("opus")), 1);
	commit(p);
	close_dict(p);
	scratch_reopen(p->s);
	open_dict(p, 1000);
	assert_int_equal(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("haiku")), 2);
	assert_int_equal(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("opus")), 1);
	commit(p);
	for (id = 1; id <= 2; id++) {
		assert_int_equal(tl_dict_name(p->s->store, NULL, 1, TL_NAME_MODEL, id, &p->s->buf,
					 &p->s->why),
			TL_OK);
		name = tl_buf_slice(&p->s->buf);
		assert_true(tl_slice_eq(name, tl_slice_str(id == 1 ? "opus" : "haiku")));
	}
	assert_int_equal(
		tl_dict_name(p->s->store, NULL, 1, TL_NAME_MODEL, 3, &p->s->buf, &p->s->why),
		TL_ENOT_FOUND);
	assert_int_equal(
		tl_dict_name(p->s->store, NULL, 2, TL_NAME_MODEL, 1, &p->s->buf, &p->s->why),
		TL_ENOT_FOUND);
}

static void
a_name_is_found_only_where_it_is(void **state)
{
	struct place *p = *state;
	struct tl_view *before;
	uint32_t id = 0;

	assert_int_equal(tl_view_publish(p->s->store, 0, 0, NULL, 0, &p->s->why), TL_OK);
	before = tl_view_pin(p->s->store);
	(void)id_of(p, 1, TL_NAME_MODEL, tl_slice_str("opus"));
	assert_int_equal(tl_dict_find(p->s->store, NULL, 1, TL_NAME_MODEL, tl_slice_str("opus"),
				 &id, &p->s->why),
		TL_ENOT_FOUND); /* not committed */
	commit(p);
	assert_int_equal(tl_dict_find(p->s->store, NULL, 1, TL_NAME_MODEL, tl_slice_str("opus"),
				 &id, &p->s->why),
		TL_OK);
	assert_int_equal(id, 1);
	assert_int_equal(tl_dict_find(p->s->store, before, 1, TL_NAME_MODEL, tl_slice_str("opus"),
				 &id, &p->s->why),
		TL_ENOT_FOUND);
	assert_int_equal(tl_dict_find(p->s->store, NULL, 2, TL_NAME_MODEL, tl_slice_str("opus"),
				 &id, &p->s->why),
		TL_ENOT_FOUND);
	assert_int_equal(tl_dict_find(p->s->store, NULL, 1, TL_NAME_REPO, tl_slice_str("opus"), &id,
				 &p->s->why),
		TL_ENOT_FOUND);
	tl_view_unpin(before);
}

/* At the length where the digest takes over, and one beside it; the name itself is kept whole. */
static void
long_names_are_names(void **state)
{
	static const size_t lengths[] = {1, 127, 128, 129, 130, 2048};
	struct place *p = *state;
	uint8_t name[2048];

	memset(name, 'n', sizeof(name));
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(
			id_of(p, 1, TL_NAME_EMAIL_ENC, tl_slice_of(name, lengths[i])), i + 1);
	commit(p);
	close_dict(p);
	open_dict(p, 1000);
	for (uint32_t i = 0; i < 6; i++) {
		struct tl_slice wanted = tl_slice_of(name, lengths[i]);

		assert_int_equal(id_of(p, 1, TL_NAME_EMAIL_ENC, wanted), i + 1);
		assert_int_equal(tl_dict_name(p->s->store, NULL, 1, TL_NAME_EMAIL_ENC, i + 1,
					 &p->s->buf, &p->s->why),
			TL_OK);
		assert_true(tl_slice_eq(tl_buf_slice(&p->s->buf), wanted));
	}
}

static void
names_of_any_bytes_are_names(void **state)
{
	struct place *p = *state;
	uint8_t bytes[33];

	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(id_of(p, 1, TL_NAME_TAGS, tl_slice_of(bytes, 33)), 1);
	assert_int_equal(id_of(p, 1, TL_NAME_TAGS, tl_slice_of(bytes, 32)), 2);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(id_of(p, 1, TL_NAME_TAGS, tl_slice_of(bytes, 1)), 3);
	assert_int_equal(id_of(p, 1, TL_NAME_TAGS, tl_slice_of(bytes, 2)), 4);
	commit(p);
	close_dict(p);
	open_dict(p, 1000);
	assert_int_equal(id_of(p, 1, TL_NAME_TAGS, tl_slice_of(bytes, 1)), 3);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(id_of(p, 1, TL_NAME_TAGS, tl_slice_of(bytes, 33)), 1);
}

/* Whatever the cache holds: a name made in a write that is not committed keeps its id. */
static void
a_full_cache_forgets_nothing_that_is_not_committed(void **state)
{
	static const size_t cache_counts[] = {0, 1, 3, 50};
	struct place *p = *state;

	for (uint32_t round = 0; round < 4; round++) {
		uint32_t org = 10 + round;

		close_dict(p);
		open_dict(p, cache_counts[round]);
		for (uint32_t i = 0; i < 40; i++)
			assert_int_equal(id_of(p, org, TL_NAME_SESSION, numbered(i)), i + 1);
		for (uint32_t i = 0; i < 40; i++)
			assert_int_equal(id_of(p, org, TL_NAME_SESSION, numbered(i)), i + 1);
		commit(p);
		/* The next write: what the cache lost the store has, and new ones follow. */
		for (uint32_t i = 30; i < 80; i++)
			assert_int_equal(id_of(p, org, TL_NAME_SESSION, numbered(i)), i + 1);
		for (uint32_t i = 0; i < 80; i++)
			assert_int_equal(id_of(p, org, TL_NAME_SESSION, numbered(i)), i + 1);
		commit(p);
		assert_int_equal(count_of(p, org, TL_NAME_SESSION), 80);
	}
	close_dict(p);
	scratch_reopen(p->s);
	open_dict(p, 5);
	for (uint32_t i = 0; i < 80; i++)
		assert_int_equal(id_of(p, 11, TL_NAME_SESSION, numbered(i)), i + 1);
}

static void
another_write_object_is_another_write(void **state)
{
	struct place *p = *state;

	close_dict(p);
	open_dict(p, 2);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(id_of(p, 1, TL_NAME_SESSION, numbered(i)), i + 1);
	commit(p);
	tl_write_free(p->write);
	assert_int_equal(tl_write_new(p->s->store, &p->write), TL_OK);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_equal(id_of(p, 1, TL_NAME_SESSION, numbered(i)), i + 1);
	commit(p);
	assert_int_equal(count_of(p, 1, TL_NAME_SESSION), 12);
}

static void
put_row(struct place *p, struct tl_key key, struct tl_slice value)
{
	tl_write_put(p->write, TL_FAMILY_DICT, tl_key_slice(&key), value);
	commit(p);
}

static void
a_damaged_row_is_told(void **state)
{
	static const uint8_t zero[4] = {0};
	struct place *p = *state;
	uint32_t id = 77;

	put_row(p, tl_key_dict_name(1, TL_NAME_MODEL, tl_slice_str("short")), tl_slice_str("abc"));
	put_row(p, tl_key_dict_name(1, TL_NAME_MODEL, tl_slice_str("zero")), tl_slice_of(zero, 4));
	put_row(p, tl_key_dict_count(2, TL_NAME_MODEL), tl_slice_str("abcde"));
	assert_int_equal(tl_dict_find(p->s->store, NULL, 1, TL_NAME_MODEL, tl_slice_str("short"),
				 &id, &p->s->why),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(tl_dict_id(p->dict, 1, TL_NAME_MODEL, tl_slice_str("zero"), p->write, &id,
				 &p->s->why),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(tl_dict_id(p->dict, 2, TL_NAME_MODEL, tl_slice_str("new"), p->write, &id,
				 &p->s->why),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(id, 77);
}

static void
the_last_id_is_given_once(void **state)
{
	static const uint8_t almost[4] = {0xff, 0xff, 0xff, 0xfe};
	struct place *p = *state;
	uint32_t id = 77;

	put_row(p, tl_key_dict_count(1, TL_NAME_MODEL), tl_slice_of(almost, 4));
	assert_true(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("last")) == UINT32_MAX);
	assert_int_equal(tl_dict_id(p->dict, 1, TL_NAME_MODEL, tl_slice_str("more"), p->write, &id,
				 &p->s->why),
		TL_EFULL);
	assert_true(id_of(p, 1, TL_NAME_MODEL, tl_slice_str("last")) == UINT32_MAX);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(ids_count_from_one_per_org_and_kind),
		TEST(names_live_on_in_the_store),
		TEST(a_name_is_found_only_where_it_is),
		TEST(long_names_are_names),
		TEST(names_of_any_bytes_are_names),
		TEST(a_full_cache_forgets_nothing_that_is_not_committed),
		TEST(another_write_object_is_another_write),
		TEST(a_damaged_row_is_told),
		TEST(the_last_id_is_given_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
