/*
 *   free:  ....... ballast / 5 .......... floor ..... floor + 10 % (+ the ballast still to make)
 *            released |   nothing is written |  as it was  |  writing, ballast in place
 *
 * What may still grow below the floor is what was running: one flush (at most the memtables), one
 * compaction (bounded in families.c) and the log of the last writes. The floor is above their sum,
 * and the ballast above that of the flush and the log.
 */
#include "schema/store/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "schema/base/daemon.h"
#include "schema/base/file.h"

#define LOOK_EVERY_NS 50000000L
#define FLOOR_BYTES_MIN (UINT64_C(1) << 30)
#define FLOOR_PART 20
#define RELEASE_PART 5
#define RECOVERY_PART 10

static uint64_t
floor_of(const struct tl_disk_settings *settings, uint64_t total_bytes)
{
	uint64_t floor_bytes = total_bytes / FLOOR_PART;

	if (settings->floor_bytes > 0)
		return (uint64_t)settings->floor_bytes;
	return floor_bytes > FLOOR_BYTES_MIN ? floor_bytes : FLOOR_BYTES_MIN;
}

static bool
is_log(const char *name)
{
	size_t bytes = strlen(name);

	return bytes > 4 && strcmp(name + bytes - 4, ".log") == 0;
}

/* What recovery may have to write as tables. Without a database: 0. */
static uint64_t
log_bytes_of(const char *data_dir)
{
	char path[PATH_MAX];
	uint64_t log_bytes = 0;
	struct dirent *file;
	struct stat st;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/db", data_dir);
	folder = opendir(path);
	if (folder == NULL)
		return 0;
	while ((file = readdir(folder)) != NULL) {
		if (is_log(file->d_name) && fstatat(dirfd(folder), file->d_name, &st, 0) == 0)
			log_bytes += (uint64_t)st.st_size;
	}
	closedir(folder);
	return log_bytes;
}

enum tl_err
tl_disk_check_open(
	const char *data_dir, const struct tl_disk_settings *settings, struct tl_why *why)
{
	uint64_t log_bytes = log_bytes_of(data_dir);
	uint64_t needed_bytes = log_bytes + (uint64_t)settings->memtable_bytes;
	uint64_t free_bytes, total_bytes, floor_bytes;
	enum tl_err err = tl_disk_free(data_dir, &free_bytes, &total_bytes, why);

	if (err)
		return err;
	floor_bytes = floor_of(settings, total_bytes);
	if (free_bytes >= needed_bytes && free_bytes >= floor_bytes)
		return TL_OK;
	return tl_fail(why, TL_EDISK_FULL,
		"%" PRIu64 " MiB free; the floor is %" PRIu64 " MiB, and opening may write %" PRIu64
		" MiB",
		free_bytes >> 20, floor_bytes >> 20, needed_bytes >> 20);
}

struct tl_disk_guard {
	/* fixed after start */
	struct tl_disk_guard_options options;
	char path[PATH_MAX]; /* of the ballast */
	pthread_t thread;
	/* guarded by mtx */
	pthread_mutex_t mtx;
	pthread_cond_t wake;
	bool is_stopping;
	bool is_low;
	struct tl_disk_figures figures;
};

static void
release_ballast(struct tl_disk_guard *guard)
{
	if (unlink(guard->path) == 0 || errno == ENOENT)
		guard->figures.ballast_bytes = 0;
}

