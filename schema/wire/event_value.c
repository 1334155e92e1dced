#include "schema/wire/event_value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

bool
tl_event_lane_begin(struct tl_event_reading *reading, enum tl_event_field field)
{
	struct tl_event_lane *lane = &reading->lane[field];
	enum tl_column column = (enum tl_column)tl_event_fields[field].column;

	if (lane->cells != NULL || column == TL_COL_COUNT)
		return true;
	reading->err = tl_batch_need(reading->batch, column);
	lane->cells = reading->batch->column[column];
	return reading->err == TL_OK;
}

void
tl_event_recent_keep(struct tl_event_recent slots[TL_EVENT_RECENT_SLOTS], uint8_t field,
	struct tl_slice raw, uint32_t cell)
{
	struct tl_event_text text;
	uint32_t slot;

	assert(raw.bytes > 0);
	if (raw.bytes > TL_EVENT_BYTES_MAX)
		return;
	text = tl_event_text_of(field, raw);
	slot = text.slot;
	for (uint32_t i = 0; i < TL_EVENT_RECENT_PROBES; i++) {
		uint32_t other = (text.slot + i) % TL_EVENT_RECENT_SLOTS;

		if (slots[other].key == 0) {
			slot = other;
			break;
		}
	}
	/* All taken: the text that is nearest to its own place makes room. */
	slots[slot] = (struct tl_event_recent){.head = text.head,
		.tail = text.tail,
		.data = text.data,
		.key = text.key,
		.cell = cell};
}

static void
type_fault(struct tl_event_row *row, enum tl_event_field field, struct tl_slice raw)
{
	tl_event_fault(row, TL_RANK_TYPE, TL_EFIELD_TYPE, field, INT64_MIN, raw);
}

static void
range_fault(struct tl_event_row *row, enum tl_event_field field, enum tl_err err, int64_t limit,
	struct tl_slice raw)
{
	tl_event_fault(row, TL_RANK_RANGE, err, field, limit, raw);
}

/* Plain ASCII, eight bytes at a time: what nearly all names are. */
static bool
is_plain_ascii(struct tl_slice text)
{
	const uint64_t ones = 0x0101010101010101u;
	const uint64_t tops = 0x8080808080808080u;
	size_t i = 0;

	for (; i + sizeof(uint64_t) <= text.bytes; i += sizeof(uint64_t)) {
		uint64_t word;
		uint64_t del;

		memcpy(&word, text.data + i, sizeof(word));
		del = word ^ ones * 0x7f;
		/* a byte above 0x7f, or below 0x20 (borrows), or equal to 0x7f (zero borrows) */
		if (((word | (word - ones * 0x20) | (del - ones)) & tops) != 0)
			return false;
	}
	for (; i < text.bytes; i++) {
		if (text.data[i] < 0x20 || text.data[i] >= 0x7f)
			return false;
	}
	return true;
}

static bool
has_control(struct tl_slice text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] < 0x20 || text.data[i] == 0x7f)
			return true;
	}
	return false;
}

/* Length, UTF-8 and control characters; false with the fault noted. */
static bool
text_check(struct tl_event_row *row, enum tl_event_field field, struct tl_slice text,
	size_t bytes_max, struct tl_slice raw)
{
	enum tl_err err = TL_OK;

	if (text.bytes > bytes_max)
		err = TL_ESTRING_TOO_LONG;
	else if (is_plain_ascii(text))
		return true;
	else if (!tl_utf8_valid(text))
		err = TL_ESTRING_NOT_UTF8;
	else if (has_control(text))
		err = TL_ESTRING_CONTROL;
	if (err == TL_OK)
		return true;
	range_fault(
		row, field, err, err == TL_ESTRING_TOO_LONG ? (int64_t)bytes_max : INT64_MIN, raw);
	return false;
}

/* The row's value is the name text, remembered by the value it came as. */
static void
name_set(struct tl_event_row *row, enum tl_event_field field, struct tl_slice text,
	struct tl_slice came)
{
	row->text[field] = text;
	row->came[field] = came;
	row->pending |= TL_EVENT_BIT(field);
}

/* The same for text that lies in the row and has to move if the event is stored. */
static void
staged_set(struct tl_event_row *row, enum tl_event_field field, struct tl_slice text,
	struct tl_slice came)
{
	name_set(row, field, text, came);
	row->staged |= TL_EVENT_BIT(field);
}

static void
id_read(struct tl_event_row *row, const struct tl_token *token, struct tl_slice raw)
{
	bool good = false;

	if (token->type == TL_WIRE_BIN && token->bytes.bytes == sizeof(row->id))
		good = tl_event_id_from_bytes(token->bytes.data, row->id);
	else if (token->type == TL_WIRE_STR)
		good = tl_event_id_from_text(token->bytes, row->id);
	if (!good)
		tl_event_fault(row, TL_RANK_ID, TL_EID_INVALID, TL_FIELD_ID, INT64_MIN, raw);
}

