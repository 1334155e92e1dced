#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/view.h"
#include "schema/store/write.h"
#include "tests/unit/store_scratch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
put(struct scratch *s, const char *key, const char *value)
{
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put(write, TL_FAMILY_REGISTRY, tl_slice_str(key), tl_slice_str(value));
	assert_int_equal(tl_write_commit(write, TL_NO_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

/* The pairs as "a=1 b=2 ", in s->buf. */
static const char *
scan_all(struct scratch *s, const struct tl_view *view, const char *first, const char *last)
{
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err;

	tl_buf_reset(&s->buf);
	assert_int_equal(tl_scan_open(s->store, view, TL_FAMILY_REGISTRY, tl_slice_str(first),
				 tl_slice_str(last), &scan, &s->why),
		TL_OK);
	while ((err = tl_scan_next(scan, &key, &value, &s->why)) == TL_OK) {
		tl_buf_put_slice(&s->buf, key);
		tl_buf_put_str(&s->buf, "=");
		tl_buf_put_slice(&s->buf, value);
		tl_buf_put_str(&s->buf, " ");
	}
	assert_int_equal(err, TL_EEND);
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_EEND);
	tl_scan_free(scan);
	tl_buf_put_u8(&s->buf, 0);
	return (const char *)s->buf.data;
}

static const struct {
	const char *name;
	const char *first, *last, *found;
} ranges[] = {
	{"the whole family", "", "", "a=1 ab=2 b=3 \xff=5 "},
	{"from a key that is there", "ab", "", "ab=2 b=3 \xff=5 "},
	{"from a key that is not", "aa", "", "ab=2 b=3 \xff=5 "},
	{"up to a key, which is left out", "", "b", "a=1 ab=2 "},
	{"up to a key that is not there", "", "bb", "a=1 ab=2 b=3 "},
	{"one key", "ab", "ac", "ab=2 "},
	{"an empty range", "ab", "ab", ""},
	{"a range the wrong way around", "b", "a", ""},
	{"behind the last key", "\xff\xff", "", ""},
};

static void
a_scan_gives_the_keys_from_first_to_before_last(void **state)
{
	struct scratch *s = *state;

	put(s, "b", "3");
	put(s, "a", "1");
	put(s, "\xff", "5");
	put(s, "ab", "2");
	for (size_t i = 0; i < COUNT(ranges); i++) {
		const char *found = scan_all(s, NULL, ranges[i].first, ranges[i].last);

		if (strcmp(found, ranges[i].found) != 0)
			fail_msg("%s: %s", ranges[i].name, found);
	}
}

static void
the_longest_key_of_ones_is_found(void **state)
{
	struct scratch *s = *state;
	char key[TL_KEY_BYTES_MAX + 1];

	memset(key, 0xff, TL_KEY_BYTES_MAX);
	key[TL_KEY_BYTES_MAX] = '\0';
	put(s, key, "1");
	assert_int_equal(strlen(scan_all(s, NULL, "", "")), TL_KEY_BYTES_MAX + 3);
}

static void
a_scan_of_a_view_does_not_see_what_came_after(void **state)
{
	struct scratch *s = *state;
	struct tl_view *view;

	put(s, "a", "1");
	put(s, "b", "2");
	assert_int_equal(tl_view_publish(s->store, 0, 0, NULL, 0, &s->why), TL_OK);
	view = tl_view_pin(s->store);
	put(s, "a", "changed");
	put(s, "c", "new");
	assert_string_equal(scan_all(s, view, "", ""), "a=1 b=2 ");
	assert_string_equal(scan_all(s, NULL, "", ""), "a=changed b=2 c=new ");
	tl_view_unpin(view);
}

static void
an_open_scan_does_not_see_what_came_after(void **state)
{
	struct scratch *s = *state;
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;

	put(s, "a", "1");
	assert_int_equal(tl_scan_open(s->store, NULL, TL_FAMILY_REGISTRY, tl_slice_of(NULL, 0),
				 tl_slice_of(NULL, 0), &scan, &s->why),
		TL_OK);
	put(s, "b", "2");
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_OK);
	assert_true(tl_slice_eq(key, tl_slice_str("a")));
	assert_true(tl_slice_eq(value, tl_slice_str("1")));
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_EEND);
	tl_scan_free(scan);
	tl_scan_free(NULL);
}

/* The bounds are the scan's own: the caller's memory may go. */
static void
a_scan_keeps_its_bounds(void **state)
{
	struct scratch *s = *state;
	char *last = strdup("b");
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;

	put(s, "a", "1");
	put(s, "b", "2");
	assert_int_equal(tl_scan_open(s->store, NULL, TL_FAMILY_REGISTRY, tl_slice_of(NULL, 0),
				 tl_slice_str(last), &scan, &s->why),
		TL_OK);
	memset(last, 'z', 1);
	free(last);
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_OK);
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_EEND);
	tl_scan_free(scan);
}

