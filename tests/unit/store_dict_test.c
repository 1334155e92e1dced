#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/dict.h"
#include "schema/store/dict_row.h"
#include "schema/store/key.h"
#include "tests/unit/store_golden.h"
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
	assert_int_equal(tl_dict_put(p->dict, p->write), TL_OK);
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

static void
assert_name(
	struct place *p, uint32_t org, enum tl_name_kind kind, uint32_t id, struct tl_slice name)
{
	struct scratch *s = p->s;

	assert_int_equal(tl_dict_name(s->store, NULL, org, kind, id, &s->buf, &s->why), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), name));
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

/* Names of the write that is on its way are known while the next one gets its names. */
static void
two_writes_may_be_on_their_way(void **state)
{
	static const size_t cache_counts[] = {0, 4, 50};
	struct place *p = *state;
	struct tl_write *writes[2] = {p->write, NULL};

	assert_int_equal(tl_write_new(p->s->store, &writes[1]), TL_OK);
	for (uint32_t round = 0; round < 3; round++) {
		uint32_t org = 10 + round;

		tl_dict_free(p->dict);
		assert_int_equal(tl_dict_new(p->s->store, cache_counts[round], &p->dict), TL_OK);
		for (uint32_t w = 0; w < 10; w++) {
			uint32_t first = w < 2 ? 0 : (w - 2) * 10;

			p->write = writes[w % 2];
			for (uint32_t i = first; i < w * 10 + 10; i++)
				assert_int_equal(
					id_of(p, org, TL_NAME_SESSION, numbered(i)), i + 1);
			assert_int_equal(tl_dict_put(p->dict, p->write), TL_OK);
			if (w > 0)
				assert_int_equal(
					tl_write_commit(writes[1 - w % 2], TL_SYNC, &p->s->why),
					TL_OK);
		}
		assert_int_equal(tl_write_commit(p->write, TL_SYNC, &p->s->why), TL_OK);
		assert_int_equal(count_of(p, org, TL_NAME_SESSION), 100);
		for (uint32_t i = 0; i < 100; i++)
			assert_name(p, org, TL_NAME_SESSION, i + 1, numbered(i));
	}
	tl_write_free(writes[0]);
	p->write = writes[1];
}

static void
a_known_name_is_made_by_nobody(void **state)
{
	struct place *p = *state;
	uint32_t id = 77;

	assert_int_equal(id_of(p, 1, TL_NAME_REPO, tl_slice_str("a/b")), 1);
	/* Not in the store yet. */
	assert_int_equal(
		tl_dict_known(p->dict, 1, TL_NAME_REPO, tl_slice_str("a/b"), &id, &p->s->why),
		TL_OK);
	assert_int_equal(id, 1);
	commit(p);
	close_dict(p);
	open_dict(p, 10);
	assert_int_equal(
		tl_dict_known(p->dict, 1, TL_NAME_REPO, tl_slice_str("a/b"), &id, &p->s->why),
		TL_OK);
	assert_int_equal(
		tl_dict_known(p->dict, 1, TL_NAME_REPO, tl_slice_str("a/c"), &id, &p->s->why),
		TL_ENOT_FOUND);
	assert_int_equal(count_of(p, 1, TL_NAME_REPO), 1);
}

/* More than a row holds, of two kinds in turn, every second a UUID. */
static void
many_names_of_one_write_are_read_by_id(void **state)
{
	struct place *p = *state;
	char uuid[TL_UUID_TEXT_BYTES + 1];

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 1000; i++) {
			snprintf(uuid, sizeof(uuid), "%08x-0000-4000-8000-00000000000%u", i, round);
			assert_int_equal(id_of(p, 1, TL_NAME_SESSION, tl_slice_str(uuid)),
				round * 2000 + 2 * i + 1);
			uuid[35] = 'X';
			assert_int_equal(id_of(p, 1, TL_NAME_REPO, tl_slice_str(uuid)), i + 1);
			uuid[0] = round == 0 ? 'Y' : 'Z';
			assert_int_equal(id_of(p, 1, TL_NAME_SESSION, tl_slice_str(uuid)),
				round * 2000 + 2 * i + 2);
		}
		commit(p);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(uuid, sizeof(uuid), "%08x-0000-4000-8000-000000000001", i);
		assert_name(p, 1, TL_NAME_SESSION, 2000 + 2 * i + 1, tl_slice_str(uuid));
		uuid[35] = 'X';
		assert_name(p, 1, TL_NAME_REPO, i + 1, tl_slice_str(uuid));
	}
	assert_int_equal(
		tl_dict_name(p->s->store, NULL, 1, TL_NAME_SESSION, 4001, &p->s->buf, &p->s->why),
		TL_ENOT_FOUND);
	close_dict(p);
	open_dict(p, 10);
	assert_int_equal(count_of(p, 1, TL_NAME_SESSION), 4000);
	assert_int_equal(count_of(p, 1, TL_NAME_REPO), 1000);
}

