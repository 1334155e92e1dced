/* What is wrong with an event, and how the value is shown to a person. */
#include "schema/wire/event_value.h"

#include <inttypes.h>
#include <stdio.h>

#define GOT_BYTES_MAX 64u

void
tl_event_fault(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, struct tl_slice got)
{
	if (field < TL_FIELD_COUNT)
		row->wrong |= TL_EVENT_BIT(field);
	if (row->fault.rank <= rank)
		return;
	row->fault = (struct tl_event_fault){.rank = rank,
		.err = err,
		.field = field < TL_FIELD_COUNT ? tl_event_field_name(field) : NULL,
		.limit = limit,
		.got = got,
		.got_number = INT64_MIN};
}

void
tl_event_fault_number(struct tl_event_row *row, enum tl_event_rank rank, enum tl_err err,
	enum tl_event_field field, int64_t limit, int64_t got, const char *hint)
{
	bool is_graver = rank < row->fault.rank;

	tl_event_fault(row, rank, err, field, limit, tl_slice_of(NULL, 0));
	if (is_graver) {
		row->fault.got_number = got;
		row->fault.hint = hint;
	}
}

/* Bytes of the character at the start that may be shown as it is, 0 when it must be escaped. */
static size_t
shown_bytes(struct tl_slice text)
{
	if (text.data[0] < 0x20 || text.data[0] == 0x7f)
		return 0;
	for (size_t bytes = 1; bytes <= 4 && bytes <= text.bytes; bytes++) {
		if (tl_utf8_valid(tl_slice_of(text.data, bytes)))
			return bytes;
	}
	return 0;
}

static void
got_text(char got_out[72], struct tl_slice text)
{
	static const char escape[] = "\\x00";
	size_t used_bytes = 0;

	while (text.bytes > 0) {
		size_t bytes = shown_bytes(text);
		size_t need_bytes = bytes > 0 ? bytes : sizeof(escape) - 1;

		if (used_bytes + need_bytes > GOT_BYTES_MAX)
			break;
		if (bytes > 0)
			memcpy(got_out + used_bytes, text.data, bytes);
		else
			snprintf(got_out + used_bytes, sizeof(escape), "\\x%02x", text.data[0]);
		used_bytes += need_bytes;
		bytes = bytes > 0 ? bytes : 1;
		text = tl_slice_of(text.data + bytes, text.bytes - bytes);
	}
	got_out[used_bytes] = '\0';
}

void
tl_event_got(char got_out[72], struct tl_slice got)
{
	struct tl_token token = {0};
	size_t room = GOT_BYTES_MAX + 1;

	got_out[0] = '\0';
	if (got.bytes == 0 || tl_token_read(got.data, got.data + got.bytes, &token) == NULL)
		return;
	switch (token.type) {
	case TL_WIRE_NIL:
		snprintf(got_out, room, "nil");
		break;
	case TL_WIRE_BOOL:
		snprintf(got_out, room, "%s", token.number != 0 ? "true" : "false");
		break;
	case TL_WIRE_INT:
		if (token.is_wide)
			snprintf(got_out, room, "%" PRIu64, tl_token_be(got.data + 1, 8));
		else
			snprintf(got_out, room, "%" PRId64, token.number);
		break;
	case TL_WIRE_FLOAT:
		snprintf(got_out, room, "%.17g", token.real);
		break;
	case TL_WIRE_STR:
		got_text(got_out, token.bytes);
		break;
	case TL_WIRE_BIN:
		snprintf(got_out, room, "binary of %zu bytes", token.bytes.bytes);
		break;
	case TL_WIRE_ARRAY:
		snprintf(got_out, room, "a list of %" PRId64, token.number);
		break;
	case TL_WIRE_MAP:
		snprintf(got_out, room, "a map of %" PRId64, token.number);
		break;
	case TL_WIRE_EXT:
		snprintf(got_out, room, "an extension of %zu bytes", token.bytes.bytes);
		break;
	}
}

void
tl_event_fault_got(const struct tl_event_fault *fault, char got_out[72])
{
	size_t room = GOT_BYTES_MAX + 1;

	if (fault->got.bytes > 0)
		tl_event_got(got_out, fault->got);
	else if (fault->got_number != INT64_MIN)
		snprintf(got_out, room, "%" PRId64 "%s", fault->got_number,
			fault->hint != NULL ? fault->hint : "");
	else
		got_out[0] = '\0';
}
