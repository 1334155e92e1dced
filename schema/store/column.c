/*
 * Encoding looks at the values twice: once for the figures that decide the form (least, greatest,
 * bytes in each form), once to write. The exact size is known before the first byte is written, so
 * a buffer never holds room it does not use.
 *
 * The loops over rows are what ingest spends its time in. Token counts take one to three bytes in
 * no order, and a branch per byte would be mispredicted half of the time: so varints are spread
 * and gathered eight bytes at a time, without branches.
 */
#include "schema/store/column.h"

#include <assert.h>
#include <endian.h>

#define VARINT_BYTES_MAX 10
#define ENTRIES_MAX 256u
#define SLOTS 1024u /* a power of two, four times the entries: short probes */
#define SLOTS_SHIFT 54
#define SCAN_ROWS_MAX 32u /* so few are compared one by one: clearing slots would cost more */
#define SAMPLE_ROWS 64u

enum form {
	FORM_CONST,
	FORM_OFFSET,
	FORM_DELTA,
	FORM_DICTIONARY,
};

struct plan {
	enum form form;
	size_t bytes; /* of the whole column */
	int64_t min;
	uint64_t range; /* greatest - least */
};

/* The distinct values of a column in order of first use. */
struct distinct {
	uint32_t count;
	int64_t entries[ENTRIES_MAX];
	uint16_t slots[SLOTS]; /* entry + 1, 0 free; not used for few rows */
};

static inline size_t
varint_bytes(uint64_t value)
{
	uint32_t bits = 64 - (uint32_t)__builtin_clzll(value | 1);

	return (bits * 9 + 64) >> 6; /* bits / 7 rounded up, for 1 to 64 */
}

static inline uint64_t
step_of(int64_t value, int64_t before)
{
	return tl_zigzag((int64_t)((uint64_t)value - (uint64_t)before));
}

static inline uint64_t
offset_of(int64_t value, int64_t min)
{
	return (uint64_t)value - (uint64_t)min;
}

static void
find_range(const int64_t *values, uint32_t count, struct plan *plan)
{
	int64_t min = values[0];
	int64_t max = values[0];

	for (uint32_t i = 1; i < count; i++) {
		min = values[i] < min ? values[i] : min;
		max = values[i] > max ? values[i] : max;
	}
	plan->min = min;
	plan->range = offset_of(max, min);
}

/* Bytes of the rows as offsets: a comparison per length that occurs, no bit scan. */
static size_t
offset_bytes(const int64_t *values, uint32_t count, const struct plan *plan)
{
	size_t bytes = count;

	if (plan->range < 1u << 14) {
		for (uint32_t i = 0; i < count; i++)
			bytes += offset_of(values[i], plan->min) >= 1u << 7;
		return bytes;
	}
	if (plan->range < 1u << 28) {
		for (uint32_t i = 0; i < count; i++) {
			uint32_t offset = (uint32_t)offset_of(values[i], plan->min);

			bytes += (size_t)(offset >= 1u << 7) + (offset >= 1u << 14) +
				 (offset >= 1u << 21);
		}
		return bytes;
	}
	bytes = 0;
	for (uint32_t i = 0; i < count; i++)
		bytes += varint_bytes(offset_of(values[i], plan->min));
	return bytes;
}

static size_t
delta_bytes(const int64_t *values, uint32_t count)
{
	size_t bytes = 0;

	for (uint32_t i = 1; i < count; i++)
		bytes += varint_bytes(step_of(values[i], values[i - 1]));
	return bytes;
}

/* Steps are worth counting when a sample of them is shorter than the same rows' offsets. */
static bool
steps_promise(const int64_t *values, uint32_t count, int64_t min)
{
	uint32_t apart = count / SAMPLE_ROWS > 0 ? count / SAMPLE_ROWS : 1;
	size_t as_steps = 0;
	size_t as_offsets = 0;

	for (uint32_t i = 1; i < count; i += apart) {
		as_steps += varint_bytes(step_of(values[i], values[i - 1]));
		as_offsets += varint_bytes(offset_of(values[i], min));
	}
	return as_steps < as_offsets;
}

/* The slot that holds the value, or the free one where it belongs. */
static inline uint16_t *
find_slot(struct distinct *distinct, int64_t value)
{
	uint32_t at = (uint32_t)((uint64_t)value * UINT64_C(0x9e3779b97f4a7c15) >> SLOTS_SHIFT);

	while (distinct->slots[at] != 0 && distinct->entries[distinct->slots[at] - 1] != value)
		at = (at + 1) & (SLOTS - 1);
	return &distinct->slots[at];
}

