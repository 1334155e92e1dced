#include "ingest/client/kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/client/spool.h"
#include "schema/base/clock.h"
#include "schema/base/crypt.h"
#include "schema/base/file.h"
#include "schema/model/limits.h"

#define MARK_MAGIC "TSM1"
#define MARK_MAGIC_BYTES 4
#define MARK_BYTES (MARK_MAGIC_BYTES + 8 + 8 + 8)
#define DIR_BYTES_MAX (PATH_MAX - 64)

struct file {
	uint64_t number;
	uint64_t bytes;
	int64_t written_ms;
};

struct kept {
	char dir[DIR_BYTES_MAX];
	size_t bytes_max;
	int64_t age_ms_max;
	int mark_fd;
	struct kept_mark mark;
	struct file *files; /* by rising number, from first_idx on */
	size_t first_idx, file_end, file_capacity;
	uint64_t bytes;
	struct tl_buf content;
};

static void
path_of(const struct kept *kept, uint64_t number, char path_out[PATH_MAX])
{
	snprintf(path_out, PATH_MAX, "%s/kept/" SPOOL_NAME, kept->dir, number);
}

static enum tl_err
files_add(struct kept *kept, const struct file *file)
{
	size_t count = kept->file_end - kept->first_idx;

	if (kept->file_end == kept->file_capacity && kept->first_idx > count) {
		memmove(kept->files, kept->files + kept->first_idx, count * sizeof(*kept->files));
		kept->first_idx = 0;
		kept->file_end = count;
	}
	if (kept->file_end == kept->file_capacity) {
		size_t capacity = kept->file_capacity > 0 ? kept->file_capacity * 2 : 64;
		struct file *files = reallocarray(kept->files, capacity, sizeof(*files));

		if (files == NULL)
			return TL_ENOMEM;
		kept->files = files;
		kept->file_capacity = capacity;
	}
	kept->files[kept->file_end++] = *file;
	kept->bytes += file->bytes;
	return TL_OK;
}

static int
by_number(const void *a, const void *b)
{
	const struct file *left = a;
	const struct file *right = b;

	return left->number < right->number ? -1 : left->number > right->number;
}

/* The first file whose number is at least number. */
static size_t
file_find(const struct kept *kept, uint64_t number)
{
	size_t first = kept->first_idx;
	size_t end = kept->file_end;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (kept->files[middle].number < number)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

static enum tl_err
file_stat(const char *path, uint64_t number, struct file *file_out)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return TL_EIO;
	*file_out = (struct file){.number = number,
		.bytes = (uint64_t)st.st_size,
		.written_ms = (int64_t)st.st_mtim.tv_sec * 1000};
	return TL_OK;
}

static enum tl_err
dir_scan(struct kept *kept, struct tl_why *why)
{
	char path[PATH_MAX];
	struct dirent *name;
	struct file file;
	enum tl_err err = TL_OK;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/kept", kept->dir);
	err = tl_dir_make(path, why);
	if (err)
		return err;
	dir = opendir(path);
	if (dir == NULL)
		return tl_fail(why, TL_EIO, "open '%s': %s", path, strerror(errno));
	while (!err && (name = readdir(dir)) != NULL) {
		uint64_t number;

		if (!spool_name_parse(name->d_name, &number))
			continue;
		path_of(kept, number, path);
		if (file_stat(path, number, &file) == TL_OK)
			err = files_add(kept, &file);
	}
	closedir(dir);
	if (kept->file_end > 0)
		qsort(kept->files, kept->file_end, sizeof(*kept->files), by_number);
	return err ? tl_fail(why, err, "no memory for the list of '%s/kept'", kept->dir) : TL_OK;
}

static void
mark_read(struct kept *kept)
{
	uint8_t bytes[MARK_BYTES] = {0};
	struct tl_slice sum_of = tl_slice_of(bytes, MARK_BYTES - 8);

	if (pread(kept->mark_fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes) ||
		memcmp(bytes, MARK_MAGIC, MARK_MAGIC_BYTES) != 0 ||
		tl_get_be64(bytes + MARK_BYTES - 8) != tl_checksum64(sum_of))
		return;
	kept->mark.epoch = tl_get_be64(bytes + MARK_MAGIC_BYTES);
	kept->mark.seq = tl_get_be64(bytes + MARK_MAGIC_BYTES + 8);
}

