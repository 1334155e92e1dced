/* JSON: bounded reading (jansson stops here) and replies re-encoded from msgpack. */
#ifndef TL_WIRE_JSON_H
#define TL_WIRE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"

/*
 * Re-encode one checked msgpack value as JSON. Keys that end in _nusd become _usd with a decimal
 * string (9 places trimmed to at least 2); value, prev_value, total, spark and bars follow the
 * reply's metric (cost: decimal strings). bin becomes lower-case hex. indent 0 is one line.
 */
void tl_json_put_reply(struct tl_buf *text, struct tl_slice msgpack, uint32_t indent);

/* Append text as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD. */
void tl_json_put_string(struct tl_buf *text, struct tl_slice value);

/* A parsed document; duplicate keys, depth past 16 and trailing bytes are refused. */
struct tl_json;
struct tl_json_value; /* borrowed from its document */

TL_MUST enum tl_err tl_json_parse(
	struct tl_slice text, struct tl_json **json_out, struct tl_why *why);
void tl_json_free(struct tl_json *json);
const struct tl_json_value *tl_json_root(const struct tl_json *json);

/* Each takes NULL and gives NULL, false or an empty slice for what is not there. */
const struct tl_json_value *tl_json_get(const struct tl_json_value *object, const char *key);
const struct tl_json_value *tl_json_at(const struct tl_json_value *array, size_t idx);
size_t tl_json_count(const struct tl_json_value *array_or_object);
bool tl_json_is_object(const struct tl_json_value *value);
bool tl_json_is_array(const struct tl_json_value *value);
bool tl_json_is_null(const struct tl_json_value *value); /* absent is null */
bool tl_json_int(const struct tl_json_value *value, int64_t *int_out);
bool tl_json_bool(const struct tl_json_value *value, bool *bool_out);
bool tl_json_real(const struct tl_json_value *value, double *real_out); /* any number */
/* A number as the decimal text it was most likely written as; false for what is no number. */
#define TL_JSON_DECIMAL_BYTES 32
bool tl_json_decimal(const struct tl_json_value *value, char text_out[TL_JSON_DECIMAL_BYTES]);
struct tl_slice tl_json_str(const struct tl_json_value *value);

/* Re-encode a JSON document as msgpack (integers as int, reals as float64). */
TL_MUST enum tl_err tl_json_to_msgpack(const struct tl_json_value *value, struct tl_buf *msgpack);

#endif
