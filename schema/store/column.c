/*
 *   tag u8:  width (0 to 56, 57 for 64) | 0x40 steps | 0x80 a layer follows
 *   steps:   the first value, zigzag
 *   least:   zigzag; of steps a varint, the least zigzagged step
 *   numbers: rows (steps: one less) x width bits, what is above the least
 *   layer:   tag u8 without steps | rows varint | width of gaps u8 | gaps | the rows' further bits
 *
 * Each layer gives some rows the bits above those they have. How many layers, and how wide, is
 * decided by counting how many numbers need how many bits.
 */
#include "schema/store/column.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/store/packed.h"

#define TAG_WIDTH 0x3fu
#define TAG_STEPS 0x40u
#define TAG_MORE 0x80u
#define WIDTH_64 57u
#define HEAD_BYTES_MAX 21u
#define LAYER_HEAD_BYTES_MAX 7u

#define FEW_ROWS 64u	      /* their numbers fit on the stack */
#define LAYER_ROWS_MIN 24u    /* fewer save nothing by a layer */
#define LAYER_BITS 40u	      /* its head */
#define LAYER_ROW_BITS 4u     /* what the time for a row in a layer is worth */
#define COUNTED_ROWS_MAX 512u /* so many numbers say what all need */
#define SAMPLE_ROWS 64u
#define SCATTER 0x9e3779b1u /* a sample of rows at even distances would miss what is periodic */
#define BITS_MAX 64u

/*
 * For the loops that look at every value: four at a time where the processor can. A sanitizer's
 * runtime is not up yet when the choice is made.
 */
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
	!defined(__SANITIZE_THREAD__)
#define FOUR_AT_A_TIME __attribute__((optimize("O3"), target_clones("avx2", "default")))
#else
#define FOUR_AT_A_TIME
#endif

/* A column on its way. */
struct column {
	uint64_t *numbers;
	uint64_t *gaps;
	uint32_t *rows; /* of a layer's numbers */
	uint32_t count; /* of numbers */
	uint32_t bits;	/* of the greatest number */
	uint64_t least; /* as it is written */
	bool steps;
};

static inline uint64_t
step_of(int64_t value, int64_t before)
{
	return tl_zigzag((int64_t)((uint64_t)value - (uint64_t)before));
}

static inline uint64_t
offset_of(int64_t value, int64_t least)
{
	return (uint64_t)value - (uint64_t)least;
}

FOUR_AT_A_TIME static void
find_range(const int64_t *values, uint32_t count, int64_t *least_out, int64_t *most_out)
{
	int64_t least = values[0];
	int64_t most = values[0];

	for (uint32_t i = 1; i < count; i++) {
		least = values[i] < least ? values[i] : least;
		most = values[i] > most ? values[i] : most;
	}
	*least_out = least;
	*most_out = most;
}

/*
 * Whether steps take fewer bits than offsets, by half a bit a row. Of many rows a sample is looked
 * at, and numbers without a pattern must not be taken for steps.
 */
static bool
steps_promise(const int64_t *values, uint32_t count, int64_t least)
{
	uint32_t apart = count / SAMPLE_ROWS > 0 ? count / SAMPLE_ROWS : 1;
	uint64_t as_steps = 0;
	uint64_t as_offsets = 0;

	if (count < LAYER_ROWS_MIN) { /* all get the bits of the greatest */
		for (uint32_t i = 1; i < count; i++) {
			as_steps |= step_of(values[i], values[i - 1]);
			as_offsets |= offset_of(values[i], least);
		}
		as_offsets |= offset_of(values[0], least);
		return (count - 1) * tl_packed_bits(as_steps) + 24 <
		       count * tl_packed_bits(as_offsets);
	}
	for (uint32_t i = 1; i < count; i += apart) {
		as_steps += 2 * tl_packed_bits(step_of(values[i], values[i - 1])) + 1;
		as_offsets += 2 * tl_packed_bits(offset_of(values[i], least));
	}
	return as_steps < as_offsets;
}

FOUR_AT_A_TIME static void
make_offsets(const int64_t *values, uint32_t count, int64_t least, uint64_t *numbers)
{
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = offset_of(values[i], least);
}

static void
make_steps(struct column *column, const int64_t *values)
{
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;

	for (uint32_t i = 0; i < column->count; i++) {
		uint64_t step = step_of(values[i + 1], values[i]);

		column->numbers[i] = step;
		least = step < least ? step : least;
		most = step > most ? step : most;
	}
	for (uint32_t i = 0; i < column->count; i++)
		column->numbers[i] -= least;
	column->least = least;
	column->bits = tl_packed_bits(most - least);
}

