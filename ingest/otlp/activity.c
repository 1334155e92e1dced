#include "ingest/otlp/activity.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/base/crypt.h"

#define NS_PER_MS 1000000u
#define MS_PER_S 1000
#define ATTRIBUTES_MAX 64u

/* A counter, and for which value of which attribute it is which measure of ours. */
static const struct measure {
	const char *metric;
	const char *key, *value; /* NULL: every point */
	size_t offset;
	bool is_time; /* seconds, ours are milliseconds */
} measures[] = {
	{"claude_code.lines_of_code.count", "type", "added",
		offsetof(struct tl_wire_event, lines_added), false},
	{"claude_code.lines_of_code.count", "type", "removed",
		offsetof(struct tl_wire_event, lines_removed), false},
	{"claude_code.commit.count", NULL, NULL, offsetof(struct tl_wire_event, commits), false},
	{"claude_code.pull_request.count", NULL, NULL,
		offsetof(struct tl_wire_event, pull_requests), false},
	{"claude_code.active_time.total", NULL, NULL, offsetof(struct tl_wire_event, active_ms),
		true},
	{"claude_code.code_edit_tool.decision", "decision", "accept",
		offsetof(struct tl_wire_event, edits_accepted), false},
	{"claude_code.code_edit_tool.decision", "decision", "reject",
		offsetof(struct tl_wire_event, edits_rejected), false},
};

static const struct measure *
find_measure(const struct otlp_point *point)
{
	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
		const struct measure *measure = &measures[i];

		if (!tl_slice_eq(point->metric, tl_slice_str(measure->metric)))
			continue;
		if (measure->key == NULL ||
			tl_slice_eq(otlp_find(&point->attributes, measure->key)->text,
				tl_slice_str(measure->value)))
			return measure;
	}
	return NULL;
}

static int
compare_keys(const void *a_arg, const void *b_arg)
{
	const struct otlp_attribute *const *a = a_arg;
	const struct otlp_attribute *const *b = b_arg;

	return tl_slice_cmp((*a)->key, (*b)->key);
}

/* Key and value, each behind its length; the same whether a number came as text or not. */
static void
put_attribute(struct tl_buf *key, const struct otlp_attribute *attribute)
{
	char text[32] = "";
	struct tl_slice value = attribute->value.text;

	if (attribute->value.type == OTLP_NUMBER)
		snprintf(text, sizeof(text), "%" PRId64, attribute->value.number);
	if (attribute->value.type == OTLP_REAL)
		snprintf(text, sizeof(text), "%.17g", attribute->value.real);
	if (attribute->value.type == OTLP_FLAG)
		snprintf(text, sizeof(text), "%d", attribute->value.flag);
	if (attribute->value.type != OTLP_TEXT)
		value = tl_slice_str(text);
	tl_buf_put_varint(key, attribute->key.bytes);
	tl_buf_put_slice(key, attribute->key);
	tl_buf_put_varint(key, value.bytes);
	tl_buf_put_slice(key, value);
}

/* In the order of keys: an exporter may send them in any. False when there are too many. */
static bool
put_attributes(struct tl_buf *key, const struct otlp_attributes *attributes)
{
	const struct otlp_attribute *sorted[ATTRIBUTES_MAX];

	if (attributes->count > ATTRIBUTES_MAX)
		return false;
	for (uint32_t i = 0; i < attributes->count; i++)
		sorted[i] = &attributes->list[i];
	qsort(sorted, attributes->count, sizeof(sorted[0]), compare_keys);
	tl_buf_put_varint(key, attributes->count);
	for (uint32_t i = 0; i < attributes->count; i++)
		put_attribute(key, sorted[i]);
	return true;
}

/* What tells one series from another, and with end_ns one point from another. */
static bool
make_id(const struct otlp_point *point, uint64_t end_ns, struct tl_buf *key, uint8_t id_out[16])
{
	uint8_t digest[32];

	tl_buf_reset(key);
	tl_buf_put_str(key, "otlp-point");
	tl_buf_put_varint(key, point->metric.bytes);
	tl_buf_put_slice(key, point->metric);
	if (!put_attributes(key, point->resource) || !put_attributes(key, &point->attributes))
		return false;
	tl_buf_put_be64(key, point->start_ns);
	tl_buf_put_be64(key, end_ns);
	if (key->err)
		return false;
	tl_sha256(tl_buf_slice(key), digest);
	memcpy(id_out, digest, 16);
	return true;
}

static const char *
problem_of(const struct otlp_point *point, bool is_readable, int64_t value)
{
	if (!is_readable || value < 0)
		return "a counter's value is no number of 0 or more";
	if (point->temporality == OTLP_UNSPECIFIED)
		return "a counter without aggregationTemporality";
	if (point->temporality == OTLP_CUMULATIVE && !point->is_monotonic)
		return "a running total that is not monotonic";
	if (point->time_ns == 0 || point->start_ns == 0)
		return "a counter's point without startTimeUnixNano or timeUnixNano";
	return NULL;
}

enum activity_outcome
activity_of(const struct otlp_point *point, struct tl_buf *scratch, struct tl_wire_event *event_out,
	const char **problem_out)
{
	const struct measure *measure = find_measure(point);
	bool is_total = point->temporality == OTLP_CUMULATIVE;
	struct tl_wire_event event = {.kind = TL_KIND_ACTIVITY};
	uint64_t at_ns = is_total ? point->start_ns : point->time_ns;
	int64_t value = 0;
	bool is_readable;

	if (measure == NULL)
		return ACTIVITY_IGNORED;
	is_readable = otlp_scaled(&point->value, measure->is_time ? 3 : 0, &value);
	*problem_out = problem_of(point, is_readable, value);
	if (*problem_out == NULL &&
		!make_id(point, is_total ? 0 : point->time_ns, scratch, event.id))
		*problem_out = "a point with too many or too long attributes";
	if (*problem_out != NULL)
		return ACTIVITY_UNREADABLE;
	if (is_total && measure->is_time)
		value -= value % MS_PER_S;
	if (value == 0)
		return ACTIVITY_IGNORED;
	event.ts_ms = (int64_t)(at_ns / NS_PER_MS);
	if (is_total)
		event.rev = measure->is_time ? value / MS_PER_S : value;
	memcpy((uint8_t *)&event + measure->offset, &value, sizeof(value));
	*event_out = event;
	return ACTIVITY_EVENT;
}
