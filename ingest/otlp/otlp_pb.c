/*
 * The library makes a tree of structs. Its memory is the arena's, whose ceiling is thereby the
 * bound of what a body can cost: the library has none of its own. Nothing is freed one by one.
 */
#include <protobuf-c/protobuf-c.h>

#include "ingest/otlp/otlp.pb-c.h"
#include "ingest/otlp/otlp_private.h"

/* A tree's memory: where it comes from, and whether it ran out. */
struct tree {
	struct tl_arena *arena;
	bool is_full;
};

static void *
tree_alloc(void *data, size_t bytes)
{
	struct tree *tree = data;
	void *memory = tl_arena_alloc(tree->arena, bytes > 0 ? bytes : 1);

	if (memory == NULL)
		tree->is_full = true;
	return memory;
}

static void
tree_free(void *data, void *memory)
{
	(void)data;
	(void)memory;
}

/* *message_out stays valid as long as the arena. */
static enum tl_err
unpack(const ProtobufCMessageDescriptor *type, struct tl_slice body, struct tl_arena *arena,
	const ProtobufCMessage **message_out, struct tl_why *why)
{
	struct tree tree = {.arena = arena};
	ProtobufCAllocator allocator = {
		.alloc = tree_alloc, .free = tree_free, .allocator_data = &tree};
	const ProtobufCMessage *message =
		protobuf_c_message_unpack(type, &allocator, body.bytes, body.data);

	if (message == NULL)
		return tree.is_full ? tl_fail(why, TL_EFRAME_TOO_LARGE,
					      "the body has too many parts; send fewer at a time")
				    : tl_fail(why, TL_EFRAME_MALFORMED,
					      "the body is not an OTLP export in protobuf");
	*message_out = message;
	return TL_OK;
}

static struct tl_slice
text_of(const char *text)
{
	return text != NULL ? tl_slice_str(text) : tl_slice_of("", 0);
}

static struct otlp_value
value_of(const OtlpPb__Value *value)
{
	switch (value != NULL ? value->of_case : OTLP_PB__VALUE__OF__NOT_SET) {
	case OTLP_PB__VALUE__OF_TEXT:
		return (struct otlp_value){.type = OTLP_TEXT, .text = text_of(value->text)};
	case OTLP_PB__VALUE__OF_FLAG:
		return (struct otlp_value){.type = OTLP_FLAG, .flag = value->flag != 0};
	case OTLP_PB__VALUE__OF_NUMBER:
		return (struct otlp_value){.type = OTLP_NUMBER, .number = value->number};
	case OTLP_PB__VALUE__OF_REAL:
		return (struct otlp_value){.type = OTLP_REAL, .real = value->real};
	default:
		return (struct otlp_value){.type = OTLP_NONE};
	}
}

static enum tl_err
attributes_of(OtlpPb__Attribute *const *list, size_t count, struct tl_arena *arena,
	struct otlp_attributes *attributes_out)
{
	struct otlp_attribute *made = tl_arena_array(arena, count, sizeof(*made));

	if (made == NULL)
		return TL_EFRAME_TOO_LARGE;
	for (size_t i = 0; i < count; i++)
		made[i] = (struct otlp_attribute){
			.key = text_of(list[i]->key), .value = value_of(list[i]->value)};
	*attributes_out = (struct otlp_attributes){.list = made, .count = (uint32_t)count};
	return TL_OK;
}

static enum tl_err
resource_of(const OtlpPb__Resource *resource, struct tl_arena *arena,
	const struct otlp_attributes **attributes_out)
{
	struct otlp_attributes *made = tl_arena_alloc(arena, sizeof(*made));
	enum tl_err err;

	if (made == NULL)
		return TL_EFRAME_TOO_LARGE;
	err = attributes_of(resource != NULL ? resource->attributes : NULL,
		resource != NULL ? resource->n_attributes : 0, arena, made);
	*attributes_out = made;
	return err;
}

static uint32_t
count_logs(const OtlpPb__Logs *logs)
{
	size_t count = 0;

	for (size_t i = 0; i < logs->n_resources; i++) {
		for (size_t j = 0; j < logs->resources[i]->n_scopes; j++)
			count += logs->resources[i]->scopes[j]->n_records;
	}
	return (uint32_t)count;
}

static enum tl_err
read_scope(const OtlpPb__LogScope *scope, const struct otlp_attributes *resource,
	struct tl_arena *arena, struct otlp_records *records)
{
	enum tl_err err = TL_OK;

	for (size_t i = 0; i < scope->n_records && !err; i++) {
		const OtlpPb__LogRecord *record = scope->records[i];
		struct otlp_log *log = &records->logs[records->log_count++];

		*log = (struct otlp_log){.resource = resource,
			.time_ns = record->time_ns,
			.observed_ns = record->observed_ns,
			.event_name = text_of(record->event_name),
			.body = value_of(record->body).text};
		err = attributes_of(
			record->attributes, record->n_attributes, arena, &log->attributes);
	}
	return err;
}

enum tl_err
otlp_pb_logs(struct tl_slice body, struct tl_arena *arena, struct otlp_records *records_out,
	struct tl_why *why)
{
	struct otlp_records records = {0};
	const ProtobufCMessage *message;
	const OtlpPb__Logs *logs;
	const struct otlp_attributes *resource;
	enum tl_err err = unpack(&otlp_pb__logs__descriptor, body, arena, &message, why);

