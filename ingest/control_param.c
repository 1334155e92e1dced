/* Parameters of commands: every refusal names the field and, where there is one, the limit. */
#include "ingest/control_private.h"

#include <inttypes.h>

#include "schema/model/money.h"
#include "schema/model/ref.h"
#include "schema/wire/query_wire.h"
#include "schema/wire/reader.h"

#define RATE_USD_MAX 100000
#define NUSD_PER_USD 1000000000LL
#define NUSD_PER_CENT 10000000LL

static enum control_presence
find(const struct control_call *call, const char *key, struct tl_reader *value_out)
{
	if (!tl_reader_find(call->map, key, value_out))
		return CONTROL_ABSENT;
	return tl_reader_peek(value_out) == TL_WIRE_NIL ? CONTROL_NIL : CONTROL_GIVEN;
}

/* C0, DEL, and C1 in its UTF-8 form: what a terminal or a log would obey. */
static bool
has_control(struct tl_slice text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t byte = text.data[i];

		if (byte < 0x20 || byte == 0x7f)
			return true;
		if (byte == 0xc2 && i + 1 < text.bytes && text.data[i + 1] < 0xa0)
			return true;
	}
	return false;
}

static enum tl_err
check_text(const struct control_call *call, const char *key, struct tl_slice text, size_t bytes_max)
{
	if (text.bytes > bytes_max)
		return tl_fail(
			call->why, TL_ESTRING_TOO_LONG, "%s: at most %zu bytes", key, bytes_max);
	if (!tl_utf8_valid(text))
		return tl_fail(call->why, TL_ESTRING_NOT_UTF8, "%s: must be UTF-8", key);
	if (has_control(text))
		return tl_fail(
			call->why, TL_ESTRING_CONTROL, "%s: must not hold control characters", key);
	return TL_OK;
}

enum tl_err
control_text(const struct control_call *call, const char *key, size_t bytes_max, char *text_out,
	enum control_presence *presence_out)
{
	struct tl_reader value;
	struct tl_slice text;
	enum tl_err err;

	text_out[0] = '\0';
	*presence_out = find(call, key, &value);
	if (*presence_out != CONTROL_GIVEN)
		return TL_OK;
	if (tl_reader_peek(&value) != TL_WIRE_STR)
		return tl_fail(call->why, TL_EFIELD_TYPE, "%s: must be a text", key);
	text = tl_read_str(&value);
	err = check_text(call, key, text, bytes_max);
	if (err)
		return err;
	if (text.bytes > 0)
		memcpy(text_out, text.data, text.bytes);
	text_out[text.bytes] = '\0';
	return TL_OK;
}

enum tl_err
control_text_need(
	const struct control_call *call, const char *key, size_t bytes_max, char *text_out)
{
	enum control_presence presence;
	enum tl_err err = control_text(call, key, bytes_max, text_out, &presence);

	if (!err && text_out[0] == '\0')
		return tl_fail(call->why, TL_EFIELD_MISSING, "%s: is required", key);
	return err;
}

enum tl_err
control_flag(const struct control_call *call, const char *key, bool *value,
	enum control_presence *presence_out)
{
	struct tl_reader reader;

	*presence_out = find(call, key, &reader);
	if (*presence_out != CONTROL_GIVEN)
		return TL_OK;
	if (tl_reader_peek(&reader) != TL_WIRE_BOOL)
		return tl_fail(call->why, TL_EFIELD_TYPE, "%s: must be true or false", key);
	*value = tl_read_bool(&reader);
	return TL_OK;
}

enum tl_err
control_int(const struct control_call *call, const char *key, int64_t min, int64_t max,
	int64_t *value, enum control_presence *presence_out)
{
	struct tl_reader reader;
	int64_t number;

	*presence_out = find(call, key, &reader);
	if (*presence_out != CONTROL_GIVEN)
		return TL_OK;
	number = tl_read_int(&reader);
	if (reader.err)
		return tl_fail(call->why, TL_EFIELD_TYPE, "%s: must be a whole number", key);
	if (number < min || number > max)
		return tl_fail(call->why, TL_EBAD_PARAM, "%s: from %" PRId64 " to %" PRId64, key,
			min, max);
	*value = number;
	return TL_OK;
}

enum tl_err
control_page_read(const struct control_call *call, struct control_page *page_out)
{
	char cursor[TL_PAGE_CURSOR_BYTES];
	int64_t limit = TL_PAGE_ROWS;
	struct control_page page = {0};
	enum control_presence presence;
	enum tl_err err;

	err = control_int(call, "limit", 1, TL_PAGE_ROWS_MAX, &limit, &presence);
	if (!err)
		err = control_text(call, "cursor", sizeof(cursor) - 1, cursor, &presence);
	if (!err)
		err = tl_page_cursor_read(tl_slice_str(cursor), &page.first, call->why);
	if (err)
		return err;
	page.end = page.first + (uint32_t)limit; /* an offset has nine digits */
	*page_out = page;
	return TL_OK;
}

bool
control_page_takes(struct control_page *page)
{
	uint32_t row_idx = page->row_count++;

	return row_idx >= page->first && row_idx < page->end;
}

