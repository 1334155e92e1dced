/*
 * Keys: what a parser takes, the maker makes again, byte for byte; numbers from the input made into
 * keys parse to the same numbers and sort as they do; any bytes print as text.
 */
#include "schema/store/dict_row.h"
#include "schema/store/key.h"
#include "tests/fuzz/fuzz.h"

static void
check_made(const struct tl_key *key, struct tl_slice bytes)
{
	assert(tl_slice_eq(tl_key_slice(key), bytes));
}

static void
check_parsed(struct tl_slice bytes)
{
	uint32_t org, second, third;
	uint64_t group_no;
	uint16_t block_no;
	int64_t time_ms;
	enum tl_dim dim;
	uint8_t kind;
	struct tl_page_place place;
	struct tl_key key;

	if (tl_key_journal_parse(bytes, &group_no)) {
		key = tl_key_journal(group_no);
		check_made(&key, bytes);
	}
	if (tl_key_block_parse(bytes, &group_no, &block_no)) {
		key = tl_key_block(group_no, block_no);
		check_made(&key, bytes);
	}
	if (tl_key_run_parse(bytes, &group_no)) {
		key = tl_key_run(group_no);
		check_made(&key, bytes);
	}
	if (tl_key_chunk_parse(bytes, &group_no, &block_no)) {
		key = tl_key_chunk(group_no, block_no);
		check_made(&key, bytes);
	}
	for (enum tl_span span = TL_SPAN_1H; span <= TL_SPAN_1D; span++) {
		if (!tl_key_page_parse(bytes, span, &place))
			continue;
		key = tl_key_page(&place);
		check_made(&key, bytes);
	}
	if (tl_key_session_parse(bytes, &org, &second)) {
		key = tl_key_session(org, second);
		check_made(&key, bytes);
	}
	if (tl_key_life_parse(bytes, &org, &dim, &second)) {
		key = tl_key_life(org, dim, second);
		check_made(&key, bytes);
	}
	if (tl_key_intake_parse(bytes, &org, &time_ms, &second)) {
		key = tl_key_intake(org, time_ms, second);
		check_made(&key, bytes);
	}
	if (tl_key_registry_parse(bytes, &org, &kind, &third)) {
		key = tl_key_registry(org, kind, third);
		check_made(&key, bytes);
	}
}

static int
sign(int order)
{
	return (order > 0) - (order < 0);
}

static int
key_order(const struct tl_key *a, const struct tl_key *b)
{
	size_t bytes = a->bytes < b->bytes ? a->bytes : b->bytes;
	int order = memcmp(a->data, b->data, bytes);

	return order != 0 ? sign(order) : (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* Two cells of one org sort as their times do, also before 1970. */
static void
check_order(struct tl_cursor cur)
{
	uint32_t org = tl_cursor_be32(&cur);
	int64_t number[2];
	struct tl_key key[2];

	for (int i = 0; i < 2; i++) {
		struct tl_page_place place;

		number[i] = (int64_t)tl_cursor_be64(&cur) >> 11; /* within 2^53 */
		number[i] = tl_bucket_floor(TL_SPAN_1H, number[i]);
		key[i] = tl_key_page(&(struct tl_page_place){org, TL_SPAN_1H, number[i], org});
		assert(tl_key_page_parse(tl_key_slice(&key[i]), TL_SPAN_1H, &place));
		assert(place.org == org && place.bucket_ms == number[i] && place.part == org);
	}
	assert(key_order(&key[0], &key[1]) == (number[0] > number[1]) - (number[0] < number[1]));
}

/* The names of a dictionary row are those of the row that is made of them. */
static void
check_names(struct tl_slice row)
{
	static struct tl_buf again;
	char text[TL_UUID_TEXT_BYTES + 1], text_again[TL_UUID_TEXT_BYTES + 1];
	struct tl_slice left = row;
	struct tl_slice name, name_again, left_again;

	tl_buf_reset(&again);
	while (tl_dict_row_next(&left, text, &name) == TL_OK)
		tl_dict_row_put(&again, name);
	assert(!again.err);
	left_again = tl_buf_slice(&again);
	for (left = row; tl_dict_row_next(&left, text, &name) == TL_OK;) {
		assert(tl_dict_row_next(&left_again, text_again, &name_again) == TL_OK);
		assert(tl_slice_eq(name, name_again));
	}
	assert(tl_dict_row_next(&left_again, text_again, &name_again) == TL_EEND);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_buf text;
	struct tl_slice input = tl_slice_of(data, bytes);
	struct tl_key name;

	check_parsed(input);
	check_order(tl_cursor_of(input));
	if (bytes > 0) {
		tl_buf_reset(&text);
		tl_key_print((enum tl_family)(data[bytes - 1] % TL_FAMILY_COUNT), input, &text);
		assert(!text.err && tl_utf8_valid(tl_buf_slice(&text)));
	}
	name = tl_key_dict_name(7, TL_NAME_SESSION, input);
	assert(name.bytes <= TL_KEY_BYTES_MAX);
	check_names(input);
	return 0;
}
