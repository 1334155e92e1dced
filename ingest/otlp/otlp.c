#include "ingest/otlp/otlp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ingest/otlp/otlp_private.h"
#include "schema/model/money.h"
#include "schema/wire/json.h"

enum tl_err
otlp_read(enum otlp_signal signal, enum otlp_encoding encoding, struct tl_slice body,
	struct tl_arena *arena, struct otlp_records *records_out, struct tl_why *why)
{
	bool is_json = encoding == OTLP_JSON;

	switch (signal) {
	case OTLP_LOGS:
		return is_json ? otlp_json_logs(body, arena, records_out, why)
			       : otlp_pb_logs(body, arena, records_out, why);
	case OTLP_METRICS:
		return is_json ? otlp_json_metrics(body, arena, records_out, why)
			       : otlp_pb_metrics(body, arena, records_out, why);
	case OTLP_TRACES:
		break;
	}
	*records_out = (struct otlp_records){0};
	return TL_OK;
}

const struct otlp_value *
otlp_find(const struct otlp_attributes *attributes, const char *key)
{
	static const struct otlp_value none = {.type = OTLP_NONE};

	for (uint32_t i = 0; attributes != NULL && i < attributes->count; i++) {
		if (tl_slice_eq(attributes->list[i].key, tl_slice_str(key)))
			return &attributes->list[i].value;
	}
	return &none;
}

bool
otlp_parse_int(struct tl_slice text, int64_t *int_out)
{
	bool minus = text.bytes > 0 && text.data[0] == '-';
	int64_t value = 0; /* counted below zero, where int64 reaches one further */

	if (text.bytes == (size_t)minus)
		return false;
	for (size_t i = minus; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' ||
			__builtin_mul_overflow(value, 10, &value) ||
			__builtin_sub_overflow(value, text.data[i] - '0', &value))
			return false;
	}
	if (!minus && value == INT64_MIN)
		return false;
	*int_out = minus ? value : -value;
	return true;
}

bool
otlp_int(const struct otlp_value *value, int64_t *int_out)
{
	switch (value->type) {
	case OTLP_NUMBER:
		*int_out = value->number;
		return true;
	case OTLP_TEXT:
		return otlp_parse_int(value->text, int_out);
	case OTLP_REAL:
		/* Every whole number up to here is a double of its own. */
		if (!(value->real >= -9007199254740992.0 && value->real <= 9007199254740992.0) ||
			value->real != (double)(int64_t)value->real)
			return false;
		*int_out = (int64_t)value->real;
		return true;
	case OTLP_FLAG:
	case OTLP_NONE:
		return false;
	}
	return false;
}

/* The fewest digits that read back as the same double. */
static void
print_real(double real, char text_out[32])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text_out, 32, "%.*g", digits, real);
		if (strtod(text_out, NULL) == real)
			return;
	}
}

bool
otlp_scaled(const struct otlp_value *value, int places, int64_t *scaled_out)
{
	char text[32];

	switch (value->type) {
	case OTLP_TEXT:
		return tl_decimal_round(value->text, places, scaled_out);
	case OTLP_NUMBER:
		snprintf(text, sizeof(text), "%" PRId64, value->number);
		return tl_decimal_round(tl_slice_str(text), places, scaled_out);
	case OTLP_REAL:
		print_real(value->real, text);
		return tl_decimal_round(tl_slice_str(text), places, scaled_out);
	case OTLP_FLAG:
	case OTLP_NONE:
		return false;
	}
	return false;
}

void
otlp_put_answer(struct tl_buf *body, enum otlp_signal signal, enum otlp_encoding encoding,
	int64_t rejected, const char *message)
{
	static const char *const counts[] = {
		[OTLP_LOGS] = "rejectedLogRecords",
		[OTLP_METRICS] = "rejectedDataPoints",
		[OTLP_TRACES] = "rejectedSpans",
	};

	if (encoding == OTLP_PROTOBUF) {
		otlp_pb_put_answer(body, rejected, message);
		return;
	}
	if (rejected == 0 && message == NULL) {
		tl_buf_put_str(body, "{}");
		return;
	}
	tl_buf_printf(body,
		"{\"partialSuccess\":{\"%s\":\"%" PRId64 "\",\"errorMessage\":", counts[signal],
		rejected);
	tl_json_put_string(body, tl_slice_str(message != NULL ? message : ""));
	tl_buf_put_str(body, "}}");
}

void
otlp_put_status(struct tl_buf *body, enum otlp_encoding encoding, int32_t code, const char *message)
{
	if (encoding == OTLP_PROTOBUF) {
		otlp_pb_put_status(body, code, message);
		return;
	}
	tl_buf_printf(body, "{\"code\":%" PRId32 ",\"message\":", code);
	tl_json_put_string(body, tl_slice_str(message));
	tl_buf_put_str(body, "}");
}
