/*
 * How an agent is set up, as lines for a shell: through a gateway, or reporting for itself. Either
 * way it gets the tools of /mcp. A token has no character that a shell would touch, and the address
 * was checked for them.
 */
#include <stdio.h>

#include "ingest/control_private.h"

/* The address of the gateway is not ours to know: the shell asks for it. */
#define GATEWAY "${TALLY_GATEWAY:?set TALLY_GATEWAY to the address of your gateway}"

/* What a caller without an address of its own means. */
#define HERE "${TALLY_URL:-http://127.0.0.1:8787}"

#define CODEX_TOOLS                                \
	"  -c "                                    \
	"\"mcp_servers.tally={url=\\\"$TALLY_URL/" \
	"mcp\\\",bearer_token_env_var=\\\"TALLY_KEY\\\"}\""

#define OPENCODE_TOOLS                                                              \
	"\"mcp\":{\"tally\":{\"type\":\"remote\",\"url\":\"'\"$TALLY_URL\"'/mcp\"," \
	"\"enabled\":true,\"headers\":{\"Authorization\":\"Bearer {env:TALLY_KEY}\"}}}"

static const struct {
	const char *type;
	const char *through_gateway, *direct;
} setups[] = {
	{"claude_code",
		"export ANTHROPIC_BASE_URL=\"" GATEWAY "\"\n"
		"export ANTHROPIC_AUTH_TOKEN=\"$TALLY_KEY\"\n"
		"claude mcp add --transport http tally \"$TALLY_URL/mcp\" \\\n"
		"  --header \"Authorization: Bearer $TALLY_KEY\"\n"
		"claude\n",
		"export CLAUDE_CODE_ENABLE_TELEMETRY=1\n"
		"export OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp\n"
		"export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf "
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip\n"
		"export OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta\n"
		"export OTEL_EXPORTER_OTLP_ENDPOINT=\"$TALLY_URL\"\n"
		"export OTEL_EXPORTER_OTLP_HEADERS=\"Authorization=Bearer $TALLY_KEY\"\n"
		"claude mcp add --transport http tally \"$TALLY_URL/mcp\" \\\n"
		"  --header \"Authorization: Bearer $TALLY_KEY\"\n"
		"claude\n"},
	{"codex",
		"codex -c model_provider=tally -c model_providers.tally.name=tally \\\n"
		"  -c model_providers.tally.base_url=\"" GATEWAY "/v1\" \\\n"
		"  -c model_providers.tally.wire_api=responses \\\n"
		"  -c model_providers.tally.env_key=TALLY_KEY \\\n" CODEX_TOOLS "\n",
		"codex -c \"otel.exporter={otlp-http={endpoint=\\\"$TALLY_URL/v1/logs\\\","
		"protocol=\\\"binary\\\",headers={Authorization=\\\"Bearer $TALLY_KEY\\\"}}}\" "
		"\\\n" CODEX_TOOLS "\n"},
	{"opencode",
		"export OPENCODE_CONFIG_CONTENT='{\"provider\":{\"anthropic\":{\"options\":"
		"{\"baseURL\":\"'\"" GATEWAY
		"\"'/v1\",\"apiKey\":\"{env:TALLY_KEY}\"}}}," OPENCODE_TOOLS "}'\n"
		"opencode\n",
		"# OpenCode reports no usage by itself: its calls are counted through a gateway "
		"alone.\n"
		"export OPENCODE_CONFIG_CONTENT='{" OPENCODE_TOOLS "}'\n"
		"opencode\n"},
};

static const char other_gateway[] =
	"# Let the agent talk to your gateway, with $TALLY_KEY as its API key.\n";
static const char other_direct[] =
	"# OpenTelemetry over HTTP goes to $TALLY_URL with the header \"Authorization: Bearer\n"
	"# $TALLY_KEY\", the Model Context Protocol to $TALLY_URL/mcp with the same one.\n";

/* Letters of an address that mean nothing to a shell, inside double quotes or out of them. */
static bool
is_plain(const char *url)
{
	for (const char *at = url; *at != '\0'; at++) {
		if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
			    (*at >= '0' && *at <= '9') || strchr(":/.-_[]", *at) != NULL))
			return false;
	}
	return true;
}

enum tl_err
control_setup_url(const struct control_call *call, char url_out[CONTROL_URL_BYTES_MAX + 1])
{
	enum control_presence presence;
	enum tl_err err = control_text(call, "url", CONTROL_URL_BYTES_MAX, url_out, &presence);

	if (err || presence != CONTROL_GIVEN)
		return err;
	if ((strncmp(url_out, "http://", 7) != 0 && strncmp(url_out, "https://", 8) != 0) ||
		!is_plain(url_out))
		return tl_fail(call->why, TL_EBAD_PARAM,
			"url: an address like https://tally.example, without a trailing slash");
	return TL_OK;
}

static enum tl_err
put_text(struct tl_buf *reply, struct tl_pack_open *map, const char *key, const char *head,
	const char *lines)
{
	struct tl_buf text;
	enum tl_err err;

	tl_buf_init(&text, 0);
	tl_buf_put_str(&text, head);
	tl_buf_put_str(&text, lines);
	tl_pack_key_slice(reply, map, key, tl_buf_slice(&text));
	err = text.err;
	tl_buf_fini(&text);
	return err;
}

enum tl_err
control_setup_put(const struct control_call *call, struct tl_pack_open *map, const char *type,
	const char *token, const char *url)
{
	const char *through_gateway = other_gateway, *direct = other_direct;
	char head[CONTROL_URL_BYTES_MAX + TL_TOKEN_BYTES_MAX + 64];
	enum tl_err err;

	tl_pack_key_str(call->reply, map, "token", token);
	for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
		if (strcmp(type, setups[i].type) != 0)
			continue;
		through_gateway = setups[i].through_gateway;
		direct = setups[i].direct;
	}
	snprintf(head, sizeof(head), "export TALLY_KEY=%s\nexport TALLY_URL=\"%s\"\n", token,
		url[0] != '\0' ? url : HERE);
	err = put_text(call->reply, map, "instructions", head, through_gateway);
	if (!err)
		err = put_text(call->reply, map, "instructions_direct", head, direct);
	return err;
}
