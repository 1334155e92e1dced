#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "ingest/client/spool.h"
#include "schema/base/crypt.h"
#include "schema/base/file.h"
#include "schema/model/limits.h"
#include "tests/unit/client_scratch.h"

#define HEAD_BYTES 20
#define NO_BOUND ((size_t)1 << 30)
#define CRASH_ROUNDS 40

static struct spool *
opened(const char *dir, size_t bytes_max)
{
	struct spool *spool = NULL;
	struct tl_why why = {""};

	if (spool_open(at(dir), bytes_max, &spool, &why) != TL_OK)
		fail_msg("%s", why.text);
	return spool;
}

static uint64_t
put(struct spool *spool, const char *batch)
{
	uint64_t number = 0;
	struct tl_why why = {""};

	if (spool_put(spool, tl_slice_str(batch), 1, &number, &why) != TL_OK)
		fail_msg("%s", why.text);
	return number;
}

/* The batches in the spool, in order, as one text: "one two ". */
static const char *
batches(struct spool *spool, uint32_t *damaged_out)
{
	static char text[1024];
	struct tl_buf batch;
	uint64_t number = 0;
	uint32_t event_count;
	size_t bytes = 0;
	enum tl_err err;

	tl_buf_init(&batch, 0);
	*damaged_out = 0;
	text[0] = '\0';
	while ((err = spool_next(
			spool, number, &batch, &number, &event_count, damaged_out, NULL)) == TL_OK)
		bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes, "%.*s ",
			(int)batch.bytes, (const char *)batch.data);
	assert_int_equal(err, TL_EEND);
	tl_buf_fini(&batch);
	return text;
}

static void
assert_batches(struct spool *spool, const char *expected)
{
	uint32_t damaged;

	assert_string_equal(batches(spool, &damaged), expected);
	assert_int_equal(damaged, 0);
}

static void
what_is_put_is_found_in_order_by_the_next_process(void **state)
{
	struct spool *spool = opened("a/b", NO_BOUND);

	(void)state;
	assert_batches(spool, "");
	assert_int_equal(put(spool, "one"), 1);
	assert_int_equal(put(spool, "two"), 2);
	assert_int_equal(put(spool, "three"), 3);
	assert_batches(spool, "one two three ");
	spool_close(spool);

	spool = opened("a/b", NO_BOUND);
	assert_int_equal(spool_bytes(spool), 3 * HEAD_BYTES + 11);
	assert_batches(spool, "one two three ");
	assert_int_equal(put(spool, "four"), 4);
	assert_batches(spool, "one two three four ");
	spool_close(spool);
}

static void
the_count_of_events_comes_back(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);
	struct tl_buf batch;
	uint64_t number;
	uint32_t event_count = 0;
	uint32_t damaged = 0;

	(void)state;
	assert_int_equal(spool_put(spool, tl_slice_str("x"), 1000, &number, NULL), TL_OK);
	tl_buf_init(&batch, 0);
	tl_buf_put_str(&batch, "what was read before goes");
	assert_int_equal(
		spool_next(spool, 0, &batch, &number, &event_count, &damaged, NULL), TL_OK);
	assert_int_equal(event_count, 1000);
	assert_true(tl_slice_eq(tl_buf_slice(&batch), tl_slice_str("x")));
	tl_buf_fini(&batch);
	spool_close(spool);
}

static void
an_acknowledged_batch_goes(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);

	(void)state;
	put(spool, "one");
	put(spool, "two");
	put(spool, "three");
	spool_remove(spool, 2);
	spool_remove(spool, 2); /* a second time is nothing */
	spool_remove(spool, 77);
	assert_batches(spool, "one three ");
	assert_int_equal(spool_bytes(spool), 2 * HEAD_BYTES + 8);
	spool_remove(spool, 3);
	spool_remove(spool, 1);
	assert_batches(spool, "");
	assert_int_equal(spool_bytes(spool), 0);
	assert_int_equal(files_in("s"), 0);
	assert_int_equal(put(spool, "four"), 4);
	spool_close(spool);
}

