/*
 * A body of an export; the first byte says which signal and whose. Whatever it is, it becomes
 * events that a frame takes, with counts that are no nonsense, and the same ones when it comes
 * again.
 */
#ifndef TESTS_FUZZ_OTLP_H
#define TESTS_FUZZ_OTLP_H

#include "ingest/otlp/producers.h"
#include "schema/model/limits.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_OTLP_ARENA_BYTES_MAX ((size_t)16 << 20)
#define FUZZ_OTLP_EVENTS 500u

static void
fuzz_otlp_check(const struct tl_wire_event *event)
{
	static const uint8_t zeros[16];

	assert(memcmp(event->id, zeros, sizeof(zeros)) != 0);
	assert(event->input_tokens >= 0 && event->output_tokens >= 0);
	assert(event->cache_read_tokens >= 0 && event->cache_write_tokens >= 0);
	assert(event->reasoning_tokens >= 0 && event->rev >= 0);
	assert(event->cost_nusd >= 0 || event->cost_nusd == TL_WIRE_ABSENT);
	assert(event->lines_added >= 0 && event->active_ms >= 0);
	assert(event->session.bytes <= TL_SESSION_BYTES_MAX);
	assert(event->model.bytes <= TL_MODEL_BYTES_MAX);
	assert(event->email.bytes <= TL_EMAIL_BYTES_MAX);
}

static void
fuzz_otlp_frame(const struct producers_batch *batch)
{
	static struct tl_buf frame;
	struct tl_batch_head head;
	uint32_t count =
		batch->event_count < FUZZ_OTLP_EVENTS ? batch->event_count : FUZZ_OTLP_EVENTS;

	if (count == 0)
		return;
	frame.bytes_max = TL_FRAME_BYTES_MAX;
	tl_buf_reset(&frame);
	tl_batch_put_rows(
		&frame, tl_slice_str("t"), tl_slice_str("otlp"), false, batch->events, count);
	assert(frame.err == TL_OK);
	assert(tl_batch_head_read(tl_buf_slice(&frame), &head, NULL) == TL_OK);
	assert(head.event_count == count);
}

static int
fuzz_otlp(enum otlp_encoding encoding, const uint8_t *data, size_t bytes)
{
	static struct tl_arena arenas[2];
	static struct tl_prices *prices;
	struct producers_batch batch[2];
	struct producers_rules rules;

	if (bytes == 0)
		return 0;
	if (prices == NULL)
		assert(tl_prices_new(tl_slice_of("", 0), &prices, NULL) == TL_OK);
	rules = (struct producers_rules){.prices = prices, .is_of_many = (data[0] & 4) != 0};
	for (int i = 0; i < 2; i++) {
		struct tl_arena *arena = fuzz_arena(&arenas[i], FUZZ_OTLP_ARENA_BYTES_MAX);
		struct otlp_records records;

		if (otlp_read((enum otlp_signal)((data[0] & 3) % 3), encoding,
			    tl_slice_of(data + 1, bytes - 1), arena, &records, NULL))
			return 0;
		if (producers_translate(&records, &rules, arena, &batch[i]))
			return 0;
		assert(batch[i].event_count + batch[i].ignored + batch[i].unreadable ==
			records.log_count + records.point_count);
	}
	assert(batch[0].event_count == batch[1].event_count);
	for (uint32_t i = 0; i < batch[0].event_count; i++) {
		fuzz_otlp_check(&batch[0].events[i]);
		assert(memcmp(batch[0].events[i].id, batch[1].events[i].id, 16) == 0);
	}
	fuzz_otlp_frame(&batch[0]);
	return 0;
}

#endif
