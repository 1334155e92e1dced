#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/base/conf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct settings {
	char listen[TL_CONF_STRING_BYTES];
	int64_t retention_days;
	int64_t cache_bytes;
	int64_t shift;
	bool fsync;
	bool verbose;
};

static const struct tl_conf_setting rows[] = {
	{"listen", TL_CONF_STRING, offsetof(struct settings, listen), "ipc:///run/tally", 0, 0,
		"where to listen"},
	{"retention_days", TL_CONF_INT, offsetof(struct settings, retention_days), "90", 1, 3650,
		"how long events are kept"},
	{"cache_bytes", TL_CONF_INT, offsetof(struct settings, cache_bytes), "64M", 0, INT64_MAX,
		"memory for blocks"},
	{"shift", TL_CONF_INT, offsetof(struct settings, shift), "-5", -10, 10, "a signed number"},
	{"fsync", TL_CONF_FLAG, offsetof(struct settings, fsync), "true", 0, 0,
		"wait for the disk"},
	{"verbose", TL_CONF_FLAG, offsetof(struct settings, verbose), "false", 0, 0, "say more"},
};

static const struct tl_conf_table table = {
	.program = "tallyd",
	.summary = "Keeps the store.",
	.operands = NULL,
	.settings = rows,
	.setting_count = COUNT(rows),
};

static const struct tl_conf_table table_with_operands = {
	.program = "tally import",
	.summary = "Reads files.",
	.operands = "FILE...",
	.settings = rows,
	.setting_count = COUNT(rows),
};

static char path[64];

static void
write_conf(const char *text, size_t text_bytes)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, text_bytes, file), text_bytes);
	assert_int_equal(fclose(file), 0);
}

static int
make_path(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/base_conf_test.XXXXXX");
	fd = mkstemp(path);
	return fd < 0 || close(fd) < 0 ? -1 : 0;
}

static int
remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static void
every_setting_has_its_initial_value(void **state)
{
	struct settings values;

	(void)state;
	memset(&values, 0xff, sizeof(values));
	tl_conf_defaults(&table, &values);
	assert_string_equal(values.listen, "ipc:///run/tally");
	assert_int_equal(values.retention_days, 90);
	assert_int_equal(values.cache_bytes, 64 << 20);
	assert_true(values.shift == -5);
	assert_true(values.fsync);
	assert_false(values.verbose);
}

static void
a_file_sets_what_it_names(void **state)
{
	static const char text[] = "# a comment\n"
				   "; another\n"
				   "\n"
				   "listen = tcp://127.0.0.1:7000\r\n"
				   "retention_days=30\n"
				   "   # an indented comment\n"
				   "cache_bytes = 2G ; memory is cheap\n"
				   "verbose : true\n"
				   "retention_days = 31";
	struct tl_why why = {""};
	struct settings values;

	(void)state;
	write_conf(text, sizeof(text) - 1);
	tl_conf_defaults(&table, &values);
	assert_int_equal(tl_conf_read_file(&table, path, &values, &why), TL_OK);
	assert_string_equal(values.listen, "tcp://127.0.0.1:7000");
	assert_int_equal(values.retention_days, 31);
	assert_true(values.cache_bytes == (int64_t)2 << 30);
	assert_true(values.shift == -5);
	assert_true(values.fsync);
	assert_true(values.verbose);
}

#define FIFTY "01234567890123456789012345678901234567890123456789"

