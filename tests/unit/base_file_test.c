#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/base/file.h"

static char scratch[64];

/* A path below the scratch folder; each call overwrites the one four calls before. */
static const char *
at(const char *name)
{
	static char paths[4][PATH_MAX];
	static size_t next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", scratch, name);
	return path;
}

static int
make_scratch(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/base_file_test.XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static int
remove_scratch(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	return system(command);
}

static void
assert_content(const char *path, const char *expected)
{
	struct tl_why why = {""};
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	assert_int_equal(tl_file_read(path, &buf, &why), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&buf), tl_slice_str(expected)));
	tl_buf_fini(&buf);
}

static size_t
count_names(const char *path)
{
	DIR *dir = opendir(path);
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2; /* . and .. */
}

static void
what_is_replaced_is_read_back(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(tl_file_replace(at("f"), tl_slice_str("one"), NULL), TL_OK);
	assert_content(at("f"), "one");
	assert_int_equal(tl_file_replace(at("f"), tl_slice_str("a longer two"), NULL), TL_OK);
	assert_content(at("f"), "a longer two");
	assert_int_equal(tl_file_replace(at("f"), tl_slice_of(NULL, 0), NULL), TL_OK);
	assert_content(at("f"), "");
	assert_int_equal(stat(at("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_names(scratch), 1);
}

static void
a_relative_path_is_in_the_working_folder(void **state)
{
	char before[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(scratch), 0);
	assert_int_equal(tl_file_replace("relative", tl_slice_str("x"), NULL), TL_OK);
	assert_int_equal(tl_dir_make("a/b", NULL), TL_OK);
	assert_int_equal(chdir(before), 0);
	assert_content(at("relative"), "x");
	assert_int_equal(count_names(at("a")), 1);
}

static void
what_a_crash_left_is_replaced_too(void **state)
{
	int fd = open(at("f.tmp"), O_CREAT | O_WRONLY, 0644);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a much longer rest", 18), 18);
	close(fd);
	assert_int_equal(tl_file_replace(at("f"), tl_slice_str("new"), NULL), TL_OK);
	assert_content(at("f"), "new");
	assert_int_equal(stat(at("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(count_names(scratch), 1);
}

static void
a_failed_replace_leaves_nothing_beside(void **state)
{
	struct tl_why why = {""};

	(void)state;
	assert_int_equal(mkdir(at("d"), 0700), 0);
	assert_int_equal(tl_file_replace(at("d"), tl_slice_str("x"), &why), TL_EIO);
	assert_non_null(strstr(why.text, "/d'"));
	assert_int_equal(count_names(scratch), 1);
	assert_int_equal(tl_file_replace(at("none/f"), tl_slice_str("x"), &why), TL_ENOT_FOUND);
}

static void
a_read_appends(void **state)
{
	static uint8_t large[100000];
	struct tl_buf buf;

	(void)state;
	memset(large, 'l', sizeof(large));
	assert_int_equal(tl_file_replace(at("f"), tl_slice_of(large, sizeof(large)), NULL), TL_OK);
	tl_buf_init(&buf, 0);
	tl_buf_put_str(&buf, "before ");
	assert_int_equal(tl_file_read(at("f"), &buf, NULL), TL_OK);
	assert_int_equal(buf.bytes, 7 + sizeof(large));
	assert_memory_equal(buf.data, "before l", 8);
	assert_memory_equal(buf.data + 7, large, sizeof(large));
	tl_buf_fini(&buf);
}

static void
a_read_stops_at_the_ceiling_of_the_buffer(void **state)
{
	struct tl_why why = {""};
	struct tl_buf buf;

	(void)state;
	assert_int_equal(tl_file_replace(at("f"), tl_slice_str("12345"), NULL), TL_OK);
	tl_buf_init(&buf, 5);
	assert_int_equal(tl_file_read(at("f"), &buf, &why), TL_OK);
	tl_buf_fini(&buf);
	tl_buf_init(&buf, 4);
	assert_int_equal(tl_file_read(at("f"), &buf, &why), TL_EFULL);
	assert_non_null(strstr(why.text, "larger than 4 bytes"));
	assert_int_equal(buf.bytes, 0);
	tl_buf_fini(&buf);
}

static void
what_is_not_there_is_not_found(void **state)
{
	struct tl_why why = {""};
	struct tl_buf buf;
	uint64_t free_bytes, total_bytes;

	(void)state;
	tl_buf_init(&buf, 0);
	assert_int_equal(tl_file_read(at("none"), &buf, &why), TL_ENOT_FOUND);
	assert_non_null(strstr(why.text, "/none'"));
	assert_int_equal(tl_dir_sync(at("none"), &why), TL_ENOT_FOUND);
	assert_int_equal(tl_disk_free(at("none"), &free_bytes, &total_bytes, &why), TL_ENOT_FOUND);
	tl_buf_fini(&buf);
}

static void
a_folder_is_no_file_to_read(void **state)
{
	struct tl_buf buf;

	(void)state;
	tl_buf_init(&buf, 0);
	assert_int_equal(tl_file_read(scratch, &buf, NULL), TL_EIO);
	assert_int_equal(buf.bytes, 0);
	tl_buf_fini(&buf);
}

static const struct {
	const char *name;
	const char *path;
	const char *made;
} folders[] = {
	{"one folder is made", "a", "a"},
	{"its parents are made", "b/c/d", "b/c/d"},
	{"what is there may be there", "b/c/e", "b/c/e"},
	{"all of it may be there", "b/c/e", "b/c/e"},
	{"a slash at the end is fine", "f/g/", "f/g"},
	{"doubled slashes are fine", "h//i///j//", "h/i/j"},
	{"dots are fine", "k/./../l", "l"},
};

static void
folders_are_made_with_their_parents(void **state)
{
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (tl_dir_make(at(folders[i].path), NULL) != TL_OK ||
			stat(at(folders[i].made), &st) < 0 || !S_ISDIR(st.st_mode) ||
			(st.st_mode & 0777) != 0700)
			fail_msg("%s", folders[i].name);
	}
	assert_int_equal(tl_dir_make("/", NULL), TL_OK);
	assert_int_equal(tl_dir_sync(scratch, NULL), TL_OK);
}

static void
a_file_in_the_way_is_an_error(void **state)
{
	struct tl_why why = {""};

	(void)state;
	assert_int_equal(tl_file_replace(at("f"), tl_slice_str("x"), NULL), TL_OK);
	assert_int_equal(tl_dir_make(at("f"), &why), TL_EIO);
	assert_non_null(strstr(why.text, "is not a folder"));
	assert_int_equal(tl_dir_make(at("f/g"), &why), TL_EIO);
	assert_int_equal(tl_dir_make("", &why), TL_EIO);
}

static void
a_path_that_is_too_long_is_an_error(void **state)
{
	static char path[PATH_MAX + 10];

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	assert_int_equal(tl_dir_make(path, NULL), TL_EIO);
	assert_int_equal(tl_file_replace(path, tl_slice_str("x"), NULL), TL_EIO);
}

static void
a_disk_has_at_most_its_size_free(void **state)
{
	uint64_t free_bytes = UINT64_MAX;
	uint64_t total_bytes = 0;

	(void)state;
	assert_int_equal(tl_disk_free(scratch, &free_bytes, &total_bytes, NULL), TL_OK);
	assert_true(total_bytes > 0);
	assert_true(free_bytes <= total_bytes);
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, make_scratch, remove_scratch)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(what_is_replaced_is_read_back),
		FILE_TEST(a_relative_path_is_in_the_working_folder),
		FILE_TEST(what_a_crash_left_is_replaced_too),
		FILE_TEST(a_failed_replace_leaves_nothing_beside),
		FILE_TEST(a_read_appends),
		FILE_TEST(a_read_stops_at_the_ceiling_of_the_buffer),
		FILE_TEST(what_is_not_there_is_not_found),
		FILE_TEST(a_folder_is_no_file_to_read),
		FILE_TEST(folders_are_made_with_their_parents),
		FILE_TEST(a_file_in_the_way_is_an_error),
		FILE_TEST(a_path_that_is_too_long_is_an_error),
		FILE_TEST(a_disk_has_at_most_its_size_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
