#include "ingest/import/transcript.h"

#include <stdlib.h>

#include "schema/base/crypt.h"
#include "schema/model/bucket.h"

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

static enum tl_err
copy_text(struct import *import, struct tl_slice text, size_t bytes_max, struct tl_slice *copy_out)
{
	if (text.bytes > bytes_max)
		text.bytes = 0; /* a name past the protocol's limit is left out, the usage stays */
	if (tl_slice_eq(*copy_out, text))
		return TL_OK;
	*copy_out = tl_arena_copy(&import->arena, text);
	return copy_out->data == NULL && text.bytes > 0 ? TL_ENOMEM : TL_OK;
}

enum tl_err
transcript_texts(struct import *import, const struct transcript_text *texts, size_t text_count)
{
	enum tl_err err = TL_OK;

	for (size_t i = 0; i < text_count && !err; i++)
		err = copy_text(import, tl_json_str(tl_json_get(texts[i].object, texts[i].key)),
			texts[i].bytes_max, texts[i].copy_out);
	return err;
}

enum tl_err
transcript_line(struct import *import, struct tl_slice line,
	enum tl_err (*read)(struct import *import, const struct tl_json_value *line))
{
	struct tl_json *json = NULL;
	enum tl_err err;

	if (tl_json_parse(line, &json, NULL)) {
		import->stats.unreadable++;
		return TL_OK;
	}
	err = read(import, tl_json_root(json));
	tl_json_free(json);
	return err;
}
