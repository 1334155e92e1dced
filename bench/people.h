/*
 * The orgs and agents of a workload in a daemon: a hundred orgs, the first of which is acme, and
 * for each member one key per agent. Made once, by a directory that others are copied from.
 */
#ifndef BENCH_PEOPLE_H
#define BENCH_PEOPLE_H

#include "bench/scratch.h"
#include "bench/workload.h"

#define PEOPLE_ORG_BYTES 16

/* The name of the org with this number, from 0. */
void people_org_name(uint32_t org, char name_out[PEOPLE_ORG_BYTES]);

/* Makes them and writes dir.keys beside the daemon's directory. */
void people_make(const struct scratch *scratch, const struct workload *workload);

/* Read dir.keys. */
void people_load(const char *dir, struct workload_keys *keys_out);
void people_fini(struct workload_keys *keys);

#endif
