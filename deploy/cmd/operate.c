/* The daemon itself: stats, verify, rebuild, seal, dump, explain. By the operator's control socket.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "schema/model/limits.h"

#define ASK_TIMEOUT_MS 30000
#define POLL_MS 100

struct operate_settings {
	struct cli cli;
	int64_t limit;
	bool derived;
	char range[TL_CONF_STRING_BYTES];
	char from[TL_CONF_STRING_BYTES];
	char to[TL_CONF_STRING_BYTES];
	char tz[TL_CONF_STRING_BYTES];
};

#define AT(field) offsetof(struct operate_settings, field)

static const struct tl_conf_setting plain_settings[] = {CLI_SETTINGS};

static const struct tl_conf_setting dump_settings[] = {CLI_SETTINGS,
	{"limit", TL_CONF_INT, AT(limit), "100", 1, 1000000000, "rows"},
	{"derived", TL_CONF_FLAG, AT(derived), "false", 0, 0,
		"every derived row, names in place of numbers, in an order of its own: equal "
		"figures give equal bytes, whatever the order of arrival"}};

static const struct tl_conf_setting explain_settings[] = {CLI_SETTINGS,
	{"range", TL_CONF_STRING, AT(range), "24h", 0, 0, "24h, 7d, 30d or 90d"},
	{"from", TL_CONF_STRING, AT(from), "", 0, 0, "custom range: start, RFC 3339 or Unix ms"},
	{"to", TL_CONF_STRING, AT(to), "", 0, 0, "custom range: end, exclusive"},
	{"tz", TL_CONF_STRING, AT(tz), "", 0, 0, "IANA time zone; default the org's"},
	{"limit", TL_CONF_INT, AT(limit), "100", 1, TL_PAGE_ROWS_MAX, "events"}};

/* These orders are the operator's whatever token the environment holds. */
static bool
parse(const struct tl_conf_table *table, int argc, char **argv, struct operate_settings *s,
	int *operand_count_out, int *code_out)
{
	if (!cli_parse(table, argc, argv, s, operand_count_out, code_out))
		return false;
	s->cli.token[0] = '\0';
	return true;
}

static void
sleep_ms(int64_t ms)
{
	struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&wait, NULL);
}

static bool
is_state(const struct tl_buf *reply, const char *state)
{
	return tl_slice_eq(tl_reader_find_str(tl_buf_slice(reply), "state"), tl_slice_str(state));
}

/* Start a job of the daemon and follow it to its end. CLI_OK: reply holds how it ended. */
static int
follow(const struct cli *cli, const char *op, const char *unit, struct tl_buf *reply)
{
	int code;

	for (bool start = true;; start = false) {
		struct tl_buf request;
		struct tl_pack_open map = cli_request(cli, &request, op);

		tl_pack_key_bool(&request, &map, "start", start);
		tl_pack_close(&request, &map);
		code = cli_ask(cli, CLI_DOOR_INGEST, &request, ASK_TIMEOUT_MS, reply);
		tl_buf_fini(&request);
		if (code != CLI_OK || !is_state(reply, "running"))
			break;
		progress_show(op, (uint64_t)tl_reader_find_int(tl_buf_slice(reply), "done", 0),
			(uint64_t)tl_reader_find_int(tl_buf_slice(reply), "total", 0), unit);
		sleep_ms(POLL_MS);
	}
	progress_end();
	if (code == CLI_OK && is_state(reply, "failed")) {
		struct tl_slice message = tl_reader_find_str(tl_buf_slice(reply), "message");
		struct tl_slice name = tl_reader_find_str(tl_buf_slice(reply), "code");

		cli_error("%s: %.*s (%.*s)", op, (int)message.bytes, (const char *)message.data,
			(int)name.bytes, (const char *)name.data);
		return CLI_DIFFERENCE;
	}
	return code;
}

static void
show_verify(struct tl_slice reply)
{
	static const char *const keys[] = {
		"groups", "blocks", "events", "ids", "pages", "sessions", "lives"};
	struct tl_slice difference = tl_reader_find_str(reply, "first_difference");
	char text[TABLE_TEXT_BYTES];

	fputs("verify:", stdout);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		text_count(tl_reader_find_int(reply, keys[i], 0), text);
		printf("%s %s %s", i > 0 ? "," : "", text, keys[i]);
	}
	printf("\nverify: %" PRId64 " differences\n", tl_reader_find_int(reply, "differences", 0));
	if (difference.bytes > 0)
		printf("first: %.*s\n", (int)difference.bytes, (const char *)difference.data);
}

int
cmd_verify(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally verify",
		"Recount every figure from the raw events and compare with what queries use. "
		"Exit 65 on a difference.",
		NULL, plain_settings);
	struct operate_settings s;
	struct tl_buf reply;
	int operands = 0, code = 0;

	if (!parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	code = follow(&s.cli, "verify", "blocks", &reply);
	if (code == CLI_OK) {
		if (s.cli.json)
			cli_print_json(&reply);
		else
			show_verify(tl_buf_slice(&reply));
		if (tl_reader_find_int(tl_buf_slice(&reply), "differences", 0) > 0)
			code = CLI_DIFFERENCE;
	}
	tl_buf_fini(&reply);
	return code;
}

