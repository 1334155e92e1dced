/* What the two transcript readers share: the state of an import and the request being built. */
#ifndef IMPORT_TRANSCRIPT_H
#define IMPORT_TRANSCRIPT_H

#include "ingest/import/import.h"
#include "schema/base/arena.h"
#include "schema/base/map.h"
#include "schema/model/limits.h"
#include "schema/wire/json.h"

/* Codex keeps its context in lines of their own. */
struct codex_file {
	struct tl_slice session, model, provider, repo, branch, commit;
	int64_t total[4]; /* the last total seen: input, cached, output, reasoning */
};

struct import {
	enum import_source source;
	struct tl_slice email;
	const struct tl_prices *prices;
	struct tl_arena arena;	 /* every string of every event */
	struct tl_map *requests; /* what identifies a request -> index of its event */
	struct tl_buf key;	 /* scratch: what identifies the request at hand */
	struct tl_wire_event *events;
	uint32_t event_count, event_capacity;
	struct codex_file codex;
	struct import_stats stats;
};

TL_MUST enum tl_err claude_code_line(struct import *import, struct tl_slice line);
TL_MUST enum tl_err codex_line(struct import *import, struct tl_slice line);

/* A cheap test before a line is parsed: most lines carry no usage. */
bool transcript_has(struct tl_slice line, const char *text);

/* A count of tokens; absent, null and negative are 0. */
int64_t transcript_count(const struct tl_json_value *object, const char *key);

bool transcript_time(const struct tl_json_value *value, int64_t *time_ms_out);

/* The event of the request that import->key identifies, made when new. Valid until the next call.
 */
TL_MUST enum tl_err transcript_request(
	struct import *import, struct tl_wire_event **event_out, bool *is_new_out);

/* A text of an object to keep in the import; absent or longer than bytes_max it is left empty. */
struct transcript_text {
	const struct tl_json_value *object;
	const char *key;
	size_t bytes_max;
	struct tl_slice *copy_out; /* equal text is not copied again */
};

TL_MUST enum tl_err transcript_texts(
	struct import *import, const struct transcript_text *texts, size_t text_count);

/* Parse the line and let read take from it; one that does not parse is counted. */
TL_MUST enum tl_err transcript_line(struct import *import, struct tl_slice line,
	enum tl_err (*read)(struct import *import, const struct tl_json_value *line));

#endif
