/* Codex: sessions/<y>/<m>/<d>/rollout-*.jsonl, one session a file, totals that rise. */
#include "ingest/import/transcript.h"

static enum tl_err
read_session(struct import *import, const struct tl_json_value *payload)
{
	const struct tl_json_value *git = tl_json_get(payload, "git");
	struct codex_file *file = &import->codex;
	const struct transcript_text texts[] = {
		{payload, "id", TL_SESSION_BYTES_MAX, &file->session},
		{payload, "model_provider", TL_PROVIDER_BYTES_MAX, &file->provider},
		{git, "repository_url", TL_REPO_BYTES_MAX, &file->repo},
		{git, "branch", TL_BRANCH_BYTES_MAX, &file->branch},
		{git, "commit_hash", TL_COMMIT_BYTES_MAX, &file->commit},
	};

	return transcript_texts(import, texts, sizeof(texts) / sizeof(texts[0]));
}

static enum tl_err
read_turn(struct import *import, const struct tl_json_value *payload)
{
	const struct transcript_text model = {
		payload, "model", TL_MODEL_BYTES_MAX, &import->codex.model};

	return transcript_texts(import, &model, 1);
}

/* Input includes cached tokens in these records; ours are disjoint. Output includes reasoning. */
static void
fill_event(const struct codex_file *file, const struct tl_json_value *last,
	struct tl_wire_event *event)
{
	int64_t cached = transcript_count(last, "cached_input_tokens");
	int64_t input = transcript_count(last, "input_tokens");

	event->input_tokens = input > cached ? input - cached : 0;
	event->cache_read_tokens = cached;
	event->output_tokens = transcript_count(last, "output_tokens");
	event->reasoning_tokens = transcript_count(last, "reasoning_output_tokens");
	if (event->reasoning_tokens > event->output_tokens)
		event->reasoning_tokens = event->output_tokens;
	event->agent = tl_slice_str("codex");
	event->session = file->session;
	event->model = file->model.bytes > 0 ? file->model : tl_slice_str("unknown");
	event->provider = file->provider;
	event->repo = file->repo;
	event->branch = file->branch;
	event->commit = file->commit;
}

/* True when the total moved: this is a request and not the repetition of one. */
static bool
total_moved(struct codex_file *file, const struct tl_json_value *total)
{
	static const char *const keys[4] = {
		"input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens"};
	bool moved = false;

	for (int i = 0; i < 4; i++) {
		int64_t value = transcript_count(total, keys[i]);

		moved = moved || value != file->total[i];
		file->total[i] = value;
	}
	return moved;
}

static enum tl_err
read_token_count(
	struct import *import, const struct tl_json_value *line, const struct tl_json_value *info)
{
	struct codex_file *file = &import->codex;
	struct tl_wire_event *event;
	int64_t ts_ms;
	bool is_new;
	enum tl_err err;

	if (!tl_json_is_object(info))
		return TL_OK; /* rate limits alone */
	import->stats.usage_lines++;
	if (!total_moved(file, tl_json_get(info, "total_token_usage"))) {
		import->stats.repeats++;
		return TL_OK;
	}
	if (!transcript_time(tl_json_get(line, "timestamp"), &ts_ms) || file->session.bytes == 0) {
		import->stats.unreadable++;
		return TL_OK;
	}
	tl_buf_reset(&import->key);
	tl_buf_put_str(&import->key, "codex");
	tl_buf_put_u8(&import->key, 0);
	tl_buf_put_slice(&import->key, file->session);
	for (int i = 0; i < 4; i++)
		tl_buf_put_be64(&import->key, (uint64_t)file->total[i]);
	err = transcript_request(import, &event, &is_new);
	if (err)
		return err;
	if (!is_new) {
		import->stats.repeats++; /* a resumed session's file begins with what came before */
		return TL_OK;
	}
	event->ts_ms = ts_ms;
	fill_event(file, tl_json_get(info, "last_token_usage"), event);
	tl_wire_event_price(event, import->prices);
	return TL_OK;
}

static enum tl_err
read_line(struct import *import, const struct tl_json_value *line)
{
	const struct tl_json_value *payload = tl_json_get(line, "payload");
	struct tl_slice type = tl_json_str(tl_json_get(line, "type"));

	if (tl_slice_eq(type, tl_slice_str("session_meta")))
		return read_session(import, payload);
	if (tl_slice_eq(type, tl_slice_str("turn_context")))
		return read_turn(import, payload);
	if (tl_slice_eq(tl_json_str(tl_json_get(payload, "type")), tl_slice_str("token_count")))
		return read_token_count(import, line, tl_json_get(payload, "info"));
	return TL_OK;
}

enum tl_err
codex_line(struct import *import, struct tl_slice line)
{
	if (!transcript_has(line, "\"token_count\"") && !transcript_has(line, "\"session_meta\"") &&
		!transcript_has(line, "\"turn_context\""))
		return TL_OK;
	return transcript_line(import, line, read_line);
}
