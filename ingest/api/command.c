#include "ingest/api/command.h"

#include <stdio.h>

#include "ingest/api/events.h"
#include "schema/wire/json.h"
#include "schema/wire/reader.h"

void
command_refuse_type(struct tl_http_request *request, const char *message)
{
	tl_relay_refuse(request, TL_EBAD_CONTENT_TYPE, NULL, message);
}

/* Of what is compressed nothing is known before it is inflated. */
bool
command_is_encoded(const struct tl_http_request *request)
{
	return tl_http_request_header(request, "Content-Encoding").bytes > 0;
}

static const struct tl_relay_field *
find_field(const struct tl_relay_route *route, struct tl_slice name)
{
	const struct tl_relay_field *field = route->fields;

	for (; field != NULL && field->name != NULL; field++) {
		if (tl_slice_eq(name, tl_slice_str(field->name)))
			return field;
	}
	return NULL;
}

/* One member of the body; what it may be is tallyd's to say. */
static bool
put_member(struct tl_buf *question, struct tl_pack_open *map, struct tl_http_request *request,
	const struct tl_relay_field *field, const struct tl_json *json, struct tl_reader *reader)
{
	bool is_real = tl_reader_peek(reader) == TL_WIRE_FLOAT;
	struct tl_slice value = tl_read_any(reader);
	char text[TL_JSON_DECIMAL_BYTES];

	tl_pack_key(question, map, field->wire != NULL ? field->wire : field->name);
	if (!is_real) {
		tl_buf_put_slice(question, value);
		return true;
	}
	if (field->kind == TL_RELAY_USD &&
		tl_json_decimal(tl_json_get(tl_json_root(json), field->name), text)) {
		tl_pack_str(question, text);
		return true;
	}
	tl_relay_refuse(request, TL_EFIELD_TYPE, field->name, "not a number with decimals");
	return false;
}

static bool
put_members(struct tl_buf *question, struct tl_pack_open *map, struct tl_http_request *request,
	const struct tl_relay_route *route, const struct tl_json *json, struct tl_slice object)
{
	struct tl_reader reader = tl_reader_of(object);
	uint32_t pair_count = tl_read_map(&reader);
	char name_text[64];

	for (uint32_t i = 0; i < pair_count; i++) {
		struct tl_slice name = tl_read_str(&reader);
		const struct tl_relay_field *field = find_field(route, name);

		if (field == NULL) {
			snprintf(name_text, sizeof(name_text), "%.*s", (int)name.bytes,
				(const char *)name.data);
			tl_relay_refuse(request, TL_EBAD_PARAM, name_text, "no such member");
			return false;
		}
		if (!put_member(question, map, request, field, json, &reader))
			return false;
	}
	return true;
}

static bool
is_json(const struct tl_http_request *request)
{
	enum events_form form;

	return !command_is_encoded(request) &&
	       events_form_of(tl_http_request_header(request, "Content-Type"), &form) &&
	       form == EVENTS_JSON;
}

bool
command_put_body(struct tl_buf *question, struct tl_pack_open *map, struct tl_http_request *request,
	const struct tl_relay_route *route)
{
	struct tl_slice body = tl_http_request_body(request);
	struct tl_json *json = NULL;
	struct tl_why why = {0};
	struct tl_buf object;
	enum tl_err err;
	bool is_done = false;

	if (body.bytes == 0)
		return true;
	if (!is_json(request)) {
		command_refuse_type(request, "application/json is taken");
		return false;
	}
	tl_buf_init(&object, COMMAND_QUESTION_BYTES_MAX);
	err = tl_json_parse(body, &json, &why);
	if (!err && !tl_json_is_object(tl_json_root(json)))
		err = tl_fail(&why, TL_EFRAME_MALFORMED, "an object is wanted");
	if (!err)
		err = tl_json_to_msgpack(tl_json_root(json), &object);
	if (err)
		tl_relay_refuse(request, err, NULL, why.text[0] != '\0' ? why.text : NULL);
	else
		is_done = put_members(question, map, request, route, json, tl_buf_slice(&object));
	tl_json_free(json);
	tl_buf_fini(&object);
	return is_done;
}

/* The address that the asker reached this server at: its host was found on the list of ours. */
static void
put_url(struct tl_buf *question, struct tl_pack_open *map, const struct tl_http_request *request)
{
	struct tl_slice host = tl_http_request_header(request, "Host");
	struct tl_buf url;

	tl_buf_init(&url, 0);
	tl_buf_put_str(&url, tl_http_request_is_tls(request) ? "https://" : "http://");
	tl_buf_put_slice(&url, host);
	tl_pack_key_slice(question, map, "url", tl_buf_slice(&url));
	tl_buf_fini(&url);
}

void
command_run(struct tl_http_request *request, const struct tl_http_route *http, void *arg)
{
	const struct tl_relay_route *route = http->what;
	struct tl_buf question, reply;
	struct tl_pack_open map;

	if (tl_http_request_target(request)->param_count > 0) {
		tl_relay_refuse(request, TL_EBAD_PARAM, NULL, "no parameters are taken here");
		return;
	}
	tl_buf_init(&question, COMMAND_QUESTION_BYTES_MAX);
	tl_buf_init(&reply, 0);
	map = tl_relay_question(&question, request, route);
	if (route->wants_url)
		put_url(&question, &map, request);
	if (command_put_body(&question, &map, request, route)) {
		tl_pack_close(&question, &map);
		if (!tl_relay_ask(arg, request, TL_RELAY_INGEST, &question, &reply))
			tl_relay_reply(request, 200, tl_buf_slice(&reply));
	}
	tl_buf_fini(&reply);
	tl_buf_fini(&question);
}
