/*
 * Points of Claude Code's counters -> activity events.
 *
 * An exporter sends a point again when an answer was lost, and a running total with every export,
 * so an event's id and content must follow from the point alone:
 *
 *   delta       id = (resource, metric, attributes, start, end); counts at its end. Sent again it
 * is the same event. cumulative  id = (resource, metric, attributes, start); the value is the total
 * since start, and the total itself is the revision. A higher one replaces it, an equal one is the
 * same event, one that was overtaken is stale. It counts at start, the one time that all its
 * reports share. A process that restarts has another start, so totals add up.
 *
 * Running totals of time move in whole seconds, so that one revision has one content.
 */
#ifndef OTLP_ACTIVITY_H
#define OTLP_ACTIVITY_H

#include "ingest/otlp/producers.h"

enum activity_outcome {
	ACTIVITY_EVENT,
	ACTIVITY_IGNORED,
	ACTIVITY_UNREADABLE, /* *problem_out says why */
};

/* scratch is the caller's, any content. Only id, kind, ts_ms, rev and the measure are set. */
enum activity_outcome activity_of(const struct otlp_point *point, struct tl_buf *scratch,
	struct tl_wire_event *event_out, const char **problem_out);

#endif
