/* Who exists: orgs, members, tokens and agents' keys. */
#include <inttypes.h>
#include <stdio.h>

#include "deploy/cmd/cells.h"
#include "deploy/cmd/cli.h"
#include "deploy/cmd/table.h"
#include "schema/model/bucket.h"
#include "schema/model/limits.h"
#include "schema/wire/json.h"

#define ASK_TIMEOUT_MS 30000

struct manage_settings {
	struct cli cli;
	char tz[TL_CONF_STRING_BYTES];
	int64_t seats;
	char type[TL_CONF_STRING_BYTES];
	char name[TL_CONF_STRING_BYTES];
	char role[TL_CONF_STRING_BYTES];
	char email[TL_CONF_STRING_BYTES];
	char rate[TL_CONF_STRING_BYTES];
	char confirm[TL_CONF_STRING_BYTES];
	char url[TL_CONF_STRING_BYTES];
	bool all_orgs;
	int64_t limit; /* of lists */
};

#define AT(field) offsetof(struct manage_settings, field)

#define LIMIT_SETTING                                                                     \
	{                                                                                 \
		"limit", TL_CONF_INT, AT(limit), "50", 1, TL_PAGE_ROWS_MAX, "lists: rows" \
	}

static const struct tl_conf_setting org_settings[] = {CLI_SETTINGS,
	{"tz", TL_CONF_STRING, AT(tz), "", 0, 0, "IANA time zone of its days; default UTC"},
	{"seats", TL_CONF_INT, AT(seats), "-1", -1, 1000000000, "seats; 0: no limit"},
	LIMIT_SETTING};

static const struct tl_conf_setting key_settings[] = {CLI_SETTINGS,
	{"type", TL_CONF_STRING, AT(type), "gateway", 0, 0,
		"gateway, personal or service; or an agent type with --email"},
	{"name", TL_CONF_STRING, AT(name), "", 0, 0, "what the token is for"},
	{"role", TL_CONF_STRING, AT(role), "", 0, 0, "personal: member or admin"},
	{"email", TL_CONF_STRING, AT(email), "", 0, 0, "whose personal token or agent key it is"},
	{"url", TL_CONF_STRING, AT(url), "", 0, 0,
		"of agents' keys: where agents reach tally-http, like https://tally.example"},
	{"all_orgs", TL_CONF_FLAG, AT(all_orgs), "false", 0, 0,
		"gateway: serves every org, by each event's key"},
	{"confirm", TL_CONF_STRING, AT(confirm), "", 0, 0, "unenrol: the key id once more"},
	LIMIT_SETTING};

static const struct tl_conf_setting member_settings[] = {CLI_SETTINGS,
	{"role", TL_CONF_STRING, AT(role), "member", 0, 0, "invite: member or admin"},
	{"name", TL_CONF_STRING, AT(name), "", 0, 0, "update: display name"},
	{"rate", TL_CONF_STRING, AT(rate), "", 0, 0, "update: hourly rate in USD"}, LIMIT_SETTING};

/* Close the request, ask, print the reply as JSON or hand it to show. */
static int
finish(const struct cli *cli, struct tl_buf *request, struct tl_pack_open *map,
	void (*show)(struct tl_slice reply))
{
	struct tl_buf reply;
	int code;

	tl_pack_close(request, map);
	tl_buf_init(&reply, 0);
	code = cli_ask(cli, CLI_DOOR_INGEST, request, ASK_TIMEOUT_MS, &reply);
	if (code == CLI_OK && (cli->json || show == NULL))
		cli_print_json(&reply);
	else if (code == CLI_OK)
		show(tl_buf_slice(&reply));
	tl_buf_fini(request);
	tl_buf_fini(&reply);
	return code;
}

static void
print_text(const char *label, struct tl_slice reply, const char *key)
{
	struct tl_slice value = tl_reader_find_str(reply, key);

	printf("%-14s %.*s\n", label, (int)value.bytes, (const char *)value.data);
}

static void
show_org_created(struct tl_slice reply)
{
	print_text("org", reply, "org");
	print_text("admin token", reply, "admin_token");
	print_text("gateway token", reply, "gateway_token");
	puts("The tokens are shown once; only their hashes are kept.");
	puts("Gateways push with the gateway token; people ask with the admin token:");
	puts("  export TALLY_TOKEN=<admin token>; tally top");
	puts("A browser signs in with the admin token, or by the address of: tally login-link");
}

static const struct table_column org_columns[] = {{"org", TABLE_LEFT, 40},
	{"time zone", TABLE_LEFT, 0}, {"members", TABLE_RIGHT, 0}, {"seats", TABLE_RIGHT, 0}};

