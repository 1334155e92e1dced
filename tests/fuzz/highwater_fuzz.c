/*
 * A slot of the high-water file: the input fills its fields, the checksum is put behind them. A
 * mark that decodes is written again as the same mark; no slot with one bit other is a mark.
 */
#include "schema/base/crypt.h"
#include "schema/store/highwater.h"
#include "tests/fuzz/fuzz.h"

#define CHECKED_BYTES (TL_HIGHWATER_SLOT_BYTES - 8)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t slot[TL_HIGHWATER_SLOT_BYTES] = {0};
	uint8_t again[TL_HIGHWATER_SLOT_BYTES];
	struct tl_highwater_mark mark, mark_again;
	size_t damage = bytes > 0 ? data[bytes - 1] * 2u + (bytes & 1) : 0;
	enum tl_err err;

	if (bytes > 0)
		memcpy(slot, data, bytes < CHECKED_BYTES ? bytes : CHECKED_BYTES);
	tl_put_be64(slot + CHECKED_BYTES, tl_checksum64(tl_slice_of(slot, CHECKED_BYTES)));
	err = tl_highwater_decode(slot, &mark);
	if (err) {
		assert(err == TL_EFORMAT_TOO_NEW || err == TL_ESTORAGE_CORRUPT);
		return 0;
	}
	tl_highwater_encode(&mark, again);
	assert(tl_highwater_decode(again, &mark_again) == TL_OK);
	assert(memcmp(&mark, &mark_again, sizeof(mark)) == 0);
	slot[damage / 8] ^= (uint8_t)(1u << damage % 8);
	assert(tl_highwater_decode(slot, &mark_again) == TL_ESTORAGE_CORRUPT);
	return 0;
}
