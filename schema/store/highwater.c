/*
 *   0      4096   4160        8192
 *   | slot |  ... | slot |  ... |      64 bytes each, overwritten in turn
 *
 * Two slots in blocks of their own: a write that is cut short can spoil the one it was meant for,
 * and the other still says what was true 100 ms before. The file never grows, so a full disk does
 * not stop it.
 */
#include "schema/store/highwater.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/base/daemon.h"
#include "schema/base/file.h"
#include "schema/store/expiry.h"
#include "schema/store/journal.h"
#include "schema/store/key.h"
#include "schema/store/write.h"

#define VERSION 1
#define SLOT_STEP_BYTES 4096
#define FILE_BYTES (2 * SLOT_STEP_BYTES)
#define CHECKED_BYTES (TL_HIGHWATER_SLOT_BYTES - 8)
#define WRITE_EVERY_US 100000
#define ARENA_BYTES_MAX ((size_t)16 << 20)
#define MARK_EXPECTED "highwater"

void
tl_highwater_encode(const struct tl_highwater_mark *mark, uint8_t slot_out[TL_HIGHWATER_SLOT_BYTES])
{
	tl_put_be32(slot_out, VERSION);
	tl_put_be32(slot_out + 4, 0);
	tl_put_be64(slot_out + 8, mark->epoch);
	tl_put_be64(slot_out + 16, mark->group_no);
	tl_put_be64(slot_out + 24, mark->seq);
	tl_put_be64(slot_out + 32, mark->chain);
	tl_put_be64(slot_out + 40, mark->cost_nusd);
	tl_put_be64(slot_out + 48, mark->flush_group_no);
	tl_put_be64(slot_out + CHECKED_BYTES, tl_checksum64(tl_slice_of(slot_out, CHECKED_BYTES)));
}

enum tl_err
tl_highwater_decode(const uint8_t slot[TL_HIGHWATER_SLOT_BYTES], struct tl_highwater_mark *mark_out)
{
	if (tl_get_be64(slot + CHECKED_BYTES) != tl_checksum64(tl_slice_of(slot, CHECKED_BYTES)))
		return TL_ESTORAGE_CORRUPT;
	if (tl_get_be32(slot) > VERSION)
		return TL_EFORMAT_TOO_NEW;
	if (tl_get_be32(slot) == 0)
		return TL_ESTORAGE_CORRUPT;
	*mark_out = (struct tl_highwater_mark){
		.epoch = tl_get_be64(slot + 8),
		.group_no = tl_get_be64(slot + 16),
		.seq = tl_get_be64(slot + 24),
		.chain = tl_get_be64(slot + 32),
		.cost_nusd = tl_get_be64(slot + 40),
		.flush_group_no = tl_get_be64(slot + 48),
	};
	return TL_OK;
}

static bool
is_newer(const struct tl_highwater_mark *a, const struct tl_highwater_mark *b)
{
	if (a->group_no != b->group_no)
		return a->group_no > b->group_no;
	return a->flush_group_no > b->flush_group_no;
}

static enum tl_err
decode_file(struct tl_slice file, struct tl_highwater_mark *mark_out, uint32_t *slot_idx_out)
{
	struct tl_highwater_mark first, second;
	enum tl_err first_err, second_err;

	if (file.bytes < SLOT_STEP_BYTES + TL_HIGHWATER_SLOT_BYTES)
		return TL_ESTORAGE_CORRUPT;
	first_err = tl_highwater_decode(file.data, &first);
	second_err = tl_highwater_decode(file.data + SLOT_STEP_BYTES, &second);
	if (first_err == TL_EFORMAT_TOO_NEW || second_err == TL_EFORMAT_TOO_NEW)
		return TL_EFORMAT_TOO_NEW;
	if (first_err && second_err)
		return first_err;
	*slot_idx_out = first_err || (!second_err && is_newer(&second, &first));
	*mark_out = *slot_idx_out ? second : first;
	return TL_OK;
}

static enum tl_err
read_file(const char *path, struct tl_highwater_mark *mark_out, uint32_t *slot_idx_out,
	struct tl_why *why)
{
	struct tl_buf file;
	enum tl_err err;