/* Many come and go with some staying behind: the list is walked and compacted on the way. */
static void
a_long_life_keeps_the_order(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);
	uint64_t seed = seed_of_run();
	bool is_there_yet[401] = {false};
	uint64_t number = 0;
	uint64_t bytes = 0;
	uint32_t event_count;
	uint32_t damaged = 0;
	struct tl_buf batch;

	(void)state;
	for (uint64_t i = 1; i <= 400; i++) {
		uint64_t gone = 1 + next_random(&seed) % i;

		assert_int_equal(put(spool, "batch"), i);
		is_there_yet[i] = true;
		spool_remove(spool, gone);
		is_there_yet[gone] = false;
	}
	tl_buf_init(&batch, 0);
	for (uint64_t i = 1; i <= 400; i++) {
		if (!is_there_yet[i])
			continue;
		assert_int_equal(
			spool_next(spool, number, &batch, &number, &event_count, &damaged, NULL),
			TL_OK);
		assert_int_equal(number, i);
		bytes += HEAD_BYTES + batch.bytes;
	}
	assert_int_equal(
		spool_next(spool, number, &batch, &number, &event_count, &damaged, NULL), TL_EEND);
	assert_int_equal(spool_bytes(spool), bytes);
	tl_buf_fini(&batch);
	spool_close(spool);
}

static uint64_t dropped_count;

static void
a_refused_batch_is_kept_with_its_reply(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);
	struct tl_buf buf;

	(void)state;
	put(spool, "one");
	put(spool, "two");
	spool_refuse(spool, 2, tl_slice_str("the reply"), &dropped_count);
	spool_refuse(spool, 2, tl_slice_str("nothing is there any more"), &dropped_count);
	assert_batches(spool, "one ");
	assert_int_equal(spool_bytes(spool), HEAD_BYTES + 3);
	assert_int_equal(files_in("s/refused"), 2);
	tl_buf_init(&buf, 0);
	assert_int_equal(tl_file_read(at("s/refused/0000000000000002.reply"), &buf, NULL), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&buf), tl_slice_str("the reply")));
	tl_buf_reset(&buf);
	assert_int_equal(tl_file_read(at("s/refused/0000000000000002"), &buf, NULL), TL_OK);
	assert_memory_equal(buf.data + HEAD_BYTES, "two", 3);
	tl_buf_fini(&buf);
	spool_close(spool);

	/* Its number is not used again, or the next refused one would be written over it. */
	spool = opened("s", NO_BOUND);
	spool_remove(spool, 1);
	assert_int_equal(put(spool, "three"), 3);
	spool_close(spool);
	assert_int_equal(unlink(at("s/0000000000000003")), 0);
	spool = opened("s", NO_BOUND);
	assert_int_equal(put(spool, "four"), 3);
	spool_close(spool);
}

static void
a_batch_that_cannot_be_moved_stays(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);

	(void)state;
	put(spool, "one");
	assert_int_equal(rmdir(at("s/refused")), 0);
	spool_refuse(spool, 1, tl_slice_str("the reply"), &dropped_count);
	assert_batches(spool, "one ");
	assert_int_equal(spool_bytes(spool), HEAD_BYTES + 3);
	spool_close(spool);
}

static void
the_bound_counts_whole_files(void **state)
{
	struct spool *spool = opened("s", 2 * HEAD_BYTES + 10);
	struct tl_why why = {""};
	uint64_t number = 0;

	(void)state;
	put(spool, "12345");
	assert_int_equal(spool_put(spool, tl_slice_str("123456"), 1, &number, &why), TL_EFULL);
	assert_non_null(strstr(why.text, "50")); /* the limit is named */
	put(spool, "12345");
	assert_int_equal(spool_put(spool, tl_slice_str(""), 1, &number, &why), TL_EFULL);
	assert_int_equal(number, 0);
	spool_remove(spool, 1);
	put(spool, "54321");
	assert_batches(spool, "12345 54321 ");
	spool_close(spool);

	/* What is there already may be more than a smaller bound. */
	spool = opened("s", 10);
	assert_batches(spool, "12345 54321 ");
	assert_int_equal(spool_put(spool, tl_slice_str(""), 1, &number, &why), TL_EFULL);
	spool_close(spool);
}

