/*
 * A settings file. It is taken whole or changes nothing; what was taken lies within the bounds of
 * its setting, and the same file gives the same values again.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "schema/base/conf.h"
#include "tests/fuzz/fuzz.h"

struct settings {
	char name[TL_CONF_STRING_BYTES];
	int64_t days;
	int64_t bytes;
	bool verbose;
};

static const struct tl_conf_setting table_settings[] = {
	{"name", TL_CONF_STRING, offsetof(struct settings, name), "tally", 0, 0, "a text"},
	{"days", TL_CONF_INT, offsetof(struct settings, days), "400", 1, 4000, "a number"},
	{"bytes_max", TL_CONF_INT, offsetof(struct settings, bytes), "1M", -5, INT64_MAX, "a size"},
	{"verbose", TL_CONF_FLAG, offsetof(struct settings, verbose), "false", 0, 0, "a flag"},
};

static const struct tl_conf_table table = {.program = "fuzz",
	.summary = "A table of settings.",
	.settings = table_settings,
	.setting_count = 4};

/* A file in memory, made once. */
static const char *
file_of(const uint8_t *data, size_t bytes)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("conf", MFD_CLOEXEC);
		assert(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	assert(ftruncate(fd, 0) == 0);
	assert(pwrite(fd, data, bytes, 0) == (ssize_t)bytes);
	return path;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *path = file_of(data, bytes);
	struct settings before = {.days = 0};
	struct settings once = {.days = 0};
	struct settings twice = {.days = 0};
	struct tl_why why = {""};
	enum tl_err err;

	tl_conf_defaults(&table, &before);
	memcpy(&once, &before, sizeof(once));
	memcpy(&twice, &before, sizeof(twice));
	err = tl_conf_read_file(&table, path, &once, &why);
	if (err) {
		assert(err == TL_ECONFIG && why.text[0] != '\0');
		assert(memcmp(&before, &once, sizeof(once)) == 0);
		return 0;
	}
	assert(once.days >= 1 && once.days <= 4000 && once.bytes >= -5);
	assert(memchr(once.name, '\0', sizeof(once.name)) != NULL);
	assert(tl_conf_read_file(&table, path, &twice, &why) == TL_OK);
	assert(strcmp(once.name, twice.name) == 0 && once.days == twice.days);
	assert(once.bytes == twice.bytes && once.verbose == twice.verbose);
	return 0;
}
