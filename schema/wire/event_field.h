/*
 * The fields of an event on the wire: one table for the reader and the writer. The order is the
 * order in which they are sent.
 */
#ifndef TL_WIRE_EVENT_FIELD_H
#define TL_WIRE_EVENT_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/event.h"
#include "schema/model/limits.h"

/* How the value of a field is read. */
enum tl_field_type {
	TL_FIELD_EVENT_ID,
	TL_FIELD_TIME,
	TL_FIELD_TOKENS,
	TL_FIELD_AMOUNT,
	TL_FIELD_NUMBER,
	TL_FIELD_WORD, /* one of a few */
	TL_FIELD_NAME,
	TL_FIELD_MEMBER_HEX,
	TL_FIELD_EMAIL_TEXT,
	TL_FIELD_EMAIL_MAP,
	TL_FIELD_REPO_TAG,
	TL_FIELD_PR_TAG,
	TL_FIELD_COMMIT_TAG,
	TL_FIELD_TAG_LIST,
	TL_FIELD_LINK_VALUE, /* what it may be depends on op */
};

/* X(symbol, type, column, largest number or most bytes of text) */
#define TL_EVENT_FIELD_LIST(X)                                                     \
	X(TL_FIELD_ID, EVENT_ID, TL_COL_COUNT, TL_ID_TEXT_BYTES_MAX)               \
	X(TL_FIELD_TS, TIME, TL_COL_TS, TL_TIME_MS_MAX)                            \
	X(TL_FIELD_KIND, WORD, TL_COL_KIND, 0)                                     \
	X(TL_FIELD_KEY, NAME, TL_COL_KEY, TL_NAME_BYTES_MAX)                       \
	X(TL_FIELD_EMAIL, EMAIL_TEXT, TL_COL_EMAIL, TL_EMAIL_BYTES_MAX)            \
	X(TL_FIELD_MEMBER, MEMBER_HEX, TL_COL_MEMBER_ID, 32)                       \
	X(TL_FIELD_EMAIL_ENC, EMAIL_MAP, TL_COL_EMAIL_ENC, TL_EMAIL_ENC_BYTES_MAX) \
	X(TL_FIELD_AGENT, NAME, TL_COL_AGENT_TYPE, TL_AGENT_TYPE_BYTES_MAX)        \
	X(TL_FIELD_SESSION, NAME, TL_COL_SESSION, TL_SESSION_BYTES_MAX)            \
	X(TL_FIELD_PROVIDER, NAME, TL_COL_PROVIDER, TL_PROVIDER_BYTES_MAX)         \
	X(TL_FIELD_MODEL, NAME, TL_COL_MODEL, TL_MODEL_BYTES_MAX)                  \
	X(TL_FIELD_INPUT, TOKENS, TL_COL_INPUT, TL_TOKENS_MAX)                     \
	X(TL_FIELD_CACHE_READ, TOKENS, TL_COL_CACHE_READ, TL_TOKENS_MAX)           \
	X(TL_FIELD_CACHE_WRITE, TOKENS, TL_COL_CACHE_WRITE, TL_TOKENS_MAX)         \
	X(TL_FIELD_CACHE_WRITE_1H, TOKENS, TL_COL_CACHE_WRITE_1H, TL_TOKENS_MAX)   \
	X(TL_FIELD_OUTPUT, TOKENS, TL_COL_OUTPUT, TL_TOKENS_MAX)                   \
	X(TL_FIELD_REASONING, TOKENS, TL_COL_REASONING, TL_TOKENS_MAX)             \
	X(TL_FIELD_COST, AMOUNT, TL_COL_COST, TL_COST_NUSD_MAX)                    \
	X(TL_FIELD_SAVED_TOKENS, TOKENS, TL_COL_SAVED_TOKENS, TL_TOKENS_MAX)       \
	X(TL_FIELD_SAVED_NUSD, AMOUNT, TL_COL_SAVED_NUSD, TL_COST_NUSD_MAX)        \
	X(TL_FIELD_STATUS, NUMBER, TL_COL_STATUS, TL_STATUS_MAX)                   \
	X(TL_FIELD_DURATION, NUMBER, TL_COL_DURATION, TL_DURATION_MS_MAX)          \
	X(TL_FIELD_REPO, REPO_TAG, TL_COL_REPO, 0)                                 \
	X(TL_FIELD_PR, PR_TAG, TL_COL_PR, TL_PR_MAX)                               \
	X(TL_FIELD_BRANCH, NAME, TL_COL_BRANCH, TL_BRANCH_BYTES_MAX)               \
	X(TL_FIELD_COMMIT, COMMIT_TAG, TL_COL_COMMIT, 0)                           \
	X(TL_FIELD_BILLING, WORD, TL_COL_BILLING, 0)                               \
	X(TL_FIELD_TAGS, TAG_LIST, TL_COL_TAGS, TL_TAGS_MAX)                       \
	X(TL_FIELD_REV, NUMBER, TL_COL_REV, TL_REV_MAX)                            \
	X(TL_FIELD_OP, WORD, TL_COL_LINK_OP, 0)                                    \
	X(TL_FIELD_VALUE, LINK_VALUE, TL_COL_VALUE, TL_LINK_VALUE_BYTES_MAX)       \
	X(TL_FIELD_LINES_ADDED, NUMBER, TL_COL_LINES_ADDED, TL_COUNT_MAX)          \
	X(TL_FIELD_LINES_REMOVED, NUMBER, TL_COL_LINES_REMOVED, TL_COUNT_MAX)      \
	X(TL_FIELD_COMMITS, NUMBER, TL_COL_COMMITS, TL_COUNT_MAX)                  \
	X(TL_FIELD_PULL_REQUESTS, NUMBER, TL_COL_PULL_REQUESTS, TL_COUNT_MAX)      \
	X(TL_FIELD_ACTIVE_MS, NUMBER, TL_COL_ACTIVE_MS, TL_COUNT_MAX)              \
	X(TL_FIELD_EDITS_ACCEPTED, NUMBER, TL_COL_EDITS_ACCEPTED, TL_COUNT_MAX)    \
	X(TL_FIELD_EDITS_REJECTED, NUMBER, TL_COL_EDITS_REJECTED, TL_COUNT_MAX)    \
	X(TL_FIELD_RULE, NAME, TL_COL_RULE, TL_NAME_BYTES_MAX)                     \
	X(TL_FIELD_SEVERITY, WORD, TL_COL_SEVERITY, 0)                             \
	X(TL_FIELD_FIX_MS, NUMBER, TL_COL_FIX_MS, TL_COUNT_MAX)

