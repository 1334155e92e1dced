/* The way a sender writes: events as maps or rows, and the answer to them. */
#include "schema/wire/event_wire.h"

#include <stddef.h>

#include "schema/wire/event_field.h"
#include "schema/wire/pack.h"

/* When a number of struct tl_wire_event is left out. */
enum absence {
	WHEN_ZERO,
	WHEN_ABSENT, /* TL_WIRE_ABSENT */
	WHEN_200,
};

struct slot {
	enum {
		SLOT_NONE, /* not in the struct, or written by its own rule */
		SLOT_TEXT,
		SLOT_NUMBER,
	} type;
	bool request_only; /* a zeroed struct of another kind must not claim a cost of 0 */
	enum absence absence;
	size_t offset;
};

#define TEXT(member)                                                                \
	{                                                                           \
		.type = SLOT_TEXT, .offset = offsetof(struct tl_wire_event, member) \
	}
#define NUMBER(member, when, only)                                          \
	{                                                                   \
		.type = SLOT_NUMBER, .request_only = only, .absence = when, \
		.offset = offsetof(struct tl_wire_event, member)            \
	}

static const struct slot slots[TL_FIELD_COUNT] = {
	[TL_FIELD_TS] = NUMBER(ts_ms, WHEN_ABSENT, false),
	[TL_FIELD_KEY] = TEXT(key),
	[TL_FIELD_EMAIL] = TEXT(email),
	[TL_FIELD_MEMBER] = TEXT(member_hex),
	[TL_FIELD_AGENT] = TEXT(agent),
	[TL_FIELD_SESSION] = TEXT(session),
	[TL_FIELD_PROVIDER] = TEXT(provider),
	[TL_FIELD_MODEL] = TEXT(model),
	[TL_FIELD_INPUT] = NUMBER(input_tokens, WHEN_ABSENT, true),
	[TL_FIELD_CACHE_READ] = NUMBER(cache_read_tokens, WHEN_ZERO, false),
	[TL_FIELD_CACHE_WRITE] = NUMBER(cache_write_tokens, WHEN_ZERO, false),
	[TL_FIELD_CACHE_WRITE_1H] = NUMBER(cache_write_1h_tokens, WHEN_ZERO, false),
	[TL_FIELD_OUTPUT] = NUMBER(output_tokens, WHEN_ABSENT, true),
	[TL_FIELD_REASONING] = NUMBER(reasoning_tokens, WHEN_ZERO, false),
	[TL_FIELD_COST] = NUMBER(cost_nusd, WHEN_ABSENT, true),
	[TL_FIELD_SAVED_TOKENS] = NUMBER(saved_tokens, WHEN_ZERO, false),
	[TL_FIELD_SAVED_NUSD] = NUMBER(saved_nusd, WHEN_ZERO, false),
	[TL_FIELD_STATUS] = NUMBER(status, WHEN_200, true),
	[TL_FIELD_DURATION] = NUMBER(duration_ms, WHEN_ABSENT, true),
	[TL_FIELD_REPO] = TEXT(repo),
	[TL_FIELD_PR] = NUMBER(pr, WHEN_ZERO, false),
	[TL_FIELD_BRANCH] = TEXT(branch),
	[TL_FIELD_COMMIT] = TEXT(commit),
	[TL_FIELD_REV] = NUMBER(rev, WHEN_ZERO, false),
	[TL_FIELD_VALUE] = TEXT(value),
	[TL_FIELD_LINES_ADDED] = NUMBER(lines_added, WHEN_ZERO, false),
	[TL_FIELD_LINES_REMOVED] = NUMBER(lines_removed, WHEN_ZERO, false),
	[TL_FIELD_COMMITS] = NUMBER(commits, WHEN_ZERO, false),
	[TL_FIELD_PULL_REQUESTS] = NUMBER(pull_requests, WHEN_ZERO, false),
	[TL_FIELD_ACTIVE_MS] = NUMBER(active_ms, WHEN_ZERO, false),
	[TL_FIELD_EDITS_ACCEPTED] = NUMBER(edits_accepted, WHEN_ZERO, false),
	[TL_FIELD_EDITS_REJECTED] = NUMBER(edits_rejected, WHEN_ZERO, false),
	[TL_FIELD_RULE] = TEXT(rule),
	[TL_FIELD_SEVERITY] = TEXT(severity),
	[TL_FIELD_FIX_MS] = NUMBER(fix_ms, WHEN_ZERO, false),
};

