/*
 * A batch of events, in maps or in rows. What is decoded keeps the promises of the batch: every
 * event is one row or one reject, numbers lie within their limits, names are spelled the one way.
 * Written again by the client's side, in both forms, it decodes to the same rows. The decoder
 * checks bounds as it goes: what it takes has passed tl_reader_check, what it calls malformed has
 * not.
 */
#include "schema/model/limits.h"
#include "schema/model/ref.h"
#include "schema/wire/event_field.h"
#include "schema/wire/event_wire.h"
#include "schema/wire/reader.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_BYTES_MAX ((size_t)24 << 20)
#define NOW_MS INT64_C(1795255200000)

static const struct tl_accept accept_all = {
	.now_ms = NOW_MS, .past_ms_max = NOW_MS, .future_ms_max = TL_FUTURE_MS_MAX};

static struct tl_slice
name_of(const struct tl_batch *batch, enum tl_column column, uint32_t row_idx)
{
	int64_t symbol = tl_batch_get(batch, column, row_idx);

	assert(symbol >= 0 && (symbol == 0 || symbol < batch->symbol_count));
	if (symbol == 0)
		return tl_slice_of("", 0);
	assert(batch->symbols[symbol].kind == tl_column_name_kind(column));
	assert(batch->symbols[symbol].text.bytes > 0);
	return batch->symbols[symbol].text;
}

static void
check_spelling(enum tl_column column, struct tl_slice text)
{
	char again[TL_EMAIL_BYTES_MAX + 1];

	if (text.bytes == 0)
		return;
	if (column == TL_COL_REPO)
		assert(tl_repo_normalise(text, again) == TL_OK);
	else if (column == TL_COL_COMMIT)
		assert(tl_commit_normalise(text, again) == TL_OK);
	else if (column == TL_COL_EMAIL)
		assert(tl_email_normalise(text, again));
	else
		return;
	assert(tl_slice_eq(tl_slice_str(again), text));
}

static void
check_cells(const struct tl_batch *batch, uint32_t row_idx)
{
	for (unsigned int field = 0; field < TL_FIELD_COUNT; field++) {
		const struct tl_event_field_info *info = &tl_event_fields[field];
		enum tl_column column = (enum tl_column)info->column;
		int64_t cell;

		if (column == TL_COL_COUNT)
			continue;
		cell = tl_batch_get(batch, column, row_idx);
		if (info->is_number)
			assert(cell == info->initial || (cell >= info->min && cell <= info->max));
		else if (info->name_kind != 0)
			check_spelling(column, name_of(batch, column, row_idx));
	}
}

static void
check_row(const struct tl_batch *batch, uint32_t row_idx)
{
	static const uint8_t zeros[16];
	struct tl_totals totals;
	int64_t ts_ms = tl_batch_get(batch, TL_COL_TS, row_idx);
	int64_t kind = tl_batch_get(batch, TL_COL_KIND, row_idx);

	check_cells(batch, row_idx);
	assert(memcmp(batch->id[row_idx], zeros, sizeof(zeros)) != 0);
	assert(ts_ms >= TL_TIME_SECONDS_HINT && ts_ms <= NOW_MS + TL_FUTURE_MS_MAX);
	assert(kind >= TL_KIND_REQUEST && kind <= TL_KIND_VIOLATION);
	assert(kind != TL_KIND_REQUEST || name_of(batch, TL_COL_MODEL, row_idx).bytes > 0);
	assert(kind != TL_KIND_LINK || (name_of(batch, TL_COL_SESSION, row_idx).bytes > 0 &&
					       name_of(batch, TL_COL_VALUE, row_idx).bytes > 0));
	assert(tl_batch_get(batch, TL_COL_REASONING, row_idx) <=
		tl_batch_get(batch, TL_COL_OUTPUT, row_idx));
	assert(tl_batch_get(batch, TL_COL_CACHE_WRITE_1H, row_idx) <=
		tl_batch_get(batch, TL_COL_CACHE_WRITE, row_idx));
	/* One way of saying whose it is. */
	assert((tl_batch_get(batch, TL_COL_KEY, row_idx) != 0) +
			(tl_batch_get(batch, TL_COL_EMAIL, row_idx) != 0) +
			(tl_batch_get(batch, TL_COL_MEMBER_ID, row_idx) != 0) <=
		1);
	tl_event_totals(batch, row_idx, &totals);
	for (uint32_t i = 0; i < TL_MEASURE_COUNT; i++)
		assert(totals.measure[i] >= 0);
}

static void
check_reject(const struct tl_reject *reject)
{
	struct tl_slice got = tl_slice_str(reject->got);

	assert(reject->err > TL_OK && reject->err < TL_ERR_COUNT);
	assert(got.bytes <= 64 && tl_utf8_valid(got));
	for (size_t i = 0; i < got.bytes; i++)
		assert(got.data[i] >= 0x20 && got.data[i] != 0x7f);
}

