#include "schema/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"

/* Below PIPE_BUF, so that a line of one thread or process never cuts into another's. */
#define LOG_LINE_BYTES 2048

static _Atomic int level_max = TL_LOG_INFO;

void
tl_log_set_level(enum tl_log_level level)
{
	atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

bool
tl_log_level_parse(const char *name, enum tl_log_level *level_out)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};

	for (int i = 0; i < 4; i++) {
		if (strcmp(name, names[i]) == 0) {
			*level_out = (enum tl_log_level)i;
			return true;
		}
	}
	return false;
}

static const char *
level_name(enum tl_log_level level)
{
	switch (level) {
	case TL_LOG_ERROR:
		return "error";
	case TL_LOG_WARN:
		return "warn";
	case TL_LOG_INFO:
		return "info";
	case TL_LOG_DEBUG:
		return "debug";
	}
	return "error";
}

/* "2026-11-21T10:00:00.123Z info "; the bytes written. */
static size_t
put_head(char *line, size_t line_bytes, enum tl_log_level level)
{
	int64_t wall_ms = tl_clock_wall_ms(tl_clock_system());
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	int bytes;

	if (!gmtime_r(&seconds, &tm))
		memset(&tm, 0, sizeof(tm));
	bytes = snprintf(line, line_bytes, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s ",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(wall_ms % 1000), level_name(level));
	return bytes > 0 && (size_t)bytes < line_bytes ? (size_t)bytes : 0;
}

/* Text of strangers ends up in these lines: it must not begin a line or drive a terminal. */
static size_t
put_escaped(char *line, size_t line_bytes, const char *text)
{
	size_t bytes = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f) {
			if (bytes + 1 > line_bytes)
				break;
			line[bytes++] = (char)c;
			continue;
		}
		/* One byte more than it writes, for the terminator of snprintf. */
		if (bytes + 5 > line_bytes)
			break;
		if (c == '\n')
			bytes += (size_t)snprintf(line + bytes, 5, "\\n");
		else if (c == '\t')
			bytes += (size_t)snprintf(line + bytes, 5, "\\t");
		else
			bytes += (size_t)snprintf(line + bytes, 5, "\\x%02x", c);
	}
	return bytes;
}

void
tl_log(enum tl_log_level level, const char *fmt, ...)
{
	char text[LOG_LINE_BYTES - 64];
	char line[LOG_LINE_BYTES];
	size_t bytes;
	va_list args;
	int errno_before = errno;

	if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
		return;
	va_start(args, fmt);
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		snprintf(text, sizeof(text), "unprintable line");
	va_end(args);

	bytes = put_head(line, sizeof(line) - 1, level);
	bytes += put_escaped(line + bytes, sizeof(line) - 1 - bytes, text);
	line[bytes++] = '\n';
	while (write(STDERR_FILENO, line, bytes) < 0 && errno == EINTR)
		;
	/* A line that cannot be written has nowhere else to go. */
	errno = errno_before;
}
