/*
 * A query. What is accepted has all its parameters within their bounds, and a custom range has both
 * ends; what is refused says which parameter.
 */
#include "schema/model/limits.h"
#include "schema/wire/query_wire.h"
#include "schema/wire/reader.h"
#include "tests/fuzz/fuzz.h"

static void
check_text(struct tl_slice map, struct tl_slice text)
{
	assert(text.bytes <= 512 && tl_utf8_valid(text));
	if (text.bytes > 0)
		assert(text.data > map.data && text.data + text.bytes <= map.data + map.bytes);
}

static void
check_query(struct tl_slice map, const struct tl_query *query)
{
	const struct tl_slice texts[] = {query->token, query->org, query->tz, query->cursor,
		query->scope, query->session, query->member, query->repo, query->agent, query->key,
		query->text};

	assert(query->op < TL_QUERY_COUNT && query->metric < TL_METRIC_COUNT);
	assert(query->range <= TL_RANGE_CUSTOM);
	assert(query->limit <= TL_PAGE_ROWS_MAX);
	assert(query->pr >= 0 && query->pr <= TL_PR_MAX);
	assert(query->from_ms >= 0 && query->from_ms <= TL_TIME_MS_MAX);
	assert(query->to_ms >= 0 && query->to_ms <= TL_TIME_MS_MAX);
	assert(query->range != TL_RANGE_CUSTOM || query->has_range);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_text(map, texts[i]);
	assert(tl_slice_eq(tl_reader_find_str(map, "op"), tl_slice_str(tl_query_name(query->op))));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct tl_slice map = tl_slice_of(data, bytes);
	struct tl_why why = {""};
	struct tl_query query;
	enum tl_err err;

	if (tl_reader_check(map, TL_WIRE_DEPTH_MAX, NULL))
		return 0;
	err = tl_query_read(map, &query, &why);
	if (err)
		assert(why.text[0] != '\0' && tl_utf8_valid(tl_slice_str(why.text)));
	else
		check_query(map, &query);
	return 0;
}
