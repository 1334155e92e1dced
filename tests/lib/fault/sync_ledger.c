/*
 * A preload library that writes down what a power cut would leave of the files below a directory;
 * sync_ledger.py then makes it so. TALLY_LEDGER_DIR: the directory; TALLY_LEDGER: the ledger,
 * beside which a folder <ledger>.kept holds what was unlinked or renamed over. One line a fact,
 * fields parted by tabs:
 *
 *   S bytes from path    fsync or fdatasync returned 0; the size is the one before the call
 *   D from path          fsync of a directory returned 0
 *   C path               a file or directory was made
 *   R n old new          renamed; what stood at new is kept as n (0: nothing stood there)
 *   U n path             unlinked; kept as n
 *   O offset hex path    these bytes are about to be overwritten in place
 *
 * from is the length of the ledger when the call began: a line that came later is not covered.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_BYTES (2 * PATH_MAX + 64)
#define OVERWRITE_BYTES_MAX 512

/* Fixed after load. */
static int ledger_fd = -1;
static const char *dir;
static char kept_dir[PATH_MAX];

static atomic_int kept_count;

__attribute__((constructor)) static void
load(void)
{
	const char *path = getenv("TALLY_LEDGER");

	dir = getenv("TALLY_LEDGER_DIR");
	if (path == NULL || dir == NULL)
		return;
	ledger_fd = (int)syscall(
		SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	snprintf(kept_dir, sizeof(kept_dir), "%s.kept", path);
	if (ledger_fd < 0 || (syscall(SYS_mkdir, kept_dir, 0700) != 0 && errno != EEXIST))
		abort();
}

static bool
is_below(const char *path)
{
	size_t bytes = ledger_fd >= 0 ? strlen(dir) : 0;

	return bytes > 0 && strncmp(path, dir, bytes) == 0 &&
	       (path[bytes] == '/' || path[bytes] == '\0');
}

static bool
path_of(int fd, char *path)
{
	char link[64];
	ssize_t bytes;

	if (ledger_fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, path, PATH_MAX - 1);
	if (bytes < 0)
		return false;
	path[bytes] = '\0';
	return is_below(path);
}

__attribute__((format(printf, 1, 2))) static void
note(const char *form, ...)
{
	char line[LINE_BYTES];
	va_list args;
	int bytes;

	va_start(args, form);
	bytes = vsnprintf(line, sizeof(line), form, args);
	va_end(args);
	if (bytes >= LINE_BYTES || syscall(SYS_write, ledger_fd, line, (size_t)bytes) != bytes)
		abort();
}

/* A second name keeps the bytes after the first is gone. 0: there is nothing to keep. */
static int
keep(const char *path)
{
	int number = atomic_fetch_add(&kept_count, 1) + 1;
	char name[PATH_MAX + 16];

	for (;; number = atomic_fetch_add(&kept_count, 1) + 1) {
		snprintf(name, sizeof(name), "%s/%d", kept_dir, number);
		if (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, name, 0) == 0)
			return number;
		if (errno != EEXIST)
			return 0;
	}
}

static int
sync_by(long call, int fd)
{
	char path[PATH_MAX];
	struct stat before;
	long long from;

	if (!path_of(fd, path) || fstat(fd, &before) != 0)
		return (int)syscall(call, fd);
	from = lseek(ledger_fd, 0, SEEK_END);
	if (syscall(call, fd) != 0)
		return -1;
	if (S_ISDIR(before.st_mode))
		note("D\t%lld\t%s\n", from, path);
	else
		note("S\t%lld\t%lld\t%s\n", (long long)before.st_size, from, path);
	return 0;
}

int
fdatasync(int fd)
{
	return sync_by(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return sync_by(SYS_fsync, fd);
}

ssize_t
pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	char path[PATH_MAX], hex[2 * OVERWRITE_BYTES_MAX + 1];
	unsigned char old[OVERWRITE_BYTES_MAX];
	ssize_t old_bytes = 0;

	if (path_of(fd, path) && count <= sizeof(old)) {
		/* System calls throughout: a sanitizer that knows only some of them sees races. */
		int reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

		old_bytes = syscall(SYS_pread64, reader, old, count, offset);
		syscall(SYS_close, reader);
	}
	for (ssize_t i = 0; i < old_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", old[i]);
	if (old_bytes > 0)
		note("O\t%lld\t%s\t%s\n", (long long)offset, hex, path);
	return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

int
open(const char *path, int flags, ...)
{
	bool is_new = (flags & O_CREAT) && is_below(path) && access(path, F_OK) != 0;
	mode_t mode = 0;
	va_list rest;
	int fd;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(rest, flags);
		mode = (mode_t)va_arg(rest, int);
		va_end(rest);
	}
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (fd >= 0 && is_new)
		note("C\t%s\n", path);
	return fd;
}

int
link(const char *from, const char *to)
{
	int result = (int)syscall(SYS_link, from, to);

	if (result == 0 && is_below(to))
		note("C\t%s\n", to);
	return result;
}

int
mkdir(const char *path, mode_t mode)
{
	int result = (int)syscall(SYS_mkdir, path, mode);

	if (result == 0 && is_below(path))
		note("C\t%s\n", path);
	return result;
}

int
rename(const char *from, const char *to)
{
	int kept = is_below(to) ? keep(to) : 0;
	int result = (int)syscall(SYS_rename, from, to);

	if (result == 0 && is_below(to))
		note("R\t%d\t%s\t%s\n", kept, from, to);
	return result;
}

int
unlink(const char *path)
{
	int kept = is_below(path) ? keep(path) : 0;
	int result = (int)syscall(SYS_unlink, path);

	if (result == 0 && kept > 0)
		note("U\t%d\t%s\n", kept, path);
	return result;
}