static void
a_batch_as_large_as_a_frame_fits(void **state)
{
	static uint8_t frame[TL_FRAME_BYTES_MAX + 1];
	struct spool *spool = opened("s", NO_BOUND);
	struct tl_buf batch;
	uint64_t number;
	uint32_t event_count;
	uint32_t damaged = 0;

	(void)state;
	memset(frame, 'f', sizeof(frame));
	assert_int_equal(
		spool_put(spool, tl_slice_of(frame, TL_FRAME_BYTES_MAX), 1, &number, NULL), TL_OK);
	assert_int_equal(
		spool_put(spool, tl_slice_of(frame, sizeof(frame)), 1, &number, NULL), TL_EFULL);
	tl_buf_init(&batch, 0);
	assert_int_equal(
		spool_next(spool, 0, &batch, &number, &event_count, &damaged, NULL), TL_OK);
	assert_true(tl_slice_eq(tl_buf_slice(&batch), tl_slice_of(frame, TL_FRAME_BYTES_MAX)));
	tl_buf_fini(&batch);
	spool_close(spool);
}

static void
only_one_has_it(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);
	struct spool *second = NULL;
	struct tl_why why = {""};

	(void)state;
	assert_int_equal(spool_open(at("s"), NO_BOUND, &second, &why), TL_ELOCKED);
	assert_non_null(strstr(why.text, scratch));
	assert_null(second);
	spool_close(spool);
	spool = opened("s", NO_BOUND);
	spool_close(spool);
}

static void
a_folder_that_cannot_be_made_is_an_error(void **state)
{
	struct spool *spool = NULL;
	struct tl_why why = {""};
	static char path[PATH_MAX + 1];

	(void)state;
	assert_int_equal(tl_file_replace(at("f"), tl_slice_str("x"), NULL), TL_OK);
	assert_int_equal(spool_open(at("f"), NO_BOUND, &spool, &why), TL_EIO);
	assert_int_equal(spool_open(at("f/s"), NO_BOUND, &spool, &why), TL_EIO);
	memset(path, 'p', PATH_MAX);
	assert_int_equal(spool_open(path, NO_BOUND, &spool, &why), TL_EIO);
	assert_null(spool);
}

static void
what_is_unfinished_or_not_ours_is_passed_over(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);

	(void)state;
	put(spool, "one");
	spool_close(spool);
	assert_int_equal(
		tl_file_replace(at("s/0000000000000002.tmp"), tl_slice_str("TSP1"), NULL), TL_OK);
	assert_int_equal(tl_file_replace(at("s/README"), tl_slice_str("x"), NULL), TL_OK);
	assert_int_equal(tl_file_replace(at("s/000000000000000A"), tl_slice_str("x"), NULL), TL_OK);
	assert_int_equal(
		tl_file_replace(at("s/00000000000000033"), tl_slice_str("x"), NULL), TL_OK);
	assert_int_equal(mkdir(at("s/0000000000000004"), 0700), 0);

	spool = opened("s", NO_BOUND);
	assert_batches(spool, "one ");
	assert_int_equal(spool_bytes(spool), HEAD_BYTES + 3);
	assert_false(is_there("s/0000000000000002.tmp"));
	assert_true(is_there("s/README"));
	spool_close(spool);
}