static void
show_orgs(struct tl_slice reply)
{
	struct table *table = table_new(org_columns, 4);
	struct tl_reader rows;
	struct tl_slice row;
	uint32_t left = cells_open(reply, "orgs", &rows), count = left;

	while (table != NULL && cells_next(&rows, &left, &row)) {
		cell_text(table, row, "name");
		cell_text(table, row, "tz");
		cell_count(table, row, "members");
		cell_count(table, row, "seats");
	}
	cells_print(table);
	cells_print_more(reply, count);
}

static bool
is_verb(int operands, char **argv, const char *verb, int operand_count)
{
	return operands == operand_count && strcmp(argv[1], verb) == 0;
}

int
cmd_org(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally org",
		"create NAME makes an org and prints its tokens once (operator); list; set changes "
		"time zone and seats.",
		"create NAME | list | set", org_settings);
	struct manage_settings s;
	struct tl_buf request;
	struct tl_pack_open map;
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	if (is_verb(operands, argv, "create", 2) || is_verb(operands, argv, "list", 1))
		s.cli.token[0] = '\0'; /* the operator's, whatever the environment holds */
	if (is_verb(operands, argv, "list", 1)) {
		map = cli_request(&s.cli, &request, "org_list");
		tl_pack_key_int(&request, &map, "limit", s.limit);
		return finish(&s.cli, &request, &map, show_orgs);
	}
	if (is_verb(operands, argv, "set", 1)) {
		code = cli_choose_org(&s.cli);
		if (code != CLI_OK)
			return code;
		map = cli_request(&s.cli, &request, "org_update");
	} else if (is_verb(operands, argv, "create", 2)) {
		map = cli_request(&s.cli, &request, "org_create");
		tl_pack_key_str(&request, &map, "name", argv[2]);
	} else {
		cli_error("org: create NAME, list or set (see tally org --help)");
		return CLI_USAGE;
	}
	cli_put_text(&request, &map, "tz", s.tz);
	if (s.seats >= 0)
		tl_pack_key_int(&request, &map, "seats", s.seats);
	return finish(
		&s.cli, &request, &map, strcmp(argv[1], "create") == 0 ? show_org_created : NULL);
}

static void
show_token(struct tl_slice reply)
{
	struct tl_slice direct = tl_reader_find_str(reply, "instructions_direct");
	struct tl_slice instructions = tl_reader_find_str(reply, "instructions");
	struct tl_slice key_id = tl_reader_find_str(reply, "token_id");

	if (key_id.bytes == 0)
		key_id = tl_reader_find_str(reply, "agent_id");
	printf("%-14s %.*s\n", "id", (int)key_id.bytes, (const char *)key_id.data);
	print_text("token", reply, "token");
	puts("The token is shown once; only its hash is kept.");
	if (instructions.bytes > 0)
		printf("\n# Through a gateway:\n%.*s\n# Or without one:\n%.*s",
			(int)instructions.bytes, (const char *)instructions.data, (int)direct.bytes,
			(const char *)direct.data);
}

static const struct table_column token_columns[] = {{"id", TABLE_LEFT, 0}, {"type", TABLE_LEFT, 0},
	{"name", TABLE_LEFT, 40}, {"created", TABLE_LEFT, 10}, {"state", TABLE_LEFT, 0}};

static void
show_tokens(struct tl_slice reply)
{
	struct table *table = table_new(token_columns, 5);
	struct tl_reader rows;
	struct tl_slice row;
	uint32_t left = cells_open(reply, "tokens", &rows), count = left;
	char text[TL_TIME_TEXT_BYTES];

	while (table != NULL && cells_next(&rows, &left, &row)) {
		cell_text(table, row, "token_id");
		cell_text(table, row, "type");
		cell_text(table, row, "name");
		tl_time_format(tl_reader_find_int(row, "created_ms", 0), text);
		text[10] = '\0';
		table_cell_str(table, text);
		table_cell_str(
			table, tl_reader_find_int(row, "revoked_ms", 0) != 0 ? "revoked" : "valid");
	}
	cells_print(table);
	cells_print_more(reply, count);
}

static bool
is_token_type(const char *type)
{
	return strcmp(type, "gateway") == 0 || strcmp(type, "personal") == 0 ||
	       strcmp(type, "service") == 0;
}

