/* tally up: the daemon in the foreground, found beside this program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/cmd/cli.h"

#define PATH_BYTES 4096

/* tallyd stands where tally stands. */
static bool
sibling(const char *name, char path_out[PATH_BYTES])
{
	ssize_t bytes = readlink("/proc/self/exe", path_out, PATH_BYTES - 64);
	char *slash;

	if (bytes <= 0)
		return false;
	path_out[bytes] = '\0';
	slash = strrchr(path_out, '/');
	if (slash == NULL)
		return false;
	strcpy(slash + 1, name);
	return true;
}

int
cmd_up(int argc, char **argv)
{
	char path[PATH_BYTES];
	char **args = calloc((size_t)argc + 3, sizeof(*args));
	bool has_data = false;
	int count = 0;

	if (args == NULL || !sibling("tallyd", path)) {
		cli_error("up: tallyd was not found");
		free(args);
		return CLI_UNAVAILABLE;
	}
	args[count++] = path;
	for (int i = 1; i < argc; i++) {
		has_data = has_data || strncmp(argv[i], "--data", 6) == 0;
		args[count++] = argv[i];
	}
	if (!has_data && getenv("TALLY_DATA") != NULL) {
		args[count++] = "--data";
		args[count++] = getenv("TALLY_DATA");
	}
	execv(path, args);
	cli_error("up: %s: %s", path, strerror(errno));
	free(args);
	return CLI_UNAVAILABLE;
}