enum tl_event_field {
#define X(symbol, type, column, max) symbol,
	TL_EVENT_FIELD_LIST(X)
#undef X
		TL_FIELD_COUNT,
	TL_FIELD_IGNORED, /* x_ and whatever follows */
	TL_FIELD_UNKNOWN,
};

struct tl_event_field_info {
	uint8_t type;	   /* enum tl_field_type */
	uint8_t column;	   /* enum tl_column; TL_COL_COUNT for the id, which is no column */
	uint8_t name_kind; /* enum tl_name_kind, 0 for numbers */
	bool is_number;	   /* min to max is right, nil is absent, and nothing else */
	bool is_text;	   /* text that means the same wherever it comes again */
	uint8_t min;
	int16_t initial; /* of the column */
	int64_t max;
};

extern const struct tl_event_field_info tl_event_fields[TL_FIELD_COUNT]
	__attribute__((visibility("hidden")));

/* The name on the wire. Static. */
const char *tl_event_field_name(enum tl_event_field field);

/* TL_FIELD_IGNORED for x_..., TL_FIELD_UNKNOWN when there is no such field. */
enum tl_event_field tl_event_field_find(struct tl_slice name);

/*
 * Keys of a map as they lie on the wire, head byte included, in three words: every field's key fits
 * 24 bytes, so one comparison without a loop says whether the next key is the expected one.
 */
#define TL_EVENT_KEY_WORDS 3
#define TL_EVENT_KEY_BYTES (TL_EVENT_KEY_WORDS * sizeof(uint64_t))

struct tl_event_key {
	uint64_t word[TL_EVENT_KEY_WORDS];
	uint64_t mask[TL_EVENT_KEY_WORDS];
	uint8_t raw_bytes;
};

/* By field; filled by tl_event_keys_init, which any thread calls before it reads them. */
extern struct tl_event_key tl_event_keys[TL_FIELD_COUNT] __attribute__((visibility("hidden")));
void tl_event_keys_init(void);

/* at has TL_EVENT_KEY_BYTES bytes. */
static inline bool
tl_event_key_is(const struct tl_event_key *key, const uint8_t *at)
{
	uint64_t word[TL_EVENT_KEY_WORDS];

	memcpy(word, at, sizeof(word));
	return (((word[0] & key->mask[0]) ^ key->word[0]) |
		       ((word[1] & key->mask[1]) ^ key->word[1]) |
		       ((word[2] & key->mask[2]) ^ key->word[2])) == 0;
}

/* The field whose key lies at a place with TL_EVENT_KEY_BYTES bytes; TL_FIELD_UNKNOWN otherwise. */
enum tl_event_field tl_event_key_find(const uint8_t *at);

/* The words of kind, billing, op and severity; the number is the model's enum. -1: no such word. */
int64_t tl_event_word_find(enum tl_event_field field, struct tl_slice word);
const char *tl_event_word(enum tl_event_field field, int64_t number);

#endif
