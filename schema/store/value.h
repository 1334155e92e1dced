/* Values other than blocks and cell pages <-> bytes, version byte first. */
#ifndef TL_STORE_VALUE_H
#define TL_STORE_VALUE_H

#include "schema/base/arena.h"
#include "schema/base/bytes.h"
#include "schema/model/event.h"
#include "schema/model/totals.h"
#include "schema/store/cell.h"

/* One link event of a session, kept so that "last wins" and corrections hold in any order. */
struct tl_session_link {
	int64_t ts_ms;
	uint8_t id[16];
	enum tl_link_op op;
	uint32_t repo;	 /* set_repo, add_pr (0: the session's repo) */
	uint32_t number; /* add_pr */
	uint32_t value;	 /* set_name, add_commit: TL_NAME_TEXT */
};

/* A PR that events of the session named together with a repo (SPEC 9.7), and how many did. */
struct tl_session_event_pr {
	struct tl_pr pr;
	int64_t event_count;
};

/*
 * A session: a pure function of its events, whatever their order. The figures are of its whole
 * life; repo, prs, name and commits follow from links and event_prs.
 */
struct tl_session_row {
	int64_t first_ms, last_ms; /* request events; INT64_MAX and INT64_MIN without any */
	uint32_t member, agent;	   /* of the request with the greatest (time, id) */
	struct tl_totals totals;
	uint32_t repo, name; /* 0: none */
	struct tl_pr *prs;   /* by (repo name, number), resolved ones only */
	uint32_t pr_count;
	struct tl_session_link *links; /* sorted by (op, ts, id) */
	uint32_t link_count;
	struct tl_session_event_pr *event_prs; /* sorted by (repo, number) */
	uint32_t event_pr_count;
	int64_t *buckets; /* 15m bucket numbers that hold rows of the session, rising */
	uint32_t bucket_count;
};

void tl_session_row_init(struct tl_session_row *row);
void tl_session_row_encode(const struct tl_session_row *row, struct tl_buf *buf);
TL_MUST enum tl_err tl_session_row_decode(
	struct tl_slice bytes, struct tl_arena *arena, struct tl_session_row *row_out);

/* The whole life of a member or an agent. */
struct tl_life {
	struct tl_totals totals;
	int64_t first_ms, last_ms; /* request events; INT64_MAX and INT64_MIN without any */
};

void tl_life_encode(const struct tl_life *life, struct tl_buf *buf);
TL_MUST enum tl_err tl_life_decode(struct tl_slice bytes, struct tl_life *life_out);

/* What became of the events of one source on one day of arrival (SPEC 9.15). */
struct tl_intake_row {
	int64_t received, accepted, duplicate, replaced, conflict, rejected, late, unpriced;
	int64_t dropped_tags;
	int64_t money_nusd; /* cost and savings of all that was taken, corrected values included */
	int64_t rejected_by[TL_ERR_COUNT]; /* stored by name, so codes may be renumbered */
};

void tl_intake_row_encode(const struct tl_intake_row *row, struct tl_buf *buf);
TL_MUST enum tl_err tl_intake_row_decode(struct tl_slice bytes, struct tl_intake_row *row_out);

/* A refused event under an id that is stored: how often, and the last of them. */
struct tl_quarantine_row {
	uint64_t times;
	int64_t last_ms;       /* arrival of the last */
	struct tl_slice field; /* that differs */
	struct tl_slice block; /* of one row: the event */
};

/* Encode writes what stands before the block, which the caller appends. Decode borrows. */
void tl_quarantine_row_encode(const struct tl_quarantine_row *row, struct tl_buf *buf);
TL_MUST enum tl_err tl_quarantine_row_decode(
	struct tl_slice bytes, struct tl_quarantine_row *row_out);

/*
 * A position in the journal: how far the derived families go, and the steps that brought them there
 * and have a row of their own: one that is not there is lost with all it wrote.
 */
struct tl_mark {
	uint64_t group_no;
	uint64_t seq;
	uint64_t step_no;	/* the last step; 0: written before steps had rows */
	uint64_t first_step_no; /* the first that has a row */
};

/* Encode writes the newest version. */
void tl_mark_encode(const struct tl_mark *mark, struct tl_buf *buf);
TL_MUST enum tl_err tl_mark_decode(struct tl_slice bytes, struct tl_mark *mark_out);

#endif
