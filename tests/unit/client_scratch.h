/* A scratch folder that goes with the test, and what the client's tests ask of files. */
#ifndef TL_TESTS_CLIENT_SCRATCH_H
#define TL_TESTS_CLIENT_SCRATCH_H

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[64];

/* A path below the scratch folder; each call overwrites the one four calls before. */
static inline const char *
at(const char *name)
{
	static char paths[4][PATH_MAX];
	static size_t next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", scratch, name);
	return path;
}

static inline int
scratch_make(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/tally-client-XXXXXX");
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

static inline int
scratch_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline int
scratch_remove(void **state)
{
	(void)state;
	return nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline bool
is_there(const char *name)
{
	return access(at(name), F_OK) == 0;
}

/* Files of a folder below the scratch folder: folders, the lock and the mark are not counted. */
static inline size_t
files_in(const char *name)
{
	DIR *dir = opendir(at(name));
	struct dirent *found;
	size_t count = 0;

	assert_non_null(dir);
	while ((found = readdir(dir)) != NULL)
		count += found->d_type == DT_REG && strcmp(found->d_name, "lock") != 0 &&
			 strcmp(found->d_name, "mark") != 0;
	closedir(dir);
	return count;
}

/* Numbers from a seed; SEED in the environment starts another row of them. */
static inline uint64_t
next_random(uint64_t *seed)
{
	uint64_t x = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint64_t
seed_of_run(void)
{
	const char *text = getenv("SEED");

	return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : 1;
}

#endif
