#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "schema/base/log.h"

/* Stderr becomes a socket that keeps the boundaries of each write. */
static int stderr_before = -1;
static int lines_fd = -1;

static int
catch_stderr(void **state)
{
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return -1;
	stderr_before = dup(STDERR_FILENO);
	if (stderr_before < 0 || dup2(pair[1], STDERR_FILENO) < 0)
		return -1;
	close(pair[1]);
	lines_fd = pair[0];
	tl_log_set_level(TL_LOG_INFO);
	return 0;
}

static int
release_stderr(void **state)
{
	(void)state;
	close(lines_fd);
	return dup2(stderr_before, STDERR_FILENO) < 0 || close(stderr_before) < 0 ? -1 : 0;
}

/* What one write gave, without the time; "" when there was none. */
static void
read_line(char *line_out, size_t line_bytes)
{
	char raw[4096];
	ssize_t bytes = recv(lines_fd, raw, sizeof(raw) - 1, MSG_DONTWAIT);
	int year, month, day, hour, minute, second, ms;
	char zone;

	line_out[0] = '\0';
	if (bytes < 0)
		return;
	raw[bytes] = '\0';
	assert_int_equal(sscanf(raw, "%4d-%2d-%2dT%2d:%2d:%2d.%3d%c", &year, &month, &day, &hour,
				 &minute, &second, &ms, &zone),
		8);
	assert_int_equal(zone, 'Z');
	assert_in_range(year, 2024, 9999);
	assert_in_range(month, 1, 12);
	assert_int_equal(raw[24], ' ');
	assert_true(strlen(raw + 25) < line_bytes);
	strcpy(line_out, raw + 25);
}

static void
each_level_says_its_name(void **state)
{
	static const struct {
		enum tl_log_level level;
		const char *line;
	} cases[] = {
		{TL_LOG_ERROR, "error store opened families=12\n"},
		{TL_LOG_WARN, "warn store opened families=12\n"},
		{TL_LOG_INFO, "info store opened families=12\n"},
		{TL_LOG_DEBUG, "debug store opened families=12\n"},
	};
	char line[4096];

	(void)state;
	tl_log_set_level(TL_LOG_DEBUG);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		tl_log(cases[i].level, "store opened families=%d", 12);
		read_line(line, sizeof(line));
		assert_string_equal(line, cases[i].line);
	}
}

static void
lines_above_the_level_are_dropped(void **state)
{
	char line[4096];

	(void)state;
	tl_log(TL_LOG_DEBUG, "dropped by default");
	read_line(line, sizeof(line));
	assert_string_equal(line, "");
	tl_log_set_level(TL_LOG_ERROR);
	tl_log(TL_LOG_WARN, "dropped");
	tl_log(TL_LOG_ERROR, "kept");
	read_line(line, sizeof(line));
	assert_string_equal(line, "error kept\n");
	read_line(line, sizeof(line));
	assert_string_equal(line, "");
}

static const struct {
	const char *name;
	const char *text;
	const char *line;
} escapes[] = {
	{"a newline does not begin a line", "a\nb", "info a\\nb\n"},
	{"a tab is a tab's escape", "a\tb", "info a\\tb\n"},
	{"a carriage return is escaped", "a\rb", "info a\\x0db\n"},
	{"a terminal is not driven", "\x1b[2J", "info \\x1b[2J\n"},
	{"delete is a control byte", "a\x7f", "info a\\x7f\n"},
	{"letters beyond ASCII stay", "caf\xc3\xa9", "info caf\xc3\xa9\n"},
	{"nothing is still a line", "", "info \n"},
};

static void
control_bytes_are_escaped(void **state)
{
	char line[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		tl_log(TL_LOG_INFO, "%s", escapes[i].text);
		read_line(line, sizeof(line));
		if (strcmp(line, escapes[i].line) != 0)
			fail_msg("%s", escapes[i].name);
	}
}

static void
a_long_line_is_cut_and_still_one_line(void **state)
{
	static char text[5000];
	static const char fills[] = {'x', '\n'};
	char line[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(fills); i++) {
		memset(text, fills[i], sizeof(text) - 1);
		tl_log(TL_LOG_INFO, "%s", text);
		read_line(line, sizeof(line));
		assert_in_range(strlen(line), 1000, 2048);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		read_line(line, sizeof(line));
		assert_string_equal(line, "");
	}
}

static void
errno_survives_a_line(void **state)
{
	int errno_after;

	(void)state;
	/* Nobody listens: the write fails. */
	assert_int_equal(shutdown(STDERR_FILENO, SHUT_WR), 0);
	signal(SIGPIPE, SIG_IGN);
	errno = ENOENT;
	tl_log(TL_LOG_INFO, "lost");
	errno_after = errno;
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(errno_after, ENOENT);
}

#define LOG_TEST(test) cmocka_unit_test_setup_teardown(test, catch_stderr, release_stderr)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(each_level_says_its_name),
		LOG_TEST(lines_above_the_level_are_dropped),
		LOG_TEST(control_bytes_are_escaped),
		LOG_TEST(a_long_line_is_cut_and_still_one_line),
		LOG_TEST(errno_survives_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
