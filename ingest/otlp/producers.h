/*
 * What each agent's telemetry means: records -> usage events. Pure; what is not known is counted
 * and left alone.
 *
 * Claude Code, logs: only api_request is a request; its id is the request id, its cost what it
 * states. Token and cost metrics tell the same again and are ignored. Codex, logs: only
 * codex.sse_event of kind response.completed; its input includes what was read from the cache, its
 * tool_token_count is a total; cost from the prices, id from the record. Claude Code, metrics:
 * lines, commits, pull requests, active time and decisions about edits (ingest/otlp/activity).
 */
#ifndef OTLP_PRODUCERS_H
#define OTLP_PRODUCERS_H

#include "ingest/otlp/otlp.h"
#include "schema/model/price.h"
#include "schema/wire/event_wire.h"

struct producers_rules {
	const struct tl_prices *prices;
	bool is_of_many; /* a gateway's export: who it is stands in each record's user.email */
};

struct producers_batch {
	struct tl_wire_event *events; /* of the arena, as are their texts */
	uint32_t event_count;
	uint32_t ignored;    /* records that are no usage */
	uint32_t unreadable; /* records that are, and cannot be read */
	const char *problem; /* of the first of those; static, NULL: none */
};

/* TL_EFRAME_TOO_LARGE past the arena's ceiling. */
TL_MUST enum tl_err producers_translate(const struct otlp_records *records,
	const struct producers_rules *rules, struct tl_arena *arena,
	struct producers_batch *batch_out);

#endif