/* over[w]: about how many numbers need more than w bits; at least one below the column's bits. */
static void
count_over(const struct column *column, uint32_t *over)
{
	uint32_t apart = 1;
	uint32_t having[BITS_MAX + 1] = {0};
	uint32_t more = 0;

	while (column->count / apart > COUNTED_ROWS_MAX)
		apart *= 2;
	for (uint32_t i = 0; i + apart <= column->count; i += apart)
		having[tl_packed_bits(column->numbers[i + ((i * SCATTER >> 16) & (apart - 1))])] +=
			apart;
	for (uint32_t w = column->bits; w-- > 0;) {
		more += having[w + 1];
		over[w] = more > 0 ? more : 1;
	}
}

/* What a row of a layer takes beside its bits: the longest of many gaps is some times the mean. */
static uint32_t
gap_bits(uint32_t count, uint32_t rows)
{
	return tl_packed_bits(count / rows) + 2 + LAYER_ROW_BITS;
}

/*
 * The end of the base and of each layer, in bits from the bottom; returns how many there are.
 * cost[s] is the fewest bits in which layers give their rows what they have from bit s on, end[s]
 * where the first of those ends.
 */
static uint32_t
plan_layers(const struct column *column, uint32_t *ends)
{
	uint32_t over[BITS_MAX + 1];
	uint64_t cost[BITS_MAX + 1];
	uint32_t end[BITS_MAX + 1];
	uint32_t top = column->bits;
	uint64_t least = (uint64_t)column->count * top;
	uint32_t base = top;
	uint32_t layers = 0;

	count_over(column, over);
	over[top] = 0;
	cost[top] = 0;
	for (uint32_t s = top; s-- > 0;) {
		cost[s] = UINT64_MAX;
		for (uint32_t w = top; w > s && over[w] <= over[s] / 2; w--) {
			uint64_t bits = (uint64_t)over[s] * (w - s) + cost[w];

			if (bits < cost[s] && (w == top || w - s <= TL_PACKED_WORD_BITS)) {
				cost[s] = bits;
				end[s] = w;
			}
		}
		cost[s] += LAYER_BITS + (uint64_t)over[s] * gap_bits(column->count, over[s]);
		if (s <= TL_PACKED_WORD_BITS && (uint64_t)column->count * s + cost[s] < least) {
			least = (uint64_t)column->count * s + cost[s];
			base = s;
		}
	}
	for (ends[layers++] = base; base < top; ends[layers++] = base)
		base = end[base];
	return layers;
}

static uint8_t
width_code(uint32_t width)
{
	return (uint8_t)(width == TL_PACKED_WIDTH_MAX ? WIDTH_64 : width);
}

/* One byte mostly. */
static inline size_t
put_varint(uint8_t *at, uint64_t value)
{
	if (value >= 0x80)
		return tl_varint_put(at, value);
	*at = (uint8_t)value;
	return 1;
}

static void
put_base(struct tl_buf *buf, const struct column *column, int64_t first, uint32_t width)
{
	size_t bytes = tl_packed_bytes(column->count, width);
	uint8_t *start = tl_buf_reserve(buf, HEAD_BYTES_MAX + bytes + TL_PACKED_SLACK_BYTES);
	uint8_t *at = start;

	if (start == NULL)
		return;
	*at++ = width_code(width) | (column->steps ? TAG_STEPS : 0);
	if (column->steps)
		at += put_varint(at, tl_zigzag(first));
	at += put_varint(at, column->least);
	tl_packed_put(at, column->numbers, column->count, width);
	tl_buf_advance(buf, (size_t)(at - start) + bytes);
}

/* Keep of the numbers only those with more than width bits, and of these the bits above. */
static uint32_t
keep_over(struct column *column, uint32_t width)
{
	uint64_t *numbers = column->numbers;
	uint32_t *rows = column->rows;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < column->count; i++) {
		uint64_t above = numbers[i] >> width;

		rows[kept] = i;
		numbers[kept] = above;
		kept += above != 0;
	}
	return kept;
}

/* The same of a layer's. */
static uint32_t
keep_further(struct column *column, uint32_t count, uint32_t width)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t above = column->numbers[i] >> width;

		column->rows[kept] = column->rows[i];
		column->numbers[kept] = above;
		kept += above != 0;
	}
	return kept;
}

