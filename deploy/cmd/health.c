/* Is the daemon ready, and if not, why; and the operator's word about its clock. */
#include <inttypes.h>
#include <stdio.h>

#include "deploy/cmd/cli.h"

#define ASK_TIMEOUT_MS 5000

struct health_settings {
	struct cli cli;
};

static const struct tl_conf_setting settings_table[] = {CLI_SETTINGS};

/* Both are the operator's, whatever token the environment holds. */
static bool
parse(const struct tl_conf_table *table, int argc, char **argv, struct health_settings *s,
	int *code_out)
{
	int operand_count = 0;

	if (!cli_parse(table, argc, argv, s, &operand_count, code_out))
		return false;
	s->cli.token[0] = '\0';
	return true;
}

static int
ask(const struct cli *cli, enum cli_door door, const char *op, struct tl_buf *reply)
{
	struct tl_buf request;
	struct tl_pack_open map = cli_request(cli, &request, op);
	int code;

	tl_pack_close(&request, &map);
	code = cli_ask(cli, door, &request, ASK_TIMEOUT_MS, reply);
	tl_buf_fini(&request);
	return code;
}

static void
show_conditions(struct tl_slice reply)
{
	struct tl_reader conditions;
	uint32_t count =
		tl_reader_find(reply, "conditions", &conditions) ? tl_read_map(&conditions) : 0;

	for (uint32_t i = 0; i < count; i++) {
		struct tl_slice name = tl_read_str(&conditions);
		struct tl_slice condition = tl_read_any(&conditions);
		struct tl_slice why = tl_reader_find_str(condition, "why");
		bool is_met = tl_reader_find_bool(condition, "ok", false);

		printf("  %-10.*s %s%.*s\n", (int)name.bytes, (const char *)name.data,
			is_met ? "ok" : "NO: ", (int)why.bytes, (const char *)why.data);
	}
}

int
cmd_health(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally health",
		"Whether the daemon takes usage in and shows it, and if not, why. Exit 0 when it "
		"is ready, 1 when it is not, 69 when it does not answer.",
		NULL, settings_table);
	struct health_settings s;
	struct tl_buf reply;
	int code = 0;

	if (!parse(&conf, argc, argv, &s, &code))
		return code;
	tl_buf_init(&reply, 0);
	code = ask(&s.cli, CLI_DOOR_QUERY, "health", &reply);
	if (code == CLI_OK) {
		bool is_ready = tl_reader_find_bool(tl_buf_slice(&reply), "ready", false);

		if (s.cli.json) {
			cli_print_json(&reply);
		} else {
			puts(is_ready ? "ready" : "NOT READY");
			show_conditions(tl_buf_slice(&reply));
		}
		code = is_ready ? CLI_OK : CLI_REFUSED;
	}
	tl_buf_fini(&reply);
	return code;
}

int
cmd_accept_clock(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally accept-clock",
		"Tell the daemon that the clock of its machine is right, when it does not believe "
		"it and takes no usage. Look at 'date' first: by a wrong clock good events are "
		"refused for ever and days are dropped.",
		NULL, settings_table);
	struct health_settings s;
	struct tl_buf reply;
	int code = 0;

	if (!parse(&conf, argc, argv, &s, &code))
		return code;
	tl_buf_init(&reply, 0);
	code = ask(&s.cli, CLI_DOOR_INGEST, "accept_clock", &reply);
	if (code == CLI_OK && s.cli.json) {
		cli_print_json(&reply);
	} else if (code == CLI_OK) {
		struct tl_slice doubt = tl_reader_find_str(tl_buf_slice(&reply), "doubt");

		if (doubt.bytes > 0)
			printf("accepted; it was: %.*s\n", (int)doubt.bytes,
				(const char *)doubt.data);
		else
			puts("the clock was trusted already");
	}
	tl_buf_fini(&reply);
	return code;
}