static int
create_key(struct manage_settings *s)
{
	struct tl_buf request;
	struct tl_pack_open map;

	if (is_token_type(s->type)) {
		map = cli_request(&s->cli, &request, "token_create");
		cli_put_text(&request, &map, "name", s->name);
		cli_put_text(&request, &map, "role", s->role);
		cli_put_text(&request, &map, "email", s->email);
		if (s->all_orgs)
			tl_pack_key_bool(&request, &map, "all_orgs", true);
	} else {
		map = cli_request(&s->cli, &request, "agent_create");
		cli_put_text(&request, &map, "email", s->email);
		cli_put_text(&request, &map, "url", s->url);
	}
	tl_pack_key_str(&request, &map, "type", s->type);
	return finish(&s->cli, &request, &map, show_token);
}

int
cmd_keys(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally keys",
		"create makes a token (--type gateway, personal, service) or enrols a coding agent "
		"(--type claude_code --email WHO); list; rotate KEY gives an agent a new key, the "
		"old one works 24 h more; revoke ID kills a token; unenrol KEY ends an agent.",
		"create | list | rotate KEY | revoke ID | unenrol KEY", key_settings);
	struct manage_settings s;
	struct tl_buf request;
	struct tl_pack_open map;
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	if (!s.all_orgs)
		code = cli_choose_org(&s.cli);
	if (code != CLI_OK)
		return code;
	if (is_verb(operands, argv, "create", 1))
		return create_key(&s);
	if (is_verb(operands, argv, "list", 1)) {
		map = cli_request(&s.cli, &request, "token_list");
		tl_pack_key_int(&request, &map, "limit", s.limit);
		return finish(&s.cli, &request, &map, show_tokens);
	}
	if (is_verb(operands, argv, "rotate", 2)) {
		map = cli_request(&s.cli, &request, "agent_rotate");
		tl_pack_key_str(&request, &map, "agent", argv[2]);
		cli_put_text(&request, &map, "url", s.url);
		return finish(&s.cli, &request, &map, show_token);
	}
	if (is_verb(operands, argv, "revoke", 2)) {
		map = cli_request(&s.cli, &request, "token_revoke");
		tl_pack_key_str(&request, &map, "token_id", argv[2]);
		return finish(&s.cli, &request, &map, NULL);
	}
	if (is_verb(operands, argv, "unenrol", 2)) {
		map = cli_request(&s.cli, &request, "agent_delete");
		tl_pack_key_str(&request, &map, "agent", argv[2]);
		cli_put_text(&request, &map, "confirm", s.confirm);
		return finish(&s.cli, &request, &map, NULL);
	}
	cli_error(
		"keys: create, list, rotate KEY, revoke ID or unenrol KEY (see tally keys --help)");
	return CLI_USAGE;
}

int
cmd_members(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally members",
		"invite EMAIL prints a code; accept CODE; invitations lists what is open; update "
		"WHO sets --name and --rate; remove WHO frees the seat and keeps the history. WHO "
		"is "
		"an email or a member id.",
		"invite EMAIL | accept CODE | invitations | update WHO | remove WHO",
		member_settings);
	struct manage_settings s;
	struct tl_buf request;
	struct tl_pack_open map;
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	code = cli_choose_org(&s.cli);
	if (code != CLI_OK)
		return code;
	if (is_verb(operands, argv, "invite", 2)) {
		map = cli_request(&s.cli, &request, "invite");
		tl_pack_key_str(&request, &map, "email", argv[2]);
		tl_pack_key_str(&request, &map, "role", s.role);
	} else if (is_verb(operands, argv, "accept", 2)) {
		map = cli_request(&s.cli, &request, "invite_accept");
		tl_pack_key_str(&request, &map, "code", argv[2]);
	} else if (is_verb(operands, argv, "invitations", 1)) {
		map = cli_request(&s.cli, &request, "invite_list");
		tl_pack_key_int(&request, &map, "limit", s.limit);
	} else if (is_verb(operands, argv, "update", 2)) {
		map = cli_request(&s.cli, &request, "member_update");
		tl_pack_key_str(&request, &map, "member", argv[2]);
		cli_put_text(&request, &map, "display_name", s.name);
		cli_put_text(&request, &map, "hourly_rate", s.rate);
	} else if (is_verb(operands, argv, "remove", 2)) {
		map = cli_request(&s.cli, &request, "member_remove");
		tl_pack_key_str(&request, &map, "member", argv[2]);
	} else {
		cli_error("members: invite EMAIL, accept CODE, invitations, update WHO or remove "
			  "WHO");
		return CLI_USAGE;
	}
	return finish(&s.cli, &request, &map, NULL);
}