static const struct {
	const char *name;
	const char *text;
	const char *why; /* behind the path */
} wrong_files[] = {
	{"an unknown name", "fsync = true\nfoo = 1\n", ":2: unknown setting 'foo'"},
	{"a name in capitals", "FSYNC = true\n", ":1: unknown setting 'FSYNC'"},
	{"a dash in a name", "retention-days = 1\n", ":1: unknown setting 'retention-days'"},
	{"config is an option only", "config = x\n", ":1: unknown setting 'config'"},
	{"below the least", "retention_days = 0\n",
		":1: retention_days must be a whole number from 1 to 3650, is '0'"},
	{"above the most", "retention_days = 3651\n",
		":1: retention_days must be a whole number from 1 to 3650, is '3651'"},
	{"above the most by its suffix", "retention_days = 4k\n",
		":1: retention_days must be a whole number from 1 to 3650, is '4k'"},
	{"a suffix past 64 bits", "cache_bytes = 9000000000000000000k\n",
		":1: cache_bytes must be a whole number from 0 to 9223372036854775807, "
		"is '9000000000000000000k'"},
	{"a number past 64 bits", "cache_bytes = 9223372036854775808\n",
		":1: cache_bytes must be a whole number from 0 to 9223372036854775807, "
		"is '9223372036854775808'"},
	{"a fraction", "shift = 1.5\n",
		":1: shift must be a whole number from -10 to 10, is '1.5'"},
	{"an empty number", "shift =\n", ":1: shift must be a whole number from -10 to 10, is ''"},
	{"only a suffix", "shift = k\n", ":1: shift must be a whole number from -10 to 10, is 'k'"},
	{"a plus", "shift = +5\n", ":1: shift must be a whole number from -10 to 10, is '+5'"},
	{"two signs", "shift = --5\n", ":1: shift must be a whole number from -10 to 10, is '--5'"},
	{"an unknown suffix", "cache_bytes = 5T\n",
		":1: cache_bytes must be a whole number from 0 to 9223372036854775807, is '5T'"},
	{"hex", "shift = 0x5\n", ":1: shift must be a whole number from -10 to 10, is '0x5'"},
	{"a flag that is a number", "fsync = 1\n", ":1: fsync must be true or false, is '1'"},
	{"a flag in capitals", "fsync = True\n", ":1: fsync must be true or false, is 'True'"},
	{"a name without a value", "fsync = true\n\nverbose\n", ":3: not of the form name = value"},
	{"a setting in a section", "[store]\nfsync = true\n",
		":2: there are no sections, found [store]"},
	{"a line that inih would join to the one before", "listen = a\n  b\n",
		":2: a setting begins at the start of its line"},
	{"the first of two errors counts", "verbose\nfoo = 1\n",
		":1: not of the form name = value"},
	{"also in the other order", "foo = 1\nverbose\n", ":1: unknown setting 'foo'"},
	{"a value that inih would cut short",
		"fsync = true\nlisten = " FIFTY FIFTY FIFTY FIFTY "\nverbose = true\n",
		":2: the line is longer than 198 bytes"},
	{"a comment that inih would cut into a setting", "#" FIFTY FIFTY FIFTY FIFTY "\n",
		":1: the line is longer than 198 bytes"},
};

static void
a_wrong_file_is_refused_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_files); i++) {
		struct tl_why why = {""};
		struct settings before;
		struct settings values;
		char expected[sizeof(why.text)];

		write_conf(wrong_files[i].text, strlen(wrong_files[i].text));
		memset(&before, 0, sizeof(before));
		tl_conf_defaults(&table, &before);
		memcpy(&values, &before, sizeof(values));
		if (tl_conf_read_file(&table, path, &values, &why) != TL_ECONFIG)
			fail_msg("%s", wrong_files[i].name);
		snprintf(expected, sizeof(expected), "%.60s%s", path, wrong_files[i].why);
		assert_string_equal(why.text, expected);
		assert_memory_equal(&values, &before, sizeof(values));
	}
}

static void
a_zero_byte_is_refused(void **state)
{
	struct tl_why why = {""};
	struct settings values;

	(void)state;
	write_conf("listen = a\0b\n", 13);
	tl_conf_defaults(&table, &values);
	assert_int_equal(tl_conf_read_file(&table, path, &values, &why), TL_ECONFIG);
	assert_non_null(strstr(why.text, ":1: the line holds a zero byte"));
}

static void
the_longest_line_is_taken_whole(void **state)
{
	struct settings values;
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "listen=", 7);
	text[198] = '\n';
	tl_conf_defaults(&table, &values);
	write_conf(text, 199);
	assert_int_equal(tl_conf_read_file(&table, path, &values, NULL), TL_OK);
	assert_int_equal(strlen(values.listen), 191);
	write_conf(text, 198);
	assert_int_equal(tl_conf_read_file(&table, path, &values, NULL), TL_OK);
	assert_int_equal(strlen(values.listen), 191);
}

