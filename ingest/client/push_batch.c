#include "ingest/client/push_batch.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/model/limits.h"

#define EVENT_CAPACITY_MIN 16u
#define TEXT_BYTES_MAX ((size_t)8 << 20) /* far above what a frame's worth of events needs */

/* Of one encoded event beside its text and numbers: the row's head, the id, and the few words. */
#define ROW_BYTES (3u + 18u + sizeof("link") + sizeof("add_commit") + sizeof("plan"))
#define TEXT_HEAD_BYTES 3u

/* The text of an event: all slices of struct tl_wire_event that this library sets. */
static const size_t texts[] = {
	offsetof(struct tl_wire_event, key),
	offsetof(struct tl_wire_event, email),
	offsetof(struct tl_wire_event, member_hex),
	offsetof(struct tl_wire_event, agent),
	offsetof(struct tl_wire_event, session),
	offsetof(struct tl_wire_event, provider),
	offsetof(struct tl_wire_event, model),
	offsetof(struct tl_wire_event, repo),
	offsetof(struct tl_wire_event, branch),
	offsetof(struct tl_wire_event, commit),
	offsetof(struct tl_wire_event, value),
};

#define TEXT_COUNT (sizeof(texts) / sizeof(texts[0]))

/* Its numbers, for their size only. */
static const size_t numbers[] = {
	offsetof(struct tl_wire_event, ts_ms),
	offsetof(struct tl_wire_event, input_tokens),
	offsetof(struct tl_wire_event, cache_read_tokens),
	offsetof(struct tl_wire_event, cache_write_tokens),
	offsetof(struct tl_wire_event, cache_write_1h_tokens),
	offsetof(struct tl_wire_event, output_tokens),
	offsetof(struct tl_wire_event, reasoning_tokens),
	offsetof(struct tl_wire_event, cost_nusd),
	offsetof(struct tl_wire_event, saved_tokens),
	offsetof(struct tl_wire_event, saved_nusd),
	offsetof(struct tl_wire_event, status),
	offsetof(struct tl_wire_event, duration_ms),
	offsetof(struct tl_wire_event, pr),
	offsetof(struct tl_wire_event, rev),
};

#define NUMBER_COUNT (sizeof(numbers) / sizeof(numbers[0]))

static struct tl_slice
text_of(const struct tl_wire_event *event, size_t offset)
{
	struct tl_slice text;

	memcpy(&text, (const char *)event + offset, sizeof(text));
	return text;
}

struct push_batch *
push_batch_new(void)
{
	struct push_batch *batch = calloc(1, sizeof(*batch));

	if (batch == NULL)
		return NULL;
	tl_arena_init(&batch->text, TEXT_BYTES_MAX);
	tl_buf_init(&batch->answer, TL_REPLY_BYTES_MAX);
	batch->held_bytes = PUSH_BATCH_BYTES_MIN;
	return batch;
}

void
push_batch_free(struct push_batch *batch)
{
	if (batch == NULL)
		return;
	push_batch_drop_events(batch);
	push_batch_unload(batch);
	tl_buf_fini(&batch->answer);
	free(batch);
}

/* Of an integer in msgpack; an absent one is nil. */
static size_t
number_bytes(const struct tl_wire_event *event, size_t offset)
{
	int64_t number;

	memcpy(&number, (const char *)event + offset, sizeof(number));
	if (number == TL_WIRE_ABSENT || (number >= 0 && number < 128))
		return 1;
	if (number > 0 && number <= UINT16_MAX)
		return 3;
	return number > 0 && number <= UINT32_MAX ? 5 : 9;
}

/* At most what the event adds to the frame, fields that only others use included. */
static size_t
encoded_bytes(const struct tl_wire_event *event)
{
	size_t bytes = ROW_BYTES;

	for (size_t i = 0; i < TEXT_COUNT; i++)
		bytes += TEXT_HEAD_BYTES + text_of(event, texts[i]).bytes;
	for (size_t i = 0; i < NUMBER_COUNT; i++)
		bytes += number_bytes(event, numbers[i]);
	return bytes;
}

size_t
push_batch_event_bytes(const struct tl_wire_event *event)
{
	size_t bytes = sizeof(*event);

	for (size_t i = 0; i < TEXT_COUNT; i++)
		bytes += text_of(event, texts[i]).bytes;
	return bytes;
}

static enum tl_err
events_reserve(struct push_batch *batch)
{
	uint32_t capacity =
		batch->event_capacity > 0 ? batch->event_capacity * 2 : EVENT_CAPACITY_MIN;
	struct tl_wire_event *events;

	if (batch->event_count < batch->event_capacity)
		return TL_OK;
	events = reallocarray(batch->events, capacity, sizeof(*events));
	if (events == NULL)
		return TL_ENOMEM;
	batch->events = events;
	batch->event_capacity = capacity;
	return TL_OK;
}

/* Point the slices of a copied event at a copy of their text: one allocation for all. */
static enum tl_err
texts_copy(struct push_batch *batch, struct tl_wire_event *event, size_t bytes)
{
	uint8_t *at = tl_arena_alloc(&batch->text, bytes);

	if (at == NULL)
		return TL_ENOMEM;
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		struct tl_slice text = text_of(event, texts[i]);

		if (text.bytes == 0)
			continue;
		memcpy(at, text.data, text.bytes);
		text.data = at;
		memcpy((char *)event + texts[i], &text, sizeof(text));
		at += text.bytes;
	}
	return TL_OK;
}

enum tl_err
push_batch_add(struct push_batch *batch, const struct tl_wire_event *event)
{
	size_t bytes = push_batch_event_bytes(event);
	enum tl_err err = events_reserve(batch);

	assert(batch->data == NULL);
	if (err)
		return err;
	batch->events[batch->event_count] = *event;
	err = texts_copy(batch, &batch->events[batch->event_count], bytes - sizeof(*event));
	if (err)
		return err;
	batch->event_count++;
	batch->held_bytes += bytes;
	batch->encoded_bytes += encoded_bytes(event);
	return TL_OK;
}

enum tl_err
push_batch_encode(const struct push_batch *batch, const char *token, const char *name,
	struct tl_buf *frame, struct tl_why *why)
{
	tl_buf_reset(frame);
	tl_batch_put_rows(frame, tl_slice_str(token), tl_slice_str(name), false, batch->events,
		batch->event_count);
	assert(frame->err != TL_EFULL); /* a batch is closed before it is too large for a frame */
	if (frame->err)
		return tl_fail(why, frame->err, "encode a batch of %u events: %s",
			batch->event_count, tl_err_text(frame->err));
	return TL_OK;
}

enum tl_err
push_batch_load(struct push_batch *batch, struct tl_slice frame)
{
	uint8_t *data = malloc(frame.bytes);

	assert(batch->data == NULL);
	if (data == NULL)
		return TL_ENOMEM;
	memcpy(data, frame.data, frame.bytes);
	batch->data = data;
	batch->bytes = frame.bytes;
	return TL_OK;
}

void
push_batch_unload(struct push_batch *batch)
{
	free(batch->data);
	batch->data = NULL;
}

void
push_batch_drop_events(struct push_batch *batch)
{
	tl_arena_fini(&batch->text);
	free(batch->events);
	batch->events = NULL;
	batch->event_capacity = 0;
}
