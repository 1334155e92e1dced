#include "deploy/dump.h"

#include <inttypes.h>

#include "deploy/derived.h"
#include "deploy/dump_raw.h"
#include "deploy/dump_text.h"
#include "schema/store/cell.h"
#include "schema/store/dict_row.h"
#include "schema/store/highwater.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/loss.h"
#include "schema/store/scan.h"
#include "schema/store/value.h"
#include "schema/wire/pack.h"

#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define TEXT_BYTES_MAX ((size_t)3 << 20)
#define HIGHWATER "highwater"

static enum tl_err
print_quarantine(struct tl_slice value, struct tl_arena *arena, struct tl_buf *text)
{
	struct tl_quarantine_row row;
	enum tl_err err = tl_quarantine_row_decode(value, &row);

	if (err)
		return err;
	tl_buf_printf(text, "  times=%" PRIu64 " differs=%.*s", row.times, (int)row.field.bytes,
		(const char *)row.field.data);
	return dump_block(row.block, arena, text);
}

/* The groups whose rows are in a quarter, if there are some. */
static void
print_groups(const struct tl_page *page, uint32_t quarter, struct tl_buf *text)
{
	bool is_first = true;

	for (uint32_t i = 0; i < page->group_count; i++) {
		if ((page->group_quarters[i] >> quarter & 1) == 0)
			continue;
		if (is_first)
			tl_buf_printf(text, "\n  quarter %u from groups", quarter);
		tl_buf_printf(text, " %" PRIu64, page->groups[i]);
		is_first = false;
	}
}

static enum tl_err
print_page(enum tl_span span, struct tl_slice key, struct tl_slice value, struct tl_arena *arena,
	struct tl_buf *text)
{
	struct tl_page_place place;
	struct tl_page page;
	enum tl_err err;

	if (!tl_key_page_parse(key, span, &place))
		return TL_ESTORAGE_CORRUPT;
	err = tl_page_decode(value, span, place.bucket_ms, arena, &page);
	if (err)
		return err;
	tl_buf_printf(text, "  rows=%u prs=%u splits=%u groups=%u", page.row_count, page.pr_count,
		page.split_count, page.group_count);
	for (uint32_t i = 0; i < page.row_count; i++) {
		const struct tl_cell_row *row = &page.rows[i];

		tl_buf_printf(text, "\n  session=%u member=%u agent=%u model=%u repo=%u%s",
			row->key.session, row->key.member, row->key.agent, row->key.model,
			row->key.repo, row->key.has_own_repo ? " (own)" : "");
		if (span == TL_SPAN_1H)
			tl_buf_printf(text, " quarter=%u", row->key.quarter);
		dump_time("first", row->first_ms, text);
		dump_time("last", row->last_ms, text);
		dump_totals(&row->totals, text);
	}
	for (uint32_t i = 0; i < page.pr_count; i++)
		tl_buf_printf(text, "\n  session=%u touches repo=%u pr=%u", page.prs[i].session,
			page.prs[i].pr.repo, page.prs[i].pr.number);
	for (uint32_t i = 0; i < page.split_count; i++) {
		tl_buf_printf(text, "\n  split repo=%u pr=%u", page.splits[i].pr.repo,
			page.splits[i].pr.number);
		dump_totals(&page.splits[i].totals, text);
	}
	for (uint32_t quarter = 0; quarter < TL_HOUR_QUARTERS; quarter++)
		print_groups(&page, quarter, text);
	return text->err;
}