static void
a_day_is_scanned_by_itself(void **state)
{
	struct scratch *s = *state;
	struct tl_day *one = NULL, *two = NULL;
	struct tl_key first = tl_key_block(2, 0);
	struct tl_write *write = NULL;
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	uint64_t group_no = 0;
	uint16_t block_no = 0;

	assert_int_equal(tl_day_make(s->store, 0, &one, &s->why), TL_OK);
	assert_int_equal(tl_day_make(s->store, TL_DAY_MS, &two, &s->why), TL_OK);
	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	for (uint64_t no = 1; no <= 3; no++) {
		struct tl_key at = tl_key_block(no, (uint16_t)(no * 10));

		tl_write_put_raw(write, one, tl_key_slice(&at), tl_slice_str("block"));
	}
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
	assert_int_equal(tl_scan_open_day(s->store, NULL, one, tl_key_slice(&first),
				 tl_slice_of(NULL, 0), &scan, &s->why),
		TL_OK);
	for (uint64_t no = 2; no <= 3; no++) {
		assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_OK);
		assert_true(tl_key_block_parse(key, &group_no, &block_no));
		assert_int_equal(group_no, no);
		assert_int_equal(block_no, no * 10);
	}
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_EEND);
	tl_scan_free(scan);
	assert_int_equal(tl_scan_open_day(s->store, NULL, two, tl_slice_of(NULL, 0),
				 tl_slice_of(NULL, 0), &scan, &s->why),
		TL_OK);
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_EEND);
	tl_scan_free(scan);
	tl_day_unpin(one);
	tl_day_unpin(two);
}

/* Keys with values that do not compress, in a file of many blocks. */
static void
put_many(struct scratch *s, int count)
{
	struct tl_write *write = NULL;
	uint8_t value[1024];

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	for (int i = 0; i < count; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%08d", i);
		tl_random(value, sizeof(value));
		tl_write_put(write, TL_FAMILY_REGISTRY, tl_slice_str(key),
			tl_slice_of(value, sizeof(value)));
	}
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
	tl_store_compact(s->store);
}

static char largest_path[256];
static off_t largest_bytes;

static int
note_largest(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	size_t bytes = strlen(path);

	(void)kind;
	(void)ftw;
	if (bytes > 4 && strcmp(path + bytes - 4, ".sst") == 0 && st->st_size > largest_bytes) {
		snprintf(largest_path, sizeof(largest_path), "%s", path);
		largest_bytes = st->st_size;
	}
	return 0;
}

static void
flip_bit_in_middle(struct scratch *s)
{
	FILE *file;
	int byte;

	largest_bytes = 0;
	nftw(s->dir, note_largest, 16, FTW_PHYS);
	assert_true(largest_bytes > 64 * 1024);
	file = fopen(largest_path, "r+b");
	assert_non_null(file);
	assert_int_equal(fseek(file, largest_bytes / 2, SEEK_SET), 0);
	byte = fgetc(file);
	assert_int_equal(fseek(file, largest_bytes / 2, SEEK_SET), 0);
	assert_int_not_equal(fputc(byte ^ 0x10, file), EOF);
	assert_int_equal(fclose(file), 0);
}

/* RocksDB ends such a scan as if there were no more keys. */
static void
damage_is_an_error_and_not_an_early_end(void **state)
{
	struct scratch *s = *state;
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	int found = 0;
	enum tl_err err, again;

	put_many(s, 200);
	scratch_close(s);
	flip_bit_in_middle(s);
	scratch_open(s);
	assert_int_equal(tl_scan_open(s->store, NULL, TL_FAMILY_REGISTRY, tl_slice_of(NULL, 0),
				 tl_slice_of(NULL, 0), &scan, &s->why),
		TL_OK);
	while ((err = tl_scan_next(scan, &key, &value, &s->why)) == TL_OK)
		found++;
	again = tl_scan_next(scan, &key, &value, &s->why);
	tl_scan_free(scan);
	assert_int_equal(err, TL_ESTORAGE_CORRUPT);
	assert_int_equal(again, TL_ESTORAGE_CORRUPT);
	assert_in_range(found, 1, 199);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(a_scan_gives_the_keys_from_first_to_before_last),
		SCRATCH_TEST(the_longest_key_of_ones_is_found),
		SCRATCH_TEST(a_scan_of_a_view_does_not_see_what_came_after),
		SCRATCH_TEST(an_open_scan_does_not_see_what_came_after),
		SCRATCH_TEST(a_scan_keeps_its_bounds),
		SCRATCH_TEST(a_day_is_scanned_by_itself),
		SCRATCH_TEST(damage_is_an_error_and_not_an_early_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
