#include "ingest/import/import.h"

#include <stdlib.h>

#include "ingest/import/transcript.h"

#define ARENA_BYTES_MAX ((size_t)8 << 30)
#define REQUESTS_MAX 100000000u

enum tl_err
import_new(enum import_source source, struct tl_slice email, const struct tl_prices *prices,
	struct import **import_out)
{
	struct import *import = calloc(1, sizeof(*import));
	enum tl_err err;

	if (import == NULL)
		return TL_ENOMEM;
	import->source = source;
	import->email = email;
	import->prices = prices;
	tl_arena_init(&import->arena, ARENA_BYTES_MAX);
	tl_buf_init(&import->key, 4096);
	err = tl_map_new(REQUESTS_MAX, &import->requests);
	if (err) {
		import_free(import);
		return err;
	}
	*import_out = import;
	return TL_OK;
}

void
import_free(struct import *import)
{
	if (import == NULL)
		return;
	tl_map_free(import->requests);
	tl_arena_fini(&import->arena);
	tl_buf_fini(&import->key);
	free(import->events);
	free(import);
}

void
import_file(struct import *import)
{
	import->codex = (struct codex_file){0};
}

enum tl_err
import_line(struct import *import, struct tl_slice line)
{
	import->stats.lines++;
	switch (import->source) {
	case IMPORT_CLAUDE_CODE:
		return claude_code_line(import, line);
	case IMPORT_CODEX:
		return codex_line(import, line);
	}
	return TL_OK;
}

void
import_stats(const struct import *import, struct import_stats *stats_out)
{
	*stats_out = import->stats;
}

const struct tl_wire_event *
import_events(const struct import *import, uint32_t *count_out)
{
	*count_out = import->event_count;
	return import->events;
}
