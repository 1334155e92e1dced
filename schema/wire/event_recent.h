/*
 * The texts of a batch, as they came, and what their cells became: most texts repeat within a
 * batch, and one that was seen needs no second check and no second symbol. Bounded and forgetful:
 * what is not found here is read the long way.
 */
#ifndef TL_WIRE_EVENT_RECENT_H
#define TL_WIRE_EVENT_RECENT_H

#include <stdint.h>
#include <string.h>

#include "schema/base/bytes.h"

#define TL_EVENT_RECENT_BITS 9
#define TL_EVENT_RECENT_SLOTS (1u << TL_EVENT_RECENT_BITS)
#define TL_EVENT_RECENT_PROBES 4u

/* Both ends of the value are here, so that most are compared without another look at them. */
struct tl_event_recent {
	uint64_t head;
	uint64_t tail;
	const uint8_t *data; /* the encoded value, into the message */
	uint32_t key;	     /* bytes and field; 0: a free slot */
	uint32_t cell;
};

/* An encoded value of a field, worked out once for looking and for keeping. */
struct tl_event_text {
	const uint8_t *data;
	uint64_t head;
	uint64_t tail;
	size_t bytes;
	uint32_t key;
	uint32_t slot;
};

/* raw has at least one byte. */
static inline struct tl_event_text
tl_event_text_of(uint8_t field, struct tl_slice raw)
{
	struct tl_event_text text;
	uint64_t mixed;

	text.data = raw.data;
	text.bytes = raw.bytes;
	if (raw.bytes >= 8) {
		memcpy(&text.head, raw.data, 8);
		memcpy(&text.tail, raw.data + raw.bytes - 8, 8);
	} else if (raw.bytes >= 4) {
		uint32_t half[2];

		memcpy(&half[0], raw.data, 4);
		memcpy(&half[1], raw.data + raw.bytes - 4, 4);
		text.head = half[0];
		text.tail = half[1];
	} else {
		text.head = raw.data[0];
		text.tail = (uint64_t)raw.data[raw.bytes / 2] << 8 | raw.data[raw.bytes - 1];
	}
	text.key = (uint32_t)raw.bytes << 8 | field;
	mixed = text.head ^ (text.tail << 23 | text.tail >> 41) ^ text.key;
	text.slot = (uint32_t)((mixed * 0x9e3779b97f4a7c15u) >> (64 - TL_EVENT_RECENT_BITS));
	return text;
}

/* The ends are equal already: compares what lies between them. */
static inline bool
tl_event_recent_is(const struct tl_event_recent *recent, const struct tl_event_text *text)
{
	if (recent->head != text->head || recent->tail != text->tail || recent->key != text->key)
		return false;
	for (size_t i = 8; i + 8 < text->bytes; i += 8) {
		uint64_t a;
		uint64_t b;

		memcpy(&a, text->data + i, sizeof(a));
		memcpy(&b, recent->data + i, sizeof(b));
		if (a != b)
			return false;
	}
	return true;
}

/* The remembered text, or NULL. */
static inline const struct tl_event_recent *
tl_event_recent_find(
	const struct tl_event_recent slots[TL_EVENT_RECENT_SLOTS], const struct tl_event_text *text)
{
	for (uint32_t i = 0; i < TL_EVENT_RECENT_PROBES; i++) {
		const struct tl_event_recent *recent =
			&slots[(text->slot + i) % TL_EVENT_RECENT_SLOTS];

		if (tl_event_recent_is(recent, text))
			return recent;
		if (recent->key == 0)
			break;
	}
	return NULL;
}

/* A value longer than an event may be is not kept. */
void tl_event_recent_keep(struct tl_event_recent slots[TL_EVENT_RECENT_SLOTS], uint8_t field,
	struct tl_slice raw, uint32_t cell);

#endif
