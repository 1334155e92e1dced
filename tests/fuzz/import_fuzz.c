/*
 * Lines of a transcript; the first byte says whose. Every event can be sent: its numbers are no
 * nonsense and its names within the protocol's limits. The same file read again adds no event.
 */
#include "ingest/import/import.h"
#include "schema/model/limits.h"
#include "tests/fuzz/fuzz.h"

static void
read_lines(struct import *import, struct tl_slice text)
{
	import_file(import);
	while (text.bytes > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.bytes);
		size_t bytes = end != NULL ? (size_t)(end - text.data) : text.bytes;

		assert(import_line(import, tl_slice_of(text.data, bytes)) == TL_OK);
		bytes += end != NULL;
		text = tl_slice_of(text.data + bytes, text.bytes - bytes);
	}
}

static void
check_event(const struct tl_wire_event *event)
{
	static const uint8_t zeros[16];

	assert(event->kind == TL_KIND_REQUEST && memcmp(event->id, zeros, sizeof(zeros)) != 0);
	assert(event->input_tokens >= 0 && event->output_tokens >= 0);
	assert(event->cache_read_tokens >= 0 && event->rev >= 0);
	assert(event->cache_write_1h_tokens >= 0);
	assert(event->cache_write_1h_tokens <= event->cache_write_tokens);
	assert(event->reasoning_tokens >= 0 && event->reasoning_tokens <= event->output_tokens);
	assert(event->session.bytes <= TL_SESSION_BYTES_MAX);
	assert(event->model.bytes <= TL_MODEL_BYTES_MAX);
	assert(event->provider.bytes <= TL_PROVIDER_BYTES_MAX);
	assert(event->repo.bytes <= TL_REPO_BYTES_MAX);
	assert(event->branch.bytes <= TL_BRANCH_BYTES_MAX);
	assert(event->commit.bytes <= TL_COMMIT_BYTES_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct tl_wire_event *events;
	struct import_stats stats;
	static struct tl_prices *prices;
	struct import *import;
	struct tl_slice text;
	uint32_t count, count_again;

	if (bytes == 0)
		return 0;
	text = tl_slice_of(data + 1, bytes - 1);
	if (prices == NULL)
		assert(tl_prices_new(tl_slice_of("", 0), &prices, NULL) == TL_OK);
	assert(import_new((data[0] & 1) != 0 ? IMPORT_CODEX : IMPORT_CLAUDE_CODE,
		       tl_slice_str("a@b.c"), prices, &import) == TL_OK);
	read_lines(import, text);
	events = import_events(import, &count);
	for (uint32_t i = 0; i < count; i++)
		check_event(&events[i]);
	import_stats(import, &stats);
	assert(count <= stats.usage_lines && stats.usage_lines <= stats.lines);
	read_lines(import, text);
	(void)import_events(import, &count_again);
	assert(count_again == count);
	import_free(import);
	return 0;
}
