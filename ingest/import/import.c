#include "ingest/import/import.h"

#include <stdlib.h>

#include "ingest/import/transcript.h"
#include "schema/base/crypt.h"
#include "schema/model/bucket.h"

#define ARENA_BYTES_MAX ((size_t)8 << 30)
#define REQUESTS_MAX 100000000u

enum tl_err
import_new(enum import_source source, struct tl_slice email, struct import **import_out)
{
	struct import *import = calloc(1, sizeof(*import));
	enum tl_err err;

	if (import == NULL)
		return TL_ENOMEM;
	import->source = source;
	import->email = email;
	tl_arena_init(&import->arena, ARENA_BYTES_MAX);
	tl_buf_init(&import->key, 4096);
	err = tl_map_new(REQUESTS_MAX, &import->requests);
	if (err) {
		import_free(import);
		return err;
	}
	*import_out = import;
	return TL_OK;
}

void
import_free(struct import *import)
{
	if (import == NULL)
		return;
	tl_map_free(import->requests);
	tl_arena_fini(&import->arena);
	tl_buf_fini(&import->key);
	free(import->events);
	free(import);
}

void
import_file(struct import *import)
{
	import->codex = (struct codex_file){0};
}

enum tl_err
import_line(struct import *import, struct tl_slice line)
{
	import->stats.lines++;
	switch (import->source) {
	case IMPORT_CLAUDE_CODE:
		return claude_code_line(import, line);
	case IMPORT_CODEX:
		return codex_line(import, line);
	}
	return TL_OK;
}

void
import_stats(const struct import *import, struct import_stats *stats_out)
{
	*stats_out = import->stats;
}

const struct tl_wire_event *
import_events(const struct import *import, uint32_t *count_out)
{
	*count_out = import->event_count;
	return import->events;
}

bool
transcript_has(struct tl_slice line, const char *text)
{
	return memmem(line.data, line.bytes, text, strlen(text)) != NULL;
}

int64_t
transcript_count(const struct tl_json_value *object, const char *key)
{
	int64_t value = 0;

	return tl_json_int(tl_json_get(object, key), &value) && value >= 0 ? value : 0;
}

bool
transcript_time(const struct tl_json_value *value, int64_t *time_ms_out)
{
	struct tl_slice text = tl_json_str(value);
	char copy[64];

	if (text.bytes == 0 || text.bytes >= sizeof(copy))
		return false;
	memcpy(copy, text.data, text.bytes);
	copy[text.bytes] = '\0';
	return tl_time_parse(copy, time_ms_out);
}

static enum tl_err
grow(struct import *import)
{
	uint32_t capacity = import->event_capacity * 2 + 256;
	struct tl_wire_event *events;

	if (import->event_count < import->event_capacity)
		return TL_OK;
	events = realloc(import->events, capacity * sizeof(*events));
	if (events == NULL)
		return TL_ENOMEM;
	import->events = events;
	import->event_capacity = capacity;
	return TL_OK;
}

enum tl_err
transcript_request(struct import *import, struct tl_wire_event **event_out, bool *is_new_out)
{
	struct tl_slice key = tl_buf_slice(&import->key);
	struct tl_wire_event *event;
	uint8_t digest[32];
	uint64_t idx;
	enum tl_err err;

	if (import->key.err)
		return import->key.err;
	if (tl_map_get(import->requests, key, &idx)) {
		*event_out = &import->events[idx];
		*is_new_out = false;
		return TL_OK;
	}
	err = grow(import);
	if (!err)
		err = tl_map_put(import->requests, key, import->event_count);
	if (err)
		return err;
	event = &import->events[import->event_count++];
	*event = (struct tl_wire_event){.kind = TL_KIND_REQUEST,
		.email = import->email,
		.cost_nusd = TL_WIRE_ABSENT,
		.duration_ms = TL_WIRE_ABSENT,
		.status = 200};
	tl_sha256(key, digest);
	memcpy(event->id, digest, sizeof(event->id));
	*event_out = event;
	*is_new_out = true;
	return TL_OK;
}

enum tl_err
transcript_copy(
	struct import *import, struct tl_slice text, size_t bytes_max, struct tl_slice *copy_out)
{
	if (text.bytes > bytes_max)
		text.bytes = 0; /* a name past the protocol's limit is left out, the usage stays */
	if (tl_slice_eq(*copy_out, text))
		return TL_OK;
	*copy_out = tl_arena_copy(&import->arena, text);
	return copy_out->data == NULL && text.bytes > 0 ? TL_ENOMEM : TL_OK;
}
