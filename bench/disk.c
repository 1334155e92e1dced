#include "bench/disk.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"

#define ID_KEY "column.family.id"
#define PREFIX_BYTES 22 /* of "rocksdb.column.family." */
#define TAIL_BYTES ((off_t)8 << 10)
#define NAME_BYTES 64

static struct disk_sizes sizes; /* nftw takes no argument for its visitor */

/*
 * Of a key in a block only what differs from the key before is written, after three varints that
 * all fit a byte here: bytes shared, bytes of its own, bytes of the value. So "...family.name"
 * stands behind "...family.id" and its value as 22, 4, the name's length, "name".
 */
static bool
find_name(const uint8_t *tail, size_t tail_bytes, char name_out[NAME_BYTES])
{
	const uint8_t *end = tail + tail_bytes;
	const uint8_t *id = memmem(tail, tail_bytes, ID_KEY, sizeof(ID_KEY) - 1);

	if (id == NULL)
		return false;
	for (const uint8_t *at = id + sizeof(ID_KEY) - 1; at < id + NAME_BYTES; at++) {
		if (end - at < 7 || at[0] != PREFIX_BYTES || at[1] != 4 ||
			memcmp(at + 3, "name", 4) != 0)
			continue;
		if (at[2] >= NAME_BYTES || end - at < 7 + at[2])
			return false;
		memcpy(name_out, at + 7, at[2]);
		name_out[at[2]] = '\0';
		return true;
	}
	return false;
}

/* The properties, the index of such blocks and the footer are the last of a table. */
static bool
read_family(const char *path, off_t bytes, char name_out[NAME_BYTES])
{
	size_t tail_bytes = (size_t)(bytes < TAIL_BYTES ? bytes : TAIL_BYTES);
	uint8_t *tail = malloc(tail_bytes + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_found = false;

	if (tail == NULL)
		measure_die("no memory for a table's tail");
	if (fd >= 0 &&
		pread(fd, tail, tail_bytes, bytes - (off_t)tail_bytes) == (ssize_t)tail_bytes)
		is_found = find_name(tail, tail_bytes, name_out);
	if (fd >= 0)
		close(fd);
	free(tail);
	return is_found;
}

static bool
begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void
add_table(const char *path, off_t bytes)
{
	char family[NAME_BYTES];

	if (!read_family(path, bytes, family))
		measure_die("%s does not name its family", path);
	if (begins_with(family, "raw."))
		sizes.raw_bytes += bytes;
	else if (begins_with(family, "cell.") || strcmp(family, "session") == 0 ||
		 strcmp(family, "life") == 0)
		sizes.derived_bytes += bytes;
	else if (strcmp(family, "dict") == 0)
		sizes.names_bytes += bytes;
	else
		sizes.rest_bytes += bytes;
}

static int
visit(const char *path, const struct stat *stat, int type, struct FTW *at)
{
	const char *ending = strrchr(path + at->base, '.');

	/* The last flush point is links to tables, most of which are those in use. */
	if (strstr(path, "/flush/") != NULL) {
		sizes.used_bytes += stat->st_nlink == 1 ? (int64_t)stat->st_blocks * 512 : 0;
		return 0;
	}
	sizes.used_bytes += (int64_t)stat->st_blocks * 512;
	if (type != FTW_F || ending == NULL)
		return 0;
	if (strcmp(ending, ".sst") == 0)
		add_table(path, stat->st_size);
	else if (strcmp(ending, ".log") == 0)
		sizes.log_bytes += stat->st_size;
	return 0;
}

void
disk_read(const char *dir, struct disk_sizes *sizes_out)
{
	sizes = (struct disk_sizes){0};
	if (nftw(dir, visit, 32, FTW_PHYS) != 0)
		measure_die("read %s: %m", dir);
	*sizes_out = sizes;
}

int64_t
disk_kept_bytes(const struct disk_sizes *of)
{
	return of->raw_bytes + of->names_bytes + of->rest_bytes;
}