	if (err)
		return err;
	logs = (const OtlpPb__Logs *)message;
	records.logs = tl_arena_array(arena, count_logs(logs), sizeof(*records.logs));
	if (records.logs == NULL)
		return TL_EFRAME_TOO_LARGE;
	for (size_t i = 0; i < logs->n_resources && !err; i++) {
		err = resource_of(logs->resources[i]->resource, arena, &resource);
		for (size_t j = 0; j < logs->resources[i]->n_scopes && !err; j++)
			err = read_scope(logs->resources[i]->scopes[j], resource, arena, &records);
	}
	if (!err)
		*records_out = records;
	return err;
}

static size_t
count_scope_points(const OtlpPb__MetricScope *scope)
{
	size_t count = 0;

	for (size_t i = 0; i < scope->n_metrics; i++) {
		if (scope->metrics[i]->sum != NULL)
			count += scope->metrics[i]->sum->n_points;
	}
	return count;
}

static size_t
count_points(const OtlpPb__Metrics *metrics)
{
	size_t count = 0;

	for (size_t i = 0; i < metrics->n_resources; i++) {
		for (size_t j = 0; j < metrics->resources[i]->n_scopes; j++)
			count += count_scope_points(metrics->resources[i]->scopes[j]);
	}
	return count;
}

static struct otlp_value
number_of(const OtlpPb__Point *point)
{
	switch (point->of_case) {
	case OTLP_PB__POINT__OF_REAL:
		return (struct otlp_value){.type = OTLP_REAL, .real = point->real};
	case OTLP_PB__POINT__OF_NUMBER:
		return (struct otlp_value){.type = OTLP_NUMBER, .number = point->number};
	default:
		return (struct otlp_value){.type = OTLP_NONE};
	}
}

static enum tl_err
read_sum(const OtlpPb__Metric *metric, const struct otlp_attributes *resource,
	struct tl_arena *arena, struct otlp_records *records)
{
	enum tl_err err = TL_OK;

	for (size_t i = 0; i < metric->sum->n_points && !err; i++) {
		const OtlpPb__Point *from = metric->sum->points[i];
		struct otlp_point *point = &records->points[records->point_count++];

		*point = (struct otlp_point){.resource = resource,
			.metric = text_of(metric->name),
			.temporality = (enum otlp_temporality)metric->sum->temporality,
			.is_monotonic = metric->sum->is_monotonic != 0,
			.start_ns = from->start_ns,
			.time_ns = from->time_ns,
			.value = number_of(from)};
		err = attributes_of(
			from->attributes, from->n_attributes, arena, &point->attributes);
	}
	return err;
}

static enum tl_err
read_metrics(const OtlpPb__MetricScope *scope, const struct otlp_attributes *resource,
	struct tl_arena *arena, struct otlp_records *records)
{
	enum tl_err err = TL_OK;

	for (size_t i = 0; i < scope->n_metrics && !err; i++) {
		if (scope->metrics[i]->sum != NULL)
			err = read_sum(scope->metrics[i], resource, arena, records);
	}
	return err;
}

enum tl_err
otlp_pb_metrics(struct tl_slice body, struct tl_arena *arena, struct otlp_records *records_out,
	struct tl_why *why)
{
	struct otlp_records records = {0};
	const ProtobufCMessage *message;
	const OtlpPb__Metrics *metrics;
	const struct otlp_attributes *resource;
	enum tl_err err = unpack(&otlp_pb__metrics__descriptor, body, arena, &message, why);

	if (err)
		return err;
	metrics = (const OtlpPb__Metrics *)message;
	records.points = tl_arena_array(arena, count_points(metrics), sizeof(*records.points));
	if (records.points == NULL)
		return TL_EFRAME_TOO_LARGE;
	for (size_t i = 0; i < metrics->n_resources && !err; i++) {
		const OtlpPb__MetricResource *from = metrics->resources[i];

		err = resource_of(from->resource, arena, &resource);
		for (size_t j = 0; j < from->n_scopes && !err; j++)
			err = read_metrics(from->scopes[j], resource, arena, &records);
	}
	if (!err)
		*records_out = records;
	return err;
}

static void
pack(const ProtobufCMessage *message, struct tl_buf *body)
{
	size_t bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *at = tl_buf_reserve(body, bytes);

	if (at != NULL)
		tl_buf_advance(body, protobuf_c_message_pack(message, at));
}

void
otlp_pb_put_answer(struct tl_buf *body, int64_t rejected, const char *message)
{
	OtlpPb__Partial partial = OTLP_PB__PARTIAL__INIT;
	OtlpPb__Answer answer = OTLP_PB__ANSWER__INIT;

	partial.rejected = rejected;
	partial.message = (char *)(message != NULL ? message : "");
	if (rejected > 0 || message != NULL)
		answer.partial = &partial;
	pack(&answer.base, body);
}

void
otlp_pb_put_status(struct tl_buf *body, int32_t code, const char *message)
{
	OtlpPb__Status status = OTLP_PB__STATUS__INIT;

	status.code = code;
	status.message = (char *)message;
	pack(&status.base, body);
}
