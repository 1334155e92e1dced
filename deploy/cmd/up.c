/* tally up, tally accept-loss: what tallyd does itself, found beside this program. */
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

/* Become tallyd, with the order if there is one, and the options as they came. */
static int
become_tallyd(const char *name, const char *order, const char *operand, int argc, char **argv)
{
	char path[PATH_BYTES];
	char **args = calloc((size_t)argc + 5, sizeof(*args));
	bool has_data = false;
	int count = 0;

	if (args == NULL || !sibling("tallyd", path)) {
		cli_error("%s: tallyd was not found", name);
		free(args);
		return CLI_UNAVAILABLE;
	}
	args[count++] = path;
	if (order != NULL)
		args[count++] = (char *)order;
	if (operand != NULL)
		args[count++] = (char *)operand;
	for (int i = 0; i < argc; i++) {
		has_data = has_data || strncmp(argv[i], "--data", 6) == 0;
		args[count++] = argv[i];
	}
	if (!has_data && getenv("TALLY_DATA") != NULL) {
		args[count++] = "--data";
		args[count++] = getenv("TALLY_DATA");
	}
	execv(path, args);
	cli_error("%s: %s: %s", name, path, strerror(errno));
	free(args);
	return CLI_UNAVAILABLE;
}

int
cmd_up(int argc, char **argv)
{
	return become_tallyd("up", NULL, NULL, argc - 1, argv + 1);
}

static const char accept_loss_help[] =
	"usage: tally accept-loss --have N [--data DIR] [--mark-file FILE]\n\n"
	"After a start refused with acked_data_missing: says what is missing, records it, and\n"
	"gives the store a new epoch, so that gateways send again what they kept. N is the\n"
	"number of events that are left, as the refusal prints it.\n";

/* On a directory that no daemon has open: the daemon itself knows how to read it. */
int
cmd_accept_loss(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(accept_loss_help, stdout);
		return CLI_OK;
	}
	if (argc < 3 || strcmp(argv[1], "--have") != 0) {
		fputs(accept_loss_help, stderr);
		return CLI_USAGE;
	}
	return become_tallyd("accept-loss", "accept-loss", argv[2], argc - 3, argv + 3);
}
