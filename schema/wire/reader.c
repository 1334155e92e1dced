#include "schema/wire/reader.h"

#include <assert.h>

#include "schema/wire/token.h"

#define CHECK_DEPTH_MAX 16u

/*
 * Past values without children, at most *owed of them, which is counted down. Stops in front of
 * anything else, of the last two bytes, and of a value that runs past the end.
 */
static inline const uint8_t *
skip_plain(const uint8_t *at, const uint8_t *end, uint64_t *owed)
{
	uint64_t left = *owed;

	while (left > 0 && end - at >= 2) {
		const struct tl_token_head *head = &tl_token_heads[*at];
		size_t bytes = (size_t)head->bytes + (at[1] & head->length_mask);

		if (!head->is_plain || bytes > (size_t)(end - at))
			break;
		at += bytes;
		left--;
	}
	*owed = left;
	return at;
}

/* Why a walk over a value stopped. */
enum stop {
	STOP_BEHIND, /* all of it was there */
	STOP_CUT,    /* no whole token */
	STOP_CLAIM,  /* a container claims more elements than bytes are left */
	STOP_DEEP,
};

/*
 * Walks the tokens with the number of values still owed at each depth: no recursion and no memory
 * but this stack. An element takes at least one byte, so a claim above the bytes left is a lie, and
 * refusing it here is what lets everybody behind this line believe a count. *at_out is the place
 * behind the value, or the token that stopped the walk.
 */
static inline enum stop
walk(const uint8_t *at, const uint8_t *end, uint32_t depth_max, const uint8_t **at_out)
{
	uint64_t above[CHECK_DEPTH_MAX]; /* owed by the containers around this one */
	uint64_t owed = 1;
	uint32_t depth = 0;

	assert(depth_max <= CHECK_DEPTH_MAX);
	for (;;) {
		struct tl_token token;

		at = skip_plain(at, end, &owed);
		while (owed == 0 && depth > 0)
			owed = above[--depth];
		*at_out = at;
		if (owed == 0)
			return STOP_BEHIND;
		owed--;
		at = tl_token_read(at, end, &token);
		if (at == NULL)
			return STOP_CUT;
		if (token.type != TL_WIRE_ARRAY && token.type != TL_WIRE_MAP)
			continue;
		if (tl_token_children(&token) > (uint64_t)(end - at))
			return STOP_CLAIM;
		if (depth == depth_max)
			return STOP_DEEP;
		above[depth++] = owed;
		owed = tl_token_children(&token);
	}
}

enum tl_err
tl_reader_check(struct tl_slice value, uint32_t depth_max, struct tl_why *why)
{
	const uint8_t *end = value.bytes > 0 ? value.data + value.bytes : value.data;
	const uint8_t *at;

	switch (walk(value.data, end, depth_max, &at)) {
	case STOP_BEHIND:
		break;
	case STOP_CUT:
		return tl_fail(why, TL_EFRAME_MALFORMED,
			"no whole msgpack value at byte %td of %zu", at - value.data, value.bytes);
	case STOP_CLAIM:
		return tl_fail(why, TL_EFRAME_MALFORMED,
			"the container at byte %td claims more than the %zu bytes hold",
			at - value.data, value.bytes);
	case STOP_DEEP:
		return tl_fail(why, TL_ETOO_DEEP, "nested deeper than the limit of %u at byte %td",
			depth_max, at - value.data);
	}
	if (at != end)
		return tl_fail(why, TL_EFRAME_MALFORMED, "%td bytes follow the value", end - at);
	return TL_OK;
}

const uint8_t *
tl_reader_pass(const uint8_t *at, const uint8_t *end, uint32_t depth_max)
{
	return walk(at, end, depth_max, &at) == STOP_BEHIND ? at : NULL;
}

struct tl_reader
tl_reader_of(struct tl_slice checked)
{
	return (struct tl_reader){.next = checked.data,
		.end = checked.bytes > 0 ? checked.data + checked.bytes : checked.data};
}

/* The next token without moving; false with the error stuck when there is none. */
static bool
token_peek(struct tl_reader *reader, struct tl_token *token, const uint8_t **after_out)
{
	if (reader->err)
		return false;
	*after_out = tl_token_read(reader->next, reader->end, token);
	if (*after_out == NULL)
		reader->err = TL_EFRAME_MALFORMED;
	return *after_out != NULL;
}

