#include "ingest/api/events.h"

#include <ctype.h>
#include <strings.h>

#include "schema/model/limits.h"
#include "schema/wire/frame.h"
#include "schema/wire/json.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

bool
events_form_of(struct tl_slice content_type, enum events_form *form_out)
{
	static const struct {
		const char *name;
		enum events_form form;
	} forms[] = {
		{"application/json", EVENTS_JSON},
		{"application/x-ndjson", EVENTS_NDJSON},
		{"application/ndjson", EVENTS_NDJSON},
		{"application/jsonl", EVENTS_NDJSON},
		{"application/msgpack", EVENTS_MSGPACK},
		{"application/x-msgpack", EVENTS_MSGPACK},
		{"application/vnd.msgpack", EVENTS_MSGPACK},
	};
	size_t bytes = 0;

	while (bytes < content_type.bytes && content_type.data[bytes] != ';' &&
		!isspace(content_type.data[bytes]))
		bytes++;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (bytes == strlen(forms[i].name) &&
			strncasecmp((const char *)content_type.data, forms[i].name, bytes) == 0) {
			*form_out = forms[i].form;
			return true;
		}
	}
	return false;
}

/* v and the token; events follow. */
static struct tl_pack_open
open_frame(struct tl_buf *frame, struct tl_slice token)
{
	struct tl_pack_open map = tl_pack_open_map(frame);

	tl_pack_key_int(frame, &map, "v", TL_PROTOCOL_VERSION);
	if (token.bytes > 0)
		tl_pack_key_slice(frame, &map, "token", token);
	return map;
}

static enum tl_err
put_array(struct tl_slice text, struct tl_buf *frame, struct tl_why *why)
{
	struct tl_json *json = NULL;
	enum tl_err err = tl_json_parse(text, &json, why);

	if (!err && !tl_json_is_array(tl_json_root(json)))
		err = tl_fail(why, TL_EFRAME_MALFORMED, "an array of events is wanted");
	if (!err)
		err = tl_json_to_msgpack(tl_json_root(json), frame);
	tl_json_free(json);
	return err;
}

static enum tl_err
put_line(struct tl_slice line, uint32_t line_no, struct tl_buf *frame, struct tl_why *why)
{
	struct tl_json *json = NULL;
	struct tl_why inner = {0};
	enum tl_err err = tl_json_parse(line, &json, &inner);

	if (err)
		return tl_fail(why, err, "line %u: %.180s", line_no, inner.text);
	err = tl_json_to_msgpack(tl_json_root(json), frame);
	tl_json_free(json);
	return err;
}

static bool
is_blank(struct tl_slice line)
{
	for (size_t i = 0; i < line.bytes; i++) {
		if (!isspace(line.data[i]))
			return false;
	}
	return true;
}

static enum tl_err
put_lines(struct tl_slice text, struct tl_buf *frame, struct tl_why *why)
{
	struct tl_pack_open events = tl_pack_open_array(frame);
	uint32_t line_no = 0;
	enum tl_err err;

	while (text.bytes > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.bytes);
		size_t bytes = end != NULL ? (size_t)(end - text.data) : text.bytes;
		struct tl_slice line = tl_slice_of(text.data, bytes);

		line_no++;
		text.data += bytes + (end != NULL);
		text.bytes -= bytes + (end != NULL);
		if (is_blank(line))
			continue;
		err = put_line(line, line_no, frame, why);
		if (err)
			return err;
		events.count++;
	}
	tl_pack_close(frame, &events);
	return TL_OK;
}

/* The batch as it came, under the token of the head. */
static enum tl_err
put_batch(
	struct tl_slice map_bytes, struct tl_slice token, struct tl_buf *frame, struct tl_why *why)
{
	struct tl_reader reader = tl_reader_of(map_bytes);
	struct tl_pack_open map;
	uint32_t pair_count;

	if (tl_reader_peek(&reader) != TL_WIRE_MAP)
		return tl_fail(why, TL_EFRAME_MALFORMED, "a batch is a map");
	pair_count = tl_read_map(&reader);
	map = tl_pack_open_map(frame);
	for (uint32_t i = 0; i < pair_count; i++) {
		struct tl_slice name = tl_read_any(&reader);
		struct tl_slice value = tl_read_any(&reader);
		struct tl_reader text = tl_reader_of(name);

		if (token.bytes > 0 && tl_reader_peek(&text) == TL_WIRE_STR &&
			tl_slice_eq(tl_read_str(&text), tl_slice_str("token")))
			continue;
		tl_buf_put_slice(frame, name);
		tl_buf_put_slice(frame, value);
		map.count++;
	}
	if (token.bytes > 0)
		tl_pack_key_slice(frame, &map, "token", token);
	tl_pack_close(frame, &map);
	return TL_OK;
}

static enum tl_err
put_msgpack(struct tl_slice body, struct tl_slice token, struct tl_buf *frame, struct tl_why *why)
{
	struct tl_buf inflated;
	struct tl_slice map;
	enum tl_err err;

	tl_buf_init(&inflated, TL_FRAME_BYTES_MAX);
	err = tl_frame_open(body, TL_FRAME_BYTES_MAX, &inflated, &map, why);
	if (!err)
		err = tl_reader_check(map, TL_WIRE_DEPTH_MAX, why);
	if (!err)
		err = put_batch(map, token, frame, why);
	tl_buf_fini(&inflated);
	return err;
}

enum tl_err
events_frame(enum events_form form, struct tl_slice body, struct tl_slice token,
	struct tl_buf *frame, struct tl_why *why)
{
	struct tl_pack_open map;
	enum tl_err err;

	if (form == EVENTS_MSGPACK) {
		err = put_msgpack(body, token, frame, why);
	} else {
		map = open_frame(frame, token);
		tl_pack_key(frame, &map, "events");
		err = form == EVENTS_JSON ? put_array(body, frame, why)
					  : put_lines(body, frame, why);
		tl_pack_close(frame, &map);
	}
	if (frame->err)
		return frame->err == TL_EFULL ? TL_EFRAME_TOO_LARGE : frame->err;
	return err;
}
