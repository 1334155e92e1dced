/*
 * The names of a dictionary row, one behind the other in the order of their ids. A UUID in its
 * usual spelling, as sessions have, is stored as its 16 bytes here and in keys.
 */
#ifndef TL_STORE_DICT_ROW_H
#define TL_STORE_DICT_ROW_H

#include "schema/base/bytes.h"

#define TL_UUID_BYTES 16u
#define TL_UUID_TEXT_BYTES 36u

/* True for 8-4-4-4-12 lower-case hex digits, no other spelling: the text follows from the bytes. */
TL_MUST bool tl_uuid_pack(struct tl_slice text, uint8_t uuid_out[TL_UUID_BYTES]);
void tl_uuid_text(const uint8_t uuid[TL_UUID_BYTES], char text_out[TL_UUID_TEXT_BYTES + 1]);

void tl_dict_row_put(struct tl_buf *row, struct tl_slice name);

/*
 * Take the first name off the row; it lies in the row or in text. TL_EEND behind the last one,
 * TL_ESTORAGE_CORRUPT for what is no name.
 */
TL_MUST enum tl_err tl_dict_row_next(
	struct tl_slice *row, char text[TL_UUID_TEXT_BYTES + 1], struct tl_slice *name_out);

#endif