/* The entry that holds the value, or their number. */
static inline uint32_t
scan_entries(const struct distinct *distinct, int64_t value)
{
	uint32_t i = 0;

	while (i < distinct->count && distinct->entries[i] != value)
		i++;
	return i;
}

/* False when there are more distinct values than a dictionary takes. */
static bool
find_distinct(const int64_t *values, uint32_t count, struct distinct *distinct)
{
	distinct->count = 0;
	for (uint32_t i = 0; count <= SCAN_ROWS_MAX && i < count; i++) {
		if (scan_entries(distinct, values[i]) == distinct->count)
			distinct->entries[distinct->count++] = values[i];
	}
	if (count <= SCAN_ROWS_MAX)
		return true;
	memset(distinct->slots, 0, sizeof(distinct->slots));
	for (uint32_t i = 0; i < count; i++) {
		uint16_t *slot = find_slot(distinct, values[i]);

		if (*slot != 0)
			continue;
		if (distinct->count == ENTRIES_MAX)
			return false;
		distinct->entries[distinct->count++] = values[i];
		*slot = (uint16_t)distinct->count;
	}
	return true;
}

static size_t
dictionary_bytes(const struct distinct *distinct, uint32_t count)
{
	size_t bytes = 1 + varint_bytes(distinct->count) + count;

	for (uint32_t i = 0; i < distinct->count; i++)
		bytes += varint_bytes(tl_zigzag(distinct->entries[i]));
	return bytes;
}

/*
 * Steps must save an eighth of a byte a row before they are preferred to offsets: the same numbers
 * again and again are what the compression of the family lives on, and steps hide them.
 */
static void
plan_column(const int64_t *values, uint32_t count, struct plan *plan, struct distinct *distinct)
{
	size_t bytes;

	find_range(values, count, plan);
	if (plan->range == 0) {
		plan->form = FORM_CONST;
		plan->bytes = 1 + varint_bytes(tl_zigzag(plan->min));
		return;
	}
	plan->form = FORM_OFFSET;
	plan->bytes = 1 + varint_bytes(tl_zigzag(plan->min));
	if (plan->range < 1u << 7) { /* one byte a row, which no other form is below */
		plan->bytes += count;
		return;
	}
	plan->bytes += offset_bytes(values, count, plan);

	if (steps_promise(values, count, plan->min)) {
		bytes = 1 + varint_bytes(tl_zigzag(values[0])) + delta_bytes(values, count);
		if (bytes + count / 8 < plan->bytes) {
			plan->form = FORM_DELTA;
			plan->bytes = bytes;
		}
	}
	if (plan->bytes <= count + count / 4 || !find_distinct(values, count, distinct))
		return;
	bytes = dictionary_bytes(distinct, count);
	if (bytes < plan->bytes) {
		plan->form = FORM_DICTIONARY;
		plan->bytes = bytes;
	}
}

/* Seven bits of value in each byte, for a value below 2^56. */
static inline uint64_t
spread(uint64_t value)
{
	value = (value & 0x000000000fffffff) | (value & 0x00fffffff0000000) << 4;
	value = (value & 0x00003fff00003fff) | (value & 0x0fffc0000fffc000) << 2;
	return (value & 0x007f007f007f007f) | (value & 0x3f803f803f803f80) << 1;
}

/* Back, once the marks that a byte follows are gone. */
static inline uint64_t
gather(uint64_t bytes)
{
	bytes = (bytes & 0x007f007f007f007f) | (bytes & 0x7f007f007f007f00) >> 1;
	bytes = (bytes & 0x00003fff00003fff) | (bytes & 0x3fff00003fff0000) >> 2;
	return (bytes & 0x000000000fffffff) | (bytes & 0x0fffffff00000000) >> 4;
}

/* Writes eight bytes whatever the value needs; returns how many of them count. */
static inline size_t
put_wide(uint8_t *at, uint64_t value)
{
	size_t bytes = varint_bytes(value);
	uint64_t word;

	if (__builtin_expect(bytes > 8, 0))
		return tl_varint_put(at, value);
	word = htole64(spread(value) |
		       (UINT64_C(0x8080808080808080) & ((UINT64_C(1) << (8 * (bytes - 1))) - 1)));
	memcpy(at, &word, sizeof(word));
	return bytes;
}

/* The same for a value below 2^28 in four bytes. */
static inline size_t
put_short(uint8_t *at, uint32_t value)
{
	uint32_t two = value >= 1u << 7;
	uint32_t three = value >= 1u << 14;
	uint32_t four = value >= 1u << 21;
	uint32_t word = htole32((value & 0x7f) | (value & 0x3f80) << 1 | (value & 0x1fc000) << 2 |
				(value & 0xfe00000) << 3 | two << 7 | three << 15 | four << 23);

	memcpy(at, &word, sizeof(word));
	return 1 + two + three + four;
}