static enum tl_err
print_session(struct tl_slice value, struct tl_arena *arena, struct tl_buf *text)
{
	struct tl_session_row row;
	enum tl_err err = tl_session_row_decode(value, arena, &row);

	if (err)
		return err;
	tl_buf_printf(text, "  member=%u agent=%u repo=%u name=%u", row.member, row.agent, row.repo,
		row.name);
	dump_time("first", row.first_ms, text);
	dump_time("last", row.last_ms, text);
	dump_totals(&row.totals, text);
	for (uint32_t i = 0; i < row.pr_count; i++)
		tl_buf_printf(
			text, "\n  touches repo=%u pr=%u", row.prs[i].repo, row.prs[i].number);
	for (uint32_t i = 0; i < row.link_count; i++) {
		tl_buf_printf(text, "\n  link op=%d repo=%u pr=%u value=%u", (int)row.links[i].op,
			row.links[i].repo, row.links[i].number, row.links[i].value);
		dump_time("at", row.links[i].ts_ms, text);
	}
	for (uint32_t i = 0; i < row.bucket_count; i++)
		dump_time(i == 0 ? "\n  cells" : "", row.buckets[i] * TL_QUARTER_MS, text);
	return text->err;
}

static enum tl_err
print_life(struct tl_slice value, struct tl_buf *text)
{
	struct tl_life life;
	enum tl_err err = tl_life_decode(value, &life);

	if (err)
		return err;
	tl_buf_put_str(text, " ");
	dump_time("first", life.first_ms, text);
	dump_time("last", life.last_ms, text);
	dump_totals(&life.totals, text);
	return text->err;
}

static enum tl_err
print_journal(
	struct tl_slice key, struct tl_slice value, struct tl_arena *arena, struct tl_buf *text)
{
	struct tl_journal_row row;
	uint64_t group_no;
	char day[TL_DAY_TEXT_BYTES];
	enum tl_err err;

	if (!tl_key_journal_parse(key, &group_no))
		return TL_ESTORAGE_CORRUPT;
	err = tl_journal_decode(group_no, value, arena, &row);
	if (err)
		return err;
	tl_buf_printf(text,
		"  seq=%" PRIu64 "..%" PRIu64 " cost_nusd=%" PRId64 " epoch=%016" PRIx64
		" chain=%016" PRIx64,
		row.seq_first, row.seq_last, row.cost_nusd, row.epoch, row.chain);
	dump_time("received", row.received_ms, text);
	for (uint32_t i = 0; i < row.block_count; i++) {
		tl_day_format(row.blocks[i].day_ms, day);
		tl_buf_printf(text, "\n  raw.%s block=%u rows=%u cost_nusd=%" PRId64, day,
			row.blocks[i].block_no, row.blocks[i].row_count, row.blocks[i].cost_nusd);
	}
	return text->err;
}

static enum tl_err
print_intake(struct tl_slice value, struct tl_buf *text)
{
	struct tl_intake_row row;
	enum tl_err err = tl_intake_row_decode(value, &row);

	if (err)
		return err;
	tl_buf_printf(text,
		"  received=%" PRId64 " accepted=%" PRId64 " duplicate=%" PRId64
		" replaced=%" PRId64 " conflict=%" PRId64 " rejected=%" PRId64 " late=%" PRId64
		" unpriced=%" PRId64,
		row.received, row.accepted, row.duplicate, row.replaced, row.conflict, row.rejected,
		row.late, row.unpriced);
	return text->err;
}

static enum tl_err
print_loss(struct tl_slice value, struct tl_buf *text)
{
	struct tl_loss loss;
	enum tl_err err = tl_loss_decode(value, &loss);

	if (err)
		return err;
	tl_buf_put_str(text, "  accepted loss");
	dump_time("at", loss.accepted_ms, text);
	tl_buf_printf(text,
		" have_group=%" PRIu64 " have_seq=%" PRIu64 " acked_group=%" PRIu64
		" acked_seq=%" PRIu64 " cost_nusd=%" PRId64 " epoch=%016" PRIx64
		" epoch_before=%016" PRIx64,
		loss.have_group_no, loss.have_seq, loss.acked_group_no, loss.acked_seq,
		loss.cost_nusd, loss.epoch, loss.epoch_before);
	return text->err;
}