int
cmd_rebuild(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally rebuild",
		"Erase everything derived and fold it again from the raw events; queries answer "
		"from the old state until it is done.",
		NULL, plain_settings);
	struct operate_settings s;
	struct tl_buf reply;
	int operands = 0, code = 0;

	if (!parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	code = follow(&s.cli, "rebuild", "groups", &reply);
	if (code == CLI_OK && s.cli.json)
		cli_print_json(&reply);
	else if (code == CLI_OK)
		printf("rebuilt from %" PRId64 " groups\n",
			tl_reader_find_int(tl_buf_slice(&reply), "total", 0));
	tl_buf_fini(&reply);
	return code;
}

int
cmd_seal(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally seal",
		"Write the raw events of every day that has ended again, sorted by org, member and "
		"time: smaller, and faster for one org. The daemon does it by itself some hours "
		"after a day's end. No figure changes.",
		NULL, plain_settings);
	struct operate_settings s;
	struct tl_buf reply;
	char days[TABLE_TEXT_BYTES], events[TABLE_TEXT_BYTES];
	int operands = 0, code = 0;

	if (!parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	code = follow(&s.cli, "seal", "days", &reply);
	text_count(tl_reader_find_int(tl_buf_slice(&reply), "days", 0), days);
	text_count(tl_reader_find_int(tl_buf_slice(&reply), "events", 0), events);
	if (code == CLI_OK && s.cli.json)
		cli_print_json(&reply);
	else if (code == CLI_OK)
		printf("sealed %s days, %s events\n", days, events);
	tl_buf_fini(&reply);
	return code;
}

int
cmd_stats(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally stats",
		"Counters and latencies of the daemon since it started, as JSON.", NULL,
		plain_settings);
	struct operate_settings s;
	struct tl_buf request, reply;
	struct tl_pack_open map;
	int operands = 0, code = 0;

	if (!parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	map = cli_request(&s.cli, &request, "stats");
	tl_pack_close(&request, &map);
	code = cli_ask(&s.cli, CLI_DOOR_INGEST, &request, ASK_TIMEOUT_MS, &reply);
	if (code == CLI_OK)
		cli_print_json(&reply);
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
	return code;
}

#define DUMP_PAGE_ROWS 200

/* Print a page of rows; *after_out is the key to go on from, empty at the end. */
static int64_t
show_dump_page(struct tl_slice reply, struct tl_buf *after_out)
{
	struct tl_reader rows;
	uint32_t count = tl_reader_find(reply, "rows", &rows) ? tl_read_array(&rows) : 0;

	for (uint32_t i = 0; i < count; i++) {
		struct tl_slice row = tl_read_any(&rows);
		struct tl_slice text = tl_reader_find_str(row, "text");
		struct tl_slice value = tl_reader_find_str(row, "value");

		printf("%.*s\n", (int)text.bytes, (const char *)text.data);
		if (value.bytes > 0)
			printf("%.*s\n", (int)value.bytes, (const char *)value.data);
	}
	tl_buf_reset(after_out);
	tl_buf_put_slice(after_out, tl_reader_find_str(reply, "after"));
	return count;
}

int
cmd_dump(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally dump",
		"Stored rows as text, key and value; without FAMILY the families there are.",
		"[FAMILY]", dump_settings);
	struct operate_settings s;
	struct tl_buf reply, after;
	int operands = 0, code = 0;

	if (!parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	tl_buf_init(&reply, 0);
	tl_buf_init(&after, 0);
	do {
		struct tl_buf request;
		struct tl_pack_open map = cli_request(&s.cli, &request, "dump");

		if (s.derived || operands > 0)
			tl_pack_key_str(&request, &map, "family", s.derived ? "derived" : argv[1]);
		if (after.bytes > 0)
			tl_pack_key_slice(&request, &map, "after", tl_buf_slice(&after));
		tl_pack_key_int(&request, &map, "limit",
			s.limit < DUMP_PAGE_ROWS ? s.limit : DUMP_PAGE_ROWS);
		tl_pack_close(&request, &map);
		code = cli_ask(&s.cli, CLI_DOOR_INGEST, &request, ASK_TIMEOUT_MS, &reply);
		tl_buf_fini(&request);
		if (code == CLI_OK)
			s.limit -= show_dump_page(tl_buf_slice(&reply), &after);
	} while (code == CLI_OK && after.bytes > 0 && (s.limit > 0 || s.derived));
	tl_buf_fini(&after);
	tl_buf_fini(&reply);
	return code;
}

int
cmd_explain(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally explain",
		"The cells and events behind a figure, as JSON. SCOPE: org, member:ID, agent:ID, "
		"model:NAME, repo:NAME, pr:REPO#N or session:ID.",
		"SCOPE", explain_settings);
	struct operate_settings s;
	struct tl_buf request, reply;
	struct tl_pack_open map;
	int operands = 0, code = 0;

	if (!parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	code = cli_choose_org(&s.cli);
	if (code != CLI_OK)
		return code;
	tl_buf_init(&reply, 0);
	map = cli_request(&s.cli, &request, "explain");
	cli_put_text(&request, &map, "scope", operands > 0 ? argv[1] : "org");
	cli_put_text(&request, &map, "range", s.from[0] != '\0' ? "custom" : s.range);
	cli_put_text(&request, &map, "from", s.from);
	cli_put_text(&request, &map, "to", s.to);
	cli_put_text(&request, &map, "tz", s.tz);
	tl_pack_key_int(&request, &map, "limit", s.limit);
	tl_pack_close(&request, &map);
	code = cli_ask(&s.cli, CLI_DOOR_QUERY, &request, ASK_TIMEOUT_MS, &reply);
	if (code == CLI_OK)
		cli_print_json(&reply);
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
	return code;
}
