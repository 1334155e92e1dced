/*
 * A folder of files, and a list of their numbers in rising order in memory, so that the next one is
 * found without reading the folder. A number is used once for as long as a trace of it is left, in
 * refused/ and damaged/ too: what was moved there is never written over.
 *
 *   dir/lock                        held while the spool is open
 *   dir/0000000000000007            a batch; .tmp while it is written
 *   dir/refused/0000000000000003    a batch the server refused for good, .reply beside it
 *   dir/damaged/0000000000000005    a file that does not hold what was written
 *   dir/kept/, dir/mark             see kept.h
 *
 * A power cut leaves a put batch whole, the one being put whole or absent, and a removed one absent
 * or whole: then it is sent once more, which the server knows by the ids.
 */
#include "ingest/client/spool.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/base/crypt.h"
#include "schema/base/file.h"
#include "schema/model/limits.h"

#define MAGIC "TSP1"
#define MAGIC_BYTES 4
_Static_assert(SPOOL_HEAD_BYTES == MAGIC_BYTES + 4 + 4 + 8, "magic, two lengths, checksum");
#define NUMBER_DIGITS 16
#define UNFINISHED ".tmp" /* what tl_file_replace writes beside */
#define DIR_BYTES_MAX (PATH_MAX - 64)

struct file {
	uint64_t number;
	uint64_t bytes; /* on disk */
	bool is_gone;
};

struct spool {
	char dir[DIR_BYTES_MAX];
	int lock_fd;
	size_t bytes_max;
	uint64_t bytes; /* of the files that are there */
	uint64_t refused_bytes;
	uint64_t number_next;
	struct file *files; /* by rising number, some gone */
	size_t file_count;
	size_t file_capacity;
	size_t gone_count;
	struct tl_buf content; /* of one file */
};

/* Path of a file: place is "", "refused/" or "damaged/"; more is appended to the number. */
static void
path_of(const struct spool *spool, const char *place, uint64_t number, const char *more,
	char path_out[PATH_MAX])
{
	snprintf(path_out, PATH_MAX, "%s/%s" SPOOL_NAME "%s", spool->dir, place, number, more);
}

/* True for 16 lower-case hex digits and what may follow them. */
static bool
number_parse(const char *name, uint64_t *number_out, const char **rest_out)
{
	uint8_t bytes[NUMBER_DIGITS / 2];

	if (strspn(name, "0123456789abcdef") != NUMBER_DIGITS)
		return false;
	if (!tl_unhex(tl_slice_of(name, NUMBER_DIGITS), bytes, sizeof(bytes)))
		return false;
	*number_out = tl_get_be64(bytes);
	*rest_out = name + NUMBER_DIGITS;
	return *number_out > 0 && *number_out < UINT64_MAX;
}