/* Each event of the batch is in one of the two lists, and both are in the order sent. */
static void
check_batch(const struct tl_batch *batch, uint32_t event_count)
{
	uint32_t row = 0;
	uint32_t reject = 0;

	assert(batch->row_count + batch->reject_count == event_count);
	for (uint32_t i = 0; i < event_count; i++) {
		if (row < batch->row_count && batch->event_idx[row] == i)
			check_row(batch, row++);
		else
			assert(batch->rejects[reject].event_idx == i);
		if (reject < batch->reject_count && batch->rejects[reject].event_idx == i)
			check_reject(&batch->rejects[reject++]);
	}
	assert(row == batch->row_count && reject == batch->reject_count);
}

static enum tl_err
decode(struct tl_slice map, struct tl_arena *arena, struct tl_batch_head *head,
	struct tl_batch *batch)
{
	struct tl_why why;
	enum tl_err err = tl_batch_head_read(map, head, &why);

	if (err)
		return err;
	assert(head->event_count <= TL_BATCH_EVENTS_MAX);
	err = tl_batch_init(batch, arena, head->event_count);
	if (!err)
		err = tl_batch_rows_read(head, &accept_all, batch, &why);
	assert(err != TL_ENOMEM); /* the ceiling is far above what a batch of this size may take */
	return err;
}

static struct tl_wire_event
event_of(const struct tl_batch *batch, uint32_t row, char member_hex[33])
{
	int64_t cost = tl_batch_get(batch, TL_COL_COST, row);
	int64_t duration = tl_batch_get(batch, TL_COL_DURATION, row);
	int64_t severity = tl_batch_get(batch, TL_COL_SEVERITY, row);
	struct tl_slice member = name_of(batch, TL_COL_MEMBER_ID, row);
	struct tl_wire_event event = {
		.ts_ms = tl_batch_get(batch, TL_COL_TS, row),
		.kind = (enum tl_kind)tl_batch_get(batch, TL_COL_KIND, row),
		.key = name_of(batch, TL_COL_KEY, row),
		.email = name_of(batch, TL_COL_EMAIL, row),
		.agent = name_of(batch, TL_COL_AGENT_TYPE, row),
		.session = name_of(batch, TL_COL_SESSION, row),
		.provider = name_of(batch, TL_COL_PROVIDER, row),
		.model = name_of(batch, TL_COL_MODEL, row),
		.input_tokens = tl_batch_get(batch, TL_COL_INPUT, row),
		.cache_read_tokens = tl_batch_get(batch, TL_COL_CACHE_READ, row),
		.cache_write_tokens = tl_batch_get(batch, TL_COL_CACHE_WRITE, row),
		.cache_write_1h_tokens = tl_batch_get(batch, TL_COL_CACHE_WRITE_1H, row),
		.output_tokens = tl_batch_get(batch, TL_COL_OUTPUT, row),
		.reasoning_tokens = tl_batch_get(batch, TL_COL_REASONING, row),
		.cost_nusd = cost < 0 ? TL_WIRE_ABSENT : cost,
		.saved_tokens = tl_batch_get(batch, TL_COL_SAVED_TOKENS, row),
		.saved_nusd = tl_batch_get(batch, TL_COL_SAVED_NUSD, row),
		.status = tl_batch_get(batch, TL_COL_STATUS, row),
		.duration_ms = duration < 0 ? TL_WIRE_ABSENT : duration,
		.repo = name_of(batch, TL_COL_REPO, row),
		.branch = name_of(batch, TL_COL_BRANCH, row),
		.commit = name_of(batch, TL_COL_COMMIT, row),
		.pr = tl_batch_get(batch, TL_COL_PR, row),
		.is_plan = tl_batch_get(batch, TL_COL_BILLING, row) == TL_BILLING_PLAN,
		.rev = tl_batch_get(batch, TL_COL_REV, row),
		.link_op = (enum tl_link_op)tl_batch_get(batch, TL_COL_LINK_OP, row),
		.value = name_of(batch, TL_COL_VALUE, row),
		.lines_added = tl_batch_get(batch, TL_COL_LINES_ADDED, row),
		.lines_removed = tl_batch_get(batch, TL_COL_LINES_REMOVED, row),
		.commits = tl_batch_get(batch, TL_COL_COMMITS, row),
		.pull_requests = tl_batch_get(batch, TL_COL_PULL_REQUESTS, row),
		.active_ms = tl_batch_get(batch, TL_COL_ACTIVE_MS, row),
		.edits_accepted = tl_batch_get(batch, TL_COL_EDITS_ACCEPTED, row),
		.edits_rejected = tl_batch_get(batch, TL_COL_EDITS_REJECTED, row),
		.rule = name_of(batch, TL_COL_RULE, row),
		.fix_ms = tl_batch_get(batch, TL_COL_FIX_MS, row),
	};

	memcpy(event.id, batch->id[row], sizeof(event.id));
	if (severity != TL_SEVERITY_NONE)
		event.severity = tl_slice_str(tl_event_word(TL_FIELD_SEVERITY, severity));
	if (member.bytes == 16) {
		tl_hex(member.data, member.bytes, member_hex);
		event.member_hex = tl_slice_of(member_hex, 32);
	}
	return event;
}

