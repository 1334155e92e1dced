/* A session row: what decodes is written again, and that decodes to the same bytes. */
#include "schema/store/value.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_BYTES_MAX ((size_t)1 << 20)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_arena static_arena;
	static struct tl_buf again;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_slice value = tl_slice_of(data, bytes);
	struct tl_session_row row;
	enum tl_err err = tl_session_row_decode(value, arena, &row);

	if (err) {
		assert(err == TL_ESTORAGE_CORRUPT || err == TL_ENOMEM);
		return 0;
	}
	for (uint32_t i = 1; i < row.bucket_count; i++)
		assert(row.buckets[i - 1] < row.buckets[i]);
	tl_buf_reset(&again);
	tl_session_row_encode(&row, &again);
	assert(again.bytes <= bytes); /* a mask may name a measure that is 0 */
	arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	assert(tl_session_row_decode(tl_buf_slice(&again), arena, &row) == TL_OK);
	if (again.bytes == bytes)
		assert(tl_slice_eq(tl_buf_slice(&again), value));
	return 0;
}
