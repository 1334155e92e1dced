/*
 * One usage event, many as columns (tl_batch), and the rules that make one valid.
 *
 * A batch is columns of int64, one row an event. Names (sessions, models, ...) are numbers too:
 * symbols of the batch on the way in (index into batch->symbols), dense ids of the store once the
 * writer has translated them. A column that holds only its default is absent (not in the mask):
 * most events use a third of the columns.
 */
#ifndef TL_MODEL_EVENT_H
#define TL_MODEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/arena.h"
#include "schema/base/bytes.h"
#include "schema/model/totals.h"

enum tl_kind {
	TL_KIND_REQUEST,
	TL_KIND_LINK,
	TL_KIND_ACTIVITY,
	TL_KIND_VIOLATION,
};

enum tl_link_op {
	TL_LINK_NONE,
	TL_LINK_SET_REPO,
	TL_LINK_ADD_PR,
	TL_LINK_ADD_COMMIT,
	TL_LINK_SET_NAME,
};

enum tl_severity {
	TL_SEVERITY_NONE,
	TL_SEVERITY_ERROR,
	TL_SEVERITY_WARNING,
	TL_SEVERITY_INFO,
};

enum tl_billing {
	TL_BILLING_API,
	TL_BILLING_PLAN,
};

/* What a name names; the first part of a dictionary key. 0 is never a name. */
enum tl_name_kind {
	TL_NAME_SESSION = 1,
	TL_NAME_MODEL,
	TL_NAME_PROVIDER,
	TL_NAME_REPO, /* normalised */
	TL_NAME_BRANCH,
	TL_NAME_COMMIT,
	TL_NAME_TAGS,	   /* the tags of one event, each as varint length + bytes */
	TL_NAME_TEXT,	   /* link values, rules */
	TL_NAME_EMAIL_ENC, /* the map as it came, msgpack */
	TL_NAME_PULL,	   /* "repo id#number", to count them; events have repo and number */
	/* on the way in only: the writer turns these into members and agents of the registry */
	TL_NAME_EMAIL,	/* normalised */
	TL_NAME_MEMBER, /* 16 bytes */
	TL_NAME_AGENT_TYPE,
	TL_NAME_KEY, /* tally_ca_xxxxxxxx */
};

/*
 * X(symbol, field on the wire, default, name kind or 0)
 * The order is the column number in stored blocks: append only, and raise the block version.
 */