/* A tag is dropped and counted: money is never refused for a tag. */
static void
tag_drop(struct tl_event_reading *reading, enum tl_event_field field)
{
	tl_event_absent(reading, field);
	reading->row.dropped_tag_count++;
}

static void
number_read(struct tl_event_reading *reading, enum tl_event_field field,
	const struct tl_token *token, struct tl_slice raw)
{
	struct tl_event_row *row = &reading->row;
	const struct tl_event_field_info *info = &tl_event_fields[field];
	enum tl_field_type type = (enum tl_field_type)info->type;
	enum tl_err low = TL_EFIELD_TYPE; /* of an ordinary number there is no better code */
	enum tl_err high = TL_EFIELD_TYPE;

	if (token->type == TL_WIRE_INT && token->number >= info->min &&
		token->number <= info->max) {
		tl_event_cell_put(reading, field, token->number);
		return;
	}
	if (token->type == TL_WIRE_INT && type == TL_FIELD_PR_TAG) {
		tag_drop(reading, field);
		return;
	}
	if (type == TL_FIELD_AMOUNT) {
		low = TL_EAMOUNT_NEGATIVE;
		high = TL_EAMOUNT_TOO_LARGE;
	} else if (type == TL_FIELD_TOKENS) {
		low = TL_ETOKENS_NEGATIVE;
		high = TL_ETOKENS_TOO_LARGE;
	} else if (type == TL_FIELD_TIME) {
		low = TL_ETIME_INVALID;
		high = TL_ETIME_INVALID;
	}
	if (token->type != TL_WIRE_INT)
		tl_event_fault(row, TL_RANK_TYPE,
			type == TL_FIELD_AMOUNT ? TL_EAMOUNT_NOT_INTEGER : TL_EFIELD_TYPE, field,
			INT64_MIN, raw);
	else if (token->number < info->min)
		range_fault(row, field, low, info->min, raw);
	else
		range_fault(row, field, high, info->max, raw);
}

static void
word_read(struct tl_event_reading *reading, enum tl_event_field field, const struct tl_token *token,
	struct tl_slice raw)
{
	int64_t number = token->type == TL_WIRE_STR ? tl_event_word_find(field, token->bytes) : -1;

	if (number < 0) {
		type_fault(&reading->row, field, raw);
		return;
	}
	tl_event_cell_put(reading, field, number);
	tl_event_recent_keep(reading->recent, (uint8_t)field, raw, (uint32_t)number);
}

static void
member_read(struct tl_event_row *row, const struct tl_token *token, struct tl_slice raw)
{
	if (!tl_unhex(token->bytes, row->member, sizeof(row->member))) {
		type_fault(row, TL_FIELD_MEMBER, raw);
		return;
	}
	staged_set(row, TL_FIELD_MEMBER, tl_slice_of(row->member, sizeof(row->member)), raw);
}

static void
email_read(struct tl_event_row *row, const struct tl_token *token, struct tl_slice raw)
{
	if (!text_check(row, TL_FIELD_EMAIL, token->bytes, TL_EMAIL_BYTES_MAX, raw))
		return;
	if (!tl_email_normalise(token->bytes, row->email)) {
		type_fault(row, TL_FIELD_EMAIL, raw);
		return;
	}
	staged_set(row, TL_FIELD_EMAIL, tl_slice_str(row->email), raw);
}

static void
repo_read(struct tl_event_reading *reading, const struct tl_token *token, struct tl_slice raw)
{
	struct tl_event_row *row = &reading->row;

	if (tl_repo_normalise(token->bytes, row->repo) != TL_OK)
		tag_drop(reading, TL_FIELD_REPO);
	else
		staged_set(row, TL_FIELD_REPO, tl_slice_str(row->repo), raw);
}

static void
commit_read(struct tl_event_reading *reading, const struct tl_token *token, struct tl_slice raw)
{
	struct tl_event_row *row = &reading->row;

	if (tl_commit_normalise(token->bytes, row->commit) != TL_OK)
		tag_drop(reading, TL_FIELD_COMMIT);
	else
		staged_set(row, TL_FIELD_COMMIT, tl_slice_str(row->commit), raw);
}