static void
a_row_of_names_has_its_golden_bytes(void **state)
{
	static const char *const names[] = {
		"opus", "00112233-4455-6677-8899-aabbccddeeff", "", "a/b"};
	char text[TL_UUID_TEXT_BYTES + 1];
	struct tl_slice rest, name;
	struct tl_buf row;

	(void)state;
	tl_buf_init(&row, 0);
	for (size_t i = 0; i < 4; i++)
		tl_dict_row_put(&row, tl_slice_str(names[i]));
	golden_check("tests/golden/dict.hex", "names", tl_buf_slice(&row));
	rest = tl_buf_slice(&row);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(tl_dict_row_next(&rest, text, &name), TL_OK);
		assert_true(tl_slice_eq(name, tl_slice_str(names[i])));
	}
	assert_int_equal(tl_dict_row_next(&rest, text, &name), TL_EEND);
	for (size_t bytes = 1; bytes < row.bytes; bytes++) {
		enum tl_err err = TL_OK;

		rest = tl_slice_of(row.data, bytes);
		while (!err)
			err = tl_dict_row_next(&rest, text, &name);
		assert_true(err == TL_ESTORAGE_CORRUPT || bytes == 5 || bytes == 22 || bytes == 23);
	}
	tl_buf_fini(&row);
}

static void
one_spelling_is_a_uuid(void **state)
{
	static const char given[] = "00112233-4455-6677-8899-aabbccddeeff";
	char text[TL_UUID_TEXT_BYTES + 1];
	uint8_t uuid[TL_UUID_BYTES];

	(void)state;
	for (size_t i = 0; i < TL_UUID_TEXT_BYTES; i++) {
		for (unsigned int c = 0; c < 256; c++) {
			bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

			memcpy(text, given, sizeof(text));
			text[i] = (char)c;
			assert_int_equal(tl_uuid_pack(tl_slice_of(text, TL_UUID_TEXT_BYTES), uuid),
				given[i] == '-' ? c == '-' : is_digit);
		}
	}
	assert_false(tl_uuid_pack(tl_slice_of(given, TL_UUID_TEXT_BYTES - 1), uuid));
	assert_true(tl_uuid_pack(tl_slice_str(given), uuid));
	tl_uuid_text(uuid, text);
	assert_string_equal(text, given);
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
	put_row(p, tl_key_dict_id(2, TL_NAME_MODEL, 1), tl_slice_str("abcde"));
	put_row(p, tl_key_dict_id(3, TL_NAME_MODEL, 1), tl_slice_of(NULL, 0));
	assert_int_equal(tl_dict_find(p->s->store, NULL, 1, TL_NAME_MODEL, tl_slice_str("short"),
				 &id, &p->s->why),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(tl_dict_id(p->dict, 1, TL_NAME_MODEL, tl_slice_str("zero"), p->write, &id,
				 &p->s->why),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(tl_dict_id(p->dict, 2, TL_NAME_MODEL, tl_slice_str("new"), p->write, &id,
				 &p->s->why),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(
		tl_dict_count(p->dict, 3, TL_NAME_MODEL, &id, &p->s->why), TL_ESTORAGE_CORRUPT);
	assert_int_equal(
		tl_dict_name(p->s->store, NULL, 2, TL_NAME_MODEL, 1, &p->s->buf, &p->s->why),
		TL_ESTORAGE_CORRUPT);
	assert_int_equal(id, 77);
}

static void
the_last_id_is_given_once(void **state)
{
	struct place *p = *state;
	uint32_t id = 77;

	put_row(p, tl_key_dict_id(1, TL_NAME_MODEL, UINT32_MAX - 2), tl_slice_str("\2a\2b"));
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
		TEST(two_writes_may_be_on_their_way),
		TEST(a_known_name_is_made_by_nobody),
		TEST(many_names_of_one_write_are_read_by_id),
		TEST(a_row_of_names_has_its_golden_bytes),
		TEST(one_spelling_is_a_uuid),
		TEST(a_damaged_row_is_told),
		TEST(the_last_id_is_given_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
