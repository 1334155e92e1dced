#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "schema/model/bucket.h"
#include "schema/store/days.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/store_private.h"
#include "schema/store/view.h"
#include "schema/store/write.h"
#include "tests/unit/store_scratch.h"

static void
put(struct scratch *s, enum tl_family family, const char *key, struct tl_slice value)
{
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put(write, family, tl_slice_str(key), value);
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

static enum tl_err
get(struct scratch *s, enum tl_family family, const char *key)
{
	return tl_store_get(s->store, NULL, family, tl_slice_str(key), &s->buf, &s->why);
}

static void
families_have_their_names(void **state)
{
	(void)state;
	assert_string_equal(tl_family_name(TL_FAMILY_MARK), "mark");
	assert_string_equal(tl_family_name(TL_FAMILY_CELL_1H), "cell.1h");
	assert_string_equal(tl_family_name(TL_FAMILY_REGISTRY), "registry");
}

static const struct {
	const char *text;
	enum tl_err err;
} texts[] = {
	{"Corruption: block checksum mismatch", TL_ESTORAGE_CORRUPT},
	{"IO error: No space left on device: While appending to file: x", TL_ENOSPACE},
	{"IO error: While lock file: /a/LOCK: Resource temporarily unavailable", TL_ELOCKED},
	{"IO error: lock hold by current process, acquire time 1", TL_ELOCKED},
	{"IO error: While fdatasync: /locks/LOCK.log: Input/output error", TL_EIO},
	{"Invalid argument: Column family not found", TL_EINTERNAL},
};

static void
errors_of_rocksdb_become_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct tl_why why = {.text = ""};

		assert_int_equal(tl_store_fail(&why, "get", strdup(texts[i].text)), texts[i].err);
		assert_memory_equal(why.text, "get: ", 5);
		assert_string_equal(why.text + 5, texts[i].text);
		assert_int_equal(tl_store_fail(NULL, "get", strdup(texts[i].text)), texts[i].err);
	}
}

static void
what_was_put_is_there_after_reopening(void **state)
{
	struct scratch *s = *state;
	uint64_t epoch = tl_store_epoch(s->store);

	assert_true(epoch != 0);
	put(s, TL_FAMILY_MARK, "a", tl_slice_str("one"));
	put(s, TL_FAMILY_REGISTRY, "a", tl_slice_str("two"));
	assert_int_equal(get(s, TL_FAMILY_MARK, "a"), TL_OK);
	scratch_reopen(s);
	assert_true(tl_store_epoch(s->store) == epoch);
	assert_int_equal(get(s, TL_FAMILY_MARK, "a"), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str("one")));
	assert_int_equal(get(s, TL_FAMILY_REGISTRY, "a"), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str("two")));
	assert_int_equal(get(s, TL_FAMILY_SESSION, "a"), TL_ENOT_FOUND);
}

static void
a_value_too_large_for_the_buffer_is_told(void **state)
{
	struct scratch *s = *state;
	struct tl_buf small;

	put(s, TL_FAMILY_MARK, "a", tl_slice_str("0123456789"));
	tl_buf_init(&small, 9);
	assert_int_equal(
		tl_store_get(s->store, NULL, TL_FAMILY_MARK, tl_slice_str("a"), &small, &s->why),
		TL_EFULL);
	tl_buf_fini(&small);
}

static void
two_new_stores_have_two_epochs(void **state)
{
	struct scratch *s = *state;
	void *other_state;
	struct scratch *other;

	scratch_set_up(&other_state);
	other = other_state;
	assert_true(tl_store_epoch(s->store) != tl_store_epoch(other->store));
	scratch_tear_down(&other_state);
}

static void
nothing_is_made_without_create(void **state)
{
	struct scratch *s = *state;

	assert_int_equal(scratch_try(s, false, false), TL_ENOT_FOUND);
	assert_int_equal(scratch_try(s, false, true), TL_ENOT_FOUND);
	assert_int_equal(scratch_try(s, true, true), TL_ENOT_FOUND);
	assert_int_equal(rmdir(s->dir), 0); /* it is empty still */
	scratch_open(s);		    /* and is made with all above it */
}

