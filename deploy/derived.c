/*
 * Numbers of orgs, members, names and so on are given in order of arrival, so nothing may be
 * printed by number or in an order of numbers:
 *
 *   orgs by name -> quarters, hours, days in order of time -> sessions in order of their names, as
 *   the dictionary has them -> lives
 *
 * What has one stored key becomes a bundle of lines, sorted as text; so does a cell, whatever the
 * number of its pages. A bundle may be cut anywhere: the place to go on is (org, part, key, line).
 */
#include "deploy/derived.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "deploy/dump_text.h"
#include "schema/store/cell_read.h"
#include "schema/store/dict.h"
#include "schema/store/key.h"
#include "schema/store/scan.h"
#include "schema/store/value.h"

#define TEXT_BYTES_ENOUGH ((size_t)512 << 10)
#define ARENA_BYTES_MAX ((size_t)1 << 30)
#define NAME_SLOTS 2048u
#define PLACE_HEAD_BYTES 9u

enum part {
	PART_QUARTERS,
	PART_HOURS,
	PART_DAYS,
	PART_SESSIONS,
	PART_LIVES,
	PART_COUNT,
};

/* Where a walk stands: this line of the bundle at key. No key: before the part's first. */
struct place {
	uint32_t org;
	enum part part;
	uint32_t line_idx;
	struct tl_slice key;
};

/* A name as it was last spelled: most rows of a bundle share theirs. */
struct name_slot {
	uint32_t org;
	enum tl_name_kind kind;
	uint32_t id;
	struct tl_slice text;
};

struct walk {
	const struct derived_source *source;
	const struct tl_org *org;
	struct place place;
	uint8_t place_key[TL_KEY_BYTES_MAX]; /* what place.key is of, past the first */
	struct tl_buf *text;
	struct tl_why *why;
	struct tl_arena arena;	    /* of one bundle */
	struct tl_arena name_arena; /* of the names, as long as the walk */
	struct tl_slice *lines;
	uint32_t line_count, line_capacity;
	struct tl_buf line;  /* the one being written */
	struct tl_buf value; /* a stored value, then a name */
	struct name_slot names[NAME_SLOTS];
};

/* Names, spelled. */

/* In quotes; a quote and a backslash get a backslash before them. */
static void
put_quoted(struct tl_buf *text, struct tl_slice name)
{
	tl_buf_put_u8(text, '"');
	for (size_t i = 0; i < name.bytes; i++) {
		if (name.data[i] == '"' || name.data[i] == '\\')
			tl_buf_put_u8(text, '\\');
		tl_buf_put_u8(text, name.data[i]);
	}
	tl_buf_put_u8(text, '"');
}

static enum tl_err
find_name(struct walk *walk, enum tl_name_kind kind, uint32_t id, struct tl_slice *name_out)
{
	struct name_slot *slot = &walk->names[(id * 8u + (uint32_t)kind) % NAME_SLOTS];
	enum tl_err err;

	if (slot->org != walk->org->no || slot->kind != kind || slot->id != id) {
		err = tl_dict_name(walk->source->store, walk->source->view, walk->org->no, kind, id,
			&walk->value, walk->why);
		if (err)
			return err;
		slot->text = tl_arena_copy(&walk->name_arena, tl_buf_slice(&walk->value));
		if (slot->text.data == NULL)
			return TL_ENOMEM;
		slot->org = walk->org->no;
		slot->kind = kind;
		slot->id = id;
	}
	*name_out = slot->text;
	return TL_OK;
}

/* ` label="name"`, nothing for no name. A name that is missing sticks as the line's error. */
static void
put_name(struct walk *walk, const char *label, enum tl_name_kind kind, uint32_t id)
{
	struct tl_slice name;
	enum tl_err err;

	if (id == 0 || walk->line.err)
		return;
	err = find_name(walk, kind, id, &name);
	if (err) {
		walk->line.err = err;
		return;
	}
	tl_buf_printf(&walk->line, " %s=", label);
	put_quoted(&walk->line, name);
}

static void
put_pull(struct walk *walk, const char *label, struct tl_pr pr)
{
	put_name(walk, label, TL_NAME_REPO, pr.repo);
	tl_buf_printf(&walk->line, "#%u", pr.number);
}

