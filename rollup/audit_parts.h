/*
 * What the passes of an audit share. Nothing here is the fold's: a figure is the sum of the raw
 * rows that were not taken back, where the fold adds and subtracts; so a row that takes back
 * something else than what is there shows as a difference.
 */
#ifndef ROLLUP_AUDIT_PARTS_H
#define ROLLUP_AUDIT_PARTS_H

#include "rollup/audit.h"
#include "rollup/expire.h"
#include "rollup/index.h"
#include "schema/model/ref.h"
#include "schema/store/block.h"
#include "schema/store/days.h"
#include "schema/store/sealed.h"
#include "schema/store/value.h"

/* A block as the journal knows it. */
struct audit_block {
	int64_t day_ms;
	uint64_t group_no;
	int64_t cost_nusd;
	uint32_t row_count;
	uint16_t block_no;
};

/* An id that was corrected: only the row of its highest revision counts. */
struct audit_corrected {
	uint32_t org;
	uint8_t id[16];
	int64_t rev;
};

struct audit_link {
	struct audit_link *next;
	struct tl_session_link link;
};

struct audit_pr {
	struct audit_pr *next;
	struct tl_pr pr;
};

struct audit_bucket {
	struct audit_bucket *next;
	int64_t bucket_no;
};

/* A session as raw tells it. Lists are in no order until the row is made. */
struct audit_session {
	struct audit_session *next;
	uint32_t org, session;
	struct tl_session_row row;
	uint8_t last_id[16]; /* of the last request: the greatest at that time */
	struct audit_link *links;
	uint32_t link_count;
	struct audit_pr *event_prs;
	uint32_t event_pr_count;
	struct audit_bucket *buckets;
	uint32_t bucket_count;
	bool is_seen; /* among the stored rows */
};

struct audit_life {
	struct audit_life *next;
	uint32_t org, entity;
	enum tl_dim dim;
	struct tl_life life;
	bool is_seen;
};

struct audit {
	struct tl_store *store;
	const struct tl_view *view;
	struct audit_progress *progress;
	struct audit_report report;
	struct tl_day **days; /* pinned, oldest first; none that has expired */
	size_t day_count;
	struct tl_expiry cut;
	struct audit_block *blocks; /* by (day, group, block) */
	size_t block_count, block_capacity;
	struct tl_arena arena;	     /* of the whole audit */
	struct tl_arena block_arena; /* of the block in hand */
	struct tl_arena day_arena;   /* of the day in hand */
	struct tl_buf bytes;
	struct tl_sealed *sealed;
	struct index corrected, sessions, lives;
	struct audit_session *session_list;
	struct audit_life *life_list;
};

/* A row of raw, and what every pass asks of it. */
struct audit_row {
	const struct tl_batch *batch;
	uint32_t idx;
	uint64_t group_no;
	uint32_t org;
	int sign;
	enum tl_kind kind;
	int64_t time_ms;
};

/* Count a difference; the first one is kept in words. */
void audit_differs(struct audit *audit, const char *fmt, ...) TL_PRINTF(2, 3);

/*
 * Visit every row of one day up to the view, in the order of groups, and check that its blocks,
 * sealed ones first, are those of the journal.
 */
TL_MUST enum tl_err audit_read_day(struct audit *audit, size_t day_idx, uint64_t column_mask,
	enum tl_err (*visit)(
		struct audit *audit, const struct audit_row *row, void *arg, struct tl_why *why),
	void *arg, struct tl_why *why);

/* Pass 1: every (org, id) has exactly one row that counts; notes the corrected ones. */
TL_MUST enum tl_err audit_ids(struct audit *audit, struct tl_why *why);

/* Whether the row counts: not a taking back, not taken back. */
bool audit_counts(const struct audit *audit, const struct audit_row *row);

/* Pass 2: sessions and lives from raw, compared with what is stored. */
TL_MUST enum tl_err audit_sessions(struct audit *audit, struct tl_why *why);

struct audit_session *audit_session_of(const struct audit *audit, uint32_t org, uint32_t session);

TL_MUST enum tl_err audit_lives(struct audit *audit, struct tl_why *why);
TL_MUST enum tl_err audit_life_add(struct audit *audit, uint32_t org, uint32_t member,
	uint32_t agent, const struct tl_totals *totals, int64_t first_ms, int64_t last_ms);

/* Pass 3: the cells of every day. */
TL_MUST enum tl_err audit_cells(struct audit *audit, struct tl_why *why);

#endif
