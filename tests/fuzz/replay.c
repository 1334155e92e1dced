/*
 * Runs a target over its committed corpus, without a fuzzer: tests/fuzz/corpus/<name>/, where the
 * program is called <name>_replay. Each input lies in memory of exactly its size, so that a
 * sanitizer sees one byte past its end. With arguments it runs those files instead.
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include "schema/base/file.h"
#include "tests/fuzz/fuzz.h"

#define CORPUS "tests/fuzz/corpus"
#define SUFFIX "_replay"

static const char *current = "";

/* A failed assertion says which input it was. */
static void
say_current(int signal_no)
{
	(void)signal_no;
	fprintf(stderr, "while replaying %s\n", current);
}

static int
run_file(const char *path)
{
	struct tl_buf content;
	struct tl_why why;
	uint8_t *exact;
	enum tl_err err;

	tl_buf_init(&content, 0);
	err = tl_file_read(path, &content, &why);
	if (err) {
		printf("# %s\n", why.text);
		return -1;
	}
	exact = malloc(content.bytes > 0 ? content.bytes : 1);
	assert(exact != NULL);
	if (content.bytes > 0)
		memcpy(exact, content.data, content.bytes);
	current = path;
	LLVMFuzzerTestOneInput(exact, content.bytes);
	free(exact);
	tl_buf_fini(&content);
	return 0;
}

static int
run_folder(const char *folder, int *count_out)
{
	struct dirent **names;
	int name_count = scandir(folder, &names, NULL, alphasort);
	int bad = name_count < 0;

	for (int i = 0; i < name_count; i++) {
		char path[2 * PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			bad |= run_file(path);
			++*count_out;
		}
		free(names[i]);
	}
	if (name_count >= 0)
		free(names);
	return bad;
}

int
main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	char folder[PATH_MAX];
	int count = 0;
	int bad = 0;

	name = name != NULL ? name + 1 : argv[0];
	snprintf(
		folder, sizeof(folder), CORPUS "/%.*s", (int)(strlen(name) - strlen(SUFFIX)), name);
	signal(SIGABRT, say_current);
	for (int i = 1; i < argc; i++)
		bad |= run_file(argv[i]);
	if (argc == 1)
		bad = run_folder(folder, &count);
	if (argc == 1 && count == 0)
		bad = 1;
	printf("%sok 1 - %d inputs of %s\n", bad ? "not " : "", argc == 1 ? count : argc - 1,
		folder);
	return bad;
}