static void
put_member(struct walk *walk, const char *label, uint32_t no)
{
	const struct tl_member *member = tl_org_member(walk->org, no);
	char hex[33];

	if (no == 0)
		return;
	tl_buf_printf(&walk->line, " %s=", label);
	if (member == NULL) {
		walk->line.err = TL_ESTORAGE_CORRUPT;
	} else if (member->email[0] != '\0') {
		put_quoted(&walk->line, tl_slice_str(member->email));
	} else {
		tl_hex(member->id, sizeof(member->id), hex);
		tl_buf_put_str(&walk->line, hex);
	}
}

static void
put_agent(struct walk *walk, uint32_t no)
{
	const struct tl_agent *agent = tl_org_agent(walk->org, no);

	if (no == 0)
		return;
	tl_buf_put_str(&walk->line, " agent=");
	if (agent == NULL) {
		walk->line.err = TL_ESTORAGE_CORRUPT;
		return;
	}
	put_quoted(&walk->line, tl_slice_str(agent->type));
	put_member(walk, "of", agent->member_no);
}

/* Lines. */

static void
begin_line(struct walk *walk)
{
	tl_buf_reset(&walk->line);
	put_quoted(&walk->line, tl_slice_str(walk->org->name));
}

static enum tl_err
keep_line(struct walk *walk)
{
	if (walk->line.err)
		return walk->line.err;
	if (walk->line_count == walk->line_capacity) {
		uint32_t capacity = walk->line_capacity * 2 + 64;
		struct tl_slice *lines = tl_arena_array(&walk->arena, capacity, sizeof(*lines));

		if (lines == NULL)
			return TL_ENOMEM;
		if (walk->line_count > 0)
			memcpy(lines, walk->lines, walk->line_count * sizeof(*lines));
		walk->lines = lines;
		walk->line_capacity = capacity;
	}
	walk->lines[walk->line_count] = tl_arena_copy(&walk->arena, tl_buf_slice(&walk->line));
	return walk->lines[walk->line_count++].data == NULL ? TL_ENOMEM : TL_OK;
}

static void
begin_bundle(struct walk *walk)
{
	tl_arena_reset(&walk->arena);
	walk->lines = NULL;
	walk->line_count = walk->line_capacity = 0;
}

static int
cmp_lines(const void *a, const void *b)
{
	return tl_slice_cmp(*(const struct tl_slice *)a, *(const struct tl_slice *)b);
}

/* The bundle in order from the place's line on. TL_EFULL when the rest has to wait. */
static enum tl_err
end_bundle(struct walk *walk)
{
	if (walk->line_count > 0)
		qsort(walk->lines, walk->line_count, sizeof(*walk->lines), cmp_lines);
	while (walk->place.line_idx < walk->line_count) {
		if (walk->text->bytes >= TEXT_BYTES_ENOUGH)
			return TL_EFULL;
		if (walk->text->bytes > 0)
			tl_buf_put_u8(walk->text, '\n');
		tl_buf_put_slice(walk->text, walk->lines[walk->place.line_idx++]);
	}
	return walk->text->err;
}

/* Bundles. */

static enum tl_err
put_rows(struct walk *walk, const char *head, const struct tl_page *page)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < page->row_count && !err; i++) {
		const struct tl_cell_row *row = &page->rows[i];

		begin_line(walk);
		tl_buf_put_str(&walk->line, head);
		put_name(walk, "session", TL_NAME_SESSION, row->key.session);
		put_member(walk, "member", row->key.member);
		put_agent(walk, row->key.agent);
		put_name(walk, "model", TL_NAME_MODEL, row->key.model);
		put_name(walk, row->key.has_own_repo ? "own_repo" : "repo", TL_NAME_REPO,
			row->key.repo);
		dump_time("first", row->first_ms, &walk->line);
		dump_time("last", row->last_ms, &walk->line);
		dump_totals(&row->totals, &walk->line);
		err = keep_line(walk);
	}
	return err;
}

static enum tl_err
put_page_pulls(struct walk *walk, const char *head, const struct tl_page *page)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < page->pr_count && !err; i++) {
		begin_line(walk);
		tl_buf_put_str(&walk->line, head);
		put_name(walk, "session", TL_NAME_SESSION, page->prs[i].session);
		put_pull(walk, "touches", page->prs[i].pr);
		err = keep_line(walk);
	}
	for (uint32_t i = 0; i < page->split_count && !err; i++) {
		begin_line(walk);
		tl_buf_put_str(&walk->line, head);
		put_pull(walk, "split", page->splits[i].pr);
		dump_totals(&page->splits[i].totals, &walk->line);
		err = keep_line(walk);
	}
	return err;
}

