#include "schema/model/event.h"

#include <assert.h>
#include <pthread.h>

#include "schema/base/crypt.h"
#include "schema/base/hash.h"
#include "schema/model/limits.h"

#define SYMBOLS_INITIAL 64u

static const char *const column_fields[TL_COL_COUNT] = {
#define X(symbol, field, initial, name_kind) [symbol] = field,
	TL_COLUMN_LIST(X)
#undef X
};

static const uint8_t column_name_kinds[TL_COL_COUNT] = {
#define X(symbol, field, initial, name_kind) [symbol] = name_kind,
	TL_COLUMN_LIST(X)
#undef X
};

const char *
tl_column_field(enum tl_column column)
{
	assert(column < TL_COL_COUNT);
	return column_fields[column];
}

enum tl_name_kind
tl_column_name_kind(enum tl_column column)
{
	assert(column < TL_COL_COUNT);
	return (enum tl_name_kind)column_name_kinds[column];
}

enum tl_err
tl_batch_init(struct tl_batch *batch, struct tl_arena *arena, uint32_t row_capacity)
{
	struct tl_batch made = {.arena = arena, .row_capacity = row_capacity};

	made.id = tl_arena_room(arena, row_capacity, sizeof(*made.id));
	made.event_idx = tl_arena_room(arena, row_capacity, sizeof(*made.event_idx));
	made.rejects = tl_arena_room(arena, row_capacity, sizeof(*made.rejects));
	if (made.id == NULL || made.event_idx == NULL || made.rejects == NULL)
		return TL_ENOMEM;
	*batch = made;
	return TL_OK;
}

enum tl_err
tl_batch_room(struct tl_batch *batch, enum tl_column column)
{
	int64_t *values;

	if (batch->column[column] != NULL)
		return TL_OK;
	values = tl_arena_room(batch->arena, batch->row_capacity, sizeof(*values));
	if (values == NULL)
		return TL_ENOMEM;
	batch->column[column] = values;
	return TL_OK;
}

void
tl_batch_trim(struct tl_batch *batch, enum tl_column column)
{
	int64_t *values = batch->column[column];
	int64_t initial = tl_column_default(column);
	uint32_t same = 0;

	while (values != NULL && same < batch->row_count && values[same] == initial)
		same++;
	if (same == batch->row_count)
		batch->column[column] = NULL;
}

enum tl_err
tl_batch_need(struct tl_batch *batch, enum tl_column column)
{
	int64_t initial = tl_column_default(column);
	enum tl_err err;

	if (batch->column[column] != NULL)
		return TL_OK;
	err = tl_batch_room(batch, column);
	if (err)
		return err;
	if (initial == 0)
		memset(batch->column[column], 0, batch->row_capacity * sizeof(initial));
	for (uint32_t i = 0; initial != 0 && i < batch->row_capacity; i++)
		batch->column[column][i] = initial;
	return TL_OK;
}

enum tl_err
tl_batch_set(struct tl_batch *batch, enum tl_column column, uint32_t row_idx, int64_t value)
{
	enum tl_err err;

	assert(row_idx < batch->row_capacity);
	if (batch->column[column] == NULL) {
		if (value == tl_column_default(column))
			return TL_OK;
		err = tl_batch_need(batch, column);
		if (err)
			return err;
	}
	batch->column[column][row_idx] = value;
	return TL_OK;
}

/* One key per process is enough: a batch is bounded, and nobody outside sees a hash. */
static struct tl_hash_key symbol_key;
static pthread_once_t symbol_key_once = PTHREAD_ONCE_INIT;

static void
symbol_key_make(void)
{
	tl_hash_key_make(&symbol_key);
}

static uint32_t
symbol_hash(enum tl_name_kind kind, struct tl_slice text)
{
	uint64_t hash = tl_hash(&symbol_key, text);

	return (uint32_t)(hash ^ (hash >> 32)) + (uint32_t)kind * 0x9e3779b1u;
}

static void
symbol_slot_put(uint64_t *slots, uint32_t slot_count, uint64_t slot)
{
	uint32_t at = (uint32_t)(slot >> 32) & (slot_count - 1);

	while (slots[at] != 0)
		at = (at + 1) & (slot_count - 1);
	slots[at] = slot;
}

