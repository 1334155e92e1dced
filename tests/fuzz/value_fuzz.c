/*
 * The values without lists: a life, an intake row, a mark; the first byte says which. What decodes
 * is written again to no more bytes, and those decode to the same.
 */
#include "schema/store/value.h"
#include "tests/fuzz/fuzz.h"

static void
check_life(struct tl_slice value, struct tl_buf *again)
{
	struct tl_life life, life_again;

	if (tl_life_decode(value, &life))
		return;
	tl_life_encode(&life, again);
	assert(again->bytes <= value.bytes);
	assert(tl_life_decode(tl_buf_slice(again), &life_again) == TL_OK);
	assert(tl_totals_eq(&life.totals, &life_again.totals));
	assert(life.first_ms == life_again.first_ms && life.last_ms == life_again.last_ms);
}

static void
check_intake(struct tl_slice value, struct tl_buf *again)
{
	struct tl_intake_row row, row_again;

	if (tl_intake_row_decode(value, &row))
		return;
	tl_intake_row_encode(&row, again);
	assert(tl_intake_row_decode(tl_buf_slice(again), &row_again) == TL_OK);
	assert(memcmp(&row, &row_again, sizeof(row)) == 0);
}

static void
check_mark(struct tl_slice value, struct tl_buf *again)
{
	struct tl_mark mark, mark_again;

	if (tl_mark_decode(value, &mark))
		return;
	tl_mark_encode(&mark, again);
	assert(value.data[0] < again->data[0] || tl_slice_eq(tl_buf_slice(again), value));
	assert(tl_mark_decode(tl_buf_slice(again), &mark_again) == TL_OK);
	assert(memcmp(&mark, &mark_again, sizeof(mark)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_buf again;
	struct tl_slice value;

	if (bytes == 0)
		return 0;
	value = tl_slice_of(data + 1, bytes - 1);
	tl_buf_reset(&again);
	if (data[0] % 3 == 0)
		check_life(value, &again);
	else if (data[0] % 3 == 1)
		check_intake(value, &again);
	else
		check_mark(value, &again);
	return 0;
}