static enum tl_err
put_cell(struct walk *walk, enum tl_span span, int64_t bucket_ms)
{
	char at[TL_TIME_TEXT_BYTES], head[TL_TIME_TEXT_BYTES + 8];
	struct tl_page page;
	enum tl_err err;

	err = tl_cell_read(walk->source->store, walk->source->view, walk->org->no, span, bucket_ms,
		&walk->arena, &page, walk->why);
	if (err)
		return err;
	tl_time_format(bucket_ms, at);
	snprintf(head, sizeof(head), " %s %s", tl_span_name(span), at);
	err = put_rows(walk, head, &page);
	return err ? err : put_page_pulls(walk, head, &page);
}

/* The cells of a span in the page with this key. */
static enum tl_err
put_cells(struct walk *walk, enum tl_span span, struct tl_slice key)
{
	enum tl_span page_span = tl_page_span(span);
	struct tl_page_place place;
	enum tl_err err = TL_OK;

	if (!tl_key_page_parse(key, page_span, &place))
		return TL_ESTORAGE_CORRUPT;
	for (int64_t at = 0; !err && at < tl_span_ms(page_span); at += tl_span_ms(span)) {
		err = put_cell(walk, span, place.bucket_ms + at);
		if (err == TL_ENOT_FOUND) /* a quarter without events */
			err = TL_OK;
	}
	return err;
}

static enum tl_err
put_session_links(struct walk *walk, uint32_t session, const struct tl_session_row *row)
{
	static const char *const ops[] = {"", "set_repo", "add_pr", "add_commit", "set_name"};
	enum tl_err err = TL_OK;
	char hex[33];

	for (uint32_t i = 0; i < row->link_count && !err; i++) {
		const struct tl_session_link *link = &row->links[i];

		begin_line(walk);
		put_name(walk, "session", TL_NAME_SESSION, session);
		tl_hex(link->id, sizeof(link->id), hex);
		tl_buf_printf(&walk->line, " link=%s id=%s", ops[link->op], hex);
		dump_time("at", link->ts_ms, &walk->line);
		put_name(walk, "repo", TL_NAME_REPO, link->repo);
		put_name(walk, "value", TL_NAME_TEXT, link->value);
		if (link->number != 0)
			tl_buf_printf(&walk->line, " number=%u", link->number);
		err = keep_line(walk);
	}
	return err;
}

static enum tl_err
put_session_pulls(struct walk *walk, uint32_t session, const struct tl_session_row *row)
{
	enum tl_err err = TL_OK;

	for (uint32_t i = 0; i < row->pr_count && !err; i++) {
		begin_line(walk);
		put_name(walk, "session", TL_NAME_SESSION, session);
		put_pull(walk, "touches", row->prs[i]);
		err = keep_line(walk);
	}
	for (uint32_t i = 0; i < row->event_pr_count && !err; i++) {
		begin_line(walk);
		put_name(walk, "session", TL_NAME_SESSION, session);
		put_pull(walk, "events_name", row->event_prs[i].pr);
		tl_buf_printf(&walk->line, " events=%" PRId64, row->event_prs[i].event_count);
		err = keep_line(walk);
	}
	return err;
}

static enum tl_err
put_session(struct walk *walk, uint32_t session, const struct tl_session_row *row)
{
	enum tl_err err;

	begin_line(walk);
	put_name(walk, "session", TL_NAME_SESSION, session);
	tl_buf_put_str(&walk->line, " whole");
	put_member(walk, "member", row->member);
	put_agent(walk, row->agent);
	put_name(walk, "repo", TL_NAME_REPO, row->repo);
	put_name(walk, "name", TL_NAME_TEXT, row->name);
	dump_time("first", row->first_ms, &walk->line);
	dump_time("last", row->last_ms, &walk->line);
	dump_totals(&row->totals, &walk->line);
	err = keep_line(walk);
	for (uint32_t i = 0; i < row->bucket_count && !err; i++) {
		begin_line(walk);
		put_name(walk, "session", TL_NAME_SESSION, session);
		dump_time("quarter", row->buckets[i] * TL_QUARTER_MS, &walk->line);
		err = keep_line(walk);
	}
	if (!err)
		err = put_session_links(walk, session, row);
	return err ? err : put_session_pulls(walk, session, row);
}