/* Doubles the symbols and their slots; what stays behind in the arena adds up to less than both. */
static enum tl_err
symbols_grow(struct tl_batch *batch)
{
	uint32_t capacity =
		batch->symbol_capacity == 0 ? SYMBOLS_INITIAL : batch->symbol_capacity * 2;
	uint32_t slot_count = capacity * 2;
	struct tl_symbol *symbols = tl_arena_array(batch->arena, capacity, sizeof(*symbols));
	uint64_t *slots = tl_arena_array(batch->arena, slot_count, sizeof(*slots));

	if (symbols == NULL || slots == NULL)
		return TL_ENOMEM;
	if (batch->symbol_count > 0)
		memcpy(symbols, batch->symbols, batch->symbol_count * sizeof(*symbols));
	for (uint32_t i = 0; i < batch->symbol_slot_count; i++) {
		if (batch->symbol_slots[i] != 0)
			symbol_slot_put(slots, slot_count, batch->symbol_slots[i]);
	}
	if (batch->symbol_count == 0)
		batch->symbol_count = 1;
	batch->symbols = symbols;
	batch->symbol_capacity = capacity;
	batch->symbol_slots = slots;
	batch->symbol_slot_count = slot_count;
	return TL_OK;
}

/* The slot of the name, or the free slot where it belongs. The table is never full. */
static uint32_t
symbol_find(
	const struct tl_batch *batch, enum tl_name_kind kind, struct tl_slice text, uint32_t hash)
{
	uint32_t mask = batch->symbol_slot_count - 1;
	uint32_t at = hash & mask;

	for (; batch->symbol_slots[at] != 0; at = (at + 1) & mask) {
		const struct tl_symbol *symbol;

		if ((uint32_t)(batch->symbol_slots[at] >> 32) != hash)
			continue;
		symbol = &batch->symbols[(uint32_t)batch->symbol_slots[at]];
		if (symbol->kind == kind && tl_slice_eq(symbol->text, text))
			break;
	}
	return at;
}

enum tl_err
tl_batch_symbol(
	struct tl_batch *batch, enum tl_name_kind kind, struct tl_slice text, uint32_t *symbol_out)
{
	uint32_t hash;
	uint32_t at;
	enum tl_err err;

	if (batch->symbol_count == batch->symbol_capacity) {
		pthread_once(&symbol_key_once, symbol_key_make);
		err = symbols_grow(batch);
		if (err)
			return err;
	}
	hash = symbol_hash(kind, text);
	at = symbol_find(batch, kind, text, hash);
	if (batch->symbol_slots[at] == 0) {
		batch->symbols[batch->symbol_count] =
			(struct tl_symbol){.kind = kind, .text = text};
		batch->symbol_slots[at] = (uint64_t)hash << 32 | batch->symbol_count;
		batch->symbol_count++;
	}
	*symbol_out = (uint32_t)batch->symbol_slots[at];
	return TL_OK;
}

/* The sign is a constant in each of the two copies that tl_event_totals_add makes of these. */
#define PER_SIGN static inline __attribute__((always_inline))

/* sum += sign * value; *wrong when that leaves 63 bits. */
PER_SIGN void
add(int64_t *sum, int64_t value, int sign, bool *wrong)
{
	*wrong |= sign > 0 ? __builtin_add_overflow(*sum, value, sum)
			   : __builtin_sub_overflow(*sum, value, sum);
}

PER_SIGN void
add_column(const struct tl_batch *batch, enum tl_column column, uint32_t row_idx, int64_t *sum,
	int sign, bool *wrong)
{
	if (batch->column[column] != NULL)
		add(sum, batch->column[column][row_idx], sign, wrong);
}