enum tl_err
kept_open(const char *dir, size_t bytes_max, int64_t age_ms_max, struct kept **kept_out,
	struct tl_why *why)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	char path[PATH_MAX];
	enum tl_err err;

	if (kept == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for what is kept");
	kept->mark_fd = -1;
	snprintf(kept->dir, sizeof(kept->dir), "%s", dir);
	kept->bytes_max = bytes_max;
	kept->age_ms_max = age_ms_max;
	tl_buf_init(&kept->content, SPOOL_FILE_BYTES_MAX);
	err = dir_scan(kept, why);
	if (!err) {
		snprintf(path, sizeof(path), "%s/mark", kept->dir);
		kept->mark_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (kept->mark_fd < 0)
			err = tl_fail(why, TL_EIO, "open '%s': %s", path, strerror(errno));
	}
	if (err) {
		kept_close(kept);
		return err;
	}
	mark_read(kept);
	*kept_out = kept;
	return TL_OK;
}

void
kept_close(struct kept *kept)
{
	if (kept == NULL)
		return;
	if (kept->mark_fd >= 0)
		close(kept->mark_fd);
	tl_buf_fini(&kept->content);
	free(kept->files);
	free(kept);
}

uint64_t
kept_last(const struct kept *kept)
{
	return kept->file_end > kept->first_idx ? kept->files[kept->file_end - 1].number : 0;
}

static void
oldest_remove(struct kept *kept)
{
	struct file *file = &kept->files[kept->first_idx++];
	char path[PATH_MAX];

	path_of(kept, file->number, path);
	unlink(path);
	kept->bytes -= file->bytes;
}

static void
surplus_remove(struct kept *kept)
{
	int64_t oldest_ms = tl_clock_wall_ms(tl_clock_system()) - kept->age_ms_max;

	while (kept->first_idx < kept->file_end &&
		(kept->bytes > kept->bytes_max ||
			kept->files[kept->first_idx].written_ms < oldest_ms))
		oldest_remove(kept);
}

/* Acknowledgements come in nearly any order; the list stays sorted. */
static void
last_sort_in(struct kept *kept)
{
	struct file last = kept->files[kept->file_end - 1];
	size_t at = kept->file_end - 1;

	while (at > kept->first_idx && kept->files[at - 1].number > last.number) {
		kept->files[at] = kept->files[at - 1];
		at--;
	}
	kept->files[at] = last;
}

void
kept_take(struct kept *kept, const char *path, uint64_t number, bool resends)
{
	char to[PATH_MAX];
	struct file file;

	path_of(kept, number, to);
	if (kept->age_ms_max == 0 || file_stat(path, number, &file) != TL_OK ||
		rename(path, to) < 0) {
		unlink(path);
		return;
	}
	if (files_add(kept, &file) == TL_OK)
		last_sort_in(kept);
	if (!resends)
		surplus_remove(kept);
}

enum tl_err
kept_next(struct kept *kept, uint64_t after, struct tl_buf *batch, uint64_t *number_out,
	uint32_t *event_count_out, struct tl_why *why)
{
	char path[PATH_MAX];
	size_t file_idx;

	for (file_idx = file_find(kept, after + 1); file_idx < kept->file_end; file_idx++) {
		uint64_t number = kept->files[file_idx].number;
		enum tl_err err;

		path_of(kept, number, path);
		err = spool_file_read(path, &kept->content, batch, event_count_out, why);
		if (err == TL_ESTORAGE_CORRUPT)
			continue;
		if (!err)
			*number_out = number;
		return err;
	}
	return TL_EEND;
}

struct kept_mark
kept_mark_get(const struct kept *kept)
{
	return kept->mark;
}

void
kept_mark_set(struct kept *kept, struct kept_mark mark)
{
	struct tl_buf bytes;
	ssize_t written_bytes = 0;

	tl_buf_init(&bytes, MARK_BYTES);
	tl_buf_put(&bytes, MARK_MAGIC, MARK_MAGIC_BYTES);
	tl_buf_put_be64(&bytes, mark.epoch);
	tl_buf_put_be64(&bytes, mark.seq);
	tl_buf_put_be64(&bytes, tl_checksum64(tl_buf_slice(&bytes)));
	kept->mark = mark;
	if (!bytes.err)
		written_bytes = pwrite(kept->mark_fd, bytes.data, bytes.bytes, 0);
	(void)written_bytes; /* one that lies further behind notices less, and harms nothing */
	tl_buf_fini(&bytes);
}

uint64_t
kept_bytes(const struct kept *kept)
{
	return kept->bytes;
}
