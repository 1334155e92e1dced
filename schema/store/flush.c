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
#include "schema/store/store_private.h"

#define FLUSH_EVERY_S 300

/* A checkpoint is flat: links to tables, and a few files. */
static enum tl_err
remove_scratch(const char *path, struct tl_why *why)
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

/* A checkpoint that is cut short leaves its folder under this name. */
static enum tl_err
remove_all(const char *scratch_dir, struct tl_why *why)
{
	char unfinished[PATH_MAX];
	enum tl_err err = remove_scratch(scratch_dir, why);

	if (!err && snprintf(unfinished, sizeof(unfinished), "%s.tmp", scratch_dir) <
			    (int)sizeof(unfinished))
		err = remove_scratch(unfinished, why);
	return err;
}

enum tl_err
tl_flush_point(struct tl_store *store, const char *scratch_dir, struct tl_why *why)
{
	rocksdb_checkpoint_t *checkpoint;
	char *text = NULL;
	enum tl_err err = remove_all(scratch_dir, why);

	if (err)
		return err;
	checkpoint = rocksdb_checkpoint_object_create(store->db, &text);
	if (text == NULL) {
		/* 0: however short the log is, the memtables are flushed. */
		rocksdb_checkpoint_create(checkpoint, scratch_dir, 0, &text);
		rocksdb_checkpoint_object_destroy(checkpoint);
	}
	if (text != NULL)
		return tl_store_fail(why, "flush point", text);
	return remove_all(scratch_dir, why);
}

struct tl_flusher {
	/* fixed after start */
	struct tl_flusher_options options;
	char scratch_dir[PATH_MAX];
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
	uint64_t group_no = options->derived_group_no(options->arg);
	struct tl_why why = {.text = ""};
	enum tl_err err;

	if (flusher->has_failed || tl_gate_is_closed_for(options->gate, TL_GATE_DISK) ||
		tl_gate_is_closed_for(options->gate, TL_GATE_STORAGE))
		return;
	err = tl_flush_point(options->store, flusher->scratch_dir, &why);
	if (!err) {
		tl_highwater_note_flush(options->highwater, group_no);
		return;
	}
	flusher->has_failed = true;
	options->on_failure(options->arg, err, why.text);
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
	if (snprintf(flusher->scratch_dir, sizeof(flusher->scratch_dir), "%s/flush",
		    options->data_dir) >= (int)sizeof(flusher->scratch_dir))
		err = tl_fail(why, TL_EIO, "the path '%.100s...' is too long", options->data_dir);
	else
		err = remove_all(flusher->scratch_dir, why);
	if (!err)
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
