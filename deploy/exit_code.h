/* How a daemon of tally ends, for whoever started it. The numbers are those of sysexits.h. */
#ifndef DEPLOY_EXIT_CODE_H
#define DEPLOY_EXIT_CODE_H

#include "schema/base/err.h"

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_USAGE = 64,
	EXIT_CODE_DATA =
		65, /* acknowledged data is missing or damaged, or verify found a difference */
	EXIT_CODE_LOCKED = 69, /* another process has the data directory */
	EXIT_CODE_IO = 75,     /* start again */
	EXIT_CODE_CONFIG = 78, /* starting again does not help */
};

enum exit_code exit_code_of(enum tl_err err);

#endif