PER_SIGN bool
add_request(const struct tl_batch *batch, uint32_t row_idx, int sign, struct tl_totals *sum)
{
	int64_t status = tl_batch_get(batch, TL_COL_STATUS, row_idx);
	int64_t cost_nusd = tl_batch_get(batch, TL_COL_COST, row_idx);
	int64_t duration_ms = tl_batch_get(batch, TL_COL_DURATION, row_idx);
	bool wrong = false;

	add(&sum->requests, 1, sign, &wrong);
	add(&sum->errors, status >= 400 || status == 0, sign, &wrong);
	add_column(batch, TL_COL_INPUT, row_idx, &sum->input_tokens, sign, &wrong);
	add_column(batch, TL_COL_CACHE_READ, row_idx, &sum->cache_read_tokens, sign, &wrong);
	add_column(batch, TL_COL_CACHE_WRITE, row_idx, &sum->cache_write_tokens, sign, &wrong);
	add_column(
		batch, TL_COL_CACHE_WRITE_1H, row_idx, &sum->cache_write_1h_tokens, sign, &wrong);
	add_column(batch, TL_COL_OUTPUT, row_idx, &sum->output_tokens, sign, &wrong);
	add_column(batch, TL_COL_REASONING, row_idx, &sum->reasoning_tokens, sign, &wrong);
	add_column(batch, TL_COL_SAVED_TOKENS, row_idx, &sum->saved_tokens, sign, &wrong);
	add_column(batch, TL_COL_SAVED_NUSD, row_idx, &sum->saved_nusd, sign, &wrong);
	if (cost_nusd < 0) {
		add(&sum->unpriced, 1, sign, &wrong);
	} else {
		add(&sum->cost_nusd, cost_nusd, sign, &wrong);
		if (tl_batch_get(batch, TL_COL_BILLING, row_idx) == TL_BILLING_PLAN)
			add(&sum->cost_plan_nusd, cost_nusd, sign, &wrong);
	}
	if (duration_ms >= 0) {
		add(&sum->duration_ms, duration_ms, sign, &wrong);
		add(&sum->timed_requests, 1, sign, &wrong);
	}
	return wrong;
}

PER_SIGN bool
add_activity(const struct tl_batch *batch, uint32_t row_idx, int sign, struct tl_totals *sum)
{
	bool wrong = false;

	add_column(batch, TL_COL_LINES_ADDED, row_idx, &sum->lines_added, sign, &wrong);
	add_column(batch, TL_COL_LINES_REMOVED, row_idx, &sum->lines_removed, sign, &wrong);
	add_column(batch, TL_COL_COMMITS, row_idx, &sum->commits, sign, &wrong);
	add_column(batch, TL_COL_PULL_REQUESTS, row_idx, &sum->pull_requests, sign, &wrong);
	add_column(batch, TL_COL_ACTIVE_MS, row_idx, &sum->active_ms, sign, &wrong);
	add_column(batch, TL_COL_EDITS_ACCEPTED, row_idx, &sum->edits_accepted, sign, &wrong);
	add_column(batch, TL_COL_EDITS_REJECTED, row_idx, &sum->edits_rejected, sign, &wrong);
	return wrong;
}

PER_SIGN bool
add_row(const struct tl_batch *batch, uint32_t row_idx, int sign, struct tl_totals *sum)
{
	bool wrong = false;

	switch ((enum tl_kind)tl_batch_get(batch, TL_COL_KIND, row_idx)) {
	case TL_KIND_REQUEST:
		wrong = add_request(batch, row_idx, sign, sum);
		break;
	case TL_KIND_LINK:
		break;
	case TL_KIND_ACTIVITY:
		wrong = add_activity(batch, row_idx, sign, sum);
		break;
	case TL_KIND_VIOLATION:
		add(&sum->violations, 1, sign, &wrong);
		add_column(batch, TL_COL_FIX_MS, row_idx, &sum->fix_ms, sign, &wrong);
		break;
	}
	return wrong;
}

enum tl_err
tl_event_totals_add(const struct tl_batch *batch, uint32_t row_idx, int sign, struct tl_totals *sum)
{
	bool wrong;

	assert(sign == 1 || sign == -1);
	wrong = sign == 1 ? add_row(batch, row_idx, 1, sum) : add_row(batch, row_idx, -1, sum);
	return wrong ? TL_EAMOUNT_OVERFLOW : TL_OK;
}

void
tl_event_totals(const struct tl_batch *batch, uint32_t row_idx, struct tl_totals *totals_out)
{
	*totals_out = (struct tl_totals){0};
	(void)add_row(batch, row_idx, 1, totals_out); /* one amount each: nothing overflows */
}

enum tl_column
tl_event_differs(
	const struct tl_batch *a, uint32_t a_row_idx, const struct tl_batch *b, uint32_t b_row_idx)
{
	for (enum tl_column column = 0; column < TL_COL_STORED_COUNT; column++) {
		if (column == TL_COL_ORG || column == TL_COL_SIGN || column == TL_COL_REV)
			continue;
		if (a->column[column] == NULL && b->column[column] == NULL)
			continue;
		if (tl_batch_get(a, column, a_row_idx) != tl_batch_get(b, column, b_row_idx))
			return column;
	}
	return TL_COL_COUNT;
}