	tl_buf_init(&file, FILE_BYTES);
	err = tl_file_read(path, &file, why);
	if (err == TL_EFULL)
		err = TL_ESTORAGE_CORRUPT;
	if (!err) {
		err = decode_file(tl_buf_slice(&file), mark_out, slot_idx_out);
		if (err)
			tl_fail(why, err, "the mark file '%s': %s", path, tl_err_text(err));
	}
	tl_buf_fini(&file);
	return err;
}

enum tl_err
tl_highwater_read(const char *path, struct tl_highwater_mark *mark_out, struct tl_why *why)
{
	uint32_t slot_idx;

	return read_file(path, mark_out, &slot_idx, why);
}

enum tl_err
tl_highwater_make(const char *path, const struct tl_highwater_mark *mark, struct tl_why *why)
{
	uint8_t file[FILE_BYTES] = {0};

	tl_highwater_encode(mark, file);
	tl_highwater_encode(mark, file + SLOT_STEP_BYTES);
	return tl_file_replace(path, tl_slice_of(file, sizeof(file)), why);
}

/* What is followed from the mark to the end of the journal. */
static enum tl_err
follow_group(void *arg, const struct tl_journal_row *row, struct tl_why *why)
{
	struct tl_highwater_mark *now = arg;

	(void)why;
	now->group_no = row->group_no;
	now->seq = row->seq_last;
	now->chain = row->chain;
	now->cost_nusd += (uint64_t)row->cost_nusd;
	return TL_OK;
}

/* The marked group is there, and it is the one that was marked. */
static enum tl_err
check_group(struct tl_store *store, const struct tl_highwater_mark *acked, struct tl_why *why)
{
	struct tl_key key = tl_key_journal(acked->group_no);
	struct tl_journal_row row;
	struct tl_arena arena;
	struct tl_buf value;
	enum tl_err err;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	tl_buf_init(&value, 0);
	err = tl_store_get(store, NULL, TL_FAMILY_JOURNAL, tl_key_slice(&key), &value, why);
	if (err == TL_ENOT_FOUND)
		err = tl_fail(why, TL_EACKED_DATA_MISSING,
			"the journal lacks group %" PRIu64 ", which was acknowledged",
			acked->group_no);
	else if (!err)
		err = tl_journal_decode(acked->group_no, tl_buf_slice(&value), &arena, &row);
	if (!err && (row.chain != acked->chain || row.seq_last != acked->seq))
		err = tl_fail(why, TL_EACKED_DATA_MISSING,
			"group %" PRIu64 " is not the one that was acknowledged", acked->group_no);
	tl_buf_fini(&value);
	tl_arena_fini(&arena);
	return err;
}

static enum tl_err
check_end(struct tl_store *store, const struct tl_highwater_mark *acked, struct tl_why *why)
{
	struct tl_journal_row last = {.group_no = 0};
	struct tl_arena arena;
	enum tl_err err;

	tl_arena_init(&arena, ARENA_BYTES_MAX);
	err = tl_journal_last(store, &arena, &last, why);
	tl_arena_fini(&arena);
	if (err && err != TL_ENOT_FOUND)
		return err;
	if (last.group_no < acked->group_no)
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"have %" PRIu64 ", acked %" PRIu64 " (groups %" PRIu64 " and %" PRIu64 ")",
			last.seq_last, acked->seq, last.group_no, acked->group_no);
	return TL_OK;
}

/* Without a mark all of the journal is followed: from group 1, or what the expiry left. */
static enum tl_err
find_next(struct tl_store *store, const struct tl_highwater_mark *acked, uint64_t *group_no_out,
	struct tl_why *why)
{
	struct tl_expiry expiry = {.day_ms = INT64_MIN};
	enum tl_err err = TL_OK;

	*group_no_out = acked->group_no + 1;
	if (acked->group_no == 0)
		err = tl_expiry_get(store, NULL, &expiry, why);
	if (!err && expiry.day_ms != INT64_MIN)
		err = tl_journal_first(store, group_no_out, why);
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

enum tl_err
tl_highwater_check(struct tl_store *store, const struct tl_highwater_mark *acked,
	struct tl_highwater_mark *now_out, struct tl_why *why)
{
	struct tl_highwater_mark now = *acked;
	uint64_t next = 1;
	enum tl_err err = TL_OK;