/* Moves past the next token when it has this type, else sticks and stays. */
static bool
token_take(struct tl_reader *reader, enum tl_wire_type type, struct tl_token *token)
{
	const uint8_t *after;

	if (!token_peek(reader, token, &after))
		return false;
	if (token->type != type || token->is_wide) {
		reader->err = TL_EFIELD_TYPE;
		return false;
	}
	reader->next = after;
	return true;
}

enum tl_wire_type
tl_reader_peek(struct tl_reader *reader)
{
	struct tl_token token;
	const uint8_t *after;

	return token_peek(reader, &token, &after) ? token.type : TL_WIRE_NIL;
}

uint32_t
tl_read_map(struct tl_reader *reader)
{
	struct tl_token token;

	return token_take(reader, TL_WIRE_MAP, &token) ? (uint32_t)token.number : 0;
}

uint32_t
tl_read_array(struct tl_reader *reader)
{
	struct tl_token token;

	return token_take(reader, TL_WIRE_ARRAY, &token) ? (uint32_t)token.number : 0;
}

struct tl_slice
tl_read_str(struct tl_reader *reader)
{
	struct tl_token token;

	return token_take(reader, TL_WIRE_STR, &token) ? token.bytes : tl_slice_of(NULL, 0);
}

struct tl_slice
tl_read_bin(struct tl_reader *reader)
{
	struct tl_token token;

	return token_take(reader, TL_WIRE_BIN, &token) ? token.bytes : tl_slice_of(NULL, 0);
}

bool
tl_read_bool(struct tl_reader *reader)
{
	struct tl_token token;

	return token_take(reader, TL_WIRE_BOOL, &token) && token.number != 0;
}

void
tl_read_nil(struct tl_reader *reader)
{
	struct tl_token token;

	(void)token_take(reader, TL_WIRE_NIL, &token);
}

int64_t
tl_read_int(struct tl_reader *reader)
{
	struct tl_token token;

	return token_take(reader, TL_WIRE_INT, &token) ? token.number : 0;
}

double
tl_read_float(struct tl_reader *reader)
{
	struct tl_token token;

	return token_take(reader, TL_WIRE_FLOAT, &token) ? token.real : 0;
}

struct tl_slice
tl_read_any(struct tl_reader *reader)
{
	const uint8_t *at = reader->next;
	const uint8_t *after;

	if (reader->err)
		return tl_slice_of(NULL, 0);
	after = tl_token_skip(at, reader->end);
	if (after == NULL) {
		reader->err = TL_EFRAME_MALFORMED;
		return tl_slice_of(NULL, 0);
	}
	reader->next = after;
	return tl_slice_of(at, (size_t)(after - at));
}

bool
tl_reader_find(struct tl_slice checked, const char *key, struct tl_reader *value_out)
{
	struct tl_reader reader = tl_reader_of(checked);
	struct tl_slice wanted = tl_slice_str(key);
	uint32_t pair_count = tl_read_map(&reader);

	for (uint32_t i = 0; i < pair_count && !reader.err; i++) {
		bool is_str = tl_reader_peek(&reader) == TL_WIRE_STR;
		struct tl_slice name = is_str ? tl_read_str(&reader) : tl_read_any(&reader);
		struct tl_slice value = tl_read_any(&reader);

		if (reader.err || !is_str || !tl_slice_eq(name, wanted))
			continue;
		*value_out = tl_reader_of(value);
		return true;
	}
	return false;
}

int64_t
tl_reader_find_int(struct tl_slice checked, const char *key, int64_t absent)
{
	struct tl_reader reader;
	int64_t value;

	if (!tl_reader_find(checked, key, &reader))
		return absent;
	value = tl_read_int(&reader);
	return reader.err ? absent : value;
}

struct tl_slice
tl_reader_find_str(struct tl_slice checked, const char *key)
{
	struct tl_reader reader;

	if (!tl_reader_find(checked, key, &reader))
		return tl_slice_of(NULL, 0);
	return tl_read_str(&reader);
}

bool
tl_reader_find_bool(struct tl_slice checked, const char *key, bool absent)
{
	struct tl_reader reader;
	bool value;

	if (!tl_reader_find(checked, key, &reader))
		return absent;
	value = tl_read_bool(&reader);
	return reader.err ? absent : value;
}