static struct tl_slice
slot_text(const struct slot *slot, const struct tl_wire_event *event)
{
	struct tl_slice text;

	memcpy(&text, (const uint8_t *)event + slot->offset, sizeof(text));
	return text;
}

static int64_t
slot_number(const struct slot *slot, const struct tl_wire_event *event)
{
	int64_t number;

	memcpy(&number, (const uint8_t *)event + slot->offset, sizeof(number));
	return number;
}

static bool
slot_is_used(const struct slot *slot, const struct tl_wire_event *event)
{
	int64_t number;

	if (slot->type == SLOT_TEXT)
		return slot_text(slot, event).bytes > 0;
	if (slot->type == SLOT_NONE || (slot->request_only && event->kind != TL_KIND_REQUEST))
		return false;
	number = slot_number(slot, event);
	switch (slot->absence) {
	case WHEN_ZERO:
		return number != 0 && number != TL_WIRE_ABSENT;
	case WHEN_ABSENT:
		return number != TL_WIRE_ABSENT;
	case WHEN_200:
		return number != 200 && number != TL_WIRE_ABSENT;
	}
	return false;
}

/* The fields an event uses, as a mask. */
static uint64_t
fields_used(const struct tl_wire_event *event)
{
	uint64_t used = (uint64_t)1 << TL_FIELD_ID;

	for (unsigned int field = 0; field < TL_FIELD_COUNT; field++) {
		if (slot_is_used(&slots[field], event))
			used |= (uint64_t)1 << field;
	}
	if (event->kind != TL_KIND_REQUEST)
		used |= (uint64_t)1 << TL_FIELD_KIND;
	if (event->is_plan)
		used |= (uint64_t)1 << TL_FIELD_BILLING;
	if (event->tag.bytes > 0)
		used |= (uint64_t)1 << TL_FIELD_TAGS;
	if (event->link_op != TL_LINK_NONE)
		used |= (uint64_t)1 << TL_FIELD_OP;
	return used;
}

static void
field_put(struct tl_buf *buf, enum tl_event_field field, const struct tl_wire_event *event)
{
	const struct slot *slot = &slots[field];

	if (slot->type == SLOT_TEXT)
		tl_pack_slice(buf, slot_text(slot, event));
	else if (slot->type == SLOT_NUMBER)
		tl_pack_int(buf, slot_number(slot, event));
	else if (field == TL_FIELD_KIND)
		tl_pack_str(buf, tl_event_word(field, (int64_t)event->kind));
	else if (field == TL_FIELD_BILLING)
		tl_pack_str(buf, tl_event_word(field, TL_BILLING_PLAN));
	else if (field == TL_FIELD_OP)
		tl_pack_str(buf, tl_event_word(field, (int64_t)event->link_op));
	else if (field == TL_FIELD_TAGS) {
		tl_pack_array(buf, 1);
		tl_pack_slice(buf, event->tag);
	} else if (event->id_text.bytes > 0)
		tl_pack_slice(buf, event->id_text);
	else
		tl_pack_bin(buf, tl_slice_of(event->id, sizeof(event->id)));
}

void
tl_wire_event_price(struct tl_wire_event *event, const struct tl_prices *prices)
{
	const struct tl_price_row *row = tl_prices_find(prices, event->model, event->ts_ms);
	struct tl_price_tokens tokens = {
		.input = event->input_tokens,
		.output = event->output_tokens,
		.cache_read = event->cache_read_tokens,
		.cache_write = event->cache_write_tokens,
		.cache_write_1h = event->cache_write_1h_tokens,
	};

	if (row == NULL || !tl_price_cost(row, &tokens, &event->cost_nusd))
		event->cost_nusd = TL_WIRE_ABSENT;
}

/* Everything before the list of events; more_count pairs follow it. */
static void
head_put(struct tl_buf *buf, struct tl_slice token, struct tl_slice batch, bool import,
	uint32_t more_count)
{
	tl_pack_map(buf, 2 + (batch.bytes > 0) + import + more_count);
	tl_pack_str(buf, "v");
	tl_pack_int(buf, TL_PROTOCOL_VERSION);
	tl_pack_str(buf, "token");
	tl_pack_slice(buf, token);
	if (batch.bytes > 0) {
		tl_pack_str(buf, "batch");
		tl_pack_slice(buf, batch);
	}
	if (import) {
		tl_pack_str(buf, "import");
		tl_pack_bool(buf, true);
	}
}

