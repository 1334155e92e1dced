#include "schema/net/inflow.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "schema/base/bytes.h"
#include "schema/model/limits.h"

#define GREETING_BYTES 8u

/* SP, version 0, REQ, reserved. */
static const uint8_t greeting_of_req[GREETING_BYTES] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

static void
head_expect(struct tl_inflow *inflow)
{
	inflow->part = TL_INFLOW_HEAD;
	inflow->head_bytes = 0;
	inflow->left_bytes = inflow->is_ipc ? 9 : 8;
}

void
tl_inflow_init(struct tl_inflow *inflow, bool is_ipc)
{
	*inflow = (struct tl_inflow){
		.is_ipc = is_ipc, .part = TL_INFLOW_GREETING, .left_bytes = GREETING_BYTES};
}

static void
frame_end(struct tl_inflow *inflow, int64_t at_ms)
{
	atomic_store(&inflow->held_bytes, 0);
	atomic_store(&inflow->begun_ms, 0);
	atomic_store(&inflow->whole_ms, at_ms);
	head_expect(inflow);
}

static enum tl_inflow_fault
body_expect(struct tl_inflow *inflow, int64_t at_ms)
{
	uint64_t bytes = tl_get_be64(inflow->head + inflow->head_bytes - 8);

	if (bytes > TL_TRANSPORT_BYTES_MAX)
		return TL_INFLOW_TOO_LONG;
	inflow->part = TL_INFLOW_BODY;
	inflow->left_bytes = bytes;
	inflow->is_held = bytes <= TL_INFLOW_HEAP_BYTES_MAX;
	if (inflow->is_held)
		atomic_store(&inflow->held_bytes, (int64_t)bytes);
	if (bytes == 0)
		frame_end(inflow, at_ms);
	return TL_INFLOW_FINE;
}

static enum tl_inflow_fault
part_end(struct tl_inflow *inflow, int64_t at_ms)
{
	switch (inflow->part) {
	case TL_INFLOW_GREETING:
		if (memcmp(inflow->head, greeting_of_req, GREETING_BYTES) != 0)
			return TL_INFLOW_NO_REQ;
		atomic_store(&inflow->is_greeted, true);
		head_expect(inflow);
		return TL_INFLOW_FINE;
	case TL_INFLOW_HEAD:
		return body_expect(inflow, at_ms);
	case TL_INFLOW_BODY:
		frame_end(inflow, at_ms);
		return TL_INFLOW_FINE;
	}
	return TL_INFLOW_FINE;
}

/* Bytes of the part at hand. */
static void
part_take(struct tl_inflow *inflow, const uint8_t *data, size_t bytes, int64_t at_ms)
{
	inflow->left_bytes -= bytes;
	if (inflow->part == TL_INFLOW_BODY) {
		if (!inflow->is_held)
			atomic_fetch_add(&inflow->held_bytes, (int64_t)bytes);
		return;
	}
	assert(inflow->head_bytes + bytes <= sizeof(inflow->head));
	memcpy(inflow->head + inflow->head_bytes, data, bytes);
	inflow->head_bytes += (uint32_t)bytes;
	if (inflow->part == TL_INFLOW_HEAD && atomic_load(&inflow->begun_ms) == 0)
		atomic_store(&inflow->begun_ms, at_ms);
}

enum tl_inflow_fault
tl_inflow_take(struct tl_inflow *inflow, const uint8_t *data, size_t bytes, int64_t at_ms)
{
	enum tl_inflow_fault fault = TL_INFLOW_FINE;

	/* After a fault nothing is left of the part. */
	while (bytes > 0 && inflow->left_bytes > 0) {
		size_t part_bytes = bytes < inflow->left_bytes ? bytes : inflow->left_bytes;

		part_take(inflow, data, part_bytes, at_ms);
		data += part_bytes;
		bytes -= part_bytes;
		if (inflow->left_bytes == 0)
			fault = part_end(inflow, at_ms);
	}
	return fault;
}
