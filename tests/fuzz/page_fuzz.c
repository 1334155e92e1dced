/*
 * A cell page, of an hour or a day as the first byte says; the checksum is put behind the input.
 * What decodes is sorted, is written again to a page that equals it, and adds up with nothing to
 * itself.
 */
#include "schema/base/crypt.h"
#include "schema/store/cell.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_BYTES_MAX ((size_t)16 << 20)
#define BUCKET_MS INT64_C(1795219200000)

static void
check_sorted(const struct tl_page *page)
{
	for (uint32_t i = 1; i < page->row_count; i++)
		assert(tl_cell_key_cmp(&page->rows[i - 1].key, &page->rows[i].key) < 0);
	for (uint32_t i = 1; i < page->pr_count; i++)
		assert(page->prs[i - 1].session <= page->prs[i].session);
	for (uint32_t i = 1; i < page->split_count; i++)
		assert(tl_pr_cmp(page->splits[i - 1].pr, page->splits[i].pr) < 0);
	for (uint32_t i = 1; i < page->group_count; i++)
		assert(page->groups[i - 1] < page->groups[i]);
}

static void
check_again(const struct tl_page *page, enum tl_span span)
{
	static struct tl_arena static_arena;
	static struct tl_buf once, twice;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_page again;

	tl_buf_reset(&once);
	tl_page_encode(page, span, BUCKET_MS, &once);
	assert(!once.err);
	assert(tl_page_decode(tl_buf_slice(&once), span, BUCKET_MS, arena, &again) == TL_OK);
	assert(tl_page_eq(page, &again));
	tl_buf_reset(&twice);
	tl_page_encode(&again, span, BUCKET_MS, &twice);
	assert(tl_slice_eq(tl_buf_slice(&once), tl_buf_slice(&twice)));
}

static void
check_add(const struct tl_page *page)
{
	static struct tl_arena static_arena;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_page nothing = {0};
	struct tl_page sum;
	enum tl_err err = tl_page_add(page, &nothing, arena, &sum);

	assert(err == TL_OK || err == TL_EAMOUNT_OVERFLOW || err == TL_ENOMEM);
	if (!err)
		check_sorted(&sum);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_arena static_arena;
	static struct tl_buf buf;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	enum tl_span span = bytes > 0 && data[0] % 2 == 1 ? TL_SPAN_1D : TL_SPAN_1H;
	struct tl_slice body = bytes > 0 ? tl_slice_of(data + 1, bytes - 1) : tl_slice_of(data, 0);
	struct tl_page page;
	enum tl_err err = tl_page_decode(body, span, BUCKET_MS, arena, &page);

	assert(err != TL_OK || body.bytes >= 8);
	tl_buf_reset(&buf);
	tl_buf_put_slice(&buf, body);
	tl_buf_put_be64(&buf, tl_checksum64(body));
	arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	err = tl_page_decode(tl_buf_slice(&buf), span, BUCKET_MS, arena, &page);
	if (err) {
		assert(err == TL_ESTORAGE_CORRUPT || err == TL_ENOMEM);
		return 0;
	}
	check_sorted(&page);
	check_again(&page, span);
	check_add(&page);
	return 0;
}