void
tl_batch_put_maps(struct tl_buf *buf, struct tl_slice token, struct tl_slice batch, bool import,
	const struct tl_wire_event *events, uint32_t event_count)
{
	head_put(buf, token, batch, import, 1);
	tl_pack_str(buf, "events");
	tl_pack_array(buf, event_count);
	for (uint32_t i = 0; i < event_count; i++) {
		uint64_t used = fields_used(&events[i]);

		tl_pack_map(buf, (uint32_t)__builtin_popcountll(used));
		for (uint64_t left = used; left != 0; left &= left - 1) {
			enum tl_event_field field = (enum tl_event_field)__builtin_ctzll(left);

			tl_pack_str(buf, tl_event_field_name(field));
			field_put(buf, field, &events[i]);
		}
	}
}

void
tl_batch_put_rows(struct tl_buf *buf, struct tl_slice token, struct tl_slice batch, bool import,
	const struct tl_wire_event *events, uint32_t event_count)
{
	uint64_t columns = 0;

	for (uint32_t i = 0; i < event_count; i++)
		columns |= fields_used(&events[i]);
	head_put(buf, token, batch, import, 2);
	tl_pack_str(buf, "fields");
	tl_pack_array(buf, (uint32_t)__builtin_popcountll(columns));
	for (uint64_t left = columns; left != 0; left &= left - 1)
		tl_pack_str(buf, tl_event_field_name((enum tl_event_field)__builtin_ctzll(left)));
	tl_pack_str(buf, "rows");
	tl_pack_array(buf, event_count);
	for (uint32_t i = 0; i < event_count; i++) {
		uint64_t used = fields_used(&events[i]);

		tl_pack_array(buf, (uint32_t)__builtin_popcountll(columns));
		for (uint64_t left = columns; left != 0; left &= left - 1) {
			enum tl_event_field field = (enum tl_event_field)__builtin_ctzll(left);

			if ((used & (uint64_t)1 << field) != 0)
				field_put(buf, field, &events[i]);
			else
				tl_pack_nil(buf);
		}
	}
}

static void
reject_put(struct tl_buf *reply, const struct tl_reject *reject)
{
	static const uint8_t zeros[sizeof(reject->id)];
	struct tl_pack_open map = tl_pack_open_map(reply);

	tl_pack_key_int(reply, &map, "i", reject->event_idx);
	tl_pack_key(reply, &map, "id");
	if (memcmp(reject->id, zeros, sizeof(zeros)) == 0)
		tl_pack_nil(reply);
	else
		tl_pack_bin(reply, tl_slice_of(reject->id, sizeof(reject->id)));
	tl_pack_key_str(reply, &map, "code", tl_err_name(reject->err));
	if (reject->field != NULL)
		tl_pack_key_str(reply, &map, "field", reject->field);
	if (reject->limit != INT64_MIN)
		tl_pack_key_int(reply, &map, "limit", reject->limit);
	if (reject->got[0] != '\0')
		tl_pack_key_str(reply, &map, "got", reject->got);
	tl_pack_close(reply, &map);
}

void
tl_batch_put_answer(struct tl_buf *reply, const struct tl_batch_answer *answer)
{
	struct tl_pack_open map = tl_pack_open_map(reply);

	tl_pack_key_int(reply, &map, "v", TL_PROTOCOL_VERSION);
	tl_pack_key_bool(reply, &map, "ok", true);
	tl_pack_key_slice(reply, &map, "batch", answer->batch);
	tl_pack_key_int(reply, &map, "epoch", (int64_t)answer->epoch);
	tl_pack_key_int(reply, &map, "seq", (int64_t)answer->seq);
	tl_pack_key_int(reply, &map, "accepted", answer->accepted);
	tl_pack_key_int(reply, &map, "duplicate", answer->duplicate);
	tl_pack_key_int(reply, &map, "replaced", answer->replaced);
	tl_pack_key_int(reply, &map, "rejected", answer->rejected);
	tl_pack_key(reply, &map, "errors");
	tl_pack_array(reply, answer->reject_count);
	for (uint32_t i = 0; i < answer->reject_count; i++)
		reject_put(reply, &answer->rejects[i]);
	tl_pack_close(reply, &map);
}