static void
the_directory_is_for_its_owner_only(void **state)
{
	struct scratch *s = *state;
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/db", s->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void
a_second_opening_finds_it_locked(void **state)
{
	struct scratch *s = *state;
	struct tl_store_options options = {.dir = s->dir};
	struct tl_store *second = NULL;
	int status = 0;
	pid_t child;

	assert_int_equal(tl_store_open(&options, &second, &s->why), TL_ELOCKED);
	assert_null(second);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(tl_store_open(&options, &second, &s->why) == TL_ELOCKED ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
a_picture_can_be_read_beside(void **state)
{
	struct scratch *s = *state;
	struct tl_store_options options = {.dir = s->dir, .read_only = true};
	struct tl_store *picture = NULL;
	struct tl_day *day = NULL;

	put(s, TL_FAMILY_MARK, "a", tl_slice_str("one"));
	assert_int_equal(tl_day_make(s->store, 0, &day, &s->why), TL_OK);
	tl_day_unpin(day);
	assert_int_equal(tl_store_open(&options, &picture, &s->why), TL_OK);
	assert_true(tl_store_epoch(picture) == tl_store_epoch(s->store));
	put(s, TL_FAMILY_MARK, "a", tl_slice_str("two"));
	assert_int_equal(
		tl_store_get(picture, NULL, TL_FAMILY_MARK, tl_slice_str("a"), &s->buf, &s->why),
		TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&s->buf), tl_slice_str("one")));
	assert_int_equal(tl_days_list(picture, NULL, 0), 1);
	tl_store_close(picture);
}

static void
a_newer_format_is_refused(void **state)
{
	struct scratch *s = *state;
	static const uint8_t newer[] = {0, 0, 0, TL_FORMAT_VERSION + 1};

	put(s, TL_FAMILY_MARK, "format", tl_slice_of(newer, sizeof(newer)));
	scratch_close(s);
	assert_int_equal(scratch_try(s, true, false), TL_EFORMAT_TOO_NEW);
	assert_int_equal(scratch_try(s, false, true), TL_EFORMAT_TOO_NEW);
}

static void
an_older_format_is_refused(void **state)
{
	struct scratch *s = *state;
	static const uint8_t older[] = {0, 0, 0, TL_FORMAT_VERSION - 1};

	put(s, TL_FAMILY_MARK, "format", tl_slice_of(older, sizeof(older)));
	scratch_close(s);
	assert_int_equal(scratch_try(s, true, false), TL_EFORMAT_TOO_OLD);
	assert_int_equal(scratch_try(s, false, true), TL_EFORMAT_TOO_OLD);
}

static void
a_damaged_format_or_epoch_is_refused(void **state)
{
	struct scratch *s = *state;
	static const uint8_t format[] = {0, 0, 0, TL_FORMAT_VERSION};

	put(s, TL_FAMILY_MARK, "epoch", tl_slice_of(format, sizeof(format)));
	scratch_close(s);
	assert_int_equal(scratch_try(s, true, false), TL_ESTORAGE_CORRUPT);
	assert_null(s->store);
}

static void
a_short_format_is_refused(void **state)
{
	struct scratch *s = *state;

	put(s, TL_FAMILY_MARK, "format", tl_slice_str("abc"));
	scratch_close(s);
	assert_int_equal(scratch_try(s, true, false), TL_ESTORAGE_CORRUPT);
}

static void
delete_mark(struct scratch *s, const char *name)
{
	struct tl_write *write = NULL;

	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_delete(write, TL_FAMILY_MARK, tl_slice_str(name));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
}

static void
a_store_that_was_not_finished_is_finished(void **state)
{
	struct scratch *s = *state;

	delete_mark(s, "format");
	scratch_close(s);
	assert_int_equal(scratch_try(s, false, false), TL_ENOT_FOUND);
	scratch_open(s);
	assert_true(tl_store_epoch(s->store) != 0);
}

static void
a_store_that_lost_its_format_is_refused(void **state)
{
	struct scratch *s = *state;
	struct tl_key key = tl_key_journal(1);
	struct tl_write *write = NULL;

	delete_mark(s, "format");
	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_write_put(write, TL_FAMILY_JOURNAL, tl_key_slice(&key), tl_slice_str("x"));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
	scratch_close(s);
	assert_int_equal(scratch_try(s, true, false), TL_ESTORAGE_CORRUPT);
}

static void
a_store_that_lost_its_epoch_is_refused(void **state)
{
	struct scratch *s = *state;

	delete_mark(s, "epoch");
	scratch_close(s);
	assert_int_equal(scratch_try(s, true, false), TL_ESTORAGE_CORRUPT);
}

/* The path of the first file whose name ends so, or of CURRENT. */
static void
find_file(struct scratch *s, const char *end, char path[400])
{
	char folder[128];
	struct dirent *file;
	DIR *dir;

	path[0] = '\0';
	snprintf(folder, sizeof(folder), "%s/db", s->dir);
	dir = opendir(folder);
	assert_non_null(dir);
	while ((file = readdir(dir)) != NULL) {
		size_t bytes = strlen(file->d_name);

		if (bytes >= strlen(end) && strcmp(file->d_name + bytes - strlen(end), end) == 0)
			snprintf(path, 400, "%s/%s", folder, file->d_name);
	}
	closedir(dir);
	assert_true(path[0] != '\0');
}

static void
tables_without_current_are_not_made_anew(void **state)
{
	struct scratch *s = *state;
	char path[400];

	put(s, TL_FAMILY_MARK, "a", tl_slice_str("one"));
	scratch_close(s);
	find_file(s, "CURRENT", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(scratch_try(s, true, false), TL_ESTORAGE_CORRUPT);
}

/* Values that do not compress, so that a flipped byte in the middle of the file hits one. */
static void
fill(struct scratch *s)
{
	uint8_t value[4096];

	for (int i = 0; i < 64; i++) {
		char key[16];

		snprintf(key, sizeof(key), "key %02d", i);
		tl_random(value, sizeof(value));
		put(s, TL_FAMILY_SESSION, key, tl_slice_of(value, sizeof(value)));
	}
	tl_store_compact(s->store);
}

static void
flip_amid(const char *path)
{
	int fd = open(path, O_RDWR);
	off_t at = lseek(fd, 0, SEEK_END) / 2;
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* The table that holds the values: the largest. */
static void
find_table(struct scratch *s, char path[400])
{
	char folder[128];
	struct dirent *file;
	off_t largest = 0;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/db", s->dir);
	dir = opendir(folder);
	assert_non_null(dir);
	while ((file = readdir(dir)) != NULL) {
		char at[400];
		struct stat st;

		if (strstr(file->d_name, ".sst") == NULL)
			continue;
		snprintf(at, sizeof(at), "%s/%s", folder, file->d_name);
		assert_int_equal(stat(at, &st), 0);
		if (st.st_size > largest) {
			largest = st.st_size;
			memcpy(path, at, sizeof(at));
		}
	}
	closedir(dir);
	assert_true(largest > 64 * 4096);
}

static void
damage_in_the_manifest_is_told(void **state)
{
	struct scratch *s = *state;
	char path[400] = "";
	int fd;

	scratch_close(s);
	for (int no = 1; no < 100 && access(path, F_OK) != 0; no++)
		snprintf(path, sizeof(path), "%s/db/MANIFEST-%06d", s->dir, no);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "damage", 6, 20), 6);
	close(fd);
	assert_int_equal(scratch_try(s, true, false), TL_ESTORAGE_CORRUPT);
}

static void
make_family(struct scratch *s, const char *name)
{
	rocksdb_column_family_handle_t *handle;
	char *text = NULL;

	handle = rocksdb_create_column_family(s->store->db, s->store->options, name, &text);
	assert_null(text);
	rocksdb_column_family_handle_destroy(handle);
}

static void
a_family_that_is_not_known_is_of_a_newer_format(void **state)
{
	struct scratch *s = *state;

	make_family(s, "raw.2026-02-30");
	make_family(s, "later");
	make_family(s, "raw.2026-02-28");
	scratch_close(s);
	assert_int_equal(scratch_try(s, true, false), TL_EFORMAT_TOO_NEW);
	assert_non_null(strstr(s->why.text, "is not known"));
	assert_int_equal(scratch_try(s, false, true), TL_EFORMAT_TOO_NEW);
}

static void
a_family_that_is_missing_is_made_unless_only_read(void **state)
{
	struct scratch *s = *state;
	char *text = NULL;

	rocksdb_drop_column_family(s->store->db, s->store->handles[TL_FAMILY_LIFE], &text);
	assert_null(text);
	scratch_close(s);
	assert_int_equal(scratch_try(s, false, true), TL_ENOT_FOUND);
	assert_non_null(strstr(s->why.text, "life"));
	assert_int_equal(scratch_try(s, false, false), TL_OK);
	put(s, TL_FAMILY_LIFE, "a", tl_slice_str("one"));
}

static void
a_folder_left_by_a_first_opening_is_taken(void **state)
{
	struct scratch *s = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/db", s->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(scratch_try(s, false, false), TL_ENOT_FOUND);
	scratch_open(s);
}

static void
a_path_that_cannot_be_is_told(void **state)
{
	struct scratch *s = *state;
	struct tl_store_options options = {.create = true};
	char path[5000];

	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	options.dir = path;
	assert_int_equal(tl_store_open(&options, &s->store, &s->why), TL_EIO);
	path[4092] = '\0'; /* with "/db" it fits, with "/db/CURRENT" it does not */
	assert_int_equal(tl_store_open(&options, &s->store, &s->why), TL_EIO);
	options.dir = "/dev/null";
	assert_int_not_equal(tl_store_open(&options, &s->store, &s->why), TL_OK);
	assert_null(s->store);
}

static void
damage_in_a_table_is_told_by_get_and_scan(void **state)
{
	struct scratch *s = *state;
	enum tl_err worst = TL_OK;
	struct tl_scan *scan = NULL;
	struct tl_slice key, value;
	enum tl_err err = TL_OK;
	char path[400];
	int seen_count = 0;

	fill(s);
	scratch_close(s);
	find_table(s, path);
	flip_amid(path);
	scratch_open(s);
	for (int i = 0; i < 64; i++) {
		char name[16];

		snprintf(name, sizeof(name), "key %02d", i);
		err = get(s, TL_FAMILY_SESSION, name);
		if (err)
			worst = err;
	}
	assert_int_equal(worst, TL_ESTORAGE_CORRUPT);

	assert_int_equal(tl_scan_open(s->store, NULL, TL_FAMILY_SESSION, tl_slice_of(NULL, 0),
				 tl_slice_of(NULL, 0), &scan, &s->why),
		TL_OK);
	while ((err = tl_scan_next(scan, &key, &value, &s->why)) == TL_OK)
		seen_count++;
	assert_int_equal(err, TL_ESTORAGE_CORRUPT);
	assert_true(seen_count < 64);
	assert_non_null(strstr(s->why.text, "Corruption"));
	/* It does not end in silence when asked again. */
	assert_int_equal(tl_scan_next(scan, &key, &value, &s->why), TL_ESTORAGE_CORRUPT);
	tl_scan_free(scan);
}

static void
sizes_are_told(void **state)
{
	struct scratch *s = *state;
	struct tl_day *day = NULL;
	struct tl_write *write = NULL;
	uint64_t sst_bytes, memtable_bytes, before;
	uint8_t value[4096];

	tl_store_sizes(s->store, &sst_bytes, &memtable_bytes);
	assert_int_equal(sst_bytes, 0);
	assert_true(memtable_bytes > 0);
	fill(s);
	tl_store_sizes(s->store, &before, &memtable_bytes);
	assert_true(before > 64 * 4096);

	assert_int_equal(tl_day_make(s->store, 0, &day, &s->why), TL_OK);
	assert_int_equal(tl_write_new(s->store, &write), TL_OK);
	tl_random(value, sizeof(value));
	tl_write_put_raw(write, day, tl_slice_str("k"), tl_slice_of(value, sizeof(value)));
	assert_int_equal(tl_write_commit(write, TL_SYNC, &s->why), TL_OK);
	tl_write_free(write);
	tl_day_unpin(day);
	tl_store_compact(s->store);
	tl_store_sizes(s->store, &sst_bytes, &memtable_bytes);
	assert_true(sst_bytes > before + sizeof(value));
}

static void
a_healthy_store_has_no_background_error(void **state)
{
	struct scratch *s = *state;

	fill(s);
	assert_int_equal(tl_store_background_error(s->store, &s->why), TL_OK);
}

static void
a_failed_compaction_is_told(void **state)
{
	struct scratch *s = *state;
	char path[400];

	fill(s);
	scratch_close(s);
	find_table(s, path);
	flip_amid(path);
	scratch_open(s);
	fill(s); /* over the same keys: compacting reads what was damaged */
	assert_int_equal(tl_store_background_error(s->store, &s->why), TL_EIO);
	assert_non_null(strstr(s->why.text, "db/LOG"));
}

static void
hold_nothing(struct tl_store *store)
{
	(void)store;
}

static void
hold_view(struct tl_store *store)
{
	(void)!tl_view_publish(store, 0, 0, NULL, 0, NULL);
	(void)tl_view_pin(store);
}

static void
hold_scan(struct tl_store *store)
{
	struct tl_scan *scan;

	(void)!tl_scan_open(store, NULL, TL_FAMILY_MARK, tl_slice_of(NULL, 0), tl_slice_of(NULL, 0),
		&scan, NULL);
}

static void
hold_day(struct tl_store *store)
{
	struct tl_day *day;

	(void)!tl_day_make(store, 0, &day, NULL);
}

static void
hold_write(struct tl_store *store)
{
	struct tl_write *write;

	(void)!tl_write_new(store, &write);
}

typedef void hold_one(struct tl_store *store);

static const struct hold {
	const char *name;
	hold_one *hold;
} holds[] = {
	{"nothing", hold_nothing},
	{"view", hold_view},
	{"scan", hold_scan},
	{"day", hold_day},
	{"write", hold_write},
};

/* The other process: opens the store, holds something of it and closes it. */
static int
close_holding(const char *name, const char *dir)
{
	const struct rlimit no_core = {0};
	struct scratch s = {0};

	snprintf(s.dir, sizeof(s.dir), "%s", dir);
	if (setrlimit(RLIMIT_CORE, &no_core) != 0 || freopen("/dev/null", "w", stderr) == NULL)
		return 2;
	if (tl_crypt_init() != TL_OK || scratch_try(&s, true, false) != TL_OK)
		return 1;
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		if (strcmp(holds[i].name, name) == 0)
			holds[i].hold(s.store);
	}
	tl_store_close(s.store);
	return 0;
}

