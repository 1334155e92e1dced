/* Claude Code: projects/<folder>/<session>.jsonl, subagents in files of their own. */
#include "ingest/import/transcript.h"

/* input, cache read and cache write are disjoint in these records, as they are in ours. */
static void
read_usage(const struct tl_json_value *usage, struct tl_wire_event *event)
{
	const struct tl_json_value *write = tl_json_get(usage, "cache_creation");

	event->input_tokens = transcript_count(usage, "input_tokens");
	event->output_tokens = transcript_count(usage, "output_tokens");
	event->cache_read_tokens = transcript_count(usage, "cache_read_input_tokens");
	event->cache_write_tokens = transcript_count(usage, "cache_creation_input_tokens");
	event->cache_write_1h_tokens = transcript_count(write, "ephemeral_1h_input_tokens");
	if (event->cache_write_1h_tokens > event->cache_write_tokens)
		event->cache_write_1h_tokens = event->cache_write_tokens;
}

static enum tl_err
read_names(struct import *import, const struct tl_json_value *line,
	const struct tl_json_value *message, struct tl_wire_event *event)
{
	const struct transcript_text texts[] = {
		{message, "model", TL_MODEL_BYTES_MAX, &event->model},
		{line, "sessionId", TL_SESSION_BYTES_MAX, &event->session},
		{line, "gitBranch", TL_BRANCH_BYTES_MAX, &event->branch},
	};

	event->agent = tl_slice_str("claude_code");
	event->provider = tl_slice_str("anthropic");
	return transcript_texts(import, texts, sizeof(texts) / sizeof(texts[0]));
}

/* What identifies a request; a missing request id is part of it. */
static void
put_key(struct tl_buf *key, const struct tl_json_value *line, const struct tl_json_value *message)
{
	tl_buf_reset(key);
	tl_buf_put_str(key, "claude-code");
	tl_buf_put_u8(key, 0);
	tl_buf_put_slice(key, tl_json_str(tl_json_get(message, "id")));
	tl_buf_put_u8(key, 0);
	tl_buf_put_slice(key, tl_json_str(tl_json_get(line, "requestId")));
}

static enum tl_err
read_line(struct import *import, const struct tl_json_value *line)
{
	const struct tl_json_value *message = tl_json_get(line, "message");
	const struct tl_json_value *usage = tl_json_get(message, "usage");
	struct tl_wire_event *event;
	int64_t ts_ms;
	bool is_new;
	enum tl_err err;

	if (!tl_json_is_object(usage) || tl_slice_eq(tl_json_str(tl_json_get(message, "model")),
						 tl_slice_str("<synthetic>")))
		return TL_OK; /* usage of another kind, or a local note about an error */
	if (!transcript_time(tl_json_get(line, "timestamp"), &ts_ms) ||
		tl_json_str(tl_json_get(message, "id")).bytes == 0) {
		import->stats.unreadable++;
		return TL_OK;
	}
	import->stats.usage_lines++;
	put_key(&import->key, line, message);
	err = transcript_request(import, &event, &is_new);
	if (err)
		return err;
	if (!is_new) {
		import->stats.repeats++;
		event->rev++; /* so that a transcript that grew since replaces what was imported */
	}
	event->ts_ms = ts_ms;
	read_usage(usage, event);
	err = read_names(import, line, message, event);
	if (!err)
		tl_wire_event_price(event, import->prices);
	return err;
}

enum tl_err
claude_code_line(struct import *import, struct tl_slice line)
{
	return transcript_has(line, "\"usage\"") ? transcript_line(import, line, read_line) : TL_OK;
}
