/*
 * A request of the way out. Parameters are named as over HTTP, where everything is text: a number
 * or a switch may come as msgpack's own type or as its text, and means the same.
 */
#include "schema/wire/query_wire.h"

#include <assert.h>
#include <stdio.h>

#include "schema/model/bucket.h"
#include "schema/model/limits.h"
#include "schema/wire/reader.h"

/* What a request says that struct tl_query has no field for. */
struct sight {
	uint64_t seen; /* bit of each parameter that was there */
	bool range_given;
	bool from_given, to_given;
};

/* X(symbol, name): every parameter a request may hold. The wrong ones are told by name. */
#define PARAM_LIST(X)               \
	X(PARAM_V, "v")             \
	X(PARAM_TOKEN, "token")     \
	X(PARAM_OP, "op")           \
	X(PARAM_ORG, "org")         \
	X(PARAM_RANGE, "range")     \
	X(PARAM_FROM, "from")       \
	X(PARAM_TO, "to")           \
	X(PARAM_TZ, "tz")           \
	X(PARAM_METRIC, "metric")   \
	X(PARAM_TOKENS, "tokens")   \
	X(PARAM_LIMIT, "limit")     \
	X(PARAM_CURSOR, "cursor")   \
	X(PARAM_SCOPE, "scope")     \
	X(PARAM_SPLIT, "split")     \
	X(PARAM_SESSION, "session") \
	X(PARAM_MEMBER, "member")   \
	X(PARAM_REPO, "repo")       \
	X(PARAM_PR, "pr")           \
	X(PARAM_AGENT, "agent")     \
	X(PARAM_KEY, "key")         \
	X(PARAM_Q, "q")             \
	X(PARAM_LEVEL, "level")     \
	X(PARAM_HAVE, "have")       \
	X(PARAM_HAVE_AGE_MS, "have_age_ms")

enum param {
#define X(symbol, name) symbol,
	PARAM_LIST(X)
#undef X
		PARAM_COUNT
};

static const char *const param_names[PARAM_COUNT] = {
#define X(symbol, name) name,
	PARAM_LIST(X)
#undef X
};

_Static_assert(PARAM_COUNT <= 64, "struct sight has a bit for each");

/* Longer than any name, cursor or scope can be. */
#define PARAM_BYTES_MAX 512u

const char *
tl_query_name(enum tl_query_op op)
{
	static const char *const names[TL_QUERY_COUNT] = {
#define X(symbol, name) name,
		TL_QUERY_LIST(X)
#undef X
	};

	assert(op < TL_QUERY_COUNT);
	return names[op];
}

bool
tl_query_is_about_having(struct tl_slice name)
{
	return tl_slice_eq(name, tl_slice_str(param_names[PARAM_HAVE])) ||
	       tl_slice_eq(name, tl_slice_str(param_names[PARAM_HAVE_AGE_MS]));
}

static enum tl_err
param_fail(enum param param, const char *wanted, struct tl_why *why)
{
	return tl_fail(why, TL_EBAD_PARAM, "%s: %s", param_names[param], wanted);
}

static enum tl_err
read_text(struct tl_reader *reader, enum param param, struct tl_slice *text_out, struct tl_why *why)
{
	struct tl_slice text;

	if (tl_reader_peek(reader) != TL_WIRE_STR)
		return param_fail(param, "text is wanted", why);
	text = tl_read_str(reader);
	if (text.bytes > PARAM_BYTES_MAX)
		return param_fail(param, "the text is too long", why);
	if (!tl_utf8_valid(text))
		return param_fail(param, "the text is not UTF-8", why);
	*text_out = text;
	return TL_OK;
}

/* Digits with an optional '-', at most 18 of them: no such text leaves int64. */
static bool
parse_int(struct tl_slice text, int64_t *value_out)
{
	bool negative = text.bytes > 0 && text.data[0] == '-';
	size_t sign_bytes = negative ? 1 : 0;
	int64_t value = 0;

	if (text.bytes <= sign_bytes || text.bytes > 18 + sign_bytes)
		return false;
	for (size_t i = sign_bytes; i < text.bytes; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (text.data[i] - '0');
	}
	*value_out = negative ? -value : value;
	return true;
}

static enum tl_err
read_int(struct tl_reader *reader, enum param param, int64_t min, int64_t max, int64_t *value_out,
	struct tl_why *why)
{
	enum tl_wire_type type = tl_reader_peek(reader);
	int64_t value = 0;
	bool valid = false;

