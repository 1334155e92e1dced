#include "schema/store/packed.h"

#include <assert.h>

/* Where the next bits go. */
struct writer {
	uint8_t *at;
	uint64_t word;	 /* begins at at */
	uint32_t filled; /* bits of it, below 8 */
};

/* bits is at most TL_PACKED_WORD_BITS. */
static inline void
put_bits(struct writer *writer, uint64_t number, uint32_t bits)
{
	uint64_t word = writer->word | number << writer->filled;
	uint64_t bytes = htole64(word);
	uint32_t filled = writer->filled + bits;

	memcpy(writer->at, &bytes, sizeof(bytes));
	writer->at += filled / 8;
	writer->word = word >> (filled & ~7u);
	writer->filled = filled & 7;
}

static void
put_words(uint8_t *at, const uint64_t *numbers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t word = htole64(numbers[i]);

		memcpy(at + (size_t)i * sizeof(word), &word, sizeof(word));
	}
}

/* Each write waits for the one before: of narrow numbers several are joined first. */
void
tl_packed_put(uint8_t *at, const uint64_t *numbers, uint32_t count, uint32_t width)
{
	struct writer writer = {.at = at};
	uint64_t mask = tl_packed_mask(width);
	uint32_t i = 0;

	assert(tl_packed_width(width) == width);
	if (width == TL_PACKED_WIDTH_MAX) {
		put_words(at, numbers, count);
		return;
	}
	for (; width * 4 <= TL_PACKED_WORD_BITS && i + 4 <= count; i += 4) {
		uint64_t low = (numbers[i] & mask) | (numbers[i + 1] & mask) << width;
		uint64_t high = (numbers[i + 2] & mask) | (numbers[i + 3] & mask) << width;

		put_bits(&writer, low | high << 2 * width, 4 * width);
	}
	for (; width * 2 <= TL_PACKED_WORD_BITS && i + 2 <= count; i += 2)
		put_bits(
			&writer, (numbers[i] & mask) | (numbers[i + 1] & mask) << width, 2 * width);
	for (; i < count; i++)
		put_bits(&writer, numbers[i] & mask, width);
}

/* How many numbers from the first on have eight bytes from where they begin. */
static uint32_t
count_whole(size_t bytes, uint32_t width, uint32_t count)
{
	uint64_t whole;

	if (bytes >= tl_packed_bytes(count, width) + 8)
		return count;
	whole = bytes < 8 ? 0 : ((bytes - 8) * 8 + 7) / width + 1;
	return whole < count ? (uint32_t)whole : count;
}

void
tl_packed_take(struct tl_slice packed, uint32_t width, uint64_t *numbers_out, uint32_t count)
{
	uint64_t mask = tl_packed_mask(width);
	uint64_t bit = 0;
	uint32_t whole;

	assert(tl_packed_width(width) == width);
	assert(packed.bytes >= tl_packed_bytes(count, width));
	if (width == 0) {
		memset(numbers_out, 0, count * sizeof(*numbers_out));
		return;
	}
	whole = count_whole(packed.bytes, width, count);
	for (uint32_t i = 0; i < whole; i++, bit += width) {
		uint64_t word;

		memcpy(&word, packed.data + bit / 8, sizeof(word));
		numbers_out[i] = le64toh(word) >> bit % 8 & mask;
	}
	for (uint32_t i = whole; i < count; i++)
		numbers_out[i] = tl_packed_get(packed, width, i);
}