/* The bundle of a name: of one that has no session (any more) there is nothing to say. */
static enum tl_err
put_named_session(struct walk *walk, struct tl_slice id_bytes)
{
	struct tl_session_row row;
	struct tl_key key;
	uint32_t session;
	enum tl_err err;

	if (id_bytes.bytes != 4)
		return TL_ESTORAGE_CORRUPT;
	session = tl_get_be32(id_bytes.data);
	key = tl_key_session(walk->org->no, session);
	err = tl_store_get(walk->source->store, walk->source->view, TL_FAMILY_SESSION,
		tl_key_slice(&key), &walk->value, walk->why);
	if (err)
		return err == TL_ENOT_FOUND ? TL_OK : err;
	err = tl_session_row_decode(tl_buf_slice(&walk->value), &walk->arena, &row);
	return err ? err : put_session(walk, session, &row);
}

static enum tl_err
put_life(struct walk *walk, struct tl_slice key, struct tl_slice value)
{
	struct tl_life life;
	enum tl_dim dim;
	uint32_t org, entity;
	enum tl_err err = tl_life_decode(value, &life);

	if (err)
		return err;
	if (!tl_key_life_parse(key, &org, &dim, &entity))
		return TL_ESTORAGE_CORRUPT;
	begin_line(walk);
	tl_buf_put_str(&walk->line, " life");
	if (dim == TL_DIM_MEMBER)
		put_member(walk, "member", entity);
	else
		put_agent(walk, entity);
	dump_time("first", life.first_ms, &walk->line);
	dump_time("last", life.last_ms, &walk->line);
	dump_totals(&life.totals, &walk->line);
	return keep_line(walk);
}

/* Parts. */

static enum tl_family
family_of(enum part part)
{
	static const enum tl_family families[PART_COUNT] = {TL_FAMILY_CELL_1H, TL_FAMILY_CELL_1H,
		TL_FAMILY_CELL_1D, TL_FAMILY_DICT, TL_FAMILY_LIFE};

	return families[part];
}

static enum tl_err
open_part(struct walk *walk, struct tl_scan **scan_out)
{
	uint32_t org = walk->org->no;
	bool by_name = walk->place.part == PART_SESSIONS;
	struct tl_key first = by_name ? tl_key_dict_name(org, TL_NAME_SESSION, tl_slice_str(""))
				      : tl_key_org(org);
	struct tl_key last = by_name ? tl_key_dict_name(org, TL_NAME_SESSION + 1, tl_slice_str(""))
				     : tl_key_org_end(org);

	return tl_scan_open(walk->source->store, walk->source->view, family_of(walk->place.part),
		walk->place.key.bytes > 0 ? walk->place.key : tl_key_slice(&first),
		tl_key_slice(&last), scan_out, walk->why);
}

static enum tl_err
put_key(struct walk *walk, struct tl_slice key, struct tl_slice value)
{
	switch (walk->place.part) {
	case PART_QUARTERS:
		return put_cells(walk, TL_SPAN_15M, key);
	case PART_HOURS:
		return put_cells(walk, TL_SPAN_1H, key);
	case PART_DAYS:
		return put_cells(walk, TL_SPAN_1D, key);
	case PART_SESSIONS:
		return put_named_session(walk, value);
	case PART_LIVES:
		return put_life(walk, key, value);
	case PART_COUNT:
		break;
	}
	return TL_ESTORAGE_CORRUPT;
}

/* All lives of an org are one bundle: their order in the store is that of numbers. */
static enum tl_err
put_lives(struct walk *walk, struct tl_scan *scan)
{
	struct tl_slice key, value;
	enum tl_err err;

	begin_bundle(walk);
	while (!(err = tl_scan_next(scan, &key, &value, walk->why))) {
		err = put_key(walk, key, value);
		if (err)
			return err;
	}
	return err == TL_EEND ? end_bundle(walk) : err;
}

/* A page of the cell that is the bundle in hand: which part a session is of hangs on its number. */
static bool
is_later_page(const struct walk *walk, struct tl_slice key)
{
	const struct tl_slice *at = &walk->place.key;

	return walk->place.part <= PART_DAYS && key.bytes == at->bytes && key.bytes > 4 &&
	       memcmp(key.data, at->data, key.bytes - 4) == 0 && !tl_slice_eq(key, *at);
}

static enum tl_err
put_bundles(struct walk *walk, struct tl_scan *scan)
{
	struct tl_slice key, value;
	enum tl_err err;

	for (;;) {
		err = tl_scan_next(scan, &key, &value, walk->why);
		if (err)
			return err == TL_EEND ? TL_OK : err;
		if (is_later_page(walk, key))
			continue;
		if (!tl_slice_eq(key, walk->place.key))
			walk->place.line_idx = 0;
		memcpy(walk->place_key, key.data, key.bytes);
		walk->place.key = tl_slice_of(walk->place_key, key.bytes);
		begin_bundle(walk);
		err = put_key(walk, key, value);
		if (!err)
			err = end_bundle(walk);
		if (err)
			return err;
	}
}