/* What a sender cannot say: lists and maps, amounts of what is no request, a fix in no time. */
static bool
is_said(const struct tl_batch *batch, enum tl_column column, uint32_t row)
{
	switch ((int)column) {
	case TL_COL_TAGS:
	case TL_COL_EMAIL_ENC:
		return false;
	case TL_COL_INPUT:
	case TL_COL_OUTPUT:
	case TL_COL_COST:
	case TL_COL_STATUS:
	case TL_COL_DURATION:
		return tl_batch_get(batch, TL_COL_KIND, row) == TL_KIND_REQUEST;
	case TL_COL_FIX_MS:
		return tl_batch_get(batch, column, row) != 0;
	}
	return true;
}

/* A part of the output that is not said makes the event another one. */
static bool
is_sayable(const struct tl_batch *batch, uint32_t row)
{
	return tl_batch_get(batch, TL_COL_KIND, row) == TL_KIND_REQUEST ||
	       tl_batch_get(batch, TL_COL_REASONING, row) == 0;
}

static void
check_same_row(const struct tl_batch *a, uint32_t a_row, const struct tl_batch *b, uint32_t b_row)
{
	assert(memcmp(a->id[a_row], b->id[b_row], sizeof(a->id[0])) == 0);
	for (int i = 0; i < TL_COL_COUNT; i++) {
		enum tl_column column = (enum tl_column)i;

		if (!is_said(a, column, a_row))
			continue;
		if (tl_column_name_kind(column) != 0)
			assert(tl_slice_eq(name_of(a, column, a_row), name_of(b, column, b_row)));
		else
			assert(tl_batch_get(a, column, a_row) == tl_batch_get(b, column, b_row));
	}
}

static void
check_again(const struct tl_batch *batch, const struct tl_batch_head *head)
{
	static struct tl_arena static_arena;
	static struct tl_buf frame;
	static struct tl_wire_event events[TL_BATCH_EVENTS_MAX];
	static char member_hex[TL_BATCH_EVENTS_MAX][33];
	static uint32_t rows[TL_BATCH_EVENTS_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < batch->row_count; i++) {
		if (!is_sayable(batch, i))
			continue;
		rows[count] = i;
		events[count] = event_of(batch, i, member_hex[count]);
		count++;
	}
	for (int form = 0; count > 0 && form < 2; form++) {
		struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
		struct tl_batch_head head_again;
		struct tl_batch again;

		tl_buf_reset(&frame);
		if (form == 0)
			tl_batch_put_maps(&frame, tl_slice_str("t"), head->batch, head->import,
				events, count);
		else
			tl_batch_put_rows(&frame, tl_slice_str("t"), head->batch, head->import,
				events, count);
		assert(decode(tl_buf_slice(&frame), arena, &head_again, &again) == TL_OK);
		assert(tl_slice_eq(head->batch, head_again.batch));
		assert(head->import == head_again.import && head_again.is_rows == (form == 1));
		assert(again.row_count == count && again.dropped_tag_count == 0);
		for (uint32_t i = 0; i < count; i++)
			check_same_row(batch, rows[i], &again, i);
	}
}

/* The answer names every reject, and the client reads its counts back. */
static void
check_answer(const struct tl_batch *batch, const struct tl_batch_head *head)
{
	static struct tl_buf reply;
	struct tl_batch_answer answer = {.batch = head->batch,
		.epoch = 7,
		.seq = 9,
		.accepted = batch->row_count,
		.rejected = batch->reject_count,
		.rejects = batch->rejects,
		.reject_count = batch->reject_count};
	struct tl_batch_result result;

	tl_buf_reset(&reply);
	tl_batch_put_answer(&reply, &answer);
	assert(tl_batch_answer_read(tl_buf_slice(&reply), &result, NULL) == TL_OK);
	assert(result.epoch == 7 && result.seq == 9);
	assert(result.accepted == batch->row_count && result.rejected == batch->reject_count);
}

static void
check_bounds(struct tl_slice map, enum tl_err err)
{
	enum tl_err wanted = tl_reader_check(map, TL_WIRE_DEPTH_MAX, NULL);
	struct tl_reader reader = tl_reader_of(map);

	if (wanted)
		assert(err != TL_OK && tl_batch_refuse(map, err, NULL) == wanted);
	else if (err == TL_EFRAME_MALFORMED) /* whole, but no map */
		assert(tl_reader_peek(&reader) != TL_WIRE_MAP);
	else if (err)
		assert(tl_batch_refuse(map, err, NULL) == err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct tl_arena static_arena;
	struct tl_arena *arena = fuzz_arena(&static_arena, ARENA_BYTES_MAX);
	struct tl_slice map = tl_slice_of(data, bytes);
	struct tl_batch_head head;
	struct tl_batch batch;
	enum tl_err err = decode(map, arena, &head, &batch);

	check_bounds(map, err);
	if (err)
		return 0;
	check_batch(&batch, head.event_count);
	check_again(&batch, &head);
	check_answer(&batch, &head);
	return 0;
}