/* In a process of its own, since a bug of the caller ends it. */
static int
signal_of_closing(struct scratch *s, const char *name)
{
	char *args[] = {"store_store_test", (char *)name, s->dir, NULL};
	int status = 0;
	pid_t child;

	assert_int_equal(posix_spawn(&child, "/proc/self/exe", NULL, NULL, args, environ), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void
closing_asserts_that_all_was_let_go(void **state)
{
	assert_int_equal(signal_of_closing(*state, "nothing"), 0);
	for (size_t i = 1; i < sizeof(holds) / sizeof(holds[0]); i++)
		assert_int_equal(signal_of_closing(*state, holds[i].name), SIGABRT);
}

static void
closing_nothing_is_fine(void **state)
{
	(void)state;
	tl_store_close(NULL);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_have_their_names),
		cmocka_unit_test(errors_of_rocksdb_become_ours),
		SCRATCH_TEST(what_was_put_is_there_after_reopening),
		SCRATCH_TEST(a_value_too_large_for_the_buffer_is_told),
		SCRATCH_TEST(two_new_stores_have_two_epochs),
		SCRATCH_TEST_CLOSED(nothing_is_made_without_create),
		SCRATCH_TEST(the_directory_is_for_its_owner_only),
		SCRATCH_TEST(a_second_opening_finds_it_locked),
		SCRATCH_TEST(a_picture_can_be_read_beside),
		SCRATCH_TEST(a_newer_format_is_refused),
		SCRATCH_TEST(an_older_format_is_refused),
		SCRATCH_TEST(a_damaged_format_or_epoch_is_refused),
		SCRATCH_TEST(a_short_format_is_refused),
		SCRATCH_TEST(a_store_that_was_not_finished_is_finished),
		SCRATCH_TEST(a_store_that_lost_its_format_is_refused),
		SCRATCH_TEST(a_store_that_lost_its_epoch_is_refused),
		SCRATCH_TEST(tables_without_current_are_not_made_anew),
		SCRATCH_TEST(damage_in_the_manifest_is_told),
		SCRATCH_TEST(a_family_that_is_not_known_is_of_a_newer_format),
		SCRATCH_TEST(a_family_that_is_missing_is_made_unless_only_read),
		SCRATCH_TEST_CLOSED(a_folder_left_by_a_first_opening_is_taken),
		SCRATCH_TEST_CLOSED(a_path_that_cannot_be_is_told),
		SCRATCH_TEST(damage_in_a_table_is_told_by_get_and_scan),
		SCRATCH_TEST(a_failed_compaction_is_told),
		SCRATCH_TEST(sizes_are_told),
		SCRATCH_TEST(a_healthy_store_has_no_background_error),
		SCRATCH_TEST_CLOSED(closing_asserts_that_all_was_let_go),
		cmocka_unit_test(closing_nothing_is_fine),
	};

	if (argc == 3)
		return close_holding(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
