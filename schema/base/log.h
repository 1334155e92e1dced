/*
 * One fact per line on stderr: time, level, what happened, key=value.
 * 2026-11-21T10:00:00.123Z info store opened families=12 ms=84
 */
#ifndef TL_BASE_LOG_H
#define TL_BASE_LOG_H

#include <stdbool.h>

#include "schema/base/err.h"

enum tl_log_level {
	TL_LOG_ERROR,
	TL_LOG_WARN,
	TL_LOG_INFO,
	TL_LOG_DEBUG,
};

/* Lines above this level are dropped. Default TL_LOG_INFO. */
void tl_log_set_level(enum tl_log_level level);

/* "error", "warn", "info" or "debug"; false for anything else. */
bool tl_log_level_parse(const char *name, enum tl_log_level *level_out);

/* fmt gives "what happened key=value ...", without a newline; control bytes are escaped. */
void tl_log(enum tl_log_level level, const char *fmt, ...) TL_PRINTF(2, 3);

#endif
