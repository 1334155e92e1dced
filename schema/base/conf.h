/*
 * A table of settings -> a typed struct. One table gives the defaults, the file (ini), the
 * command line (--name value) and the text of --help. inih stops here.
 */
#ifndef TL_BASE_CONF_H
#define TL_BASE_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "schema/base/bytes.h"

enum tl_conf_type {
	TL_CONF_STRING, /* char[TL_CONF_STRING_BYTES] in the struct */
	TL_CONF_INT,	/* int64_t, with min and max; suffixes k M G (1024) are taken */
	TL_CONF_FLAG,	/* bool; --name or --no-name, true/false in a file */
};

#define TL_CONF_STRING_BYTES 256

struct tl_conf_setting {
	const char *name; /* "retention_days"; the option is --retention-days */
	enum tl_conf_type type;
	size_t offset; /* of the field in the struct */
	const char *initial;
	int64_t min, max; /* TL_CONF_INT only */
	const char *help;
};

struct tl_conf_table {
	const char *program;
	const char *summary;  /* one paragraph */
	const char *operands; /* "FILE..." or NULL when none are taken */
	const struct tl_conf_setting *settings;
	size_t setting_count;
	const char *const *reloads; /* names of those that may change while it runs, then NULL */
};

/* Every setting to its initial value. A wrong table is a bug: asserts. */
void tl_conf_defaults(const struct tl_conf_table *table, void *values);

/* Apply an ini file without sections. Unknown names, wrong values, long lines: TL_ECONFIG. */
TL_MUST enum tl_err tl_conf_read_file(
	const struct tl_conf_table *table, const char *path, void *values, struct tl_why *why);

/*
 * Apply options; operands are moved to the front of argv[1..] and counted. `--` ends options,
 * `--config FILE` reads a file first. TL_EUSAGE with one line of why.
 */
TL_MUST enum tl_err tl_conf_read_args(const struct tl_conf_table *table, int argc, char **argv,
	void *values, int *operand_count_out, struct tl_why *why);

/*
 * Take over from fresh (another struct, read later) the settings that reload. The names of those
 * that changed go to changed_out, of those that wait for a new start to waiting_out.
 */
void tl_conf_adopt(const struct tl_conf_table *table, const void *fresh, void *values,
	struct tl_buf *changed_out, struct tl_buf *waiting_out);

/* The text of --help. */
void tl_conf_help(const struct tl_conf_table *table, struct tl_buf *text_out);

#endif