#define TL_COLUMN_LIST(X)                                                                  \
	X(TL_COL_ORG, "org", 0, 0)                                                         \
	X(TL_COL_TS, "ts", 0, 0)                                                           \
	X(TL_COL_SIGN, "sign", 1, 0) /* -1: takes back a row that a higher rev replaces */ \
	X(TL_COL_REV, "rev", 0, 0)                                                         \
	X(TL_COL_KIND, "kind", 0, 0)                                                       \
	X(TL_COL_MEMBER, "member", 0, 0) /* registry number, 0 unattributed */             \
	X(TL_COL_AGENT, "agent", 0, 0)	 /* registry number, 0 none */                     \
	X(TL_COL_SESSION, "session", 0, TL_NAME_SESSION)                                   \
	X(TL_COL_PROVIDER, "provider", 0, TL_NAME_PROVIDER)                                \
	X(TL_COL_MODEL, "model", 0, TL_NAME_MODEL)                                         \
	X(TL_COL_INPUT, "input_tokens", 0, 0)                                              \
	X(TL_COL_CACHE_READ, "cache_read_tokens", 0, 0)                                    \
	X(TL_COL_CACHE_WRITE, "cache_write_tokens", 0, 0)                                  \
	X(TL_COL_CACHE_WRITE_1H, "cache_write_1h_tokens", 0, 0)                            \
	X(TL_COL_OUTPUT, "output_tokens", 0, 0)                                            \
	X(TL_COL_REASONING, "reasoning_tokens", 0, 0)                                      \
	X(TL_COL_COST, "cost_nusd", -1, 0) /* -1: unknown */                               \
	X(TL_COL_SAVED_TOKENS, "saved_tokens", 0, 0)                                       \
	X(TL_COL_SAVED_NUSD, "saved_nusd", 0, 0)                                           \
	X(TL_COL_STATUS, "status", 200, 0)                                                 \
	X(TL_COL_DURATION, "duration_ms", -1, 0) /* -1: not stated */                      \
	X(TL_COL_REPO, "repo", 0, TL_NAME_REPO)                                            \
	X(TL_COL_PR, "pr", 0, 0)                                                           \
	X(TL_COL_BRANCH, "branch", 0, TL_NAME_BRANCH)                                      \
	X(TL_COL_COMMIT, "commit", 0, TL_NAME_COMMIT)                                      \
	X(TL_COL_BILLING, "billing", 0, 0)                                                 \
	X(TL_COL_TAGS, "tags", 0, TL_NAME_TAGS)                                            \
	X(TL_COL_EMAIL_ENC, "email_enc", 0, TL_NAME_EMAIL_ENC)                             \
	X(TL_COL_LINK_OP, "op", 0, 0)                                                      \
	X(TL_COL_VALUE, "value", 0, TL_NAME_TEXT) /* normalised link value */              \
	X(TL_COL_LINES_ADDED, "lines_added", 0, 0)                                         \
	X(TL_COL_LINES_REMOVED, "lines_removed", 0, 0)                                     \
	X(TL_COL_COMMITS, "commits", 0, 0)                                                 \
	X(TL_COL_PULL_REQUESTS, "pull_requests", 0, 0)                                     \
	X(TL_COL_ACTIVE_MS, "active_ms", 0, 0)                                             \
	X(TL_COL_EDITS_ACCEPTED, "edits_accepted", 0, 0)                                   \
	X(TL_COL_EDITS_REJECTED, "edits_rejected", 0, 0)                                   \
	X(TL_COL_RULE, "rule", 0, TL_NAME_TEXT)                                            \
	X(TL_COL_SEVERITY, "severity", 0, 0)                                               \
	X(TL_COL_FIX_MS, "fix_ms", 0, 0)                                                   \
	/* on the way in only: who sent it, resolved to MEMBER and AGENT by the writer */  \
	X(TL_COL_KEY, "key", 0, TL_NAME_KEY)                                               \
	X(TL_COL_EMAIL, "email", 0, TL_NAME_EMAIL)                                         \
	X(TL_COL_MEMBER_ID, "member", 0, TL_NAME_MEMBER)                                   \
	X(TL_COL_AGENT_TYPE, "agent", 0, TL_NAME_AGENT_TYPE)

enum tl_column {
#define X(symbol, field, initial, name_kind) symbol,
	TL_COLUMN_LIST(X)
#undef X
		TL_COL_COUNT
};

/* The tag of usage that an agent states of itself: an estimate, not what a gateway saw. */
#define TL_TAG_CLIENT "client_reported"
#define TL_TAGS_CLIENT "\x0f" TL_TAG_CLIENT /* it alone, as TL_NAME_TAGS has it */

/* Columns from here on are never stored. */
#define TL_COL_STORED_COUNT TL_COL_KEY

const char *tl_column_field(enum tl_column column);

/* In every loop over rows: of a column that is known the compiler knows this as well. */
static inline int64_t
tl_column_default(enum tl_column column)
{
	static const int64_t defaults[TL_COL_COUNT] = {
#define X(symbol, field, initial, name_kind) [symbol] = initial,
		TL_COLUMN_LIST(X)
#undef X
	};

	return defaults[column];
}

/* The kind of name a column holds, or 0 when it holds a plain number. */
enum tl_name_kind tl_column_name_kind(enum tl_column column);

/* A distinct name of one batch. */
struct tl_symbol {
	enum tl_name_kind kind;
	struct tl_slice text; /* borrowed from the message or the batch's arena */
};

/* Why one event of a batch was not stored; what SPEC 2.5 calls errors[]. */
struct tl_reject {
	uint32_t event_idx; /* in the batch as sent */
	enum tl_err err;
	const char *field; /* static, or NULL */
	int64_t limit;	   /* INT64_MIN: none */
	char got[72];	   /* escaped, "" when there is nothing to show */
	uint8_t id[16];	   /* zeros when the id itself could not be read */
};

/*
 * Rows as columns. All memory is the arena's. Filled by the wire reader (symbols) or by a block's
 * decoder (dense ids, symbol_count 0). Read a cell with tl_batch_get: an absent column is NULL.
 */
