/* The command line: a table of subcommands; each has a file in cmd/. */
#include <stdio.h>
#include <string.h>

#include "deploy/cmd/cli.h"
#include "schema/base/crypt.h"

static const struct cli_command command_table[] = {
	{"up", "start the daemon", cmd_up},
	{"org", "create and list orgs, change their settings", cmd_org},
	{"keys", "tokens and agents' keys: create, list, rotate, revoke", cmd_keys},
	{"members", "invite, rename, set rates, remove", cmd_members},
	{"login-link", "an address that signs a browser in, once", cmd_login_link},
	{"push", "push usage events from a file or standard input", cmd_push},
	{"import", "bring in transcripts of claude-code or codex", cmd_import},
	{"prices", "what usage without a cost is priced by", cmd_prices},
	{"top", "who spends what: the ranked team, with sparklines", cmd_top},
	{"repos", "usage by repository", cmd_repos},
	{"pulls", "usage by pull request", cmd_pulls},
	{"models", "usage by model", cmd_models},
	{"sessions", "sessions, or one in detail", cmd_sessions},
	{"team", "the team's table: first seen, rates, true cost", cmd_team},
	{"reconcile", "what became of every event sent, by day and source", cmd_reconcile},
	{"export", "the rows behind the figures, as CSV or JSON lines", cmd_export},
	{"health", "is the daemon ready, and if not, why", cmd_health},
	{"accept-clock", "say that the clock is right when the daemon doubts it", cmd_accept_clock},
	{"stats", "what the daemon says about itself", cmd_stats},
	{"verify", "recount everything from the raw events and compare", cmd_verify},
	{"rebuild", "fold everything again from the raw events", cmd_rebuild},
	{"seal", "write finished days again, sorted and smaller", cmd_seal},
	{"accept-loss", "go on without acknowledged data that is gone", cmd_accept_loss},
	{"dump", "stored rows as text", cmd_dump},
	{"explain", "the events behind a figure", cmd_explain},
	{"load", "simulated gateways: generated workload or a trace", cmd_load},
};

#define COMMAND_COUNT (sizeof(command_table) / sizeof(command_table[0]))

static void
print_usage(FILE *out)
{
	fputs("usage: tally COMMAND [options]\n\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-12s %s\n", command_table[i].name, command_table[i].summary);
	fputs("\ntally COMMAND --help lists a command's options.\n", out);
}

int
main(int argc, char **argv)
{
	if (tl_crypt_init()) {
		cli_error("no source of random bytes");
		return CLI_UNAVAILABLE;
	}
	if (argc < 2) {
		print_usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		return CLI_OK;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], command_table[i].name) == 0)
			return command_table[i].run(argc - 1, argv + 1);
	}
	cli_error("no command '%s'; 'tally help' lists them", argv[1]);
	return CLI_USAGE;
}