void
control_page_put(
	const struct control_call *call, struct tl_pack_open *map, const struct control_page *page)
{
	bool has_more = page->row_count > page->end;
	char cursor[TL_PAGE_CURSOR_BYTES];

	if (has_more)
		tl_page_cursor_format(page->end, cursor);
	tl_pack_key_bool(call->reply, map, "truncated", has_more);
	tl_pack_key_str(call->reply, map, "next_cursor", has_more ? cursor : NULL);
}

const char *
control_role_word(enum tl_role role)
{
	return role == TL_ROLE_ADMIN ? "admin" : "member";
}

enum tl_err
control_role(
	const struct control_call *call, enum tl_role *role, enum control_presence *presence_out)
{
	char text[16];
	enum tl_err err = control_text(call, "role", sizeof(text) - 1, text, presence_out);

	if (err || *presence_out != CONTROL_GIVEN)
		return err;
	if (strcmp(text, "admin") == 0)
		*role = TL_ROLE_ADMIN;
	else if (strcmp(text, "member") == 0)
		*role = TL_ROLE_MEMBER;
	else
		return tl_fail(call->why, TL_EBAD_PARAM, "role: must be member or admin");
	return TL_OK;
}

enum tl_err
control_zone(const struct control_call *call, const struct tl_zone **zone)
{
	char name[TL_ZONE_NAME_BYTES];
	enum control_presence presence;
	enum tl_err err = control_text(call, "tz", sizeof(name) - 1, name, &presence);

	if (err || presence != CONTROL_GIVEN)
		return err;
	err = tl_zone_get(tl_slice_str(name), zone, call->why);
	if (err == TL_EBAD_PARAM)
		return tl_fail(call->why, err, "tz: no such IANA time zone");
	return err;
}

enum tl_err
control_email(const struct control_call *call, const struct tl_org *org,
	char email_out[TL_EMAIL_BYTES_MAX + 1], uint8_t id_out[16])
{
	char text[TL_EMAIL_BYTES_MAX + 1];
	enum tl_err err = control_text_need(call, "email", TL_EMAIL_BYTES_MAX, text);

	if (err)
		return err;
	if (!tl_email_normalise(tl_slice_str(text), email_out))
		return tl_fail(call->why, TL_EBAD_PARAM, "email: must be an email address");
	tl_org_member_id(org, tl_slice_str(email_out), id_out);
	return TL_OK;
}

/* Dollars as a whole number or a decimal text; floats would bring sums that are nearly right. */
static enum tl_err
read_usd(const struct control_call *call, struct tl_reader *value, int64_t *nusd_out)
{
	int64_t usd;

	switch (tl_reader_peek(value)) {
	case TL_WIRE_INT:
		usd = tl_read_int(value);
		if (value->err || usd < 0 || usd > RATE_USD_MAX)
			*nusd_out = -1; /* out of range, and small enough to be multiplied */
		else
			*nusd_out = usd * NUSD_PER_USD;
		return TL_OK;
	case TL_WIRE_STR:
		if (tl_usd_parse(tl_read_str(value), nusd_out))
			return TL_OK;
		break;
	case TL_WIRE_NIL:
	case TL_WIRE_BOOL:
	case TL_WIRE_FLOAT:
	case TL_WIRE_BIN:
	case TL_WIRE_ARRAY:
	case TL_WIRE_MAP:
	case TL_WIRE_EXT:
		break;
	}
	return tl_fail(call->why, TL_EFIELD_TYPE,
		"hourly_rate: must be a whole number or a decimal text, in USD");
}

enum tl_err
control_rate(const struct control_call *call, int64_t *cents, enum control_presence *presence_out)
{
	struct tl_reader value;
	int64_t nusd = 0;
	enum tl_err err;

	*presence_out = find(call, "hourly_rate", &value);
	if (*presence_out != CONTROL_GIVEN)
		return TL_OK;
	err = read_usd(call, &value, &nusd);
	if (err)
		return err;
	if (nusd < 0 || nusd > RATE_USD_MAX * NUSD_PER_USD)
		return tl_fail(
			call->why, TL_EBAD_PARAM, "hourly_rate: from 0 to %d USD", RATE_USD_MAX);
	if (nusd % NUSD_PER_CENT != 0)
		return tl_fail(call->why, TL_EBAD_PARAM, "hourly_rate: at most 2 decimal places");
	*cents = nusd / NUSD_PER_CENT;
	return TL_OK;
}

enum tl_err
control_member(const struct control_call *call, const struct tl_org *org,
	const struct tl_member **member_out)
{
	char text[TL_EMAIL_BYTES_MAX + 1];
	char email[TL_EMAIL_BYTES_MAX + 1];
	const struct tl_member *member = NULL;
	uint8_t id[16];
	enum tl_err err = control_text_need(call, "member", TL_EMAIL_BYTES_MAX, text);

	if (err)
		return err;
	if (tl_email_normalise(tl_slice_str(text), email)) {
		tl_org_member_id(org, tl_slice_str(email), id);
		member = tl_org_member_by_id(org, id);
	} else if (tl_unhex(tl_slice_str(text), id, sizeof(id))) {
		member = tl_org_member_by_id(org, id);
	}
	if (!member)
		return tl_fail(call->why, TL_ENOT_FOUND, "member: no such member");
	*member_out = member;
	return TL_OK;
}