struct tl_batch {
	struct tl_arena *arena;
	uint32_t row_count;
	uint32_t row_capacity;
	uint8_t (*id)[16];	       /* row -> event id */
	uint32_t *event_idx;	       /* row -> index in the batch as sent; NULL in a block */
	int64_t *column[TL_COL_COUNT]; /* row -> value; NULL: all default */
	struct tl_symbol *symbols;     /* index 0 unused, so 0 is "no name" */
	uint32_t symbol_count;	       /* index 0 included: names are 1 .. count - 1; 0: no name */
	uint32_t symbol_capacity;
	uint64_t *symbol_slots;	    /* tl_batch_symbol's own: hash << 32 | symbol, 0 free */
	uint32_t symbol_slot_count; /* a power of two, at least twice symbol_capacity */
	struct tl_reject *rejects;
	uint32_t reject_count;
	uint32_t dropped_tag_count; /* repo, pr or commit tags dropped from accepted events */
};

/* Room for row_capacity rows and as many rejects. TL_ENOMEM past the arena's ceiling. */
TL_MUST enum tl_err tl_batch_init(
	struct tl_batch *batch, struct tl_arena *arena, uint32_t row_capacity);

static inline int64_t
tl_batch_get(const struct tl_batch *batch, enum tl_column column, uint32_t row_idx)
{
	const int64_t *values = batch->column[column];

	return values != NULL ? values[row_idx] : tl_column_default(column);
}

/* Makes the column present (filled with its default) when it was absent. TL_ENOMEM. */
TL_MUST enum tl_err tl_batch_need(struct tl_batch *batch, enum tl_column column);

/* The same with whatever was there before, for who writes every row. TL_ENOMEM. */
TL_MUST enum tl_err tl_batch_room(struct tl_batch *batch, enum tl_column column);

/* A column in which every row has the default becomes absent, so that nobody need look at it. */
void tl_batch_trim(struct tl_batch *batch, enum tl_column column);

/* tl_batch_need + store; a default value into an absent column costs nothing. */
TL_MUST enum tl_err tl_batch_set(
	struct tl_batch *batch, enum tl_column column, uint32_t row_idx, int64_t value);

/* The symbol for a name, made when new; *symbol_out >= 1. The text is borrowed. */
TL_MUST enum tl_err tl_batch_symbol(
	struct tl_batch *batch, enum tl_name_kind kind, struct tl_slice text, uint32_t *symbol_out);

/*
 * What one row adds to the figures (SPEC 3.1, 3.10, 3.11), without its sign: a link adds nothing.
 * Used by the fold, by verify and by queries on raw edges: the one place that says what counts.
 */
void tl_event_totals(const struct tl_batch *batch, uint32_t row_idx, struct tl_totals *totals_out);

/*
 * sum += sign * what the row adds; sign is 1 or -1. What tl_totals_add does with tl_event_totals,
 * touching only the measures that the batch has columns for.
 */
TL_MUST enum tl_err tl_event_totals_add(
	const struct tl_batch *batch, uint32_t row_idx, int sign, struct tl_totals *sum);

/*
 * The time a row counts at: never later than its arrival (SPEC: a stamp up to 5 minutes ahead is
 * counted at arrival; both are kept).
 */
static inline int64_t
tl_event_time(int64_t ts_ms, int64_t received_ms)
{
	return ts_ms < received_ms ? ts_ms : received_ms;
}

/*
 * The declared content of two rows of the same kind of numbering (both dense) compared after
 * defaults: the first column that differs, or TL_COL_COUNT when equal. SIGN, REV and ORG are not
 * content.
 */
enum tl_column tl_event_differs(
	const struct tl_batch *a, uint32_t a_row_idx, const struct tl_batch *b, uint32_t b_row_idx);

/* All zeros, all ones, "None", "null", "undefined" and the like cannot identify an event. */
TL_MUST bool tl_event_id_from_bytes(const uint8_t bytes[16], uint8_t id_out[16]);

/* Text of 8..64 bytes, hashed to 128 bits (first half of SHA-256 of "tally-id\0" + text). */
TL_MUST bool tl_event_id_from_text(struct tl_slice text, uint8_t id_out[16]);

#endif
