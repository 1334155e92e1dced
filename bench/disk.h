/*
 * What a data directory holds, by family. A sorted table of RocksDB names its family in its
 * properties block, which lies uncompressed near the end of the file, so nothing has to open the
 * store.
 */
#ifndef BENCH_DISK_H
#define BENCH_DISK_H

#include <stdint.h>

struct disk_sizes {
	int64_t raw_bytes;     /* blocks of events, ids included: raw.* */
	int64_t derived_bytes; /* cell.*, session, life */
	int64_t names_bytes;   /* dict */
	int64_t rest_bytes;    /* journal, intake, registry, mark, ... */
	int64_t log_bytes;     /* the write-ahead log: not in tables yet */
	int64_t used_bytes;    /* blocks that the directory takes on the disk, as du counts */
};

/* dir is that of a daemon that has stopped, or holds still. */
void disk_read(const char *dir, struct disk_sizes *sizes_out);

/* What is kept for the events themselves: all tables but the derived ones. */
int64_t disk_kept_bytes(const struct disk_sizes *of);

#endif