static void
a_file_that_is_not_there_is_not_found(void **state)
{
	struct tl_why why = {""};
	struct settings values;

	(void)state;
	tl_conf_defaults(&table, &values);
	assert_int_equal(
		tl_conf_read_file(&table, "/nowhere/x.conf", &values, &why), TL_ENOT_FOUND);
	assert_non_null(strstr(why.text, "/nowhere/x.conf"));
}

/* Up to nine arguments; the program's name is added. */
static enum tl_err
read_args(const struct tl_conf_table *which, const char *const args[9], struct settings *values,
	char **argv_out, int *operand_count_out, struct tl_why *why)
{
	static char texts[10][400];
	int argc = 1;

	argv_out[0] = "program";
	for (; argc < 10 && args[argc - 1]; argc++) {
		snprintf(texts[argc], sizeof(texts[argc]), "%s", args[argc - 1]);
		argv_out[argc] = texts[argc];
	}
	argv_out[argc] = NULL;
	tl_conf_defaults(which, values);
	return tl_conf_read_args(which, argc, argv_out, values, operand_count_out, why);
}

static void
options_set_what_they_name(void **state)
{
	static const char *const args[9] = {"--listen", "-x", "--retention-days=7", "--no-fsync",
		"--verbose", "--shift", "-3", "--cache-bytes", "1k"};
	struct tl_why why = {""};
	struct settings values;
	char *argv[11];
	int operand_count = -1;

	(void)state;
	assert_int_equal(read_args(&table, args, &values, argv, &operand_count, &why), TL_OK);
	assert_int_equal(operand_count, 0);
	assert_string_equal(values.listen, "-x");
	assert_int_equal(values.retention_days, 7);
	assert_false(values.fsync);
	assert_true(values.verbose);
	assert_true(values.shift == -3);
	assert_int_equal(values.cache_bytes, 1024);
}

static void
operands_move_to_the_front_in_order(void **state)
{
	static const char *const args[9] = {
		"a", "--verbose", "-", "--shift", "4", "b", "--", "--fsync", "--"};
	struct tl_why why = {""};
	struct settings values;
	char *argv[11];
	int operand_count = -1;

	(void)state;
	assert_int_equal(
		read_args(&table_with_operands, args, &values, argv, &operand_count, &why), TL_OK);
	assert_int_equal(operand_count, 5);
	assert_string_equal(argv[0], "program");
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "-");
	assert_string_equal(argv[3], "b");
	assert_string_equal(argv[4], "--fsync");
	assert_string_equal(argv[5], "--");
	assert_true(values.verbose);
	assert_true(values.shift == 4);
}

static void
options_win_over_the_file_wherever_it_is_named(void **state)
{
	static const char text[] = "shift = 1\nretention_days = 5\n";
	const char *const args[9] = {"--shift", "2", "--config", path, "--verbose"};
	struct tl_why why = {""};
	struct settings values;
	char *argv[11];
	int operand_count = -1;

	(void)state;
	write_conf(text, sizeof(text) - 1);
	assert_int_equal(read_args(&table, args, &values, argv, &operand_count, &why), TL_OK);
	assert_true(values.shift == 2);
	assert_int_equal(values.retention_days, 5);
	assert_true(values.verbose);
}

static const struct {
	const char *name;
	const char *args[9];
	const char *why;
} wrong_args[] = {
	{"an unknown option", {"--foo"}, "unknown option '--foo'"},
	{"an unknown option with a value", {"--foo=1"}, "unknown option '--foo=1'"},
	{"a short option", {"-v"}, "unknown option '-v'"},
	{"an underscore", {"--retention_days=1"}, "unknown option '--retention_days=1'"},
	{"the beginning of an option", {"--retention"}, "unknown option '--retention'"},
	{"no- before what is no flag", {"--no-shift"}, "unknown option '--no-shift'"},
	{"a flag with a value", {"--verbose=true"}, "--verbose takes no value"},
	{"a denied flag with a value", {"--no-verbose=true"}, "--no-verbose takes no value"},
	{"a value that is missing", {"--verbose", "--shift"}, "--shift needs a value"},
	{"a config that is missing", {"--config"}, "--config needs a value"},
	{"a wrong value names the option and its limits", {"--shift", "1", "--retention-days", "0"},
		"--retention-days must be a whole number from 1 to 3650, is '0'"},
	{"an empty value", {"--retention-days="},
		"--retention-days must be a whole number from 1 to 3650, is ''"},
	{"a text that is too long", {"--listen", FIFTY FIFTY FIFTY FIFTY FIFTY "012345"},
		"--listen must be at most 255 bytes long, is 256"},
	{"an operand where none is taken", {"--shift", "1", "x"}, "unexpected argument 'x'"},
	{"an operand behind the end of options", {"--", "--shift"},
		"unexpected argument '--shift'"},
	{"two files", {"--config", "/a", "--config", "/b"}, "--config is given twice"},
};

