/*
 *   mark file -> room on the disk? -> open to read -> mark reached? holes? -> open to write
 *                       | no                                |
 *                       +--- stays open to read <-----------+ first, so that nobody reads
 *                                                             figures that lack something
 *
 * RocksDB changes the directory as soon as it is opened for writing (it empties its log into
 * tables), and aborts when the disk is full then. Reading does neither.
 */
#include "deploy/opening.h"

#include <inttypes.h>

#include "schema/base/clock_watch.h"
#include "schema/store/journal.h"

#define JOURNAL_ARENA_BYTES_MAX ((size_t)16 << 20)

/* What the mark file says; without a file, nothing was promised yet. */
static enum tl_err
read_mark(const char *path, struct tl_highwater_mark *mark_out, bool *found_out, struct tl_why *why)
{
	enum tl_err err = tl_highwater_read(path, mark_out, why);

	*found_out = !err;
	if (err != TL_ENOT_FOUND)
		return err;
	*mark_out = (struct tl_highwater_mark){.group_no = 0};
	return TL_OK;
}

static enum tl_err
open_store(const struct opening_options *options, bool read_only, struct tl_store **store_out,
	struct tl_why *why)
{
	return tl_store_open(&(struct tl_store_options){.dir = options->data_dir,
				     .create = !read_only,
				     .read_only = read_only,
				     .cache_bytes = options->cache_bytes,
				     .write_buffer_bytes = options->disk.memtable_bytes},
		store_out, why);
}

/* A store that had a mark file and has none now cannot prove that it is whole. */
static enum tl_err
check_found(struct tl_store *store, const char *path, bool is_found, struct tl_why *why)
{
	bool is_expected = false;
	enum tl_err err;

	if (is_found)
		return TL_OK;
	err = tl_highwater_is_expected(store, &is_expected, why);
	if (!err && is_expected)
		err = tl_fail(why, TL_EACKED_DATA_MISSING,
			"the mark file '%s' is gone: what was acknowledged is not known", path);
	return err;
}

static enum tl_err
read_received(struct tl_store *store, int64_t *received_ms_out, struct tl_why *why)
{
	struct tl_journal_row last = {.received_ms = 0};
	struct tl_arena arena;
	enum tl_err err;

	tl_arena_init(&arena, JOURNAL_ARENA_BYTES_MAX);
	err = tl_journal_last(store, &arena, &last, why);
	if (!err || err == TL_ENOT_FOUND)
		*received_ms_out = last.received_ms;
	tl_arena_fini(&arena);
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

/*
 * The time to open at. A clock in doubt has no say: far ahead, it would forget ids that are needed
 * once it is right again, so what was received last stands for now.
 */
static enum tl_err
read_now(const struct opening_options *options, int64_t received_ms, int64_t *now_ms_out)
{
	struct tl_gate gate = {.closed = 0};
	struct tl_clock_watch *watch;
	enum tl_err err = tl_clock_watch_new(options->clock, &gate, received_ms, &watch);

	if (err)
		return err;
	if (tl_clock_watch_read(watch, now_ms_out) != TL_OK)
		*now_ms_out = received_ms;
	tl_clock_watch_free(watch);
	return TL_OK;
}

enum tl_err
opening_check_mark(struct tl_store *store, const char *mark_path, struct tl_highwater_mark *now_out,
	struct tl_why *why)
{
	struct tl_highwater_mark acked;
	bool is_found;
	enum tl_err err = read_mark(mark_path, &acked, &is_found, why);

	if (!err)
		err = check_found(store, mark_path, is_found, why);
	if (!err)
		err = tl_highwater_check(store, &acked, now_out, why);
	return err;
}

static enum tl_err
check_store(const struct opening_options *options, struct opening *opening, struct tl_why *why)
{
	int64_t now_ms;
	enum tl_err err =
		opening_check_mark(opening->store, options->mark_path, &opening->mark, why);

	if (!err)
		err = read_received(opening->store, &opening->received_ms, why);
	if (!err)
		err = read_now(options, opening->received_ms, &now_ms);
	if (!err)
		err = commit_open(opening->store, options->intake, now_ms, &opening->commit, why);
	return err;
}

/* There is nothing to read: a new directory, or one whose first start was cut short. */
static enum tl_err
open_new(const struct opening_options *options, struct opening *opening, struct tl_why *why)
{
	enum tl_err err;

	if (opening->mark.group_no > 0)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"have 0, acked %" PRIu64 " (groups 0 and %" PRIu64 "): there is no store",
			opening->mark.seq, opening->mark.group_no);
	if (opening->is_read_only) {
		*why = opening->disk_why;
		return TL_EDISK_FULL;
	}
	err = open_store(options, false, &opening->store, why);
	if (!err)
		err = check_store(options, opening, why);
	return err;
}

static enum tl_err
open_again(const struct opening_options *options, struct opening *opening, struct tl_why *why)
{
	if (opening->is_read_only) {
		commit_free(opening->commit);
		opening->commit = NULL;
		return TL_OK;
	}
	tl_store_close(opening->store);
	opening->store = NULL;
	return open_store(options, false, &opening->store, why);
}

enum tl_err
opening_run(const struct opening_options *options, struct opening *opening_out, struct tl_why *why)
{
	struct opening opening = {.store = NULL};
	bool is_found = false;
	enum tl_err err;

	err = read_mark(options->mark_path, &opening.mark, &is_found, why);
	if (err)
		return err;
	err = tl_disk_check_open(options->data_dir, &options->disk, &opening.disk_why);
	opening.is_read_only = err == TL_EDISK_FULL;
	if (err && !opening.is_read_only) {
		*why = opening.disk_why;
		return err;
	}
	err = open_store(options, true, &opening.store, why);
	if (err == TL_ENOT_FOUND) {
		err = open_new(options, &opening, why);
	} else if (!err) {
		err = check_store(options, &opening, why);
		if (!err)
			err = open_again(options, &opening, why);
	}
	if (err) {
		commit_free(opening.commit);
		tl_store_close(opening.store);
		return err;
	}
	*opening_out = opening;
	return TL_OK;
}

/* The file first: a store that expects it and has none is refused. */
static enum tl_err
need_mark(const struct opening_options *options, const struct opening *opening, struct tl_why *why)
{
	struct tl_highwater_mark found;
	bool is_expected = false;
	enum tl_err err = tl_highwater_read(options->mark_path, &found, why);

	if (err == TL_ENOT_FOUND || (!err && found.epoch != opening->mark.epoch))
		err = tl_highwater_make(options->mark_path, &opening->mark, why);
	if (!err)
		err = tl_highwater_is_expected(opening->store, &is_expected, why);
	if (!err && !is_expected)
		err = tl_highwater_expect(opening->store, why);
	return err;
}

enum tl_err
opening_start_mark(const struct opening_options *options, const struct opening *opening,
	void (*on_failure)(void *arg, enum tl_err err, const char *text), void *arg,
	struct tl_highwater **highwater_out, struct tl_why *why)
{
	enum tl_err err = need_mark(options, opening, why);

	if (err)
		return err;
	return tl_highwater_start(&(struct tl_highwater_options){.path = options->mark_path,
					  .mark = opening->mark,
					  .on_failure = on_failure,
					  .arg = arg},
		highwater_out, why);
}