	if (acked->group_no > 0 && acked->epoch != tl_store_epoch(store))
		return tl_fail(why, TL_EACKED_DATA_MISSING,
			"the store is of epoch %016" PRIx64
			", what was acknowledged of %016" PRIx64,
			tl_store_epoch(store), acked->epoch);
	if (acked->group_no > 0)
		err = check_end(store, acked, why);
	if (!err && acked->group_no > 0)
		err = check_group(store, acked, why);
	now.epoch = tl_store_epoch(store);
	if (!err)
		err = find_next(store, acked, &next, why);
	if (!err)
		err = tl_journal_walk(store, next, follow_group, &now, why);
	if (!err)
		*now_out = now;
	return err;
}

enum tl_err
tl_highwater_is_expected(struct tl_store *store, bool *expected_out, struct tl_why *why)
{
	struct tl_key key = tl_key_mark(MARK_EXPECTED);
	struct tl_buf value;
	enum tl_err err;

	tl_buf_init(&value, 0);
	err = tl_store_get(store, NULL, TL_FAMILY_MARK, tl_key_slice(&key), &value, why);
	tl_buf_fini(&value);
	*expected_out = !err;
	return err == TL_ENOT_FOUND ? TL_OK : err;
}

enum tl_err
tl_highwater_expect(struct tl_store *store, struct tl_why *why)
{
	struct tl_key key = tl_key_mark(MARK_EXPECTED);
	const uint8_t version = VERSION;
	struct tl_write *write = NULL;
	enum tl_err err = tl_write_new(store, &write);

	if (err)
		return err;
	tl_write_put(write, TL_FAMILY_MARK, tl_key_slice(&key), tl_slice_of(&version, 1));
	err = tl_write_commit(write, TL_SYNC, why);
	tl_write_free(write);
	return err;
}

struct tl_highwater {
	/* fixed after start */
	struct tl_highwater_options options;
	pthread_t thread;
	/* the thread only, and stop after it */
	int fd;
	uint32_t slot_idx; /* the next to overwrite */
	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t wake;
	struct tl_highwater_mark wanted;
	struct tl_highwater_mark written;
	bool is_idle; /* the thread waits for something to write */
	bool is_stopping;
	bool has_failed;
};

static enum tl_err
write_slot(struct tl_highwater *h, const struct tl_highwater_mark *mark, struct tl_why *why)
{
	uint8_t slot[TL_HIGHWATER_SLOT_BYTES];
	off_t at = (off_t)h->slot_idx * SLOT_STEP_BYTES;
	size_t done = 0;

	tl_highwater_encode(mark, slot);
	while (done < sizeof(slot)) {
		ssize_t bytes = pwrite(h->fd, slot + done, sizeof(slot) - done, at + (off_t)done);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			return tl_fail(why, TL_EIO, "write the mark: %s", strerror(errno));
		done += (size_t)bytes;
	}
	/* Never tried again: what a failed sync left out is not known. */
	if (fdatasync(h->fd) < 0)
		return tl_fail(why, TL_EIO, "sync the mark: %s", strerror(errno));
	h->slot_idx ^= 1;
	return TL_OK;
}

static bool
is_current(const struct tl_highwater *h)
{
	return !is_newer(&h->wanted, &h->written);
}

/* mtx held on entry and on return. */
static enum tl_err
write_wanted(struct tl_highwater *h, struct tl_why *why)
{
	struct tl_highwater_mark mark = h->wanted;
	enum tl_err err;

	pthread_mutex_unlock(&h->mtx);
	err = write_slot(h, &mark, why);
	pthread_mutex_lock(&h->mtx);
	if (!err)
		h->written = mark;
	return err;
}

/* Not before the next write is due, unless the end has come. mtx held. */
static void
wait_until(struct tl_highwater *h, int64_t until_us)
{
	struct timespec until = {
		.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};

	while (!h->is_stopping && pthread_cond_timedwait(&h->wake, &h->mtx, &until) == 0)
		;
}

static void *
run(void *arg)
{
	struct tl_highwater *h = arg;
	struct tl_why why = {.text = ""};
	enum tl_err err = TL_OK;

	tl_thread_name("tl-mark");
	pthread_mutex_lock(&h->mtx);
	while (!err && (!h->is_stopping || !is_current(h))) {
		h->is_idle = true;
		while (!h->is_stopping && is_current(h))
			pthread_cond_wait(&h->wake, &h->mtx);
		h->is_idle = false;
		if (is_current(h))
			continue;
		err = write_wanted(h, &why);
		if (!err)
			wait_until(h, tl_clock_mono_us() + WRITE_EVERY_US);
	}
	h->has_failed = err != TL_OK;
	pthread_mutex_unlock(&h->mtx);
	if (err && h->options.on_failure != NULL)
		h->options.on_failure(h->options.arg, err, why.text);
	return NULL;
}

static enum tl_err
start_thread(struct tl_highwater *h, struct tl_why *why)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&h->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&h->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&h->thread, NULL, run, h) == 0)
		return TL_OK;
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->mtx);
	return tl_fail(why, TL_ENOMEM, "no thread for the mark");
}

