#include "schema/wire/event_field.h"

#include <assert.h>
#include <pthread.h>

/* The model's list of columns says what a column is when absent and which names it holds. */
enum {
#define X(symbol, field, initial, name_kind) \
	NAME_KIND_##symbol = name_kind, INITIAL_##symbol = initial,
	TL_COLUMN_LIST(X)
#undef X
		NAME_KIND_TL_COL_COUNT = 0,
	INITIAL_TL_COL_COUNT = 0,
};

#define IS_NUMBER(type)                                                                       \
	((type) == TL_FIELD_TIME || (type) == TL_FIELD_TOKENS || (type) == TL_FIELD_AMOUNT || \
		(type) == TL_FIELD_NUMBER || (type) == TL_FIELD_PR_TAG)
#define IS_TEXT(type)                                                                           \
	((type) == TL_FIELD_WORD || (type) == TL_FIELD_NAME || (type) == TL_FIELD_MEMBER_HEX || \
		(type) == TL_FIELD_EMAIL_TEXT || (type) == TL_FIELD_REPO_TAG ||                 \
		(type) == TL_FIELD_COMMIT_TAG)

const struct tl_event_field_info tl_event_fields[TL_FIELD_COUNT] = {
#define X(symbol, field_type, field_column, field_max)           \
	[symbol] = {.type = TL_FIELD_##field_type,               \
		.column = field_column,                          \
		.name_kind = NAME_KIND_##field_column,           \
		.is_number = IS_NUMBER(TL_FIELD_##field_type),   \
		.is_text = IS_TEXT(TL_FIELD_##field_type),       \
		.min = TL_FIELD_##field_type == TL_FIELD_TIME || \
		       TL_FIELD_##field_type == TL_FIELD_PR_TAG, \
		.max = field_max,                                \
		.initial = INITIAL_##field_column},
	TL_EVENT_FIELD_LIST(X)
#undef X
};

const char *
tl_event_field_name(enum tl_event_field field)
{
	assert(field < TL_FIELD_COUNT);
	if (field == TL_FIELD_ID)
		return "id";
	return tl_column_field((enum tl_column)tl_event_fields[field].column);
}

enum tl_event_field
tl_event_field_find(struct tl_slice name)
{
	if (name.bytes >= 2 && name.data[0] == 'x' && name.data[1] == '_')
		return TL_FIELD_IGNORED;
	for (enum tl_event_field field = 0; field < TL_FIELD_COUNT; field++) {
		const char *known = tl_event_field_name(field);

		if (name.bytes > 0 && name.data[0] == (uint8_t)known[0] &&
			tl_slice_eq(name, tl_slice_str(known)))
			return field;
	}
	return TL_FIELD_UNKNOWN;
}

#define KEY_SLOTS 128u /* a power of two, at most a third of it used */
#define FIXSTR 0xa0u

struct tl_event_key tl_event_keys[TL_FIELD_COUNT];
static uint8_t key_slots[KEY_SLOTS]; /* field + 1; 0 is free */
static pthread_once_t keys_once = PTHREAD_ONCE_INIT;

static_assert(TL_FIELD_COUNT * 3 <= KEY_SLOTS, "a probe must soon meet a free slot");
static_assert(TL_FIELD_COUNT <= 64, "sets of fields are masks of 64 bits");

/* All ones in the first bytes of a word, as they lie in memory. */
static inline uint64_t
mask_of(size_t bytes)
{
	return bytes >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * bytes)) - 1;
}

/* The first raw_bytes bytes at a place, the rest zeros. */
static inline struct tl_event_key
key_load(const uint8_t *at, size_t raw_bytes)
{
	struct tl_event_key key = {.raw_bytes = (uint8_t)raw_bytes};

	memcpy(key.word, at, sizeof(key.word));
	for (size_t i = 0; i < TL_EVENT_KEY_WORDS; i++) {
		key.mask[i] = mask_of(raw_bytes > 8 * i ? raw_bytes - 8 * i : 0);
		key.word[i] &= key.mask[i];
	}
	return key;
}

static inline uint32_t
key_slot(const struct tl_event_key *key)
{
	uint64_t mixed = key->word[0] ^ key->word[1] * 31 ^ key->word[2] * 1021;

	return (uint32_t)((mixed * 0x9e3779b97f4a7c15u) >> (64 - 7));
}

static void
keys_make(void)
{
	for (enum tl_event_field field = 0; field < TL_FIELD_COUNT; field++) {
		struct tl_slice name = tl_slice_str(tl_event_field_name(field));
		uint8_t raw[TL_EVENT_KEY_BYTES] = {(uint8_t)(FIXSTR | name.bytes)};
		uint32_t slot;

		assert(name.bytes < sizeof(raw));
		memcpy(raw + 1, name.data, name.bytes);
		tl_event_keys[field] = key_load(raw, name.bytes + 1);
		slot = key_slot(&tl_event_keys[field]);
		while (key_slots[slot] != 0)
			slot = (slot + 1) % KEY_SLOTS;
		key_slots[slot] = (uint8_t)(field + 1);
	}
}

void
tl_event_keys_init(void)
{
	pthread_once(&keys_once, keys_make);
}

enum tl_event_field
tl_event_key_find(const uint8_t *at)
{
	size_t raw_bytes = (size_t)(at[0] & 31) + 1;
	struct tl_event_key key;
	uint32_t slot;

	if ((at[0] & 0xe0) != FIXSTR || raw_bytes > TL_EVENT_KEY_BYTES)
		return TL_FIELD_UNKNOWN;
	key = key_load(at, raw_bytes);
	for (slot = key_slot(&key); key_slots[slot] != 0; slot = (slot + 1) % KEY_SLOTS) {
		enum tl_event_field field = (enum tl_event_field)(key_slots[slot] - 1);

		if (tl_event_key_is(&tl_event_keys[field], at))
			return field;
	}
	return TL_FIELD_UNKNOWN;
}

#define WORDS_MAX 5

/* The index is the number; NULL where a number has no word. */
static const char *const kind_words[WORDS_MAX] = {[TL_KIND_REQUEST] = "request",
	[TL_KIND_LINK] = "link",
	[TL_KIND_ACTIVITY] = "activity",
	[TL_KIND_VIOLATION] = "violation"};
static const char *const billing_words[WORDS_MAX] = {
	[TL_BILLING_API] = "api", [TL_BILLING_PLAN] = "plan"};
static const char *const op_words[WORDS_MAX] = {[TL_LINK_SET_REPO] = "set_repo",
	[TL_LINK_ADD_PR] = "add_pr",
	[TL_LINK_ADD_COMMIT] = "add_commit",
	[TL_LINK_SET_NAME] = "set_name"};
static const char *const severity_words[WORDS_MAX] = {[TL_SEVERITY_ERROR] = "error",
	[TL_SEVERITY_WARNING] = "warning",
	[TL_SEVERITY_INFO] = "info"};

static const char *const *
words_of(enum tl_event_field field)
{
	if (field == TL_FIELD_KIND)
		return kind_words;
	if (field == TL_FIELD_BILLING)
		return billing_words;
	if (field == TL_FIELD_OP)
		return op_words;
	assert(field == TL_FIELD_SEVERITY);
	return severity_words;
}

int64_t
tl_event_word_find(enum tl_event_field field, struct tl_slice word)
{
	const char *const *words = words_of(field);

	for (int64_t i = 0; i < WORDS_MAX; i++) {
		if (words[i] != NULL && tl_slice_eq(word, tl_slice_str(words[i])))
			return i;
	}
	return -1;
}

const char *
tl_event_word(enum tl_event_field field, int64_t number)
{
	assert(number >= 0 && number < WORDS_MAX);
	return words_of(field)[number];
}
