/*
 * One batch on its way: events are copied into it, then it is encoded, once, and its bytes never
 * change again. Whoever holds it knows at which of the two it is; nothing here locks.
 */
#ifndef CLIENT_PUSH_BATCH_H
#define CLIENT_PUSH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/client/kept.h"
#include "ingest/client/push_reply.h"
#include "schema/base/arena.h"
#include "schema/base/bytes.h"
#include "schema/wire/event_wire.h"

struct push_batch {
	/* the queue's */
	struct push_batch *older, *newer;
	struct push_batch *settled_next;
	uint64_t serial;   /* rises in the order of closing */
	uint64_t number;   /* in the spool, 0: not there */
	bool is_kept;	   /* acknowledged before, and sent again: number is in kept */
	bool is_unspooled; /* there is a spool, and it would not take the batch */
	size_t held_bytes; /* what it counts for in the backlog */

	uint32_t event_count;

	/* while it is filled */
	struct tl_arena text;
	struct tl_wire_event *events;
	uint32_t event_capacity;
	size_t encoded_bytes; /* at most, without the head */

	/* encoded; NULL while it lies in the spool only */
	uint8_t *data;
	size_t bytes;

	/* while it is sent */
	uint32_t send_count;
	struct kept_mark sent_after; /* what was acknowledged when it was sent last */
	struct tl_buf answer;
	struct push_reply reply;
};

/* Of the backlog, before the first event. */
#define PUSH_BATCH_BYTES_MIN (sizeof(struct push_batch) + 2048)

struct push_batch *push_batch_new(void);
void push_batch_free(struct push_batch *batch);

/* What one more event takes of memory. */
size_t push_batch_event_bytes(const struct tl_wire_event *event);

/* Copies the event and its text. */
TL_MUST enum tl_err push_batch_add(struct push_batch *batch, const struct tl_wire_event *event);

/* Build the frame in *frame (reset first); the batch stays as it is. */
TL_MUST enum tl_err push_batch_encode(const struct push_batch *batch, const char *token,
	const char *name, struct tl_buf *frame, struct tl_why *why);

/* The batch takes a copy of its encoded bytes. */
TL_MUST enum tl_err push_batch_load(struct push_batch *batch, struct tl_slice frame);

/* The bytes are dropped: they lie in the spool, or are not needed any more. */
void push_batch_unload(struct push_batch *batch);

/* The events are dropped: the encoded bytes stand for them. */
void push_batch_drop_events(struct push_batch *batch);

#endif
