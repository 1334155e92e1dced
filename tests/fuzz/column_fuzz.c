/* One column of int64: what decodes is written again to the same values. */
#include "schema/store/column.h"
#include "tests/fuzz/fuzz.h"

#define ROWS_MAX 600u

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_buf again;
	static int64_t values[ROWS_MAX], values_again[ROWS_MAX];
	struct tl_cursor cur = tl_cursor_of(tl_slice_of(data, bytes));
	uint32_t count = 1 + tl_cursor_be16(&cur) % ROWS_MAX;

	if (cur.err)
		return 0;
	tl_column_decode(&cur, values, count);
	if (cur.err)
		return 0;
	tl_buf_reset(&again);
	tl_column_encode(&again, values, count);
	cur = tl_cursor_of(tl_buf_slice(&again));
	tl_column_decode(&cur, values_again, count);
	assert(!cur.err && tl_cursor_left(&cur) == 0);
	assert(memcmp(values, values_again, count * sizeof(*values)) == 0);
	return 0;
}
