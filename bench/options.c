#include "bench/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

static void
print_help(const struct tl_conf_table *table)
{
	struct tl_buf text;

	tl_buf_init(&text, 0);
	tl_conf_help(table, &text);
	fwrite(text.data, 1, text.bytes, stdout);
	tl_buf_fini(&text);
}

void
options_read(const struct tl_conf_table *table, int argc, char **argv, void *values)
{
	struct tl_why why;
	int operand_count = 0;

	tl_conf_defaults(table, values);
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		print_help(table);
		exit(0);
	}
	if (tl_conf_read_args(table, argc, argv, values, &operand_count, &why))
		measure_die("%s", why.text);
}
