/*
 * Batches of events on the wire, as maps or as fields + rows <-> tl_batch (SPEC 2.2..2.5).
 *
 * {v:1, token, batch, events:[map...]}  or  {v:1, token, batch, fields:[names], rows:[[...]...]}
 * optional: import:true (an operator's or admin's batch of history)
 */
#ifndef TL_WIRE_EVENT_WIRE_H
#define TL_WIRE_EVENT_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/bytes.h"
#include "schema/model/event.h"
#include "schema/model/price.h"

/* The head of a batch, read before anything is known about its sender. Slices into the map. */
struct tl_batch_head {
	struct tl_slice token;
	struct tl_slice batch; /* the sender's name for it, echoed; str, at most 64 bytes */
	bool import;
	bool is_rows;
	struct tl_slice fields; /* the encoded array, rows form only */
	struct tl_slice events; /* the encoded array of maps or rows */
	uint32_t event_count;
};

/*
 * The head of a batch whose bytes nobody has looked at. Checks in order: version_unsupported,
 * field_missing (token), field_unknown for keys that do not begin with x_, too_many_events. The
 * bounds of the events are checked where they are read. That a batch is empty is said after its
 * credential: whoever admits it says it.
 */
TL_MUST enum tl_err tl_batch_head_read(
	struct tl_slice map, struct tl_batch_head *head_out, struct tl_why *why);

/*
 * What a batch is told that is refused as a whole for err: frame_malformed and too_deep come before
 * all else, and of them *why then says more (tl_reader_check). A batch that is taken needs no walk
 * over its bytes for that.
 */
TL_MUST enum tl_err tl_batch_refuse(struct tl_slice map, enum tl_err err, struct tl_why *why);

/* The time rules of admission. */
struct tl_accept {
	int64_t now_ms;
	int64_t past_ms_max;   /* ts >= now - this */
	int64_t future_ms_max; /* ts <= now + this */
};

/*
 * Decode and validate every event in place. Valid events become rows of batch (symbols for names,
 * KEY / EMAIL / MEMBER_ID / AGENT_TYPE as they came); each other event becomes one reject with its
 * code, field, limit and what was got. Per event the first failure wins, in this order: shape
 * (event_not_map, event_too_large, field_duplicate, field_unknown), id, types, missing, ranges,
 * time window. A wrong repo, pr or commit tag is dropped and counted, the event stays.
 * Fails as a whole only for events that leave their bounds or nest too deep (TL_EFRAME_MALFORMED),
 * a bad fields list (TL_EFIELD_UNKNOWN, TL_EFIELD_DUPLICATE) or memory. batch is as tl_batch_init
 * left it, with room for head->event_count rows.
 */
TL_MUST enum tl_err tl_batch_rows_read(const struct tl_batch_head *head,
	const struct tl_accept *accept, struct tl_batch *batch, struct tl_why *why);

/*
 * One event as a sender holds it. Zero the struct, then set what is known: an empty slice is
 * absent, TL_WIRE_ABSENT is an absent number (0 means absent only where the default is 0).
 */
#define TL_WIRE_ABSENT INT64_MIN

struct tl_wire_event {
	uint8_t id[16];
	struct tl_slice id_text; /* used instead of id when not empty */
	int64_t ts_ms;
	enum tl_kind kind;
	struct tl_slice key, email, member_hex, agent;
	struct tl_slice session, provider, model;
	int64_t input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens;
	int64_t output_tokens, reasoning_tokens;
	int64_t cost_nusd; /* TL_WIRE_ABSENT: unknown */
	int64_t saved_tokens, saved_nusd;
	int64_t status;	     /* 0 is sent as 0: set 200 for success */
	int64_t duration_ms; /* TL_WIRE_ABSENT: not stated */
	struct tl_slice repo, branch, commit;
	int64_t pr; /* 0: none */
	bool is_plan;
	struct tl_slice tag; /* one, of the many an event may have */
	int64_t rev;
	enum tl_link_op link_op;
	struct tl_slice value;
	int64_t lines_added, lines_removed, commits, pull_requests, active_ms;
	int64_t edits_accepted, edits_rejected;
	struct tl_slice rule, severity;
	int64_t fix_ms; /* 0: by severity */
};

/* The cost by model, time and tokens, for a producer that gives none; without a row it is unknown.
 */
void tl_wire_event_price(struct tl_wire_event *event, const struct tl_prices *prices);

/* Append a whole batch in the map form. */
void tl_batch_put_maps(struct tl_buf *buf, struct tl_slice token, struct tl_slice batch,
	bool import, const struct tl_wire_event *events, uint32_t event_count);

/* Append a whole batch in the dense form: only the fields that some event uses. */
void tl_batch_put_rows(struct tl_buf *buf, struct tl_slice token, struct tl_slice batch,
	bool import, const struct tl_wire_event *events, uint32_t event_count);

/* What a batch came to (SPEC 2.5). rejects are sorted by event_idx. */
struct tl_batch_answer {
	struct tl_slice batch;
	uint64_t epoch;
	uint64_t seq;
	uint32_t accepted, duplicate, replaced, rejected;
	const struct tl_reject *rejects;
	uint32_t reject_count;
};

void tl_batch_put_answer(struct tl_buf *reply, const struct tl_batch_answer *answer);

/* Counts of a reply; errors stay encoded for whoever wants them. */
struct tl_batch_result {
	uint64_t epoch, seq;
	int64_t accepted, duplicate, replaced, rejected;
	int64_t retry_after_ms;
	struct tl_slice errors; /* the encoded array, into the reply */
};

/* The error of the reply itself (why says it), or TL_OK and the counts. */
TL_MUST enum tl_err tl_batch_answer_read(
	struct tl_slice reply_map, struct tl_batch_result *result_out, struct tl_why *why);

#endif