/* What can happen to a file; place is the byte that flips or the first that is cut off. */
static const struct {
	const char *name;
	int place;
	enum { FLIP, CUT, APPEND } what;
} damages[] = {
	{"another magic", 0, FLIP},
	{"another version", 3, FLIP},
	{"a length too large", 4, FLIP},
	{"a length too small", 7, FLIP},
	{"a count above the limit", 8, FLIP},
	{"a wrong checksum", 12, FLIP},
	{"its last byte", 19, FLIP},
	{"a flipped bit at the start", 20, FLIP},
	{"a flipped bit at the end", 22, FLIP},
	{"an empty file", 0, CUT},
	{"half a head", 10, CUT},
	{"no batch", 20, CUT},
	{"a batch cut short", 22, CUT},
	{"a byte more", 0, APPEND},
};

static void
damage(const char *path, size_t i)
{
	struct tl_buf buf;

	tl_buf_init(&buf, 0);
	assert_int_equal(tl_file_read(path, &buf, NULL), TL_OK);
	if (damages[i].what == FLIP)
		buf.data[damages[i].place] ^= 0x40;
	else if (damages[i].what == CUT)
		buf.bytes = (size_t)damages[i].place;
	else
		tl_buf_put_u8(&buf, 'x');
	assert_int_equal(tl_file_replace(path, tl_buf_slice(&buf), NULL), TL_OK);
	tl_buf_fini(&buf);
}

static void
a_damaged_file_is_set_aside(void **state)
{
	struct spool *spool;
	uint32_t damaged;

	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		char dir[16];
		char path[64];

		snprintf(dir, sizeof(dir), "s%zu", i);
		spool = opened(dir, NO_BOUND);
		put(spool, "one");
		put(spool, "two");
		put(spool, "six");
		spool_close(spool);
		snprintf(path, sizeof(path), "%s/0000000000000002", dir);
		damage(at(path), i);

		spool = opened(dir, NO_BOUND);
		if (strcmp(batches(spool, &damaged), "one six ") != 0 || damaged != 1)
			fail_msg("%s: read as '%s'", damages[i].name, batches(spool, &damaged));
		assert_int_equal(spool_bytes(spool), 2 * (HEAD_BYTES + 3));
		assert_batches(spool, "one six ");
		spool_close(spool);
		snprintf(path, sizeof(path), "%s/damaged/0000000000000002", dir);
		if (!is_there(path))
			fail_msg("%s: not in damaged", damages[i].name);
	}
}

static void
a_file_somebody_took_away_is_passed_over(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);
	uint32_t damaged;

	(void)state;
	put(spool, "one");
	put(spool, "two");
	assert_int_equal(unlink(at("s/0000000000000001")), 0);
	assert_string_equal(batches(spool, &damaged), "two ");
	assert_int_equal(damaged, 1);
	spool_close(spool);
}

static void
a_file_has_its_golden_bytes(void **state)
{
	struct spool *spool = opened("s", NO_BOUND);
	uint64_t number;
	struct tl_buf golden;
	struct tl_buf file;
	char *hex;

	(void)state;
	assert_int_equal(
		spool_put(spool, tl_slice_str("a batch of three"), 3, &number, NULL), TL_OK);
	spool_close(spool);
	tl_buf_init(&file, 0);
	tl_buf_init(&golden, 0);
	assert_int_equal(tl_file_read(at("s/0000000000000001"), &file, NULL), TL_OK);
	assert_int_equal(tl_file_read("tests/golden/spool.hex", &golden, NULL), TL_OK);
	tl_buf_put_u8(&golden, 0);
	hex = malloc(2 * file.bytes + 1);
	assert_non_null(hex);
	tl_hex(file.data, file.bytes, hex);
	if (strncmp((char *)golden.data, "spool ", 6) != 0 ||
		strcspn((char *)golden.data + 6, "\n") != 2 * file.bytes ||
		strncmp((char *)golden.data + 6, hex, 2 * file.bytes) != 0)
		fail_msg("tests/golden/spool.hex: is now %s", hex);
	free(hex);
	tl_buf_fini(&golden);
	tl_buf_fini(&file);
}