	if (type == TL_WIRE_INT) {
		value = tl_read_int(reader);
		valid = !reader->err;
	} else if (type == TL_WIRE_STR) {
		valid = parse_int(tl_read_str(reader), &value);
	}
	if (!valid)
		return param_fail(param, "a whole number is wanted", why);
	if (value < min || value > max)
		return tl_fail(why, TL_EBAD_PARAM, "%s: %lld to %lld, got %lld", param_names[param],
			(long long)min, (long long)max, (long long)value);
	*value_out = value;
	return TL_OK;
}

/* Milliseconds, or RFC 3339 text. */
static enum tl_err
read_time(struct tl_reader *reader, enum param param, int64_t *time_ms_out, struct tl_why *why)
{
	char text[64];
	struct tl_reader ahead = *reader;
	struct tl_slice slice;
	int64_t time_ms;

	if (tl_reader_peek(reader) != TL_WIRE_STR)
		return read_int(reader, param, 0, TL_TIME_MS_MAX, time_ms_out, why);
	slice = tl_read_str(&ahead);
	if (parse_int(slice, &time_ms))
		return read_int(reader, param, 0, TL_TIME_MS_MAX, time_ms_out, why);
	*reader = ahead;
	if (slice.bytes >= sizeof(text) || memchr(slice.data, 0, slice.bytes) != NULL)
		return param_fail(param, "milliseconds or RFC 3339 are wanted", why);
	memcpy(text, slice.data, slice.bytes);
	text[slice.bytes] = '\0';
	if (!tl_time_parse(text, &time_ms) || time_ms < 0 || time_ms > TL_TIME_MS_MAX)
		return param_fail(param, "milliseconds or RFC 3339 are wanted", why);
	*time_ms_out = time_ms;
	return TL_OK;
}

static bool
is_word(struct tl_slice text, const char *word)
{
	return tl_slice_eq(text, tl_slice_str(word));
}

static enum tl_err
read_switch(struct tl_reader *reader, enum param param, bool *switch_out, struct tl_why *why)
{
	enum tl_wire_type type = tl_reader_peek(reader);
	struct tl_slice text;
	int64_t value;

	if (type == TL_WIRE_BOOL) {
		*switch_out = tl_read_bool(reader);
		return TL_OK;
	}
	if (type == TL_WIRE_INT) {
		value = tl_read_int(reader);
		if (!reader->err && (value == 0 || value == 1)) {
			*switch_out = value == 1;
			return TL_OK;
		}
	} else if (type == TL_WIRE_STR) {
		text = tl_read_str(reader);
		if (is_word(text, "1") || is_word(text, "true")) {
			*switch_out = true;
			return TL_OK;
		}
		if (is_word(text, "0") || is_word(text, "false")) {
			*switch_out = false;
			return TL_OK;
		}
	}
	return param_fail(param, "0 or 1 is wanted", why);
}

static enum tl_err
read_op(struct tl_reader *reader, enum tl_query_op *op_out, struct tl_why *why)
{
	struct tl_slice text = {0};
	enum tl_err err;

	err = read_text(reader, PARAM_OP, &text, why);
	if (err)
		return err;
	for (int op = 0; op < TL_QUERY_COUNT; op++) {
		if (is_word(text, tl_query_name((enum tl_query_op)op))) {
			*op_out = (enum tl_query_op)op;
			return TL_OK;
		}
	}
	return param_fail(PARAM_OP, "no such operation", why);
}

static enum tl_err
read_range(struct tl_reader *reader, enum tl_range *range_out, struct tl_why *why)
{
	struct tl_slice text = {0};
	enum tl_err err;

	err = read_text(reader, PARAM_RANGE, &text, why);
	if (!err && !tl_range_parse(text, range_out))
		return param_fail(PARAM_RANGE, "24h, 7d, 30d, 90d or custom", why);
	return err;
}

static enum tl_err
read_metric(struct tl_reader *reader, enum tl_metric *metric_out, struct tl_why *why)
{
	struct tl_slice text = {0};
	enum tl_err err;

	err = read_text(reader, PARAM_METRIC, &text, why);
	if (err)
		return err;
	if (is_word(text, "cost"))
		*metric_out = TL_METRIC_COST;
	else if (is_word(text, "tokens"))
		*metric_out = TL_METRIC_TOKENS;
	else if (is_word(text, "requests"))
		*metric_out = TL_METRIC_REQUESTS;
	else
		return param_fail(PARAM_METRIC, "cost, tokens or requests", why);
	return TL_OK;
}

