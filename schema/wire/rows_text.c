#include "schema/wire/rows_text.h"

#include <inttypes.h>

#include "schema/model/money.h"
#include "schema/wire/json.h"
#include "schema/wire/reader.h"

#define FIELDS_MAX 64u

struct fields {
	struct tl_slice names[FIELDS_MAX];
	bool is_money[FIELDS_MAX];
	uint32_t count;
};

bool
tl_rows_form_parse(struct tl_slice text, enum tl_rows_form *form_out)
{
	bool is_csv = tl_slice_eq(text, tl_slice_str("csv"));

	*form_out = is_csv ? TL_ROWS_CSV : TL_ROWS_NDJSON;
	return is_csv || tl_slice_eq(text, tl_slice_str("ndjson"));
}

/* The array at key; an empty one when there is none. */
static uint32_t
open_array(struct tl_slice page, const char *key, struct tl_reader *at_out)
{
	if (!tl_reader_find(page, key, at_out) || tl_reader_peek(at_out) != TL_WIRE_ARRAY)
		return 0;
	return tl_read_array(at_out);
}

static void
read_fields(struct tl_slice page, struct fields *fields)
{
	struct tl_reader at;
	uint32_t count = open_array(page, "fields", &at);

	fields->count = count < FIELDS_MAX ? count : FIELDS_MAX;
	for (uint32_t i = 0; i < fields->count; i++) {
		struct tl_slice name = tl_read_str(&at);

		fields->is_money[i] =
			name.bytes > 5 && memcmp(name.data + name.bytes - 5, "_nusd", 5) == 0;
		if (fields->is_money[i])
			name.bytes -= 4; /* and "usd" comes behind */
		fields->names[i] = name;
	}
}

static void
put_name(struct tl_buf *text, const struct fields *fields, uint32_t idx)
{
	tl_buf_put_slice(text, fields->names[idx]);
	if (fields->is_money[idx])
		tl_buf_put_str(text, "usd");
}

void
tl_rows_put_head(struct tl_buf *text, enum tl_rows_form form, struct tl_slice page)
{
	struct fields fields;

	if (form != TL_ROWS_CSV)
		return;
	read_fields(page, &fields);
	for (uint32_t i = 0; i < fields.count; i++) {
		if (i > 0)
			tl_buf_put_u8(text, ',');
		put_name(text, &fields, i);
	}
	tl_buf_put_u8(text, '\n');
}

static bool
is_formula(struct tl_slice cell)
{
	return cell.bytes > 0 && memchr("=+-@\t\r", cell.data[0], 6) != NULL;
}

static void
put_cell(struct tl_buf *text, struct tl_slice cell)
{
	bool is_quoted = is_formula(cell);

	for (size_t i = 0; i < cell.bytes && !is_quoted; i++)
		is_quoted = memchr(",\"\r\n", cell.data[i], 4) != NULL;
	if (!is_quoted) {
		tl_buf_put_slice(text, cell);
		return;
	}
	tl_buf_put_u8(text, '"');
	if (is_formula(cell))
		tl_buf_put_u8(text, '\'');
	for (size_t i = 0; i < cell.bytes; i++) {
		if (cell.data[i] == '"')
			tl_buf_put_u8(text, '"');
		tl_buf_put_u8(text, cell.data[i]);
	}
	tl_buf_put_u8(text, '"');
}

static void
put_int(struct tl_buf *text, int64_t value, bool is_money, const char *quote)
{
	char usd[TL_USD_TEXT_BYTES];

	if (is_money) {
		tl_usd_format(value, usd);
		tl_buf_printf(text, "%s%s%s", quote, usd, quote);
	} else {
		tl_buf_printf(text, "%" PRId64, value);
	}
}

static void
put_value(struct tl_buf *text, enum tl_rows_form form, struct tl_reader *at, bool is_money)
{
	enum tl_wire_type type = tl_reader_peek(at);

	if (type == TL_WIRE_INT) {
		put_int(text, tl_read_int(at), is_money, form == TL_ROWS_CSV ? "" : "\"");
	} else if (type == TL_WIRE_STR && form == TL_ROWS_CSV) {
		put_cell(text, tl_read_str(at));
	} else if (type == TL_WIRE_STR) {
		tl_json_put_string(text, tl_read_str(at));
	} else {
		tl_read_any(at);
		tl_buf_put_str(text, form == TL_ROWS_CSV ? "" : "null");
	}
}

static void
put_row(struct tl_buf *text, enum tl_rows_form form, const struct fields *fields,
	struct tl_reader *at)
{
	uint32_t count = tl_read_array(at);

	if (form == TL_ROWS_NDJSON)
		tl_buf_put_u8(text, '{');
	for (uint32_t i = 0; i < count && i < fields->count; i++) {
		if (i > 0)
			tl_buf_put_u8(text, ',');
		if (form == TL_ROWS_NDJSON) {
			tl_buf_put_u8(text, '"');
			put_name(text, fields, i);
			tl_buf_put_str(text, "\":");
		}
		put_value(text, form, at, fields->is_money[i]);
	}
	tl_buf_put_str(text, form == TL_ROWS_NDJSON ? "}\n" : "\n");
}

uint32_t
tl_rows_put(struct tl_buf *text, enum tl_rows_form form, struct tl_slice page)
{
	struct fields fields;
	struct tl_reader at;
	uint32_t count = open_array(page, "rows", &at);

	read_fields(page, &fields);
	for (uint32_t i = 0; i < count; i++)
		put_row(text, form, &fields, &at);
	return count;
}