/* All of it or nothing: half a ballast would only take room. */
static bool
make_ballast(struct tl_disk_guard *guard)
{
	off_t bytes = (off_t)guard->options.settings.ballast_bytes;
	int fd = open(guard->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool is_made;

	if (fd < 0)
		return false;
	is_made = ftruncate(fd, bytes) == 0 && posix_fallocate(fd, 0, bytes) == 0;
	close(fd);
	if (!is_made) {
		release_ballast(guard);
		return false;
	}
	guard->figures.ballast_bytes = (uint64_t)bytes;
	return true;
}

/* Whether the disk is to count as low from now on. mtx held. */
static bool
judge(struct tl_disk_guard *guard)
{
	struct tl_disk_figures *figures = &guard->figures;
	uint64_t ballast_bytes = (uint64_t)guard->options.settings.ballast_bytes;
	uint64_t recovered_bytes = figures->floor_bytes + figures->floor_bytes / RECOVERY_PART;

	if (figures->free_bytes < ballast_bytes / RELEASE_PART && figures->ballast_bytes > 0)
		release_ballast(guard);
	if (figures->free_bytes < figures->floor_bytes)
		return true;
	if (!guard->is_low)
		return false;
	if (figures->ballast_bytes == ballast_bytes)
		return figures->free_bytes < recovered_bytes;
	return figures->free_bytes < recovered_bytes + ballast_bytes || !make_ballast(guard);
}

/* mtx held. A disk that cannot be asked is taken for full. */
static void
look(struct tl_disk_guard *guard)
{
	uint64_t total_bytes = 0;
	bool was_low = guard->is_low;

	if (tl_disk_free(guard->options.data_dir, &guard->figures.free_bytes, &total_bytes, NULL))
		guard->figures.free_bytes = 0;
	else
		guard->figures.floor_bytes = floor_of(&guard->options.settings, total_bytes);
	guard->is_low = judge(guard);
	if (guard->is_low == was_low)
		return;
	if (guard->is_low)
		tl_gate_close(guard->options.gate, TL_GATE_DISK);
	guard->options.on_change(guard->options.arg, guard->is_low, &guard->figures);
	if (!guard->is_low)
		tl_gate_open(guard->options.gate, TL_GATE_DISK);
}

void
tl_disk_guard_look(struct tl_disk_guard *guard)
{
	if (guard == NULL)
		return;
	pthread_mutex_lock(&guard->mtx);
	look(guard);
	pthread_mutex_unlock(&guard->mtx);
}

void
tl_disk_guard_figures(struct tl_disk_guard *guard, struct tl_disk_figures *figures_out)
{
	pthread_mutex_lock(&guard->mtx);
	*figures_out = guard->figures;
	pthread_mutex_unlock(&guard->mtx);
}

static void *
run(void *arg)
{
	struct tl_disk_guard *guard = arg;
	struct timespec until;

	tl_thread_name("tl-disk");
	clock_gettime(CLOCK_MONOTONIC, &until);
	pthread_mutex_lock(&guard->mtx);
	while (!guard->is_stopping) {
		look(guard);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LOOK_EVERY_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		while (!guard->is_stopping &&
			pthread_cond_timedwait(&guard->wake, &guard->mtx, &until) == 0)
			;
	}
	pthread_mutex_unlock(&guard->mtx);
	return NULL;
}

/* Where the last run left it: low until there is room for the ballast too. */
static void
begin(struct tl_disk_guard *guard)
{
	struct stat st;

	if (stat(guard->path, &st) == 0 &&
		(uint64_t)st.st_blocks * 512 >= (uint64_t)guard->options.settings.ballast_bytes &&
		st.st_size == (off_t)guard->options.settings.ballast_bytes)
		guard->figures.ballast_bytes = (uint64_t)st.st_size;
	else /* of another size, or half made */
		release_ballast(guard);
	guard->is_low = true;
	tl_gate_close(guard->options.gate, TL_GATE_DISK);
	look(guard);
	if (guard->is_low)
		guard->options.on_change(guard->options.arg, true, &guard->figures);
}

enum tl_err
tl_disk_guard_start(const struct tl_disk_guard_options *options, struct tl_disk_guard **guard_out,
	struct tl_why *why)
{
	struct tl_disk_guard *guard = calloc(1, sizeof(*guard));
	pthread_condattr_t monotonic;

	if (guard == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for the disk guard");
	guard->options = *options;
	if (snprintf(guard->path, sizeof(guard->path), "%s/ballast", options->data_dir) >=
		(int)sizeof(guard->path)) {
		free(guard);
		return tl_fail(why, TL_EIO, "the path '%.100s...' is too long", options->data_dir);
	}
	pthread_mutex_init(&guard->mtx, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&guard->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	begin(guard);
	if (pthread_create(&guard->thread, NULL, run, guard) != 0) {
		pthread_cond_destroy(&guard->wake);
		pthread_mutex_destroy(&guard->mtx);
		free(guard);
		return tl_fail(why, TL_ENOMEM, "no thread for the disk guard");
	}
	*guard_out = guard;
	return TL_OK;
}

void
tl_disk_guard_stop(struct tl_disk_guard *guard)
{
	if (guard == NULL)
		return;
	pthread_mutex_lock(&guard->mtx);
	guard->is_stopping = true;
	pthread_cond_signal(&guard->wake);
	pthread_mutex_unlock(&guard->mtx);
	pthread_join(guard->thread, NULL);
	pthread_cond_destroy(&guard->wake);
	pthread_mutex_destroy(&guard->mtx);
	free(guard);
}