/* What programs print for a value they do not have. None begins another one. */
static const char *const hollow_words[] = {
	"none", "null", "nil", "nan", "undefined", "unknown", "object"};

static uint8_t
lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool
is_separator(uint8_t byte)
{
	return byte <= ' ' || strchr("-_:./,|#+\"'()[]{}<>", byte) != NULL;
}

/* Bytes of the hollow word that text begins with, 0 when it begins with none. */
static size_t
hollow_word_bytes(struct tl_slice text)
{
	for (size_t i = 0; i < sizeof(hollow_words) / sizeof(hollow_words[0]); i++) {
		size_t bytes = strlen(hollow_words[i]);
		size_t same = 0;

		while (same < bytes && same < text.bytes &&
			lower(text.data[same]) == (uint8_t)hollow_words[i][same])
			same++;
		if (same == bytes)
			return bytes;
	}
	return 0;
}

/*
 * True for text that every broken sender would share: nothing but separators and hollow words
 * ("undefined-undefined", "[object Object]"), or nothing but separators and one of 0 and f
 * ("00000000-0000-0000-0000-000000000000").
 */
static bool
is_hollow(struct tl_slice text)
{
	bool words = true;
	bool digits = true;
	uint8_t digit = 0;

	for (size_t i = 0; digits && i < text.bytes; i++) {
		uint8_t byte = lower(text.data[i]);

		if (is_separator(byte))
			continue;
		if (digit == 0)
			digit = byte;
		digits = byte == digit && (byte == '0' || byte == 'f');
	}
	for (size_t i = 0; words && i < text.bytes;) {
		size_t bytes =
			is_separator(text.data[i])
				? 1
				: hollow_word_bytes(tl_slice_of(text.data + i, text.bytes - i));

		words = bytes > 0;
		i += bytes;
	}
	return words || digits;
}

/*
 * Hollow text in 16 bytes, padded with zeros or spaces. Shorter text than "none" is not looked at:
 * small numbers are ids.
 */
static bool
is_padded_hollow(const uint8_t bytes[16])
{
	size_t text_bytes = 16;

	while (text_bytes > 0 && (bytes[text_bytes - 1] == 0 || bytes[text_bytes - 1] == ' '))
		text_bytes--;
	if (text_bytes < strlen("none"))
		return false;
	for (size_t i = 0; i < text_bytes; i++) {
		if (bytes[i] < ' ' || bytes[i] > '~')
			return false;
	}
	return is_hollow(tl_slice_of(bytes, text_bytes));
}

bool
tl_event_id_from_bytes(const uint8_t bytes[16], uint8_t id_out[16])
{
	static const uint8_t zeros[16];
	const uint64_t tops = 0x8080808080808080u;
	uint64_t half[2];
	bool is_ones;

	memcpy(half, bytes, sizeof(half));
	is_ones = (half[0] & half[1]) == UINT64_MAX;
	/* Nearly every id has a byte above 0x7f, so it is neither zeros nor text. */
	if (is_ones ||
		(((half[0] | half[1]) & tops) == 0 &&
			(memcmp(bytes, zeros, sizeof(zeros)) == 0 || is_padded_hollow(bytes))))
		return false;
	memcpy(id_out, bytes, 16);
	return true;
}

bool
tl_event_id_from_text(struct tl_slice text, uint8_t id_out[16])
{
	static const char domain[] = "tally-id"; /* hashed with its terminator */
	uint8_t data[sizeof(domain) + TL_ID_TEXT_BYTES_MAX];
	uint8_t digest[32];

	if (text.bytes < TL_ID_TEXT_BYTES_MIN || text.bytes > TL_ID_TEXT_BYTES_MAX)
		return false;
	if (is_hollow(text))
		return false;
	memcpy(data, domain, sizeof(domain));
	memcpy(data + sizeof(domain), text.data, text.bytes);
	tl_sha256(tl_slice_of(data, sizeof(domain) + text.bytes), digest);
	memcpy(id_out, digest, 16);
	return true;
}
