/*
 * Paths, parameters and bodies come from the table of routes; what replies look like from
 * schemas.json beside this file, which a test holds against real replies.
 */
#include "query/api/document.h"

#include <ctype.h>
#include <string.h>

#include "schema/wire/json.h"

/* The file's bytes, from document_schemas to document_schemas_end. */
__asm__(".section .rodata\n"
	".global document_schemas\n"
	".global document_schemas_end\n"
	"document_schemas:\n"
	".incbin \"query/api/schemas.json\"\n"
	"document_schemas_end:\n"
	".previous\n");

extern const char document_schemas[];
extern const char document_schemas_end[];

static const char head[] =
	"{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"tally\",\"version\":\"1\",\"description\":"
	"\"Usage of coding agents, counted exactly once. Money is a decimal text of dollars, times "
	"are Unix milliseconds. With Accept: application/msgpack a reply comes as msgpack, with "
	"money as whole nano-dollars (cost_nusd).\",\"contact\":{\"name\":\"the operator of this "
	"server\"},\"license\":{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}},"
	"\"servers\":[{\"url\":\"/\",\"description\":\"this server\"}],"
	"\"tags\":[{\"name\":\"figures\",\"description\":\"What was used, by whom, on what.\"},"
	"{\"name\":\"gateways\",\"description\":\"For what stands between agents and models.\"},"
	"{\"name\":\"agents\",\"description\":\"For the coding agents themselves.\"},"
	"{\"name\":\"admin\",\"description\":\"People, agents, tokens and settings.\"},"
	"{\"name\":\"session\",\"description\":\"Browsers, signed in by a cookie. What changes "
	"something with it carries X-Tally: 1 and the Origin of this server.\"},"
	"{\"name\":\"service\",\"description\":\"About this server.\"}],\"paths\":{";

static const char tail[] =
	"\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
	"\"A token as tally prints it once: tally_pat_..., tally_svc_... or tally_gw_...\"},"
	"\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"tally_sid\",\"description\":"
	"\"A "
	"browser's session; behind TLS the cookie is called __Host-sid.\"}},"
	"\"responses\":{\"Error\":{\"description\":\"Refused; nothing was done.\",\"content\":{"
	"\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/Error\"}}}}},"
	"\"schemas\":";

/* What a credential of that kind may travel in; usage comes with a token alone. */
static const char *
security_of(enum tl_relay_who who)
{
	if (who == TL_RELAY_ANYBODY)
		return "[]";
	if (who == TL_RELAY_GATEWAY || who == TL_RELAY_AGENT)
		return "[{\"token\":[]}]";
	return "[{\"token\":[]},{\"session\":[]}]";
}

static const struct tl_relay_route *
route_of(const struct tl_http_route *http)
{
	return http->what;
}

static void
put_text(struct tl_buf *text, const char *key, const char *value)
{
	tl_buf_printf(text, "\"%s\":", key);
	tl_json_put_string(text, tl_slice_str(value));
}

/* "get_api_v1_sessions_id": one per operation. */
static void
put_operation_id(struct tl_buf *text, const struct tl_relay_route *route)
{
	char last = '_';

	tl_buf_put_str(text, "\"operationId\":\"");
	for (const char *c = tl_http_method_name(route->method); *c != '\0'; c++)
		tl_buf_put_u8(text, (uint8_t)tolower((unsigned char)*c));
	for (const char *c = route->path; *c != '\0'; c++) {
		char letter = isalnum((unsigned char)*c) ? *c : '_';

		if (letter != '_' || (last != '_' && c[1] != '\0' && *c != '}') || c == route->path)
			tl_buf_put_u8(text, (uint8_t)letter);
		last = letter;
	}
	tl_buf_put_str(text, "\"");
}

static void
put_one_of(struct tl_buf *text, const char *one_of)
{
	const char *separator = "";

	tl_buf_put_str(text, ",\"enum\":[");
	while (*one_of != '\0') {
		size_t bytes = strcspn(one_of, "|");

		tl_buf_put_str(text, separator);
		tl_json_put_string(text, tl_slice_of(one_of, bytes));
		separator = ",";
		one_of += bytes + (one_of[bytes] == '|');
	}
	tl_buf_put_str(text, "]");
}

static void
put_schema(struct tl_buf *text, const struct tl_relay_field *field)
{
	static const char *const types[] = {
		[TL_RELAY_TEXT] = "\"string\"",
		[TL_RELAY_INT] = "\"integer\"",
		[TL_RELAY_BOOL] = "\"boolean\"",
		[TL_RELAY_USD] = "[\"string\",\"number\",\"null\"]",
		[TL_RELAY_TIME] = "[\"string\",\"integer\"]",
	};

	tl_buf_printf(text, "{\"type\":%s", types[field->kind]);
	if (field->one_of != NULL)
		put_one_of(text, field->one_of);
	tl_buf_put_str(text, "}");
}

/* The {name} of the path. */
static bool
put_path_parameter(struct tl_buf *text, const char *path)
{
	const char *open = strchr(path, '{');

	if (open == NULL)
		return false;
	tl_buf_printf(text,
		"{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":"
		"\"string\"}}",
		(int)strcspn(open + 1, "}"), open + 1);
	return true;
}

