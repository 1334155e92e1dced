/* tally login-link: the address that signs a browser in, once, within ten minutes. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "deploy/cmd/cli.h"
#include "schema/base/clock.h"

#define ASK_TIMEOUT_MS 10000
#define LOOK_NS 50000000

struct link_settings {
	struct cli cli;
	char member[TL_CONF_STRING_BYTES];
	char http[TL_CONF_STRING_BYTES];
	int64_t wait;
};

#define AT(field) offsetof(struct link_settings, field)

static const struct tl_conf_setting link_settings[] = {CLI_SETTINGS,
	{"member", TL_CONF_STRING, AT(member), "", 0, 0,
		"whom to sign in, an email or a member id; default an admin of the org"},
	{"http", TL_CONF_STRING, AT(http), "http://127.0.0.1:8787", 0, 0,
		"where the browser finds tally-http"},
	{"wait", TL_CONF_INT, AT(wait), "0", 0, 3600, "seconds to wait for a daemon to start"}};

/* The control socket appears when the daemon is ready. */
static void
wait_for_daemon(const struct link_settings *s)
{
	const struct timespec step = {.tv_nsec = LOOK_NS};
	int64_t until_ms = tl_clock_mono_us() / 1000 + s->wait * 1000;
	char url[TL_CONF_STRING_BYTES + 32];

	cli_url(&s->cli, CLI_DOOR_INGEST, url);
	while (strncmp(url, "ipc://", 6) == 0 && access(url + 6, F_OK) != 0 &&
		tl_clock_mono_us() / 1000 < until_ms)
		nanosleep(&step, NULL);
}

/* The code stands behind a #: browsers send that part to nobody, so no log gets it. */
static void
print_link(const char *http, struct tl_slice reply)
{
	struct tl_slice code = tl_reader_find_str(reply, "code");
	size_t bytes = strlen(http);

	while (bytes > 0 && http[bytes - 1] == '/')
		bytes--;
	printf("%s%.*s/login#%.*s\n", strstr(http, "://") != NULL ? "" : "http://", (int)bytes,
		http, (int)code.bytes, (const char *)code.data);
	fflush(stdout);
}

int
cmd_login_link(int argc, char **argv)
{
	static const struct tl_conf_table conf = CLI_TABLE("tally login-link",
		"Prints an address that signs a browser in: once, and within ten minutes. The "
		"operator's: whoever may use the daemon's control socket.",
		"", link_settings);
	struct link_settings s;
	struct tl_buf request, reply;
	struct tl_pack_open map;
	int operands = 0, code = 0;

	if (!cli_parse(&conf, argc, argv, &s, &operands, &code))
		return code;
	s.cli.token[0] = '\0'; /* the operator's, whatever the environment holds */
	wait_for_daemon(&s);
	code = cli_choose_org(&s.cli);
	if (code != CLI_OK)
		return code;
	map = cli_request(&s.cli, &request, "link_create");
	cli_put_text(&request, &map, "member", s.member);
	tl_pack_close(&request, &map);
	tl_buf_init(&reply, 0);
	code = cli_ask(&s.cli, CLI_DOOR_INGEST, &request, ASK_TIMEOUT_MS, &reply);
	if (code == CLI_OK && s.cli.json)
		cli_print_json(&reply);
	else if (code == CLI_OK)
		print_link(s.http, tl_buf_slice(&reply));
	tl_buf_fini(&request);
	tl_buf_fini(&reply);
	return code;
}