/* Every later row takes at least a byte: eight rows before the end a wide write still fits. */
static uint8_t *
put_offsets(uint8_t *at, const int64_t *values, uint32_t count, const struct plan *plan)
{
	uint32_t i = 0;

	if (plan->range < 1u << 7) {
		for (; i < count; i++)
			*at++ = (uint8_t)offset_of(values[i], plan->min);
		return at;
	}
	if (plan->range < 1u << 14) {
		for (; i + 1 < count; i++) {
			uint64_t offset = offset_of(values[i], plan->min);
			bool two = offset >= 1u << 7;

			at[0] = (uint8_t)(offset | (uint64_t)two << 7);
			at[1] = (uint8_t)(offset >> 7);
			at += 1 + two;
		}
	}
	if (plan->range < 1u << 28) {
		for (; i + 4 <= count; i++)
			at += put_short(at, (uint32_t)offset_of(values[i], plan->min));
	}
	for (; i + 8 <= count; i++)
		at += put_wide(at, offset_of(values[i], plan->min));
	for (; i < count; i++)
		at += tl_varint_put(at, offset_of(values[i], plan->min));
	return at;
}

static uint8_t *
put_deltas(uint8_t *at, const int64_t *values, uint32_t count)
{
	uint32_t i = 1;

	for (; i + 8 <= count; i++)
		at += put_wide(at, step_of(values[i], values[i - 1]));
	for (; i < count; i++)
		at += tl_varint_put(at, step_of(values[i], values[i - 1]));
	return at;
}

static uint8_t *
put_dictionary(uint8_t *at, const int64_t *values, uint32_t count, struct distinct *distinct)
{
	at += tl_varint_put(at, distinct->count);
	for (uint32_t i = 0; i < distinct->count; i++)
		at += tl_varint_put(at, tl_zigzag(distinct->entries[i]));
	for (uint32_t i = 0; count <= SCAN_ROWS_MAX && i < count; i++)
		*at++ = (uint8_t)scan_entries(distinct, values[i]);
	for (uint32_t i = 0; count > SCAN_ROWS_MAX && i < count; i++)
		*at++ = (uint8_t)(*find_slot(distinct, values[i]) - 1);
	return at;
}

void
tl_column_encode(struct tl_buf *buf, const int64_t *values, uint32_t count)
{
	struct distinct distinct;
	struct plan plan;
	uint8_t *start;
	uint8_t *at;

	assert(count >= 1);
	plan_column(values, count, &plan, &distinct);
	start = tl_buf_reserve(buf, plan.bytes);
	if (start == NULL)
		return;
	at = start;
	*at++ = (uint8_t)plan.form;
	switch (plan.form) {
	case FORM_CONST:
		at += tl_varint_put(at, tl_zigzag(plan.min));
		break;
	case FORM_OFFSET:
		at += tl_varint_put(at, tl_zigzag(plan.min));
		at = put_offsets(at, values, count, &plan);
		break;
	case FORM_DELTA:
		at += tl_varint_put(at, tl_zigzag(values[0]));
		at = put_deltas(at, values, count);
		break;
	case FORM_DICTIONARY:
		at = put_dictionary(at, values, count, &distinct);
		break;
	}
	assert((size_t)(at - start) == plan.bytes);
	tl_buf_advance(buf, plan.bytes);
}

static void
corrupt(struct tl_cursor *cur)
{
	cur->err = TL_ESTORAGE_CORRUPT;
	cur->next = cur->end;
}

#define CONTINUED UINT64_C(0x8080808080808080)

/*
 * The value of the varint that starts at bit from of word and whose last byte ends at bit to (7
 * more than a multiple of 8). *over_long is set for a last byte of zero behind another: one value
 * has one spelling.
 */
static inline uint64_t
value_in(uint64_t word, uint32_t from, uint32_t to, bool *over_long)
{
	uint32_t bits = to - from;

	word = word >> from & (UINT64_MAX >> (63 - bits));
	*over_long |= word >> (bits - 7) == 0 && bits > 7;
	return gather(word & ~CONTINUED);
}

/*
 * count varints by the rules of tl_varint_get, from words of eight bytes: eight values when each
 * takes one byte, else two, since where the next word starts is known only after their lengths.
 */