/* A list of short texts is kept as one name: each as varint length and bytes. */
static void
tag_list_read(struct tl_event_reading *reading, const struct tl_token *list, struct tl_slice raw)
{
	struct tl_event_row *row = &reading->row;
	const uint8_t *end = raw.data + raw.bytes;
	const uint8_t *at;
	struct tl_token token;
	size_t used_bytes = 0;

	if (list->type != TL_WIRE_ARRAY) {
		type_fault(row, TL_FIELD_TAGS, raw);
		return;
	}
	if (list->number > TL_TAGS_MAX) {
		range_fault(row, TL_FIELD_TAGS, TL_EFIELD_TYPE, TL_TAGS_MAX, raw);
		return;
	}
	at = tl_token_read(raw.data, end, &token);
	for (int64_t i = 0; i < list->number; i++) {
		const uint8_t *tag_at = at;

		at = tl_token_read(at, end, &token);
		assert(at != NULL); /* it was passed as a whole */
		if (token.type != TL_WIRE_STR) {
			type_fault(row, TL_FIELD_TAGS, raw);
			return;
		}
		if (!text_check(row, TL_FIELD_TAGS, token.bytes, TL_TAG_BYTES_MAX,
			    tl_slice_of(tag_at, (size_t)(at - tag_at))))
			return;
		used_bytes += tl_varint_put(row->tags + used_bytes, token.bytes.bytes);
		memcpy(row->tags + used_bytes, token.bytes.data, token.bytes.bytes);
		used_bytes += token.bytes.bytes;
	}
	if (list->number == 0)
		tl_event_absent(reading, TL_FIELD_TAGS);
	else
		staged_set(row, TL_FIELD_TAGS, tl_slice_of(row->tags, used_bytes), raw);
}

/* Opaque to us and shown back as it came, so only its shape is looked at. */
static void
email_map_read(struct tl_event_reading *reading, const struct tl_token *map, struct tl_slice raw)
{
	struct tl_event_row *row = &reading->row;
	const uint8_t *end = raw.data + raw.bytes;
	const uint8_t *at;
	struct tl_token token;
	bool good = map->type == TL_WIRE_MAP;

	if (!good) {
		type_fault(row, TL_FIELD_EMAIL_ENC, raw);
		return;
	}
	if (raw.bytes > TL_EMAIL_ENC_BYTES_MAX) {
		range_fault(
			row, TL_FIELD_EMAIL_ENC, TL_ESTRING_TOO_LONG, TL_EMAIL_ENC_BYTES_MAX, raw);
		return;
	}
	at = tl_token_read(raw.data, end, &token);
	for (int64_t i = 0; good && i < map->number; i++) {
		at = tl_token_read(at, end, &token);
		assert(at != NULL); /* it was passed as a whole */
		good = token.type == TL_WIRE_STR;
		at = tl_token_read(at, end, &token);
		assert(at != NULL);
		good = good && (token.type == TL_WIRE_STR || token.type == TL_WIRE_BIN ||
				       token.type == TL_WIRE_INT);
	}
	if (!good)
		type_fault(row, TL_FIELD_EMAIL_ENC, raw);
	else if (map->number == 0)
		tl_event_absent(reading, TL_FIELD_EMAIL_ENC);
	else
		name_set(row, TL_FIELD_EMAIL_ENC, raw, raw);
}

/* Fields that are text on the wire. An empty one is an absent one. */
static void
text_read(struct tl_event_reading *reading, enum tl_event_field field, const struct tl_token *token,
	struct tl_slice raw)
{
	struct tl_event_row *row = &reading->row;

	if (token->type != TL_WIRE_STR) {
		type_fault(row, field, raw);
		return;
	}
	if (token->bytes.bytes == 0) {
		tl_event_absent(reading, field);
		return;
	}
	switch (field) {
	case TL_FIELD_MEMBER:
		member_read(row, token, raw);
		break;
	case TL_FIELD_EMAIL:
		email_read(row, token, raw);
		break;
	case TL_FIELD_REPO:
		repo_read(reading, token, raw);
		break;
	case TL_FIELD_COMMIT:
		commit_read(reading, token, raw);
		break;
	default: /* a name that is taken as it is */
		if (text_check(row, field, token->bytes, (size_t)tl_event_fields[field].max, raw))
			name_set(row, field, token->bytes, raw);
		break;
	}
}

static void
container_read(struct tl_event_reading *reading, enum tl_event_field field,
	const struct tl_token *token, struct tl_slice raw)
{
	struct tl_event_text text = tl_event_text_of((uint8_t)field, raw);
	const struct tl_event_recent *recent = tl_event_recent_find(reading->recent, &text);

	if (recent != NULL)
		tl_event_cell_put(reading, field, recent->cell);
	else if (field == TL_FIELD_TAGS)
		tag_list_read(reading, token, raw);
	else
		email_map_read(reading, token, raw);
}