static enum tl_err
read_tokens(struct tl_reader *reader, bool *uncached_out, struct tl_why *why)
{
	struct tl_slice text = {0};
	enum tl_err err;

	err = read_text(reader, PARAM_TOKENS, &text, why);
	if (err)
		return err;
	if (!is_word(text, "all") && !is_word(text, "uncached"))
		return param_fail(PARAM_TOKENS, "all or uncached", why);
	*uncached_out = is_word(text, "uncached");
	return TL_OK;
}

static enum tl_err
read_level(struct tl_reader *reader, bool *by_bins_out, struct tl_why *why)
{
	struct tl_slice text = {0};
	enum tl_err err;

	err = read_text(reader, PARAM_LEVEL, &text, why);
	if (err)
		return err;
	if (!is_word(text, "request") && !is_word(text, "bins"))
		return param_fail(PARAM_LEVEL, "request or bins", why);
	*by_bins_out = is_word(text, "bins");
	return TL_OK;
}

/* The parameters that are plain text, and where they go. NULL: another kind. */
static struct tl_slice *
text_param(struct tl_query *query, enum param param)
{
	switch (param) {
	case PARAM_TOKEN:
		return &query->token;
	case PARAM_ORG:
		return &query->org;
	case PARAM_TZ:
		return &query->tz;
	case PARAM_CURSOR:
		return &query->cursor;
	case PARAM_SCOPE:
		return &query->scope;
	case PARAM_SESSION:
		return &query->session;
	case PARAM_MEMBER:
		return &query->member;
	case PARAM_REPO:
		return &query->repo;
	case PARAM_AGENT:
		return &query->agent;
	case PARAM_KEY:
		return &query->key;
	case PARAM_Q:
		return &query->text;
	case PARAM_HAVE:
		return &query->have;
	case PARAM_V:
	case PARAM_OP:
	case PARAM_RANGE:
	case PARAM_FROM:
	case PARAM_TO:
	case PARAM_METRIC:
	case PARAM_TOKENS:
	case PARAM_LIMIT:
	case PARAM_SPLIT:
	case PARAM_PR:
	case PARAM_LEVEL:
	case PARAM_HAVE_AGE_MS:
	case PARAM_COUNT:
		break;
	}
	return NULL;
}

static enum tl_err
read_param(struct tl_reader *reader, enum param param, struct tl_query *query, struct sight *sight,
	struct tl_why *why)
{
	struct tl_slice *text = text_param(query, param);
	int64_t limit = 0;
	enum tl_err err = TL_OK;

	if (text != NULL)
		return read_text(reader, param, text, why);
	if (param == PARAM_V) {
		(void)tl_read_any(reader); /* checked before the others */
	} else if (param == PARAM_OP) {
		err = read_op(reader, &query->op, why);
	} else if (param == PARAM_RANGE) {
		sight->range_given = true;
		err = read_range(reader, &query->range, why);
	} else if (param == PARAM_FROM) {
		sight->from_given = true;
		err = read_time(reader, param, &query->from_ms, why);
	} else if (param == PARAM_TO) {
		sight->to_given = true;
		err = read_time(reader, param, &query->to_ms, why);
	} else if (param == PARAM_METRIC) {
		err = read_metric(reader, &query->metric, why);
	} else if (param == PARAM_TOKENS) {
		err = read_tokens(reader, &query->tokens_uncached, why);
	} else if (param == PARAM_LIMIT) {
		err = read_int(reader, param, 1, TL_PAGE_ROWS_MAX, &limit, why);
		if (!err)
			query->limit = (uint32_t)limit;
	} else if (param == PARAM_SPLIT) {
		err = read_switch(reader, param, &query->split, why);
	} else if (param == PARAM_LEVEL) {
		err = read_level(reader, &query->by_bins, why);
	} else if (param == PARAM_HAVE_AGE_MS) {
		err = read_int(
			reader, param, 0, TL_QUERY_HAVE_AGE_MS_MAX, &query->have_age_ms, why);
	} else {
		assert(param == PARAM_PR);
		err = read_int(reader, param, 1, TL_PR_MAX, &query->pr, why);
	}
	return err;
}

