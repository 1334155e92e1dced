/*
 * The writer: takes a group of jobs, and makes it durable with one write and one fsync, or not at
 * all. Owns the dedupe table, the dictionary, registry edits and the raw and journal families.
 */
#ifndef INGEST_COMMIT_H
#define INGEST_COMMIT_H

#include "ingest/admit.h"
#include "ingest/ingest.h"
#include "schema/store/highwater.h"

struct commit;

/* One thing to make durable: an admitted batch or a writing command. */
struct commit_job {
	bool is_command;
	struct admitted *admitted; /* a batch */
	struct tl_command command; /* a command and who gives it */
	struct tl_caller caller;
	struct tl_buf
		reply; /* filled by commit_group: the answer to send after it returned TL_OK */
};

/*
 * Reads the journal of the last id-life days (dense, chained, every block there with its rows),
 * which also fills the dedupe table. The store may be open for reading only.
 * TL_EACKED_DATA_MISSING names the hole.
 */
TL_MUST enum tl_err commit_open(struct tl_store *store, const struct ingest_settings *settings,
	int64_t now_ms, struct commit **commit_out, struct tl_why *why);

/*
 * Before the first group: the store to write, which must end where commit_open read. It may be
 * another handle; the one that was read is not used any more. highwater NULL: no mark is kept.
 */
TL_MUST enum tl_err commit_attach(struct commit *commit, struct tl_store *store,
	struct tl_roster *roster, struct tl_highwater *highwater, struct ingest_stats *stats,
	struct tl_why *why);

/* NULL is fine. */
void commit_free(struct commit *commit);

/*
 * Verdict per event, names to ids, one block per UTC day touched, one journal row, one synced
 * write; then every job's reply is filled. On TL_EID_INDEX_FULL the replies say so and nothing was
 * stored; any other failure is the storage's: nobody may be acknowledged and commit is dead.
 */
TL_MUST enum tl_err commit_group(struct commit *commit, struct commit_job *const *jobs,
	size_t job_count, int64_t now_ms, struct tl_why *why);

/*
 * Store when browsers were last seen, where the stored time is older by age_ms: one synced write,
 * or none. A failure is the storage's, as above.
 */
TL_MUST enum tl_err commit_signins(struct commit *commit, int64_t age_ms, struct tl_why *why);

/* Count a refusal that says who may not do what; other errors are none. */
void commit_count_denied(struct ingest_stats *stats, const struct commit_job *job, enum tl_err err);

/* The last durable group and sequence number. */
uint64_t commit_group_no(const struct commit *commit);
uint64_t commit_seq(const struct commit *commit);

#endif
