/* tally accept-loss: what tallyd does itself, found beside this program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/cmd/cli.h"

/* Become tallyd with the order, and the options as they came. */
static int
become_tallyd(const char *order, const char *operand, int argc, char **argv)
{
	char path[CLI_PATH_BYTES];
	char **args = calloc((size_t)argc + 5, sizeof(*args));
	bool has_data = false;
	int count = 0;

	if (args == NULL || !cli_sibling("tallyd", path)) {
		cli_error("%s: tallyd was not found", order);
		free(args);
		return CLI_UNAVAILABLE;
	}
	args[count++] = path;
	args[count++] = (char *)order;
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
	cli_error("%s: %s: %s", order, path, strerror(errno));
	free(args);
	return CLI_UNAVAILABLE;
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
	return become_tallyd("accept-loss", argv[2], argc - 3, argv + 3);
}
