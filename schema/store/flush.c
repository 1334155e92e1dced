#include "schema/store/flush.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/daemon.h"
#include "schema/base/file.h"
#include "schema/store/store_private.h"

#define FLUSH_EVERY_S 300

/* A checkpoint is flat: links to tables, and a few files. */
static enum tl_err
remove_flat(const char *path, struct tl_why *why)
{
	struct dirent *file;
	DIR *folder = opendir(path);

	if (folder == NULL && errno == ENOENT)
		return TL_OK;
	if (folder == NULL)
		return tl_fail(why, TL_EIO, "open '%s': %s", path, strerror(errno));
	while ((file = readdir(folder)) != NULL) {
		if (file->d_name[0] != '.')
			unlinkat(dirfd(folder), file->d_name, 0);
	}
	closedir(folder);
	if (rmdir(path) < 0)
		return tl_fail(why, TL_EIO, "remove '%s': %s", path, strerror(errno));
	return TL_OK;
}

static enum tl_err
join(const char *folder, const char *name, char path_out[PATH_MAX], struct tl_why *why)
{
	if (snprintf(path_out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
		return tl_fail(why, TL_EIO, "the path '%.100s...' is too long", folder);
	return TL_OK;
}

/* One flush point, whole or not: RocksDB makes a checkpoint as db.tmp and names it db at its end.
 */
static enum tl_err
remove_point(const char *path, struct tl_why *why)
{
	static const char *const names[] = {"db.tmp", "db"};
	char inner[PATH_MAX];
	enum tl_err err = TL_OK;

	for (size_t i = 0; !err && i < sizeof(names) / sizeof(names[0]); i++) {
		err = join(path, names[i], inner, why);
		if (!err)
			err = remove_flat(inner, why);
	}
	return err ? err : remove_flat(path, why);
}

/* The flush point that is kept, the one that is being made, and the one that made room for it. */
struct places {
	char kept[PATH_MAX], next[PATH_MAX], old[PATH_MAX];
};

static enum tl_err
places_of(const char *data_dir, struct places *places_out, struct tl_why *why)
{
	enum tl_err err = join(data_dir, "flush", places_out->kept, why);

	if (!err)
		err = join(data_dir, "flush.next", places_out->next, why);
	return err ? err : join(data_dir, "flush.old", places_out->old, why);
}

static bool
is_whole(const char *path)
{
	char inner[PATH_MAX];

	return join(path, "db", inner, NULL) == TL_OK && access(inner, F_OK) == 0;
}

static enum tl_err
move(const char *from, const char *to, struct tl_why *why)
{
	if (rename(from, to) < 0)
		return tl_fail(why, TL_EIO, "rename '%s': %s", from, strerror(errno));
	return TL_OK;
}

/* What a crash between two steps left: at most one whole point, under its own name. */
static enum tl_err
settle(const struct places *places, struct tl_why *why)
{
	enum tl_err err = TL_OK;

	if (!is_whole(places->kept) && is_whole(places->next)) {
		err = remove_point(places->kept, why);
		if (!err)
			err = move(places->next, places->kept, why);
	}
	if (!err)
		err = remove_point(places->next, why);
	return err ? err : remove_point(places->old, why);
}

static enum tl_err
make_checkpoint(struct tl_store *store, const char *path, struct tl_why *why)
{
	rocksdb_checkpoint_t *checkpoint;
	char *text = NULL;

	checkpoint = rocksdb_checkpoint_object_create(store->db, &text);
	if (text == NULL) {
		/* 0: however short the log is, the memtables are flushed. */
		rocksdb_checkpoint_create(checkpoint, path, 0, &text);
		rocksdb_checkpoint_object_destroy(checkpoint);
	}
	return text != NULL ? tl_store_fail(why, "flush point", text) : TL_OK;
}

/* Durable under its name before the one before it goes. */
static enum tl_err
take_place(const struct places *places, const char *data_dir, struct tl_why *why)
{
	enum tl_err err = tl_dir_sync(places->next, why);

	if (!err && is_whole(places->kept))
		err = move(places->kept, places->old, why);
	if (!err)
		err = remove_point(places->kept, why);
	if (!err)
		err = move(places->next, places->kept, why);
	if (!err)
		err = tl_dir_sync(data_dir, why);
	return err ? err : remove_point(places->old, why);
}

enum tl_err
tl_flush_point(struct tl_store *store, const char *data_dir, struct tl_why *why)
{
	struct places places;
	char inner[PATH_MAX];
	enum tl_err err = places_of(data_dir, &places, why);

	if (!err)
		err = settle(&places, why);
	if (!err)
		err = tl_dir_make(places.next, why);
	if (!err)
		err = join(places.next, "db", inner, why);
	if (!err)
		err = make_checkpoint(store, inner, why);
	return err ? err : take_place(&places, data_dir, why);
}

enum tl_err
tl_flush_open(const char *data_dir, struct tl_store **store_out, struct tl_why *why)
{
	struct places places;
	enum tl_err err = places_of(data_dir, &places, why);

	if (!err)
		err = settle(&places, why);
	if (err)
		return err;
	return tl_store_open(
		&(struct tl_store_options){.dir = places.kept, .read_only = true}, store_out, why);
}

/* The tables that only the flush point still needs are room. */
static enum tl_err
let_go(const char *data_dir, struct tl_why *why)
{
	struct places places;
	enum tl_err err = places_of(data_dir, &places, why);

	if (!err)
		err = settle(&places, why);
	return err ? err : remove_point(places.kept, why);
}

struct tl_flusher {
	/* fixed after start */
	struct tl_flusher_options options;
	pthread_t thread;
	/* the thread, and stop after it */
	bool has_failed;
	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t wake;
	bool is_stopping;
};

static void
flush(struct tl_flusher *flusher)
{
	const struct tl_flusher_options *options = &flusher->options;
	struct tl_why why = {.text = ""};
	uint64_t group_no;
	enum tl_err err;

	if (flusher->has_failed || tl_gate_is_closed_for(options->gate, TL_GATE_STORAGE))
		return;
	if (tl_gate_is_closed_for(options->gate, TL_GATE_DISK)) {
		err = let_go(options->data_dir, &why);
	} else {
		group_no = options->on_begin(options->arg);
		err = tl_flush_point(options->store, options->data_dir, &why);
		if (!err) {
			options->on_end(options->arg);
			tl_highwater_note_flush(options->highwater, group_no);
		}
	}
	if (err) {
		flusher->has_failed = true;
		options->on_failure(options->arg, err, why.text);
	}
}

static void *
run(void *arg)
{
	struct tl_flusher *flusher = arg;
	struct timespec until;

	tl_thread_name("tl-flush");
	pthread_mutex_lock(&flusher->mtx);
	while (!flusher->is_stopping) {
		int rc = 0;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += FLUSH_EVERY_S;
		while (!flusher->is_stopping && rc == 0)
			rc = pthread_cond_timedwait(&flusher->wake, &flusher->mtx, &until);
		if (flusher->is_stopping)
			break;
		pthread_mutex_unlock(&flusher->mtx);
		flush(flusher);
		pthread_mutex_lock(&flusher->mtx);
	}
	pthread_mutex_unlock(&flusher->mtx);
	return NULL;
}

static enum tl_err
start_thread(struct tl_flusher *flusher, struct tl_why *why)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&flusher->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&flusher->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&flusher->thread, NULL, run, flusher) == 0)
		return TL_OK;
	pthread_cond_destroy(&flusher->wake);
	pthread_mutex_destroy(&flusher->mtx);
	return tl_fail(why, TL_ENOMEM, "no thread for flush points");
}

enum tl_err
tl_flusher_start(const struct tl_flusher_options *options, struct tl_flusher **flusher_out,
	struct tl_why *why)
{
	struct tl_flusher *flusher = calloc(1, sizeof(*flusher));
	enum tl_err err;

	if (flusher == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for flush points");
	flusher->options = *options;
	err = start_thread(flusher, why);
	if (err) {
		free(flusher);
		return err;
	}
	*flusher_out = flusher;
	return TL_OK;
}

void
tl_flusher_stop(struct tl_flusher *flusher)
{
	if (flusher == NULL)
		return;
	pthread_mutex_lock(&flusher->mtx);
	flusher->is_stopping = true;
	pthread_cond_signal(&flusher->wake);
	pthread_mutex_unlock(&flusher->mtx);
	pthread_join(flusher->thread, NULL);
	flush(flusher);
	pthread_cond_destroy(&flusher->wake);
	pthread_mutex_destroy(&flusher->mtx);
	free(flusher);
}