/* The index of the first file whose number is at least number. */
static size_t
file_find(const struct spool *spool, uint64_t number)
{
	size_t first = 0;
	size_t end = spool->file_count;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (spool->files[middle].number < number)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

/* Close the gaps: most batches leave soon after they came. */
static void
files_compact(struct spool *spool)
{
	size_t count = 0;

	for (size_t i = 0; i < spool->file_count; i++) {
		if (!spool->files[i].is_gone)
			spool->files[count++] = spool->files[i];
	}
	spool->file_count = count;
	spool->gone_count = 0;
}

static enum tl_err
files_reserve(struct spool *spool, struct tl_why *why)
{
	size_t capacity = spool->file_capacity > 0 ? spool->file_capacity * 2 : 64;
	struct file *files;

	if (spool->file_count < spool->file_capacity)
		return TL_OK;
	if (spool->gone_count > 0 && spool->gone_count >= spool->file_count / 2) {
		files_compact(spool);
		return TL_OK;
	}
	files = reallocarray(spool->files, capacity, sizeof(*files));
	if (files == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for the list of the spool");
	spool->files = files;
	spool->file_capacity = capacity;
	return TL_OK;
}

static void
file_forget(struct spool *spool, struct file *file)
{
	assert(!file->is_gone);
	file->is_gone = true;
	spool->gone_count++;
	spool->bytes -= file->bytes;
	if (spool->gone_count == spool->file_count)
		files_compact(spool);
}

/* The file of a number that was put or found and not removed since; NULL otherwise. */
static struct file *
file_of(struct spool *spool, uint64_t number)
{
	size_t file_idx = file_find(spool, number);
	struct file *file;

	if (file_idx == spool->file_count)
		return NULL;
	file = &spool->files[file_idx];
	return file->number == number && !file->is_gone ? file : NULL;
}

/* Take a name of the folder into the list, or remove what a crash left unfinished. */
static enum tl_err
name_take(struct spool *spool, int dir_fd, const char *name, struct tl_why *why)
{
	uint64_t number;
	const char *rest;
	struct stat st;
	enum tl_err err;

	if (!number_parse(name, &number, &rest))
		return TL_OK;
	if (strcmp(rest, UNFINISHED) == 0 && unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return tl_fail(
			why, TL_EIO, "remove '%s/%s': %s", spool->dir, name, strerror(errno));
	if (rest[0] != '\0')
		return TL_OK;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return tl_fail(why, TL_EIO, "stat '%s/%s': %s", spool->dir, name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return TL_OK;
	err = files_reserve(spool, why);
	if (err)
		return err;
	spool->files[spool->file_count++] =
		(struct file){.number = number, .bytes = (uint64_t)st.st_size};
	spool->bytes += (uint64_t)st.st_size;
	return TL_OK;
}

static uint64_t
bytes_of(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return (uint64_t)st.st_size;
}

/* Read the names of a place; only those of the spool itself become its list. */
static enum tl_err
place_scan(struct spool *spool, const char *place, struct tl_why *why)
{
	char path[PATH_MAX];
	struct dirent *name;
	enum tl_err err = TL_OK;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", spool->dir, place);
	dir = opendir(path);
	if (dir == NULL)
		return tl_fail(why, TL_EIO, "open '%s': %s", path, strerror(errno));
	errno = 0;
	while (!err && (name = readdir(dir)) != NULL) {
		uint64_t number;
		const char *rest;

		if (number_parse(name->d_name, &number, &rest) && number >= spool->number_next)
			spool->number_next = number + 1;
		if (strcmp(place, "refused/") == 0)
			spool->refused_bytes += bytes_of(dirfd(dir), name->d_name);
		if (place[0] == '\0')
			err = name_take(spool, dirfd(dir), name->d_name, why);
		errno = 0;
	}
	if (!err && errno != 0)
		err = tl_fail(why, TL_EIO, "read '%s': %s", path, strerror(errno));
	closedir(dir);
	return err;
}

static enum tl_err
lock_take(struct spool *spool, struct tl_why *why)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/lock", spool->dir);
	spool->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (spool->lock_fd < 0)
		return tl_fail(why, TL_EIO, "open '%s': %s", path, strerror(errno));
	if (flock(spool->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return TL_OK;
	if (errno == EWOULDBLOCK)
		return tl_fail(
			why, TL_ELOCKED, "the spool '%s' is in use by another process", spool->dir);
	return tl_fail(why, TL_EIO, "lock '%s': %s", path, strerror(errno));
}

static int
by_number(const void *a, const void *b)
{
	const struct file *left = a;
	const struct file *right = b;

	return left->number < right->number ? -1 : left->number > right->number;
}

static enum tl_err
places_make(const struct spool *spool, struct tl_why *why)
{
	static const char *const places[] = {"refused", "damaged", "kept"};
	char path[PATH_MAX];
	enum tl_err err = tl_dir_make(spool->dir, why);

	for (size_t i = 0; !err && i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", spool->dir, places[i]);
		err = tl_dir_make(path, why);
	}
	return err;
}

enum tl_err
spool_open(const char *dir, size_t bytes_max, struct spool **spool_out, struct tl_why *why)
{
	struct spool *spool;
	enum tl_err err;

	if (strlen(dir) >= DIR_BYTES_MAX)
		return tl_fail(why, TL_EIO, "the path of the spool is longer than %d bytes",
			DIR_BYTES_MAX - 1);
	spool = calloc(1, sizeof(*spool));
	if (spool == NULL)
		return tl_fail(why, TL_ENOMEM, "no memory for a spool");
	strcpy(spool->dir, dir);
	spool->lock_fd = -1;
	spool->bytes_max = bytes_max;
	spool->number_next = 1;
	tl_buf_init(&spool->content, SPOOL_FILE_BYTES_MAX);

	err = places_make(spool, why);
	if (!err)
		err = lock_take(spool, why);
	if (!err)
		err = place_scan(spool, "refused/", why);
	if (!err)
		err = place_scan(spool, "damaged/", why);
	if (!err)
		err = place_scan(spool, "kept/", why);
	if (!err)
		err = place_scan(spool, "", why);
	if (err) {
		spool_close(spool);
		return err;
	}
	if (spool->file_count > 0)
		qsort(spool->files, spool->file_count, sizeof(*spool->files), by_number);
	*spool_out = spool;
	return TL_OK;
}

void
spool_close(struct spool *spool)
{
	if (spool == NULL)
		return;
	if (spool->lock_fd >= 0)
		close(spool->lock_fd);
	tl_buf_fini(&spool->content);
	free(spool->files);
	free(spool);
}

static enum tl_err
content_build(struct spool *spool, struct tl_slice batch, uint32_t event_count, struct tl_why *why)
{
	struct tl_buf *content = &spool->content;

	tl_buf_reset(content);
	tl_buf_put(content, MAGIC, MAGIC_BYTES);
	tl_buf_put_be32(content, (uint32_t)batch.bytes);
	tl_buf_put_be32(content, event_count);
	tl_buf_put_be64(content, tl_checksum64(batch));
	tl_buf_put_slice(content, batch);
	if (content->err)
		return tl_fail(why, content->err, "spool a batch of %zu bytes: %s", batch.bytes,
			tl_err_text(content->err));
	return TL_OK;
}

enum tl_err
spool_put(struct spool *spool, struct tl_slice batch, uint32_t event_count, uint64_t *number_out,
	struct tl_why *why)
{
	char path[PATH_MAX];
	uint64_t bytes = SPOOL_HEAD_BYTES + (uint64_t)batch.bytes;
	uint64_t number = spool->number_next;
	enum tl_err err;

	if (spool->bytes > spool->bytes_max || bytes > spool->bytes_max - spool->bytes)
		return tl_fail(why, TL_EFULL, "the spool holds %" PRIu64 " bytes, the limit is %zu",
			spool->bytes, spool->bytes_max);
	err = files_reserve(spool, why);
	if (!err)
		err = content_build(spool, batch, event_count, why);
	if (err)
		return err;

	spool->number_next++;
	path_of(spool, "", number, "", path);
	err = tl_file_replace(path, tl_buf_slice(&spool->content), why);
	if (err) {
		/* The file may be there and the folder not on the disk: nothing is promised. */
		unlink(path);
		return err;
	}
	spool->files[spool->file_count++] = (struct file){.number = number, .bytes = bytes};
	spool->bytes += bytes;
	*number_out = number;
	return TL_OK;
}

/* A file that cannot be removed is sent once more after the next open, which does no harm. */
void
spool_remove(struct spool *spool, uint64_t number)
{
	struct file *file = file_of(spool, number);
	char path[PATH_MAX];

	if (file == NULL)
		return;
	path_of(spool, "", number, "", path);
	unlink(path);
	file_forget(spool, file);
}

void
spool_keep(struct spool *spool, uint64_t number, struct kept *kept, bool resends)
{
	struct file *file = file_of(spool, number);
	char path[PATH_MAX];

	if (file == NULL)
		return;
	path_of(spool, "", number, "", path);
	kept_take(kept, path, number, resends);
	file_forget(spool, file);
}

/* The lowest number in refused/, 0: none. */
static uint64_t
refused_oldest(const struct spool *spool)
{
	char path[PATH_MAX];
	uint64_t oldest = 0;
	struct dirent *name;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/refused", spool->dir);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((name = readdir(dir)) != NULL) {
		uint64_t number;
		const char *rest;

		if (number_parse(name->d_name, &number, &rest) && (oldest == 0 || number < oldest))
			oldest = number;
	}
	closedir(dir);
	return oldest;
}

/* Both files of a refusal; how many bytes that frees. */
static uint64_t
refused_remove(const struct spool *spool, uint64_t number)
{
	static const char *const parts[] = {"", ".reply"};
	uint64_t bytes = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char path[PATH_MAX];

		path_of(spool, "refused/", number, parts[i], path);
		bytes += bytes_of(AT_FDCWD, path);
		unlink(path);
	}
	return bytes;
}

/* Room for one more: the oldest refusals make it. */
static void
refused_bound(struct spool *spool, uint64_t bytes, uint64_t *dropped)
{
	while (spool->refused_bytes + bytes > SPOOL_REFUSED_BYTES_MAX) {
		uint64_t number = refused_oldest(spool);
		uint64_t freed_bytes = number != 0 ? refused_remove(spool, number) : 0;

		if (freed_bytes == 0 || freed_bytes > spool->refused_bytes) {
			spool->refused_bytes = 0;
			return;
		}
		spool->refused_bytes -= freed_bytes;
		++*dropped;
	}
}

/*
 * The reply is written before the batch moves: a crash in between leaves the batch to be refused
 * once more. A batch that cannot be moved stays, and counts. NULL when there is no such batch.
 */
static struct file *
refused_reply(struct spool *spool, uint64_t number, struct tl_slice reply, uint64_t *dropped)
{
	struct file *file = file_of(spool, number);
	char path[PATH_MAX];

	if (file == NULL)
		return NULL;
	refused_bound(spool, file->bytes + reply.bytes, dropped);
	path_of(spool, "refused/", number, ".reply", path);
	if (tl_file_replace(path, reply, NULL) != TL_OK)
		return NULL;
	spool->refused_bytes += file->bytes + reply.bytes;
	return file;
}

void
spool_refuse(struct spool *spool, uint64_t number, struct tl_slice reply, uint64_t *dropped)
{
	struct file *file = refused_reply(spool, number, reply, dropped);
	char from[PATH_MAX];
	char to[PATH_MAX];

	if (file == NULL)
		return;
	path_of(spool, "", number, "", from);
	path_of(spool, "refused/", number, "", to);
	if (rename(from, to) == 0)
		file_forget(spool, file);
}

void
spool_refuse_part(struct spool *spool, uint64_t number, struct tl_slice reply, uint64_t *dropped)
{
	char from[PATH_MAX];
	char to[PATH_MAX];

	if (refused_reply(spool, number, reply, dropped) == NULL)
		return;
	path_of(spool, "", number, "", from);
	path_of(spool, "refused/", number, "", to);
	unlink(to);
	if (link(from, to) < 0)
		unlink(to); /* a file system without links keeps the reply alone */
}

static void
file_set_aside(struct spool *spool, struct file *file)
{
	char from[PATH_MAX];
	char to[PATH_MAX];

	path_of(spool, "", file->number, "", from);
	path_of(spool, "damaged/", file->number, "", to);
	/* One that cannot be moved is found again at the next open. */
	(void)rename(from, to);
	file_forget(spool, file);
}

bool
spool_content_parse(struct tl_slice content, struct tl_slice *batch_out, uint32_t *event_count_out)
{
	struct tl_cursor cur = tl_cursor_of(content);
	struct tl_slice magic = tl_cursor_take(&cur, MAGIC_BYTES);
	uint32_t bytes = tl_cursor_be32(&cur);
	uint32_t event_count = tl_cursor_be32(&cur);
	uint64_t checksum = tl_cursor_be64(&cur);
	struct tl_slice batch = tl_cursor_take(&cur, bytes);

	if (cur.err || tl_cursor_left(&cur) > 0)
		return false;
	if (!tl_slice_eq(magic, tl_slice_of(MAGIC, MAGIC_BYTES)))
		return false;
	if (event_count == 0 || event_count > TL_BATCH_EVENTS_MAX)
		return false;
	if (tl_checksum64(batch) != checksum)
		return false;
	*batch_out = batch;
	*event_count_out = event_count;
	return true;
}

enum tl_err
spool_file_read(const char *path, struct tl_buf *content, struct tl_buf *batch,
	uint32_t *event_count_out, struct tl_why *why)
{
	struct tl_slice frame;
	enum tl_err err;

	tl_buf_reset(content);
	err = tl_file_read(path, content, why);
	if (err == TL_EFULL || err == TL_ENOT_FOUND)
		return TL_ESTORAGE_CORRUPT;
	if (err)
		return err;
	if (!spool_content_parse(tl_buf_slice(content), &frame, event_count_out))
		return TL_ESTORAGE_CORRUPT;
	tl_buf_reset(batch);
	tl_buf_put_slice(batch, frame);
	if (batch->err)
		return tl_fail(why, batch->err, "no room for a batch of %zu bytes", frame.bytes);
	return TL_OK;
}

bool
spool_name_parse(const char *name, uint64_t *number_out)
{
	const char *rest;

	return number_parse(name, number_out, &rest) && rest[0] == '\0';
}

enum tl_err
spool_next(struct spool *spool, uint64_t after, struct tl_buf *batch, uint64_t *number_out,
	uint32_t *event_count_out, uint32_t *damaged_out, struct tl_why *why)
{
	for (;;) {
		size_t file_idx = file_find(spool, after + 1);
		char path[PATH_MAX];
		struct file *file;
		enum tl_err err;

		while (file_idx < spool->file_count && spool->files[file_idx].is_gone)
			file_idx++;
		if (file_idx == spool->file_count)
			return TL_EEND;
		file = &spool->files[file_idx];
		after = file->number;
		path_of(spool, "", after, "", path);
		err = spool_file_read(path, &spool->content, batch, event_count_out, why);
		if (err == TL_ESTORAGE_CORRUPT) {
			file_set_aside(spool, file);
			++*damaged_out;
			continue;
		}
		if (!err)
			*number_out = after;
		return err;
	}
}

uint64_t
spool_bytes(const struct spool *spool)
{
	return spool->bytes;
}
