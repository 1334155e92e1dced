/*
 * The high-water mark: a file beside the database that says how far groups were made durable.
 * RocksDB opens cleanly without the end of its log; the mark is what notices. It is written behind
 * the truth and never ahead of it: after a start the journal reaches it, or data is missing.
 */
#ifndef TL_STORE_HIGHWATER_H
#define TL_STORE_HIGHWATER_H

#include "schema/store/store.h"

#define TL_HIGHWATER_SLOT_BYTES 64

struct tl_highwater_mark {
	uint64_t epoch;
	uint64_t group_no;  /* the last group; 0: none, the mark promises nothing */
	uint64_t seq;	    /* of its last row */
	uint64_t chain;	    /* of its journal row: stands for the content of all groups up to it */
	uint64_t cost_nusd; /* sum of the groups' costs modulo 2^64: tells what a loss is worth */
	uint64_t flush_group_no; /* derived rows up to this group left memory and log for tables */
};

void tl_highwater_encode(
	const struct tl_highwater_mark *mark, uint8_t slot_out[TL_HIGHWATER_SLOT_BYTES]);
TL_MUST enum tl_err tl_highwater_decode(
	const uint8_t slot[TL_HIGHWATER_SLOT_BYTES], struct tl_highwater_mark *mark_out);

/*
 * The newer of the two slots that are whole. TL_ENOT_FOUND without the file, TL_ESTORAGE_CORRUPT
 * when neither is whole, TL_EFORMAT_TOO_NEW.
 */
TL_MUST enum tl_err tl_highwater_read(
	const char *path, struct tl_highwater_mark *mark_out, struct tl_why *why);

/* A new file that says mark, in place of any that was there. */
TL_MUST enum tl_err tl_highwater_make(
	const char *path, const struct tl_highwater_mark *mark, struct tl_why *why);

/*
 * Where the store stands, for a mark that was read: TL_EACKED_DATA_MISSING with the numbers when
 * the journal ends before it, is of another epoch, or has another past.
 */
TL_MUST enum tl_err tl_highwater_check(struct tl_store *store,
	const struct tl_highwater_mark *acked, struct tl_highwater_mark *now_out,
	struct tl_why *why);

/* Whether the store knows that it has a mark file, and how it learns it (synced). */
TL_MUST enum tl_err tl_highwater_is_expected(
	struct tl_store *store, bool *expected_out, struct tl_why *why);
TL_MUST enum tl_err tl_highwater_expect(struct tl_store *store, struct tl_why *why);

/* The thread that keeps an existing file current: within 100 ms after a group, and at stop. */
struct tl_highwater;

struct tl_highwater_options {
	const char *path;
	struct tl_highwater_mark mark;					  /* what the file says */
	void (*on_failure)(void *arg, enum tl_err err, const char *text); /* on the thread */
	void *arg;
};

TL_MUST enum tl_err tl_highwater_start(const struct tl_highwater_options *options,
	struct tl_highwater **highwater_out, struct tl_why *why);

/* A group is durable. Never waits for the disk. NULL is fine. The writer thread. */
void tl_highwater_note_group(struct tl_highwater *highwater, uint64_t group_no, uint64_t seq,
	uint64_t chain, int64_t cost_nusd);

/* Everything derived up to this group is in tables. */
void tl_highwater_note_flush(struct tl_highwater *highwater, uint64_t group_no);

/* How far the file is known to be on the disk. */
uint64_t tl_highwater_seq(struct tl_highwater *highwater);

/* Writes what is still to be written and ends the thread. Frees. NULL is fine. */
TL_MUST enum tl_err tl_highwater_stop(struct tl_highwater *highwater, struct tl_why *why);

#endif
