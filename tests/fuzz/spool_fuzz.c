/*
 * A file of the spool. Bytes as they come are refused or hold what they say; the input as a batch
 * under a right head comes back, and with one byte changed or cut it does not, but for the number
 * of events, which the checksum does not cover.
 */
#include "ingest/client/spool.h"
#include "schema/base/crypt.h"
#include "schema/model/limits.h"
#include "tests/fuzz/fuzz.h"

#define HEAD_BYTES 20u
#define COUNT_AT 8u

static bool
is_count_byte(size_t at)
{
	return at >= COUNT_AT && at < COUNT_AT + 4;
}

static void
check_put(struct tl_slice batch, uint32_t event_count, size_t damage)
{
	static struct tl_buf content;
	struct tl_slice back;
	uint32_t count = 0;
	bool is_right = event_count >= 1 && event_count <= TL_BATCH_EVENTS_MAX;

	tl_buf_reset(&content);
	tl_buf_put(&content, "TSP1", 4);
	tl_buf_put_be32(&content, (uint32_t)batch.bytes);
	tl_buf_put_be32(&content, event_count);
	tl_buf_put_be64(&content, tl_checksum64(batch));
	tl_buf_put_slice(&content, batch);
	assert(spool_content_parse(tl_buf_slice(&content), &back, &count) == is_right);
	if (!is_right)
		return;
	assert(count == event_count && tl_slice_eq(back, batch));
	assert(!spool_content_parse(tl_slice_of(content.data, content.bytes - 1), &back, &count));
	damage %= content.bytes;
	content.data[damage] ^= (uint8_t)(1u << damage % 8);
	if (!is_count_byte(damage))
		assert(!spool_content_parse(tl_buf_slice(&content), &back, &count));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice content = tl_slice_of(data, bytes);
	struct tl_cursor cur = tl_cursor_of(content);
	struct tl_slice batch;
	uint32_t event_count;
	uint16_t damage;

	if (spool_content_parse(content, &batch, &event_count))
		assert(batch.data == data + HEAD_BYTES && batch.bytes + HEAD_BYTES == bytes);
	damage = tl_cursor_be16(&cur);
	event_count = tl_cursor_be16(&cur);
	check_put(fuzz_rest(&cur), event_count, damage);
	return 0;
}