enum tl_err
tl_highwater_start(const struct tl_highwater_options *options, struct tl_highwater **highwater_out,
	struct tl_why *why)
{
	struct tl_highwater *h = calloc(1, sizeof(*h));
	uint32_t newest_idx = 0;
	enum tl_err err;

	if (h == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for the mark");
	h->options = *options;
	h->wanted = options->mark;
	h->fd = open(options->path, O_RDWR | O_CLOEXEC);
	if (h->fd < 0)
		err = tl_fail(why, TL_EIO, "open '%s': %s", options->path, strerror(errno));
	else
		err = read_file(options->path, &h->written, &newest_idx, why);
	h->slot_idx = newest_idx ^ 1;
	if (!err)
		err = start_thread(h, why);
	if (err) {
		if (h->fd >= 0)
			close(h->fd);
		free(h);
		return err;
	}
	*highwater_out = h;
	return TL_OK;
}

/* mtx held. A thread that is not idle looks again by itself. */
static void
wake_idle(struct tl_highwater *h)
{
	if (h->is_idle)
		pthread_cond_signal(&h->wake);
}

void
tl_highwater_note_group(
	struct tl_highwater *h, uint64_t group_no, uint64_t seq, uint64_t chain, int64_t cost_nusd)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->mtx);
	assert(group_no == h->wanted.group_no + 1);
	h->wanted.group_no = group_no;
	h->wanted.seq = seq;
	h->wanted.chain = chain;
	h->wanted.cost_nusd += (uint64_t)cost_nusd;
	wake_idle(h);
	pthread_mutex_unlock(&h->mtx);
}

void
tl_highwater_note_flush(struct tl_highwater *h, uint64_t group_no)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->mtx);
	assert(group_no <= h->wanted.group_no);
	/* A rebuild starts over; what was in tables once has raw rows in tables still. */
	if (group_no > h->wanted.flush_group_no)
		h->wanted.flush_group_no = group_no;
	wake_idle(h);
	pthread_mutex_unlock(&h->mtx);
}

uint64_t
tl_highwater_seq(struct tl_highwater *h)
{
	uint64_t seq;

	pthread_mutex_lock(&h->mtx);
	seq = h->written.seq;
	pthread_mutex_unlock(&h->mtx);
	return seq;
}

enum tl_err
tl_highwater_stop(struct tl_highwater *h, struct tl_why *why)
{
	bool has_failed;

	if (h == NULL)
		return TL_OK;
	pthread_mutex_lock(&h->mtx);
	h->is_stopping = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->mtx);
	pthread_join(h->thread, NULL);
	has_failed = h->has_failed;
	close(h->fd);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->mtx);
	free(h);
	return has_failed ? tl_fail(why, TL_EIO, "the mark was not written") : TL_OK;
}
