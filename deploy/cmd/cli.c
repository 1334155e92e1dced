#include "deploy/cmd/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/model/limits.h"
#include "schema/net/req_client.h"
#include "schema/wire/frame.h"
#include "schema/wire/json.h"

#define REPLY_DEPTH_MAX 12

void
cli_error(const char *fmt, ...)
{
	va_list args;

	fputs("tally: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

bool
cli_sibling(const char *name, char path_out[CLI_PATH_BYTES])
{
	ssize_t bytes = readlink("/proc/self/exe", path_out, CLI_PATH_BYTES - 64);
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

static void
fill_from_environment(char *value, const char *name, const char *fallback)
{
	const char *text = getenv(name);

	if (value[0] != '\0')
		return;
	snprintf(value, TL_CONF_STRING_BYTES, "%s", text != NULL ? text : fallback);
}

static void
print_help(const struct tl_conf_table *table)
{
	struct tl_buf text;

	tl_buf_init(&text, 0);
	tl_conf_help(table, &text);
	fwrite(text.data, 1, text.bytes, stdout);
	tl_buf_fini(&text);
}

bool
cli_parse(const struct tl_conf_table *table, int argc, char **argv, void *values,
	int *operand_count_out, int *exit_code_out)
{
	struct cli *cli = values;
	struct tl_why why = {0};

	tl_conf_defaults(table, values);
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help(table);
			*exit_code_out = CLI_OK;
			return false;
		}
	}
	if (tl_conf_read_args(table, argc, argv, values, operand_count_out, &why)) {
		cli_error("%s (see %s --help)", why.text, table->program);
		*exit_code_out = CLI_USAGE;
		return false;
	}
	fill_from_environment(cli->data, "TALLY_DATA", "./data");
	fill_from_environment(cli->token, "TALLY_TOKEN", "");
	fill_from_environment(cli->org, "TALLY_ORG", "");
	return true;
}

bool
cli_is_operator(const struct cli *cli)
{
	return cli->token[0] == '\0';
}

void
cli_url(const struct cli *cli, enum cli_door door, char *url_out)
{
	const char *given = door == CLI_DOOR_INGEST ? cli->ingest : cli->query;
	const char *name = door == CLI_DOOR_INGEST ? "ingest" : "query";

	if (given[0] != '\0')
		snprintf(url_out, TL_CONF_STRING_BYTES + 32, "%s", given);
	else
		snprintf(url_out, TL_CONF_STRING_BYTES + 32, "ipc://%s/%s%s.sock", cli->data, name,
			cli_is_operator(cli) ? "-control" : "");
}

struct tl_pack_open
cli_request(const struct cli *cli, struct tl_buf *request, const char *op)
{
	struct tl_pack_open map;

	tl_buf_init(request, TL_FRAME_BYTES_MAX);
	map = tl_pack_open_map(request);
	tl_pack_key_int(request, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_str(request, &map, "op", op);
	if (!cli_is_operator(cli))
		tl_pack_key_str(request, &map, "token", cli->token);
	else if (cli->org[0] != '\0')
		tl_pack_key_str(request, &map, "org", cli->org);
	return map;
}

/* A socket file that is not there is the commonest mistake: say it at once, not by timeout. */
static bool
is_daemon_here(const char *url)
{
	if (strncmp(url, "ipc://", 6) == 0 && access(url + 6, F_OK) != 0) {
		cli_error("no daemon at %s: start one with 'tally up', or name its directory with "
			  "--data",
			url + 6);
		return false;
	}
	return true;
}

int
cli_ask(const struct cli *cli, enum cli_door door, const struct tl_buf *request, int64_t timeout_ms,
	struct tl_buf *reply)
{
	char url[TL_CONF_STRING_BYTES + 32];
	struct tl_req_client *client = NULL;
	struct tl_why why = {0};
	enum tl_err err;

	cli_url(cli, door, url);
	if (!is_daemon_here(url))
		return CLI_UNAVAILABLE;
	tl_buf_reset(reply);
	err = request->err ? request->err : tl_req_client_open(url, &client, &why);
	if (!err)
		err = tl_req_client_call(client, tl_buf_slice(request), timeout_ms, reply, &why);
	tl_req_client_close(client);
	if (err) {
		cli_error("%s: %s", url, why.text[0] != '\0' ? why.text : tl_err_text(err));
		return CLI_UNAVAILABLE;
	}
	err = tl_reader_check(tl_buf_slice(reply), REPLY_DEPTH_MAX, &why);
	if (!err)
		err = tl_frame_reply_status(tl_buf_slice(reply), &why);
	if (err) {
		cli_error("%s (%s)", why.text, tl_err_name(err));
		return err == TL_ESTORAGE_CORRUPT ? CLI_DIFFERENCE : CLI_REFUSED;
	}
	return CLI_OK;
}

void
cli_put_text(struct tl_buf *request, struct tl_pack_open *map, const char *key, const char *value)
{
	if (value[0] != '\0')
		tl_pack_key_str(request, map, key, value);
}

int
cli_choose_org(struct cli *cli)
{
	struct tl_buf request, reply;
	struct tl_reader orgs;
	struct tl_pack_open map;
	int code;

	if (!cli_is_operator(cli) || cli->org[0] != '\0')
		return CLI_OK;
	tl_buf_init(&reply, 0);
	map = cli_request(cli, &request, "org_list");
	tl_pack_close(&request, &map);
	code = cli_ask(cli, CLI_DOOR_INGEST, &request, 10000, &reply);
	if (code == CLI_OK) {
		uint32_t count = 0;

		if (tl_reader_find(tl_buf_slice(&reply), "orgs", &orgs))
			count = tl_read_array(&orgs);
		if (count == 1) {
			struct tl_slice name = tl_reader_find_str(tl_read_any(&orgs), "name");

			snprintf(cli->org, sizeof(cli->org), "%.*s", (int)name.bytes,
				(const char *)name.data);
		} else {
			cli_error(count == 0 ? "there is no org yet: tally org create NAME"
					     : "there are several orgs: choose one with --org");
			code = CLI_USAGE;
		}
	}
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
	return code;
}

void
cli_print_json(const struct tl_buf *reply)
{
	struct tl_buf text;

	tl_buf_init(&text, 0);
	tl_json_put_reply(&text, tl_buf_slice(reply), 2);
	tl_buf_put_u8(&text, '\n');
	fwrite(text.data, 1, text.bytes, stdout);
	tl_buf_fini(&text);
}
