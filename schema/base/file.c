#include "schema/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_CHUNK_BYTES 16384

/* What errno says after step ("open", "fsync") failed on path. */
static enum tl_err
fail_errno(struct tl_why *why, const char *step, const char *path)
{
	enum tl_err err = TL_EIO;

	if (errno == ENOENT || errno == ENOTDIR)
		err = TL_ENOT_FOUND;
	else if (errno == ENOSPC || errno == EDQUOT)
		err = TL_ENOSPACE;
	return tl_fail(why, err, "%s '%s': %s", step, path, strerror(errno));
}

/* Appends to buf; the buffer's own error is told like any other. */
static enum tl_err
read_all(int fd, const char *path, struct tl_buf *buf, struct tl_why *why)
{
	uint8_t chunk[FILE_CHUNK_BYTES];
	ssize_t bytes;

	while (!buf->err) {
		bytes = read(fd, chunk, sizeof(chunk));
		if (bytes == 0)
			return TL_OK;
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			return fail_errno(why, "read", path);
		tl_buf_put(buf, chunk, (size_t)bytes);
	}
	if (buf->err == TL_EFULL)
		return tl_fail(
			why, buf->err, "'%s' is larger than %zu bytes", path, buf->bytes_max);
	return tl_fail(why, buf->err, "read '%s': %s", path, tl_err_text(buf->err));
}

enum tl_err
tl_file_read(const char *path, struct tl_buf *buf, struct tl_why *why)
{
	size_t bytes_before = buf->bytes;
	enum tl_err err;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(why, "open", path);
	err = read_all(fd, path, buf, why);
	if (err)
		buf->bytes = bytes_before;
	/* Nothing was written, so a failing close has lost nothing. */
	close(fd);
	return err;
}

static enum tl_err
write_all(int fd, struct tl_slice content, const char *path, struct tl_why *why)
{
	while (content.bytes > 0) {
		ssize_t bytes = write(fd, content.data, content.bytes);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			return fail_errno(why, "write", path);
		content = tl_slice_of(content.data + bytes, content.bytes - (size_t)bytes);
	}
	if (fsync(fd) < 0)
		return fail_errno(why, "fsync", path);
	return TL_OK;
}

/* A new file at path, its content on the disk. */
static enum tl_err
write_new(const char *path, struct tl_slice content, struct tl_why *why)
{
	enum tl_err err;
	int fd;

	/* What a crash left is removed, not reopened: it may have another mode or owner. */
	if (unlink(path) < 0 && errno != ENOENT)
		return fail_errno(why, "remove", path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(why, "create", path);
	err = write_all(fd, content, path, why);
	if (close(fd) < 0 && !err)
		err = fail_errno(why, "close", path);
	if (err)
		unlink(path);
	return err;
}

/* The folder that holds path, into folder[PATH_MAX]; path is shorter than that. */
static void
folder_of(const char *path, char *folder)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		snprintf(folder, PATH_MAX, ".");
	else if (slash == path)
		snprintf(folder, PATH_MAX, "/");
	else
		snprintf(folder, PATH_MAX, "%.*s", (int)(slash - path), path);
}

enum tl_err
tl_file_replace(const char *path, struct tl_slice content, struct tl_why *why)
{
	char beside[PATH_MAX];
	char folder[PATH_MAX];
	enum tl_err err;
	int bytes = snprintf(beside, sizeof(beside), "%s.tmp", path);

	if (bytes < 0 || (size_t)bytes >= sizeof(beside))
		return tl_fail(why, TL_EIO, "the path '%.100s...' is too long", path);
	err = write_new(beside, content, why);
	if (err)
		return err;
	if (rename(beside, path) < 0) {
		err = fail_errno(why, "rename to", path);
		unlink(beside);
		return err;
	}
	folder_of(path, folder);
	return tl_dir_sync(folder, why);
}

/* One folder below one that exists. Durable, because what is stored in it would go with it. */
static enum tl_err
make_one(const char *path, struct tl_why *why)
{
	char parent[PATH_MAX];
	struct stat st;

	if (mkdir(path, 0700) == 0) {
		folder_of(path, parent);
		return tl_dir_sync(parent, why);
	}
	if (errno != EEXIST)
		return fail_errno(why, "make folder", path);
	if (stat(path, &st) < 0)
		return fail_errno(why, "stat", path);
	if (!S_ISDIR(st.st_mode))
		return tl_fail(why, TL_EIO, "'%s' is not a folder", path);
	return TL_OK;
}

enum tl_err
tl_dir_make(const char *path, struct tl_why *why)
{
	char part[PATH_MAX];
	size_t path_bytes = strlen(path);
	enum tl_err err;

	if (path_bytes == 0)
		return tl_fail(why, TL_EIO, "make folder: the path is empty");
	if (path_bytes >= sizeof(part))
		return tl_fail(why, TL_EIO, "the path '%.100s...' is too long", path);
	memcpy(part, path, path_bytes + 1);
	while (path_bytes > 1 && part[path_bytes - 1] == '/')
		part[--path_bytes] = '\0';

	for (size_t i = 1; i < path_bytes; i++) {
		/* The first of several slashes ends a name. */
		if (part[i] != '/' || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		err = make_one(part, why);
		part[i] = '/';
		if (err)
			return err;
	}
	return make_one(part, why);
}

enum tl_err
tl_file_lock(const char *path, int *fd_out, struct tl_why *why)
{
	enum tl_err err;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno(why, "open", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		*fd_out = fd;
		return TL_OK;
	}
	if (errno == EWOULDBLOCK)
		err = tl_fail(why, TL_ELOCKED, "'%s' is held by another process", path);
	else
		err = fail_errno(why, "lock", path);
	close(fd);
	return err;
}

enum tl_err
tl_dir_sync(const char *path, struct tl_why *why)
{
	enum tl_err err = TL_OK;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(why, "open", path);
	if (fsync(fd) < 0)
		err = fail_errno(why, "fsync", path);
	close(fd);
	return err;
}

enum tl_err
tl_disk_free(
	const char *path, uint64_t *free_bytes_out, uint64_t *total_bytes_out, struct tl_why *why)
{
	struct statvfs st;

	if (statvfs(path, &st) < 0)
		return fail_errno(why, "statvfs", path);
	*free_bytes_out = (uint64_t)st.f_bavail * st.f_frsize;
	*total_bytes_out = (uint64_t)st.f_blocks * st.f_frsize;
	return TL_OK;
}