/* The content of a batch follows from its number, so that a reader knows what it should be. */
static void
content_of(uint64_t number, struct tl_buf *batch)
{
	uint64_t seed = number;
	uint64_t words = 1 + next_random(&seed) % 2000;

	tl_buf_reset(batch);
	for (uint64_t i = 0; i < words; i++)
		tl_buf_put_be64(batch, next_random(&seed));
}

/* Puts and removes for ever, and says each number once what it promises is durable. */
static void
crash_writer(int report)
{
	struct spool *spool = opened("s", NO_BOUND);
	struct tl_buf batch;

	tl_buf_init(&batch, 0);
	for (uint64_t i = 1;; i++) {
		uint64_t number;

		content_of(i, &batch);
		if (spool_put(spool, tl_buf_slice(&batch), 1 + (uint32_t)(i % 1000), &number,
			    NULL) != TL_OK ||
			write(report, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static void
crash_round(uint64_t reports_wanted)
{
	struct spool *spool;
	struct tl_buf batch, expected;
	uint64_t number = 0;
	uint64_t reported = 0;
	uint32_t event_count;
	uint32_t damaged = 0;
	int report[2];
	pid_t pid;

	assert_int_equal(pipe(report), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		crash_writer(report[1]);
	close(report[1]);
	for (uint64_t i = 0; i < reports_wanted; i++)
		assert_int_equal(read(report[0], &reported, sizeof(reported)), sizeof(reported));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (read(report[0], &reported, sizeof(reported)) == sizeof(reported))
		;
	close(report[0]);

	tl_buf_init(&batch, 0);
	tl_buf_init(&expected, 0);
	spool = opened("s", NO_BOUND);
	for (uint64_t i = 1;; i++) {
		enum tl_err err =
			spool_next(spool, number, &batch, &number, &event_count, &damaged, NULL);

		if (err == TL_EEND)
			break;
		assert_int_equal(err, TL_OK);
		assert_int_equal(number, i);
		assert_int_equal(event_count, 1 + i % 1000);
		content_of(i, &expected);
		assert_true(tl_slice_eq(tl_buf_slice(&batch), tl_buf_slice(&expected)));
	}
	/* At most the one whose report did not get out is there beyond what was said. */
	assert_true(number == reported || number == reported + 1);
	assert_int_equal(damaged, 0);
	assert_int_equal(files_in("s"), number);
	spool_close(spool);
	tl_buf_fini(&batch);
	tl_buf_fini(&expected);
}

static void
kill_9_leaves_every_file_whole_or_absent(void **state)
{
	uint64_t seed = seed_of_run();

	for (int i = 0; i < CRASH_ROUNDS; i++) {
		assert_int_equal(scratch_remove(state), 0);
		assert_int_equal(scratch_make(state), 0);
		crash_round(1 + next_random(&seed) % 20);
	}
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(what_is_put_is_found_in_order_by_the_next_process),
		SCRATCH_TEST(the_count_of_events_comes_back),
		SCRATCH_TEST(an_acknowledged_batch_goes),
		SCRATCH_TEST(a_long_life_keeps_the_order),
		SCRATCH_TEST(a_refused_batch_is_kept_with_its_reply),
		SCRATCH_TEST(a_batch_that_cannot_be_moved_stays),
		SCRATCH_TEST(the_bound_counts_whole_files),
		SCRATCH_TEST(a_batch_as_large_as_a_frame_fits),
		SCRATCH_TEST(only_one_has_it),
		SCRATCH_TEST(a_folder_that_cannot_be_made_is_an_error),
		SCRATCH_TEST(what_is_unfinished_or_not_ours_is_passed_over),
		SCRATCH_TEST(a_damaged_file_is_set_aside),
		SCRATCH_TEST(a_file_somebody_took_away_is_passed_over),
		SCRATCH_TEST(a_file_has_its_golden_bytes),
		SCRATCH_TEST(kill_9_leaves_every_file_whole_or_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