static enum tl_err
print_mark(struct tl_slice key, struct tl_slice value, struct tl_buf *text)
{
	struct tl_mark mark;

	if (tl_loss_is_key(key))
		return print_loss(value, text);
	/* Other rows of the family are single numbers. */
	if (tl_mark_decode(value, &mark) == TL_OK)
		tl_buf_printf(text,
			"  group=%" PRIu64 " seq=%" PRIu64 " step=%" PRIu64 " first_step=%" PRIu64,
			mark.group_no, mark.seq, mark.step_no, mark.first_step_no);
	return text->err;
}

/* The id of a name, or the names from an id on. */
static enum tl_err
print_dict(struct tl_slice key, struct tl_slice value, struct tl_buf *text)
{
	char uuid[TL_UUID_TEXT_BYTES + 1];
	struct tl_slice name;
	enum tl_err err;

	if (key.bytes > 4 && key.data[4] == TL_KEY_DICT_NAME && value.bytes == 4) {
		tl_buf_printf(text, "  %u", tl_get_be32(value.data));
		return text->err;
	}
	while (!(err = tl_dict_row_next(&value, uuid, &name))) {
		if (tl_utf8_valid(name))
			tl_buf_printf(text, "  \"%.*s\"", (int)name.bytes, (const char *)name.data);
		else
			tl_buf_printf(text, "  %zu bytes", name.bytes);
	}
	return err == TL_EEND ? text->err : err;
}

static enum tl_err
print_record(struct tl_slice key, struct tl_slice value, struct tl_buf *text)
{
	enum tl_err err;

	tl_buf_put_str(text, " ");
	err = tl_record_print(key, value, text, NULL);
	return err ? err : text->err;
}

/* What is being dumped: a fixed family, or the days'. */
struct source {
	bool is_day;
	enum tl_family family;
	struct tl_day *day;
};

static enum tl_err
print_value(const struct source *source, struct tl_slice key, struct tl_slice value,
	struct tl_arena *arena, struct tl_buf *text)
{
	if (source->is_day)
		return dump_raw_value(key, value, arena, text);
	switch (source->family) {
	case TL_FAMILY_CELL_1H:
		return print_page(TL_SPAN_1H, key, value, arena, text);
	case TL_FAMILY_CELL_1D:
		return print_page(TL_SPAN_1D, key, value, arena, text);
	case TL_FAMILY_SESSION:
		return print_session(value, arena, text);
	case TL_FAMILY_LIFE:
		return print_life(value, text);
	case TL_FAMILY_JOURNAL:
		return print_journal(key, value, arena, text);
	case TL_FAMILY_INTAKE:
		return print_intake(value, text);
	case TL_FAMILY_MARK:
		return print_mark(key, value, text);
	case TL_FAMILY_DICT:
		return print_dict(key, value, text);
	case TL_FAMILY_QUARANTINE:
		return print_quarantine(value, arena, text);
	case TL_FAMILY_REGISTRY:
		return print_record(key, value, text);
	case TL_FAMILY_COUNT:
		break;
	}
	tl_buf_printf(text, "  %zu bytes", value.bytes);
	return text->err;
}

static enum tl_err
source_find(struct tl_store *store, struct tl_slice name, struct source *source, struct tl_why *why)
{
	char day[TL_DAY_TEXT_BYTES];
	bool is_valid = false;
	int64_t day_ms;

	for (int f = 0; f < TL_FAMILY_COUNT; f++) {
		if (tl_slice_eq(name, tl_slice_str(tl_family_name((enum tl_family)f)))) {
			source->family = (enum tl_family)f;
			return TL_OK;
		}
	}
	if (name.bytes == 14 && memcmp(name.data, "raw.", 4) == 0) {
		memcpy(day, name.data + 4, 10);
		day[10] = '\0';
		day_ms = tl_day_parse(day, &is_valid);
		if (is_valid)
			source->day = tl_day_pin(store, day_ms);
		source->is_day = source->day != NULL;
		if (source->is_day)
			return TL_OK;
	}
	return tl_fail(why, TL_EBAD_PARAM,
		"family: there is no '%.*s'; dump without one lists them",
		(int)(name.bytes < 64 ? name.bytes : 64), (const char *)name.data);
}

