/*
 * OTLP's JSON: names in lowerCamelCase, 64-bit integers as text or as numbers (agents send both).
 * What has the wrong type is absent, as it is for protobuf's own JSON readers when they are
 * lenient; only what is no JSON, or no object, is refused.
 */
#include "ingest/otlp/otlp_private.h"
#include "schema/wire/json.h"

/* Where the texts go, and the first failure. */
struct reading {
	struct tl_arena *arena;
	struct otlp_records records;
	enum tl_err err;
};

static struct tl_slice
text_of(struct reading *reading, const struct tl_json_value *value)
{
	struct tl_slice text = tl_json_str(value);
	struct tl_slice copy = tl_arena_copy(reading->arena, text);

	if (copy.data == NULL && text.bytes > 0)
		reading->err = TL_EFRAME_TOO_LARGE;
	return copy;
}

static bool
read_int(const struct tl_json_value *value, int64_t *int_out)
{
	return tl_json_int(value, int_out) || otlp_parse_int(tl_json_str(value), int_out);
}

static uint64_t
read_ns(const struct tl_json_value *object, const char *key)
{
	int64_t value;

	return read_int(tl_json_get(object, key), &value) && value > 0 ? (uint64_t)value : 0;
}

static struct otlp_value
value_of(struct reading *reading, const struct tl_json_value *any)
{
	const struct tl_json_value *text = tl_json_get(any, "stringValue");
	struct otlp_value value = {.type = OTLP_NONE};

	if (text != NULL)
		return (struct otlp_value){.type = OTLP_TEXT, .text = text_of(reading, text)};
	if (read_int(tl_json_get(any, "intValue"), &value.number))
		value.type = OTLP_NUMBER;
	else if (tl_json_real(tl_json_get(any, "doubleValue"), &value.real))
		value.type = OTLP_REAL;
	else if (tl_json_bool(tl_json_get(any, "boolValue"), &value.flag))
		value.type = OTLP_FLAG;
	return value;
}

static struct otlp_attributes
attributes_of(struct reading *reading, const struct tl_json_value *list)
{
	size_t count = tl_json_is_array(list) ? tl_json_count(list) : 0;
	struct otlp_attributes made = {
		.list = tl_arena_array(reading->arena, count, sizeof(*made.list))};

	if (made.list == NULL) {
		reading->err = TL_EFRAME_TOO_LARGE;
		return made;
	}
	for (; made.count < count && !reading->err; made.count++) {
		const struct tl_json_value *from = tl_json_at(list, made.count);

		made.list[made.count] =
			(struct otlp_attribute){.key = text_of(reading, tl_json_get(from, "key")),
				.value = value_of(reading, tl_json_get(from, "value"))};
	}
	return made;
}

/* One more in an array that begins small; NULL without room. */
static void *
grow(struct reading *reading, void *list, uint32_t count, size_t element_bytes)
{
	void *larger;

	if (count > 0 && (count & (count - 1)) != 0)
		return list; /* room is made at powers of two */
	larger = tl_arena_array(reading->arena, count > 0 ? (size_t)count * 2 : 1, element_bytes);
	if (larger == NULL)
		reading->err = TL_EFRAME_TOO_LARGE;
	else if (count > 0)
		memcpy(larger, list, count * element_bytes);
	return larger;
}

static void
read_log(struct reading *reading, const struct tl_json_value *from,
	const struct otlp_attributes *resource)
{
	struct otlp_records *records = &reading->records;

	records->logs = grow(reading, records->logs, records->log_count, sizeof(*records->logs));
	if (records->logs == NULL)
		return;
	records->logs[records->log_count++] = (struct otlp_log){.resource = resource,
		.attributes = attributes_of(reading, tl_json_get(from, "attributes")),
		.time_ns = read_ns(from, "timeUnixNano"),
		.observed_ns = read_ns(from, "observedTimeUnixNano"),
		.event_name = text_of(reading, tl_json_get(from, "eventName")),
		.body = value_of(reading, tl_json_get(from, "body")).text};
}

static struct otlp_value
number_of(const struct tl_json_value *from)
{
	struct otlp_value value = {.type = OTLP_NONE};

	if (read_int(tl_json_get(from, "asInt"), &value.number))
		value.type = OTLP_NUMBER;
	else if (tl_json_real(tl_json_get(from, "asDouble"), &value.real))
		value.type = OTLP_REAL;
	return value;
}