static void
put_parameters(struct tl_buf *text, const struct tl_relay_route *route)
{
	const struct tl_relay_field *field = route->fields;
	bool has_one;

	tl_buf_put_str(text, ",\"parameters\":[");
	has_one = put_path_parameter(text, route->path);
	if (route->method == TL_HTTP_GET) {
		for (; field != NULL && field->name != NULL; field++) {
			tl_buf_printf(text, "%s{\"name\":\"%s\",\"in\":\"query\",",
				has_one ? "," : "", field->name);
			put_text(text, "description", field->about);
			tl_buf_put_str(text, ",\"schema\":");
			put_schema(text, field);
			tl_buf_put_str(text, "}");
			has_one = true;
		}
	}
	tl_buf_put_str(text, "]");
}

static void
put_members(struct tl_buf *text, const struct tl_relay_field *fields)
{
	const char *separator = "";

	tl_buf_put_str(
		text, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
	for (const struct tl_relay_field *field = fields; field->name != NULL; field++) {
		tl_buf_printf(text, "%s\"%s\":{\"description\":", separator, field->name);
		tl_json_put_string(text, tl_slice_str(field->about));
		tl_buf_put_str(text, ",\"allOf\":[");
		put_schema(text, field);
		tl_buf_put_str(text, "]}");
		separator = ",";
	}
	tl_buf_put_str(text, "},\"required\":[");
	separator = "";
	for (const struct tl_relay_field *field = fields; field->name != NULL; field++) {
		if (!field->is_required)
			continue;
		tl_buf_printf(text, "%s\"%s\"", separator, field->name);
		separator = ",";
	}
	tl_buf_put_str(text, "]}");
}

/* The forms a body may have beside JSON: their schema is not JSON's business. */
static void
put_body_types(struct tl_buf *text, const char *types)
{
	while (types != NULL && *types != '\0') {
		size_t bytes = strcspn(types, "|");

		tl_buf_printf(
			text, ",\"%.*s\":{\"schema\":{\"type\":\"string\"}}", (int)bytes, types);
		types += bytes + (types[bytes] == '|');
	}
}

static void
put_body(struct tl_buf *text, const struct tl_relay_route *route)
{
	if (route->body != NULL) {
		tl_buf_printf(text,
			",\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{"
			"\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}",
			route->body);
		put_body_types(text, route->body_types);
		tl_buf_put_str(text, "}}");
	} else if (route->fields != NULL && route->method != TL_HTTP_GET) {
		tl_buf_put_str(
			text, ",\"requestBody\":{\"content\":{\"application/json\":{\"schema\":");
		put_members(text, route->fields);
		tl_buf_put_str(text, "}}}");
	}
}

static void
put_operation(struct tl_buf *text, const struct tl_relay_route *route)
{
	const char *method = tl_http_method_name(route->method);

	tl_buf_put_str(text, "\"");
	for (const char *c = method; *c != '\0'; c++)
		tl_buf_put_u8(text, (uint8_t)tolower((unsigned char)*c));
	tl_buf_put_str(text, "\":{");
	put_operation_id(text, route);
	tl_buf_printf(text, ",\"tags\":[\"%s\"],", route->tag);
	put_text(text, "summary", route->summary);
	tl_buf_put_str(text, ",");
	put_text(text, "description", route->summary);
	tl_buf_printf(text, ",\"x-tally-op\":\"%s\",\"x-tally-who\":\"%s\",\"security\":%s",
		route->op != NULL ? route->op : "", tl_relay_who_name(route->who),
		security_of(route->who));
	put_parameters(text, route);
	put_body(text, route);
	tl_buf_printf(text,
		",\"responses\":{\"200\":{\"description\":\"Done.\",\"content\":{\"%s\":{"
		"\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}}},\"4XX\":{\"$ref\":"
		"\"#/components/responses/Error\"},\"5XX\":{\"$ref\":"
		"\"#/components/responses/Error\"}}}",
		route->reply_type != NULL ? route->reply_type : "application/json", route->reply);
}

static bool
is_first_of_path(const struct tl_http_route *routes, uint32_t idx)
{
	for (uint32_t i = 0; i < idx; i++) {
		if (strcmp(routes[i].path, routes[idx].path) == 0)
			return false;
	}
	return true;
}

/* All methods of the path of routes[idx]. */
static void
put_path(
	struct tl_buf *text, const struct tl_http_route *routes, uint32_t route_count, uint32_t idx)
{
	const char *separator = "";

	tl_buf_printf(text, "%s\"%s\":{", idx > 0 ? "," : "", routes[idx].path);
	for (uint32_t i = idx; i < route_count; i++) {
		if (strcmp(routes[i].path, routes[idx].path) != 0)
			continue;
		tl_buf_put_str(text, separator);
		put_operation(text, route_of(&routes[i]));
		separator = ",";
	}
	tl_buf_put_str(text, "}");
}

enum tl_err
document_new(const struct tl_http_route *routes, uint32_t route_count,
	struct tl_http_body **document_out)
{
	struct tl_buf text;
	enum tl_err err;

	tl_buf_init(&text, 0);
	tl_buf_put_str(&text, head);
	for (uint32_t i = 0; i < route_count; i++) {
		if (is_first_of_path(routes, i))
			put_path(&text, routes, route_count, i);
	}
	tl_buf_put_str(&text, "},\"components\":{");
	tl_buf_put_str(&text, tail);
	tl_buf_put(&text, document_schemas, (size_t)(document_schemas_end - document_schemas));
	tl_buf_put_str(&text, "}}\n");
	err = tl_http_body_of(&text, document_out);
	tl_buf_fini(&text);
	return err;
}