static enum tl_err
put_part(struct walk *walk)
{
	struct tl_scan *scan = NULL;
	enum tl_err err = open_part(walk, &scan);

	if (err)
		return err;
	err = walk->place.part == PART_LIVES ? put_lives(walk, scan) : put_bundles(walk, scan);
	tl_scan_free(scan);
	return err;
}

static int
cmp_orgs(const void *a, const void *b)
{
	const struct tl_org *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static const struct tl_org **
sorted_orgs(const struct tl_registry *registry, uint32_t count)
{
	const struct tl_org **orgs = calloc(count + 1, sizeof(*orgs));

	for (uint32_t i = 0; orgs != NULL && i < count; i++)
		orgs[i] = tl_registry_org(registry, i + 1);
	if (orgs != NULL && count > 0)
		qsort(orgs, count, sizeof(*orgs), cmp_orgs);
	return orgs;
}

static enum tl_err
put_orgs(struct walk *walk)
{
	uint32_t count = tl_registry_org_count(walk->source->registry), org_idx = 0;
	const struct tl_org **orgs = sorted_orgs(walk->source->registry, count);
	enum tl_err err = orgs == NULL ? TL_ENOMEM : TL_OK;

	while (!err && walk->place.org != 0 && org_idx < count &&
		orgs[org_idx]->no != walk->place.org)
		org_idx++;
	for (; !err && org_idx < count; org_idx++) {
		walk->org = orgs[org_idx];
		walk->place.org = walk->org->no;
		for (; !err && walk->place.part < PART_COUNT; walk->place.part++) {
			err = put_part(walk);
			if (err)
				break;
			walk->place.line_idx = 0;
			walk->place.key = tl_slice_of(NULL, 0);
		}
		if (!err)
			walk->place.part = PART_QUARTERS;
	}
	free(orgs);
	return err ? err : TL_EEND;
}

/* Places as hex: org be32, part u8, line be32, key. */

static bool
parse_place(struct tl_slice after, uint8_t bytes[PLACE_HEAD_BYTES + TL_KEY_BYTES_MAX],
	struct place *place_out)
{
	size_t count = after.bytes / 2;

	if (after.bytes == 0)
		return true;
	if (count < PLACE_HEAD_BYTES || count > PLACE_HEAD_BYTES + TL_KEY_BYTES_MAX ||
		!tl_unhex(after, bytes, count) || bytes[4] >= PART_COUNT)
		return false;
	*place_out = (struct place){
		.org = tl_get_be32(bytes),
		.part = (enum part)bytes[4],
		.line_idx = tl_get_be32(bytes + 5),
		.key = tl_slice_of(bytes + PLACE_HEAD_BYTES, count - PLACE_HEAD_BYTES),
	};
	return true;
}

static void
put_place(const struct place *place, struct tl_buf *after_out)
{
	tl_buf_printf(after_out, "%08" PRIx32 "%02x%08" PRIx32, place->org, (unsigned)place->part,
		place->line_idx);
	for (size_t i = 0; i < place->key.bytes; i++)
		tl_buf_printf(after_out, "%02x", place->key.data[i]);
}

enum tl_err
derived_lines(const struct derived_source *source, struct tl_slice after, struct tl_buf *text,
	struct tl_buf *after_out, struct tl_why *why)
{
	uint8_t bytes[PLACE_HEAD_BYTES + TL_KEY_BYTES_MAX];
	struct walk *walk = calloc(1, sizeof(*walk));
	enum tl_err err;

	if (walk == NULL)
		return TL_ENOMEM;
	walk->source = source;
	walk->text = text;
	walk->why = why;
	tl_arena_init(&walk->arena, ARENA_BYTES_MAX);
	tl_arena_init(&walk->name_arena, ARENA_BYTES_MAX);
	tl_buf_init(&walk->line, 0);
	tl_buf_init(&walk->value, 0);
	if (!parse_place(after, bytes, &walk->place))
		err = tl_fail(why, TL_EBAD_PARAM, "after: not a place in a dump of derived rows");
	else
		err = put_orgs(walk);
	if (err == TL_EFULL) {
		put_place(&walk->place, after_out);
		err = after_out->err;
	}
	tl_buf_fini(&walk->value);
	tl_buf_fini(&walk->line);
	tl_arena_fini(&walk->name_arena);
	tl_arena_fini(&walk->arena);
	free(walk);
	return err;
}