static void
pack_row(struct tl_buf *reply, struct tl_pack_open *rows, const char *key_hex, struct tl_slice text,
	struct tl_slice value)
{
	struct tl_pack_open row = tl_pack_open_map(reply);

	tl_pack_key_str(reply, &row, "key", key_hex);
	tl_pack_key_slice(reply, &row, "text", text);
	tl_pack_key_slice(reply, &row, "value", value);
	tl_pack_close(reply, &row);
	rows->count++;
}

static void
pack_families(struct tl_store *store, struct tl_buf *reply, struct tl_pack_open *rows)
{
	int64_t days[4096];
	size_t day_count = tl_days_list(store, days, 4096);
	char name[TL_DAY_TEXT_BYTES + 4] = "raw.";

	for (int f = 0; f < TL_FAMILY_COUNT; f++)
		pack_row(reply, rows, "", tl_slice_str(tl_family_name((enum tl_family)f)),
			tl_slice_str(""));
	pack_row(reply, rows, "", tl_slice_str(HIGHWATER), tl_slice_str(""));
	for (size_t i = 0; i < day_count && i < 4096; i++) {
		tl_day_format(days[i], name + 4);
		pack_row(reply, rows, "", tl_slice_str(name), tl_slice_str(""));
	}
}

/* The mark file as one row; it is no family. */
static enum tl_err
pack_highwater(
	const char *path, struct tl_buf *reply, struct tl_pack_open *rows, struct tl_why *why)
{
	struct tl_highwater_mark mark;
	struct tl_buf text;
	enum tl_err err = tl_highwater_read(path, &mark, why);

	if (err)
		return err;
	tl_buf_init(&text, 0);
	tl_buf_printf(&text,
		"  epoch=%016" PRIx64 " group=%" PRIu64 " seq=%" PRIu64 " cost_nusd=%" PRIu64
		" chain=%016" PRIx64 " flush_group=%" PRIu64,
		mark.epoch, mark.group_no, mark.seq, mark.cost_nusd, mark.chain,
		mark.flush_group_no);
	pack_row(reply, rows, "", tl_slice_str(path), tl_buf_slice(&text));
	tl_buf_fini(&text);
	return TL_EEND;
}

/* The smallest key after one: itself and a zero byte. */
static bool
first_key(struct tl_slice after_hex, struct tl_key *first)
{
	if (after_hex.bytes == 0)
		return true;
	first->bytes = after_hex.bytes / 2;
	if (first->bytes + 1 > TL_KEY_BYTES_MAX || !tl_unhex(after_hex, first->data, first->bytes))
		return false;
	first->data[first->bytes++] = 0;
	return true;
}

static enum tl_err
pack_rows(const struct source *source, struct tl_scan *scan, uint32_t row_count_max,
	struct tl_buf *reply, struct tl_pack_open *rows, char *last_hex, struct tl_why *why)
{
	struct tl_arena arena;
	struct tl_buf text, key_text;
	struct tl_slice key, value;
	enum tl_err err = TL_OK;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	tl_buf_init(&text, TEXT_BYTES_MAX);
	tl_buf_init(&key_text, 4096);
	while (!err && rows->count < row_count_max && reply->bytes < TEXT_BYTES_MAX / 4) {
		err = tl_scan_next(scan, &key, &value, why);
		if (err)
			break;
		tl_arena_reset(&arena);
		tl_buf_reset(&text);
		tl_buf_reset(&key_text);
		if (source->is_day)
			dump_raw_key(key, &key_text);
		else
			tl_key_print(source->family, key, &key_text);
		err = print_value(source, key, value, &arena, &text);
		if (err)
			break;
		tl_hex(key.data, key.bytes, last_hex);
		pack_row(reply, rows, last_hex, tl_buf_slice(&key_text), tl_buf_slice(&text));
	}
	tl_buf_fini(&key_text);
	tl_buf_fini(&text);
	tl_arena_fini(&arena);
	return err;
}