static void
put_layer(struct tl_buf *buf, const struct column *column, uint32_t count, uint32_t width)
{
	size_t bytes = tl_packed_bytes(count, width);
	uint32_t gap_width;
	size_t gap_bytes;
	uint64_t all = 0;
	uint8_t *start;
	uint8_t *at;

	for (uint32_t i = 0; i < count; i++) {
		column->gaps[i] = column->rows[i] - (i > 0 ? column->rows[i - 1] + 1 : 0);
		all |= column->gaps[i];
	}
	gap_width = tl_packed_bits(all);
	gap_bytes = tl_packed_bytes(count, gap_width);
	start = tl_buf_reserve(
		buf, LAYER_HEAD_BYTES_MAX + gap_bytes + bytes + TL_PACKED_SLACK_BYTES);
	if (start == NULL)
		return;
	at = start;
	*at++ = width_code(width);
	at += put_varint(at, count);
	*at++ = (uint8_t)gap_width;
	tl_packed_put(at, column->gaps, count, gap_width);
	tl_packed_put(at + gap_bytes, column->numbers, count, width);
	tl_buf_advance(buf, (size_t)(at - start) + gap_bytes + bytes);
}

static void
put_column(struct tl_buf *buf, struct column *column, int64_t first)
{
	uint32_t ends[BITS_MAX + 1];
	uint32_t layers = 1;
	uint32_t count = 0;
	size_t tag_at = buf->bytes;

	ends[0] = column->bits;
	if (column->bits > 0 && column->count >= LAYER_ROWS_MIN)
		layers = plan_layers(column, ends);
	put_base(buf, column, first, tl_packed_width(ends[0]));
	for (uint32_t i = 1; i < layers && !buf->err; i++) {
		count = i == 1 ? keep_over(column, ends[0])
			       : keep_further(column, count, ends[i - 1] - ends[i - 2]);
		buf->data[tag_at] |= TAG_MORE;
		tag_at = buf->bytes;
		put_layer(buf, column, count, tl_packed_width(ends[i] - ends[i - 1]));
	}
}

static void
encode_with(struct tl_buf *buf, const int64_t *values, uint32_t count, struct column *column)
{
	int64_t least, most;

	find_range(values, count, &least, &most);
	column->count = count;
	column->least = tl_zigzag(least);
	column->bits = tl_packed_bits(offset_of(most, least));
	column->steps = column->bits > 1 && steps_promise(values, count, least);
	if (column->steps) {
		column->count--;
		make_steps(column, values);
	} else if (column->bits > 0) {
		make_offsets(values, count, least, column->numbers);
	}
	put_column(buf, column, values[0]);
}

void
tl_column_encode(struct tl_buf *buf, const int64_t *values, uint32_t count)
{
	uint64_t numbers[FEW_ROWS], gaps[FEW_ROWS];
	uint32_t rows[FEW_ROWS];
	struct column column = {.numbers = numbers, .gaps = gaps, .rows = rows};
	void *memory = NULL;

	assert(count >= 1);
	if (buf->err)
		return;
	if (count > FEW_ROWS) {
		memory = malloc(count * (2 * sizeof(uint64_t) + sizeof(uint32_t)));
		if (memory == NULL) {
			buf->err = TL_ENOMEM;
			return;
		}
		column.numbers = memory;
		column.gaps = column.numbers + count;
		column.rows = (uint32_t *)(column.gaps + count);
	}
	encode_with(buf, values, count, &column);
	free(memory);
}

static void
corrupt(struct tl_cursor *cur)
{
	cur->err = TL_ESTORAGE_CORRUPT;
	cur->next = cur->end;
}

/* A width by its code; damage sticks. */
static uint32_t
width_of(struct tl_cursor *cur, uint32_t code)
{
	if (code > WIDTH_64)
		corrupt(cur);
	return code == WIDTH_64 ? TL_PACKED_WIDTH_MAX : code;
}

/* count numbers of width bits, where they lie, with all that is behind them. */
static struct tl_slice
take_packed(struct tl_cursor *cur, uint32_t count, uint32_t width)
{
	struct tl_slice packed = tl_slice_of(cur->next, tl_cursor_left(cur));

	(void)tl_cursor_take(cur, cur->err ? 0 : tl_packed_bytes(count, width));
	return packed;
}

/* A layer as it lies in its bytes. */
struct layer {
	uint32_t tag;
	uint32_t rows;
	uint32_t width, gap_width;
	struct tl_slice gaps, bits;
};

