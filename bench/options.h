/* The settings of a benchmark program from its command line. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "schema/base/conf.h"

/* Fills *values; prints --help and ends, or says what is wrong and ends. */
void options_read(const struct tl_conf_table *table, int argc, char **argv, void *values);

#endif
