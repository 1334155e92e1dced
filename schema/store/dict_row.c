#include "schema/store/dict_row.h"

/* Where in the text the two digits of each byte are. */
static const uint8_t digit_at[TL_UUID_BYTES] = {
	0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};

static const char digits[] = "0123456789abcdef";

/* What c is if it is a digit. Digits and letters come at random: a branch would go wrong often. */
static unsigned int
digit_of(uint8_t c)
{
	return ((c & 15u) + 9u * (c >> 6)) & 15;
}

bool
tl_uuid_pack(struct tl_slice text, uint8_t uuid_out[TL_UUID_BYTES])
{
	const uint8_t *at = text.data;
	unsigned int wrong = 0;

	if (text.bytes != TL_UUID_TEXT_BYTES || at[8] != '-' || at[13] != '-' || at[18] != '-' ||
		at[23] != '-')
		return false;
	for (size_t i = 0; i < TL_UUID_BYTES; i++) {
		uint8_t high = at[digit_at[i]];
		uint8_t low = at[digit_at[i] + 1];

		uuid_out[i] = (uint8_t)(digit_of(high) << 4 | digit_of(low));
		wrong |= (uint8_t)digits[uuid_out[i] >> 4] ^ high;
		wrong |= (uint8_t)digits[uuid_out[i] & 15] ^ low;
	}
	return wrong == 0;
}

void
tl_uuid_text(const uint8_t uuid[TL_UUID_BYTES], char text_out[TL_UUID_TEXT_BYTES + 1])
{
	memset(text_out, '-', TL_UUID_TEXT_BYTES);
	for (size_t i = 0; i < TL_UUID_BYTES; i++) {
		text_out[digit_at[i]] = digits[uuid[i] >> 4];
		text_out[digit_at[i] + 1] = digits[uuid[i] & 15];
	}
	text_out[TL_UUID_TEXT_BYTES] = '\0';
}

void
tl_dict_row_put(struct tl_buf *row, struct tl_slice name)
{
	uint8_t uuid[TL_UUID_BYTES];

	if (tl_uuid_pack(name, uuid)) {
		tl_buf_put_varint(row, 0);
		tl_buf_put(row, uuid, sizeof(uuid));
		return;
	}
	tl_buf_put_varint(row, name.bytes + 1);
	tl_buf_put_slice(row, name);
}

enum tl_err
tl_dict_row_next(struct tl_slice *row, char text[TL_UUID_TEXT_BYTES + 1], struct tl_slice *name_out)
{
	struct tl_cursor cur = tl_cursor_of(*row);
	struct tl_slice bytes;
	uint64_t size;

	if (row->bytes == 0)
		return TL_EEND;
	size = tl_cursor_varint(&cur);
	bytes = tl_cursor_take(&cur, size == 0 ? TL_UUID_BYTES : size - 1);
	if (cur.err)
		return TL_ESTORAGE_CORRUPT;
	*row = tl_slice_of(cur.next, tl_cursor_left(&cur));
	*name_out = bytes;
	if (size == 0) {
		tl_uuid_text(bytes.data, text);
		*name_out = tl_slice_of(text, TL_UUID_TEXT_BYTES);
	}
	return TL_OK;
}