static void
wrong_options_change_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_args); i++) {
		struct tl_why why = {""};
		struct settings values;
		struct settings before;
		char *argv[11];
		int operand_count = -1;

		memset(&values, 0, sizeof(values));
		memset(&before, 0, sizeof(before));
		tl_conf_defaults(&table, &before);
		if (read_args(&table, wrong_args[i].args, &values, argv, &operand_count, &why) !=
			TL_EUSAGE)
			fail_msg("%s", wrong_args[i].name);
		assert_string_equal(why.text, wrong_args[i].why);
		assert_memory_equal(&values, &before, sizeof(values));
		assert_int_equal(operand_count, -1);
	}
}

static void
a_text_of_255_bytes_is_taken(void **state)
{
	static const char *const args[9] = {"--listen", FIFTY FIFTY FIFTY FIFTY FIFTY "01234"};
	struct settings values;
	char *argv[11];
	int operand_count;

	(void)state;
	assert_int_equal(read_args(&table, args, &values, argv, &operand_count, NULL), TL_OK);
	assert_string_equal(values.listen, args[1]);
}

static void
a_wrong_file_on_the_command_line_changes_nothing(void **state)
{
	const char *const args[9] = {"--config", path, "--shift", "2"};
	struct tl_why why = {""};
	struct settings values;
	char *argv[11];
	int operand_count = -1;

	(void)state;
	write_conf("verbose = true\nfoo = 1\n", 23);
	assert_int_equal(read_args(&table, args, &values, argv, &operand_count, &why), TL_ECONFIG);
	assert_non_null(strstr(why.text, ":2: unknown setting 'foo'"));
	assert_true(values.shift == -5);
	assert_false(values.verbose);
	assert_int_equal(operand_count, -1);
}

static void
the_help_names_every_setting(void **state)
{
	static const char *const parts[] = {"Usage: tally import [OPTION...] [--] FILE...\n",
		"\nReads files.\n",
		"  --listen TEXT\n        where to listen (default ipc:///run/tally)\n",
		"  --retention-days N\n        how long events are kept (1 to 3650, default 90)\n",
		"(0 to 9223372036854775807, default 64M)\n",
		"  --[no-]fsync\n        wait for the disk (default true)\n", "  --config FILE\n"};
	struct tl_buf text;

	(void)state;
	tl_buf_init(&text, 0);
	tl_conf_help(&table_with_operands, &text);
	tl_buf_put_u8(&text, 0);
	assert_int_equal(text.err, TL_OK);
	for (size_t i = 0; i < COUNT(parts); i++) {
		if (!strstr((const char *)text.data, parts[i]))
			fail_msg("'%s' is not in: %s", parts[i], (const char *)text.data);
	}
	tl_buf_reset(&text);
	tl_conf_help(&table, &text);
	assert_memory_equal(text.data, "Usage: tallyd [OPTION...]\n", 26);
	tl_buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setting_has_its_initial_value),
		cmocka_unit_test(a_file_sets_what_it_names),
		cmocka_unit_test(a_wrong_file_is_refused_whole),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(the_longest_line_is_taken_whole),
		cmocka_unit_test(a_file_that_is_not_there_is_not_found),
		cmocka_unit_test(options_set_what_they_name),
		cmocka_unit_test(operands_move_to_the_front_in_order),
		cmocka_unit_test(options_win_over_the_file_wherever_it_is_named),
		cmocka_unit_test(wrong_options_change_nothing),
		cmocka_unit_test(a_text_of_255_bytes_is_taken),
		cmocka_unit_test(a_wrong_file_on_the_command_line_changes_nothing),
		cmocka_unit_test(the_help_names_every_setting),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