const uint8_t *
tl_event_value_read(struct tl_event_reading *reading, enum tl_event_field field, const uint8_t *at,
	const uint8_t *end)
{
	struct tl_event_row *row = &reading->row;
	struct tl_token token;
	const uint8_t *after = tl_token_read(at, end, &token);
	struct tl_slice raw;

	if (after != NULL && (token.type == TL_WIRE_ARRAY || token.type == TL_WIRE_MAP))
		after = tl_reader_pass(at, end, TL_EVENT_VALUE_DEPTH);
	if (after == NULL)
		return NULL;
	raw = tl_slice_of(at, (size_t)(after - at));
	switch ((enum tl_field_type)tl_event_fields[field].type) {
	case TL_FIELD_EVENT_ID:
		id_read(row, &token, raw);
		break;
	case TL_FIELD_TIME:
	case TL_FIELD_TOKENS:
	case TL_FIELD_AMOUNT:
	case TL_FIELD_NUMBER:
	case TL_FIELD_PR_TAG:
		number_read(reading, field, &token, raw);
		break;
	case TL_FIELD_WORD:
		word_read(reading, field, &token, raw);
		break;
	case TL_FIELD_NAME:
	case TL_FIELD_MEMBER_HEX:
	case TL_FIELD_EMAIL_TEXT:
	case TL_FIELD_REPO_TAG:
	case TL_FIELD_COMMIT_TAG:
		text_read(reading, field, &token, raw);
		break;
	case TL_FIELD_EMAIL_MAP:
	case TL_FIELD_TAG_LIST:
		container_read(reading, field, &token, raw);
		break;
	case TL_FIELD_LINK_VALUE:
		row->link_value = token;
		row->came[field] = raw;
		if (token.type == TL_WIRE_STR && token.bytes.bytes == 0)
			tl_event_absent(reading, field);
		break;
	}
	return after;
}

/* "repo#N" when the number came with its repository, "#N" when it is the session's. */
static bool
pr_value_read(struct tl_event_reading *reading, const struct tl_token *token)
{
	struct tl_event_row *row = &reading->row;
	struct tl_pr_ref ref = {0};
	struct tl_slice repo;

	if (token->type == TL_WIRE_INT) {
		if (token->number < 1 || token->number > TL_PR_MAX)
			return false;
		ref.number = (uint32_t)token->number;
	} else if (tl_pr_parse(token->bytes, &ref) != TL_OK) {
		return false;
	}
	repo = tl_slice_str(ref.repo);
	if (repo.bytes == 0 && tl_event_has(row, TL_FIELD_REPO)) {
		bool is_new = (row->pending & TL_EVENT_BIT(TL_FIELD_REPO)) != 0;

		repo = is_new ? row->text[TL_FIELD_REPO]
			      : reading->batch->symbols[tl_event_cell(reading, TL_FIELD_REPO)].text;
	}
	snprintf(row->link_text, sizeof(row->link_text), "%.*s#%" PRIu32, (int)repo.bytes,
		(const char *)repo.data, ref.number);
	return true;
}

void
tl_event_link_value_read(struct tl_event_reading *reading, enum tl_link_op op)
{
	struct tl_event_row *row = &reading->row;
	const struct tl_token *token = &row->link_value;
	struct tl_slice raw = row->came[TL_FIELD_VALUE];
	struct tl_slice text = tl_slice_of(NULL, 0);
	size_t bytes_max = op == TL_LINK_SET_NAME ? TL_NAME_BYTES_MAX : TL_LINK_VALUE_BYTES_MAX;
	enum tl_err err = TL_OK;

	if (token->type == TL_WIRE_STR) {
		text = token->bytes;
		if (!text_check(row, TL_FIELD_VALUE, text, bytes_max, raw))
			return;
	} else if (token->type != TL_WIRE_INT || op != TL_LINK_ADD_PR) {
		type_fault(row, TL_FIELD_VALUE, raw);
		return;
	}
	switch (op) {
	case TL_LINK_SET_REPO:
		err = tl_repo_normalise(text, row->link_text);
		text = tl_slice_str(row->link_text);
		break;
	case TL_LINK_ADD_PR:
		err = pr_value_read(reading, token) ? TL_OK : TL_EPR_INVALID;
		text = tl_slice_str(row->link_text);
		break;
	case TL_LINK_ADD_COMMIT:
		err = tl_commit_normalise(text, row->link_text);
		text = tl_slice_str(row->link_text);
		break;
	case TL_LINK_SET_NAME:
	case TL_LINK_NONE:
		break;
	}
	if (err)
		range_fault(row, TL_FIELD_VALUE, err, INT64_MIN, raw);
	else if (op == TL_LINK_SET_NAME || op == TL_LINK_NONE)
		name_set(row, TL_FIELD_VALUE, text, raw);
	else
		staged_set(row, TL_FIELD_VALUE, text, raw);
}