static void
take_varints(struct tl_cursor *cur, uint64_t *values_out, uint32_t count)
{
	bool over_long = false;
	uint32_t i = 0;

	while (count - i >= 8 && tl_cursor_left(cur) >= 8) {
		uint64_t word;
		uint64_t ends;
		uint32_t end;
		uint32_t end_next;

		memcpy(&word, cur->next, sizeof(word));
		word = le64toh(word);
		ends = ~word & CONTINUED;
		if (ends == CONTINUED) {
			for (uint32_t k = 0; k < 8; k++)
				values_out[i + k] = word >> (8 * k) & 0xff;
			cur->next += 8;
			i += 8;
			continue;
		}
		if ((ends & (ends - 1)) == 0) { /* not two whole ones */
			values_out[i++] = tl_cursor_varint(cur);
			continue;
		}
		end = (uint32_t)__builtin_ctzll(ends);
		end_next = (uint32_t)__builtin_ctzll(ends & (ends - 1));
		values_out[i] = value_in(word, 0, end, &over_long);
		values_out[i + 1] = value_in(word, end + 1, end_next, &over_long);
		cur->next += (end_next + 1) / 8;
		i += 2;
	}
	for (; i < count; i++)
		values_out[i] = tl_cursor_varint(cur);
	if (over_long)
		corrupt(cur);
}

#define CHUNK 512u

static void
take_offsets(struct tl_cursor *cur, int64_t *values_out, uint32_t count)
{
	uint64_t min = (uint64_t)tl_cursor_zigzag(cur);
	uint64_t offsets[CHUNK];

	for (uint32_t i = 0; i < count && !cur->err; i += CHUNK) {
		uint32_t some = count - i < CHUNK ? count - i : CHUNK;

		take_varints(cur, offsets, some);
		for (uint32_t k = 0; k < some; k++)
			values_out[i + k] = (int64_t)(min + offsets[k]);
	}
}

static void
take_deltas(struct tl_cursor *cur, int64_t *values_out, uint32_t count)
{
	uint64_t value = (uint64_t)tl_cursor_zigzag(cur);
	uint64_t steps[CHUNK];

	values_out[0] = (int64_t)value;
	for (uint32_t i = 1; i < count && !cur->err; i += CHUNK) {
		uint32_t some = count - i < CHUNK ? count - i : CHUNK;

		take_varints(cur, steps, some);
		for (uint32_t k = 0; k < some; k++) {
			value += (uint64_t)tl_unzigzag(steps[k]);
			values_out[i + k] = (int64_t)value;
		}
	}
}

static void
take_dictionary(struct tl_cursor *cur, int64_t *values_out, uint32_t count)
{
	int64_t entries[ENTRIES_MAX];
	uint64_t entry_count = tl_cursor_varint(cur);
	struct tl_slice idxs;
	uint8_t idx_max = 0;

	if (entry_count < 2 || entry_count > ENTRIES_MAX) {
		corrupt(cur);
		return;
	}
	for (uint64_t i = 0; i < entry_count; i++)
		entries[i] = tl_cursor_zigzag(cur);
	idxs = tl_cursor_take(cur, count);
	if (cur->err)
		return;
	for (uint32_t i = 0; i < count; i++)
		idx_max = idxs.data[i] > idx_max ? idxs.data[i] : idx_max;
	if (idx_max >= entry_count) {
		corrupt(cur);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		values_out[i] = entries[idxs.data[i]];
}

void
tl_column_decode(struct tl_cursor *cur, int64_t *values_out, uint32_t count)
{
	uint8_t form = tl_cursor_u8(cur);
	int64_t value;

	assert(count >= 1);
	if (cur->err)
		return;
	switch (form) {
	case FORM_CONST:
		value = tl_cursor_zigzag(cur);
		for (uint32_t i = 0; i < count; i++)
			values_out[i] = value;
		break;
	case FORM_OFFSET:
		take_offsets(cur, values_out, count);
		break;
	case FORM_DELTA:
		take_deltas(cur, values_out, count);
		break;
	case FORM_DICTIONARY:
		take_dictionary(cur, values_out, count);
		break;
	default:
		corrupt(cur);
	}
}

static void
skip_varints(struct tl_cursor *cur, uint64_t count)
{
	for (uint64_t i = 0; i < count && !cur->err; i++)
		(void)tl_cursor_varint(cur);
}

void
tl_column_skip(struct tl_cursor *cur, uint32_t count)
{
	uint64_t entry_count;

	assert(count >= 1);
	switch (tl_cursor_u8(cur)) {
	case FORM_CONST:
		skip_varints(cur, 1);
		break;
	case FORM_OFFSET:
		skip_varints(cur, 1 + (uint64_t)count);
		break;
	case FORM_DELTA:
		skip_varints(cur, count);
		break;
	case FORM_DICTIONARY:
		entry_count = tl_cursor_varint(cur);
		if (entry_count < 2 || entry_count > ENTRIES_MAX) {
			corrupt(cur);
			return;
		}
		skip_varints(cur, entry_count);
		(void)tl_cursor_take(cur, count);
		break;
	default:
		corrupt(cur);
	}
}
