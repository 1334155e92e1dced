#include "schema/store/cell_read.h"

#include <stdlib.h>

#include "schema/store/key.h"
#include "schema/store/scan.h"

enum tl_err
tl_cell_decode(struct tl_slice value, enum tl_span span, int64_t bucket_ms, struct tl_arena *arena,
	struct tl_page *page_out)
{
	enum tl_span page_span = tl_page_span(span);
	int64_t page_ms = tl_bucket_floor(page_span, bucket_ms);
	struct tl_page page;
	enum tl_err err = tl_page_decode(value, page_span, page_ms, arena, &page);

	if (!err && span == TL_SPAN_1H)
		err = tl_page_join_quarters(&page);
	if (!err && span == TL_SPAN_15M) {
		err = tl_page_quarter(&page, page_ms,
			(uint32_t)((bucket_ms - page_ms) / TL_QUARTER_MS), arena, &page);
		if (!err && page.row_count == 0 && page.group_count == 0)
			err = TL_ENOT_FOUND;
	}
	if (!err)
		*page_out = page;
	return err == TL_EAMOUNT_OVERFLOW ? TL_ESTORAGE_CORRUPT : err;
}

struct part {
	struct part *next;
	struct tl_page page;
};

/* Of all parts together, as they are added up. */
struct whole {
	struct part *first, **end;
	size_t part_count, row_count, pr_count, split_count, group_count;
};

static enum tl_err
take_part(struct whole *whole, struct tl_slice value, enum tl_span span, int64_t bucket_ms,
	struct tl_arena *arena, struct tl_why *why)
{
	struct part *part = tl_arena_alloc(arena, sizeof(*part));
	char text[TL_TIME_TEXT_BYTES];
	enum tl_err err;

	if (part == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for a cell");
	part->next = NULL;
	err = tl_cell_decode(value, span, bucket_ms, arena, &part->page);
	if (err == TL_ENOT_FOUND)
		return TL_OK;
	if (err) {
		tl_time_format(bucket_ms, text);
		return tl_fail(
			why, err, "a %s page of %s cannot be read", tl_span_name(span), text);
	}
	*whole->end = part;
	whole->end = &part->next;
	whole->part_count++;
	whole->row_count += part->page.row_count;
	whole->pr_count += part->page.pr_count;
	whole->split_count += part->page.split_count;
	whole->group_count += part->page.group_count;
	return TL_OK;
}

static int
compare_groups(const void *a_arg, const void *b_arg)
{
	uint64_t a = *(const uint64_t *)a_arg;
	uint64_t b = *(const uint64_t *)b_arg;

	return (a > b) - (a < b);
}

/* A group may have rows in several parts. */
static void
unite_groups(struct tl_page *page)
{
	uint32_t count = 0;

	if (page->group_count > 1)
		qsort(page->groups, page->group_count, sizeof(*page->groups), compare_groups);
	for (uint32_t i = 0; i < page->group_count; i++) {
		if (count == 0 || page->groups[count - 1] != page->groups[i])
			page->groups[count++] = page->groups[i];
	}
	page->group_count = count;
}

static void
append(struct tl_page *page, const struct tl_page *part)
{
	for (uint32_t i = 0; i < part->row_count; i++)
		page->rows[page->row_count++] = part->rows[i];
	for (uint32_t i = 0; i < part->pr_count; i++)
		page->prs[page->pr_count++] = part->prs[i];
	for (uint32_t i = 0; i < part->split_count; i++)
		page->splits[page->split_count++] = part->splits[i];
	for (uint32_t i = 0; i < part->group_count; i++)
		page->groups[page->group_count++] = part->groups[i];
}

static enum tl_err
join(const struct whole *whole, struct tl_arena *arena, struct tl_page *page_out)
{
	struct tl_page page = {
		.rows = tl_arena_array(arena, whole->row_count, sizeof(*page.rows)),
		.prs = tl_arena_array(arena, whole->pr_count, sizeof(*page.prs)),
		.splits = tl_arena_array(arena, whole->split_count, sizeof(*page.splits)),
		.groups = tl_arena_array(arena, whole->group_count, sizeof(*page.groups)),
	};
	enum tl_err err;

	if (page.rows == NULL || page.prs == NULL || page.splits == NULL || page.groups == NULL ||
		whole->row_count > UINT32_MAX || whole->pr_count > UINT32_MAX)
		return TL_ENOMEM;
	for (const struct part *part = whole->first; part != NULL; part = part->next)
		append(&page, &part->page);
	unite_groups(&page);
	err = tl_page_combine_splits(&page);
	if (!err)
		*page_out = page;
	return err;
}

enum tl_err
tl_cell_read(struct tl_store *store, const struct tl_view *view, uint32_t org, enum tl_span span,
	int64_t bucket_ms, struct tl_arena *arena, struct tl_page *page_out, struct tl_why *why)
{
	enum tl_span page_span = tl_page_span(span);
	int64_t page_ms = tl_bucket_floor(page_span, bucket_ms);
	struct tl_key first = tl_key_cell(org, page_span, page_ms);
	struct tl_key last = tl_key_cell(org, page_span, page_ms + tl_span_ms(page_span));
	struct whole whole = {.first = NULL};
	struct tl_scan *scan = NULL;
	struct tl_slice key;
	struct tl_slice value;
	enum tl_err err;

	whole.end = &whole.first;
	err = tl_scan_open(store, view, tl_cell_family(page_span), tl_key_slice(&first),
		tl_key_slice(&last), &scan, why);
	while (!err && (err = tl_scan_next(scan, &key, &value, why)) == TL_OK)
		err = take_part(&whole, value, span, bucket_ms, arena, why);
	tl_scan_free(scan);
	if (err != TL_EEND)
		return err;
	if (whole.part_count == 0)
		return TL_ENOT_FOUND;
	if (whole.part_count > 1)
		return join(&whole, arena, page_out);
	*page_out = whole.first->page;
	return TL_OK;
}