/* Numbers are of count rows and have shift bits so far. */
static struct layer
take_layer(struct tl_cursor *cur, uint32_t count, uint32_t shift)
{
	struct layer layer = {.tag = tl_cursor_u8(cur)};
	uint64_t rows = tl_cursor_varint(cur);

	layer.width = width_of(cur, layer.tag & ~TAG_MORE);
	layer.gap_width = width_of(cur, tl_cursor_u8(cur));
	if (cur->err || layer.width == 0 || rows == 0 || rows > count || shift >= BITS_MAX) {
		corrupt(cur);
		return (struct layer){.tag = 0};
	}
	layer.rows = (uint32_t)rows;
	layer.gaps = take_packed(cur, layer.rows, layer.gap_width);
	layer.bits = take_packed(cur, layer.rows, layer.width);
	return layer;
}

static void
add_layer(struct tl_cursor *cur, const struct layer *layer, uint64_t *numbers, uint32_t count,
	uint32_t shift)
{
	uint64_t row = 0;

	for (uint32_t i = 0; i < layer->rows && !cur->err; i++, row++) {
		uint64_t gap = tl_packed_get(layer->gaps, layer->gap_width, i);

		if (gap >= count - row) {
			corrupt(cur);
			return;
		}
		row += gap;
		numbers[row] |= tl_packed_get(layer->bits, layer->width, i) << shift;
	}
}

/* The numbers of a column whose tag was read. */
static void
take_numbers(struct tl_cursor *cur, uint32_t tag, uint64_t *numbers, uint32_t count)
{
	uint32_t width = width_of(cur, tag & TAG_WIDTH);
	struct tl_slice packed = take_packed(cur, count, width);
	uint32_t shift = width;

	if (cur->err)
		return;
	tl_packed_take(packed, width, numbers, count);
	while ((tag & TAG_MORE) != 0 && !cur->err) {
		struct layer layer = take_layer(cur, count, shift);

		add_layer(cur, &layer, numbers, count, shift);
		shift += layer.width;
		tag = layer.tag;
	}
}

void
tl_column_decode(struct tl_cursor *cur, int64_t *values_out, uint32_t count)
{
	uint32_t tag = tl_cursor_u8(cur);
	uint64_t *numbers = (uint64_t *)values_out;
	uint64_t value;
	uint64_t least;

	assert(count >= 1);
	if ((tag & TAG_STEPS) == 0) {
		least = (uint64_t)tl_cursor_zigzag(cur);
		take_numbers(cur, tag, numbers, count);
		for (uint32_t i = 0; i < count && !cur->err; i++)
			numbers[i] += least;
		return;
	}
	value = (uint64_t)tl_cursor_zigzag(cur);
	least = tl_cursor_varint(cur);
	numbers[0] = value;
	take_numbers(cur, tag, numbers + 1, count - 1);
	for (uint32_t i = 1; i < count && !cur->err; i++) {
		value += (uint64_t)tl_unzigzag(numbers[i] + least);
		numbers[i] = value;
	}
}

/* The numbers at row_idx, which a layer may have. */
static void
pick_layer(struct tl_cursor *cur, const struct layer *layer, const uint32_t *row_idx,
	uint32_t row_count, uint64_t *numbers, uint32_t shift)
{
	uint64_t row = 0;
	uint32_t at = 0;

	for (uint32_t i = 0; i < layer->rows && at < row_count && !cur->err; i++, row++) {
		row += tl_packed_get(layer->gaps, layer->gap_width, i);
		while (at < row_count && row_idx[at] < row)
			at++;
		if (at < row_count && row_idx[at] == row)
			numbers[at] |= tl_packed_get(layer->bits, layer->width, i) << shift;
	}
}

bool
tl_column_pick(struct tl_cursor *cur, uint32_t count, const uint32_t *row_idx, uint32_t row_count,
	int64_t *values_out)
{
	uint32_t tag = tl_cursor_left(cur) > 0 ? *cur->next : 0;
	uint64_t *numbers = (uint64_t *)values_out;
	uint32_t width, shift;
	uint64_t least;
	struct tl_slice packed;

	if ((tag & TAG_STEPS) != 0)
		return false;
	tag = tl_cursor_u8(cur);
	least = (uint64_t)tl_cursor_zigzag(cur);
	width = shift = width_of(cur, tag & TAG_WIDTH);
	packed = take_packed(cur, count, width);
	for (uint32_t i = 0; i < row_count && !cur->err; i++)
		numbers[i] = tl_packed_get(packed, width, row_idx[i]);
	while ((tag & TAG_MORE) != 0 && !cur->err) {
		struct layer layer = take_layer(cur, count, shift);

		pick_layer(cur, &layer, row_idx, row_count, numbers, shift);
		shift += layer.width;
		tag = layer.tag;
	}
	for (uint32_t i = 0; i < row_count && !cur->err; i++)
		numbers[i] += least;
	return true;
}