/* One row without a key that has many lines. */
static enum tl_err
dump_derived(struct tl_store *store, const struct tl_view *view, const struct dump_request *request,
	struct tl_buf *reply, struct tl_why *why)
{
	struct derived_source source = {
		.store = store, .view = view, .registry = request->registry};
	struct tl_buf text, after;
	struct tl_pack_open map, rows;
	enum tl_err err;

	tl_buf_init(&text, 0);
	tl_buf_init(&after, 0);
	err = derived_lines(&source, request->after, &text, &after, why);
	if (!err || err == TL_EEND) {
		err = TL_OK;
		map = tl_pack_open_map(reply);
		tl_pack_key_int(reply, &map, "v", 1);
		tl_pack_key_bool(reply, &map, "ok", true);
		tl_pack_key(reply, &map, "rows");
		rows = tl_pack_open_array(reply);
		if (text.bytes > 0)
			pack_row(reply, &rows, "", tl_buf_slice(&text), tl_slice_str(""));
		tl_pack_close(reply, &rows);
		tl_pack_key_slice(reply, &map, "after", tl_buf_slice(&after));
		tl_pack_close(reply, &map);
	}
	tl_buf_fini(&after);
	tl_buf_fini(&text);
	return err;
}

enum tl_err
dump_rows(struct tl_store *store, const struct tl_view *view, const struct dump_request *request,
	struct tl_buf *reply, struct tl_why *why)
{
	struct source source = {0};
	struct tl_key first = {.bytes = 0};
	struct tl_scan *scan = NULL;
	struct tl_pack_open map, rows;
	char last_hex[2 * TL_KEY_BYTES_MAX + 1] = "";
	bool is_highwater = tl_slice_eq(request->family, tl_slice_str(HIGHWATER));
	enum tl_err err = TL_EEND;

	if (tl_slice_eq(request->family, tl_slice_str(DUMP_DERIVED)))
		return dump_derived(store, view, request, reply, why);
	if (request->family.bytes > 0 && !is_highwater) {
		err = source_find(store, request->family, &source, why);
		if (!err && !first_key(request->after, &first))
			err = tl_fail(why, TL_EBAD_PARAM, "after: not the hex of a key");
		if (!err && source.is_day)
			err = tl_scan_open_day(store, view, source.day, tl_key_slice(&first),
				tl_slice_of(NULL, 0), &scan, why);
		else if (!err)
			err = tl_scan_open(store, view, source.family, tl_key_slice(&first),
				tl_slice_of(NULL, 0), &scan, why);
		if (err)
			goto out;
	}
	map = tl_pack_open_map(reply);
	tl_pack_key_int(reply, &map, "v", 1);
	tl_pack_key_bool(reply, &map, "ok", true);
	tl_pack_key(reply, &map, "rows");
	rows = tl_pack_open_array(reply);
	if (is_highwater)
		err = pack_highwater(request->mark_path, reply, &rows, why);
	else if (scan == NULL)
		pack_families(store, reply, &rows);
	else
		err = pack_rows(&source, scan, request->row_count_max, reply, &rows, last_hex, why);
	tl_pack_close(reply, &rows);
	tl_pack_key_str(reply, &map, "after", err == TL_EEND ? NULL : last_hex);
	tl_pack_close(reply, &map);
	if (err == TL_EEND)
		err = TL_OK;
out:
	tl_scan_free(scan);
	if (source.day != NULL)
		tl_day_unpin(source.day);
	return err;
}
