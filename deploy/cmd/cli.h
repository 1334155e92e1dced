/* What every subcommand of tally shares: options, one question to the daemon, errors for people. */
#ifndef CMD_CLI_H
#define CMD_CLI_H

#include <stdbool.h>

#include "schema/base/conf.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

enum {
	CLI_OK = 0,
	CLI_USAGE = 64,
	CLI_DIFFERENCE = 65,  /* verify found one, or stored data is damaged */
	CLI_UNAVAILABLE = 69, /* no daemon answers */
	CLI_REFUSED = 1,      /* the daemon said no */
};

/* The first member of each subcommand's settings. */
struct cli {
	char data[TL_CONF_STRING_BYTES];
	char token[TL_CONF_STRING_BYTES];
	char org[TL_CONF_STRING_BYTES];
	char ingest[TL_CONF_STRING_BYTES];
	char query[TL_CONF_STRING_BYTES];
	bool json;
};

/* The rows of a settings table for struct cli at the front of the subcommand's settings. */
#define CLI_SETTINGS                                                                         \
	{"data", TL_CONF_STRING, offsetof(struct cli, data), "", 0, 0,                       \
		"data directory of the daemon here; default $TALLY_DATA or ./data"},         \
		{"token", TL_CONF_STRING, offsetof(struct cli, token), "", 0, 0,             \
			"who asks; default $TALLY_TOKEN; none: the operator, by the data "   \
			"directory's control socket"},                                       \
		{"org", TL_CONF_STRING, offsetof(struct cli, org), "", 0, 0,                 \
			"which org an operator means; default $TALLY_ORG or the only one"},  \
		{"ingest", TL_CONF_STRING, offsetof(struct cli, ingest), "", 0, 0,           \
			"address of the way in; default the socket in the data directory"},  \
		{"query", TL_CONF_STRING, offsetof(struct cli, query), "", 0, 0,             \
			"address of the way out; default the socket in the data directory"}, \
	{                                                                                    \
		"json", TL_CONF_FLAG, offsetof(struct cli, json), "false", 0, 0,             \
			"print the reply as JSON"                                            \
	}

/* What a subcommand is called, what it says of itself, its operands and its settings. */
#define CLI_TABLE(program_text, summary_text, operands_text, rows)                           \
	{                                                                                    \
		.program = program_text, .summary = summary_text, .operands = operands_text, \
		.settings = rows, .setting_count = sizeof(rows) / sizeof(rows[0])            \
	}

/*
 * Options into values (whose first member is a struct cli), environment defaults filled in.
 * Returns true to go on; else *exit_code_out is what main returns (help was printed, or an error).
 */
bool cli_parse(const struct tl_conf_table *table, int argc, char **argv, void *values,
	int *operand_count_out, int *exit_code_out);

/* Which door of the daemon. */
enum cli_door {
	CLI_DOOR_INGEST, /* commands and batches */
	CLI_DOOR_QUERY,
};

/* True when there is no token: the operator asks, over the control sockets. */
bool cli_is_operator(const struct cli *cli);

/* The address of a door for whoever asks; url_out has TL_CONF_STRING_BYTES + 32. */
void cli_url(const struct cli *cli, enum cli_door door, char *url_out);

/* Begin a request: v, op, token or org. The caller adds parameters and closes the map. */
struct tl_pack_open cli_request(const struct cli *cli, struct tl_buf *request, const char *op);

/* A parameter, when it was given. */
void cli_put_text(
	struct tl_buf *request, struct tl_pack_open *map, const char *key, const char *value);

/* For an operator without --org: the only org there is goes into cli->org. Else an exit code. */
int cli_choose_org(struct cli *cli);

/*
 * Ask and wait. CLI_OK with the checked reply map in *reply (a buffer the caller owns), or the
 * exit code after one line on stderr.
 */
int cli_ask(const struct cli *cli, enum cli_door door, const struct tl_buf *request,
	int64_t timeout_ms, struct tl_buf *reply);

/* The reply as JSON on stdout. */
void cli_print_json(const struct tl_buf *reply);

/* The path of a program that stands where this one does. */
#define CLI_PATH_BYTES 4096
bool cli_sibling(const char *name, char path_out[CLI_PATH_BYTES]);

/* "tally: ..." on stderr. */
void cli_error(const char *fmt, ...) TL_PRINTF(1, 2);

/* One subcommand. argv[0] is its own name. */
struct cli_command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

int cmd_up(int argc, char **argv);
int cmd_login_link(int argc, char **argv);
int cmd_accept_loss(int argc, char **argv);
int cmd_org(int argc, char **argv);
int cmd_keys(int argc, char **argv);
int cmd_members(int argc, char **argv);
int cmd_push(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_prices(int argc, char **argv);
int cmd_load(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_repos(int argc, char **argv);
int cmd_pulls(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_sessions(int argc, char **argv);
int cmd_team(int argc, char **argv);
int cmd_reconcile(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_health(int argc, char **argv);
int cmd_accept_clock(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_seal(int argc, char **argv);
int cmd_rebuild(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_explain(int argc, char **argv);

#endif
