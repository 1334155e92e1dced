/*
 * What the writer thread owns, shared by commit.c and the files it is split into:
 *
 *   commit.c    open, the course of a group, the replies
 *   idwindow.c  which ids are known: the walk at open, expiry
 *   idimport.c  the ids of the days an import touches
 *   idload.c    ids from blocks and runs into the table
 *   verdict.c   new, duplicate, conflict, replaced or stale
 *   names.c     names -> dense ids
 *   people.c    members and agents that appear with their first event
 *   group.c     rows -> blocks
 *   stored.c    the stored row behind an id
 *   quarantine.c  what was refused for its content
 *   owner.c     whose session an agent's key names
 *   sources.c   what became of the events, by org, day and source
 */
#ifndef INGEST_WRITER_H
#define INGEST_WRITER_H

#include "ingest/commit.h"
#include "ingest/group.h"
#include "ingest/sources.h"
#include "ingest/stored.h"
#include "schema/base/map.h"
#include "schema/store/dict.h"
#include "schema/store/key.h"

/* Bounded names kept in memory: half of it, and what a group can bring beside. */
#define WRITER_NAMES_MAX 131072u

/* Retention is 3,650 days at most; days to come are few. */
#define IDWINDOW_DAYS_MAX 4096u

struct idwindow {
	uint64_t first_group; /* ids of groups from here on are known */
	int64_t day_ms;	      /* the day of the last expiry */
	struct tl_map *days;  /* older days whose ids an import loaded */
};

/* How far the rows of the quarantine were looked at today. */
struct sweep {
	struct tl_key next;
	bool is_done;
};

struct commit {
	/* fixed after attach; before it only what reading needs */
	struct tl_store *store;
	struct tl_roster *roster;
	struct tl_highwater *highwater;
	struct ingest_settings settings;
	struct ingest_stats *stats;
	uint64_t epoch;
	struct group_print_key print_key;
	/* the last durable group */
	uint64_t group_no;
	uint64_t seq;
	uint64_t chain;
	int64_t received_ms;	   /* never falls, so the journal can be searched by it */
	int64_t expired_before_ms; /* days before this one are gone: nothing is taken into them */
	bool is_dead;		   /* a write failed: memory may be ahead of the disk */
	/* memory of the writer */
	struct dedupe *dedupe;
	struct tl_dict *dict;
	struct tl_map *names; /* (org, kind, repo or pull request) -> id; see names.c */
	struct stored *stored;
	struct sources *sources;
	struct idwindow window;
	struct sweep sweep;
	/* the group being built */
	struct tl_write *write;
	struct tl_edit *edit;
	struct group group;
	struct tl_map *conflicts; /* key in the quarantine -> times, counted by this group */
	struct tl_buf buf;
};

/* The ids of the journal's last days, and the hole check. */
TL_MUST enum tl_err idwindow_open(struct commit *commit, int64_t now_ms, struct tl_why *why);
void idwindow_close(struct commit *commit);

/* Once a day: forget ids that can no longer be accepted. */
TL_MUST enum tl_err idwindow_turn(struct commit *commit, int64_t now_ms, struct tl_why *why);

/* Before an import: the ids of the days its rows lie on. TL_EID_INDEX_FULL leaves ids behind,
 * which is harmless. */
TL_MUST enum tl_err idwindow_load(
	struct commit *commit, const struct tl_batch *batch, int64_t now_ms, struct tl_why *why);

/* The journal's row of a group, on arena. */
TL_MUST enum tl_err idwindow_journal(struct tl_store *store, uint64_t group_no,
	struct tl_arena *arena, struct tl_buf *buf, struct tl_journal_row *row_out,
	struct tl_why *why);

/* What a symbol of a batch is in the store. */
struct name_memo {
	uint32_t org; /* 0: free. A batch may hold several orgs, which share its symbols */
	uint32_t symbol;
	uint32_t id;
	bool is_other; /* a repo past TL_REPOS_MAX */
};

/* Whether an org may have a pull request. */
struct pull_memo {
	uint32_t org; /* 0: free */
	struct tl_pr pull;
	bool is_known;
};

/* Direct-mapped: what is pushed out is looked up again. */
struct names_memo {
	struct name_memo *slots; /* by (org, symbol) */
	struct pull_memo *pulls; /* by org, repo and number; NULL: the batch has none */
	uint32_t mask;		 /* of both */
};

enum names_mode {
	NAMES_MAKE, /* members and agents are made and activated */
	NAMES_FIND, /* only to compare: who is not there becomes NAMES_NOBODY */
};

#define NAMES_NOBODY INT64_C(-1)

/* Before a group: keeps the memory of bounded names within its bound. */
void names_begin(struct commit *commit);

/* A memo for one batch, on the group's arena. */
TL_MUST enum tl_err names_memo_make(
	struct commit *commit, const struct tl_batch *batch, struct names_memo *memo_out);

/*
 * Copy rows row_idx[0..count) of from (symbols) behind the rows of to, which has room, as dense
 * ids. to->row_count stays. Repos past the limit become "other", pull requests past theirs none;
 * both add to *other_count.
 */
TL_MUST enum tl_err names_translate(struct commit *commit, const struct tl_batch *from,
	const uint32_t *row_idx, uint32_t count, struct names_memo *memo, enum names_mode mode,
	struct tl_batch *to, uint32_t *other_count, struct tl_why *why);

/* Of the same rows, already in to: members and agents. */
TL_MUST enum tl_err people_translate(struct commit *commit, const struct tl_batch *from,
	const uint32_t *row_idx, uint32_t count, enum names_mode mode, struct tl_batch *to,
	uint32_t *other_count);

/* How a batch went. accepted + duplicate + replaced + conflict + rejected = events. */
struct verdicts {
	uint32_t accepted, duplicate, replaced, conflict, rejected;
};

/* Keep a refused event: the field that differs, and the row of batch, which holds dense ids. */
TL_MUST enum tl_err quarantine_put(struct commit *commit, const struct tl_batch *batch,
	uint32_t row_idx, const char *field, struct tl_why *why);

/* Before a group: some rows more; those whose last conflict is before cutoff_ms go with it. */
TL_MUST enum tl_err quarantine_sweep(struct commit *commit, int64_t cutoff_ms, struct tl_why *why);

/* A new day: look at all of them again. */
void quarantine_turn(struct commit *commit);

/*
 * Under an agent's key: links to sessions of others join batch.rejects, `forbidden`; usage that
 * names one loses it, which is counted like a dropped tag.
 */
TL_MUST enum tl_err owner_check(
	struct commit *commit, struct admitted *admitted, struct tl_why *why);

/* Judge a batch and append what is new to the group. Refused events join batch.rejects. */
TL_MUST enum tl_err verdict_batch(struct commit *commit, struct admitted *admitted,
	struct verdicts *verdicts_out, struct tl_why *why);

#endif
