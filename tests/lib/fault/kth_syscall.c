/*
 * A preload library that counts the calls that change files below a directory and lets the k-th go
 * wrong. TALLY_KTH_DIR: the directory. TALLY_KTH_STATE: a file of four int64 shared with whoever
 * watches: calls so far, k (0: never), stride (0: once; n: at k and at each n-th call after it),
 * and how often it struck; k may be written while the program runs. TALLY_KTH_SEED: of all calls
 * from k on, one in n, drawn by seed and number, instead. TALLY_KTH_ACTION: EIO, ENOSPC, EINTR,
 * short (half of a write), kill, or sleep (TALLY_KTH_SLEEP_MS, before the call). TALLY_KTH_CALLS:
 * which calls count, by name with commas; without it all of write, pwrite, fdatasync, fsync,
 * fallocate, ftruncate, rename, unlink and open. TALLY_KTH_TRACE: a file that gets one line a call,
 * "number name path". What goes to stdout and stderr is not counted. A call that is not struck goes
 * on to the next preload library, or to the C library.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct state {
	_Atomic int64_t calls;
	_Atomic int64_t at;
	_Atomic int64_t stride;
	_Atomic int64_t struck;
};

/* Fixed after load. */
static struct state *state;
static const char *dir, *action, *calls;
static int trace_fd = -1;
static uint64_t seed; /* 0: at k and the strides after it */

__attribute__((constructor)) static void
load(void)
{
	const char *path = getenv("TALLY_KTH_STATE");
	const char *trace = getenv("TALLY_KTH_TRACE");
	int fd;

	dir = getenv("TALLY_KTH_DIR");
	action = getenv("TALLY_KTH_ACTION");
	calls = getenv("TALLY_KTH_CALLS");
	if (path == NULL || dir == NULL || action == NULL)
		return;
	if (getenv("TALLY_KTH_SEED") != NULL)
		seed = strtoull(getenv("TALLY_KTH_SEED"), NULL, 10);
	if (trace != NULL)
		trace_fd = (int)syscall(SYS_openat, AT_FDCWD, trace,
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || syscall(SYS_ftruncate, fd, sizeof(*state)) != 0)
		abort();
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (state == MAP_FAILED)
		abort();
	close(fd);
}

static bool
is_counted(const char *name)
{
	size_t bytes = strlen(name);

	for (const char *at = calls; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, bytes) == 0 && (at[bytes] == ',' || at[bytes] == '\0'))
			return true;
	}
	return calls == NULL;
}

static bool
is_below(const char *path)
{
	size_t bytes = strlen(dir);

	return strncmp(path, dir, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0');
}

static void
trace(int64_t number, const char *name, const char *path)
{
	char line[PATH_MAX + 64];
	int bytes = snprintf(line, sizeof(line), "%lld %s %s\n", (long long)number, name, path);

	if (trace_fd >= 0 && syscall(SYS_write, trace_fd, line, (size_t)bytes) != bytes)
		abort();
}

/* splitmix64: the same number gives the same verdict whatever ran before. */
static bool
is_drawn(int64_t number, int64_t one_in)
{
	uint64_t z = seed + (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % (uint64_t)one_in == 0;
}

static bool
is_due(int64_t number, int64_t at, int64_t stride)
{
	if (at == 0 || number < at)
		return false;
	if (stride == 0)
		return number == at;
	return seed != 0 ? is_drawn(number, stride) : (number - at) % stride == 0;
}

static bool
is_struck(const char *name, const char *path)
{
	int64_t number;

	if (state == NULL || !is_counted(name) || !is_below(path))
		return false;
	number = atomic_fetch_add(&state->calls, 1) + 1;
	trace(number, name, path);
	if (!is_due(number, atomic_load(&state->at), atomic_load(&state->stride)))
		return false;
	atomic_fetch_add(&state->struck, 1);
	return true;
}

/* The errno the call must fail with, or 0: make the call. */
static int
fault(void)
{
	const char *ms = getenv("TALLY_KTH_SLEEP_MS");

	if (strcmp(action, "EIO") == 0)
		return EIO;
	if (strcmp(action, "ENOSPC") == 0)
		return ENOSPC;
	if (strcmp(action, "EINTR") == 0)
		return EINTR;
	if (strcmp(action, "kill") == 0)
		syscall(SYS_kill, getpid(), SIGKILL);
	if (strcmp(action, "sleep") == 0 && ms != NULL)
		usleep((useconds_t)atoi(ms) * 1000);
	return 0;
}

static int
fault_of_path(const char *name, const char *path)
{
	return is_struck(name, path) ? fault() : 0;
}

static bool
path_of(int fd, char *path)
{
	char link[64];
	ssize_t bytes;

	if (state == NULL || fd == STDOUT_FILENO || fd == STDERR_FILENO)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	bytes = readlink(link, path, PATH_MAX - 1);
	if (bytes < 0)
		return false;
	path[bytes] = '\0';
	return true;
}

static int
fault_of_fd(const char *name, int fd)
{
	char path[PATH_MAX];

	return path_of(fd, path) ? fault_of_path(name, path) : 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int
failed(int error)
{
	errno = error;
	return -1;
}

/* A write that is struck by "short" does half and says so. */
static bool
fault_of_write(const char *name, int fd, size_t *count, int *error_out)
{
	char path[PATH_MAX];

	if (!path_of(fd, path) || !is_struck(name, path))
		return false;
	if (strcmp(action, "short") == 0)
		*count = *count > 1 ? *count / 2 : *count;
	*error_out = fault();
	return *error_out != 0;
}

ssize_t
write(int fd, const void *bytes, size_t count)
{
	int error;

	if (fault_of_write("write", fd, &count, &error))
		return failed(error);
	return NEXT(write)(fd, bytes, count);
}

ssize_t
pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	int error;

	if (fault_of_write("pwrite", fd, &count, &error))
		return failed(error);
	return NEXT(pwrite)(fd, bytes, count, offset);
}

int
fdatasync(int fd)
{
	int error = fault_of_fd("fdatasync", fd);

	return error ? failed(error) : NEXT(fdatasync)(fd);
}

int
fsync(int fd)
{
	int error = fault_of_fd("fsync", fd);

	return error ? failed(error) : NEXT(fsync)(fd);
}

int
fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	int error = fault_of_fd("fallocate", fd);

	return error ? failed(error) : NEXT(fallocate)(fd, mode, offset, bytes);
}

/* The same call to the kernel, another way to say that it failed. */
int
posix_fallocate(int fd, off_t offset, off_t bytes)
{
	return fallocate(fd, 0, offset, bytes) == 0 ? 0 : errno;
}

int
ftruncate(int fd, off_t bytes)
{
	int error = fault_of_fd("ftruncate", fd);

	return error ? failed(error) : NEXT(ftruncate)(fd, bytes);
}

int
rename(const char *from, const char *to)
{
	int error = fault_of_path("rename", to);

	return error ? failed(error) : NEXT(rename)(from, to);
}

int
unlink(const char *path)
{
	int error = fault_of_path("unlink", path);

	return error ? failed(error) : NEXT(unlink)(path);
}

int
open(const char *path, int flags, ...)
{
	int error = fault_of_path("open", path);
	mode_t mode = 0;
	va_list rest;

	if (error)
		return failed(error);
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(rest, flags);
		mode = (mode_t)va_arg(rest, int);
		va_end(rest);
	}
	return NEXT(open)(path, flags, mode);
}