/* What only shows when all parameters are known. */
static enum tl_err
check_whole(struct tl_query *query, const struct sight *sight, struct tl_why *why)
{
	bool bounded = sight->from_given || sight->to_given;

	if ((sight->seen & (1ULL << PARAM_OP)) == 0)
		return param_fail(PARAM_OP, "an operation is wanted", why);
	if (bounded && !sight->range_given)
		query->range = TL_RANGE_CUSTOM;
	if (bounded && query->range != TL_RANGE_CUSTOM)
		return param_fail(PARAM_RANGE, "from and to belong to range custom", why);
	if (query->range == TL_RANGE_CUSTOM && !sight->from_given)
		return param_fail(PARAM_FROM, "a custom range needs from and to", why);
	if (query->range == TL_RANGE_CUSTOM && !sight->to_given)
		return param_fail(PARAM_TO, "a custom range needs from and to", why);
	query->has_range = bounded || sight->range_given;
	query->has_have = (sight->seen & (1ULL << PARAM_HAVE)) != 0;
	if (query->metric == TL_METRIC_TOKENS && query->tokens_uncached)
		query->metric = TL_METRIC_TOKENS_UNCACHED;
	return TL_OK;
}

static enum tl_err
read_key(struct tl_reader *reader, struct sight *sight, enum param *param_out, struct tl_why *why)
{
	struct tl_slice name;

	if (tl_reader_peek(reader) != TL_WIRE_STR)
		return tl_fail(why, TL_EFRAME_MALFORMED, "a parameter's name must be text");
	name = tl_read_str(reader);
	for (int i = 0; i < PARAM_COUNT; i++) {
		if (!is_word(name, param_names[i]))
			continue;
		if ((sight->seen & (1ULL << i)) != 0)
			return param_fail((enum param)i, "given twice", why);
		sight->seen |= 1ULL << i;
		*param_out = (enum param)i;
		return TL_OK;
	}
	if (name.bytes > 32 || !tl_utf8_valid(name))
		return tl_fail(why, TL_EBAD_PARAM, "no such parameter");
	return tl_fail(why, TL_EBAD_PARAM, "%.*s: no such parameter", (int)name.bytes,
		(const char *)name.data);
}

enum tl_err
tl_query_read(struct tl_slice checked_map, struct tl_query *query_out, struct tl_why *why)
{
	struct tl_query query = {
		.range = TL_RANGE_7D,
		.metric = TL_METRIC_COST,
		.have_age_ms = TL_QUERY_HAVE_AGE_MS,
	};
	struct sight sight = {0};
	struct tl_reader reader = tl_reader_of(checked_map);
	enum param param = PARAM_COUNT;
	uint32_t pair_count;
	enum tl_err err;

	if (tl_reader_peek(&reader) != TL_WIRE_MAP)
		return tl_fail(why, TL_EFRAME_MALFORMED, "a request is a map");
	if (tl_reader_find_int(checked_map, "v", 0) != TL_PROTOCOL_VERSION)
		return tl_fail(why, TL_EVERSION_UNSUPPORTED, "v must be %d", TL_PROTOCOL_VERSION);
	pair_count = tl_read_map(&reader);
	for (uint32_t i = 0; i < pair_count; i++) {
		err = read_key(&reader, &sight, &param, why);
		if (err)
			return err;
		if (tl_reader_peek(&reader) == TL_WIRE_NIL) {
			tl_read_nil(&reader);
			sight.seen &= ~(1ULL << param); /* nil is absent */
			continue;
		}
		err = read_param(&reader, param, &query, &sight, why);
		if (err)
			return err;
		if (reader.err)
			return tl_fail(why, reader.err, "%s: cannot be read", param_names[param]);
	}
	err = check_whole(&query, &sight, why);
	if (err)
		return err;
	*query_out = query;
	return TL_OK;
}

void
tl_page_cursor_format(uint32_t offset, char cursor_out[TL_PAGE_CURSOR_BYTES])
{
	snprintf(cursor_out, TL_PAGE_CURSOR_BYTES, "o%u", offset);
}

enum tl_err
tl_page_cursor_read(struct tl_slice cursor, uint32_t *offset_out, struct tl_why *why)
{
	uint32_t offset = 0;

	if (cursor.bytes == 0) {
		*offset_out = 0;
		return TL_OK;
	}
	if (cursor.bytes < 2 || cursor.bytes > 10 || cursor.data[0] != 'o')
		return tl_fail(why, TL_ECURSOR_INVALID, "cursor: not one of this query");
	for (size_t i = 1; i < cursor.bytes; i++) {
		if (cursor.data[i] < '0' || cursor.data[i] > '9')
			return tl_fail(why, TL_ECURSOR_INVALID, "cursor: not one of this query");
		offset = offset * 10 + (cursor.data[i] - '0');
	}
	*offset_out = offset;
	return TL_OK;
}
