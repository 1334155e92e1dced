#include "ingest/api/session.h"

#include <stdio.h>

#include "ingest/api/command.h"
#include "schema/model/limits.h"
#include "schema/net/http_browser.h"
#include "schema/wire/reader.h"

#define PATH "/api/v1/session"
#define LIFE_S (7 * 24 * 3600) /* tallyd decides; the browser forgets by then */

static void run_begin(
	struct tl_http_request *request, const struct tl_http_route *route, void *arg);
static void run_end(struct tl_http_request *request, const struct tl_http_route *route, void *arg);

static const struct tl_relay_field begin_fields[] = {
	{.name = "token", .about = "A personal token (tally_pat_...)."},
	{.name = "code",
		.about = "Instead of it, the part behind the # of a one-time link: 32 hex digits, "
			 "good once and for ten minutes."},
	{.name = NULL}};

static const struct tl_relay_route table[] = {
	{.method = TL_HTTP_POST,
		.path = PATH,
		.run = run_begin,
		.op = "signin_create",
		.fields = begin_fields,
		.body_bytes_max = COMMAND_BODY_BYTES_MAX,
		.who = TL_RELAY_ANYBODY,
		.tag = "session",
		.summary =
			"Sign a browser in; the session comes as a cookie. It ends after 8 hours "
			"without use, after 7 days, with the token, or by DELETE.",
		.reply = "SignIn",
		.sets_cookie = true,
		.takes_code = true},
	{.method = TL_HTTP_GET,
		.path = PATH,
		.run = command_run,
		.op = "signin_show",
		.who = TL_RELAY_ANY_TOKEN,
		.tag = "session",
		.summary = "Who is asking, and until when the session lasts.",
		.reply = "SignIn"},
	{.method = TL_HTTP_DELETE,
		.path = PATH,
		.run = run_end,
		.op = "signin_end",
		.body_bytes_max = COMMAND_BODY_BYTES_MAX,
		.who = TL_RELAY_ANY_TOKEN,
		.tag = "session",
		.summary = "Sign this browser out.",
		.reply = "Done",
		.sets_cookie = true},
};

const struct tl_relay_route *
session_routes(uint32_t *count_out)
{
	*count_out = sizeof(table) / sizeof(table[0]);
	return table;
}

/* secret NULL: the browser is told to forget it. */
static void
set_cookie(struct tl_http_request *request, const char *secret)
{
	bool is_tls = tl_http_request_is_tls(request);
	char text[TL_HTTP_REPLY_HEADER_BYTES];

	snprintf(text, sizeof(text), "%s=%s; %sHttpOnly; SameSite=Strict; Path=/; Max-Age=%d",
		tl_http_cookie_name(is_tls), secret != NULL ? secret : "", is_tls ? "Secure; " : "",
		secret != NULL ? LIFE_S : 0);
	tl_http_reply_header(request, "Set-Cookie", text);
}

/* Scripts of the page see the reply, but never the cookie. */
static void
answer_begun(struct tl_http_request *request, struct tl_slice reply)
{
	static const char *const unseen[] = {"session", NULL};
	struct tl_slice secret = tl_reader_find_str(reply, "session");
	char secret_text[80];
	struct tl_buf bare;

	tl_buf_init(&bare, 0);
	tl_relay_leave_out(reply, unseen, &bare);
	if (bare.err || secret.bytes == 0 || secret.bytes >= sizeof(secret_text)) {
		tl_http_reply_error(request, TL_EINTERNAL, NULL);
	} else {
		snprintf(secret_text, sizeof(secret_text), "%.*s", (int)secret.bytes,
			(const char *)secret.data);
		set_cookie(request, secret_text);
		tl_relay_reply(request, 200, tl_buf_slice(&bare));
	}
	tl_buf_fini(&bare);
}

/* The credential is in the body; one that came beside it is not looked at. */
static void
run_begin(struct tl_http_request *request, const struct tl_http_route *http, void *arg)
{
	const struct tl_relay_route *route = http->what;
	struct tl_buf question, reply;
	struct tl_pack_open map;

	tl_buf_init(&question, COMMAND_QUESTION_BYTES_MAX);
	tl_buf_init(&reply, 0);
	map = tl_pack_open_map(&question);
	tl_pack_key_int(&question, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_str(&question, &map, "op", route->op);
	if (command_put_body(&question, &map, request, route)) {
		tl_pack_close(&question, &map);
		if (!tl_relay_ask(arg, request, TL_RELAY_INGEST, &question, &reply))
			answer_begun(request, tl_buf_slice(&reply));
	}
	tl_buf_fini(&reply);
	tl_buf_fini(&question);
}

/* Whatever becomes of the session, this browser forgets it. */
static void
run_end(struct tl_http_request *request, const struct tl_http_route *http, void *arg)
{
	set_cookie(request, NULL);
	command_run(request, http, arg);
}