static void
read_point(struct reading *reading, const struct tl_json_value *from, struct otlp_point point)
{
	struct otlp_records *records = &reading->records;

	records->points =
		grow(reading, records->points, records->point_count, sizeof(*records->points));
	if (records->points == NULL)
		return;
	point.attributes = attributes_of(reading, tl_json_get(from, "attributes"));
	point.start_ns = read_ns(from, "startTimeUnixNano");
	point.time_ns = read_ns(from, "timeUnixNano");
	point.value = number_of(from);
	records->points[records->point_count++] = point;
}

static void
read_metric(struct reading *reading, const struct tl_json_value *from,
	const struct otlp_attributes *resource)
{
	const struct tl_json_value *sum = tl_json_get(from, "sum");
	const struct tl_json_value *list = tl_json_get(sum, "dataPoints");
	struct otlp_point point = {.resource = resource};
	int64_t temporality = 0;

	if (!tl_json_is_array(list))
		return;
	point.metric = text_of(reading, tl_json_get(from, "name"));
	if (read_int(tl_json_get(sum, "aggregationTemporality"), &temporality) &&
		temporality >= OTLP_DELTA && temporality <= OTLP_CUMULATIVE)
		point.temporality = (enum otlp_temporality)temporality;
	(void)tl_json_bool(tl_json_get(sum, "isMonotonic"), &point.is_monotonic);
	for (size_t i = 0; i < tl_json_count(list) && !reading->err; i++)
		read_point(reading, tl_json_at(list, i), point);
}

/* What the levels are called, and what to do with each thing at the bottom. */
struct levels {
	const char *resources, *scopes, *records;
	void (*read)(struct reading *reading, const struct tl_json_value *from,
		const struct otlp_attributes *resource);
};

static void
read_scope(struct reading *reading, const struct levels *levels, const struct tl_json_value *scope,
	const struct otlp_attributes *resource)
{
	const struct tl_json_value *list = tl_json_get(scope, levels->records);

	for (size_t i = 0; tl_json_is_array(list) && i < tl_json_count(list) && !reading->err; i++)
		levels->read(reading, tl_json_at(list, i), resource);
}

static void
read_resource(
	struct reading *reading, const struct levels *levels, const struct tl_json_value *from)
{
	const struct tl_json_value *list = tl_json_get(from, levels->scopes);
	struct otlp_attributes *resource = tl_arena_alloc(reading->arena, sizeof(*resource));

	if (resource == NULL) {
		reading->err = TL_EFRAME_TOO_LARGE;
		return;
	}
	*resource =
		attributes_of(reading, tl_json_get(tl_json_get(from, "resource"), "attributes"));
	for (size_t i = 0; tl_json_is_array(list) && i < tl_json_count(list) && !reading->err; i++)
		read_scope(reading, levels, tl_json_at(list, i), resource);
}

static enum tl_err
read_body(const struct levels *levels, struct tl_slice body, struct tl_arena *arena,
	struct otlp_records *records_out, struct tl_why *why)
{
	struct reading reading = {.arena = arena};
	const struct tl_json_value *list;
	struct tl_json *json = NULL;
	enum tl_err err = tl_json_parse(body, &json, why);

	if (err)
		return err;
	if (!tl_json_is_object(tl_json_root(json))) {
		tl_json_free(json);
		return tl_fail(why, TL_EFRAME_MALFORMED, "an object is wanted");
	}
	list = tl_json_get(tl_json_root(json), levels->resources);
	for (size_t i = 0; tl_json_is_array(list) && i < tl_json_count(list) && !reading.err; i++)
		read_resource(&reading, levels, tl_json_at(list, i));
	tl_json_free(json);
	if (reading.err)
		return tl_fail(
			why, reading.err, "the body has too many parts; send fewer at a time");
	*records_out = reading.records;
	return TL_OK;
}

enum tl_err
otlp_json_logs(struct tl_slice body, struct tl_arena *arena, struct otlp_records *records_out,
	struct tl_why *why)
{
	static const struct levels levels = {"resourceLogs", "scopeLogs", "logRecords", read_log};

	return read_body(&levels, body, arena, records_out, why);
}

enum tl_err
otlp_json_metrics(struct tl_slice body, struct tl_arena *arena, struct otlp_records *records_out,
	struct tl_why *why)
{
	static const struct levels levels = {
		"resourceMetrics", "scopeMetrics", "metrics", read_metric};

	return read_body(&levels, body, arena, records_out, why);
}
