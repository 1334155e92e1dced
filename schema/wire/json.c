#include "schema/wire/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/model/money.h"
#include "schema/wire/pack.h"
#include "schema/wire/reader.h"

#define JSON_DEPTH_MAX 16u
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* One reply on its way to JSON. */
struct writer {
	struct tl_buf *text;
	struct tl_reader reader;
	uint32_t indent;
	bool metric_is_cost;
};

/* Bytes of the character at the start, 0 when it is not UTF-8. */
static size_t
char_bytes(struct tl_slice text)
{
	for (size_t bytes = 1; bytes <= 4 && bytes <= text.bytes; bytes++) {
		if (tl_utf8_valid(tl_slice_of(text.data, bytes)))
			return bytes;
	}
	return 0;
}

static bool
is_literal(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void
escape_put(struct tl_buf *text, uint8_t byte)
{
	switch (byte) {
	case '"':
		tl_buf_put_str(text, "\\\"");
		break;
	case '\\':
		tl_buf_put_str(text, "\\\\");
		break;
	case '\n':
		tl_buf_put_str(text, "\\n");
		break;
	case '\r':
		tl_buf_put_str(text, "\\r");
		break;
	case '\t':
		tl_buf_put_str(text, "\\t");
		break;
	default:
		tl_buf_printf(text, "\\u%04x", byte);
		break;
	}
}

static void
unquoted_put(struct tl_buf *text, struct tl_slice value)
{
	size_t i = 0;

	while (i < value.bytes) {
		size_t start = i;
		size_t bytes;

		while (i < value.bytes && is_literal(value.data[i]))
			i++;
		tl_buf_put(text, value.data + start, i - start);
		if (i == value.bytes)
			break;
		if (value.data[i] < 0x80) {
			escape_put(text, value.data[i++]);
			continue;
		}
		bytes = char_bytes(tl_slice_of(value.data + i, value.bytes - i));
		if (bytes > 0)
			tl_buf_put(text, value.data + i, bytes);
		else
			tl_buf_put_str(text, REPLACEMENT);
		i += bytes > 0 ? bytes : 1;
	}
}

void
tl_json_put_string(struct tl_buf *text, struct tl_slice value)
{
	tl_buf_put_u8(text, '"');
	unquoted_put(text, value);
	tl_buf_put_u8(text, '"');
}

static bool
ends_with(struct tl_slice text, const char *end)
{
	size_t bytes = strlen(end);

	return text.bytes >= bytes && memcmp(text.data + text.bytes - bytes, end, bytes) == 0;
}

/* Whether the integers under this key are nano-dollars. */
static bool
is_money_key(const struct writer *writer, struct tl_slice key)
{
	static const char *const by_metric[] = {"value", "prev_value", "total", "spark", "bars"};

	if (ends_with(key, "_nusd"))
		return true;
	for (size_t i = 0; writer->metric_is_cost && i < sizeof(by_metric) / sizeof(by_metric[0]);
		i++) {
		if (tl_slice_eq(key, tl_slice_str(by_metric[i])))
			return true;
	}
	return false;
}

static void
key_put(struct tl_buf *text, struct tl_slice key)
{
	bool is_nusd = ends_with(key, "_nusd");

	tl_buf_put_u8(text, '"');
	if (is_nusd)
		key.bytes -= strlen("_nusd");
	unquoted_put(text, key);
	tl_buf_put_str(text, is_nusd ? "_usd\"" : "\"");
}

static void
line_break(struct writer *writer, uint32_t depth)
{
	if (writer->indent == 0)
		return;
	tl_buf_put_u8(writer->text, '\n');
	for (uint32_t i = 0; i < writer->indent * depth; i++)
		tl_buf_put_u8(writer->text, ' ');
}

static void
hex_put(struct tl_buf *text, struct tl_slice data)
{
	static const char digits[] = "0123456789abcdef";

	tl_buf_put_u8(text, '"');
	for (size_t i = 0; i < data.bytes; i++) {
		tl_buf_put_u8(text, (uint8_t)digits[data.data[i] >> 4]);
		tl_buf_put_u8(text, (uint8_t)digits[data.data[i] & 15]);
	}
	tl_buf_put_u8(text, '"');
}

static void
int_put(struct tl_buf *text, int64_t number, bool is_money)
{
	char usd[TL_USD_TEXT_BYTES];

	if (!is_money) {
		tl_buf_printf(text, "%lld", (long long)number);
		return;
	}
	tl_usd_format(number, usd);
	tl_buf_put_u8(text, '"');
	tl_buf_put_str(text, usd);
	tl_buf_put_u8(text, '"');
}

static void value_put(struct writer *writer, bool is_money, uint32_t depth);

/* Lists of money are money; a map's values go by their own keys. */
static void
array_put(struct writer *writer, bool is_money, uint32_t depth)
{
	uint32_t count = tl_read_array(&writer->reader);

	tl_buf_put_u8(writer->text, '[');
	for (uint32_t i = 0; i < count && !writer->reader.err; i++) {
		if (i > 0)
			tl_buf_put_u8(writer->text, ',');
		line_break(writer, depth + 1);
		value_put(writer, is_money, depth + 1);
	}
	if (count > 0)
		line_break(writer, depth);
	tl_buf_put_u8(writer->text, ']');
}

static void
map_put(struct writer *writer, uint32_t depth)
{
	uint32_t count = tl_read_map(&writer->reader);

	tl_buf_put_u8(writer->text, '{');
	for (uint32_t i = 0; i < count && !writer->reader.err; i++) {
		struct tl_slice key = tl_read_str(&writer->reader);

		if (i > 0)
			tl_buf_put_u8(writer->text, ',');
		line_break(writer, depth + 1);
		key_put(writer->text, key);
		tl_buf_put_str(writer->text, writer->indent > 0 ? ": " : ":");
		value_put(writer, is_money_key(writer, key), depth + 1);
	}
	if (count > 0)
		line_break(writer, depth);
	tl_buf_put_u8(writer->text, '}');
}

static void
value_put(struct writer *writer, bool is_money, uint32_t depth)
{
	struct tl_buf *text = writer->text;
	struct tl_reader *reader = &writer->reader;

	if (depth > JSON_DEPTH_MAX) {
		reader->err = TL_ETOO_DEEP;
		return;
	}
	switch (tl_reader_peek(reader)) {
	case TL_WIRE_BOOL:
		tl_buf_put_str(text, tl_read_bool(reader) ? "true" : "false");
		break;
	case TL_WIRE_INT:
		int_put(text, tl_read_int(reader), is_money);
		break;
	case TL_WIRE_STR:
		tl_json_put_string(text, tl_read_str(reader));
		break;
	case TL_WIRE_BIN:
		hex_put(text, tl_read_bin(reader));
		break;
	case TL_WIRE_ARRAY:
		array_put(writer, is_money, depth);
		break;
	case TL_WIRE_MAP:
		map_put(writer, depth);
		break;
	case TL_WIRE_NIL:
	case TL_WIRE_FLOAT: /* neither this nor the next is ever in a reply */
	case TL_WIRE_EXT:
		tl_read_any(reader);
		tl_buf_put_str(text, "null");
		break;
	}
}

void
tl_json_put_reply(struct tl_buf *text, struct tl_slice msgpack, uint32_t indent)
{
	struct writer writer = {.text = text,
		.reader = tl_reader_of(msgpack),
		.indent = indent,
		.metric_is_cost =
			tl_slice_eq(tl_reader_find_str(msgpack, "metric"), tl_slice_str("cost"))};

	value_put(&writer, false, 0);
	if (writer.reader.err && !text->err)
		text->err = writer.reader.err;
}

struct tl_json {
	json_t *root;
};

/* jansson recurses, and its own bound is 2048; strings may hold brackets. */
static bool
is_too_deep(struct tl_slice text)
{
	uint32_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = text.data[i];

		if (in_string && byte == '\\')
			i++;
		else if (byte == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (byte == '[' || byte == '{')
			depth++;
		else if ((byte == ']' || byte == '}') && depth > 0)
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return true;
	}
	return false;
}

enum tl_err
tl_json_parse(struct tl_slice text, struct tl_json **json_out, struct tl_why *why)
{
	struct tl_json *json;
	json_error_t error;

	if (is_too_deep(text))
		return tl_fail(why, TL_ETOO_DEEP, "JSON nested deeper than the limit of %u",
			JSON_DEPTH_MAX);
	json = calloc(1, sizeof(*json));
	if (json == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for a JSON document");
	json->root =
		json_loadb((const char *)text.data, text.bytes, JSON_REJECT_DUPLICATES, &error);
	if (json->root == NULL) {
		/* What jansson quotes of the input stays out: it may hold anything. */
		char *quote = strstr(error.text, " near ");

		if (quote != NULL)
			*quote = '\0';
		free(json);
		return tl_fail(why, TL_EFRAME_MALFORMED, "JSON line %d column %d: %s", error.line,
			error.column, error.text);
	}
	*json_out = json;
	return TL_OK;
}

void
tl_json_free(struct tl_json *json)
{
	if (json == NULL)
		return;
	json_decref(json->root);
	free(json);
}

/* A value is jansson's node; its readers just do not take const. */
static json_t *
node_of(const struct tl_json_value *value)
{
	return (json_t *)value;
}

const struct tl_json_value *
tl_json_root(const struct tl_json *json)
{
	return json != NULL ? (const struct tl_json_value *)json->root : NULL;
}

const struct tl_json_value *
tl_json_get(const struct tl_json_value *object, const char *key)
{
	return (const struct tl_json_value *)json_object_get(node_of(object), key);
}

const struct tl_json_value *
tl_json_at(const struct tl_json_value *array, size_t idx)
{
	return (const struct tl_json_value *)json_array_get(node_of(array), idx);
}

size_t
tl_json_count(const struct tl_json_value *array_or_object)
{
	const json_t *node = node_of(array_or_object);

	return json_is_object(node) ? json_object_size(node) : json_array_size(node);
}

bool
tl_json_is_object(const struct tl_json_value *value)
{
	return json_is_object(node_of(value));
}

bool
tl_json_is_array(const struct tl_json_value *value)
{
	return json_is_array(node_of(value));
}

bool
tl_json_is_null(const struct tl_json_value *value)
{
	return value == NULL || json_is_null(node_of(value));
}

bool
tl_json_int(const struct tl_json_value *value, int64_t *int_out)
{
	if (!json_is_integer(node_of(value)))
		return false;
	*int_out = json_integer_value(node_of(value));
	return true;
}

bool
tl_json_bool(const struct tl_json_value *value, bool *bool_out)
{
	if (!json_is_boolean(node_of(value)))
		return false;
	*bool_out = json_is_true(node_of(value));
	return true;
}

bool
tl_json_real(const struct tl_json_value *value, double *real_out)
{
	if (!json_is_number(node_of(value)))
		return false;
	*real_out = json_number_value(node_of(value));
	return true;
}

/* 15 digits are what a double holds of any decimal. */
bool
tl_json_decimal(const struct tl_json_value *value, char text_out[TL_JSON_DECIMAL_BYTES])
{
	const json_t *node = node_of(value);

	if (!json_is_number(node))
		return false;
	snprintf(text_out, TL_JSON_DECIMAL_BYTES, "%.15g", json_number_value(node));
	return true;
}

struct tl_slice
tl_json_str(const struct tl_json_value *value)
{
	const json_t *node = node_of(value);

	if (!json_is_string(node))
		return tl_slice_of(NULL, 0);
	return tl_slice_of(json_string_value(node), json_string_length(node));
}

/* The depth was bounded when the document was parsed. */
static void
node_pack(json_t *node, struct tl_buf *msgpack)
{
	const char *key;
	json_t *child;
	size_t i;

	switch (json_typeof(node)) {
	case JSON_OBJECT:
		tl_pack_map(msgpack, (uint32_t)json_object_size(node));
		json_object_foreach(node, key, child)
		{
			tl_pack_str(msgpack, key);
			node_pack(child, msgpack);
		}
		break;
	case JSON_ARRAY:
		tl_pack_array(msgpack, (uint32_t)json_array_size(node));
		json_array_foreach(node, i, child)
		{
			node_pack(child, msgpack);
		}
		break;
	case JSON_STRING:
		tl_pack_slice(
			msgpack, tl_slice_of(json_string_value(node), json_string_length(node)));
		break;
	case JSON_INTEGER:
		tl_pack_int(msgpack, json_integer_value(node));
		break;
	case JSON_REAL:
		tl_pack_float(msgpack, json_real_value(node));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		tl_pack_bool(msgpack, json_is_true(node));
		break;
	case JSON_NULL:
		tl_pack_nil(msgpack);
		break;
	}
}

enum tl_err
tl_json_to_msgpack(const struct tl_json_value *value, struct tl_buf *msgpack)
{
	if (value == NULL)
		tl_pack_nil(msgpack);
	else
		node_pack(node_of(value), msgpack);
	return msgpack->err;
}
