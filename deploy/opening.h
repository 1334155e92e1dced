/*
 * Between a data directory and the first acknowledgement: what must hold before the store is
 * opened for writing. A refused start leaves the directory as it was found.
 */
#ifndef DEPLOY_OPENING_H
#define DEPLOY_OPENING_H

#include "ingest/commit.h"
#include "schema/store/disk.h"

struct opening_options {
	const char *data_dir;
	const char *mark_path;
	const struct ingest_settings *intake;
	const struct tl_clock *clock;
	struct tl_disk_settings disk;
	int64_t cache_bytes;
};

/* The caller owns all of it. */
struct opening {
	struct tl_store *store;
	struct commit *commit;	       /* read and checked, not attached; NULL: read only */
	int64_t received_ms;	       /* of the last group; 0: there is none */
	struct tl_highwater_mark mark; /* where the store stands */
	bool is_read_only;	       /* for want of room on the disk */
	struct tl_why disk_why;	       /* then: how much is missing */
};

/*
 * TL_EACKED_DATA_MISSING when the journal ends before the mark or has a hole, TL_ESTORAGE_CORRUPT,
 * TL_EFORMAT_TOO_NEW, or what opening itself meets. The directory is locked by the caller.
 */
TL_MUST enum tl_err opening_run(
	const struct opening_options *options, struct opening *opening_out, struct tl_why *why);

/*
 * The store against its mark file: TL_EACKED_DATA_MISSING also when a file that was there is gone.
 * now_out is where the store stands.
 */
TL_MUST enum tl_err opening_check_mark(struct tl_store *store, const char *mark_path,
	struct tl_highwater_mark *now_out, struct tl_why *why);

/* The mark of the store that is open for writing: its file is made when there was none. */
TL_MUST enum tl_err opening_start_mark(const struct opening_options *options,
	const struct opening *opening,
	void (*on_failure)(void *arg, enum tl_err err, const char *text), void *arg,
	struct tl_highwater **highwater_out, struct tl_why *why);

#endif
